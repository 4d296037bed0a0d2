/* Files written whole or not at all: contents, the old file until the end, nothing left behind, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/mem_test.h"

static char folder[] = "/tmp/sumi_write_XXXXXX";
static char path[64];

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/out", folder);
  return 0;
}

/* Fails where a file of another name was left behind. */
static int tear_down(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

static void holds(const char *want, size_t n) {
  struct sumi_blob *blob;
  assert_int_equal(sumi_file_map(NULL, path, SIZE_MAX, &blob, NULL), SUMI_OK);
  assert_int_equal(blob->bytes, n);
  assert_memory_equal(blob->data, want, n);
  sumi_blob_unref(blob);
}

static void writes_at_the_end(void **state) {
  (void)state;
  struct sumi_file_writer w;
  for (int round = 0; round < 2; round++) {
    assert_int_equal(sumi_file_writer_open(&w, NULL, path, NULL), SUMI_OK);
    assert_int_equal(sumi_file_write(&w, round ? "xyz" : "abc", 3, NULL), SUMI_OK);
    assert_int_equal(sumi_file_write_align(&w, 8, NULL), SUMI_OK);
    assert_int_equal(sumi_file_write_align(&w, 8, NULL), SUMI_OK);
    assert_int_equal(sumi_file_write(&w, "!", 1, NULL), SUMI_OK);
    assert_int_equal(sumi_file_rewrite(&w, 1, "B", 1, NULL), SUMI_OK);
    assert_int_equal(sumi_file_rewrite(&w, 8, "12", 2, NULL), SUMI_E_INTERNAL);
    if (round)
      holds("aBc\0\0\0\0\0!", 9);
    else
      assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(sumi_file_writer_end(&w, NULL), SUMI_OK);
    sumi_file_writer_drop(&w);
    holds(round ? "xBz\0\0\0\0\0!" : "aBc\0\0\0\0\0!", 9);
  }
  assert_int_equal(sumi_file_writer_open(&w, NULL, path, NULL), SUMI_OK);
  assert_int_equal(sumi_file_write(&w, "lost", 4, NULL), SUMI_OK);
  struct stat st;
  const mode_t mask = umask(0);
  umask(mask);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
  sumi_file_writer_drop(&w);
  holds("xBz\0\0\0\0\0!", 9);
}

static void refuses(void **state) {
  (void)state;
  struct sumi_file_writer w;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_file_writer_open(&w, NULL, "/nowhere/at/all", &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "/nowhere/at/all"));
  sumi_file_writer_drop(&w);
  memset(&err, 0, sizeof err);
  assert_int_equal(sumi_file_writer_open(&w, NULL, folder, NULL), SUMI_OK);
  assert_int_equal(sumi_file_writer_end(&w, &err), SUMI_E_IO); /* a folder has that name */
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = sumi_file_writer_open(&w, a, path, NULL);
    if (status == SUMI_OK) sumi_file_writer_drop(&w);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) break;
    assert_int_equal(status, SUMI_E_MEMORY);
  }
}

static void makes_folders(void **state) {
  (void)state;
  char deep[128], other[128];
  snprintf(deep, sizeof deep, "%s/a/b", folder);
  snprintf(other, sizeof other, "%s/./a/../a/b", folder);
  for (int round = 0; round < 2; round++) /* also where they are there */
    assert_int_equal(sumi_file_make_folders(folder, "a/b/file", NULL), SUMI_OK);
  assert_int_equal(sumi_file_make_folders(folder, "file", NULL), SUMI_OK);
  assert_true(sumi_file_is_same(deep, other));
  assert_false(sumi_file_is_same(deep, folder));
  snprintf(other, sizeof other, "%s/none", folder);
  assert_false(sumi_file_is_same(other, other));
  assert_int_equal(rmdir(deep), 0);
  struct sumi_file_writer w;
  assert_int_equal(sumi_file_writer_open(&w, NULL, deep, NULL), SUMI_OK);
  assert_int_equal(sumi_file_writer_end(&w, NULL), SUMI_OK);
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_file_make_folders(folder, "a/b/c/file", &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "cannot make folder"));
  sumi_file_remove(deep);
  assert_false(sumi_file_is_same(deep, deep));
  snprintf(deep, sizeof deep, "%s/a", folder);
  assert_int_equal(rmdir(deep), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(writes_at_the_end), cmocka_unit_test(makes_folders),
                                     cmocka_unit_test(refuses)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
