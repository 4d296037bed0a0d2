/* Pictures: files written by Pillow 13 and its pixels, resizing against Pillow, round trips, and damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "image/image.h"

static const uint8_t cmyk_jpeg[] = {
    255, 216, 255, 238, 0,  14, 65, 100, 111, 98, 101, 0,   100, 0,  0,  0,   0,   0,   255, 219, 0,  67, 0,
    2,   1,   1,   1,   1,  1,  2,  1,   1,   1,  2,   2,   2,   2,  2,  4,   3,   2,   2,   2,   2,  5,  4,
    4,   3,   4,   6,   5,  6,  6,  6,   5,   6,  6,   6,   7,   9,  8,  6,   7,   9,   7,   6,   6,  8,  11,
    8,   9,   10,  10,  10, 10, 10, 6,   8,   11, 12,  11,  10,  12, 9,  10,  10,  10,  255, 192, 0,  20, 8,
    0,   2,   0,   2,   4,  67, 17, 0,   77,  17, 0,   89,  17,  0,  75, 17,  0,   255, 196, 0,   21, 0,  1,
    1,   0,   0,   0,   0,  0,  0,  0,   0,   0,  0,   0,   0,   0,  0,  9,   7,   255, 196, 0,   20, 16, 1,
    0,   0,   0,   0,   0,  0,  0,  0,   0,   0,  0,   0,   0,   0,  0,  0,   255, 218, 0,   14,  4,  67, 0,
    77,  0,   89,  0,   75, 0,  0,  63,  0,   54, 201, 162, 216, 97, 31, 255, 217,
};
static const uint8_t grey_jpeg[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,   1,   0,  0,   1,   0,   1,   0,   0,   255,
    219, 0,   67,  0,   3,   2,   2,   3,   2,   2,   3,   3,   3,   3,  4,   3,   3,   4,   5,   8,   5,
    5,   4,   4,   5,   10,  7,   7,   6,   8,   12,  10,  12,  12,  11, 10,  11,  11,  13,  14,  18,  16,
    13,  14,  17,  14,  11,  11,  16,  22,  16,  17,  19,  20,  21,  21, 21,  12,  15,  23,  24,  22,  20,
    24,  18,  20,  21,  20,  255, 194, 0,   11,  8,   0,   3,   0,   24, 1,   1,   17,  0,   255, 196, 0,
    20,  0,   1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,   0,   0,   0,   7,   255, 218,
    0,   8,   1,   1,   0,   0,   0,   1,   9,   107, 107, 255, 196, 0,  22,  16,  0,   3,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   5,  255, 218, 0,   8,   1,   1,   0,
    1,   5,   2,   146, 137, 40,  146, 143, 255, 196, 0,   21,  16,  1,  1,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   255, 218, 0,   8,  1,   1,   0,   6,   63,  2,   136,
    143, 255, 196, 0,   22,  16,  0,   3,   0,   0,   0,   0,   0,   0,  0,   0,   0,   0,   0,   0,   0,
    0,   0,   1,   65,  255, 218, 0,   8,   1,   1,   0,   1,   63,  33, 92,  139, 145, 114, 127, 255, 218,
    0,   8,   1,   1,   0,   0,   0,   16,  159, 255, 196, 0,   21,  16, 1,   1,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   65,  0,   255, 218, 0,  8,   1,   1,   0,   1,   63,  16,
    40,  69,  8,   161, 127, 255, 217,
};
static const uint8_t palette_png[] = {
    137, 80,  78,  71, 13,  10,  26, 10,  0,  0,   0,   13,  73,  72,  68,  82,  0,   0,   0,   3,
    0,   0,   0,   2,  4,   3,   0,  0,   0,  111, 90,  123, 41,  0,   0,   0,   18,  80,  76,  84,
    69,  10,  20,  30, 40,  50,  60, 70,  80, 90,  100, 110, 120, 130, 140, 150, 160, 170, 180, 44,
    3,   129, 8,   0,  0,   0,   6,  116, 82, 78,  83,  0,   255, 128, 255, 255, 255, 73,  37,  80,
    52,  0,   0,   0,  14,  73,  68, 65,  84, 120, 156, 99,  100, 148, 103, 49,  150, 1,   0,   1,
    27,  0,   117, 17, 201, 102, 63, 0,   0,  0,   0,   73,  69,  78,  68,  174, 66,  96,  130,
};
static const uint8_t grey_row[] = {3,   13,  23,  33,  44,  53,  63,  73,  83,  93,  103, 112,
                                   124, 133, 143, 153, 163, 174, 183, 193, 204, 213, 223, 233};

static struct sumi_image decode(const void *bytes, size_t n) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_image image = {.size = sizeof image};
  if (sumi_image_decode(bytes, n, NULL, &image, &err) != SUMI_OK) fail_msg("%s", err.text);
  return image;
}

static void expect_refusal(const void *bytes, size_t n, int64_t max_pixels, sumi_status status,
                           const char *text) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_image image = {.size = sizeof image};
  const struct sumi_image_options options = {.size = sizeof options, .max_pixels = max_pixels};
  assert_int_equal(sumi_image_decode(bytes, n, &options, &image, &err), status);
  assert_null(image.rgb);
  if (text) assert_string_equal(err.text, text);
}

static void jpeg_cmyk(void **state) {
  (void)state;
  static const uint8_t pixel[] = {49, 181, 137};
  struct sumi_image image = decode(cmyk_jpeg, sizeof cmyk_jpeg);
  assert_int_equal(image.height, 2);
  assert_int_equal(image.width, 2);
  for (int i = 0; i < 4; i++) assert_memory_equal(image.rgb + 3 * i, pixel, 3);
  sumi_image_free(&image);
  assert_null(image.rgb);
}

static void jpeg_grey_progressive(void **state) {
  (void)state;
  struct sumi_image image = decode(grey_jpeg, sizeof grey_jpeg);
  assert_int_equal(image.height, 3);
  assert_int_equal(image.width, 24);
  for (int x = 0; x < 24; x++)
    for (int c = 0; c < 3; c++) assert_int_equal(image.rgb[(24 + x) * 3 + c], grey_row[x]);
  sumi_image_free(&image);
}

static void png_palette(void **state) {
  (void)state;
  struct sumi_image image = decode(palette_png, sizeof palette_png);
  assert_int_equal(image.height, 2);
  assert_int_equal(image.width, 3);
  for (int i = 0; i < 18; i++) assert_int_equal(image.rgb[i], 10 * (i + 1));
  sumi_image_free(&image);
}

/* 5 x 3 pixels of 8 bits in runs, pixels one by one and a step; colour i is (3 i, 255 - 16 i, 16 i). */
static const uint8_t runs_bmp[] = {
    66, 77, 142, 0,   0,  0, 0,   0,   0,  0, 118, 0,   0,  0, 40,  0,   0,  0, 5,   0,   0,  0, 3,   0,
    0,  0,  1,   0,   8,  0, 1,   0,   0,  0, 24,  0,   0,  0, 0,   0,   0,  0, 0,   0,   0,  0, 16,  0,
    0,  0,  0,   0,   0,  0, 0,   255, 0,  0, 16,  239, 3,  0, 32,  223, 6,  0, 48,  207, 9,  0, 64,  191,
    12, 0,  80,  175, 15, 0, 96,  159, 18, 0, 112, 143, 21, 0, 128, 127, 24, 0, 144, 111, 27, 0, 160, 95,
    30, 0,  176, 79,  33, 0, 192, 63,  36, 0, 208, 47,  39, 0, 224, 31,  42, 0, 240, 15,  45, 0, 3,   1,
    2,  2,  0,   0,   0,  3, 4,   5,   6,  0, 0,   2,   1,  0, 1,   7,   0,  0, 5,   9,   0,  1};
