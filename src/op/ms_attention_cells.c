/* Attention and MultiHeadAttention (com.microsoft) for the card: q, k, v and the softmax are bfloat16, sums
 * float32. A past whose length is known when running only, and scores as a result, are the host's. */
#include "op/attention_cells.h"
#include "op/dot_cells.h"
#include "op/fattention_cells.h"
#include "op/ms_attention_core.h"
#include "op/vector_cells.h"

#include "base/size.h"

/* ---- masks ----------------------------------------------------------------------------------------------- */

/* Mask [batch] of ends, or [2 batch] of ends and starts, as one of bools by batch and key. */
static sumi_status add_lengths(struct sumi_cells *c, const struct sumi_attention_cells *a, int mask,
                               struct sumi_attention_mask *m) {
  const int64_t dim[] = {a->batch, a->keys}, given = c->in[mask]->dim[0];
  const bool starts = given == 2 * a->batch;
  if (given != a->batch && !starts) return sumi_cells_refuse(c, "a mask of lengths of another kind");
  int32_t *number = SUMI_NEW_ARRAY(c->arena, (size_t)a->keys, int32_t);
  if (!number) SUMI_FAIL_MEMORY(c->err);
  for (int64_t t = 0; t < a->keys; t++) number[t] = (int32_t)t;
  const int key = sumi_cells_constant(c, SUMI_INT32, 1, &a->keys, number);
  m->operand = sumi_cells_temp(c, SUMI_BOOL, 2, dim);
  if (key < 0 || m->operand < 0) return SUMI_E_MEMORY;
  struct sumi_vector v;
  int length[2];
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, m->operand, 0);
  for (int i = 0; i < 1 + starts; i++) {
    const int view = sumi_vector_view_plain(&v, mask);
    if (view >= 0) v.view[view].at = i * a->batch, v.view[view].step[v.loop[0]] = 1;
    length[i] = sumi_vector_load(&v, view);
  }
  const int t = sumi_vector_load(&v, sumi_vector_view(&v, key));
  const int seen = starts ? SUMI_VECTOR(&v, "a < b && a >= c", t, length[0], length[1])
                          : SUMI_VECTOR(&v, "a < b", t, length[0]);
  sumi_vector_store(&v, sumi_vector_view(&v, m->operand), seen);
  m->step[0] = a->keys;
  m->step[3] = 1;
  return sumi_vector_end(&v);
}

/* Inputs mask (int32) and bias, attributes unidirectional, mask_filter_value. */
static sumi_status add_masks(struct sumi_cells *c, const struct sumi_attention_cells *a, int64_t past,
                             const struct sumi_ms_attention *s, int mask, int bias,
                             struct sumi_attention_softmax *f) {
  const int64_t score[] = {a->batch, a->heads, a->queries, a->keys};
  if (s->causal) SUMI_TRY(sumi_attention_window(c, a, past, -1, 0, f));
  if (sumi_cells_has(c, bias)) {
    struct sumi_attention_mask *m = &f->mask[f->n_mask++];
    if ((m->operand = sumi_cells_row_major(c, bias)) < 0) return SUMI_E_MEMORY;
    sumi_broadcast_strides(c->in[bias], 4, score, m->step);
  }
  if (!sumi_cells_has(c, mask)) return SUMI_OK;
  const struct sumi_tensor *t = c->in[mask];
  if (t->rank == 2 && t->dim[1] == 1 && a->keys != 1) return SUMI_OK; /* the same for every key */
  struct sumi_attention_mask *m = &f->mask[f->n_mask++];
  m->filter = s->filter;
  if (t->rank == 1) return add_lengths(c, a, mask, m);
  if ((m->operand = sumi_cells_row_major(c, mask)) < 0) return SUMI_E_MEMORY;
  const int64_t wide = t->dim[t->rank - 1];
  m->step[0] = t->rank == 2 ? t->dim[0] == 1 ? 0 : wide : wide * t->dim[t->rank - 2];
  m->step[2] = t->rank == 2 ? 0 : wide;
  m->step[3] = 1;
  if (t->rank == 4) m->at = past * wide;
  return SUMI_OK;
}

