/* spmm float32 with AVX-512: lists of their own over a copied panel. For a strip of pixels, what the full list reads of x
 * is copied side by side into scratch, [n_list][vectors * LANES], so that every entry of every list is whole aligned lines
 * of the second-level cache: no halo, no phases, no pages of their own for planes. All blocks are summed over a strip
 * before the next one is copied. One pixel behind three whole vectors is summed with the 4 rows of a block in lanes. */
#include "kernel/spmm/spmm_avx512_int.h"

enum { LINE = 64, LEAST_VECTORS = 4 }; /* of a strip, where tiles can have them */

struct panel {
  const float *x;    /* [n_list][vectors * LANES] */
  const float *tail; /* [n_list][TAIL] */
  const int32_t *col;
  bool plain;
};

/* The sums of a tile are complete: whole words as they are, anything else through finish(). */
INLINE void list_end(const int rows, const int vectors, const bool tail, const struct sumi_spmm_f32 *s,
                     const struct spmm_tile *t, bool plain, __m512 sum[MOST_ROWS][STRIP_VECTORS],
                     __m128 side) {
  if (plain && !tail) {
    store_plain(rows, vectors, STRIP_VECTORS, s, t, &sum[0][0]);
    return;
  }
  const int each = vectors + tail;
  _Alignas(64) float out[MOST_ROWS * (STRIP_VECTORS + 1) * LANES];
  _Alignas(16) float column[4];
  if (tail) _mm_store_ps(column, side);
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(out + LANES * (i * each + u), sum[i][u]);
    if (tail)
      _mm512_store_ps(out + LANES * (i * each + vectors),
                      _mm512_maskz_mov_ps(1, _mm512_set1_ps(column[i & 3])));
  }
  finish(s, t, rows, each, out);
}

/* Constants: rows, vectors; tail: one pixel more, for 4 rows whose weights lie together. */
INLINE void list_tile(const int rows, const int vectors, const bool tail, const struct sumi_spmm_f32 *s,
                      const struct spmm_tile *t, const struct panel *panel) {
  __m512 sum[MOST_ROWS][STRIP_VECTORS];
  __m128 side = tail && s->bias ? _mm_loadu_ps(s->bias + t->m) : _mm_setzero_ps();
  UNROLL for (int i = 0; i < rows; i++) {
    const __m512 bias = _mm512_set1_ps(s->bias ? s->bias[t->m + i] : 0);
    UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = bias;
  }
  if (s->lane_bias) {
    UNROLL for (int u = 0; u < vectors; u++) {
      const int64_t n = spmm_min(t->n_pixels - LANES * u, LANES);
      const __m512 bias = _mm512_maskz_loadu_ps(lanes(n), s->lane_bias + t->p + LANES * u);
      UNROLL for (int i = 0; i < rows; i++) sum[i][u] = bias;
    }
    if (tail) side = _mm_set1_ps(s->lane_bias[t->p + LANES * vectors]);
  }
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const char *w = (const char *)t->w;
  for (const int32_t *c = t->off, *end = c + t->n_list; c < end; c++, w += w_entry) {
    const char *x = (const char *)panel->x + (uint64_t)(uint32_t)*c * (uint64_t)(LINE * vectors);
    __m512 v[STRIP_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) v[u] = _mm512_load_ps(x + LINE * u);
    _mm_prefetch(w + 16 * LINE, _MM_HINT_T0);
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512 b = _mm512_set1_ps(*(const float *)(w + i * (tail ? 4 : w_row)));
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = _mm512_fmadd_ps(v[u], b, sum[i][u]);
    }
    if (tail) side = _mm_fmadd_ps(_mm_loadu_ps((const float *)w), _mm_set1_ps(panel->tail[*c * TAIL]), side);
  }
  list_end(rows, vectors, tail, s, t, panel->plain, sum, side);
}

