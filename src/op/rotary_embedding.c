/* RotaryEmbedding: turns pairs of the first rotary_embedding_dim features (0 = all) of every head by an angle that belongs
 * to the token's position:
 *   y1 = cos * x1 - sin * x2    y2 = sin * x1 + cos * x2
 * A pair is feature i of the first half and feature i of the second half, or interleaved 2i and 2i + 1. cos and sin are
 * rows of the caches [positions, pairs] picked by position_ids [batch, seq], or [batch, seq, pairs] without. x is
 * [batch, heads, seq, size], or [batch, seq, heads * size] with num_heads. In double precision, rounded once. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/call_lower.h"
#include "op/ms_rotary.h"
#include "op/op_util.h"
#include "op/rotary_cells.h"

struct rotary {
  int64_t batch, heads, seq, size, pairs;
  int64_t x_batch, x_head, x_seq; /* strides */
};

/* Dims may be unknown. Sets size to the head size. */
static sumi_status head_size(const struct sumi_node *node, int rank, const sumi_dim *dim, sumi_dim *size,
                             struct sumi_err *err) {
  if (rank != 3 && rank != 4) SUMI_FAIL(err, SUMI_E_SHAPE, "the input has rank %d, not 3 or 4", rank);
  *size = dim[rank - 1];
  if (rank == 4) return SUMI_OK;
  const int64_t heads = sumi_attr_int(node, "num_heads", 0);
  if (heads < 1) SUMI_FAIL(err, SUMI_E_VALUE, "an input of rank 3 needs num_heads, which is %" PRId64, heads);
  if (*size >= 0 && *size % heads)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%" PRId64 " features are no multiple of %" PRId64 " heads", *size, heads);
  *size = *size >= 0 ? *size / heads : SUMI_DIM_UNKNOWN;
  return SUMI_OK;
}

/* Checks a cache's dims: [positions, pairs] or [batch, seq, pairs]. */
static sumi_status check_cache(const struct sumi_infer *ctx, int i, sumi_dim batch, sumi_dim seq,
                               sumi_dim pairs) {
  const struct sumi_info *p = &ctx->in[i];
  const bool picked = sumi_infer_has(ctx, 3);
  const sumi_dim want[3] = {batch, seq, pairs};
  if (p->rank < 0) return SUMI_OK;
  if (p->rank != (picked ? 2 : 3))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not %d", i, p->rank, picked ? 2 : 3);
  for (int k = picked ? 1 : 0; k < p->rank; k++) {
    const sumi_dim w = want[k + 3 - p->rank];
    if (p->dim[k] >= 0 && w >= 0 && p->dim[k] != w)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of input %d is %" PRId64 ", not %" PRId64, k, i,
                p->dim[k], w);
  }
  return SUMI_OK;
}

static sumi_status rotary_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *a = &ctx->in[1], *b = &ctx->in[2];
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  if (x->rank < 0) return SUMI_OK;
  sumi_dim size = SUMI_DIM_UNKNOWN;
  SUMI_TRY(head_size(ctx->node, x->rank, x->dim, &size, ctx->err));
  const int64_t turned = sumi_attr_int(ctx->node, "rotary_embedding_dim", 0);
  if (turned < 0 || (size >= 0 && turned > size) || (turned ? turned % 2 : size >= 0 && size % 2))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "%" PRId64 " of %" PRId64 " features cannot be turned in pairs", turned,
              size);
  const sumi_dim pairs = turned ? turned / 2 : size >= 0 ? size / 2 : SUMI_DIM_UNKNOWN;
  const sumi_dim batch = x->dim[0], seq = x->dim[x->rank == 3 ? 1 : 2];
  SUMI_TRY(check_cache(ctx, 1, batch, seq, pairs));
  SUMI_TRY(check_cache(ctx, 2, batch, seq, pairs));
  if (a->rank >= 0 && a->rank == b->rank && a->dim[0] >= 0 && b->dim[0] >= 0 && a->dim[0] != b->dim[0])
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the caches have %" PRId64 " and %" PRId64 " rows", a->dim[0],
              b->dim[0]);
  if (!sumi_infer_has(ctx, 3) || ctx->in[3].rank < 0) return SUMI_OK;
  const struct sumi_info *ids = &ctx->in[3];
  if (ids->rank != 2 || (ids->dim[0] >= 0 && batch >= 0 && ids->dim[0] != batch) ||
      (ids->dim[1] >= 0 && seq >= 0 && ids->dim[1] != seq))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "position_ids is not [%" PRId64 ", %" PRId64 "]", batch, seq);
  return SUMI_OK;
}

static sumi_status rotary_resolve(const struct sumi_call *c, struct rotary *r) {
  const struct sumi_tensor *x = c->in[0];
  SUMI_TRY(head_size(c->node, x->rank, x->dim, &r->size, c->err));
  const bool flat = x->rank == 3;
  r->batch = x->dim[0];
  r->heads = flat ? sumi_attr_int(c->node, "num_heads", 0) : x->dim[1];
  r->seq = flat ? x->dim[1] : x->dim[2];
  r->x_head = flat ? r->size : r->seq * r->size;
  r->x_seq = flat ? r->heads * r->size : r->size;
  r->x_batch = r->seq * r->heads * r->size;
  const int64_t turned = sumi_attr_int(c->node, "rotary_embedding_dim", 0);
  r->pairs = (turned ? turned : r->size) / 2;
  return SUMI_OK;
}

