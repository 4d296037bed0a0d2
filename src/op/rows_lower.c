/* Softmax, LogSoftmax, LayerNormalization, RMSNormalization, SimplifiedLayerNormalization in float32 on family rows: one
 * call a row, or a slab of columns where the axis is not the last. */
#include "op/rows_lower.h"

#include "base/size.h"
#include "kernel/rows/rows.h"
#include "op/op_util.h"
#include "op/spmm_lower.h"

enum { TILE_WORDS = 8192 }; /* words of a tile at least: starting it costs nothing beside them */

struct args {
  const struct sumi_rows_kernel *kernel;
  struct sumi_rows_norm norm;
  int64_t outer, n, inner;
  bool is_norm, log_form;
  int x, scale, bias, y; /* buffers */
};

struct state {
  const struct args *a;
  struct sumi_rows_norm norm;
  const float *x;
  float *y;
};

static void run_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  const int64_t words = a->n * a->inner;
  for (int64_t i = begin; i < end; i++) {
    const float *x = s->x + i * words;
    float *y = s->y + i * words;
    if (a->is_norm)
      a->kernel->norm(&s->norm, x, y);
    else if (a->inner == 1)
      a->kernel->softmax(x, a->n, a->log_form, y);
    else
      a->kernel->columns(x, a->n, a->inner, a->log_form, y);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state s = {a, a->norm, r->buffer[a->x], r->buffer[a->y]};
  if (a->scale >= 0) s.norm.scale = r->buffer[a->scale];
  if (a->bias >= 0) s.norm.bias = r->buffer[a->bias];
  sumi_par_for(r->par, a->outer, SUMI_MAX(TILE_WORDS / (a->n * a->inner), 1), run_rows, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "rows", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status emit(struct sumi_lower *l, const struct args *args) {
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = *args;
  a->kernel = sumi_rows_pick(l->isa);
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  int reads[3] = {a->x}, n = 1;
  if (a->scale >= 0) reads[n++] = a->scale;
  if (a->bias >= 0) reads[n++] = a->bias;
  return sumi_lower_emit(l, run, a, a->kernel->name, reads, n, &a->y, 1);
}

sumi_status sumi_softmax_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  const bool before_13 = l->node->version < 13;
  int axis;
  if (!sumi_lower_is_f32(x)) return refuse(l, "element type is not float32");
  SUMI_TRY(sumi_op_axis(l->node, before_13 ? 1 : -1, x->rank, &axis, l->err));
  struct args a = {
      .scale = -1, .bias = -1, .inner = 1, .log_form = sumi_streq(l->node->op->name, "LogSoftmax")};
  a.outer = sumi_dims_count(x->dim, 0, axis);
  a.n = before_13 ? sumi_dims_count(x->dim, axis, x->rank) : x->rank ? x->dim[axis] : 1;
  if (!before_13 && x->rank) a.inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  if (!a.outer || !a.n || !a.inner) return refuse(l, "an empty tensor");
  return emit(l, &a);
}

sumi_status sumi_layer_norm_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0], *scale = l->in[1], *bias = l->n_in > 2 ? l->in[2] : NULL;
  int axis;
  if (!sumi_lower_is_f32(x) || !sumi_lower_is_f32(scale) || (bias && !sumi_lower_is_f32(bias)))
    return refuse(l, "element type is not float32");
  for (int i = 1; i < l->n_out; i++)
    if (l->out[i]) return refuse(l, "the statistics are wanted");
  if (!l->out[0]) return refuse(l, "the output is not wanted");
  SUMI_TRY(sumi_op_axis(l->node, -1, x->rank, &axis, l->err));
  struct args a = {
      .is_norm = true, .inner = 1, .scale = l->in_buffer[1], .bias = bias ? l->in_buffer[2] : -1};
  a.outer = sumi_dims_count(x->dim, 0, axis);
  a.n = sumi_dims_count(x->dim, axis, x->rank);
  if (!a.outer || !a.n) return refuse(l, "an empty tensor");
  if (sumi_tensor_count(scale) != a.n || (bias && sumi_tensor_count(bias) != a.n))
    return refuse(l, "scale or bias is broadcast within a row");
  a.norm = (struct sumi_rows_norm){.n = a.n,
                                   .centred = sumi_streq(l->node->op->name, "LayerNormalization"),
                                   .epsilon = sumi_attr_float(l->node, "epsilon", 1e-5f),
                                   .gain = 1};
  return emit(l, &a);
}
