/* The calls of blas.h on functions found in shared libraries. */
#include "compress/blas.h"

#include <dlfcn.h>
#include <pthread.h>

#include "base/size.h"
#include "base/status.h"

enum { ROW_MAJOR = 101, TRANSPOSE = 112, LOWER = 122 }; /* as CBLAS numbers them */

/* FUNCTION(library, name, result, parameters): integers are 32 bits in Debian's builds and most others. */
#define FUNCTIONS                                                                                       \
  FUNCTION(0, openblas_set_num_threads, void, (int))                                                    \
  FUNCTION(0, cblas_ssyrk, void,                                                                        \
           (int order, int triangle, int transpose, int n, int k, float alpha, const float *a, int lda, \
            float beta, float *c, int ldc))

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
  f.openblas_set_num_threads(threads > 0 ? threads : 1);
  return SUMI_OK;
}

void sumi_blas_gram(int64_t cols, int64_t n, const float *x, float *out) {
  f.cblas_ssyrk(ROW_MAJOR, LOWER, TRANSPOSE, (int)cols, (int)n, 1, x, (int)cols, 0, out, (int)cols);
}
