/* Vector programs of cells: expressions against the C compiler's reading of the same text, what is refused, how many operations and
 * loops are left. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/fmath.h"
#include "base/size.h"
#include "op/cells_test.h"
#include "op/rows_cells.h"

enum { N = 64 };

/* Cells of a node without inputs and outputs: every operand is a temporary. */
struct fixture {
  struct sumi_cells c;
  struct sumi_node node;
  struct sumi_arena arena;
  struct sumi_err err;
  struct sumi_text refusals;
};

static void start(struct fixture *f) {
  *f = (struct fixture){.err = SUMI_ERR_INIT};
  sumi_arena_init(&f->arena, sumi_allocator_default());
  sumi_text_init(&f->refusals, sumi_allocator_default());
  f->c = (struct sumi_cells){.node = &f->node, .arena = &f->arena, .err = &f->err, .refusals = &f->refusals};
}

static void stop(struct fixture *f) {
  sumi_text_fini(&f->refusals);
  sumi_arena_fini(&f->arena);
}

/* y[i] = formula(a[i], b[i], c[i]) over N elements of one type. */
static sumi_status compile(struct fixture *f, sumi_dtype type, const char *formula) {
  const int64_t n = N;
  struct sumi_vector p;
  int value[3];
  for (int i = 0; i < 4; i++) assert_int_equal(sumi_cells_temp(&f->c, type, 1, &n), i);
  sumi_vector_start(&p, &f->c);
  sumi_vector_over(&p, 3, 0);
  for (int i = 0; i < 3; i++) value[i] = sumi_vector_load(&p, sumi_vector_view(&p, i));
  p.alpha = sumi_vector_float(&p, 0.75f);
  const int v = sumi_vector_formula(&p, formula, value, 3);
  sumi_vector_store(&p, sumi_vector_view(&p, 3), v);
  return sumi_vector_end(&p);
}

static void evaluate(struct fixture *f, sumi_dtype type, const char *formula, void *operand[4]) {
  const sumi_status status = compile(f, type, formula);
  if (status != SUMI_OK) print_error("%s: %s\n", formula, sumi_text_str(&f->refusals));
  assert_int_equal(status, SUMI_OK);
  struct cells_run r = {.c = &f->c, .data = (uint8_t **)operand};
  if (!cells_run(&r)) print_error("%s: %s\n", formula, r.wrong);
  assert_int_equal(r.wrong[0], 0);
}

/* ---- expressions ----------------------------------------------------------------------------------------------------- */

static const float special[] = {0, -0.0f, 1, -1, 0.5f, -2.5f, 3, NAN, INFINITY, -INFINITY, 1e-40f, 16777216};

/* EXPRESSION(number, of a, b, c): floats also of alpha. */
#define REALS(EXPRESSION)                                                                    \
  EXPRESSION(0, a + b * c - a / b)                                                           \
  EXPRESSION(1, (a + b) * (c - a) / (b - -c))                                                \
  EXPRESSION(2, 0 > a ? 0 : a)                                                               \
  EXPRESSION(3, a<b ? a : b> c ? c : a)                                                      \
  EXPRESSION(4, ((a > b) | (a != a)) ? a : b)                                                \
  EXPRESSION(5, a <= b ? 1 : a >= c ? 2 : 3)                                                 \
  EXPRESSION(6, a == b || a < c && !(b > c) ? -a : +0 + b)                                   \
  EXPRESSION(7, fabsf(a) * 0.5f + 1 / 6.f)                                                   \
  EXPRESSION(8, a != a ? a : (float)((a > 0) - (a < 0)))                                     \
  EXPRESSION(9, sumi_ceil_f32(a) - sumi_floor_f32(b) + sumi_rint_f32(c))                     \
  EXPRESSION(10, sumi_exp_f32(a) * sumi_tanh_f32(b) + sumi_sigmoid_f32(c) * sumi_erf_f32(a)) \
  EXPRESSION(11, a - b - c)                                                                  \
  EXPRESSION(12, a / b / c)                                                                  \
  EXPRESSION(13, -a * -b)                                                                    \
  EXPRESSION(14, alpha *a + 1.5e1f * b)

#define WHOLES(EXPRESSION)                                             \
  EXPRESSION(0, a + b * c - a)                                         \
  EXPRESSION(1, a &b | c ^ a)                                          \
  EXPRESSION(2, ~a &(b | -c))                                          \
  EXPRESSION(3, a < b ? a : c)                                         \
  EXPRESSION(4, (a <= b) + (a >= b) * 2 + (a == b) * 4 + (a != b) * 8) \
  EXPRESSION(5, !a + !(b - b))                                         \
  EXPRESSION(6, a &&b || !c)                                           \
  EXPRESSION(7, (int64_t)(a < 0 ? 0 - (uint64_t)a : (uint64_t)a))

