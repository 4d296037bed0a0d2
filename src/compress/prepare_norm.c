/* BatchNormalization behind a convolution becomes part of its weights:
 *   w'[m, ...] = w[m, ...] * s[m], b'[m] = (b[m] - mean[m]) * s[m] + bias[m], s[m] = scale[m] / sqrt(var[m] + epsilon),
 * figures in double precision, rounded once. */
#include <math.h>

#include "base/size.h"
#include "compress/prepare_int.h"
#include "op/batch_norm.h"

struct norm {
  struct sumi_node *node;
  struct sumi_batch_norm figures; /* [rows] of the layer */
};

/* s[m], b'[m] of row m for b[m] = b. */
static void affine(const struct sumi_batch_norm *n, int64_t m, double b, double *s, double *shift) {
  *s = (double)n->scale[m] / sqrt((double)n->var[m] + n->epsilon);
  *shift = (b - (double)n->mean[m]) * *s + (double)n->bias[m];
}

/* Whether the layer is a Conv with weights and a bias of its own, and what alone reads it such a node. */
static bool find(const struct sumi_layer *l, struct norm *out) {
  const struct sumi_value *w = l->weight, *y = l->node->out[0];
  if (!sumi_streq(l->node->op->name, "Conv") || l->node->inlined || !y || !sumi_layer_has_bias(l))
    return false;
  if (w->n_use != 1 || w->is_output || w->is_input || w->constant->dtype != SUMI_FLOAT32) return false;
  if (y->n_use != 1 || y->is_output || y->first_use->index != 0) return false;
  out->node = y->first_use->node;
  if (out->node->inlined || !sumi_batch_norm_fixed(out->node, l->product.rows, &out->figures)) return false;
  for (int64_t m = 0; m < l->product.rows; m++) {
    double s, shift;
    affine(&out->figures, m, 0, &s, &shift);
    if (!isfinite(s) || !isfinite(shift)) return false;
  }
  return true;
}

static sumi_status change_layer(struct sumi_layer *l, const struct sumi_batch_norm *n,
                                struct sumi_arena *arena, struct sumi_err *err) {
  const int64_t rows = l->product.rows, cols = sumi_layer_cols(l);
  float *w = SUMI_NEW_ARRAY(arena, (size_t)(rows * cols), float),
        *b = SUMI_NEW_ARRAY(arena, (size_t)rows, float);
  if (!w || !b) SUMI_FAIL_MEMORY(err);
  sumi_layer_read(l, w);
  sumi_layer_read_bias(l, b);
  for (int64_t m = 0; m < rows; m++) {
    double s, shift;
    affine(n, m, (double)b[m], &s, &shift);
    for (int64_t c = 0; c < cols; c++) w[m * cols + c] = (float)((double)w[m * cols + c] * s);
    b[m] = (float)shift;
  }
  SUMI_TRY(sumi_layer_write(l, w, err));
  return sumi_layer_write_bias(l, b, err);
}

static sumi_status add(struct sumi_prepared *p, struct sumi_change c, struct sumi_err *err) {
  c.axis = INT64_MIN;
  return sumi_changes_add(&p->changes, &c, err);
}

static sumi_status fold(struct sumi_graph *g, struct sumi_layer *l, const struct norm *norm,
                        struct sumi_arena *arena, struct sumi_prepared *p, struct sumi_err *err) {
  struct sumi_value *y = norm->node->out[0];
  const char *old = l->node->out[0]->name;
  const bool had_bias = l->bias;
  SUMI_TRY(change_layer(l, &norm->figures, arena, err));
  SUMI_TRY(sumi_prepare_note(p, l->weight->name, err));
  SUMI_TRY(sumi_prepare_note(p, l->bias->name, err));
  if (!had_bias)
    SUMI_TRY(add(p,
                 (struct sumi_change){
                     .kind = SUMI_CHANGE_INPUT, .node = old, .index = l->product.b, .name = l->bias->name},
                 err));
  SUMI_TRY(add(p, (struct sumi_change){.kind = SUMI_CHANGE_DROP, .node = y->name}, err));
  SUMI_TRY(add(p, (struct sumi_change){.kind = SUMI_CHANGE_OUTPUT, .node = old, .name = y->name}, err));
  sumi_graph_remove_node(g, norm->node);
  sumi_node_set_output(l->node, 0, y);
  return SUMI_OK;
}

sumi_status sumi_prepare_norms(struct sumi_graph *g, struct sumi_prepared *p, struct sumi_err *err) {
  struct sumi_arena arena, work;
  struct sumi_layer *layer = NULL;
  size_t n = 0;
  bool any = false;
  sumi_arena_init(&arena, g->allocator);
  sumi_arena_init(&work, g->allocator);
  const size_t n_read = g->n_value;
  const bool *read = sumi_prepare_look(g, &arena);
  sumi_status status =
      read ? sumi_layers_find(g, &arena, &layer, &n, err) : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  for (size_t i = 0; i < n && status == SUMI_OK; i++) {
    struct norm norm;
    while (status == SUMI_OK && find(&layer[i], &norm)) {
      sumi_arena_reset(&work);
      status = fold(g, &layer[i], &norm, &work, p, err);
      any = true;
    }
  }
  if (status == SUMI_OK && any) status = sumi_prepare_sweep(g, read, n_read, p, err);
  sumi_arena_fini(&work);
  sumi_arena_fini(&arena);
  return status;
}
