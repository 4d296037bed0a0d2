/* RotaryEmbedding (com.microsoft): turns pairs of every head by the angle of its position p,
 *   y0 = x0 cos[p,i] - x1 sin[p,i],  y1 = x1 cos[p,i] + x0 sin[p,i],  i in [0, d/2)
 * pair i is elements i and i + d/2 of the head, interleaved: 2i and 2i + 1; d is rotary_embedding_dim or the whole head,
 * elements behind d stay. Input [batch, tokens, heads * head] or [batch, heads, tokens, head]; position_ids [batch,
 * tokens], or one number that token 0 has. Source: ONNX Runtime, docs/ContribOperators.md. In float32. */
#include <inttypes.h>

#include "op/broadcast.h"
#include "op/ms_rotary.h"
#include "op/rotary_cells.h"

enum { INPUT, POSITIONS, COS, SIN };

/* Size of a head and of its turned part from the hidden size (rank 3) or head size (rank 4) and the columns of cos. */
static sumi_status head_sizes(const struct sumi_node *node, int rank, sumi_dim last, sumi_dim columns,
                              sumi_dim *head, sumi_dim *part, struct sumi_err *err) {
  const int64_t d = sumi_attr_int(node, "rotary_embedding_dim", 0),
                heads = sumi_attr_int(node, "num_heads", 0);
  if (d < 0 || d % 2 || heads < 0)
    SUMI_FAIL(err, SUMI_E_VALUE, "rotary_embedding_dim %" PRId64 " or num_heads %" PRId64 " is out of range",
              d, heads);
  if (d > 0 && rank == 3 && heads == 0)
    SUMI_FAIL(err, SUMI_E_VALUE, "rotary_embedding_dim is given without num_heads");
  *part = d > 0 ? d : columns >= 0 && columns < INT32_MAX ? 2 * columns : SUMI_DIM_UNKNOWN;
  *head = rank == 4 ? last : heads > 0 && last >= 0 ? last / heads : *part;
  if (columns >= 0 && *part != 2 * columns)
    SUMI_FAIL(err, SUMI_E_SHAPE, "the caches have %" PRId64 " columns for %" PRId64 " elements", columns,
              *part);
  if (*head >= 0 && last >= 0 && (*head == 0 ? last != 0 : last % *head || *part > *head))
    SUMI_FAIL(err, SUMI_E_SHAPE, "heads of %" PRId64 " of which %" PRId64 " turn do not make %" PRId64, *head,
              *part, last);
  return SUMI_OK;
}

