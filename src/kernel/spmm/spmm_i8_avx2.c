/* spmm, 8 bits, with AVX2: bytes of x and w, even and odd ones apart, as 16-bit numbers in VPMADDWD. Nothing
 * saturates, as VPMADDUBSW would. Tiles of 4 rows x 1 vector of 16 pixels, 2 x 2, 1 x 4. */
#include "kernel/spmm/spmm_i8_avx2.h"

enum { TILE_ROWS = 4, MOST_1 = 4, MOST_2 = 2, MOST_4 = 1, MOST_8 = 1 };
typedef struct {
  __m256i low, high;
} sums;
typedef struct {
  __m256i low_even, low_odd, high_even, high_odd;
} xs;
typedef struct {
  __m256i even, odd;
} ws;

INLINE sums v_bias(const int32_t *p) { return (sums){_mm256_set1_epi32(*p), _mm256_set1_epi32(*p)}; }
INLINE xs v_x(const uint8_t *p) {
  const __m256i low = _mm256_loadu_si256((const __m256i *)p),
                high = _mm256_loadu_si256((const __m256i *)p + 1), bytes = _mm256_set1_epi16(255);
  return (xs){_mm256_and_si256(low, bytes), _mm256_srli_epi16(low, 8), _mm256_and_si256(high, bytes),
              _mm256_srli_epi16(high, 8)};
}
INLINE ws v_w(const int32_t *p) {
  const __m256i w = _mm256_set1_epi32(*p);
  return (ws){_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}
INLINE __m256i dot(__m256i sum, __m256i even, __m256i odd, ws w) {
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, w.even));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, w.odd));
}
INLINE sums v_dot(sums sum, xs x, ws w) {
  return (sums){dot(sum.low, x.low_even, x.low_odd, w), dot(sum.high, x.high_even, x.high_odd, w)};
}
INLINE void v_keep(int32_t *p, sums sum) {
  _mm256_store_si256((__m256i *)p, sum.low);
  _mm256_store_si256((__m256i *)p + 1, sum.high);
}

#define TILES(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(2, 1) X(2, 2) X(4, 1)
#include "kernel/spmm/spmm_i8_tiles_int.h"

void sumi_spmm_i8_avx2(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  run(s, b0, b1, p0, p1);
}
