/* Tuning of a pruned network towards the dense one: block by block with masks fixed, then as a whole, while more weights may go.
 * Whether it can be done is known before anything is pruned. Reconstruction begins anew in a job that was stopped; finetuning goes on
 * from its last epoch, or from where it was stopped. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "base/text.h"
#include "compress/layer.h"
#include "compress/prune_data.h"
#include "compress/prune_int.h"

/* A step is a run of the dense network, one of the pruned one and one backwards, which costs two. */
enum { RUNS_OF_STEP = 4 };

bool sumi_prune_tunes(const struct sumi_prune_job *job) { return job->o->reconstruct || job->o->finetune; }

/* ---- before pruning --------------------------------------------------------------------------------------------- */

/* What a sample looks like, without its numbers. */
static uint64_t look_of(const struct sumi_view *v, size_t n) {
  uint64_t look = 0;
  for (size_t i = 0; i < n; i++) {
    look = sumi_hash(v[i].name, strlen(v[i].name), look);
    look = sumi_hash(&v[i].dtype, sizeof v[i].dtype, look);
    look = sumi_hash(v[i].dims, (size_t)v[i].rank * sizeof *v[i].dims, look);
  }
  return look;
}

/* Samples that look alike are shuffled one by one; others come in runs of neighbours, which whoever gives them pads. */
static sumi_status look_at_samples(struct sumi_prune_job *job, struct sumi_tune *t) {
  const struct sumi_samples *s = t->samples;
  bool alike = job->one == 1, pictures = false;
  uint64_t first = 0;
  for (size_t i = 0; i < s->n && alike; i++) {
    const struct sumi_view *v;
    size_t n;
    SUMI_TRY(s->get(s->user, i, 1, &v, &n, job->err));
    for (size_t k = 0; k < n; k++) {
      pictures |= v[k].rank == 4;
      alike &= v[k].kind == SUMI_TENSOR && v[k].dtype != SUMI_STRING && v[k].rank > 0 && v[k].dims[0] == 1;
    }
    const uint64_t look = look_of(v, n);
    if (!i) first = look;
    alike &= look == first;
  }
  t->consecutive = !alike;
  if (t->augment && !(alike && pictures))
    SUMI_FAIL(job->err, SUMI_E_ARG,
              "samples are shifted and mirrored only where each is one picture, all of one size");
  return SUMI_OK;
}

/* Every operator on the way has a gradient, every weight is float32, options are good. */
static sumi_status try_part(const struct sumi_prune_job *job, const struct sumi_tune *whole,
                            const struct sumi_block_part *part) {
  struct sumi_tune t = *whole;
  struct sumi_tuner *tuner;
  if (part) {
    t.from = part->from;
    t.n_from = part->n_from;
    t.to = part->to;
  }
  SUMI_TRY(sumi_tuner_new(&t, job->graph->allocator, &tuner, job->err));
  sumi_tuner_free(tuner);
  return SUMI_OK;
}

static sumi_status check_tuning_options(const struct sumi_prune_job *job) {
  const struct sumi_prune_options *o = job->o;
  const bool of_whole = o->tune_loss || o->tune_samples || o->tune_batch || o->label_share != 0 ||
                        o->temperature != 0 || o->tune_precision || o->teacher || o->gradual != 0;
  if (!sumi_prune_tunes(job) && (o->augment || of_whole || o->tune_rate != 0))
    SUMI_FAIL(job->err, SUMI_E_ARG, "options of tuning are given, but no epochs of it");
  if (!o->finetune && of_whole)
    SUMI_FAIL(job->err, SUMI_E_ARG, "options of finetune are given, but no epochs of it");
  if (sumi_prune_tunes(job) && !o->samples) SUMI_FAIL(job->err, SUMI_E_ARG, "tuning needs calibration data");
  if (!(o->tune_rate >= 0)) SUMI_FAIL(job->err, SUMI_E_ARG, "a rate of %g", o->tune_rate);
  if (!(o->gradual >= 0 && o->gradual < 1))
    SUMI_FAIL(job->err, SUMI_E_ARG, "the sparsity is to rise over a share of %g of finetune", o->gradual);
  if (o->gradual > 0 && job->pattern.kind != SUMI_PATTERN_BLOCK)
    SUMI_FAIL(job->err, SUMI_E_ARG, "a pattern of one density has no other from which it could rise");
  if (!(o->temperature >= 0)) SUMI_FAIL(job->err, SUMI_E_ARG, "a temperature of %g", o->temperature);
  return SUMI_OK;
}

