/* Types and tensors of the text syntax. A tensor's memory is asked for only when its elements can all stand in what is
 * left of the text. */
#include <inttypes.h>
#include <string.h>

#include "base/half.h"
#include "base/number.h"
#include "base/size.h"
#include "graph/read.h"

static sumi_dtype dtype_of(struct sumi_str s) { return sumi_dtype_from_label(s.data, s.size); }

bool sumi_word_is_type(const char *s, size_t n) {
  static const char *const word[] = {"seq", "optional", "map", "sparse_tensor", "opaque", "undefined"};
  const struct sumi_str str = {s, n};
  for (size_t i = 0; i < SUMI_COUNT(word); i++)
    if (sumi_str_is(str, word[i])) return true;
  return dtype_of(str) != SUMI_UNDEFINED;
}

bool sumi_read_at_type(struct sumi_reader *r) {
  const struct sumi_str s = sumi_read_peek_word(r);
  return sumi_word_is_type(s.data, s.size);
}

static sumi_status read_dim(struct sumi_reader *r, struct sumi_symbols *symbols, sumi_dim *out) {
  const char c = sumi_read_peek(r), *at = r->p;
  struct sumi_str s;
  *out = SUMI_DIM_UNKNOWN;
  if (sumi_read_take(r, '?')) return SUMI_OK;
  if (c == '"') {
    SUMI_TRY(sumi_read_string(r, &s));
    *out = sumi_dim_parse(symbols, s.data, s.size);
  } else if (sumi_read_is_word_start(c)) {
    const char *name;
    SUMI_TRY(sumi_read_name(r, &name));
    *out = sumi_dim_symbol(symbols, name);
  } else {
    SUMI_TRY(sumi_read_int(r, out));
    if (*out < 0) return sumi_read_fail(r, at, SUMI_E_SHAPE, "dimension %" PRId64, *out);
  }
  return SUMI_OK;
}

/* [..] behind an element type: none is a scalar, [] an unknown rank. */
static sumi_status read_dims(struct sumi_reader *r, struct sumi_symbols *symbols, struct sumi_info *out) {
  if (!sumi_read_take(r, '[')) return SUMI_OK;
  if (sumi_read_take(r, ']')) {
    out->rank = -1;
    return SUMI_OK;
  }
  do {
    if (out->rank == SUMI_MAX_RANK)
      return sumi_read_fail(r, r->p, SUMI_E_LIMIT, "more than %d dimensions", SUMI_MAX_RANK);
    SUMI_TRY(read_dim(r, symbols, &out->dim[out->rank]));
    out->rank++;
  } while (sumi_read_take(r, ','));
  return sumi_read_expect(r, ']');
}

/* "map(" was read: "int64, float)". */
static sumi_status read_map(struct sumi_reader *r, struct sumi_symbols *symbols, struct sumi_info *out) {
  struct sumi_str s;
  const char *at = r->p;
  SUMI_TRY(sumi_read_word(r, &s));
  out->key = dtype_of(s);
  if (out->key != SUMI_STRING && !sumi_dtype_is_int(out->key))
    return sumi_read_fail(r, at, SUMI_E_UNSUPPORTED, "a map's keys are strings or integers");
  SUMI_TRY(sumi_read_expect(r, ','));
  sumi_read_peek(r);
  at = r->p;
  SUMI_TRY(sumi_read_word(r, &s));
  out->dtype = dtype_of(s);
  if (out->dtype == SUMI_UNDEFINED)
    return sumi_read_fail(r, at, SUMI_E_UNSUPPORTED, "a map's values are of an element type");
  SUMI_TRY(read_dims(r, symbols, out));
  out->rank = -1;
  return sumi_read_expect(r, ')');
}

sumi_status sumi_read_type(struct sumi_reader *r, struct sumi_symbols *symbols, struct sumi_info *out) {
  *out = (struct sumi_info){0};
  struct sumi_str s;
  bool optional = false, sequence = false;
  for (;;) {
    sumi_read_peek(r);
    const char *at = r->p;
    SUMI_TRY(sumi_read_word(r, &s));
    const bool is_seq = sumi_str_is(s, "seq");
    if (sumi_str_is(s, "map") && !optional) {
      SUMI_TRY(sumi_read_expect(r, '('));
      SUMI_TRY(read_map(r, symbols, out));
      out->kind = sequence ? SUMI_MAP_SEQUENCE : SUMI_MAP;
      return sequence ? sumi_read_expect(r, ')') : SUMI_OK;
    }
    if (!is_seq && !sumi_str_is(s, "optional")) {
      out->dtype = dtype_of(s);
      if (out->dtype == SUMI_UNDEFINED && !sumi_str_is(s, "undefined"))
        return sumi_read_fail(r, at, SUMI_E_UNSUPPORTED, "unknown type '%.*s'", (int)SUMI_MIN(s.size, 40),
                              s.data);
      break;
    }
    if (sequence || (optional && !is_seq))
      return sumi_read_fail(r, at, SUMI_E_UNSUPPORTED,
                            "a sequence holds tensors, an optional a tensor or a sequence");
    sequence |= is_seq;
    optional |= !is_seq;
    SUMI_TRY(sumi_read_expect(r, '('));
  }
  SUMI_TRY(read_dims(r, symbols, out));
  if (sequence) SUMI_TRY(sumi_read_expect(r, ')'));
  if (optional) SUMI_TRY(sumi_read_expect(r, ')'));
  out->kind = optional   ? sequence ? SUMI_OPTIONAL_SEQUENCE : SUMI_OPTIONAL
              : sequence ? SUMI_SEQUENCE
                         : SUMI_TENSOR;
  return SUMI_OK;
}

