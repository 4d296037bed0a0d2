/* narrow-bf16 (precision bf16): Conv, FusedConv, sumi.FConv, MatMul and Gemm of float32 with constant weights become sumi.BConv and
 * sumi.BMatMul: weights are rounded to bfloat16 here, other operands and results by Cast. So do, as in training, convolutions
 * without groups and MatMul whose weights are computed, and gradients of convolutions: ConvTranspose by turned weights,
 * sumi.ConvWeightGrad. Where one such product feeds another the Casts in between are left out, also where MaxPool lies between them:
 * the value is bfloat16. Where a result is only cast back, the product gives float32 itself. What stays float32: depthwise
 * convolutions, more than two spatial dimensions, products with fewer than 16 rows or columns. */
#include "base/size.h"
#include "op/ops.h"
#include "op/turn_weights.h"
#include "pass/pass.h"
#include "pass/product.h"

enum { LEAST = 16 };

struct narrowing {
  struct sumi_graph *g;
  size_t n_node; /* nodes from here on are this pass's */
  struct sumi_err *err;
};

static bool is_op(const struct sumi_node *node, const char *name) { return sumi_streq(node->op->name, name); }

static const struct sumi_tensor *constant(const struct sumi_value *v) {
  return v && !v->is_input && v->constant && v->constant->dtype == SUMI_FLOAT32 ? v->constant : NULL;
}

static bool is_own_cast(const struct narrowing *w, const struct sumi_node *node, sumi_dtype to) {
  return node && !sumi_node_removed(node) && node->id >= w->n_node && node->op == &sumi_op_cast &&
         node->out[0]->info.dtype == to;
}

static sumi_status add_cast(struct narrowing *w, struct sumi_value *from, struct sumi_value *to) {
  struct sumi_node *cast = sumi_graph_add_node(w->g, NULL, &sumi_op_cast, "Cast", 13, &from, 1, &to, 1);
  if (!cast) SUMI_FAIL_MEMORY(w->err);
  return sumi_node_set_int(cast, "to", sumi_dtype_to_onnx(to->info.dtype), w->err);
}

/* to[i] = from[i] * factor, rounded to float32 and then to bfloat16; i counts from first, for n elements. */
static void narrow_scaled(const float *from, double factor, int64_t first, int64_t n, void *to) {
  enum { PIECE = 256 };
  float scaled[PIECE];
  for (int64_t i = first; i < first + n; i += PIECE) {
    const int64_t m = SUMI_MIN(first + n - i, PIECE);
    for (int64_t k = 0; k < m; k++) scaled[k] = (float)(from[i + k] * factor);
    sumi_from_f32(SUMI_BFLOAT16, scaled, m, to, i);
  }
}

/* The bfloat16 of a constant; factor[dim 0]: of its rows, NULL = none. */
static sumi_status narrow_constant(struct narrowing *w, const struct sumi_tensor *from, const double *factor,
                                   struct sumi_value **out) {
  struct sumi_tensor t = *from;
  const int64_t n = sumi_tensor_count(&t);
  size_t bytes;
  if (!sumi_size_mul((size_t)n, sizeof(uint16_t), &bytes))
    SUMI_FAIL(w->err, SUMI_E_LIMIT, "a constant is too large");
  struct sumi_blob *blob = sumi_blob_new(w->g->allocator, SUMI_MAX(bytes, 1));
  if (!blob) SUMI_FAIL_MEMORY(w->err);
  t.dtype = SUMI_BFLOAT16;
  t.data = sumi_blob_bytes(blob);
  const int64_t rows = factor ? t.dim[0] : 0;
  for (int64_t r = 0; r < rows; r++) narrow_scaled(from->data, factor[r], r * (n / rows), n / rows, t.data);
  if (!factor) sumi_from_f32(t.dtype, from->data, n, t.data, 0);
  *out = sumi_graph_add_constant(w->g, NULL, &t, blob);
  if (!*out) SUMI_FAIL_MEMORY(w->err);
  return SUMI_OK;
}

