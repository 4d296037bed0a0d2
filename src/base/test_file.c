/* Mapped files: contents, limits, and names that try to leave their folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char folder[] = "/tmp/sumi_file_XXXXXX";
static char path[128];

static const char *in_folder(const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void write_file(const char *name, const char *text) {
  FILE *f = fopen(in_folder(name), "wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  mkdir(in_folder("sub"), 0700);
  write_file("seven", "1234567");
  write_file("empty", "");
  write_file("sub/two", "12");
  char target[128];
  snprintf(target, sizeof target, "%s/seven", folder);
  return symlink("/etc/passwd", in_folder("outside")) || symlink(target, in_folder("sub/inside")) ||
         symlink("/etc", in_folder("sub/etc"));
}

static int tear_down(void **state) {
  (void)state;
  const char *const names[] = {"seven", "empty", "sub/two", "outside", "sub/inside", "sub/etc"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_folder(names[i]));
  rmdir(in_folder("sub"));
  return rmdir(folder);
}

static void maps_contents(void **state) {
  (void)state;
  struct sumi_blob *blob = NULL;
  assert_int_equal(sumi_file_map(NULL, in_folder("seven"), 7, &blob, NULL), SUMI_OK);
  assert_int_equal(blob->bytes, 7);
  assert_memory_equal(blob->data, "1234567", 7);
  sumi_blob_unref(blob);
  assert_int_equal(sumi_file_map(NULL, in_folder("empty"), 7, &blob, NULL), SUMI_OK);
  assert_int_equal(blob->bytes, 0);
  assert_non_null(blob->data);
  sumi_blob_unref(blob);
}

static void refuses(void **state) {
  (void)state;
  struct sumi_blob *blob = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_file_map(NULL, in_folder("seven"), 6, &blob, &err), SUMI_E_LIMIT);
  assert_non_null(strstr(err.text, "seven"));
  assert_non_null(strstr(err.text, "7 bytes"));
  assert_null(blob);
  sumi_err_clear(&err);
  assert_int_equal(sumi_file_map(NULL, in_folder("none"), 6, &blob, &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "none"));
  assert_int_equal(sumi_file_map(NULL, folder, 6, &blob, NULL), SUMI_E_IO);
}

static void stays_beneath(void **state) {
  (void)state;
  const struct {
    const char *name;
    sumi_status status;
  } rows[] = {
      {"seven", SUMI_OK},
      {"./seven", SUMI_OK},
      {"sub/two", SUMI_OK},
      {"sub//two", SUMI_OK},
      {"sub/inside", SUMI_OK}, /* a link that stays inside */
      {"", SUMI_E_VALUE},
      {"/etc/passwd", SUMI_E_VALUE},
      {"..", SUMI_E_VALUE},
      {"../seven", SUMI_E_VALUE},
      {"sub/../seven", SUMI_E_VALUE},
      {"sub/..", SUMI_E_VALUE},
      {"outside", SUMI_E_VALUE},
      {"sub/etc/passwd", SUMI_E_VALUE},
      {"..seven", SUMI_E_IO}, /* a name, not a parent */
      {"sub", SUMI_E_IO},
      {".", SUMI_E_VALUE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct sumi_blob *blob = NULL;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = sumi_file_map_beneath(NULL, folder, rows[i].name, 100, &blob, &err);
    if (status != rows[i].status) fail_msg("'%s': status %d, '%s'", rows[i].name, status, err.text);
    assert_int_equal(blob != NULL, status == SUMI_OK);
    sumi_blob_unref(blob);
  }
}

/* Pages that were released read as before; what is no mapping is left alone. */
static void releases(void **state) {
  (void)state;
  enum { BYTES = 5 * 4096 + 17 };
  static char text[BYTES + 1];
  for (int i = 0; i < BYTES; i++) text[i] = (char)('a' + i % 23);
  write_file("pages", text);
  struct sumi_blob *blob = NULL, *own = sumi_blob_new(sumi_allocator_default(), BYTES);
  assert_int_equal(sumi_file_map(NULL, in_folder("pages"), SIZE_MAX, &blob, NULL), SUMI_OK);
  assert_memory_equal(blob->data, text, BYTES);
  sumi_file_release(blob, (const char *)blob->data + 100, BYTES - 200);
  sumi_file_release(blob, blob->data, SIZE_MAX / 2); /* not all inside: left alone */
  assert_memory_equal(blob->data, text, BYTES);
  memcpy(sumi_blob_bytes(own), text, BYTES);
  sumi_file_release(own, own->data, BYTES);
  assert_memory_equal(own->data, text, BYTES);
  sumi_file_release(NULL, text, BYTES);
  sumi_blob_unref(own);
  sumi_blob_unref(blob);
  unlink(in_folder("pages"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(releases), cmocka_unit_test(maps_contents),
                                     cmocka_unit_test(refuses), cmocka_unit_test(stays_beneath)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
