/* Samples as a whole. */
#include "compress/prune_data.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

/* ---- hash ------------------------------------------------------------------------------------------------------- */

static sumi_status add_view(const struct sumi_view *v, size_t first, size_t n, uint64_t *hash,
                            struct sumi_err *err) {
  int64_t count;
  SUMI_TRY(sumi_shape_count(v->dims, v->rank, &count, err));
  if (v->kind != SUMI_TENSOR || v->strides)
    SUMI_FAIL(err, SUMI_E_ARG, "samples of input '%s' are no row-major tensor", v->name);
  *hash = sumi_hash(v->name, strlen(v->name), *hash);
  *hash = sumi_hash(v->dims, (size_t)v->rank * sizeof *v->dims, *hash);
  if (v->dtype == SUMI_STRING) {
    for (int64_t i = 0; i < count; i++) {
      const struct sumi_str *s = (const struct sumi_str *)v->data + i;
      *hash = sumi_hash(s->data, s->size, *hash);
    }
    return SUMI_OK;
  }
  *hash = sumi_hash(v->data, ((size_t)count * (size_t)sumi_dtype_bits(v->dtype) + 7) / 8, *hash);
  if (!sumi_dtype_is_float(v->dtype)) return SUMI_OK;
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(sumi_get_f64(v->dtype, v->data, i)))
      SUMI_FAIL(err, SUMI_E_VALUE, "the samples %zu to %zu have an element for input '%s' that is not finite",
                first, first + n - 1, v->name);
  return SUMI_OK;
}

sumi_status sumi_samples_hash(const struct sumi_samples *samples, size_t batch, uint64_t *hash,
                              struct sumi_err *err) {
  *hash = 0;
  for (size_t at = 0; at < samples->n; at += batch) {
    const struct sumi_view *view;
    size_t n_views;
    const size_t n = SUMI_MIN(batch, samples->n - at);
    SUMI_TRY(samples->get(samples->user, at, n, &view, &n_views, err));
    for (size_t i = 0; i < n_views; i++) SUMI_TRY(add_view(&view[i], at, n, hash, err));
  }
  return SUMI_OK;
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

enum { PARTS = 4 }; /* one of them apart */

static sumi_status get_part(void *user, size_t first, size_t n, const struct sumi_view **views,
                            size_t *n_views, struct sumi_err *err) {
  const struct sumi_samples_part *p = user;
  const size_t k = first / p->batch, others = PARTS - 1;
  const size_t batch = p->apart ? k * PARTS + others : k / others * PARTS + k % others;
  return p->all->get(p->all->user, batch * p->batch + first % p->batch, n, views, n_views, err);
}

void sumi_samples_split(const struct sumi_samples *all, size_t batch, struct sumi_samples_part *most,
                        struct sumi_samples_part *apart) {
  const size_t n = all->n / batch / PARTS * batch; /* behind the last whole four: in none */
  *most = (struct sumi_samples_part){*all, all, batch, false};
  *apart = (struct sumi_samples_part){*all, all, batch, true};
  if (!n) return;
  most->samples = (struct sumi_samples){
      .size = sizeof most->samples, .n = n * (PARTS - 1), .get = get_part, .user = most};
  apart->samples =
      (struct sumi_samples){.size = sizeof apart->samples, .n = n, .get = get_part, .user = apart};
}

/* ---- every step-th batch ---------------------------------------------------------------------------------------- */

struct thinned {
  const struct sumi_samples *all;
  size_t batch, step;
};

static sumi_status get_thinned(void *user, size_t first, size_t count, const struct sumi_view **views,
                               size_t *n_views, struct sumi_err *err) {
  const struct thinned *t = user;
  return t->all->get(t->all->user, first / t->batch * t->step * t->batch, count, views, n_views, err);
}

/* Outputs for so many samples, batches spread over all of them: neighbours may be alike. */
static sumi_status visit(struct sumi_outputs *o, const struct sumi_calibrate *c, sumi_calibrate_take *take,
                         struct sumi_err *err) {
  const size_t batches = c->samples->n / c->batch, wanted = o->samples / c->batch;
  struct thinned t = {c->samples, c->batch, wanted && batches > wanted ? batches / wanted : 1};
  const struct sumi_samples part = {.size = sizeof part, .n = o->samples, .get = get_thinned, .user = &t};
  struct sumi_calibrate own = *c;
  own.samples = &part;
  return sumi_calibrate_visit(&own, 0, o->samples, o->name, o->n_names, take, o, err);
}

/* ---- outputs ---------------------------------------------------------------------------------------------------- */

enum { MOST_NUMBERS = 1 << 24 };

static sumi_status take_first(void *user, size_t which, size_t first, size_t n, const struct sumi_tensor *t,
                              struct sumi_err *err) {
  (void)which, (void)first, (void)n;
  struct sumi_outputs *o = user;
  const size_t count = (size_t)sumi_tensor_count(t);
  void *p = o->data;
  if ((o->full |= count > MOST_NUMBERS - o->n)) return SUMI_OK;
  if (!sumi_grow(o->allocator, &p, &o->cap, o->n + count, sizeof *o->data)) SUMI_FAIL_MEMORY(err);
  o->data = p;
  for (size_t i = 0; i < count; i++) o->data[o->n++] = (float)sumi_get_f64(t->dtype, t->data, (int64_t)i);
  return SUMI_OK;
}

static sumi_status take_second(void *user, size_t which, size_t first, size_t n, const struct sumi_tensor *t,
                               struct sumi_err *err) {
  (void)which, (void)first, (void)n, (void)err;
  struct sumi_outputs *o = user;
  const size_t count = (size_t)sumi_tensor_count(t);
  if (count > o->n - o->at) return SUMI_OK; /* behind what was kept, in pieces of the same sizes */
  for (size_t i = 0; i < count; i++) {
    const double before = (double)o->data[o->at++], now = sumi_get_f64(t->dtype, t->data, (int64_t)i);
    o->apart += (now - before) * (now - before);
    o->all += before * before;
  }
  return SUMI_OK;
}

sumi_status sumi_outputs_keep(struct sumi_outputs *o, const struct sumi_calibrate *c, size_t samples,
                              struct sumi_err *err) {
  const struct sumi_graph *g = c->graph;
  *o = (struct sumi_outputs){.allocator = g->allocator, .cap_names = g->n_output + 1};
  o->samples = SUMI_MIN(SUMI_MAX(samples - samples % c->batch, c->batch), c->samples->n);
  o->name = sumi_alloc(g->allocator, o->cap_names * sizeof *o->name);
  if (!o->name) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < g->n_output; i++)
    if (g->output[i]->info.kind == SUMI_TENSOR && sumi_dtype_is_float(g->output[i]->info.dtype))
      o->name[o->n_names++] = g->output[i]->name;
  if (!o->n_names) return SUMI_OK;
  return visit(o, c, take_first, err);
}

sumi_status sumi_outputs_compare(struct sumi_outputs *o, const struct sumi_calibrate *c, double *loss,
                                 struct sumi_err *err) {
  o->at = 0;
  o->apart = o->all = 0;
  if (o->n) SUMI_TRY(visit(o, c, take_second, err));
  *loss = o->all > 0 ? o->apart / o->all : -1;
  return SUMI_OK;
}

void sumi_outputs_fini(struct sumi_outputs *o) {
  if (!o->allocator) return;
  sumi_free(o->allocator, o->data, o->cap * sizeof *o->data);
  sumi_free(o->allocator, o->name, o->cap_names * sizeof *o->name);
  *o = (struct sumi_outputs){0};
}
