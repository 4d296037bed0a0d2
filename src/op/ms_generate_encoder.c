/* Generation by models with an encoder, like T5: the encoder's body runs once, the decoder's token by token.
 *   encoder  encoder_input_ids, encoder_attention_mask [batch, length] -> present_key_cross_0, present_value_cross_0 ...
 *            [batch, heads, length, head]; or, with decoder_input_ids [batch, 1] as third input ->
 *            logits, encoder_hidden_states, present_key_self_0, present_value_self_0 ..., present_key_cross_0 ...: then it
 *            is the decoder's first run as well
 *   decoder  input_ids [rows, 1], encoder_attention_mask, (encoder_hidden_states,) past_key_self_0,
 *            past_value_self_0 ..., past_key_cross_0, past_value_cross_0 ... -> logits, present_key_self_0 ...
 * The decoder begins with decoder_start_token_id and takes one token a run. What the encoder gives is repeated for every
 * beam of a prompt. Source: ONNX Runtime, docs/ContribOperators.md, and what it is seen to do. */
#include <inttypes.h>

#include "base/size.h"
#include "op/move.h"
#include "op/ms_generate.h"

enum { IDS }; /* inputs of the node */
enum { DECODER_MASK = 1, DECODER_HIDDEN };
enum { WITH_DECODER = 3 };                 /* inputs of an encoder that is the decoder's first run as well */
enum { FIRST_LOGITS, HIDDEN, FIRST_SELF }; /* and its outputs */

bool sumi_ms_has_encoder(const struct sumi_node *node) { return sumi_attr_int(node, "model_type", 0) == 1; }

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static sumi_status check_state(const struct sumi_graph *body, size_t i, struct sumi_err *err) {
  const struct sumi_info *past = &body->input[i]->info;
  if (past->rank != 4 || past->dim[1] <= 0 || past->dim[3] <= 0 ||
      !sumi_dtype_in(past->dtype, SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16)))
    SUMI_FAIL(err, SUMI_E_SHAPE,
              "input %zu of body 'decoder' does not say how many heads of which size its past has", i);
  return SUMI_OK;
}

static sumi_status check_ids(const struct sumi_graph *body, const char *name, size_t n,
                             struct sumi_err *err) {
  for (size_t i = 0; i < n; i++) {
    const sumi_dtype dtype = body->input[i]->info.dtype;
    if (dtype != SUMI_INT32 && dtype != SUMI_UNDEFINED)
      SUMI_FAIL(err, SUMI_E_TYPE, "input %zu of body '%s' is %s, not int32", i, name,
                sumi_dtype_label(dtype));
  }
  return SUMI_OK;
}

sumi_status sumi_ms_encoder_check(const struct sumi_node *node, struct sumi_err *err) {
  const struct sumi_graph *encoder = sumi_attr_graph(node, "encoder"),
                          *decoder = sumi_attr_graph(node, "decoder");
  if (!encoder) SUMI_FAIL(err, SUMI_E_ARG, "model_type is 1, but there is no body 'encoder'");
  const size_t captured = (size_t)node->n_captured;
  if (encoder->n_input < captured || decoder->n_input < captured || decoder->n_output < 3 ||
      decoder->n_output % 2 == 0)
    SUMI_FAIL(err, SUMI_E_ARG, "body 'decoder' gives %zu values, not logits and two states a layer",
              decoder->n_output);
  const size_t states = decoder->n_output - 1, own = sumi_ms_own_inputs(decoder, node),
               own_encoder = sumi_ms_own_inputs(encoder, node);
  if (own != 2 + 2 * states && own != 3 + 2 * states)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
              "body 'decoder' takes %zu inputs, not ids, the encoder's mask, perhaps its hidden states, and "
              "%zu states "
              "of its own and of the encoder (buffers shared by past and present are not known)",
              own, 2 * states);
  const bool first_run = own_encoder == WITH_DECODER, hidden = own == 3 + 2 * states;
  const size_t gives = first_run ? FIRST_SELF + 2 * states : states;
  if ((own_encoder != 2 && !first_run) || encoder->n_output != gives)
    SUMI_FAIL(err, SUMI_E_ARG,
              "body 'encoder' takes %zu inputs and gives %zu values, 2 or 3 and %zu are wanted", own_encoder,
              encoder->n_output, gives);
  if (hidden && !first_run)
    SUMI_FAIL(err, SUMI_E_ARG, "body 'decoder' wants hidden states, which 'encoder' does not give");
  SUMI_TRY(check_ids(encoder, "encoder", own_encoder, err));
  SUMI_TRY(check_ids(decoder, "decoder", 2, err));
  const struct sumi_info *ids = &decoder->input[0]->info;
  if (ids->rank != 2 || ids->dim[1] != 1)
    SUMI_FAIL(
        err, SUMI_E_UNSUPPORTED,
        "body 'decoder' does not say that its input_ids are one token a row: whole sequences are not fed");
  for (size_t i = own - 2 * states; i < own; i++) SUMI_TRY(check_state(decoder, i, err));
  const int64_t start = sumi_attr_int(node, "decoder_start_token_id", -1);
  if (start < 0 || start > INT32_MAX)
    SUMI_FAIL(err, SUMI_E_VALUE, "decoder_start_token_id is %" PRId64 ", no token", start);
  return SUMI_OK;
}

