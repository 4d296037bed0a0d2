/* Vector programs: values, registers, loops. */
#include "op/vector_cells.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

/* ---- loops and views ---------------------------------------------------------------------------------------------- */

void sumi_vector_start(struct sumi_vector *p, struct sumi_cells *c) {
  memset(p, 0, sizeof *p);
  p->c = c;
  p->tail = p->alpha = p->beta = -1;
}

int sumi_vector_fail(struct sumi_vector *p, const char *format, ...) {
  if (sumi_vector_bad(p)) return -1;
  va_list args;
  va_start(args, format);
  vsnprintf(p->why, sizeof p->why, format, args);
  va_end(args);
  p->failed = true;
  return -1;
}

int sumi_vector_loop(struct sumi_vector *p, int64_t n) {
  if (p->rank == SUMI_VECTOR_LOOPS) return sumi_vector_fail(p, "too many loops"), 0;
  if (n < 1) sumi_vector_fail(p, "an empty tensor");
  p->n[p->rank] = n;
  return p->rank++;
}

/* The dimensions of a set, the one with the largest step first. */
static void add_loops(struct sumi_vector *p, const struct sumi_seen *o, unsigned set) {
  while (set) {
    int best = -1;
    for (int i = 0; i < o->rank; i++)
      if (set >> i & 1 && (best < 0 || (o->dim[i] != 1 && (o->dim[best] == 1 || o->step[i] > o->step[best]))))
        best = i;
    set &= ~(1u << best);
    p->loop[best] = sumi_vector_loop(p, o->dim[best]);
  }
}

void sumi_vector_over_seen(struct sumi_vector *p, const struct sumi_seen *s, unsigned inner) {
  p->dims = s->rank;
  const unsigned all = (1u << s->rank) - 1;
  add_loops(p, s, all & ~inner);
  p->inner = p->rank;
  add_loops(p, s, all & inner);
}

void sumi_vector_over(struct sumi_vector *p, int operand, unsigned inner) {
  const struct sumi_cell_operand *o = &p->c->operand[operand];
  struct sumi_seen s = {.operand = operand, .rank = o->rank};
  memcpy(s.dim, o->dim, (size_t)o->rank * sizeof *s.dim);
  memcpy(s.step, o->step, (size_t)o->rank * sizeof *s.step);
  sumi_vector_over_seen(p, &s, inner);
}

int sumi_vector_view_plain(struct sumi_vector *p, int operand) {
  if (operand < 0) return p->memory = true, -1;
  if (p->views == SUMI_CARD_VPU_VIEWS)
    return sumi_vector_fail(p, "a vector program with more than 4 operands");
  if (sumi_cells_type(p->c->operand[operand].dtype) == SUMI_CARD_N_DTYPES)
    return sumi_vector_fail(p, "an element type that the vector engine does not have");
  p->view[p->views].operand = operand;
  return p->views++;
}

int sumi_vector_see(struct sumi_vector *p, const struct sumi_seen *s) {
  const int view = sumi_vector_view_plain(p, s->operand);
  for (int i = 0; view >= 0 && i < s->rank; i++)
    if (s->dim[i] != 1) p->view[view].step[p->loop[i]] = s->step[i];
  return view;
}

int sumi_vector_view_at(struct sumi_vector *p, int operand, int first) {
  const int view = sumi_vector_view_plain(p, operand);
  if (view < 0) return view;
  const struct sumi_cell_operand *o = &p->c->operand[operand];
  for (int i = 0; i < o->rank; i++)
    if (o->dim[i] != 1) p->view[view].step[p->loop[first + i]] = o->step[i];
  return view;
}

int sumi_vector_view(struct sumi_vector *p, int operand) {
  if (operand < 0) return p->memory = true, -1;
  return sumi_vector_view_at(p, operand, p->dims - p->c->operand[operand].rank);
}

int sumi_vector_table(struct sumi_vector *p, int operand) {
  const int view = sumi_vector_view_plain(p, operand);
  if (view >= 0) p->view[view].gather = true, p->view[view].by = 1;
  return view;
}

