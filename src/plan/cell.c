/* Making cells: operands, their forms, the list. */
#include "plan/cell.h"

#include <stdarg.h>
#include <string.h>

#include "base/size.h"

enum sumi_card_dtype sumi_cells_type(sumi_dtype dtype) {
  switch (dtype) {
    case SUMI_INT8: return SUMI_CARD_I8;
    case SUMI_UINT8:
    case SUMI_BOOL: return SUMI_CARD_U8;
    case SUMI_INT32: return SUMI_CARD_I32;
    case SUMI_BFLOAT16: return SUMI_CARD_BF16;
    case SUMI_FLOAT32: return SUMI_CARD_F32;
    default: return SUMI_CARD_N_DTYPES;
  }
}

void sumi_cells_steps(int rank, const int64_t *dim, int axis, int64_t *step) {
  int64_t next = 1;
  if (axis >= 0) {
    step[axis] = 1;
    next = dim[axis];
  }
  for (int i = rank - 1; i >= 0; i--) {
    if (i == axis) continue;
    step[i] = next;
    next *= dim[i];
  }
}

static bool same_steps(const struct sumi_cell_operand *a, const struct sumi_cell_operand *b) {
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != 1 && a->step[i] != b->step[i]) return false;
  return true;
}

static int add_operand(struct sumi_cells *c, const struct sumi_cell_operand *o) {
  if (c->n_operand == c->cap_operand) {
    const size_t cap = c->cap_operand ? 2 * c->cap_operand : 16;
    struct sumi_cell_operand *more = SUMI_NEW_ARRAY(c->arena, cap, struct sumi_cell_operand);
    if (!more) return sumi_err_set(c->err, SUMI_E_MEMORY, "out of memory"), -1;
    if (c->n_operand) memcpy(more, c->operand, c->n_operand * sizeof *more);
    c->operand = more;
    c->cap_operand = cap;
  }
  c->operand[c->n_operand] = *o;
  return (int)c->n_operand++;
}

static int make_operand(struct sumi_cells *c, sumi_dtype dtype, int rank, const int64_t *dim,
                        const void *data) {
  struct sumi_cell_operand o = {.dtype = dtype, .rank = rank, .data = data, .free = !data};
  if (sumi_shape_bytes(dtype, dim, rank, &o.bytes, c->err) != SUMI_OK) return -1;
  for (int i = 0; i < rank; i++) o.dim[i] = dim[i];
  sumi_cells_steps(rank, o.dim, -1, o.step);
  return add_operand(c, &o);
}

int sumi_cells_temp(struct sumi_cells *c, sumi_dtype dtype, int rank, const int64_t *dim) {
  return make_operand(c, dtype, rank, dim, NULL);
}

int sumi_cells_constant(struct sumi_cells *c, sumi_dtype dtype, int rank, const int64_t *dim,
                        const void *data) {
  return make_operand(c, dtype, rank, dim, data);
}

int sumi_cell_operands(const struct sumi_cell *cell, int operand[SUMI_CELL_OPERANDS]) {
  int all[SUMI_CELL_OPERANDS] = {-1, -1, -1, -1}, n = 0;
  switch (cell->kind) {
    case SUMI_CELL_VECTOR:
      for (int k = 0; k < SUMI_CARD_VPU_VIEWS; k++) all[k] = cell->u.vector.view[k].operand;
      break;
    case SUMI_CELL_COPY:
      all[0] = cell->u.copy.to.operand;
      all[1] = cell->u.copy.from.operand;
      break;
    case SUMI_CELL_LOOKUP:
      all[0] = cell->u.lookup.table;
      all[1] = cell->u.lookup.ids;
      all[2] = cell->u.lookup.out;
      break;
    case SUMI_CELL_PRODUCT:
      all[0] = cell->u.product.x.operand;
      all[1] = cell->u.product.w.operand;
      all[2] = cell->u.product.y.operand;
      all[3] = cell->u.product.flags & SUMI_CARD_ACT_RESIDUAL ? cell->u.product.residual.operand : -1;
      break;
  }
  for (int k = 0; k < SUMI_CELL_OPERANDS; k++)
    if (all[k] >= 0) operand[n++] = all[k];
  return n;
}

/* Whether a cell writes or reads it already: then its form is fixed. */
static bool is_used(const struct sumi_cells *c, int operand) {
  int used[SUMI_CELL_OPERANDS];
  for (size_t i = 0; i < c->n_cell; i++)
    for (int k = sumi_cell_operands(&c->cell[i], used); k-- > 0;)
      if (used[k] == operand) return true;
  return false;
}

