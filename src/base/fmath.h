/* Float exp, erf, gelu, tanh, logistic function, logarithm, sine, cosine and inverses without branches, calls
 * or tables, so that loops over arrays vectorise at any instruction-set level. The errors stated are the
 * largest over all floats against double precision, in units of the last place (test_fmath.c measures them);
 * NaN stays NaN, infinities go to the limits. The polynomials are minimax fits (Lawson iteration, coefficients
 * rounded one after the other), those of sine, cosine and arctangent least squares at Chebyshev nodes. */
#ifndef SUMI_BASE_FMATH_H
#define SUMI_BASE_FMATH_H

#include "base/half.h"

/* x to the nearest integer, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no fraction bits. */
static inline float sumi_rint_small_f32(float x) { return (x + 12582912.0f) - 12582912.0f; }

/* x to the nearest integer, ties to even: exact, keeps the sign of zero. */
static inline float sumi_rint_f32(float x) {
  const uint32_t sign = sumi_f32_bits(x) & 0x80000000u;
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) ^ sign), r = (a + 8388608.0f) - 8388608.0f;
  return a < 8388608.0f ? sumi_f32_from_bits(sumi_f32_bits(r) | sign)
                        : x; /* from 2^23 on all floats are integers */
}

/* e^x = (1 + p) * 2^k: p = e^r - 1, |r| <= ln(2) / 2, k = round(x / ln 2), for |x| up to 104. */
static inline float sumi_exp_parts_f32(float x, int32_t *k) {
  const float t = x * 0x1.715476p+0f + 12582912.0f, whole = t - 12582912.0f;
  const float r = x - whole * 0x1.63p-1f + whole * 0x1.bd0106p-13f; /* whole * 0x1.63p-1 is exact */
  const float q = ((0x1.6a3fb6p-10f * r + 0x1.1239ep-7f) * r + 0x1.5558bep-5f) * r + 0x1.555492p-3f;
  *k = (int32_t)(sumi_f32_bits(t) -
                 0x4b400000u); /* t is 1.5 * 2^23 + k, so its bits are the constant's plus k */
  return r + r * r * (q * r + 0x1.fffffcp-2f);
}

/* e^x below 1.1 ulp, subnormal results included. */
static inline float sumi_exp_f32(float x) {
  x = x > 89.0f ? 89.0f : x; /* e^89 is infinity, e^-104 zero; a NaN fails both comparisons and passes */
  x = x < -104.0f ? -104.0f : x;
  int32_t k;
  const float p = 1.0f + sumi_exp_parts_f32(x, &k);
  const int32_t half = k >> 1; /* 2^k in two factors, as k reaches from -150 to 128 */
  return p * sumi_f32_from_bits((uint32_t)(half + 127) << 23) *
         sumi_f32_from_bits((uint32_t)(k - half + 127) << 23);
}

/* erf(x) below 1.5 ulp: x + x P(x^2) up to 1, 1 - e^Q(x) beyond; of |x|, the sign is put back. */
static inline float sumi_erf_f32(float x) {
  const uint32_t sign = sumi_f32_bits(x) & 0x80000000u;
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) ^ sign), z = a * a;
  const float s3 = (0x1.4771fcp-14f * z - 0x1.a3515ep-11f) * z + 0x1.53f224p-8f;
  const float s1 = (s3 * z - 0x1.b7f71ap-6f) * z + 0x1.ce2ce6p-4f;
  const float small = a + a * ((s1 * z - 0x1.81273ep-2f) * z + 0x1.06eba8p-3f);
  const float t = a > 4.0f ? 4.0f : a;
  const float q = ((-0x1.2f5cc8p-10f * t + 0x1.e6032ap-7f) * t - 0x1.6bb966p-4f) * t - 0x1.4ef88ap-1f;
  const float large = 1.0f - sumi_exp_f32((q * t - 0x1.1e1c6ep+0f) * t - 0x1.574cbap-9f);
  return sumi_f32_from_bits(sumi_f32_bits(a > 1.0f ? large : small) | sign); /* NaN: small, a NaN */
}

