/* Layers of a small graph: found, read and written; Gram matrices and ranges of their inputs against plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/size.h"
#include "compress/calibrate.h"
#include "compress/layer.h"
#include "op/ops.h"

/* ---- a graph with a layer of each kind -------------------------------------------------------------------------- */

enum { N = 5, ROWS_C = 6, TAPS = 9, FLAT = 90 };

/* " float[dims] name = {numbers}" */
static void add_constant(struct sumi_text *t, struct sumi_random *random, const char *type, const char *name,
                         int count) {
  sumi_text_add(t, " %s %s = {", type, name);
  for (int i = 0; i < count; i++) sumi_text_add(t, "%s%.4f", i ? ", " : "", sumi_random_normal(random));
  sumi_text_add(t, "}");
}

/* x -> grouped Conv with strides and uneven padding -> Relu -> Gemm with transB -> MatMul + Add; s -> LSTM. */
static struct sumi_graph *make_graph(const struct sumi_allocator *a) {
  static const struct {
    const char *type, *name;
    int count;
  } constants[] = {{"float[6,2,3,3]", "cw", 108}, {"float[6]", "cb", 6},      {"float[7,90]", "gw", 630},
                   {"float[7]", "gb", 7},         {"float16[7,3]", "mw", 21}, {"float16[1,3]", "mb", 3},
                   {"float[1,12,5]", "lw", 60},   {"float[1,12,3]", "lr", 36}};
  struct sumi_random random;
  struct sumi_text t;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  sumi_random_init(&random, 5);
  sumi_text_init(&t, NULL);
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g (float[n,4,5,6] x, float[3,n,5] s) => (y, h) <");
  for (size_t i = 0; i < SUMI_COUNT(constants); i++) {
    sumi_text_add(&t, i ? "," : "");
    add_constant(&t, &random, constants[i].type, constants[i].name, constants[i].count);
  }
  sumi_text_add(&t, "> { [conv] c = Conv <group = 2, strides = [2, 1], pads = [1, 0, 1, 1]> (x, cw, cb)"
                    " r = Relu (c) f = Flatten (r) [gemm] d = Gemm <transB = 1> (f, gw, gb)"
                    " e = Cast <to = 10> (d) [mat] m = MatMul (e, mw) [add] y = Add (mb, m)"
                    " [lstm] h = LSTM <hidden_size = 3> (s, lw, lr) }");
  const sumi_status status =
      sumi_graph_parse(sumi_text_str(&t), strlen(sumi_text_str(&t)), sumi_op_find, a, &g, &err);
  if (status != SUMI_OK && status != SUMI_E_MEMORY) fail_msg("%s", err.text);
  sumi_text_fini(&t);
  return g;
}

struct found {
  struct sumi_arena arena;
  struct sumi_graph *g;
  struct sumi_layer *layer;
  size_t n;
};

static struct found find(void) {
  struct found f = {0};
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_arena_init(&f.arena, NULL);
  f.g = make_graph(sumi_allocator_default());
  if (sumi_layers_find(f.g, &f.arena, &f.layer, &f.n, &err) != SUMI_OK) fail_msg("%s", err.text);
  return f;
}

static void lose(struct found *f) {
  sumi_graph_free(f->g);
  sumi_arena_fini(&f->arena);
}

