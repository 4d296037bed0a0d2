/* The frame of the loops in words with AMX: blocks of 32 rows by 2 vectors of pixels, of 16 rows by 4. The sums of 16 rows x 16
 * pixels are a tile register; a step adds 16 entries of the list: one A tile (weights, as packed) for 16 rows, one B tile (16 rows of
 * 64 bytes of x) for 16 pixels, and a product for each pair.
 *
 * B tiles are not loaded from x, whose planes lie far apart at odd addresses: their rows are copied to a ring of steps
 * first. The lists of all blocks, one after the other, are one stream of steps, and the copy runs one ring ahead of the
 * products: a tile load cannot take its rows from stores still under way. Where all blocks share one list that fits, the
 * ring holds all of it and is filled once for a panel of pixels, during the last block of the panel before. The end of a
 * tile runs in slices between the steps of the next one.
 *
 * A leaf defines, then includes this, then defines aim_all() and finish():
 *   AMX_LOOP                  the loop's struct, struct sumi_spmm_bf16 or its like
 *   AMX_END                   a struct for the end of tiles, with the loop as member s
 *   AMX_ROWS                  rows that are finished together
 *   AMX_PIECES                runs of neighbours of a vector that finish() stores without looking at the map
 *   AMX_RING_WORDS            the most for a shared list: a small part of a second-level cache
 *   AMX_PRODUCT(sum, a, b)    the tile instruction on registers of these numbers */
#ifndef SUMI_KERNEL_SPMM_AMX_INT_H
#define SUMI_KERNEL_SPMM_AMX_INT_H

#include <immintrin.h>

enum {
  STEP = 16,        /* entries */
  TILE_WORDS = 256, /* 16 rows of 16 words */
  TILE_BYTES = 64,  /* of a row */
  TILE_GROUPS = 16 / AMX_ROWS,
  AMX_VECTOR = 16, /* pixels */
  GROUP_WORDS = AMX_ROWS * AMX_VECTOR,
  MOST_U = 4,      /* vectors of a panel */
  MOST_TILES = 4,  /* registers with sums */
  MOST_PANELS = 4, /* of a group */
  RING = 3,        /* steps that the copy is ahead of lists that are not shared */
  RING_WORDS = AMX_RING_WORDS,
  LONG_LIST = 30, /* steps: weights and copied x of a block together are beyond the first-level cache */
  CHUNK = 8,      /* steps of such a list whose weights stay there while the panels take turns */
  MANY_WEIGHT_WORDS =
      256 << 10, /* 1 MiB: weights that should not come twice from beyond the second-level cache */
  FAR_WEIGHT_WORDS = 128 << 10 /* weights of which much comes from there */
};

INLINE int64_t amx_min(int64_t a, int64_t b) { return a < b ? a : b; }

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
    while (!sumi_lane_wanted(map, from)) from++;
    v[i] = from++;
  }
  return from;
}

/* ---- copying x ---------------------------------------------------------------------------------------------------- */

/* Panels whose sums grow together: for each chunk of the list the panels take turns, so that a chunk of weights is read once for
 * all of them. */
struct group {
  int64_t next; /* vectors before are taken */
  int64_t left; /* panels after this group */
  int most, n;  /* panels: of a group, of this one */
  int64_t v[MOST_PANELS][MOST_U];
};

INLINE bool group_next(struct group *g, const struct sumi_lane_map *map, int u) {
  g->n = g->left < g->most ? (int)g->left : g->most;
  g->left -= g->n;
  for (int i = 0; i < g->n; i++) g->next = take(map, g->next, u, g->v[i]);
  return g->n > 0;
}

/* The stream of steps to copy: for each group of panels, `turns` times the list, chunk by chunk for all panels. */
struct feed {
  const struct sumi_lane_map *map;
  const uint8_t *x;
  const int32_t *off;
  int64_t n, chunk, from, at,
      to; /* entries of the list: all, of a chunk; this chunk and the next step in it */
  int64_t turns, turn;
  int panel;
  struct group group;
};

