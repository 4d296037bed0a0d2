/* spmm, bfloat16, in portable C: every size of block, both forms of weights, 16 pixels of two rows at a time. */
#include <string.h>

#include "base/half.h"
#include "kernel/spmm/spmm_bf16_int.h"

/* Sums over entries [0, n) of one row; w_entry is in words. */
static void sum_row(const uint8_t *x, const int32_t *off, int64_t n, const int32_t *w, int64_t w_entry,
                    float sum[BF16_VECTOR]) {
  for (int64_t e = 0; e < n; e++, w += w_entry) {
    const float first = sumi_f32_from_bits((uint32_t)*w << 16);
    const float second = sumi_f32_from_bits((uint32_t)*w & 0xffff0000u);
    uint32_t from[BF16_VECTOR];
    memcpy(from, x + off[e], sizeof from);
    for (int j = 0; j < BF16_VECTOR; j++) {
      sum[j] += sumi_f32_from_bits(from[j] << 16) * first;
      sum[j] += sumi_f32_from_bits(from[j] & 0xffff0000u) * second;
    }
  }
}

/* Weights in tiles are 16 rows x 16 entries, rows after rows, entries after that. */
static void sum_list(const struct sumi_spmm_bf16 *s, int64_t m, const uint8_t *x, float sum[BF16_VECTOR]) {
  const int64_t b = m / s->block, i = m % s->block;
  const struct bf16_list list = bf16_list_of(s, b);
  memset(sum, 0, BF16_VECTOR * sizeof *sum);
  if (s->block < BF16_CHUNK) {
    sum_row(x, list.off, list.n, list.w + i * s->w_row, s->w_entry, sum);
    return;
  }
  const int32_t *w = s->w + (s->start ? s->start[b] : b * s->n_list) * s->block + i * BF16_CHUNK;
  for (int64_t e = 0; e < list.n; e += BF16_CHUNK, w += s->block * BF16_CHUNK)
    sum_row(x, list.off + e, bf16_min(BF16_CHUNK, list.n - e), w, 1, sum);
}

/* What scatter would have stored: lanes in no piece are 0. */
static void gather(const struct sumi_lane_map *map, int64_t v, const uint32_t *plane,
                   uint32_t word[BF16_VECTOR]) {
  memset(word, 0, BF16_VECTOR * sizeof *word);
  for (int32_t k = map->first[v]; k < map->first[v + 1]; k++) {
    const uint32_t *from = plane + map->piece[k].at;
    for (int j = 0; j < BF16_VECTOR; j++)
      if (map->piece[k].mask >> j & 1) word[j] = *from++;
  }
}

static void scatter(const struct sumi_lane_map *map, int64_t v, const uint32_t word[BF16_VECTOR],
                    uint32_t *plane) {
  for (int32_t k = map->first[v]; k < map->first[v + 1]; k++) {
    uint32_t *to = plane + map->piece[k].at;
    for (int j = 0; j < BF16_VECTOR; j++)
      if (map->piece[k].mask >> j & 1) *to++ = word[j];
  }
}

/* The epilogue for row m from its sums; r are the residual's words. */
static void end_row(const struct sumi_spmm_bf16 *s, int64_t m, const uint32_t *r, float *v) {
  for (int j = 0; j < BF16_VECTOR; j++) v[j] += s->bias[m];
  for (int j = 0; s->r && j < BF16_VECTOR; j++) v[j] += sumi_f32_from_bf16((uint16_t)(r[j] >> m % 2 * 16));
  if (s->act) s->act(v, v, BF16_VECTOR, s->act_param);
  for (int j = 0; j < BF16_VECTOR; j++) {
    v[j] = v[j] < s->lo ? s->lo : v[j];
    v[j] = v[j] > s->hi ? s->hi : v[j];
  }
}

/* Rows m and m + 1 of vector v; there may be no second one. */
static void pair(const struct sumi_spmm_bf16 *s, int64_t m, int64_t v) {
  float sum[BF16_WORD_ROWS][BF16_VECTOR] = {{0}};
  uint32_t word[BF16_VECTOR], r[BF16_VECTOR] = {0};
  const int rows = (int)bf16_min(BF16_WORD_ROWS, s->rows - m);
  if (s->r) gather(s->r_map, v, s->r + m / BF16_WORD_ROWS * s->r_group, r);
  for (int i = 0; i < rows; i++) {
    sum_list(s, m + i, s->x + BF16_VECTOR_BYTES * v, sum[i]);
    end_row(s, m + i, r, sum[i]);
  }
  for (int i = 0; s->y_f32 && i < rows; i++) {
    memcpy(word, sum[i], sizeof word);
    scatter(s->map, v, word, (uint32_t *)(s->y_f32 + (m + i) * s->y_row));
  }
  if (s->y_f32) return;
  for (int j = 0; j < BF16_VECTOR; j++)
    word[j] = sumi_bf16_from_f32(sum[0][j]) | (uint32_t)sumi_bf16_from_f32(sum[1][j]) << 16;
  scatter(s->map, v, word, s->y + m / BF16_WORD_ROWS * s->y_group);
}

void sumi_spmm_bf16_ref(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const int64_t m1 = bf16_min(b1 * s->block, s->rows);
  for (int64_t v = p0 / BF16_VECTOR; v * BF16_VECTOR < p1; v++)
    for (int64_t m = b0 * s->block; sumi_lane_wanted(s->map, v) && m < m1; m += BF16_WORD_ROWS) pair(s, m, v);
}
