/* Unique: the different elements of the flattened input, or its different slices along axis, in ascending
 * order or in the order of their first occurrence; with the index of that occurrence, the number of its kind
 * for every element of the input, and how often each kind occurs. Slices compare like words: by their first
 * different element; complex numbers by their real parts, then by their imaginary ones, as NumPy's. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"
#include "op/order.h"
#include "op/parts.h"

/* The input as n items of outer * inner elements each. */
struct items {
  const struct sumi_tensor *x;
  int axis; /* -1: flattened */
  int64_t outer, n, inner;
};

static sumi_status items_of(const struct sumi_call *c, struct items *it) {
  *it = (struct items){.x = c->in[0], .axis = -1, .outer = 1, .inner = 1};
  if (!sumi_node_attr(c->node, "axis")) {
    it->n = sumi_tensor_count(it->x);
    return SUMI_OK;
  }
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), it->x->rank, &it->axis, c->err));
  it->outer = sumi_dims_count(it->x->dim, 0, it->axis);
  it->n = it->x->dim[it->axis];
  it->inner = sumi_dims_count(it->x->dim, it->axis + 1, it->x->rank);
  return SUMI_OK;
}

static int compare_elements(const struct sumi_tensor *x, int64_t a, int64_t b) {
  if (x->dtype == SUMI_STRING) {
    const struct sumi_str *s = x->data;
    const size_t n = SUMI_MIN(s[a].size, s[b].size);
    const int r = n ? memcmp(s[a].data, s[b].data, n) : 0;
    return r ? r : (s[a].size > s[b].size) - (s[a].size < s[b].size);
  }
  const sumi_dtype part = sumi_part_dtype(x->dtype);
  const int parts = sumi_n_parts(x->dtype);
  int r = 0;
  for (int k = 0; k < parts && !r; k++) {
    const int64_t p = sumi_order(part, x->data, a * parts + k), q = sumi_order(part, x->data, b * parts + k);
    r = (p > q) - (p < q);
  }
  return r;
}

static int compare(const struct items *it, int64_t a, int64_t b) {
  for (int64_t o = 0; o < it->outer; o++)
    for (int64_t i = 0; i < it->inner; i++) {
      const int r = compare_elements(it->x, (o * it->n + a) * it->inner + i, (o * it->n + b) * it->inner + i);
      if (r) return r;
    }
  return 0;
}

/* Sorts item numbers, equal ones ascending: runs of 1, 2, 4, ... are merged between order and spare. Returns
 * the one of the two that holds the result. */
static int64_t *sort(const struct items *it, int64_t *order, int64_t *spare) {
  for (int64_t i = 0; i < it->n; i++) order[i] = i;
  for (int64_t run = 1; run < it->n; run *= 2) {
    for (int64_t at = 0; at < it->n; at += 2 * run) {
      const int64_t middle = SUMI_MIN(at + run, it->n), end = SUMI_MIN(at + 2 * run, it->n);
      int64_t a = at, b = middle;
      for (int64_t k = at; k < end; k++) {
        const bool left = b == end || (a < middle && compare(it, order[a], order[b]) <= 0);
        spare[k] = order[left ? a++ : b++];
      }
    }
    int64_t *t = order;
    order = spare;
    spare = t;
  }
  return order;
}

static sumi_status unique_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const bool flat = !sumi_node_attr(ctx->node, "axis");
  const sumi_dim unknown = SUMI_DIM_UNKNOWN;
  sumi_dim dim[SUMI_MAX_RANK] = {SUMI_DIM_UNKNOWN}, all = SUMI_DIM_UNKNOWN;
  int axis = 0;
  if (x->rank >= 0 && !flat) {
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), x->rank, &axis, ctx->err));
    all = x->dim[axis];
    for (int i = 0; i < x->rank; i++) dim[i] = i == axis ? SUMI_DIM_UNKNOWN : x->dim[i];
  } else if (x->rank >= 0) {
    all = 1;
    for (int i = 0; i < x->rank; i++) all = sumi_dim_mul(ctx->symbols, all, x->dim[i]);
  }
  sumi_infer_out(ctx, 0, x->dtype, flat ? 1 : x->rank, dim);
  sumi_infer_out(ctx, 1, SUMI_INT64, 1, &unknown);
  sumi_infer_out(ctx, 2, SUMI_INT64, 1, &all);
  sumi_infer_out(ctx, 3, SUMI_INT64, 1, &unknown);
  return SUMI_OK;
}

