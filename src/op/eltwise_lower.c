/* Element-wise operators in float32 on family eltwise, in stretches for threads; activations as epilogues. */
#include "op/eltwise_lower.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/fmath.h"
#include "base/size.h"
#include "op/broadcast.h"
#include "op/spmm_lower.h"

enum { STRETCH = 16384 }; /* words of a tile: 64 KiB, so that starting a tile costs nothing beside it */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "eltwise", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* ---- one input -------------------------------------------------------------------------------------------------- */

struct unary_args {
  sumi_unary_fn fn;
  float most;          /* fn takes no larger |x|; INFINITY: it takes all */
  float (*far)(float); /* what does it else */
  float param[2];
  int x, y; /* buffers */
  int64_t n;
};

struct unary_run {
  const struct unary_args *a;
  const float *x;
  float *y;
};

static void unary_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct unary_run *r = user;
  const float *x = r->x + begin;
  float *y = r->y + begin;
  bool far = false;
  if (r->a->most < INFINITY)
    for (int64_t i = 0; i < end - begin; i++) far |= !(fabsf(x[i]) <= r->a->most);
  if (!far)
    r->a->fn(x, y, end - begin, r->a->param);
  else
    for (int64_t i = 0; i < end - begin; i++) y[i] = r->a->far(x[i]);
}

static sumi_status run_unary(const void *args, const struct sumi_run *run) {
  const struct unary_args *a = args;
  struct unary_run r = {a, run->buffer[a->x], run->buffer[a->y]};
  sumi_par_for(run->par, a->n, STRETCH, unary_tile, &r);
  return SUMI_OK;
}

/* Attributes that are alpha and beta of a function, and their defaults. */
static const struct {
  enum sumi_unary fn;
  const char *name[2];
  float otherwise[2];
} attributes[] = {
    {SUMI_UNARY_leaky_relu, {"alpha"}, {0.01f}},
    {SUMI_UNARY_hard_sigmoid, {"alpha", "beta"}, {0.2f, 0.5f}},
    {SUMI_UNARY_silu, {"alpha"}, {1}},
    {SUMI_UNARY_elu, {"alpha"}, {1}},
    {SUMI_UNARY_affine, {"alpha", "beta"}, {1, 0}},
};

/* Clip's limits; false where they are not constant. */
static bool limits(const struct sumi_lower *l, float *param) {
  param[0] = sumi_attr_float(l->node, "min", -FLT_MAX);
  param[1] = sumi_attr_float(l->node, "max", FLT_MAX);
  for (int i = 1; i < 3 && i < l->n_in; i++) {
    if (!l->in[i]) continue;
    if (!l->in[i]->data) return false;
    param[i - 1] = *(const float *)l->in[i]->data;
  }
  return true;
}

/* Functions that the family has for small numbers alone, by the names of their operators. */
static const struct {
  const char *name;
  enum sumi_unary fn;
  float most;
  float (*far)(float);
} bounded[] = {{"Sin", SUMI_UNARY_sin, SUMI_TURN_MOST, sinf}, {"Cos", SUMI_UNARY_cos, SUMI_TURN_MOST, cosf}};

sumi_status sumi_unary_lower(struct sumi_lower *l) {
  int fn = sumi_unary_find(l->node->op->name), b = -1;
  for (int i = 0; i < (int)SUMI_COUNT(bounded); i++)
    if (sumi_streq(l->node->op->name, bounded[i].name)) b = i, fn = (int)bounded[i].fn;
  if (fn < 0) return refuse(l, "no kernel for this function");
  if (!sumi_lower_is_f32(l->in[0])) return refuse(l, "element type is not float32");
  struct unary_args *a = SUMI_NEW(l->arena, struct unary_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  for (size_t i = 0; i < SUMI_COUNT(attributes); i++)
    for (int k = 0; attributes[i].fn == (enum sumi_unary)fn && k < 2; k++)
      if (attributes[i].name[k])
        a->param[k] = sumi_attr_float(l->node, attributes[i].name[k], attributes[i].otherwise[k]);
  if (fn == SUMI_UNARY_clip && !limits(l, a->param)) return refuse(l, "the limits are not constant");
  if (fn == SUMI_UNARY_gelu && sumi_attr_is(l->node, "approximate", "none", "tanh"))
    fn = SUMI_UNARY_gelu_tanh;
  const struct sumi_eltwise_kernel *kernel = sumi_eltwise_pick(l->isa);
  a->fn = kernel->unary[fn];
  a->most = b < 0 ? INFINITY : bounded[b].most;
  a->far = b < 0 ? NULL : bounded[b].far;
  a->n = sumi_tensor_count(l->in[0]);
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run_unary, a, kernel->name, &a->x, 1, &a->y, 1);
}

