/* Sessions on graphs built by hand: results, staging of strided inputs, plans per shape, no allocation while running,
 * nodes whose shapes depend on data, and every allocation failing in turn. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/float_mode.h"
#include "base/mem_test.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

static struct sumi_info info_of(sumi_dtype dtype, int rank, const sumi_dim *dim) {
  struct sumi_info info = {.dtype = dtype, .rank = rank};
  for (int i = 0; i < rank; i++) info.dim[i] = dim[i];
  return info;
}

static struct sumi_value *add(struct sumi_graph *g, const struct sumi_op *op, struct sumi_value *a,
                              struct sumi_value *b, const char *out) {
  struct sumi_value *in[] = {a, b}, *y = sumi_graph_add_value(g, out);
  if (!y || !sumi_graph_add_node(g, NULL, op, op->name, SUMI_NEWEST_OPSET, in, b ? 2 : 1, &y, 1)) return NULL;
  return y;
}

/* y = Softmax(Transpose(x) * w): x is [n, 4], w is [n] ... all shapes follow from x. */
static struct sumi_graph *static_graph(const struct sumi_allocator *a) {
  struct sumi_graph *g = sumi_graph_new(a, "g");
  if (!g) return NULL;
  const struct sumi_info x_info =
      info_of(SUMI_FLOAT32, 2, (const sumi_dim[]){sumi_dim_symbol(g->symbols, "n"), 4});
  struct sumi_value *x = sumi_graph_add_input(g, "x", &x_info), *v = x;
  for (int i = 0; v && i < 6; i++)
    v = add(g, i % 2 ? &sumi_op_softmax : &sumi_op_transpose, v, NULL, i == 5 ? "y" : NULL);
  if (!v || !sumi_graph_add_output(g, v) || sumi_pass_infer(g, NULL, NULL, NULL) != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return g;
}

static sumi_status open_session(const struct sumi_allocator *a,
                                struct sumi_graph *(*make)(const struct sumi_allocator *), const char *device,
                                struct sumi_model **model, struct sumi_session **session,
                                struct sumi_err *err) {
  *model = NULL;
  *session = NULL;
  struct sumi_graph *g = make(a);
  if (!g) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_model_new(a, g, model, err));
  const struct sumi_session_options o = {.size = sizeof o, .device = device};
  return sumi_session_init(*model, &o, session, err);
}

static struct sumi_view input(float *data, const int64_t *dims, const int64_t *strides) {
  return (struct sumi_view){.size = sizeof(struct sumi_view),
                            .name = "x",
                            .data = data,
                            .dtype = SUMI_FLOAT32,
                            .rank = 2,
                            .dims = dims,
                            .strides = strides};
}

static void results_and_shapes(void **state) {
  (void)state;
  static const char *const devices[] = {"ref", "cpu", "audit"};
  for (size_t d = 0; d < 3; d++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    assert_int_equal(open_session(sumi_allocator_default(), static_graph, devices[d], &model, &s, &err),
                     SUMI_OK);
    for (int round = 0; round < 3; round++)
      for (int64_t n = 1; n < 9; n++) { /* more shapes than plans are kept */
        float x[36], total = 0;
        const int64_t dims[] = {n, 4};
        for (int i = 0; i < 4 * n; i++) x[i] = (float)(i * 7 % 5);
        const struct sumi_view in = input(x, dims, NULL);
        struct sumi_view out = {.size = sizeof out, .name = "y"};
        assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), SUMI_OK);
        assert_int_equal(out.rank, 2);
        assert_int_equal(out.dims[0], 4);
        assert_int_equal(out.dims[1], n);
        for (int i = 0; i < 4 * n; i++) total += ((const float *)out.data)[i];
        assert_true(total > 3.999f && total < 4.001f); /* each of the 4 rows sums to 1 */
      }
    assert_true(s->is_static);
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

/* y = op(x), x [2, 4]. */
static struct sumi_graph *unary_graph(const struct sumi_allocator *a, const struct sumi_op *op) {
  struct sumi_graph *g = sumi_graph_new(a, "g");
  if (!g) return NULL;
  const struct sumi_info info = info_of(SUMI_FLOAT32, 2, (const sumi_dim[]){2, 4});
  struct sumi_value *y = add(g, op, sumi_graph_add_input(g, "x", &info), NULL, "y");
  if (y && sumi_graph_add_output(g, y) && sumi_pass_infer(g, NULL, NULL, NULL) == SUMI_OK) return g;
  sumi_graph_free(g);
  return NULL;
}

static struct sumi_graph *random_graph(const struct sumi_allocator *a) {
  return unary_graph(a, &sumi_op_random_uniform_like);
}

