/* Calibration data through the network, with inner values as outputs. */
#include "compress/calibrate.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "exec/session.h"
#include "pass/pass.h"

enum { BATCH = 8 };

/* ---- values ----------------------------------------------------------------------------------------------------- */

enum { NETWORKS = 2 };

/* A network with other inputs and outputs, ready to run. */
struct probe {
  struct sumi_model *model;
  struct sumi_session *session;
  const char **in;       /* [c->from->n] the inputs' names; NULL: it is not needed */
  struct sumi_view *out; /* [n_out] */
};

struct visit {
  const struct sumi_calibrate *c;
  size_t networks;
  const char **name; /* [n] of [cap]: those that are visited, then those that c->to keeps */
  size_t n, n_visited, cap;
  const char **out; /* [n_out] of [cap]: those that runs have to make */
  size_t n_out;
  size_t *at; /* [n] of [cap] where among them, or n_out + where in c->from */
  struct probe probe[NETWORKS];
};

static sumi_status list_names(struct visit *v, const char *const *names, size_t n, struct sumi_err *err) {
  const struct sumi_calibrate *c = v->c;
  const struct sumi_allocator *a = c->graph->allocator;
  v->n_visited = n;
  v->cap = n + (c->to ? c->to->n : 0) + 1;
  v->name = sumi_alloc(a, v->cap * sizeof *v->name);
  v->out = sumi_alloc(a, v->cap * sizeof *v->out);
  v->at = sumi_alloc(a, v->cap * sizeof *v->at);
  if (!v->name || !v->out || !v->at) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) v->name[v->n++] = names[i];
  for (size_t i = 0; c->to && i < c->to->n; i++) v->name[v->n++] = c->to->name[i];
  for (size_t i = 0; i < v->n; i++) {
    if (c->from && sumi_front_find(c->from, v->name[i]) < c->from->n) continue;
    for (v->at[i] = 0; v->at[i] < v->n_out && !sumi_streq(v->out[v->at[i]], v->name[i]);) v->at[i]++;
    if (v->at[i] == v->n_out) v->out[v->n_out++] = v->name[i];
  }
  for (size_t i = 0; c->from && i < v->n; i++) {
    const size_t k = sumi_front_find(c->from, v->name[i]);
    if (k < c->from->n) v->at[i] = v->n_out + k;
  }
  return SUMI_OK;
}

/* Makes the values, and nothing else, the outputs of g: what comes behind them is not computed. in: as sumi_front_cut's. */
static sumi_status set_ends(const struct visit *v, struct sumi_graph *g, const char **in,
                            struct sumi_err *err) {
  sumi_graph_clear_outputs(g);
  if (v->c->from) SUMI_TRY(sumi_front_cut(v->c->from, g, in, err));
  for (size_t i = 0; i < v->n_out; i++) {
    struct sumi_value *value = sumi_graph_find_value(g, v->out[i]);
    if (!value) SUMI_FAIL(err, SUMI_E_ARG, "there is no value '%s'", v->out[i]);
    if (!value->is_output && !sumi_graph_add_output(g, value)) SUMI_FAIL_MEMORY(err);
  }
  SUMI_TRY(sumi_pass_find("drop-unused")->run(g, err));
  if (!v->c->from) return SUMI_OK;
  sumi_graph_drop_inputs(g);
  for (size_t i = 0; i < v->c->from->n; i++)
    if (!sumi_graph_find_value(g, in[i])->is_input) in[i] = NULL;
  return SUMI_OK;
}

static bool has_defaults(const struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_input; i++)
    if (g->input[i]->constant) return true;
  return false;
}

sumi_status sumi_calibrate_fix_defaults(struct sumi_graph *g, const struct sumi_samples *samples,
                                        size_t batch, struct sumi_err *err) {
  const struct sumi_view *in;
  size_t n_in = 0;
  if (!has_defaults(g)) return SUMI_OK;
  if (samples) SUMI_TRY(samples->get(samples->user, 0, SUMI_MIN(batch, samples->n), &in, &n_in, err));
  for (size_t i = 0; i < n_in; i++) {
    struct sumi_value *v = in[i].name ? sumi_graph_find_value(g, in[i].name) : NULL;
    if (!v || !v->is_input) continue; /* the first run says so */
    sumi_blob_unref(v->blob);
    v->blob = NULL;
    v->constant = NULL;
  }
  sumi_graph_fix_defaults(g);
  return SUMI_OK;
}

static size_t n_from(const struct visit *v) { return v->c->from ? v->c->from->n : 0; }

