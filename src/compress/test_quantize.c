/* The plan of 8 bits on small graphs, stopping, and memory that runs out at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compress/quantize.h"
#include "op/ops.h"
#include "pass/pass.h"

/* ---- an allocator that says no at the n-th call -------------------------------------------------------------------- */

struct rationed {
  size_t left; /* calls until it says no */
  size_t held; /* bytes */
};

static void *take(void *user, size_t bytes, size_t align) {
  struct rationed *r = user;
  void *p = NULL;
  if (!r->left) return NULL;
  r->left--;
  if (posix_memalign(&p, align, bytes)) return NULL;
  r->held += bytes;
  return p;
}

static void give(void *user, void *block, size_t bytes) {
  if (block) ((struct rationed *)user)->held -= bytes;
  free(block);
}

/* ---- samples and graphs ---------------------------------------------------------------------------------------------- */

enum { SAMPLES = 3, PIXELS = 2 * 4 * 4 };

static sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views, size_t *n,
                       struct sumi_err *err) {
  static float data[SAMPLES * PIXELS];
  static int64_t dims[4] = {0, 2, 4, 4};
  static struct sumi_view view;
  (void)user, (void)err;
  for (size_t i = 0; i < count * PIXELS; i++) data[i] = (float)((first * PIXELS + i) * 7 % 23) / 11 - 1;
  dims[0] = (int64_t)count;
  view = (struct sumi_view){
      .size = sizeof view, .name = "x", .data = data, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  *views = &view;
  *n = 1;
  return SUMI_OK;
}

static const struct sumi_samples samples = {sizeof samples, SAMPLES, get, NULL};

static const char residual[] =
    "<opset_import: [\"\": 17]> g (float[N,2,4,4] x) => (float[N,2,4,4] y) <float[2,2,1,1] w = {1, 0, -0.5, "
    "2}, "
    "float[2] b = {0.25, -1}, float[2,2,1,1] v = {0.5, 1, 0, -1}> {\n"
    "  c = Conv (x, w, b)  r = Relu (c)  d = Conv (r, v)  a = Add (d, r)  y = Conv (a, w)\n}";

static struct sumi_graph *parse(const char *text, const struct sumi_allocator *a) {
  struct sumi_graph *g = NULL;
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, NULL) != SUMI_OK) return NULL;
  if (sumi_pass_infer(g, NULL, NULL, NULL) == SUMI_OK) return g;
  sumi_graph_free(g);
  return NULL;
}

static size_t count_nodes(const struct sumi_changes *c, const char *op) {
  size_t n = 0;
  for (size_t i = 0; i < c->n; i++)
    n += c->change[i].kind == SUMI_CHANGE_NODE && !strcmp(c->change[i].op, op);
  return n;
}

static bool is_quantised(const struct sumi_changes *c, const char *value) {
  for (size_t i = 0; i < c->n; i++)
    if (c->change[i].kind == SUMI_CHANGE_NODE && !strcmp(c->change[i].op, "QuantizeLinear") &&
        !strcmp(c->change[i].inputs[0], value))
      return true;
  return false;
}

/* ---- tests ------------------------------------------------------------------------------------------------------------ */

static void residuals_stay_in_8_bits(void **state) {
  (void)state;
  struct sumi_graph *g = parse(residual, sumi_allocator_default());
  assert_non_null(g);
  const struct sumi_quantize_options o = {.size = sizeof o, .samples = &samples};
  struct sumi_quantized q;
  assert_int_equal(sumi_quantize(g, 17, &o, sumi_allocator_default(), &q, NULL), SUMI_OK);
  assert_int_equal(q.n_layer, 3);
  assert_true(is_quantised(&q.changes, "x") && is_quantised(&q.changes, "r") &&
              is_quantised(&q.changes, "d") && is_quantised(&q.changes, "a"));
  /* a Relu belongs to what it clamps, and outputs of the graph stay */
  assert_false(is_quantised(&q.changes, "c") || is_quantised(&q.changes, "y"));
  assert_int_equal(count_nodes(&q.changes, "QuantizeLinear"), 4);
  sumi_quantized_fini(&q);
  sumi_graph_free(g);
}

static sumi_status get_both(void *user, size_t first, size_t count, const struct sumi_view **views, size_t *n,
                            struct sumi_err *err) {
  static float k = 2;
  static struct sumi_view both[2];
  SUMI_TRY(get(user, first, count, views, n, err));
  both[0] = **views;
  both[1] = (struct sumi_view){.size = sizeof both[1], .name = "k", .data = &k, .dtype = SUMI_FLOAT32};
  *views = both;
  *n = 2;
  return SUMI_OK;
}

