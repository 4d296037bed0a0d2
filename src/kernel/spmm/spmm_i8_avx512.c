/* spmm, 8 bits, with AVX-512 BW: bytes of x and w, even and odd ones apart, as 16-bit numbers in VPMADDWD.
 * Nothing saturates. Tiles of 4 rows x 4 vectors, 2 x 6, 1 x 6 of 16 pixels. */
#include "kernel/spmm/spmm_i8_avx512.h"

enum { TILE_ROWS = 4, MOST_1 = 6, MOST_2 = 6, MOST_4 = 4, MOST_8 = 4 };
typedef __m512i sums;
typedef struct {
  __m512i even, odd;
} xs, ws;

INLINE sums v_bias(const int32_t *p) { return _mm512_set1_epi32(*p); }
INLINE xs v_x(const uint8_t *p) {
  const __m512i x = _mm512_loadu_si512(p);
  return (xs){_mm512_and_si512(x, _mm512_set1_epi16(255)), _mm512_srli_epi16(x, 8)};
}
INLINE ws v_w(const int32_t *p) {
  const __m512i w = _mm512_set1_epi32(*p);
  return (ws){_mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8), _mm512_srai_epi16(w, 8)};
}
INLINE sums v_dot(sums sum, xs x, ws w) {
  sum = _mm512_add_epi32(sum, _mm512_madd_epi16(x.even, w.even));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(x.odd, w.odd));
}
INLINE void v_keep(int32_t *p, sums sum) { _mm512_store_si512(p, sum); }

#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6)
#define TILES(X) TILES_1(X) TILES_2(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4)
#include "kernel/spmm/spmm_i8_tiles_int.h"

void sumi_spmm_i8_avx512(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  run(s, b0, b1, p0, p1);
}
