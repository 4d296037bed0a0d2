/* qdq-eltwise: between DequantizeLinear and QuantizeLinear of one element type each,
 *   Add, Mul                                                    become com.microsoft.QLinearAdd, QLinearMul
 *   a mean over all pixels (GlobalAveragePool, ReduceMean,
 *   AveragePool with a window of the whole picture)             becomes com.microsoft.QLinearGlobalAveragePool
 *   Concat                                                      becomes com.microsoft.QLinearConcat
 * A Relu or Clip behind them must not cut what QuantizeLinear leaves. */
#include <math.h>

#include "base/size.h"
#include "pass/function.h"

/* The Q of v's values, perhaps behind a clamp that the type's own limits imply. */
struct ending {
  struct sumi_node *node[2];
  int n;
  struct sumi_qdq to;
};

static bool is_implied(const struct sumi_function *f, const struct sumi_qdq *to) {
  const float low = to->dtype == SUMI_INT8 ? -128 : 0, zero = (float)to->zero;
  if (sumi_streq(f->name, "Relu")) return zero == low;
  return sumi_streq(f->name, "Clip") && rintf(f->figure[0] / to->scale) + zero <= low &&
         rintf(f->figure[1] / to->scale) + zero >= low + 255;
}

static bool read_ending(const struct sumi_value *v, sumi_dtype dtype, struct ending *e) {
  struct sumi_function f;
  *e = (struct ending){.n = 0};
  const bool has_function = sumi_function_match(v, &f) && sumi_function_is_clamp(&f);
  if (has_function) {
    e->node[e->n++] = f.node[0];
    v = f.node[0]->out[0];
  }
  e->node[e->n] = sumi_qdq_q(v, &e->to);
  return e->node[e->n++] && e->to.dtype == dtype && (!has_function || is_implied(&f, &e->to));
}

/* ---- Add, Mul ------------------------------------------------------------------------------------------------------- */

static sumi_status binary(struct sumi_graph *g, struct sumi_node *node, const struct sumi_op *op,
                          struct sumi_err *err) {
  struct sumi_qdq a, b;
  struct ending e;
  if (node->version < 7 || !sumi_qdq_dq(node->in[0], &a) || !sumi_qdq_dq(node->in[1], &b) ||
      a.dtype != b.dtype || !read_ending(node->out[0], a.dtype, &e))
    return SUMI_OK;
  struct sumi_value *const in[] = {node->in[0]->producer->in[0],
                                   a.scale_value,
                                   sumi_qdq_zero(g, &a),
                                   node->in[1]->producer->in[0],
                                   b.scale_value,
                                   sumi_qdq_zero(g, &b),
                                   e.to.scale_value,
                                   sumi_qdq_zero(g, &e.to)};
  if (!in[2] || !in[5] || !in[7]) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_qdq_become(g, node, op, in, SUMI_COUNT(in), err));
  sumi_qdq_take_over(g, node, e.node, e.n);
  return SUMI_OK;
}

static sumi_status add(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  return binary(g, node, &sumi_op_ms_qlinear_add, err);
}

static sumi_status mul(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  return binary(g, node, &sumi_op_ms_qlinear_mul, err);
}

/* ---- means ---------------------------------------------------------------------------------------------------------- */

/* A ReduceMean over the pixels of [N, C, pixels...], or (last) of [N, pixels..., C]; flat: their dimensions go. */
static bool reduces_pixels(const struct sumi_node *node, int rank, bool *last, bool *flat) {
  int n;
  const int64_t *axes = sumi_attr_ints(node, "axes", &n);
  if (sumi_qdq_input(node, 1)) {
    const struct sumi_tensor *t = sumi_qdq_constant(node->in[1]);
    if (!t || t->dtype != SUMI_INT64) return false;
    axes = t->data;
    n = (int)sumi_tensor_count(t);
  }
  if (n != rank - 2) return false;
  unsigned set = 0;
  for (int i = 0; i < n; i++) {
    int axis;
    if (sumi_axis(axes[i], rank, &axis, NULL) != SUMI_OK) return false;
    set |= 1u << axis;
  }
  const unsigned all = (1u << (rank - 2)) - 1;
  *last = set == all << 1;
  *flat = !sumi_attr_int(node, "keepdims", 1);
  return *last || set == all << 2;
}

/* An AveragePool whose one window is the whole picture. */
static bool pools_all(const struct sumi_node *node, const struct sumi_info *x) {
  int n, n_pad;
  const int64_t *kernel = sumi_attr_ints(node, "kernel_shape", &n),
                *pad = sumi_attr_ints(node, "pads", &n_pad);
  if (n != x->rank - 2 || !sumi_attr_is(node, "auto_pad", "NOTSET", "NOTSET")) return false;
  for (int i = 0; i < n_pad; i++)
    if (pad[i]) return false;
  for (int i = 0; i < n; i++)
    if (kernel[i] != x->dim[2 + i]) return false;
  return true;
}

