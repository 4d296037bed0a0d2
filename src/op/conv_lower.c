/* Conv, FusedConv, FConv in float32 on device cpu. One channel in, one out per group: family depthwise. Everything else:
 * family spmm over the planes of x as they lie, where there is nothing to pad and no stride; where the kernel takes windows (sparse
 * lists only where a copied panel is expected to pay), with windows over the planes, every other word of them for strides of 2, or
 * over phases of the strides as wide as the output; else over a copy with a halo and one plane for every phase of the
 * strides (family copy), or with a plane for every tap where there are too many phases. A third spatial dimension is walked outside. */
#include "op/conv_lower.h"

#include <inttypes.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "op/conv_lower_int.h"
#include "op/conv_run.h"
#include "op/eltwise_lower.h"
#include "op/matmul_lower.h"
#include "op/spmm_lower.h"

enum { WHOLE_IMAGES = 4 }; /* so many for every thread: each takes whole ones */

static bool is_pointwise(const struct sumi_conv *v) {
  for (int i = 0; i < v->n; i++)
    if (v->window.kernel[i] != 1 || v->window.stride[i] != 1 || v->window.begin[i] || v->window.end[i])
      return false;
  return true;
}

static struct sumi_conv_space space_of(const struct sumi_conv *v) {
  struct sumi_conv_space s;
  for (int d = 0; d < N_DIM; d++) {
    s.in[d] = s.out[d] = s.kernel[d] = s.stride[d] = s.dilation[d] = 1;
    s.begin[d] = 0;
  }
  if (is_pointwise(v)) { /* one long row, whatever the shape */
    s.in[WIDTH] = s.out[WIDTH] = v->in_pixels;
    return s;
  }
  for (int i = 0; i < v->n; i++) {
    const int d = N_DIM - v->n + i;
    s.in[d] = v->in[i];
    s.out[d] = v->window.out[i];
    s.kernel[d] = v->window.kernel[i];
    s.stride[d] = v->window.stride[i];
    s.dilation[d] = v->window.dilation[i];
    s.begin[d] = v->window.begin[i];
  }
  return s;
}

/* ---- spmm ----------------------------------------------------------------------------------------------------- */

/* One image read as it lies, small enough to be read again for every few planes; windows and more inputs gain by panels copied
 * once for all planes. */
static bool can_part(const struct spmm_args *a) {
  enum { MOST_INPUTS = 64, MOST_BYTES = 1 << 20 };
  return !a->copy && !a->s.window && !a->s.col && a->z < 0 && a->batch == 1 && a->group == 1 &&
         a->slices == 1 && a->s.n_list <= MOST_INPUTS &&
         a->c_in * a->in_pixels <= MOST_BYTES / (int64_t)sizeof(float);
}

/* The phases that taps k * dilation have modulo the stride, in rising order; false where there are too many. */
static bool find_phases(int64_t kernel, int64_t dilation, int64_t stride, int *n, int *phase) {
  *n = 0;
  for (int64_t p = 0; p < stride; p++) {
    bool used = false;
    for (int64_t k = 0; k < kernel && !used && k < stride; k++) used = k * dilation % stride == p;
    if (!used) continue;
    if (*n == SUMI_COPY_PHASES) return false;
    phase[(*n)++] = (int)p;
  }
  return true;
}

static int index_of(const int *phase, int n, int64_t p) {
  int i = 0;
  while (i + 1 < n && phase[i] != p) i++;
  return i;
}

/* How far the last tap lies from the first in a phase plane. */
static int64_t reach(const struct sumi_conv_space *s, int d) {
  return (s->kernel[d] - 1) * s->dilation[d] / s->stride[d];
}

static bool reads_in_place(const struct sumi_conv_space *s) {
  for (int d = 0; d < N_DIM; d++) {
    if (s->begin[d] || (d != D && s->stride[d] != 1)) return false;
    if ((s->out[d] - 1) * s->stride[d] + (s->kernel[d] - 1) * s->dilation[d] >= s->in[d]) return false;
  }
  return true;
}

