/* MaxPool of 8-bit values and bfloat16, QLinearGlobalAveragePool of 8-bit values: planes in lanes. A maximum wants a halo of
 * what is lowest; a mean takes any layout. */
#include "op/qpool_lower.h"

#include "base/size.h"
#include "kernel/lane/lane_bf16.h"
#include "kernel/pool/pool_i8.h"
#include "op/lane_lower.h"
#include "op/lane_steps.h"
#include "op/lane_window.h"
#include "op/pool.h"

enum { CHANNELS = 1 };

static uint8_t flip_of(const struct sumi_tensor *t) { return t->dtype == SUMI_INT8 ? 0x80 : 0; }
static bool is_byte(const struct sumi_tensor *t) { return t->dtype == SUMI_UINT8 || t->dtype == SUMI_INT8; }
static bool is_bf16(const struct sumi_tensor *t) { return t->dtype == SUMI_BFLOAT16; }

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "pool_i8", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

struct args {
  struct sumi_pool_i8 d; /* buffers are set while running */
  struct sumi_lane_map map;
  void (*max)(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1, int64_t p0, int64_t p1); /* MaxPool */
  const struct sumi_pool_i8_kernel *kernel;                                                  /* of a mean */
  int64_t groups, images, x_image, y_image, y_first; /* words from image to image, to the first */
  float scale;
  int x, y; /* buffers */
};

struct state {
  const struct args *a;
  struct sumi_pool_i8 d;
};

static int64_t tile_of(const struct args *a, struct sumi_par *par) {
  const int64_t parts = par ? 4 * (int64_t)sumi_par_threads(par) : 1;
  return SUMI_MAX((a->groups + parts - 1) / parts, 1);
}

/* ---- MaxPool ----------------------------------------------------------------------------------------------------- */

static void max_groups(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  s->a->max(&s->d, begin, end, 0, s->a->map.pixels);
}

static sumi_status run_max(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state s = {a, a->d};
  s.d.x = run->buffer[a->x];
  s.d.y = run->buffer[a->y];
  sumi_par_for(run->par, a->groups, tile_of(a, run->par), max_groups, &s);
  return SUMI_OK;
}

/* Why the window cannot be walked, or NULL. */
static const char *cannot_max(const struct sumi_node *node, const struct sumi_tensor *x, bool indices,
                              struct sumi_lane_window *w) {
  struct sumi_pool v;
  if (!is_byte(x) && !is_bf16(x)) return "element type is neither of 8 bits nor bfloat16";
  if (indices) return "indices are wanted";
  if (sumi_pool_resolve(node, x, &v, NULL) != SUMI_OK) return "a window that does not fit";
  if (!v.batch || !v.channels || !v.in_pixels || !v.out_pixels) return "an empty tensor";
  return sumi_lane_window_find(&v.window, v.n, v.in, w);
}

static struct sumi_lane_wish max_wish(const struct sumi_tensor *x, const struct sumi_lane_window *w) {
  return (struct sumi_lane_wish){
      .lanes = true, .axis = CHANNELS, .halo = sumi_lane_window_halo(w), .fill = is_bf16(x) ? 0xff : 0};
}

void sumi_qmax_pool_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  struct sumi_lane_window w;
  if (!c->out[0] || cannot_max(c->node, c->in[0], sumi_call_wants(c, 1), &w)) return;
  in[0] = max_wish(c->in[0], &w);
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = CHANNELS};
}

sumi_status sumi_qmax_pool_lower(struct sumi_lower *l) {
  struct sumi_lane_window w;
  struct sumi_lane_operand x, y;
  if (!l->out[0]) return refuse(l, "nobody wants the result");
  const char *why = cannot_max(l->node, l->in[0], l->n_out > 1 && l->out[1], &w);
  if (why) return refuse(l, why);
  const struct sumi_lane_wish wish = max_wish(l->in[0], &w);
  SUMI_TRY(sumi_lower_lanes_in(l, 0, &wish, &x));
  SUMI_TRY(sumi_lower_lanes_out(l, 0, CHANNELS, &y));
  const int64_t taps = w.kernel[SUMI_LANE_Y] * w.kernel[SUMI_LANE_X];
  struct args *a = SUMI_NEW(l->arena, struct args);
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)taps, int32_t);
  if (!a || !off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t t = 0; t < taps; t++) off[t] = sumi_lane_window_tap(&w, &x.layout, t);
  const struct sumi_lane_bf16_kernel *bf16 = sumi_lane_bf16_pick(l->isa);
  const struct sumi_pool_i8_kernel *i8 = sumi_pool_i8_pick(l->isa);
  *a = (struct args){.max = is_bf16(l->in[0]) ? bf16->max : i8->max,
                     .groups = x.layout.groups,
                     .x = x.buffer,
                     .y = y.buffer};
  SUMI_TRY(sumi_lower_map_window(l, &x.layout, w.out[SUMI_LANE_Y], w.out[SUMI_LANE_X], &y.layout, &a->map));
  a->d = (struct sumi_pool_i8){.x_group = 4 * x.layout.group,
                               .off = off,
                               .taps = taps,
                               .pixels = a->map.pixels,
                               .map = &a->map,
                               .y_group = y.layout.group};
  SUMI_TRY(sumi_lower_blank(l, &y));
  SUMI_TRY(sumi_lower_emit(l, run_max, a, is_bf16(l->in[0]) ? bf16->name : i8->name, &a->x, 1, &a->y, 1));
  return sumi_lower_lanes_done(l, 0, &y);
}

