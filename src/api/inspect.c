/* Looking inside models: nodes with their costs and densities, and the graph as text after each pass. */
#include <inttypes.h>

#include "api/api_int.h"
#include "pass/pass.h"
#include "sparse/pattern.h"

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

struct node_walk {
  const struct sumi_model *model;
  bool (*visit)(void *user, const struct sumi_node_info *info);
  void *user;
  struct sumi_arena arena; /* of the node under visit */
  struct sumi_err *err;
};

/* Shapes of one graph's values: with the inputs of the main graph as given, else as imported. */
static sumi_status infos_of(const struct node_walk *w, const struct sumi_graph *g,
                            const struct sumi_view *inputs, size_t n, struct sumi_arena *arena,
                            struct sumi_info **out) {
  *out = SUMI_NEW_ARRAY(arena, g->n_value, struct sumi_info);
  struct sumi_info *in = SUMI_NEW_ARRAY(arena, g->n_input, struct sumi_info);
  if (!*out || !in) SUMI_FAIL_MEMORY(w->err);
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_value *v = g->input[i];
    in[i] = v->constant ? sumi_info_of_constant(v->constant) : v->info;
    for (size_t k = 0; g == w->model->graph && k < n; k++) {
      if (!inputs[k].name || !sumi_streq(inputs[k].name, v->name)) continue;
      if (inputs[k].rank < 0 || inputs[k].rank > SUMI_MAX_RANK)
        SUMI_FAIL(w->err, SUMI_E_SHAPE, "input '%s' has rank %d", inputs[k].name, inputs[k].rank);
      in[i].data = NULL;
      in[i].rank = inputs[k].rank;
      for (int d = 0; d < in[i].rank; d++) in[i].dim[d] = inputs[k].dims[d];
    }
  }
  const struct sumi_infer_job job = {
      .graph = g, .in = in, .arena = arena, .fold_bytes = 64 << 10, .info = *out};
  return sumi_graph_infer(&job, w->err);
}

/* The non-zeros of weights as outputs x inputs, inputs ordered ky, kx, channel. [m, c, k...] as it lies; a matrix is
 * [k, n] unless the node says transB. */
static struct sumi_mask mask_of(struct node_walk *w, const struct sumi_node *node,
                                const struct sumi_tensor *t) {
  const int64_t count = sumi_tensor_count(t);
  const bool transposed = t->rank == 2 && !sumi_attr_int(node, "transB", 0);
  const int64_t m = t->dim[transposed], c = t->dim[!transposed], taps = m && c ? count / (m * c) : 0;
  uint8_t *keep = sumi_arena_alloc(&w->arena, (size_t)count);
  for (int64_t i = 0; keep && i < count; i++) {
    const int64_t row = transposed ? i % m : i / (c * taps), col = transposed ? i / m : i / taps % c,
                  tap = transposed ? 0 : i % taps;
    keep[row * c * taps + tap * c + col] = sumi_get_f64(t->dtype, t->data, i) != 0;
  }
  return (struct sumi_mask){m, c * taps, keep, c};
}

/* Weights: constants of rank 2 and more that a node reads, defaults of inputs among them. */
static void weigh(struct node_walk *w, const struct sumi_node *node, struct sumi_node_info *n) {
  int64_t kept = 0;
  n->pattern = "";
  for (int i = 0; i < node->n_in; i++) {
    const struct sumi_value *v = node->in[i];
    const struct sumi_tensor *t = v ? v->constant : NULL;
    if (!t || t->kind != SUMI_TENSOR || t->rank < 2 ||
        !(sumi_dtype_is_float(t->dtype) || sumi_dtype_is_int(t->dtype)))
      continue;
    struct sumi_mask_stats stats;
    const struct sumi_mask mask = mask_of(w, node, t);
    if (!mask.keep || !mask.rows || !mask.cols) continue;
    sumi_mask_stats(mask, &stats);
    n->parameters += stats.weights;
    kept += stats.kept;
    const char *pattern = sumi_arena_strdup(&w->arena, stats.pattern);
    if (pattern && *pattern) n->pattern = pattern;
  }
  n->density = n->parameters ? (double)kept / (double)n->parameters : -1;
}

static const char *const *names(struct node_walk *w, struct sumi_value *const *v, int n) {
  const char **out = SUMI_NEW_ARRAY(&w->arena, (size_t)n, const char *);
  for (int i = 0; out && i < n; i++) out[i] = v[i] ? v[i]->name : "";
  return out;
}

static const char *shapes(struct node_walk *w, const struct sumi_node *node, const struct sumi_info *info) {
  struct sumi_text t;
  sumi_text_init(&t, w->arena.allocator);
  for (int i = 0; i < node->n_out; i++) {
    if (!node->out[i]) continue;
    const struct sumi_info *f = &info[node->out[i]->id];
    sumi_text_add(&t, "%s%s[", t.size ? ", " : "", sumi_dtype_label(f->dtype));
    if (f->rank < 0) sumi_text_add(&t, "...");
    for (int d = 0; d < f->rank; d++) {
      if (d) sumi_text_add(&t, ",");
      sumi_dim_print(w->model->graph->symbols, f->dim[d], &t);
    }
    sumi_text_add(&t, "]");
  }
  const char *s = sumi_arena_strdup(&w->arena, sumi_text_str(&t));
  sumi_text_fini(&t);
  return s;
}

