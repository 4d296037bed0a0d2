/* Gradients of operators that move elements: the gradient moves back, and is added where an element went to several places. */
#include "base/size.h"
#include "op/grad.h"

typedef struct sumi_value *value;

/* Reshape, Flatten, Squeeze, Unsqueeze: the elements stay in order. */
sumi_status sumi_reshape_grad(struct sumi_grad *g) {
  g->dx[0] = sumi_grad_reshape_like(g, g->dy[0], g->node->in[0]);
  return g->status;
}

sumi_status sumi_expand_grad(struct sumi_grad *g) {
  g->dx[0] = sumi_grad_sum_to(g, g->dy[0], g->node->in[0]);
  return g->status;
}

sumi_status sumi_transpose_grad(struct sumi_grad *g) {
  int n;
  const int64_t *perm = sumi_attr_ints(g->node, "perm", &n);
  int64_t back[SUMI_MAX_RANK];
  if (!perm) { /* all dims reversed, which is its own inverse */
    g->dx[0] = sumi_grad_transpose(g, g->dy[0]);
    return g->status;
  }
  for (int i = 0; i < n; i++)
    if (n > SUMI_MAX_RANK || perm[i] < -n || perm[i] >= n)
      SUMI_FAIL(g->err, SUMI_E_VALUE, "perm is no order of %d dimensions", n);
  for (int i = 0; i < n; i++) back[perm[i] < 0 ? perm[i] + n : perm[i]] = i;
  g->dx[0] = sumi_grad_permute(g, g->dy[0], back, n);
  return g->status;
}

/* The node's axis for x; -1 after a failure. */
static int axis_of(struct sumi_grad *g, value x, int64_t otherwise) {
  const int rank = sumi_grad_rank(g, x);
  int axis = -1;
  if (g->status == SUMI_OK)
    g->status = sumi_axis(sumi_attr_int(g->node, "axis", otherwise), rank, &axis, g->err);
  return g->status == SUMI_OK ? axis : -1;
}

/* Concat: input i is the stretch [start, start + its size) of dy along the axis; where it starts is a sum of sizes. */
sumi_status sumi_concat_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const int axis = axis_of(g, node->in[0], node->version < 4 ? 1 : 0);
  if (axis < 0) return g->status;
  const value along = sumi_grad_ints(g, (const int64_t[]){axis}, 1);
  value start = sumi_grad_ints(g, (const int64_t[]){0}, 1);
  for (int i = 0; i < node->n_in; i++) {
    const value end = sumi_grad_add(g, start, sumi_grad_dims(g, node->in[i], axis, axis + 1));
    if (g->wanted[i]) g->dx[i] = sumi_grad_slice(g, g->dy[0], start, end, along);
    start = end;
  }
  return g->status;
}

sumi_status sumi_split_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const int axis = axis_of(g, node->in[0], 0);
  value *part = SUMI_NEW_ARRAY(g->graph->arena, (size_t)node->n_out, value);
  if (axis < 0) return g->status;
  if (!part) SUMI_FAIL_MEMORY(g->err);
  for (int i = 0; i < node->n_out; i++) {
    if (!node->out[i])
      SUMI_FAIL(g->err, SUMI_E_UNSUPPORTED,
                "output %d is left out: its size, and so the gradient, is unknown", i);
    part[i] = g->dy[i] ? g->dy[i] : sumi_grad_fill_like(g, node->out[i], 0);
  }
  g->dx[0] = sumi_grad_int(g, sumi_grad_op(g, &sumi_op_concat, node->n_out, part), "axis", axis);
  return g->status;
}

/* 0, 1, 2 ... in x's shape. */
static value numbers(struct sumi_grad *g, value x) {
  const value scalar = sumi_grad_ints(g, NULL, 0);
  const value none = sumi_grad_reshape(g, sumi_grad_ints(g, (const int64_t[]){0}, 1), scalar);
  const value one = sumi_grad_reshape(g, sumi_grad_ints(g, (const int64_t[]){1}, 1), scalar);
  const value number = sumi_grad_range(g, none, sumi_grad_size(g, x), one);
  return sumi_grad_reshape(g, number, sumi_grad_dims(g, x, 0, -1));
}

