/* sumi.TurnWeights: the weights of a transposed convolution (no groups, no dilation) as those of a convolution that computes all phases
 * of its output at once, made by pass narrow-bf16 (files cannot name it). With strides s and pads b of the transposed one, for
 * output pixel s q + j, 0 <= j < s:
 *   phase p = (j + b) % s, shift = (j + b) / s
 *   y[s q + j] = sum over t, p + s t < kernel of w[p + s t] * x[q + shift - t]
 * so taps d = shift - t of all phases lie in [low, high], and
 *   out[(j, c), m, d - low] = w[m, c, p + s (shift - d)], 0 where there is no such tap
 * The convolution's channels are the phases of the rows, of the columns, c: what DepthToSpace puts in place. Of stride 1 it is the
 * kernel mirrored. */
#include "op/turn_weights.h"

#include <string.h>

#include "base/size.h"
#include "op/op_util.h"

static bool is_line(int64_t kernel, int64_t stride, int64_t begin, struct sumi_turned_line *line) {
  enum { MOST_PHASES = 4096 }; /* each is looked at */
  if (kernel < 1 || stride < 1 || stride > MOST_PHASES || begin < 0 || begin > INT32_MAX) return false;
  *line = (struct sumi_turned_line){kernel, stride, begin, INT64_MAX, INT64_MIN};
  for (int64_t j = 0; j < stride; j++) {
    const int64_t p = (j + begin) % stride, shift = (j + begin) / stride;
    if (p >= kernel) continue; /* nothing reaches these pixels */
    line->high = SUMI_MAX(line->high, shift);
    line->low = SUMI_MIN(line->low, shift - (kernel - 1 - p) / stride);
  }
  return line->high >= line->low;
}

bool sumi_turned_lines(const struct sumi_node *node, const int64_t *kernel, int n,
                       struct sumi_turned_line *line) {
  int n_strides, n_pads;
  const int64_t *strides = sumi_attr_ints(node, "strides", &n_strides),
                *pads = sumi_attr_ints(node, "pads", &n_pads);
  if ((strides && n_strides != n) || (pads && n_pads != 2 * n)) return false;
  for (int i = 0; i < n; i++)
    if (!is_line(kernel[i], strides ? strides[i] : 1, pads ? pads[i] : 0, &line[i])) return false;
  return true;
}

static sumi_status lines_of(const struct sumi_node *node, const sumi_dim *dim, int rank,
                            struct sumi_turned_line *line, struct sumi_err *err) {
  int64_t kernel[SUMI_MAX_RANK];
  for (int i = 2; i < rank; i++) kernel[i - 2] = dim[i];
  if (!sumi_turned_lines(node, kernel, rank - 2, line))
    SUMI_FAIL(err, SUMI_E_VALUE, "strides or pads fit no kernel of these weights");
  return SUMI_OK;
}

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_info *w = &ctx->in[0];
  struct sumi_turned_line line[SUMI_MAX_RANK];
  if (w->rank < 3) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "weights of rank %d", w->rank);
  for (int i = 0; i < w->rank; i++)
    if (w->dim[i] < 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of the weights is not known", i);
  SUMI_TRY(lines_of(ctx->node, w->dim, w->rank, line, ctx->err));
  sumi_dim dim[SUMI_MAX_RANK] = {w->dim[1], w->dim[0]};
  for (int i = 2; i < w->rank; i++) {
    dim[0] = sumi_dim_mul(ctx->symbols, dim[0], line[i - 2].stride);
    dim[i] = line[i - 2].high - line[i - 2].low + 1;
  }
  sumi_infer_out(ctx, 0, w->dtype, w->rank, dim);
  return SUMI_OK;
}

/* The tap of w that tap `out` of phase j is; -1: none. Both are counted over n dimensions, the last one fastest. */
static int64_t source(const struct sumi_turned_line *line, int n, int64_t j, int64_t out) {
  int64_t tap = 0, step = 1;
  for (int i = n - 1; i >= 0; i--) {
    const struct sumi_turned_line *l = &line[i];
    const int64_t width = l->high - l->low + 1, phase = j % l->stride, d = l->low + out % width;
    const int64_t k = (phase + l->begin) % l->stride + l->stride * ((phase + l->begin) / l->stride - d);
    if (k < 0 || k >= l->kernel) return -1;
    tap += k * step;
    step *= l->kernel;
    j /= l->stride;
    out /= width;
  }
  return tap;
}

static sumi_status ref(const struct sumi_call *c) {
  const struct sumi_tensor *w = c->in[0], *y = c->out[0];
  struct sumi_turned_line line[SUMI_MAX_RANK];
  SUMI_TRY(lines_of(c->node, w->dim, w->rank, line, c->err));
  const size_t size = (size_t)sumi_dtype_bits(w->dtype) / 8;
  const int64_t m_all = w->dim[0], channels = w->dim[1], taps = sumi_dims_count(w->dim, 2, w->rank),
                out_taps = sumi_dims_count(y->dim, 2, y->rank), phases = channels ? y->dim[0] / channels : 0;
  if (!sumi_tensor_count(y)) return SUMI_OK; /* of no matter how many phases */
  for (int64_t j = 0; j < phases; j++)
    for (int64_t k = 0; k < out_taps; k++) {
      const int64_t from = source(line, w->rank - 2, j, k);
      for (int64_t i = 0; i < channels * m_all; i++) {
        const int64_t channel = i / m_all, m = i % m_all;
        char *to = (char *)y->data + (size_t)(((j * channels + channel) * m_all + m) * out_taps + k) * size;
        if (from < 0)
          memset(to, 0, size);
        else
          memcpy(to, (const char *)w->data + (size_t)((m * channels + channel) * taps + from) * size, size);
      }
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"pads", SUMI_ATTR_INTS}, {"strides", SUMI_ATTR_INTS}, {NULL}};
#define WEIGHTS (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_BFLOAT16))
static const struct sumi_port in[] = {{"W", WEIGHTS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", WEIGHTS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[5,3,4] w) => (y) { y = sumi.TurnWeights <pads = [1, 2]> (w) }", .why = "mirrored"},
    {"g (bfloat16[5,3,3,2] w) => (y) { y = sumi.TurnWeights <pads = [1, 0, 0, 1], strides = [2, 3]> (w) }",
     .why = "phases, one of them without a tap"},
    {"g (float[2,6,5,4] x, float[6,3,3,3] w) => (y, z) { t = sumi.TurnWeights <pads = [1, 1, 1, 1], strides "
     "= [2, 2]> (w) "
     "c = Conv <pads = [0, 0, 1, 1]> (x, t) y = DepthToSpace <blocksize = 2> (c) "
     "z = ConvTranspose <pads = [1, 1, 1, 1], strides = [2, 2], output_padding = [1, 1]> (x, w) }",
     .rtol = 1e-5, .why = "in use: both give the same, but for the order of sums"},
    {NULL},
};

const struct sumi_op sumi_op_turn_weights = {
    .name = "sumi.TurnWeights",
    .formula = "the weights of a transposed convolution as those of a convolution of all its phases",
    .known_as = {{"sumi", "TurnWeights", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_INTERNAL,
    .infer = infer,
    .ref = ref,
    .cases = cases,
};
