/* GreedySearch, Sampling (com.microsoft): continue a prompt token by token until every row met the end or max_length.
 *   GreedySearch  the token of the largest score, the first of equals
 *   Sampling      a token drawn from softmax(score) after all but the most probable ones, up to top_p together, got
 *                 filter_value (custom = 1: without those behind the one that passes top_p)
 * sequences holds prompt and continuation; where a row ended it is filled with pad_token_id. Draws are those of ONNX
 * Runtime on Linux: the minimal standard generator of Park and Miller (C++'s minstd_rand0) seeded with the input seed
 * (0 when not given), two of its numbers to a double as libstdc++'s generate_canonical does.
 * Source: ONNX Runtime, docs/ContribOperators.md, and what it is seen to do. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "op/ms_generate.h"

static const struct sumi_ms_slots greedy_slots = {3, 4, 5, 6, -1, false},
                                  sampling_slots = {3, 4, 5, 6, 7, false};
enum { SEED = 8 };

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

enum { MODULUS = 2147483647, MULTIPLIER = 16807 };

static uint32_t next_random(uint32_t *state) {
  *state = (uint32_t)((uint64_t)*state * MULTIPLIER % MODULUS);
  return *state;
}

/* In [0, 1), from two numbers of [0, MODULUS - 2]. */
static double next_uniform(uint32_t *state) {
  const double range = MODULUS - 1.0, low = next_random(state) - 1, high = next_random(state) - 1;
  const double x = (low + high * range) / (range * range);
  return x < 1 ? x : nextafter(1, 0);
}

struct sampler {
  uint32_t state;
  float top_p, filter;
  int64_t keep; /* min_tokens_to_keep */
  bool custom;
  struct ranked {
    float score;
    int32_t token;
  } * ranked;        /* [vocab] */
  double *cumulated; /* [vocab] */
};

static int compare_ranked(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? -1 : 1;
  return x->token < y->token ? -1 : x->token > y->token;
}

/* Gives filter_value to the improbable tokens of one row. */
static void filter_row(const struct sampler *s, float *score, int64_t vocab) {
  struct ranked *ranked = s->ranked;
  for (int64_t k = 0; k < vocab; k++)
    ranked[k] = (struct ranked){s->custom ? -score[k] : score[k], (int32_t)k};
  qsort(ranked, (size_t)vocab, sizeof *ranked, compare_ranked);
  /* from here on ascending, or descending when custom: scores are score[ranked[k].token] */
  float max = -INFINITY, sum = 0, cumulated = 0;
  for (int64_t k = 0; k < vocab; k++) max = score[k] > max ? score[k] : max;
  for (int64_t k = 0; k < vocab; k++) sum += expf(score[k] - max);
  const int64_t last = s->custom ? vocab - 1 : SUMI_MAX(vocab - s->keep, 1);
  for (int64_t k = 0; k < SUMI_MIN(last, vocab); k++) {
    cumulated += expf((s->custom ? -ranked[k].score : ranked[k].score) - max) / sum;
    if (s->custom && k + 1 < vocab && cumulated > s->top_p) score[ranked[k + 1].token] = s->filter;
    if (!s->custom && cumulated <= 1 - s->top_p) score[ranked[k].token] = s->filter;
  }
}

/* A token of one row with the probability of its score's softmax; infinite scores never come. */
static int32_t draw(struct sampler *s, const float *score, int64_t vocab) {
  float max = -INFINITY;
  double total = 0;
  for (int64_t k = 0; k < vocab; k++)
    if (isfinite(score[k]) && score[k] > max) max = score[k];
  for (int64_t k = 0; k < vocab; k++) {
    if (isfinite(score[k])) total += exp((double)score[k] - (double)max);
    s->cumulated[k] = total;
  }
  const double find = next_uniform(&s->state) * total;
  int64_t low = 0, high = vocab; /* the first that is greater */
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (s->cumulated[middle] > find)
      high = middle;
    else
      low = middle + 1;
  }
  return (int32_t)SUMI_MIN(low, vocab - 1);
}

