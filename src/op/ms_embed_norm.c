/* EmbedLayerNormalization (com.microsoft): for every token,
 *   s = word_embedding[input_ids] + position_embedding[position_ids, or the token's index]
 *     + segment_embedding[segment_ids, or 0]
 *   output = (s - mean(s)) / sqrt(mean((s - mean(s))^2) + epsilon) * gamma + beta
 * embedding_sum = s; mask_index[b] = how many of the batch's mask entries are 1, 0 without a mask.
 * Source: ONNX Runtime, docs/ContribOperators.md. Sums are taken in double precision. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernel/eltwise/eltwise.h"
#include "kernel/rows/rows.h"
#include "op/call_lower.h"
#include "op/ms_util.h"
#include "op/rows_cells.h"
#include "op/spmm_lower.h"

enum { IDS, SEGMENTS, WORD, POSITION, SEGMENT, GAMMA, BETA, MASK, POSITIONS };

static sumi_status embed_infer(struct sumi_infer *ctx) {
  for (int i = IDS; i <= SEGMENT; i++) SUMI_TRY(sumi_ms_want_rank(ctx, i, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, GAMMA, 1, 1));
  SUMI_TRY(sumi_ms_want_rank(ctx, BETA, 1, 1));
  SUMI_TRY(sumi_ms_want_rank(ctx, MASK, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, POSITIONS, 2, 2));
  const sumi_dim batch = sumi_ms_dim(ctx, IDS, 0), length = sumi_ms_dim(ctx, IDS, 1);
  sumi_dim h = sumi_ms_dim(ctx, WORD, 1);
  const struct { int input, axis; } sizes[] = {{POSITION, 1}, {SEGMENT, 1}, {GAMMA, 0}, {BETA, 0}};
  for (int i = 0; i < 4; i++) {
    SUMI_TRY(sumi_ms_want_dim(ctx, sizes[i].input, sizes[i].axis, h, "hidden size"));
    h = sumi_ms_same(h, sumi_ms_dim(ctx, sizes[i].input, sizes[i].axis));
  }
  if (sumi_infer_has(ctx, SEGMENTS) && !sumi_infer_has(ctx, SEGMENT))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'segment_ids' are given without 'segment_embedding'");
  const int like_ids[] = {SEGMENTS, MASK, POSITIONS};
  for (int i = 0; i < 3; i++) {
    if (like_ids[i] != POSITIONS || sumi_ms_dim(ctx, POSITIONS, 0) != 1)
      SUMI_TRY(sumi_ms_want_dim(ctx, like_ids[i], 0, batch, "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, like_ids[i], 1, length, "sequence length"));
  }
  const sumi_dim dim[] = {batch, length, h};
  sumi_infer_out(ctx, 0, ctx->in[WORD].dtype, 3, dim);
  sumi_infer_out(ctx, 1, SUMI_INT32, 1, &batch);
  sumi_infer_out(ctx, 2, ctx->in[WORD].dtype, 3, dim);
  return SUMI_OK;
}

static sumi_status embed_scratch(const struct sumi_call *c, size_t *bytes) {
  *bytes = 0;
  for (int i = 0; i < 4; i++) SUMI_TRY(sumi_ms_book(bytes, c->in[WORD]->dim[1], sizeof(float), c->err));
  return SUMI_OK;
}

static sumi_status no_row(const struct sumi_call *c, int table, int64_t row) {
  SUMI_FAIL(c->err, SUMI_E_VALUE, "row %" PRId64 " of '%s' is asked for, it has %" PRId64, row,
            c->node->op->in[table].name, c->in[table]->dim[0]);
}

/* Adds a table's row to s[h]; add[h] is scratch. */
static sumi_status add_row(const struct sumi_call *c, int table, int64_t row, float *s, float *add,
                           int64_t h) {
  const struct sumi_tensor *t = c->in[table];
  if (row < 0 || row >= t->dim[0]) return no_row(c, table, row);
  sumi_to_f32(t->dtype, t->data, row * h, h, add);
  for (int64_t i = 0; i < h; i++) s[i] += add[i];
  return SUMI_OK;
}

static void embed_mask_index(const struct sumi_call *c, int64_t batch, int64_t length) {
  int32_t *index = c->out[1]->data;
  for (int64_t b = 0; b < batch; b++) {
    index[b] = 0;
    if (!sumi_call_has(c, MASK)) continue;
    const int32_t *mask = (const int32_t *)c->in[MASK]->data + b * length;
    for (int64_t t = 0; t < length; t++) index[b] += mask[t] == 1;
  }
}

/* Row of a token's position: given, or its index. */
static int64_t position_of(const struct sumi_call *c, int64_t b, int64_t t) {
  if (!sumi_call_has(c, POSITIONS)) return t;
  const struct sumi_tensor *p = c->in[POSITIONS];
  return ((const int32_t *)p->data)[(p->dim[0] != 1 ? b * p->dim[1] : 0) + t];
}

