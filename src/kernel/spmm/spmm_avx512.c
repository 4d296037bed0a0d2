/* spmm float32 with AVX-512. Two ways: lists of many rows, and windows, read x from copies in the first-level cache
 * (copied panels, below); everything else reads x where it lies. Tiles of up to 8 rows x 3 vectors, 4 x 6, 2 x 8 of 16
 * pixels, sums in registers. Each list entry costs one load a vector, one broadcast a row, one multiply-add for each
 * pair. The last vector of a tile is always masked, so nothing is read or written beyond the pixels; where 8 lanes are
 * enough for it, it is half as wide, which takes half the time on machines that split wide vectors. */
#include <immintrin.h>

#include "kernel/spmm/spmm_int.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
enum { LANES = 16, HALF = 8, MOST_ROWS = 8, MOST_VECTORS = 8 };

typedef void (*tile_fn)(const struct sumi_spmm_f32 *s, const struct spmm_tile *t);

/* The lowest n lanes, 0 <= n <= 16. */
INLINE __mmask16 lanes(int64_t n) { return (__mmask16)((1u << n) - 1); }

/* Where the lanes of a tile's vectors go: piece k of vector u, first[u] <= k < first[u + 1], is the lanes of one image
 * row that are kept; at is where lane 0 of the vector would lie in a row of y (and of add). */
struct pieces {
  int64_t p, n_pixels; /* the tile they are of */
  int first[MOST_VECTORS + 1];
  __mmask16 mask[(LANES + 1) * MOST_VECTORS];
  int64_t at[(LANES + 1) * MOST_VECTORS];
};

static void find_pieces(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, int vectors,
                        struct pieces *p) {
  if (p->p == t->p && p->n_pixels == t->n_pixels) return;
  p->p = t->p;
  p->n_pixels = t->n_pixels;
  int n = 0;
  int64_t scan = t->p / s->pitch,
          next = (scan + 1) * s->pitch; /* the image row of the next lane, and where it ends */
  for (int u = 0; u < vectors; u++) {
    const int64_t begin = t->p + LANES * u, end = spmm_min(begin + LANES, t->p + t->n_pixels);
    p->first[u] = n;
    for (int64_t at = begin; at < end;) {
      const int64_t stop = spmm_min(next, end), kept = spmm_min(next - s->pitch + s->width, stop);
      if (kept > at) {
        p->mask[n] = (__mmask16)(lanes(kept - begin) & ~lanes(at - begin));
        p->at[n++] = begin - scan * (s->pitch - s->width);
      }
      at = stop;
      if (at == next) scan++, next += s->pitch;
    }
  }
  p->first[vectors] = n;
}

/* What the tiles do not do themselves with finished sums [rows][vectors] of LANES: scale, add, act, halo. act sees the
 * lanes beyond the tile too, one call being cheaper than many. */
static __attribute__((noinline)) void finish(const struct sumi_spmm_f32 *s, const struct spmm_tile *t,
                                             int rows, int vectors, float *sum) {
  const struct pieces *p = t->pieces;
  const __m512 lo = _mm512_set1_ps(s->lo), hi = _mm512_set1_ps(s->hi), scale = _mm512_set1_ps(s->scale);
  for (int i = 0; i < rows && (s->add || s->scale != 1); i++) {
    const float *add = s->add ? s->add + (t->m + i) * s->add_row : NULL;
    for (int u = 0; u < vectors; u++) {
      __m512 v = _mm512_mul_ps(_mm512_load_ps(sum + LANES * (i * vectors + u)), scale);
      for (int k = p->first[u]; add && k < p->first[u + 1]; k++)
        v = _mm512_mask_add_ps(v, p->mask[k], v, _mm512_maskz_loadu_ps(p->mask[k], add + p->at[k]));
      _mm512_store_ps(sum + LANES * (i * vectors + u), v);
    }
  }
  if (s->act) s->act(sum, sum, (int64_t)rows * vectors * LANES, s->act_param);
  for (int i = 0; i < rows; i++) {
    float *y = s->y + (t->m + i) * s->y_row;
    for (int u = 0; u < vectors; u++) {
      const __m512 v = _mm512_max_ps(lo, _mm512_load_ps(sum + LANES * (i * vectors + u))); /* a NaN stays */
      for (int k = p->first[u]; k < p->first[u + 1]; k++)
        _mm512_mask_storeu_ps(y + p->at[k], p->mask[k], _mm512_min_ps(hi, v));
    }
  }
}

