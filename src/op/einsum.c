/* Einsum: y[output labels] = sum over all other labels of the product of the inputs, each indexed by its own
 * labels. Labels are letters; "..." stands for the dims between them, the same number everywhere it is
 * written. A label repeated in one input takes its diagonal; a dim of 1 broadcasts. Sums are taken in double
 * precision (integers: exact, wrapping). */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/einsum.h"
#include "op/matmul_lower.h"
#include "op/move_lower.h"
#include "op/op_util.h"

static int label_of(char c) {
  return c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

/* Reads one term up to ',' or '-' or the end; dots: how many dims its "..." stands for. */
static sumi_status read_term(const char **at, int dots, struct sumi_einsum_term *t, bool *has_dots,
                             struct sumi_err *err) {
  const char *s = *at;
  t->n = 0;
  *has_dots = false;
  for (; *s && *s != ',' && *s != '-'; s++) {
    if (*s == ' ') continue;
    const bool is_dots = s[0] == '.' && s[1] == '.' && s[2] == '.';
    if (!is_dots && label_of(*s) < 0)
      SUMI_FAIL(err, SUMI_E_VALUE, "the equation has '%c'", isprint((unsigned char)*s) ? *s : '?');
    const int more = is_dots ? dots : 1;
    if (t->n + more > SUMI_MAX_RANK)
      SUMI_FAIL(err, SUMI_E_LIMIT, "a term of the equation has more than %d labels", SUMI_MAX_RANK);
    if (is_dots && *has_dots) SUMI_FAIL(err, SUMI_E_VALUE, "a term of the equation has two ellipses");
    for (int i = 0; i < more; i++)
      t->label[t->n++] = is_dots ? SUMI_EINSUM_DOTS + dots - 1 - i : label_of(*s);
    if (is_dots) *has_dots = true, s += 2;
  }
  *at = s;
  return SUMI_OK;
}

/* How many dims an ellipsis stands for: from the first input of known rank that has one. */
static sumi_status count_dots(const char *s, const int *rank, int n_in, int *dots, struct sumi_err *err) {
  *dots = 0;
  for (int i = 0; i < n_in; i++) {
    struct sumi_einsum_term t;
    bool has_dots;
    SUMI_TRY(read_term(&s, 0, &t, &has_dots, err));
    if (has_dots && rank[i] >= 0) *dots = SUMI_MAX(*dots, rank[i] - t.n);
    if (has_dots && rank[i] >= 0 && rank[i] < t.n)
      SUMI_FAIL(err, SUMI_E_SHAPE, "input %d has rank %d, its term %d labels", i, rank[i], t.n);
    if (*s == ',') s++;
  }
  return SUMI_OK;
}

/* Without "->": the ellipsis, then the letters that occur once, in the order of their characters. */
static void implicit_output(struct sumi_einsum *e, int dots) {
  int seen[SUMI_EINSUM_LABELS] = {0};
  for (int i = 0; i < e->n_in; i++)
    for (int k = 0; k < e->in[i].n; k++) seen[e->in[i].label[k]]++;
  e->out.n = 0;
  for (int i = 0; i < dots; i++)
    if (seen[SUMI_EINSUM_DOTS + dots - 1 - i]) e->out.label[e->out.n++] = SUMI_EINSUM_DOTS + dots - 1 - i;
  for (int l = 0; l < SUMI_EINSUM_DOTS && e->out.n < SUMI_MAX_RANK; l++)
    if (seen[l] == 1) e->out.label[e->out.n++] = l;
}

static sumi_status read_output(const char *s, int dots, struct sumi_einsum *e, struct sumi_err *err) {
  bool has_dots;
  if (s[0] != '-' || s[1] != '>')
    SUMI_FAIL(err, SUMI_E_VALUE, "the equation has more terms than inputs, or no '->' after them");
  s += 2;
  SUMI_TRY(read_term(&s, dots, &e->out, &has_dots, err));
  if (*s) SUMI_FAIL(err, SUMI_E_VALUE, "the equation has more than one output");
  bool used[SUMI_EINSUM_LABELS] = {false}, seen[SUMI_EINSUM_LABELS] = {false};
  for (int i = 0; i < e->n_in; i++)
    for (int k = 0; k < e->in[i].n; k++) seen[e->in[i].label[k]] = true;
  for (int k = 0; k < e->out.n; k++) {
    const int l = e->out.label[k];
    if (used[l] || !seen[l]) SUMI_FAIL(err, SUMI_E_VALUE, "an output label is repeated or in no input");
    used[l] = true;
  }
  return SUMI_OK;
}

/* rank[n_in]: of the inputs; all known, or the output's labels are not to be trusted where there is an
 * ellipsis. */
static sumi_status parse(const struct sumi_node *node, const int *rank, int n_in, struct sumi_einsum *e,
                         struct sumi_err *err) {
  const char *s = sumi_attr_string(node, "equation", "");
  int dots;
  if (n_in < 1) SUMI_FAIL(err, SUMI_E_ARG, "there are no inputs");
  if (n_in > SUMI_EINSUM_INPUTS)
    SUMI_FAIL(err, SUMI_E_LIMIT, "%d inputs; at most %d are supported", n_in, SUMI_EINSUM_INPUTS);
  SUMI_TRY(count_dots(s, rank, n_in, &dots, err));
  e->n_in = n_in;
  for (int i = 0; i < n_in; i++) {
    const char *begin = s;
    bool has_dots;
    /* this input's own ellipsis may be shorter than the longest: its dims are the last ones */
    SUMI_TRY(read_term(&s, 0, &e->in[i], &has_dots, err));
    if (rank[i] >= 0 && !has_dots && e->in[i].n != rank[i])
      SUMI_FAIL(err, SUMI_E_SHAPE, "input %d has rank %d, its term %d labels", i, rank[i], e->in[i].n);
    const int own = !has_dots ? 0 : rank[i] >= 0 ? rank[i] - e->in[i].n : dots;
    s = begin;
    SUMI_TRY(read_term(&s, own, &e->in[i], &has_dots, err));
    if (i < n_in - 1 && *s++ != ',') SUMI_FAIL(err, SUMI_E_VALUE, "the equation has fewer terms than inputs");
  }
  if (*s) return read_output(s, dots, e, err);
  implicit_output(e, dots);
  return SUMI_OK;
}

sumi_status sumi_einsum_resolve(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in,
                                struct sumi_einsum *e, struct sumi_err *err) {
  int rank[SUMI_EINSUM_INPUTS] = {0};
  for (int i = 0; i < n_in && i < SUMI_EINSUM_INPUTS; i++) rank[i] = in[i]->rank;
  return parse(node, rank, n_in, e, err);
}

static sumi_status einsum_infer(struct sumi_infer *ctx) {
  struct sumi_einsum e;
  int rank[SUMI_EINSUM_INPUTS] = {0};
  bool known = true;
  sumi_dim size[SUMI_EINSUM_LABELS], dim[SUMI_MAX_RANK];
  for (int i = 0; i < ctx->n_in && i < SUMI_EINSUM_INPUTS; i++) {
    if (ctx->in[i].absent) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is missing", i);
    rank[i] = ctx->in[i].rank;
    known &= rank[i] >= 0;
  }
  SUMI_TRY(parse(ctx->node, rank, ctx->n_in, &e, ctx->err));
  if (!known) {
    sumi_infer_out_unknown(ctx, 0, ctx->in[0].dtype);
    return SUMI_OK;
  }
  for (int l = 0; l < SUMI_EINSUM_LABELS; l++) size[l] = 1;
  for (int i = 0; i < e.n_in; i++)
    for (int k = 0; k < e.in[i].n; k++) {
      sumi_dim *s = &size[e.in[i].label[k]];
      const sumi_dim d = ctx->in[i].dim[k];
      if (d == 1 || d == *s) continue;
      if (*s == 1)
        *s = d;
      else if (*s >= 0 && d >= 0)
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a label is %" PRId64 " and %" PRId64, *s, d);
      else
        *s = d >= 0 ? d : *s >= 0 ? *s : SUMI_DIM_UNKNOWN;
    }
  for (int k = 0; k < e.out.n; k++) dim[k] = size[e.out.label[k]];
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, e.out.n, dim);
  return SUMI_OK;
}

