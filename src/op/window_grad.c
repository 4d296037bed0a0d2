/* Gradients of sliding windows: Conv, AveragePool, MaxPool. What a window read in many places comes back by ConvTranspose; the
 * gradient of a convolution's weights is a convolution of the input with the output's gradient, in which batch and channels
 * change places and strides and dilations do too. */
#include "base/size.h"
#include "op/conv.h"
#include "op/grad.h"
#include "op/pool.h"

typedef struct sumi_value *value;

/* The node's window over x. kernel: NULL = attribute kernel_shape. Pads are numbers, sizes of x may be unknown. */
static sumi_status window_of(struct sumi_grad *g, value x, const int64_t *kernel, struct sumi_window *w) {
  const struct sumi_info *info = sumi_grad_info(g, x);
  const int rank = sumi_grad_rank(g, x);
  int64_t size[SUMI_MAX_RANK];
  bool known = true;
  if (g->status != SUMI_OK) return g->status;
  for (int i = 2; i < rank; i++) {
    size[i - 2] = info->dim[i] >= 0 ? info->dim[i] : SUMI_DIM_UNKNOWN;
    known = known && info->dim[i] >= 0;
  }
  SUMI_TRY(sumi_op_window(g->node, rank - 2, size, kernel, w, g->err));
  if (w->same && !known) SUMI_FAIL(g->err, SUMI_E_UNSUPPORTED, "auto_pad with unknown sizes has no gradient");
  return SUMI_OK;
}

/* ---- back to the input ----------------------------------------------------------------------------------------- */

/* What of full, the windows' span [0, (out - 1) stride + (kernel - 1) dilation + 1) of the padded input, lies inside x. */
static value cut(struct sumi_grad *g, value full, value x, const struct sumi_window *w) {
  int64_t pads[2 * SUMI_MAX_RANK] = {0}, start[SUMI_MAX_RANK], axes[SUMI_MAX_RANK];
  bool any = false;
  const int rank = w->n + 2;
  for (int i = 0; i < w->n; i++) {
    axes[i] = 2 + i;
    start[i] = SUMI_MAX(w->begin[i], 0);
    pads[2 + i] = SUMI_MAX(-w->begin[i], 0);
    pads[rank + 2 + i] =
        w->stride[i] - 1 + SUMI_MAX(-w->end[i], 0); /* a rest below the stride is never read */
    any = any || pads[2 + i] || pads[rank + 2 + i];
  }
  const value padded = any ? sumi_grad_pad(g, full, sumi_grad_ints(g, pads, 2 * rank)) : full;
  const value from = sumi_grad_ints(g, start, w->n);
  return sumi_grad_slice(g, padded, from, sumi_grad_add(g, from, sumi_grad_dims(g, x, 2, -1)),
                         sumi_grad_ints(g, axes, w->n));
}

/* Where all sizes are numbers and no pad cuts, ConvTranspose itself leaves out the padding and adds the rest that no window
 * reached: extra[n]. False: it cannot. */
