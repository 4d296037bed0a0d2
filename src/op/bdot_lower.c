/* Convolutions and matrix products on bfloat16 on device cpu: family spmm_bf16 over planes in lanes. A convolution wants its input with a
 * halo of zeros, one phase for each stride; a 1x1 convolution and a product take any layout. A float32 result goes to row-major memory:
 * a convolution's directly, a product's through planes. */
#include "op/bdot_lower.h"

#include <string.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "kernel/spmm/spmm_bf16.h"
#include "op/bdot.h"
#include "op/eltwise_lower.h"
#include "op/lane_conv.h"
#include "op/spmm_lower.h"
#include "op/word_weights.h"

enum { X = SUMI_BDOT_X, W = SUMI_BDOT_W, B = SUMI_BDOT_B, R = SUMI_BDOT_R };

static const struct sumi_halo no_halo = {0, 0, 0, 0, 1, 1};

/* ---- running ---------------------------------------------------------------------------------------------------- */

struct args {
  struct sumi_spmm_bf16 s; /* pointers to buffers are set while running */
  struct sumi_lane_map map, r_map;
  const struct sumi_spmm_bf16_kernel *kernel;
  struct sumi_spmm_tiles tiles;
  bool real;   /* float32 planes */
  int x, r, y; /* buffers */
  int w, bias; /* buffers of what is known only while running; -1 = packed, constant */
  int filled;  /* scratch: bias, filled up */
};

struct state {
  const struct args *a;
  struct sumi_spmm_bf16 s;
};

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t i = begin; i < end; i++) {
    const struct sumi_spmm_part part = sumi_spmm_tile_part(&st->a->tiles, i);
    st->a->kernel->run(&st->s, part.b0, part.b1, part.p0, part.p1);
  }
}

static sumi_status run_dot(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state st = {a, a->s};
  st.s.x = run->buffer[a->x];
  if (a->r >= 0) st.s.r = run->buffer[a->r];
  if (a->w >= 0) st.s.w = run->buffer[a->w];
  if (a->bias >= 0) {
    float *bias = run->buffer[a->filled];
    memcpy(bias, run->buffer[a->bias], (size_t)a->s.rows * sizeof *bias);
    bias[a->s.rows] = 0;
    st.s.bias = bias;
  }
  if (a->real)
    st.s.y_f32 = run->buffer[a->y];
  else
    st.s.y = run->buffer[a->y];
  sumi_par_for(run->par, a->tiles.count, 1, sum_tiles, &st);
  return SUMI_OK;
}

/* Rows of `rows` elements from planes of n pixels, one after the other. */
struct turn {
  const struct sumi_copy_kernel *copy;
  int64_t rows, n;
  int from, to;
};

struct turn_run {
  const struct turn *t;
  const float *from;
  float *to;
};

static void turn_pixels(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct turn_run *r = user;
  const struct turn *t = r->t;
  t->copy->transpose(r->from + begin, t->n, t->rows, end - begin, r->to + begin * t->rows, t->rows);
}

static sumi_status run_turn(const void *args, const struct sumi_run *run) {
  const struct turn *t = args;
  struct turn_run r = {t, run->buffer[t->from], run->buffer[t->to]};
  sumi_par_for(run->par, t->n, 16, turn_pixels, &r);
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

struct operands {
  struct sumi_lane_operand x, r, y;
};

static bool has_residual(const struct sumi_lower *l) { return l->n_in > R && l->in[R]; }

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_bf16", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static const char *cannot(const struct sumi_call *c) {
  if (sumi_tensor_is_empty(c->in[X]) || sumi_tensor_is_empty(c->out[0]) || sumi_tensor_is_empty(c->in[W]))
    return "an empty tensor";
  return NULL;
}

static sumi_status set_epilogue(struct sumi_lower *l, int64_t rows, struct sumi_spmm_bf16 *s) {
  struct sumi_activation activation;
  struct sumi_epilogue e;
  SUMI_TRY(sumi_activation_resolve(l->node, &activation, l->err));
  SUMI_TRY(sumi_lower_epilogue(l, activation, &e));
  s->act = e.act;
  s->act_param = e.param;
  s->lo = e.lo;
  s->hi = e.hi;
  float *bias = SUMI_NEW_ARRAY(l->arena, (size_t)rows + 1, float);
  if (!bias) SUMI_FAIL_MEMORY(l->err);
  if (l->n_in > B && l->in[B] && l->in[B]->data) memcpy(bias, l->in[B]->data, (size_t)rows * sizeof *bias);
  s->bias = bias;
  return SUMI_OK;
}

