/* The discrete Fourier transform of one line, in double precision:
 *   out[k] = sum over i of in[i] * exp(-2 pi j k i / n), or with +2 pi and divided by n (inverse) */
#ifndef SUMI_OP_FOURIER_H
#define SUMI_OP_FOURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n >= 1; all arrays have n elements and lie in the caller's scratch. */
struct sumi_fourier {
  int64_t n;
  double *re, *im;         /* the line: filled by the caller */
  double *out_re, *out_im; /* its transform */
  double *cos, *sin;       /* of 2 pi i / n */
};

/* Doubles of scratch for lines of n; false on overflow. */
bool sumi_fourier_doubles(int64_t n, size_t *doubles);
/* Lays the arrays out in scratch and fills the tables. */
void sumi_fourier_init(struct sumi_fourier *f, int64_t n, double *scratch);
/* Powers of two take n log n steps, other lengths n * n. */
void sumi_fourier_run(struct sumi_fourier *f, bool inverse);

#endif