/* From the end of a chunk to the next one; false if it was the last. */
INLINE bool feed_on(struct feed *f, int u) {
  if (++f->panel >= f->group.n) {
    f->panel = 0;
    f->from = f->to;
    if (f->from == f->n) {
      f->from = 0;
      if (++f->turn >= f->turns) {
        if (!group_next(&f->group, f->map, u)) return false;
        f->turn = 0;
      }
    }
  }
  f->at = f->from;
  f->to = amx_min(f->from + f->chunk, f->n);
  return true;
}

/* Copies the next step, if there is one: tiles [u][16 entries][16 pixels]. */
INLINE void feed(struct feed *f, int u, int32_t *to) {
  if (f->at == f->to && !feed_on(f, u)) return;
  const int32_t *const off = f->off + f->at;
  const int64_t *const v = f->group.v[f->panel];
  UNROLL for (int e = 0; e < STEP; e++) {
    const uint8_t *const from = f->x + off[e];
    UNROLL for (int i = 0; i < u; i++) {
      const __m512i row = _mm512_loadu_si512(from + 4 * AMX_VECTOR * v[i]);
      _mm512_store_si512(to + i * TILE_WORDS + e * AMX_VECTOR, row);
    }
  }
  f->at += STEP;
}

/* ---- finished tiles ----------------------------------------------------------------------------------------------- */

enum { QUICK_PIECES = AMX_PIECES };

/* Where a vector, in the order of its map, goes if its pieces are so few. */
struct target {
  int64_t at[QUICK_PIECES]; /* words in a plane, of lane 0 */
  __mmask16 mask[QUICK_PIECES];
};

/* Sums in memory, [u][rows][16 pixels], and how far they are finished. */
struct done {
  int64_t m, v[MOST_U];
  int32_t *sum;
  int next, end;                          /* groups of AMX_ROWS rows */
  bool quick, residual, whole, apart;     /* residual: words with one; apart: the map's order */
  struct target to[MOST_U], r_to[MOST_U]; /* r_to: where the residual lies, for leaves that look at it */
};

INLINE bool aim(const struct sumi_lane_map *map, int64_t v, struct target *t) {
  const struct sumi_lane_piece *const k = map->piece + map->first[v];
  const int n = map->first[v + 1] - map->first[v];
  for (int i = 0; i < QUICK_PIECES; i++) {
    t->at[i] = k[i < n ? i : 0].lane_0;
    t->mask[i] = i < n ? k[i].ordered : 0;
  }
  return n <= QUICK_PIECES && map->order != SUMI_LANES_ANY;
}

/* Where tiles of u vectors v go, and how they may be finished. */
INLINE void aim_all(const AMX_END *end, struct done *d, const int64_t *v, int u);
/* Finishes the next groups of rows, so many at most. */
INLINE void finish(const AMX_END *end, struct done *d, int groups, int h, int u);

/* ---- products ----------------------------------------------------------------------------------------------------- */

/* One step: registers 0..3 are sums [h][u], 4 and 5 A or (h = 1) B, 6 and 7 B. h and u are constants: 2 by 1 or 2, 1 by 1, 2
 * or 4. */
INLINE void step(const int32_t *a, const int32_t *b, int h, int u) {
  _tile_loadd(4, a, TILE_BYTES);
  _tile_loadd(6, b, TILE_BYTES);
  AMX_PRODUCT(0, 4, 6);
  if (u > 1) {
    _tile_loadd(7, b + TILE_WORDS, TILE_BYTES);
    AMX_PRODUCT(1, 4, 7);
  }
  if (h > 1) {
    _tile_loadd(5, a + TILE_WORDS, TILE_BYTES);
    AMX_PRODUCT(2, 5, 6);
    if (u > 1) AMX_PRODUCT(3, 5, 7);
  }
  if (u > 2) {
    _tile_loadd(5, b + 2 * TILE_WORDS, TILE_BYTES);
    AMX_PRODUCT(2, 4, 5);
    _tile_loadd(6, b + 3 * TILE_WORDS, TILE_BYTES);
    AMX_PRODUCT(3, 4, 6);
  }
}

