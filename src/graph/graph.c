/* Building graphs: memory, values, nodes, and the lists of uses that every change of an input goes through.
 */
#include "graph/graph.h"

#include <string.h>

#include "base/size.h"
#include "graph/graph_int.h"

static void free_arena(struct sumi_blob *blob) {
  struct sumi_arena *arena = blob->user;
  const struct sumi_allocator *a = arena->allocator;
  sumi_arena_fini(arena);
  sumi_free(a, arena, sizeof *arena);
}

static struct sumi_blob *new_arena_blob(const struct sumi_allocator *a) {
  struct sumi_arena *arena = sumi_alloc(a, sizeof *arena);
  if (!arena) return NULL;
  sumi_arena_init(arena, a);
  struct sumi_blob *blob = sumi_blob_wrap(a, NULL, 0, free_arena, arena);
  if (!blob) sumi_free(a, arena, sizeof *arena);
  return blob;
}

struct sumi_graph *sumi_graph_new(const struct sumi_allocator *a, const char *name) {
  if (!a) a = sumi_allocator_default();
  struct sumi_blob *blob = new_arena_blob(a);
  if (!blob) return NULL;
  struct sumi_arena *arena = blob->user;
  struct sumi_graph *g = SUMI_NEW(arena, struct sumi_graph);
  struct sumi_symbols *symbols = SUMI_NEW(arena, struct sumi_symbols);
  const char *copy = sumi_arena_strdup(arena, name ? name : "");
  if (!g || !symbols || !copy) {
    sumi_blob_unref(blob);
    return NULL;
  }
  symbols->arena = arena;
  g->name = copy;
  g->root = g;
  g->arena = arena;
  g->arena_blob = blob;
  g->symbols = symbols;
  g->allocator = a;
  return g;
}

struct sumi_graph *sumi_graph_new_body(struct sumi_graph *parent, const char *name) {
  if (parent->depth >= SUMI_MAX_BODY_DEPTH) return NULL;
  struct sumi_graph *g = SUMI_NEW(parent->arena, struct sumi_graph), *root = parent->root;
  const char *copy = sumi_arena_strdup(parent->arena, name ? name : "");
  if (!g || !copy) return NULL;
  g->name = copy;
  g->parent = parent;
  g->root = root;
  g->depth = parent->depth + 1;
  g->arena = root->arena;
  g->symbols = root->symbols;
  g->allocator = root->allocator;
  g->next_body = root->first_body;
  root->first_body = g;
  return g;
}

/* Everything of one graph that does not lie in the arena. */
static void fini_graph(struct sumi_graph *g) {
  const struct sumi_allocator *a = g->allocator;
  for (size_t i = 0; i < g->n_value; i++) sumi_blob_unref(g->value[i]->blob);
  for (size_t i = 0; i < g->n_held; i++) sumi_blob_unref(g->held[i]);
  sumi_free(a, g->value, g->cap_value * sizeof *g->value);
  sumi_free(a, g->node, g->cap_node * sizeof *g->node);
  sumi_free(a, g->input, g->cap_input * sizeof *g->input);
  sumi_free(a, g->output, g->cap_output * sizeof *g->output);
  sumi_free(a, g->output_use, g->cap_output_use * sizeof *g->output_use);
  sumi_free(a, g->held, g->cap_held * sizeof *g->held);
  sumi_free(a, g->metadata, g->cap_metadata * sizeof *g->metadata);
  sumi_names_fini(a, &g->value_names);
  sumi_names_fini(a, &g->node_names);
}

void sumi_graph_free(struct sumi_graph *g) {
  if (!g) return;
  for (struct sumi_graph *b = g->first_body; b; b = b->next_body) fini_graph(b);
  fini_graph(g);
  sumi_blob_unref(g->arena_blob);
}

