/* SequenceMap: runs the body once for every tensor of the first input, a sequence. Further inputs that are
 * sequences are of the same length and give their tensor of that number, tensors are given whole; captures
 * follow. Every output is the sequence of what the body gives. */
#include <inttypes.h>

#include "op/control.h"
#include "op/op_util.h"

static sumi_status body_of(const struct sumi_node *node, const struct sumi_graph **body,
                           struct sumi_err *err) {
  const int own = node->n_in - node->n_captured;
  if (own < 1) SUMI_FAIL(err, SUMI_E_ARG, "there is no sequence");
  for (int i = 0; i < own; i++)
    if (!node->in[i]) SUMI_FAIL(err, SUMI_E_ARG, "input %d is missing", i);
  return sumi_control_body(node, "body", own, node->n_out, body, err);
}

static sumi_status map_infer(struct sumi_infer *ctx) {
  const struct sumi_graph *body;
  SUMI_TRY(body_of(ctx->node, &body, ctx->err));
  const int own = ctx->n_in - ctx->node->n_captured;
  struct sumi_info *in = SUMI_NEW_ARRAY(ctx->arena, body->n_input + body->n_output, struct sumi_info);
  if (!in) SUMI_FAIL_MEMORY(ctx->err);
  struct sumi_info *out = in + body->n_input;
  for (int i = 0; i < ctx->n_in; i++) {
    in[i] = ctx->in[i];
    if (i < own && ctx->in[i].kind == SUMI_SEQUENCE)
      in[i] = (struct sumi_info){.dtype = ctx->in[i].dtype, .rank = -1};
  }
  SUMI_TRY(sumi_infer_body(ctx, body, in, out));
  for (int i = 0; i < ctx->n_out; i++)
    if (!ctx->out[i].absent)
      ctx->out[i] = (struct sumi_info){.kind = SUMI_SEQUENCE, .dtype = out[i].dtype, .rank = -1};
  return SUMI_OK;
}

/* Output i's tensor number k. */
static sumi_status put(const struct sumi_call *c, int i, int64_t k, const struct sumi_tensor *from) {
  struct sumi_tensor *t = SUMI_NEW(c->heap, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(c->err);
  if (from->kind != SUMI_TENSOR) SUMI_FAIL(c->err, SUMI_E_TYPE, "output %d of the body is not a tensor", i);
  struct sumi_call one = *c;
  one.out = &t;
  one.n_out = 1;
  SUMI_TRY(sumi_call_output_copy(&one, 0, from));
  c->out[i]->items[k] = t;
  c->out[i]->dtype = t->dtype;
  c->out[i]->n_items = k + 1;
  return SUMI_OK;
}

static sumi_status map_ref(const struct sumi_call *c) {
  const struct sumi_graph *body;
  SUMI_TRY(body_of(c->node, &body, c->err));
  const int own = c->n_in - c->node->n_captured;
  const struct sumi_tensor **in = SUMI_NEW_ARRAY(c->heap, body->n_input, const struct sumi_tensor *);
  const struct sumi_tensor **out = SUMI_NEW_ARRAY(c->heap, body->n_output, const struct sumi_tensor *);
  if (!in || !out) SUMI_FAIL_MEMORY(c->err);
  if (c->in[0]->kind != SUMI_SEQUENCE) SUMI_FAIL(c->err, SUMI_E_TYPE, "input 0 is not a sequence");
  const int64_t n = c->in[0]->n_items;
  for (int i = 1; i < own; i++)
    if (c->in[i]->kind == SUMI_SEQUENCE && c->in[i]->n_items != n)
      SUMI_FAIL(c->err, SUMI_E_SHAPE, "input %d has %" PRId64 " tensors, input 0 %" PRId64, i,
                c->in[i]->n_items, n);
  for (int i = 0; i < c->n_out; i++) {
    if (!sumi_call_wants(c, i)) continue;
    *c->out[i] = (struct sumi_tensor){.kind = SUMI_SEQUENCE, .dtype = body->output[i]->info.dtype};
    c->out[i]->items = SUMI_NEW_ARRAY(c->heap, (size_t)n, struct sumi_tensor *);
    if (!c->out[i]->items) SUMI_FAIL_MEMORY(c->err);
  }
  for (int64_t k = 0; k < n; k++) {
    for (int i = 0; i < c->n_in; i++)
      in[i] = i < own && c->in[i]->kind == SUMI_SEQUENCE ? c->in[i]->items[k] : c->in[i];
    SUMI_TRY(c->bodies->run(c->bodies->self, body, in, (int)body->n_input, out, (int)body->n_output, c->err));
    for (int i = 0; i < c->n_out; i++)
      if (sumi_call_wants(c, i)) SUMI_TRY(put(c, i, k, out[i]));
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"body", SUMI_ATTR_GRAPH, true}, {NULL}};
static const struct sumi_port in[] = {
    {"inputs", SUMI_ANY, 0, SUMI_PORT_OPTIONAL | SUMI_PORT_VARIADIC | SUMI_PORT_MIXED | SUMI_PORT_ANY_KIND},
    {NULL}};
static const struct sumi_port out[] = {
    {"out_sequence", SUMI_ANY, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED | SUMI_PORT_ANY_KIND}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[2] x, float[3] y, float[1] z) => (w) { s = SequenceConstruct (x, y)"
     " t = SequenceMap <body = b (float[n] p, float[1] q) => (float[n] r) { r = Mul (p, q) }> (s, z)"
     " w = ConcatFromSequence <axis = 0> (t) }"},
    {NULL},
};

const struct sumi_op sumi_op_sequence_map = {
    .name = "SequenceMap",
    .formula = "body(s[k]) for every k",
    .known_as = {{"", "SequenceMap", {17}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = map_infer,
    .ref = map_ref,
    .cases = cases,
};
