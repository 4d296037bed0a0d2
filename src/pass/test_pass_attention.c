/* The passes over quantised transformers, on golden graphs. */
#include "pass/golden_test.h"

/* Constants; what a graph does not use would be dropped. */
#define XP "float xs = {0.5}, uint8 xz = {7}"
#define RP ", float rs = {0.25}, uint8 rz = {9}"
#define YP ", float ys = {0.125}, uint8 yz = {3}"
#define W ", float[4] w = {1, 2, 3, 4}"
#define B ", float[4] b = {5, 6, 7, 8}"
#define K ", float[4] k = {9, 8, 7, 6}"
#define DQ(y, x, p) y " = DequantizeLinear (" x ", " p "s, " p "z) "
#define TWO "g (uint8[2,4] x, uint8[2,4] r) => (uint8[2,4] y) <"
#define ONE "g (uint8[2,4] x) => (uint8[2,4] y) <"

static void norm(void **state) {
  (void)state;
  check("qdq-norm",
        OPSET ONE XP YP W B
        "> { " DQ("a", "x", "x") "[n] d = LayerNormalization <axis = -1, epsilon = 0.5, stash_type = 1> "
                                 "(a, w, b) y = QuantizeLinear (d, ys, yz) }",
        OPSET ONE XP YP W B "> { [n] y = sumi.QNorm <epsilon = 0.5> (x, xs, xz, , , , , w, b, ys, yz) }");
  /* Adds in any order; the residual is the second in order */
  check("qdq-norm",
        OPSET TWO XP RP YP W K "> { " DQ("a", "x", "x")
            DQ("e", "r", "r") "c = Add (k, a) d = Add (c, e) "
                              "[n] f = LayerNormalization <axis = 1> (d, w) y = QuantizeLinear (f, ys, yz) }",
        OPSET TWO XP RP YP W K "> { [n] y = sumi.QNorm (x, xs, xz, k, r, rs, rz, w, , ys, yz) }");
  check("qdq-norm",
        OPSET TWO XP RP YP W B "> { " DQ("a", "x", "x")
            DQ("e", "r", "r") "d = Add (e, a) "
                              "[n] f = LayerNormalization (d, w, b) y = QuantizeLinear (f, ys, yz) }",
        OPSET TWO XP RP YP W B "> { [n] y = sumi.QNorm (r, rs, rz, , x, xs, xz, w, b, ys, yz) }");
}

#define PRODUCT                                                                                             \
  "<uint8 xz = {7}, float xs = {0.5}, float rs = {0.25}, uint8 rz = {9}, float[2] w = {1, 2}, int8[2,2] m " \
  "= {1, 2, 3, 4}, float ms = {0.25}> "

/* A float32 product is x wherever it stands; without a QuantizeLinear the result is float32. */
static void norm_of_product(void **state) {
  (void)state;
  check("qdq-norm",
        OPSET
        "g (uint8[2,2] x, uint8[2,2] r) => (float[2,2] y) " PRODUCT
        "{ a = sumi.QMatMul (x, xs, xz, m, ms) " DQ("e", "r", "r") "d = Add (e, a) "
                                                                   "[n] y = LayerNormalization (d, w) }",
        OPSET "g (uint8[2,2] x, uint8[2,2] r) => (float[2,2] y) " PRODUCT
              "{ a = sumi.QMatMul (x, xs, xz, m, ms) "
              "[n] y = sumi.QNorm (a, , , , r, rs, rz, w) }");
}

static void norm_left_alone(void **state) {
  (void)state;
  /* another axis; the sum is used elsewhere; float32 from elsewhere; the statistics are wanted */
  unchanged("qdq-norm",
            OPSET "g (uint8[4,4] x) => (float[4,4] y) <float[4] w = {1, 2, 3, 4}, float xs = {0.5}> "
                  "{ [a] a = DequantizeLinear (x, xs) [n] y = LayerNormalization <axis = 0> (a, w) }");
  unchanged("qdq-norm", OPSET "g (uint8[2,4] x, uint8[2,4] r) => (float[2,4] y, float[2,4] d) <" XP RP W
                              "> { [a] " DQ("a", "x", "x") "[b] " DQ(
                                  "e", "r", "r") "[c] d = Add (a, e) [n] y = LayerNormalization (d, w) }");
  unchanged("qdq-norm", OPSET "g (float[2,4] x) => (float[2,4] y) <float[4] w = {1, 2, 3, 4}> "
                              "{ [n] y = LayerNormalization (x, w) }");
  unchanged("qdq-norm", OPSET
            "g (uint8[2,4] x) => (float[2,4] y, float[2,1] m) <float[4] w = {1, 2, 3, 4}, float xs = {0.5}> "
            "{ [a] a = DequantizeLinear (x, xs) [n] y, m = LayerNormalization (a, w) }");
}

static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations(OPSET TWO XP RP YP W K "> { " DQ("a", "x", "x") DQ(
      "e", "r", "r") "c = Add (k, a) d = Add (c, e) "
                     "[n] f = LayerNormalization <axis = 1> (d, w) y = QuantizeLinear (f, ys, yz) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(norm), cmocka_unit_test(norm_of_product),
                                     cmocka_unit_test(norm_left_alone),
                                     cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests_name("passes over quantised transformers", tests, NULL, NULL);
}
