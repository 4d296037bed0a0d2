/* LRN: y[n, c, i] = x[n, c, i] / (bias + alpha / size * sum of x[n, k, i]^2)^beta over the channels k from
 * c - floor((size - 1) / 2) to c + ceil((size - 1) / 2) that exist. In double precision, rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/op_util.h"

static sumi_status lrn_infer(struct sumi_infer *ctx) {
  const int64_t size = sumi_attr_int(ctx->node, "size", 0);
  if (size < 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "size is %" PRId64, size);
  if (ctx->in[0].rank >= 0 && ctx->in[0].rank < 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 2 is needed", ctx->in[0].rank);
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status lrn_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t size = sumi_attr_int(c->node, "size", 1), channels = x->dim[1];
  const int64_t pixels = sumi_dims_count(x->dim, 2, x->rank);
  const int64_t before = SUMI_MIN((size - 1) / 2, channels), after = SUMI_MIN(size / 2, channels);
  const double alpha = sumi_attr_float(c->node, "alpha", 1e-4f) / (double)size,
               beta = sumi_attr_float(c->node, "beta", 0.75f);
  const double bias = sumi_attr_float(c->node, "bias", 1);
  for (int64_t nc = 0; pixels && nc < x->dim[0] * channels; nc++) {
    const int64_t channel = nc % channels, low = SUMI_MAX(channel - before, 0),
                  high = SUMI_MIN(channel + after, channels - 1);
    for (int64_t i = 0; i < pixels; i++) {
      double square = 0;
      for (int64_t k = low; k <= high; k++) {
        const double value = sumi_get_f64(x->dtype, x->data, (nc - channel + k) * pixels + i);
        square += value * value;
      }
      sumi_set_f64(y->dtype, y->data, nc * pixels + i,
                   sumi_get_f64(x->dtype, x->data, nc * pixels + i) / pow(bias + alpha * square, beta));
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"size", SUMI_ATTR_INT, true},
                                              {"alpha", SUMI_ATTR_FLOAT},
                                              {"beta", SUMI_ATTR_FLOAT},
                                              {"bias", SUMI_ATTR_FLOAT},
                                              {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,7,3,2] x) => (y) { y = LRN <size = 5, alpha = 0.5, beta = 0.6, bias = 2.0> (x) }",
     .rtol = 1e-6},
    {"g (float[2,7,3] x) => (y) { y = LRN <size = 4> (x) }", .rtol = 1e-6,
     .why = "one more channel after than before"},
    {NULL},
};

const struct sumi_op sumi_op_lrn = {
    .name = "LRN",
    .formula = "x / (bias + alpha / size * sum of neighbouring channels' squares)^beta",
    .known_as = {{"", "LRN", {1, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = lrn_infer,
    .ref = lrn_ref,
    .cases = cases,
};
