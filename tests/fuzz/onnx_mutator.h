/* A mutator that knows the messages of ONNX: it changes one field somewhere inside and writes the lengths
 * around it anew, so that most of what it makes is still well formed and gets past the reader. Included by
 * one fuzz_*.c. */
#ifndef SUMI_ONNX_MUTATOR_H
#define SUMI_ONNX_MUTATOR_H

#include <stdlib.h>
#include <string.h>

#include "onnx/schema.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

struct mutation {
  uint8_t *out; /* NULL once it is full */
  size_t n, cap;
  unsigned seed;
};

static unsigned next(struct mutation *m, unsigned bound) {
  m->seed = m->seed * 1664525u + 1013904223u;
  return bound ? (m->seed >> 8) % bound : 0;
}

static void emit(struct mutation *m, const uint8_t *bytes, size_t n) {
  if (!m->out || n > m->cap - m->n) {
    m->out = NULL;
    return;
  }
  if (n) memcpy(m->out + m->n, bytes, n);
  m->n += n;
}

static void emit_varint(struct mutation *m, uint64_t v) {
  for (; v > 127; v >>= 7) emit(m, &(uint8_t){(uint8_t)(v | 128)}, 1);
  emit(m, &(uint8_t){(uint8_t)v}, 1);
}

static const struct sumi_onnx_message *child_of(const struct sumi_onnx_message *message, uint32_t number) {
  for (size_t i = 0; i < message->n_fields; i++)
    if (message->field[i].number == number && message->field[i].child->name) return message->field[i].child;
  return NULL;
}

static void mutate_message(struct mutation *m, const struct sumi_onnx_message *message, struct sumi_wire w,
                           int depth);

/* A length-delimited field with its contents changed, inside if it is a message and the coin says so. */
static void mutate_bytes(struct mutation *m, const struct sumi_onnx_message *message,
                         const struct sumi_wire_field *f, int depth) {
  const struct sumi_onnx_message *child = child_of(message, f->number);
  const size_t old = sumi_wire_size(&f->bytes), cap = old + 64;
  struct mutation inner = {malloc(cap), 0, cap, next(m, 1u << 30)};
  uint8_t *room = inner.out;
  if (!room) return;
  if (child && depth < 40 && next(m, 8)) {
    mutate_message(&inner, child, f->bytes, depth + 1);
  } else {
    memcpy(room, f->bytes.at, old);
    inner.n = LLVMFuzzerMutate(room, old, cap);
  }
  emit_varint(m, (uint64_t)f->number << 3 | SUMI_WIRE_BYTES);
  emit_varint(m, inner.out ? inner.n : 0);
  if (inner.out) emit(m, room, inner.n);
  free(room);
}

static void mutate_field(struct mutation *m, const struct sumi_onnx_message *message,
                         const struct sumi_wire_field *f, const uint8_t *from, size_t n, int depth) {
  const unsigned what = next(m, 10);
  if (what == 0) return; /* left out */
  if (what == 1) emit(m, from, n);
  if (what == 2) { /* another field's number */
    if (f->type != SUMI_WIRE_BYTES) return emit(m, from, n);
    emit_varint(m, (uint64_t)message->field[next(m, (unsigned)message->n_fields)].number << 3 | f->type);
    emit_varint(m, sumi_wire_size(&f->bytes));
    return emit(m, f->bytes.at, sumi_wire_size(&f->bytes));
  }
  if (f->type == SUMI_WIRE_BYTES) return mutate_bytes(m, message, f, depth);
  if (f->type != SUMI_WIRE_VARINT) return emit(m, from, n);
  static const uint64_t odd[] = {0,          1,         2,      UINT64_MAX, INT64_MAX, UINT64_C(1) << 63,
                                 UINT32_MAX, INT32_MAX, 1 << 16};
  emit_varint(m, (uint64_t)f->number << 3);
  emit_varint(m, next(m, 2) ? odd[next(m, sizeof odd / sizeof *odd)] : f->value + next(m, 5) - 2);
}

static void mutate_message(struct mutation *m, const struct sumi_onnx_message *message, struct sumi_wire w,
                           int depth) {
  struct sumi_wire_field f;
  unsigned count = 0;
  for (struct sumi_wire c = w; sumi_wire_next(&c, &f, NULL) == SUMI_OK && f.number;) count++;
  const unsigned chosen = next(m, count);
  for (unsigned i = 0; i < count; i++) {
    const uint8_t *from = w.at;
    if (sumi_wire_next(&w, &f, NULL) != SUMI_OK) break;
    if (i == chosen)
      mutate_field(m, message, &f, from, (size_t)(w.at - from), depth);
    else
      emit(m, from, (size_t)(w.at - from));
  }
  emit(m, w.at, sumi_wire_size(&w)); /* what cannot be read any more */
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed) {
  if (seed % 8 == 0) return LLVMFuzzerMutate(data, n, max);
  struct mutation m = {malloc(max + 1), 0, max, seed};
  uint8_t *room = m.out;
  if (!room) return n;
  mutate_message(&m, &sumi_onnx_model_message, sumi_wire_over(data, n), 0);
  if (m.out && m.n) {
    memcpy(data, room, m.n);
    n = m.n;
  }
  free(room);
  return n;
}

#endif