int sumi_vector_see_by_index(struct sumi_vector *p, const struct sumi_seen *s, int axis) {
  struct sumi_seen others = *s;
  others.dim[axis] = 1;
  const int view = sumi_vector_see(p, &others);
  if (view >= 0) p->view[view].gather = true, p->view[view].by = s->step[axis];
  return view;
}

/* ---- values ---------------------------------------------------------------------------------------------------------- */

static bool is_real(const struct sumi_vector *p, int view) {
  const enum sumi_card_dtype d = sumi_cells_type(p->c->operand[p->view[view].operand].dtype);
  return d == SUMI_CARD_BF16 || d == SUMI_CARD_F32;
}

/* The value of an operation: one that is there already, or a new one. */
static int value(struct sumi_vector *p, struct sumi_vector_value v) {
  if (sumi_vector_bad(p)) return -1;
  for (int i = SUMI_MAX(p->tail, 0); i < p->values && v.op != SUMI_CARD_V_ST; i++) {
    const struct sumi_vector_value *o = &p->value[i];
    if (o->op == v.op && o->real == v.real && o->a == v.a && o->b == v.b && o->c == v.c) return i;
  }
  if (p->values == SUMI_VECTOR_VALUES) return sumi_vector_fail(p, "a vector program that is too long");
  p->value[p->values] = v;
  return p->values++;
}

int sumi_vector_float(struct sumi_vector *p, float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return value(p, (struct sumi_vector_value){SUMI_CARD_V_IMM, true, 0, 0, bits});
}

int sumi_vector_int(struct sumi_vector *p, int32_t x) {
  return value(p, (struct sumi_vector_value){SUMI_CARD_V_IMM, false, 0, 0, x});
}

static bool constant(const struct sumi_vector *p, int v, float *x) {
  if (v < 0 || p->value[v].op != SUMI_CARD_V_IMM || !p->value[v].real) return false;
  const int32_t bits = p->value[v].c;
  memcpy(x, &bits, sizeof *x);
  return true;
}

/* Arithmetic of constants, as the engine would do it. */
static bool fold(const struct sumi_vector *p, enum sumi_card_vector_op op, int a, int b, float *out) {
  float x, y = 0;
  if (!constant(p, a, &x) || (op != SUMI_CARD_V_NEG && !constant(p, b, &y))) return false;
  switch (op) {
    case SUMI_CARD_V_ADD: *out = x + y; return true;
    case SUMI_CARD_V_SUB: *out = x - y; return true;
    case SUMI_CARD_V_MUL: *out = x * y; return true;
    case SUMI_CARD_V_DIV: *out = x / y; return true;
    case SUMI_CARD_V_NEG: *out = -x; return true;
    default: return false;
  }
}

static bool gives_real(const struct sumi_vector *p, enum sumi_card_vector_op op, int a, int b) {
  switch (op) {
    case SUMI_CARD_V_MOV:
    case SUMI_CARD_V_ABS: return a >= 0 && p->value[a].real;
    case SUMI_CARD_V_SELECT: return b >= 0 && p->value[b].real;
    case SUMI_CARD_V_LT:
    case SUMI_CARD_V_LE:
    case SUMI_CARD_V_EQ:
    case SUMI_CARD_V_F2I:
    case SUMI_CARD_V_RISUM: return false;
    case SUMI_CARD_V_I2F:
    case SUMI_CARD_V_RSUM:
    case SUMI_CARD_V_RMAX:
    case SUMI_CARD_V_RMIN: return true;
    default: return op < SUMI_CARD_V_IADD;
  }
}