/* What is common to packed weights and gathered ones. */
struct form {
  const struct sumi_spmm_bf16_kernel *kernel;
  bool dense;
  int64_t n_blocks, words; /* words of weights that are multiplied for every pixel */
  double predicted_s;
};

static sumi_status set_weights(struct sumi_lower *l, const struct sumi_word_matrix *m, const int32_t *column,
                               struct args *a, struct form *f) {
  struct sumi_word_weights w;
  SUMI_TRY(sumi_word_pack(l, &sumi_words_bf16, m, a->map.pixels, &w));
  const struct sumi_packed_words *p = w.packed;
  struct sumi_spmm_bf16 *s = &a->s;
  SUMI_TRY(sumi_word_offsets(l, p, column, &s->off));
  s->block = p->block;
  s->start = sumi_packed_words_start(p);
  s->n_list = p->dense ? p->n_entries : 0;
  s->w = sumi_packed_words_value(p);
  a->w = -1;
  *f = (struct form){w.kernel, p->dense, p->n_blocks, p->n_entries * (p->dense ? p->n_blocks : 1) * p->block,
                     w.predicted_s};
  return SUMI_OK;
}

/* Weights that are known only while running. */
static sumi_status gather_weights(struct sumi_lower *l, const struct sumi_word_matrix *m,
                                  const int32_t *column, struct args *a, struct form *f) {
  struct sumi_word_gathered w;
  const int64_t cols = (m->channels + 1) / 2 * m->taps;
  SUMI_TRY(sumi_word_gather(l, &sumi_words_bf16, m, l->in_buffer[W], a->map.pixels, &w));
  SUMI_TRY(sumi_word_all_offsets(l, column, cols, w.n_entries, &a->s.off));
  a->s.block = w.block;
  a->s.start = NULL;
  a->s.n_list = w.n_entries;
  a->w = w.buffer;
  *f = (struct form){w.kernel, true, w.n_blocks, w.n_entries * w.n_blocks * w.block, w.predicted_s};
  return SUMI_OK;
}