/* ---- whole powers -------------------------------------------------------------------------------------------------- */

struct power_args {
  sumi_binary_fn mul;
  int exponent;
  int x, y; /* buffers */
  int64_t n;
};

struct power_run {
  const struct power_args *a;
  const float *x;
  float *y;
};

/* y = x^exponent by squaring; block by block, so that squares stay in the cache and y may lie over x. */
static void power_tile(void *user, int64_t begin, int64_t end, int worker) {
  enum { BLOCK = 1024 };
  (void)worker;
  const struct power_run *r = user;
  const sumi_binary_fn mul = r->a->mul;
  float square[BLOCK];
  for (int64_t i = begin; i < end; i += BLOCK) {
    const int64_t n = SUMI_MIN(end - i, BLOCK);
    float *y = r->y + i;
    bool first = true;
    memcpy(square, r->x + i, (size_t)n * sizeof *square);
    for (int e = r->a->exponent; e; e >>= 1) {
      if (e & 1 && first)
        memcpy(y, square, (size_t)n * sizeof *y);
      else if (e & 1)
        mul(y, 1, square, 1, y, n);
      first = first && !(e & 1);
      if (e > 1) mul(square, 1, square, 1, square, n);
    }
  }
}

static sumi_status run_power(const void *args, const struct sumi_run *run) {
  const struct power_args *a = args;
  struct power_run r = {a, run->buffer[a->x], run->buffer[a->y]};
  sumi_par_for(run->par, a->n, STRETCH, power_tile, &r);
  return SUMI_OK;
}

