/* The part of LSTM, GRU and RNN that is not their equations. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/rnn.h"

/* ---- activations ---------------------------------------------------------------------------------------------- */

static double act_relu(double x, double a, double b) { return (void)a, (void)b, x > 0 ? x : 0; }
static double act_tanh(double x, double a, double b) { return (void)a, (void)b, tanh(x); }
static double act_sigmoid(double x, double a, double b) { return (void)a, (void)b, 1 / (1 + exp(-x)); }
static double act_affine(double x, double a, double b) { return a * x + b; }
static double act_leaky_relu(double x, double a, double b) { return (void)b, x >= 0 ? x : a * x; }
static double act_thresholded_relu(double x, double a, double b) { return (void)b, x >= a ? x : 0; }
static double act_scaled_tanh(double x, double a, double b) { return a * tanh(b * x); }
static double act_hard_sigmoid(double x, double a, double b) { return fmin(fmax(a * x + b, 0), 1); }
static double act_elu(double x, double a, double b) { return (void)b, x >= 0 ? x : a * expm1(x); }
static double act_softsign(double x, double a, double b) { return (void)a, (void)b, x / (1 + fabs(x)); }
static double act_softplus(double x, double a, double b) {
  return (void)a, (void)b, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* has: how many of alpha and beta the function takes from the attributes. */
static const struct {
  const char *name;
  double (*f)(double, double, double);
  bool has_alpha, has_beta;
  float alpha, beta;
} acts[] = {
    {"Relu", act_relu},
    {"Tanh", act_tanh},
    {"Sigmoid", act_sigmoid},
    {"Affine", act_affine, true, true, 1, 0},
    {"LeakyRelu", act_leaky_relu, true, false, 0.01f},
    {"ThresholdedRelu", act_thresholded_relu, true, false, 1},
    {"ScaledTanh", act_scaled_tanh, true, true, 1, 1},
    {"HardSigmoid", act_hard_sigmoid, true, true, 0.2f, 0.5f},
    {"Elu", act_elu, true, false, 1},
    {"Softsign", act_softsign},
    {"Softplus", act_softplus},
};

/* Names are compared without case: writers differ. */
static bool same_name(const struct sumi_str *s, const char *name) {
  size_t i = 0;
  for (; i < s->size && name[i]; i++)
    if ((s->data[i] | 32) != (name[i] | 32)) return false;
  return i == s->size && !name[i];
}

/* The activations of all directions. Each takes the next figure of activation_alpha and activation_beta if it has such a
 * figure and one is left. */
static sumi_status resolve_acts(const struct sumi_node *node, const struct sumi_rnn_kind *kind, int dirs,
                                struct sumi_rnn_act *out, struct sumi_err *err) {
  const struct sumi_attr *names = sumi_node_attr(node, "activations");
  const size_t want = (size_t)(dirs * kind->n_act);
  if (names && names->n && names->n != want)
    SUMI_FAIL(err, SUMI_E_VALUE, "activations names %zu functions, not %zu", names->n, want);
  int n_alpha, n_beta, at_alpha = 0, at_beta = 0;
  const float *alpha = sumi_attr_floats(node, "activation_alpha", &n_alpha);
  const float *beta = sumi_attr_floats(node, "activation_beta", &n_beta);
  for (size_t i = 0; i < want; i++) {
    const char *usual = kind->act[i % (size_t)kind->n_act];
    const struct sumi_str name =
        names && names->n ? names->u.strings[i] : (struct sumi_str){usual, strlen(usual)};
    size_t k = 0;
    while (k < SUMI_COUNT(acts) && !same_name(&name, acts[k].name)) k++;
    if (k == SUMI_COUNT(acts))
      SUMI_FAIL(err, SUMI_E_VALUE, "activation '%.*s' is unknown", (int)SUMI_MIN(name.size, 40), name.data);
    out[i] = (struct sumi_rnn_act){acts[k].name, acts[k].f, acts[k].alpha, acts[k].beta};
    if (acts[k].has_alpha && at_alpha < n_alpha) out[i].alpha = alpha[at_alpha++];
    if (acts[k].has_beta && at_beta < n_beta) out[i].beta = beta[at_beta++];
  }
  return SUMI_OK;
}

double sumi_rnn_act(const struct sumi_rnn *v, const struct sumi_rnn_act *act, double x) {
  const double held = x > v->clip ? v->clip : x < -v->clip ? -v->clip : x;
  return act->f(held, act->alpha, act->beta);
}

/* ---- shapes --------------------------------------------------------------------------------------------------- */

static sumi_status resolve_direction(const struct sumi_node *node, int *dirs, bool *reverse,
                                     struct sumi_err *err) {
  /* the first GRU's default is misspelt in the standard */
  const char *d = sumi_attr_string(node, "direction", "forward");
  *reverse = sumi_streq(d, "reverse");
  *dirs = sumi_streq(d, "bidirectional") ? 2 : 1;
  if (*dirs == 1 && !*reverse && !sumi_streq(d, "forward") && !sumi_streq(d, "foward"))
    SUMI_FAIL(err, SUMI_E_VALUE, "direction is '%s'", d);
  return SUMI_OK;
}

/* Checks input i against want[rank]; unknown dims say nothing. */
static sumi_status check(const struct sumi_infer *ctx, int i, int rank, const sumi_dim *want) {
  if (!sumi_infer_has(ctx, i) || ctx->in[i].rank < 0) return SUMI_OK;
  const struct sumi_info *in = &ctx->in[i];
  if (in->rank != rank) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not %d", i, in->rank, rank);
  for (int k = 0; k < rank; k++)
    if (in->dim[k] >= 0 && want[k] >= 0 && in->dim[k] != want[k])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of input %d is %" PRId64 ", not %" PRId64, k, i,
                in->dim[k], want[k]);
  return SUMI_OK;
}

