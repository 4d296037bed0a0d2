/* FlexAttention (ai.onnx.preview 1): for every batch b and query head n, with the key head m = n / (q_heads / kv_heads),
 *   scores[b, n] = score_mod(scale * q[b, n] k[b, m]^T)      probs = prob_mod(softmax(scores))      y[b, n] = probs[b, n] v[b, m]
 * Bodies score_mod and prob_mod, each optional, take all scores [batch, q_heads, queries, keys] at once and give as many of the
 * same type. That type is softmax_precision, by default double for double inputs and float32 for all others; sums are taken in
 * double precision. scale is 1 / sqrt(head size) by default. A query all of whose scores are minus infinity gives NaN, as in
 * Softmax. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/control.h"
#include "op/lane.h"
#include "op/op_util.h"

enum { Q, K, V, OWN }; /* inputs; captures follow */

static sumi_status precision(const struct sumi_node *node, sumi_dtype q, sumi_dtype *p,
                             struct sumi_err *err) {
  *p = q == SUMI_FLOAT64 ? SUMI_FLOAT64 : SUMI_FLOAT32;
  if (!sumi_node_attr(node, "softmax_precision")) return SUMI_OK;
  const int64_t onnx = sumi_attr_int(node, "softmax_precision", 0);
  *p = sumi_dtype_from_onnx(onnx);
  if (!sumi_dtype_in(*p, SUMI_FLOATS))
    SUMI_FAIL(err, SUMI_E_VALUE, "softmax_precision is %" PRId64 ", which is no floating-point type", onnx);
  return SUMI_OK;
}

/* The body of that name; NULL where there is none. */
static sumi_status modifier(const struct sumi_node *node, const char *name, const struct sumi_graph **body,
                            struct sumi_err *err) {
  *body = NULL;
  if (!sumi_node_attr(node, name)) return SUMI_OK;
  SUMI_TRY(sumi_control_body(node, name, 1, 1, body, err));
  if ((*body)->n_output != 1)
    SUMI_FAIL(err, SUMI_E_FORMAT, "%s has %zu outputs, not 1", name, (*body)->n_output);
  return SUMI_OK;
}

/* ---- shapes -------------------------------------------------------------------------------------------- */

static sumi_status agree(struct sumi_err *err, const char *what, sumi_dim a, sumi_dim b) {
  if (a >= 0 && b >= 0 && a != b) SUMI_FAIL(err, SUMI_E_SHAPE, "%s: %" PRId64 " and %" PRId64, what, a, b);
  return SUMI_OK;
}

static sumi_status check_inputs(const struct sumi_infer *ctx) {
  const struct sumi_info *q = &ctx->in[Q], *k = &ctx->in[K], *v = &ctx->in[V];
  for (int i = 0; i < OWN; i++)
    if (ctx->in[i].rank >= 0 && ctx->in[i].rank != 4)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not 4", i, ctx->in[i].rank);
  if (q->rank < 0 || k->rank < 0 || v->rank < 0) return SUMI_OK;
  SUMI_TRY(agree(ctx->err, "batches of Q and K", q->dim[0], k->dim[0]));
  SUMI_TRY(agree(ctx->err, "batches of Q and V", q->dim[0], v->dim[0]));
  SUMI_TRY(agree(ctx->err, "heads of K and V", k->dim[1], v->dim[1]));
  SUMI_TRY(agree(ctx->err, "tokens of K and V", k->dim[2], v->dim[2]));
  SUMI_TRY(agree(ctx->err, "head sizes of Q and K", q->dim[3], k->dim[3]));
  if (q->dim[1] >= 0 && k->dim[1] >= 0 && (k->dim[1] == 0 ? q->dim[1] != 0 : q->dim[1] % k->dim[1] != 0))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " query heads are no multiple of %" PRId64 " key heads",
              q->dim[1], k->dim[1]);
  return SUMI_OK;
}

