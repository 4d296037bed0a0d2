/* Compiled models made of sections as they are given, well formed or not, with header and hashes right: for tests that
 * want to get past those. Header-only; never part of the library. */
#ifndef SUMI_FILE_FILE_TEST_H
#define SUMI_FILE_FILE_TEST_H

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "file/compiled.h"

enum { SUMI_TEST_SECTIONS = 4 };

struct sumi_test_section {
  const uint8_t *bytes;
  size_t n;
};

/* The sections of a file whose header reads; false where it does not. */
static inline bool sumi_test_take_apart(const uint8_t *bytes, size_t n, struct sumi_compiled *c,
                                        struct sumi_test_section section[SUMI_TEST_SECTIONS]) {
  if (sumi_compiled_read(bytes, n, NULL, c, NULL) != SUMI_OK) return false;
  const struct sumi_compiled_section *s[] = {&c->graph, &c->weights, &c->packs, &c->packed};
  for (int i = 0; i < SUMI_TEST_SECTIONS; i++)
    section[i] = (struct sumi_test_section){bytes + s[i]->at, (size_t)s[i]->bytes};
  return true;
}

static inline size_t sumi_test_aligned(size_t n) { return (n + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN; }

/* A file of these sections, aligned like the heap's own blocks; the caller frees it. */
static inline uint8_t *sumi_test_put_together(struct sumi_compiled *c,
                                              const struct sumi_test_section section[SUMI_TEST_SECTIONS],
                                              size_t *n) {
  struct sumi_compiled_section *s[] = {&c->graph, &c->weights, &c->packs, &c->packed};
  size_t end = SUMI_COMPILED_HEADER;
  for (int i = 0; i < SUMI_TEST_SECTIONS; i++) {
    const uint64_t hash = sumi_compiled_hash(sumi_compiled_hash_start(), section[i].bytes, section[i].n);
    *s[i] = (struct sumi_compiled_section){sumi_test_aligned(end), section[i].n, hash};
    end = (size_t)s[i]->at + section[i].n;
  }
  uint8_t *out = aligned_alloc(SUMI_ALIGN, sumi_test_aligned(end));
  if (!out) return NULL;
  memset(out, 0, end);
  char header[SUMI_COMPILED_HEADER];
  sumi_compiled_print(c, header);
  memcpy(out, header, sizeof header);
  for (int i = 0; i < SUMI_TEST_SECTIONS; i++)
    if (section[i].n) memcpy(out + s[i]->at, section[i].bytes, section[i].n);
  *n = end;
  return out;
}

/* A file with one thing changed, header and hashes right: open, change copy or section, load, drop after the model. */
struct sumi_test_changed {
  struct sumi_blob *file;
  struct sumi_compiled c;
  struct sumi_test_section section[SUMI_TEST_SECTIONS]; /* in copy */
  uint8_t *copy, *bytes;
  size_t n; /* of bytes, which the model reads */
};

static inline bool sumi_test_changed_open(struct sumi_test_changed *x, const char *path) {
  *x = (struct sumi_test_changed){0};
  if (sumi_file_map(NULL, path, SIZE_MAX, &x->file, NULL) != SUMI_OK) return false;
  x->copy = malloc(x->file->bytes);
  if (!x->copy) return false;
  memcpy(x->copy, x->file->data, x->file->bytes);
  return sumi_test_take_apart(x->copy, x->file->bytes, &x->c, x->section);
}

static inline sumi_status sumi_test_changed_load(struct sumi_test_changed *x, struct sumi_model **model,
                                                 struct sumi_err *err) {
  x->bytes = sumi_test_put_together(&x->c, x->section, &x->n);
  return sumi_model_load_memory(x->bytes, x->n, NULL, model, err);
}

static inline void sumi_test_changed_drop(struct sumi_test_changed *x) {
  free(x->bytes);
  free(x->copy);
  sumi_blob_unref(x->file);
}

#endif
