/* Col2Im: x is [N, C * product(block), L]: L blocks, each a window of the image [N, C, image...]. y is the
 * sum of the windows put back where they were taken: strides, dilations and pads as of a convolution with
 * that block. A sum of booleans is whether any is true; the standard's strings have no sum and are refused. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/call_lower.h"
#include "op/dims.h"
#include "op/op_util.h"
#include "op/parts.h"

/* Strides, dilations and pads; the numbers of blocks along each spatial dim. */
struct geometry {
  int n;
  int64_t image[SUMI_MAX_RANK], block[SUMI_MAX_RANK], stride[SUMI_MAX_RANK], dilation[SUMI_MAX_RANK],
      pad[SUMI_MAX_RANK];
  int64_t blocks[SUMI_MAX_RANK];
};

static sumi_status list(const struct sumi_node *node, const char *name, int n, int64_t low, int64_t otherwise,
                        int64_t *out, struct sumi_err *err) {
  int have;
  const int64_t *v = sumi_attr_ints(node, name, &have);
  if (v && have && have != n) SUMI_FAIL(err, SUMI_E_VALUE, "%s has %d entries, not %d", name, have, n);
  for (int i = 0; i < n; i++) {
    out[i] = v && have ? v[i] : otherwise;
    if (out[i] < low || out[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "%s[%d] is %" PRId64, name, i, out[i]);
  }
  return SUMI_OK;
}

static sumi_status read_geometry(const struct sumi_node *node, int n, const int64_t *image,
                                 const int64_t *block, struct geometry *g, struct sumi_err *err) {
  int64_t pads[2 * SUMI_MAX_RANK];
  g->n = n;
  SUMI_TRY(list(node, "strides", n, 1, 1, g->stride, err));
  SUMI_TRY(list(node, "dilations", n, 1, 1, g->dilation, err));
  SUMI_TRY(list(node, "pads", 2 * n, 0, 0, pads, err));
  for (int i = 0; i < n; i++) {
    g->image[i] = image[i];
    g->block[i] = block[i];
    g->pad[i] = pads[i];
    if (image[i] < 1 || image[i] > INT32_MAX || block[i] < 1 || block[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "the image is %" PRId64 " and the block %" PRId64 " along spatial dim %d",
                image[i], block[i], i);
    const int64_t room = image[i] + pads[i] + pads[n + i] - g->dilation[i] * (block[i] - 1) - 1;
    if (room < 0) SUMI_FAIL(err, SUMI_E_SHAPE, "the block does not fit in the image along spatial dim %d", i);
    g->blocks[i] = room / g->stride[i] + 1;
  }
  return SUMI_OK;
}

/* The columns' second and third dim must be what the geometry says; the number of channels. */
static sumi_status channels(const struct geometry *g, int64_t rows, int64_t columns, int64_t *c,
                            struct sumi_err *err) {
  int64_t block, blocks;
  SUMI_TRY(sumi_shape_count(g->block, g->n, &block, err));
  SUMI_TRY(sumi_shape_count(g->blocks, g->n, &blocks, err));
  if (rows % block)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%" PRId64 " rows are no multiple of the block's %" PRId64 " elements", rows,
              block);
  if (columns != blocks)
    SUMI_FAIL(err, SUMI_E_SHAPE, "there are %" PRId64 " columns, the image has %" PRId64 " blocks", columns,
              blocks);
  *c = rows / block;
  return SUMI_OK;
}

static sumi_status col2im_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const int64_t *image, *block;
  int n_image, n_block, n, n_other;
  struct geometry g;
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 3));
  SUMI_TRY(sumi_op_list_length(ctx, 1, &n));
  SUMI_TRY(sumi_op_list_length(ctx, 2, &n_other));
  if (n >= 0 && n_other >= 0 && n != n_other)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "image_shape has %d entries, block_shape %d", n, n_other);
  SUMI_TRY(sumi_infer_ints(ctx, 1, &image, &n_image));
  SUMI_TRY(sumi_infer_ints(ctx, 2, &block, &n_block));
  if (n < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (n < 1 || n + 2 > SUMI_MAX_RANK) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%d spatial dims", n);
  sumi_dim dim[SUMI_MAX_RANK];
  dim[0] = x->rank < 0 ? SUMI_DIM_UNKNOWN : x->dim[0];
  dim[1] = SUMI_DIM_UNKNOWN;
  for (int i = 0; i < n; i++)
    dim[2 + i] = n_image < 0 ? SUMI_DIM_UNKNOWN : sumi_op_dim(image[i], ctx->in[1].data);
  if (ctx->in[1].data && ctx->in[2].data) {
    SUMI_TRY(read_geometry(ctx->node, n, image, block, &g, ctx->err));
    if (x->rank == 3 && x->dim[1] >= 0 && x->dim[2] >= 0)
      SUMI_TRY(channels(&g, x->dim[1], x->dim[2], &dim[1], ctx->err));
  }
  sumi_infer_out(ctx, 0, x->dtype, 2 + n, dim);
  return SUMI_OK;
}

