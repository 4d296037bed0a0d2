/* Attention for the card: the loops of its products, and its softmax. */
#include "op/attention_cells.h"

#include <float.h>
#include <math.h>

#include "base/half.h"
#include "base/size.h"
#include "op/dot_cells.h"
#include "op/vector_cells.h"

struct sumi_heads sumi_heads_of(const struct sumi_cells *c, int operand, int64_t heads) {
  const struct sumi_cell_operand *o = &c->operand[operand];
  const int last = o->rank - 1;
  return (struct sumi_heads){.operand = operand,
                             .batch = o->step[0],
                             .head = o->rank == 4 ? o->step[1] : o->dim[last] / heads * o->step[last],
                             .token = o->step[last - 1],
                             .feature = o->step[last]};
}

static struct sumi_heads part(const struct sumi_heads *h, int64_t b, int64_t head) {
  struct sumi_heads p = *h;
  p.at += b * h->batch + head * h->head;
  return p;
}

struct sumi_attention_cells sumi_attention_part(const struct sumi_attention_cells *a, int64_t b, int64_t kv) {
  const int64_t each = a->heads / a->kv_heads;
  struct sumi_attention_cells p = *a;
  p.batch = p.kv_heads = 1;
  p.heads = each;
  p.q = part(&a->q, b, kv * each);
  p.k = part(&a->k, b, kv);
  p.v = part(&a->v, b, kv);
  p.y = part(&a->y, b, kv * each);
  return p;
}

void sumi_attention_part_masks(const struct sumi_attention_cells *a, int64_t b, int64_t kv,
                               struct sumi_attention_softmax *f) {
  for (int k = 0; k < f->n_mask; k++)
    f->mask[k].at += b * f->mask[k].step[0] + kv * (a->heads / a->kv_heads) * f->mask[k].step[1];
}

/* ---- caches ------------------------------------------------------------------------------------------------ */

/* Reads or writes the n tokens of the program's loops batch, heads, tokens, size from token `first` on. */
static int tokens_view(struct sumi_vector *v, const struct sumi_heads *h, int64_t first) {
  const int view = sumi_vector_view_plain(v, h->operand);
  const int64_t step[] = {h->batch, h->head, h->token, h->feature};
  if (view < 0) return -1;
  v->view[view].at = h->at + first * h->token;
  for (int d = 0; d < 4; d++) v->view[view].step[d] = step[d];
  return view;
}

static sumi_status move_tokens(struct sumi_cells *c, const struct sumi_attention_tokens *t,
                               const struct sumi_heads *from, int64_t n, const struct sumi_heads *all,
                               int64_t first) {
  const struct sumi_heads *const to[] = {all, &t->present};
  struct sumi_vector v;
  if (!n) return SUMI_OK;
  sumi_vector_start(&v, c);
  for (int d = 0; d < 4; d++) sumi_vector_loop(&v, d < 2 ? t->dim[d] : d == 2 ? n : t->dim[2]);
  const int x = sumi_vector_load(&v, tokens_view(&v, from, 0));
  for (size_t k = 0; k < SUMI_COUNT(to); k++)
    if (to[k]->operand >= 0) sumi_vector_store(&v, tokens_view(&v, to[k], first), x);
  return sumi_vector_end(&v);
}

sumi_status sumi_attention_join(struct sumi_cells *c, const struct sumi_attention_tokens *t,
                                struct sumi_heads *all) {
  const int64_t n = t->n_past + t->n_fresh, dim[] = {t->dim[0], t->dim[1], n, t->dim[2]};
  const bool moves = t->n_past || c->operand[t->fresh.operand].dtype != SUMI_BFLOAT16;
  struct sumi_heads to = {.operand = -1};
  SUMI_TRY(sumi_dot_check_type(c, c->operand[t->fresh.operand].dtype));
  if (moves) {
    to = (struct sumi_heads){
        sumi_cells_temp(c, SUMI_BFLOAT16, 4, dim), dim[1] * n * dim[3], n * dim[3], dim[3], 1, 0};
    if (to.operand < 0) return SUMI_E_MEMORY;
  }
  if (moves || t->present.operand >= 0) {
    SUMI_TRY(move_tokens(c, t, &t->past, t->n_past, &to, 0));
    SUMI_TRY(move_tokens(c, t, &t->fresh, t->n_fresh, &to, t->n_past));
  }
  *all = moves ? to : t->fresh;
  return SUMI_OK;
}

