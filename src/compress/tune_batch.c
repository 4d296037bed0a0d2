/* Shuffling, putting samples together, shifting and mirroring pictures. */
#include "compress/tune_batch.h"

#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "tensor/tensor.h"

enum { SHIFT = 4 }; /* pixels a picture is shifted at most */

struct input {
  struct sumi_view view; /* of the whole batch */
  int64_t dims[SUMI_MAX_RANK];
  char *data, *spare; /* of the whole batch; of one picture */
  size_t each;        /* bytes of one sample */
};

struct sumi_tune_batch {
  const struct sumi_tune *t;
  const struct sumi_allocator *allocator;
  size_t *order, *sample; /* [samples], [batch] */
  size_t n, epoch;        /* units that are shuffled; the epoch that order is of, + 1 */
  struct input input[SUMI_TUNE_INPUTS];
  struct sumi_view view[SUMI_TUNE_INPUTS];
  size_t n_input;
};

sumi_status sumi_tune_batch_new(const struct sumi_tune *t, const struct sumi_allocator *a,
                                struct sumi_tune_batch **out, struct sumi_err *err) {
  struct sumi_tune_batch *b = sumi_alloc(a, sizeof *b);
  if (!b) SUMI_FAIL_MEMORY(err);
  *b = (struct sumi_tune_batch){.t = t, .allocator = a};
  b->n = t->consecutive ? t->samples->n / t->batch : t->samples->n;
  b->order = sumi_alloc(a, b->n * sizeof *b->order);
  b->sample = sumi_alloc(a, t->batch * sizeof *b->sample);
  if (!b->order || !b->sample) {
    sumi_tune_batch_free(b);
    SUMI_FAIL_MEMORY(err);
  }
  *out = b;
  return SUMI_OK;
}

void sumi_tune_batch_free(struct sumi_tune_batch *b) {
  if (!b) return;
  for (size_t i = 0; i < b->n_input; i++) {
    sumi_free(b->allocator, b->input[i].data, b->input[i].each * b->t->batch);
    sumi_free(b->allocator, b->input[i].spare, b->input[i].each);
  }
  sumi_free(b->allocator, b->order, b->n * sizeof *b->order);
  sumi_free(b->allocator, b->sample, b->t->batch * sizeof *b->sample);
  sumi_free(b->allocator, b, sizeof *b);
}

static size_t below(struct sumi_random *r, size_t n) { return (size_t)(sumi_random_uniform(r) * (double)n); }

/* Fisher and Yates's shuffle, another one in every epoch. */
static void shuffle(struct sumi_tune_batch *b, size_t epoch) {
  if (b->epoch == epoch + 1) return;
  struct sumi_random r;
  sumi_random_init(&r, b->t->seed + epoch);
  for (size_t i = 0; i < b->n; i++) b->order[i] = i;
  for (size_t i = b->n; i > 1; i--) {
    const size_t k = below(&r, i), kept = b->order[i - 1];
    b->order[i - 1] = b->order[k];
    b->order[k] = kept;
  }
  b->epoch = epoch + 1;
}

/* ---- single samples --------------------------------------------------------------------------------------------- */

static sumi_status check_view(const struct sumi_view *v, struct sumi_err *err) {
  if (v->kind != SUMI_TENSOR || v->dtype == SUMI_STRING || v->strides || v->rank < 1 || v->dims[0] != 1)
    SUMI_FAIL(err, SUMI_E_ARG, "input '%.128s' of a sample is no row-major tensor of a batch of one",
              v->name);
  return SUMI_OK;
}

