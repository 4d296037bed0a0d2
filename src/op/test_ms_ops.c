/* The com.microsoft operators of transformer networks against values computed by ONNX Runtime 1.32 (CPU) from the same
 * inputs: one node per model, inputs filled by probe_fill's formula, attributes as below. Forms that it does not run are
 * tested to equal forms that it does. */
#include "op/test_probe.h"

static const double tolerance = 2e-5; /* float sums in different orders */

/* ---- Attention --------------------------------------------------------------------------------------------------- */

static const float attention_past_y[] = {
    0.12040988f,   -1.1161695f,  -0.034861468f, -1.3987925f,  0.14393751f,  -1.1985333f,
    -0.046867549f, -1.388968f,   0.073045254f,  -0.46396384f, -0.13276328f, 0.13549557f,
    0.26721787f,   -0.64175284f, -0.037006322f, 0.23654376f,
};
static const float attention_bias_y[] = {
    0.14877643f, -1.2596732f, 0.59227127f, -1.3982583f, 0.47937825f,   -1.455485f,
    0.30209219f, -1.3405899f, 0.53690726f, -1.3683808f, 0.48364651f,   -1.4768263f,
    0.14780211f, -1.259159f,  0.59262305f, -1.3984225f, 0.47935483f,   -1.4553679f,
    0.90853471f, -1.5663371f, 0.20373768f, -1.8084253f, -0.06428954f,  -2.132654f,
    0.7538808f,  -1.4847143f, 0.25958493f, -1.8384957f, -0.068585314f, -2.1111751f,
    0.90751928f, -1.5658011f, 0.20410439f, -1.8085845f, -0.064312279f, -2.1325405f,
};

static void attention_with_past(void **state) {
  (void)state;
  static const int32_t mask[] = {0, 1, 1, 1, 1, 1, 1, 1};
  struct probe p;
  probe_init(&p, "com.microsoft.Attention");
  probe_int(&p, "num_heads", 2);
  probe_int(&p, "unidirectional", 1);
  float *weights = probe_fill(&p, 48, 2), *past = probe_fill(&p, 32, 4);
  for (int i = 0; i < 48; i++) weights[i] /= 4;
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 16, 1), 3, 2, 2, 4);
  probe_in(&p, SUMI_FLOAT32, weights, 2, 4, 12);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 12, 3), 1, 12);
  probe_in(&p, SUMI_INT32, mask, 2, 2, 4);
  probe_in(&p, SUMI_FLOAT32, past, 5, 2, 2, 2, 2, 2);
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  probe_expect(&p, 0, attention_past_y, SUMI_COUNT(attention_past_y), tolerance);
  /* the present begins with the past: k of sequence 1, head 0 */
  assert_int_equal(p.out[1].dim[3], 4);
  assert_memory_equal((float *)p.out[1].data + 2 * 4 * 2, past + 2 * 2 * 2, 4 * sizeof(float));
  probe_fini(&p);
}

static void attention_with_bias_and_bounds(void **state) {
  (void)state;
  static const int64_t sizes[] = {4, 4, 6};
  static const int32_t bounds[] = {3, 2, 1, 0};
  struct probe p;
  probe_init(&p, "com.microsoft.Attention");
  probe_int(&p, "num_heads", 2);
  probe_ints(&p, "qkv_hidden_sizes", sizes, 3);
  probe_float(&p, "scale", 0.25f);
  probe_float(&p, "mask_filter_value", -5);
  float *weights = probe_fill(&p, 56, 2);
  for (int i = 0; i < 56; i++) weights[i] /= 4;
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 24, 1), 3, 2, 3, 4);
  probe_in(&p, SUMI_FLOAT32, weights, 2, 4, 14);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 14, 3), 1, 14);
  probe_in(&p, SUMI_INT32, bounds, 1, 4);
  probe_absent(&p);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 18, 5), 4, 1, 2, 3, 3);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, attention_bias_y, SUMI_COUNT(attention_bias_y), tolerance);
  probe_fini(&p);
}

