/* spmm float32 with AVX-512: one list for many rows, and windows, over copied panels; x in strips.
 *
 * For a group of blocks and a panel of up to STRIPS strips of 48 pixels, CHUNK entries at a time: what is read of x is copied
 * side by side, so that a strip is one stream of 24 KiB in the first-level cache; the tile of the group's first block makes
 * the copy while it sums, which hides it behind the multiply-adds. The group's weights are read from far once for all
 * strips, the next block's while one is summed. Sums wait in scratch between chunks and are continued in the order of
 * the list, so the bits are those of the plain loop. Up to TAIL pixels behind the last whole vector, too few for a
 * vector of their own, are summed with rows in lanes. Lists of at most SHORT entries need no sums in scratch and leave
 * room for wider panels, which are done block by block: what bounds them is writing rows of y. */
#include "kernel/spmm/spmm_avx512_int.h"

enum {
  CHUNK_ENTRIES = 128,
  WIDE = 3,
  STRIP = WIDE * LANES,
  STRIPS = 5,
  GROUP = 16,
  MOST_STRIPS = 16,
  SHORT = 64
};
enum {
  STRIP_X = CHUNK_ENTRIES * STRIP,
  BLOCK_SUMS = MOST_ROWS * (STRIP + TAIL),
  STRIP_SUMS = GROUP * BLOCK_SUMS,
  SHORT_X = 2 * CHUNK_ENTRIES * STRIP /* of all strips of a panel with a short list */
};                                    /* words */
_Static_assert(SUMI_SPMM_F32_SCRATCH >= STRIP_X + CHUNK_ENTRIES * TAIL + STRIPS * STRIP_SUMS,
               "scratch holds a chunk and the sums of a group");
_Static_assert(SUMI_SPMM_F32_SCRATCH >= SHORT_X + MOST_STRIPS * SHORT * TAIL,
               "scratch holds short lists of a panel");

/* sum += x * b, fused. gcc 12 may choose to overwrite x or b instead, and then copies sums from register to register. */
#define ADD_PRODUCT(sum, x, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(b))

