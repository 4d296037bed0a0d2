/* RE2's syntax to that of PCRE2. Every construct is read here and written out anew in a form that has one meaning in both,
 * so nothing that RE2 does not know reaches the library. Differences that matter: \s has no vertical tab, \v is that one
 * character, \w and \b are ASCII, U is what it is in both, and {,n} is no quantifier. */
#include "op/re2_syntax.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/utf8.h"

enum { MAX_REPEAT = 1000, MAX_DEPTH = 1000, LAST_CODE = 0x10ffff };

struct reader {
  const char *all, *at, *end;
  struct sumi_text *out;
  struct sumi_err *err;
  int depth;                               /* open groups */
  bool lines[MAX_DEPTH + 2];               /* by depth: flag m is on, $ is the end of a line */
  enum { NOTHING, ITEM, REPEATED } before; /* what a quantifier would follow */
};

static sumi_status refuse(const struct reader *r, const char *what) {
  SUMI_FAIL(r->err, SUMI_E_VALUE, "the pattern is no RE2 syntax: %s at byte %zu", what,
            (size_t)(r->at - r->all));
}

static size_t left(const struct reader *r) { return (size_t)(r->end - r->at); }

/* The k-th byte from here; 0 behind the end. */
static char peek(const struct reader *r, size_t k) { return k < left(r) ? r->at[k] : 0; }

static bool starts(const struct reader *r, const char *text) {
  const size_t n = strlen(text);
  return left(r) >= n && !memcmp(r->at, text, n);
}

static void put(struct reader *r, const char *text) { sumi_text_add_bytes(r->out, text, strlen(text)); }

static void put_code(struct reader *r, int32_t code) {
  char text[SUMI_UTF8_MAX];
  if (code < 0x80 && !isalnum(code))
    sumi_text_add(r->out, "\\x{%" PRIx32 "}", (uint32_t)code);
  else
    sumi_text_add_bytes(r->out, text, sumi_utf8_put(code, text));
}

static sumi_status take_code(struct reader *r, int32_t *code) {
  size_t length;
  *code = sumi_utf8_get(r->at, left(r), &length);
  if (*code == SUMI_UTF8_NONE) return refuse(r, "no UTF-8");
  r->at += length;
  return SUMI_OK;
}

/* Up to `most` digits of a base (8 or 16); false where there is none or the number is no code point. */
static bool take_digits(struct reader *r, int base, int most, int32_t *code) {
  const char *from = r->at;
  for (*code = 0; r->at < r->end && r->at - from < most; r->at++) {
    const int c = (unsigned char)*r->at;
    if (base == 8 ? c < '0' || c > '7' : !isxdigit(c)) break;
    *code = *code * base + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    if (*code > LAST_CODE) return false;
  }
  return r->at > from;
}

/* A character behind a backslash, which is passed already. */
static sumi_status take_escape(struct reader *r, int32_t *code) {
  static const char named[] = "ntrafv", meant[] = "\n\t\r\a\f\v";
  const int c = (unsigned char)peek(r, 0);
  const char *name = c ? strchr(named, c) : NULL;
  const bool octal = c == '0' || (c >= '1' && c <= '7' && peek(r, 1) >= '0' && peek(r, 1) <= '7');
  bool good = true;
  if (!left(r)) return refuse(r, "a backslash alone");
  if (c < 0x80 && !isalnum(c) && c != '_') {
    *code = c;
    r->at++;
  } else if (name) {
    *code = meant[name - named];
    r->at++;
  } else if (octal) {
    good = take_digits(r, 8, 3, code);
  } else if (c == 'x' && peek(r, 1) == '{') {
    r->at += 2;
    good = take_digits(r, 16, INT32_MAX, code) && peek(r, 0) == '}';
    r->at += good;
  } else if (c == 'x') {
    r->at++;
    const char *from = r->at;
    good = take_digits(r, 16, 2, code) && r->at - from == 2;
  } else {
    return refuse(r, c >= '1' && c <= '9' ? "a backward reference" : "an unknown escape");
  }
  if (!good || (*code >= 0xd800 && *code < 0xe000)) return refuse(r, "a damaged code");
  return SUMI_OK;
}

/* \d, \s, \w and their opposites as members of a class; NULL for others. */
static const char *perl_class(char c) {
  static const struct {
    char c;
    const char *members;
  } classes[] = {{'d', "0-9"},
                 {'D', "\\D"},
                 {'w', "0-9A-Za-z_"},
                 {'W', "\\W"},
                 {'s', "\\t\\n\\f\\r\\x20"},
                 {'S', "\\x00-\\x08\\x0b\\x0e-\\x1f\\x21-\\x{10ffff}"}};
  for (size_t i = 0; i < SUMI_COUNT(classes); i++)
    if (classes[i].c == c) return classes[i].members;
  return NULL;
}

