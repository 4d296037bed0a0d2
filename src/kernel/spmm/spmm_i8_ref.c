/* spmm, 8 bits, in portable C: every size of block, both forms of weights; 16 pixels of a row at a time in
 * the vectors that gcc and clang have for every machine. Products of an unsigned and a signed byte fit 16
 * bits. */
#include "kernel/spmm/spmm_i8_end.h"

enum { QUADS = I8_VECTOR / 4, CHUNK = 16 };

/* Four words at any address. */
typedef uint32_t words __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t sums __attribute__((vector_size(16)));
typedef int16_t halves __attribute__((vector_size(16)));

/* Both halves of each word, as signed numbers, added. */
static inline sums fold(halves v) {
  const sums pair = (sums)v;
  return (pair >> 16) + ((sums)((words)pair << 16) >> 16);
}

/* Adds entries [0, n) of one row to its sums; w_entry is in words. */
static void sum_row(const uint8_t *x, const int32_t *off, int64_t n, const int32_t *w, int64_t w_entry,
                    sums sum[QUADS]) {
  const words bytes = {0xff00ff, 0xff00ff, 0xff00ff, 0xff00ff};
  sums a = sum[0], b = sum[1], c = sum[2], d = sum[3];
  for (int64_t e = 0; e < n; e++, w += w_entry) {
    const halves both = (halves)(sums){*w, *w, *w, *w}, odd = both >> 8;
    const halves even = (halves)((words)both << 8 & ~bytes) >> 8;
    const words *const from = (const words *)(x + off[e]);
    a += fold((halves)(from[0] & bytes) * even) + fold((halves)(from[0] >> 8 & bytes) * odd);
    b += fold((halves)(from[1] & bytes) * even) + fold((halves)(from[1] >> 8 & bytes) * odd);
    c += fold((halves)(from[2] & bytes) * even) + fold((halves)(from[2] >> 8 & bytes) * odd);
    d += fold((halves)(from[3] & bytes) * even) + fold((halves)(from[3] >> 8 & bytes) * odd);
  }
  sum[0] = a, sum[1] = b, sum[2] = c, sum[3] = d;
}

/* Sums of row i of block b. Weights in tiles are 16 rows x 16 entries, rows after rows, entries after that.
 * */
static void sum_list(const struct sumi_spmm_i8 *s, int64_t b, int64_t i, const uint8_t *x, sums sum[QUADS]) {
  struct i8_tile t;
  i8_list(s, b, &t);
  if (s->block < CHUNK) {
    sum_row(x, t.off, t.n_list, t.w + i * s->w_row, s->w_entry, sum);
    return;
  }
  const int32_t *w = s->w + (s->start ? s->start[b] : b * s->n_list) * s->block + i * CHUNK;
  for (int64_t e = 0; e < t.n_list; e += CHUNK, w += s->block * CHUNK)
    sum_row(x, t.off + e, i8_min(CHUNK, t.n_list - e), w, 1, sum);
}

void sumi_spmm_i8_ref(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const int64_t m0 = b0 * s->block, m1 = i8_min(b1 * s->block, s->rows);
  for (int64_t v = p0 / I8_VECTOR; v * I8_VECTOR < p1; v++) {
    if (!sumi_lane_wanted(s->map, v)) continue;
    const uint8_t *const x = s->x + 4 * I8_VECTOR * v;
    for (int64_t m = m0; m < m1; m += I8_WORD_ROWS) {
      sums sum[I8_WORD_ROWS][QUADS];
      for (int i = 0; i < I8_WORD_ROWS; i++) {
        const int32_t bias = s->bias[m + i];
        for (int k = 0; k < QUADS; k++) sum[i][k] = (sums){bias, bias, bias, bias};
        sum_list(s, (m + i) / s->block, (m + i) % s->block, x, sum[i]);
      }
      i8_end_rows(s, m, v, (const int32_t *)sum, I8_VECTOR);
    }
  }
}