/* x > y ? x : y is an operation of its own. */
static int choose(struct sumi_vector *p, int condition, int x, int y) {
  const struct sumi_vector_value c = p->value[condition];
  const bool real = c.op == SUMI_CARD_V_LT;
  if ((real || c.op == SUMI_CARD_V_ILT) && c.a == x && c.b == y)
    return sumi_vector_op(p, real ? SUMI_CARD_V_MIN : SUMI_CARD_V_IMIN, x, y, 0);
  if ((real || c.op == SUMI_CARD_V_ILT) && c.a == y && c.b == x)
    return sumi_vector_op(p, real ? SUMI_CARD_V_MAX : SUMI_CARD_V_IMAX, x, y, 0);
  return value(p, (struct sumi_vector_value){SUMI_CARD_V_SELECT, p->value[x].real, condition, x, y});
}

int sumi_vector_op(struct sumi_vector *p, enum sumi_card_vector_op op, int a, int b, int c) {
  const int n = sumi_card_vector_operands(op);
  if (sumi_vector_bad(p) || a < 0 || (n > 1 && b < 0) || (n > 2 && c < 0)) return -1;
  float folded;
  if (fold(p, op, a, b, &folded)) return sumi_vector_float(p, folded);
  if (op == SUMI_CARD_V_SELECT) return choose(p, a, b, c);
  return value(p, (struct sumi_vector_value){op, gives_real(p, op, a, b), a, n > 1 ? b : 0, n > 2 ? c : 0});
}

int sumi_vector_load_at(struct sumi_vector *p, int view, int64_t distance) {
  if (view < 0 || sumi_vector_bad(p)) return -1;
  if (distance != (int32_t)distance) return sumi_vector_fail(p, "a distance that 32 bits do not hold");
  return value(p, (struct sumi_vector_value){SUMI_CARD_V_LD, is_real(p, view), view, 0, (int)distance});
}

int sumi_vector_load(struct sumi_vector *p, int view) { return sumi_vector_load_at(p, view, 0); }

void sumi_vector_store(struct sumi_vector *p, int view, int from) { sumi_vector_store_at(p, view, 0, from); }

void sumi_vector_store_at(struct sumi_vector *p, int view, int64_t distance, int from) {
  if (view < 0 || from < 0 || sumi_vector_bad(p)) return;
  if (is_real(p, view) && !p->value[from].real) from = sumi_vector_op(p, SUMI_CARD_V_I2F, from, 0, 0);
  if (!is_real(p, view) && from >= 0 && p->value[from].real) {
    sumi_vector_fail(p, "floats stored as integers");
    return;
  }
  value(p, (struct sumi_vector_value){SUMI_CARD_V_ST, false, view, from, (int)distance});
}

void sumi_vector_store_wrapped(struct sumi_vector *p, int view, int from) {
  if (view < 0 || from < 0 || sumi_vector_bad(p)) return;
  const enum sumi_card_dtype d = sumi_cells_type(p->c->operand[p->view[view].operand].dtype);
  if (d == SUMI_CARD_U8) {
    from = sumi_vector_op(p, SUMI_CARD_V_AND, from, sumi_vector_int(p, 255), 0);
  } else if (d == SUMI_CARD_I8) {
    const int bits = sumi_vector_int(p, 24);
    from = sumi_vector_op(p, SUMI_CARD_V_SAR, sumi_vector_op(p, SUMI_CARD_V_SHL, from, bits, 0), bits, 0);
  }
  sumi_vector_store(p, view, from);
}

int sumi_vector_gather(struct sumi_vector *p, int table, int index, uint32_t n) {
  if (table < 0 || index < 0 || sumi_vector_bad(p)) return -1;
  return value(p, (struct sumi_vector_value){SUMI_CARD_V_GATHER, is_real(p, table), table, index, (int)n});
}

int sumi_vector_reduce(struct sumi_vector *p, enum sumi_card_vector_op op, int a) {
  return sumi_vector_op(p, op, a, 0, 0);
}

void sumi_vector_tail(struct sumi_vector *p) { p->tail = p->values; }

/* ---- registers --------------------------------------------------------------------------------------------------------- */

static bool is_reduction(unsigned op) { return op >= SUMI_CARD_V_RSUM && op <= SUMI_CARD_V_RISUM; }

