/* What the files of family spmm share: the kernels' entry functions, and how a finished tile is stored where
 * the fast store does not do. Only static functions, so that each instruction-set file compiles its own. */
#ifndef SUMI_KERNEL_SPMM_INT_H
#define SUMI_KERNEL_SPMM_INT_H

#include "kernel/spmm/spmm.h"

#define SPMM_F32(level, suffix, ...) \
  void sumi_spmm_f32_##suffix(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1);
#include "kernel/spmm/spmm.def"
#undef SPMM_F32

/* Where a tile lies: rows [m, m + n_rows) x pixels [p, p + n_pixels), and the list it sums. */
struct spmm_tile {
  const char *x; /* s->x at pixel p */
  const float *w;
  const int32_t *off;
  int64_t n_list;
  int64_t m, p, n_pixels;
  const void *pieces; /* the kernel's own: how lanes are stored */
};

static inline int64_t spmm_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* True where a tile's rows can be stored as they are: no halo to drop, nothing to apply but add and clip. */
static inline int spmm_is_plain(const struct sumi_spmm_f32 *s) {
  return s->pitch == s->width && s->scale == 1 && !s->act;
}

/* Where the panel of pixels that starts at p ends: all blocks are done for a panel before the next one, so that long rows
 * of y are written in stretches and few lists keep their words of x in the second-level cache (1 MiB where this was
 * measured: docs/kernels.md). The last panel is never a splinter. */
static inline int64_t spmm_panel_end(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p,
                                     int64_t p1, int64_t unit) {
  enum { PANEL_BYTES = 384 << 10 };
  const int64_t list = !s->start ? s->n_list : b1 > b0 ? (s->start[b1] - s->start[b0]) / (b1 - b0) : 0;
  const int64_t n = PANEL_BYTES / 4 / (list + s->rows + 1) / unit * unit, end = p + (n > unit ? n : unit);
  return p1 - end < 2 * unit && n > unit ? p1 : spmm_min(end, p1);
}

/* Finishes sums [n_rows][stride]: scale, add, act, clip, store without the halo. */
static __attribute__((noinline, unused)) void spmm_finish(const struct sumi_spmm_f32 *s,
                                                          const struct spmm_tile *t, int n_rows, float *sum,
                                                          int stride) {
  const int64_t p1 = t->p + t->n_pixels, scan0 = t->p / s->pitch;
  for (int i = 0; i < n_rows; i++) {
    float *v = sum + i * stride;
    if (s->scale != 1)
      for (int64_t j = 0; j < t->n_pixels; j++) v[j] *= s->scale;
    if (s->add)
      for (int64_t p = t->p, scan = scan0; p < p1; scan++) {
        const int64_t col = p - scan * s->pitch, next = (scan + 1) * s->pitch,
                      n = spmm_min(s->width - col, p1 - p);
        const float *add = s->add + (t->m + i) * s->add_row + scan * s->width + col;
        for (int64_t j = 0; j < n; j++) v[p - t->p + j] += add[j];
        p = next;
      }
    if (s->act) s->act(v, v, t->n_pixels, s->act_param);
    for (int64_t p = t->p, scan = scan0; p < p1; scan++) {
      const int64_t col = p - scan * s->pitch, next = (scan + 1) * s->pitch,
                    n = spmm_min(s->width - col, p1 - p);
      float *y = s->y + (t->m + i) * s->y_row + scan * s->width + col;
      const float *from = v + (p - t->p), lo = s->lo, hi = s->hi;
      for (int64_t j = 0; j < n; j++) {
        float a = from[j];
        a = a < lo ? lo : a;
        y[j] = a > hi ? hi : a;
      }
      p = next;
    }
  }
}

#endif
