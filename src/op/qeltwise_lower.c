/* Element-wise operators on 8-bit values. A function of one value is a table of 256 bytes, asked of the reference function
 * when lowering; two values are added or multiplied in float32. */
#include "op/qeltwise_lower.h"

#include <string.h>

#include "base/size.h"
#include "op/lane_steps.h"
#include "op/op_util.h"
#include "op/quant_lower.h"

enum { BYTES = 256 };

static uint8_t flip_of(const struct sumi_tensor *t) { return t->dtype == SUMI_INT8 ? 0x80 : 0; }
static bool is_byte(const struct sumi_tensor *t) { return t->dtype == SUMI_UINT8 || t->dtype == SUMI_INT8; }

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "lane", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static struct sumi_lane_wish any_along(int axis) {
  return (struct sumi_lane_wish){
      .lanes = true, .any = true, .axis = axis, .halo = {.step_y = 1, .step_x = 1}};
}

/* The axis that output 0 is wanted along, or input i's own. */
static int axis_of(const struct sumi_call *c, int i, const struct sumi_lane_wish *out) {
  return out[0].axis >= 0 ? out[0].axis : sumi_lane_axis(c->in[i]);
}

/* ---- one value --------------------------------------------------------------------------------------------------- */

/* Input x to output 0 through a table of bytes as they stand in the tensors. */
static sumi_status lower_table(struct sumi_lower *l, const uint8_t *raw) {
  const struct sumi_tensor *x = l->in[0], *y = l->out[0];
  struct sumi_lane_operand from, to;
  uint8_t *table = sumi_arena_alloc(l->arena, BYTES);
  if (!table) SUMI_FAIL_MEMORY(l->err);
  if (!l->in_layout[0].v && !l->out_layout[0].v) {
    memcpy(table, raw, BYTES);
    return sumi_lower_lane_table_rows(l, l->in_buffer[0], l->out_buffer[0], sumi_tensor_count(x), table);
  }
  for (int i = 0; i < BYTES; i++) table[i ^ flip_of(x)] = raw[i] ^ flip_of(y);
  const struct sumi_lane_wish wish =
      any_along(l->in_layout[0].v ? l->in_layout[0].axis : l->out_layout[0].axis);
  SUMI_TRY(sumi_lower_lanes_in(l, 0, &wish, &from));
  SUMI_TRY(sumi_lower_lanes_out(l, 0, wish.axis, &to));
  SUMI_TRY(sumi_lower_blank(l, &to));
  SUMI_TRY(sumi_lower_lane_table(l, &from, 0, &to, 0, to.layout.groups, table));
  return sumi_lower_lanes_done(l, 0, &to);
}

static bool others_constant(const struct sumi_tensor *const *in, int n_in, int data) {
  for (int i = 0; i < n_in; i++)
    if (i != data && in[i] && !in[i]->data) return false;
  return true;
}

static const char *cannot_table(const struct sumi_tensor *const *in, int n_in) {
  if (!others_constant(in, n_in, 0)) return "a parameter is not constant";
  return !in[0]->rank || !sumi_tensor_count(in[0]) ? "a scalar, or nothing" : NULL;
}

void sumi_qunary_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  if (cannot_table(c->in, c->n_in)) return;
  const int axis = axis_of(c, 0, out);
  in[0] = any_along(axis);
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = axis};
}

void sumi_qtable_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  sumi_qunary_lanes(c, in, out);
}

sumi_status sumi_qtable_lower(struct sumi_lower *l) {
  const char *why = cannot_table(l->in, l->n_in);
  return why ? refuse(l, why) : lower_table(l, l->in[1]->data);
}

/* What the node's reference function makes of all bytes in input data, which lies there as 256 elements along axis of a
 * tensor of this rank; inputs [first, first + n) are what it is given. */
static sumi_status ask_reference(struct sumi_lower *l, const struct sumi_tensor **in, int n_in, int data,
                                 int rank, int axis, uint8_t *table) {
  uint8_t all[BYTES];
  for (int i = 0; i < BYTES; i++) all[i] = (uint8_t)i;
  struct sumi_tensor x = *in[data], y = *l->out[0], *out = &y;
  x.rank = y.rank = rank;
  for (int d = 0; d < rank; d++) x.dim[d] = y.dim[d] = d == axis ? BYTES : 1;
  x.data = all;
  y.data = table;
  in[data] = &x;
  const struct sumi_call call = {
      .node = l->node, .n_in = n_in, .n_out = 1, .in = in, .out = &out, .err = l->err};
  return l->node->op->ref(&call);
}

