/* JPEG 2000 through OpenJPEG: JP2 files and bare codestreams. Grey, R G B and Y Cb Cr; other channels are left off; samples
 * of more than 8 bits lose the low ones. */
#include "image/jpeg2000.h"

#include <string.h>

static bool jpeg2000_knows(const uint8_t *bytes, size_t n) {
  return n >= 12 && (!memcmp(bytes, "\0\0\0\x0cjP  \r\n\x87\n", 12) || !memcmp(bytes, "\xff\x4f\xff\x51", 4));
}

#ifdef SUMI_HAVE_OPENJPEG

#include <stdio.h>

#include <openjpeg.h>

#include "base/size.h"

struct job {
  const uint8_t *bytes;
  size_t n, at;
  char text[160]; /* the first complaint */
  opj_stream_t *stream;
  opj_codec_t *codec;
  opj_image_t *image;
};

static void on_error(const char *text, void *user) {
  struct job *job = user;
  if (!job->text[0]) snprintf(job->text, sizeof job->text, "%.*s", (int)strcspn(text, "\n"), text);
}

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *user) {
  struct job *job = user;
  const size_t size = SUMI_MIN(n, job->n - job->at);
  if (!size) return (OPJ_SIZE_T)-1;
  memcpy(to, job->bytes + job->at, size);
  job->at += size;
  return size;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *user) {
  struct job *job = user;
  if (n < 0) return -1;
  const size_t size = SUMI_MIN((size_t)n, job->n - job->at);
  job->at += size;
  return size || !n ? (OPJ_OFF_T)size : -1;
}

static OPJ_BOOL on_seek(OPJ_OFF_T at, void *user) {
  struct job *job = user;
  if (at < 0 || (uint64_t)at > job->n) return OPJ_FALSE;
  job->at = (size_t)at;
  return OPJ_TRUE;
}

static bool start(struct job *job, bool boxed) {
  opj_dparameters_t how;
  opj_set_default_decoder_parameters(&how);
  job->stream = opj_stream_default_create(OPJ_TRUE);
  job->codec = opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  if (!job->stream || !job->codec) return false;
  opj_stream_set_read_function(job->stream, on_read);
  opj_stream_set_skip_function(job->stream, on_skip);
  opj_stream_set_seek_function(job->stream, on_seek);
  opj_stream_set_user_data(job->stream, job, NULL);
  opj_stream_set_user_data_length(job->stream, job->n);
  opj_set_error_handler(job->codec, on_error, job);
  return opj_setup_decoder(job->codec, &how);
}

/* Component c at pixel (y, x) of a picture as large as component 0, to 8 bits. */
static int sample(const opj_image_t *m, int c, int64_t y, int64_t x) {
  const opj_image_comp_t *k = &m->comps[c], *first = &m->comps[0];
  const int64_t row = y * k->h / first->h, column = x * k->w / first->w, most = ((int64_t)1 << k->prec) - 1;
  const int64_t value = k->data[row * k->w + column] + (k->sgnd ? most / 2 + 1 : 0);
  const int64_t v = SUMI_MIN(SUMI_MAX(value, 0), most);
  return (int)(k->prec >= 8 ? v >> (k->prec - 8) : (v * 255 + most / 2) / most);
}

static uint8_t clamped(int v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

/* JFIF: r = y + 1.402 cr, g = y - 0.344136 cb - 0.714136 cr, b = y + 1.772 cb, in 16 bits behind the point. */
static void ycc_to_rgb(const int ycc[3], uint8_t *rgb) {
  const int half = 1 << 15, cb = ycc[1] - 128, cr = ycc[2] - 128;
  rgb[0] = clamped(ycc[0] + ((91881 * cr + half) >> 16));
  rgb[1] = clamped(ycc[0] + ((-22553 * cb - 46802 * cr + half) >> 16));
  rgb[2] = clamped(ycc[0] + ((116130 * cb + half) >> 16));
}

static void to_rgb(const opj_image_t *m, uint8_t *rgb) {
  const bool colour = m->numcomps >= 3;
  const bool ycc = colour && (m->color_space == OPJ_CLRSPC_SYCC || m->comps[1].dx != m->comps[0].dx);
  for (int64_t y = 0; y < m->comps[0].h; y++)
    for (int64_t x = 0; x < m->comps[0].w; x++, rgb += 3) {
      int v[3];
      for (int c = 0; c < 3; c++) v[c] = sample(m, colour ? c : 0, y, x);
      if (ycc) ycc_to_rgb(v, rgb);
      for (int c = 0; c < 3 && !ycc; c++) rgb[c] = (uint8_t)v[c];
    }
}

static sumi_status check_components(const opj_image_t *m, struct sumi_err *err) {
  if (m->color_space == OPJ_CLRSPC_CMYK || m->color_space == OPJ_CLRSPC_EYCC)
    SUMI_FAIL(err, SUMI_E_FORMAT, "JPEG 2000 in the colours CMYK or e-YCC is not read");
  for (uint32_t c = 0; c < (m->numcomps >= 3 ? 3u : 1u); c++)
    if (!m->comps[c].data || !m->comps[c].w || !m->comps[c].h || m->comps[c].prec < 1 ||
        m->comps[c].prec > 31)
      SUMI_FAIL(err, SUMI_E_FORMAT, "damaged JPEG 2000: component %u is empty", (unsigned)c);
  return SUMI_OK;
}

static sumi_status decode_steps(struct job *job, bool boxed, int64_t max_pixels,
                                const struct sumi_image_sink *sink, struct sumi_err *err) {
  if (!start(job, boxed)) SUMI_FAIL_MEMORY(err);
  if (!opj_read_header(job->stream, job->codec, &job->image) || !job->image->numcomps)
    SUMI_FAIL(err, SUMI_E_FORMAT, "damaged JPEG 2000: %s", job->text);
  if (!opj_decode(job->codec, job->stream, job->image) || !opj_end_decompress(job->codec, job->stream))
    SUMI_FAIL(err, SUMI_E_FORMAT, "damaged JPEG 2000: %s", job->text);
  SUMI_TRY(check_components(job->image, err));
  const int64_t height = job->image->comps[0].h, width = job->image->comps[0].w;
  SUMI_TRY(sumi_image_check(height, width, max_pixels, err));
  uint8_t *rgb = sink->start(sink->user, height, width);
  if (!rgb) SUMI_FAIL_MEMORY(err);
  to_rgb(job->image, rgb);
  return SUMI_OK;
}

static sumi_status jpeg2000_decode(const uint8_t *bytes, size_t n, const struct sumi_allocator *a,
                                   int64_t max_pixels, const struct sumi_image_sink *sink,
                                   struct sumi_err *err) {
  (void)a;
  bool boxed;
  struct job job = {.bytes = bytes, .n = n};
  SUMI_TRY(sumi_jpeg2000_check(bytes, n, max_pixels, &boxed, err));
  const sumi_status status = decode_steps(&job, boxed, max_pixels, sink, err);
  if (job.image) opj_image_destroy(job.image);
  if (job.codec) opj_destroy_codec(job.codec);
  if (job.stream) opj_stream_destroy(job.stream);
  return status;
}

#define DECODE jpeg2000_decode
#else
#define DECODE NULL
#endif

const struct sumi_image_codec sumi_image_jpeg2000 = {"jpeg2000", "OpenJPEG", jpeg2000_knows, DECODE, NULL};
