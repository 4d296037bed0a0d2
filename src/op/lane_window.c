/* Sliding windows over planes in lanes. */
#include "op/lane_window.h"

#include "base/size.h"

enum { Y = SUMI_LANE_Y, X = SUMI_LANE_X, DIMS = SUMI_LANE_DIMS };

const char *sumi_lane_window_find(const struct sumi_window *w, int n, const int64_t *in,
                                  struct sumi_lane_window *out) {
  if (n > DIMS) return "more than two spatial dimensions";
  for (int d = 0; d < DIMS; d++) {
    const int i = n - DIMS + d; /* the dimension of w; negative: there is none */
    out->kernel[d] = i < 0 ? 1 : w->kernel[i];
    out->stride[d] = i < 0 ? 1 : w->stride[i];
    out->dilation[d] = i < 0 ? 1 : w->dilation[i];
    out->begin[d] = i < 0 ? 0 : w->begin[i];
    out->in[d] = i < 0 ? 1 : in[i];
    out->out[d] = i < 0 ? 1 : w->out[i];
    if (out->begin[d] < 0 || (i >= 0 && w->end[i] < 0)) return "negative padding";
    if (out->stride[d] > SUMI_LAYOUT_MAX_STEP) return "a stride with too many phases";
  }
  return NULL;
}

/* Elements that the last window reaches beyond the input. */
static int64_t overhang(const struct sumi_lane_window *w, int d) {
  const int64_t reach = (w->out[d] - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] - w->begin[d];
  return SUMI_MAX(reach - (w->in[d] - 1), 0);
}

struct sumi_halo sumi_lane_window_halo(const struct sumi_lane_window *w) {
  return (struct sumi_halo){.top = w->begin[Y],
                            .left = w->begin[X],
                            .bottom = overhang(w, Y),
                            .right = overhang(w, X),
                            .step_y = (int)w->stride[Y],
                            .step_x = (int)w->stride[X]};
}

int32_t sumi_lane_window_tap(const struct sumi_lane_window *w, const struct sumi_layout *l, int64_t t) {
  const int64_t y = t / w->kernel[X] * w->dilation[Y], x = t % w->kernel[X] * w->dilation[X];
  return (int32_t)(4 * sumi_layout_at(l, 0, y - w->begin[Y], x - w->begin[X]));
}
