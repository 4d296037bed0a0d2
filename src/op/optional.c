/* Optional: the input as an optional, or an empty one of the type that the attribute says.
 * OptionalGetElement: what an optional holds (an input that is none is passed on, version 18); empty ones
 * are refused. OptionalHasElement: whether it holds anything; true for an input that is no optional, false
 * where there is no input. */
#include "op/move.h"
#include "op/op_util.h"
#include "op/sequence.h"

static bool is_sequence(sumi_kind k) { return k == SUMI_SEQUENCE || k == SUMI_OPTIONAL_SEQUENCE; }

/* A deep copy under another kind. */
static sumi_status copy_as(const struct sumi_call *c, const struct sumi_tensor *from, sumi_kind kind) {
  struct sumi_tensor t = *from;
  t.kind = kind;
  return sumi_call_output_copy(c, 0, &t);
}

/* Kind and element type of what an Optional node holds. */
static sumi_status held(const struct sumi_node *node, sumi_kind in_kind, sumi_dtype in_dtype, bool given,
                        sumi_kind *kind, sumi_dtype *dtype, struct sumi_err *err) {
  const struct sumi_attr *type = sumi_node_attr(node, "type");
  if (!given && !type) SUMI_FAIL(err, SUMI_E_ARG, "there is neither an input nor a type");
  if (given && in_kind != SUMI_TENSOR && in_kind != SUMI_SEQUENCE)
    SUMI_FAIL(err, SUMI_E_TYPE, "the input is an optional already");
  *kind = is_sequence(given ? in_kind : type->u.type_info->kind) ? SUMI_OPTIONAL_SEQUENCE : SUMI_OPTIONAL;
  *dtype = given ? in_dtype : type->u.type_info->dtype;
  return SUMI_OK;
}

static sumi_status optional_infer(struct sumi_infer *ctx) {
  sumi_kind kind = SUMI_OPTIONAL;
  sumi_dtype dtype = SUMI_UNDEFINED;
  const bool given = sumi_infer_has(ctx, 0);
  SUMI_TRY(held(ctx->node, given ? ctx->in[0].kind : SUMI_TENSOR, given ? ctx->in[0].dtype : SUMI_UNDEFINED,
                given, &kind, &dtype, ctx->err));
  sumi_infer_kind(ctx, kind, dtype);
  return SUMI_OK;
}

static sumi_status optional_ref(const struct sumi_call *c) {
  sumi_kind kind = SUMI_OPTIONAL;
  sumi_dtype dtype = SUMI_UNDEFINED;
  const bool given = sumi_call_has(c, 0);
  SUMI_TRY(held(c->node, given ? c->in[0]->kind : SUMI_TENSOR, given ? c->in[0]->dtype : SUMI_UNDEFINED,
                given, &kind, &dtype, c->err));
  if (given) return copy_as(c, c->in[0], kind);
  const struct sumi_tensor nothing = {.kind = kind, .dtype = dtype, .absent = true};
  return sumi_call_output_copy(c, 0, &nothing);
}

static sumi_status get_infer(struct sumi_infer *ctx) {
  if (is_sequence(ctx->in[0].kind))
    sumi_infer_kind(ctx, SUMI_SEQUENCE, ctx->in[0].dtype);
  else if (ctx->in[0].kind == SUMI_TENSOR)
    sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  else
    sumi_infer_out_unknown(ctx, 0, ctx->in[0].dtype);
  return SUMI_OK;
}

static sumi_status get_ref(const struct sumi_call *c) {
  if (c->in[0]->absent) SUMI_FAIL(c->err, SUMI_E_VALUE, "the optional is empty");
  return copy_as(c, c->in[0], is_sequence(c->in[0]->kind) ? SUMI_SEQUENCE : SUMI_TENSOR);
}

static sumi_status has_infer(struct sumi_infer *ctx) {
  sumi_infer_out(ctx, 0, SUMI_BOOL, 0, NULL);
  return SUMI_OK;
}

static sumi_status has_ref(const struct sumi_call *c) {
  *(uint8_t *)c->out[0]->data = sumi_call_has(c, 0) && !c->in[0]->absent;
  return SUMI_OK;
}

/* Conformance tests cover what the text of cases cannot say: inputs that are optionals. */
static const struct sumi_attr_spec optional_attrs[] = {{"type", SUMI_ATTR_TYPE}, {NULL}};
static const struct sumi_port maybe_in[] = {{"input", SUMI_ANY, 'T', SUMI_PORT_ANY_KIND | SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port get_in[] = {{"input", SUMI_ANY, 'T', SUMI_PORT_ANY_KIND}, {NULL}};
static const struct sumi_port any_out[] = {{"output", SUMI_ANY, 'T', SUMI_PORT_ANY_KIND}, {NULL}};
static const struct sumi_port has_out[] = {{"output", SUMI_BIT(SUMI_BOOL)}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3] x) => (y, h) { o = Optional (x) y = OptionalGetElement (o) h = OptionalHasElement (o) }"},
    {NULL},
};

const struct sumi_op sumi_op_optional = {
    .name = "Optional",
    .formula = "x as an optional",
    .known_as = {{"", "Optional", {15, 28}}},
    .attrs = optional_attrs,
    .in = maybe_in,
    .out = any_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = optional_infer,
    .ref = optional_ref,
    .cases = cases,
};

const struct sumi_op sumi_op_optional_get_element = {
    .name = "OptionalGetElement",
    .formula = "what an optional holds",
    .known_as = {{"", "OptionalGetElement", {15, 18, 28}}},
    .in = get_in,
    .out = any_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = get_infer,
    .ref = get_ref,
    .cases = cases,
};

const struct sumi_op sumi_op_optional_has_element = {
    .name = "OptionalHasElement",
    .formula = "whether an optional holds anything",
    .known_as = {{"", "OptionalHasElement", {15, 18, 28}}},
    .in = maybe_in,
    .out = has_out,
    .infer = has_infer,
    .ref = has_ref,
    .cases = cases,
};
