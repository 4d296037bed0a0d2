/* What BeamSearch, GreedySearch and Sampling (com.microsoft) share: running a decoder body token by token, and changing the
 * scores of the next token as asked for. This is about decoders like GPT-2; ms_generate_encoder.c has those with an encoder.
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
  bool encoder; /* the operator takes models with an encoder */
};

struct sumi_ms_generation {
  const struct sumi_call *call;
  const struct sumi_graph *body, *first_body; /* decoder; init_decoder for the first run, NULL = the same */
  struct sumi_ms_slots slots;
  int64_t batch, beams, rows;
  int64_t prompt; /* tokens given; with an encoder: the decoder's first one */
  int64_t length; /* tokens by now */
  int64_t min_length, max_length;
  int64_t vocab; /* scores used; the logits may have more columns */
  int32_t eos, pad;
  int step;                  /* decoder runs so far */
  int32_t *sequence, *other; /* [rows, max_length]; other is used when rows change places */
  float *score;              /* [rows, vocab] of the next token */
  bool *seen;                /* [vocab], all false between uses */
  /* the body's inputs and outputs: input_ids first, states from past_at on; logits first, then as many states */
  bool has_encoder;
  bool has_results; /* of the first run, which the encoder's body has made */
  int states, past_at;
  const struct sumi_tensor **feed;   /* [n_input] */
  const struct sumi_tensor **result; /* [n_output] */
  struct sumi_tensor ids, positions, mask;
  struct sumi_tensor *past; /* [states], where rows change places: [.., rows, heads, tokens, head] */
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

/* ---- models with an encoder (ms_generate_encoder.c), model_type 1 ---- */

/* Whether the node's model has an encoder. */
bool sumi_ms_has_encoder(const struct sumi_node *node);

/* Checks the bodies 'encoder' and 'decoder'. */
sumi_status sumi_ms_encoder_check(const struct sumi_node *node, struct sumi_err *err);

/* Runs the encoder and sets up the first run of the decoder. ids, sequence and other are allocated. */
sumi_status sumi_ms_encoder_start(struct sumi_ms_generation *g);

/* The inputs of a body that it does not capture. */
size_t sumi_ms_own_inputs(const struct sumi_graph *body, const struct sumi_node *node);

#endif
