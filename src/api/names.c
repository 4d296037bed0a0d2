/* Names and views: the small functions of the API. */
#include "api/api_int.h"

const char *sumi_version(void) { return SUMI_VERSION; }
const char *sumi_status_name(sumi_status status) { return sumi_status_label(status); }
const char *sumi_status_explain(sumi_status status) { return sumi_status_sentence(status); }
const char *sumi_dtype_name(sumi_dtype dtype) { return sumi_dtype_label(dtype); }
size_t sumi_dtype_size_bits(sumi_dtype dtype) { return (size_t)sumi_dtype_bits(dtype); }

int64_t sumi_view_count(const struct sumi_view *view) {
  int64_t n;
  if (!view || view->rank < 0 || view->rank > SUMI_MAX_RANK || (view->rank && !view->dims)) return -1;
  return sumi_shape_count(view->dims, view->rank, &n, NULL) == SUMI_OK ? n : -1;
}

sumi_status sumi_views_check(const struct sumi_view *views, size_t n, const char *what,
                             struct sumi_err *err) {
  if (n && !views) SUMI_FAIL(err, SUMI_E_ARG, "%zu %s, but no array of them", n, what);
  for (size_t i = 0; i < n; i++)
    if (views[i].size != sizeof(struct sumi_view))
      SUMI_FAIL(err, SUMI_E_ARG, "%s %zu: the struct's size is %zu, this library's is %zu", what, i,
                views[i].size, sizeof(struct sumi_view));
  return SUMI_OK;
}

/* Element offset of the i-th element in row-major order of the view's shape. */
static int64_t offset_of(const struct sumi_view *view, int64_t i) {
  if (!view->strides) return i;
  int64_t offset = 0;
  for (int d = view->rank - 1; d >= 0; d--) {
    const int64_t n = view->dims[d];
    offset += (n ? i % n : 0) * view->strides[d];
    i = n ? i / n : 0;
  }
  return offset;
}

double sumi_view_get(const struct sumi_view *view, int64_t i) {
  return sumi_get_f64(view->dtype, view->data, offset_of(view, i));
}

void sumi_view_read(const struct sumi_view *view, int64_t first, int64_t n, double *out) {
  for (int64_t i = 0; i < n; i++) out[i] = sumi_view_get(view, first + i);
}
