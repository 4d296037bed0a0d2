/* ExpandDims, Pad, Range, Unique (com.microsoft): what ONNX Runtime had before the standard did, as calls of what the standard
 * has since:
 *   ExpandDims  Unsqueeze at one axis
 *   Pad         Pad of version 11; pads may be [1, 2 rank]
 *   Range       Range; a delta that is not given is 1
 *   Unique      Unique in the order of first occurrence, without its second output
 * Source: ONNX Runtime, docs/ContribOperators.md. */
#include "base/size.h"
#include "op/move.h"
#include "op/ms_twin.h"

/* ---- ExpandDims -------------------------------------------------------------------------------------------------- */

static sumi_status expand_infer(struct sumi_infer *ctx) {
  const struct sumi_node node = sumi_twin_node(ctx->node, &sumi_op_unsqueeze, 13);
  struct sumi_infer twin = *ctx;
  twin.node = &node;
  SUMI_TRY(sumi_ms_want_rank(ctx, 1, 0, 1));
  if (ctx->in[1].rank == 1) SUMI_TRY(sumi_ms_want_dim(ctx, 1, 0, 1, "count of axes"));
  return sumi_op_unsqueeze.infer(&twin);
}

/* ---- Pad --------------------------------------------------------------------------------------------------------- */

/* A list that lies as [1, n]. */
static void flatten_list(struct sumi_tensor *t) {
  if (t->rank != 2) return;
  t->rank = 1;
  t->dim[0] = t->dim[1];
}

static sumi_status pad_infer(struct sumi_infer *ctx) {
  const struct sumi_node node = sumi_twin_node(ctx->node, &sumi_op_pad, 11);
  struct sumi_info in[3];
  struct sumi_tensor list;
  for (int i = 0; i < ctx->n_in; i++) in[i] = ctx->in[i];
  SUMI_TRY(sumi_ms_want_rank(ctx, 1, 1, 2));
  if (in[1].rank == 2) {
    SUMI_TRY(sumi_ms_want_dim(ctx, 1, 0, 1, "count of lists"));
    in[1].rank = 1;
    in[1].dim[0] = in[1].dim[1];
    if (in[1].data) {
      list = *in[1].data;
      flatten_list(&list);
      in[1].data = &list;
    }
  }
  struct sumi_infer twin = *ctx;
  twin.node = &node;
  twin.in = in;
  return sumi_op_pad.infer(&twin);
}

static sumi_status pad_ref(const struct sumi_call *c) {
  const struct sumi_node node = sumi_twin_node(c->node, &sumi_op_pad, 11);
  struct sumi_tensor list = *c->in[1];
  flatten_list(&list);
  const struct sumi_tensor *in[3] = {c->in[0], &list, sumi_call_has(c, 2) ? c->in[2] : NULL};
  struct sumi_call twin = *c;
  twin.node = &node;
  twin.in = in;
  return sumi_op_pad.ref(&twin);
}

/* ---- Range ------------------------------------------------------------------------------------------------------- */

/* The number 1 as a scalar of type d, in bytes[8]. */
static struct sumi_tensor one_of(sumi_dtype d, void *bytes) {
  sumi_set_f64(d, bytes, 0, 1);
  return (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = d, .data = bytes};
}

static sumi_status range_infer(struct sumi_infer *ctx) {
  struct sumi_node node = sumi_twin_node(ctx->node, &sumi_op_range, 11);
  int64_t bytes = 0;
  const struct sumi_tensor one = one_of(ctx->in[0].dtype, &bytes);
  struct sumi_info in[3] = {ctx->in[0], ctx->in[1]};
  in[2] = sumi_infer_has(ctx, 2) ? ctx->in[2]
                                 : (struct sumi_info){.kind = SUMI_TENSOR, .dtype = one.dtype, .data = &one};
  node.n_in = 3;
  struct sumi_infer twin = *ctx;
  twin.node = &node;
  twin.in = in;
  twin.n_in = 3;
  return sumi_op_range.infer(&twin);
}

static sumi_status range_ref(const struct sumi_call *c) {
  struct sumi_node node = sumi_twin_node(c->node, &sumi_op_range, 11);
  int64_t bytes = 0;
  const struct sumi_tensor one = one_of(c->in[0]->dtype, &bytes);
  const struct sumi_tensor *in[3] = {c->in[0], c->in[1], sumi_call_has(c, 2) ? c->in[2] : &one};
  struct sumi_call twin = *c;
  node.n_in = 3;
  twin.node = &node;
  twin.in = in;
  twin.n_in = 3;
  return sumi_op_range.ref(&twin);
}

/* ---- Unique ------------------------------------------------------------------------------------------------------ */