static bool is_mean(const struct sumi_node *node, bool *last, bool *flat) {
  const struct sumi_info *x = &node->in[0]->info;
  *last = *flat = false;
  if (x->rank < 3) return false;
  if (sumi_qdq_is(node, "ReduceMean")) return reduces_pixels(node, x->rank, last, flat);
  return sumi_qdq_is(node, "GlobalAveragePool") || pools_all(node, x);
}

/* [N, C, 1...] behind node becomes [N, C]; node's output stays what its users use. */
static sumi_status flatten_behind(struct sumi_graph *g, struct sumi_node *node, int rank,
                                  struct sumi_err *err) {
  char why[64];
  const struct sumi_op *op = sumi_op_find("", "Flatten", 13, why, sizeof why);
  struct sumi_value *pooled = node->out[0], *flat = sumi_graph_add_value(g, NULL);
  if (!flat) SUMI_FAIL_MEMORY(err);
  flat->info = pooled->info;
  pooled->info.rank = rank;
  for (int i = flat->info.rank; i < rank; i++) pooled->info.dim[i] = 1;
  sumi_graph_replace_uses(g, pooled, flat);
  struct sumi_node *after = sumi_graph_add_node(g, NULL, op, op->name, 13, &pooled, 1, &flat, 1);
  if (!after) SUMI_FAIL_MEMORY(err);
  return sumi_node_set_int(after, "axis", 1, err);
}

static sumi_status mean(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  static const char *const gone[] = {
      "axes",     "keepdims",  "noop_with_empty_axes", "kernel_shape", "pads", "strides",
      "auto_pad", "ceil_mode", "count_include_pad",    "dilations"};
  struct sumi_qdq x;
  struct ending e;
  bool last, flat;
  if (!sumi_qdq_dq(node->in[0], &x) || !is_mean(node, &last, &flat) ||
      !read_ending(node->out[0], x.dtype, &e))
    return SUMI_OK;
  const int rank = node->in[0]->info.rank;
  struct sumi_value *const in[] = {node->in[0]->producer->in[0], x.scale_value, sumi_qdq_zero(g, &x),
                                   e.to.scale_value, sumi_qdq_zero(g, &e.to)};
  if (!in[2] || !in[4]) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_qdq_become(g, node, &sumi_op_ms_qlinear_global_average_pool, in, SUMI_COUNT(in), err));
  for (size_t i = 0; i < SUMI_COUNT(gone); i++) sumi_node_remove_attr(node, gone[i]);
  if (last) SUMI_TRY(sumi_node_set_int(node, "channels_last", 1, err));
  sumi_qdq_take_over(g, node, e.node, e.n);
  return flat ? flatten_behind(g, node, rank, err) : SUMI_OK;
}

/* ---- Concat --------------------------------------------------------------------------------------------------------- */

static sumi_status concat(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  struct sumi_qdq x;
  struct ending e;
  const int n = node->n_in;
  if (!sumi_qdq_dq(node->in[0], &x) || !read_ending(node->out[0], x.dtype, &e)) return SUMI_OK;
  struct sumi_value **in = SUMI_NEW_ARRAY(g->arena, 2 + 3 * (size_t)n, struct sumi_value *);
  if (!in) SUMI_FAIL_MEMORY(err);
  in[0] = e.to.scale_value;
  in[1] = sumi_qdq_zero(g, &e.to);
  for (int i = 0; i < n; i++) {
    if (!sumi_qdq_dq(node->in[i], &x) || x.dtype != e.to.dtype) return SUMI_OK;
    in[2 + 3 * i] = node->in[i]->producer->in[0];
    in[3 + 3 * i] = x.scale_value;
    in[4 + 3 * i] = sumi_qdq_zero(g, &x);
    if (!in[1] || !in[4 + 3 * i]) SUMI_FAIL_MEMORY(err);
  }
  SUMI_TRY(sumi_node_set_int(node, "axis", sumi_attr_int(node, "axis", 1), err));
  SUMI_TRY(sumi_qdq_become(g, node, &sumi_op_ms_qlinear_concat, in, 2 + 3 * n, err));
  sumi_qdq_take_over(g, node, e.node, e.n);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  static const struct {
    const char *op;
    sumi_status (*convert)(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err);
  } rows[] = {{"Add", add},          {"Mul", mul},         {"GlobalAveragePool", mean},
              {"AveragePool", mean}, {"ReduceMean", mean}, {"Concat", concat}};
  for (size_t i = 0, n = g->n_node; i < n; i++)
    for (size_t k = 0; k < SUMI_COUNT(rows) && !sumi_node_removed(g->node[i]); k++)
      if (sumi_qdq_is(g->node[i], rows[k].op) && g->node[i]->in[0] && g->node[i]->out[0]) {
        SUMI_TRY(rows[k].convert(g, g->node[i], err));
        break;
      }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_eltwise = {
    .name = "qdq-eltwise",
    .what = "adds, multiplies, averages and joins 8-bit values without dequantising them first",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};
