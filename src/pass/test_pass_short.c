/* Short floats computed in float32, on golden graphs. */
#include "pass/golden_test.h"

#define UP " = Cast:v13 <to = 1> "
#define DOWN " = Cast:v13 <to = 10> "

static void one_node(void **state) {
  (void)state;
  check("widen-short", OPSET "g (float16[N] x) => (float16[N] y) { [n] y = Relu (x) }",
        OPSET "g (float16[N] x) => (float16[N] y) { v_1" UP "(x) [n] v_3 = Relu (v_1) y" DOWN "(v_3) }");
  /* weights are widened once; 15360 is 1 */
  check("widen-short",
        OPSET
        "g (float16[N,1] x) => (float16[N,2] y) <float16[1,2] w = {15360, 16384}> { [n] y = MatMul (x, w) }",
        OPSET "g (float16[N,1] x) => (float16[N,2] y) <float[1,2] v_3 = {1, 2}> "
              "{ v_1" UP "(x) [n] v_4 = MatMul (v_1, v_3) y" DOWN "(v_4) }");
  /* bfloat16 by its own Cast */
  check("widen-short", OPSET "g (bfloat16[N] x) => (bfloat16[N] y) { [n] y = Sqrt (x) }",
        OPSET "g (bfloat16[N] x) => (bfloat16[N] y) { v_1" UP
              "(x) [n] v_3 = Sqrt (v_1) y = Cast:v13 <to = 16> "
              "(v_3) }");
}

static void chains(void **state) {
  (void)state;
  /* no Cast in between, one for both uses of x */
  check("widen-short",
        OPSET "g (float16[N] x) => (float16[N] y) { [a] a = Relu (x) [b] b = Mul (a, x) [c] y = Tanh (b) }",
        OPSET "g (float16[N] x) => (float16[N] y) "
              "{ v_1" UP "(x) [a] a = Relu (v_1) [b] b = Mul (a, v_1) [c] v_7 = Tanh (b) y" DOWN "(v_7) }");
  /* a value that is an output, too, keeps its type there */
  check("widen-short",
        OPSET "g (float16[N] x) => (float16[N] a, float16[N] y) { [a] a = Relu (x) [c] y = Tanh (a) }",
        OPSET "g (float16[N] x) => (float16[N] a, float16[N] y) "
              "{ v_1" UP "(x) [a] v_3 = Relu (v_1) [c] v_5 = Tanh (v_3) a" DOWN "(v_3) y" DOWN "(v_5) }");
  /* what moves elements goes along, but is no reason to begin */
  check("widen-short",
        OPSET
        "g (float16[N,M] x) => (float16[M,N] y) { [a] a = Relu (x) [b] b = Transpose (a) [c] y = Tanh (b) }",
        OPSET "g (float16[N,M] x) => (float16[M,N] y) "
              "{ v_1" UP "(x) [a] a = Relu (v_1) [b] b = Transpose (a) [c] v_7 = Tanh (b) y" DOWN "(v_7) }");
  unchanged("widen-short", OPSET "g (float16[N,M] x) => (float16[M,N] y) { [b] y = Transpose (x) }");
}

static void left_alone(void **state) {
  (void)state;
  unchanged("widen-short", OPSET "g (float[N] x) => (float[N] y) { [n] y = Relu (x) }");
  unchanged("widen-short", OPSET "g (double[N] x) => (double[N] y) { [n] y = Relu (x) }");
  /* no kernel for it; a type that is an attribute */
  unchanged("widen-short", OPSET "g (float16[N,3,3] x) => (float16[N] y) { [n] y = Det (x) }");
  unchanged("widen-short", OPSET "g (float16[N] x) => (float[N] y) { [n] y = Cast <to = 1> (x) }");
}

static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations(OPSET
                              "g (float16[N,1] x) => (float16[N,2] y) <float16[1,2] w = {15360, 16384}> "
                              "{ a = MatMul (x, w) b = Transpose (a) t = Transpose (b) y = Relu (t) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_node), cmocka_unit_test(chains),
                                     cmocka_unit_test(left_alone), cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