/* rows, vectors and half are constants wherever this is inlined; half: the last vector has 8 lanes. */
INLINE void tile(const int rows, const int vectors, const bool half, const struct sumi_spmm_f32 *s,
                 const struct spmm_tile *t) {
  const int whole = vectors - half;
  __m512 sum[MOST_ROWS][MOST_VECTORS];
  __m256 side[MOST_ROWS];
  const __mmask16 last = lanes(t->n_pixels - LANES * (vectors - 1));
#define MASK(u) ((u) + 1 < vectors ? (__mmask16)0xffff : last)
  UNROLL for (int i = 0; i < rows; i++) {
    const float bias = s->bias ? s->bias[t->m + i] : 0;
    UNROLL for (int u = 0; u < whole; u++) sum[i][u] = _mm512_set1_ps(bias);
    if (half) side[i] = _mm256_set1_ps(bias);
  }
  if (s->lane_bias) {
    const float *from = s->lane_bias + t->p;
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < whole; u++) sum[i][u] = _mm512_maskz_loadu_ps(MASK(u), from + LANES * u);
      if (half) side[i] = _mm256_maskz_loadu_ps((__mmask8)last, from + LANES * whole);
    }
  }
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const int32_t *off = t->off, *const end = off + t->n_list;
  for (const char *w = (const char *)t->w; off < end; off++, w += w_entry) {
    const char *at = t->x + *off;
    __m512 x[MOST_VECTORS];
    UNROLL for (int u = 0; u < whole; u++) x[u] = _mm512_maskz_loadu_ps(MASK(u), at + 4 * LANES * u);
    const __m256 z =
        half ? _mm256_maskz_loadu_ps((__mmask8)last, at + 4 * LANES * whole) : _mm256_setzero_ps();
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512 b = _mm512_set1_ps(*(const float *)(w + i * w_row));
      UNROLL for (int u = 0; u < whole; u++) sum[i][u] = _mm512_fmadd_ps(x[u], b, sum[i][u]);
      if (half) side[i] = _mm256_fmadd_ps(z, _mm512_castps512_ps256(b), side[i]);
    }
  }
#define SUM(i, u) (half && (u) == whole ? _mm512_castps256_ps512(side[i]) : sum[i][(u) < whole ? (u) : 0])
  if (!t->pieces) {
    const __m512 lo = _mm512_set1_ps(s->lo), hi = _mm512_set1_ps(s->hi);
    UNROLL for (int i = 0; i < rows; i++) {
      float *y = s->y + (t->m + i) * s->y_row + t->p;
      const float *add = s->add ? s->add + (t->m + i) * s->add_row + t->p : NULL;
      UNROLL for (int u = 0; u < vectors; u++) {
        __m512 v = SUM(i, u);
        if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(MASK(u), add + LANES * u));
        _mm512_mask_storeu_ps(y + LANES * u, MASK(u), _mm512_min_ps(hi, _mm512_max_ps(lo, v)));
      }
    }
  } else {
    _Alignas(64) float out[MOST_ROWS * MOST_VECTORS * LANES];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(out + LANES * (i * vectors + u), SUM(i, u));
    }
    finish(s, t, rows, vectors, out);
  }
#undef MASK
#undef SUM
}

