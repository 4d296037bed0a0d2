/* Expressions of gradients: nodes appended to the graph, whose shapes are inferred as soon as somebody asks. */
#include "op/grad.h"

#include <string.h>

#include "base/size.h"

/* ---- nodes --------------------------------------------------------------------------------------------------- */

static void fail_memory(struct sumi_grad *g) {
  g->status = sumi_err_set(g->err, SUMI_E_MEMORY, "out of memory");
}

static void info_of(const struct sumi_value *v, struct sumi_info *info) {
  if (!v) {
    *info = (struct sumi_info){.rank = -1, .absent = true};
    return;
  }
  *info = v->constant && !v->is_input ? sumi_info_of_constant(v->constant) : v->info;
}

/* The infos of the outputs of a node made here; the inputs' are settled. */
static void infer(struct sumi_grad *g, struct sumi_node *node) {
  struct sumi_arena *arena = g->graph->arena;
  struct sumi_info *in = SUMI_NEW_ARRAY(arena, (size_t)node->n_in, struct sumi_info);
  struct sumi_info *out = SUMI_NEW_ARRAY(arena, (size_t)node->n_out, struct sumi_info);
  if (!in || !out) {
    fail_memory(g);
    return;
  }
  for (int i = 0; i < node->n_in; i++) info_of(node->in[i], &in[i]);
  for (int i = 0; i < node->n_out; i++) out[i] = (struct sumi_info){.rank = -1, .absent = !node->out[i]};
  struct sumi_infer ctx = {.node = node,
                           .symbols = g->graph->symbols,
                           .arena = arena,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = in,
                           .out = out,
                           .err = g->err};
  g->status = sumi_infer_node(&ctx);
  for (int i = 0; g->status == SUMI_OK && i < node->n_out; i++)
    if (node->out[i]) node->out[i]->info = out[i];
}

const struct sumi_info *sumi_grad_info(struct sumi_grad *g, struct sumi_value *v) {
  if (g->status != SUMI_OK) return NULL;
  if (!v->constant && v->producer && v->info.dtype == SUMI_UNDEFINED) infer(g, v->producer);
  if (g->status != SUMI_OK) return NULL;
  if (v->constant && !v->is_input) info_of(v, &v->info);
  return &v->info;
}

struct sumi_node *sumi_grad_node(struct sumi_grad *g, const struct sumi_op *op, int version, int n,
                                 struct sumi_value *const *in, int n_out) {
  for (int i = 0; i < n && g->status == SUMI_OK; i++)
    if (in[i]) sumi_grad_info(g, in[i]);
  if (g->status != SUMI_OK) return NULL;
  struct sumi_value **out = SUMI_NEW_ARRAY(g->graph->arena, (size_t)n_out, struct sumi_value *);
  bool ok = out != NULL;
  for (int i = 0; ok && i < n_out; i++) ok = (out[i] = sumi_graph_add_value(g->graph, NULL)) != NULL;
  struct sumi_node *node =
      ok ? sumi_graph_add_node(g->graph, NULL, op, op->name, version, in, n, out, n_out) : NULL;
  if (!node) fail_memory(g);
  return node;
}

struct sumi_value *sumi_grad_op(struct sumi_grad *g, const struct sumi_op *op, int n,
                                struct sumi_value *const *in) {
  struct sumi_node *node = sumi_grad_node(g, op, SUMI_NEWEST_OPSET, n, in, 1);
  return node ? node->out[0] : NULL;
}

struct sumi_value *sumi_grad_again(struct sumi_grad *g, struct sumi_value *first) {
  const struct sumi_node *from = g->node;
  struct sumi_node *node = sumi_grad_node(g, from->op, from->version, from->n_in, from->in, 1);
  if (!node) return NULL;
  sumi_node_set_input(node, 0, first);
  g->status = sumi_node_copy_attrs(from, node, g->err);
  return node->out[0];
}

static struct sumi_value *done(struct sumi_grad *g, struct sumi_value *v, sumi_status status) {
  if (g->status == SUMI_OK) g->status = status;
  return g->status == SUMI_OK ? v : NULL;
}

