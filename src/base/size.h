/* Checked arithmetic on sizes: every product of numbers from outside goes through here. */
#ifndef SUMI_BASE_SIZE_H
#define SUMI_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false, and leaves *out alone, when the result does not fit. */
static inline bool sumi_size_mul(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

static inline bool sumi_size_add(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

static inline bool sumi_i64_mul(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

static inline bool sumi_i64_add(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

/* n rounded up to a multiple of the power of two a; false on overflow. */
static inline bool sumi_size_align(size_t n, size_t a, size_t *out) {
  size_t r;
  if (!sumi_size_add(n, a - 1, &r)) return false;
  *out = r & ~(a - 1);
  return true;
}

#define SUMI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SUMI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SUMI_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