static sumi_status attend(struct sumi_cells *c, const struct sumi_attention_caches *caches,
                          struct sumi_attention_cells *a, int mask, int bias) {
  struct sumi_ms_attention s = {.h = a->size};
  struct sumi_attention_softmax f = {.factor = 1, .p_scale = 1};
  sumi_ms_attention_attrs(&s, c->node);
  SUMI_TRY(sumi_attention_behind(c, caches, a));
  SUMI_TRY(add_masks(c, a, caches->n_past, &s, mask, bias, &f));
  const int y = sumi_cells_row_major(c, sumi_cells_out(c, 0));
  if (y < 0) return SUMI_E_MEMORY;
  a->y = sumi_heads_of(c, y, a->heads);
  return sumi_attention_real(c, a, s.scale, &f);
}

/* late: inputs from it on belong to a past whose length is not known. */
static sumi_status check(struct sumi_cells *c, int late, int scores) {
  if (!c->out[0]) return sumi_cells_refuse(c, "no result");
  for (int i = late; i < c->n_in; i++)
    if (sumi_cells_has(c, i)) return sumi_cells_refuse(c, "a past whose length is known when running");
  if (c->n_out > scores && c->out[scores]) return sumi_cells_refuse(c, "scores as a result");
  return SUMI_OK;
}

static sumi_status check_empty(struct sumi_cells *c, int first, int last) {
  for (int i = first; i <= last; i++)
    if (sumi_cells_has(c, i) && !sumi_tensor_count(c->in[i])) return sumi_cells_refuse(c, "an empty product");
  return SUMI_OK;
}

/* Whether a cache is to hold new tokens as they are. */
static bool keeps(const struct sumi_cells *c) {
  return (c->n_out > 1 && c->out[1]) || (c->n_out > 2 && c->out[2]);
}

/* The operand of cache `at` elements behind its beginning: heads of [..., batch, heads, tokens, size]; -1 or empty: none. */
static sumi_status cache(struct sumi_cells *c, int operand, int64_t at, struct sumi_heads *h,
                         int64_t *tokens) {
  *h = (struct sumi_heads){.operand = -1};
  *tokens = 0;
  if (operand < 0 || !c->operand[operand].bytes) return SUMI_OK;
  const int row_major = sumi_cells_row_major(c, operand);
  if (row_major < 0) return SUMI_E_MEMORY;
  const struct sumi_cell_operand *o = &c->operand[row_major];
  const int64_t *dim = o->dim + o->rank - 4;
  *tokens = dim[2];
  *h = (struct sumi_heads){row_major, dim[1] * dim[2] * dim[3], dim[2] * dim[3], dim[3], 1, at};
  return SUMI_OK;
}

static int out_if(const struct sumi_cells *c, int i) {
  return i < c->n_out && c->out[i] ? sumi_cells_out(c, i) : -1;
}
static int in_if(const struct sumi_cells *c, int i) { return sumi_cells_has(c, i) ? i : -1; }

/* ---- Attention -------------------------------------------------------------------------------------------- */

