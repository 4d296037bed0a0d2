/* sumi.QAttention for the card: both products are of 8 bits, the scores float32 unless they are quantised.
 * Where float32 lies near the middle of two bytes a score, weight or result may round the other way, as
 * qattention.c allows. */
#include "op/attention_cells.h"
#include "op/qattention.h"

#include "base/size.h"

enum { Q = SUMI_QATTENTION_Q, K = SUMI_QATTENTION_K, V = SUMI_QATTENTION_V, MASK = SUMI_QATTENTION_MASK };
enum { MOST_SUMMANDS = INT32_MAX / (255 * 255) }; /* whose sum is an int32 */

static float scale_of(const struct sumi_cells *c, int i) { return *(const float *)c->in[i]->data; }

static int zero_of(const struct sumi_cells *c, int i) {
  return (int)sumi_get_i64(c->in[i]->dtype, c->in[i]->data, 0);
}

static sumi_status check(struct sumi_cells *c, const struct sumi_qattention *a) {
  for (int i = 0; i < c->n_in; i++)
    if (i != Q && i != K && i != V && i != MASK && c->in[i] && !c->in[i]->data)
      return sumi_cells_refuse(c, "a scale, zero point or shape is no constant");
  if (!a->batch || !a->heads || !a->queries || !a->keys || !a->features)
    return sumi_cells_refuse(c, "an empty product");
  if (a->keys > MOST_SUMMANDS || a->features > MOST_SUMMANDS)
    return sumi_cells_refuse(c, "sums of more than %d products", MOST_SUMMANDS);
  return SUMI_OK;
}

/* An operand, row-major, as [batch, tokens, heads, features]. */
static bool heads(struct sumi_cells *c, const struct sumi_qattention *a, int operand, int64_t tokens,
                  struct sumi_heads *h) {
  const int64_t token = a->heads * a->features;
  *h = (struct sumi_heads){sumi_cells_row_major(c, operand), tokens * token, a->features, token, 1};
  return h->operand >= 0;
}

/* Quantisation of a sum times mul as inputs i (scale) and i + 1 (zero point) say. */
static sumi_status quantised(struct sumi_cells *c, float mul, int i, int64_t n, struct sumi_cell_product *p) {
  float *scale = SUMI_NEW_ARRAY(c->arena, (size_t)n, float);
  if (!scale) SUMI_FAIL_MEMORY(c->err);
  for (int64_t k = 0; k < n; k++) scale[k] = mul / scale_of(c, i);
  p->flags = SUMI_CARD_ACT_FIRST;
  p->scale = scale;
  p->first_zero = (float)zero_of(c, i + 1);
  p->first_lo = c->in[i + 1]->dtype == SUMI_INT8 ? -128 : 0;
  p->first_hi = p->first_lo + 255;
  return SUMI_OK;
}

/* The scores: bytes where they are quantised, else float32. */
static sumi_status scores(struct sumi_cells *c, const struct sumi_qattention *a,
                          const struct sumi_attention_cells *h, int *s) {
  const int64_t dim[] = {1, h->heads, h->queries, h->keys};
  const float mul = scale_of(c, SUMI_QATTENTION_Q_SCALE) * scale_of(c, SUMI_QATTENTION_K_SCALE);
  struct sumi_cell_product p;
  *s = sumi_cells_temp(c, a->quantised ? c->in[SUMI_QATTENTION_S_ZERO]->dtype : SUMI_FLOAT32, 4, dim);
  if (*s < 0) return SUMI_E_MEMORY;
  sumi_attention_scores(h, *s, &p);
  p.x_zero = zero_of(c, SUMI_QATTENTION_Q_ZERO);
  p.w_zero = zero_of(c, SUMI_QATTENTION_K_ZERO);
  if (!a->quantised) return sumi_attention_product(c, mul, &p);
  SUMI_TRY(quantised(c, mul, SUMI_QATTENTION_S_SCALE, a->keys, &p));
  return sumi_cells_product(c, &p);
}

