/* PNM: the portable bitmaps, greymaps and pixmaps of Netpbm, P1 to P6, as text or bytes, samples of up to 16 bits. A file of
 * several pictures gives the first. Source: netpbm.sourceforge.net/doc/pbm.html, pgm.html, ppm.html. */
#include <ctype.h>
#include <inttypes.h>

#include "base/size.h"
#include "image/image.h"

enum { MAX_SAMPLE = 65535 };

struct pnm {
  const uint8_t *at, *end;
  int kind;     /* of P1 .. P6 */
  int64_t most; /* what white is */
};

static bool pnm_knows(const uint8_t *bytes, size_t n) {
  return n >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
         (isspace(bytes[2]) || bytes[2] == '#');
}

/* The next character that is no white space and in no comment; -1 at the end. It is not passed. */
static int next_mark(struct pnm *p) {
  bool comment = false;
  for (; p->at < p->end; p->at++) {
    if (comment || *p->at == '#')
      comment = *p->at != '\n' && *p->at != '\r';
    else if (!isspace(*p->at))
      return *p->at;
  }
  return -1;
}

/* A number of digits, -1 where there is none or it is above 10^9. */
static int64_t number(struct pnm *p) {
  int64_t value = -1;
  next_mark(p);
  for (; p->at < p->end && isdigit(*p->at); p->at++) {
    value = (value < 0 ? 0 : value) * 10 + (*p->at - '0');
    if (value > 1000000000) return -1;
  }
  return value;
}

static sumi_status read_header(struct pnm *p, int64_t *height, int64_t *width, struct sumi_err *err) {
  p->kind = p->at[1] - '0';
  p->at += 2;
  *width = number(p);
  *height = number(p);
  p->most = p->kind % 3 == 1 ? 1 : number(p);
  if (*width < 0 || *height < 0 || p->most < 1 || p->most > MAX_SAMPLE)
    SUMI_FAIL(err, SUMI_E_FORMAT,
              "damaged PNM: width, height or the greatest sample is missing or out of range");
  if (p->kind > 3 && p->at < p->end) p->at++; /* one white space */
  return SUMI_OK;
}

/* The next sample of text; bits may stand without space between them. */
static int64_t text_sample(struct pnm *p) {
  if (p->kind != 1) return number(p);
  const int c = next_mark(p);
  if (c != '0' && c != '1') return -1;
  p->at++;
  return c - '0';
}

static int64_t byte_sample(struct pnm *p) {
  const int bytes = p->most > 255 ? 2 : 1;
  if (p->end - p->at < bytes) return -1;
  const int64_t value = bytes == 2 ? p->at[0] << 8 | p->at[1] : p->at[0];
  p->at += bytes;
  return value;
}

/* Rounded to 8 bits; samples above white are white. */
static uint8_t scaled(const struct pnm *p, int64_t value) {
  return (uint8_t)((SUMI_MIN(value, p->most) * 255 + p->most / 2) / p->most);
}

/* One row; false where the file ends or a sample is missing. */
static bool read_row(struct pnm *p, int64_t width, uint8_t *rgb) {
  const bool colour = p->kind % 3 == 0, bitmap = p->kind % 3 == 1;
  const uint8_t *bits = p->at;
  if (p->kind == 4) { /* eight pixels a byte */
    if (p->end - p->at < (width + 7) / 8) return false;
    p->at += (width + 7) / 8;
  }
  for (int64_t i = 0; i < (colour ? 3 : 1) * width; i++) {
    const int64_t value = p->kind == 4  ? bits[i / 8] >> (7 - i % 8) & 1
                          : p->kind < 4 ? text_sample(p)
                                        : byte_sample(p);
    if (value < 0) return false;
    const uint8_t v = bitmap ? (value ? 0 : 255) : scaled(p, value);
    for (int c = 0; c < (colour ? 1 : 3); c++) *rgb++ = v;
  }
  return true;
}

static sumi_status pnm_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                              int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  (void)a;
  struct pnm p = {.at = bytes, .end = bytes + n};
  int64_t height, width;
  SUMI_TRY(read_header(&p, &height, &width, err));
  SUMI_TRY(sumi_image_check(height, width, max_pixels, err));
  uint8_t *rgb = sink->start(sink->user, height, width);
  if (!rgb) SUMI_FAIL_MEMORY(err);
  for (int64_t y = 0; y < height; y++)
    if (!read_row(&p, width, rgb + y * width * 3))
      SUMI_FAIL(err, SUMI_E_FORMAT, "damaged PNM: a sample of row %" PRId64 " is missing", y);
  return SUMI_OK;
}

const struct sumi_image_codec sumi_image_pnm = {"pnm", NULL, pnm_knows, pnm_decode, NULL};
