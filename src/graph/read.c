/* Words, names, strings and numbers of the text syntax. Bytes are looked at one by one and never past the end. */
#include "graph/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/size.h"

sumi_status sumi_read_fail(struct sumi_reader *r, const char *at, sumi_status status, const char *format,
                           ...) {
  char what[512];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  size_t line = 1, column = 1;
  for (const char *p = r->text; p < at; p++) {
    column = *p == '\n' ? 1 : column + 1;
    line += *p == '\n';
  }
  return sumi_err_set(r->err, status, "line %zu, column %zu: %s", line, column, what);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool sumi_read_is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

char sumi_read_peek(struct sumi_reader *r) {
  for (;;) {
    while (r->p < r->end && is_space(*r->p)) r->p++;
    if (r->p == r->end) return 0;
    if (*r->p != '#') return *r->p;
    while (r->p < r->end && *r->p != '\n') r->p++;
  }
}

bool sumi_read_take(struct sumi_reader *r, char c) {
  if (sumi_read_peek(r) != c || r->p == r->end) return false;
  r->p++;
  return true;
}

/* What stands at the reader's place, for messages. */
static const char *found(struct sumi_reader *r, char buf[16]) {
  const unsigned char c = (unsigned char)sumi_read_peek(r);
  if (r->p == r->end)
    snprintf(buf, 16, "the end");
  else if (c > 32 && c < 127)
    snprintf(buf, 16, "'%c'", c);
  else
    snprintf(buf, 16, "byte %u", c);
  return buf;
}

sumi_status sumi_read_expect(struct sumi_reader *r, char c) {
  char buf[16];
  if (sumi_read_take(r, c)) return SUMI_OK;
  found(r, buf);
  return sumi_read_fail(r, r->p, SUMI_E_FORMAT, "'%c' expected, found %s", c, buf);
}

bool sumi_str_is(struct sumi_str s, const char *word) {
  return strlen(word) == s.size && !memcmp(s.data, word, s.size);
}

struct sumi_str sumi_read_peek_word(struct sumi_reader *r) {
  sumi_read_peek(r);
  const char *p = r->p;
  if (p < r->end && sumi_read_is_word_start(*p))
    while (p < r->end && (sumi_read_is_word_start(*p) || is_digit(*p))) p++;
  return (struct sumi_str){r->p, (size_t)(p - r->p)};
}

sumi_status sumi_read_word(struct sumi_reader *r, struct sumi_str *out) {
  char buf[16];
  *out = sumi_read_peek_word(r);
  if (out->size == 0) {
    found(r, buf);
    return sumi_read_fail(r, r->p, SUMI_E_FORMAT, "a name expected, found %s", buf);
  }
  r->p += out->size;
  return SUMI_OK;
}

sumi_status sumi_read_string(struct sumi_reader *r, struct sumi_str *out) {
  SUMI_TRY(sumi_read_expect(r, '"'));
  const char *first = r->p, *p = first;
  size_t n = 0;
  for (; p < r->end && *p != '"'; p++, n++)
    if (*p == '\\' && ++p == r->end) break;
  if (p == r->end) return sumi_read_fail(r, first - 1, SUMI_E_FORMAT, "a string without end");
  char *copy = sumi_arena_alloc(r->temp, n + 1);
  if (!copy) SUMI_FAIL_MEMORY(r->err);
  *out = (struct sumi_str){copy, n};
  for (p = first; *p != '"'; p++) *copy++ = *p == '\\' ? *++p : *p;
  r->p = p + 1;
  return SUMI_OK;
}

bool sumi_read_at_name(struct sumi_reader *r) {
  const char c = sumi_read_peek(r);
  return c == '"' || sumi_read_is_word_start(c);
}

sumi_status sumi_read_name(struct sumi_reader *r, const char **out) {
  struct sumi_str s;
  if (sumi_read_peek(r) == '"') {
    const char *at = r->p;
    SUMI_TRY(sumi_read_string(r, &s));
    if (memchr(s.data, 0, s.size)) return sumi_read_fail(r, at, SUMI_E_FORMAT, "a name with a zero byte");
    *out = s.data;
    return SUMI_OK;
  }
  SUMI_TRY(sumi_read_word(r, &s));
  *out = sumi_arena_strndup(r->temp, s.data, s.size);
  if (!*out) SUMI_FAIL_MEMORY(r->err);
  return SUMI_OK;
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

/* The longest run of bytes that a number may be made of. */
static struct sumi_str number_at(const char *p, const char *end) {
  const char *first = p;
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p < end && sumi_read_is_word_start(*p)) {
    while (p < end && (sumi_read_is_word_start(*p) || is_digit(*p))) p++;
    return (struct sumi_str){first, (size_t)(p - first)};
  }
  while (p < end && (is_digit(*p) || *p == '.')) p++;
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < end && (*p == '-' || *p == '+')) p++;
    while (p < end && is_digit(*p)) p++;
  }
  return (struct sumi_str){first, (size_t)(p - first)};
}

