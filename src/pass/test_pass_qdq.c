/* The passes over quantised networks, on golden graphs. */
#include "pass/golden_test.h"

/* Scales are powers of two, so that products of them print as they are. */
#define PARAMETERS \
  "float xs = {0.5}, uint8 xz = {7}, float ys = {0.25}, uint8 yz = {9}, float[2] ws = {0.5, 0.125}"
#define WZ ", int8[2] wz = {0, 0}"
#define CONV "g (uint8[1,1,4,4] x) => (uint8[1,2,4,4] y) <int8[2,1,1,1] w = {1, -2}, "
#define GEMM "g (uint8[3,2] x) => (uint8[3,2] y) <int8[2,2] w = {1, 2, 3, 4}, "
#define DQ_X "a = DequantizeLinear (x, xs, xz) "
#define DQ_W "v = DequantizeLinear <axis = 0> (w, ws, wz) "
#define Q_Y "y = QuantizeLinear (c, ys, yz) "

static void dot(void **state) {
  (void)state;
  /* ONNX Runtime's pattern, and Relu and Clip behind it */
  check("qdq-dot",
        OPSET CONV PARAMETERS WZ
        ", int32[2] b = {5, 6}, float[2] bs = {0.25, 0.0625}> { " DQ_X DQ_W
        "d = DequantizeLinear <axis = 0> (b, bs) [n] c = Conv <strides = [1, 1]> (a, v, d) " Q_Y "}",
        OPSET CONV PARAMETERS
        ", int32[2] b = {5, 6}> { [n] y = sumi.QConv <strides = [1, 1]> (x, xs, xz, w, ws, b, ys, yz) }");
  check("qdq-dot", OPSET CONV PARAMETERS WZ "> { " DQ_X DQ_W "[n] d = Conv (a, v) c = Relu (d) " Q_Y "}",
        OPSET CONV PARAMETERS
        "> { [n] y = sumi.QConv <activation = \"Relu\"> (x, xs, xz, w, ws, , ys, yz) }");
  check("qdq-dot",
        OPSET CONV PARAMETERS WZ ", float lo = {0}, float hi = {6}> { " DQ_X DQ_W
                                 "[n] d = Conv (a, v) c = Clip (d, lo, hi) " Q_Y "}",
        OPSET CONV PARAMETERS
        "> { [n] y = sumi.QConv <activation = \"Clip\", activation_params = [0.0, 6.0]> (x, xs, xz, w, "
        "ws, , ys, yz) }");
}

static void dot_matmul(void **state) {
  (void)state;
  check("qdq-dot", OPSET GEMM PARAMETERS WZ "> { " DQ_X DQ_W "[n] c = Gemm <transB = 1> (a, v) " Q_Y "}",
        OPSET GEMM PARAMETERS "> { [n] y = sumi.QMatMul <transB = 1> (x, xs, xz, w, ws, , ys, yz) }");
  check("qdq-dot",
        OPSET GEMM PARAMETERS WZ "> { " DQ_X
                                 "v = DequantizeLinear <axis = 1> (w, ws, wz) [n] c = MatMul (a, v) " Q_Y "}",
        OPSET GEMM PARAMETERS "> { [n] y = sumi.QMatMul (x, xs, xz, w, ws, , ys, yz) }");
  /* PyTorch's: a transposed weight, the bias float32 and behind the product; in units of the sum it is {8, -16} */
  check("qdq-dot",
        OPSET GEMM PARAMETERS WZ ", float[2] b = {2, -1}> { " DQ_X DQ_W
                                 "t = Transpose <perm = [1, 0]> (v) [n] d = MatMul (a, t) c = Add (b, d) " Q_Y
                                 "}",
        OPSET GEMM PARAMETERS
        ", int32[2] v_6 = {8, -16}> { [n] y = sumi.QMatMul <transB = 1> (x, xs, xz, w, ws, v_6, ys, yz) }");
  /* scales along the wrong axis, another alpha */
  unchanged("qdq-dot",
            OPSET GEMM PARAMETERS WZ "> { [x] " DQ_X "[w] " DQ_W "[n] c = MatMul (a, v) [q] " Q_Y "}");
  unchanged("qdq-dot", OPSET GEMM PARAMETERS WZ "> { [x] " DQ_X "[w] " DQ_W
                                                "[n] c = Gemm <transB = 1, alpha = 0.5> (a, v) [q] " Q_Y "}");
}