sumi_status sumi_attention_behind(struct sumi_cells *c, const struct sumi_attention_caches *caches,
                                  struct sumi_attention_cells *a) {
  struct sumi_heads *const part[] = {&a->q, &a->k, &a->v};
  for (int i = 0; i < 3; i++) {
    struct sumi_attention_tokens t = {
        .dim = {a->batch, i ? a->kv_heads : a->heads, i < 2 ? a->size : a->v_size},
        .n_fresh = i ? a->keys : a->queries,
        .past = {.operand = -1},
        .fresh = *part[i],
        .present = {.operand = -1}};
    if (i) {
      t.n_past = caches->n_past;
      t.past = caches->past[i - 1];
      t.present = caches->present[i - 1];
    }
    SUMI_TRY(sumi_attention_join(c, &t, part[i]));
  }
  a->keys += caches->n_past;
  return SUMI_OK;
}

/* ---- products ---------------------------------------------------------------------------------------------- */

/* x: of the heads of q; w: of the one of k or v. */
static void start(const struct sumi_attention_cells *a, const struct sumi_heads *x,
                  const struct sumi_heads *w, const struct sumi_heads *y, struct sumi_cell_product *p) {
  *p = (struct sumi_cell_product){.n_outer = a->heads > 1,
                                  .outer = {a->heads},
                                  .x = {.operand = x->operand, .at = x->at, .step = {x->head}},
                                  .w = {.operand = w->operand, .at = w->at},
                                  .y = {.operand = y->operand, .at = y->at, .step = {y->head}},
                                  .residual = {.operand = -1},
                                  .images = 1,
                                  .in_rows = 1,
                                  .rows = 1,
                                  .in_cols = a->queries,
                                  .cols = a->queries,
                                  .x_pixel = x->token,
                                  .y_pixel = y->token,
                                  .kernel_h = 1,
                                  .kernel_w = 1,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .dilation_h = 1,
                                  .dilation_w = 1,
                                  .w_channel = 1};
}

/* s or p: [1, heads, queries, keys] */
static struct sumi_heads square(const struct sumi_attention_cells *a, int operand) {
  return (struct sumi_heads){operand, 0, a->queries * a->keys, a->keys, 1, 0};
}

void sumi_attention_scores(const struct sumi_attention_cells *a, int s, struct sumi_cell_product *p) {
  const struct sumi_heads y = square(a, s);
  start(a, &a->q, &a->k, &y, p);
  p->channels = a->size;
  p->outputs = a->keys;
  p->w_output = a->k.token;
}

sumi_status sumi_attention_values(struct sumi_cells *c, const struct sumi_attention_cells *a, int p,
                                  struct sumi_cell_product *product) {
  const struct sumi_heads x = square(a, p);
  struct sumi_heads v = a->v;
  if (v.token != 1) {
    const int64_t dim[] = {a->v_size, a->keys};
    v = (struct sumi_heads){.operand = sumi_cells_temp(c, c->operand[a->v.operand].dtype, 2, dim),
                            .token = 1,
                            .feature = a->keys};
    if (v.operand < 0) return SUMI_E_MEMORY;
    const struct sumi_cell_copy copy = {
        .rank = 2,
        .n = {a->v_size, a->keys},
        .to = {.operand = v.operand, .step = {v.feature, v.token}},
        .from = {.operand = a->v.operand, .at = a->v.at, .step = {a->v.feature, a->v.token}}};
    SUMI_TRY(sumi_cells_reorder(c, &copy));
  }
  start(a, &x, &v, &a->y, product);
  product->channels = a->keys;
  product->outputs = a->v_size;
  product->w_output = v.feature;
  return SUMI_OK;
}

/* ---- softmax ----------------------------------------------------------------------------------------------- */

static bool is_byte(const struct sumi_cells *c, int operand) {
  const sumi_dtype d = c->operand[operand].dtype;
  return d == SUMI_INT8 || d == SUMI_UINT8;
}