bool sumi_read_at_number(struct sumi_reader *r) {
  const char c = sumi_read_peek(r);
  if (is_digit(c) || c == '-' || c == '+' || c == '.') return true;
  const struct sumi_str s = number_at(r->p, r->end);
  double ignored;
  return s.size >= 3 && s.size <= 8 && sumi_number_read_f64(s.data, s.size, &ignored);
}

sumi_status sumi_read_literal(struct sumi_reader *r, struct sumi_literal *out) {
  char buf[16];
  double ignored;
  sumi_read_peek(r);
  out->s = number_at(r->p, r->end);
  if (!sumi_number_read_f64(out->s.data, out->s.size, &ignored)) {
    found(r, buf);
    return sumi_read_fail(r, r->p, SUMI_E_FORMAT, "a number expected, found %s", buf);
  }
  out->whole = true;
  for (size_t i = 0; i < out->s.size; i++)
    out->whole &=
        is_digit(out->s.data[i]) || (i == 0 && !sumi_read_is_word_start(*out->s.data) && *out->s.data != '.');
  r->p += out->s.size;
  return SUMI_OK;
}

sumi_status sumi_literal_int(struct sumi_reader *r, struct sumi_literal l, int64_t *out) {
  if (!l.whole) return sumi_read_fail(r, l.s.data, SUMI_E_FORMAT, "a whole number expected");
  const bool negative = *l.s.data == '-';
  int64_t x = 0;
  for (size_t i = !is_digit(*l.s.data); i < l.s.size; i++) {
    const int64_t digit = l.s.data[i] - '0';
    if (!sumi_i64_mul(x, 10, &x) || !sumi_i64_add(x, negative ? -digit : digit, &x))
      return sumi_read_fail(r, l.s.data, SUMI_E_VALUE, "a number beyond 64 bits");
  }
  *out = x;
  return SUMI_OK;
}

sumi_status sumi_literal_float(struct sumi_reader *r, struct sumi_literal l, float *out) {
  if (!sumi_number_read_f32(l.s.data, l.s.size, out))
    return sumi_read_fail(r, l.s.data, SUMI_E_FORMAT, "a number expected");
  return SUMI_OK;
}

sumi_status sumi_read_int(struct sumi_reader *r, int64_t *out) {
  struct sumi_literal l;
  SUMI_TRY(sumi_read_literal(r, &l));
  return sumi_literal_int(r, l, out);
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

void *sumi_list_push(struct sumi_reader *r, struct sumi_list *list, size_t item_bytes) {
  if (list->n == list->cap) {
    const size_t cap = list->cap ? list->cap * 2 : 4;
    void *items = sumi_arena_array(r->temp, cap, item_bytes);
    if (!items) return NULL;
    if (list->n) memcpy(items, list->items, list->n * item_bytes);
    list->items = items;
    list->cap = cap;
  }
  return (char *)list->items + list->n++ * item_bytes;
}