/* x F(x), F the normal distribution, as max(x, 0) - a F(-a), a = |x|: F(-a) = 2^-P(a), P a fit of -log2 F(-a). Below 3 ulp for
 * x > 0. For x < 0 the error is below 2^-23.5, below 2^-19 of the result down to -3.5, and from -6.3 on the result is 0. */
static inline float sumi_gelu_f32(float x) {
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) & 0x7fffffffu);
  const float p5 = ((-0x1.865012p-23f * a + 0x1.224932p-18f) * a - 0x1.587db6p-15f) * a + 0x1.60cdecp-13f;
  const float p2 = ((p5 * a + 0x1.babce4p-13f) * a - 0x1.d6a42ep-8f) * a + 0x1.aec322p-5f;
  const float p = ((p2 * a + 0x1.d6336ep-2f) * a + 0x1.26af02p+0f) * a + 1.0f;
  const float t = p + 12582912.0f, f = (t - 12582912.0f) - p;
  const float q = (0x1.5bd9bap-10f * f + 0x1.3ce8b8p-7f) * f + 0x1.c6b6dap-5f;
  const float e = ((q * f + 0x1.ebf9c2p-3f) * f + 0x1.62e42ap-1f) * f + 1.0f;
  const float tail = a * sumi_f32_from_bits(sumi_f32_bits(e) - (sumi_f32_bits(t) << 23));
  return (x < 0.0f ? 0.0f : x) - (a < 6.3f ? tail : 0.0f);
}

/* n / d for 1 <= d <= 2 below 1.5 ulp: 1 / d by a parabola, off by 1 / 99 at most, and Newton's steps, the last one with n. A
 * division keeps one port of the processor busy for longer than all of them take. */
static inline float sumi_quotient_1_2_f32(float n, float d) {
  const float y0 = ((float)(32.0 / 99) * d - (float)(144.0 / 99)) * d + (float)(210.0 / 99);
  const float y1 = y0 + y0 * (1.0f - d * y0), q = n * y1;
  return q + (n - q * d) * y1;
}

/* tanh(x) below 2 ulp: x + x^3 P(x^2) up to 0.625, (1 - e) / (1 + e), e = e^-2x, beyond; of |x|, the sign is put
 * back. */
static inline float sumi_tanh_f32(float x) {
  const uint32_t sign = sumi_f32_bits(x) & 0x80000000u;
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) ^ sign), z = a * a;
  const float s = ((-0x1.750ce2p-8f * z + 0x1.51f8cep-6f) * z - 0x1.b835a4p-5f) * z + 0x1.1106f6p-3f;
  const float small = a + a * z * (s * z - 0x1.555532p-2f);
  const float t = a > 10.0f ? 10.0f : a;
  const float e = sumi_exp_f32(-(t + t)), large = sumi_quotient_1_2_f32(1.0f - e, 1.0f + e);
  return sumi_f32_from_bits(sumi_f32_bits(a > 0.625f ? large : small) | sign);
}

/* e^x - 1 for x <= 0 (0 for x > 0) below 1.5 ulp: 2^k (e^r - 1) + (2^k - 1). */
static inline float sumi_expm1_f32(float x) {
  x = x > 0.0f ? 0.0f : x;
  int32_t k;
  const float p = sumi_exp_parts_f32(x < -20.0f ? -20.0f : x, &k); /* from there on it is -1 */
  const float scale = sumi_f32_from_bits((uint32_t)(k + 127) << 23);
  return scale * p + (scale - 1.0f);
}

