/* The Reduce operators: combine the elements along axes (all axes where none are given) into one. Floats
 * accumulate in double precision, integers modulo 2^64 (L2, LogSum and LogSumExp of integers in double).
 * The mean of integers truncates. Over no elements: the operation's neutral element, or the type's lowest
 * or largest. Axes are an attribute before version 18 (ReduceSum: 13) and an input from then on. */
#include <math.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/op_util.h"
#include "op/reduce.h"
#include "op/reduce_lower.h"
#include "op/rows_cells.h"

/* x seen as loops over kept dims and loops over reduced dims, neighbours of a kind joined. inner: the last
 * loop of either kind that is contiguous in memory; it is not among the others. */
struct loops {
  int n_keep, n_reduce;
  int64_t keep[SUMI_MAX_RANK], keep_stride[SUMI_MAX_RANK];
  int64_t reduce[SUMI_MAX_RANK], reduce_stride[SUMI_MAX_RANK];
  int64_t inner; /* its length */
  bool inner_reduced;
  int64_t count; /* elements combined into one */
};

/* How a lane's elements are combined. acc is double for floats, int64_t or uint64_t for integers. */
struct combine {
  void (*start)(void *acc, int64_t n);                 /* the neutral element */
  void (*row)(void *acc, const void *x, int64_t n);    /* x[n] into acc[0] */
  void (*column)(void *acc, const void *x, int64_t n); /* x[n] into acc[n], each into its own */
};

enum finish { PLAIN, MEAN, ROOT, LOG };

struct reduction {
  bool double_only; /* integers are computed in double as well */
  enum finish finish;
  int dim_op; /* of symbolic contents; -1 = none */
  double
      empty; /* the result over no elements: 0, 1, or -1 / 1 times infinity (integers: lowest or largest) */
  struct combine of[SUMI_N_LANES];
};

/* Eight accumulators make a row's sum as wide as the vectors, and more exact than one. */
enum { WIDE = 8, BLOCK = 128 };

/* COMBINE(name, element type, accumulator type, neutral, acc with x, acc with acc) */
#define COMBINE(name, T, A, neutral, step, join)                     \
  static void name##_start(void *to, int64_t n) {                    \
    A *acc = to;                                                     \
    for (int64_t i = 0; i < n; i++) acc[i] = neutral;                \
  }                                                                  \
  static void name##_row(void *to, const void *from, int64_t n) {    \
    const T *p = from;                                               \
    A part[WIDE], *acc = to;                                         \
    for (int k = 0; k < WIDE; k++) part[k] = neutral;                \
    int64_t i = 0;                                                   \
    for (; i + WIDE <= n; i += WIDE)                                 \
      for (int k = 0; k < WIDE; k++) {                               \
        const A a = part[k], x = (A)p[i + k];                        \
        part[k] = step;                                              \
      }                                                              \
    for (; i < n; i++) {                                             \
      const A a = part[0], x = (A)p[i];                              \
      part[0] = step;                                                \
    }                                                                \
    for (int k = 0; k < WIDE; k++) {                                 \
      const A a = *acc, x = part[k];                                 \
      *acc = join;                                                   \
    }                                                                \
  }                                                                  \
  static void name##_column(void *to, const void *from, int64_t n) { \
    const T *p = from;                                               \
    A *acc = to;                                                     \
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                     \
      const A a = acc[i], x = (A)p[i];                               \
      acc[i] = step;                                                 \
    }                                                                \
  }

