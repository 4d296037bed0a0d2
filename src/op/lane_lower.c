/* Operands in lanes. Copies walk pixel by pixel; where a network spends time in them, layouts were assigned badly. */
#include "op/lane_lower.h"

#include <string.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "op/lane_steps.h"

/* ---- copies ----------------------------------------------------------------------------------------------------- */

/* Row-major [outer][channels][inner] of 16 or 32-bit elements, and the same in lanes. */
struct copy {
  struct sumi_layout from, to; /* one of them may be row-major */
  int from_buffer, to_buffer;
  int64_t outer, channels, inner, images, h, w;
  int bytes; /* of an element */
};

struct copy_run {
  const struct copy *c;
  const uint8_t *from;
  uint8_t *to;
};

/* Byte of element (channel, pixel p) in either form; pixels are counted in row-major order without the channels. */
static int64_t place(const struct copy *c, const struct sumi_layout *l, int64_t channel, int64_t p) {
  if (!l->v) return ((p / c->inner * c->channels + channel) * c->inner + p % c->inner) * c->bytes;
  const int64_t x = p % l->w, y = p / l->w % l->h, n = p / l->w / l->h;
  return (channel / l->v * l->group + sumi_layout_at(l, n, y, x)) * 4 + channel % l->v * c->bytes;
}

static void copy_channels(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct copy_run *r = user;
  const struct copy *c = r->c;
  for (int64_t m = begin; m < end; m++)
    for (int64_t p = 0; p < c->outer * c->inner; p++) {
      const uint8_t *from = r->from + place(c, &c->from, m, p);
      uint8_t *to = r->to + place(c, &c->to, m, p);
      for (int i = 0; i < c->bytes; i++) to[i] = from[i];
    }
}

/* Channels beyond the last are zero, halos what they must hold. */
static void prepare_planes(const struct sumi_layout *l, uint8_t *to) {
  uint32_t *const planes = (uint32_t *)to;
  if (l->channels % l->v) memset(planes + (l->groups - 1) * l->group, 0, (size_t)l->group * 4);
  for (int64_t g = 0; g < l->groups; g++) sumi_layout_blank(l, planes + g * l->group);
}

static sumi_status run_copy(const void *args, const struct sumi_run *run) {
  const struct copy *c = args;
  struct copy_run r = {c, run->buffer[c->from_buffer], run->buffer[c->to_buffer]};
  if (c->to.v) prepare_planes(&c->to, r.to);
  /* channels of one word are written by one thread */
  sumi_par_for(run->par, c->channels, c->to.v ? 16 * c->to.v : 16, copy_channels, &r);
  return SUMI_OK;
}

/* 32-bit values whose channels are the last axis, without a halo: a transposition. */
struct turn {
  const struct sumi_copy_kernel *kernel;
  int64_t rows, columns, from_row, to_row; /* of what is read */
  int from, to;
};

struct turn_run {
  const struct turn *t;
  const float *from;
  float *to;
};

static void turn_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct turn_run *r = user;
  const struct turn *t = r->t;
  t->kernel->transpose(r->from + begin * t->from_row, t->from_row, end - begin, t->columns, r->to + begin,
                       t->to_row);
}

static sumi_status run_turn(const void *args, const struct sumi_run *run) {
  const struct turn *t = args;
  struct turn_run r = {t, run->buffer[t->from], run->buffer[t->to]};
  sumi_par_for(run->par, t->rows, 64, turn_rows, &r);
  return SUMI_OK;
}

static bool is_turn(const struct sumi_tensor *t, const struct sumi_layout *from,
                    const struct sumi_layout *to) {
  const struct sumi_layout *lanes = from->v ? from : to;
  return lanes->v == 1 && !from->v != !to->v && sumi_dtype_bits(t->dtype) == 32 &&
         lanes->axis == t->rank - 1 && sumi_layout_is_flat(lanes);
}

static sumi_status emit_turn(struct sumi_lower *l, const struct sumi_lane_operand *from,
                             const struct sumi_lane_operand *to) {
  const bool out = from->layout.v != 0;
  const struct sumi_layout *lanes = out ? &from->layout : &to->layout;
  struct turn *t = SUMI_NEW(l->arena, struct turn);
  if (!t) SUMI_FAIL_MEMORY(l->err);
  *t = (struct turn){.kernel = sumi_copy_pick(l->isa),
                     .rows = out ? lanes->channels : lanes->w,
                     .columns = out ? lanes->w : lanes->channels,
                     .from_row = out ? lanes->group : lanes->channels,
                     .to_row = out ? lanes->channels : lanes->group,
                     .from = from->buffer,
                     .to = to->buffer};
  return sumi_lower_emit(l, run_turn, t, t->kernel->name, &from->buffer, 1, &to->buffer, 1);
}

