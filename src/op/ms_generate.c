/* The decoder's loop: feeding a body token by token. */
#include "op/ms_generate.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

enum { IDS, MAX_LENGTH, MIN_LENGTH };                    /* inputs of the node */
enum { BODY_IDS, BODY_POSITIONS, BODY_MASK, BODY_PAST }; /* inputs of the body */

/* ---- checks ------------------------------------------------------------------------------------------------------ */

size_t sumi_ms_own_inputs(const struct sumi_graph *body, const struct sumi_node *node) {
  return body->n_input - (size_t)node->n_captured;
}

static sumi_status check_body(const struct sumi_node *node, const char *name, struct sumi_err *err) {
  const struct sumi_graph *body = sumi_attr_graph(node, name);
  static const char *const inputs[] = {"input_ids", "position_ids", "attention_mask"};
  if (body->n_input < (size_t)node->n_captured || body->n_output < 2)
    SUMI_FAIL(err, SUMI_E_ARG, "body '%s' has %zu inputs and %zu outputs", name, body->n_input,
              body->n_output);
  const size_t own = sumi_ms_own_inputs(body, node), wanted = BODY_PAST + body->n_output - 1;
  if (own == wanted + 1 || own == wanted + 2)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "body '%s' shares one buffer between past and present states", name);
  if (own != wanted)
    SUMI_FAIL(err, SUMI_E_ARG,
              "body '%s' takes %zu inputs, not ids, positions, mask and one past for each of %zu presents",
              name, own, body->n_output - 1);
  for (int i = 0; i < BODY_PAST; i++) {
    const sumi_dtype dtype = body->input[i]->info.dtype;
    if (dtype != SUMI_INT32 && dtype != SUMI_UNDEFINED)
      SUMI_FAIL(err, SUMI_E_TYPE, "input '%s' of body '%s' is %s, not int32", inputs[i], name,
                sumi_dtype_label(dtype));
  }
  for (size_t i = BODY_PAST; i < own; i++) {
    const struct sumi_info *past = &body->input[i]->info;
    if (past->rank != 5 || past->dim[2] <= 0 || past->dim[4] <= 0 ||
        !sumi_dtype_in(past->dtype, SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16)))
      SUMI_FAIL(err, SUMI_E_SHAPE,
                "input %zu of body '%s' does not say how many heads of which size its past has", i, name);
  }
  return SUMI_OK;
}

static sumi_status check_bodies(const struct sumi_infer *ctx, const struct sumi_ms_slots *slots) {
  const struct sumi_node *node = ctx->node;
  const int64_t model = sumi_attr_int(node, "model_type", 0);
  const struct sumi_graph *decoder = sumi_attr_graph(node, "decoder"),
                          *init = sumi_attr_graph(node, "init_decoder");
  if (!decoder) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there is no body 'decoder'");
  if (model == 1 && slots->encoder) return sumi_ms_encoder_check(node, ctx->err);
  if (model != 0)
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "model_type is %" PRId64 ": known are 0, decoders like GPT-2%s",
              model, slots->encoder ? ", and 1, encoders and decoders like T5" : "");
  SUMI_TRY(check_body(node, "decoder", ctx->err));
  if (init) SUMI_TRY(check_body(node, "init_decoder", ctx->err));
  if (init && init->n_output != decoder->n_output)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'init_decoder' and 'decoder' have different numbers of states");
  return SUMI_OK;
}

