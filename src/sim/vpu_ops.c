/* The operations of card/vector_ops.def. */
#include "sim/vpu.h"

#include <math.h>
#include <string.h>

#include "base/fmath.h"

static ptrdiff_t place(const struct vpu *v, const struct sumi_card_view *view, int64_t i2) {
  const int64_t at = (int64_t)v->i0 * view->step[0] + (int64_t)v->i1 * view->step[1] + i2 * view->step[2];
  return (ptrdiff_t)(at * sumi_card_elem_bytes(view->dtype));
}

static union vpu_lane load(const uint8_t *at, uint8_t dtype) {
  union vpu_lane r;
  uint16_t half;
  switch (dtype) {
    case SUMI_CARD_I8: r.i = (int8_t)*at; break;
    case SUMI_CARD_U8: r.i = *at; break;
    case SUMI_CARD_BF16: memcpy(&half, at, 2), r.f = sumi_f32_from_bf16(half); break;
    default: memcpy(&r, at, 4);
  }
  return r;
}

static void store(uint8_t *at, uint8_t dtype, union vpu_lane r) {
  const int32_t lo = dtype == SUMI_CARD_I8 ? -128 : 0, hi = lo + 255;
  uint16_t half;
  switch (dtype) {
    case SUMI_CARD_I8:
    case SUMI_CARD_U8: *at = (uint8_t)(r.i < lo ? lo : r.i > hi ? hi : r.i); break;
    case SUMI_CARD_BF16: half = sumi_bf16_from_f32(r.f), memcpy(at, &half, 2); break;
    default: memcpy(at, &r, 4);
  }
}

/* Lanes whose elements are neighbours. */
static void load_row(const uint8_t *at, uint8_t dtype, union vpu_lane *r, int n) {
  uint16_t half[VPU_CHUNK];
  switch (dtype) {
    case SUMI_CARD_I8:
      for (int l = 0; l < n; l++) r[l].i = (int8_t)at[l];
      break;
    case SUMI_CARD_U8:
      for (int l = 0; l < n; l++) r[l].i = at[l];
      break;
    case SUMI_CARD_BF16:
      memcpy(half, at, (size_t)n * 2);
      for (int l = 0; l < n; l++) r[l].f = sumi_f32_from_bf16(half[l]);
      break;
    default: memcpy(r, at, (size_t)n * 4);
  }
}

static void store_row(uint8_t *at, uint8_t dtype, const union vpu_lane *r, int n) {
  if (sumi_card_elem_bytes(dtype) == 4) {
    memcpy(at, r, (size_t)n * 4);
    return;
  }
  for (int l = 0; l < n; l++) store(at + (size_t)l * sumi_card_elem_bytes(dtype), dtype, r[l]);
}

static bool memory(struct vpu *v, const struct sumi_card_vop *op, uint32_t *bad) {
  const struct sumi_card_view *view = &v->w->view[op->a];
  const ptrdiff_t step = place(v, view, 1) - place(v, view, 0), e = sumi_card_elem_bytes(view->dtype);
  uint8_t *at = v->view[op->a];
  union vpu_lane *r = v->reg[op->d];
  if (op->op == SUMI_CARD_V_GATHER) {
    at += place(v, view, 0);
    for (int l = 0; l < v->lanes; l++) {
      const uint32_t i = v->reg[op->b][l].u;
      if (i >= op->c) return *bad = i, false;
      r[l] = load(at + (ptrdiff_t)i * step, view->dtype);
    }
    return true;
  }
  at += place(v, view, v->i2) + (ptrdiff_t)(int32_t)op->c * e;
  if (op->op == SUMI_CARD_V_LD && step == e)
    load_row(at, view->dtype, r, v->lanes);
  else if (op->op == SUMI_CARD_V_LD)
    for (int l = 0; l < v->lanes; l++, at += step) r[l] = load(at, view->dtype);
  else if (step == e)
    store_row(at, view->dtype, r, v->lanes);
  else
    for (int l = 0; l < v->lanes; l++, at += step) store(at, view->dtype, r[l]);
  return true;
}

static int32_t to_int(float x) {
  const float r = sumi_rint_f32(x);
  if (!(r == r)) return 0;
  return r >= 0x1p31f ? INT32_MAX : r <= -0x1p31f ? INT32_MIN : (int32_t)r;
}

static float floor_of(float x) {
  const float r = sumi_rint_f32(x);
  return r > x ? r - 1 : r;
}

union vpu_lane vpu_reduce_start(uint8_t op) {
  union vpu_lane r = {.u = 0};
  if (op == SUMI_CARD_V_RMAX) r.f = -INFINITY;
  if (op == SUMI_CARD_V_RMIN) r.f = INFINITY;
  return r;
}

union vpu_lane vpu_reduce(uint8_t op, union vpu_lane a, union vpu_lane b) {
  union vpu_lane r;
  switch (op) {
    case SUMI_CARD_V_RSUM: r.f = a.f + b.f; break;
    case SUMI_CARD_V_RMAX: r.f = a.f > b.f ? a.f : b.f; break;
    case SUMI_CARD_V_RMIN: r.f = a.f < b.f ? a.f : b.f; break;
    default: r.u = a.u + b.u;
  }
  return r;
}

/* p[l % 16] takes lane l, in the order of l. */
static void reduce_lanes(struct vpu *v, const struct sumi_card_vop *op) {
  union vpu_lane *p = v->part[op->d];
  const union vpu_lane *a = v->reg[op->a];
  int l = 0;
  for (; l + SUMI_CARD_SUM_LANES <= v->lanes; l += SUMI_CARD_SUM_LANES)
    for (int j = 0; j < SUMI_CARD_SUM_LANES; j++) p[j] = vpu_reduce(op->op, p[j], a[l + j]);
  for (int j = 0; l + j < v->lanes; j++) p[j] = vpu_reduce(op->op, p[j], a[l + j]);
}

