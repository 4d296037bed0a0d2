/* MoE, QMoE (com.microsoft): a mixture of experts. Every token x [hidden] goes to the k experts e of largest p[e],
 * p = softmax(router_probs[token]), the first of equal ones:
 *   y = sum of g[e] * (fc2[e] a(fc1[e] x + b1[e]) + b2[e]),  g = p, or p over their sum (normalize_routing_weights), or
 *   router_weights (QMoE) at the chosen ones
 * a is relu, gelu (with tanh), silu, identity or swiglu(g, l) = G sigmoid(alpha G) (L + beta), G = min(g, limit), L = l held
 * to +-limit; with swiglu_limit_after_activation min(G sigmoid(alpha G), limit) of G = g. swiglu_fusion says where g and l
 * are: 1 every other row of fc1, 2 its halves, 0 fc1 and fc3. Beside the other activations fc3 x + b3 multiplies a(...).
 * QMoE's weights are (q - zero) * scale, rows of 2, 4 or 8 bits, packed low bits first, a scale for a row or for block_size
 * neighbours of it; zero points packed alike, or 2^(bits - 1). Source: ONNX Runtime, docs/ContribOperators.md. Products in
 * double precision. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/ms_util.h"

enum { INPUT, ROUTER };

/* Where one projection's tensors stand among the inputs; -1: the operator has no such input. */
struct ports {
  int weights, scales, bias, zeros;
  const char *bits; /* the attribute that overrides expert_weight_bits */
};

static const struct ports moe_ports[] = {{2, -1, 3, -1, NULL}, {4, -1, 5, -1, NULL}, {6, -1, 7, -1, NULL}};
static const struct ports qmoe_ports[] = {{2, 3, 4, 11, "fc1_expert_weight_bits"},
                                          {5, 6, 7, 12, "fc2_expert_weight_bits"},
                                          {8, 9, 10, 13, "fc3_expert_weight_bits"}};
enum { FC1, FC2, FC3, MIX = 14 };

enum activation { RELU, GELU, SILU, IDENTITY, SWIGLU, N_ACTIVATIONS };

struct moe {
  const struct ports *ports;
  enum activation act;
  int64_t k, fusion; /* fusion: of swiglu, else 0 */
  int64_t bits[3];   /* of a weight; 0 = floats */
  int64_t block;     /* 0: a scale for each row */
  bool mixed;        /* fc3 is there */
  double alpha, beta, limit;
};

static sumi_status read_bits(const struct sumi_node *node, struct moe *m, struct sumi_err *err) {
  m->block = sumi_attr_int(node, "block_size", 0);
  if (m->block && (m->block < 16 || m->block > INT32_MAX || (m->block & (m->block - 1))))
    SUMI_FAIL(err, SUMI_E_VALUE, "block_size %" PRId64 " is no power of two from 16 on", m->block);
  if (!sumi_attr_is(node, "quant_type", "int", "int"))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "quant_type '%s' is not known here, only 'int'",
              sumi_attr_string(node, "quant_type", "int"));
  if (sumi_attr_int(node, "weights_prepacked", -1) == 1)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "weights packed for one machine are not known");
  for (int i = 0; i < 3; i++) {
    m->bits[i] = sumi_attr_int(node, m->ports[i].bits, sumi_attr_int(node, "expert_weight_bits", 4));
    if (m->bits[i] != 2 && m->bits[i] != 4 && m->bits[i] != 8)
      SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "weights of %" PRId64 " bits are not known", m->bits[i]);
  }
  return SUMI_OK;
}

