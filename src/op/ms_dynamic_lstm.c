/* DynamicQuantizeLSTM (com.microsoft): LSTM (lstm.c) with 8-bit weights,
 *   W = (q - zero) * scale, stored as [directions, input, 4 hidden], R as [directions, hidden, 4 hidden]
 * a scale and zero point for each direction, or for each of its columns. Only the weights are 8 bits here: an engine that
 * also rounds what they are multiplied with to 8 bits differs by that rounding. Source: ONNX Runtime, the schemas of its
 * contributed operators. */
#include "base/size.h"
#include "op/ms_twin.h"
#include "op/rnn.h"

enum { W_SCALE = SUMI_RNN_P + 1, W_ZERO, R_SCALE, R_ZERO, N_LSTM = W_SCALE };

static struct sumi_node lstm_node(const struct sumi_node *node) {
  struct sumi_node n = sumi_twin_node(node, &sumi_op_lstm, 7);
  n.n_in = N_LSTM;
  return n;
}

/* Scale or zero point i of weights [directions, ..., columns]. */
static sumi_status check_table(const struct sumi_infer *ctx, int i, int weights) {
  SUMI_TRY(sumi_ms_want_rank(ctx, i, 1, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, sumi_ms_dim(ctx, weights, 0), "number of directions"));
  if (ctx->in[i].rank != 2) return SUMI_OK;
  return sumi_ms_want_dim(ctx, i, 1, sumi_ms_dim(ctx, weights, 2), "number of columns");
}

static sumi_status lstm_infer(struct sumi_infer *ctx) {
  const struct sumi_node node = lstm_node(ctx->node);
  struct sumi_info in[N_LSTM];
  for (int i = SUMI_RNN_W; i <= SUMI_RNN_R; i++) {
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 3, 3));
    for (int k = 0; k < 2; k++) SUMI_TRY(check_table(ctx, (i == SUMI_RNN_W ? W_SCALE : R_SCALE) + k, i));
  }
  for (int i = 0; i < N_LSTM; i++) in[i] = ctx->in[i];
  for (int i = SUMI_RNN_W; i <= SUMI_RNN_R; i++) {
    in[i].dtype = SUMI_FLOAT32;
    in[i].data = NULL;
    in[i].content = NULL;
    if (in[i].rank < 0) continue;
    in[i].dim[1] = ctx->in[i].dim[2];
    in[i].dim[2] = ctx->in[i].dim[1];
  }
  struct sumi_infer twin = *ctx;
  twin.node = &node;
  twin.in = in;
  twin.n_in = N_LSTM;
  return sumi_op_lstm.infer(&twin);
}

/* The call of LSTM: W and R are headers without data. */
struct twin {
  struct sumi_node node;
  struct sumi_tensor weights[2];
  const struct sumi_tensor *in[N_LSTM];
  struct sumi_call call;
};

static void start(struct twin *t, const struct sumi_call *c) {
  t->node = lstm_node(c->node);
  for (int i = 0; i < N_LSTM; i++) t->in[i] = sumi_call_has(c, i) ? c->in[i] : NULL;
  for (int i = 0; i < 2; i++) {
    const struct sumi_tensor *q = c->in[SUMI_RNN_W + i];
    t->weights[i] = (struct sumi_tensor){
        .kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 3, .dim = {q->dim[0], q->dim[2], q->dim[1]}};
    t->in[SUMI_RNN_W + i] = &t->weights[i];
  }
  t->call = *c;
  t->call.node = &t->node;
  t->call.in = t->in;
  t->call.n_in = N_LSTM;
}

static sumi_status lstm_scratch(const struct sumi_call *c, size_t *bytes) {
  struct twin t;
  size_t more;
  start(&t, c);
  *bytes = 0;
  for (int i = 0; i < 2; i++)
    SUMI_TRY(sumi_ms_book(bytes, sumi_tensor_count(&t.weights[i]), sizeof(float), c->err));
  SUMI_TRY(sumi_op_lstm.scratch(&t.call, &more));
  if (more > INT64_MAX) SUMI_FAIL(c->err, SUMI_E_LIMIT, "the scratch is too large");
  return sumi_ms_book(bytes, (int64_t)more, 1, c->err);
}