/* u without the mask, from the loaded s. */
static int score(struct sumi_vector *v, const struct sumi_attention_softmax *f, int s) {
  const float inverse = 1 / f->factor;
  int exponent;
  const bool exact = f->divide && frexpf(f->factor, &exponent) == 0.5f; /* a power of two */
  if (v->c->operand[v->view[0].operand].dtype != SUMI_FLOAT32)
    s = SUMI_VECTOR(v, "((float)a - b) * c", s, sumi_vector_float(v, f->s_zero),
                    sumi_vector_float(v, f->s_scale));
  if (f->divide && !exact)
    s = SUMI_VECTOR(v, "a / b", s, sumi_vector_float(v, f->factor));
  else if (f->factor != 1)
    s = SUMI_VECTOR(v, "a * b", s, sumi_vector_float(v, exact ? inverse : f->factor));
  if (f->softcap != 0) s = SUMI_VECTOR(v, "b * sumi_tanh_f32(a / b)", s, sumi_vector_float(v, f->softcap));
  return s;
}

static int add_mask(struct sumi_vector *v, const struct sumi_attention_mask *m, int u) {
  const int view = sumi_vector_view_plain(v, m->operand);
  if (view < 0) return -1;
  v->view[view].at = m->at;
  for (int d = 0; d < 4; d++) v->view[view].step[v->loop[d]] = m->step[d];
  const int x = sumi_vector_load(v, view);
  if (sumi_dtype_is_float(v->c->operand[m->operand].dtype)) return SUMI_VECTOR(v, "a + b", u, x);
  return SUMI_VECTOR(v, "b > 0 ? a : a + c", u, x, sumi_vector_float(v, m->filter));
}

enum { OVER_KEYS = 1 << 3 };

/* u from s, with mask k; from the first mask on u is stored, in a new operand each time. */
static sumi_status masked(struct sumi_cells *c, const struct sumi_attention_softmax *f, int k, int *s) {
  struct sumi_vector v;
  const int u = sumi_cells_temp(c, SUMI_FLOAT32, 4, c->operand[*s].dim);
  if (u < 0) return SUMI_E_MEMORY;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, *s, 0);
  int x = sumi_vector_load(&v, sumi_vector_view(&v, *s));
  if (!k) x = score(&v, f, x);
  x = add_mask(&v, &f->mask[k], x);
  sumi_vector_store(&v, sumi_vector_view(&v, u), x);
  *s = u;
  return sumi_vector_end(&v);
}

/* The largest u of each query; with the last mask, if there is one, and then u is stored. */
static sumi_status largest(struct sumi_cells *c, const struct sumi_attention_softmax *f, int s, int u,
                           int most) {
  struct sumi_vector v;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, s, OVER_KEYS);
  int x = sumi_vector_load(&v, sumi_vector_view(&v, s));
  if (f->n_mask < 2) x = score(&v, f, x);
  if (f->n_mask) {
    x = add_mask(&v, &f->mask[f->n_mask - 1], x);
    sumi_vector_store(&v, sumi_vector_view(&v, u), x);
  }
  int m = sumi_vector_reduce(&v, SUMI_CARD_V_RMAX, x);
  sumi_vector_tail(&v);
  if (f->n_mask) m = sumi_vector_op(&v, SUMI_CARD_V_MAX, m, sumi_vector_float(&v, -FLT_MAX), 0);
  sumi_vector_store(&v, sumi_vector_view_at(&v, most, 0), m);
  return sumi_vector_end(&v);
}

/* e = exp(u - largest), and by query what it is multiplied by. */
static sumi_status powers(struct sumi_cells *c, const struct sumi_attention_softmax *f, int from, int most,
                          int e, int inverse) {
  struct sumi_vector v;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, from, OVER_KEYS);
  int x = sumi_vector_load(&v, sumi_vector_view(&v, from));
  if (!f->n_mask) x = score(&v, f, x);
  x = SUMI_VECTOR(&v, "sumi_exp_f32(a - b)", x, sumi_vector_load(&v, sumi_vector_view_at(&v, most, 0)));
  sumi_vector_store(&v, sumi_vector_view(&v, e), x);
  const int sum = sumi_vector_reduce(&v, SUMI_CARD_V_RSUM, x);
  sumi_vector_tail(&v);
  sumi_vector_store(&v, sumi_vector_view_at(&v, inverse, 0),
                    SUMI_VECTOR(&v, "a > 0 ? 1 / (a * b) : 0", sum, sumi_vector_float(&v, f->p_scale)));
  return sumi_vector_end(&v);
}

