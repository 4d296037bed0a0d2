/* InstanceNormalization, GroupNormalization: y = scale * (x - mean) / sqrt(var + epsilon) + b, where mean and (population)
 * variance are taken over one group of channels of one image. InstanceNormalization's groups are single channels. scale
 * and b are per channel, except GroupNormalization's before version 21, which are per group.
 * Everything is in double precision, y is rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/norm_lower.h"
#include "op/op_util.h"
#include "op/rows_cells.h"

/* The groups of a node; channels for InstanceNormalization, which has no such attribute. */
static int64_t groups(const struct sumi_node *node, int64_t channels) {
  return sumi_attr_int(node, "num_groups", channels);
}

static bool grouped(const struct sumi_node *node) { return sumi_node_attr(node, "num_groups") != NULL; }

static sumi_status group_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  if (x->rank >= 0 && x->rank < 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 2 is needed", x->rank);
  const sumi_dim channels = x->rank >= 0 ? x->dim[1] : SUMI_DIM_UNKNOWN;
  if (grouped(ctx->node)) {
    const int64_t g = groups(ctx->node, 0);
    if (g < 1 || (channels >= 0 && channels % g))
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "num_groups %" PRId64 " does not divide %" PRId64 " channels", g,
                channels);
  }
  const sumi_dim want = grouped(ctx->node) && ctx->node->version < 21 ? groups(ctx->node, 0) : channels;
  for (int i = 1; i < 3; i++) {
    const struct sumi_info *p = &ctx->in[i];
    if (p->rank < 0) continue;
    if (p->rank != 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not 1", i, p->rank);
    if (p->dim[0] >= 0 && want >= 0 && p->dim[0] != want)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has %" PRId64 " elements, not %" PRId64, i, p->dim[0],
                want);
  }
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status group_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *scale = c->in[1], *b = c->in[2], *y = c->out[0];
  const int64_t channels = x->dim[1], pixels = sumi_dims_count(x->dim, 2, x->rank),
                count_groups = groups(c->node, channels);
  if (!channels || !pixels) return SUMI_OK;
  const int64_t in_group = channels / count_groups, n = in_group * pixels;
  const bool per_group = grouped(c->node) && c->node->version < 21;
  const double epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f);
  for (int64_t g = 0; g < x->dim[0] * count_groups; g++) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) sum += sumi_get_f64(x->dtype, x->data, g * n + i);
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
      const double d = sumi_get_f64(x->dtype, x->data, g * n + i) - mean;
      square += d * d;
    }
    const double inverse = 1 / sqrt(square / (double)n + epsilon);
    for (int64_t i = 0; i < n; i++) {
      const int64_t k = per_group ? g % count_groups : g % count_groups * in_group + i / pixels;
      const double normal = (sumi_get_f64(x->dtype, x->data, g * n + i) - mean) * inverse;
      sumi_set_f64(y->dtype, y->data, g * n + i,
                   normal * sumi_get_f64(scale->dtype, scale->data, k) + sumi_get_f64(b->dtype, b->data, k));
    }
  }
  return SUMI_OK;
}

/* x as [n, groups, channels of a group, ...]. */
static sumi_status group_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0), rank = c->in[0]->rank + 1;
  const int64_t g = groups(c->node, c->in[0]->dim[1]);
  const bool per_group = grouped(c->node) && c->node->version < 21;
  if (!sumi_tensor_count(c->in[0])) return sumi_cells_refuse(c, "an empty tensor");
  sumi_cells_same_form(c, y, 0);
  struct sumi_norm n = {.x = sumi_see(c, 0),
                        .y = sumi_see(c, y),
                        .scale = sumi_see_broadcast(c, 1, rank - 1, 1),
                        .bias = sumi_see_broadcast(c, 2, rank - 1, 1),
                        .mean = sumi_see(c, -1),
                        .inverse = sumi_see(c, -1),
                        .inner = ((1u << rank) - 1) & ~3u,
                        .centred = true,
                        .factor = SUMI_NORM_FACTOR,
                        .epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f)};
  sumi_seen_split(&n.x, 1, g);
  sumi_seen_split(&n.y, 1, g);
  sumi_seen_split(&n.scale, 1, per_group ? n.scale.dim[1] : g);
  sumi_seen_split(&n.bias, 1, per_group ? n.bias.dim[1] : g);
  return sumi_norm_cells(c, &n);
}

static const struct sumi_attr_spec instance_attrs[] = {
    {"epsilon", SUMI_ATTR_FLOAT}, {"consumed_inputs", SUMI_ATTR_INTS, .until = 6}, {NULL}};
static const struct sumi_attr_spec group_attrs[] = {
    {"num_groups", SUMI_ATTR_INT, true}, {"epsilon", SUMI_ATTR_FLOAT}, {"stash_type", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"X", SUMI_FLOATS, 'T'}, {"scale", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case instance_cases[] = {
    {"g (float[2,3,4,5] x, float[3] s, float[3] b) => (y) { y = InstanceNormalization (x, s, b) }",
     .rtol = 1e-5, .why = "statistics of 20 elements in float32"},
    {"<opset_import: [\"\": 6]> g (double[2,3,9] x, double[3] s, double[3] b) => (y) "
     "{ y = InstanceNormalization <epsilon = 0.01> (x, s, b) }",
     .rtol = 1e-12},
    {NULL},
};
static const struct sumi_case group_cases[] = {
    {"g (float[2,6,4,5] x, float[6] s, float[6] b) => (y) { y = GroupNormalization <num_groups = 2> (x, s, "
     "b) }",
     .rtol = 1e-5},
    {"<opset_import: [\"\": 18]> g (float[2,6,7] x, float[3] s, float[3] b) => (y) "
     "{ y = GroupNormalization <num_groups = 3> (x, s, b) }",
     .rtol = 1e-5, .why = "scale and bias per group"},
    {NULL},
};

const struct sumi_op sumi_op_instance_normalization = {
    .name = "InstanceNormalization",
    .formula = "scale * (x - mean) / sqrt(var + epsilon) + b per image and channel",
    .known_as = {{"", "InstanceNormalization", {1, 6, 22}}},
    .attrs = instance_attrs,
    .in = in,
    .out = out,
    .infer = group_infer,
    .ref = group_ref,
    .lower = sumi_group_norm_lower,
    .cells = group_cells,
    .cases = instance_cases,
};

const struct sumi_op sumi_op_group_normalization = {
    .name = "GroupNormalization",
    .formula = "scale * (x - mean) / sqrt(var + epsilon) + b per image and group of channels",
    .known_as = {{"", "GroupNormalization", {18, 21}}},
    .attrs = group_attrs,
    .in = in,
    .out = out,
    .infer = group_infer,
    .ref = group_ref,
    .lower = sumi_group_norm_lower,
    .cells = group_cells,
    .cases = group_cases,
};