static sumi_status set_bias(struct sumi_lower *l, int64_t rows, struct args *a) {
  a->bias = a->filled = -1;
  if (l->n_in <= B || !l->in[B] || l->in[B]->data) return SUMI_OK;
  a->bias = l->in_buffer[B];
  a->filled = sumi_lower_scratch(l, ((size_t)rows + 1) * sizeof(float));
  if (a->filled < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

static void add_buffer(int *list, int *n, int buffer) {
  if (buffer >= 0) list[(*n)++] = buffer;
}

static sumi_status emit(struct sumi_lower *l, struct args *a, const struct form *f) {
  int reads[4], writes[2], n_reads = 0, n_writes = 0;
  add_buffer(reads, &n_reads, a->x);
  add_buffer(reads, &n_reads, a->r);
  add_buffer(reads, &n_reads, a->w);
  add_buffer(reads, &n_reads, a->bias);
  add_buffer(writes, &n_writes, a->y);
  add_buffer(writes, &n_writes, a->filled);
  const char *name = sumi_arena_printf(l->arena, "%s %s %d%s", a->kernel->name, f->dense ? "dense" : "sparse",
                                       a->s.block, a->w < 0 ? "" : ", weights gathered");
  if (!name) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(sumi_lower_emit(l, run_dot, a, name, reads, n_reads, writes, n_writes));
  sumi_lower_predict(l, f->predicted_s / l->threads);
  return SUMI_OK;
}

/* Everything but the maps and the buffer of the output, which are set. */
static sumi_status lower_dot(struct sumi_lower *l, const struct sumi_word_matrix *matrix,
                             const struct operands *o, const int32_t *column, struct args *a) {
  struct form f;
  if (sumi_lower_is_constant(l, W))
    SUMI_TRY(set_weights(l, matrix, column, a, &f));
  else
    SUMI_TRY(gather_weights(l, matrix, column, a, &f));
  SUMI_TRY(set_epilogue(l, matrix->rows, &a->s));
  SUMI_TRY(set_bias(l, matrix->rows, a));
  struct sumi_spmm_bf16 *s = &a->s;
  s->w_block = f.dense ? s->n_list * s->block : 0;
  s->w_entry = s->block;
  s->w_row = 1;
  a->kernel = f.kernel;
  a->s.rows = matrix->rows;
  a->s.map = &a->map;
  a->s.r_map = sumi_layout_equal(&o->r.layout, &o->y.layout) ? &a->map : &a->r_map;
  a->s.y_group = a->s.y_row = o->y.layout.group;
  a->s.r_group = o->r.layout.group;
  a->x = o->x.buffer;
  a->y = o->y.buffer;
  a->r = has_residual(l) ? o->r.buffer : -1;
  if (a->r >= 0 && a->r == l->in_buffer[R] && a->y == l->out_buffer[0]) sumi_lower_over(l, R);
  a->tiles = sumi_spmm_tile(SUMI_MAX(2 / a->s.block, 1), a->kernel->pixels, l->threads, f.n_blocks,
                            a->map.pixels, f.words, o->x.layout.groups * o->x.layout.group);
  return emit(l, a, &f);
}

static bool is_real(const struct sumi_lower *l) { return l->out[0]->dtype == SUMI_FLOAT32; }

/* Row-major float32 [images][channels][h][w] as planes. */
static void planes_of(const struct sumi_layout *lanes, struct sumi_layout *planes) {
  *planes = *lanes;
  planes->v = 1;
  planes->halo = no_halo;
  planes->groups = planes->channels;
  planes->pitch = planes->w;
  planes->group = planes->phase = planes->h * planes->w;
  planes->image = planes->channels * planes->group;
}

/* Inputs in lanes, and where the output lies. */
static sumi_status take_operands(struct sumi_lower *l, const struct sumi_lane_wish *wish,
                                 struct operands *o) {
  const struct sumi_lane_wish any = {.lanes = true, .any = true, .axis = wish->axis, .halo = no_halo};
  *o = (struct operands){.r.buffer = -1};
  SUMI_TRY(sumi_lower_lanes_in(l, X, wish, &o->x));
  if (has_residual(l)) SUMI_TRY(sumi_lower_lanes_in(l, R, &any, &o->r));
  if (!is_real(l)) {
    SUMI_TRY(sumi_lower_lanes_out(l, 0, wish->axis, &o->y));
    return sumi_lower_blank(l, &o->y);
  }
  struct sumi_layout lanes;
  SUMI_TRY(sumi_layout_lanes(l->out[0], wish->axis, no_halo, 0, &lanes, l->err));
  o->y.buffer = l->out_buffer[0];
  planes_of(&lanes, &o->y.layout);
  return SUMI_OK;
}

static sumi_status set_maps(struct sumi_lower *l, const struct sumi_lane_conv *w, const struct operands *o,
                            struct args *a) {
  SUMI_TRY(sumi_lane_conv_map(l, w, &o->x.layout, &o->y.layout, &a->map));
  if (!has_residual(l) || sumi_layout_equal(&o->r.layout, &o->y.layout)) return SUMI_OK;
  return sumi_lane_conv_map(l, w, &o->x.layout, &o->r.layout, &a->r_map);
}

/* ---- convolution ------------------------------------------------------------------------------------------------ */

void sumi_bconv_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  struct sumi_conv v;
  struct sumi_lane_conv w;
  if (cannot(c) || sumi_conv_resolve(c->node, c->in[X], c->in[W], &v, NULL) != SUMI_OK ||
      sumi_lane_conv_find(&v, &w))
    return;
  in[X] = sumi_lane_conv_wish(&w, 0);
  if (sumi_call_has(c, R))
    in[R] = (struct sumi_lane_wish){.lanes = true, .any = true, .axis = 1, .halo = no_halo};
  if (c->out[0]->dtype == SUMI_BFLOAT16) out[0] = (struct sumi_lane_wish){.lanes = true, .axis = 1};
}

sumi_status sumi_bconv_lower(struct sumi_lower *l) {
  const struct sumi_call call = sumi_lower_call(l);
  struct sumi_conv v;
  struct sumi_lane_conv w;
  struct operands o;
  const char *why = cannot(&call);
  if (why) return refuse(l, why);
  SUMI_TRY(sumi_conv_resolve(l->node, l->in[X], l->in[W], &v, l->err));
  if (!sumi_lower_is_constant(l, W) && v.group > 1)
    return refuse(l, "groups of weights that are not constant");
  if ((why = sumi_lane_conv_find(&v, &w))) return refuse(l, why);
  const struct sumi_lane_wish wish = sumi_lane_conv_wish(&w, 0);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->real = is_real(l);
  SUMI_TRY(take_operands(l, &wish, &o));
  if (o.x.layout.bytes >= INT32_MAX) return refuse(l, "the planes of the input take more than 2 GiB");
  SUMI_TRY(set_maps(l, &w, &o, a));
  const int32_t *column = sumi_lane_conv_columns(l, &w, &o.x.layout);
  if (!column) SUMI_FAIL_MEMORY(l->err);
  const int64_t row = v.c_group * v.taps;
  const struct sumi_word_matrix matrix = {l->in[W]->data, 2,   v.c_out, v.group, v.c_group,
                                          v.taps,         row, v.taps,  1};
  SUMI_TRY(lower_dot(l, &matrix, &o, column, a));
  return a->real ? SUMI_OK : sumi_lower_lanes_done(l, 0, &o.y);
}

/* ---- matrix product --------------------------------------------------------------------------------------------- */

void sumi_bmatmul_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  if (cannot(c) || c->in[X]->rank < 2) return;
  const int axis = c->in[X]->rank - 1;
  in[X] = (struct sumi_lane_wish){.lanes = true, .any = true, .axis = axis, .halo = no_halo};
  if (sumi_call_has(c, R)) in[R] = in[X];
  if (c->out[0]->dtype == SUMI_BFLOAT16) out[0] = (struct sumi_lane_wish){.lanes = true, .axis = axis};
}

