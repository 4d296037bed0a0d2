/* A network in the form that layers are looked for in: weights that nodes make of constants are constants, and a
 * BatchNormalization behind a convolution is part of its weights. What is done to the graph is kept as changes to the
 * file, so that both stay the same network under the same names. */
#ifndef SUMI_COMPRESS_PREPARE_H
#define SUMI_COMPRESS_PREPARE_H

#include "compress/layer.h"
#include "graph/change.h"

struct sumi_prepared {
  struct sumi_changes changes; /* to nodes, and constants that go */
  const char **constant;       /* [n], in the changes' arena: constants that are new or have other contents */
  size_t n, cap;
  size_t left; /* layers in local functions of the file whose weights nodes make */
};

void sumi_prepared_init(struct sumi_prepared *p, const struct sumi_allocator *a);
void sumi_prepared_fini(struct sumi_prepared *p);

/* Fails with SUMI_E_UNSUPPORTED and the reason why the graph has no layer; what: what was to be done, "prune". */
sumi_status sumi_prepared_refuse(const struct sumi_prepared *p, const char *what, struct sumi_err *err);

/* Weights and biases that Transpose, Cast, Reshape, Identity and other nodes make of constants of g become constants of
 * their own, which the layers read; nodes and constants that nobody reads any more go. DequantizeLinear is no such node: a
 * network in 8 bits stays one. Layers inside local functions of the file, which no change can name, are left and counted. */
sumi_status sumi_prepare_weights(struct sumi_graph *g, struct sumi_prepared *p, struct sumi_err *err);

/* A BatchNormalization that alone reads a Conv with constant weights of its own becomes factors of them and another bias.
 * The convolution then makes what the BatchNormalization made, under that name. Zeros of weights stay. */
sumi_status sumi_prepare_norms(struct sumi_graph *g, struct sumi_prepared *p, struct sumi_err *err);

/* Puts what was done to g at the end of out: before changes that build on it. Constants have the contents that they have in
 * g now, and are borrowed. */
sumi_status sumi_prepared_put(const struct sumi_prepared *p, const struct sumi_graph *g,
                              struct sumi_changes *out, struct sumi_err *err);

#endif
