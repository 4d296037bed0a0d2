/* The loops of family eltwise, from eltwise_fn.def: each leaf includes this once and compiles them for its own
 * instruction set. Only static functions. Define LEAF as the leaf's suffix first. */
#ifndef SUMI_KERNEL_ELTWISE_INT_H
#define SUMI_KERNEL_ELTWISE_INT_H

#include "base/fmath.h"
#include "kernel/eltwise/eltwise.h"

#if defined(__clang__)
#define ELTWISE_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define ELTWISE_LOOP _Pragma("GCC ivdep")
#endif

static inline float eltwise_clip(float x, float low, float high) {
  const float a = x < low ? low : x;
  return a > high ? high : a;
}

/* x tanh(ln(1 + w)) = x n / (n + 2) with w = e^x, n = w (w + 2); from x = 20 on the quotient is 1. */
static inline float eltwise_mish(float x) {
  const float w = sumi_exp_f32(x > 20 ? 20 : x), n = w * (w + 2);
  return x * (n / (n + 2));
}

#define UNARY(symbol, name, f)                                                             \
  static void unary_##symbol(const float *from, float *y, int64_t n, const float *param) { \
    const float alpha = param ? param[0] : 0, beta = param ? param[1] : 0;                 \
    (void)alpha, (void)beta;                                                               \
    ELTWISE_LOOP for (int64_t i = 0; i < n; i++) {                                         \
      const float x = from[i];                                                             \
      y[i] = f;                                                                            \
    }                                                                                      \
  }
#define BINARY(symbol, name, f)                                                                         \
  static void binary_##symbol(const float *p, int64_t p_step, const float *q, int64_t q_step, float *y, \
                              int64_t n) {                                                              \
    if (p_step && q_step) {                                                                             \
      ELTWISE_LOOP for (int64_t i = 0; i < n; i++) {                                                    \
        const float a = p[i], b = q[i];                                                                 \
        y[i] = f;                                                                                       \
      }                                                                                                 \
    } else if (p_step) {                                                                                \
      const float b = n ? *q : 0;                                                                       \
      ELTWISE_LOOP for (int64_t i = 0; i < n; i++) {                                                    \
        const float a = p[i];                                                                           \
        y[i] = f;                                                                                       \
      }                                                                                                 \
    } else {                                                                                            \
      const float a = n ? *p : 0;                                                                       \
      ELTWISE_LOOP for (int64_t i = 0; i < n; i++) {                                                    \
        const float b = q[i * q_step];                                                                  \
        y[i] = f;                                                                                       \
      }                                                                                                 \
    }                                                                                                   \
  }
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY

/* Both words are read before one is chosen: a vector can do that. */
#define SELECT_LOOP(T, from_a, from_b)           \
  ELTWISE_LOOP for (int64_t i = 0; i < n; i++) { \
    const T one = from_a, other = from_b;        \
    z[i] = c[i] ? one : other;                   \
  }
#define SELECT(T)                                                                                        \
  static void select_##T(const uint8_t *c, int64_t c_step, const void *p, int64_t p_step, const void *q, \
                         int64_t q_step, void *to, int64_t n) {                                          \
    const T *a = p, *b = q;                                                                              \
    T *z = to;                                                                                           \
    if (n && !c_step) {                                                                                  \
      const T *chosen = *c ? a : b;                                                                      \
      const int64_t step = *c ? p_step : q_step;                                                         \
      for (int64_t i = 0; i < n; i++) z[i] = chosen[i * step];                                           \
    } else if (p_step && q_step) {                                                                       \
      SELECT_LOOP(T, a[i], b[i])                                                                         \
    } else if (p_step) {                                                                                 \
      SELECT_LOOP(T, a[i], *b)                                                                           \
    } else if (q_step) {                                                                                 \
      SELECT_LOOP(T, *a, b[i])                                                                           \
    } else {                                                                                             \
      SELECT_LOOP(T, *a, *b)                                                                             \
    }                                                                                                    \
  }
SELECT(uint8_t)
SELECT(uint16_t)
SELECT(uint32_t)
SELECT(uint64_t)
#undef SELECT
#undef SELECT_LOOP

#define ELTWISE_PASTE(a, b) a##b
#define ELTWISE_NAME(a, b) ELTWISE_PASTE(a, b)
#define ELTWISE(level, suffix, ...)                                \
  extern const sumi_unary_fn sumi_unary_##suffix[SUMI_N_UNARY];    \
  extern const sumi_binary_fn sumi_binary_##suffix[SUMI_N_BINARY]; \
  extern const sumi_select_fn sumi_select_##suffix[SUMI_N_SELECT];
#include "kernel/eltwise/eltwise.def"
#undef ELTWISE

const sumi_unary_fn ELTWISE_NAME(sumi_unary_, LEAF)[SUMI_N_UNARY] = {
#define UNARY(symbol, ...) unary_##symbol,
#define BINARY(...)
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY
};
const sumi_binary_fn ELTWISE_NAME(sumi_binary_, LEAF)[SUMI_N_BINARY] = {
#define UNARY(...)
#define BINARY(symbol, ...) binary_##symbol,
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY
};
const sumi_select_fn ELTWISE_NAME(sumi_select_, LEAF)[SUMI_N_SELECT] = {select_uint8_t, select_uint16_t,
                                                                        select_uint32_t, select_uint64_t};

#endif