/* Without a seed no two runs, and no two sessions, draw the same. */
static void random_numbers_differ(void **state) {
  (void)state;
  float x[8] = {0}, drawn[4][8];
  static const int64_t dims[] = {2, 4};
  const struct sumi_view in = input(x, dims, NULL);
  for (int k = 0; k < 2; k++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    assert_int_equal(open_session(sumi_allocator_default(), random_graph, "cpu", &model, &s, &err), SUMI_OK);
    for (int run = 0; run < 2; run++) {
      struct sumi_view out = {.size = sizeof out, .name = "y"};
      assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), SUMI_OK);
      memcpy(drawn[2 * k + run], out.data, sizeof drawn[0]);
    }
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < i; k++) assert_memory_not_equal(drawn[i], drawn[k], sizeof drawn[0]);
}

/* y = (x * x) * x */
static struct sumi_graph *cube_graph(const struct sumi_allocator *a) {
  struct sumi_graph *g = sumi_graph_new(a, "g");
  if (!g) return NULL;
  const struct sumi_info x_info = info_of(SUMI_FLOAT32, 2, (const sumi_dim[]){1, 4});
  struct sumi_value *x = sumi_graph_add_input(g, "x", &x_info), *v = x;
  for (int i = 0; v && i < 2; i++) v = add(g, &sumi_op_mul, v, x, i ? "y" : NULL);
  if (!v || !sumi_graph_add_output(g, v) || sumi_pass_infer(g, NULL, NULL, NULL) != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return g;
}

/* Device cpu takes subnormal numbers as zero where the processor can, ref keeps them; the caller's mode stays. */
static void subnormal_numbers(void **state) {
  (void)state;
  const uint64_t mode = sumi_float_mode();
  const bool can = sumi_float_mode_flushing(mode) != mode;
  for (int d = 0; d < 2; d++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    assert_int_equal(open_session(sumi_allocator_default(), cube_graph, d ? "cpu" : "ref", &model, &s, &err),
                     SUMI_OK);
    float x[4] = {1e-13f, -1e-13f, 1e-3f, 2};
    const int64_t dims[] = {1, 4};
    const struct sumi_view in = input(x, dims, NULL);
    struct sumi_view out = {.size = sizeof out, .name = "y"};
    assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), SUMI_OK);
    const float *y = out.data;
    assert_int_equal(y[0] == 0 && y[1] == 0, d && can);
    assert_true(y[2] > 0.99e-9f && y[3] == 8);
    volatile float least = FLT_MIN;
    least = least / 2;
    assert_true(least != 0);
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

static void strided_and_wrong_inputs(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  struct sumi_session *s;
  assert_int_equal(open_session(sumi_allocator_default(), static_graph, "cpu", &model, &s, &err), SUMI_OK);
  float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, t[8], plain[8];
  const int64_t dims[] = {2, 4}, transposed[] = {1, 2};
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 4; k++) t[k * 2 + i] = x[i * 4 + k];
  struct sumi_view a = input(x, dims, NULL), b = input(t, dims, transposed),
                   out = {.size = sizeof out, .name = "y"};
  assert_int_equal(sumi_session_execute(s, &a, 1, &out, 1, &err), SUMI_OK);
  memcpy(plain, out.data, sizeof plain);
  out = (struct sumi_view){.size = sizeof out, .name = "y"};
  assert_int_equal(sumi_session_execute(s, &b, 1, &out, 1, &err), SUMI_OK);
  assert_memory_equal(plain, out.data, sizeof plain);
  const int64_t wrong[] = {2, 5};
  struct sumi_view bad = input(x, wrong, NULL);
  assert_int_equal(sumi_session_execute(s, &bad, 1, &out, 1, &err), SUMI_E_SHAPE);
  assert_non_null(strstr(err.text, "'x'"));
  sumi_err_clear(&err);
  assert_int_equal(sumi_session_execute(s, NULL, 0, &out, 1, &err), SUMI_E_ARG);
  sumi_err_clear(&err);
  bad = a;
  bad.dtype = SUMI_INT32;
  assert_int_equal(sumi_session_execute(s, &bad, 1, &out, 1, &err), SUMI_E_TYPE);
  sumi_err_clear(&err);
  bad = a;
  bad.data = NULL;
  assert_int_equal(sumi_session_execute(s, &bad, 1, &out, 1, &err), SUMI_E_ARG);
  sumi_err_clear(&err);
  assert_int_equal(sumi_session_execute(s, &a, 1, &out, 1, &err), SUMI_OK); /* usable after failures */
  sumi_session_fini(s);
  sumi_model_unref(model);
}