/* A constant in another order of its elements. */
static int reorder(struct sumi_cells *c, const struct sumi_cell_operand *from, struct sumi_cell_operand *to) {
  const size_t elem = (size_t)sumi_dtype_bits(from->dtype) / 8;
  char *data = sumi_arena_alloc(c->arena, SUMI_MAX(to->bytes, (size_t)1));
  if (!data) return sumi_err_set(c->err, SUMI_E_MEMORY, "out of memory"), -1;
  int64_t i[SUMI_MAX_RANK] = {0}, count = 1;
  for (int d = 0; d < from->rank; d++) count *= from->dim[d];
  for (int64_t k = 0; k < count; k++) {
    int64_t a = 0, b = 0;
    for (int d = 0; d < from->rank; d++) {
      a += i[d] * from->step[d];
      b += i[d] * to->step[d];
    }
    memcpy(data + (size_t)b * elem, (const char *)from->data + (size_t)a * elem, elem);
    for (int d = from->rank - 1; d >= 0 && ++i[d] == from->dim[d]; d--) i[d] = 0;
  }
  to->data = data;
  return add_operand(c, to);
}

/* ---- elements in another order ----------------------------------------------------------------------------------- */

/* Loops of a copy, outermost first; neighbours that both operands walk as one are one. */
struct loops {
  int n;
  int64_t count[SUMI_MAX_RANK], to[SUMI_MAX_RANK], from[SUMI_MAX_RANK];
};

static void add_loop(struct loops *l, int64_t count, int64_t to, int64_t from) {
  const int k = l->n - 1;
  if (count == 1) return;
  if (k >= 0 && l->to[k] == to * count && l->from[k] == from * count) {
    l->count[k] *= count;
    l->to[k] = to;
    l->from[k] = from;
    return;
  }
  l->count[l->n] = count;
  l->to[l->n] = to;
  l->from[l->n++] = from;
}

static void swap(int64_t *a, int64_t *b) {
  const int64_t t = *a;
  *a = *b;
  *b = t;
}

/* The longest loop last: it runs over lanes. */
static void turn(struct loops *l) {
  int longest = 0;
  for (int k = 1; k < l->n; k++)
    if (l->count[k] >= l->count[longest]) longest = k;
  swap(&l->count[longest], &l->count[l->n - 1]);
  swap(&l->to[longest], &l->to[l->n - 1]);
  swap(&l->from[longest], &l->from[l->n - 1]);
}

static sumi_status move_by_vectors(struct sumi_cells *c, struct loops *l, const struct sumi_cell_view *to,
                                   const struct sumi_cell_view *from) {
  static const struct sumi_card_vop op[] = {{.op = SUMI_CARD_V_LD, .a = 0}, {.op = SUMI_CARD_V_ST, .a = 1}};
  turn(l);
  struct sumi_cell_vector v = {.rank = l->n, .op = op, .body = 2};
  for (int k = 0; k < SUMI_CARD_VPU_VIEWS; k++) v.view[k].operand = -1;
  v.view[0] = (struct sumi_cell_view){.operand = from->operand, .at = from->at};
  v.view[1] = (struct sumi_cell_view){.operand = to->operand, .at = to->at};
  for (int k = 0; k < l->n; k++) {
    v.n[k] = l->count[k];
    v.view[0].step[k] = l->from[k];
    v.view[1].step[k] = l->to[k];
  }
  return sumi_cells_vector(c, &v);
}

enum {
  LONG_RUN = 64
}; /* bytes of neighbours from which on the engine for copies, a run a cycle, is not slower */

static sumi_status add_move(struct sumi_cells *c, struct loops *l, const struct sumi_cell_view *to,
                            const struct sumi_cell_view *from) {
  const sumi_dtype dtype = c->operand[to->operand].dtype;
  if (!l->n) {
    l->count[0] = 1;
    l->n = 1;
  }
  if (l->n > SUMI_CELL_LOOPS) return sumi_err_set(c->err, SUMI_E_LIMIT, "a copy over too many dimensions");
  const int last = l->n - 1;
  const int64_t run = l->to[last] == 1 && l->from[last] == 1 ? l->count[last] : 1;
  if (sumi_cells_type(dtype) != SUMI_CARD_N_DTYPES && run * sumi_dtype_bits(dtype) / 8 < LONG_RUN)
    return move_by_vectors(c, l, to, from);
  struct sumi_cell_copy copy = {.rank = l->n,
                                .to = {.operand = to->operand, .at = to->at},
                                .from = {.operand = from->operand, .at = from->at}};
  for (int k = 0; k < l->n; k++) {
    copy.n[k] = l->count[k];
    copy.to.step[k] = l->to[k];
    copy.from.step[k] = l->from[k];
  }
  return sumi_cells_copy(c, &copy);
}

