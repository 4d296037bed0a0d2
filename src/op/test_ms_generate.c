/* GreedySearch, Sampling, BeamSearch against token sequences of ONNX Runtime 1.32 (CPU) with this decoder (V = 11 tokens,
 * one layer, one head of size 1; all its numbers are exact in float32):
 *   present = past, then the new ids as floats
 *   logits[b,s,v] = table[ids[b,s], v] + (v mod 5 - 2)/64 * sum over t of present[b,t] mask[b,t]
 *                 + (v mod 3 - 1)/8 * position_ids[b,s],             table = probe_fill(V * V, 7)
 * Prompts: 10 3 5 (10 is padding, so its position is 0 and its mask too) and 1 7 2. */
#include "op/test_probe.h"

enum { V = 11, MAX = 16, ROWS = 8 };

struct decoder {
  const float *table;
  float past[2][2 * ROWS * MAX]; /* of the last two runs */
  float logits[ROWS * 3 * V];
  struct sumi_tensor present[2], out_logits;
  int runs;
};

static sumi_status decode(void *self, const struct sumi_graph *body, const struct sumi_tensor *const *in,
                          int n_in, const struct sumi_tensor **out, int n_out, struct sumi_err *err) {
  (void)body, (void)err;
  struct decoder *d = self;
  assert_int_equal(n_in, 4);
  assert_int_equal(n_out, 2);
  const int rows = (int)in[0]->dim[0], tokens = (int)in[0]->dim[1], past = (int)in[3]->dim[3],
            all = past + tokens;
  assert_int_equal(in[1]->dim[1], tokens);
  assert_int_equal(in[2]->dim[1], all);
  const int32_t *ids = in[0]->data, *position = in[1]->data, *mask = in[2]->data;
  float *present = d->past[d->runs & 1];
  for (int half = 0; half < 2; half++)
    for (int r = 0; r < rows; r++)
      for (int t = 0; t < all; t++)
        present[(half * rows + r) * all + t] =
            t < past ? ((const float *)in[3]->data)[(half * rows + r) * past + t]
                     : (float)ids[r * tokens + t - past];
  for (int r = 0; r < rows; r++) {
    float sum = 0;
    for (int t = 0; t < all; t++) sum += present[r * all + t] * (float)mask[r * all + t];
    for (int s = 0; s < tokens; s++)
      for (int v = 0; v < V; v++)
        d->logits[(r * tokens + s) * V + v] = d->table[ids[r * tokens + s] * V + v] +
                                              (float)(v % 5 - 2) / 64 * sum +
                                              (float)(v % 3 - 1) / 8 * (float)position[r * tokens + s];
  }
  struct sumi_tensor *state = &d->present[d->runs++ & 1];
  *state =
      (struct sumi_tensor){.dtype = SUMI_FLOAT32, .rank = 5, .dim = {2, rows, 1, all, 1}, .data = present};
  d->out_logits =
      (struct sumi_tensor){.dtype = SUMI_FLOAT32, .rank = 3, .dim = {rows, tokens, V}, .data = d->logits};
  out[0] = &d->out_logits;
  out[1] = state;
  return SUMI_OK;
}

static const int32_t prompts[] = {10, 3, 5, 1, 7, 2};
static const int32_t without_4[V] = {1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1};

struct run {
  struct probe p;
  struct decoder d;
  struct sumi_graph *body;
};

static void run_init(struct run *r, const char *op, int eos) {
  memset(&r->d, 0, sizeof r->d);
  probe_init(&r->p, op);
  r->d.table = probe_fill(&r->p, V * V, 7);
  r->body = sumi_graph_new(sumi_allocator_default(), "decoder");
  const struct sumi_info matrix = {.dtype = SUMI_INT32, .rank = 2, .dim = {-1, -1}};
  const struct sumi_info past = {.dtype = SUMI_FLOAT32, .rank = 5, .dim = {2, -1, 1, -1, 1}};
  static const char *const names[] = {"input_ids", "position_ids", "attention_mask", "past_0"};
  for (int i = 0; i < 4; i++)
    assert_non_null(sumi_graph_add_input(r->body, names[i], i < 3 ? &matrix : &past));
  assert_true(sumi_graph_add_output(r->body, sumi_graph_add_value(r->body, "logits")));
  assert_true(sumi_graph_add_output(r->body, sumi_graph_add_value(r->body, "present_0")));
  r->p.attr[r->p.node.n_attr++] =
      (struct sumi_attr){.name = "decoder", .type = SUMI_ATTR_GRAPH, .n = 1, .u.g = r->body};
  probe_int(&r->p, "eos_token_id", eos);
  probe_int(&r->p, "pad_token_id", 10);
  probe_in(&r->p, SUMI_INT32, prompts, 2, 2, 3);
}

