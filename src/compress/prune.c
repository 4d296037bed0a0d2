/* Pruning: options, the layers one after the other, what has changed. */
#include "compress/prune.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "compress/profile.h"
#include "compress/prune_data.h"
#include "compress/prune_int.h"

enum { LOSS_SAMPLES = 128, BATCH = 8 };
static const double PROFILE_SECONDS = 0.5;

/* ---- progress --------------------------------------------------------------------------------------------------- */

/* Seconds a layer takes, roughly: the samples through its share of both networks, then products of cols x cols matrices, and of
 * them with the weights, some tens of times. Only ratios count. */
static double work_of(const struct sumi_prune_job *job, size_t i) {
  const struct sumi_layer *l = &job->layer[i];
  const double cols = (double)sumi_layer_cols(l), rows = (double)l->product.rows;
  const double samples = job->o->samples ? (double)(job->o->samples->n / job->one) : 0;
  return 2 * samples * job->run_s / (double)job->n +
         cols * cols * (2 * cols * (double)l->product.groups + 40 * rows) / 50e9;
}

sumi_status sumi_prune_tell(struct sumi_prune_job *job, const char *what, const char *where) {
  job->what = what;
  job->where = where;
  if (!job->o->on_progress) return SUMI_OK;
  const double done = job->work > 0 ? job->worked / job->work : 0;
  const double spent = sumi_clock_seconds() - job->layers_s;
  const struct sumi_progress p = {
      .size = sizeof p,
      .what = what,
      .layer = where,
      .done = done,
      .seconds_left = done > 0.02 && job->layers_s > 0 ? spent / done * (1 - done) : -1};
  if (job->o->on_progress(job->o->user, &p)) return SUMI_OK;
  SUMI_FAIL(job->err, SUMI_E_STATE, "stopped");
}

static sumi_status get_watched(void *user, size_t first, size_t count, const struct sumi_view **views,
                               size_t *n_views, struct sumi_err *err) {
  struct sumi_prune_job *job = user;
  SUMI_TRY(sumi_prune_tell(job, job->what, job->where));
  return job->o->samples->get(job->o->samples->user, first, count, views, n_views, err);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

const char *sumi_prune_method(size_t i) {
  size_t n = 0;
  while (sumi_solve_methods[n]) n++;
  return i < n ? sumi_solve_methods[i] : NULL;
}

static sumi_status check_method(struct sumi_prune_job *job) {
  size_t n = 0;
  bool known = !job->o->method;
  for (; sumi_solve_methods[n]; n++)
    known |= job->o->method && sumi_streq(job->o->method, sumi_solve_methods[n]);
  if (!known) SUMI_FAIL(job->err, SUMI_E_ARG, "there is no method '%s'", job->o->method);
  job->method = job->o->method ? job->o->method : sumi_solve_methods[job->o->samples ? n - 1 : 0];
  if (!job->o->samples && !sumi_streq(job->method, "magnitude"))
    SUMI_FAIL(job->err, SUMI_E_ARG, "method '%s' needs calibration data; without, there is magnitude",
              job->method);
  return SUMI_OK;
}

static sumi_status check_budget(struct sumi_prune_job *job) {
  static const char *const known[] = {"uniform", "erk", "search"};
  const bool faster = job->o->speedup > 1;
  bool found = false;
  job->budget = job->o->budget ? job->o->budget : known[faster ? 2 : 0];
  for (size_t i = 0; i < SUMI_COUNT(known); i++) found |= sumi_streq(job->budget, known[i]);
  if (!found) SUMI_FAIL(job->err, SUMI_E_ARG, "there is no budget '%s'", job->budget);
  const bool search = sumi_streq(job->budget, "search");
  if (faster && !search)
    SUMI_FAIL(job->err, SUMI_E_ARG, "a speed-up is searched for: budget '%s' does not reach it", job->budget);
  if (search && !job->o->samples)
    SUMI_FAIL(job->err, SUMI_E_ARG, "a search for budgets needs calibration data");
  return SUMI_OK;
}

static sumi_status check_sparsity(struct sumi_prune_job *job) {
  const struct sumi_prune_options *o = job->o;
  double density = 0;
  char name[SUMI_PATTERN_NAME];
  const bool fixed = sumi_pattern_density(job->pattern, &density);
  sumi_pattern_print(job->pattern, name);
  if (!(o->sparsity >= 0 && o->sparsity < 1) || !(o->speedup == 0 || (o->speedup > 1 && o->speedup <= 1e6)))
    SUMI_FAIL(job->err, SUMI_E_ARG, "a sparsity is at least 0 and less than 1, a speed-up more than 1");
  if (o->sparsity > 0 && o->speedup > 0)
    SUMI_FAIL(job->err, SUMI_E_ARG, "either a sparsity or a speed-up is given, not both");
  if (!fixed && o->sparsity == 0 && o->speedup == 0)
    SUMI_FAIL(job->err, SUMI_E_ARG, "pattern %s leaves open how much: a sparsity or a speed-up is missing",
              name);
  if (fixed && !(density < 1)) SUMI_FAIL(job->err, SUMI_E_ARG, "pattern %s keeps every weight", name);
  const bool search = sumi_streq(job->budget, "search");
  if (fixed && o->sparsity > 0 && !search && fabs(1 - o->sparsity - density) > 1e-3)
    SUMI_FAIL(job->err, SUMI_E_ARG, "pattern %s has a sparsity of %.4g, not of %.4g", name, 1 - density,
              o->sparsity);
  if (fixed && sumi_streq(job->budget, "erk"))
    SUMI_FAIL(job->err, SUMI_E_ARG,
              "pattern %s has one density: there is nothing for budget 'erk' to share out", name);
  return SUMI_OK;
}

/* The first dim of the inputs where the model fixes it: the only batch it takes. 0: any. */
static size_t fixed_batch(const struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_info *f = &g->input[i]->info;
    if (!g->input[i]->constant && f->rank > 0 && f->dim[0] > 0) return (size_t)f->dim[0];
  }
  return 0;
}

