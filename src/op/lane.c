/* The lanes of element-wise loops. See the header. */
#include "op/lane.h"

#include "base/half.h"
#include "base/size.h"

enum sumi_lane sumi_lane_of(sumi_dtype d) {
  switch (sumi_dtype_class(d)) {
    case 'F': return d == SUMI_FLOAT64 ? SUMI_LANE_F64 : SUMI_LANE_F32;
    case 'I': return SUMI_LANE_I64;
    default: return SUMI_LANE_U64;
  }
}

bool sumi_lane_direct(enum sumi_lane lane, sumi_dtype d) {
  switch (lane) {
    case SUMI_LANE_F32: return d == SUMI_FLOAT32;
    case SUMI_LANE_F64: return d == SUMI_FLOAT64;
    default: return d == SUMI_INT64 || d == SUMI_UINT64;
  }
}

/* Integer types that are converted by plain loops: LANE(name, C type). */
#define PLAIN_INTS(LANE)      \
  LANE(SUMI_INT64, int64_t)   \
  LANE(SUMI_INT32, int32_t)   \
  LANE(SUMI_INT16, int16_t)   \
  LANE(SUMI_INT8, int8_t)     \
  LANE(SUMI_UINT64, uint64_t) \
  LANE(SUMI_UINT32, uint32_t) \
  LANE(SUMI_UINT16, uint16_t) \
  LANE(SUMI_UINT8, uint8_t)   \
  LANE(SUMI_BOOL, uint8_t)

static void load_f32(sumi_dtype d, const void *data, int64_t first, int64_t n, float *to) {
  switch (d) {
#define LANE(code, T)                                                            \
  case code:                                                                     \
    for (int64_t i = 0; i < n; i++) to[i] = (float)((const T *)data)[first + i]; \
    break;
    PLAIN_INTS(LANE)
#undef LANE
    case SUMI_FLOAT16:
      for (int64_t i = 0; i < n; i++) to[i] = sumi_f32_from_f16(((const uint16_t *)data)[first + i]);
      break;
    default: sumi_to_f32(d, data, first, n, to);
  }
}

static void store_f32(sumi_dtype d, void *data, int64_t first, int64_t n, const float *from) {
  if (d == SUMI_FLOAT16)
    for (int64_t i = 0; i < n; i++) ((uint16_t *)data)[first + i] = sumi_f16_from_f32(from[i]);
  else if (d == SUMI_BFLOAT16)
    for (int64_t i = 0; i < n; i++) ((uint16_t *)data)[first + i] = sumi_bf16_from_f32(from[i]);
  else
    sumi_from_f32(d, from, n, data, first);
}

static void load_f64(sumi_dtype d, const void *data, int64_t first, int64_t n, double *to) {
  switch (d) {
#define LANE(code, T)                                                             \
  case code:                                                                      \
    for (int64_t i = 0; i < n; i++) to[i] = (double)((const T *)data)[first + i]; \
    break;
    LANE(SUMI_FLOAT32, float)
    PLAIN_INTS(LANE)
#undef LANE
    default:
      for (int64_t i = 0; i < n; i++) to[i] = sumi_get_f64(d, data, first + i);
  }
}

static void load_i64(sumi_dtype d, const void *data, int64_t first, int64_t n, int64_t *to) {
  switch (d) {
#define LANE(code, T)                                                              \
  case code:                                                                       \
    for (int64_t i = 0; i < n; i++) to[i] = (int64_t)((const T *)data)[first + i]; \
    break;
    PLAIN_INTS(LANE)
#undef LANE
    default:
      for (int64_t i = 0; i < n; i++) to[i] = sumi_get_i64(d, data, first + i);
  }
}

void sumi_lane_load(enum sumi_lane lane, sumi_dtype d, const void *data, int64_t first, int64_t n, void *to) {
  if (lane == SUMI_LANE_F32)
    load_f32(d, data, first, n, to);
  else if (lane == SUMI_LANE_F64)
    load_f64(d, data, first, n, to);
  else
    load_i64(d, data, first, n, to);
}

