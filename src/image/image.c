/* The formats there are, limits, and encoded bytes. */
#include "image/image.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

static const struct sumi_image_codec *const codecs[] = {
    &sumi_image_jpeg, &sumi_image_png,  &sumi_image_webp,    &sumi_image_bmp,
    &sumi_image_pnm,  &sumi_image_tiff, &sumi_image_jpeg2000};

const struct sumi_image_codec *sumi_image_codec_find(const char *format) {
  for (size_t i = 0; i < SUMI_COUNT(codecs); i++)
    if (sumi_streq(codecs[i]->name, format) || (i == 0 && sumi_streq(format, "jpg"))) return codecs[i];
  return NULL;
}

sumi_status sumi_image_check(int64_t height, int64_t width, int64_t max_pixels, struct sumi_err *err) {
  if (height < 1 || width < 1)
    SUMI_FAIL(err, SUMI_E_FORMAT, "the picture is %" PRId64 " pixels high and %" PRId64 " wide", height,
              width);
  if (height > SUMI_IMAGE_MAX_SIDE || width > SUMI_IMAGE_MAX_SIDE || height * width > max_pixels)
    SUMI_FAIL(err, SUMI_E_LIMIT,
              "the picture is %" PRId64 " pixels high and %" PRId64 " wide, the limit is %" PRId64 " pixels",
              height, width, max_pixels);
  return SUMI_OK;
}

const struct sumi_image_codec *sumi_image_codec_of(const uint8_t *bytes, size_t n) {
  for (size_t i = 0; i < SUMI_COUNT(codecs); i++)
    if (codecs[i]->knows(bytes, n)) return codecs[i];
  return NULL;
}

sumi_status sumi_image_read(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                            int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  const struct sumi_image_codec *codec = sumi_image_codec_of(bytes, n);
  if (!codec)
    SUMI_FAIL(err, SUMI_E_FORMAT,
              "%zu bytes are no picture: none of JPEG, PNG, WebP, BMP, PNM, TIFF, JPEG 2000", n);
  if (!codec->decode)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "this build cannot read %s: it was made without %s", codec->name,
              codec->library);
  return codec->decode(bytes, n, a, max_pixels, sink, err);
}

sumi_status sumi_image_write(const uint8_t *rgb, int64_t height, int64_t width, const char *format,
                             int quality, struct sumi_image_bytes *out, struct sumi_err *err) {
  const struct sumi_image_codec *codec = sumi_image_codec_find(format);
  if (!codec || !codec->writes) SUMI_FAIL(err, SUMI_E_ARG, "format '%s' is none of jpeg, jpg, png", format);
  if (!codec->encode)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "this build cannot write %s: it was made without %s", format,
              codec->library);
  SUMI_TRY(sumi_image_check(height, width, SUMI_IMAGE_MAX_PIXELS, err));
  const sumi_status status = codec->encode(rgb, height, width, quality, out, err);
  if (status != SUMI_OK) sumi_image_bytes_fini(out);
  return status;
}

bool sumi_image_bytes_add(struct sumi_image_bytes *b, const void *bytes, size_t n) {
  size_t want;
  void *data = b->data;
  if (!sumi_size_add(b->size, n, &want) || !sumi_grow(b->allocator, &data, &b->cap, want, 1)) return false;
  b->data = data;
  if (n) memcpy(b->data + b->size, bytes, n);
  b->size = want;
  return true;
}

void sumi_image_bytes_fini(struct sumi_image_bytes *b) {
  sumi_free(b->allocator, b->data, b->cap);
  *b = (struct sumi_image_bytes){.allocator = b->allocator};
}