/* A modifier gives what it takes, as far as both are known. */
static sumi_status infer_modifier(struct sumi_infer *ctx, const char *name, const struct sumi_info *scores) {
  const struct sumi_graph *body;
  SUMI_TRY(modifier(ctx->node, name, &body, ctx->err));
  if (!body) return SUMI_OK;
  struct sumi_info *in = SUMI_NEW_ARRAY(ctx->arena, body->n_input, struct sumi_info), out;
  if (!in) SUMI_FAIL_MEMORY(ctx->err);
  in[0] = *scores;
  for (int i = OWN; i < ctx->n_in; i++) in[1 + i - OWN] = ctx->in[i];
  SUMI_TRY(sumi_infer_body(ctx, body, in, &out));
  if (out.kind != SUMI_TENSOR || (out.dtype != SUMI_UNDEFINED && out.dtype != scores->dtype))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "%s gives %s, not a tensor of %s", name,
              out.kind == SUMI_TENSOR ? sumi_dtype_label(out.dtype) : "no tensor",
              sumi_dtype_label(scores->dtype));
  if (out.rank >= 0 && out.rank != 4)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s gives rank %d, not 4", name, out.rank);
  for (int i = 0; i < 4 && out.rank == 4 && scores->rank == 4; i++)
    if (out.dim[i] >= 0 && scores->dim[i] >= 0 && out.dim[i] != scores->dim[i])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s changes dimension %d from %" PRId64 " to %" PRId64, name, i,
                scores->dim[i], out.dim[i]);
  return SUMI_OK;
}

static sumi_status flex_infer(struct sumi_infer *ctx) {
  const struct sumi_info *q = &ctx->in[Q], *k = &ctx->in[K], *v = &ctx->in[V];
  struct sumi_info scores = {.rank = -1};
  if (ctx->n_in - ctx->node->n_captured != OWN)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are %d inputs, not %d", ctx->n_in - ctx->node->n_captured, OWN);
  SUMI_TRY(precision(ctx->node, q->dtype, &scores.dtype, ctx->err));
  SUMI_TRY(check_inputs(ctx));
  const bool known = q->rank == 4 && k->rank == 4 && v->rank == 4;
  if (known) {
    scores.rank = 4;
    for (int i = 0; i < 3; i++) scores.dim[i] = q->dim[i];
    scores.dim[3] = k->dim[2];
  }
  SUMI_TRY(infer_modifier(ctx, "score_mod", &scores));
  SUMI_TRY(infer_modifier(ctx, "prob_mod", &scores));
  if (known)
    sumi_infer_out(ctx, 0, q->dtype, 4, (sumi_dim[]){q->dim[0], q->dim[1], q->dim[2], v->dim[3]});
  else
    sumi_infer_out_unknown(ctx, 0, q->dtype);
  return SUMI_OK;
}

/* ---- running ------------------------------------------------------------------------------------------- */

struct flex {
  const struct sumi_call *call;
  int64_t batch, heads, queries, keys, group; /* group: query heads of one key head */
  double *row;                                /* of queries or of the result: the longest of all rows */
  double *side;                               /* all tokens of one head of k or v */
};

static sumi_status begin(const struct sumi_call *c, struct flex *f) {
  const int64_t *q = c->in[Q]->dim, *k = c->in[K]->dim, *v = c->in[V]->dim;
  *f = (struct flex){.call = c,
                     .batch = q[0],
                     .heads = q[1],
                     .queries = q[2],
                     .keys = k[2],
                     .group = k[1] ? q[1] / k[1] : 1};
  const int64_t wide = SUMI_MAX(SUMI_MAX(q[3], v[3]), k[2]);
  size_t n;
  if (!sumi_size_mul((size_t)k[2], (size_t)SUMI_MAX(k[3], v[3]), &n))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "%" PRId64 " tokens are too many", k[2]);
  f->row = SUMI_NEW_ARRAY(c->heap, (size_t)wide, double);
  f->side = SUMI_NEW_ARRAY(c->heap, n, double);
  if (!f->row || !f->side) SUMI_FAIL_MEMORY(c->err);
  return SUMI_OK;
}