/* ln(1 + e^x) below 2.5 ulp: max(x, 0) + ln(1 + e), e = e^-|x|, ln(1 + e) = e P(e) on [0, 1]. */
static inline float sumi_softplus_f32(float x) {
  const float e = sumi_exp_f32(sumi_f32_from_bits(sumi_f32_bits(x) | 0x80000000u));
  const float s = (((-0x1.af49cep-9f * e + 0x1.4917cep-6f) * e - 0x1.d6b08cp-5f) * e + 0x1.b4ae08p-4f) * e;
  const float q = (((s - 0x1.3a435ep-3f) * e + 0x1.934b54p-3f) * e - 0x1.ff23e6p-3f) * e + 0x1.554ddp-2f;
  const float ln = e + e * e * (q * e - 0x1.ffffd2p-2f);
  return (x > 0.0f ? x : 0.0f) + ln; /* NaN: ln is one */
}

/* x to the next integer below or above: exact, ceil keeps the sign of zero. */
static inline float sumi_floor_f32(float x) {
  const float r = sumi_rint_f32(x);
  return r > x ? r - 1.0f : r;
}

static inline float sumi_ceil_f32(float x) {
  const uint32_t sign = sumi_f32_bits(x) & 0x80000000u;
  const float r = sumi_rint_f32(x), up = r < x ? r + 1.0f : r;
  return sumi_f32_from_bits((sumi_f32_bits(up) & 0x7fffffffu) | sign); /* -0.5 gives -0 */
}

/* ln(x) below 1.5 ulp: x = 2^k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2), k ln 2 + f - f^2 / 2 + f^3 P(f). */
static inline float sumi_log_f32(float x) {
  const float normal = x < 0x1p-126f ? x * 0x1p23f : x;
  const int32_t over = (int32_t)(sumi_f32_bits(normal) - 0x3f3504f3u),
                k = over >> 23; /* 0x3f3504f3: sqrt(1/2) */
  const float f = sumi_f32_from_bits(sumi_f32_bits(normal) - ((uint32_t)k << 23)) - 1.0f;
  const float n = (float)(x < 0x1p-126f ? k - 23 : k), z = f * f;
  const float p3 = ((-0x1.38c9dep-4f * f + 0x1.055ec6p-3f) * f - 0x1.0d8242p-3f) * f + 0x1.22d92ep-3f;
  const float p =
      (((p3 * f - 0x1.54728ap-3f) * f + 0x1.99a01cp-3f) * f - 0x1.000226p-2f) * f + 0x1.555554p-2f;
  const float y = (f * z * p - n * 0x1.bd0106p-13f) - 0.5f * z;
  const float ln = n * 0x1.63p-1f + (f + y); /* n * 0x1.63p-1 is exact */
  const float positive = x > 3.4028235e38f ? x : ln;
  return x > 0.0f    ? positive
         : x == 0.0f ? sumi_f32_from_bits(0xff800000u)
                     : x - x + sumi_f32_from_bits(0x7fc00000u);
}

/* asin(s) = s + s z P(z), z = s^2 up to 1/4. */
static inline float sumi_asin_tail_f32(float s, float z) {
  const float p2 = (0x1.59cc8ep-5f * z + 0x1.8bb538p-6f) * z + 0x1.748a2cp-5f;
  return s * (z * ((p2 * z + 0x1.33016ap-4f) * z + 0x1.5555cap-3f));
}

/* arccos(x) below 1.5 ulp: pi / 2 - asin(x) up to 1/2; 2 asin(sqrt((1 - |x|) / 2)) beyond, or pi less that. Beyond 1 a NaN. */
static inline float sumi_acos_f32(float x) {
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) & 0x7fffffffu), half = 0.5f - 0.5f * a;
  const float s = __builtin_sqrtf(half);
  const float r = 2.0f * (s + sumi_asin_tail_f32(s, half));
  const float large = x < 0.0f ? 0x1.921fb6p+1f - (r + 0x1.777a5cp-24f) : r;
  const float small = 0x1.921fb6p+0f - (x + (sumi_asin_tail_f32(x, x * x) + 0x1.777a5cp-25f));
  return a > 0.5f ? large : small;
}

