/* Which layers of a network are pruned, and why the others are not. */
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "compress/prune_int.h"

bool sumi_pattern_density(struct sumi_pattern p, double *density) {
  if (p.kind == SUMI_PATTERN_BLOCK) return false;
  *density = (double)p.a / (double)p.b;
  return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static bool is_named(const struct sumi_layer *l, const char *name) {
  return fnmatch(name, l->node->name, FNM_NOESCAPE) == 0 || fnmatch(name, l->weight->name, FNM_NOESCAPE) == 0;
}

static bool is_among(const struct sumi_layer *l, const char *const *names, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (is_named(l, names[i])) return true;
  return false;
}

static sumi_status check_names(const struct sumi_prune_job *job, const char *const *names, size_t n) {
  for (size_t i = 0; i < n; i++) {
    bool found = false;
    for (size_t k = 0; names[i] && k < job->n && !found; k++) found = is_named(&job->layer[k], names[i]);
    if (!found) SUMI_FAIL(job->err, SUMI_E_ARG, "no layer is called '%s'", names[i] ? names[i] : "(null)");
  }
  return SUMI_OK;
}

/* ---- what can be pruned ----------------------------------------------------------------------------------------- */

/* Why a layer cannot have the pattern; NULL: it can. */
static const char *misfit(struct sumi_prune_job *job, const struct sumi_layer *l) {
  const struct sumi_op_product *p = &l->product;
  const int64_t high = job->pattern.kind == SUMI_PATTERN_BLOCK ? job->pattern.a : 1, wide = job->pattern.b;
  const int64_t rows = p->rows / p->groups;
  char name[SUMI_PATTERN_NAME];
  sumi_pattern_print(job->pattern, name);
  if (rows < high || p->channels < wide)
    return sumi_arena_printf(&job->arena,
                             "%s wants %" PRId64 " outputs and %" PRId64 " inputs, it has %" PRId64
                             " and %" PRId64 "%s",
                             name, high, wide, rows, p->channels, p->groups > 1 ? " in a group" : "");
  return NULL;
}

/* Why the i-th layer is left as it is; NULL: it is pruned. */
static const char *reason(struct sumi_prune_job *job, size_t i) {
  const struct sumi_prune_options *o = job->o;
  const struct sumi_layer *l = &job->layer[i];
  const bool named = is_among(l, o->layers, o->n_layers);
  if (is_among(l, o->skip, o->n_skip)) return "it is to be skipped";
  if (o->n_layers && !named) return "it is not among the layers named";
  const char *why = misfit(job, l);
  if (why || named) return why;
  if (l->product.groups > 1 && l->product.channels == 1) return "it is depthwise, with hardly any work";
  if (!o->ends && i == 0) return "it is the first layer";
  if (!o->ends && i + 1 == job->n) return "it is the last layer";
  return NULL;
}

sumi_status sumi_prune_weigh(struct sumi_prune_job *job, size_t i) {
  const struct sumi_layer *l = &job->layer[i];
  const size_t count = (size_t)(l->product.rows * sumi_layer_cols(l));
  float *w = sumi_alloc(job->graph->allocator, (count + 1) * sizeof *w);
  if (!w) SUMI_FAIL_MEMORY(job->err);
  sumi_layer_read(l, w);
  size_t kept = 0;
  bool finite = true;
  for (size_t k = 0; k < count; k++) {
    kept += w[k] != 0;
    finite &= isfinite(w[k]) != 0;
  }
  sumi_free(job->graph->allocator, w, (count + 1) * sizeof *w);
  job->plan[i].kept = count ? (double)kept / (double)count : 1;
  if (!finite)
    SUMI_FAIL(job->err, SUMI_E_VALUE, "the weights '%s' of layer '%s' are not all finite", l->weight->name,
              l->node->name);
  return SUMI_OK;
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static bool is_quantised(const struct sumi_value *v) {
  const struct sumi_tensor *t = v->constant;
  if (!t || t->kind != SUMI_TENSOR || t->rank < 2 || t->dtype == SUMI_STRING) return false;
  if (sumi_dtype_is_int(t->dtype) && sumi_dtype_bits(t->dtype) <= 8) return true;
  for (const struct sumi_use *u = v->first_use; u; u = u->next)
    if (u->node && sumi_streq(u->node->op_name, "QuantizeLinear")) return true;
  return false;
}

/* Weights in 8 bits are those of a network for which pruning comes too late. */
static sumi_status refuse_quantised(const struct sumi_prune_job *job) {
  int64_t quantised = 0, weights = 0;
  for (size_t i = 0; i < job->graph->n_value; i++)
    if (is_quantised(job->graph->value[i])) quantised += sumi_tensor_count(job->graph->value[i]->constant);
  for (size_t i = 0; i < job->n; i++) weights += job->layer[i].product.rows * sumi_layer_cols(&job->layer[i]);
  if (quantised > weights)
    SUMI_FAIL(job->err, SUMI_E_UNSUPPORTED,
              "the network is already quantised: %" PRId64 " of its weights are of 8 bits, %" PRId64
              " in floating point; prune first, then quantise",
              quantised, weights);
  return job->n ? SUMI_OK : sumi_prepared_refuse(&job->prepared, "prune", job->err);
}

static sumi_status refuse_none(struct sumi_prune_job *job) {
  char name[SUMI_PATTERN_NAME];
  sumi_pattern_print(job->pattern, name);
  size_t misfits = 0, last = 0;
  for (size_t i = 0; i < job->n; i++)
    if (misfit(job, &job->layer[i])) misfits++, last = i;
  if (misfits == job->n)
    SUMI_FAIL(job->err, SUMI_E_UNSUPPORTED, "no layer can have the pattern %s; of '%s': %s", name,
              job->layer[last].node->name, misfit(job, &job->layer[last]));
  for (size_t i = 0; i < job->n; i++) {
    const bool meant = !job->o->n_layers || is_among(&job->layer[i], job->o->layers, job->o->n_layers);
    if (meant && !misfit(job, &job->layer[i])) last = i;
  }
  SUMI_FAIL(job->err, SUMI_E_UNSUPPORTED, "none of %zu layers is to be pruned; of '%s': %s", job->n,
            job->layer[last].node->name, job->plan[last].why);
}

/* Layer i stays as it is, with its zeros: they are in the pattern, or it is refused. */
static sumi_status keep_mask(struct sumi_prune_job *job, size_t i) {
  const struct sumi_layer *l = &job->layer[i];
  const int64_t rows = l->product.rows, cols = sumi_layer_cols(l);
  const size_t count = (size_t)(rows * cols), bytes = (count + 1) * (sizeof(float) + 1);
  float *w = sumi_alloc(job->graph->allocator, bytes);
  if (!w) SUMI_FAIL_MEMORY(job->err);
  uint8_t *keep = (uint8_t *)(w + count + 1);
  sumi_layer_read(l, w);
  for (size_t k = 0; k < count; k++) keep[k] = w[k] != 0;
  const bool fits =
      sumi_pattern_kept(job->pattern, (struct sumi_mask){rows, cols, keep, l->product.channels});
  sumi_free(job->graph->allocator, w, bytes);
  if (!fits)
    SUMI_FAIL(job->err, SUMI_E_STATE,
              "the network is already sparse, and the zeros of layer '%s' are in another pattern: only with "
              "this one "
              "can it be tuned further",
              l->node->name);
  job->plan[i].density = job->plan[i].kept;
  job->plan[i].done = true;
  return SUMI_OK;
}

/* A network that has its zeros is only tuned. */
static sumi_status keep_masks(struct sumi_prune_job *job) {
  for (size_t i = 0; i < job->n; i++)
    if (!job->plan[i].why) SUMI_TRY(keep_mask(job, i));
  return SUMI_OK;
}

static sumi_status check_sparse(struct sumi_prune_job *job) {
  double weights = 0, kept = 0, density;
  for (size_t i = 0; i < job->n; i++) {
    const double w = (double)(job->layer[i].product.rows * sumi_layer_cols(&job->layer[i]));
    if (job->plan[i].why) continue;
    weights += w;
    kept += w * job->plan[i].kept;
  }
  if (!sumi_pattern_density(job->pattern, &density))
    density = job->o->speedup > 1 ? 0.5 : 1 - job->o->sparsity;
  if (kept > 1.02 * density * weights) return SUMI_OK;
  if (sumi_prune_tunes(job) && job->o->gradual == 0 && kept > 0.98 * density * weights)
    return keep_masks(job);
  SUMI_FAIL(
      job->err, SUMI_E_STATE,
      "the network is already sparse: %.1f %% of the weights of the layers to prune are zero, so that %s",
      100 * (1 - kept / weights),
      job->o->speedup > 1 ? "nothing can be said of a speed-up over the dense network"
                          : "nothing is left to do");
}

sumi_status sumi_prune_choose(struct sumi_prune_job *job) {
  SUMI_TRY(sumi_layers_find(job->graph, &job->arena, &job->layer, &job->n, job->err));
  SUMI_TRY(refuse_quantised(job));
  SUMI_TRY(check_names(job, job->o->layers, job->o->n_layers));
  SUMI_TRY(check_names(job, job->o->skip, job->o->n_skip));
  if (!(job->plan = SUMI_NEW_ARRAY(&job->arena, job->n, struct sumi_prune_layer))) SUMI_FAIL_MEMORY(job->err);
  size_t open = 0;
  for (size_t i = 0; i < job->n; i++) {
    struct sumi_prune_layer *l = &job->plan[i];
    *l = (struct sumi_prune_layer){i, reason(job, i), 1, 1, -1, 0, -1, -1, false};
    open += !l->why;
    SUMI_TRY(sumi_prune_weigh(job, i));
  }
  return open ? check_sparse(job) : refuse_none(job);
}
