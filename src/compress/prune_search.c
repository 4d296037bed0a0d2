/* Densities of the layers: equal, by a formula, or chosen by what each costs and loses. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/budget.h"
#include "compress/profile.h"
#include "compress/prune_data.h"
#include "compress/prune_int.h"

static const double PROFILE_SECONDS = 0.3; /* for one network */
/* One layer's loss is weighed at the outputs on samples that it has not seen, at WEIGHED levels spread over all. */
enum { WEIGH_SAMPLES = 64, WEIGHED = 3 };

/* What can be chosen, and what it means: tables [n][levels] over the open layers. */
struct search {
  struct sumi_prune_job *job;
  double level[SUMI_BUDGET_LEVELS];
  size_t levels, n;
  size_t *open; /* [n] numbers of layers */
  double *cost, *loss;
  struct sumi_samples_part most, apart; /* for layers to be fitted on, and to be weighed on */
  struct sumi_calibrate weighing;       /* the network on what is apart */
  struct sumi_outputs outputs;          /* the dense network's, of what is apart */
  struct sumi_arena arena;
};

static double weights_of(const struct sumi_layer *l) {
  return (double)l->product.rows * (double)sumi_layer_cols(l);
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

/* A copy of the network in which every open layer has the density, by magnitude. */
static sumi_status thin_copy(struct search *s, double density, struct sumi_graph **out) {
  struct sumi_prune_job *job = s->job;
  const struct sumi_layer_pair none = {0};
  struct sumi_layer *layer;
  size_t n;
  struct sumi_arena arena;
  if (!(*out = sumi_graph_clone(job->graph, job->err))) return job->err->status;
  sumi_arena_init(&arena, job->graph->allocator);
  sumi_status status = sumi_layers_find(*out, &s->arena, &layer, &n, job->err);
  for (size_t i = 0; i < s->n && status == SUMI_OK; i++) {
    struct sumi_layer *l = &layer[s->open[i]];
    double error;
    sumi_arena_reset(&arena);
    float *w = sumi_arena_array(&arena, (size_t)weights_of(l), sizeof *w);
    status = w ? sumi_prune_solve(job, l, "magnitude", density, &none, &arena, w, &error, job->err)
               : sumi_err_set(job->err, SUMI_E_MEMORY, "out of memory");
    if (status == SUMI_OK) status = sumi_layer_write(l, w, job->err);
  }
  sumi_arena_fini(&arena);
  return status;
}

/* Column k of the costs: every layer's time at density level[k]. */
static sumi_status time_level(struct search *s, size_t k, double *layer_s, double *total_s) {
  struct sumi_prune_job *job = s->job;
  struct sumi_graph *copy = NULL;
  const struct sumi_view *in = NULL;
  size_t n_in = 0;
  SUMI_TRY(sumi_prune_tell(job, "measure", ""));
  sumi_status status = s->level[k] < 1 ? thin_copy(s, s->level[k], &copy) : SUMI_OK;
  if (status == SUMI_OK)
    status = job->o->samples->get(job->o->samples->user, job->typical, job->one, &in, &n_in, job->err);
  if (status == SUMI_OK)
    status = sumi_profile_layers(copy ? copy : job->graph, in, n_in, job->calibrate.threads, PROFILE_SECONDS,
                                 job->layer, job->n, layer_s, total_s, job->err);
  sumi_graph_free(copy);
  for (size_t i = 0; i < s->n && status == SUMI_OK; i++) {
    double *cost = s->cost + i * s->levels + k;
    *cost = layer_s[s->open[i]];
    if (k && *cost > cost[-1])
      *cost = cost[-1]; /* what is noise, or where the dense kernel is the faster one */
  }
  return status;
}

/* Times; *limit: what the layers may take together for the speed-up that is asked for. */
static sumi_status fill_times(struct search *s, double *limit) {
  const struct sumi_prune_job *job = s->job;
  double *layer_s = SUMI_NEW_ARRAY(&s->arena, job->n, double), dense_s = 0, other_s = 0, least_s = 0;
  if (!layer_s) SUMI_FAIL_MEMORY(job->err);
  for (size_t k = 0; k < s->levels; k++) {
    double total_s;
    SUMI_TRY(time_level(s, k, layer_s, &total_s));
    if (!k) dense_s = total_s;
  }
  other_s = dense_s;
  for (size_t i = 0; i < s->n; i++) {
    other_s -= s->cost[i * s->levels];
    least_s += s->cost[(i + 1) * s->levels - 1];
  }
  *limit = dense_s / job->o->speedup - other_s;
  if (*limit < least_s)
    SUMI_FAIL(
        job->err, SUMI_E_VALUE,
        "a speed-up of %.3g cannot be reached: of %.3f ms a run %.3f ms are outside of the layers to prune, "
        "whose least time is %.3f ms; at most %.2f",
        job->o->speedup, 1e3 * dense_s, 1e3 * other_s, 1e3 * least_s, dense_s / (other_s + least_s));
  return SUMI_OK;
}

static sumi_status fill_weights(struct search *s, double *limit) {
  *limit = 0;
  for (size_t i = 0; i < s->n; i++) {
    const double weights = weights_of(&s->job->layer[s->open[i]]);
    *limit += weights * (1 - s->job->o->sparsity);
    for (size_t k = 0; k < s->levels; k++) s->cost[i * s->levels + k] = weights * s->level[k];
  }
  return SUMI_OK;
}

/* The loss of the network's outputs with w in place of the layer's weights, everything else dense. */
static sumi_status weigh(struct search *s, struct sumi_layer *l, const float *w, struct sumi_arena *arena,
                         double *loss) {
  struct sumi_prune_job *job = s->job;
  float *dense = sumi_arena_array(arena, (size_t)weights_of(l), sizeof *dense);
  if (!dense) SUMI_FAIL_MEMORY(job->err);
  sumi_layer_read(l, dense);
  SUMI_TRY(sumi_layer_write(l, w, job->err));
  const sumi_status status = sumi_outputs_compare(&s->outputs, &s->weighing, loss, job->err);
  const sumi_status back = sumi_layer_write(l, dense, job->err);
  return status == SUMI_OK ? back : status;
}

static bool is_weighed(const struct search *s, size_t k) {
  for (size_t i = 1; i <= WEIGHED; i++)
    if (k == i * s->levels / (WEIGHED + 1)) return true;
  return false;
}

/* From layers' own errors to losses at the outputs: factor[k] where that is known (> 0), between two of these as their geometric
 * mean by distance, beyond the last of them the nearest. */
static void carry(const struct search *s, const double *factor, double *loss) {
  for (size_t k = 0; k < s->levels; k++) {
    size_t below = k, above = k;
    while (below > 0 && !(factor[below] > 0)) below--;
    while (above + 1 < s->levels && !(factor[above] > 0)) above++;
    if (!(factor[below] > 0)) below = above;
    if (!(factor[above] > 0)) above = below;
    if (!(factor[below] > 0)) continue; /* none is known */
    const double share = above > below ? (double)(k - below) / (double)(above - below) : 0;
    loss[k] *= pow(factor[below], 1 - share) * pow(factor[above], share);
  }
}

/* What the outputs lose by one layer at every level, on statistics of the dense network: at some levels by running it, at the
 * others by the layer's own error. A residual block hides errors that a layer by itself hands on, and what a late layer
 * loses on samples that it was fitted on says little about others. */
static sumi_status fill_losses_of(struct search *s, size_t i, const struct sumi_layer_pair *stats) {
  struct sumi_prune_job *job = s->job;
  struct sumi_layer *l = &job->layer[s->open[i]];
  double *loss = s->loss + i * s->levels, factor[SUMI_BUDGET_LEVELS] = {0};
  struct sumi_arena arena;
  sumi_arena_init(&arena, job->graph->allocator);
  sumi_status status = SUMI_OK;
  for (size_t k = 0; k < s->levels && status == SUMI_OK; k++) {
    loss[k] = 0;
    if (s->level[k] >= 1) continue;
    status = sumi_prune_tell(job, "search", l->node->name);
    sumi_arena_reset(&arena);
    float *w = sumi_arena_array(&arena, (size_t)weights_of(l), sizeof *w);
    if (!w) status = sumi_err_set(job->err, SUMI_E_MEMORY, "out of memory");
    /* one pass over the columns orders the levels as the best method does, in a fraction of its time */
    if (status == SUMI_OK)
      status = sumi_prune_solve(job, l, "sparsegpt", s->level[k], stats, &arena, w, &loss[k], job->err);
    if (status != SUMI_OK || !is_weighed(s, k) || !(loss[k] > 0)) continue;
    double at_outputs;
    status = weigh(s, l, w, &arena, &at_outputs);
    if (at_outputs > 0) factor[k] = at_outputs / loss[k];
  }
  sumi_arena_fini(&arena);
  carry(s, factor, loss);
  return status;
}

/* The layers of one group, and which is the first of the next. */
static sumi_status fill_group(struct search *s, size_t at, size_t *group, struct sumi_layer_pair *stats,
                              size_t *done, size_t *next) {
  struct sumi_prune_job *job = s->job;
  const struct sumi_samples *const all = job->calibrate.samples;
  size_t n;
  struct sumi_arena arena;
  SUMI_TRY(sumi_prune_group(job, at, false, group, &n, next));
  sumi_arena_init(&arena, job->graph->allocator);
  job->calibrate.samples = &s->most.samples;
  sumi_status status = n ? sumi_prune_calibrate(job, false, group, n, &arena, stats) : SUMI_OK;
  job->calibrate.samples = all;
  for (size_t i = 0; i < n && status == SUMI_OK; i++) status = fill_losses_of(s, (*done)++, &stats[i]);
  sumi_arena_fini(&arena);
  return status;
}

static sumi_status fill_losses(struct search *s) {
  struct sumi_prune_job *job = s->job;
  size_t *group = SUMI_NEW_ARRAY(&s->arena, job->n, size_t), next, done = 0;
  struct sumi_layer_pair *stats = SUMI_NEW_ARRAY(&s->arena, job->n, struct sumi_layer_pair);
  if (!group || !stats) SUMI_FAIL_MEMORY(job->err);
  s->weighing = job->calibrate;
  sumi_samples_split(s->weighing.samples, s->weighing.batch, &s->most, &s->apart);
  s->weighing.samples = &s->apart.samples;
  SUMI_TRY(sumi_outputs_keep(&s->outputs, &s->weighing, WEIGH_SAMPLES, job->err));
  for (size_t at = 0; at < job->n; at = next) SUMI_TRY(fill_group(s, at, group, stats, &done, &next));
  return SUMI_OK;
}

/* ---- budgets ---------------------------------------------------------------------------------------------------- */

static sumi_status search(struct search *s) {
  struct sumi_prune_job *job = s->job;
  size_t cells;
  double limit = 0;
  if (!sumi_size_mul(s->n, s->levels, &cells)) SUMI_FAIL_MEMORY(job->err);
  s->cost = SUMI_NEW_ARRAY(&s->arena, cells, double);
  s->loss = SUMI_NEW_ARRAY(&s->arena, cells, double);
  uint8_t *choice = sumi_arena_alloc(&s->arena, s->n);
  if (!s->cost || !s->loss || !choice) SUMI_FAIL_MEMORY(job->err);
  SUMI_TRY(job->o->speedup > 1 ? fill_times(s, &limit) : fill_weights(s, &limit));
  SUMI_TRY(fill_losses(s));
  SUMI_TRY(
      sumi_budget_search(s->cost, s->loss, s->n, s->levels, limit, job->graph->allocator, choice, job->err));
  for (size_t i = 0; i < s->n; i++) job->plan[s->open[i]].density = s->level[choice[i]];
  return SUMI_OK;
}

static sumi_status by_formula(struct search *s) {
  struct sumi_prune_job *job = s->job;
  struct sumi_budget_layer *layer = SUMI_NEW_ARRAY(&s->arena, s->n, struct sumi_budget_layer);
  double *density = SUMI_NEW_ARRAY(&s->arena, s->n, double);
  if (!layer || !density) SUMI_FAIL_MEMORY(job->err);
  for (size_t i = 0; i < s->n; i++) {
    const struct sumi_op_product *p = &job->layer[s->open[i]].product;
    layer[i].weights = weights_of(&job->layer[s->open[i]]);
    layer[i].dims = (double)(p->rows + p->channels * p->groups + p->taps);
  }
  sumi_budget_erk(layer, s->n, 1 - job->o->sparsity, density);
  for (size_t i = 0; i < s->n; i++) job->plan[s->open[i]].density = density[i];
  return SUMI_OK;
}

/* Times change with the logarithm of what is left over a wide range; a sparsity is asked for as a mean, and lies among finer
 * levels about it. */
static void set_levels(struct search *s) {
  const double keep = 1 - s->job->o->sparsity;
  double fixed;
  s->levels = SUMI_BUDGET_LEVELS;
  if (sumi_pattern_density(s->job->pattern, &fixed)) {
    s->levels = 2;
    s->level[0] = 1;
    s->level[1] = fixed;
    return;
  }
  for (size_t k = 0; k < s->levels; k++)
    s->level[k] =
        s->job->o->speedup > 1 ? sumi_budget_level[k] : pow(keep, 2 * (double)k / (double)s->levels);
}

static sumi_status allot(struct search *s) {
  struct sumi_prune_job *job = s->job;
  double density = 1 - job->o->sparsity;
  sumi_pattern_density(job->pattern, &density);
  set_levels(s);
  if (sumi_streq(job->budget, "search")) return search(s);
  if (sumi_streq(job->budget, "erk")) return by_formula(s);
  for (size_t i = 0; i < s->n; i++) job->plan[s->open[i]].density = density;
  return SUMI_OK;
}

/* Densities as the state has them; false: it has none. */
static bool from_state(struct sumi_prune_job *job) {
  struct sumi_state_record r;
  if (!sumi_state_get(&job->state, 0, &r) || r.kind != SUMI_STATE_BUDGET ||
      r.bytes != job->n * sizeof(double))
    return false;
  for (size_t i = 0; i < job->n; i++)
    memcpy(&job->plan[i].density, (const char *)r.data + i * sizeof(double), sizeof(double));
  return true;
}

static sumi_status to_state(struct sumi_prune_job *job) {
  double *density = SUMI_NEW_ARRAY(&job->arena, job->n, double);
  if (!density) SUMI_FAIL_MEMORY(job->err);
  for (size_t i = 0; i < job->n; i++) density[i] = job->plan[i].density;
  const struct sumi_state_record r = {
      .kind = SUMI_STATE_BUDGET, .data = density, .bytes = job->n * sizeof *density};
  return sumi_state_add(&job->state, &r, job->err);
}

sumi_status sumi_prune_allot(struct sumi_prune_job *job) {
  struct search s = {.job = job};
  sumi_status status = SUMI_OK;
  if (!from_state(job)) {
    sumi_arena_init(&s.arena, job->graph->allocator);
    s.open = SUMI_NEW_ARRAY(&s.arena, job->n, size_t);
    if (!s.open) status = sumi_err_set(job->err, SUMI_E_MEMORY, "out of memory");
    for (size_t i = 0; s.open && i < job->n; i++)
      if (sumi_prune_is_open(&job->plan[i])) s.open[s.n++] = i;
    if (status == SUMI_OK) status = allot(&s);
    sumi_outputs_fini(&s.outputs);
    sumi_arena_fini(&s.arena);
    if (status == SUMI_OK) status = to_state(job);
  }
  for (size_t i = 0; i < job->n && status == SUMI_OK; i++)
    if (!job->plan[i].why && job->plan[i].density >= 1) job->plan[i].why = "the budget leaves it dense";
  return status;
}
