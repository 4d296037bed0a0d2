/* Products on bfloat16, on golden graphs. 16256 is 1, 16384 is 2, 49216 is -3. */
#include <stdio.h>

#include "pass/golden_test.h"

#define NARROW " = Cast:v13 <to = 16> "
#define WIDEN " = Cast:v13 <to = 1> "
#define PLANES "g (float[1,1,4,4] x) => (float[1,2,4,4] y) "

static void convolutions(void **state) {
  (void)state;
  /* what is between two is bfloat16, what nobody else multiplies float32 */
  check("narrow-bf16",
        OPSET PLANES
        "<float[2,1,1,1] w = {1, 2}, float[2] b = {1, 2}, float[2,2,1,1] u = {1, -3, 2, 0}> "
        "{ [a] a = com.microsoft.FusedConv <activation = \"Relu\"> (x, w, b) [b] y = Conv (a, u) }",
        OPSET PLANES
        "<float[2] b = {1, 2}, bfloat16[2,1,1,1] v_3 = {16256, 16384}, "
        "bfloat16[2,2,1,1] v_6 = {16256, 49216, 16384, 0}> "
        "{ v_1" NARROW
        "(x) [a] a = sumi.BConv <activation = \"Relu\"> (v_1, v_3, b) [b] y = sumi.BConv <to = 1> "
        "(a, v_6) }");
}

static void residual_and_pool(void **state) {
  (void)state;
  check("narrow-bf16",
        OPSET PLANES "<float[2,1,1,1] w = {1, 2}, float[2,2,1,1] u = {1, -3, 2, 0}> "
                     "{ [a] a = Conv (x, w) [p] p = MaxPool <kernel_shape = [1, 1]> (a) "
                     "[b] b = com.microsoft.FusedConv <activation = \"\"> (p, u, , p) y = Tanh (b) }",
        OPSET PLANES
        "<bfloat16[2,1,1,1] v_4 = {16256, 16384}, bfloat16[2,2,1,1] v_9 = {16256, 49216, 16384, 0}> "
        "{ v_2" NARROW "(x) [a] a = sumi.BConv (v_2, v_4) [p] p = MaxPool <kernel_shape = [1, 1]> (a) "
        "[b] b = sumi.BConv <activation = \"\", to = 1> (p, v_9, , p) y = Tanh (b) }");
}

/* Factors of the output channels go into the weights. */
static void factors(void **state) {
  (void)state;
  check("narrow-bf16",
        OPSET PLANES "<float[2,1,1,1] w = {1, 2}, float[2] b = {1, 2}, double[2] s = {2, -1.5}> "
                     "{ [c] y = sumi.FConv <activation = \"Relu\"> (x, w, b, , s) }",
        OPSET PLANES "<float[2] b = {1, 2}, bfloat16[2,1,1,1] v_3 = {16384, 49216}> { v_1" NARROW
                     "(x) [c] y = sumi.BConv <activation = \"Relu\", to = 1> (v_1, v_3, b) }");
}

/* A value that others use too keeps both forms. */
static void shared(void **state) {
  (void)state;
  check("narrow-bf16",
        OPSET "g (float[1,1,4,4] x) => (float[1,1,4,4] y, float[1,1,4,4] z) <float[1,1,1,1] w = {1}> "
              "{ [a] a = Conv (x, w) [b] y = Conv (a, w) [t] z = Tanh (a) }",
        OPSET "g (float[1,1,4,4] x) => (float[1,1,4,4] y, float[1,1,4,4] z) "
              "<bfloat16[1,1,1,1] v_3 = {16256}, bfloat16[1,1,1,1] v_6 = {16256}> "
              "{ v_1" NARROW
              "(x) [a] a = sumi.BConv (v_1, v_3) [b] y = sumi.BConv <to = 1> (a, v_6) v_4" WIDEN "(a) "
              "[t] z = Tanh (v_4) }");
}

/* text with every @ as 256 zeros. */
static char *with_matrices(const char *text) {
  char *const out = malloc(strlen(text) + 4096), *at = out;
  for (; *text; text++) {
    if (*text != '@')
      *at++ = *text;
    else
      for (int i = 0; i < 256; i++) at += sprintf(at, i ? ", 0" : "0");
  }
  *at = 0;
  return out;
}

static void products(void **state) {
  (void)state;
  char *const before = with_matrices(OPSET "g (float[3,16] x) => (float[3,16] y) <float[16,16] w = {@}, "
                                           "float[16] b = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1}> "
                                           "{ [m] m = MatMul (x, w) [n] y = Add (b, m) }"),
              *const after =
                  with_matrices(OPSET "g (float[3,16] x) => (float[3,16] y) <float[16] b = "
                                      "{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1}, bfloat16[16,16] v_4 = {@}> "
                                      "{ v_2" NARROW "(x) [m_5] y = sumi.BMatMul <to = 1> (v_2, v_4, b) }");
  check("narrow-bf16", before, after);
  free(before);
  free(after);
}

/* Weights that are computed, as in training. */
static void computed(void **state) {
  (void)state;
  check("narrow-bf16",
        OPSET
        "g (float[N,1,4,4] x, float[2,1,1,1] w, float[2] b) => (float[N,2,4,4] y) { [n] y = Conv (x, w, b) }",
        OPSET "g (float[N,1,4,4] x, float[2,1,1,1] w, float[2] b) => (float[N,2,4,4] y) "
              "{ v_1" NARROW "(x) v_3" NARROW "(w) [n] y = sumi.BConv <to = 1> (v_1, v_3, b) }");
}

