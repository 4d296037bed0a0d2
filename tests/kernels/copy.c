/* Family copy: random planes, halos, phases and transposes against the loops of copy.h, to the bit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "kernel/copy/copy.h"

/* The way back, with the same figures: y [h, w] has words only where a phase has them. */
static void check_merge(struct check *c, const struct sumi_copy_kernel *k, const struct sumi_copy_halo *h,
                        struct guarded *y) {
  struct guarded x = guard(c, (size_t)(h->n_y * h->n_x * h->plane)), wanted = guard(c, y->n),
                 got = guard(c, y->n);
  fill_random(c, &x, -1, 1);
  for (int a = 0; a < h->n_y; a++)
    for (int b = 0; b < h->n_x; b++)
      for (int64_t at = 0; at < h->rows * h->pitch; at++) {
        const int64_t i = at / h->pitch * h->step_y + h->phase_y[a] - h->top;
        const int64_t j = at % h->pitch * h->step_x + h->phase_x[b] - h->left;
        if (i >= 0 && i < h->h && j >= 0 && j < h->w)
          wanted.data[i * h->w + j] = x.data[(a * h->n_x + b) * h->plane + at];
      }
  k->merge(h, x.data, got.data);
  for (size_t i = 0; i < y->n; i++)
    if (is_poison(wanted.data[i]) ? !is_poison(got.data[i])
                                  : !same_bits(c, "merged", (int64_t)i, got.data[i], wanted.data[i])) {
      if (is_poison(wanted.data[i])) fail(c, "a word that no phase has was written");
      break;
    }
  let_go(c, &x), let_go(c, &wanted), let_go(c, &got);
}

static void check_halo(struct check *c, const struct sumi_copy_kernel *k) {
  struct sumi_copy_halo h = {.h = pick(c, 1, 20), .w = pick(c, 1, pick(c, 0, 1) ? 12 : 150), .fill = 0.5f};
  h.step_y = pick(c, 1, 3), h.step_x = pick(c, 1, 3);
  h.top = pick(c, -3, 4), h.left = pick(c, -3, 4);
  h.rows = pick(c, 1, 12), h.pitch = pick(c, 1, pick(c, 0, 1) ? 12 : 120);
  h.plane = h.rows * h.pitch + pick(c, 0, 5);
  h.n_y = pick(c, 1, (int)h.step_y), h.n_x = pick(c, 1, (int)h.step_x);
  const int turn = pick(c, 0, 1); /* phases in order, or the later ones only */
  for (int a = 0; a < h.n_y; a++) h.phase_y[a] = turn ? (int)h.step_y - h.n_y + a : a;
  for (int b = 0; b < h.n_x; b++) h.phase_x[b] = turn ? (int)h.step_x - h.n_x + b : b;
  struct guarded x = guard(c, (size_t)(h.h * h.w)), y = guard(c, (size_t)(h.n_y * h.n_x * h.plane));
  fill_random(c, &x, -1, 1);
  begin_case(c, k->name, "halo %ldx%ld to %ldx%ld, top %ld, left %ld, steps %ld %ld, phases %d+%d %d+%d",
             (long)h.h, (long)h.w, (long)h.rows, (long)h.pitch, (long)h.top, (long)h.left, (long)h.step_y,
             (long)h.step_x, h.phase_y[0], h.n_y, h.phase_x[0], h.n_x);
  if (pick(c, 0, 2) == 0) {
    check_merge(c, k, &h, &x);
    let_go(c, &x), let_go(c, &y);
    return;
  }
  k->halo(&h, x.data, y.data);
  int64_t n = 0;
  for (int a = 0; a < h.n_y; a++)
    for (int b = 0; b < h.n_x; b++)
      for (int64_t at = 0; at < h.plane; at++, n++) {
        const int64_t i = at / h.pitch * h.step_y + h.phase_y[a] - h.top;
        const int64_t j = at % h.pitch * h.step_x + h.phase_x[b] - h.left;
        const bool inside = at < h.rows * h.pitch && i >= 0 && i < h.h && j >= 0 && j < h.w;
        if (!same_bits(c, "y", n, y.data[n], inside ? x.data[i * h.w + j] : h.fill)) goto out;
      }
out:
  let_go(c, &x), let_go(c, &y);
}

static void check_transpose(struct check *c, const struct sumi_copy_kernel *k) {
  const int m = pick(c, 1, 50), n = pick(c, 1, 50), x_row = n + pick(c, 0, 3), y_row = m + pick(c, 0, 3);
  struct guarded x = guard(c, (size_t)((m - 1) * x_row + n)), y = guard(c, (size_t)((n - 1) * y_row + m));
  fill_random(c, &x, -1, 1);
  begin_case(c, k->name, "transpose %dx%d, rows of %d and %d", m, n, x_row, y_row);
  k->transpose(x.data, x_row, m, n, y.data, y_row);
  for (int j = 0; j < n; j++)
    for (int i = 0; i < y_row && j * y_row + i < (n - 1) * y_row + m; i++) {
      const float got = y.data[j * y_row + i];
      if (i < m ? !same_bits(c, "y", j * y_row + i, got, x.data[i * x_row + j]) : !is_poison(got)) {
        if (i >= m) fail(c, "a word between rows was written");
        goto out;
      }
    }
out:
  let_go(c, &x), let_go(c, &y);
}

static void bench(struct check *c, const struct sumi_copy_kernel *k) {
  static const int sizes[][3] = {{112, 32, 1}, {56, 64, 1}, {14, 256, 1},
                                 {7, 512, 1},  {224, 3, 2}, {56, 128, 2}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int w = sizes[i][0], planes = sizes[i][1], step = sizes[i][2];
    struct sumi_copy_halo h = {.h = w,
                               .w = w,
                               .rows = w / step + 2,
                               .pitch = w / step + 1,
                               .top = 1,
                               .left = 1,
                               .step_y = step,
                               .step_x = step,
                               .n_y = step,
                               .n_x = step,
                               .phase_y = {0, 1},
                               .phase_x = {0, 1}};
    h.plane = h.rows * h.pitch;
    struct guarded x = guard(c, (size_t)(planes * w * w)),
                   y = guard(c, (size_t)(planes * step * step * h.plane));
    fill_random(c, &x, -1, 1);
    double best = 1e9;
    for (int t = 0; t < 20; t++) {
      const double t0 = now_s();
      for (int p = 0; p < planes; p++) k->halo(&h, x.data + p * w * w, y.data + p * step * step * h.plane);
      best = fmin(best, now_s() - t0);
    }
    char shape[80];
    snprintf(shape, sizeof shape, "halo %d planes %dx%d step %d", planes, w, w, step);
    report(c, k->name, shape, best, 0, 4.0 * (double)(x.n + y.n));
    let_go(c, &x), let_go(c, &y);
  }
  struct guarded x = guard(c, 128 * 384), y = guard(c, 128 * 384);
  fill_random(c, &x, -1, 1);
  double best = 1e9;
  for (int t = 0; t < 20; t++) {
    const double t0 = now_s();
    k->transpose(x.data, 384, 128, 384, y.data, 128);
    best = fmin(best, now_s() - t0);
  }
  report(c, k->name, "transpose 128x384", best, 0, 4.0 * (double)(x.n + y.n));
  let_go(c, &x), let_go(c, &y);
}

void check_copy(struct check *c) {
  const struct sumi_copy_kernel *k = sumi_copy_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 600; i++) {
    check_halo(c, k);
    check_transpose(c, k);
  }
}