/* All tokens of the key head that query head n of batch b looks at. */
static void load_side(const struct flex *f, int i, int64_t b, int64_t n) {
  const struct sumi_tensor *t = f->call->in[i];
  const int64_t size = t->dim[2] * t->dim[3];
  sumi_lane_load(SUMI_LANE_F64, t->dtype, t->data, (b * t->dim[1] + n / f->group) * size, size, f->side);
}

static void put_scores(const struct flex *f, const struct sumi_tensor *scores) {
  const struct sumi_call *c = f->call;
  const struct sumi_tensor *q = c->in[Q];
  const int64_t size = q->dim[3];
  const double usual = size ? 1 / sqrt((double)size) : 1;
  const double scale =
      sumi_node_attr(c->node, "scale") ? (double)sumi_attr_float(c->node, "scale", 1) : usual;
  int64_t row = 0;
  for (int64_t b = 0; b < f->batch; b++)
    for (int64_t n = 0; n < f->heads; n++) {
      load_side(f, K, b, n);
      for (int64_t s = 0; s < f->queries; s++, row++) {
        sumi_lane_load(SUMI_LANE_F64, q->dtype, q->data, row * size, size, f->row);
        for (int64_t t = 0; t < f->keys; t++) {
          double sum = 0;
          for (int64_t i = 0; i < size; i++) sum += f->row[i] * f->side[t * size + i];
          sumi_set_f64(scores->dtype, scores->data, row * f->keys + t, sum * scale);
        }
      }
    }
}

/* to = softmax of from along the keys; they may be one. */
static void softmax(const struct flex *f, const struct sumi_tensor *from, const struct sumi_tensor *to) {
  for (int64_t row = 0; row < f->batch * f->heads * f->queries; row++) {
    double max = -INFINITY, sum = 0;
    sumi_lane_load(SUMI_LANE_F64, from->dtype, from->data, row * f->keys, f->keys, f->row);
    for (int64_t t = 0; t < f->keys; t++) max = fmax(max, f->row[t]);
    for (int64_t t = 0; t < f->keys; t++) sum += f->row[t] = exp(f->row[t] - max);
    for (int64_t t = 0; t < f->keys; t++)
      sumi_set_f64(to->dtype, to->data, row * f->keys + t, f->row[t] / sum);
  }
}

static void put_result(const struct flex *f, const struct sumi_tensor *probs) {
  const struct sumi_tensor *y = f->call->out[0];
  const int64_t size = y->dim[3];
  int64_t row = 0;
  for (int64_t b = 0; b < f->batch; b++)
    for (int64_t n = 0; n < f->heads; n++) {
      load_side(f, V, b, n);
      for (int64_t s = 0; s < f->queries; s++, row++) {
        for (int64_t i = 0; i < size; i++) f->row[i] = 0;
        for (int64_t t = 0; t < f->keys; t++) {
          const double p = sumi_get_f64(probs->dtype, probs->data, row * f->keys + t);
          for (int64_t i = 0; i < size; i++) f->row[i] += p * f->side[t * size + i];
        }
        sumi_lane_store(SUMI_LANE_F64, y->dtype, y->data, row * size, size, f->row);
      }
    }
}

/* *t becomes what the body of that name makes of it, or stays. */
static sumi_status modify(const struct sumi_call *c, const char *name, const struct sumi_tensor **t) {
  const struct sumi_graph *body;
  SUMI_TRY(modifier(c->node, name, &body, c->err));
  if (!body) return SUMI_OK;
  const struct sumi_tensor **in = SUMI_NEW_ARRAY(c->heap, body->n_input, const struct sumi_tensor *), *out;
  if (!in) SUMI_FAIL_MEMORY(c->err);
  in[0] = *t;
  for (int i = OWN; i < c->n_in; i++) in[1 + i - OWN] = c->in[i];
  SUMI_TRY(c->bodies->run(c->bodies->self, body, in, (int)body->n_input, &out, 1, c->err));
  bool same = out->kind == SUMI_TENSOR && out->dtype == (*t)->dtype && out->rank == 4;
  for (int i = 0; same && i < 4; i++) same = out->dim[i] == (*t)->dim[i];
  if (!same) SUMI_FAIL(c->err, SUMI_E_SHAPE, "%s changes the type or shape of what it is given", name);
  *t = out;
  return SUMI_OK;
}

