/* sumi.QNorm on device cpu: family norm_i8 over planes in lanes along the last axis. */
#include <string.h>

#include "base/size.h"
#include "kernel/norm_i8/norm_i8.h"
#include "op/lane_lower.h"
#include "op/qnorm.h"

enum { X = SUMI_QNORM_X, R = SUMI_QNORM_R, C = SUMI_QNORM_C, B = SUMI_QNORM_B };

static bool given(const struct sumi_tensor *const *in, int n_in, int i) { return i < n_in && in[i]; }

static const char *cannot(const struct sumi_tensor *const *in, int n_in) {
  for (int i = 0; i < n_in; i++)
    if (i != X && i != R && in[i] && !in[i]->data) return "a parameter is not constant";
  if (!sumi_tensor_count(in[X])) return "an empty tensor";
  if (given(in, n_in, R)) {
    bool same = in[R]->rank == in[X]->rank;
    for (int d = 0; same && d < in[X]->rank; d++) same = in[R]->dim[d] == in[X]->dim[d];
    if (!same) return "the residual is broadcast";
  }
  return NULL;
}

static struct sumi_lane_wish wish_of(const struct sumi_tensor *x) {
  return (struct sumi_lane_wish){
      .lanes = true, .any = true, .axis = x->rank - 1, .halo = {.step_y = 1, .step_x = 1}};
}

void sumi_qnorm_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  if (cannot(c->in, c->n_in)) return;
  in[X] = wish_of(c->in[X]);
  if (given(c->in, c->n_in, R)) in[R] = in[X];
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = in[X].axis};
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

struct args {
  const struct sumi_norm_i8_kernel *kernel;
  struct sumi_norm_i8 s; /* pointers to buffers are set while running */
  bool words, residual, bytes;
  int64_t pixels, tile;
  int x, r, y; /* buffers */
};

struct state {
  const struct args *a;
  struct sumi_norm_i8 s;
};

static void norm_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  a->kernel->run(&st->s, begin * a->tile, SUMI_MIN(end * a->tile, a->pixels));
}

static sumi_status run_norm(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state st = {a, a->s};
  if (a->words)
    st.s.x = run->buffer[a->x];
  else
    st.s.x_f32 = run->buffer[a->x];
  if (a->residual) st.s.r = run->buffer[a->r];
  if (a->bytes)
    st.s.y = run->buffer[a->y];
  else
    st.s.y_f32 = run->buffer[a->y];
  sumi_par_for(run->par, (a->pixels + a->tile - 1) / a->tile, 1, norm_tiles, &st);
  return SUMI_OK;
}

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

static float scale_of(const struct sumi_lower *l, int i) { return *(const float *)l->in[i]->data; }

/* As stored: int8 plus 128. */
static float zero_of(const struct sumi_lower *l, int i) {
  const uint8_t bits = *(const uint8_t *)l->in[i]->data;
  return (float)(l->in[i]->dtype == SUMI_INT8 ? bits ^ 0x80 : bits);
}

/* What is added to a channel: c, and what zero points take off. */
static void set_channels(const struct sumi_lower *l, struct args *a, float *add, float *gain, float *offset) {
  const bool c = given(l->in, l->n_in, C), b = given(l->in, l->n_in, B);
  const float post = a->bytes ? scale_of(l, SUMI_QNORM_Y_SCALE) : 1;
  float zeros = 0;
  if (a->words) zeros += zero_of(l, SUMI_QNORM_X_ZERO) * a->s.x_mul;
  if (a->residual) zeros += zero_of(l, SUMI_QNORM_R_ZERO) * a->s.r_mul;
  for (int64_t i = 0; i < a->s.channels; i++) {
    add[i] = (c ? ((const float *)l->in[C]->data)[i] : 0) - zeros;
    gain[i] = ((const float *)l->in[SUMI_QNORM_SCALE]->data)[i] / post;
    offset[i] = b ? ((const float *)l->in[B]->data)[i] / post : 0;
  }
  a->s.add = add;
  a->s.gain = gain;
  a->s.offset = offset;
}

static sumi_status set_parameters(struct sumi_lower *l, struct args *a) {
  const struct sumi_tensor *x = l->in[X];
  const size_t n = (size_t)x->dim[x->rank - 1];
  a->words = x->dtype != SUMI_FLOAT32;
  a->residual = given(l->in, l->n_in, R);
  a->bytes = l->out[0]->dtype != SUMI_FLOAT32;
  a->s = (struct sumi_norm_i8){.channels = (int64_t)n,
                               .centred = sumi_attr_int(l->node, "centred", 1) != 0,
                               .epsilon = sumi_attr_float(l->node, "epsilon", 1e-5f)};
  if (a->words) a->s.x_mul = scale_of(l, SUMI_QNORM_X_SCALE);
  if (a->residual) a->s.r_mul = scale_of(l, SUMI_QNORM_R_SCALE);
  if (a->bytes) a->s.zero = zero_of(l, SUMI_QNORM_Y_ZERO);
  float *add = SUMI_NEW_ARRAY(l->arena, n, float), *gain = SUMI_NEW_ARRAY(l->arena, n, float),
        *offset = SUMI_NEW_ARRAY(l->arena, n, float);
  if (!add || !gain || !offset) SUMI_FAIL_MEMORY(l->err);
  set_channels(l, a, add, gain, offset);
  return SUMI_OK;
}

static int64_t tile_of(const struct sumi_norm_i8_kernel *k, int64_t pixels, int threads) {
  const int64_t each = (pixels + threads - 1) / threads;
  return SUMI_MIN((each + 15) / 16 * 16, k->pixels);
}

sumi_status sumi_qnorm_lower(struct sumi_lower *l) {
  const char *why = cannot(l->in, l->n_in);
  struct sumi_lane_operand x, y, r = {.buffer = -1, .layout = {.group = 0}};
  if (why) return sumi_lower_refuse(l, "norm_i8", "%s", why), SUMI_E_UNSUPPORTED;
  const struct sumi_lane_wish wish = wish_of(l->in[X]);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(set_parameters(l, a));
  SUMI_TRY(sumi_lower_lanes_in(l, X, &wish, &x));
  if (a->residual) SUMI_TRY(sumi_lower_lanes_in(l, R, &wish, &r));
  SUMI_TRY(sumi_lower_lanes_out(l, 0, wish.axis, &y));
  if (!sumi_layout_is_flat(&x.layout) || !sumi_layout_is_flat(&y.layout) ||
      (a->residual && !sumi_layout_is_flat(&r.layout)))
    return sumi_lower_refuse(l, "norm_i8", "planes with a halo"), SUMI_E_UNSUPPORTED;
  a->kernel = sumi_norm_i8_pick(l->isa);
  a->pixels = x.layout.w;
  a->tile = tile_of(a->kernel, a->pixels, l->threads);
  a->x = x.buffer, a->r = r.buffer, a->y = y.buffer;
  a->s.x_row = a->s.x_group = x.layout.group;
  a->s.r_group = r.layout.group;
  a->s.y_row = a->s.y_group = y.layout.group;
  SUMI_TRY(sumi_lower_emit(l, run_norm, a, a->kernel->name, (const int[]){a->x, a->r}, a->residual ? 2 : 1,
                           &a->y, 1));
  return sumi_lower_lanes_done(l, 0, &y);
}
