/* What the com.microsoft operators refuse while running, and what a random case does not reach. */
#include "op/test_probe.h"

static void expect_refusal(struct probe *p, int n_out, sumi_status status, const char *words) {
  assert_int_equal(probe_run(p, n_out), status);
  if (!strstr(p->err.text, words)) fail_msg("'%s' does not say '%s'", p->err.text, words);
  probe_fini(p);
}

/* ---- GroupQueryAttention ----------------------------------------------------------------------------------------- */

/* One new token behind a cache of 4 rows, 2 heads of 4 to one of k and v; cosines for 6 positions. */
static void decode(struct probe *p, const int32_t *length, const int32_t *total) {
  probe_init(p, "com.microsoft.GroupQueryAttention");
  probe_int(p, "num_heads", 2);
  probe_int(p, "kv_num_heads", 1);
  probe_int(p, "do_rotary", 1);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 8, 1), 3, 1, 1, 8);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 4, 2), 3, 1, 1, 4);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 4, 3), 3, 1, 1, 4);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 16, 4), 4, 1, 1, 4, 4);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 16, 5), 4, 1, 1, 4, 4);
  probe_in(p, SUMI_INT32, length, 1, 1);
  struct sumi_tensor *t = probe_in(p, SUMI_INT32, total, 0);
  p->info[p->node.n_in - 1].data = t;
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 12, 6), 2, 6, 2);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 12, 7), 2, 6, 2);
}

static void group_query_attention_refuses(void **state) {
  (void)state;
  static const int32_t two[] = {2}, three[] = {3}, six[] = {6}, seven[] = {7}, five[] = {5},
                       negative[] = {-1};
  static const int64_t far[] = {6}, before[] = {-1};
  struct probe p;
  decode(&p, three, three);
  expect_refusal(&p, 3, SUMI_E_VALUE, "seqlens_k[0] is 3");
  decode(&p, negative, three);
  expect_refusal(&p, 3, SUMI_E_VALUE, "seqlens_k[0] is -1");
  decode(&p, five, six);
  expect_refusal(&p, 3, SUMI_E_VALUE, "5 past tokens, the cache 4 rows");
  decode(&p, six, seven);
  expect_refusal(&p, 3, SUMI_E_VALUE, "6 past tokens");
  decode(&p, two, three);
  probe_in(&p, SUMI_INT64, far, 2, 1, 1);
  expect_refusal(&p, 3, SUMI_E_VALUE, "position 6 is outside");
  decode(&p, two, three);
  probe_in(&p, SUMI_INT64, before, 2, 1, 1);
  expect_refusal(&p, 3, SUMI_E_VALUE, "position -1 is outside");
}

/* total_sequence_length is known when running only: what depends on it is checked then. */
static void group_query_attention_checks_late(void **state) {
  (void)state;
  static const int32_t two[] = {2}, three[] = {3};
  struct probe p;
  decode(&p, two, three);
  p.info[p.node.n_in - 3].data = NULL;
  probe_absent(&p);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 4, 8), 4, 1, 2, 1, 2);
  expect_refusal(&p, 1, SUMI_E_SHAPE, "the bias is for 2 keys");
}

/* The rows behind a sequence are the past's. */
static void group_query_attention_keeps_the_cache(void **state) {
  (void)state;
  static const int32_t one[] = {1}, two[] = {2};
  struct probe p;
  decode(&p, one, two);
  assert_int_equal(probe_run(&p, 3), SUMI_OK);
  assert_int_equal(p.out[1].dim[2], 4);
  for (int i = 1; i <= 2; i++) {
    const float *past = p.in[2 + i].data, *present = p.out[i].data;
    assert_memory_equal(present, past, 4 * sizeof *past);
    assert_memory_equal(present + 8, past + 8, 8 * sizeof *past);
  }
  assert_memory_equal((float *)p.out[2].data + 4, p.in[2].data, 4 * sizeof(float)); /* the new value */
  probe_fini(&p);
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static void decoder_refuses_beams(void **state) {
  (void)state;
  static const int32_t length[] = {2}, width[] = {2}, beams[] = {0, 1, 0, 0, 2, 0};
  struct probe p;
  probe_init(&p, "com.microsoft.DecoderMaskedMultiHeadAttention");
  probe_int(&p, "num_heads", 1);
  probe_int(&p, "past_present_share_buffer", 1);
  for (int i = 0; i < 3; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 8, i), 3, 2, 1, 4);
  probe_absent(&p);
  probe_absent(&p);
  for (int i = 0; i < 2; i++) probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 24, i), 4, 2, 1, 3, 4);
  probe_in(&p, SUMI_INT32, length, 1, 1);
  probe_in(&p, SUMI_INT32, width, 1, 1);
  probe_in(&p, SUMI_INT32, beams, 3, 1, 2, 3);
  expect_refusal(&p, 3, SUMI_E_VALUE, "token 1 comes from beam 2 of 2");
}

static void singular_matrix(void **state) {
  (void)state;
  static const float x[] = {1, 0, 0, 1, 1, 2, 2, 4};
  struct probe p;
  probe_init(&p, "com.microsoft.Inverse");
  probe_in(&p, SUMI_FLOAT32, x, 3, 2, 2, 2);
  expect_refusal(&p, 1, SUMI_E_VALUE, "matrix 1 is singular");
}

static void token_outside(void **state) {
  (void)state;
  static const int64_t ids[] = {5, 0, 5};
  struct probe p;
  probe_init(&p, "com.microsoft.NGramRepeatBlock");
  probe_int(&p, "ngram_size", 1);
  probe_in(&p, SUMI_INT64, ids, 2, 1, 3);
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 5, 1), 2, 1, 5);
  expect_refusal(&p, 1, SUMI_E_VALUE, "token 5 is outside the vocabulary of 5");
}

/* Boxes of no number are outside; an image that is not there is refused. */
static void crops(void **state) {
  (void)state;
  static const float boxes[] = {NAN, 0, 1, 1, 0, 0, INFINITY, 1}, want[] = {-3, -3};
  static const int32_t images[] = {0, 0}, missing[] = {0, 1}, size[] = {1, 1};
  struct probe p;
  for (int i = 0; i < 2; i++) {
    probe_init(&p, "com.microsoft.CropAndResize");
    probe_float(&p, "extrapolation_value", -3);
    probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 4, 1), 4, 1, 1, 2, 2);
    probe_in(&p, SUMI_FLOAT32, boxes, 2, 2, 4);
    probe_in(&p, SUMI_INT32, i ? missing : images, 1, 2);
    struct sumi_tensor *t = probe_in(&p, SUMI_INT32, size, 1, 2);
    p.info[p.node.n_in - 1].data = t;
    if (i) {
      expect_refusal(&p, 1, SUMI_E_VALUE, "box 1 is of image 1 of 1");
      continue;
    }
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    probe_expect(&p, 0, want, 2, 0);
    probe_fini(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(group_query_attention_refuses),
      cmocka_unit_test(group_query_attention_checks_late),
      cmocka_unit_test(group_query_attention_keeps_the_cache),
      cmocka_unit_test(decoder_refuses_beams),
      cmocka_unit_test(singular_matrix),
      cmocka_unit_test(token_outside),
      cmocka_unit_test(crops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
