/* What QuantizeLinear and DequantizeLinear share. See the header. */
#include "op/quant.h"

#include <inttypes.h>

#include "base/fmath.h"
#include "base/size.h"
#include "op/lane.h"

/* ---- shapes -------------------------------------------------------------------------------------------- */

static bool one_element(const struct sumi_info *in) {
  for (int i = 0; i < in->rank; i++)
    if (in->dim[i] != 1) return false;
  return in->rank >= 0;
}

static bool perhaps_one_element(const struct sumi_info *in) {
  for (int i = 0; i < in->rank; i++)
    if (in->dim[i] >= 0 && in->dim[i] != 1) return false;
  return true;
}

static sumi_status check_blocked(struct sumi_infer *ctx, int64_t block, int axis) {
  const struct sumi_info *x = &ctx->in[0], *scale = &ctx->in[1];
  if (scale->rank != x->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "block_size is set: the scale's rank is %d, not %d", scale->rank,
              x->rank);
  for (int i = 0; i < x->rank; i++) {
    if (x->dim[i] < 0 || scale->dim[i] < 0) continue;
    const int64_t want = i == axis ? x->dim[i] / block + (x->dim[i] % block != 0) : x->dim[i];
    if (scale->dim[i] != want)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of the scale is %" PRId64 ", not %" PRId64, i,
                scale->dim[i], want);
  }
  return SUMI_OK;
}

static sumi_status check_zero_point(struct sumi_infer *ctx) {
  const struct sumi_info *scale = &ctx->in[1], *zero = &ctx->in[2];
  if (!sumi_infer_has(ctx, 2) || scale->rank < 0 || zero->rank < 0) return SUMI_OK;
  if (perhaps_one_element(scale) && perhaps_one_element(zero))
    return SUMI_OK; /* a scalar and [1] are taken for each other */
  bool same = scale->rank == zero->rank;
  for (int i = 0; i < scale->rank && same; i++)
    same = scale->dim[i] < 0 || zero->dim[i] < 0 || scale->dim[i] == zero->dim[i];
  if (!same) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the zero point's shape is not the scale's");
  return SUMI_OK;
}

sumi_status sumi_quant_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *scale = &ctx->in[1];
  const int64_t block = sumi_attr_int(ctx->node, "block_size", 0);
  if (block < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "block_size is %" PRId64, block);
  SUMI_TRY(check_zero_point(ctx));
  if (x->rank < 0 || scale->rank < 0 || (one_element(scale) && !block)) return SUMI_OK;
  if (!block && scale->rank == 1 && scale->dim[0] < 0) return SUMI_OK; /* may yet be one element */
  int axis;
  SUMI_TRY(
      sumi_axis(x->rank == 1 && !block ? 0 : sumi_attr_int(ctx->node, "axis", 1), x->rank, &axis, ctx->err));
  if (block) return check_blocked(ctx, block, axis);
  if (scale->rank != 1)
    SUMI_FAIL(
        ctx->err, SUMI_E_SHAPE,
        "the scale's rank is %d: neither one value nor a list along the axis, and block_size is not set",
        scale->rank);
  if (x->dim[axis] >= 0 && x->dim[axis] != scale->dim[0])
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "there are %" PRId64 " scales for %" PRId64 " entries along axis %d",
              scale->dim[0], x->dim[axis], axis);
  return SUMI_OK;
}

int sumi_quant_axis(const struct sumi_node *node, int rank) {
  const int64_t axis = rank == 1 ? 0 : sumi_attr_int(node, "axis", 1);
  return (int)(axis < 0 ? axis + rank : axis);
}

