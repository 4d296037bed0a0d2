/* The discrete Fourier transform of one line, in double precision:
 *   out[k] = sum over i of in[i] * exp(-2 pi j k i / n), or with +2 pi and divided by n (inverse) */
#ifndef SUMI_OP_FOURIER_H
#define SUMI_OP_FOURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Complex numbers, real and imaginary parts apart. */
struct sumi_complexes {
  double *re, *im;
};

/* n >= 1; all arrays lie in the caller's scratch. */
struct sumi_fourier {
  int64_t n;
  struct sumi_complexes in;     /* [n], filled by the caller */
  struct sumi_complexes out;    /* [n], its transform */
  struct sumi_complexes circle; /* [n], exp(2 pi j i / n); of [m] where m is not 0 */
  /* Other lengths than those that the definition or radix 2 take go through a convolution of length m, a power of two. */
  int64_t m;                     /* 0: no */
  struct sumi_complexes chirp;   /* [n], exp(-pi j i i / n) */
  struct sumi_complexes partner; /* [m], the transform of the chirp's conjugate, laid around 0 */
  struct sumi_complexes a, b;    /* [m] */
};

/* Doubles of scratch for lines of up to n; false on overflow. */
bool sumi_fourier_doubles(int64_t n, size_t *doubles);
/* Lays the arrays out in scratch and fills the tables. */
void sumi_fourier_init(struct sumi_fourier *f, int64_t n, double *scratch);
/* n log n steps, whatever n is. */
void sumi_fourier_run(struct sumi_fourier *f, bool inverse);

#endif
