/* spmm, bfloat16, without instructions for it: both halves of a word are float32 numbers when shifted or masked, and
 * two multiply-adds do the rest. */
#include "kernel/spmm/spmm_bf16_avx512.h"

typedef struct {
  __m512 low, high;
} xs;
typedef xs ws;

enum { MOST_1 = 8, MOST_2 = 6, MOST_4 = 4, MOST_8 = 2 };
#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4)
#define TILES_8(X) X(8, 1) X(8, 2)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_4(X) TILES_8(X)

INLINE xs v_of(__m512i word) { return (xs){bf16_low(word), bf16_high(word)}; }
INLINE xs v_x(const void *p) { return v_of(_mm512_loadu_si512(p)); }
INLINE ws v_w(const int32_t *p) { return v_of(_mm512_set1_epi32(*p)); }
INLINE __m512 v_dot(__m512 sum, xs x, ws w) {
  return _mm512_fmadd_ps(x.high, w.high, _mm512_fmadd_ps(x.low, w.low, sum));
}

#include "kernel/spmm/spmm_bf16_tiles_int.h"

void sumi_spmm_bf16_avx512(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  run(s, b0, b1, p0, p1);
}
