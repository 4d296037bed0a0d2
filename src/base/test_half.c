/* Every code of every short floating-point format, and every tie between two, against tables made with numpy and
 * ml_dtypes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "base/size.h"
#include "base/text.h"

/* The values of the short floating-point formats' codes without sign, as ml_dtypes 0.6.0 has them, in units of the smallest
 * subnormal number. What follows the last one is infinity or NaN. */
static const uint64_t e4m3fn_values[] = {
    0,      1,      2,      3,      4,      5,      6,      7,      8,      9,     10,    11,    12,
    13,     14,     15,     16,     18,     20,     22,     24,     26,     28,    30,    32,    36,
    40,     44,     48,     52,     56,     60,     64,     72,     80,     88,    96,    104,   112,
    120,    128,    144,    160,    176,    192,    208,    224,    240,    256,   288,   320,   352,
    384,    416,    448,    480,    512,    576,    640,    704,    768,    832,   896,   960,   1024,
    1152,   1280,   1408,   1536,   1664,   1792,   1920,   2048,   2304,   2560,  2816,  3072,  3328,
    3584,   3840,   4096,   4608,   5120,   5632,   6144,   6656,   7168,   7680,  8192,  9216,  10240,
    11264,  12288,  13312,  14336,  15360,  16384,  18432,  20480,  22528,  24576, 26624, 28672, 30720,
    32768,  36864,  40960,  45056,  49152,  53248,  57344,  61440,  65536,  73728, 81920, 90112, 98304,
    106496, 114688, 122880, 131072, 147456, 163840, 180224, 196608, 212992, 229376};
static const uint64_t e4m3fnuz_values[] = {
    0,      1,      2,      3,      4,      5,      6,      7,      8,      9,      10,    11,    12,
    13,     14,     15,     16,     18,     20,     22,     24,     26,     28,     30,    32,    36,
    40,     44,     48,     52,     56,     60,     64,     72,     80,     88,     96,    104,   112,
    120,    128,    144,    160,    176,    192,    208,    224,    240,    256,    288,   320,   352,
    384,    416,    448,    480,    512,    576,    640,    704,    768,    832,    896,   960,   1024,
    1152,   1280,   1408,   1536,   1664,   1792,   1920,   2048,   2304,   2560,   2816,  3072,  3328,
    3584,   3840,   4096,   4608,   5120,   5632,   6144,   6656,   7168,   7680,   8192,  9216,  10240,
    11264,  12288,  13312,  14336,  15360,  16384,  18432,  20480,  22528,  24576,  26624, 28672, 30720,
    32768,  36864,  40960,  45056,  49152,  53248,  57344,  61440,  65536,  73728,  81920, 90112, 98304,
    106496, 114688, 122880, 131072, 147456, 163840, 180224, 196608, 212992, 229376, 245760};
static const uint64_t e5m2_values[] = {
    0,          1,          2,          3,          4,          5,          6,         7,         8,
    10,         12,         14,         16,         20,         24,         28,        32,        40,
    48,         56,         64,         80,         96,         112,        128,       160,       192,
    224,        256,        320,        384,        448,        512,        640,       768,       896,
    1024,       1280,       1536,       1792,       2048,       2560,       3072,      3584,      4096,
    5120,       6144,       7168,       8192,       10240,      12288,      14336,     16384,     20480,
    24576,      28672,      32768,      40960,      49152,      57344,      65536,     81920,     98304,
    114688,     131072,     163840,     196608,     229376,     262144,     327680,    393216,    458752,
    524288,     655360,     786432,     917504,     1048576,    1310720,    1572864,   1835008,   2097152,
    2621440,    3145728,    3670016,    4194304,    5242880,    6291456,    7340032,   8388608,   10485760,
    12582912,   14680064,   16777216,   20971520,   25165824,   29360128,   33554432,  41943040,  50331648,
    58720256,   67108864,   83886080,   100663296,  117440512,  134217728,  167772160, 201326592, 234881024,
    268435456,  335544320,  402653184,  469762048,  536870912,  671088640,  805306368, 939524096, 1073741824,
    1342177280, 1610612736, 1879048192, 2147483648, 2684354560, 3221225472, 3758096384};
