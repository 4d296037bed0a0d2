/* Outputs that lie over a residual which dies: where that is, that it is nowhere else, and that results stay. */
#include <math.h>

#include "exec/test_model.h"

enum { CHANNELS = 16, SIDE = 12, COUNT = CHANNELS * SIDE * SIDE };

/* y on a device into y [COUNT]; returns how many values share memory of another that is computed, too. */
static int run_on(struct sumi_model *model, const char *device, float *y) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *s = NULL;
  const struct sumi_session_options options = {.size = sizeof options, .device = device};
  if (sumi_session_init(model, &options, &s, &err) != SUMI_OK) fail_msg("%s", err.text);
  float x[COUNT];
  for (int i = 0; i < COUNT; i++) x[i] = (float)((i * 37 + i / 7 * 11) % 101) / 50 - 1;
  const int64_t dims[] = {1, CHANNELS, SIDE, SIDE};
  const struct sumi_view in = {
      .size = sizeof in, .name = "x", .data = x, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  struct sumi_view out = {.size = sizeof out, .name = "y"};
  if (sumi_session_execute(s, &in, 1, &out, 1, &err) != SUMI_OK) fail_msg("%s", err.text);
  memcpy(y, out.data, COUNT * sizeof *y);
  int shared = 0;
  const struct sumi_plan *plan = &s->execs->stages->plan;
  for (size_t i = 0; i < plan->n_buffer; i++)
    shared += plan->buffer[i].kind == SUMI_BUFFER_ARENA && plan->buffer[i].root != (int)i;
  sumi_session_fini(s);
  return shared;
}

static void check(const char *text, int shared) {
  static float got[COUNT], want[COUNT];
  struct sumi_model *model = model_of(text);
  run_on(model, "ref", want);
  assert_int_equal(run_on(model, "cpu", got), shared);
  for (int i = 0; i < COUNT; i++)
    if (fabsf(got[i] - want[i]) > 1e-4f * (1 + fabsf(want[i])))
      fail_msg("%s: element %d is %g, not %g", text, i, (double)got[i], (double)want[i]);
  sumi_model_unref(model);
}

#define CONV "Conv <pads = [1, 1, 1, 1]>"
#define ADDS "com.microsoft.FusedConv <pads = [1, 1, 1, 1], activation = \"Relu\">"
#define GRAPH(body)                                                                            \
  "g (float[1,16,12,12] x) => (y) { shape = Constant <value_ints = [16, 16, 3, 3]> () "        \
  "w = ConstantOfShape <value = float[1] {0.03}> (shape) n = Constant <value_float = 0.1> () " \
  "zero = Constant <value_ints = [16]> () b = ConstantOfShape <value = float[1] {-0.2}> (zero) " body " }"

static void float_residuals(void **state) {
  (void)state;
  check(
      GRAPH("p = " CONV " (x, w, b) q = " CONV " (p, w, b) r = " ADDS " (q, w, b, p) y = " CONV " (r, w, b)"),
      1);
  /* it is read again, and the second reader's output lies over it */
  check(GRAPH("p = " CONV " (x, w, b) q = " CONV " (p, w, b) r = " ADDS " (q, w, b, p) y = " ADDS
              " (r, w, b, p)"),
        1);
  /* the residual is the input, is what the convolution reads */
  check(GRAPH("p = " CONV " (x, w, b) r = " ADDS " (p, w, b, x) y = " CONV " (r, w, b)"), 0);
  check(GRAPH("p = " CONV " (x, w, b) r = " ADDS " (p, w, b, p) y = " CONV " (r, w, b)"), 0);
}

/* A convolution that the kernels refuse, late, is the reference function's: it may write before it reads. */
static void refused_residuals(void **state) {
  (void)state;
  check(
      "g (float[1,16,12,12] x) => (y) { s5 = Constant <value_ints = [1, 8, 2, 12, 12]> () "
      "s4 = Constant <value_ints = [1, 16, 12, 12]> () s1 = Constant <value_ints = [8, 8, 1, 1, 1]> () "
      "sw = Constant <value_ints = [8, 8, 1, 1, 33]> () sb = Constant <value_ints = [8]> () "
      "u = ConstantOfShape <value = float[1] {0.1}> (s1) w = ConstantOfShape <value = float[1] {0.02}> (sw) "
      "b = ConstantOfShape <value = float[1] {-0.2}> (sb) x5 = Reshape (x, s5) p = Conv (x5, u, b) "
      "q = Conv (p, u, b) r = com.microsoft.FusedConv <activation = \"Relu\", strides = [1, 1, 33], "
      "pads = [0, 0, 192, 0, 0, 192]> (q, w, b, p) t = Conv (r, u, b) y = Reshape (t, s4) }",
      2); /* x5 and y are views */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(float_residuals), cmocka_unit_test(refused_residuals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