/* ---- elements ------------------------------------------------------------------------------------------------- */

/* Bits of a whole number into a type of so many bits; min is the smallest allowed. */
static sumi_status read_whole(struct sumi_reader *r, sumi_dtype d, struct sumi_literal l, bool is_signed,
                              uint64_t *out) {
  const int bits = d == SUMI_BOOL ? 1 : sumi_dtype_bits(d);
  const bool negative = *l.s.data == '-';
  const uint64_t most = is_signed ? (UINT64_C(1) << (bits - 1)) - !negative : UINT64_MAX >> (64 - bits);
  uint64_t x = 0;
  if (!l.whole)
    return sumi_read_fail(r, l.s.data, SUMI_E_VALUE, "a whole number expected for %s", sumi_dtype_label(d));
  for (size_t i = *l.s.data == '-' || *l.s.data == '+'; i < l.s.size; i++) {
    const uint64_t digit = (uint64_t)(l.s.data[i] - '0');
    if (x > most / 10 || digit > most || x * 10 > most - digit || (negative && !is_signed && digit))
      return sumi_read_fail(r, l.s.data, SUMI_E_VALUE, "'%.*s' does not fit into %s",
                            (int)SUMI_MIN(l.s.size, 40), l.s.data, sumi_dtype_label(d));
    x = x * 10 + digit;
  }
  *out = negative ? 0 - x : x;
  return SUMI_OK;
}

/* A short floating-point type: whole numbers are bits, others values. */
static sumi_status read_short_float(struct sumi_reader *r, sumi_dtype d, struct sumi_literal l, void *data,
                                    int64_t i) {
  if (!l.whole) {
    double x;
    sumi_number_read_f64(l.s.data, l.s.size, &x);
    sumi_set_f64(d, data, i, x);
    return SUMI_OK;
  }
  uint64_t bits;
  SUMI_TRY(read_whole(r, d, l, false, &bits));
  const sumi_dtype as = sumi_dtype_bits(d) == 16  ? SUMI_UINT16
                        : sumi_dtype_bits(d) == 4 ? SUMI_UINT4
                                                  : SUMI_UINT8;
  sumi_set_i64(as, data, i, (int64_t)bits);
  return SUMI_OK;
}

static sumi_status read_element(struct sumi_reader *r, sumi_dtype d, struct sumi_arena *arena, void *data,
                                int64_t i) {
  struct sumi_literal l;
  if (d == SUMI_STRING) {
    struct sumi_str s, *out = (struct sumi_str *)data + i;
    SUMI_TRY(sumi_read_string(r, &s));
    *out = (struct sumi_str){sumi_arena_strndup(arena, s.data, s.size), s.size};
    if (!out->data) SUMI_FAIL_MEMORY(r->err);
    return SUMI_OK;
  }
  SUMI_TRY(sumi_read_literal(r, &l));
  if (d == SUMI_FLOAT32) {
    SUMI_TRY(sumi_literal_float(r, l, (float *)data + i));
  } else if (d == SUMI_FLOAT64) {
    sumi_number_read_f64(l.s.data, l.s.size, (double *)data + i);
  } else if (sumi_dtype_is_float(d)) {
    SUMI_TRY(read_short_float(r, d, l, data, i));
  } else {
    uint64_t x;
    SUMI_TRY(read_whole(r, d, l, sumi_dtype_class(d) == 'I', &x));
    sumi_set_i64(d, data, i, (int64_t)x);
  }
  return SUMI_OK;
}