static const uint64_t e5m2fnuz_values[] = {
    0,          1,          2,          3,          4,          5,          6,          7,
    8,          10,         12,         14,         16,         20,         24,         28,
    32,         40,         48,         56,         64,         80,         96,         112,
    128,        160,        192,        224,        256,        320,        384,        448,
    512,        640,        768,        896,        1024,       1280,       1536,       1792,
    2048,       2560,       3072,       3584,       4096,       5120,       6144,       7168,
    8192,       10240,      12288,      14336,      16384,      20480,      24576,      28672,
    32768,      40960,      49152,      57344,      65536,      81920,      98304,      114688,
    131072,     163840,     196608,     229376,     262144,     327680,     393216,     458752,
    524288,     655360,     786432,     917504,     1048576,    1310720,    1572864,    1835008,
    2097152,    2621440,    3145728,    3670016,    4194304,    5242880,    6291456,    7340032,
    8388608,    10485760,   12582912,   14680064,   16777216,   20971520,   25165824,   29360128,
    33554432,   41943040,   50331648,   58720256,   67108864,   83886080,   100663296,  117440512,
    134217728,  167772160,  201326592,  234881024,  268435456,  335544320,  402653184,  469762048,
    536870912,  671088640,  805306368,  939524096,  1073741824, 1342177280, 1610612736, 1879048192,
    2147483648, 2684354560, 3221225472, 3758096384, 4294967296, 5368709120, 6442450944, 7516192768};
static const uint64_t e2m3_values[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                       16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60};
static const uint64_t e3m2_values[] = {0,  1,   2,   3,   4,   5,   6,   7,   8,   10, 12,
                                       14, 16,  20,  24,  28,  32,  40,  48,  56,  64, 80,
                                       96, 112, 128, 160, 192, 224, 256, 320, 384, 448};
static const uint64_t e2m1_values[] = {0, 1, 2, 3, 4, 6, 8, 12};

static const struct {
  const struct sumi_minifloat *format;
  const char *name;
  const uint64_t *value;
  unsigned n; /* finite codes without sign */
  double unit;
  unsigned sign;           /* the sign's bit */
  unsigned nan, minus_nan; /* codes that NaN of either sign becomes; a zero where there is no NaN */
  unsigned over;           /* what is too large becomes, not saturated */
  unsigned minus_zero;     /* the code of -0 */
} row[] = {
    {&sumi_e4m3fn, "e4m3fn", e4m3fn_values, SUMI_COUNT(e4m3fn_values), 0x1p-9, 0x80, 0x7f, 0xff, 0x7f, 0x80},
    {&sumi_e4m3fnuz, "e4m3fnuz", e4m3fnuz_values, SUMI_COUNT(e4m3fnuz_values), 0x1p-10, 0x80, 0x80, 0x80,
     0x80, 0},
    {&sumi_e5m2, "e5m2", e5m2_values, SUMI_COUNT(e5m2_values), 0x1p-16, 0x80, 0x7e, 0xfe, 0x7c, 0x80},
    {&sumi_e5m2fnuz, "e5m2fnuz", e5m2fnuz_values, SUMI_COUNT(e5m2fnuz_values), 0x1p-17, 0x80, 0x80, 0x80,
     0x80, 0},
    {&sumi_e2m3, "e2m3", e2m3_values, SUMI_COUNT(e2m3_values), 0x1p-3, 0x20, 0x20, 0x20, 0x1f, 0x20},
    {&sumi_e3m2, "e3m2", e3m2_values, SUMI_COUNT(e3m2_values), 0x1p-4, 0x20, 0x20, 0x20, 0x1f, 0x20},
    {&sumi_e2m1, "e2m1", e2m1_values, SUMI_COUNT(e2m1_values), 0x1p-1, 0x8, 0x8, 0x8, 0x7, 0x8},
};

static void check_encode(size_t i, double x, bool saturate, unsigned want) {
  const unsigned got = sumi_minifloat_encode(row[i].format, x, saturate);
  if (got != want) fail_msg("%s: %.17g becomes 0x%02x, not 0x%02x", row[i].name, x, got, want);
}

/* x, which has code c, and -x; where minus zero is no code of its own, it is zero. */
static void check_both(size_t i, double x, unsigned c) {
  const unsigned minus = c == 0 ? row[i].minus_zero : c | row[i].sign;
  for (int saturate = 0; saturate < 2; saturate++) {
    check_encode(i, x, saturate, c);
    check_encode(i, -x, saturate, minus);
  }
}

static void test_codes(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++)
    for (unsigned c = 0; c < row[i].n; c++) {
      const double x = (double)row[i].value[c] * row[i].unit;
      assert_true(sumi_minifloat_decode(row[i].format, c) == x);
      check_both(i, x, c);
      if (c || row[i].minus_zero) {
        const double minus = sumi_minifloat_decode(row[i].format, c | row[i].sign);
        assert_true(minus == -x && signbit(minus));
      }
    }
}

