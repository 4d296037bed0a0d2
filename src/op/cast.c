/* Cast, CastLike: the elements of x in another type.
 *   integer to integer  modulo 2^bits
 *   float to integer    cut toward zero. Out of range (undefined in the standard): held to 32 bits for types of at
 *                       most 32 bits but uint32, else to 64, then modulo 2^bits; NaN as the lowest number
 *   number to float     rounded once, to nearest even; too large is infinity. float8: attributes saturate, round_mode
 *   number to bool      0 is false, all else true
 *   string              numbers as strtod reads them; written with the fewest digits that read back the same
 * Strings are in cast_string.c. */
#include "op/cast.h"
#include "op/by_item.h"
#include "op/call_lower.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "kernel/convert/convert.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/lane_steps.h"
#include "op/ops.h"
#include "op/quant_lower.h"
#include "op/vector_cells.h"
#include "plan/lower.h"

/* ---- plain loops for the pairs that networks use ------------------------------------------------------- */

static inline int32_t to_i32(float v) {
  return v >= 0x1p31f ? INT32_MAX : v > -0x1p31f ? (int32_t)v : INT32_MIN;
}
static inline int64_t to_i64(double v) {
  return v >= 0x1p63 ? INT64_MAX : v > -0x1p63 ? (int64_t)v : INT64_MIN;
}

#define LOOP(name, S, D, expr)                              \
  static void name(const void *from, void *to, int64_t n) { \
    const S *x = from;                                      \
    D *y = to;                                              \
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) {            \
      const S v = x[i];                                     \
      y[i] = (D)(expr);                                     \
    }                                                       \
  }

/* PAIR(name, source type, its C type, destination type, its C type, expression in v) */
#define PAIRS(PAIR)                                                              \
  PAIR(f32_i64, SUMI_FLOAT32, float, SUMI_INT64, int64_t, to_i64((double)v))     \
  PAIR(f32_i32, SUMI_FLOAT32, float, SUMI_INT32, int32_t, to_i32(v))             \
  PAIR(f32_i8, SUMI_FLOAT32, float, SUMI_INT8, int8_t, to_i32(v))                \
  PAIR(f32_u8, SUMI_FLOAT32, float, SUMI_UINT8, uint8_t, to_i32(v))              \
  PAIR(f32_bool, SUMI_FLOAT32, float, SUMI_BOOL, uint8_t, v != 0)                \
  PAIR(f32_f64, SUMI_FLOAT32, float, SUMI_FLOAT64, double, v)                    \
  PAIR(f64_f32, SUMI_FLOAT64, double, SUMI_FLOAT32, float, v)                    \
  PAIR(i64_f32, SUMI_INT64, int64_t, SUMI_FLOAT32, float, v)                     \
  PAIR(u64_f32, SUMI_UINT64, uint64_t, SUMI_FLOAT32, float, v)                   \
  PAIR(u64_f64, SUMI_UINT64, uint64_t, SUMI_FLOAT64, double, v)                  \
  PAIR(i32_f32, SUMI_INT32, int32_t, SUMI_FLOAT32, float, v)                     \
  PAIR(i8_f32, SUMI_INT8, int8_t, SUMI_FLOAT32, float, v)                        \
  PAIR(u8_f32, SUMI_UINT8, uint8_t, SUMI_FLOAT32, float, v)                      \
  PAIR(bool_f32, SUMI_BOOL, uint8_t, SUMI_FLOAT32, float, v != 0)                \
  PAIR(bool_i64, SUMI_BOOL, uint8_t, SUMI_INT64, int64_t, v != 0)                \
  PAIR(bool_i32, SUMI_BOOL, uint8_t, SUMI_INT32, int32_t, v != 0)                \
  PAIR(i64_i32, SUMI_INT64, int64_t, SUMI_INT32, int32_t, (uint32_t)(uint64_t)v) \
  PAIR(i32_i64, SUMI_INT32, int32_t, SUMI_INT64, int64_t, v)                     \
  PAIR(i64_bool, SUMI_INT64, int64_t, SUMI_BOOL, uint8_t, v != 0)                \
  PAIR(i32_bool, SUMI_INT32, int32_t, SUMI_BOOL, uint8_t, v != 0)

#define PAIR(name, s, S, d, D, expr) LOOP(name, S, D, expr)
PAIRS(PAIR)
#undef PAIR

static const struct {
  sumi_dtype from, to;
  void (*loop)(const void *from, void *to, int64_t n);
} pairs[] = {
#define PAIR(name, s, S, d, D, expr) {s, d, name},
    PAIRS(PAIR)
#undef PAIR
};

