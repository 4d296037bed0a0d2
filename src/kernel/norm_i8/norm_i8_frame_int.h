/* The frame of family norm_i8, written in the words of simd/words_*.h. A leaf includes those first, and defines NORM_VECTORS,
 * vectors of 16 pixels in a tile.
 *
 * Sums of values and of squares are taken together. The variance is the difference of two means, unless they are so close
 * that it would lose digits: then squares around the mean are summed in a second walk. */
#ifndef SUMI_KERNEL_NORM_I8_FRAME_INT_H
#define SUMI_KERNEL_NORM_I8_FRAME_INT_H

#include <math.h>

#include "kernel/norm_i8/norm_i8_int.h"

/* What is read; constants where the frame is inlined. */
struct norm_form {
  bool words, residual; /* x holds bytes; there is a residual */
};

struct norm_tile {
  int64_t p, n[NORM_VECTORS]; /* the first pixel; pixels of each vector, 0..16 */
  bool finite;                /* nothing is a NaN or infinite */
  fvec mean[NORM_VECTORS], inverse[NORM_VECTORS];
};

/* Four channels of vector k: those from 4 g on, of which there are `channels`. */
INLINE void norm_values(const struct sumi_norm_i8 *s, const struct norm_form form, const struct norm_tile *t,
                        const int k, int64_t g, int64_t channels, fvec *v) {
  const int64_t p = t->p + k * WORDS, n = t->n[k];
  wvec x = w_set(0), r = w_set(0);
  if (form.words) x = w_load(n, s->x + g * s->x_group + p);
  if (form.residual) r = w_load(n, s->r + g * s->r_group + p);
  UNROLL for (int c = 0; c < 4; c++) {
    v[c] = f_set(0);
    if (c >= channels) continue;
    const fvec add = f_set(s->add[4 * g + c]);
    const fvec a = form.words ? f_byte(x, c) : f_load(n, s->x_f32 + (4 * g + c) * s->x_row + p);
    v[c] = f_fma(a, f_set(form.words ? s->x_mul : 1), add);
    if (form.residual) v[c] = f_fma(f_byte(r, c), f_set(s->r_mul), v[c]);
  }
}

INLINE int64_t norm_channels(const struct sumi_norm_i8 *s, int64_t g) {
  return s->channels - 4 * g < 4 ? s->channels - 4 * g : 4;
}

/* Sums over the channels of v, or (around) v - mean, and its square. */
INLINE void norm_sums(const struct sumi_norm_i8 *s, const struct norm_form form, const bool around,
                      const struct norm_tile *t, fvec *sum, fvec *square) {
  const fvec one = f_set(1);
  UNROLL for (int k = 0; k < NORM_VECTORS; k++) sum[k] = square[k] = f_set(0);
  for (int64_t g = 0; 4 * g < s->channels; g++) {
    const int64_t channels = norm_channels(s, g);
    UNROLL for (int k = 0; k < NORM_VECTORS; k++) {
      fvec v[4];
      norm_values(s, form, t, k, g, channels, v);
      UNROLL for (int c = 0; c < 4; c++) {
        if (c >= channels) continue;
        const fvec d = around ? f_sub(v[c], t->mean[k]) : v[c];
        sum[k] = f_fma(d, one, sum[k]);
        square[k] = f_fma(d, d, square[k]);
      }
    }
  }
}

static inline int norm_finite(const float *v, int64_t n) {
  int finite = 1;
  for (int64_t i = 0; v && i < n; i++) finite &= fabsf(v[i]) < INFINITY;
  return finite;
}

/* The variance has lost more than four bits. */
static inline int norm_close(float mean, float variance) { return !(variance >= mean * mean * 0.0625f); }

