/* spmm float32 with AVX-512. Two ways: lists of many rows, and windows, read x from copies in the first-level cache
 * (copied panels, below); everything else reads x where it lies. Tiles of up to 8 rows x 3 vectors, 4 x 6, 2 x 8 of 16
 * pixels, sums in registers. Each list entry costs one load a vector, one broadcast a row, one multiply-add for each
 * pair. The last vector of a tile is always masked, so nothing is read or written beyond the pixels; where 8 lanes are
 * enough for it, it is half as wide, which takes half the time on machines that split wide vectors. */
#include "kernel/spmm/spmm_avx512_int.h"

typedef void (*tile_fn)(const struct sumi_spmm_f32 *s, const struct spmm_tile *t);

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
  enum { BRIEF = 16 }; /* entries whose sums take less than the lines of y take to come */
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
      if (!pieces && t.n_list <= BRIEF) {
        expect_rows(s->y + t.m * s->y_row + t.p, s->y_row, n_rows, vectors);
        if (s->add) expect_rows(s->add + t.m * s->add_row + t.p, s->add_row, n_rows, vectors);
      }
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

struct chunk {
  const float *x;    /* [n][vectors * LANES] */
  const float *tail; /* [n][TAIL] */
  int64_t n;
  const int64_t *kept; /* [n] which entries of the chunk these are; NULL = the first n */
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
 * needed next goes to the second-level cache, being more than the first one holds; kept: c->kept is given. */
INLINE void chunk_tile(const int rows, const int vectors, const int tail, const bool far, const bool kept,
                       const struct sumi_spmm_f32 *s, const struct spmm_tile *t, const struct chunk *c) {
  __m512 sum[MOST_ROWS][WIDE];
  __m256 side[TAIL];
  chunk_start(rows, vectors, tail, s, t, c, sum, side);
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const char *w = (const char *)t->w;
  const char *next = c->next;
  const int64_t step = c->step;
  const float *z = c->tail;
  const int64_t *number = c->kept;
  for (const float *x = c->x, *end = x + c->n * vectors * LANES; x < end;
       x += vectors * LANES, w += w_entry, z += TAIL, next += step) {
    __m512 v[WIDE];
    if (kept) w = (const char *)t->w + *number++ * w_entry;
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
    chunk_tile(rows, vectors, tail, false, false, s, t, c);                                               \
  }                                                                                                       \
  static void kept_##rows##_##vectors##_##tail(const struct sumi_spmm_f32 *s, const struct spmm_tile *t,  \
                                               const struct chunk *c) {                                   \
    chunk_tile(rows, vectors, tail, false, true, s, t, c);                                                \
  }
CHUNKS(DEFINE_CHUNK, 1)
CHUNKS(DEFINE_CHUNK, 2)
CHUNKS(DEFINE_CHUNK, 3)
DEFINE_CHUNK(8, 2, 4)
DEFINE_CHUNK(8, 3, 1)
static void chunk_8_3_far(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, const struct chunk *c) {
  chunk_tile(8, 3, 0, true, false, s, t, c);
}
#define CHUNK_ENTRY(rows, vectors, tail) [rows] = chunk_##rows##_##vectors##_##tail,
#define KEPT_ENTRY(rows, vectors, tail) [rows] = kept_##rows##_##vectors##_##tail,
typedef void (*chunk_fn)(const struct sumi_spmm_f32 *, const struct spmm_tile *, const struct chunk *);
static const chunk_fn chunks[WIDE + 1][MOST_ROWS + 1] = {
    [1] = {CHUNKS(CHUNK_ENTRY, 1)}, [2] = {CHUNKS(CHUNK_ENTRY, 2)}, [3] = {CHUNKS(CHUNK_ENTRY, 3)}};
static const chunk_fn kept_chunks[WIDE + 1][MOST_ROWS + 1] = {
    [1] = {CHUNKS(KEPT_ENTRY, 1)}, [2] = {CHUNKS(KEPT_ENTRY, 2)}, [3] = {CHUNKS(KEPT_ENTRY, 3)}};

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
    expect_rows(s->y + t.m * s->y_row + at, s->y_row, rows, WIDE);
    if (s->add) expect_rows(s->add + t.m * s->add_row + at, s->add_row, rows, WIDE);
  }
  chunk_fn run = (c->kept ? kept_chunks : chunks)[strip->vectors][rows];
  if (strip->tail)
    run = strip->vectors == 2 ? (c->kept ? kept_8_2_4 : chunk_8_2_4) : (c->kept ? kept_8_3_1 : chunk_8_3_1);
  else if (s->strip && strip->vectors == WIDE && rows == MOST_ROWS)
    run = chunk_8_3_far;
  run(s, &t, c);
}

/* A short list over blocks [b0, b1) and the n strips of a panel: block by block, so that each row is written in one
 * stretch. */
static void run_short(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, const struct strip *strips,
                      int n, bool plain, struct pieces *pieces) {
  float *const x = s->scratch, *const tail = x + STRIPS * STRIP_X;
  struct chunk c = {
      .n = s->n_list, .tail = tail, .first = true, .last = true, .plain = plain, .step = 4 * s->w_entry};
  for (int k = 0; k < n; k++) copy_chunk(s, 0, c.n, &strips[k], x + k * c.n * STRIP, tail, NULL);
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
  int64_t kept[STRIPS][CHUNK], n_kept[STRIPS];
  for (int64_t e = 0; e < s->n_list; e += CHUNK) {
    const int64_t n_chunk = spmm_min(CHUNK, s->n_list - e);
    struct chunk c = {.tail = tail, .first = e == 0, .plain = plain, .step = 4 * s->w_entry};
    c.last = e + n_chunk == s->n_list;
    for (int k = 0; k < n; k++)
      n_kept[k] = copy_chunk(s, e, n_chunk, &strips[k], x + k * STRIP_X, tail, s->window ? kept[k] : NULL);
    for (int k = 0; k < n; k++)
      for (int64_t b = b0; b < b1; b++) {
        c.n = n_kept[k];
        c.kept = c.n < n_chunk ? kept[k] : NULL;
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
  if (s->col) {
    sumi_spmm_f32_avx512_lists(s, b0, b1, p0, p1);
    return;
  }
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
