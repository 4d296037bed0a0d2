/* Normalisations in float32 that are not one call of family rows: InstanceNormalization and GroupNormalization (statistics
 * of a group, then scale and bias of each channel), SkipLayerNormalization and SkipSimplifiedLayerNormalization (a sum,
 * then its rows), BatchNormalization that no convolution took in (a factor and an offset for each channel). */
#include "op/norm_lower.h"

#include <math.h>

#include "base/size.h"
#include "base/text.h"
#include "kernel/eltwise/eltwise.h"
#include "kernel/rows/rows.h"
#include "op/batch_norm.h"
#include "op/spmm_lower.h"

enum { TILE_WORDS = 8192 }; /* words of a tile at least: starting it costs nothing beside them */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "rows", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static bool all_f32(const struct sumi_lower *l) {
  bool all = true;
  for (int i = 0; i < l->n_in; i++) all = all && (!l->in[i] || sumi_lower_is_f32(l->in[i]));
  return all;
}

static bool given(const struct sumi_lower *l, int i) { return i < l->n_in && l->in[i]; }
static bool wanted(const struct sumi_lower *l, int i) { return i < l->n_out && l->out[i]; }

/* ---- groups ----------------------------------------------------------------------------------------------------- */

struct group_args {
  const struct sumi_rows_kernel *kernel;
  sumi_unary_fn affine;
  struct sumi_rows_norm norm;
  int64_t outer, groups, in_group, pixels; /* x is [outer / groups, groups, in_group, pixels] */
  bool per_group;                          /* scale and bias are [groups], else [groups, in_group] */
  int x, scale, bias, y;                   /* buffers */
};

struct group_state {
  const struct group_args *a;
  const float *x, *scale, *bias;
  float *y;
};

static void group_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct group_state *s = user;
  const struct group_args *a = s->a;
  struct sumi_rows_norm norm = a->norm;
  for (int64_t i = begin; i < end; i++) {
    const int64_t group = i % a->groups, first = group * a->in_group;
    float *y = s->y + i * norm.n;
    if (a->per_group) norm.gain = s->scale[group], norm.offset = s->bias[group];
    a->kernel->norm(&norm, s->x + i * norm.n, y);
    for (int64_t c = 0; !a->per_group && c < a->in_group; c++, y += a->pixels)
      a->affine(y, y, a->pixels, (const float[]){s->scale[first + c], s->bias[first + c]});
  }
}

static sumi_status run_group(const void *args, const struct sumi_run *r) {
  const struct group_args *a = args;
  struct group_state s = {a, r->buffer[a->x], r->buffer[a->scale], r->buffer[a->bias], r->buffer[a->y]};
  sumi_par_for(r->par, a->outer, SUMI_MAX(TILE_WORDS / a->norm.n, 1), group_tile, &s);
  return SUMI_OK;
}

sumi_status sumi_group_norm_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  if (!all_f32(l)) return refuse(l, "element type is not float32");
  if (!sumi_tensor_count(x)) return refuse(l, "an empty tensor");
  struct group_args *a = SUMI_NEW(l->arena, struct group_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->kernel = sumi_rows_pick(l->isa);
  a->affine = sumi_eltwise_pick(l->isa)->unary[SUMI_UNARY_affine];
  a->groups =
      sumi_attr_int(l->node, "num_groups", x->dim[1]); /* InstanceNormalization has no such attribute */
  a->in_group = x->dim[1] / a->groups;
  a->pixels = sumi_dims_count(x->dim, 2, x->rank);
  a->outer = x->dim[0] * a->groups;
  a->per_group = sumi_tensor_count(l->in[1]) == a->groups;
  a->norm = (struct sumi_rows_norm){.n = a->in_group * a->pixels,
                                    .centred = true,
                                    .epsilon = sumi_attr_float(l->node, "epsilon", 1e-5f),
                                    .gain = 1};
  a->x = l->in_buffer[0], a->scale = l->in_buffer[1], a->bias = l->in_buffer[2], a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run_group, a, a->kernel->name, (const int[]){a->x, a->scale, a->bias}, 3, &a->y,
                         1);
}