sumi_status sumi_ms_generation_infer(struct sumi_infer *ctx, const struct sumi_ms_slots *slots) {
  const struct sumi_node *node = ctx->node;
  SUMI_TRY(check_bodies(ctx, slots));
  const int64_t eos = sumi_attr_int(node, "eos_token_id", -1), pad = sumi_attr_int(node, "pad_token_id", -1);
  if (eos < -1 || eos > INT32_MAX || pad < -1 || pad > INT32_MAX)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "eos_token_id %" PRId64 " or pad_token_id %" PRId64 " is no token", eos,
              pad);
  SUMI_TRY(sumi_ms_want_rank(ctx, IDS, 2, 2));
  const sumi_dim batch = sumi_ms_dim(ctx, IDS, 0), vocab = sumi_attr_int(node, "vocab_size", -1);
  const struct {
    int input, rank;
    sumi_dim first, last;
    const char *what;
  } list[] = {{slots->vocab_mask, 1, vocab, vocab, "size of the vocabulary"},
              {slots->prefix_mask, 2, batch, vocab, "size of the vocabulary"},
              {slots->presence_mask, 2, batch, vocab, "size of the vocabulary"},
              {slots->attention_mask, 2, batch, sumi_ms_dim(ctx, IDS, 1), "length of the prompt"}};
  for (size_t i = 0; i < SUMI_COUNT(list); i++) {
    if (list[i].input < 0) continue;
    SUMI_TRY(sumi_ms_want_rank(ctx, list[i].input, list[i].rank, list[i].rank));
    if (list[i].rank == 2) SUMI_TRY(sumi_ms_want_dim(ctx, list[i].input, 0, batch, "batch size"));
    const sumi_dim last =
        list[i].last > 0 || list[i].input == slots->attention_mask ? list[i].last : SUMI_DIM_UNKNOWN;
    SUMI_TRY(sumi_ms_want_dim(ctx, list[i].input, list[i].rank - 1, last, list[i].what));
  }
  return SUMI_OK;
}

sumi_status sumi_ms_scalar_int(const struct sumi_call *c, int input, int64_t low, int64_t high,
                               int64_t otherwise, int64_t *out) {
  *out = otherwise;
  if (!sumi_call_has(c, input)) return SUMI_OK;
  const struct sumi_tensor *t = c->in[input];
  const char *name = c->node->op->in[input].name;
  if (sumi_tensor_count(t) != 1)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "'%s' has %" PRId64 " elements, not 1", name, sumi_tensor_count(t));
  *out = sumi_get_i64(t->dtype, t->data, 0);
  if (*out < low || *out > high)
    SUMI_FAIL(c->err, SUMI_E_VALUE, "'%s' is %" PRId64 ", outside [%" PRId64 ", %" PRId64 "]", name, *out,
              low, high);
  return SUMI_OK;
}

sumi_status sumi_ms_scalar_float(const struct sumi_call *c, int input, float otherwise, float *out) {
  *out = otherwise;
  if (!sumi_call_has(c, input)) return SUMI_OK;
  const struct sumi_tensor *t = c->in[input];
  if (sumi_tensor_count(t) != 1)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "'%s' has %" PRId64 " elements, not 1", c->node->op->in[input].name,
              sumi_tensor_count(t));
  *out = (float)sumi_get_f64(t->dtype, t->data, 0);
  return SUMI_OK;
}

/* A control operator's shapes are not inferred again before it runs: the ranks and dims that are used. */
static sumi_status check_shape(const struct sumi_call *c, int input, int rank, int64_t first, int64_t last) {
  if (input < 0 || !sumi_call_has(c, input)) return SUMI_OK;
  const struct sumi_tensor *t = c->in[input];
  if (t->rank != rank || t->dim[rank - 1] != last || (rank == 2 && t->dim[0] != first)) {
    char have[64];
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "'%s' has shape %s, not %d dimensions that end with %" PRId64,
              c->node->op->in[input].name, sumi_shape_print(t->dim, t->rank, have, sizeof have), rank, last);
  }
  return SUMI_OK;
}

/* ---- set up ------------------------------------------------------------------------------------------------------ */

