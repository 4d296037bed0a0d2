/* NonZero: y[:, k] is the index tuple of the k-th element that is not zero, in row-major order; of a scalar
 * the tuple
 *   is empty.
 * Compress: the slices along axis (elements of the flattened input without axis) whose condition is true; a
 * condition
 *   shorter than the axis is false beyond its end. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/lane.h"
#include "op/move.h"
#include "op/op_util.h"

static bool is_zero(const struct sumi_tensor *x, int64_t i) {
  if (x->dtype == SUMI_STRING) return ((const struct sumi_str *)x->data)[i].size == 0;
  if (sumi_dtype_in(x->dtype, SUMI_COMPLEX)) {
    const bool wide = x->dtype == SUMI_COMPLEX128;
    const void *part = x->data; /* real and imaginary part are floats one after the other */
    const sumi_dtype d = wide ? SUMI_FLOAT64 : SUMI_FLOAT32;
    return sumi_get_f64(d, part, 2 * i) == 0 && sumi_get_f64(d, part, 2 * i + 1) == 0;
  }
  return sumi_get_f64(x->dtype, x->data, i) == 0;
}

static sumi_status nonzero_infer(struct sumi_infer *ctx) {
  const sumi_dim dim[2] = {ctx->in[0].rank < 0 ? SUMI_DIM_UNKNOWN : ctx->in[0].rank, SUMI_DIM_UNKNOWN};
  sumi_infer_out(ctx, 0, SUMI_INT64, 2, dim);
  return SUMI_OK;
}

/* Whether each of n elements from first on is not zero. */
static void find_nonzero(const struct sumi_tensor *x, int64_t first, int64_t n, bool *found) {
  double value[SUMI_LANE_CHUNK];
  const bool number = x->dtype != SUMI_STRING && !sumi_dtype_in(x->dtype, SUMI_COMPLEX);
  if (number) sumi_lane_load(SUMI_LANE_F64, x->dtype, x->data, first, n, value);
  for (int64_t i = 0; i < n; i++) found[i] = number ? value[i] != 0 : !is_zero(x, first + i);
}

static int64_t count_nonzero(const struct sumi_tensor *x) {
  const int64_t count = sumi_tensor_count(x);
  bool found[SUMI_LANE_CHUNK];
  int64_t n = 0;
  for (int64_t i = 0; i < count; i += SUMI_LANE_CHUNK) {
    const int64_t some = SUMI_MIN(count - i, SUMI_LANE_CHUNK);
    find_nonzero(x, i, some, found);
    for (int64_t j = 0; j < some; j++) n += found[j];
  }
  return n;
}

static sumi_status nonzero_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t n = count_nonzero(x);
  SUMI_TRY(sumi_call_output(c, 0, SUMI_INT64, 2, (const int64_t[]){x->rank, n}));
  if (!sumi_call_wants(c, 0) || !n || !x->rank) return SUMI_OK;
  const int last = x->rank - 1;
  const int64_t width = x->dim[last];
  int64_t *y = c->out[0]->data, k = 0, row = 0;
  bool found[SUMI_LANE_CHUNK];
  for (struct sumi_walk w = sumi_walk_start(last, x->dim, NULL, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), row += width)
    for (int64_t i = 0; i < width; i += SUMI_LANE_CHUNK) {
      const int64_t some = SUMI_MIN(width - i, SUMI_LANE_CHUNK);
      find_nonzero(x, row + i, some, found);
      for (int64_t j = 0; j < some; j++) {
        if (!found[j]) continue;
        for (int a = 0; a < last; a++) y[a * n + k] = w.index[a];
        y[last * n + k++] = i + j;
      }
    }
  return SUMI_OK;
}

/* ---- Compress ------------------------------------------------------------------------------------------ */

static sumi_status compress_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  sumi_dim dim[SUMI_MAX_RANK] = {SUMI_DIM_UNKNOWN};
  int axis;
  SUMI_TRY(sumi_op_want_rank(ctx, 1, 1));
  if (!sumi_node_attr(ctx->node, "axis")) {
    sumi_infer_out(ctx, 0, x->dtype, 1, dim);
    return SUMI_OK;
  }
  if (x->rank >= 0) {
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), x->rank, &axis, ctx->err));
    for (int i = 0; i < x->rank; i++) dim[i] = i == axis ? SUMI_DIM_UNKNOWN : x->dim[i];
  }
  sumi_infer_out(ctx, 0, x->dtype, x->rank, dim);
  return SUMI_OK;
}

/* The rows of x [n] that are to be taken, one after the other. */
static void keep_rows(const char *x, const uint8_t *take, int64_t n, int64_t bytes, char *y) {
#define ROWS(size)                    \
  for (int64_t i = 0; i < n; i++)     \
    if (take[i]) {                    \
      memcpy(y, x + i * bytes, size); \
      y += bytes;                     \
    }
  if (bytes == 4) {
    ROWS(4)
  } else if (bytes == 8) {
    ROWS(8)
  } else if (bytes == 16) {
    ROWS(16)
  } else {
    ROWS((size_t)bytes)
  }
#undef ROWS
}

