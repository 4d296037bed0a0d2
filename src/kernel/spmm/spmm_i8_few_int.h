/* The frame of the 8-bit leaves for few pixels: roles are swapped, the 8 rows of a block lie in the lanes of a vector, words of x are
 * broadcast. Bound by reading weights, so what can be left out is: a word of x that is zero is not multiplied, and its weights
 * are not read (dynamic sparsity; with lists of their own it is the intersection of both).
 *
 * A leaf defines few_dot(sum, x, w): sum + the dot products of the word x, four unsigned bytes, with 8 words w; includes this; and calls
 * few_run. Pixels beyond 16 work too, at a vector's worth of weights each. */
#include <string.h>

#include "kernel/spmm/spmm_i8_end.h"

enum { FEW_ROWS = 8, FEW_BLOCKS = 8 };

INLINE __m256i few_bias(const struct sumi_spmm_i8 *s, int64_t b) {
  int32_t bias[FEW_ROWS] = {0}; /* the last block may have four rows */
  const int64_t m = b * FEW_ROWS, n = i8_min(FEW_ROWS, s->rows - m);
  memcpy(bias, s->bias + m, (size_t)n * sizeof *bias);
  return _mm256_loadu_si256((const __m256i *)bias);
}

INLINE int32_t few_word(const uint8_t *x, int32_t off) {
  int32_t word;
  memcpy(&word, x + off, sizeof word);
  return word;
}

/* The weights of one entry of a block whose rows do not fill a vector side by side. */
INLINE __m256i few_gather(const struct sumi_spmm_i8 *s, const int32_t *w, int64_t rows) {
  int32_t word[FEW_ROWS] = {0};
  for (int64_t i = 0; i < rows; i++) word[i] = w[i * s->w_row];
  return _mm256_loadu_si256((const __m256i *)word);
}

/* Whether vectors of weights can be loaded as they lie. */
INLINE bool few_whole(const struct sumi_spmm_i8 *s, int64_t b) {
  return s->w_row == 1 && s->rows - b * FEW_ROWS >= FEW_ROWS;
}

/* n blocks (a constant where this is inlined) that share the list, one pixel. */
INLINE void few_shared(const int n, const struct sumi_spmm_i8 *s, int64_t b, const uint8_t *x, __m256i *sum) {
  const int32_t *w = s->w + b * s->w_block;
  __m256i a[FEW_BLOCKS];
  UNROLL for (int k = 0; k < n; k++) a[k] = few_bias(s, b + k);
  for (int64_t e = 0; e < s->n_list; e++, w += s->w_entry) {
    const int32_t word = few_word(x, s->off[e]);
    if (word == 0) continue;
    const __m256i v = _mm256_set1_epi32(word);
    UNROLL for (int k = 0; k < n; k++) {
      a[k] = few_dot(a[k], v, _mm256_loadu_si256((const __m256i *)(w + k * s->w_block)));
    }
  }
  UNROLL for (int k = 0; k < n; k++) sum[k] = a[k];
}

/* One block, one pixel, whatever its weights look like. */
INLINE __m256i few_any(const struct sumi_spmm_i8 *s, int64_t b, const uint8_t *x) {
  struct i8_tile t;
  i8_list(s, b, &t);
  const int64_t rows = i8_min(FEW_ROWS, s->rows - b * FEW_ROWS);
  __m256i sum = few_bias(s, b);
  for (int64_t e = 0; e < t.n_list; e++) {
    const int32_t word = few_word(x, t.off[e]);
    if (word) sum = few_dot(sum, _mm256_set1_epi32(word), few_gather(s, t.w + e * s->w_entry, rows));
  }
  return sum;
}

/* One block with a list of its own, one pixel. Two sums, so that one product need not wait for the last. */
INLINE __m256i few_own(const struct sumi_spmm_i8 *s, int64_t b, const uint8_t *x) {
  const int64_t first = s->start[b], last = s->start[b + 1];
  const int32_t *w = s->w + first * s->w_entry;
  __m256i a[2] = {few_bias(s, b), _mm256_setzero_si256()};
  for (int64_t e = first; e < last; e++, w += s->w_entry) {
    const int32_t word = few_word(x, s->off[e]);
    if (word == 0) continue;
    a[e & 1] = few_dot(a[e & 1], _mm256_set1_epi32(word), _mm256_loadu_si256((const __m256i *)w));
  }
  return _mm256_add_epi32(a[0], a[1]);
}

/* Blocks [b, b + n), n <= FEW_BLOCKS, for the pixels of vector v. */
INLINE void few_blocks(const struct sumi_spmm_i8 *s, int64_t b, int64_t n, int64_t v, int64_t p1) {
  _Alignas(64) int32_t sums[FEW_BLOCKS * FEW_ROWS][I8_VECTOR] = {{0}};
  const int lanes = (int)i8_min(I8_VECTOR, p1 - v * I8_VECTOR);
  for (int lane = 0; lane < lanes; lane++) {
    const uint8_t *const x = s->x + 4 * (v * I8_VECTOR + lane);
    __m256i sum[FEW_BLOCKS];
    if (!s->start && n == FEW_BLOCKS && few_whole(s, b + n - 1)) {
      few_shared(FEW_BLOCKS, s, b, x, sum);
    } else {
      for (int64_t k = 0; k < n; k++)
        if (!few_whole(s, b + k))
          sum[k] = few_any(s, b + k, x);
        else if (s->start)
          sum[k] = few_own(s, b + k, x);
        else
          few_shared(1, s, b + k, x, sum + k);
    }
    for (int64_t k = 0; k < n; k++) {
      int32_t row[FEW_ROWS];
      _mm256_storeu_si256((__m256i *)row, sum[k]);
      for (int i = 0; i < FEW_ROWS; i++) sums[k * FEW_ROWS + i][lane] = row[i];
    }
  }
  for (int64_t m = b * FEW_ROWS, k = 0; m < i8_min((b + n) * FEW_ROWS, s->rows);
       m += I8_WORD_ROWS, k += I8_WORD_ROWS)
    i8_end_rows(s, m, v, sums[k], I8_VECTOR);
}

INLINE void few_run(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  for (int64_t v = p0 / I8_VECTOR; v * I8_VECTOR < p1; v++) {
    if (!sumi_lane_wanted(s->map, v)) continue;
    for (int64_t b = b0; b < b1; b += FEW_BLOCKS) few_blocks(s, b, i8_min(FEW_BLOCKS, b1 - b), v, p1);
  }
}