/* y = GatherElements(x, x as integers) along axis 0. */
static struct sumi_graph *gather_graph(const struct sumi_allocator *a) {
  struct sumi_graph *g = sumi_graph_new(a, "g");
  if (!g) return NULL;
  const struct sumi_info info = info_of(SUMI_FLOAT32, 2, (const sumi_dim[]){3, 4});
  struct sumi_value *x = sumi_graph_add_input(g, "x", &info), *index = sumi_graph_add_value(g, "index"),
                    *y = NULL;
  struct sumi_node *cast =
      sumi_graph_add_node(g, NULL, &sumi_op_cast, "Cast", SUMI_NEWEST_OPSET, &x, 1, &index, 1);
  if (cast && sumi_node_set_int(cast, "to", 7, NULL) == SUMI_OK)
    y = add(g, &sumi_op_gather_elements, x, index, "y");
  if (y && sumi_graph_add_output(g, y) && sumi_pass_infer(g, NULL, NULL, NULL) == SUMI_OK) return g;
  sumi_graph_free(g);
  return NULL;
}

/* An index that is outside is refused by every device, and the session goes on. */
static void indices_are_checked(void **state) {
  (void)state;
  static const char *const devices[] = {"ref", "cpu", "audit"};
  for (size_t d = 0; d < 3; d++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    assert_int_equal(open_session(sumi_allocator_default(), gather_graph, devices[d], &model, &s, &err),
                     SUMI_OK);
    for (int round = -4; round < 4; round++) {
      const float bad = (float)round;
      float x[12] = {0, 1, 2, 2, 1, -1, bad, 0, -3, 0, 0, 0};
      const struct sumi_view in = input(x, (const int64_t[]){3, 4}, NULL);
      struct sumi_view out = {.size = sizeof out, .name = "y"};
      const bool fits = round >= -3 && round < 3;
      assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), fits ? SUMI_OK : SUMI_E_VALUE);
      if (fits) assert_true(((const float *)out.data)[6] == x[4 * ((round + 3) % 3) + 2]);
      if (!fits) assert_non_null(strstr(err.text, "is outside [-3, 3)"));
      sumi_err_clear(&err);
    }
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

static struct sumi_graph *sine_graph(const struct sumi_allocator *a) { return unary_graph(a, &sumi_op_sin); }

/* Angles beyond those that kernels take, and what is no angle. */
static void far_angles(void **state) {
  (void)state;
  static const char *const devices[] = {"ref", "cpu", "audit"};
  for (size_t d = 0; d < 3; d++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    assert_int_equal(open_session(sumi_allocator_default(), sine_graph, devices[d], &model, &s, &err),
                     SUMI_OK);
    float x[8] = {0.5f, -2, 3e6f, -1e30f, INFINITY, NAN, 0, 1e6f};
    const struct sumi_view in = input(x, (const int64_t[]){2, 4}, NULL);
    struct sumi_view out = {.size = sizeof out, .name = "y"};
    for (int round = 0; round < 2; round++, x[2] = x[3] = x[4] = x[5] = 1) {
      assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), SUMI_OK);
      for (int i = 0; i < 8; i++) {
        const float got = ((const float *)out.data)[i], want = sinf(x[i]);
        assert_true(fabsf(got - want) <= 2e-7f || (isnan(got) && isnan(want)));
      }
    }
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

static struct sumi_value *scalar(struct sumi_graph *g, float x) {
  struct sumi_blob *blob = sumi_blob_new(g->allocator, sizeof x);
  if (!blob) return NULL;
  memcpy(sumi_blob_bytes(blob), &x, sizeof x);
  const struct sumi_tensor t = {.dtype = SUMI_FLOAT32, .data = sumi_blob_bytes(blob)};
  return sumi_graph_add_constant(g, NULL, &t, blob);
}