static void store_i64(sumi_dtype d, void *data, int64_t first, int64_t n, const int64_t *from) {
  switch (d == SUMI_BOOL ? SUMI_UNDEFINED : d) { /* a bool is 0 or 1, not the number's low bits */
#define LANE(code, T)                                                    \
  case code:                                                             \
    for (int64_t i = 0; i < n; i++) ((T *)data)[first + i] = (T)from[i]; \
    break;
    PLAIN_INTS(LANE)
#undef LANE
    default:
      for (int64_t i = 0; i < n; i++) sumi_set_i64(d, data, first + i, from[i]);
  }
}

void sumi_lane_store(enum sumi_lane lane, sumi_dtype d, void *data, int64_t first, int64_t n,
                     const void *from) {
  const double *f64 = from;
  if (lane == SUMI_LANE_F32)
    store_f32(d, data, first, n, from);
  else if (lane != SUMI_LANE_F64)
    store_i64(d, data, first, n, from);
  else if (d == SUMI_FLOAT32)
    for (int64_t i = 0; i < n; i++) ((float *)data)[first + i] = (float)f64[i];
  else
    for (int64_t i = 0; i < n; i++) sumi_set_f64(d, data, first + i, f64[i]);
}

/* One row of a map in chunks, through buffers where a type is not the lane's own. */
static void run_row(const struct sumi_map *m, bool own, const int64_t *offset, const int64_t *step,
                    int64_t out_at, int64_t n) {
  _Alignas(16) char buffer[SUMI_BCAST_MAX + 1][SUMI_LANE_CHUNK * 8]; /* as wide as any lane */
  const size_t bytes = own ? (size_t)sumi_dtype_bits(m->own) / 8 : sumi_lane_bytes(m->lane);
  const void *in[SUMI_BCAST_MAX];
  const bool out_direct = own || m->to_bool || sumi_lane_direct(m->lane, m->out->dtype);
  const size_t out_bytes = m->to_bool ? 1 : bytes;
  bool all_direct = out_direct, direct[SUMI_BCAST_MAX];
  for (int k = 0; k < m->n_in; k++)
    all_direct &= direct[k] = own || sumi_lane_direct(m->lane, m->in[k]->dtype);
  const int64_t most = all_direct ? n : SUMI_LANE_CHUNK;
  for (int64_t i = 0; i < n; i += most) {
    const int64_t count = SUMI_MIN(most, n - i);
    for (int k = 0; k < m->n_in; k++) {
      const int64_t at = offset[k] + i * step[k];
      if (direct[k]) {
        in[k] = (const char *)m->in[k]->data + (size_t)at * bytes;
        continue;
      }
      sumi_lane_load(m->lane, m->in[k]->dtype, m->in[k]->data, at, step[k] ? count : 1, buffer[k]);
      in[k] = buffer[k];
    }
    void *y = out_direct ? (char *)m->out->data + (size_t)(out_at + i) * out_bytes : buffer[SUMI_BCAST_MAX];
    (own ? m->own_loop : m->loop)(in, step, y, count, m->param);
    if (!out_direct) sumi_lane_store(m->lane, m->out->dtype, m->out->data, out_at + i, count, y);
  }
}

void sumi_map_run(const struct sumi_map *m) {
  struct sumi_bcast b;
  sumi_bcast_init(&b, m->out->rank, m->out->dim, m->in, m->n_in);
  const int64_t n = b.dim[b.rank - 1];
  int64_t step[SUMI_BCAST_MAX], out_at = 0;
  bool own = m->own != SUMI_UNDEFINED && m->out->dtype == m->own;
  for (int k = 0; k < m->n_in; k++) {
    step[k] = b.stride[k][b.rank - 1];
    own &= m->in[k]->dtype == m->own;
  }
  for (struct sumi_walk w = sumi_bcast_rows(&b); !w.done; sumi_walk_next(&w), out_at += n)
    run_row(m, own, w.offset, step, out_at, n);
}

sumi_status sumi_infer_same(struct sumi_infer *ctx) {
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}
