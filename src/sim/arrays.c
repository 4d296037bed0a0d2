/* Formulas of other engines. */
#include "sim/arrays.h"

static uint64_t div_up(uint64_t n, uint64_t d) { return n / d + (n % d != 0); }

/* a * b * c, UINT64_MAX where it does not fit. */
static uint64_t product(uint64_t a, uint64_t b, uint64_t c) {
  uint64_t r;
  if (__builtin_mul_overflow(a, b, &r) || __builtin_mul_overflow(r, c, &r)) return UINT64_MAX;
  return r;
}

/* length + fill - 2 for fill >= 2. */
static uint64_t fold(uint64_t length, uint64_t rows, uint64_t cols) {
  uint64_t r;
  if (__builtin_add_overflow(length, rows, &r) || __builtin_add_overflow(r, cols - 1, &r)) return UINT64_MAX;
  return r ? r - 1 : 0;
}

uint64_t sumi_sim_systolic(struct sumi_sim_product p, uint64_t rows, uint64_t cols,
                           enum sumi_sim_dataflow flow) {
  uint64_t twice;
  if (__builtin_mul_overflow(rows, (uint64_t)2, &twice)) return UINT64_MAX;
  switch (flow) {
    case SUMI_SIM_OUTPUT_STATIONARY:
      return product(div_up(p.m, rows), div_up(p.n, cols), fold(p.k, rows, cols));
    case SUMI_SIM_WEIGHT_STATIONARY:
      return product(div_up(p.k, rows), div_up(p.n, cols), fold(p.m, twice, cols));
    default: return product(div_up(p.k, rows), div_up(p.m, cols), fold(p.n, twice, cols));
  }
}

uint64_t sumi_sim_n_of_m(struct sumi_sim_product p, uint64_t rows, uint64_t cols, uint64_t n_of,
                         uint64_t m_of) {
  p.k = product(div_up(p.k, m_of), n_of, 1);
  return sumi_sim_systolic(p, rows, cols, SUMI_SIM_OUTPUT_STATIONARY);
}

uint64_t sumi_sim_dual_sided(const uint64_t *weights, const uint64_t *activations, size_t channels) {
  uint64_t sum = 0;
  for (size_t c = 0; c < channels; c++)
    if (__builtin_add_overflow(sum, product(weights[c], activations[c], 1), &sum)) return UINT64_MAX;
  return sum;
}

struct sumi_sim_product sumi_sim_conv_product(const struct sumi_sim_conv *c) {
  const uint64_t h = c->in_h < c->kernel_h ? 0 : div_up(c->in_h - c->kernel_h + c->stride, c->stride);
  const uint64_t w = c->in_w < c->kernel_w ? 0 : div_up(c->in_w - c->kernel_w + c->stride, c->stride);
  return (struct sumi_sim_product){h * w, c->kernel_h * c->kernel_w * c->channels, c->filters};
}