static void test_ties(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++)
    for (unsigned c = 0; c + 1 < row[i].n; c++) {
      const double tie = (double)(row[i].value[c] + row[i].value[c + 1]) * row[i].unit / 2;
      check_both(i, tie, c + (c & 1));
      check_both(i, nextafter(tie, 0), c);
      check_both(i, nextafter(tie, INFINITY), c + 1);
    }
}

static void test_special(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    const unsigned top = row[i].n - 1, sign = row[i].sign;
    const double most = (double)row[i].value[top] * row[i].unit,
                 before = (double)row[i].value[top - 1] * row[i].unit;
    const double tie = most + (most - before) / 2; /* to the code behind the largest */
    const bool tie_stays = top % 2 == 0;
    check_both(i, nextafter(tie, 0), top);
    const double large[] = {nextafter(tie, INFINITY), most * 2, 1e300, INFINITY, tie_stays ? INFINITY : tie};
    for (size_t k = 0; k < SUMI_COUNT(large); k++) {
      const unsigned over = row[i].over;
      check_encode(i, large[k], true, top);
      check_encode(i, -large[k], true, top | sign);
      check_encode(i, large[k], false, over);
      check_encode(i, -large[k], false, over == sign ? over : over | sign);
    }
    if (tie_stays) check_both(i, tie, top);
    check_both(i, 5e-324, 0);
    for (int saturate = 0; saturate < 2; saturate++) {
      check_encode(i, NAN, saturate, row[i].nan);
      check_encode(i, -NAN, saturate, row[i].minus_nan);
    }
  }
  /* the codes that are no numbers */
  for (unsigned c = 0; c < 256; c++) {
    assert_int_equal(isnan(sumi_minifloat_decode(&sumi_e4m3fn, c)), (c & 0x7f) == 0x7f);
    assert_int_equal(isnan(sumi_minifloat_decode(&sumi_e4m3fnuz, c)), c == 0x80);
    assert_int_equal(isnan(sumi_minifloat_decode(&sumi_e5m2fnuz, c)), c == 0x80);
    assert_int_equal(isnan(sumi_minifloat_decode(&sumi_e5m2, c)), (c & 0x7f) > 0x7c);
  }
  assert_true(sumi_minifloat_decode(&sumi_e5m2, 0x7c) == INFINITY &&
              sumi_minifloat_decode(&sumi_e5m2, 0xfc) == -INFINITY);
}

/* One NaN for all. */
static float plain(float f) { return isnan(f) ? sumi_f32_from_bits(0x7fc00000) : f; }

/* The hashes are of numpy's and ml_dtypes' results for the same codes and numbers. */
static void test_16_bit_decode(void **state) {
  (void)state;
  static float half[65536], brain[65536];
  for (unsigned c = 0; c < 65536; c++) {
    half[c] = plain(sumi_f32_from_f16((uint16_t)c));
    brain[c] = plain(sumi_f32_from_bf16((uint16_t)c));
    const float h = plain((float)sumi_minifloat_decode(&sumi_float16, c)),
                b = plain((float)sumi_minifloat_decode(&sumi_bfloat16, c));
    assert_int_equal(sumi_f32_bits(h), sumi_f32_bits(half[c]));
    assert_int_equal(sumi_f32_bits(b), sumi_f32_bits(brain[c]));
  }
  assert_true(sumi_hash(half, sizeof half, 0) == 0x1f87f165810ea7c5u);
  assert_true(sumi_hash(brain, sizeof brain, 0) == 0xcf8e09175d8f5ba5u);
}

/* Between every two neighbours the tie and the floats beside it. */
static uint64_t hash_of_ties(unsigned end, float (*decode)(uint16_t), uint16_t (*encode)(float),
                             const struct sumi_minifloat *format) {
  uint16_t *code = malloc(3 * 65536 * sizeof *code);
  size_t n = 0;
  for (unsigned c = 0; c + 1 < end; c++) {
    const float tie = (float)(((double)decode((uint16_t)c) + decode((uint16_t)(c + 1))) / 2);
    const float x[] = {nextafterf(tie, 0), tie, nextafterf(tie, INFINITY)};
    for (int k = 0; k < 3; k++) {
      code[n++] = encode(x[k]);
      assert_int_equal(sumi_minifloat_encode(format, (double)x[k], false), code[n - 1]);
      assert_int_equal(encode(-x[k]), code[n - 1] | 0x8000);
    }
  }
  const uint64_t h = sumi_hash(code, n * sizeof *code, 0);
  free(code);
  return h;
}

