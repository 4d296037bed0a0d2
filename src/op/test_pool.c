/* Pools against the definition: every window's elements are gathered one by one. */
#include "base/random.h"
#include "op/test_probe.h"

enum { H = 7, W = 6, PLANES = 2 };

struct shape {
  int64_t kernel[2], stride[2], dilation[2], pads[4];
  bool ceil, include, column_major;
};

static int64_t pick(struct sumi_random *r, int64_t low, int64_t high) {
  return low + (int64_t)(sumi_random_u64(r) % (uint64_t)(high - low + 1));
}

static struct shape random_shape(struct sumi_random *r) {
  struct shape s = {.ceil = pick(r, 0, 1), .include = pick(r, 0, 1), .column_major = pick(r, 0, 1)};
  for (int i = 0; i < 2; i++) {
    s.kernel[i] = pick(r, 1, 3);
    s.stride[i] = pick(r, 1, 3);
    s.dilation[i] = pick(r, 1, 2);
    s.pads[i] = pick(r, -1, 2);
    s.pads[2 + i] = pick(r, -1, 2);
  }
  return s;
}

static void setup(struct probe *p, const char *op, const struct shape *s, const float *x) {
  probe_init(p, op);
  p->node.version = 22;
  probe_ints(p, "kernel_shape", s->kernel, 2);
  probe_ints(p, "strides", s->stride, 2);
  probe_ints(p, "dilations", s->dilation, 2);
  probe_ints(p, "pads", s->pads, 4);
  probe_int(p, "ceil_mode", s->ceil);
  probe_in(p, SUMI_FLOAT32, x, 4, 1, PLANES, H, W);
}

struct gathered {
  double max, sum, square;
  int64_t index, inside, padded;
};

/* Window o of a plane that starts at element first. */
static struct gathered gather(const struct shape *s, const float *x, int64_t first, int64_t oy, int64_t ox) {
  struct gathered g = {.max = -INFINITY};
  for (int64_t ky = 0; ky < s->kernel[0]; ky++)
    for (int64_t kx = 0; kx < s->kernel[1]; kx++) {
      const int64_t y = oy * s->stride[0] + ky * s->dilation[0] - s->pads[0];
      const int64_t z = ox * s->stride[1] + kx * s->dilation[1] - s->pads[1];
      g.padded += y >= -s->pads[0] && y < H + s->pads[2] && z >= -s->pads[1] && z < W + s->pads[3];
      if (y < 0 || z < 0 || y >= H || z >= W) continue;
      const double v = x[first + y * W + z];
      g.inside++;
      g.sum += v;
      g.square += v * v;
      if (v <= g.max) continue;
      g.max = v;
      g.index = first + (s->column_major ? z * H + y : y * W + z);
    }
  return g;
}

static void near(float got, double want) { /* one rounding to float */
  if (!(fabs((double)got - want) <= 1e-7 * fabs(want))) fail_msg("%.9g, not %.9g", (double)got, want);
}

static void test_random(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 5);
  int done = 0;
  for (int round = 0; round < 400; round++) {
    const struct shape s = random_shape(&r);
    struct probe m, a, l;
    probe_init(&l, "LpPool");
    const float *x = probe_fill(&l, PLANES * H * W, round);
    setup(&m, "MaxPool", &s, x);
    probe_int(&m, "storage_order", s.column_major);
    if (probe_run(&m, 2) != SUMI_OK) { /* does not fit */
      assert_int_equal(m.err.status, SUMI_E_SHAPE);
      probe_fini(&m);
      probe_fini(&l);
      continue;
    }
    setup(&a, "AveragePool", &s, x);
    probe_int(&a, "count_include_pad", s.include);
    assert_int_equal(probe_run(&a, 1), SUMI_OK);
    struct probe p;
    setup(&p, "LpPool", &s, x);
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    const int64_t rows = m.out[0].dim[2], columns = m.out[0].dim[3];
    for (int64_t i = 0; i < PLANES * rows * columns; i++) {
      const struct gathered g = gather(&s, x, i / (rows * columns) * H * W, i / columns % rows, i % columns);
      assert_true((double)((const float *)m.out[0].data)[i] == g.max);
      if (g.inside) assert_int_equal(((const int64_t *)m.out[1].data)[i], g.index);
      const int64_t n = s.include ? g.padded : g.inside;
      near(((const float *)a.out[0].data)[i], n ? g.sum / (double)n : 0);
      near(((const float *)p.out[0].data)[i], sqrt(g.square));
    }
    done++;
    probe_fini(&m);
    probe_fini(&a);
    probe_fini(&p);
    probe_fini(&l);
  }
  assert_true(done > 300);
}

static void test_not_a_number(void **state) {
  (void)state;
  const float x[6] = {1, NAN, 3, 2, 5, 4};
  const int64_t kernel = 2;
  struct probe p;
  probe_init(&p, "MaxPool");
  probe_ints(&p, "kernel_shape", &kernel, 1);
  probe_in(&p, SUMI_FLOAT32, x, 3, 1, 1, 6);
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  const float *y = p.out[0].data;
  assert_true(isnan(y[0]) && isnan(y[1]) && y[2] == 3 && y[3] == 5 && y[4] == 5);
  assert_int_equal(((const int64_t *)p.out[1].data)[0], 1);
  probe_fini(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_not_a_number)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
