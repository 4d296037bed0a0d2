/* 8-bit weights of a node (op/word_weights.h) for family spmm_i8. */
#ifndef SUMI_OP_QDOT_WEIGHTS_H
#define SUMI_OP_QDOT_WEIGHTS_H

#include "kernel/spmm/spmm_i8.h"
#include "op/word_weights.h"

/* Sets the weights of s. column[cols] are the columns' offsets in bytes. */
sumi_status sumi_qdot_set_weights(struct sumi_lower *l, const struct sumi_word_weights *w,
                                  const int32_t *column, struct sumi_spmm_i8 *s);

#endif