/* ---- QLinearGlobalAveragePool ------------------------------------------------------------------------------------ */

enum { X, X_SCALE, X_ZERO, Y_SCALE, Y_ZERO };

static void mean_groups(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  for (int64_t i = 0; i < s->a->images; i++) {
    struct sumi_pool_i8 d = s->d;
    d.x += 4 * i * s->a->x_image;
    d.y += i * s->a->y_image;
    s->a->kernel->mean(&d, begin, end);
  }
}

static sumi_status run_mean(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state s = {a, a->d};
  s.d.x = run->buffer[a->x];
  s.d.y = (uint32_t *)run->buffer[a->y] + a->y_first;
  s.d.scale = &a->scale;
  sumi_par_for(run->par, a->groups, tile_of(a, run->par), mean_groups, &s);
  return SUMI_OK;
}

static const char *cannot_mean(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in) {
  enum { MOST_PIXELS = 1 << 22 };
  for (int i = X_SCALE; i < n_in; i++)
    if (in[i] && !in[i]->data) return "a scale or zero point is not constant";
  if (sumi_attr_int(node, "channels_last", 0)) return "channels last";
  if (!sumi_tensor_count(in[X])) return "an empty tensor";
  return sumi_dims_count(in[X]->dim, 2, in[X]->rank) > MOST_PIXELS ? "too many pixels" : NULL;
}

void sumi_qmean_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  if (cannot_mean(c->node, c->in, c->n_in)) return;
  in[X] = (struct sumi_lane_wish){
      .lanes = true, .any = true, .axis = CHANNELS, .halo = {.step_y = 1, .step_x = 1}};
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = CHANNELS};
}

/* Stored zero point of input i, which belongs to t. */
static float zero_of(const struct sumi_lower *l, int i, const struct sumi_tensor *t) {
  return (float)(i < l->n_in && l->in[i] ? sumi_get_f64(l->in[i]->dtype, l->in[i]->data, 0) : 0) + flip_of(t);
}

static double scale_of(const struct sumi_lower *l, int i) {
  return sumi_get_f64(l->in[i]->dtype, l->in[i]->data, 0);
}

sumi_status sumi_qmean_lower(struct sumi_lower *l) {
  struct sumi_lane_operand x, y;
  const char *why = cannot_mean(l->node, l->in, l->n_in);
  if (why) return refuse(l, why);
  const struct sumi_lane_wish wish = {.lanes = true, .any = true, .axis = CHANNELS};
  SUMI_TRY(sumi_lower_lanes_in(l, X, &wish, &x));
  SUMI_TRY(sumi_lower_lanes_out(l, 0, CHANNELS, &y));
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const int64_t pixels = x.layout.h * x.layout.w;
  *a = (struct args){.kernel = sumi_pool_i8_pick(l->isa),
                     .groups = x.layout.groups,
                     .images = x.layout.images,
                     .x_image = x.layout.image,
                     .y_image = y.layout.image,
                     .y_first = sumi_layout_at(&y.layout, 0, 0, 0),
                     .scale = (float)(scale_of(l, X_SCALE) / scale_of(l, Y_SCALE) / (double)pixels),
                     .x = x.buffer,
                     .y = y.buffer};
  a->d = (struct sumi_pool_i8){.x_group = 4 * x.layout.group,
                               .pixels = pixels,
                               .y_group = y.layout.group,
                               .x_zero = zero_of(l, X_ZERO, l->in[X]),
                               .zero = zero_of(l, Y_ZERO, l->out[0]),
                               .hi = 255};
  SUMI_TRY(sumi_lower_lane_image(l, &x.layout, &a->d.map));
  SUMI_TRY(sumi_lower_blank(l, &y));
  SUMI_TRY(sumi_lower_emit(l, run_mean, a, a->kernel->name, &a->x, 1, &a->y, 1));
  return sumi_lower_lanes_done(l, 0, &y);
}