#define EACH(result)                                      \
  for (int n = 0; n < v->lanes; n += SUMI_CARD_SUM_LANES) \
    for (int l = n; l < n + SUMI_CARD_SUM_LANES; l++) {   \
      const union vpu_lane x = a[l], y = b[l], z = c[l];  \
      (void)x, (void)y, (void)z;                          \
      d[l] = (union vpu_lane){result};                    \
    }                                                     \
  return true

static inline __attribute__((always_inline)) bool operate(struct vpu *v, const struct sumi_card_vop *op,
                                                          uint32_t *bad) {
  union vpu_lane *d = v->reg[op->d];
  const union vpu_lane *a = v->reg[op->a % SUMI_CARD_VPU_REGS], *b = v->reg[op->b % SUMI_CARD_VPU_REGS],
                       *c = v->reg[op->c % SUMI_CARD_VPU_REGS];
  switch (op->op) {
    case SUMI_CARD_V_LD:
    case SUMI_CARD_V_ST:
    case SUMI_CARD_V_GATHER: return memory(v, op, bad);
    case SUMI_CARD_V_IMM: EACH(.u = op->c);
    case SUMI_CARD_V_PARAM: EACH(.f = v->w->param[op->a]);
    case SUMI_CARD_V_INDEX: EACH(.u = op->a == 0 ? v->i0 : op->a == 1 ? v->i1 : v->i2 + (uint32_t)l);
    case SUMI_CARD_V_MOV: EACH(.u = x.u);
    case SUMI_CARD_V_ADD: EACH(.f = x.f + y.f);
    case SUMI_CARD_V_SUB: EACH(.f = x.f - y.f);
    case SUMI_CARD_V_MUL: EACH(.f = x.f * y.f);
    case SUMI_CARD_V_FMA: EACH(.f = fmaf(x.f, y.f, z.f));
    case SUMI_CARD_V_DIV: EACH(.f = x.f / y.f);
    case SUMI_CARD_V_MIN: EACH(.f = x.f < y.f ? x.f : y.f);
    case SUMI_CARD_V_MAX: EACH(.f = x.f > y.f ? x.f : y.f);
    case SUMI_CARD_V_ABS: EACH(.u = x.u & 0x7fffffffu);
    case SUMI_CARD_V_NEG: EACH(.u = x.u ^ 0x80000000u);
    case SUMI_CARD_V_FLOOR: EACH(.f = floor_of(x.f));
    case SUMI_CARD_V_RINT: EACH(.f = sumi_rint_f32(x.f));
    case SUMI_CARD_V_SQRT: EACH(.f = sqrtf(x.f));
    case SUMI_CARD_V_EXP: EACH(.f = sumi_exp_f32(x.f));
    case SUMI_CARD_V_ERF: EACH(.f = sumi_erf_f32(x.f));
    case SUMI_CARD_V_TANH: EACH(.f = sumi_tanh_f32(x.f));
    case SUMI_CARD_V_SIGMOID: EACH(.f = sumi_sigmoid_f32(x.f));
    case SUMI_CARD_V_LT: EACH(.i = x.f < y.f);
    case SUMI_CARD_V_LE: EACH(.i = x.f <= y.f);
    case SUMI_CARD_V_EQ: EACH(.i = x.f == y.f);
    case SUMI_CARD_V_SELECT: EACH(.u = x.i ? y.u : z.u);
    case SUMI_CARD_V_IADD: EACH(.u = x.u + y.u);
    case SUMI_CARD_V_ISUB: EACH(.u = x.u - y.u);
    case SUMI_CARD_V_IMUL: EACH(.u = x.u * y.u);
    case SUMI_CARD_V_IMIN: EACH(.i = x.i < y.i ? x.i : y.i);
    case SUMI_CARD_V_IMAX: EACH(.i = x.i > y.i ? x.i : y.i);
    case SUMI_CARD_V_ILT: EACH(.i = x.i < y.i);
    case SUMI_CARD_V_IEQ: EACH(.i = x.i == y.i);
    case SUMI_CARD_V_AND: EACH(.u = x.u & y.u);
    case SUMI_CARD_V_OR: EACH(.u = x.u | y.u);
    case SUMI_CARD_V_XOR: EACH(.u = x.u ^ y.u);
    case SUMI_CARD_V_SHL: EACH(.u = x.u << (y.u & 31));
    case SUMI_CARD_V_SAR: EACH(.i = x.i >> (y.u & 31));
    case SUMI_CARD_V_I2F: EACH(.f = (float)x.i);
    case SUMI_CARD_V_F2I: EACH(.i = to_int(x.f));
    default: reduce_lanes(v, op); return true;
  }
}

/* The same C for both, so that all give the same bits. */
static bool operate_plain(struct vpu *v, const struct sumi_card_vop *op, uint32_t *bad) {
  return operate(v, op, bad);
}
#ifdef SUMI_X86
__attribute__((target("avx2,fma"))) static bool operate_avx2(struct vpu *v, const struct sumi_card_vop *op,
                                                             uint32_t *bad) {
  return operate(v, op, bad);
}
#endif

vpu_operation *vpu_operation_for(enum sumi_isa level) {
#ifdef SUMI_X86
  if (sumi_cpu_allows(level, SUMI_ISA_AVX2)) return operate_avx2;
#endif
  (void)level;
  return operate_plain;
}
