/* 8-bit convolutions and matrix products on device cpu: family spmm_i8 over planes in lanes, one window a channel: family
 * depthwise_i8. A convolution wants its
 * input with a halo of the zero point, one phase for each stride; a 1x1 convolution and a product take any layout. */
#include "op/qdot_lower.h"

#include <inttypes.h>

#include "base/size.h"
#include "kernel/depthwise/depthwise_i8.h"
#include "op/eltwise_lower.h"
#include "op/lane_conv.h"
#include "op/qdot.h"
#include "op/qdot_weights.h"
#include "op/spmm_lower.h"

enum { X = SUMI_QDOT_X, W = SUMI_QDOT_W, R = SUMI_QDOT_R };

static const struct sumi_halo no_halo = {0, 0, 0, 0, 1, 1};

/* ---- running ---------------------------------------------------------------------------------------------------- */

struct args {
  struct sumi_spmm_i8 s; /* pointers to buffers are set while running */
  struct sumi_lane_map map, r_map;
  const struct sumi_spmm_i8_kernel *kernel;
  struct sumi_spmm_tiles tiles;
  bool real;   /* float32 planes */
  int x, r, y; /* buffers */
};

struct state {
  const struct args *a;
  struct sumi_spmm_i8 s;
};

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t i = begin; i < end; i++) {
    const struct sumi_spmm_part part = sumi_spmm_tile_part(&st->a->tiles, i);
    st->a->kernel->run(&st->s, part.b0, part.b1, part.p0, part.p1);
  }
}

/* real: y is float32 planes. */
static void set_buffers(struct sumi_spmm_i8 *s, const struct sumi_run *run, int x, int r, int y, bool real) {
  s->x = run->buffer[x];
  if (real)
    s->y_f32 = run->buffer[y];
  else
    s->y = run->buffer[y];
  for (int i = 0; i < s->n_stage; i++)
    if (!s->stage[i].add) s->stage[i].r = run->buffer[r];
}

static sumi_status run_dot(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state st = {a, a->s};
  set_buffers(&st.s, run, a->x, a->r, a->y, a->real);
  sumi_par_for(run->par, a->tiles.count, 1, sum_tiles, &st);
  return SUMI_OK;
}

/* ---- the epilogue ----------------------------------------------------------------------------------------------- */

static float *new_floats(struct sumi_lower *l, int64_t n) {
  return SUMI_NEW_ARRAY(l->arena, (size_t)n, float);
}

static sumi_status set_function(struct sumi_lower *l, struct sumi_activation function, sumi_unary_fn *act,
                                const float **param) {
  struct sumi_epilogue e;
  if (function.kind == SUMI_ACTIVATION_NONE) return SUMI_OK;
  SUMI_TRY(sumi_lower_epilogue(l, function, &e));
  *act = e.act;
  *param = e.param;
  if (e.act) return SUMI_OK;
  sumi_lower_refuse(l, "spmm_i8", "an activation without a kernel");
  return SUMI_E_UNSUPPORTED;
}

static sumi_status set_stage(struct sumi_lower *l, const struct sumi_qdot *q, int which,
                             struct sumi_spmm_i8_stage *to, int64_t rows) {
  const struct sumi_qdot_stage *from = &q->stage[which];
  *to = (struct sumi_spmm_i8_stage){.r_zero = from->r_zero,
                                    .r_mul = from->r_mul,
                                    .mul = from->mul,
                                    .zero = from->zero,
                                    .lo = from->lo,
                                    .hi = from->hi,
                                    .post = from->out_mul};
  SUMI_TRY(set_function(l, from->function, &to->act, &to->act_param));
  if (from->residual) return SUMI_OK;
  float *add = new_floats(l, rows);
  if (!add) SUMI_FAIL_MEMORY(l->err);
  for (int64_t m = 0; m < q->rows; m++) add[m] = sumi_qdot_add(q, m);
  to->add = add;
  return SUMI_OK;
}

