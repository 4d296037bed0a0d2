/* spmm float32 in portable C: the plain loop, 16 pixels at a time so that compilers can use the vectors they
 * have. */
#include "kernel/spmm/spmm_int.h"

enum { LANES = 16 };

static void sum_row(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, float *sum) {
  for (int64_t j = 0; j < LANES; j++)
    sum[j] = s->bias ? s->bias[t->m] : s->lane_bias && j < t->n_pixels ? s->lane_bias[t->p + j] : 0;
  const float *w = t->w;
  for (int64_t e = 0; e < t->n_list; e++, w += s->w_entry) {
    const float *x = (const float *)(t->x + t->off[e]);
    if (t->n_pixels == LANES)
      for (int64_t j = 0; j < LANES; j++) sum[j] += *w * x[j];
    else
      for (int64_t j = 0; j < t->n_pixels; j++) sum[j] += *w * x[j];
  }
}

void sumi_spmm_f32_ref(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  struct spmm_tile t;
  for (t.p = p0; t.p < p1; t.p += LANES) {
    t.n_pixels = spmm_min(LANES, p1 - t.p);
    t.x = (const char *)(s->x + t.p);
    for (int64_t b = b0; b < b1; b++) {
      const int64_t first = s->start ? s->start[b] : 0, rows = spmm_min(s->block, s->rows - b * s->block);
      t.off = s->off + first;
      t.n_list = s->start ? s->start[b + 1] - first : s->n_list;
      for (int64_t i = 0; i < rows; i++) {
        float sum[LANES];
        t.m = b * s->block + i;
        t.w = s->w + b * s->w_block + first * s->w_entry + i * s->w_row;
        sum_row(s, &t, sum);
        spmm_finish(s, &t, 1, sum, LANES);
      }
    }
  }
}
