/* LinearAttention: attention as a recurrence over tokens, with a state S [d_k, d_v] for every batch and key head:
 *   S = exp(g) * S                      "gated", "gated_delta"; g per key feature or one for the head
 *   v = beta * (v - S^T k)              "delta", "gated_delta"
 *   S = S + k v^T,  o = scale * S^T q   q of every query head that shares the key head
 * query, key, value, decay (g) and beta are [batch, tokens, heads * size]; scale 0 means 1 / sqrt(d_k). In double precision,
 * rounded once; the states keep their precision between tokens. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/op_util.h"

enum { Q, K, V, PAST, DECAY, BETA };

struct rule {
  const char *name;
  bool gated, delta;
};
static const struct rule rules[] = {
    {"linear", false, false}, {"gated", true, false}, {"delta", false, true}, {"gated_delta", true, true}};

static const struct rule *rule_of(const struct sumi_node *node) {
  const char *name = sumi_attr_string(node, "update_rule", "gated_delta");
  for (size_t i = 0; i < SUMI_COUNT(rules); i++)
    if (sumi_streq(rules[i].name, name)) return &rules[i];
  return NULL;
}

/* Checks that input i is [batch, tokens, wide] or, with also >= 0, [batch, tokens, also]. */
static sumi_status want_packed(const struct sumi_infer *ctx, int i, sumi_dim batch, sumi_dim tokens,
                               sumi_dim wide, sumi_dim also) {
  const struct sumi_info *in = &ctx->in[i];
  if (!sumi_infer_has(ctx, i) || in->rank < 0) return SUMI_OK;
  if (in->rank != 3) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not 3", i, in->rank);
  const bool fits = (in->dim[0] < 0 || batch < 0 || in->dim[0] == batch) &&
                    (in->dim[1] < 0 || tokens < 0 || in->dim[1] == tokens) &&
                    (in->dim[2] < 0 || wide < 0 || in->dim[2] == wide || in->dim[2] == also);
  if (!fits)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
              "input %d is [%" PRId64 ",%" PRId64 ",%" PRId64 "], not [%" PRId64 ",%" PRId64 ",%" PRId64 "]",
              i, in->dim[0], in->dim[1], in->dim[2], batch, tokens, wide);
  return SUMI_OK;
}

/* The size of a head where input i packs `heads` of them. */
static sumi_status head_size(const struct sumi_infer *ctx, int i, int64_t heads, sumi_dim *size) {
  *size = ctx->in[i].rank == 3 ? ctx->in[i].dim[2] : SUMI_DIM_UNKNOWN;
  if (*size >= 0 && *size % heads)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " features of input %d are no multiple of %" PRId64 " heads",
              *size, i, heads);
  *size = *size >= 0 ? *size / heads : SUMI_DIM_UNKNOWN;
  return SUMI_OK;
}

