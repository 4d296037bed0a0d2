/* integer-dot: MatMulInteger and ConvInteger with constant weights, whose sums are only cast to float32, as kernels know them.
 *   MatMulInteger (q, w, zero) -> Cast -> Mul by x's scale times constants, q and zero from DynamicQuantizeLinear (x), w with
 *   the zero point of 8 signed bits: com.microsoft.DynamicQuantizeMatMul (x, w, constants), with a constant vector that is
 *   added behind it. It is what tools for dynamic quantisation write.
 *   All others: MatMul or Conv in float32 of Cast (x) - Cast (zero) and of w - its zero point. The products are the same
 *   integers; sums beyond 2^24 are rounded on the way and not at the end only. */
#include "base/size.h"
#include "pass/product.h"
#include "pass/qdq.h"

enum { X, W, X_ZERO, W_ZERO };

static bool is_one(const struct sumi_value *v) {
  if (v->info.kind != SUMI_TENSOR || v->info.rank < 0 || v->info.rank > 1) return false;
  return !v->info.rank || v->info.dim[0] == 1;
}

/* The Cast to float32 that alone reads the sums. */
static struct sumi_node *cast_of(const struct sumi_node *node) {
  struct sumi_node *cast = sumi_qdq_user(node->out[0]);
  return sumi_qdq_is(cast, "Cast") && cast->out[0]->info.dtype == SUMI_FLOAT32 ? cast : NULL;
}

/* Constant weights, and a constant zero point of them: one figure, or one for each of n. */
static bool weights_of(const struct sumi_node *node, const struct sumi_tensor **w,
                       const struct sumi_tensor **zero, int64_t *n) {
  *w = sumi_qdq_constant(node->in[W]);
  *zero = sumi_qdq_constant(sumi_qdq_input(node, W_ZERO));
  if (!*w || (*w)->rank < 1 || (!*zero && sumi_qdq_input(node, W_ZERO))) return false;
  *n = (*w)->dim[sumi_qdq_is(node, "ConvInteger") ? 0 : (*w)->rank - 1];
  return !*zero || sumi_tensor_count(*zero) == 1 || ((*zero)->rank == 1 && (*zero)->dim[0] == *n);
}

static int64_t zero_at(const struct sumi_tensor *zero, int64_t j) {
  return zero ? sumi_get_i64(zero->dtype, zero->data, sumi_tensor_count(zero) == 1 ? 0 : j) : 0;
}

/* Takes out the node that makes v where nobody wants anything of it any more, and likewise what it read. */
static void drop(struct sumi_graph *g, const struct sumi_value *v) {
  struct sumi_node *node = v ? v->producer : NULL;
  if (!node || sumi_node_removed(node)) return;
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && (node->out[i]->n_use || node->out[i]->is_output)) return;
  enum { MOST = 4 };
  struct sumi_value *read[MOST] = {NULL};
  for (int i = 0; i < node->n_in && i < MOST; i++) read[i] = node->in[i];
  sumi_graph_remove_node(g, node);
  for (int i = 0; i < MOST; i++)
    if (read[i] && !read[i]->n_use) drop(g, read[i]);
}

/* ---- quantised in every run ---------------------------------------------------------------------------------------- */

struct dynamic {
  struct sumi_node *cast, *mul, *add;
  struct sumi_value *x, *scale, *both; /* scale: the weights'; both: times x's */
  struct sumi_product p;               /* n and bias */
};

/* The other factor of a Mul by v; NULL where it is no Mul. */
static struct sumi_value *other_factor(const struct sumi_node *mul, const struct sumi_value *v) {
  if (!sumi_qdq_is(mul, "Mul") || mul->version < 7) return NULL;
  return mul->in[0] == v ? mul->in[1] : mul->in[1] == v ? mul->in[0] : NULL;
}

/* Weights of signed 8 bits around 0, or of unsigned ones around 128. */
static bool is_centred(const struct sumi_tensor *w, const struct sumi_tensor *zero) {
  const int64_t centre = w->dtype == SUMI_UINT8 ? 128 : 0;
  if (!zero) return !centre;
  for (int64_t j = 0; j < sumi_tensor_count(zero); j++)
    if (zero_at(zero, j) != centre) return false;
  return true;
}

static bool match_dynamic(const struct sumi_node *node, struct dynamic *d) {
  const struct sumi_tensor *w, *zero;
  const struct sumi_node *quantise = node->in[X]->producer;
  *d = (struct dynamic){.cast = cast_of(node)};
  if (!sumi_qdq_is(node, "MatMulInteger") || !d->cast || !sumi_qdq_is(quantise, "DynamicQuantizeLinear") ||
      quantise->n_out < 3 || node->in[X] != quantise->out[0] ||
      sumi_qdq_input(node, X_ZERO) != quantise->out[2] || !weights_of(node, &w, &zero, &d->p.n) ||
      w->rank != 2 || !is_centred(w, zero) || node->in[X]->info.rank < 2)
    return false;
  d->mul = sumi_qdq_user(d->cast->out[0]);
  d->both = d->mul ? other_factor(d->mul, d->cast->out[0]) : NULL;
  d->scale = d->both && d->both->producer ? other_factor(d->both->producer, quantise->out[1]) : NULL;
  const struct sumi_tensor *scale = sumi_qdq_constant(d->scale);
  if (!scale || scale->dtype != SUMI_FLOAT32 ||
      (sumi_tensor_count(scale) != 1 && (scale->rank != 1 || scale->dim[0] != d->p.n)) || scale->rank > 1)
    return false;
  d->x = quantise->in[0];
  d->add = sumi_product_take_add(d->mul, &d->p);
  return true;
}

