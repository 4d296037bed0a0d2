/* Comparing views. */
#include "common/compare.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/tensor.h"

enum { CHUNK = 1024 };

struct difference {
  char *reason;
  size_t size;
};

static bool differ(const struct difference *d, const char *format, ...) CLI_PRINTF(2, 3);

static bool differ(const struct difference *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(d->reason, d->size, format, args);
  va_end(args);
  return false;
}

static bool is_float(sumi_dtype d) { return d >= SUMI_FLOAT32 && d <= SUMI_FLOAT4E2M1; }

/* One number as the standard's runner judges it. */
static bool close_enough(double got, double want, double rtol, double atol) {
  if (isnan(got) || isnan(want)) return isnan(got) && isnan(want);
  if (isinf(got) || isinf(want)) return got == want;
  return fabs(got - want) <= atol + rtol * fabs(want);
}

static bool same_numbers(const struct sumi_view *got, const struct sumi_view *want, int64_t n, double rtol,
                         double atol, const struct difference *d) {
  double a[CHUNK], b[CHUNK];
  int64_t wrong = 0, first = -1;
  double first_got = 0, first_want = 0, worst = 0;
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t m = n - at < CHUNK ? n - at : CHUNK;
    sumi_view_read(got, at, m, a);
    sumi_view_read(want, at, m, b);
    for (int64_t i = 0; i < m; i++) {
      if (close_enough(a[i], b[i], rtol, atol)) continue;
      if (!wrong++) first = at + i, first_got = a[i], first_want = b[i];
      if (fabs(a[i] - b[i]) > worst) worst = fabs(a[i] - b[i]);
    }
  }
  if (!wrong) return true;
  return differ(d, "%lld of %lld elements differ, by %.3g at most; element %lld is %.9g, not %.9g",
                (long long)wrong, (long long)n, worst, (long long)first, first_got, first_want);
}

/* Elements of whole bytes, compared as they are. */
static bool same_bytes(const struct sumi_view *got, const struct sumi_view *want, int64_t n,
                       const struct difference *d) {
  const size_t each = sumi_dtype_size_bits(got->dtype) / 8;
  const char *a = got->data, *b = want->data;
  for (int64_t i = 0; i < n; i++)
    if (memcmp(a + (size_t)i * each, b + (size_t)i * each, each))
      return differ(d, "element %lld is %.17g, not %.17g", (long long)i, sumi_view_get(got, i),
                    sumi_view_get(want, i));
  return true;
}

static bool same_string(const struct sumi_str *a, const struct sumi_str *b) {
  return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

static bool same_strings(const struct sumi_view *got, const struct sumi_view *want, int64_t n,
                         const struct difference *d) {
  const struct sumi_str *a = got->data, *b = want->data;
  for (int64_t i = 0; i < n; i++)
    if (!same_string(&a[i], &b[i]))
      return differ(d, "element %lld is \"%.*s\", not \"%.*s\"", (long long)i,
                    a[i].size < 60 ? (int)a[i].size : 60, a[i].data ? a[i].data : "",
                    b[i].size < 60 ? (int)b[i].size : 60, b[i].data ? b[i].data : "");
  return true;
}

/* Real and imaginary parts are numbers of their own. */
static struct sumi_view parts_of(const struct sumi_view *v, int64_t *n) {
  struct sumi_view parts = *v;
  *n *= 2;
  parts.dtype = v->dtype == SUMI_COMPLEX64 ? SUMI_FLOAT32 : SUMI_FLOAT64;
  parts.rank = 1;
  parts.dims = n;
  parts.strides = NULL;
  return parts;
}

static bool same_shape(const struct sumi_view *got, const struct sumi_view *want,
                       const struct difference *d) {
  char a[200], b[200];
  bool same = got->dtype == want->dtype && got->rank == want->rank;
  for (int i = 0; same && i < got->rank; i++) same = got->dims[i] == want->dims[i];
  if (same) return true;
  return differ(d, "%s, not %s", cli_shape_text(got->dtype, got->rank, got->dims, a, sizeof a),
                cli_shape_text(want->dtype, want->rank, want->dims, b, sizeof b));
}

static bool same_tensor(const struct sumi_view *got, const struct sumi_view *want, double rtol, double atol,
                        const struct difference *d) {
  if (!same_shape(got, want, d)) return false;
  int64_t n = sumi_view_count(want);
  if (n < 0) return differ(d, "its shape is no shape");
  const sumi_dtype type = want->dtype;
  if (type == SUMI_STRING) return same_strings(got, want, n, d);
  if (type == SUMI_COMPLEX64 || type == SUMI_COMPLEX128) {
    int64_t n_got = n;
    const struct sumi_view x = parts_of(got, &n_got), y = parts_of(want, &n);
    return same_numbers(&x, &y, n, rtol, atol, d);
  }
  if (is_float(type))
    return same_numbers(got, want, n, type == SUMI_BFLOAT16 ? fmax(rtol, 0x1p-6) : rtol, atol, d);
  if (sumi_dtype_size_bits(type) >= 8 && !got->strides && !want->strides) return same_bytes(got, want, n, d);
  return same_numbers(got, want, n, 0, 0, d);
}

/* Position of element i of want's keys among got's, which are most often in the same order; -1: none. */
static int64_t find_key(const struct sumi_view *got, const struct sumi_view *want, int64_t i, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    const int64_t at = (i + k) % n;
    if (want->dtype == SUMI_INT64 ? ((const int64_t *)got->data)[at] == ((const int64_t *)want->data)[i]
                                  : same_string(&((const struct sumi_str *)got->data)[at],
                                                &((const struct sumi_str *)want->data)[i]))
      return at;
  }
  return -1;
}

