/* What the cells of LSTM, GRU and RNN have in common. */
#include "op/rnn_cells.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/dot_cells.h"

enum { MOST_STEPS = 4096 }; /* of all directions: a step is a few words of the program */

/* ---- a step ------------------------------------------------------------------------------------------------------ */

sumi_status sumi_rnn_recur_cells(const struct sumi_rnn_step_cells *s, int h, int first, int n, bool with_x,
                                 int to) {
  const int64_t hidden = s->v->hidden, batch = s->v->batch, width = s->slots * hidden;
  const struct sumi_dot_operands o = {.x = h, .w = s->r, .y = s->state, .residual = with_x ? s->from_x : -1};
  const struct sumi_dot_strides loops = {.n = 1,
                                         .loop = {{batch, hidden, 0, width}},
                                         .channels = hidden,
                                         .w_channel = 1,
                                         .outputs = n * hidden,
                                         .w_output = hidden};
  const struct sumi_dot_real e = {.scale = 1, .bias = with_x ? NULL : s->late, .bias_mul = 1, .r_mul = 1};
  struct sumi_cell_product p;
  SUMI_TRY(sumi_dot_strided(s->c, &o, &loops, &p));
  p.w.at = (s->dir * s->v->kind->gates + first) * hidden * hidden;
  p.y.at = to * hidden;
  if (with_x) p.residual.at = s->t * batch * width + first * hidden;
  return sumi_dot_real(s->c, &p, &e, p.outputs);
}

void sumi_rnn_start(const struct sumi_rnn_step_cells *s, struct sumi_vector *p) {
  sumi_vector_start(p, s->c);
  sumi_vector_loop(p, s->v->batch);
  sumi_vector_loop(p, s->v->hidden);
}

/* A view that the program has already, or a new one. */
static int view_of(struct sumi_vector *p, const struct sumi_cell_view *v) {
  for (int i = 0; i < p->views; i++)
    if (p->view[i].operand == v->operand && p->view[i].at == v->at && p->view[i].step[0] == v->step[0] &&
        p->view[i].step[1] == v->step[1])
      return i;
  const int view = sumi_vector_view_plain(p, v->operand);
  if (view < 0) return -1;
  p->view[view].at = v->at;
  for (int d = 0; d < 2; d++) p->view[view].step[d] = v->step[d];
  return view;
}

static int state_view(const struct sumi_rnn_step_cells *s, struct sumi_vector *p) {
  return view_of(p,
                 &(const struct sumi_cell_view){.operand = s->state, .step = {s->slots * s->v->hidden, 1}});
}

int sumi_rnn_slot(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int slot) {
  return sumi_vector_load_at(p, state_view(s, p), slot * s->v->hidden);
}

void sumi_rnn_put(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int slot, int value) {
  sumi_vector_store_at(p, state_view(s, p), slot * s->v->hidden, value);
}

int sumi_rnn_kept(const struct sumi_rnn_step_cells *s, struct sumi_vector *p) {
  return sumi_vector_load(p, view_of(p, &s->kept));
}

int sumi_rnn_act_value(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int act, bool clipped,
                       int x) {
  static const struct {
    const char *name, *formula; /* of a; alpha is b, beta c */
  } rows[] = {
      {"Relu", "a > 0 ? a : 0"},
      {"Tanh", "sumi_tanh_f32(a)"},
      {"Sigmoid", "sumi_sigmoid_f32(a)"},
      {"Affine", "b * a + c"},
      {"LeakyRelu", "a >= 0 ? a : b * a"},
      {"ThresholdedRelu", "a >= b ? a : 0"},
      {"ScaledTanh", "b * sumi_tanh_f32(c * a)"},
      {"HardSigmoid", "b * a + c < 0 ? 0 : b * a + c > 1 ? 1 : b * a + c"},
      {"Elu", "a >= 0 ? a : b * (sumi_exp_f32(a) - 1)"},
      {"Softsign", "a / (1 + (a < 0 ? -a : a))"},
  };
  const struct sumi_rnn_act *f = &s->act[act];
  if (clipped && s->v->clip < INFINITY)
    x = SUMI_VECTOR(p, "a > b ? b : a < -b ? -b : a", x, sumi_vector_float(p, (float)s->v->clip));
  for (size_t i = 0; i < SUMI_COUNT(rows); i++)
    if (!strcmp(rows[i].name, f->name))
      return SUMI_VECTOR(p, rows[i].formula, x, sumi_vector_float(p, (float)f->alpha),
                         sumi_vector_float(p, (float)f->beta));
  return sumi_vector_fail(p, "activation %s", f->name);
}

sumi_status sumi_rnn_end(const struct sumi_rnn_step_cells *s, struct sumi_vector *p, int h) {
  for (int i = 0; i < 2; i++)
    if (s->store[i].operand >= 0) sumi_vector_store(p, view_of(p, &s->store[i]), h);
  return sumi_vector_end(p);
}

/* ---- all steps --------------------------------------------------------------------------------------------------- */