static sumi_status unique_infer(struct sumi_infer *ctx) {
  const sumi_dim unknown = SUMI_DIM_UNKNOWN, all = sumi_ms_dim(ctx, 0, 0);
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 1, 1));
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, 1, &unknown);
  sumi_infer_out(ctx, 1, SUMI_INT64, 1, &all);
  sumi_infer_out(ctx, 2, SUMI_INT64, 1, &unknown);
  return SUMI_OK;
}

static sumi_status unique_scratch(const struct sumi_call *c, size_t *bytes) {
  return sumi_op_unique.scratch(c, bytes);
}

static sumi_status unique_ref(const struct sumi_call *c) {
  struct sumi_attr unsorted[] = {{.name = "sorted", .type = SUMI_ATTR_INT, .n = 1, .u.i = 0}};
  struct sumi_node node = sumi_twin_node(c->node, &sumi_op_unique, 11);
  struct sumi_tensor *out[4] = {c->out[0], NULL, c->n_out > 1 ? c->out[1] : NULL,
                                c->n_out > 2 ? c->out[2] : NULL};
  struct sumi_call twin = *c;
  node.attr = unsorted;
  node.n_attr = 1;
  twin.node = &node;
  twin.out = out;
  twin.n_out = 4;
  return sumi_op_unique.ref(&twin);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

#define RANGE_TYPES (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT64) | SUMI_BIT(SUMI_INT16) | SUMI_INDICES)
#define UNIQUE_TYPES (SUMI_ANY & ~SUMI_COMPLEX)
static const struct sumi_attr_spec pad_attrs[] = {{"mode", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port expand_in[] = {{"X", SUMI_ANY, 'T'}, {"axis", SUMI_BIT(SUMI_INT32)}, {NULL}};
static const struct sumi_port expand_out[] = {{"Y", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port pad_in[] = {{"data", SUMI_FLOATS, 'T'},
                                          {"pads", SUMI_BIT(SUMI_INT64)},
                                          {"value", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                          {NULL}};
static const struct sumi_port pad_out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port range_in[] = {{"start", RANGE_TYPES, 'T'},
                                            {"limit", RANGE_TYPES, 'T'},
                                            {"delta", RANGE_TYPES, 'T', SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port range_out[] = {{"Y", RANGE_TYPES, 'T'}, {NULL}};
static const struct sumi_port unique_in[] = {{"x", UNIQUE_TYPES, 'T'}, {NULL}};
static const struct sumi_port unique_out[] = {{"y", UNIQUE_TYPES, 'T'},
                                              {"idx", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                              {"counts", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                              {NULL}};

static const struct sumi_case expand_cases[] = {
    {"g (float[2,3] x) => (y) <int32 a = {-1}> { y = com.microsoft.ExpandDims (x, a) }"},
    {"g (int8[2,3] x) => (y) <int32 a = {1}> { y = com.microsoft.ExpandDims (x, a) }"},
    {NULL},
};
static const struct sumi_case pad_cases[] = {
    {"g (float[2,3] x) => (y) <int64[1,4] p = {1, 0, 0, 2}, float v = {7}> { y = com.microsoft.Pad (x, p, v) "
     "}"},
    {"g (double[3,4] x) => (y) <int64[4] p = {0, 2, -1, 1}> { y = com.microsoft.Pad <mode = \"reflect\"> (x, "
     "p) }"},
    {NULL},
};
static const struct sumi_case range_cases[] = {
    {"g () => (y) <int32 a = {3}, int32[1] b = {8}> { y = com.microsoft.Range (a, b) }"},
    {"g () => (y) <float a = {3}, float b = {1}, float c = {-0.75}> { y = com.microsoft.Range (a, b, c) }"},
    {NULL},
};
static const struct sumi_case unique_cases[] = {
    {"g (float[31] x) => (y, i, n) { y, i, n = com.microsoft.Unique (x) }", .low = 0, .high = 2,
     .why = "in the order of first occurrence"},
    {NULL},
};

#define DESCRIPTOR(symbol, label, text, part, ...)                                         \
  const struct sumi_op sumi_op_ms_##symbol = {.name = "com.microsoft." label,              \
                                              .formula = text,                             \
                                              .known_as = {{"com.microsoft", label, {1}}}, \
                                              .in = part##_in,                             \
                                              .out = part##_out,                           \
                                              .infer = part##_infer,                       \
                                              .cases = part##_cases,                       \
                                              __VA_ARGS__};

DESCRIPTOR(expand_dims, "ExpandDims", "x with a dim of 1 added", expand, .ref = sumi_ref_view,
           .flags = SUMI_OP_VIEW)
DESCRIPTOR(pad, "Pad", "x with elements added around it", pad, .ref = pad_ref, .attrs = pad_attrs)
DESCRIPTOR(range, "Range", "start + i * delta", range, .ref = range_ref)
DESCRIPTOR(unique, "Unique", "the different elements", unique, .ref = unique_ref, .scratch = unique_scratch,
           .flags = SUMI_OP_DYNAMIC)