static bool exact(struct sumi_grad *g, value x, const struct sumi_window *w, int64_t *extra) {
  const struct sumi_info *info = sumi_grad_info(g, x);
  for (int i = 0; info && i < w->n; i++) {
    const int64_t size = info->dim[2 + i];
    if (size < 0 || w->out[i] < 1 || w->begin[i] < 0 || w->end[i] < 0) return false;
    const int64_t span = (w->out[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
    extra[i] = size + w->begin[i] + w->end[i] - span;
    if (extra[i] < 0 || extra[i] >= w->stride[i])
      return false; /* a window sticks out, or pads are all there is */
  }
  return info != NULL;
}

/* dy spread over the windows it came from, each tap times its weight. */
static value unwindow(struct sumi_grad *g, value dy, value weight, value x, const struct sumi_window *w,
                      int64_t group) {
  int64_t extra[SUMI_MAX_RANK], pads[2 * SUMI_MAX_RANK];
  value full = sumi_grad_list(g, sumi_grad_conv_transpose(g, dy, weight), "strides", w->stride, w->n);
  full = sumi_grad_int(g, sumi_grad_list(g, full, "dilations", w->dilation, w->n), "group", group);
  if (!exact(g, x, w, extra)) return cut(g, full, x, w);
  for (int i = 0; i < w->n; i++) {
    pads[i] = w->begin[i];
    pads[w->n + i] = w->end[i];
  }
  return sumi_grad_list(g, sumi_grad_list(g, full, "pads", pads, 2 * w->n), "output_padding", extra, w->n);
}

/* ---- Conv ------------------------------------------------------------------------------------------------------- */

/* [N, groups * C, ...] as [C, groups * N, ...], C = channels of a group */
static value by_channel(struct sumi_grad *g, value x, value channels, int64_t groups, int rank) {
  if (groups == 1) {
    int64_t perm[SUMI_MAX_RANK] = {1, 0};
    for (int i = 2; i < rank; i++) perm[i] = i;
    return sumi_grad_permute(g, x, perm, rank);
  }
  if (rank >= SUMI_MAX_RANK) {
    g->status = sumi_err_set(g->err, SUMI_E_LIMIT, "a grouped convolution of rank %d has no gradient", rank);
    return NULL;
  }
  int64_t perm[SUMI_MAX_RANK] = {2, 1, 0};
  for (int i = 3; i < rank + 1; i++) perm[i] = i;
  const value batch = sumi_grad_dims(g, x, 0, 1), spatial = sumi_grad_dims(g, x, 2, -1),
              n = sumi_grad_ints(g, &groups, 1);
  const value apart = sumi_grad_join(g, 4, (value[]){batch, n, channels, spatial});
  const value turned = sumi_grad_permute(g, sumi_grad_reshape(g, x, apart), perm, rank + 1);
  return sumi_grad_reshape(g, turned,
                           sumi_grad_join(g, 3, (value[]){channels, sumi_grad_mul(g, batch, n), spatial}));
}

/* dw[m, c, k] = sum over n, o of dy[n, m, o] x[n, c, o stride + k dilation - begin] */
static value weight_grad(struct sumi_grad *g, value x, value weight, const struct sumi_window *w,
                         int64_t group) {
  const int rank = w->n + 2;
  int64_t swap[SUMI_MAX_RANK] = {1, 0}, pads[2 * SUMI_MAX_RANK], axes[SUMI_MAX_RANK];
  for (int i = 0; i < w->n; i++) {
    swap[2 + i] = axes[i] = 2 + i;
    pads[i] = w->begin[i];
    pads[w->n + i] = w->end[i];
  }
  const value from = by_channel(g, x, sumi_grad_dims(g, weight, 1, 2), group, rank);
  value v = sumi_grad_conv(g, from, sumi_grad_permute(g, g->dy[0], swap, rank));
  v = sumi_grad_list(g, sumi_grad_list(g, v, "strides", w->dilation, w->n), "dilations", w->stride, w->n);
  v = sumi_grad_int(g, sumi_grad_list(g, v, "pads", pads, 2 * w->n), "group", group);
  /* the rest that no window reached gives taps behind the last */
  v = sumi_grad_slice(g, v, sumi_grad_ints(g, (const int64_t[SUMI_MAX_RANK]){0}, w->n),
                      sumi_grad_dims(g, weight, 2, -1), sumi_grad_ints(g, axes, w->n));
  return sumi_grad_permute(g, v, swap, rank);
}

sumi_status sumi_conv_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const value x = node->in[0], weight = node->in[1];
  const struct sumi_info *info = sumi_grad_info(g, weight);
  const int rank = sumi_grad_rank(g, weight);
  int64_t kernel[SUMI_MAX_RANK], axes[SUMI_MAX_RANK] = {0};
  struct sumi_window w;
  if (g->status != SUMI_OK) return g->status;
  bool known = true;
  for (int i = 2; i < rank; i++) {
    kernel[i - 2] = info->dim[i];
    axes[i - 1] = i;
    known = known && info->dim[i] >= 0;
  }
  if (!known && !sumi_node_attr(node, "kernel_shape"))
    SUMI_FAIL(g->err, SUMI_E_UNSUPPORTED, "the gradient needs the kernel's size, which is unknown");
  SUMI_TRY(window_of(g, x, known ? kernel : NULL, &w));
  const int64_t group = sumi_attr_int(node, "group", 1);
  if (g->wanted[0]) g->dx[0] = unwindow(g, g->dy[0], weight, x, &w, group);
  if (g->wanted[1]) g->dx[1] = weight_grad(g, x, weight, &w, group);
  if (node->n_in > 2 && g->wanted[2]) { /* rows, then columns: neither has kept dimensions between its axes */
    const value over_pixels = sumi_grad_sum(g, g->dy[0], axes + 1, rank - 2, false);
    g->dx[2] = sumi_grad_sum(g, over_pixels, axes, 1, false);
  }
  return g->status;
}

/* ---- AveragePool ----------------------------------------------------------------------------------------------- */

/* How many taps of window o along dimension i are counted: those inside [-begin, size + end) with the padding, [0, size) without.
 */
static double counted(const struct sumi_window *w, int i, int64_t size, bool padding, int64_t o) {
  const int64_t low = padding ? -w->begin[i] : 0, high = padding ? size + w->end[i] : size;
  const int64_t start = o * w->stride[i] - w->begin[i], step = w->dilation[i];
  const int64_t first = start >= low ? 0 : (low - start + step - 1) / step;
  const int64_t behind = start >= high ? 0 : (high - start + step - 1) / step;
  return (double)SUMI_MAX(SUMI_MIN(behind, w->kernel[i]) - first, 0);
}

enum { MAX_ROW = 1 << 20 }; /* windows along a dimension that are told apart */

/* v divided along dimension i by how many taps each window counts: the windows must be known and few. */
static value share_row(struct sumi_grad *g, value v, value x, const struct sumi_window *w, int i) {
  const bool padding = sumi_attr_int(g->node, "count_include_pad", 0) != 0;
  const int64_t size = sumi_grad_info(g, x)->dim[2 + i], out = w->out[i];
  if (size < 0 || out < 0 || out > MAX_ROW) {
    g->status =
        sumi_err_set(g->err, SUMI_E_UNSUPPORTED,
                     "padded windows have no gradient where their number is unknown or above %d", MAX_ROW);
    return NULL;
  }
  int64_t dim[SUMI_MAX_RANK];
  for (int d = 0; d < w->n + 2; d++) dim[d] = d == 2 + i ? out : 1;
  double *count = SUMI_NEW_ARRAY(g->graph->arena, (size_t)out, double);
  if (!count) {
    g->status = sumi_err_set(g->err, SUMI_E_MEMORY, "out of memory");
    return NULL;
  }
  for (int64_t o = 0; o < out; o++) count[o] = SUMI_MAX(counted(w, i, size, padding, o), 1);
  return sumi_grad_div(g, v, sumi_grad_tensor(g, x, w->n + 2, dim, count));
}

/* dy divided by the number of taps each window counts, which is a product over the dimensions. */
static value shares(struct sumi_grad *g, value x, const struct sumi_window *w) {
  const bool padding = sumi_attr_int(g->node, "count_include_pad", 0) != 0;
  value v = g->dy[0];
  double all = 1;
  for (int i = 0; i < w->n && g->status == SUMI_OK; i++) {
    if (w->ceil || (!padding && (w->begin[i] || w->end[i])))
      v = share_row(g, v, x, w, i);
    else
      all *= (double)w->kernel[i];
  }
  return all == 1 ? v : sumi_grad_div(g, v, sumi_grad_scalar(g, x, all));
}

/* Every channel is a picture of its own: [N * C, 1, ...], so that one kernel of ones serves all. */
sumi_status sumi_average_pool_grad(struct sumi_grad *g) {
  const value x = g->node->in[0];
  struct sumi_window w;
  SUMI_TRY(window_of(g, x, NULL, &w));
  int64_t dim[SUMI_MAX_RANK] = {1, 1};
  for (int i = 0; i < w.n; i++) dim[2 + i] = w.kernel[i];
  const value ones = sumi_grad_fill(g, x, sumi_grad_ints(g, dim, w.n + 2), 1);
  const value single = sumi_grad_ints(g, (const int64_t[]){-1, 1}, 2);
  const value each = sumi_grad_reshape(
      g, shares(g, x, &w), sumi_grad_join(g, 2, (value[]){single, sumi_grad_dims(g, g->dy[0], 2, -1)}));
  g->dx[0] = sumi_grad_reshape_like(g, unwindow(g, each, ones, x, &w, 1), x);
  return g->status;
}

/* ---- MaxPool ---------------------------------------------------------------------------------------------------- */

/* Each window's gradient goes to its largest element, whose place in x is the pool's second output. */
sumi_status sumi_max_pool_grad(struct sumi_grad *g) {
  const struct sumi_node *from = g->node;
  const value x = from->in[0];
  SUMI_TRY(sumi_grad_only(g, 1));
  struct sumi_node *pool = sumi_grad_node(g, from->op, SUMI_MAX(from->version, 8), 1, &x, 2);
  if (!pool) return g->status;
  SUMI_TRY(sumi_node_copy_attrs(from, pool, g->err));
  sumi_node_remove_attr(pool, "storage_order"); /* places are counted row by row */
  g->dx[0] = sumi_grad_scatter_like(g, g->dy[0], pool->out[1], x);
  return g->status;
}
