/* The cost of a node, by its operator, from the shapes known of its values. */
#include "api/api_int.h"

bool sumi_cost_of_node(const struct sumi_node *node, const struct sumi_info *info, struct sumi_arena *arena,
                       struct sumi_cost *cost) {
  const size_t n = (size_t)node->n_in + (size_t)node->n_out;
  struct sumi_tensor *t = SUMI_NEW_ARRAY(arena, n, struct sumi_tensor),
                     **at = SUMI_NEW_ARRAY(arena, n, struct sumi_tensor *);
  if (!t || !at) return false;
  for (size_t i = 0; i < n; i++) {
    const struct sumi_value *v = i < (size_t)node->n_in ? node->in[i] : node->out[i - (size_t)node->n_in];
    if (!v) continue;
    const struct sumi_info *f = &info[v->id];
    at[i] = &t[i];
    t[i] = (struct sumi_tensor){
        .kind = f->kind, .dtype = f->dtype, .rank = f->rank, .data = f->data ? f->data->data : NULL};
    if (f->rank < 0) return false;
    for (int d = 0; d < f->rank; d++) {
      if (f->dim[d] < 0) return false;
      t[i].dim[d] = f->dim[d];
    }
  }
  const struct sumi_call call = {.node = node,
                                 .n_in = node->n_in,
                                 .n_out = node->n_out,
                                 .in = (const struct sumi_tensor *const *)at,
                                 .out = at + node->n_in};
  if (node->op->cost) node->op->cost(&call, cost);
  return true;
}
