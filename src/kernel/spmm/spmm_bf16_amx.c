/* spmm, bfloat16, with AMX: blocks of 32 rows by 2 vectors of pixels, of 16 rows by 4. The sums of 16 rows x 16 pixels are a tile
 * register; a step adds 16 entries of the list: one A tile (weights, as packed) for 16 rows, one B tile (16 rows of 64
 * bytes of x) for 16 pixels, TDPBF16PS for each pair. The walk is that of spmm_i8_amx.c: B tiles are copied to a ring
 * ahead of the products, and a finished tile is ended in slices between the steps of the next one. */
#include "kernel/spmm/spmm_bf16_avx512.h"

enum {
  STEP = BF16_CHUNK, /* entries */
  TILE_WORDS = 256,  /* 16 rows of 16 words */
  TILE_BYTES = 64,   /* of a row */
  PAIR_WORDS = BF16_WORD_ROWS * BF16_VECTOR,
  TILE_PAIRS = 8,       /* of rows */
  MOST_U = 4,           /* vectors of a panel */
  MOST_TILES = 4,       /* registers with sums */
  RING = 3,             /* steps that the copy is ahead of lists that are not shared */
  RING_WORDS = 40 << 10 /* the most for a shared list: 160 KiB */
};

/* The compiler moves no access to memory across: it does not know what tile instructions read. */
#define ORDER() __asm__ volatile("" ::: "memory")

INLINE void configure(void) {
  struct {
    uint8_t palette, start, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } tiles = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    tiles.row_bytes[i] = TILE_BYTES;
    tiles.rows[i] = 16;
  }
  ORDER();
  _tile_loadconfig(&tiles);
}

/* The next u vectors with pieces, from `from` on; there are so many. Returns where to go on. */
INLINE int64_t take(const struct sumi_lane_map *map, int64_t from, int u, int64_t *v) {
  for (int i = 0; i < u; i++) {
    while (!bf16_wanted(map, from)) from++;
    v[i] = from++;
  }
  return from;
}

/* ---- copying x ---------------------------------------------------------------------------------------------------- */

/* The stream of steps to copy: for each of `panels` panels more, `turns` times the list. */
struct feed {
  const uint8_t *x;
  const int32_t *off;
  int64_t n, at; /* entries of the list */
  int64_t turns, turn, panels;
  const struct sumi_lane_map *map;
  int64_t next, v[MOST_U];
};

/* Copies the next step, if there is one: tiles [u][16 entries][16 pixels]. */
INLINE void feed(struct feed *f, int u, int32_t *to) {
  if (f->at == f->n) {
    if (++f->turn >= f->turns) {
      if (f->panels == 0) return;
      f->panels--;
      f->turn = 0;
      f->next = take(f->map, f->next, u, f->v);
    }
    f->at = 0;
  }
  const int32_t *const off = f->off + f->at;
  UNROLL for (int e = 0; e < STEP; e++) {
    const uint8_t *const from = f->x + off[e];
    UNROLL for (int i = 0; i < u; i++) {
      const __m512i row = _mm512_loadu_si512(from + BF16_VECTOR_BYTES * f->v[i]);
      _mm512_store_si512(to + i * TILE_WORDS + e * BF16_VECTOR, row);
    }
  }
  f->at += STEP;
}

/* ---- finished tiles ----------------------------------------------------------------------------------------------- */

enum { QUICK_PIECES = 2 };

/* Where a vector goes if its pieces are at most two runs of neighbours. */
struct target {
  int64_t at[QUICK_PIECES]; /* words in a plane, of lane 0 */
  __mmask16 mask[QUICK_PIECES];
};

/* Sums in memory, [u][rows][16 pixels], and how far they are finished. */
struct done {
  int64_t m, v[MOST_U];
  float *sum;
  int next, end; /* pairs of rows */
  bool quick;    /* no function, no residual elsewhere, bfloat16 output */
  struct target to[MOST_U];
};

INLINE bool aim(const struct sumi_lane_map *map, int64_t v, struct target *t) {
  const struct sumi_lane_piece *const k = map->piece + map->first[v];
  const int n = map->first[v + 1] - map->first[v];
  for (int i = 0; i < QUICK_PIECES; i++) {
    int lowest;
    if (!bf16_together(&k[i < n ? i : 0], &lowest)) return false;
    t->at[i] = k[i < n ? i : 0].at - lowest;
    t->mask[i] = i < n ? k[i].mask : 0;
  }
  return n <= QUICK_PIECES;
}

