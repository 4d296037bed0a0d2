/* BeamSearch (com.microsoft): continue every prompt, or with an encoder the decoder's first token, in num_beams ways, keeping after each token the best of
 *   log_softmax(logits) (changed by penalties and masks) + score of the beam so far.
 * Of the 2 num_beams best continuations those that end become hypotheses of score sum / length^length_penalty; the first
 * num_beams others live on. A prompt is done when no beam can become better than its worst hypothesis (with
 * early_stopping: when it has num_beams). sequences [batch, num_return_sequences, max_length], padded with pad_token_id;
 * sequences_scores; scores [steps, batch, num_beams, vocab], 0 for steps that were not needed.
 * Source: ONNX Runtime, docs/ContribOperators.md, and what it is seen to do. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/ms_generate.h"

enum {
  IDS,
  MAX_LENGTH,
  MIN_LENGTH,
  NUM_BEAMS,
  NUM_RETURN,
  LENGTH_PENALTY,
  REPETITION,
  DECODER_IDS = 10,
  LOGITS_PROCESSOR
};
static const struct sumi_ms_slots slots = {REPETITION, 7, 8, 9, -1, true};

struct hypothesis {
  float score;
  int64_t length;
  int32_t *token; /* [max_length] */
};

struct candidate {
  float score;
  int64_t index; /* beam * vocab + token */
};

struct beams {
  struct sumi_ms_generation g;
  int64_t n; /* beams of a prompt */
  int64_t n_return;
  float length_penalty;
  bool early;
  float *score;                  /* [batch, n] sums so far */
  struct hypothesis *hypothesis; /* [batch, n] best first */
  int64_t *found;                /* [batch] hypotheses there are */
  bool *done;                    /* [batch] */
  struct candidate *top;         /* [batch, 2 n] best first */
  int32_t *token, *from;         /* [rows] how the beams go on */
};

/* ---- hypotheses -------------------------------------------------------------------------------------------------- */

static float penalised(const struct beams *s, float sum, int64_t length) {
  return sum / powf((float)length, s->length_penalty);
}

/* Row r of the sequences ends here with this sum; the worst hypothesis gives way. */
static void add_hypothesis(struct beams *s, int64_t b, int64_t r, float sum) {
  struct hypothesis *h = s->hypothesis + b * s->n;
  const float score = penalised(s, sum, s->g.length);
  int64_t i = s->found[b];
  if (i == s->n) {
    if (score <= h[--i].score) return;
  } else {
    s->found[b]++;
  }
  struct hypothesis free_one = h[i];
  for (; i > 0 && score > h[i - 1].score; i--) h[i] = h[i - 1];
  free_one.score = score;
  free_one.length = s->g.length;
  memcpy(free_one.token, s->g.sequence + r * s->g.max_length, (size_t)s->g.length * sizeof *free_one.token);
  h[i] = free_one;
}

/* ---- one step ---------------------------------------------------------------------------------------------------- */

static void log_softmax(float *x, int64_t n) {
  float max = -INFINITY;
  double sum = 0;
  for (int64_t k = 0; k < n; k++) max = x[k] > max ? x[k] : max;
  for (int64_t k = 0; k < n; k++) sum += (double)expf(x[k] - max);
  const float log_sum = (float)log(sum);
  for (int64_t k = 0; k < n; k++) x[k] = x[k] - max - log_sum;
}

/* The k best of n scores, the first of equals first; how many there are (NaN is none). */
static int64_t select_best(const float *score, int64_t n, int64_t k, struct candidate *top) {
  int64_t have = 0;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(score[i]) || (have == k && !(score[i] > top[k - 1].score))) continue;
    int64_t at = have < k ? have++ : k - 1;
    for (; at > 0 && score[i] > top[at - 1].score; at--) top[at] = top[at - 1];
    top[at] = (struct candidate){score[i], i};
  }
  return have;
}

/* Whether the prompt's beams can still beat its worst hypothesis. The best sum is looked for where ONNX Runtime looks:
 * in 2 n candidates from number b * n on, counted over all prompts. */
