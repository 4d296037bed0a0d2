/* Walks, and words in buffers of the harness. See the header. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void walk_finish(struct walk *w) {
  w->words = 1;
  for (int64_t p = 0; p < w->pixels; p++)
    if (w->place[p] >= w->words) w->words = w->place[p] + 1;
  w->map = sumi_lane_map_of(w->place, w->pixels, w->first, w->piece);
  w->given = &w->map;
}

/* Rows of some width within the halo of a layout, phases included. */
static void place_rows(struct check *c, struct walk *w) {
  const int64_t wide = pick(c, 1, 20), high = (w->pixels + wide - 1) / wide;
  const int64_t dim[] = {1, 4, high, wide};
  const struct sumi_tensor t = {.dtype = SUMI_UINT8, .rank = 4, .dim = {dim[0], dim[1], dim[2], dim[3]}};
  const struct sumi_halo halo = {pick(c, 0, 2), pick(c, 0, 2), pick(c, 0, 2),
                                 pick(c, 0, 2), pick(c, 1, 2), pick(c, 1, 3)};
  struct sumi_layout l;
  if (sumi_layout_lanes(&t, 1, halo, 0, &l, NULL) != SUMI_OK) fail(c, "no layout");
  for (int64_t p = 0; p < w->pixels; p++) w->place[p] = (int32_t)sumi_layout_at(&l, 0, p / wide, p % wide);
}

static void place_anywhere(struct check *c, struct walk *w) {
  for (int64_t p = 0; p < w->pixels; p++) w->place[p] = (int32_t)p;
  for (int64_t p = w->pixels - 1; p > 0; p--) {
    const int other = pick(c, 0, (int)p);
    const int32_t keep = w->place[p];
    w->place[p] = w->place[other], w->place[other] = keep;
  }
  for (int64_t p = 0; p < w->pixels; p++)
    if (pick(c, 0, 4) == 0) w->place[p] = -1;
}

void walk_random(struct check *c, int64_t pixels, struct walk *w) {
  const int kind = pick(c, 0, 3);
  w->pixels = pixels;
  for (int64_t p = 0; p < pixels; p++) w->place[p] = (int32_t)p;
  if (kind > 1) place_rows(c, w);
  if (kind == 1) place_anywhere(c, w);
  walk_finish(w);
  if (kind == 0) w->given = NULL;
}

void fill_words(struct check *c, struct guarded *g) {
  for (size_t i = 0; i < g->n; i++) words_of(g)[i] = (uint32_t)sumi_random_u64(&c->random);
}

uint32_t *poison_words(size_t n) {
  struct check none = {.side = AT_START};
  struct guarded g = guard(&none, 1);
  uint32_t *words = malloc(n * sizeof *words);
  if (!words) exit(4);
  for (size_t i = 0; i < n; i++) words[i] = *words_of(&g);
  let_go(&none, &g);
  return words;
}

bool same_words(struct check *c, const char *where, const struct guarded *got, const uint32_t *want) {
  struct guarded g = *got;
  for (size_t i = 0; i < g.n; i++)
    if (words_of(&g)[i] != want[i]) {
      fail(c, "word %zu of %s is %08x, not %08x", i, where, words_of(&g)[i], want[i]);
      return false;
    }
  return true;
}

void set_byte(uint32_t *plane, int64_t group, int64_t channel, int64_t at, int value) {
  uint32_t *const word = &plane[channel / 4 * group + at];
  const int bit = (int)(8 * (channel % 4));
  *word = (*word & ~(255u << bit)) | (uint32_t)value << bit;
}
