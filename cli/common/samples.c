/* Calibration data. Decoded once where it fits into memory, else whenever it is asked for. */
#include "common/samples.h"

#include <stdlib.h>
#include <string.h>

enum { WHOLE_BYTES = 1 << 30 };

static size_t bytes_of(const struct sumi_view *v) {
  const int64_t count = sumi_view_count(v);
  return count < 0 ? SIZE_MAX : (size_t)count * sumi_dtype_size_bits(v->dtype) / 8;
}

static int load(struct cli_samples *s, size_t first, size_t n, struct cli_feed *feed) {
  return cli_dataset_batch(&s->data, s->model, &s->options->picture, s->index + first, n, 'a',
                           s->options->trim, feed);
}

/* Samples [first, first + n) of what is in memory. */
static void take_part(struct cli_samples *s, size_t first, size_t n) {
  for (size_t i = 0; i < s->whole.n; i++) {
    const struct sumi_view *v = &s->whole.view[i];
    s->part[i] = *v;
    memcpy(s->dims[i], v->dims, (size_t)v->rank * sizeof *v->dims);
    s->dims[i][0] = (int64_t)n;
    s->part[i].dims = s->dims[i];
    s->part[i].data = (char *)v->data + bytes_of(v) / s->samples.n * first;
  }
}

static sumi_status get(void *user, size_t first, size_t n, const struct sumi_view **views, size_t *n_views,
                       struct sumi_err *err) {
  struct cli_samples *s = user;
  if (s->whole.n) {
    take_part(s, first, n);
    *views = s->part;
    *n_views = s->whole.n;
    return SUMI_OK;
  }
  cli_feed_fini(&s->batch);
  s->batch = (struct cli_feed){0};
  s->status = load(s, first, n, &s->batch);
  if (s->status != CLI_GO_ON) return cli_fail(err, SUMI_E_IO, "the calibration data cannot be read");
  *views = s->batch.view;
  *n_views = s->batch.n;
  return SUMI_OK;
}

/* ---- order ---- */

struct row {
  int64_t length;
  size_t index;
};

static int by_length(const void *a, const void *b) {
  const struct row *x = a, *y = b;
  if (x->length != y->length) return (x->length > y->length) - (x->length < y->length);
  return (x->index > y->index) - (x->index < y->index);
}

/* By length, so that a batch has hardly any padding: it would count as data. */
static int sort_rows(struct cli_samples *s) {
  struct row *row = cli_array_alloc(s->samples.n, sizeof *row);
  bool good = true;
  for (size_t i = 0; i < s->samples.n; i++) {
    row[i] = (struct row){cli_dataset_row_length(&s->data, s->options->trim, s->index[i], 'a'), s->index[i]};
    good = good && row[i].length >= 0;
  }
  qsort(row, s->samples.n, sizeof *row, by_length);
  for (size_t i = 0; i < s->samples.n; i++) s->index[i] = row[i].index;
  free(row);
  return good ? CLI_GO_ON : cli_wrong("--trim '%s': there is no such array of rows", s->options->trim);
}

/* ---- open ---- */

static void take_labels(struct cli_samples *s) {
  if (s->data.truth != CLI_CLASSES || !s->data.label) return;
  s->label = cli_array_alloc(s->samples.n, sizeof *s->label);
  for (size_t i = 0; i < s->samples.n; i++) s->label[i] = s->data.label[s->index[i]];
  s->samples.labels = s->label;
}

static int load_all(struct cli_samples *s) {
  size_t bytes = 0;
  int status = load(s, 0, 1, &s->batch);
  for (size_t i = 0; i < s->batch.n && status == CLI_GO_ON; i++) bytes += bytes_of(&s->batch.view[i]);
  if (status != CLI_GO_ON || s->options->trim || bytes > WHOLE_BYTES / s->samples.n) return status;
  status = load(s, 0, s->samples.n, &s->whole);
  s->part = cli_array_alloc(s->whole.n, sizeof *s->part);
  s->dims = cli_array_alloc(s->whole.n, sizeof *s->dims);
  return status;
}

int cli_samples_open(const struct cli_samples_options *o, const struct sumi_model *model,
                     struct cli_samples *s) {
  *s = (struct cli_samples){.model = model, .options = o, .status = CLI_GO_ON};
  s->samples = (struct sumi_samples){.size = sizeof s->samples, .get = get, .user = s};
  int status = cli_picture_check(&o->picture);
  if (status == CLI_GO_ON) status = cli_dataset_open(o->data, model, &s->data);
  if (status == CLI_GO_ON) {
    s->index = cli_dataset_spread(&s->data, o->limit, &s->samples.n);
    if (o->trim) status = sort_rows(s);
    s->data.multiple = o->multiple;
    take_labels(s);
  }
  if (status == CLI_GO_ON) status = load_all(s);
  if (status != CLI_GO_ON) cli_samples_fini(s);
  return status;
}

void cli_samples_fini(struct cli_samples *s) {
  cli_feed_fini(&s->whole);
  cli_feed_fini(&s->batch);
  cli_dataset_fini(&s->data);
  free(s->index);
  free(s->label);
  free(s->part);
  free(s->dims);
  *s = (struct cli_samples){0};
}
