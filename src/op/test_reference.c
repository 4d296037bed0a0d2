/* Numbers of the standard's reference implementation (onnx.reference) and of ONNX Runtime for what the standard's backend
 * tests leave out, and values that a hostile tensor could hold. */
#include "op/test_probe.h"

static void string_attr(struct probe *p, const char *name, const char *value) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_STRING, .n = 1, .u.s = {value, strlen(value)}};
}

/* ONNX Runtime's MaxRoiPool: corners that round, a region upside down, bins outside the image. */
static void test_max_roi_pool(void **state) {
  (void)state;
  static const int64_t pooled[] = {2, 3};
  static const float want[48] = {
      1.875f,  1.875f,  1.8125f,  1.4375f,  1.25f,    1.8125f,  1.875f,   1.8125f, 1.625f,  1.25f,
      1.8125f, 1.75f,   0,        1.375f,   1.8125f,  0,        0,        0,       0,       1.8125f,
      1.625f,  0,       0,        0,        0,        0,        0,        0,       0,       0,
      0,       0,       0,        0,        0,        0,        -1.125f,  -1.125f, -1.125f, -1.125f,
      -1.125f, -1.125f, -1.3125f, -1.3125f, -1.3125f, -1.3125f, -1.3125f, -1.3125f};
  float rois[] = {0, 2, 1, 13, 9, 1, -5, 3, 4, 40, 0, 30, 30, 33, 33, 1, 7, 7, 3, 3};
  struct probe p;
  probe_init(&p, "MaxRoiPool");
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 252, 1), 4, 2, 2, 7, 9);
  probe_in(&p, SUMI_FLOAT32, rois, 2, 4, 5);
  probe_ints(&p, "pooled_shape", pooled, 2);
  probe_float(&p, "spatial_scale", 0.5f);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 48, 0);
  rois[1] = NAN, rois[3] = INFINITY, rois[7] = -INFINITY, rois[8] = 3e38f; /* some result, no crash */
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  rois[0] = 2; /* there are images 0 and 1 */
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  rois[0] = NAN;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  probe_fini(&p);
}

static void test_swiglu(void **state) {
  (void)state;
  static const float want[] = {-0.0463442951f, -1.43075538f, -0.0114015955f, 1.17585528f,
                               0.0213970952f,  0.757892489f, 0.0484667756f,  0.432086468f};
  struct probe p;
  probe_init(&p, "SwiGLU");
  struct sumi_tensor *a = probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, 1), 1, 8);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, 2), 1, 8);
  probe_float(&p, "alpha", 1.5f);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 8, 4e-7); /* a sigmoid in float32 */
  a->dim[0] = p.info[0].dim[0] = 1;   /* nothing is broadcast */
  assert_int_equal(probe_run(&p, 1), SUMI_E_SHAPE);
  probe_fini(&p);
}

static void test_losses(void **state) {
  (void)state;
  static const char *const ops[] = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"};
  static const float none[2][6] = {{0.40625f, 0.4375f, -0.625f, -2.625f, 1.375f, 0},
                                   {1.127841f, 0.826818645f, 0.630681992f, 2.23954916f, 5.63636398f, 0}},
                     mean[2] = {-0.179347828f, 1.81934869f};
  const float weight[] = {0.5f, 1, 2, 0.25f};
  for (int i = 0; i < 2; i++) {
    int64_t target[] = {0, 3, 1, 2, 2, -5};
    struct probe p;
    probe_init(&p, ops[i]);
    probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 24, 1), 3, 2, 4, 3);
    probe_in(&p, SUMI_INT64, target, 2, 2, 3);
    probe_in(&p, SUMI_FLOAT32, weight, 1, 4);
    probe_int(&p, "ignore_index", -5);
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    probe_expect(&p, 0, &mean[i], 1, 1e-6);
    string_attr(&p, "reduction", "none");
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    probe_expect(&p, 0, none[i], 6, 1e-6);
    target[5] = 4;
    assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
    target[5] = INT64_MIN;
    assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
    probe_fini(&p);
  }
}