struct sumi_value *sumi_grad_int(struct sumi_grad *g, struct sumi_value *v, const char *name, int64_t value) {
  if (g->status != SUMI_OK) return NULL;
  return done(g, v, sumi_node_set_int(v->producer, name, value, g->err));
}

struct sumi_value *sumi_grad_float(struct sumi_grad *g, struct sumi_value *v, const char *name, float value) {
  if (g->status != SUMI_OK) return NULL;
  return done(g, v, sumi_node_set_float(v->producer, name, value, g->err));
}

struct sumi_value *sumi_grad_list(struct sumi_grad *g, struct sumi_value *v, const char *name,
                                  const int64_t *value, int n) {
  if (g->status != SUMI_OK) return NULL;
  return done(g, v, sumi_node_set_ints(v->producer, name, value, (size_t)n, g->err));
}

/* ---- constants ------------------------------------------------------------------------------------------------- */

/* Room for a constant that the caller fills through *data. */
static struct sumi_value *constant(struct sumi_grad *g, sumi_dtype dtype, int rank, const int64_t *dim,
                                   void **data) {
  size_t bytes;
  if (g->status == SUMI_OK && dtype == SUMI_UNDEFINED)
    g->status = sumi_err_set(g->err, SUMI_E_UNSUPPORTED, "the gradient needs a type that is unknown");
  if (g->status == SUMI_OK) g->status = sumi_shape_bytes(dtype, dim, rank, &bytes, g->err);
  if (g->status != SUMI_OK) return NULL;
  struct sumi_tensor t = {.dtype = dtype, .rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  struct sumi_blob *blob = sumi_blob_new(g->graph->allocator, bytes + 1);
  if (blob) *data = t.data = sumi_blob_bytes(blob);
  struct sumi_value *v = blob ? sumi_graph_add_constant(g->graph, NULL, &t, blob) : NULL;
  if (!v) fail_memory(g);
  return v;
}

struct sumi_value *sumi_grad_tensor(struct sumi_grad *g, struct sumi_value *x, int rank, const int64_t *dim,
                                    const double *value) {
  const struct sumi_info *info = sumi_grad_info(g, x);
  void *data = NULL;
  struct sumi_value *v = info ? constant(g, info->dtype, rank, dim, &data) : NULL;
  for (int64_t i = 0; v && i < sumi_tensor_count(v->constant); i++)
    sumi_set_f64(v->constant->dtype, data, i, value[i]);
  return v;
}

struct sumi_value *sumi_grad_scalar(struct sumi_grad *g, struct sumi_value *x, double value) {
  return sumi_grad_tensor(g, x, 0, NULL, &value);
}

struct sumi_value *sumi_grad_ints(struct sumi_grad *g, const int64_t *value, int n) {
  void *data = NULL;
  const int64_t count = n;
  struct sumi_value *v = constant(g, SUMI_INT64, 1, &count, &data);
  if (v && n) memcpy(data, value, (size_t)n * sizeof *value);
  return v;
}

static struct sumi_value *cast_to(struct sumi_grad *g, struct sumi_value *v, sumi_dtype to) {
  const struct sumi_info *have = sumi_grad_info(g, v);
  if (!have || have->dtype == to) return v;
  return sumi_grad_int(g, sumi_grad_op(g, &sumi_op_cast, 1, &v), "to", sumi_dtype_to_onnx(to));
}

struct sumi_value *sumi_grad_cast(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x) {
  const struct sumi_info *want = sumi_grad_info(g, x);
  return want ? cast_to(g, v, want->dtype) : NULL;
}

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

bool sumi_grad_same_shape(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->rank < 0 || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i] || a->dim[i] == SUMI_DIM_UNKNOWN) return false;
  return true;
}

int sumi_grad_rank(struct sumi_grad *g, struct sumi_value *v) {
  const struct sumi_info *info = sumi_grad_info(g, v);
  if (!info) return -1;
  if (info->rank < 0)
    g->status = sumi_err_set(g->err, SUMI_E_UNSUPPORTED,
                             "the gradient needs the rank of '%s', which is unknown", v->name);
  return info->rank;
}

