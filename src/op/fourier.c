/* One-line Fourier transforms: radix 2 where the length allows it, else the definition. */
#include "op/fourier.h"

#include <math.h>

#include "base/size.h"

bool sumi_fourier_doubles(int64_t n, size_t *doubles) {
  return n >= 1 && sumi_size_mul((size_t)n, 6, doubles);
}

void sumi_fourier_init(struct sumi_fourier *f, int64_t n, double *scratch) {
  *f = (struct sumi_fourier){
      n, scratch, scratch + n, scratch + 2 * n, scratch + 3 * n, scratch + 4 * n, scratch + 5 * n};
  for (int64_t i = 0; i < n; i++) {
    const double angle = 2 * M_PI * (double)i / (double)n;
    f->cos[i] = cos(angle);
    f->sin[i] = sin(angle);
  }
}

/* The definition; the table index k * i mod n is carried along. */
static void direct(struct sumi_fourier *f, double sign) {
  for (int64_t k = 0; k < f->n; k++) {
    double re = 0, im = 0;
    for (int64_t i = 0, at = 0; i < f->n; i++, at = at + k < f->n ? at + k : at + k - f->n) {
      re += f->re[i] * f->cos[at] - f->im[i] * sign * f->sin[at];
      im += f->im[i] * f->cos[at] + f->re[i] * sign * f->sin[at];
    }
    f->out_re[k] = re;
    f->out_im[k] = im;
  }
}

/* Decimation in time: elements in bit-reversed order, then butterflies of growing width. */
static void radix2(struct sumi_fourier *f, double sign) {
  for (int64_t i = 0, j = 0; i < f->n; i++) {
    f->out_re[j] = f->re[i];
    f->out_im[j] = f->im[i];
    int64_t bit = f->n >> 1;
    for (; bit && (j & bit); bit >>= 1) j ^= bit;
    j |= bit;
  }
  for (int64_t half = 1; half < f->n; half *= 2)
    for (int64_t start = 0; start < f->n; start += 2 * half)
      for (int64_t k = 0; k < half; k++) {
        const int64_t at = k * (f->n / (2 * half)), a = start + k, b = a + half;
        const double c = f->cos[at], s = sign * f->sin[at];
        const double re = f->out_re[b] * c - f->out_im[b] * s, im = f->out_im[b] * c + f->out_re[b] * s;
        f->out_re[b] = f->out_re[a] - re;
        f->out_im[b] = f->out_im[a] - im;
        f->out_re[a] += re;
        f->out_im[a] += im;
      }
}

void sumi_fourier_run(struct sumi_fourier *f, bool inverse) {
  const double sign = inverse ? 1 : -1;
  if ((f->n & (f->n - 1)) == 0)
    radix2(f, sign);
  else
    direct(f, sign);
  for (int64_t i = 0; i < f->n && inverse; i++) {
    f->out_re[i] /= (double)f->n;
    f->out_im[i] /= (double)f->n;
  }
}
