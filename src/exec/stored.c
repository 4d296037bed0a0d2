/* Packed weights and compiled files. One walk over the machine graph, bodies included, gives each node its path; what is
 * done at a node is the caller's: looking its path up among a file's, or its address among the store's. */
#include "exec/stored.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "graph/op.h"

/* ---- the walk ------------------------------------------------------------------------------------------------- */

struct walk {
  struct sumi_text path; /* of the node under visit; what is cut off behind size stays terminated */
  sumi_status (*at_node)(void *user, const struct sumi_node *node, const char *path, struct sumi_err *err);
  void *user;
  struct sumi_err *err;
};

static void cut(struct sumi_text *t, size_t size) {
  t->size = size;
  if (t->data) t->data[size] = 0;
}

static sumi_status walk_graph(struct walk *w, const struct sumi_graph *g);

static void add_name(struct sumi_text *t, const char *name) {
  for (; *name; name++) {
    if (*name == '>' || *name == '\\') sumi_text_add_bytes(t, "\\", 1);
    sumi_text_add_bytes(t, name, 1);
  }
}

/* The graphs that an attribute holds. */
static struct sumi_graph *const *bodies_of(const struct sumi_attr *a, size_t *n) {
  *n = a->type == SUMI_ATTR_GRAPHS ? a->n : a->type == SUMI_ATTR_GRAPH;
  return a->type == SUMI_ATTR_GRAPHS ? a->u.graphs : &a->u.g;
}

/* Bodies nest SUMI_MAX_BODY_DEPTH deep at most. */
static sumi_status walk_bodies(struct walk *w, const struct sumi_node *node) {
  const size_t size = w->path.size;
  for (int i = 0; i < node->n_attr; i++) {
    size_t n;
    struct sumi_graph *const *body = bodies_of(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++) {
      sumi_text_add(&w->path, " > ");
      add_name(&w->path, node->attr[i].name);
      if (n > 1) sumi_text_add(&w->path, "[%zu]", k);
      sumi_text_add(&w->path, " > ");
      SUMI_TRY(walk_graph(w, body[k]));
      cut(&w->path, size);
    }
  }
  return SUMI_OK;
}

static sumi_status walk_graph(struct walk *w, const struct sumi_graph *g) {
  const size_t size = w->path.size;
  for (size_t i = 0; i < g->n_node; i++) {
    add_name(&w->path, g->node[i]->name);
    if (w->path.failed) SUMI_FAIL_MEMORY(w->err);
    SUMI_TRY(w->at_node(w->user, g->node[i], sumi_text_str(&w->path), w->err));
    SUMI_TRY(walk_bodies(w, g->node[i]));
    cut(&w->path, size);
  }
  return SUMI_OK;
}

static sumi_status walk(const struct sumi_graph *g, const struct sumi_allocator *a,
                        sumi_status (*at_node)(void *user, const struct sumi_node *node, const char *path,
                                               struct sumi_err *err),
                        void *user, struct sumi_err *err) {
  struct walk w = {.at_node = at_node, .user = user, .err = err};
  sumi_text_init(&w.path, a);
  const sumi_status status = walk_graph(&w, g);
  sumi_text_fini(&w.path);
  return status;
}

/* ---- the graph's hash ----------------------------------------------------------------------------------------- */

/* Every tensor of numbers lies outside, at the same place: its type and shape count. */
static bool anywhere(void *user, const struct sumi_tensor *t, struct sumi_outside *where) {
  (void)user;
  *where = (struct sumi_outside){"", 0, 0};
  return t->dtype != SUMI_STRING;
}

uint64_t sumi_stored_hash(const struct sumi_graph *g) {
  const struct sumi_print_options options = {.max_elements = SIZE_MAX, .outside = anywhere};
  struct sumi_text t;
  sumi_text_init(&t, g->allocator);
  sumi_graph_print_with(g, &options, &t);
  const uint64_t hash = t.failed ? 0 : sumi_hash(sumi_text_str(&t), t.size, 0);
  sumi_text_fini(&t);
  return hash;
}

/* ---- from a file ---------------------------------------------------------------------------------------------- */