/* The whole network, on samples of its own where they are given. */
static sumi_status check_finetuning(struct sumi_prune_job *job) {
  const struct sumi_prune_options *o = job->o;
  struct sumi_tune *t = &job->whole;
  *t = job->tune;
  if (job->teacher) t->dense = job->teacher;
  if (o->tune_samples) t->samples = o->tune_samples;
  if (o->tune_batch && !job->fixed) t->batch = o->tune_batch;
  t->epochs = o->finetune;
  t->loss = o->tune_loss;
  t->temperature = o->temperature;
  t->label_share = o->label_share;
  t->labels = o->label_share != 0 ? t->samples->labels : NULL;
  t->precision = o->tune_precision;
  SUMI_TRY(look_at_samples(job, t));
  return try_part(job, t, NULL);
}

sumi_status sumi_prune_check_tuning(struct sumi_prune_job *job) {
  const struct sumi_prune_options *o = job->o;
  SUMI_TRY(check_tuning_options(job));
  if (!sumi_prune_tunes(job)) return SUMI_OK;
  job->tune = (struct sumi_tune){.graph = job->graph,
                                 .dense = job->dense,
                                 .samples = o->samples,
                                 .rate = o->tune_rate,
                                 .batch = job->fixed ? job->fixed : o->batch,
                                 .augment = o->augment,
                                 .keep_bytes = sumi_prune_bytes(job),
                                 .threads = job->calibrate.threads};
  if (o->finetune) SUMI_TRY(check_finetuning(job));
  if (!o->reconstruct) return SUMI_OK;
  job->tune.epochs = o->reconstruct;
  SUMI_TRY(look_at_samples(job, &job->tune));
  SUMI_TRY(sumi_tune_find_parts(job->graph, &job->arena, &job->part, &job->n_part, job->err));
  if (!job->n_part)
    SUMI_FAIL(job->err, SUMI_E_UNSUPPORTED, "the network has no blocks that can be reconstructed");
  for (size_t i = 0; i < job->n_part; i++) SUMI_TRY(try_part(job, &job->tune, &job->part[i]));
  return SUMI_OK;
}

/* ---- tuning ----------------------------------------------------------------------------------------------------- */

/* Seconds, roughly. A part runs both networks up to its end, over all of them each as often as half the number of parts; once, where
 * what they give can be kept. */
static double reconstruction_work(const struct sumi_prune_job *job) {
  if (!job->o->reconstruct) return 0;
  const double epochs = (double)job->o->reconstruct, samples = (double)(job->o->samples->n / job->one);
  const double fronts = job->tune.augment || job->tune.consecutive ? epochs : 1;
  return job->run_s * samples * (fronts * (double)job->n_part + epochs * (RUNS_OF_STEP - 1));
}

static double finetuning_work(const struct sumi_prune_job *job) {
  if (!job->o->finetune) return 0;
  const double runs = (double)job->o->finetune * (double)(job->whole.samples->n / job->one);
  return job->run_s * runs * RUNS_OF_STEP;
}

double sumi_prune_tuning_work(const struct sumi_prune_job *job) {
  return sumi_prune_tunes(job) ? reconstruction_work(job) + finetuning_work(job) : 0;
}

struct stage {
  const struct sumi_prune_job *job;
  const char *what;
  double work, behind, start_s; /* estimated seconds of this stage, of those behind it; when it began */
};

static bool on_step(void *user, const struct sumi_progress *p) {
  const struct stage *s = user;
  const struct sumi_prune_job *job = s->job;
  if (!job->o->on_progress) return true;
  const double spent = sumi_clock_seconds() - s->start_s;
  const struct sumi_progress all = {
      .size = sizeof all,
      .what = s->what,
      .layer = p->layer,
      .done = job->work > 0 ? (job->worked + p->done * s->work) / job->work : 0,
      .seconds_left = p->done > 0 ? spent / p->done * (1 - p->done) + s->behind : -1};
  return job->o->on_progress(job->o->user, &all);
}

