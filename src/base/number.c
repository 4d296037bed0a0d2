/* Numbers as text. The C library's conversions follow the program's locale in one thing, the decimal point: it is put in
 * before reading and taken out after printing. */
#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1000, LONGEST_POINT = 8 };

static size_t digits(const char *s, size_t n, size_t i) {
  while (i < n && s[i] >= '0' && s[i] <= '9') i++;
  return i;
}

static bool is_word(const char *s, size_t n, const char *lower) {
  for (size_t i = 0; i < n; i++)
    if ((s[i] | 0x20) != lower[i]) return false; /* lower ends with 0, which no letter equals */
  return lower[n] == 0;
}

static bool is_number(const char *s, size_t n, size_t *point) {
  size_t i = n && (*s == '-' || *s == '+') ? 1 : 0;
  *point = n;
  if (is_word(s + i, n - i, "inf") || is_word(s + i, n - i, "infinity") || is_word(s + i, n - i, "nan"))
    return true;
  const size_t first = i;
  i = digits(s, n, i);
  size_t count = i - first;
  if (i < n && s[i] == '.') {
    *point = i;
    const size_t from = i + 1;
    i = digits(s, n, from);
    count += i - from;
  }
  if (count == 0) return false;
  if (i < n && (s[i] | 0x20) == 'e') {
    i++;
    if (i < n && (s[i] == '-' || s[i] == '+')) i++;
    const size_t from = i;
    i = digits(s, n, i);
    if (i == from) return false;
  }
  return i == n;
}

static const char *locale_point(void) {
  const char *point = localeconv()->decimal_point;
  return *point && strlen(point) <= LONGEST_POINT ? point : ".";
}

/* s as strtod wants it in this locale. */
static bool prepare(const char *s, size_t n, char buf[LONGEST + LONGEST_POINT + 1]) {
  size_t at;
  if (n == 0 || n > LONGEST || !is_number(s, n, &at)) return false;
  memcpy(buf, s, at);
  buf[at] = 0;
  if (at < n) {
    const char *point = locale_point();
    const size_t m = strlen(point);
    memcpy(buf + at, point, m);
    memcpy(buf + at + m, s + at + 1, n - at - 1);
    buf[n - 1 + m] = 0;
  }
  return true;
}

bool sumi_number_read_f32(const char *s, size_t n, float *out) {
  char buf[LONGEST + LONGEST_POINT + 1];
  if (!prepare(s, n, buf)) return false;
  *out = strtof(buf, NULL);
  return true;
}

bool sumi_number_read_f64(const char *s, size_t n, double *out) {
  char buf[LONGEST + LONGEST_POINT + 1];
  if (!prepare(s, n, buf)) return false;
  *out = strtod(buf, NULL);
  return true;
}

/* The locale's decimal point, if there is one in buf, becomes ".". */
static char *plain_point(char *buf) {
  const char *point = locale_point();
  const size_t m = strlen(point);
  char *at = strstr(buf, point);
  if (at && strcmp(point, ".") != 0) {
    *at = '.';
    memmove(at + 1, at + m, strlen(at + m) + 1);
  }
  return buf;
}

static char *special(double x, char *buf) {
  snprintf(buf, SUMI_NUMBER_TEXT, "%s%s", signbit(x) ? "-" : "", isnan(x) ? "nan" : "inf");
  return buf;
}

char *sumi_number_print_f32(float x, char *buf) {
  if (!isfinite(x)) return special(x, buf);
  for (int precision = 6; precision <= 9; precision++) { /* %g leaves zeros at the end out */
    snprintf(buf, SUMI_NUMBER_TEXT, "%.*g", precision, (double)x);
    if (strtof(buf, NULL) == x) break;
  }
  return plain_point(buf);
}

char *sumi_number_print_f64(double x, char *buf) {
  if (!isfinite(x)) return special(x, buf);
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(buf, SUMI_NUMBER_TEXT, "%.*g", precision, x);
    if (strtod(buf, NULL) == x) break;
  }
  return plain_point(buf);
}
