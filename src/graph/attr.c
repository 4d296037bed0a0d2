/* Attributes of nodes: setting them, and reading them with a default. */
#include <string.h>

#include "base/size.h"
#include "graph/graph.h"

static const char *const type_names[SUMI_N_ATTR_TYPES] = {
    [SUMI_ATTR_INT] = "int",         [SUMI_ATTR_FLOAT] = "float",   [SUMI_ATTR_STRING] = "string",
    [SUMI_ATTR_TENSOR] = "tensor",   [SUMI_ATTR_GRAPH] = "graph",   [SUMI_ATTR_TYPE] = "type_proto",
    [SUMI_ATTR_INTS] = "ints",       [SUMI_ATTR_FLOATS] = "floats", [SUMI_ATTR_STRINGS] = "strings",
    [SUMI_ATTR_TENSORS] = "tensors", [SUMI_ATTR_GRAPHS] = "graphs",
};

const char *sumi_attr_type_label(enum sumi_attr_type type) {
  return (unsigned)type < SUMI_N_ATTR_TYPES ? type_names[type] : "?";
}

static struct sumi_attr *find(const struct sumi_node *node, const char *name) {
  for (int i = 0; i < node->n_attr; i++)
    if (sumi_streq(node->attr[i].name, name)) return &node->attr[i];
  return NULL;
}

struct sumi_attr *sumi_node_add_attr(struct sumi_node *node, const char *name, enum sumi_attr_type type) {
  struct sumi_arena *arena = node->graph->arena;
  if (node->n_attr == node->cap_attr) {
    if (node->cap_attr > INT32_MAX / 2) return NULL;
    const int cap = node->cap_attr ? node->cap_attr * 2 : 4;
    struct sumi_attr *attr = SUMI_NEW_ARRAY(arena, (size_t)cap, struct sumi_attr);
    if (!attr) return NULL;
    for (int i = 0; i < node->n_attr; i++) attr[i] = node->attr[i];
    node->attr = attr;
    node->cap_attr = cap;
  }
  const char *copy = sumi_arena_strdup(arena, name);
  if (!copy) return NULL;
  struct sumi_attr *a = &node->attr[node->n_attr++];
  *a = (struct sumi_attr){.name = copy, .type = type, .n = 1};
  return a;
}

/* The attribute of that name, made anew or emptied for type. */
static struct sumi_attr *fresh(struct sumi_node *node, const char *name, enum sumi_attr_type type) {
  struct sumi_attr *a = find(node, name);
  if (!a) return sumi_node_add_attr(node, name, type);
  *a = (struct sumi_attr){.name = a->name, .type = type, .n = 1};
  return a;
}

sumi_status sumi_node_set_int(struct sumi_node *node, const char *name, int64_t value, struct sumi_err *err) {
  struct sumi_attr *a = fresh(node, name, SUMI_ATTR_INT);
  if (!a) SUMI_FAIL_MEMORY(err);
  a->u.i = value;
  return SUMI_OK;
}

sumi_status sumi_node_set_float(struct sumi_node *node, const char *name, float value, struct sumi_err *err) {
  struct sumi_attr *a = fresh(node, name, SUMI_ATTR_FLOAT);
  if (!a) SUMI_FAIL_MEMORY(err);
  a->u.f = value;
  return SUMI_OK;
}

sumi_status sumi_node_set_string(struct sumi_node *node, const char *name, const char *value,
                                 struct sumi_err *err) {
  const size_t n = strlen(value);
  const char *copy = sumi_arena_strndup(node->graph->arena, value, n);
  struct sumi_attr *a = copy ? fresh(node, name, SUMI_ATTR_STRING) : NULL;
  if (!a) SUMI_FAIL_MEMORY(err);
  a->u.s = (struct sumi_str){copy, n};
  return SUMI_OK;
}

sumi_status sumi_node_set_ints(struct sumi_node *node, const char *name, const int64_t *value, size_t n,
                               struct sumi_err *err) {
  int64_t *copy = SUMI_NEW_ARRAY(node->graph->arena, n, int64_t);
  struct sumi_attr *a = copy ? fresh(node, name, SUMI_ATTR_INTS) : NULL;
  if (!a) SUMI_FAIL_MEMORY(err);
  if (n) memcpy(copy, value, n * sizeof *copy);
  a->u.ints = copy;
  a->n = n;
  return SUMI_OK;
}