static const uint8_t runs_index[] = {9, 9, 9, 9, 9, 4, 5, 6, 0, 7, 1, 1, 1, 2, 2};

static void bmp_runs(void **state) {
  (void)state;
  struct sumi_image image = decode(runs_bmp, sizeof runs_bmp);
  assert_int_equal(image.height, 3);
  assert_int_equal(image.width, 5);
  for (int i = 0; i < 15; i++) {
    const int k = runs_index[i];
    const uint8_t want[] = {(uint8_t)(3 * k), (uint8_t)(255 - 16 * k), (uint8_t)(16 * k)};
    assert_memory_equal(image.rgb + 3 * i, want, 3);
  }
  sumi_image_free(&image);
}

static void pnm(void **state) {
  (void)state;
  static const char text[] = "P3 # red\n2 1 31\n31 0 15 1 2 99", bits[] = "P4\n9 1\n\x80\x80",
                    deep[] = "P5 1 1 65535\n\x7f\xff";
  static const uint8_t text_want[] = {255, 0, 123, 8, 16, 255};
  struct sumi_image image = decode(text, sizeof text - 1);
  assert_memory_equal(image.rgb, text_want, sizeof text_want);
  sumi_image_free(&image);
  image = decode(bits, sizeof bits - 1);
  for (int x = 0; x < 9; x++) assert_int_equal(image.rgb[3 * x], x % 8 ? 255 : 0);
  sumi_image_free(&image);
  image = decode(deep, sizeof deep - 1);
  assert_int_equal(image.rgb[2], 127);
  sumi_image_free(&image);
  expect_refusal(text, sizeof text - 4, 0, SUMI_E_FORMAT, NULL);
  expect_refusal("P6\n70000 70000\n255\n", 20, 0, SUMI_E_LIMIT, NULL);
}