/* An attention over 3 past and 2 new tokens, masked in one of two ways; the past in a cache of rows rows. */
static void attention_masked(struct probe *p, const int32_t *mask, bool megatron, int rows) {
  static const int32_t length[] = {3};
  probe_init(p, "com.microsoft.Attention");
  probe_int(p, "num_heads", 1);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 8, 1), 3, 1, 2, 4);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 48, 2), 2, 4, 12);
  probe_absent(p);
  if (megatron)
    probe_in(p, SUMI_INT32, mask, 4, 1, 1, 6, 6);
  else
    probe_in(p, SUMI_INT32, mask, 3, 1, 2, 5);
  float *past = SUMI_NEW_ARRAY(&p->arena, (size_t)(2 * rows * 4), float);
  const float *k = probe_fill(p, 12, 5), *v = probe_fill(p, 12, 6);
  memcpy(past, k, 12 * sizeof *k);
  memcpy(past + rows * 4, v, 12 * sizeof *v);
  probe_in(p, SUMI_FLOAT32, past, 5, 2, 1, 1, rows, 4);
  if (rows > 3) {
    probe_int(p, "past_present_share_buffer", 1);
    probe_absent(p);
    probe_in(p, SUMI_INT32, length, 1, 1);
  }
  assert_int_equal(probe_run(p, 2), SUMI_OK);
}

static void attention_forms_agree(void **state) {
  (void)state;
  static const int32_t mask[] = {1, 0, 1, 1, 0, 0, 1, 1, 1, 1};
  int32_t square[36] = {0};
  memcpy(square + 3 * 6, mask, 5 * sizeof *mask);
  memcpy(square + 4 * 6, mask + 5, 5 * sizeof *mask);
  struct probe want, got;
  attention_masked(&want, mask, false, 3);
  attention_masked(&got, square, true, 3);
  probe_expect(&got, 0, want.out[0].data, 8, 0);
  probe_expect(&got, 1, want.out[1].data, 40, 0);
  probe_fini(&got);
  attention_masked(&got, mask, false, 9);
  probe_expect(&got, 0, want.out[0].data, 8, 0);
  assert_int_equal(got.out[1].dim[3], 9);
  assert_memory_equal(got.out[1].data, want.out[1].data, 20 * sizeof(float));
  assert_memory_equal((float *)got.out[1].data + 36, (float *)want.out[1].data + 20, 20 * sizeof(float));
  probe_fini(&got);
  probe_fini(&want);
}

static void attention_refuses(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "com.microsoft.Attention");
  probe_int(&p, "num_heads", 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, 1), 3, 1, 2, 4);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 48, 2), 2, 4, 12);
  assert_int_equal(probe_run(&p, 1), SUMI_E_SHAPE); /* 4 do not split into 3 heads */
  assert_string_equal(p.err.text,
                      "node 'n' (com.microsoft.Attention): hidden sizes 4 and 4 do not split into 3 heads");
  probe_fini(&p);
}

/* ---- MultiHeadAttention ------------------------------------------------------------------------------------------ */

static const float mha_y[] = {
    1.8330686f,  -2.1669316f, 1.4580686f,  0.34286737f, 1.44223f,     -0.032132633f,
    1.8498975f,  -2.1501029f, 1.4748975f,  0.5646432f,  1.3493935f,   0.1896432f,
    1.1360476f,  0.94854754f, 0.76104754f, 0.55440724f, 0.36690721f,  0.17940721f,
    0.77963924f, 0.59213924f, 0.40463924f, 0.20282117f, 0.015321176f, -0.17217882f,
};

