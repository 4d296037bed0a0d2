/* Attention of float32 heads with kernels: for every sequence b, query head n with key head n / groups, and query s,
 *   score[t] = cap(scale * q[b,n,s] . k[b,n / groups,t]) + bias(b, n, s)[t]                             t in [0, a->t)
 *   y[b,n,s] = sum over t of softmax(score)[t] * v[b,n / groups,t],   zeros where the bias says that s sees nothing
 * cap(x) = softcap * tanh(x / softcap), or x. With a sink the softmax's sum has one term more, exp(sink(n)).
 * A task takes a block of queries of all heads that share a key head: its keys are transposed (family copy), scores and
 * results are products of family spmm, the softmax is family rows. */
#ifndef SUMI_OP_ATTEND_H
#define SUMI_OP_ATTEND_H

#include "kernel/copy/copy.h"
#include "kernel/eltwise/eltwise.h"
#include "kernel/rows/rows.h"
#include "op/call_lower.h"
#include "op/spmm_lower.h"

/* Where rows of numbers lie: row i of head n of sequence b starts at element b * batch + n * head + i * row. */
struct sumi_attend_place {
  int64_t batch, head, row;
};

struct sumi_attend {
  int64_t batch, heads, groups; /* groups divides heads */
  int64_t s, t;                 /* queries, keys */
  int64_t h, hv;                /* sizes of a head of q and k, and of v */
  const float *q, *k, *v;
  struct sumi_attend_place q_at, k_at, v_at;
  float scale, softcap; /* softcap 0 = no cap */
  /* Fills row[0, t); false: the query sees nothing. NULL = no bias. */
  bool (*bias)(const void *user, int64_t b, int64_t n, int64_t s, float *row);
  float (*sink)(const void *user, int64_t n); /* NULL = none */
  const void *user;
  const struct sumi_tensor *y; /* float32, float16 or bfloat16; NULL = not wanted */
  int64_t y_first;
  struct sumi_attend_place y_at;
  const struct sumi_tensor
      *scores; /* receives score, or its softmax, in rows of scores_at; NULL = not wanted */
  int64_t scores_first;
  struct sumi_attend_place scores_at;
  bool normalised; /* scores receives the softmax */
};

/* The kernels, and how much scratch each worker has. */
struct sumi_attend_kernels {
  const struct sumi_spmm_f32_kernel *spmm;
  const struct sumi_rows_kernel *rows;
  const struct sumi_copy_kernel *copy;
  const struct sumi_eltwise_kernel *eltwise;
  int64_t worker_words;
};

/* Picks the kernels for at most t keys of size h and values of size hv, rows of v v_row apart (SUMI_E_LIMIT where that is
 * too far), and says how many bytes of scratch a session's threads want. */
sumi_status sumi_attend_prepare(struct sumi_lower *l, int64_t t, int64_t h, int64_t hv, int64_t v_row,
                                struct sumi_attend_kernels *out, size_t *bytes);

/* The formula. scratch: bytes of sumi_attend_prepare(), 64-byte aligned; a's t, h, hv and v_at.row at most those. */
void sumi_attend(const struct sumi_attend *a, const struct sumi_attend_kernels *kernels, struct sumi_par *par,
                 void *scratch);

#endif