/* ---- any pair, in chunks ------------------------------------------------------------------------------- */

/* How a chunk is written. */
struct target {
  sumi_dtype dtype;
  bool saturate; /* float8 */
  int round;     /* float8e8m0 */
};

static void store_ints(const struct target *t, const struct sumi_tensor *y, int64_t at, int64_t n,
                       const double *f64) {
  const bool narrow = sumi_dtype_bits(t->dtype) <= 32 && t->dtype != SUMI_UINT32;
  for (int64_t i = 0; i < n; i++) {
    const double v = f64[i];
    int64_t whole = to_i64(v);
    if (narrow) whole = v >= 0x1p31 ? INT32_MAX : v > -0x1p31 - 1 ? whole : INT32_MIN;
    if (t->dtype == SUMI_UINT64 && v >= 0x1p63) whole = (int64_t)(v >= 0x1p64 ? UINT64_MAX : (uint64_t)v);
    sumi_set_i64(t->dtype, y->data, at + i, whole);
  }
}

static void store_floats(const struct target *t, const struct sumi_tensor *y, int64_t at, int64_t n,
                         const double *f64) {
  if (sumi_dtype_in(t->dtype, SUMI_FLOAT8S))
    for (int64_t i = 0; i < n; i++) sumi_set_tiny(t->dtype, y->data, at + i, f64[i], t->saturate, t->round);
  else
    sumi_lane_store(SUMI_LANE_F64, t->dtype, y->data, at, n, f64);
}

/* 64-bit integers as doubles that round to any shorter float as the integers would: of bits beyond the 53,
 * one that says whether any was set is kept. */
static void load_wide_ints(const struct sumi_tensor *x, int64_t at, int64_t n, double *f64) {
  for (int64_t i = 0; i < n; i++) {
    const int64_t v = ((const int64_t *)x->data)[at + i];
    const bool negative = x->dtype == SUMI_INT64 && v < 0;
    uint64_t m = negative ? 0 - (uint64_t)v : (uint64_t)v;
    if (m >> 53) m = (m >> 11 | ((m & 2047) != 0)) << 11;
    f64[i] = negative ? -(double)m : (double)m;
  }
}

static void convert(const struct target *t, const struct sumi_tensor *x, const struct sumi_tensor *y,
                    int64_t at, int64_t n) {
  union {
    float f32[SUMI_LANE_CHUNK];
    double f64[SUMI_LANE_CHUNK];
    int64_t i64[SUMI_LANE_CHUNK];
  } chunk;
  const bool from_float = sumi_dtype_is_float(x->dtype), to_float = sumi_dtype_is_float(t->dtype);
  const uint64_t usual = SUMI_FLOATS & ~SUMI_BIT(SUMI_FLOAT64);
  if (!from_float && !to_float) {
    sumi_lane_load(SUMI_LANE_I64, x->dtype, x->data, at, n, chunk.i64);
    sumi_lane_store(SUMI_LANE_I64, t->dtype, y->data, at, n, chunk.i64);
    return;
  }
  if (sumi_dtype_in(x->dtype, usual) && sumi_dtype_in(t->dtype, usual)) {
    sumi_lane_load(SUMI_LANE_F32, x->dtype, x->data, at, n, chunk.f32);
    sumi_lane_store(SUMI_LANE_F32, t->dtype, y->data, at, n, chunk.f32);
    return;
  }
  if (!from_float && t->dtype == SUMI_FLOAT16) { /* integers that float32 rounds are infinite there */
    sumi_lane_load(SUMI_LANE_F32, x->dtype, x->data, at, n, chunk.f32);
    sumi_lane_store(SUMI_LANE_F32, t->dtype, y->data, at, n, chunk.f32);
    return;
  }
  if ((x->dtype == SUMI_INT64 || x->dtype == SUMI_UINT64) && t->dtype != SUMI_FLOAT64)
    load_wide_ints(x, at, n, chunk.f64);
  else
    sumi_lane_load(SUMI_LANE_F64, x->dtype, x->data, at, n, chunk.f64);
  if (to_float)
    store_floats(t, y, at, n, chunk.f64);
  else if (t->dtype == SUMI_BOOL)
    for (int64_t i = 0; i < n; i++) ((uint8_t *)y->data)[at + i] = chunk.f64[i] != 0;
  else
    store_ints(t, y, at, n, chunk.f64);
}

struct cast {
  const struct target *t;
  const struct sumi_tensor *x, *y;
};