/* Row counts by vector counts whose accumulators fit the registers. */
#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILES_3(X) X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
#define TILES_5_8(X) \
  X(5, 1) X(5, 2) X(5, 3) X(6, 1) X(6, 2) X(6, 3) X(7, 1) X(7, 2) X(7, 3) X(8, 1) X(8, 2) X(8, 3)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_3(X) TILES_4(X) TILES_5_8(X)
/* Tiles whose last vector may be half as wide. */
#define HALVES(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(8, 1) X(8, 2) X(8, 3)
#define DEFINE(rows, vectors)                                                                     \
  static void tile_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, false, s, t);                                                             \
  }
#define DEFINE_HALF(rows, vectors)                                                                \
  static void half_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, true, s, t);                                                              \
  }
TILES(DEFINE)
HALVES(DEFINE_HALF)
/* [0]: last vector of 16 lanes; [1]: of 8, NULL where there is no such tile. */
static const tile_fn tiles[2][MOST_ROWS + 1][MOST_VECTORS + 1] = {
    {
#define ENTRY(rows, vectors) [rows][vectors] = tile_##rows##_##vectors,
        TILES(ENTRY)},
#undef ENTRY
    {
#define ENTRY(rows, vectors) [rows][vectors] = half_##rows##_##vectors,
        HALVES(ENTRY)},
};
/* Vectors and rows of the next tile where so many vectors are left. Four vectors go as two tiles of 4x4,
 * which beats 8x3 and a lone vector. */
static int next_tile(int block, int64_t left, int *rows) {
  *rows = block;
  if (block > 4) {
    if (left != 4) return (int)spmm_min(left, 3);
    *rows = 4;
    return 4;
  }
  const int most = block > 2 ? 6 : 8;
  const int64_t tiles_left = (left + most - 1) / most;
  return (int)((left + tiles_left - 1) / tiles_left);
}

/* The tiles of one block of rows over pixels [p, end). */
static void run_block(const struct sumi_spmm_f32 *s, int64_t b, int64_t p, int64_t end,
                      struct pieces *pieces) {
  const int64_t first = s->start ? s->start[b] : 0, rows = spmm_min(s->block, s->rows - b * s->block);
  struct spmm_tile t = {
      .off = s->off + first, .n_list = s->start ? s->start[b + 1] - first : s->n_list, .pieces = pieces};
  const float *w = s->w + b * s->w_block + first * s->w_entry;
  for (t.p = p; t.p < end; t.p += t.n_pixels) {
    int most_rows;
    const int vectors =
        next_tile((int)spmm_min(s->block, s->rows), (end - t.p + LANES - 1) / LANES, &most_rows);
    t.n_pixels = spmm_min(LANES * vectors, end - t.p);
    t.x = (const char *)(s->x + t.p);
    if (pieces) find_pieces(s, &t, vectors, pieces);
    const bool half = t.n_pixels <= LANES * (vectors - 1) + HALF;
    for (int64_t i = 0; i < rows; i += most_rows) {
      t.m = b * s->block + i;
      t.w = w + i * s->w_row;
      const int64_t n_rows = spmm_min(most_rows, rows - i);
      const tile_fn narrow = half ? tiles[1][n_rows][vectors] : NULL;
      (narrow ? narrow : tiles[0][n_rows][vectors])(s, &t);
    }
  }
}

/* ---- copied panels ---------------------------------------------------------------------------------------------- */

/* Many rows with one list, and windows. For a group of blocks and a panel of up to STRIPS strips of 48 pixels, CHUNK
 * entries at a time: what is read of x is copied side by side, so that a strip is one stream of 24 KiB in the
 * first-level cache instead of as many pages as there are planes; the group's weights are read from far once for all
 * strips, the next block's while one is summed. Sums wait in scratch between chunks and are continued in the order of
 * the list, so the bits are those of the plain loop. Up to TAIL pixels behind the last whole vector, too few for a
 * vector of their own, are summed with rows in lanes. Lists of at most SHORT entries need no sums in scratch and leave
 * room for wider panels, which are done block by block: what bounds them is writing rows of y. */
