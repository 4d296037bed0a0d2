/* The tables of the contract: registers do not overlap, every code has a sentence, known cards are sound, wrong values are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/size.h"
#include "card/profile.h"
#include "card/word.h"

static void test_registers(void **state) {
  (void)state;
  static const struct {
    uint32_t at;
    const char *access;
  } reg[] = {
#define SUMI_CARD_REGISTER(name, offset, access, what) {offset, access},
#include "card/registers.def"
#undef SUMI_CARD_REGISTER
  };
  uint8_t taken[SUMI_CARD_REG_BYTES / 8] = {0};
  for (size_t i = 0; i < SUMI_COUNT(reg); i++) {
    assert_true(reg[i].at % 8 == 0 && reg[i].at < SUMI_CARD_REG_BYTES);
    assert_int_equal(taken[reg[i].at / 8]++, 0);
    assert_non_null(strstr("RW R W C", reg[i].access));
  }
  assert_int_equal(taken[0], 1);
}

static void test_names(void **state) {
  (void)state;
  for (unsigned i = 0; i < SUMI_CARD_N_ERRORS; i++)
    assert_string_not_equal(sumi_card_error_text(i), "an unknown error");
  assert_string_equal(sumi_card_error_text(SUMI_CARD_N_ERRORS), "an unknown error");
  assert_string_equal(sumi_card_engine_name(SUMI_CARD_ON_SPU), "spu");
  assert_string_equal(sumi_card_engine_name(SUMI_CARD_ENGINES), "?");
  for (unsigned i = 0; i < 300; i++)
    assert_int_equal(sumi_card_engine_of(i) < SUMI_CARD_ENGINES, i >= 1 && i < SUMI_CARD_N_OPCODES);
  assert_int_equal(sumi_card_engine_of(SUMI_CARD_OP_PROGRAM), SUMI_CARD_ON_VPU);
}

static void test_groups(void **state) {
  (void)state;
  static const uint32_t k[] = {1, 2, 4, 8, 16, 32}, bytes[] = {2, 4, 7, 13, 26, 32};
  for (size_t i = 0; i < SUMI_COUNT(k); i++) {
    assert_int_equal(sumi_card_group_bytes(k[i], 1, 32), bytes[i]);
    assert_int_equal(sumi_card_group_bytes(k[i], 2, 32), bytes[i] + k[i]);
  }
  assert_int_equal(sumi_card_group_bytes(32, 1, 3), 3);
}

static void test_profiles(void **state) {
  (void)state;
  struct sumi_card_profile p;
  struct sumi_err err = SUMI_ERR_INIT;
  for (size_t i = 0; sumi_card_profile_name(i); i++) {
    assert_int_equal(sumi_card_profile_find(sumi_card_profile_name(i), &p, &err), SUMI_OK);
    assert_int_equal(sumi_card_profile_check(&p, &err), SUMI_OK);
    assert_string_equal(p.name, sumi_card_profile_name(i));
    for (int j = 0; j < SUMI_CARD_N_PARAMS; j++)
      assert_true(p.source[j] && p.source[j][0] && p.letter[j] && strchr("KDA", p.letter[j]));
    const int64_t macs =
        SUMI_CARD_VALUE(&p, spu_pixels) * SUMI_CARD_VALUE(&p, spu_outputs) * SUMI_CARD_VALUE(&p, spu_banks);
    const double tops = (double)(macs * SUMI_CARD_VALUE(&p, cores) * SUMI_CARD_VALUE(&p, clock_khz)) * 64e-9;
    assert_true(tops > 943 && tops < 945); /* at 32x, a chip */
  }
  assert_int_equal(sumi_card_profile_find("SparseOne-S30", &p, &err), SUMI_OK);
  assert_true(SUMI_CARD_VALUE(&p, chips) == 3 && p.letter[SUMI_CARD_P_chips] == 'D');
  assert_int_equal(sumi_card_profile_find("SparseTwo", &p, &err), SUMI_E_VALUE);
  assert_non_null(strstr(err.text, "SparseOne-S4, SparseOne-S10"));
}

