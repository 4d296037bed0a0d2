/* Symbolic dimensions: the normal form, evaluation against plain arithmetic, text, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/size.h"
#include "graph/dim.h"

struct table {
  struct sumi_arena arena;
  struct sumi_symbols s;
};

static int setup(void **state) {
  struct table *t = calloc(1, sizeof *t);
  sumi_arena_init(&t->arena, NULL);
  t->s.arena = &t->arena;
  *state = t;
  return 0;
}

static int teardown(void **state) {
  struct table *t = *state;
  sumi_arena_fini(&t->arena);
  free(t);
  return 0;
}

static sumi_dim parse(struct sumi_symbols *s, const char *text) {
  return sumi_dim_parse(s, text, strlen(text));
}

static void check_print(struct sumi_symbols *s, sumi_dim d, const char *want) {
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_dim_print(s, d, &t);
  assert_string_equal(sumi_text_str(&t), want);
  assert_int_equal(parse(s, want), d);
  sumi_text_fini(&t);
}

static void test_normal_form(void **state) {
  struct sumi_symbols *s = &((struct table *)*state)->s;
  /* what is read, and how it is written */
  static const char *const row[][2] = {
      {"seq + past", "past + seq"},
      {"(x + 1) - 1", "x"},
      {"2*x - x", "x"},
      {"(4*x)/4", "x"},
      {"x - x", "0"},
      {"x*0", "0"},
      {"x/1", "x"},
      {"x/x", "1"},
      {"(x + y)*(x - y)", "x*x - y*y"},
      {"(x + 1)*(x + 1)", "x*x + 2*x + 1"},
      {"batch*seq*768/768", "batch*seq"},
      {"batch*seq*768/(batch*64)", "12*seq"},
      {"(2*past + 2*seq)*b/(past + seq)", "2*b"},
      {"(6*x + 4*y)/4", "y + 3*x/2"},
      {"(6*x + 6*y)/4", "(3*x + 3*y)/2"},
      {"(x + 4)/4", "x/4 + 1"},
      {"(x - 1)/2 + 1", "(x + 1)/2"},
      {"((x + 1)/2 + 1)/2", "(x + 3)/4"},
      {"x//2//3", "x/6"},
      {"(x*y + 1)/(x + 2)", "(x*y + 1)/(x + 2)"},
      {"(a*x + a)/(a*b)", "(x + 1)/b"},
      {"y - x", "y - x"},
      {"3 - x", "3 - x"},
      {"3 + y - x", "y - x + 3"},
      {"0 - x - 1", "0 - x - 1"},
      {"max(x, x + 1)", "x + 1"},
      {"min(x, x + 1)", "x"},
      {"max(x, 0)", "x"},
      {"max(y, x)", "max(x, y)"},
      {"max(max(x, y), y)", "max(x, y)"},
      {"min(x - 1, 0)", "min(0, x - 1)"},
      {"Max(1, s0, s1)", "max(s1, max(1, s0))"},
      {"floor(h/2)*w", "w*(h/2)"},
      {"x/(y/2)", "x/(y/2)"},
      {"x/(2*y)", "x/(2*y)"},
      {"2*(x/3)", "2*(x/3)"},
      {"(x/y)/z", "(x/y)/z"},
      {"5*x/4", "5*x/4"},
      {"7", "7"},
      {"2*3 + 1", "7"},
      {"batch size", "batch size"},
      {"'batch size' + 1", "'batch size' + 1"},
      {"'a + b'", "'a + b'"},
      {"'3'", "'3'"},
      {"'it\\'s' + 1", "'it\\'s' + 1"},
      {"x +", "x +"},
      {"f(x)", "f(x)"},
      {" n ", "n"},
      {"unk__1.a", "unk__1.a"},
      {"s-1.0", "s-1.0"},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) check_print(s, parse(s, row[i][0]), row[i][1]);
}

static void test_equal_handles(void **state) {
  struct sumi_symbols *s = &((struct table *)*state)->s;
  const sumi_dim past = sumi_dim_symbol(s, "past"), seq = sumi_dim_symbol(s, "seq"),
                 x = sumi_dim_symbol(s, "x");
  assert_int_equal(sumi_dim_symbol(s, "past"), past);
  assert_true(past <= -2 && seq <= -2 && past != seq);
  assert_int_equal(sumi_dim_add(s, past, seq), sumi_dim_add(s, seq, past));
  assert_int_equal(sumi_dim_sub(s, sumi_dim_add(s, x, 1), 1), x);
  assert_int_equal(sumi_dim_sub(s, sumi_dim_mul(s, 2, x), x), x);
  assert_int_equal(sumi_dim_div(s, sumi_dim_mul(s, x, 4), 4), x);
  assert_int_equal(sumi_dim_sub(s, x, x), 0);
}

