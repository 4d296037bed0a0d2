/* Reductions, ArgMax and Softmax against plain index arithmetic on random shapes and axes; neutral
 * elements; NaN. */
#include "op/test_probe.h"

#include "base/random.h"

static struct sumi_random numbers;
static int64_t draw(int64_t n) { return (int64_t)(sumi_random_u64(&numbers) % (uint64_t)n); }

enum { MOST = 5 * 5 * 5 * 5 * 5 };

struct trial {
  struct probe p;
  int rank;
  int64_t dim[5];
  bool reduced[5];
  int64_t axes[5];
  int n_axes;
};

/* A random shape with a random set of axes; x is filled by the caller. */
static void start(struct trial *t, const char *op, int version, sumi_dtype d, const void *x) {
  probe_init(&t->p, op);
  t->p.node.version = version;
  t->rank = 1 + (int)draw(5);
  t->n_axes = 0;
  for (int i = 0; i < t->rank; i++) {
    t->dim[i] = 1 + draw(5);
    t->reduced[i] = draw(2);
    if (t->reduced[i]) t->axes[t->n_axes++] = draw(2) ? i : i - t->rank;
  }
  if (!t->n_axes) t->reduced[0] = true, t->axes[t->n_axes++] = 0;
  probe_in(&t->p, d, x, 0);
  t->p.in[0].rank = t->p.info[0].rank = t->rank;
  for (int i = 0; i < t->rank; i++) t->p.in[0].dim[i] = t->p.info[0].dim[i] = t->dim[i];
}

/* Where element `at` of x goes in the reduced tensor. */
static int64_t target(const struct trial *t, int64_t at) {
  int64_t index[5], to = 0;
  for (int i = t->rank - 1; i >= 0; i--) {
    index[i] = at % t->dim[i];
    at /= t->dim[i];
  }
  for (int i = 0; i < t->rank; i++)
    if (!t->reduced[i]) to = to * t->dim[i] + index[i];
  return to;
}

static double step(const char *op, double acc, double x) {
  if (strstr(op, "Max")) return fmax(acc, x);
  if (strstr(op, "Min")) return fmin(acc, x);
  if (strstr(op, "Prod")) return acc * x;
  if (strstr(op, "L1")) return acc + fabs(x);
  if (strstr(op, "L2") || strstr(op, "Square")) return acc + x * x;
  return strstr(op, "Exp") ? acc + exp(x) : acc + x;
}

static double finish(const char *op, double acc, double n) {
  if (strstr(op, "Mean")) return acc / n;
  if (strstr(op, "L2")) return sqrt(acc);
  return strstr(op, "Log") ? log(acc) : acc;
}

static const char *const all[] = {"ReduceSum",    "ReduceMean",     "ReduceProd", "ReduceMax",
                                  "ReduceMin",    "ReduceL1",       "ReduceL2",   "ReduceSumSquare",
                                  "ReduceLogSum", "ReduceLogSumExp"};

static void reductions(void **state) {
  (void)state;
  static float both[2][MOST]; /* positive, for logarithms, and negative */
  for (int i = 0; i < MOST; i++) {
    both[0][i] = 0.5f + (float)draw(1000) / 1000;
    both[1][i] = -both[0][i];
  }
  for (int round = 0; round < 800; round++) {
    struct trial t;
    const char *op = all[round % (int)SUMI_COUNT(all)];
    const float *x = both[!strstr(op, "LogSum") && draw(2)];
    start(&t, op, 11, SUMI_FLOAT32, x);
    const bool keep = draw(2);
    probe_int(&t.p, "keepdims", keep);
    probe_ints(&t.p, "axes", t.axes, (size_t)t.n_axes);
    assert_int_equal(probe_run(&t.p, 1), SUMI_OK);
    const struct sumi_tensor *y = &t.p.out[0];
    assert_int_equal(y->rank, keep ? t.rank : t.rank - t.n_axes);
    const int64_t n = sumi_tensor_count(&t.p.in[0]), results = sumi_tensor_count(y);
    double want[MOST];
    for (int64_t i = 0; i < results; i++)
      want[i] = strstr(op, "Prod") ? 1 : strstr(op, "Max") ? -INFINITY : strstr(op, "Min") ? INFINITY : 0;
    for (int64_t i = 0; i < n; i++) want[target(&t, i)] = step(op, want[target(&t, i)], (double)x[i]);
    for (int64_t i = 0; i < results; i++) {
      const double w = finish(op, want[i], (double)(n / results)), got = (double)((const float *)y->data)[i];
      if (!(fabs(got - w) <= 1e-7 * fmax(fabs(w), 1)))
        fail_msg("%s is %.9g, not %.9g", op, got, w); /* one rounding to float */
    }
    probe_fini(&t.p);
  }
}

