/* A small network, its data and a folder for states, for tests of pruning. */
#ifndef SUMI_COMPRESS_PRUNE_TEST_H
#define SUMI_COMPRESS_PRUNE_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "compress/layer.h"
#include "compress/prune.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { N = 64, IN = 16, DATA = N * IN };

static char folder[] = "/tmp/sumi_prune_XXXXXX";
static char state_path[64];

static inline int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(state_path, sizeof state_path, "%s/state", folder);
  return 0;
}

static inline int tear_down(void **state) {
  (void)state;
  unlink(state_path);
  return rmdir(folder);
}

/* ---- a network and its data ------------------------------------------------------------------------------------- */

static inline void add_weights(struct sumi_text *t, const char *name, int k, int n, uint64_t seed) {
  struct sumi_random r;
  sumi_random_init(&r, seed);
  sumi_text_add(t, "%s float[%d,%d] %s = {", name[1] > '0' ? "," : "", k, n, name);
  for (int i = 0; i < k * n; i++) sumi_text_add(t, "%s%.5f", i ? ", " : "", sumi_random_normal(&r) / 4);
  sumi_text_add(t, "}");
}

/* The graph of the text, which is freed, with its shapes. */
static inline struct sumi_graph *graph_of(struct sumi_text *t) {
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_graph_parse(sumi_text_str(t), t->size, sumi_op_find, sumi_allocator_default(), &g, &err) !=
          SUMI_OK ||
      sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  sumi_text_fini(t);
  return g;
}

/* batch: "N", or the only one it takes; seed: of the first layer */
static inline struct sumi_graph *network_of(const char *batch, uint64_t seed) {
  struct sumi_text t;
  sumi_text_init(&t, sumi_allocator_default());
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g (float[%s,16] x) => (float[%s,4] y) <", batch, batch);
  add_weights(&t, "w0", 16, 24, seed);
  add_weights(&t, "w1", 24, 16, 2);
  add_weights(&t, "w2", 16, 8, 3);
  add_weights(&t, "w3", 8, 4, 4);
  sumi_text_add(&t, "> {\n  [first] a = MatMul (x, w0)\n  b = Relu (a)\n  [second] c = MatMul (b, w1)\n"
                    "  d = Relu (c)\n  [third] e = MatMul (d, w2)\n  [last] y = MatMul (e, w3)\n}");
  return graph_of(&t);
}

static inline struct sumi_graph *network(void) { return network_of("N", 1); }

struct data {
  float x[DATA];
  int64_t dims[2];
  struct sumi_view view;
  struct sumi_samples samples;
};

static inline sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views,
                              size_t *n, struct sumi_err *err) {
  (void)err;
  struct data *d = user;
  d->dims[0] = (int64_t)count;
  d->view.data = d->x + first * IN;
  *views = &d->view;
  *n = 1;
  return SUMI_OK;
}

static inline void fill(struct data *d) {
  struct sumi_random r;
  sumi_random_init(&r, 5);
  *d = (struct data){.dims = {0, IN}};
  for (int i = 0; i < DATA; i++) d->x[i] = (float)(sumi_random_normal(&r) + (i % IN ? d->x[i - 1] : 0));
  d->view = (struct sumi_view){
      .size = sizeof d->view, .name = "x", .dtype = SUMI_FLOAT32, .rank = 2, .dims = d->dims};
  d->samples = (struct sumi_samples){.size = sizeof d->samples, .n = N, .get = get, .user = d};
}

static inline struct sumi_prune_options options_of(const struct data *d) {
  return (struct sumi_prune_options){
      .size = sizeof(struct sumi_prune_options), .sparsity = 0.5, .samples = &d->samples};
}

struct layer_of_weight {
  int64_t rows, cols;
  uint8_t keep[1024];
  float w[1024];
};

/* The weights of that name in g, as a matrix. */
static inline void read_layer(struct sumi_graph *g, const char *weight, struct layer_of_weight *out) {
  struct sumi_arena arena;
  struct sumi_layer *layer;
  size_t n;
  sumi_arena_init(&arena, sumi_allocator_default());
  assert_int_equal(sumi_layers_find(g, &arena, &layer, &n, NULL), SUMI_OK);
  out->rows = 0;
  for (size_t i = 0; i < n; i++) {
    if (!sumi_streq(layer[i].weight->name, weight)) continue;
    out->rows = layer[i].product.rows;
    out->cols = sumi_layer_cols(&layer[i]);
    sumi_layer_read(&layer[i], out->w);
    for (int64_t k = 0; k < out->rows * out->cols; k++) out->keep[k] = out->w[k] != 0;
  }
  assert_true(out->rows > 0);
  sumi_arena_fini(&arena);
}

static inline void check_refusal(const struct sumi_prune_options *o, struct sumi_graph *take_graph,
                                 const char *says) {
  struct sumi_changes changes;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_changes_init(&changes, sumi_allocator_default());
  const sumi_status status = sumi_prune(take_graph, NULL, 1, o, &changes, &info, &err);
  if (status == SUMI_OK || !strstr(err.text, says)) fail_msg("'%s' is not in '%s'", says, err.text);
  sumi_changes_fini(&changes);
  sumi_graph_free(take_graph);
}

#endif
