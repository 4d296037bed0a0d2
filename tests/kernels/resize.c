/* Family resize: random tables against the loops of resize.h in double precision. */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "kernel/resize/resize.h"

enum { MOST = 100, MOST_TAPS = 6 };

struct tables {
  int32_t at[MOST * MOST_TAPS];
  float w[MOST * MOST_TAPS];
};

static void fill_tables(struct check *c, struct tables *t, int64_t n, int rows) {
  for (int64_t i = 0; i < n; i++) {
    t->at[i] = pick(c, 0, rows - 1);
    t->w[i] = (float)pick(c, -100, 100) / 64;
  }
}

static void check_across(struct check *c, const struct sumi_resize_kernel *k) {
  static struct tables t;
  const int64_t m = pick(c, 1, MOST), taps = pick(c, 1, MOST_TAPS);
  const bool moved = taps == 1 && pick(c, 0, 1);
  struct guarded x = guard(c, (size_t)pick(c, 1, 60)), y = guard(c, (size_t)m);
  fill_random(c, &x, -1, 1);
  fill_tables(c, &t, m * taps, (int)x.n);
  const struct sumi_resize_table table = {m, taps, t.at, moved ? NULL : t.w};
  begin_case(c, k->name, "across, %zu to %ld, %ld taps%s", x.n, (long)m, (long)taps, moved ? ", moved" : "");
  k->across(&table, x.data, y.data);
  for (int64_t i = 0; i < m; i++) {
    double v = 0;
    for (int64_t p = 0; p < taps; p++)
      v += (moved ? 1 : (double)t.w[p * m + i]) * (double)x.data[t.at[p * m + i]];
    /* six products of at most 1.6 and their sums are rounded */
    if (!same(c, "y", i, y.data[i], (float)v, moved ? 0 : 3e-6f)) break;
  }
  let_go(c, &x), let_go(c, &y);
}

static void check_down(struct check *c, const struct sumi_resize_kernel *k) {
  static struct tables t;
  const int64_t n = pick(c, 1, 200), taps = pick(c, 1, MOST_TAPS), rows = pick(c, 1, 8),
                row = n + pick(c, 0, 5);
  struct guarded x = guard(c, (size_t)((rows - 1) * row + n)), y = guard(c, (size_t)n);
  fill_random(c, &x, -1, 1);
  fill_tables(c, &t, taps, (int)rows);
  begin_case(c, k->name, "down, %ld of %ld rows of %ld", (long)taps, (long)rows, (long)n);
  k->down(x.data, row, t.at, t.w, taps, n, y.data);
  for (int64_t j = 0; j < n; j++) {
    double v = 0;
    for (int64_t p = 0; p < taps; p++) v += (double)t.w[p] * (double)x.data[t.at[p] * row + j];
    if (!same(c, "y", j, y.data[j], (float)v, 3e-6f)) break;
  }
  let_go(c, &x), let_go(c, &y);
}

static void bench(struct check *c, const struct sumi_resize_kernel *k) {
  enum { WIDE = 80, ROWS = 1000 };
  static int32_t at[2 * WIDE];
  static float w[2 * WIDE];
  for (int i = 0; i < WIDE; i++)
    at[i] = i / 2, at[WIDE + i] = i < WIDE - 2 ? i / 2 + 1 : i / 2, w[i] = w[WIDE + i] = 0.5f;
  struct guarded x = guard(c, ROWS * WIDE), y = guard(c, ROWS * WIDE);
  fill_random(c, &x, -1, 1);
  for (int what = 0; what < 3; what++) {
    const struct sumi_resize_table t = {WIDE, what ? 2 : 1, at, what ? w : NULL};
    double best = 1e9;
    for (int r = 0; r < 20; r++) {
      const double t0 = now_s();
      for (int i = 0; i < ROWS - 1; i++) {
        if (what < 2)
          k->across(&t, x.data + i * WIDE, y.data + i * WIDE);
        else
          k->down(x.data + i * WIDE, WIDE, (const int32_t[]){0, 1}, w, 2, WIDE, y.data + i * WIDE);
      }
      best = fmin(best, now_s() - t0);
    }
    static const char *const shape[] = {"nearest, rows of 40 to 80", "linear, rows of 40 to 80",
                                        "linear, rows of 80 from two"};
    report(c, k->name, shape[what], best, 0, 4.0 * ROWS * WIDE);
  }
  let_go(c, &x), let_go(c, &y);
}

void check_resize(struct check *c) {
  const struct sumi_resize_kernel *k = sumi_resize_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 200; i++) {
    check_across(c, k);
    check_down(c, k);
  }
}