static void reduce_one(const char *op, sumi_dtype d, int n, const void *x, double want) {
  struct probe p;
  probe_init(&p, op);
  p.node.version = 20;
  probe_in(&p, d, x, 2, 1, n);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  assert_int_equal(sumi_tensor_count(&p.out[0]), 1);
  const double got = sumi_get_f64(d, p.out[0].data, 0);
  if (!(got == want || (isnan(got) && isnan(want))))
    fail_msg("%s of %d %s is %g, not %g", op, n, sumi_dtype_label(d), got, want);
  probe_fini(&p);
}

static void over_nothing(void **state) {
  (void)state;
  reduce_one("ReduceSum", SUMI_FLOAT32, 0, "", 0);
  reduce_one("ReduceProd", SUMI_INT32, 0, "", 1);
  reduce_one("ReduceMax", SUMI_FLOAT32, 0, "", -INFINITY);
  reduce_one("ReduceMax", SUMI_INT32, 0, "", INT32_MIN);
  reduce_one("ReduceMax", SUMI_UINT8, 0, "", 0);
  reduce_one("ReduceMax", SUMI_BOOL, 0, "", 0);
  reduce_one("ReduceMin", SUMI_FLOAT16, 0, "", INFINITY);
  reduce_one("ReduceMin", SUMI_INT8, 0, "", 127);
  reduce_one("ReduceMin", SUMI_UINT16, 0, "", 65535);
  reduce_one("ReduceMin", SUMI_BOOL, 0, "", 1);
  reduce_one("ReduceMean", SUMI_FLOAT32, 0, "", NAN);
  reduce_one("ReduceMean", SUMI_INT32, 0, "", 0);
  reduce_one("ReduceL2", SUMI_FLOAT32, 0, "", 0);
  reduce_one("ReduceLogSum", SUMI_FLOAT32, 0, "", -INFINITY);
  reduce_one("ReduceLogSumExp", SUMI_FLOAT32, 0, "", -INFINITY);
}

static void edges(void **state) {
  (void)state;
  float x[20];
  for (int i = 0; i < 20; i++) x[i] = (float)i;
  for (int at = 0; at < 20; at++) { /* in the wide part and in the rest */
    x[at] = NAN;
    reduce_one("ReduceMax", SUMI_FLOAT32, 20, x, NAN);
    reduce_one("ReduceMin", SUMI_FLOAT32, 20, x, NAN);
    x[at] = (float)at;
  }
  const float large[] = {1000, 1000}, infinite[] = {-INFINITY, -INFINITY}, cancels[] = {1e8f, 1, -1e8f};
  reduce_one("ReduceLogSumExp", SUMI_FLOAT32, 2, large, (double)(float)(1000 + log(2)));
  reduce_one("ReduceLogSumExp", SUMI_FLOAT32, 2, infinite, -INFINITY);
  reduce_one("ReduceSum", SUMI_FLOAT32, 3, cancels, 1); /* in double precision */
  reduce_one("ReduceMean", SUMI_INT32, 2, (const int32_t[]){-3, -4}, -3);
  reduce_one("ReduceSum", SUMI_INT8, 3, (const int8_t[]){100, 100, 100}, 44);
  reduce_one("ReduceL1", SUMI_INT32, 3, (const int32_t[]){-3, 4, -5}, 12);
  reduce_one("ReduceL2", SUMI_INT32, 2, (const int32_t[]){-3, 4}, 5);
  reduce_one("ReduceMax", SUMI_UINT64, 2, (const uint64_t[]){1, UINT64_MAX}, 0x1p64);
  reduce_one("ReduceMax", SUMI_BOOL, 2, (const uint8_t[]){0, 1}, 1);
}

static void axes_are_checked(void **state) {
  (void)state;
  const int64_t twice[] = {0, -2}, far[] = {2};
  struct probe p;
  for (int i = 0; i < 2; i++) {
    probe_init(&p, "ReduceSum");
    probe_ints(&p, "axes", i ? twice : far, i ? 2 : 1);
    probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 6, 1), 2, 2, 3);
    assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
    probe_fini(&p);
  }
}