static void test_unknown(void **state) {
  struct sumi_symbols *s = &((struct table *)*state)->s;
  const sumi_dim x = sumi_dim_symbol(s, "x"), u = SUMI_DIM_UNKNOWN;
  assert_int_equal(sumi_dim_add(s, x, u), u);
  assert_int_equal(sumi_dim_mul(s, u, 3), u);
  assert_int_equal(sumi_dim_mul(s, u, 0), 0);
  assert_int_equal(sumi_dim_sub(s, 3, 5), u);
  assert_int_equal(sumi_dim_div(s, x, 0), u);
  assert_int_equal(sumi_dim_div(s, 5, 0), u);
  assert_int_equal(sumi_dim_mul(s, INT64_MAX, 2), u);
  assert_int_equal(sumi_dim_mul(s, sumi_dim_mul(s, INT64_MAX, x), 3), u);
  assert_int_equal(sumi_dim_add(s, -77, 1), u); /* no such handle */
  assert_int_equal(sumi_dim_add(NULL, x, 1), u);
  assert_int_equal(sumi_dim_add(NULL, 2, 1), 3);
  assert_int_equal(sumi_dim_symbol(NULL, "x"), u);
  assert_int_equal(sumi_dim_symbol(s, ""), u);
  assert_int_equal(parse(s, "?"), u);
  assert_int_equal(parse(s, ""), u);
  assert_int_equal(parse(s, "  "), u);
  assert_int_equal(parse(s, "-1"), u);
  assert_int_equal(parse(s, "99999999999999999999"), u);
  assert_int_equal(parse(s, "x/0"), u);
  assert_int_equal(sumi_dim_parse(s, "a\0b", 3), u);
  assert_int_equal(parse(NULL, "x"), u);
  assert_int_equal(parse(NULL, "4"), 4);
}

static void test_eval(void **state) {
  struct sumi_symbols *s = &((struct table *)*state)->s;
  static const char *const name[] = {"x", "y"};
  static const struct {
    const char *text;
    int64_t x, y, want;
  } row[] = {
      {"x", 5, 0, 5},
      {"x + y", 5, 7, 12},
      {"x - y", 5, 7, -1},
      {"(x - y)/2 + y", 4, 7, 5}, /* floor(-3 / 2) = -2 */
      {"x/y", 5, 0, -1},
      {"max(x, y) - min(x, y)", 5, 7, 2},
      {"x + z", 5, 7, -1},
      {"x*y", INT64_MAX, 2, -1},
      {"(x*y + 1)/(x + 2)", 5, 7, 5},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    const int64_t value[] = {row[i].x, row[i].y};
    assert_int_equal(sumi_dim_eval(s, parse(s, row[i].text), name, value, 2), row[i].want);
  }
}

/* Random expressions, evaluated plainly while they are built; the simplified form must agree, survive
 * printing in another table, and be found again there. */
static void test_random(void **state) {
  struct table *t = *state;
  static const char *const name[] = {"a", "b", "c d"};
  struct sumi_random random;
  sumi_random_init(&random, 7);
  int kept = 0;
  for (int round = 0; round < 20000; round++) {
    int64_t value[3], plain[12];
    sumi_dim dim[12];
    for (int i = 0; i < 3; i++) {
      value[i] = 1 + (int64_t)(sumi_random_u64(&random) % 9);
      plain[i] = value[i];
      dim[i] = sumi_dim_symbol(&t->s, name[i]);
    }
    for (int i = 3; i < 6; i++) plain[i] = dim[i] = (int64_t)(sumi_random_u64(&random) % 7);
    int n = 6;
    while (n < 12) {
      const int i = (int)(sumi_random_u64(&random) % (unsigned)n),
                j = (int)(sumi_random_u64(&random) % (unsigned)n);
      const enum sumi_dim_op op = (enum sumi_dim_op)(SUMI_DIM_ADD + sumi_random_u64(&random) % 6);
      const int64_t p = plain[i], q = plain[j];
      if (op == SUMI_DIM_DIV && q <= 0) break;
      plain[n] = op == SUMI_DIM_ADD   ? p + q
                 : op == SUMI_DIM_SUB ? p - q
                 : op == SUMI_DIM_MUL ? p * q
                 : op == SUMI_DIM_DIV ? p / q - (p % q < 0)
                 : op == SUMI_DIM_MAX ? (p > q ? p : q)
                                      : (p < q ? p : q);
      /* a divisor is taken to be positive, an atom too: only such expressions promise anything */
      if (plain[n] <= 0 && op != SUMI_DIM_SUB) break;
      dim[n] = sumi_dim_apply(&t->s, op, dim[i], dim[j]);
      if (dim[n] == SUMI_DIM_UNKNOWN) break;
      n++;
    }
    const sumi_dim d = dim[n - 1];
    const int64_t want = plain[n - 1];
    assert_int_equal(sumi_dim_eval(&t->s, d, name, value, 3), want < 0 ? -1 : want);
    kept += n == 12;
    struct table other;
    sumi_arena_init(&other.arena, NULL);
    other.s = (struct sumi_symbols){.arena = &other.arena};
    struct sumi_text first, second;
    sumi_text_init(&first, NULL);
    sumi_text_init(&second, NULL);
    sumi_dim_print(&t->s, d, &first);
    const sumi_dim again = parse(&other.s, sumi_text_str(&first));
    sumi_dim_print(&other.s, again, &second);
    assert_string_equal(sumi_text_str(&first), sumi_text_str(&second));
    assert_int_equal(parse(&t->s, sumi_text_str(&second)), d);
    sumi_text_fini(&first);
    sumi_text_fini(&second);
    sumi_arena_fini(&other.arena);
  }
  assert_true(kept > 2000);
}

