/* Static 8 bits, from the graph to the list of changes. */
#include "compress/quantize.h"

#include <math.h>
#include <stdio.h>

#include "base/size.h"
#include "compress/quantize_int.h"

enum { PER_TENSOR_OPSET = 10, PER_CHANNEL_OPSET = 13 };
static const double MAX_ERROR = 0.1;

sumi_status quant_progress(const struct quant_job *j, const char *what, double done, struct sumi_err *err) {
  const struct sumi_progress p = {
      .size = sizeof p, .what = what, .layer = "", .done = done, .seconds_left = -1};
  if (j->o->on_progress && !j->o->on_progress(j->o->user, &p)) SUMI_FAIL(err, SUMI_E_STATE, "stopped");
  return SUMI_OK;
}

/* ---- ranges ------------------------------------------------------------------------------------------------------- */

/* Whether v needs a range of its own. */
static bool needs_range(const struct quant_job *j, const struct sumi_value *v) {
  const struct quant_value *q = &j->value[v->id];
  return q->is_wanted && !q->alike && !q->has_range;
}

static sumi_status set_ranges(struct quant_job *j, const struct sumi_range_stats *stats,
                              const char *const *name, size_t n, struct sumi_err *err) {
  const struct sumi_range_choice choice = {j->o->range, j->o->percentile, j->o->symmetric};
  for (size_t i = 0; i < n; i++) {
    struct quant_value *q = &j->value[sumi_graph_find_value(j->g, name[i])->id];
    if (stats[i].not_finite)
      SUMI_FAIL(err, SUMI_E_VALUE,
                "value '%s' has %lld elements that are not finite over the calibration data", name[i],
                (long long)stats[i].not_finite);
    SUMI_TRY(sumi_range_choose(&stats[i], &choice, &q->range, err));
    q->has_range = true;
  }
  return SUMI_OK;
}

/* Calls on as the samples are asked for. */
struct counted {
  struct sumi_samples own;
  const struct quant_job *j;
  double from, to; /* of the whole */
};

static sumi_status get_counted(void *user, size_t first, size_t count, const struct sumi_view **views,
                               size_t *n, struct sumi_err *err) {
  struct counted *c = user;
  const struct sumi_samples *s = c->j->o->samples;
  const double done = c->from + (c->to - c->from) * (double)first / (double)s->n;
  SUMI_TRY(quant_progress(c->j, "calibrate", done, err));
  return s->get(s->user, first, count, views, n, err);
}

static sumi_status calibrate_values(struct quant_job *j, struct sumi_err *err) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, j->g->allocator);
  const char **name = SUMI_NEW_ARRAY(&arena, j->g->n_value, const char *);
  size_t n = 0;
  for (size_t i = 0; name && i < j->g->n_value; i++)
    if (needs_range(j, j->g->value[i])) name[n++] = j->g->value[i]->name;
  struct sumi_range_stats *stats = SUMI_NEW_ARRAY(&arena, n, struct sumi_range_stats);
  struct counted counted = {{sizeof counted.own, j->o->samples->n, get_counted, &counted}, j, 0, 0.5};
  struct sumi_calibrate c = j->calibrate;
  c.graph = j->g;
  c.samples = &counted.own;
  sumi_status status = name && stats ? SUMI_OK : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK && n) status = sumi_calibrate_values(&c, name, n, stats, err);
  if (status == SUMI_OK) status = set_ranges(j, stats, name, n, err);
  sumi_arena_fini(&arena);
  return status;
}

/* ---- layers ------------------------------------------------------------------------------------------------------- */

static bool any_left(const struct quant_job *j) {
  for (size_t i = 0; i < j->n_layer; i++)
    if (!j->layer[i].kept) return true;
  return false;
}

static sumi_status keep_worst(struct quant_job *j, struct sumi_err *err) {
  const double most = j->o->max_error > 0 ? j->o->max_error : MAX_ERROR;
  for (size_t i = 0; i < j->n_layer; i++) {
    struct quant_layer *l = &j->layer[i];
    if (l->kept || !(l->error > most)) continue;
    l->kept = sumi_arena_printf(j->arena, "its error %.3g is above %.3g", l->error, most);
    if (!l->kept) SUMI_FAIL_MEMORY(err);
  }
  return SUMI_OK;
}

