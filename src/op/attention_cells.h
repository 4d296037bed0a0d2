/* Scaled dot-product attention as cells of the card: two products, and a softmax of vector cells, for every
 * batch and head of k and v.
 *   s[b, h, i, t] = scores: sum over f of q[b, h, i, f] * k[b, kv, t, f], kv = h / (heads / kv_heads)
 *   p[b, h, i, t] = softmax over t of what struct sumi_attention_softmax makes of s
 *   y[b, h, i, f] = sum over t of p[b, h, i, t] * v[b, kv, t, f]
 * Head by head there is memory for the scores of one only, and the softmax of one runs beside the products of
 * the next. */
#ifndef SUMI_OP_ATTENTION_CELLS_H
#define SUMI_OP_ATTENTION_CELLS_H

#include "plan/cell.h"

/* Where element (batch, head, token, feature) of an operand lies: at, and steps, elements. */
struct sumi_heads {
  int operand;
  int64_t batch, head, token, feature, at;
};

struct sumi_attention_cells {
  int64_t batch, heads, kv_heads, queries, keys, size, v_size;
  struct sumi_heads q, k, v, y; /* feature steps of q, k and y are 1 */
};

/* Head kv of k and v of batch b with the heads of q that share it, as an attention of its own: batch and
 * kv_heads are 1. */
struct sumi_attention_cells sumi_attention_part(const struct sumi_attention_cells *a, int64_t b, int64_t kv);
/* A softmax's masks for that part. */
struct sumi_attention_softmax;
void sumi_attention_part_masks(const struct sumi_attention_cells *a, int64_t b, int64_t kv,
                               struct sumi_attention_softmax *f);

/* Heads of an operand of rank 3 [batch, tokens, heads * size] or 4 [batch, heads, tokens, size] in the form
 * in which it lies. */
struct sumi_heads sumi_heads_of(const struct sumi_cells *c, int operand, int64_t heads);

/* Tokens of the heads of k or v, floats: `past` of a cache and behind them `fresh` new ones, as bfloat16 in *all; that may be
 * `fresh` itself where nothing has to move. present: where both go as well, in the type of its operand. Those that
 * are not there have operand -1. dim: batch, heads, size. */
struct sumi_attention_tokens {
  int64_t dim[3], n_past, n_fresh;
  struct sumi_heads past, fresh, present;
};
sumi_status sumi_attention_join(struct sumi_cells *c, const struct sumi_attention_tokens *t,
                                struct sumi_heads *all);

/* q, k and v of *a as bfloat16 behind the caches: new tokens are a->queries and a->keys; a->keys becomes all of them. Only k and v
 * have caches; steps of batches, heads and tokens are those of past and present [batch, heads, tokens, size]. */
struct sumi_attention_caches {
  int64_t n_past;
  struct sumi_heads past[2], present[2]; /* of k, of v */
};
sumi_status sumi_attention_behind(struct sumi_cells *c, const struct sumi_attention_caches *caches,
                                  struct sumi_attention_cells *a);

/* Operands, loops and steps of the product that gives a part's s, an operand [1, heads, queries, keys]. */
void sumi_attention_scores(const struct sumi_attention_cells *a, int s, struct sumi_cell_product *p);
/* The same for a part's y from p; what v lacks to be multiplied, tokens as neighbours, is copied. */
sumi_status sumi_attention_values(struct sumi_cells *c, const struct sumi_attention_cells *a, int p,
                                  struct sumi_cell_product *product);

/* Adds the product; its sums times scale, as float32 or bfloat16. */
sumi_status sumi_attention_product(struct sumi_cells *c, float scale, struct sumi_cell_product *p);

/* What is added to the scores: numbers, or (filter) filter where a bool or integer is not above 0, and
 * otherwise nothing. */
struct sumi_attention_mask {
  int operand;
  float filter;
  int64_t at, step[4]; /* by batch, head, query, key; 0 where it is broadcast */
};

/* What softmax is taken of: u = s, or (s - s_zero) * s_scale where s is 8-bit; u = u * factor or u / factor;
 * softcap * tanh(u / softcap) unless it is 0; u + masks. A query that sees nothing gives zeros.
 * What is made of it: p, or the integer round(p / p_scale) + p_zero where its operand is 8-bit. */
struct sumi_attention_softmax {
  float s_zero, s_scale, factor, softcap, p_scale;
  int p_zero;
  bool divide;
  int n_mask;
  struct sumi_attention_mask mask[3];
};
sumi_status sumi_attention_softmax(struct sumi_cells *c, const struct sumi_attention_softmax *f, int s,
                                   int p);

/* Appends the mask that hides key t from query i unless i + past - left <= t <= i + past + right; negative:
 * no limit. */
sumi_status sumi_attention_window(struct sumi_cells *c, const struct sumi_attention_cells *a, int64_t past,
                                  int64_t left, int64_t right, struct sumi_attention_softmax *f);

/* Everything, all parts, for q, k and v of bfloat16: scores are multiplied by scale, y is float32 or
 * bfloat16. */
sumi_status sumi_attention_real(struct sumi_cells *c, const struct sumi_attention_cells *a, float scale,
                                const struct sumi_attention_softmax *f);

#endif