/* Stands for what a step of finetuning depends on beside the job's key: options, samples (by number and by the first of them). */
static sumi_status tuning_key(const struct sumi_tune *t, struct sumi_prune_job *job, uint64_t *key) {
  const struct sumi_samples first = {.size = sizeof first,
                                     .n = SUMI_MIN(t->batch, t->samples->n),
                                     .get = t->samples->get,
                                     .user = t->samples->user};
  struct sumi_text text;
  uint64_t hash;
  SUMI_TRY(sumi_samples_hash(&first, first.n, &hash, job->err));
  sumi_text_init(&text, job->graph->allocator);
  sumi_text_add(&text, "%zu %s %zu %zu %zu %a %a %a %a %d %d %s %d %" PRIx64, job->o->reconstruct,
                t->loss ? t->loss : "", t->samples->n, t->epochs, t->batch, t->rate, t->temperature,
                t->label_share, job->o->gradual, t->augment, t->consecutive, t->precision ? t->precision : "",
                job->teacher != NULL, hash);
  *key = sumi_hash(sumi_text_str(&text), text.size, 0);
  const bool failed = text.failed;
  sumi_text_fini(&text);
  if (failed) SUMI_FAIL_MEMORY(job->err);
  return SUMI_OK;
}

/* ---- sparsity that rises ---------------------------------------------------------------------------------------- */

double sumi_prune_density_before(const struct sumi_prune_job *job, double density) {
  return job->o->gradual > 0 ? sqrt(density) : density;
}

/* From there to `density` in the first part of the steps, fast at first, as a cube (Zhu & Gupta 2017, arXiv 1710.01878), but of the
 * logarithm: between 1/2 and 1/4 lies as much as between 1/8 and 1/16. */
static double density_at(const struct sumi_prune_job *job, double density, double done) {
  const double left = 1 - SUMI_MIN(done / job->o->gradual, 1.0);
  return density * pow(sumi_prune_density_before(job, density) / density, left * left * left);
}

/* Takes the blocks with the least sums of score from the layer's weights w, group by group; the arrays are one group's. */
static void thin_layer(const struct sumi_prune_job *job, size_t i, double done, const float *score, float *w,
                       float *own, float *work, uint8_t *keep) {
  const struct sumi_layer *l = &job->layer[i];
  const int64_t cols = sumi_layer_cols(l), rows = l->product.rows / l->product.groups;
  const double density = density_at(job, job->plan[i].density, done);
  for (int64_t first = 0; first < l->product.rows; first += rows) {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < cols; c++) own[r * cols + c] = score[sumi_layer_place(l, first + r, c)];
    sumi_pattern_project(job->pattern, density, rows, cols, l->product.channels, own, keep, work);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < cols; c++)
        if (!keep[r * cols + c]) w[sumi_layer_place(l, first + r, c)] = 0;
  }
}

/* ---- finetuning ------------------------------------------------------------------------------------------------- */

struct finetuning {
  struct stage stage;
  struct sumi_prune_job *job;
  struct sumi_tuner *tuner;
  uint64_t key;
  size_t epoch; /* steps */
  sumi_status status;
};

static sumi_status keep(const struct finetuning *f) {
  struct sumi_blob *blob;
  SUMI_TRY(sumi_tuner_save(f->tuner, &blob, f->job->err));
  const struct sumi_state_record r = {SUMI_STATE_TUNING, f->key, (double)sumi_tuner_at(f->tuner), blob->data,
                                      blob->bytes};
  const sumi_status status = sumi_state_add(&f->job->state, &r, f->job->err);
  sumi_blob_unref(blob);
  return status;
}

static bool on_finetune(void *user, const struct sumi_progress *p) {
  struct finetuning *f = user;
  const bool goes_on = on_step(&f->stage, p);
  const size_t at = sumi_tuner_at(f->tuner);
  if (!goes_on || (at % f->epoch == 0 && at < sumi_tuner_steps(f->tuner))) f->status = keep(f);
  return goes_on && f->status == SUMI_OK;
}

static sumi_status on_thin(void *user, const char *name, double done, const float *score, float *w,
                           struct sumi_err *err) {
  const struct finetuning *f = user;
  const struct sumi_prune_job *job = f->job;
  for (size_t i = 0; i < job->n; i++) {
    const struct sumi_layer *l = &job->layer[i];
    if (job->plan[i].why || !sumi_streq(l->weight->name, name)) continue;
    const size_t n = (size_t)(l->product.rows / l->product.groups * sumi_layer_cols(l));
    const size_t bytes = n * (2 * sizeof(float) + 1);
    float *own = sumi_alloc(job->graph->allocator, bytes);
    if (!own) SUMI_FAIL_MEMORY(err);
    thin_layer(job, i, done, score, w, own, own + n, (uint8_t *)(own + 2 * n));
    sumi_free(job->graph->allocator, own, bytes);
  }
  return SUMI_OK;
}