sumi_status sumi_grad_only(struct sumi_grad *g, int n_out) {
  for (int i = n_out; i < g->node->n_out; i++)
    if (g->dy[i]) SUMI_FAIL(g->err, SUMI_E_UNSUPPORTED, "output %d has no gradient", i);
  return SUMI_OK;
}

struct sumi_value *sumi_grad_dims(struct sumi_grad *g, struct sumi_value *x, int first, int last) {
  const struct sumi_info *info = sumi_grad_info(g, x);
  if (!info) return NULL;
  if (info->rank >= 0) {
    const int end = last < 0 ? info->rank : last;
    bool known = true;
    for (int i = first; i < end; i++) known = known && info->dim[i] >= 0;
    if (known) return sumi_grad_ints(g, info->dim + first, end - first);
  }
  struct sumi_value *v = sumi_grad_int(g, sumi_grad_op(g, &sumi_op_shape, 1, &x), "start", first);
  return last < 0 ? v : sumi_grad_int(g, v, "end", last);
}

struct sumi_value *sumi_grad_join(struct sumi_grad *g, int n, struct sumi_value *const *list) {
  struct sumi_value **in = SUMI_NEW_ARRAY(g->graph->arena, (size_t)n, struct sumi_value *);
  int m = 0;
  if (!in) fail_memory(g);
  for (int i = 0; i < n && in; i++)
    if (list[i]) in[m++] = list[i];
  if (g->status != SUMI_OK) return NULL;
  return m == 1 ? in[0] : sumi_grad_int(g, sumi_grad_op(g, &sumi_op_concat, m, in), "axis", 0);
}

struct sumi_value *sumi_grad_reshape(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *shape) {
  return sumi_grad_int(g, sumi_grad_op(g, &sumi_op_reshape, 2, (struct sumi_value *[]){v, shape}),
                       "allowzero", 1);
}

struct sumi_value *sumi_grad_flat(struct sumi_grad *g, struct sumi_value *v) {
  return sumi_grad_reshape(g, v, sumi_grad_ints(g, (const int64_t[]){-1}, 1));
}

struct sumi_value *sumi_grad_reshape_like(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x) {
  const struct sumi_info *have = sumi_grad_info(g, v), *want = sumi_grad_info(g, x);
  if (!have || !want || sumi_grad_same_shape(have, want)) return v;
  return sumi_grad_reshape(g, v, sumi_grad_dims(g, x, 0, -1));
}

struct sumi_value *sumi_grad_expand_like(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x) {
  const struct sumi_info *have = sumi_grad_info(g, v), *want = sumi_grad_info(g, x);
  if (!have || !want || sumi_grad_same_shape(have, want)) return v;
  return sumi_grad_expand(g, v, sumi_grad_dims(g, x, 0, -1));
}

struct sumi_value *sumi_grad_fill(struct sumi_grad *g, struct sumi_value *x, struct sumi_value *shape,
                                  double value) {
  const int64_t one = 1;
  struct sumi_value *v = sumi_grad_op(g, &sumi_op_constant_of_shape, 1, &shape),
                    *c = sumi_grad_tensor(g, x, 1, &one, &value);
  if (g->status != SUMI_OK) return NULL;
  return done(g, v, sumi_node_set_tensor(v->producer, "value", c->constant, sumi_blob_ref(c->blob), g->err));
}

struct sumi_value *sumi_grad_fill_like(struct sumi_grad *g, struct sumi_value *x, double value) {
  const struct sumi_info *info = sumi_grad_info(g, x);
  if (info && info->rank == 0) return sumi_grad_scalar(g, x, value);
  return sumi_grad_fill(g, x, sumi_grad_dims(g, x, 0, -1), value);
}

struct sumi_value *sumi_grad_sum(struct sumi_grad *g, struct sumi_value *v, const int64_t *axes, int n,
                                 bool keep) {
  if (!n) return v;
  struct sumi_value *in[2] = {v, sumi_grad_ints(g, axes, n)};
  return sumi_grad_int(g, sumi_grad_op(g, &sumi_op_reduce_sum, 2, in), "keepdims", keep);
}

