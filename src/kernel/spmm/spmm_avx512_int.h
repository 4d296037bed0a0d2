/* What the files of family spmm with AVX-512 share: how a finished tile is stored where halves of vectors or halos are
 * dropped, and how what a strip of pixels reads of x is copied side by side. Only static functions. */
#ifndef SUMI_KERNEL_SPMM_AVX512_INT_H
#define SUMI_KERNEL_SPMM_AVX512_INT_H

#include <immintrin.h>

#include "kernel/spmm/spmm_int.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
enum { LANES = 16, HALF = 8, MOST_ROWS = 8, MOST_VECTORS = 8, STRIP_VECTORS = 6, TAIL = 4 };

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

static __attribute__((unused)) void find_pieces(const struct sumi_spmm_f32 *s, const struct spmm_tile *t,
                                                int vectors, struct pieces *p) {
  if (s->pitch == s->width || (p->p == t->p && p->n_pixels == t->n_pixels)) return; /* none, or known */
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

/* Finished sums [rows][vectors], rows row vectors apart, to y where nothing is left to do but add and clip (spmm_is_plain). The
 * last vector is masked. */
INLINE void store_plain(const int rows, const int vectors, const int row, const struct sumi_spmm_f32 *s,
                        const struct spmm_tile *t, const __m512 *sum) {
  const __m512 lo = _mm512_set1_ps(s->lo), hi = _mm512_set1_ps(s->hi);
  const __mmask16 last = lanes(t->n_pixels - LANES * (vectors - 1));
  UNROLL for (int i = 0; i < rows; i++) {
    float *y = s->y + (t->m + i) * s->y_row + t->p;
    const float *add = s->add ? s->add + (t->m + i) * s->add_row + t->p : NULL;
    UNROLL for (int u = 0; u < vectors; u++) {
      const __mmask16 mask = u + 1 < vectors ? (__mmask16)0xffff : last;
      __m512 v = sum[i * row + u];
      if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, add + LANES * u));
      _mm512_mask_storeu_ps(y + LANES * u, mask, _mm512_min_ps(hi, _mm512_max_ps(lo, v)));
    }
  }
}

/* finish() without a halo: a row of the tile is one run of words of y. */
static inline void finish_whole(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, int rows,
                                int vectors, float *sum) {
  const __m512 lo = _mm512_set1_ps(s->lo), hi = _mm512_set1_ps(s->hi), scale = _mm512_set1_ps(s->scale);
  const __mmask16 last = lanes(t->n_pixels - LANES * (vectors - 1));
  for (int i = 0; i < rows && (s->add || s->scale != 1); i++) {
    const float *add = s->add ? s->add + (t->m + i) * s->add_row + t->p : NULL;
    for (int u = 0; u < vectors; u++) {
      __m512 v = _mm512_mul_ps(_mm512_load_ps(sum + LANES * (i * vectors + u)), scale);
      const __mmask16 mask = u + 1 < vectors ? (__mmask16)0xffff : last;
      if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, add + LANES * u));
      _mm512_store_ps(sum + LANES * (i * vectors + u), v);
    }
  }
  if (s->act) s->act(sum, sum, (int64_t)rows * vectors * LANES, s->act_param);
  for (int i = 0; i < rows; i++) {
    float *y = s->y + (t->m + i) * s->y_row + t->p;
    for (int u = 0; u < vectors; u++) {
      const __m512 v = _mm512_max_ps(lo, _mm512_load_ps(sum + LANES * (i * vectors + u)));
      _mm512_mask_storeu_ps(y + LANES * u, u + 1 < vectors ? (__mmask16)0xffff : last, _mm512_min_ps(hi, v));
    }
  }
}

/* What the tiles do not do themselves with finished sums [rows][vectors] of LANES: scale, add, act, halo. act sees the
 * lanes beyond the tile too, one call being cheaper than many. */
