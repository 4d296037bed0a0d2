/* The geometry of convolutions in lanes. */
#include "op/lane_conv.h"

static bool is_pointwise(const struct sumi_conv *v) {
  for (int i = 0; i < v->n; i++)
    if (v->window.kernel[i] != 1 || v->window.stride[i] != 1 || v->window.begin[i] || v->window.end[i])
      return false;
  return true;
}

const char *sumi_lane_conv_find(const struct sumi_conv *v, struct sumi_lane_conv *c) {
  *c = (struct sumi_lane_conv){.pointwise = is_pointwise(v)};
  return c->pointwise ? NULL : sumi_lane_window_find(&v->window, v->n, v->in, &c->window);
}

int64_t sumi_lane_conv_taps(const struct sumi_lane_conv *c) {
  return c->pointwise ? 1 : c->window.kernel[SUMI_LANE_Y] * c->window.kernel[SUMI_LANE_X];
}

struct sumi_lane_wish sumi_lane_conv_wish(const struct sumi_lane_conv *c, uint8_t fill) {
  struct sumi_lane_wish wish = {.lanes = true, .any = c->pointwise, .axis = 1, .fill = fill};
  wish.halo = c->pointwise ? (struct sumi_halo){.step_y = 1, .step_x = 1} : sumi_lane_window_halo(&c->window);
  return wish;
}

int32_t *sumi_lane_conv_columns(struct sumi_lower *l, const struct sumi_lane_conv *c,
                                const struct sumi_layout *x) {
  const int64_t taps = sumi_lane_conv_taps(c);
  int32_t *column = SUMI_NEW_ARRAY(l->arena, (size_t)(taps * x->groups), int32_t), *next = column;
  for (int64_t t = 0; column && t < taps; t++) {
    const int32_t at = c->pointwise ? 0 : sumi_lane_window_tap(&c->window, x, t);
    for (int64_t g = 0; g < x->groups; g++) *next++ = (int32_t)(at + 4 * g * x->group);
  }
  return column;
}

sumi_status sumi_lane_conv_map(struct sumi_lower *l, const struct sumi_lane_conv *c,
                               const struct sumi_layout *x, const struct sumi_layout *to,
                               struct sumi_lane_map *map) {
  const int64_t *out = c->window.out;
  return c->pointwise ? sumi_lower_map_same(l, x, to, map)
                      : sumi_lower_map_window(l, x, out[SUMI_LANE_Y], out[SUMI_LANE_X], to, map);
}
