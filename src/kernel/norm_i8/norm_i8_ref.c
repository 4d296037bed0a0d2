/* Family norm_i8 in portable C: the loops of norm_i8.h as they stand there. */
#include <math.h>

#include "kernel/norm_i8/norm_i8_int.h"

static inline float norm_byte(const uint32_t *plane, int64_t group, int64_t c, int64_t p) {
  return (float)(plane[c / 4 * group + p] >> 8 * (c % 4) & 255);
}

static inline float norm_value(const struct sumi_norm_i8 *s, int64_t c, int64_t p) {
  float v = s->x_f32 ? s->x_f32[c * s->x_row + p] + s->add[c]
                     : norm_byte(s->x, s->x_group, c, p) * s->x_mul + s->add[c];
  if (s->r) v += norm_byte(s->r, s->r_group, c, p) * s->r_mul;
  return v;
}

static inline uint32_t norm_hold(float t, float zero) {
  t = t == t ? t : 0;
  const float above = t > -zero ? t : -zero;
  return (uint32_t)(int32_t)(rintf(above < 255 - zero ? above : 255 - zero) + zero);
}

void sumi_norm_i8_ref(const struct sumi_norm_i8 *s, int64_t p0, int64_t p1) {
  const float n = (float)s->channels;
  for (int64_t p = p0; p < p1; p++) {
    float sum = 0, square = 0;
    for (int64_t c = 0; c < s->channels && s->centred; c++) sum += norm_value(s, c, p);
    const float mean = sum / n;
    for (int64_t c = 0; c < s->channels; c++) {
      const float d = norm_value(s, c, p) - mean;
      square += d * d;
    }
    const float inverse = 1 / sqrtf(square / n + s->epsilon);
    for (int64_t g = 0; 4 * g < s->channels; g++) {
      uint32_t word = 0;
      for (int64_t c = 4 * g; c < 4 * g + 4 && c < s->channels; c++) {
        const float t = (norm_value(s, c, p) - mean) * inverse * s->gain[c] + (s->offset ? s->offset[c] : 0);
        if (s->y)
          word |= norm_hold(t, s->zero) << 8 * (c % 4);
        else
          s->y_f32[c * s->y_row + p] = t;
      }
      if (s->y) s->y[g * s->y_group + p] = word;
    }
  }
}
