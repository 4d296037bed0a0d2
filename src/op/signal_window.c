/* HannWindow, HammingWindow, BlackmanWindow: y[i] = a0 - a1 cos(t) + a2 cos(2 t) for i in [0, size),
 * t = 2 pi i / n, n = size (periodic) or size - 1 (symmetric; t = 0 where that is 0, as at the start of any other
 * window). Computed in double precision; output_datatype may be an integer, which is cut off as Cast does. */
#include <inttypes.h>
#include <math.h>

#include "op/dims.h"
#include "op/op_util.h"

static sumi_status window_infer(struct sumi_infer *ctx) {
  const int64_t wanted = sumi_attr_int(ctx->node, "output_datatype", 1);
  const sumi_dtype dtype = sumi_dtype_from_onnx(wanted);
  if (!sumi_dtype_in(dtype, SUMI_NUMBERS))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "output_datatype is %" PRId64, wanted);
  sumi_dim n;
  SUMI_TRY(sumi_op_scalar_dim(ctx, 0, &n));
  sumi_infer_out(ctx, 0, dtype, 1, &n);
  return SUMI_OK;
}

static sumi_status window(const struct sumi_call *c, const double a[3]) {
  const struct sumi_tensor *y = c->out[0];
  const int64_t n = y->dim[0], period = n - (sumi_attr_int(c->node, "periodic", 1) == 0);
  for (int64_t i = 0; i < n; i++) {
    const double t = i ? 6.283185307179586 * (double)i / (double)period : 0;
    sumi_set_f64(y->dtype, y->data, i, a[0] - a[1] * cos(t) + a[2] * cos(2 * t));
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"periodic", SUMI_ATTR_INT}, {"output_datatype", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"size", SUMI_INDICES}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_NUMBERS}, {NULL}};

/* WINDOW(symbol, name, formula, coefficients) */
#define WINDOW(symbol, label, text, ...)                                                             \
  static sumi_status symbol##_ref(const struct sumi_call *c) {                                       \
    static const double a[3] = {__VA_ARGS__};                                                        \
    return window(c, a);                                                                             \
  }                                                                                                  \
  static const struct sumi_case symbol##_cases[] = {                                                 \
      {"g () => (y) <int64 n = {9}> { y = " label " (n) }", .rtol = 1e-7},                           \
      {"g () => (y) <int32 n = {10}> { y = " label " <periodic = 0, output_datatype = 11> (n) }"},   \
      {"g () => (y) <int64 n = {8}> { y = " label " <output_datatype = 6> (n) }", .why = "cut off"}, \
      {"g () => (y) <int64 n = {1}> { y = " label " <periodic = 0> (n) }", .why = "a period of 0"},  \
      {NULL},                                                                                        \
  };                                                                                                 \
  const struct sumi_op sumi_op_##symbol = {                                                          \
      .name = label,                                                                                 \
      .formula = text,                                                                               \
      .known_as = {{"", label, {17}}},                                                               \
      .attrs = attrs,                                                                                \
      .in = in,                                                                                      \
      .out = out,                                                                                    \
      .infer = window_infer,                                                                         \
      .ref = symbol##_ref,                                                                           \
      .cases = symbol##_cases,                                                                       \
  };

WINDOW(hann_window, "HannWindow", "0.5 - 0.5 cos(t)", 0.5, 0.5, 0)
/* the optimum of Hamming's one parameter, 25/46, as the standard has it: not 0.54 */
WINDOW(hamming_window, "HammingWindow", "25/46 - 21/46 cos(t)", 25.0 / 46, 21.0 / 46, 0)
WINDOW(blackman_window, "BlackmanWindow", "0.42 - 0.5 cos(t) + 0.08 cos(2 t)", 0.42, 0.5, 0.08)
