/* Kernel family attention_i8: one head of attention on planes of words of four unsigned bytes (tensor/layout.h), queries in
 * lanes. q, k, v, y are planes of D = 4 * groups features; word t of a plane is token t. For queries i in [q0, q1):
 *
 *   dot[t]  = sum over f < D of (q(f, i) - q_zero) * (k(f, t) - k_zero)                            t < keys; exact
 *   s[t]    = dot[t] * dot_mul, or, where scores are quantised,
 *             round(clamp(dot[t] * dot_mul, -s_zero, 255 - s_zero)) * s_mul
 *   s[t]   += mask[i * mask_query + t * mask_key]                                                  where there is a mask
 *   p[t]    = round(clamp(exp(s[t] - max) / sum over u of exp(s[u] - max) * p_mul, -p_zero, 255 - p_zero)) + p_zero
 *   y(f, i) = round(clamp((sum over t of (p[t] - p_zero) * (v(f, t) - v_zero)) * y_mul, -y_zero, 255 - y_zero)) + y_zero
 *
 * round is to nearest even. p[t] = p_zero for all t where max is -infinity; where the mask holds a NaN, bytes are any.
 * Integer sums are exact (keys and D at most SUMI_ATTENTION_I8_MOST). The rest is float32: before it is rounded, a quantised
 * score or a y is off by at most 1e-6 of itself, a p by 4e-6 of itself and its share of the differences in s.
 *
 * q0 is a multiple of 16, q1 too or the last query's end. Up to 3 words behind the last key of a plane of k are read. y may
 * lie over q. Nothing outside the named words is written; the result does not depend on the split. */
#ifndef SUMI_KERNEL_ATTENTION_I8_H
#define SUMI_KERNEL_ATTENTION_I8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

enum { SUMI_ATTENTION_I8_MOST = 32768 };

struct sumi_attention_i8 {
  int64_t keys, groups;
  const uint32_t *q, *k, *v;
  int64_t q_group, k_group, v_group, y_group; /* words from plane to plane */
  int32_t q_zero, k_zero, p_zero, v_zero;
  float dot_mul;
  bool quantised; /* the scores */
  float s_zero, s_mul;
  const float *mask; /* NULL = none */
  int64_t mask_query, mask_key;
  float p_mul, y_mul, y_zero;
  uint32_t *y;
};

struct sumi_attention_i8_kernel {
  const char *name; /* "attention_i8/avx512vnni" */
  enum sumi_isa isa;
  int queries; /* of a tile: split into multiples of it */
  const char *what;
  /* scratch: sumi_attention_i8_scratch() bytes, aligned to 64. */
  void (*run)(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch);
};

const struct sumi_attention_i8_kernel *sumi_attention_i8_kernels(
    size_t *n); /* best first, the last is portable */
const struct sumi_attention_i8_kernel *sumi_attention_i8_pick(enum sumi_isa level);

/* Bytes of scratch for one call of run, a multiple of 64. */
size_t sumi_attention_i8_scratch(const struct sumi_attention_i8_kernel *kernel, int64_t keys, int64_t groups);

#endif
