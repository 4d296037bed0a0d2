/* How operators over whole rows (softmax, normalisation along the last dimensions) become steps of family rows. */
#ifndef SUMI_OP_ROWS_LOWER_H
#define SUMI_OP_ROWS_LOWER_H

#include "plan/lower.h"

sumi_status sumi_softmax_lower(struct sumi_lower *l); /* Softmax, LogSoftmax */
/* LayerNormalization, RMSNormalization, SimplifiedLayerNormalization */
sumi_status sumi_layer_norm_lower(struct sumi_lower *l);

#endif
