/* Family convert: every short float widened, random and special words narrowed, against base/half.h to the bit. */
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "check.h"
#include "kernel/convert/convert.h"

static float widened(int format, uint16_t x) {
  return format == SUMI_SHORT_F16 ? sumi_f32_from_f16(x) : sumi_f32_from_bf16(x);
}

static uint16_t narrowed(int format, float x) {
  return format == SUMI_SHORT_F16 ? sumi_f16_from_f32(x) : sumi_bf16_from_f32(x);
}

/* n shorts at the end (or start) of a guarded buffer of whole words. */
static uint16_t *shorts(struct check *c, struct guarded *g, int64_t n) {
  *g = guard(c, (size_t)(n + 1) / 2);
  return (uint16_t *)(void *)g->data + (c->side == AT_END ? n % 2 : 0);
}

static void check_widen(struct check *c, const struct sumi_convert_kernel *k, int format) {
  const int64_t n = pick(c, 1, 300);
  struct guarded from, y = guard(c, (size_t)n);
  uint16_t *x = shorts(c, &from, n);
  for (int64_t i = 0; i < n; i++) x[i] = (uint16_t)sumi_random_u64(&c->random);
  begin_case(c, k->name, "widen %d of %ld", format, (long)n);
  k->widen[format](x, n, y.data);
  for (int64_t i = 0; i < n; i++)
    if (!same_bits(c, "y", i, y.data[i], widened(format, x[i]))) break;
  let_go(c, &from), let_go(c, &y);
}

static void check_narrow(struct check *c, const struct sumi_convert_kernel *k, int format) {
  const int64_t n = pick(c, 1, 300);
  struct guarded x = guard(c, (size_t)n), to;
  uint16_t *y = shorts(c, &to, n);
  for (int64_t i = 0; i < n; i++) {
    const uint32_t bits = (uint32_t)sumi_random_u64(&c->random);
    const float near =
        widened(format, (uint16_t)bits) * (1 + (float)pick(c, -4, 4) * 0x1p-12f); /* ties and beside them */
    x.data[i] = pick(c, 0, 1) ? near : sumi_f32_from_bits(bits);
  }
  begin_case(c, k->name, "narrow %d of %ld", format, (long)n);
  k->narrow[format](x.data, n, y);
  for (int64_t i = 0; i < n; i++)
    if (y[i] != narrowed(format, x.data[i])) {
      fail(c, "y[%ld] is %04x, not %04x", (long)i, y[i], narrowed(format, x.data[i]));
      break;
    }
  let_go(c, &x), let_go(c, &to);
}

static void bench(struct check *c, const struct sumi_convert_kernel *k) {
  enum { N = 100000 };
  struct guarded x = guard(c, N), half = guard(c, N / 2);
  fill_random(c, &x, -1, 1);
  for (int format = 0; format < SUMI_N_SHORT; format++)
    for (int wide = 0; wide < 2; wide++) {
      double best = 1e9;
      for (int t = 0; t < 20; t++) {
        const double t0 = now_s();
        if (wide)
          k->widen[format]((const uint16_t *)(const void *)half.data, N, x.data);
        else
          k->narrow[format](x.data, N, (uint16_t *)(void *)half.data);
        if (now_s() - t0 < best) best = now_s() - t0;
      }
      char shape[60];
      snprintf(shape, sizeof shape, "%s %s", wide ? "widen" : "narrow", format ? "bfloat16" : "float16");
      report(c, k->name, shape, best, 0, 6.0 * N);
    }
  let_go(c, &x), let_go(c, &half);
}

void check_convert(struct check *c) {
  const struct sumi_convert_kernel *k = sumi_convert_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 100; i++)
    for (int format = 0; format < SUMI_N_SHORT; format++) {
      check_widen(c, k, format);
      check_narrow(c, k, format);
    }
}