/* From a network (evened out or not) to errors of all its layers. */
static sumi_status try_all(struct quant_job *j, struct sumi_err *err) {
  quant_plan(j);
  SUMI_TRY(calibrate_values(j, err));
  for (size_t i = 0; i < j->n_layer; i++)
    if (!j->layer[i].kept) SUMI_TRY(quant_weights(j, &j->layer[i], err));
  return quant_measure(j, err);
}

static double total_error(const struct quant_job *j) {
  double sum = 0;
  for (size_t i = 0; i < j->n_layer; i++) sum += j->layer[i].kept ? 0 : j->layer[i].error;
  return sum;
}

static sumi_status open_job(struct quant_job *j, const struct sumi_graph *g, struct sumi_err *err) {
  if (!(j->g = sumi_graph_clone(g, err))) return err ? err->status : SUMI_E_MEMORY;
  sumi_constants_keep(j->g);
  j->value = SUMI_NEW_ARRAY(j->arena, j->g->n_value, struct quant_value);
  j->like = SUMI_NEW_ARRAY(j->arena, j->g->n_value, bool);
  j->spread = SUMI_NEW_ARRAY(j->arena, j->g->n_node, bool);
  if (!j->value || !j->like || !j->spread) SUMI_FAIL_MEMORY(err);
  j->calibrate.graph = j->g;
  SUMI_TRY(quant_find_layers(j, err));
  if (!any_left(j) && j->n_layer)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "none of the network's layers can get 8 bits");
  return SUMI_OK;
}

/* The better of the network as it is and evened out. */
static sumi_status choose_scales(struct quant_job *j, const struct sumi_graph *g, struct sumi_err *err) {
  SUMI_TRY(try_all(j, err));
  if (!j->o->equalise) return SUMI_OK;
  struct quant_job even = {.o = j->o, .opset = j->opset, .arena = j->arena, .calibrate = j->calibrate};
  sumi_status status = open_job(&even, g, err);
  if (status == SUMI_OK) status = quant_equalise(&even, err);
  if (status == SUMI_OK) status = try_all(&even, err);
  const bool better = status == SUMI_OK && total_error(&even) < total_error(j);
  struct sumi_graph *loser = better ? j->g : even.g;
  if (better) *j = even;
  sumi_graph_free(loser);
  return status;
}

/* ---- refusals ------------------------------------------------------------------------------------------------------- */

static sumi_status check(const struct sumi_graph *g, int opset, const struct sumi_quantize_options *o,
                         struct sumi_err *err) {
  static const char *const quantised[] = {"QuantizeLinear",       "DequantizeLinear", "QLinearConv",
                                          "QLinearMatMul",        "ConvInteger",      "MatMulInteger",
                                          "DynamicQuantizeLinear"};
  for (size_t i = 0; i < g->n_node; i++)
    for (size_t k = 0; k < SUMI_COUNT(quantised); k++)
      if (quant_is(g->node[i], quantised[k]))
        SUMI_FAIL(err, SUMI_E_STATE, "the network is quantised already: node '%s' is a %s", g->node[i]->name,
                  quantised[k]);
  if (opset < PER_TENSOR_OPSET)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
              "the file's operator set is %d; QuantizeLinear came with 10: convert the model to 13 first",
              opset);
  if (opset < PER_CHANNEL_OPSET && !o->per_tensor)
    SUMI_FAIL(
        err, SUMI_E_UNSUPPORTED,
        "the file's operator set is %d; one scale for each channel came with 13: convert the model, or ask "
        "for one scale per tensor (--per-tensor)",
        opset);
  if (!o->samples || !o->samples->get || !o->samples->n)
    SUMI_FAIL(err, SUMI_E_ARG, "there are no samples to calibrate with");
  if (o->percentile < 0 || o->percentile > 100 || (o->percentile > 0 && o->percentile < 50))
    SUMI_FAIL(err, SUMI_E_ARG, "percentile %g does not lie in 50..100", o->percentile);
  const struct sumi_range_choice choice = {.method = o->range};
  const struct sumi_range_stats nothing = {0};
  struct sumi_range range;
  return sumi_range_choose(&nothing, &choice, &range, err);
}

/* 8 samples a run, or 1 where an input says so. */
static size_t batch_of(const struct sumi_graph *g, size_t asked) {
  for (size_t i = 0; i < g->n_input && !asked; i++)
    if (!g->input[i]->constant && g->input[i]->info.rank > 0 && g->input[i]->info.dim[0] > 0) return 1;
  return asked;
}

/* ---- the report ----------------------------------------------------------------------------------------------------- */

