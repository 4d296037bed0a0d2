/* Operators that pick elements, against answers written down or plain loops: NonMaxSuppression with more boxes kept than there
 * are, TopK against sorting, NonZero and Compress over chunks. */
#include "op/test_probe.h"

#include <stdlib.h>

/* Boxes side by side overlap nothing: all of every class are kept, by falling score. */
static void all_boxes_kept(void **state) {
  (void)state;
  enum { BATCHES = 2, CLASSES = 3, BOXES = 4 };
  static const int64_t most = 10;
  struct probe p;
  probe_init(&p, "NonMaxSuppression");
  p.node.version = 11;
  float boxes[BATCHES * BOXES * 4], scores[BATCHES * CLASSES * BOXES];
  for (int i = 0; i < BATCHES * BOXES; i++)
    for (int k = 0; k < 4; k++) boxes[4 * i + k] = (float)(i % BOXES) + (k < 2 ? 0 : 0.5f);
  for (int i = 0; i < BATCHES * CLASSES * BOXES; i++) scores[i] = (float)(i % BOXES);
  probe_in(&p, SUMI_FLOAT32, boxes, 3, BATCHES, BOXES, 4);
  probe_in(&p, SUMI_FLOAT32, scores, 3, BATCHES, CLASSES, BOXES);
  probe_in(&p, SUMI_INT64, &most, 1, 1);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  assert_int_equal(p.out[0].dim[0], BATCHES * CLASSES * BOXES);
  const int64_t *y = p.out[0].data;
  for (int i = 0; i < BATCHES * CLASSES * BOXES; i++, y += 3) {
    assert_int_equal(y[0], i / BOXES / CLASSES);
    assert_int_equal(y[1], i / BOXES % CLASSES);
    assert_int_equal(y[2], BOXES - 1 - i % BOXES);
  }
  probe_fini(&p);
}

static void rows_and_places(void **state) {
  (void)state;
  enum { N = 700, WIDTH = 3 };
  float x[N * WIDTH];
  uint8_t take[N];
  for (int i = 0; i < N * WIDTH; i++) x[i] = i % 7 ? 0 : (float)i;
  for (int i = 0; i < N; i++) take[i] = i % 5 == 0 || i % 3 == 0;
  struct probe p;
  probe_init(&p, "NonZero");
  p.node.version = 13;
  probe_in(&p, SUMI_FLOAT32, x, 2, WIDTH, N);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  const int64_t n = p.out[0].dim[1], *y = p.out[0].data;
  assert_int_equal(n, N * WIDTH / 7 - 1); /* the first one is 0 */
  for (int64_t k = 0; k < n; k++) assert_int_equal(y[k] * N + y[n + k], 7 * (k + 1));
  probe_fini(&p);
  probe_init(&p, "Compress");
  p.node.version = 11;
  probe_int(&p, "axis", 0);
  probe_in(&p, SUMI_FLOAT32, x, 2, N, WIDTH);
  probe_in(&p, SUMI_BOOL, take, 1, N);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  const float *row = p.out[0].data;
  for (int i = 0; i < N; i++)
    if (take[i]) {
      assert_memory_equal(row, x + WIDTH * i, sizeof(float) * WIDTH);
      row += WIDTH;
    }
  assert_ptr_equal(row, (const float *)p.out[0].data + WIDTH * p.out[0].dim[0]);
  probe_fini(&p);
}

struct place {
  double value;
  int index;
};

/* NaN first, then by value, then by index. */
static int by_value(const void *a, const void *b) {
  const struct place *p = a, *q = b;
  if (isnan(p->value) != isnan(q->value)) return isnan(p->value) ? -1 : 1;
  if (p->value != q->value && !isnan(p->value)) return p->value > q->value ? -1 : 1;
  return p->index - q->index;
}

/* Ties, both zeros, infinities and NaN. */
static void top_k(void **state) {
  (void)state;
  enum { N = 700, MOST = 600 };
  static const double special[] = {NAN, -0.0, INFINITY, 0.0, -INFINITY, -NAN};
  for (int type = 0; type < 2; type++)
    for (int64_t k = 1; k <= MOST; k += 149) {
      const sumi_dtype d = type ? SUMI_FLOAT64 : SUMI_FLOAT32;
      double x[N];
      struct place want[N];
      struct probe p;
      probe_init(&p, "TopK");
      p.node.version = 11;
      for (int i = 0; i < N; i++) {
        const double value = i % 10 == 3 ? special[i / 10 % 6] : i * 29 % 61 - 30;
        sumi_set_f64(d, x, i, value);
        want[i] = (struct place){value, i};
      }
      qsort(want, N, sizeof *want, by_value);
      probe_in(&p, d, x, 1, N);
      p.info[1].data = probe_in(&p, SUMI_INT64, &k, 1, 1);
      assert_int_equal(probe_run(&p, 2), SUMI_OK);
      for (int64_t i = 0; i < k; i++) assert_int_equal(((const int64_t *)p.out[1].data)[i], want[i].index);
      probe_fini(&p);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_boxes_kept), cmocka_unit_test(rows_and_places),
                                     cmocka_unit_test(top_k)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
