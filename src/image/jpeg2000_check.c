/* JPEG 2000 headers: ISO/IEC 15444-1, annex A (markers) and annex I (boxes). A decoder makes a record of every tile,
 * precinct and packet that a header speaks of, so a file of a hundred bytes can ask for gigabytes; OpenJPEG sets no limit of
 * its own and takes no allocator. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "image/jpeg2000.h"

enum {
  MAX_COMPONENTS = 5, /* four colours and transparency */
  SPARE_RECORDS = 1024,
  PIXELS_A_TILE = 1024,
  PIXELS_A_PRECINCT = 32,
  MAX_PACKETS = 1 << 26, /* precincts x resolutions x components x layers */
  MAX_LEVELS = 32
};
enum { SOC = 0xff4f, SIZ = 0xff51, COD = 0xff52, COC = 0xff53, SOT = 0xff90, SOD = 0xff93, EOC = 0xffd9 };

struct stream {
  const uint8_t *bytes;
  size_t n;
  int64_t max_pixels, height, width;
  int64_t components, layers, tiles;
  struct sumi_err *err;
};

static uint64_t number(const struct stream *s, size_t at, size_t bytes) {
  uint64_t v = 0;
  for (size_t i = 0; i < bytes; i++) v = v << 8 | (at + i < s->n ? s->bytes[at + i] : 0);
  return v;
}

static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* A limit of count records; the picture's size pays for more. */
static sumi_status check_records(const struct stream *s, const char *what, int64_t count,
                                 int64_t pixels_each) {
  const int64_t most = SPARE_RECORDS + s->height * s->width / pixels_each;
  if (count > most)
    SUMI_FAIL(s->err, SUMI_E_LIMIT,
              "the JPEG 2000 picture has %" PRId64 " %s, the limit for its size is %" PRId64, count, what,
              most);
  return SUMI_OK;
}

static sumi_status read_size(struct stream *s, size_t at) {
  int64_t v[8]; /* Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz */
  for (size_t i = 0; i < SUMI_COUNT(v); i++) v[i] = (int64_t)number(s, at + 4 + 4 * i, 4);
  s->components = (int64_t)number(s, at + 36, 2);
  s->width = v[0] - v[2];
  s->height = v[1] - v[3];
  SUMI_TRY(sumi_image_check(s->height, s->width, s->max_pixels, s->err));
  if (s->components < 1 || s->components > MAX_COMPONENTS || !v[4] || !v[5] || v[6] > v[2] || v[7] > v[3])
    SUMI_FAIL(s->err, SUMI_E_FORMAT,
              "damaged JPEG 2000: %" PRId64 " components in tiles of %" PRId64 " x %" PRId64, s->components,
              v[4], v[5]);
  s->tiles = up(v[0] - v[6], v[4]) * up(v[1] - v[7], v[5]);
  return check_records(s, "tiles", s->tiles, PIXELS_A_TILE);
}

/* SPcod or SPcoc at `at`: levels, code-blocks, style, transform, then a byte of precinct sizes for every resolution. */
static sumi_status read_precincts(const struct stream *s, size_t at, bool sizes) {
  const int64_t levels = (int64_t)number(s, at, 1);
  int64_t count = 0;
  if (levels > MAX_LEVELS) SUMI_FAIL(s->err, SUMI_E_FORMAT, "damaged JPEG 2000: %" PRId64 " levels", levels);
  for (int64_t r = 0; r <= levels; r++) {
    const int size = sizes ? (int)number(s, at + 5 + (size_t)r, 1) : 0xff;
    const int64_t height = up(s->height, (int64_t)1 << (levels - r)),
                  width = up(s->width, (int64_t)1 << (levels - r));
    count += up(height, (int64_t)1 << (size >> 4)) * up(width, (int64_t)1 << (size & 15));
  }
  SUMI_TRY(check_records(s, "precincts", count, PIXELS_A_PRECINCT));
  const int64_t packets = count * (levels + 1) * s->components;
  if (packets > MAX_PACKETS / SUMI_MAX(s->layers, 1))
    SUMI_FAIL(s->err, SUMI_E_LIMIT,
              "the JPEG 2000 picture has %" PRId64 " layers of up to %" PRId64 " packets", s->layers,
              packets);
  return SUMI_OK;
}

/* The marker segment at `at`, its marker passed. */
static sumi_status read_segment(struct stream *s, uint64_t marker, size_t at) {
  if (marker == SIZ) return read_size(s, at);
  if (marker == COD) {
    s->layers = (int64_t)number(s, at + 4, 2);
    return read_precincts(s, at + 7, number(s, at + 2, 1) & 1);
  }
  return marker == COC ? read_precincts(s, at + 4, number(s, at + 3, 1) & 1) : SUMI_OK;
}

/* From SOC to where the file, or what can be followed, ends. */
static sumi_status read_stream(struct stream *s, size_t at) {
  size_t part_end = 0;
  at += 2;
  while (at + 4 <= s->n) {
    const uint64_t marker = number(s, at, 2), length = number(s, at + 2, 2);
    if (marker == EOC) break;
    if (marker == SOD && part_end > at) {
      at = part_end;
      continue;
    }
    if (marker < 0xff00 || marker == SOD || length < 2) break;
    if (!s->components && marker != SIZ) break;
    if (marker == SOT) {
      const uint64_t bytes = number(s, at + 6, 4);
      part_end = bytes ? at + (size_t)bytes : s->n;
    }
    SUMI_TRY(read_segment(s, marker, at + 2));
    at += 2 + (size_t)length;
  }
  if (!s->components) SUMI_FAIL(s->err, SUMI_E_FORMAT, "damaged JPEG 2000: it does not start with a size");
  return SUMI_OK;
}

/* The codestream of a JP2 file; jp2h is entered, its palette looked at. */
static sumi_status read_boxes(struct stream *s) {
  for (size_t at = 0; at + 8 <= s->n;) {
    uint64_t bytes = number(s, at, 4), header = 8;
    const uint8_t *kind = s->bytes + at + 4;
    if (bytes == 1) bytes = number(s, at + 8, 8), header = 16;
    if (!memcmp(kind, "jp2c", 4)) {
      if (number(s, at + header, 2) != SOC) break;
      return read_stream(s, at + header);
    }
    if (!memcmp(kind, "pclr", 4) && number(s, at + header + 2, 1) > MAX_COMPONENTS)
      SUMI_FAIL(s->err, SUMI_E_LIMIT, "the JPEG 2000 picture has a palette of %d columns",
                (int)number(s, at + header + 2, 1));
    if (bytes < header || bytes > s->n - at) break;
    at += memcmp(kind, "jp2h", 4) ? bytes : header;
  }
  SUMI_FAIL(s->err, SUMI_E_FORMAT, "damaged JPEG 2000: no codestream is found");
}

sumi_status sumi_jpeg2000_check(const uint8_t *bytes, size_t n, int64_t max_pixels, bool *boxed,
                                struct sumi_err *err) {
  struct stream s = {.bytes = bytes, .n = n, .max_pixels = max_pixels, .err = err};
  *boxed = number(&s, 0, 2) != SOC;
  return *boxed ? read_boxes(&s) : read_stream(&s, 0);
}
