/* TopK: along axis, the k largest (or smallest) elements and their indices, best first; equal ones in the
 * order of their indices. k is an attribute in version 1 and an input from 10 on. NaN counts as the
 * largest. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"
#include "op/order.h"

static sumi_status read_k(struct sumi_infer *ctx, sumi_dim *k) {
  if (ctx->node->version < 10) {
    *k = sumi_attr_int(ctx->node, "k", -1);
    if (*k < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "k is %" PRId64, *k);
    return SUMI_OK;
  }
  if (!sumi_infer_has(ctx, 1)) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there is no k");
  bool known;
  const int64_t *v;
  int n;
  *k = SUMI_DIM_UNKNOWN;
  SUMI_TRY(sumi_op_scalar(ctx, 1, &known, k));
  if (known && *k < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "k is %" PRId64, *k);
  if (known || ctx->in[1].rank > 1) return SUMI_OK;
  SUMI_TRY(sumi_infer_ints(ctx, 1, &v, &n));
  *k = n == 1 ? v[0] : SUMI_DIM_UNKNOWN;
  return SUMI_OK;
}

static sumi_status top_k_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  sumi_dim dim[SUMI_MAX_RANK], k;
  int axis;
  SUMI_TRY(read_k(ctx, &k));
  if (x->rank >= 0) {
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", -1), x->rank, &axis, ctx->err));
    for (int i = 0; i < x->rank; i++) dim[i] = i == axis ? k : x->dim[i];
    if (k >= 0 && x->dim[axis] >= 0 && k > x->dim[axis])
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "k is %" PRId64 ", the axis has %" PRId64 " elements", k,
                x->dim[axis]);
  }
  sumi_infer_out(ctx, 0, x->dtype, x->rank, dim);
  sumi_infer_out(ctx, 1, SUMI_INT64, x->rank, dim);
  return SUMI_OK;
}

struct entry {
  int64_t key, index; /* the larger key is the better one */
};

static bool worse(struct entry a, struct entry b) {
  return a.key != b.key ? a.key < b.key : a.index > b.index;
}

/* A heap with the worst entry on top: settles entry i of n. */
static void sift(struct entry *heap, int64_t n, int64_t i) {
  const struct entry e = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && worse(heap[child + 1], heap[child])) child++;
    if (!worse(heap[child], e)) break;
    heap[i] = heap[child];
  }
  heap[i] = e;
}

enum { CHUNK = 256 };

/* key[i]: of element first + i * stride, for i in [0, n). */
static void find_keys(const struct sumi_tensor *x, int64_t first, int64_t n, int64_t stride, bool largest,
                      int64_t *key) {
  const int64_t flip = largest ? 0 : -1;
  if (x->dtype == SUMI_FLOAT32)
    for (int64_t i = 0; i < n; i++)
      key[i] = sumi_order_f32(((const float *)x->data)[first + i * stride]) ^ flip;
  else
    for (int64_t i = 0; i < n; i++) key[i] = sumi_order(x->dtype, x->data, first + i * stride) ^ flip;
}

/* The k >= 1 best of n elements from first on, stride apart, best first. */
static void select_best(const struct sumi_tensor *x, int64_t first, int64_t n, int64_t stride, bool largest,
                        int64_t k, struct entry *heap) {
  int64_t key[CHUNK];
  for (int64_t begin = 0; begin < n; begin += CHUNK) {
    const int64_t some = SUMI_MIN(n - begin, CHUNK);
    find_keys(x, first + begin * stride, some, stride, largest, key);
    for (int64_t i = begin; i < begin + some; i++) {
      const struct entry e = {key[i - begin], i};
      if (i < k) {
        heap[i] = e;
        if (i == k - 1)
          for (int64_t j = k / 2; j >= 0; j--) sift(heap, k, j);
      } else if (e.key > heap[0].key) { /* of equal ones those before are better */
        heap[0] = e;
        sift(heap, k, 0);
      }
    }
  }
  for (int64_t m = k; m > 1;) { /* the worst goes behind the rest */
    const struct entry e = heap[0];
    heap[0] = heap[--m];
    heap[m] = e;
    sift(heap, m, 0);
  }
}

static const struct sumi_tensor *any_output(const struct sumi_call *c) {
  return sumi_call_wants(c, 0) ? c->out[0] : c->out[1];
}

static sumi_status top_k_scratch(const struct sumi_call *c, size_t *bytes) {
  int axis;
  *bytes = 0;
  if (!sumi_call_wants(c, 0) && !sumi_call_wants(c, 1)) return SUMI_OK;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", -1), c->in[0]->rank, &axis, c->err));
  if (!sumi_size_mul((size_t)any_output(c)->dim[axis], sizeof(struct entry), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "k is too large");
  return SUMI_OK;
}

static sumi_status top_k_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  if (!sumi_call_wants(c, 0) && !sumi_call_wants(c, 1)) return SUMI_OK;
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", -1), x->rank, &axis, c->err));
  const bool largest = sumi_attr_int(c->node, "largest", 1) != 0;
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  const int64_t n = x->dim[axis], k = any_output(c)->dim[axis];
  const bool values = sumi_call_wants(c, 0), indices = sumi_call_wants(c, 1);
  struct entry *heap = c->scratch;
  for (int64_t o = 0; o < outer && k; o++)
    for (int64_t i = 0; i < inner; i++) {
      select_best(x, o * n * inner + i, n, inner, largest, k, heap);
      for (int64_t j = 0; j < k; j++) {
        const int64_t at = (o * k + j) * inner + i;
        if (values) sumi_copy(x->dtype, c->out[0]->data, at, x->data, (o * n + heap[j].index) * inner + i, 1);
        if (indices) ((int64_t *)c->out[1]->data)[at] = heap[j].index;
      }
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT},         {"largest", SUMI_ATTR_INT},
    {"sorted", SUMI_ATTR_INT}, /* 0 leaves the order open: sorted is one of them */
    {"k", SUMI_ATTR_INT, false, 10}, {NULL},
};
static const struct sumi_port in[] = {
    {"X", SUMI_NUMBERS, 'T'}, {"K", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port out[] = {
    {"Values", SUMI_NUMBERS, 'T', SUMI_PORT_OPTIONAL},
    {"Indices", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_case cases[] = {
    {"g (float[3,17] x) => (v, i) <int64[1] k = {5}> { v, i = TopK (x, k) }"},
    {"g (int64[3,17,2] x) => (v, i) <int64[1] k = {17}> { v, i = TopK <axis = 1, largest = 0> (x, k) }",
     .why = "many equal, all sorted"},
    {"<opset_import: [\"\": 1]> g (float[4,6] x) => (v, i) { v, i = TopK <k = 2, axis = 0> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_top_k = {
    .name = "TopK",
    .formula = "the k largest along axis, and where they stand",
    .known_as = {{"", "TopK", {1, 10, 11, 24}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = top_k_infer,
    .ref = top_k_ref,
    .scratch = top_k_scratch,
    .cases = cases,
};