static sumi_status read_moe(const struct sumi_node *node, bool quantised, struct moe *m,
                            struct sumi_err *err) {
  static const char *const names[N_ACTIVATIONS] = {"relu", "gelu", "silu", "identity", "swiglu"};
  const char *name = sumi_attr_string(node, "activation_type", "relu");
  int act = 0;
  while (act < N_ACTIVATIONS && !sumi_streq(name, names[act])) act++;
  if (act == N_ACTIVATIONS) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "activation_type '%s' is not known", name);
  *m = (struct moe){.ports = quantised ? qmoe_ports : moe_ports,
                    .act = (enum activation)act,
                    .k = sumi_attr_int(node, "k", 1),
                    .fusion = act == SWIGLU ? sumi_attr_int(node, "swiglu_fusion", 0) : 0,
                    .alpha = (double)sumi_attr_float(node, "activation_alpha", 1),
                    .beta = (double)sumi_attr_float(node, "activation_beta", 0),
                    .limit = (double)sumi_attr_float(node, "swiglu_limit", INFINITY)};
  const int fc3 = m->ports[FC3].weights;
  m->mixed = fc3 < node->n_in && node->in[fc3];
  if (m->fusion < 0 || m->fusion > 2)
    SUMI_FAIL(err, SUMI_E_VALUE, "swiglu_fusion is %" PRId64 ", not 0, 1 or 2", m->fusion);
  if (m->act == SWIGLU && (m->fusion == 0) != m->mixed)
    SUMI_FAIL(err, SUMI_E_ARG, "'fc3_experts_weights' must be given if and only if swiglu_fusion is 0");
  if (sumi_attr_int(node, "use_sparse_mixer", 0))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the sparse mixer is not known here");
  return quantised ? read_bits(node, m, err) : SUMI_OK;
}

/* ---- inference --------------------------------------------------------------------------------------------------- */

/* ceil(n / size) of a number; unknown stays unknown */
static sumi_dim pieces(sumi_dim n, int64_t size) {
  return n < 0 ? SUMI_DIM_UNKNOWN : n / size + (n % size != 0);
}

/* One projection [experts, rows, columns] with what belongs to it. */
static sumi_status infer_projection(const struct sumi_infer *ctx, const struct moe *m, int which,
                                    sumi_dim experts, sumi_dim rows, sumi_dim columns) {
  const struct ports *p = &m->ports[which];
  const int64_t per = m->bits[which] ? 8 / m->bits[which] : 1;
  SUMI_TRY(sumi_ms_want_rank(ctx, p->weights, 3, 3));
  SUMI_TRY(sumi_ms_want_dim(ctx, p->weights, 0, experts, "number of experts"));
  SUMI_TRY(sumi_ms_want_dim(ctx, p->weights, 1, rows, "number of rows"));
  SUMI_TRY(sumi_ms_want_dim(ctx, p->weights, 2, pieces(columns, per), "number of columns"));
  SUMI_TRY(sumi_ms_want_rank(ctx, p->bias, 2, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, p->bias, 0, experts, "number of experts"));
  SUMI_TRY(sumi_ms_want_dim(ctx, p->bias, 1, rows, "number of rows"));
  if (!per || !m->bits[which] || !sumi_infer_has(ctx, p->weights)) return SUMI_OK;
  if (!sumi_infer_has(ctx, p->scales)) SUMI_FAIL(ctx->err, SUMI_E_ARG, "the weights have no scales");
  const int rank = m->block ? 3 : 2;
  const sumi_dim blocks = m->block ? pieces(columns, m->block) : 1;
  if (m->block && columns >= 0 && columns % m->block)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " columns are not whole blocks of %" PRId64, columns,
              m->block);
  for (int i = 0; i < 2; i++) {
    const int port = i ? p->zeros : p->scales;
    SUMI_TRY(sumi_ms_want_rank(ctx, port, rank, rank));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 0, experts, "number of experts"));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 1, i && !m->block ? pieces(rows, per) : rows, "number of rows"));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 2, i ? pieces(blocks, per) : blocks, "number of blocks"));
  }
  return SUMI_OK;
}

