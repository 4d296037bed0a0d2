/* Random operators: with a seed the numbers of the standard's reference implementation (onnx.reference, which draws
 * with NumPy's RandomState), without one other numbers in every run, and the distribution where there is no reference. */
#include "base/random.h"
#include "op/test_probe.h"

enum { MANY = 20000 };

static void shape_attr(struct probe *p, const int64_t *n) { probe_ints(p, "shape", n, 1); }

static void test_uniform(void **state) {
  (void)state;
  static const int64_t n = 8, many = 700;
  static const float want[] = {1.85558532f, 2.95703476f, 0.0363331724f, 1.57579324f,
                               4.25062868f, 4.27405162f, -1.12090283f,  -0.549299853f};
  static const double last[] = {0.06579610653119716, 0.6902682099072986, 0.30863769024349674,
                                0.39228520288628477};
  struct probe p;
  probe_init(&p, "RandomUniform");
  shape_attr(&p, &n);
  probe_float(&p, "seed", 3.7f); /* the seed is 3 */
  probe_float(&p, "low", -2);
  probe_float(&p, "high", 5);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, n, 1e-7);
  probe_fini(&p);
  probe_init(&p, "RandomUniform"); /* beyond the 312 numbers of the generator's first block */
  shape_attr(&p, &many);
  probe_float(&p, "seed", 3);
  probe_int(&p, "dtype", 11);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  for (int i = 0; i < 4; i++) assert_true(((double *)p.out[0].data)[many - 4 + i] == last[i]);
  probe_fini(&p);
}

static void test_normal(void **state) {
  (void)state;
  static const float want[] = {4.89431424f, 4.21825493f, 4.04824873f, 3.06825365f,
                               3.8613059f,  3.82262051f, 3.95862926f};
  struct probe p;
  float x[7] = {0};
  probe_init(&p, "RandomNormalLike");
  probe_in(&p, SUMI_FLOAT32, x, 1, 7);
  probe_float(&p, "seed", 3);
  probe_float(&p, "mean", 4);
  probe_float(&p, "scale", 0.5f);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 7, 1e-7);
  probe_fini(&p);
}

static void test_bernoulli(void **state) {
  (void)state;
  static const float want[20] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1};
  struct probe p;
  double x[20];
  for (int i = 0; i < 20; i++) x[i] = i / 19.0;
  probe_init(&p, "Bernoulli");
  probe_in(&p, SUMI_FLOAT64, x, 1, 20);
  probe_float(&p, "seed", 2);
  probe_int(&p, "dtype", 6);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  assert_int_equal(p.out[0].dtype, SUMI_INT32);
  probe_expect(&p, 0, want, 20, 0);
  x[3] = -0.01;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  x[3] = NAN;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  probe_fini(&p);
}

static void test_dropout(void **state) {
  (void)state;
  static const float want[] = {0,           -0.0892857164f, 2.5f,        -0.357142866f,
                               2.23214293f, -0.625f,        1.96428573f, 0,
                               0,           -1.16071427f,   1.42857146f, -1.42857146f};
  static const float mask[] = {0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1};
  struct probe p;
  float ratio = 0.3f;
  bool train = true;
  probe_init(&p, "Dropout");
  p.node.version = 13;
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 12, 0), 1, 12);
  probe_in(&p, SUMI_FLOAT32, &ratio, 0);
  probe_in(&p, SUMI_BOOL, &train, 0);
  probe_int(&p, "seed", 7);
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  probe_expect(&p, 0, want, 12, 1e-6);
  probe_expect(&p, 1, mask, 12, 0);
  ratio = 1;
  assert_int_equal(probe_run(&p, 2), SUMI_E_VALUE);
  train = false; /* then nobody looks at it */
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  probe_fini(&p);
}

/* Frequencies of 20000 draws are within 5 standard deviations of softmax(row); equal seeds, equal draws. */
static void test_multinomial(void **state) {
  (void)state;
  const float x[2][4] = {{0, 1, -INFINITY, 2}, {100, 100, 100, 98}};
  struct probe p;
  probe_init(&p, "Multinomial");
  probe_in(&p, SUMI_FLOAT32, x, 2, 2, 4);
  probe_float(&p, "seed", 11);
  probe_int(&p, "sample_size", MANY);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  const int32_t *y = p.out[0].data;
  for (int r = 0; r < 2; r++) {
    double count[4] = {0}, total = 0;
    for (int i = 0; i < MANY; i++) {
      assert_in_range(y[r * MANY + i], 0, 3);
      count[y[r * MANY + i]]++;
    }
    for (int k = 0; k < 4; k++) total += exp((double)x[r][k]);
    for (int k = 0; k < 4; k++) {
      const double q = exp((double)x[r][k]) / total;
      if (fabs(count[k] - q * MANY) > 5 * sqrt(q * (1 - q) * MANY)) fail_msg("class %d of row %d", k, r);
    }
  }
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  assert_memory_equal(y, p.out[0].data, 2 * MANY * sizeof *y);
  probe_fini(&p);
}

static void test_multinomial_refusals(void **state) {
  (void)state;
  float x[3] = {-INFINITY, -INFINITY, -INFINITY};
  struct probe p;
  probe_init(&p, "Multinomial");
  probe_in(&p, SUMI_FLOAT32, x, 2, 1, 3);
  probe_float(&p, "seed", 1);
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  x[0] = INFINITY;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  x[0] = NAN;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  probe_fini(&p);
}

/* Mean and variance of a large sample, each within 5 standard errors. */
static void test_moments(void **state) {
  (void)state;
  struct sumi_twister t;
  double u = 0, uu = 0, z = 0, zz = 0;
  sumi_twister_init(&t, 1);
  for (int i = 0; i < MANY; i++) {
    const double a = sumi_twister_uniform(&t), b = sumi_twister_normal(&t);
    assert_true(a >= 0 && a < 1);
    u += a, uu += (a - 0.5) * (a - 0.5), z += b, zz += b * b;
  }
  assert_true(fabs(u / MANY - 0.5) < 5 * sqrt(1.0 / 12 / MANY));
  assert_true(fabs(uu / MANY - 1.0 / 12) < 5 * sqrt(1.0 / 180 / MANY));
  assert_true(fabs(z / MANY) < 5 * sqrt(1.0 / MANY));
  assert_true(fabs(zz / MANY - 1) < 5 * sqrt(2.0 / MANY));
}

static void test_entropy(void **state) {
  (void)state;
  assert_true(sumi_random_entropy() != sumi_random_entropy());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_uniform),     cmocka_unit_test(test_normal),
      cmocka_unit_test(test_bernoulli),   cmocka_unit_test(test_dropout),
      cmocka_unit_test(test_multinomial), cmocka_unit_test(test_multinomial_refusals),
      cmocka_unit_test(test_moments),     cmocka_unit_test(test_entropy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
