/* Layers' times, from a session that measures its steps. */
#include "compress/profile.h"

#include <math.h>

#include "base/clock.h"
#include "base/size.h"
#include "exec/session.h"

enum { LEAST_RUNS = 5, MOST_RUNS = 1000 };

static void add_step(const struct sumi_node *node, double seconds, const struct sumi_layer *layers, size_t n,
                     double *layer_s, double *total_s) {
  *total_s += seconds;
  for (size_t i = 0; i < n; i++)
    if (sumi_streq(layers[i].node->name, node->name)) {
      layer_s[i] += seconds;
      return; /* several layers of one node: the first has it all */
    }
}

/* Sums up the last run: sum[n] and *total. */
static void add_run(const struct sumi_session *session, const struct sumi_layer *layers, size_t n,
                    double *sum, double *total) {
  *total = 0;
  for (size_t i = 0; i < n; i++) sum[i] = 0;
  for (const struct sumi_stage *s = session->execs->stages; s; s = s->children)
    for (size_t k = 0; k < s->plan.n_step + s->n_dynamic; k++)
      add_step(k < s->plan.n_step ? s->plan.step[k].node : s->dynamic[k - s->plan.n_step],
               s->timing[k].last_s, layers, n, sum, total);
}

static sumi_status measure(struct sumi_session *session, const struct sumi_view *in, size_t n_in,
                           double seconds, const struct sumi_layer *layers, size_t n, double *sum,
                           double *layer_s, double *total_s, struct sumi_err *err) {
  *total_s = INFINITY;
  for (size_t i = 0; i < n; i++) layer_s[i] = INFINITY;
  SUMI_TRY(sumi_session_execute(session, in, n_in, NULL, 0, err)); /* packs, and warms the caches */
  const double end = sumi_clock_seconds() + seconds;
  for (int run = 0; run < LEAST_RUNS || (run < MOST_RUNS && sumi_clock_seconds() < end); run++) {
    double total;
    SUMI_TRY(sumi_session_execute(session, in, n_in, NULL, 0, err));
    add_run(session, layers, n, sum, &total);
    *total_s = SUMI_MIN(*total_s, total);
    for (size_t i = 0; i < n; i++) layer_s[i] = SUMI_MIN(layer_s[i], sum[i]);
  }
  return SUMI_OK;
}

sumi_status sumi_profile_layers(const struct sumi_graph *g, const struct sumi_view *in, size_t n_in,
                                int threads, double seconds, const struct sumi_layer *layers, size_t n,
                                double *layer_s, double *total_s, struct sumi_err *err) {
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  const struct sumi_session_options o = {.size = sizeof o, .threads = threads, .profile = true};
  struct sumi_graph *copy = sumi_graph_clone(g, err);
  if (!copy) return err ? err->status : SUMI_E_MEMORY;
  SUMI_TRY(sumi_model_new(g->allocator, copy, &model, err));
  sumi_status status = sumi_session_init(model, &o, &session, err);
  double *sum = sumi_alloc(g->allocator, (n + 1) * sizeof *sum);
  if (!sum) status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK) status = measure(session, in, n_in, seconds, layers, n, sum, layer_s, total_s, err);
  sumi_free(g->allocator, sum, (n + 1) * sizeof *sum);
  sumi_session_fini(session);
  sumi_model_unref(model);
  return status;
}