/* The first stage of a direct product is the end of the sum itself; without one the result is float32. */
static sumi_status set_direct(struct sumi_lower *l, const struct sumi_qdot *q, struct sumi_spmm_i8 *s) {
  float *shift = q->c ? new_floats(l, s->rows) : NULL;
  if (q->c && !shift) SUMI_FAIL_MEMORY(l->err);
  for (int64_t m = 0; q->c && m < q->rows; m++) shift[m] = sumi_qdot_add(q, m);
  s->shift = shift;
  s->n_stage = 0;
  const struct sumi_qdot_stage *first = &q->stage[0];
  SUMI_TRY(set_function(l, first->function, &s->act, &s->act_param));
  if (q->real) return SUMI_OK;
  s->post = first->out_mul;
  s->zero = first->zero;
  s->lo = first->lo;
  s->hi = first->hi;
  s->n_stage = q->n_stage - 1;
  for (int i = 0; i < s->n_stage; i++) SUMI_TRY(set_stage(l, q, i + 1, &s->stage[i], s->rows));
  return SUMI_OK;
}

/* Bias, scales, limits and stages; rows beyond the last give zeros. */
static sumi_status set_epilogue(struct sumi_lower *l, const struct sumi_qdot *q, const int32_t *weight_sum,
                                struct sumi_spmm_i8 *s) {
  int32_t *bias = SUMI_NEW_ARRAY(l->arena, (size_t)s->rows, int32_t);
  float *scale = new_floats(l, s->rows);
  if (!bias || !scale) SUMI_FAIL_MEMORY(l->err);
  for (int64_t m = 0; m < q->rows; m++) {
    const uint32_t zero = (uint32_t)q->x_zero * (uint32_t)weight_sum[m];
    bias[m] = (int32_t)((q->b ? (uint32_t)q->b[m] : 0) - zero);
    scale[m] = sumi_qdot_scale(q, m);
  }
  s->bias = bias;
  s->scale = scale;
  s->post = 1;
  if (q->direct) return set_direct(l, q, s);
  s->zero = q->zero;
  s->lo = q->lo;
  s->hi = q->hi;
  s->n_stage = q->n_stage;
  for (int i = 0; i < q->n_stage; i++) SUMI_TRY(set_stage(l, q, i, &s->stage[i], s->rows));
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_i8", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static bool has_residual(const struct sumi_lower *l) { return l->n_in > R && l->in[R]; }

/* The residual along axis, and its map on the walk of `walk` over `same` pixels. */
struct operands {
  struct sumi_lane_operand x, r, y;
};

static sumi_status emit(struct sumi_lower *l, struct args *a, const struct sumi_word_weights *w) {
  int reads[2] = {a->x, a->r};
  const char *name = sumi_arena_printf(l->arena, "%s %s %d", a->kernel->name,
                                       w->packed->dense ? "dense" : "sparse", w->packed->block);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(sumi_lower_emit(l, run_dot, a, name, reads, a->r < 0 ? 1 : 2, &a->y, 1));
  sumi_lower_predict(l, w->predicted_s / l->threads);
  return SUMI_OK;
}

static void set_places(struct sumi_spmm_i8 *s, const struct operands *o, const struct sumi_lane_map *map,
                       const struct sumi_lane_map *r_map) {
  s->map = map;
  s->r_map = r_map->piece == map->piece ? map : r_map;
  s->y_group = s->y_row = o->y.layout.group;
  for (int i = 0; i < s->n_stage; i++) s->stage[i].r_group = o->r.layout.group;
}

static sumi_status lower_dot(struct sumi_lower *l, const struct sumi_qdot *q,
                             const struct sumi_word_matrix *matrix, const struct operands *o,
                             const int32_t *column, struct args *a) {
  struct sumi_word_weights weights;
  SUMI_TRY(sumi_word_pack(l, &sumi_words_i8, matrix, a->map.pixels, &weights));
  SUMI_TRY(sumi_qdot_set_weights(l, &weights, column, &a->s));
  SUMI_TRY(set_epilogue(l, q, weights.facts->sum, &a->s));
  a->kernel = weights.kernel;
  a->x = o->x.buffer;
  a->y = o->y.buffer;
  a->r = has_residual(l) ? o->r.buffer : -1;
  a->real = q->real;
  set_places(&a->s, o, &a->map, &a->r_map);
  if (a->r >= 0 && a->r == l->in_buffer[R] && a->y == l->out_buffer[0]) sumi_lower_over(l, R);
  const int64_t entries = weights.packed->n_entries * (weights.packed->dense ? weights.packed->n_blocks : 1);
  a->tiles =
      sumi_spmm_tile(SUMI_MAX(4 / a->s.block, 1), a->kernel->pixels, l->threads, weights.packed->n_blocks,
                     a->map.pixels, entries * a->s.block, o->x.layout.groups * o->x.layout.group);
  SUMI_TRY(sumi_lower_blank(l, &o->y));
  SUMI_TRY(emit(l, a, &weights));
  return sumi_lower_lanes_done(l, 0, &o->y);
}

/* Operands along axis; the residual is brought to lanes beside the output. */
static sumi_status take_operands(struct sumi_lower *l, const struct sumi_lane_wish *wish,
                                 struct operands *o) {
  const struct sumi_lane_wish any = {.lanes = true, .any = true, .axis = wish->axis, .halo = no_halo};
  SUMI_TRY(sumi_lower_lanes_in(l, X, wish, &o->x));
  if (has_residual(l)) SUMI_TRY(sumi_lower_lanes_in(l, R, &any, &o->r));
  return sumi_lower_lanes_out(l, 0, wish->axis, &o->y);
}

static const char *cannot(const struct sumi_call *c) {
  if (!c->in[W]->data) return "the weights are not constant";
  for (int i = 0; i < c->n_in; i++)
    if (i != X && i != R && c->in[i] && !c->in[i]->data) return "a scale or zero point is not constant";
  if (sumi_tensor_is_empty(c->in[X]) || sumi_tensor_is_empty(c->out[0]) || sumi_tensor_is_empty(c->in[W]))
    return "an empty tensor";
  return NULL;
}

static uint8_t stored_zero(const struct sumi_tensor *t) {
  return (uint8_t)(*(const uint8_t *)t->data ^ (t->dtype == SUMI_INT8 ? 0x80 : 0));
}

/* ---- convolution ------------------------------------------------------------------------------------------------ */

void sumi_qconv_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  struct sumi_conv v;
  struct sumi_lane_conv w;
  if (cannot(c) || sumi_conv_resolve(c->node, c->in[X], c->in[W], &v, NULL) != SUMI_OK ||
      sumi_lane_conv_find(&v, &w))
    return;
  in[X] = sumi_lane_conv_wish(&w, stored_zero(c->in[SUMI_QDOT_X_ZERO]));
  if (sumi_call_has(c, R))
    in[R] = (struct sumi_lane_wish){.lanes = true, .any = true, .axis = 1, .halo = no_halo};
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = 1};
}