/* Elements [begin, end); begin is a multiple of SUMI_LANE_CHUNK. */
static void cast_stretch(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct cast *c = user;
  const size_t from = sumi_dtype_bits(c->x->dtype) / 8, to = sumi_dtype_bits(c->y->dtype) / 8;
  for (size_t i = 0; i < SUMI_COUNT(pairs); i++)
    if (pairs[i].from == c->x->dtype && pairs[i].to == c->t->dtype) {
      pairs[i].loop((const char *)c->x->data + (size_t)begin * from, (char *)c->y->data + (size_t)begin * to,
                    end - begin);
      return;
    }
  for (int64_t i = begin; i < end; i += SUMI_LANE_CHUNK)
    convert(c->t, c->x, c->y, i, SUMI_MIN(end - i, SUMI_LANE_CHUNK));
}

/* Both have the same number of elements; neither is of strings. par NULL = serial. */
static void cast_numbers(const struct target *t, const struct sumi_tensor *x, const struct sumi_tensor *y,
                         struct sumi_par *par) {
  enum { STRETCH = 64 * SUMI_LANE_CHUNK }; /* starting a tile costs nothing beside it */
  struct cast c = {t, x, y};
  sumi_par_for(par, sumi_tensor_count(y), STRETCH, cast_stretch, &c);
}

/* ---- the operators ------------------------------------------------------------------------------------- */

/* What attribute "to" names: a number, before version 6 a word. */
static sumi_status wanted_type(const struct sumi_node *node, sumi_dtype *dtype, struct sumi_err *err) {
  const struct sumi_attr *to = sumi_node_attr(node, "to");
  if (!to) SUMI_FAIL(err, SUMI_E_ARG, "attribute to is missing");
  if (to->type == SUMI_ATTR_STRING) {
    char word[24];
    size_t n = 0;
    for (; n < to->u.s.size && n < sizeof word; n++) {
      const char c = to->u.s.data[n];
      word[n] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *dtype = sumi_dtype_from_label(word, n);
  } else {
    *dtype = sumi_dtype_from_onnx(to->u.i);
  }
  if (*dtype == SUMI_UNDEFINED || sumi_dtype_class(*dtype) == 'C')
    SUMI_FAIL(err, SUMI_E_TYPE, "attribute to names no type that can be cast to");
  return SUMI_OK;
}

static sumi_status round_mode(const struct sumi_node *node, int *round, struct sumi_err *err) {
  const char *mode = sumi_attr_string(node, "round_mode", "up");
  *round = sumi_streq(mode, "up") ? 1 : sumi_streq(mode, "down") ? -1 : 0;
  if (!*round && !sumi_streq(mode, "nearest")) SUMI_FAIL(err, SUMI_E_VALUE, "round_mode is '%s'", mode);
  return SUMI_OK;
}

static sumi_status infer(struct sumi_infer *ctx, sumi_dtype to) {
  int round;
  SUMI_TRY(round_mode(ctx->node, &round, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], to);
  const int n = sumi_content_count(&ctx->in[0]);
  if (n < 0 || !sumi_dtype_is_int(to) || sumi_dtype_bits(to) < 32) return SUMI_OK;
  sumi_dim content[SUMI_MAX_RANK];
  for (int i = 0; i < n; i++) content[i] = sumi_content_at(&ctx->in[0], i);
  return sumi_infer_content(ctx, 0, content, n);
}

static sumi_status cast_infer(struct sumi_infer *ctx) {
  sumi_dtype to = SUMI_UNDEFINED;
  SUMI_TRY(wanted_type(ctx->node, &to, ctx->err));
  return infer(ctx, to);
}

static sumi_status cast_like_infer(struct sumi_infer *ctx) {
  if (ctx->in[1].dtype != SUMI_UNDEFINED) return infer(ctx, ctx->in[1].dtype);
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  if (ctx->n_out && !ctx->out[0].absent) ctx->out[0].dtype = SUMI_UNDEFINED;
  return SUMI_OK;
}

static sumi_status cast_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  const struct sumi_tensor *x = c->in[0];
  struct sumi_tensor *y = c->out[0];
  struct target t = {.dtype = y->dtype, .saturate = sumi_attr_int(c->node, "saturate", 1) != 0};
  SUMI_TRY(round_mode(c->node, &t.round, c->err));
  if (y->dtype == SUMI_STRING) return sumi_cast_to_string(c, x, y);
  if (x->dtype == SUMI_STRING) return sumi_cast_from_string(c, x, y);
  if (x->dtype == y->dtype) {
    if (x->data != y->data) sumi_copy(x->dtype, y->data, 0, x->data, 0, sumi_tensor_count(x));
  } else {
    cast_numbers(&t, x, y, tools ? tools->par : NULL);
  }
  return SUMI_OK;
}