/* [q k v] = input * weights + bias, [batch, tokens, 2 d + dv] */
static sumi_status project(struct sumi_cells *c, sumi_dtype dtype, int *qkv) {
  enum { INPUT, WEIGHTS, BIAS };
  const int64_t dim[] = {c->in[INPUT]->dim[0], c->in[INPUT]->dim[1], c->in[WEIGHTS]->dim[1]};
  struct sumi_dot_operands o = {.residual = -1};
  struct sumi_dot_real e = {.scale = 1, .bias_mul = 1};
  struct sumi_cell_product p;
  SUMI_TRY(sumi_dot_narrow(c, INPUT, -1, &o.x));
  SUMI_TRY(sumi_dot_narrow(c, WEIGHTS, 0, &o.w));
  SUMI_TRY(sumi_dot_bias(c, BIAS, &e));
  *qkv = o.y = sumi_cells_temp(c, dtype, 3, dim);
  if (o.y < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return sumi_dot_real(c, &p, &e, p.outputs);
}

sumi_status sumi_ms_attention_cells(struct sumi_cells *c) {
  enum { INPUT, WEIGHTS, BIAS, MASK, PAST, ADD, PAST_LENGTH, SCORES = 2 };
  int n, qkv;
  const int64_t *sizes = sumi_attr_ints(c->node, "qkv_hidden_sizes", &n);
  const int64_t wide = c->in[WEIGHTS]->dim[1], heads = sumi_attr_int(c->node, "num_heads", 0);
  const int64_t d = n == 3 ? sizes[0] : wide / 3, tokens = c->in[INPUT]->dim[1];
  struct sumi_attention_caches caches = {0};
  int64_t half;
  SUMI_TRY(check(c, PAST_LENGTH, SCORES));
  SUMI_TRY(check_empty(c, INPUT, MASK));
  SUMI_TRY(project(c, keeps(c) ? c->in[INPUT]->dtype : SUMI_BFLOAT16, &qkv));
  struct sumi_attention_cells a = {.batch = c->in[INPUT]->dim[0],
                                   .heads = heads,
                                   .kv_heads = heads,
                                   .queries = tokens,
                                   .keys = tokens,
                                   .size = d / heads,
                                   .v_size = (wide - 2 * d) / heads};
  if (a.size < 1 || a.v_size < 1) return sumi_cells_refuse(c, "heads of no features");
  a.q = (struct sumi_heads){qkv, tokens * wide, a.size, wide, 1, 0};
  a.k = (struct sumi_heads){qkv, tokens * wide, a.size, wide, 1, d};
  a.v = (struct sumi_heads){qkv, tokens * wide, a.v_size, wide, 1, 2 * d};
  for (int i = 0; i < 2; i++) { /* [k or v, batch, heads, tokens, size] */
    half = sumi_cells_has(c, PAST) ? sumi_tensor_count(c->in[PAST]) / 2 : 0;
    SUMI_TRY(cache(c, in_if(c, PAST), i * half, &caches.past[i], &caches.n_past));
    half = out_if(c, 1) >= 0 ? sumi_tensor_count(c->out[1]) / 2 : 0;
    SUMI_TRY(cache(c, out_if(c, 1), i * half, &caches.present[i], &half));
  }
  return attend(c, &caches, &a, MASK, ADD);
}

/* ---- MultiHeadAttention ----------------------------------------------------------------------------------- */

enum { QUERY, KEY, VALUE, BIAS, MASK, ADD, PAST_KEY, PAST_VALUE, PAST_LENGTH, SCORES = 3 };

/* Input i as bfloat16, or as it is where a cache keeps it, row-major; with part `first` of the bias, whose step along
 * dimension d of i is step[d]. */
static sumi_status take(struct sumi_cells *c, int i, bool biased, int64_t first, const int64_t *step,
                        int *out) {
  struct sumi_vector v;
  if (!biased && keeps(c)) {
    *out = sumi_cells_row_major(c, i);
    return *out < 0 ? SUMI_E_MEMORY : sumi_dot_check_type(c, c->operand[i].dtype);
  }
  if (!biased) {
    SUMI_TRY(sumi_dot_narrow(c, i, -1, out));
    *out = sumi_cells_row_major(c, *out);
    return *out < 0 ? SUMI_E_MEMORY : SUMI_OK;
  }
  SUMI_TRY(sumi_dot_check_type(c, c->operand[i].dtype));
  const struct sumi_cell_operand o = c->operand[i];
  *out = sumi_cells_temp(c, keeps(c) ? o.dtype : SUMI_BFLOAT16, o.rank, o.dim);
  if (*out < 0) return SUMI_E_MEMORY;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, *out, 0);
  const int x = sumi_vector_load(&v, sumi_vector_view(&v, i)), bias = sumi_vector_view_plain(&v, BIAS);
  if (bias >= 0) {
    v.view[bias].at = first;
    for (int d = 0; d < o.rank; d++) v.view[bias].step[v.loop[d]] = step[d];
  }
  sumi_vector_store(&v, sumi_vector_view(&v, *out), SUMI_VECTOR(&v, "a + b", x, sumi_vector_load(&v, bias)));
  return sumi_vector_end(&v);
}