static void test_found(void **state) {
  (void)state;
  static const struct {
    const char *node, *weight, *bias;
    int64_t rows, groups, taps, channels;
    bool state, can_have_bias;
  } want[] = {{"conv", "cw", "cb", 6, 2, 9, 2, false, true},
              {"gemm", "gw", "gb", 7, 1, 1, 90, false, true},
              {"mat", "mw", "mb", 3, 1, 1, 7, false, true},
              {"lstm", "lw", NULL, 12, 1, 1, 5, false, false},
              {"lstm", "lr", NULL, 12, 1, 1, 3, true, false}};
  struct found f = find();
  assert_int_equal(f.n, SUMI_COUNT(want));
  for (size_t i = 0; i < f.n; i++) {
    const struct sumi_layer *l = &f.layer[i];
    assert_string_equal(l->node->name, want[i].node);
    assert_string_equal(l->weight->name, want[i].weight);
    assert_int_equal(l->bias != NULL, want[i].bias != NULL);
    if (l->bias) assert_string_equal(l->bias->name, want[i].bias);
    assert_int_equal(l->product.rows, want[i].rows);
    assert_int_equal(l->product.groups, want[i].groups);
    assert_int_equal(l->product.taps, want[i].taps);
    assert_int_equal(l->product.channels, want[i].channels);
    assert_int_equal(l->product.x < 0, want[i].state);
    assert_int_equal(sumi_layer_has_bias(l), want[i].can_have_bias);
  }
  lose(&f);
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

/* Element of a layer's matrix by the ONNX layout of its weights. */
static double element(const struct sumi_layer *l, int64_t row, int64_t tap, int64_t channel) {
  const struct sumi_tensor *t = l->weight->constant;
  const struct sumi_op_product *p = &l->product;
  int64_t at = row * p->channels * p->taps + channel * p->taps + tap; /* Conv, transB, LSTM */
  if (!strcmp(l->node->name, "mat")) at = channel * p->rows + row;
  return sumi_get_f64(t->dtype, t->data, at);
}

static void test_round_trip(void **state) {
  (void)state;
  struct found f = find();
  struct sumi_graph *other = sumi_graph_clone(f.g, NULL);
  assert_non_null(other);
  for (size_t i = 0; i < f.n; i++) {
    struct sumi_layer *l = &f.layer[i];
    const int64_t cols = sumi_layer_cols(l), n = l->product.rows * cols;
    float *w = calloc((size_t)n, sizeof *w), *again = calloc((size_t)n, sizeof *w);
    sumi_layer_read(l, w);
    for (int64_t k = 0; k < n; k++) {
      const int64_t col = k % cols;
      assert_true((double)w[k] == element(l, k / cols, col / l->product.channels, col % l->product.channels));
      w[k] = (float)k / 64; /* exact in float16 */
    }
    const struct sumi_tensor before = *l->weight->constant;
    assert_int_equal(sumi_layer_write(l, w, NULL), SUMI_OK);
    sumi_layer_read(l, again);
    assert_memory_equal(w, again, (size_t)n * sizeof *w);
    assert_int_equal(l->weight->constant->dtype, before.dtype);
    assert_ptr_not_equal(l->weight->constant->data, before.data);
    const struct sumi_tensor *shared = sumi_graph_find_value(other, l->weight->name)->constant;
    assert_true(sumi_get_f64(shared->dtype, shared->data, 1) == sumi_get_f64(before.dtype, before.data, 1));
    free(w);
    free(again);
  }
  sumi_graph_free(other);
  lose(&f);
}

static void test_biases(void **state) {
  (void)state;
  struct found f = find();
  for (size_t i = 0; i < 3; i++) {
    struct sumi_layer *l = &f.layer[i];
    float b[7] = {0}, again[7];
    sumi_layer_read_bias(l, b);
    for (int64_t r = 0; r < l->product.rows; r++)
      assert_true((double)b[r] == sumi_get_f64(l->bias->constant->dtype, l->bias->constant->data, r));
    for (int64_t r = 0; r < l->product.rows; r++) b[r] = 3 - (float)r / 2;
    assert_int_equal(sumi_layer_write_bias(l, b, NULL), SUMI_OK);
    sumi_layer_read_bias(l, again);
    assert_memory_equal(b, again, (size_t)l->product.rows * sizeof *b);
  }
  lose(&f);
}

/* A bias is made where a node takes one and has none. */
static void test_new_bias(void **state) {
  (void)state;
  static const char text[] =
      "<opset_import: [\"\": 17]> g (float[1,1,2,2] x) => (y) <float[2,1,1,1] w = {1, 2}>"
      "{ y = Conv (x, w) }";
  struct sumi_arena arena;
  struct sumi_graph *g = NULL;
  struct sumi_layer *l;
  size_t n;
  float b[2] = {7, 7};
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_graph_parse(text, strlen(text), sumi_op_find, NULL, &g, NULL), SUMI_OK);
  assert_int_equal(sumi_layers_find(g, &arena, &l, &n, NULL), SUMI_OK);
  assert_true(n == 1 && !l->bias && sumi_layer_has_bias(l));
  sumi_layer_read_bias(l, b);
  assert_true(b[0] == 0 && b[1] == 0);
  assert_int_equal(sumi_layer_write_bias(l, (const float[]){4, -5}, NULL), SUMI_OK);
  sumi_layer_read_bias(l, b);
  assert_true(b[0] == 4 && b[1] == -5);
  assert_int_equal(g->node[0]->n_in, 3);
  assert_ptr_equal(g->node[0]->in[2], l->bias);
  sumi_graph_free(g);
  sumi_arena_fini(&arena);
}

