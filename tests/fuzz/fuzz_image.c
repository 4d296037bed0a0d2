/* libFuzzer target: any bytes as a picture. What is taken is resized, written as PNG and read again, which must give
 * the same pixels. */
#include <string.h>
#include <sumi/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good) {
  if (!good) __builtin_trap();
}

static void check_again(const struct sumi_image *image) {
  struct sumi_image back = {.size = sizeof back};
  uint8_t *bytes;
  size_t n;
  check(sumi_image_encode(image, "png", 90, NULL, &bytes, &n, NULL) == SUMI_OK);
  check(sumi_image_decode(bytes, n, NULL, &back, NULL) == SUMI_OK);
  check(back.height == image->height && back.width == image->width);
  check(!memcmp(back.rgb, image->rgb, (size_t)(image->height * image->width * 3)));
  sumi_image_free(&back);
  sumi_image_bytes_free(NULL, bytes, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const struct sumi_image_options options = {.size = sizeof options, .max_pixels = 1 << 16};
  struct sumi_image image = {.size = sizeof image}, other = {.size = sizeof other};
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_image_decode(data, n, &options, &image, &err);
  check(status == SUMI_OK ? image.rgb != NULL : image.rgb == NULL && err.status == status && err.text[0]);
  if (status != SUMI_OK) return 0;
  check_again(&image);
  for (int f = SUMI_FILTER_NEAREST; f <= SUMI_FILTER_BICUBIC; f++) {
    check(sumi_image_resize(&image, 1 + image.width % 31, 1 + image.height % 29, (sumi_filter)f, &other,
                            NULL) == SUMI_OK);
    sumi_image_free(&other);
  }
  sumi_image_free(&image);
  return 0;
}