static void test_affine_grid_of_one_row(void **state) {
  (void)state;
  static const float want[] = {0.5f, -1.125f, 1.8125f, -2, 3.125f, -2.875f};
  int64_t size[] = {1, 2, 1, 3};
  struct probe p;
  probe_init(&p, "AffineGrid");
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 6, 3), 3, 1, 2, 3);
  probe_in(&p, SUMI_INT64, size, 1, 4);
  p.info[1].data = &p.in[1];
  probe_int(&p, "align_corners", 1);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 6, 1e-6);
  size[0] = 2;
  assert_int_equal(probe_run(&p, 1), SUMI_E_SHAPE);
  size[0] = 1, size[3] = -3;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  probe_fini(&p);
}

/* A node whose inputs are known scalars. */
static void scalars(struct probe *p, const char *op, int n_int, const int64_t *ints, const float *floats) {
  probe_init(p, op);
  for (int i = 0; i < (n_int == 1 ? 1 : 5); i++) {
    probe_in(p, i < n_int ? SUMI_INT64 : SUMI_FLOAT32,
             i < n_int ? (const void *)&ints[i] : (const void *)&floats[i - n_int], 0);
    p->info[i].data = &p->in[i];
  }
}

static void test_windows(void **state) {
  (void)state;
  static const float cut[] = {0, 0, 0, 0, 1, 0, 0, 0}, ends[] = {0, 0.5f, 1, 0.5f, 0}, one[] = {0};
  int64_t n = 8;
  struct probe p;
  scalars(&p, "HannWindow", 1, &n, NULL);
  probe_int(&p, "output_datatype", 6);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  assert_int_equal(p.out[0].dtype, SUMI_INT32);
  probe_expect(&p, 0, cut, 8, 0);
  p.node.n_attr = 0;
  probe_int(&p, "periodic", 0);
  n = 5;
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, ends, 5, 1e-7);
  n = 1;
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, one, 1, 0);
  n = -1;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  probe_fini(&p);
}

static void test_mel(void **state) {
  (void)state;
  float want[36] = {0};
  want[0] = want[5] = want[10] = want[15] = 1, want[19] = 0.5f;
  int64_t ints[] = {4, 16, 8192};
  float edges[] = {0, 4096};
  struct probe p;
  scalars(&p, "MelWeightMatrix", 3, ints, edges);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 36, 0);
  static const float wrong[][2] = {{0, 40960}, {-300, 100}, {NAN, 1}, {0, INFINITY}, {-1000, 1}};
  for (size_t i = 0; i < SUMI_COUNT(wrong); i++) {
    memcpy(edges, wrong[i], sizeof edges);
    assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  }
  ints[2] = 0;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  probe_fini(&p);
}

static void test_tensor_scatter(void **state) {
  (void)state;
  static const float want[] = {0.0625f, 1,       -1,       0.8125f, 0.25f,  -1.75f,
                               -0.125f, 1.6875f, -1.5625f, 0.25f,   -1.75f, 1.875f};
  int64_t at[] = {4, -1};
  struct probe p;
  probe_init(&p, "TensorScatter");
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 12, 1), 3, 2, 6, 1);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 6, 2), 3, 2, 3, 1);
  probe_in(&p, SUMI_INT64, at, 1, 2);
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE); /* linear: 4 + 3 > 6 */
  at[0] = 3;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE); /* linear: -1 */
  at[1] = INT64_MAX;
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  at[0] = 4, at[1] = -1;
  string_attr(&p, "mode", "circular");
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 12, 0);
  at[0] = 4 - 6 * (INT64_MAX / 6), at[1] = 5 + 6 * (INT64_MAX / 12); /* the same places, far away */
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, 12, 0);
  probe_fini(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_max_roi_pool),   cmocka_unit_test(test_swiglu),
      cmocka_unit_test(test_losses),         cmocka_unit_test(test_affine_grid_of_one_row),
      cmocka_unit_test(test_windows),        cmocka_unit_test(test_mel),
      cmocka_unit_test(test_tensor_scatter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