/* A constant behind an LSTM is no bias of its gates, whatever its length. */
static void test_no_bias(void **state) {
  (void)state;
  static const char text[] =
      "<opset_import: [\"\": 17]> g (float[3,1,2] s) => (y) <float[1,4,2] w = {1, 2, 3, 4, 5, 6, 7, 8},"
      " float[1,4,1] r = {1, 2, 3, 4}, float[4] b = {1, 2, 3, 4}>"
      "{ h = LSTM <hidden_size = 1> (s, w, r) y = Add (h, b) }";
  struct sumi_arena arena;
  struct sumi_graph *g = NULL;
  struct sumi_layer *l;
  size_t n;
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_graph_parse(text, strlen(text), sumi_op_find, NULL, &g, NULL), SUMI_OK);
  assert_int_equal(sumi_layers_find(g, &arena, &l, &n, NULL), SUMI_OK);
  assert_int_equal(n, 2);
  assert_null(l[0].bias);
  sumi_graph_free(g);
  sumi_arena_fini(&arena);
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */

/* Samples of x [n, 4, 5, 6] and s [3, n, 5]. */
struct data {
  float x[N][120], s[N][15];
  float batch_x[N * 120], batch_s[N * 15];
  int64_t dims_x[4], dims_s[3];
  struct sumi_view view[2];
  struct sumi_samples samples;
};

static sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views,
                       size_t *n_views, struct sumi_err *err) {
  (void)err;
  struct data *d = user;
  for (size_t i = 0; i < count; i++) {
    memcpy(d->batch_x + i * 120, d->x[first + i], sizeof d->x[0]);
    for (size_t t = 0; t < 3; t++)
      memcpy(d->batch_s + (t * count + i) * 5, d->s[first + i] + t * 5, 5 * sizeof(float));
  }
  d->dims_x[0] = d->dims_s[1] = (int64_t)count;
  *views = d->view;
  *n_views = 2;
  return SUMI_OK;
}

static struct data *make_data(void) {
  struct data *d = calloc(1, sizeof *d);
  struct sumi_random random;
  sumi_random_init(&random, 9);
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < 120; k++) d->x[i][k] = (float)(sumi_random_normal(&random) * (1 + i));
    for (int k = 0; k < 15; k++) d->s[i][k] = (float)sumi_random_normal(&random);
  }
  const int64_t dims_x[] = {0, 4, 5, 6}, dims_s[] = {3, 0, 5};
  memcpy(d->dims_x, dims_x, sizeof dims_x);
  memcpy(d->dims_s, dims_s, sizeof dims_s);
  d->view[0] = (struct sumi_view){sizeof(struct sumi_view), "x", d->batch_x, SUMI_FLOAT32, 4, d->dims_x};
  d->view[1] = (struct sumi_view){sizeof(struct sumi_view), "s", d->batch_s, SUMI_FLOAT32, 3, d->dims_s};
  d->samples = (struct sumi_samples){sizeof d->samples, N, get, d};
  return d;
}

/* Columns of a layer's input, sample after sample; at most 256 columns of at most 128. */
struct columns {
  int n, cols;
  double x[256][128];
};

/* Convolution 3 x 3 over 5 x 6 pixels, strides 2 and 1, padding of one above, below and to the right. */
static void conv_columns(const struct data *d, int group, struct columns *out) {
  *out = (struct columns){.cols = 18};
  for (int i = 0; i < N; i++)
    for (int oy = 0; oy < 3; oy++)
      for (int ox = 0; ox < 5; ox++, out->n++)
        for (int ky = 0; ky < 3; ky++)
          for (int kx = 0; kx < 3; kx++)
            for (int c = 0; c < 2; c++) {
              const int y = oy * 2 + ky - 1, x = ox + kx;
              const bool inside = y >= 0 && y < 5 && x < 6;
              out->x[out->n][(ky * 3 + kx) * 2 + c] =
                  inside ? (double)d->x[i][((group * 2 + c) * 5 + y) * 6 + x] : 0;
            }
}