/* A picture of bytes (37 i + 11) mod 256. */
static struct sumi_image made(int64_t height, int64_t width) {
  struct sumi_image image = {
      .size = sizeof image, .height = height, .width = width, .allocator = sumi_allocator_default()};
  image.rgb = sumi_alloc(image.allocator, (size_t)(height * width * 3));
  for (int64_t i = 0; i < height * width * 3; i++) image.rgb[i] = (uint8_t)(37 * i + 11);
  return image;
}

static const uint8_t bilinear_down[] = {
    122, 95,  117, 154, 124, 100, 126, 163, 129, 113, 127, 164, 125, 110, 147, 150, 161, 83,  115, 152,
    97,  104, 124, 161, 121, 101, 125, 144, 102, 108, 126, 141, 142, 136, 106, 143, 144, 121, 115, 133,
    148, 114, 98,  135, 141, 170, 102, 139, 156, 109, 104, 122, 131, 108, 94,  131, 130, 126, 96,  133,
};
static const uint8_t bilinear_up[] = {
    11,  48,  85,  39,  76,  113, 94,  131, 168, 122, 159, 196, 100, 34, 71,  102, 62,  99,  106, 117,
    154, 108, 145, 182, 233, 14,  51,  197, 42,  79,  124, 97,  134, 88, 125, 162, 213, 147, 31,  177,
    137, 59,  104, 115, 114, 68,  105, 142, 199, 236, 17,  163, 200, 45, 90,  127, 100, 54,  91,  128,
};
static const uint8_t bicubic_down[] = {
    121, 89,  122, 161, 127, 98,  121, 167, 128, 111, 128, 167, 128, 106, 148, 157, 169, 78,  107, 158,
    99,  94,  116, 168, 125, 97,  123, 152, 102, 101, 120, 149, 145, 133, 96,  150, 153, 116, 105, 140,
    156, 110, 89,  139, 147, 175, 97,  145, 159, 104, 95,  125, 137, 102, 87,  136, 135, 127, 89,  135,
};
static const uint8_t bicubic_up[] = {
    0,   41,  78,  21,  74,  111, 98, 139, 176, 136, 172, 209, 88,  15, 65,  95,  52,  98,  107, 123,
    163, 114, 160, 196, 246, 4,   41, 203, 37,  74,  118, 102, 139, 75, 135, 172, 235, 162, 17,  188,
    145, 50,  97,  113, 115, 50,  96, 148, 209, 255, 4,   166, 219, 37, 81,  122, 102, 38,  74,  135,
};
static const uint8_t nearest_down[] = {
    97,  134, 171, 63,  100, 137, 29,  66, 103, 251, 32, 69, 47,  84,  121, 13,  50,  87,
    235, 16,  53,  201, 238, 19,  253, 34, 71,  219, 0,  37, 185, 222, 3,   151, 188, 225,
};

static void resize(void **state) {
  (void)state;
  static const struct {
    int64_t from_height, from_width, height, width;
    sumi_filter filter;
    const uint8_t *want;
  } cases[] = {{7, 9, 4, 5, SUMI_FILTER_BILINEAR, bilinear_down},
               {3, 2, 5, 4, SUMI_FILTER_BILINEAR, bilinear_up},
               {7, 9, 4, 5, SUMI_FILTER_BICUBIC, bicubic_down},
               {3, 2, 5, 4, SUMI_FILTER_BICUBIC, bicubic_up},
               {7, 9, 3, 4, SUMI_FILTER_NEAREST, nearest_down}};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct sumi_image from = made(cases[i].from_height, cases[i].from_width), to = {.size = sizeof to};
    assert_int_equal(sumi_image_resize(&from, cases[i].height, cases[i].width, cases[i].filter, &to, NULL),
                     SUMI_OK);
    assert_memory_equal(to.rgb, cases[i].want, (size_t)(cases[i].height * cases[i].width * 3));
    sumi_image_free(&to);
    sumi_image_free(&from);
  }
}