static sumi_status infer(struct sumi_infer *ctx, bool quantised) {
  struct moe m;
  SUMI_TRY(read_moe(ctx->node, quantised, &m, ctx->err));
  const struct sumi_info *x = &ctx->in[INPUT];
  const int fc1 = m.ports[FC1].weights;
  SUMI_TRY(sumi_ms_want_rank(ctx, INPUT, 2, 3));
  SUMI_TRY(sumi_ms_want_rank(ctx, ROUTER, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, fc1, 3, 3));
  const sumi_dim hidden = x->rank > 0 ? x->dim[x->rank - 1] : SUMI_DIM_UNKNOWN;
  const sumi_dim experts = sumi_ms_same(sumi_ms_dim(ctx, ROUTER, 1), sumi_ms_dim(ctx, fc1, 0)),
                 rows = sumi_ms_dim(ctx, fc1, 1);
  if (m.k < 1 || (experts >= 0 && m.k > experts))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "k is %" PRId64 " of %" PRId64 " experts", m.k, experts);
  if (x->rank == 2) SUMI_TRY(sumi_ms_want_dim(ctx, ROUTER, 0, x->dim[0], "number of tokens"));
  int64_t tokens;
  if (x->rank == 3 && x->dim[0] >= 0 && x->dim[1] >= 0 && sumi_i64_mul(x->dim[0], x->dim[1], &tokens))
    SUMI_TRY(sumi_ms_want_dim(ctx, ROUTER, 0, tokens, "number of tokens"));
  if (m.fusion && rows >= 0 && rows % 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "fc1 has %" PRId64 " rows, an odd number of gates and values", rows);
  const sumi_dim inter = m.fusion && rows >= 0 ? rows / 2 : rows;
  SUMI_TRY(infer_projection(ctx, &m, FC1, experts, rows, hidden));
  SUMI_TRY(infer_projection(ctx, &m, FC2, experts, hidden, inter));
  SUMI_TRY(infer_projection(ctx, &m, FC3, experts, inter, hidden));
  for (int i = MIX + 1; i < ctx->n_in; i++)
    if (sumi_infer_has(ctx, i))
      SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "'%s' belongs to weights of short floats, which are not known",
                ctx->node->op->in[i].name);
  if (quantised) {
    SUMI_TRY(sumi_ms_want_rank(ctx, MIX, 2, 2));
    for (int k = 0; k < 2 && ctx->in[ROUTER].rank == 2; k++)
      SUMI_TRY(sumi_ms_want_dim(ctx, MIX, k, ctx->in[ROUTER].dim[k], "router's"));
  }
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status moe_infer(struct sumi_infer *ctx) { return infer(ctx, false); }
static sumi_status qmoe_infer(struct sumi_infer *ctx) { return infer(ctx, true); }

/* ---- reference --------------------------------------------------------------------------------------------------- */

struct run {
  const struct sumi_call *c;
  struct moe m;
  int64_t tokens, experts, hidden, rows /* of fc1 */, inter;
  float *gate;    /* [tokens, experts]: what an expert's result counts; NAN = not chosen */
  float *x;       /* [tokens, hidden] */
  float *a, *b;   /* [tokens, rows], [tokens, inter]: results of fc1, then the activation; of fc3 */
  double *y;      /* [tokens, hidden] */
  float *weights; /* one row */
};

static sumi_status sizes(const struct sumi_call *c, bool quantised, struct run *r) {
  *r = (struct run){.c = c};
  SUMI_TRY(read_moe(c->node, quantised, &r->m, c->err));
  const struct sumi_tensor *x = c->in[INPUT], *fc1 = c->in[r->m.ports[FC1].weights];
  r->tokens = c->in[ROUTER]->dim[0];
  r->experts = c->in[ROUTER]->dim[1];
  r->hidden = x->dim[x->rank - 1];
  r->rows = fc1->dim[1];
  r->inter = r->m.fusion ? r->rows / 2 : r->rows;
  return SUMI_OK;
}

static sumi_status book(size_t *bytes, int64_t n, int64_t m, size_t item, struct sumi_err *err) {
  int64_t all = 0;
  if (!sumi_i64_mul(n, m, &all)) SUMI_FAIL(err, SUMI_E_LIMIT, "the scratch is too large");
  return sumi_ms_book(bytes, all, item, err);
}

