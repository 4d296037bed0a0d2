/* Attribute forms that recur. */
#include "op/op_util.h"

#include <inttypes.h>

#include "base/size.h"

sumi_status sumi_op_axis(const struct sumi_node *node, int64_t otherwise, int rank, int *axis,
                         struct sumi_err *err) {
  const int64_t a = sumi_attr_int(node, "axis", otherwise);
  const int r = rank ? rank : 1;
  /* one past the end is allowed where everything from the axis on is one dimension: the operator checks that
   * itself */
  if (a < -r || a >= r) SUMI_FAIL(err, SUMI_E_VALUE, "axis %" PRId64 " is outside [-%d, %d)", a, r, r);
  *axis = (int)(a < 0 ? a + r : a);
  return SUMI_OK;
}

/* Reads an optional list attribute of n positive figures, each otherwise where absent. */
static sumi_status positive_list(const struct sumi_node *node, const char *name, int n, int64_t otherwise,
                                 int64_t *out, struct sumi_err *err) {
  int have;
  const int64_t *v = sumi_attr_ints(node, name, &have);
  if (have && have != n)
    SUMI_FAIL(err, SUMI_E_VALUE, "%s has %d entries, the input has %d spatial dimensions", name, have, n);
  for (int i = 0; i < n; i++) {
    out[i] = have ? v[i] : otherwise;
    if (out[i] <= 0 || out[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "%s[%d] is %" PRId64, name, i, out[i]);
  }
  return SUMI_OK;
}

static sumi_status window_kernel(const struct sumi_node *node, int n, const int64_t *kernel,
                                 struct sumi_window *w, struct sumi_err *err) {
  const bool attr = sumi_node_attr(node, "kernel_shape") != NULL;
  if (!kernel && !attr) SUMI_FAIL(err, SUMI_E_VALUE, "attribute kernel_shape is missing");
  if (attr) SUMI_TRY(positive_list(node, "kernel_shape", n, 0, w->kernel, err));
  for (int i = 0; kernel && i < n; i++) {
    if (kernel[i] == 0 || kernel[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_SHAPE, "the kernel's size is %" PRId64 " in dimension %d", kernel[i], i);
    if (attr && kernel[i] >= 0 && kernel[i] != w->kernel[i])
      SUMI_FAIL(err, SUMI_E_SHAPE, "kernel_shape[%d] is %" PRId64 ", the weights have %" PRId64, i,
                w->kernel[i], kernel[i]);
    if (!attr) w->kernel[i] = kernel[i];
  }
  return SUMI_OK;
}

static sumi_status window_pads(const struct sumi_node *node, int n, struct sumi_window *w,
                               struct sumi_err *err) {
  int n_pads;
  const int64_t *pads = sumi_attr_ints(node, "pads", &n_pads);
  if (n_pads && n_pads != 2 * n) SUMI_FAIL(err, SUMI_E_VALUE, "pads has %d entries, not %d", n_pads, 2 * n);
  const char *auto_pad = sumi_attr_string(node, "auto_pad", "NOTSET");
  w->same = sumi_streq(auto_pad, "SAME_UPPER") || sumi_streq(auto_pad, "SAME_LOWER");
  const bool written = sumi_streq(auto_pad, "NOTSET") || sumi_streq(auto_pad, "");
  if (!w->same && !written && !sumi_streq(auto_pad, "VALID"))
    SUMI_FAIL(err, SUMI_E_VALUE, "auto_pad is '%s'", auto_pad);
  for (int i = 0; i < n; i++) {
    w->begin[i] = n_pads && written ? pads[i] : 0;
    w->end[i] = n_pads && written ? pads[n + i] : 0;
    if (w->begin[i] < -INT32_MAX || w->begin[i] > INT32_MAX || w->end[i] < -INT32_MAX ||
        w->end[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "pads %" PRId64 " and %" PRId64 " are out of range", w->begin[i],
                w->end[i]);
  }
  return SUMI_OK;
}

/* One dimension of known size. The sums stay below 2^63: size <= 2^61, a window spans at most 2^62. */
static sumi_status window_fit(struct sumi_window *w, int i, int64_t size, bool same_lower,
                              struct sumi_err *err) {
  if (size > INT64_MAX / 4) SUMI_FAIL(err, SUMI_E_LIMIT, "spatial dimension %d is %" PRId64, i, size);
  const int64_t stride = w->stride[i], span = w->dilation[i] * (w->kernel[i] - 1) + 1;
  if (w->same) {
    w->out[i] = size / stride + (size % stride != 0);
    const int64_t need = (w->out[i] - 1) * stride + span - size, total = size && need > 0 ? need : 0;
    w->begin[i] = same_lower ? total - total / 2 : total / 2;
    w->end[i] = total - w->begin[i];
    return SUMI_OK;
  }
  const int64_t room = size + w->begin[i] + w->end[i] - span;
  if (room < 0)
    SUMI_FAIL(err, SUMI_E_SHAPE,
              "a window of %" PRId64 " does not fit in %" PRId64 " padded by %" PRId64 " and %" PRId64, span,
              size, w->begin[i], w->end[i]);
  w->out[i] = room / stride + 1;
  if (w->ceil) {
    /* rounded up, but windows that would start in the right padding do not count */
    const int64_t start = size + w->begin[i], some = start > 0 ? (start - 1) / stride + 1 : 0;
    w->out[i] = SUMI_MIN(w->out[i] + (room % stride != 0), some);
    if (!some)
      SUMI_FAIL(err, SUMI_E_SHAPE, "no window starts inside %" PRId64 " padded by %" PRId64, size,
                w->begin[i]);
  }
  return SUMI_OK;
}

sumi_status sumi_op_window(const struct sumi_node *node, int n, const int64_t *size, const int64_t *kernel,
                           struct sumi_window *w, struct sumi_err *err) {
  w->n = n;
  if (n > SUMI_MAX_RANK - 2) SUMI_FAIL(err, SUMI_E_LIMIT, "%d spatial dimensions", n);
  SUMI_TRY(window_kernel(node, n, kernel, w, err));
  SUMI_TRY(positive_list(node, "strides", n, 1, w->stride, err));
  SUMI_TRY(positive_list(node, "dilations", n, 1, w->dilation, err));
  SUMI_TRY(window_pads(node, n, w, err));
  /* rounding up also holds for VALID, as in the standard's shape inference; its prose has a formula that
   * never does */
  w->ceil = sumi_attr_int(node, "ceil_mode", 0) != 0;
  const bool same_lower = sumi_attr_is(node, "auto_pad", "NOTSET", "SAME_LOWER");
  for (int i = 0; i < n; i++) {
    w->out[i] = SUMI_DIM_UNKNOWN;
    if (size[i] >= 0 && w->kernel[i] >= 0) SUMI_TRY(window_fit(w, i, size[i], same_lower, err));
  }
  return SUMI_OK;
}

sumi_dim sumi_op_window_dim(struct sumi_symbols *s, const struct sumi_window *w, int i, sumi_dim size) {
  if (w->out[i] >= 0) return w->out[i];
  if (size == SUMI_DIM_UNKNOWN) return size;
  const int64_t stride = w->stride[i];
  if (w->same) return sumi_dim_div(s, sumi_dim_add(s, size, stride - 1), stride);
  if (w->kernel[i] < 0) return SUMI_DIM_UNKNOWN;
  const int64_t shift = w->begin[i] + w->end[i] - (w->dilation[i] * (w->kernel[i] - 1) + 1);
  /* negative numbers are no dims: subtract their magnitude */
  const int64_t up = w->ceil ? shift + stride - 1 : shift;
  sumi_dim out = up < 0 ? sumi_dim_sub(s, size, -up) : sumi_dim_add(s, size, up);
  out = sumi_dim_add(s, sumi_dim_div(s, out, stride), 1);
  if (!w->ceil) return out;
  const int64_t left = w->begin[i] - 1;
  const sumi_dim last = left < 0 ? sumi_dim_sub(s, size, -left) : sumi_dim_add(s, size, left);
  return sumi_dim_apply(s, SUMI_DIM_MIN, out, sumi_dim_add(s, sumi_dim_div(s, last, stride), 1));
}

static const struct sumi_tensor *constant_input(const struct sumi_call *call, int i) {
  const struct sumi_value *v = i >= 0 && i < call->node->n_in ? call->node->in[i] : NULL;
  return v && v->constant && v->constant->data ? v->constant : NULL;
}

const struct sumi_tensor *sumi_op_weight(const struct sumi_node *node, int i) {
  const struct sumi_value *v = i < node->n_in ? node->in[i] : NULL;
  return v && !v->is_input ? v->constant : NULL;
}

double sumi_op_density(const struct sumi_call *call, int i, int zero_point) {
  const struct sumi_tensor *t = constant_input(call, i), *z = constant_input(call, zero_point);
  if (!t) return 1;
  const int64_t n = sumi_tensor_count(t);
  const double zero = z && sumi_tensor_count(z) == 1 ? sumi_get_f64(z->dtype, z->data, 0) : 0;
  int64_t nonzero = 0;
  if (t->dtype == SUMI_FLOAT32)
    for (int64_t k = 0; k < n; k++) nonzero += ((const float *)t->data)[k] != 0;
  else
    for (int64_t k = 0; k < n; k++) nonzero += sumi_get_f64(t->dtype, t->data, k) != zero;
  return n ? (double)nonzero / (double)n : 0;
}

double sumi_op_bytes(const struct sumi_call *call) {
  double sum = 0;
  size_t bytes;
  for (int i = 0; i < call->n_in; i++)
    if (call->in[i] && sumi_dtype_bytes(call->in[i]->dtype, sumi_tensor_count(call->in[i]), &bytes))
      sum += (double)bytes;
  for (int i = 0; i < call->n_out; i++)
    if (call->out[i] && sumi_dtype_bytes(call->out[i]->dtype, sumi_tensor_count(call->out[i]), &bytes))
      sum += (double)bytes;
  return sum;
}