#define PARTS(name) \
  { name##_start, name##_row, name##_column }
#define ALL(name) \
  { PARTS(name##_f32), PARTS(name##_f64), PARTS(name##_i64), PARTS(name##_u64) }

/* REDUCTION(name, neutral, neutral of int64_t and of uint64_t, step, its form for integers, join, its form
 * for integers) */
#define REDUCTION(name, zero, zero_i, zero_u, step, step_i, join, join_i) \
  COMBINE(name##_f32, float, double, zero, step, join)                    \
  COMBINE(name##_f64, double, double, zero, step, join)                   \
  COMBINE(name##_i64, int64_t, int64_t, zero_i, step_i, join_i)           \
  COMBINE(name##_u64, uint64_t, uint64_t, zero_u, step_i, join_i)

/* Integers add and multiply as unsigned numbers: they wrap. */
#define PLUS(a, x) ((uint64_t)(a) + (uint64_t)(x))
#define TIMES(a, x) ((uint64_t)(a) * (uint64_t)(x))
REDUCTION(sum, 0, 0, 0, a + x, PLUS(a, x), a + x, PLUS(a, x))
REDUCTION(squares, 0, 0, 0, a + x * x, PLUS(a, TIMES(x, x)), a + x, PLUS(a, x))
REDUCTION(magnitudes, 0, 0, 0, a + fabs(x), x > 0 ? PLUS(a, x) : (uint64_t)a - (uint64_t)x, a + x, PLUS(a, x))
REDUCTION(product, 1, 1, 1, a *x, TIMES(a, x), a *x, TIMES(a, x))
/* Once a is a NaN no comparison replaces it. */
REDUCTION(largest, -INFINITY, INT64_MIN, 0, ((x > a) | (x != x)) ? x : a, x > a ? x : a,
          ((x > a) | (x != x)) ? x : a, x > a ? x : a)
REDUCTION(smallest, INFINITY, INT64_MAX, UINT64_MAX, ((x < a) | (x != x)) ? x : a, x < a ? x : a,
          ((x < a) | (x != x)) ? x : a, x < a ? x : a)

/* ---- shapes -------------------------------------------------------------------------------------------- */

/* Whether axes are an input at this version. */
static bool axes_are_input(const struct sumi_node *node) {
  return node->version >= (sumi_streq(node->op->name, "ReduceSum") ? 13 : 18);
}

/* Marks the reduced dims of a tensor of this rank. */
static sumi_status mark(const struct sumi_node *node, int rank, const int64_t *axes, int n, bool *reduced,
                        struct sumi_err *err) {
  const bool all = !n && !(axes_are_input(node) && sumi_attr_int(node, "noop_with_empty_axes", 0));
  for (int i = 0; i < rank; i++) reduced[i] = all;
  for (int i = 0; i < n; i++) {
    int axis;
    SUMI_TRY(sumi_axis(axes[i], rank, &axis, err));
    if (reduced[axis]) SUMI_FAIL(err, SUMI_E_VALUE, "axis %d is given twice", axis);
    reduced[axis] = true;
  }
  return SUMI_OK;
}

/* The shape where only the number of axes is known, or not even that. */
static void infer_vaguely(struct sumi_infer *ctx, const struct sumi_info *x, bool keep) {
  const struct sumi_info *axes = &ctx->in[1];
  const bool counted = axes->rank == 1 && axes->dim[0] > 0 && axes->dim[0] <= x->rank;
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < SUMI_MAX_RANK; i++) dim[i] = SUMI_DIM_UNKNOWN;
  if (x->rank >= 0 && (keep || counted))
    sumi_infer_out(ctx, 0, x->dtype, keep ? x->rank : x->rank - (int)axes->dim[0], dim);
  else
    sumi_infer_out_unknown(ctx, 0, x->dtype);
}

static sumi_status infer(struct sumi_infer *ctx, int dim_op) {
  const struct sumi_info *x = &ctx->in[0];
  const bool keep = sumi_attr_int(ctx->node, "keepdims", 1) != 0;
  const int64_t *axes;
  int n;
  if (sumi_infer_has(ctx, 1) && ctx->in[1].rank > 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the axes have rank %d, not 1", ctx->in[1].rank);
  SUMI_TRY(sumi_infer_ints_or_attr(ctx, 1, "axes", &axes, &n));
  if (n < 0 || x->rank < 0) {
    infer_vaguely(ctx, x, keep);
    return SUMI_OK;
  }
  bool reduced[SUMI_MAX_RANK];
  SUMI_TRY(mark(ctx->node, x->rank, axes, n, reduced, ctx->err));
  sumi_dim dim[SUMI_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < x->rank; i++)
    if (!reduced[i] || keep) dim[rank++] = reduced[i] ? 1 : x->dim[i];
  sumi_infer_out(ctx, 0, x->dtype, rank, dim);
  const int n_content = sumi_content_count(x);
  if (dim_op < 0 || n_content <= 0 || (x->rank && !reduced[0])) return SUMI_OK;
  sumi_dim content = sumi_content_at(x, 0);
  for (int i = 1; i < n_content; i++)
    content = sumi_dim_apply(ctx->symbols, (enum sumi_dim_op)dim_op, content, sumi_content_at(x, i));
  return sumi_infer_content(ctx, 0, &content, 1);
}

sumi_status sumi_reduce_axes(const struct sumi_call *c, bool *reduced) {
  int64_t buffer[SUMI_MAX_RANK * 4];
  const int64_t *axes;
  int n;
  SUMI_TRY(sumi_call_ints_or_attr(c, 1, "axes", buffer, &axes, &n));
  return mark(c->node, c->in[0]->rank, axes, n, reduced, c->err);
}

static sumi_status find_loops(const struct sumi_call *c, struct loops *l) {
  const struct sumi_tensor *x = c->in[0];
  int64_t stride[SUMI_MAX_RANK];
  bool reduced[SUMI_MAX_RANK];
  SUMI_TRY(sumi_reduce_axes(c, reduced));
  sumi_strides(x->dim, x->rank, stride);
  *l = (struct loops){.inner = 1, .count = 1};
  int last = -1; /* the kind of the dim behind, -1 = none yet */
  /* collected from the last dim to the first: joined while the kind stays */
  for (int i = x->rank - 1; i >= 0; i--) {
    if (reduced[i]) l->count *= x->dim[i];
    if (x->dim[i] == 1) continue;
    if (last < 0) l->inner_reduced = reduced[i];
    const bool first_kind = reduced[i] == l->inner_reduced && !l->n_keep && !l->n_reduce;
    int *count = reduced[i] ? &l->n_reduce : &l->n_keep;
    int64_t *dim = reduced[i] ? l->reduce : l->keep, *step = reduced[i] ? l->reduce_stride : l->keep_stride;
    if (first_kind) {
      l->inner *= x->dim[i];
    } else if (last == reduced[i] && *count) {
      dim[*count - 1] *= x->dim[i];
    } else {
      dim[*count] = x->dim[i];
      step[(*count)++] = stride[i];
    }
    last = reduced[i];
  }
  for (int kind = 0; kind < 2; kind++) { /* turned round: row-major walks */
    int64_t *dim = kind ? l->reduce : l->keep, *step = kind ? l->reduce_stride : l->keep_stride;
    for (int i = 0, j = (kind ? l->n_reduce : l->n_keep) - 1; i < j; i++, j--) {
      const int64_t d = dim[i], s = step[i];
      dim[i] = dim[j], step[i] = step[j];
      dim[j] = d, step[j] = s;
    }
  }
  return SUMI_OK;
}

/* ---- running ------------------------------------------------------------------------------------------- */

union accumulators {
  double f64[BLOCK];
  int64_t i64[BLOCK];
  uint64_t u64[BLOCK];
};

/* Writes n results from accumulators. */
static void finish(const struct reduction *r, const struct sumi_tensor *y, int64_t at, int64_t n,
                   union accumulators *acc, enum sumi_lane lane, int64_t count) {
  for (int64_t i = 0; i < n; i++) {
    if (r->finish == ROOT) acc->f64[i] = sqrt(acc->f64[i]);
    if (r->finish == LOG) acc->f64[i] = log(acc->f64[i]);
    if (r->finish != MEAN) continue;
    if (lane <= SUMI_LANE_F64)
      acc->f64[i] /= (double)count;
    else if (lane == SUMI_LANE_I64)
      acc->i64[i] /= count;
    else
      acc->u64[i] /= (uint64_t)count;
  }
  sumi_lane_store(lane <= SUMI_LANE_F64 ? SUMI_LANE_F64 : lane, y->dtype, y->data, at, n, acc);
}

/* The result over no elements. */
static void fill_empty(const struct reduction *r, const struct sumi_tensor *y) {
  const int64_t n = sumi_tensor_count(y);
  double value = r->finish == MEAN ? NAN : r->finish == LOG ? -INFINITY : r->empty;
  const int bits = sumi_dtype_bits(y->dtype);
  const bool is_signed = sumi_dtype_class(y->dtype) == 'I', is_float = sumi_dtype_is_float(y->dtype);
  uint64_t whole = isnan(value) || value == 0 ? 0 : (uint64_t)1; /* what integers get */
  if (isinf(value)) {
    const uint64_t ones = UINT64_MAX >> (64 - (y->dtype == SUMI_BOOL ? 1 : bits));
    whole = is_signed ? (value > 0 ? ones >> 1 : ~(ones >> 1)) : value > 0 ? ones : 0;
  }
  for (int64_t i = 0; i < n; i++) {
    if (is_float)
      sumi_set_f64(y->dtype, y->data, i, value);
    else
      sumi_set_i64(y->dtype, y->data, i, (int64_t)whole);
  }
}

/* Combines n contiguous elements of x from `at` on into acc: one accumulator, or n. Whatever the lane, they are 64 bits
 * apart. */
static void take(void (*into)(void *, const void *, int64_t), enum sumi_lane lane,
                 const struct sumi_tensor *x, int64_t at, int64_t n, bool one, double *acc) {
  if (sumi_lane_direct(lane, x->dtype)) {
    into(acc, (const char *)x->data + (size_t)at * sumi_lane_bytes(lane), n);
    return;
  }
  _Alignas(16) char chunk[SUMI_LANE_CHUNK * 8];
  for (int64_t i = 0; i < n; i += SUMI_LANE_CHUNK) {
    const int64_t count = SUMI_MIN(n - i, SUMI_LANE_CHUNK);
    sumi_lane_load(lane, x->dtype, x->data, at + i, count, chunk);
    into(one ? acc : acc + i, chunk, count);
  }
}

/* The inner loop is reduced: each row goes into one accumulator, a block of them is finished together. */
static void run_rows(const struct sumi_call *c, const struct reduction *r, const struct loops *l,
                     enum sumi_lane lane) {
  const struct combine *with = &r->of[lane];
  union accumulators acc;
  int64_t at = 0, n = 0;
  for (struct sumi_walk k = sumi_walk_start(l->n_keep, l->keep, l->keep_stride, NULL, NULL, NULL); !k.done;
       sumi_walk_next(&k)) {
    if (!n) with->start(&acc, BLOCK);
    if (!l->n_reduce)
      take(with->row, lane, c->in[0], k.offset[0], l->inner, true, &acc.f64[n]);
    else
      for (struct sumi_walk w = sumi_walk_start(l->n_reduce, l->reduce, l->reduce_stride, NULL, NULL, NULL);
           !w.done; sumi_walk_next(&w))
        take(with->row, lane, c->in[0], k.offset[0] + w.offset[0], l->inner, true, &acc.f64[n]);
    if (++n < BLOCK) continue;
    finish(r, c->out[0], at, n, &acc, lane, l->count);
    at += n;
    n = 0;
  }
  finish(r, c->out[0], at, n, &acc, lane, l->count);
}

/* The inner loop is kept: rows are combined column by column. */
static void run_columns(const struct sumi_call *c, const struct reduction *r, const struct loops *l,
                        enum sumi_lane lane) {
  const struct combine *with = &r->of[lane];
  union accumulators acc;
  int64_t at = 0;
  for (struct sumi_walk k = sumi_walk_start(l->n_keep, l->keep, l->keep_stride, NULL, NULL, NULL); !k.done;
       sumi_walk_next(&k))
    for (int64_t j = 0; j < l->inner; j += BLOCK) {
      const int64_t n = SUMI_MIN(l->inner - j, BLOCK);
      with->start(&acc, n);
      for (struct sumi_walk w = sumi_walk_start(l->n_reduce, l->reduce, l->reduce_stride, NULL, NULL, NULL);
           !w.done; sumi_walk_next(&w))
        take(with->column, lane, c->in[0], k.offset[0] + w.offset[0] + j, n, false, acc.f64);
      finish(r, c->out[0], at, n, &acc, lane, l->count);
      at += n;
    }
}

static sumi_status run(const struct sumi_call *c, const struct reduction *r) {
  struct loops l;
  SUMI_TRY(find_loops(c, &l));
  enum sumi_lane lane = sumi_lane_of(c->in[0]->dtype);
  if (r->double_only && lane > SUMI_LANE_F64) lane = SUMI_LANE_F64;
  if (!l.count)
    fill_empty(r, c->out[0]);
  else if (l.inner_reduced)
    run_rows(c, r, &l, lane);
  else
    run_columns(c, r, &l, lane);
  return SUMI_OK;
}

/* m + ln(sum(exp(x - m))) with m the largest: nothing overflows. Where m is infinite, m is the result. */
static sumi_status log_sum_exp_ref(const struct sumi_call *c) {
  static const struct reduction r = {.finish = LOG};
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  struct loops l;
  SUMI_TRY(find_loops(c, &l));
  if (!l.count) fill_empty(&r, y);
  if (!l.count) return SUMI_OK;
  const int64_t width = l.inner_reduced ? 1 : l.inner, depth = l.inner_reduced ? l.inner : 1;
  int64_t at = 0;
  for (struct sumi_walk k = sumi_walk_start(l.n_keep, l.keep, l.keep_stride, NULL, NULL, NULL); !k.done;
       sumi_walk_next(&k))
    for (int64_t j = 0; j < width; j++) {
      double m = -INFINITY, sum = 0;
      for (int pass = 0; pass < 2; pass++)
        for (struct sumi_walk w = sumi_walk_start(l.n_reduce, l.reduce, l.reduce_stride, NULL, NULL, NULL);
             !w.done; sumi_walk_next(&w))
          for (int64_t i = 0; i < depth; i++) {
            const double v = sumi_get_f64(x->dtype, x->data, k.offset[0] + w.offset[0] + j + i);
            if (pass)
              sum += exp(v - m);
            else
              m = v > m || isnan(v) ? v : m;
          }
      sumi_set_f64(y->dtype, y->data, at++, isinf(m) ? m : m + log(sum));
    }
  return SUMI_OK;
}

/* ---- descriptors --------------------------------------------------------------------------------------- */

/* Whole numbers: the same formulas of integers, which wrap; NULL = the host's. */
static sumi_status reduce_cells(struct sumi_cells *c, enum sumi_reduction_kind kind, const char *each,
                                const char *last, bool whole) {
  const struct sumi_tensor *x = c->in[0];
  if (sumi_cells_has(c, 1) && !c->in[1]->data) return sumi_cells_refuse(c, "the axes are not constant");
  if (!whole && !sumi_dtype_is_float(x->dtype))
    return sumi_cells_refuse(c, "integers are not combined like this");
  if (!sumi_tensor_count(x)) return sumi_cells_refuse(c, "an empty tensor");
  const struct sumi_call call = sumi_cells_call(c);
  bool reduced[SUMI_MAX_RANK];
  SUMI_TRY(sumi_reduce_axes(&call, reduced));
  const struct sumi_seen from = sumi_see(c, 0), to = sumi_see_reduced(c, reduced);
  const struct sumi_reduction r = {kind, each, last};
  return sumi_reduce_cells(c, &from, sumi_seen_set(reduced, x->rank), &r, &to);
}
static sumi_status reduce_sum_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_SUM, NULL, NULL, true);
}
static sumi_status reduce_mean_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_SUM, NULL, "a / b", false);
}
static sumi_status reduce_max_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_MAX, NULL, NULL, true);
}
static sumi_status reduce_min_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_MIN, NULL, NULL, true);
}
static sumi_status reduce_l1_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_SUM,
                      sumi_dtype_is_float(c->in[0]->dtype) ? "fabsf(a)" : "a < 0 ? -a : a", NULL, true);
}
static sumi_status reduce_l2_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_SUM, "a * a", "sqrtf(a)", false);
}
static sumi_status reduce_sum_square_cells(struct sumi_cells *c) {
  return reduce_cells(c, SUMI_REDUCTION_SUM, "a * a", NULL, true);
}
/* Products and logarithms are no reductions of the card. */
#define reduce_prod_cells NULL
#define reduce_log_sum_cells NULL
#define reduce_log_sum_exp_cells NULL