static __attribute__((noinline, unused)) void finish(const struct sumi_spmm_f32 *s, const struct spmm_tile *t,
                                                     int rows, int vectors, float *sum) {
  if (s->pitch == s->width) {
    finish_whole(s, t, rows, vectors, sum);
    return;
  }
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

#define LANES_OF(from, u) ((const void *)((from) + 4 * LANES * (unsigned)(u)))

struct strip {
  int64_t p;
  int vectors, tail; /* tail: pixels behind the vectors */
  int64_t n_pixels;
};

enum { STRIP_HALVES = 2 * (STRIP_VECTORS + 1), PARTS = 4 };
_Static_assert(SUMI_SPMM_STEP_COLS >= 3, "8 pixels lie in PARTS image rows at most");

/* How words of x become vectors: as they lie; every other one of a window with step 2, where no half of a vector lies in more
 * than one image row; the same where some do. */
enum found { FLAT, HALVES, IN_PARTS };

/* What the taps of the window find of a strip: without a window, one tap that finds all of it. */
struct taps {
  enum found how;
  int n;
  bool live[SUMI_SPMM_TAPS];  /* whether a tap finds any of the strip inside the image */
  int64_t at[SUMI_SPMM_TAPS]; /* bytes from a plane's start to where it finds the strip's first pixel */
  __mmask16 mask[SUMI_SPMM_TAPS]
                [STRIP_VECTORS + 1]; /* lanes of each vector; behind the last one, of the tail */
  /* Of a window with step 2: half a vector is every other one of 16 words, which are put together from parts, one of each
   * image row that they lie in. part: bytes from where the strip's first pixel is found to where lane 0 of the half would
   * be in that row; words: those of them that lie inside the image, 16 bits of each part, the first lowest. */
  int64_t part[STRIP_HALVES][PARTS];
  _Alignas(16) uint64_t words[SUMI_SPMM_TAPS][STRIP_HALVES];
};

/* The parts of a strip's halves; words as if all of them lay inside the image. */
static inline void find_parts(const struct sumi_spmm_window *win, const struct strip *strip, int n_vectors,
                              struct taps *taps, uint64_t words[STRIP_HALVES]) {
  int64_t col = strip->p % win->cols, at = 0; /* bytes from the strip's first pixel */
  taps->how = HALVES;
  for (int h = 0; h < 2 * n_vectors; h++) {
    const int64_t n = spmm_min(strip->n_pixels - HALF * h, HALF);
    int k = 0;
    words[h] = 0;
    taps->part[h][0] = 0;
    for (int64_t lane = 0, more; lane < n; lane += more, k++) {
      more = spmm_min(win->cols - col, n - lane);
      taps->part[h][k] = at - 8 * lane;
      words[h] |= (uint64_t)(0x5555 & lanes(2 * (lane + more)) & ~lanes(2 * lane)) << LANES * k;
      at += 8 * more;
      col += more;
      if (col == win->cols) col = 0, at += 8 * (win->w - win->cols);
    }
    if (k > 1) taps->how = IN_PARTS;
  }
}

/* The columns and rows of 16 pixels, of which the first lies at (row, col) or behind it in reading order. */
INLINE void find_pixels(int32_t cols, __m512i *row, __m512i *col) {
  const __m512i n = _mm512_set1_epi32(cols), one = _mm512_set1_epi32(1);
  for (__mmask16 m; (m = _mm512_cmpge_epi32_mask(*col, n));) {
    *col = _mm512_mask_sub_epi32(*col, m, *col, n);
    *row = _mm512_mask_add_epi32(*row, m, *row, one);
  }
}

static __attribute__((unused)) void find_taps(const struct sumi_spmm_f32 *s, const struct strip *strip,
                                              struct taps *taps) {
  const struct sumi_spmm_window *win = s->window;
  const int n_vectors = strip->vectors + (strip->tail > 0);
  __mmask16 there[STRIP_VECTORS + 1];
  _Alignas(16) uint64_t words[STRIP_HALVES];
  for (int u = 0; u < n_vectors; u++) {
    const int64_t n = strip->n_pixels - LANES * u;
    there[u] = lanes(n < 0 ? 0 : spmm_min(n, LANES));
  }
  taps->how = FLAT;
  taps->n = 1;
  taps->live[0] = true;
  taps->at[0] = 4 * strip->p;
  for (int u = 0; u < n_vectors; u++) taps->mask[0][u] = there[u];
  if (!win) return;
  __m512i row[STRIP_VECTORS + 1], col[STRIP_VECTORS + 1];
  const int32_t step = win->step, cols = (int32_t)win->cols;
  __m512i r = _mm512_set1_epi32((int32_t)(strip->p / cols));
  __m512i c = _mm512_add_epi32(_mm512_set1_epi32((int32_t)(strip->p % cols)),
                               _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  for (int u = 0; u < n_vectors; u++, c = _mm512_add_epi32(c, _mm512_set1_epi32(LANES))) {
    find_pixels(cols, &r, &c);
    row[u] = step == 1 ? r : _mm512_add_epi32(r, r);
    col[u] = step == 1 ? c : _mm512_add_epi32(c, c);
  }
  if (step != 1) find_parts(win, strip, n_vectors, taps, words);
  const int64_t first = step * (strip->p / cols * win->w + strip->p % cols);
  const __m512i h = _mm512_set1_epi32((int32_t)win->h), w = _mm512_set1_epi32((int32_t)win->w);
  taps->n = win->taps;
  for (int t = 0; t < win->taps; t++) {
    const __m512i dy = _mm512_set1_epi32(win->dy[t]), dx = _mm512_set1_epi32(win->dx[t]);
    taps->live[t] = false;
    taps->at[t] = 4 * (first + win->dy[t] * win->w + win->dx[t]);
    for (int u = 0; u < n_vectors; u++) {
      const __m512i y = _mm512_add_epi32(row[u], dy), x = _mm512_add_epi32(col[u], dx);
      const __mmask16 m = there[u] & _mm512_cmplt_epu32_mask(y, h) & _mm512_cmplt_epu32_mask(x, w);
      taps->mask[t][u] = m;
      taps->live[t] |= m != 0;
      if (step == 1) continue;
      const __m128i pairs = /* two words for every lane: those of one half, those of the other, and again */
          _mm_set1_epi32((int)_mm256_movepi8_mask(_mm256_movm_epi16(m)));
      const __m128i each = _mm_shufflehi_epi16(_mm_shufflelo_epi16(pairs, 0x00), 0x55);
      _mm_store_si128((__m128i *)&taps->words[t][2 * u],
                      _mm_and_si128(each, _mm_load_si128((const __m128i *)&words[2 * u])));
    }
  }
}

/* Where tap t of list entry e finds the strip. A number: lanes outside the image, which are not read, may lie outside the
 * tensor. */
INLINE uintptr_t found_at(const struct sumi_spmm_f32 *s, const struct taps *taps, int64_t e, int t) {
  return (uintptr_t)s->x + (uintptr_t)(int64_t)s->off[e] + (uintptr_t)taps->at[t];
}

/* The 16 words of half h of tap t, found at `from`. */
INLINE __m512 found_half(const enum found how, const struct taps *taps, uintptr_t from, int t, int h) {
  const int64_t *part = taps->part[h];
  uint64_t words = taps->words[t][h];
  __m512 v = _mm512_maskz_loadu_ps((__mmask16)words, (const void *)(from + (uintptr_t)*part));
  while (how == IN_PARTS && __builtin_expect((words >>= LANES) != 0, 0))
    v = _mm512_mask_loadu_ps(v, (__mmask16)words, (const void *)(from + (uintptr_t) * ++part));
  return v;
}

/* Vector u of tap t, found at `from`. */
INLINE __m512 found_vector(const enum found how, const struct taps *taps, uintptr_t from, int t, int u) {
  if (how == FLAT) return _mm512_maskz_loadu_ps(taps->mask[t][u], LANES_OF(from, u));
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_ps(found_half(how, taps, from, t, 2 * u), even,
                                found_half(how, taps, from, t, 2 * u + 1));
}

/* The tail behind so many vectors. */
INLINE __m128 found_tail(const enum found how, const struct taps *taps, uintptr_t from, int t, int vectors) {
  if (how != FLAT) return _mm512_castps512_ps128(found_vector(how, taps, from, t, vectors));
  return _mm_maskz_loadu_ps((__mmask8)taps->mask[t][vectors], LANES_OF(from, vectors));
}

INLINE int64_t copy_entries(const enum found how, const struct sumi_spmm_f32 *s, int64_t e, int64_t n,
                            const struct strip *strip, const struct taps *taps, float *to, float *tail,
                            int64_t *kept) {
  const int vectors = strip->vectors;
  int64_t n_kept = 0;
  int t = (int)(e % taps->n);
  for (int64_t i = 0; i < n; i++, t = t + 1 < taps->n ? t + 1 : 0) {
    if (kept && !taps->live[t]) continue;
    if (kept) kept[n_kept] = i;
    n_kept++;
    const uintptr_t from = found_at(s, taps, e + i, t);
    for (int u = 0; u < vectors; u++) _mm512_store_ps(to + LANES * u, found_vector(how, taps, from, t, u));
    if (strip->tail) _mm_store_ps(tail, found_tail(how, taps, from, t, vectors));
    to += vectors * LANES;
    tail += TAIL;
  }
  return n_kept;
}

/* Entries [e, e + n) of the list for a strip: to [n][vectors * LANES], tail [n][TAIL]. With kept [n], entries whose tap
 * finds nothing are left out, and kept receives the others' numbers from e on. How many there are then. */
static __attribute__((unused)) int64_t copy_chunk(const struct sumi_spmm_f32 *s, int64_t e, int64_t n,
                                                  const struct strip *strip, const struct taps *taps,
                                                  float *to, float *tail, int64_t *kept) {
  switch (taps->how) {
    case FLAT: return copy_entries(FLAT, s, e, n, strip, taps, to, tail, kept);
    case HALVES: return copy_entries(HALVES, s, e, n, strip, taps, to, tail, kept);
    default: return copy_entries(IN_PARTS, s, e, n, strip, taps, to, tail, kept);
  }
}

/* Asks for the lines of a tile's rows, which are stored to or added from when its sums are done. */
static inline void expect_rows(const float *rows, int64_t row, int64_t n_rows, int vectors) {
  for (int64_t i = 0; i < n_rows; i++)
    for (int k = 0; k < vectors * LANES; k += LANES) __builtin_prefetch(rows + i * row + k, 1, 3);
}

/* One list for all blocks, over copied panels or x in strips. */
void sumi_spmm_f32_avx512_panels(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0,
                                 int64_t p1);

/* Lists of their own over a copied panel: s->col is given. */
void sumi_spmm_f32_avx512_lists(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0,
                                int64_t p1);

#endif
