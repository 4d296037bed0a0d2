/* spmm float32 in portable C: the plain loop over 16 pixels of two rows at a time, sums in local arrays so that
 * compilers keep them in whatever vectors they have. */
#include "kernel/spmm/spmm_int.h"

enum { LANES = 16, ROWS = 2 };

static float first_sum(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, int64_t i, int64_t j) {
  return s->bias ? s->bias[t->m + i] : s->lane_bias && j < t->n_pixels ? s->lane_bias[t->p + j] : 0;
}

/* Four words at any address, in the form gcc and clang turn into whatever vectors a machine has. */
typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Two rows, 16 pixels. */
static void sum_full(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, float *sum) {
  quad *to = (quad *)sum;
  for (int64_t j = 0; j < LANES; j++) sum[j] = first_sum(s, t, 0, j), sum[LANES + j] = first_sum(s, t, 1, j);
  quad a0 = to[0], a1 = to[1], a2 = to[2], a3 = to[3], b0 = to[4], b1 = to[5], b2 = to[6], b3 = to[7];
  const float *w = t->w;
  for (int64_t e = 0; e < t->n_list; e++, w += s->w_entry) {
    const quad *x = (const quad *)(t->x + t->off[e]);
    const float wa = w[0], wb = w[s->w_row];
    a0 += x[0] * wa, a1 += x[1] * wa, a2 += x[2] * wa, a3 += x[3] * wa;
    b0 += x[0] * wb, b1 += x[1] * wb, b2 += x[2] * wb, b3 += x[3] * wb;
  }
  to[0] = a0, to[1] = a1, to[2] = a2, to[3] = a3, to[4] = b0, to[5] = b1, to[6] = b2, to[7] = b3;
}

/* Any number of rows and pixels. */
static void sum_some(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, int64_t rows, float *sum) {
  for (int64_t i = 0; i < rows; i++) {
    float a[LANES];
    for (int64_t j = 0; j < LANES; j++) a[j] = first_sum(s, t, i, j);
    const float *w = t->w + i * s->w_row;
    for (int64_t e = 0; e < t->n_list; e++, w += s->w_entry) {
      const float *x = (const float *)(t->x + t->off[e]);
      if (t->n_pixels == LANES)
        for (int64_t j = 0; j < LANES; j++) a[j] += *w * x[j];
      else
        for (int64_t j = 0; j < t->n_pixels; j++) a[j] += *w * x[j];
    }
    for (int64_t j = 0; j < LANES; j++) sum[i * LANES + j] = a[j];
  }
}

void sumi_spmm_f32_ref(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  struct spmm_tile t = {.pieces = NULL};
  for (t.p = p0; t.p < p1; t.p += LANES) {
    t.n_pixels = spmm_min(LANES, p1 - t.p);
    t.x = (const char *)(s->x + t.p);
    for (int64_t b = b0; b < b1; b++) {
      const int64_t first = s->start ? s->start[b] : 0, rows = spmm_min(s->block, s->rows - b * s->block);
      t.off = s->off + first;
      t.n_list = s->start ? s->start[b + 1] - first : s->n_list;
      for (int64_t i = 0; i < rows; i += ROWS) {
        float sum[ROWS * LANES];
        const int64_t n = spmm_min(ROWS, rows - i);
        t.m = b * s->block + i;
        t.w = s->w + b * s->w_block + first * s->w_entry + i * s->w_row;
        if (n == ROWS && t.n_pixels == LANES)
          sum_full(s, &t, sum);
        else
          sum_some(s, &t, n, sum);
        spmm_finish(s, &t, (int)n, sum, LANES);
      }
    }
  }
}
