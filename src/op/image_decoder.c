/* ImageDecoder: the bytes of a picture file [n] to pixels [height, width, channels], uint8; channels as pixel_format says: R G
 * B, B G R, or one of grey, (19595 r + 38470 g + 7471 b + 2^15) / 2^16, which is ITU-R 601 as Pillow rounds it. Bytes that are
 * no picture, or a damaged one, give [0, 0, channels], as the standard asks; what this build cannot read for want of a
 * library, or must not for its size, is an error. Formats: image/image.h. Chroma of a JPEG is spread smoothly. */
#include "base/size.h"
#include "base/text.h"
#include "image/image.h"
#include "op/dims.h"
#include "op/ops.h"

static const char *const formats[] = {"RGB", "BGR", "Grayscale"};
enum { RGB, BGR, GREY };

static int format_of(const struct sumi_node *node) {
  for (int i = 0; i < (int)SUMI_COUNT(formats); i++)
    if (sumi_attr_is(node, "pixel_format", "RGB", formats[i])) return i;
  return -1;
}

static sumi_status image_decoder_infer(struct sumi_infer *ctx) {
  const int format = format_of(ctx->node);
  const sumi_dim dim[] = {SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN, format == GREY ? 1 : 3};
  if (format < 0)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "pixel_format is '%s', none of RGB, BGR, Grayscale",
              sumi_attr_string(ctx->node, "pixel_format", ""));
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 1));
  sumi_infer_out(ctx, 0, SUMI_UINT8, 3, dim);
  return SUMI_OK;
}

/* Where the library's R G B goes: the output, or a block beside it where the output is grey. */
struct target {
  const struct sumi_call *call;
  int format;
  int64_t height, width;
  uint8_t *rgb;
};

static uint8_t *start_target(void *user, int64_t height, int64_t width) {
  struct target *t = user;
  const struct sumi_call *c = t->call;
  const int64_t dim[] = {height, width, t->format == GREY ? 1 : 3};
  if (sumi_call_output(c, 0, SUMI_UINT8, 3, dim) != SUMI_OK) return NULL;
  t->height = height;
  t->width = width;
  return t->rgb =
             t->format == GREY ? sumi_arena_array(c->heap, (size_t)(height * width), 3) : c->out[0]->data;
}

static void finish(const struct target *t) {
  uint8_t *y = t->call->out[0]->data;
  for (int64_t i = 0; i < t->height * t->width; i++) {
    const uint8_t *p = t->rgb + 3 * i, red = p[0], blue = p[2];
    if (t->format == GREY) {
      y[i] = (uint8_t)((19595 * red + 38470 * p[1] + 7471 * blue + (1 << 15)) >> 16);
    } else if (t->format == BGR) {
      y[3 * i] = blue;
      y[3 * i + 2] = red;
    }
  }
}

static sumi_status image_decoder_ref(const struct sumi_call *c) {
  struct target t = {.call = c, .format = format_of(c->node)};
  const struct sumi_image_sink sink = {&t, start_target};
  const int64_t nothing[] = {0, 0, t.format == GREY ? 1 : 3};
  struct sumi_err why = SUMI_ERR_INIT;
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  const sumi_status status = sumi_image_read(c->in[0]->data, (size_t)sumi_tensor_count(c->in[0]),
                                             c->heap->allocator, SUMI_IMAGE_MAX_PIXELS, &sink, &why);
  if (status == SUMI_E_FORMAT) return sumi_call_output(c, 0, SUMI_UINT8, 3, nothing);
  if (status != SUMI_OK) return sumi_err_set(c->err, status, "%s", why.text);
  finish(&t);
  return SUMI_OK;
}

#define UINT8 SUMI_BIT(SUMI_UINT8)
static const struct sumi_attr_spec attrs[] = {{"pixel_format", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"encoded_stream", UINT8}, {NULL}}, out[] = {{"image", UINT8}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (uint8[5,7,3] x) => (y, z, g) {"
     " b = com.microsoft.extensions.EncodeImage <format = \"png\", color_space = \"rgb\"> (x) y = "
     "ImageDecoder (b)"
     " z = ImageDecoder <pixel_format = \"BGR\"> (b) g = ImageDecoder <pixel_format = \"Grayscale\"> (b) }",
     .why = "PNG loses nothing"},
    {"g (uint8[50] x) => (y) { y = ImageDecoder (x) }", .why = "random bytes are no picture"},
    {NULL},
};

const struct sumi_op sumi_op_image_decoder = {
    .name = "ImageDecoder",
    .formula = "pixels [height, width, channels] of a picture file",
    .known_as = {{"", "ImageDecoder", {20}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = image_decoder_infer,
    .ref = image_decoder_ref,
    .cases = cases,
};
