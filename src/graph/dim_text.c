/* Symbolic dimensions as text.
 *   sum     = product {("+" | "-") product}
 *   product = factor {("*" | "/" | "//") factor}
 *   factor  = number | name | 'name' | ("max" | "min" | "floor") "(" sum {"," sum} ")" | "(" sum ")" */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "graph/dim_int.h"

enum { MAX_NESTING = 160 }; /* more than an expression of SUMI_DIM_MAX_SIZE can need */

struct reader {
  struct sumi_symbols *s;
  const char *p, *end;
  int depth;
  bool failed;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_name(const char *s, size_t n) {
  if (n == 0 || !is_letter(s[0])) return false;
  for (size_t i = 1; i < n; i++)
    if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '.') return false;
  return true;
}

/* ---- reading
 * -------------------------------------------------------------------------------------------------- */

static sumi_dim read_sum(struct reader *r);

static char peek(struct reader *r) {
  while (r->p < r->end && is_space(*r->p)) r->p++;
  return r->p < r->end ? *r->p : 0;
}

static bool take(struct reader *r, char c) {
  if (peek(r) != c || r->p == r->end) return false;
  r->p++;
  return true;
}

static sumi_dim fail(struct reader *r) {
  r->failed = true;
  return SUMI_DIM_UNKNOWN;
}

static sumi_dim read_number(struct reader *r) {
  int64_t x = 0;
  for (; r->p < r->end && is_digit(*r->p); r->p++)
    if (!sumi_i64_mul(x, 10, &x) || !sumi_i64_add(x, *r->p - '0', &x)) return fail(r);
  return x;
}

static sumi_dim read_quoted(struct reader *r) {
  char name[SUMI_DIM_MAX_NAME + 1];
  size_t n = 0;
  for (r->p++; r->p < r->end && *r->p != '\''; r->p++) {
    if (*r->p == '\\' && r->p + 1 < r->end) r->p++;
    if (n == SUMI_DIM_MAX_NAME || !*r->p) return fail(r);
    name[n++] = *r->p;
  }
  if (r->p == r->end || n == 0) return fail(r);
  r->p++;
  name[n] = 0;
  return sumi_dim_symbol(r->s, name);
}

static bool is_word(const char *s, size_t n, const char *word) {
  return strlen(word) == n && !memcmp(s, word, n);
}

static sumi_dim read_call(struct reader *r, const char *name, size_t n) {
  const bool max = is_word(name, n, "max") || is_word(name, n, "Max");
  const bool min = is_word(name, n, "min") || is_word(name, n, "Min");
  if (!max && !min && !is_word(name, n, "floor")) return fail(r);
  sumi_dim d = read_sum(r);
  while ((max || min) && !r->failed && take(r, ','))
    d = sumi_dim_apply(r->s, max ? SUMI_DIM_MAX : SUMI_DIM_MIN, d, read_sum(r));
  return r->failed || !take(r, ')') ? fail(r) : d;
}

static sumi_dim read_symbol(struct reader *r, const char *text, size_t n) {
  char name[SUMI_DIM_MAX_NAME + 1];
  if (n > SUMI_DIM_MAX_NAME) return fail(r);
  memcpy(name, text, n);
  name[n] = 0;
  return sumi_dim_symbol(r->s, name);
}

static sumi_dim read_name(struct reader *r) {
  const char *name = r->p;
  while (r->p < r->end && (is_letter(*r->p) || is_digit(*r->p) || *r->p == '.')) r->p++;
  const size_t n = (size_t)(r->p - name);
  return take(r, '(') ? read_call(r, name, n) : read_symbol(r, name, n);
}

static sumi_dim read_factor(struct reader *r) {
  const char c = peek(r);
  if (is_digit(c)) return read_number(r);
  if (is_letter(c)) return read_name(r);
  if (c == '\'') return read_quoted(r);
  if (!take(r, '(')) return fail(r);
  const sumi_dim d = read_sum(r);
  return r->failed || !take(r, ')') ? fail(r) : d;
}

static sumi_dim read_product(struct reader *r) {
  sumi_dim d = read_factor(r);
  while (!r->failed) {
    if (take(r, '*')) {
      d = sumi_dim_mul(r->s, d, read_factor(r));
    } else if (take(r, '/')) {
      if (r->p < r->end && *r->p == '/') r->p++;
      d = sumi_dim_div(r->s, d, read_factor(r));
    } else {
      break;
    }
  }
  return d;
}

static sumi_dim read_sum(struct reader *r) {
  if (r->depth == MAX_NESTING) return fail(r);
  r->depth++;
  sumi_dim d = read_product(r);
  while (!r->failed) {
    if (take(r, '+'))
      d = sumi_dim_add(r->s, d, read_product(r));
    else if (take(r, '-'))
      d = sumi_dim_sub(r->s, d, read_product(r));
    else
      break;
  }
  r->depth--;
  return d;
}

