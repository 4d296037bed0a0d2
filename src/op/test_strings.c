/* Strings: what a random case cannot express. The oracle is the standard's reference implementation, for patterns RE2. */
#include "op/test_probe.h"

#include "base/text.h"
#include "op/re2_syntax.h"
#include "op/utf8.h"

#define STR(text) ((struct sumi_str){text, sizeof(text) - 1})

static void probe_str(struct probe *p, const char *name, const char *value) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_STRING, .n = 1, .u.s = {value, strlen(value)}};
}

static void expect_strings(const struct probe *p, int i, const struct sumi_str *want, int64_t n) {
  assert_int_equal(sumi_tensor_count(&p->out[i]), n);
  const struct sumi_str *got = p->out[i].data;
  for (int64_t k = 0; k < n; k++) {
    assert_int_equal(got[k].size, want[k].size);
    assert_memory_equal(got[k].data, want[k].data, want[k].size);
  }
}

static void utf8(void **state) {
  (void)state;
  static const struct sumi_str bad[] = {STR("\x80"),         STR("\xc0\xaf"),         STR("\xe0\x80\x80"),
                                        STR("\xed\xa0\x80"), STR("\xf4\x90\x80\x80"), STR("\xc3"),
                                        STR("\xff")};
  size_t length;
  for (size_t i = 0; i < SUMI_COUNT(bad); i++)
    assert_int_equal(sumi_utf8_get(bad[i].data, bad[i].size, &length), SUMI_UTF8_NONE);
  for (int32_t code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 997) {
    char text[SUMI_UTF8_MAX];
    if (code >= 0xd800 && code < 0xe000) continue;
    const size_t n = sumi_utf8_put(code, text);
    assert_int_equal(sumi_utf8_get(text, n, &length), code);
    assert_int_equal(length, n);
  }
}

static void split(void **state) {
  (void)state;
  static const struct sumi_str x[] = {STR("\xe3\x80\x80 a\tb  c "), STR(""), STR("d")};
  static const struct sumi_str want[] = {STR("a"), STR("b  c"), STR(""), STR(""), STR("d"), STR("")};
  static const int64_t counts[] = {2, 0, 1};
  struct probe p;
  probe_init(&p, "StringSplit");
  probe_int(&p, "maxsplit", 1);
  probe_in(&p, SUMI_STRING, x, 1, 3);
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  expect_strings(&p, 0, want, 6);
  assert_memory_equal(p.out[1].data, counts, sizeof counts);
  probe_fini(&p);
  static const struct sumi_str fields[] = {STR("ab--c-"), STR("")};
  static const struct sumi_str pieces[] = {STR("ab"), STR("c-"), STR(""), STR("")};
  probe_init(&p, "StringSplit");
  probe_str(&p, "delimiter", "--");
  probe_in(&p, SUMI_STRING, fields, 1, 2);
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  expect_strings(&p, 0, pieces, 4);
  probe_fini(&p);
}

static void normalize(void **state) {
  (void)state;
  static const struct {
    const char *locale, *action;
    struct sumi_str x, want;
  } cases[] = {
      {"en_US", "UPPER",
       STR("stra\xc3\x9f"
           "e \xc3\xa9\xff i"),
       STR("STRA\xc3\x9f"
           "E \xc3\x89\xff I")},
      {"en_US", "LOWER", STR("\xce\xa9I"), STR("\xcf\x89i")},
      {"tr_TR", "UPPER", STR("i\xc4\xb1"), STR("\xc4\xb0I")},
      {"tr", "LOWER", STR("I\xc4\xb0"), STR("\xc4\xb1i")},
      {"en_US", "NONE", STR("\xc3\x84X"), STR("")}, /* the stop word, in another case */
  };
  static const struct sumi_str stop[] = {STR("\xc3\xa4x")};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct probe p;
    probe_init(&p, "StringNormalizer");
    probe_str(&p, "locale", cases[i].locale);
    probe_str(&p, "case_change_action", cases[i].action);
    p.attr[p.node.n_attr++] =
        (struct sumi_attr){.name = "stopwords", .type = SUMI_ATTR_STRINGS, .n = 1, .u.strings = stop};
    probe_in(&p, SUMI_STRING, &cases[i].x, 1, 1);
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    expect_strings(&p, 0, &cases[i].want, 1);
    probe_fini(&p);
  }
}

