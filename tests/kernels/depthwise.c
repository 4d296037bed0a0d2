/* Family depthwise: random planes, windows, strides, dilations and pads against the loop of depthwise.h. */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "kernel/depthwise/depthwise.h"

static float want(const struct sumi_depthwise *d, const float *x, const float *weight, float bias, int64_t oy,
                  int64_t ox, float *size) {
  float v = bias;
  *size = fabsf(v);
  for (int64_t ky = 0; ky < d->kh; ky++) {
    const int64_t i = oy * d->stride_y + ky * d->dilation_y - d->top;
    for (int64_t kx = 0; kx < d->kw && i >= 0 && i < d->h; kx++) {
      const int64_t j = ox * d->stride_x + kx * d->dilation_x - d->left;
      const float a = j >= 0 && j < d->w ? x[i * d->w + j] : 0, w = weight[ky * d->kw + kx];
      v = fmaf(a, w, v);
      *size += fabsf(a * w);
    }
  }
  return v < d->lo ? d->lo : v > d->hi ? d->hi : v;
}

static void check_one(struct check *c, const struct sumi_depthwise_kernel *k) {
  const int common =
      pick(c, 0, 3); /* three of four are square, two of them the shapes with a path of their own */
  struct sumi_depthwise d = {
      .h = pick(c, 1, 14), .w = pick(c, 1, pick(c, 0, 1) ? 12 : 70), .lo = -INFINITY, .hi = INFINITY};
  d.kh = common ? 2 * pick(c, 1, 3) + 1 : pick(c, 1, 7);
  d.kw = common ? d.kh : pick(c, 1, pick(c, 0, 3) ? 7 : 35); /* wider ones go one row at a time */
  d.stride_y = common ? pick(c, 1, 2) : pick(c, 1, 3);
  d.stride_x = common ? d.stride_y : pick(c, 1, 3);
  const bool dilated = common == 1 || !common;
  d.dilation_y = dilated ? pick(c, 1, 3) : 1, d.dilation_x = dilated ? pick(c, 1, 3) : 1;
  d.top = pick(c, -1, 4), d.left = pick(c, -1, 4);
  d.h_out = pick(c, 1, 9), d.w_out = pick(c, 1, pick(c, 0, 1) ? 10 : 50);
  if (pick(c, 0, 1)) d.lo = 0, d.hi = 0.7f;
  struct guarded x = guard(c, (size_t)(d.h * d.w)), y = guard(c, (size_t)(d.h_out * d.w_out)),
                 w = guard(c, (size_t)(d.kh * d.kw));
  fill_random(c, &x, -1, 1), fill_random(c, &w, -1, 1);
  begin_case(c, k->name,
             "%ldx%ld to %ldx%ld, window %ldx%ld, strides %ld %ld, dilations %ld %ld, top %ld, left %ld",
             (long)d.h, (long)d.w, (long)d.h_out, (long)d.w_out, (long)d.kh, (long)d.kw, (long)d.stride_y,
             (long)d.stride_x, (long)d.dilation_y, (long)d.dilation_x, (long)d.top, (long)d.left);
  const float bias = (float)sumi_random_uniform(&c->random);
  k->run(&d, x.data, w.data, bias, y.data);
  for (int64_t at = 0; at < d.h_out * d.w_out; at++) {
    float size;
    const float right = want(&d, x.data, w.data, bias, at / d.w_out, at % d.w_out, &size);
    /* ref rounds each product and sum */
    if (k->isa != SUMI_ISA_REF
            ? !same_bits(c, "y", at, y.data[at], right)
            : !same(c, "y", at, y.data[at], right, 1.2e-7f * (float)(d.kh * d.kw + 1) * size))
      break;
  }
  let_go(c, &x), let_go(c, &y), let_go(c, &w);
}

static void bench(struct check *c) {
  static const int sizes[][4] = {/* side, planes, window, stride */
                                 {112, 32, 3, 1}, {56, 144, 3, 1}, {28, 192, 5, 1}, {14, 480, 3, 1},
                                 {14, 672, 5, 1}, {7, 1152, 5, 1}, {7, 1152, 3, 1}, {112, 96, 3, 2},
                                 {56, 144, 5, 2}, {14, 672, 5, 2}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int w = sizes[i][0], planes = sizes[i][1], side = sizes[i][2], step = sizes[i][3];
    const struct sumi_depthwise d = {.h = w,
                                     .w = w,
                                     .h_out = w / step,
                                     .w_out = w / step,
                                     .kh = side,
                                     .kw = side,
                                     .stride_y = step,
                                     .stride_x = step,
                                     .dilation_y = 1,
                                     .dilation_x = 1,
                                     .top = side / 2,
                                     .left = side / 2,
                                     .lo = 0,
                                     .hi = 6};
    const struct sumi_depthwise_kernel *k = sumi_depthwise_pick(sumi_cpu_isa(), d.w_out);
    const int64_t out = d.h_out * d.w_out;
    struct guarded x = guard(c, (size_t)(planes * w * w)), y = guard(c, (size_t)(planes * out)),
                   wt = guard(c, 25);
    fill_random(c, &x, -1, 1), fill_random(c, &wt, -1, 1);
    double best = 1e9;
    for (int t = 0; t < 20; t++) {
      const double t0 = now_s();
      for (int p = 0; p < planes; p++) k->run(&d, x.data + p * w * w, wt.data, 0, y.data + p * out);
      best = fmin(best, now_s() - t0);
    }
    char shape[80];
    snprintf(shape, sizeof shape, "%d planes %dx%d, %dx%d stride %d", planes, w, w, side, side, step);
    report(c, k->name, shape, best, (double)planes * (double)out * side * side, 4.0 * (double)(x.n + y.n));
    let_go(c, &x), let_go(c, &y), let_go(c, &wt);
  }
}

void check_depthwise(struct check *c) {
  if (c->bench) {
    bench(c);
    return;
  }
  size_t n;
  const struct sumi_depthwise_kernel *all = sumi_depthwise_kernels(&n);
  for (size_t r = 0; r < n; r++)
    for (int i = 0; sumi_cpu_allows(sumi_cpu_isa(), all[r].isa) && i < 300; i++) check_one(c, &all[r]);
  if (sumi_depthwise_pick(sumi_cpu_isa(), 7)->isa > sumi_cpu_isa()) fail(c, "pick is above the mask");
}
