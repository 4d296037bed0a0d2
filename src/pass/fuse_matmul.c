/* fuse-matmul: what follows a float32 product becomes its epilogue, so that it is done while the result is still hot:
 *   MatMul with a constant matrix [-> Add of a constant vector] [-> a function]     sumi.FMatMul
 *   Gemm -> a function                                                               com.microsoft.FusedGemm
 * where at least one of them is there and nobody else uses what lies in between. Functions: pass/function.h, among them the
 * five nodes of the exact GELU. */
#include "pass/function.h"

struct tail {
  struct sumi_node *chain[1 + SUMI_FUNCTION_NODES];
  int n_chain;
  struct sumi_value *bias; /* NULL = none */
  struct sumi_function f;
};

static bool is_vector(const struct sumi_value *v, int64_t n) {
  const struct sumi_tensor *t = sumi_qdq_constant(v);
  return t && t->dtype == SUMI_FLOAT32 && t->rank == 1 && t->dim[0] == n;
}

/* The function of v, whose bias, if there is one, the product can take. */
static bool read_function(struct tail *t, const struct sumi_value *v, int64_t n) {
  if (!sumi_function_match(v, &t->f) || (t->f.bias && (t->bias || !is_vector(t->f.bias, n)))) {
    t->f = (struct sumi_function){.name = ""};
    return false;
  }
  if (t->f.bias) t->bias = t->f.bias;
  for (int i = 0; i < t->f.n_node; i++) t->chain[t->n_chain++] = t->f.node[i];
  return true;
}

static sumi_status fuse_matmul(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  const struct sumi_tensor *w = sumi_qdq_constant(node->in[1]);
  if (!w || w->rank != 2 || node->out[0]->info.rank < 1) return SUMI_OK;
  struct tail t = {.f.name = ""};
  const struct sumi_value *v = node->out[0];
  struct sumi_node *add = sumi_qdq_user(v);
  if (sumi_qdq_is(add, "Add") && add->version >= 7) {
    struct sumi_value *other = add->in[add->in[0] == v];
    if (is_vector(other, w->dim[1])) {
      t.bias = other;
      t.chain[t.n_chain++] = add;
      v = add->out[0];
    }
  }
  read_function(&t, v, w->dim[1]);
  if (!t.n_chain) return SUMI_OK;
  if (t.bias && !sumi_node_add_input(node, t.bias)) SUMI_FAIL_MEMORY(err);
  node->op = &sumi_op_fmatmul;
  node->op_name = "sumi.FMatMul";
  node->version = 1;
  SUMI_TRY(sumi_function_set(node, "", &t.f, err));
  sumi_qdq_take_over(g, node, t.chain, t.n_chain);
  return SUMI_OK;
}

static sumi_status fuse_gemm(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  static const char *const figure[] = {"activation_alpha", "activation_beta"};
  struct tail t = {.f.name = ""};
  if (!read_function(&t, node->out[0], -1)) return SUMI_OK;
  node->op = &sumi_op_fused_gemm;
  node->op_name = "com.microsoft.FusedGemm";
  node->version = 1;
  sumi_node_remove_attr(node, "broadcast");
  SUMI_TRY(sumi_node_set_string(node, "activation", t.f.name, err));
  for (size_t i = 0; i < t.f.n_figure; i++)
    SUMI_TRY(sumi_node_set_float(node, figure[i], t.f.figure[i], err));
  sumi_qdq_take_over(g, node, t.chain, t.n_chain);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node) || !node->out[0] || node->out[0]->info.dtype != SUMI_FLOAT32) continue;
    if (sumi_qdq_is(node, "MatMul"))
      SUMI_TRY(fuse_matmul(g, node, err));
    else if (sumi_qdq_is(node, "Gemm"))
      SUMI_TRY(fuse_gemm(g, node, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_fuse_matmul = {
    .name = "fuse-matmul",
    .what = "makes an added vector and a function part of the matrix product before them",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};
