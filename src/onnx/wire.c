/* The wire format: tags, varints, fixed numbers, length-delimited bytes, groups, repeated fields. */
#include "onnx/wire.h"

#include <inttypes.h>

struct sumi_wire sumi_wire_over(const void *bytes, size_t n) {
  static const uint8_t none;
  const uint8_t *at = n ? bytes : &none;
  return (struct sumi_wire){at, at + n, at};
}

static size_t offset(const struct sumi_wire *w, const uint8_t *p) { return (size_t)(p - w->origin); }

/* At most 10 bytes, 64 bits; bits beyond the 64th are refused rather than dropped. */
static bool varint(struct sumi_wire *w, uint64_t *out) {
  uint64_t v = 0;
  const uint8_t *p = w->at;
  for (int shift = 0; shift < 70 && p < w->end; shift += 7) {
    const uint8_t b = *p++;
    if (shift == 63 && b > 1) return false;
    v |= (uint64_t)(b & 127) << shift;
    if (b < 128) {
      w->at = p;
      *out = v;
      return true;
    }
  }
  return false;
}

static bool fixed(struct sumi_wire *w, size_t n, uint64_t *out) {
  if (sumi_wire_size(w) < n) return false;
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v |= (uint64_t)w->at[i] << (8 * i);
  w->at += n;
  *out = v;
  return true;
}

static bool number(struct sumi_wire *w, enum sumi_wire_type type, uint64_t *out) {
  return type == SUMI_WIRE_VARINT ? varint(w, out) : fixed(w, type == SUMI_WIRE_FIXED32 ? 4 : 8, out);
}

static sumi_status read_tag(struct sumi_wire *w, struct sumi_wire_field *f, struct sumi_err *err) {
  const uint8_t *start = w->at;
  uint64_t tag;
  if (!varint(w, &tag))
    SUMI_FAIL(err, SUMI_E_FORMAT, "a tag is cut or too long at byte %zu", offset(w, start));
  if (tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1)
    SUMI_FAIL(err, SUMI_E_FORMAT, "field number %" PRIu64 " is none, at byte %zu", tag >> 3,
              offset(w, start));
  f->start = start;
  f->number = (uint32_t)(tag >> 3);
  f->type = (enum sumi_wire_type)(tag & 7);
  return SUMI_OK;
}

/* What follows a tag that is neither the start nor the end of a group. */
static sumi_status read_payload(struct sumi_wire *w, struct sumi_wire_field *f, struct sumi_err *err) {
  const uint8_t *start = w->at;
  switch (f->type) {
    case SUMI_WIRE_VARINT:
    case SUMI_WIRE_FIXED32:
    case SUMI_WIRE_FIXED64:
      if (number(w, f->type, &f->value)) return SUMI_OK;
      SUMI_FAIL(err, SUMI_E_FORMAT, "a number is cut or too long at byte %zu", offset(w, start));
    case SUMI_WIRE_BYTES:
      if (!varint(w, &f->value))
        SUMI_FAIL(err, SUMI_E_FORMAT, "a length is cut or too long at byte %zu", offset(w, start));
      if (f->value > sumi_wire_size(w))
        SUMI_FAIL(err, SUMI_E_FORMAT, "field %u asks for %" PRIu64 " bytes at byte %zu, %zu are left",
                  f->number, f->value, offset(w, start), sumi_wire_size(w));
      f->bytes = (struct sumi_wire){w->at, w->at + f->value, w->origin};
      w->at = f->bytes.end;
      return SUMI_OK;
    default:
      SUMI_FAIL(err, SUMI_E_FORMAT, "field %u has unknown wire type %d, at byte %zu", f->number, (int)f->type,
                offset(w, start));
  }
}

/* From behind a start-group tag to behind its end. */
static sumi_status skip_group(struct sumi_wire *w, uint32_t first, struct sumi_err *err) {
  uint32_t open[SUMI_WIRE_MAX_GROUPS] = {first};
  int depth = 1;
  while (depth > 0) {
    struct sumi_wire_field f;
    if (w->at == w->end) SUMI_FAIL(err, SUMI_E_FORMAT, "group %u does not end", open[depth - 1]);
    SUMI_TRY(read_tag(w, &f, err));
    if (f.type == SUMI_WIRE_START_GROUP) {
      if (depth == SUMI_WIRE_MAX_GROUPS)
        SUMI_FAIL(err, SUMI_E_LIMIT, "more than %d groups in groups at byte %zu", SUMI_WIRE_MAX_GROUPS,
                  offset(w, w->at));
      open[depth++] = f.number;
    } else if (f.type == SUMI_WIRE_END_GROUP) {
      if (f.number != open[--depth])
        SUMI_FAIL(err, SUMI_E_FORMAT, "group %u ends as group %u at byte %zu", open[depth], f.number,
                  offset(w, w->at));
    } else {
      SUMI_TRY(read_payload(w, &f, err));
    }
  }
  return SUMI_OK;
}

