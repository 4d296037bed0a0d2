/* Attribute forms that recur. */
#include "op/op_util.h"

#include <inttypes.h>

sumi_status sumi_op_axis(const struct sumi_node *node, int64_t otherwise, int rank, int *axis, struct sumi_err *err) {
  const int64_t a = sumi_attr_int(node, "axis", otherwise);
  const int r = rank ? rank : 1;
  /* one past the end is allowed where everything from the axis on is one dimension: the operator checks that itself */
  if (a < -r || a >= r) SUMI_FAIL(err, SUMI_E_VALUE, "axis %" PRId64 " is outside [-%d, %d)", a, r, r);
  *axis = (int)(a < 0 ? a + r : a);
  return SUMI_OK;
}

/* Reads an optional list attribute of n positive figures, each otherwise where absent. */
static sumi_status positive_list(const struct sumi_node *node, const char *name, int n, int64_t otherwise, int64_t *out, struct sumi_err *err) {
  int have;
  const int64_t *v = sumi_attr_ints(node, name, &have);
  if (v && have != n) SUMI_FAIL(err, SUMI_E_VALUE, "%s has %d entries, the input has %d spatial dimensions", name, have, n);
  for (int i = 0; i < n; i++) {
    out[i] = v ? v[i] : otherwise;
    if (out[i] <= 0 || out[i] > INT32_MAX) SUMI_FAIL(err, SUMI_E_VALUE, "%s[%d] is %" PRId64, name, i, out[i]);
  }
  return SUMI_OK;
}

sumi_status sumi_op_window(const struct sumi_node *node, int n, const int64_t *size, const int64_t *kernel,
                           struct sumi_window *w, struct sumi_err *err) {
  w->n = n;
  if (n > SUMI_MAX_RANK - 2) SUMI_FAIL(err, SUMI_E_LIMIT, "%d spatial dimensions", n);
  if (kernel)
    for (int i = 0; i < n; i++) {
      w->kernel[i] = kernel[i];
      if (kernel[i] == 0 || kernel[i] > INT32_MAX) SUMI_FAIL(err, SUMI_E_SHAPE, "the kernel's size is %" PRId64, kernel[i]);
    }
  else
    SUMI_TRY(positive_list(node, "kernel_shape", n, 0, w->kernel, err));
  SUMI_TRY(positive_list(node, "strides", n, 1, w->stride, err));
  SUMI_TRY(positive_list(node, "dilations", n, 1, w->dilation, err));
  int n_pads;
  const int64_t *pads = sumi_attr_ints(node, "pads", &n_pads);
  if (pads && n_pads != 2 * n) SUMI_FAIL(err, SUMI_E_VALUE, "pads has %d entries, not %d", n_pads, 2 * n);
  const char *auto_pad = sumi_attr_string(node, "auto_pad", "NOTSET");
  const bool same_upper = sumi_streq(auto_pad, "SAME_UPPER"), same = same_upper || sumi_streq(auto_pad, "SAME_LOWER");
  if (!same && !sumi_streq(auto_pad, "NOTSET") && !sumi_streq(auto_pad, "VALID"))
    SUMI_FAIL(err, SUMI_E_VALUE, "auto_pad is '%s'", auto_pad);
  const bool explicit_pads = pads && sumi_streq(auto_pad, "NOTSET"), ceil_mode = sumi_attr_int(node, "ceil_mode", 0) != 0;
  for (int i = 0; i < n; i++) {
    w->begin[i] = explicit_pads ? pads[i] : 0;
    w->end[i] = explicit_pads ? pads[n + i] : 0;
    if (w->begin[i] < -INT32_MAX || w->begin[i] > INT32_MAX || w->end[i] < -INT32_MAX || w->end[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "pads are out of range");
    w->out[i] = SUMI_DIM_UNKNOWN;
    if (size[i] < 0 || w->kernel[i] < 0) continue;
    if (size[i] > INT64_MAX / 4) SUMI_FAIL(err, SUMI_E_LIMIT, "a spatial dimension is %" PRId64, size[i]);
    const int64_t span = w->dilation[i] * (w->kernel[i] - 1) + 1; /* both <= 2^31 */
    if (same) {
      w->out[i] = (size[i] + w->stride[i] - 1) / w->stride[i];
      const int64_t need = (w->out[i] - 1) * w->stride[i] + span - size[i], total = need > 0 ? need : 0;
      w->begin[i] = same_upper ? total / 2 : total - total / 2;
      w->end[i] = total - w->begin[i];
      continue;
    }
    const int64_t room = size[i] + w->begin[i] + w->end[i] - span;
    if (room < 0) {
      SUMI_FAIL(err, SUMI_E_SHAPE, "a window of %" PRId64 " does not fit in %" PRId64 " padded by %" PRId64 " and %" PRId64, span,
                size[i], w->begin[i], w->end[i]);
    }
    w->out[i] = room / w->stride[i] + 1;
    /* a window rounded up must start inside the input or its left padding */
    if (ceil_mode && room % w->stride[i] && w->out[i] * w->stride[i] < size[i] + w->begin[i]) w->out[i]++;
  }
  return SUMI_OK;
}