enum {
  CHUNK = 128,
  WIDE = 3,
  STRIP = WIDE * LANES,
  STRIPS = 4,
  TAIL = 4,
  GROUP = 16,
  LEAST_BLOCKS = 4,
  MOST_STRIPS = 16,
  SHORT = 64
};
enum {
  STRIP_X = CHUNK * STRIP,
  BLOCK_SUMS = MOST_ROWS * (STRIP + TAIL),
  STRIP_SUMS = GROUP * BLOCK_SUMS
}; /* words */
_Static_assert(SUMI_SPMM_F32_SCRATCH >= STRIPS * (STRIP_X + STRIP_SUMS) + CHUNK * TAIL,
               "scratch holds a chunk and the sums of a group");

struct strip {
  int64_t p;
  int vectors, tail; /* tail: pixels behind the vectors */
  int64_t n_pixels;
};

struct chunk {
  const float *x;    /* [n][vectors * LANES] */
  const float *tail; /* [n][TAIL] */
  int64_t n;
  int n_tail;
  float *sums;      /* [rows][vectors * LANES], tail [TAIL][MOST_ROWS] */
  const char *next; /* what is needed after this: the next block's weights, or a part of the next strip */
  int64_t step;     /* bytes of it to ask for with every entry */
  bool first, last, plain;
};

/* The sums of a tile are complete: [vectors] of whole words, or through finish(). */
INLINE void chunk_end(const int rows, const int vectors, const int tail, const struct sumi_spmm_f32 *s,
                      const struct spmm_tile *t, const struct chunk *c, __m512 sum[MOST_ROWS][WIDE],
                      const __m256 *side) {
  if (c->plain && !tail) {
    const __m512 lo = _mm512_set1_ps(s->lo), hi = _mm512_set1_ps(s->hi);
    const __mmask16 last = lanes(t->n_pixels - LANES * (vectors - 1));
    UNROLL for (int i = 0; i < rows; i++) {
      float *y = s->y + (t->m + i) * s->y_row + t->p;
      const float *add = s->add ? s->add + (t->m + i) * s->add_row + t->p : NULL;
      UNROLL for (int u = 0; u < vectors; u++) {
        const __mmask16 mask = u + 1 < vectors ? (__mmask16)0xffff : last;
        if (add) sum[i][u] = _mm512_add_ps(sum[i][u], _mm512_maskz_loadu_ps(mask, add + LANES * u));
        _mm512_mask_storeu_ps(y + LANES * u, mask, _mm512_min_ps(hi, _mm512_max_ps(lo, sum[i][u])));
      }
    }
    return;
  }
  const int each = vectors + (tail > 0);
  _Alignas(64) float out[MOST_ROWS * (STRIP + LANES)];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(out + LANES * (i * each + u), sum[i][u]);
  }
  _Alignas(32) float column[MOST_ROWS];
  UNROLL for (int k = 0; k < tail; k++) {
    _mm256_store_ps(column, side[k]);
    for (int i = 0; i < rows; i++) out[LANES * (i * each + vectors) + k] = column[i];
  }
  for (int i = 0; tail && i < rows; i++)
    for (int k = tail; k < LANES; k++) out[LANES * (i * each + vectors) + k] = 0;
  finish(s, t, rows, each, out);
}