static sumi_status begin_input(struct sumi_tune_batch *b, struct input *input, const struct sumi_view *v,
                               struct sumi_err *err) {
  size_t bytes;
  SUMI_TRY(check_view(v, err));
  SUMI_TRY(sumi_shape_bytes(v->dtype, v->dims, v->rank, &input->each, err));
  if (!sumi_size_mul(input->each, b->t->batch, &bytes)) SUMI_FAIL(err, SUMI_E_LIMIT, "a batch is too large");
  memcpy(input->dims, v->dims, (size_t)v->rank * sizeof *v->dims);
  input->dims[0] = (int64_t)b->t->batch;
  input->view = *v;
  input->view.dims = input->dims;
  b->n_input++; /* from here on it is freed */
  input->view.data = input->data = sumi_alloc(b->allocator, bytes);
  input->spare = sumi_alloc(b->allocator, input->each);
  if (!input->data || !input->spare) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status check_same(const struct input *input, const struct sumi_view *v, struct sumi_err *err) {
  SUMI_TRY(check_view(v, err));
  bool same =
      sumi_streq(input->view.name, v->name) && input->view.dtype == v->dtype && input->view.rank == v->rank;
  for (int i = 1; same && i < v->rank; i++) same = input->dims[i] == v->dims[i];
  if (!same)
    SUMI_FAIL(err, SUMI_E_SHAPE, "input '%.128s' has another name, type or shape in other samples", v->name);
  return SUMI_OK;
}

/* The picture [channels, h, w] of items of item bytes at data moves down and right by (dy, dx), or from right to left first. */
static void move_picture(const struct input *input, size_t item, int64_t dy, int64_t dx, bool mirror,
                         char *data) {
  const int64_t planes = input->dims[1], h = input->dims[2], w = input->dims[3];
  memcpy(input->spare, data, input->each);
  for (int64_t row = 0; row < planes * h; row++) {
    const int64_t y = row % h - dy;
    char *to = data + (size_t)(row * w) * item;
    for (int64_t c = 0; c < w; c++) {
      const int64_t x = mirror ? w - 1 - (c - dx) : c - dx;
      if (y < 0 || y >= h || x < 0 || x >= w)
        memset(to + (size_t)c * item, 0, item);
      else
        memcpy(to + (size_t)c * item, input->spare + (size_t)((row - dy) * w + x) * item, item);
    }
  }
}

static void augment(const struct sumi_tune_batch *b, const struct input *input, size_t step, size_t place) {
  if (!b->t->augment || input->view.rank != 4) return;
  struct sumi_random r;
  sumi_random_init(&r, b->t->seed + UINT64_C(0x9e3779b97f4a7c15) * (step * b->t->batch + place + 1));
  const int64_t dy = (int64_t)below(&r, 2 * SHIFT + 1) - SHIFT,
                dx = (int64_t)below(&r, 2 * SHIFT + 1) - SHIFT;
  const bool mirror = below(&r, 2) == 1;
  const size_t items = (size_t)(input->dims[1] * input->dims[2] * input->dims[3]);
  if (items) move_picture(input, input->each / items, dy, dx, mirror, input->data + place * input->each);
}

static sumi_status put_sample(struct sumi_tune_batch *b, size_t step, size_t place, struct sumi_err *err) {
  const struct sumi_samples *s = b->t->samples;
  const struct sumi_view *v;
  size_t n;
  SUMI_TRY(s->get(s->user, b->sample[place], 1, &v, &n, err));
  if (!n || n > SUMI_TUNE_INPUTS || (b->n_input && b->n_input != n))
    SUMI_FAIL(err, SUMI_E_ARG, "sample %zu has %zu inputs", b->sample[place], n);
  for (size_t i = 0; i < n; i++) {
    struct input *input = &b->input[i];
    if (i == b->n_input) SUMI_TRY(begin_input(b, input, &v[i], err));
    SUMI_TRY(check_same(input, &v[i], err));
    memcpy(input->data + place * input->each, v[i].data, input->each);
    augment(b, input, step, place);
  }
  return SUMI_OK;
}

sumi_status sumi_tune_batch_get(struct sumi_tune_batch *b, size_t step, const struct sumi_view **in,
                                size_t *n_in, const size_t **sample, struct sumi_err *err) {
  const struct sumi_tune *t = b->t;
  const size_t per_epoch = t->samples->n / t->batch, first = step % per_epoch;
  shuffle(b, step / per_epoch);
  for (size_t i = 0; i < t->batch; i++)
    b->sample[i] = t->consecutive ? b->order[first] * t->batch + i : b->order[first * t->batch + i];
  *sample = b->sample;
  if (t->consecutive) return t->samples->get(t->samples->user, b->sample[0], t->batch, in, n_in, err);
  for (size_t i = 0; i < t->batch; i++) SUMI_TRY(put_sample(b, step, i, err));
  for (size_t i = 0; i < b->n_input; i++) b->view[i] = b->input[i].view;
  *in = b->view;
  *n_in = b->n_input;
  return SUMI_OK;
}