static void dot_weights(void **state) {
  (void)state;
  /* unsigned weights around 128, one scale, no zero point for y */
  check("qdq-dot",
        OPSET "g (int8[1,1,4,4] x) => (uint8[1,2,4,4] y) <uint8[2,1,1,1] w = {129, 126}, uint8 wz = {128}, "
              "float s = {0.5}> "
              "{ a = DequantizeLinear (x, s) v = DequantizeLinear (w, s, wz) [n] c = Conv (a, v) y = "
              "QuantizeLinear (c, s) }",
        OPSET "g (int8[1,1,4,4] x) => (uint8[1,2,4,4] y) <float s = {0.5}, int8[2,1,1,1] v_4 = {1, -2}, int8 "
              "v_5 = {0}, uint8 "
              "v_6 = {0}> { [n] y = sumi.QConv (x, s, v_5, v_4, s, , s, v_6) }");
  /* 0 - 129 does not fit a signed byte */
  unchanged("qdq-dot",
            OPSET "g (int8[1,1,4,4] x) => (uint8[1,2,4,4] y) <uint8[2,1,1,1] w = {0, 126}, uint8 wz = {129}, "
                  "float s = {0.5}> "
                  "{ [x] a = DequantizeLinear (x, s) [w] v = DequantizeLinear (w, s, wz) [n] c = Conv (a, v) "
                  "[q] y = QuantizeLinear (c, s) }");
}

/* A bias that the sum cannot hold: held where that is not seen, refused where it is. */
static void dot_bias(void **state) {
  (void)state;
#define HUGE_BIAS(scale)                                                                                    \
  "g (uint8[1,1,4,4] x) => (uint8[1,1,4,4] y) <int8[1,1,1,1] w = {127}, float xs = {1}, float ws = {" scale \
  "}, "
  check(
      "qdq-dot",
      OPSET HUGE_BIAS(
          "0.00000001") "int32[1] b = {2147483647}> { a = DequantizeLinear (x, xs) v = DequantizeLinear "
                        "(w, ws) "
                        "d = DequantizeLinear (b, ws) [n] c = Conv (a, v, d) y = QuantizeLinear (c, xs) }",
      OPSET HUGE_BIAS("0.00000001") "int32[1] v_5 = {2147451262}, uint8 v_6 = {0}, uint8 v_7 = {0}> { [n] y "
                                    "= sumi.QConv (x, xs, v_6, w, ws, v_5, xs, v_7) }");
  unchanged(
      "qdq-dot",
      OPSET HUGE_BIAS(
          "0.01") "int32[1] b = {2147483647}> { [x] a = DequantizeLinear (x, xs) [w] v = DequantizeLinear "
                  "(w, ws) "
                  "[b] d = DequantizeLinear (b, ws) [n] c = Conv (a, v, d) [q] y = QuantizeLinear (c, xs) }");
}

/* What cannot be taken: other users of the product, a scale that is no constant. */
static void dot_left_alone(void **state) {
  (void)state;
  unchanged(
      "qdq-dot", OPSET
      "g (uint8[1,1,4,4] x) => (uint8[1,2,4,4] y, float[1,2,4,4] c) <int8[2,1,1,1] w = {1, -2}, " PARAMETERS
          WZ "> { [x] " DQ_X "[w] " DQ_W "[n] c = Conv (a, v) [q] " Q_Y "}");
  unchanged(
      "qdq-dot", OPSET
      "g (uint8[1,1,4,4] x, float xs) => (uint8[1,2,4,4] y) <int8[2,1,1,1] w = {1, -2}, float s = {0.5}> "
      "{ [x] a = DequantizeLinear (x, xs) [w] v = DequantizeLinear (w, s) [n] c = Conv (a, v) "
      "[q] y = QuantizeLinear (c, s) }");
}

/* Quantised weights stay so until the integer operators are made. */
static void weights_stay(void **state) {
  (void)state;
  static const char text[] = OPSET "g (float[2] x) => (float[2] y) <int8[2] w = {1, 2}, float s = {0.5}> "
                                   "{ [w] v = DequantizeLinear (w, s) [n] y = Add (x, v) }";
  unchanged("fold-constants", text);
  check("fold-weights", text,
        OPSET "g (float[2] x) => (float[2] y) <float[2] v_1 = {0.5, 1}> { [n] y = Add (x, v_1) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dot),      cmocka_unit_test(dot_matmul),     cmocka_unit_test(dot_weights),
      cmocka_unit_test(dot_bias), cmocka_unit_test(dot_left_alone), cmocka_unit_test(weights_stay)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
