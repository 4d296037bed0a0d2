/* PNG through libpng. Its errors are jumps: they end in decode() and encode() here, never beyond, and nothing it says
 * is printed. Its memory comes from the given allocator, and what a chunk may ask for is bounded. */
#include "image/image.h"

#include <string.h>

static bool png_knows(const uint8_t *bytes, size_t n) {
  return n >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8);
}

#ifdef SUMI_HAVE_PNG

#include <setjmp.h>
#include <stdio.h>

#include <png.h>

#include "base/sized.h"

enum { MAX_CHUNK_BYTES = 8 << 20, MAX_CHUNKS = 128 };

struct job {
  png_structp png;
  png_infop info;
  const struct sumi_allocator *allocator;
  jmp_buf jump;
  sumi_status status; /* what a jump means */
  char text[160];
  const uint8_t *bytes; /* decoding: what is left */
  size_t n;
  int64_t max_pixels;
  const struct sumi_image_sink *sink;
  struct sumi_image_bytes *out; /* encoding */
};

static void on_error(png_structp png, png_const_charp text) {
  struct job *job = png_get_error_ptr(png);
  snprintf(job->text, sizeof job->text, "%s", text);
  longjmp(job->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void *take(png_structp png, png_alloc_size_t bytes) {
  const struct job *job = png_get_mem_ptr(png);
  return sumi_alloc_sized(job->allocator, bytes);
}

static void give(png_structp png, void *block) {
  const struct job *job = png_get_mem_ptr(png);
  sumi_free_sized(job->allocator, block);
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

static void on_read(png_structp png, png_bytep to, size_t n) {
  struct job *job = png_get_io_ptr(png);
  if (n > job->n) png_error(png, "the file ends too early");
  memcpy(to, job->bytes, n);
  job->bytes += n;
  job->n -= n;
}

/* Everything becomes 8-bit R G B. */
static void set_transforms(png_structp png) {
  png_set_strip_16(png);
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
}

static sumi_status decode_steps(struct job *job, struct sumi_err *err) {
  png_structp png = job->png;
  png_set_user_limits(png, SUMI_IMAGE_MAX_SIDE, SUMI_IMAGE_MAX_SIDE);
  png_set_chunk_cache_max(png, MAX_CHUNKS);
  png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
  png_set_read_fn(png, job, on_read);
  png_read_info(png, job->info);
  const int64_t height = png_get_image_height(png, job->info), width = png_get_image_width(png, job->info);
  SUMI_TRY(sumi_image_check(height, width, job->max_pixels, err));
  set_transforms(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, job->info);
  if (png_get_rowbytes(png, job->info) != (size_t)width * 3)
    SUMI_FAIL(err, SUMI_E_INTERNAL, "a row of the PNG is not 3 bytes a pixel");
  uint8_t *rgb = job->sink->start(job->sink->user, height, width);
  if (!rgb) SUMI_FAIL_MEMORY(err);
  for (int pass = 0; pass < passes; pass++) /* interlaced rows are completed pass by pass */
    for (int64_t y = 0; y < height; y++) png_read_row(png, rgb + y * width * 3, NULL);
  return SUMI_OK;
}

static sumi_status png_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                              int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  struct job *job = sumi_alloc(a, sizeof *job);
  if (!job) SUMI_FAIL_MEMORY(err);
  *job = (struct job){.allocator = a, .bytes = bytes, .n = n, .max_pixels = max_pixels, .sink = sink};
  sumi_status status;
  if (setjmp(job->jump) == 0) {
    job->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job, take, give);
    job->info = job->png ? png_create_info_struct(job->png) : NULL;
    status = job->info ? decode_steps(job, err) : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  } else {
    status = sumi_err_set(err, SUMI_E_FORMAT, "damaged PNG: %s", job->text);
  }
  png_destroy_read_struct(&job->png, &job->info, NULL);
  sumi_free(a, job, sizeof *job);
  return status;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void on_write(png_structp png, png_bytep from, size_t n) {
  struct job *job = png_get_io_ptr(png);
  if (sumi_image_bytes_add(job->out, from, n)) return;
  job->status = SUMI_E_MEMORY;
  png_error(png, "out of memory");
}

static void on_flush(png_structp png) { (void)png; }

/* Fast rather than small: one filter, runs only. */
static void encode_steps(struct job *job, const uint8_t *rgb, int64_t height, int64_t width) {
  enum { LEVEL = 1, RUNS = 3 /* zlib's Z_RLE */ };
  png_structp png = job->png;
  png_set_user_limits(png, SUMI_IMAGE_MAX_SIDE, SUMI_IMAGE_MAX_SIDE);
  png_set_write_fn(png, job, on_write, on_flush);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
  png_set_compression_level(png, LEVEL);
  png_set_compression_strategy(png, RUNS);
  png_set_IHDR(png, job->info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, job->info);
  for (int64_t y = 0; y < height; y++) png_write_row(png, rgb + y * width * 3);
  png_write_end(png, job->info);
}

static sumi_status png_encode(const uint8_t *rgb, int64_t height, int64_t width, int quality,
                              struct sumi_image_bytes *out, struct sumi_err *err) {
  (void)quality;
  struct job *job = sumi_alloc(out->allocator, sizeof *job);
  if (!job) SUMI_FAIL_MEMORY(err);
  *job = (struct job){.allocator = out->allocator, .out = out, .status = SUMI_E_VALUE};
  sumi_status status = SUMI_OK;
  if (setjmp(job->jump) == 0) {
    job->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job, take, give);
    job->info = job->png ? png_create_info_struct(job->png) : NULL;
    if (job->info)
      encode_steps(job, rgb, height, width);
    else
      status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  } else {
    status = sumi_err_set(err, job->status, "no PNG: %s", job->text);
  }
  png_destroy_write_struct(&job->png, &job->info);
  sumi_free(out->allocator, job, sizeof *job);
  return status;
}

#define DECODE png_decode
#define ENCODE png_encode
#else
#define DECODE NULL
#define ENCODE NULL
#endif

const struct sumi_image_codec sumi_image_png = {"png", "libpng", png_knows, DECODE, ENCODE, true};
