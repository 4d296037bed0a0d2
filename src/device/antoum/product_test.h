/* For tests of products: cells of random data, the plain loop, and the card's result held against it. */
#ifndef SUMI_DEVICE_ANTOUM_PRODUCT_TEST_H
#define SUMI_DEVICE_ANTOUM_PRODUCT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>

#include "base/half.h"
#include "base/random.h"
#include "base/text.h"
#include "device/antoum/antoum_test.h"

enum { X, W, Y, R, OPERANDS, GAP = 0xa5, EVERYTHING = (1 << OPERANDS) - 1 };

/* What a test asks for. outer: groups (weights are constant: channels and outputs of a group are neighbours), or heads (w is
 * computed) in front of batch items. */
struct spec {
  int groups, images, in_rows, in_cols, channels, outputs, kernel_h, kernel_w, stride_h, stride_w, dilation,
      pad_top, pad_left;
  int w_gap;        /* elements between taps of computed weights */
  int heads, batch; /* > 0: w is computed */
  double density;   /* of weights */
  int keep;         /* options.k; with density 1 */
  int x_top;        /* options.x_top */
  bool bf16, u8, w_u8, residual, stages, table, real32, transposed, gaps, dual;
  unsigned dram; /* bit of each operand that lies there; EVERYTHING = all */
  int cores;
  bool split; /* the same operands in all cores */
};

struct problem {
  struct spec s;
  struct sumi_cell_product v;
  struct sumi_cell_operand operand[OPERANDS];
  struct antoum_place place[OPERANDS];
  size_t bytes[OPERANDS];
  uint8_t *data[OPERANDS]; /* of all cores, one after the other; of w one where it is constant */
  uint8_t *kept;           /* w as the card multiplies it */
  int32_t *bias;
  float *scale, *add;
  uint8_t table[256];
  size_t parameters;
};

static inline uint64_t below(struct sumi_random *r, uint64_t n) { return sumi_random_u64(r) % n; }

static inline size_t elem_bytes(sumi_dtype d) { return d == SUMI_FLOAT32 ? 4 : d == SUMI_BFLOAT16 ? 2 : 1; }

static inline double get(const struct sumi_cell_operand *o, const uint8_t *data, int64_t at) {
  uint16_t half;
  float real;
  switch (o->dtype) {
    case SUMI_INT8: return ((const int8_t *)data)[at];
    case SUMI_UINT8: return data[at];
    case SUMI_BFLOAT16: memcpy(&half, data + 2 * at, 2); return sumi_f32_from_bf16(half);
    default: memcpy(&real, data + 4 * at, 4); return real;
  }
}

static inline void draw(uint8_t *data, size_t bytes, bool bf16, struct sumi_random *r) {
  for (size_t i = 0; i + (bf16 ? 2 : 1) <= bytes; i += bf16 ? 2 : 1) {
    const uint16_t half = sumi_bf16_from_f32((float)sumi_random_normal(r));
    if (bf16)
      memcpy(data + i, &half, 2);
    else
      data[i] = (uint8_t)sumi_random_u64(r);
  }
}

