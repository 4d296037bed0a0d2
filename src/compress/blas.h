/* Dense linear algebra: OpenBLAS and LAPACKE behind the few calls this room makes. Matrices are row-major.
 *
 * They are loaded when first asked for, not linked: programs that only run networks neither need them nor pay for their
 * threads and start. */
#ifndef SUMI_COMPRESS_BLAS_H
#define SUMI_COMPRESS_BLAS_H

#include <sumi/types.h>

/* Loads the libraries; SUMI_E_UNSUPPORTED names the one that is missing. Nothing below may be called before it succeeded.
 * threads: those the libraries use from now on, in the whole process. */
sumi_status sumi_blas_load(int threads, struct sumi_err *err);

/* The lower triangle of out [cols, cols] = x^T x of x [n, cols]. */
void sumi_blas_gram(int64_t cols, int64_t n, const float *x, float *out);

#endif