static sumi_status compress_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const uint8_t *take = c->in[1]->data;
  const bool flat = !sumi_node_attr(c->node, "axis");
  int axis = 0;
  if (!flat) SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), x->rank, &axis, c->err));
  /* x is [outer, n, inner] */
  const int64_t outer = flat ? 1 : sumi_dims_count(x->dim, 0, axis),
                inner = flat ? 1 : sumi_dims_count(x->dim, axis + 1, x->rank);
  const int64_t n = flat ? sumi_tensor_count(x) : x->dim[axis], looked_at = SUMI_MIN(n, c->in[1]->dim[0]);
  int64_t kept = 0, k = 0, dim[SUMI_MAX_RANK];
  for (int64_t i = 0; i < looked_at; i++) kept += take[i] != 0;
  for (int i = 0; i < x->rank; i++) dim[i] = i == axis ? kept : x->dim[i];
  if (flat) dim[0] = kept;
  SUMI_TRY(sumi_call_output(c, 0, x->dtype, flat ? 1 : x->rank, dim));
  if (outer == 1 && sumi_dtype_bits(x->dtype) >= 8 && x->dtype != SUMI_STRING) {
    keep_rows(x->data, take, looked_at, inner * sumi_dtype_bits(x->dtype) / 8, c->out[0]->data);
    return SUMI_OK;
  }
  for (int64_t i = 0; i < looked_at; i++) {
    if (!take[i]) continue;
    sumi_move(x->dtype, 2, (const int64_t[]){outer, inner}, c->out[0]->data, k * inner,
              (const int64_t[]){kept * inner, 1}, x->data, i * inner, (const int64_t[]){n * inner, 1});
    k++;
  }
  return SUMI_OK;
}

static const struct sumi_port nonzero_in[] = {{"X", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port nonzero_out[] = {{"Y", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_case nonzero_cases[] = {
    {"g () => (y) <float[2,3] x = {0, 1, -2, 0, 0, 3}> { y = NonZero (x) }"},
    {"g (int32[4,5] x) => (y) { y = NonZero (x) }", .low = 0, .high = 1},
    {"g (float[2,3,300] x) => (y) { i = Floor (x) y = NonZero (i) }", .why = "rows longer than a chunk"},
    {"g () => (y) <float[5] x = {nan, -0, 1e-30, inf, 0}> { y = NonZero (x) }", .why = "NaN is not zero"},
    {"g () => (y, z) <bool a = {1}, int8 b = {0}> { y = NonZero (a) z = NonZero (b) }", .why = "scalars"},
    {NULL},
};

const struct sumi_op sumi_op_nonzero = {
    .name = "NonZero",
    .formula = "indices of elements that are not 0",
    .known_as = {{"", "NonZero", {9, 13}}},
    .in = nonzero_in,
    .out = nonzero_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = nonzero_infer,
    .ref = nonzero_ref,
    .cases = nonzero_cases,
};

static const struct sumi_attr_spec compress_attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port compress_in[] = {
    {"input", SUMI_ANY, 'T'}, {"condition", SUMI_BIT(SUMI_BOOL)}, {NULL}};
static const struct sumi_port compress_out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case compress_cases[] = {
    {"g (float[3,4] x) => (y) <bool[3] m = {1, 0, 1}> { y = Compress <axis = 1> (x, m) }",
     .why = "a short condition"},
    {"g (float[3,4] x) => (y) <bool[5] m = {0, 1, 0, 0, 1}> { y = Compress (x, m) }", .why = "flattened"},
    {"g (float[5,2,4] x) => (y) <bool[5] m = {0, 1, 0, 1, 1}> { y = Compress <axis = 0> (x, m) }",
     .why = "rows"},
    {"g (float[5,4] x) => (y) <bool[5] m = {0, 1, 0, 1, 1}> { y = Compress <axis = 0> (x, m) }",
     .why = "rows"},
    {"g (float16[9] x) => (y) <bool[9] m = {0, 1, 0, 1, 1, 0, 0, 1, 1}> { y = Compress (x, m) }"},
    {"g (int64[9] x) => (y) <bool[9] m = {0, 1, 0, 1, 1, 0, 0, 1, 1}> { y = Compress (x, m) }"},
    {NULL},
};

const struct sumi_op sumi_op_compress = {
    .name = "Compress",
    .formula = "slices whose condition is true",
    .known_as = {{"", "Compress", {9, 11, 28}}},
    .attrs = compress_attrs,
    .in = compress_in,
    .out = compress_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = compress_infer,
    .ref = compress_ref,
    .cases = compress_cases,
};