static sumi_status rotary_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_ms_want_rank(ctx, INPUT, 3, 4));
  SUMI_TRY(sumi_ms_want_rank(ctx, POSITIONS, 0, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, COS, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, SIN, 2, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, SIN, 0, sumi_ms_dim(ctx, COS, 0), "number of positions"));
  SUMI_TRY(sumi_ms_want_dim(ctx, SIN, 1, sumi_ms_dim(ctx, COS, 1), "number of angles"));
  if (sumi_attr_int(ctx->node, "is_packed_batching", 0))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED,
              "batches of unequal length in one row (is_packed_batching) are not known");
  const struct sumi_info *x = &ctx->in[INPUT];
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  if (x->rank < 0) return SUMI_OK;
  if (ctx->in[POSITIONS].rank == 1)
    SUMI_TRY(sumi_ms_want_dim(ctx, POSITIONS, 0, 1, "count of first positions"));
  if (ctx->in[POSITIONS].rank == 2) {
    SUMI_TRY(sumi_ms_want_dim(ctx, POSITIONS, 0, x->dim[0], "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, POSITIONS, 1, x->dim[x->rank == 4 ? 2 : 1], "number of tokens"));
  }
  sumi_dim head, part;
  return head_sizes(ctx->node, x->rank, x->dim[x->rank - 1], sumi_ms_dim(ctx, COS, 1), &head, &part,
                    ctx->err);
}

static sumi_status rotary_scratch(const struct sumi_call *c, size_t *bytes) {
  *bytes = 0;
  SUMI_TRY(sumi_ms_book(bytes, c->in[INPUT]->dim[c->in[INPUT]->rank - 1], sizeof(float), c->err));
  return sumi_ms_book(bytes, 2 * c->in[COS]->dim[1], sizeof(float), c->err);
}

void sumi_ms_turn_by(float *x, const float *cosines, const float *sines, int64_t n, bool interleaved) {
  const int64_t step = interleaved ? 2 : 1;
  float *second = x + (interleaved ? 1 : n);
  SUMI_IVDEP for (int64_t i = 0; i < n; i++) {
    const float x0 = x[i * step], x1 = second[i * step];
    x[i * step] = x0 * cosines[i] - x1 * sines[i];
    second[i * step] = x1 * cosines[i] + x0 * sines[i];
  }
}

void sumi_ms_turn(float *x, const float *turn, int64_t n, bool interleaved) {
  sumi_ms_turn_by(x, turn, turn + n, n, interleaved);
}

static sumi_status rotary_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[INPUT], *positions = c->in[POSITIONS], *cosines = c->in[COS],
                           *sines = c->in[SIN];
  const bool split = x->rank == 4, interleaved = sumi_attr_int(c->node, "interleaved", 0) != 0;
  const int64_t last = x->dim[x->rank - 1], outside = split ? x->dim[1] : 1, tokens = x->dim[split ? 2 : 1];
  const int64_t n = cosines->dim[1];
  sumi_dim head, part;
  SUMI_TRY(head_sizes(c->node, x->rank, last, n, &head, &part, c->err));
  char *scratch = c->scratch;
  float *row = sumi_ms_take(&scratch, last, sizeof *row), *turn = sumi_ms_take(&scratch, 2 * n, sizeof *turn);
  const int64_t *given = positions->data;
  for (int64_t b = 0; b < x->dim[0]; b++)
    for (int64_t o = 0; o < outside; o++)
      for (int64_t t = 0; t < tokens; t++) {
        int64_t p = positions->rank == 2 ? given[b * tokens + t] : given[0];
        if (positions->rank != 2 && !(p < 0 || p >= cosines->dim[0])) p += t;
        if (p < 0 || p >= cosines->dim[0])
          SUMI_FAIL(c->err, SUMI_E_VALUE, "position %" PRId64 " is outside the caches of %" PRId64, p,
                    cosines->dim[0]);
        const int64_t first = ((b * outside + o) * tokens + t) * last;
        sumi_to_f32(x->dtype, x->data, first, last, row);
        sumi_to_f32(cosines->dtype, cosines->data, p * n, n, turn);
        sumi_to_f32(sines->dtype, sines->data, p * n, n, turn + n);
        for (int64_t h = 0; h < last; h += head) sumi_ms_turn(row + h, turn, n, interleaved);
        sumi_from_f32(x->dtype, row, last, c->out[0]->data, first);
      }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"num_heads", SUMI_ATTR_INT},
                                              {"rotary_embedding_dim", SUMI_ATTR_INT},
                                              {"interleaved", SUMI_ATTR_INT},
                                              {"is_packed_batching", SUMI_ATTR_INT},
                                              {"scale", SUMI_ATTR_FLOAT} /* without effect */,
                                              {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_MS_T, 'T'},
                                      {"position_ids", SUMI_BIT(SUMI_INT64), 'M'},
                                      {"cos_cache", SUMI_MS_T, 'T'},
                                      {"sin_cache", SUMI_MS_T, 'T'},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_MS_T, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,16] x, int64[2,3] p, float[8,4] c, float[8,4] s) => (y) {"
     " y = com.microsoft.RotaryEmbedding (x, p, c, s) }",
     .rtol = 1e-6, .why = "two products and a sum in float"},
    {"g (float[2,2,3,6] x, int64[1] p, float[10,2] c, float[10,2] s) => (y) {"
     " y = com.microsoft.RotaryEmbedding <rotary_embedding_dim = 4, num_heads = 2, interleaved = 1> (x, p, "
     "c, s) }",
     .rtol = 1e-6, .why = "a part of each head, heads outside"},
    {"g (float[2,3,12] x, float[10,2] c, float[10,2] s) => (y) <int64 p = {4}> {"
     " y = com.microsoft.RotaryEmbedding <rotary_embedding_dim = 4, num_heads = 2> (x, p, c, s) }",
     .rtol = 1e-6, .why = "the first position is known"},
    {NULL},
};

const struct sumi_op sumi_op_ms_rotary_embedding = {
    .name = "com.microsoft.RotaryEmbedding",
    .formula = "pairs of each head turned by the angle of their position",
    .known_as = {{"com.microsoft", "RotaryEmbedding", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = rotary_infer,
    .ref = rotary_ref,
    .cells = sumi_ms_rotary_embedding_cells,
    .scratch = rotary_scratch,
    .cases = cases,
};
