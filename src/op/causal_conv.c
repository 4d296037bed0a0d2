/* CausalConvWithState: a depthwise 1-D convolution of [batch, channels, length] that looks back only,
 *   y[b, c, t] = act(bias[c] + sum over taps j < k of w[c, 0, j] * past_and_x[b, c, t + j])
 * where past_and_x is past_state [batch, channels, k - 1] (zeros where it is not given) followed by x; present_state is its
 * last k - 1 elements. act is none or x * sigmoid(x) ("silu", "swish"). In double precision, rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/op_util.h"

enum { X, W, BIAS, PAST };

static sumi_status want_dims(const struct sumi_infer *ctx, int i, int rank, const sumi_dim *want) {
  const struct sumi_info *in = &ctx->in[i];
  if (!sumi_infer_has(ctx, i) || in->rank < 0) return SUMI_OK;
  if (in->rank != rank) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not %d", i, in->rank, rank);
  for (int k = 0; k < rank; k++)
    if (in->dim[k] >= 0 && want[k] >= 0 && in->dim[k] != want[k])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of input %d is %" PRId64 ", not %" PRId64, k, i,
                in->dim[k], want[k]);
  return SUMI_OK;
}

static sumi_status causal_infer(struct sumi_infer *ctx) {
  const char *act = sumi_attr_string(ctx->node, "activation", "none");
  if (!sumi_streq(act, "none") && !sumi_streq(act, "silu") && !sumi_streq(act, "swish"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "activation is '%s'", act);
  const struct sumi_info *x = &ctx->in[X], *w = &ctx->in[W];
  const sumi_dim any = SUMI_DIM_UNKNOWN;
  SUMI_TRY(want_dims(ctx, X, 3, (sumi_dim[]){any, any, any}));
  const sumi_dim batch = x->rank == 3 ? x->dim[0] : any, channels = x->rank == 3 ? x->dim[1] : any;
  SUMI_TRY(want_dims(ctx, W, 3, (sumi_dim[]){channels, 1, any}));
  const sumi_dim k = w->rank == 3 ? w->dim[2] : any;
  if (k == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the kernel has no taps");
  const sumi_dim state[3] = {batch, channels, sumi_dim_sub(ctx->symbols, k, 1)};
  SUMI_TRY(want_dims(ctx, BIAS, 1, &channels));
  SUMI_TRY(want_dims(ctx, PAST, 3, state));
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  sumi_infer_out(ctx, 1, x->dtype, 3, state);
  return SUMI_OK;
}

/* Element i of the past followed by x, of line bc. */
static double element(const struct sumi_call *c, int64_t bc, int64_t i, int64_t past) {
  const struct sumi_tensor *t = c->in[i < past ? PAST : X];
  if (i < past && !sumi_call_has(c, PAST)) return 0;
  return sumi_get_f64(t->dtype, t->data, i < past ? bc * past + i : bc * t->dim[2] + i - past);
}

static sumi_status causal_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[X], *w = c->in[W], *y = c->out[0];
  const int64_t channels = x->dim[1], length = x->dim[2], past = w->dim[2] - 1;
  const bool silu = !sumi_attr_is(c->node, "activation", "none", "none");
  if (!length && !past) return SUMI_OK;
  for (int64_t bc = 0; bc < x->dim[0] * channels; bc++) {
    for (int64_t t = 0; t < length && y; t++) {
      double sum =
          sumi_call_has(c, BIAS) ? sumi_get_f64(c->in[BIAS]->dtype, c->in[BIAS]->data, bc % channels) : 0;
      for (int64_t j = 0; j <= past; j++)
        sum += sumi_get_f64(w->dtype, w->data, bc % channels * (past + 1) + j) * element(c, bc, t + j, past);
      sumi_set_f64(y->dtype, y->data, bc * length + t, silu ? sum / (1 + exp(-sum)) : sum);
    }
    for (int64_t i = 0; i < past && sumi_call_wants(c, 1); i++)
      sumi_set_f64(c->out[1]->dtype, c->out[1]->data, bc * past + i, element(c, bc, length + i, past));
  }
  return SUMI_OK;
}

static void causal_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  cost->dense_macs = (double)sumi_tensor_count(c->in[X]) * (double)c->in[W]->dim[2];
  cost->macs = cost->dense_macs * sumi_op_density(c, W, -1);
  cost->bytes = sumi_op_bytes(c);
}

static const struct sumi_attr_spec attrs[] = {{"activation", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'},
                                      {"weight", SUMI_FLOATS, 'T'},
                                      {"bias", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_state", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {
    {"output", SUMI_FLOATS, 'T'}, {"present_state", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,7] x, float[3,1,4] w, float[3] b, float[2,3,3] p) => (y, s) "
     "{ y, s = CausalConvWithState <activation = \"silu\"> (x, w, b, p) }",
     .rtol = 1e-6},
    {"g (float[2,3,2] x, float[3,1,4] w) => (y, s) { y, s = CausalConvWithState (x, w) }", .rtol = 1e-6,
     .why = "the state still holds some of the zeros before"},
    {NULL},
};

const struct sumi_op sumi_op_causal_conv = {
    .name = "CausalConvWithState",
    .formula = "depthwise 1-D Conv over past_state and x, which look back only",
    .known_as = {{"", "CausalConvWithState", {27}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = causal_infer,
    .ref = causal_ref,
    .cost = causal_cost,
    .cases = cases,
};
