/* Every operator with a gradient, over its own cases in float64, and graphs of several operators: the graph that sumi_gradient()
 * makes against central differences. For a graph y(x) and fixed random weights r, with L(x) = sum of r * y,
 *   (L(x + h v) - L(x - h v)) / 2 h   =   sum of dL/dx * v     for random directions v, and for directions of one element
 * once with shapes as numbers, and with symbols for the dims of the first input and of all, whose values only running tells.
 * Of graphs with more than LARGE input elements, one direction an input, shapes as numbers only.
 *   grad_cases [-s SEED] [NAME]     prints one line per failure, and the seed; exit 1 on any */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/gradient.h"
#include "pass/pass.h"

enum { MAX_PORTS = 32, DIRECTIONS = 2, LARGE = 4096 };

/* The step and the tolerance: differences of float64 of size 1 carry 1e-16 / STEP of rounding and STEP^2 of curvature. */
static const double STEP = 1e-5, RTOL = 1e-6;

static uint64_t seed = 1;

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

static sumi_dtype widened(sumi_dtype d) { return sumi_dtype_in(d, SUMI_FLOATS) ? SUMI_FLOAT64 : d; }

/* Constants, inputs and Casts of any floating-point type become float64. */
static bool widen(struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_value; i++) {
    struct sumi_value *v = g->value[i];
    if (!v->constant && (v->is_input || v->producer)) v->info.dtype = widened(v->info.dtype);
    if (!v->constant || !sumi_dtype_in(v->constant->dtype, SUMI_FLOATS)) continue;
    const int64_t n = sumi_tensor_count(v->constant);
    struct sumi_blob *blob = sumi_blob_new(g->allocator, (size_t)n * sizeof(double) + 1);
    struct sumi_tensor *t = SUMI_NEW(g->arena, struct sumi_tensor);
    if (!blob || !t) return false;
    *t = *v->constant;
    t->dtype = SUMI_FLOAT64;
    t->data = sumi_blob_bytes(blob);
    for (int64_t k = 0; k < n; k++)
      sumi_set_f64(SUMI_FLOAT64, t->data, k, sumi_get_f64(v->constant->dtype, v->constant->data, k));
    sumi_blob_unref(v->blob);
    v->constant = t;
    v->blob = blob;
    v->info.dtype = SUMI_FLOAT64;
  }
  for (size_t i = 0; i < g->n_node; i++) {
    const sumi_dtype to = sumi_dtype_from_onnx(sumi_attr_int(g->node[i], "to", 0));
    if (sumi_streq(g->node[i]->op->name, "Cast") && widened(to) != to &&
        sumi_node_set_int(g->node[i], "to", sumi_dtype_to_onnx(SUMI_FLOAT64), NULL) != SUMI_OK)
      return false;
  }
  return true;
}

/* Which dims are symbols for the differentiation. */
enum shapes { NUMBERS, FIRST_SYMBOLIC, ALL_SYMBOLIC, N_SHAPES };
static const char *const shapes_label[] = {"", " (first input symbolic)", " (all symbolic)"};

struct problem {
  const char *label;
  const struct sumi_case *c;
  enum shapes shapes;
  struct sumi_model *model;
  int n_in, n_x, n_y; /* inputs; those of them that are differentiated; outputs before the gradients */
  int x[MAX_PORTS];   /* which */
  double *seed_data[MAX_PORTS];   /* r of every differentiable output; NULL of others */
  struct sumi_view in[MAX_PORTS]; /* inputs, then r of every differentiable output */
  int64_t dims[MAX_PORTS][SUMI_MAX_RANK];
  int n_feed;
  bool large;
};

static bool is_large(const struct sumi_graph *g) {
  int64_t n = 0;
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_info *info = &g->input[i]->info;
    int64_t elements = 1;
    for (int d = 0; d < info->rank; d++) elements *= info->dim[d] >= 0 ? info->dim[d] : 3;
    n += elements;
  }
  return n > LARGE;
}