static sumi_status embed_ref(const struct sumi_call *c) {
  const struct sumi_tensor *ids = c->in[IDS];
  const int64_t batch = ids->dim[0], length = ids->dim[1], h = c->in[WORD]->dim[1];
  const sumi_dtype dtype = c->in[WORD]->dtype;
  const float epsilon = sumi_attr_float(c->node, "epsilon", 1e-12f);
  const int32_t *word = ids->data, *segment = sumi_call_has(c, SEGMENTS) ? c->in[SEGMENTS]->data : NULL;
  char *scratch = c->scratch;
  float *s = sumi_ms_take(&scratch, h, sizeof *s), *add = sumi_ms_take(&scratch, h, sizeof *add);
  float *gamma = sumi_ms_take(&scratch, h, sizeof *gamma), *beta = sumi_ms_take(&scratch, h, sizeof *beta);
  sumi_to_f32(dtype, c->in[GAMMA]->data, 0, h, gamma);
  sumi_to_f32(dtype, c->in[BETA]->data, 0, h, beta);
  for (int64_t b = 0; b < batch; b++)
    for (int64_t t = 0; t < length; t++) {
      const int64_t token = b * length + t;
      for (int64_t i = 0; i < h; i++) s[i] = 0;
      SUMI_TRY(add_row(c, WORD, word[token], s, add, h));
      SUMI_TRY(add_row(c, POSITION, position_of(c, b, t), s, add, h));
      if (sumi_call_has(c, SEGMENT)) SUMI_TRY(add_row(c, SEGMENT, segment ? segment[token] : 0, s, add, h));
      if (sumi_call_wants(c, 2)) sumi_from_f32(dtype, s, h, c->out[2]->data, token * h);
      double mean = 0, square = 0;
      for (int64_t i = 0; i < h; i++) mean += (double)s[i] / (double)h;
      for (int64_t i = 0; i < h; i++) square += ((double)s[i] - mean) * ((double)s[i] - mean);
      const double inv = 1 / sqrt(square / (double)h + (double)epsilon);
      for (int64_t i = 0; i < h; i++) s[i] = (float)(((double)s[i] - mean) * inv) * gamma[i] + beta[i];
      if (sumi_call_wants(c, 0)) sumi_from_f32(dtype, s, h, c->out[0]->data, token * h);
    }
  if (sumi_call_wants(c, 1)) embed_mask_index(c, batch, length);
  return SUMI_OK;
}

/* ---- cells: look-ups, their sum, a normalisation ------------------------------------------------------------------- */

/* Where the row of a table for token (batch, t) lies: of input ids [1 or batch, length]; -1: of row t, or of row 0. */
static sumi_status rows_cells(struct sumi_cells *c, int table, int ids, bool by_token,
                              struct sumi_cell_view *rows) {
  const int64_t h = c->in[table]->dim[1], length = c->in[IDS]->dim[1];
  struct sumi_cell_lookup l = {
      .table = sumi_cells_row_major(c, table), .rows = c->in[table]->dim[0], .row = h};
  *rows = (struct sumi_cell_view){.operand = l.table, .step = {0, by_token ? h : 0, 1}};
  if (l.table < 0) return SUMI_E_MEMORY;
  if (ids < 0)
    return l.rows < (by_token ? length : 1) ? sumi_cells_refuse(c, "tokens without a position") : SUMI_OK;
  l.ids = sumi_cells_row_major(c, ids);
  l.n = sumi_tensor_count(c->in[ids]);
  const int64_t count = l.n * h;
  l.out = sumi_cells_temp(c, c->in[table]->dtype, 1, &count);
  if (l.ids < 0 || l.out < 0) return SUMI_E_MEMORY;
  *rows = (struct sumi_cell_view){.operand = l.out, .step = {l.n == length ? 0 : length * h, h, 1}};
  return sumi_cells_lookup(c, &l);
}

/* sum = the rows of the tables. */
static sumi_status sum_cells(struct sumi_cells *c, int sum) {
  struct sumi_cell_view rows[3];
  const int n = sumi_cells_has(c, SEGMENT) ? 3 : 2;
  SUMI_TRY(rows_cells(c, WORD, IDS, true, &rows[0]));
  SUMI_TRY(rows_cells(c, POSITION, sumi_cells_has(c, POSITIONS) ? POSITIONS : -1, true, &rows[1]));
  if (n > 2) SUMI_TRY(rows_cells(c, SEGMENT, sumi_cells_has(c, SEGMENTS) ? SEGMENTS : -1, false, &rows[2]));
  struct sumi_vector p;
  int v = -1;
  sumi_vector_start(&p, c);
  sumi_vector_over(&p, sum, 0);
  for (int i = 0; i < n; i++) {
    const int view = sumi_vector_view_plain(&p, rows[i].operand);
    for (int d = 0; d < 3 && view >= 0; d++) p.view[view].step[p.loop[d]] = rows[i].step[d];
    const int x = sumi_vector_load(&p, view);
    v = i ? SUMI_VECTOR(&p, "a + b", v, x) : x;
  }
  sumi_vector_store(&p, sumi_vector_view(&p, sum), v);
  return sumi_vector_end(&p);
}

