/* A growing text buffer, and strings with a length: for printing graphs, reasons and reports. */
#ifndef SUMI_BASE_TEXT_H
#define SUMI_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct sumi_text {
  const struct sumi_allocator *allocator;
  char *data; /* always terminated once something was added; NULL before */
  size_t size, cap;
  bool failed; /* an allocation failed: the text is cut */
};

void sumi_text_init(struct sumi_text *t, const struct sumi_allocator *a);
void sumi_text_fini(struct sumi_text *t);
void sumi_text_add(struct sumi_text *t, const char *format, ...) SUMI_PRINTF(2, 3);
/* A reason on a line of its own: "who: ...". */
void sumi_text_add_reason(struct sumi_text *t, const char *who, const char *format, va_list args);
void sumi_text_add_bytes(struct sumi_text *t, const char *bytes, size_t n);
/* "..." with ", \ and control bytes escaped. */
void sumi_text_add_quoted(struct sumi_text *t, const char *bytes, size_t n);
/* The text, "" when empty. */
const char *sumi_text_str(const struct sumi_text *t);

static inline bool sumi_streq(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

/* 64-bit FNV-1a; start with seed 0. */
uint64_t sumi_hash(const void *bytes, size_t n, uint64_t seed);

#endif