static float half_to_float(uint16_t h) { return sumi_f32_from_f16(h); }
static float brain_to_float(uint16_t h) { return sumi_f32_from_bf16(h); }
static uint16_t float_to_half(float f) { return sumi_f16_from_f32(f); }
static uint16_t float_to_brain(float f) { return sumi_bf16_from_f32(f); }

static void test_16_bit_encode(void **state) {
  (void)state;
  assert_true(hash_of_ties(0x7c00, half_to_float, float_to_half, &sumi_float16) == 0x0a0e22ef23200a5bu);
  assert_true(hash_of_ties(0x7f80, brain_to_float, float_to_brain, &sumi_bfloat16) == 0xce9fffb5f788b2c7u);
  static const struct {
    float x;
    uint16_t half, brain;
  } special[] = {{INFINITY, 0x7c00, 0x7f80},
                 {-INFINITY, 0xfc00, 0xff80},
                 {65519.996f, 0x7bff, 0x4780},
                 {65520, 0x7c00, 0x4780},
                 {3.4028235e38f, 0x7c00, 0x7f80},
                 {1e-45f, 0, 0},
                 {0, 0, 0},
                 {-0.0f, 0x8000, 0x8000}};
  for (size_t i = 0; i < SUMI_COUNT(special); i++) {
    assert_int_equal(sumi_f16_from_f32(special[i].x), special[i].half);
    assert_int_equal(sumi_bf16_from_f32(special[i].x), special[i].brain);
    assert_int_equal(sumi_minifloat_encode(&sumi_float16, (double)special[i].x, false), special[i].half);
    assert_int_equal(sumi_minifloat_encode(&sumi_bfloat16, (double)special[i].x, false), special[i].brain);
  }
  /* NaN stays NaN, whatever bits it has */
  static const uint32_t nan[] = {0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000};
  for (size_t i = 0; i < SUMI_COUNT(nan); i++) {
    assert_true(isnan(sumi_f32_from_f16(sumi_f16_from_f32(sumi_f32_from_bits(nan[i])))));
    assert_true(isnan(sumi_f32_from_bf16(sumi_bf16_from_f32(sumi_f32_from_bits(nan[i])))));
  }
  /* a double is rounded once: by way of float this tie would fall the other way */
  assert_int_equal(sumi_minifloat_encode(&sumi_float16, 1 + 0x1p-11 + 0x1p-40, false), 0x3c01);
}

static void test_e8m0(void **state) {
  (void)state;
  for (unsigned c = 0; c < 255; c++) {
    const double x = ldexp(1, (int)c - 127);
    assert_true(sumi_e8m0_decode((uint8_t)c) == x);
    for (int round = -1; round <= 1; round++)
      for (int saturate = 0; saturate < 2; saturate++)
        assert_int_equal(sumi_e8m0_encode(x, round, saturate), c);
    const unsigned next = c == 254 ? 255 : c + 1,
                   kept = c == 254 ? 254 : c + 1; /* beyond the largest: NaN, or kept */
    assert_int_equal(sumi_e8m0_encode(x * 1.001, -1, false), c);
    assert_int_equal(sumi_e8m0_encode(x * 1.001, 0, false), c);
    assert_int_equal(sumi_e8m0_encode(x * 1.001, 1, false), next);
    assert_int_equal(sumi_e8m0_encode(x * 1.001, 1, true), kept);
    assert_int_equal(sumi_e8m0_encode(x * 1.499, 0, false), c);
    assert_int_equal(sumi_e8m0_encode(x * 1.5, 0, false), next); /* ties go up */
    assert_int_equal(sumi_e8m0_encode(x * 1.999, -1, false), c);
  }
  assert_true(isnan(sumi_e8m0_decode(255)));
  assert_int_equal(sumi_e8m0_encode(NAN, 0, true), 255);
  assert_int_equal(sumi_e8m0_encode(INFINITY, 0, true), 254);
  assert_int_equal(sumi_e8m0_encode(INFINITY, 0, false), 255);
  assert_int_equal(sumi_e8m0_encode(0, 1, true), 0);
  assert_int_equal(sumi_e8m0_encode(0, 0, false), 255);
  assert_int_equal(sumi_e8m0_encode(1e-300, 0, true), 0);
  assert_int_equal(sumi_e8m0_encode(1e300, 0, true), 254);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_codes),         cmocka_unit_test(test_ties),
      cmocka_unit_test(test_special),       cmocka_unit_test(test_16_bit_decode),
      cmocka_unit_test(test_16_bit_encode), cmocka_unit_test(test_e8m0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