#define TURN(out, size, pads)                                                               \
  OPSET "g (float[N,3,4,4] x, float[3,2,3,3] w) => (float[N,2," size "," size "] y) { " out \
        "ConvTranspose " pads " (x, w) }"

/* A transposed convolution is one with turned weights; above stride 1 of all phases, which are then put in place. */
static void transposed(void **state) {
  (void)state;
  check("narrow-bf16", TURN("[n] y = ", "4", "<pads = [1, 1, 1, 1]>"),
        OPSET "g (float[N,3,4,4] x, float[3,2,3,3] w) => (float[N,2,4,4] y) "
              "{ v_1" NARROW "(x) v_3" NARROW "(w) v_5 = sumi.TurnWeights <pads = [1, 1, 1, 1]> (v_3) "
              "[n] y = sumi.BConv <pads = [1, 1, 1, 1], to = 1> (v_1, v_5) }");
  check("narrow-bf16",
        TURN("[n] y = ", "8", "<pads = [1, 1, 1, 1], strides = [2, 2], output_padding = [1, 1]>"),
        OPSET "g (float[N,3,4,4] x, float[3,2,3,3] w) => (float[N,2,8,8] y) "
              "{ v_1" NARROW "(x) v_3" NARROW
              "(w) v_5 = sumi.TurnWeights <pads = [1, 1, 1, 1], strides = [2, 2]> "
              "(v_3) [n] v_7 = sumi.BConv <pads = [0, 0, 1, 1], to = 1> (v_1, v_5) y = DepthToSpace:v13 "
              "<blocksize = 2> (v_7) }");
  /* phases of several sizes; strides that differ */
  unchanged("narrow-bf16", TURN("[n] y = ", "7", "<pads = [1, 1, 1, 1], strides = [2, 2]>"));
  unchanged("narrow-bf16",
            OPSET "g (float[N,3,4,4] x, float[3,2,2,2] w) => (float[N,2,8,5] y) { [n] y = ConvTranspose "
                  "<strides = [2, 1]> (x, w) }");
}

static void weight_gradient(void **state) {
  (void)state;
  check("narrow-bf16",
        OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw) "
              "{ [d] dw = sumi.ConvWeightGrad <kernel_shape = [3, 3]> (x, dy) }",
        OPSET "g (float[N,2,8,8] x, float[N,3,6,6] dy) => (float[3,2,3,3] dw) "
              "{ [d] dw = sumi.ConvWeightGrad <kernel_shape = [3, 3], narrow = 1> (x, dy) }");
}

/* The product itself, and its input's gradient by the transposed matrix. */
static void computed_products(void **state) {
  (void)state;
  check("narrow-bf16",
        OPSET "g (float[N,4,16] x, float[16,32] w) => (float[N,4,32] y) { [m] y = MatMul (x, w) }",
        OPSET "g (float[N,4,16] x, float[16,32] w) => (float[N,4,32] y) "
              "{ v_1" NARROW "(x) v_3" NARROW "(w) [m] y = sumi.BMatMul <to = 1> (v_1, v_3) }");
  check("narrow-bf16",
        OPSET "g (float[N,4,32] x, float[16,32] w) => (float[N,4,16] y) "
              "{ t = Transpose <perm = [1, 0]> (w) [m] y = MatMul (x, t) }",
        OPSET "g (float[N,4,32] x, float[16,32] w) => (float[N,4,16] y) "
              "{ v_2" NARROW "(x) v_4" NARROW "(w) [m] y = sumi.BMatMul <transB = 1, to = 1> (v_2, v_4) }");
  unchanged("narrow-bf16",
            OPSET "g (float[N,8] x, float[8,32] w) => (float[N,32] y) { [m] y = MatMul (x, w) }");
}

static void left_alone(void **state) {
  (void)state;
  /* depthwise; groups of weights that are computed, a transposed convolution with constant ones; few columns */
  unchanged("narrow-bf16", OPSET "g (float[1,2,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}> "
                                 "{ [n] y = Conv <group = 2> (x, w) }");
  unchanged("narrow-bf16", OPSET "g (float[1,2,4,4] x, float[2,1,1,1] w) => (float[1,2,4,4] y) "
                                 "{ [n] y = Conv <group = 2> (x, w) }");
  unchanged("narrow-bf16", OPSET "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[1,2,1,1] w = {1, 2}> "
                                 "{ [n] y = ConvTranspose (x, w) }");
  unchanged("narrow-bf16",
            OPSET "g (float[3,2] x) => (float[3,1] y) <float[2,1] w = {1, 2}> { [n] y = MatMul (x, w) }");
}

static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations_at(SUMI_PRECISION_BF16,
                                 OPSET PLANES "<float[2,1,1,1] w = {1, 2}, float[2,2,1,1] u = {1, -3, 2, 0}> "
                                              "{ a = Conv (x, w) p = MaxPool <kernel_shape = [1, 1]> (a) "
                                              "b = Conv (p, u) y = Tanh (b) }");
  survives_failed_allocations_at(SUMI_PRECISION_BF16,
                                 OPSET "g (float[1,1,4,4] x, float[1,2,2,2] w) => (float[1,2,8,8] y) "
                                       "{ y = ConvTranspose <strides = [2, 2]> (x, w) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions),
                                     cmocka_unit_test(residual_and_pool),
                                     cmocka_unit_test(factors),
                                     cmocka_unit_test(shared),
                                     cmocka_unit_test(products),
                                     cmocka_unit_test(computed),
                                     cmocka_unit_test(transposed),
                                     cmocka_unit_test(weight_gradient),
                                     cmocka_unit_test(computed_products),
                                     cmocka_unit_test(left_alone),
                                     cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
