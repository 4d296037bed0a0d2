/* LSTM, GRU and RNN as cells of the card: one product of all tokens with W, then step by step a product of the state with R and
 * vector programs of the operator. Factors are bfloat16 (h among them), sums and what a step keeps are float32. */
#ifndef SUMI_OP_RNN_CELLS_H
#define SUMI_OP_RNN_CELLS_H

#include "op/rnn.h"
#include "op/vector_cells.h"

/* A step of one direction for all sequences. Operands: [batch, width] float32, width = slots * hidden: the gates, what is kept for the
 * next step, a spare slot. */
struct sumi_rnn_step_cells {
  struct sumi_cells *c;
  const struct sumi_rnn *v;
  const struct sumi_rnn_act *act; /* of this direction */
  int dir;
  int64_t t, slots;
  int from_x;                     /* W x + b of every token, [seq, batch, width] */
  int r;                          /* R, bfloat16 */
  int state;                      /* this step's */
  int h;                          /* of the step before, bfloat16 [batch, hidden] */
  struct sumi_cell_view kept;     /* of the step before; steps: batch, hidden */
  struct sumi_cell_view store[2]; /* where h goes to; operand -1 = nowhere */
  const float *late;              /* what is added to products without x, [hidden]; NULL = nothing */
};

/* Slots [to, to + n) = R of gates [first, first + n) times h (bfloat16 [batch, hidden]), with_x: plus these gates of from_x, else plus
 * late. */
sumi_status sumi_rnn_recur_cells(const struct sumi_rnn_step_cells *s, int h, int first, int n, bool with_x,
                                 int to);

/* Begins a program over batch and hidden; then values: a slot of the state, what was kept, act(x) held to the clip range or not. */
void sumi_rnn_start(const struct sumi_rnn_step_cells *s, struct sumi_vector *p);
int sumi_rnn_slot(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int slot);
int sumi_rnn_kept(const struct sumi_rnn_step_cells *s, struct sumi_vector *p);
int sumi_rnn_act_value(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int act, bool clipped,
                       int x);
void sumi_rnn_put(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int slot, int value);
/* Stores h and adds the cell. */
sumi_status sumi_rnn_end(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int h);

/* Slot of what is kept: behind the gates; the spare one behind it. */
static inline int sumi_rnn_keep_slot(const struct sumi_rnn_step_cells *s) { return s->v->kind->gates; }
static inline int sumi_rnn_spare_slot(const struct sumi_rnn_step_cells *s) { return s->v->kind->gates + 1; }

struct sumi_rnn_cells {
  const struct sumi_rnn_kind *kind;
  int kept; /* the input that begins what is kept: SUMI_RNN_H or SUMI_RNN_C; -1 = nothing is */
  int late; /* the gate whose Rb is added to its product with R alone; -1 = none */
  sumi_status (*step)(const struct sumi_rnn_step_cells *s);
};
sumi_status sumi_rnn_cells(struct sumi_cells *c, const struct sumi_rnn_cells *how);

#endif