static sumi_status check_samples(struct sumi_prune_job *job) {
  const struct sumi_samples *s = job->o->samples;
  const size_t fixed = job->fixed = fixed_batch(job->graph);
  job->one = fixed ? fixed : 1;
  if (!s) return SUMI_OK;
  if (!s->get || !s->n) SUMI_FAIL(job->err, SUMI_E_ARG, "there is no sample to calibrate on");
  if (fixed && s->n % fixed)
    SUMI_FAIL(job->err, SUMI_E_ARG, "the model takes %zu samples a run, and %zu are no multiple of it", fixed,
              s->n);
  job->typical = s->n / 2 - s->n / 2 % job->one;
  job->watched =
      (struct sumi_samples){.size = sizeof job->watched, .n = s->n, .get = get_watched, .user = job};
  job->calibrate = (struct sumi_calibrate){.graph = job->graph,
                                           .samples = &job->watched,
                                           .batch = fixed           ? fixed
                                                    : job->o->batch ? job->o->batch
                                                                    : BATCH,
                                           .threads = job->o->threads ? job->o->threads : 1};
  return SUMI_OK;
}

static sumi_status check_options(struct sumi_prune_job *job) {
  SUMI_TRY(sumi_pattern_parse(job->o->pattern ? job->o->pattern : "1x1", &job->pattern, job->err));
  SUMI_TRY(check_method(job));
  SUMI_TRY(check_budget(job));
  SUMI_TRY(check_sparsity(job));
  return check_samples(job);
}

/* ---- state ------------------------------------------------------------------------------------------------------ */