/* Room for a copy of an image, of words, or for one each thread. */
static sumi_status book_copies(struct sumi_lower *l, struct spmm_args *a, int64_t words) {
  size_t bytes;
  a->copy = sumi_copy_pick(l->isa);
  a->image_words = words;
  if (!sumi_size_mul((size_t)words * sizeof(float), a->whole ? (size_t)l->threads : 1, &bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "the padded input is too large");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

/* The phases of both directions; false where there are too many. */
static bool halo_phases(const struct sumi_conv_space *s, struct sumi_copy_halo *h) {
  return find_phases(s->kernel[H], s->dilation[H], s->stride[H], &h->n_y, h->phase_y) &&
         find_phases(s->kernel[WIDTH], s->dilation[WIDTH], s->stride[WIDTH], &h->n_x, h->phase_x);
}

/* The copy with a halo: rows of the pitch that lets the right halo of a row be the left one of the next. */
static sumi_status plan_halo(struct sumi_lower *l, const struct sumi_conv_space *s, struct spmm_args *a) {
  struct sumi_copy_halo *h = &a->halo;
  h->h = s->in[H], h->w = s->in[WIDTH];
  h->top = s->begin[H], h->left = s->begin[WIDTH];
  h->step_y = s->stride[H], h->step_x = s->stride[WIDTH];
  const int64_t wide = s->out[WIDTH] + reach(s, WIDTH);
  const int64_t right = wide - h->left - h->w;           /* halo columns behind a row, stride 1 */
  const int64_t most = SUMI_MIN(right, reach(s, WIDTH)); /* the pitch stays as wide as an output row */
  const int64_t shared = s->stride[WIDTH] == 1 ? SUMI_MAX(SUMI_MIN(h->left, most), 0) : 0;
  h->rows = s->out[H] + reach(s, H);
  h->pitch = wide - shared;
  a->halo_slices = (s->out[D] - 1) * s->stride[D] + (s->kernel[D] - 1) * s->dilation[D] + 1;
  a->front = s->begin[D];
  int64_t words, planes = (int64_t)h->n_y * h->n_x;
  if (!sumi_i64_mul(h->rows, h->pitch, &words) || !sumi_i64_add(words, shared, &h->plane) ||
      !sumi_i64_mul(h->plane, planes, &a->slice_words) ||
      !sumi_i64_mul(a->slice_words, a->halo_slices, &words) || !sumi_i64_mul(words, a->c_in, &words) ||
      words > INT64_MAX / 8)
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "the padded input is too large");
  return book_copies(l, a, words);
}

/* ---- windows -------------------------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

/* Where tap k of a direction lies: in which phase, and how far from the output's place there. */
struct tap {
  int64_t phase, shift;
};

static struct tap tap_of(const struct sumi_conv_space *s, int d, int64_t k) {
  const int64_t at = k * s->dilation[d] - s->begin[d], shift = floor_div(at, s->stride[d]);
  return (struct tap){at - shift * s->stride[d], shift};
}

/* The phases of a direction in the order of their first taps; false where there are too many. */
static bool list_phases(const struct sumi_conv_space *s, int d, int *n, int *phase) {
  *n = 0;
  for (int64_t k = 0; k < s->kernel[d]; k++) {
    const int p = (int)tap_of(s, d, k).phase;
    if (*n && phase[index_of(phase, *n, p)] == p) continue;
    if (*n == SUMI_COPY_PHASES) return false;
    phase[(*n)++] = p;
  }
  return true;
}

/* The step of windows over x as it lies; 0: they go over phases. With 2, every vector that is copied into a panel takes longer,
 * and each group of rows of dense weights copies it anew: that pays where the phases hold much. Lists copy it once. */
static int window_step(const struct sumi_conv *v, const struct sumi_conv_space *s, bool dense) {
  enum { SHARING = 128 }; /* rows */
  if (s->stride[H] == 1 && s->stride[WIDTH] == 1 && s->out[WIDTH] == s->in[WIDTH]) return 1;
  if (s->stride[H] != 2 || s->stride[WIDTH] != 2 || s->out[WIDTH] < SUMI_SPMM_STEP_COLS) return 0;
  if (!dense) return 2;
  const double groups = (double)v->group * (double)((v->m_group + SHARING - 1) / SHARING);
  const double vectors = groups * (double)(v->c_group * v->taps) * (double)(s->out[H] * s->out[WIDTH]) / 16;
  const double phases = (double)SUMI_MIN(s->kernel[H], 2) * (double)SUMI_MIN(s->kernel[WIDTH], 2);
  const double words = phases * (double)v->c_in * (double)(s->out[H] * s->out[WIDTH]);
  return vectors * 1.4e-9 < words * 8 / 20e9 ? 2 : 0;
}

/* Whether windows do, over x as it lies or over its phases, where these, as wide as an output row, hold all columns of x; enough
 * rows share what is copied. */
static bool takes_window(const struct sumi_conv *v, const struct sumi_conv_space *s, int step,
                         const struct sumi_spmm_f32_kernel *kernel, struct sumi_copy_halo *h) {
  enum { LEAST_ROWS = 16 };
  if (!kernel->windows || v->taps > SUMI_SPMM_TAPS || v->m_group < LEAST_ROWS || reads_in_place(s))
    return false;
  if (s->in[D] != 1 || s->kernel[D] != 1 || s->begin[D] || s->out[D] != 1) return false;
  *h = (struct sumi_copy_halo){.h = s->in[H],
                               .w = s->in[WIDTH],
                               .rows = (s->in[H] - 1) / s->stride[H] + 1,
                               .pitch = s->out[WIDTH],
                               .step_y = s->stride[H],
                               .step_x = s->stride[WIDTH]};
  if (h->h > INT32_MAX / 4 || h->w > INT32_MAX / 4 || s->out[H] > INT32_MAX / 4 ||
      !list_phases(s, H, &h->n_y, h->phase_y) || !list_phases(s, WIDTH, &h->n_x, h->phase_x))
    return false;
  for (int i = 0; i < h->n_x && !step; i++)
    if (h->w > h->phase_x[i] && (h->w - h->phase_x[i] - 1) / h->step_x >= h->pitch) return false;
  for (int d = H; d <= WIDTH; d++) /* the shifts as 32 bits */
    if (s->begin[d] > INT32_MAX / 4 || s->kernel[d] * s->dilation[d] > INT32_MAX / 4) return false;
  return true;
}

/* Whether lists of their own are expected to be faster over a copied panel; then weights' predicted time is that. in_place: of
 * windows, which do without a copy. Without windows, planes that are read in place gain only where their rows of vectors begin at no line. */
static bool takes_columns(const struct sumi_conv *v, const struct sumi_conv_space *s,
                          const struct sumi_spmm_f32_kernel *kernel, bool windows, bool in_place,
                          struct sumi_spmm_weights *weights) {
  enum { MOST_COLUMNS = 8192 }; /* a strip of them fits the second-level cache */
  const int64_t columns = v->c_group * v->taps;
  if (!weights->packed || weights->packed->dense || !(kernel->panel_gain > 0) || columns > MOST_COLUMNS)
    return false;
  if (!windows && (!reads_in_place(s) || v->in_pixels % kernel->lanes == 0)) return false;
  const double halo_s = windows && in_place ? (double)v->c_in * (double)v->in_pixels * 8 / 20e9 : 0;
  const double panel_s =
      sumi_spmm_f32_panel_s(kernel, weights->predicted_s, v->group * columns, s->out[H] * s->out[WIDTH]);
  if (panel_s >= weights->predicted_s + halo_s) return false;
  weights->predicted_s = panel_s;
  return true;
}

/* Windows over x as it lies or over its phases; the offsets of [channel of a group, kernel...]. */
static sumi_status plan_window(struct sumi_lower *l, const struct sumi_conv *v,
                               const struct sumi_conv_space *s, int step, struct spmm_args *a,
                               const int32_t **offset) {
  struct sumi_copy_halo *h = &a->halo;
  int32_t *dy = SUMI_NEW_ARRAY(l->arena, (size_t)v->taps, int32_t),
          *dx = SUMI_NEW_ARRAY(l->arena, (size_t)v->taps, int32_t),
          *off = SUMI_NEW_ARRAY(l->arena, (size_t)(v->c_group * v->taps), int32_t);
  if (!dy || !dx || !off) SUMI_FAIL_MEMORY(l->err);
  if (step) { /* one plane, as it lies */
    h->n_y = h->n_x = 1;
    h->rows = h->h;
    h->pitch = h->w;
  }
  int64_t words;
  if (!sumi_i64_mul(h->rows, h->pitch, &h->plane) ||
      !sumi_i64_mul(h->plane, (int64_t)h->n_y * h->n_x, &a->slice_words) ||
      !sumi_i64_mul(a->slice_words, a->c_in, &words) || words > INT64_MAX / 8)
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "the phases of the input are too large");
  if (!sumi_i64_mul(a->slice_words, 4 * v->c_group, &words) || words > INT32_MAX) {
    sumi_lower_refuse(l, a->kernel->name, "the planes of one group take more than 2 GiB");
    return SUMI_E_UNSUPPORTED;
  }
  a->halo_slices = 1;
  if (!step) SUMI_TRY(book_copies(l, a, a->slice_words * a->c_in));
  for (int64_t t = 0; t < v->taps; t++) {
    const int64_t ky = t / s->kernel[WIDTH], kx = t % s->kernel[WIDTH];
    const struct tap y = tap_of(s, H, ky), x = tap_of(s, WIDTH, kx);
    dy[t] = (int32_t)(step ? ky * s->dilation[H] - s->begin[H] : y.shift);
    dx[t] = (int32_t)(step ? kx * s->dilation[WIDTH] - s->begin[WIDTH] : x.shift);
    const int64_t plane =
        step ? 0 : index_of(h->phase_y, h->n_y, y.phase) * h->n_x + index_of(h->phase_x, h->n_x, x.phase);
    for (int64_t c = 0; c < v->c_group; c++)
      off[c * v->taps + t] = (int32_t)(4 * (c * a->slice_words + plane * h->plane));
  }
  a->window =
      (struct sumi_spmm_window){h->rows, h->pitch, s->out[WIDTH], step ? step : 1, (int)v->taps, dy, dx};
  a->s.window = &a->window;
  *offset = off;
  return SUMI_OK;
}