static bool can_improve(const struct beams *s, int64_t b) {
  const struct candidate *top = s->top + b * s->n;
  float best = top[0].score;
  for (int64_t i = 1; i < 2 * s->n; i++) best = top[i].score > best ? top[i].score : best;
  return s->hypothesis[b * s->n + s->n - 1].score < penalised(s, best, s->g.length);
}

static sumi_status advance_prompt(struct beams *s, int64_t b) {
  const struct candidate *top = s->top + b * 2 * s->n;
  int64_t beam = 0;
  for (int64_t j = 0; j < 2 * s->n && beam < s->n; j++) {
    const int32_t token = (int32_t)(top[j].index % s->g.vocab);
    const int64_t row = b * s->n + top[j].index / s->g.vocab;
    if (token == s->g.eos && s->g.eos >= 0) {
      if (j < s->n) add_hypothesis(s, b, row, top[j].score);
      continue;
    }
    s->score[b * s->n + beam] = top[j].score;
    s->token[b * s->n + beam] = token;
    s->from[b * s->n + beam++] = (int32_t)row;
  }
  if (beam < s->n) SUMI_FAIL(s->g.call->err, SUMI_E_VALUE, "fewer than %" PRId64 " ways to go on", s->n);
  if (s->found[b] == s->n && (s->early || !can_improve(s, b))) s->done[b] = true;
  return SUMI_OK;
}

/* Scores of all continuations, and the best of each prompt. */
static sumi_status rank(struct beams *s) {
  struct sumi_ms_generation *g = &s->g;
  for (int64_t r = 0; r < g->rows; r++) log_softmax(g->score + r * g->vocab, g->vocab);
  SUMI_TRY(sumi_ms_generation_process(g));
  for (int64_t r = 0; r < g->rows; r++)
    for (int64_t k = 0; k < g->vocab; k++) g->score[r * g->vocab + k] += s->score[r];
  for (int64_t b = 0; b < g->batch; b++) {
    const int64_t have =
        select_best(g->score + b * s->n * g->vocab, s->n * g->vocab, 2 * s->n, s->top + b * 2 * s->n);
    if (have < 2 * s->n)
      SUMI_FAIL(g->call->err, SUMI_E_VALUE,
                "%" PRId64 " beams need %" PRId64 " continuations, there are %" PRId64, s->n, 2 * s->n, have);
  }
  return SUMI_OK;
}

/* After the first step: where a caller wants all scores, room for them. */
static sumi_status keep_scores(struct beams *s) {
  const struct sumi_ms_generation *g = &s->g;
  const struct sumi_call *c = g->call;
  if (!sumi_call_wants(c, 2)) return SUMI_OK;
  struct sumi_tensor *all = c->out[2];
  if (g->step == 1) {
    const int64_t dim[] = {g->max_length - g->prompt, g->batch, s->n, g->vocab};
    const sumi_dtype dtype = sumi_call_has(c, LENGTH_PENALTY) ? c->in[LENGTH_PENALTY]->dtype : SUMI_FLOAT32;
    SUMI_TRY(sumi_call_output(c, 2, dtype, 4, dim));
    for (int64_t i = 0; i < sumi_tensor_count(all); i++) sumi_set_f64(dtype, all->data, i, 0);
  }
  sumi_from_f32(all->dtype, g->score, g->rows * g->vocab, all->data, (g->step - 1) * g->rows * g->vocab);
  return SUMI_OK;
}

static sumi_status run_search(struct beams *s) {
  struct sumi_ms_generation *g = &s->g;
  while (g->length < g->max_length) {
    SUMI_TRY(sumi_ms_generation_decode(g));
    SUMI_TRY(rank(s));
    SUMI_TRY(keep_scores(s));
    bool all = true;
    for (int64_t b = 0; b < g->batch; b++) {
      if (!s->done[b]) {
        SUMI_TRY(advance_prompt(s, b));
      } else { /* goes on as padding, to keep the rows together */
        for (int64_t i = b * s->n; i < (b + 1) * s->n; i++) {
          s->score[i] = 0;
          s->token[i] = g->pad;
          s->from[i] = 0;
        }
      }
      all = all && s->done[b];
    }
    SUMI_TRY(sumi_ms_generation_append(g, s->token, s->from));
    if (all) break;
  }
  for (int64_t b = 0; b < g->batch; b++)
    for (int64_t i = b * s->n; i < (b + 1) * s->n && !s->done[b]; i++) add_hypothesis(s, b, i, s->score[i]);
  return SUMI_OK;
}

