/* Matrix products with a constant matrix, as passes look for them. */
#ifndef SUMI_PASS_PRODUCT_H
#define SUMI_PASS_PRODUCT_H

#include "graph/graph.h"

struct sumi_product {
  const struct sumi_tensor *w; /* float32 [k, n], or [n, k] where turned */
  int64_t k, n;
  bool turned;
  struct sumi_value *bias; /* constant float32 [n]; NULL = none */
};

/* Whether node is a MatMul of float32 with a constant matrix of at least `least` rows and columns, or a Gemm that is one
 * plus perhaps a constant vector. */
bool sumi_product_match(const struct sumi_node *node, int64_t least, struct sumi_product *p);

/* Where the only reader of a product without bias is the Add of a constant vector [n]: that node, and p->bias is set; else NULL. */
struct sumi_node *sumi_product_take_add(const struct sumi_node *node, struct sumi_product *p);

#endif
