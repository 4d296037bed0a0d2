/* Family pool: random planes and windows against the loops of pool.h. */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "kernel/pool/pool.h"

/* The loop of the header in double precision; *size receives the sum of magnitudes. */
static double want(const struct sumi_pool_window *p, bool is_max, const float *x, int64_t oy, int64_t ox,
                   double *size) {
  double v = is_max ? -INFINITY : 0;
  int64_t count = 0;
  *size = 0;
  for (int64_t ky = 0; ky < p->kh; ky++)
    for (int64_t kx = 0; kx < p->kw; kx++) {
      const int64_t i = oy * p->stride_y + ky * p->dilation_y - p->top,
                    j = ox * p->stride_x + kx * p->dilation_x - p->left;
      const bool inside = i >= 0 && i < p->h && j >= 0 && j < p->w;
      count += inside || (p->include_pad && i >= -p->top && i < p->h + p->bottom && j >= -p->left &&
                          j < p->w + p->right);
      if (!inside) continue;
      const double a = (double)x[i * p->w + j];
      *size += fabs(a);
      if (!is_max)
        v += a;
      else if (a > v || isnan(a))
        v = a;
      else if (isnan(v))
        v = NAN;
    }
  return is_max ? v : count ? v / (double)count : 0;
}

static void check_one(struct check *c, const struct sumi_pool_kernel *k) {
  struct sumi_pool_window p = {.h = pick(c, 1, 12), .w = pick(c, 1, pick(c, 0, 1) ? 10 : 80)};
  p.kh = pick(c, 1, 4), p.kw = pick(c, 1, 5);
  p.stride_y = pick(c, 1, 3), p.stride_x = pick(c, 1, 3);
  p.dilation_y = pick(c, 0, 3) ? 1 : 2, p.dilation_x = pick(c, 0, 3) ? 1 : 2;
  p.top = pick(c, 0, 2), p.left = pick(c, 0, 2), p.bottom = pick(c, 0, 2), p.right = pick(c, 0, 2);
  p.h_out = pick(c, 1, 8), p.w_out = pick(c, 1, pick(c, 0, 1) ? 10 : 70);
  p.include_pad = pick(c, 0, 1);
  const bool is_max = pick(c, 0, 1);
  struct guarded x = guard(c, (size_t)(p.h * p.w)), y = guard(c, (size_t)(p.h_out * p.w_out));
  fill_random(c, &x, -1, 1);
  if (pick(c, 0, 3) == 0) x.data[pick(c, 0, (int)x.n - 1)] = NAN;
  begin_case(
      c, k->name,
      "%s %ldx%ld to %ldx%ld, window %ldx%ld, strides %ld %ld, dilations %ld %ld, pads %ld %ld %ld %ld",
      is_max ? "max" : "average", (long)p.h, (long)p.w, (long)p.h_out, (long)p.w_out, (long)p.kh, (long)p.kw,
      (long)p.stride_y, (long)p.stride_x, (long)p.dilation_y, (long)p.dilation_x, (long)p.top, (long)p.left,
      (long)p.bottom, (long)p.right);
  (is_max ? k->max : k->average)(&p, x.data, y.data);
  for (int64_t at = 0; at < p.h_out * p.w_out; at++) {
    double size;
    const double right = want(&p, is_max, x.data, at / p.w_out, at % p.w_out, &size);
    /* at most 19 sums and a quotient are rounded */
    if (!same(c, "y", at, y.data[at], (float)right, is_max ? 0 : (float)(20 * 6e-8 * size))) break;
  }
  let_go(c, &x), let_go(c, &y);
}

static void check_plane(struct check *c, const struct sumi_pool_kernel *k) {
  struct guarded x = guard(c, (size_t)pick(c, 1, 300)), y = guard(c, 1);
  fill_random(c, &x, -1, 1);
  double sum = 0, size = 0, max = -INFINITY;
  const bool nan = pick(c, 0, 4) == 0;
  if (nan) x.data[pick(c, 0, (int)x.n - 1)] = NAN;
  for (size_t i = 0; i < x.n; i++) {
    sum += (double)x.data[i], size += fabs((double)x.data[i]);
    if ((double)x.data[i] > max) max = (double)x.data[i];
  }
  begin_case(c, k->name, "whole plane of %zu", x.n);
  k->plane_max(x.data, (int64_t)x.n, y.data);
  same(c, "max", 0, y.data[0], nan ? NAN : (float)max, 0);
  k->plane_sum(x.data, (int64_t)x.n, y.data);
  same(c, "sum", 0, y.data[0], (float)sum, (float)(6e-8 * size * ((double)x.n / 8 + 8)));
  let_go(c, &x), let_go(c, &y);
}

static void bench(struct check *c, const struct sumi_pool_kernel *k) {
  static const int sizes[][4] = {{112, 64, 3, 2}, {56, 64, 2, 2}, {28, 192, 3, 1}, {14, 512, 3, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int w = sizes[i][0], planes = sizes[i][1], side = sizes[i][2], step = sizes[i][3], out = w / step;
    const struct sumi_pool_window p = {.h = w,
                                       .w = w,
                                       .h_out = out,
                                       .w_out = out,
                                       .kh = side,
                                       .kw = side,
                                       .stride_y = step,
                                       .stride_x = step,
                                       .dilation_y = 1,
                                       .dilation_x = 1,
                                       .top = side / 2,
                                       .left = side / 2,
                                       .bottom = 1,
                                       .right = 1};
    struct guarded x = guard(c, (size_t)(planes * w * w)), y = guard(c, (size_t)(planes * out * out));
    fill_random(c, &x, -1, 1);
    for (int is_max = 0; is_max < 2; is_max++) {
      double best = 1e9;
      for (int t = 0; t < 20; t++) {
        const double t0 = now_s();
        for (int q = 0; q < planes; q++)
          (is_max ? k->max : k->average)(&p, x.data + q * w * w, y.data + q * out * out);
        best = fmin(best, now_s() - t0);
      }
      char shape[80];
      snprintf(shape, sizeof shape, "%s %d planes %dx%d, %dx%d stride %d", is_max ? "max" : "average", planes,
               w, w, side, side, step);
      report(c, k->name, shape, best, 0, 4.0 * (double)(x.n + y.n));
    }
    let_go(c, &x), let_go(c, &y);
  }
}

void check_pool(struct check *c) {
  const struct sumi_pool_kernel *k = sumi_pool_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 500; i++) check_one(c, k);
  for (int i = 0; i < 100; i++) check_plane(c, k);
}