/* Stands for everything the result depends on. */
static sumi_status key_of(const struct sumi_prune_job *job, uint64_t model_hash, uint64_t samples_hash,
                          uint64_t *key) {
  const struct sumi_prune_options *o = job->o;
  struct sumi_text t;
  char name[SUMI_PATTERN_NAME];
  sumi_text_init(&t, job->graph->allocator);
  sumi_text_add(&t, "%s %" PRIx64 " %" PRIx64 " %s %s %s %a %a %d %zu %zu%s", SUMI_VERSION, model_hash,
                samples_hash, sumi_pattern_print(job->pattern, name), job->method, job->budget, o->sparsity,
                o->speedup, o->ends, job->calibrate.batch, o->samples ? o->samples->n : 0,
                o->gradual > 0 ? " gradual" : "");
  for (size_t i = 0; i < o->n_layers; i++) sumi_text_add(&t, "\n+%s", o->layers[i]);
  for (size_t i = 0; i < o->n_skip; i++) sumi_text_add(&t, "\n-%s", o->skip[i]);
  *key = sumi_hash(sumi_text_str(&t), t.size, 0);
  const bool failed = t.failed;
  sumi_text_fini(&t);
  if (failed) SUMI_FAIL_MEMORY(job->err);
  return SUMI_OK;
}

/* Numbers of a layer's record: its weights, and its bias where that is corrected. */
static size_t numbers_of(const struct sumi_prune_job *job, const struct sumi_layer *l) {
  const int64_t rows = l->product.rows;
  return (size_t)(rows * sumi_layer_cols(l) + (sumi_prune_corrects(job, l) ? rows : 0));
}

/* A layer has its new weights, and behind them its bias where that is corrected. */
static sumi_status settle(struct sumi_prune_job *job, size_t i, const float *w, double error) {
  struct sumi_layer *l = &job->layer[i];
  struct sumi_prune_layer *p = &job->plan[i];
  const int64_t count = l->product.rows * sumi_layer_cols(l);
  int64_t kept = 0;
  for (int64_t k = 0; k < count; k++) kept += w[k] != 0;
  SUMI_TRY(sumi_layer_write(l, w, job->err));
  if (sumi_prune_corrects(job, l)) SUMI_TRY(sumi_layer_write_bias(l, w + count, job->err));
  p->kept = count ? (double)kept / (double)count : 1;
  p->error = error;
  p->done = true;
  job->worked += work_of(job, i);
  return SUMI_OK;
}

/* Layers as an earlier run of the same job left them. */
static sumi_status go_on(struct sumi_prune_job *job, size_t *resumed) {
  struct sumi_state_record r;
  for (size_t i = 0; sumi_state_get(&job->state, i, &r); i++) {
    if (r.kind != SUMI_STATE_LAYER || r.number >= job->n || !sumi_prune_is_open(&job->plan[r.number]))
      continue;
    const size_t bytes = numbers_of(job, &job->layer[r.number]) * sizeof(float);
    if (r.bytes != bytes) continue;
    float *w = sumi_alloc(job->graph->allocator, bytes);
    if (!w) SUMI_FAIL_MEMORY(job->err);
    memcpy(w, r.data, bytes);
    const sumi_status status = settle(job, (size_t)r.number, w, r.figure);
    sumi_free(job->graph->allocator, w, bytes);
    SUMI_TRY(status);
    ++*resumed;
  }
  return SUMI_OK;
}

/* ---- layers ----------------------------------------------------------------------------------------------------- */

static sumi_status prune_layer(struct sumi_prune_job *job, size_t i, const struct sumi_layer_pair *stats,
                               struct sumi_arena *arena) {
  const struct sumi_layer *l = &job->layer[i];
  struct sumi_prune_layer *p = &job->plan[i];
  const size_t count = (size_t)(l->product.rows * sumi_layer_cols(l)), numbers = numbers_of(job, l);
  const double start = sumi_clock_seconds();
  double error;
  SUMI_TRY(sumi_prune_tell(job, job->method, l->node->name));
  float *w = SUMI_NEW_ARRAY(arena, numbers, float);
  if (!w) SUMI_FAIL_MEMORY(job->err);
  SUMI_TRY(sumi_prune_solve(job, l, job->method, sumi_prune_density_before(job, p->density), stats, arena, w,
                            &error, job->err));
  if (numbers > count)
    SUMI_TRY(sumi_prune_correct(job, l, &stats->beside, &stats->now, arena, w, w + count, job->err));
  p->seconds = sumi_clock_seconds() - start;
  SUMI_TRY(settle(job, i, w, job->o->samples ? error : -1));
  const struct sumi_state_record r = {SUMI_STATE_LAYER, i, p->error, w, numbers * sizeof *w};
  return sumi_state_add(&job->state, &r, job->err);
}