/* The bfloat16 of v. */
static sumi_status narrowed(struct narrowing *w, struct sumi_value *v, struct sumi_value **out) {
  if (constant(v)) return narrow_constant(w, constant(v), NULL, out);
  if (is_own_cast(w, v->producer, SUMI_FLOAT32)) {
    *out = v->producer->in[0];
    return SUMI_OK;
  }
  for (const struct sumi_use *use = v->first_use; use; use = use->next)
    if (is_own_cast(w, use->node, SUMI_BFLOAT16)) {
      *out = use->node->out[0];
      return SUMI_OK;
    }
  if (!(*out = sumi_graph_add_value(w->g, NULL))) SUMI_FAIL_MEMORY(w->err);
  (*out)->info = v->info;
  (*out)->info.dtype = SUMI_BFLOAT16;
  return add_cast(w, v, *out);
}

/* Input i of node, if it is there. */
static sumi_status narrow_input(struct narrowing *w, struct sumi_node *node, int i) {
  struct sumi_value *v;
  if (i >= node->n_in || !node->in[i]) return SUMI_OK;
  SUMI_TRY(narrowed(w, node->in[i], &v));
  sumi_node_set_input(node, i, v);
  return SUMI_OK;
}

/* v becomes bfloat16; who used it uses a Cast of it. */
static sumi_status widen_behind(struct narrowing *w, struct sumi_value *v) {
  struct sumi_value *wide = sumi_graph_add_value(w->g, NULL);
  if (!wide) SUMI_FAIL_MEMORY(w->err);
  wide->info = v->info;
  v->info.dtype = SUMI_BFLOAT16;
  sumi_graph_replace_uses(w->g, v, wide);
  return add_cast(w, v, wide);
}

/* ---- convolutions ----------------------------------------------------------------------------------------------- */

enum { X, W, B, R, S };

/* Weights [m, c, taps...] that are computed, of known sizes, not of a convolution with groups. */
static bool is_computed(const struct sumi_node *node) {
  const struct sumi_info *w = &node->in[W]->info;
  if ((node->in[W]->constant && !node->in[W]->is_input) || node->op == &sumi_op_fconv ||
      w->kind != SUMI_TENSOR || w->dtype != SUMI_FLOAT32 || w->rank < 3 || w->rank > 4 ||
      sumi_attr_int(node, "group", 1) != 1)
    return false;
  for (int i = 0; i < w->rank; i++)
    if (w->dim[i] < 1) return false;
  return true;
}

static bool is_conv(const struct sumi_node *node) {
  if (!is_op(node, "Conv") && node->op != &sumi_op_fused_conv && node->op != &sumi_op_fconv) return false;
  if (node->n_in <= W || !node->in[W] || !node->out[0] || node->out[0]->info.dtype != SUMI_FLOAT32)
    return false;
  if (is_computed(node)) return true;
  const struct sumi_tensor *w = constant(node->in[W]);
  if (!w || w->rank < 3 || w->rank > 4) return false;
  if (node->n_in > B && node->in[B] && !constant(node->in[B])) return false;
  return w->dim[1] > 1 || sumi_attr_int(node, "group", 1) == 1;
}

static void make_bconv(struct sumi_node *node) {
  node->op = &sumi_op_bconv;
  node->op_name = "sumi.BConv";
  node->version = 1;
}

static sumi_status narrow_conv(struct narrowing *w, struct sumi_node *node) {
  struct sumi_value *weights;
  const double *factor = node->op == &sumi_op_fconv ? node->in[S]->constant->data : NULL;
  SUMI_TRY(narrow_input(w, node, X));
  if (constant(node->in[W]))
    SUMI_TRY(narrow_constant(w, constant(node->in[W]), factor, &weights));
  else
    SUMI_TRY(narrowed(w, node->in[W], &weights));
  sumi_node_set_input(node, W, weights);
  SUMI_TRY(narrow_input(w, node, R));
  if (factor) sumi_node_keep_inputs(node, node->in[R] ? S : R);
  make_bconv(node);
  return widen_behind(w, node->out[0]);
}