/* Byte offsets of [channel of a group, kernel...] in what spmm reads; NULL = refused or out of memory (*status). */
static int32_t *make_offsets(struct sumi_lower *l, const struct sumi_conv *v, const struct sumi_conv_space *s,
                             const struct spmm_args *a, int64_t channel_words, sumi_status *status) {
  const struct sumi_copy_halo *h = &a->halo;
  int64_t last;
  if (!sumi_i64_mul(channel_words, 4 * v->c_group, &last) || last > INT32_MAX) {
    sumi_lower_refuse(l, a->kernel->name, "the planes of one group take more than 2 GiB");
    *status = SUMI_E_UNSUPPORTED;
    return NULL;
  }
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)(v->c_group * v->taps), int32_t), *next = off;
  *status = SUMI_E_MEMORY;
  if (!off) return NULL;
  const int64_t slice = a->copy ? a->slice_words : s->in[H] * s->in[WIDTH];
  for (int64_t c = 0; c < v->c_group; c++)
    for (int64_t kd = 0; kd < s->kernel[D]; kd++)
      for (int64_t ky = 0; ky < s->kernel[H]; ky++)
        for (int64_t kx = 0; kx < s->kernel[WIDTH]; kx++) {
          const int64_t y = ky * s->dilation[H], x = kx * s->dilation[WIDTH];
          int64_t at = c * channel_words + kd * s->dilation[D] * slice;
          if (a->copy)
            at += (index_of(h->phase_y, h->n_y, y % h->step_y) * h->n_x +
                   index_of(h->phase_x, h->n_x, x % h->step_x)) *
                      h->plane +
                  y / h->step_y * h->pitch + x / h->step_x;
          else
            at += y * s->in[WIDTH] + x;
          *next++ = (int32_t)(4 * at);
        }
  *status = SUMI_OK;
  return off;
}

