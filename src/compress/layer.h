/* A layer: a product with constant weights (Conv, Gemm, MatMul, a gate matrix of a recurrent operator) as a matrix.
 *
 *   y[row, sample] = sum over col of w[row, col] * x[col, sample] + b[row]
 *
 * Rows are outputs (output channels of a convolution, columns of a MatMul's right side); columns are the inputs one output
 * reads, in the order ky, kx, channel of its group; samples are pixels or tokens. The order is that of room sparse. Groups of
 * a convolution are layers' blocks of rows: rows [g * rows / groups, ...) read channels [g * cols / taps, ...). */
#ifndef SUMI_COMPRESS_LAYER_H
#define SUMI_COMPRESS_LAYER_H

#include "graph/op.h"

struct sumi_layer {
  struct sumi_node *node;
  int input, weight, bias;              /* indices of the node's inputs; bias -1: none */
  int part;                             /* of recurrent operators: direction, else 0 */
  int64_t rows, groups, taps, channels; /* channels of one group; cols = taps * channels */
  /* the weight's element (row, tap, channel) is data[row * row_step + tap * tap_step + channel * channel_step] from first */
  int64_t first, row_step, tap_step, channel_step;
};

static inline int64_t sumi_layer_cols(const struct sumi_layer *l) { return l->taps * l->channels; }

/* All layers of g in the order of its nodes, in arena; bodies are left out. Taken are weights of float32, float16 and
 * bfloat16 that are constants. A weight that two nodes share is a layer of the first and stays as it is for the second
 * (both read the same constant). */
sumi_status sumi_layers_find(struct sumi_graph *g, struct sumi_arena *arena, struct sumi_layer **out,
                             size_t *n, struct sumi_err *err);

/* The weights as float32 [rows, cols], row-major, and back; writing makes a new constant under the same name, of the
 * weight's own element type (values are rounded), and leaves what other graphs share alone. */
void sumi_layer_read(const struct sumi_layer *l, float *w);
sumi_status sumi_layer_write(const struct sumi_layer *l, const float *w, struct sumi_err *err);

/* The bias as float32 [rows], zeros where there is none. Writing makes the constant where there is none. */
void sumi_layer_read_bias(const struct sumi_layer *l, float *b);
sumi_status sumi_layer_write_bias(struct sumi_layer *l, const float *b, struct sumi_err *err);

#endif