static void test_limits(void **state) {
  struct sumi_symbols *s = &((struct table *)*state)->s;
  /* a sum of too many terms */
  sumi_dim d = 0;
  char name[32];
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "s%d", i);
    d = sumi_dim_add(s, d, sumi_dim_symbol(s, name));
  }
  assert_int_equal(d, SUMI_DIM_UNKNOWN);
  /* nesting without end */
  d = sumi_dim_symbol(s, "x");
  const sumi_dim y = sumi_dim_symbol(s, "y"), z = sumi_dim_symbol(s, "z");
  sumi_dim last = d;
  for (int i = 0; i < 1000; i++) {
    d = sumi_dim_apply(s, SUMI_DIM_MAX, sumi_dim_div(s, d, y), z);
    if (d == SUMI_DIM_UNKNOWN) break;
    last = d;
  }
  assert_int_equal(d, SUMI_DIM_UNKNOWN);
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_dim_print(s, last, &t); /* the deepest one still reads */
  assert_int_equal(parse(s, sumi_text_str(&t)), last);
  sumi_text_fini(&t);
  /* text that nests deeper than any expression, and names without end */
  char *deep = calloc(1, 100001);
  memset(deep, '(', 100000);
  assert_int_equal(parse(s, deep), SUMI_DIM_UNKNOWN);
  memset(deep, 'x', 100000);
  assert_int_equal(parse(s, deep), SUMI_DIM_UNKNOWN);
  assert_int_equal(sumi_dim_symbol(s, deep), SUMI_DIM_UNKNOWN);
  free(deep);
  /* doubling: shared parts must not make the work exponential */
  d = sumi_dim_symbol(s, "x");
  for (int i = 0; i < 200; i++) {
    const sumi_dim q = sumi_dim_div(s, sumi_dim_add(s, sumi_dim_mul(s, d, d), y), z);
    d = q == SUMI_DIM_UNKNOWN ? d : q;
  }
  assert_true(d <= -2);
}

static void test_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  bool some_failed = false;
  for (long n = 0;; n++) {
    sumi_test_heap_fail(&heap, n);
    struct sumi_arena arena;
    sumi_arena_init(&arena, a);
    struct sumi_symbols s = {.arena = &arena}, copy = {.arena = &arena};
    bool unknown = false;
    for (int i = 0; i < 2000; i++) {
      char name[32];
      snprintf(name, sizeof name, "s%d", i);
      unknown |= sumi_dim_symbol(&s, name) == SUMI_DIM_UNKNOWN;
    }
    const bool copied = sumi_symbols_copy(&copy, &s);
    if (copied && !unknown) assert_int_equal(sumi_dim_symbol(&copy, "s77"), sumi_dim_symbol(&s, "s77"));
    if (!heap.failed) assert_true(copied && !unknown);
    some_failed |= unknown || !copied;
    sumi_arena_fini(&arena);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) break;
  }
  assert_true(some_failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_normal_form, setup, teardown),
      cmocka_unit_test_setup_teardown(test_equal_handles, setup, teardown),
      cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
      cmocka_unit_test_setup_teardown(test_eval, setup, teardown),
      cmocka_unit_test_setup_teardown(test_random, setup, teardown),
      cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
