/* DecodeImage, EncodeImage (com.microsoft.extensions): the bytes of a JPEG or PNG file [n] to pixels [height, width, 3]
 * and back, both uint8; channels in the order of color_space, "bgr" unless it says "rgb". JPEG is written with quality
 * 95 and halved chroma. Source: ONNX Runtime extensions, docs/custom_ops.md; pixels of a JPEG with halved chroma are
 * those of libjpeg-turbo, as Pillow and OpenCV see them, which differ from those of the library that the extensions use. */
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "image/image.h"
#include "op/ms_util.h"

enum { QUALITY = 95 };

static bool is_bgr(const struct sumi_node *node) { return sumi_attr_is(node, "color_space", "bgr", "bgr"); }

static sumi_status check_color_space(const struct sumi_infer *ctx) {
  const char *space = sumi_attr_string(ctx->node, "color_space", "bgr");
  if (!sumi_streq(space, "bgr") && !sumi_streq(space, "rgb"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "color_space is '%s', neither bgr nor rgb", space);
  return SUMI_OK;
}

static void swap_ends(uint8_t *pixels, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const uint8_t first = pixels[3 * i];
    pixels[3 * i] = pixels[3 * i + 2];
    pixels[3 * i + 2] = first;
  }
}

/* ---- DecodeImage -------------------------------------------------------------------------------------------------- */

static sumi_status decode_infer(struct sumi_infer *ctx) {
  SUMI_TRY(check_color_space(ctx));
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 1, 1));
  const sumi_dim dim[] = {SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN, 3};
  sumi_infer_out(ctx, 0, SUMI_UINT8, 3, dim);
  return SUMI_OK;
}

static uint8_t *start_output(void *user, int64_t height, int64_t width) {
  const struct sumi_call *c = user;
  const int64_t dim[] = {height, width, 3};
  return sumi_call_output(c, 0, SUMI_UINT8, 3, dim) == SUMI_OK ? c->out[0]->data : NULL;
}

static sumi_status decode_ref(const struct sumi_call *c) {
  const struct sumi_tensor *bytes = c->in[0];
  struct sumi_image_sink sink = {(void *)(uintptr_t)c, start_output};
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  SUMI_TRY(sumi_image_read(bytes->data, (size_t)sumi_tensor_count(bytes), c->heap->allocator,
                           SUMI_IMAGE_MAX_PIXELS, &sink, c->err));
  if (is_bgr(c->node)) swap_ends(c->out[0]->data, sumi_tensor_count(c->out[0]) / 3);
  return SUMI_OK;
}

/* ---- EncodeImage -------------------------------------------------------------------------------------------------- */

static sumi_status encode_infer(struct sumi_infer *ctx) {
  const char *format = sumi_attr_string(ctx->node, "format", "");
  if (!sumi_streq(format, "jpg") && !sumi_streq(format, "png"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "format is '%s', neither jpg nor png", format);
  SUMI_TRY(check_color_space(ctx));
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 3, 3));
  SUMI_TRY(sumi_ms_want_dim(ctx, 0, 2, 3, "number of channels"));
  const sumi_dim n = SUMI_DIM_UNKNOWN;
  sumi_infer_out(ctx, 0, SUMI_UINT8, 1, &n);
  return SUMI_OK;
}

static sumi_status encode_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_allocator *a = c->heap->allocator;
  const size_t n = (size_t)sumi_tensor_count(x);
  struct sumi_image_bytes out = {.allocator = a};
  const uint8_t *rgb = x->data;
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  if (is_bgr(c->node)) {
    uint8_t *copy = sumi_arena_alloc(c->heap, n);
    if (!copy) SUMI_FAIL_MEMORY(c->err);
    memcpy(copy, x->data, n);
    swap_ends(copy, (int64_t)n / 3);
    rgb = copy;
  }
  SUMI_TRY(sumi_image_write(rgb, x->dim[0], x->dim[1], sumi_attr_string(c->node, "format", ""), QUALITY, &out,
                            c->err));
  const int64_t size = (int64_t)out.size;
  const sumi_status status = sumi_call_output(c, 0, SUMI_UINT8, 1, &size);
  if (status == SUMI_OK) memcpy(c->out[0]->data, out.data, out.size);
  sumi_image_bytes_fini(&out);
  return status;
}

#define UINT8 SUMI_BIT(SUMI_UINT8)
static const struct sumi_attr_spec decode_attrs[] = {{"color_space", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_attr_spec encode_attrs[] = {
    {"format", SUMI_ATTR_STRING, true}, {"color_space", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port decode_in[] = {{"raw_image", UINT8}, {NULL}},
                              decode_out[] = {{"image", UINT8}, {NULL}};
static const struct sumi_port encode_in[] = {{"image", UINT8}, {NULL}},
                              encode_out[] = {{"raw_image", UINT8}, {NULL}};

/* Random bytes are no picture, so DecodeImage alone has no case: what EncodeImage wrote is one. */
static const struct sumi_case decode_cases[] = {
    {"g (uint8[5,7,3] x) => (y) { b = com.microsoft.extensions.EncodeImage <format = \"png\"> (x)"
     " y = com.microsoft.extensions.DecodeImage (b) }",
     .why = "PNG loses nothing"},
    {NULL},
};
static const struct sumi_case encode_cases[] = {
    {"g (uint8[9,6,3] x) => (b) { b = com.microsoft.extensions.EncodeImage <format = \"jpg\"> (x) }",
     .low = 0, .high = 255},
    {"g (uint8[1,1,3] x) => (b) { b = com.microsoft.extensions.EncodeImage <format = \"png\", color_space = "
     "\"rgb\"> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_ms_decode_image = {
    .name = "com.microsoft.extensions.DecodeImage",
    .formula = "pixels [height, width, 3] of a JPEG or PNG file",
    .known_as = {{"com.microsoft.extensions", "DecodeImage", {1}}, {"ai.onnx.contrib", "DecodeImage", {1}}},
    .attrs = decode_attrs,
    .in = decode_in,
    .out = decode_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = decode_infer,
    .ref = decode_ref,
    .cases = decode_cases,
};

const struct sumi_op sumi_op_ms_encode_image = {
    .name = "com.microsoft.extensions.EncodeImage",
    .formula = "JPEG or PNG file of pixels [height, width, 3]",
    .known_as = {{"com.microsoft.extensions", "EncodeImage", {1}}, {"ai.onnx.contrib", "EncodeImage", {1}}},
    .attrs = encode_attrs,
    .in = encode_in,
    .out = encode_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = encode_infer,
    .ref = encode_ref,
    .cases = encode_cases,
};
