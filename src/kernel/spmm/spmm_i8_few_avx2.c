/* spmm, 8 bits, few pixels, with AVX2: the 8 rows of a block, VPMADDWD on the even and the odd bytes of their words (VPMADDUBSW would
 * saturate). The algorithm stands in spmm_i8_few_int.h. */
#include <immintrin.h>

#include "kernel/spmm/spmm_i8_int.h"

INLINE __m256i few_dot(__m256i sum, __m256i x, __m256i w) {
  const __m256i low = _mm256_set1_epi16(255);
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(x, low),
                                         _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8)),
                odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

#include "kernel/spmm/spmm_i8_few_int.h"

void sumi_spmm_i8_few_avx2(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  few_run(s, b0, b1, p0, p1);
}