static sumi_status conv_maps(struct sumi_lower *l, const struct sumi_lane_conv *w, const struct operands *o,
                             struct sumi_lane_map *map, struct sumi_lane_map *r_map) {
  SUMI_TRY(sumi_lane_conv_map(l, w, &o->x.layout, &o->y.layout, map));
  *r_map = *map;
  if (!has_residual(l) || sumi_layout_equal(&o->r.layout, &o->y.layout)) return SUMI_OK;
  return sumi_lane_conv_map(l, w, &o->x.layout, &o->r.layout, r_map);
}

/* ---- one window a channel --------------------------------------------------------------------------------------- */

struct depthwise_args {
  struct sumi_depthwise_i8 d; /* pointers to buffers are set while running */
  struct sumi_lane_map map, r_map;
  const struct sumi_depthwise_i8_kernel *kernel;
  bool real;
  int x, r, y; /* buffers */
};

struct depthwise_state {
  const struct depthwise_args *a;
  struct sumi_depthwise_i8 d;
};

static void sum_groups(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct depthwise_state *st = user;
  st->a->kernel->run(&st->d, begin, end, 0, st->a->map.pixels);
}

static sumi_status run_depthwise(const void *args, const struct sumi_run *run) {
  const struct depthwise_args *a = args;
  struct depthwise_state st = {a, a->d};
  const int64_t groups = a->d.s.rows / 4, parts = 4 * (int64_t)sumi_par_threads(run->par);
  set_buffers(&st.d.s, run, a->x, a->r, a->y, a->real);
  sumi_par_for(run->par, groups, run->par ? (groups + parts - 1) / parts : groups, sum_groups, &st);
  return SUMI_OK;
}

