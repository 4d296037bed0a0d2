/* Budgets: what a formula and a search promise, against plain loops over all choices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "compress/budget.h"

static void test_erk(void **state) {
  (void)state;
  /* a layer so small that its share would be more than all of it, and two in a ratio of dims to weights of 2 */
  const struct sumi_budget_layer layer[] = {{10, 20}, {1000, 40}, {2000, 40}};
  double out[3], kept = 0, weights = 0;
  sumi_budget_erk(layer, 3, 0.25, out);
  for (int i = 0; i < 3; i++) {
    assert_true(out[i] > 0 && out[i] <= 1);
    kept += out[i] * layer[i].weights;
    weights += layer[i].weights;
  }
  assert_true(fabs(kept - 0.25 * weights) < 1e-9);
  assert_true(out[0] == 1);
  assert_true(fabs(out[1] / out[2] - 2) < 1e-9);
  sumi_budget_erk(layer, 3, 1, out);
  for (int i = 0; i < 3; i++) assert_true(fabs(out[i] - 1) < 1e-9);
}

enum { LAYERS = 5, LEVELS = 4, ALL = 4 * 4 * 4 * 4 * 4 };

/* The least loss within limit by trying everything; INFINITY where nothing is within. */
static double best_of(const double *cost, const double *loss, double limit) {
  double best = INFINITY;
  for (int k = 0; k < ALL; k++) {
    double c = 0, l = 0;
    for (int i = 0, rest = k; i < LAYERS; i++, rest /= LEVELS) {
      c += cost[i * LEVELS + rest % LEVELS];
      l += loss[i * LEVELS + rest % LEVELS];
    }
    if (c <= limit && l < best) best = l;
  }
  return best;
}

static void test_search(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 11);
  for (int round = 0; round < 60; round++) {
    double cost[LAYERS * LEVELS], loss[LAYERS * LEVELS];
    for (int i = 0; i < LAYERS * LEVELS; i++) {
      cost[i] = sumi_random_uniform(&r);
      loss[i] = sumi_random_uniform(&r);
    }
    const double limit = 0.5 + 3 * sumi_random_uniform(&r);
    uint8_t choice[LAYERS];
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status =
        sumi_budget_search(cost, loss, LAYERS, LEVELS, limit, sumi_allocator_default(), choice, &err);
    /* costs are rounded up, each by at most a ten-thousandth of the limit */
    const double exact = best_of(cost, loss, limit),
                 coarse = best_of(cost, loss, limit * (1 - LAYERS / 10000.0));
    if (isinf(coarse)) {
      assert_true(status == SUMI_E_VALUE || isfinite(exact));
      continue;
    }
    assert_int_equal(status, SUMI_OK);
    double c = 0, l = 0;
    for (int i = 0; i < LAYERS; i++) {
      c += cost[i * LEVELS + choice[i]];
      l += loss[i * LEVELS + choice[i]];
    }
    assert_true(c <= limit * (1 + 1e-6));
    assert_true(l >= exact - 1e-12 && l <= coarse + 1e-12);
  }
}

static void test_impossible(void **state) {
  (void)state;
  const double cost[] = {2, 1}, loss[] = {0, 1};
  uint8_t choice[1];
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_budget_search(cost, loss, 1, 2, 0.5, sumi_allocator_default(), choice, &err),
                   SUMI_E_VALUE);
  assert_int_equal(sumi_budget_search(cost, loss, 1, 2, 0, sumi_allocator_default(), choice, NULL),
                   SUMI_E_VALUE);
  assert_int_equal(sumi_budget_search(cost, loss, 1, 2, 1, sumi_allocator_default(), choice, NULL), SUMI_OK);
  assert_int_equal(choice[0], 1);
  assert_int_equal(sumi_budget_search(cost, loss, 1, 2, 2, sumi_allocator_default(), choice, NULL), SUMI_OK);
  assert_int_equal(choice[0], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_erk),
      cmocka_unit_test(test_search),
      cmocka_unit_test(test_impossible),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
