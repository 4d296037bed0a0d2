/* Convolutions of random geometry: the row-by-row float32 loops against the textbook loops in float64, integer ones against
 * float64, and ConvTranspose as the adjoint of Conv. */
#include <stdio.h>

#include "base/random.h"
#include "op/test_probe.h"

struct geometry {
  int n;
  int64_t x[5], w[5]; /* [batch, c_in, ...], [c_out, c_group, ...] */
  int64_t stride[3], dilation[3], pads[6], group;
};

static int64_t pick(struct sumi_random *r, int64_t low, int64_t high) {
  return low + (int64_t)(sumi_random_u64(r) % (uint64_t)(high - low + 1));
}

static struct geometry random_geometry(struct sumi_random *r) {
  struct geometry g = {.n = (int)pick(r, 1, 3), .group = pick(r, 1, 3)};
  g.x[0] = pick(r, 1, 2);
  g.w[1] = pick(r, 1, 9);
  g.x[1] = g.w[1] * g.group;
  g.w[0] = g.group * pick(r, 1, 3);
  const bool plain = pick(r, 0, 3) == 0; /* often 1x1: that has a path of its own */
  for (int i = 0; i < g.n; i++) {
    g.w[2 + i] = plain ? 1 : pick(r, 1, 4);
    g.stride[i] = plain ? 1 : pick(r, 1, 3);
    g.dilation[i] = pick(r, 1, 3);
    g.pads[i] = plain ? 0 : pick(r, -1, 4);
    g.pads[g.n + i] = plain ? 0 : pick(r, -1, 4);
    const int64_t least = (g.w[2 + i] - 1) * g.dilation[i] + 1 - g.pads[i] - g.pads[g.n + i];
    g.x[2 + i] = (least > 1 ? least : 1) + pick(r, 0, 9);
  }
  return g;
}

static void add_input(struct probe *p, sumi_dtype d, const void *data, int rank, const int64_t *dim) {
  struct sumi_tensor *t = probe_in(p, d, data, 0);
  t->rank = p->info[p->node.n_in - 1].rank = rank;
  for (int i = 0; i < rank; i++) p->info[p->node.n_in - 1].dim[i] = t->dim[i] = dim[i];
}

static void *convert(struct probe *p, sumi_dtype d, const float *x, int64_t n, float scale) {
  void *to = sumi_arena_alloc(&p->arena, (size_t)n * 8);
  assert_non_null(to);
  for (int64_t i = 0; i < n; i++) sumi_set_f64(d, to, i, (double)(x[i] * scale));
  return to;
}

static void setup(struct probe *p, const char *op, const struct geometry *g) {
  probe_init(p, op);
  probe_ints(p, "strides", g->stride, (size_t)g->n);
  probe_ints(p, "dilations", g->dilation, (size_t)g->n);
  probe_ints(p, "pads", g->pads, (size_t)g->n * 2);
  probe_int(p, "group", g->group);
}

/* probe_fill() gives multiples of 1/16 below 2: sums of up to a few thousand products are exact in float32 and float64,
 * in any order. So results must be equal. */
static void same(const struct probe *a, const struct probe *b, double scale) {
  assert_int_equal(a->out[0].rank, b->out[0].rank);
  for (int i = 0; i < a->out[0].rank; i++) assert_int_equal(a->out[0].dim[i], b->out[0].dim[i]);
  for (int64_t i = 0; i < sumi_tensor_count(&a->out[0]); i++) {
    const double x = sumi_get_f64(a->out[0].dtype, a->out[0].data, i),
                 y = sumi_get_f64(b->out[0].dtype, b->out[0].data, i);
    if (x != y * scale) fail_msg("element %d is %.9g, not %.9g", (int)i, x, y * scale);
  }
}

static void run(struct probe *p) {
  const sumi_status status = probe_run(p, 1);
  if (status != SUMI_OK) fail_msg("%s", p->err.text);
}

static void conv_as(struct probe *p, const char *op, sumi_dtype d, sumi_dtype dw, const struct geometry *g,
                    bool bias, float scale) {
  setup(p, op, g);
  const int64_t nx = sumi_dims_count(g->x, 0, g->n + 2), nw = sumi_dims_count(g->w, 0, g->n + 2);
  add_input(p, d, convert(p, d, probe_fill(p, nx, 1), nx, scale), g->n + 2, g->x);
  add_input(p, dw, convert(p, dw, probe_fill(p, nw, 2), nw, scale), g->n + 2, g->w);
  if (bias) add_input(p, d, convert(p, d, probe_fill(p, g->w[0], 3), g->w[0], scale), 1, g->w);
  run(p);
}

static void test_float_against_double(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 1);
  for (int round = 0; round < 300; round++) {
    const struct geometry g = random_geometry(&r);
    struct probe f, d;
    conv_as(&f, "Conv", SUMI_FLOAT32, SUMI_FLOAT32, &g, round % 2, 1);
    conv_as(&d, "Conv", SUMI_FLOAT64, SUMI_FLOAT64, &g, round % 2, 1);
    same(&f, &d, 1);
    probe_fini(&f);
    probe_fini(&d);
  }
}

