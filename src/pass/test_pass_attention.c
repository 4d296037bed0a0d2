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

/* ---- attention --------------------------------------------------------------------------------------------------- */

#define QKV "g (uint8[1,6,8] q, uint8[1,5,8] k, uint8[1,5,8] v, float[1,1,1,5] m) => (uint8[1,6,8] y) <"
#define QKV4 "g (uint8[1,6,8] q, uint8[1,4,8] k, uint8[1,4,8] v, float[1,1,1,4] m) => (uint8[1,6,8] y) <"
#define QP "float qs = {0.5}, uint8 qz = {7}, "
#define KP "float ks = {0.25}, uint8 kz = {9}, "
#define VP "float vs = {0.125}, uint8 vz = {3}, "
#define PP "float ps = {0.0625}, uint8 pz = {0}, "
#define OUT "float ys = {0.75}, uint8 yz = {100}, "
#define SHAPES "int64[4] h = {0, -1, 2, 4}, int64[3] j = {0, -1, 8}"
#define HEADS(x, perm)                                                                             \
  "[" x "r] " x "r = Reshape (" x ", h) [" x "t] " x "t = Transpose <perm = [" perm "]> (" x "r) " \
  "[" x "d] " DQ(x "d", x "t", x)
#define Q_HEADS HEADS("q", "0, 2, 1, 3")
#define K_HEADS HEADS("k", "0, 2, 3, 1")
#define V_HEADS HEADS("v", "0, 2, 1, 3")
#define SOFTMAX(s)                                                                  \
  "[sm] w = Softmax <axis = -1> (" s ") [pq] pq = QuantizeLinear (w, ps, pz) [pd] " \
  "p = DequantizeLinear (pq, ps, pz) "
#define CONTEXT                                                                                            \
  "[c] c = MatMul (p, vd) [cq] cq = QuantizeLinear (c, ys, yz) [ct] ct = Transpose <perm = [0, 2, 1, 3]> " \
  "(cq) "                                                                                                  \
  "[yr] y = Reshape (ct, j) "
#define ATTENTION(attributes, more)      \
  "[c] y = sumi.QAttention <" attributes \
  "> (q, qs, qz, k, ks, kz, v, vs, vz, h, h, h, ps, pz, ys, yz, j" more ") }"

static void attention(void **state) {
  (void)state;
  /* as ONNX Runtime quantises BERT: scaled by a division, a mask */
  check("qdq-attention",
        OPSET QKV QP KP VP PP OUT SHAPES ", float[1] eight = {8}> { " Q_HEADS K_HEADS V_HEADS
                                         "s = MatMul (qd, kd) t = Div (s, eight) u = Add (t, m) " SOFTMAX("u")
                                             CONTEXT "}",
        OPSET QKV QP KP VP PP OUT SHAPES "> { " ATTENTION("scale = 8.0, divide = 1", ", m"));
  /* quantised scores, a multiplication, the mask first */
  check("qdq-attention",
        OPSET QKV QP KP VP PP OUT SHAPES
        ", float ss = {0.03125}, uint8 sz = {128}, float eighth = {0.125}> { " Q_HEADS K_HEADS V_HEADS
        "s = MatMul (qd, kd) sq = QuantizeLinear (s, ss, sz) sd = DequantizeLinear (sq, ss, sz) "
        "t = Mul (eighth, sd) u = Add (m, t) " SOFTMAX("u") CONTEXT "}",
        OPSET QKV QP KP VP PP OUT SHAPES
        ", float ss = {0.03125}, uint8 sz = {128}> { " ATTENTION("scale = 0.125", ", m, ss, sz"));
}

/* Nothing between; k is transposed in two steps. */
static void attention_plain(void **state) {
  (void)state;
#define PLAIN "g (uint8[1,6,8] q, uint8[1,5,8] k, uint8[1,5,8] v) => (uint8[1,6,8] y) <"
  check("qdq-attention",
        OPSET PLAIN QP KP VP PP OUT SHAPES
        "> { " Q_HEADS "kr = Reshape (k, h) ku = Transpose <perm = [0, 2, 1, 3]> (kr) "
        "kt = Transpose <perm = [0, 1, 3, 2]> (ku) " DQ("kd", "kt", "k") V_HEADS
        "s = MatMul (qd, kd) " SOFTMAX("s") CONTEXT "}",
        OPSET PLAIN QP KP VP PP OUT SHAPES "> { " ATTENTION("scale = 1.0", ""));
}

static void attention_left_alone(void **state) {
  (void)state;
  /* k is not transposed; the softmax runs over queries; weights are an output; a mask that makes more of the scores */
  unchanged("qdq-attention", OPSET QKV4 QP KP VP PP OUT SHAPES "> { " Q_HEADS HEADS("k", "0, 2, 1, 3") V_HEADS
            "[s] s = MatMul (qd, kd) [u] u = Add (s, m) " SOFTMAX("u") CONTEXT "}");
  unchanged("qdq-attention", OPSET QKV QP KP VP PP OUT SHAPES
            "> { " Q_HEADS K_HEADS V_HEADS
            "[s] s = MatMul (qd, kd) [u] u = Add (s, m) [sm] w = Softmax <axis = 2> (u) "
            "[pq] pq = QuantizeLinear (w, ps, pz) [pd] p = DequantizeLinear "
            "(pq, ps, pz) " CONTEXT "}");
  unchanged("qdq-attention", OPSET
            "g (uint8[1,6,8] q, uint8[1,5,8] k, uint8[1,5,8] v) => (uint8[1,6,8] y, float[1,2,6,5] w) <" QP KP
                VP PP OUT SHAPES "> { " Q_HEADS K_HEADS V_HEADS "[s] s = MatMul (qd, kd) " SOFTMAX("s")
                    CONTEXT "}");
  unchanged("qdq-attention",
            OPSET "g (uint8[1,6,8] q, uint8[1,5,8] k, uint8[1,5,8] v, float[3,1,1,5] m) => (uint8 y) <" QP KP
                VP PP OUT SHAPES "> { " Q_HEADS K_HEADS V_HEADS
                  "[s] s = MatMul (qd, kd) [u] u = Add (s, m) " SOFTMAX("u") CONTEXT "}");
}

static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations(OPSET TWO XP RP YP W K "> { " DQ("a", "x", "x") DQ(
      "e", "r", "r") "c = Add (k, a) d = Add (c, e) "
                     "[n] f = LayerNormalization <axis = 1> (d, w) y = QuantizeLinear (f, ys, yz) }");
  survives_failed_allocations(OPSET QKV QP KP VP PP OUT SHAPES
                              ", float[1] eight = {8}> { " Q_HEADS K_HEADS V_HEADS
                              "s = MatMul (qd, kd) t = Div (s, eight) u = Add (t, m) " SOFTMAX("u") CONTEXT
                              "}");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(norm),
                                     cmocka_unit_test(norm_of_product),
                                     cmocka_unit_test(norm_left_alone),
                                     cmocka_unit_test(attention),
                                     cmocka_unit_test(attention_plain),
                                     cmocka_unit_test(attention_left_alone),
                                     cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests_name("passes over quantised transformers", tests, NULL, NULL);
}
