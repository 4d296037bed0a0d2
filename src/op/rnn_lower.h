/* How LSTM, GRU and RNN become one step on device cpu: what x gives to all gates at all times is one product of family
 * spmm; then, time by time, the recurrence is another and the cell's equations are functions of family eltwise. An
 * operator gives the equations. Everything is computed in float32. */
#ifndef SUMI_OP_RNN_LOWER_H
#define SUMI_OP_RNN_LOWER_H

#include "kernel/eltwise/eltwise.h"
#include "op/rnn.h"
#include "plan/lower.h"

struct sumi_rnn_args;

/* One direction at one time, all sequences of the batch. */
struct sumi_rnn_cell {
  const struct sumi_rnn_args *a;
  const struct sumi_run *run;
  int64_t batch, hidden;
  const struct sumi_rnn_act *act; /* of this direction, as in sumi_rnn_state */
  const float *from_x; /* W x + Wb, and Rb where it is not kept apart: [batch][gates, hidden], x_row apart */
  int64_t x_row;
  const float *r;     /* R turned: [hidden, gates * hidden] */
  const float *apart; /* Rb of the last gate where it is kept apart: [hidden] */
  float *gate;        /* [batch, gates, hidden], to use */
  float *h, *c, *tmp; /* [batch, hidden]: the state, renewed by the cell; tmp to use */
};

typedef void sumi_rnn_cell_fn(const struct sumi_rnn_cell *s);

/* y[b, j] = start[b, j] + sum over k of h[b, k] * R[first * hidden + j, k] for j < n * hidden: the recurrence of n gates
 * from gate `first` on. start is from_x's rows of these gates, or `apart` for all rows (n = 1). y's rows are y_row apart. */
void sumi_rnn_recur_f32(const struct sumi_rnn_cell *s, const float *h, int first, int n, bool from_apart,
                        float *y, int64_t y_row);

/* x = activation which(x) held to the clip range before if it is `clipped`, n words. */
void sumi_rnn_act_f32(const struct sumi_rnn_cell *s, int which, bool clipped, float *x, int64_t n);

/* y = a op b for n words. */
void sumi_rnn_binary_f32(const struct sumi_rnn_cell *s, enum sumi_binary op, const float *a, const float *b,
                         float *y, int64_t n);

/* apart: Rb of the last gate is not added to W x. What a node has beyond W, R, B and states is refused. */
sumi_status sumi_rnn_lower(struct sumi_lower *l, const struct sumi_rnn_kind *kind, bool apart,
                           sumi_rnn_cell_fn *cell);

#endif
