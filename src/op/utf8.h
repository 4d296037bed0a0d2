/* UTF-8 by code points, for operators that look into strings. A string may hold any bytes: what is no UTF-8 is handed
 * on byte by byte. */
#ifndef SUMI_OP_UTF8_H
#define SUMI_OP_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { SUMI_UTF8_MAX = 4, SUMI_UTF8_NONE = -1 };

/* The code point that starts s[n], n > 0, and its *length in bytes; SUMI_UTF8_NONE with length 1 where none does
 * (RFC 3629: no overlong forms, surrogates, or numbers above 0x10ffff). */
static inline int32_t sumi_utf8_get(const char *s, size_t n, size_t *length) {
  static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const uint8_t *p = (const uint8_t *)s;
  const size_t want = p[0] < 0x80   ? 1
                      : p[0] < 0xc0 ? 0
                      : p[0] < 0xe0 ? 2
                      : p[0] < 0xf0 ? 3
                      : p[0] < 0xf8 ? 4
                                    : 0;
  *length = 1;
  if (!want || want > n) return SUMI_UTF8_NONE;
  if (want == 1) return p[0];
  int32_t code = p[0] & (0xff >> (want + 1));
  for (size_t i = 1; i < want; i++) {
    if ((p[i] & 0xc0) != 0x80) return SUMI_UTF8_NONE;
    code = code << 6 | (p[i] & 0x3f);
  }
  if (code < least[want] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return SUMI_UTF8_NONE;
  *length = want;
  return code;
}

/* Writes a code point to s[SUMI_UTF8_MAX]; returns its length in bytes. */
static inline size_t sumi_utf8_put(int32_t code, char *s) {
  if (code < 0x80) return s[0] = (char)code, 1;
  const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = n; i-- > 1; code >>= 6) s[i] = (char)(0x80 | (code & 0x3f));
  s[0] = (char)((0xf00 >> n) | code); /* n ones, then a zero */
  return n;
}

#endif
