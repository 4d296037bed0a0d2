/* GridSample in float32 on device cpu. For a chunk of places at a time a table is made of the pixels that they read and
 * their weights; family resize gathers by it from every channel's plane. Where zeros lie outside, planes are copied with a zero
 * behind each (family copy), which stands for them all. */
#include "op/grid_sample_lower.h"

#include "base/size.h"
#include "kernel/resize/resize.h"
#include "op/dims.h"
#include "op/grid_sample.h"
#include "op/spmm_lower.h"
#include "op/zero_behind.h"

enum {
  MOST_TAPS = 64,     /* of one place: cubic in three dims */
  MOST_ENTRIES = 4096 /* of a table, which lies on the stack */
};

struct args {
  const struct sumi_resize_kernel *resize;
  struct sumi_grid_settings settings;
  bool pads; /* zeros lie outside */
  struct sumi_zero_behind zero;
  int rank; /* spatial dims */
  int64_t dim[SUMI_MAX_RANK], stride[SUMI_MAX_RANK];
  int64_t batch, channels, in_pixels, places, taps, chunk, chunks; /* chunks: of one item of the batch */
  int x, grid, y;                                                  /* buffers */
};

struct state {
  const struct args *a;
  const float *planes, *grid;
  float *y;
};

/* Entries of the place that coordinates g name, n apart. */
static void set_place(const struct args *a, const float *g, int64_t n, int32_t *to, float *w) {
  int64_t at[MOST_TAPS] = {0}, count = 1;
  double weight[MOST_TAPS] = {1};
  for (int i = 0; i < a->rank; i++) {
    struct sumi_grid_taps t;
    sumi_grid_taps(&a->settings, (double)g[a->rank - 1 - i], a->dim[i], &t);
    for (int k = t.n - 1; k >= 0; k--) /* the entries so far, in place of which those of k = 0 come */
      for (int64_t e = 0; e < count; e++) {
        at[k * count + e] = at[e] < 0 || t.at[k] < 0 ? -1 : at[e] + t.at[k] * a->stride[i];
        weight[k * count + e] = weight[e] * t.weight[k];
      }
    count *= t.n;
  }
  for (int64_t e = 0; e < count; e++) {
    to[e * n] = (int32_t)(at[e] < 0 ? a->in_pixels : at[e]);
    w[e * n] = (float)weight[e];
  }
}

static void sample_chunks(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  const int64_t plane = a->pads ? a->zero.halo.plane : a->in_pixels;
  int32_t at[MOST_ENTRIES];
  float w[MOST_ENTRIES];
  for (int64_t i = begin; i < end; i++) {
    const int64_t b = i / a->chunks, first = i % a->chunks * a->chunk,
                  n = SUMI_MIN(a->places - first, a->chunk);
    const float *grid = st->grid + (b * a->places + first) * a->rank;
    for (int64_t p = 0; p < n; p++) set_place(a, grid + p * a->rank, n, at + p, w + p);
    const struct sumi_resize_table table = {n, a->taps, at, a->settings.mode == SUMI_GRID_NEAREST ? NULL : w};
    for (int64_t c = b * a->channels; c < (b + 1) * a->channels; c++)
      a->resize->across(&table, st->planes + c * plane, st->y + c * a->places + first);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state st = {.a = a, .planes = r->buffer[a->x], .grid = r->buffer[a->grid], .y = r->buffer[a->y]};
  if (a->pads) {
    st.planes = r->buffer[a->zero.buffer];
    sumi_zero_behind_copy(&a->zero, r->par, r->buffer[a->x], r->buffer[a->zero.buffer]);
  }
  sumi_par_for(r->par, a->batch * a->chunks, 1, sample_chunks, &st);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "resize", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

sumi_status sumi_grid_sample_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0], *grid = l->in[1], *y = l->out[0];
  if (!sumi_lower_is_f32(x) || !sumi_lower_is_f32(grid)) return refuse(l, "element type is not float32");
  if (!sumi_tensor_count(x) || !sumi_tensor_count(y)) return refuse(l, "an empty tensor");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = (struct args){.resize = sumi_resize_pick(l->isa),
                     .rank = x->rank - 2,
                     .batch = x->dim[0],
                     .channels = x->dim[1],
                     .in_pixels = sumi_dims_count(x->dim, 2, x->rank),
                     .places = sumi_dims_count(y->dim, 2, y->rank),
                     .taps = 1,
                     .x = l->in_buffer[0],
                     .grid = l->in_buffer[1],
                     .y = l->out_buffer[0]};
  SUMI_TRY(sumi_grid_settings(l->node, &a->settings, l->err));
  const int each = a->settings.mode == SUMI_GRID_NEAREST ? 1 : a->settings.mode == SUMI_GRID_LINEAR ? 2 : 4;
  for (int i = 0; i < a->rank && a->taps <= MOST_TAPS; i++) a->taps *= each;
  if (a->taps > MOST_TAPS) return refuse(l, "a place has more than 64 neighbours");
  if (a->in_pixels >= INT32_MAX) return refuse(l, "a plane has more than 2^31 pixels");
  sumi_strides(x->dim + 2, a->rank, a->stride);
  for (int i = 0; i < a->rank; i++) a->dim[i] = x->dim[2 + i];
  a->chunk = MOST_ENTRIES / a->taps;
  a->chunks = (a->places + a->chunk - 1) / a->chunk;
  a->pads = a->settings.padding == SUMI_GRID_ZEROS;
  if (a->pads) SUMI_TRY(sumi_zero_behind_plan(l, "resize", a->batch * a->channels, a->in_pixels, &a->zero));
  const int writes[] = {a->y, a->zero.buffer};
  return sumi_lower_emit(l, run, a, a->resize->name, (const int[]){a->x, a->grid}, 2, writes,
                         a->pads ? 2 : 1);
}
