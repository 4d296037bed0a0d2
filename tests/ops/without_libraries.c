/* The operators that stand on libraries, in a build without any: pictures of such formats and regular expressions are
 * refused in words that name the node and the library, and formats that need none are read. This program is linked with
 * its own objects of the files that know the libraries, which find none. */
#include <stdio.h>
#include <string.h>

#include <sumi/image.h>

#include "base/size.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

static int failed;

static void expect(bool good, const char *what, const char *got) {
  if (good) return;
  printf("FAIL %s: %s\n", what, got);
  failed++;
}

/* Runs a model of one input x, bytes or strings. */
static sumi_status run(const char *text, sumi_dtype dtype, const void *data, int64_t n,
                       struct sumi_err *err) {
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  const struct sumi_session_options o = {.size = sizeof o, .device = "cpu", .threads = 1};
  const struct sumi_view x = {
      .size = sizeof x, .name = "x", .data = (void *)(uintptr_t)data, .dtype = dtype, .rank = 1, .dims = &n};
  sumi_status status = sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), &g, err);
  if (status == SUMI_OK && (status = sumi_pass_infer(g, NULL, NULL, err)) != SUMI_OK) sumi_graph_free(g);
  if (status == SUMI_OK) status = sumi_model_new(sumi_allocator_default(), g, &model, err);
  if (status == SUMI_OK) status = sumi_session_init(model, &o, &session, err);
  if (status == SUMI_OK) status = sumi_session_execute(session, &x, 1, NULL, 0, err);
  sumi_session_fini(session);
  sumi_model_unref(model);
  return status;
}

int main(void) {
  static const struct {
    const char *format, *bytes;
    int64_t n;
    const char *library; /* NULL: none is needed */
  } pictures[] = {{"jpeg", "\xff\xd8\xff\xe0", 4, "libjpeg"},
                  {"png", "\x89PNG\r\n\x1a\n", 8, "libpng"},
                  {"webp", "RIFF\x52\0\0\0WEBPVP8L", 16, "libwebp"},
                  {"tiff", "II*\0\x8\0\0\0", 8, "libtiff"},
                  {"jpeg2000", "\xff\x4f\xff\x51\0\x2f\0\0\0\0\0\5", 12, "OpenJPEG"},
                  {"pnm", "P2 1 1 9 7", 10, NULL}};
  for (size_t i = 0; i < SUMI_COUNT(pictures); i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    const char *format = pictures[i].format, *library = pictures[i].library;
    const sumi_status status = run("g (uint8[n] x) => (y) { [decode] y = ImageDecoder (x) }", SUMI_UINT8,
                                   pictures[i].bytes, pictures[i].n, &err);
    expect(sumi_image_can(format) == !library, format, "whether it can be read is said wrong");
    expect(status == (library ? SUMI_E_UNSUPPORTED : SUMI_OK), format, sumi_status_name(status));
    expect(!library || (strstr(err.text, "node 'decode' (ImageDecoder)") && strstr(err.text, library)),
           format, err.text);
  }
  static const struct sumi_str word = {"ab", 2};
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status =
      run("g (string[n] x) => (y) { [match] y = RegexFullMatch <pattern = \"a.\"> (x) }", SUMI_STRING, &word,
          1, &err);
  expect(status == SUMI_E_UNSUPPORTED, "RegexFullMatch", sumi_status_name(status));
  expect(strstr(err.text, "node 'match' (RegexFullMatch)") && strstr(err.text, "PCRE2"), "RegexFullMatch",
         err.text);
  printf("%zu formats, 1 operator without libraries, %d failed\n", SUMI_COUNT(pictures), failed);
  return failed != 0;
}