sumi_status sumi_cells_reorder(struct sumi_cells *c, const struct sumi_cell_copy *cell) {
  struct loops l = {0};
  for (int i = 0; i < cell->rank; i++) add_loop(&l, cell->n[i], cell->to.step[i], cell->from.step[i]);
  return add_move(c, &l, &cell->to, &cell->from);
}

static int with_form(struct sumi_cells *c, int operand, int axis) {
  const struct sumi_cell_operand from = c->operand[operand];
  struct sumi_cell_operand to = from;
  sumi_cells_steps(to.rank, to.dim, axis, to.step);
  if (same_steps(&from, &to)) return operand;
  if (from.data) return reorder(c, &from, &to);
  if (from.free && !is_used(c, operand)) {
    c->operand[operand] = to;
    return operand;
  }
  to.free = false;
  c->operand[operand].asked = axis + 1;
  const int made = add_operand(c, &to);
  if (made < 0) return -1;
  struct loops l = {0};
  for (int i = 0; i < from.rank; i++) add_loop(&l, from.dim[i], to.step[i], from.step[i]);
  const struct sumi_cell_view to_view = {.operand = made}, from_view = {.operand = operand};
  return add_move(c, &l, &to_view, &from_view) == SUMI_OK ? made : -1;
}

int sumi_cells_neighbours(struct sumi_cells *c, int operand, int axis) { return with_form(c, operand, axis); }

int sumi_cells_row_major(struct sumi_cells *c, int operand) { return with_form(c, operand, -1); }

void sumi_cells_same_form(struct sumi_cells *c, int output, int input) {
  struct sumi_cell_operand *to = &c->operand[output];
  const struct sumi_cell_operand *from = &c->operand[input];
  if (to->rank != from->rank || memcmp(to->dim, from->dim, (size_t)to->rank * sizeof *to->dim)) return;
  memcpy(to->step, from->step, sizeof to->step);
}

static struct sumi_cell *new_cell(struct sumi_cells *c, enum sumi_cell_kind kind) {
  if (c->n_cell == c->cap_cell) {
    const size_t cap = c->cap_cell ? 2 * c->cap_cell : 8;
    struct sumi_cell *more = SUMI_NEW_ARRAY(c->arena, cap, struct sumi_cell);
    if (!more) return sumi_err_set(c->err, SUMI_E_MEMORY, "out of memory"), NULL;
    if (c->n_cell) memcpy(more, c->cell, c->n_cell * sizeof *more);
    c->cell = more;
    c->cap_cell = cap;
  }
  c->cell[c->n_cell].kind = kind;
  return &c->cell[c->n_cell++];
}

sumi_status sumi_cells_vector(struct sumi_cells *c, const struct sumi_cell_vector *cell) {
  const size_t n = (size_t)(cell->body + cell->tail);
  struct sumi_card_vop *op = SUMI_NEW_ARRAY(c->arena, n, struct sumi_card_vop);
  struct sumi_cell *to = new_cell(c, SUMI_CELL_VECTOR);
  if (!op || !to) SUMI_FAIL_MEMORY(c->err);
  memcpy(op, cell->op, n * sizeof *op);
  to->u.vector = *cell;
  to->u.vector.op = op;
  return SUMI_OK;
}

sumi_status sumi_cells_copy(struct sumi_cells *c, const struct sumi_cell_copy *cell) {
  struct sumi_cell *to = new_cell(c, SUMI_CELL_COPY);
  if (!to) SUMI_FAIL_MEMORY(c->err);
  to->u.copy = *cell;
  return SUMI_OK;
}

sumi_status sumi_cells_lookup(struct sumi_cells *c, const struct sumi_cell_lookup *cell) {
  struct sumi_cell *to = new_cell(c, SUMI_CELL_LOOKUP);
  if (!to) SUMI_FAIL_MEMORY(c->err);
  to->u.lookup = *cell;
  return SUMI_OK;
}

sumi_status sumi_cells_product(struct sumi_cells *c, const struct sumi_cell_product *cell) {
  struct sumi_cell *to = new_cell(c, SUMI_CELL_PRODUCT);
  if (!to) SUMI_FAIL_MEMORY(c->err);
  to->u.product = *cell;
  return SUMI_OK;
}

sumi_status sumi_cells_refuse(struct sumi_cells *c, const char *format, ...) {
  if (!c->refusals) return SUMI_E_UNSUPPORTED;
  va_list args;
  va_start(args, format);
  sumi_text_add_reason(c->refusals, "card", format, args);
  va_end(args);
  return SUMI_E_UNSUPPORTED;
}
