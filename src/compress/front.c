/* What lies between two parts of a network, kept. */
#include "compress/front.h"

#include <string.h>

#include "base/size.h"

static bool is_numbers(const struct sumi_value *v) {
  return v->info.kind == SUMI_TENSOR && v->info.dtype != SUMI_STRING;
}

/* Whether v is made in front of the node, or given, and read by it or behind. */
static bool is_between(const struct sumi_value *v, size_t node) {
  if (v->constant || (!v->is_input && (!v->producer || v->producer->id >= node))) return false;
  for (const struct sumi_use *u = v->first_use; u; u = u->next)
    if (u->node && u->node->id >= node) return true;
  return false;
}

sumi_status sumi_front_init(struct sumi_front *f, const struct sumi_graph *g, size_t node, size_t networks,
                            size_t runs, size_t limit_bytes, struct sumi_err *err) {
  *f = (struct sumi_front){.allocator = g->allocator,
                           .cap = g->n_value + 1,
                           .networks = networks,
                           .runs = runs,
                           .limit = limit_bytes};
  if (!(f->name = sumi_alloc(f->allocator, f->cap * sizeof *f->name))) SUMI_FAIL_MEMORY(err);
  size_t made = 0;
  bool all = true;
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    if (!is_between(v, node)) continue;
    f->name[f->n++] = v->name;
    made += !v->is_input;
    all &= is_numbers(v);
  }
  if (!made || !all) f->n = 0;
  const size_t views = networks * runs * f->n;
  if (!views) return SUMI_OK;
  if (!(f->view = sumi_alloc(f->allocator, views * sizeof *f->view))) SUMI_FAIL_MEMORY(err);
  memset(f->view, 0, views * sizeof *f->view);
  return SUMI_OK;
}

/* A copy is one block: the dims, then the elements. */
static size_t bytes_of(const struct sumi_view *v, size_t *dims_bytes) {
  size_t bytes = 0;
  *dims_bytes = SUMI_MAX_RANK * sizeof *v->dims;
  sumi_shape_bytes(v->dtype, v->dims, v->rank, &bytes, NULL);
  return bytes + *dims_bytes;
}

static void forget(struct sumi_front *f) {
  for (size_t i = 0; f->view && i < f->networks * f->runs * f->n; i++) {
    struct sumi_view *v = &f->view[i];
    size_t dims_bytes;
    if (v->data)
      sumi_free(f->allocator, (char *)v->data - SUMI_MAX_RANK * sizeof *v->dims, bytes_of(v, &dims_bytes));
    v->data = NULL;
  }
}

void sumi_front_fini(struct sumi_front *f) {
  if (!f->allocator) return;
  forget(f);
  sumi_free(f->allocator, f->view, f->networks * f->runs * f->n * sizeof *f->view);
  sumi_free(f->allocator, f->name, f->cap * sizeof *f->name);
  *f = (struct sumi_front){0};
}

size_t sumi_front_find(const struct sumi_front *f, const char *name) {
  size_t i = 0;
  while (i < f->n && !sumi_streq(f->name[i], name)) i++;
  return i;
}

sumi_status sumi_front_keep(struct sumi_front *f, size_t network, size_t run, size_t which,
                            const struct sumi_tensor *t, struct sumi_err *err) {
  struct sumi_view *to = &f->view[(network * f->runs + run) * f->n + which];
  struct sumi_view v = {.size = sizeof v,
                        .name = f->name[which],
                        .kind = t->kind,
                        .dtype = t->dtype,
                        .rank = t->rank,
                        .dims = t->dim};
  size_t dims_bytes;
  const size_t bytes = bytes_of(&v, &dims_bytes);
  if (f->full || bytes > f->limit - f->bytes) {
    forget(f);
    f->full = true;
    return SUMI_OK;
  }
  char *block = sumi_alloc(f->allocator, bytes);
  if (!block) SUMI_FAIL_MEMORY(err);
  memcpy(block, t->dim, dims_bytes);
  if (bytes > dims_bytes) memcpy(block + dims_bytes, t->data, bytes - dims_bytes);
  v.dims = (const int64_t *)(void *)block;
  v.data = block + dims_bytes;
  f->bytes += bytes;
  *to = v;
  return SUMI_OK;
}

bool sumi_front_is_whole(const struct sumi_front *f) {
  for (size_t i = 0; f->view && i < f->networks * f->runs * f->n; i++)
    if (!f->view[i].data) return false;
  return f->view != NULL;
}

const struct sumi_view *sumi_front_run(const struct sumi_front *f, size_t network, size_t run) {
  return f->view + (network * f->runs + run) * f->n;
}

sumi_status sumi_front_cut(const struct sumi_front *f, struct sumi_graph *g, const char **input,
                           struct sumi_err *err) {
  for (size_t i = 0; i < f->n; i++) {
    struct sumi_value *v = sumi_graph_find_value(g, f->name[i]);
    if (!v) SUMI_FAIL(err, SUMI_E_ARG, "there is no value '%s'", f->name[i]);
    input[i] = v->name;
    if (v->is_input) continue;
    struct sumi_info info = v->info;
    info.data = NULL;
    info.content = NULL;
    struct sumi_value *in = sumi_graph_add_input(g, NULL, &info);
    if (!in) SUMI_FAIL_MEMORY(err);
    sumi_graph_replace_uses(g, v, in);
    input[i] = in->name;
  }
  return SUMI_OK;
}
