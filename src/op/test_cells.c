/* Every case of every operator that describes itself as cells: each such node, computed by its reference
 * function, once more by its cells over host memory (cells_test.h). With what the case has as constants, and
 * with everything but its first input constant; inputs row-major, with axis 1 as neighbours, and as the
 * operator likes; products of float32 refused, and on bfloat16.
 *   op_cells [-s SEED] [NAME]     with a name, every refusal is printed; exit 1 on any failure */
#include "op/cells_test.h"

#include <stdlib.h>

#include "op/case_test.h"
#include "op/ops.h"

enum { MAX_PORTS = 64 };

/* Products taken on bfloat16: both factors are rounded to 8 bits; what comes of that in scores grows by their
 * size in the powers of a softmax. */
static const double NARROW_RTOL = 0x1p-6, NARROW_POWERS_RTOL = 0x1p-4;

static uint64_t seed = 1;
static bool verbose;

/* A value of the case's graph. */
struct value {
  struct sumi_tensor t;
  bool known;
  bool constant[2]; /* as the case has it; with all inputs but the first constant */
};

struct tally {
  int cases, ran, runs, refused, failed;
  char why[256]; /* the last refusal */
};

struct node_run {
  const struct sumi_op *op;
  const struct sumi_case *c;
  const struct sumi_node *node;
  struct value *in[MAX_PORTS], *out[MAX_PORTS];
  struct sumi_arena *arena; /* of the case */
  struct tally *tally;
};

enum form { ROW_MAJOR, NEIGHBOURS, FREE, N_FORMS };

struct variant {
  int constants; /* which of value.constant */
  enum form form;
  bool narrow;
};

static size_t bytes_of(const struct sumi_tensor *t) {
  size_t bytes = 0;
  sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, NULL);
  return bytes;
}

/* ---- one node by cells ----------------------------------------------------------------------------------- */

static struct sumi_cell_operand operand_of(const struct sumi_tensor *t, bool constant, enum form form) {
  struct sumi_cell_operand o = {.dtype = t->dtype, .rank = t->rank, .bytes = bytes_of(t)};
  memcpy(o.dim, t->dim, sizeof o.dim);
  sumi_strides(t->dim, t->rank, o.step);
  if (constant) o.data = t->data;
  o.free = !constant && form == FREE;
  if (constant || form != NEIGHBOURS || t->rank < 3) return o;
  int64_t step = 1;
  o.step[1] = step;
  step = t->dim[1];
  for (int d = t->rank - 1; d >= 0; d--)
    if (d != 1) o.step[d] = step, step *= t->dim[d];
  return o;
}

/* Between row-major and the operand's form. */
static void convert(const struct sumi_cell_operand *o, void *form, void *row_major, bool back) {
  const size_t e = (size_t)sumi_dtype_bits(o->dtype) / 8;
  int64_t i[SUMI_MAX_RANK] = {0}, at, k = 0;
  do {
    at = 0;
    for (int d = 0; d < o->rank; d++) at += i[d] * o->step[d];
    char *a = (char *)form + (size_t)at * e, *b = (char *)row_major + (size_t)k++ * e;
    memcpy(back ? b : a, back ? a : b, e);
  } while (cells_next(o->rank, o->dim, i));
}

static bool has_operand(const struct value *v) {
  return !v ||
         (v->t.dtype != SUMI_STRING && sumi_dtype_bits(v->t.dtype) >= 8 && sumi_tensor_count(&v->t) > 0);
}

/* Bytes of every operand, inputs in their forms. */
static uint8_t **memory(const struct node_run *n, const struct sumi_cells *c) {
  uint8_t **data = SUMI_NEW_ARRAY(c->arena, c->n_operand, uint8_t *);
  for (size_t k = 0; k < c->n_operand; k++) {
    const struct sumi_cell_operand *o = &c->operand[k];
    if (o->dtype == SUMI_UNDEFINED) continue;
    data[k] = sumi_arena_alloc(c->arena, o->bytes);
    if (o->data)
      memcpy(data[k], o->data, o->bytes);
    else if ((int)k < c->n_in)
      convert(o, data[k], n->in[k]->t.data, false);
    else
      memset(data[k], 0xa5, o->bytes);
  }
  return data;
}

