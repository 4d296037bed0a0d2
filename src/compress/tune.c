/* Steps of gradient descent: a batch, the dense network's answer, the training graph, the optimizer. */
#include "compress/tune.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/size.h"
#include "compress/layer.h"
#include "compress/tune_batch.h"
#include "compress/tune_int.h"
#include "compress/tune_kept.h"

enum {
  BATCH = 32,
  WARM_UP = 20,
  THINNINGS = 100,
  PLANS = 16 /* lengths that batches are padded to, at most */
};
static const double adam_decay = 0.999, adam_epsilon = 1e-8, loss_decay = 0.98;

struct weights {
  float *w, *first, *second; /* [count] value, running means of the gradient and of its square (adam) */
  int64_t count;
  bool sparse; /* what is 0 stays 0: not so in vectors, which are no layer's weights */
};

struct network {
  struct sumi_model *model;
  struct sumi_session *session;
};

struct sumi_tuner {
  struct sumi_tune t;
  const struct sumi_allocator *allocator;
  struct sumi_arena arena;
  const char *to; /* the value that is tuned */
  struct sumi_tune_graph graph;
  struct network training, teacher,
      front; /* front: up to where the part begins; none where that is the inputs */
  struct sumi_tune_batch *batches;
  struct weights *weights;    /* [n_param] */
  float *score;               /* [the most weights of one] */
  struct sumi_view *in, *out; /* of the training graph */
  struct sumi_view
      *given; /* [1 + n_from] the dense network's value, values of front: they depend on the samples alone */
  struct sumi_tune_kept *kept;     /* of them; NULL = none */
  float *share[SUMI_TUNE_TARGETS]; /* "kl": [rows, classes] */
  size_t share_bytes, steps, at;
  bool kl, adam;
  double loss, rate, momentum, weight; /* weight: of what loss is the mean of */
  double seconds;                      /* spent in steps since it was made or loaded */
  size_t timed;
};

/* ---- making ----------------------------------------------------------------------------------------------------- */

static sumi_status open_network(const struct sumi_tuner *u, struct sumi_graph *take_graph, struct network *n,
                                struct sumi_err *err) {
  SUMI_TRY(sumi_model_new(u->allocator, take_graph, &n->model, err));
  const struct sumi_session_options o = {
      .size = sizeof o, .threads = u->t.threads, .precision = u->t.precision, .max_plans = PLANS};
  return sumi_session_init(n->model, &o, &n->session, err);
}

static void close_network(struct network *n) {
  sumi_session_fini(n->session);
  sumi_model_unref(n->model);
}

static sumi_status open_cut(const struct sumi_tuner *u, const struct sumi_graph *g, const char *const *names,
                            size_t n, struct network *network, struct sumi_err *err) {
  struct sumi_graph *cut;
  SUMI_TRY(sumi_tune_cut(g, names, n, &cut, err));
  return open_network(u, cut, network, err);
}

static sumi_status take_options(struct sumi_tuner *u, struct sumi_err *err) {
  struct sumi_tune *t = &u->t;
  if (t->loss && !sumi_streq(t->loss, "mse") && !sumi_streq(t->loss, "kl"))
    SUMI_FAIL(err, SUMI_E_ARG, "the loss '%.64s' is neither 'mse' nor 'kl'", t->loss);
  if (t->optimizer && !sumi_streq(t->optimizer, "adam") && !sumi_streq(t->optimizer, "sgd"))
    SUMI_FAIL(err, SUMI_E_ARG, "the optimizer '%.64s' is neither 'adam' nor 'sgd'", t->optimizer);
  u->adam = !t->optimizer || sumi_streq(t->optimizer, "adam");
  u->kl = sumi_tune_is_kl(t);
  if (!(t->label_share >= 0 && t->label_share <= 1) || (t->label_share > 0 && (!t->labels || !u->kl)))
    SUMI_FAIL(err, SUMI_E_ARG, "a share of labels of %g%s", t->label_share,
              t->labels ? u->kl ? "" : " with the loss 'mse'" : " without labels");
  u->rate = t->rate > 0 ? t->rate : u->adam ? 1e-3 : 1e-2;
  u->momentum = t->momentum > 0 ? t->momentum : 0.9;
  if (!isfinite(u->rate) || u->momentum >= 1)
    SUMI_FAIL(err, SUMI_E_ARG, "a rate of %g, a momentum of %g", u->rate, u->momentum);
  if (!t->batch) t->batch = BATCH;
  if (!t->epochs) t->epochs = 1;
  if (!t->samples->n) SUMI_FAIL(err, SUMI_E_ARG, "there are no samples");
  t->batch = SUMI_MIN(t->batch, t->samples->n);
  if (!sumi_size_mul(t->epochs, t->samples->n / t->batch, &u->steps))
    SUMI_FAIL(err, SUMI_E_LIMIT, "%zu epochs", t->epochs);
  return SUMI_OK;
}

