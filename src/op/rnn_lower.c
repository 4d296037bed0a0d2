/* The part of LSTM's, GRU's and RNN's lowering that is not their equations. Scratch, one after the other: bias [gates,
 * hidden], bias kept apart [hidden], states h, c, tmp [batch, hidden], gates [batch, gates, hidden], what x gives
 * [seq * batch, gates, hidden] in the order of x's rows, then W and R turned round where they are not constant. */
#include "op/rnn_lower.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "op/spmm_lower.h"

enum { PARALLEL_MACS = 1 << 19 }; /* below this a product is over before another thread has begun */

struct sumi_rnn_args {
  struct sumi_rnn v; /* call is NULL */
  const struct sumi_spmm_f32_kernel *spmm;
  const struct sumi_eltwise_kernel *eltwise;
  const struct sumi_copy_kernel *copy;
  sumi_rnn_cell_fn *cell;
  sumi_unary_fn act[2 * SUMI_RNN_ACTS];
  float act_param[2 * SUMI_RNN_ACTS][2], clip[2];
  int64_t rows; /* gates * hidden */
  bool apart;
  int threads;
  const int32_t *off;                  /* k rows of [.., rows] in bytes */
  const float *turned_w, *turned_r;    /* [dirs, input, rows], [dirs, hidden, rows]; NULL = in scratch */
  int in[SUMI_RNN_P], out[3], scratch; /* buffers, -1 = none */
};

/* Parts of the scratch. */
struct parts {
  float *bias, *apart, *h, *c, *tmp, *gate, *from_x, *w, *r;
};

/* ---- products and functions --------------------------------------------------------------------------------------- */

struct product {
  const struct sumi_spmm_f32_kernel *kernel;
  struct sumi_spmm_f32 s;
  struct sumi_spmm_tiles tiles;
};

static void run_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct product *p = user;
  for (int64_t i = begin; i < end; i++) sumi_spmm_run_tile(p->kernel, &p->s, &p->tiles, i, NULL, 0);
}

