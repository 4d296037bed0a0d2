/* RNN: h' = f(W x + R h + b) along time, f = tanh by default. clip bounds what goes into f. Shapes, directions, lengths:
 * rnn.h. */
#include "op/rnn_cells.h"
#include "op/rnn_lower.h"

static const struct sumi_rnn_kind kind = {1, 1, {"Tanh"}};

static void rnn_step(struct sumi_rnn_state *s) {
  for (int64_t j = 0; j < s->v->hidden; j++)
    s->gate[j] = sumi_rnn_act(s->v, s->act, s->gate[j] + sumi_rnn_recur(s, 0, j, s->h));
  for (int64_t j = 0; j < s->v->hidden; j++) s->h[j] = s->gate[j];
}

static void rnn_cell(const struct sumi_rnn_cell *s) {
  const int64_t n = s->batch * s->hidden;
  sumi_rnn_recur_f32(s, s->h, 0, 1, false, s->gate, s->hidden);
  sumi_rnn_act_f32(s, 0, true, s->gate, n);
  for (int64_t j = 0; j < n; j++) s->h[j] = s->gate[j];
}

static sumi_status rnn_lower(struct sumi_lower *l) { return sumi_rnn_lower(l, &kind, false, rnn_cell); }

static sumi_status rnn_step_cells(const struct sumi_rnn_step_cells *s) {
  struct sumi_vector p;
  SUMI_TRY(sumi_rnn_recur_cells(s, s->h, 0, 1, true, 0));
  sumi_rnn_start(s, &p);
  return sumi_rnn_end(s, &p, sumi_rnn_act_value(s, &p, 0, true, sumi_rnn_slot(s, &p, 0)));
}

static sumi_status rnn_cells(struct sumi_cells *c) {
  return sumi_rnn_cells(c, &(const struct sumi_rnn_cells){&kind, -1, -1, rnn_step_cells});
}

static sumi_status rnn_infer(struct sumi_infer *ctx) { return sumi_rnn_infer(ctx, &kind); }
static sumi_status rnn_scratch(const struct sumi_call *c, size_t *bytes) {
  return sumi_rnn_scratch(c, &kind, bytes);
}
static sumi_status rnn_ref(const struct sumi_call *c) { return sumi_rnn_run(c, &kind, rnn_step); }

static const struct sumi_attr_spec attrs[] = {SUMI_RNN_ATTRS, {NULL}};
static const struct sumi_port in[] = {SUMI_RNN_IN, {NULL}};
static const struct sumi_port out[] = {SUMI_RNN_OUT, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[5,2,9] x, float[2,6,9] w, float[2,6,6] r, float[2,12] b) => (y, h) "
     "{ y, h = RNN <direction = \"bidirectional\", hidden_size = 6> (x, w, r, b) }",
     .rtol = 1e-5, .low = -0.5, .high = 0.5,
     .why = "sums of 15 products; a rounding does not grow with time"},
    {"g (float[4,2,3] x, float[2,2,3] w, float[2,2,2] r) => (y, h) "
     "{ y, h = RNN <direction = \"bidirectional\", activations = [\"Affine\", \"LeakyRelu\"], "
     "activation_alpha = [0.3, 0.2], "
     "activation_beta = [0.1]> (x, w, r) }",
     .rtol = 1e-5, .why = "figures go to the functions that have them"},
    {NULL},
};

const struct sumi_op sumi_op_rnn = {
    .name = "RNN",
    .formula = "h' = f(W x + R h + b) along time",
    .known_as = {{"", "RNN", {1, 7, 14, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = rnn_infer,
    .ref = rnn_ref,
    .lower = rnn_lower,
    .cells = rnn_cells,
    .scratch = rnn_scratch,
    .cost = sumi_rnn_cost,
    .product = sumi_rnn_product,
    .cases = cases,
};
