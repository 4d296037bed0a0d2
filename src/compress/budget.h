/* Who gives how much: densities of layers from one figure for all. Pure functions. */
#ifndef SUMI_COMPRESS_BUDGET_H
#define SUMI_COMPRESS_BUDGET_H

#include "base/mem.h"

/* Densities that a search for a speed-up chooses from, falling, dense first: steps of sqrt(2), as the time and the error of a
 * layer change with the logarithm of what is left. */
enum { SUMI_BUDGET_LEVELS = 12 };
extern const double sumi_budget_level[SUMI_BUDGET_LEVELS];

/* The Erdos-Renyi kernel distribution (Evci et al. 2020, arXiv 1911.11134): a layer of w weights keeps a share in proportion
 * to s / w, s the sum of its dims, at most all, such that density of all weights are kept. */
struct sumi_budget_layer {
  double weights, dims;
};
void sumi_budget_erk(const struct sumi_budget_layer *layer, size_t n, double density, double *out);

/* The choice[n] of one of `levels` for every layer with the least sum of loss[i * levels + choice[i]] whose sum of cost
 * stays within limit, by dynamic programming over the cost in steps of a ten-thousandth of the limit (SPDY, Frantar & Alistarh
 * 2022, arXiv 2201.13096; costs are rounded up, so the limit holds). SUMI_E_VALUE where the least cost is beyond it. */
sumi_status sumi_budget_search(const double *cost, const double *loss, size_t n, size_t levels, double limit,
                               const struct sumi_allocator *a, uint8_t *choice, struct sumi_err *err);

#endif