static void arg_extremes(void **state) {
  (void)state;
  static int8_t x[MOST];
  for (int i = 0; i < MOST; i++) x[i] = (int8_t)(draw(7) - 3); /* many ties */
  for (int round = 0; round < 300; round++) {
    struct trial t;
    const bool smallest = round % 2, last = draw(2);
    start(&t, smallest ? "ArgMin" : "ArgMax", 13, SUMI_INT8, x);
    const int64_t axis = t.axes[0] < 0 ? t.axes[0] + t.rank : t.axes[0];
    for (int i = 0; i < t.rank; i++) t.reduced[i] = i == axis;
    probe_int(&t.p, "axis", t.axes[0]);
    probe_int(&t.p, "select_last_index", last);
    assert_int_equal(probe_run(&t.p, 1), SUMI_OK);
    const int64_t n = sumi_tensor_count(&t.p.in[0]), inner = sumi_dims_count(t.dim, (int)axis + 1, t.rank);
    int64_t best[MOST], index[MOST];
    for (int i = 0; i < MOST; i++) index[i] = -1;
    for (int64_t i = 0; i < n; i++) {
      const int64_t to = target(&t, i), v = smallest ? -x[i] : x[i];
      if (index[to] >= 0 && !(v > best[to] || (last && v == best[to]))) continue;
      best[to] = v;
      index[to] = i / inner % t.dim[axis];
    }
    const int64_t *got = t.p.out[0].data;
    for (int64_t i = 0; i < sumi_tensor_count(&t.p.out[0]); i++) assert_int_equal(got[i], index[i]);
    probe_fini(&t.p);
  }
}

/* Rows and columns of every length around the loops' widths, in place too, against double precision. */
static void softmax(void **state) {
  (void)state;
  static float x[70 * 70];
  for (int n = 1; n < 70; n += 3)
    for (int inner = 1; inner < 70; inner += 17)
      for (int form = 0; form < 2; form++) {
        struct probe p;
        for (int i = 0; i < n * inner; i++) x[i] = (float)draw(4000) / 100 - 20;
        x[0] = -INFINITY;
        probe_init(&p, form ? "LogSoftmax" : "Softmax");
        p.node.version = 13;
        probe_int(&p, "axis", 0);
        probe_in(&p, SUMI_FLOAT32, x, 2, n, inner);
        if (n == 1) x[0] = 3;
        assert_int_equal(probe_run(&p, 1), SUMI_OK);
        const float *y = p.out[0].data;
        for (int j = 0; j < inner; j++) {
          double max = -INFINITY, sum = 0;
          for (int k = 0; k < n; k++) max = fmax(max, (double)x[k * inner + j]);
          for (int k = 0; k < n; k++) sum += exp((double)x[k * inner + j] - max);
          for (int k = 0; k < n; k++) {
            const double d = (double)x[k * inner + j] - max, want = form ? d - log(sum) : exp(d) / sum,
                         got = (double)y[k * inner + j];
            /* exp 1.1 ulp and two roundings, and x - max rounded: the logarithm at that size, exp by that
             * factor */
            if (!(got == want ||
                  fabs(got - want) <= (form ? 3e-7 * fmax(1, fabs(want)) : (3e-7 - 6e-8 * d) * want)))
              fail_msg("%.9g, not %.9g", got, want);
          }
        }
        probe_fini(&p);
      }
}

/* CumSum over tiles of every form against plain loops; all numbers are exact. */
static void cumulated(void **state) {
  (void)state;
  static const int shape[][3] = {{2, 700, 1}, {2, 70, 9}, {1, 3, 300}, {1, 2, 256}};
  for (size_t s = 0; s < SUMI_COUNT(shape); s++)
    for (int how = 0; how < 4; how++) {
      const int64_t outer = shape[s][0], n = shape[s][1], inner = shape[s][2];
      const bool exclusive = how & 1, reverse = how & 2;
      static const int64_t axis = 1;
      struct probe p;
      probe_init(&p, "CumSum");
      p.node.version = 14;
      probe_int(&p, "exclusive", exclusive);
      probe_int(&p, "reverse", reverse);
      const float *x = probe_fill(&p, outer * n * inner, 3);
      probe_in(&p, SUMI_FLOAT32, x, 3, (int)outer, (int)n, (int)inner);
      p.info[probe_in(&p, SUMI_INT64, &axis, 0) - p.in].data = &p.in[1];
      assert_int_equal(probe_run(&p, 1), SUMI_OK);
      const float *y = p.out[0].data;
      for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
          float sum = 0;
          for (int64_t k = 0; k < n; k++) {
            const int64_t at = (o * n + (reverse ? n - 1 - k : k)) * inner + i;
            if (exclusive) assert_true(y[at] == sum);
            sum += x[at];
            if (!exclusive) assert_true(y[at] == sum);
          }
        }
      probe_fini(&p);
    }
}

int main(void) {
  sumi_random_init(&numbers, 5);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cumulated), cmocka_unit_test(reductions),       cmocka_unit_test(over_nothing),
      cmocka_unit_test(edges),     cmocka_unit_test(axes_are_checked), cmocka_unit_test(arg_extremes),
      cmocka_unit_test(softmax),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