/* 8-bit values have kernels for it. */
static sumi_status emit_bytes(struct sumi_lower *l, const struct sumi_tensor *t,
                              const struct sumi_lane_operand *from, const struct sumi_lane_operand *to) {
  if (!to->layout.v) return sumi_lower_lane_unpack(l, t, from, to->buffer);
  SUMI_TRY(sumi_lower_blank(l, to));
  if (!from->layout.v) return sumi_lower_lane_pack(l, t, from->buffer, to);
  return sumi_lower_lane_table(l, from, 0, to, 0, to->layout.groups, NULL);
}

static sumi_status emit_copy(struct sumi_lower *l, const struct sumi_tensor *t,
                             const struct sumi_lane_operand *from, const struct sumi_lane_operand *to) {
  if (from->layout.v == 4 || to->layout.v == 4) return emit_bytes(l, t, from, to);
  if (is_turn(t, &from->layout, &to->layout)) return emit_turn(l, from, to);
  struct copy *c = SUMI_NEW(l->arena, struct copy);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  const int axis = from->layout.v ? from->layout.axis : to->layout.axis;
  *c = (struct copy){.from = from->layout,
                     .to = to->layout,
                     .from_buffer = from->buffer,
                     .to_buffer = to->buffer,
                     .outer = sumi_dims_count(t->dim, 0, axis),
                     .channels = t->dim[axis],
                     .inner = sumi_dims_count(t->dim, axis + 1, t->rank),
                     .bytes = sumi_dtype_bits(t->dtype) / 8};
  return sumi_lower_emit(l, run_copy, c,
                         from->layout.v ? to->layout.v ? "lanes anew" : "from lanes" : "to lanes",
                         &from->buffer, 1, &to->buffer, 1);
}

/* ---- operands --------------------------------------------------------------------------------------------------- */

static sumi_status scratch(struct sumi_lower *l, size_t bytes, int *buffer) {
  *buffer = sumi_lower_scratch(l, bytes);
  if (*buffer < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

static bool serves(const struct sumi_layout *l, const struct sumi_lane_wish *wish) {
  const struct sumi_halo *have = &l->halo, *want = &wish->halo;
  if (!l->v || l->axis != wish->axis) return false;
  return wish->any || (l->fill == wish->fill && have->step_y == want->step_y &&
                       have->step_x == want->step_x && have->top >= want->top && have->left >= want->left &&
                       have->bottom >= want->bottom && have->right >= want->right);
}

sumi_status sumi_lower_lanes_in(struct sumi_lower *l, int i, const struct sumi_lane_wish *wish,
                                struct sumi_lane_operand *out) {
  *out = (struct sumi_lane_operand){l->in_buffer[i], l->in_layout[i]};
  if (serves(&out->layout, wish)) return SUMI_OK;
  const struct sumi_lane_operand from = *out;
  if (from.layout.v && from.layout.axis != wish->axis)
    SUMI_FAIL(l->err, SUMI_E_INTERNAL, "input %d lies in lanes along another axis", i);
  struct sumi_halo halo = wish->halo;
  if (wish->any) halo = (struct sumi_halo){.step_y = 1, .step_x = 1};
  SUMI_TRY(sumi_layout_lanes(l->in[i], wish->axis, halo, wish->fill, &out->layout, l->err));
  SUMI_TRY(scratch(l, out->layout.bytes, &out->buffer));
  return emit_copy(l, l->in[i], &from, out);
}

sumi_status sumi_lower_lanes_out(struct sumi_lower *l, int i, int axis, struct sumi_lane_operand *out) {
  *out = (struct sumi_lane_operand){l->out_buffer[i], l->out_layout[i]};
  if (out->layout.v) return SUMI_OK;
  SUMI_TRY(sumi_layout_lanes(l->out[i], axis, (struct sumi_halo){.step_y = 1, .step_x = 1}, 0, &out->layout,
                             l->err));
  return scratch(l, out->layout.bytes, &out->buffer);
}

sumi_status sumi_lower_lanes_done(struct sumi_lower *l, int i, const struct sumi_lane_operand *from) {
  if (l->out_layout[i].v) return SUMI_OK;
  return emit_copy(l, l->out[i], from, &(struct sumi_lane_operand){.buffer = l->out_buffer[i]});
}

static sumi_status rows_buffer(struct sumi_lower *l, const struct sumi_tensor *t, int *buffer) {
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, l->err));
  return scratch(l, bytes, buffer);
}

sumi_status sumi_lower_rows_in(struct sumi_lower *l, int i, int *buffer) {
  *buffer = l->in_buffer[i];
  if (*buffer < 0 || !l->in_layout[i].v) return SUMI_OK;
  const struct sumi_lane_operand from = {*buffer, l->in_layout[i]};
  SUMI_TRY(rows_buffer(l, l->in[i], buffer));
  return emit_copy(l, l->in[i], &from, &(struct sumi_lane_operand){.buffer = *buffer});
}