#define VECTORS(X, rows) X(rows, 1) X(rows, 2) X(rows, 3) X(rows, 4) X(rows, 5) X(rows, 6)
#define TILES_1_4(X) VECTORS(X, 1) VECTORS(X, 2) VECTORS(X, 3) VECTORS(X, 4)
#define TILES_5_6(X) X(5, 1) X(5, 2) X(5, 3) X(6, 1) X(6, 2) X(6, 3)
#define TILES_7_8(X) X(7, 1) X(7, 2) X(7, 3) X(8, 1) X(8, 2) X(8, 3)
#define TILES(X) TILES_1_4(X) TILES_5_6(X) TILES_7_8(X)
#define DEFINE(rows, vectors)                                                                   \
  static void list_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, \
                                      const struct panel *p) {                                  \
    list_tile(rows, vectors, false, s, t, p);                                                   \
  }
TILES(DEFINE)
static void list_4_3_1(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, const struct panel *p) {
  list_tile(4, 3, true, s, t, p);
}
typedef void (*list_fn)(const struct sumi_spmm_f32 *, const struct spmm_tile *, const struct panel *);
static const list_fn tiles[MOST_ROWS + 1][STRIP_VECTORS + 1] = {
#define ENTRY(rows, vectors) [rows][vectors] = list_##rows##_##vectors,
    TILES(ENTRY)
#undef ENTRY
};

static void run_block(const struct sumi_spmm_f32 *s, int64_t b, const struct strip *strip,
                      const struct panel *panel, struct pieces *pieces) {
  struct spmm_tile t = {.m = b * s->block, .p = strip->p, .n_pixels = strip->n_pixels, .pieces = pieces};
  const int64_t rows = spmm_min(s->block, s->rows - t.m), first = s->start[b];
  t.off = panel->col + first;
  t.n_list = s->start[b + 1] - first;
  t.w = s->w + first * s->w_entry;
  if (!panel->plain || strip->tail) find_pieces(s, &t, strip->vectors + (strip->tail > 0), pieces);
  if (panel->plain) {
    expect_rows(s->y + t.m * s->y_row + t.p, s->y_row, rows, strip->vectors);
    if (s->add) expect_rows(s->add + t.m * s->add_row + t.p, s->add_row, rows, strip->vectors);
  }
  (strip->tail ? list_4_3_1 : tiles[rows][strip->vectors])(s, &t, panel);
}

/* The most vectors of a strip: what tiles of such blocks can have, and what the panel leaves in the cache. */
static int most_vectors(const struct sumi_spmm_f32 *s) {
  const int64_t fit = SUMI_SPMM_F32_PANEL / (s->n_list > 0 ? s->n_list : 1) / LANES;
  const int tile = s->block > 4 ? 3 : STRIP_VECTORS;
  return (int)spmm_min(fit < LEAST_VECTORS ? LEAST_VECTORS : fit, tile);
}

void sumi_spmm_f32_avx512_lists(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0,
                                int64_t p1) {
  const int most = most_vectors(s);
  const bool tails = s->block == 4 && s->rows % 4 == 0 && s->w_row == 1;
  struct pieces pieces = {.p = -1};
  struct panel panel = {.x = s->scratch, .col = s->col};
  panel.plain = s->pitch == s->width && s->scale == 1 && !s->act;
  for (int64_t p = p0; p < p1;) {
    const int64_t left = p1 - p, whole = (left + LANES - 1) / LANES, strips = (whole + most - 1) / most;
    struct strip strip = {.p = p, .vectors = (int)((whole + strips - 1) / strips)};
    if (tails && left == 3 * LANES + 1) strip.vectors = 3, strip.tail = 1;
    strip.n_pixels = spmm_min(left, strip.vectors * LANES + strip.tail);
    float *const tail = s->scratch + s->n_list * strip.vectors * LANES;
    panel.tail = tail;
    struct taps taps;
    find_taps(s, &strip, &taps);
    copy_chunk(s, 0, s->n_list, &strip, &taps, s->scratch, tail, NULL);
    for (int64_t b = b0; b < b1; b++) run_block(s, b, &strip, &panel, &pieces);
    p += strip.n_pixels;
  }
}