#pragma GCC diagnostic ignored "-Wparentheses"

typedef float real_fn(float a, float b, float c, float alpha);
typedef int64_t whole_fn(int64_t a, int64_t b, int64_t c);

#define EXPRESSION(i, expr)                                       \
  static float real_##i(float a, float b, float c, float alpha) { \
    (void)a, (void)b, (void)c, (void)alpha;                       \
    return expr;                                                  \
  }
REALS(EXPRESSION)
#undef EXPRESSION
#define EXPRESSION(i, expr)                                   \
  static int64_t whole_##i(int64_t a, int64_t b, int64_t c) { \
    (void)a, (void)b, (void)c;                                \
    return expr;                                              \
  }
WHOLES(EXPRESSION)
#undef EXPRESSION

static void check_reals(const char *text, real_fn *want) {
  static float x[4][N];
  void *operand[4] = {x[0], x[1], x[2], x[3]};
  struct fixture f;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 3; k++) x[k][i] = special[(size_t)(i * (k + 1) + k) % SUMI_COUNT(special)];
  start(&f);
  evaluate(&f, SUMI_FLOAT32, text, operand);
  for (int i = 0; i < N; i++) {
    const float y = want(x[0][i], x[1][i], x[2][i], 0.75f);
    if (memcmp(&y, &x[3][i], sizeof y) && !(y != y && x[3][i] != x[3][i]) && y != x[3][i])
      fail_msg("%s of %g, %g, %g is %g, not %g", text, (double)x[0][i], (double)x[1][i], (double)x[2][i],
               (double)x[3][i], (double)y);
  }
  stop(&f);
}

static void check_wholes(const char *text, whole_fn *want) {
  static const int32_t some[] = {0, 1, -1, 7, -128, 255, INT32_MAX, INT32_MIN, 3, 65536};
  static int32_t x[4][N];
  void *operand[4] = {x[0], x[1], x[2], x[3]};
  struct fixture f;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 3; k++) x[k][i] = some[(size_t)(i * (k + 1) + k) % SUMI_COUNT(some)];
  start(&f);
  evaluate(&f, SUMI_INT32, text, operand);
  for (int i = 0; i < N; i++)
    if (x[3][i] != (int32_t)(uint64_t)want(x[0][i], x[1][i], x[2][i]))
      fail_msg("%s of %d, %d, %d is %d", text, x[0][i], x[1][i], x[2][i], x[3][i]);
  stop(&f);
}

static void test_expressions(void **state) {
  (void)state;
#define EXPRESSION(i, expr) check_reals(#expr, real_##i);
  REALS(EXPRESSION)
#undef EXPRESSION
#define EXPRESSION(i, expr) check_wholes(#expr, whole_##i);
  WHOLES(EXPRESSION)
#undef EXPRESSION
}

static void test_refusals(void **state) {
  (void)state;
  char deep[300];
  memset(deep, '(', sizeof deep - 1);
  deep[sizeof deep - 1] = 0;
  const char *const bad[] = {"",      "a +",   "(a",      "a)",         "d",   "beta * a",
                             "a b",   "1.2.3", "logf(a)", "fabsf(a, b", "a ?", "a ? b",
                             "a % b", "a | b", deep,      "(short)a",   "~a",  "9e"};
  for (size_t i = 0; i < SUMI_COUNT(bad); i++) {
    struct fixture f;
    start(&f);
    assert_int_equal(compile(&f, SUMI_FLOAT32, bad[i]), SUMI_E_UNSUPPORTED);
    assert_true(f.refusals.size > 0);
    assert_int_equal(f.c.n_cell, 0);
    stop(&f);
  }
  struct fixture f;
  start(&f);
  assert_int_equal(compile(&f, SUMI_INT32, "a / b"), SUMI_E_UNSUPPORTED);
  stop(&f);
}

static int count(const struct sumi_cell_vector *v, enum sumi_card_vector_op op) {
  int n = 0;
  for (int i = 0; i < v->body + v->tail; i++) n += v->op[i].op == op;
  return n;
}

