/* Models: graphs and packed weights shared by sessions. */
#include "exec/model.h"

#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "pass/pass.h"

sumi_status sumi_model_new(const struct sumi_allocator *a, struct sumi_graph *take_graph,
                           struct sumi_model **out, struct sumi_err *err) {
  struct sumi_model *model = sumi_alloc(a, sizeof *model);
  if (!model) {
    sumi_graph_free(take_graph);
    SUMI_FAIL_MEMORY(err);
  }
  model->refs = 1;
  model->allocator = *a;
  model->graph = take_graph;
  pthread_mutex_init(&model->lock, NULL);
  *out = model;
  return SUMI_OK;
}

struct sumi_model *sumi_model_ref(struct sumi_model *model) {
  if (model) __atomic_add_fetch(&model->refs, 1, __ATOMIC_RELAXED);
  return model;
}

void sumi_model_unref(struct sumi_model *model) {
  if (!model || __atomic_sub_fetch(&model->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
  const struct sumi_allocator a = model->allocator;
  for (size_t i = 0; i < SUMI_PACK_SLOTS; i++)
    for (struct sumi_pack *p = model->pack[i], *next; p; p = next) {
      next = p->next;
      sumi_blob_unref(p->blob);
      sumi_free(&a, (void *)p->key, strlen(p->key) + 1);
      sumi_free(&a, p, sizeof *p);
    }
  sumi_graph_free(model->machine);
  sumi_graph_free(model->graph);
  sumi_blob_unref(model->source);
  sumi_free(&a, model->folder, model->folder_bytes);
  pthread_mutex_destroy(&model->lock);
  sumi_free(&a, model, sizeof *model);
}

static sumi_status make_machine_graph(struct sumi_model *model, struct sumi_err *err) {
  struct sumi_graph *copy = sumi_graph_clone(model->graph, err);
  if (!copy) return err ? err->status : SUMI_E_MEMORY;
  const sumi_status status = sumi_passes_run(copy, SUMI_PASS_MACHINE, NULL, err);
  if (status != SUMI_OK) {
    sumi_graph_free(copy);
    return status;
  }
  model->machine = copy;
  return SUMI_OK;
}

sumi_status sumi_model_graph_for(struct sumi_model *model, const struct sumi_device *device,
                                 struct sumi_graph **out, struct sumi_err *err) {
  if (!device->machine_passes || model->keep_graph_as_is) {
    *out = model->graph;
    return SUMI_OK;
  }
  pthread_mutex_lock(&model->lock);
  const sumi_status status = model->machine ? SUMI_OK : make_machine_graph(model, err);
  *out = model->machine;
  pthread_mutex_unlock(&model->lock);
  return status;
}

static sumi_status add_pack(struct sumi_model *model, size_t slot, const struct sumi_node *node,
                            const char *key, struct sumi_blob *take_blob, struct sumi_err *err) {
  struct sumi_pack *p = sumi_alloc(&model->allocator, sizeof *p);
  const size_t n = strlen(key) + 1;
  char *copy = sumi_alloc(&model->allocator, n);
  if (!p || !copy) {
    sumi_free(&model->allocator, p, sizeof *p);
    sumi_free(&model->allocator, copy, n);
    sumi_blob_unref(take_blob);
    SUMI_FAIL_MEMORY(err);
  }
  memcpy(copy, key, n);
  *p = (struct sumi_pack){model->pack[slot], node, copy, take_blob};
  model->pack[slot] = p;
  model->pack_bytes += take_blob->bytes;
  return SUMI_OK;
}

static sumi_status get_pack(void *self, const struct sumi_node *node, const char *key,
                            sumi_status (*make)(void *user, const struct sumi_allocator *a,
                                                struct sumi_blob **out, struct sumi_err *err),
                            void *user, const void **data, struct sumi_err *err) {
  struct sumi_model *model = self;
  const size_t slot = (size_t)sumi_hash(key, strlen(key), (uint64_t)(uintptr_t)node) % SUMI_PACK_SLOTS;
  sumi_status status = SUMI_OK;
  pthread_mutex_lock(&model->lock);
  struct sumi_pack *p = model->pack[slot];
  while (p && !(p->node == node && sumi_streq(p->key, key))) p = p->next;
  if (!p) {
    struct sumi_blob *blob = NULL;
    status = make(user, &model->allocator, &blob, err);
    if (status == SUMI_OK) status = add_pack(model, slot, node, key, blob, err);
    if (status == SUMI_OK) p = model->pack[slot];
  }
  if (p) *data = p->blob->data;
  pthread_mutex_unlock(&model->lock);
  return status;
}

struct sumi_packs sumi_model_packs(struct sumi_model *model) {
  return (struct sumi_packs){model, get_pack};
}

static size_t graph_weight_bytes(const struct sumi_graph *g) {
  size_t total = 0;
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_tensor *t = g->value[i]->constant;
    size_t bytes;
    if (t && sumi_dtype_bytes(t->dtype, sumi_tensor_count(t), &bytes)) total += bytes;
  }
  return total;
}

size_t sumi_model_weight_bytes(const struct sumi_model *model) {
  size_t total = graph_weight_bytes(model->graph);
  for (const struct sumi_graph *b = model->graph->first_body; b; b = b->next_body)
    total += graph_weight_bytes(b);
  return total;
}