static sumi_status take_rows(void *user, size_t which, size_t first, size_t n, const struct sumi_tensor *t,
                             struct sumi_err *err) {
  (void)which, (void)first, (void)n, (void)err;
  struct columns *out = user;
  out->cols = (int)t->dim[t->rank - 1];
  for (int64_t i = 0; i < sumi_tensor_count(t); i++)
    out->x[out->n + (int)(i / out->cols)][i % out->cols] = sumi_get_f64(t->dtype, t->data, i);
  out->n += (int)(sumi_tensor_count(t) / out->cols);
  return SUMI_OK;
}

static void check_gram(const struct columns *x, const double *gram, const double *sum) {
  for (int r = 0; r < x->cols; r++) {
    double all = 0;
    for (int i = 0; i < x->n; i++) all += x->x[i][r];
    assert_true(fabs(all - sum[r]) <= 1e-4 * (1 + fabs(all)));
    for (int c = 0; c < x->cols; c++) {
      double want = 0, size = 0; /* float32 sums within a chunk: as accurate as their absolute terms */
      for (int i = 0; i < x->n; i++) {
        want += x->x[i][r] * x->x[i][c];
        size += fabs(x->x[i][r] * x->x[i][c]);
      }
      const double got = gram[r * x->cols + c];
      if (!(fabs(got - want) <= 1e-5 * size)) fail_msg("[%d, %d]: %g, not %g", r, c, got, want);
    }
  }
}

static void test_gram(void **state) {
  (void)state;
  struct found f = find();
  struct data *d = make_data();
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_layer_stats stats[5];
  struct columns *x = calloc(1, sizeof *x);
  const struct sumi_calibrate c = {.graph = f.g, .samples = &d->samples, .batch = 2};
  const sumi_status status = sumi_calibrate_layers(&c, f.layer, f.n, &f.arena, stats, &err);
  if (status == SUMI_E_UNSUPPORTED) skip();
  if (status != SUMI_OK) fail_msg("%s", err.text);
  for (int group = 0; group < 2; group++) {
    conv_columns(d, group, x);
    assert_int_equal(stats[0].samples, x->n);
    check_gram(x, stats[0].gram + (ptrdiff_t)group * 18 * 18, stats[0].sum + (ptrdiff_t)group * 18);
  }
  static const char *const inputs[] = {"f", "e", "s"};
  for (size_t i = 0; i < 3; i++) {
    memset(x, 0, sizeof *x);
    assert_int_equal(sumi_calibrate_visit(&c, 0, N, &inputs[i], 1, take_rows, x, NULL), SUMI_OK);
    assert_int_equal(stats[1 + i].samples, x->n);
    check_gram(x, stats[1 + i].gram, stats[1 + i].sum);
  }
  assert_null(stats[4].gram); /* the LSTM's own state */
  free(x);
  free(d);
  lose(&f);
}

/* Fewer columns than there are: evenly spread, the same in every run. */
static void test_some_columns(void **state) {
  (void)state;
  struct found f = find();
  struct data *d = make_data();
  struct sumi_layer_stats stats[1];
  struct columns *x = calloc(1, sizeof *x), *some = calloc(1, sizeof *some);
  const struct sumi_calibrate c = {.graph = f.g, .samples = &d->samples, .batch = N, .max_columns = 10};
  const sumi_status status = sumi_calibrate_layers(&c, f.layer, 1, &f.arena, stats, NULL);
  if (status == SUMI_E_UNSUPPORTED) skip();
  assert_int_equal(status, SUMI_OK);
  assert_int_equal(stats[0].samples, 10);
  conv_columns(d, 1, x);
  some->cols = x->cols;
  for (; some->n < 10; some->n++) memcpy(some->x[some->n], x->x[some->n * x->n / 10], sizeof x->x[0]);
  check_gram(some, stats[0].gram + 18 * 18, stats[0].sum + 18);
  free(some);
  free(x);
  free(d);
  lose(&f);
}