static sumi_status prune_group(struct sumi_prune_job *job, const size_t *group, size_t n) {
  struct sumi_arena arena, work;
  sumi_arena_init(&arena, job->graph->allocator);
  sumi_arena_init(&work, job->graph->allocator);
  struct sumi_layer_pair *stats = SUMI_NEW_ARRAY(&arena, n, struct sumi_layer_pair);
  sumi_status status = stats ? sumi_prune_calibrate(job, true, group, n, &arena, stats)
                             : sumi_err_set(job->err, SUMI_E_MEMORY, "out of memory");
  for (size_t i = 0; i < n && status == SUMI_OK; i++) {
    sumi_arena_reset(&work);
    status = prune_layer(job, group[i], &stats[i], &work);
  }
  sumi_arena_fini(&work);
  sumi_arena_fini(&arena);
  return status;
}

static sumi_status prune_layers(struct sumi_prune_job *job) {
  size_t *group = SUMI_NEW_ARRAY(&job->arena, job->n, size_t), n, next;
  if (!group) SUMI_FAIL_MEMORY(job->err);
  job->layers_s = sumi_clock_seconds();
  for (size_t at = 0; at < job->n; at = next) {
    SUMI_TRY(sumi_prune_group(job, at, true, group, &n, &next));
    if (n) SUMI_TRY(prune_group(job, group, n));
  }
  sumi_front_fini(&job->front);
  return SUMI_OK;
}

/* ---- what has changed ------------------------------------------------------------------------------------------- */

static sumi_status add_metadata(const struct sumi_prune_job *job, struct sumi_changes *changes,
                                const struct sumi_prune_info *info) {
  char pattern[SUMI_PATTERN_NAME], sparsity[32], tuning[128];
  sumi_pattern_print(job->pattern, pattern);
  snprintf(sparsity, sizeof sparsity, "%.4f", info->sparsity);
  const char *const entry[][2] = {{"sumi.prune.pattern", pattern},
                                  {"sumi.prune.sparsity", sparsity},
                                  {"sumi.prune.method", job->method},
                                  {"sumi.prune.budget", job->budget},
                                  {"sumi.prune.calibration", info->calibration},
                                  {"sumi.prune.version", SUMI_VERSION},
                                  {"sumi.prune.tuning", tuning}};
  snprintf(tuning, sizeof tuning, "reconstruct %zu, finetune %zu, gradual %g, %s", job->o->reconstruct,
           job->o->finetune, job->o->gradual, job->o->tune_loss ? job->o->tune_loss : "mse");
  for (size_t i = 0; i < SUMI_COUNT(entry) - !sumi_prune_tunes(job); i++) {
    const struct sumi_change c = {.kind = SUMI_CHANGE_METADATA, .name = entry[i][0], .text = entry[i][1]};
    SUMI_TRY(sumi_changes_add(changes, &c, job->err));
  }
  return SUMI_OK;
}

static sumi_status add_constant(const struct sumi_prune_job *job, const struct sumi_value *v,
                                struct sumi_changes *changes) {
  const struct sumi_change c = {
      .kind = SUMI_CHANGE_CONSTANT, .name = v->name, .tensor = v->constant, .axis = INT64_MIN};
  return sumi_changes_add(changes, &c, job->err);
}

/* Weights and biases; weights one change each, though several layers may lie in one tensor. */
static sumi_status add_weights(const struct sumi_prune_job *job, struct sumi_changes *changes) {
  for (size_t i = 0; i < job->n; i++) {
    bool known = false;
    for (size_t k = 0; k < i && !known; k++)
      known = job->plan[k].done && job->layer[k].weight == job->layer[i].weight;
    if (!job->plan[i].done) continue;
    if (!known) SUMI_TRY(add_constant(job, job->layer[i].weight, changes));
    if (sumi_prune_corrects(job, &job->layer[i])) SUMI_TRY(add_constant(job, job->layer[i].bias, changes));
  }
  return SUMI_OK;
}