INLINE void chunk_start(const int rows, const int vectors, const int tail, const struct sumi_spmm_f32 *s,
                        const struct spmm_tile *t, const struct chunk *c, __m512 sum[MOST_ROWS][WIDE],
                        __m256 *side) {
  const __mmask16 last = tail ? (__mmask16)0xffff : lanes(t->n_pixels - LANES * (vectors - 1));
  if (!c->first) {
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] =
          _mm512_load_ps(c->sums + LANES * (i * vectors + u));
    }
    UNROLL for (int k = 0; k < tail; k++) side[k] =
        _mm256_load_ps(c->sums + MOST_ROWS * (LANES * vectors + k));
    return;
  }
  UNROLL for (int i = 0; i < rows; i++) {
    const __m512 bias = _mm512_set1_ps(s->bias ? s->bias[t->m + i] : 0);
    UNROLL for (int u = 0; u < vectors; u++) sum[i][u] =
        s->lane_bias ? _mm512_maskz_loadu_ps(u + 1 < vectors ? (__mmask16)0xffff : last,
                                             s->lane_bias + t->p + LANES * u)
                     : bias;
  }
  UNROLL for (int k = 0; k < tail; k++) {
    side[k] = s->bias ? _mm256_loadu_ps(s->bias + t->m) : _mm256_setzero_ps();
    if (s->lane_bias && k < c->n_tail) side[k] = _mm256_set1_ps(s->lane_bias[t->p + LANES * vectors + k]);
  }
}

/* Constants: rows, vectors; tail: 0, or for 8 rows whose weights lie together up to so many pixels more; far: what is
 * needed next goes to the second-level cache, being more than the first one holds. */
INLINE void chunk_tile(const int rows, const int vectors, const int tail, const bool far,
                       const struct sumi_spmm_f32 *s, const struct spmm_tile *t, const struct chunk *c) {
  __m512 sum[MOST_ROWS][WIDE];
  __m256 side[TAIL];
  chunk_start(rows, vectors, tail, s, t, c, sum, side);
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const char *w = (const char *)t->w;
  const char *next = c->next;
  const int64_t step = c->step;
  const float *z = c->tail;
  for (const float *x = c->x, *end = x + c->n * vectors * LANES; x < end;
       x += vectors * LANES, w += w_entry, z += TAIL, next += step) {
    __m512 v[WIDE];
    UNROLL for (int u = 0; u < vectors; u++) v[u] = _mm512_loadu_ps(x + LANES * u);
    if (far)
      _mm_prefetch(next, _MM_HINT_T1);
    else
      _mm_prefetch(next, _MM_HINT_T0);
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512 b = _mm512_set1_ps(*(const float *)(w + i * (tail ? 4 : w_row)));
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = _mm512_fmadd_ps(v[u], b, sum[i][u]);
    }
    if (tail) {
      const __m256 b = _mm256_loadu_ps((const float *)w);
      UNROLL for (int k = 0; k < tail; k++) side[k] = _mm256_fmadd_ps(b, _mm256_set1_ps(z[k]), side[k]);
    }
  }
  if (c->last) {
    chunk_end(rows, vectors, tail, s, t, c, sum, side);
    return;
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(c->sums + LANES * (i * vectors + u), sum[i][u]);
  }
  UNROLL for (int k = 0; k < tail; k++) _mm256_store_ps(c->sums + MOST_ROWS * (LANES * vectors + k), side[k]);
}

#define CHUNKS(X, vectors) \
  X(1, vectors, 0)         \
  X(2, vectors, 0)         \
  X(3, vectors, 0) X(4, vectors, 0) X(5, vectors, 0) X(6, vectors, 0) X(7, vectors, 0) X(8, vectors, 0)
#define DEFINE_CHUNK(rows, vectors, tail)                                                                 \
  static void chunk_##rows##_##vectors##_##tail(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, \
                                                const struct chunk *c) {                                  \
    chunk_tile(rows, vectors, tail, false, s, t, c);                                                      \
  }
CHUNKS(DEFINE_CHUNK, 1)
CHUNKS(DEFINE_CHUNK, 2)
CHUNKS(DEFINE_CHUNK, 3)
DEFINE_CHUNK(8, 2, 4)
DEFINE_CHUNK(8, 3, 1)
static void chunk_8_3_far(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, const struct chunk *c) {
  chunk_tile(8, 3, 0, true, s, t, c);
}
#define CHUNK_ENTRY(rows, vectors, tail) [rows] = chunk_##rows##_##vectors##_##tail,
typedef void (*chunk_fn)(const struct sumi_spmm_f32 *, const struct spmm_tile *, const struct chunk *);
static const chunk_fn chunks[WIDE + 1][MOST_ROWS + 1] = {
    [1] = {CHUNKS(CHUNK_ENTRY, 1)}, [2] = {CHUNKS(CHUNK_ENTRY, 2)}, [3] = {CHUNKS(CHUNK_ENTRY, 3)}};