/* \pL, \p{Greek}, \P{^Greek}: from the letter p on. */
static sumi_status take_property(struct reader *r) {
  size_t n = 2;
  if (peek(r, 1) == '{') {
    n += peek(r, 2) == '^';
    const size_t from = n;
    while (isalpha((unsigned char)peek(r, n)) || peek(r, n) == '_') n++;
    if (n == from || peek(r, n++) != '}') return refuse(r, "a damaged property");
  } else if (!isalpha((unsigned char)peek(r, 1))) {
    return refuse(r, "a damaged property");
  }
  put(r, "\\");
  sumi_text_add_bytes(r->out, r->at, n);
  r->at += n;
  return SUMI_OK;
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static sumi_status take_class_code(struct reader *r, int32_t *code) {
  if (!left(r)) return refuse(r, "a class without end");
  if (*r->at != '\\') return take_code(r, code);
  r->at++;
  return take_escape(r, code);
}

/* "[:alpha:]" or "[:^alpha:]"; *done says whether it is one. */
static sumi_status take_posix(struct reader *r, bool *done) {
  const char *colon = left(r) > 2 ? memmem(r->at + 2, left(r) - 2, ":]", 2) : NULL;
  *done = starts(r, "[:") && colon;
  if (!*done) return SUMI_OK;
  for (const char *p = r->at + 2 + (r->at[2] == '^'); p < colon; p++)
    if (!islower((unsigned char)*p)) return refuse(r, "an unknown class");
  sumi_text_add_bytes(r->out, r->at, (size_t)(colon + 2 - r->at));
  r->at = colon + 2;
  return SUMI_OK;
}

static sumi_status take_member(struct reader *r) {
  bool done;
  SUMI_TRY(take_posix(r, &done));
  if (done) return SUMI_OK;
  const char *members = *r->at == '\\' ? perl_class(peek(r, 1)) : NULL;
  if (members) {
    put(r, members);
    r->at += 2;
    return SUMI_OK;
  }
  if (*r->at == '\\' && (peek(r, 1) == 'p' || peek(r, 1) == 'P')) {
    r->at++;
    return take_property(r);
  }
  int32_t low, high;
  SUMI_TRY(take_class_code(r, &low));
  put_code(r, low);
  if (peek(r, 0) != '-' || left(r) < 2 || r->at[1] == ']') return SUMI_OK;
  r->at++;
  SUMI_TRY(take_class_code(r, &high));
  if (high < low) return refuse(r, "a range that ends before it starts");
  put(r, "-");
  put_code(r, high);
  return SUMI_OK;
}

static sumi_status take_class(struct reader *r) {
  r->at++;
  put(r, "[");
  if (peek(r, 0) == '^') {
    put(r, "^");
    r->at++;
  }
  for (bool first = true; first || peek(r, 0) != ']'; first = false) {
    if (!left(r)) return refuse(r, "a class without end");
    SUMI_TRY(take_member(r));
  }
  r->at++;
  put(r, "]");
  return SUMI_OK;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

/* "(?flags)", "(?flags:", "(?P<name>", "(?<name>": from the question mark on. */
static sumi_status take_group_kind(struct reader *r) {
  r->at++;
  const size_t name = starts(r, "P<") ? 2 : starts(r, "<") ? 1 : 0;
  if (name) {
    size_t n = name;
    while (isalnum((unsigned char)peek(r, n)) || peek(r, n) == '_') n++;
    if (n == name || peek(r, n) != '>') return refuse(r, "an unknown kind of group");
    r->at += n + 1;
    put(r, "(?:");
    return SUMI_OK;
  }
  const size_t n = strspn(r->at, "imsU-");
  const char *minus = memchr(r->at, '-', n);
  if (n >= left(r) || (r->at[n] != ':' && r->at[n] != ')')) return refuse(r, "an unknown kind of group");
  if (minus && (minus == r->at + n - 1 || memchr(minus + 1, '-', (size_t)(r->at + n - minus - 1))))
    return refuse(r, "damaged flags");
  const char *m = memchr(r->at, 'm', n);
  put(r, "(?");
  sumi_text_add_bytes(r->out, r->at, n + 1);
  if (r->at[n] == ')') r->depth--;
  if (m) r->lines[r->depth] = !minus || m < minus;
  r->at += n + 1;
  return SUMI_OK;
}

static sumi_status take_group(struct reader *r) {
  r->at++;
  if (++r->depth > MAX_DEPTH) return refuse(r, "groups nested too deeply");
  r->lines[r->depth] = r->lines[r->depth - 1];
  r->before = NOTHING;
  if (peek(r, 0) == '?') return take_group_kind(r);
  put(r, "(?:");
  return SUMI_OK;
}

/* "{n}", "{n,}", "{n,m}": its length in bytes, 0 where the brace is a brace. */
static size_t braces(const struct reader *r, int64_t *low, int64_t *high) {
  size_t n = 1;
  int64_t *const bound[] = {low, high};
  *low = *high = -1;
  for (int b = 0; b < 2; b++) {
    for (; isdigit((unsigned char)peek(r, n)); n++)
      *bound[b] = SUMI_MIN(SUMI_MAX(*bound[b], 0) * 10 + (peek(r, n) - '0'), MAX_REPEAT + 1);
    if (b == 0 && *low < 0) return 0;
    if (b == 0 && peek(r, n) != ',') *high = *low;
    if (b == 1 || peek(r, n) != ',') break;
    n++;
  }
  return peek(r, n) == '}' ? n + 1 : 0;
}

static sumi_status take_quantifier(struct reader *r, size_t n) {
  if (r->before == NOTHING) return refuse(r, "a quantifier behind nothing");
  if (r->before == REPEATED) return refuse(r, "a quantifier behind a quantifier");
  sumi_text_add_bytes(r->out, r->at, n);
  r->at += n;
  if (peek(r, 0) == '?') {
    put(r, "?");
    r->at++;
  }
  r->before = REPEATED;
  return SUMI_OK;
}

static sumi_status take_quoted(struct reader *r) {
  int32_t code;
  for (r->at += 2; left(r) && !starts(r, "\\E"); put_code(r, code)) {
    SUMI_TRY(take_code(r, &code));
    r->before = ITEM;
  }
  if (left(r)) r->at += 2;
  return SUMI_OK;
}

/* What a backslash starts. Assertions stand in groups, where a quantifier may follow. */
static sumi_status take_backslash(struct reader *r) {
  static const char *const asserts[] = {"\\A", "\\z", "\\b", "\\B"};
  int32_t code;
  if (starts(r, "\\Q")) return take_quoted(r);
  r->before = ITEM;
  for (size_t i = 0; i < SUMI_COUNT(asserts); i++) {
    if (!starts(r, asserts[i])) continue;
    sumi_text_add(r->out, "(?:%s)", asserts[i]);
    r->at += 2;
    return SUMI_OK;
  }
  if (starts(r, "\\C"))
    SUMI_FAIL(r->err, SUMI_E_UNSUPPORTED,
              "the pattern has \\C at byte %zu: single bytes of a character are not matched",
              (size_t)(r->at - r->all));
  const char c = peek(r, 1), *members = perl_class(c);
  if (members) {
    sumi_text_add(r->out, "[%s]", members);
    r->at += 2;
    return SUMI_OK;
  }
  r->at++;
  if (c == 'p' || c == 'P') return take_property(r);
  SUMI_TRY(take_escape(r, &code));
  put_code(r, code);
  return SUMI_OK;
}

static sumi_status take_one(struct reader *r) {
  int64_t low, high;
  int32_t code;
  const char c = *r->at;
  const size_t n = c == '*' || c == '+' || c == '?' ? 1 : c == '{' ? braces(r, &low, &high) : 0;
  if (n > 1 && (low > MAX_REPEAT || high > MAX_REPEAT || (high >= 0 && low > high)))
    return refuse(r, "a quantifier out of range");
  if (n) return take_quantifier(r, n);
  if (c == '(') return take_group(r);
  if (c == '\\') return take_backslash(r);
  r->before = c == '|' ? NOTHING : ITEM;
  if (c == '[') return take_class(r);
  if (c == ')' && r->depth-- == 0) return refuse(r, "a closing parenthesis too many");
  const char *dollar = r->lines[r->depth] ? "(?:$)" : "(?:\\z)";
  const char *known = c == '|'   ? "|"
                      : c == ')' ? ")"
                      : c == '.' ? "."
                      : c == '^' ? "(?:^)"
                      : c == '$' ? dollar
                                 : NULL;
  if (known) {
    put(r, known);
    r->at++;
    return SUMI_OK;
  }
  SUMI_TRY(take_code(r, &code));
  put_code(r, code);
  return SUMI_OK;
}

sumi_status sumi_re2_translate(struct sumi_str re, struct sumi_text *out, struct sumi_err *err) {
  struct reader r = {.all = re.data, .at = re.data, .end = re.data + re.size, .out = out, .err = err};
  while (left(&r)) SUMI_TRY(take_one(&r));
  if (r.depth) return refuse(&r, "a parenthesis that is not closed");
  if (out->failed) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}
