/* TIFF through libtiff 4.5 or later, whose errors come to the job and not to a handler of the whole process. The first
 * page, turned as its orientation says; transparency is left off. What the library allocates of its own is bounded block
 * by block. */
#include "image/image.h"

#include <string.h>

static bool tiff_knows(const uint8_t *bytes, size_t n) {
  return n >= 4 && (!memcmp(bytes, "II*\0", 4) || !memcmp(bytes, "MM\0*", 4) || !memcmp(bytes, "II+\0", 4) ||
                    !memcmp(bytes, "MM\0+", 4));
}

#ifdef SUMI_HAVE_TIFF

#include <stdarg.h>
#include <stdio.h>

#include <tiffio.h>

#include "base/size.h"

enum { SPARE_BYTES = 64 << 20, BYTES_A_PIXEL = 16 };

struct job {
  const uint8_t *bytes;
  size_t n, at;
  const struct sumi_allocator *allocator;
  char text[1024]; /* the first complaint; the size that TIFFRGBAImageBegin() asks for */
  TIFF *tiff;
  uint32_t *raster; /* [height, width] as stored */
  size_t raster_bytes;
};

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
  struct job *job = user;
  (void)tiff, (void)module;
  if (!job->text[0]) vsnprintf(job->text, sizeof job->text, format, args);
  return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
  (void)tiff, (void)user, (void)module, (void)format, (void)args;
  return 1;
}

static tmsize_t on_read(thandle_t user, void *to, tmsize_t n) {
  struct job *job = user;
  const size_t left = job->at < job->n ? job->n - job->at : 0;
  const size_t size = n < 0 ? 0 : SUMI_MIN((size_t)n, left);
  if (size) memcpy(to, job->bytes + job->at, size);
  job->at += size;
  return (tmsize_t)size;
}

static tmsize_t on_write(thandle_t user, void *from, tmsize_t n) {
  (void)user, (void)from, (void)n;
  return 0;
}

static toff_t on_seek(thandle_t user, toff_t offset, int whence) {
  struct job *job = user;
  const size_t base = whence == SEEK_CUR ? job->at : whence == SEEK_END ? job->n : 0;
  size_t at;
  if (!sumi_size_add(base, (size_t)offset, &at)) return (toff_t)-1;
  return job->at = at;
}

static toff_t on_size(thandle_t user) { return ((struct job *)user)->n; }
static int on_close(thandle_t user) { return (void)user, 0; }

static bool open_tiff(struct job *job, int64_t max_pixels) {
  TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
  if (!o) return false;
  TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)(max_pixels * BYTES_A_PIXEL + SPARE_BYTES));
  TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, job);
  TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, job);
  job->tiff =
      TIFFClientOpenExt("picture", "rm", job, on_read, on_write, on_seek, on_close, on_size, NULL, NULL, o);
  TIFFOpenOptionsFree(o);
  return job->tiff != NULL;
}

/* Colours that are not multiplied by their alpha are to stay as they are: so the library treats associated alpha. */
static void leave_alpha(TIFF *tiff) {
  uint16_t n = 0, *kinds = NULL;
  uint16_t associated[] = {EXTRASAMPLE_ASSOCALPHA};
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &n, &kinds);
  if (n == 1 && kinds[0] == EXTRASAMPLE_UNASSALPHA) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, associated);
}

/* from[height, width] as stored to rgb. Orientation 1..8: where the first row and the first column of what is stored lie:
 * top left, top right, bottom right, bottom left; left top, right top, right bottom, left bottom. */
static void turn(const uint32_t *from, int64_t height, int64_t width, int orientation, uint8_t *rgb) {
  const bool swap = orientation >= 5,
             right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7,
             bottom = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const int64_t out_width = swap ? height : width, out_height = swap ? width : height;
  for (int64_t r = 0; r < height; r++)
    for (int64_t k = 0; k < width; k++) {
      const int64_t y = swap ? k : r, x = swap ? r : k;
      uint8_t *to =
          rgb + ((bottom ? out_height - 1 - y : y) * out_width + (right ? out_width - 1 - x : x)) * 3;
      const uint32_t pixel = from[r * width + k];
      to[0] = (uint8_t)TIFFGetR(pixel);
      to[1] = (uint8_t)TIFFGetG(pixel);
      to[2] = (uint8_t)TIFFGetB(pixel);
    }
}

static bool read_raster(struct job *job, uint32_t height, uint32_t width) {
  TIFFRGBAImage image;
  if (!TIFFRGBAImageBegin(&image, job->tiff, 1, job->text)) return false;
  image.orientation = image.req_orientation = ORIENTATION_TOPLEFT; /* turn() does it, for all eight */
  const int good = TIFFRGBAImageGet(&image, job->raster, width, height);
  TIFFRGBAImageEnd(&image);
  return good;
}

static sumi_status decode_steps(struct job *job, int64_t max_pixels, const struct sumi_image_sink *sink,
                                struct sumi_err *err) {
  uint32_t width = 0, height = 0;
  uint16_t orientation = 0;
  if (!open_tiff(job, max_pixels)) SUMI_FAIL(err, SUMI_E_FORMAT, "damaged TIFF: %s", job->text);
  TIFFGetField(job->tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(job->tiff, TIFFTAG_IMAGELENGTH, &height);
  SUMI_TRY(sumi_image_check(height, width, max_pixels, err));
  TIFFGetFieldDefaulted(job->tiff, TIFFTAG_ORIENTATION, &orientation);
  leave_alpha(job->tiff);
  job->raster_bytes = (size_t)height * width * sizeof *job->raster;
  job->raster = sumi_alloc(job->allocator, job->raster_bytes);
  if (!job->raster) SUMI_FAIL_MEMORY(err);
  if (!read_raster(job, height, width)) SUMI_FAIL(err, SUMI_E_FORMAT, "damaged TIFF: %s", job->text);
  const bool swap = orientation >= 5 && orientation <= 8;
  uint8_t *rgb = sink->start(sink->user, swap ? width : height, swap ? height : width);
  if (!rgb) SUMI_FAIL_MEMORY(err);
  turn(job->raster, height, width, orientation > 8 ? 1 : orientation, rgb);
  return SUMI_OK;
}

static sumi_status tiff_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                               int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  struct job job = {.bytes = bytes, .n = n, .allocator = a};
  const sumi_status status = decode_steps(&job, max_pixels, sink, err);
  if (job.tiff) TIFFClose(job.tiff);
  sumi_free(a, job.raster, job.raster_bytes);
  return status;
}

#define DECODE tiff_decode
#else
#define DECODE NULL
#endif

const struct sumi_image_codec sumi_image_tiff = {"tiff", "libtiff 4.5", tiff_knows, DECODE, NULL};
