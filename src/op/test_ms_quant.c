/* RotaryEmbedding and the quantised operators of com.microsoft against values computed by ONNX Runtime 1.32 (CPU): one node
 * a model, floats filled by probe_fill's formula, bytes by (37 i + 11 seed) mod 256, the rest as below. */
#include "op/test_probe.h"

static void *bytes(struct probe *p, int n, int seed) {
  uint8_t *x = SUMI_NEW_ARRAY(&p->arena, (size_t)n, uint8_t);
  for (int i = 0; i < n; i++) x[i] = (uint8_t)(37 * i + 11 * seed);
  return x;
}

static void scale(struct probe *p, float value) {
  float *x = SUMI_NEW(&p->arena, float);
  *x = value;
  probe_in(p, SUMI_FLOAT32, x, 0);
}

static void zero(struct probe *p, sumi_dtype dtype, int value) {
  uint8_t *x = SUMI_NEW(&p->arena, uint8_t);
  *x = (uint8_t)value;
  probe_in(p, dtype, x, 0);
}

/* Runs and compares output 0. */
static void expect(struct probe *p, int n_out, const float *want, int64_t n, double tolerance) {
  if (probe_run(p, n_out) != SUMI_OK) fail_msg("%s", p->err.text);
  probe_expect(p, 0, want, n, tolerance);
  probe_fini(p);
}
#define EXPECT(p, n_out, want, tolerance) expect(p, n_out, want, SUMI_COUNT(want), tolerance)

static const float rotary_y[] = {
    1.0742188f,   2.5859375f,   -0.9765625f, 0.6484375f,  1.4726562f,   1.5546875f,  -1.421875f,  0.2734375f,
    1.90625f,     -0.39453125f, -2.4882812f, -0.28125f,   -1.7460938f,  0.00390625f, 2.8828125f,  0.6328125f,
    -1.453125f,   -1.609375f,   0.71484375f, -0.40625f,   -1.0546875f,  -2.640625f,  0.55078125f, -0.5f,
    -0.62109375f, -3.6367188f,  0.6328125f,  -1.0976562f, -0.22265625f, -4.6679688f, 0.328125f,   -1.3320312f,
};
static const float rotary_part_y[] = {
    -1.1757812f, -0.8515625f, -1.1640625f, 2.3984375f, -1.1875f,    0.625f,     -0.578125f, -1.5195312f,
    -2.7109375f, 1.8359375f,  -1.75f,      0.0625f,    -0.1171875f, 1.7734375f, 2.515625f,  -2.3203125f,
    1.5f,        -0.5f,       0.48046875f, 1.3164062f, 0.96875f,    -2.671875f, 0.9375f,    -1.0625f,
};
static const float nbits_4_y[] = {
    -29.007812f, -20.414062f, -21.039062f, 2.9921875f, -41.835938f, 19.75f,
};
static const float nbits_2_y[] = {
    -10.007812f, 1.015625f, -3.59375f, 11.976562f, 9.4375f, 3.2539062f,
};
static const float add_y[] = {
    6, 48, 91, 133, 175, 217, 187, 21, 63, 105, 147, 190,
};
static const float mul_y[] = {
    4, 30, 84, -128, 89, 33, 5, 5, 33, 89, -128, 84,
};
static const float sigmoid_y[] = {
    1, 5, 27, 109, 211, 248, 255, 1, 5, 31, 118, 216,
};
static const float leaky_relu_y[] = {
    5, 51, 97, 127, -35, -23, -12, 8, 55, 101, 127, -34,
};
static const float pool_y[] = {
    110, 250, 176, 210, 243, 170,
};
static const float softmax_y[] = {
    1, 2, 6, 19, 57, 172, 218, 0, 1, 3, 9, 26,
};
static const float concat_y[] = {
    4, 26, 6, 58, 109, 49, 71, 161, 213, 255,
};
static const float integer_y[] = {
    -2375.7375f, 3234.4751f, -5290.9878f, -6116.8877f, 3944.5251f, -6452.8877f,
};
static const float dynamic_y[] = {
    75.556023f, 104.92294f, -169.90231f, 108.77997f, -329.87619f, 541.58716f,
};
static const float qgemm_y[] = {
    -2216.6814f, 329.65625f, -2718.5625f, -1160.1188f, 1608.6813f, -5765.2876f,
};
static const float qgemm_bytes_y[] = {
    90, 151, 111, 125, 110, 53,
};
static const float qattention_y[] = {
    0.059554227f, -3.6902294f,   1.5022697f,  -0.63314062f, 0.4204146f, -1.2772168f,
    1.258518f,    -0.71384734f,  1.252475f,   -0.74832869f, 1.062292f,  -0.93773621f,
    2.2374091f,   -0.083245538f, -1.3188155f, -3.6420052f,
};

