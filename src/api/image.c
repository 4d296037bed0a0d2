/* Pictures: argument checks around room image. */
#include <inttypes.h>
#include <sumi/image.h>

#include "api/api_int.h"
#include "image/image.h"

bool sumi_image_can(const char *format) {
  const struct sumi_image_codec *codec = format ? sumi_image_codec_find(format) : NULL;
  return codec && codec->decode;
}

const char *sumi_image_format(const void *bytes, size_t n_bytes) {
  const struct sumi_image_codec *codec = bytes ? sumi_image_codec_of(bytes, n_bytes) : NULL;
  return codec ? codec->name : NULL;
}

static bool image_is_ours(const struct sumi_image *image) { return image && image->size == sizeof *image; }

static void make_empty(struct sumi_image *image, const struct sumi_allocator *a) {
  *image = (struct sumi_image){.size = sizeof *image, .allocator = a};
}

static size_t bytes_of(int64_t height, int64_t width) { return (size_t)(height * width * 3); }

static uint8_t *start_image(void *user, int64_t height, int64_t width) {
  struct sumi_image *image = user;
  image->rgb = sumi_alloc(image->allocator, bytes_of(height, width));
  if (image->rgb) {
    image->height = height;
    image->width = width;
  }
  return image->rgb;
}

sumi_status sumi_image_decode(const void *bytes, size_t n_bytes, const struct sumi_image_options *options,
                              struct sumi_image *image, struct sumi_err *err) {
  struct sumi_image_options o;
  if (!bytes || !image_is_ours(image))
    SUMI_FAIL(err, SUMI_E_ARG, "bytes or image is missing, or image has another size");
  SUMI_TAKE(o, options);
  if (o.max_pixels < 0 || o.max_pixels > INT64_MAX / 64)
    SUMI_FAIL(err, SUMI_E_ARG, "max_pixels is out of range");
  make_empty(image, o.allocator ? o.allocator : sumi_allocator_default());
  const struct sumi_image_sink sink = {image, start_image};
  const sumi_status status = sumi_image_read(bytes, n_bytes, image->allocator,
                                             o.max_pixels ? o.max_pixels : SUMI_IMAGE_MAX_PIXELS, &sink, err);
  if (status != SUMI_OK) sumi_image_free(image);
  return status;
}

sumi_status sumi_image_encode(const struct sumi_image *image, const char *format, int quality,
                              const struct sumi_allocator *allocator, uint8_t **bytes, size_t *n_bytes,
                              struct sumi_err *err) {
  if (!image_is_ours(image) || !image->rgb || !format || !bytes || !n_bytes)
    SUMI_FAIL(err, SUMI_E_ARG, "image, format or result is missing");
  if (quality < 1 || quality > 100) SUMI_FAIL(err, SUMI_E_ARG, "quality is %d, not 1 to 100", quality);
  struct sumi_image_bytes out = {.allocator = allocator ? allocator : sumi_allocator_default()};
  SUMI_TRY(sumi_image_write(image->rgb, image->height, image->width, format, quality, &out, err));
  *bytes = sumi_alloc(out.allocator, out.size); /* exactly so many, for the allocator that frees them */
  *n_bytes = out.size;
  if (*bytes) memcpy(*bytes, out.data, out.size);
  sumi_image_bytes_fini(&out);
  if (!*bytes) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

void sumi_image_bytes_free(const struct sumi_allocator *allocator, uint8_t *bytes, size_t n_bytes) {
  sumi_free(allocator ? allocator : sumi_allocator_default(), bytes, n_bytes);
}

sumi_status sumi_image_resize(const struct sumi_image *image, int64_t height, int64_t width,
                              sumi_filter filter, struct sumi_image *resized, struct sumi_err *err) {
  if (!image_is_ours(image) || !image->rgb || !image_is_ours(resized) || image == resized)
    SUMI_FAIL(err, SUMI_E_ARG, "image or resized is missing, the same, or has another size");
  if (filter < SUMI_FILTER_NEAREST || filter > SUMI_FILTER_BICUBIC)
    SUMI_FAIL(err, SUMI_E_ARG, "filter %d is not known", (int)filter);
  if (height < 1 || width < 1)
    SUMI_FAIL(err, SUMI_E_ARG, "%" PRId64 " x %" PRId64 " pixels are asked for", height, width);
  make_empty(resized, image->allocator);
  SUMI_TRY(sumi_image_check(height, width, SUMI_IMAGE_MAX_PIXELS, err));
  SUMI_TRY(sumi_image_check(image->height, width, SUMI_IMAGE_MAX_PIXELS, err)); /* between the passes */
  if (!start_image(resized, height, width)) SUMI_FAIL_MEMORY(err);
  const sumi_status status = sumi_image_scale(image->rgb, image->height, image->width, resized->rgb, height,
                                              width, filter, image->allocator, err);
  if (status != SUMI_OK) sumi_image_free(resized);
  return status;
}

void sumi_image_free(struct sumi_image *image) {
  if (!image) return;
  if (image->rgb) sumi_free(image->allocator, image->rgb, bytes_of(image->height, image->width));
  image->rgb = NULL;
  image->height = image->width = 0;
}
