/* Formats of libraries that only read: WebP and JPEG 2000 files that Pillow 13 wrote without loss, TIFF files made here,
 * and each of them damaged. A build without a library skips its format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "image/image.h"

enum { HEIGHT = 3, WIDTH = 5 };

/* The picture of all files. */
static void pixel(int y, int x, uint8_t rgb[3]) {
  rgb[0] = (uint8_t)(40 * x + 10);
  rgb[1] = (uint8_t)(70 * y + 5);
  rgb[2] = (uint8_t)(255 - 20 * x - 30 * y);
}

static const uint8_t webp_file[] = {82,  73,  70,  70,  82, 0,   0,   0,   87,  69,  66,  80,  86,  80,  56,
                                    76,  70,  0,   0,   0,  47,  4,   128, 0,   0,   119, 160, 160, 109, 27,
                                    54,  228, 238, 80,  43, 97,  182, 209, 189, 143, 164, 254, 52,  195, 33,
                                    204, 54,  146, 152, 63, 220, 189, 235, 112, 243, 31,  255, 7,   0,   232,
                                    70,  81,  20,  165, 27, 0,   0,   152, 138, 100, 227, 189, 135, 95,  35,
                                    139, 82,  178, 168, 36, 139, 96,  17,  253, 143, 106, 223, 137, 251, 4};
static const uint8_t jp2_file[] = {
    0,   0,   0,   12,  106, 80,  32,  32,  13,  10,  135, 10,  0,   0,   0,   20,  102, 116, 121, 112, 106,
    112, 50,  32,  0,   0,   0,   0,   106, 112, 50,  32,  0,   0,   0,   45,  106, 112, 50,  104, 0,   0,
    0,   22,  105, 104, 100, 114, 0,   0,   0,   3,   0,   0,   0,   5,   0,   3,   7,   7,   0,   0,   0,
    0,   0,   15,  99,  111, 108, 114, 1,   0,   0,   0,   0,   0,   16,  0,   0,   0,   187, 106, 112, 50,
    99,  255, 79,  255, 81,  0,   47,  0,   0,   0,   0,   0,   5,   0,   0,   0,   3,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   5,   0,   0,   0,   3,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    3,   7,   1,   1,   7,   1,   1,   7,   1,   1,   255, 82,  0,   12,  0,   0,   0,   1,   0,   0,   4,
    4,   0,   1,   255, 92,  0,   4,   64,  64,  255, 100, 0,   37,  0,   1,   67,  114, 101, 97,  116, 101,
    100, 32,  98,  121, 32,  79,  112, 101, 110, 74,  80,  69,  71,  32,  118, 101, 114, 115, 105, 111, 110,
    32,  50,  46,  53,  46,  52,  255, 144, 0,   10,  0,   0,   0,   0,   0,   67,  0,   1,   255, 147, 207,
    180, 64,  8,   231, 69,  93,  169, 8,   101, 136, 115, 186, 176, 148, 201, 173, 255, 127, 207, 180, 52,
    7,   155, 143, 65,  186, 238, 56,  147, 110, 119, 86,  81,  71,  207, 180, 60,  2,   43,  197, 144, 188,
    1,   72,  151, 16,  235, 230, 69,  179, 133, 31,  255, 217};

static void expect_picture(const void *bytes, size_t n, const char *format) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_image image = {.size = sizeof image};
  assert_string_equal(sumi_image_format(bytes, n), format);
  if (sumi_image_decode(bytes, n, NULL, &image, &err) != SUMI_OK) fail_msg("%s: %s", format, err.text);
  assert_int_equal(image.height, HEIGHT);
  assert_int_equal(image.width, WIDTH);
  for (int y = 0; y < HEIGHT; y++)
    for (int x = 0; x < WIDTH; x++) {
      uint8_t want[3];
      pixel(y, x, want);
      assert_memory_equal(image.rgb + (y * WIDTH + x) * 3, want, 3);
    }
  sumi_image_free(&image);
}

/* Bytes lead to a picture or to a sentence, and to nothing else. */
static void expect_sense(const void *bytes, size_t n) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_image image = {.size = sizeof image};
  const struct sumi_image_options options = {.size = sizeof options, .max_pixels = 1 << 16};
  const sumi_status status = sumi_image_decode(bytes, n, &options, &image, &err);
  assert_true((status == SUMI_OK) == (image.rgb != NULL));
  assert_true((status == SUMI_OK) == (err.text[0] == 0));
  sumi_image_free(&image);
}

/* Cut at every length, and with three bytes changed. */
static void damage(const uint8_t *bytes, size_t n) {
  struct sumi_random random;
  sumi_random_init(&random, 1);
  uint8_t *copy = malloc(n);
  assert_non_null(copy);
  for (size_t cut = 0; cut < n; cut++) {
    memcpy(copy, bytes, cut);
    expect_sense(copy, cut);
  }
  for (int round = 0; round < 1000; round++) {
    memcpy(copy, bytes, n);
    for (int k = 0; k < 3; k++)
      copy[4 + sumi_random_u64(&random) % (n - 4)] = (uint8_t)sumi_random_u64(&random);
    expect_sense(copy, n);
  }
  free(copy);
}

