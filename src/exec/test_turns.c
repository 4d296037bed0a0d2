/* Steps by planes in turn: where that is, what memory it leaves out, and that results stay, whatever the number of
 * threads. */
#include <math.h>

#include "exec/test_model.h"

enum { INPUTS = 16, PLANES = 36, SIDE = 96, PIXELS = SIDE * SIDE, PLANE_BYTES = PIXELS * sizeof(float) };
enum { UNIT = 8 }; /* rows that the kernels sum at once: the least turn of planes this large */

struct result {
  float *y;
  size_t count;
  int turns; /* steps that take turns with the next */
};

static struct result run_on(struct sumi_model *model, const char *device, int threads) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *s = NULL;
  const struct sumi_session_options options = {
      .size = sizeof options, .device = device, .threads = threads, .profile = true};
  if (sumi_session_init(model, &options, &s, &err) != SUMI_OK) fail_msg("%s", err.text);
  float *x = malloc(INPUTS * PLANE_BYTES);
  assert_non_null(x);
  for (int i = 0; i < INPUTS * PIXELS; i++) x[i] = (float)((i * 37 + i / 7 * 11) % 101) / 50 - 1;
  const int64_t dims[] = {1, INPUTS, SIDE, SIDE};
  const struct sumi_view in = {
      .size = sizeof in, .name = "x", .data = x, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  struct sumi_view out = {.size = sizeof out, .name = "y"};
  if (sumi_session_execute(s, &in, 1, &out, 1, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_plan *plan = &s->execs->stages->plan;
  struct result r = {.count = 1};
  for (int i = 0; i < out.rank; i++) r.count *= (size_t)out.dims[i];
  r.y = malloc(r.count * sizeof *r.y);
  assert_non_null(r.y);
  memcpy(r.y, out.data, r.count * sizeof *r.y);
  for (size_t i = 0; i < plan->n_step; i++) {
    const struct sumi_step *step = &plan->step[i];
    if (!step->turn) continue;
    r.turns++;
    assert_int_equal(step->turn % 4, 0); /* blocks of 8 rows, lists of 4 */
    assert_true(step->turn <= UNIT);
    assert_int_equal(plan->buffer[step->writes[0]].bytes, threads * step->turn * PLANE_BYTES);
  }
  free(x);
  sumi_session_fini(s);
  return r;
}

/* turns: steps in turn with up to two threads; of three: with three, which may have too few turns each. */
static void check(const char *text, int turns, int of_three) {
  struct sumi_model *model = model_of(text);
  const struct result want = run_on(model, "ref", 1), one = run_on(model, "cpu", 1);
  for (int threads = 1; threads <= 3; threads++) {
    const struct result got = run_on(model, "cpu", threads);
    if (got.turns != (threads < 3 ? turns : of_three))
      fail_msg("%s: %d turns, %d threads", text, got.turns, threads);
    assert_int_equal(got.count, want.count);
    assert_memory_equal(got.y, one.y, got.count * sizeof *got.y);
    for (size_t i = 0; i < got.count; i++)
      if (fabsf(got.y[i] - want.y[i]) > 1e-4f * (1 + fabsf(want.y[i])))
        fail_msg("%s: element %zu is %g, not %g", text, i, (double)got.y[i], (double)want.y[i]);
    free(got.y);
  }
  free(want.y);
  free(one.y);
  sumi_model_unref(model);
}

/* w is different everywhere; u has zeros in three columns of four. */
#define GRAPH(outputs, body)                                                                                 \
  "g (float[1,16,96,96] x) => (" outputs                                                                     \
  ") { zero = Constant <value_int = 0> () one = Constant <value_int = 1> () "                                \
  "four = Constant <value_int = 4> () scale = Constant <value_float = 0.1> () n = Constant <value_int = "    \
  "576> () "                                                                                                 \
  "m = Constant <value_int = 900> () ni = Range (zero, n, one) nf = Cast <to = 1> (ni) ns = Sin (nf) "       \
  "nw = Mul (ns, scale) pw = Constant <value_ints = [36, 16, 1, 1]> () w = Reshape (nw, pw) "                \
  "nm = Mod (ni, four) nz = Equal (nm, zero) nk = Cast <to = 1> (nz) nu = Mul (nw, nk) u = Reshape (nu, "    \
  "pw) "                                                                                                     \
  "mi = Range (zero, m, one) mf = Cast <to = 1> (mi) ms = Cos (mf) mw = Mul (ms, scale) "                    \
  "s5 = Constant <value_ints = [36, 1, 5, 5]> () d = Reshape (mw, s5) bi = Constant <value_ints = [36]> () " \
  "k = ConstantOfShape <value = float[1] {0.2}> (bi) " body " }"
#define POINTS "com.microsoft.FusedConv <activation = \"Relu\">"
#define DEPTHWISE "Conv <group = 36, pads = [2, 2, 2, 2]>"
#define STRIDED "Conv <group = 36, pads = [1, 1, 2, 2], strides = [2, 2]>"

static void turns(void **state) {
  (void)state;
  check(GRAPH("y", "v = " POINTS " (x, w, k) y = " DEPTHWISE " (v, d, k)"), 1, 0);
  check(GRAPH("y", "v = " POINTS " (x, w) y = " STRIDED " (v, d)"), 1, 0);
  check(GRAPH("y", "v = " POINTS " (x, u, k) y = " STRIDED " (v, d, k)"), 1, 1);
  check(GRAPH("y", "z = Relu (x) v = " POINTS " (z, w, k) t = " STRIDED " (v, d, k) y = Neg (t)"), 1, 0);
}

static void none(void **state) {
  (void)state;
  check(GRAPH("y, v", "v = " POINTS " (x, w, k) y = " STRIDED " (v, d, k)"), 0, 0); /* somebody wants v */
  check(GRAPH("y", "v = " POINTS " (x, w, k) a = " DEPTHWISE " (v, d, k) y = Sub (v, a)"), 0, 0);
  /* two windows read each plane; what lies between is small */
  check(GRAPH("y", "v = " POINTS
                   " (x, w, k) l = Constant <value_ints = [72, 1, 5, 5]> () e = Concat <axis = 0> (d, d) "
                   "y = Conv <group = 36, strides = [2, 2]> (v, e)"),
        0, 0);
  check(GRAPH("y", "v = Conv <strides = [2, 2]> (x, w, k) y = " STRIDED " (v, d, k)"), 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(turns), cmocka_unit_test(none)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
