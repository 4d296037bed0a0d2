/* Weights behind nodes become constants, in the graph and in the file. */
#include "compress/prepare.h"

#include <stdio.h>

#include "base/size.h"
#include "compress/prepare_int.h"
#include "pass/pass.h"

void sumi_prepared_init(struct sumi_prepared *p, const struct sumi_allocator *a) {
  *p = (struct sumi_prepared){0};
  sumi_changes_init(&p->changes, a);
}

void sumi_prepared_fini(struct sumi_prepared *p) { sumi_changes_fini(&p->changes); }

const char *sumi_prepare_node_name(const struct sumi_node *node) {
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i]) return node->out[i]->name;
  return "";
}

sumi_status sumi_prepare_note(struct sumi_prepared *p, const char *name, struct sumi_err *err) {
  for (size_t i = 0; i < p->n; i++)
    if (sumi_streq(p->constant[i], name)) return SUMI_OK;
  if (p->n == p->cap) {
    const size_t cap = 2 * p->cap + 16;
    const char **grown = SUMI_NEW_ARRAY(&p->changes.arena, cap, const char *);
    if (!grown) SUMI_FAIL_MEMORY(err);
    for (size_t i = 0; i < p->n; i++) grown[i] = p->constant[i];
    p->constant = grown;
    p->cap = cap;
  }
  if (!(p->constant[p->n] = sumi_arena_strdup(&p->changes.arena, name))) SUMI_FAIL_MEMORY(err);
  p->n++;
  return SUMI_OK;
}

sumi_status sumi_prepared_put(const struct sumi_prepared *p, const struct sumi_graph *g,
                              struct sumi_changes *out, struct sumi_err *err) {
  for (size_t i = 0; i < p->n; i++) {
    const struct sumi_value *v = sumi_graph_find_value(g, p->constant[i]);
    SUMI_ASSERT(err, v && v->constant);
    const struct sumi_change c = {
        .kind = SUMI_CHANGE_CONSTANT, .name = v->name, .tensor = v->constant, .axis = INT64_MIN};
    SUMI_TRY(sumi_changes_add(out, &c, err));
  }
  for (size_t i = 0; i < p->changes.n; i++) SUMI_TRY(sumi_changes_add(out, &p->changes.change[i], err));
  return SUMI_OK;
}

sumi_status sumi_prepared_refuse(const struct sumi_prepared *p, const char *what, struct sumi_err *err) {
  if (p->left)
    SUMI_FAIL(
        err, SUMI_E_UNSUPPORTED,
        "the network's layers stand in local functions of the file, %zu of them with weights that nodes "
        "make there: there is nothing to %s before the functions are inlined",
        p->left, what);
  SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
            "the network has no layer with constant weights in floating point: there is nothing to %s", what);
}

/* ---- what is left over ------------------------------------------------------------------------------------------ */

static bool is_read(const struct sumi_value *v) { return v->n_use || v->is_output; }

bool *sumi_prepare_look(const struct sumi_graph *g, struct sumi_arena *arena) {
  bool *read = SUMI_NEW_ARRAY(arena, g->n_value, bool);
  for (size_t i = 0; read && i < g->n_value; i++) read[i] = is_read(g->value[i]);
  return read;
}

/* Whether nobody reads a node any more of which something was read. */
static bool is_spent(const struct sumi_node *node, const bool *read, size_t n_read) {
  bool was_read = false;
  for (int i = 0; i < node->n_out; i++) {
    const struct sumi_value *v = node->out[i];
    if (v && is_read(v)) return false;
    was_read |= v && v->id < n_read && read[v->id];
  }
  return was_read;
}

sumi_status sumi_prepare_sweep(struct sumi_graph *g, const bool *read, size_t n_read, struct sumi_prepared *p,
                               struct sumi_err *err) {
  for (size_t i = g->n_node; i-- > 0;) { /* readers stand behind what they read */
    struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node) || node->inlined || !is_spent(node, read, n_read)) continue;
    const struct sumi_change c = {
        .kind = SUMI_CHANGE_DROP, .node = sumi_prepare_node_name(node), .axis = INT64_MIN};
    SUMI_TRY(sumi_changes_add(&p->changes, &c, err));
    sumi_graph_remove_node(g, node);
  }
  for (size_t i = 0; i < n_read; i++) {
    const struct sumi_value *v = g->value[i];
    if (!v->constant || v->is_input || !read[i] || is_read(v)) continue;
    const struct sumi_change c = {.kind = SUMI_CHANGE_DROP, .name = v->name, .axis = INT64_MIN};
    SUMI_TRY(sumi_changes_add(&p->changes, &c, err));
  }
  return sumi_graph_tidy(g, err);
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