/* Sets mean and inverse. */
INLINE void norm_statistics(const struct sumi_norm_i8 *s, const struct norm_form form, struct norm_tile *t) {
  const float n = (float)s->channels;
  float mean[NORM_VECTORS * WORDS], variance[NORM_VECTORS * WORDS];
  fvec sum[NORM_VECTORS], square[NORM_VECTORS];
  norm_sums(s, form, false, t, sum, square);
  UNROLL for (int k = 0; k < NORM_VECTORS; k++) {
    f_store(WORDS, mean + k * WORDS, sum[k]);
    f_store(WORDS, variance + k * WORDS, square[k]);
  }
  int any = 0, finite = 1;
  for (int i = 0; i < NORM_VECTORS * WORDS; i++) {
    mean[i] = s->centred ? mean[i] / n : 0;
    finite &= variance[i] < INFINITY;
    variance[i] = variance[i] / n - mean[i] * mean[i];
    any |= norm_close(mean[i], variance[i]);
  }
  UNROLL for (int k = 0; k < NORM_VECTORS; k++) t->mean[k] = f_load(WORDS, mean + k * WORDS);
  if (any) {
    float around[NORM_VECTORS * WORDS];
    norm_sums(s, form, true, t, sum, square);
    UNROLL for (int k = 0; k < NORM_VECTORS; k++) f_store(WORDS, around + k * WORDS, square[k]);
    for (int i = 0; i < NORM_VECTORS * WORDS; i++)
      if (norm_close(mean[i], variance[i])) variance[i] = around[i] / n;
  }
  for (int i = 0; i < NORM_VECTORS * WORDS; i++) {
    variance[i] = 1 / sqrtf(variance[i] + s->epsilon);
    finite &= variance[i] < INFINITY;
  }
  t->finite &= finite;
  UNROLL for (int k = 0; k < NORM_VECTORS; k++) t->inverse[k] = f_load(WORDS, variance + k * WORDS);
}

INLINE void norm_store(const struct sumi_norm_i8 *s, const struct norm_form form, const struct norm_tile *t) {
  const wvec zero = w_pairs(s->zero, s->zero);
  for (int64_t g = 0; 4 * g < s->channels; g++) {
    const int64_t channels = norm_channels(s, g);
    UNROLL for (int k = 0; k < NORM_VECTORS; k++) {
      const int64_t p = t->p + k * WORDS;
      fvec v[4];
      ivec q[4];
      norm_values(s, form, t, k, g, channels, v);
      UNROLL for (int c = 0; c < 4; c++) {
        q[c] = w_set(0x80000000u); /* saturates to 0 */
        if (c >= channels) continue;
        const fvec offset = f_set(s->offset ? s->offset[4 * g + c] : 0);
        v[c] = f_fma(f_mul(f_sub(v[c], t->mean[k]), t->inverse[k]), f_set(s->gain[4 * g + c]), offset);
        if (s->y)
          q[c] = i_round(t->finite ? f_low(v[c]) : f_held(v[c]));
        else
          f_store(t->n[k], s->y_f32 + (4 * g + c) * s->y_row + p, v[c]);
      }
      if (s->y) w_store(t->n[k], s->y + g * s->y_group + p, w_join(q, zero, zero));
    }
  }
}

INLINE void norm_walk(const struct sumi_norm_i8 *s, const struct norm_form form, int64_t p0, int64_t p1) {
  const bool finite = norm_finite(s->gain, s->channels) && norm_finite(s->offset, s->channels);
  for (int64_t p = p0; p < p1; p += NORM_VECTORS * WORDS) {
    struct norm_tile t = {.p = p, .finite = finite};
    for (int k = 0; k < NORM_VECTORS; k++) {
      const int64_t n = p1 - p - k * WORDS;
      t.n[k] = n < 0 ? 0 : n < WORDS ? n : WORDS;
    }
    norm_statistics(s, form, &t);
    norm_store(s, form, &t);
  }
}

INLINE void norm_run(const struct sumi_norm_i8 *s, int64_t p0, int64_t p1) {
  if (s->x_f32 && s->r)
    norm_walk(s, (struct norm_form){false, true}, p0, p1);
  else if (s->x_f32)
    norm_walk(s, (struct norm_form){false, false}, p0, p1);
  else if (s->r)
    norm_walk(s, (struct norm_form){true, true}, p0, p1);
  else
    norm_walk(s, (struct norm_form){true, false}, p0, p1);
}

#endif