sumi_status sumi_power_lower(struct sumi_lower *l) {
  enum { MOST = 64 }; /* twelve products: within 12 roundings of the power */
  const struct sumi_tensor *x = l->in[0], *exponent = l->in[1];
  if (!sumi_lower_is_f32(x)) return refuse(l, "element type is not float32");
  if (!exponent->data || sumi_tensor_count(exponent) != 1)
    return refuse(l, "the exponent is not one constant");
  const double e = sumi_get_f64(exponent->dtype, exponent->data, 0);
  if (!(e >= 1 && e <= MOST) || e != (int)e) return refuse(l, "the exponent is no whole number from 1 to 64");
  if (sumi_tensor_count(l->out[0]) != sumi_tensor_count(x)) return refuse(l, "the base is broadcast");
  struct power_args *a = SUMI_NEW(l->arena, struct power_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_eltwise_kernel *kernel = sumi_eltwise_pick(l->isa);
  *a = (struct power_args){kernel->binary[SUMI_BINARY_mul], (int)e, l->in_buffer[0], l->out_buffer[0],
                           sumi_tensor_count(x)};
  return sumi_lower_emit(l, run_power, a, kernel->name, &a->x, 1, &a->y, 1);
}

/* ---- two inputs ------------------------------------------------------------------------------------------------- */

struct binary_args {
  sumi_binary_fn fn;
  struct sumi_bcast b; /* the last dimension is a row */
  int x, y, z;         /* buffers: z = f(x, y) */
  int64_t rows, n;
};

struct binary_run {
  const struct binary_args *a;
  const float *x, *y;
  float *z;
};

/* Part of the only row. */
static void row_part(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct binary_run *r = user;
  const int64_t sx = r->a->b.stride[0][0], sy = r->a->b.stride[1][0];
  r->a->fn(r->x + begin * sx, sx, r->y + begin * sy, sy, r->z + begin, end - begin);
}

/* Rows [begin, end): the first one's place is computed, the others follow by counting. */
static void row_run(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct binary_run *r = user;
  const struct sumi_bcast *b = &r->a->b;
  const int last = b->rank - 1;
  int64_t index[SUMI_MAX_RANK], x = 0, y = 0, rest = begin;
  for (int d = last - 1; d >= 0; d--) {
    index[d] = rest % b->dim[d];
    rest /= b->dim[d];
    x += index[d] * b->stride[0][d];
    y += index[d] * b->stride[1][d];
  }
  for (int64_t i = begin; i < end; i++) {
    r->a->fn(r->x + x, b->stride[0][last], r->y + y, b->stride[1][last], r->z + i * r->a->n, r->a->n);
    for (int d = last - 1; d >= 0; d--) {
      x += b->stride[0][d];
      y += b->stride[1][d];
      if (++index[d] < b->dim[d]) break;
      x -= b->dim[d] * b->stride[0][d];
      y -= b->dim[d] * b->stride[1][d];
      index[d] = 0;
    }
  }
}

static sumi_status run_binary(const void *args, const struct sumi_run *run) {
  const struct binary_args *a = args;
  struct binary_run r = {a, run->buffer[a->x], run->buffer[a->y], run->buffer[a->z]};
  if (a->rows == 1)
    sumi_par_for(run->par, a->n, STRETCH, row_part, &r);
  else
    sumi_par_for(run->par, a->rows, STRETCH / SUMI_MIN(a->n, STRETCH), row_run, &r);
  return SUMI_OK;
}

sumi_status sumi_binary_lower(struct sumi_lower *l) {
  const int fn = sumi_binary_find(l->node->op->name);
  if (fn < 0 || l->n_in != 2 || !l->in[0] || !l->in[1]) return refuse(l, "no kernel for this function");
  if (!sumi_lower_is_f32(l->in[0]) || !sumi_lower_is_f32(l->in[1]))
    return refuse(l, "element type is not float32");
  if (fn == SUMI_BINARY_prelu && l->node->version < 7) return refuse(l, "the slope lies along channels");
  const struct sumi_call call = {.node = l->node, .n_in = l->n_in, .in = l->in};
  const struct sumi_tensor second = sumi_second_operand(&call), *y = l->out[0];
  const int64_t n = sumi_tensor_count(y);
  if (!n) return refuse(l, "an empty tensor");
  struct binary_args *a = SUMI_NEW(l->arena, struct binary_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  sumi_bcast_init(&a->b, y->rank, y->dim, (const struct sumi_tensor *const[]){l->in[0], &second}, 2);
  const struct sumi_eltwise_kernel *kernel = sumi_eltwise_pick(l->isa);
  a->fn = kernel->binary[fn];
  a->n = a->b.dim[a->b.rank - 1];
  a->rows = n / a->n;
  a->x = l->in_buffer[0], a->y = l->in_buffer[1], a->z = l->out_buffer[0];
  const int reads[] = {a->x, a->y};
  return sumi_lower_emit(l, run_binary, a, kernel->name, reads, 2, &a->z, 1);
}

/* ---- a condition and two inputs --------------------------------------------------------------------------------- */

struct select_args {
  sumi_select_fn fn;
  struct sumi_bcast b; /* the last dimension is a row */
  int in[3], z;        /* buffers: z = in[0] ? in[1] : in[2] */
  int64_t rows, n;
  size_t word; /* bytes */
};

struct select_run {
  const struct select_args *a;
  const char *in[3];
  char *z;
};

/* n elements of a row whose operands begin at at[]; to: the element of the output. */
static void select_row(const struct select_run *r, const int64_t *at, int64_t to, int64_t n) {
  const struct select_args *a = r->a;
  const int last = a->b.rank - 1;
  a->fn((const uint8_t *)r->in[0] + at[0], a->b.stride[0][last], r->in[1] + (size_t)at[1] * a->word,
        a->b.stride[1][last], r->in[2] + (size_t)at[2] * a->word, a->b.stride[2][last],
        r->z + (size_t)to * a->word, n);
}

static void select_part(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct select_run *r = user;
  int64_t at[3];
  for (int k = 0; k < 3; k++) at[k] = begin * r->a->b.stride[k][0];
  select_row(r, at, begin, end - begin);
}

static void select_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct select_run *r = user;
  struct sumi_walk w = sumi_bcast_rows(&r->a->b);
  sumi_walk_seek(&w, begin);
  for (int64_t i = begin; i < end; i++, sumi_walk_next(&w)) select_row(r, w.offset, i * r->a->n, r->a->n);
}

static sumi_status run_select(const void *args, const struct sumi_run *run) {
  const struct select_args *a = args;
  struct select_run r = {.a = a, .z = run->buffer[a->z]};
  for (int k = 0; k < 3; k++) r.in[k] = run->buffer[a->in[k]];
  if (a->rows == 1)
    sumi_par_for(run->par, a->n, STRETCH, select_part, &r);
  else
    sumi_par_for(run->par, a->rows, SUMI_MAX(STRETCH / a->n, 1), select_rows, &r);
  return SUMI_OK;
}

sumi_status sumi_select_lower(struct sumi_lower *l) {
  const struct sumi_tensor *y = l->out[0];
  const int64_t n = sumi_tensor_count(y);
  const int bits = sumi_dtype_bits(y->dtype);
  int width = 0;
  while (width < SUMI_N_SELECT && 8 << width != bits) width++;
  if (width == SUMI_N_SELECT) return refuse(l, "the element type is no word of 1, 2, 4 or 8 bytes");
  if (!n) return refuse(l, "an empty tensor");
  struct select_args *a = SUMI_NEW(l->arena, struct select_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  sumi_bcast_init(&a->b, y->rank, y->dim, l->in, 3);
  const struct sumi_eltwise_kernel *kernel = sumi_eltwise_pick(l->isa);
  a->fn = kernel->select[width];
  a->word = (size_t)bits / 8;
  a->n = a->b.dim[a->b.rank - 1];
  a->rows = n / a->n;
  for (int k = 0; k < 3; k++) a->in[k] = l->in_buffer[k];
  a->z = l->out_buffer[0];
  return sumi_lower_emit(l, run_select, a, kernel->name, a->in, 3, &a->z, 1);
}

/* ---- epilogues -------------------------------------------------------------------------------------------------- */

sumi_status sumi_lower_epilogue(struct sumi_lower *l, struct sumi_activation a, struct sumi_epilogue *out) {
  static const int function[SUMI_N_ACTIVATIONS] = {
      [SUMI_ACTIVATION_LEAKY_RELU] = SUMI_UNARY_leaky_relu,
      [SUMI_ACTIVATION_HARD_SIGMOID] = SUMI_UNARY_hard_sigmoid,
      [SUMI_ACTIVATION_SIGMOID] = SUMI_UNARY_sigmoid,
      [SUMI_ACTIVATION_TANH] = SUMI_UNARY_tanh,
      [SUMI_ACTIVATION_HARD_SWISH] = SUMI_UNARY_hard_swish,
      [SUMI_ACTIVATION_SWISH] = SUMI_UNARY_silu,
      [SUMI_ACTIVATION_GELU] = SUMI_UNARY_gelu,
      [SUMI_ACTIVATION_GELU_TANH] = SUMI_UNARY_gelu_tanh,
  };
  *out = (struct sumi_epilogue){-INFINITY, INFINITY, NULL, NULL};
  if (a.kind == SUMI_ACTIVATION_NONE) return SUMI_OK;
  if (a.kind == SUMI_ACTIVATION_RELU || a.kind == SUMI_ACTIVATION_CLIP) {
    const bool clip = a.kind == SUMI_ACTIVATION_CLIP;
    out->lo = clip ? a.a : 0;
    out->hi = clip ? a.b : INFINITY;
    return SUMI_OK;
  }
  float *param = SUMI_NEW_ARRAY(l->arena, 2, float);
  if (!param) SUMI_FAIL_MEMORY(l->err);
  param[0] = a.a;
  param[1] = a.b;
  out->act = sumi_eltwise_pick(l->isa)->unary[function[a.kind]];
  out->param = param;
  return SUMI_OK;
}