sumi_status sumi_attention_softmax(struct sumi_cells *c, const struct sumi_attention_softmax *f, int s,
                                   int p) {
  struct sumi_vector v;
  int64_t dim[4];
  for (int d = 0; d < 4; d++) dim[d] = c->operand[s].dim[d];
  const int most = sumi_cells_temp(c, SUMI_FLOAT32, 3, dim),
            inverse = sumi_cells_temp(c, SUMI_FLOAT32, 3, dim), e = sumi_cells_temp(c, SUMI_FLOAT32, 4, dim),
            u = f->n_mask ? sumi_cells_temp(c, SUMI_FLOAT32, 4, dim) : s;
  if (most < 0 || inverse < 0 || e < 0 || u < 0) return SUMI_E_MEMORY;
  for (int k = 0; k + 1 < f->n_mask; k++) SUMI_TRY(masked(c, f, k, &s));
  SUMI_TRY(largest(c, f, s, u, most));
  SUMI_TRY(powers(c, f, u, most, e, inverse));
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, e, 0);
  int x = sumi_vector_load(&v, sumi_vector_view(&v, e));
  x = SUMI_VECTOR(&v, "a * b", x, sumi_vector_load(&v, sumi_vector_view_at(&v, inverse, 0)));
  if (is_byte(c, p)) {
    x = sumi_vector_op(&v, SUMI_CARD_V_F2I, x, 0, 0);
    x = SUMI_VECTOR(&v, "a + b", x, sumi_vector_int(&v, f->p_zero));
  }
  sumi_vector_store(&v, sumi_vector_view(&v, p), x);
  return sumi_vector_end(&v);
}

sumi_status sumi_attention_window(struct sumi_cells *c, const struct sumi_attention_cells *a, int64_t past,
                                  int64_t left, int64_t right, struct sumi_attention_softmax *f) {
  const int64_t dim[] = {a->queries, a->keys};
  size_t n;
  if (!sumi_size_mul((size_t)a->queries, (size_t)a->keys, &n))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a mask is too large");
  uint16_t *data = SUMI_NEW_ARRAY(c->arena, n, uint16_t);
  if (!data) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i < a->queries; i++)
    for (int64_t t = 0; t < a->keys; t++) {
      const int64_t ahead = t - (i + past);
      const bool hidden = (left >= 0 && ahead < -left) || (right >= 0 && ahead > right);
      data[i * a->keys + t] = hidden ? sumi_bf16_from_f32(-INFINITY) : 0;
    }
  const int operand = sumi_cells_constant(c, SUMI_BFLOAT16, 2, dim, data);
  if (operand < 0) return SUMI_E_MEMORY;
  f->mask[f->n_mask++] = (struct sumi_attention_mask){.operand = operand, .step = {0, 0, a->keys, 1}};
  return SUMI_OK;
}

sumi_status sumi_attention_product(struct sumi_cells *c, float scale, struct sumi_cell_product *p) {
  float *all = SUMI_NEW_ARRAY(c->arena, (size_t)p->outputs, float);
  if (!all) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i < p->outputs; i++) all[i] = scale;
  p->scale = all;
  p->flags = SUMI_CARD_ACT_REAL | SUMI_CARD_ACT_CHANNEL;
  p->c = (struct sumi_card_stage){.mul = 1, .out_mul = 1};
  return sumi_cells_product(c, p);
}

static sumi_status part_real(struct sumi_cells *c, const struct sumi_attention_cells *a, float scale,
                             const struct sumi_attention_softmax *f) {
  const int64_t dim[] = {1, a->heads, a->queries, a->keys};
  const int s = sumi_cells_temp(c, SUMI_FLOAT32, 4, dim), p = sumi_cells_temp(c, SUMI_BFLOAT16, 4, dim);
  struct sumi_cell_product product;
  if (s < 0 || p < 0) return SUMI_E_MEMORY;
  sumi_attention_scores(a, s, &product);
  SUMI_TRY(sumi_attention_product(c, scale, &product));
  SUMI_TRY(sumi_attention_softmax(c, f, s, p));
  SUMI_TRY(sumi_attention_values(c, a, p, &product));
  return sumi_attention_product(c, 1, &product);
}

sumi_status sumi_attention_real(struct sumi_cells *c, const struct sumi_attention_cells *a, float scale,
                                const struct sumi_attention_softmax *f) {
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t kv = 0; kv < a->kv_heads; kv++) {
      const struct sumi_attention_cells one = sumi_attention_part(a, b, kv);
      struct sumi_attention_softmax masked = *f;
      sumi_attention_part_masks(a, b, kv, &masked);
      SUMI_TRY(part_real(c, &one, scale, &masked));
    }
  return SUMI_OK;
}
