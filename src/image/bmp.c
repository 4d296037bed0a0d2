/* BMP: Windows and OS/2 bitmaps of 1, 4, 8, 16, 24 and 32 bits a pixel, plain, run-length coded or with bit masks. Sources:
 * Microsoft, "Bitmap Storage" (BITMAPCOREHEADER to BITMAPV5HEADER). JPEG and PNG inside are for printers: refused. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "image/image.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, MASKS_AT = FILE_HEADER + INFO_HEADER };
enum { PLAIN, RUNS_8, RUNS_4, MASKS, MASKS_AND_ALPHA = 6 };

struct bitmap {
  const uint8_t *bytes;
  size_t n, pixels; /* pixels: where they start */
  int64_t height, width;
  bool top_down;
  uint32_t bits, packing;
  uint32_t mask[3];        /* red, green, blue */
  uint8_t palette[256][3]; /* r, g, b */
  uint8_t *rgb;
};

static bool bmp_knows(const uint8_t *bytes, size_t n) {
  return n > FILE_HEADER + 4 && bytes[0] == 'B' && bytes[1] == 'M';
}

/* Little-endian numbers; 0 behind the end. */
static uint32_t u16(const struct bitmap *b, size_t at) {
  return at + 2 > b->n ? 0 : (uint32_t)(b->bytes[at] | b->bytes[at + 1] << 8);
}
static uint32_t u32(const struct bitmap *b, size_t at) { return u16(b, at) | u16(b, at + 2) << 16; }

static void read_palette(struct bitmap *b, size_t at, size_t entry_bytes, uint32_t used) {
  const size_t most = (size_t)1 << b->bits, count = used && used < most ? used : most;
  for (size_t i = 0; i < count && at + 3 <= b->n; i++, at += entry_bytes)
    for (int c = 0; c < 3; c++) b->palette[i][c] = b->bytes[at + 2 - (size_t)c];
}