static sumi_dim dim_of(const struct sumi_infer *ctx, int i, int k) {
  return ctx->in[i].rank == 3 ? ctx->in[i].dim[k] : SUMI_DIM_UNKNOWN;
}

/* hidden from attribute hidden_size and the shape of R. */
static sumi_status resolve_hidden(const struct sumi_infer *ctx, sumi_dim *hidden) {
  const bool given = sumi_node_attr(ctx->node, "hidden_size") != NULL;
  const int64_t h = sumi_attr_int(ctx->node, "hidden_size", 0);
  if (given && (h < 1 || h > INT32_MAX)) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "hidden_size is %" PRId64, h);
  *hidden = dim_of(ctx, SUMI_RNN_R, 2);
  if (*hidden > INT32_MAX) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the hidden size is %" PRId64, *hidden);
  if (given && *hidden >= 0 && *hidden != h)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "hidden_size is %" PRId64 ", R is for %" PRId64, h, *hidden);
  if (given) *hidden = h;
  return SUMI_OK;
}

sumi_status sumi_rnn_infer(struct sumi_infer *ctx, const struct sumi_rnn_kind *kind) {
  int dirs;
  bool reverse;
  SUMI_TRY(resolve_direction(ctx->node, &dirs, &reverse, ctx->err));
  struct sumi_rnn_act act[2 * SUMI_RNN_ACTS];
  SUMI_TRY(resolve_acts(ctx->node, kind, dirs, act, ctx->err));
  const int64_t layout = sumi_attr_int(ctx->node, "layout", 0);
  if (layout != 0 && layout != 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "layout is %" PRId64, layout);
  const float clip = sumi_attr_float(ctx->node, "clip", INFINITY);
  if (!(clip >= 0)) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "clip is %g", (double)clip);
  sumi_dim hidden = SUMI_DIM_UNKNOWN;
  SUMI_TRY(resolve_hidden(ctx, &hidden));
  const sumi_dim seq = dim_of(ctx, SUMI_RNN_X, layout ? 1 : 0),
                 batch = dim_of(ctx, SUMI_RNN_X, layout ? 0 : 1);
  if (dim_of(ctx, SUMI_RNN_X, 2) == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input size is 0");
  const sumi_dim any = SUMI_DIM_UNKNOWN, rows = hidden >= 0 ? kind->gates * hidden : any;
  SUMI_TRY(check(ctx, SUMI_RNN_X, 3, (sumi_dim[]){any, any, any}));
  SUMI_TRY(check(ctx, SUMI_RNN_W, 3, (sumi_dim[]){dirs, rows, dim_of(ctx, SUMI_RNN_X, 2)}));
  SUMI_TRY(check(ctx, SUMI_RNN_R, 3, (sumi_dim[]){dirs, rows, hidden}));
  SUMI_TRY(check(ctx, SUMI_RNN_B, 2, (sumi_dim[]){dirs, hidden >= 0 ? 2 * rows : any}));
  SUMI_TRY(check(ctx, SUMI_RNN_LENS, 1, &batch));
  const sumi_dim state[3] = {layout ? batch : dirs, layout ? dirs : batch, hidden};
  SUMI_TRY(check(ctx, SUMI_RNN_H, 3, state));
  SUMI_TRY(check(ctx, SUMI_RNN_C, 3, state));
  SUMI_TRY(check(ctx, SUMI_RNN_P, 2, (sumi_dim[]){dirs, hidden >= 0 ? 3 * hidden : any}));
  const sumi_dim y[4] = {layout ? batch : seq, layout ? seq : dirs, layout ? dirs : batch, hidden};
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, 4, y);
  sumi_infer_out(ctx, 1, ctx->in[0].dtype, 3, state);
  sumi_infer_out(ctx, 2, ctx->in[0].dtype, 3, state);
  return SUMI_OK;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

