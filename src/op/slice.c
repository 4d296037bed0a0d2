/* Slice: along each listed axis the elements start, start + step, ... before end; all of every other axis.
 * Negative starts and ends count from the back, then both are clamped: to [0, dim] going forward, start to
 * [0, dim - 1] and end to [-1, dim - 1] going backward. Attributes before version 10 (no steps), inputs from
 * then on. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"

/* First element and number of elements of start:end:step over dim. */
static void resolve(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count) {
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
  if (start < 0) start += dim;
  if (end < 0) end += dim;
  start = SUMI_MAX(0, SUMI_MIN(start, high));
  end = SUMI_MAX(low, SUMI_MIN(end, high));
  const uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
  const int64_t span = step > 0 ? end - start : start - end;
  *first = start;
  *count = span <= 0 || dim == 0 ? 0 : 1 + (int64_t)((uint64_t)(span - 1) / stride);
}

/* What is known of starts, ends, axes and steps. */
struct bounds {
  int n; /* axes that are cut; -1: unknown */
  int axis[SUMI_MAX_RANK];
  const int64_t *start, *end, *step; /* [n], NULL: unknown; step NULL with unit: all 1 */
  bool exact_start, exact_end, unit;
};

static sumi_status read_list(struct sumi_infer *ctx, int input, const char *attr, const int64_t **v, int *n,
                             struct bounds *b) {
  int length = -1;
  if (sumi_infer_has(ctx, input)) SUMI_TRY(sumi_op_list_length(ctx, input, &length));
  SUMI_TRY(sumi_infer_ints_or_attr(ctx, input, attr, v, n));
  const int have = *n >= 0 ? *n : length;
  if (have >= 0 && b->n >= 0 && have != b->n)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s has %d entries, not %d", attr, have, b->n);
  if (have >= 0) b->n = have;
  if (*n < 0) *v = NULL;
  return SUMI_OK;
}

static sumi_status read_bounds(struct sumi_infer *ctx, struct bounds *b) {
  const int rank = ctx->in[0].rank;
  const int64_t *axes = NULL;
  int n;
  *b = (struct bounds){.n = -1};
  const bool by_attr = ctx->node->version < 10;
  if (by_attr ? !sumi_node_attr(ctx->node, "starts") || !sumi_node_attr(ctx->node, "ends")
              : !sumi_infer_has(ctx, 1) || !sumi_infer_has(ctx, 2))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "starts or ends are not given");
  SUMI_TRY(read_list(ctx, 1, "starts", &b->start, &n, b));
  SUMI_TRY(read_list(ctx, 2, "ends", &b->end, &n, b));
  b->exact_start = by_attr || ctx->in[1].data;
  b->exact_end = by_attr || ctx->in[2].data;
  b->unit = !sumi_infer_has(ctx, 4);
  if (!b->unit) {
    SUMI_TRY(read_list(ctx, 4, "steps", &b->step, &n, b));
    if (!ctx->in[4].data) b->step = NULL; /* a step found by inference is not worth its sign */
    for (int i = 0; b->step && i < n; i++)
      if (b->step[i] == 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "steps[%d] is 0", i);
  }
  const bool listed = sumi_infer_has(ctx, 3) || sumi_node_attr(ctx->node, "axes");
  if (listed) SUMI_TRY(read_list(ctx, 3, "axes", &axes, &n, b));
  if (b->n > SUMI_MAX_RANK) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "%d axes", b->n);
  if (rank < 0 || b->n < 0) return SUMI_OK;
  if (b->n > rank) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "%d axes are cut, the rank is %d", b->n, rank);
  if (listed && !axes) {
    b->n = -1;
  } else if (listed) {
    SUMI_TRY(sumi_op_axes(axes, b->n, rank, b->axis, ctx->err));
  } else {
    for (int i = 0; i < b->n; i++) b->axis[i] = i;
  }
  return SUMI_OK;
}

/* One end of the range as a dim in [0, dim], going forward. */
static sumi_dim clamp(struct sumi_symbols *s, sumi_dim dim, int64_t v, bool exact) {
  if (exact && v < 0)
    return v == INT64_MIN || v < -INT32_MAX ? 0
                                            : sumi_dim_apply(s, SUMI_DIM_MAX, sumi_dim_sub(s, dim, -v), 0);
  if (exact && v >= INT32_MAX && dim < 0) return dim; /* the usual way to say "to the end" */
  return v == 0 ? 0 : sumi_dim_apply(s, SUMI_DIM_MIN, v, dim);
}

/* The output's dim along cut i. */
static sumi_dim cut(struct sumi_symbols *s, sumi_dim dim, const struct bounds *b, int i) {
  if (!b->start || !b->end || (!b->unit && !b->step)) return SUMI_DIM_UNKNOWN;
  const int64_t step = b->unit ? 1 : b->step[i], start = b->start[i], end = b->end[i];
  if (dim >= 0 && b->exact_start && b->exact_end) {
    int64_t first, count;
    resolve(dim, start, end, step, &first, &count);
    return count;
  }
  if (step < 0) {
    const bool all =
        b->exact_start && b->exact_end && (start == -1 || start >= INT32_MAX) && end <= -INT32_MAX;
    return all && step == -1 ? dim : SUMI_DIM_UNKNOWN;
  }
  const sumi_dim from = clamp(s, dim, start, b->exact_start), to = clamp(s, dim, end, b->exact_end);
  const sumi_dim span = from == 0 ? to : sumi_dim_apply(s, SUMI_DIM_MAX, sumi_dim_sub(s, to, from), 0);
  return step == 1 ? span : sumi_dim_div(s, sumi_dim_add(s, span, step - 1), step);
}