/* False: text is no expression; with s NULL only that is found out. */
static bool read_all(struct sumi_symbols *s, const char *text, size_t n, sumi_dim *out) {
  struct reader r = {s, text, text + n, 0, false};
  *out = read_sum(&r);
  return !r.failed && (peek(&r), r.p == r.end);
}

/* "?", "" or a whole number with or without sign: never a symbol's name. */
static bool is_unknown(const char *text, size_t n) {
  if (n == 0 || (n == 1 && *text == '?')) return true;
  size_t i = *text == '-' ? 1 : 0;
  while (i < n && is_digit(text[i])) i++;
  return i == n;
}

sumi_dim sumi_dim_parse(struct sumi_symbols *s, const char *text, size_t n) {
  while (n && is_space(*text)) text++, n--;
  while (n && is_space(text[n - 1])) n--;
  sumi_dim d;
  if (read_all(s, text, n, &d)) return d;
  if (is_unknown(text, n) || n > SUMI_DIM_MAX_NAME || memchr(text, 0, n)) return SUMI_DIM_UNKNOWN;
  return read_symbol(&(struct reader){.s = s}, text, n);
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------- */

/* How tightly an expression holds together. */
static int strength(const struct sumi_dim_expr *e) {
  static const int by_op[] = {
      [SUMI_DIM_ADD] = 0,    [SUMI_DIM_SUB] = 0, [SUMI_DIM_DIV] = 1, [SUMI_DIM_MUL] = 2,
      [SUMI_DIM_SYMBOL] = 3, [SUMI_DIM_MAX] = 3, [SUMI_DIM_MIN] = 3,
  };
  return e ? by_op[e->op] : 3;
}

static void write_name(const char *name, struct sumi_text *out) {
  const size_t n = strlen(name);
  if (is_name(name, n)) {
    sumi_text_add_bytes(out, name, n);
    return;
  }
  sumi_text_add_bytes(out, "'", 1);
  for (size_t i = 0; i < n; i++) {
    if (name[i] == '\'' || name[i] == '\\') sumi_text_add_bytes(out, "\\", 1);
    sumi_text_add_bytes(out, name + i, 1);
  }
  sumi_text_add_bytes(out, "'", 1);
}

/* In parentheses where it holds together less than needed. */
static void write(const struct sumi_symbols *s, sumi_dim d, int needed, struct sumi_text *out) {
  static const char *const sign[] = {[SUMI_DIM_ADD] = " + ", [SUMI_DIM_SUB] = " - ", [SUMI_DIM_MUL] = "*",
                                     [SUMI_DIM_DIV] = "/",   [SUMI_DIM_MAX] = "max", [SUMI_DIM_MIN] = "min"};
  static const struct {
    int left, right;
  } need[] = {
      [SUMI_DIM_ADD] = {0, 1}, [SUMI_DIM_SUB] = {0, 1}, [SUMI_DIM_MUL] = {2, 2}, [SUMI_DIM_DIV] = {2, 3}};
  const struct sumi_dim_expr *e = sumi_dim_expr_of(s, d);
  if (!e) {
    if (d >= 0)
      sumi_text_add(out, "%" PRId64, d);
    else
      sumi_text_add_bytes(out, "?", 1);
    return;
  }
  if (e->op == SUMI_DIM_SYMBOL) {
    write_name(e->symbol, out);
    return;
  }
  if (e->op == SUMI_DIM_MAX || e->op == SUMI_DIM_MIN) {
    sumi_text_add(out, "%s(", sign[e->op]);
    write(s, e->a, 0, out);
    sumi_text_add_bytes(out, ", ", 2);
    write(s, e->b, 0, out);
    sumi_text_add_bytes(out, ")", 1);
    return;
  }
  const bool enclosed = strength(e) < needed;
  if (enclosed) sumi_text_add_bytes(out, "(", 1);
  write(s, e->a, need[e->op].left, out);
  sumi_text_add(out, "%s", sign[e->op]);
  write(s, e->b, need[e->op].right, out);
  if (enclosed) sumi_text_add_bytes(out, ")", 1);
}

void sumi_dim_print(const struct sumi_symbols *s, sumi_dim d, struct sumi_text *out) {
  const struct sumi_dim_expr *e = sumi_dim_expr_of(s, d);
  sumi_dim ignored;
  if (e && e->op == SUMI_DIM_SYMBOL) {
    const size_t n = strlen(e->symbol);
    const bool trimmed = !is_space(e->symbol[0]) && !is_space(e->symbol[n - 1]);
    if (trimmed && !is_unknown(e->symbol, n) && !read_all(NULL, e->symbol, n, &ignored)) {
      sumi_text_add_bytes(out, e->symbol, n);
      return;
    }
  }
  write(s, d, 0, out);
}