/* query [batch, tokens, heads, 3, head] */
static sumi_status packed_all(struct sumi_cells *c, struct sumi_attention_cells *a) {
  const int64_t h = c->in[QUERY]->dim[4], d = a->heads * h, step[] = {0, 0, h, d, 1};
  int all;
  SUMI_TRY(take(c, QUERY, sumi_cells_has(c, BIAS), 0, step, &all));
  a->keys = a->queries;
  a->size = a->v_size = h;
  struct sumi_heads *const part[] = {&a->q, &a->k, &a->v};
  for (int i = 0; i < 3; i++) *part[i] = (struct sumi_heads){all, a->queries * 3 * d, 3 * h, 3 * d, 1, i * h};
  return SUMI_OK;
}

/* key [batch, tokens, heads, 2, head] holds value too. */
static sumi_status packed_key(struct sumi_cells *c, struct sumi_attention_cells *a) {
  const int64_t h = a->size, d = a->heads * h;
  int both;
  SUMI_TRY(take(c, KEY, false, 0, NULL, &both));
  a->keys = c->in[KEY]->dim[1];
  a->v_size = h;
  a->k = (struct sumi_heads){both, a->keys * 2 * d, 2 * h, 2 * d, 1, 0};
  a->v = (struct sumi_heads){both, a->keys * 2 * d, 2 * h, 2 * d, 1, h};
  return SUMI_OK;
}

static sumi_status separate(struct sumi_cells *c, struct sumi_attention_cells *a) {
  static const int64_t step[] = {0, 0, 1};
  const struct sumi_tensor *key = c->in[KEY], *value = c->in[VALUE];
  const bool by_heads = key->rank == 4, biased = sumi_cells_has(c, BIAS) && !by_heads;
  const int64_t d = c->in[QUERY]->dim[2];
  int k, v;
  SUMI_TRY(take(c, KEY, biased, d, step, &k));
  SUMI_TRY(take(c, VALUE, biased, 2 * d, step, &v));
  a->keys = key->dim[by_heads ? 2 : 1];
  a->v_size = by_heads ? value->dim[3] : value->dim[2] / a->heads;
  a->k = sumi_heads_of(c, k, a->heads);
  a->v = sumi_heads_of(c, v, a->heads);
  return SUMI_OK;
}

sumi_status sumi_ms_multi_head_attention_cells(struct sumi_cells *c) {
  static const int64_t step[] = {0, 0, 1};
  const struct sumi_tensor *query = c->in[QUERY];
  const int64_t heads = sumi_attr_int(c->node, "num_heads", 0);
  struct sumi_attention_cells a = {
      .batch = query->dim[0], .heads = heads, .kv_heads = heads, .queries = query->dim[1]};
  struct sumi_attention_caches caches = {0};
  int64_t tokens;
  SUMI_TRY(check(c, PAST_LENGTH, SCORES));
  SUMI_TRY(check_empty(c, QUERY, ADD));
  for (int i = 0; i < 2; i++) {
    SUMI_TRY(cache(c, in_if(c, PAST_KEY + i), 0, &caches.past[i], &caches.n_past));
    SUMI_TRY(cache(c, out_if(c, 1 + i), 0, &caches.present[i], &tokens));
  }
  if (query->rank == 5) {
    SUMI_TRY(packed_all(c, &a));
    return attend(c, &caches, &a, MASK, ADD);
  }
  int q;
  SUMI_TRY(take(c, QUERY, sumi_cells_has(c, BIAS), 0, step, &q));
  a.size = query->dim[2] / heads;
  a.q = sumi_heads_of(c, q, heads);
  SUMI_TRY(c->in[KEY]->rank == 5 ? packed_key(c, &a) : separate(c, &a));
  return attend(c, &caches, &a, MASK, ADD);
}
