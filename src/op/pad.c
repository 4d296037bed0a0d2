/* Pad: along each axis begin elements before and end after; negative pads crop first. mode says what the new
 * elements are: a constant, the edge, the reflection about the first and last element (repeated as often as
 * needed), or (from version 19) the other end of the axis. pads and value are attributes before version 11
 * ("paddings" in version 1), inputs from then on; axes (18) says which axes pads lists. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move.h"
#include "op/move_cells.h"
#include "op/op_util.h"
#include "op/pad.h"

static sumi_status mode_of(const struct sumi_node *node, enum sumi_pad_mode *mode, struct sumi_err *err) {
  static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
  const char *name = sumi_attr_string(node, "mode", "constant");
  const int known = node->version < 19 ? 3 : 4;
  int i = 0;
  while (i < known && !sumi_streq(name, names[i])) i++;
  if (i == known) SUMI_FAIL(err, SUMI_E_VALUE, "mode is '%s'", name);
  *mode = (enum sumi_pad_mode)i;
  return SUMI_OK;
}

static const char *pads_attr(const struct sumi_node *node) { return node->version < 2 ? "paddings" : "pads"; }

/* Spreads list[2 * n] over the axes (NULL: all) into begin and end. */
static sumi_status spread(const int64_t *list, int n, const int64_t *axes, int n_axes, int rank,
                          int64_t *begin, int64_t *end, struct sumi_err *err) {
  int axis[SUMI_MAX_RANK];
  const int cut = axes ? n_axes : rank;
  if (n != 2 * cut) SUMI_FAIL(err, SUMI_E_VALUE, "pads has %d entries, not %d", n, 2 * cut);
  if (axes) SUMI_TRY(sumi_op_axes(axes, n_axes, rank, axis, err));
  for (int i = 0; i < rank; i++) begin[i] = end[i] = 0;
  for (int i = 0; i < cut; i++) {
    const int a = axes ? axis[i] : i;
    begin[a] = list[i];
    end[a] = list[cut + i];
  }
  return SUMI_OK;
}

/* The dim padded; negative pads must not cut more than there is. */
static sumi_status padded(struct sumi_infer *ctx, enum sumi_pad_mode mode, int i, int64_t begin, int64_t end,
                          sumi_dim *dim) {
  const sumi_dim d = *dim;
  if (begin < -INT32_MAX || begin > INT64_MAX / 4 || end < -INT32_MAX || end > INT64_MAX / 4)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "the pads of dimension %d are %" PRId64 " and %" PRId64, i, begin, end);
  const int64_t cut = -SUMI_MIN(begin, 0) - SUMI_MIN(end, 0), more = SUMI_MAX(begin, 0) + SUMI_MAX(end, 0);
  if (d < 0) {
    *dim = sumi_dim_sub(ctx->symbols, sumi_dim_add(ctx->symbols, d, more), cut);
    return SUMI_OK;
  }
  if (cut > d || !sumi_i64_add(d - cut, more, dim))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 ", its pads are %" PRId64 " and %" PRId64, i,
              d, begin, end);
  if (mode != SUMI_PAD_CONSTANT && cut == d && more > 0)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d has nothing to take %" PRId64 " new elements from", i,
              more);
  return SUMI_OK;
}

static sumi_status pad_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  enum sumi_pad_mode mode = SUMI_PAD_CONSTANT;
  SUMI_TRY(mode_of(ctx->node, &mode, ctx->err));
  if (sumi_infer_has(ctx, 2)) {
    bool known;
    int64_t value;
    SUMI_TRY(sumi_op_scalar(ctx, 2, &known, &value));
  }
  if (!sumi_infer_has(ctx, 1) && !sumi_node_attr(ctx->node, pads_attr(ctx->node)))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are no pads");
  const int64_t *list, *axes = NULL;
  int n, n_axes = 0;
  SUMI_TRY(sumi_infer_ints_or_attr(ctx, 1, pads_attr(ctx->node), &list, &n));
  if (sumi_infer_has(ctx, 3)) SUMI_TRY(sumi_infer_ints(ctx, 3, &axes, &n_axes));
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < in->rank; i++) dim[i] = n < 0 || n_axes < 0 ? SUMI_DIM_UNKNOWN : in->dim[i];
  if (in->rank >= 0 && n >= 0 && n_axes >= 0) {
    const bool exact = !sumi_infer_has(ctx, 1) || ctx->in[1].data;
    int64_t begin[SUMI_MAX_RANK], end[SUMI_MAX_RANK];
    SUMI_TRY(spread(list, n, axes, n_axes, in->rank, begin, end, ctx->err));
    for (int i = 0; i < in->rank; i++) {
      if (exact)
        SUMI_TRY(padded(ctx, mode, i, begin[i], end[i], &dim[i]));
      else
        dim[i] = sumi_dim_add(ctx->symbols, sumi_dim_add(ctx->symbols, dim[i], begin[i]), end[i]);
    }
  }
  sumi_infer_out(ctx, 0, in->dtype, in->rank, dim);
  return SUMI_OK;
}

