/* A writer of the protobuf wire format: messages as lists of pieces, which are bytes that stand somewhere else (a mapped
 * file, a tensor) or a few bytes made here. A message knows its size before anything is written, so nothing large is copied.
 *
 *   struct sumi_wire_out inner = sumi_wire_out_new(&arena), outer = sumi_wire_out_new(&arena);
 *   sumi_wire_put(&inner, 8, "name", 4);
 *   sumi_wire_keep(&inner, field.start, end);      as it stands in the file
 *   sumi_wire_put_message(&outer, 5, &inner);
 *
 * Failure (memory, or more than 2^63 bytes) is remembered, to be asked for once at the end. */
#ifndef SUMI_ONNX_WIRE_OUT_H
#define SUMI_ONNX_WIRE_OUT_H

#include "base/mem.h"
#include "onnx/wire.h"

struct sumi_wire_piece {
  struct sumi_wire_piece *next;
  const uint8_t *data;
  size_t n;
};

/* Everything but data kept in place lives in the arena. */
struct sumi_wire_out {
  struct sumi_arena *arena;
  struct sumi_wire_piece *first, *last;
  uint64_t bytes; /* of all pieces */
  bool failed;
};

struct sumi_wire_out sumi_wire_out_new(struct sumi_arena *arena);

/* The bytes [from, to), which stay where they are; pieces that follow each other in memory become one. */
void sumi_wire_keep(struct sumi_wire_out *w, const void *from, const void *to);
/* A length-delimited field of n bytes: kept where they are, or copied. */
void sumi_wire_put_kept(struct sumi_wire_out *w, uint32_t number, const void *data, size_t n);
void sumi_wire_put(struct sumi_wire_out *w, uint32_t number, const void *data, size_t n);
void sumi_wire_put_text(struct sumi_wire_out *w, uint32_t number, const char *text);
void sumi_wire_put_int(struct sumi_wire_out *w, uint32_t number, int64_t v);
/* A field that holds message, whose pieces become w's. */
void sumi_wire_put_message(struct sumi_wire_out *w, uint32_t number, struct sumi_wire_out *take_message);

#endif
