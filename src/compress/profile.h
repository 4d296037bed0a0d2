/* How long a network and each of its layers take on this machine. */
#ifndef SUMI_COMPRESS_PROFILE_H
#define SUMI_COMPRESS_PROFILE_H

#include <sumi/sumi.h>

#include "compress/layer.h"

/* Runs g as it is now on device cpu with the inputs in[n_in], again and again for about `seconds` and at least five times.
 * layer_s[n]: the least time of each layer's node, with what was fused into it (0 where it is part of another);
 * *total_s: the least time of all nodes together. */
sumi_status sumi_profile_layers(const struct sumi_graph *g, const struct sumi_view *in, size_t n_in,
                                int threads, double seconds, const struct sumi_layer *layers, size_t n,
                                double *layer_s, double *total_s, struct sumi_err *err);

#endif
