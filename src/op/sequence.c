/* SequenceConstruct, SequenceEmpty, SequenceAt, SequenceInsert, SequenceErase, SequenceLength.
 * Sequences are values: every operator that makes one copies its tensors. Positions count from the back
 * where they are negative. */
#include "op/sequence.h"

#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

/* ---- shared -------------------------------------------------------------------------------------------- */

void sumi_infer_kind(struct sumi_infer *ctx, sumi_kind kind, sumi_dtype dtype) {
  if (ctx->n_out < 1 || ctx->out[0].absent) return;
  ctx->out[0] = (struct sumi_info){.kind = kind, .dtype = dtype, .rank = -1};
}

sumi_status sumi_call_sequence(const struct sumi_call *c, sumi_dtype dtype,
                               const struct sumi_tensor *const *item, int64_t n) {
  /* the copy only reads the items */
  const struct sumi_tensor s = {
      .kind = SUMI_SEQUENCE, .dtype = dtype, .items = (struct sumi_tensor **)(uintptr_t)item, .n_items = n};
  return sumi_call_output_copy(c, 0, &s);
}

sumi_status sumi_call_sequence_begin(const struct sumi_call *c, sumi_dtype dtype, int64_t n) {
  struct sumi_tensor *s = c->out[0];
  *s = (struct sumi_tensor){.kind = SUMI_SEQUENCE, .dtype = dtype};
  s->items = SUMI_NEW_ARRAY(c->heap, (size_t)n, struct sumi_tensor *);
  if (!s->items) SUMI_FAIL_MEMORY(c->err);
  s->n_items = n;
  return SUMI_OK;
}

sumi_status sumi_call_sequence_item(const struct sumi_call *c, int64_t k, int rank, const int64_t *dim) {
  struct sumi_tensor *s = c->out[0], *t = SUMI_NEW(c->heap, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(c->err);
  s->items[k] = t;
  struct sumi_call one = *c;
  one.out = &t;
  one.n_out = 1;
  return sumi_call_output(&one, 0, s->dtype, rank, dim);
}

/* The position that an input holds, in [-n, n) or with at_end [-n, n]; otherwise: where it is not given. */
static sumi_status position(const struct sumi_call *c, int input, int64_t n, bool at_end, int64_t otherwise,
                            int64_t *at) {
  *at = otherwise;
  if (!sumi_call_has(c, input)) {
    if (n + at_end <= 0) SUMI_FAIL(c->err, SUMI_E_VALUE, "the sequence is empty");
    return SUMI_OK;
  }
  if (sumi_tensor_count(c->in[input]) != 1) SUMI_FAIL(c->err, SUMI_E_SHAPE, "the position is not one number");
  const int64_t p = sumi_get_i64(c->in[input]->dtype, c->in[input]->data, 0);
  if (p < -n || p >= n + at_end)
    SUMI_FAIL(c->err, SUMI_E_VALUE, "position %" PRId64 " is outside a sequence of %" PRId64, p, n);
  *at = p < 0 ? p + n : p;
  return SUMI_OK;
}

/* ---- SequenceConstruct, SequenceEmpty ------------------------------------------------------------------ */

static sumi_status construct_infer(struct sumi_infer *ctx) {
  if (ctx->n_in < 1) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are no inputs");
  for (int i = 0; i < ctx->n_in; i++)
    if (ctx->in[i].absent) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is missing", i);
  sumi_infer_kind(ctx, SUMI_SEQUENCE, ctx->in[0].dtype);
  return SUMI_OK;
}

static sumi_status construct_ref(const struct sumi_call *c) {
  return sumi_call_sequence(c, c->in[0]->dtype, c->in, c->n_in);
}

static sumi_status empty_infer(struct sumi_infer *ctx) {
  const int64_t number = sumi_attr_int(ctx->node, "dtype", sumi_dtype_to_onnx(SUMI_FLOAT32));
  const sumi_dtype dtype = sumi_dtype_from_onnx(number);
  if (dtype == SUMI_UNDEFINED) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "dtype is %" PRId64, number);
  sumi_infer_kind(ctx, SUMI_SEQUENCE, dtype);
  return SUMI_OK;
}

static sumi_status empty_ref(const struct sumi_call *c) {
  const int64_t number = sumi_attr_int(c->node, "dtype", sumi_dtype_to_onnx(SUMI_FLOAT32));
  return sumi_call_sequence(c, sumi_dtype_from_onnx(number), NULL, 0);
}

/* ---- SequenceAt, SequenceInsert, SequenceErase, SequenceLength ----------------------------------------- */

static sumi_status at_infer(struct sumi_infer *ctx) {
  sumi_infer_out_unknown(ctx, 0, ctx->in[0].dtype);
  return SUMI_OK;
}

static sumi_status at_ref(const struct sumi_call *c) {
  int64_t at;
  SUMI_TRY(position(c, 1, c->in[0]->n_items, false, 0, &at));
  return sumi_call_output_copy(c, 0, c->in[0]->items[at]);
}

static sumi_status same_infer(struct sumi_infer *ctx) {
  sumi_infer_kind(ctx, SUMI_SEQUENCE, ctx->in[0].dtype);
  return SUMI_OK;
}