int64_t sumi_pad_source(enum sumi_pad_mode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (mode == SUMI_PAD_EDGE) return i < 0 ? 0 : n - 1;
  if (mode == SUMI_PAD_WRAP) return i % n + (i % n < 0 ? n : 0);
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1), k = i % period + (i % period < 0 ? period : 0);
  return k < n ? k : period - k;
}

/* The kept part of x: its dims, and where it begins in x and y. */
struct kept {
  int64_t dim[SUMI_MAX_RANK], begin[SUMI_MAX_RANK], from[SUMI_MAX_RANK],
      to[SUMI_MAX_RANK]; /* strides of x and y */
  int64_t x_first, y_first;
};

static void copy_kept(const struct sumi_tensor *x, const struct sumi_tensor *y, const struct kept *k) {
  sumi_move(x->dtype, x->rank, k->dim, y->data, k->y_first, k->to, x->data, k->x_first, k->from);
}

/* All but the constant mode: every row of y is the middle of a row of x between mirrored or repeated
 * elements. */
static void pad_rows(enum sumi_pad_mode mode, const struct sumi_tensor *x, const struct sumi_tensor *y,
                     const struct kept *k) {
  const int last = x->rank - 1;
  const int64_t n = k->dim[last], width = y->dim[last], begin = k->begin[last];
  const int64_t middle = SUMI_MIN(begin + n, width);
  int64_t row = 0;
  for (struct sumi_walk w = sumi_walk_start(last, y->dim, NULL, NULL, NULL, NULL); !w.done && width;
       sumi_walk_next(&w), row += width) {
    int64_t from = k->x_first;
    for (int i = 0; i < last; i++)
      from += sumi_pad_source(mode, w.index[i] - k->begin[i], k->dim[i]) * k->from[i];
    for (int64_t i = 0; i < begin; i++)
      sumi_copy(x->dtype, y->data, row + i, x->data, from + sumi_pad_source(mode, i - begin, n), 1);
    sumi_copy(x->dtype, y->data, row + begin, x->data, from, middle - begin);
    for (int64_t i = middle; i < width; i++)
      sumi_copy(x->dtype, y->data, row + i, x->data, from + sumi_pad_source(mode, i - begin, n), 1);
  }
}

sumi_status sumi_pad_resolve(const struct sumi_call *c, enum sumi_pad_mode *mode, int64_t *begin,
                             int64_t *end) {
  int64_t buf[2][4 * SUMI_MAX_RANK];
  const int64_t *list, *axes = NULL;
  int n, n_axes = 0;
  SUMI_TRY(mode_of(c->node, mode, c->err));
  SUMI_TRY(sumi_call_ints_or_attr(c, 1, pads_attr(c->node), buf[0], &list, &n));
  if (sumi_call_has(c, 3)) SUMI_TRY(sumi_call_ints_or_attr(c, 3, "axes", buf[1], &axes, &n_axes));
  return spread(list, n, axes, n_axes, c->in[0]->rank, begin, end, c->err);
}

static sumi_status pad_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  enum sumi_pad_mode mode;
  int64_t begin[SUMI_MAX_RANK], end[SUMI_MAX_RANK];
  SUMI_TRY(sumi_pad_resolve(c, &mode, begin, end));
  struct kept k = {.x_first = 0};
  sumi_strides(x->dim, x->rank, k.from);
  sumi_strides(y->dim, y->rank, k.to);
  for (int i = 0; i < x->rank; i++) {
    k.dim[i] = x->dim[i] + SUMI_MIN(begin[i], 0) + SUMI_MIN(end[i], 0);
    k.begin[i] = SUMI_MAX(begin[i], 0);
    k.x_first -= SUMI_MIN(begin[i], 0) * k.from[i];
    k.y_first += k.begin[i] * k.to[i];
  }
  if (mode != SUMI_PAD_CONSTANT && x->rank) {
    pad_rows(mode, x, y, &k);
    return SUMI_OK;
  }
  const bool has_value = sumi_call_has(c, 2) && sumi_tensor_count(c->in[2]) == 1;
  const float value = sumi_attr_float(c->node, "value", 0);
  sumi_fill(y->dtype, y->data, 0, sumi_tensor_count(y), has_value ? c->in[2]->data : NULL, 0);
  if (!has_value && value != 0 && sumi_tensor_count(y)) {
    sumi_set_f64(y->dtype, y->data, 0, value);
    sumi_fill(y->dtype, y->data, 1, sumi_tensor_count(y) - 1, y->data, 0);
  }
  copy_kept(x, y, &k);
  return SUMI_OK;
}