/* The axes along which x's shape, with dims of 1 in front, differs from v's are those it was repeated along. */
static struct sumi_value *sum_to_unknown(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x) {
  struct sumi_value *from = sumi_grad_dims(g, x, 0, -1), *to = sumi_grad_dims(g, v, 0, -1);
  struct sumi_value *more =
      sumi_grad_sub(g, sumi_grad_op(g, &sumi_op_shape, 1, &to), sumi_grad_op(g, &sumi_op_shape, 1, &from));
  struct sumi_value *ones = sumi_grad_fill(g, from, more, 1);
  struct sumi_value *padded = sumi_grad_join(g, 2, (struct sumi_value *[]){ones, from});
  struct sumi_value *axes =
      sumi_grad_flat(g, sumi_grad_nonzero(g, sumi_grad_not(g, sumi_grad_equal(g, padded, to))));
  struct sumi_value *sum = sumi_grad_op(g, &sumi_op_reduce_sum, 2, (struct sumi_value *[]){v, axes});
  return sumi_grad_reshape(g, sumi_grad_int(g, sum, "noop_with_empty_axes", 1), from);
}

struct sumi_value *sumi_grad_sum_to(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x) {
  const struct sumi_info *a = sumi_grad_info(g, v), *b = sumi_grad_info(g, x);
  if (!a || !b) return NULL;
  int64_t axes[SUMI_MAX_RANK];
  int n = 0;
  bool clear = a->rank >= 0 && b->rank >= 0 && a->rank >= b->rank;
  for (int i = 0; clear && i < a->rank; i++) {
    const int k = i - (a->rank - b->rank);
    if (k < 0 || (b->dim[k] == 1 && a->dim[i] != 1))
      axes[n++] = i;
    else if (b->dim[k] < 0) /* a symbol may stand for 1 */
      clear = a->dim[i] == 1 || (a->dim[i] == b->dim[k] && b->dim[k] != SUMI_DIM_UNKNOWN);
  }
  if (!clear) return sum_to_unknown(g, v, x);
  return sumi_grad_reshape_like(g, sumi_grad_sum(g, v, axes, n, true), x);
}

struct sumi_value *sumi_grad_permute(struct sumi_grad *g, struct sumi_value *v, const int64_t *perm, int n) {
  return sumi_grad_list(g, sumi_grad_transpose(g, v), "perm", perm, n);
}

struct sumi_value *sumi_grad_slice(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *start,
                                   struct sumi_value *end, struct sumi_value *axes) {
  return sumi_grad_op(g, &sumi_op_slice, 4, (struct sumi_value *[]){v, start, end, axes});
}

/* Adds v's elements to zeros along an axis. */
static struct sumi_value *scatter(struct sumi_grad *g, struct sumi_value *zeros, struct sumi_value *index,
                                  struct sumi_value *v) {
  struct sumi_value *y =
      sumi_grad_op(g, &sumi_op_scatter_elements, 3, (struct sumi_value *[]){zeros, index, v});
  if (g->status != SUMI_OK) return NULL;
  return done(g, y, sumi_node_set_string(y->producer, "reduction", "add", g->err));
}

struct sumi_value *sumi_grad_scatter_like(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *index,
                                          struct sumi_value *x) {
  struct sumi_value *zeros = sumi_grad_flat(g, sumi_grad_fill_like(g, x, 0));
  return sumi_grad_reshape(g, scatter(g, zeros, sumi_grad_flat(g, index), sumi_grad_flat(g, v)),
                           sumi_grad_dims(g, x, 0, -1));
}

struct sumi_value *sumi_grad_ratio(struct sumi_grad *g, struct sumi_value *x, struct sumi_value *y) {
  const struct sumi_info *a = sumi_grad_info(g, x), *b = sumi_grad_info(g, y);
  if (!a || !b) return NULL;
  bool known = a->rank >= 0 && b->rank >= 0;
  double n = 1;
  for (int i = 0; known && i < a->rank; i++) known = a->dim[i] >= 0, n *= (double)a->dim[i];
  for (int i = 0; known && i < b->rank; i++) known = b->dim[i] > 0, n /= (double)b->dim[i];
  if (known) return sumi_grad_scalar(g, x, n);
  return sumi_grad_div(g, sumi_grad_cast(g, sumi_grad_size(g, x), x),
                       sumi_grad_cast(g, sumi_grad_size(g, y), x));
}