static sumi_status make_weights(struct sumi_tuner *u, struct sumi_err *err) {
  u->weights = SUMI_NEW_ARRAY(&u->arena, u->graph.n_param, struct weights);
  if (!u->weights) SUMI_FAIL_MEMORY(err);
  size_t most = 0;
  for (size_t i = 0; i < u->graph.n_param; i++) {
    const struct sumi_tensor *t = &u->graph.param[i].shape;
    struct weights *w = &u->weights[i];
    w->count = sumi_tensor_count(t);
    const size_t n = (size_t)w->count;
    w->w = SUMI_NEW_ARRAY(&u->arena, n, float);
    w->first = SUMI_NEW_ARRAY(&u->arena, n, float);
    w->second = SUMI_NEW_ARRAY(&u->arena, u->adam ? n : 1, float);
    if (!w->w || !w->first || !w->second) SUMI_FAIL_MEMORY(err);
    memcpy(w->w, t->data, n * sizeof *w->w);
    w->sparse = t->rank >= 2;
    most = SUMI_MAX(most, n);
  }
  if (u->t.thin && !(u->score = SUMI_NEW_ARRAY(&u->arena, most, float))) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static struct sumi_view view_of(const char *name, void *data, int rank, const int64_t *dims) {
  return (struct sumi_view){.size = sizeof(struct sumi_view),
                            .name = name,
                            .data = data,
                            .dtype = SUMI_FLOAT32,
                            .rank = rank,
                            .dims = dims};
}

static sumi_status make_views(struct sumi_tuner *u, struct sumi_err *err) {
  const size_t n = u->graph.n_param;
  u->in = SUMI_NEW_ARRAY(&u->arena, n + SUMI_TUNE_TARGETS + u->t.n_from + SUMI_TUNE_INPUTS, struct sumi_view);
  u->out = SUMI_NEW_ARRAY(&u->arena, n + 1, struct sumi_view);
  u->given = SUMI_NEW_ARRAY(&u->arena, u->t.n_from + 1, struct sumi_view);
  if (!u->in || !u->out || !u->given) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) {
    const struct sumi_tune_param *p = &u->graph.param[i];
    u->in[i] = view_of(p->input, u->weights[i].w, p->shape.rank, p->shape.dim);
    u->out[i] = view_of(p->output, NULL, 0, NULL);
  }
  u->out[n] = view_of(u->graph.loss, NULL, 0, NULL);
  return SUMI_OK;
}

static void reset_given(struct sumi_tuner *u) {
  u->given[0] = view_of(u->to, NULL, 0, NULL);
  for (size_t i = 0; i < u->t.n_from; i++) {
    u->given[1 + i] = view_of(u->t.from[i], NULL, 0, NULL);
    u->given[1 + i].dtype = SUMI_UNDEFINED;
  }
}

/* Whether g's value has a row for every sample of a batch. */
static bool has_rows(const struct sumi_tuner *u, const struct sumi_graph *g, const char *name) {
  const struct sumi_value *v = sumi_graph_find_value(g, name), *x = g->n_input ? g->input[0] : NULL;
  if (u->t.batch == 1) return true;
  return v && x && v->info.rank > 0 && x->info.rank > 0 && v->info.dim[0] < SUMI_DIM_UNKNOWN &&
         v->info.dim[0] == x->info.dim[0];
}

static sumi_status make_kept(struct sumi_tuner *u, struct sumi_err *err) {
  bool rows = !u->t.augment && !u->t.consecutive && u->t.epochs > 1 && has_rows(u, u->t.dense, u->to);
  for (size_t i = 0; i < u->t.n_from; i++) rows &= has_rows(u, u->t.graph, u->t.from[i]);
  if (!rows) return SUMI_OK;
  return sumi_tune_kept_new(1 + u->t.n_from, u->t.samples->n, u->t.batch, u->t.keep_bytes, u->allocator,
                            &u->kept, err);
}

