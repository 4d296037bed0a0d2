/* GRU, gates in the order z, r, h and activations f (sigmoid), g (tanh):
 *   z = f(W x + R h + b)    r = f(W x + R h + b)    h' = (1 - z) * n + z * h
 *   n = g(W x + R (r * h) + b), or with linear_before_reset g(W x + Wb + r * (R h + Rb))
 * clip bounds what goes into every activation. Shapes, directions, lengths: rnn.h. */
#include "op/rnn_lower.h"

enum { GATE_Z, GATE_R, GATE_H };

static const struct sumi_rnn_kind kind = {3, 2, {"Sigmoid", "Tanh"}};

static void gru_step(struct sumi_rnn_state *s) {
  const struct sumi_rnn *v = s->v;
  const int64_t n = v->hidden;
  const bool linear_first = sumi_attr_int(v->call->node, "linear_before_reset", 0) != 0;
  double *z = s->gate + GATE_Z * n, *r = s->gate + GATE_R * n, *fresh = s->gate + GATE_H * n;
  for (int64_t j = 0; j < n; j++) {
    z[j] = sumi_rnn_act(v, &s->act[0], z[j] + sumi_rnn_recur(s, GATE_Z, j, s->h));
    r[j] = sumi_rnn_act(v, &s->act[0], r[j] + sumi_rnn_recur(s, GATE_R, j, s->h));
  }
  for (int64_t j = 0; j < n; j++) s->tmp[j] = r[j] * s->h[j];
  for (int64_t j = 0; j < n; j++) {
    const double from_h =
        linear_first ? r[j] * sumi_rnn_recur(s, GATE_H, j, s->h) : sumi_rnn_recur(s, GATE_H, j, s->tmp);
    fresh[j] = sumi_rnn_act(v, &s->act[1], fresh[j] + from_h);
  }
  for (int64_t j = 0; j < n; j++) s->h[j] = (1 - z[j]) * fresh[j] + z[j] * s->h[j];
}

static bool is_linear_first(const struct sumi_node *node) {
  return sumi_attr_int(node, "linear_before_reset", 0) != 0;
}

/* z and r of all sequences, in float32. */
static void gates_f32(const struct sumi_rnn_cell *s) {
  const int64_t n = s->hidden;
  sumi_rnn_recur_f32(s, s->h, 0, 2, false, s->gate, kind.gates * n);
  for (int64_t b = 0; b < s->batch; b++) sumi_rnn_act_f32(s, 0, true, s->gate + b * kind.gates * n, 2 * n);
}

/* h' = fresh + z * (h - fresh) once what goes into fresh stands in its gate. */
static void renew_f32(const struct sumi_rnn_cell *s, float *gate, float *h, float *tmp) {
  const int64_t n = s->hidden;
  float *fresh = gate + GATE_H * n;
  sumi_rnn_act_f32(s, 1, true, fresh, n);
  sumi_rnn_binary_f32(s, SUMI_BINARY_sub, h, fresh, tmp, n);
  sumi_rnn_binary_f32(s, SUMI_BINARY_mul, gate + GATE_Z * n, tmp, tmp, n);
  sumi_rnn_binary_f32(s, SUMI_BINARY_add, fresh, tmp, h, n);
}

static void gru_cell(const struct sumi_rnn_cell *s) {
  const int64_t n = s->hidden, row = kind.gates * n;
  gates_f32(s);
  for (int64_t b = 0; b < s->batch; b++)
    sumi_rnn_binary_f32(s, SUMI_BINARY_mul, s->gate + b * row + GATE_R * n, s->h + b * n, s->tmp + b * n, n);
  sumi_rnn_recur_f32(s, s->tmp, GATE_H, 1, false, s->gate + GATE_H * n, row);
  for (int64_t b = 0; b < s->batch; b++) renew_f32(s, s->gate + b * row, s->h + b * n, s->tmp + b * n);
}

static void gru_linear_cell(const struct sumi_rnn_cell *s) {
  const int64_t n = s->hidden, row = kind.gates * n;
  gates_f32(s);
  sumi_rnn_recur_f32(s, s->h, GATE_H, 1, true, s->tmp, n);
  for (int64_t b = 0; b < s->batch; b++) {
    float *gate = s->gate + b * row, *tmp = s->tmp + b * n;
    const float *from_x = s->from_x + b * s->x_row + GATE_H * n;
    sumi_rnn_binary_f32(s, SUMI_BINARY_mul, gate + GATE_R * n, tmp, tmp, n);
    sumi_rnn_binary_f32(s, SUMI_BINARY_add, from_x, tmp, gate + GATE_H * n, n);
    renew_f32(s, gate, s->h + b * n, tmp);
  }
}

static sumi_status gru_lower(struct sumi_lower *l) {
  const bool linear = is_linear_first(l->node);
  return sumi_rnn_lower(l, &kind, linear, linear ? gru_linear_cell : gru_cell);
}

static sumi_status gru_infer(struct sumi_infer *ctx) { return sumi_rnn_infer(ctx, &kind); }
static sumi_status gru_scratch(const struct sumi_call *c, size_t *bytes) {
  return sumi_rnn_scratch(c, &kind, bytes);
}
static sumi_status gru_ref(const struct sumi_call *c) { return sumi_rnn_run(c, &kind, gru_step); }

static const struct sumi_attr_spec attrs[] = {SUMI_RNN_ATTRS, {"linear_before_reset", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {SUMI_RNN_IN, {NULL}};
static const struct sumi_port out[] = {SUMI_RNN_OUT, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[5,2,9] x, float[2,18,9] w, float[2,18,6] r, float[2,36] b) => (y, h) "
     "{ y, h = GRU <direction = \"bidirectional\", hidden_size = 6> (x, w, r, b) }",
     .rtol = 1e-5, .why = "gates are sums of 15 products"},
    {"g (float[4,2,3] x, float[1,6,3] w, float[1,6,2] r, float[1,12] b, float[1,2,2] h0) => (y, h) <int32[2] "
     "n = {3, 0}> "
     "{ y, h = GRU <direction = \"reverse\", linear_before_reset = 1, clip = 0.5> (x, w, r, b, n, h0) }",
     .rtol = 1e-5, .why = "an empty sequence keeps its state"},
    {NULL},
};

const struct sumi_op sumi_op_gru = {
    .name = "GRU",
    .formula = "h' = (1 - z) * g(W x + R (r * h) + b) + z * h along time",
    .known_as = {{"", "GRU", {1, 3, 7, 14, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = gru_infer,
    .ref = gru_ref,
    .lower = gru_lower,
    .scratch = gru_scratch,
    .cost = sumi_rnn_cost,
    .product = sumi_rnn_product,
    .cases = cases,
};
