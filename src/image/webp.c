/* WebP through libwebp, transparency left off. It allocates with the C library, in proportion to the size of the picture. */
#include "image/image.h"

#include <string.h>

static bool webp_knows(const uint8_t *bytes, size_t n) {
  return n >= 12 && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4);
}

#ifdef SUMI_HAVE_WEBP

#include <webp/decode.h>

static sumi_status webp_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                               int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  (void)a;
  WebPBitstreamFeatures f;
  if (WebPGetFeatures(bytes, n, &f) != VP8_STATUS_OK)
    SUMI_FAIL(err, SUMI_E_FORMAT, "damaged WebP: its header");
  if (f.has_animation) SUMI_FAIL(err, SUMI_E_FORMAT, "the WebP picture moves");
  SUMI_TRY(sumi_image_check(f.height, f.width, max_pixels, err));
  uint8_t *rgb = sink->start(sink->user, f.height, f.width);
  if (!rgb) SUMI_FAIL_MEMORY(err);
  if (!WebPDecodeRGBInto(bytes, n, rgb, (size_t)f.height * (size_t)f.width * 3, f.width * 3))
    SUMI_FAIL(err, SUMI_E_FORMAT, "damaged WebP");
  return SUMI_OK;
}

#define DECODE webp_decode
#else
#define DECODE NULL
#endif

const struct sumi_image_codec sumi_image_webp = {"webp", "libwebp", webp_knows, DECODE, NULL};