/* The values an operation reads. */
static int read_values(const struct sumi_vector_value *v, int *out) {
  if (v->op == SUMI_CARD_V_ST || v->op == SUMI_CARD_V_GATHER) {
    out[0] = v->b;
    return 1;
  }
  out[0] = v->a, out[1] = v->b, out[2] = v->c;
  return sumi_card_vector_operands(v->op);
}

struct registers {
  struct sumi_card_vop op[SUMI_CARD_VPU_OPS];
  int n;
  int last[SUMI_VECTOR_VALUES];   /* the last value that reads this one; -1 = nobody does */
  int holder[SUMI_CARD_VPU_REGS]; /* -1 = free */
  uint8_t of[SUMI_VECTOR_VALUES];
  uint8_t reductions;
};

/* Who is read last by whom, from the last value on; what nobody reads is left out. */
static void find_readers(const struct sumi_vector *p, struct registers *r) {
  for (int i = 0; i < p->values; i++) r->last[i] = -1;
  for (int i = p->values - 1; i >= 0; i--) {
    if (p->value[i].op != SUMI_CARD_V_ST && r->last[i] < 0) continue;
    int read[3];
    const int n = read_values(&p->value[i], read);
    for (int k = 0; k < n; k++)
      if (r->last[read[k]] < 0) r->last[read[k]] = i;
  }
}

static bool place(struct registers *r, int v) {
  for (int k = 0; k < SUMI_CARD_VPU_REGS; k++) {
    if (r->holder[k] >= 0) continue;
    r->holder[k] = v;
    r->of[v] = (uint8_t)k;
    return true;
  }
  return false;
}

static bool assign(const struct sumi_vector *p, struct registers *r, int i) {
  const struct sumi_vector_value *v = &p->value[i];
  if (r->n == SUMI_CARD_VPU_OPS) return false;
  int read[3];
  const int n = read_values(v, read);
  struct sumi_card_vop *op = &r->op[r->n++];
  *op = (struct sumi_card_vop){.op = v->op};
  if (v->op == SUMI_CARD_V_LD || v->op == SUMI_CARD_V_ST || v->op == SUMI_CARD_V_GATHER) {
    op->a = (uint8_t)v->a;
    op->c = (uint32_t)v->c;
    if (v->op == SUMI_CARD_V_GATHER) op->b = r->of[v->b];
    if (v->op == SUMI_CARD_V_ST) op->d = r->of[v->b];
  } else if (v->op == SUMI_CARD_V_IMM) {
    op->c = (uint32_t)v->c;
  } else {
    if (n > 0) op->a = r->of[v->a];
    if (n > 1) op->b = r->of[v->b];
    if (n > 2) op->c = r->of[v->c];
  }
  for (int k = 0; k < n; k++)
    if (r->last[read[k]] == i && r->holder[r->of[read[k]]] == read[k]) r->holder[r->of[read[k]]] = -1;
  if (v->op == SUMI_CARD_V_ST) return true;
  if (is_reduction(v->op)) { /* the body leaves rd as it is: only the tail's registers hold results */
    op->d = r->of[i] = r->reductions++;
    return r->reductions <= SUMI_CARD_VPU_REGS;
  }
  if (!place(r, i)) return false;
  op->d = r->of[i];
  return true;
}

/* Operations of body and tail; false: the engine has too few registers or too little program memory. */
static bool assign_all(const struct sumi_vector *p, struct registers *r, int *body) {
  find_readers(p, r);
  r->n = r->reductions = 0;
  for (int k = 0; k < SUMI_CARD_VPU_REGS; k++) r->holder[k] = -1;
  const int end = p->tail < 0 ? p->values : p->tail;
  for (int i = 0; i < p->values; i++) {
    if (i == end)
      for (int k = 0; k < SUMI_CARD_VPU_REGS; k++) r->holder[k] = -1;
    if (i == end)
      for (int k = 0; k < end; k++)
        if (is_reduction(p->value[k].op) && r->last[k] >= 0) r->holder[r->of[k]] = k;
    if (i == end) *body = r->n;
    if ((p->value[i].op == SUMI_CARD_V_ST || r->last[i] >= 0) && !assign(p, r, i)) return false;
  }
  if (p->tail < 0 || p->tail == p->values) *body = r->n;
  return true;
}