static sumi_status read_parameters(struct sumi_ms_generation *g) {
  const struct sumi_call *c = g->call;
  if (c->in[IDS]->rank != 2)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "'input_ids' has rank %d, not 2", c->in[IDS]->rank);
  g->batch = c->in[IDS]->dim[0];
  g->prompt = g->length = g->has_encoder ? 1 : c->in[IDS]->dim[1];
  if (g->prompt <= 0 || g->batch <= 0 || c->in[IDS]->dim[1] <= 0)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "the prompt is empty");
  if (g->prompt >= SUMI_MS_MAX_LENGTH)
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the prompt has %" PRId64 " tokens, at most %d are taken", g->prompt,
              SUMI_MS_MAX_LENGTH - 1);
  SUMI_TRY(sumi_ms_scalar_int(c, MAX_LENGTH, g->prompt + 1, SUMI_MS_MAX_LENGTH, SUMI_MS_MAX_LENGTH,
                              &g->max_length));
  SUMI_TRY(sumi_ms_scalar_int(c, MIN_LENGTH, INT32_MIN, INT32_MAX, 0, &g->min_length));
  g->eos = (int32_t)sumi_attr_int(c->node, "eos_token_id", -1);
  g->pad = (int32_t)sumi_attr_int(c->node, "pad_token_id", -1);
  if (!sumi_i64_mul(g->batch, g->beams, &g->rows) || g->rows > INT32_MAX)
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "%" PRId64 " beams of %" PRId64 " prompts are too many", g->beams,
              g->batch);
  return SUMI_OK;
}

static void *new_array(const struct sumi_ms_generation *g, int64_t n, size_t item_bytes) {
  return n < 0 ? NULL : sumi_arena_array(g->call->heap, (size_t)n, item_bytes);
}

/* Prompt, positions and mask, each prompt repeated for its beams. */
static void fill_prompt(struct sumi_ms_generation *g) {
  const struct sumi_call *c = g->call;
  const int32_t *prompt = c->in[IDS]->data;
  const int32_t *given =
      sumi_call_has(c, g->slots.attention_mask) ? c->in[g->slots.attention_mask]->data : NULL;
  int32_t *ids = g->ids.data, *positions = g->positions.data, *mask = g->mask.data;
  for (int64_t r = 0; r < g->rows; r++) {
    int32_t position = 0;
    for (int64_t t = 0; t < g->prompt; t++) {
      const int64_t from = r / g->beams * g->prompt + t, to = r * g->prompt + t;
      const bool padding = prompt[from] == g->pad;
      ids[to] = g->sequence[r * g->max_length + t] = prompt[from];
      mask[to] = given ? given[from] : !padding;
      positions[to] = padding ? 0 : position++;
    }
  }
}

static struct sumi_tensor int32_matrix(int64_t rows, int64_t columns, void *data) {
  return (struct sumi_tensor){
      .kind = SUMI_TENSOR, .dtype = SUMI_INT32, .rank = 2, .dim = {rows, columns}, .data = data};
}

/* The feeds of the prompt's run. Where the body has no state yet, it has one of no tokens. */
static sumi_status set_feeds(struct sumi_ms_generation *g) {
  const struct sumi_call *c = g->call;
  const size_t own = sumi_ms_own_inputs(g->body, c->node), captures = (size_t)c->node->n_captured;
  g->feed = new_array(g, (int64_t)g->body->n_input, sizeof *g->feed);
  g->result = new_array(g, (int64_t)g->body->n_output, sizeof *g->result);
  g->past = new_array(g, g->states, sizeof *g->past);
  if (!g->feed || !g->result || !g->past) SUMI_FAIL_MEMORY(c->err);
  g->feed[BODY_IDS] = &g->ids;
  if (!g->has_encoder) {
    g->feed[BODY_POSITIONS] = &g->positions;
    g->feed[BODY_MASK] = &g->mask;
  }
  for (int i = 0; i < g->states; i++) {
    const struct sumi_info *info = &g->body->input[g->past_at + i]->info;
    struct sumi_tensor *past = &g->past[i];
    *past = (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = info->dtype, .rank = info->rank};
    past->dim[0] = 2; /* keys and values, unless they are states of their own */
    past->dim[info->rank - 4] = g->rows;
    past->dim[info->rank - 3] = info->dim[info->rank - 3];
    past->dim[info->rank - 1] = info->dim[info->rank - 1];
    if (!(past->data = new_array(g, 1, 64))) SUMI_FAIL_MEMORY(c->err); /* no elements, but an address */
    g->feed[g->past_at + i] = past;
  }
  for (size_t i = 0; i < captures; i++) g->feed[own + i] = c->in[(size_t)c->n_in - captures + i];
  return SUMI_OK;
}