/* A plane for every channel and tap. */
static sumi_status plan_unfolded(struct sumi_lower *l, const struct sumi_conv *v,
                                 const struct sumi_conv_space *s, struct spmm_args *a, int64_t *channel_words,
                                 const int32_t **offset) {
  struct sumi_conv_space *space = SUMI_NEW(l->arena, struct sumi_conv_space);
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)(v->c_group * v->taps), int32_t);
  if (!space || !off) SUMI_FAIL_MEMORY(l->err);
  const int64_t pixels = s->out[H] * s->out[WIDTH];
  int64_t words, last;
  if (s->in[D] != 1 || s->kernel[D] != 1 || s->begin[D] || s->out[D] != 1 || s->in[H] > INT32_MAX / 4 ||
      s->in[WIDTH] > INT32_MAX / 4 || !sumi_i64_mul(pixels, v->taps, channel_words) ||
      !sumi_i64_mul(*channel_words, 4 * v->c_group, &last) || last > INT32_MAX ||
      !sumi_i64_mul(*channel_words, a->c_in, &words) || words > INT64_MAX / 8) {
    sumi_lower_refuse(l, a->kernel->name,
                      "strides %" PRId64 " and %" PRId64
                      " need more than %d phases, and a plane a tap is too much",
                      s->stride[H], s->stride[WIDTH], SUMI_COPY_PHASES);
    return SUMI_E_UNSUPPORTED;
  }
  for (int64_t e = 0; e < v->c_group * v->taps; e++) off[e] = (int32_t)(4 * e * pixels);
  *space = *s;
  a->unfold = space;
  a->halo_slices = 1;
  a->slice_words = *channel_words;
  *offset = off;
  return book_copies(l, a, words);
}

