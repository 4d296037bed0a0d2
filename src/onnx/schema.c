/* The tables of schema.def and the one function that reads any message by its table. */
#include "onnx/schema.h"

#include <stddef.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"

const struct sumi_onnx_message sumi_onnx_none_message = {0};

/* clang-format off */
#define SUMI_ONNX_MESSAGE(message, proto_name) static const struct sumi_onnx_field message##_fields[] = {
#define SUMI_ONNX_FIELD(message, number, kind, name, child) \
  {number, SUMI_ONNX_##kind, #name, offsetof(struct sumi_onnx_##message, name), &sumi_onnx_##child##_message},
#define SUMI_ONNX_END(message) };
#include "onnx/schema.def"
#undef SUMI_ONNX_MESSAGE
#undef SUMI_ONNX_FIELD
#undef SUMI_ONNX_END

#define SUMI_ONNX_MESSAGE(message, proto_name)                     \
  const struct sumi_onnx_message sumi_onnx_##message##_message = { \
      proto_name, message##_fields, SUMI_COUNT(message##_fields), sizeof(struct sumi_onnx_##message)};
#define SUMI_ONNX_FIELD(message, number, kind, name, child)
#define SUMI_ONNX_END(message)
#include "onnx/schema.def"
#undef SUMI_ONNX_MESSAGE
#undef SUMI_ONNX_FIELD
#undef SUMI_ONNX_END
/* clang-format on */

/* The wire type of one item of a kind. */
static const enum sumi_wire_type wire_type[] = {
    [SUMI_ONNX_integer] = SUMI_WIRE_VARINT,   [SUMI_ONNX_float32] = SUMI_WIRE_FIXED32,
    [SUMI_ONNX_text] = SUMI_WIRE_BYTES,       [SUMI_ONNX_message] = SUMI_WIRE_BYTES,
    [SUMI_ONNX_integers] = SUMI_WIRE_VARINT,  [SUMI_ONNX_float32s] = SUMI_WIRE_FIXED32,
    [SUMI_ONNX_float64s] = SUMI_WIRE_FIXED64, [SUMI_ONNX_texts] = SUMI_WIRE_BYTES,
    [SUMI_ONNX_messages] = SUMI_WIRE_BYTES,
};

static bool is_number_list(enum sumi_onnx_kind kind) {
  return kind == SUMI_ONNX_integers || kind == SUMI_ONNX_float32s || kind == SUMI_ONNX_float64s;
}

static sumi_status store(const struct sumi_onnx_message *message, const struct sumi_onnx_field *field,
                         const struct sumi_wire *start, const struct sumi_wire_field *f, void *slot,
                         struct sumi_err *err) {
  const enum sumi_wire_type want = wire_type[field->kind];
  if (f->type != want && !(f->type == SUMI_WIRE_BYTES && is_number_list(field->kind)))
    SUMI_FAIL(err, SUMI_E_FORMAT, "%s.%s has wire type %d instead of %d at byte %zu", message->name,
              field->name, (int)f->type, (int)want, (size_t)(start->at - start->origin));
  switch (field->kind) {
    case SUMI_ONNX_integer:
      *(struct sumi_onnx_integer *)slot = (struct sumi_onnx_integer){(int64_t)f->value, true};
      break;
    case SUMI_ONNX_float32:
      *(struct sumi_onnx_float32 *)slot =
          (struct sumi_onnx_float32){sumi_f32_from_bits((uint32_t)f->value), true};
      break;
    case SUMI_ONNX_text: *(struct sumi_str *)slot = sumi_wire_str(&f->bytes); break;
    case SUMI_ONNX_message:
      if (((struct sumi_wire *)slot)->at)
        SUMI_FAIL(err, SUMI_E_FORMAT, "%s.%s is given twice, again at byte %zu", message->name, field->name,
                  (size_t)(start->at - start->origin));
      *(struct sumi_wire *)slot = f->bytes;
      break;
    default: return sumi_wire_list_add(slot, want, start, f, err);
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_read(const struct sumi_onnx_message *message, struct sumi_wire bytes, void *out,
                           struct sumi_err *err) {
  memset(out, 0, message->bytes);
  for (;;) {
    const struct sumi_wire start = bytes;
    struct sumi_wire_field f;
    const sumi_status status = sumi_wire_next(&bytes, &f, err);
    if (status != SUMI_OK) return sumi_err_prefix(err, status, "%s", message->name);
    if (!f.number) return SUMI_OK;
    for (size_t i = 0; i < message->n_fields; i++) {
      const struct sumi_onnx_field *field = &message->field[i];
      if (field->number != f.number) continue;
      SUMI_TRY(store(message, field, &start, &f, (char *)out + field->offset, err));
      break;
    }
  }
}
