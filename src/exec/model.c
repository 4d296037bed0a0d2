/* Models: graphs and packed weights shared by sessions. */
#include "exec/model.h"

#include <string.h>

#include "base/file.h"
#include "base/reread.h"
#include "base/size.h"
#include "base/text.h"
#include "exec/stored.h"
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
  for (int i = 0; i < SUMI_N_PRECISIONS; i++)
    for (int k = 0; k < SUMI_N_DEFAULTS; k++) sumi_graph_free(model->machine[i][k]);
  sumi_graph_free(model->graph);
  sumi_blob_unref(model->source);
  sumi_free(&a, model->folder, model->folder_bytes);
  pthread_mutex_destroy(&model->lock);
  sumi_free(&a, model, sizeof *model);
}

/* ---- what need not stay in memory ------------------------------------------------------------------------------- */

static void fill_all(const struct sumi_graph *g, bool stay) {
  for (const struct sumi_graph *b = g; b; b = b == g ? g->first_body : b->next_body)
    for (size_t i = 0; i < b->n_value; i++) sumi_reread_fill(b->value[i]->blob, stay);
}

void sumi_model_need_all(const struct sumi_model *model) {
  pthread_mutex_t *lock = &((struct sumi_model *)model)->lock; /* a model is const to who only reads it */
  pthread_mutex_lock(lock);
  fill_all(model->graph, true);
  pthread_mutex_unlock(lock);
}

void sumi_model_need_defaults(struct sumi_model *model, const struct sumi_graph *graph) {
  pthread_mutex_lock(&model->lock);
  for (size_t i = 0; i < graph->n_input; i++) sumi_reread_fill(graph->input[i]->blob, true);
  pthread_mutex_unlock(&model->lock);
}

void sumi_model_begin_stage(struct sumi_model *model) {
  pthread_mutex_lock(&model->lock);
  model->preparing++;
  pthread_mutex_unlock(&model->lock);
}

void sumi_model_end_stage(struct sumi_model *model) {
  pthread_mutex_lock(&model->lock);
  model->preparing--;
  pthread_mutex_unlock(&model->lock);
}

void sumi_model_need(struct sumi_model *model, const struct sumi_node *node, bool stay) {
  pthread_mutex_lock(&model->lock);
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i]) sumi_reread_fill(node->in[i]->blob, stay);
  pthread_mutex_unlock(&model->lock);
}

void sumi_model_settle(struct sumi_model *model, const struct sumi_node *node, const bool *spent) {
  pthread_mutex_lock(&model->lock);
  for (int i = 0; i < node->n_in; i++) {
    const struct sumi_value *v = node->in[i];
    if (!v) continue;
    if (!spent[i] || v->n_use != 1 || v->is_input || v->is_output)
      sumi_reread_fill(v->blob, true);
    else if (model->preparing == 1)
      sumi_reread_drop(v->blob);
  }
  pthread_mutex_unlock(&model->lock);
}

/* ---- graphs ------------------------------------------------------------------------------------------------------- */

/* A copy of the portable graph for the machine passes. */
static sumi_status copy_portable(struct sumi_model *model, enum sumi_defaults defaults,
                                 struct sumi_graph **out, struct sumi_err *err) {
  struct sumi_graph *copy = *out = sumi_graph_clone(model->graph, err);
  if (!copy) return err ? err->status : SUMI_E_MEMORY;
  struct sumi_err why = SUMI_ERR_INIT;
  const sumi_status status = defaults == SUMI_DEFAULTS_FIXED ? sumi_passes_fix_defaults(copy, &why) : SUMI_OK;
  if (status == SUMI_OK) return SUMI_OK;
  sumi_graph_free(copy);
  *out = NULL;
  if (status == SUMI_E_MEMORY) SUMI_FAIL_MEMORY(err);
  return copy_portable(model, SUMI_DEFAULTS_OPEN, out, err); /* whoever runs it without inputs hears why */
}

static sumi_status make_machine_graph(struct sumi_model *model, enum sumi_precision precision,
                                      enum sumi_defaults defaults, struct sumi_err *err) {
  struct sumi_graph *copy;
  fill_all(model->graph, false); /* passes read them, under the lock */
  sumi_status status = copy_portable(model, defaults, &copy, err);
  if (status == SUMI_OK) status = sumi_passes_run(copy, SUMI_PASS_MACHINE, precision, NULL, err);
  if (status == SUMI_OK) status = sumi_stored_attach(model, copy, err);
  if (status != SUMI_OK) {
    sumi_graph_free(copy);
    return status;
  }
  model->machine[precision][defaults] = copy;
  return SUMI_OK;
}