/* ---- the first run ----------------------------------------------------------------------------------------------- */

static sumi_status new_matrix(const struct sumi_ms_generation *g, int64_t rows, int64_t columns,
                              struct sumi_tensor *out) {
  int64_t n;
  *out = (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = SUMI_INT32, .rank = 2, .dim = {rows, columns}};
  if (!sumi_i64_mul(rows, columns, &n) || !(out->data = SUMI_NEW_ARRAY(g->call->heap, (size_t)n, int32_t)))
    SUMI_FAIL_MEMORY(g->call->err);
  return SUMI_OK;
}

/* A copy of t [batch, ...] with each prompt's part once for every beam. */
static sumi_status repeat(const struct sumi_ms_generation *g, const struct sumi_tensor *t,
                          const struct sumi_tensor **out) {
  struct sumi_tensor *copy = SUMI_NEW(g->call->heap, struct sumi_tensor);
  int64_t n;
  size_t bytes;
  if (!copy || !sumi_i64_mul(sumi_tensor_count(t), g->beams, &n) || !sumi_dtype_bytes(t->dtype, n, &bytes))
    SUMI_FAIL_MEMORY(g->call->err);
  *copy = *t;
  copy->dim[0] = g->rows;
  if (!(copy->data = sumi_arena_alloc(g->call->heap, bytes + 1))) SUMI_FAIL_MEMORY(g->call->err);
  const int64_t part = sumi_dims_count(t->dim, 1, t->rank);
  for (int64_t r = 0; r < g->rows; r++)
    sumi_copy(t->dtype, copy->data, r * part, t->data, r / g->beams * part, part);
  *out = copy;
  return SUMI_OK;
}

/* decoder_start_token_id, to start[batch, 1] and to the rows of ids and sequence. */
static sumi_status fill_start(struct sumi_ms_generation *g, struct sumi_tensor *start) {
  const int32_t token = (int32_t)sumi_attr_int(g->call->node, "decoder_start_token_id", -1);
  SUMI_TRY(new_matrix(g, g->batch, 1, start));
  for (int64_t b = 0; b < g->batch; b++) ((int32_t *)start->data)[b] = token;
  for (int64_t r = 0; r < g->rows; r++) ((int32_t *)g->ids.data)[r] = g->sequence[r * g->max_length] = token;
  return SUMI_OK;
}

/* The mask as given, or false where the prompt is padding. */
static sumi_status make_mask(const struct sumi_ms_generation *g, struct sumi_tensor *mask) {
  const struct sumi_call *c = g->call;
  const struct sumi_tensor *ids = c->in[IDS];
  if (sumi_call_has(c, g->slots.attention_mask)) {
    *mask = *c->in[g->slots.attention_mask];
    return SUMI_OK;
  }
  SUMI_TRY(new_matrix(g, g->batch, ids->dim[1], mask));
  for (int64_t i = 0; i < sumi_tensor_count(ids); i++)
    ((int32_t *)mask->data)[i] = ((const int32_t *)ids->data)[i] != g->pad;
  return SUMI_OK;
}