static void symbols_for_dims(struct sumi_graph *g, enum shapes shapes) {
  for (size_t i = 0; i < g->n_input && (!i || shapes == ALL_SYMBOLIC); i++)
    for (int d = 0; d < g->input[i]->info.rank; d++) {
      char name[32];
      snprintf(name, sizeof name, "d%zu_%d", i, d);
      g->input[i]->info.dim[d] = sumi_dim_symbol(g->symbols, name);
    }
}

static void ignore(void *user, const struct sumi_node *node, const struct sumi_err *err) {
  (void)user, (void)node, (void)err;
}

/* L's gradient: one scalar L = sum over outputs of sum(r * y), so that outputs that depend on the same x meet. */
static sumi_status append(struct problem *p, struct sumi_graph *g, struct sumi_err *err) {
  struct sumi_value *x[MAX_PORTS], *dx[MAX_PORTS], *loss = NULL;
  p->n_in = (int)g->n_input;
  p->n_y = (int)g->n_output;
  if (g->n_input > MAX_PORTS / 2 || g->n_output > MAX_PORTS / 4)
    SUMI_FAIL(err, SUMI_E_LIMIT, "too many inputs or outputs for the harness");
  for (int i = 0; i < p->n_in; i++)
    if (g->input[i]->info.dtype == SUMI_FLOAT64) {
      p->x[p->n_x] = i;
      x[p->n_x++] = g->input[i];
    }
  for (int i = 0; i < p->n_y; i++) {
    struct sumi_value *y = g->output[i], *r, *part, *sum;
    if (y->info.dtype != SUMI_FLOAT64) continue;
    char name[32];
    snprintf(name, sizeof name, "r%d", i);
    r = sumi_graph_add_input(g, name, &y->info);
    part = sumi_graph_add_value(g, NULL);
    sum = sumi_graph_add_value(g, NULL);
    struct sumi_node *reduce;
    if (!r || !part || !sum ||
        !sumi_graph_add_node(g, NULL, &sumi_op_mul, "Mul", 14, (struct sumi_value *[]){y, r}, 2, &part, 1) ||
        !(reduce = sumi_graph_add_node(g, NULL, &sumi_op_reduce_sum, "ReduceSum", 13, &part, 1, &sum, 1)))
      SUMI_FAIL_MEMORY(err);
    SUMI_TRY(sumi_node_set_int(reduce, "keepdims", 0, err));
    if (loss) {
      struct sumi_value *both[2] = {loss, sum}, *next = sumi_graph_add_value(g, NULL);
      if (!next || !sumi_graph_add_node(g, NULL, &sumi_op_add, "Add", 14, both, 2, &next, 1))
        SUMI_FAIL_MEMORY(err);
      sum = next;
    }
    loss = sum;
  }
  if (!loss || !p->n_x) SUMI_FAIL(err, SUMI_E_VALUE, "nothing to differentiate");
  SUMI_TRY(sumi_pass_infer(g, ignore, NULL, err));
  SUMI_TRY(sumi_gradient(g, loss, NULL, x, (size_t)p->n_x, dx, err));
  if (!sumi_graph_add_output(g, loss)) SUMI_FAIL_MEMORY(err);
  for (int i = 0; i < p->n_x; i++) { /* under a name of its own each */
    struct sumi_value *out = sumi_graph_add_value(g, NULL);
    if (!out || !sumi_graph_add_node(g, NULL, &sumi_op_identity, "Identity", 14, &dx[i], 1, &out, 1) ||
        !sumi_graph_add_output(g, out))
      SUMI_FAIL_MEMORY(err);
  }
  SUMI_TRY(sumi_graph_tidy(g, err));
  return sumi_graph_verify(g, err);
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static void fill(struct sumi_random *r, const struct sumi_case *c, sumi_dtype d, void *data, int64_t n) {
  const bool ranged = c->low != 0 || c->high != 0;
  for (int64_t i = 0; i < n; i++) {
    const double u = sumi_random_uniform(r);
    const bool whole = !sumi_dtype_is_float(d);
    double x = ranged ? c->low + u * (c->high - c->low) : whole ? floor(u * 8) : sumi_random_normal(r);
    if (whole) x = d == SUMI_BOOL ? u < 0.5 : floor(x);
    sumi_set_f64(d, data, i, x);
  }
}

static bool feed(struct problem *p, const struct sumi_graph *shapes, struct sumi_random *r) {
  p->n_feed = (int)p->model->graph->n_input;
  for (int i = 0; i < p->n_feed; i++) {
    const struct sumi_info *info = &shapes->input[i]->info;
    size_t bytes;
    for (int d = 0; d < info->rank; d++) p->dims[i][d] = info->dim[d] >= 0 ? info->dim[d] : 3;
    if (info->rank < 0 || sumi_shape_bytes(info->dtype, p->dims[i], info->rank, &bytes, NULL) != SUMI_OK)
      return false;
    const struct sumi_case plain = {.low = 0, .high = 0};
    p->in[i] = (struct sumi_view){.size = sizeof p->in[i],
                                  .name = p->model->graph->input[i]->name,
                                  .data = calloc(1, bytes + 64),
                                  .dtype = info->dtype,
                                  .rank = info->rank,
                                  .dims = p->dims[i]};
    fill(r, i < p->n_in ? p->c : &plain, info->dtype, p->in[i].data,
         sumi_dims_count(p->dims[i], 0, info->rank));
  }
  return true;
}

static int64_t count(const struct sumi_view *v) { return sumi_dims_count(v->dims, 0, v->rank); }

/* L and, where out is given, all outputs. */
static sumi_status evaluate(const struct problem *p, struct sumi_session *s, double *loss,
                            struct sumi_view *out, struct sumi_err *err) {
  struct sumi_view local[MAX_PORTS], *view = out ? out : local;
  const size_t n = p->model->graph->n_output;
  for (size_t i = 0; i < n; i++)
    view[i] = (struct sumi_view){.size = sizeof *view, .name = p->model->graph->output[i]->name};
  SUMI_TRY(sumi_session_execute(s, p->in, (size_t)p->n_feed, view, n, err));
  *loss = *(const double *)view[p->n_y].data;
  return SUMI_OK;
}

/* One direction of input x: the difference against the gradient. */
static sumi_status check_direction(const struct problem *p, struct sumi_session *s, int x, const double *dx,
                                   const double *v, int *failed, struct sumi_err *err) {
  const struct sumi_view *in = &p->in[p->x[x]];
  double *at = in->data, ahead, behind, want = 0, scale = 1e-3;
  const int64_t n = count(in);
  for (int64_t i = 0; i < n; i++) want += dx[i] * v[i], scale += fabs(dx[i] * v[i]);
  for (int64_t i = 0; i < n; i++) at[i] += STEP * v[i];
  SUMI_TRY(evaluate(p, s, &ahead, NULL, err));
  for (int64_t i = 0; i < n; i++) at[i] -= 2 * STEP * v[i];
  SUMI_TRY(evaluate(p, s, &behind, NULL, err));
  for (int64_t i = 0; i < n; i++) at[i] += STEP * v[i];
  const double got = (ahead - behind) / (2 * STEP);
  scale += (fabs(ahead) + fabs(behind)) * 1e-3;
  if (fabs(got - want) <= RTOL * scale) return SUMI_OK;
  printf("FAIL %s%s, input '%s': the gradient is %.9g, differences say %.9g\n  %s\n", p->label,
         shapes_label[p->shapes], in->name, want, got, p->c->text);
  ++*failed;
  return SUMI_OK;
}

static sumi_status check_input(const struct problem *p, struct sumi_session *s, int x, const double *all,
                               struct sumi_random *r, int *failed, struct sumi_err *err) {
  const int64_t n = count(&p->in[p->x[x]]);
  double *v = calloc((size_t)n + 1, sizeof *v);
  sumi_status status = v ? SUMI_OK : SUMI_E_MEMORY;
  const int directions = p->large ? 1 : 2 * DIRECTIONS;
  for (int k = 0; k < directions && status == SUMI_OK && n && !*failed; k++) {
    for (int64_t i = 0; i < n; i++) v[i] = k < DIRECTIONS ? sumi_random_normal(r) / sqrt((double)n) : 0;
    if (k >= DIRECTIONS) v[(int64_t)(sumi_random_uniform(r) * (double)n) % n] = 1;
    status = check_direction(p, s, x, all, v, failed, err);
  }
  free(v);
  return status;
}

static sumi_status check_all(const struct problem *p, struct sumi_session *s, struct sumi_random *r,
                             int *failed, struct sumi_err *err) {
  struct sumi_view out[MAX_PORTS];
  double loss, *dx[MAX_PORTS] = {NULL};
  sumi_status status = evaluate(p, s, &loss, out, err);
  for (int i = 0; i < p->n_x && status == SUMI_OK; i++) { /* the views last until the next run */
    const size_t n = (size_t)count(&p->in[p->x[i]]);
    dx[i] = malloc((n + 1) * sizeof(double));
    if (!dx[i] || count(&out[p->n_y + 1 + i]) != (int64_t)n)
      status = sumi_err_set(err, SUMI_E_SHAPE, "a gradient is not of its input's shape");
    else if (n)
      memcpy(dx[i], out[p->n_y + 1 + i].data, n * sizeof(double));
  }
  for (int i = 0; i < p->n_x && status == SUMI_OK; i++) status = check_input(p, s, i, dx[i], r, failed, err);
  for (int i = 0; i < p->n_x; i++) free(dx[i]);
  return status;
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

static struct sumi_graph *parse(const struct sumi_case *c, struct sumi_err *err) {
  struct sumi_graph *g = NULL;
  if (sumi_graph_parse(c->text, strlen(c->text), sumi_op_find, sumi_allocator_default(), &g, err) != SUMI_OK)
    return NULL;
  if (!widen(g) || sumi_pass_infer(g, NULL, NULL, err) != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return g;
}

/* What came of a case. The sentence of a refusal or failure is in err or printed. */
enum outcome { CHECKED, FAILED, REFUSED, WITHOUT, TOO_LARGE };

static enum outcome check_case(const char *label, const struct sumi_case *c, enum shapes shapes,
                               struct sumi_err *err) {
  struct problem p = {.label = label, .c = c, .shapes = shapes}, plain = p;
  struct sumi_random r;
  struct sumi_session *s = NULL;
  int failed = 0;
  struct sumi_graph *numbers = parse(c, err), *g = numbers ? parse(c, err) : NULL;
  if (g) p.large = is_large(numbers);
  if (p.large && shapes != NUMBERS) {
    sumi_graph_free(g);
    sumi_graph_free(numbers);
    return TOO_LARGE;
  }
  sumi_status status = g ? append(&plain, numbers, err) : SUMI_E_UNSUPPORTED;
  if (status == SUMI_OK && shapes) {
    symbols_for_dims(g, shapes);
    status = sumi_pass_infer(g, ignore, NULL, err);
  }
  if (status == SUMI_OK) status = append(&p, g, err);
  if (status != SUMI_OK) {
    const enum outcome why = !g || status == SUMI_E_VALUE   ? WITHOUT
                             : status == SUMI_E_UNSUPPORTED ? REFUSED
                                                            : FAILED;
    sumi_graph_free(g);
    sumi_graph_free(numbers);
    if (why == FAILED) printf("FAIL %s%s: %s\n  %s\n", label, shapes_label[shapes], err->text, c->text);
    return why;
  }
  sumi_random_init(&r, seed);
  const struct sumi_session_options o = {.size = sizeof o, .device = "ref", .threads = 1};
  status = sumi_model_new(sumi_allocator_default(), g, &p.model, err);
  if (status == SUMI_OK && !feed(&p, numbers, &r)) status = SUMI_E_MEMORY;
  if (status == SUMI_OK) status = sumi_session_init(p.model, &o, &s, err);
  if (status == SUMI_OK) status = check_all(&p, s, &r, &failed, err);
  if (status != SUMI_OK) {
    printf("FAIL %s%s: %s\n  %s\n", label, shapes_label[shapes], err->text, c->text);
    failed = 1;
  }
  sumi_session_fini(s);
  for (int i = 0; i < p.n_feed; i++) free(p.in[i].data);
  sumi_model_unref(p.model);
  sumi_graph_free(numbers);
  return failed ? FAILED : CHECKED;
}

/* What operators' own cases do not reach: rules in each other's hands, values used twice, float inputs that are usually
 * constants. */
static const struct sumi_case composites[] = {
    {"g (float[2,3,9,9] x, float[4,3,3,3] w, float[4] c, float[4] s, float[4] b, float[4] m, float[4] v, "
     "float[64,5] f, float[5] e) => (y) { p = Conv <pads = [1, 1, 1, 1]> (x, w, c)"
     " q = BatchNormalization (p, s, b, m, v) r = Relu (q) t = MaxPool <kernel_shape = [2, 2], strides = [2, "
     "2]> (r)"
     " u = Flatten (t) z = Gemm (u, f, e) y = Softmax (z) }",
     .low = 0.1, .high = 1, .why = "a small network"},
    {"g (float[2,5,8] x, float[8] s, float[8] b, float[8,8] q, float[8,8] k) => (y) { n = LayerNormalization "
     "(x, s, b)"
     " a = MatMul (n, q) c = MatMul (n, k) d = Transpose <perm = [0, 2, 1]> (c) e = MatMul (a, d) p = "
     "Softmax (e)"
     " h = MatMul (p, n) o = Gelu (h) y = Add (o, x) }",
     .why = "attention: values with several readers"},
    {"g (float[3] x) => (y) { a = Mul (x, x) b = Add (a, x) c = Identity (b) y = Mul (c, a) }",
     .why = "a value as both inputs of a node"},
    {NULL},
};

static const struct sumi_case extra[] = {
    {"g (float[2,4,7,8] x, float[6,2,3,2] w, float[6] b) => (y) { y = Conv <group = 2, strides = [2, 3], "
     "dilations = [1, 2], pads = [1, 0, 2, 1]> (x, w, b) }",
     .why = "groups, strides that leave a rest, dilations, uneven pads"},
    {"g (float[1,3,9] x, float[3,1,3] w) => (y) { y = Conv <group = 3, auto_pad = \"SAME_UPPER\", strides = "
     "[2]> (x, w) }",
     .why = "depthwise"},
    {"g (float[2,3,8,7] x) => (y) { y = AveragePool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, 1, "
     "0, 0], "
     "ceil_mode = 1> (x) }",
     .why = "windows of different sizes"},
    {"g (float[2,3,8,7] x) => (y) { y = AveragePool <kernel_shape = [3, 2], strides = [2, 1]> (x) }",
     .why = "symbolic sizes: no pads"},
    {"g (float[2,2,7,7] x) => (y) { y = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x) }",
     .why = "windows that overlap"},
    {"g (float[7] x, float low, float high) => (y) { y = Clip (x, low, high) }",
     .why = "limits that are inputs"},
    {"g (float[4,3] x) => (y) <int64[2,2] i = {1, -1, 1, 0}> { y = Gather <axis = 1> (x, i) }",
     .why = "one element picked several times"},
    {"g (float[6,5] x) => (y) <int64[2] s = {-1, 0}, int64[2] e = {-6, 5}, int64[2] a = {0, 1}, int64[2] t = "
     "{-2, 2}> "
     "{ y = Slice (x, s, e, a, t) }",
     .why = "steps, backwards"},
    {"g (float[5] a, float[2,5,3] b) => (y) { y = MatMul (a, b) }", .why = "a vector in front"},
    {"g (float[3,5] a, float[5] b) => (y) { y = MatMul (a, b) }", .why = "a vector behind"},
    {"g (float[4,2] a, float[3,4] b, float[3] c) => (y) { y = Gemm <transA = 1, transB = 1, alpha = 0.5, "
     "beta = 2.0> "
     "(a, b, c) }"},
    {"g (float[3,1] a, float[2,1,4] b) => (y) { y = Pow (a, b) }", .low = 0.5, .high = 2},
    {"g (float[2,3,4] x) => (y) <int64[1] a = {1}> { y = ReduceMean <keepdims = 0> (x, a) }"},
    {"g (float[2,3,4] x) => (y) { y = ReduceSum <keepdims = 0> (x) }"},
    {"g (float[2,3,4] x) => (y) <int64[1] a = {1}> { y = ReduceL2 <keepdims = 0> (x, a) }"},
    {"g (float[2,3] x, float[2,3] z) => (y) { a = Mul (x, z) b = ReduceL2 (a) c = ReduceSumSquare (x) "
     "y = Div (b, c) }"},
    {"g (float[2,7] x) => (a, b, c) <int64[3] n = {2, 4, 1}> { a, b, c = Split <axis = 1> (x, n) }"},
    {NULL},
};

struct tally {
  int done, refused, without, failed; /* without: cannot be float64, or no float in it depends on a float */
};

static void check_list(const char *label, const struct sumi_case *c, struct tally *t) {
  for (; c && c->text; c++)
    for (int shapes = 0; shapes < N_SHAPES; shapes++) {
      struct sumi_err err = SUMI_ERR_INIT;
      const enum outcome result = check_case(label, c, (enum shapes)shapes, &err);
      if (result == REFUSED) printf("refused, %s%s: %s\n", label, shapes_label[shapes], err.text);
      t->without += result == WITHOUT;
      t->refused += result == REFUSED;
      t->done += result == CHECKED || result == FAILED;
      t->failed += result == FAILED;
    }
}

/* The lists of this file, every graph of which can be differentiated where its shapes are numbers. */
static void check_own(const char *label, const struct sumi_case *c, struct tally *t) {
  for (; c->text; c++) {
    const struct sumi_case one[2] = {*c, {NULL}};
    const int before = t->done;
    check_list(label, one, t);
    if (t->done == before) {
      printf("FAIL %s: refused\n  %s\n", label, c->text);
      t->failed++;
    }
  }
}

int main(int argc, char **argv) {
  const char *only = NULL;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "-s") && i + 1 < argc)
      seed = strtoull(argv[++i], NULL, 0);
    else
      only = argv[i];
  size_t n_ops;
  const struct sumi_op *const *ops = sumi_ops(&n_ops);
  struct tally t = {0};
  int with = 0;
  for (size_t i = 0; i < n_ops; i++) {
    if (!ops[i]->grad || (only && strcmp(only, ops[i]->name))) continue;
    const int before = t.done;
    with++;
    check_list(ops[i]->name, ops[i]->cases, &t);
    if (t.done > before) continue;
    printf("FAIL %s: not one of its cases could be differentiated\n", ops[i]->name);
    t.failed++;
  }
  if (!only) {
    check_own("extra", extra, &t);
    check_own("composite", composites, &t);
  }
  printf("%d operators with a gradient, %d graphs checked, %d refused, %d without anything to differentiate, "
         "%d failed, "
         "seed %" PRIu64 "\n",
         with, t.done, t.refused, t.without, t.failed, seed);
  return t.failed != 0;
}