static void run_fini(struct run *r) {
  sumi_graph_free(r->body);
  probe_fini(&r->p);
}

static void add_int(struct run *r, int32_t value) {
  int32_t *x = SUMI_NEW(&r->p.arena, int32_t);
  *x = value;
  probe_in(&r->p, SUMI_INT32, x, 1, 1);
}

static void add_float(struct run *r, float value) {
  float *x = SUMI_NEW(&r->p.arena, float);
  *x = value;
  probe_in(&r->p, SUMI_FLOAT32, x, 1, 1);
}

static void go(struct run *r, int n_out) {
  const struct sumi_bodies bodies = {&r->d, decode};
  r->p.bodies = &bodies;
  if (probe_run(&r->p, n_out) != SUMI_OK) fail_msg("%s", r->p.err.text);
}

static void expect_tokens(const struct run *r, const int32_t *want, size_t bytes) {
  assert_int_equal(sumi_tensor_count(&r->p.out[0]) * 4, bytes);
  for (size_t i = 0; i < bytes / 4; i++)
    if (((const int32_t *)r->p.out[0].data)[i] != want[i])
      fail_msg("token %zu is %d, not %d", i, ((const int32_t *)r->p.out[0].data)[i], want[i]);
}

static void greedy_plain(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3, 5, 8, 4, 4, 4, 4, 4, 1, 7, 2, 1, 8, 2, 1, 8, 2};
  struct run r;
  run_init(&r, "com.microsoft.GreedySearch", 0);
  add_int(&r, 9);
  go(&r, 1);
  expect_tokens(&r, want, sizeof want);
  run_fini(&r);
}

static void greedy_with_everything(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3, 5, 8, 2, 1, 8, 8, 6, 9, 8, 9, 1, 7, 2, 3, 9, 8, 2, 5, 8, 8, 6, 9};
  struct run r;
  run_init(&r, "com.microsoft.GreedySearch", 0);
  probe_int(&r.p, "no_repeat_ngram_size", 2);
  add_int(&r, 12);
  add_int(&r, 9);
  add_float(&r, 1.5f);
  probe_in(&r.p, SUMI_INT32, without_4, 1, V);
  go(&r, 1);
  expect_tokens(&r, want, sizeof want);
  run_fini(&r);
}

static void greedy_that_ends(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3, 5, 8, 4,  2,  1,  8,  4,  4,  8,  8,
                                 1,  7, 2, 3, 10, 10, 10, 10, 10, 10, 10, 10};
  struct run r;
  run_init(&r, "com.microsoft.GreedySearch", 9);
  add_int(&r, 12);
  add_int(&r, 0);
  add_float(&r, 2);
  go(&r, 1);
  expect_tokens(&r, want, sizeof want);
  run_fini(&r);
}

static void sampling(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3, 5, 10, 1, 8, 8, 2, 3, 9, 2, 9, 8, 4,
                                 1,  7, 2, 1,  8, 2, 1, 8, 2, 7, 4, 2, 1, 8};
  struct run r;
  run_init(&r, "com.microsoft.Sampling", 0);
  probe_float(&r.p, "temperature", 0.75f);
  probe_float(&r.p, "top_p", 0.9f);
  probe_int(&r.p, "min_tokens_to_keep", 2);
  add_int(&r, 14);
  for (int i = 2; i < 8; i++) probe_absent(&r.p);
  add_int(&r, 12345);
  go(&r, 1);
  expect_tokens(&r, want, sizeof want);
  run_fini(&r);
}

static void sampling_custom(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3, 5, 6, 1, 10, 1, 8, 4, 8, 8, 4, 8, 8,
                                 1,  7, 2, 3, 9, 4,  4, 2, 7, 7, 9, 4, 4, 8};
  struct run r;
  run_init(&r, "com.microsoft.Sampling", 0);
  probe_float(&r.p, "top_p", 0.6f);
  probe_int(&r.p, "custom", 1);
  add_int(&r, 14);
  go(&r, 1);
  expect_tokens(&r, want, sizeof want);
  run_fini(&r);
}

