/* What LSTM, GRU and RNN share: shapes, directions, activations, and the walk over directions, batch and time. An operator
 * gives the number of gates and one step of its cell. Everything is computed in double precision; outputs are rounded
 * once. Layout 0: x is [seq, batch, input], y [seq, dirs, batch, hidden], states [dirs, batch, hidden]; layout 1 puts
 * batch first: [batch, seq, input], [batch, seq, dirs, hidden], [batch, dirs, hidden]. */
#ifndef SUMI_OP_RNN_H
#define SUMI_OP_RNN_H

#include "op/op_util.h"
#include "op/widen.h"

enum {
  SUMI_RNN_X,
  SUMI_RNN_W,
  SUMI_RNN_R,
  SUMI_RNN_B,
  SUMI_RNN_LENS,
  SUMI_RNN_H,
  SUMI_RNN_C,
  SUMI_RNN_P
}; /* inputs */

enum { SUMI_RNN_ACTS = 3 }; /* most activations a cell has */

struct sumi_rnn_act {
  const char *name;
  double (*f)(double x, double alpha, double beta);
  double alpha, beta;
};

/* What an operator is beside its equations. */
struct sumi_rnn_kind {
  int gates, n_act;
  const char *act[SUMI_RNN_ACTS]; /* by default */
};

struct sumi_rnn {
  const struct sumi_rnn_kind *kind;
  const struct sumi_call *call;
  int64_t seq, batch, input, hidden;
  int dirs;
  bool reverse;     /* direction 0 runs backwards */
  bool batch_first; /* layout 1 */
  double clip;      /* INFINITY = none */
  struct sumi_rnn_act act[2 * SUMI_RNN_ACTS];
  struct sumi_wide wide;
};

/* One direction of one sequence, as a cell's step sees it. */
struct sumi_rnn_state {
  const struct sumi_rnn *v;
  int dir;
  const struct sumi_rnn_act *act; /* of this direction */
  double *gate;                   /* [gates, hidden]: in: W x + Wb; the step may overwrite it */
  double *h, *c;                  /* [hidden]: the state, renewed by the step */
  double *tmp;                    /* [hidden] to use */
};

typedef void sumi_rnn_step_fn(struct sumi_rnn_state *s);

/* f(x) held to the clip range. */
double sumi_rnn_act(const struct sumi_rnn *v, const struct sumi_rnn_act *act, double x);

/* Row j of R of gate g times h, plus Rb: one element of the recurrence. */
double sumi_rnn_recur(const struct sumi_rnn_state *s, int g, int64_t j, const double *h);

/* An element of input i (B, P) of this direction, 0 where the input is not given; at counts from the direction's first. */
double sumi_rnn_at(const struct sumi_rnn_state *s, int i, int64_t at);

/* What the node's attributes and the shapes of its inputs say. */
sumi_status sumi_rnn_resolve(const struct sumi_call *c, const struct sumi_rnn_kind *kind, struct sumi_rnn *v);

sumi_status sumi_rnn_infer(struct sumi_infer *ctx, const struct sumi_rnn_kind *kind);
sumi_status sumi_rnn_scratch(const struct sumi_call *c, const struct sumi_rnn_kind *kind, size_t *bytes);
sumi_status sumi_rnn_run(const struct sumi_call *c, const struct sumi_rnn_kind *kind, sumi_rnn_step_fn *step);
/* Parts: for each direction the weights of the input, then those of the state. */
bool sumi_rnn_product(const struct sumi_node *node, int part, struct sumi_op_product *p);
void sumi_rnn_cost(const struct sumi_call *c, struct sumi_cost *cost);

/* Attributes that all three have, and their ports. */
#define SUMI_RNN_ATTRS                                                                                \
  {"activation_alpha", SUMI_ATTR_FLOATS}, {"activation_beta", SUMI_ATTR_FLOATS},                      \
      {"activations", SUMI_ATTR_STRINGS}, {"clip", SUMI_ATTR_FLOAT}, {"direction", SUMI_ATTR_STRING}, \
      {"hidden_size", SUMI_ATTR_INT}, {"layout", SUMI_ATTR_INT}, {                                    \
    "output_sequence", SUMI_ATTR_INT, .until = 7                                                      \
  }
#define SUMI_RNN_IN                                                          \
  {"X", SUMI_FLOATS, 'T'}, {"W", SUMI_FLOATS, 'T'}, {"R", SUMI_FLOATS, 'T'}, \
      {"B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},                           \
      {"sequence_lens", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL}, {      \
    "initial_h", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL                        \
  }
#define SUMI_RNN_OUT \
  {"Y", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, { "Y_h", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL }

#endif