/* ---- cells --------------------------------------------------------------------------------------------------------- */

/* A stretch of an axis of y: elements [at, at + n) from source `from` on, `step` apart; from -1: filled. */
struct stretch {
  int64_t at, n, from, step;
};
enum { MOST_STRETCHES = 16 };

struct pad_cells {
  struct sumi_cells *c;
  struct stretch part[SUMI_MAX_RANK][MOST_STRETCHES];
  int parts[SUMI_MAX_RANK], rank;
  uint32_t fill;
};

static bool add_stretch(struct pad_cells *p, int axis, int64_t at, int64_t n, int64_t from, int64_t step) {
  if (n < 1) return true;
  if (p->parts[axis] == MOST_STRETCHES) return false;
  p->part[axis][p->parts[axis]++] = (struct stretch){at, n, from, step};
  return true;
}

/* The stretches of an axis whose kept part is x's [first, first + n), at `begin` of y's `width`. False: too many. */
static bool find_stretches(struct pad_cells *p, int axis, enum sumi_pad_mode mode, int64_t first, int64_t n,
                           int64_t begin, int64_t width) {
  if (mode == SUMI_PAD_CONSTANT)
    return add_stretch(p, axis, 0, SUMI_MIN(begin, width), -1, 0) &&
           add_stretch(p, axis, begin, n, first, 1) &&
           add_stretch(p, axis, begin + n, width - begin - n, -1, 0);
  for (int64_t i = 0; i < width;) {
    const int64_t from = sumi_pad_source(mode, i - begin, n),
                  next = i + 1 < width ? sumi_pad_source(mode, i + 1 - begin, n) : from;
    const int64_t step = next - from;
    int64_t k = i + 1;
    while (k < width && sumi_pad_source(mode, k - begin, n) == from + (k - i) * step) k++;
    if (!add_stretch(p, axis, i, k - i, first + from, step)) return false;
    i = k;
  }
  return true;
}

/* The combinations of stretches, from axis on; a filled one takes all of the axes behind it. box and firsts hold what was chosen
 * before. */
static sumi_status add_parts(const struct pad_cells *p, int axis, int64_t *dim, int64_t *from,
                             int64_t to_first, int64_t from_first) {
  struct sumi_cells *c = p->c;
  const struct sumi_cell_operand *x = &c->operand[0], *y = &c->operand[sumi_cells_out(c, 0)];
  if (axis == p->rank) {
    const struct sumi_box box = sumi_box_make(p->rank, dim, y->step, from);
    return sumi_box_cell(c, &box, sumi_cells_out(c, 0), to_first, 0, from_first, 0);
  }
  for (int k = 0; k < p->parts[axis]; k++) {
    const struct stretch *s = &p->part[axis][k];
    const int64_t to = to_first + s->at * y->step[axis];
    dim[axis] = s->n;
    if (s->from >= 0) {
      from[axis] = s->step * x->step[axis];
      SUMI_TRY(add_parts(p, axis + 1, dim, from, to, from_first + s->from * x->step[axis]));
      continue;
    }
    for (int i = axis + 1; i < p->rank; i++) dim[i] = y->dim[i];
    const struct sumi_box box = sumi_box_make(p->rank, dim, y->step, y->step);
    SUMI_TRY(sumi_box_cell(c, &box, sumi_cells_out(c, 0), to, -1, 0, p->fill));
  }
  return SUMI_OK;
}

static sumi_status find_fill(struct pad_cells *p, enum sumi_pad_mode mode) {
  const struct sumi_cells *c = p->c;
  const sumi_dtype d = c->in[0]->dtype;
  uint64_t word[2] = {0};
  if (mode != SUMI_PAD_CONSTANT) return SUMI_OK;
  if (sumi_cells_has(c, 2) && !c->in[2]->data) return sumi_cells_refuse(p->c, "the value is not constant");
  if (sumi_cells_has(c, 2) && sumi_tensor_count(c->in[2]) == 1)
    sumi_copy(d, word, 0, c->in[2]->data, 0, 1);
  else
    sumi_set_f64(d, word, 0, (double)sumi_attr_float(c->node, "value", 0));
  if (sumi_dtype_bits(d) > 32) return sumi_cells_refuse(p->c, "elements of more than 4 bytes are filled");
  memcpy(&p->fill, word, sizeof p->fill);
  return SUMI_OK;
}