static sumi_status insert_ref(const struct sumi_call *c) {
  const struct sumi_tensor *s = c->in[0];
  int64_t at;
  SUMI_TRY(position(c, 2, s->n_items, true, s->n_items, &at));
  const struct sumi_tensor **item =
      SUMI_NEW_ARRAY(c->heap, (size_t)s->n_items + 1, const struct sumi_tensor *);
  if (!item) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i <= s->n_items; i++) item[i] = i == at ? c->in[1] : s->items[i < at ? i : i - 1];
  return sumi_call_sequence(c, c->in[1]->dtype, item, s->n_items + 1);
}

static sumi_status erase_ref(const struct sumi_call *c) {
  const struct sumi_tensor *s = c->in[0];
  int64_t at;
  SUMI_TRY(position(c, 1, s->n_items, false, s->n_items - 1, &at));
  const struct sumi_tensor **item = SUMI_NEW_ARRAY(c->heap, (size_t)s->n_items, const struct sumi_tensor *);
  if (!item) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i < s->n_items - 1; i++) item[i] = s->items[i < at ? i : i + 1];
  return sumi_call_sequence(c, s->dtype, item, s->n_items - 1);
}

static sumi_status length_infer(struct sumi_infer *ctx) {
  sumi_infer_out(ctx, 0, SUMI_INT64, 0, NULL);
  return SUMI_OK;
}

static sumi_status length_ref(const struct sumi_call *c) {
  *(int64_t *)c->out[0]->data = c->in[0]->n_items;
  return SUMI_OK;
}

/* Cases of sequences are the standard's own: the text syntax of cases has no random sequences. */
static const struct sumi_port none_in[] = {{NULL}};
static const struct sumi_port tensors_in[] = {{"inputs", SUMI_ANY, 'T', SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port at_in[] = {
    {"input_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE}, {"position", SUMI_INDICES}, {NULL}};
static const struct sumi_port insert_in[] = {
    {"input_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE},
    {"tensor", SUMI_ANY, 'T'},
    {"position", SUMI_INDICES, 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port erase_in[] = {
    {"input_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE},
    {"position", SUMI_INDICES, 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port sequence_in[] = {{"input_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE}, {NULL}};
static const struct sumi_port sequence_out[] = {{"output_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE},
                                                {NULL}};
static const struct sumi_port empty_out[] = {{"output", SUMI_ANY, 0, SUMI_PORT_SEQUENCE}, {NULL}};
static const struct sumi_port tensor_out[] = {{"tensor", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port length_out[] = {{"length", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_attr_spec empty_attrs[] = {{"dtype", SUMI_ATTR_INT}, {NULL}};

static const struct sumi_case at_cases[] = {
    {"g (float[2,3] x, float[4] y) => (z) <int64[] p = {-1}> { s = SequenceConstruct (x, y) z = SequenceAt "
     "(s, p) }"},
    {NULL},
};
static const struct sumi_case empty_cases[] = {
    {"g (float[3] x) => (z, n) <int64[] p = {0}> { e = SequenceEmpty () n = SequenceLength (e) s = "
     "SequenceInsert (e, x) z = SequenceAt (s, p) }"},
    {NULL},
};
static const struct sumi_case insert_cases[] = {
    {"g (float[2] x, float[4] y) => (z, n) <int64[] p = {0}> { s = SequenceConstruct (x, x) t = "
     "SequenceInsert (s, y, p)"
     " z = SequenceAt (t, p) n = SequenceLength (t) }"},
    {NULL},
};
static const struct sumi_case erase_cases[] = {
    {"g (float[2] x, float[4] y) => (z, n) <int64[] p = {0}> { s = SequenceConstruct (x, y) t = "
     "SequenceErase (s, p)"
     " z = SequenceAt (t, p) n = SequenceLength (t) }"},
    {NULL},
};

#define SEQUENCE_OP(symbol, title, text, attributes, ins, outs, infer_fn, ref_fn, tests, extra) \
  const struct sumi_op sumi_op_##symbol = {                                                     \
      .name = title,                                                                            \
      .formula = text,                                                                          \
      .known_as = {{"", title, {11}}},                                                          \
      .attrs = attributes,                                                                      \
      .in = ins,                                                                                \
      .out = outs,                                                                              \
      .flags = extra,                                                                           \
      .infer = infer_fn,                                                                        \
      .ref = ref_fn,                                                                            \
      .cases = tests,                                                                           \
  }

SEQUENCE_OP(sequence_construct, "SequenceConstruct", "the inputs in order", NULL, tensors_in, sequence_out,
            construct_infer, construct_ref, at_cases, SUMI_OP_DYNAMIC);
SEQUENCE_OP(sequence_empty, "SequenceEmpty", "no tensors", empty_attrs, none_in, empty_out, empty_infer,
            empty_ref, empty_cases, SUMI_OP_DYNAMIC);
SEQUENCE_OP(sequence_at, "SequenceAt", "s[position]", NULL, at_in, tensor_out, at_infer, at_ref, at_cases,
            SUMI_OP_DYNAMIC);
SEQUENCE_OP(sequence_insert, "SequenceInsert", "s with a tensor put before position", NULL, insert_in,
            sequence_out, same_infer, insert_ref, insert_cases, SUMI_OP_DYNAMIC);
SEQUENCE_OP(sequence_erase, "SequenceErase", "s without the tensor at position", NULL, erase_in, sequence_out,
            same_infer, erase_ref, erase_cases, SUMI_OP_DYNAMIC);
SEQUENCE_OP(sequence_length, "SequenceLength", "how many tensors", NULL, sequence_in, length_out,
            length_infer, length_ref, insert_cases, 0);