static bool is_depthwise(const struct sumi_conv *v, const struct sumi_lane_conv *w) {
  return v->group > 1 && v->c_group == 1 && v->m_group == 1 && !w->pointwise;
}

/* Quads of taps: their offsets, and the weights of each channel in words. sum[rows] receives the sums of all weights. */
static sumi_status depthwise_taps(struct sumi_lower *l, const struct sumi_qdot *q,
                                  const struct sumi_lane_conv *w, const struct sumi_layout *x,
                                  struct sumi_spmm_i8 *s, int32_t *sum) {
  const int64_t n = sumi_lane_conv_taps(w);
  int32_t *tap = SUMI_NEW_ARRAY(l->arena, (size_t)n, int32_t),
          *off = SUMI_NEW_ARRAY(l->arena, (size_t)(4 * n), int32_t),
          *from = SUMI_NEW_ARRAY(l->arena, (size_t)(4 * n), int32_t);
  if (!tap || !off || !from) SUMI_FAIL_MEMORY(l->err);
  for (int64_t t = 0; t < n; t++) tap[t] = sumi_lane_window_tap(&w->window, x, t);
  s->n_list = sumi_depthwise_i8_taps(tap, n, off, from);
  int8_t *word = SUMI_NEW_ARRAY(l->arena, (size_t)(s->rows * s->n_list * 4), int8_t);
  if (!word) SUMI_FAIL_MEMORY(l->err);
  for (int64_t m = 0; m < q->rows; m++) {
    for (int64_t k = 0; k < 4 * s->n_list; k++) /* byte k % 4 of word (m / 4 * n_list + k / 4) * 4 + m % 4 */
      word[((m / 4 * s->n_list + k / 4) * 4 + m % 4) * 4 + k % 4] =
          (int8_t)(from[k] < 0 ? 0 : q->w[m * n + from[k]]);
    for (int64_t t = 0; t < n; t++) sum[m] += q->w[m * n + t];
  }
  s->off = off;
  s->w = (const int32_t *)word;
  return SUMI_OK;
}

static sumi_status lower_depthwise(struct sumi_lower *l, const struct sumi_qdot *q,
                                   const struct sumi_lane_conv *w, const struct operands *o) {
  struct depthwise_args *a = SUMI_NEW(l->arena, struct depthwise_args);
  int32_t *sum = SUMI_NEW_ARRAY(l->arena, (size_t)q->rows, int32_t);
  if (!a || !sum) SUMI_FAIL_MEMORY(l->err);
  struct sumi_spmm_i8 *s = &a->d.s;
  a->kernel = sumi_depthwise_i8_pick(l->isa);
  s->rows = (q->rows + 3) / 4 * 4;
  s->block = 4;
  a->d.x_group = 4 * o->x.layout.group;
  SUMI_TRY(depthwise_taps(l, q, w, &o->x.layout, s, sum));
  SUMI_TRY(set_epilogue(l, q, sum, s));
  SUMI_TRY(conv_maps(l, w, o, &a->map, &a->r_map));
  set_places(s, o, &a->map, &a->r_map);
  a->real = q->real;
  a->x = o->x.buffer;
  a->y = o->y.buffer;
  a->r = has_residual(l) ? o->r.buffer : -1;
  const int reads[] = {a->x, a->r};
  SUMI_TRY(sumi_lower_blank(l, &o->y));
  SUMI_TRY(sumi_lower_emit(l, run_depthwise, a, a->kernel->name, reads, a->r < 0 ? 1 : 2, &a->y, 1));
  const double macs = (double)s->rows * (double)a->map.pixels * (double)sumi_lane_conv_taps(w);
  sumi_lower_predict(l, macs / (a->kernel->gmacs * 1e9) / l->threads);
  return sumi_lower_lanes_done(l, 0, &o->y);
}