static inline int64_t out_size(int in, int pad, int kernel, int stride, int dilation) {
  return (in + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
}

/* x [image, row, col, group, channel] and y likewise, or x [batch, row, col, head, channel], w [batch, output, ky, kx, head,
 * channel], y [batch, head, row, col, output]. */
static inline void shape(struct problem *p) {
  const struct spec *s = &p->s;
  struct sumi_cell_product *v = &p->v;
  *v = (struct sumi_cell_product){.x = {.operand = X},
                                  .w = {.operand = W},
                                  .y = {.operand = Y},
                                  .residual = {.operand = s->residual ? R : -1}};
  v->images = s->images, v->in_rows = s->in_rows, v->in_cols = s->in_cols;
  v->channels = s->channels, v->outputs = s->outputs;
  v->kernel_h = s->kernel_h, v->kernel_w = s->kernel_w, v->stride_h = s->stride_h, v->stride_w = s->stride_w;
  v->dilation_h = v->dilation_w = s->dilation, v->pad_top = s->pad_top, v->pad_left = s->pad_left;
  v->rows = out_size(s->in_rows, s->pad_top, s->kernel_h, s->stride_h, s->dilation);
  v->cols = out_size(s->in_cols, s->pad_left, s->kernel_w, s->stride_w, s->dilation);
  const int gap = s->gaps ? 3 : 0;
  const int64_t taps = (int64_t)s->kernel_h * s->kernel_w;
  if (s->heads) {
    v->n_outer = 2, v->outer[0] = s->batch, v->outer[1] = s->heads;
    v->x_pixel = (int64_t)s->heads * s->channels + gap, v->x_row = v->x_pixel * v->in_cols, v->x_image = 0;
    v->x.step[0] = v->x_row * v->in_rows, v->x.step[1] = s->channels;
    v->w_channel = 1, v->w_col = (int64_t)s->heads * s->channels + s->w_gap,
    v->w_row = v->w_col * s->kernel_w;
    v->w_output = v->w_row * s->kernel_h;
    v->w.step[0] = v->w_output * s->outputs, v->w.step[1] = s->channels;
    v->y_pixel = s->outputs + gap, v->y_row = v->y_pixel * v->cols;
    v->y.step[1] = v->y_row * v->rows, v->y.step[0] = v->y.step[1] * s->heads;
    p->bytes[X] = (size_t)(v->x.step[0] * s->batch), p->bytes[W] = (size_t)(v->w.step[0] * s->batch);
    p->bytes[Y] = (size_t)(v->y.step[0] * s->batch);
  } else {
    v->n_outer = 1, v->outer[0] = s->groups;
    v->x_pixel = (int64_t)s->groups * s->channels + gap, v->x_row = v->x_pixel * v->in_cols;
    v->x_image = v->x_row * v->in_rows, v->x.step[0] = s->channels;
    v->y_pixel = (int64_t)s->groups * s->outputs + gap, v->y_row = v->y_pixel * v->cols;
    v->y_image = v->y_row * v->rows, v->y.step[0] = s->outputs;
    if (s->transposed) { /* [ky, kx, channel, group, output] */
      v->w_output = 1, v->w.step[0] = s->outputs, v->w_channel = (int64_t)s->groups * s->outputs;
      v->w_col = v->w_channel * s->channels, v->w_row = v->w_col * s->kernel_w;
    } else { /* [group, output, channel, ky, kx] */
      v->w_col = 1, v->w_row = s->kernel_w, v->w_channel = taps, v->w_output = taps * s->channels;
      v->w.step[0] = v->w_output * s->outputs;
    }
    v->param_outer = true;
    p->bytes[X] = (size_t)(v->x_image * s->images), p->bytes[Y] = (size_t)(v->y_image * s->images);
    p->bytes[W] = (size_t)(taps * s->channels * s->outputs * s->groups);
  }
  memcpy(v->residual.step, v->y.step, sizeof v->y.step);
  p->bytes[R] = p->bytes[Y];
}

static inline void types(struct problem *p) {
  const struct spec *s = &p->s;
  p->operand[X].dtype = s->bf16 ? SUMI_BFLOAT16 : s->u8 ? SUMI_UINT8 : SUMI_INT8;
  p->operand[W].dtype = s->bf16 ? SUMI_BFLOAT16 : s->w_u8 ? SUMI_UINT8 : SUMI_INT8;
  p->operand[Y].dtype = s->bf16 ? s->real32 ? SUMI_FLOAT32 : SUMI_BFLOAT16 : s->u8 ? SUMI_UINT8 : SUMI_INT8;
  p->operand[R].dtype = p->operand[Y].dtype == SUMI_FLOAT32 ? SUMI_BFLOAT16 : p->operand[Y].dtype;
  for (int i = 0; i < OPERANDS; i++) p->bytes[i] *= elem_bytes(p->operand[i].dtype);
}

static inline void parameters(struct problem *p, struct sumi_random *r) {
  const struct spec *s = &p->s;
  struct sumi_cell_product *v = &p->v;
  const float low = s->u8 ? 0 : -128;
  p->parameters = (size_t)(s->outputs * (v->param_outer ? s->groups : 1));
  p->bias = malloc(p->parameters * sizeof *p->bias);
  p->scale = malloc(p->parameters * sizeof *p->scale);
  p->add = malloc(p->parameters * sizeof *p->add);
  for (size_t i = 0; i < p->parameters; i++) {
    const float bias = (float)sumi_random_normal(r);
    p->bias[i] = s->bf16 ? (int32_t)sumi_f32_bits(bias) : (int32_t)below(r, 20001) - 10000;
    p->scale[i] = (float)((s->bf16 ? 0.5 : 0.001) * (1 + sumi_random_uniform(r)));
    p->add[i] = (float)sumi_random_normal(r);
  }
  v->bias = p->bias, v->scale = p->scale, v->add = p->add;
  v->flags = s->bf16 ? SUMI_CARD_ACT_REAL | SUMI_CARD_ACT_CHANNEL : SUMI_CARD_ACT_FIRST;
  if (s->stages) v->flags |= SUMI_CARD_ACT_CHANNEL;
  if (s->residual) v->flags |= SUMI_CARD_ACT_RESIDUAL;
  if (s->table) v->flags |= SUMI_CARD_ACT_TABLE;
  v->first_zero = 3, v->first_lo = low, v->first_hi = low + 255;
  v->c = (struct sumi_card_stage){0.75f, 1.25f, 9, low, low + 255};
  v->r = (struct sumi_card_stage){0.5f, 1, 3, 3, low + 255};
  v->r_zero = s->bf16 ? 0 : 5, v->r_mul = 0.4f;
  v->function = s->stages || s->residual ? SUMI_CARD_F_RELU : SUMI_CARD_F_NONE;
  v->x_zero = s->bf16 ? 0 : s->u8 ? 7 : -3;
  v->w_zero = s->bf16 ? 0 : s->w_u8 ? 128 : 0;
  for (int i = 0; i < 256; i++) p->table[i] = (uint8_t)(i * 7 + 3);
  v->table = s->table ? p->table : NULL;
}

static inline int64_t weight_at(const struct sumi_cell_product *v, const int64_t *o, int64_t n, int ky,
                                int kx, int64_t c) {
  return v->w.at + o[0] * v->w.step[0] + o[1] * v->w.step[1] + n * v->w_output + ky * v->w_row +
         kx * v->w_col + c * v->w_channel;
}

/* The keep largest weights of every bank, of equal ones the first. */
static inline void prune(struct problem *p) {
  const struct sumi_cell_product *v = &p->v;
  const int taps = v->kernel_h * v->kernel_w;
  for (int64_t g = 0; g < p->s.groups; g++)
    for (int64_t n = 0; n < v->outputs; n++)
      for (int t = 0; t < taps; t++)
        for (int64_t c = 0; c < v->channels; c++) {
          const int64_t o[2] = {g, 0}, first = c / 32 * 32, end = SUMI_MIN(first + 32, v->channels);
          const int64_t at = weight_at(v, o, n, t / v->kernel_w, t % v->kernel_w, c);
          const double mine = fabs(get(&p->operand[W], p->data[W], at) - v->w_zero);
          int before = 0;
          for (int64_t i = first; i < end; i++) {
            const int64_t other = weight_at(v, o, n, t / v->kernel_w, t % v->kernel_w, i);
            const double w = fabs(get(&p->operand[W], p->data[W], other) - v->w_zero);
            before += w > mine || (w == mine && i < c);
          }
          if (before < p->s.keep) continue;
          if (p->s.bf16)
            memset(p->kept + 2 * at, 0, 2);
          else
            p->kept[at] = (uint8_t)v->w_zero;
        }
}

static inline void problem_init(struct problem *p, struct spec s, struct sumi_random *r) {
  *p = (struct problem){.s = s};
  shape(p);
  types(p);
  parameters(p, r);
  for (int i = 0; i < OPERANDS; i++) {
    const int copies = i == W && !s.heads ? 1 : s.cores;
    p->data[i] = malloc(p->bytes[i] * (size_t)copies + 1);
    draw(p->data[i], p->bytes[i] * (size_t)copies, s.bf16, r);
    for (int c = 1; c < copies && s.split; c++)
      memcpy(p->data[i] + p->bytes[i] * (size_t)c, p->data[i], p->bytes[i]);
  }
  memset(p->data[Y], GAP, p->bytes[Y] * (size_t)s.cores);
  const size_t e = elem_bytes(p->operand[W].dtype);
  for (size_t i = 0; !s.heads && i < p->bytes[W]; i += e)
    if (sumi_random_uniform(r) >= s.density) memset(p->data[W] + i, s.bf16 ? 0 : p->v.w_zero, e);
  p->kept = malloc(p->bytes[W] * (size_t)s.cores + 1);
  memcpy(p->kept, p->data[W], p->bytes[W] * (size_t)(s.heads ? s.cores : 1));
  if (s.keep) prune(p);
  for (int i = 0; i < OPERANDS; i++) p->operand[i].bytes = p->bytes[i];
  if (!s.heads) p->operand[W].data = p->data[W];
}

static inline void problem_fini(struct problem *p) {
  for (int i = 0; i < OPERANDS; i++) free(p->data[i]);
  free(p->kept);
  free(p->bias);
  free(p->scale);
  free(p->add);
}

/* ---- the plain loop ---------------------------------------------------------------------------------------------------------- */

static inline float stage(const struct sumi_cell_product *v, const struct sumi_card_stage *s, float x,
                          bool last) {
  if (last && v->function == SUMI_CARD_F_RELU) x = x < 0 ? 0 : x;
  x *= s->out_mul;
  if (v->flags & SUMI_CARD_ACT_REAL) return x;
  return rintf(fminf(fmaxf(x, s->lo - s->zero), s->hi - s->zero));
}

/* ACT's formula; the result. */
static inline float finish(const struct problem *p, float dot, int64_t parameter, float residual) {
  const struct sumi_cell_product *v = &p->v;
  const bool first = v->flags & SUMI_CARD_ACT_FIRST, c = v->flags & SUMI_CARD_ACT_CHANNEL;
  const bool r = v->flags & SUMI_CARD_ACT_RESIDUAL;
  float x = dot, zero = 0;
  if (first) {
    const float scaled = dot * p->scale[parameter];
    x = rintf(fminf(fmaxf(scaled, v->first_lo - v->first_zero), v->first_hi - v->first_zero));
    zero = v->first_zero;
  }
  if (c) {
    x = first ? fmaf(x, v->c.mul, p->add[parameter]) : fmaf(dot, p->scale[parameter], p->add[parameter]);
    x = stage(v, &v->c, x, !r);
    zero = v->c.zero;
  }
  if (r) {
    x = stage(v, &v->r, fmaf(x, v->r.mul, (residual - v->r_zero) * v->r_mul), true);
    zero = v->r.zero;
  }
  return v->flags & SUMI_CARD_ACT_REAL ? x : x + zero;
}

struct sum {
  int32_t whole;
  float real, size; /* size: of the absolute values */
};

/* Whether channel c of a pixel is among the x_top largest of its bank, of equal ones the first. */
static inline bool is_top(const struct problem *p, const uint8_t *x, int64_t at, int64_t c) {
  const int64_t first = c / 32 * 32, end = SUMI_MIN(first + 32, p->v.channels);
  const double mine = fabs(get(&p->operand[X], x, at + c) - p->v.x_zero);
  int before = 0;
  for (int64_t i = first; i < end; i++) {
    const double other = fabs(get(&p->operand[X], x, at + i) - p->v.x_zero);
    before += other > mine || (other == mine && i < c);
  }
  return before < p->s.x_top;
}

static inline struct sum sum_of(const struct problem *p, int core, const int64_t *o, int64_t image,
                                int64_t oy, int64_t ox, int64_t n) {
  const struct sumi_cell_product *v = &p->v;
  const uint8_t *x = p->data[X] + p->bytes[X] * (size_t)core;
  const uint8_t *w = p->kept + (p->s.heads ? p->bytes[W] * (size_t)core : 0);
  struct sum s = {0};
  for (int ky = 0; ky < v->kernel_h; ky++)
    for (int kx = 0; kx < v->kernel_w; kx++) {
      const int64_t iy = oy * v->stride_h + ky * v->dilation_h - v->pad_top;
      const int64_t ix = ox * v->stride_w + kx * v->dilation_w - v->pad_left;
      if (iy < 0 || ix < 0 || iy >= v->in_rows || ix >= v->in_cols) continue;
      const int64_t at = v->x.at + o[0] * v->x.step[0] + o[1] * v->x.step[1] + image * v->x_image +
                         iy * v->x_row + ix * v->x_pixel;
      for (int64_t c = 0; c < v->channels; c++) {
        if (p->s.x_top && !is_top(p, x, at, c)) continue;
        const double a = get(&p->operand[X], x, at + c) - v->x_zero;
        const double b = get(&p->operand[W], w, weight_at(v, o, n, ky, kx, c)) - v->w_zero;
        s.whole += (int32_t)(a * b);
        s.real += (float)(a * b);
        s.size += (float)fabs(a * b);
      }
    }
  return s;
}

/* Compares an element; marks it as seen. */
static inline bool same(const struct problem *p, const uint8_t *got, uint8_t *seen, int core,
                        const int64_t *o, int64_t image, int64_t oy, int64_t ox, int64_t n) {
  const struct sumi_cell_product *v = &p->v;
  const size_t e = elem_bytes(p->operand[Y].dtype);
  const int64_t pixel = image * v->y_image + oy * v->y_row + ox * v->y_pixel + n;
  const int64_t at = pixel + o[0] * v->y.step[0] + o[1] * v->y.step[1];
  const int64_t parameter = v->param_outer ? o[0] * v->outputs + n : n;
  const struct sum s = sum_of(p, core, o, image, oy, ox, n);
  const float residual =
      p->s.residual ? (float)get(&p->operand[R], p->data[R] + p->bytes[R] * (size_t)core, at) : 0;
  const float bias = sumi_f32_from_bits((uint32_t)p->bias[parameter]);
  const float dot = p->s.bf16 ? s.real + bias : (float)(s.whole + p->bias[parameter]);
  float want = finish(p, dot, parameter, residual);
  memset(seen + (size_t)at * e, 1, e);
  const double is = get(&p->operand[Y], got, at);
  if (p->s.bf16) /* sums in another order; a bfloat16 has 8 bits */
    return fabs(is - want) <= 1e-5 * (s.size + 1) + (p->s.real32 ? 0 : fabsf(want) / 256);
  if (p->s.table) {
    const uint8_t q = p->table[(int)want & 255];
    return is == (p->operand[Y].dtype == SUMI_INT8 ? (int8_t)q : q);
  }
  return is == want;
}

static inline bool check_core(const struct problem *p, const uint8_t *got, int core) {
  const struct sumi_cell_product *v = &p->v;
  uint8_t *seen = calloc(1, p->bytes[Y]);
  bool good = true;
  int64_t o[2];
  for (o[0] = 0; o[0] < v->outer[0]; o[0]++)
    for (o[1] = 0; o[1] < (v->n_outer > 1 ? v->outer[1] : 1); o[1]++)
      for (int64_t i = 0; i < v->images; i++)
        for (int64_t y = 0; y < v->rows; y++)
          for (int64_t x = 0; x < v->cols; x++)
            for (int64_t n = 0; n < v->outputs && good; n++) {
              good = same(p, got, seen, core, o, i, y, x, n);
              if (!good)
                print_error("core %d, outer %d %d, image %d, row %d, column %d, output %d\n", core, (int)o[0],
                            (int)o[1], (int)i, (int)y, (int)x, (int)n);
            }
  for (size_t i = 0; i < p->bytes[Y] && good; i++)
    if (!seen[i] && got[i] != GAP) good = false, print_error("byte %zu was written\n", i);
  free(seen);
  return good;
}

/* ---- on the card ------------------------------------------------------------------------------------------------------------- */

static const char *const small[] = {"sram_bytes=262144", "acc_bytes=65536", NULL};
static const char *const tiny[] = {"sram_bytes=65536", "acc_bytes=4096", NULL};
static const char *const wide[] = {"sram_bytes=2097152", "acc_bytes=65536", NULL};
/* Results take so long that sharing them is worth it. */
static const char *const slow[] = {"sram_bytes=2097152", "acc_bytes=65536", "act_lanes=1",
                                   "ring_latency=1",     "ring_bytes=1024", NULL};

static inline size_t aligned(size_t n) { return (n + 63) / 64 * 64; }

/* Places operands: in SRAM one after the other from byte 0, brought there and back by the first and last words. */
static inline void place(struct antoum_rig *r, struct problem *p) {
  size_t sram = 0, in = 0;
  for (int i = 0; i < OPERANDS; i++) {
    struct antoum_place *at = &p->place[i];
    const size_t all = aligned(p->bytes[i] * (size_t)p->s.cores);
    *at = (struct antoum_place){.dram = true, .core_step = p->bytes[i], .base = ANTOUM_BASE_IN, .at = in};
    if (i == Y) *at = (struct antoum_place){.dram = true, .core_step = p->bytes[Y], .base = ANTOUM_BASE_OUT};
    if (p->operand[i].data || (i == R && !p->s.residual)) continue;
    assert_int_equal(antoum_rig_put(r, at->base, at->at, p->data[i], p->bytes[i] * (size_t)p->s.cores), 0);
    if (i != Y) in += all;
    if (p->s.dram >> i & 1) continue;
    assert_int_equal(antoum_move(&r->w, SUMI_CARD_OP_LOAD, at->base, at->at, at->core_step, (uint32_t)sram,
                                 (uint32_t)p->bytes[i]),
                     SUMI_OK);
    *at = (struct antoum_place){.at = sram};
    sram += aligned(p->bytes[i]);
  }
  const uint32_t end = (uint32_t)SUMI_CARD_VALUE(&r->profile, sram_bytes), rest = end - (uint32_t)sram;
  assert_true(sram < end);
  r->w.weights.lo = (uint32_t)sram, r->w.weights.hi = r->w.weights.lo + rest / 2 / 64 * 64;
  r->w.scratch.lo = r->w.weights.hi, r->w.scratch.hi = end;
}

static inline sumi_status compile(struct antoum_rig *r, struct problem *p, struct antoum_facts *facts,
                                  struct sumi_text *refusals) {
  const struct antoum_options options = {.k = p->s.keep, .dual = p->s.dual, .x_top = p->s.x_top};
  const struct antoum_cell_job job = {.w = &r->w,
                                      .options = &options,
                                      .operand = p->operand,
                                      .place = p->place,
                                      .facts = facts,
                                      .refusals = refusals};
  const sumi_status status = antoum_product_cell(&job, &p->v);
  if (status == SUMI_OK && !(p->s.dram >> Y & 1))
    assert_int_equal(antoum_move(&r->w, SUMI_CARD_OP_STORE, ANTOUM_BASE_OUT, 0, p->bytes[Y],
                                 (uint32_t)p->place[Y].at, (uint32_t)p->bytes[Y]),
                     SUMI_OK);
  return status;
}

static inline void show(const struct spec *s) {
  print_error(
      "groups %d, images %d of %d x %d x %d, outputs %d, kernel %d x %d, stride %d x %d, dilation %d, pad %d "
      "%d, heads %d, batch %d, density %g, keep %d, bf16 %d, u8 %d, w_u8 %d, residual %d, stages %d, table "
      "%d, "
      "dram %u, transposed %d, cores %d, split %d\n",
      s->groups, s->images, s->in_rows, s->in_cols, s->channels, s->outputs, s->kernel_h, s->kernel_w,
      s->stride_h, s->stride_w, s->dilation, s->pad_top, s->pad_left, s->heads, s->batch, s->density, s->keep,
      s->bf16, s->u8, s->w_u8, s->residual, s->stages, s->table, s->dram, s->transposed, s->cores, s->split);
}

/* shared: whether the cores shared it is added. */
static inline struct antoum_facts run_shared(struct spec s, const char *const *settings,
                                             struct sumi_random *random, int *shared) {
  struct antoum_rig r;
  struct problem p;
  struct antoum_facts facts = {0};
  struct sumi_text refusals;
  sumi_text_init(&refusals, sumi_allocator_default());
  assert_true(antoum_rig_open(&r, s.cores, NULL, settings));
  r.w.split = s.split;
  problem_init(&p, s, random);
  place(&r, &p);
  const sumi_status status = compile(&r, &p, &facts, &refusals);
  if (status != SUMI_OK) show(&s), print_error("%s %s\n", sumi_text_str(&refusals), r.err.text);
  assert_int_equal(status, SUMI_OK);
  const struct sumi_card_completion c = antoum_rig_run(&r);
  if (c.error)
    show(&s), print_error("error %u engine %u word %u address %llx\n", c.error, c.engine, c.word,
                          (unsigned long long)c.address);
  assert_int_equal(c.error, 0);
  if (sumi_sim_hazards(r.rig.sim)) show(&s);
  assert_int_equal(sumi_sim_hazards(r.rig.sim), 0);
  uint8_t *got = malloc(p.bytes[Y] * (size_t)s.cores);
  assert_int_equal(antoum_rig_get(&r, ANTOUM_BASE_OUT, 0, got, p.bytes[Y] * (size_t)s.cores), 0);
  for (int core = 0; core < s.cores; core++) {
    const bool good = check_core(&p, got + p.bytes[Y] * (size_t)core, core);
    if (!good) show(&s);
    assert_true(good);
  }
  free(got);
  if (shared) *shared += r.w.taken < r.w.alone;
  problem_fini(&p);
  sumi_text_fini(&refusals);
  antoum_rig_close(&r);
  return facts;
}

static inline struct antoum_facts run(struct spec s, const char *const *settings,
                                      struct sumi_random *random) {
  return run_shared(s, settings, random, NULL);
}

static const struct spec plain = {.groups = 1,
                                  .images = 1,
                                  .in_rows = 6,
                                  .in_cols = 6,
                                  .channels = 32,
                                  .outputs = 16,
                                  .kernel_h = 1,
                                  .kernel_w = 1,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .dilation = 1,
                                  .density = 1,
                                  .cores = 1};

#endif