struct sumi_quant_shape sumi_quant_shape_of(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t block = sumi_attr_int(c->node, "block_size", 0);
  if (!block && sumi_tensor_count(c->in[1]) == 1)
    return (struct sumi_quant_shape){1, 1, sumi_tensor_count(x), 0};
  const int axis = sumi_quant_axis(c->node, x->rank);
  return (struct sumi_quant_shape){.outer = sumi_dims_count(x->dim, 0, axis),
                                   .n = x->dim[axis],
                                   .inner = sumi_dims_count(x->dim, axis + 1, x->rank),
                                   .block = block};
}

struct stretch {
  sumi_quant_row row;
  const void *self;
  int64_t at, scale_at;
  int step;
};

static void run_stretch(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct stretch *s = user;
  s->row(s->self, s->at + begin, end - begin, s->scale_at + begin * s->step, s->step);
}

static void share(struct sumi_par *par, sumi_quant_row row, const void *self, int64_t at, int64_t n,
                  int64_t scale_at, int step) {
  enum { STRETCH = 16384 }; /* elements, whole bytes of any type: starting a tile costs nothing beside them */
  struct stretch s = {row, self, at, scale_at, step};
  sumi_par_for(par, n, STRETCH, run_stretch, &s);
}

void sumi_quant_each(const struct sumi_quant_shape *s, sumi_quant_row row, const void *self,
                     struct sumi_par *par) {
  const int64_t size = s->n * s->inner;
  if (!size) return;
  for (int64_t o = 0; o < s->outer; o++) {
    if (!s->block && s->inner == 1) {
      share(par, row, self, o * size, s->n, 0, s->n > 1);
      continue;
    }
    const int64_t blocks = s->block ? s->n / s->block + (s->n % s->block != 0) : s->n;
    const int64_t together =
        s->block ? SUMI_MIN(s->block, s->n) : 1; /* entries along the axis that share scales */
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t first = b * together, count = SUMI_MIN(together, s->n - first);
      if (!s->block)
        share(par, row, self, o * size + first * s->inner, s->inner, b, 0);
      else if (s->inner == 1)
        share(par, row, self, o * size + first, count, o * blocks + b, 0);
      else
        for (int64_t k = first; k < first + count; k++)
          share(par, row, self, o * size + k * s->inner, s->inner, (o * blocks + b) * s->inner, 1);
    }
  }
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

bool sumi_quant_range(sumi_dtype d, float *low, float *high) {
  const char class = sumi_dtype_class(d);
  const int bits = sumi_dtype_bits(d);
  if ((class != 'I' && class != 'U') || bits > 16) return false;
  *low = class == 'I' ? -(float)(1 << (bits - 1)) : 0;
  *high = class == 'I' ? (float)((1 << (bits - 1)) - 1) : (float)((1 << bits) - 1);
  return true;
}

/* Held between the limits less the zero point before rounding: the same as after it, as all three are
 * integers, and small enough for the short way of rounding. */
static inline float round_held(float x, float zero, float low, float high) {
  const float number = x == x ? x : 0.0f;
  const float above = number > low - zero ? number : low - zero;
  return sumi_rint_small_f32(above < high - zero ? above : high - zero) + zero;
}

void sumi_quant_store(sumi_dtype d, void *y, int64_t at, float *x, const float *zero, int step, int64_t n) {
  float low, high;
  if (!sumi_quant_range(d, &low, &high)) return;
  if (step) {
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) x[i] = round_held(x[i], zero[i], low, high);
  } else {
    const float z = *zero;
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) x[i] = round_held(x[i], z, low, high);
  }
  switch (d) {
#define STORE(code, T) \
  case code: SUMI_IVDEP for (int64_t i = 0; i < n; i++)((T *)y)[at + i] = (T)(int32_t)x[i]; break;
    STORE(SUMI_UINT8, uint8_t)
    STORE(SUMI_INT8, int8_t)
    STORE(SUMI_UINT16, uint16_t)
    STORE(SUMI_INT16, int16_t)
#undef STORE
    default:
      for (int64_t i = 0; i < n; i++) sumi_set_i64(d, y, at + i, (int64_t)x[i]);
  }
}
