/* INLINE and UNROLL: what is compiled into each leaf of 8-bit lanes, with its loops over registers unrolled. */
#ifndef SUMI_KERNEL_SIMD_INLINE_H
#define SUMI_KERNEL_SIMD_INLINE_H

#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)") /* early enough for arrays to become registers */
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#endif
