/* Family reduce: random rows and columns against the loops of reduce.h in double precision. */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "kernel/reduce/reduce.h"

static const char *const names[SUMI_N_REDUCE] = {
#define REDUCTION(symbol, ...) #symbol,
#include "kernel/reduce/reduce_fn.def"
#undef REDUCTION
};

/* n words `step` apart combined; *size receives the sum of the terms' magnitudes. */
static double want(int f, const float *x, int64_t n, int64_t step, double *size) {
  double v = f == SUMI_REDUCE_max ? -INFINITY : f == SUMI_REDUCE_min ? INFINITY : 0;
  *size = 0;
  for (int64_t i = 0; i < n; i++) {
    const double a = (double)x[i * step];
    const double term = f == SUMI_REDUCE_squares ? a * a : f == SUMI_REDUCE_magnitudes ? fabs(a) : a;
    *size += fabs(term);
    if (f != SUMI_REDUCE_max && f != SUMI_REDUCE_min)
      v += term;
    else if (isnan(a) || isnan(v))
      v = NAN;
    else
      v = f == SUMI_REDUCE_max ? fmax(v, a) : fmin(v, a);
  }
  return v;
}

static float slack(int f, double size, double roundings) {
  return f == SUMI_REDUCE_max || f == SUMI_REDUCE_min ? 0 : (float)(6e-8 * size * (roundings + 1));
}

static void fill(struct check *c, struct guarded *x) {
  const float middle = pick(c, 0, 2) ? 0 : 5;
  fill_random(c, x, middle - 1, middle + 1);
  if (pick(c, 0, 4) == 0) x->data[pick(c, 0, (int)x->n - 1)] = pick(c, 0, 1) ? NAN : -INFINITY;
}

static void check_row(struct check *c, const struct sumi_reduce_kernel *k, int f) {
  const int64_t n = pick(c, 1, pick(c, 0, 3) ? 200 : 10000);
  struct guarded x = guard(c, (size_t)n), y = guard(c, 1);
  fill(c, &x);
  begin_case(c, k->name, "%s of %ld", names[f], (long)n);
  k->row[f](x.data, n, y.data);
  double size;
  const double right = want(f, x.data, n, 1, &size);
  same(c, "y", 0, *y.data, (float)right, slack(f, size, fmin((double)n, 136 + (double)n / 4096)));
  let_go(c, &x), let_go(c, &y);
}

static void check_columns(struct check *c, const struct sumi_reduce_kernel *k, int f) {
  const int64_t n = pick(c, 1, pick(c, 0, 3) ? 20 : 300), width = pick(c, 1, 150),
                row = width + pick(c, 0, 9);
  struct guarded x = guard(c, (size_t)((n - 1) * row + width)), y = guard(c, (size_t)width);
  fill(c, &x);
  begin_case(c, k->name, "%s of %ld rows of %ld, %ld apart", names[f], (long)n, (long)width, (long)row);
  k->columns[f](x.data, n, row, width, y.data);
  for (int64_t j = 0; j < width; j++) {
    double size;
    const double right = want(f, x.data + j, n, row, &size);
    if (!same(c, "y", j, y.data[j], (float)right, slack(f, size, fmin((double)n, 64 + (double)n / 64))))
      break;
  }
  let_go(c, &x), let_go(c, &y);
}

static void bench(struct check *c, const struct sumi_reduce_kernel *k) {
  enum { ROWS = 512, WIDE = 784 };
  struct guarded x = guard(c, ROWS * WIDE), y = guard(c, WIDE);
  fill_random(c, &x, -1, 1);
  for (int f = 0; f < SUMI_N_REDUCE; f++)
    for (int columns = 0; columns < 2; columns++) {
      double best = 1e9;
      for (int t = 0; t < 20; t++) {
        const double t0 = now_s();
        if (columns)
          k->columns[f](x.data, ROWS, WIDE, WIDE, y.data);
        else
          for (int r = 0; r < ROWS; r++) k->row[f](x.data + r * WIDE, WIDE, y.data + r);
        best = fmin(best, now_s() - t0);
      }
      char shape[80];
      snprintf(shape, sizeof shape, "%s, 512 x 784, %s", names[f], columns ? "columns" : "rows");
      report(c, k->name, shape, best, 0, 4.0 * ROWS * WIDE);
    }
  let_go(c, &x), let_go(c, &y);
}

void check_reduce(struct check *c) {
  const struct sumi_reduce_kernel *k = sumi_reduce_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 60; i++)
    for (int f = 0; f < SUMI_N_REDUCE; f++) {
      check_row(c, k, f);
      check_columns(c, k, f);
    }
}
