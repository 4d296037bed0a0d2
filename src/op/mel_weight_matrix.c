/* MelWeightMatrix: y is [dft_length / 2 + 1, num_mel_bins]; column i is a triangle over the bins of a one-sided
 * spectrum, from edge[i] (0) over edge[i + 1] (1) down to edge[i + 2] (0). The edges are
 *   floor((dft_length + 1) * hertz / sample_rate), hertz = 700 (10 ^ (mel / 2595) - 1)
 * where mel steps from lower to upper on the mel scale 2595 log10(1 + f / 700) by (upper - lower) /
 * (num_mel_bins + 2): that is the standard's reference; its text does not say. Where the rising side has no width the
 * triangle starts at 1. An edge beyond the spectrum is refused. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"

static sumi_status mel_infer(struct sumi_infer *ctx) {
  const int64_t wanted = sumi_attr_int(ctx->node, "output_datatype", 1);
  const sumi_dtype dtype = sumi_dtype_from_onnx(wanted);
  if (!sumi_dtype_in(dtype, SUMI_NUMBERS))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "output_datatype is %" PRId64, wanted);
  sumi_dim bands, length, rate;
  SUMI_TRY(sumi_op_scalar_dim(ctx, 0, &bands));
  SUMI_TRY(sumi_op_scalar_dim(ctx, 1, &length));
  SUMI_TRY(sumi_op_scalar_dim(ctx, 2, &rate));
  if (rate == 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "the sample rate is 0");
  for (int i = 3; i < 5; i++) {
    bool known;
    int64_t value;
    SUMI_TRY(sumi_op_scalar(ctx, i, &known, &value));
  }
  const sumi_dim half = sumi_dim_div(ctx->symbols, length, 2);
  const sumi_dim dim[] = {sumi_dim_add(ctx->symbols, half, 1), bands};
  sumi_infer_out(ctx, 0, dtype, 2, dim);
  return SUMI_OK;
}

struct scale {
  double low, step; /* mel */
  double per_hertz; /* spectrum bins */
  int64_t bins;     /* of the spectrum */
};

/* The i-th edge: a bin of the spectrum. */
static sumi_status edge(const struct sumi_call *c, const struct scale *s, int64_t i, int64_t *bin) {
  const double hertz = 700 * expm1((s->low + (double)i * s->step) / 2595 * log(10));
  const double at = floor(hertz * s->per_hertz);
  if (!(at >= 0 && at < (double)s->bins))
    SUMI_FAIL(c->err, SUMI_E_VALUE,
              "edge %" PRId64 " of the bands, at %g Hz, is outside a spectrum of %" PRId64 " bins", i, hertz,
              s->bins);
  *bin = (int64_t)at;
  return SUMI_OK;
}

static double number(const struct sumi_call *c, int i) {
  return sumi_get_f64(c->in[i]->dtype, c->in[i]->data, 0);
}

static sumi_status mel_ref(const struct sumi_call *c) {
  const struct sumi_tensor *y = c->out[0];
  const int64_t bands = y->dim[1];
  const double low = 2595 * log10(1 + number(c, 3) / 700), high = 2595 * log10(1 + number(c, 4) / 700);
  const struct scale s = {low, (high - low) / ((double)bands + 2), (number(c, 1) + 1) / number(c, 2),
                          y->dim[0]};
  for (int64_t k = 0; k < s.bins * bands; k++) sumi_set_f64(y->dtype, y->data, k, 0);
  for (int64_t i = 0; i < bands; i++) {
    int64_t left = 0, top = 0, right = 0;
    SUMI_TRY(edge(c, &s, i, &left));
    SUMI_TRY(edge(c, &s, i + 1, &top));
    SUMI_TRY(edge(c, &s, i + 2, &right));
    if (left == top) sumi_set_f64(y->dtype, y->data, top * bands + i, 1);
    for (int64_t k = left; left != top && k <= top; k++)
      sumi_set_f64(y->dtype, y->data, k * bands + i, (double)(k - left) / (double)(top - left));
    for (int64_t k = top; k < right; k++)
      sumi_set_f64(y->dtype, y->data, k * bands + i, (double)(right - k) / (double)(right - top));
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"output_datatype", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"num_mel_bins", SUMI_INDICES, 'I'},    {"dft_length", SUMI_INDICES, 'I'},
    {"sample_rate", SUMI_INDICES, 'I'},     {"lower_edge_hertz", SUMI_FLOATS, 'F'},
    {"upper_edge_hertz", SUMI_FLOATS, 'F'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_NUMBERS}, {NULL}};

static const struct sumi_case cases[] = {
    {"g () => (y) <int64 m = {8}, int64 n = {64}, int64 r = {16000}, float l = {20}, float h = {7600}> "
     "{ y = MelWeightMatrix (m, n, r, l, h) }",
     .rtol = 1e-6},
    {"g (float l) => (y) <int32 m = {5}, int32 n = {32}, int32 r = {8192}, float h = {4096}> "
     "{ y = MelWeightMatrix <output_datatype = 11> (m, n, r, l, h) }",
     .rtol = 1e-12, .low = 0.1, .high = 9, .why = "an edge known only when run"},
    {NULL},
};

const struct sumi_op sumi_op_mel_weight_matrix = {
    .name = "MelWeightMatrix",
    .formula = "triangles over a spectrum, equally spaced on the mel scale",
    .known_as = {{"", "MelWeightMatrix", {17}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = mel_infer,
    .ref = mel_ref,
    .cases = cases,
};
