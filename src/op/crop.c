/* Crop: a legacy operator (ai.onnx 1, experimental, since dropped): x is [N, C, H, W], border is
 * [left, top, right, bottom]. y = x[:, :, top : H - bottom, left : W - right]; with scale = [h, w] the last
 * two are top + h and left + w. */
#include <inttypes.h>

#include "op/dims.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"

static sumi_status crop_infer(struct sumi_infer *ctx) {
  int n, n_scale;
  const int64_t *border = sumi_attr_ints(ctx->node, "border", &n),
                *scale = sumi_attr_ints(ctx->node, "scale", &n_scale);
  if (n != 4) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "border has %d entries, not 4", n);
  if (n_scale != 0 && n_scale != 2) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "scale has %d entries, not 2", n_scale);
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 4));
  sumi_dim dim[4] = {SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  if (ctx->in[0].rank == 4)
    for (int i = 0; i < 4; i++) dim[i] = ctx->in[0].dim[i];
  for (int i = 0; i < 2; i++) {
    const int64_t before = border[1 - i], after = border[3 - i];
    if (before < 0 || before > INT32_MAX || after < 0 || after > INT32_MAX ||
        (n_scale && (scale[i] < 0 || scale[i] > INT32_MAX)))
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "border or scale is out of range");
    const int64_t less = n_scale ? before + scale[i] : before + after;
    if (dim[2 + i] >= 0 && dim[2 + i] < less)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 ", %" PRId64 " are to be cut", 2 + i,
                dim[2 + i], less);
    dim[2 + i] = n_scale ? scale[i] : sumi_dim_sub(ctx->symbols, dim[2 + i], less);
  }
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, 4, dim);
  return SUMI_OK;
}

static sumi_status crop_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *y = c->out[0];
  int n;
  const int64_t *border = sumi_attr_ints(c->node, "border", &n);
  int64_t from[4], to[4];
  sumi_moves_in(m, 0, from);
  sumi_moves_out(m, 0, to);
  return sumi_moves_add(m, 4, y->dim, 0, 0, to, 0, border[1] * from[2] + border[0] * from[3], from);
}

static sumi_status crop_ref(const struct sumi_call *c) { return sumi_moves_run(c, crop_moves); }
static sumi_status crop_lower(struct sumi_lower *l) { return sumi_moves_lower(l, crop_moves, 1); }
static sumi_status crop_cells(struct sumi_cells *c) { return sumi_moves_cells(c, crop_moves, 1); }

static const struct sumi_attr_spec attrs[] = {
    {"border", SUMI_ATTR_INTS, true}, {"scale", SUMI_ATTR_INTS}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"<opset_import: [\"\": 7]> g (float[1,2,6,7] x) => (y) { y = Crop <border = [1, 2, 3, 1]> (x) }"},
    {"<opset_import: [\"\": 7]> g (float[1,2,6,7] x) => (y) { y = Crop <border = [1, 2, 0, 0], scale = [3, "
     "2]> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_crop = {
    .name = "Crop",
    .formula = "x without its borders",
    .known_as = {{"", "Crop", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = crop_infer,
    .flags = SUMI_OP_MOVES,
    .ref = crop_ref,
    .lower = crop_lower,
    .cells = crop_cells,
    .cases = cases,
};
