/* TensorScatter: y = x, then y[b, ..., (at[b] + j), ...] = update[b, ..., j, ...] along axis, for caches of keys and
 * values that keep their size. at is 0 where it is not given. mode linear: the update lies within the axis; circular:
 * places count modulo the axis' length. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status read_mode(const struct sumi_node *node, bool *circular, struct sumi_err *err) {
  const char *mode = sumi_attr_string(node, "mode", "linear");
  *circular = sumi_streq(mode, "circular");
  if (!*circular && !sumi_streq(mode, "linear")) SUMI_FAIL(err, SUMI_E_VALUE, "mode is '%s'", mode);
  return SUMI_OK;
}

static sumi_status read_axis(const struct sumi_node *node, int rank, int *axis, struct sumi_err *err) {
  SUMI_TRY(sumi_op_axis(node, -2, rank, axis, err));
  if (*axis == 0) SUMI_FAIL(err, SUMI_E_VALUE, "the axis is 0, the batch's, of rank %d", rank);
  return SUMI_OK;
}

static sumi_status scatter_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *update = &ctx->in[1];
  bool circular;
  int axis = 0;
  SUMI_TRY(read_mode(ctx->node, &circular, ctx->err));
  if (x->rank >= 0) {
    SUMI_TRY(read_axis(ctx->node, x->rank, &axis, ctx->err));
    SUMI_TRY(sumi_op_want_rank(ctx, 1, x->rank));
  }
  for (int i = 0; i < x->rank && update->rank >= 0; i++) {
    const sumi_dim have = x->dim[i], new = update->dim[i];
    if (have >= 0 && new >= 0 && (i == axis ? new > have : new != have))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 " in the cache, %" PRId64 " in the update",
                i, have, new);
  }
  if (sumi_infer_has(ctx, 2)) {
    SUMI_TRY(sumi_op_want_rank(ctx, 2, 1));
    if (x->rank > 0 && ctx->in[2].rank == 1 && x->dim[0] >= 0 && ctx->in[2].dim[0] >= 0 &&
        x->dim[0] != ctx->in[2].dim[0])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " write indices for a batch of %" PRId64,
                ctx->in[2].dim[0], x->dim[0]);
  }
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

/* The update's part [from, from + n) along the axis goes to y at `to`. */
struct part {
  int64_t from, to, n;
};

/* Where sample b's update goes: two parts, the second for what passes the end of a circular cache. */
static sumi_status find_parts(const struct sumi_call *c, int64_t b, int64_t length, int64_t n, bool circular,
                              struct part part[2]) {
  int64_t at = sumi_call_has(c, 2) ? ((const int64_t *)c->in[2]->data)[b] : 0;
  if (circular && length) {
    at %= length;
    at += at < 0 ? length : 0;
  } else if (at < 0 || at > length - n) {
    SUMI_FAIL(c->err, SUMI_E_VALUE,
              "write index %" PRId64 " is %" PRId64 ": an update of %" PRId64 " leaves a cache of %" PRId64,
              b, at, n, length);
  }
  const int64_t first = SUMI_MIN(n, length - at);
  part[0] = (struct part){0, at, first};
  part[1] = (struct part){first, 0, n - first};
  return SUMI_OK;
}

static sumi_status scatter_ref(const struct sumi_call *c) {
  const struct sumi_tensor *update = c->in[1], *y = c->out[0];
  bool circular;
  int axis = 0;
  SUMI_TRY(read_mode(c->node, &circular, c->err));
  SUMI_TRY(read_axis(c->node, y->rank, &axis, c->err));
  SUMI_TRY(sumi_ref_view(c));
  const int64_t length = y->dim[axis], n = update->dim[axis],
                inner = sumi_dims_count(y->dim, axis + 1, y->rank);
  const int64_t outer = sumi_dims_count(y->dim, 1, axis); /* of one sample */
  const int64_t to[] = {length * inner, 1}, from[] = {n * inner, 1};
  for (int64_t b = 0; b < y->dim[0]; b++) {
    struct part part[2];
    SUMI_TRY(find_parts(c, b, length, n, circular, part));
    for (int k = 0; k < 2; k++) {
      const int64_t dim[] = {outer, part[k].n * inner};
      sumi_move(y->dtype, 2, dim, y->data, (b * outer * length + part[k].to) * inner, to, update->data,
                (b * outer * n + part[k].from) * inner, from);
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {"mode", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"past_cache", SUMI_ANY, 'T'},
                                      {"update", SUMI_ANY, 'T'},
                                      {"write_indices", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"present_cache", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,5,4] x, float[2,3,2,4] u) => (y) <int64[2] i = {3, 0}> { y = TensorScatter (x, u, i) }"},
    {"g (int8[3,5,4] x, int8[3,3,4] u) => (y) <int64[3] i = {3, 7, -1}> "
     "{ y = TensorScatter <mode = \"circular\"> (x, u, i) }",
     .why = "wraps, also from below"},
    {"g (float16[2,3,5] x, float16[2,3,5] u) => (y) { y = TensorScatter <axis = 2> (x, u) }",
     .why = "no indices: all of it"},
    {"g (int4[2,3,5] x, int4[2,3,2] u) => (y) <int64[2] i = {2, 4}> "
     "{ y = TensorScatter <axis = 2, mode = \"circular\"> (x, u, i) }",
     .why = "two elements a byte, at odd places"},
    {"g (double[2,5] x, double[2,0] u) => (y) { y = TensorScatter <axis = 1> (x, u) }", .why = "no update"},
    {NULL},
};

const struct sumi_op sumi_op_tensor_scatter = {
    .name = "TensorScatter",
    .formula = "y = x, but update where written",
    .known_as = {{"", "TensorScatter", {24}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE | SUMI_OP_MOVES,
    .infer = scatter_infer,
    .ref = scatter_ref,
    .cases = cases,
};