/* Loops over labels: their sizes, and the step of every input for each. */
struct loops {
  int n;
  int64_t size[SUMI_EINSUM_LABELS], step[SUMI_EINSUM_LABELS][SUMI_EINSUM_INPUTS];
};

/* Advances index and every input's offset; false after the last. */
static bool advance(const struct loops *l, int n_in, int64_t *index, int64_t *offset) {
  for (int i = l->n - 1; i >= 0; i--) {
    for (int k = 0; k < n_in; k++) offset[k] += l->step[i][k];
    if (++index[i] < l->size[i]) return true;
    for (int k = 0; k < n_in; k++) offset[k] -= l->size[i] * l->step[i][k];
    index[i] = 0;
  }
  return false;
}

static void set_loops(const struct sumi_call *c, const struct sumi_einsum *e, struct loops *outer,
                      struct loops *inner) {
  int64_t size[SUMI_EINSUM_LABELS], stride[SUMI_EINSUM_INPUTS][SUMI_EINSUM_LABELS] = {{0}};
  bool in_output[SUMI_EINSUM_LABELS] = {false}, used[SUMI_EINSUM_LABELS] = {false};
  for (int l = 0; l < SUMI_EINSUM_LABELS; l++) size[l] = 1;
  for (int i = 0; i < e->n_in; i++) {
    int64_t own[SUMI_MAX_RANK];
    sumi_strides(c->in[i]->dim, c->in[i]->rank, own);
    for (int k = 0; k < e->in[i].n; k++) {
      const int l = e->in[i].label[k];
      used[l] = true;
      if (c->in[i]->dim[k] != 1) size[l] = c->in[i]->dim[k];
      if (c->in[i]->dim[k] != 1) stride[i][l] += own[k];
    }
  }
  outer->n = inner->n = 0;
  for (int k = 0; k < e->out.n; k++) in_output[e->out.label[k]] = true;
  for (int k = 0; k < e->out.n + SUMI_EINSUM_LABELS; k++) {
    const int l = k < e->out.n ? e->out.label[k] : k - e->out.n;
    if (k >= e->out.n && (in_output[l] || !used[l])) continue;
    struct loops *to = k < e->out.n ? outer : inner;
    to->size[to->n] = size[l];
    for (int i = 0; i < e->n_in; i++) to->step[to->n][i] = stride[i][l];
    to->n++;
  }
}