static const struct sumi_attr_spec attrs_18[] = {{"axes", SUMI_ATTR_INTS, false, 18},
                                                 {"keepdims", SUMI_ATTR_INT},
                                                 {"noop_with_empty_axes", SUMI_ATTR_INT},
                                                 {NULL}};
static const struct sumi_attr_spec attrs_13[] = {{"axes", SUMI_ATTR_INTS, false, 13},
                                                 {"keepdims", SUMI_ATTR_INT},
                                                 {"noop_with_empty_axes", SUMI_ATTR_INT},
                                                 {NULL}};
#define TYPES (SUMI_NUMBERS | SUMI_BIT(SUMI_BOOL))
#define AXES \
  { "axes", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL }
static const struct sumi_port number_in[] = {{"data", SUMI_NUMBERS, 'T'}, AXES, {NULL}};
static const struct sumi_port number_out[] = {{"reduced", SUMI_NUMBERS, 'T'}, {NULL}};
static const struct sumi_port bool_in[] = {{"data", TYPES, 'T'}, AXES, {NULL}};
static const struct sumi_port bool_out[] = {{"reduced", TYPES, 'T'}, {NULL}};

static bool reduce_by_item(const struct sumi_call *c, const bool *carries) {
  bool reduced[SUMI_MAX_RANK] = {false};
  return sumi_by_item_first(c, carries) && sumi_reduce_axes(c, reduced) == SUMI_OK && !reduced[0];
}