sumi_status sumi_model_graph_for(struct sumi_model *model, const struct sumi_device *device,
                                 enum sumi_precision precision, enum sumi_defaults defaults,
                                 struct sumi_graph **out, struct sumi_err *err) {
  if (!device->machine_passes || model->keep_graph_as_is) {
    *out = model->graph;
    return SUMI_OK;
  }
  struct sumi_graph **machine = &model->machine[precision][defaults];
  pthread_mutex_lock(&model->lock);
  const sumi_status status = *machine ? SUMI_OK : make_machine_graph(model, precision, defaults, err);
  *out = *machine;
  pthread_mutex_unlock(&model->lock);
  return status;
}

static size_t slot_of(const struct sumi_node *node, const char *key) {
  return (size_t)sumi_hash(key, strlen(key), (uint64_t)(uintptr_t)node) % SUMI_PACK_SLOTS;
}

sumi_status sumi_model_add_pack(struct sumi_model *model, const struct sumi_node *node, const char *key,
                                const char *kind, bool unchecked, struct sumi_blob *take_blob,
                                struct sumi_err *err) {
  const size_t slot = slot_of(node, key);
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
  *p = (struct sumi_pack){model->pack[slot], node, copy, kind, take_blob, unchecked};
  model->pack[slot] = p;
  if (!unchecked) model->pack_bytes += take_blob->bytes;
  return SUMI_OK;
}

/* A node's constants in the file were just packed: what is packed is what will be read. */
static void release_constants(const struct sumi_node *node) {
  for (int i = 0; i < node->n_in; i++) {
    const struct sumi_value *v = node->in[i];
    size_t bytes;
    if (v && v->constant && v->constant->kind == SUMI_TENSOR &&
        sumi_shape_bytes(v->constant->dtype, v->constant->dim, v->constant->rank, &bytes, NULL) == SUMI_OK)
      sumi_file_release(v->blob, v->constant->data, bytes);
  }
}

/* The first look at a blob from a file: it is taken, or made anew. */
static sumi_status settle(struct sumi_model *model, struct sumi_pack *p, const struct sumi_pack_kind *kind,
                          void *user, struct sumi_err *err) {
  if (!kind->check || !sumi_streq(p->kind, kind->name) ||
      kind->check(user, p->blob->data, p->blob->bytes, NULL) != SUMI_OK) {
    struct sumi_blob *blob = NULL;
    SUMI_TRY(kind->make(user, &model->allocator, &blob, err));
    release_constants(p->node);
    sumi_blob_unref(p->blob);
    p->blob = blob;
    p->kind = kind->name;
  }
  p->unchecked = false;
  model->pack_bytes += p->blob->bytes;
  return SUMI_OK;
}

static sumi_status get_kind(void *self, const struct sumi_node *node, const char *key,
                            const struct sumi_pack_kind *kind, void *user, const void **data,
                            struct sumi_err *err) {
  struct sumi_model *model = self;
  const size_t slot = slot_of(node, key);
  sumi_status status = SUMI_OK;
  pthread_mutex_lock(&model->lock);
  struct sumi_pack *p = model->pack[slot];
  while (p && !(p->node == node && sumi_streq(p->key, key))) p = p->next;
  if (!p) {
    struct sumi_blob *blob = NULL;
    status = kind->make(user, &model->allocator, &blob, err);
    if (status == SUMI_OK) status = sumi_model_add_pack(model, node, key, kind->name, false, blob, err);
    if (status == SUMI_OK) {
      p = model->pack[slot];
      release_constants(node);
    }
  } else if (p->unchecked) {
    status = settle(model, p, kind, user, err);
  }
  if (status == SUMI_OK) *data = p->blob->data;
  pthread_mutex_unlock(&model->lock);
  return status;
}

static sumi_status get_pack(void *self, const struct sumi_node *node, const char *key,
                            sumi_status (*make)(void *user, const struct sumi_allocator *a,
                                                struct sumi_blob **out, struct sumi_err *err),
                            void *user, const void **data, struct sumi_err *err) {
  const struct sumi_pack_kind none = {NULL, make, NULL};
  return get_kind(self, node, key, &none, user, data, err);
}

struct sumi_packs sumi_model_packs(struct sumi_model *model) {
  return (struct sumi_packs){model, get_pack, get_kind};
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
