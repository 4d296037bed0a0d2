/* spmm, 8 bits, with AVX-VNNI: VPDPBUSD on 8 pixels. Tiles of 4 rows x 1 vector of 16 pixels, 2 x 2, 1 x 4.
 * */
#include "kernel/spmm/spmm_i8_avx2.h"

enum { TILE_ROWS = 4, MOST_1 = 4, MOST_2 = 2, MOST_4 = 1, MOST_8 = 1 };
typedef struct {
  __m256i low, high;
} sums, xs;
typedef __m256i ws;

INLINE sums v_bias(const int32_t *p) { return (sums){_mm256_set1_epi32(*p), _mm256_set1_epi32(*p)}; }
INLINE xs v_x(const uint8_t *p) {
  return (xs){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1)};
}
INLINE ws v_w(const int32_t *p) { return _mm256_set1_epi32(*p); }
/* The instruction itself: around the intrinsic gcc 12 copies sums from register to register. */
INLINE __m256i dot(__m256i sum, __m256i x, ws w) {
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
  return sum;
}
INLINE sums v_dot(sums sum, xs x, ws w) { return (sums){dot(sum.low, x.low, w), dot(sum.high, x.high, w)}; }
INLINE void v_keep(int32_t *p, sums sum) {
  _mm256_store_si256((__m256i *)p, sum.low);
  _mm256_store_si256((__m256i *)p + 1, sum.high);
}

#define TILES(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(2, 1) X(2, 2) X(4, 1)
#include "kernel/spmm/spmm_i8_tiles_int.h"

void sumi_spmm_i8_avxvnni(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  run(s, b0, b1, p0, p1);
}