/* sum[parts] = what the pixel at index[n] of a channel gathers: rows of x from `row` on, one for each place in
 * the block. */
static void gather(const struct sumi_tensor *x, const struct geometry *g, int64_t row, const int64_t *index,
                   double sum[2]) {
  const sumi_dtype part = sumi_part_dtype(x->dtype);
  const int parts = sumi_n_parts(x->dtype);
  const int64_t columns = x->dim[2];
  int64_t place = 0;
  sum[0] = sum[1] = 0;
  for (struct sumi_walk w = sumi_walk_start(g->n, g->block, NULL, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), place++) {
    int64_t column = 0;
    bool hit = true;
    for (int i = 0; i < g->n && hit; i++) {
      const int64_t from = index[i] + g->pad[i] - w.index[i] * g->dilation[i], b = from / g->stride[i];
      hit = from >= 0 && from % g->stride[i] == 0 && b < g->blocks[i];
      column = column * g->blocks[i] + b;
    }
    const int64_t at = ((row + place) * columns + column) * parts;
    for (int k = 0; k < parts && hit; k++) sum[k] += sumi_get_f64(part, x->data, at + k);
  }
}

static sumi_status col2im_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  struct geometry g;
  SUMI_TRY(read_geometry(c->node, y->rank - 2, c->in[1]->data, c->in[2]->data, &g, c->err));
  const int64_t block = sumi_dims_count(g.block, 0, g.n), planes = y->dim[0] * y->dim[1];
  const sumi_dtype part = sumi_part_dtype(y->dtype);
  int64_t at = 0;
  double sum[2];
  for (int64_t p = 0; p < planes; p++)
    for (struct sumi_walk w = sumi_walk_start(g.n, g.image, NULL, NULL, NULL, NULL); !w.done;
         sumi_walk_next(&w)) {
      gather(x, &g, p * block, w.index, sum);
      for (int k = 0; k < sumi_n_parts(y->dtype); k++) sumi_set_f64(part, y->data, at++, sum[k]);
    }
  return SUMI_OK;
}

/* ---- float32, one or two spatial dims: rows of blocks are added to rows of the image ----------------------------- */

struct planes {
  const struct geometry *g;
  const float *x;
  float *y;
};

/* The blocks b of [0, blocks) whose tap k along dim i lies inside the image: [*first, *end). */
static void blocks_inside(const struct geometry *g, int i, int64_t k, int64_t *first, int64_t *end) {
  const int64_t low = g->pad[i] - k * g->dilation[i], high = low + g->image[i]; /* low <= b * stride < high */
  *first = low > 0 ? (low + g->stride[i] - 1) / g->stride[i] : 0;
  *end = high > 0 ? SUMI_MIN((high + g->stride[i] - 1) / g->stride[i], g->blocks[i]) : 0;
}

/* y[image] += x[blocks], those of tap k along the last dim and of one row. */
static void add_row(const struct geometry *g, int64_t k, const float *x, float *y) {
  const int i = g->n - 1;
  const int64_t stride = g->stride[i];
  int64_t first, end;
  blocks_inside(g, i, k, &first, &end);
  if (first >= end) return;
  y += first * stride + k * g->dilation[i] - g->pad[i];
  if (stride == 1)
    for (int64_t b = 0; b < end - first; b++) y[b] += x[first + b];
  else
    for (int64_t b = 0; b < end - first; b++) y[b * stride] += x[first + b];
}

