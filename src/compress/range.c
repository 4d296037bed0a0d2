/* Ranges from histograms. Bin i of the histogram covers [(i - HALF) * width, (i - HALF + 1) * width). */
#include "compress/range.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

enum { BINS = SUMI_HISTOGRAM_BINS, HALF = BINS / 2, STEPS = 255, CANDIDATES = 128 };

static double width(const struct sumi_range_stats *s) { return s->edge / HALF; }

static void by_minmax(const struct sumi_range_stats *s, const struct sumi_range_choice *c,
                      struct sumi_range *out) {
  (void)s, (void)c, (void)out; /* as it is */
}

/* The inner edges of the bins in which the shares left out end. */
static void by_percentile(const struct sumi_range_stats *s, const struct sumi_range_choice *c,
                          struct sumi_range *out) {
  const double percentile = c->percentile > 0 ? c->percentile : 99.99;
  const double cut = (double)s->count * (100 - percentile) / 200;
  double below = 0, above = 0;
  int low = 0, high = BINS - 1;
  for (; low < HALF && below + (double)s->bin[low] <= cut; low++) below += (double)s->bin[low];
  for (; high >= HALF && above + (double)s->bin[high] <= cut; high--) above += (double)s->bin[high];
  out->low = SUMI_MAX(out->low, (low - HALF) * width(s));
  out->high = SUMI_MIN(out->high, (high + 1 - HALF) * width(s));
}

/* ---- entropy ---------------------------------------------------------------------------------------------------- */

/* sum p log(p / q) of bins [first, end) of the histogram, what lies outside added to the last ones, and the same merged to
 * STEPS levels, each level's count spread evenly over its bins that are not empty. */
static double divergence(const uint64_t *bin, int first, int end, double below, double above, double total) {
  const int n = end - first;
  double d = 0;
  for (int level = 0; level < STEPS; level++) {
    const int from = first + level * n / STEPS, to = first + (level + 1) * n / STEPS;
    double sum = 0;
    int filled = 0;
    for (int i = from; i < to; i++) {
      sum += (double)bin[i];
      filled += bin[i] || (i == first && below > 0) || (i == end - 1 && above > 0);
    }
    for (int i = from; i < to; i++) {
      const double p = (double)bin[i] + (i == first ? below : 0) + (i == end - 1 ? above : 0);
      /* a level that holds only what was cut: a ten-thousandth of a sample, so that it costs much and not all */
      if (p > 0) d += p * log(p / SUMI_MAX(sum / filled, 1e-4));
    }
  }
  return d / total;
}

static void by_entropy(const struct sumi_range_stats *s, const struct sumi_range_choice *c,
                       struct sumi_range *out) {
  (void)c;
  const double w = width(s);
  const int lowest = SUMI_MAX(0, HALF + (int)floor(out->low / w)),
            highest = SUMI_MIN(BINS, HALF + (int)ceil(out->high / w));
  const double low = out->low, high = out->high, total = (double)s->count;
  double best = INFINITY;
  for (int t = HALF; t > 0; t--) {
    const int first = SUMI_MAX(HALF - t, lowest), end = SUMI_MIN(HALF + t, highest);
    if (end - first < STEPS) break;
    double below = 0, above = 0, kept = total;
    for (int i = 0; i < first; i++) below += (double)s->bin[i];
    for (int i = end; i < BINS; i++) above += (double)s->bin[i];
    kept -= below + above;
    /* q is of the kept samples only: both are shares of their own sums */
    if (kept <= 0) break;
    const double d = divergence(s->bin, first, end, below, above, total) - log(total / kept);
    if (d < best) {
      best = d;
      out->low = SUMI_MAX(low, -t * w);
      out->high = SUMI_MIN(high, t * w);
    }
  }
}

/* ---- mean square ------------------------------------------------------------------------------------------------ */

static double square_error(const struct sumi_range_stats *s, double low, double high) {
  const double step = (high - low) / STEPS, inside = step * step / 12;
  double sum = 0;
  for (int i = 0; i < BINS; i++) {
    const double x = (i + 0.5 - HALF) * width(s), cut = x < low ? low - x : x > high ? x - high : 0;
    if (s->bin[i]) sum += (double)s->bin[i] * (cut > 0 ? cut * cut : x == 0 ? 0 : inside);
  }
  return sum;
}

/* One end after the other, twice: the error falls with every step. symmetric: both together. */
static void by_mse(const struct sumi_range_stats *s, const struct sumi_range_choice *c,
                   struct sumi_range *out) {
  const double full[2] = {out->low, out->high};
  double end[2] = {full[0], full[1]}, best = square_error(s, end[0], end[1]);
  for (int round = 0; round < 4; round++)
    for (int k = 1; k < CANDIDATES; k++) {
      const double factor = (double)k / CANDIDATES;
      double trial[2] = {end[0], end[1]};
      if (c->symmetric || round % 2) trial[0] = full[0] * factor;
      if (c->symmetric || !(round % 2)) trial[1] = full[1] * factor;
      const double error = square_error(s, trial[0], trial[1]);
      if (error < best) {
        best = error;
        memcpy(end, trial, sizeof end);
      }
    }
  out->low = end[0];
  out->high = end[1];
}

/* ---- choosing --------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  void (*choose)(const struct sumi_range_stats *s, const struct sumi_range_choice *c, struct sumi_range *out);
} methods[] = {
    {"minmax", by_minmax}, {"percentile", by_percentile}, {"entropy", by_entropy}, {"mse", by_mse}};

const char *const sumi_range_methods[] = {"minmax", "percentile", "entropy", "mse", NULL};

static void set_parameters(bool symmetric, struct sumi_range *r) {
  const double span = symmetric ? 2 * r->high : r->high - r->low;
  r->scale = (float)(span / (symmetric ? 254 : STEPS));
  if (!(r->scale >= FLT_MIN * 1024)) r->scale = span > 0 ? FLT_MIN * 1024 : 1;
  r->zero = symmetric ? 0 : (int32_t)nearbyint(SUMI_MIN(-r->low / (double)r->scale, STEPS));
}

sumi_status sumi_range_choose(const struct sumi_range_stats *s, const struct sumi_range_choice *c,
                              struct sumi_range *out, struct sumi_err *err) {
  const char *method = c->method ? c->method : "mse";
  *out = (struct sumi_range){.low = SUMI_MIN(s->low, 0), .high = SUMI_MAX(s->high, 0)};
  if (c->symmetric) {
    out->high = SUMI_MAX(-out->low, out->high);
    out->low = -out->high;
  }
  for (size_t i = 0; i < SUMI_COUNT(methods); i++)
    if (sumi_streq(method, methods[i].name)) {
      if (s->edge > 0) methods[i].choose(s, c, out);
      if (c->symmetric) {
        out->high = SUMI_MAX(-out->low, out->high);
        out->low = -out->high;
      }
      set_parameters(c->symmetric, out);
      return SUMI_OK;
    }
  SUMI_FAIL(err, SUMI_E_ARG, "there is no range method '%s' (minmax, percentile, entropy, mse)", method);
}