static void test_set(void **state) {
  (void)state;
  struct sumi_card_profile p;
  assert_int_equal(sumi_card_profile_find("SparseOne-S4", &p, NULL), SUMI_OK);
  assert_int_equal(sumi_card_profile_set(&p, "cores", 8, "a test", NULL), SUMI_OK);
  assert_true(SUMI_CARD_VALUE(&p, cores) == 8 && p.letter[SUMI_CARD_P_cores] == 'A');
  assert_int_equal(sumi_card_profile_set(&p, "cores", 15, "a test", NULL), SUMI_E_VALUE);
  assert_int_equal(sumi_card_profile_set(&p, "core", 4, "a test", NULL), SUMI_E_VALUE);
  assert_int_equal(SUMI_CARD_VALUE(&p, cores), 8);
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_card_profile_assign(&p, " cores = 2", "a test", &err), SUMI_OK);
  assert_true(SUMI_CARD_VALUE(&p, cores) == 2 && !strcmp(p.source[SUMI_CARD_P_cores], "a test"));
  assert_int_equal(sumi_card_profile_assign(&p, "cores", "a test", &err), SUMI_E_FORMAT);
  assert_string_equal(err.text, "'cores' has no =");
  assert_int_equal(sumi_card_profile_assign(&p, "cores=two", "a test", NULL), SUMI_E_FORMAT);
  assert_int_equal(sumi_card_profile_assign(&p, "cores=0", "a test", NULL), SUMI_E_VALUE);
  char longer[300];
  memset(longer, '=', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  assert_int_equal(sumi_card_profile_assign(&p, longer, "a test", NULL), SUMI_E_FORMAT);
  assert_int_equal(sumi_card_profile_set(&p, "sram_line", 96, "a test", NULL), SUMI_OK);
  assert_int_equal(sumi_card_profile_check(&p, NULL), SUMI_E_VALUE);
}

static sumi_status parse(const char *text, struct sumi_card_profile *p, struct sumi_err *err) {
  *err = (struct sumi_err)SUMI_ERR_INIT;
  return sumi_card_profile_parse(text, strlen(text), p, err);
}

static void test_parse(void **state) {
  (void)state;
  struct sumi_card_profile p;
  struct sumi_err err;
  assert_int_equal(
      parse("# a chip\n card = SparseOne-S10\r\nname = mine # and nobody's\n\n cores=8\nclock_khz = 1200000",
            &p, &err),
      SUMI_OK);
  assert_true(SUMI_CARD_VALUE(&p, cores) == 8 && SUMI_CARD_VALUE(&p, chips) == 2);
  assert_string_equal(p.name, "mine");
  assert_true(p.letter[SUMI_CARD_P_cores] == 'A' && !strcmp(p.source[SUMI_CARD_P_cores], "parameter file"));
  assert_int_equal(parse("", &p, &err), SUMI_OK);
  assert_string_equal(p.name, "SparseOne-S4");
  static const struct {
    const char *text, *says;
    sumi_status status;
  } bad[] = {{"cores 8", "line 1: 'cores 8' has no =", SUMI_E_FORMAT},
             {"\ncores = eight", "line 2: card parameter 'cores' is 'eight'", SUMI_E_FORMAT},
             {"cores = 99", "reaches from 1 to 14", SUMI_E_VALUE},
             {"corse = 4", "'corse' is not known", SUMI_E_VALUE},
             {"cores = 4\ncard = SparseOne-S4", "line 2: 'card' comes after", SUMI_E_FORMAT},
             {"card = T4", "there are SparseOne-S4", SUMI_E_VALUE},
             {"cores = 99999999999999999999", "not a whole number", SUMI_E_FORMAT},
             {"name = 0123456789012345678901234567890123456789", "too long", SUMI_E_VALUE},
             {"spu_pixels = 4096\nspu_outputs = 4096", "2^20 multipliers", SUMI_E_VALUE}};
  for (size_t i = 0; i < SUMI_COUNT(bad); i++) {
    assert_int_equal(parse(bad[i].text, &p, &err), bad[i].status);
    assert_non_null(strstr(err.text, bad[i].says));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_registers), cmocka_unit_test(test_names),
                                     cmocka_unit_test(test_groups),    cmocka_unit_test(test_profiles),
                                     cmocka_unit_test(test_set),       cmocka_unit_test(test_parse)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
