/* Sums of a row in float32, in the order of the card's RSUM (card/vector_ops.def): SUMI_CARD_SUM_LANES partial sums side by
 * side, element i into partial sum i % SUMI_CARD_SUM_LANES, then halves onto halves. References whose results are rounded to
 * 8 bits add up this way, so that the card gives the same bytes; the error is that of count / SUMI_CARD_SUM_LANES additions. */
#ifndef SUMI_OP_ROW_SUM_H
#define SUMI_OP_ROW_SUM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "card/word.h"

struct sumi_row_sum {
  float part[SUMI_CARD_SUM_LANES];
};

static inline void sumi_row_sum_add(struct sumi_row_sum *s, int64_t i, float x) {
  s->part[i % SUMI_CARD_SUM_LANES] += x;
}

static inline float sumi_row_sum_total(const struct sumi_row_sum *s) {
  struct sumi_row_sum t = *s;
  for (int n = SUMI_CARD_SUM_LANES / 2; n; n /= 2)
    for (int j = 0; j < n; j++) t.part[j] += t.part[j + n];
  return t.part[0];
}

/* Mean of value(user, i) over i < n (0 unless centred), and 1 / sqrt(mean of the squares around it + epsilon). */
struct sumi_row_moments {
  float mean, inverse;
};
typedef float (*sumi_row_value)(const void *user, int64_t i);
static inline struct sumi_row_moments sumi_row_moments(sumi_row_value value, const void *user, int64_t n,
                                                       bool centred, float epsilon) {
  struct sumi_row_sum sum = {{0}}, square = {{0}};
  for (int64_t i = 0; i < n && centred; i++) sumi_row_sum_add(&sum, i, value(user, i));
  const float count = n ? (float)n : 1, mean = sumi_row_sum_total(&sum) / count;
  for (int64_t i = 0; i < n; i++) {
    const float d = value(user, i) - mean;
    sumi_row_sum_add(&square, i, d * d);
  }
  return (struct sumi_row_moments){mean, 1 / sqrtf(sumi_row_sum_total(&square) / count + epsilon)};
}

#endif