static void refused(float value) {
  struct found f = find();
  struct data *d = make_data();
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_layer_stats stats[5];
  const struct sumi_calibrate c = {.graph = f.g, .samples = &d->samples};
  d->x[3][17] = value;
  const sumi_status status = sumi_calibrate_layers(&c, f.layer, f.n, &f.arena, stats, &err);
  if (status == SUMI_E_UNSUPPORTED) skip();
  assert_int_equal(status, SUMI_E_VALUE);
  if (!strstr(err.text, "'conv'")) fail_msg("'%s' does not name the layer", err.text);
  free(d);
  lose(&f);
}

static void test_not_finite(void **state) {
  (void)state;
  refused(NAN);
  refused(INFINITY);
  refused(1e30F); /* finite, but its square is not */
}

static void test_ranges(void **state) {
  (void)state;
  static const char *const names[] = {"x", "c"};
  struct found f = find();
  struct data *d = make_data();
  struct sumi_range_stats *stats = calloc(2, sizeof *stats);
  const struct sumi_calibrate c = {.graph = f.g, .samples = &d->samples, .batch = 1};
  d->x[2][5] = NAN;
  assert_int_equal(sumi_calibrate_values(&c, names, 2, stats, NULL), SUMI_OK);
  double low = INFINITY, high = -INFINITY, sum = 0, squares = 0;
  uint64_t *bin = calloc(SUMI_HISTOGRAM_BINS, sizeof *bin), in_bins = 0;
  for (int i = 0; i < N * 120; i++) {
    const double x = (double)d->x[i / 120][i % 120];
    if (isnan(x)) continue;
    low = SUMI_MIN(low, x);
    high = SUMI_MAX(high, x);
    sum += x;
    squares += x * x;
    bin[(int)floor((x / stats->edge + 1) * (SUMI_HISTOGRAM_BINS / 2.0))]++;
  }
  assert_true(stats->low == low && stats->high == high);
  assert_true(fabs(stats->sum - sum) < 1e-9 && fabs(stats->squares - squares) < 1e-9 * squares);
  assert_true(stats->edge > SUMI_MAX(-low, high));
  assert_int_equal(stats->count, N * 120 - 1);
  assert_int_equal(stats->not_finite, 1);
  assert_memory_equal(stats->bin, bin, sizeof stats->bin);
  for (int i = 0; i < SUMI_HISTOGRAM_BINS; i++) in_bins += stats[1].bin[i];
  assert_int_equal(in_bins, stats[1].count);
  assert_int_equal(stats[1].count + stats[1].not_finite, N * 90);
  free(bin);
  free(stats);
  free(d);
  lose(&f);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static sumi_status work(const struct sumi_allocator *a) {
  struct sumi_arena arena;
  struct sumi_layer *l;
  size_t n;
  struct sumi_graph *g = make_graph(a);
  if (!g) return SUMI_E_MEMORY;
  sumi_arena_init(&arena, a);
  float w[630] = {0};
  sumi_status status = sumi_layers_find(g, &arena, &l, &n, NULL);
  for (size_t i = 0; status == SUMI_OK && i < n; i++) {
    status = sumi_layer_write(&l[i], w, NULL);
    if (status == SUMI_OK && sumi_layer_has_bias(&l[i])) status = sumi_layer_write_bias(&l[i], w, NULL);
  }
  struct data *d = make_data();
  const char *const names[] = {"c"};
  struct sumi_range_stats *stats = calloc(1, sizeof *stats);
  const struct sumi_calibrate c = {.graph = g, .samples = &d->samples};
  if (status == SUMI_OK) status = sumi_calibrate_values(&c, names, 1, stats, NULL);
  struct sumi_layer_stats layer_stats[5];
  if (status == SUMI_OK) status = sumi_calibrate_layers(&c, l, n, &arena, layer_stats, NULL);
  free(stats);
  free(d);
  sumi_graph_free(g);
  sumi_arena_fini(&arena);
  return status == SUMI_E_UNSUPPORTED ? SUMI_OK : status;
}

static void test_memory(void **state) {
  (void)state;
  /* late ones are the executor's, which has tests of its own */
  const char *why = sumi_test_each_failure(work, 7);
  if (why) fail_msg("%s", why);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_found),    cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_biases),
      cmocka_unit_test(test_new_bias), cmocka_unit_test(test_no_bias),      cmocka_unit_test(test_gram),
      cmocka_unit_test(test_ranges),   cmocka_unit_test(test_some_columns), cmocka_unit_test(test_not_finite),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
