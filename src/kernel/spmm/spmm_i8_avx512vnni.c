/* spmm, 8 bits, with AVX-512 VNNI: tiles of 8 rows x 3 vectors, 4 x 6, 2 x 8, 1 x 8 of 16 pixels. Each list
 * entry costs one load a vector, one broadcast a row, one VPDPBUSD (four multiply-adds a lane, modulo 2^32) a
 * pair. */
#include "kernel/spmm/spmm_i8_avx512.h"

enum { TILE_ROWS = 8, MOST_1 = 8, MOST_2 = 8, MOST_4 = 6, MOST_8 = 3 };
typedef __m512i sums, xs, ws;

/* By hand: else sums begin as copies of one register, and gcc 12 copies them again in the loop. */
INLINE sums v_bias(const int32_t *p) {
  sums sum;
  __asm__ volatile("vpbroadcastd %1, %0" : "=v"(sum) : "m"(*p));
  return sum;
}
INLINE xs v_x(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE ws v_w(const int32_t *p) { return _mm512_set1_epi32(*p); }
/* The instruction itself: around the intrinsic gcc 12 copies sums from register to register. */
INLINE sums v_dot(sums sum, xs x, ws w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
}
INLINE void v_keep(int32_t *p, sums sum) { _mm512_store_si512(p, sum); }

#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_4(X) X(8, 1) X(8, 2) X(8, 3)
#include "kernel/spmm/spmm_i8_tiles_int.h"

void sumi_spmm_i8_avx512vnni(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  run(s, b0, b1, p0, p1);
}