static sumi_status scratch_of(const struct sumi_call *c, bool quantised, size_t *bytes) {
  struct run r;
  *bytes = 0;
  SUMI_TRY(sizes(c, quantised, &r));
  SUMI_TRY(book(bytes, r.tokens, r.experts, sizeof(float), c->err));
  SUMI_TRY(book(bytes, r.tokens, r.hidden, sizeof(float), c->err));
  SUMI_TRY(book(bytes, r.tokens, r.rows, sizeof(float), c->err));
  SUMI_TRY(book(bytes, r.tokens, r.inter, sizeof(float), c->err));
  SUMI_TRY(book(bytes, r.tokens, r.hidden, sizeof(double), c->err));
  return sumi_ms_book(bytes, SUMI_MAX(r.hidden, r.inter), sizeof(float), c->err);
}

static sumi_status moe_scratch(const struct sumi_call *c, size_t *bytes) {
  return scratch_of(c, false, bytes);
}
static sumi_status qmoe_scratch(const struct sumi_call *c, size_t *bytes) {
  return scratch_of(c, true, bytes);
}

static void take(struct run *r) {
  char *scratch = r->c->scratch;
  r->gate = sumi_ms_take(&scratch, r->tokens * r->experts, sizeof *r->gate);
  r->x = sumi_ms_take(&scratch, r->tokens * r->hidden, sizeof *r->x);
  r->a = sumi_ms_take(&scratch, r->tokens * r->rows, sizeof *r->a);
  r->b = sumi_ms_take(&scratch, r->tokens * r->inter, sizeof *r->b);
  r->y = sumi_ms_take(&scratch, r->tokens * r->hidden, sizeof *r->y);
  r->weights = sumi_ms_take(&scratch, SUMI_MAX(r->hidden, r->inter), sizeof *r->weights);
}

/* Chooses token t's experts. */
static void route(const struct run *r, int64_t t) {
  const struct sumi_tensor *router = r->c->in[ROUTER];
  const struct sumi_tensor *mix = r->m.bits[FC1] && sumi_call_has(r->c, MIX) ? r->c->in[MIX] : NULL;
  float *gate = r->gate + t * r->experts;
  double most = -INFINITY, all = 0, chosen = 0;
  for (int64_t e = 0; e < r->experts; e++) {
    gate[e] = NAN;
    most = fmax(most, sumi_get_f64(router->dtype, router->data, t * r->experts + e));
  }
  for (int64_t e = 0; e < r->experts; e++)
    all += exp(sumi_get_f64(router->dtype, router->data, t * r->experts + e) - most);
  for (int64_t k = 0; k < r->m.k; k++) {
    int64_t best = -1;
    double logit = 0;
    for (int64_t e = 0; e < r->experts; e++) {
      const double p = sumi_get_f64(router->dtype, router->data, t * r->experts + e);
      if (!isnan(gate[e]) || (best >= 0 && !(p > logit))) continue;
      best = e;
      logit = p;
    }
    if (best < 0) break;
    const double g =
        mix ? sumi_get_f64(mix->dtype, mix->data, t * r->experts + best) : exp(logit - most) / all;
    gate[best] = isnan(g) ? 0 : (float)g;
    chosen += g;
  }
  if (!sumi_attr_int(r->c->node, "normalize_routing_weights", 0) || !(chosen > 0)) return;
  for (int64_t e = 0; e < r->experts; e++) gate[e] = (float)((double)gate[e] / chosen);
}

/* r->weights[columns] = row n of expert e of a projection of rows rows. */
static void load_row(const struct run *r, int which, int64_t e, int64_t n, int64_t rows, int64_t columns) {
  const struct ports *p = &r->m.ports[which];
  const struct sumi_tensor *w = r->c->in[p->weights];
  const int64_t bits = r->m.bits[which], row = e * rows + n;
  if (!bits) {
    sumi_to_f32(w->dtype, w->data, row * columns, columns, r->weights);
    return;
  }
  const struct sumi_tensor *scales = r->c->in[p->scales],
                           *zeros = sumi_call_has(r->c, p->zeros) ? r->c->in[p->zeros] : NULL;
  const int64_t blocks = r->m.block ? columns / r->m.block : 1, block = r->m.block ? r->m.block : columns;
  const uint8_t *q = (const uint8_t *)w->data + row * w->dim[2];
  for (int64_t b = 0; b < blocks; b++) {
    double zero = 1 << (bits - 1);
    if (zeros && r->m.block)
      zero = sumi_ms_unpack((const uint8_t *)zeros->data + row * zeros->dim[2], b, bits);
    else if (zeros)
      zero = sumi_ms_unpack((const uint8_t *)zeros->data + e * zeros->dim[1], n, bits);
    const double scale = sumi_get_f64(scales->dtype, scales->data, row * blocks + b);
    for (int64_t k = b * block; k < (b + 1) * block; k++)
      r->weights[k] = (float)((sumi_ms_unpack(q, k, bits) - zero) * scale);
  }
}