static sumi_status pad_cells(struct sumi_cells *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  for (int i = 1; i < c->n_in; i++)
    if (i != 2 && sumi_cells_has(c, i) && !c->in[i]->data)
      return sumi_cells_refuse(c, "the pads are not constant");
  const struct sumi_call call = sumi_cells_call(c);
  struct pad_cells *p = SUMI_NEW(c->arena, struct pad_cells);
  if (!p) SUMI_FAIL_MEMORY(c->err);
  *p = (struct pad_cells){.c = c, .rank = x->rank};
  enum sumi_pad_mode mode;
  int64_t begin[SUMI_MAX_RANK], end[SUMI_MAX_RANK], dim[SUMI_MAX_RANK], from[SUMI_MAX_RANK] = {0};
  SUMI_TRY(sumi_pad_resolve(&call, &mode, begin, end));
  SUMI_TRY(find_fill(p, mode));
  SUMI_TRY(sumi_cells_follow(c, 0));
  for (int i = 0; i < x->rank; i++) {
    const int64_t kept = x->dim[i] + SUMI_MIN(begin[i], 0) + SUMI_MIN(end[i], 0);
    if (!find_stretches(p, i, mode, SUMI_MAX(-begin[i], 0), kept, SUMI_MAX(begin[i], 0), y->dim[i]))
      return sumi_cells_refuse(c, "the pads of dimension %d repeat it too often", i);
  }
  return add_parts(p, 0, dim, from, 0, 0);
}

static const struct sumi_attr_spec attrs[] = {
    {"mode", SUMI_ATTR_STRING},
    {"pads", SUMI_ATTR_INTS, false, 11},
    {"paddings", SUMI_ATTR_INTS, false, 2},
    {"value", SUMI_ATTR_FLOAT, false, 11},
    {NULL},
};
static const struct sumi_port in[] = {
    {"data", SUMI_ANY, 'T'},
    {"pads", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {"constant_value", SUMI_ANY, 'T', SUMI_PORT_OPTIONAL},
    {"axes", SUMI_INDICES, 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3] x) => (y) <int64[4] p = {1, 2, 0, 1}, float[] v = {-1.5}> { y = Pad (x, p, v) }"},
    {"g (float[2,4] x) => (y) <int64[4] p = {0, 3, 1, 5}> { y = Pad <mode = \"reflect\"> (x, p) }",
     .why = "reflected twice"},
    {"g (float[3,4] x) => (y) <int64[4] p = {1, -1, 2, 3}> { y = Pad <mode = \"edge\"> (x, p) }",
     .why = "cropped first"},
    {"g (float[3,4] x) => (y) <int64[2] p = {5, 6}, int64[1] a = {-1}> { y = Pad <mode = \"wrap\"> (x, p, , "
     "a) }"},
    {"g (float16[2,5,4,3] x) => (y) <int64[4] p = {1, 2, 1, 0}, int64[2] a = {1, 2}> { y = Pad (x, p, , a) }",
     .why = "the last dim belongs to the rows"},
    {"g (int64[2,4,3] x, int64[1] v) => (y) <int64[6] p = {1, 0, -1, 0, -1, 2}> { y = Pad (x, p, v) }",
     .why = "a dim in the middle is cut only"},
    {"g (float[3,4] x) => (y) <int64[4] p = {0, -2, 1, -2}> { y = Pad (x, p) }",
     .why = "nothing of x is left"},
    {"g (uint8[3,5] x) => (y) <int64[4] p = {-1, 2, 0, -3}> { y = Pad (x, p) }"},
    {"<opset_import: [\"\": 2]> g (float[2,3] x) => (y) { y = Pad <pads = [0, 1, 0, 1], value = 2.0> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_pad = {
    .name = "Pad",
    .formula = "x with elements added around it",
    .known_as = {{"", "Pad", {1, 2, 11, 13, 18, 19, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = pad_infer,
    .ref = pad_ref,
    .lower = sumi_pad_lower,
    .cells = pad_cells,
    .grad = sumi_pad_grad,
    .cases = cases,
};
