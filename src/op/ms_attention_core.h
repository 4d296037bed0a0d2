/* What the attention operators of com.microsoft share: for every batch b, head n and query token s,
 *   score[t] = cap(scale * q[b,n,s] . k[b,n / groups,t]) + bias[b,n,s,t] + mask(b,s,t)   t over past and new tokens
 *   y[b,s,n] = sum over t of softmax(score)[t] * v[b,n / groups,t]
 * cap(x) = softcap * tanh(x / softcap), or x. With a sink the softmax's sum has one term more, exp(sink).
 * All arithmetic in float32; q, k and v lie as floats in the scratch. */
#ifndef SUMI_OP_MS_ATTENTION_CORE_H
#define SUMI_OP_MS_ATTENTION_CORE_H

#include "op/attend.h"
#include "op/ms_util.h"

struct sumi_ms_attention {
  int64_t batch, heads;
  int64_t s;     /* query tokens */
  int64_t past;  /* tokens before the new ones */
  int64_t l;     /* new key and value tokens */
  int64_t t;     /* past + l */
  int64_t h, hv; /* size of a head of q and k, and of v */
  float scale;
  float filter; /* what a masked score gets added */
  bool causal;  /* query token i sees keys up to past + i only; the last query token sees all */
  /* what zero stands for is the plain attention of Attention and MultiHeadAttention: */
  int64_t groups;                 /* neighbouring heads of q that share one of k and v; 0 = 1 */
  int64_t rows;                   /* of a head of k and v in the scratch, >= t; 0 = t */
  int64_t window;                 /* > 0: query token i sees keys from past + i - window + 1 on only */
  int64_t base;                   /* key 0 is column base of bias and scores */
  float softcap;                  /* 0 = no cap */
  bool smooth;                    /* there is a sink, 0 where sink is NULL */
  bool normalised;                /* scores receives the softmax */
  const struct sumi_tensor *sink; /* [heads]; NULL = none */
  const struct sumi_tensor *mask; /* int32, see sumi_ms_infer_mask; NULL = none */
  const struct sumi_tensor *bias; /* [1 or batch, 1 or heads, s, t]; NULL = none */
  const struct sumi_call_tools
      *tools; /* NULL: plain loops; else what the step of sumi_ms_attention_lower() got */
  /* scratch, taken by sumi_ms_attention_take(): */
  float *q;   /* [batch, heads, s, h] */
  float *k;   /* [batch, heads / groups, rows, h] */
  float *v;   /* [batch, heads / groups, rows, hv] */
  float *kt;  /* [h, t]: one head's k; room for rows */
  float *row; /* [t]; room for rows */
  float *y;   /* [hv] */
};

/* Attributes scale, mask_filter_value, unidirectional; h must be set. */
void sumi_ms_attention_attrs(struct sumi_ms_attention *a, const struct sumi_node *node);

/* Checks a mask input: [batch] or [2 batch] or [3 batch + 2] (end of the keys; with 2 batch: ends, then
 * starts), [batch, t], [batch, s, t], or [batch, 1, m, m] with m >= t, whose row past + s counts; one column
 * is no mask where dummy is allowed. Entries of the last three are 1 = visible. */
sumi_status sumi_ms_infer_mask(const struct sumi_infer *ctx, int input, sumi_dim batch, sumi_dim s,
                               sumi_dim t, bool dummy);

/* Checks an additive bias: [1 or batch, 1 or heads, s, t]. */
sumi_status sumi_ms_infer_bias(const struct sumi_infer *ctx, int input, sumi_dim batch, sumi_dim heads,
                               sumi_dim s, sumi_dim t);

sumi_status sumi_ms_attention_book(const struct sumi_ms_attention *a, size_t *bytes, struct sumi_err *err);
void sumi_ms_attention_take(struct sumi_ms_attention *a, char **scratch);

/* Copies the first a->past rows of every head of a cache [batch, heads, rows, width], which starts at element
 * first of past, to the front of the heads of to [batch, heads, t, width]. */
void sumi_ms_past(const struct sumi_ms_attention *a, const struct sumi_tensor *past, int64_t first,
                  int64_t rows, int64_t width, float *to);

/* The other way: the t rows of every head go to a cache of rows >= t; rows behind them are left as they are.
 */
void sumi_ms_present(const struct sumi_ms_attention *a, const float *from, int64_t width,
                     struct sumi_tensor *present, int64_t first, int64_t rows);

/* The formula. y is [batch, s, heads * hv]; scores (may be NULL) receives score before the softmax, or the
 * softmax, in columns base.. of [batch, heads, s, >= base + t]. */
void sumi_ms_attend(const struct sumi_ms_attention *a, struct sumi_tensor *y, struct sumi_tensor *scores);

/* The same for sequence b alone, whose past and t may be its own. */
void sumi_ms_attend_one(const struct sumi_ms_attention *a, int64_t b, struct sumi_tensor *y,
                        struct sumi_tensor *scores);

/* The step for device cpu: fn is what the operator's reference function does; it hands tools on, so that the formula is
 * computed with kernels (attend.h). most: the problem with the most keys; made: as sumi_call_lower() has it. */
sumi_status sumi_ms_attention_lower(struct sumi_lower *l, sumi_call_fn fn,
                                    const struct sumi_ms_attention *most, int made);

/* Sets past and t from the length a cache of rows rows is filled to, given at run time; checks what depends
 * on it. */
sumi_status sumi_ms_past_length(struct sumi_ms_attention *a, const struct sumi_tensor *length, int64_t rows,
                                struct sumi_err *err);

#endif
