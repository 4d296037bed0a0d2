/* Sliding windows: padding rules, rounding up, symbols, and figures that a hostile file could hold. */
#include <inttypes.h>

#include "graph/graph.h"
#include "op/op_util.h"
#include "op/test_probe.h"

static struct sumi_window w;
static struct sumi_err err;

static void fresh(struct probe *p) {
  probe_init(p, "MaxPool");
  err = (struct sumi_err)SUMI_ERR_INIT;
}

static void string_attr(struct probe *p, const char *name, const char *value) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_STRING, .n = 1, .u.s = {value, strlen(value)}};
}

/* One dimension with attributes as given (0 = left out, pads INT64_MIN). */
static sumi_status one(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t begin,
                       int64_t end, const char *auto_pad, bool ceil) {
  struct probe p;
  fresh(&p);
  const int64_t pads[2] = {begin, end};
  if (stride) probe_ints(&p, "strides", &stride, 1);
  if (dilation) probe_ints(&p, "dilations", &dilation, 1);
  if (begin != INT64_MIN) probe_ints(&p, "pads", pads, 2);
  if (auto_pad) string_attr(&p, "auto_pad", auto_pad);
  if (ceil) probe_int(&p, "ceil_mode", 1);
  const sumi_status status = sumi_op_window(&p.node, 1, &size, &kernel, &w, &err);
  probe_fini(&p);
  return status;
}

static void expect(int64_t out, int64_t begin, int64_t end) {
  assert_int_equal(w.out[0], out);
  assert_int_equal(w.begin[0], begin);
  assert_int_equal(w.end[0], end);
}

enum { NONE = 0 };
#define NO_PADS INT64_MIN, 0

static void test_padding(void **state) {
  (void)state;
  assert_int_equal(one(7, 3, NONE, NONE, NO_PADS, NULL, false), SUMI_OK);
  expect(5, 0, 0);
  assert_int_equal(one(7, 3, 2, NONE, 1, 2, NULL, false), SUMI_OK);
  expect(4, 1, 2);
  assert_int_equal(one(7, 3, 2, 2, 1, 1, "VALID", false), SUMI_OK); /* pads beside auto_pad do not count */
  expect(2, 0, 0);
  assert_int_equal(one(7, 3, NONE, NONE, -1, -2, NULL, false), SUMI_OK);
  expect(2, -1, -2);
  assert_int_equal(one(7, 4, 2, NONE, NO_PADS, "SAME_UPPER", false), SUMI_OK);
  expect(4, 1, 2);
  assert_int_equal(one(7, 4, 2, NONE, NO_PADS, "SAME_LOWER", false), SUMI_OK);
  expect(4, 2, 1);
  assert_int_equal(one(7, 3, 1, 3, NO_PADS, "SAME_UPPER", false), SUMI_OK); /* the dilated window is 7 wide */
  expect(7, 3, 3);
  assert_int_equal(one(9, 1, 4, NONE, NO_PADS, "SAME_UPPER", false), SUMI_OK); /* nothing to pad */
  expect(3, 0, 0);
  assert_int_equal(one(0, 3, 2, NONE, NO_PADS, "SAME_UPPER", false), SUMI_OK);
  expect(0, 0, 0);
}

static void test_rounding_up(void **state) {
  (void)state;
  assert_int_equal(one(6, 3, 2, NONE, 0, 0, NULL, false), SUMI_OK);
  assert_int_equal(w.out[0], 2);
  assert_int_equal(one(6, 3, 2, NONE, 0, 0, NULL, true), SUMI_OK);
  assert_int_equal(w.out[0], 3);
  assert_int_equal(one(7, 3, 2, NONE, 0, 0, NULL, true), SUMI_OK); /* fits exactly */
  assert_int_equal(w.out[0], 3);
  assert_int_equal(one(5, 1, 3, NONE, 0, 1, NULL, true), SUMI_OK); /* a third one would start at 6 */
  assert_int_equal(w.out[0], 2);
  assert_int_equal(one(2, 1, 2, NONE, 0, 1, NULL, true),
                   SUMI_OK); /* a second one would start at 2 = in the padding */
  assert_int_equal(w.out[0], 1);
}

/* Against the definition: windows are counted one by one. */
static void test_counted(void **state) {
  (void)state;
  for (int64_t size = 1; size < 9; size++)
    for (int64_t kernel = 1; kernel < 4; kernel++)
      for (int64_t stride = 1; stride < 5; stride++)
        for (int64_t dilation = 1; dilation < 3; dilation++)
          for (int64_t pads = 0; pads < 9; pads++)
            for (int ceil = 0; ceil < 2; ceil++) {
              const int64_t begin = pads / 3, end = pads % 3, span = dilation * (kernel - 1) + 1;
              int64_t n = 0;
              /* rounding up, a window counts if the one before has left something over and it starts before
               * the right padding */
              while (n * stride + span <= size + begin + end ||
                     (ceil && n && (n - 1) * stride + span < size + begin + end)) {
                if (ceil && n * stride >= size + begin) break;
                n++;
              }
              const sumi_status status = one(size, kernel, stride, dilation, begin, end, NULL, ceil);
              assert_int_equal(status, n ? SUMI_OK : SUMI_E_SHAPE);
              if (n) assert_int_equal(w.out[0], n);
            }
}

