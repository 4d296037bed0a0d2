/* Short floating-point formats: one codec for all. */
#include "base/half.h"

#include <math.h>

const struct sumi_minifloat sumi_float16 = {5, 10, 15, true, true, 0x7e00, false};
const struct sumi_minifloat sumi_bfloat16 = {8, 7, 127, true, true, 0x7fc0, false};
const struct sumi_minifloat sumi_e4m3fn = {4, 3, 7, true, false, 0x7f, true};
const struct sumi_minifloat sumi_e4m3fnuz = {4, 3, 8, true, false, 0x80, false};
const struct sumi_minifloat sumi_e5m2 = {5, 2, 15, true, true, 0x7e, false};
const struct sumi_minifloat sumi_e5m2fnuz = {5, 2, 16, true, false, 0x80, false};
const struct sumi_minifloat sumi_e2m3 = {2, 3, 1, true, false, -1, false};
const struct sumi_minifloat sumi_e3m2 = {3, 2, 3, true, false, -1, false};
const struct sumi_minifloat sumi_e2m1 = {2, 1, 1, true, false, -1, false};

static unsigned largest_finite(const struct sumi_minifloat *m) {
  const unsigned all = (1u << (m->ebits + m->mbits)) - 1;
  if (m->inf) return all - (1u << m->mbits); /* just below infinity */
  return m->fn ? all - 1 : all;
}

double sumi_minifloat_decode(const struct sumi_minifloat *m, unsigned bits) {
  const unsigned sign_bit = 1u << (m->ebits + m->mbits);
  const bool negative = m->sign && (bits & sign_bit);
  const unsigned body = bits & (sign_bit - 1), e = body >> m->mbits, f = body & ((1u << m->mbits) - 1);
  if (m->inf && e == (1u << m->ebits) - 1) {
    if (f) return NAN;
    return negative ? -INFINITY : INFINITY;
  }
  if (!m->inf && m->nan >= 0 && (bits == (unsigned)m->nan || (m->fn && body == (unsigned)m->nan))) return NAN;
  const double v = e ? ldexp(1 + ldexp(f, -m->mbits), (int)e - m->bias) : ldexp(f, 1 - m->bias - m->mbits);
  return negative ? -v : v;
}

unsigned sumi_minifloat_encode(const struct sumi_minifloat *m, double x, bool saturate) {
  const unsigned sign_bit = 1u << (m->ebits + m->mbits), top = largest_finite(m);
  const unsigned sign = m->sign && signbit(x) ? sign_bit : 0;
  if (isnan(x)) return m->nan < 0 ? sign_bit : m->inf || m->fn ? sign | (unsigned)m->nan : (unsigned)m->nan;
  const double a = fabs(x);
  unsigned body;
  if (isinf(a)) {
    body = top + 1;
  } else if (a == 0) {
    body = 0;
  } else {
    int e;
    frexp(a, &e); /* a = f * 2^e, f in [0.5, 1) */
    int exponent = e - 1;
    if (exponent < 1 - m->bias) exponent = 1 - m->bias;
    const double units =
        nearbyint(ldexp(a, m->mbits - exponent)); /* fraction with its leading one, rounded */
    const double code = units + ldexp(exponent + m->bias - 1, m->mbits);
    body = code > top ? top + 1 : (unsigned)code;
  }
  if (body > top) {
    /* an IEEE format keeps infinity unless asked to saturate; a format without one has NaN or saturates */
    if (saturate || (!m->inf && m->nan < 0))
      body = top;
    else if (m->inf)
      body = top + 1;
    else
      return m->fn ? sign | (unsigned)m->nan : (unsigned)m->nan;
  }
  if (body == 0 && !m->inf && m->nan == (int)sign_bit) return 0; /* no negative zero */
  return sign | body;
}

double sumi_e8m0_decode(uint8_t bits) { return bits == 255 ? NAN : ldexp(1, (int)bits - 127); }

uint8_t sumi_e8m0_encode(double x, int round, bool saturate) {
  if (isnan(x)) return 255;
  const double a = fabs(x);
  if (isinf(a)) return saturate ? 254 : 255;
  if (a == 0) return saturate ? 0 : 255;
  int e;
  const double f = frexp(a, &e); /* a = 2f * 2^(e-1), 2f in [1, 2) */
  int code = e - 1 + 127;
  if ((round > 0 && f > 0.5) || (round == 0 && f >= 0.75)) code++;
  if (code < 0) return saturate ? 0 : 255;
  if (code > 254) return saturate ? 254 : 255;
  return (uint8_t)code;
}
