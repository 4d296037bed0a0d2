/* ImageScaler, experimental in operator set 1 and still met in old files: y[n, c, h, w] = scale * x[n, c,
 * h, w] + bias[c]. No bias means 0. */
#include <inttypes.h>

#include "op/lane.h"
#include "op/ops.h"

static sumi_status image_scaler_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  int n;
  sumi_attr_floats(ctx->node, "bias", &n);
  if (x->rank >= 0 && x->rank != 4)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input's rank is %d, not 4", x->rank);
  if (n && x->rank == 4 && x->dim[1] >= 0 && x->dim[1] != n)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "bias has %d entries for %" PRId64 " channels", n, x->dim[1]);
  return sumi_infer_same(ctx);
}

static sumi_status image_scaler_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int n;
  const float *bias = sumi_attr_floats(c->node, "bias", &n), scale = sumi_attr_float(c->node, "scale", 1);
  const int64_t channels = x->dim[1], planes = x->dim[0] * channels, size = x->dim[2] * x->dim[3];
  for (int64_t p = 0; p < planes; p++) {
    const float b = n ? bias[p % channels] : 0;
    float chunk[SUMI_LANE_CHUNK];
    for (int64_t i = 0; i < size; i += SUMI_LANE_CHUNK) {
      const int64_t count = size - i < SUMI_LANE_CHUNK ? size - i : SUMI_LANE_CHUNK;
      sumi_lane_load(SUMI_LANE_F32, x->dtype, x->data, p * size + i, count, chunk);
      for (int64_t k = 0; k < count; k++) chunk[k] = scale * chunk[k] + b;
      sumi_lane_store(SUMI_LANE_F32, y->dtype, y->data, p * size + i, count, chunk);
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"bias", SUMI_ATTR_FLOATS}, {"scale", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"<opset_import: [\"\": 7]> g (float[2,3,5,7] x) => (y) { y = ImageScaler <bias = [1.0, -2.0, 0.5], "
     "scale = 0.5> (x) }",
     .rtol = 2e-7},
    {NULL},
};

const struct sumi_op sumi_op_image_scaler = {
    .name = "ImageScaler",
    .formula = "scale x + bias[channel]",
    .known_as = {{"", "ImageScaler", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = image_scaler_infer,
    .ref = image_scaler_ref,
    .cases = cases,
};
