/* LSTM, gates in the order i, o, f, c and activations f (sigmoid), g, h (tanh):
 *   i = f(W x + R h + P_i c + b)    f = f(W x + R h + P_f c + b), or 1 - i with input_forget
 *   c' = f * c + i * g(W x + R h + b)    o = f(W x + R h + P_o c' + b)    h' = o * h(c')
 * clip bounds what goes into f and g, but not into h: the standard says "the input of activations", and the engines that
 * have it leave the cell alone. Shapes, directions, lengths: rnn.h. */
#include "op/rnn_cells.h"
#include "op/rnn_lower.h"

enum { GATE_I, GATE_O, GATE_F, GATE_C }; /* of W, R, B */
enum { PEEP_I, PEEP_O, PEEP_F };         /* of P */

static const struct sumi_rnn_kind kind = {4, 3, {"Sigmoid", "Tanh", "Tanh"}};

static void lstm_step(struct sumi_rnn_state *s) {
  const struct sumi_rnn *v = s->v;
  const int64_t n = v->hidden;
  const bool coupled = sumi_attr_int(v->call->node, "input_forget", 0) != 0;
  for (int64_t j = 0; j < n; j++)
    for (int g = 0; g < kind.gates; g++) s->gate[g * n + j] += sumi_rnn_recur(s, g, j, s->h);
  for (int64_t j = 0; j < n; j++) {
    const double peep_i = sumi_rnn_at(s, SUMI_RNN_P, PEEP_I * n + j),
                 peep_f = sumi_rnn_at(s, SUMI_RNN_P, PEEP_F * n + j);
    const double i = sumi_rnn_act(v, &s->act[0], s->gate[GATE_I * n + j] + peep_i * s->c[j]);
    const double f =
        coupled ? 1 - i : sumi_rnn_act(v, &s->act[0], s->gate[GATE_F * n + j] + peep_f * s->c[j]);
    s->c[j] = f * s->c[j] + i * sumi_rnn_act(v, &s->act[1], s->gate[GATE_C * n + j]);
    const double peep_o = sumi_rnn_at(s, SUMI_RNN_P, PEEP_O * n + j);
    const double o = sumi_rnn_act(v, &s->act[0], s->gate[GATE_O * n + j] + peep_o * s->c[j]);
    s->h[j] = o * s->act[2].f(s->c[j], s->act[2].alpha, s->act[2].beta);
  }
}

/* The same in float32 for all sequences of the batch; no peepholes, gates not coupled. */
static void lstm_cell(const struct sumi_rnn_cell *s) {
  const int64_t n = s->hidden;
  sumi_rnn_recur_f32(s, s->h, 0, kind.gates, false, s->gate, kind.gates * n);
  for (int64_t b = 0; b < s->batch; b++) {
    float *gate = s->gate + b * kind.gates * n, *c = s->c + b * n, *h = s->h + b * n;
    float *i = gate + GATE_I * n, *f = gate + GATE_F * n, *g = gate + GATE_C * n;
    sumi_rnn_act_f32(s, 0, true, gate, 3 * n); /* i, o, f */
    sumi_rnn_act_f32(s, 1, true, g, n);
    sumi_rnn_binary_f32(s, SUMI_BINARY_mul, i, g, i, n);
    sumi_rnn_binary_f32(s, SUMI_BINARY_mul, f, c, f, n);
    sumi_rnn_binary_f32(s, SUMI_BINARY_add, f, i, c, n);
    for (int64_t j = 0; j < n; j++) h[j] = c[j];
    sumi_rnn_act_f32(s, 2, false, h, n);
    sumi_rnn_binary_f32(s, SUMI_BINARY_mul, gate + GATE_O * n, h, h, n);
  }
}

static sumi_status lstm_lower(struct sumi_lower *l) { return sumi_rnn_lower(l, &kind, false, lstm_cell); }

