/* Products against plain loops, on the simulator: geometries, groups, patterns of weights, types, operands in SRAM and in DRAM of a chip
 * so small that everything is cut; one core and four. */
#include "device/antoum/product_test.h"

static void test_one(void **state) {
  (void)state;
  struct sumi_random random;
  sumi_random_init(&random, 1);
  const struct antoum_facts f = run(plain, small, &random);
  assert_true(f.dense_macs == 36 * 16 * 32 && f.k_least == 32);
}

static int pick(struct sumi_random *r, const int *from, size_t n) { return from[below(r, n)]; }
#define PICK(...) pick(r, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static bool coin(struct sumi_random *r) { return below(r, 2); }

static struct spec random_spec(struct sumi_random *r) {
  struct spec s = plain;
  s.groups = PICK(1, 1, 1, 2, 5, 36);
  s.channels = s.groups > 5 ? PICK(1, 1, 2, 3) : PICK(1, 3, 16, 17, 32, 40, 64, 70, 100);
  s.outputs = s.groups > 5 ? PICK(1, 1, 2, 3) : PICK(1, 7, 16, 64, 65, 130);
  s.images = PICK(1, 1, 2, 3);
  s.in_rows = PICK(1, 4, 7, 9), s.in_cols = PICK(3, 5, 8, 12);
  s.kernel_h = s.in_rows > 3 ? PICK(1, 1, 2, 3) : 1, s.kernel_w = PICK(1, 1, 3);
  s.stride_h = PICK(1, 1, 2), s.stride_w = PICK(1, 1, 2, 3);
  s.pad_top = PICK(0, 0, 1, 2), s.pad_left = PICK(0, 0, 1, 3);
  s.dilation = s.in_rows >= 7 && s.in_cols >= 8 ? PICK(1, 1, 2) : 1;
  s.density = PICK(1, 2, 5, 10, 10, 10) / 10.0;
  s.keep = s.density == 1 ? PICK(0, 0, 1, 2, 4, 8, 16, 32) : 0;
  s.bf16 = below(r, 4) == 0;
  s.u8 = coin(r), s.w_u8 = coin(r), s.residual = coin(r), s.stages = coin(r), s.real32 = coin(r);
  s.table = !s.bf16 && coin(r);
  s.dram = (unsigned)PICK(0, 0, EVERYTHING, EVERYTHING, 1 << Y, 1 << R, 1 << X | 1 << R),
  s.transposed = coin(r), s.gaps = coin(r), s.dual = below(r, 4) == 0;
  s.cores = PICK(1, 1, 4);
  return s;
}

static void test_random(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    struct sumi_random random;
    sumi_random_init(&random, seed);
    const struct spec s = random_spec(&random);
    run(s, s.dram == EVERYTHING ? tiny : small, &random);
  }
}

/* w is computed: heads and batch items. */
static struct spec computed_spec(struct sumi_random *r) {
  struct spec s = plain;
  s.heads = PICK(1, 2, 3), s.batch = PICK(1, 2, 4);
  s.in_rows = 1, s.in_cols = PICK(1, 7, 40, 65), s.channels = PICK(5, 32, 64, 70);
  s.outputs = PICK(1, 9, 65, 200);
  s.bf16 = coin(r), s.real32 = coin(r), s.u8 = coin(r), s.w_u8 = coin(r);
  s.residual = coin(r), s.stages = coin(r), s.gaps = coin(r),
  s.dram = (unsigned)PICK(0, EVERYTHING, 1 << W, 1 << Y), s.cores = PICK(1, 4);
  return s;
}

static void test_computed(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 80; seed++) {
    struct sumi_random random;
    sumi_random_init(&random, seed);
    const struct spec s = computed_spec(&random);
    run(s, s.dram == EVERYTHING ? tiny : wide, &random);
  }
}

/* The same products, the same in all cores, which make parts of them for each other. */
static void test_split(void **state) {
  (void)state;
  int shared = 0;
  for (uint64_t seed = 1; seed <= 160; seed++) {
    struct sumi_random random;
    sumi_random_init(&random, seed);
    struct spec s = seed % 2 ? random_spec(&random) : computed_spec(&random);
    s.split = true;
    s.cores = seed % 5 ? 4 : 3;
    if (seed % 8) s.dram = 0;
    run_shared(s, slow, &random, &shared);
  }
  assert_true(shared > 80);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_random),
                                     cmocka_unit_test(test_computed), cmocka_unit_test(test_split)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
