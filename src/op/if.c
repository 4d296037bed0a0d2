/* If: runs then_branch where the condition (one bool) is true, else else_branch; the outputs are the
 * branch's. The branches take nothing but what they capture. */
#include "op/control.h"
#include "op/op_util.h"

static sumi_status branch_of(const struct sumi_node *node, bool then, const struct sumi_graph **body,
                             struct sumi_err *err) {
  return sumi_control_body(node, then ? "then_branch" : "else_branch", 0, node->n_out, body, err);
}

/* What a branch gives; its outputs stand in out. */
static sumi_status infer_branch(struct sumi_infer *ctx, bool then, struct sumi_info **out,
                                struct sumi_err *err) {
  const struct sumi_graph *body;
  SUMI_TRY(branch_of(ctx->node, then, &body, err));
  *out = SUMI_NEW_ARRAY(ctx->arena, body->n_output, struct sumi_info);
  if (!*out) SUMI_FAIL_MEMORY(err);
  struct sumi_infer inner = *ctx;
  inner.err = err;
  return sumi_infer_body(&inner, body, ctx->in + 1, *out);
}

static sumi_status if_infer(struct sumi_infer *ctx) {
  const struct sumi_info *cond = &ctx->in[0];
  if (ctx->n_in < 1 + ctx->node->n_captured || cond->absent)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there is no condition");
  for (int i = 0; i < cond->rank; i++)
    if (cond->dim[i] >= 0 && cond->dim[i] != 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the condition is not one element");
  struct sumi_info *a = NULL, *b = NULL;
  if (cond->data) {
    SUMI_TRY(infer_branch(ctx, sumi_get_i64(SUMI_BOOL, cond->data->data, 0) != 0, &a, ctx->err));
    for (int i = 0; i < ctx->n_out; i++)
      if (!ctx->out[i].absent) ctx->out[i] = a[i];
    return SUMI_OK;
  }
  /* a branch that cannot be right for these shapes is one that is never taken */
  struct sumi_err why = SUMI_ERR_INIT, why_not = SUMI_ERR_INIT;
  const sumi_status first = infer_branch(ctx, true, &a, &why),
                    second = infer_branch(ctx, false, &b, &why_not);
  if (first == SUMI_E_MEMORY || second == SUMI_E_MEMORY) SUMI_FAIL_MEMORY(ctx->err);
  if (first != SUMI_OK && second != SUMI_OK) SUMI_FAIL(ctx->err, first, "%s", why.text);
  for (int i = 0; i < ctx->n_out; i++) {
    if (ctx->out[i].absent) continue;
    if (first != SUMI_OK || second != SUMI_OK) {
      const struct sumi_info *known = first == SUMI_OK ? &a[i] : &b[i];
      ctx->out[i] = (struct sumi_info){.kind = known->kind, .dtype = known->dtype, .rank = -1};
      continue;
    }
    if (a[i].dtype != b[i].dtype && a[i].dtype != SUMI_UNDEFINED && b[i].dtype != SUMI_UNDEFINED)
      SUMI_FAIL(ctx->err, SUMI_E_TYPE, "output %d is %s in one branch and %s in the other", i,
                sumi_dtype_label(a[i].dtype), sumi_dtype_label(b[i].dtype));
    ctx->out[i] = sumi_info_join(&a[i], &b[i]);
  }
  return SUMI_OK;
}

static sumi_status if_ref(const struct sumi_call *c) {
  const struct sumi_graph *body;
  if (sumi_tensor_count(c->in[0]) != 1) SUMI_FAIL(c->err, SUMI_E_SHAPE, "the condition is not one element");
  SUMI_TRY(branch_of(c->node, sumi_get_i64(SUMI_BOOL, c->in[0]->data, 0) != 0, &body, c->err));
  const struct sumi_tensor **out = SUMI_NEW_ARRAY(c->heap, body->n_output, const struct sumi_tensor *);
  if (!out) SUMI_FAIL_MEMORY(c->err);
  SUMI_TRY(c->bodies->run(c->bodies->self, body, c->in + 1, c->n_in - 1, out, (int)body->n_output, c->err));
  for (int i = 0; i < c->n_out; i++) SUMI_TRY(sumi_call_output_copy(c, i, out[i]));
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"then_branch", SUMI_ATTR_GRAPH, true}, {"else_branch", SUMI_ATTR_GRAPH, true}, {NULL}};
static const struct sumi_port in[] = {{"cond", SUMI_BIT(SUMI_BOOL)}, {NULL}};
static const struct sumi_port out[] = {
    {"outputs", SUMI_ANY, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED | SUMI_PORT_ANY_KIND}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (bool c, float[2,3] x) => (y) {"
     " y = If <then_branch = a () => (float[2,3] p) { p = Identity (x) },"
     " else_branch = b () => (float[3,2] q) { q = Transpose (x) }> (c) }"},
    {NULL},
};

const struct sumi_op sumi_op_if = {
    .name = "If",
    .formula = "cond ? then_branch() : else_branch()",
    .known_as = {{"", "If", {1, 11, 13, 16, 19, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = if_infer,
    .ref = if_ref,
    .cases = cases,
};
