/* The calls of blas.h on functions found in shared libraries. */
#include "compress/blas.h"

#include <dlfcn.h>
#include <pthread.h>

#include "base/size.h"
#include "base/status.h"

enum { ROW_MAJOR = 101, COLUMN_MAJOR, PLAIN = 111, TRANSPOSE, LOWER = 122, NON_UNIT = 131, RIGHT = 142 };
/* as CBLAS and LAPACKE number them */

/* FUNCTION(library, name, result, parameters): integers are 32 bits in Debian's builds and most others. */
#define FUNCTIONS                                                                                            \
  FUNCTION(0, openblas_set_num_threads, void, (int))                                                         \
  FUNCTION(0, cblas_ssyrk, void,                                                                             \
           (int order, int triangle, int transpose, int n, int k, float alpha, const float *a, int lda,      \
            float beta, float *c, int ldc))                                                                  \
  FUNCTION(0, cblas_sgemm, void,                                                                             \
           (int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,   \
            int lda, const float *b, int ldb, float beta, float *c, int ldc))                                \
  FUNCTION(0, cblas_dgemm, void,                                                                             \
           (int order, int transpose_a, int transpose_b, int m, int n, int k, double alpha, const double *a, \
            int lda, const double *b, int ldb, double beta, double *c, int ldc))                             \
  FUNCTION(0, cblas_strsm, void,                                                                             \
           (int order, int side, int triangle, int transpose, int diagonal, int m, int n, float alpha,       \
            const float *a, int lda, float *b, int ldb))                                                     \
  FUNCTION(1, LAPACKE_spotrf_work, int, (int order, char triangle, int n, float *a, int lda))                \
  FUNCTION(1, LAPACKE_dpotrf_work, int, (int order, char triangle, int n, double *a, int lda))               \
  FUNCTION(1, LAPACKE_dposv_work, int,                                                                       \
           (int order, char triangle, int n, int rhs, double *a, int lda, double *b, int ldb))               \
  FUNCTION(1, LAPACKE_dpotri_work, int, (int order, char triangle, int n, double *a, int lda))               \
  FUNCTION(1, LAPACKE_dtrtri_work, int, (int order, char triangle, char diagonal, int n, double *a, int lda))

static struct {
#define FUNCTION(library, name, result, parameters) result(*name) parameters;
  FUNCTIONS
#undef FUNCTION
} f;

static const char *const libraries[] = {"libopenblas.so.0", "liblapacke.so.3"};
static const char *missing; /* what could not be loaded; NULL: all is there */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *handle[SUMI_COUNT(libraries)];
  for (size_t i = 0; i < SUMI_COUNT(libraries); i++)
    if (!(handle[i] = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL))) {
      missing = libraries[i];
      return;
    }
  const struct {
    int library;
    const char *name;
    void *at;
  } wanted[] = {
#define FUNCTION(library, name, result, parameters) {library, #name, &f.name},
      FUNCTIONS
#undef FUNCTION
  };
  for (size_t i = 0; i < SUMI_COUNT(wanted); i++)
    if (!(*(void **)wanted[i].at = dlsym(handle[wanted[i].library], wanted[i].name)))
      missing = wanted[i].name;
}

sumi_status sumi_blas_load(int threads, struct sumi_err *err) {
  pthread_once(&once, load);
  if (missing)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "this needs OpenBLAS and LAPACKE: '%s' was not found", missing);
  sumi_blas_threads(threads);
  return SUMI_OK;
}

void sumi_blas_threads(int threads) { f.openblas_set_num_threads(threads > 0 ? threads : 1); }

void sumi_blas_gram(int64_t cols, int64_t n, const float *x, float *out) {
  f.cblas_ssyrk(ROW_MAJOR, LOWER, TRANSPOSE, (int)cols, (int)n, 1, x, (int)cols, 0, out, (int)cols);
}

void sumi_blas_cross(int64_t cols, int64_t n, const float *x, const float *y, float *out) {
  f.cblas_sgemm(ROW_MAJOR, TRANSPOSE, PLAIN, (int)cols, (int)cols, (int)n, 1, x, (int)cols, y, (int)cols, 0,
                out, (int)cols);
}

void sumi_blas_multiply(int64_t rows, int64_t cols, const float *a, const float *b, float *c) {
  f.cblas_sgemm(ROW_MAJOR, PLAIN, PLAIN, (int)rows, (int)cols, (int)cols, 1, a, (int)cols, b, (int)cols, 0, c,
                (int)cols);
}

void sumi_blas_multiply_f64(int64_t rows, int64_t cols, const double *a, const double *b, double *c) {
  f.cblas_dgemm(ROW_MAJOR, PLAIN, PLAIN, (int)rows, (int)cols, (int)cols, 1, a, (int)cols, b, (int)cols, 0, c,
                (int)cols);
}

void sumi_blas_subtract(int64_t rows, int64_t inner, int64_t cols, const float *a, int64_t a_pitch,
                        const float *b, int64_t b_pitch, float *c, int64_t c_pitch) {
  f.cblas_sgemm(ROW_MAJOR, PLAIN, PLAIN, (int)rows, (int)cols, (int)inner, -1, a, (int)a_pitch, b,
                (int)b_pitch, 1, c, (int)c_pitch);
}

/* A row-major lower triangle is LAPACK's upper one: no copies are made. */
bool sumi_blas_cholesky(int64_t n, float *a) {
  return f.LAPACKE_spotrf_work(COLUMN_MAJOR, 'U', (int)n, a, (int)n) == 0;
}

void sumi_blas_cholesky_solve(int64_t rows, int64_t n, const float *l, float *x) {
  f.cblas_strsm(ROW_MAJOR, RIGHT, LOWER, TRANSPOSE, NON_UNIT, (int)rows, (int)n, 1, l, (int)n, x, (int)n);
  f.cblas_strsm(ROW_MAJOR, RIGHT, LOWER, PLAIN, NON_UNIT, (int)rows, (int)n, 1, l, (int)n, x, (int)n);
}

bool sumi_blas_solve_f64(int64_t rows, int64_t n, double *a, double *x) {
  return f.LAPACKE_dposv_work(COLUMN_MAJOR, 'U', (int)n, (int)rows, a, (int)n, x, (int)n) == 0;
}

bool sumi_blas_cholesky_inverse(int64_t n, double *a) {
  return f.LAPACKE_dpotrf_work(COLUMN_MAJOR, 'U', (int)n, a, (int)n) == 0 &&
         f.LAPACKE_dtrtri_work(COLUMN_MAJOR, 'U', 'N', (int)n, a, (int)n) == 0;
}

bool sumi_blas_inverse(int64_t n, double *a) {
  return f.LAPACKE_dpotrf_work(COLUMN_MAJOR, 'U', (int)n, a, (int)n) == 0 &&
         f.LAPACKE_dpotri_work(COLUMN_MAJOR, 'U', (int)n, a, (int)n) == 0;
}
