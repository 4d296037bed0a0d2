/* Pictures in memory: what the public functions (sumi/image.h) and the operators ImageDecoder, DecodeImage and EncodeImage
 * stand on.
 * Pixels are 8-bit R G B, row-major without gaps: rgb is [height, width, 3]. */
#ifndef SUMI_IMAGE_IMAGE_H
#define SUMI_IMAGE_IMAGE_H

#include <sumi/image.h>

#include "base/mem.h"
#include "base/status.h"

enum { SUMI_IMAGE_MAX_PIXELS = 128 << 20, SUMI_IMAGE_MAX_SIDE = 1 << 20, SUMI_IMAGE_MAX_SCANS = 128 };

/* Where a decoder's pixels go: called once, when the size is known and within the limits; NULL ends it as out of memory. */
struct sumi_image_sink {
  void *user;
  uint8_t *(*start)(void *user, int64_t height, int64_t width);
};

/* Encoded bytes that grow; zero but for allocator when empty. */
struct sumi_image_bytes {
  const struct sumi_allocator *allocator;
  uint8_t *data;
  size_t size, cap;
};

/* One format; bytes are borrowed for the call. */
struct sumi_image_codec {
  const char *name, *library;                    /* library NULL: none is needed */
  bool (*knows)(const uint8_t *bytes, size_t n); /* by the first bytes */
  sumi_status (*decode)(const uint8_t *bytes, size_t n, const struct sumi_allocator *a, int64_t max_pixels,
                        const struct sumi_image_sink *sink,
                        struct sumi_err *err); /* NULL: not in this build */
  sumi_status (*encode)(const uint8_t *rgb, int64_t height, int64_t width, int quality,
                        struct sumi_image_bytes *out, struct sumi_err *err);
  bool writes; /* false: the format is only read, and encode is NULL in every build */
};

extern const struct sumi_image_codec sumi_image_jpeg, sumi_image_png, sumi_image_webp, sumi_image_bmp,
    sumi_image_pnm, sumi_image_tiff, sumi_image_jpeg2000;

/* The codec of a format's name, "jpg" for "jpeg" among them; NULL: there is none. */
const struct sumi_image_codec *sumi_image_codec_find(const char *format);

/* The codec of what the bytes are, by the first of them; NULL: no picture. */
const struct sumi_image_codec *sumi_image_codec_of(const uint8_t *bytes, size_t n);

/* Decodes what the bytes are, or says why not. */
sumi_status sumi_image_read(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                            int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err);

/* Encodes to "jpeg", "jpg" or "png". On failure out is freed. */
sumi_status sumi_image_write(const uint8_t *rgb, int64_t height, int64_t width, const char *format,
                             int quality, struct sumi_image_bytes *out, struct sumi_err *err);

bool sumi_image_bytes_add(struct sumi_image_bytes *b, const void *bytes, size_t n); /* false: out of memory */
void sumi_image_bytes_fini(struct sumi_image_bytes *b);

/* SUMI_E_LIMIT unless both sides are at least 1 and at most SUMI_IMAGE_MAX_SIDE and the pixels at most max_pixels. */
sumi_status sumi_image_check(int64_t height, int64_t width, int64_t max_pixels, struct sumi_err *err);

/* to[height, width, 3] from the whole of from[from_height, from_width, 3]; scratch from a. */
sumi_status sumi_image_scale(const uint8_t *from, int64_t from_height, int64_t from_width, uint8_t *to,
                             int64_t height, int64_t width, sumi_filter filter,
                             const struct sumi_allocator *a, struct sumi_err *err);

#endif