/* The sum over the inner loops from the inputs' offsets on. */
static double sum_f64(const struct sumi_call *c, const struct loops *l, const int64_t *first) {
  int64_t index[SUMI_EINSUM_LABELS] = {0}, offset[SUMI_EINSUM_INPUTS];
  double sum = 0;
  memcpy(offset, first, (size_t)c->n_in * sizeof *offset);
  if (l->n == 1 && c->n_in == 2 && c->in[0]->dtype == SUMI_FLOAT32) { /* a matrix product, most likely */
    const float *a = (const float *)c->in[0]->data + offset[0],
                *b = (const float *)c->in[1]->data + offset[1];
    for (int64_t i = 0; i < l->size[0]; i++)
      sum += (double)a[i * l->step[0][0]] * (double)b[i * l->step[0][1]];
    return sum;
  }
  do {
    double product = 1;
    for (int k = 0; k < c->n_in; k++) product *= sumi_get_f64(c->in[k]->dtype, c->in[k]->data, offset[k]);
    sum += product;
  } while (advance(l, c->n_in, index, offset));
  return sum;
}

static int64_t sum_i64(const struct sumi_call *c, const struct loops *l, const int64_t *first) {
  int64_t index[SUMI_EINSUM_LABELS] = {0}, offset[SUMI_EINSUM_INPUTS];
  uint64_t sum = 0;
  memcpy(offset, first, (size_t)c->n_in * sizeof *offset);
  do {
    uint64_t product = 1;
    for (int k = 0; k < c->n_in; k++)
      product *= (uint64_t)sumi_get_i64(c->in[k]->dtype, c->in[k]->data, offset[k]);
    sum += product;
  } while (advance(l, c->n_in, index, offset));
  return (int64_t)sum;
}

static sumi_status einsum_ref(const struct sumi_call *c) {
  const struct sumi_tensor *y = c->out[0];
  struct sumi_einsum e;
  struct loops outer, inner;
  SUMI_TRY(sumi_einsum_resolve(c->node, c->in, c->n_in, &e, c->err));
  set_loops(c, &e, &outer, &inner);
  const int64_t n = sumi_tensor_count(y);
  bool nothing = false;
  for (int i = 0; i < inner.n; i++) nothing |= inner.size[i] == 0;
  int64_t index[SUMI_EINSUM_LABELS] = {0}, offset[SUMI_EINSUM_INPUTS] = {0};
  for (int64_t i = 0; i < n; i++) {
    if (nothing)
      sumi_set_f64(y->dtype, y->data, i, 0);
    else if (sumi_dtype_is_float(y->dtype))
      sumi_set_f64(y->dtype, y->data, i, sum_f64(c, &inner, offset));
    else
      sumi_set_i64(y->dtype, y->data, i, sum_i64(c, &inner, offset));
    advance(&outer, c->n_in, index, offset);
  }
  return SUMI_OK;
}