static sumi_status linear_infer(struct sumi_infer *ctx) {
  const int64_t hq = sumi_attr_int(ctx->node, "q_num_heads", 0),
                hk = sumi_attr_int(ctx->node, "kv_num_heads", 0);
  if (hk < 1 || hq < 1 || hq > INT32_MAX || hq % hk)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "%" PRId64 " query heads are no multiple of %" PRId64 " key heads", hq,
              hk);
  const struct rule *rule = rule_of(ctx->node);
  if (!rule)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "update_rule is '%s'", sumi_attr_string(ctx->node, "update_rule", ""));
  if (rule->gated && !sumi_infer_has(ctx, DECAY))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "update rule %s needs decay", rule->name);
  if (rule->delta && !sumi_infer_has(ctx, BETA))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "update rule %s needs beta", rule->name);
  const struct sumi_info *q = &ctx->in[Q];
  const sumi_dim any = SUMI_DIM_UNKNOWN;
  SUMI_TRY(want_packed(ctx, Q, any, any, any, -1));
  const sumi_dim batch = q->rank == 3 ? q->dim[0] : any, tokens = q->rank == 3 ? q->dim[1] : any;
  sumi_dim dk = any, dv = any;
  SUMI_TRY(head_size(ctx, Q, hq, &dk));
  if (dk == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the heads have no features");
  SUMI_TRY(want_packed(ctx, K, batch, tokens, dk >= 0 ? dk * hk : any, -1));
  SUMI_TRY(want_packed(ctx, V, batch, tokens, any, -1));
  SUMI_TRY(head_size(ctx, V, hk, &dv));
  SUMI_TRY(want_packed(ctx, DECAY, batch, tokens, dk >= 0 ? dk * hk : any, hk));
  SUMI_TRY(want_packed(ctx, BETA, batch, tokens, hk, 1));
  const sumi_dim state[4] = {batch, hk, dk, dv};
  if (sumi_infer_has(ctx, PAST) && ctx->in[PAST].rank >= 0) {
    const struct sumi_info *p = &ctx->in[PAST];
    if (p->rank != 4) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "past_state has rank %d, not 4", p->rank);
    for (int i = 0; i < 4; i++)
      if (p->dim[i] >= 0 && state[i] >= 0 && p->dim[i] != state[i])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of past_state is %" PRId64 ", not %" PRId64, i,
                  p->dim[i], state[i]);
  }
  int64_t wide = any;
  if (dv >= 0 && !sumi_i64_mul(dv, hq, &wide))
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output has too many features");
  sumi_infer_out(ctx, 0, q->dtype, 3, (sumi_dim[]){batch, tokens, wide});
  sumi_infer_out(ctx, 1, sumi_infer_has(ctx, PAST) ? ctx->in[PAST].dtype : q->dtype, 4, state);
  return SUMI_OK;
}

struct linear {
  const struct sumi_call *call;
  const struct rule *rule;
  int64_t hq, hk, dk, dv, tokens;
  double scale;
  double *state, *v; /* scratch: [dk, dv], [dv] */
};

static double get(const struct linear *l, int i, int64_t at) {
  return sumi_get_f64(l->call->in[i]->dtype, l->call->in[i]->data, at);
}

/* One token of one key head: the state is renewed. row is batch * tokens + token. */
static void update(struct linear *l, int64_t row, int64_t h) {
  const int64_t k = (row * l->hk + h) * l->dk, v = (row * l->hk + h) * l->dv;
  for (int64_t i = 0; i < l->dk && l->rule->gated; i++) {
    const int64_t wide = l->call->in[DECAY]->dim[2]; /* one for each feature, or one for the head */
    const double g = exp(get(l, DECAY, row * wide + (wide == l->hk * l->dk ? h * l->dk + i : h)));
    for (int64_t j = 0; j < l->dv; j++) l->state[i * l->dv + j] *= g;
  }
  for (int64_t j = 0; j < l->dv; j++) {
    l->v[j] = get(l, V, v + j);
    if (!l->rule->delta) continue;
    const int64_t wide = l->call->in[BETA]->dim[2];
    double held = 0;
    for (int64_t i = 0; i < l->dk; i++) held += l->state[i * l->dv + j] * get(l, K, k + i);
    l->v[j] = (l->v[j] - held) * get(l, BETA, row * wide + (wide == 1 ? 0 : h));
  }
  for (int64_t i = 0; i < l->dk; i++)
    for (int64_t j = 0; j < l->dv; j++) l->state[i * l->dv + j] += get(l, K, k + i) * l->v[j];
}

/* What the query heads of key head h read. */
static void answer(const struct linear *l, int64_t row, int64_t h) {
  const struct sumi_tensor *y = l->call->out[0];
  const int64_t group = l->hq / l->hk;
  for (int64_t n = h * group; y && n < (h + 1) * group; n++)
    for (int64_t j = 0; j < l->dv; j++) {
      double sum = 0;
      for (int64_t i = 0; i < l->dk; i++)
        sum += get(l, Q, (row * l->hq + n) * l->dk + i) * l->state[i * l->dv + j];
      sumi_set_f64(y->dtype, y->data, (row * l->hq + n) * l->dv + j, sum * l->scale);
    }
}