static double narrow_rtol(const struct sumi_cells *c) {
  bool powers = false;
  for (size_t i = 0; i < c->n_cell; i++)
    for (int k = 0; c->cell[i].kind == SUMI_CELL_VECTOR && k < c->cell[i].u.vector.body; k++)
      powers = powers || c->cell[i].u.vector.op[k].op == SUMI_CARD_V_EXP;
  return !c->narrow ? 0 : powers ? NARROW_POWERS_RTOL : NARROW_RTOL;
}

static bool same_outputs(const struct node_run *n, const struct sumi_cells *c, uint8_t **data, char *why,
                         size_t size) {
  const double narrow = narrow_rtol(c);
  for (int i = 0; i < n->node->n_out; i++) {
    if (!n->out[i]) continue;
    const struct sumi_tensor *want = &n->out[i]->t;
    void *got = sumi_arena_alloc(c->arena, bytes_of(want));
    convert(&c->operand[c->n_in + i], data[c->n_in + i], got, true);
    if (!case_agree(SUMI_MAX(n->c->rtol, narrow), SUMI_MAX(n->c->atol, narrow), want->dtype,
                    sumi_tensor_count(want), got, want->data, why, size))
      return false;
  }
  return true;
}

static void fail(const struct node_run *n, const struct variant *v, const char *why) {
  static const char *const label[] = {"", ", axis 1 as neighbours", ", free"};
  printf("FAIL %s%s%s%s: %s\n  %s\n", n->op->name, v->constants ? ", constants" : "", label[v->form],
         v->narrow ? ", narrow" : "", why, n->c->text);
  n->tally->failed++;
}

static void run_cells(const struct node_run *n, const struct variant *v, struct sumi_cells *c) {
  struct sumi_text refusals;
  char why[256];
  sumi_text_init(&refusals, sumi_allocator_default());
  c->refusals = &refusals;
  const sumi_status status = n->op->cells(c);
  if (status == SUMI_OK) {
    struct cells_run r = {.c = c, .data = memory(n, c)};
    n->tally->runs++;
    if (!cells_run(&r))
      fail(n, v, r.wrong);
    else if (!same_outputs(n, c, r.data, why, sizeof why))
      fail(n, v, why);
  } else if (status == SUMI_E_UNSUPPORTED && refusals.size) {
    n->tally->refused++;
    snprintf(n->tally->why, sizeof n->tally->why, "%s", sumi_text_str(&refusals));
    if (verbose)
      printf("refused%s: %s\n  %.100s\n", v->constants ? ", constants" : "", n->tally->why, n->c->text);
  } else {
    fail(n, v, status == SUMI_E_UNSUPPORTED ? "refused without a reason" : c->err->text);
  }
  sumi_text_fini(&refusals);
}

static void check_variant(const struct node_run *n, const struct variant *v) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_arena arena;
  struct sumi_tensor t[2 * MAX_PORTS];
  const struct sumi_tensor *in[MAX_PORTS], *out[MAX_PORTS];
  sumi_arena_init(&arena, sumi_allocator_default());
  struct sumi_cells c = {.node = n->node,
                         .n_in = n->node->n_in,
                         .n_out = n->node->n_out,
                         .in = in,
                         .out = out,
                         .narrow = v->narrow,
                         .arena = &arena,
                         .err = &err};
  c.n_operand = c.cap_operand = (size_t)(c.n_in + c.n_out);
  c.operand = SUMI_NEW_ARRAY(&arena, c.n_operand, struct sumi_cell_operand);
  for (int i = 0; i < c.n_in + c.n_out; i++) {
    const struct value *from = i < c.n_in ? n->in[i] : n->out[i - c.n_in];
    const bool constant = from && i < c.n_in && from->constant[v->constants];
    const struct sumi_tensor **to = i < c.n_in ? &in[i] : &out[i - c.n_in];
    *to = from ? &t[i] : NULL;
    if (!from) continue;
    t[i] = from->t;
    if (!constant) t[i].data = NULL;
    c.operand[i] = operand_of(&from->t, constant, i < c.n_in ? v->form : FREE);
  }
  run_cells(n, v, &c);
  sumi_arena_fini(&arena);
}

