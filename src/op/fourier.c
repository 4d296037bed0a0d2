/* One-line Fourier transforms: radix 2 where the length allows it, the definition where it is short, else Bluestein's: a
 * convolution with a chirp, by transforms of a power of two (Bluestein 1970, "A linear filtering approach to the
 * computation of discrete Fourier transform"). */
#include "op/fourier.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

enum { SHORT = 64 }; /* up to here the definition takes no more steps, and is the most exact */

/* The power of two in which lines of n are convolved. */
static int64_t wide(int64_t n) {
  int64_t m = 1;
  while (m < 2 * n - 1) m *= 2;
  return m;
}

static bool is_power(int64_t n) { return (n & (n - 1)) == 0; }

bool sumi_fourier_doubles(int64_t n, size_t *doubles) {
  if (n < 1 || n > INT64_MAX / 64) return false;
  const int64_t most = 6 * n + (n > SHORT ? 8 * wide(n) : 0); /* rises with n: shorter lines fit, too */
  *doubles = (size_t)most;
  return (uint64_t)most <= SIZE_MAX;
}

static struct sumi_complexes take(double **scratch, int64_t n) {
  const struct sumi_complexes c = {*scratch, *scratch + n};
  *scratch += 2 * n;
  return c;
}

/* c[n] = exp(2 pi j i / n) */
static void fill_circle(struct sumi_complexes c, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const double angle = 2 * M_PI * (double)i / (double)n;
    c.re[i] = cos(angle);
    c.im[i] = sin(angle);
  }
}

/* The definition; the table index k * i mod n is carried along. */
static void direct(int64_t n, struct sumi_complexes circle, struct sumi_complexes in,
                   struct sumi_complexes out, double sign) {
  for (int64_t k = 0; k < n; k++) {
    double re = 0, im = 0;
    for (int64_t i = 0, at = 0; i < n; i++, at = at + k < n ? at + k : at + k - n) {
      re += in.re[i] * circle.re[at] - in.im[i] * sign * circle.im[at];
      im += in.im[i] * circle.re[at] + in.re[i] * sign * circle.im[at];
    }
    out.re[k] = re;
    out.im[k] = im;
  }
}

/* Decimation in time: elements in bit-reversed order, then butterflies of growing width. n is a power of two. */
static void radix2(int64_t n, struct sumi_complexes circle, struct sumi_complexes in,
                   struct sumi_complexes out, double sign) {
  for (int64_t i = 0, j = 0; i < n; i++) {
    out.re[j] = in.re[i];
    out.im[j] = in.im[i];
    int64_t bit = n >> 1;
    for (; bit && (j & bit); bit >>= 1) j ^= bit;
    j |= bit;
  }
  for (int64_t half = 1; half < n; half *= 2)
    for (int64_t start = 0; start < n; start += 2 * half)
      for (int64_t k = 0; k < half; k++) {
        const int64_t at = k * (n / (2 * half)), a = start + k, b = a + half;
        const double c = circle.re[at], s = sign * circle.im[at];
        const double re = out.re[b] * c - out.im[b] * s, im = out.im[b] * c + out.re[b] * s;
        out.re[b] = out.re[a] - re;
        out.im[b] = out.im[a] - im;
        out.re[a] += re;
        out.im[a] += im;
      }
}

/* ---- Bluestein: k i = (k k + i i - (k - i)(k - i)) / 2 -------------------------------------------------------------- */

static void init_chirp(struct sumi_fourier *f) {
  const int64_t n = f->n, m = f->m;
  for (int64_t i = 0, square = 0; i < n; i++) { /* i * i mod 2 n: the angle stays exact */
    const double angle = M_PI * (double)square / (double)n;
    f->chirp.re[i] = cos(angle);
    f->chirp.im[i] = -sin(angle);
    square = (square + 2 * i + 1) % (2 * n);
  }
  memset(f->a.re, 0, (size_t)(2 * m) * sizeof(double));
  for (int64_t i = 0; i < n; i++) {
    const int64_t mirror = i ? m - i : 0;
    f->a.re[i] = f->a.re[mirror] = f->chirp.re[i];
    f->a.im[i] = f->a.im[mirror] = -f->chirp.im[i];
  }
  radix2(m, f->circle, f->a, f->partner, -1);
}

/* to[i] = a[i] * b[i]; to may be a. */
static void multiply(int64_t n, struct sumi_complexes a, struct sumi_complexes b, struct sumi_complexes to) {
  for (int64_t i = 0; i < n; i++) {
    const double re = a.re[i] * b.re[i] - a.im[i] * b.im[i];
    to.im[i] = a.re[i] * b.im[i] + a.im[i] * b.re[i];
    to.re[i] = re;
  }
}

/* The forward transform. */
static void convolve(struct sumi_fourier *f) {
  memset(f->a.re, 0, (size_t)(2 * f->m) * sizeof(double));
  multiply(f->n, f->in, f->chirp, f->a);
  radix2(f->m, f->circle, f->a, f->b, -1);
  multiply(f->m, f->b, f->partner, f->b);
  radix2(f->m, f->circle, f->b, f->a, 1);
  multiply(f->n, f->a, f->chirp, f->out);
  for (int64_t i = 0; i < f->n; i++) {
    f->out.re[i] /= (double)f->m;
    f->out.im[i] /= (double)f->m;
  }
}

/* An inverse is the conjugate of the conjugate's transform. */
static void conjugate(int64_t n, struct sumi_complexes c) {
  for (int64_t i = 0; i < n; i++) c.im[i] = -c.im[i];
}

/* -------------------------------------------------------------------------------------------------------------------- */

void sumi_fourier_init(struct sumi_fourier *f, int64_t n, double *scratch) {
  *f = (struct sumi_fourier){.n = n, .m = n > SHORT && !is_power(n) ? wide(n) : 0};
  f->in = take(&scratch, n);
  f->out = take(&scratch, n);
  f->circle = take(&scratch, f->m ? f->m : n);
  fill_circle(f->circle, f->m ? f->m : n);
  if (!f->m) return;
  f->chirp = take(&scratch, n);
  f->partner = take(&scratch, f->m);
  f->a = take(&scratch, f->m);
  f->b = take(&scratch, f->m);
  init_chirp(f);
}

void sumi_fourier_run(struct sumi_fourier *f, bool inverse) {
  const double sign = inverse ? 1 : -1;
  if (f->m) {
    if (inverse) conjugate(f->n, f->in);
    convolve(f);
    if (inverse) conjugate(f->n, f->out);
  } else if (is_power(f->n)) {
    radix2(f->n, f->circle, f->in, f->out, sign);
  } else {
    direct(f->n, f->circle, f->in, f->out, sign);
  }
  for (int64_t i = 0; i < f->n && inverse; i++) {
    f->out.re[i] /= (double)f->n;
    f->out.im[i] /= (double)f->n;
  }
}