struct chunk {
  const float *x; /* [n][vectors * LANES] */
  float *copy;    /* where the tile that makes it puts x */
  float *tail;    /* [n][TAIL] */
  int64_t n;
  int64_t *kept;           /* [n] which entries of the chunk these are; NULL = the first n */
  int64_t first_entry;     /* of the chunk, in the list */
  const struct taps *taps; /* given: x, tail, n and kept are not there yet, the tile makes them */
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
    store_plain(rows, vectors, WIDE, s, t, &sum[0][0]);
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

/* A tile's sums go to y, or wait for the next chunk. */
INLINE void chunk_leave(const int rows, const int vectors, const int tail, const struct sumi_spmm_f32 *s,
                        const struct spmm_tile *t, const struct chunk *c, __m512 sum[MOST_ROWS][WIDE],
                        const __m256 *side) {
  if (c->last) {
    chunk_end(rows, vectors, tail, s, t, c, sum, side);
    return;
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(c->sums + LANES * (i * vectors + u), sum[i][u]);
  }
  UNROLL for (int k = 0; k < tail; k++) _mm256_store_ps(c->sums + MOST_ROWS * (LANES * vectors + k), side[k]);
}

/* One entry: x in v and z, weights at w, w_row bytes between rows. */
INLINE void add_entry(const int rows, const int vectors, const int tail, const char *w, int64_t w_row,
                      const __m512 v[WIDE], const float *z, __m512 sum[MOST_ROWS][WIDE], __m256 *side) {
  UNROLL for (int i = 0; i < rows; i++) {
    const __m512 b = _mm512_set1_ps(*(const float *)(w + i * w_row));
    UNROLL for (int u = 0; u < vectors; u++) ADD_PRODUCT(sum[i][u], v[u], b);
  }
  if (!tail) return;
  const __m256 b = _mm256_loadu_ps((const float *)w);
  UNROLL for (int k = 0; k < tail;
              k++) __asm__("vfmadd231ps %2%{1to8%}, %1, %0" : "+v"(side[k]) : "v"(b), "m"(z[k]));
}

/* Constants of a tile. Two entries a turn: with one, a tenth of the time goes into what is not multiply-adds. */
struct shape {
  int rows, vectors, tail; /* tail: 0, or so many pixels more at most */
  bool packed;             /* the rows' weights of an entry lie side by side */
  bool kept;               /* c->kept is given */
  bool far;    /* what is needed next goes to the second-level cache, being more than the first one holds */
  bool stream; /* x comes from memory, each word once: it is asked for AHEAD bytes before it is needed */
};

INLINE void chunk_tile(const struct shape h, const struct sumi_spmm_f32 *s, const struct spmm_tile *t,
                       struct chunk *c) {
  enum { TURN = 2, AHEAD = 4096 };
  __m512 sum[MOST_ROWS][WIDE];
  __m256 side[TAIL];
  chunk_start(h.rows, h.vectors, h.tail, s, t, c, sum, side);
  const int64_t w_row = h.packed ? 4 : 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const char *w = (const char *)t->w, *next = c->next;
  const float *x = c->x, *z = c->tail;
  const int64_t *number = c->kept;
#define ENTRY(k)                                                                                       \
  do {                                                                                                 \
    __m512 v[WIDE];                                                                                    \
    const char *at = h.kept ? (const char *)t->w + number[k] * w_entry : w + (k)*w_entry;              \
    UNROLL for (int u = 0; u < h.vectors; u++) v[u] = _mm512_load_ps(x + LANES * ((k)*h.vectors + u)); \
    add_entry(h.rows, h.vectors, h.tail, at, w_row, v, z + (k)*TAIL, sum, side);                       \
  } while (0)
  int64_t n = c->n;
  for (; n >= TURN; n -= TURN) {
    if (h.stream) {
      UNROLL for (int u = 0; u < TURN * h.vectors; u++)
          _mm_prefetch((const char *)(x + LANES * u) + AHEAD, _MM_HINT_T0);
    } else if (h.far) {
      _mm_prefetch(next, _MM_HINT_T1);
      _mm_prefetch(next + c->step, _MM_HINT_T1);
    } else {
      _mm_prefetch(next, _MM_HINT_T0);
    }
    ENTRY(0);
    ENTRY(1);
    x += TURN * h.vectors * LANES;
    w += TURN * w_entry;
    z += TURN * TAIL;
    number += h.kept ? TURN : 0;
    next += TURN * c->step;
  }
  if (n) ENTRY(0);
#undef ENTRY
  chunk_leave(h.rows, h.vectors, h.tail, s, t, c, sum, side);
}

/* The same for 8 packed rows where x is still to be copied. */
INLINE void copy_tile(const int vectors, const int tail, const enum found how, const struct sumi_spmm_f32 *s,
                      const struct spmm_tile *t, struct chunk *c) {
  __m512 sum[MOST_ROWS][WIDE];
  __m256 side[TAIL];
  chunk_start(MOST_ROWS, vectors, tail, s, t, c, sum, side);
  const struct taps *taps = c->taps;
  const int64_t w_entry = 4 * s->w_entry; /* bytes */
  const char *w = (const char *)t->w, *next = c->next;
  float *x = c->copy, *z = c->tail;
  int64_t n = 0;
  int tap = (int)(c->first_entry % taps->n);
  for (int64_t e = 0; e < c->n; e++, w += w_entry, next += c->step) {
    const int k = tap;
    tap = tap + 1 < taps->n ? tap + 1 : 0;
    if (!taps->live[k]) continue;
    c->kept[n++] = e;
    const uintptr_t from = found_at(s, taps, c->first_entry + e, k);
    __m512 v[WIDE];
    UNROLL for (int u = 0; u < vectors; u++) {
      v[u] = found_vector(how, taps, from, k, u);
      _mm512_store_ps(x + LANES * u, v[u]);
    }
    if (tail) _mm_store_ps(z, found_tail(how, taps, from, k, vectors));
    _mm_prefetch(next, _MM_HINT_T0);
    add_entry(MOST_ROWS, vectors, tail, w, 4, v, z, sum, side);
    x += vectors * LANES;
    z += TAIL;
  }
  c->n = n;
  chunk_leave(MOST_ROWS, vectors, tail, s, t, c, sum, side);
}

typedef void (*chunk_fn)(const struct sumi_spmm_f32 *, const struct spmm_tile *, struct chunk *);
#define CHUNK(name, ...)                                                                        \
  static void name(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, struct chunk *c) { \
    chunk_tile((struct shape){__VA_ARGS__}, s, t, c);                                           \
  }
#define CHUNKS(X, vectors) \
  X(1, vectors)            \
  X(2, vectors) X(3, vectors) X(4, vectors) X(5, vectors) X(6, vectors) X(7, vectors) X(8, vectors)
#define LOOSE(rows, vectors)                                         \
  CHUNK(chunk_##rows##_##vectors, rows, vectors, 0, .packed = false) \
  CHUNK(kept_##rows##_##vectors, rows, vectors, 0, .kept = true)
CHUNKS(LOOSE, 1)
CHUNKS(LOOSE, 2)
CHUNKS(LOOSE, 3)
#define LOOSE_ENTRY(rows, vectors) [rows] = {chunk_##rows##_##vectors, kept_##rows##_##vectors},
static const chunk_fn loose[WIDE + 1][MOST_ROWS + 1][2] = {
    [1] = {CHUNKS(LOOSE_ENTRY, 1)}, [2] = {CHUNKS(LOOSE_ENTRY, 2)}, [3] = {CHUNKS(LOOSE_ENTRY, 3)}};
CHUNK(chunk_8_3_far, 8, 3, 0, .far = true)
#define STREAM(rows, vectors) CHUNK(stream_##rows##_##vectors, rows, vectors, 0, .stream = true)
CHUNKS(STREAM, 3)
#define STREAM_ENTRY(rows, vectors) [rows] = stream_##rows##_##vectors,
static const chunk_fn stream[MOST_ROWS + 1] = {CHUNKS(STREAM_ENTRY, 3)};

#define COPY_TILE(name, vectors, tail, how)                                                     \
  static void name(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, struct chunk *c) { \
    copy_tile(vectors, tail, how, s, t, c);                                                     \
  }
#define PACKED(vectors, tail)                                                                   \
  CHUNK(packed_##vectors##_##tail, MOST_ROWS, vectors, tail, .packed = true)                    \
  CHUNK(packed_kept_##vectors##_##tail, MOST_ROWS, vectors, tail, .packed = true, .kept = true) \
  COPY_TILE(copy_##vectors##_##tail, vectors, tail, FLAT)                                       \
  COPY_TILE(halves_##vectors##_##tail, vectors, tail, HALVES)                                   \
  COPY_TILE(parts_##vectors##_##tail, vectors, tail, IN_PARTS)
PACKED(1, 0)
PACKED(2, 0)
PACKED(3, 0)
PACKED(2, 4)
PACKED(3, 1)
PACKED(3, 4)
enum { AS_IT_IS, KEPT, COPY, WAYS = COPY + IN_PARTS + 1 };
#define PACKED_ENTRY(vectors, tail)                                                     \
  {                                                                                     \
    packed_##vectors##_##tail, packed_kept_##vectors##_##tail, copy_##vectors##_##tail, \
        halves_##vectors##_##tail, parts_##vectors##_##tail                             \
  }
static const chunk_fn packed[3][WIDE + 1][WAYS] = {
    {[1] = PACKED_ENTRY(1, 0), PACKED_ENTRY(2, 0), PACKED_ENTRY(3, 0)},
    {[2] = PACKED_ENTRY(2, 4), PACKED_ENTRY(3, 1)}, /* a tail of one pixel */
    {[2] = PACKED_ENTRY(2, 4), PACKED_ENTRY(3, 4)}};

static bool is_packed(const struct sumi_spmm_f32 *s, int64_t rows) {
  return rows == MOST_ROWS && s->w_row == 1;
}

static chunk_fn chunk_of(const struct sumi_spmm_f32 *s, const struct strip *strip, int64_t rows,
                         const struct chunk *c) {
  const int way = c->taps ? COPY + (int)c->taps->how : c->kept ? KEPT : AS_IT_IS;
  if (is_packed(s, rows)) return packed[spmm_min(strip->tail, 2)][strip->vectors][way];
  if (s->strip && strip->vectors == WIDE && s->rows <= MOST_ROWS) return stream[rows];
  return s->strip && strip->vectors == WIDE && rows == MOST_ROWS ? chunk_8_3_far
                                                                 : loose[strip->vectors][rows][way];
}

/* The next strip of pixels [p, end). Four vectors are two strips of two; a tail goes with two or three vectors. */
static struct strip next_strip(int64_t p, int64_t end, bool tails) {
  const int64_t n = end - p, rest = n % LANES;
  const int tail = tails && rest >= 1 && rest <= TAIL && n >= 2 * LANES ? (int)rest : 0;
  const int64_t left = tail ? n / LANES : (n + LANES - 1) / LANES;
  struct strip s = {p, (int)spmm_min(left, WIDE), 0, 0};
  if (left == 4) s.vectors = 2;
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
  chunk_of(s, strip, rows, c)(s, &t, c);
}

/* The tile of a strip's first block b: it makes the copy too, unless its weights are not packed. */
static void run_first(const struct sumi_spmm_f32 *s, int64_t b, const struct strip *strip,
                      const struct taps *taps, struct chunk *c, struct pieces *pieces) {
  const int64_t n = c->n;
  c->x = c->copy;
  if (is_packed(s, spmm_min(s->block, s->rows - b * s->block)))
    c->taps = taps;
  else
    c->n = copy_chunk(s, c->first_entry, n, strip, taps, c->copy, c->tail, c->kept);
  run_tile(s, b, c->first_entry, strip, c, pieces);
  c->taps = NULL;
  if (c->n == n) c->kept = NULL;
}

/* A short list over blocks [b0, b1) and the n strips of a panel: block by block, so that each row is written in one
 * stretch. */
static void run_short(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, const struct strip *strips,
                      const struct taps *taps, int n, bool plain, struct pieces *pieces) {
  int64_t kept[MOST_STRIPS][SHORT];
  struct chunk of[MOST_STRIPS];
  for (int64_t b = b0; b < b1; b++) {
    for (int k = 0; k < n; k++) {
      struct chunk *c = &of[k];
      const char *next = (const char *)(s->w + (b + 1 < b1 ? b + 1 : b) * s->w_block);
      if (b > b0) {
        c->next = next;
        run_tile(s, b, 0, &strips[k], c, pieces);
        continue;
      }
      *c = (struct chunk){.copy = s->scratch + k * s->n_list * STRIP,
                          .tail = s->scratch + SHORT_X + k * SHORT * TAIL,
                          .n = s->n_list,
                          .kept = kept[k],
                          .next = next,
                          .step = 4 * s->w_entry,
                          .first = true,
                          .last = true,
                          .plain = plain};
      run_first(s, b, &strips[k], &taps[k], c, pieces);
    }
  }
}

/* Blocks [b0, b1), at most GROUP, for the n strips of a panel, at most STRIPS. */
static void run_long(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, const struct strip *strips,
                     const struct taps *taps, int n, bool plain, struct pieces *pieces) {
  float *const x = s->scratch, *const tail = x + STRIP_X, *const sums = tail + CHUNK_ENTRIES * TAIL;
  int64_t kept[CHUNK_ENTRIES];
  for (int64_t e = 0; e < s->n_list; e += CHUNK_ENTRIES) {
    for (int k = 0; k < n; k++) {
      struct chunk c = {.copy = x, .tail = tail, .kept = kept, .n = spmm_min(CHUNK_ENTRIES, s->n_list - e)};
      c.first_entry = e;
      c.first = e == 0;
      c.last = e + c.n == s->n_list;
      c.plain = plain;
      c.step = 4 * s->w_entry;
      for (int64_t b = b0; b < b1; b++) {
        c.next = (const char *)(s->w + (b + 1 < b1 ? b + 1 : b) * s->w_block + e * s->w_entry);
        c.sums = sums + k * STRIP_SUMS + (b - b0) * BLOCK_SUMS;
        if (b == b0)
          run_first(s, b, &strips[k], &taps[k], &c, pieces);
        else
          run_tile(s, b, e, &strips[k], &c, pieces);
      }
    }
  }
}

/* Panels of whole strips, none of them a splinter. */
static void run_panels(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1,
                       bool plain, struct pieces *pieces) {
  const bool brief = s->n_list <= SHORT;
  const bool tails = s->rows % MOST_ROWS == 0 && s->block == MOST_ROWS && s->w_row == 1;
  const int64_t most = STRIP * (brief ? spmm_min(MOST_STRIPS, 2 * CHUNK_ENTRIES / s->n_list) : STRIPS);
  for (int64_t p = p0, end; p < p1; p = end) {
    const int64_t left = p1 - p, panels = (left + most - 1) / most;
    end = panels == 1 ? p1 : p + left / panels / STRIP * STRIP;
    struct strip strips[MOST_STRIPS];
    struct taps taps[MOST_STRIPS];
    int n = 0;
    for (int64_t at = p; at < end; at += strips[n++].n_pixels) {
      strips[n] = next_strip(at, end, tails);
      find_taps(s, &strips[n], &taps[n]);
    }
    if (brief)
      run_short(s, b0, b1, strips, taps, n, plain, pieces);
    else
      for (int64_t b = b0; b < b1; b += GROUP)
        run_long(s, b, spmm_min(b + GROUP, b1), strips, taps, n, plain, pieces);
  }
}

/* x in strips: nothing to copy and no sums that wait. A strip is read from the second-level cache by a group of blocks,
 * each of which asks for its share of the next strip; one block alone reads all strips as one stream from memory. */
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

void sumi_spmm_f32_avx512_panels(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0,
                                 int64_t p1) {
  struct pieces pieces = {.p = -1};
  (s->strip ? run_strips : run_panels)(s, b0, b1, p0, p1, spmm_is_plain(s), &pieces);
}
