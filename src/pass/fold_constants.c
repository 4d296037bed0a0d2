/* fold-constants: computes, with the reference functions, every node whose inputs are constants; the results become
 * constants. A result is kept only if it is small or not much larger than what it is made from.
 * fold-weights: the same once more for this machine. Before it, DequantizeLinear is left alone: quantised weights stay
 * small, and stay what they are for the passes that make integer operators of them. */
#include <string.h>

#include "pass/pass.h"

enum { SMALL_BYTES = 1 << 20, RATIO = 8 };

static sumi_status replace(struct sumi_graph *g, struct sumi_value *v, const struct sumi_tensor *t,
                           struct sumi_err *err) {
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  struct sumi_blob *blob = sumi_blob_new(g->allocator, bytes);
  if (!blob) SUMI_FAIL_MEMORY(err);
  sumi_copy(t->dtype, sumi_blob_bytes(blob), 0, t->data, 0, sumi_tensor_count(t));
  struct sumi_tensor own = *t;
  own.data = sumi_blob_bytes(blob);
  struct sumi_value *c = sumi_graph_add_constant(g, NULL, &own, blob);
  if (!c) SUMI_FAIL_MEMORY(err);
  sumi_graph_replace_uses(g, v, c); /* c is no input and no output, so this always takes all uses */
  return SUMI_OK;
}

/* Takes out node i if all of its outputs are known, and keeps what others need of them. */
static sumi_status fold_node(struct sumi_graph *g, struct sumi_node *node, const struct sumi_info *info,
                             struct sumi_err *err) {
  for (int k = 0; k < node->n_out; k++) {
    const struct sumi_value *v = node->out[k];
    if (v && (!info[v->id].data || info[v->id].kind != SUMI_TENSOR || info[v->id].dtype == SUMI_STRING))
      return SUMI_OK;
  }
  for (int k = 0; k < node->n_out; k++)
    if (node->out[k] && node->out[k]->n_use)
      SUMI_TRY(replace(g, node->out[k], info[node->out[k]->id].data, err));
  sumi_graph_remove_node(g, node);
  return SUMI_OK;
}

static bool is_dequantize(const struct sumi_node *node) {
  return sumi_streq(node->op->name, "DequantizeLinear");
}

static sumi_status fold(struct sumi_graph *g, bool (*keep)(const struct sumi_node *), struct sumi_err *err) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, g->allocator);
  const size_t n_node = g->n_node;
  struct sumi_info *info = SUMI_NEW_ARRAY(&arena, g->n_value, struct sumi_info);
  const struct sumi_infer_job job = {.graph = g,
                                     .symbols = g->symbols,
                                     .arena = &arena,
                                     .fold_bytes = SMALL_BYTES,
                                     .fold_ratio = RATIO,
                                     .keep = keep,
                                     .info = info};
  sumi_status status = info ? sumi_graph_infer(&job, err) : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  for (size_t i = 0; status == SUMI_OK && i < n_node; i++) status = fold_node(g, g->node[i], info, err);
  if (status == SUMI_OK) status = sumi_graph_tidy(g, err);
  sumi_arena_fini(&arena);
  return status;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) { return fold(g, is_dequantize, err); }
static sumi_status run_all(struct sumi_graph *g, struct sumi_err *err) { return fold(g, NULL, err); }

const struct sumi_pass sumi_pass_fold_constants = {
    .name = "fold-constants",
    .what = "computes what depends on constants only",
    .stage = SUMI_PASS_PORTABLE,
    .run = run,
};

const struct sumi_pass sumi_pass_fold_weights = {
    .name = "fold-weights",
    .what = "dequantises the weights that no integer operator takes",
    .stage = SUMI_PASS_MACHINE,
    .run = run_all,
};