static sumi_status make(struct sumi_tuner *u, struct sumi_err *err) {
  SUMI_TRY(take_options(u, err));
  u->to = u->t.to ? u->t.to : u->t.graph->n_output ? u->t.graph->output[0]->name : NULL;
  sumi_constants_keep(u->t.graph);
  sumi_constants_keep(u->t.dense);
  SUMI_TRY(sumi_tune_graph_make(&u->t, &u->arena, &u->graph, err));
  struct sumi_graph *graph = u->graph.graph;
  u->graph.graph = NULL;
  SUMI_TRY(open_network(u, graph, &u->training, err));
  SUMI_TRY(open_cut(u, u->t.dense, &u->to, 1, &u->teacher, err));
  if (u->t.n_from) SUMI_TRY(open_cut(u, u->t.graph, u->t.from, u->t.n_from, &u->front, err));
  SUMI_TRY(make_weights(u, err));
  SUMI_TRY(make_views(u, err));
  reset_given(u);
  SUMI_TRY(make_kept(u, err));
  return sumi_tune_batch_new(&u->t, u->allocator, &u->batches, err);
}

sumi_status sumi_tuner_new(const struct sumi_tune *t, const struct sumi_allocator *a, struct sumi_tuner **out,
                           struct sumi_err *err) {
  struct sumi_tuner *u = sumi_alloc(a, sizeof *u);
  if (!u) SUMI_FAIL_MEMORY(err);
  *u = (struct sumi_tuner){.t = *t, .allocator = a};
  sumi_arena_init(&u->arena, a);
  const sumi_status status = make(u, err);
  if (status != SUMI_OK)
    sumi_tuner_free(u);
  else
    *out = u;
  return status;
}

void sumi_tuner_free(struct sumi_tuner *u) {
  if (!u) return;
  close_network(&u->training);
  close_network(&u->teacher);
  close_network(&u->front);
  sumi_tune_batch_free(u->batches);
  sumi_tune_kept_free(u->kept);
  for (int i = 0; i < SUMI_TUNE_TARGETS; i++) sumi_free(u->allocator, u->share[i], u->share_bytes);
  sumi_arena_fini(&u->arena);
  sumi_free(u->allocator, u, sizeof *u);
}

/* ---- targets ---------------------------------------------------------------------------------------------------- */

/* y[i] = scale * softmax(x / temperature)[i] */
static void soften(const float *x, int64_t n, double temperature, double scale, float *y) {
  double most = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) most = SUMI_MAX(most, (double)x[i]);
  for (int64_t i = 0; i < n; i++) sum += exp(((double)x[i] - most) / temperature);
  for (int64_t i = 0; i < n; i++) y[i] = (float)(scale * exp(((double)x[i] - most) / temperature) / sum);
}

