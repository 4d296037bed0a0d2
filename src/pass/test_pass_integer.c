/* Integer products with constant weights for kernels, on golden graphs. */
#include "pass/golden_test.h"

#define QUANTISE "q, s, z = DynamicQuantizeLinear (x) "
#define BEHIND "c = Cast <to = 1> (i) f = Mul (s, t) "

static void quantised_in_every_run(void **state) {
  (void)state;
  check("integer-dot",
        OPSET "g (float[N,2] x) => (float[N,3] y) <int8[2,3] w = {1, 2, 3, -4, 5, -6}, int8 v = {0}, float t "
              "= {0.5}> "
              "{ " QUANTISE "[m] i = MatMulInteger (q, w, z, v) " BEHIND "y = Mul (c, f) }",
        OPSET "g (float[N,2] x) => (float[N,3] y) <int8[2,3] w = {1, 2, 3, -4, 5, -6}, float t = {0.5}> "
              "{ [m] y = com.microsoft.DynamicQuantizeMatMul:v1 (x, w, t) }");
  /* unsigned weights around 128 become signed; a scale a column; factors in the other order; a bias */
  check("integer-dot",
        OPSET "g (float[N,2] x) => (float[N,2] y) <uint8[2,2] w = {128, 129, 255, 0}, uint8 v = {128}, "
              "float[2] t = {0.5, 0.25}, float[2] b = {1, 2}> "
              "{ " QUANTISE "[m] i = MatMulInteger (q, w, z, v) " BEHIND "p = Mul (f, c) y = Add (p, b) }",
        OPSET "g (float[N,2] x) => (float[N,2] y) <float[2] t = {0.5, 0.25}, float[2] b = {1, 2}, "
              "int8[2,2] v_6 = {0, 1, 127, -128}> "
              "{ [m] y = com.microsoft.DynamicQuantizeMatMul:v1 (x, v_6, t, , b) }");
}

static void in_float32(void **state) {
  (void)state;
  /* weights off the centre */
  check("integer-dot",
        OPSET "g (uint8[N,2] x) => (float[N,1] y) <uint8[2,1] w = {5, 9}, uint8 v = {7}> "
              "{ [m] i = MatMulInteger (x, w, , v) y = Cast <to = 1> (i) }",
        OPSET "g (uint8[N,2] x) => (float[N,1] y) <float[2,1] v_4 = {-2, 2}> "
              "{ v_2 = Cast:v13 <to = 1> (x) [m] y = MatMul:v13 (v_2, v_4) }");
  check("integer-dot",
        OPSET
        "g (uint8[1,1,4] x, uint8 z) => (float[1,2,3] y) <int8[2,1,2] w = {1, 2, 3, 4}, int8[2] v = {0, 1}> "
        "{ [m] i = ConvInteger (x, w, z, v) y = Cast <to = 1> (i) }",
        OPSET "g (uint8[1,1,4] x, uint8 z) => (float[1,2,3] y) <float[2,1,2] v_8 = {1, 2, 2, 3}> "
              "{ v_2 = Cast:v13 <to = 1> (x) v_4 = Cast:v13 <to = 1> (z) v_6 = Sub:v13 (v_2, v_4) "
              "[m] y = Conv:v11 (v_6, v_8) }");
}

static void left_alone(void **state) {
  (void)state;
  /* the integers are wanted; weights that are known when running only; a zero point a row */
  unchanged("integer-dot", OPSET "g (uint8[N,2] x) => (int32[N,1] y) <uint8[2,1] w = {5, 9}> "
                                 "{ [m] y = MatMulInteger (x, w) }");
  unchanged("integer-dot", OPSET "g (uint8[N,2] x, uint8[2,1] w) => (float[N,1] y) "
                                 "{ [m] i = MatMulInteger (x, w) y = Cast <to = 1> (i) }");
  unchanged("integer-dot", OPSET "g (uint8[3,2] x, uint8[3] z) => (float[3,1] y) <uint8[2,1] w = {5, 9}> "
                                 "{ [m] i = MatMulInteger (x, w, z) y = Cast <to = 1> (i) }");
}

static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations(OPSET "g (float[N,2] x, uint8[1,1,4] u) => (float[N,2] y, float[1,2,3] o) "
                                    "<uint8[2,2] w = {128, 129, 255, 0}, uint8 v = {128}, float t = {0.5}, "
                                    "int8[2,1,2] k = {1, 2, 3, 4}> "
                                    "{ " QUANTISE "i = MatMulInteger (q, w, z, v) " BEHIND "y = Mul (c, f) "
                                    "n = ConvInteger (u, k) o = Cast <to = 1> (n) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(quantised_in_every_run), cmocka_unit_test(in_float32),
                                     cmocka_unit_test(left_alone), cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
