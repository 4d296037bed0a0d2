/* sumi.FConv: FusedConv in float32 with a factor for every output channel, made by pass fold-batchnorm (files cannot name it):
 *   y = FusedConv(x, v, b, z) with v[m, c, k] = w[m, c, k] * s[m], the product in float64 and rounded once
 * So weights keep the place in the file where they lie; only what is packed of them is scaled. */
#include <inttypes.h>

#include "op/by_item.h"
#include "op/conv.h"
#include "op/conv_lower.h"
#include "op/fdot_cells.h"

enum { X, W, B, Z, S };

static sumi_status fconv_infer(struct sumi_infer *ctx) {
  const struct sumi_info *w = &ctx->in[W], *s = &ctx->in[S];
  SUMI_TRY(sumi_conv_infer_all(ctx, SUMI_FLOAT32));
  if (s->rank < 0) return SUMI_OK;
  if (s->rank != 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the factors have rank %d, not 1", s->rank);
  if (s->dim[0] >= 0 && w->rank >= 0 && w->dim[0] >= 0 && s->dim[0] != w->dim[0])
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " factors for %" PRId64 " output channels", s->dim[0],
              w->dim[0]);
  return SUMI_OK;
}

static sumi_status fconv_scratch(const struct sumi_call *c, size_t *bytes) {
  return sumi_shape_bytes(SUMI_FLOAT32, c->in[W]->dim, c->in[W]->rank, bytes, c->err);
}

static sumi_status fconv_ref(const struct sumi_call *c) {
  struct sumi_tensor v = *c->in[W];
  const int64_t rows = v.dim[0], each = rows ? sumi_tensor_count(&v) / rows : 0;
  const float *w = v.data;
  const double *s = c->in[S]->data;
  float *scaled = v.data = c->scratch;
  for (int64_t i = 0; i < rows * each; i++) scaled[i] = (float)(w[i] * s[i / each]);
  const struct sumi_tensor *in[] = {c->in[X], &v, c->in[B], c->in[Z]};
  struct sumi_call conv = *c;
  conv.in = in;
  conv.n_in = S;
  conv.scratch = NULL; /* all is float32 */
  return sumi_conv_ref(&conv);
}

static void fconv_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[X], c->in[W], &v, NULL) == SUMI_OK) sumi_conv_cost(c, &v, W, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {{"auto_pad", SUMI_ATTR_STRING},
                                              {"dilations", SUMI_ATTR_INTS},
                                              {"group", SUMI_ATTR_INT},
                                              {"kernel_shape", SUMI_ATTR_INTS},
                                              {"pads", SUMI_ATTR_INTS},
                                              {"strides", SUMI_ATTR_INTS},
                                              {"activation", SUMI_ATTR_STRING},
                                              {"activation_params", SUMI_ATTR_FLOATS},
                                              {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_BIT(SUMI_FLOAT32)},
                                      {"W", SUMI_BIT(SUMI_FLOAT32)},
                                      {"B", SUMI_BIT(SUMI_FLOAT32), .flags = SUMI_PORT_OPTIONAL},
                                      {"Z", SUMI_BIT(SUMI_FLOAT32), .flags = SUMI_PORT_OPTIONAL},
                                      {"S", SUMI_BIT(SUMI_FLOAT64)},
                                      {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[1,3,7,7] x, float[4,3,3,3] w, float[4] b, double[4] s) => (y) "
     "{ y = sumi.FConv <pads = [1, 1, 1, 1]> (x, w, b, , s) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "27 products, summed in another order"},
    {"g (float[1,32,7,7] x, float[20,32,1,1] w, float[20] b, float[1,20,7,7] z, double[20] s) => (y) "
     "{ y = sumi.FConv <activation = \"Relu\"> (x, w, b, z, s) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "1x1 with a residual and an activation"},
    {"g (float[2,8,5,6] x, float[8,2,3,2] w, double[8] s) => (y) "
     "{ y = sumi.FConv <group = 4, strides = [2, 1], pads = [0, 2, 1, 0]> (x, w, , , s) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "groups, no bias"},
    {"g (float[1,6,9,9] x, float[6,1,3,3] w, float[6] b, double[6] s) => (y) "
     "{ y = sumi.FConv <group = 6, pads = [1, 1, 1, 1], activation = \"Clip\", activation_params = [0.0, "
     "6.0]> "
     "(x, w, b, , s) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "depthwise"},
    {"g (float[1,2,3,3,3,3] x, float[3,2,2,2,2,2] w, double[3] s) => (y) { y = sumi.FConv (x, w, , , s) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "four spatial dimensions: the reference function"},
    {"g (float[0,2,5,5] x, float[3,2,3,3] w, double[3] s) => (y) { y = sumi.FConv (x, w, , , s) }",
     .why = "an empty batch"},
    {NULL},
};

static bool fconv_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_only(c, carries, 1 << X | 1 << Z);
}

const struct sumi_op sumi_op_fconv = {
    .name = "sumi.FConv",
    .formula = "activation(Conv(x, w * s, b) + z), s for each output channel",
    .known_as = {{"sumi", "FConv", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_INTERNAL,
    .infer = fconv_infer,
    .by_item = fconv_by_item,
    .ref = fconv_ref,
    .lower = sumi_conv_lower,
    .cells = sumi_fconv_cells,
    .scratch = fconv_scratch,
    .cost = fconv_cost,
    .cases = cases,
};
