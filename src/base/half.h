/* Conversion between float and the short floating-point formats: float16, bfloat16, float8, float6, float4, E8M0.
 * Round to nearest even unless said otherwise. Sources: IEEE 754-2019; OCP 8-bit Floating Point 1.0; OCP
 * Microscaling Formats 1.0; the ONNX standard's Cast operator for saturation. */
#ifndef SUMI_BASE_HALF_H
#define SUMI_BASE_HALF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t sumi_f32_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}

static inline float sumi_f32_from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static inline float sumi_f32_from_bf16(uint16_t h) { return sumi_f32_from_bits((uint32_t)h << 16); }

static inline uint16_t sumi_bf16_from_f32(float f) {
  const uint32_t u = sumi_f32_bits(f);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)((u >> 16) | 0x40); /* NaN stays NaN */
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* float16 without branches, so that loops vectorise. */
static inline float sumi_f32_from_f16(uint16_t h) {
  const uint32_t body = h & 0x7fffu, sign = (uint32_t)(h & 0x8000u) << 16;
  const uint32_t normal = (body << 13) + (112u << 23), special = normal + (112u << 23); /* infinity and NaN */
  const uint32_t tiny = sumi_f32_bits((float)(int32_t)body * 0x1p-24f);
  return sumi_f32_from_bits(sign | (body < 0x400 ? tiny : body < 0x7c00 ? normal : special));
}

static inline uint16_t sumi_f16_from_f32(float f) {
  const uint32_t u = sumi_f32_bits(f), a = u & 0x7fffffffu;
  const uint32_t tiny =
      sumi_f32_bits(sumi_f32_from_bits(a) + 0.5f) - 0x3f000000u; /* the sum puts the bits in place */
  const uint32_t normal = (a + 0xfffu + ((a >> 13) & 1) - 0x38000000u) >> 13;
  const uint32_t large =
      a > 0x7f800000u ? 0x7e00u : 0x7c00u; /* from 0x477ff000 on all rounds to 65536 or more */
  return (uint16_t)((u >> 16 & 0x8000u) | (a < 0x38800000u ? tiny : a < 0x477ff000u ? normal : large));
}

/* The shape of a short format: sign (if any), ebits of exponent with bias, mbits of fraction. */
struct sumi_minifloat {
  int ebits, mbits, bias;
  bool sign;
  bool inf; /* the largest exponent with fraction 0 is infinity, other fractions NaN (IEEE) */
  int nan;  /* bits of the NaN where !inf; -1: no NaN at all */
  bool fn;  /* with !inf and a NaN: NaN is all ones without the sign (both signs) */
};

extern const struct sumi_minifloat sumi_float16, sumi_bfloat16, sumi_e4m3fn, sumi_e4m3fnuz, sumi_e5m2,
    sumi_e5m2fnuz, sumi_e2m3, sumi_e3m2, sumi_e2m1;

double sumi_minifloat_decode(const struct sumi_minifloat *m, unsigned bits);

/* saturate: what is too large becomes the largest finite value; otherwise infinity, or NaN where there is none. A
 * format without NaN takes one as -0. */
unsigned sumi_minifloat_encode(const struct sumi_minifloat *m, double x, bool saturate);

/* E8M0: 2^(bits - 127), 255 = NaN. round: 0 to nearest (ties up), 1 up, -1 down; x is taken by magnitude. What is too
 * large or too small becomes the largest or smallest when saturating, NaN otherwise. */
double sumi_e8m0_decode(uint8_t bits);
uint8_t sumi_e8m0_encode(double x, int round, bool saturate);

#endif
