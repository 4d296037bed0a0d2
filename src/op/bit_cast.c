/* BitCast: the bytes of x as another type of the same width. */
#include <string.h>

#include "base/size.h"
#include "op/ops.h"

static sumi_status bit_cast_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const sumi_dtype to = sumi_dtype_from_onnx(sumi_attr_int(ctx->node, "to", 0));
  if (to == SUMI_UNDEFINED || to == SUMI_STRING)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "attribute to names no type that can be cast to");
  if (x->dtype != SUMI_UNDEFINED && sumi_dtype_bits(x->dtype) != sumi_dtype_bits(to))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "%s has %d bits, %s has %d", sumi_dtype_label(x->dtype),
              sumi_dtype_bits(x->dtype), sumi_dtype_label(to), sumi_dtype_bits(to));
  sumi_infer_out_like(ctx, 0, x, to);
  return SUMI_OK;
}

static sumi_status bit_cast_ref(const struct sumi_call *c) {
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(c->in[0]->dtype, c->in[0]->dim, c->in[0]->rank, &bytes, c->err));
  memmove(c->out[0]->data, c->in[0]->data, bytes);
  return SUMI_OK;
}

#define TYPES (SUMI_ANY & ~SUMI_BIT(SUMI_STRING))
static const struct sumi_attr_spec attrs[] = {{"to", SUMI_ATTR_INT, true}, {NULL}};
static const struct sumi_port in[] = {{"input", TYPES}, {NULL}};
static const struct sumi_port out[] = {{"output", TYPES}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[3,7] x) => (y) { y = BitCast <to = 6> (x) }", .why = "float32 to int32"},
    {NULL},
};

const struct sumi_op sumi_op_bit_cast = {
    .name = "BitCast",
    .formula = "the bits of x in another type",
    .known_as = {{"", "BitCast", {26}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_VIEW | SUMI_OP_IN_PLACE,
    .infer = bit_cast_infer,
    .ref = bit_cast_ref,
    .cases = cases,
};