struct expose {
  struct sumi_graph *g;
  const struct sumi_graph *folded;
  struct sumi_prepared *p;
  struct sumi_value **made; /* [folded->n_value]: the constant of g that stands for it; NULL: none yet */
  bool any;
};

/* The constant of g for constant c of the folded graph, which stands for v of g: the one that was handed on only, where v
 * alone reads it, else a new one. */
static struct sumi_value *constant_for(struct expose *e, const struct sumi_value *v,
                                       const struct sumi_value *c, struct sumi_err *err) {
  struct sumi_value *same = sumi_graph_find_value(e->g, c->name);
  if (same && same->constant && !same->is_input && same->n_use == 1 && !same->is_output &&
      same->constant->data == c->constant->data)
    return same;
  char name[300];
  snprintf(name, sizeof name, "%.250s_folded", v->name);
  struct sumi_value *made = sumi_graph_add_constant(e->g, name, c->constant, sumi_blob_ref(c->blob));
  if (!made || sumi_prepare_note(e->p, made->name, err) != SUMI_OK) return NULL;
  return made;
}

/* Input i of the node reads the constant that it is in the folded graph. */
static sumi_status expose_input(struct expose *e, struct sumi_node *node, const struct sumi_node *folded,
                                int i, struct sumi_err *err) {
  const struct sumi_value *c = i >= 0 && i < folded->n_in ? folded->in[i] : NULL;
  const struct sumi_value *v = c && i < node->n_in ? node->in[i] : NULL;
  if (!v || v->constant || v->is_input || !sumi_layer_takes(c->constant)) return SUMI_OK;
  struct sumi_value **made = &e->made[c->id];
  if (!*made && !(*made = constant_for(e, v, c, err))) SUMI_FAIL_MEMORY(err);
  const struct sumi_change change = {.kind = SUMI_CHANGE_INPUT,
                                     .node = sumi_prepare_node_name(node),
                                     .index = i,
                                     .name = (*made)->name,
                                     .axis = INT64_MIN};
  SUMI_TRY(sumi_changes_add(&e->p->changes, &change, err));
  sumi_node_set_input(node, i, *made);
  e->any = true;
  return SUMI_OK;
}

static sumi_status expose_all(struct expose *e, struct sumi_err *err) {
  for (size_t i = 0; i < e->folded->n_node; i++) {
    const struct sumi_node *folded = e->folded->node[i];
    struct sumi_node *node = sumi_graph_find_node(e->g, folded->name);
    struct sumi_op_product p;
    if (!folded->op->product || !node || node->op != folded->op) continue;
    for (int part = 0; folded->op->product(folded, part, &p); part++) {
      if (!sumi_layer_takes(folded->in[p.w]->constant)) continue;
      if (node->inlined) {
        e->p->left += !node->in[p.w]->constant;
        continue;
      }
      SUMI_TRY(expose_input(e, node, folded, p.w, err));
      SUMI_TRY(expose_input(e, node, folded, p.b, err));
    }
  }
  return SUMI_OK;
}

sumi_status sumi_prepare_weights(struct sumi_graph *g, struct sumi_prepared *p, struct sumi_err *err) {
  struct sumi_arena arena;
  struct sumi_graph *folded = sumi_graph_clone(g, err);
  if (!folded) return err ? err->status : SUMI_E_MEMORY;
  sumi_arena_init(&arena, g->allocator);
  const size_t n_read = g->n_value;
  const bool *read = sumi_prepare_look(g, &arena);
  sumi_status status = read ? SUMI_OK : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK) status = sumi_pass_run(&sumi_pass_drop_identity, folded, err);
  if (status == SUMI_OK) status = sumi_pass_run(&sumi_pass_fold_constants, folded, err);
  struct expose e = {.g = g, .folded = folded, .p = p};
  if (status == SUMI_OK && !(e.made = SUMI_NEW_ARRAY(&arena, folded->n_value, struct sumi_value *)))
    status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK) status = expose_all(&e, err);
  if (status == SUMI_OK && e.any) status = sumi_prepare_sweep(g, read, n_read, p, err);
  sumi_arena_fini(&arena);
  sumi_graph_free(folded);
  return status;
}