static void resolve(const struct sumi_call *c, struct linear *l) {
  *l = (struct linear){.call = c, .rule = rule_of(c->node), .tokens = c->in[Q]->dim[1]};
  l->hq = sumi_attr_int(c->node, "q_num_heads", 1);
  l->hk = sumi_attr_int(c->node, "kv_num_heads", 1);
  l->dk = c->in[Q]->dim[2] / l->hq;
  l->dv = c->in[V]->dim[2] / l->hk;
  l->scale = sumi_attr_float(c->node, "scale", 0);
  if (l->scale == 0) l->scale = 1 / sqrt((double)l->dk);
}

static sumi_status linear_scratch(const struct sumi_call *c, size_t *bytes) {
  struct linear l;
  resolve(c, &l);
  if (!sumi_size_mul((size_t)l.dk + 1, (size_t)l.dv, bytes) || !sumi_size_mul(*bytes, sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a state of %" PRId64 " by %" PRId64 " is too large", l.dk, l.dv);
  return SUMI_OK;
}

static sumi_status linear_ref(const struct sumi_call *c) {
  struct linear l;
  resolve(c, &l);
  l.state = c->scratch;
  l.v = l.state + l.dk * l.dv;
  if (!l.dv) return SUMI_OK;
  for (int64_t b = 0; b < c->in[Q]->dim[0]; b++)
    for (int64_t h = 0; h < l.hk; h++) {
      const int64_t first = (b * l.hk + h) * l.dk * l.dv;
      for (int64_t i = 0; i < l.dk * l.dv; i++)
        l.state[i] = sumi_call_has(c, PAST) ? get(&l, PAST, first + i) : 0;
      for (int64_t t = 0; t < l.tokens; t++) {
        update(&l, b * l.tokens + t, h);
        answer(&l, b * l.tokens + t, h);
      }
      for (int64_t i = 0; i < l.dk * l.dv && sumi_call_wants(c, 1); i++)
        sumi_set_f64(c->out[1]->dtype, c->out[1]->data, first + i, l.state[i]);
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"chunk_size", SUMI_ATTR_INT},        {"kv_num_heads", SUMI_ATTR_INT, true},
    {"q_num_heads", SUMI_ATTR_INT, true}, {"scale", SUMI_ATTR_FLOAT},
    {"update_rule", SUMI_ATTR_STRING},    {NULL}};
static const struct sumi_port in[] = {{"query", SUMI_FLOATS, 'T'},
                                      {"key", SUMI_FLOATS, 'T'},
                                      {"value", SUMI_FLOATS, 'T'},
                                      {"past_state", SUMI_FLOATS, 'S', SUMI_PORT_OPTIONAL},
                                      {"decay", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {"beta", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {
    {"output", SUMI_FLOATS, 'T'}, {"present_state", SUMI_FLOATS, 0, SUMI_PORT_OPTIONAL}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,8] q, float[2,3,4] k, float[2,3,6] v, float[2,1,4,6] p, float[2,3,4] d, float[2,3,1] b) "
     "=> (y, s) "
     "{ y, s = LinearAttention <q_num_heads = 2, kv_num_heads = 1> (q, k, v, p, d, b) }",
     .rtol = 1e-5, .why = "a gate for each feature, two query heads for a key head"},
    {"g (float[1,4,6] q, float[1,4,6] k, float[1,4,4] v, float[1,4,2] d) => (y) "
     "{ y = LinearAttention <q_num_heads = 2, kv_num_heads = 2, update_rule = \"gated\", scale = 0.5> (q, k, "
     "v, , d) }",
     .rtol = 1e-5, .why = "one gate for a head"},
    {NULL},
};

const struct sumi_op sumi_op_linear_attention = {
    .name = "LinearAttention",
    .formula = "o = scale * S^T q with S = exp(g) S + k v^T over tokens",
    .known_as = {{"", "LinearAttention", {27}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = linear_infer,
    .ref = linear_ref,
    .scratch = linear_scratch,
    .cases = cases,
};