/* ---- the cell ------------------------------------------------------------------------------------------------------------ */

/* Whether loop i + 1 goes on where loop i steps, in all views. */
static bool joins(const struct sumi_vector *p, int i) {
  for (int v = 0; v < p->views; v++)
    if (p->view[v].step[i] != p->view[v].step[i + 1] * p->n[i + 1]) return false;
  return true;
}

/* Whether the last loop must stay what it is: rows are reduced, or elements are taken by index from places that other loops say. */
static bool last_loop_stays(const struct sumi_vector *p) {
  bool stays = p->tail >= 0;
  for (int v = 0; v < p->views; v++)
    for (int i = 0; i < p->rank; i++) stays = stays || (p->view[v].gather && p->view[v].step[i]);
  return stays;
}

static void drop_loop(struct sumi_vector *p, int i) {
  for (int k = i; k + 1 < p->rank; k++) {
    p->n[k] = p->n[k + 1];
    for (int v = 0; v < p->views; v++) p->view[v].step[k] = p->view[v].step[k + 1];
  }
  p->rank--;
  if (i < p->inner) p->inner--;
}

/* Loops of 1 are gone, neighbours that all views walk alike are one; loops over which a tail runs stay apart from the others. */
static void join_loops(struct sumi_vector *p) {
  const bool tail = last_loop_stays(p);
  for (int i = p->rank - 1; i >= 0; i--)
    if (p->n[i] == 1 && !(tail && i == p->inner && p->rank == p->inner + 1)) drop_loop(p, i);
  for (int i = p->rank - 2; i >= 0; i--) {
    if ((tail && i + 1 == p->inner) || !joins(p, i)) continue;
    p->n[i + 1] *= p->n[i];
    drop_loop(p, i);
  }
  if (!p->rank) {
    p->n[0] = 1;
    p->rank = 1;
    for (int v = 0; v < p->views; v++) p->view[v].step[0] = 0;
  }
}

sumi_status sumi_vector_end(struct sumi_vector *p) {
  if (p->memory) return SUMI_E_MEMORY; /* told where it happened */
  if (p->failed) return sumi_cells_refuse(p->c, "%s", p->why);
  struct registers *r = SUMI_NEW(p->c->arena, struct registers);
  if (!r) SUMI_FAIL_MEMORY(p->c->err);
  int body = 0;
  if (!assign_all(p, r, &body))
    return sumi_cells_refuse(p->c, "a vector program with more than %d values at once or %d operations",
                             SUMI_CARD_VPU_REGS, SUMI_CARD_VPU_OPS);
  if (p->tail >= 0 && p->inner == p->rank) sumi_vector_loop(p, 1);
  join_loops(p);
  if (p->rank > SUMI_CELL_LOOPS) return sumi_cells_refuse(p->c, "more than %d loops", SUMI_CELL_LOOPS);
  if (p->tail >= 0 && p->rank != p->inner + 1)
    return sumi_cells_refuse(p->c, "a reduction over elements that one step does not lead through");
  struct sumi_cell_vector cell = {.rank = p->rank, .op = r->op, .body = body, .tail = r->n - body};
  memcpy(cell.n, p->n, (size_t)p->rank * sizeof *cell.n);
  for (int v = 0; v < SUMI_CARD_VPU_VIEWS; v++) {
    cell.view[v].operand = v < p->views ? p->view[v].operand : -1;
    if (v >= p->views) continue;
    cell.view[v].at = p->view[v].at;
    memcpy(cell.view[v].step, p->view[v].step, (size_t)p->rank * sizeof *cell.n);
    if (p->view[v].gather) cell.view[v].step[p->rank - 1] = p->view[v].by;
  }
  return sumi_cells_vector(p->c, &cell);
}
