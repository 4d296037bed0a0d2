/* Common answers about batches. */
#include "op/by_item.h"

#include "op/op_util.h"

bool sumi_by_item_only(const struct sumi_call *call, const bool *carries, unsigned mask) {
  for (int i = 0; i < call->n_in; i++)
    if (carries[i] && (i >= 32 || !(mask >> i & 1))) return false;
  return true;
}

bool sumi_by_item_first(const struct sumi_call *call, const bool *carries) {
  return sumi_by_item_only(call, carries, 1);
}

static bool has_axis(const struct sumi_op *op) {
  for (const struct sumi_attr_spec *a = op->attrs; a && a->name; a++)
    if (sumi_streq(a->name, "axis")) return true;
  return false;
}

bool sumi_by_item_elements(const struct sumi_call *call, const bool *carries) {
  const int rank = call->out[0] ? call->out[0]->rank : 0;
  int axis;
  for (int i = 0; i < call->n_in; i++)
    if (carries[i] && call->in[i]->rank != rank) return false;
  if (!has_axis(call->node->op)) return true;
  /* where it is left out it is 1 or the last */
  return rank > 1 && sumi_op_axis(call->node, 1, rank, &axis, NULL) == SUMI_OK && axis != 0;
}