static sumi_status mask_index_cells(struct sumi_cells *c) {
  const struct sumi_reduction ones = {SUMI_REDUCTION_SUM, "a == 1", NULL};
  const struct sumi_seen to = sumi_see_broadcast(c, sumi_cells_out(c, 1), 2, 0);
  if (sumi_cells_has(c, MASK)) {
    const struct sumi_seen mask = sumi_see(c, MASK);
    return sumi_reduce_cells(c, &mask, 2, &ones, &to);
  }
  const struct sumi_cell_copy zeros = {.rank = 1,
                                       .n = {c->out[1]->dim[0]},
                                       .to = {.operand = to.operand, .step = {1}},
                                       .from = {.operand = -1}};
  return sumi_cells_copy(c, &zeros);
}

static sumi_status embed_cells(struct sumi_cells *c) {
  const int64_t dim[] = {c->in[IDS]->dim[0], c->in[IDS]->dim[1], c->in[WORD]->dim[1]};
  if (!c->out[0]) return sumi_cells_refuse(c, "no result");
  if (!sumi_tensor_count(c->out[0])) return sumi_cells_refuse(c, "an empty tensor");
  const int y = sumi_cells_row_major(c, sumi_cells_out(c, 0));
  int sum = c->n_out > 2 && c->out[2] ? sumi_cells_row_major(c, sumi_cells_out(c, 2))
                                      : sumi_cells_temp(c, SUMI_FLOAT32, 3, dim);
  if (y < 0 || sum < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sum_cells(c, sum));
  if (c->n_out > 1 && c->out[1]) SUMI_TRY(mask_index_cells(c));
  const struct sumi_norm n = {.x = sumi_see(c, sum),
                              .y = sumi_see(c, y),
                              .scale = sumi_see_broadcast(c, GAMMA, 3, 2),
                              .bias = sumi_see_broadcast(c, BETA, 3, 2),
                              .mean = sumi_see(c, -1),
                              .inverse = sumi_see(c, -1),
                              .inner = 1u << 2,
                              .centred = true,
                              .factor = SUMI_NORM_FACTOR,
                              .epsilon = sumi_attr_float(c->node, "epsilon", 1e-12f)};
  return sumi_norm_cells(c, &n);
}

/* ---- with kernels ------------------------------------------------------------------------------------------------ */

struct fast {
  const struct sumi_rows_kernel *rows;
  const struct sumi_eltwise_kernel *eltwise;
};

struct fast_run {
  const struct fast *f;
  const struct sumi_call *call;
};

/* The table's row of a token; SUMI_E_VALUE where it has none. */
static sumi_status table_row(const struct sumi_call *c, int table, int64_t row, const float **out) {
  const struct sumi_tensor *t = c->in[table];
  if (row < 0 || row >= t->dim[0]) return no_row(c, table, row);
  *out = (const float *)t->data + row * t->dim[1];
  return SUMI_OK;
}

/* The rows whose sum token b * length + t is; *n of them. */
static sumi_status token_rows(const struct sumi_call *c, int64_t b, int64_t t, const float *row[3], int *n) {
  const int64_t token = b * c->in[IDS]->dim[1] + t;
  *n = 2;
  SUMI_TRY(table_row(c, WORD, ((const int32_t *)c->in[IDS]->data)[token], &row[0]));
  SUMI_TRY(table_row(c, POSITION, position_of(c, b, t), &row[1]));
  if (!sumi_call_has(c, SEGMENT)) return SUMI_OK;
  const int32_t *segment = sumi_call_has(c, SEGMENTS) ? c->in[SEGMENTS]->data : NULL;
  *n = 3;
  return table_row(c, SEGMENT, segment ? segment[token] : 0, &row[2]);
}