static void read_masks(struct bitmap *b) {
  static const uint32_t usual[][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
  for (int c = 0; c < 3; c++)
    b->mask[c] = b->packing == PLAIN ? usual[b->bits != 16][c] : u32(b, MASKS_AT + 4 * (size_t)c);
}

static sumi_status read_header(struct bitmap *b, struct sumi_err *err) {
  const uint32_t header = u32(b, FILE_HEADER);
  const bool core = header == CORE_HEADER;
  size_t palette;
  if ((!core && header < INFO_HEADER) || !sumi_size_add(FILE_HEADER, header, &palette) || palette > b->n)
    SUMI_FAIL(err, SUMI_E_FORMAT, "damaged BMP: its header has %" PRIu32 " bytes", header);
  b->pixels = u32(b, 10);
  b->width = core ? (int64_t)u16(b, 18) : (int32_t)u32(b, 18);
  b->height = core ? (int64_t)u16(b, 20) : (int32_t)u32(b, 22);
  b->bits = u16(b, core ? 24 : 28);
  b->packing = core ? PLAIN : u32(b, 30);
  b->top_down = b->height < 0;
  if (b->top_down) b->height = -b->height;
  const bool runs = (b->packing == RUNS_8 && b->bits == 8) || (b->packing == RUNS_4 && b->bits == 4);
  const bool masks =
      (b->packing == MASKS || b->packing == MASKS_AND_ALPHA) && (b->bits == 16 || b->bits == 32);
  const bool known =
      b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32;
  if (!known || (b->packing != PLAIN && !runs && !masks) || (runs && b->top_down))
    SUMI_FAIL(err, SUMI_E_FORMAT, "a BMP of %" PRIu32 " bits a pixel and compression %" PRIu32 " is not read",
              b->bits, b->packing);
  if (b->bits <= 8) read_palette(b, palette, core ? 3 : 4, core ? 0 : u32(b, 46));
  if (b->bits == 16 || b->bits == 32) read_masks(b);
  return SUMI_OK;
}

/* Row y of the picture as it is stored, from the top. */
static uint8_t *row_of(const struct bitmap *b, int64_t y) {
  return b->rgb + (b->top_down ? y : b->height - 1 - y) * b->width * 3;
}

static void masked_row(const struct bitmap *b, const uint8_t *from, uint8_t *to) {
  int shift[3];
  uint32_t most[3];
  for (int c = 0; c < 3; c++) {
    shift[c] = b->mask[c] ? __builtin_ctz(b->mask[c]) : 0;
    most[c] = b->mask[c] >> shift[c];
  }
  for (int64_t x = 0; x < b->width; x++, from += b->bits / 8) {
    uint32_t word = (uint32_t)(from[0] | from[1] << 8);
    if (b->bits == 32) word |= (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
    for (int c = 0; c < 3; c++)
      *to++ = (uint8_t)(most[c] ? (uint64_t)((word & b->mask[c]) >> shift[c]) * 255 / most[c] : 0);
  }
}

static void plain_row(const struct bitmap *b, const uint8_t *from, uint8_t *to) {
  for (int64_t x = 0; x < b->width; x++, to += 3) {
    if (b->bits == 24) {
      for (int c = 0; c < 3; c++) to[c] = from[3 * x + 2 - c];
    } else { /* the first pixel has the highest bits */
      const int64_t bit = x * b->bits;
      const int index = from[bit / 8] >> (8 - b->bits - bit % 8) & ((1 << b->bits) - 1);
      memcpy(to, b->palette[index], 3);
    }
  }
}

static sumi_status read_rows(const struct bitmap *b, struct sumi_err *err) {
  const size_t row = (size_t)(b->width * b->bits + 31) / 32 * 4;
  for (int64_t y = 0; y < b->height; y++) {
    const size_t at = b->pixels + (size_t)y * row;
    const size_t needed = (size_t)(b->width * b->bits + 7) / 8; /* the last row's padding may be missing */
    if (at > b->n || b->n - at < needed)
      SUMI_FAIL(err, SUMI_E_FORMAT, "damaged BMP: the file ends too early");
    (b->bits == 16 || b->bits == 32 ? masked_row : plain_row)(b, b->bytes + at, row_of(b, y));
  }
  return SUMI_OK;
}

/* n pixels from (x, y) on, alternately of the two colours; what lies outside is passed over. */
static void put_run(const struct bitmap *b, int64_t x, int64_t y, int n, const uint8_t colour[2]) {
  for (int i = 0; i < n && y < b->height && x + i < b->width; i++)
    memcpy(row_of(b, y) + 3 * (x + i), b->palette[colour[i % 2]], 3);
}

/* n pixels one by one from 4 or 8 bits each. */
static void put_pixels(const struct bitmap *b, int64_t x, int64_t y, int n, const uint8_t *from) {
  for (int i = 0; i < n; i++) {
    const uint8_t colour[2] = {(uint8_t)(b->bits == 8 ? from[i]
                                         : i % 2      ? from[i / 2] & 15
                                                      : from[i / 2] >> 4),
                               0};
    put_run(b, x + i, y, 1, colour);
  }
}

/* Pairs of bytes: (n, colour) a run; (0, 0) the end of the row, (0, 1) of the picture, (0, 2) a step by the next two bytes,
 * (0, n) n pixels one by one, filled up to an even number of bytes. */
static sumi_status read_runs(const struct bitmap *b, struct sumi_err *err) {
  int64_t x = 0, y = 0;
  for (int64_t i = 0; i < b->height * b->width; i++) memcpy(b->rgb + 3 * i, b->palette[0], 3);
  for (size_t at = b->pixels; at <= b->n && b->n - at >= 2 && y < b->height;) {
    const int n = b->bytes[at], what = b->bytes[at + 1];
    at += 2;
    if (n) {
      const uint8_t two[] = {(uint8_t)(b->bits == 8 ? what : what >> 4),
                             (uint8_t)(b->bits == 8 ? what : what & 15)};
      put_run(b, x, y, n, two);
      x += n;
    } else if (what == 0) {
      x = 0;
      y++;
    } else if (what == 1) {
      return SUMI_OK;
    } else {
      const size_t bytes = what == 2 ? 2 : ((size_t)what * b->bits + 15) / 16 * 2;
      if (b->n - at < bytes) break;
      if (what == 2)
        y += b->bytes[at + 1];
      else
        put_pixels(b, x, y, what, b->bytes + at);
      x += what == 2 ? b->bytes[at] : what;
      at += bytes;
    }
  }
  if (y < b->height) SUMI_FAIL(err, SUMI_E_FORMAT, "damaged BMP: the file ends too early");
  return SUMI_OK;
}

static sumi_status decode_steps(struct bitmap *b, int64_t max_pixels, const struct sumi_image_sink *sink,
                                struct sumi_err *err) {
  SUMI_TRY(read_header(b, err));
  SUMI_TRY(sumi_image_check(b->height, b->width, max_pixels, err));
  b->rgb = sink->start(sink->user, b->height, b->width);
  if (!b->rgb) SUMI_FAIL_MEMORY(err);
  return b->packing == RUNS_8 || b->packing == RUNS_4 ? read_runs(b, err) : read_rows(b, err);
}

static sumi_status bmp_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                              int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  (void)a;
  struct bitmap b = {.bytes = bytes, .n = n};
  return decode_steps(&b, max_pixels, sink, err);
}

const struct sumi_image_codec sumi_image_bmp = {"bmp", NULL, bmp_knows, bmp_decode, NULL};