static sumi_status slice_contents(struct sumi_infer *ctx, const struct bounds *b) {
  const struct sumi_info *in = &ctx->in[0];
  if (in->rank != 1 || !in->content || b->n != 1 || !b->start || !b->end || !b->exact_start || !b->exact_end)
    return SUMI_OK;
  if (!b->unit && !b->step) return SUMI_OK;
  int64_t first, count;
  const int64_t step = b->unit ? 1 : b->step[0];
  resolve(in->n_content, b->start[0], b->end[0], step, &first, &count);
  sumi_dim content[SUMI_MAX_RANK];
  for (int64_t i = 0; i < count && i < SUMI_MAX_RANK; i++) content[i] = in->content[first + i * step];
  return sumi_infer_content(ctx, 0, content, (int)count);
}

static sumi_status slice_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  struct bounds b;
  SUMI_TRY(read_bounds(ctx, &b));
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < in->rank; i++) dim[i] = b.n < 0 ? SUMI_DIM_UNKNOWN : in->dim[i];
  for (int i = 0; in->rank >= 0 && i < b.n; i++)
    dim[b.axis[i]] = cut(ctx->symbols, in->dim[b.axis[i]], &b, i);
  sumi_infer_out(ctx, 0, in->dtype, in->rank, dim);
  return slice_contents(ctx, &b);
}

static sumi_status slice_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int64_t buf[4][4 * SUMI_MAX_RANK], from[SUMI_MAX_RANK], to[SUMI_MAX_RANK], at = 0;
  const int64_t *start, *end, *axes, *steps;
  int n, n_end, n_axes, n_steps, axis[SUMI_MAX_RANK];
  SUMI_TRY(sumi_call_ints_or_attr(c, 1, "starts", buf[0], &start, &n));
  SUMI_TRY(sumi_call_ints_or_attr(c, 2, "ends", buf[1], &end, &n_end));
  SUMI_TRY(sumi_call_ints_or_attr(c, 3, "axes", buf[2], &axes, &n_axes));
  SUMI_TRY(sumi_call_ints_or_attr(c, 4, "steps", buf[3], &steps, &n_steps));
  if (n_axes) SUMI_TRY(sumi_op_axes(axes, n_axes, x->rank, axis, c->err));
  sumi_moves_in(m, 0, from);
  sumi_moves_out(m, 0, to);
  for (int i = 0; i < n; i++) {
    const int a = n_axes ? axis[i] : i;
    const int64_t step = n_steps ? steps[i] : 1;
    int64_t first, count;
    resolve(x->dim[a], start[i], end[i], step, &first, &count);
    at += first * from[a];
    from[a] = count > 1 ? from[a] * step : 0; /* a step past the only element may be any number */
  }
  return sumi_moves_add(m, y->rank, y->dim, 0, 0, to, 0, at, from);
}

static sumi_status slice_ref(const struct sumi_call *c) { return sumi_moves_run(c, slice_moves); }
static sumi_status slice_lower(struct sumi_lower *l) { return sumi_moves_lower(l, slice_moves, 1); }
static sumi_status slice_cells(struct sumi_cells *c) { return sumi_moves_cells(c, slice_moves, 1); }

static const struct sumi_attr_spec attrs[] = {
    {"starts", SUMI_ATTR_INTS, false, 10},
    {"ends", SUMI_ATTR_INTS, false, 10},
    {"axes", SUMI_ATTR_INTS, false, 10},
    {NULL},
};
static const struct sumi_port in[] = {
    {"data", SUMI_ANY, 'T'},
    {"starts", SUMI_INDICES, 'i', SUMI_PORT_OPTIONAL},
    {"ends", SUMI_INDICES, 'i', SUMI_PORT_OPTIONAL},
    {"axes", SUMI_INDICES, 'i', SUMI_PORT_OPTIONAL},
    {"steps", SUMI_INDICES, 'i', SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[5,6] x) => (y) <int64[2] s = {1, 0}, int64[2] e = {3, -1}> { y = Slice (x, s, e) }"},
    {"g (float[5,6] x) => (y) <int64[1] s = {9}, int64[1] e = {-9}, int64[1] a = {-1}, int64[1] t = {-2}>"
     " { y = Slice (x, s, e, a, t) }",
     .why = "backward, both ends clamped"},
    {"g (float[5,6] x) => (y) <int64[1] s = {4}, int64[1] e = {2}, int64[1] a = {0}> { y = Slice (x, s, e, "
     "a) }",
     .why = "empty"},
    {"g (float[7] x) => (y) <int64[1] s = {-9223372036854775807}, int64[1] e = {9223372036854775807}, "
     "int64[1] a = {0},"
     " int64[1] t = {9223372036854775807}> { y = Slice (x, s, e, a, t) }",
     .why = "no overflow"},
    {"<opset_import: [\"\": 9]> g (float[5,6] x) => (y) { y = Slice <starts = [2], ends = [1000], axes = "
     "[1]> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_slice = {
    .name = "Slice",
    .formula = "x[start:end:step] along axes",
    .known_as = {{"", "Slice", {1, 10, 11, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = slice_infer,
    .flags = SUMI_OP_MOVES,
    .ref = slice_ref,
    .lower = slice_lower,
    .cells = slice_cells,
    .grad = sumi_slice_grad,
    .cases = cases,
};
