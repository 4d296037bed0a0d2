/* Casts between strings and numbers, whatever the host's locale takes for a decimal point.
 * "INF", "+INF", "-INF" and "NaN" in any case; blanks around a number are allowed. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op/cast.h"

enum {
  LONGEST = 400, /* bytes of a number's text that is read: the longest double in full has 326 */
  NUMBER = 64    /* of one that is written */
};

/* The locale's decimal point: what stands between 0 and 5. */
static void find_point(char point[8]) {
  char text[16];
  const int n = snprintf(text, sizeof text, "%.1f", 0.5);
  const int len = n - 2;
  const bool usual = n < 3 || len > 7;
  memcpy(point, usual ? "." : text + 1, usual ? 1 : (size_t)len);
  point[usual ? 1 : len] = 0;
}

/* Copies from to text with the first `old` replaced by `new`; false if it does not fit. */
static bool replace_point(const char *from, size_t n, const char *old, const char *new, char *text,
                          size_t size) {
  const size_t old_n = strlen(old), new_n = strlen(new);
  size_t at = 0;
  for (size_t i = 0; i < n;) {
    const bool hit = n - i >= old_n && !memcmp(from + i, old, old_n);
    const size_t add = hit ? new_n : 1;
    if (at + add >= size) return false;
    memcpy(text + at, hit ? new : from + i, add);
    at += add;
    i += hit ? old_n : 1;
  }
  text[at] = 0;
  return true;
}

sumi_status sumi_cast_from_string(const struct sumi_call *c, const struct sumi_tensor *x,
                                  struct sumi_tensor *y) {
  const struct sumi_str *s = x->data;
  const int64_t n = sumi_tensor_count(x);
  char point[8], text[LONGEST];
  find_point(point);
  for (int64_t i = 0; i < n; i++) {
    const char *from = s[i].data;
    size_t size = s[i].size;
    while (size && isspace((unsigned char)from[0])) from++, size--;
    while (size && isspace((unsigned char)from[size - 1])) size--;
    char *end = text;
    if (!size || memchr(from, 0, size) || !replace_point(from, size, ".", point, text, sizeof text))
      SUMI_FAIL(c->err, SUMI_E_VALUE, "string %" PRId64 " spells no number", i);
    const long long whole = strtoll(text, &end, 10);
    if (!*end && sumi_dtype_is_int(y->dtype) && whole != INT64_MAX && whole != INT64_MIN) {
      sumi_set_i64(y->dtype, y->data, i, whole);
      continue;
    }
    const double value = strtod(text, &end);
    if (*end) SUMI_FAIL(c->err, SUMI_E_VALUE, "string %" PRId64 " ('%.40s') spells no number", i, text);
    sumi_set_f64(y->dtype, y->data, i, value);
  }
  return SUMI_OK;
}

/* Element i of x with the fewest digits that give it back. */
static void print_float(const struct sumi_tensor *x, int64_t i, const char *point, char *text) {
  const double value = sumi_get_f64(x->dtype, x->data, i);
  if (isnan(value) || isinf(value)) {
    snprintf(text, NUMBER, "%s", isnan(value) ? "NaN" : value > 0 ? "INF" : "-INF");
    return;
  }
  char local[NUMBER];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(local, sizeof local, "%.*g", digits, value);
    uint64_t back = 0;
    sumi_set_f64(x->dtype, &back, 0, strtod(local, NULL));
    if (sumi_get_f64(x->dtype, &back, 0) == value) break;
  }
  replace_point(local, strlen(local), point, ".", text, NUMBER);
}

sumi_status sumi_cast_to_string(const struct sumi_call *c, const struct sumi_tensor *x,
                                struct sumi_tensor *y) {
  const int64_t n = sumi_tensor_count(x);
  struct sumi_str *to = y->data;
  char point[8], number[NUMBER];
  SUMI_ASSERT(c->err, c->heap);
  find_point(point);
  for (int64_t i = 0; i < n; i++) {
    struct sumi_str text = {number, 0};
    if (x->dtype == SUMI_STRING)
      text = ((const struct sumi_str *)x->data)[i];
    else if (sumi_dtype_is_float(x->dtype))
      print_float(x, i, point, number);
    else if (x->dtype == SUMI_UINT64)
      snprintf(number, sizeof number, "%" PRIu64, ((const uint64_t *)x->data)[i]);
    else
      snprintf(number, sizeof number, "%" PRId64, sumi_get_i64(x->dtype, x->data, i));
    if (x->dtype != SUMI_STRING) text.size = strlen(number);
    to[i].size = text.size;
    to[i].data = sumi_arena_strndup(c->heap, text.data, text.size);
    if (!to[i].data) SUMI_FAIL_MEMORY(c->err);
  }
  return SUMI_OK;
}
