/* Cells: what a node is for a machine with an array for products, one for vectors and engines that copy (the card, room card),
 * said by its operator. As lower.h is for device cpu; but a cell names operands and loops only: whoever compiles cells
 * (device/antoum) cuts the loops to the size of the machine's memory, places the operands and writes the words.
 *
 * Operands are numbered: input i is i, output i is n_in + i, behind them what sumi_cells_temp and sumi_cells_constant make. An
 * operand lies in the form its producer chose, told by step[]: row-major, or with one axis moved behind all others (channels as
 * neighbours: the card's banks). A cell's loops use these steps, so most operators do not care. Cells run in the order in
 * which they were added; each reads and writes whole operands' elements, and none reads what a later one writes. */
#ifndef SUMI_PLAN_CELL_H
#define SUMI_PLAN_CELL_H

#include "card/word.h"
#include "graph/op.h"

enum { SUMI_CELL_LOOPS = 8, SUMI_CELL_OUTER = 3 };

struct sumi_cell_operand {
  sumi_dtype dtype; /* SUMI_UNDEFINED: not given, or nobody wants it */
  int rank;
  int64_t dim[SUMI_MAX_RANK], step[SUMI_MAX_RANK]; /* elements; step[i] where dim[i] is 1 says nothing */
  const void *data; /* contents where constant, in the order of step; else NULL */
  bool free;        /* its form may still be chosen: an output, or an input that nobody has read yet */
  size_t bytes;
  int asked; /* 1 + the axis whose elements somebody wanted as neighbours, where it had to be copied for that; 0 = nobody */
};

/* Element (i, j, ...) of a loop nest lies at element at + i * step[0] + j * step[1] + ... of the operand. */
struct sumi_cell_view {
  int operand; /* -1: none */
  int64_t at, step[SUMI_CELL_LOOPS];
};

/* Vector operations over up to 8 loops, outermost first: for every element of n[0..rank) the body, for every row (the last
 * loop) the tail; word.h (VPU) has the meaning. LD, ST and GATHER name views by index. Distances (c) are elements of the
 * view's operand. An output's elements must not be written twice unless by LD, ST distances of one row. */
struct sumi_cell_vector {
  int rank; /* 1..8; a cell with a tail reduces over the last loop */
  int64_t n[SUMI_CELL_LOOPS];
  struct sumi_cell_view view[SUMI_CARD_VPU_VIEWS];
  float param[3];
  const struct sumi_card_vop *op; /* [body + tail] */
  int body, tail;
};

/* to[i] = from[i], or the element's bytes `fill` where from.operand is -1. Any element type. */
struct sumi_cell_copy {
  int rank;
  int64_t n[SUMI_CELL_LOOPS];
  struct sumi_cell_view to, from;
  uint32_t fill;
};

/* out[i * row + j] = table[id[i] * row + j], i < n, j < row (elements); a negative id counts from the end of `rows`. id out of
 * range is the run's error. ids: int32 or int64. */
struct sumi_cell_lookup {
  int table, ids, out; /* operands, row-major, whole */
  int64_t rows, row, n;
};

/* A convolution or matrix product with what follows it; word.h has both formulas (SPU, ACT). With outer loops o (groups, heads; at
 * most 3, all together below), pixels p = (image, y, x), outputs n and channels c of one outer step:
 *   acc = sum over ky, kx, c of (x[..] - x_zero) * (w[..] - w_zero)
 *     x at x.at + sum o * x.step + image * x_image + (oy * stride_h + ky * dilation_h - pad_top) * x_row + (..) * x_pixel + c
 *     w at w.at + sum o * w.step + n * w_output + ky * w_row + kx * w_col + c * w_channel
 *   y at y.at + sum o * y.step + image * y_image + oy * y_row + ox * y_pixel + n;  residual alike, by y's image, row, pixel steps
 * x channels and y outputs are neighbours. Channel parameters are of output o_linear * outputs + n where param_outer is set, else n.
 * x and w are both 8 bits, or both bfloat16. Where w's operand is constant its steps are free; else w_channel is 1.
 * ACT's fields are those of word.h but for addresses. */
struct sumi_cell_product {
  int n_outer; /* 0..3 */
  int64_t outer[SUMI_CELL_OUTER];
  struct sumi_cell_view x, w, y, residual; /* step: by outer loop */
  int64_t images, in_rows, in_cols, rows, cols, channels, outputs;
  int64_t x_image, x_row, x_pixel, y_image, y_row, y_pixel;
  int64_t w_output, w_row, w_col, w_channel;
  int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int x_zero, w_zero;
  bool param_outer;
  const int32_t *bias;      /* NULL = 0; floats' bits for bfloat16 */
  const float *scale, *add; /* NULL = 1, 0; a value for every channel parameter */
  unsigned flags;           /* SUMI_CARD_ACT_* */
  enum sumi_card_function function;
  float alpha, first_zero, first_lo, first_hi, r_zero, r_mul;
  struct sumi_card_stage c, r;
  const uint8_t *table; /* [256] with TABLE */
};

