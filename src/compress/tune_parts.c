/* Parts of a network between values by which alone what layers compute is handed on, tuned one after the other. */
#include "base/size.h"
#include "compress/layer.h"
#include "compress/tune.h"

enum { LEAST_LAYERS = 2 };

struct finding {
  const struct sumi_graph *g;
  struct sumi_arena *arena;
  bool *computed; /* [n_value] by a layer, or from such a value */
  size_t *last;   /* [n_value] the last node that reads it; outputs of the graph: n_node */
  bool *layer;    /* [n_node] */
  struct sumi_block_part *part;
  size_t n;
};

static void mark(struct finding *f) {
  const struct sumi_graph *g = f->g;
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    for (const struct sumi_use *u = v->first_use; u; u = u->next)
      f->last[i] = SUMI_MAX(f->last[i], u->node ? u->node->id : g->n_node);
  }
  for (size_t i = 0; i < g->n_node; i++) {
    const struct sumi_node *node = g->node[i];
    bool computed = f->layer[i];
    for (int k = 0; k < node->n_in && !computed; k++) computed = node->in[k] && f->computed[node->in[k]->id];
    for (int k = 0; k < node->n_out && computed; k++)
      if (node->out[k]) f->computed[node->out[k]->id] = true;
  }
}

/* Behind node i: the one computed value that later nodes read; NULL where there are several, or none. */
static const struct sumi_value *only_live(const struct finding *f, size_t i) {
  const struct sumi_value *only = NULL;
  for (size_t k = 0; k < f->g->n_value; k++) {
    const struct sumi_value *v = f->g->value[k];
    if (!f->computed[k] || !v->producer || v->producer->id > i || f->last[k] <= i) continue;
    if (only) return NULL;
    only = v;
  }
  return only && only->info.kind == SUMI_TENSOR && only->info.dtype == SUMI_FLOAT32 && only->info.rank > 0
             ? only
             : NULL;
}

/* Whether a part may end at v: not where the one node that reads it is no layer, which then belongs to the part as well. */
static bool is_end(const struct finding *f, const struct sumi_value *v) {
  const struct sumi_use *u = v->first_use;
  return v->n_use != 1 || !u->node || f->layer[u->node->id];
}

/* What nodes [first, end) read of what earlier ones made: all of it can be had from the network in front. */
static sumi_status set_begin(struct finding *f, size_t first, size_t end, struct sumi_block_part *part,
                             struct sumi_err *err) {
  const char **from = SUMI_NEW_ARRAY(f->arena, f->g->n_value, const char *);
  if (!from) SUMI_FAIL_MEMORY(err);
  for (size_t k = 0; first && k < f->g->n_value; k++) {
    const struct sumi_value *v = f->g->value[k];
    bool read = false;
    for (const struct sumi_use *u = v->first_use; u && !read; u = u->next)
      read = u->node && u->node->id >= first && u->node->id < end;
    if (read && !v->constant && !v->is_input && v->producer && v->producer->id < first)
      from[part->n_from++] = v->name;
  }
  part->from = from;
  return SUMI_OK;
}

static sumi_status find_parts(struct finding *f, struct sumi_err *err) {
  size_t first = 0, layers = 0;
  for (size_t i = 0; i < f->g->n_node; i++) {
    layers += f->layer[i];
    const struct sumi_value *end = layers >= LEAST_LAYERS ? only_live(f, i) : NULL;
    if (!end || !is_end(f, end)) continue;
    size_t more = 0;
    for (size_t k = i + 1; k < f->g->n_node; k++) more += f->layer[k];
    if (more == 1) continue; /* the last layer is no part of its own */
    struct sumi_block_part *part = &f->part[f->n++];
    *part = (struct sumi_block_part){.to = end->name, .layers = layers};
    SUMI_TRY(set_begin(f, first, i + 1, part, err));
    first = i + 1;
    layers = 0;
  }
  if (!layers || !f->g->n_output) return SUMI_OK;
  struct sumi_block_part *part = &f->part[f->n];
  *part = (struct sumi_block_part){.to = f->g->output[0]->name, .layers = layers};
  if (f->g->output[0]->info.dtype == SUMI_FLOAT32) f->n++;
  return set_begin(f, first, f->g->n_node, part, err);
}

sumi_status sumi_tune_find_parts(const struct sumi_graph *g, struct sumi_arena *arena,
                                 struct sumi_block_part **out, size_t *n, struct sumi_err *err) {
  struct sumi_layer *layer;
  size_t n_layer;
  struct finding f = {.g = g,
                      .arena = arena,
                      .computed = SUMI_NEW_ARRAY(arena, g->n_value, bool),
                      .last = SUMI_NEW_ARRAY(arena, g->n_value, size_t),
                      .layer = SUMI_NEW_ARRAY(arena, g->n_node, bool),
                      .part = SUMI_NEW_ARRAY(arena, g->n_node + 1, struct sumi_block_part)};
  if (!f.computed || !f.last || !f.layer || !f.part) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_layers_find(g, arena, &layer, &n_layer, err));
  for (size_t i = 0; i < n_layer; i++) f.layer[layer[i].node->id] = true;
  mark(&f);
  SUMI_TRY(find_parts(&f, err));
  *out = f.part;
  *n = f.n;
  return SUMI_OK;
}

/* ---- one after the other ---------------------------------------------------------------------------------------- */

struct report {
  const struct sumi_tune *t;
  const char *layer;
  size_t part, n;
};

static bool report_part(void *user, const struct sumi_progress *p) {
  const struct report *r = user;
  struct sumi_progress all = *p;
  all.layer = r->layer;
  all.done = ((double)r->part + p->done) / (double)r->n;
  all.seconds_left = -1; /* later parts cost more than earlier ones */
  return !r->t->progress || r->t->progress(r->t->user, &all);
}

sumi_status sumi_tune_parts(const struct sumi_tune *t, struct sumi_graph *g,
                            const struct sumi_block_part *parts, size_t n, double *losses,
                            struct sumi_err *err) {
  for (size_t i = 0; i < n; i++) {
    struct report report = {t, parts[i].to, i, n};
    struct sumi_tune own = *t;
    struct sumi_tuner *tuner;
    own.graph = g;
    own.from = parts[i].from;
    own.n_from = parts[i].n_from;
    own.to = parts[i].to;
    own.loss = "mse";
    own.labels = NULL;
    own.label_share = 0;
    own.progress = report_part;
    own.user = &report;
    SUMI_TRY(sumi_tuner_new(&own, g->allocator, &tuner, err));
    sumi_status status = sumi_tuner_run(tuner, err);
    if (status == SUMI_OK) status = sumi_tuner_write(tuner, g, err);
    if (losses) losses[i] = sumi_tuner_loss(tuner);
    sumi_tuner_free(tuner);
    SUMI_TRY(status);
  }
  return SUMI_OK;
}