INLINE void aim_all(const struct sumi_spmm_bf16 *s, struct done *d, const int64_t *v, int u) {
  d->quick = !s->act && !s->y_f32 && (!s->r || s->r_map == s->map);
  for (int i = 0; i < u; i++) {
    d->v[i] = v[i];
    d->quick = aim(s->map, v[i], &d->to[i]) && d->quick;
  }
}

/* Rows m and m + 1 of one vector; r and y are planes. */
INLINE void finish_quick(const struct sumi_spmm_bf16 *s, const float *sum, const float *bias,
                         const struct target *t, const int32_t *r, int32_t *y) {
  __m512 low = _mm512_add_ps(_mm512_load_ps(sum), _mm512_set1_ps(bias[0]));
  __m512 high = _mm512_add_ps(_mm512_load_ps(sum + BF16_VECTOR), _mm512_set1_ps(bias[1]));
  if (r) {
    __m512i word = _mm512_maskz_loadu_epi32(t->mask[0], r + t->at[0]);
    word = _mm512_mask_loadu_epi32(word, t->mask[1], r + t->at[1]);
    low = _mm512_add_ps(low, bf16_low(word));
    high = _mm512_add_ps(high, bf16_high(word));
  }
  const __m512i word = bf16_pair(bf16_clamp(s, low), bf16_clamp(s, high));
  _mm512_mask_storeu_epi32(y + t->at[0], t->mask[0], word);
  if (t->mask[1]) _mm512_mask_storeu_epi32(y + t->at[1], t->mask[1], word);
}

/* The next pairs, so many at most. */
INLINE void finish(const struct sumi_spmm_bf16 *s, struct done *d, int pairs, int h, int u) {
  const int stop = d->next + pairs < d->end ? d->next + pairs : d->end;
  for (; d->next < stop; d->next++) {
    const int64_t m = d->m + BF16_WORD_ROWS * d->next, plane = m / BF16_WORD_ROWS;
    float *const sum = d->sum + d->next * PAIR_WORDS;
    const int32_t *const r = s->r ? (const int32_t *)s->r + plane * s->r_group : NULL;
    if (!d->quick || m + 1 == s->rows) {
      for (int i = 0; i < u; i++)
        bf16_finish(s, m, d->v[i], BF16_WORD_ROWS, sum + i * h * TILE_WORDS, BF16_VECTOR);
      continue;
    }
    UNROLL for (int i = 0; i < u; i++) finish_quick(s, sum + i * h * TILE_WORDS, s->bias + m, &d->to[i], r,
                                                    (int32_t *)s->y + plane * s->y_group);
  }
}

/* ---- products ----------------------------------------------------------------------------------------------------- */

/* One step: registers 0..3 are sums [h][u], 4 and 5 A or (h = 1) B, 6 and 7 B. h and u are constants: 2 by 1 or 2, 1 by 1, 2
 * or 4. */
INLINE void step(const int32_t *a, const int32_t *b, int h, int u) {
  _tile_loadd(4, a, TILE_BYTES);
  _tile_loadd(6, b, TILE_BYTES);
  _tile_dpbf16ps(0, 4, 6);
  if (u > 1) {
    _tile_loadd(7, b + TILE_WORDS, TILE_BYTES);
    _tile_dpbf16ps(1, 4, 7);
  }
  if (h > 1) {
    _tile_loadd(5, a + TILE_WORDS, TILE_BYTES);
    _tile_dpbf16ps(2, 5, 6);
    if (u > 1) _tile_dpbf16ps(3, 5, 7);
  }
  if (u > 2) {
    _tile_loadd(5, b + 2 * TILE_WORDS, TILE_BYTES);
    _tile_dpbf16ps(2, 4, 5);
    _tile_loadd(6, b + 3 * TILE_WORDS, TILE_BYTES);
    _tile_dpbf16ps(3, 4, 6);
  }
}

INLINE void clear(int h, int u) {
  _tile_zero(0);
  if (u > 1) _tile_zero(1);
  if (h > 1 || u > 2) _tile_zero(2);
  if (h * u > 2) _tile_zero(3);
}

