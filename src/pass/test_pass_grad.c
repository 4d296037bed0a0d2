/* fuse-conv-grad on golden graphs. */
#include "pass/golden_test.h"

#define PASS "fuse-conv-grad"
#define SWAP " = Transpose <perm = [1, 0, 2, 3]> "

#define BEGIN                                                                                   \
  OPSET "g (float[N,2,8,8] x, float[N,3,4,4] dy) => (float[3,2,3,3] dw) <int64[2] z = {0, 0}, " \
        "int64[2] k = {3, 3}, int64[2] a = {2, 3}> { "
#define FUSED                                                                                           \
  OPSET "g (float[N,2,8,8] x, float[N,3,4,4] dy) => (float[3,2,3,3] dw) "                               \
        "{ [d] dw = sumi.ConvWeightGrad <kernel_shape = [3, 3], strides = [2, 2], dilations = [1, 1], " \
        "pads = [1, 1, 1, 1]> (x, dy) }"

static void fused(void **state) {
  (void)state;
  check(PASS,
        BEGIN "[a] p" SWAP "(x) [b] q" SWAP "(dy) [c] c = Conv <strides = [1, 1], dilations = [2, 2], pads = "
              "[1, 1, 1, 1]> (p, q) [s] s = Slice (c, z, k, a) [d] dw" SWAP "(s) }",
        FUSED);
  /* no rest that a window does not reach: no Slice */
  check(PASS,
        OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw) { [a] p" SWAP "(x) [b] q" SWAP
              "(dy) [c] c = Conv (p, q) [d] dw" SWAP "(c) }",
        OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw) "
              "{ [d] dw = sumi.ConvWeightGrad <kernel_shape = [3, 3]> (x, dy) }");
}

/* A transposed input that somebody else reads stays for him. */
static void shared(void **state) {
  (void)state;
  check(PASS,
        OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw, float[2,N,8,8] p) { [a] p" SWAP
              "(x) [b] q" SWAP "(dy) [c] c = Conv (p, q) [d] dw" SWAP "(c) }",
        OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw, float[2,N,8,8] p) { [a] p" SWAP
              "(x) [d] dw = sumi.ConvWeightGrad <kernel_shape = [3, 3]> (x, dy) }");
}

static void left_alone(void **state) {
  (void)state;
  /* the last taps, not the first */
  unchanged(PASS,
            OPSET "g (float[N,2,8,8] x, float[N,3,4,4] dy) => (float[3,2,3,3] dw) <int64[2] z = {1, 0}, "
                  "int64[2] k = {4, 3}, int64[2] a = {2, 3}> { [a] p" SWAP "(x) [b] q" SWAP
                  "(dy) [c] c = Conv <dilations = [2, 2], pads = [1, 1, 1, 1]> (p, q) [s] s = Slice "
                  "(c, z, k, a) [d] dw" SWAP "(s) }");
  /* the convolution itself is wanted */
  unchanged(PASS, OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw, float[2,3,3,3] c) "
                        "{ [a] p" SWAP "(x) [b] q" SWAP "(dy) [c] c = Conv (p, q) [d] dw" SWAP "(c) }");
  /* groups; a bias; another order of dims */
  unchanged(PASS, OPSET "g (float[2,2,8,8] x, float[1,4,6,6] dy) => (float[4,2,3,3] dw) { [a] p" SWAP
                        "(x) [b] q" SWAP "(dy) [c] c = Conv <group = 2> (p, q) [d] dw" SWAP "(c) }");
  unchanged(PASS, OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy, float[3] b) => (float[3,2,3,3] dw) "
                        "{ [a] p" SWAP "(x) [b] q" SWAP "(dy) [c] c = Conv (p, q, b) [d] dw" SWAP "(c) }");
  unchanged(PASS,
            OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw) { [a] p = Transpose "
                  "<perm = [1, 0, 3, 2]> (x) [b] q" SWAP "(dy) [c] c = Conv (p, q) [d] dw" SWAP "(c) }");
}

static void failing(void **state) {
  (void)state;
  survives_failed_allocations("g (float[2,2,8,8] x, float[3,2,3,3] w) => (float[3,2,3,3] dw) { y = Conv "
                              "<strides = [2, 2], pads = [1, "
                              "1, 1, 1]> (x, w) dw = ai.onnx.preview.training.Gradient <xs = [\"w\"], zs = "
                              "[\"x\"], y = \"y\"> (w, x) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fused), cmocka_unit_test(shared),
                                     cmocka_unit_test(left_alone), cmocka_unit_test(failing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
