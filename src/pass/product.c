/* Finding matrix products with a constant matrix. */
#include "pass/product.h"

#include "graph/op.h"

static bool is_op(const struct sumi_node *node, const char *name) { return sumi_streq(node->op->name, name); }

static const struct sumi_tensor *constant(const struct sumi_node *node, int i, int rank) {
  const struct sumi_value *v = i < node->n_in ? node->in[i] : NULL;
  const struct sumi_tensor *t = v && !v->is_input ? v->constant : NULL;
  return t && t->dtype == SUMI_FLOAT32 && t->rank == rank ? t : NULL;
}

bool sumi_product_match(const struct sumi_node *node, int64_t least, struct sumi_product *p) {
  const bool gemm = is_op(node, "Gemm");
  if (!gemm && !is_op(node, "MatMul")) return false;
  *p = (struct sumi_product){.w = constant(node, 1, 2)};
  if (!p->w || !node->in[0] || node->in[0]->info.dtype != SUMI_FLOAT32 || node->in[0]->info.rank < 2)
    return false;
  if (gemm) {
    if (sumi_attr_int(node, "transA", 0) || sumi_attr_float(node, "alpha", 1) != 1) return false;
    p->turned = sumi_attr_int(node, "transB", 0) != 0;
  }
  p->k = p->w->dim[p->turned];
  p->n = p->w->dim[!p->turned];
  if (p->k < least || p->n < least) return false;
  if (!gemm || node->n_in < 3 || !node->in[2]) return true;
  const struct sumi_tensor *c = constant(node, 2, 1);
  if (!c || c->dim[0] != p->n || sumi_attr_float(node, "beta", 1) != 1) return false;
  p->bias = node->in[2];
  return true;
}

struct sumi_node *sumi_product_take_add(const struct sumi_node *node, struct sumi_product *p) {
  const struct sumi_value *y = node->out[0];
  struct sumi_node *add = y->n_use == 1 && !y->is_output ? y->first_use->node : NULL;
  if (p->bias || !add || !is_op(add, "Add") || add->version < 7) return NULL;
  const int other = add->in[0] == y;
  const struct sumi_tensor *c = constant(add, other, 1);
  if (!c || c->dim[0] != p->n) return NULL;
  p->bias = add->in[other];
  return add;
}
