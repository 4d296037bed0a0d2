/* Patterns by name, masks that keep or break them, packed lists there and back, damaged lists refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "sparse/packed.h"
#include "sparse/pattern.h"

static void test_names(void **state) {
  (void)state;
  static const char *const good[] = {"1x1", "1x4", "4x4", "32x4", "2:4", "1/32", "4096x1"};
  static const char *const bad[] = {"",    "x",    "1",    "1x",   "x4",     "0x4", "4x0",    "5:4",
                                    "3/2", "1x4 ", "-1x4", "01x4", "5000x1", "1;4", "12345x1"};
  char name[SUMI_PATTERN_NAME];
  struct sumi_pattern p;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(sumi_pattern_parse(good[i], &p, NULL), SUMI_OK);
    assert_string_equal(sumi_pattern_print(p, name), good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(sumi_pattern_parse(bad[i], &p, NULL), SUMI_E_VALUE);
}

enum { ROWS = 36, COLS = 44 };

static bool kept(const char *name, const uint8_t *keep) {
  struct sumi_pattern p;
  assert_int_equal(sumi_pattern_parse(name, &p, NULL), SUMI_OK);
  return sumi_pattern_kept(p, (struct sumi_mask){ROWS, COLS, keep});
}

static void test_masks(void **state) {
  (void)state;
  uint8_t keep[ROWS * COLS] = {0};
  struct sumi_mask mask = {ROWS, COLS, keep};
  struct sumi_mask_stats stats;
  for (int r = 0; r < ROWS; r++) /* blocks of 4 x 4 on a chequerboard */
    for (int c = 0; c < COLS; c++) keep[r * COLS + c] = (r / 4 + c / 4) % 2;
  assert_true(kept("4x4", keep) && kept("4x1", keep) && kept("1x4", keep) && kept("1x1", keep));
  assert_false(kept("8x1", keep) || kept("16x4", keep) || kept("2:4", keep) || kept("2/4", keep));
  sumi_mask_stats(mask, &stats);
  assert_string_equal(stats.pattern, "4x4");
  assert_int_equal(stats.kept, 49 * 16);
  assert_true(stats.density == 49 * 16 / (double)(ROWS * COLS));
  assert_true(sumi_mask_block_density(mask, 4, 4) == 49 / 99.0);
  assert_true(sumi_mask_block_density(mask, 8, 1) == (4 * 44 + 20) / 220.0); /* the last block has 4 rows */
  for (int r = 0; r < ROWS; r++)                                             /* 2 of every 4 */
    for (int c = 0; c < COLS; c++) keep[r * COLS + c] = (c + r) % 4 < 2;
  assert_true(kept("2:4", keep) && kept("2/4", keep));
  assert_false(kept("1:4", keep) || kept("1x4", keep) || kept("4x1", keep));
  keep[COLS * 3] = keep[COLS * 3 + 1] = keep[COLS * 3 + 2] = keep[COLS * 3 + 3] = 0;
  assert_true(kept("2:4", keep));
  assert_false(kept("2/4", keep)); /* exactly, not at most */
  sumi_mask_stats(mask, &stats);
  assert_string_equal(stats.pattern, "2:4");
  memset(keep, 1, sizeof keep);
  sumi_mask_stats(mask, &stats);
  assert_string_equal(stats.pattern, "");
  sumi_mask_stats((struct sumi_mask){0, 0, keep}, &stats);
  assert_true(stats.density == 1);
}

/* Blocks and banks begin anew with every run: 4 taps of 11 channels. */
static void test_runs(void **state) {
  (void)state;
  uint8_t keep[ROWS * COLS];
  const struct sumi_mask mask = {ROWS, COLS, keep, 11}, flat = {ROWS, COLS, keep};
  const struct sumi_pattern blocks = {SUMI_PATTERN_BLOCK, 1, 4}, banks = {SUMI_PATTERN_BALANCED, 1, 4};
  for (int i = 0; i < ROWS * COLS; i++)
    keep[i] = i % COLS % 11 / 4 == 2; /* the 3 that are left of every 11 */
  assert_true(sumi_pattern_kept(blocks, mask));
  assert_false(sumi_pattern_kept(blocks, flat));
  assert_true(sumi_mask_block_density(mask, 1, 4) == 1 / 3.0);
  assert_true(sumi_mask_block_density(mask, 32, 11) == 1);
  for (int i = 0; i < ROWS * COLS; i++) keep[i] = i % COLS % 11 % 4 == 1;
  assert_true(sumi_pattern_kept(banks, mask));
  assert_false(sumi_pattern_kept(banks, flat));
}

