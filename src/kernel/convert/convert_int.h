/* The loops of family convert: each leaf includes this once and compiles them for its own instruction set. Only static
 * functions. Define LEAF as the leaf's suffix first. */
#ifndef SUMI_KERNEL_CONVERT_INT_H
#define SUMI_KERNEL_CONVERT_INT_H

#include "base/half.h"
#include "kernel/convert/convert.h"

#if defined(__clang__)
#define CONVERT_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define CONVERT_LOOP _Pragma("GCC ivdep")
#endif

#define CONVERT_PASTE(a, b) a##b
#define CONVERT_NAME(a, b) CONVERT_PASTE(a, b)
#define CONVERT(level, suffix, ...)                                      \
  void sumi_widen_f16_##suffix(const uint16_t *x, int64_t n, float *y);  \
  void sumi_widen_bf16_##suffix(const uint16_t *x, int64_t n, float *y); \
  void sumi_narrow_f16_##suffix(const float *x, int64_t n, uint16_t *y); \
  void sumi_narrow_bf16_##suffix(const float *x, int64_t n, uint16_t *y);
#include "kernel/convert/convert.def"
#undef CONVERT

void CONVERT_NAME(sumi_widen_f16_, LEAF)(const uint16_t *x, int64_t n, float *y) {
  CONVERT_LOOP for (int64_t i = 0; i < n; i++) y[i] = sumi_f32_from_f16(x[i]);
}

void CONVERT_NAME(sumi_widen_bf16_, LEAF)(const uint16_t *x, int64_t n, float *y) {
  CONVERT_LOOP for (int64_t i = 0; i < n; i++) y[i] = sumi_f32_from_bf16(x[i]);
}

void CONVERT_NAME(sumi_narrow_f16_, LEAF)(const float *x, int64_t n, uint16_t *y) {
  CONVERT_LOOP for (int64_t i = 0; i < n; i++) y[i] = sumi_f16_from_f32(x[i]);
}

void CONVERT_NAME(sumi_narrow_bf16_, LEAF)(const float *x, int64_t n, uint16_t *y) {
  CONVERT_LOOP for (int64_t i = 0; i < n; i++) y[i] = sumi_bf16_from_f32(x[i]);
}

#endif