struct attaching {
  struct sumi_model *model;
  struct sumi_names first; /* path -> its first entry; the others of a node follow it */
};

static sumi_status attach_node(void *user, const struct sumi_node *node, const char *path,
                               struct sumi_err *err) {
  struct attaching *x = user;
  const struct sumi_stored *s = &x->model->stored;
  const struct sumi_stored_pack *p = sumi_names_find(&x->first, path);
  for (; p && p < s->pack + s->n && sumi_streq(p->node, path); p++) {
    struct sumi_blob *blob = sumi_blob_wrap(&x->model->allocator, p->data, p->bytes, NULL, NULL);
    if (!blob) SUMI_FAIL_MEMORY(err);
    SUMI_TRY(sumi_model_add_pack(x->model, node, p->key, p->kind, true, blob, err));
  }
  return SUMI_OK;
}

sumi_status sumi_stored_attach(struct sumi_model *model, const struct sumi_graph *machine,
                               struct sumi_err *err) {
  const struct sumi_stored *s = &model->stored;
  if (!s->n || sumi_stored_hash(machine) != s->machine_graph) return SUMI_OK;
  struct attaching x = {.model = model};
  sumi_status status = SUMI_OK;
  for (size_t i = 0; status == SUMI_OK && i < s->n; i++)
    if (!sumi_names_find(&x.first, s->pack[i].node) &&
        !sumi_names_add(&model->allocator, &x.first, s->pack[i].node, &s->pack[i]))
      status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK) status = walk(machine, &model->allocator, attach_node, &x, err);
  sumi_names_fini(&model->allocator, &x.first);
  return status;
}

/* ---- to a file ------------------------------------------------------------------------------------------------ */

struct visiting {
  const struct sumi_pack **pack; /* [n] by node, then key */
  size_t n;
  sumi_status (*visit)(void *user, const char *path, const struct sumi_pack *pack, struct sumi_err *err);
  void *user;
};

static int by_node(const void *a, const void *b) {
  const struct sumi_pack *x = *(const struct sumi_pack *const *)a, *y = *(const struct sumi_pack *const *)b;
  if (x->node != y->node) return (uintptr_t)x->node < (uintptr_t)y->node ? -1 : 1;
  return strcmp(x->key, y->key);
}

static sumi_status visit_node(void *user, const struct sumi_node *node, const char *path,
                              struct sumi_err *err) {
  struct visiting *x = user;
  size_t low = 0, high = x->n;
  while (low < high) {
    const size_t mid = low + (high - low) / 2;
    if ((uintptr_t)x->pack[mid]->node < (uintptr_t)node)
      low = mid + 1;
    else
      high = mid;
  }
  for (; low < x->n && x->pack[low]->node == node; low++)
    SUMI_TRY(x->visit(x->user, path, x->pack[low], err));
  return SUMI_OK;
}

sumi_status sumi_stored_visit(struct sumi_model *model,
                              sumi_status (*visit)(void *user, const char *path, const struct sumi_pack *pack,
                                                   struct sumi_err *err),
                              void *user, struct sumi_err *err) {
  size_t n = 0;
  for (size_t i = 0; i < SUMI_PACK_SLOTS; i++)
    for (const struct sumi_pack *p = model->pack[i]; p; p = p->next) n += p->kind && !p->unchecked;
  const struct sumi_graph *machine = model->machine[SUMI_PRECISION_FILE][SUMI_DEFAULTS_FIXED];
  if (!n || !machine) return SUMI_OK;
  struct visiting x = {.visit = visit, .user = user};
  x.pack = sumi_alloc(&model->allocator, n * sizeof(const struct sumi_pack *));
  if (!x.pack) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < SUMI_PACK_SLOTS; i++)
    for (const struct sumi_pack *p = model->pack[i]; p; p = p->next)
      if (p->kind && !p->unchecked) x.pack[x.n++] = p;
  qsort((void *)x.pack, x.n, sizeof(const struct sumi_pack *), by_node);
  const sumi_status status = walk(machine, &model->allocator, visit_node, &x, err);
  sumi_free(&model->allocator, (void *)x.pack, n * sizeof(const struct sumi_pack *));
  return status;
}
