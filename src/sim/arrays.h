/* Cycles of other engines, for comparison and for checking against published figures: a systolic array in three dataflows, the same
 * with N:M weights, and a dual-sided intersection engine. Closed formulas; no memory, no stalls. */
#ifndef SUMI_SIM_ARRAYS_H
#define SUMI_SIM_ARRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A product: m output pixels (or rows), k inputs of a window, n filters. */
struct sumi_sim_product {
  uint64_t m, k, n;
};

enum sumi_sim_dataflow { SUMI_SIM_OUTPUT_STATIONARY, SUMI_SIM_WEIGHT_STATIONARY, SUMI_SIM_INPUT_STATIONARY };

/* Cycles on an array of rows x cols, folds one after the other, each filled and drained (as SCALE-Sim, Samajdar et al. 2018, counts):
 *   output stationary: ceil(m / rows) * ceil(n / cols) * (k + rows + cols - 2)
 *   weight stationary: ceil(k / rows) * ceil(n / cols) * (m + 2 * rows + cols - 2)
 *   input stationary:  ceil(k / rows) * ceil(m / cols) * (n + 2 * rows + cols - 2)
 * UINT64_MAX where that is not a number of 64 bits. rows, cols >= 1. */
uint64_t sumi_sim_systolic(struct sumi_sim_product p, uint64_t rows, uint64_t cols,
                           enum sumi_sim_dataflow flow);

/* The same output-stationary array with weights of which n_of in every m_of inputs are stored, inputs picked by index: k becomes
 * ceil(k / m_of) * n_of. */
uint64_t sumi_sim_n_of_m(struct sumi_sim_product p, uint64_t rows, uint64_t cols, uint64_t n_of,
                         uint64_t m_of);

/* Dual-sided outer product on one multiplier: sum over c < channels of weights[c] * activations[c], both numbers of non-zeros of input
 * channel c (Sparten, SCNN: every pair is one product). */
uint64_t sumi_sim_dual_sided(const uint64_t *weights, const uint64_t *activations, size_t channels);

/* A convolution without padding, as a product: out = ceil((in - kernel + stride) / stride) in both directions. */
struct sumi_sim_conv {
  uint64_t in_h, in_w, kernel_h, kernel_w, channels, filters, stride;
};
struct sumi_sim_product sumi_sim_conv_product(const struct sumi_sim_conv *conv);

#endif