/* Joins neighbours that both inputs walk as one loop, and drops loops of one. */
static void join_loops(struct loops *l) {
  int n = 0;
  for (int i = 0; i < l->n; i++) {
    if (l->size[i] == 1) continue;
    bool joins = n > 0;
    for (int k = 0; k < 2 && joins; k++) joins = l->step[n - 1][k] == l->step[i][k] * l->size[i];
    const int to = joins ? n - 1 : n++;
    l->size[to] = joins ? l->size[to] * l->size[i] : l->size[i];
    for (int k = 0; k < 2; k++) l->step[to][k] = l->step[i][k];
  }
  l->n = n;
}

/* One input of which nothing is summed: transpositions, diagonals. */
static sumi_status einsum_moves(const struct sumi_call *c, struct sumi_moves *m) {
  struct sumi_einsum e;
  struct loops outer, inner;
  int64_t to[SUMI_MAX_RANK], from[SUMI_MAX_RANK];
  SUMI_TRY(sumi_einsum_resolve(c->node, c->in, 1, &e, c->err));
  set_loops(c, &e, &outer, &inner);
  sumi_strides(c->out[0]->dim, c->out[0]->rank, to);
  for (int i = 0; i < outer.n; i++) from[i] = outer.step[i][0];
  return sumi_moves_add(m, outer.n, outer.size, 0, 0, to, 0, 0, from);
}

/* Two inputs whose labels are those of a matrix product: batches..., then the first one's, then the second one's. */
static sumi_status einsum_lower(struct sumi_lower *l) {
  struct sumi_einsum e;
  struct loops outer, inner;
  const struct sumi_call call = {.node = l->node, .n_in = l->n_in, .in = l->in, .err = l->err};
  if (l->n_in == 1) {
    SUMI_TRY(sumi_einsum_resolve(l->node, l->in, 1, &e, l->err));
    set_loops(&call, &e, &outer, &inner);
    if (!inner.n) return sumi_moves_lower(l, einsum_moves, 1);
  }
  if (l->n_in != 2) {
    sumi_lower_refuse(l, "spmm_f32", "%d inputs", l->n_in);
    return SUMI_E_UNSUPPORTED;
  }
  SUMI_TRY(sumi_einsum_resolve(l->node, l->in, 2, &e, l->err));
  set_loops(&call, &e, &outer, &inner);
  join_loops(&outer);
  join_loops(&inner);
  struct sumi_matmul mm = {.m = 1, .n = 1, .k = 1, .b_col = 1, .alpha = 1};
  if (inner.n == 1) mm.k = inner.size[0], mm.a_col = inner.step[0][0], mm.b_row = inner.step[0][1];
  int n = outer.n;
  if (n && !outer.step[n - 1][0]) n--, mm.n = outer.size[n], mm.b_col = outer.step[n][1];
  if (n && !outer.step[n - 1][1]) n--, mm.m = outer.size[n], mm.a_row = outer.step[n][0];
  for (mm.n_batch = 0; mm.n_batch < n; mm.n_batch++) {
    mm.batch[mm.n_batch] = outer.size[mm.n_batch];
    mm.a_batch[mm.n_batch] = outer.step[mm.n_batch][0];
    mm.b_batch[mm.n_batch] = outer.step[mm.n_batch][1];
  }
  if (inner.n > 1 || (mm.m == 1 && mm.n == 1)) {
    sumi_lower_refuse(l, "spmm_f32", "no matrix product");
    return SUMI_E_UNSUPPORTED;
  }
  return sumi_matmul_lower_as(l, &mm);
}

static void einsum_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_einsum e;
  struct loops outer, inner;
  if (sumi_einsum_resolve(c->node, c->in, c->n_in, &e, NULL) != SUMI_OK) return;
  set_loops(c, &e, &outer, &inner);
  double macs = 1;
  for (int i = 0; i < outer.n; i++) macs *= (double)outer.size[i];
  for (int i = 0; i < inner.n; i++) macs *= (double)inner.size[i];
  cost->dense_macs = cost->macs = macs;
}

