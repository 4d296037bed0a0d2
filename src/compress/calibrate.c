/* Calibration data through the network, with inner values as outputs. */
#include "compress/calibrate.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "exec/session.h"
#include "pass/pass.h"

enum { BATCH = 8 };

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* A network with other outputs, ready to run. */
struct probe {
  struct sumi_model *model;
  struct sumi_session *session;
  struct sumi_view *out; /* [n] */
};

/* Makes the values, and nothing else, the outputs of g: what comes behind them is not computed. */
static sumi_status set_outputs(struct sumi_graph *g, const char *const *names, size_t n,
                               struct sumi_err *err) {
  sumi_graph_clear_outputs(g);
  for (size_t i = 0; i < n; i++) {
    struct sumi_value *v = sumi_graph_find_value(g, names[i]);
    if (!v) SUMI_FAIL(err, SUMI_E_ARG, "there is no value '%s'", names[i]);
    if (!v->is_output && !sumi_graph_add_output(g, v)) SUMI_FAIL_MEMORY(err);
  }
  return sumi_pass_find("drop-unused")->run(g, err);
}

static sumi_status open_probe(const struct sumi_calibrate *c, const char *const *names, size_t n,
                              struct probe *p, struct sumi_err *err) {
  const struct sumi_allocator *a = c->graph->allocator;
  sumi_constants_keep(c->graph);
  struct sumi_graph *g = sumi_graph_clone(c->graph, err);
  if (!g) return err ? err->status : SUMI_E_MEMORY;
  const sumi_status status = set_outputs(g, names, n, err);
  if (status != SUMI_OK) {
    sumi_graph_free(g);
    return status;
  }
  SUMI_TRY(sumi_model_new(a, g, &p->model, err));
  const struct sumi_session_options o = {.size = sizeof o, .threads = c->threads};
  SUMI_TRY(sumi_session_init(p->model, &o, &p->session, err));
  if (!(p->out = sumi_alloc(a, (n + 1) * sizeof *p->out))) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) p->out[i] = (struct sumi_view){.size = sizeof *p->out, .name = names[i]};
  return SUMI_OK;
}

static struct sumi_tensor tensor_of(const struct sumi_view *v) {
  struct sumi_tensor t = {.kind = v->kind, .dtype = v->dtype, .rank = v->rank, .data = v->data};
  for (int i = 0; i < v->rank; i++) t.dim[i] = v->dims[i];
  return t;
}

static sumi_status run_batch(const struct sumi_calibrate *c, struct probe *p, size_t first, size_t n,
                             size_t n_names, sumi_calibrate_take *take, void *user, struct sumi_err *err) {
  const struct sumi_view *in;
  size_t n_in;
  SUMI_TRY(c->samples->get(c->samples->user, first, n, &in, &n_in, err));
  for (size_t i = 0; i < n_names; i++) p->out[i].data = NULL;
  SUMI_TRY(sumi_session_execute(p->session, in, n_in, p->out, n_names, err));
  for (size_t i = 0; i < n_names; i++) {
    const struct sumi_tensor t = tensor_of(&p->out[i]);
    if (t.kind != SUMI_TENSOR) SUMI_FAIL(err, SUMI_E_TYPE, "value '%s' is no tensor", p->out[i].name);
    SUMI_TRY(take(user, i, first, n, &t, err));
  }
  return SUMI_OK;
}

sumi_status sumi_calibrate_visit(const struct sumi_calibrate *c, size_t first, size_t n,
                                 const char *const *names, size_t n_names, sumi_calibrate_take *take,
                                 void *user, struct sumi_err *err) {
  const size_t batch = c->batch ? c->batch : BATCH;
  if (first + n > c->samples->n)
    SUMI_FAIL(err, SUMI_E_ARG, "samples %zu to %zu of %zu", first, first + n, c->samples->n);
  struct probe p = {0};
  sumi_status status = open_probe(c, names, n_names, &p, err);
  for (size_t at = 0; at < n && status == SUMI_OK; at += batch)
    status = run_batch(c, &p, first + at, SUMI_MIN(batch, n - at), n_names, take, user, err);
  sumi_free(c->graph->allocator, p.out, (n_names + 1) * sizeof *p.out);
  sumi_session_fini(p.session);
  sumi_model_unref(p.model);
  return status;
}

/* ---- ranges ----------------------------------------------------------------------------------------------------- */

static void widen(struct sumi_range_stats *s, double magnitude) {
  if (s->edge == 0) s->edge = magnitude * 1.0001;
  while (magnitude >= s->edge) {
    uint64_t old[SUMI_HISTOGRAM_BINS];
    memcpy(old, s->bin, sizeof old);
    memset(s->bin, 0, sizeof s->bin);
    for (int i = 0; i < SUMI_HISTOGRAM_BINS; i++) s->bin[SUMI_HISTOGRAM_BINS / 4 + i / 2] += old[i];
    s->edge *= 2;
  }
}

static sumi_status take_range(void *user, size_t which, size_t first, size_t n, const struct sumi_tensor *t,
                              struct sumi_err *err) {
  (void)first, (void)n, (void)err;
  struct sumi_range_stats *s = (struct sumi_range_stats *)user + which;
  const int64_t count = sumi_tensor_count(t);
  double magnitude = 0;
  for (int64_t i = 0; i < count; i++) {
    const double x = sumi_get_f64(t->dtype, t->data, i);
    if (!isfinite(x)) {
      s->not_finite++;
      continue;
    }
    s->low = s->count ? SUMI_MIN(s->low, x) : x;
    s->high = s->count ? SUMI_MAX(s->high, x) : x;
    magnitude = SUMI_MAX(magnitude, fabs(x));
    s->sum += x;
    s->squares += x * x;
    s->count++;
  }
  if (magnitude > 0) widen(s, magnitude);
  for (int64_t i = 0; i < count; i++) {
    const double x = sumi_get_f64(t->dtype, t->data, i);
    const double at = s->edge > 0 ? (x / s->edge + 1) * (SUMI_HISTOGRAM_BINS / 2) : SUMI_HISTOGRAM_BINS / 2;
    if (isfinite(x)) s->bin[SUMI_MAX(0, SUMI_MIN((int)at, SUMI_HISTOGRAM_BINS - 1))]++;
  }
  return SUMI_OK;
}

sumi_status sumi_calibrate_values(const struct sumi_calibrate *c, const char *const *names, size_t n,
                                  struct sumi_range_stats *stats, struct sumi_err *err) {
  memset(stats, 0, n * sizeof *stats);
  return sumi_calibrate_visit(c, 0, c->samples->n, names, n, take_range, stats, err);
}