static void rotary(void **state) {
  (void)state;
  static const int64_t positions[] = {1, 0, 3, 2};
  struct probe p;
  probe_init(&p, "com.microsoft.RotaryEmbedding");
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 32, 1), 3, 2, 2, 8);
  probe_in(&p, SUMI_INT64, positions, 2, 2, 2);
  for (int i = 2; i <= 3; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, i), 2, 4, 2);
  EXPECT(&p, 1, rotary_y, 1e-6);
  probe_init(&p, "com.microsoft.RotaryEmbedding");
  probe_int(&p, "num_heads", 2);
  probe_int(&p, "rotary_embedding_dim", 4);
  probe_int(&p, "interleaved", 1);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 24, 1), 3, 1, 2, 12);
  probe_in(&p, SUMI_INT64, positions, 1, 1);
  for (int i = 2; i <= 3; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, i), 2, 4, 2);
  EXPECT(&p, 1, rotary_part_y, 1e-6);
}

static void rotary_beyond_the_cache(void **state) {
  (void)state;
  static const int64_t first = 3;
  struct probe p;
  probe_init(&p, "com.microsoft.RotaryEmbedding");
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, 1), 3, 1, 2, 4);
  probe_in(&p, SUMI_INT64, &first, 1, 1);
  for (int i = 2; i <= 3; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, i), 2, 4, 2);
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE); /* the second token's position is 4 */
  probe_fini(&p);
}

static void matmul_nbits(void **state) {
  (void)state;
  for (int bits = 2; bits <= 4; bits += 2) {
    struct probe p;
    probe_init(&p, "com.microsoft.MatMulNBits");
    probe_int(&p, "K", 20);
    probe_int(&p, "N", 3);
    probe_int(&p, "bits", bits);
    probe_int(&p, "block_size", 16);
    probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 40, 1), 2, 2, 20);
    probe_in(&p, SUMI_UINT8, bytes(&p, 12 * bits, 2), 3, 3, 2, 2 * bits);
    probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 6, 3), 2, 3, 2);
    if (bits == 4) probe_in(&p, SUMI_UINT8, bytes(&p, 3, 4), 2, 3, 1);
    if (bits == 4)
      EXPECT(&p, 1, nbits_4_y, 1e-5);
    else
      EXPECT(&p, 1, nbits_2_y, 1e-5);
  }
}

static void elementwise(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "com.microsoft.QLinearAdd");
  probe_in(&p, SUMI_UINT8, bytes(&p, 12, 1), 2, 2, 6);
  scale(&p, 0.05f);
  zero(&p, SUMI_UINT8, 9);
  probe_in(&p, SUMI_UINT8, bytes(&p, 6, 2), 1, 6);
  scale(&p, 0.02f);
  zero(&p, SUMI_UINT8, 100);
  scale(&p, 0.0613f);
  zero(&p, SUMI_UINT8, 30);
  EXPECT(&p, 1, add_y, 0);
  probe_init(&p, "com.microsoft.QLinearMul");
  probe_in(&p, SUMI_INT8, bytes(&p, 12, 1), 2, 2, 6);
  scale(&p, 0.05f);
  zero(&p, SUMI_INT8, 9);
  probe_in(&p, SUMI_INT8, bytes(&p, 12, 2), 2, 2, 6);
  scale(&p, 0.02f);
  zero(&p, SUMI_INT8, -7);
  scale(&p, 0.0971f);
  zero(&p, SUMI_INT8, 3);
  EXPECT(&p, 1, mul_y, 0);
  probe_init(&p, "com.microsoft.QLinearSigmoid");
  probe_in(&p, SUMI_UINT8, bytes(&p, 12, 1), 1, 12);
  scale(&p, 0.05f);
  zero(&p, SUMI_UINT8, 128);
  scale(&p, 1.0f / 256);
  EXPECT(&p, 1, sigmoid_y, 0);
  probe_init(&p, "com.microsoft.QLinearLeakyRelu");
  probe_float(&p, "alpha", 0.25f);
  probe_in(&p, SUMI_INT8, bytes(&p, 12, 1), 1, 12);
  scale(&p, 0.05f);
  zero(&p, SUMI_INT8, 5);
  scale(&p, 0.04f);
  zero(&p, SUMI_INT8, -3);
  EXPECT(&p, 1, leaky_relu_y, 0);
}