/* Element i of a list as a tensor of its own. */
static struct sumi_view element(const struct sumi_view *list, int64_t i, const int64_t *one) {
  const size_t size =
      list->dtype == SUMI_STRING ? sizeof(struct sumi_str) : sumi_dtype_size_bits(list->dtype) / 8;
  struct sumi_view v = *list;
  v.data = (char *)list->data + (size_t)i * size;
  v.dims = one;
  return v;
}

/* Maps are equal whatever the order of their keys. */
static bool same_map(const struct sumi_view *got, const struct sumi_view *want, double rtol, double atol,
                     const struct difference *d) {
  if (got->n_items != 2 || want->n_items != 2) return differ(d, "not two maps");
  const struct sumi_view *keys = &got->items[0], *wanted = &want->items[0];
  const int64_t n = sumi_view_count(wanted), one = 1;
  if (sumi_view_count(keys) != n)
    return differ(d, "a map of %lld, not %lld", (long long)sumi_view_count(keys), (long long)n);
  if (n > 0 && (keys->dtype != wanted->dtype || got->items[1].dtype != want->items[1].dtype ||
                sumi_dtype_size_bits(want->items[1].dtype) % 8))
    return differ(d, "a map of other types");
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = find_key(keys, wanted, i, n);
    if (at < 0) return differ(d, "the map lacks the key at %lld", (long long)i);
    const struct sumi_view x = element(&got->items[1], at, &one), y = element(&want->items[1], i, &one);
    if (!same_tensor(&x, &y, rtol, atol, d)) return false;
  }
  return true;
}

static bool same_item(const struct sumi_view *got, const struct sumi_view *want, double rtol, double atol,
                      const struct difference *d) {
  return want->kind == SUMI_MAP ? same_map(got, want, rtol, atol, d) : same_tensor(got, want, rtol, atol, d);
}

bool cli_compare(const struct sumi_view *got, const struct sumi_view *want, double rtol, double atol,
                 char *reason, size_t size) {
  const struct difference d = {reason, size};
  if (got->absent != want->absent)
    return differ(&d, got->absent ? "nothing, where there should be a value"
                                  : "a value, where there should be nothing");
  if (want->absent) return true;
  const bool list = cli_is_sequence(want->kind);
  if (list != cli_is_sequence(got->kind))
    return differ(&d, list ? "a tensor, not a sequence" : "a sequence, not a tensor");
  const bool maps = want->kind == SUMI_MAP || want->kind == SUMI_MAP_SEQUENCE;
  if (maps != (got->kind == SUMI_MAP || got->kind == SUMI_MAP_SEQUENCE))
    return differ(&d, maps ? "tensors, not maps" : "maps, not tensors");
  if (!list) return same_item(got, want, rtol, atol, &d);
  if (got->n_items != want->n_items)
    return differ(&d, "a sequence of %zu, not %zu", got->n_items, want->n_items);
  for (size_t i = 0; i < want->n_items; i++) {
    if (same_item(&got->items[i], &want->items[i], rtol, atol, &d)) continue;
    char *why = cli_strdup(reason);
    differ(&d, "item %zu: %s", i, why);
    free(why);
    return false;
  }
  return true;
}

struct sample {
  double low, high, mean, variance; /* of the mean */
  bool whole;                       /* all elements are whole numbers */
};

static struct sample sample_of(const struct sumi_view *v, int64_t n) {
  struct sample s = {INFINITY, -INFINITY, 0, 0, true};
  double square = 0;
  for (int64_t i = 0; i < n; i++) {
    const double x = sumi_view_get(v, i), d = x - s.mean;
    s.low = fmin(s.low, x);
    s.high = fmax(s.high, x);
    s.whole = s.whole && x == trunc(x);
    s.mean += d / (double)(i + 1);
    square += d * (x - s.mean);
  }
  s.variance = square / (double)n / (double)n;
  return s;
}

bool cli_compare_draws(const struct sumi_view *got, const struct sumi_view *want, char *reason, size_t size) {
  const struct difference d = {reason, size};
  if (got->absent || want->absent || got->kind != SUMI_TENSOR || want->kind != SUMI_TENSOR ||
      sumi_dtype_size_bits(want->dtype) < 8 || want->dtype == SUMI_STRING)
    return differ(&d, "draws are compared of tensors of numbers only");
  if (!same_shape(got, want, &d)) return false;
  const int64_t n = sumi_view_count(want);
  if (n <= 0) return n == 0;
  const struct sample a = sample_of(got, n), b = sample_of(want, n);
  const double span = b.high - b.low;
  if (b.whole && !a.whole) return differ(&d, "not all draws are whole numbers");
  if (!(a.low >= b.low - span && a.high <= b.high + span))
    return differ(&d, "draws lie in [%g, %g], not in [%g, %g]", a.low, a.high, b.low, b.high);
  const double error = sqrt(a.variance + b.variance);
  if (!(fabs(a.mean - b.mean) <= 4 * error))
    return differ(&d, "the mean of the draws is %g, not %g: that is not within 4 times %g", a.mean, b.mean,
                  error);
  return true;
}
