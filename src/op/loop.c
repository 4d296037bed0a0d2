/* Loop: inputs M (most runs; absent: no limit), cond (whether to start; absent: true), N states; then
 * captures.
 *   for (i = 0; i < M && cond; i++) cond, states, scanned[i] = body(i, cond, states)
 * Outputs: the N states at the end, then K scan outputs: scanned stacked along a new first dim. */
#include <inttypes.h>

#include "base/size.h"
#include "op/control.h"
#include "op/dims.h"
#include "op/op_util.h"

enum { OWN = 2 }; /* M and cond, or i and cond, before the states */

static int n_states(const struct sumi_node *node) { return node->n_in - node->n_captured - OWN; }

static sumi_status body_of(const struct sumi_node *node, const struct sumi_graph **body,
                           struct sumi_err *err) {
  const int n = n_states(node);
  if (n < 0) SUMI_FAIL(err, SUMI_E_FORMAT, "there are %d inputs, at least %d are wanted", n + OWN, OWN);
  SUMI_TRY(sumi_control_body(node, "body", OWN + n, SUMI_MAX(node->n_out, n) + 1, body, err));
  for (int i = 0; i < n; i++)
    if (!node->in[OWN + i]) SUMI_FAIL(err, SUMI_E_ARG, "input %d is missing", OWN + i);
  return SUMI_OK;
}

/* Bodies may declare i and cond as scalars or as lists of one. */
static int rank_of(const struct sumi_graph *body, int i) { return body->input[i]->info.rank == 1; }

/* The number of runs as a dim, where nothing but M ends the loop. */
static sumi_status trip_dim(struct sumi_infer *ctx, const struct sumi_info *cond_out, sumi_dim *trip) {
  const int64_t *v;
  int n;
  *trip = SUMI_DIM_UNKNOWN;
  const struct sumi_info *cond = &ctx->in[1];
  if (!sumi_infer_has(ctx, 0)) return SUMI_OK;
  if (sumi_infer_has(ctx, 1)) { /* without cond, what the body says of it is not looked at */
    if (!cond->data || !cond_out->data || sumi_tensor_count(cond->data) != 1 ||
        sumi_tensor_count(cond_out->data) != 1)
      return SUMI_OK;
    if (!sumi_get_i64(SUMI_BOOL, cond->data->data, 0)) *trip = 0;
    if (!sumi_get_i64(SUMI_BOOL, cond->data->data, 0) || !sumi_get_i64(SUMI_BOOL, cond_out->data->data, 0))
      return SUMI_OK;
  }
  if (ctx->in[0].rank > 1) return SUMI_OK;
  SUMI_TRY(sumi_infer_ints(ctx, 0, &v, &n));
  if (n == 1) *trip = ctx->in[0].data ? SUMI_MAX(v[0], 0) : v[0];
  return SUMI_OK;
}

static sumi_status loop_infer(struct sumi_infer *ctx) {
  const struct sumi_node *node = ctx->node;
  const struct sumi_graph *body;
  SUMI_TRY(body_of(node, &body, ctx->err));
  const int n = n_states(node);
  for (int i = 0; i < OWN; i++) {
    bool known;
    int64_t value;
    if (sumi_infer_has(ctx, i)) SUMI_TRY(sumi_op_scalar(ctx, i, &known, &value));
  }
  struct sumi_info *in = SUMI_NEW_ARRAY(ctx->arena, body->n_input + body->n_output, struct sumi_info);
  if (!in) SUMI_FAIL_MEMORY(ctx->err);
  struct sumi_info *out = in + body->n_input;
  for (int i = 0; i < OWN; i++)
    in[i] = (struct sumi_info){.dtype = i ? SUMI_BOOL : SUMI_INT64, .rank = rank_of(body, i), .dim = {1}};
  for (int i = OWN; i < node->n_in; i++) in[i] = ctx->in[i];
  SUMI_TRY(sumi_infer_iterated(ctx, body, in, OWN, n, 1, out));
  if (out[0].dtype != SUMI_UNDEFINED && out[0].dtype != SUMI_BOOL)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "the body's first output, the condition, is %s",
              sumi_dtype_label(out[0].dtype));
  sumi_dim trip;
  SUMI_TRY(trip_dim(ctx, &out[0], &trip));
  for (int i = 0; i < ctx->n_out; i++) {
    const struct sumi_info *o = &out[i + 1];
    if (ctx->out[i].absent) continue;
    if (i < n) {
      ctx->out[i] = in[OWN + i];
      ctx->out[i].kind = o->kind; /* what the body makes of an optional */
      continue;
    }
    if (o->kind != SUMI_TENSOR) SUMI_FAIL(ctx->err, SUMI_E_TYPE, "scan output %d is not a tensor", i);
    if (o->rank >= SUMI_MAX_RANK)
      SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "scan output %d would have rank %d", i, o->rank + 1);
    sumi_dim dim[SUMI_MAX_RANK] = {trip};
    for (int k = 0; k < o->rank; k++) dim[k + 1] = o->dim[k];
    sumi_infer_out(ctx, i, o->dtype, o->rank < 0 ? -1 : o->rank + 1, dim);
  }
  return SUMI_OK;
}