static void sum_up(const struct sumi_prune_job *job, struct sumi_prune_info *info) {
  double weights = 0, kept = 0;
  info->layers = job->n;
  for (size_t i = 0; i < job->n; i++) {
    const double w = (double)(job->layer[i].product.rows * sumi_layer_cols(&job->layer[i]));
    if (!job->plan[i].done) continue;
    info->pruned++;
    weights += w;
    kept += w * job->plan[i].kept;
  }
  info->sparsity = weights > 0 ? 1 - kept / weights : 0;
  snprintf(info->method, sizeof info->method, "%s", job->method);
  snprintf(info->budget, sizeof info->budget, "%s", job->budget);
}

static void tell_layers(const struct sumi_prune_job *job) {
  for (size_t i = 0; job->o->on_layer && i < job->n; i++) {
    const struct sumi_layer *l = &job->layer[i];
    const struct sumi_prune_layer *p = &job->plan[i];
    const struct sumi_pruned_layer_info info = {.size = sizeof info,
                                                .name = l->node->name,
                                                .op = l->node->op_name,
                                                .weight = l->weight->name,
                                                .weights = l->product.rows * sumi_layer_cols(l),
                                                .density = p->kept,
                                                .error = p->error,
                                                .seconds = p->seconds,
                                                .dense_s = p->dense_s,
                                                .sparse_s = p->sparse_s,
                                                .why = p->why ? p->why : ""};
    job->o->on_layer(job->o->user, &info);
  }
}

/* ---- the job ---------------------------------------------------------------------------------------------------- */

/* One run of one sample on g: all of it into *total_s, layers' into the plan, as times of the dense network or the other's; where
 * there are some already, the lesser. */
static sumi_status time_layers(struct sumi_prune_job *job, const struct sumi_graph *g, bool dense,
                               double *total_s) {
  const struct sumi_view *in;
  size_t n_in;
  double *layer_s = SUMI_NEW_ARRAY(&job->arena, job->n, double), all_s;
  if (!layer_s) SUMI_FAIL_MEMORY(job->err);
  SUMI_TRY(sumi_prune_tell(job, "measure", ""));
  SUMI_TRY(job->o->samples->get(job->o->samples->user, job->typical, job->one, &in, &n_in, job->err));
  SUMI_TRY(sumi_profile_layers(g, in, n_in, job->calibrate.threads, PROFILE_SECONDS, job->layer, job->n,
                               layer_s, &all_s, job->err));
  *total_s = *total_s < 0 ? all_s : SUMI_MIN(*total_s, all_s);
  for (size_t i = 0; i < job->n; i++) {
    double *known_s = dense ? &job->plan[i].dense_s : &job->plan[i].sparse_s;
    *known_s = *known_s < 0 ? layer_s[i] : SUMI_MIN(*known_s, layer_s[i]);
  }
  return SUMI_OK;
}

/* Both networks in turns: pruning takes minutes, in which a machine may become slower or faster. */
static sumi_status compare_times(struct sumi_prune_job *job, struct sumi_prune_info *info) {
  enum { TURNS = 2 };
  info->dense_s = info->sparse_s = -1;
  for (size_t i = 0; i < job->n; i++) job->plan[i].dense_s = job->plan[i].sparse_s = -1;
  for (int turn = 0; turn < TURNS; turn++) {
    SUMI_TRY(time_layers(job, job->dense, true, &info->dense_s));
    SUMI_TRY(time_layers(job, job->graph, false, &info->sparse_s));
  }
  return SUMI_OK;
}

/* Everything between looking at the network before and after. */
static sumi_status change(struct sumi_prune_job *job, uint64_t key, struct sumi_prune_info *info) {
  SUMI_TRY(sumi_state_open(&job->state, job->graph->allocator, job->o->state, key, job->o->resume, job->err));
  SUMI_TRY(sumi_prune_allot(job));
  for (size_t i = 0; i < job->n; i++)
    if (!job->plan[i].why) job->work += work_of(job, i);
  job->work += sumi_prune_tuning_work(job);
  SUMI_TRY(go_on(job, &info->resumed));
  job->work -= job->worked; /* what is left to do, for the time left */
  job->worked = 0;
  return prune_layers(job);
}

