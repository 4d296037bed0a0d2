/* Resizing, separable: first along rows, then along columns, with 8 bits between the two. A pixel of the result is
 *   sum over x of f((x + 1/2 - c) / s) * from[x] / sum of f,     c = (i + 1/2) * from_size / size, s = max(1, from_size / size)
 * over the pixels within s * support of c; f is the triangle (support 1) or Keys' cubic with a = -1/2 (support 2; Keys
 * 1981, "Cubic convolution interpolation for digital image processing"). Weights are rounded to 22 bits after the
 * point and sums to the nearest integer: that is what Pillow does, and results are equal to its up to version 12.
 * (Version 13 walks columns first where heights shrink much more than widths; then the 8 bits between differ.) */
#include "image/image.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

enum { FRACTION_BITS = 22 };

static double triangle(double x) {
  x = fabs(x);
  return x < 1 ? 1 - x : 0;
}

static double cubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* For each of size results: first source pixel, how many, and their weights. */
struct taps {
  int64_t size, most;
  int32_t *first, *n, *weight; /* [size], [size], [size, most] */
};

static sumi_status taps_init(struct taps *t, int64_t from, int64_t size, sumi_filter filter,
                             const struct sumi_allocator *a, struct sumi_err *err) {
  double (*const f)(double) = filter == SUMI_FILTER_BILINEAR ? triangle : cubic;
  const double step = (double)from / (double)size, widen = step > 1 ? step : 1;
  const double support = widen * (filter == SUMI_FILTER_BILINEAR ? 1 : 2);
  *t = (struct taps){.size = size, .most = (int64_t)ceil(support) * 2 + 1};
  double *w = sumi_alloc(a, (size_t)t->most * sizeof *w);
  t->first = sumi_alloc(a, (size_t)size * sizeof *t->first);
  t->n = sumi_alloc(a, (size_t)size * sizeof *t->n);
  t->weight = sumi_alloc(
      a, (size_t)(size * t->most) * sizeof *t->weight); /* about 2 support from: both are bounded */
  const bool ok = w && t->first && t->n && t->weight;
  for (int64_t i = 0; ok && i < size; i++) {
    const double centre = ((double)i + 0.5) * step;
    int64_t low = (int64_t)(centre - support + 0.5), high = (int64_t)(centre + support + 0.5);
    low = SUMI_MAX(low, 0);
    high = SUMI_MIN(high, from);
    double sum = 0;
    for (int64_t x = low; x < high; x++) sum += w[x - low] = f(((double)x - centre + 0.5) / widen);
    t->first[i] = (int32_t)low;
    t->n[i] = (int32_t)(high - low);
    for (int64_t k = 0; k < high - low; k++) {
      const double scaled = (sum != 0 ? w[k] / sum : w[k]) * (1 << FRACTION_BITS);
      t->weight[i * t->most + k] = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
  }
  sumi_free(a, w, (size_t)t->most * sizeof *w);
  if (!ok) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static void taps_fini(struct taps *t, const struct sumi_allocator *a) {
  sumi_free(a, t->first, (size_t)t->size * sizeof *t->first);
  sumi_free(a, t->n, (size_t)t->size * sizeof *t->n);
  sumi_free(a, t->weight, (size_t)(t->size * t->most) * sizeof *t->weight);
}

static uint8_t to_byte(int64_t sum) {
  const int64_t x = sum >> FRACTION_BITS;
  return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* to[rows, size, 3] from from[rows, from_width, 3] */
static void along_rows(const uint8_t *from, int64_t rows, int64_t from_width, const struct taps *t,
                       uint8_t *to) {
  for (int64_t y = 0; y < rows; y++)
    for (int64_t i = 0; i < t->size; i++) {
      const uint8_t *x = from + (y * from_width + t->first[i]) * 3;
      const int32_t *w = t->weight + i * t->most;
      int64_t sum[3] = {1 << (FRACTION_BITS - 1), 1 << (FRACTION_BITS - 1), 1 << (FRACTION_BITS - 1)};
      for (int32_t k = 0; k < t->n[i]; k++)
        for (int c = 0; c < 3; c++) sum[c] += (int64_t)w[k] * x[3 * k + c];
      for (int c = 0; c < 3; c++) to[(y * t->size + i) * 3 + c] = to_byte(sum[c]);
    }
}

/* to[size, width, 3] from from[from_height, width, 3] */
static void along_columns(const uint8_t *from, int64_t width, const struct taps *t, uint8_t *to) {
  const int64_t n = width * 3;
  for (int64_t i = 0; i < t->size; i++) {
    const int32_t *w = t->weight + i * t->most;
    for (int64_t x = 0; x < n; x++) {
      int64_t sum = 1 << (FRACTION_BITS - 1);
      for (int32_t k = 0; k < t->n[i]; k++) sum += (int64_t)w[k] * from[(t->first[i] + k) * n + x];
      to[i * n + x] = to_byte(sum);
    }
  }
}

/* The pixel under the centre; centres are summed up, which decides where one falls between two pixels. */
static void nearest(const uint8_t *from, int64_t from_height, int64_t from_width, uint8_t *to, int64_t height,
                    int64_t width) {
  const double dy = (double)from_height / (double)height, dx = (double)from_width / (double)width;
  double cy = dy / 2;
  for (int64_t y = 0; y < height; y++, cy += dy) {
    const uint8_t *row = from + SUMI_MIN((int64_t)cy, from_height - 1) * from_width * 3;
    double cx = dx / 2;
    for (int64_t x = 0; x < width; x++, cx += dx)
      memcpy(to + (y * width + x) * 3, row + SUMI_MIN((int64_t)cx, from_width - 1) * 3, 3);
  }
}

sumi_status sumi_image_scale(const uint8_t *from, int64_t from_height, int64_t from_width, uint8_t *to,
                             int64_t height, int64_t width, sumi_filter filter,
                             const struct sumi_allocator *a, struct sumi_err *err) {
  if (filter == SUMI_FILTER_NEAREST) {
    nearest(from, from_height, from_width, to, height, width);
    return SUMI_OK;
  }
  struct taps rows = {0}, columns = {0};
  const size_t middle_bytes = (size_t)(from_height * width * 3);
  uint8_t *middle = sumi_alloc(a, middle_bytes);
  sumi_status status = middle ? taps_init(&rows, from_width, width, filter, a, err)
                              : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK) status = taps_init(&columns, from_height, height, filter, a, err);
  if (status == SUMI_OK) {
    along_rows(from, from_height, from_width, &rows, middle);
    along_columns(middle, width, &columns, to);
  }
  taps_fini(&rows, a);
  taps_fini(&columns, a);
  sumi_free(a, middle, middle_bytes);
  return status;
}
