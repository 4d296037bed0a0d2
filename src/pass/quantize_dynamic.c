/* quantize-dynamic (precision int8-dynamic): a MatMul of float32 with a constant matrix, or a Gemm that is one, becomes
 * com.microsoft.DynamicQuantizeMatMul: weights in 8 bits, symmetric, one scale a column (the largest magnitude / 127, so that
 * zeros stay zeros); the other operand is quantised over its range in every run. A constant vector that is added behind it becomes
 * its bias. Products with fewer than 16 rows or columns of weights stay as they are. */
#include <math.h>

#include "op/ops.h"
#include "pass/pass.h"
#include "pass/product.h"

enum { LEAST = 16 };

static struct sumi_value *add_tensor(struct sumi_graph *g, struct sumi_tensor t, size_t bytes, void **data) {
  struct sumi_blob *blob = sumi_blob_new(g->allocator, bytes);
  if (!blob) return NULL;
  t.data = *data = sumi_blob_bytes(blob);
  return sumi_graph_add_constant(g, NULL, &t, blob);
}

/* Weights [k, n] in 8 bits and their scales. */
static sumi_status quantize(struct sumi_graph *g, const struct sumi_product *p, struct sumi_value **w,
                            struct sumi_value **scale, struct sumi_err *err) {
  void *bytes, *scales;
  *w = add_tensor(g, (struct sumi_tensor){.dtype = SUMI_INT8, .rank = 2, .dim = {p->k, p->n}},
                  (size_t)(p->k * p->n), &bytes);
  *scale = add_tensor(g, (struct sumi_tensor){.dtype = SUMI_FLOAT32, .rank = 1, .dim = {p->n}},
                      (size_t)p->n * sizeof(float), &scales);
  if (!*w || !*scale) SUMI_FAIL_MEMORY(err);
  const float *from = p->w->data;
  const int64_t row = p->turned ? 1 : p->n, col = p->turned ? p->k : 1;
  for (int64_t j = 0; j < p->n; j++) {
    float most = 0;
    for (int64_t i = 0; i < p->k; i++) most = fmaxf(most, fabsf(from[i * row + j * col]));
    const float s = most > 0 && most <= 3e38f ? most / 127 : 1;
    ((float *)scales)[j] = s;
    for (int64_t i = 0; i < p->k; i++) {
      const float q = rintf(from[i * row + j * col] / s);
      ((int8_t *)bytes)[i * p->n + j] = (int8_t)fminf(fmaxf(q, -127), 127); /* NaN: -127 */
    }
  }
  return SUMI_OK;
}

static sumi_status replace(struct sumi_graph *g, struct sumi_node *node, struct sumi_product *p,
                           struct sumi_err *err) {
  struct sumi_node *add = sumi_product_take_add(node, p), *last = add ? add : node;
  struct sumi_value *w, *scale, *bias = p->bias, *y = sumi_graph_add_value(g, NULL);
  SUMI_TRY(quantize(g, p, &w, &scale, err));
  struct sumi_value *const in[] = {node->in[0], w, scale, NULL, bias};
  if (!y || !sumi_graph_add_node(g, node->name, &sumi_op_ms_dynamic_quantize_matmul,
                                 "com.microsoft.DynamicQuantizeMatMul", 1, in, bias ? 5 : 3, &y, 1))
    SUMI_FAIL_MEMORY(err);
  y->info = last->out[0]->info;
  if (!sumi_graph_replace_uses(g, last->out[0], y)) return SUMI_OK;
  if (add) sumi_graph_remove_node(g, add);
  sumi_graph_remove_node(g, node);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  const size_t n = g->n_node;
  for (size_t i = 0; i < n; i++) {
    struct sumi_product p;
    if (sumi_node_removed(g->node[i]) || !sumi_product_match(g->node[i], LEAST, &p)) continue;
    SUMI_TRY(replace(g, g->node[i], &p, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_quantize_dynamic = {
    .name = "quantize-dynamic",
    .what = "matrix products with constant float32 weights in 8 bits, inputs quantised in every run",
    .stage = SUMI_PASS_MACHINE,
    .precision = SUMI_PRECISION_INT8_DYNAMIC,
    .run = run,
};
