/* For tests: the random inputs of an operator's cases, and their tolerance. */
#ifndef SUMI_OP_CASE_TEST_H
#define SUMI_OP_CASE_TEST_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/random.h"
#include "graph/op.h"
#include "op/parts.h"

/* n_elements of type for an input of case c. */
static inline void case_fill(struct sumi_random *r, const struct sumi_case *c, sumi_dtype type, void *data,
                             int64_t n_elements) {
  const sumi_dtype d = sumi_part_dtype(type);
  const int64_t n = n_elements * sumi_n_parts(type);
  const bool ranged = c->low != 0 || c->high != 0, whole = !sumi_dtype_is_float(d);
  for (int64_t i = 0; i < n; i++) {
    const double u = sumi_random_uniform(r);
    double x = ranged ? c->low + u * (c->high - c->low) : whole ? floor(u * 8) : sumi_random_normal(r);
    if (whole) x = ranged ? floor(c->low + u * (c->high - c->low + 1)) : x;
    if (d == SUMI_BOOL) x = u < 0.5;
    sumi_set_f64(d, data, i, x);
  }
}

/* n_elements of type, no strings, within the tolerance against the largest finite magnitude wanted; NaN and
 * infinity must agree. */
static inline bool case_agree(double rtol, double atol, sumi_dtype type, int64_t n_elements, const void *got,
                              const void *want, char *why, size_t size) {
  const sumi_dtype d = sumi_part_dtype(type);
  const int64_t n = n_elements * sumi_n_parts(type);
  double most = 0;
  for (int64_t i = 0; i < n; i++) {
    const double w = fabs(sumi_get_f64(d, want, i));
    if (isfinite(w)) most = fmax(most, w);
  }
  for (int64_t i = 0; i < n; i++) {
    const double g = sumi_get_f64(d, got, i), w = sumi_get_f64(d, want, i);
    if (g == w || (isnan(g) && isnan(w))) continue;
    if (fabs(g - w) <= atol + rtol * most) continue;
    snprintf(why, size, "element %" PRId64 " is %.9g, not %.9g (tolerance %.3g)", i, g, w,
             atol + rtol * most);
    return false;
  }
  return true;
}

#endif
