/* Family copy with AVX2: even and odd words by one shuffle and one permutation, transposes of 8x8 in
 * registers. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernel/copy/copy_fill.h"

enum { BLOCK = 8 };

static void move_row(const float *x, int64_t first, int64_t last, int64_t pitch, float fill, float *y) {
  copy_fill(y, first, fill);
  if (last > first) memcpy(y + first, x + first, (size_t)(last - first) * sizeof *x);
  copy_fill(y + last, pitch - last, fill);
}

static void split2(const float *x, int64_t n, float *even, float *odd) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 a = _mm256_loadu_ps(x + 2 * i), b = _mm256_loadu_ps(x + 2 * i + 8);
    const __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)),
                  o = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
    _mm256_storeu_pd((double *)(even + i), _mm256_permute4x64_pd(e, 0xd8));
    _mm256_storeu_pd((double *)(odd + i), _mm256_permute4x64_pd(o, 0xd8));
  }
  for (; i < n; i++) {
    even[i] = x[2 * i];
    odd[i] = x[2 * i + 1];
  }
}

static void turn_block(const float *x, int64_t x_row, float *y, int64_t y_row) {
  __m256 r[8], s[8], t[8];
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(x + i * x_row);
  for (int i = 0; i < 4; i++) {
    s[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    s[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    t[4 * i] = _mm256_shuffle_ps(s[4 * i], s[4 * i + 2], 0x44);
    t[4 * i + 1] = _mm256_shuffle_ps(s[4 * i], s[4 * i + 2], 0xee);
    t[4 * i + 2] = _mm256_shuffle_ps(s[4 * i + 1], s[4 * i + 3], 0x44);
    t[4 * i + 3] = _mm256_shuffle_ps(s[4 * i + 1], s[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(y + i * y_row, _mm256_permute2f128_ps(t[i], t[i + 4], 0x20));
    _mm256_storeu_ps(y + (i + 4) * y_row, _mm256_permute2f128_ps(t[i], t[i + 4], 0x31));
  }
}

#include "kernel/copy/copy_int.h"

void sumi_copy_halo_avx2(const struct sumi_copy_halo *c, const float *x, float *y) { copy_halo(c, x, y); }

void sumi_copy_merge_avx2(const struct sumi_copy_halo *c, const float *x, float *y) { copy_merge(c, x, y); }

void sumi_copy_transpose_avx2(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, int64_t y_row) {
  copy_transpose(x, x_row, m, n, y, y_row);
}