static sumi_status cast_ref(const struct sumi_call *c) { return cast_run(c, NULL); }

/* float16 and bfloat16 from and to float32 on family convert, in stretches for threads. */
struct convert {
  void (*widen)(const uint16_t *x, int64_t n, float *y);
  void (*narrow)(const float *x, int64_t n, uint16_t *y); /* NULL where it widens */
  int64_t n;
  int x, y; /* buffers */
};

struct conversion {
  const struct convert *a;
  void *x, *y;
};

static void convert_stretch(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct conversion *s = user;
  if (s->a->narrow)
    s->a->narrow((const float *)s->x + begin, end - begin, (uint16_t *)s->y + begin);
  else
    s->a->widen((const uint16_t *)s->x + begin, end - begin, (float *)s->y + begin);
}

static sumi_status run_convert(const void *args, const struct sumi_run *r) {
  enum { STRETCH = 16384 }; /* elements: starting a tile costs nothing beside them */
  const struct convert *a = args;
  struct conversion s = {a, r->buffer[a->x], r->buffer[a->y]};
  sumi_par_for(r->par, a->n, STRETCH, convert_stretch, &s);
  return SUMI_OK;
}

static int short_of(sumi_dtype d) {
  return d == SUMI_FLOAT16 ? (int)SUMI_SHORT_F16 : d == SUMI_BFLOAT16 ? (int)SUMI_SHORT_BF16 : -1;
}

static bool has_lanes(const struct sumi_tensor *t) { return t->rank > 0 && sumi_tensor_count(t); }

/* float32 lies row-major, bfloat16 as it is wanted. */
static void cast_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  if (!has_lanes(x)) return;
  if (x->dtype == SUMI_BFLOAT16 && y->dtype == SUMI_FLOAT32)
    in[0] = (struct sumi_lane_wish){.lanes = true, .any = true, .axis = sumi_lane_axis(x)};
  out[0].lanes = x->dtype == SUMI_FLOAT32 && y->dtype == SUMI_BFLOAT16 && out[0].axis >= 0;
}

/* The input or the output lies in lanes. */
static sumi_status lower_lanes(struct sumi_lower *l) {
  const struct sumi_lane_operand x = {l->in_buffer[0], l->in_layout[0]},
                                 y = {l->out_buffer[0], l->out_layout[0]};
  if (x.layout.v) return sumi_lower_lane_widen(l, l->out[0], &x, y.buffer);
  SUMI_TRY(sumi_lower_blank(l, &y));
  return sumi_lower_lane_narrow(l, l->in[0], x.buffer, &y);
}

static sumi_status cast_lower(struct sumi_lower *l) {
  const sumi_dtype from = l->in[0]->dtype, to = l->out[0]->dtype;
  if (l->in_layout[0].v || l->out_layout[0].v) return lower_lanes(l);
  const int widens = to == SUMI_FLOAT32 ? short_of(from) : -1,
            narrows = from == SUMI_FLOAT32 ? short_of(to) : -1;
  if (widens < 0 && narrows < 0) {
    sumi_lower_refuse(l, "convert", "%s to %s", sumi_dtype_label(from), sumi_dtype_label(to));
    if (from == SUMI_STRING || to == SUMI_STRING) return SUMI_E_UNSUPPORTED;
    return sumi_call_lower(l, cast_run, NULL, 0, -1, "stretches");
  }
  struct convert *a = SUMI_NEW(l->arena, struct convert);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_convert_kernel *kernel = sumi_convert_pick(l->isa);
  if (widens >= 0) a->widen = kernel->widen[widens];
  if (narrows >= 0) a->narrow = kernel->narrow[narrows];
  a->n = sumi_tensor_count(l->in[0]);
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run_convert, a, kernel->name, &a->x, 1, &a->y, 1);
}

/* Cut toward zero, held to 32 bits, NaN as the lowest number. */
static int cut(struct sumi_vector *p, int x) {
  const int whole = sumi_vector_op(p, SUMI_CARD_V_F2I,
                                   SUMI_VECTOR(p, "a < 0 ? sumi_ceil_f32(a) : sumi_floor_f32(a)", x), 0, 0);
  return SUMI_VECTOR(p, "a == a ? b : c", x, whole, sumi_vector_int(p, INT32_MIN));
}