static void add_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct planes *p = user;
  const struct geometry *g = p->g;
  const int x = g->n - 1;
  const int64_t rows = g->n == 2 ? g->blocks[0] : 1, taps = g->n == 2 ? g->block[0] : 1;
  const int64_t pixels = sumi_dims_count(g->image, 0, g->n), columns = sumi_dims_count(g->blocks, 0, g->n);
  for (int64_t i = begin; i < end; i++) {
    float *y = p->y + i * pixels;
    const float *from = p->x + i * taps * g->block[x] * columns;
    memset(y, 0, (size_t)pixels * sizeof *y);
    for (int64_t ky = 0; ky < taps; ky++) {
      int64_t first = 0, last = rows;
      if (g->n == 2) blocks_inside(g, 0, ky, &first, &last);
      for (int64_t kx = 0; kx < g->block[x]; kx++, from += columns)
        for (int64_t b = first; b < last; b++) {
          const int64_t row = g->n == 2 ? b * g->stride[0] + ky * g->dilation[0] - g->pad[0] : 0;
          add_row(g, kx, from + b * g->blocks[x], y + row * g->image[x]);
        }
    }
  }
}

static sumi_status col2im_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  const struct sumi_tensor *y = c->out[0];
  struct geometry g;
  SUMI_TRY(read_geometry(c->node, y->rank - 2, c->in[1]->data, c->in[2]->data, &g, c->err));
  struct planes p = {&g, c->in[0]->data, y->data};
  sumi_par_for(tools->par, y->dim[0] * y->dim[1], 1, add_planes, &p);
  return SUMI_OK;
}

static sumi_status col2im_lower(struct sumi_lower *l) {
  if (l->in[0]->dtype == SUMI_FLOAT32 && l->out[0]->rank <= 4)
    return sumi_call_lower(l, col2im_run, NULL, 0, -1, "rows of blocks");
  sumi_lower_refuse(l, "rows of blocks", "element type is not float32, or more than two spatial dimensions");
  return SUMI_E_UNSUPPORTED;
}

static const struct sumi_attr_spec attrs[] = {
    {"strides", SUMI_ATTR_INTS}, {"pads", SUMI_ATTR_INTS}, {"dilations", SUMI_ATTR_INTS}, {NULL}};
#define TYPES (SUMI_NUMBERS | SUMI_COMPLEX | SUMI_BIT(SUMI_BOOL))
static const struct sumi_port in[] = {
    {"input", TYPES, 'T'},
    {"image_shape", SUMI_BIT(SUMI_INT64)},
    {"block_shape", SUMI_BIT(SUMI_INT64)},
    {NULL},
};
static const struct sumi_port out[] = {{"output", TYPES, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[1,8,9] x) => (y) <int64[2] i = {4, 4}, int64[2] b = {2, 2}> { y = Col2Im (x, i, b) }",
     .rtol = 1e-6, .why = "double sums rounded once"},
    {"g (float[2,6,5] x) => (y) <int64[1] i = {9}, int64[1] b = {3}> { y = Col2Im <strides = [2], dilations "
     "= [2], pads = [2, 2]> (x, i, b) }",
     .rtol = 1e-6, .why = "double sums rounded once"},
    {"g (float[2,12,24] x) => (y) <int64[2] i = {7, 9}, int64[2] b = {3, 2}> { y = Col2Im <strides = [2, 1], "
     "dilations = "
     "[1, 3], pads = [1, 0, 1, 0]> (x, i, b) }",
     .rtol = 1e-6, .why = "sums of few in float32"},
    {"g (float[1,9,64] x) => (y) <int64[2] i = {2, 2}, int64[2] b = {3, 3}> { y = Col2Im <dilations = [2, "
     "1], pads = [5, 4, 5, "
     "4]> (x, i, b) }",
     .rtol = 1e-6, .why = "blocks that lie outside"},
    {"g (complex64[1,4,4] x) => (y) <int64[2] i = {3, 3}, int64[2] b = {2, 2}> { y = Col2Im (x, i, b) }",
     .rtol = 1e-6, .why = "double sums rounded once"},
    {NULL},
};

const struct sumi_op sumi_op_col2im = {
    .name = "Col2Im",
    .formula = "sum of windows put back into an image",
    .known_as = {{"", "Col2Im", {18}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = col2im_infer,
    .ref = col2im_ref,
    .lower = col2im_lower,
    .cases = cases,
};