/* y[m, n] = a[m, k] * b[k, n] with rows a_row, args->rows and y_row apart; p->s says what else is added. */
static void multiply(const struct sumi_rnn_args *args, const struct sumi_run *run, struct product *p,
                     int64_t k, int64_t a_row) {
  struct sumi_spmm_f32 *s = &p->s;
  s->block = SUMI_SPMM_BLOCK;
  s->off = args->off, s->n_list = k;
  s->w_row = a_row, s->w_entry = 1, s->w_block = SUMI_SPMM_BLOCK * a_row;
  s->scale = 1, s->lo = -INFINITY, s->hi = INFINITY;
  s->pitch = s->width = s->pixels;
  p->kernel = args->spmm;
  const int64_t blocks = (s->rows + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK;
  if (args->threads == 1 || (double)s->rows * (double)s->pixels * (double)k < PARALLEL_MACS) {
    p->kernel->run(s, 0, blocks, 0, s->pixels);
    return;
  }
  p->tiles =
      sumi_spmm_tile(1, 3 * p->kernel->lanes, args->threads, blocks, s->pixels, s->rows * k, k * s->pixels);
  sumi_par_for(run->par, p->tiles.count, 1, run_tiles, p);
}

void sumi_rnn_recur_f32(const struct sumi_rnn_cell *s, const float *h, int first, int n, bool from_apart,
                        float *y, int64_t y_row) {
  struct product p = {.s = {.rows = s->batch,
                            .pixels = n * s->hidden,
                            .x = s->r + first * s->hidden,
                            .w = h,
                            .lane_bias = from_apart ? s->apart : NULL,
                            .add = from_apart ? NULL : s->from_x + first * s->hidden,
                            .add_row = s->x_row,
                            .y = y,
                            .y_row = y_row}};
  multiply(s->a, s->run, &p, s->hidden, s->hidden);
}

void sumi_rnn_act_f32(const struct sumi_rnn_cell *s, int which, bool clipped, float *x, int64_t n) {
  const struct sumi_rnn_args *a = s->a;
  const int i = which + (int)(s->act - a->v.act);
  if (clipped && a->clip[1] < INFINITY) a->eltwise->unary[SUMI_UNARY_clip](x, x, n, a->clip);
  a->act[i](x, x, n, a->act_param[i]);
}

void sumi_rnn_binary_f32(const struct sumi_rnn_cell *s, enum sumi_binary op, const float *a, const float *b,
                         float *y, int64_t n) {
  s->a->eltwise->binary[op](a, 1, b, 1, y, n);
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

static struct parts parts_of(const struct sumi_rnn_args *a, float *scratch) {
  const struct sumi_rnn *v = &a->v;
  const int64_t states = v->batch * v->hidden;
  struct parts p = {.bias = scratch};
  p.apart = p.bias + a->rows;
  p.h = p.apart + v->hidden;
  p.c = p.h + states;
  p.tmp = p.c + states;
  p.gate = p.tmp + states;
  p.from_x = p.gate + v->batch * a->rows;
  p.w = p.from_x + v->seq * v->batch * a->rows;
  p.r = p.w + (a->turned_w ? 0 : v->input * a->rows);
  return p;
}

/* Words of the scratch; false where they cannot be addressed. */
static bool scratch_bytes(const struct sumi_rnn_args *a, size_t *bytes) {
  const struct sumi_rnn *v = &a->v;
  const int64_t part[][3] = {{1, 1, a->rows},
                             {1, 1, v->hidden},
                             {3, v->batch, v->hidden},
                             {1, v->batch, a->rows},
                             {v->seq, v->batch, a->rows},
                             {1, a->turned_w ? 0 : v->input, a->rows},
                             {1, a->turned_r ? 0 : v->hidden, a->rows}};
  size_t words = 0;
  for (size_t i = 0; i < SUMI_COUNT(part); i++) {
    size_t n;
    if (!sumi_size_mul((size_t)part[i][0], (size_t)part[i][1], &n) ||
        !sumi_size_mul(n, (size_t)part[i][2], &n) || !sumi_size_add(words, n, &words))
      return false;
  }
  return sumi_size_mul(words, sizeof(float), bytes);
}

/* Biases of a direction: b is [Wb, Rb], each [rows], or NULL. */
static void set_bias(const struct sumi_rnn_args *a, const float *b, const struct parts *p) {
  const int64_t joined = a->apart ? a->rows - a->v.hidden : a->rows;
  for (int64_t i = 0; i < a->rows; i++) p->bias[i] = b ? b[i] + (i < joined ? b[a->rows + i] : 0) : 0;
  for (int64_t i = joined; i < a->rows; i++) p->apart[i - joined] = b ? b[a->rows + i] : 0;
}

/* States [batch, hidden] of a direction from or to a states tensor. */
static void move_state(const struct sumi_rnn *v, int dir, float *state, float *tensor, bool out) {
  const size_t bytes = (size_t)v->hidden * sizeof *state;
  for (int64_t b = 0; b < v->batch; b++) {
    float *row = tensor + (v->batch_first ? b * v->dirs + dir : dir * v->batch + b) * v->hidden;
    if (out)
      memcpy(row, state + b * v->hidden, bytes);
    else
      memcpy(state + b * v->hidden, row, bytes);
  }
}

static void start_state(const struct sumi_rnn_args *a, const struct sumi_run *run, int dir, int i,
                        float *state) {
  if (a->in[i] >= 0)
    move_state(&a->v, dir, state, run->buffer[a->in[i]], false);
  else
    memset(state, 0, (size_t)(a->v.batch * a->v.hidden) * sizeof *state);
}

/* Row of x, and of what comes of it, at time t of sequence b. */
static int64_t row_at(const struct sumi_rnn *v, int64_t t, int64_t b) {
  return v->batch_first ? b * v->seq + t : t * v->batch + b;
}

static void run_times(const struct sumi_rnn_args *a, struct sumi_rnn_cell *s, int dir, const float *from_x,
                      float *y) {
  const struct sumi_rnn *v = &a->v;
  s->x_row = (row_at(v, 0, 1) - row_at(v, 0, 0)) * a->rows;
  for (int64_t k = 0; k < v->seq; k++) {
    const int64_t t = dir || v->reverse ? v->seq - 1 - k : k;
    s->from_x = from_x + row_at(v, t, 0) * a->rows;
    a->cell(s);
    for (int64_t b = 0; y && b < v->batch; b++) {
      const int64_t to =
          v->batch_first ? (b * v->seq + t) * v->dirs + dir : (t * v->dirs + dir) * v->batch + b;
      memcpy(y + to * v->hidden, s->h + b * v->hidden, (size_t)v->hidden * sizeof *y);
    }
  }
}

static void run_direction(const struct sumi_rnn_args *a, const struct sumi_run *run, int dir,
                          const struct parts *p) {
  const struct sumi_rnn *v = &a->v;
  const float *w = a->turned_w ? a->turned_w + dir * v->input * a->rows : p->w;
  const float *r = a->turned_r ? a->turned_r + dir * v->hidden * a->rows : p->r;
  if (!a->turned_w)
    a->copy->transpose((const float *)run->buffer[a->in[SUMI_RNN_W]] + dir * a->rows * v->input, v->input,
                       a->rows, v->input, p->w, a->rows);
  if (!a->turned_r)
    a->copy->transpose((const float *)run->buffer[a->in[SUMI_RNN_R]] + dir * a->rows * v->hidden, v->hidden,
                       a->rows, v->hidden, p->r, a->rows);
  const float *b =
      a->in[SUMI_RNN_B] < 0 ? NULL : (const float *)run->buffer[a->in[SUMI_RNN_B]] + dir * 2 * a->rows;
  set_bias(a, b, p);
  struct product x = {.s = {.rows = v->seq * v->batch,
                            .pixels = a->rows,
                            .x = w,
                            .w = run->buffer[a->in[SUMI_RNN_X]],
                            .lane_bias = p->bias,
                            .y = p->from_x,
                            .y_row = a->rows}};
  multiply(a, run, &x, v->input, v->input);
  start_state(a, run, dir, SUMI_RNN_H, p->h);
  start_state(a, run, dir, SUMI_RNN_C, p->c);
  struct sumi_rnn_cell s = {.a = a,
                            .run = run,
                            .batch = v->batch,
                            .hidden = v->hidden,
                            .act = v->act + dir * v->kind->n_act,
                            .r = r,
                            .apart = p->apart,
                            .gate = p->gate,
                            .h = p->h,
                            .c = p->c,
                            .tmp = p->tmp};
  run_times(a, &s, dir, p->from_x, a->out[0] >= 0 ? run->buffer[a->out[0]] : NULL);
  if (a->out[1] >= 0) move_state(v, dir, p->h, run->buffer[a->out[1]], true);
  if (a->out[2] >= 0) move_state(v, dir, p->c, run->buffer[a->out[2]], true);
}

static sumi_status run_rnn(const void *args, const struct sumi_run *run) {
  const struct sumi_rnn_args *a = args;
  const struct parts p = parts_of(a, run->buffer[a->scratch]);
  for (int dir = 0; dir < a->v.dirs; dir++) run_direction(a, run, dir, &p);
  return SUMI_OK;
}

/* ---- lowering ------------------------------------------------------------------------------------------------------ */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_f32", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static bool given(const struct sumi_lower *l, int i) { return i < l->n_in && l->in[i]; }

static sumi_status check(struct sumi_lower *l, const struct sumi_rnn *v) {
  for (int i = 0; i < l->n_in; i++)
    if (i != SUMI_RNN_LENS && l->in[i] && !sumi_lower_is_f32(l->in[i]))
      return refuse(l, "element type is not float32");
  if (given(l, SUMI_RNN_P)) return refuse(l, "peepholes");
  if (sumi_attr_int(l->node, "input_forget", 0)) return refuse(l, "coupled gates");
  if (!v->seq || !v->batch || !v->hidden) return refuse(l, "an empty tensor");
  if (!given(l, SUMI_RNN_LENS)) return SUMI_OK;
  const int32_t *lens = l->in[SUMI_RNN_LENS]->data;
  if (!lens) return refuse(l, "the lengths are not constant");
  for (int64_t b = 0; b < v->batch; b++)
    if (lens[b] != v->seq) return refuse(l, "sequences of different lengths");
  return SUMI_OK;
}

static sumi_status find_acts(struct sumi_lower *l, struct sumi_rnn_args *a) {
  for (int i = 0; i < a->v.dirs * a->v.kind->n_act; i++) {
    const int fn = sumi_unary_find(a->v.act[i].name);
    if (fn < 0) return refuse(l, "no kernel for an activation");
    a->act[i] = a->eltwise->unary[fn];
    a->act_param[i][0] = (float)a->v.act[i].alpha;
    a->act_param[i][1] = (float)a->v.act[i].beta;
  }
  return SUMI_OK;
}

/* Weights [dirs, rows, k] as [dirs, k, rows]. */
struct turned {
  const float *data;
  int64_t dirs, rows, k;
  const struct sumi_copy_kernel *copy;
};

static sumi_status make_turned(void *user, const struct sumi_allocator *allocator, struct sumi_blob **out,
                               struct sumi_err *err) {
  const struct turned *t = user;
  const int64_t each = t->rows * t->k;
  struct sumi_blob *blob = sumi_blob_new(allocator, (size_t)(t->dirs * each) * sizeof(float));
  if (!blob) SUMI_FAIL_MEMORY(err);
  float *y = sumi_blob_bytes(blob);
  for (int64_t d = 0; d < t->dirs; d++)
    t->copy->transpose(t->data + d * each, t->k, t->rows, t->k, y + d * each, t->rows);
  *out = blob;
  return SUMI_OK;
}

static sumi_status pack(struct sumi_lower *l, const struct sumi_rnn_args *a, int i, const char *key,
                        const float **out) {
  *out = NULL;
  if (!sumi_lower_is_constant(l, i)) return SUMI_OK;
  struct turned t = {l->in[i]->data, a->v.dirs, a->rows, l->in[i]->dim[2], a->copy};
  const void *data = NULL;
  SUMI_TRY(l->packs->get(l->packs->self, l->node, key, make_turned, &t, &data, l->err));
  *out = data;
  return SUMI_OK;
}

static sumi_status set_offsets(struct sumi_lower *l, struct sumi_rnn_args *a) {
  const int64_t k = SUMI_MAX(a->v.input, a->v.hidden);
  int64_t bytes;
  if (!sumi_i64_mul(k, a->rows, &bytes) || !sumi_i64_mul(bytes, 4, &bytes) || bytes > INT32_MAX)
    return refuse(l, "the weights take more than 2 GiB");
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)k, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t i = 0; i < k; i++) off[i] = (int32_t)(4 * i * a->rows);
  a->off = off;
  return SUMI_OK;
}