/* Grows a list of pointers or structs for one more item; type-checked by its callers' assignments. */
static void *grown(const struct sumi_graph *g, void *array, size_t *cap, size_t n, size_t item_bytes) {
  void *p = array;
  return sumi_grow(g->allocator, &p, cap, n + 1, item_bytes) ? p : NULL;
}

bool sumi_graph_hold(struct sumi_graph *g, struct sumi_blob *take_blob) {
  if (!take_blob) return true;
  struct sumi_graph *r = g->root;
  struct sumi_blob **held = grown(r, r->held, &r->cap_held, r->n_held, sizeof *held);
  if (!held) {
    sumi_blob_unref(take_blob);
    return false;
  }
  r->held = held;
  r->held[r->n_held++] = take_blob;
  return true;
}

bool sumi_graph_set_metadata(struct sumi_graph *g, const char *key, const char *value) {
  struct sumi_graph *r = g->root;
  const char *v = sumi_arena_strdup(r->arena, value);
  if (!v) return false;
  for (size_t i = 0; i < r->n_metadata; i++)
    if (sumi_streq(r->metadata[i].key, key)) {
      r->metadata[i].value = v;
      return true;
    }
  const char *k = sumi_arena_strdup(r->arena, key);
  struct sumi_metadata *m = grown(r, r->metadata, &r->cap_metadata, r->n_metadata, sizeof *m);
  if (m) r->metadata = m;
  if (!k || !m) return false;
  m[r->n_metadata++] = (struct sumi_metadata){k, v};
  return true;
}

/* A copy of name in the arena, or one made up where it is missing or taken. The count only rises, so that
 * making up n names costs n look-ups and no more than there are names of that form. */
static const char *unique_name(struct sumi_graph *g, const struct sumi_names *names, const char *name,
                               const char *base) {
  if (name && *name && !sumi_names_find(names, name)) return sumi_arena_strdup(g->arena, name);
  if (name && *name) base = name;
  for (;;) {
    const char *made = sumi_arena_printf(g->arena, "%s_%zu", base, ++g->made_up);
    if (!made || !sumi_names_find(names, made)) return made;
  }
}

struct sumi_value *sumi_graph_add_value(struct sumi_graph *g, const char *name) {
  struct sumi_value **list = grown(g, g->value, &g->cap_value, g->n_value, sizeof *list);
  if (!list) return NULL;
  g->value = list;
  struct sumi_value *v = SUMI_NEW(g->arena, struct sumi_value);
  const char *copy = unique_name(g, &g->value_names, name, "v");
  if (!v || !copy || !sumi_names_add(g->allocator, &g->value_names, copy, v)) return NULL;
  v->name = copy;
  v->id = g->n_value;
  v->info = SUMI_INFO_UNKNOWN;
  g->value[g->n_value++] = v;
  return v;
}

struct sumi_value *sumi_graph_add_input(struct sumi_graph *g, const char *name,
                                        const struct sumi_info *info) {
  struct sumi_value **list = grown(g, g->input, &g->cap_input, g->n_input, sizeof *list);
  if (!list) return NULL;
  g->input = list;
  struct sumi_value *v = sumi_graph_add_value(g, name);
  if (!v) return NULL;
  if (info) v->info = *info;
  v->is_input = true;
  g->input[g->n_input++] = v;
  return v;
}

struct sumi_value *sumi_graph_add_constant(struct sumi_graph *g, const char *name,
                                           const struct sumi_tensor *tensor, struct sumi_blob *take_blob) {
  struct sumi_tensor *copy = SUMI_NEW(g->arena, struct sumi_tensor);
  struct sumi_value *v = copy ? sumi_graph_add_value(g, name) : NULL;
  if (!v) {
    sumi_blob_unref(take_blob);
    return NULL;
  }
  *copy = *tensor;
  sumi_graph_set_constant(v, copy, take_blob);
  return v;
}

