/* Pad on device cpu: row after row, in stretches for threads. With a constant, dims that are not padded belong to the rows of
 * the dim before them; in the other modes tables say where the entries of every dim come from. */
#include "op/pad.h"

#include <string.h>

#include "base/size.h"
#include "op/move.h"

enum { TILE_BYTES = 1 << 16 }; /* starting a tile costs nothing beside moving them */

struct args {
  int x, y, value; /* buffers; value -1: the word below */
  uint64_t word;
  sumi_dtype dtype;
  int rank; /* >= 1; the last dim is a row */
  int64_t dim[SUMI_MAX_RANK], kept[SUMI_MAX_RANK],
      begin[SUMI_MAX_RANK];             /* of y; of x in y; where it begins */
  int64_t from[SUMI_MAX_RANK], x_first; /* strides of x; its first element kept */
  int64_t rows;
};

struct state {
  const struct args *a;
  const void *x, *value;
  void *y;
};

static void run_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  const int last = a->rank - 1;
  const int64_t width = a->dim[last];
  for (int64_t row = begin; row < end; row++) {
    int64_t rest = row, from = a->x_first, first = a->begin[last], n = a->kept[last];
    for (int d = last - 1; d >= 0; d--) {
      const int64_t at = rest % a->dim[d] - a->begin[d];
      rest /= a->dim[d];
      if (at < 0 || at >= a->kept[d]) n = 0;
      from += at * a->from[d];
    }
    if (!n) first = width;
    sumi_fill(a->dtype, s->y, row * width, first, s->value, 0);
    if (n) sumi_copy(a->dtype, s->y, row * width + first, s->x, from, n);
    sumi_fill(a->dtype, s->y, row * width + first + n, width - first - n, s->value, 0);
  }
}

static sumi_status run(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state s = {a, run->buffer[a->x], a->value < 0 ? &a->word : run->buffer[a->value], run->buffer[a->y]};
  const int64_t bytes = a->dim[a->rank - 1] * sumi_dtype_bits(a->dtype) / 8;
  sumi_par_for(run->par, a->rows, SUMI_MAX(TILE_BYTES / bytes, 1), run_rows, &s);
  return SUMI_OK;
}

/* ---- reflections, edges, wrapping ---------------------------------------------------------------------------------- */

struct mirror {
  int x, y; /* buffers */
  sumi_dtype dtype;
  int rank; /* >= 1; the last dim is a row */
  int64_t dim[SUMI_MAX_RANK];
  const int64_t *from[SUMI_MAX_RANK]; /* [dim]: elements of x to add for that entry */
  int64_t first, n;                   /* of a row: the stretch that lies in x as it lies in y */
  int64_t rows;
};

struct mirror_run {
  const struct mirror *a;
  const void *x;
  void *y;
};

static void mirror_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct mirror_run *s = user;
  const struct mirror *a = s->a;
  const int last = a->rank - 1;
  const int64_t width = a->dim[last], *from = a->from[last];
  for (int64_t row = begin; row < end; row++) {
    int64_t rest = row, x = 0;
    for (int d = last - 1; d >= 0; d--) {
      x += a->from[d][rest % a->dim[d]];
      rest /= a->dim[d];
    }
    for (int64_t i = 0; i < a->first; i++) sumi_copy(a->dtype, s->y, row * width + i, s->x, x + from[i], 1);
    sumi_copy(a->dtype, s->y, row * width + a->first, s->x, x + from[a->first], a->n);
    for (int64_t i = a->first + a->n; i < width; i++)
      sumi_copy(a->dtype, s->y, row * width + i, s->x, x + from[i], 1);
  }
}

static sumi_status run_mirror(const void *args, const struct sumi_run *run) {
  const struct mirror *a = args;
  struct mirror_run s = {a, run->buffer[a->x], run->buffer[a->y]};
  const int64_t bytes = a->dim[a->rank - 1] * sumi_dtype_bits(a->dtype) / 8;
  sumi_par_for(run->par, a->rows, SUMI_MAX(TILE_BYTES / bytes, 1), mirror_rows, &s);
  return SUMI_OK;
}