static sumi_status sampler_init(struct sampler *s, const struct sumi_call *c) {
  int64_t seed;
  SUMI_TRY(sumi_ms_scalar_int(c, SEED, 0, INT32_MAX, 0, &seed));
  *s = (struct sampler){.top_p = sumi_attr_float(c->node, "top_p", 0),
                        .filter = sumi_attr_float(c->node, "filter_value", -INFINITY),
                        .keep = sumi_attr_int(c->node, "min_tokens_to_keep", 0),
                        .custom = sumi_attr_int(c->node, "custom", 0) != 0};
  s->keep = s->keep < 0 ? 0 : SUMI_MIN(s->keep, INT32_MAX);
  s->state = (uint32_t)(seed % MODULUS);
  if (!s->state) s->state = 1;
  return SUMI_OK;
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static int32_t largest(const float *score, int64_t n) {
  int64_t best = 0;
  for (int64_t k = 1; k < n; k++)
    if (score[k] > score[best]) best = k;
  return (int32_t)best;
}

/* token[rows] of this step; sampler NULL: the largest. */
static sumi_status choose(struct sumi_ms_generation *g, struct sampler *s, int32_t *token) {
  if (s && !s->ranked) {
    s->ranked = SUMI_NEW_ARRAY(g->call->heap, (size_t)g->vocab, struct ranked);
    s->cumulated = SUMI_NEW_ARRAY(g->call->heap, (size_t)g->vocab, double);
    if (!s->ranked || !s->cumulated) SUMI_FAIL_MEMORY(g->call->err);
  }
  for (int64_t r = 0; s && r < g->rows; r++) filter_row(s, g->score + r * g->vocab, g->vocab);
  for (int64_t r = 0; r < g->rows; r++) {
    const float *score = g->score + r * g->vocab;
    token[r] = s ? draw(s, score, g->vocab) : largest(score, g->vocab);
  }
  return SUMI_OK;
}

static sumi_status search(struct sumi_ms_generation *g, struct sampler *s) {
  const struct sumi_call *c = g->call;
  int32_t *token = SUMI_NEW_ARRAY(c->heap, (size_t)g->rows, int32_t);
  bool *ended = SUMI_NEW_ARRAY(c->heap, (size_t)g->rows, bool);
  if (!token || !ended) SUMI_FAIL_MEMORY(c->err);
  while (g->length < g->max_length) {
    SUMI_TRY(sumi_ms_generation_decode(g));
    SUMI_TRY(sumi_ms_generation_process(g));
    SUMI_TRY(choose(g, s, token));
    bool all = true;
    for (int64_t r = 0; r < g->rows; r++) {
      ended[r] = ended[r] || token[r] == g->eos;
      if (ended[r]) token[r] = g->pad;
      all = all && ended[r];
    }
    SUMI_TRY(sumi_ms_generation_append(g, token, NULL));
    if (all) break;
  }
  return SUMI_OK;
}

static sumi_status generate(const struct sumi_call *c, const struct sumi_ms_slots *slots, bool sampling) {
  struct sumi_ms_generation g;
  struct sampler s;
  if (sampling) SUMI_TRY(sampler_init(&s, c));
  SUMI_TRY(sumi_ms_generation_init(&g, c, slots, 1));
  SUMI_TRY(search(&g, sampling ? &s : NULL));
  if (sumi_call_wants(c, 0)) {
    const int64_t dim[] = {g.batch, g.max_length};
    SUMI_TRY(sumi_call_output(c, 0, SUMI_INT32, 2, dim));
    int32_t *out = c->out[0]->data;
    for (int64_t r = 0; r < g.rows; r++)
      for (int64_t t = 0; t < g.max_length; t++)
        out[r * g.max_length + t] = t < g.length ? g.sequence[r * g.max_length + t] : g.pad;
  }
  if (sumi_call_wants(c, 1)) { /* the scores that the last draw was made from */
    const int64_t dim[] = {g.batch, g.vocab};
    SUMI_TRY(sumi_call_output(c, 1, SUMI_FLOAT32, 2, dim));
    memcpy(c->out[1]->data, g.score, (size_t)(g.rows * g.vocab) * sizeof *g.score);
  }
  return SUMI_OK;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static sumi_status search_infer(struct sumi_infer *ctx, const struct sumi_ms_slots *slots) {
  SUMI_TRY(sumi_ms_generation_infer(ctx, slots));
  const int64_t *length;
  int n;
  SUMI_TRY(sumi_infer_ints(ctx, 1, &length, &n));
  const sumi_dim dim[] = {sumi_ms_dim(ctx, 0, 0), n == 1 ? length[0] : SUMI_DIM_UNKNOWN};
  const int64_t vocab = sumi_attr_int(ctx->node, "vocab_size", -1);
  const sumi_dim filtered[] = {dim[0], vocab > 0 ? vocab : SUMI_DIM_UNKNOWN};
  sumi_infer_out(ctx, 0, SUMI_INT32, 2, dim);
  sumi_infer_out(ctx, 1, SUMI_FLOAT32, 2, filtered);
  return SUMI_OK;
}

static sumi_status greedy_infer(struct sumi_infer *ctx) { return search_infer(ctx, &greedy_slots); }
static sumi_status sampling_infer(struct sumi_infer *ctx) { return search_infer(ctx, &sampling_slots); }
static sumi_status greedy_ref(const struct sumi_call *c) { return generate(c, &greedy_slots, false); }
static sumi_status sampling_ref(const struct sumi_call *c) { return generate(c, &sampling_slots, true); }

#define SEARCH_ATTRS                                                                                       \
  {"decoder", SUMI_ATTR_GRAPH, true}, {"eos_token_id", SUMI_ATTR_INT, true},                               \
      {"pad_token_id", SUMI_ATTR_INT, true}, {"model_type", SUMI_ATTR_INT}, {"vocab_size", SUMI_ATTR_INT}, \
      {"no_repeat_ngram_size", SUMI_ATTR_INT}, {"decoder_start_token_id", SUMI_ATTR_INT},                  \
      {"encoder", SUMI_ATTR_GRAPH}, {                                                                      \
    "init_decoder", SUMI_ATTR_GRAPH                                                                        \
  }
static const struct sumi_attr_spec greedy_attrs[] = {SEARCH_ATTRS, {NULL}};
static const struct sumi_attr_spec sampling_attrs[] = {SEARCH_ATTRS,
                                                       {"temperature", SUMI_ATTR_FLOAT},
                                                       {"top_p", SUMI_ATTR_FLOAT},
                                                       {"filter_value", SUMI_ATTR_FLOAT},
                                                       {"min_tokens_to_keep", SUMI_ATTR_INT},
                                                       {"presence_penalty", SUMI_ATTR_FLOAT},
                                                       {"custom", SUMI_ATTR_INT},
                                                       {NULL}};
#define INT32 SUMI_BIT(SUMI_INT32)
#define SEARCH_IN                                                                                            \
  {"input_ids", INT32, 'I'}, {"max_length", INT32, 'I'}, {"min_length", INT32, 'I', SUMI_PORT_OPTIONAL},     \
      {"repetition_penalty", SUMI_BIT(SUMI_FLOAT32), 'T', SUMI_PORT_OPTIONAL},                               \
      {"vocab_mask", INT32, 'I', SUMI_PORT_OPTIONAL}, {"prefix_vocab_mask", INT32, 'I', SUMI_PORT_OPTIONAL}, \
  {                                                                                                          \
    "attention_mask", INT32, 'I', SUMI_PORT_OPTIONAL                                                         \
  }
static const struct sumi_port greedy_in[] = {SEARCH_IN, {NULL}};
static const struct sumi_port sampling_in[] = {SEARCH_IN,
                                               {"presence_mask", INT32, 'I', SUMI_PORT_OPTIONAL},
                                               {"seed", INT32, 'I', SUMI_PORT_OPTIONAL},
                                               {NULL}};
static const struct sumi_port greedy_out[] = {{"sequences", INT32, 'I'}, {NULL}};
static const struct sumi_port sampling_out[] = {
    {"sequences", INT32, 'I'}, {"filtered_logits", SUMI_BIT(SUMI_FLOAT32), 'T', SUMI_PORT_OPTIONAL}, {NULL}};

/* Neither has cases: a decoder does not fit in a line. test_ms_generate.c drives them with a decoder of its own. */

const struct sumi_op sumi_op_ms_greedy_search = {
    .name = "com.microsoft.GreedySearch",
    .formula = "prompt continued by the tokens of largest score that decoder gives",
    .known_as = {{"com.microsoft", "GreedySearch", {1}}},
    .attrs = greedy_attrs,
    .in = greedy_in,
    .out = greedy_out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = greedy_infer,
    .ref = greedy_ref,
};

const struct sumi_op sumi_op_ms_sampling = {
    .name = "com.microsoft.Sampling",
    .formula = "prompt continued by tokens drawn from the most probable that decoder gives",
    .known_as = {{"com.microsoft", "Sampling", {1}}},
    .attrs = sampling_attrs,
    .in = sampling_in,
    .out = sampling_out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = sampling_infer,
    .ref = sampling_ref,
};