/* The next strip of pixels [p, end). Four vectors are two strips of two; a tail goes with two vectors, a tail of one
 * pixel with three. */
static struct strip next_strip(int64_t p, int64_t end, bool tails) {
  const int64_t n = end - p, rest = n % LANES;
  const int tail = tails && rest >= 1 && rest <= TAIL && n >= 2 * LANES ? (int)rest : 0;
  const int64_t left = tail ? n / LANES : (n + LANES - 1) / LANES;
  struct strip s = {p, (int)spmm_min(left, WIDE), 0, 0};
  if (left == 4 || (left == 6 && tail > 1)) s.vectors = 2;
  if (left == 3 && tail > 1) s.vectors = 1;
  if (s.vectors == left) s.tail = tail;
  s.n_pixels = spmm_min(n, s.vectors * LANES + s.tail);
  return s;
}

/* Which lanes of a strip's vectors a tap of the window finds inside the image; without a window, those that there are.
 * Vector `vectors` is the tail. */
static void find_masks(const struct sumi_spmm_window *win, const struct strip *s,
                       __mmask16 mask[SUMI_SPMM_TAPS][WIDE + 1]) {
  __mmask16 there[WIDE + 1];
  for (int u = 0; u <= s->vectors; u++) {
    const int64_t n = s->n_pixels - LANES * u;
    there[u] = lanes(n < 0 ? 0 : spmm_min(n, LANES));
  }
  if (!win) {
    for (int u = 0; u <= s->vectors; u++) mask[0][u] = there[u];
    return;
  }
  _Alignas(64) int32_t row[STRIP + LANES], col[STRIP + LANES];
  int32_t r = (int32_t)(s->p / win->w), c = (int32_t)(s->p % win->w);
  for (int i = 0; i < LANES * (s->vectors + 1); i++) {
    row[i] = r, col[i] = c;
    if (++c == win->w) c = 0, r++;
  }
  const __m512i h = _mm512_set1_epi32((int32_t)win->h), w = _mm512_set1_epi32((int32_t)win->w);
  for (int t = 0; t < win->taps; t++) {
    const __m512i dy = _mm512_set1_epi32(win->dy[t]), dx = _mm512_set1_epi32(win->dx[t]);
    for (int u = 0; u <= s->vectors; u++) {
      const __m512i y = _mm512_add_epi32(_mm512_load_si512(row + LANES * u), dy);
      const __m512i x = _mm512_add_epi32(_mm512_load_si512(col + LANES * u), dx);
      mask[t][u] = there[u] & _mm512_cmplt_epu32_mask(y, h) & _mm512_cmplt_epu32_mask(x, w);
    }
  }
}

/* Entries [e, e + n) of the list for a strip: to [n][vectors * LANES], tail [n][TAIL]. */
static void copy_chunk(const struct sumi_spmm_f32 *s, int64_t e, int64_t n, const struct strip *strip,
                       float *to, float *tail) {
  const struct sumi_spmm_window *win = s->window;
  __mmask16 mask[SUMI_SPMM_TAPS][WIDE + 1];
  int64_t at[SUMI_SPMM_TAPS]; /* bytes from a plane's start to where a tap finds the strip's first pixel */
  find_masks(win, strip, mask);
  const int taps = win ? win->taps : 1, vectors = strip->vectors;
  for (int t = 0; t < taps; t++) at[t] = 4 * (strip->p + (win ? win->dy[t] * win->w + win->dx[t] : 0));
  int t = (int)(e % taps);
  for (int64_t i = 0; i < n; i++, to += vectors * LANES, tail += TAIL, t = t + 1 < taps ? t + 1 : 0) {
    /* as a number: lanes outside the image, which are not read, may lie outside the tensor */
    const uintptr_t from = (uintptr_t)s->x + (uintptr_t)(int64_t)s->off[e + i] + (uintptr_t)at[t];
#define FROM(u) ((const void *)(from + 4 * LANES * (unsigned)(u)))
    for (int u = 0; u < vectors; u++)
      _mm512_store_ps(to + LANES * u, _mm512_maskz_loadu_ps(mask[t][u], FROM(u)));
    if (strip->tail) _mm_store_ps(tail, _mm_maskz_loadu_ps((__mmask8)mask[t][vectors], FROM(vectors)));
#undef FROM
  }
}

