/* spmm, 8 bits, with AMX: blocks of 32 rows by 2 vectors of pixels, of 16 rows by 4. The sums of 16 rows x 16 pixels are a tile
 * register; a step adds 16 entries of the list: one A tile (weights, as packed) for 16 rows, one B tile (16 rows of 64
 * bytes of x) for 16 pixels, TDPBSUD (signed by unsigned, modulo 2^32) for each pair.
 *
 * B tiles are not loaded from x, whose planes lie far apart at odd addresses: their rows are copied to a ring of steps
 * first. The lists of all blocks, one after the other, are one stream of steps, and the copy runs one ring ahead of the
 * products: a tile load cannot take its rows from stores still under way. Where all blocks share one list that fits, the
 * ring holds all of it and is filled once for a panel of pixels, during the last block of the panel before. The end of a
 * tile (scale, bytes, stores) runs in slices between the steps of the next one. */
#include "kernel/spmm/spmm_i8_avx512.h"

enum {
  STEP = 16,        /* entries */
  TILE_WORDS = 256, /* 16 rows of 16 words */
  TILE_BYTES = 64,  /* of a row */
  TILE_GROUPS = 4,  /* of I8_WORD_ROWS rows */
  GROUP_WORDS = I8_WORD_ROWS * I8_VECTOR,
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
    while (!i8_wanted(map, from)) from++;
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
      const __m512i row = _mm512_loadu_si512(from + 4 * I8_VECTOR * f->v[i]);
      _mm512_store_si512(to + i * TILE_WORDS + e * I8_VECTOR, row);
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

/* Sums without bias in memory, [u][rows][16 pixels], and how far they are finished. */
struct done {
  int64_t m, v[MOST_U];
  const int32_t *sum;
  int next, end; /* groups of four rows */
  bool quick, whole;
  struct target to[MOST_U];
};

INLINE bool aim(const struct sumi_lane_map *map, int64_t v, struct target *t) {
  const struct sumi_lane_piece *const k = map->piece + map->first[v];
  const int n = map->first[v + 1] - map->first[v];
  for (int i = 0; i < QUICK_PIECES; i++) {
    int lowest;
    if (!i8_together(&k[i < n ? i : 0], &lowest)) return false;
    t->at[i] = k[i < n ? i : 0].at - lowest;
    t->mask[i] = i < n ? k[i].mask : 0;
  }
  return n <= QUICK_PIECES;
}

INLINE void aim_all(const struct i8_end *end, struct done *d, const int64_t *v, int u) {
  d->quick = end->quick && !end->direct;
  d->whole = true;
  for (int i = 0; i < u; i++) {
    d->v[i] = v[i];
    d->quick = aim(end->s->map, v[i], &d->to[i]) && d->quick;
    d->whole = d->whole && d->to[i].mask[0] == 0xffff;
  }
}

/* Four rows the long way. */
static __attribute__((noinline)) void finish_any(const struct i8_end *end, int64_t m, int64_t v,
                                                 const int32_t *sum) {
  const int32_t *const bias = end->s->bias + m;
  _Alignas(64) int32_t biased[GROUP_WORDS];
  for (int k = 0; k < I8_WORD_ROWS; k++) {
    const __m512i row = _mm512_load_si512(sum + k * I8_VECTOR);
    _mm512_store_si512(biased + k * I8_VECTOR, _mm512_add_epi32(row, _mm512_set1_epi32(bias[k])));
  }
  i8_finish(end, m, v, biased, I8_VECTOR);
}

/* i8_quick and the bias; what is nothing to do is left out. */
INLINE __m512i words(const struct i8_end *end, const int32_t *sum, const int32_t *bias, const float *scale,
                     bool plain) {
  static const _Alignas(16) uint8_t order[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  __m512i q[I8_WORD_ROWS];
  UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) {
    const __m512i v = _mm512_add_epi32(_mm512_load_si512(sum + k * I8_VECTOR), _mm512_set1_epi32(bias[k]));
    q[k] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_set1_ps(scale[k])));
  }
  __m512i ab = _mm512_packs_epi32(q[0], q[1]), cd = _mm512_packs_epi32(q[2], q[3]);
  if (!plain) {
    ab = _mm512_adds_epi16(ab, _mm512_set1_epi32((int)end->zero));
    cd = _mm512_adds_epi16(cd, _mm512_set1_epi32((int)end->zero));
  }
  const __m512i w = _mm512_shuffle_epi8(_mm512_packus_epi16(ab, cd),
                                        _mm512_broadcast_i32x4(_mm_load_si128((const void *)order)));
  if (plain) return w;
  return _mm512_min_epu8(_mm512_max_epu8(w, _mm512_set1_epi32((int)end->lo)),
                         _mm512_set1_epi32((int)end->hi));
}