void sumi_graph_set_constant(struct sumi_value *v, const struct sumi_tensor *tensor,
                             struct sumi_blob *take_blob) {
  sumi_blob_unref(v->blob);
  v->constant = tensor;
  v->blob = take_blob;
  v->info.kind = tensor->kind;
  v->info.dtype = tensor->dtype;
  v->info.rank = tensor->rank;
  v->info.data = tensor;
  for (int i = 0; i < tensor->rank; i++) v->info.dim[i] = tensor->dim[i];
}

/* After a use was copied to a new place: its neighbours point there. Uses of an array move one after another,
 * so that a neighbour in the same array is right at every moment. */
static void moved_use(struct sumi_use *use, const struct sumi_value *v) {
  if (!v) return;
  *use->link = use;
  if (use->next) use->next->link = &use->next;
}

bool sumi_graph_add_output(struct sumi_graph *g, struct sumi_value *v) {
  struct sumi_value **list = grown(g, g->output, &g->cap_output, g->n_output, sizeof *list);
  if (!list) return false;
  g->output = list;
  struct sumi_use *use = g->output_use;
  if (g->n_output == g->cap_output_use) {
    const size_t cap = g->cap_output_use ? g->cap_output_use * 2 : 8;
    use = cap <= SIZE_MAX / sizeof *use ? sumi_alloc(g->allocator, cap * sizeof *use) : NULL;
    if (!use) return false;
    for (size_t i = 0; i < g->n_output; i++) {
      use[i] = g->output_use[i];
      moved_use(&use[i], g->output[i]);
    }
    sumi_free(g->allocator, g->output_use, g->cap_output_use * sizeof *use);
    g->output_use = use;
    g->cap_output_use = cap;
  }
  const size_t i = g->n_output++;
  g->output[i] = v;
  use[i] = (struct sumi_use){.index = i};
  sumi_use_link(&use[i], v);
  if (sumi_graph_owns(g, v))
    v->is_output = true; /* else a body's output that is captured, until bodies are closed */
  return true;
}

void sumi_graph_clear_outputs(struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_output; i++) {
    sumi_use_unlink(&g->output_use[i], g->output[i]);
    if (sumi_graph_owns(g, g->output[i])) g->output[i]->is_output = false;
  }
  g->n_output = 0;
}

/* An operator's name without its domain: what nodes without a name are called after. */
static const char *plain_op_name(const char *op_name) {
  const char *last_dot = strrchr(op_name, '.');
  return last_dot ? last_dot + 1 : op_name;
}

/* A node whose name was made up gets another if somebody is to be called that. False: out of memory. */
static bool give_way(struct sumi_graph *g, const char *name) {
  struct sumi_node *holder = name && *name ? sumi_names_find(&g->node_names, name) : NULL;
  if (!holder || !holder->made_up) return true;
  const char *other = unique_name(g, &g->node_names, NULL, plain_op_name(holder->op_name));
  if (!other || !sumi_names_add(g->allocator, &g->node_names, other, holder)) return false;
  sumi_names_remove(&g->node_names, name);
  holder->name = other;
  return true;
}

