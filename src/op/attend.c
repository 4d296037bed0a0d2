/* Attention of float32 heads with kernels. See the header. */
#include "op/attend.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

enum {
  BLOCK = 64, /* queries of a task: keys are transposed once for so many */
  LINE = 16   /* words; blocks of scratch start at multiples */
};

/* A worker's scratch. */
struct room {
  float *panels;          /* of family spmm */
  float *kt;              /* [h, t]: the keys, transposed */
  float *scores;          /* [BLOCK, t + 1]: the last column is the sink's */
  float *row;             /* [t] */
  float *y;               /* [BLOCK, hv]: results on their way to another type */
  int32_t *off_k, *off_v; /* [h], [t]: bytes */
};

enum { N_PARTS = 7 };

/* Words of a room's parts in their order. */
static void part_words(int64_t t, int64_t h, int64_t hv, int64_t n[N_PARTS]) {
  const int64_t words[N_PARTS] = {SUMI_SPMM_F32_SCRATCH, h * t, BLOCK * (t + 1), t, BLOCK * hv, h, t};
  for (int i = 0; i < N_PARTS; i++) n[i] = (words[i] + LINE - 1) / LINE * LINE;
}

static struct room take(float *scratch, int64_t t, int64_t h, int64_t hv) {
  int64_t n[N_PARTS];
  part_words(t, h, hv, n);
  struct room r = {.panels = scratch};
  r.kt = r.panels + n[0];
  r.scores = r.kt + n[1];
  r.row = r.scores + n[2];
  r.y = r.row + n[3];
  r.off_k = (int32_t *)(void *)(r.y + n[4]);
  r.off_v = r.off_k + n[5];
  return r;
}

