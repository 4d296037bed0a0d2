/* Resize and Upsample in float32, and weighted ones of bytes, on family resize: axis by axis, by tables made here. What lies
 * before the first resized axis is a number of planes; each goes through all axes before the next, in scratch that stays in
 * the cache. The axis that shrinks most comes first. Bytes become float32 in that scratch, and are rounded to nearest even
 * behind the last axis. */
#include "op/resize_lower.h"

#include <string.h>

#include "base/fmath.h"
#include "base/size.h"
#include "kernel/resize/resize.h"
#include "op/resize.h"
#include "op/spmm_lower.h"

enum { MOST_ENTRIES = 1 << 24, TILE_WORDS = 8192 };

/* One axis: [outer, n, inner] to [outer, m, inner] of a plane. */
struct stage {
  struct sumi_resize_table table;
  int64_t outer, n, inner;
};

struct args {
  const struct sumi_resize_kernel *kernel;
  struct stage stage[SUMI_MAX_RANK];
  int n_stage;
  int64_t planes, x_words, y_words; /* words of a plane */
  int64_t between[2];               /* words of a worker's two buffers for what lies between stages */
  sumi_dtype dtype;                 /* bytes: two buffers more, a plane of x and one of y */
  int x, y, scratch;                /* buffers; scratch -1 = none */
};

struct state {
  const struct args *a;
  const void *x;
  void *y;
  float *scratch; /* y, of which nothing is used, where one stage does it */
};

static bool is_bytes(sumi_dtype d) { return d == SUMI_UINT8 || d == SUMI_INT8; }

static int64_t worker_words(const struct args *a) {
  return a->between[0] + a->between[1] + (is_bytes(a->dtype) ? a->x_words + a->y_words : 0);
}

static void narrow(sumi_dtype d, const float *x, int64_t n, void *y) {
  const float low = d == SUMI_INT8 ? -128 : 0, high = d == SUMI_INT8 ? 127 : 255;
  for (int64_t i = 0; i < n; i++) {
    const float v = x[i] < low ? low : x[i] > high ? high : x[i];
    ((uint8_t *)y)[i] = (uint8_t)(int32_t)sumi_rint_small_f32(v);
  }
}

static void run_stage(const struct sumi_resize_kernel *kernel, const struct stage *s, const float *x,
                      float *y) {
  const struct sumi_resize_table *t = &s->table;
  for (int64_t o = 0; o < s->outer; o++, x += s->n * s->inner, y += t->m * s->inner) {
    if (s->inner == 1) {
      kernel->across(t, x, y);
      continue;
    }
    for (int64_t i = 0; i < t->m; i++) {
      const int32_t *at = t->at + i * t->taps;
      if (t->w)
        kernel->down(x, s->inner, at, t->w + i * t->taps, t->taps, s->inner, y + i * s->inner);
      else
        memcpy(y + i * s->inner, x + *at * s->inner, (size_t)s->inner * sizeof *x);
    }
  }
}

