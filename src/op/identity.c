/* Identity: y = x, also for sequences and optionals.
 * Debug: a legacy operator
 * outside the standard (domain ai.onnx in files converted for Windows ML) that writes its input to a file;
 * here the input passes through and nothing is written. */
#include "base/size.h"
#include "op/by_item.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status identity_infer(struct sumi_infer *ctx) {
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return sumi_op_pass_contents(ctx);
}

static sumi_status identity_ref(const struct sumi_call *c) {
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  if (c->in[0]->kind != SUMI_TENSOR) return sumi_call_output_copy(c, 0, c->in[0]);
  return sumi_ref_view(c);
}

static const struct sumi_port any_in[] = {{"input", SUMI_ANY, 'V', SUMI_PORT_ANY_KIND}, {NULL}};
static const struct sumi_port any_out[] = {{"output", SUMI_ANY, 'V', SUMI_PORT_ANY_KIND}, {NULL}};

static const struct sumi_case identity_cases[] = {
    {"g (float[2,3] x) => (y) { y = Identity (x) }"},
    {"g (int64 x) => (y) { y = Identity (x) }", .why = "rank 0"},
    {NULL},
};

const struct sumi_op sumi_op_identity = {
    .name = "Identity",
    .formula = "y = x",
    .known_as = {{"", "Identity", {1, 13, 14, 16, 19, 21, 23, 24, 25}}},
    .in = any_in,
    .out = any_out,
    .flags = SUMI_OP_VIEW,
    .infer = identity_infer,
    .by_item = sumi_by_item_first,
    .ref = identity_ref,
    .grad = sumi_identity_grad,
    .cases = identity_cases,
};

static const struct sumi_attr_spec debug_attrs[] = {
    {"file_path", SUMI_ATTR_STRING}, {"file_type", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_case debug_cases[] = {
    {"g (float[2,3] x) => (y) { y = Debug <file_path = \"a\", file_type = \"png\"> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_debug = {
    .name = "Debug",
    .formula = "y = x; nothing is written",
    .known_as = {{"", "Debug", {1}}},
    .attrs = debug_attrs,
    .in = any_in,
    .out = any_out,
    .flags = SUMI_OP_VIEW,
    .infer = identity_infer,
    .ref = identity_ref,
    .cases = debug_cases,
};