/* What was lost by pruning, then what is after tuning. */
static sumi_status tune(struct sumi_prune_job *job, struct sumi_outputs *outputs,
                        struct sumi_prune_info *info) {
  const double start = sumi_clock_seconds();
  info->pruned_loss = info->loss;
  SUMI_TRY(sumi_prune_tune(job));
  info->tuning_s = sumi_clock_seconds() - start;
  return sumi_outputs_compare(outputs, &job->calibrate, &info->loss, job->err);
}

static sumi_status prune(struct sumi_prune_job *job, uint64_t model_hash, struct sumi_outputs *outputs,
                         struct sumi_prune_info *info) {
  const bool measured = job->o->samples;
  uint64_t hash = 0, key;
  SUMI_TRY(check_options(job));
  sumi_constants_keep(job->graph);
  SUMI_TRY(sumi_calibrate_fix_defaults(job->graph, job->o->samples, job->calibrate.batch, job->err));
  SUMI_TRY(sumi_prepare_weights(job->graph, &job->prepared, job->err));
  SUMI_TRY(sumi_prune_choose(job));
  job->what = "measure";
  job->where = "";
  if (measured && !(job->dense = sumi_graph_clone(job->graph, job->err))) return job->err->status;
  SUMI_TRY(sumi_prune_check_tuning(job));
  if (measured) {
    SUMI_TRY(sumi_samples_hash(&job->watched, job->calibrate.batch, &hash, job->err));
    snprintf(info->calibration, sizeof info->calibration, "%016" PRIx64, hash);
    SUMI_TRY(sumi_outputs_keep(outputs, &job->calibrate, LOSS_SAMPLES, job->err));
    SUMI_TRY(time_layers(job, job->graph, true, &info->dense_s));
    job->run_s = info->dense_s;
  }
  SUMI_TRY(key_of(job, model_hash, hash, &key));
  SUMI_TRY(change(job, key, info));
  if (measured) {
    SUMI_TRY(sumi_outputs_compare(outputs, &job->calibrate, &info->loss, job->err));
    if (sumi_prune_tunes(job)) SUMI_TRY(tune(job, outputs, info));
    SUMI_TRY(compare_times(job, info));
  }
  return SUMI_OK;
}

sumi_status sumi_prune(struct sumi_graph *g, const struct sumi_graph *teacher, uint64_t model_hash,
                       const struct sumi_prune_options *o, struct sumi_changes *changes,
                       struct sumi_prune_info *info, struct sumi_err *err) {
  struct sumi_err own = SUMI_ERR_INIT;
  struct sumi_outputs outputs = {0};
  struct sumi_prune_job job = {
      .o = o, .err = err ? err : &own, .graph = g, .teacher = teacher, .state.fd = -1};
  const double start = sumi_clock_seconds();
  *info = (struct sumi_prune_info){
      .size = sizeof *info, .loss = -1, .dense_s = -1, .sparse_s = -1, .pruned_loss = -1};
  sumi_arena_init(&job.arena, g->allocator);
  sumi_prepared_init(&job.prepared, g->allocator);
  sumi_status status = prune(&job, model_hash, &outputs, info);
  if (status == SUMI_OK) {
    sum_up(&job, info);
    status = sumi_prepared_put(&job.prepared, g, changes, job.err);
    if (status == SUMI_OK) status = add_weights(&job, changes);
    if (status == SUMI_OK && sumi_prune_tunes(&job)) status = sumi_prune_add_tuned(&job, changes);
  }
  if (status == SUMI_OK) status = add_metadata(&job, changes, info);
  info->seconds = sumi_clock_seconds() - start;
  if (status == SUMI_OK) tell_layers(&job);
  sumi_outputs_fini(&outputs);
  sumi_front_fini(&job.front);
  sumi_graph_free(job.dense);
  sumi_state_close(&job.state);
  sumi_prepared_fini(&job.prepared);
  sumi_arena_fini(&job.arena);
  return status;
}
