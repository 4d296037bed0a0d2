/* A picture as a network's input: decode, resize, cut from the centre, normalise, lay out. Pictures may be hostile:
 * decoding is the library's, which bounds them; what comes after works on sizes it checked. */
#include "common/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sumi/image.h>

#include "common/npy.h"

enum { MAX_SIDE = 16384 };

/* "224" gives 224 for both and *square; "320x240" is width x height. */
static bool parse_size(const char *text, int64_t *width, int64_t *height, bool *square) {
  int64_t dims[SUMI_MAX_RANK];
  int rank;
  if (!cli_parse_shape(text, dims, &rank) || rank < 1 || rank > 2) return false;
  *square = rank == 1;
  *width = dims[0];
  *height = dims[rank - 1];
  return *width > 0 && *height > 0 && *width <= MAX_SIDE && *height <= MAX_SIDE;
}

static bool parse_filter(const char *text, sumi_filter *filter) {
  static const char *const names[] = {"nearest", "bilinear", "bicubic"};
  *filter = SUMI_FILTER_BILINEAR;
  if (!text) return true;
  for (size_t i = 0; i < CLI_COUNT(names); i++)
    if (strcmp(text, names[i]) == 0) return *filter = (sumi_filter)i, true;
  return false;
}

static bool parse_channels(const char *text, double otherwise, double out[3]) {
  const int n = text ? cli_parse_numbers(text, out, 3) : 0;
  if (n == 0)
    for (int i = 0; i < 3; i++) out[i] = otherwise;
  if (n == 1) out[1] = out[2] = out[0];
  return n == 0 || n == 1 || n == 3;
}

int cli_picture_check(const struct cli_picture_options *o) {
  int64_t w, h;
  bool square;
  sumi_filter filter;
  double three[3];
  if (o->size && !parse_size(o->size, &w, &h, &square)) return cli_wrong("--size: '%s' is no size", o->size);
  if (o->crop && !parse_size(o->crop, &w, &h, &square)) return cli_wrong("--crop: '%s' is no size", o->crop);
  if (!parse_filter(o->filter, &filter))
    return cli_wrong("--filter is nearest, bilinear or bicubic, not '%s'", o->filter);
  if (!parse_channels(o->mean, 0, three))
    return cli_wrong("--mean takes one or three numbers, not '%s'", o->mean);
  if (!parse_channels(o->std, 1, three))
    return cli_wrong("--std takes one or three numbers, not '%s'", o->std);
  if (three[0] == 0 || three[1] == 0 || three[2] == 0) return cli_wrong("--std: nothing is divided by zero");
  if (o->layout && strcmp(o->layout, "NCHW") && strcmp(o->layout, "NHWC"))
    return cli_wrong("--layout is NCHW or NHWC, not '%s'", o->layout);
  return CLI_GO_ON;
}

/* Where channel, height and width lie among the dims of the port, and what the model fixes of them (-1 = open). */
struct place {
  int channel, height, width;
  int64_t channels, h, w;
};

static sumi_status find_place(const struct sumi_port_info *port, const char *layout, struct place *p,
                              struct sumi_err *err) {
  const int first = port->rank - 3; /* without a batch dim: 0 */
  if (port->kind != SUMI_TENSOR || port->rank < 3 || port->rank > 4)
    return cli_fail(err, SUMI_E_SHAPE, "a picture is no input for '%s', which has not 3 or 4 dims",
                    port->name);
  const int64_t *d = port->dims + first;
  const bool last =
      layout ? strcmp(layout, "NHWC") == 0 : !(d[0] == 1 || d[0] == 3) && (d[2] == 1 || d[2] == 3);
  p->channel = first + (last ? 2 : 0);
  p->height = first + (last ? 0 : 1);
  p->width = p->height + 1;
  p->channels = port->dims[p->channel] < 0 ? 3 : port->dims[p->channel];
  p->h = port->dims[p->height];
  p->w = port->dims[p->width];
  if (p->channels == 1 || p->channels == 3) return SUMI_OK;
  return cli_fail(err, SUMI_E_SHAPE, "'%s' has %lld channels, a picture has 1 or 3", port->name,
                  (long long)p->channels);
}

