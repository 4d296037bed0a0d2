/* The frame that every kernel of family copy shares; a leaf defines, before it includes this file,
 *   static void split2(const float *x, int64_t n, float *even, float *odd): even[i] = x[2i], odd[i] = x[2i +
 * 1], i < n static void turn_block(const float *x, int64_t x_row, float *y, int64_t y_row): a transpose of
 * BLOCK x BLOCK Only static functions. */
#ifndef SUMI_KERNEL_COPY_INT_H
#define SUMI_KERNEL_COPY_INT_H

#include "kernel/copy/copy.h"
#include "kernel/copy/copy_fill.h"

static inline int64_t copy_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t copy_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* The q in [0, pitch) whose column q * step + shift lies in [0, w): [*first, *last), possibly empty. */
static inline void copy_range(int64_t w, int64_t pitch, int64_t step, int64_t shift, int64_t *first,
                              int64_t *last) {
  const int64_t lo = shift < 0 ? (-shift + step - 1) / step : 0,
                hi = w > shift ? (w - shift + step - 1) / step : 0;
  *last = copy_min(hi, pitch);
  *first = copy_min(lo, *last);
  if (*last < 0) *last = *first = 0;
}

/* One row of one phase. */
static void copy_row(const float *x, int64_t first, int64_t last, int64_t step, int64_t shift, int64_t pitch,
                     float fill, float *y) {
  if (step == 1) {
    move_row(x + shift, first, last, pitch, fill, y);
    return;
  }
  copy_fill(y, first, fill);
  for (int64_t q = first; q < last; q++) y[q] = x[q * step + shift];
  copy_fill(y + last, pitch - last, fill);
}

/* Both column phases of stride 2 in one pass over a row: columns q in [first, last) of both are inside. */
static void copy_row_pair(const struct sumi_copy_halo *c, const float *x, float *const y[2]) {
  int64_t first = 0, last = c->pitch;
  for (int b = 0; b < 2; b++) {
    int64_t f, l;
    copy_range(c->w, c->pitch, 2, c->phase_x[b] - c->left, &f, &l);
    first = copy_max(first, f);
    last = copy_min(last, l);
  }
  if (last < first) last = first;
  for (int b = 0; b < 2; b++) {
    int64_t f, l;
    const int64_t shift = c->phase_x[b] - c->left;
    copy_range(c->w, c->pitch, 2, shift, &f, &l);
    copy_fill(y[b], f, c->fill);
    for (int64_t q = f; q < copy_min(first, l); q++) y[b][q] = x[2 * q + shift];
    for (int64_t q = copy_max(last, f); q < l; q++) y[b][q] = x[2 * q + shift];
    copy_fill(y[b] + l, c->pitch - l, c->fill);
  }
  split2(x + 2 * first - c->left, last - first, y[0] + first, y[1] + first);
}

static void copy_halo(const struct sumi_copy_halo *c, const float *x, float *y) {
  const int pair = c->step_x == 2 && c->n_x == 2 && c->phase_x[0] == 0 && c->phase_x[1] == 1;
  for (int a = 0; a < c->n_y; a++) {
    float *const planes = y + (int64_t)a * c->n_x * c->plane;
    for (int64_t r = 0; r < c->rows; r++) {
      const int64_t i = r * c->step_y + c->phase_y[a] - c->top;
      const float *row = x + i * c->w;
      float *const to = planes + r * c->pitch;
      if (i < 0 || i >= c->h) {
        for (int b = 0; b < c->n_x; b++) copy_fill(to + b * c->plane, c->pitch, c->fill);
      } else if (pair) {
        copy_row_pair(c, row, (float *const[2]){to, to + c->plane});
      } else {
        for (int b = 0; b < c->n_x; b++) {
          int64_t first, last;
          const int64_t shift = c->phase_x[b] - c->left;
          copy_range(c->w, c->pitch, c->step_x, shift, &first, &last);
          copy_row(row, first, last, c->step_x, shift, c->pitch, c->fill, to + b * c->plane);
        }
      }
    }
    for (int b = 0; b < c->n_x; b++)
      copy_fill(planes + b * c->plane + c->rows * c->pitch, c->plane - c->rows * c->pitch, c->fill);
  }
}

static void copy_merge(const struct sumi_copy_halo *c, const float *x, float *y) {
  for (int a = 0; a < c->n_y; a++)
    for (int64_t r = 0; r < c->rows; r++) {
      const int64_t i = r * c->step_y + c->phase_y[a] - c->top;
      if (i < 0 || i >= c->h) continue;
      for (int b = 0; b < c->n_x; b++) {
        int64_t first, last;
        const int64_t shift = c->phase_x[b] - c->left;
        const float *from = x + ((int64_t)a * c->n_x + b) * c->plane + r * c->pitch;
        float *to = y + i * c->w + shift;
        copy_range(c->w, c->pitch, c->step_x, shift, &first, &last);
        if (c->step_x == 2)
          for (int64_t q = first; q < last; q++) to[2 * q] = from[q];
        else
          for (int64_t q = first; q < last; q++) to[q * c->step_x] = from[q];
      }
    }
}

/* A tile of at most PAGE x PAGE words: a few whole lines of every row of x and y that it touches, so that the pages of
 * either are visited once for all of them. */
enum { PAGE = 64 };
static void copy_turn_tile(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, int64_t y_row) {
  for (int64_t j = 0; j < n; j += BLOCK)
    for (int64_t i = 0; i < m; i += BLOCK) {
      const float *from = x + i * x_row + j;
      float *to = y + j * y_row + i;
      const int64_t high = copy_min(BLOCK, m - i), wide = copy_min(BLOCK, n - j);
      if (high == BLOCK && wide == BLOCK)
        turn_block(from, x_row, to, y_row);
      else
        for (int64_t b = 0; b < wide; b++)
          for (int64_t a = 0; a < high; a++) to[b * y_row + a] = from[a * x_row + b];
    }
}

static void copy_transpose(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, int64_t y_row) {
  for (int64_t j = 0; j < n; j += PAGE)
    for (int64_t i = 0; i < m; i += PAGE)
      copy_turn_tile(x + i * x_row + j, x_row, copy_min(PAGE, m - i), copy_min(PAGE, n - j),
                     y + j * y_row + i, y_row);
}

#define COPY(level, suffix, ...)                                                                   \
  void sumi_copy_halo_##suffix(const struct sumi_copy_halo *c, const float *x, float *y);          \
  void sumi_copy_merge_##suffix(const struct sumi_copy_halo *c, const float *x, float *y);         \
  void sumi_copy_transpose_##suffix(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, \
                                    int64_t y_row);
#include "kernel/copy/copy.def"
#undef COPY

#endif