/* Status of a match; *yes its result. */
static sumi_status match(const char *pattern, struct sumi_str text, bool *yes) {
  struct probe p;
  probe_init(&p, "RegexFullMatch");
  probe_str(&p, "pattern", pattern);
  probe_in(&p, SUMI_STRING, &text, 1, 1);
  const sumi_status status = probe_run(&p, 1);
  *yes = status == SUMI_OK && *(const uint8_t *)p.out[0].data;
  if (status != SUMI_OK) assert_true(p.err.text[0]);
  probe_fini(&p);
  return status;
}

static void regex(void **state) {
  (void)state;
  static const struct {
    const char *pattern;
    struct sumi_str text;
    bool want;
  } cases[] = {
      {"a|ab", STR("ab"), true},
      {"a$", STR("a\n"), false},
      {"(?m:a)$\n", STR("a\n"), false},
      {"(?m)(a(?-m:b$)|a$)\n", STR("a\n"), true},
      {"\\s", STR("\v"), false},
      {"\\S", STR("\v"), true},
      {"[\\S]", STR("\v"), true},
      {"\\v", STR("\v"), true},
      {"\\v", STR("\n"), false},
      {".", STR("\n"), false},
      {"(?s).", STR("\n"), true},
      {"(?m)a$\n^b", STR("a\nb"), true},
      {"\\w", STR("\xc3\xa9"), false},
      {"(?i)\xc3\x89", STR("\xc3\xa9"), true},
      {"\\p{Greek}+", STR("\xce\xa9"), true},
      {"x{,2}", STR("x{,2}"), true},
      {"\\Qa.b\\E+", STR("a.bb"), true},
      {"[]a]+", STR("]a"), true},
      {"[[:alpha:]-]+", STR("a-b"), true},
      {".", STR("\xff"), false},
      {"(?P<n>a)(?:b)", STR("ab"), true},
      {"\\x{e9}", STR("\xc3\xa9"), true},
      {"\\07", STR("\a"), true},
      {"^*a", STR("a"), true},
      {"", STR(""), true},
      {"(a|b)*?c", STR("abac"), true},
      {"(?U)a+", STR("aa"), true},
      {"[^a]", STR("\n"), true},
      {"a{2,3}", STR("aaaa"), false},
  };
  static const char *const bad[] = {"(",           ")",      "a**",     "*",         "(*UTF)a", "(?=a)",
                                    "(?<!a)",      "(a)\\1", "a{1001}", "a{3,2}",    "[z-a]",   "(?>a)",
                                    "\\K",         "\\R",    "a++",     "(?R)",      "[a",      "\\",
                                    "\\x{110000}", "(?x)a",  "\xff",    "[[:foo:]]", "\\_"};
  bool yes;
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    assert_int_equal(match(cases[i].pattern, cases[i].text, &yes), SUMI_OK);
    if (yes != cases[i].want) fail_msg("'%s' is wrong", cases[i].pattern);
  }
  for (size_t i = 0; i < SUMI_COUNT(bad); i++)
    if (match(bad[i], STR("a"), &yes) != SUMI_E_VALUE) fail_msg("'%s' is taken", bad[i]);
  assert_int_equal(match("\\C", STR("a"), &yes), SUMI_E_UNSUPPORTED);
}

/* What would take a matcher that backtracks longer than the universe lasts. */
static void regex_is_bounded(void **state) {
  (void)state;
  static char text[4001];
  bool yes;
  memset(text, 'a', sizeof text - 1);
  assert_int_equal(match("(a*)*(a|aa)+(a?){30}b", (struct sumi_str){text, sizeof text - 1}, &yes), SUMI_OK);
  assert_false(yes);
}

int main(void) {
  const struct CMUnitTest always[] = {cmocka_unit_test(utf8), cmocka_unit_test(split),
                                      cmocka_unit_test(normalize)};
  const struct CMUnitTest with_library[] = {cmocka_unit_test(regex), cmocka_unit_test(regex_is_bounded)};
  int failed = cmocka_run_group_tests(always, NULL, NULL);
  bool yes;
  if (match("a", STR("a"), &yes) != SUMI_E_UNSUPPORTED)
    failed += cmocka_run_group_tests(with_library, NULL, NULL);
  return failed;
}