static sumi_status one_bool(const struct sumi_call *c, const struct sumi_tensor *t, bool *value) {
  if (t->dtype != SUMI_BOOL || sumi_tensor_count(t) != 1)
    SUMI_FAIL(c->err, SUMI_E_TYPE, "the condition is not one bool");
  *value = sumi_get_i64(SUMI_BOOL, t->data, 0) != 0;
  return SUMI_OK;
}

/* What a running loop holds. */
struct loop {
  const struct sumi_graph *body;
  int n;                          /* states */
  int64_t most;                   /* runs; INT64_MAX without M */
  const struct sumi_tensor **in;  /* [body->n_input] */
  const struct sumi_tensor **out; /* [body->n_output] */
  struct sumi_scan_out *scan;     /* [n_out - n] */
};

static sumi_status run(const struct sumi_call *c, struct loop *l, bool go, int64_t *runs) {
  int64_t i = 0;
  uint8_t cond = go;
  const struct sumi_tensor i_tensor = {.dtype = SUMI_INT64, .data = &i},
                           cond_tensor = {.dtype = SUMI_BOOL, .data = &cond};
  const bool look = sumi_call_has(c, 1);
  l->in[0] = &i_tensor;
  l->in[1] = &cond_tensor;
  for (; i < l->most && go; i++) {
    SUMI_TRY(c->bodies->run(c->bodies->self, l->body, l->in, (int)l->body->n_input, l->out,
                            (int)l->body->n_output, c->err));
    bool more = false;
    SUMI_TRY(one_bool(c, l->out[0], &more));
    cond = more;
    if (look) go = more;
    for (int k = 0; k < l->n; k++) l->in[OWN + k] = l->out[1 + k];
    for (int k = l->n; k < c->n_out; k++) SUMI_TRY(sumi_scan_append(c, &l->scan[k - l->n], i, l->out[1 + k]));
  }
  *runs = i;
  return SUMI_OK;
}

static sumi_status loop_ref(const struct sumi_call *c) {
  struct loop l = {.n = n_states(c->node), .most = INT64_MAX};
  bool go = true;
  SUMI_TRY(body_of(c->node, &l.body, c->err));
  const size_t n_scan = c->n_out > l.n ? (size_t)(c->n_out - l.n) : 0;
  l.in = SUMI_NEW_ARRAY(c->heap, l.body->n_input, const struct sumi_tensor *);
  l.out = SUMI_NEW_ARRAY(c->heap, l.body->n_output, const struct sumi_tensor *);
  l.scan = SUMI_NEW_ARRAY(c->heap, n_scan, struct sumi_scan_out);
  if (!l.in || !l.out || !l.scan) SUMI_FAIL_MEMORY(c->err);
  if (sumi_call_has(c, 0)) {
    if (sumi_tensor_count(c->in[0]) != 1)
      SUMI_FAIL(c->err, SUMI_E_SHAPE, "the number of runs is not one number");
    l.most = sumi_get_i64(c->in[0]->dtype, c->in[0]->data, 0);
  }
  if (sumi_call_has(c, 1)) SUMI_TRY(one_bool(c, c->in[1], &go));
  for (int i = OWN; i < c->n_in; i++) l.in[i] = c->in[i];
  /* where the number of runs is known and small, room for all is taken at once */
  for (size_t k = 0; k < n_scan; k++)
    l.scan[k] = (struct sumi_scan_out){.room = l.most <= 1024 ? l.most : 0, .index = l.n + (int)k};
  int64_t runs;
  SUMI_TRY(run(c, &l, go, &runs));
  for (int k = 0; k < l.n && k < c->n_out; k++) SUMI_TRY(sumi_call_output_copy(c, k, l.in[OWN + k]));
  const int64_t none = 0;
  for (int k = l.n; !runs && k < c->n_out; k++)
    SUMI_TRY(sumi_scan_nothing(c, k, l.body->output[1 + k], &none, 1));
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"body", SUMI_ATTR_GRAPH, true}, {NULL}};
static const struct sumi_port in[] = {
    {"M", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {"cond", SUMI_BIT(SUMI_BOOL), 0, SUMI_PORT_OPTIONAL},
    {"v_initial", SUMI_ANY, 0,
     SUMI_PORT_OPTIONAL | SUMI_PORT_VARIADIC | SUMI_PORT_MIXED | SUMI_PORT_ANY_KIND},
    {NULL},
};
static const struct sumi_port out[] = {
    {"outputs", SUMI_ANY, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED | SUMI_PORT_ANY_KIND}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3] x) => (y, z) <int64[] m = {5}> {"
     " y, z = Loop <body = b (int64 i, bool c, float[3] s) => (bool d, float[3] t, float[3] u) {"
     " d = Identity (c) u = Mul (s, x) t = Add (s, x) }> (m, , x) }",
     .why = "state, scan output, capture"},
    {"g (int64[1] x) => (y) <int64[] m = {7}, bool[] go = {1}, int64[] four = {4}> {"
     " y = Loop <body = b (int64 i, bool c, int64[n] s) => (bool d, int64[k] t) {"
     " d = Less (i, four) t = Concat <axis = 0> (s, x) }> (m, go, x) }",
     .why = "the condition ends it; the state grows"},
    {NULL},
};

const struct sumi_op sumi_op_loop = {
    .name = "Loop",
    .formula = "for (i < M && cond) cond, states, scanned[i] = body(i, cond, states)",
    .known_as = {{"", "Loop", {1, 11, 13, 16, 19, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = loop_infer,
    .ref = loop_ref,
    .cases = cases,
};