/* Planes as they lie, or with a halo, or unfolded. */
static sumi_status plan_planes(struct sumi_lower *l, const struct sumi_conv *v,
                               const struct sumi_conv_space *s, struct spmm_args *a, int64_t *channel_words,
                               int64_t *pitch, const int32_t **offset) {
  if (reads_in_place(s)) {
    a->slice_step = s->stride[D] * s->in[H] * s->in[WIDTH];
  } else {
    a->halo = (struct sumi_copy_halo){0};
    if (!halo_phases(s, &a->halo)) {
      *pitch = s->out[WIDTH];
      return plan_unfolded(l, v, s, a, channel_words, offset);
    }
    SUMI_TRY(plan_halo(l, s, a));
    *channel_words = a->slice_words * a->halo_slices;
    *pitch = a->halo.pitch;
    a->slice_step = s->stride[D] * a->slice_words;
  }
  sumi_status status;
  *offset = make_offsets(l, v, s, a, *channel_words, &status);
  if (*offset) return SUMI_OK;
  return status == SUMI_E_MEMORY ? sumi_err_set(l->err, status, "out of memory") : status;
}

/* With groups a block must not reach into the next group: the largest divisor of its rows. */
static int block_of(const struct sumi_conv *v) {
  if (v->group == 1) return 0;
  int block = SUMI_SPMM_BLOCK;
  while (v->m_group % block) block--;
  return block;
}

static const char *describe(struct sumi_lower *l, const struct spmm_args *a) {
  return sumi_arena_printf(l->arena, "%s%s%s %s %d%s", a->copy ? a->copy->name : "", a->copy ? " + " : "",
                           a->kernel->name, a->s.start ? "sparse" : "dense", a->s.block,
                           a->s.col    ? ", panels"
                           : a->w >= 0 ? ", weights as they lie"
                                       : "");
}

static sumi_status emit_spmm(struct sumi_lower *l, const struct spmm_args *a) {
  int reads[4] = {a->x}, writes[3] = {a->y}, n_reads = 1, n_writes = 1;
  if (a->w >= 0) reads[n_reads++] = a->w;
  if (a->b >= 0) reads[n_reads++] = a->b;
  if (a->z >= 0) reads[n_reads++] = a->z;
  if (a->scratch >= 0) writes[n_writes++] = a->scratch;
  if (a->panels >= 0) writes[n_writes++] = a->panels;
  const char *name = describe(l, a);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, sumi_conv_run_spmm, a, name, reads, n_reads, writes, n_writes);
}

