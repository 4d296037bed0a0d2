/* Layouts and maps. Sizes are checked: 31 bits of words a plane, memory's limit for the whole. */
#include "tensor/layout.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

enum { VECTOR = 16, SET_BYTES = 1024 };

/* The three pixel dimensions of a tensor whose channels lie along axis. */
static bool pixels_of(const struct sumi_tensor *t, int axis, struct sumi_layout *l) {
  l->images = l->h = l->w = 1;
  const bool spatial = axis == 1 && t->rank >= 3;
  for (int d = 0; d < t->rank; d++) {
    int64_t *const to = d == axis                      ? &l->channels
                        : !spatial || d == t->rank - 1 ? &l->w
                        : d == 0                       ? &l->images
                                                       : &l->h;
    if (!sumi_i64_mul(d == axis ? 1 : *to, t->dim[d], to)) return false;
  }
  return true;
}

/* Pitches and sizes from dims and halo; false on overflow. Planes are whole cache lines, and no multiple of 1 KiB apart, so
 * that walking from plane to plane does not stay in one set of the cache. */
static bool measure(struct sumi_layout *l) {
  const struct sumi_halo *k = &l->halo;
  const int64_t beside = SUMI_MAX(k->left, k->right), phases = (int64_t)k->step_y * k->step_x;
  int64_t rows, last, words;
  if (!sumi_i64_add(l->h, k->top + k->bottom, &rows) || !sumi_i64_add(l->w, beside, &l->pitch)) return false;
  if (k->step_x > 1) l->pitch = l->w + k->left + k->right; /* rows of phases do not share their halos */
  rows = (rows + k->step_y - 1) / k->step_y;
  l->pitch = (l->pitch + k->step_x - 1) / k->step_x;
  const int64_t tail = k->step_x > 1 ? 0 : k->left; /* the last row's right halo has no next row */
  if (!sumi_i64_mul(rows, l->pitch, &l->image) || !sumi_i64_mul(l->images, l->image, &last) ||
      !sumi_i64_add(last, tail, &last) || last > INT32_MAX - SET_BYTES)
    return false;
  l->phase = (last + VECTOR - 1) / VECTOR * VECTOR;
  if (!sumi_i64_mul(l->phase, phases, &l->group) || l->group > INT32_MAX / 4 - SET_BYTES) return false;
  if (l->group * 4 % SET_BYTES == 0) l->group += VECTOR;
  const int64_t planes = (l->groups * l->v + 3) / 4 * 4 / l->v; /* kernels write four channels at a time */
  if (!sumi_i64_mul(l->group, planes, &words) || !sumi_i64_add(words, SUMI_LANE_OVER_WORDS, &words) ||
      words > INT64_MAX / 8)
    return false;
  l->bytes = (size_t)words * 4;
  return true;
}

sumi_status sumi_layout_lanes(const struct sumi_tensor *t, int axis, struct sumi_halo halo, uint8_t fill,
                              struct sumi_layout *out, struct sumi_err *err) {
  SUMI_ASSERT(err, axis >= 0 && axis < t->rank && (axis == 1 || axis == t->rank - 1));
  SUMI_ASSERT(err, halo.step_y >= 1 && halo.step_x >= 1 && halo.step_y <= SUMI_LAYOUT_MAX_STEP &&
                       halo.step_x <= SUMI_LAYOUT_MAX_STEP);
  const int bits = sumi_dtype_bits(t->dtype);
  *out = (struct sumi_layout){.v = bits ? 32 / bits : 0, .axis = axis, .halo = halo, .fill = fill};
  SUMI_ASSERT(err, out->v == 1 || out->v == 2 || out->v == 4);
  const bool fits = pixels_of(t, axis, out);
  out->groups = (out->channels + out->v - 1) / out->v;
  if (!fits || !measure(out)) {
    char shape[160];
    SUMI_FAIL(err, SUMI_E_LIMIT, "a tensor of shape %s is too large for lanes",
              sumi_shape_print(t->dim, t->rank, shape, sizeof shape));
  }
  return SUMI_OK;
}

bool sumi_layout_equal(const struct sumi_layout *a, const struct sumi_layout *b) {
  return a->v == b->v &&
         (!a->v || (a->channels == b->channels && a->images == b->images && a->h == b->h && a->w == b->w &&
                    memcmp(&a->halo, &b->halo, sizeof a->halo) == 0 && a->fill == b->fill));
}

bool sumi_halo_merge(struct sumi_halo *into, const struct sumi_halo *other) {
  if (into->step_y != other->step_y || into->step_x != other->step_x) return false;
  into->top = SUMI_MAX(into->top, other->top);
  into->left = SUMI_MAX(into->left, other->left);
  into->bottom = SUMI_MAX(into->bottom, other->bottom);
  into->right = SUMI_MAX(into->right, other->right);
  return true;
}

