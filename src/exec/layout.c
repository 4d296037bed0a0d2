/* Which values lie in lanes: those that their producer can write and all their readers can read so. Readers are asked
 * first, from the last node to the first, because a view reads as what it leads to is read; then producers, forward.
 * Wishes for halos are merged; a reader whose phases lost makes a copy when it is lowered. */
#include <string.h>

#include "exec/exec.h"

struct wishes { /* of all readers of a value */
  size_t readers;
  bool fixed; /* somebody wants this halo */
  struct sumi_lane_wish wish;
};

struct assigner {
  struct sumi_exec *exec;
  struct sumi_stage *stage;
  struct wishes *of;           /* [n_value] */
  struct sumi_lane_wish **out; /* [n_node] what the operators can write */
  struct sumi_err *err;
};

static void add_reader(struct wishes *w, const struct sumi_lane_wish *more) {
  if (!more->lanes || (w->readers && w->wish.axis != more->axis)) return; /* never counted: row-major */
  w->readers++;
  w->wish.lanes = true;
  w->wish.axis = more->axis;
  if (more->any) return;
  if (!w->fixed) {
    w->wish = *more;
    w->fixed = true;
  } else if (w->wish.fill == more->fill) {
    sumi_halo_merge(&w->wish.halo, &more->halo);
  }
}

static bool wanted(const struct assigner *a, const struct sumi_value *v) {
  const struct wishes *w = &a->of[v->id];
  return w->wish.lanes && w->readers == v->n_use && !v->is_output;
}

/* The axis of the input that is the output's channel axis, with as many elements before and behind it; -1 = none. */
static int axis_through(const struct sumi_tensor *from, const struct sumi_tensor *to, int axis) {
  const int64_t before = sumi_dims_count(to->dim, 0, axis), channels = to->dim[axis];
  for (int i = 0; i < from->rank; i++)
    if (from->dim[i] == channels && sumi_dims_count(from->dim, 0, i) == before &&
        (i == 1 || i == from->rank - 1))
      return i;
  return -1;
}

/* A view's input may lie in lanes where its output does, without halo or phases. */
static void ask_view(struct assigner *a, const struct sumi_node *node, struct sumi_lane_wish *in) {
  const struct sumi_value *to = node->out[0];
  if (!to || !wanted(a, to) || a->of[to->id].fixed) return;
  const struct sumi_tensor from_t = sumi_info_tensor(&a->stage->info[node->in[0]->id]),
                           to_t = sumi_info_tensor(&a->stage->info[to->id]);
  const int axis = axis_through(&from_t, &to_t, a->of[to->id].wish.axis);
  if (axis >= 0)
    in[0] = (struct sumi_lane_wish){.lanes = true, .axis = axis, .halo = {.step_y = 1, .step_x = 1}};
}

static bool is_view(const struct sumi_node *node) {
  return (node->op->flags & SUMI_OP_VIEW) && node->n_in && node->in[0] && node->n_out == 1;
}

static sumi_status ask(struct assigner *a, const struct sumi_node *node) {
  struct sumi_arena *arena = &a->stage->plan.arena;
  const size_t n_in = (size_t)node->n_in, n_out = (size_t)node->n_out, n = n_in + n_out;
  struct sumi_lane_wish *wish = SUMI_NEW_ARRAY(arena, n, struct sumi_lane_wish);
  struct sumi_tensor *t = SUMI_NEW_ARRAY(arena, n, struct sumi_tensor),
                     **at = SUMI_NEW_ARRAY(arena, n, struct sumi_tensor *);
  if (!wish || !t || !at) SUMI_FAIL_MEMORY(a->err);
  a->out[node->id] = wish + n_in;
  if (is_view(node)) ask_view(a, node, wish);
  if (node->op->lanes) {
    for (size_t i = 0; i < n; i++) {
      const struct sumi_value *v = i < n_in ? node->in[i] : node->out[i - n_in];
      if (!v) continue;
      t[i] = sumi_info_tensor(&a->stage->info[v->id]);
      at[i] = &t[i];
    }
    const struct sumi_call call = {.node = node,
                                   .n_in = node->n_in,
                                   .n_out = node->n_out,
                                   .in = (const struct sumi_tensor *const *)at,
                                   .out = at + n_in};
    for (size_t k = 0; k < n_out; k++)
      wish[n_in + k].axis = node->out[k] && wanted(a, node->out[k]) ? a->of[node->out[k]->id].wish.axis : -1;
    sumi_model_need(a->exec->session->model, node, false);
    node->op->lanes(&call, wish, wish + n_in);
  }
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i]) add_reader(&a->of[node->in[i]->id], &wish[i]);
  return SUMI_OK;
}

static void settle(struct assigner *a, const struct sumi_node *node) {
  for (int k = 0; k < node->n_out; k++) {
    const struct sumi_value *v = node->out[k];
    if (!v || !wanted(a, v)) continue;
    const struct sumi_lane_wish *want = &a->of[v->id].wish;
    const bool view = is_view(node);
    if (view ? !a->stage->layout[node->in[0]->id].v
             : !a->out[node->id][k].lanes || a->out[node->id][k].axis != want->axis)
      continue;
    struct sumi_halo halo = want->halo;
    if (!a->of[v->id].fixed) halo = (struct sumi_halo){.step_y = 1, .step_x = 1};
    const struct sumi_tensor t = sumi_info_tensor(&a->stage->info[v->id]);
    struct sumi_layout *layout = &a->stage->layout[v->id];
    if (sumi_layout_lanes(&t, want->axis, halo, want->fill, layout, NULL) != SUMI_OK) layout->v = 0;
  }
}

sumi_status sumi_stage_assign_layouts(struct sumi_exec *exec, struct sumi_stage *stage,
                                      const bool *is_planned, struct sumi_err *err) {
  const struct sumi_graph *g = exec->graph;
  struct sumi_arena *arena = &stage->plan.arena;
  struct assigner a = {.exec = exec, .stage = stage, .err = err};
  a.of = SUMI_NEW_ARRAY(arena, g->n_value, struct wishes);
  a.out = SUMI_NEW_ARRAY(arena, g->n_node, struct sumi_lane_wish *);
  if (!a.of || !a.out) SUMI_FAIL_MEMORY(err);
  for (size_t i = g->n_node; i-- > 0;)
    if (is_planned[i]) SUMI_TRY(ask(&a, g->node[i]));
  for (size_t i = 0; i < g->n_node; i++)
    if (is_planned[i]) settle(&a, g->node[i]);
  return SUMI_OK;
}
