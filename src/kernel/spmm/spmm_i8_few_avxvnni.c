/* spmm, 8 bits, few pixels, with AVX-VNNI: VPDPBUSD on the 8 rows of a block. The algorithm stands in spmm_i8_few_int.h. */
#include <immintrin.h>

#include "kernel/spmm/spmm_i8_int.h"

INLINE __m256i few_dot(__m256i sum, __m256i x, __m256i w) {
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
  return sum;
}

#include "kernel/spmm/spmm_i8_few_int.h"

void sumi_spmm_i8_few_avxvnni(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  few_run(s, b0, b1, p0, p1);
}