/* All rows were found to be there. */
static void run_tokens(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct fast_run *r = user;
  const struct sumi_call *c = r->call;
  const int64_t h = c->in[WORD]->dim[1], length = c->in[IDS]->dim[1];
  const struct sumi_rows_norm norm = {.n = h,
                                      .centred = true,
                                      .epsilon = sumi_attr_float(c->node, "epsilon", 1e-12f),
                                      .scale = c->in[GAMMA]->data,
                                      .bias = c->in[BETA]->data};
  for (int64_t i = begin; i < end; i++) {
    const float *row[3] = {NULL};
    int n;
    if (token_rows(c, i / length, i % length, row, &n) != SUMI_OK) return;
    float *y = (float *)c->out[0]->data + i * h;
    r->f->eltwise->binary[SUMI_BINARY_add](row[0], 1, row[1], 1, y, h);
    if (n > 2) r->f->eltwise->binary[SUMI_BINARY_add](y, 1, row[2], 1, y, h);
    if (sumi_call_wants(c, 2)) memcpy((float *)c->out[2]->data + i * h, y, (size_t)h * sizeof *y);
    r->f->rows->norm(&norm, y, y);
  }
}

static sumi_status run_fast(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  enum { TOKENS = 8 }; /* of a tile */
  const int64_t batch = c->in[IDS]->dim[0], length = c->in[IDS]->dim[1];
  for (int64_t b = 0; b < batch; b++)
    for (int64_t t = 0; t < length; t++) {
      const float *row[3] = {NULL};
      int n;
      SUMI_TRY(token_rows(c, b, t, row, &n));
    }
  struct fast_run r = {tools->user, c};
  sumi_par_for(tools->par, batch * length, TOKENS, run_tokens, &r);
  if (sumi_call_wants(c, 1)) embed_mask_index(c, batch, length);
  return SUMI_OK;
}

static sumi_status embed_lower(struct sumi_lower *l) {
  struct fast *f = SUMI_NEW(l->arena, struct fast);
  if (!f) SUMI_FAIL_MEMORY(l->err);
  *f = (struct fast){sumi_rows_pick(l->isa), sumi_eltwise_pick(l->isa)};
  if (!sumi_lower_is_f32(l->in[WORD]) || !l->out[0] || !sumi_tensor_count(l->out[0])) {
    sumi_lower_refuse(l, f->rows->name, "not float32, an empty tensor, or a result that nobody wants");
    return SUMI_E_UNSUPPORTED;
  }
  return sumi_call_lower(l, run_fast, f, 0, -1, f->rows->name);
}

#define FLOAT_TYPES (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16))
static const struct sumi_attr_spec attrs[] = {
    {"epsilon", SUMI_ATTR_FLOAT}, {"mask_index_type", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"input_ids", SUMI_BIT(SUMI_INT32), 'I'},
                                      {"segment_ids", SUMI_BIT(SUMI_INT32), 'I', SUMI_PORT_OPTIONAL},
                                      {"word_embedding", FLOAT_TYPES, 'T'},
                                      {"position_embedding", FLOAT_TYPES, 'T'},
                                      {"segment_embedding", FLOAT_TYPES, 'T', SUMI_PORT_OPTIONAL},
                                      {"gamma", FLOAT_TYPES, 'T'},
                                      {"beta", FLOAT_TYPES, 'T'},
                                      {"mask", SUMI_BIT(SUMI_INT32), 'I', SUMI_PORT_OPTIONAL},
                                      {"position_ids", SUMI_BIT(SUMI_INT32), 'I', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", FLOAT_TYPES, 'T'},
                                       {"mask_index", SUMI_BIT(SUMI_INT32), 'I', SUMI_PORT_OPTIONAL},
                                       {"embedding_sum", FLOAT_TYPES, 'T', SUMI_PORT_OPTIONAL},
                                       {NULL}};

static const struct sumi_case cases[] = {
    {"g (int32[2,3] i, int32[2,3] s, float[8,19] w, float[5,19] p, float[8,19] q, float[19] g, float[19] b, "
     "int32[2,3] m)"
     " => (y, k, e) { y, k, e = com.microsoft.EmbedLayerNormalization <epsilon = 1e-5> (i, s, w, p, q, g, b, "
     "m) }",
     .rtol = 2e-6, .why = "float sums of three terms; the mask counts ones only"},
    {"g (int32[2,3] i, float[8,6] w, float[8,6] p, float[6] g, float[6] b, int32[1,3] j)"
     " => (y, k) { y, k = com.microsoft.EmbedLayerNormalization (i, , w, p, , g, b, , j) }",
     .rtol = 2e-6, .why = "positions given once for the batch; no segments, no mask"},
    {NULL},
};

const struct sumi_op sumi_op_ms_embed_layer_normalization = {
    .name = "com.microsoft.EmbedLayerNormalization",
    .formula = "(s - mean) / sqrt(var + epsilon) * gamma + beta, s = word + position + segment rows",
    .known_as = {{"com.microsoft", "EmbedLayerNormalization", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = embed_infer,
    .ref = embed_ref,
    .cells = embed_cells,
    .lower = embed_lower,
    .scratch = embed_scratch,
    .cases = cases,
};