/* From the last record of the same tuning on, if there is one. */
static sumi_status go_on(const struct finetuning *f) {
  struct sumi_state_record r, last = {0};
  for (size_t i = 0; sumi_state_get(&f->job->state, i, &r); i++)
    if (r.kind == SUMI_STATE_TUNING && r.number == f->key) last = r;
  return last.bytes ? sumi_tuner_load(f->tuner, last.data, last.bytes, f->job->err) : SUMI_OK;
}

static sumi_status run_finetuning(struct finetuning *f) {
  SUMI_TRY(go_on(f));
  const sumi_status status = sumi_tuner_run(f->tuner, f->job->err);
  SUMI_TRY(f->status); /* then the tuner was stopped for it */
  SUMI_TRY(status);
  SUMI_TRY(sumi_tuner_write(f->tuner, f->job->graph, f->job->err));
  for (size_t i = 0; i < f->job->n; i++) SUMI_TRY(sumi_prune_weigh(f->job, i));
  return SUMI_OK;
}

static sumi_status finetune(struct sumi_prune_job *job, const struct stage *stage) {
  struct sumi_tune t = job->whole;
  struct finetuning f = {.stage = *stage, .job = job};
  t.progress = on_finetune;
  if (job->o->gradual > 0) t.thin = on_thin;
  t.user = &f;
  SUMI_TRY(tuning_key(&t, job, &f.key));
  SUMI_TRY(sumi_tuner_new(&t, job->graph->allocator, &f.tuner, job->err));
  f.epoch = SUMI_MAX(sumi_tuner_steps(f.tuner) / t.epochs, 1);
  const sumi_status status = run_finetuning(&f);
  sumi_tuner_free(f.tuner);
  return status;
}

sumi_status sumi_prune_tune(struct sumi_prune_job *job) {
  struct stage stage = {job, "reconstruct", reconstruction_work(job), finetuning_work(job),
                        sumi_clock_seconds()};
  struct sumi_tune t = job->tune;
  t.progress = on_step;
  t.user = &stage;
  if (job->o->reconstruct) SUMI_TRY(sumi_tune_parts(&t, job->graph, job->part, job->n_part, NULL, job->err));
  job->worked += stage.work;
  stage = (struct stage){job, "finetune", finetuning_work(job), 0, sumi_clock_seconds()};
  if (job->o->finetune) SUMI_TRY(finetune(job, &stage));
  job->worked += stage.work;
  return SUMI_OK;
}

/* ---- what has changed ------------------------------------------------------------------------------------------- */

static bool is_among(const struct sumi_changes *changes, const char *name) {
  for (size_t i = 0; i < changes->n; i++)
    if (changes->change[i].kind == SUMI_CHANGE_CONSTANT && sumi_streq(changes->change[i].name, name))
      return true;
  return false;
}

/* Whether v's constant holds other numbers than that of the dense network. A constant that was changed has memory of its own. */
static bool has_changed(const struct sumi_prune_job *job, const struct sumi_value *v) {
  const struct sumi_value *d = sumi_graph_find_value(job->dense, v->name);
  if (!v->constant || !d || !d->constant || v->constant->data == d->constant->data) return false;
  if (v->constant->dtype != SUMI_FLOAT32) return false;
  return memcmp(v->constant->data, d->constant->data,
                (size_t)sumi_tensor_count(v->constant) * sizeof(float)) != 0;
}

sumi_status sumi_prune_add_tuned(const struct sumi_prune_job *job, struct sumi_changes *changes) {
  for (size_t i = 0; i < job->graph->n_value; i++) {
    const struct sumi_value *v = job->graph->value[i];
    if (!has_changed(job, v) || is_among(changes, v->name)) continue;
    const struct sumi_change c = {
        .kind = SUMI_CHANGE_CONSTANT, .name = v->name, .tensor = v->constant, .axis = INT64_MIN};
    SUMI_TRY(sumi_changes_add(changes, &c, job->err));
  }
  return SUMI_OK;
}