/* ---- the operator ------------------------------------------------------------------------------------------------ */

static sumi_status beams_init(struct beams *s, const struct sumi_call *c) {
  *s = (struct beams){.early = sumi_attr_int(c->node, "early_stopping", 0) == 1};
  int64_t processor;
  SUMI_TRY(sumi_ms_scalar_int(c, NUM_BEAMS, 1, SUMI_MS_MAX_BEAMS, 1, &s->n));
  SUMI_TRY(sumi_ms_scalar_int(c, NUM_RETURN, 1, s->n, 1, &s->n_return));
  SUMI_TRY(sumi_ms_scalar_float(c, LENGTH_PENALTY, 1, &s->length_penalty));
  SUMI_TRY(sumi_ms_scalar_int(c, LOGITS_PROCESSOR, 0, 0, 0, &processor));
  SUMI_TRY(sumi_ms_generation_init(&s->g, c, &slots, s->n));
  const size_t rows = (size_t)s->g.rows, batch = (size_t)s->g.batch;
  s->score = SUMI_NEW_ARRAY(c->heap, rows, float);
  s->hypothesis = SUMI_NEW_ARRAY(c->heap, rows, struct hypothesis);
  s->found = SUMI_NEW_ARRAY(c->heap, batch, int64_t);
  s->done = SUMI_NEW_ARRAY(c->heap, batch, bool);
  s->top = SUMI_NEW_ARRAY(c->heap, 2 * rows, struct candidate);
  s->token = SUMI_NEW_ARRAY(c->heap, rows, int32_t);
  s->from = SUMI_NEW_ARRAY(c->heap, rows, int32_t);
  if (!s->score || !s->hypothesis || !s->found || !s->done || !s->top || !s->token || !s->from)
    SUMI_FAIL_MEMORY(c->err);
  for (size_t r = 0; r < rows; r++) {
    s->hypothesis[r].token = SUMI_NEW_ARRAY(c->heap, (size_t)s->g.max_length, int32_t);
    if (!s->hypothesis[r].token) SUMI_FAIL_MEMORY(c->err);
    s->score[r] = r % (size_t)s->n ? -1e9f : 0; /* at first all beams are the same: only one of them counts */
  }
  return SUMI_OK;
}

static sumi_status beam_ref(const struct sumi_call *c) {
  struct beams s;
  SUMI_TRY(beams_init(&s, c));
  SUMI_TRY(run_search(&s));
  const struct sumi_ms_generation *g = &s.g;
  const int64_t dim[] = {g->batch, s.n_return, g->max_length};
  if (sumi_call_wants(c, 0)) SUMI_TRY(sumi_call_output(c, 0, SUMI_INT32, 3, dim));
  if (sumi_call_wants(c, 1))
    SUMI_TRY(sumi_call_output(
        c, 1, sumi_call_has(c, LENGTH_PENALTY) ? c->in[LENGTH_PENALTY]->dtype : SUMI_FLOAT32, 2, dim));
  for (int64_t b = 0; b < g->batch; b++)
    for (int64_t i = 0; i < s.n_return; i++) {
      const struct hypothesis *h = &s.hypothesis[b * s.n + i];
      const int64_t at = b * s.n_return + i;
      int32_t *out = sumi_call_wants(c, 0) ? (int32_t *)c->out[0]->data + at * g->max_length : NULL;
      for (int64_t t = 0; out && t < g->max_length; t++) out[t] = t < h->length ? h->token[t] : g->pad;
      if (sumi_call_wants(c, 1)) sumi_set_f64(c->out[1]->dtype, c->out[1]->data, at, (double)h->score);
    }
  return SUMI_OK;
}

static sumi_dim infer_scalar(struct sumi_infer *ctx, int input) {
  const int64_t *value;
  int n;
  return sumi_infer_ints(ctx, input, &value, &n) == SUMI_OK && n == 1 && value[0] >= 0 ? value[0]
                                                                                       : SUMI_DIM_UNKNOWN;
}