static void check_node(const struct node_run *n) {
  const int n_in = n->node->n_in, n_out = n->node->n_out;
  bool differs = false, deep = false, narrow = false;
  for (int i = 0; i < n_in; i++) {
    if (!has_operand(n->in[i])) return;
    if (!n->in[i]) continue;
    differs = differs || n->in[i]->constant[0] != n->in[i]->constant[1];
    deep = deep || n->in[i]->t.rank >= 3;
    narrow = narrow || n->in[i]->t.dtype == SUMI_FLOAT32;
  }
  for (int i = 0; i < n_out; i++)
    if (!has_operand(n->out[i])) return;
  for (int k = 0; k < 4 * N_FORMS; k++) {
    const struct variant v = {.constants = k & 1, .form = (enum form)(k / 4), .narrow = k & 2};
    bool all = true;
    for (int i = 0; i < n_in; i++) all = all && (!n->in[i] || n->in[i]->constant[v.constants]);
    if (all || (v.constants && !differs) || (v.form == NEIGHBOURS && !deep) || (v.narrow && !narrow))
      continue;
    check_variant(n, &v);
  }
}

/* ---- a case by reference functions ----------------------------------------------------------------------- */

static struct sumi_info info_of(const struct value *v) {
  struct sumi_info i = {.kind = v->t.kind, .dtype = v->t.dtype, .rank = v->t.rank, .data = &v->t};
  for (int d = 0; d < v->t.rank; d++) i.dim[d] = v->t.dim[d];
  return i;
}

/* Gives the tensor its data. */
static bool allocate(struct sumi_tensor *t, struct sumi_arena *arena) {
  size_t bytes;
  if (t->kind != SUMI_TENSOR || sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, NULL) != SUMI_OK)
    return false;
  t->data = sumi_arena_alloc(arena, bytes + 64);
  return t->data;
}

/* Makes the outputs by the reference function; false: a node that cannot be run like this (bodies,
 * sequences). */
static bool run_node(struct node_run *n) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_info in_info[MAX_PORTS], out_info[MAX_PORTS];
  const struct sumi_tensor *in[MAX_PORTS];
  struct sumi_tensor *out[MAX_PORTS];
  const struct sumi_node *node = n->node;
  if (node->op->flags & (SUMI_OP_CONTROL | SUMI_OP_DYNAMIC | SUMI_OP_RANDOM)) return false;
  for (int i = 0; i < node->n_in; i++) {
    in[i] = n->in[i] ? &n->in[i]->t : NULL;
    in_info[i] = n->in[i] ? info_of(n->in[i]) : (struct sumi_info){.rank = -1, .absent = true};
  }
  for (int i = 0; i < node->n_out; i++) out_info[i] = (struct sumi_info){.rank = -1, .absent = !n->out[i]};
  struct sumi_infer ctx = {.node = node,
                           .arena = n->arena,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = in_info,
                           .out = out_info,
                           .err = &err};
  if (sumi_infer_node(&ctx) != SUMI_OK) return false;
  for (int i = 0; i < node->n_out; i++) {
    out[i] = n->out[i] ? &n->out[i]->t : NULL;
    if (!out[i]) continue;
    *out[i] =
        (struct sumi_tensor){.kind = out_info[i].kind, .dtype = out_info[i].dtype, .rank = out_info[i].rank};
    for (int d = 0; d < out[i]->rank; d++) out[i]->dim[d] = out_info[i].dim[d];
    if (out[i]->rank < 0 || !allocate(out[i], n->arena)) return false;
  }
  struct sumi_call call = {.node = node,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = in,
                           .out = out,
                           .heap = n->arena,
                           .err = &err};
  size_t scratch = 0;
  if (node->op->scratch && node->op->scratch(&call, &scratch) != SUMI_OK) return false;
  call.scratch = sumi_arena_alloc(n->arena, scratch + 64);
  return node->op->ref(&call) == SUMI_OK;
}