sumi_status sumi_qunary_lower(struct sumi_lower *l) {
  enum { MOST = 8 };
  const struct sumi_tensor *in[MOST];
  uint8_t table[BYTES];
  const char *why = l->n_in > MOST ? "too many inputs" : cannot_table(l->in, l->n_in);
  if (why) return refuse(l, why);
  for (int i = 0; i < l->n_in; i++) in[i] = l->in[i];
  SUMI_TRY(ask_reference(l, in, l->n_in, 0, 1, 0, table));
  return lower_table(l, table);
}

/* ---- two values -------------------------------------------------------------------------------------------------- */

enum { A, A_SCALE, A_ZERO, SECOND, B_SCALE, B_ZERO, C_SCALE, C_ZERO };

/* How the operands of y meet: `whole` has its shape, the other too, or one value a channel. */
struct pair {
  int whole, other; /* inputs */
  bool by_pixel;
};

static bool same_shape(const struct sumi_tensor *a, const struct sumi_tensor *b) {
  if (a->rank != b->rank) return false;
  for (int d = 0; d < a->rank; d++)
    if (a->dim[d] != b->dim[d]) return false;
  return true;
}

/* The axis of y along which t has one value for each entry, and none along the others; y's rank: one value; -1: more. */
static int channel_axis(const struct sumi_tensor *t, const struct sumi_tensor *y) {
  int axis = y->rank;
  for (int d = 0; d < t->rank; d++) {
    if (t->dim[d] == 1) continue;
    if (axis < y->rank) return -1;
    axis = y->rank - t->rank + d;
  }
  return axis;
}

/* Why they cannot meet along axis (-1: any), or NULL. */
static const char *find_pair(const struct sumi_tensor *const *in, const struct sumi_tensor *y, int axis,
                             struct pair *p) {
  const bool first = same_shape(in[A], y);
  if (!first && !same_shape(in[SECOND], y)) return "both operands are broadcast";
  *p = (struct pair){first ? A : SECOND, first ? SECOND : A, same_shape(in[A], in[SECOND])};
  if (p->by_pixel) return NULL;
  const struct sumi_tensor *other = in[p->other];
  const int along = channel_axis(other, y);
  if (along < 0 || (along < y->rank && axis >= 0 && along != axis))
    return "an operand is broadcast along the channels";
  if (!other->data && (along == y->rank || along != 1 || other->rank != y->rank || y->dim[0] != 1))
    return "an operand of one value a channel is neither constant nor in lanes";
  return NULL;
}

static const char *cannot_pair(const struct sumi_tensor *const *in, int n_in, const struct sumi_tensor *y) {
  for (int i = 0; i < n_in; i++)
    if (i != A && i != SECOND && in[i] && !in[i]->data) return "a scale or zero point is not constant";
  return !y->rank || !sumi_tensor_count(y) ? "a scalar, or nothing" : NULL;
}

void sumi_qbinary_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  struct pair p;
  const struct sumi_tensor *y = c->out[0];
  if (cannot_pair(c->in, c->n_in, y)) return;
  const int axis = out[0].axis >= 0 ? out[0].axis : sumi_lane_axis(y);
  if (find_pair(c->in, y, axis, &p)) return;
  in[p.whole] = any_along(axis);
  if (p.by_pixel || !c->in[p.other]->data) in[p.other] = any_along(axis);
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = axis};
}

/* Scale and stored zero point of an operand. */
static void read_quant(const struct sumi_lower *l, const struct sumi_tensor *t, int scale, int zero,
                       double *s, float *z) {
  const struct sumi_tensor *const zero_point = zero < l->n_in ? l->in[zero] : NULL;
  *s = sumi_get_f64(l->in[scale]->dtype, l->in[scale]->data, 0);
  *z = (float)(zero_point ? sumi_get_f64(zero_point->dtype, zero_point->data, 0) : 0) + flip_of(t);
}

/* Words of one value for each channel, or of one value for all. */
static sumi_status channel_words(struct sumi_lower *l, const struct sumi_tensor *t,
                                 const struct sumi_layout *y, uint32_t **out) {
  uint8_t *byte = sumi_arena_alloc(l->arena, (size_t)y->groups * 4);
  if (!byte) SUMI_FAIL_MEMORY(l->err);
  const int64_t step = sumi_tensor_count(t) > 1;
  for (int64_t c = 0; c < 4 * y->groups; c++)
    byte[c] = c < y->channels ? ((const uint8_t *)t->data)[c * step] ^ flip_of(t) : 0;
  *out = (uint32_t *)(void *)byte;
  return SUMI_OK;
}

