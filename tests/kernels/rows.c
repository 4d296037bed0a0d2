/* Family rows: random rows against the formulas of rows.h in double precision. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "kernel/rows/rows.h"

enum { MOST = 300, MOST_INNER = 150 };

/* Softmax of n words `stride` apart in double precision. */
static void softmax(const float *x, int n, int stride, bool log_form, double *y) {
  double max = -INFINITY, sum = 0;
  for (int i = 0; i < n; i++)
    if ((double)x[i * stride] > max) max = (double)x[i * stride];
  for (int i = 0; i < n; i++) sum += exp((double)x[i * stride] - max);
  for (int i = 0; i < n; i++) {
    const double t = (double)x[i * stride] - max;
    y[i] = log_form ? t - log(sum) : exp(t) / sum;
  }
}

static void check_softmax(struct check *c, const struct sumi_rows_kernel *k, bool columns) {
  const int n = pick(c, 1, columns ? 20 : MOST), inner = columns ? pick(c, 1, MOST_INNER) : 1;
  const bool log_form = pick(c, 0, 1), in_place = pick(c, 0, 1);
  struct guarded x = guard(c, (size_t)(n * inner)), y = guard(c, x.n), before = guard(c, x.n);
  fill_random(c, &x, -20, 20);
  if (pick(c, 0, 5) == 0) x.data[pick(c, 0, (int)x.n - 1)] = pick(c, 0, 1) ? NAN : -INFINITY;
  memcpy(before.data, x.data, x.n * sizeof(float));
  begin_case(c, k->name, "softmax of %d x %d%s%s%s", n, inner, columns ? " by columns" : "",
             log_form ? ", log" : "", in_place ? ", in place" : "");
  float *got = in_place ? x.data : y.data;
  if (columns)
    k->columns(x.data, n, inner, log_form, got);
  else
    k->softmax(x.data, n, log_form, got);
  double want[MOST];
  for (int j = 0; j < inner; j++) {
    softmax(before.data + j, n, inner, log_form, want);
    bool failed = false;
    for (int i = 0; i < n && !failed; i++) {
      /* exp, the sum and the quotient are rounded, the argument of exp (up to 40) too; log form: of results up to 43 */
      const double tolerance = log_form ? 1e-5 : want[i] * (3e-6 + 6e-8 * n / 8) + 1e-37;
      failed = !same(c, "y", i * inner + j, got[i * inner + j], (float)want[i], (float)tolerance);
    }
    if (failed) break;
  }
  let_go(c, &x), let_go(c, &y), let_go(c, &before);
}

static void check_norm(struct check *c, const struct sumi_rows_kernel *k) {
  const int n = pick(c, 1, MOST), form = pick(c, 0, 3);
  const bool in_place = pick(c, 0, 1), centred = pick(c, 0, 1);
  struct guarded x = guard(c, (size_t)n), y = guard(c, x.n), s = guard(c, x.n), b = guard(c, x.n),
                 before = guard(c, x.n);
  const float offset = pick(c, 0, 1) ? 0 : 10;
  fill_random(c, &x, offset - 1, offset + 1);
  fill_random(c, &s, -1, 1), fill_random(c, &b, -1, 1);
  memcpy(before.data, x.data, x.n * sizeof(float));
  const struct sumi_rows_norm p = {n,    centred, 1e-3f, form & 1 ? s.data : NULL, form & 2 ? b.data : NULL,
                                   0.5f, 0.25f};
  begin_case(c, k->name, "norm of %d, form %d%s%s", n, form, centred ? ", centred" : "",
             in_place ? ", in place" : "");
  float *got = in_place ? x.data : y.data;
  k->norm(&p, x.data, got);
  double mean = 0, square = 0;
  for (int i = 0; i < n && centred; i++) mean += (double)before.data[i] / n;
  for (int i = 0; i < n; i++) square += ((double)before.data[i] - mean) * ((double)before.data[i] - mean) / n;
  for (int i = 0; i < n; i++) {
    double v = ((double)before.data[i] - mean) / sqrt(square + 1e-3);
    v *= form & 1 ? (double)s.data[i] : 0.5;
    v += form & 2 ? (double)b.data[i] : 0.25;
    /* the mean is off by a rounding of words up to 11, divided by a deviation that is at least sqrt(1e-3) */
    if (!same(c, "y", i, got[i], (float)v, 4e-5f)) break;
  }
  let_go(c, &x), let_go(c, &y), let_go(c, &s), let_go(c, &b), let_go(c, &before);
}

static void bench(struct check *c, const struct sumi_rows_kernel *k) {
  const int rows = 512, n = 128, wide = 384;
  struct guarded x = guard(c, (size_t)(rows * wide)), y = guard(c, x.n), s = guard(c, (size_t)wide);
  fill_random(c, &x, -1, 1), fill_random(c, &s, -1, 1);
  const struct sumi_rows_norm p = {wide, true, 1e-5f, s.data, s.data, 1, 0};
  for (int what = 0; what < 3; what++) {
    double best = 1e9;
    for (int t = 0; t < 20; t++) {
      const double t0 = now_s();
      for (int r = 0; r < rows && what != 1; r++) {
        if (what == 0)
          k->softmax(x.data + r * n, n, false, y.data + r * n);
        else
          k->norm(&p, x.data + r * wide, y.data + r * wide);
      }
      if (what == 1) k->columns(x.data, n, rows, false, y.data);
      best = fmin(best, now_s() - t0);
    }
    static const char *const shape[] = {"softmax, 512 rows of 128", "softmax, 512 columns of 128",
                                        "norm, 512 rows of 384"};
    report(c, k->name, shape[what], best, 0, 8.0 * rows * (what == 2 ? wide : n));
  }
  let_go(c, &x), let_go(c, &y), let_go(c, &s);
}

void check_rows(struct check *c) {
  const struct sumi_rows_kernel *k = sumi_rows_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 200; i++) {
    check_softmax(c, k, false);
    check_softmax(c, k, true);
    check_norm(c, k);
  }
}