struct sumi_node *sumi_graph_add_node(struct sumi_graph *g, const char *name, const struct sumi_op *op,
                                      const char *op_name, int version, struct sumi_value *const *in,
                                      int n_in, struct sumi_value *const *out, int n_out) {
  if (n_in < 0 || n_out < 0) return NULL;
  struct sumi_node **list = grown(g, g->node, &g->cap_node, g->n_node, sizeof *list);
  if (!list) return NULL;
  g->node = list;
  struct sumi_node *n = SUMI_NEW(g->arena, struct sumi_node);
  if (!give_way(g, name)) return NULL;
  const char *copy = unique_name(g, &g->node_names, name, plain_op_name(op_name));
  if (!n || !copy) return NULL;
  n->op_name = sumi_arena_strdup(g->arena, op_name);
  n->in = SUMI_NEW_ARRAY(g->arena, (size_t)n_in, struct sumi_value *);
  n->out = SUMI_NEW_ARRAY(g->arena, (size_t)n_out, struct sumi_value *);
  n->use = SUMI_NEW_ARRAY(g->arena, (size_t)n_in, struct sumi_use);
  if (!n->op_name || !n->in || !n->out || !n->use || !sumi_names_add(g->allocator, &g->node_names, copy, n))
    return NULL;
  n->name = copy;
  n->made_up = !name || !*name;
  n->id = g->n_node;
  n->graph = g;
  n->op = op;
  n->version = version;
  n->n_in = n->cap_in = n_in;
  n->n_out = n_out;
  for (int i = 0; i < n_in; i++) {
    n->in[i] = in[i];
    n->use[i] = (struct sumi_use){.node = n, .index = (size_t)i};
    sumi_use_link(&n->use[i], in[i]);
  }
  for (int i = 0; i < n_out; i++) {
    n->out[i] = out[i];
    if (out[i]) out[i]->producer = n;
  }
  g->node[g->n_node++] = n;
  return n;
}

void sumi_node_set_input(struct sumi_node *node, int i, struct sumi_value *value) {
  sumi_use_unlink(&node->use[i], node->in[i]);
  node->in[i] = value;
  sumi_use_link(&node->use[i], value);
}

bool sumi_node_add_input(struct sumi_node *node, struct sumi_value *value) {
  if (node->n_in == node->cap_in) {
    if (node->cap_in > INT32_MAX / 2) return false;
    const int cap = node->cap_in < 4 ? 4 : node->cap_in * 2;
    struct sumi_value **in = SUMI_NEW_ARRAY(node->graph->arena, (size_t)cap, struct sumi_value *);
    struct sumi_use *use = SUMI_NEW_ARRAY(node->graph->arena, (size_t)cap, struct sumi_use);
    if (!in || !use) return false;
    for (int i = 0; i < node->n_in; i++) {
      in[i] = node->in[i];
      use[i] = node->use[i];
      moved_use(&use[i], in[i]);
    }
    node->in = in;
    node->use = use;
    node->cap_in = cap;
  }
  const int i = node->n_in++;
  node->in[i] = value;
  node->use[i] = (struct sumi_use){.node = node, .index = (size_t)i};
  sumi_use_link(&node->use[i], value);
  return true;
}

void sumi_node_keep_inputs(struct sumi_node *node, int n) {
  for (; node->n_in > n; node->n_in--) sumi_node_set_input(node, node->n_in - 1, NULL);
}

struct sumi_value *sumi_graph_find_value(const struct sumi_graph *g, const char *name) {
  return sumi_names_find(&g->value_names, name);
}

struct sumi_node *sumi_graph_find_node(const struct sumi_graph *g, const char *name) {
  return sumi_names_find(&g->node_names, name);
}

struct sumi_value *sumi_graph_find_in_scope(const struct sumi_graph *g, const char *name) {
  struct sumi_value *v = NULL;
  for (; g && !v; g = g->parent) v = sumi_graph_find_value(g, name);
  return v;
}

bool sumi_graph_fix_defaults(struct sumi_graph *g) {
  size_t kept = 0;
  for (size_t i = 0; i < g->n_input; i++) {
    struct sumi_value *v = g->input[i];
    if (v->constant) {
      v->is_input = false;
      sumi_graph_set_constant(v, v->constant, sumi_blob_ref(v->blob));
    } else {
      g->input[kept++] = v;
    }
  }
  const bool any = kept < g->n_input;
  g->n_input = kept;
  return any;
}

void sumi_graph_drop_inputs(struct sumi_graph *g) {
  size_t kept = 0;
  for (size_t i = 0; i < g->n_input; i++) {
    struct sumi_value *v = g->input[i];
    if (v->first_use)
      g->input[kept++] = v;
    else
      v->is_input = false;
  }
  g->n_input = kept;
}