static sumi_status open_probe(const struct visit *v, const struct sumi_graph *graph, struct probe *p,
                              struct sumi_err *err) {
  const struct sumi_allocator *a = graph->allocator;
  sumi_constants_keep(graph);
  struct sumi_graph *g = sumi_graph_clone(graph, err);
  if (!g) return err ? err->status : SUMI_E_MEMORY;
  p->in = SUMI_NEW_ARRAY(g->arena, n_from(v), const char *);
  const sumi_status status =
      p->in ? set_ends(v, g, p->in, err) : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status != SUMI_OK) {
    sumi_graph_free(g);
    return status;
  }
  SUMI_TRY(sumi_model_new(a, g, &p->model, err));
  const struct sumi_session_options o = {.size = sizeof o, .threads = v->c->threads};
  SUMI_TRY(sumi_session_init(p->model, &o, &p->session, err));
  p->out = sumi_alloc(a, (v->n_out + 1) * sizeof *p->out);
  if (!p->out) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < v->n_out; i++)
    p->out[i] = (struct sumi_view){.size = sizeof *p->out, .name = v->out[i]};
  return SUMI_OK;
}

static void close_visit(struct visit *v) {
  const struct sumi_allocator *a = v->c->graph->allocator;
  for (size_t k = 0; k < NETWORKS; k++) {
    struct probe *p = &v->probe[k];
    sumi_free(a, p->out, (v->n_out + 1) * sizeof *p->out);
    sumi_session_fini(p->session);
    sumi_model_unref(p->model);
  }
  sumi_free(a, v->name, v->cap * sizeof *v->name);
  sumi_free(a, v->out, v->cap * sizeof *v->out);
  sumi_free(a, v->at, v->cap * sizeof *v->at);
}

static struct sumi_tensor tensor_of(const struct sumi_view *v) {
  struct sumi_tensor t = {.kind = v->kind, .dtype = v->dtype, .rank = v->rank, .data = v->data};
  for (int i = 0; i < v->rank; i++) t.dim[i] = v->dims[i];
  return t;
}

/* One network's run with the inputs given, or those of the front that the graph still has. */
static sumi_status execute(const struct visit *v, size_t network, size_t run, const struct sumi_view *in,
                           size_t n_in, struct sumi_err *err) {
  const struct probe *p = &v->probe[network];
  for (size_t i = 0; i < v->n_out; i++) p->out[i].data = NULL;
  if (!v->c->from) return sumi_session_execute(p->session, in, n_in, p->out, v->n_out, err);
  if (!v->n_out) return SUMI_OK;
  const struct sumi_view *stored = sumi_front_run(v->c->from, network, run);
  struct sumi_view *given = sumi_alloc(v->c->graph->allocator, v->c->from->n * sizeof *given);
  if (!given) SUMI_FAIL_MEMORY(err);
  size_t n = 0;
  for (size_t i = 0; i < v->c->from->n; i++) {
    if (!p->in[i]) continue;
    given[n] = stored[i];
    given[n++].name = p->in[i];
  }
  const sumi_status status = sumi_session_execute(p->session, given, n, p->out, v->n_out, err);
  sumi_free(v->c->graph->allocator, given, v->c->from->n * sizeof *given);
  return status;
}

static sumi_status run_batch(const struct visit *v, size_t first, size_t n, size_t run,
                             sumi_calibrate_take *take, void *user, struct sumi_err *err) {
  const struct sumi_calibrate *c = v->c;
  const struct sumi_view *in = NULL;
  size_t n_in = 0;
  if (!c->from) SUMI_TRY(c->samples->get(c->samples->user, first, n, &in, &n_in, err));
  for (size_t k = 0; k < v->networks; k++) SUMI_TRY(execute(v, k, run, in, n_in, err));
  for (size_t i = 0; i < v->n; i++) {
    struct sumi_tensor t[NETWORKS];
    for (size_t k = 0; k < v->networks; k++)
      t[k] = tensor_of(v->at[i] < v->n_out ? &v->probe[k].out[v->at[i]]
                                           : &sumi_front_run(c->from, k, run)[v->at[i] - v->n_out]);
    if (t[0].kind != SUMI_TENSOR) SUMI_FAIL(err, SUMI_E_TYPE, "value '%s' is no tensor", v->name[i]);
    if (i < v->n_visited) SUMI_TRY(take(user, i, first, n, t, err));
    for (size_t k = 0; i >= v->n_visited && k < v->networks; k++)
      SUMI_TRY(sumi_front_keep(c->to, k, run, i - v->n_visited, &t[k], err));
  }
  return SUMI_OK;
}

sumi_status sumi_calibrate_visit(const struct sumi_calibrate *c, size_t first, size_t n,
                                 const char *const *names, size_t n_names, sumi_calibrate_take *take,
                                 void *user, struct sumi_err *err) {
  const size_t batch = c->batch ? c->batch : BATCH;
  if (first + n > c->samples->n)
    SUMI_FAIL(err, SUMI_E_ARG, "samples %zu to %zu of %zu", first, first + n, c->samples->n);
  struct visit v = {.c = c, .networks = c->beside ? NETWORKS : 1};
  sumi_status status = list_names(&v, names, n_names, err);
  if (status == SUMI_OK) status = open_probe(&v, c->graph, &v.probe[0], err);
  if (status == SUMI_OK && c->beside) status = open_probe(&v, c->beside, &v.probe[1], err);
  for (size_t at = 0; at < n && status == SUMI_OK; at += batch)
    status = run_batch(&v, first + at, SUMI_MIN(batch, n - at), at / batch, take, user, err);
  close_visit(&v);
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