/* ---- gradients -------------------------------------------------------------------------------------------------- */

/* What a ConvTranspose becomes: a convolution of stride 1 with turned weights, and, above stride 1, DepthToSpace. */
struct turned {
  int64_t pads[2 * SUMI_MAX_RANK], stride;
  sumi_dim dim[SUMI_MAX_RANK]; /* of the turned weights */
  int n;
};

/* Sizes are numbers, strides alike, and every phase of the output is as large as every other. */
static bool is_turnable(const struct sumi_node *node, struct turned *t) {
  if (!is_op(node, "ConvTranspose") || node->n_in <= W || (node->n_in > B && node->in[B]) ||
      !is_computed(node) || node->out[0]->info.dtype != SUMI_FLOAT32 ||
      !sumi_attr_is(node, "auto_pad", "NOTSET", "NOTSET"))
    return false;
  const struct sumi_info *x = &node->in[X]->info, *w = &node->in[W]->info, *y = &node->out[0]->info;
  struct sumi_turned_line line[SUMI_MAX_RANK];
  int n_dilations;
  const int64_t *dilations = sumi_attr_ints(node, "dilations", &n_dilations);
  t->n = w->rank - 2;
  if (x->rank != w->rank || y->rank != w->rank || !sumi_turned_lines(node, w->dim + 2, t->n, line))
    return false;
  t->stride = line[0].stride;
  t->dim[0] = w->dim[1];
  t->dim[1] = w->dim[0];
  for (int i = 0; i < t->n; i++) {
    const int64_t in = x->dim[2 + i], out = y->dim[2 + i], s = line[i].stride;
    if (in < 1 || out < 1 || out % s || s != t->stride || (dilations && dilations[i] != 1)) return false;
    t->pads[i] = -line[i].low;
    t->pads[t->n + i] = out / s + line[i].high - in;
    if (t->pads[i] < 0 || t->pads[t->n + i] < 0) return false;
    t->dim[0] *= s;
    t->dim[2 + i] = line[i].high - line[i].low + 1;
  }
  return t->stride == 1 || t->n == 2;
}

static sumi_status add_turned(struct narrowing *w, struct sumi_node *node, const struct turned *t,
                              struct sumi_value **out) {
  static const char *const names[] = {"pads", "strides"};
  struct sumi_value *from;
  SUMI_TRY(narrowed(w, node->in[W], &from));
  if (!(*out = sumi_graph_add_value(w->g, NULL))) SUMI_FAIL_MEMORY(w->err);
  (*out)->info = from->info;
  for (int i = 0; i < t->n + 2; i++) (*out)->info.dim[i] = t->dim[i];
  struct sumi_node *turn =
      sumi_graph_add_node(w->g, NULL, &sumi_op_turn_weights, "sumi.TurnWeights", 1, &from, 1, out, 1);
  if (!turn) SUMI_FAIL_MEMORY(w->err);
  for (size_t i = 0; i < SUMI_COUNT(names); i++) {
    int n;
    const int64_t *v = sumi_attr_ints(node, names[i], &n);
    if (v) SUMI_TRY(sumi_node_set_ints(turn, names[i], v, (size_t)n, w->err));
  }
  return SUMI_OK;
}