static sumi_status lstm_step_cells(const struct sumi_rnn_step_cells *s) {
  struct sumi_vector p;
  SUMI_TRY(sumi_rnn_recur_cells(s, s->h, 0, kind.gates, true, 0));
  sumi_rnn_start(s, &p);
  const int i = sumi_rnn_act_value(s, &p, 0, true, sumi_rnn_slot(s, &p, GATE_I));
  const int f = sumi_attr_int(s->c->node, "input_forget", 0)
                    ? SUMI_VECTOR(&p, "1 - a", i)
                    : sumi_rnn_act_value(s, &p, 0, true, sumi_rnn_slot(s, &p, GATE_F));
  const int g = sumi_rnn_act_value(s, &p, 1, true, sumi_rnn_slot(s, &p, GATE_C));
  const int c = SUMI_VECTOR(&p, "a * b + c * d", f, sumi_rnn_kept(s, &p), i, g);
  const int o = sumi_rnn_act_value(s, &p, 0, true, sumi_rnn_slot(s, &p, GATE_O));
  sumi_rnn_put(s, &p, sumi_rnn_keep_slot(s), c);
  return sumi_rnn_end(s, &p, SUMI_VECTOR(&p, "a * b", o, sumi_rnn_act_value(s, &p, 2, false, c)));
}

static sumi_status lstm_cells(struct sumi_cells *c) {
  return sumi_rnn_cells(c, &(const struct sumi_rnn_cells){&kind, SUMI_RNN_C, -1, lstm_step_cells});
}

static sumi_status lstm_infer(struct sumi_infer *ctx) { return sumi_rnn_infer(ctx, &kind); }
static sumi_status lstm_scratch(const struct sumi_call *c, size_t *bytes) {
  return sumi_rnn_scratch(c, &kind, bytes);
}
static sumi_status lstm_ref(const struct sumi_call *c) { return sumi_rnn_run(c, &kind, lstm_step); }

static const struct sumi_attr_spec attrs[] = {SUMI_RNN_ATTRS, {"input_forget", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {SUMI_RNN_IN,
                                      {"initial_c", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {"P", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {SUMI_RNN_OUT, {"Y_c", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[5,2,9] x, float[2,24,9] w, float[2,24,6] r, float[2,48] b) => (y, h, c) "
     "{ y, h, c = LSTM <direction = \"bidirectional\", hidden_size = 6> (x, w, r, b) }",
     .rtol = 1e-5, .why = "gates are sums of 15 products"},
    {"g (float[4,2,3] x, float[1,8,3] w, float[1,8,2] r, float[1,2,2] h0, float[1,2,2] c0, float[1,6] p) => "
     "(y, h, c) "
     "{ y, h, c = LSTM <direction = \"reverse\", clip = 0.5, input_forget = 1> (x, w, r, , , h0, c0, p) }",
     .rtol = 1e-5, .why = "peepholes, clip, coupled gates"},
    {"g (float[2,4,3] x, float[1,8,3] w, float[1,8,2] r) => (y) <int32[2] n = {4, 1}> { y = LSTM <layout = "
     "1> (x, w, r, , n) }",
     .rtol = 1e-5, .why = "batch first, a short sequence"},
    {"g (float[2,4,3] x, float[1,8,3] w, float[1,8,2] r, float[2,1,2] h0, float[2,1,2] c0) => (y, h, c) "
     "{ y, h, c = LSTM <layout = 1, direction = \"reverse\", clip = 0.8, input_forget = 1, activations = "
     "[\"HardSigmoid\", \"Softsign\", \"Affine\"], activation_alpha = [0.3, 0.9]> (x, w, r, , , h0, c0) }",
     .rtol = 1e-5, .why = "batch first, backwards, states, other activations"},
    {NULL},
};

const struct sumi_op sumi_op_lstm = {
    .name = "LSTM",
    .formula = "c' = f * c + i * g(W x + R h + b), h' = o * tanh(c') along time",
    .known_as = {{"", "LSTM", {1, 7, 14, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = lstm_infer,
    .ref = lstm_ref,
    .lower = lstm_lower,
    .cells = lstm_cells,
    .scratch = lstm_scratch,
    .cost = sumi_rnn_cost,
    .product = sumi_rnn_product,
    .cases = cases,
};