/* Row r->weights times a token, plus the bias of row n. */
static double product(const struct run *r, int which, int64_t e, int64_t n, int64_t rows, const float *x,
                      int64_t columns) {
  const int port = r->m.ports[which].bias;
  double sum = 0;
  for (int64_t k = 0; k < columns; k++) sum += (double)r->weights[k] * (double)x[k];
  if (sumi_call_has(r->c, port))
    sum += sumi_get_f64(r->c->in[port]->dtype, r->c->in[port]->data, e * rows + n);
  return sum;
}

/* y[t, n] = projection which of x for all tokens of expert e. */
static void project(const struct run *r, int which, int64_t e, int64_t rows, const float *x, int64_t columns,
                    int64_t pitch, float *y) {
  for (int64_t n = 0; n < rows; n++) {
    load_row(r, which, e, n, rows, columns);
    for (int64_t t = 0; t < r->tokens; t++)
      if (!isnan(r->gate[t * r->experts + e]))
        y[t * rows + n] = (float)product(r, which, e, n, rows, x + t * pitch, columns);
  }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double swiglu(const struct run *r, double g, double l) {
  const bool after = sumi_attr_int(r->c->node, "swiglu_limit_after_activation", 0) != 0;
  const double limit = r->m.limit;
  if (!after) g = fmin(g, limit);
  const double gate = g * sigmoid(r->m.alpha * g);
  return (after ? fmin(gate, limit) : gate) * (fmax(fmin(l, limit), -limit) + r->m.beta);
}

static double activate(enum activation act, double x) {
  if (act == RELU) return x > 0 ? x : 0;
  if (act == SILU) return x * sigmoid(x);
  if (act == GELU) return x / 2 * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  return x;
}

/* a[inter] from a[rows] and b[inter], in place: element i is read before any behind it is written. */
static void activate_token(const struct run *r, float *a, const float *b) {
  const int64_t n = r->inter;
  for (int64_t i = 0; i < n; i++) {
    double v;
    if (r->m.act == SWIGLU && r->m.fusion == 1)
      v = swiglu(r, (double)a[2 * i], (double)a[2 * i + 1]);
    else if (r->m.act == SWIGLU)
      v = swiglu(r, (double)a[i], (double)(r->m.fusion ? a[n + i] : b[i]));
    else
      v = activate(r->m.act, (double)a[i]) * (r->m.mixed ? (double)b[i] : 1);
    a[i] = (float)v;
  }
}

static void run_expert(const struct run *r, int64_t e) {
  const int64_t h = r->hidden, n = r->inter;
  project(r, FC1, e, r->rows, r->x, h, h, r->a);
  if (r->m.mixed) project(r, FC3, e, n, r->x, h, h, r->b);
  for (int64_t t = 0; t < r->tokens; t++)
    if (!isnan(r->gate[t * r->experts + e])) activate_token(r, r->a + t * r->rows, r->b + t * n);
  for (int64_t i = 0; i < h; i++) {
    load_row(r, FC2, e, i, h, n);
    for (int64_t t = 0; t < r->tokens; t++) {
      const float gate = r->gate[t * r->experts + e];
      if (!isnan(gate)) r->y[t * h + i] += (double)gate * product(r, FC2, e, i, h, r->a + t * r->rows, n);
    }
  }
}

static sumi_status run(const struct sumi_call *c, bool quantised) {
  struct run r;
  SUMI_TRY(sizes(c, quantised, &r));
  take(&r);
  const struct sumi_tensor *x = c->in[INPUT], *y = c->out[0];
  const int64_t n = r.tokens * r.hidden;
  sumi_to_f32(x->dtype, x->data, 0, n, r.x);
  for (int64_t t = 0; t < r.tokens; t++) route(&r, t);
  for (int64_t i = 0; i < n; i++) r.y[i] = 0;
  for (int64_t e = 0; e < r.experts; e++) run_expert(&r, e);
  for (int64_t i = 0; i < n; i++) sumi_set_f64(y->dtype, y->data, i, r.y[i]);
  return SUMI_OK;
}

static sumi_status moe_ref(const struct sumi_call *c) { return run(c, false); }
static sumi_status qmoe_ref(const struct sumi_call *c) { return run(c, true); }

static void cost_of(const struct sumi_call *c, bool quantised, struct sumi_cost *cost) {
  struct run r;
  if (sizes(c, quantised, &r) != SUMI_OK) return;
  cost->macs = cost->dense_macs = (double)r.tokens * (double)r.m.k * (double)r.hidden *
                                  (double)(r.rows + r.inter + (r.m.mixed ? r.inter : 0));
  sumi_ms_cost_bytes(c, cost);
}

static void moe_cost(const struct sumi_call *c, struct sumi_cost *cost) { cost_of(c, false, cost); }
static void qmoe_cost(const struct sumi_call *c, struct sumi_cost *cost) { cost_of(c, true, cost); }

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

#define MOE_ATTRS                                                                            \
  {"activation_alpha", SUMI_ATTR_FLOAT}, {"activation_beta", SUMI_ATTR_FLOAT},               \
      {"activation_type", SUMI_ATTR_STRING}, {"k", SUMI_ATTR_INT},                           \
      {"normalize_routing_weights", SUMI_ATTR_INT}, {"swiglu_fusion", SUMI_ATTR_INT},        \
      {"swiglu_limit", SUMI_ATTR_FLOAT}, {"swiglu_limit_after_activation", SUMI_ATTR_INT}, { \
    "use_sparse_mixer", SUMI_ATTR_INT                                                        \
  }
static const struct sumi_attr_spec moe_attrs[] = {MOE_ATTRS, {NULL}};
static const struct sumi_attr_spec qmoe_attrs[] = {
    MOE_ATTRS,
    {"accuracy_level", SUMI_ATTR_INT} /* a permission: not used */,
    {"block_size", SUMI_ATTR_INT},
    {"expert_weight_bits", SUMI_ATTR_INT},
    {"fc1_expert_weight_bits", SUMI_ATTR_INT},
    {"fc2_expert_weight_bits", SUMI_ATTR_INT},
    {"fc3_expert_weight_bits", SUMI_ATTR_INT},
    {"quant_type", SUMI_ATTR_STRING},
    {"weights_prepacked", SUMI_ATTR_INT},
    {NULL}};
#define OPTIONAL(name) \
  { name, SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL }
static const struct sumi_port moe_in[] = {{"input", SUMI_MS_T, 'T'},
                                          {"router_probs", SUMI_MS_T, 'T'},
                                          {"fc1_experts_weights", SUMI_MS_T, 'T'},
                                          OPTIONAL("fc1_experts_bias"),
                                          {"fc2_experts_weights", SUMI_MS_T, 'T'},
                                          OPTIONAL("fc2_experts_bias"),
                                          OPTIONAL("fc3_experts_weights"),
                                          OPTIONAL("fc3_experts_bias"),
                                          {NULL}};
#define BYTES SUMI_BIT(SUMI_UINT8)
#define SCALES(name) \
  { name, SUMI_MS_T, 0, SUMI_PORT_OPTIONAL }
#define PACKED(name) \
  { name, BYTES, 0, SUMI_PORT_OPTIONAL }
#define FACTOR(name) \
  { name, SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL }
static const struct sumi_port qmoe_in[] = {{"input", SUMI_MS_T, 'T'},      {"router_probs", SUMI_MS_T, 'T'},
                                           {"fc1_experts_weights", BYTES}, SCALES("fc1_scales"),
                                           OPTIONAL("fc1_experts_bias"),   {"fc2_experts_weights", BYTES},
                                           SCALES("fc2_scales"),           OPTIONAL("fc2_experts_bias"),
                                           PACKED("fc3_experts_weights"),  SCALES("fc3_scales"),
                                           OPTIONAL("fc3_experts_bias"),   PACKED("fc1_zero_points"),
                                           PACKED("fc2_zero_points"),      PACKED("fc3_zero_points"),
                                           OPTIONAL("router_weights"),     FACTOR("fc1_global_scale"),
                                           FACTOR("fc2_global_scale"),     FACTOR("fc1_act_scale"),
                                           FACTOR("fc2_act_scale"),        {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_MS_T, 'T'}, {NULL}};

#define MOE(attributes, inputs) " y = com.microsoft.MoE <" attributes "> (" inputs ") }"
#define QMOE(attributes, inputs) " y = com.microsoft.QMoE <" attributes "> (" inputs ") }"
static const struct sumi_case moe_cases[] = {
    {"g (float[6,8] x, float[6,4] p, float[4,5,8] u, float[4,5] b, float[4,8,5] v, float[4,8] d) => (y) "
     "{" MOE("k = 2, normalize_routing_weights = 1", "x, p, u, b, v, d"),
     .rtol = 1e-6, .why = "float result of double sums"},
    {"g (float[2,3,8] x, float[6,4] p, float[4,10,8] u, float[4,8,5] v) => (y) {" MOE(
         "k = 3, activation_type = \"swiglu\", swiglu_fusion = 1, swiglu_limit = 0.7, activation_beta = 1.0",
         "x, p, u, , v"),
     .rtol = 1e-6, .why = "gates and values in turn"},
    {"g (float[6,8] x, float[6,4] p, float[4,5,8] u, float[4,8,5] v, float[4,5,8] w) => (y) {" MOE(
         "k = 2, activation_type = \"silu\"", "x, p, u, , v, , w"),
     .rtol = 1e-6, .why = "a third projection"},
    {NULL},
};
static const struct sumi_case qmoe_cases[] = {
    {"g (float[6,32] x, float[6,4] p, uint8[4,16,16] u, float[4,16] s, uint8[4,32,8] v, float[4,32] t, "
     "uint8[4,8] "
     "z) => (y) {" QMOE("k = 2, activation_type = \"gelu\"", "x, p, u, s, , v, t, , , , , z"),
     .rtol = 1e-6, .low = -1, .high = 15, .why = "4 bits, a scale for each row"},
    {"g (float[6,32] x, float[6,4] p, uint8[4,32,32] u, float[4,32,2] s, uint8[4,32,4] v, float[4,32,1] t, "
     "float[6,4] r) => (y) {" QMOE("k = 2, activation_type = \"swiglu\", swiglu_fusion = 2, block_size = 16, "
                                   "fc1_expert_weight_bits = 8, fc2_expert_weight_bits = 2",
                                   "x, p, u, s, , v, t, , , , , , , , r"),
     .rtol = 1e-6, .low = -1, .high = 1, .why = "blocks, and what routes is not what mixes"},
    {NULL},
};

#define DESCRIPTOR(symbol, label, text, part)      \
  const struct sumi_op sumi_op_ms_##symbol = {     \
      .name = "com.microsoft." label,              \
      .formula = text,                             \
      .known_as = {{"com.microsoft", label, {1}}}, \
      .attrs = part##_attrs,                       \
      .in = part##_in,                             \
      .out = out,                                  \
      .infer = part##_infer,                       \
      .ref = part##_ref,                           \
      .scratch = part##_scratch,                   \
      .cost = part##_cost,                         \
      .cases = part##_cases,                       \
  };

DESCRIPTOR(moe, "MoE", "sum of gate * fc2(a(fc1(x))) over the k likeliest experts", moe)
DESCRIPTOR(qmoe, "QMoE", "MoE with weights of 2, 4 or 8 bits", qmoe)