/* v [n, phases * c, h, w] is what the node gives; who used it uses its pixels in place. */
static sumi_status put_in_place(struct narrowing *w, struct sumi_value *v, int64_t stride) {
  struct sumi_value *wide = sumi_graph_add_value(w->g, NULL);
  if (!wide) SUMI_FAIL_MEMORY(w->err);
  wide->info = v->info;
  sumi_graph_replace_uses(w->g, v, wide);
  v->info.dim[1] *= stride * stride;
  v->info.dim[2] /= stride;
  v->info.dim[3] /= stride;
  struct sumi_node *space =
      sumi_graph_add_node(w->g, NULL, &sumi_op_depth_to_space, "DepthToSpace", 13, &v, 1, &wide, 1);
  if (!space) SUMI_FAIL_MEMORY(w->err);
  return sumi_node_set_int(space, "blocksize", stride, w->err);
}

static sumi_status narrow_transpose(struct narrowing *w, struct sumi_node *node, const struct turned *t) {
  static const char *const gone[] = {"strides", "output_padding", "output_shape", "kernel_shape",
                                     "dilations"};
  struct sumi_value *weights;
  SUMI_TRY(narrow_input(w, node, X));
  SUMI_TRY(add_turned(w, node, t, &weights));
  sumi_node_set_input(node, W, weights);
  for (size_t i = 0; i < SUMI_COUNT(gone); i++) sumi_node_remove_attr(node, gone[i]);
  SUMI_TRY(sumi_node_set_ints(node, "pads", t->pads, 2 * (size_t)t->n, w->err));
  make_bconv(node);
  if (t->stride > 1) SUMI_TRY(put_in_place(w, node->out[0], t->stride));
  return widen_behind(w, node->out[0]);
}

/* A maximum of what is bfloat16 already. */
static bool is_pool(const struct narrowing *w, const struct sumi_node *node) {
  if (!is_op(node, "MaxPool") || (node->n_out > 1 && node->out[1]) || node->version < 12) return false;
  const struct sumi_value *x = node->in[0];
  return (x->info.rank == 3 || x->info.rank == 4) && is_own_cast(w, x->producer, SUMI_FLOAT32);
}

static sumi_status narrow_pool(struct narrowing *w, struct sumi_node *node) {
  SUMI_TRY(narrow_input(w, node, X));
  return widen_behind(w, node->out[0]);
}

/* ---- products --------------------------------------------------------------------------------------------------- */

static sumi_status narrow_product(struct narrowing *w, struct sumi_node *node, struct sumi_product *p) {
  struct sumi_node *add = sumi_product_take_add(node, p), *last = add ? add : node;
  struct sumi_value *in[] = {node->in[0], NULL, p->bias}, *y = sumi_graph_add_value(w->g, NULL);
  if (!y) SUMI_FAIL_MEMORY(w->err);
  y->info = last->out[0]->info;
  SUMI_TRY(narrowed(w, node->in[0], &in[0]));
  SUMI_TRY(narrow_constant(w, p->w, NULL, &in[1]));
  struct sumi_node *product =
      sumi_graph_add_node(w->g, node->name, &sumi_op_bmatmul, "sumi.BMatMul", 1, in, p->bias ? 3 : 2, &y, 1);
  if (!product) SUMI_FAIL_MEMORY(w->err);
  if (p->turned) SUMI_TRY(sumi_node_set_int(product, "transB", 1, w->err));
  if (!sumi_graph_replace_uses(w->g, last->out[0], y)) return SUMI_OK;
  if (add) sumi_graph_remove_node(w->g, add);
  sumi_graph_remove_node(w->g, node);
  return widen_behind(w, y);
}

/* A product with a computed matrix [k, n] of known sizes that are worth it. */
static bool is_matrix(const struct sumi_value *v) {
  const struct sumi_info *f = v ? &v->info : NULL;
  return f && !constant(v) && f->kind == SUMI_TENSOR && f->dtype == SUMI_FLOAT32 && f->rank == 2;
}

static bool is_wide(sumi_dim d) { return d >= LEAST; }