/* y = softmax(0, 1, ... up to the sum of x): its length is known only while running. */
static struct sumi_graph *dynamic_graph(const struct sumi_allocator *a) {
  struct sumi_graph *g = sumi_graph_new(a, "g");
  if (!g) return NULL;
  const struct sumi_info x_info =
      info_of(SUMI_FLOAT32, 2, (const sumi_dim[]){sumi_dim_symbol(g->symbols, "n"), 4});
  struct sumi_value *x = sumi_graph_add_input(g, "x", &x_info), *v = NULL;
  struct sumi_value *total = sumi_graph_add_value(g, "total"), *in[] = {scalar(g, 0), total, scalar(g, 1)},
                    *range = sumi_graph_add_value(g, "range");
  struct sumi_node *sum = NULL;
  if (x && total && range && in[0] && in[2])
    sum = sumi_graph_add_node(g, NULL, &sumi_op_reduce_sum, "ReduceSum", SUMI_NEWEST_OPSET, &x, 1, &total, 1);
  if (sum && sumi_node_set_int(sum, "keepdims", 0, NULL) == SUMI_OK &&
      sumi_graph_add_node(g, NULL, &sumi_op_range, "Range", SUMI_NEWEST_OPSET, in, 3, &range, 1))
    v = add(g, &sumi_op_softmax, range, NULL, "y");
  if (!v || !sumi_graph_add_output(g, v) || sumi_pass_infer(g, NULL, NULL, NULL) != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return g;
}

static void shapes_that_depend_on_data(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  struct sumi_session *s;
  assert_int_equal(open_session(sumi_allocator_default(), dynamic_graph, "audit", &model, &s, &err), SUMI_OK);
  for (int round = 0; round < 40; round++) {
    float x[8], total = 0;
    const int64_t dims[] = {2, 4};
    const int want = round % 8;
    for (int i = 0; i < 8; i++) x[i] = i < want;
    const struct sumi_view in = input(x, dims, NULL);
    struct sumi_view out = {.size = sizeof out, .name = "y"};
    assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), SUMI_OK);
    assert_int_equal(out.rank, 1);
    assert_int_equal(out.dims[0], want);
    for (int i = 0; i < want; i++) total += ((const float *)out.data)[i];
    assert_true(want == 0 || (total > 0.999f && total < 1.001f));
  }
  assert_false(s->is_static);
  sumi_session_fini(s);
  sumi_model_unref(model);
}

static void nothing_is_allocated_while_running(void **state) {
  (void)state;
  static const char *const devices[] = {"ref", "cpu"};
  for (size_t d = 0; d < 2; d++) {
    struct sumi_test_heap heap;
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    struct sumi_stage *stage;
    assert_int_equal(open_session(sumi_test_heap_init(&heap), static_graph, devices[d], &model, &s, &err),
                     SUMI_OK);
    float x[12] = {1, 2, 3};
    const int64_t dims[] = {3, 4};
    struct sumi_view in = input(NULL, dims, NULL), out = {.size = sizeof out, .name = "y"};
    assert_int_equal(sumi_session_plan(s, &in, 1, &stage, &err), SUMI_OK);
    in.data = x;
    const long calls = heap.calls;
    for (int i = 0; i < 5; i++) {
      out.data = NULL;
      assert_int_equal(sumi_session_execute(s, &in, 1, &out, 1, &err), SUMI_OK);
    }
    assert_int_equal(heap.calls, calls);
    sumi_session_fini(s);
    sumi_model_unref(model);
    assert_int_equal(heap.blocks, 0);
  }
}

static void every_allocation_fails_in_turn(void **state) {
  (void)state;
  struct sumi_graph *(*const graphs[])(const struct sumi_allocator *) = {static_graph, dynamic_graph};
  for (size_t k = 0; k < 2; k++) {
    struct sumi_test_heap heap;
    const struct sumi_allocator *a = sumi_test_heap_init(&heap);
    for (long n = 0;; n++) {
      struct sumi_err err = SUMI_ERR_INIT;
      struct sumi_model *model;
      struct sumi_session *s;
      float x[8] = {1, 2, 3};
      const int64_t dims[] = {2, 4};
      const struct sumi_view in = input(x, dims, NULL);
      struct sumi_view out = {.size = sizeof out, .name = "y"};
      sumi_test_heap_fail(&heap, n);
      sumi_status status = open_session(a, graphs[k], "cpu", &model, &s, &err);
      if (status == SUMI_OK) status = sumi_session_execute(s, &in, 1, &out, 1, &err);
      if (status == SUMI_OK) status = sumi_session_execute(s, &in, 1, &out, 1, &err);
      sumi_session_fini(s);
      sumi_model_unref(model);
      assert_int_equal(heap.blocks, 0);
      if (!heap.failed) {
        assert_int_equal(status, SUMI_OK);
        assert_true(n > 20);
        break;
      }
      assert_true(status == SUMI_E_MEMORY ||
                  status == SUMI_OK); /* a symbol that cannot be made is only unknown */
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(results_and_shapes),
                                     cmocka_unit_test(random_numbers_differ),
                                     cmocka_unit_test(subnormal_numbers),
                                     cmocka_unit_test(strided_and_wrong_inputs),
                                     cmocka_unit_test(indices_are_checked),
                                     cmocka_unit_test(far_angles),
                                     cmocka_unit_test(shapes_that_depend_on_data),
                                     cmocka_unit_test(nothing_is_allocated_while_running),
                                     cmocka_unit_test(every_allocation_fails_in_turn)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
