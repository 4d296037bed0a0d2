/* A bounded reader of the protobuf wire format over borrowed bytes: read this header first in the room.
 * Nothing is copied and nothing allocated; every length is checked against the bytes that are there; nothing
 * recurses.
 *
 *   struct sumi_wire w = sumi_wire_over(bytes, n);
 *   struct sumi_wire_field f;
 *   for (;;) {
 *     SUMI_TRY(sumi_wire_next(&w, &f, err));
 *     if (!f.number) break;
 *     if (f.number == 7 && f.type == SUMI_WIRE_BYTES) ... f.bytes is a message or a string
 *   }
 *
 * Format: protobuf.dev/programming-guides/encoding. Groups are skipped like unknown fields. */
#ifndef SUMI_ONNX_WIRE_H
#define SUMI_ONNX_WIRE_H

#include <stdbool.h>

#include "base/status.h"

/* Bytes not yet read. origin is the first byte of the file, for the offsets that errors name. at == NULL: not
 * given. */
struct sumi_wire {
  const uint8_t *at, *end, *origin;
};

enum sumi_wire_type {
  SUMI_WIRE_VARINT = 0,
  SUMI_WIRE_FIXED64 = 1,
  SUMI_WIRE_BYTES = 2,
  SUMI_WIRE_START_GROUP = 3,
  SUMI_WIRE_END_GROUP = 4,
  SUMI_WIRE_FIXED32 = 5
};

enum { SUMI_WIRE_MAX_GROUPS = 32 }; /* groups in groups that are skipped; more is SUMI_E_LIMIT */

struct sumi_wire_field {
  const uint8_t *start; /* its tag */
  uint32_t number;      /* 0 = the message has ended */
  enum sumi_wire_type type;
  uint64_t value;         /* of a varint or a fixed field */
  struct sumi_wire bytes; /* of a length-delimited one */
};

struct sumi_wire sumi_wire_over(const void *bytes, size_t n);

static inline size_t sumi_wire_size(const struct sumi_wire *w) { return (size_t)(w->end - w->at); }

/* Bytes as a string; data is NULL where they are not given. */
static inline struct sumi_str sumi_wire_str(const struct sumi_wire *w) {
  return (struct sumi_str){(const char *)w->at, w->at ? sumi_wire_size(w) : 0};
}

/* The next field of a message. Groups are passed over. SUMI_E_FORMAT: damaged, with the offset. */
sumi_status sumi_wire_next(struct sumi_wire *w, struct sumi_wire_field *field, struct sumi_err *err);

/* The items of a repeated field, found and counted once by sumi_wire_list_add, then walked without failure:
 *   for (struct sumi_wire_list l = node.input; sumi_wire_list_bytes(&l, &item);) ...
 * item is the wire type of one item: SUMI_WIRE_BYTES, or that of numbers, which may be packed, not packed, or
 * both. */
struct sumi_wire_list {
  struct sumi_wire rest; /* from the first item's tag on, to the end of the message */
  struct sumi_wire pack; /* inside a packed run */
  uint32_t number;
  enum sumi_wire_type item;
  size_t n; /* items left */
};

/* Counts one more field of the list in. start: the reader before its tag. SUMI_E_FORMAT where a packed run is
 * cut. */
sumi_status sumi_wire_list_add(struct sumi_wire_list *list, enum sumi_wire_type item,
                               const struct sumi_wire *start, const struct sumi_wire_field *field,
                               struct sumi_err *err);

/* The next item; false when there is none. */
bool sumi_wire_list_bytes(struct sumi_wire_list *list, struct sumi_wire *out);
bool sumi_wire_list_number(struct sumi_wire_list *list, uint64_t *out);

/* True when all n fixed-size numbers lie in one packed run: then they are n * (4 or 8) little-endian bytes at
 * *out. */
bool sumi_wire_list_flat(const struct sumi_wire_list *list, const uint8_t **out);

#endif