sumi_status sumi_lower_rows_out(struct sumi_lower *l, int i, int *buffer) {
  *buffer = l->out_buffer[i];
  return *buffer < 0 || !l->out_layout[i].v ? SUMI_OK : rows_buffer(l, l->out[i], buffer);
}

sumi_status sumi_lower_rows_done(struct sumi_lower *l, int i, int buffer) {
  if (buffer == l->out_buffer[i]) return SUMI_OK;
  return emit_copy(l, l->out[i], &(struct sumi_lane_operand){.buffer = buffer},
                   &(struct sumi_lane_operand){l->out_buffer[i], l->out_layout[i]});
}

/* ---- halos ------------------------------------------------------------------------------------------------------ */

struct blank {
  struct sumi_layout layout;
  int buffer;
};

struct blank_run {
  const struct sumi_layout *layout;
  uint32_t *planes;
};

static void blank_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct blank_run *r = user;
  for (int64_t g = begin; g < end; g++) sumi_layout_blank(r->layout, r->planes + g * r->layout->group);
}

static sumi_status run_blank(const void *args, const struct sumi_run *run) {
  const struct blank *b = args;
  struct blank_run r = {&b->layout, run->buffer[b->buffer]};
  sumi_par_for(run->par, b->layout.groups, 16, blank_planes, &r);
  return SUMI_OK;
}

sumi_status sumi_lower_blank(struct sumi_lower *l, const struct sumi_lane_operand *operand) {
  const struct sumi_halo *h = &operand->layout.halo;
  if (!h->top && !h->left && !h->bottom && !h->right) return SUMI_OK;
  struct blank *b = SUMI_NEW(l->arena, struct blank);
  if (!b) SUMI_FAIL_MEMORY(l->err);
  *b = (struct blank){operand->layout, operand->buffer};
  return sumi_lower_emit(l, run_blank, b, "halo", NULL, 0, &b->buffer, 1);
}

/* ---- maps ------------------------------------------------------------------------------------------------------- */

static sumi_status new_places(struct sumi_lower *l, int64_t pixels, int32_t **place) {
  *place = SUMI_NEW_ARRAY(l->arena, (size_t)pixels, int32_t);
  if (!*place) SUMI_FAIL_MEMORY(l->err);
  for (int64_t p = 0; p < pixels; p++) (*place)[p] = -1;
  return SUMI_OK;
}

static sumi_status make_map(struct sumi_lower *l, const int32_t *place, int64_t pixels,
                            struct sumi_lane_map *map) {
  int32_t *first = SUMI_NEW_ARRAY(l->arena, (size_t)(pixels + 15) / 16 + 1, int32_t);
  struct sumi_lane_piece *piece = SUMI_NEW_ARRAY(l->arena, (size_t)pixels, struct sumi_lane_piece);
  if (!first || !piece) SUMI_FAIL_MEMORY(l->err);
  *map = sumi_lane_map_of(place, pixels, first, piece);
  return SUMI_OK;
}

sumi_status sumi_lower_map_same(struct sumi_lower *l, const struct sumi_layout *from,
                                const struct sumi_layout *to, struct sumi_lane_map *map) {
  SUMI_ASSERT(l->err, from->images == to->images && from->h == to->h && from->w == to->w);
  int64_t pixels = 0; /* up to the last pixel of the last phase */
  for (int64_t y = SUMI_MAX(from->h - from->halo.step_y, 0); y < from->h; y++)
    for (int64_t x = SUMI_MAX(from->w - from->halo.step_x, 0); x < from->w; x++)
      pixels = SUMI_MAX(pixels, sumi_layout_at(from, from->images - 1, y, x) + 1);
  int32_t *place;
  SUMI_TRY(new_places(l, pixels, &place));
  for (int64_t n = 0; n < from->images; n++)
    for (int64_t y = 0; y < from->h; y++)
      for (int64_t x = 0; x < from->w; x++)
        place[sumi_layout_at(from, n, y, x)] = (int32_t)sumi_layout_at(to, n, y, x);
  return make_map(l, place, pixels, map);
}

sumi_status sumi_lower_map_window(struct sumi_lower *l, const struct sumi_layout *from, int64_t h, int64_t w,
                                  const struct sumi_layout *to, struct sumi_lane_map *map) {
  SUMI_ASSERT(l->err, from->images == to->images && to->h == h && to->w == w);
  const int64_t pixels = (from->images - 1) * from->image + (h - 1) * from->pitch + w;
  int32_t *place;
  SUMI_TRY(new_places(l, pixels, &place));
  for (int64_t n = 0; n < from->images; n++)
    for (int64_t y = 0; y < h; y++)
      for (int64_t x = 0; x < w; x++)
        place[n * from->image + y * from->pitch + x] = (int32_t)sumi_layout_at(to, n, y, x);
  return make_map(l, place, pixels, map);
}