/* ---- the halo --------------------------------------------------------------------------------------------------- */

/* Between rows there are one or two words, seldom more. All bytes of the word are the same. */
static inline void fill_words(uint32_t *to, int64_t n, uint32_t word) {
  if (n > 2) {
    memset(to, (int)(word & 255), (size_t)n * sizeof word);
  } else if (n > 0) {
    to[0] = word;
    to[n - 1] = word;
  }
}

/* Rows or columns of a phase plane that hold pixels: those i with 0 <= i * step + phase - before < n. */
static void inside(int64_t n, int64_t before, int step, int phase, int64_t *first, int64_t *end) {
  *first = before <= phase ? 0 : (before - phase + step - 1) / step;
  *end = n + before <= phase ? 0 : (n + before - phase + step - 1) / step;
  if (*end < *first) *end = *first;
}

void sumi_layout_blank(const struct sumi_layout *l, uint32_t *plane) {
  const struct sumi_halo *k = &l->halo;
  const uint32_t word = l->fill * 0x01010101u;
  for (int a = 0; a < k->step_y; a++)
    for (int b = 0; b < k->step_x; b++) {
      uint32_t *const phase = plane + (a * k->step_x + b) * l->phase;
      int64_t y0, y1, x0, x1, at = 0; /* at: everything before it is done */
      inside(l->h, k->top, k->step_y, a, &y0, &y1);
      inside(l->w, k->left, k->step_x, b, &x0, &x1);
      for (int64_t n = 0; n < l->images; n++)
        for (int64_t y = y0; y < y1; y++) {
          const int64_t row = n * l->image + y * l->pitch;
          fill_words(phase + at, row + x0 - at, word);
          at = row + x1;
        }
      fill_words(phase + at, l->phase - at, word);
    }
}

/* ---- maps ------------------------------------------------------------------------------------------------------- */

/* Pieces whose lanes are neighbours in this order; returns how many. */
static int64_t find_pieces(const int32_t *place, int64_t pixels, enum sumi_lane_order order, int32_t *first,
                           struct sumi_lane_piece *piece) {
  int64_t n = 0;
  for (int64_t p = 0; p < pixels; p += VECTOR) {
    const int64_t begin = n;
    *first++ = (int32_t)n;
    for (int lane = 0; lane < VECTOR && p + lane < pixels; lane++) {
      const int32_t at = place[p + lane];
      if (at < 0) continue;
      const int before = order == SUMI_LANES_TOGETHER ? lane - 1 : lane - 2;
      int64_t i = begin;
      while (i < n && (piece[i].at + piece[i].n != at ||
                       (order != SUMI_LANES_ANY && (before < 0 || !(piece[i].mask >> before & 1)))))
        i++;
      if (i == n) piece[n++] = (struct sumi_lane_piece){.at = at, .vector = (uint8_t)(p / VECTOR)};
      piece[i].mask = (uint16_t)(piece[i].mask | 1u << lane);
      piece[i].n++;
    }
  }
  *first = (int32_t)n;
  return n;
}

static uint16_t ordered(uint16_t mask, enum sumi_lane_order order) {
  if (order == SUMI_LANES_TOGETHER) return mask;
  unsigned m = 0;
  for (int lane = 0; lane < VECTOR; lane++)
    m |= (unsigned)(mask >> lane & 1) << (lane / 2 + lane % 2 * VECTOR / 2);
  return (uint16_t)m;
}

/* The order that is stored fastest: a vector is put in order once, and a piece without an order takes about two stores. */
struct sumi_lane_map sumi_lane_map_of(const int32_t *place, int64_t pixels, int32_t *first,
                                      struct sumi_lane_piece *piece) {
  const int64_t together = find_pieces(place, pixels, SUMI_LANES_TOGETHER, first, piece),
                apart = find_pieces(place, pixels, SUMI_LANES_APART, first, piece) +
                        (pixels + VECTOR - 1) / VECTOR,
                any = 2 * find_pieces(place, pixels, SUMI_LANES_ANY, first, piece);
  const enum sumi_lane_order order = together <= apart && together <= any ? SUMI_LANES_TOGETHER
                                     : apart <= any                       ? SUMI_LANES_APART
                                                                          : SUMI_LANES_ANY;
  const int64_t n = find_pieces(place, pixels, order, first, piece);
  for (struct sumi_lane_piece *k = piece; k < piece + n && order != SUMI_LANES_ANY; k++) {
    k->ordered = ordered(k->mask, order);
    k->lane_0 = k->at - __builtin_ctz(k->ordered);
  }
  bool flat = pixels > 0 && place[0] >= 0;
  for (int64_t p = 1; p < pixels && flat; p++) flat = place[p] == place[0] + p;
  return (struct sumi_lane_map){pixels, first, piece, order, flat ? place[0] : -1};
}