static bool is_computed_product(const struct sumi_node *node) {
  const struct sumi_value *b = node->n_in > 1 ? node->in[1] : NULL;
  return is_op(node, "MatMul") && is_matrix(b) && is_wide(b->info.dim[0]) && is_wide(b->info.dim[1]) &&
         node->in[0]->info.dtype == SUMI_FLOAT32 && node->in[0]->info.rank >= 2;
}

static bool is_turn(const struct sumi_node *node) {
  int n;
  const int64_t *perm =
      node && !sumi_node_removed(node) && is_op(node, "Transpose") ? sumi_attr_ints(node, "perm", &n) : NULL;
  return perm && n == 2 && perm[0] == 1;
}

static void make_bmatmul(struct sumi_node *node) {
  node->op = &sumi_op_bmatmul;
  node->op_name = "sumi.BMatMul";
  node->version = 1;
}

static sumi_status narrow_computed(struct narrowing *w, struct sumi_node *node) {
  struct sumi_node *turn = node->in[1]->producer;
  SUMI_TRY(narrow_input(w, node, 0));
  if (is_turn(turn)) {
    sumi_node_set_input(node, 1, turn->in[0]);
    SUMI_TRY(sumi_node_set_int(node, "transB", 1, w->err));
    if (!turn->out[0]->n_use && !turn->out[0]->is_output) sumi_graph_remove_node(w->g, turn);
  }
  SUMI_TRY(narrow_input(w, node, 1));
  make_bmatmul(node);
  return widen_behind(w, node->out[0]);
}

/* ---- the pass --------------------------------------------------------------------------------------------------- */

/* A product whose result is only cast to float32 gives float32. */
static sumi_status give_f32(struct narrowing *w, struct sumi_node *cast) {
  struct sumi_value *v = cast->in[0], *wide = cast->out[0];
  struct sumi_node *product = v->producer;
  if (v->n_use != 1 || v->is_output || !product ||
      (product->op != &sumi_op_bconv && product->op != &sumi_op_bmatmul))
    return SUMI_OK;
  if (!sumi_graph_replace_uses(w->g, wide, v)) return SUMI_OK;
  v->info.dtype = SUMI_FLOAT32;
  sumi_graph_remove_node(w->g, cast);
  return sumi_node_set_int(product, "to", sumi_dtype_to_onnx(SUMI_FLOAT32), w->err);
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  struct narrowing w = {g, g->n_node, err};
  for (size_t i = 0; i < w.n_node; i++) {
    struct sumi_node *node = g->node[i];
    struct sumi_product p;
    if (sumi_node_removed(node)) continue;
    struct turned t;
    if (is_conv(node))
      SUMI_TRY(narrow_conv(&w, node));
    else if (is_turnable(node, &t))
      SUMI_TRY(narrow_transpose(&w, node, &t));
    else if (is_computed_product(node))
      SUMI_TRY(narrow_computed(&w, node));
    else if (node->op == &sumi_op_conv_weight_grad)
      SUMI_TRY(sumi_node_set_int(node, "narrow", 1, err));
    else if (is_pool(&w, node))
      SUMI_TRY(narrow_pool(&w, node));
    else if (sumi_product_match(node, LEAST, &p))
      SUMI_TRY(narrow_product(&w, node, &p));
  }
  for (size_t i = w.n_node; i < g->n_node; i++)
    if (!sumi_node_removed(g->node[i]) && !g->node[i]->out[0]->n_use && !g->node[i]->out[0]->is_output)
      sumi_graph_remove_node(g, g->node[i]);
  for (size_t i = w.n_node; i < g->n_node; i++)
    if (is_own_cast(&w, g->node[i], SUMI_FLOAT32)) SUMI_TRY(give_f32(&w, g->node[i]));
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_narrow_bf16 = {
    .name = "narrow-bf16",
    .what = "convolutions, matrix products and gradients of convolutions on bfloat16",
    .stage = SUMI_PASS_MACHINE,
    .precision = SUMI_PRECISION_BF16,
    .run = run,
};
