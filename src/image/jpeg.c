/* JPEG through libjpeg-turbo. Its errors are jumps: they end in decode() and encode() here, never beyond, and nothing
 * it says is printed. What it allocates of its own is bounded by the size of the picture. */
#include "image/image.h"

static bool jpeg_knows(const uint8_t *bytes, size_t n) {
  return n >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

#ifdef SUMI_HAVE_JPEG

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it */

#include <jpeglib.h>

#include <jerror.h>

#include "base/size.h"

/* What both directions share; it comes first in their jobs, so that a library's struct leads to it. */
struct errors {
  struct jpeg_error_mgr manager;
  jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr c) {
  struct errors *e = (struct errors *)c->err;
  e->manager.format_message(c, e->text);
  longjmp(e->jump, 1);
}

static void on_text(j_common_ptr c) { (void)c; }

/* Warnings are passed over, but for the one that says the rest of the picture is made up. */
static void on_message(j_common_ptr c, int level) {
  if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) on_error(c);
}

static struct jpeg_error_mgr *errors_init(struct errors *e) {
  jpeg_std_error(&e->manager);
  e->manager.error_exit = on_error;
  e->manager.output_message = on_text;
  e->manager.emit_message = on_message;
  return &e->manager;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

struct decoder {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_progress_mgr progress;
  struct errors errors;
  const uint8_t *bytes;
  size_t n;
  int64_t max_pixels;
  const struct sumi_image_sink *sink;
};

/* A progressive file may hold any number of scans over the whole picture. */
static void on_progress(j_common_ptr c) {
  if (((j_decompress_ptr)c)->input_scan_number > SUMI_IMAGE_MAX_SCANS) {
    c->err->msg_code = JERR_BAD_PROGRESSION;
    on_error(c);
  }
}

/* n pixels of cyan, magenta, yellow and black to red, green and blue; as Adobe writes them, 255 is no ink. */
static void cmyk_row(const JSAMPLE *cmyk, int64_t n, bool inverted, uint8_t *rgb) {
  for (int64_t i = 0; i < n; i++) {
    const int black = inverted ? cmyk[4 * i + 3] : 255 - cmyk[4 * i + 3];
    for (int c = 0; c < 3; c++) {
      const int ink = inverted ? 255 - cmyk[4 * i + c] : cmyk[4 * i + c];
      rgb[3 * i + c] = (uint8_t)(black - (2 * ink * black + 255) / 510);
    }
  }
}

static sumi_status decode_steps(struct decoder *d, struct sumi_err *err) {
  struct jpeg_decompress_struct *j = &d->jpeg;
  jpeg_create_decompress(j);
  j->progress = &d->progress;
  d->progress.progress_monitor = on_progress;
  jpeg_mem_src(j, d->bytes, (unsigned long)d->n);
  jpeg_read_header(j, TRUE);
  SUMI_TRY(sumi_image_check(j->image_height, j->image_width, d->max_pixels, err));
  const bool cmyk = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
  j->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  j->mem->max_memory_to_use = (long)(16 * (int64_t)j->image_height * (int64_t)j->image_width + (64 << 20));
  jpeg_start_decompress(j);
  uint8_t *rgb = d->sink->start(d->sink->user, j->output_height, j->output_width);
  if (!rgb) SUMI_FAIL_MEMORY(err);
  JSAMPARRAY row = j->mem->alloc_sarray((j_common_ptr)j, JPOOL_IMAGE, j->output_width * 4, 1);
  while (j->output_scanline < j->output_height) {
    uint8_t *to = rgb + (size_t)j->output_scanline * j->output_width * 3;
    JSAMPROW direct = to;
    jpeg_read_scanlines(j, cmyk ? row : &direct, 1);
    if (cmyk) cmyk_row(row[0], j->output_width, j->saw_Adobe_marker, to);
  }
  return SUMI_OK;
}

static sumi_status jpeg_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                               int64_t max_pixels, const struct sumi_image_sink *sink, struct sumi_err *err) {
  struct decoder *d = sumi_alloc(a, sizeof *d);
  if (!d) SUMI_FAIL_MEMORY(err);
  d->bytes = bytes;
  d->n = n;
  d->max_pixels = max_pixels;
  d->sink = sink;
  d->jpeg.err = errors_init(&d->errors);
  sumi_status status;
  if (setjmp(d->errors.jump) == 0)
    status = decode_steps(d, err);
  else
    status = sumi_err_set(err, SUMI_E_FORMAT, "damaged JPEG: %s", d->errors.text);
  jpeg_destroy_decompress(&d->jpeg);
  sumi_free(a, d, sizeof *d);
  return status;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

struct encoder {
  struct jpeg_compress_struct jpeg;
  struct jpeg_destination_mgr destination;
  struct errors errors;
  struct sumi_image_bytes *out;
  JOCTET piece[1 << 14];
};

static void start_piece(j_compress_ptr c) {
  struct encoder *e = (struct encoder *)c;
  e->destination.next_output_byte = e->piece;
  e->destination.free_in_buffer = sizeof e->piece;
}

static boolean flush_piece(j_compress_ptr c) {
  struct encoder *e = (struct encoder *)c;
  if (!sumi_image_bytes_add(e->out, e->piece, sizeof e->piece)) ERREXIT1(c, JERR_OUT_OF_MEMORY, 0);
  start_piece(c);
  return TRUE;
}

static void end_piece(j_compress_ptr c) {
  struct encoder *e = (struct encoder *)c;
  if (!sumi_image_bytes_add(e->out, e->piece, sizeof e->piece - e->destination.free_in_buffer))
    ERREXIT1(c, JERR_OUT_OF_MEMORY, 0);
}

static void encode_steps(struct encoder *e, const uint8_t *rgb, int64_t height, int64_t width, int quality) {
  struct jpeg_compress_struct *j = &e->jpeg;
  jpeg_create_compress(j);
  e->destination.init_destination = start_piece;
  e->destination.empty_output_buffer = flush_piece;
  e->destination.term_destination = end_piece;
  j->dest = &e->destination;
  j->image_height = (JDIMENSION)height;
  j->image_width = (JDIMENSION)width;
  j->input_components = 3;
  j->in_color_space = JCS_RGB;
  jpeg_set_defaults(j);
  jpeg_set_quality(j, quality, TRUE);
  jpeg_start_compress(j, TRUE);
  while (j->next_scanline < j->image_height) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + (size_t)j->next_scanline * j->image_width * 3);
    jpeg_write_scanlines(j, &row, 1);
  }
  jpeg_finish_compress(j);
}

static sumi_status jpeg_encode(const uint8_t *rgb, int64_t height, int64_t width, int quality,
                               struct sumi_image_bytes *out, struct sumi_err *err) {
  struct encoder *e = sumi_alloc(out->allocator, sizeof *e);
  if (!e) SUMI_FAIL_MEMORY(err);
  e->out = out;
  e->jpeg.err = errors_init(&e->errors);
  sumi_status status = SUMI_OK;
  if (setjmp(e->errors.jump) == 0)
    encode_steps(e, rgb, height, width, quality);
  else
    status =
        sumi_err_set(err, e->errors.manager.msg_code == JERR_OUT_OF_MEMORY ? SUMI_E_MEMORY : SUMI_E_VALUE,
                     "no JPEG: %s", e->errors.text);
  jpeg_destroy_compress(&e->jpeg);
  sumi_free(out->allocator, e, sizeof *e);
  return status;
}

#define DECODE jpeg_decode
#define ENCODE jpeg_encode
#else
#define DECODE NULL
#define ENCODE NULL
#endif

const struct sumi_image_codec sumi_image_jpeg = {"jpeg", "libjpeg-turbo", jpeg_knows, DECODE, ENCODE, true};