static void multi_head_attention(void **state) {
  (void)state;
  static const int32_t mask[] = {1, 0, 1, 1, 1, 0};
  struct probe p;
  probe_init(&p, "com.microsoft.MultiHeadAttention");
  probe_int(&p, "num_heads", 2);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 16, 1), 3, 2, 2, 4);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 24, 2), 3, 2, 3, 4);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 36, 3), 3, 2, 3, 6);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 14, 4), 1, 14);
  probe_in(&p, SUMI_INT32, mask, 2, 2, 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 6, 6), 4, 1, 1, 2, 3);
  assert_int_equal(probe_run(&p, 3), SUMI_OK);
  probe_expect(&p, 0, mha_y, SUMI_COUNT(mha_y), tolerance);
  assert_int_equal(p.out[2].dim[3], 3);
  probe_fini(&p);
}

enum { SEPARATE, HEADS, PACKED_KV, PACKED_QKV };

/* 2 sequences of 3 tokens in 2 heads of 2, the same numbers in each of the four forms. */
static void attend_form(struct probe *p, int form) {
  probe_init(p, "com.microsoft.MultiHeadAttention");
  probe_int(p, "num_heads", 2);
  const float *x[3] = {probe_fill(p, 24, 1), probe_fill(p, 24, 2),
                       probe_fill(p, 24, 3)}; /* [2, 3, 2, 2] each */
  float *packed = SUMI_NEW_ARRAY(&p->arena, 72, float), *heads[3];
  const int first = form == PACKED_KV ? 1 : 0, parts = 3 - first;
  for (int i = 0; i < 3; i++) heads[i] = SUMI_NEW_ARRAY(&p->arena, 24, float);
  for (int b = 0; b < 2; b++)
    for (int t = 0; t < 3; t++)
      for (int n = 0; n < 2; n++)
        for (int i = 0; i < 3; i++)
          for (int h = 0; h < 2; h++) {
            const float value = x[i][((b * 3 + t) * 2 + n) * 2 + h];
            heads[i][((b * 2 + n) * 3 + t) * 2 + h] = value;
            if (i >= first) packed[(((b * 3 + t) * 2 + n) * parts + i - first) * 2 + h] = value;
          }
  if (form == PACKED_QKV) {
    probe_in(p, SUMI_FLOAT32, packed, 5, 2, 3, 2, 3, 2);
  } else {
    probe_in(p, SUMI_FLOAT32, x[0], 3, 2, 3, 4);
    for (int i = 1; i < 3 && form != PACKED_KV; i++) {
      if (form == HEADS)
        probe_in(p, SUMI_FLOAT32, heads[i], 4, 2, 2, 3, 2);
      else
        probe_in(p, SUMI_FLOAT32, x[i], 3, 2, 3, 4);
    }
    if (form == PACKED_KV) probe_in(p, SUMI_FLOAT32, packed, 5, 2, 3, 2, 2, 2);
  }
  assert_int_equal(probe_run(p, 4), SUMI_OK);
}

static void multi_head_attention_forms_agree(void **state) {
  (void)state;
  struct probe want;
  attend_form(&want, SEPARATE);
  for (int form = HEADS; form <= PACKED_QKV; form++) {
    struct probe got;
    attend_form(&got, form);
    for (int i = 0; i < 4; i++) probe_expect(&got, i, want.out[i].data, sumi_tensor_count(&want.out[i]), 0);
    probe_fini(&got);
  }
  probe_fini(&want);
}

/* ---- normalisation ----------------------------------------------------------------------------------------------- */

