/* Budgets of layers. */
#include "compress/budget.h"

#include <math.h>

#include "base/size.h"

const double sumi_budget_level[SUMI_BUDGET_LEVELS] = {1,     0.7071, 0.5,    0.3536,  0.25,    0.1768,
                                                      0.125, 0.0884, 0.0625, 0.04419, 0.03125, 0.0221};

/* The factor that makes the layers not yet full keep what is left to keep; false: there is none. */
static bool erk_factor(const struct sumi_budget_layer *layer, size_t n, double keep, const double *out,
                       double *factor) {
  double open = 0;
  for (size_t i = 0; i < n; i++) {
    if (out[i] >= 1)
      keep -= layer[i].weights;
    else
      open += layer[i].dims;
  }
  *factor = open > 0 ? keep / open : 0;
  return open > 0;
}

void sumi_budget_erk(const struct sumi_budget_layer *layer, size_t n, double density, double *out) {
  double weights = 0, factor;
  for (size_t i = 0; i < n; i++) {
    weights += layer[i].weights;
    out[i] = 0;
  }
  /* layers that would keep more than all keep all; what is too much goes to the others */
  for (bool again = true; again && erk_factor(layer, n, density * weights, out, &factor);) {
    again = false;
    for (size_t i = 0; i < n; i++)
      if (out[i] < 1 && factor * layer[i].dims >= layer[i].weights) {
        out[i] = 1;
        again = true;
      }
  }
  if (!erk_factor(layer, n, density * weights, out, &factor)) return;
  for (size_t i = 0; i < n; i++)
    if (out[i] < 1) out[i] = factor * layer[i].dims / layer[i].weights;
}

/* ---- search ----------------------------------------------------------------------------------------------------- */

enum { STEPS = 10000 };

static size_t steps_of(double cost, double limit) {
  const double steps = limit > 0 ? ceil(cost / limit * STEPS - 1e-9) : cost > 0 ? STEPS + 1 : 0;
  return steps > STEPS ? STEPS + 1 : steps < 0 ? 0 : (size_t)steps;
}

/* least[s]: the least loss of the layers so far with s steps; took[s]: what the last of them chose for it. */
static void add_layer(const double *cost, const double *loss, size_t levels, double limit,
                      const double *least, double *next, uint8_t *took) {
  for (size_t s = 0; s <= STEPS; s++) next[s] = INFINITY;
  for (size_t k = 0; k < levels; k++)
    for (size_t s = steps_of(cost[k], limit); s <= STEPS; s++) {
      const double sum = least[s - steps_of(cost[k], limit)] + loss[k];
      if (sum >= next[s]) continue;
      next[s] = sum;
      took[s] = (uint8_t)k;
    }
}

sumi_status sumi_budget_search(const double *cost, const double *loss, size_t n, size_t levels, double limit,
                               const struct sumi_allocator *a, uint8_t *choice, struct sumi_err *err) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, a);
  size_t cells;
  double *least = SUMI_NEW_ARRAY(&arena, STEPS + 1, double),
         *next = SUMI_NEW_ARRAY(&arena, STEPS + 1, double);
  uint8_t *took = sumi_size_mul(n, STEPS + 1, &cells) ? sumi_arena_alloc(&arena, cells) : NULL;
  if (!least || !next || !took) {
    sumi_arena_fini(&arena);
    SUMI_FAIL_MEMORY(err);
  }
  for (size_t i = 0; i < n; i++) {
    add_layer(cost + i * levels, loss + i * levels, levels, limit, least, next, took + i * (STEPS + 1));
    double *other = least;
    least = next;
    next = other;
  }
  const bool found = isfinite(least[STEPS]);
  for (size_t i = n, s = STEPS; found && i-- > 0;) {
    choice[i] = took[i * (STEPS + 1) + s];
    s -= steps_of(cost[i * levels + choice[i]], limit);
  }
  sumi_arena_fini(&arena);
  if (!found) SUMI_FAIL(err, SUMI_E_VALUE, "no choice of densities stays within the limit");
  return SUMI_OK;
}
