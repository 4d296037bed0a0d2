/* The CPU table: labels are names both ways, the level in force is one the processor has, limits lower and
 * restore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"

static void test_labels(void **state) {
  (void)state;
  for (int i = 0; i < SUMI_N_ISA; i++) {
    enum sumi_isa back = SUMI_N_ISA;
    assert_true(sumi_isa_from_label(sumi_isa_label((enum sumi_isa)i), &back));
    assert_int_equal(back, i);
  }
  enum sumi_isa other = SUMI_ISA_AVX2;
  assert_false(sumi_isa_from_label("avx9", &other));
  assert_int_equal(other, SUMI_ISA_AVX2);
  assert_string_equal(sumi_isa_label(SUMI_N_ISA), "?");
}

static void test_levels(void **state) {
  (void)state;
  const enum sumi_isa top = sumi_cpu_isa();
  assert_true(sumi_cpu_has(SUMI_ISA_REF));
  assert_true(sumi_cpu_has(top));
  assert_false(sumi_cpu_has(SUMI_N_ISA));
  if (sumi_cpu_has(SUMI_ISA_AVX512)) assert_true(sumi_cpu_has(SUMI_ISA_AVX2));
#if defined(SUMI_ARM64)
  assert_true(sumi_cpu_has(SUMI_ISA_NEON));
#else
  for (int i = SUMI_ISA_NEON; i <= SUMI_ISA_DOTPROD; i++) assert_false(sumi_cpu_has((enum sumi_isa)i));
#endif
#if !defined(SUMI_X86)
  for (int i = SUMI_ISA_AVX2; i <= SUMI_ISA_AMX; i++) assert_false(sumi_cpu_has((enum sumi_isa)i));
#endif
#if defined(SUMI_X86) && defined(__GNUC__)
  assert_int_equal(sumi_cpu_has(SUMI_ISA_AVX2),
                   __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  assert_int_equal(sumi_cpu_has(SUMI_ISA_AVX512VNNI),
                   __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"));
#endif
  assert_int_equal(sumi_cpu_limit(SUMI_ISA_REF), SUMI_ISA_REF);
  assert_int_equal(sumi_cpu_isa(), SUMI_ISA_REF);
  assert_false(sumi_cpu_allows(sumi_cpu_isa(), SUMI_ISA_AVX2));
  for (int i = 0; i < SUMI_N_ISA; i++) {
    const enum sumi_isa got = sumi_cpu_limit((enum sumi_isa)i);
    assert_true(got <= (enum sumi_isa)i && got <= top && sumi_cpu_has(got));
  }
  assert_int_equal(sumi_cpu_limit(SUMI_ISA_AMX), top);
}

static void test_info(void **state) {
  (void)state;
  const struct sumi_cpu *info = sumi_cpu_info();
  assert_true(info->cores >= 1);
  assert_true(strlen(info->name) > 0);
  if (info->l2_bytes) assert_true(info->l2_bytes >= info->l1d_bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_labels),
      cmocka_unit_test(test_levels),
      cmocka_unit_test(test_info),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