/* The items' label comes first in the output and in every input that carries them, and nowhere else. */
static bool einsum_by_item(const struct sumi_call *c, const bool *carries) {
  struct sumi_einsum e;
  if (sumi_einsum_resolve(c->node, c->in, c->n_in, &e, NULL) != SUMI_OK || e.out.n < 1) return false;
  for (int i = 0; i < e.n_in; i++)
    for (int k = 0; k < SUMI_MAX(e.in[i].n, 1); k++) {
      const bool here = k < e.in[i].n && e.in[i].label[k] == e.out.label[0];
      if (here != (carries[i] && k == 0)) return false;
    }
  return true;
}

static const struct sumi_attr_spec attrs[] = {{"equation", SUMI_ATTR_STRING, true}, {NULL}};
static const struct sumi_port in[] = {{"Inputs", SUMI_NUMBERS, 'T', SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port out[] = {{"Output", SUMI_NUMBERS, 'T'}, {NULL}};

#define WHY "double sums rounded once"
static const struct sumi_case cases[] = {
    {"g (float[3,4] x, float[4,5] y) => (z) { z = Einsum <equation = \"ij,jk->ik\"> (x, y) }", .rtol = 1e-6,
     .why = WHY},
    {"g (float[2,3,4,5] x, float[3,5,6] y) => (z) { z = Einsum <equation = \"b...ik, ...kj -> b...ij\"> (x, "
     "y) }",
     .rtol = 1e-6, .why = WHY},
    {"g (float[2,5,3,8] x, float[2,6,3,8] y) => (z) { z = Einsum <equation = \"bqhd,bkhd->bhqk\"> (x, y) }",
     .rtol = 1e-5, .why = "attention's: strides of heads between rows; float sums of eight products"},
    {"g (float[2,3,4] x, float[3,4,9] y) => (z) { z = Einsum <equation = \"bhd,hdk->bk\"> (x, y) }",
     .rtol = 1e-5, .why = "two labels summed as one; float sums of twelve products"},
    {"g (float[2,3,5,4] x, float[2,5,6,3] y) => (z) { z = Einsum <equation = \"bchq,bhkc->bkhq\"> (x, y) }",
     .rtol = 1e-5, .why = "the last label belongs to the first factor; a label between that is summed"},
    {"g (float[2,3,4,5] x, float[3,5,6] y) => (z) { z = Einsum <equation = \"nkcv,kvw->ncw\"> (x, y) }",
     .rtol = 1e-5, .why = "two labels summed that are no neighbours"},
    {"g (float[2,3,4] x, float[2,4] y) => (z) { z = Einsum <equation = \"bij,bj->bij\"> (x, y) }",
     .rtol = 1e-6, .why = "nothing is summed"},
    {"g (float[2,3,3,4] x, float[4,5] y) => (z) { z = Einsum <equation = \"biij,jk->bik\"> (x, y) }",
     .rtol = 1e-5, .why = "a diagonal times a matrix"},
    {"g (float[2,1,2,2,1,2,2,2,2,2,2] x, float[2,2] y) => (z) { z = Einsum <equation = "
     "\"abcdefghijk,cl->abdefghijkl\"> (x, y) }",
     .rtol = 1e-5, .why = "more labels than a copy on the card has loops"},
    {"g (float[3,4,3] x) => (z) { z = Einsum <equation = \"iji\"> (x) }", .rtol = 1e-6,
     .why = "diagonal, implicit output"},
    {"g (float[5,1,7,3] x) => (z) { z = Einsum <equation = \"abcd->dabc\"> (x) }", .why = "a transposition"},
    {"g (int64[2,5,5,3] x) => (z) { z = Einsum <equation = \"bii...->i...b\"> (x) }",
     .why = "a diagonal, moved"},
    {"g (float[1] x) => (z) { z = Einsum <equation = \"a->a\"> (x) }"},
    {"g (int64[3] x, int64[4] y, int64[1] s) => (z) { z = Einsum <equation = \"a,B,a->Ba\"> (x, y, s) }",
     .why = "outer, broadcast"},
    {NULL},
};

const struct sumi_op sumi_op_einsum = {
    .name = "Einsum",
    .formula = "sum over labels of products",
    .known_as = {{"", "Einsum", {12, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = einsum_infer,
    .ref = einsum_ref,
    .by_item = einsum_by_item,
    .cells = sumi_einsum_cells,
    .lower = einsum_lower,
    .cost = einsum_cost,
    .cases = cases,
};
