/* Attention and MultiHeadAttention (com.microsoft) for the card: q, k, v and the softmax are bfloat16, sums
 * float32. A past, masks that are lengths, and outputs beside the result are the host's. */
#include "op/attention_cells.h"
#include "op/dot_cells.h"
#include "op/fattention_cells.h"
#include "op/ms_attention_core.h"
#include "op/vector_cells.h"

#include "base/size.h"

/* ---- masks ----------------------------------------------------------------------------------------------- */

/* Inputs mask (int32) and bias, attributes unidirectional, mask_filter_value. */
static sumi_status add_masks(struct sumi_cells *c, const struct sumi_attention_cells *a,
                             const struct sumi_ms_attention *s, int mask, int bias,
                             struct sumi_attention_softmax *f) {
  const int64_t score[] = {a->batch, a->heads, a->queries, a->keys};
  if (s->causal) SUMI_TRY(sumi_attention_window(c, a, 0, -1, 0, f));
  if (sumi_cells_has(c, bias)) {
    struct sumi_attention_mask *m = &f->mask[f->n_mask++];
    if ((m->operand = sumi_cells_row_major(c, bias)) < 0) return SUMI_E_MEMORY;
    sumi_broadcast_strides(c->in[bias], 4, score, m->step);
  }
  if (!sumi_cells_has(c, mask)) return SUMI_OK;
  const struct sumi_tensor *t = c->in[mask];
  if (t->rank == 2 && t->dim[1] == 1 && a->keys != 1) return SUMI_OK; /* the same for every key */
  if (t->rank == 1) return sumi_cells_refuse(c, "a mask of lengths");
  struct sumi_attention_mask *m = &f->mask[f->n_mask++];
  if ((m->operand = sumi_cells_row_major(c, mask)) < 0) return SUMI_E_MEMORY;
  m->filter = s->filter;
  const int64_t wide = t->dim[t->rank - 1];
  m->step[0] = t->rank == 2 ? t->dim[0] == 1 ? 0 : wide : wide * t->dim[t->rank - 2];
  m->step[2] = t->rank == 2 ? 0 : wide;
  m->step[3] = 1;
  return SUMI_OK;
}

static sumi_status attend(struct sumi_cells *c, struct sumi_attention_cells *a, int mask, int bias) {
  struct sumi_ms_attention s = {.h = a->size};
  struct sumi_attention_softmax f = {.factor = 1, .p_scale = 1};
  sumi_ms_attention_attrs(&s, c->node);
  SUMI_TRY(add_masks(c, a, &s, mask, bias, &f));
  const int y = sumi_cells_row_major(c, sumi_cells_out(c, 0));
  if (y < 0) return SUMI_E_MEMORY;
  a->y = sumi_heads_of(c, y, a->heads);
  return sumi_attention_real(c, a, s.scale, &f);
}

static sumi_status check(struct sumi_cells *c, int first_past, int last_past) {
  for (int i = first_past; i <= last_past; i++)
    if (sumi_cells_has(c, i)) return sumi_cells_refuse(c, "a past");
  for (int i = 1; i < c->n_out; i++)
    if (c->out[i]) return sumi_cells_refuse(c, "an output beside the result");
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && !sumi_tensor_count(c->in[i])) return sumi_cells_refuse(c, "an empty product");
  return SUMI_OK;
}

/* ---- Attention -------------------------------------------------------------------------------------------- */

/* [q k v] = input * weights + bias, bfloat16 [batch, tokens, 2 d + dv] */
static sumi_status project(struct sumi_cells *c, int *qkv) {
  enum { INPUT, WEIGHTS, BIAS };
  const int64_t dim[] = {c->in[INPUT]->dim[0], c->in[INPUT]->dim[1], c->in[WEIGHTS]->dim[1]};
  struct sumi_dot_operands o = {.residual = -1};
  struct sumi_dot_real e = {.scale = 1, .bias_mul = 1};
  struct sumi_cell_product p;
  SUMI_TRY(sumi_dot_narrow(c, INPUT, -1, &o.x));
  SUMI_TRY(sumi_dot_narrow(c, WEIGHTS, 0, &o.w));
  SUMI_TRY(sumi_dot_bias(c, BIAS, &e));
  *qkv = o.y = sumi_cells_temp(c, SUMI_BFLOAT16, 3, dim);
  if (o.y < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return sumi_dot_real(c, &p, &e, p.outputs);
}

sumi_status sumi_ms_attention_cells(struct sumi_cells *c) {
  enum { INPUT, WEIGHTS, BIAS, MASK, PAST, ADD, PAST_LENGTH };
  int n, qkv;
  const int64_t *sizes = sumi_attr_ints(c->node, "qkv_hidden_sizes", &n);
  const int64_t wide = c->in[WEIGHTS]->dim[1], heads = sumi_attr_int(c->node, "num_heads", 0);
  const int64_t d = n == 3 ? sizes[0] : wide / 3, tokens = c->in[INPUT]->dim[1];
  SUMI_TRY(check(c, PAST, PAST));
  SUMI_TRY(project(c, &qkv));
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
  return attend(c, &a, MASK, ADD);
}

/* ---- MultiHeadAttention ----------------------------------------------------------------------------------- */

enum { QUERY, KEY, VALUE, BIAS, MASK, ADD, PAST_KEY, PAST_VALUE, PAST_LENGTH, CACHE_INDIRECTION };

/* Input i as bfloat16, row-major; with part `first` of the bias, whose step along dimension d of i is
 * step[d]. */
static sumi_status take(struct sumi_cells *c, int i, bool biased, int64_t first, const int64_t *step,
                        int *out) {
  struct sumi_vector v;
  if (!biased) {
    SUMI_TRY(sumi_dot_narrow(c, i, -1, out));
    *out = sumi_cells_row_major(c, *out);
    return *out < 0 ? SUMI_E_MEMORY : SUMI_OK;
  }
  SUMI_TRY(sumi_dot_check_type(c, c->operand[i].dtype));
  const struct sumi_cell_operand o = c->operand[i];
  *out = sumi_cells_temp(c, SUMI_BFLOAT16, o.rank, o.dim);
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
  SUMI_TRY(check(c, PAST_KEY, CACHE_INDIRECTION));
  if (query->rank == 5) {
    SUMI_TRY(packed_all(c, &a));
    return attend(c, &a, MASK, ADD);
  }
  int q;
  SUMI_TRY(take(c, QUERY, sumi_cells_has(c, BIAS), 0, step, &q));
  a.size = query->dim[2] / heads;
  a.q = sumi_heads_of(c, q, heads);
  SUMI_TRY(c->in[KEY]->rank == 5 ? packed_key(c, &a) : separate(c, &a));
  return attend(c, &a, MASK, ADD);
}
