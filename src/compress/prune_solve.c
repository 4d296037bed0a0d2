/* Groups of layers, their statistics, and the solution of one layer. */
#include <inttypes.h>

#include "base/size.h"
#include "compress/correct.h"
#include "compress/prune_int.h"
#include "compress/target.h"

/* ---- groups ----------------------------------------------------------------------------------------------------- */

static double bytes_of(const struct sumi_layer *l) {
  const double cols = (double)sumi_layer_cols(l);
  return 6 * (double)l->product.groups * cols * cols * sizeof(double); /* now, before, both, and held out */
}

/* Marks what node makes where it reads something marked. */
static void follow(const struct sumi_node *node, bool *marked) {
  bool any = false;
  for (int i = 0; i < node->n_in && !any; i++) any = node->in[i] && marked[node->in[i]->id];
  for (int i = 0; i < node->n_out && any; i++)
    if (node->out[i]) marked[node->out[i]->id] = true;
}

static void mark_outputs(const struct sumi_node *node, bool *marked) {
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i]) marked[node->out[i]->id] = true;
}

static bool reads_marked(const struct sumi_layer *l, const bool *marked) {
  const int x = l->product.x;
  return x >= 0 && l->node->in[x] && marked[l->node->in[x]->id];
}

sumi_status sumi_prune_group(const struct sumi_prune_job *job, size_t first, bool apart, size_t *group,
                             size_t *n, size_t *next) {
  const struct sumi_graph *g = job->graph;
  bool *marked = sumi_alloc(g->allocator, g->n_value + 1);
  if (!marked) SUMI_FAIL_MEMORY(job->err);
  const double limit = (double)sumi_prune_bytes(job);
  double bytes = 0;
  size_t node = 0, i = first;
  for (*n = 0; i < job->n; i++) {
    const struct sumi_layer *l = &job->layer[i];
    if (!sumi_prune_is_open(&job->plan[i])) continue;
    for (; apart && *n && node < l->node->id; node++) follow(g->node[node], marked);
    if (*n && ((apart && reads_marked(l, marked)) || bytes + bytes_of(l) > limit)) break;
    if (!*n) node = l->node->id;
    bytes += bytes_of(l);
    group[(*n)++] = i;
    mark_outputs(l->node, marked);
  }
  *next = i;
  sumi_free(g->allocator, marked, g->n_value + 1);
  return SUMI_OK;
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */

/* Columns over all samples: many more than the widest layer has rows of its Gram matrix. */
enum { COLUMNS = 65536, COLUMNS_PER_INPUT = 16, LEAST_SHARE = 8 };

/* each: columns of one sample. */
static sumi_status check_columns(const struct sumi_prune_job *job, const struct sumi_layer *l, double each) {
  const int64_t cols = sumi_layer_cols(l);
  const double columns = each * (double)job->o->samples->n;
  if (columns >= (double)((cols + LEAST_SHARE - 1) / LEAST_SHARE) - 0.5) return SUMI_OK;
  SUMI_FAIL(job->err, SUMI_E_VALUE,
            "too few samples: layer '%s' has %" PRId64 " inputs to a row, %zu samples show %.0f"
            " of its pixels or tokens; give at least %.0f, better %.0f",
            l->node->name, cols, job->o->samples->n, columns, (double)cols / LEAST_SHARE / each,
            4 * (double)cols / each);
}

/* Both networks, from the front that there is, if any, to one before these layers, if it can be kept. */
static sumi_status calibrate_on(struct sumi_prune_job *job, struct sumi_calibrate *c, size_t runs,
                                const struct sumi_layer *layers, size_t n, struct sumi_arena *arena,
                                struct sumi_layer_pair *stats) {
  const size_t limit = sumi_prune_bytes(job) / 2; /* there are two at a time */
  struct sumi_front next = {0};
  c->beside = job->dense;
  c->from = job->front.n ? &job->front : NULL;
  sumi_status status = sumi_front_init(&next, job->graph, layers[0].node->id, 2, runs, limit, job->err);
  if (next.n) c->to = &next;
  if (status == SUMI_OK) status = sumi_calibrate_pairs(c, layers, n, arena, stats, job->err);
  if (status == SUMI_OK && sumi_front_is_whole(&next)) {
    sumi_front_fini(&job->front);
    job->front = next;
    return SUMI_OK;
  }
  sumi_front_fini(&next);
  return status;
}

sumi_status sumi_prune_calibrate(struct sumi_prune_job *job, bool paired, const size_t *group, size_t n,
                                 struct sumi_arena *arena, struct sumi_layer_pair *stats) {
  struct sumi_layer *layers = SUMI_NEW_ARRAY(arena, n, struct sumi_layer);
  if (!layers) SUMI_FAIL_MEMORY(job->err);
  int64_t widest = 1;
  for (size_t i = 0; i < n; i++) {
    layers[i] = job->layer[group[i]];
    widest = SUMI_MAX(widest, sumi_layer_cols(&layers[i]));
    stats[i] = (struct sumi_layer_pair){0};
  }
  if (!job->o->samples) return SUMI_OK;
  job->what = "calibrate";
  job->where = layers[0].node->name;
  const size_t batch = job->calibrate.batch, samples = job->calibrate.samples->n;
  const size_t runs = (samples + batch - 1) / batch;
  struct sumi_calibrate c = job->calibrate;
  c.max_columns = SUMI_MAX((int64_t)COLUMNS, COLUMNS_PER_INPUT * widest) / (int64_t)runs + 1;
  if (paired)
    SUMI_TRY(calibrate_on(job, &c, runs, layers, n, arena, stats));
  else
    SUMI_TRY(sumi_calibrate_pairs(&c, layers, n, arena, stats, job->err));
  for (size_t i = 0; i < n; i++)
    if (stats[i].now.gram)
      SUMI_TRY(check_columns(job, &layers[i], (double)stats[i].now.samples / (double)samples));
  return SUMI_OK;
}

/* ---- one layer -------------------------------------------------------------------------------------------------- */

/* The sum over rows of w^T gram w; the identity where gram is NULL. */
static double energy(const float *w, int64_t rows, int64_t cols, const double *gram) {
  double sum = 0;
  for (int64_t r = 0; r < rows; r++, w += cols)
    for (int64_t c = 0; c < cols; c++) {
      double product = gram ? 0 : (double)w[c];
      for (int64_t k = 0; gram && k < cols; k++) product += gram[c * cols + k] * (double)w[k];
      sum += (double)w[c] * product;
    }
  return sum;
}

/* One group's statistics out of all groups'. */
static struct sumi_layer_pair group_of(const struct sumi_layer_pair *all, int64_t group, int64_t cols) {
  struct sumi_layer_pair p = *all;
  struct sumi_layer_stats *const stats[] = {&p.now, &p.beside};
  for (size_t i = 0; i < SUMI_COUNT(stats); i++) {
    if (stats[i]->gram) stats[i]->gram += group * cols * cols;
    if (stats[i]->sum) stats[i]->sum += group * cols;
  }
  if (p.cross) p.cross += group * cols * cols;
  return p;
}

/* w [rows, cols], of one group, becomes what is to be approached, *gram how far from it that is; own [cols, cols] is where that
 * may be. A bias that is corrected afterwards is free. The baselines approach the layer's own weights, as published. */
static sumi_status aim(const struct sumi_prune_job *job, const struct sumi_layer *l, const char *method,
                       const struct sumi_layer_pair *p, double *own, float *w, const double **gram,
                       double *damping, struct sumi_err *err) {
  const int64_t cols = sumi_layer_cols(l), rows = l->product.rows / l->product.groups;
  const bool free_bias = sumi_prune_corrects(job, l);
  *gram = p->now.gram;
  if (!p->now.gram) return SUMI_OK;
  if (free_bias) {
    sumi_correct_center(cols, &p->now, own);
    *gram = own;
  }
  if (!p->cross || !sumi_streq(method, "alps")) return SUMI_OK;
  return sumi_target_weights(rows, cols, p, *gram, free_bias, job->calibrate.threads, job->graph->allocator,
                             w, damping, err);
}

sumi_status sumi_prune_solve(const struct sumi_prune_job *job, const struct sumi_layer *l, const char *method,
                             double density, const struct sumi_layer_pair *stats, struct sumi_arena *arena,
                             float *w_out, double *error, struct sumi_err *err) {
  const int64_t cols = sumi_layer_cols(l), groups = l->product.groups, rows = l->product.rows / groups;
  const size_t count = (size_t)(l->product.rows * cols);
  float *w = SUMI_NEW_ARRAY(arena, count, float);
  uint8_t *keep = sumi_arena_alloc(arena, count);
  double *own = SUMI_NEW_ARRAY(arena, stats->now.gram ? (size_t)(cols * cols) : 0, double), lost = 0, all = 0;
  if (!w || !keep || !own) SUMI_FAIL_MEMORY(err);
  sumi_layer_read(l, w);
  for (int64_t g = 0; g < groups; g++) {
    struct sumi_layer_pair p = group_of(stats, g, cols), held;
    const double *gram;
    double damping = 0;
    if (p.held) held = group_of(p.held, g, cols), p.held = &held;
    SUMI_TRY(aim(job, l, method, &p, own, w + g * rows * cols, &gram, &damping, err));
    const struct sumi_solve solve = {.rows = rows,
                                     .cols = cols,
                                     .run = l->product.channels,
                                     .w = w + g * rows * cols,
                                     .gram = gram,
                                     .pattern = job->pattern,
                                     .density = density,
                                     .method = gram ? method : "magnitude",
                                     .damping = damping,
                                     .threads = job->calibrate.threads};
    double e;
    SUMI_TRY(sumi_solve_layer(&solve, job->graph->allocator, w_out + g * rows * cols, keep + g * rows * cols,
                              &e, err));
    const double weight = groups > 1 ? energy(solve.w, rows, cols, gram) : 1;
    lost += e * weight;
    all += weight;
  }
  *error = all > 0 ? lost / all : 0;
  return SUMI_OK;
}

/* ---- correction ------------------------------------------------------------------------------------------------- */

bool sumi_prune_corrects(const struct sumi_prune_job *job, const struct sumi_layer *l) {
  return job->dense && l->bias && l->product.x >= 0;
}

sumi_status sumi_prune_correct(const struct sumi_prune_job *job, const struct sumi_layer *l,
                               const struct sumi_layer_stats *before, const struct sumi_layer_stats *after,
                               struct sumi_arena *arena, float *w, float *bias, struct sumi_err *err) {
  const int64_t cols = sumi_layer_cols(l), groups = l->product.groups, rows = l->product.rows / groups;
  float *dense = SUMI_NEW_ARRAY(arena, (size_t)(l->product.rows * cols), float);
  float *old = SUMI_NEW_ARRAY(arena, (size_t)l->product.rows, float);
  float *scale = SUMI_NEW_ARRAY(arena, (size_t)l->product.rows, float);
  if (!dense || !old || !scale) SUMI_FAIL_MEMORY(err);
  sumi_layer_read(l, dense);
  sumi_layer_read_bias(l, old);
  for (int64_t g = 0; g < groups; g++) {
    const int64_t at = g * rows, gram = g * cols * cols, sum = g * cols;
    const struct sumi_correct c = {.rows = rows,
                                   .cols = cols,
                                   .dense = dense + at * cols,
                                   .sparse = w + at * cols,
                                   .bias = old + at,
                                   .before = {before->samples, before->gram + gram, before->sum + sum},
                                   .after = {after->samples, after->gram + gram, after->sum + sum},
                                   .threads = job->calibrate.threads};
    SUMI_TRY(sumi_correct_rows(&c, job->graph->allocator, scale + at, bias + at, err));
  }
  for (int64_t r = 0; r < l->product.rows; r++)
    for (int64_t c = 0; c < cols; c++) w[r * cols + c] *= scale[r];
  return SUMI_OK;
}