#define LIST(...) \
  { __VA_ARGS__ }
#define DESCRIPTOR(symbol, label, text, versions, attr_list, dim_op, in_ports, out_ports, rule)        \
  static sumi_status symbol##_infer(struct sumi_infer *ctx) { return infer(ctx, dim_op); }             \
  static const struct sumi_case symbol##_cases[] = {                                                   \
      {"<opset_import: [\"\": 11]> g (float[2,3,4,37] x) => (y) { y = " label " <axes = [-1]> (x) }",  \
       .rtol = 1e-6, .why = "other orders of summing"},                                                \
      {"<opset_import: [\"\": 11]> g (float[2,3,5,7] x) => (y) { y = " label                           \
       " <axes = [2, 3], keepdims = 0> (x) }",                                                         \
       .rtol = 1e-6},                                                                                  \
      {"<opset_import: [\"\": 11]> g (float[5,3,7] x) => (y) { y = " label " <axes = [1]> (x) }",      \
       .rtol = 1e-6},                                                                                  \
      {"<opset_import: [\"\": 11]> g (float[2,3,4,5] x) => (y) { y = " label " <axes = [0, 2]> (x) }", \
       .rtol = 1e-6},                                                                                  \
      {"g (int32[4,5] x) => (y) <int64[1] axes = {0}> { y = " label " (x, axes) }"},                   \
      {"g (float16[70] x) => (y) { y = " label " <keepdims = 0> (x) }", .rtol = 1e-3},                 \
      {NULL},                                                                                          \
  };                                                                                                   \
  const struct sumi_op sumi_op_##symbol = {                                                            \
      .name = label,                                                                                   \
      .formula = text,                                                                                 \
      .known_as = {{"", label, LIST versions}},                                                        \
      .attrs = attr_list,                                                                              \
      .in = in_ports,                                                                                  \
      .out = out_ports,                                                                                \
      .infer = symbol##_infer,                                                                         \
      .by_item = reduce_by_item,                                                                       \
      .ref = symbol##_ref,                                                                             \
      .lower = sumi_reduce_lower,                                                                      \
      .cells = symbol##_cells,                                                                         \
      .grad = rule,                                                                                    \
      .cases = symbol##_cases,                                                                         \
  };

