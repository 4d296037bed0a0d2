/* Packed 8-bit weights: what goes in comes out, in every form; damaged bytes are refused or harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "sparse/packed_words.h"

static const int blocks[] = {1, 2, 4, 8, 16, 32};
#define PICK(r, low, high) ((low) + (int64_t)(sumi_random_u64(r) % (uint64_t)((high) - (low) + 1)))

static int32_t *matrix(struct sumi_random *r, int64_t rows, int64_t cols, double density) {
  int32_t *w = calloc((size_t)(rows * cols), sizeof *w);
  for (int64_t i = 0; i < rows * cols; i++)
    if (sumi_random_uniform(r) < density) w[i] = (int32_t)sumi_random_u64(r);
  return w;
}

static void round_trip(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 3);
  for (int t = 0; t < 200; t++) {
    const int64_t rows = PICK(&r, 1, 70), cols = PICK(&r, 1, 50), padded = (rows + 3) / 4 * 4;
    const double density[] = {0, 0.05, 0.3, 1};
    int32_t *w = matrix(&r, rows, cols, density[t % 4]),
            *back = malloc((size_t)(padded * cols) * sizeof *back);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
      for (int dense = 0; dense < 2; dense++) {
        struct sumi_blob *blob = NULL;
        const struct sumi_words words = {w, rows, cols};
        assert_int_equal(
            sumi_packed_words_make(words, blocks[i], dense, sumi_allocator_default(), &blob, NULL), SUMI_OK);
        const struct sumi_packed_words *p = blob->data;
        assert_int_equal(sumi_packed_words_check(p, blob->bytes, NULL), SUMI_OK);
        if (!dense) assert_int_equal(p->n_entries, sumi_packed_words_count(words, blocks[i]));
        sumi_packed_words_unpack(p, back);
        assert_memory_equal(w, back, (size_t)(rows * cols) * sizeof *w);
        for (int64_t k = rows * cols; k < padded * cols; k++) assert_int_equal(back[k], 0);
        sumi_blob_unref(blob);
      }
    free(w);
    free(back);
  }
}

static void places(void **state) {
  (void)state;
  int32_t w[32 * 20];
  for (int i = 0; i < 32 * 20; i++) w[i] = i + 1;
  struct sumi_blob *blob = NULL;
  const struct sumi_words words = {w, 32, 20};
  assert_int_equal(sumi_packed_words_make(words, 32, true, sumi_allocator_default(), &blob, NULL), SUMI_OK);
  const struct sumi_packed_words *p = blob->data;
  const int32_t *value = sumi_packed_words_value(p), *col = sumi_packed_words_col(p);
  assert_int_equal(p->n_entries, 32);
  assert_int_equal(col[19], 19);
  assert_int_equal(col[31], 19); /* filled up */
  assert_int_equal(value[0 * 16 + 3], w[3]);
  assert_int_equal(value[256 + 2 * 16 + 5], w[18 * 20 + 5]);     /* the second tile: rows 16 to 31 */
  assert_int_equal(value[512 + 1 * 16 + 3], w[1 * 20 + 16 + 3]); /* entries 16 to 19 */
  assert_int_equal(value[512 + 1 * 16 + 4], 0);
  sumi_blob_unref(blob);
  assert_int_equal(sumi_packed_words_make(words, 4, true, sumi_allocator_default(), &blob, NULL), SUMI_OK);
  p = blob->data;
  value = sumi_packed_words_value(p);
  assert_int_equal(value[(1 * 20 + 7) * 4 + 2], w[6 * 20 + 7]);
  sumi_blob_unref(blob);
}

static void damaged(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 4);
  int32_t *w = matrix(&r, 24, 30, 0.2);
  int refused = 0;
  for (int t = 0; t < 3000; t++) {
    struct sumi_blob *blob = NULL;
    assert_int_equal(sumi_packed_words_make((struct sumi_words){w, 24, 30}, blocks[t % 6], t / 6 % 2,
                                            sumi_allocator_default(), &blob, NULL),
                     SUMI_OK);
    unsigned char *bytes = sumi_blob_bytes(blob);
    bytes[PICK(&r, 0, t % 2 ? 120 : (int64_t)blob->bytes - 1)] ^= (unsigned char)(1 << PICK(&r, 0, 7));
    const struct sumi_packed_words *p = (const struct sumi_packed_words *)bytes;
    if (sumi_packed_words_check(bytes, blob->bytes, NULL) == SUMI_OK) {
      if (p->cols > 1000) { /* lists may name few of many columns */
        sumi_blob_unref(blob);
        continue;
      }
      int32_t *back = malloc((size_t)(p->rows * p->cols) * sizeof *back);
      sumi_packed_words_unpack(p, back);
      free(back);
    } else {
      refused++;
    }
    assert_int_equal(sumi_packed_words_check(bytes, blob->bytes - 1, NULL), SUMI_E_FORMAT);
    sumi_blob_unref(blob);
  }
  assert_true(refused > 500);
  free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(places),
                                     cmocka_unit_test(damaged)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