/* Asks for the lines that a tile's rows of a strip will be stored to (or are added from), while the sums are still made. */
static void expect_rows(const float *rows, int64_t row, int64_t n_rows) {
  for (int64_t i = 0; i < n_rows; i++)
    for (int k = 0; k < STRIP; k += LANES) __builtin_prefetch(rows + i * row + k, 1, 3);
}

/* The tile of block b in one strip of pixels; first: the chunk's first entry. */
static void run_tile(const struct sumi_spmm_f32 *s, int64_t b, int64_t first, const struct strip *strip,
                     struct chunk *c, struct pieces *pieces) {
  struct spmm_tile t = {.m = b * s->block, .p = strip->p, .n_pixels = strip->n_pixels, .pieces = pieces};
  t.w = s->w + b * s->w_block + first * s->w_entry;
  if (!c->plain || strip->tail) find_pieces(s, &t, strip->vectors + (strip->tail > 0), pieces);
  c->n_tail = strip->tail;
  const int64_t rows = spmm_min(s->block, s->rows - t.m);
  if (c->last) {
    const int64_t scan = t.p / s->pitch, at = scan * s->width + spmm_min(t.p - scan * s->pitch, s->width);
    expect_rows(s->y + t.m * s->y_row + at, s->y_row, rows);
    if (s->add) expect_rows(s->add + t.m * s->add_row + at, s->add_row, rows);
  }
  const chunk_fn with_tail = strip->vectors == 2 ? chunk_8_2_4 : chunk_8_3_1;
  const chunk_fn whole =
      s->strip && strip->vectors == WIDE && rows == MOST_ROWS ? chunk_8_3_far : chunks[strip->vectors][rows];
  (strip->tail ? with_tail : whole)(s, &t, c);
}

/* A short list over blocks [b0, b1) and the n strips of a panel: block by block, so that each row is written in one
 * stretch. */
static void run_short(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, const struct strip *strips,
                      int n, bool plain, struct pieces *pieces) {
  float *const x = s->scratch, *const tail = x + STRIPS * STRIP_X;
  struct chunk c = {
      .n = s->n_list, .tail = tail, .first = true, .last = true, .plain = plain, .step = 4 * s->w_entry};
  for (int k = 0; k < n; k++) copy_chunk(s, 0, c.n, &strips[k], x + k * c.n * STRIP, tail);
  for (int64_t b = b0; b < b1; b++) {
    c.next = (const char *)(s->w + (b + 1 < b1 ? b + 1 : b) * s->w_block);
    for (int k = 0; k < n; k++) {
      c.x = x + k * c.n * STRIP;
      run_tile(s, b, 0, &strips[k], &c, pieces);
    }
  }
}