/* REDUCE(symbol, name, formula, versions, attributes, what is combined, then, only in double, over no
 * elements, symbolic dims, ports, gradient) */
#define REDUCE(symbol, label, text, versions, attr_list, how, then, in_double, none, symbolic, in_ports, \
               out_ports, rule)                                                                          \
  static const struct reduction symbol##_how = {                                                         \
      .double_only = in_double, .finish = then, .dim_op = symbolic, .empty = none, .of = ALL(how)};      \
  static sumi_status symbol##_ref(const struct sumi_call *c) { return run(c, &symbol##_how); }           \
  DESCRIPTOR(symbol, label, text, versions, attr_list, symbolic, in_ports, out_ports, rule)

REDUCE(reduce_sum, "ReduceSum", "sum of x", (1, 11, 13), attrs_13, sum, PLAIN, false, 0, SUMI_DIM_ADD,
       number_in, number_out, sumi_reduce_sum_grad)
REDUCE(reduce_mean, "ReduceMean", "sum of x / n", (1, 11, 13, 18), attrs_18, sum, MEAN, false, 0, -1,
       number_in, number_out, sumi_reduce_mean_grad)
REDUCE(reduce_prod, "ReduceProd", "product of x", (1, 11, 13, 18), attrs_18, product, PLAIN, false, 1,
       SUMI_DIM_MUL, number_in, number_out, NULL)
