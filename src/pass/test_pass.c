/* Passes on golden graphs: text in, text out, compared as the printer writes them. The verifier runs after each pass. */
#include "base/mem_test.h"
#include "pass/golden_test.h"

static void drop_identity(void **state) {
  (void)state;
  check("drop-identity", OPSET "g (float[N] x) => (float[N] y) { a = Identity (x) [n] y = Relu (a) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  check("drop-identity", OPSET "g (float[N] x) => (float[N] y) { [n] a = Relu (x) y = Identity (a) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  check("drop-identity", OPSET "g (float[N] x) => (float[N] y) { a = Cast <to = 1> (x) [n] y = Relu (a) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  check("drop-identity", OPSET "g (float[N] x) => (float[N] y) { a = Dropout (x) [n] y = Relu (a) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  check("drop-identity", OPSET "g (float[N] x) => (float[N] y) { a = Cast <to = 1> (x) [n] y = Relu (a) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  unchanged("drop-identity",
            OPSET "g (float[N] x) => (double[N] y) { [c] a = Cast <to = 11> (x) [n] y = Relu (a) }");
  unchanged("drop-identity",
            OPSET "g (float[N] x) => (float[N] y) { [n] y = Identity (x) }"); /* the caller wants that name */
  unchanged("drop-identity", OPSET "g (float[N] x) => (bool[N] m) { [d] a, m = Dropout (x) }");
  check("drop-identity",
        OPSET "g (float[N] x) => (float[N] y) { a, m = Dropout (x) u = Not (m) [n] y = Relu (a) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  unchanged("drop-identity", OPSET
            "g (float[N] x, float r, bool t) => (float[N] y) { [d] a = Dropout (x, r, t) [n] y = Relu (a) }");
}

static void fold_constants(void **state) {
  (void)state;
  check("fold-constants",
        OPSET "g (float[2] x) => (float[2] y) <float[2] c = {1, 2}> { d = Neg (c) [n] y = Add (x, d) }",
        OPSET "g (float[2] x) => (float[2] y) <float[2] v_2 = {-1, -2}> { [n] y = Add (x, v_2) }");
  /* a dimension that is a number is known though the other one is not */
  check("fold-constants",
        OPSET "g (float[3,N] x) => (int64[1] y) { s = Shape (x) z = Constant <value_ints = [0]> () [n] y = "
              "Gather (s, z) }",
        OPSET "g (float[3,N] x) => (int64[1] y) <int64[1] y = {3}> { s = Shape (x) }");
  unchanged(
      "fold-constants", OPSET
      "g (float[3,N] x) => (int64[1] y) <int64[1] z = {1}> { [s] s = Shape (x) [n] y = Gather (s, z) }");
  /* what would be much larger than what it is made from stays a node; so does what is random */
  unchanged(
      "fold-constants", OPSET
      "g (float[1] x) => (float[4096,4096] y) <int64[2] s = {4096, 4096}> { [n] y = ConstantOfShape (s) }");
}

static void drop_unused(void **state) {
  (void)state;
  check("drop-unused", OPSET "g (float[N] x) => (float[N] y) { a = Neg (x) b = Relu (a) [n] y = Relu (x) }",
        OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
}

#define CONV_IN "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}, "
#define BN_PARAMETERS "float[2] s = {2, 3}, float[2] b = {10, 20}, float[2] m = {4, 5}, float[2] v = {1, 4}"

static void fold_batchnorm(void **state) {
  (void)state;
  /* scale / sqrt(var) is 2 and 1.5, b' = {10 - 4 * 2, 20 - 5 * 1.5}; the weights stay what they are */
  check("fold-batchnorm",
        OPSET CONV_IN BN_PARAMETERS
        "> { [c] a = Conv (x, w) y = BatchNormalization <epsilon = 0.0> (a, s, b, m, v) }",
        OPSET CONV_IN
        "double[2] v_2 = {2, 1.5}, float[2] v_3 = {2, 12.5}> { [c] y = sumi.FConv (x, w, v_3, , v_2) }");
  /* a second one: factors 4 and 2.25, b' = {(2 - 4) * 2 + 10, (12.5 - 5) * 1.5 + 20} */
  check("fold-batchnorm",
        OPSET CONV_IN BN_PARAMETERS
        "> { [c] a = Conv (x, w) t = BatchNormalization <epsilon = 0.0> (a, s, b, m, v) "
        "y = BatchNormalization <epsilon = 0.0> (t, s, b, m, v) }",
        OPSET CONV_IN "double[2] v_5 = {4, 2.25}, float[2] v_6 = {6, 31.25}> "
                      "{ [c] y = sumi.FConv (x, w, v_6, , v_5) }");
  /* somebody else wants the convolution's own result */
  unchanged("fold-batchnorm", OPSET "g (float[1,1,4,4] x) => (float[1,2,4,4] y, float[1,2,4,4] a) "
                                    "<float[2,1,1,1] w = {1, 2}, " BN_PARAMETERS
                                    "> { [c] a = Conv (x, w) [n] y = BatchNormalization (a, s, b, m, v) }");
}

static void fuse_conv(void **state) {
  (void)state;
  check("fuse-conv",
        OPSET "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> { [c] a = Conv (x, w) "
              "y = Relu (a) }",
        OPSET "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> { [c] y = "
              "com.microsoft.FusedConv <activation = \"Relu\"> (x, w) }");
  check("fuse-conv",
        OPSET "g (float[1,1,4,4] x, float[1,2,4,4] r) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> "
              "{ [c] a = Conv (x, w) b = Add (r, a) y = Relu (b) }",
        OPSET "g (float[1,1,4,4] x, float[1,2,4,4] r) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> "
              "{ [c] y = com.microsoft.FusedConv <activation = \"Relu\"> (x, w, , r) }");
  /* functions of several nodes */
#define SPREAD_IN "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}"
  check("fuse-conv",
        OPSET SPREAD_IN ", float r = {1.41421356}, float one = {1}, float h = {0.5}> { [c] a = Conv (x, w) "
                        "d = Div (a, r) e = Erf (d) p = Add (e, one) m = Mul (a, p) y = Mul (m, h) }",
        OPSET SPREAD_IN "> { [c] y = com.microsoft.FusedConv <activation = \"Gelu\"> (x, w) }");
  check("fuse-conv",
        OPSET SPREAD_IN ", float k = {1.702}> { [c] a = Conv (x, w) b = Mul (k, a) s = Sigmoid (b) "
                        "y = Mul (a, s) }",
        OPSET SPREAD_IN "> { [c] y = com.microsoft.FusedConv <activation = \"Swish\", "
                        "activation_params = [1.702]> (x, w) }");
  /* with factors of the output channels */
  check("fuse-conv",
        OPSET "g (float[1,1,4,4] x, float[1,2,4,4] r) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}, "
              "double[2] s = {3, 4}> { [c] a = sumi.FConv (x, w, , , s) b = Add (r, a) y = Relu (b) }",
        OPSET "g (float[1,1,4,4] x, float[1,2,4,4] r) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}, "
              "double[2] s = {3, 4}> { [c] y = sumi.FConv <activation = \"Relu\"> (x, w, , r, s) }");
  /* what is added behind an activation stays there */
  unchanged("fuse-conv", OPSET
            "g (float[1,1,4,4] x, float[1,2,4,4] r) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> { "
            "[c] a = com.microsoft.FusedConv <activation = \"Relu\"> (x, w) [n] y = Add (a, r) }");
  /* the residual has another shape: it broadcasts */
  unchanged("fuse-conv",
            OPSET "g (float[1,1,4,4] x, float[1,2,1,1] r) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> "
                  "{ [c] a = Conv (x, w) [n] y = Add (a, r) }");
  /* x * sigmoid(x) uses the result twice; that form is not in this test's pass alone */
  unchanged("fuse-conv", OPSET "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> "
                               "{ [c] a = Conv (x, w) [t] t = Tanh (a) [n] y = Mul (a, t) }");
}

#define PRODUCT_IN "g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 2, 3, 4}"
#define PRODUCT "float[2] c = {5, 6}"

static void fuse_matmul(void **state) {
  (void)state;
  check("fuse-matmul", OPSET PRODUCT_IN ", " PRODUCT "> { [m] a = MatMul (x, w) y = Add (c, a) }",
        OPSET PRODUCT_IN ", " PRODUCT "> { [m] y = sumi.FMatMul (x, w, c) }");
  check("fuse-matmul",
        OPSET PRODUCT_IN ", " PRODUCT "> { [m] a = MatMul (x, w) b = Add (a, c) y = Relu (b) }",
        OPSET PRODUCT_IN ", " PRODUCT "> { [m] y = sumi.FMatMul <activation = \"Relu\"> (x, w, c) }");
  check("fuse-matmul", OPSET PRODUCT_IN "> { [m] a = MatMul (x, w) y = Tanh (a) }",
        OPSET PRODUCT_IN "> { [m] y = sumi.FMatMul <activation = \"Tanh\"> (x, w) }");
  check("fuse-matmul",
        OPSET PRODUCT_IN ", " PRODUCT "> { [m] a = MatMul (x, w) y = com.microsoft.BiasGelu (a, c) }",
        OPSET PRODUCT_IN ", " PRODUCT "> { [m] y = sumi.FMatMul <activation = \"Gelu\"> (x, w, c) }");
#define GELU_CONSTANTS ", float r = {1.41421354}, float one = {1}, float half = {0.5}"
  check("fuse-matmul",
        OPSET PRODUCT_IN GELU_CONSTANTS ", " PRODUCT
                                        "> { [m] a = MatMul (x, w) b = Add (a, c) d = Div (b, r) "
                                        "e = Erf (d) f = Add (e, one) h = Mul (b, f) y = Mul (h, half) }",
        OPSET PRODUCT_IN ", " PRODUCT "> { [m] y = sumi.FMatMul <activation = \"Gelu\"> (x, w, c) }");
  check("fuse-matmul",
        OPSET PRODUCT_IN ", " PRODUCT
                         "> { [m] a = Gemm <transB = 1> (x, w, c) y = LeakyRelu <alpha = 0.5> (a) }",
        OPSET PRODUCT_IN ", " PRODUCT
                         "> { [m] y = com.microsoft.FusedGemm <transB = 1, activation = \"LeakyRelu\", "
                         "activation_alpha = 0.5> (x, w, c) }");
  /* a second vector stays an Add, a vector over rows is none, a matrix that is not constant stays a MatMul */
  check("fuse-matmul",
        OPSET PRODUCT_IN ", " PRODUCT
                         "> { [r] z = Relu (x) [m] a = MatMul (z, w) b = Add (a, c) [n] y = Add (b, c) }",
        OPSET PRODUCT_IN ", " PRODUCT
                         "> { [r] z = Relu (x) [m] a = sumi.FMatMul (z, w, c) [n] y = Add (a, c) }");
  unchanged("fuse-matmul",
            OPSET PRODUCT_IN ", float[2,1] c = {5, 6}> { [m] a = MatMul (x, w) [n] y = Add (a, c) }");
  unchanged("fuse-matmul", OPSET "g (float[N,2] x, float[2,2] w) => (float[N,2] y) <" PRODUCT
                                 "> { [m] a = MatMul (x, w) [n] y = Add (a, c) }");
  /* somebody else wants the product */
  unchanged("fuse-matmul",
            OPSET "g (float[N,2] x) => (float[N,2] y, float[N,2] a) <float[2,2] w = {1, 2, 3, 4}, " PRODUCT
                  "> { [m] a = MatMul (x, w) [n] y = Add (a, c) }");
}

/* Every allocation of a pass failing in turn: a status, nothing leaked. */
static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations(
      OPSET CONV_IN BN_PARAMETERS
      "> { i = Identity (x) a = Conv (i, w) t = BatchNormalization (a, s, b, m, v) y = Relu (t) }");
  survives_failed_allocations(
      OPSET PRODUCT_IN
      ", " PRODUCT "> { a = MatMul (x, w) b = Add (a, c) d = LeakyRelu (b) e = Gemm (d, w) y = Tanh (e) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(drop_identity),
                                     cmocka_unit_test(fold_constants),
                                     cmocka_unit_test(drop_unused),
                                     cmocka_unit_test(fold_batchnorm),
                                     cmocka_unit_test(fuse_conv),
                                     cmocka_unit_test(fuse_matmul),
                                     cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
