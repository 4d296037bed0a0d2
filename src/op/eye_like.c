/* EyeLike: y[i, j] = (j == i + k), of the input's shape and the type that dtype says (default: the
 * input's). */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status eye_infer(struct sumi_infer *ctx) {
  const struct sumi_attr *a = sumi_node_attr(ctx->node, "dtype");
  const sumi_dtype dtype = a ? sumi_dtype_from_onnx(a->u.i) : ctx->in[0].dtype;
  if (a && !sumi_dtype_in(dtype, SUMI_NUMBERS | SUMI_BIT(SUMI_BOOL)))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "dtype is %" PRId64, a->u.i);
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 2));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], dtype);
  return SUMI_OK;
}

static sumi_status eye_ref(const struct sumi_call *c) {
  const struct sumi_tensor *y = c->out[0];
  const int64_t rows = y->dim[0], cols = y->dim[1], k = sumi_attr_int(c->node, "k", 0);
  sumi_fill(y->dtype, y->data, 0, rows * cols, NULL, 0);
  if (k >= cols || k <= -rows) return SUMI_OK;
  for (int64_t i = SUMI_MAX(0, -k); i < rows && i + k < cols; i++)
    sumi_set_f64(y->dtype, y->data, i * cols + i + k, 1);
  return SUMI_OK;
}

#define EYE_TYPES (SUMI_NUMBERS | SUMI_BIT(SUMI_BOOL))
static const struct sumi_attr_spec eye_attrs[] = {{"dtype", SUMI_ATTR_INT}, {"k", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port eye_in[] = {{"input", EYE_TYPES}, {NULL}};
static const struct sumi_port eye_out[] = {{"output", EYE_TYPES}, {NULL}};
static const struct sumi_case eye_cases[] = {
    {"g (float[3,5] x) => (y) { y = EyeLike <k = 2> (x) }"},
    {"g (float[5,3] x) => (y) { y = EyeLike <k = -3, dtype = 7> (x) }"},
    {"g (float[2,2] x) => (y) { y = EyeLike <k = 9> (x) }", .why = "outside"},
    {NULL},
};

const struct sumi_op sumi_op_eye_like = {
    .name = "EyeLike",
    .formula = "1 on a diagonal, 0 elsewhere",
    .known_as = {{"", "EyeLike", {9, 22}}},
    .attrs = eye_attrs,
    .in = eye_in,
    .out = eye_out,
    .infer = eye_infer,
    .ref = eye_ref,
    .cases = eye_cases,
};