static sumi_status beam_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_ms_generation_infer(ctx, &slots));
  const sumi_dim batch = sumi_ms_dim(ctx, IDS, 0), length = infer_scalar(ctx, MAX_LENGTH),
                 n = infer_scalar(ctx, NUM_BEAMS);
  const int64_t vocab = sumi_attr_int(ctx->node, "vocab_size", -1);
  const sumi_dtype dtype = sumi_infer_has(ctx, LENGTH_PENALTY) ? ctx->in[LENGTH_PENALTY].dtype : SUMI_FLOAT32;
  const sumi_dim sequences[] = {batch, infer_scalar(ctx, NUM_RETURN), length};
  if (sumi_infer_has(ctx, DECODER_IDS))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED,
              "'decoder_input_ids' is for models of speech (model_type 2), which are not known");
  const sumi_dim prompt = sumi_ms_has_encoder(ctx->node) ? 1 : sumi_ms_dim(ctx, IDS, 1);
  const sumi_dim scores[] = {sumi_dim_sub(ctx->symbols, length, prompt), batch, n,
                             vocab > 0 ? vocab : SUMI_DIM_UNKNOWN};
  sumi_infer_out(ctx, 0, SUMI_INT32, 3, sequences);
  sumi_infer_out(ctx, 1, dtype, 2, sequences);
  sumi_infer_out(ctx, 2, dtype, 4, scores);
  return SUMI_OK;
}

#define INT32 SUMI_BIT(SUMI_INT32)
#define PENALTIES (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16))
static const struct sumi_attr_spec attrs[] = {{"decoder", SUMI_ATTR_GRAPH, true},
                                              {"eos_token_id", SUMI_ATTR_INT, true},
                                              {"pad_token_id", SUMI_ATTR_INT, true},
                                              {"model_type", SUMI_ATTR_INT},
                                              {"vocab_size", SUMI_ATTR_INT},
                                              {"early_stopping", SUMI_ATTR_INT},
                                              {"no_repeat_ngram_size", SUMI_ATTR_INT},
                                              {"decoder_start_token_id", SUMI_ATTR_INT},
                                              {"encoder", SUMI_ATTR_GRAPH},
                                              {"init_decoder", SUMI_ATTR_GRAPH},
                                              {NULL}};
static const struct sumi_port in[] = {{"input_ids", INT32},
                                      {"max_length", INT32, 'I'},
                                      {"min_length", INT32, 'I', SUMI_PORT_OPTIONAL},
                                      {"num_beams", INT32, 'I'},
                                      {"num_return_sequences", INT32, 'I'},
                                      {"length_penalty", PENALTIES, 'T', SUMI_PORT_OPTIONAL},
                                      {"repetition_penalty", PENALTIES, 'T', SUMI_PORT_OPTIONAL},
                                      {"vocab_mask", INT32, 'M', SUMI_PORT_OPTIONAL},
                                      {"prefix_vocab_mask", INT32, 'M', SUMI_PORT_OPTIONAL},
                                      {"attention_mask", INT32, 'I', SUMI_PORT_OPTIONAL},
                                      {"decoder_input_ids", INT32, 'I', SUMI_PORT_OPTIONAL},
                                      {"logits_processor", INT32, 'I', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"sequences", INT32, 'I'},
                                       {"sequences_scores", PENALTIES, 'T', SUMI_PORT_OPTIONAL},
                                       {"scores", PENALTIES, 'T', SUMI_PORT_OPTIONAL},
                                       {NULL}};

/* No cases: a decoder does not fit in a line. test_ms_generate.c drives it with a decoder of its own,
 * tests/contrib/search.py with an encoder. */

const struct sumi_op sumi_op_ms_beam_search = {
    .name = "com.microsoft.BeamSearch",
    .formula = "prompts continued by the sequences of largest sum of log_softmax(decoder) / length^penalty",
    .known_as = {{"com.microsoft", "BeamSearch", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = beam_infer,
    .ref = beam_ref,
};
