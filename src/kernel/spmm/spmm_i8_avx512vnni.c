/* spmm, 8 bits, with AVX-512 VNNI: tiles of 8 rows x 3 vectors of 16 pixels and 4 x 6, whose rows may have lists of
 * their own. Each list entry costs one load a vector, one broadcast a row, one VPDPBUSD (four multiply-adds a lane, modulo
 * 2^32) a pair. */
#include "kernel/spmm/spmm_i8_avx512.h"

enum { TILE_ROWS = 8, MOST_1 = 6, MOST_2 = 6, MOST_4 = 6, MOST_8 = 3 };
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

#define OF_6(X, rows) X(rows, 1) X(rows, 2) X(rows, 3) X(rows, 4) X(rows, 5) X(rows, 6)
#define TILES(X) OF_6(X, 4) X(8, 1) X(8, 2) X(8, 3)
#define WORDS(X) OF_6(X, 1) OF_6(X, 2)
#include "kernel/spmm/spmm_i8_tiles_int.h"

void sumi_spmm_i8_avx512vnni(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  run(s, b0, b1, p0, p1);
}