static const float skip_y[] = {
    -2.021374f,   0.1644876f,  -2.417942f,   -1.3947731f, -2.7170172f,  0.26753497f, 0.95636642f,
    -0.78397197f, 1.4099779f,  -1.6286688f,  -3.4390688f, 0.7385298f,   -1.0991032f, -1.093236f,
    -1.6975499f,  -1.6948638f, -0.58551836f, -2.4660282f, -0.55242079f, -3.0303822f,
};
static const float skip_sum[] = {
    -0.9375f, 0.6875f, -1.5f,  3.9375f, -2.0625f, 1.9375f, -0.25f, 1.375f,  -0.8125f, 0.8125f,
    -1.875f,  -0.25f,  1.375f, 3,       0.8125f,  1,       2.625f, 0.4375f, 2.0625f,  -0.125f,
};
static const float skip_simplified_y[] = {
    -1.0939726f, 0.10744373f, -1.2014163f, -1.0483904f, -1.2209514f,
    1.0301597f,  0.80941117f, 0.31535503f, 1.4716568f,  -0.21023668f,
};
static const float simplified_y[] = {
    -0.20773667f, -1.7897311f, -0.063918971f, 1.558025f,   0.15180756f,
    0.1558366f,   2.3998837f,  0.027271405f,  -2.9219363f, -0.031167321f,
};
static const float embed_y[] = {
    -0.093125403f, 1.9614191f,  0.65231824f, 1.4085544f,  1.6045721f,    0.26448101f,
    1.5523249f,    0.58286071f, 1.5890585f,  0.99873328f, -0.093125403f, 1.9614191f,
    0.65231824f,   1.4085544f,  1.6045721f,  1.7628899f,  1.405169f,     -2.6990428f,
    1.1429034f,    -2.2540669f, -1.7619264f, 0.75938296f, -1.7078607f,   1.1925875f,
    -1.5563021f,   0.50076157f, 1.9291847f,  0.75031459f, 1.4585935f,    1.0743653f,
};
static const float embed_sum[] = {
    0.3125f, 1.9375f,  -0.25f,   1.375f,   -0.8125f, -1.125f,  0.5f,   -1.6875f, 3.75f,   -2.25f,
    -1.125f, 0.5f,     -1.6875f, -0.0625f, -2.25f,   -0.625f,  1,      2.625f,   0.4375f, 2.0625f,
    2.1875f, -3.8125f, 1.625f,   -0.5625f, 1.0625f,  -2.5625f, 2.875f, -3.125f,  2.3125f, -3.6875f,
};

static void skip_layer_normalization(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "com.microsoft.SkipLayerNormalization");
  probe_float(&p, "epsilon", 0.01f);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 20, 1), 3, 2, 2, 5);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 10, 2), 2, 2, 5);
  for (int i = 3; i <= 5; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 5, i), 1, 5);
  assert_int_equal(probe_run(&p, 4), SUMI_OK);
  probe_expect(&p, 0, skip_y, SUMI_COUNT(skip_y), tolerance);
  probe_expect(&p, 3, skip_sum, SUMI_COUNT(skip_sum), 0); /* exact: few bits */
  const float mean = (-0.9375f + 0.6875f - 1.5f + 3.9375f - 2.0625f) / 5;
  probe_expect(
      &p, 1,
      (float[]){mean, ((float *)p.out[1].data)[1], ((float *)p.out[1].data)[2], ((float *)p.out[1].data)[3]},
      4, 1e-6);
  probe_fini(&p);
}

static void skip_simplified_layer_normalization(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "com.microsoft.SkipSimplifiedLayerNormalization");
  probe_float(&p, "epsilon", 0.01f);
  for (int i = 1; i <= 2; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 10, i), 2, 2, 5);
  for (int i = 3; i <= 4; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 5, i), 1, 5);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, skip_simplified_y, SUMI_COUNT(skip_simplified_y), tolerance);
  probe_fini(&p);
}

static void simplified_layer_normalization(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "SimplifiedLayerNormalization");
  probe_float(&p, "epsilon", 0.01f);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 10, 1), 2, 2, 5);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 5, 2), 1, 5);
  assert_int_equal(probe_run(&p, 2), SUMI_OK);
  probe_expect(&p, 0, simplified_y, SUMI_COUNT(simplified_y), tolerance);
  probe_fini(&p);
}