static void round_trips(void **state) {
  (void)state;
  struct sumi_image image = made(33, 47);
  for (int64_t y = 0; y < 33; y++) /* smooth: JPEG keeps it */
    for (int64_t x = 0; x < 47; x++)
      for (int c = 0; c < 3; c++) image.rgb[(y * 47 + x) * 3 + c] = (uint8_t)(3 * y + 2 * x + 10 * c);
  static const char *const formats[] = {"png", "jpeg"};
  for (int i = 0; i < 2; i++) {
    uint8_t *bytes;
    size_t n;
    assert_int_equal(sumi_image_encode(&image, formats[i], 95, NULL, &bytes, &n, NULL), SUMI_OK);
    struct sumi_image back = decode(bytes, n);
    assert_int_equal(back.height, 33);
    assert_int_equal(back.width, 47);
    for (int k = 0; k < 33 * 47 * 3; k++) assert_in_range(abs(back.rgb[k] - image.rgb[k]), 0, i ? 6 : 0);
    sumi_image_free(&back);
    for (size_t cut = 0; cut + 40 < n; cut += 11) expect_refusal(bytes, cut, 0, SUMI_E_FORMAT, NULL);
    expect_refusal(bytes, n, 33 * 47 - 1, SUMI_E_LIMIT,
                   "the picture is 33 pixels high and 47 wide, the limit is 1550 pixels");
    sumi_image_bytes_free(NULL, bytes, n);
  }
  sumi_image_free(&image);
}

/* Any bytes lead to a picture or a sentence. */
static void damaged(void **state) {
  (void)state;
  static const struct {
    const uint8_t *bytes;
    size_t n;
  } files[] = {
      {cmyk_jpeg, sizeof cmyk_jpeg}, {grey_jpeg, sizeof grey_jpeg}, {palette_png, sizeof palette_png}};
  struct sumi_random random;
  sumi_random_init(&random, 1);
  for (int round = 0; round < 3000; round++) {
    uint8_t bytes[512];
    const size_t n = files[round % 3].n;
    memcpy(bytes, files[round % 3].bytes, n);
    for (int k = 0; k < 3; k++)
      bytes[3 + sumi_random_u64(&random) % (n - 3)] = (uint8_t)sumi_random_u64(&random);
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_image image = {.size = sizeof image};
    const struct sumi_image_options options = {.size = sizeof options, .max_pixels = 1 << 16};
    const sumi_status status = sumi_image_decode(bytes, n, &options, &image, &err);
    assert_true((status == SUMI_OK) == (image.rgb != NULL));
    assert_true((status == SUMI_OK) == (err.text[0] == 0));
    sumi_image_free(&image);
  }
  expect_refusal("BM", 2, 0, SUMI_E_FORMAT,
                 "2 bytes are no picture: none of JPEG, PNG, WebP, BMP, PNM, TIFF, JPEG 2000");
  expect_refusal("", 0, 0, SUMI_E_FORMAT, NULL);
}

static void arguments(void **state) {
  (void)state;
  struct sumi_image image = made(2, 2), other = {.size = sizeof other};
  uint8_t *bytes;
  size_t n;
  assert_int_equal(sumi_image_resize(&image, 0, 5, SUMI_FILTER_BILINEAR, &other, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_image_resize(&image, 1 << 20, 1 << 20, SUMI_FILTER_BILINEAR, &other, NULL),
                   SUMI_E_LIMIT);
  assert_int_equal(sumi_image_encode(&image, "gif", 90, NULL, &bytes, &n, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_image_encode(&image, "png", 0, NULL, &bytes, &n, NULL), SUMI_E_ARG);
  assert_false(sumi_image_can("gif"));
  sumi_image_free(&image);
  sumi_image_free(NULL);
}

int main(void) {
  const struct CMUnitTest jpeg[] = {cmocka_unit_test(jpeg_cmyk), cmocka_unit_test(jpeg_grey_progressive)};
  const struct CMUnitTest png[] = {cmocka_unit_test(png_palette)};
  const struct CMUnitTest both[] = {cmocka_unit_test(round_trips), cmocka_unit_test(damaged)};
  const struct CMUnitTest always[] = {cmocka_unit_test(resize), cmocka_unit_test(arguments),
                                      cmocka_unit_test(bmp_runs), cmocka_unit_test(pnm)};
  int failed = cmocka_run_group_tests(always, NULL, NULL);
  if (sumi_image_can("jpeg")) failed += cmocka_run_group_tests(jpeg, NULL, NULL);
  if (sumi_image_can("png")) failed += cmocka_run_group_tests(png, NULL, NULL);
  if (sumi_image_can("jpeg") && sumi_image_can("png")) failed += cmocka_run_group_tests(both, NULL, NULL);
  return failed;
}
