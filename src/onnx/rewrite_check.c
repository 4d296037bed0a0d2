/* Whether a changed graph is one: what changed nodes read is there and made in front of them, and what is gone is read by
 * nobody, bodies included. */
#include <stdio.h>

#include "base/text.h"
#include "onnx/rewrite_int.h"

struct use {
  const struct sumi_rewrite *r;
  const char *who;
  size_t place;
};

static sumi_status check_use(const struct use *u, const char *name, bool changed, struct sumi_err *err) {
  const struct sumi_rewrite_value *v = sumi_rewrite_find(u->r, name);
  if (!*name || (!changed && (!v || !v->moved))) return SUMI_OK;
  if (!v || (!v->maker && !v->constant && !v->input))
    SUMI_FAIL(err, SUMI_E_VALUE, "%s would read '%.128s', which is not there", u->who, name);
  if (v->maker && v->maker->place >= u->place && !u->r->unsorted)
    SUMI_FAIL(err, SUMI_E_VALUE, "%s would read '%.128s', which is made behind it", u->who, name);
  return SUMI_OK;
}

/* A name that stands in a body; one that no text can hold stands for nothing of the main graph. */
static sumi_status check_text(const struct use *u, struct sumi_wire text, struct sumi_arena *arena,
                              struct sumi_err *err) {
  const struct sumi_str s = sumi_wire_str(&text);
  const char *name = sumi_arena_strndup(arena, s.size ? s.data : "", s.size);
  if (!name) SUMI_FAIL_MEMORY(err);
  return check_use(u, name, false, err);
}

static sumi_status check_bodies(const struct use *u, const struct sumi_onnx_node *node,
                                struct sumi_arena *arena, size_t depth, struct sumi_err *err);

/* What a body makes itself has a name of its own: the standard allows no other. */
static sumi_status check_body(const struct use *u, struct sumi_wire body, struct sumi_arena *arena,
                              size_t depth, struct sumi_err *err) {
  struct sumi_onnx_graph g;
  struct sumi_wire item, name;
  if (depth >= u->r->limits.max_depth)
    SUMI_FAIL(err, SUMI_E_LIMIT, "bodies lie more than %zu deep in each other", u->r->limits.max_depth);
  SUMI_TRY(sumi_onnx_read_graph(body, &g, err));
  for (struct sumi_wire_list l = g.node; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_node node;
    SUMI_TRY(sumi_onnx_read_node(item, &node, err));
    for (struct sumi_wire_list in = node.input; sumi_wire_list_bytes(&in, &name);)
      SUMI_TRY(check_text(u, name, arena, err));
    SUMI_TRY(check_bodies(u, &node, arena, depth, err));
  }
  for (struct sumi_wire_list l = g.output; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_value_info info;
    SUMI_TRY(sumi_onnx_read_value_info(item, &info, err));
    if (info.name.data) SUMI_TRY(check_text(u, sumi_wire_over(info.name.data, info.name.size), arena, err));
  }
  return SUMI_OK;
}

static sumi_status check_bodies(const struct use *u, const struct sumi_onnx_node *node,
                                struct sumi_arena *arena, size_t depth, struct sumi_err *err) {
  struct sumi_wire item, body;
  for (struct sumi_wire_list l = node->attribute; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_attribute a;
    SUMI_TRY(sumi_onnx_read_attribute(item, &a, err));
    if (a.g.at) SUMI_TRY(check_body(u, a.g, arena, depth + 1, err));
    while (sumi_wire_list_bytes(&a.graphs, &body)) SUMI_TRY(check_body(u, body, arena, depth + 1, err));
  }
  return SUMI_OK;
}

static sumi_status check_node(struct sumi_rewrite *r, const struct sumi_rewrite_part *p,
                              struct sumi_arena *arena, struct sumi_err *err) {
  const struct sumi_rewrite_node *n = p->node;
  char who[192];
  snprintf(who, sizeof who, "node '%.128s'", *n->name || !n->n_out ? n->name : n->out[0]);
  const struct use u = {r, who, p->place};
  for (size_t i = 0; i < n->n_in; i++)
    SUMI_TRY(check_use(&u, n->in[i], !p->from || i >= n->n_file_in || n->in[i] != n->file_in[i], err));
  if (!p->from) return SUMI_OK;
  struct sumi_onnx_node proto;
  SUMI_TRY(sumi_onnx_read_node(p->body, &proto, err));
  return check_bodies(&u, &proto, arena, 0, err);
}

sumi_status sumi_rewrite_check(struct sumi_rewrite *r, struct sumi_err *err) {
  if (!r->nodes_changed) return SUMI_OK;
  size_t place = 0;
  for (struct sumi_rewrite_part *p = r->first; p; p = p->next) p->place = ++place;
  struct sumi_arena arena; /* names in one node's bodies */
  sumi_arena_init(&arena, r->allocator);
  sumi_status status = SUMI_OK;
  for (const struct sumi_rewrite_part *p = r->first; p && status == SUMI_OK; p = p->next) {
    const struct use outside = {r, "the graph", SIZE_MAX};
    if (p->dropped) continue;
    if (p->node) status = check_node(r, p, &arena, err);
    if (p->number == SUMI_GRAPH_OUTPUT) status = check_use(&outside, p->name, false, err);
    sumi_arena_reset(&arena);
  }
  sumi_arena_fini(&arena);
  return status;
}