enum { ARRAYS = 5 };

static sumi_status unique_scratch(const struct sumi_call *c, size_t *bytes) {
  struct items it;
  SUMI_TRY(items_of(c, &it));
  if (!sumi_size_mul((size_t)it.n, ARRAYS * sizeof(int64_t), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the input is too large");
  return SUMI_OK;
}

static sumi_status put_list(const struct sumi_call *c, int i, const int64_t *list, int64_t n) {
  SUMI_TRY(sumi_call_output(c, i, SUMI_INT64, 1, &n));
  if (sumi_call_wants(c, i) && n) memcpy(c->out[i]->data, list, (size_t)n * sizeof *list);
  return SUMI_OK;
}

/* The items first[k], one for each of n kinds, as output 0. */
static sumi_status put_items(const struct sumi_call *c, const struct items *it, const int64_t *first,
                             int64_t n) {
  int64_t dim[SUMI_MAX_RANK] = {n};
  for (int i = 0; it->axis >= 0 && i < it->x->rank; i++) dim[i] = i == it->axis ? n : it->x->dim[i];
  SUMI_TRY(sumi_call_output(c, 0, it->x->dtype, it->axis < 0 ? 1 : it->x->rank, dim));
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  for (int64_t o = 0; o < it->outer; o++)
    for (int64_t k = 0; k < n; k++)
      sumi_copy(it->x->dtype, c->out[0]->data, (o * n + k) * it->inner, it->x->data,
                (o * it->n + first[k]) * it->inner, it->inner);
  return SUMI_OK;
}

static sumi_status unique_ref(const struct sumi_call *c) {
  struct items it;
  SUMI_TRY(items_of(c, &it));
  int64_t *array = c->scratch, *first = array + 2 * it.n, *kind = array + 3 * it.n, *count = array + 4 * it.n;
  const int64_t *order = sort(&it, array, array + it.n);
  int64_t n = 0;
  for (int64_t i = 0; i < it.n; i++) {
    if (!i || compare(&it, order[i - 1], order[i]) != 0) first[n++] = order[i];
    kind[order[i]] = n - 1;
  }
  if (!sumi_attr_int(c->node, "sorted",
                     1)) { /* number the kinds again as they first occur; order is free now */
    int64_t *number = array, m = 0;
    for (int64_t k = 0; k < n; k++) number[k] = -1;
    for (int64_t i = 0; i < it.n; i++) {
      if (number[kind[i]] < 0) {
        number[kind[i]] = m;
        first[m++] = i; /* below any kind not seen yet: their firsts are not read again */
      }
      kind[i] = number[kind[i]];
    }
  }
  for (int64_t k = 0; k < n; k++) count[k] = 0;
  for (int64_t i = 0; i < it.n; i++) count[kind[i]]++;
  SUMI_TRY(put_items(c, &it, first, n));
  SUMI_TRY(put_list(c, 1, first, n));
  SUMI_TRY(put_list(c, 2, kind, it.n));
  return put_list(c, 3, count, n);
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {"sorted", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port out[] = {
    {"Y", SUMI_ANY, 'T'},
    {"indices", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {"inverse_indices", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {"counts", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_case cases[] = {
    {"g (int32[31] x) => (y, i, v, n) { y, i, v, n = Unique (x) }"},
    {"g (int32[31] x) => (y, i, v, n) { y, i, v, n = Unique <sorted = 0> (x) }"},
    {"g (int8[3,19,1] x) => (y, i, v, n) { y, i, v, n = Unique <axis = 1> (x) }", .low = 0, .high = 1},
    {"g (complex64[9] x) => (y, i, v, n) { z = Concat <axis = 0> (x, x) y, i, v, n = Unique (z) }"},
    {NULL},
};

const struct sumi_op sumi_op_unique = {
    .name = "Unique",
    .formula = "the different elements or slices",
    .known_as = {{"", "Unique", {11, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = unique_infer,
    .ref = unique_ref,
    .scratch = unique_scratch,
    .cases = cases,
};