static sumi_status emit(struct sumi_lower *l, struct sumi_rnn_args *a) {
  int reads[SUMI_RNN_P], writes[4], n_reads = 0, n_writes = 0;
  for (int i = 0; i < SUMI_RNN_P; i++) {
    a->in[i] = given(l, i) ? l->in_buffer[i] : -1;
    if (a->in[i] >= 0) reads[n_reads++] = a->in[i];
  }
  for (int i = 0; i < 3; i++) {
    a->out[i] = i < l->n_out && l->out[i] ? l->out_buffer[i] : -1;
    if (a->out[i] >= 0) writes[n_writes++] = a->out[i];
  }
  size_t bytes;
  if (!scratch_bytes(a, &bytes)) return refuse(l, "the scratch memory would be too large");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  writes[n_writes++] = a->scratch;
  const char *name = sumi_arena_printf(l->arena, "%s + %s", a->spmm->name, a->eltwise->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, run_rnn, a, name, reads, n_reads, writes, n_writes);
}

sumi_status sumi_rnn_lower(struct sumi_lower *l, const struct sumi_rnn_kind *kind, bool apart,
                           sumi_rnn_cell_fn *cell) {
  struct sumi_rnn_args *a = SUMI_NEW(l->arena, struct sumi_rnn_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_call call = {.node = l->node, .n_in = l->n_in, .in = l->in, .err = l->err};
  SUMI_TRY(sumi_rnn_resolve(&call, kind, &a->v));
  a->v.call = NULL;
  SUMI_TRY(check(l, &a->v));
  a->spmm = sumi_spmm_f32_pick(l->isa);
  a->eltwise = sumi_eltwise_pick(l->isa);
  a->copy = sumi_copy_pick(l->isa);
  a->cell = cell;
  a->rows = kind->gates * a->v.hidden;
  a->apart = apart;
  a->threads = l->threads;
  a->clip[0] = -(float)a->v.clip, a->clip[1] = (float)a->v.clip;
  SUMI_TRY(find_acts(l, a));
  SUMI_TRY(set_offsets(l, a));
  SUMI_TRY(pack(l, a, SUMI_RNN_W, "f32 w turned", &a->turned_w));
  SUMI_TRY(pack(l, a, SUMI_RNN_R, "f32 r turned", &a->turned_r));
  return emit(l, a);
}