static void run_planes(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *s = user;
  const struct args *a = s->a;
  const bool bytes = is_bytes(a->dtype);
  float *buffer[2] = {s->scratch + worker * worker_words(a)};
  buffer[1] = buffer[0] + a->between[0];
  float *const wide_x = buffer[1] + a->between[1], *const wide_y = wide_x + a->x_words;
  for (int64_t i = begin; i < end; i++) {
    const float *from = bytes ? wide_x : (const float *)s->x + i * a->x_words;
    float *const last = bytes ? wide_y : (float *)s->y + i * a->y_words;
    if (bytes) sumi_to_f32(a->dtype, s->x, i * a->x_words, a->x_words, wide_x);
    for (int k = 0; k < a->n_stage; k++) {
      float *to = k + 1 < a->n_stage ? buffer[k % 2] : last;
      run_stage(a->kernel, &a->stage[k], from, to);
      from = to;
    }
    if (bytes) narrow(a->dtype, wide_y, a->y_words, (uint8_t *)s->y + i * a->y_words);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state s = {a, r->buffer[a->x], r->buffer[a->y], r->buffer[a->scratch >= 0 ? a->scratch : a->y]};
  sumi_par_for(r->par, a->planes, SUMI_MAX(TILE_WORDS / a->y_words, 1), run_planes, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "resize", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* The table of an axis; across: entries of one tap follow each other, else those of one output element. */
static sumi_status make_table(struct sumi_lower *l, const struct sumi_resize_how *how,
                              const struct sumi_resize_axis *a, bool across, struct sumi_resize_table *t) {
  const int64_t taps = sumi_resize_taps(how, a->scale), m = a->out;
  if (a->in > INT32_MAX || taps > MOST_ENTRIES / m) return refuse(l, "the table would be too long");
  int32_t *at = SUMI_NEW_ARRAY(l->arena, (size_t)(m * taps), int32_t);
  float *w = SUMI_NEW_ARRAY(l->arena, (size_t)(m * taps), float);
  double *weight = SUMI_NEW_ARRAY(l->arena, (size_t)taps, double);
  if (!at || !w || !weight) SUMI_FAIL_MEMORY(l->err);
  for (int64_t i = 0; i < m; i++) {
    int64_t first;
    if (!sumi_resize_weights(how, a, i, taps, &first, weight)) return refuse(l, "places outside the input");
    for (int64_t k = 0; k < taps; k++) {
      const int64_t to = across ? k * m + i : i * taps + k;
      at[to] = (int32_t)SUMI_MAX(0, SUMI_MIN(first + k, a->in - 1));
      w[to] = (float)weight[k];
    }
  }
  *t = (struct sumi_resize_table){m, taps, at, how->mode == SUMI_RESIZE_NEAREST ? NULL : w};
  return SUMI_OK;
}

/* The resized axes, that which shrinks most first; their number. */
static int order(const struct sumi_resize_how *how, const struct sumi_resize_axis *a, int rank, int *axis) {
  int n = 0;
  for (int i = rank - 1; i >= 0; i--) {
    if (sumi_resize_is_identity(how, &a[i])) continue;
    const double ratio = (double)a[i].out / (double)a[i].in;
    int k = n++;
    for (; k > 0 && (double)a[axis[k - 1]].out / (double)a[axis[k - 1]].in > ratio; k--)
      axis[k] = axis[k - 1];
    axis[k] = i;
  }
  return n;
}

static sumi_status make_stages(struct sumi_lower *l, const struct sumi_resize_how *how,
                               const struct sumi_resize_axis *axes, struct args *a) {
  const int rank = l->in[0]->rank;
  int axis[SUMI_MAX_RANK], first = rank;
  int64_t dim[SUMI_MAX_RANK];
  a->n_stage = order(how, axes, rank, axis);
  if (!a->n_stage) return refuse(l, "no axis is resized");
  for (int i = 0; i < rank; i++) dim[i] = axes[i].in;
  for (int k = 0; k < a->n_stage; k++) first = SUMI_MIN(first, axis[k]);
  a->planes = sumi_dims_count(dim, 0, first);
  a->x_words = sumi_dims_count(dim, first, rank);
  for (int k = 0; k < a->n_stage; k++) {
    struct stage *s = &a->stage[k];
    *s = (struct stage){.outer = sumi_dims_count(dim, first, axis[k]),
                        .n = dim[axis[k]],
                        .inner = sumi_dims_count(dim, axis[k] + 1, rank)};
    SUMI_TRY(make_table(l, how, &axes[axis[k]], s->inner == 1, &s->table));
    dim[axis[k]] = s->table.m;
    a->y_words = sumi_dims_count(dim, first, rank);
    if (k + 1 < a->n_stage) a->between[k % 2] = SUMI_MAX(a->between[k % 2], a->y_words);
  }
  return SUMI_OK;
}

sumi_status sumi_resize_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0], *y = l->out[0];
  if (!sumi_lower_is_f32(x) && !is_bytes(x->dtype))
    return refuse(l, "element type is not float32 or of 8 bits");
  if (!sumi_tensor_count(x) || !sumi_tensor_count(y)) return refuse(l, "an empty tensor");
  for (int i = 1; i < l->n_in; i++)
    if (l->in[i] && !l->in[i]->data && sumi_tensor_count(l->in[i]))
      return refuse(l, "sizes are not constant");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  struct sumi_resize_how how = {0};
  struct sumi_resize_axis axes[SUMI_MAX_RANK];
  const struct sumi_call call = {.node = l->node, .n_in = l->n_in, .in = l->in, .err = l->err};
  SUMI_TRY(sumi_resize_resolve(&call, &how, axes));
  if (is_bytes(x->dtype) && how.mode == SUMI_RESIZE_NEAREST) return refuse(l, "the nearest of bytes");
  SUMI_TRY(make_stages(l, &how, axes, a));
  a->dtype = x->dtype;
  a->kernel = sumi_resize_pick(l->isa);
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  a->scratch = -1;
  if (worker_words(a)) {
    size_t words, bytes;
    if (!sumi_size_mul((size_t)worker_words(a), (size_t)l->threads, &words) ||
        !sumi_size_mul(words, sizeof(float), &bytes))
      return refuse(l, "the scratch memory would be too large");
    a->scratch = sumi_lower_scratch(l, bytes);
    if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  }
  return sumi_lower_emit(l, run, a, a->kernel->name, &a->x, 1, (const int[]){a->y, a->scratch},
                         a->scratch >= 0 ? 2 : 1);
}