static void test_long_rows(void **state) {
  (void)state;
  /* more than one piece of a row, and of a flattened 1x1 */
  const struct geometry rows[] = {
      {2, {1, 2, 2, 2100}, {2, 2, 1, 3}, {1, 2}, {1, 5}, {0, 7, 0, 2}, 1},
      {2, {1, 5, 31, 70}, {3, 5, 1, 1}, {1, 1}, {1, 1}, {0}, 1},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct probe f, d;
    conv_as(&f, "Conv", SUMI_FLOAT32, SUMI_FLOAT32, &rows[i], true, 1);
    conv_as(&d, "Conv", SUMI_FLOAT64, SUMI_FLOAT64, &rows[i], true, 1);
    same(&f, &d, 1);
    probe_fini(&f);
    probe_fini(&d);
  }
}

static void test_integer_against_double(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 2);
  for (int round = 0; round < 200; round++) {
    const struct geometry g = random_geometry(&r);
    struct probe q, d;
    conv_as(&q, "ConvInteger", SUMI_INT8, SUMI_INT8, &g, false, 16);
    conv_as(&d, "Conv", SUMI_FLOAT64, SUMI_FLOAT64, &g, false, 1);
    same(&q, &d, 256);
    probe_fini(&q);
    probe_fini(&d);
  }
}

/* uint8 with zero points is int8 shifted: x + 30 with zero point 30. */
static void test_zero_points(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 3);
  for (int round = 0; round < 100; round++) {
    const struct geometry g = random_geometry(&r);
    struct probe a, b;
    conv_as(&a, "ConvInteger", SUMI_INT8, SUMI_INT8, &g, false, 16);
    setup(&b, "ConvInteger", &g);
    uint8_t *data[2], zero_x = 30, *zero_w = sumi_arena_alloc(&b.arena, (size_t)g.w[0]);
    for (int i = 0; i < 2; i++) {
      const int64_t *dim = i ? g.w : g.x, n = sumi_dims_count(dim, 0, g.n + 2), per = n / dim[0];
      data[i] = sumi_arena_alloc(&b.arena, (size_t)n);
      const float *x = probe_fill(&b, n, i + 1);
      for (int64_t k = 0; k < n; k++) {
        if (i) zero_w[k / per] = (uint8_t)(40 + k / per); /* one for every output channel */
        data[i][k] = (uint8_t)(x[k] * 16 + (float)(i ? zero_w[k / per] : zero_x));
      }
      add_input(&b, SUMI_UINT8, data[i], g.n + 2, dim);
    }
    add_input(&b, SUMI_UINT8, &zero_x, 0, NULL);
    add_input(&b, SUMI_UINT8, zero_w, 1, g.w);
    run(&b);
    same(&b, &a, 1);
    probe_fini(&a);
    probe_fini(&b);
  }
}

/* <Conv(x, w), y> = <x, ConvTranspose(y, w)> for every x and y: sums are exact, so they are equal. */
static void adjoint(sumi_dtype d, const struct geometry *g) {
  struct probe conv, back;
  conv_as(&conv, "Conv", d, d, g, false, 1);
  const struct sumi_tensor *cy = &conv.out[0], *cx = &conv.in[0];
  struct geometry t = *g;
  int64_t extra[3];
  /* Conv leaves what does not fill a stride; output_padding gives it back */
  for (int i = 0; i < g->n; i++)
    extra[i] = (g->x[2 + i] + g->pads[i] + g->pads[g->n + i] - (g->w[2 + i] - 1) * g->dilation[i] - 1) %
               g->stride[i];
  setup(&back, "ConvTranspose", &t);
  probe_ints(&back, "output_padding", extra, (size_t)g->n);
  const int64_t ny = sumi_tensor_count(cy);
  add_input(&back, d, convert(&back, d, probe_fill(&back, ny, 5), ny, 1), g->n + 2, cy->dim);
  add_input(&back, d, conv.in[1].data, g->n + 2, g->w);
  run(&back);
  for (int i = 0; i < g->n + 2; i++) assert_int_equal(back.out[0].dim[i], g->x[i]);
  double left = 0, right = 0;
  for (int64_t i = 0; i < ny; i++) left += sumi_get_f64(d, cy->data, i) * sumi_get_f64(d, back.in[0].data, i);
  for (int64_t i = 0; i < sumi_tensor_count(cx); i++)
    right += sumi_get_f64(d, cx->data, i) * sumi_get_f64(d, back.out[0].data, i);
  assert_true(left == right);
  probe_fini(&conv);
  probe_fini(&back);
}

static void test_transpose_is_adjoint(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 4);
  for (int round = 0; round < 200; round++) {
    const struct geometry g = random_geometry(&r);
    adjoint(round % 2 ? SUMI_FLOAT32 : SUMI_FLOAT64, &g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_float_against_double),   cmocka_unit_test(test_long_rows),
      cmocka_unit_test(test_integer_against_double), cmocka_unit_test(test_zero_points),
      cmocka_unit_test(test_transpose_is_adjoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