/* Lists of so many rows a block: columns in which a block has a weight. */
static int64_t entries_of(const float *w, int rows, int cols, int block) {
  int64_t n = 0;
  for (int first = 0; first < rows; first += block)
    for (int c = 0; c < cols; c++) {
      bool any = false;
      for (int r = first; r < rows && r < first + block; r++) any |= w[r * cols + c] != 0;
      n += any;
    }
  return n;
}

static void test_packed(void **state) {
  (void)state;
  const struct sumi_allocator *a = sumi_allocator_default();
  struct sumi_random random;
  sumi_random_init(&random, 7);
  float w[17 * 150], turned[17 * 150], back[17 * 150];
  double scale[17];
  for (int i = 0; i < 200; i++) {
    const int rows = 1 + (int)(sumi_random_u64(&random) % 17),
              cols = 1 + (int)(sumi_random_u64(&random) % 150);
    const int block = 1 + (int)(sumi_random_u64(&random) % 9), dense = (int)(sumi_random_u64(&random) % 2);
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < cols; c++)
        turned[c * rows + r] = w[r * cols + c] =
            sumi_random_uniform(&random) < 0.3 ? (float)sumi_random_normal(&random) : 0;
    for (int r = 0; r < rows; r++) scale[r] = sumi_random_uniform(&random) < 0.1 ? 0 : 1 + r / 3.0;
    const bool flip = i % 2, scaled = i % 3;
    const struct sumi_matrix m = {flip ? turned : w,    rows, cols, flip ? 1 : cols, flip ? rows : 1,
                                  scaled ? scale : NULL};
    struct sumi_blob *blob = NULL;
    assert_int_equal(sumi_packed_make(m, block, dense, a, &blob, NULL), SUMI_OK);
    const struct sumi_packed *p = blob->data;
    assert_int_equal(sumi_packed_check(p, blob->bytes, NULL), SUMI_OK);
    sumi_packed_unpack(p, back);
    for (int k = 0; k < rows * cols; k++)
      assert_true(back[k] == (scaled ? (float)(w[k] * scale[k / cols]) : w[k]));
    assert_int_equal(sumi_packed_count(m, block), entries_of(back, rows, cols, block));
    if (!dense) assert_int_equal(p->n_entries, entries_of(back, rows, cols, block));
    sumi_blob_unref(blob);
  }
}

static void test_damage(void **state) {
  (void)state;
  const struct sumi_allocator *a = sumi_allocator_default();
  float w[8 * 40];
  for (int i = 0; i < 8 * 40; i++) w[i] = i % 3 ? 0 : 1;
  struct sumi_blob *blob = NULL;
  assert_int_equal(sumi_packed_make((struct sumi_matrix){w, 8, 40, 40, 1, NULL}, 2, false, a, &blob, NULL),
                   SUMI_OK);
  const size_t n = blob->bytes;
  const struct sumi_packed *good = blob->data;
  char *copy = aligned_alloc(64, (n + 63) / 64 * 64);
  for (size_t i = 0; i < good->value_at; i++) { /* every byte of header, starts and columns, turned over */
    if (i / sizeof good->cols == offsetof(struct sumi_packed, cols) / sizeof good->cols)
      continue; /* may be more */
    memcpy(copy, good, n);
    copy[i] = (char)~copy[i];
    const bool padding = (i >= sizeof *good && i < good->start_at) ||
                         (i >= good->start_at + 4 * 5 && i < good->col_at) ||
                         (i >= good->col_at + 4 * (size_t)good->n_entries);
    assert_int_equal(sumi_packed_check(copy, n, NULL), padding ? SUMI_OK : SUMI_E_FORMAT);
  }
  for (size_t cut = 0; cut < n; cut += 13) {
    memcpy(copy, good, n);
    assert_int_equal(sumi_packed_check(copy, cut, NULL), SUMI_E_FORMAT);
  }
  free(copy);
  sumi_blob_unref(blob);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),  cmocka_unit_test(test_masks),  cmocka_unit_test(test_runs),
      cmocka_unit_test(test_packed), cmocka_unit_test(test_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