/* Slice: whatever the steps are, the same Slice of the elements' numbers says where each came from. */
sumi_status sumi_slice_grad(struct sumi_grad *g) {
  const value x = g->node->in[0];
  g->dx[0] = sumi_grad_scatter_like(g, g->dy[0], sumi_grad_again(g, numbers(g, x)), x);
  return g->status;
}

/* The node's pads with the other sign, as a list. */
static value pads_back(struct sumi_grad *g) {
  int n;
  const int64_t *list = sumi_attr_ints(g->node, g->node->version < 2 ? "paddings" : "pads", &n);
  if (!list) return sumi_grad_neg(g, g->node->in[1]);
  int64_t back[2 * SUMI_MAX_RANK];
  if (n > 2 * SUMI_MAX_RANK) {
    g->status = sumi_err_set(g->err, SUMI_E_VALUE, "pads has %d entries", n);
    return NULL;
  }
  for (int i = 0; i < n; i++) back[i] = -list[i];
  return sumi_grad_ints(g, back, n);
}

/* Pad: with a constant, the pads taken off again, which belong to the constant; else the same Pad of the elements' numbers says
 * where each came from. */
sumi_status sumi_pad_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const value x = node->in[0], axes = node->n_in > 3 ? node->in[3] : NULL;
  if (!sumi_streq(sumi_attr_string(node, "mode", "constant"), "constant")) {
    g->dx[0] = sumi_grad_scatter_like(g, g->dy[0], sumi_grad_again(g, numbers(g, x)), x);
    return g->status;
  }
  const value back = sumi_grad_op(g, &sumi_op_pad, 4, (value[]){g->dy[0], pads_back(g), NULL, axes});
  g->dx[0] = back;
  if (node->n_in > 2 && node->in[2] && g->wanted[2]) {
    const value all = sumi_grad_sum(g, sumi_grad_flat(g, g->dy[0]), (const int64_t[]){0}, 1, true),
                kept = sumi_grad_sum(g, sumi_grad_flat(g, back), (const int64_t[]){0}, 1, true);
    g->dx[2] = sumi_grad_reshape_like(g, sumi_grad_sub(g, all, kept), node->in[2]);
  }
  return g->status;
}

/* Gather: with x seen as [dims before, n, dims behind] and dy as [dims before, picked, dims behind], the picked are added
 * along the axis. */
sumi_status sumi_gather_grad(struct sumi_grad *g) {
  const value x = g->node->in[0];
  const int axis = axis_of(g, x, 0), rank = axis < 0 ? 0 : sumi_grad_info(g, x)->rank;
  if (axis < 0) return g->status;
  int64_t shape[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) shape[i] = i == axis ? -1 : 1;
  const value before = axis ? sumi_grad_dims(g, x, 0, axis) : NULL,
              behind = axis + 1 < rank ? sumi_grad_dims(g, x, axis + 1, rank) : NULL;
  const value picked = sumi_grad_size(g, g->node->in[1]);
  const value wide = sumi_grad_join(
      g, 3,
      (value[]){before, sumi_grad_reshape(g, picked, sumi_grad_ints(g, (const int64_t[]){1}, 1)), behind});
  const value update = sumi_grad_reshape(g, g->dy[0], wide);
  const value index =
      sumi_grad_expand(g, sumi_grad_reshape(g, g->node->in[1], sumi_grad_ints(g, shape, rank)), wide);
  value y =
      sumi_grad_op(g, &sumi_op_scatter_elements, 3, (value[]){sumi_grad_fill_like(g, x, 0), index, update});
  y = sumi_grad_int(g, y, "axis", axis);
  if (g->status != SUMI_OK) return g->status;
  SUMI_TRY(sumi_node_set_string(y->producer, "reduction", "add", g->err));
  g->dx[0] = y;
  return SUMI_OK;
}