enum sumi_cell_kind { SUMI_CELL_VECTOR, SUMI_CELL_COPY, SUMI_CELL_LOOKUP, SUMI_CELL_PRODUCT };

struct sumi_cell {
  enum sumi_cell_kind kind;
  union {
    struct sumi_cell_vector vector;
    struct sumi_cell_copy copy;
    struct sumi_cell_lookup lookup;
    struct sumi_cell_product product;
  } u;
};

/* The operands a cell reads and writes, -1 left out; how many. */
enum { SUMI_CELL_OPERANDS = 4 };
int sumi_cell_operands(const struct sumi_cell *cell, int operand[SUMI_CELL_OPERANDS]);

/* The cells of one node being made: it begins with the operands of its inputs, in the forms in which they lie, and of its
 * outputs, row-major. Types of less than a byte have no operands: such nodes are the host's. */
struct sumi_cells {
  const struct sumi_node *node;
  int n_in, n_out;
  const struct sumi_tensor *const
      *in; /* as in struct sumi_call: shapes are numbers, data where constant; NULL = absent */
  const struct sumi_tensor *const *out;
  bool narrow; /* products of float32 may be taken on bfloat16 */
  struct sumi_cell_operand *operand;
  struct sumi_cell *cell;
  size_t n_operand, cap_operand, n_cell, cap_cell;
  struct sumi_arena *arena;
  struct sumi_text *refusals; /* NULL = nobody wants to know */
  struct sumi_err *err;
};

static inline bool sumi_cells_has(const struct sumi_cells *c, int i) {
  return i < c->n_in - c->node->n_captured && c->in[i];
}
static inline int sumi_cells_out(const struct sumi_cells *c, int i) { return c->n_in + i; }
/* For functions that resolve a node from a call. */
static inline struct sumi_call sumi_cells_call(const struct sumi_cells *c) {
  return (struct sumi_call){.node = c->node,
                            .n_in = c->n_in,
                            .n_out = c->n_out,
                            .in = c->in,
                            .out = (struct sumi_tensor *const *)c->out,
                            .err = c->err};
}

/* Number of a new operand, row-major; data (constant) is borrowed, and must live as long as the arena. -1: out of memory (c->err set). */
int sumi_cells_temp(struct sumi_cells *c, sumi_dtype dtype, int rank, const int64_t *dim);
int sumi_cells_constant(struct sumi_cells *c, sumi_dtype dtype, int rank, const int64_t *dim,
                        const void *data);

/* An operand with the same elements whose axis has step 1 (row-major otherwise, in the order of the other axes): the operand
 * itself where it lies so. What is free and not yet used takes the form, another is copied, a constant reordered. To be called before its steps are used. -1: out of memory. */
int sumi_cells_neighbours(struct sumi_cells *c, int operand, int axis);
/* The same for row-major. */
int sumi_cells_row_major(struct sumi_cells *c, int operand);
/* Steps row-major, with axis behind all others where it is not -1. */
void sumi_cells_steps(int rank, const int64_t *dim, int axis, int64_t *step);
/* Output operand takes input's form where their shapes agree: what element-wise operators begin with. */
void sumi_cells_same_form(struct sumi_cells *c, int output, int input);

/* The card's element type of vector views; SUMI_CARD_N_DTYPES where it has none (copies still work). bool counts as U8. */
enum sumi_card_dtype sumi_cells_type(sumi_dtype dtype);

sumi_status sumi_cells_vector(struct sumi_cells *c, const struct sumi_cell_vector *cell); /* op is copied */
sumi_status sumi_cells_copy(struct sumi_cells *c, const struct sumi_cell_copy *cell);
/* The same from an operand, where hardly any elements stay neighbours: a vector cell, if there is one for the type. */
sumi_status sumi_cells_reorder(struct sumi_cells *c, const struct sumi_cell_copy *cell);
sumi_status sumi_cells_lookup(struct sumi_cells *c, const struct sumi_cell_lookup *cell);
sumi_status sumi_cells_product(struct sumi_cells *c, const struct sumi_cell_product *cell);

/* Records why; returns SUMI_E_UNSUPPORTED: the node is the host's. */
sumi_status sumi_cells_refuse(struct sumi_cells *c, const char *format, ...) SUMI_PRINTF(2, 3);

#endif
