/* Clip: y = min(max(x, low), high), so high wins where low > high. The limits are attributes before version
 * 11 and scalar inputs from then on; what is not given is the type's lowest or largest finite number. A NaN
 * stays a NaN. */
#include <float.h>

#include "op/by_item.h"
#include "op/eltwise_lower.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

/* low and high as the lane has them. */
union limits {
  float f32[2];
  double f64[2];
  int64_t i64[2];
  uint64_t u64[2];
};

#define LOOP(name, T, member)                                                                              \
  static void name(const void *const *from, const int64_t *step, void *to, int64_t n, const void *param) { \
    (void)step;                                                                                            \
    const T *x = from[0], low = ((const union limits *)param)->member[0],                                  \
            high = ((const union limits *)param)->member[1];                                               \
    T *y = to;                                                                                             \
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                                                           \
      const T a = x[i] < low ? low : x[i];                                                                 \
      y[i] = a > high ? high : a;                                                                          \
    }                                                                                                      \
  }
LOOP(clip_f32, float, f32)
LOOP(clip_f64, double, f64)
LOOP(clip_i64, int64_t, i64)
LOOP(clip_u64, uint64_t, u64)

static sumi_status clip_infer(struct sumi_infer *ctx) {
  for (int i = 1; i < 3; i++) {
    if (!sumi_infer_has(ctx, i)) continue;
    const struct sumi_info *limit = &ctx->in[i];
    for (int k = 0; k < limit->rank; k++)
      if (limit->dim[k] >= 0 && limit->dim[k] != 1)
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d is not a scalar", i);
  }
  return sumi_infer_same(ctx);
}

static union limits widest(enum sumi_lane lane) {
  union limits l;
  switch (lane) {
    case SUMI_LANE_F32: l.f32[0] = -FLT_MAX, l.f32[1] = FLT_MAX; break;
    case SUMI_LANE_F64: l.f64[0] = -DBL_MAX, l.f64[1] = DBL_MAX; break;
    case SUMI_LANE_I64: l.i64[0] = INT64_MIN, l.i64[1] = INT64_MAX; break;
    default: l.u64[0] = 0, l.u64[1] = UINT64_MAX;
  }
  return l;
}

static sumi_status clip_ref(const struct sumi_call *c) {
  static const sumi_loop loop[] = {clip_f32, clip_f64, clip_i64, clip_u64};
  static const char *const name[] = {"min", "max"};
  const struct sumi_tensor *x = c->in[0];
  struct sumi_map map = {.n_in = 1, .in = {x}, .out = c->out[0], .lane = sumi_lane_of(x->dtype)};
  union limits limits = widest(map.lane);
  for (int i = 0; i < 2; i++) {
    char *limit = (char *)&limits + (size_t)i * sumi_lane_bytes(map.lane);
    const struct sumi_attr *attr = sumi_node_attr(c->node, name[i]);
    if (sumi_call_has(c, 1 + i))
      sumi_lane_load(map.lane, x->dtype, c->in[1 + i]->data, 0, 1, limit);
    else if (attr)
      sumi_lane_load(map.lane, SUMI_FLOAT32, &attr->u.f, 0, 1, limit);
  }
  map.loop = loop[map.lane];
  map.param = &limits;
  sumi_map_run(&map);
  return SUMI_OK;
}

/* Limits that are inputs are read where they lie. */
static sumi_status clip_cells(struct sumi_cells *c) {
  static const char *const name[] = {"min", "max"}, *const formula[] = {"a < b ? b : a", "a > b ? b : a"};
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, 1);
  int v = sumi_vector_load(&p, sumi_vector_view(&p, 0));
  const bool real = v >= 0 && p.value[v].real;
  for (int i = 0; i < 2; i++) {
    const struct sumi_attr *attr = sumi_node_attr(c->node, name[i]);
    int limit = -1;
    if (sumi_cells_has(c, 1 + i))
      limit = sumi_vector_load(&p, sumi_vector_view_plain(&p, 1 + i));
    else if (real)
      limit = sumi_vector_float(&p, attr ? attr->u.f : i ? FLT_MAX : -FLT_MAX);
    else if (attr)
      return sumi_cells_refuse(c, "integers with limits that are floats");
    else
      continue;
    v = SUMI_VECTOR(&p, formula[i], v, limit);
  }
  sumi_vector_store(&p, sumi_vector_view(&p, y), v);
  return sumi_vector_end(&p);
}

static const struct sumi_attr_spec attrs[] = {{"min", SUMI_ATTR_FLOAT, false, 11},
                                              {"max", SUMI_ATTR_FLOAT, false, 11},
                                              {"consumed_inputs", SUMI_ATTR_INTS, false, 6},
                                              {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_NUMBERS, 'T'},
                                      {"min", SUMI_NUMBERS, 'T', SUMI_PORT_OPTIONAL},
                                      {"max", SUMI_NUMBERS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_NUMBERS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3,37] x) => (y) <float low = {-0.5}, float high = {0.25}> { y = Clip (x, low, high) }"},
    {"g (float[3,37] x) => (y) <float high = {0.25}> { y = Clip (x, , high) }", .why = "no lower limit"},
    {"<opset_import: [\"\": 6]> g (float[3,37] x) => (y) { y = Clip <min = 0.0, max = 0.5> (x) }"},
    {"g (int8[37] x) => (y) <int8 low = {-3}, int8 high = {5}> { y = Clip (x, low, high) }", .low = -128,
     .high = 127},
    {NULL},
};

const struct sumi_op sumi_op_clip = {
    .name = "Clip",
    .formula = "min(max(x, low), high)",
    .known_as = {{"", "Clip", {1, 6, 11, 12, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = clip_infer,
    .by_item = sumi_by_item_elements,
    .ref = clip_ref,
    .lower = sumi_unary_lower,
    .cells = clip_cells,
    .grad = sumi_clip_grad,
    .cases = cases,
};