static sumi_status resize(struct sumi_image *image, int64_t width, int64_t height, sumi_filter filter,
                          struct sumi_err *err) {
  if (image->width == width && image->height == height) return SUMI_OK;
  if (width > MAX_SIDE || height > MAX_SIDE)
    return cli_fail(err, SUMI_E_LIMIT, "resizing to %lld x %lld", (long long)width, (long long)height);
  struct sumi_image resized = {.size = sizeof resized};
  const sumi_status status = sumi_image_resize(image, height, width, filter, &resized, err);
  if (status != SUMI_OK) return status;
  sumi_image_free(image);
  *image = resized;
  return SUMI_OK;
}

/* Resizes as asked, or to what the model fixes; says which part is to be cut out. */
static sumi_status fit(struct sumi_image *image, const struct cli_picture_options *o, const struct place *p,
                       int64_t *width, int64_t *height, struct sumi_err *err) {
  bool square = false;
  int64_t w = 0, h = 0;
  sumi_filter filter;
  parse_filter(o->filter, &filter);
  if (o->size) {
    parse_size(o->size, &w, &h, &square);
    if (square && image->width < image->height)
      h = w * image->height / image->width;
    else if (square)
      w = h * image->width / image->height;
  } else if (!o->crop && p->w > 0 && p->h > 0) {
    w = p->w, h = p->h;
  }
  if (w > 0 && h > 0) {
    const sumi_status status = resize(image, w, h, filter, err);
    if (status != SUMI_OK) return status;
  }
  *width = p->w > 0 ? p->w : image->width;
  *height = p->h > 0 ? p->h : image->height;
  if (o->crop) parse_size(o->crop, width, height, &square);
  if (*width <= image->width && *height <= image->height) return SUMI_OK;
  return cli_fail(err, SUMI_E_SHAPE, "%lld x %lld cannot be cut from a picture of %lld x %lld: say --size",
                  (long long)*width, (long long)*height, (long long)image->width, (long long)image->height);
}

/* Brightness as ITU-R BT.601 weighs it, in Pillow's integers. */
static double grey(const uint8_t *rgb) {
  return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

static void fill(struct cli_tensor *t, const struct place *p, const struct cli_picture_options *o,
                 const struct sumi_image *image, int64_t width, int64_t height) {
  double mean[3], std[3];
  const double scale = o->scale != 0 ? o->scale : 1;
  parse_channels(o->mean, 0, mean);
  parse_channels(o->std, 1, std);
  const int64_t top = (int64_t)nearbyint((double)(image->height - height) / 2);
  const int64_t left = (int64_t)nearbyint((double)(image->width - width) / 2);
  const bool last = p->channel > p->height;
  const int64_t step_c = last ? 1 : height * width, step_x = last ? p->channels : 1;
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++) {
      const uint8_t *rgb = image->rgb + ((top + y) * image->width + left + x) * 3;
      for (int64_t c = 0; c < p->channels; c++) {
        const double v = p->channels == 1 ? grey(rgb) : rgb[o->bgr ? 2 - c : c];
        cli_tensor_put(t, c * step_c + (y * width + x) * step_x, (v * scale - mean[c]) / std[c]);
      }
    }
}

sumi_status cli_picture_parse(const struct sumi_port_info *port, const struct cli_picture_options *o,
                              const uint8_t *bytes, size_t n, struct cli_tensor **out, struct sumi_err *err) {
  struct place place = {0};
  struct sumi_image image = {.size = sizeof image};
  int64_t width = 0, height = 0, dims[SUMI_MAX_RANK] = {1};
  sumi_status status = find_place(port, o->layout, &place, err);
  if (status == SUMI_OK) status = sumi_image_decode(bytes, n, NULL, &image, err);
  if (status == SUMI_OK) status = fit(&image, o, &place, &width, &height, err);
  if (status == SUMI_OK) {
    dims[place.channel] = place.channels;
    dims[place.height] = height;
    dims[place.width] = width;
    *out = cli_tensor_new(port->name, port->dtype, port->rank, dims);
    if (!*out || !cli_tensor_puts(port->dtype)) {
      cli_tensor_free(*out);
      *out = NULL;
      status = cli_fail(err, SUMI_E_TYPE, "a picture cannot become %s", sumi_dtype_name(port->dtype));
    } else {
      fill(*out, &place, o, &image, width, height);
    }
  }
  sumi_image_free(&image);
  return status;
}