static void pool_softmax_concat(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "com.microsoft.QLinearGlobalAveragePool");
  probe_in(&p, SUMI_UINT8, bytes(&p, 24, 1), 4, 2, 3, 2, 2);
  scale(&p, 0.05f);
  zero(&p, SUMI_UINT8, 5);
  scale(&p, 0.03f);
  zero(&p, SUMI_UINT8, 7);
  EXPECT(&p, 1, pool_y, 0);
  probe_init(&p, "com.microsoft.QLinearSoftmax");
  probe_int(&p, "opset", 13);
  probe_in(&p, SUMI_UINT8, bytes(&p, 12, 1), 2, 2, 6);
  scale(&p, 0.03f);
  zero(&p, SUMI_UINT8, 5);
  scale(&p, 1.0f / 256);
  zero(&p, SUMI_UINT8, 0);
  EXPECT(&p, 1, softmax_y, 0);
  probe_init(&p, "com.microsoft.QLinearConcat");
  probe_int(&p, "axis", 1);
  scale(&p, 0.05f);
  zero(&p, SUMI_UINT8, 3);
  probe_in(&p, SUMI_UINT8, bytes(&p, 4, 1), 2, 2, 2);
  scale(&p, 0.03f);
  zero(&p, SUMI_UINT8, 9);
  probe_in(&p, SUMI_UINT8, bytes(&p, 6, 2), 2, 2, 3);
  scale(&p, 0.07f);
  zero(&p, SUMI_UINT8, 20);
  EXPECT(&p, 1, concat_y, 0);
}

static void products(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "com.microsoft.MatMulIntegerToFloat");
  probe_in(&p, SUMI_UINT8, bytes(&p, 10, 1), 2, 2, 5);
  probe_in(&p, SUMI_INT8, bytes(&p, 15, 2), 2, 5, 3);
  scale(&p, 0.1f);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 3, 3), 1, 3);
  zero(&p, SUMI_UINT8, 9);
  probe_in(&p, SUMI_INT8, bytes(&p, 3, 4), 1, 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 3, 5), 1, 3);
  EXPECT(&p, 1, integer_y, 1e-6);
  probe_init(&p, "com.microsoft.DynamicQuantizeMatMul");
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 10, 1), 2, 2, 5);
  probe_in(&p, SUMI_INT8, bytes(&p, 15, 2), 2, 5, 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 3, 3), 1, 3);
  probe_in(&p, SUMI_INT8, bytes(&p, 3, 4), 1, 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 3, 5), 1, 3);
  EXPECT(&p, 1, dynamic_y, 1e-6);
}

static void qgemm(void **state) {
  (void)state;
  static const int32_t c[] = {100, -2000, 300};
  for (int quantised = 0; quantised < 2; quantised++) {
    struct probe p;
    probe_init(&p, "com.microsoft.QGemm");
    probe_int(&p, "transB", 1);
    if (!quantised) probe_float(&p, "alpha", 0.5f);
    probe_in(&p, SUMI_UINT8, bytes(&p, 10, 1), 2, 2, 5);
    scale(&p, 0.1f);
    zero(&p, SUMI_UINT8, 9);
    probe_in(&p, SUMI_INT8, bytes(&p, 15, 2), 2, 3, 5);
    if (quantised)
      scale(&p, 0.02f), zero(&p, SUMI_INT8, 5);
    else
      probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 3, 3), 1, 3), probe_in(&p, SUMI_INT8, bytes(&p, 3, 4), 1, 3);
    probe_in(&p, SUMI_INT32, c, 1, 3);
    if (quantised) scale(&p, 1.25f), zero(&p, SUMI_UINT8, 120);
    if (quantised)
      EXPECT(&p, 1, qgemm_bytes_y, 0);
    else
      EXPECT(&p, 1, qgemm_y, 1e-6);
  }
}

static void qattention(void **state) {
  (void)state;
  static const int32_t lengths[] = {3, 2};
  struct probe p;
  probe_init(&p, "com.microsoft.QAttention");
  probe_int(&p, "num_heads", 2);
  probe_int(&p, "unidirectional", 1);
  probe_in(&p, SUMI_UINT8, bytes(&p, 12, 1), 3, 2, 2, 3);
  probe_in(&p, SUMI_INT8, bytes(&p, 36, 2), 2, 3, 12);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 12, 3), 1, 12);
  scale(&p, 0.01f);
  scale(&p, 0.02f);
  probe_in(&p, SUMI_INT32, lengths, 1, 2);
  zero(&p, SUMI_UINT8, 128);
  zero(&p, SUMI_INT8, 4);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 16, 4), 5, 2, 2, 2, 1, 2);
  EXPECT(&p, 2, qattention_y, 2e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rotary),
      cmocka_unit_test(rotary_beyond_the_cache),
      cmocka_unit_test(matmul_nbits),
      cmocka_unit_test(elementwise),
      cmocka_unit_test(pool_softmax_concat),
      cmocka_unit_test(products),
      cmocka_unit_test(qgemm),
      cmocka_unit_test(qattention),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
