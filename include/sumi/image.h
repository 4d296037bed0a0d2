/* Pictures: files to 8-bit R G B in memory and back, and resizing as the field's evaluation scripts do it.
 *
 *   struct sumi_image image = {.size = sizeof image}, small = {.size = sizeof small};
 *   if (sumi_image_decode(bytes, n, NULL, &image, &err) == SUMI_OK &&
 *       sumi_image_resize(&image, 256, 256, SUMI_FILTER_BILINEAR, &small, &err) == SUMI_OK)
 *     use(small.rgb);
 *   sumi_image_free(&small);
 *   sumi_image_free(&image);
 *
 * Nothing here prints or aborts, whatever the bytes are. Different threads may work on different images. */
#ifndef SUMI_IMAGE_H
#define SUMI_IMAGE_H

#include <stdbool.h>
#include <sumi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sumi_image {
  size_t size; /* sizeof(struct sumi_image) */
  int64_t height, width;
  uint8_t *rgb;                           /* [height, width, 3] row-major */
  const struct sumi_allocator *allocator; /* of rgb */
};

/* How a resized pixel is made of its neighbours; all but NEAREST widen over as many pixels as become one. */
typedef enum sumi_filter { SUMI_FILTER_NEAREST, SUMI_FILTER_BILINEAR, SUMI_FILTER_BICUBIC } sumi_filter;

struct sumi_image_options {
  size_t size;
  const struct sumi_allocator *allocator; /* NULL = the C library's; must outlive the image */
  int64_t max_pixels;                     /* 0 = 134,217,728; larger pictures are SUMI_E_LIMIT */
};

/* Whether this build can read a format: "jpeg" (or "jpg") and "png", which it then can write as well, "webp", "bmp", "pnm",
 * "tiff", "jpeg2000". */
SUMI_API bool sumi_image_can(const char *format);

/* The format that a file's first bytes are of, by its name above, whether this build reads it or not; NULL: none. */
SUMI_API const char *sumi_image_format(const void *bytes, size_t n_bytes);

/* A picture in one of these formats, recognised by content. Grey, palettes, CMYK and Y Cb Cr become R G B, 16 bits become 8
 * by leaving off the low ones (PNM: by rounding), transparency is left off; of several pages or pictures the first is read,
 * and a TIFF is turned as it says. options may be NULL. SUMI_E_FORMAT: damaged or none of them;
 * SUMI_E_UNSUPPORTED: this build lacks the library; SUMI_E_LIMIT: too large. On failure image is empty. */
SUMI_API sumi_status sumi_image_decode(const void *bytes, size_t n_bytes,
                                       const struct sumi_image_options *options, struct sumi_image *image,
                                       struct sumi_err *err);

/* format "jpeg" (quality 1..100, 4:2:0) or "png" (quality is not looked at). *bytes of *n_bytes are freed by
 * sumi_image_bytes_free with the same allocator (NULL = the C library's). */
SUMI_API sumi_status sumi_image_encode(const struct sumi_image *image, const char *format, int quality,
                                       const struct sumi_allocator *allocator, uint8_t **bytes,
                                       size_t *n_bytes, struct sumi_err *err);
SUMI_API void sumi_image_bytes_free(const struct sumi_allocator *allocator, uint8_t *bytes, size_t n_bytes);

/* A new image of height x width from the whole of image, in image's allocator; equal bit by bit to what Pillow (up to
 * version 12) makes of it. */
SUMI_API sumi_status sumi_image_resize(const struct sumi_image *image, int64_t height, int64_t width,
                                       sumi_filter filter, struct sumi_image *resized, struct sumi_err *err);

/* Frees the pixels and empties the image; an empty one and NULL are allowed. */
SUMI_API void sumi_image_free(struct sumi_image *image);

#ifdef __cplusplus
}
#endif
#endif