/* w[directions, columns, rows] = the real values of q[directions, rows, columns]. */
static void dequantise(const struct sumi_tensor *q, const struct sumi_tensor *scale,
                       const struct sumi_tensor *zero, float *w) {
  const int64_t rows = q->dim[1], columns = q->dim[2];
  for (int64_t d = 0; d < q->dim[0]; d++)
    for (int64_t j = 0; j < columns; j++) {
      const double s = sumi_get_f64(scale->dtype, scale->data, scale->rank == 2 ? d * columns + j : d);
      const double z = sumi_get_f64(zero->dtype, zero->data, zero->rank == 2 ? d * columns + j : d);
      for (int64_t i = 0; i < rows; i++)
        w[(d * columns + j) * rows + i] =
            (float)((sumi_get_f64(q->dtype, q->data, (d * rows + i) * columns + j) - z) * s);
    }
}

static sumi_status lstm_ref(const struct sumi_call *c) {
  struct twin t;
  char *scratch = c->scratch;
  start(&t, c);
  for (int i = 0; i < 2; i++) {
    t.weights[i].data = sumi_ms_take(&scratch, sumi_tensor_count(&t.weights[i]), sizeof(float));
    dequantise(c->in[SUMI_RNN_W + i], c->in[W_SCALE + 2 * i], c->in[W_ZERO + 2 * i], t.weights[i].data);
  }
  t.call.scratch = scratch;
  return sumi_op_lstm.ref(&t.call);
}

static void lstm_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct twin t;
  start(&t, c);
  sumi_rnn_cost(&t.call, cost);
}

#define FLOAT SUMI_BIT(SUMI_FLOAT32)
#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define OPTIONAL(name) \
  { name, FLOAT, 0, SUMI_PORT_OPTIONAL }
static const struct sumi_attr_spec attrs[] = {
    {"activation_alpha", SUMI_ATTR_FLOATS}, {"activation_beta", SUMI_ATTR_FLOATS},
    {"activations", SUMI_ATTR_STRINGS},     {"clip", SUMI_ATTR_FLOAT},
    {"direction", SUMI_ATTR_STRING},        {"hidden_size", SUMI_ATTR_INT},
    {"input_forget", SUMI_ATTR_INT},        {NULL}};
static const struct sumi_port in[] = {{"X", FLOAT},
                                      {"W", BYTES, 'W'},
                                      {"R", BYTES, 'W'},
                                      OPTIONAL("B"),
                                      {"sequence_lens", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                      OPTIONAL("initial_h"),
                                      OPTIONAL("initial_c"),
                                      OPTIONAL("P"),
                                      {"W_scale", FLOAT},
                                      {"W_zero_point", BYTES, 'W'},
                                      {"R_scale", FLOAT},
                                      {"R_zero_point", BYTES, 'W'},
                                      {NULL}};
static const struct sumi_port out[] = {OPTIONAL("Y"), OPTIONAL("Y_h"), OPTIONAL("Y_c"), {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[4,2,5] x, int8[2,5,12] w, int8[2,3,12] r, float[2,24] b, float[2] s, float[2,12] t) => (y, h, "
     "c) "
     "<int8[2] z = {0, 1}, int8[2,12] o = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
     "0, 2}> "
     "{ y, h, c = com.microsoft.DynamicQuantizeLSTM <direction = \"bidirectional\", hidden_size = 3> (x, w, "
     "r, b, , , "
     ", , s, z, t, o) }",
     .rtol = 1e-6, .low = -2, .high = 2, .why = "a scale for a direction and for each column"},
    {NULL},
};

const struct sumi_op sumi_op_ms_dynamic_quantize_lstm = {
    .name = "com.microsoft.DynamicQuantizeLSTM",
    .formula = "LSTM with weights (q - zero) * scale",
    .known_as = {{"com.microsoft", "DynamicQuantizeLSTM", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = lstm_infer,
    .ref = lstm_ref,
    .scratch = lstm_scratch,
    .cost = lstm_cost,
    .cases = cases,
};