/* What the encoder gave: [batch, ...]; states [batch, heads, length, head] as the decoder's input i says. */
static sumi_status check_given(const struct sumi_ms_generation *g, const struct sumi_tensor *t, int i,
                               int64_t length) {
  const struct sumi_info *want = &g->body->input[i]->info;
  char have[64];
  const bool good = t->rank == 4 && t->dtype == want->dtype && t->dim[0] == g->batch &&
                    t->dim[1] == want->dim[1] && t->dim[2] == length && t->dim[3] == want->dim[3];
  if (!good)
    SUMI_FAIL(g->call->err, SUMI_E_SHAPE, "the encoder gives %s %s for input %d of the decoder",
              sumi_dtype_label(t->dtype), sumi_shape_print(t->dim, t->rank, have, sizeof have), i);
  return SUMI_OK;
}

static sumi_status use_results(struct sumi_ms_generation *g, const struct sumi_tensor *const *given,
                               bool first_run) {
  const int cross = g->past_at + g->states;
  const int64_t length = g->call->in[IDS]->dim[1];
  for (int i = 0; i < g->states; i++) {
    const struct sumi_tensor *t = given[first_run ? FIRST_SELF + g->states + i : i];
    SUMI_TRY(check_given(g, t, cross + i, length));
    SUMI_TRY(repeat(g, t, &g->feed[cross + i]));
  }
  if (!first_run) return SUMI_OK;
  if (given[FIRST_LOGITS]->rank != 3 || given[FIRST_LOGITS]->dim[0] != g->batch || given[HIDDEN]->rank < 1 ||
      given[HIDDEN]->dim[0] != g->batch)
    SUMI_FAIL(g->call->err, SUMI_E_SHAPE,
              "the encoder's logits or hidden states are not one for each prompt");
  if (g->past_at > DECODER_HIDDEN) SUMI_TRY(repeat(g, given[HIDDEN], &g->feed[DECODER_HIDDEN]));
  SUMI_TRY(repeat(g, given[FIRST_LOGITS], &g->result[0]));
  for (int i = 0; i < g->states; i++) {
    SUMI_TRY(check_given(g, given[FIRST_SELF + i], g->past_at + i, g->prompt));
    SUMI_TRY(repeat(g, given[FIRST_SELF + i], &g->result[1 + i]));
  }
  g->has_results = true;
  return SUMI_OK;
}

sumi_status sumi_ms_encoder_start(struct sumi_ms_generation *g) {
  const struct sumi_call *c = g->call;
  const struct sumi_graph *encoder = sumi_attr_graph(c->node, "encoder");
  const size_t own = sumi_ms_own_inputs(encoder, c->node), captures = (size_t)c->node->n_captured;
  struct sumi_tensor start, mask;
  const struct sumi_tensor **feed = SUMI_NEW_ARRAY(c->heap, encoder->n_input, const struct sumi_tensor *),
                           **given = SUMI_NEW_ARRAY(c->heap, encoder->n_output, const struct sumi_tensor *);
  if (!feed || !given) SUMI_FAIL_MEMORY(c->err);
  SUMI_TRY(fill_start(g, &start));
  SUMI_TRY(make_mask(g, &mask));
  const struct sumi_tensor *const own_feed[] = {c->in[IDS], &mask, &start};
  for (size_t i = 0; i < own; i++) feed[i] = own_feed[i];
  for (size_t i = 0; i < captures; i++) feed[own + i] = c->in[(size_t)c->n_in - captures + i];
  SUMI_TRY(c->bodies->run(c->bodies->self, encoder, feed, (int)encoder->n_input, given,
                          (int)encoder->n_output, c->err));
  SUMI_TRY(repeat(g, &mask, &g->feed[DECODER_MASK]));
  return use_results(g, given, own == WITH_DECODER);
}
