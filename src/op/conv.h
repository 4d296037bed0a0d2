/* The geometry of a convolution, resolved once from a node and its shapes; shared by the reference functions
 * of Conv and its relatives and by whatever lowers them.
 *
 *   y[b, m, o] = act(bias[m] + sum over c < c_group, taps k of w[m, c, k] * x[b, m / m_group * c_group + c,
 * i] + z[b, m, o]) with i = o * stride + k * dilation - begin in every spatial dimension; x is 0 outside. */
#ifndef SUMI_OP_CONV_H
#define SUMI_OP_CONV_H

#include "op/activation.h"
#include "op/op_util.h"

struct sumi_conv {
  int64_t batch, c_in, c_out, group;
  int64_t c_group, m_group;            /* input and output channels of one group */
  int n;                               /* spatial dimensions, >= 1 */
  int64_t in[SUMI_MAX_RANK];           /* spatial sizes of x, as out in window of y; last one contiguous */
  struct sumi_window window;           /* kernel, stride, dilation, pads, out */
  int64_t in_pixels, out_pixels, taps; /* products of in, window.out, window.kernel */
  struct sumi_activation activation;   /* FusedConv's; NONE otherwise */
};

/* Conv, FusedConv, ConvInteger, QLinearConv: x is [batch, c_in, in...], w is [c_out, c_group, kernel...];
 * their data is not looked at. Shapes must be concrete. Errors as in inference. */
sumi_status sumi_conv_resolve(const struct sumi_node *node, const struct sumi_tensor *x,
                              const struct sumi_tensor *w, struct sumi_conv *conv, struct sumi_err *err);

/* The input pixel that tap k of output pixel o reads; -1 in the padding. */
int64_t sumi_conv_source(const struct sumi_conv *v, int64_t o, int64_t k);

/* The product of a convolution with x, w, b as inputs 0, 1, 2. */
bool sumi_conv_product(const struct sumi_node *node, int part, struct sumi_op_product *p);

/* ConvTranspose: x is [batch, c_in, in...], w is [c_in, m_group, kernel...]. A product x[b, c, i] * w[c, m,
 * k] lands on y[b, m, o] with o = i * stride + k * dilation - begin where that is inside. c_group is c_in /
 * group. */
sumi_status sumi_conv_transpose_resolve(const struct sumi_node *node, const struct sumi_tensor *x,
                                        const struct sumi_tensor *w, struct sumi_conv *conv,
                                        struct sumi_err *err);

/* Sets output 0 of a convolution with dims of x and w from inputs ix and iw. */
sumi_status sumi_conv_infer(struct sumi_infer *ctx, int ix, int iw, sumi_dtype dtype);

/* The whole inference of a convolution with inputs x, w, bias, residual and an activation; dtype: of output 0. */
sumi_status sumi_conv_infer_all(struct sumi_infer *ctx, sumi_dtype dtype);

/* The reference of such a node: float64 throughout, or any mixture of float32, float16 and bfloat16, with
 * sumi_widen_scratch. */
sumi_status sumi_conv_ref(const struct sumi_call *call);

/* Checks that input i, where given, is [c_out] of the convolution whose weights are w (dim 0 = c_out). */
sumi_status sumi_conv_check_bias(const struct sumi_infer *ctx, int i, sumi_dim c_out);

/* dense_macs and macs for weights that are input iw (their zero point input zero_point or -1). */
void sumi_conv_cost(const struct sumi_call *call, const struct sumi_conv *conv, int iw, int zero_point,
                    struct sumi_cost *cost);

/* Reference loops: walks a convolution's output in pieces of rows, so that the inner loop runs over
 * contiguous pixels and a piece stays in the cache over all channels. for (struct sumi_conv_rows it =
 * sumi_conv_rows_start(v); !it.done; sumi_conv_rows_next(&it)) visits, for every batch and group, pixels
 * [pixel, pixel + n) of every output channel of the group. */
enum { SUMI_CONV_ROW = 1024 };

struct sumi_conv_rows {
  struct sumi_conv v; /* the walk's own: a 1x1 convolution counts as 1-D */
  int64_t batch, group;
  int64_t row, first; /* the row, and the first pixel in it */
  int64_t pixel, n;   /* n <= SUMI_CONV_ROW */
  bool done;
};

struct sumi_conv_rows sumi_conv_rows_start(const struct sumi_conv *v);
void sumi_conv_rows_next(struct sumi_conv_rows *it);

/* One tap's share: for every channel c < c_group of the group and j < n, piece[o + j] takes w[w + c * taps]
 * times x[x + c * in_pixels + j * stride], with stride of the last dimension and x and w counted from the
 * group's first channel and the output channel's weights. */
typedef void sumi_conv_tap_fn(void *user, int64_t x, int64_t w, int64_t o, int64_t n);

/* Calls fn for every tap that meets the piece inside the input, in row-major order of taps. */
void sumi_conv_rows_taps(const struct sumi_conv_rows *it, sumi_conv_tap_fn *fn, void *user);

#endif
