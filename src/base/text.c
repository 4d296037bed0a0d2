/* Growing text buffer and hash. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

void sumi_text_init(struct sumi_text *t, const struct sumi_allocator *a) {
  *t = (struct sumi_text){.allocator = a ? a : sumi_allocator_default()};
}

void sumi_text_fini(struct sumi_text *t) {
  sumi_free(t->allocator, t->data, t->cap);
  t->data = NULL;
  t->size = t->cap = 0;
}

static bool reserve(struct sumi_text *t, size_t more) {
  void *p = t->data;
  if (more >= PTRDIFF_MAX - t->size || !sumi_grow(t->allocator, &p, &t->cap, t->size + more + 1, 1)) {
    t->failed = true;
    return false;
  }
  t->data = p;
  return true;
}

void sumi_text_add_bytes(struct sumi_text *t, const char *bytes, size_t n) {
  if (!reserve(t, n)) return;
  if (n) memcpy(t->data + t->size, bytes, n);
  t->size += n;
  t->data[t->size] = 0;
}

void sumi_text_add(struct sumi_text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n >= 0 && reserve(t, (size_t)n)) {
    vsnprintf(t->data + t->size, (size_t)n + 1, format, again);
    t->size += (size_t)n;
  }
  va_end(again);
}

void sumi_text_add_reason(struct sumi_text *t, const char *who, const char *format, va_list args) {
  char reason[512];
  vsnprintf(reason, sizeof reason, format, args);
  sumi_text_add(t, "%s%s: %s", t->size ? "\n" : "", who, reason);
}

void sumi_text_add_quoted(struct sumi_text *t, const char *bytes, size_t n) {
  sumi_text_add_bytes(t, "\"", 1);
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)bytes[i];
    if (c == '"' || c == '\\')
      sumi_text_add(t, "\\%c", c);
    else if (c == '\n')
      sumi_text_add_bytes(t, "\\n", 2);
    else if (c == '\t')
      sumi_text_add_bytes(t, "\\t", 2);
    else if (c < 32 || c == 127)
      sumi_text_add(t, "\\x%02x", c);
    else
      sumi_text_add_bytes(t, bytes + i, 1);
  }
  sumi_text_add_bytes(t, "\"", 1);
}

const char *sumi_text_str(const struct sumi_text *t) { return t->data ? t->data : ""; }

uint64_t sumi_hash(const void *bytes, size_t n, uint64_t seed) {
  const unsigned char *p = bytes;
  uint64_t h = 14695981039346656037u ^ seed;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
  return h;
}
