/* The messages of an ONNX file as structs over borrowed bytes, declared by schema.def.
 * Reading one is shallow: its message fields are byte ranges (struct sumi_wire) to be read in turn, its
 * repeated fields lists to be walked; so nothing is allocated and nothing recurses, whatever the file nests.
 *
 *   struct sumi_onnx_node node;
 *   SUMI_TRY(sumi_onnx_read_node(bytes, &node, err));
 *   for (struct sumi_wire_list l = node.input; sumi_wire_list_bytes(&l, &item);) ... */
#ifndef SUMI_ONNX_SCHEMA_H
#define SUMI_ONNX_SCHEMA_H

#include "onnx/wire.h"

struct sumi_onnx_integer {
  int64_t v; /* 0 where not given */
  bool has;
};

struct sumi_onnx_float32 {
  float v;
  bool has;
};

/* What a kind of schema.def is in the struct. */
typedef struct sumi_onnx_integer sumi_onnx_kind_integer;
typedef struct sumi_onnx_float32 sumi_onnx_kind_float32;
typedef struct sumi_str sumi_onnx_kind_text;     /* data NULL: not given */
typedef struct sumi_wire sumi_onnx_kind_message; /* at NULL: not given */
typedef struct sumi_wire_list sumi_onnx_kind_integers, sumi_onnx_kind_float32s, sumi_onnx_kind_float64s,
    sumi_onnx_kind_texts, sumi_onnx_kind_messages;

enum sumi_onnx_kind {
  SUMI_ONNX_integer,
  SUMI_ONNX_float32,
  SUMI_ONNX_text,
  SUMI_ONNX_message,
  SUMI_ONNX_integers,
  SUMI_ONNX_float32s,
  SUMI_ONNX_float64s,
  SUMI_ONNX_texts,
  SUMI_ONNX_messages
};

struct sumi_onnx_message;

struct sumi_onnx_field {
  uint32_t number;
  enum sumi_onnx_kind kind;
  const char *name;
  size_t offset;                         /* in the message's struct */
  const struct sumi_onnx_message *child; /* without a name where the field holds no message */
};

/* A message's table, for tools that walk files without knowing the messages. */
struct sumi_onnx_message {
  const char *name; /* "NodeProto" */
  const struct sumi_onnx_field *field;
  size_t n_fields, bytes;
};

/* Fills the struct that belongs to message. SUMI_E_FORMAT: damaged, a field of another wire type, or a single
 * message given twice (protobuf would merge them; no writer does that). */
sumi_status sumi_onnx_read(const struct sumi_onnx_message *message, struct sumi_wire bytes, void *out,
                           struct sumi_err *err);

extern const struct sumi_onnx_message sumi_onnx_none_message;

/* clang-format off */
#define SUMI_ONNX_MESSAGE(message, proto_name)                         \
  extern const struct sumi_onnx_message sumi_onnx_##message##_message; \
  struct sumi_onnx_##message {
#define SUMI_ONNX_FIELD(message, number, kind, name, child) sumi_onnx_kind_##kind name;
#define SUMI_ONNX_END(message)                                                         \
  };                                                                                   \
  static inline sumi_status sumi_onnx_read_##message(                                  \
      struct sumi_wire bytes, struct sumi_onnx_##message *out, struct sumi_err *err) { \
    return sumi_onnx_read(&sumi_onnx_##message##_message, bytes, out, err);            \
  }
#include "onnx/schema.def"
#undef SUMI_ONNX_MESSAGE
#undef SUMI_ONNX_FIELD
#undef SUMI_ONNX_END
/* clang-format on */

#endif
