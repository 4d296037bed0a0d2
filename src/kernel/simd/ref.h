/* The vocabulary in portable C: 8 lanes in an array. The other headers mean the same.
 *   vec             LANES floats            mask           LANES yes or no
 *   v_mask(a, b)    lanes j with a <= j < b (a, b may be anything)
 *   v_load(m, p)    p[j] where m, else 0; other words are not touched. v_load_or(m, p, v): else v
 *   v_gather(m, p, at)  p[at[j]] where m, else 0; neither at[j] nor p is touched elsewhere
 *   v_store(n, p, v)  p[j] = v[j] for j < n (1 <= n <= LANES)
 *   v_fma(a, b, c)  a * b + c               v_max, v_min(a, b): b where a lane is NaN
 *   v_max_nan(a, b) the larger, NaN where either is          v_sum(v)        the sum of all lanes
 *   v_even(a, b)    lanes 0, 2, .. of a followed by b; v_odd: lanes 1, 3, .. */
#ifndef SUMI_KERNEL_SIMD_REF_H
#define SUMI_KERNEL_SIMD_REF_H

#include <stdint.h>

enum { LANES = 8 };
#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 8")
typedef struct {
  float v[LANES];
} vec;
typedef struct {
  int first, last;
} mask;

#define EACH for (int j = 0; j < LANES; j++)
INLINE mask v_mask(int64_t a, int64_t b) {
  mask m = {(int)(a < 0 ? 0 : a > LANES ? LANES : a), (int)(b < 0 ? 0 : b > LANES ? LANES : b)};
  return m;
}
INLINE vec v_set(float x) {
  vec r;
  EACH r.v[j] = x;
  return r;
}
INLINE vec v_load_or(mask m, const float *p, vec v) {
  if (m.last - m.first == LANES)
    EACH v.v[j] = p[j];
  else
    for (int j = m.first; j < m.last; j++) v.v[j] = p[j];
  return v;
}
INLINE vec v_load(mask m, const float *p) { return v_load_or(m, p, v_set(0)); }
INLINE vec v_gather(mask m, const float *p, const int32_t *at) {
  vec r = v_set(0);
  for (int j = m.first; j < m.last; j++) r.v[j] = p[at[j]];
  return r;
}
INLINE void v_store(int64_t n, float *p, vec v) {
  if (n == LANES)
    EACH p[j] = v.v[j];
  else
    for (int64_t j = 0; j < n; j++) p[j] = v.v[j];
}
INLINE vec v_fma(vec a, vec b, vec c) {
  EACH c.v[j] += a.v[j] * b.v[j];
  return c;
}
INLINE vec v_add(vec a, vec b) {
  EACH a.v[j] += b.v[j];
  return a;
}
INLINE vec v_mul(vec a, vec b) {
  EACH a.v[j] *= b.v[j];
  return a;
}
INLINE vec v_max(vec a, vec b) {
  EACH b.v[j] = a.v[j] > b.v[j] ? a.v[j] : b.v[j];
  return b;
}
INLINE vec v_min(vec a, vec b) {
  EACH b.v[j] = a.v[j] < b.v[j] ? a.v[j] : b.v[j];
  return b;
}
INLINE vec v_max_nan(vec a, vec b) {
  EACH b.v[j] = a.v[j] > b.v[j] || a.v[j] != a.v[j] ? a.v[j] : b.v[j];
  return b;
}
INLINE vec v_div(vec a, vec b) {
  EACH a.v[j] /= b.v[j];
  return a;
}
INLINE float v_sum(vec a) {
  return ((a.v[0] + a.v[4]) + (a.v[2] + a.v[6])) + ((a.v[1] + a.v[5]) + (a.v[3] + a.v[7]));
}
INLINE vec v_every(vec a, vec b, int first) {
  vec r;
  EACH r.v[j] = 2 * j + first < LANES ? a.v[2 * j + first] : b.v[2 * j + first - LANES];
  return r;
}
INLINE vec v_even(vec a, vec b) { return v_every(a, b, 0); }
INLINE vec v_odd(vec a, vec b) { return v_every(a, b, 1); }
#undef EACH

#endif
