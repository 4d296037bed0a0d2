/* Layouts: every pixel has a word of its own, halos are blanked and nothing else, pieces say what places said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "tensor/layout.h"

static const struct sumi_halo none = {0, 0, 0, 0, 1, 1};

static struct sumi_tensor tensor(sumi_dtype dtype, int rank, const int64_t *dim) {
  struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = dtype, .rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  return t;
}

static void shapes(void **state) {
  (void)state;
  struct sumi_layout l;
  struct sumi_tensor t = tensor(SUMI_UINT8, 4, (int64_t[]){2, 6, 5, 7});
  assert_int_equal(sumi_layout_lanes(&t, 1, none, 3, &l, NULL), SUMI_OK);
  assert_int_equal(l.v, 4);
  assert_int_equal(l.channels, 6);
  assert_int_equal(l.groups, 2);
  assert_true(l.images == 2 && l.h == 5 && l.w == 7 && l.pitch == 7 && l.image == 35);
  assert_true(l.bytes >= 4 * (size_t)(2 * l.group));
  t = tensor(SUMI_FLOAT32, 3, (int64_t[]){2, 9, 12});
  assert_int_equal(sumi_layout_lanes(&t, 2, none, 0, &l, NULL), SUMI_OK);
  assert_true(l.v == 1 && l.groups == 12 && l.images == 1 && l.h == 1 && l.w == 18);
  t = tensor(SUMI_BFLOAT16, 5, (int64_t[]){2, 9, 3, 4, 5});
  assert_int_equal(sumi_layout_lanes(&t, 1, none, 0, &l, NULL), SUMI_OK);
  assert_true(l.v == 2 && l.images == 2 && l.h == 12 && l.w == 5);
  t = tensor(SUMI_UINT8, 4, (int64_t[]){1, 4, 1 << 20, 1 << 20});
  assert_int_equal(sumi_layout_lanes(&t, 1, none, 0, &l, NULL), SUMI_E_LIMIT);
  t = tensor(SUMI_UINT8, 4, (int64_t[]){1 << 30, INT64_MAX / 2, 4, 4});
  assert_int_equal(sumi_layout_lanes(&t, 1, none, 0, &l, NULL), SUMI_E_LIMIT);
}

/* Marks all pixels, blanks, and looks at every word. */
static void check_plane(int64_t images, int64_t h, int64_t w, struct sumi_halo halo) {
  struct sumi_layout l;
  const struct sumi_tensor t = tensor(SUMI_UINT8, 4, (int64_t[]){images, 4, h, w});
  assert_int_equal(sumi_layout_lanes(&t, 1, halo, 0x5a, &l, NULL), SUMI_OK);
  uint32_t *plane = calloc((size_t)l.group + 1, sizeof *plane);
  const int64_t all = l.phase * halo.step_y * halo.step_x;
  assert_true(all <= l.group);
  uint32_t next = 1;
  for (int64_t n = 0; n < images; n++)
    for (int64_t y = 0; y < h; y++)
      for (int64_t x = 0; x < w; x++) {
        const int64_t at = sumi_layout_at(&l, n, y, x);
        assert_true(at >= 0 && at < all);
        assert_int_equal(plane[at], 0); /* nobody else's */
        plane[at] = next++;
      }
  sumi_layout_blank(&l, plane);
  next = 1;
  for (int64_t n = 0; n < images; n++)
    for (int64_t y = -halo.top; y < h + halo.bottom; y++)
      for (int64_t x = -halo.left; x < w + halo.right; x++) {
        const bool pixel = y >= 0 && y < h && x >= 0 && x < w;
        assert_int_equal(plane[sumi_layout_at(&l, n, y, x)], pixel ? next++ : 0x5a5a5a5au);
      }
  for (int64_t i = 0; i < all; i++) assert_int_not_equal(plane[i], 0);
  free(plane);
}

