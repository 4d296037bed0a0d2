/* Lists of pieces. */
#include "onnx/wire_out.h"

#include <string.h>

#include "base/size.h"

enum { LONGEST_VARINT = 10 };

struct sumi_wire_out sumi_wire_out_new(struct sumi_arena *arena) {
  return (struct sumi_wire_out){.arena = arena};
}

static void count(struct sumi_wire_out *w, uint64_t n) {
  if (__builtin_add_overflow(w->bytes, n, &w->bytes) || w->bytes > INT64_MAX) w->failed = true;
}

void sumi_wire_keep(struct sumi_wire_out *w, const void *from, const void *to) {
  const uint8_t *data = from;
  const size_t n = (size_t)((const uint8_t *)to - data);
  if (!n) return;
  count(w, n);
  if (w->last && w->last->data + w->last->n == data) {
    w->last->n += n;
    return;
  }
  struct sumi_wire_piece *p = SUMI_NEW(w->arena, struct sumi_wire_piece);
  if (!p) {
    w->failed = true;
    return;
  }
  *p = (struct sumi_wire_piece){.data = data, .n = n};
  if (w->last)
    w->last->next = p;
  else
    w->first = p;
  w->last = p;
}

/* Bytes made here. */
static void add(struct sumi_wire_out *w, const void *data, size_t n) {
  if (!n) return;
  uint8_t *copy = sumi_arena_alloc(w->arena, n);
  if (!copy) {
    w->failed = true;
    return;
  }
  memcpy(copy, data, n);
  sumi_wire_keep(w, copy, copy + n);
}

static size_t encode(uint8_t *to, uint64_t v) {
  size_t n = 0;
  for (; v > 127; v >>= 7) to[n++] = (uint8_t)(v | 128);
  to[n++] = (uint8_t)v;
  return n;
}

/* A tag and the number behind it: a length or a value. */
static void add_head(struct sumi_wire_out *w, uint32_t number, enum sumi_wire_type type, uint64_t v) {
  uint8_t head[2 * LONGEST_VARINT];
  size_t n = encode(head, (uint64_t)number << 3 | (uint64_t)type);
  n += encode(head + n, v);
  add(w, head, n);
}

void sumi_wire_put_kept(struct sumi_wire_out *w, uint32_t number, const void *data, size_t n) {
  add_head(w, number, SUMI_WIRE_BYTES, n);
  if (n) sumi_wire_keep(w, data, (const uint8_t *)data + n);
}

void sumi_wire_put(struct sumi_wire_out *w, uint32_t number, const void *data, size_t n) {
  add_head(w, number, SUMI_WIRE_BYTES, n);
  add(w, data, n);
}

void sumi_wire_put_text(struct sumi_wire_out *w, uint32_t number, const char *text) {
  sumi_wire_put(w, number, text, strlen(text));
}

void sumi_wire_put_int(struct sumi_wire_out *w, uint32_t number, int64_t v) {
  add_head(w, number, SUMI_WIRE_VARINT, (uint64_t)v);
}

void sumi_wire_put_message(struct sumi_wire_out *w, uint32_t number, struct sumi_wire_out *take_message) {
  const struct sumi_wire_out m = *take_message;
  *take_message = sumi_wire_out_new(m.arena);
  add_head(w, number, SUMI_WIRE_BYTES, m.bytes);
  count(w, m.bytes);
  w->failed |= m.failed;
  if (!m.first) return;
  if (w->last)
    w->last->next = m.first;
  else
    w->first = m.first;
  w->last = m.last;
}
