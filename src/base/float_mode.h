/* How the calling thread computes with subnormal floats. Summing over them takes processors up to a hundred times as long, so
 * a fast device lets them be zero while it runs and hands the thread back as it was. */
#ifndef SUMI_BASE_FLOAT_MODE_H
#define SUMI_BASE_FLOAT_MODE_H

#include <stdint.h>

/* The thread's mode (rounding, subnormal numbers), as a word for sumi_float_mode_set() alone. */
static inline uint64_t sumi_float_mode(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

static inline void sumi_float_mode_set(uint64_t mode) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned)mode);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
  (void)mode;
#endif
}

/* The same mode with subnormal operands and results as zero; mode itself where there is no such thing. */
static inline uint64_t sumi_float_mode_flushing(uint64_t mode) {
#if defined(__x86_64__)
  return mode | 0x8040; /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
  return mode | UINT64_C(1) << 24; /* FZ */
#else
  return mode;
#endif
}

#endif
