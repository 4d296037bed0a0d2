/* Shape: the input's dims [start, end) as int64; start and end count from the back where negative, and are
 * clamped. Size: the number of elements. Neither looks at data. */
#include <inttypes.h>

#include "base/size.h"
#include "op/op_util.h"

/* The range of dims that is wanted, for rank r. */
static void range(const struct sumi_node *node, int r, int *start, int *end) {
  int64_t s = sumi_attr_int(node, "start", 0), e = sumi_attr_int(node, "end", r);
  if (s < 0) s += r;
  if (e < 0) e += r;
  *start = (int)SUMI_MAX(0, SUMI_MIN(s, r));
  *end = (int)SUMI_MAX(*start, SUMI_MIN(e, r));
}

static sumi_status shape_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  sumi_dim n = SUMI_DIM_UNKNOWN;
  int start = 0, end = 0;
  if (in->rank >= 0) {
    range(ctx->node, in->rank, &start, &end);
    n = end - start;
  }
  sumi_infer_out(ctx, 0, SUMI_INT64, 1, &n);
  return in->rank < 0 ? SUMI_OK : sumi_infer_content(ctx, 0, in->dim + start, end - start);
}

static sumi_status shape_ref(const struct sumi_call *c) {
  int start, end;
  range(c->node, c->in[0]->rank, &start, &end);
  int64_t *y = c->out[0]->data;
  for (int i = start; i < end; i++) y[i - start] = c->in[0]->dim[i];
  return SUMI_OK;
}

static sumi_status size_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  sumi_infer_out(ctx, 0, SUMI_INT64, 0, NULL);
  if (in->rank < 0) return SUMI_OK;
  sumi_dim n = 1;
  for (int i = 0; i < in->rank; i++) n = sumi_dim_mul(ctx->symbols, n, in->dim[i]);
  return sumi_infer_content(ctx, 0, &n, 1);
}

static sumi_status size_ref(const struct sumi_call *c) {
  *(int64_t *)c->out[0]->data = sumi_tensor_count(c->in[0]);
  return SUMI_OK;
}

static const struct sumi_attr_spec shape_attrs[] = {{"start", SUMI_ATTR_INT}, {"end", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"data", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"shape", SUMI_BIT(SUMI_INT64)}, {NULL}};

static const struct sumi_case shape_cases[] = {
    {"g (float[2,5,7] x) => (y) { y = Shape (x) }"},
    {"g (float[2,5,7] x) => (y) { y = Shape <start = -2, end = 9> (x) }"},
    {"g (float[2,5,7] x) => (y) { y = Shape <start = 2, end = 1> (x) }", .why = "an empty range"},
    {NULL},
};
static const struct sumi_case size_cases[] = {
    {"g (float[2,5,7] x) => (y) { y = Size (x) }"},
    {"g (float[2,0] x) => (y) { y = Size (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_shape = {
    .name = "Shape",
    .formula = "dims of x",
    .known_as = {{"", "Shape", {1, 13, 15, 19, 21, 23, 24, 25}}},
    .attrs = shape_attrs,
    .in = in,
    .out = out,
    .infer = shape_infer,
    .ref = shape_ref,
    .cases = shape_cases,
};

const struct sumi_op sumi_op_size = {
    .name = "Size",
    .formula = "number of elements of x",
    .known_as = {{"", "Size", {1, 13, 19, 21, 23, 24, 25}}},
    .in = in,
    .out = out,
    .infer = size_infer,
    .ref = size_ref,
    .cases = size_cases,
};