/* Blocks [b0, b1), at most GROUP, for the n strips of a panel, at most STRIPS. */
static void run_long(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, const struct strip *strips, int n,
                     bool plain, struct pieces *pieces) {
  float *const x = s->scratch, *const tail = x + STRIPS * STRIP_X, *const sums = tail + CHUNK * TAIL;
  for (int64_t e = 0; e < s->n_list; e += CHUNK) {
    struct chunk c = {.n = spmm_min(CHUNK, s->n_list - e),
                      .tail = tail,
                      .first = e == 0,
                      .plain = plain,
                      .step = 4 * s->w_entry};
    c.last = e + c.n == s->n_list;
    for (int k = 0; k < n; k++) copy_chunk(s, e, c.n, &strips[k], x + k * STRIP_X, tail);
    for (int k = 0; k < n; k++)
      for (int64_t b = b0; b < b1; b++) {
        c.x = x + k * STRIP_X;
        c.next = (const char *)(s->w + (b + 1 < b1 ? b + 1 : b) * s->w_block + e * s->w_entry);
        c.sums = sums + k * STRIP_SUMS + (b - b0) * BLOCK_SUMS;
        run_tile(s, b, e, &strips[k], &c, pieces);
      }
  }
}

/* Panels of whole strips, none of them a splinter. */
static void run_panels(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1,
                       bool plain, struct pieces *pieces) {
  const bool brief = s->n_list <= SHORT;
  const bool tails = s->rows % MOST_ROWS == 0 && s->block == MOST_ROWS && s->w_row == 1;
  const int64_t most = STRIP * (brief ? spmm_min(MOST_STRIPS, 2 * CHUNK / s->n_list) : STRIPS);
  for (int64_t p = p0, end; p < p1; p = end) {
    const int64_t left = p1 - p, panels = (left + most - 1) / most;
    end = panels == 1 ? p1 : p + left / panels / STRIP * STRIP;
    struct strip strips[MOST_STRIPS];
    int n = 0;
    for (int64_t at = p; at < end; at += strips[n++].n_pixels) strips[n] = next_strip(at, end, tails);
    if (brief)
      run_short(s, b0, b1, strips, n, plain, pieces);
    else
      for (int64_t b = b0; b < b1; b += GROUP)
        run_long(s, b, spmm_min(b + GROUP, b1), strips, n, plain, pieces);
  }
}

/* x in strips: nothing to copy and no sums that wait. A strip is read from the second-level cache by a group of blocks,
 * each of which asks for its share of the next strip. */
static void run_strips(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1,
                       bool plain, struct pieces *pieces) {
  struct chunk c = {.n = s->n_list, .first = true, .last = true, .plain = plain};
  for (int64_t g = b0, end; g < b1; g = end) {
    end = spmm_min(g + GROUP, b1);
    for (int64_t p = p0; p < p1; p += STRIP) {
      const int64_t n = spmm_min(STRIP, p1 - p);
      const struct strip strip = {.p = p, .vectors = (int)((n + LANES - 1) / LANES), .n_pixels = n};
      const bool more = s->pixels - p >= 2 * STRIP;
      c.x = s->x + p * s->n_list;
      c.step = more ? 4 * STRIP / (end - g) : 0;
      for (int64_t b = g; b < end; b++) {
        c.next = (const char *)(c.x + (more ? STRIP * s->n_list : 0)) + (b - g) * c.step * s->n_list;
        run_tile(s, b, 0, &strip, &c, pieces);
      }
    }
  }
}

static bool copies(const struct sumi_spmm_f32 *s, int64_t n_blocks) {
  return s->n_list && (s->window || (s->scratch && !s->start && n_blocks >= LEAST_BLOCKS));
}

void sumi_spmm_f32_avx512(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const bool plain = s->pitch == s->width && s->scale == 1 && !s->act;
  struct pieces pieces = {.p = -1};
  if (s->strip) {
    run_strips(s, b0, b1, p0, p1, plain, &pieces);
    return;
  }
  if (copies(s, b1 - b0)) {
    run_panels(s, b0, b1, p0, p1, plain, &pieces);
    return;
  }
  for (int64_t p = p0, end; p < p1; p = end) {
    end = spmm_panel_end(s, b0, b1, p, p1, 3 * LANES);
    if (p1 - end < 2 * LANES && p1 - p <= 4 * LANES) end = p1; /* four vectors are one tile */
    for (int64_t b = b0; b < b1; b++) run_block(s, b, p, end, plain ? NULL : &pieces);
  }
}