static bool visit_node(struct node_walk *w, const struct sumi_node *node, const struct sumi_info *info) {
  sumi_arena_reset(&w->arena);
  struct sumi_node_info n = {.size = sizeof n,
                             .name = node->name,
                             .op = node->op_name,
                             .version = node->version,
                             .depth = node->graph->depth,
                             .n_inputs = (size_t)node->n_in,
                             .n_outputs = (size_t)node->n_out,
                             .random = (node->op->flags & SUMI_OP_RANDOM) != 0,
                             .dense_macs = -1,
                             .macs = -1};
  n.inputs = names(w, node->in, node->n_in);
  n.outputs = names(w, node->out, node->n_out);
  n.output_shapes = shapes(w, node, info);
  struct sumi_cost cost = {0};
  if (sumi_cost_of_node(node, info, &w->arena, &cost)) {
    n.dense_macs = cost.dense_macs;
    n.macs = cost.macs;
  }
  weigh(w, node, &n);
  if (!n.inputs || !n.outputs || !n.output_shapes) {
    sumi_err_set(w->err, SUMI_E_MEMORY, "out of memory");
    return false;
  }
  return w->visit(w->user, &n);
}

sumi_status sumi_model_visit_nodes(const struct sumi_model *model, const struct sumi_view *inputs,
                                   size_t n_inputs,
                                   bool (*visit)(void *user, const struct sumi_node_info *info), void *user,
                                   struct sumi_err *err) {
  struct sumi_err own = SUMI_ERR_INIT;
  if (!model || !visit) SUMI_FAIL(err, SUMI_E_ARG, "no model or visitor is given");
  SUMI_TRY(sumi_views_check(inputs, n_inputs, "input", err));
  sumi_model_need_all(model);
  struct node_walk w = {.model = model, .visit = visit, .user = user, .err = err ? err : &own};
  struct sumi_arena arena;
  sumi_arena_init(&w.arena, &model->allocator);
  sumi_arena_init(&arena, &model->allocator);
  sumi_status status = SUMI_OK;
  bool on = true;
  for (const struct sumi_graph *g = model->graph; status == SUMI_OK && on && g;
       g = g == model->graph ? g->first_body : g->next_body) {
    struct sumi_info *info;
    sumi_arena_reset(&arena);
    status = infos_of(&w, g, inputs, n_inputs, &arena, &info);
    for (size_t i = 0; status == SUMI_OK && on && i < g->n_node; i++) on = visit_node(&w, g->node[i], info);
  }
  sumi_arena_fini(&arena);
  sumi_arena_fini(&w.arena);
  return status == SUMI_OK ? w.err->status : status;
}

/* ---- graphs as text ------------------------------------------------------------------------------------------- */

enum { PRINTED_ELEMENTS = 16 };

static sumi_status print(const struct sumi_graph *g, sumi_text_sink sink, void *user, struct sumi_err *err) {
  struct sumi_text t;
  sumi_text_init(&t, g->allocator);
  sumi_graph_print(g, PRINTED_ELEMENTS, true, &t);
  if (!t.failed) sink(user, sumi_text_str(&t), t.size);
  const bool failed = t.failed;
  sumi_text_fini(&t);
  if (failed) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status run_until(struct sumi_graph *g, const struct sumi_pass *last, struct sumi_err *err) {
  SUMI_TRY(sumi_passes_run(g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE,
                           last && last->stage == SUMI_PASS_PORTABLE ? last->name : NULL, err));
  if (!last || last->stage == SUMI_PASS_PORTABLE) return SUMI_OK;
  SUMI_TRY(sumi_pass_infer(g, NULL, NULL, err));
  SUMI_TRY(sumi_passes_fix_defaults(g, err));
  return sumi_passes_run(g, SUMI_PASS_MACHINE, last->precision, last->name, err);
}

sumi_status sumi_model_print(const struct sumi_model *model, const char *after_pass, const char *device,
                             sumi_text_sink sink, void *user, struct sumi_err *err) {
  if (!model || !sink) SUMI_FAIL(err, SUMI_E_ARG, "no model or sink is given");
  sumi_model_need_all(model);
  if (device) {
    const struct sumi_device *d = sumi_device_find(device);
    struct sumi_graph *g;
    if (!d) SUMI_FAIL(err, SUMI_E_ARG, "there is no device '%s'", device);
    SUMI_TRY(sumi_model_graph_for((struct sumi_model *)model, d, SUMI_PRECISION_FILE, SUMI_DEFAULTS_FIXED, &g,
                                  err));
    return print(g, sink, user, err);
  }
  if (!after_pass) return print(model->graph, sink, user, err);
  const bool import_only = sumi_streq(after_pass, "import");
  const struct sumi_pass *last = sumi_pass_find(after_pass);
  if (!last && !import_only) SUMI_FAIL(err, SUMI_E_ARG, "there is no pass '%s'", after_pass);
  struct sumi_graph *g;
  SUMI_TRY(sumi_model_import_again(model, &g, err));
  sumi_status status = import_only ? SUMI_OK : run_until(g, last, err);
  if (status == SUMI_OK) status = sumi_pass_infer(g, NULL, NULL, err);
  if (status == SUMI_OK) status = print(g, sink, user, err);
  sumi_graph_free(g);
  return status;
}
