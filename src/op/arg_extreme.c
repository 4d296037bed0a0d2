/* ArgMax, ArgMin: along an axis, the index of the largest or smallest element: the first such, or the last
 * where select_last_index is set. A NaN counts as the largest and as the smallest, the first one wins. */
#include "base/size.h"
#include "op/extreme_lower.h"
#include "op/lane.h"
#include "op/op_util.h"

enum { COLUMNS = 128 };

/* best[i] and index[i] are updated from x[i], the elements of row k. nan: whether v and b make v the first
 * NaN. */
#define LOOP(name, T, nan)                                                                         \
  static void name(const void *from, int64_t width, int64_t k, bool smallest, bool last, void *to, \
                   int64_t *index) {                                                               \
    const T *x = from;                                                                             \
    T *best = to;                                                                                  \
    for (int64_t i = 0; i < width; i++) {                                                          \
      const T v = x[i], b = best[i];                                                               \
      const bool better = (smallest ? v < b : v > b) || (last && v == b) || (nan);                 \
      best[i] = better ? v : b;                                                                    \
      index[i] = better ? k : index[i];                                                            \
    }                                                                                              \
  }
LOOP(next_f32, float, v != v && b == b)
LOOP(next_f64, double, v != v && b == b)
LOOP(next_i64, int64_t, false)
LOOP(next_u64, uint64_t, false)

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, SUMI_INT64);
    return SUMI_OK;
  }
  int axis;
  SUMI_TRY(sumi_op_axis(ctx->node, 0, x->rank, &axis, ctx->err));
  if (x->rank && x->dim[axis] == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "there is nothing along axis %d", axis);
  const bool keep = sumi_attr_int(ctx->node, "keepdims", 1) != 0;
  sumi_dim dim[SUMI_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < x->rank; i++)
    if (i != axis || keep) dim[rank++] = i == axis ? 1 : x->dim[i];
  sumi_infer_out(ctx, 0, SUMI_INT64, rank, dim);
  return SUMI_OK;
}

static sumi_status run(const struct sumi_call *c, bool smallest) {
  static void (*const loop[])(const void *, int64_t, int64_t, bool, bool, void *, int64_t *) = {
      next_f32, next_f64, next_i64, next_u64};
  const struct sumi_tensor *x = c->in[0];
  const bool last = sumi_attr_int(c->node, "select_last_index", 0) != 0;
  const enum sumi_lane lane = sumi_lane_of(x->dtype);
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, 0, x->rank, &axis, c->err));
  /* x is [outer, n, inner] */
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), n = x->rank ? x->dim[axis] : 1;
  const int64_t inner = x->rank ? sumi_dims_count(x->dim, axis + 1, x->rank) : 1;
  _Alignas(16) char best[COLUMNS * 8], row[COLUMNS * 8];
  for (int64_t o = 0; o < outer; o++)
    for (int64_t j = 0; j < inner; j += COLUMNS) {
      const int64_t width = SUMI_MIN(inner - j, COLUMNS);
      int64_t *index = (int64_t *)c->out[0]->data + o * inner + j;
      for (int64_t i = 0; i < width; i++) index[i] = 0;
      sumi_lane_load(lane, x->dtype, x->data, o * n * inner + j, width, best);
      /* rows are loaded one by one, or, where they are of one element, many at a time */
      const int64_t together = inner == 1 ? COLUMNS : 1;
      for (int64_t k = 1; k < n; k += together) {
        const int64_t rows = SUMI_MIN(together, n - k);
        sumi_lane_load(lane, x->dtype, x->data, (o * n + k) * inner + j, rows * width, row);
        for (int64_t r = 0; r < rows; r++)
          loop[lane](row + (size_t)r * sumi_lane_bytes(lane), width, k + r, smallest, last, best, index);
      }
    }
  return SUMI_OK;
}

static sumi_status arg_max_ref(const struct sumi_call *c) { return run(c, false); }
static sumi_status arg_min_ref(const struct sumi_call *c) { return run(c, true); }

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT}, {"keepdims", SUMI_ATTR_INT}, {"select_last_index", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"data", SUMI_NUMBERS}, {NULL}};
static const struct sumi_port out[] = {{"reduced", SUMI_BIT(SUMI_INT64)}, {NULL}};

#define ARG(symbol, label, text)                                                                          \
  static const struct sumi_case symbol##_cases[] = {                                                      \
      {"g (float[3,5,200] x) => (y) { y = " label " <axis = 1> (x) }"},                                   \
      {"g (int8[4,33] x) => (y) { y = " label " <axis = -1, keepdims = 0, select_last_index = 1> (x) }",  \
       .why = "ties"},                                                                                    \
      {"g (float[2,9,300] x) => (y) { i = Floor (x) y = " label " <axis = 1> (i) }",                      \
       .why = "ties, strips of columns"},                                                                 \
      {"g (float[2,9,7] x) => (y) { i = Floor (x) y = " label " <axis = 1, select_last_index = 1> (i) }", \
       .why = "ties"},                                                                                    \
      {"g (float[9,70] x) => (y) { i = Floor (x) y = " label " <axis = 1, select_last_index = 1> (i) }",  \
       .why = "ties"},                                                                                    \
      {"g (float[9,70] x) => (y, z, v, w) { l = Log (x) y = " label " <axis = 1> (l) z = " label          \
       " <axis = 0> (l) v = " label " <axis = 0, select_last_index = 1> (l) w = " label                   \
       " <axis = 1, select_last_index = 1> (l) }",                                                        \
       .why = "NaN"},                                                                                     \
      {"g (float x) => (y) { y = " label " (x) }"},                                                       \
      {NULL},                                                                                             \
  };                                                                                                      \
  const struct sumi_op sumi_op_##symbol = {                                                               \
      .name = label,                                                                                      \
      .formula = text,                                                                                    \
      .known_as = {{"", label, {1, 11, 12, 13}}},                                                         \
      .attrs = attrs,                                                                                     \
      .in = in,                                                                                           \
      .out = out,                                                                                         \
      .infer = infer,                                                                                     \
      .ref = symbol##_ref,                                                                                \
      .lower = sumi_arg_extreme_lower,                                                                    \
      .cases = symbol##_cases,                                                                            \
  };
ARG(arg_max, "ArgMax", "index of the largest x along axis")
ARG(arg_min, "ArgMin", "index of the smallest x along axis")