static void embed_layer_normalization(void **state) {
  (void)state;
  static const int32_t ids[] = {0, 3, 1, 2, 1, 0}, segments[] = {0, 1, 1, 0, 0, 1},
                       mask[] = {1, 1, 0, 1, 2, 1};
  static const int32_t positions[] = {5, 0, 2}, index[] = {2, 2};
  int32_t bad[] = {0, 4, 1, 2, 1, 0};
  struct probe p;
  probe_init(&p, "com.microsoft.EmbedLayerNormalization");
  probe_float(&p, "epsilon", 0.01f);
  probe_in(&p, SUMI_INT32, ids, 2, 2, 3);
  probe_in(&p, SUMI_INT32, segments, 2, 2, 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 20, 1), 2, 4, 5);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 30, 2), 2, 6, 5);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 10, 3), 2, 2, 5);
  for (int i = 4; i <= 5; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 5, i), 1, 5);
  probe_in(&p, SUMI_INT32, mask, 2, 2, 3);
  probe_in(&p, SUMI_INT32, positions, 2, 1, 3);
  assert_int_equal(probe_run(&p, 3), SUMI_OK);
  probe_expect(&p, 0, embed_y, SUMI_COUNT(embed_y), tolerance);
  assert_memory_equal(p.out[1].data, index, sizeof index);
  probe_expect(&p, 2, embed_sum, SUMI_COUNT(embed_sum), 0); /* exact: few bits */
  p.in[0].data = bad;
  assert_int_equal(probe_run(&p, 3), SUMI_E_VALUE);
  probe_fini(&p);
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

static const float bias_gelu_y[] = {
    -0.16137433f, -0.16997051f,   -0.16336003f, 2.6778266f,  -0.12426192f,
    0.7080614f,   -0.0027781352f, 0.34573123f,  0.19458428f, 0.068717279f,
};
static const float fast_gelu_y[] = {
    -0.16140062f, -0.17003945f,   -0.16349064f, 2.6782999f,  -0.12449337f,
    0.70795274f,  -0.0024158508f, 0.345714f,    0.19458136f, 0.068717197f,
};
static const float quick_gelu_y[] = {
    -0.18537717f, 0.81757444f,  -0.18242556f, 0.62712282f,  -0.17117673f,
    0.44912148f,  -0.15509365f, 0.28805763f,  -0.13681841f, 0.14816666f,
};
static const float gelu_y[] = {
    -0.16920507f, 0.84134471f,  -0.15865526f, 0.64329493f,   -0.13954934f,
    0.45875904f,  -0.11627787f, 0.29274246f,  -0.092320517f, 0.14967658f,
};

static void gelus(void **state) {
  (void)state;
  static const struct {
    const char *op;
    const float *want;
    bool bias;
  } cases[] = {{"com.microsoft.BiasGelu", bias_gelu_y, true},
               {"com.microsoft.FastGelu", fast_gelu_y, true},
               {"com.microsoft.QuickGelu", quick_gelu_y, false},
               {"com.microsoft.Gelu", gelu_y, false}};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct probe p;
    probe_init(&p, cases[i].op);
    if (i == 2) probe_float(&p, "alpha", 1.5f);
    probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 10, 1), 2, 2, 5);
    if (cases[i].bias) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 5, 2), 1, 5);
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    probe_expect(&p, 0, cases[i].want, 10, 1e-6); /* one function of one sum, in float */
    probe_fini(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attention_with_past),
      cmocka_unit_test(attention_with_bias_and_bounds),
      cmocka_unit_test(attention_forms_agree),
      cmocka_unit_test(attention_refuses),
      cmocka_unit_test(multi_head_attention),
      cmocka_unit_test(multi_head_attention_forms_agree),
      cmocka_unit_test(skip_layer_normalization),
      cmocka_unit_test(skip_simplified_layer_normalization),
      cmocka_unit_test(simplified_layer_normalization),
      cmocka_unit_test(embed_layer_normalization),
      cmocka_unit_test(gelus),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