/* What the softmax does; masks are those of all heads. */
static sumi_status softmax_of(struct sumi_cells *c, const struct sumi_qattention *a,
                              struct sumi_attention_softmax *f) {
  *f = (struct sumi_attention_softmax){.factor = a->factor,
                                       .divide = a->divide,
                                       .p_scale = scale_of(c, SUMI_QATTENTION_P_SCALE),
                                       .p_zero = zero_of(c, SUMI_QATTENTION_P_ZERO)};
  if (a->quantised) {
    f->s_zero = (float)zero_of(c, SUMI_QATTENTION_S_ZERO);
    f->s_scale = scale_of(c, SUMI_QATTENTION_S_SCALE);
  }
  if (!a->masked) return SUMI_OK;
  struct sumi_attention_mask *m = &f->mask[f->n_mask++];
  for (int d = 0; d < 4; d++) m->step[d] = a->mask_stride[d];
  return (m->operand = sumi_cells_row_major(c, MASK)) < 0 ? SUMI_E_MEMORY : SUMI_OK;
}

/* One head: its scores, then the weights that softmax makes of them, then the sums of values. */
struct head {
  struct sumi_attention_cells h;
  int64_t batch, head;
  int s, p;
};

static sumi_status weights(struct sumi_cells *c, const struct sumi_attention_cells *all,
                           const struct sumi_attention_softmax *f, struct head *x) {
  struct sumi_attention_softmax masked = *f;
  sumi_attention_part_masks(all, x->batch, x->head, &masked);
  x->p = sumi_cells_temp(c, c->in[SUMI_QATTENTION_P_ZERO]->dtype, 4, c->operand[x->s].dim);
  return x->p < 0 ? SUMI_E_MEMORY : sumi_attention_softmax(c, &masked, x->s, x->p);
}

static sumi_status values(struct sumi_cells *c, const struct sumi_qattention *a, const struct head *x) {
  struct sumi_cell_product product;
  SUMI_TRY(sumi_attention_values(c, &x->h, x->p, &product));
  product.x_zero = zero_of(c, SUMI_QATTENTION_P_ZERO);
  product.w_zero = zero_of(c, SUMI_QATTENTION_V_ZERO);
  SUMI_TRY(quantised(c, scale_of(c, SUMI_QATTENTION_P_SCALE) * scale_of(c, SUMI_QATTENTION_V_SCALE),
                     SUMI_QATTENTION_Y_SCALE, a->features, &product));
  return sumi_cells_product(c, &product);
}

/* Scores come two heads before they are needed: products go on beside the softmax between them. */
static sumi_status all_heads(struct sumi_cells *c, const struct sumi_qattention *a,
                             const struct sumi_attention_cells *h, const struct sumi_attention_softmax *f) {
  enum { AHEAD = 2 };
  struct head ring[AHEAD + 1];
  const int64_t n = a->batch * a->heads;
  for (int64_t i = -AHEAD; i < n; i++) {
    struct head *now = &ring[(i + AHEAD + 1) % (AHEAD + 1)], *next = &ring[(i + 2 * AHEAD + 1) % (AHEAD + 1)];
    if (i >= 0) SUMI_TRY(weights(c, h, f, now));
    if (i + AHEAD < n) {
      *next = (struct head){.batch = (i + AHEAD) / a->heads, .head = (i + AHEAD) % a->heads};
      next->h = sumi_attention_part(h, next->batch, next->head);
      SUMI_TRY(scores(c, a, &next->h, &next->s));
    }
    if (i >= 0) SUMI_TRY(values(c, a, now));
  }
  return SUMI_OK;
}

sumi_status sumi_qattention_cells(struct sumi_cells *c) {
  struct sumi_qattention a;
  struct sumi_attention_cells h;
  struct sumi_attention_softmax f;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_qattention_resolve(c->node, c->in, c->n_in, &a, &err) != SUMI_OK)
    return sumi_cells_refuse(c, "%s", err.text);
  SUMI_TRY(check(c, &a));
  h = (struct sumi_attention_cells){a.batch, a.heads, a.heads, a.queries, a.keys, a.features, a.features};
  if (!heads(c, &a, Q, a.queries, &h.q) || !heads(c, &a, K, a.keys, &h.k) || !heads(c, &a, V, a.keys, &h.v) ||
      !heads(c, &a, sumi_cells_out(c, 0), a.queries, &h.y))
    return SUMI_E_MEMORY;
  SUMI_TRY(softmax_of(c, &a, &f));
  return all_heads(c, &a, &h, &f);
}