static sumi_status lower_pair(struct sumi_lower *l, bool add) {
  struct sumi_lane_operand whole, other = {0}, y;
  struct sumi_lane_binary f = {.hi = 255};
  struct pair p;
  double scale[2], y_scale;
  uint32_t *word = NULL;
  const char *why = cannot_pair(l->in, l->n_in, l->out[0]);
  int axis = l->out_layout[0].v ? l->out_layout[0].axis : -1;
  for (int i = A; i <= SECOND && axis < 0; i += SECOND)
    if (l->in_layout[i].v) axis = l->in_layout[i].axis;
  if (axis < 0) axis = sumi_lane_axis(l->out[0]);
  if (!why) why = find_pair(l->in, l->out[0], axis, &p);
  if (why) return refuse(l, why);
  const struct sumi_lane_wish wish = any_along(axis);
  SUMI_TRY(sumi_lower_lanes_in(l, p.whole, &wish, &whole));
  if (p.by_pixel || !l->in[p.other]->data) SUMI_TRY(sumi_lower_lanes_in(l, p.other, &wish, &other));
  SUMI_TRY(sumi_lower_lanes_out(l, 0, axis, &y));
  if (!p.by_pixel && l->in[p.other]->data) SUMI_TRY(channel_words(l, l->in[p.other], &y.layout, &word));
  read_quant(l, l->in[p.whole], p.whole + 1, p.whole + 2, &scale[0], &f.a_zero);
  read_quant(l, l->in[p.other], p.other + 1, p.other + 2, &scale[1], &f.b_zero);
  read_quant(l, l->out[0], C_SCALE, C_ZERO, &y_scale, &f.zero);
  f.a_mul = (float)(add ? scale[0] / y_scale : scale[0] * scale[1] / y_scale);
  f.b_mul = (float)(scale[1] / y_scale);
  f.b_step = p.by_pixel;
  SUMI_TRY(sumi_lower_blank(l, &y));
  SUMI_TRY(sumi_lower_lane_binary(l, add, &f, &whole, &other, word, &y));
  return sumi_lower_lanes_done(l, 0, &y);
}

sumi_status sumi_qadd_lower(struct sumi_lower *l) { return lower_pair(l, true); }
sumi_status sumi_qmul_lower(struct sumi_lower *l) { return lower_pair(l, false); }

/* ---- several values ---------------------------------------------------------------------------------------------- */

/* Tensors side by side along axis, their channels: inputs first, first + step, .. of a Concat, outputs of a Split. */
static const char *cannot_join(const struct sumi_tensor *const *t, int n, int first, int step, int axis) {
  for (int i = first; i < n; i += step) {
    if (!t[i]) return "a part that nobody wants";
    if (!is_byte(t[i])) return "element type is not of 8 bits";
    if (t[i]->rank < 2 || (axis != 1 && axis != t[i]->rank - 1)) return "the axis is never the channels'";
    if (!sumi_tensor_count(t[i])) return "an empty tensor";
    if (t[i]->dim[axis] % 4 && i + step < n) return "channels that are not whole words";
  }
  return NULL;
}

static bool concat_axis(const struct sumi_node *node, const struct sumi_tensor *y, int *axis) {
  return sumi_op_axis(node, 1, y->rank, axis, NULL) == SUMI_OK;
}

enum { Y_SCALE, Y_ZERO, FIRST, QUANT_STEP = 3 };

static const char *cannot_concat(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in,
                                 const struct sumi_tensor *y, int first, int step, int *axis) {
  if (!concat_axis(node, y, axis)) return "a wrong axis";
  for (int i = 0; i < n_in; i++)
    if ((i < first || (i - first) % step) && !in[i]->data) return "a scale or zero point is not constant";
  return cannot_join(in, n_in, first, step, *axis);
}

static void ask_concat(const struct sumi_call *c, int first, int step, struct sumi_lane_wish *in,
                       struct sumi_lane_wish *out) {
  int axis;
  if (cannot_concat(c->node, c->in, c->n_in, c->out[0], first, step, &axis) || out[0].axis != axis) return;
  for (int i = first; i < c->n_in; i += step) in[i] = any_along(axis);
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = axis};
}

