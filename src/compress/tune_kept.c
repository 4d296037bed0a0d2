/* Values of samples, kept. */
#include "compress/tune_kept.h"

#include <string.h>

#include "base/size.h"
#include "tensor/tensor.h"

struct kept_value {
  struct sumi_view view; /* of a batch */
  int64_t dims[SUMI_MAX_RANK];
  char *rows, *batch; /* [n_sample], [batch] of each bytes */
  size_t each;
};

struct sumi_tune_kept {
  const struct sumi_allocator *allocator;
  struct kept_value *value;              /* [n_value] */
  bool *there;                           /* [n_sample] */
  size_t n_value, n_sample, batch, left; /* left: bytes that may still be taken */
  bool begun, given_up;
};

sumi_status sumi_tune_kept_new(size_t n_value, size_t n_sample, size_t batch, size_t max_bytes,
                               const struct sumi_allocator *a, struct sumi_tune_kept **out,
                               struct sumi_err *err) {
  struct sumi_tune_kept *k = sumi_alloc(a, sizeof *k);
  if (!k) SUMI_FAIL_MEMORY(err);
  *k = (struct sumi_tune_kept){
      .allocator = a, .n_value = n_value, .n_sample = n_sample, .batch = batch, .left = max_bytes};
  k->value = sumi_alloc(a, n_value * sizeof *k->value);
  k->there = sumi_alloc(a, n_sample);
  if (k->value) memset(k->value, 0, n_value * sizeof *k->value);
  if (k->there) memset(k->there, 0, n_sample);
  if (!k->value || !k->there) {
    sumi_tune_kept_free(k);
    SUMI_FAIL_MEMORY(err);
  }
  *out = k;
  return SUMI_OK;
}

static void drop_values(struct sumi_tune_kept *k) {
  for (size_t i = 0; k->value && i < k->n_value; i++) {
    struct kept_value *v = &k->value[i];
    sumi_free(k->allocator, v->rows, v->each * k->n_sample);
    sumi_free(k->allocator, v->batch, v->each * k->batch);
    v->rows = v->batch = NULL;
  }
}

void sumi_tune_kept_free(struct sumi_tune_kept *k) {
  if (!k) return;
  drop_values(k);
  sumi_free(k->allocator, k->value, k->n_value * sizeof *k->value);
  sumi_free(k->allocator, k->there, k->n_sample);
  sumi_free(k->allocator, k, sizeof *k);
}

bool sumi_tune_kept_get(struct sumi_tune_kept *k, const size_t *sample, struct sumi_view *values) {
  if (!k->begun || k->given_up) return false;
  for (size_t i = 0; i < k->batch; i++)
    if (!k->there[sample[i]]) return false;
  for (size_t n = 0; n < k->n_value; n++) {
    const struct kept_value *v = &k->value[n];
    for (size_t i = 0; i < k->batch; i++)
      memcpy(v->batch + i * v->each, v->rows + sample[i] * v->each, v->each);
    const char *name = values[n].name;
    values[n] = v->view;
    values[n].name = name;
  }
  return true;
}

/* Room for value n; false: it has no rows of samples, or there is no room. */
static bool begin_value(struct sumi_tune_kept *k, size_t n, const struct sumi_view *view,
                        sumi_status *status) {
  struct kept_value *v = &k->value[n];
  size_t bytes, all;
  if (view->kind != SUMI_TENSOR || view->dtype == SUMI_STRING || view->strides || view->rank < 1 ||
      view->dims[0] != (int64_t)k->batch ||
      sumi_shape_bytes(view->dtype, view->dims, view->rank, &bytes, NULL) != SUMI_OK || !bytes)
    return false;
  v->each = bytes / k->batch;
  if (!sumi_size_mul(v->each, k->n_sample, &all) || !sumi_size_add(all, bytes, &all) || all > k->left)
    return false;
  k->left -= all;
  memcpy(v->dims, view->dims, (size_t)view->rank * sizeof *v->dims);
  v->view = *view;
  v->view.dims = v->dims;
  v->rows = sumi_alloc(k->allocator, v->each * k->n_sample);
  v->view.data = v->batch = sumi_alloc(k->allocator, bytes);
  if (!v->rows || !v->batch) *status = SUMI_E_MEMORY;
  return v->rows && v->batch;
}

static bool fits(const struct kept_value *v, const struct sumi_view *view) {
  return view->dtype == v->view.dtype && view->rank == v->view.rank && !view->strides &&
         memcmp(view->dims, v->dims, (size_t)view->rank * sizeof *v->dims) == 0;
}

sumi_status sumi_tune_kept_put(struct sumi_tune_kept *k, const size_t *sample, const struct sumi_view *values,
                               struct sumi_err *err) {
  sumi_status status = SUMI_OK;
  for (size_t n = 0; n < k->n_value && !k->given_up; n++)
    k->given_up = k->begun ? !fits(&k->value[n], &values[n]) : !begin_value(k, n, &values[n], &status);
  k->begun = true;
  if (k->given_up) drop_values(k);
  if (status != SUMI_OK) SUMI_FAIL_MEMORY(err);
  if (k->given_up) return SUMI_OK;
  for (size_t i = 0; i < k->batch; i++) {
    for (size_t n = 0; n < k->n_value; n++) {
      const struct kept_value *v = &k->value[n];
      memcpy(v->rows + sample[i] * v->each, (const char *)values[n].data + i * v->each, v->each);
    }
    k->there[sample[i]] = true;
  }
  return SUMI_OK;
}