static void beams(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3, 5, 6, 1,  8,  4,  4,  4,  2,  10, 3, 5, 6, 1, 8, 4, 4, 4, 4,
                                 1,  7, 2, 3, 10, 10, 10, 10, 10, 10, 1,  7, 2, 5, 8, 4, 4, 8, 4, 4};
  static const float scores[] = {-2.9166455f, -3.0014563f, -1.4774094f, -3.1275146f};
  struct run r;
  run_init(&r, "com.microsoft.BeamSearch", 9);
  add_int(&r, 10);
  add_int(&r, 0);
  add_int(&r, 3);
  add_int(&r, 2);
  add_float(&r, 0.5f);
  add_float(&r, 1.25f);
  go(&r, 2);
  expect_tokens(&r, want, sizeof want);
  probe_expect(&r.p, 1, scores, 4, 1e-6); /* float sums of logarithms */
  run_fini(&r);
}

static void beams_that_stop_early(void **state) {
  (void)state;
  static const int32_t want[] = {10, 3,  5,  8,  2, 1, 8,  8,  2, 10, 10, 10, 10, 3,  5,  8,
                                 2,  1,  8,  8,  8, 2, 10, 10, 1, 7,  2,  1,  8,  8,  8,  2,
                                 10, 10, 10, 10, 1, 7, 2,  1,  8, 8,  8,  2,  3,  10, 10, 10};
  static const float scores[] = {-1.0304645f, -1.0545876f, -1.0369828f, -1.0771347f};
  struct run r;
  run_init(&r, "com.microsoft.BeamSearch", 9);
  probe_int(&r.p, "early_stopping", 1);
  probe_int(&r.p, "no_repeat_ngram_size", 3);
  add_int(&r, 12);
  add_int(&r, 5);
  add_int(&r, 2);
  add_int(&r, 2);
  add_float(&r, 1);
  add_float(&r, 1);
  probe_in(&r.p, SUMI_INT32, without_4, 1, V);
  go(&r, 2);
  expect_tokens(&r, want, sizeof want);
  probe_expect(&r.p, 1, scores, 4, 1e-6);
  run_fini(&r);
}

static void beam_scores(void **state) {
  (void)state;
  static const float want[V] = {-4.8905282f, -6.0936532f, -3.4842782f, -6.1874032f, -3.5780282f, -6.2655282f,
                                -5.1561532f, -6.3592782f, -3.7499032f, -6.4530282f, -5.3280282f};
  struct run r;
  run_init(&r, "com.microsoft.BeamSearch", 9);
  add_int(&r, 6);
  probe_absent(&r.p);
  add_int(&r, 2);
  add_int(&r, 1);
  go(&r, 3);
  assert_int_equal(r.p.out[2].dim[0], 3);
  const float *all = r.p.out[2].data; /* [3, 2, 2, V]: step 2, prompt 1, beam 0 */
  for (int v = 0; v < V; v++) assert_float_equal(all[((2 * 2 + 1) * 2) * V + v], want[v], 2e-6);
  run_fini(&r);
}

static void refusals(void **state) {
  (void)state;
  struct run r;
  run_init(&r, "com.microsoft.GreedySearch", 0);
  add_int(&r, 3); /* the prompt has 3 already */
  const struct sumi_bodies bodies = {&r.d, decode};
  r.p.bodies = &bodies;
  assert_int_equal(probe_run(&r.p, 1), SUMI_E_VALUE);
  assert_string_equal(r.p.err.text, "'max_length' is 3, outside [4, 4096]");
  run_fini(&r);
  run_init(&r, "com.microsoft.BeamSearch", 0);
  probe_int(&r.p, "model_type", 1);
  add_int(&r, 8);
  assert_int_equal(probe_run(&r.p, 1), SUMI_E_ARG); /* num_beams is missing */
  run_fini(&r);
  run_init(&r, "com.microsoft.GreedySearch", 0);
  probe_int(&r.p, "model_type", 1);
  add_int(&r, 8);
  assert_int_equal(probe_run(&r.p, 1), SUMI_E_UNSUPPORTED);
  run_fini(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(greedy_plain),
      cmocka_unit_test(greedy_with_everything),
      cmocka_unit_test(greedy_that_ends),
      cmocka_unit_test(sampling),
      cmocka_unit_test(sampling_custom),
      cmocka_unit_test(beams),
      cmocka_unit_test(beams_that_stop_early),
      cmocka_unit_test(beam_scores),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
