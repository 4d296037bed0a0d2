/* spmm, bfloat16, with VDPBF16PS. */
#include "kernel/spmm/spmm_bf16_avx512.h"

typedef __m512bh xs;
typedef __m512bh ws;

enum { MOST_1 = 8, MOST_2 = 8, MOST_4 = 6, MOST_8 = 3 };
#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
#define TILES_8(X) X(8, 1) X(8, 2) X(8, 3)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_4(X) TILES_8(X)

INLINE xs v_x(const void *p) { return (__m512bh)_mm512_loadu_si512(p); }
INLINE ws v_w(const int32_t *p) { return (__m512bh)_mm512_set1_epi32(*p); }
INLINE __m512 v_dot(__m512 sum, xs x, ws w) { return _mm512_dpbf16_ps(sum, x, w); }

#include "kernel/spmm/spmm_bf16_tiles_int.h"

void sumi_spmm_bf16_avx512bf16(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0,
                               int64_t p1) {
  run(s, b0, b1, p0, p1);
}
