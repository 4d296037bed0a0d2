/* Family depthwise_i8 in portable C: the loop of its header, 16 pixels of a channel at a time. */
#include "kernel/depthwise/depthwise_i8_int.h"
#include "kernel/spmm/spmm_i8_end.h"

static void sum_row(const struct sumi_depthwise_i8 *d, int64_t m, int64_t v, uint32_t *sum) {
  const struct sumi_spmm_i8 *s = &d->s;
  const uint8_t *const x = s->x + m / 4 * d->x_group + 4 * I8_VECTOR * v + m % 4;
  for (int j = 0; j < I8_VECTOR; j++) sum[j] = (uint32_t)s->bias[m];
  for (int64_t e = 0; e < s->n_list; e++) {
    const uint32_t w = (uint32_t)s->w[(m / 4 * s->n_list + e) * 4 + m % 4];
    for (int i = 0; i < 4; i++) {
      const uint32_t tap = (uint32_t)(int8_t)(w >> 8 * i);
      const uint8_t *const at = x + s->off[4 * e + i];
      for (int j = 0; j < I8_VECTOR; j++) sum[j] += tap * at[4 * j];
    }
  }
}

void sumi_depthwise_i8_ref(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0,
                           int64_t p1) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t v = p0 / I8_VECTOR; v * I8_VECTOR < p1; v++) {
      if (!sumi_lane_wanted(d->s.map, v)) continue;
      uint32_t sum[4 * I8_VECTOR];
      for (int i = 0; i < 4; i++) sum_row(d, 4 * g + i, v, sum + i * I8_VECTOR);
      i8_end_rows(&d->s, 4 * g, v, (const int32_t *)sum, I8_VECTOR);
    }
}