static sumi_status flex_ref(const struct sumi_call *c) {
  struct flex f;
  sumi_dtype p;
  size_t bytes;
  SUMI_TRY(begin(c, &f));
  SUMI_TRY(precision(c->node, c->in[Q]->dtype, &p, c->err));
  const int64_t dim[4] = {f.batch, f.heads, f.queries, c->in[V]->dim[3]};
  SUMI_TRY(sumi_call_output(c, 0, c->in[Q]->dtype, 4, dim));
  if (!sumi_tensor_count(c->out[0])) return SUMI_OK;
  struct sumi_tensor own = {.dtype = p, .rank = 4, .dim = {f.batch, f.heads, f.queries, f.keys}};
  SUMI_TRY(sumi_shape_bytes(p, own.dim, 4, &bytes, c->err));
  own.data = sumi_arena_alloc(c->heap, bytes);
  if (!own.data) SUMI_FAIL_MEMORY(c->err);
  const struct sumi_tensor *scores = &own, *probs = &own;
  put_scores(&f, &own);
  SUMI_TRY(modify(c, "score_mod", &scores));
  softmax(&f, scores, &own);
  SUMI_TRY(modify(c, "prob_mod", &probs));
  put_result(&f, probs);
  return SUMI_OK;
}

static void flex_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  const struct sumi_tensor *q = c->in[Q], *v = c->in[V];
  const double rows = (double)q->dim[0] * (double)q->dim[1] * (double)q->dim[2] * (double)v->dim[2];
  cost->macs = cost->dense_macs = rows * ((double)q->dim[3] + (double)v->dim[3]);
  cost->bytes = sumi_op_bytes(c);
}

static const struct sumi_attr_spec attrs[] = {{"prob_mod", SUMI_ATTR_GRAPH},
                                              {"scale", SUMI_ATTR_FLOAT},
                                              {"score_mod", SUMI_ATTR_GRAPH},
                                              {"softmax_precision", SUMI_ATTR_INT},
                                              {NULL}};
static const struct sumi_port in[] = {
    {"Q", SUMI_FLOATS, 'T'}, {"K", SUMI_FLOATS, 'T'}, {"V", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

#define DOMAIN "ai.onnx.preview"
static const struct sumi_case cases[] = {
    {"g (float[2,4,5,8] q, float[2,2,6,8] k, float[2,2,6,3] v) => (y) { y = " DOMAIN
     ".FlexAttention (q, k, v) }",
     .rtol = 1e-6, .why = "two query heads for a key head; the bodies' and float32's rounding"},
    {"g (float[1,2,5,4] q, float[1,2,6,4] k, float[1,2,6,4] v, float[5,6] bias, float p) => (y) { y = " DOMAIN
     ".FlexAttention <scale = 0.5, score_mod = a (float[B,H,L,S] s) => (float[B,H,L,S] t) { t = Add (s, "
     "bias) },"
     " prob_mod = b (float[B,H,L,S] s) => (float[B,H,L,S] t) { t = Mul (s, p) }> (q, k, v) }",
     .rtol = 1e-6, .why = "both bodies, which capture a value each"},
    {"g (float16[1,2,5,4] q, float16[1,2,6,4] k, float16[1,2,6,4] v) => (y) { y = " DOMAIN
     ".FlexAttention <softmax_precision = 10, score_mod = a (float16[B,H,L,S] s) => (float16[B,H,L,S] t)"
     " { t = Tanh (s) }> (q, k, v) }",
     .rtol = 2e-3, .why = "a body in float16"},
    {NULL},
};

const struct sumi_op sumi_op_flex_attention = {
    .name = DOMAIN ".FlexAttention",
    .formula = "prob_mod(softmax(score_mod(scale * q k^T))) v per head",
    .known_as = {{DOMAIN, "FlexAttention", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = flex_infer,
    .ref = flex_ref,
    .cost = flex_cost,
    .cases = cases,
};
