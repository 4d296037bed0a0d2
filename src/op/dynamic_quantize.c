/* DynamicQuantizeLinear: uint8 over the range of x widened to hold 0:
 *   scale = (max(x, 0) - min(x, 0)) / 255, 1 where the range is empty
 *   zero point = saturate(round(-min(x, 0) / scale))
 *   y = saturate(round(x / scale) + zero point), ties to even. */
#include "base/fmath.h"
#include "base/size.h"
#include "op/call_lower.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/quant.h"
#include "op/quant_cells.h"

static sumi_status dynamic_infer(struct sumi_infer *ctx) {
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UINT8);
  sumi_infer_out(ctx, 1, SUMI_FLOAT32, 0, NULL);
  sumi_infer_out(ctx, 2, SUMI_UINT8, 0, NULL);
  return SUMI_OK;
}

struct quantising {
  const float *x;
  uint8_t *y;
  float scale, zero;
};

static void quantise_stretch(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct quantising *q = user;
  for (int64_t i = begin; i < end; i += SUMI_LANE_CHUNK) {
    float chunk[SUMI_LANE_CHUNK];
    const int64_t count = SUMI_MIN(end - i, SUMI_LANE_CHUNK);
    for (int64_t k = 0; k < count; k++) chunk[k] = q->x[i + k] / q->scale;
    sumi_quant_store(SUMI_UINT8, q->y, i, chunk, &q->zero, 0, count);
  }
}

static sumi_status dynamic_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  enum { WIDE = 8, STRETCH = 16384 }; /* starting a tile costs nothing beside a stretch */
  const float *x = c->in[0]->data;
  const int64_t n = sumi_tensor_count(c->in[0]);
  float low[WIDE] = {0}, high[WIDE] = {0};
  for (int64_t i = 0; i < n; i += WIDE)
    for (int64_t k = 0; k < SUMI_MIN(n - i, WIDE); k++) {
      low[k] = x[i + k] < low[k] ? x[i + k] : low[k];
      high[k] = x[i + k] > high[k] ? x[i + k] : high[k];
    }
  for (int k = 1; k < WIDE; k++) {
    low[0] = low[k] < low[0] ? low[k] : low[0];
    high[0] = high[k] > high[0] ? high[k] : high[0];
  }
  const float scale = high[0] == low[0] ? 1.0f : (high[0] - low[0]) / 255.0f;
  const float none = 0;
  float first = -low[0] / scale;
  uint8_t zero_point;
  sumi_quant_store(SUMI_UINT8, &zero_point, 0, &first, &none, 0, 1);
  if (sumi_call_wants(c, 1)) *(float *)c->out[1]->data = scale;
  if (sumi_call_wants(c, 2)) *(uint8_t *)c->out[2]->data = zero_point;
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  struct quantising q = {x, c->out[0]->data, scale, zero_point};
  sumi_par_for(tools ? tools->par : NULL, n, STRETCH, quantise_stretch, &q);
  return SUMI_OK;
}

static sumi_status dynamic_ref(const struct sumi_call *c) { return dynamic_run(c, NULL); }

static sumi_status dynamic_lower(struct sumi_lower *l) {
  return sumi_call_lower(l, dynamic_run, NULL, 0, -1, "stretches");
}

/* The largest (smallest) of x and 0: rows first, then the rows' results. */
static sumi_status extreme(struct sumi_cells *c, enum sumi_reduction_kind kind, struct sumi_seen *out) {
  const char *last = kind == SUMI_REDUCTION_MAX ? "a > 0 ? a : 0" : "a < 0 ? a : 0";
  const struct sumi_reduction rows = {kind, NULL, NULL}, all = {kind, NULL, last};
  const struct sumi_seen x = sumi_see(c, 0);
  const unsigned every = (1u << x.rank) - 1, inner = x.rank ? 1u << (x.rank - 1) : 0;
  const struct sumi_seen part = sumi_seen_temp(c, SUMI_FLOAT32, &x, inner, 0, 1);
  *out = sumi_seen_temp(c, SUMI_FLOAT32, &x, every, 0, 1);
  if (part.operand < 0 || out->operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_reduce_cells(c, &x, inner, &rows, &part));
  return sumi_reduce_cells(c, &part, every, &all, out);
}

static sumi_status dynamic_cells(struct sumi_cells *c) {
  const int out = sumi_cells_out(c, 0);
  struct sumi_seen low, high;
  struct sumi_vector p;
  if (!sumi_tensor_count(c->in[0])) return sumi_cells_refuse(c, "an empty tensor");
  SUMI_TRY(extreme(c, SUMI_REDUCTION_MIN, &low));
  SUMI_TRY(extreme(c, SUMI_REDUCTION_MAX, &high));
  const int scale = c->out[1] ? out + 1 : sumi_cells_temp(c, SUMI_FLOAT32, 0, NULL),
            zero = c->out[2] ? out + 2 : sumi_cells_temp(c, SUMI_UINT8, 0, NULL);
  if (scale < 0 || zero < 0) return SUMI_E_MEMORY;
  sumi_vector_start(&p, c);
  const int least = sumi_vector_load(&p, sumi_vector_view_plain(&p, low.operand)),
            most = sumi_vector_load(&p, sumi_vector_view_plain(&p, high.operand));
  const int s = SUMI_VECTOR(&p, "a == b ? 1 : (b - a) / 255.0f", least, most);
  const int z = sumi_quant_round(&p, SUMI_VECTOR(&p, "-a / b", least, s), sumi_vector_int(&p, 0));
  sumi_vector_store(&p, sumi_vector_view_plain(&p, scale), s);
  sumi_vector_store(&p, sumi_vector_view_plain(&p, zero), z);
  SUMI_TRY(sumi_vector_end(&p));
  if (!c->out[0]) return SUMI_OK;
  const int y = sumi_eltwise_begin(&p, c, 1), x = sumi_vector_load(&p, sumi_vector_view(&p, 0));
  const int by = sumi_vector_load(&p, sumi_vector_view_plain(&p, scale)),
            from = sumi_vector_load(&p, sumi_vector_view_plain(&p, zero));
  const int q = sumi_quant_round(&p, SUMI_VECTOR(&p, "a / b", x, by), from);
  sumi_vector_store(&p, sumi_vector_view(&p, y), q);
  return sumi_vector_end(&p);
}

static const struct sumi_port in[] = {{"x", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};
static const struct sumi_port out[] = {{"y", SUMI_BIT(SUMI_UINT8)},
                                       {"y_scale", SUMI_BIT(SUMI_FLOAT32)},
                                       {"y_zero_point", SUMI_BIT(SUMI_UINT8)},
                                       {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[3,301] x) => (y, s, z) { y, s, z = DynamicQuantizeLinear (x) }"},
    {"g (float[13] x) => (y, s, z) { y, s, z = DynamicQuantizeLinear (x) }", .low = 1, .high = 9,
     .why = "the range reaches down to 0"},
    {NULL},
};

const struct sumi_op sumi_op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear",
    .formula = "x in uint8 over its own range",
    .known_as = {{"", "DynamicQuantizeLinear", {11}}},
    .in = in,
    .out = out,
    .infer = dynamic_infer,
    .ref = dynamic_ref,
    .lower = dynamic_lower,
    .cells = dynamic_cells,
    .cases = cases,
};