static sumi_status make_room(struct sumi_tuner *u, size_t bytes, struct sumi_err *err) {
  if (u->share_bytes == bytes) return SUMI_OK;
  for (int i = 0; i < SUMI_TUNE_TARGETS; i++) {
    sumi_free(u->allocator, u->share[i], u->share_bytes);
    u->share[i] = NULL;
  }
  u->share_bytes = bytes;
  for (int i = 0; i < SUMI_TUNE_TARGETS; i++)
    if (!(u->share[i] = sumi_alloc(u->allocator, SUMI_MAX(bytes, 1)))) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

/* Shares of the classes so that the loss is a mean over rows; *least is what it cannot fall below. */
static sumi_status share_classes(struct sumi_tuner *u, const struct sumi_view *y, const size_t *sample,
                                 size_t n, double *least, struct sumi_err *err) {
  const int64_t classes = y->dims[y->rank - 1], rows = classes ? sumi_view_count(y) / classes : 0;
  const double t = u->t.temperature > 0 ? u->t.temperature : 1, by_label = u->t.label_share;
  if (u->t.labels && rows != (int64_t)n)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%zu labels for %lld rows of '%s'", n, (long long)rows, y->name);
  const size_t count = (size_t)sumi_view_count(y);
  SUMI_TRY(make_room(u, count * sizeof(float), err));
  memset(u->share[1], 0, count * sizeof(float));
  const double scale = (1 - by_label) * t * t / (double)SUMI_MAX(rows, 1);
  *least = 0;
  for (int64_t r = 0; r < rows; r++) {
    float *share = u->share[0] + r * classes;
    soften((const float *)y->data + r * classes, classes, t, scale, share);
    for (int64_t c = 0; c < classes; c++)
      if (share[c] > 0) *least -= (double)share[c] * log((double)share[c] / scale);
    if (!(by_label > 0)) continue;
    const int64_t label = u->t.labels[sample[r]];
    if (label < 0 || label >= classes)
      SUMI_FAIL(err, SUMI_E_VALUE, "label %lld of sample %zu, there are %lld classes", (long long)label,
                sample[r], (long long)classes);
    u->share[1][r * classes + label] = (float)(by_label / (double)rows);
  }
  return SUMI_OK;
}

static sumi_status make_targets(struct sumi_tuner *u, const size_t *sample, size_t n, float *factor,
                                struct sumi_view *to, double *least, struct sumi_err *err) {
  const struct sumi_view *y = &u->given[0];
  if (y->dtype != SUMI_FLOAT32 || y->rank < 1)
    SUMI_FAIL(err, SUMI_E_TYPE, "the dense network's '%s' is no tensor of float32", y->name);
  *least = 0;
  to[0] = view_of(u->graph.target[0], y->data, y->rank, y->dims);
  if (u->kl) {
    SUMI_TRY(share_classes(u, y, sample, n, least, err));
    for (int i = 0; i < SUMI_TUNE_TARGETS; i++)
      to[i] = view_of(u->graph.target[i], u->share[i], y->rank, y->dims);
    return SUMI_OK;
  }
  double squares = 0;
  const int64_t count = sumi_view_count(y);
  for (int64_t i = 0; i < count; i++)
    squares += (double)((float *)y->data)[i] * (double)((float *)y->data)[i];
  *factor = (float)(1 / SUMI_MAX(squares, 1e-30));
  to[1] = view_of(u->graph.target[1], factor, 0, NULL);
  return SUMI_OK;
}

/* ---- a step ----------------------------------------------------------------------------------------------------- */

/* Linear up to the highest rate, then half a cosine down to 0. */
static double rate_at(const struct sumi_tuner *u) {
  const double warm = (double)(u->steps / WARM_UP), at = (double)u->at;
  if (at < warm) return u->rate * (at + 1) / (warm + 1);
  return u->rate * 0.5 * (1 + cos(M_PI * (at - warm) / SUMI_MAX((double)u->steps - warm, 1)));
}

static bool is_kept(const struct weights *w, int64_t i) { return !w->sparse || w->w[i] != 0; }

static void adam(struct weights *w, const float *g, double rate, double momentum, size_t step) {
  const double fix1 = 1 - pow(momentum, (double)step), fix2 = sqrt(1 - pow(adam_decay, (double)step));
  const float b1 = (float)momentum, b2 = (float)adam_decay, scale = (float)(rate * fix2 / fix1),
              epsilon = (float)(adam_epsilon * fix2);
  for (int64_t i = 0; i < w->count; i++) {
    const bool kept = is_kept(w, i);
    const float d = kept ? g[i] : 0;
    w->first[i] = b1 * w->first[i] + (1 - b1) * d;
    w->second[i] = b2 * w->second[i] + (1 - b2) * d * d;
    w->w[i] -= kept ? scale * w->first[i] / (sqrtf(w->second[i]) + epsilon) : 0;
  }
}

static void sgd(struct weights *w, const float *g, double rate, double momentum) {
  for (int64_t i = 0; i < w->count; i++) {
    const bool kept = is_kept(w, i);
    w->first[i] = (float)momentum * w->first[i] + (kept ? g[i] : 0);
    w->w[i] -= kept ? (float)rate * w->first[i] : 0;
  }
}

static sumi_status thin(struct sumi_tuner *u, struct sumi_err *err) {
  if (!u->t.thin || u->at * THINNINGS / u->steps == (u->at - 1) * THINNINGS / u->steps) return SUMI_OK;
  const double done = (double)u->at / (double)u->steps;
  for (size_t i = 0; i < u->graph.n_param; i++) {
    struct weights *w = &u->weights[i];
    if (!w->sparse) continue;
    for (int64_t k = 0; k < w->count; k++)
      u->score[k] = w->w[k] * w->w[k] * (u->adam ? sqrtf(w->second[k]) : 1);
    SUMI_TRY(u->t.thin(u->t.user, u->graph.param[i].name, done, u->score, w->w, err));
  }
  return SUMI_OK;
}

/* What is given with the samples of a batch: kept, or computed. */
static sumi_status give(struct sumi_tuner *u, const struct sumi_view *in, size_t n_in, const size_t *sample,
                        struct sumi_err *err) {
  if (u->kept && sumi_tune_kept_get(u->kept, sample, u->given)) return SUMI_OK;
  reset_given(u);
  SUMI_TRY(sumi_session_execute(u->teacher.session, in, n_in, &u->given[0], 1, err));
  if (u->t.n_from) SUMI_TRY(sumi_session_execute(u->front.session, in, n_in, &u->given[1], u->t.n_from, err));
  return u->kept ? sumi_tune_kept_put(u->kept, sample, u->given, err) : SUMI_OK;
}

/* The samples' inputs as they are in the batch, or what front makes of them, under the training graph's names. */
static sumi_status add_inputs(struct sumi_tuner *u, const struct sumi_view *in, size_t n_in, size_t *n,
                              struct sumi_err *err) {
  if (n_in > SUMI_TUNE_INPUTS) SUMI_FAIL(err, SUMI_E_LIMIT, "samples of %zu inputs", n_in);
  for (size_t i = 0; i < n_in; i++) u->in[(*n)++] = in[i];
  for (size_t i = 0; i < u->t.n_from; i++) {
    if (sumi_streq(u->graph.from[i], u->t.from[i])) continue; /* an input of the network's */
    u->in[*n] = u->given[1 + i];
    u->in[(*n)++].name = u->graph.from[i];
  }
  return SUMI_OK;
}

static sumi_status run_step(struct sumi_tuner *u, double *loss, struct sumi_err *err) {
  const struct sumi_view *in;
  const size_t *sample;
  size_t n_in, n = u->graph.n_param;
  float factor = 1;
  double least = 0;
  SUMI_TRY(sumi_tune_batch_get(u->batches, u->at, &in, &n_in, &sample, err));
  SUMI_TRY(give(u, in, n_in, sample, err));
  SUMI_TRY(make_targets(u, sample, u->t.batch, &factor, &u->in[n], &least, err));
  n += SUMI_TUNE_TARGETS;
  SUMI_TRY(add_inputs(u, in, n_in, &n, err));
  for (size_t i = 0; i <= u->graph.n_param; i++) u->out[i].data = NULL;
  SUMI_TRY(sumi_session_execute(u->training.session, u->in, n, u->out, u->graph.n_param + 1, err));
  *loss = (double)*(const float *)u->out[u->graph.n_param].data - least;
  if (!isfinite(*loss))
    SUMI_FAIL(err, SUMI_E_VALUE, "the loss is not finite in step %zu: the rate may be too high", u->at);
  const double rate = rate_at(u);
  u->at++;
  for (size_t i = 0; i < u->graph.n_param; i++) {
    if (u->adam)
      adam(&u->weights[i], u->out[i].data, rate, u->momentum, u->at);
    else
      sgd(&u->weights[i], u->out[i].data, rate, u->momentum);
  }
  return thin(u, err);
}

sumi_status sumi_tuner_step(struct sumi_tuner *u, double *loss, struct sumi_err *err) {
  if (u->at >= u->steps) SUMI_FAIL(err, SUMI_E_STATE, "all %zu steps are done", u->steps);
  const double start = sumi_clock_seconds();
  SUMI_TRY(run_step(u, loss, err));
  u->loss = loss_decay * u->loss + (1 - loss_decay) * *loss;
  u->weight = loss_decay * u->weight + (1 - loss_decay);
  u->seconds += sumi_clock_seconds() - start;
  u->timed++;
  return SUMI_OK;
}

sumi_status sumi_tuner_run(struct sumi_tuner *u, struct sumi_err *err) {
  while (u->at < u->steps) {
    double loss;
    SUMI_TRY(sumi_tuner_step(u, &loss, err));
    const struct sumi_progress p = {
        .size = sizeof p,
        .what = "tune",
        .layer = "",
        .done = (double)u->at / (double)u->steps,
        .seconds_left = u->seconds / (double)u->timed * (double)(u->steps - u->at)};
    if (u->t.progress && !u->t.progress(u->t.user, &p))
      SUMI_FAIL(err, SUMI_E_STATE, "stopped after step %zu of %zu", u->at, u->steps);
  }
  return SUMI_OK;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

size_t sumi_tuner_steps(const struct sumi_tuner *u) { return u->steps; }
size_t sumi_tuner_at(const struct sumi_tuner *u) { return u->at; }
double sumi_tuner_loss(const struct sumi_tuner *u) { return u->weight > 0 ? u->loss / u->weight : 0; }
size_t sumi_tuner_count(const struct sumi_tuner *u) { return u->graph.n_param; }
const char *sumi_tuner_name(const struct sumi_tuner *u, size_t i) { return u->graph.param[i].name; }

sumi_status sumi_tuner_write(const struct sumi_tuner *u, struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < u->graph.n_param; i++) {
    const struct sumi_tune_param *p = &u->graph.param[i];
    struct sumi_value *v = sumi_graph_find_value(g, p->name);
    void *same; /* until all are there */
    if (!v || !v->constant || v->constant->dtype != SUMI_FLOAT32 ||
        sumi_tensor_count(v->constant) != u->weights[i].count)
      SUMI_FAIL(err, SUMI_E_ARG, "there is no constant '%.128s' of this type and size", p->name);
    SUMI_TRY(sumi_constant_own(g, v, &same, err));
  }
  for (size_t i = 0; i < u->graph.n_param; i++) {
    const struct sumi_value *v = sumi_graph_find_value(g, u->graph.param[i].name);
    memcpy(sumi_blob_bytes(v->blob), u->weights[i].w, (size_t)u->weights[i].count * sizeof(float));
  }
  return SUMI_OK;
}

/* A state: this, then value and running means of everything that is trained, one after the other. */
struct saved {
  char magic[16];
  uint64_t bytes, steps, at, n_param, adam;
  double loss, weight;
};
static const char magic[16] = "sumi.tune.1";

static size_t parts_of(const struct sumi_tuner *u) { return u->adam ? 3 : 2; }

static size_t state_bytes(const struct sumi_tuner *u) {
  size_t words = 0;
  for (size_t i = 0; i < u->graph.n_param; i++) words += (size_t)u->weights[i].count;
  return sizeof(struct saved) + words * parts_of(u) * sizeof(float);
}

sumi_status sumi_tuner_save(const struct sumi_tuner *u, struct sumi_blob **out, struct sumi_err *err) {
  struct saved head = {.bytes = state_bytes(u),
                       .steps = u->steps,
                       .at = u->at,
                       .n_param = u->graph.n_param,
                       .adam = u->adam,
                       .loss = u->loss,
                       .weight = u->weight};
  memcpy(head.magic, magic, sizeof magic);
  struct sumi_blob *blob = sumi_blob_new(u->allocator, (size_t)head.bytes);
  if (!blob) SUMI_FAIL_MEMORY(err);
  char *to = sumi_blob_bytes(blob);
  memcpy(to, &head, sizeof head);
  to += sizeof head;
  for (size_t i = 0; i < u->graph.n_param; i++) {
    const struct weights *w = &u->weights[i];
    const float *const part[] = {w->w, w->first, w->second};
    const size_t bytes = (size_t)w->count * sizeof(float);
    for (size_t k = 0; k < parts_of(u); k++, to += bytes) memcpy(to, part[k], bytes);
  }
  *out = blob;
  return SUMI_OK;
}

sumi_status sumi_tuner_load(struct sumi_tuner *u, const void *data, size_t bytes, struct sumi_err *err) {
  struct saved head = {0};
  if (bytes >= sizeof head) memcpy(&head, data, sizeof head);
  if (memcmp(head.magic, magic, sizeof magic) != 0 || bytes != state_bytes(u) || head.bytes != bytes ||
      head.steps != u->steps || head.at > head.steps || head.n_param != u->graph.n_param ||
      head.adam != (uint64_t)u->adam)
    SUMI_FAIL(err, SUMI_E_FORMAT, "the saved state is not of this tuning");
  const char *from = (const char *)data + sizeof head;
  for (size_t i = 0; i < u->graph.n_param; i++) {
    struct weights *w = &u->weights[i];
    float *const mean[] = {w->first, w->second};
    const size_t each = (size_t)w->count * sizeof(float);
    for (int64_t k = 0; k < w->count; k++)
      if (is_kept(w, k)) memcpy(&w->w[k], from + (size_t)k * sizeof(float), sizeof(float));
    from += each;
    for (size_t k = 0; k + 1 < parts_of(u); k++, from += each) memcpy(mean[k], from, each);
  }
  u->at = (size_t)head.at;
  u->loss = head.loss;
  u->weight = head.weight;
  return SUMI_OK;
}