/* The weights packed, or read as they lie where they are known only when running: [c_out, k], a full list for all rows. */
static sumi_status take_weights(struct sumi_lower *l, const struct sumi_conv *v, struct spmm_args *a,
                                struct sumi_spmm_weights *weights) {
  const int64_t k = v->c_group * v->taps;
  const struct sumi_matrix matrix = {l->in[W]->data, v->c_out, k, k, 1, sumi_conv_scale(l)};
  a->w = -1;
  if (sumi_lower_is_constant(l, W))
    return sumi_spmm_pack(l, a->kernel, matrix, block_of(v), a->slice_pixels, "w", weights);
  a->w = l->in_buffer[W];
  const int block = block_of(v) ? block_of(v) : SUMI_SPMM_BLOCK;
  const double n = (double)v->group * (double)((v->m_group + block - 1) / block);
  a->s.block = block, a->s.n_list = k, a->s.w_row = k, a->s.w_entry = 1, a->s.w_block = block * k;
  *weights = (struct sumi_spmm_weights){
      NULL, sumi_spmm_f32_predict(a->kernel, block, true, n * (double)k, n, a->slice_pixels)};
  return SUMI_OK;
}

static sumi_status lower_spmm(struct sumi_lower *l, const struct sumi_conv *v,
                              const struct sumi_conv_space *s) {
  struct spmm_args *a = SUMI_NEW(l->arena, struct spmm_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->kernel = sumi_spmm_f32_pick(l->isa);
  a->x = l->in_buffer[X];
  a->b = l->n_in > B && l->in[B] ? l->in_buffer[B] : -1;
  a->z = l->n_in > Z && l->in[Z] ? l->in_buffer[Z] : -1;
  a->y = l->out_buffer[0];
  a->scratch = -1;
  a->batch = v->batch, a->c_in = v->c_in, a->c_out = v->c_out, a->group = v->group;
  a->whole = l->threads > 1 && v->batch >= WHOLE_IMAGES * l->threads;
  a->in_pixels = v->in_pixels, a->out_pixels = v->out_pixels;
  a->slices = s->out[D], a->slice_pixels = s->out[H] * s->out[WIDTH];
  a->in_slices = s->in[D];
  const int64_t k = v->c_group * v->taps;
  struct sumi_spmm_weights weights;
  SUMI_TRY(take_weights(l, v, a, &weights));
  const bool dense = !weights.packed || weights.packed->dense;
  int64_t channel_words = v->in_pixels, pitch = s->in[WIDTH];
  const int32_t *offset = NULL;
  const int step = window_step(v, s, dense);
  const bool windows = takes_window(v, s, step, a->kernel, &a->halo);
  const bool columns = takes_columns(v, s, a->kernel, windows, step != 0, &weights);
  if (windows && (columns || dense)) {
    SUMI_TRY(plan_window(l, v, s, step, a, &offset));
    channel_words = a->slice_words;
    pitch = s->out[WIDTH];
  } else {
    SUMI_TRY(plan_planes(l, v, s, a, &channel_words, &pitch, &offset));
  }
  a->group_words = v->c_group * channel_words;
  a->s.off = offset;
  if (weights.packed) SUMI_TRY(sumi_spmm_set_weights(l, &a->s, weights.packed, offset, columns));
  const int64_t pixels = (s->out[H] - 1) * pitch + s->out[WIDTH];
  struct sumi_epilogue epilogue;
  SUMI_TRY(sumi_lower_epilogue(l, v->activation, &epilogue));
  a->s.rows = v->c_out, a->s.pixels = pixels, a->s.scale = 1;
  a->s.act = epilogue.act, a->s.act_param = epilogue.param, a->s.lo = epilogue.lo, a->s.hi = epilogue.hi;
  a->s.y_row = a->s.add_row = v->out_pixels;
  a->s.pitch = pitch == s->out[WIDTH] ? pixels : pitch;
  a->s.width = pitch == s->out[WIDTH] ? pixels : s->out[WIDTH];
  a->blocks_group = (v->m_group + a->s.block - 1) / a->s.block;
  const int64_t entries = dense ? a->blocks_group * k : weights.packed->n_entries / v->group;
  a->tiles = sumi_spmm_tile(1, 3 * a->kernel->lanes, a->whole ? 1 : l->threads, a->blocks_group, pixels,
                            entries * a->s.block, a->group_words);
  SUMI_TRY(sumi_spmm_panels(l, &a->s, &a->panels));
  if (a->z >= 0) sumi_lower_over(l, Z); /* nothing refuses any more */
  SUMI_TRY(emit_spmm(l, a));
  if (can_part(a)) {
    const struct sumi_planes planes = {.n = v->c_out,
                                       .unit = a->s.block,
                                       .bytes = (size_t)v->out_pixels * sizeof(float),
                                       .run = sumi_conv_run_planes};
    SUMI_TRY(sumi_lower_planes(l, &planes));
  }
  if (weights.packed) l->spent[W] = true;
  const double copied = a->copy ? (double)v->c_in * (double)channel_words * 8 : 0; /* bytes, at 20 GB/s */
  sumi_lower_predict(
      l, (double)v->batch * ((double)a->slices * weights.predicted_s + copied / 20e9) / l->threads);
  return SUMI_OK;
}

/* One output pixel that sees all of x in order: a row of x times the rows of w. */
static bool is_product(const struct sumi_lower *l, const struct sumi_conv *v,
                       const struct sumi_conv_space *s) {
  bool whole = v->group == 1 && v->out_pixels == 1 && sumi_lower_is_constant(l, W) && l->n_in <= Z;
  for (int i = 0; i < N_DIM; i++)
    whole &= s->in[i] == s->kernel[i] && s->begin[i] == 0 && (s->kernel[i] == 1 || s->dilation[i] == 1);
  return whole;
}

/* Such a product, unless lists of w are expected to take less. */
static sumi_status lower_product(struct sumi_lower *l, const struct sumi_conv *v,
                                 const struct sumi_conv_space *s) {
  const struct sumi_spmm_f32_kernel *kernel = sumi_spmm_f32_pick(l->isa);
  const int64_t k = v->c_in * v->taps;
  const struct sumi_matrix w = {l->in[W]->data, v->c_out, k, k, 1, NULL};
  struct sumi_spmm_weights lists;
  SUMI_TRY(sumi_spmm_pack_if_below(
      l, kernel, w, 1, sumi_spmm_f32_predict(kernel, 1, true, (double)k, 1, v->c_out), "w", &lists));
  return lists.packed ? lower_spmm(l, v, s) : sumi_rows_lower(l, v->batch, v->c_out, k, v->activation);
}

sumi_status sumi_conv_lower(struct sumi_lower *l) {
  struct sumi_conv v;
  const struct sumi_tensor *x = l->in[X], *w = l->in[W];
  if (!sumi_lower_is_f32(x)) {
    sumi_lower_refuse(l, "spmm_f32", "element type %s", sumi_dtype_label(x->dtype));
    return SUMI_E_UNSUPPORTED;
  }
  SUMI_TRY(sumi_conv_resolve(l->node, x, w, &v, l->err));
  if (!v.batch || !v.c_group || !v.c_out || !v.out_pixels || !v.in_pixels) {
    sumi_lower_refuse(l, "spmm_f32", "an empty tensor");
    return SUMI_E_UNSUPPORTED;
  }
  if (v.n > N_DIM && !is_pointwise(&v)) {
    sumi_lower_refuse(l, "spmm_f32", "%d spatial dimensions, at most %d", v.n, N_DIM);
    return SUMI_E_UNSUPPORTED;
  }
  if (l->n_in > S && !(sumi_lower_is_constant(l, W) && sumi_lower_is_constant(l, S))) {
    sumi_lower_refuse(l, "spmm_f32", "the weights and their factors are not constant");
    return SUMI_E_UNSUPPORTED;
  }
  const struct sumi_conv_space s = space_of(&v);
  if (v.c_group == 1 && s.in[D] == 1 && s.kernel[D] == 1 && s.begin[D] == 0 && s.out[D] == 1 &&
      (v.group > 1 || v.m_group < 4))
    return sumi_conv_lower_depthwise(l, &v, &s);
  return is_product(l, &v, &s) ? lower_product(l, &v, &s) : lower_spmm(l, &v, &s);
}