static double density_of(const struct quant_layer *l) {
  const int64_t n = sumi_tensor_count(l->l.weight->constant);
  int64_t set = 0;
  for (int64_t i = 0; i < n; i++)
    set += l->kept ? sumi_get_f64(l->l.weight->constant->dtype, l->l.weight->constant->data, i) != 0
                   : l->w[i] != 0;
  return n ? (double)set / (double)n : 0;
}

static sumi_status report(const struct quant_job *j, struct sumi_quantized *out, struct sumi_err *err) {
  out->layer = SUMI_NEW_ARRAY(j->arena, j->n_layer, struct sumi_quantized_layer_info);
  if (!out->layer) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < j->n_layer; i++) {
    const struct quant_layer *l = &j->layer[i];
    struct sumi_quantized_layer_info *r = &out->layer[out->n_layer++];
    *r = (struct sumi_quantized_layer_info){.size = sizeof *r,
                                            .name = l->l.node->name,
                                            .op = l->l.node->op_name,
                                            .weights = l->l.weight->name,
                                            .kept = l->kept,
                                            .error = l->error,
                                            .density = density_of(l),
                                            .bias_corrected = l->corrected,
                                            .equalised = l->equalised};
    if (l->kept) continue;
    const struct sumi_range *x = &quant_params(j, quant_x(l))->range;
    r->x_scale = (double)x->scale;
    r->x_zero = x->zero;
    r->w_scale_min = r->w_scale_max = (double)l->w_scale[0];
    for (int64_t k = 1; k < l->l.product.rows; k++) {
      r->w_scale_min = SUMI_MIN(r->w_scale_min, (double)l->w_scale[k]);
      r->w_scale_max = SUMI_MAX(r->w_scale_max, (double)l->w_scale[k]);
    }
  }
  return SUMI_OK;
}

static sumi_status quantise(struct quant_job *j, const struct sumi_graph *g,
                            const struct sumi_prepared *prepared, struct sumi_quantized *out,
                            struct sumi_err *err) {
  SUMI_TRY(open_job(j, g, err));
  if (!j->n_layer) return sumi_prepared_refuse(prepared, "quantise", err);
  SUMI_TRY(choose_scales(j, g, err));
  SUMI_TRY(keep_worst(j, err));
  if (!any_left(j))
    SUMI_FAIL(err, SUMI_E_VALUE, "the error of every layer is above %g: nothing would get 8 bits",
              j->o->max_error > 0 ? j->o->max_error : MAX_ERROR);
  quant_plan(j);
  SUMI_TRY(calibrate_values(j, err)); /* values that were alike others, which are there no more */
  for (size_t i = 0; i < j->n_layer; i++)
    if (!j->layer[i].kept) SUMI_TRY(quant_weights(j, &j->layer[i], err));
  SUMI_TRY(sumi_prepared_put(prepared, j->g, &out->changes, err));
  SUMI_TRY(quant_changes(j, &out->changes, err));
  return report(j, out, err);
}

sumi_status sumi_quantize(const struct sumi_graph *g, int opset, const struct sumi_quantize_options *o,
                          const struct sumi_allocator *a, struct sumi_quantized *out, struct sumi_err *err) {
  *out = (struct sumi_quantized){0};
  sumi_arena_init(&out->arena, a);
  sumi_changes_init(&out->changes, a);
  SUMI_TRY(check(g, opset, o, err));
  struct quant_job j = {
      .o = o,
      .opset = opset,
      .arena = &out->arena,
      .calibrate = {.samples = o->samples, .batch = batch_of(g, o->batch), .threads = o->threads}};
  struct sumi_prepared prepared;
  struct sumi_graph *own = sumi_graph_clone(g, err);
  if (!own) return err ? err->status : SUMI_E_MEMORY;
  sumi_constants_keep(own);
  sumi_prepared_init(&prepared, a);
  sumi_status status = sumi_calibrate_fix_defaults(own, o->samples, j.calibrate.batch, err);
  if (status == SUMI_OK) status = sumi_prepare_weights(own, &prepared, err);
  if (status == SUMI_OK) status = sumi_prepare_norms(own, &prepared, err);
  if (status == SUMI_OK) status = quantise(&j, own, &prepared, out, err);
  out->graph = j.g;
  sumi_prepared_fini(&prepared);
  sumi_graph_free(own);
  return status;
}

void sumi_quantized_fini(struct sumi_quantized *q) {
  sumi_changes_fini(&q->changes);
  sumi_graph_free(q->graph);
  sumi_arena_fini(&q->arena);
}