void sumi_concat_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  ask_concat(c, 0, 1, in, out);
}
void sumi_qconcat_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  ask_concat(c, FIRST, QUANT_STEP, in, out);
}

/* What input i's bytes, stored, become in y; NULL where nothing changes. */
static sumi_status concat_table(struct sumi_lower *l, int i, int axis, const uint8_t **out) {
  const struct sumi_tensor *in[] = {l->in[Y_SCALE], l->in[Y_ZERO], l->in[i], l->in[i + 1], l->in[i + 2]};
  uint8_t raw[BYTES], *table = sumi_arena_alloc(l->arena, BYTES);
  if (!table) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(ask_reference(l, in, FIRST + QUANT_STEP, FIRST, l->in[i]->rank, axis, raw));
  *out = NULL;
  for (int b = 0; b < BYTES; b++) {
    const int stored = b ^ flip_of(l->in[i]);
    table[stored] = raw[b] ^ flip_of(l->out[0]);
    if (table[stored] != stored) *out = table;
  }
  return SUMI_OK;
}

static sumi_status lower_concat(struct sumi_lower *l, int first, int step) {
  struct sumi_lane_operand x, y;
  int axis;
  int64_t group = 0;
  const char *why = cannot_concat(l->node, l->in, l->n_in, l->out[0], first, step, &axis);
  if (why) return refuse(l, why);
  const struct sumi_lane_wish wish = any_along(axis);
  SUMI_TRY(sumi_lower_lanes_out(l, 0, axis, &y));
  SUMI_TRY(sumi_lower_blank(l, &y));
  for (int i = first; i < l->n_in; i += step) {
    const uint8_t *table = NULL;
    if (step > 1) SUMI_TRY(concat_table(l, i, axis, &table));
    SUMI_TRY(sumi_lower_lanes_in(l, i, &wish, &x));
    SUMI_TRY(sumi_lower_lane_table(l, &x, 0, &y, group, x.layout.groups, table));
    group += x.layout.groups;
  }
  return sumi_lower_lanes_done(l, 0, &y);
}

bool sumi_concat_in_lanes(const struct sumi_lower *l) {
  bool any = l->out_layout[0].v > 0;
  for (int i = 0; i < l->n_in; i++) any |= l->in_layout[i].v > 0;
  return any;
}

sumi_status sumi_concat_lower(struct sumi_lower *l) { return lower_concat(l, 0, 1); }
sumi_status sumi_qconcat_lower(struct sumi_lower *l) { return lower_concat(l, FIRST, QUANT_STEP); }

static bool split_axis(const struct sumi_node *node, const struct sumi_tensor *x, int *axis) {
  return sumi_op_axis(node, 0, x->rank, axis, NULL) == SUMI_OK;
}

void sumi_split_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  int axis;
  bool wanted = false;
  if (!split_axis(c->node, c->in[0], &axis) ||
      cannot_join((const struct sumi_tensor *const *)c->out, c->n_out, 0, 1, axis))
    return;
  for (int i = 0; i < c->n_out; i++) wanted |= out[i].axis == axis;
  if (!wanted) return;
  in[0] = any_along(axis);
  for (int i = 0; i < c->n_out; i++) out[i] = (struct sumi_lane_wish){.lanes = true, .axis = axis};
}

bool sumi_split_in_lanes(const struct sumi_lower *l) {
  bool any = l->in_layout[0].v > 0;
  for (int i = 0; i < l->n_out; i++) any |= l->out_layout[i].v > 0;
  return any;
}

sumi_status sumi_split_lower(struct sumi_lower *l) {
  struct sumi_lane_operand x, y;
  int axis;
  int64_t group = 0;
  if (!split_axis(l->node, l->in[0], &axis)) return refuse(l, "a wrong axis");
  const char *why = cannot_join(l->out, l->n_out, 0, 1, axis);
  if (why) return refuse(l, why);
  const struct sumi_lane_wish wish = any_along(axis);
  SUMI_TRY(sumi_lower_lanes_in(l, 0, &wish, &x));
  for (int i = 0; i < l->n_out; i++) {
    SUMI_TRY(sumi_lower_lanes_out(l, i, axis, &y));
    SUMI_TRY(sumi_lower_blank(l, &y));
    SUMI_TRY(sumi_lower_lane_table(l, &x, group, &y, 0, y.layout.groups, NULL));
    SUMI_TRY(sumi_lower_lanes_done(l, i, &y));
    group += y.layout.groups;
  }
  return SUMI_OK;
}