/* ---- a sum, then its rows ---------------------------------------------------------------------------------------- */

struct skip_args {
  const struct sumi_rows_kernel *kernel;
  sumi_binary_fn add;
  struct sumi_rows_norm norm;
  int64_t rows, skip_words;               /* skip repeats after so many words */
  int x, skip, gamma, beta, bias, y, sum; /* buffers, -1 = none */
};

struct skip_state {
  const struct skip_args *a;
  struct sumi_rows_norm norm;
  const float *x, *skip, *bias;
  float *y, *sum; /* sum: y where nobody wants it */
};

static void skip_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct skip_state *s = user;
  const int64_t h = s->norm.n;
  for (int64_t i = begin; i < end; i++) {
    float *sum = s->sum + i * h;
    s->a->add(s->x + i * h, 1, s->skip + i * h % s->a->skip_words, 1, sum, h);
    if (s->bias) s->a->add(sum, 1, s->bias, 1, sum, h);
    s->a->kernel->norm(&s->norm, sum, s->y + i * h);
  }
}

static sumi_status run_skip(const void *args, const struct sumi_run *r) {
  const struct skip_args *a = args;
  struct skip_state s = {a, a->norm, r->buffer[a->x], r->buffer[a->skip], NULL, r->buffer[a->y], NULL};
  s.norm.scale = r->buffer[a->gamma];
  if (a->beta >= 0) s.norm.bias = r->buffer[a->beta];
  if (a->bias >= 0) s.bias = r->buffer[a->bias];
  s.sum = a->sum >= 0 ? r->buffer[a->sum] : s.y;
  sumi_par_for(r->par, a->rows, SUMI_MAX(TILE_WORDS / a->norm.n, 1), skip_tile, &s);
  return SUMI_OK;
}

sumi_status sumi_skip_norm_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  const bool centred = sumi_streq(l->node->op->name, "com.microsoft.SkipLayerNormalization");
  const int beta = centred ? 3 : -1, bias = centred ? 4 : 3;
  if (!all_f32(l)) return refuse(l, "element type is not float32");
  if (!wanted(l, 0)) return refuse(l, "the output is not wanted");
  if (wanted(l, 1) || wanted(l, 2)) return refuse(l, "the statistics are wanted");
  if (!sumi_tensor_count(x)) return refuse(l, "an empty tensor");
  struct skip_args *a = SUMI_NEW(l->arena, struct skip_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->kernel = sumi_rows_pick(l->isa);
  a->add = sumi_eltwise_pick(l->isa)->binary[SUMI_BINARY_add];
  a->norm = (struct sumi_rows_norm){.n = x->dim[x->rank - 1],
                                    .centred = centred,
                                    .epsilon = sumi_attr_float(l->node, "epsilon", 1e-12f),
                                    .gain = 1};
  a->rows = sumi_tensor_count(x) / a->norm.n;
  a->skip_words = sumi_tensor_count(l->in[1]);
  a->x = l->in_buffer[0], a->skip = l->in_buffer[1], a->gamma = l->in_buffer[2], a->y = l->out_buffer[0];
  a->beta = beta >= 0 && given(l, beta) ? l->in_buffer[beta] : -1;
  a->bias = given(l, bias) ? l->in_buffer[bias] : -1;
  a->sum = wanted(l, 3) ? l->out_buffer[3] : -1;
  int reads[5] = {a->x, a->skip, a->gamma}, n = 3;
  if (a->beta >= 0) reads[n++] = a->beta;
  if (a->bias >= 0) reads[n++] = a->bias;
  return sumi_lower_emit(l, run_skip, a, a->kernel->name, reads, n, (const int[]){a->y, a->sum},
                         a->sum >= 0 ? 2 : 1);
}

/* ---- a factor and an offset for each channel ------------------------------------------------------------------------ */

struct batch_args {
  sumi_unary_fn affine;
  sumi_binary_fn mul, add;
  int64_t outer, channels, pixels; /* x is [outer, channels, pixels] */
  double epsilon;
  const float *fixed;    /* factors, then offsets, [2, channels]; NULL = made in scratch in every run */
  int in[5], y, scratch; /* buffers: x, scale, bias, mean, variance */
};