sumi_status sumi_ms_generation_init(struct sumi_ms_generation *g, const struct sumi_call *c,
                                    const struct sumi_ms_slots *slots, int64_t beams) {
  *g = (struct sumi_ms_generation){
      .call = c, .slots = *slots, .beams = beams, .vocab = sumi_attr_int(c->node, "vocab_size", -1)};
  g->body = sumi_attr_graph(c->node, "decoder");
  g->has_encoder = sumi_ms_has_encoder(c->node);
  g->first_body = g->has_encoder ? NULL : sumi_attr_graph(c->node, "init_decoder");
  g->states = (int)g->body->n_output - 1;
  g->past_at = g->has_encoder ? (int)sumi_ms_own_inputs(g->body, c->node) - 2 * g->states : BODY_PAST;
  SUMI_TRY(read_parameters(g));
  SUMI_TRY(check_shape(c, slots->attention_mask, 2, g->batch, c->in[IDS]->dim[1]));
  int64_t n;
  if (!sumi_i64_mul(g->rows, g->max_length, &n)) SUMI_FAIL_MEMORY(c->err);
  g->sequence = new_array(g, n, sizeof(int32_t));
  g->other = new_array(g, n, sizeof(int32_t));
  g->ids = int32_matrix(g->rows, g->prompt, new_array(g, g->rows * g->prompt, sizeof(int32_t)));
  if (!g->sequence || !g->other || !g->ids.data) SUMI_FAIL_MEMORY(c->err);
  if (g->has_encoder) {
    SUMI_TRY(set_feeds(g));
    return sumi_ms_encoder_start(g);
  }
  g->positions = int32_matrix(g->rows, g->prompt, new_array(g, g->rows * g->prompt, sizeof(int32_t)));
  g->mask = int32_matrix(g->rows, g->prompt, new_array(g, n, sizeof(int32_t)));
  if (!g->positions.data || !g->mask.data) SUMI_FAIL_MEMORY(c->err);
  fill_prompt(g);
  return set_feeds(g);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

/* What only the first run can tell: the vocabulary, and that the masks have its size. */
static sumi_status set_vocabulary(struct sumi_ms_generation *g, const struct sumi_tensor *logits) {
  const struct sumi_call *c = g->call;
  int64_t n;
  if (g->vocab <= 0) g->vocab = logits->dim[2];
  if (g->vocab > logits->dim[2] || g->vocab > INT32_MAX || g->vocab <= 0)
    SUMI_FAIL(c->err, SUMI_E_VALUE, "the decoder gives %" PRId64 " logits for a vocabulary of %" PRId64,
              logits->dim[2], g->vocab);
  SUMI_TRY(check_shape(c, g->slots.vocab_mask, 1, 0, g->vocab));
  SUMI_TRY(check_shape(c, g->slots.prefix_mask, 2, g->batch, g->vocab));
  SUMI_TRY(check_shape(c, g->slots.presence_mask, 2, g->batch, g->vocab));
  if (!sumi_i64_mul(g->rows, g->vocab, &n) || !(g->score = new_array(g, n, sizeof *g->score)) ||
      !(g->seen = new_array(g, g->vocab, sizeof *g->seen)))
    SUMI_FAIL_MEMORY(c->err);
  return SUMI_OK;
}

static sumi_status check_results(struct sumi_ms_generation *g) {
  const struct sumi_tensor *logits = g->result[0];
  char have[64];
  if (logits->rank != 3 || logits->dim[0] != g->rows || logits->dim[1] != g->ids.dim[1] ||
      !sumi_dtype_is_float(logits->dtype))
    SUMI_FAIL(g->call->err, SUMI_E_SHAPE,
              "the decoder's logits have shape %s for %" PRId64 " rows of %" PRId64 " tokens",
              sumi_shape_print(logits->dim, logits->rank, have, sizeof have), g->rows, g->ids.dim[1]);
  if (!g->score) SUMI_TRY(set_vocabulary(g, logits));
  if (logits->dim[2] < g->vocab)
    SUMI_FAIL(g->call->err, SUMI_E_SHAPE, "the decoder gives fewer logits than before");
  for (int i = 0; i < g->states; i++) {
    const struct sumi_tensor *present = g->result[1 + i], *past = &g->past[i];
    bool same = present->rank == past->rank && present->dtype == past->dtype;
    for (int k = 0; same && k < past->rank; k++)
      same = present->dim[k] == (k == past->rank - 2 ? g->length : past->dim[k]);
    if (!same)
      SUMI_FAIL(g->call->err, SUMI_E_SHAPE, "the decoder's present %d has shape %s after %" PRId64 " tokens",
                i, sumi_shape_print(present->dim, present->rank, have, sizeof have), g->length);
  }
  return SUMI_OK;
}

sumi_status sumi_ms_generation_decode(struct sumi_ms_generation *g) {
  const struct sumi_call *c = g->call;
  const struct sumi_graph *body = g->step == 0 && g->first_body ? g->first_body : g->body;
  if (!g->has_results)
    SUMI_TRY(c->bodies->run(c->bodies->self, body, g->feed, (int)g->body->n_input, g->result,
                            (int)g->body->n_output, c->err));
  g->has_results = false;
  SUMI_TRY(check_results(g));
  const struct sumi_tensor *logits = g->result[0];
  for (int64_t r = 0; r < g->rows; r++)
    sumi_to_f32(logits->dtype, logits->data, ((r + 1) * logits->dim[1] - 1) * logits->dim[2], g->vocab,
                g->score + r * g->vocab);
  g->step++;
  return SUMI_OK;
}

/* ---- the next token ---------------------------------------------------------------------------------------------- */

/* The presents become the pasts: as they are, or row r taken from row from[r]. */
static sumi_status move_states(struct sumi_ms_generation *g, const int32_t *from) {
  for (int i = 0; i < g->states; i++) {
    const struct sumi_tensor *present = g->result[1 + i];
    if (!from) {
      g->feed[g->past_at + i] = present;
      continue;
    }
    struct sumi_tensor *past = &g->past[i];
    const int time = past->rank - 2;
    const int64_t block = sumi_dims_count(present->dim, time - 1, past->rank),
                  all = sumi_tensor_count(present);
    if (!past->dim[time]) { /* the first time: room for all that will come */
      int64_t n;
      size_t bytes;
      if (!sumi_i64_mul(all / present->dim[time], g->max_length, &n) ||
          !sumi_dtype_bytes(past->dtype, n, &bytes) || !(past->data = sumi_arena_alloc(g->call->heap, bytes)))
        SUMI_FAIL_MEMORY(g->call->err);
    }
    past->dim[time] = present->dim[time];
    for (int64_t r = 0; r < all / block; r++)
      sumi_copy(past->dtype, past->data, r * block, present->data,
                (r / g->rows * g->rows + from[r % g->rows]) * block, block);
    g->feed[g->past_at + i] = past;
  }
  return SUMI_OK;
}

/* The mask and the positions of a decoder without an encoder, one token on. */
static void extend_mask(struct sumi_ms_generation *g) {
  const int64_t length = g->length + 1;
  int32_t *ids = g->ids.data, *positions = g->positions.data, *mask = g->mask.data;
  for (int64_t r = g->rows - 1; r >= 0; r--) /* rows of the mask become longer: the last one moves first */
    for (int64_t t = length - 1; t >= 0; t--)
      mask[r * length + t] = t < g->length ? mask[r * g->length + t] : 1;
  for (int64_t r = 0; r < g->rows; r++) {
    if (g->step == 1) { /* positions of the prompt: go on behind its last token that is no padding */
      int32_t count = 0;
      for (int64_t t = 0; t < g->prompt; t++) count += ids[r * g->prompt + t] != g->pad;
      positions[r] = count;
    } else {
      positions[r]++;
    }
  }
  g->positions.dim[1] = 1;
  g->mask.dim[1] = length;
}

sumi_status sumi_ms_generation_append(struct sumi_ms_generation *g, const int32_t *token,
                                      const int32_t *from) {
  if (from) {
    for (int64_t r = 0; r < g->rows; r++)
      memcpy(g->other + r * g->max_length, g->sequence + from[r] * g->max_length,
             (size_t)g->length * sizeof *g->other);
    int32_t *swap = g->sequence;
    g->sequence = g->other;
    g->other = swap;
  }
  if (!g->has_encoder) extend_mask(g);
  int32_t *ids = g->ids.data;
  for (int64_t r = 0; r < g->rows; r++) ids[r] = g->sequence[r * g->max_length + g->length] = token[r];
  g->length++;
  g->ids.dim[1] = 1;
  /* one beam a row has nothing to change places with (rows that are done may name any other) */
  return move_states(g, g->beams > 1 ? from : NULL);
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* Once for every token that occurs in row r. */
static void penalise_repetition(struct sumi_ms_generation *g, int64_t r, float penalty) {
  const int32_t *sequence = g->sequence + r * g->max_length;
  float *score = g->score + r * g->vocab;
  for (int64_t t = 0; t < g->length; t++) {
    const int32_t k = sequence[t];
    if (k < 0 || k >= g->vocab || g->seen[k]) continue;
    g->seen[k] = true;
    score[k] = score[k] < 0 ? score[k] * penalty : score[k] / penalty;
  }
  for (int64_t t = 0; t < g->length; t++)
    if (sequence[t] >= 0 && sequence[t] < g->vocab) g->seen[sequence[t]] = false;
}

/* Forbids what followed the last n - 1 tokens anywhere before. */
static void forbid_ngrams(struct sumi_ms_generation *g, int64_t r, int64_t n) {
  const int32_t *sequence = g->sequence + r * g->max_length, *prefix = sequence + g->length - (n - 1);
  for (int64_t t = 0; t + n <= g->length; t++) {
    const int32_t next = sequence[t + n - 1];
    if (next >= 0 && next < g->vocab && !memcmp(sequence + t, prefix, (size_t)(n - 1) * sizeof *prefix))
      g->score[r * g->vocab + next] = -FLT_MAX;
  }
}

static void apply_mask(struct sumi_ms_generation *g, int64_t r, const int32_t *mask) {
  for (int64_t k = 0; k < g->vocab; k++)
    if (mask[k] == 0) g->score[r * g->vocab + k] = -FLT_MAX;
}

static const int32_t *int_input(const struct sumi_ms_generation *g, int input) {
  return input >= 0 && sumi_call_has(g->call, input) ? g->call->in[input]->data : NULL;
}

sumi_status sumi_ms_generation_process(struct sumi_ms_generation *g) {
  const struct sumi_node *node = g->call->node;
  float penalty;
  SUMI_TRY(sumi_ms_scalar_float(g->call, g->slots.repetition_penalty, 1, &penalty));
  if (!(penalty > 0))
    SUMI_FAIL(g->call->err, SUMI_E_VALUE, "'repetition_penalty' is %g, not positive", (double)penalty);
  const int64_t ngram = sumi_attr_int(node, "no_repeat_ngram_size", 0);
  const float temperature = sumi_attr_float(node, "temperature", 1),
              presence = sumi_attr_float(node, "presence_penalty", 0);
  const int32_t *vocab_mask = int_input(g, g->slots.vocab_mask),
                *prefix_mask = int_input(g, g->slots.prefix_mask);
  const int32_t *present = int_input(g, g->slots.presence_mask);
  for (int64_t r = 0; r < g->rows; r++) {
    float *score = g->score + r * g->vocab;
    const int64_t b = r / g->beams;
    if (penalty != 1) penalise_repetition(g, r, penalty);
    if (ngram > 0 && ngram <= g->length) forbid_ngrams(g, r, ngram);
    if (vocab_mask) apply_mask(g, r, vocab_mask);
    if (prefix_mask && g->step == 1) apply_mask(g, r, prefix_mask + b * g->vocab);
    if (g->length < g->min_length && g->eos >= 0 && g->eos < g->vocab) score[g->eos] = -FLT_MAX;
    if (temperature > 0 && temperature != 1)
      for (int64_t k = 0; k < g->vocab; k++) score[k] /= temperature;
    if (present && presence != 0)
      for (int64_t k = 0; k < g->vocab; k++) score[k] -= (float)present[b * g->vocab + k] * presence;
  }
  return SUMI_OK;
}
