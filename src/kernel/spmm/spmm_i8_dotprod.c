/* spmm, 8 bits, with ARM's SDOT: tiles of 4, 2, 1 rows x 16 pixels, sums in registers. SDOT takes signed bytes only:
 * pixels are turned into signed ones by flipping their first bit, that is by taking 128 off, and each row's sum starts
 * with 128 times the sum of its weights. Each list entry costs four loads, four flips, one broadcast a row and four
 * SDOTs a row. */
#include <arm_neon.h>

#include "kernel/spmm/spmm_i8_end.h"

enum { MOST_ROWS = 4, QUADS = I8_VECTOR / 4, VECTOR_BYTES = 4 * I8_VECTOR };

INLINE int8x8_t weights(const char *w) { return vreinterpret_s8_s32(vld1_dup_s32((const int32_t *)w)); }

/* first[rows] = bias + 128 * (sum of all weights), modulo 2^32. */
INLINE void first_sums(const int rows, const struct sumi_spmm_i8 *s, const struct i8_tile *t,
                       uint32_t *first) {
  const int8x8_t one = vdup_n_s8(1);
  int32x2_t sum[MOST_ROWS];
  UNROLL for (int i = 0; i < rows; i++) sum[i] = vdup_n_s32(0);
  const char *w = (const char *)t->w;
  for (int64_t e = 0; e < t->n_list; e++, w += t->w_entry) {
    UNROLL for (int i = 0; i < rows; i++) sum[i] = vdot_s32(sum[i], weights(w + i * t->w_row), one);
  }
  UNROLL for (int i = 0; i < rows; i++) first[i] =
      (uint32_t)s->bias[t->m + i] + ((uint32_t)vget_lane_s32(sum[i], 0) << 7);
}

/* Sums [rows][16] of the pixels from x on. rows is a constant wherever this is inlined. */
INLINE void tile(const int rows, const struct i8_tile *t, const uint32_t *first, const uint8_t *x,
                 int32_t *out) {
  const uint8x16_t flip = vdupq_n_u8(0x80);
  int32x4_t sum[MOST_ROWS][QUADS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int k = 0; k < QUADS; k++) sum[i][k] = vreinterpretq_s32_u32(vdupq_n_u32(first[i]));
  }
  const int64_t w_row = t->w_row, w_entry = t->w_entry;
  const int32_t *off = t->off, *const stop = off + t->n_list;
  for (const char *w = (const char *)t->w; off < stop; off++, w += w_entry) {
    const uint8_t *at = x + *off;
    int8x16_t v[QUADS];
    UNROLL for (int k = 0; k < QUADS; k++) v[k] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at + 16 * k), flip));
    UNROLL for (int i = 0; i < rows; i++) {
      const int8x8_t b = weights(w + i * w_row);
      UNROLL for (int k = 0; k < QUADS; k++) sum[i][k] = vdotq_lane_s32(sum[i][k], v[k], b, 0);
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int k = 0; k < QUADS; k++) vst1q_s32(out + I8_VECTOR * i + 4 * k, sum[i][k]);
  }
}

/* Rows m .. m + 3, which have 4 / rows lists, over vectors [v, stop). rows is a constant where this is inlined. */
INLINE void run_word(const int rows, const struct sumi_spmm_i8 *s, int64_t m, int64_t v, int64_t stop) {
  enum { MOST_LISTS = I8_WORD_ROWS };
  struct i8_tile t[MOST_LISTS];
  uint32_t first[I8_WORD_ROWS];
  for (int i = 0; i < I8_WORD_ROWS; i += rows) {
    struct i8_tile *list = &t[i / rows];
    i8_list(s, (m + i) / s->block, list);
    list->m = m + i;
    list->w += (m + i) % s->block * s->w_row;
    first_sums(rows, s, list, first + i);
  }
  for (; v < stop; v++) {
    int32_t sum[I8_WORD_ROWS * I8_VECTOR];
    for (int i = 0; i < I8_WORD_ROWS; i += rows)
      tile(rows, &t[i / rows], first + i, s->x + VECTOR_BYTES * v, sum + I8_VECTOR * i);
    i8_end_rows(s, m, v, sum, I8_VECTOR);
  }
}

static void run_1(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, int64_t stop) {
  run_word(1, s, m, v, stop);
}
static void run_2(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, int64_t stop) {
  run_word(2, s, m, v, stop);
}
static void run_4(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, int64_t stop) {
  run_word(4, s, m, v, stop);
}

void sumi_spmm_i8_dotprod(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  void (*const run)(const struct sumi_spmm_i8 *, int64_t, int64_t, int64_t) = s->block >= 4   ? run_4
                                                                              : s->block == 2 ? run_2
                                                                                              : run_1;
  const int64_t m1 = i8_min(b1 * s->block, s->rows);
  struct i8_split split = {.end = p0 / I8_VECTOR};
  while (i8_next_panel(s, b0, b1, (p1 + I8_VECTOR - 1) / I8_VECTOR, 1, &split))
    for (int64_t m = b0 * s->block; m < m1; m += I8_WORD_ROWS) run(s, m, split.begin, split.end);
}