REDUCE(reduce_max, "ReduceMax", "largest x", (1, 11, 12, 13, 18, 20), attrs_18, largest, PLAIN, false,
       -INFINITY, SUMI_DIM_MAX, bool_in, bool_out, NULL)
REDUCE(reduce_min, "ReduceMin", "smallest x", (1, 11, 12, 13, 18, 20), attrs_18, smallest, PLAIN, false,
       INFINITY, SUMI_DIM_MIN, bool_in, bool_out, NULL)
REDUCE(reduce_l1, "ReduceL1", "sum of |x|", (1, 11, 13, 18), attrs_18, magnitudes, PLAIN, false, 0, -1,
       number_in, number_out, sumi_reduce_l1_grad)
REDUCE(reduce_l2, "ReduceL2", "sqrt(sum of x^2)", (1, 11, 13, 18), attrs_18, squares, ROOT, true, 0, -1,
       number_in, number_out, sumi_reduce_l2_grad)
REDUCE(reduce_sum_square, "ReduceSumSquare", "sum of x^2", (1, 11, 13, 18), attrs_18, squares, PLAIN, false,
       0, -1, number_in, number_out, sumi_reduce_sum_square_grad)
REDUCE(reduce_log_sum, "ReduceLogSum", "ln(sum of x)", (1, 11, 13, 18, 28), attrs_18, sum, LOG, true, 0, -1,
       number_in, number_out, NULL)
#define reduce_log_sum_exp_ref log_sum_exp_ref
DESCRIPTOR(reduce_log_sum_exp, "ReduceLogSumExp", "ln(sum of exp(x))", (1, 11, 13, 18, 28), attrs_18, -1,
           number_in, number_out, NULL)