sumi_status sumi_wire_next(struct sumi_wire *w, struct sumi_wire_field *field, struct sumi_err *err) {
  *field = (struct sumi_wire_field){0};
  while (w->at < w->end) {
    struct sumi_wire_field f = {0};
    SUMI_TRY(read_tag(w, &f, err));
    if (f.type == SUMI_WIRE_START_GROUP) {
      SUMI_TRY(skip_group(w, f.number, err));
      continue;
    }
    if (f.type == SUMI_WIRE_END_GROUP)
      SUMI_FAIL(err, SUMI_E_FORMAT, "group %u ends without a start at byte %zu", f.number, offset(w, w->at));
    SUMI_TRY(read_payload(w, &f, err));
    *field = f;
    break;
  }
  return SUMI_OK;
}

static sumi_status count_packed(const struct sumi_wire *run, enum sumi_wire_type item, size_t *n,
                                struct sumi_err *err) {
  if (item != SUMI_WIRE_VARINT) {
    const size_t each = item == SUMI_WIRE_FIXED32 ? 4 : 8;
    if (sumi_wire_size(run) % each)
      SUMI_FAIL(err, SUMI_E_FORMAT,
                "a packed run of %zu bytes at byte %zu holds no whole number of %zu-byte items",
                sumi_wire_size(run), offset(run, run->at), each);
    *n = sumi_wire_size(run) / each;
    return SUMI_OK;
  }
  struct sumi_wire w = *run;
  for (*n = 0; w.at < w.end; ++*n) {
    uint64_t v;
    if (!varint(&w, &v))
      SUMI_FAIL(err, SUMI_E_FORMAT, "a number is cut or too long at byte %zu", offset(&w, w.at));
  }
  return SUMI_OK;
}

sumi_status sumi_wire_list_add(struct sumi_wire_list *list, enum sumi_wire_type item,
                               const struct sumi_wire *start, const struct sumi_wire_field *field,
                               struct sumi_err *err) {
  if (!list->number) *list = (struct sumi_wire_list){.rest = *start, .number = field->number, .item = item};
  size_t n = 1;
  if (item != SUMI_WIRE_BYTES && field->type == SUMI_WIRE_BYTES)
    SUMI_TRY(count_packed(&field->bytes, item, &n, err));
  list->n += n; /* each item takes a byte at least: no overflow */
  return SUMI_OK;
}

/* Goes on to the next field of the list. What is walked was checked when it was counted. */
static bool next_of_list(struct sumi_wire_list *list, struct sumi_wire_field *f) {
  while (list->n)
    if (sumi_wire_next(&list->rest, f, NULL) != SUMI_OK || !f->number)
      list->n = 0;
    else if (f->number == list->number)
      return true;
  return false;
}

bool sumi_wire_list_bytes(struct sumi_wire_list *list, struct sumi_wire *out) {
  struct sumi_wire_field f;
  if (!next_of_list(list, &f)) return false;
  list->n--;
  *out = f.bytes;
  return true;
}

bool sumi_wire_list_number(struct sumi_wire_list *list, uint64_t *out) {
  while (list->n) {
    if (list->pack.at < list->pack.end) {
      list->n--;
      if (number(&list->pack, list->item, out)) return true;
      list->n = 0;
      return false;
    }
    struct sumi_wire_field f;
    if (!next_of_list(list, &f)) return false;
    if (f.type == SUMI_WIRE_BYTES) {
      list->pack = f.bytes;
      continue;
    }
    list->n--;
    *out = f.value;
    return true;
  }
  return false;
}

bool sumi_wire_list_flat(const struct sumi_wire_list *list, const uint8_t **out) {
  if (!list->n || list->item == SUMI_WIRE_VARINT || list->item == SUMI_WIRE_BYTES) return false;
  struct sumi_wire_list l = *list;
  struct sumi_wire_field f;
  if (!next_of_list(&l, &f) || f.type != SUMI_WIRE_BYTES) return false;
  if (sumi_wire_size(&f.bytes) / (l.item == SUMI_WIRE_FIXED32 ? 4 : 8) != l.n) return false;
  *out = f.bytes.at;
  return true;
}
