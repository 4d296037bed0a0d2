/* ImageScaler, experimental in operator set 1 and still met in old files: y[n, c, h, w] = scale * x[n, c,
 * h, w] + bias[c]. No bias means 0. */
#include <inttypes.h>

#include "kernel/eltwise/eltwise.h"
#include "op/call_lower.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/spmm_lower.h"

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

/* ---- with kernels ------------------------------------------------------------------------------------------------ */

struct scaling {
  const struct sumi_eltwise_kernel *kernel;
  const struct sumi_call *call;
};

static void scale_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct scaling *s = user;
  const struct sumi_tensor *x = s->call->in[0];
  int n;
  const float *bias = sumi_attr_floats(s->call->node, "bias", &n);
  const int64_t size = x->dim[2] * x->dim[3];
  for (int64_t p = begin; p < end; p++) {
    const float figures[] = {sumi_attr_float(s->call->node, "scale", 1), n ? bias[p % x->dim[1]] : 0};
    s->kernel->unary[SUMI_UNARY_affine]((const float *)x->data + p * size,
                                        (float *)s->call->out[0]->data + p * size, size, figures);
  }
}

static sumi_status run_scale(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct scaling s = {tools->user, c};
  sumi_par_for(tools->par, c->in[0]->dim[0] * c->in[0]->dim[1], 1, scale_planes, &s);
  return SUMI_OK;
}

static sumi_status image_scaler_lower(struct sumi_lower *l) {
  const struct sumi_eltwise_kernel *kernel = sumi_eltwise_pick(l->isa);
  if (!sumi_lower_is_f32(l->in[0])) {
    sumi_lower_refuse(l, kernel->name, "element type %s", sumi_dtype_label(l->in[0]->dtype));
    return SUMI_E_UNSUPPORTED;
  }
  return sumi_call_lower(l, run_scale, kernel, 0, -1, kernel->name);
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
    .lower = image_scaler_lower,
    .cases = cases,
};
