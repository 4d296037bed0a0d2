/* Networks, samples and steps for tests of tuning. */
#ifndef SUMI_COMPRESS_TUNE_TEST_H
#define SUMI_COMPRESS_TUNE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "compress/layer.h"
#include "compress/tune.h"
#include "op/ops.h"
#include "pass/pass.h"

/* ---- networks and samples --------------------------------------------------------------------------------------- */

/* A network's text with constants of random contents: "float[2,3] w; float[3] b". */
static inline void constants(struct sumi_text *t, const char *list, struct sumi_random *r) {
  for (const char *at = list; *at;) {
    const char *end = strchr(at, ';');
    const size_t n = end ? (size_t)(end - at) : strlen(at);
    int64_t count = 1;
    for (const char *p = strchr(at, '[') + 1; p < at + n && p[-1] != ']';) {
      char *next;
      count *= strtol(p, &next, 10);
      p = next + 1;
    }
    sumi_text_add(t, "%s%.*s = {", at == list ? "" : ", ", (int)n, at);
    for (int64_t i = 0; i < count; i++) sumi_text_add(t, "%s%.6f", i ? ", " : "", sumi_random_normal(r) / 3);
    sumi_text_add(t, "}");
    at += n + (end != NULL);
  }
}

static inline struct sumi_graph *parse(const struct sumi_allocator *a, const char *head, const char *list,
                                       const char *body) {
  struct sumi_text t;
  struct sumi_random r;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  sumi_text_init(&t, NULL);
  sumi_random_init(&r, 7);
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g %s <", head);
  constants(&t, list, &r);
  sumi_text_add(&t, "> { %s }", body);
  const char *text = sumi_text_str(&t);
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, &err) != SUMI_OK ||
      sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, text);
  sumi_text_fini(&t);
  return g;
}

/* Two residual blocks behind a first convolution, and a last layer. */
static inline struct sumi_graph *residual(const struct sumi_allocator *a) {
  return parse(
      a, "(float[N,2,6,6] x) => (float[N,5] y)",
      "float[8,2,3,3] w0; float[8] b0; float[8,8,3,3] w1; float[8] b1; float[8,8,3,3] w2; float[8] b2; "
      "float[12,8,3,3] w3; float[12] b3; float[12,12,3,3] w4; float[12] b4; float[12,8,1,1] w5; "
      "float[5,12] w6; float[5] b6",
      "a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0) h0 = Relu (a) "
      "b = Conv <pads = [1, 1, 1, 1]> (h0, w1, b1) c = Relu (b) "
      "d = Conv <pads = [1, 1, 1, 1]> (c, w2, b2) e = Add (d, h0) h1 = Relu (e) "
      "f = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (h1, w3, b3) i = Relu (f) "
      "j = Conv <pads = [1, 1, 1, 1]> (i, w4, b4) k = Conv <strides = [2, 2]> (h1, w5) l = Add (j, k) "
      "h2 = Relu (l) m = GlobalAveragePool (h2) n = Flatten (m) y = Gemm <transB = 1> (n, w6, b6)");
}

/* An attention block: products, softmax, normalisation. */
static inline struct sumi_graph *attention(const struct sumi_allocator *a) {
  return parse(
      a, "(float[N,4,8] x) => (float[N,4,8] y)",
      "float[8,8] wq; float[8,8] wk; float[8,8] wv; float[8,8] wo; float[8] bo; float[8] s; float[8] z",
      "q = MatMul (x, wq) k = MatMul (x, wk) v = MatMul (x, wv) kt = Transpose <perm = [0, 2, 1]> (k) "
      "qk = MatMul (q, kt) p = Softmax <axis = -1> (qk) pv = MatMul (p, v) o = MatMul (pv, wo) "
      "ob = Add (o, bo) r = Add (ob, x) y = LayerNormalization (r, s, z)");
}

struct source {
  int rank;
  int64_t dims[4];
  float data[32 * 128];
  struct sumi_view view;
};

static inline sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views,
                              size_t *n, struct sumi_err *err) {
  struct source *s = user;
  (void)err;
  assert_true(first + count <= 32);
  size_t each = 1;
  for (int i = 1; i < s->rank; i++) each *= (size_t)s->dims[i];
  for (size_t i = 0; i < count; i++) {
    struct sumi_random r;
    sumi_random_init(&r, 100 + first + i);
    for (size_t k = 0; k < each; k++) s->data[i * each + k] = (float)sumi_random_normal(&r);
  }
  s->dims[0] = (int64_t)count;
  s->view = (struct sumi_view){.size = sizeof s->view,
                               .name = "x",
                               .data = s->data,
                               .dtype = SUMI_FLOAT32,
                               .rank = s->rank,
                               .dims = s->dims};
  *views = &s->view;
  *n = 1;
  return SUMI_OK;
}

static struct source pictures = {.rank = 4, .dims = {0, 2, 6, 6}};

static inline struct sumi_samples samples_of(struct source *s) {
  return (struct sumi_samples){.size = sizeof(struct sumi_samples), .n = 32, .get = get, .user = s};
}

/* A copy of g in which half of the weights of every layer are 0. */
static inline struct sumi_graph *pruned(const struct sumi_graph *dense) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = sumi_graph_clone(dense, &err);
  struct sumi_arena arena;
  struct sumi_layer *l;
  size_t n;
  assert_non_null(g);
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_pass_infer(g, NULL, NULL, &err), SUMI_OK);
  assert_int_equal(sumi_layers_find(g, &arena, &l, &n, &err), SUMI_OK);
  for (size_t i = 0; i < n; i++) {
    const int64_t count = l[i].product.rows * sumi_layer_cols(&l[i]);
    float *w = SUMI_NEW_ARRAY(&arena, (size_t)count, float);
    sumi_layer_read(&l[i], w);
    for (int64_t k = 0; k < count; k++)
      if ((k * 7 + k / 5) % 2) w[k] = 0;
    assert_int_equal(sumi_layer_write(&l[i], w, &err), SUMI_OK);
  }
  sumi_arena_fini(&arena);
  return g;
}

static inline struct sumi_tuner *start(const struct sumi_tune *t) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_tuner *u = NULL;
  if (sumi_tuner_new(t, sumi_allocator_default(), &u, &err) != SUMI_OK) fail_msg("%s", err.text);
  return u;
}

/* Does so many steps; the first and the last loss. */
static inline void steps(struct sumi_tuner *u, size_t n, double *first, double *last) {
  struct sumi_err err = SUMI_ERR_INIT;
  for (size_t i = 0; i < n; i++) {
    if (sumi_tuner_step(u, last, &err) != SUMI_OK) fail_msg("%s", err.text);
    if (!i && first) *first = *last;
  }
}

static inline void same_weights(const struct sumi_tuner *u, struct sumi_graph *a, struct sumi_graph *b) {
  for (size_t i = 0; i < sumi_tuner_count(u); i++) {
    const struct sumi_tensor *x = sumi_graph_find_value(a, sumi_tuner_name(u, i))->constant;
    const struct sumi_tensor *y = sumi_graph_find_value(b, sumi_tuner_name(u, i))->constant;
    assert_memory_equal(x->data, y->data, (size_t)sumi_tensor_count(x) * sizeof(float));
  }
}

#endif
