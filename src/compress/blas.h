/* Dense linear algebra: OpenBLAS and LAPACKE behind the few calls this room makes. Matrices are row-major.
 *
 * They are loaded when first asked for, not linked: programs that only run networks neither need them nor pay for their
 * threads and start. */
#ifndef SUMI_COMPRESS_BLAS_H
#define SUMI_COMPRESS_BLAS_H

#include <stdbool.h>
#include <stdint.h>
#include <sumi/types.h>

/* Loads the libraries; SUMI_E_UNSUPPORTED names the one that is missing. Nothing below may be called before it succeeded.
 * threads: those the libraries use from now on, in the whole process. */
sumi_status sumi_blas_load(int threads, struct sumi_err *err);
void sumi_blas_threads(int threads);

/* The lower triangle of out [cols, cols] = x^T x of x [n, cols]. */
void sumi_blas_gram(int64_t cols, int64_t n, const float *x, float *out);

/* out [cols, cols] = x^T y of x and y [n, cols]. */
void sumi_blas_cross(int64_t cols, int64_t n, const float *x, const float *y, float *out);

/* c [rows, cols] = a b of a [rows, cols] and b [cols, cols]. */
void sumi_blas_multiply(int64_t rows, int64_t cols, const float *a, const float *b, float *c);
void sumi_blas_multiply_f64(int64_t rows, int64_t cols, const double *a, const double *b, double *c);

/* c [rows, cols] -= a b of a [rows, inner] and b [inner, cols]; pitches are elements from row to row. */
void sumi_blas_subtract(int64_t rows, int64_t inner, int64_t cols, const float *a, int64_t a_pitch,
                        const float *b, int64_t b_pitch, float *c, int64_t c_pitch);

/* The lower triangle of a [n, n] becomes l with a = l l^T; the upper one is not touched. False: a is not positive definite
 * (a is spoilt then). */
bool sumi_blas_cholesky(int64_t n, float *a);
/* Each row x of x [rows, n] becomes a^-1 x. */
void sumi_blas_cholesky_solve(int64_t rows, int64_t n, const float *l, float *x);
/* Each row x of x [rows, n] becomes a^-1 x, of the lower triangle of a [n, n], which becomes l. False as above. */
bool sumi_blas_solve_f64(int64_t rows, int64_t n, double *a, double *x);
/* The lower triangle of a [n, n] becomes l^-1. */
bool sumi_blas_cholesky_inverse(int64_t n, double *a);
/* The lower triangle of a [n, n] becomes that of a^-1. */
bool sumi_blas_inverse(int64_t n, double *a);

#endif
