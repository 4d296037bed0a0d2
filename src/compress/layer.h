/* A layer: a product of a node with constant weights (struct sumi_op_product of graph/op.h) as a matrix [rows, cols],
 * row-major, columns ordered tap, channel. Samples are its columns of x: pixels or tokens. */
#ifndef SUMI_COMPRESS_LAYER_H
#define SUMI_COMPRESS_LAYER_H

#include "graph/op.h"

struct sumi_layer {
  struct sumi_node *node;
  struct sumi_op_product product;
  struct sumi_value *weight;
  struct sumi_value
      *bias; /* the constant that is added to its rows, by the node or by an Add behind it; NULL: none */
};

static inline int64_t sumi_layer_cols(const struct sumi_layer *l) {
  return l->product.taps * l->product.channels;
}

/* Whether weights may be such a constant (NULL: none): float32, float64, float16 and bfloat16. */
bool sumi_layer_takes(const struct sumi_tensor *t);

/* All layers of g in the order of its nodes, in arena; bodies are left out. A weight that several products share is a layer once: the first. */
sumi_status sumi_layers_find(const struct sumi_graph *g, struct sumi_arena *arena, struct sumi_layer **out,
                             size_t *n, struct sumi_err *err);

/* The weights as float32 [rows, cols], and back. Writing gives the value a new constant of its own element type (rounded to
 * it); what other graphs share stays as it is. */
void sumi_layer_read(const struct sumi_layer *l, float *w);
sumi_status sumi_layer_write(struct sumi_layer *l, const float *w, struct sumi_err *err);

/* Where element (row, col) lies in the constant, and in what has its form. */
static inline int64_t sumi_layer_place(const struct sumi_layer *l, int64_t row, int64_t col) {
  const struct sumi_op_product *p = &l->product;
  return p->first + row * p->row_step + col / p->channels * p->tap_step + col % p->channels * p->channel_step;
}

/* All constants of g are in memory and stay there. A session of a clone, which shares them, would give back the memory of those
 * it has packed (base/reread.h), while g's owner goes on reading them: to be called before such a clone is made. */
void sumi_constants_keep(const struct sumi_graph *g);

/* Gives constant v of g contents of its own of the same type and shape, at first the old ones: *data may be written to until
 * somebody else reads it. */
sumi_status sumi_constant_own(struct sumi_graph *g, struct sumi_value *v, void **data, struct sumi_err *err);

/* Whether a bias can be read and written: there is one, or the node takes one. */
bool sumi_layer_has_bias(const struct sumi_layer *l);
/* The bias as float32 [rows], zeros where there is none yet; writing makes a constant and an input of it then. */
void sumi_layer_read_bias(const struct sumi_layer *l, float *b);
sumi_status sumi_layer_write_bias(struct sumi_layer *l, const float *b, struct sumi_err *err);

#endif