/* Rows of the result from planes in scratch. */
static sumi_status emit_turn(struct sumi_lower *l, const struct operands *o) {
  struct turn *t = SUMI_NEW(l->arena, struct turn);
  if (!t) SUMI_FAIL_MEMORY(l->err);
  *t = (struct turn){.copy = sumi_copy_pick(l->isa),
                     .rows = o->y.layout.channels,
                     .n = o->y.layout.w,
                     .from = o->y.buffer,
                     .to = l->out_buffer[0]};
  return sumi_lower_emit(l, run_turn, t, t->copy->name, &t->from, 1, &t->to, 1);
}

sumi_status sumi_bmatmul_lower(struct sumi_lower *l) {
  const struct sumi_call call = sumi_lower_call(l);
  const struct sumi_tensor *x = l->in[X], *w = l->in[W];
  const bool turned = sumi_attr_int(l->node, "transB", 0) != 0;
  const int64_t n = w->dim[!turned], k = w->dim[turned];
  const struct sumi_lane_conv point = {.pointwise = true};
  struct operands o;
  const char *why = cannot(&call);
  if (why) return refuse(l, why);
  if (x->rank < 2) return refuse(l, "a vector");
  const struct sumi_lane_wish wish = {.lanes = true, .any = true, .axis = x->rank - 1, .halo = no_halo};
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->real = is_real(l);
  SUMI_TRY(take_operands(l, &wish, &o));
  if (a->real && o.y.layout.w > 1) {
    size_t bytes;
    SUMI_TRY(sumi_shape_bytes(SUMI_FLOAT32, l->out[0]->dim, l->out[0]->rank, &bytes, l->err));
    if ((o.y.buffer = sumi_lower_scratch(l, bytes)) < 0) SUMI_FAIL_MEMORY(l->err);
  }
  if (o.x.layout.bytes >= INT32_MAX) return refuse(l, "the planes of the input take more than 2 GiB");
  SUMI_TRY(set_maps(l, &point, &o, a));
  const int32_t *column = sumi_lane_conv_columns(l, &point, &o.x.layout);
  if (!column) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_word_matrix matrix = {w->data, 2, n, 1, k, 1, turned ? k : 1, turned ? 1 : n, 0};
  SUMI_TRY(lower_dot(l, &matrix, &o, column, a));
  if (!a->real) return sumi_lower_lanes_done(l, 0, &o.y);
  return o.y.buffer == l->out_buffer[0] ? SUMI_OK : emit_turn(l, &o);
}
