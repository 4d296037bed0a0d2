/* DepthToSpace, SpaceToDepth: x is [N, C, H, W], b = blocksize.
 *   DepthToSpace, DCR: y[n, c, h*b + i, w*b + j] = x[n, (i*b + j)*C' + c, h, w], C' = C / b^2
 *                 CRD: y[n, c, h*b + i, w*b + j] = x[n, c*b*b + i*b + j, h, w]
 *   SpaceToDepth is the inverse (DCR; mode from version 28). */
#include <inttypes.h>

#include "op/dims.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"

static bool to_space(const struct sumi_node *node) { return sumi_streq(node->op->name, "DepthToSpace"); }

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const int64_t b = sumi_attr_int(ctx->node, "blocksize", 0);
  const char *mode = sumi_attr_string(ctx->node, "mode", "DCR");
  if (b < 1 || b > INT32_MAX) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "blocksize is %" PRId64, b);
  if (!sumi_streq(mode, "DCR") && !sumi_streq(mode, "CRD"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "mode is '%s'", mode);
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 4));
  sumi_dim dim[4] = {SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  if (x->rank == 4) {
    const bool space = to_space(ctx->node);
    for (int i = 1; i < 4; i++)
      if ((i == 1) == space && x->dim[i] >= 0 && x->dim[i] % (i == 1 ? b * b : b))
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 ", not divisible by %" PRId64, i,
                  x->dim[i], i == 1 ? b * b : b);
    struct sumi_symbols *s = ctx->symbols;
    dim[0] = x->dim[0];
    dim[1] = space ? sumi_dim_div(s, x->dim[1], b * b) : sumi_dim_mul(s, x->dim[1], b * b);
    for (int i = 2; i < 4; i++)
      dim[i] = space ? sumi_dim_mul(s, x->dim[i], b) : sumi_dim_div(s, x->dim[i], b);
  }
  sumi_infer_out(ctx, 0, x->dtype, 4, dim);
  return SUMI_OK;
}

static sumi_status moves(const struct sumi_call *c, struct sumi_moves *m) {
  const bool space = to_space(c->node), dcr = sumi_attr_is(c->node, "mode", "DCR", "DCR");
  const struct sumi_tensor *deep = space ? c->in[0] : c->out[0], *wide = space ? c->out[0] : c->in[0];
  const int64_t b = sumi_attr_int(c->node, "blocksize", 1);
  const int64_t channels = wide->dim[1];
  int64_t from[4], to[4];
  sumi_moves_in(m, 0, from);
  sumi_moves_out(m, 0, to);
  const int64_t *d = space ? from : to, *w = space ? to : from; /* strides of deep and wide */
  /* the dims n, c, h, i, w, j with the strides they have in either tensor */
  const int64_t dim[6] = {deep->dim[0], channels, deep->dim[2], b, deep->dim[3], b};
  const int64_t in_deep[6] = {d[0], (dcr ? 1 : b * b) * d[1],   d[2], (dcr ? channels * b : b) * d[1],
                              d[3], (dcr ? channels : 1) * d[1]};
  const int64_t in_wide[6] = {w[0], w[1], b * w[2], w[2], b * w[3], w[3]};
  return sumi_moves_add(m, 6, dim, 0, 0, space ? in_wide : in_deep, 0, 0, space ? in_deep : in_wide);
}

static sumi_status ref(const struct sumi_call *c) { return sumi_moves_run(c, moves); }
static sumi_status lower(struct sumi_lower *l) { return sumi_moves_lower(l, moves, 1); }
static sumi_status cells(struct sumi_cells *c) { return sumi_moves_cells(c, moves, 1); }

static const struct sumi_attr_spec attrs[] = {
    {"blocksize", SUMI_ATTR_INT, true}, {"mode", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case depth_cases[] = {
    {"g (float[1,8,2,3] x) => (y) { y = DepthToSpace <blocksize = 2> (x) }"},
    {"g (float[2,18,2,3] x) => (y) { y = DepthToSpace <blocksize = 3, mode = \"CRD\"> (x) }"},
    {NULL},
};
static const struct sumi_case space_cases[] = {
    {"g (float[2,3,4,6] x) => (y) { y = SpaceToDepth <blocksize = 2> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_depth_to_space = {
    .name = "DepthToSpace",
    .formula = "channels to blocks of pixels",
    .known_as = {{"", "DepthToSpace", {1, 11, 13, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = infer,
    .flags = SUMI_OP_MOVES,
    .ref = ref,
    .lower = lower,
    .cells = cells,
    .cases = depth_cases,
};

const struct sumi_op sumi_op_space_to_depth = {
    .name = "SpaceToDepth",
    .formula = "blocks of pixels to channels",
    .known_as = {{"", "SpaceToDepth", {1, 13, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = infer,
    .flags = SUMI_OP_MOVES,
    .ref = ref,
    .lower = lower,
    .cells = cells,
    .cases = space_cases,
};
