/* Family attention_i8 in portable C: the loops of attention_i8.h as they stand there. */
#include <math.h>

#include "base/fmath.h"
#include "kernel/attention_i8/attention_i8_int.h"

static inline int32_t at_byte(const uint32_t *plane, int64_t group, int64_t f, int64_t t) {
  return (int32_t)(plane[f / 4 * group + t] >> 8 * (f % 4) & 255);
}

static inline float at_hold(float v, float zero) {
  const float above = v > -zero ? v : -zero;
  return rintf(above < 255 - zero ? above : 255 - zero);
}

static float at_score(const struct sumi_attention_i8 *a, int64_t i, int64_t t) {
  int32_t dot = 0;
  for (int64_t f = 0; f < 4 * a->groups; f++)
    dot += (at_byte(a->q, a->q_group, f, i) - a->q_zero) * (at_byte(a->k, a->k_group, f, t) - a->k_zero);
  float s = (float)dot * a->dot_mul;
  if (a->quantised) s = at_hold(s, a->s_zero) * a->s_mul;
  return a->mask ? s + a->mask[i * a->mask_query + t * a->mask_key] : s;
}

/* p[t] - p_zero for one query, in s. */
static void at_weights(const struct sumi_attention_i8 *a, int64_t i, float *s) {
  float max = -INFINITY, sum = 0;
  for (int64_t t = 0; t < a->keys; t++) {
    s[t] = at_score(a, i, t);
    max = s[t] > max ? s[t] : max;
  }
  for (int64_t t = 0; t < a->keys; t++) sum += s[t] = sumi_exp_f32(s[t] - max);
  const float mul = max > -INFINITY ? a->p_mul / sum : 0;
  for (int64_t t = 0; t < a->keys; t++) s[t] = mul == 0 ? 0 : at_hold(s[t] * mul, (float)a->p_zero);
}

void sumi_attention_i8_ref(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch) {
  float *p = scratch;
  for (int64_t i = q0; i < q1; i++) {
    at_weights(a, i, p);
    for (int64_t g = 0; g < a->groups; g++) {
      uint32_t word = 0;
      for (int64_t f = 4 * g; f < 4 * g + 4; f++) {
        int32_t sum = 0;
        for (int64_t t = 0; t < a->keys; t++)
          sum += (int32_t)p[t] * (at_byte(a->v, a->v_group, f, t) - a->v_zero);
        const float y = at_hold((float)sum * a->y_mul, a->y_zero) + a->y_zero;
        word |= (uint32_t)(int32_t)y << 8 * (f % 4);
      }
      a->y[g * a->y_group + i] = word;
    }
  }
}