sumi_status sumi_qconv_lower(struct sumi_lower *l) {
  const struct sumi_call call = sumi_lower_call(l);
  struct sumi_conv v;
  struct sumi_qdot q;
  struct sumi_lane_conv w;
  struct operands o;
  const char *why = cannot(&call);
  if (why) return refuse(l, why);
  SUMI_TRY(sumi_conv_resolve(l->node, l->in[X], l->in[W], &v, l->err));
  SUMI_TRY(sumi_qdot_resolve(l->node, l->in, l->n_in, v.c_out, &q, l->err));
  if ((why = sumi_lane_conv_find(&v, &w))) return refuse(l, why);
  const struct sumi_lane_wish wish = sumi_lane_conv_wish(&w, (uint8_t)q.x_zero);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(take_operands(l, &wish, &o));
  if (o.x.layout.bytes >= INT32_MAX) return refuse(l, "the planes of the input take more than 2 GiB");
  if (is_depthwise(&v, &w)) return lower_depthwise(l, &q, &w, &o);
  SUMI_TRY(conv_maps(l, &w, &o, &a->map, &a->r_map));
  const int32_t *column = sumi_lane_conv_columns(l, &w, &o.x.layout);
  if (!column) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_word_matrix matrix = {q.w,    4, v.c_out, v.group, v.c_group, v.taps, v.c_group * v.taps,
                                          v.taps, 1};
  return lower_dot(l, &q, &matrix, &o, column, a);
}

/* ---- matrix product --------------------------------------------------------------------------------------------- */

void sumi_qmatmul_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  if (cannot(c) || c->in[X]->rank < 2) return;
  const int axis = c->in[X]->rank - 1;
  in[X] = (struct sumi_lane_wish){.lanes = true, .any = true, .axis = axis, .halo = no_halo};
  if (sumi_call_has(c, R)) in[R] = in[X];
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = axis};
}

sumi_status sumi_qmatmul_lower(struct sumi_lower *l) {
  const struct sumi_call call = sumi_lower_call(l);
  const struct sumi_tensor *x = l->in[X], *w = l->in[W];
  const bool turned = sumi_attr_int(l->node, "transB", 0) != 0;
  const int64_t n = w->dim[turned ? 0 : 1], k = w->dim[turned ? 1 : 0];
  struct sumi_qdot q;
  struct operands o;
  const char *why = cannot(&call);
  if (why) return refuse(l, why);
  if (x->rank < 2) return refuse(l, "a vector");
  SUMI_TRY(sumi_qdot_resolve(l->node, l->in, l->n_in, n, &q, l->err));
  const struct sumi_lane_wish wish = {.lanes = true, .any = true, .axis = x->rank - 1, .halo = no_halo};
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(take_operands(l, &wish, &o));
  if (o.x.layout.bytes >= INT32_MAX) return refuse(l, "the planes of the input take more than 2 GiB");
  const struct sumi_lane_conv point = {.pointwise = true};
  SUMI_TRY(conv_maps(l, &point, &o, &a->map, &a->r_map));
  const int32_t *column = sumi_lane_conv_columns(l, &point, &o.x.layout);
  if (!column) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_word_matrix matrix = {q.w, 4, n, 1, k, 1, turned ? k : 1, turned ? 1 : n, 0};
  return lower_dot(l, &q, &matrix, &o, column, a);
}
