/* ScatterElements (Scatter before version 11): y = x, then y[j... with index[j...] at axis] = update[j...].
 * ScatterND: y = x, then y[index[j..., :], ...] = update[j..., ...].
 * reduction (none; add, mul from version 16; max, min from 18) combines with what is there; with duplicate
 * indices and none the last update in row-major order wins. Negative indices count from the back; each is
 * checked. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/index_lower.h"
#include "op/move.h"
#include "op/op_util.h"

enum reduction { NONE, ADD, MUL, MAX, MIN };

static sumi_status reduction_of(const struct sumi_node *node, sumi_dtype dtype, enum reduction *r,
                                struct sumi_err *err) {
  static const char *const names[] = {"none", "add", "mul", "max", "min"};
  const char *name = sumi_attr_string(node, "reduction", "none");
  const int known = node->version < 18 ? 3 : 5;
  int i = 0;
  while (i < known && !sumi_streq(name, names[i])) i++;
  if (i == known) SUMI_FAIL(err, SUMI_E_VALUE, "reduction is '%s'", name);
  if (i && (dtype == SUMI_STRING || sumi_dtype_in(dtype, SUMI_COMPLEX)))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "reduction '%s' of %s", name, sumi_dtype_label(dtype));
  *r = (enum reduction)i;
  return SUMI_OK;
}

static double reduce_f64(enum reduction r, double a, double b) {
  if (r == ADD) return a + b;
  if (r == MUL) return a * b;
  if (a != a || b != b) return a + b;
  return r == MAX ? SUMI_MAX(a, b) : SUMI_MIN(a, b);
}

static int64_t reduce_i64(sumi_dtype d, enum reduction r, int64_t a, int64_t b) {
  if (r == ADD) return (int64_t)((uint64_t)a + (uint64_t)b);
  if (r == MUL) return (int64_t)((uint64_t)a * (uint64_t)b);
  const bool less = d == SUMI_UINT64 ? (uint64_t)a < (uint64_t)b : a < b;
  return (r == MAX) == less ? b : a;
}

/* n elements of update from `from` on into y from `to` on. */
static void apply(sumi_dtype d, enum reduction r, void *y, int64_t to, const void *update, int64_t from,
                  int64_t n) {
  if (r == NONE) {
    sumi_copy(d, y, to, update, from, n);
  } else if (sumi_dtype_is_float(d)) {
    for (int64_t i = 0; i < n; i++)
      sumi_set_f64(d, y, to + i,
                   reduce_f64(r, sumi_get_f64(d, y, to + i), sumi_get_f64(d, update, from + i)));
  } else {
    for (int64_t i = 0; i < n; i++)
      sumi_set_i64(d, y, to + i,
                   reduce_i64(d, r, sumi_get_i64(d, y, to + i), sumi_get_i64(d, update, from + i)));
  }
}

/* ---- ScatterElements ----------------------------------------------------------------------------------- */

static sumi_status elements_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1], *update = &ctx->in[2];
  enum reduction r;
  int axis;
  SUMI_TRY(reduction_of(ctx->node, x->dtype, &r, ctx->err));
  if (x->rank >= 0) {
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), x->rank, &axis, ctx->err));
    SUMI_TRY(sumi_op_want_rank(ctx, 1, x->rank));
    SUMI_TRY(sumi_op_want_rank(ctx, 2, x->rank));
    for (int i = 0; i < x->rank && index->rank == x->rank; i++) {
      if (i != axis && x->dim[i] >= 0 && index->dim[i] > x->dim[i])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 " in indices and %" PRId64 " in data", i,
                  index->dim[i], x->dim[i]);
      if (update->rank == x->rank && index->dim[i] >= 0 && update->dim[i] >= 0 &&
          index->dim[i] != update->dim[i])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 " in indices and %" PRId64 " in updates",
                  i, index->dim[i], update->dim[i]);
    }
  }
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status elements_ref(const struct sumi_call *c) {
  const struct sumi_tensor *index = c->in[1], *update = c->in[2], *y = c->out[0];
  enum reduction r;
  int axis;
  SUMI_TRY(reduction_of(c->node, y->dtype, &r, c->err));
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), y->rank, &axis, c->err));
  SUMI_TRY(sumi_ref_view(c));
  int64_t stride[SUMI_MAX_RANK], others[SUMI_MAX_RANK];
  sumi_strides(y->dim, y->rank, stride);
  for (int i = 0; i < y->rank; i++) others[i] = i == axis ? 0 : stride[i];
  int64_t j = 0;
  for (struct sumi_walk w = sumi_walk_start(index->rank, index->dim, others, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), j++) {
    int64_t at;
    SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, j), y->dim[axis], &at, c->err));
    apply(y->dtype, r, y->data, w.offset[0] + at * stride[axis], update->data, j, 1);
  }
  return SUMI_OK;
}