/* Weights that a caller might give, but the samples do not, are weights; what the samples give is an input. */
static void defaults_are_weights(void **state) {
  (void)state;
  static const char text[] =
      "<opset_import: [\"\": 17]> g (float[N,2,4,4] x, float[2,2,1,1] v = {0.5, 1, 0, -1}, float k = {1}) => "
      "(float[N,2,4,4] y) {\n  c = Conv (x, v)  d = Mul (c, k)  y = Conv (d, v)\n}";
  const struct sumi_samples given = {sizeof given, SAMPLES, get_both, NULL};
  const struct sumi_samples *const all[] = {&samples, &given};
  double high[2];
  for (size_t i = 0; i < 2; i++) {
    struct sumi_graph *g = parse(text, sumi_allocator_default());
    assert_non_null(g);
    const struct sumi_quantize_options o = {.size = sizeof o, .samples = all[i]};
    struct sumi_quantized q;
    struct sumi_err err = SUMI_ERR_INIT;
    if (sumi_quantize(g, 17, &o, sumi_allocator_default(), &q, &err) != SUMI_OK) fail_msg("%s", err.text);
    assert_int_equal(q.n_layer, 2);
    high[i] = q.layer[1].x_scale;
    size_t dropped = 0;
    for (size_t k = 0; k < q.changes.n; k++) {
      const struct sumi_change *c = &q.changes.change[k];
      dropped += c->kind == SUMI_CHANGE_DROP && c->name && !strcmp(c->name, "v");
      if (c->name && !strcmp(c->name, "k")) fail_msg("k is an input and is changed");
    }
    assert_int_equal(dropped, 1); /* nobody reads it any more, as an input neither */
    assert_int_equal(g->n_input, 3);
    sumi_quantized_fini(&q);
    sumi_graph_free(g);
  }
  assert_true(high[1] > 1.5 * high[0]); /* k was 2 */
}

static void kept_layers_end_the_8_bits(void **state) {
  (void)state;
  struct sumi_graph *g = parse(residual, sumi_allocator_default());
  assert_non_null(g);
  const char *const keep[] = {"d"};
  const struct sumi_quantize_options o = {.size = sizeof o, .samples = &samples, .keep = keep, .n_keep = 1};
  struct sumi_quantized q;
  assert_int_equal(sumi_quantize(g, 17, &o, sumi_allocator_default(), &q, NULL), SUMI_OK);
  assert_string_equal(q.layer[1].kept, "asked for");
  assert_false(is_quantised(&q.changes, "d")); /* so the Add is not of 8 bits alone */
  assert_true(is_quantised(&q.changes, "a"));  /* the last layer reads it */
  sumi_quantized_fini(&q);
  sumi_graph_free(g);
}

static bool stop(void *user, const struct sumi_progress *p) {
  (void)user;
  return p->done < 0.5;
}

static void progress_can_stop(void **state) {
  (void)state;
  struct sumi_graph *g = parse(residual, sumi_allocator_default());
  assert_non_null(g);
  const struct sumi_quantize_options o = {.size = sizeof o, .samples = &samples, .on_progress = stop};
  struct sumi_quantized q;
  assert_int_equal(sumi_quantize(g, 17, &o, sumi_allocator_default(), &q, NULL), SUMI_E_STATE);
  sumi_quantized_fini(&q);
  sumi_graph_free(g);
}

static sumi_status try_with(const struct sumi_allocator *a) {
  struct sumi_graph *g = parse(residual, a);
  if (!g) return SUMI_E_MEMORY;
  const struct sumi_quantize_options o = {.size = sizeof o, .samples = &samples, .equalise = true};
  struct sumi_quantized q;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_quantize(g, 17, &o, a, &q, &err);
  sumi_quantized_fini(&q);
  sumi_graph_free(g);
  return status;
}

static void memory_may_run_out_anywhere(void **state) {
  (void)state;
  struct rationed r = {.left = SIZE_MAX};
  const struct sumi_allocator a = {&r, take, give};
  assert_int_equal(try_with(&a), SUMI_OK);
  assert_int_equal(r.held, 0);
  const size_t calls = SIZE_MAX - r.left;
  for (size_t n = 0; n < calls; n += n < 100 ? 1 : 7) { /* the parts of each session repeat */
    r.left = n;
    const sumi_status status = try_with(&a);
    if (status != SUMI_E_MEMORY && status != SUMI_OK)
      fail_msg("call %zu of %zu: status %d", n, calls, status);
    assert_int_equal(r.held, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(residuals_stay_in_8_bits),    cmocka_unit_test(defaults_are_weights),
      cmocka_unit_test(kept_layers_end_the_8_bits),  cmocka_unit_test(progress_can_stop),
      cmocka_unit_test(memory_may_run_out_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