static bool run_graph(const struct sumi_op *op, const struct sumi_case *c, const struct sumi_graph *g,
                      struct value *value, struct sumi_arena *arena, struct tally *tally) {
  for (size_t k = 0; k < g->n_node; k++) {
    struct node_run n = {.op = op, .c = c, .node = g->node[k], .arena = arena, .tally = tally};
    bool constant[2] = {true, true};
    if (n.node->n_in > MAX_PORTS || n.node->n_out > MAX_PORTS) return false;
    for (int i = 0; i < n.node->n_in; i++) {
      if (!n.node->in[i]) continue;
      n.in[i] = &value[n.node->in[i]->id];
      if (!n.in[i]->known) return false;
      for (int j = 0; j < 2; j++) constant[j] = constant[j] && n.in[i]->constant[j];
    }
    for (int i = 0; i < n.node->n_out; i++)
      if (n.node->out[i]) n.out[i] = &value[n.node->out[i]->id];
    if (!run_node(&n)) return false;
    for (int i = 0; i < n.node->n_out; i++)
      if (n.out[i]) {
        n.out[i]->known = true;
        memcpy(n.out[i]->constant, constant, sizeof constant);
      }
    if (n.node->op == op) check_node(&n);
  }
  return true;
}

/* The graph's inputs, random, and constants. */
static bool make_values(const struct sumi_graph *g, const struct sumi_case *c, struct value *value,
                        struct sumi_arena *arena) {
  struct sumi_random r;
  sumi_random_init(&r, seed);
  for (size_t i = 0; i < g->n_value; i++)
    if (g->value[i]->constant && !g->value[i]->is_input)
      value[i] = (struct value){.t = *g->value[i]->constant, .known = true, .constant = {true, true}};
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_info *info = &g->input[i]->info;
    struct value *v = &value[g->input[i]->id];
    v->t = (struct sumi_tensor){.kind = info->kind, .dtype = info->dtype, .rank = info->rank};
    for (int d = 0; d < info->rank; d++) v->t.dim[d] = info->dim[d] >= 0 ? info->dim[d] : 3;
    if (info->rank < 0 || !allocate(&v->t, arena)) return false;
    case_fill(&r, c, v->t.dtype, v->t.data, sumi_tensor_count(&v->t));
    v->known = true;
    v->constant[1] = i > 0;
  }
  return true;
}

static void check_case(const struct sumi_op *op, const struct sumi_case *c, struct tally *tally) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  struct sumi_arena arena;
  const int runs = tally->runs;
  sumi_arena_init(&arena, sumi_allocator_default());
  tally->cases++;
  if (sumi_graph_parse(c->text, strlen(c->text), sumi_op_find, sumi_allocator_default(), &g, &err) ==
      SUMI_OK) {
    struct value *value = SUMI_NEW_ARRAY(&arena, g->n_value, struct value);
    if (!value || !make_values(g, c, value, &arena) || !run_graph(op, c, g, value, &arena, tally))
      if (verbose) printf("not run here: %s\n", c->text);
  } else {
    printf("FAIL %s: %s\n  %s\n", op->name, err.text, c->text);
    tally->failed++;
  }
  tally->ran += tally->runs > runs;
  sumi_graph_free(g);
  sumi_arena_fini(&arena);
}

int main(int argc, char **argv) {
  const char *only = NULL;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "-s") && i + 1 < argc)
      seed = strtoull(argv[++i], NULL, 0);
    else
      only = argv[i];
  verbose = only;
  size_t n_ops;
  const struct sumi_op *const *ops = sumi_ops(&n_ops);
  struct tally all = {0};
  int n = 0;
  for (size_t i = 0; i < n_ops; i++) {
    if (!ops[i]->cells || (only && strcmp(only, ops[i]->name))) continue;
    struct tally t = {0};
    for (const struct sumi_case *c = ops[i]->cases; c && c->text; c++) check_case(ops[i], c, &t);
    if (!t.runs) {
      printf("FAIL %s: no case runs as cells; the last refusal: %s\n", ops[i]->name, t.why);
      t.failed++;
    }
    if (verbose || t.failed)
      printf("%s: %d of %d cases, %d runs, %d refused, %d failed\n", ops[i]->name, t.ran, t.cases, t.runs,
             t.refused, t.failed);
    n++;
    all.cases += t.cases;
    all.ran += t.ran;
    all.runs += t.runs;
    all.refused += t.refused;
    all.failed += t.failed;
  }
  printf("%d operators with cells: %d of %d cases, %d runs, %d refused, %d failed, seed %" PRIu64 "\n", n,
         all.ran, all.cases, all.runs, all.refused, all.failed, seed);
  return all.failed != 0;
}