INLINE void store(float *sum, int h, int u) {
  _tile_stored(0, sum, TILE_BYTES);
  if (u > 1) _tile_stored(1, sum + h * TILE_WORDS, TILE_BYTES);
  if (h > 1) _tile_stored(2, sum + TILE_WORDS, TILE_BYTES);
  if (u > 2) _tile_stored(2, sum + 2 * TILE_WORDS, TILE_BYTES);
  if (h * u > 2) _tile_stored(3, sum + 3 * TILE_WORDS, TILE_BYTES);
  ORDER();
}

/* ---- the walk ----------------------------------------------------------------------------------------------------- */

/* `panels` panels of u vectors from vector v on, blocks of h times 16 rows. Returns the vector after them. */
INLINE int64_t walk(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t v, int64_t panels,
                    int32_t *ring, int h, int u) {
  const int64_t step_words = (int64_t)u * TILE_WORDS;
  const bool shared = !s->start, resident = shared && s->n_list / STEP * step_words <= RING_WORDS;
  struct feed f = {
      .x = s->x, .off = s->off, .n = s->n_list, .turns = 1, .panels = panels, .map = s->map, .next = v};
  if (!shared) {
    f.off = s->off + s->start[b0];
    f.n = s->start[b1] - s->start[b0];
  } else if (!resident) {
    f.turns = b1 - b0;
  }
  f.at = f.n;
  f.turn = f.turns;
  int32_t *const ring_end = ring + (resident ? s->n_list / STEP : RING) * step_words, *slot = ring;
  if (f.n > 0)
    for (int32_t *to = ring; to < ring_end; to += step_words) feed(&f, u, to);
  _Alignas(64) float sums[2][MOST_TILES * TILE_WORDS];
  struct done d = {.end = 0};
  for (int64_t i = 0; i < panels; i++) {
    int64_t own[MOST_U];
    v = take(s->map, v, u, own);
    for (int64_t b = b0; b < b1; b++) {
      const int64_t first = shared ? b * s->n_list : s->start[b];
      const int64_t n = shared ? s->n_list : s->start[b + 1] - first;
      const int32_t *a = s->w + first * s->block, *const a_end = a + n * s->block;
      const bool fed = !resident || b + 1 == b1;
      const int slice = n > 0 ? (int)((d.end * STEP + n - 1) / n) : 0;
      clear(h, u);
      for (; a < a_end; a += h * TILE_WORDS) {
        ORDER();
        step(a, slot, h, u);
        ORDER();
        if (fed) feed(&f, u, slot);
        slot = slot + step_words == ring_end ? ring : slot + step_words;
        finish(s, &d, slice, h, u);
      }
      finish(s, &d, h * TILE_PAIRS, h, u);
      d.sum = sums[b & 1];
      store(d.sum, h, u);
      d.m = b * s->block;
      d.next = 0;
      d.end = (int)(bf16_min(bf16_rows(s) - d.m, s->block) / BF16_WORD_ROWS);
      if (b == b0) aim_all(s, &d, own, u);
    }
  }
  finish(s, &d, h * TILE_PAIRS, h, u);
  return v;
}

static __attribute__((noinline)) void run_32(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1,
                                             int64_t v, int64_t vectors, int32_t *ring) {
  v = walk(s, b0, b1, v, vectors / 2, ring, 2, 2);
  if (vectors % 2) walk(s, b0, b1, v, 1, ring, 2, 1);
}

static __attribute__((noinline)) void run_16(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1,
                                             int64_t v, int64_t vectors, int32_t *ring) {
  v = walk(s, b0, b1, v, vectors / 4, ring, 1, 4);
  if (vectors & 2) v = walk(s, b0, b1, v, 1, ring, 1, 2);
  if (vectors & 1) walk(s, b0, b1, v, 1, ring, 1, 1);
}

void sumi_spmm_bf16_amx(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  if (b0 >= b1) return;
  _Alignas(64) int32_t ring[RING_WORDS];
  int64_t vectors = 0;
  for (int64_t v = p0 / BF16_VECTOR; v * BF16_VECTOR < p1; v++) vectors += bf16_wanted(s->map, v);
  configure();
  (s->block == 32 ? run_32 : run_16)(s, b0, b1, p0 / BF16_VECTOR, vectors, ring);
  _tile_release();
}