static void halos(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 1);
#define PICK(low, high) ((low) + (int64_t)(sumi_random_u64(&r) % (uint64_t)((high) - (low) + 1)))
  for (int i = 0; i < 300; i++) {
    const struct sumi_halo halo = {PICK(0, 3), PICK(0, 3),      PICK(0, 3),
                                   PICK(0, 3), (int)PICK(1, 3), (int)PICK(1, 3)};
    check_plane(PICK(1, 3), PICK(1, 9), PICK(1, 20), halo);
  }
  struct sumi_halo a = {1, 0, 2, 0, 2, 2}, b = {0, 3, 1, 1, 2, 2};
  assert_true(sumi_halo_merge(&a, &b));
  assert_true(a.top == 1 && a.left == 3 && a.bottom == 2 && a.right == 1);
  assert_false(sumi_halo_merge(&a, &none));
}

/* The lanes of a piece, put in the map's order, are neighbours from where lane_0 says. */
static void check_order(const struct sumi_lane_map *map, int32_t k) {
  const struct sumi_lane_piece *const piece = &map->piece[k];
  if (map->order == SUMI_LANES_ANY) return;
  int32_t at = piece->at;
  for (int i = 0; i < 16; i++) {
    const int lane = map->order == SUMI_LANES_TOGETHER ? i : i < 8 ? 2 * i : 2 * (i - 8) + 1;
    assert_int_equal(piece->mask >> lane & 1, piece->ordered >> i & 1);
    if (piece->ordered >> i & 1) assert_int_equal(piece->lane_0 + i, at++);
  }
}

static void pieces(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 2);
  for (int i = 0; i < 300; i++) {
    enum { MOST = 70 };
    int32_t place[MOST], back[MOST], first[MOST / 16 + 2];
    struct sumi_lane_piece piece[MOST];
    const int64_t n = PICK(1, MOST);
    int32_t even = 0, odd = 1000;
    for (int64_t p = 0; p < n; p++) {
      back[p] = -1;
      place[p] = PICK(0, 3) == 0 ? -1 : p % 2 ? odd++ : even++;
    }
    const struct sumi_lane_map map = sumi_lane_map_of(place, n, first, piece);
    assert_int_equal(map.pixels, n);
    assert_int_equal(first[0], 0);
    for (int64_t v = 0; v < (n + 15) / 16; v++)
      for (int32_t k = first[v]; k < first[v + 1]; k++) {
        int32_t at = piece[k].at;
        for (int lane = 0; lane < 16; lane++)
          if (piece[k].mask >> lane & 1) {
            assert_int_equal(back[16 * v + lane], -1);
            back[16 * v + lane] = at++;
          }
        assert_int_equal(at - piece[k].at, piece[k].n);
        assert_int_equal(piece[k].vector, v);
        check_order(&map, k);
      }
    assert_memory_equal(place, back, (size_t)n * sizeof *place);
  }
  /* whole vectors are one piece */
  int32_t place[32], first[3];
  struct sumi_lane_piece piece[32];
  for (int p = 0; p < 32; p++) place[p] = 7 + p;
  assert_int_equal(sumi_lane_map_of(place, 32, first, piece).order, SUMI_LANES_TOGETHER);
  assert_int_equal(first[2], 2);
  assert_true(piece[1].at == 23 && piece[1].mask == 0xffff && piece[1].n == 16);
}

static void orders(void **state) {
  (void)state;
  int32_t place[48], first[4];
  struct sumi_lane_piece piece[48];
  for (int p = 0; p < 48; p++) place[p] = p % 7 == 6 ? -1 : p % 2 * 100 + p / 2; /* two phases with gaps */
  struct sumi_lane_map map = sumi_lane_map_of(place, 48, first, piece);
  assert_int_equal(map.order, SUMI_LANES_APART);
  for (int32_t k = 0; k < first[3]; k++) check_order(&map, k);
  for (int p = 0; p < 48; p++) place[p] = p % 3 * 100 + p / 3; /* three */
  assert_int_equal(sumi_lane_map_of(place, 48, first, piece).order, SUMI_LANES_ANY);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(halos),
                                     cmocka_unit_test(pieces), cmocka_unit_test(orders)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