sumi_status sumi_rnn_resolve(const struct sumi_call *c, const struct sumi_rnn_kind *kind,
                             struct sumi_rnn *v) {
  const struct sumi_tensor *x = c->in[SUMI_RNN_X];
  *v = (struct sumi_rnn){.kind = kind, .call = c, .clip = sumi_attr_float(c->node, "clip", INFINITY)};
  v->batch_first = sumi_attr_int(c->node, "layout", 0) != 0;
  v->seq = x->dim[v->batch_first];
  v->batch = x->dim[!v->batch_first];
  v->input = x->dim[2];
  v->hidden = c->in[SUMI_RNN_R]->dim[2];
  SUMI_TRY(resolve_direction(c->node, &v->dirs, &v->reverse, c->err));
  return resolve_acts(c->node, kind, v->dirs, v->act, c->err);
}

/* Doubles of scratch behind what sumi_widen() takes: x [input], gates [gates, hidden], h, c, tmp [hidden]. */
static bool state_doubles(const struct sumi_rnn *v, size_t *n) {
  return sumi_size_mul((size_t)v->kind->gates + 3, (size_t)v->hidden, n) &&
         sumi_size_add(*n, (size_t)v->input, n);
}

sumi_status sumi_rnn_scratch(const struct sumi_call *c, const struct sumi_rnn_kind *kind, size_t *bytes) {
  struct sumi_rnn v;
  SUMI_TRY(sumi_rnn_resolve(c, kind, &v));
  size_t wide, n;
  SUMI_TRY(sumi_widen_scratch(c, &wide));
  if (!state_doubles(&v, &n) || !sumi_size_mul(n, sizeof(double), &n) || !sumi_size_add(wide, n, bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the scratch passes 2^64 bytes");
  return SUMI_OK;
}

/* Element at of input i, whatever its type. */
static double get(const struct sumi_rnn *v, int i, int64_t at) {
  return v->wide.in[i] ? (double)v->wide.in[i][at] : ((const double *)v->call->in[i]->data)[at];
}

double sumi_rnn_at(const struct sumi_rnn_state *s, int i, int64_t at) {
  const struct sumi_rnn *v = s->v;
  return sumi_call_has(v->call, i) ? get(v, i, s->dir * v->call->in[i]->dim[1] + at) : 0;
}

/* n weights of input i from `at` times x, in eight sums. */
static double dot(const struct sumi_rnn *v, int i, int64_t at, const double *x, int64_t n) {
  enum { LANES = 8 };
  double sum[LANES] = {0};
  int64_t k = 0;
  if (v->wide.in[i]) {
    const float *w = v->wide.in[i] + at;
    for (; k + LANES <= n; k += LANES)
      for (int l = 0; l < LANES; l++) sum[l] += (double)w[k + l] * x[k + l];
    for (; k < n; k++) sum[0] += (double)w[k] * x[k];
  } else {
    const double *w = (const double *)v->call->in[i]->data + at;
    for (; k < n; k++) sum[k % LANES] += w[k] * x[k];
  }
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

double sumi_rnn_recur(const struct sumi_rnn_state *s, int g, int64_t j, const double *h) {
  const struct sumi_rnn *v = s->v;
  const int64_t rows = v->kind->gates * v->hidden, row = g * v->hidden + j;
  return dot(v, SUMI_RNN_R, (s->dir * rows + row) * v->hidden, h, v->hidden) +
         sumi_rnn_at(s, SUMI_RNN_B, rows + row);
}

/* First element of the hidden state of direction and batch in a states tensor. */
static int64_t state_index(const struct sumi_rnn *v, int dir, int64_t b) {
  return (v->batch_first ? b * v->dirs + dir : dir * v->batch + b) * v->hidden;
}

static void put(const struct sumi_rnn *v, int i, int64_t at, const double *h) {
  if (!sumi_call_wants(v->call, i)) return;
  const struct sumi_tensor *t = v->call->out[i];
  for (int64_t j = 0; j < v->hidden; j++) sumi_set_f64(t->dtype, t->data, at + j, h ? h[j] : 0);
}

/* One direction of one sequence of the given length; x is scratch for one input. */
static void sequence(struct sumi_rnn_state *s, int64_t b, int64_t length, double *x, sumi_rnn_step_fn *step) {
  const struct sumi_rnn *v = s->v;
  const int64_t rows = v->kind->gates * v->hidden, first = state_index(v, s->dir, b);
  for (int64_t j = 0; j < v->hidden; j++) {
    s->h[j] = sumi_call_has(v->call, SUMI_RNN_H) ? get(v, SUMI_RNN_H, first + j) : 0;
    s->c[j] = sumi_call_has(v->call, SUMI_RNN_C) ? get(v, SUMI_RNN_C, first + j) : 0;
  }
  for (int64_t k = 0; k < v->seq; k++) {
    const bool backward = s->dir ? true : v->reverse;
    const int64_t t = backward && k < length ? length - 1 - k : k;
    const int64_t from = (v->batch_first ? b * v->seq + t : t * v->batch + b) * v->input;
    const int64_t to =
        v->batch_first ? (b * v->seq + t) * v->dirs + s->dir : (t * v->dirs + s->dir) * v->batch + b;
    if (k >= length) { /* padding */
      put(v, 0, to * v->hidden, NULL);
      continue;
    }
    for (int64_t i = 0; i < v->input; i++) x[i] = get(v, SUMI_RNN_X, from + i);
    for (int64_t row = 0; row < rows; row++)
      s->gate[row] =
          dot(v, SUMI_RNN_W, (s->dir * rows + row) * v->input, x, v->input) + sumi_rnn_at(s, SUMI_RNN_B, row);
    step(s);
    put(v, 0, to * v->hidden, s->h);
  }
  put(v, 1, first, s->h);
  put(v, 2, first, s->c);
}

sumi_status sumi_rnn_run(const struct sumi_call *c, const struct sumi_rnn_kind *kind,
                         sumi_rnn_step_fn *step) {
  struct sumi_rnn v;
  SUMI_TRY(sumi_rnn_resolve(c, kind, &v));
  const int32_t *lens = sumi_call_has(c, SUMI_RNN_LENS) ? c->in[SUMI_RNN_LENS]->data : NULL;
  for (int64_t b = 0; lens && b < v.batch; b++)
    if (lens[b] < 0 || lens[b] > v.seq)
      SUMI_FAIL(c->err, SUMI_E_VALUE,
                "sequence_lens[%" PRId64 "] is %" PRId32 ", the input has %" PRId64 " steps", b, lens[b],
                v.seq);
  if (!v.hidden) return SUMI_OK;
  size_t wide;
  SUMI_TRY(sumi_widen_scratch(c, &wide));
  double *x = (double *)(void *)((char *)c->scratch + wide);
  sumi_widen(c, &v.wide);
  for (int i = 0; i < SUMI_WIDEN_MAX; i++) v.wide.out[i] = NULL; /* outputs are rounded from double */
  for (int dir = 0; dir < v.dirs; dir++) {
    double *gate = x + v.input, *h = gate + kind->gates * v.hidden;
    struct sumi_rnn_state s = {&v, dir, v.act + dir * kind->n_act, gate, h, h + v.hidden, h + 2 * v.hidden};
    for (int64_t b = 0; b < v.batch; b++) sequence(&s, b, lens ? lens[b] : v.seq, x, step);
  }
  return SUMI_OK;
}

bool sumi_rnn_product(const struct sumi_node *node, int part, struct sumi_op_product *p) {
  const bool state = part % 2;
  const int dir = part / 2;
  const struct sumi_tensor *w = sumi_op_weight(node, state ? SUMI_RNN_R : SUMI_RNN_W);
  if (!w || w->rank != 3 || dir >= w->dim[0]) return false;
  *p = (struct sumi_op_product){.x = state ? -1 : SUMI_RNN_X,
                                .w = state ? SUMI_RNN_R : SUMI_RNN_W,
                                .b = -1,
                                .rows = w->dim[1],
                                .groups = 1,
                                .taps = 1,
                                .channels = w->dim[2],
                                .first = dir * w->dim[1] * w->dim[2],
                                .row_step = w->dim[2],
                                .channel_step = 1,
                                .axis = -1};
  return true;
}

void sumi_rnn_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  const struct sumi_tensor *x = c->in[SUMI_RNN_X], *w = c->in[SUMI_RNN_W], *r = c->in[SUMI_RNN_R];
  const double steps = (double)x->dim[0] * (double)x->dim[1];
  const double from_x = steps * (double)sumi_tensor_count(w), from_h = steps * (double)sumi_tensor_count(r);
  cost->dense_macs = from_x + from_h;
  cost->macs = from_x * sumi_op_density(c, SUMI_RNN_W, -1) + from_h * sumi_op_density(c, SUMI_RNN_R, -1);
  cost->bytes = sumi_op_bytes(c);
}
