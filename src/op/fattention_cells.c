/* Attention (ai.onnx) for the card: q, k, v and the softmax are bfloat16, sums float32. Lengths, and scores as a
 * result, are the host's. */
#include "op/fattention_cells.h"

#include <inttypes.h>
#include <math.h>

#include "op/attention_cells.h"
#include "op/dot_cells.h"

#include "base/size.h"

enum { Q, K, V, MASK, PAST_K, PAST_V, LENGTHS };

enum { Y, PRESENT_K, PRESENT_V, SCORES };

static sumi_status check(struct sumi_cells *c) {
  if (sumi_cells_has(c, LENGTHS)) return sumi_cells_refuse(c, "lengths");
  if (c->n_out > SCORES && c->out[SCORES]) return sumi_cells_refuse(c, "scores as a result");
  return c->out[Y] ? SUMI_OK : sumi_cells_refuse(c, "no result");
}

/* Input i, its features neighbours; narrowed unless wide. */
static sumi_status take(struct sumi_cells *c, int i, bool wide, const char *heads_attr, struct sumi_heads *h,
                        int64_t *heads) {
  int operand = i;
  *heads = c->in[i]->rank == 4 ? c->in[i]->dim[1] : sumi_attr_int(c->node, heads_attr, 0);
  if (wide)
    SUMI_TRY(sumi_dot_check_type(c, c->operand[i].dtype));
  else
    SUMI_TRY(sumi_dot_narrow(c, i, -1, &operand));
  operand = sumi_cells_row_major(c, operand);
  if (operand < 0) return SUMI_E_MEMORY;
  *h = sumi_heads_of(c, operand, *heads);
  return SUMI_OK;
}

static int64_t tokens(const struct sumi_tensor *t) { return t->dim[t->rank == 4 ? 2 : 1]; }

static int64_t size(const struct sumi_tensor *t, int64_t heads) {
  return t->rank == 4 ? t->dim[3] : t->dim[2] / heads;
}

/* Inputs and outputs [batch, heads, tokens, size], row-major. */
static sumi_status find_caches(struct sumi_cells *c, struct sumi_attention_caches *caches) {
  *caches = (struct sumi_attention_caches){.n_past = 0};
  for (int i = 0; i < 2; i++) {
    const int in = PAST_K + i, out = PRESENT_K + i;
    struct sumi_heads *const to[] = {&caches->past[i], &caches->present[i]};
    const int operand[] = {sumi_cells_has(c, in) && sumi_tensor_count(c->in[in]) ? in : -1,
                           out < c->n_out && c->out[out] ? sumi_cells_out(c, out) : -1};
    for (int k = 0; k < 2; k++) {
      to[k]->operand = operand[k] < 0 ? -1 : sumi_cells_row_major(c, operand[k]);
      if (operand[k] >= 0 && to[k]->operand < 0) return SUMI_E_MEMORY;
      if (operand[k] >= 0) *to[k] = sumi_heads_of(c, to[k]->operand, c->operand[to[k]->operand].dim[1]);
    }
    if (operand[0] >= 0) caches->n_past = c->in[in]->dim[2];
  }
  return SUMI_OK;
}

static sumi_status resolve(struct sumi_cells *c, const struct sumi_attention_caches *caches,
                           struct sumi_attention_cells *a) {
  int64_t heads;
  *a = (struct sumi_attention_cells){
      .batch = c->in[Q]->dim[0], .queries = tokens(c->in[Q]), .keys = tokens(c->in[K])};
  for (int i = Q; i <= V; i++)
    if (!sumi_tensor_count(c->in[i])) return sumi_cells_refuse(c, "an empty product");
  const bool wide = caches->n_past || caches->present[0].operand >= 0 || caches->present[1].operand >= 0;
  SUMI_TRY(take(c, Q, false, "q_num_heads", &a->q, &a->heads));
  SUMI_TRY(take(c, K, wide, "kv_num_heads", &a->k, &a->kv_heads));
  SUMI_TRY(take(c, V, wide, "kv_num_heads", &a->v, &heads));
  a->size = size(c->in[Q], a->heads);
  a->v_size = size(c->in[V], heads);
  const int y = sumi_cells_row_major(c, sumi_cells_out(c, 0));
  if (y < 0) return SUMI_E_MEMORY;
  a->y = sumi_heads_of(c, y, a->heads);
  return SUMI_OK;
}

static sumi_status add_masks(struct sumi_cells *c, const struct sumi_attention_cells *a, int64_t past,
                             struct sumi_attention_softmax *f) {
  const int64_t score[] = {a->batch, a->heads, a->queries, a->keys};
  const int64_t left = sumi_attr_int(c->node, "left_window_size", -1);
  int64_t right = sumi_attr_int(c->node, "right_window_size", -1);
  if (sumi_attr_int(c->node, "is_causal", 0)) right = 0;
  if (left >= 0 || right >= 0) SUMI_TRY(sumi_attention_window(c, a, past, left, right, f));
  if (!sumi_cells_has(c, MASK)) return SUMI_OK;
  const struct sumi_tensor *m = c->in[MASK];
  if (m->dim[m->rank - 1] != a->keys)
    return sumi_cells_refuse(c, "a mask of %" PRId64 " keys", m->dim[m->rank - 1]);
  if (m->dtype != SUMI_BOOL && m->dtype != SUMI_FLOAT32 && m->dtype != SUMI_BFLOAT16)
    return sumi_cells_refuse(c, "a mask of %s", sumi_dtype_label(m->dtype));
  struct sumi_attention_mask *mask = &f->mask[f->n_mask++];
  mask->filter = -INFINITY;
  mask->operand = sumi_cells_row_major(c, MASK);
  if (mask->operand < 0) return SUMI_E_MEMORY;
  sumi_broadcast_strides(m, 4, score, mask->step);
  return SUMI_OK;
}

sumi_status sumi_attention_cells(struct sumi_cells *c) {
  struct sumi_attention_cells a;
  struct sumi_attention_caches caches;
  struct sumi_attention_softmax f = {
      .factor = 1, .p_scale = 1, .softcap = sumi_attr_float(c->node, "softcap", 0)};
  SUMI_TRY(check(c));
  SUMI_TRY(find_caches(c, &caches));
  SUMI_TRY(resolve(c, &caches, &a));
  SUMI_TRY(sumi_attention_behind(c, &caches, &a));
  SUMI_TRY(add_masks(c, &a, caches.n_past, &f));
  const float usual = (float)(1 / sqrt((double)a.size));
  return sumi_attention_real(c, &a, sumi_attr_float(c->node, "scale", usual), &f);
}