/* One head of one token: x and y from element at; its cache row starts at element row. */
static void turn(const struct sumi_call *c, const struct rotary *r, int64_t at, int64_t row) {
  const struct sumi_tensor *x = c->in[0], *cos = c->in[1], *sin = c->in[2], *y = c->out[0];
  const bool interleaved = sumi_attr_int(c->node, "interleaved", 0) != 0;
  for (int64_t i = 0; i < r->pairs; i++) {
    const int64_t one = at + (interleaved ? 2 * i : i), two = interleaved ? one + 1 : one + r->pairs;
    const double x1 = sumi_get_f64(x->dtype, x->data, one), x2 = sumi_get_f64(x->dtype, x->data, two);
    const double a = sumi_get_f64(cos->dtype, cos->data, row + i),
                 b = sumi_get_f64(sin->dtype, sin->data, row + i);
    sumi_set_f64(y->dtype, y->data, one, a * x1 - b * x2);
    sumi_set_f64(y->dtype, y->data, two, b * x1 + a * x2);
  }
  sumi_copy(x->dtype, y->data, at + 2 * r->pairs, x->data, at + 2 * r->pairs, r->size - 2 * r->pairs);
}

/* The row of the caches for token t of all tokens. */
static sumi_status cache_row(const struct sumi_call *c, int64_t t, int64_t *row) {
  *row = t;
  if (!sumi_call_has(c, 3)) return SUMI_OK;
  *row = ((const int64_t *)c->in[3]->data)[t];
  if (*row < 0 || *row >= c->in[1]->dim[0])
    SUMI_FAIL(c->err, SUMI_E_VALUE, "position %" PRId64 " is outside the caches' %" PRId64, *row,
              c->in[1]->dim[0]);
  return SUMI_OK;
}

static sumi_status rotary_ref(const struct sumi_call *c) {
  struct rotary r = {0};
  SUMI_TRY(rotary_resolve(c, &r));
  if (!sumi_tensor_count(c->in[0])) return SUMI_OK;
  for (int64_t b = 0; b < r.batch; b++)
    for (int64_t s = 0; s < r.seq; s++) {
      int64_t row;
      SUMI_TRY(cache_row(c, b * r.seq + s, &row));
      for (int64_t h = 0; h < r.heads; h++)
        turn(c, &r, b * r.x_batch + h * r.x_head + s * r.x_seq, row * r.pairs);
    }
  return SUMI_OK;
}

/* ---- for threads, float32 ------------------------------------------------------------------------------------------- */

struct turning {
  const struct sumi_call *call;
  struct rotary r;
};

/* Tokens [begin, end), whose rows are all there. */
static void turn_tokens(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct turning *t = user;
  const struct rotary *r = &t->r;
  const float *x = t->call->in[0]->data;
  float *y = t->call->out[0]->data;
  const bool interleaved = sumi_attr_int(t->call->node, "interleaved", 0) != 0;
  for (int64_t i = begin; i < end; i++) {
    int64_t row;
    if (cache_row(t->call, i, &row) != SUMI_OK) return;
    const float *cosines = (const float *)t->call->in[1]->data + row * r->pairs,
                *sines = (const float *)t->call->in[2]->data + row * r->pairs;
    for (int64_t h = 0; h < r->heads; h++) {
      const int64_t at = i / r->seq * r->x_batch + h * r->x_head + i % r->seq * r->x_seq;
      if (y != x) memcpy(y + at, x + at, (size_t)r->size * sizeof *y);
      sumi_ms_turn_by(y + at, cosines, sines, r->pairs, interleaved);
    }
  }
}

static sumi_status run_shared(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  enum { TOKENS = 4 }; /* of a tile */
  struct turning t = {.call = c};
  int64_t row;
  SUMI_TRY(rotary_resolve(c, &t.r));
  if (!sumi_tensor_count(c->in[0])) return SUMI_OK;
  for (int64_t i = 0; i < t.r.batch * t.r.seq; i++) SUMI_TRY(cache_row(c, i, &row));
  sumi_par_for(tools->par, t.r.batch * t.r.seq, TOKENS, turn_tokens, &t);
  return SUMI_OK;
}

static sumi_status rotary_lower(struct sumi_lower *l) {
  if (l->in[0]->dtype != SUMI_FLOAT32) {
    sumi_lower_refuse(l, "tokens", "element type %s", sumi_dtype_label(l->in[0]->dtype));
    return SUMI_E_UNSUPPORTED;
  }
  return sumi_call_lower(l, run_shared, NULL, 0, -1, "tokens");
}

static const struct sumi_attr_spec attrs[] = {{"interleaved", SUMI_ATTR_INT},
                                              {"num_heads", SUMI_ATTR_INT},
                                              {"rotary_embedding_dim", SUMI_ATTR_INT},
                                              {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'},
                                      {"cos_cache", SUMI_FLOATS, 'T'},
                                      {"sin_cache", SUMI_FLOATS, 'T'},
                                      {"position_ids", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,4,8] x, float[9,4] c, float[9,4] s) => (y) <int64[2,4] p = {0, 1, 2, 3, 8, 4, 4, 0}> "
     "{ y = RotaryEmbedding (x, c, s, p) }",
     .rtol = 1e-6},
    {"g (float[2,4,24] x, float[2,4,3] c, float[2,4,3] s) => (y) "
     "{ y = RotaryEmbedding <num_heads = 3, interleaved = 1, rotary_embedding_dim = 6> (x, c, s) }",
     .rtol = 1e-6, .why = "the last two features stay"},
    {NULL},
};

const struct sumi_op sumi_op_rotary_embedding = {
    .name = "RotaryEmbedding",
    .formula = "turns pairs of features by an angle that belongs to the position",
    .known_as = {{"", "RotaryEmbedding", {23}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = rotary_infer,
    .ref = rotary_ref,
    .cells = sumi_rotary_embedding_cells,
    .lower = rotary_lower,
    .cases = cases,
};