/* ---- lowering ------------------------------------------------------------------------------------------------------ */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "copy", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* The dims, those that are not padded as part of the dim before. */
static void take_dims(struct args *a, const struct sumi_tensor *x, const struct sumi_tensor *y,
                      const int64_t *begin, const int64_t *end) {
  int64_t stride[SUMI_MAX_RANK];
  sumi_strides(x->dim, x->rank, stride);
  for (int i = 0; i < x->rank; i++) {
    a->x_first -= SUMI_MIN(begin[i], 0) * stride[i];
    if (a->rank && !begin[i] && !end[i]) {
      const int d = a->rank - 1;
      a->dim[d] *= y->dim[i], a->kept[d] *= y->dim[i], a->begin[d] *= y->dim[i];
      a->from[d] = stride[i];
      continue;
    }
    const int d = a->rank++;
    a->dim[d] = y->dim[i];
    a->kept[d] = x->dim[i] + SUMI_MIN(begin[i], 0) + SUMI_MIN(end[i], 0);
    a->begin[d] = SUMI_MAX(begin[i], 0);
    a->from[d] = stride[i];
  }
}

static sumi_status lower_mirror(struct sumi_lower *l, enum sumi_pad_mode mode, const int64_t *begin,
                                const int64_t *end) {
  const struct sumi_tensor *x = l->in[0], *y = l->out[0];
  struct mirror *a = SUMI_NEW(l->arena, struct mirror);
  int64_t stride[SUMI_MAX_RANK];
  if (!a) SUMI_FAIL_MEMORY(l->err);
  sumi_strides(x->dim, x->rank, stride);
  *a = (struct mirror){
      .x = l->in_buffer[0], .y = l->out_buffer[0], .dtype = x->dtype, .rank = x->rank, .n = 1};
  for (int d = 0; d < x->rank; d++) {
    const int64_t kept = x->dim[d] + SUMI_MIN(begin[d], 0) + SUMI_MIN(end[d], 0);
    int64_t *from = SUMI_NEW_ARRAY(l->arena, (size_t)y->dim[d], int64_t);
    if (kept <= 0) return refuse(l, "nothing is kept");
    if (!from) SUMI_FAIL_MEMORY(l->err);
    for (int64_t i = 0; i < y->dim[d]; i++)
      from[i] = (sumi_pad_source(mode, i - SUMI_MAX(begin[d], 0), kept) - SUMI_MIN(begin[d], 0)) * stride[d];
    a->dim[d] = y->dim[d];
    a->from[d] = from;
  }
  const int last = x->rank - 1;
  a->first = SUMI_MIN(SUMI_MAX(begin[last], 0), y->dim[last] - 1);
  while (a->first + a->n < y->dim[last] && a->from[last][a->first + a->n] == a->from[last][a->first] + a->n)
    a->n++;
  a->rows = sumi_dims_count(a->dim, 0, last);
  return sumi_lower_emit(l, run_mirror, a, "copy rows, continued", &a->x, 1, &a->y, 1);
}

sumi_status sumi_pad_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0], *y = l->out[0];
  const struct sumi_tensor *value = l->n_in > 2 ? l->in[2] : NULL;
  const struct sumi_call call = sumi_lower_call(l);
  int64_t begin[SUMI_MAX_RANK], end[SUMI_MAX_RANK];
  enum sumi_pad_mode mode;
  for (int i = 1; i < l->n_in; i += 2)
    if (l->in[i] && !l->in[i]->data) return refuse(l, "the pads are not constant");
  if (sumi_dtype_bits(x->dtype) < 8 || sumi_dtype_bits(x->dtype) > 64 || x->dtype == SUMI_STRING)
    return refuse(l, "elements are not one to eight bytes");
  SUMI_TRY(sumi_pad_resolve(&call, &mode, begin, end));
  if (!sumi_tensor_count(y) || !x->rank) return refuse(l, "an empty tensor or a scalar");
  if (mode != SUMI_PAD_CONSTANT) return lower_mirror(l, mode, begin, end);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->x = l->in_buffer[0], a->y = l->out_buffer[0], a->value = -1, a->dtype = x->dtype;
  if (value && sumi_tensor_count(value) == 1)
    a->value = l->in_buffer[2];
  else if (sumi_attr_float(l->node, "value", 0) != 0)
    sumi_set_f64(x->dtype, &a->word, 0, sumi_attr_float(l->node, "value", 0));
  take_dims(a, x, y, begin, end);
  a->rows = sumi_dims_count(a->dim, 0, a->rank - 1);
  const int reads[] = {a->x, a->value};
  return sumi_lower_emit(l, run, a, "copy rows, padded", reads, a->value < 0 ? 1 : 2, &a->y, 1);
}