static sumi_status cast_cells(struct sumi_cells *c) {
  const sumi_dtype from = c->in[0]->dtype, to = c->out[0]->dtype;
  if (from == to) return sumi_copy_cells(c, sumi_cells_out(c, 0), 0);
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, 1), x = sumi_vector_load(&p, sumi_vector_view(&p, 0));
  const int view = sumi_vector_view(&p, y);
  if (sumi_vector_bad(&p)) return sumi_vector_end(&p);
  int v = from == SUMI_BOOL || to == SUMI_BOOL ? SUMI_VECTOR(&p, "a != 0", x) : x;
  if (v >= 0 && to != SUMI_BOOL && sumi_dtype_is_float(to)) v = SUMI_VECTOR(&p, "(float)a", v);
  if (v >= 0 && p.value[v].real && !sumi_dtype_is_float(to)) v = cut(&p, v);
  sumi_vector_store_wrapped(&p, view, v);
  return sumi_vector_end(&p);
}

#define TYPES (SUMI_ANY & ~SUMI_COMPLEX)
static const struct sumi_attr_spec cast_attrs[] = {{"to", SUMI_ATTR_INT},
                                                   {"to", SUMI_ATTR_STRING, false, 6},
                                                   {"saturate", SUMI_ATTR_INT},
                                                   {"round_mode", SUMI_ATTR_STRING},
                                                   {NULL}};
static const struct sumi_attr_spec like_attrs[] = {
    {"saturate", SUMI_ATTR_INT}, {"round_mode", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port cast_in[] = {{"input", TYPES}, {NULL}};
static const struct sumi_port like_in[] = {{"input", TYPES}, {"target_type", TYPES}, {NULL}};
static const struct sumi_port out[] = {{"output", TYPES}, {NULL}};

static const struct sumi_case cast_cases[] = {
    {"g (float[3,37] x) => (y) { y = Cast <to = 7> (x) }", .low = -9, .high = 9},
    {"g (float[3,37] x) => (y) { y = Cast <to = 10> (x) }", .why = "to float16"},
    {"g (int64[37] x) => (y) { y = Cast <to = 1> (x) }"},
    {"g (float[37] x) => (y) { y = Cast <to = 22> (x) }", .low = -12, .high = 12,
     .why = "to int4: packed, odd count, wraps"},
    {"g (float[37] x) => (y) { y = Cast <to = 17> (x) }", .low = -600, .high = 600,
     .why = "to float8: saturates"},
    {"g (bool[37] x) => (y) { y = Cast <to = 1> (x) }"},
    {"g (float[3,37] x) => (y) { y = Cast <to = 3> (x) }", .low = -600, .high = 600, .why = "to int8: wraps"},
    {"g (int32[37] x) => (y) { y = Cast <to = 2> (x) }", .low = -600, .high = 600, .why = "to uint8: wraps"},
    {"g (float[3,37] x) => (y) { y = Cast <to = 16> (x) }", .why = "to bfloat16"},
    {"g (float[3,37] x) => (y) { h = Cast <to = 16> (x) y = Cast <to = 6> (h) }", .low = -9, .high = 9},
    {"g (int32[37] x) => (y) { y = Cast <to = 9> (x) }", .low = -2, .high = 2, .why = "to bool"},
    {NULL},
};
static const struct sumi_case like_cases[] = {
    {"g (float[5] x, double[1] t) => (y) { y = CastLike (x, t) }"},
    {"g (float[3,37] x, int8 t) => (y) { y = CastLike (x, t) }", .low = -9, .high = 9},
    {NULL},
};

const struct sumi_op sumi_op_cast = {
    .name = "Cast",
    .formula = "x in another type",
    .known_as = {{"", "Cast", {1, 6, 9, 13, 19, 21, 23, 24, 25, 28}}},
    .attrs = cast_attrs,
    .in = cast_in,
    .out = out,
    .infer = cast_infer,
    .by_item = sumi_by_item_first,
    .ref = cast_ref,
    .cells = cast_cells,
    .lower = cast_lower,
    .lanes = cast_lanes,
    .grad = sumi_cast_grad,
    .cases = cast_cases,
};

const struct sumi_op sumi_op_cast_like = {
    .name = "CastLike",
    .formula = "x in the type of another",
    .known_as = {{"", "CastLike", {15, 19, 21, 23, 24, 25}}},
    .attrs = like_attrs,
    .in = like_in,
    .out = out,
    .infer = cast_like_infer,
    .ref = cast_ref,
    .cells = cast_cells,
    .grad = sumi_cast_grad,
    .cases = like_cases,
};