/* What is computed twice is computed once, of constants not at all, for nobody not at all. */
static void test_operations(void **state) {
  (void)state;
  struct fixture f;
  start(&f);
  assert_int_equal(compile(&f, SUMI_FLOAT32, "sumi_exp_f32(a) * (sumi_exp_f32(a) + 1 / 6.f * 3)"), SUMI_OK);
  const struct sumi_cell_vector *v = &f.c.cell[0].u.vector;
  assert_int_equal(count(v, SUMI_CARD_V_EXP), 1);
  assert_int_equal(count(v, SUMI_CARD_V_DIV), 0);
  assert_int_equal(count(v, SUMI_CARD_V_LD), 1);
  assert_int_equal(v->body, 6);
  stop(&f);
  start(&f);
  assert_int_equal(compile(&f, SUMI_FLOAT32, "a > b ? a : b"), SUMI_OK);
  assert_int_equal(count(&f.c.cell[0].u.vector, SUMI_CARD_V_MAX), 1);
  assert_int_equal(f.c.cell[0].u.vector.body, 4);
  stop(&f);
}

/* More values at once than there are registers. */
static void test_registers(void **state) {
  (void)state;
  for (int n = SUMI_CARD_VPU_REGS - 1; n <= SUMI_CARD_VPU_REGS + 1; n += 2) {
    const int64_t dim = 100;
    struct fixture f;
    struct sumi_vector p;
    int value[SUMI_CARD_VPU_REGS + 1];
    start(&f);
    const int x = sumi_cells_temp(&f.c, SUMI_FLOAT32, 1, &dim),
              y = sumi_cells_temp(&f.c, SUMI_FLOAT32, 0, NULL);
    sumi_vector_start(&p, &f.c);
    const int from = sumi_vector_view_plain(&p, x), to = sumi_vector_view_plain(&p, y);
    for (int i = 0; i < n; i++) value[i] = sumi_vector_load_at(&p, from, i);
    int v = value[0];
    for (int i = 1; i < n; i++) v = SUMI_VECTOR(&p, "a * b", v, value[i]);
    for (int i = 0; i < n; i++) v = SUMI_VECTOR(&p, "a - b", v, value[i]);
    sumi_vector_store(&p, to, v);
    assert_int_equal(sumi_vector_end(&p), n < SUMI_CARD_VPU_REGS ? SUMI_OK : SUMI_E_UNSUPPORTED);
    stop(&f);
  }
}

static void test_loops(void **state) {
  (void)state;
  const int64_t dim[] = {2, 1, 3, 4}, row[] = {4};
  struct fixture f;
  struct sumi_vector p;
  start(&f);
  const int x = sumi_cells_temp(&f.c, SUMI_FLOAT32, 4, dim), y = sumi_cells_temp(&f.c, SUMI_FLOAT32, 4, dim),
            b = sumi_cells_temp(&f.c, SUMI_FLOAT32, 1, row);
  for (int with = 0; with < 2; with++) { /* all alike: one loop; a row that repeats: two */
    sumi_vector_start(&p, &f.c);
    sumi_vector_over(&p, y, 0);
    int v = sumi_vector_load(&p, sumi_vector_view(&p, x));
    if (with) v = SUMI_VECTOR(&p, "a + b", v, sumi_vector_load(&p, sumi_vector_view(&p, b)));
    sumi_vector_store(&p, sumi_vector_view(&p, y), v);
    assert_int_equal(sumi_vector_end(&p), SUMI_OK);
    assert_int_equal(f.c.cell[f.c.n_cell - 1].u.vector.rank, 1 + with);
  }
  assert_int_equal(f.c.cell[0].u.vector.n[0], 24);
  /* rows over dimensions 0 and 3, which no one step leads through: refused, unless they are copied first */
  struct sumi_seen seen = sumi_see(&f.c, x);
  const unsigned inner = 1u | 1u << 3;
  for (int straight = 0; straight < 2; straight++) {
    if (straight) assert_int_equal(sumi_rows_straight(&f.c, &seen, inner), SUMI_OK);
    sumi_vector_start(&p, &f.c);
    sumi_vector_over_seen(&p, &seen, inner);
    const int v = sumi_vector_reduce(&p, SUMI_CARD_V_RSUM, sumi_vector_load(&p, sumi_vector_see(&p, &seen)));
    sumi_vector_tail(&p);
    sumi_vector_store(&p, sumi_vector_view_plain(&p, y), v);
    assert_int_equal(sumi_vector_end(&p), straight ? SUMI_OK : SUMI_E_UNSUPPORTED);
  }
  stop(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_expressions), cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_operations), cmocka_unit_test(test_registers),
                                     cmocka_unit_test(test_loops)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