INLINE void clear(int h, int u) {
  _tile_zero(0);
  if (u > 1) _tile_zero(1);
  if (h > 1 || u > 2) _tile_zero(2);
  if (h * u > 2) _tile_zero(3);
}

INLINE void load(const int32_t *sum, int h, int u) {
  _tile_loadd(0, sum, TILE_BYTES);
  if (u > 1) _tile_loadd(1, sum + h * TILE_WORDS, TILE_BYTES);
  if (h > 1) _tile_loadd(2, sum + TILE_WORDS, TILE_BYTES);
  if (u > 2) _tile_loadd(2, sum + 2 * TILE_WORDS, TILE_BYTES);
  if (h * u > 2) _tile_loadd(3, sum + 3 * TILE_WORDS, TILE_BYTES);
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

struct walk {
  const AMX_END *end;
  int64_t b0, b1;
  bool resident; /* the ring holds the shared list for a group of panels, in the order of the products */
  bool far;      /* weights come from beyond the second-level cache */
  int32_t *ring, *ring_end, *slot;
  struct feed feed;
  struct group group;
  struct done done;
  int flip;              /* which of sums is being finished */
  int32_t *parts, *sums; /* of unfinished chunks [MOST_PANELS], of finished tiles [2], MOST_TILES each */
};

/* Sets up the stream of steps and copies the first ring of it. */
INLINE void walk_begin(struct walk *k, int64_t v, int64_t panels, int h, int u) {
  const AMX_LOOP *const s = k->end->s;
  const int64_t step_words = (int64_t)u * TILE_WORDS, words = s->start ? 0 : s->n_list / STEP * step_words;
  struct feed *const f = &k->feed;
  *f = (struct feed){.map = s->map, .x = s->x, .off = s->off, .n = s->n_list, .turns = 1};
  f->group = (struct group){.next = v, .left = panels, .most = 1};
  k->resident = !s->start && words <= RING_WORDS;
  if (s->start) {
    f->off = s->off + s->start[k->b0];
    f->n = s->start[k->b1] - s->start[k->b0];
  } else if (!k->resident) {
    f->turns = k->b1 - k->b0;
  } else if (h > 1 && (f->n >= LONG_LIST * STEP || (k->b1 - k->b0) * f->n * s->block > MANY_WEIGHT_WORDS)) {
    f->group.most = (int)amx_min(amx_min(RING_WORDS / words, MOST_PANELS), panels);
  }
  f->chunk = f->group.most > 1 ? CHUNK * STEP : f->n;
  f->from = f->at = f->to = f->n; /* the first step begins the first group */
  f->turn = f->turns;
  k->far = !s->start && (k->b1 - k->b0) * f->n * s->block > FAR_WEIGHT_WORDS;
  k->group = f->group;
  k->ring_end = k->ring + (k->resident ? f->group.most * words : RING * step_words);
  k->slot = k->ring;
  if (f->n == 0) return;
  for (int32_t *to = k->ring; to < k->ring_end; to += step_words) feed(f, u, to);
}

/* Asks for the weights that are needed a chunk after those at a; each panel of a group for its share of them. */
INLINE void expect_weights(const int32_t *a, int panel, int panels, int h) {
  enum { LINE_WORDS = 16 };
  const int lines = h * TILE_WORDS / LINE_WORDS, end = lines * (panel + 1) / panels;
  const int32_t *const next = a + CHUNK * h * TILE_WORDS;
  for (int line = lines * panel / panels; line < end; line++)
    _mm_prefetch(next + line * LINE_WORDS, _MM_HINT_T1);
}

/* Adds entries [from, to) of a block's list to panel i; finishes the tile before meanwhile. */
INLINE void add_chunk(struct walk *k, const int32_t *a, int64_t from, int64_t to, int i, bool fed, int h,
                      int u) {
  const int64_t step_words = (int64_t)u * TILE_WORDS;
  const int slice = to > from ? (int)((k->done.end * STEP + to - from - 1) / (to - from)) : 0;
  if (from == 0)
    clear(h, u);
  else
    load(k->parts + i * MOST_TILES * TILE_WORDS, h, u);
  for (int64_t e = from; e < to; e += STEP, a += h * TILE_WORDS) {
    ORDER();
    step(a, k->slot, h, u);
    ORDER();
    if (k->far) expect_weights(a, i, k->group.n, h);
    if (fed) feed(&k->feed, u, k->slot);
    k->slot = k->slot + step_words == k->ring_end ? k->ring : k->slot + step_words;
    finish(k->end, &k->done, slice, h, u);
  }
  finish(k->end, &k->done, h * TILE_GROUPS, h, u);
}

/* Block b for all panels of the group. */
INLINE void add_block(struct walk *k, int64_t b, int h, int u) {
  const AMX_LOOP *const s = k->end->s;
  const int64_t first = s->start ? s->start[b] : b * s->n_list,
                n = s->start ? s->start[b + 1] - first : s->n_list;
  const bool fed = !k->resident || b + 1 == k->b1;
  if (k->resident) k->slot = k->ring;
  int64_t from = 0;
  do {
    const int64_t to = amx_min(from + k->feed.chunk, n);
    for (int i = 0; i < k->group.n; i++) {
      add_chunk(k, s->w + (first + from) * s->block, from, to, i, fed, h, u);
      if (to < n) {
        store(k->parts + i * MOST_TILES * TILE_WORDS, h, u);
        continue;
      }
      struct done *const d = &k->done;
      int32_t *const sums = k->sums + k->flip * MOST_TILES * TILE_WORDS;
      k->flip ^= 1;
      store(sums, h, u);
      d->sum = sums;
      d->m = b * s->block;
      d->next = 0;
      d->end = (int)((amx_min(s->rows - d->m, s->block) + AMX_ROWS - 1) / AMX_ROWS);
      if (b == k->b0 || k->group.n > 1) aim_all(k->end, d, k->group.v[i], u);
    }
    from = to;
  } while (from < n);
}

/* `panels` panels of u vectors from vector v on, blocks of h times 16 rows. Returns the vector after them. */
INLINE int64_t walk(const AMX_END *end, int64_t b0, int64_t b1, int64_t v, int64_t panels, int32_t *ring,
                    int h, int u) {
  _Alignas(64) int32_t parts[MOST_PANELS * MOST_TILES * TILE_WORDS], sums[2 * MOST_TILES * TILE_WORDS];
  struct walk k = {.end = end, .b0 = b0, .b1 = b1, .ring = ring, .parts = parts, .sums = sums};
  walk_begin(&k, v, panels, h, u);
  while (group_next(&k.group, end->s->map, u))
    for (int64_t b = b0; b < b1; b++) add_block(&k, b, h, u);
  finish(end, &k.done, h * TILE_GROUPS, h, u);
  return k.group.next;
}

static __attribute__((noinline)) void run_32(const AMX_END *end, int64_t b0, int64_t b1, int64_t v,
                                             int64_t vectors, int32_t *ring) {
  v = walk(end, b0, b1, v, vectors / 2, ring, 2, 2);
  if (vectors % 2) walk(end, b0, b1, v, 1, ring, 2, 1);
}

static __attribute__((noinline)) void run_16(const AMX_END *end, int64_t b0, int64_t b1, int64_t v,
                                             int64_t vectors, int32_t *ring) {
  v = walk(end, b0, b1, v, vectors / 4, ring, 1, 4);
  if (vectors & 2) v = walk(end, b0, b1, v, 1, ring, 1, 2);
  if (vectors & 1) walk(end, b0, b1, v, 1, ring, 1, 1);
}

/* Blocks [b0, b1) for pixels [p0, p1). */
INLINE void run(const AMX_END *end, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  if (b0 >= b1) return;
  _Alignas(64) int32_t ring[RING_WORDS];
  int64_t vectors = 0;
  for (int64_t v = p0 / AMX_VECTOR; v * AMX_VECTOR < p1; v++) vectors += sumi_lane_wanted(end->s->map, v);
  configure();
  (end->s->block == 32 ? run_32 : run_16)(end, b0, b1, p0 / AMX_VECTOR, vectors, ring);
  _tile_release();
}

#endif
