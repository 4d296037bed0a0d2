/* Family copy with AVX-512: even and odd words by two-source permutations, transposes of 16x16 in registers.
 */
#include <immintrin.h>
#include <stdint.h>

enum { BLOCK = 16 };
#define UNROLL _Pragma("GCC unroll 16")

/* Lanes q0..q0+15 that lie in [0, end). */
static __mmask16 below(int64_t end, int64_t q0) {
  return end <= q0 ? 0 : end >= q0 + 16 ? 0xffff : (__mmask16)(0xffffu >> (16 - (end - q0)));
}

static void move_row(const float *x, int64_t first, int64_t last, int64_t pitch, float fill, float *y) {
  const __m512 f = _mm512_set1_ps(fill);
  for (int64_t q = 0; q < pitch; q += 16) {
    const __mmask16 inside = below(last, q) & (__mmask16)~below(first, q);
    _mm512_mask_storeu_ps(y + q, below(pitch, q), _mm512_mask_loadu_ps(f, inside, x + q));
  }
}

static void split2(const float *x, int64_t n, float *even, float *odd) {
  const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i o = _mm512_add_epi32(e, _mm512_set1_epi32(1));
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t left = n - i < 16 ? n - i : 16;
    const __mmask16 to = (__mmask16)(0xffffu >> (16 - left));
    const __mmask32 from = (__mmask32)(0xffffffffu >> (32 - 2 * left));
    const __m512 a = _mm512_maskz_loadu_ps((__mmask16)from, x + 2 * i);
    const __m512 b = _mm512_maskz_loadu_ps((__mmask16)(from >> 16), x + 2 * i + 16);
    _mm512_mask_storeu_ps(even + i, to, _mm512_permutex2var_ps(a, e, b));
    _mm512_mask_storeu_ps(odd + i, to, _mm512_permutex2var_ps(a, o, b));
  }
}

/* Pairs, fours, then 128-bit quarters of 4 and of 8 rows change places. */
static void turn_block(const float *x, int64_t x_row, float *y, int64_t y_row) {
  __m512 r[16], s[16];
  UNROLL for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(x + i * x_row);
  UNROLL for (int i = 0; i < 16; i += 2) {
    s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  UNROLL for (int i = 0; i < 16; i += 4) { /* r[i + c]: column c of each quarter, rows i..i+3 */
    r[i] = _mm512_shuffle_ps(s[i], s[i + 2], 0x44);
    r[i + 1] = _mm512_shuffle_ps(s[i], s[i + 2], 0xee);
    r[i + 2] = _mm512_shuffle_ps(s[i + 1], s[i + 3], 0x44);
    r[i + 3] = _mm512_shuffle_ps(s[i + 1], s[i + 3], 0xee);
  }
  UNROLL for (int c = 0; c < 4; c++) {
    const __m512 a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x44),
                 b = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xee);
    const __m512 d = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x44),
                 e = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xee);
    _mm512_storeu_ps(y + c * y_row, _mm512_shuffle_f32x4(a, d, 0x88));
    _mm512_storeu_ps(y + (4 + c) * y_row, _mm512_shuffle_f32x4(a, d, 0xdd));
    _mm512_storeu_ps(y + (8 + c) * y_row, _mm512_shuffle_f32x4(b, e, 0x88));
    _mm512_storeu_ps(y + (12 + c) * y_row, _mm512_shuffle_f32x4(b, e, 0xdd));
  }
}

#include "kernel/copy/copy_int.h"

void sumi_copy_halo_avx512(const struct sumi_copy_halo *c, const float *x, float *y) { copy_halo(c, x, y); }

void sumi_copy_merge_avx512(const struct sumi_copy_halo *c, const float *x, float *y) { copy_merge(c, x, y); }

void sumi_copy_transpose_avx512(const float *x, int64_t x_row, int64_t m, int64_t n, float *y,
                                int64_t y_row) {
  copy_transpose(x, x_row, m, n, y, y_row);
}
