/* Identity: y = x, also for sequences and optionals.
 * Dropout: inference only, y = x and a mask of ones (bool from version 10, the data's type before). Versions
 * 1 and 6 have is_test, whose default 0 asks for training; networks are run, not trained, here: it is not
 * looked at. A training_mode (12) that is true is refused unless the ratio is 0. Debug: a legacy operator
 * outside the standard (domain ai.onnx in files converted for Windows ML) that writes its input to a file;
 * here the input passes through and nothing is written. */
#include "base/size.h"
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

/* ---- Dropout ------------------------------------------------------------------------------------------- */

static double scalar_or(const struct sumi_tensor *t, double otherwise) {
  return t && sumi_tensor_count(t) == 1 ? sumi_get_f64(t->dtype, t->data, 0) : otherwise;
}

/* From version 12 on: what ratio and training_mode ask for, as far as they are known (else NULL). */
static sumi_status check_training(const struct sumi_tensor *ratio, const struct sumi_tensor *training,
                                  struct sumi_err *err) {
  if (scalar_or(training, 0) == 0 || scalar_or(ratio, 0.5) == 0) return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
            "training_mode is true and the ratio is %g: networks are run, not trained",
            scalar_or(ratio, 0.5));
}

static sumi_status dropout_infer(struct sumi_infer *ctx) {
  for (int i = 1; i < 3; i++)
    if (sumi_infer_has(ctx, i)) {
      bool known;
      int64_t value;
      SUMI_TRY(sumi_op_scalar(ctx, i, &known, &value));
    }
  if (sumi_infer_has(ctx, 2) && ctx->in[2].data && (!sumi_infer_has(ctx, 1) || ctx->in[1].data))
    SUMI_TRY(check_training(sumi_infer_has(ctx, 1) ? ctx->in[1].data : NULL, ctx->in[2].data, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  sumi_infer_out_like(ctx, 1, &ctx->in[0], ctx->node->version < 10 ? ctx->in[0].dtype : SUMI_BOOL);
  return sumi_op_pass_contents(ctx);
}

static sumi_status dropout_ref(const struct sumi_call *c) {
  SUMI_TRY(
      check_training(sumi_call_has(c, 1) ? c->in[1] : NULL, sumi_call_has(c, 2) ? c->in[2] : NULL, c->err));
  if (sumi_call_wants(c, 1)) {
    struct sumi_tensor *mask = c->out[1];
    const int64_t n = sumi_tensor_count(mask);
    if (n) sumi_set_f64(mask->dtype, mask->data, 0, 1);
    if (n) sumi_fill(mask->dtype, mask->data, 1, n - 1, mask->data, 0);
  }
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

static const struct sumi_attr_spec dropout_attrs[] = {
    {"ratio", SUMI_ATTR_FLOAT, false, 12},
    {"is_test", SUMI_ATTR_INT, false, 7},
    {"consumed_inputs", SUMI_ATTR_INTS, false, 6},
    {"seed", SUMI_ATTR_INT},
    {NULL},
};
static const struct sumi_port dropout_in[] = {
    {"data", SUMI_FLOATS | SUMI_FLOAT8S, 'T'},
    {"ratio", SUMI_FLOATS | SUMI_FLOAT8S, 0, SUMI_PORT_OPTIONAL},
    {"training_mode", SUMI_BIT(SUMI_BOOL), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port dropout_out[] = {
    {"output", SUMI_FLOATS | SUMI_FLOAT8S, 'T'},
    {"mask", SUMI_FLOATS | SUMI_FLOAT8S | SUMI_BIT(SUMI_BOOL), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_case dropout_cases[] = {
    {"<opset_import: [\"\": 13]> g (float[2,3] x) => (y, m) { y, m = Dropout (x) }", .why = "mask of bool"},
    {"<opset_import: [\"\": 7]> g (float[2,3] x) => (y, m) { y, m = Dropout <ratio = 0.1> (x) }",
     .why = "mask of float"},
    {NULL},
};

const struct sumi_op sumi_op_dropout = {
    .name = "Dropout",
    .formula = "y = x (inference)",
    .known_as = {{"", "Dropout", {1, 6, 7, 10, 12, 13, 22}}},
    .attrs = dropout_attrs,
    .in = dropout_in,
    .out = dropout_out,
    .flags = SUMI_OP_VIEW,
    .infer = dropout_infer,
    .ref = dropout_ref,
    .cases = dropout_cases,
};