struct batch_state {
  const struct batch_args *a;
  const float *x, *factor, *offset;
  float *y;
};

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias as x * factor + offset; figures in double, rounded once. */
static void make_factors(const struct batch_args *a, const float *const *in, float *factor, float *offset) {
  for (int64_t c = 0; c < a->channels; c++) {
    const double f = (double)in[1][c] / sqrt((double)in[4][c] + a->epsilon);
    factor[c] = (float)f;
    offset[c] = (float)((double)in[2][c] - (double)in[3][c] * f);
  }
}

static void batch_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct batch_state *s = user;
  const int64_t n = s->a->pixels;
  for (int64_t i = begin; i < end; i++) {
    const int64_t c = i % s->a->channels;
    s->a->affine(s->x + i * n, s->y + i * n, n, (const float[]){s->factor[c], s->offset[c]});
  }
}

static void batch_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct batch_state *s = user;
  const int64_t n = s->a->channels;
  for (int64_t i = begin; i < end; i++) {
    s->a->mul(s->x + i * n, 1, s->factor, 1, s->y + i * n, n);
    s->a->add(s->y + i * n, 1, s->offset, 1, s->y + i * n, n);
  }
}

static sumi_status run_batch(const void *args, const struct sumi_run *r) {
  const struct batch_args *a = args;
  struct batch_state s = {a, r->buffer[a->in[0]], a->fixed, NULL, r->buffer[a->y]};
  if (!a->fixed) {
    const float *in[5];
    for (int i = 0; i < 5; i++) in[i] = r->buffer[a->in[i]];
    float *factor = r->buffer[a->scratch];
    make_factors(a, in, factor, factor + a->channels);
    s.factor = factor;
  }
  s.offset = s.factor + a->channels;
  const bool rows = a->pixels == 1;
  const int64_t words = rows ? a->channels : a->pixels;
  sumi_par_for(r->par, rows ? a->outer : a->outer * a->channels, SUMI_MAX(TILE_WORDS / words, 1),
               rows ? batch_rows : batch_planes, &s);
  return SUMI_OK;
}

/* The factors where all that makes them is constant. */
static sumi_status fix(struct sumi_lower *l, struct batch_args *a) {
  const float *in[5] = {NULL};
  for (int i = 1; i < 5; i++)
    if (!(in[i] = l->in[i]->data)) return SUMI_OK;
  float *factor = SUMI_NEW_ARRAY(l->arena, 2 * (size_t)a->channels, float);
  if (!factor) SUMI_FAIL_MEMORY(l->err);
  make_factors(a, in, factor, factor + a->channels);
  a->fixed = factor;
  return SUMI_OK;
}

sumi_status sumi_batch_norm_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  if (!all_f32(l)) return refuse(l, "element type is not float32");
  if (sumi_batch_norm_trains(l->node)) return refuse(l, "training");
  if (!sumi_tensor_count(x)) return refuse(l, "an empty tensor");
  struct batch_args *a = SUMI_NEW(l->arena, struct batch_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_eltwise_kernel *kernel = sumi_eltwise_pick(l->isa);
  a->affine = kernel->unary[SUMI_UNARY_affine];
  a->mul = kernel->binary[SUMI_BINARY_mul];
  a->add = kernel->binary[SUMI_BINARY_add];
  a->epsilon = (double)sumi_attr_float(l->node, "epsilon", 1e-5f);
  a->channels = sumi_tensor_count(l->in[1]);
  a->outer = x->dim[0];
  a->pixels = sumi_tensor_count(x) / a->outer / a->channels;
  for (int i = 0; i < 5; i++) a->in[i] = l->in_buffer[i];
  a->y = l->out_buffer[0];
  SUMI_TRY(fix(l, a));
  if (a->fixed) return sumi_lower_emit(l, run_batch, a, kernel->name, a->in, 1, &a->y, 1);
  a->scratch = sumi_lower_scratch(l, 2 * (size_t)a->channels * sizeof(float));
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, run_batch, a, kernel->name, a->in, 5, (const int[]){a->y, a->scratch}, 2);
}