sumi_status sumi_attend_prepare(struct sumi_lower *l, int64_t t, int64_t h, int64_t hv, int64_t v_row,
                                struct sumi_attend_kernels *out, size_t *bytes) {
  enum { MOST = 1 << 28 }; /* words that offsets in 32-bit bytes reach, with a margin */
  int64_t keys, values, scores;
  if (t > MOST || h > MOST || hv > MOST || !sumi_i64_mul(t, h, &keys) || !sumi_i64_mul(t, v_row, &values) ||
      !sumi_i64_mul(t + 1, BLOCK, &scores) || keys > MOST || values > MOST || scores > MOST ||
      hv > MOST / BLOCK) {
    sumi_lower_refuse(l, "attend", "%" PRId64 " keys of %" PRId64 " are too much for offsets of 32 bits", t,
                      h);
    return SUMI_E_UNSUPPORTED;
  }
  *out = (struct sumi_attend_kernels){sumi_spmm_f32_pick(l->isa), sumi_rows_pick(l->isa),
                                      sumi_copy_pick(l->isa), sumi_eltwise_pick(l->isa), 0};
  int64_t n[N_PARTS];
  part_words(t, h, hv, n);
  for (int i = 0; i < N_PARTS; i++) out->worker_words += n[i];
  if (!sumi_size_mul((size_t)out->worker_words * sizeof(float), (size_t)l->threads, bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "the scratch of attention is too large");
  return SUMI_OK;
}

/* ---- a block of queries ------------------------------------------------------------------------------------------ */

struct state {
  const struct sumi_attend *a;
  const struct sumi_attend_kernels *kernels;
  float *scratch;
  int64_t blocks; /* of queries */
};

static int64_t element(const struct sumi_attend_place *p, int64_t b, int64_t n, int64_t i) {
  return b * p->batch + n * p->head + i * p->row;
}

/* y[i, j] = sum over e of w[i * w_row + e] * x[off[e] / 4 + j], times scale, plus y itself where adds. */
struct product {
  int64_t m, n, k, w_row, y_row;
  const float *w, *x;
  const int32_t *off;
  float scale;
  bool adds;
  float *y;
};

static void multiply(const struct state *st, const struct product *p, float *panels) {
  const struct sumi_spmm_f32 s = {.rows = p->m,
                                  .pixels = p->n,
                                  .block = SUMI_SPMM_BLOCK,
                                  .x = p->x,
                                  .off = p->off,
                                  .n_list = p->k,
                                  .w = p->w,
                                  .w_block = SUMI_SPMM_BLOCK * p->w_row,
                                  .w_entry = 1,
                                  .w_row = p->w_row,
                                  .scale = p->scale,
                                  .add = p->adds ? p->y : NULL,
                                  .add_row = p->y_row,
                                  .lo = -INFINITY,
                                  .hi = INFINITY,
                                  .y = p->y,
                                  .y_row = p->y_row,
                                  .pitch = p->n,
                                  .width = p->n,
                                  .scratch = panels};
  if (p->n) st->kernels->spmm->run(&s, 0, (p->m + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK, 0, p->n);
}

/* The scores of queries [s0, s0 + n) of head g; blind[i]: query i sees nothing. */
static void score(const struct state *st, const struct room *r, int64_t b, int64_t g, int64_t s0, int64_t n,
                  bool *blind) {
  const struct sumi_attend *a = st->a;
  const int64_t row = a->t + 1;
  const bool capped = a->softcap > 0;
  for (int64_t i = 0; i < n; i++)
    blind[i] = a->bias && !capped && !a->bias(a->user, b, g, s0 + i, r->scores + i * row);
  const struct product p = {.m = n,
                            .n = a->t,
                            .k = a->h,
                            .w_row = a->q_at.row,
                            .y_row = row,
                            .w = a->q + element(&a->q_at, b, g, s0),
                            .x = r->kt,
                            .off = r->off_k,
                            .scale = capped ? a->scale / a->softcap : a->scale,
                            .adds = a->bias && !capped,
                            .y = r->scores};
  multiply(st, &p, r->panels);
  for (int64_t i = 0; capped && i < n; i++) {
    float *restrict y = r->scores + i * row;
    st->kernels->eltwise->unary[SUMI_UNARY_tanh](y, y, a->t, NULL);
    for (int64_t t = 0; t < a->t; t++) y[t] *= a->softcap;
    if (!a->bias) continue;
    blind[i] = !a->bias(a->user, b, g, s0 + i, r->row);
    for (int64_t t = 0; t < a->t; t++) y[t] += r->row[t];
  }
}

static void put_scores(const struct sumi_attend *a, const struct room *r, int64_t b, int64_t g, int64_t s0,
                       int64_t n) {
  for (int64_t i = 0; i < n; i++)
    sumi_from_f32(a->scores->dtype, r->scores + i * (a->t + 1), a->t, a->scores->data,
                  a->scores_first + element(&a->scores_at, b, g, s0 + i));
}

static void normalise(const struct state *st, const struct room *r, int64_t g, int64_t n, const bool *blind) {
  const struct sumi_attend *a = st->a;
  for (int64_t i = 0; i < n; i++) {
    float *y = r->scores + i * (a->t + 1);
    if (blind[i]) {
      memset(y, 0, (size_t)a->t * sizeof *y);
      continue;
    }
    if (a->sink) y[a->t] = a->sink(a->user, g);
    const int64_t terms = a->t + (a->sink ? 1 : 0);
    if (terms) st->kernels->rows->softmax(y, terms, false, y);
  }
}

static void combine(const struct state *st, const struct room *r, int64_t b, int64_t g, int64_t s0,
                    int64_t n) {
  const struct sumi_attend *a = st->a;
  const bool direct = a->y->dtype == SUMI_FLOAT32;
  const int64_t first = a->y_first + element(&a->y_at, b, g, s0);
  const struct product p = {.m = n,
                            .n = a->hv,
                            .k = a->t,
                            .w_row = a->t + 1,
                            .y_row = direct ? a->y_at.row : a->hv,
                            .w = r->scores,
                            .x = a->v + element(&a->v_at, b, g / a->groups, 0),
                            .off = r->off_v,
                            .scale = 1,
                            .y = direct ? (float *)a->y->data + first : r->y};
  multiply(st, &p, r->panels);
  for (int64_t i = 0; !direct && i < n; i++)
    sumi_from_f32(a->y->dtype, r->y + i * a->hv, a->hv, a->y->data, first + i * a->y_at.row);
}

/* Tasks [begin, end): a block of queries of the heads that share a key head. */
static void run_tasks(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct sumi_attend *a = st->a;
  const int64_t shared = a->heads / a->groups;
  const struct room r = take(st->scratch + worker * st->kernels->worker_words, a->t, a->h, a->hv);
  for (int64_t e = 0; e < a->h; e++) r.off_k[e] = (int32_t)(4 * e * a->t);
  for (int64_t e = 0; e < a->t; e++) r.off_v[e] = (int32_t)(4 * e * a->v_at.row);
  bool blind[BLOCK];
  const float *turned = NULL;
  for (int64_t task = begin; task < end; task++) {
    const int64_t s0 = task % st->blocks * BLOCK, g = task / st->blocks % shared,
                  b = task / st->blocks / shared;
    const int64_t n = SUMI_MIN(a->s - s0, BLOCK);
    const float *k = a->k + element(&a->k_at, b, g, 0);
    if (k != turned) st->kernels->copy->transpose(k, a->k_at.row, a->t, a->h, r.kt, a->t);
    turned = k;
    for (int64_t head = g * a->groups; head < (g + 1) * a->groups; head++) {
      score(st, &r, b, head, s0, n, blind);
      if (a->scores && !a->normalised) put_scores(a, &r, b, head, s0, n);
      normalise(st, &r, head, n, blind);
      if (a->scores && a->normalised) put_scores(a, &r, b, head, s0, n);
      if (a->y) combine(st, &r, b, head, s0, n);
    }
  }
}

void sumi_attend(const struct sumi_attend *a, const struct sumi_attend_kernels *kernels, struct sumi_par *par,
                 void *scratch) {
  struct state st = {a, kernels, scratch, (a->s + BLOCK - 1) / BLOCK};
  sumi_par_for(par, a->batch * (a->heads / a->groups) * st.blocks, 1, run_tasks, &st);
}