/* ---- ScatterND ----------------------------------------------------------------------------------------- */

/* updates must be [index dims but the last..., data dims behind the indexed ones...]. */
static sumi_status check_updates(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1], *update = &ctx->in[2];
  if (x->rank < 1 || index->rank < 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "data has rank %d, indices %d: at least 1 is wanted", x->rank,
              index->rank);
  const sumi_dim depth = index->dim[index->rank - 1];
  if (depth < 0) return SUMI_OK;
  if (depth > x->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "an index has %" PRId64 " entries, data has rank %d", depth, x->rank);
  const int lead = index->rank - 1, rank = lead + x->rank - (int)depth;
  if (update->rank < 0) return SUMI_OK;
  SUMI_TRY(sumi_op_want_rank(ctx, 2, rank));
  for (int i = 0; i < rank; i++) {
    const sumi_dim want = i < lead ? index->dim[i] : x->dim[i - lead + depth];
    if (want >= 0 && update->dim[i] >= 0 && want != update->dim[i])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of updates is %" PRId64 ", not %" PRId64, i,
                update->dim[i], want);
  }
  return SUMI_OK;
}

static sumi_status nd_infer(struct sumi_infer *ctx) {
  enum reduction r;
  SUMI_TRY(reduction_of(ctx->node, ctx->in[0].dtype, &r, ctx->err));
  if (ctx->in[0].rank >= 0 && ctx->in[1].rank >= 0) SUMI_TRY(check_updates(ctx));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status nd_ref(const struct sumi_call *c) {
  const struct sumi_tensor *index = c->in[1], *update = c->in[2], *y = c->out[0];
  enum reduction r;
  SUMI_TRY(reduction_of(c->node, y->dtype, &r, c->err));
  SUMI_TRY(sumi_ref_view(c));
  const int depth = (int)index->dim[index->rank - 1];
  const int64_t block = sumi_dims_count(y->dim, depth, y->rank),
                n = sumi_dims_count(index->dim, 0, index->rank - 1);
  int64_t stride[SUMI_MAX_RANK];
  sumi_strides(y->dim, y->rank, stride);
  for (int64_t j = 0; j < n; j++) {
    int64_t to = 0;
    for (int k = 0; k < depth; k++) {
      int64_t at;
      SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, j * depth + k), y->dim[k], &at, c->err));
      to += at * stride[k];
    }
    apply(y->dtype, r, y->data, to, update->data, j * block, block);
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec elements_attrs[] = {
    {"axis", SUMI_ATTR_INT}, {"reduction", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_attr_spec nd_attrs[] = {{"reduction", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port elements_in[] = {
    {"data", SUMI_ANY, 'T'}, {"indices", SUMI_INDICES}, {"updates", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port nd_in[] = {
    {"data", SUMI_ANY, 'T'}, {"indices", SUMI_BIT(SUMI_INT64)}, {"updates", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case elements_cases[] = {
    {"g (float[3,3] x, float[2,3] u) => (y) <int64[2,3] i = {1, 0, 2, 0, 2, -2}> { y = ScatterElements (x, "
     "i, u) }"},
    {"g (float[1,5] x, float[1,2] u) => (y) <int64[1,2] i = {1, 1}> { y = ScatterElements <axis = 1, "
     "reduction = \"add\"> (x, i, u) }",
     .why = "duplicates add up"},
    {"g (int32[1,5] x, int32[1,2] u) => (y) <int64[1,2] i = {1, 3}> { y = ScatterElements <axis = 1, "
     "reduction = \"max\"> (x, i, u) }"},
    {"g (float[2,8,3] x, int64[2,300,3] i, float[2,300,3] u) => (y) { y = ScatterElements <axis = 1> (x, i, "
     "u) }",
     .why = "the last of several wins, more than a chunk"},
    {"g (float[3,8,3] x, int32[2,3,2] i, float[2,3,2] u) => (y) { y = ScatterElements <axis = 1, reduction = "
     "\"mul\"> (x, i, u) }",
     .why = "the index is smaller in every other dim"},
    {"g (float[8] x) => (y) <int64[4] i = {4, 3, 4, -1}, float[4] u = {nan, 9, -9, nan}> { y = "
     "ScatterElements <reduction = "
     "\"min\"> (x, i, u) }",
     .why = "a NaN stays"},
    {"g (int64[8,2] x, int64[9,2] i, int64[9,2] u) => (y) { y = ScatterElements <reduction = \"add\"> (x, i, "
     "u) }"},
    {"g (uint8[8,2] x, int64[0,2] i, uint8[0,2] u) => (y) { y = ScatterElements (x, i, u) }",
     .why = "nothing scattered"},
    {NULL},
};
static const struct sumi_case nd_cases[] = {
    {"g (float[4,3,2] x, float[2,3,2] u) => (y) <int64[2,1] i = {0, -2}> { y = ScatterND (x, i, u) }"},
    {"g (float[8,8] x, float[300] u, int64[300,2] i) => (y) { y = ScatterND (x, i, u) }",
     .why = "single elements, the last of several wins, more than one chunk"},
    {"g (int64[9,3] x, int64[2,3] u) => (y) <int64[2,1] i = {8, -8}> { y = ScatterND (x, i, u) }"},
    {"g (float[8] x, float[4] u) => (y) <int64[4,1] i = {4, 3, 4, 7}> { y = ScatterND <reduction = \"mul\"> "
     "(x, i, u) }"},
    {"g (float[8,3] x, float[9,3] u, int64[9,1] i) => (y) { y = ScatterND <reduction = \"add\"> (x, i, u) }",
     .why = "duplicates of whole rows add up"},
    {"g (int64[8,3] x, int64[300] u, int64[300,2] i) => (y) <int64 l = {0}, int64 h = {2}> { j = Clip (i, l, "
     "h) y = ScatterND <reduction = \"max\"> (x, j, u) "
     "}",
     .why = "single elements"},
    {NULL},
};

const struct sumi_op sumi_op_scatter_elements = {
    .name = "ScatterElements",
    .formula = "y = x; y[j with index[j] at axis] = update[j]",
    .known_as = {{"", "ScatterElements", {11, 13, 16, 18}}, {"", "Scatter", {9, 11}}},
    .attrs = elements_attrs,
    .in = elements_in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = elements_infer,
    .ref = elements_ref,
    .lower = sumi_scatter_elements_lower,
    .cases = elements_cases,
};

const struct sumi_op sumi_op_scatter_nd = {
    .name = "ScatterND",
    .formula = "y = x; y[index[j, :], i] = update[j, i]",
    .known_as = {{"", "ScatterND", {11, 13, 16, 18}}},
    .attrs = nd_attrs,
    .in = nd_in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = nd_infer,
    .ref = nd_ref,
    .lower = sumi_scatter_nd_lower,
    .cases = nd_cases,
};