sumi_status sumi_node_set_floats(struct sumi_node *node, const char *name, const float *value, size_t n,
                                 struct sumi_err *err) {
  float *copy = SUMI_NEW_ARRAY(node->graph->arena, n, float);
  struct sumi_attr *a = copy ? fresh(node, name, SUMI_ATTR_FLOATS) : NULL;
  if (!a) SUMI_FAIL_MEMORY(err);
  if (n) memcpy(copy, value, n * sizeof *copy);
  a->u.floats = copy;
  a->n = n;
  return SUMI_OK;
}

sumi_status sumi_node_set_strings(struct sumi_node *node, const char *name, const struct sumi_str *value,
                                  size_t n, struct sumi_err *err) {
  struct sumi_str *copy = SUMI_NEW_ARRAY(node->graph->arena, n, struct sumi_str);
  if (!copy) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) {
    copy[i].data = sumi_arena_strndup(node->graph->arena, value[i].data, value[i].size);
    copy[i].size = value[i].size;
    if (!copy[i].data) SUMI_FAIL_MEMORY(err);
  }
  struct sumi_attr *a = fresh(node, name, SUMI_ATTR_STRINGS);
  if (!a) SUMI_FAIL_MEMORY(err);
  a->u.strings = copy;
  a->n = n;
  return SUMI_OK;
}

sumi_status sumi_node_set_tensor(struct sumi_node *node, const char *name, const struct sumi_tensor *tensor,
                                 struct sumi_blob *take_blob, struct sumi_err *err) {
  if (!sumi_graph_hold(node->graph, take_blob)) SUMI_FAIL_MEMORY(err);
  struct sumi_tensor *copy = SUMI_NEW(node->graph->arena, struct sumi_tensor);
  struct sumi_attr *a = copy ? fresh(node, name, SUMI_ATTR_TENSOR) : NULL;
  if (!a) SUMI_FAIL_MEMORY(err);
  *copy = *tensor;
  a->u.t = copy;
  return SUMI_OK;
}

sumi_status sumi_node_set_graph(struct sumi_node *node, const char *name, struct sumi_graph *body,
                                struct sumi_err *err) {
  struct sumi_attr *a = fresh(node, name, SUMI_ATTR_GRAPH);
  if (!a) SUMI_FAIL_MEMORY(err);
  a->u.g = body;
  return SUMI_OK;
}

void sumi_node_remove_attr(struct sumi_node *node, const char *name) {
  struct sumi_attr *a = find(node, name);
  if (!a) return;
  for (struct sumi_attr *end = node->attr + --node->n_attr; a < end; a++) a[0] = a[1];
}

const struct sumi_attr *sumi_node_attr(const struct sumi_node *node, const char *name) {
  return find(node, name);
}

/* The attribute if it is there and of that type. */
static const struct sumi_attr *typed(const struct sumi_node *node, const char *name,
                                     enum sumi_attr_type type) {
  const struct sumi_attr *a = find(node, name);
  return a && a->type == type ? a : NULL;
}

int64_t sumi_attr_int(const struct sumi_node *node, const char *name, int64_t otherwise) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_INT);
  return a ? a->u.i : otherwise;
}

float sumi_attr_float(const struct sumi_node *node, const char *name, float otherwise) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_FLOAT);
  return a ? a->u.f : otherwise;
}

const char *sumi_attr_string(const struct sumi_node *node, const char *name, const char *otherwise) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_STRING);
  return a ? a->u.s.data : otherwise;
}

const int64_t *sumi_attr_ints(const struct sumi_node *node, const char *name, int *n) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_INTS);
  *n = a && a->n <= INT32_MAX ? (int)a->n : 0;
  return a ? a->u.ints : NULL;
}

const float *sumi_attr_floats(const struct sumi_node *node, const char *name, int *n) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_FLOATS);
  *n = a && a->n <= INT32_MAX ? (int)a->n : 0;
  return a ? a->u.floats : NULL;
}

const struct sumi_tensor *sumi_attr_tensor(const struct sumi_node *node, const char *name) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_TENSOR);
  return a ? a->u.t : NULL;
}

struct sumi_graph *sumi_attr_graph(const struct sumi_node *node, const char *name) {
  const struct sumi_attr *a = typed(node, name, SUMI_ATTR_GRAPH);
  return a ? a->u.g : NULL;
}

bool sumi_attr_is(const struct sumi_node *node, const char *name, const char *otherwise, const char *value) {
  const char *s = sumi_attr_string(node, name, otherwise);
  return s && sumi_streq(s, value);
}