/* The next groups, so many at most. */
INLINE void finish(const struct i8_end *end, struct done *d, int groups, int h, int u) {
  const int stop = d->next + groups < d->end ? d->next + groups : d->end;
  const struct sumi_spmm_i8 *const s = end->s;
  const int64_t u_words = h * TILE_WORDS;
  const bool plain = end->zero == 0 && end->lo == 0 && ~end->hi == 0;
  for (; d->next < stop; d->next++) {
    const int64_t m = d->m + I8_WORD_ROWS * d->next;
    const int32_t *const sum = d->sum + d->next * GROUP_WORDS;
    if (!d->quick) {
      for (int i = 0; i < u; i++) finish_any(end, m, d->v[i], sum + i * u_words);
      continue;
    }
    int32_t *const plane = (int32_t *)i8_plane(s, m);
    __m512i w[MOST_U];
    if (plain) {
      UNROLL for (int i = 0; i < u; i++) w[i] =
          words(end, sum + i * u_words, s->bias + m, s->scale + m, true);
    } else {
      UNROLL for (int i = 0; i < u; i++) w[i] =
          words(end, sum + i * u_words, s->bias + m, s->scale + m, false);
    }
    if (d->whole) {
      UNROLL for (int i = 0; i < u; i++) _mm512_storeu_si512(plane + d->to[i].at[0], w[i]);
    } else {
      UNROLL for (int i = 0; i < u; i++) {
        const struct target *const t = &d->to[i];
        _mm512_mask_storeu_epi32(plane + t->at[0], t->mask[0], w[i]);
        if (t->mask[1]) _mm512_mask_storeu_epi32(plane + t->at[1], t->mask[1], w[i]);
      }
    }
  }
}

/* ---- products ----------------------------------------------------------------------------------------------------- */

/* One step: registers 0..3 are sums [h][u], 4 and 5 A or (h = 1) B, 6 and 7 B. h and u are constants: 2 by 1 or 2, 1 by 1, 2
 * or 4. */
INLINE void step(const int32_t *a, const int32_t *b, int h, int u) {
  _tile_loadd(4, a, TILE_BYTES);
  _tile_loadd(6, b, TILE_BYTES);
  _tile_dpbsud(0, 4, 6);
  if (u > 1) {
    _tile_loadd(7, b + TILE_WORDS, TILE_BYTES);
    _tile_dpbsud(1, 4, 7);
  }
  if (h > 1) {
    _tile_loadd(5, a + TILE_WORDS, TILE_BYTES);
    _tile_dpbsud(2, 5, 6);
    if (u > 1) _tile_dpbsud(3, 5, 7);
  }
  if (u > 2) {
    _tile_loadd(5, b + 2 * TILE_WORDS, TILE_BYTES);
    _tile_dpbsud(2, 4, 5);
    _tile_loadd(6, b + 3 * TILE_WORDS, TILE_BYTES);
    _tile_dpbsud(3, 4, 6);
  }
}

INLINE void clear(int h, int u) {
  _tile_zero(0);
  if (u > 1) _tile_zero(1);
  if (h > 1 || u > 2) _tile_zero(2);
  if (h * u > 2) _tile_zero(3);
}

INLINE void store(int32_t *sum, int h, int u) {
  _tile_stored(0, sum, TILE_BYTES);
  if (u > 1) _tile_stored(1, sum + h * TILE_WORDS, TILE_BYTES);
  if (h > 1) _tile_stored(2, sum + TILE_WORDS, TILE_BYTES);
  if (u > 2) _tile_stored(2, sum + 2 * TILE_WORDS, TILE_BYTES);
  if (h * u > 2) _tile_stored(3, sum + 3 * TILE_WORDS, TILE_BYTES);
  ORDER();
}

/* ---- the walk ----------------------------------------------------------------------------------------------------- */

/* `panels` panels of u vectors from vector v on, blocks of h times 16 rows. Returns the vector after them. */
INLINE int64_t walk(const struct i8_end *end, int64_t b0, int64_t b1, int64_t v, int64_t panels,
                    int32_t *ring, int h, int u) {
  const struct sumi_spmm_i8 *const s = end->s;
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
  _Alignas(64) int32_t sums[2][MOST_TILES * TILE_WORDS];
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
        finish(end, &d, slice, h, u);
      }
      finish(end, &d, h * TILE_GROUPS, h, u);
      d.sum = sums[b & 1];
      store(sums[b & 1], h, u);
      d.m = b * s->block;
      d.next = 0;
      d.end = (int)(i8_min(s->rows - d.m, s->block) / I8_WORD_ROWS);
      if (b == b0) aim_all(end, &d, own, u);
    }
  }
  finish(end, &d, h * TILE_GROUPS, h, u);
  return v;
}

static __attribute__((noinline)) void run_32(const struct i8_end *end, int64_t b0, int64_t b1, int64_t v,
                                             int64_t vectors, int32_t *ring) {
  v = walk(end, b0, b1, v, vectors / 2, ring, 2, 2);
  if (vectors % 2) walk(end, b0, b1, v, 1, ring, 2, 1);
}

static __attribute__((noinline)) void run_16(const struct i8_end *end, int64_t b0, int64_t b1, int64_t v,
                                             int64_t vectors, int32_t *ring) {
  v = walk(end, b0, b1, v, vectors / 4, ring, 1, 4);
  if (vectors & 2) v = walk(end, b0, b1, v, 1, ring, 1, 2);
  if (vectors & 1) walk(end, b0, b1, v, 1, ring, 1, 1);
}

void sumi_spmm_i8_amx(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  if (b0 >= b1) return;
  _Alignas(64) int32_t ring[RING_WORDS];
  const struct i8_end end = i8_end_of(s, b0, b1);
  int64_t vectors = 0;
  for (int64_t v = p0 / I8_VECTOR; v * I8_VECTOR < p1; v++) vectors += i8_wanted(s->map, v);
  configure();
  (s->block == 32 ? run_32 : run_16)(&end, b0, b1, p0 / I8_VECTOR, vectors, ring);
  _tile_release();
}
