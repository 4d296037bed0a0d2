/* The formulas of other engines against figures that were published for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "sim/arrays.h"

/* ResNet-50 (He et al. 2016, stride in the first 1x1 of a stage) without padding: size, kernel, channels, filters, stride, how often. */
static const struct {
  uint64_t size, kernel, channels, filters, stride, times;
} resnet50[] = {
    {224, 7, 3, 64, 2, 1},    {56, 1, 64, 64, 1, 1},    {56, 3, 64, 64, 1, 3},     {56, 1, 64, 256, 1, 4},
    {56, 1, 256, 64, 1, 2},   {56, 1, 256, 128, 2, 1},  {28, 3, 128, 128, 1, 4},   {28, 1, 128, 512, 1, 4},
    {56, 1, 256, 512, 2, 1},  {28, 1, 512, 128, 1, 3},  {28, 1, 512, 256, 2, 1},   {14, 3, 256, 256, 1, 6},
    {14, 1, 256, 1024, 1, 6}, {28, 1, 512, 1024, 2, 1}, {14, 1, 1024, 256, 1, 5},  {14, 1, 1024, 512, 2, 1},
    {7, 3, 512, 512, 1, 3},   {7, 1, 512, 2048, 1, 3},  {14, 1, 1024, 2048, 2, 1}, {7, 1, 2048, 512, 1, 2},
    {1, 1, 2048, 1000, 1, 1},
};

static struct sumi_sim_product layer(size_t i) {
  const struct sumi_sim_conv c = {resnet50[i].size,   resnet50[i].size,     resnet50[i].kernel,
                                  resnet50[i].kernel, resnet50[i].channels, resnet50[i].filters,
                                  resnet50[i].stride};
  return sumi_sim_conv_product(&c);
}

static uint64_t network(uint64_t side, enum sumi_sim_dataflow flow) {
  uint64_t cycles = 0;
  for (size_t i = 0; i < SUMI_COUNT(resnet50); i++)
    cycles += resnet50[i].times * sumi_sim_systolic(layer(i), side, side, flow);
  return cycles;
}

static void test_resnet50(void **state) {
  (void)state;
  uint64_t macs = 0, layers = 0;
  for (size_t i = 0; i < SUMI_COUNT(resnet50); i++) {
    const struct sumi_sim_product p = layer(i);
    macs += resnet50[i].times * p.m * p.k * p.n;
    layers += resnet50[i].times;
  }
  assert_int_equal(layers, 54);
  assert_int_equal(macs, 3479536384);
  assert_int_equal(network(128, SUMI_SIM_OUTPUT_STATIONARY), 611615);
  assert_int_equal(network(128, SUMI_SIM_WEIGHT_STATIONARY), 876886);
  assert_int_equal(network(128, SUMI_SIM_INPUT_STATIONARY), 997816);
  assert_int_equal(network(32, SUMI_SIM_OUTPUT_STATIONARY), 4434222);
  assert_int_equal(network(32, SUMI_SIM_WEIGHT_STATIONARY), 5753540);
  assert_int_equal(network(32, SUMI_SIM_INPUT_STATIONARY), 5608410);
}

/* Output stationary, cycle by cycle: operand k of row i and column j meets at cycle k + i + j. */
static void test_square(void **state) {
  (void)state;
  for (uint64_t n = 1; n <= 64; n++) {
    uint64_t last = 0;
    for (uint64_t i = 0; i < n; i++)
      for (uint64_t j = 0; j < n; j++) last = SUMI_MAX(last, n - 1 + i + j);
    const struct sumi_sim_product p = {n, n, n};
    assert_int_equal(sumi_sim_systolic(p, n, n, SUMI_SIM_OUTPUT_STATIONARY), last + 1);
    assert_int_equal(sumi_sim_systolic(p, n, n, SUMI_SIM_OUTPUT_STATIONARY), 3 * n - 2);
  }
}

static void test_n_of_m(void **state) {
  (void)state;
  const struct sumi_sim_product p = {256, 4096, 256};
  assert_int_equal(sumi_sim_n_of_m(p, 16, 16, 4, 4),
                   sumi_sim_systolic(p, 16, 16, SUMI_SIM_OUTPUT_STATIONARY));
  assert_int_equal(sumi_sim_n_of_m(p, 16, 16, 2, 4), 256 * (2048 + 30));
  assert_int_equal(sumi_sim_n_of_m((struct sumi_sim_product){16, 9, 16}, 16, 16, 2, 4), 6 + 30);
}

/* Against a count of every product that is not zero. */
static void test_dual_sided(void **state) {
  (void)state;
  enum { C = 24, N = 31, P = 17 };
  static uint8_t w[C][N], x[C][P];
  struct sumi_random random;
  sumi_random_init(&random, 5);
  uint64_t weights[C] = {0}, activations[C] = {0}, products = 0;
  for (int c = 0; c < C; c++) {
    for (int n = 0; n < N; n++) weights[c] += w[c][n] = sumi_random_uniform(&random) < 0.1;
    for (int p = 0; p < P; p++) activations[c] += x[c][p] = sumi_random_uniform(&random) < 0.5;
    for (int n = 0; n < N; n++)
      for (int p = 0; p < P; p++) products += w[c][n] * x[c][p];
  }
  assert_true(products > 0 && products < C * N * P);
  assert_int_equal(sumi_sim_dual_sided(weights, activations, C), products);
}

static void test_limits(void **state) {
  (void)state;
  const struct sumi_sim_product p = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
  assert_true(sumi_sim_systolic(p, 1, 1, SUMI_SIM_OUTPUT_STATIONARY) == UINT64_MAX);
  assert_true(sumi_sim_systolic(p, UINT64_MAX, 1, SUMI_SIM_WEIGHT_STATIONARY) == UINT64_MAX);
  assert_int_equal(sumi_sim_systolic((struct sumi_sim_product){1, 1, 1}, 1, 1, SUMI_SIM_OUTPUT_STATIONARY),
                   1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_resnet50), cmocka_unit_test(test_square),
                                     cmocka_unit_test(test_n_of_m), cmocka_unit_test(test_dual_sided),
                                     cmocka_unit_test(test_limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