struct job {
  struct sumi_cells *c;
  const struct sumi_rnn_cells *how;
  struct sumi_rnn v;
  int64_t slots;
  int x, w, r, zero; /* zero: a constant [batch, hidden] of bfloat16, 0 */
  const float *bias; /* [dirs, 2, gates, hidden] or NULL */
};

static sumi_status check(struct job *j) {
  struct sumi_cells *c = j->c;
  if (sumi_cells_has(c, SUMI_RNN_P)) return sumi_cells_refuse(c, "peepholes");
  if (!j->v.seq || !j->v.batch) return sumi_cells_refuse(c, "an empty sequence or batch");
  if (j->v.seq > MOST_STEPS / j->v.dirs) return sumi_cells_refuse(c, "more than %d steps", MOST_STEPS);
  if (!sumi_cells_has(c, SUMI_RNN_LENS)) return SUMI_OK;
  const int32_t *length = c->in[SUMI_RNN_LENS]->data;
  bool whole = length != NULL;
  for (int64_t b = 0; whole && b < j->v.batch; b++) whole = length[b] == j->v.seq;
  return whole ? SUMI_OK : sumi_cells_refuse(c, "sequences of different lengths");
}

static sumi_status operands(struct job *j) {
  struct sumi_cells *c = j->c;
  const int64_t dim[] = {j->v.batch, j->v.hidden};
  struct sumi_dot_real e = {0};
  SUMI_TRY(sumi_dot_narrow(c, SUMI_RNN_X, 2, &j->x));
  SUMI_TRY(sumi_dot_narrow(c, SUMI_RNN_W, -1, &j->w));
  SUMI_TRY(sumi_dot_narrow(c, SUMI_RNN_R, -1, &j->r));
  SUMI_TRY(sumi_dot_bias(c, SUMI_RNN_B, &e));
  j->bias = e.bias;
  j->x = sumi_cells_neighbours(c, j->x, 2);
  j->w = sumi_cells_row_major(c, j->w);
  j->r = sumi_cells_row_major(c, j->r);
  uint16_t *zero = SUMI_NEW_ARRAY(c->arena, (size_t)(dim[0] * dim[1]), uint16_t);
  if (!zero) SUMI_FAIL_MEMORY(c->err);
  memset(zero, 0, (size_t)(dim[0] * dim[1]) * sizeof *zero);
  j->zero = sumi_cells_constant(c, SUMI_BFLOAT16, 2, dim, zero);
  return j->x < 0 || j->w < 0 || j->r < 0 || j->zero < 0 ? SUMI_E_MEMORY : SUMI_OK;
}

/* What is added to W x: Wb + Rb but for the late gate's Rb. */
static sumi_status input_bias(const struct job *j, int dir, const float **out) {
  const int64_t n = j->v.kind->gates * j->v.hidden;
  *out = NULL;
  if (!j->bias) return SUMI_OK;
  const float *wb = j->bias + dir * 2 * n, *rb = wb + n;
  float *sum = SUMI_NEW_ARRAY(j->c->arena, (size_t)n, float);
  if (!sum) SUMI_FAIL_MEMORY(j->c->err);
  for (int64_t i = 0; i < n; i++) sum[i] = wb[i] + (i / j->v.hidden == j->how->late ? 0 : rb[i]);
  *out = sum;
  return SUMI_OK;
}

/* s->from_x = W x + b of every token. */
static sumi_status all_tokens(const struct job *j, struct sumi_rnn_step_cells *s) {
  struct sumi_cells *c = j->c;
  const struct sumi_rnn *v = &j->v;
  const int64_t width = j->slots * v->hidden, n = v->kind->gates * v->hidden,
                dim[] = {v->seq, v->batch, width}, *step = c->operand[j->x].step;
  struct sumi_dot_real e = {.scale = 1, .bias_mul = 1};
  struct sumi_cell_product p;
  SUMI_TRY(input_bias(j, s->dir, &e.bias));
  s->from_x = sumi_cells_temp(c, SUMI_FLOAT32, 3, dim);
  if (s->from_x < 0) return SUMI_E_MEMORY;
  const struct sumi_dot_operands o = {.x = j->x, .w = j->w, .y = s->from_x, .residual = -1};
  const struct sumi_dot_strides loops = {.n = 2,
                                         .loop = {{v->seq, step[v->batch_first], 0, v->batch * width},
                                                  {v->batch, step[!v->batch_first], 0, width}},
                                         .channels = v->input,
                                         .w_channel = 1,
                                         .outputs = n,
                                         .w_output = v->input};
  SUMI_TRY(sumi_dot_strided(c, &o, &loops, &p));
  p.w.at = s->dir * n * v->input;
  return sumi_dot_real(c, &p, &e, p.outputs);
}

/* Direction dir of states [dirs, batch, hidden], or batch first. */
static struct sumi_cell_view states(const struct job *j, int operand, int dir) {
  const int64_t *step = j->c->operand[operand].step;
  return (struct sumi_cell_view){
      .operand = operand, .at = dir * step[j->v.batch_first], .step = {step[!j->v.batch_first], step[2]}};
}