/* w as signed bytes: the file's own, or a copy 128 lower. */
static struct sumi_value *signed_weights(struct sumi_graph *g, struct sumi_value *w, struct sumi_err *err) {
  if (w->constant->dtype == SUMI_INT8) return w;
  struct sumi_tensor t = *w->constant;
  t.dtype = SUMI_INT8;
  void *data;
  struct sumi_value *v = sumi_qdq_new_constant(g, &t, &data, err);
  for (int64_t i = 0; v && i < sumi_tensor_count(&t); i++)
    ((uint8_t *)data)[i] = ((const uint8_t *)w->constant->data)[i] ^ 0x80;
  return v;
}

static sumi_status make_dynamic(struct sumi_graph *g, struct sumi_node *node, const struct dynamic *d,
                                struct sumi_err *err) {
  struct sumi_value *w = signed_weights(g, node->in[W], err), *quantised = node->in[X];
  struct sumi_value *const in[] = {d->x, w, d->scale, NULL, d->p.bias};
  struct sumi_node *const chain[] = {d->cast, d->mul, d->add};
  if (!w) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_qdq_become(g, node, &sumi_op_ms_dynamic_quantize_matmul, in, d->p.bias ? 5 : 3, err));
  sumi_qdq_take_over(g, node, chain, d->add ? 3 : 2);
  drop(g, d->both);
  drop(g, quantised);
  return SUMI_OK;
}

/* ---- in float32 ---------------------------------------------------------------------------------------------------- */

/* w - zero in float32. */
static struct sumi_value *wide_weights(struct sumi_graph *g, const struct sumi_tensor *w,
                                       const struct sumi_tensor *zero, int64_t n, bool by_row,
                                       struct sumi_err *err) {
  struct sumi_tensor t = *w;
  t.dtype = SUMI_FLOAT32;
  void *data;
  struct sumi_value *v = sumi_qdq_new_constant(g, &t, &data, err);
  const int64_t count = sumi_tensor_count(w), row = count / SUMI_MAX(n, 1);
  for (int64_t i = 0; v && i < count; i++)
    ((float *)data)[i] =
        (float)(sumi_get_i64(w->dtype, w->data, i) - zero_at(zero, by_row ? i / row : i % n));
  return v;
}

/* A new node of one result with the info of like, in float32. */
static struct sumi_value *add_node(struct sumi_graph *g, const struct sumi_op *op,
                                   struct sumi_value *const *in, int n_in, const struct sumi_value *like,
                                   struct sumi_node **node) {
  struct sumi_value *y = sumi_graph_add_value(g, NULL);
  *node = y ? sumi_graph_add_node(g, NULL, op, op->name, 13, in, n_in, &y, 1) : NULL;
  if (!*node) return NULL;
  y->info = like->info;
  y->info.dtype = SUMI_FLOAT32;
  return y;
}

static sumi_status widen(struct sumi_graph *g, struct sumi_value *v, struct sumi_value **out,
                         struct sumi_err *err) {
  struct sumi_node *cast;
  *out = add_node(g, &sumi_op_cast, &v, 1, v, &cast);
  if (!*out) SUMI_FAIL_MEMORY(err);
  return sumi_node_set_int(cast, "to", sumi_dtype_to_onnx(SUMI_FLOAT32), err);
}

static sumi_status make_float(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  const struct sumi_tensor *w, *zero;
  const bool conv = sumi_qdq_is(node, "ConvInteger");
  struct sumi_node *cast = cast_of(node), *unused;
  struct sumi_value *x_zero = sumi_qdq_input(node, X_ZERO);
  int64_t n;
  if (!cast || !weights_of(node, &w, &zero, &n) || (x_zero && !is_one(x_zero)) || node->in[X]->info.rank < 2)
    return SUMI_OK;
  struct sumi_value *in[2];
  SUMI_TRY(widen(g, node->in[X], &in[X], err));
  if (x_zero) {
    struct sumi_value *sides[2] = {in[X]};
    SUMI_TRY(widen(g, x_zero, &sides[1], err));
    in[X] = add_node(g, &sumi_op_sub, sides, 2, in[X], &unused);
  }
  in[W] = wide_weights(g, w, zero, n, conv, err);
  if (!in[X] || !in[W]) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_qdq_become(g, node, conv ? &sumi_op_conv : &sumi_op_matmul, in, 2, err));
  node->version = conv ? 11 : 13;
  sumi_qdq_take_over(g, node, &cast, 1);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  const size_t n = g->n_node;
  for (size_t i = 0; i < n; i++) {
    struct sumi_node *node = g->node[i];
    struct dynamic d;
    if (sumi_node_removed(node) || (!sumi_qdq_is(node, "MatMulInteger") && !sumi_qdq_is(node, "ConvInteger")))
      continue;
    if (match_dynamic(node, &d))
      SUMI_TRY(make_dynamic(g, node, &d, err));
    else
      SUMI_TRY(make_float(g, node, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_integer_dot = {
    .name = "integer-dot",
    .what = "integer products with constant weights that are cast to float32, for kernels",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};
