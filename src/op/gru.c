/* GRU, gates in the order z, r, h and activations f (sigmoid), g (tanh):
 *   z = f(W x + R h + b)    r = f(W x + R h + b)    h' = (1 - z) * n + z * h
 *   n = g(W x + R (r * h) + b), or with linear_before_reset g(W x + Wb + r * (R h + Rb))
 * clip bounds what goes into every activation. Shapes, directions, lengths: rnn.h. */
#include "op/rnn_cells.h"
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

/* h' once what goes into fresh is a value. */
static sumi_status renew_cells(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int fresh) {
  const int z = sumi_rnn_act_value(s, p, 0, true, sumi_rnn_slot(s, p, GATE_Z));
  const int n = sumi_rnn_act_value(s, p, 1, true, fresh);
  const int h = SUMI_VECTOR(p, "(1 - a) * b + a * c", z, n, sumi_rnn_kept(s, p));
  sumi_rnn_put(s, p, sumi_rnn_keep_slot(s), h);
  return sumi_rnn_end(s, p, h);
}

static sumi_status gru_step_cells(const struct sumi_rnn_step_cells *s) {
  const int64_t dim[] = {s->v->batch, s->v->hidden};
  const int reset = sumi_cells_temp(s->c, SUMI_BFLOAT16, 2, dim);
  struct sumi_vector p;
  if (reset < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_rnn_recur_cells(s, s->h, GATE_Z, 2, true, GATE_Z));
  sumi_rnn_start(s, &p);
  const int r = sumi_rnn_act_value(s, &p, 0, true, sumi_rnn_slot(s, &p, GATE_R));
  const int h = SUMI_VECTOR(&p, "a * b", r, sumi_rnn_kept(s, &p));
  const int view = sumi_vector_view_plain(&p, reset);
  if (view >= 0) p.view[view].step[0] = s->v->hidden, p.view[view].step[1] = 1;
  sumi_vector_store(&p, view, h);
  SUMI_TRY(sumi_vector_end(&p));
  SUMI_TRY(sumi_rnn_recur_cells(s, reset, GATE_H, 1, true, GATE_H));
  sumi_rnn_start(s, &p);
  return renew_cells(s, &p, sumi_rnn_slot(s, &p, GATE_H));
}

/* The h gate of W x + b goes to the spare slot: a program has four views. */
static sumi_status gru_linear_step_cells(const struct sumi_rnn_step_cells *s) {
  const int64_t n = s->v->hidden, width = s->slots * n;
  struct sumi_vector p;
  SUMI_TRY(sumi_rnn_recur_cells(s, s->h, GATE_Z, 2, true, GATE_Z));
  SUMI_TRY(sumi_rnn_recur_cells(s, s->h, GATE_H, 1, false, GATE_H));
  sumi_rnn_start(s, &p);
  const int view = sumi_vector_view_plain(&p, s->from_x);
  if (view >= 0) {
    p.view[view].at = s->t * s->v->batch * width + GATE_H * n;
    p.view[view].step[0] = width;
    p.view[view].step[1] = 1;
  }
  sumi_rnn_put(s, &p, sumi_rnn_spare_slot(s), sumi_vector_load(&p, view));
  SUMI_TRY(sumi_vector_end(&p));
  sumi_rnn_start(s, &p);
  const int r = sumi_rnn_act_value(s, &p, 0, true, sumi_rnn_slot(s, &p, GATE_R));
  const int fresh = SUMI_VECTOR(&p, "a + b * c", sumi_rnn_slot(s, &p, sumi_rnn_spare_slot(s)), r,
                                sumi_rnn_slot(s, &p, GATE_H));
  return renew_cells(s, &p, fresh);
}

static sumi_status gru_cells(struct sumi_cells *c) {
  const struct sumi_rnn_cells plain = {&kind, SUMI_RNN_H, -1, gru_step_cells},
                              linear = {&kind, SUMI_RNN_H, GATE_H, gru_linear_step_cells};
  return sumi_rnn_cells(c, is_linear_first(c->node) ? &linear : &plain);
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
    {"g (float[2,3,4] x, float[1,6,4] w, float[1,6,2] r, float[1,12] b, float[2,1,2] h0) => (y, h) "
     "{ y, h = GRU <layout = 1, direction = \"reverse\", linear_before_reset = 1, clip = 0.7> (x, w, r, b, , "
     "h0) }",
     .rtol = 1e-5, .why = "batch first, backwards, a state"},
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
    .cells = gru_cells,
    .scratch = gru_scratch,
    .cost = sumi_rnn_cost,
    .product = sumi_rnn_product,
    .cases = cases,
};
