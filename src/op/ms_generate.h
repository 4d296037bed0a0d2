/* What BeamSearch, GreedySearch and Sampling (com.microsoft) share: running a GPT-2 decoder body token by token, and
 * changing the scores of the next token as asked for.
 *
 * The body takes input_ids, position_ids, attention_mask (int32) and past_0.. [2, rows, heads, past, head]; it gives
 * logits [rows, tokens, vocabulary] and present_0.., which are the next run's past. rows = batch * beams. The first run
 * takes the whole prompt, where position_ids count the tokens that are not padding (padding: position and mask 0),
 * later ones take one token a row. Everything is allocated from the call's heap once, before the first run.
 * Source: ONNX Runtime, docs/ContribOperators.md, and what it is seen to do. */
#ifndef SUMI_OP_MS_GENERATE_H
#define SUMI_OP_MS_GENERATE_H

#include "op/ms_util.h"

enum { SUMI_MS_MAX_LENGTH = 4096, SUMI_MS_MAX_BEAMS = 128 };

/* Which input of the node is what; -1: it has none such. */
struct sumi_ms_slots {
  int repetition_penalty, vocab_mask, prefix_mask, attention_mask, presence_mask;
};

struct sumi_ms_generation {
  const struct sumi_call *call;
  const struct sumi_graph *body, *first_body; /* decoder; init_decoder for the first run, NULL = the same */
  struct sumi_ms_slots slots;
  int64_t batch, beams, rows;
  int64_t prompt; /* tokens given */
  int64_t length; /* tokens by now */
  int64_t min_length, max_length;
  int64_t vocab; /* scores used; the logits may have more columns */
  int32_t eos, pad;
  int step;                  /* decoder runs so far */
  int32_t *sequence, *other; /* [rows, max_length]; other is used when rows change places */
  float *score;              /* [rows, vocab] of the next token */
  bool *seen;                /* [vocab], all false between uses */
  /* the body's inputs and outputs */
  int layers;
  const struct sumi_tensor **feed;   /* [n_input] */
  const struct sumi_tensor **result; /* [n_output] */
  struct sumi_tensor ids, positions, mask;
  struct sumi_tensor *past; /* [layers], where rows change places */
};

/* Checks attributes, body and shapes common to the three. */
sumi_status sumi_ms_generation_infer(struct sumi_infer *ctx, const struct sumi_ms_slots *slots);

/* The element of a one-element input as an integer in [low, high], or otherwise when it is not given. */
sumi_status sumi_ms_scalar_int(const struct sumi_call *c, int input, int64_t low, int64_t high,
                               int64_t otherwise, int64_t *out);
/* The same for a float. */
sumi_status sumi_ms_scalar_float(const struct sumi_call *c, int input, float otherwise, float *out);

/* Reads everything but what only one of the operators has, and sets up the first run. g->beams is given. */
sumi_status sumi_ms_generation_init(struct sumi_ms_generation *g, const struct sumi_call *c,
                                    const struct sumi_ms_slots *slots, int64_t beams);

/* Runs the decoder; score = the logits of the last token. */
sumi_status sumi_ms_generation_decode(struct sumi_ms_generation *g);

/* Changes score, in this order: repetition_penalty, no_repeat_ngram_size, vocab_mask, prefix_vocab_mask (first token
 * only), min_length, temperature, presence_penalty. */
sumi_status sumi_ms_generation_process(struct sumi_ms_generation *g);

/* Appends token[r] to row r, after row r became a copy of row from[r] (NULL: it stays). */
sumi_status sumi_ms_generation_append(struct sumi_ms_generation *g, const int32_t *token,
                                      const int32_t *from);

#endif