static void expect_limit(const uint8_t *bytes, size_t n) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_image image = {.size = sizeof image};
  const struct sumi_image_options options = {.size = sizeof options, .max_pixels = HEIGHT * WIDTH - 1};
  assert_int_equal(sumi_image_decode(bytes, n, &options, &image, &err), SUMI_E_LIMIT);
  assert_non_null(strstr(err.text, "3 pixels high and 5 wide, the limit is 14 pixels"));
}

static void webp(void **state) {
  (void)state;
  if (!sumi_image_can("webp")) skip();
  expect_picture(webp_file, sizeof webp_file, "webp");
  expect_limit(webp_file, sizeof webp_file);
  damage(webp_file, sizeof webp_file);
}

static void jpeg2000(void **state) {
  (void)state;
  if (!sumi_image_can("jpeg2000")) skip();
  expect_picture(jp2_file, sizeof jp2_file, "jpeg2000");
  expect_limit(jp2_file, sizeof jp2_file);
  damage(jp2_file, sizeof jp2_file);
}

/* ---- TIFF -------------------------------------------------------------------------------------------------------- */

struct tiff {
  uint8_t bytes[512];
  size_t n;
  bool big; /* the byte order */
};

static void put(struct tiff *t, uint32_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; i++) t->bytes[t->n++] = (uint8_t)(value >> 8 * (t->big ? n_bytes - 1 - i : i));
}

/* An entry of a directory: one number of 16 bits (type 3) or 32 bits (type 4), or where several stand. */
static void put_entry(struct tiff *t, int tag, int type, uint32_t count, uint32_t value) {
  put(t, (uint32_t)tag, 2);
  put(t, (uint32_t)type, 2);
  put(t, count, 4);
  put(t, value, type == 3 && count == 1 ? 2 : 4);
  if (type == 3 && count == 1) put(t, 0, 2);
}

/* Where a picture's pixel is stored: orientation 1..8 of TIFF 6.0, page 36. */
static void stored_at(int orientation, int y, int x, int *row, int *column) {
  const bool swap = orientation >= 5;
  const int k = (orientation - 1) & 3;
  const bool right = k == 1 || k == 2, bottom = k >= 2;
  const int from_y = bottom ? HEIGHT - 1 - y : y, from_x = right ? WIDTH - 1 - x : x;
  *row = swap ? from_x : from_y;
  *column = swap ? from_y : from_x;
}

/* One strip, not compressed. */
static void make_tiff(struct tiff *t, bool big, int orientation) {
  enum { DATA = 8, N_DATA = HEIGHT * WIDTH * 3, BITS = DATA + N_DATA + 1, DIRECTORY = BITS + 6 };
  const int height = orientation >= 5 ? WIDTH : HEIGHT, width = orientation >= 5 ? HEIGHT : WIDTH;
  *t = (struct tiff){.big = big};
  memcpy(t->bytes, big ? "MM" : "II", 2);
  t->n = 2;
  put(t, 42, 2);
  put(t, DIRECTORY, 4);
  for (int y = 0; y < HEIGHT; y++)
    for (int x = 0; x < WIDTH; x++) {
      int row, column;
      stored_at(orientation, y, x, &row, &column);
      pixel(y, x, t->bytes + DATA + (row * width + column) * 3);
    }
  t->n = BITS;
  for (int i = 0; i < 3; i++) put(t, 8, 2);
  put(t, 10, 2);
  put_entry(t, 256, 3, 1, (uint32_t)width);
  put_entry(t, 257, 3, 1, (uint32_t)height);
  put_entry(t, 258, 3, 3, BITS); /* bits per sample */
  put_entry(t, 259, 3, 1, 1);    /* not compressed */
  put_entry(t, 262, 3, 1, 2);    /* R G B */
  put_entry(t, 273, 4, 1, DATA); /* the strip */
  put_entry(t, 274, 3, 1, (uint32_t)orientation);
  put_entry(t, 277, 3, 1, 3); /* samples per pixel */
  put_entry(t, 278, 3, 1, (uint32_t)height);
  put_entry(t, 279, 4, 1, N_DATA);
  put(t, 0, 4);
}

static void tiff(void **state) {
  (void)state;
  if (!sumi_image_can("tiff")) skip();
  struct tiff t;
  for (int big = 0; big < 2; big++)
    for (int orientation = 1; orientation <= 8; orientation++) {
      make_tiff(&t, big, orientation);
      expect_picture(t.bytes, t.n, "tiff");
    }
  make_tiff(&t, false, 1);
  expect_limit(t.bytes, t.n);
  damage(t.bytes, t.n);
}

static void no_picture(void **state) {
  (void)state;
  assert_null(sumi_image_format("RIFF\4\0\0\0WAVE", 12));
  assert_null(sumi_image_format("", 0));
  assert_null(sumi_image_format(NULL, 0));
  assert_string_equal(sumi_image_format("P6\n", 3), "pnm");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(webp), cmocka_unit_test(jpeg2000),
                                     cmocka_unit_test(tiff), cmocka_unit_test(no_picture)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