static sumi_status read_elements(struct sumi_reader *r, sumi_dtype d, int64_t n, struct sumi_arena *arena,
                                 void *data) {
  const bool is_complex = sumi_dtype_class(d) == 'C';
  if (is_complex) {
    d = d == SUMI_COMPLEX64 ? SUMI_FLOAT32 : SUMI_FLOAT64;
    n *= 2; /* fits: the bytes do */
  }
  int64_t i = 0;
  if (sumi_read_peek(r) != '}') do {
      if (i == n)
        return sumi_read_fail(r, r->p, SUMI_E_SHAPE, "more than the %" PRId64 " numbers that the shape has",
                              n);
      SUMI_TRY(read_element(r, d, arena, data, i));
      i++;
    } while (sumi_read_take(r, ','));
  if (i < n)
    return sumi_read_fail(r, r->p, SUMI_E_SHAPE, "%" PRId64 " numbers, but the shape has %" PRId64, i, n);
  return sumi_read_expect(r, '}');
}

/* A number as the standard writes it there: a string. */
static sumi_status read_place_number(struct sumi_reader *r, const char *at, struct sumi_str s,
                                     uint64_t *out) {
  uint64_t x = 0;
  for (size_t i = 0; i < s.size; i++) {
    const uint64_t digit = (uint64_t)(unsigned char)s.data[i] - '0';
    if (digit > 9 || x > (UINT64_MAX - 1 - digit) / 10)
      return sumi_read_fail(r, at, SUMI_E_FORMAT, "a place that is no number");
    x = x * 10 + digit;
  }
  if (!s.size) return sumi_read_fail(r, at, SUMI_E_FORMAT, "a place that is no number");
  *out = x;
  return SUMI_OK;
}

/* ["location": "weights", "offset": "128", "length": "4096"]; other keys ("checksum") are read over. */
static sumi_status read_outside(struct sumi_reader *r, struct sumi_tensor *t, struct sumi_blob **blob) {
  struct sumi_outside where = {"", 0, UINT64_MAX};
  const char *start = r->p;
  if (!r->options || !r->options->outside)
    return sumi_read_fail(r, start, SUMI_E_UNSUPPORTED, "external data in text");
  SUMI_TRY(sumi_read_expect(r, '['));
  do {
    struct sumi_str key, value;
    SUMI_TRY(sumi_read_string(r, &key));
    SUMI_TRY(sumi_read_expect(r, ':'));
    sumi_read_peek(r);
    const char *at = r->p;
    SUMI_TRY(sumi_read_string(r, &value));
    if (sumi_str_is(key, "location")) where.location = value.data;
    if (sumi_str_is(key, "offset")) SUMI_TRY(read_place_number(r, at, value, &where.offset));
    if (sumi_str_is(key, "length")) SUMI_TRY(read_place_number(r, at, value, &where.bytes));
  } while (sumi_read_take(r, ','));
  SUMI_TRY(sumi_read_expect(r, ']'));
  struct sumi_err why = SUMI_ERR_INIT;
  const sumi_status status = r->options->outside(r->options->user, &where, t, blob, &why);
  if (status == SUMI_E_MEMORY) SUMI_FAIL_MEMORY(r->err);
  return status == SUMI_OK ? SUMI_OK : sumi_read_fail(r, start, status, "%s", why.text);
}

sumi_status sumi_read_tensor(struct sumi_reader *r, const struct sumi_info *type, struct sumi_arena *arena,
                             struct sumi_tensor *out, struct sumi_blob **blob) {
  sumi_read_peek(r);
  const char *at = r->p;
  const int rank = type->rank < 0 ? 0 : type->rank; /* "float[] x = {1}" can only mean a scalar */
  bool known = type->kind == SUMI_TENSOR && type->dtype != SUMI_UNDEFINED;
  for (int i = 0; i < rank; i++) known &= type->dim[i] >= 0;
  if (!known)
    return sumi_read_fail(r, at, SUMI_E_TYPE, "a tensor needs an element type and a shape of numbers");
  int64_t n;
  size_t bytes;
  struct sumi_err why = SUMI_ERR_INIT;
  *out = (struct sumi_tensor){.dtype = type->dtype, .rank = rank};
  for (int i = 0; i < rank; i++) out->dim[i] = type->dim[i];
  if (sumi_read_peek(r) == '[') return read_outside(r, out, blob);
  SUMI_TRY(sumi_read_expect(r, '{'));
  if (sumi_shape_count(type->dim, rank, &n, &why) != SUMI_OK ||
      sumi_shape_bytes(type->dtype, type->dim, rank, &bytes, &why) != SUMI_OK)
    return sumi_read_fail(r, at, why.status, "%s", why.text);
  if ((uint64_t)n > (uint64_t)(r->end - r->p)) /* an element takes a byte at least */
    return sumi_read_fail(r, at, SUMI_E_SHAPE, "%" PRId64 " elements do not stand here", n);
  struct sumi_blob *b = sumi_blob_new(arena->allocator, bytes);
  if (!b) SUMI_FAIL_MEMORY(r->err);
  out->data = sumi_blob_bytes(b);
  const sumi_status status = read_elements(r, type->dtype, n, arena, out->data);
  if (status == SUMI_OK)
    *blob = b;
  else
    sumi_blob_unref(b);
  return status;
}