/* h and what is kept before the first step. */
static sumi_status begin(const struct job *j, struct sumi_rnn_step_cells *s) {
  struct sumi_cells *c = j->c;
  const int64_t dim[] = {j->v.batch, j->v.hidden};
  s->h = j->zero;
  s->kept = (struct sumi_cell_view){.operand = j->zero, .step = {j->v.hidden, 1}};
  if (j->how->kept >= 0 && sumi_cells_has(c, j->how->kept)) s->kept = states(j, j->how->kept, s->dir);
  if (!sumi_cells_has(c, SUMI_RNN_H)) return SUMI_OK;
  s->h = sumi_cells_temp(c, SUMI_BFLOAT16, 2, dim);
  if (s->h < 0) return SUMI_E_MEMORY;
  const struct sumi_cell_view from = states(j, SUMI_RNN_H, s->dir),
                              to = {.operand = s->h, .step = {j->v.hidden, 1}};
  struct sumi_vector p;
  sumi_rnn_start(s, &p);
  sumi_vector_store(&p, view_of(&p, &to), sumi_vector_load(&p, view_of(&p, &from)));
  return sumi_vector_end(&p);
}

static int out_if(const struct sumi_cells *c, int i) {
  return i < c->n_out && c->out[i] ? sumi_cells_out(c, i) : -1;
}

/* Where h goes to: Y, and the next step's factor or, behind the last step, Y_h. */
static sumi_status targets(const struct job *j, struct sumi_rnn_step_cells *s, bool last) {
  struct sumi_cells *c = j->c;
  const int64_t dim[] = {j->v.batch, j->v.hidden};
  const int y = out_if(c, 0), y_h = out_if(c, 1);
  s->store[0] = s->store[1] = (struct sumi_cell_view){.operand = -1};
  if (y >= 0) {
    const int64_t *step = c->operand[y].step; /* [seq, dirs, batch, hidden] or [batch, seq, dirs, hidden] */
    const int time = j->v.batch_first ? 1 : 0, item = j->v.batch_first ? 0 : 2;
    s->store[0] = (struct sumi_cell_view){
        .operand = y, .at = s->t * step[time] + s->dir * step[time + 1], .step = {step[item], step[3]}};
  }
  if (last && y_h >= 0) s->store[1] = states(j, y_h, s->dir);
  if (last) return SUMI_OK;
  s->store[1] =
      (struct sumi_cell_view){.operand = sumi_cells_temp(c, SUMI_BFLOAT16, 2, dim), .step = {j->v.hidden, 1}};
  return s->store[1].operand < 0 ? SUMI_E_MEMORY : SUMI_OK;
}

/* What is kept behind the last step, as output 2. */
static sumi_status final_kept(const struct job *j, const struct sumi_rnn_step_cells *s) {
  const int y_c = out_if(j->c, 2);
  struct sumi_vector p;
  if (y_c < 0) return SUMI_OK;
  const struct sumi_cell_view to = states(j, y_c, s->dir);
  sumi_rnn_start(s, &p);
  sumi_vector_store(&p, view_of(&p, &to), sumi_rnn_slot(s, &p, sumi_rnn_keep_slot(s)));
  return sumi_vector_end(&p);
}

static sumi_status direction(const struct job *j, int dir) {
  const struct sumi_rnn *v = &j->v;
  const int64_t dim[] = {v->batch, j->slots * v->hidden};
  const bool backwards = dir == 1 || v->reverse;
  struct sumi_rnn_step_cells s = {
      .c = j->c, .v = v, .act = v->act + dir * v->kind->n_act, .dir = dir, .slots = j->slots, .r = j->r};
  if (j->bias && j->how->late >= 0)
    s.late = j->bias + ((dir * 2 + 1) * v->kind->gates + j->how->late) * v->hidden;
  SUMI_TRY(all_tokens(j, &s));
  SUMI_TRY(begin(j, &s));
  for (int64_t i = 0; i < v->seq; i++) {
    s.t = backwards ? v->seq - 1 - i : i;
    s.state = sumi_cells_temp(j->c, SUMI_FLOAT32, 2, dim);
    if (s.state < 0) return SUMI_E_MEMORY;
    SUMI_TRY(targets(j, &s, i + 1 == v->seq));
    if (s.store[0].operand < 0 && s.store[1].operand < 0 && out_if(j->c, 2) < 0)
      return sumi_cells_refuse(j->c, "no result");
    SUMI_TRY(j->how->step(&s));
    s.h = s.store[1].operand;
    s.kept = (struct sumi_cell_view){
        .operand = s.state, .at = sumi_rnn_keep_slot(&s) * v->hidden, .step = {dim[1], 1}};
  }
  return final_kept(j, &s);
}

sumi_status sumi_rnn_cells(struct sumi_cells *c, const struct sumi_rnn_cells *how) {
  const struct sumi_call call = sumi_cells_call(c);
  struct job j = {.c = c, .how = how, .slots = how->kind->gates + 2};
  SUMI_TRY(sumi_rnn_resolve(&call, how->kind, &j.v));
  SUMI_TRY(check(&j));
  SUMI_TRY(operands(&j));
  for (int dir = 0; dir < j.v.dirs; dir++) SUMI_TRY(direction(&j, dir));
  return SUMI_OK;
}