static void test_symbols(void **state) {
  (void)state;
  struct sumi_arena arena;
  sumi_arena_init(&arena, sumi_allocator_default());
  struct sumi_symbols s = {.arena = &arena};
  const sumi_dim h = sumi_dim_symbol(&s, "h");
  const char *const name[] = {"h"};
  for (int k = 0; k < 4; k++) {
    static const struct {
      int64_t kernel, stride, begin, end;
      const char *auto_pad;
      bool ceil;
    } rows[] = {{3, 2, 1, 1, NULL, false},
                {3, 1, 0, 0, NULL, false},
                {3, 2, 0, 0, "SAME_LOWER", false},
                {2, 3, 0, 1, NULL, true}};
    assert_int_equal(
        one(h, rows[k].kernel, rows[k].stride, 1, rows[k].begin, rows[k].end, rows[k].auto_pad, rows[k].ceil),
        SUMI_OK);
    assert_int_equal(w.out[0], SUMI_DIM_UNKNOWN);
    const sumi_dim out = sumi_op_window_dim(&s, &w, 0, h);
    assert_true(out < SUMI_DIM_UNKNOWN);
    for (int64_t value = 3; value < 30; value++) {
      assert_int_equal(one(value, rows[k].kernel, rows[k].stride, 1, rows[k].begin, rows[k].end,
                           rows[k].auto_pad, rows[k].ceil),
                       SUMI_OK);
      assert_int_equal(sumi_dim_eval(&s, out, name, &value, 1), w.out[0]);
    }
  }
  assert_int_equal(one(SUMI_DIM_UNKNOWN, 3, 2, 1, 1, 1, NULL, false), SUMI_OK);
  assert_int_equal(sumi_op_window_dim(&s, &w, 0, SUMI_DIM_UNKNOWN), SUMI_DIM_UNKNOWN);
  sumi_arena_fini(&arena);
}

static void test_hostile(void **state) {
  (void)state;
  const int64_t huge = INT64_C(1) << 62;
  assert_int_equal(one(7, 3, huge, NONE, NO_PADS, NULL, false), SUMI_E_VALUE);
  assert_int_equal(one(7, 3, -1, NONE, NO_PADS, NULL, false), SUMI_E_VALUE);
  assert_int_equal(one(7, 3, 1, huge, NO_PADS, NULL, false), SUMI_E_VALUE);
  assert_int_equal(one(7, huge, 1, 1, NO_PADS, NULL, false), SUMI_E_SHAPE);
  assert_int_equal(one(7, 0, 1, 1, NO_PADS, NULL, false), SUMI_E_SHAPE);
  assert_int_equal(one(7, 3, 1, 1, huge, huge, NULL, false), SUMI_E_VALUE);
  assert_int_equal(one(7, 3, 1, 1, INT64_MIN + 1, 0, NULL, false), SUMI_E_VALUE);
  assert_int_equal(one(INT64_MAX, 3, 1, 1, NO_PADS, NULL, false), SUMI_E_LIMIT);
  assert_int_equal(one(7, 3, 1, 1, -3, -2, NULL, false), SUMI_E_SHAPE); /* nothing is left */
  assert_int_equal(one(7, 8, 1, 1, NO_PADS, NULL, false), SUMI_E_SHAPE);
  assert_int_equal(one(7, 3, 1, 1, NO_PADS, "SAME", false), SUMI_E_VALUE);
  /* the largest figures that pass */
  assert_int_equal(one(INT64_MAX / 4, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, NULL, true),
                   SUMI_E_SHAPE);
  assert_int_equal(one(INT64_MAX / 4, INT32_MAX, INT32_MAX, INT32_MAX, NO_PADS, "SAME_UPPER", false),
                   SUMI_OK);
  assert_true(w.begin[0] >= 0 && w.end[0] >= 0);
  struct probe p;
  fresh(&p);
  const int64_t two[] = {1, 1}, size = 7;
  probe_ints(&p, "kernel_shape", two, 2);
  assert_int_equal(sumi_op_window(&p.node, 1, &size, NULL, &w, &err), SUMI_E_VALUE); /* another rank */
  assert_int_equal(sumi_op_window(&p.node, 1, &size, two, &w, &err), SUMI_E_VALUE);
  probe_fini(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_padding), cmocka_unit_test(test_rounding_up), cmocka_unit_test(test_counted),
      cmocka_unit_test(test_symbols), cmocka_unit_test(test_hostile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