/* arcsin(x) below 2.5 ulp, likewise; the sign is put back. */
static inline float sumi_asin_f32(float x) {
  const uint32_t sign = sumi_f32_bits(x) & 0x80000000u;
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) ^ sign), half = 0.5f - 0.5f * a;
  const float s = __builtin_sqrtf(half);
  const float large = 0x1.921fb6p+0f - (2.0f * (s + sumi_asin_tail_f32(s, half)) + 0x1.777a5cp-25f);
  const float small = a + sumi_asin_tail_f32(a, a * a);
  return sumi_f32_from_bits(sumi_f32_bits(a > 0.5f ? large : small) | sign);
}

/* arctan(x) below 2.5 ulp: of t = x up to tan(pi / 8), pi / 4 more than of (x - 1) / (x + 1) up to tan(3 pi / 8), pi / 2 more than
 * of -1 / x beyond; t + t^3 P(t^2). The sign is put back. */
static inline float sumi_atan_f32(float x) {
  const uint32_t sign = sumi_f32_bits(x) & 0x80000000u;
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) ^ sign);
  const float up = a > 2.41421366f ? -1.0f : a > 0.414213568f ? a - 1.0f : a;
  const float down = a > 2.41421366f ? a : a > 0.414213568f ? a + 1.0f : 1.0f;
  const float turn = a > 2.41421366f ? 2.0f : a > 0.414213568f ? 1.0f : 0.0f; /* pi / 4 each */
  const float t = up / down, z = t * t;
  const float p2 = (-0x1.08914ap-4f * z + 0x1.b82a74p-4f) * z - 0x1.2421a2p-3f;
  const float p = (p2 * z + 0x1.99973ep-3f) * z - 0x1.555554p-2f;
  const float y = turn * 0x1.921fb6p-1f + (t + (t * z * p - turn * 0x1.777a5cp-26f));
  return sumi_f32_from_bits(sumi_f32_bits(y) | sign);
}

/* sin(x + quarters pi / 2) below 2 ulp for |x| <= SUMI_TURN_MOST, beyond a NaN. x = n pi / 2 + r; n pi / 2 is taken off in two
 * parts, of which the first times n is exact. */
#define SUMI_TURN_MOST 0x1p20f
static inline float sumi_turn_f32(float x, int32_t quarters) {
  const float a = sumi_f32_from_bits(sumi_f32_bits(x) & 0x7fffffffu);
  const double d = a <= SUMI_TURN_MOST ? (double)x : 0.0;
  const double n = (d * 0x1.45f306dc9c883p-1 + 0x1.8p52) - 0x1.8p52;
  const float r = (float)((d - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34), z = r * r;
  const float s = r * (1.0f + z * ((-0x1.9ac9dep-13f * z + 0x1.110c2ap-7f) * z - 0x1.555552p-3f));
  const float c = (1.0f - 0.5f * z) + z * z * ((0x1.9bd8b6p-16f * z - 0x1.6c12d4p-10f) * z + 0x1.555554p-5f);
  const uint32_t k = (uint32_t)((int32_t)n + quarters);
  const float y = k & 1u ? c : s;
  return a <= SUMI_TURN_MOST ? sumi_f32_from_bits(sumi_f32_bits(y) ^ (k & 2u) << 30)
                             : sumi_f32_from_bits(0x7fc00000u);
}

static inline float sumi_sin_f32(float x) { return sumi_turn_f32(x, 0); }
static inline float sumi_cos_f32(float x) { return sumi_turn_f32(x, 1); }

/* 1 / (1 + e^-x) below 3 ulp down to 2^-126; what is smaller may become 0. (x < 0 ? e : 1) / (1 + e), e = e^-|x|, keeps small
 * results exact. */
static inline float sumi_sigmoid_f32(float x) {
  const float v = sumi_f32_from_bits(sumi_f32_bits(x) | 0x80000000u);
  int32_t k;
  const float p = 1.0f + sumi_exp_parts_f32(-104.0f > v ? -104.0f : v, &k);
  const float e = p * sumi_f32_from_bits((uint32_t)(k < -127 ? 0 : k + 127) << 23);
  return sumi_quotient_1_2_f32(x < 0.0f ? e : 1.0f, 1.0f + e);
}

#endif
