/* Gather: y[o, j..., i] = x[o, index[j...], i] along axis.
 * GatherElements: y[j...] = x[j... with index[j...] at axis].
 * GatherND: y[b..., j..., i...] = x[b..., index[b..., j..., :], i...]: the index's last dim picks from the
 * dims behind the batch dims. Negative indices count from the back; each is checked. */
#include <inttypes.h>

#include "op/by_item.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/index_lower.h"
#include "op/move_cells.h"
#include "op/op_util.h"

static sumi_status gather_contents(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1];
  if (x->rank != 1 || !x->content || !index->data || index->rank > 1) return SUMI_OK;
  const int64_t n = sumi_tensor_count(index->data);
  sumi_dim content[SUMI_MAX_RANK];
  if (n > SUMI_MAX_RANK) return SUMI_OK;
  for (int64_t i = 0; i < n; i++) {
    int64_t at;
    /* an index that is outside fails when it is run: it may stand in a branch that never is */
    if (sumi_index(sumi_get_i64(index->data->dtype, index->data->data, i), x->n_content, &at, NULL) !=
        SUMI_OK)
      return SUMI_OK;
    content[i] = x->content[at];
  }
  return sumi_infer_content(ctx, 0, content, (int)n);
}

static sumi_status gather_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1];
  int axis = 0;
  if (x->rank >= 0) SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), x->rank, &axis, ctx->err));
  if (x->rank < 0 || index->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  const int rank = x->rank + index->rank - 1;
  if (rank > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output's rank is %d; at most %d is supported", rank,
              SUMI_MAX_RANK);
  sumi_dim dim[SUMI_MAX_RANK];
  int n = 0;
  for (int i = 0; i < axis; i++) dim[n++] = x->dim[i];
  for (int i = 0; i < index->rank; i++) dim[n++] = index->dim[i];
  for (int i = axis + 1; i < x->rank; i++) dim[n++] = x->dim[i];
  sumi_infer_out(ctx, 0, x->dtype, rank, dim);
  return gather_contents(ctx);
}

static sumi_status gather_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *index = c->in[1], *y = c->out[0];
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), x->rank, &axis, c->err));
  /* x is [outer, dim, inner], y is [outer, n, inner] */
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  const int64_t dim = x->dim[axis], n = sumi_tensor_count(index);
  const int64_t box[2] = {outer, inner}, from[2] = {dim * inner, 1}, to[2] = {n * inner, 1};
  for (int64_t j = 0; j < n; j++) {
    int64_t at;
    SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, j), dim, &at, c->err));
    if (outer == 1)
      sumi_copy(x->dtype, y->data, j * inner, x->data, at * inner, inner);
    else
      sumi_move(x->dtype, 2, box, y->data, j * inner, to, x->data, at * inner, from);
  }
  return SUMI_OK;
}

/* Constant indices: a copy for each stretch of them that are equally far apart, in the form in which x lies. */
static sumi_status gather_constant(struct sumi_cells *c, int axis) {
  enum { MOST = 64 };
  const struct sumi_tensor *x = c->in[0], *index = c->in[1];
  const int64_t n = sumi_tensor_count(index);
  if (index->rank == 1) SUMI_TRY(sumi_cells_follow(c, 0));
  const struct sumi_cell_operand *from = &c->operand[0], *to = &c->operand[sumi_cells_out(c, 0)];
  int64_t dim[SUMI_MAX_RANK], steps[SUMI_MAX_RANK], out[SUMI_MAX_RANK];
  for (int i = 0; i < x->rank; i++) {
    const int k = i < axis ? i : i + index->rank - 1; /* of y; for the axis the index's last */
    dim[i] = x->dim[i], steps[i] = from->step[i], out[i] = i == axis && !index->rank ? 0 : to->step[k];
  }
  if (index->rank && index->dim[index->rank - 1] == 1) /* its step says nothing */
    out[axis] = sumi_dims_count(to->dim, axis + index->rank, to->rank);
  int cells = 0;
  for (int64_t j = 0; j < n; cells++) {
    int64_t first, next = 0, k = j + 1;
    SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, j), x->dim[axis], &first, c->err));
    if (k < n) SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, k), x->dim[axis], &next, c->err));
    const int64_t step = k < n ? next - first : 0;
    for (int64_t at; k < n; k++) {
      SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, k), x->dim[axis], &at, c->err));
      if (at != first + (k - j) * step) break;
    }
    if (cells == MOST) return sumi_cells_refuse(c, "more than %d copies", MOST);
    dim[axis] = k - j;
    steps[axis] = step * from->step[axis];
    const struct sumi_box box = sumi_box_make(x->rank, dim, out, steps);
    SUMI_TRY(sumi_box_cell(c, &box, sumi_cells_out(c, 0), j * out[axis], 0, first * from->step[axis], 0));
    j = k;
  }
  return SUMI_OK;
}

static sumi_status gather_cells(struct sumi_cells *c) {
  const struct sumi_tensor *x = c->in[0], *index = c->in[1];
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), x->rank, &axis, c->err));
  if (!sumi_tensor_count(c->out[0])) return sumi_cells_refuse(c, "an empty tensor");
  if (index->data) return gather_constant(c, axis);
  if (!x->data || sumi_dims_count(x->dim, 0, axis) != 1)
    return sumi_cells_refuse(c,
                             "rows of what is computed, or not of the first dimension, by computed indices");
  const int table = sumi_cells_row_major(c, 0), ids = sumi_cells_row_major(c, 1);
  if (table < 0 || ids < 0) return SUMI_E_MEMORY;
  return sumi_cells_lookup(c,
                           &(const struct sumi_cell_lookup){.table = table,
                                                            .ids = ids,
                                                            .out = sumi_cells_out(c, 0),
                                                            .rows = x->dim[axis],
                                                            .row = sumi_dims_count(x->dim, axis + 1, x->rank),
                                                            .n = sumi_tensor_count(index)});
}

/* ---- GatherElements ------------------------------------------------------------------------------------ */

static sumi_status gather_elements_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1];
  int axis = 0;
  if (x->rank >= 0 && index->rank >= 0) {
    SUMI_TRY(sumi_op_want_rank(ctx, 1, x->rank));
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), x->rank, &axis, ctx->err));
    for (int i = 0; i < x->rank; i++)
      if (i != axis && x->dim[i] >= 0 && index->dim[i] > x->dim[i])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 " in indices and %" PRId64 " in data", i,
                  index->dim[i], x->dim[i]);
  }
  sumi_infer_out_like(ctx, 0, index, x->dtype);
  return SUMI_OK;
}

static sumi_status gather_elements_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *index = c->in[1], *y = c->out[0];
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), x->rank, &axis, c->err));
  int64_t stride[SUMI_MAX_RANK], others[SUMI_MAX_RANK];
  sumi_strides(x->dim, x->rank, stride);
  for (int i = 0; i < x->rank; i++) others[i] = i == axis ? 0 : stride[i];
  int64_t j = 0;
  for (struct sumi_walk w = sumi_walk_start(index->rank, index->dim, others, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), j++) {
    int64_t at;
    SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, j), x->dim[axis], &at, c->err));
    sumi_copy(x->dtype, y->data, j, x->data, w.offset[0] + at * stride[axis], 1);
  }
  return SUMI_OK;
}

/* ---- GatherND ------------------------------------------------------------------------------------------ */

static sumi_status gather_nd_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1];
  const int64_t batch = sumi_attr_int(ctx->node, "batch_dims", 0);
  if (x->rank < 0 || index->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (x->rank < 1 || index->rank < 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "data has rank %d, indices %d: at least 1 is wanted", x->rank,
              index->rank);
  if (batch < 0 || batch >= x->rank || batch >= index->rank)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "batch_dims is %" PRId64 " for ranks %d and %d", batch, x->rank,
              index->rank);
  for (int i = 0; i < batch; i++)
    if (x->dim[i] >= 0 && index->dim[i] >= 0 && x->dim[i] != index->dim[i])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "batch dimension %d is %" PRId64 " and %" PRId64, i, x->dim[i],
                index->dim[i]);
  const sumi_dim depth = index->dim[index->rank - 1];
  if (depth < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (depth > x->rank - batch)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
              "an index has %" PRId64 " entries, data has rank %d behind %" PRId64 " batch dimensions", depth,
              x->rank, batch);
  const int first = (int)(batch + depth), rank = index->rank - 1 + x->rank - first;
  if (rank > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output's rank is %d; at most %d is supported", rank,
              SUMI_MAX_RANK);
  sumi_dim dim[SUMI_MAX_RANK];
  int n = 0;
  for (int i = 0; i < index->rank - 1; i++) dim[n++] = index->dim[i];
  for (int i = first; i < x->rank; i++) dim[n++] = x->dim[i];
  sumi_infer_out(ctx, 0, x->dtype, rank, dim);
  return SUMI_OK;
}

static sumi_status gather_nd_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *index = c->in[1], *y = c->out[0];
  const int batch = (int)sumi_attr_int(c->node, "batch_dims", 0), depth = (int)index->dim[index->rank - 1];
  int64_t stride[SUMI_MAX_RANK];
  sumi_strides(x->dim, x->rank, stride);
  const int64_t block = sumi_dims_count(x->dim, batch + depth, x->rank);
  const int64_t batches = sumi_dims_count(index->dim, 0, batch),
                each = sumi_dims_count(index->dim, batch, index->rank - 1);
  const int64_t per_batch = sumi_dims_count(x->dim, batch, x->rank);
  for (int64_t b = 0; b < batches; b++)
    for (int64_t j = b * each; j < (b + 1) * each; j++) {
      int64_t from = b * per_batch;
      for (int k = 0; k < depth; k++) {
        int64_t at;
        SUMI_TRY(sumi_index(sumi_get_i64(index->dtype, index->data, j * depth + k), x->dim[batch + k], &at,
                            c->err));
        from += at * stride[batch + k];
      }
      sumi_copy(x->dtype, y->data, j * block, x->data, from, block);
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec axis_attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec nd_attrs[] = {{"batch_dims", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"data", SUMI_ANY, 'T'}, {"indices", SUMI_INDICES}, {NULL}};
static const struct sumi_port nd_in[] = {
    {"data", SUMI_ANY, 'T'}, {"indices", SUMI_INDICES} /* int32: com.microsoft */, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case gather_cases[] = {
    {"g (float[5,6] x) => (y) <int64[2,2] i = {0, 4, -1, 2}> { y = Gather (x, i) }"},
    {"g (float[3,5,6] x) => (y) <int32[] i = {-2}> { y = Gather <axis = 1> (x, i) }",
     .why = "a scalar drops the axis"},
    {"g (float[3,5] x) => (y) <int64[3] i = {4, 4, 0}> { y = Gather <axis = -1> (x, i) }"},
    {"g (uint8[9,3] x) => (y) <int64[0] i = {}> { y = Gather (x, i) }", .why = "nothing gathered"},
    {"g (float[300,5] x, int64[7,90] i) => (y) { y = Gather (x, i) }", .why = "more indices than one chunk"},
    {"g (int64[3,8,1] x, int32[300] i) => (y) { y = Gather <axis = 1> (x, i) }", .why = "single elements"},
    {"g (float16[2,8,3] x, int64[2] i) => (y) { y = Gather <axis = 1> (x, i) }"},
    {"g (float[700,8] x, int64[1,1] i) => (y) { y = Gather <axis = 1> (x, i) }", .why = "a column"},
    {"g (int16[200,9,2] x, int32[5] i) => (y) { y = Gather <axis = 1> (x, i) }",
     .why = "chunks of whole rows"},
    {NULL},
};
static const struct sumi_case elements_cases[] = {
    {"g (float[3,4] x) => (y) <int64[2,4] i = {0, 1, 2, -1, 2, 2, 0, -3}> { y = GatherElements (x, i) }"},
    {"g (int64[2,4] x) => (y) <int32[2,2] i = {3, 0, -4, 1}> { y = GatherElements <axis = 1> (x, i) }"},
    {"g (float[2,8,3,5] x, int64[2,300,3,5] i) => (y) { y = GatherElements <axis = 1> (x, i) }",
     .why = "more than a chunk"},
    {"g (float[3,8,7] x, int32[2,9,4] i) => (y) { y = GatherElements <axis = 1> (x, i) }",
     .why = "the index is smaller in every other dim"},
    {"g (uint8[8,2,3] x, int64[8,1,2] i) => (y) { y = GatherElements <axis = 0> (x, i) }"},
    {"g (float16[3,8] x, int64[3,0] i) => (y) { y = GatherElements <axis = 1> (x, i) }",
     .why = "nothing gathered"},
    {NULL},
};
static const struct sumi_case nd_cases[] = {
    {"g (float[2,3,4] x) => (y) <int64[2,2] i = {0, 1, 1, -1}> { y = GatherND (x, i) }"},
    {"g (float[2,3,4] x) => (y) <int64[2,1] i = {2, 0}> { y = GatherND <batch_dims = 1> (x, i) }"},
    {"g (uint8[3,8,9,2] x, int64[3,150,2] i) => (y) { y = GatherND <batch_dims = 1> (x, i) }",
     .why = "every batch has more indices than half a chunk"},
    {NULL},
};

/* Rows of x at other axes than 0, or of items' own indices. */
static bool gather_by_item(const struct sumi_call *c, const bool *carries) {
  const int64_t axis = sumi_attr_int(c->node, "axis", 0);
  const bool first = axis == 0 || axis == -c->in[0]->rank;
  return sumi_by_item_only(c, carries, first ? 1 << 1 : 1 << 0) && (!first || c->in[1]->rank > 0);
}

const struct sumi_op sumi_op_gather = {
    .name = "Gather",
    .formula = "x[index] along axis",
    .known_as = {{"", "Gather", {1, 11, 13}}},
    .attrs = axis_attrs,
    .in = in,
    .out = out,
    .infer = gather_infer,
    .by_item = gather_by_item,
    .ref = gather_ref,
    .grad = sumi_gather_grad,
    .lower = sumi_gather_lower,
    .cells = gather_cells,
    .cases = gather_cases,
};

const struct sumi_op sumi_op_gather_elements = {
    .name = "GatherElements",
    .formula = "y[j] = x[j with index[j] at axis]",
    .known_as = {{"", "GatherElements", {11, 13}}},
    .attrs = axis_attrs,
    .in = in,
    .out = out,
    .infer = gather_elements_infer,
    .ref = gather_elements_ref,
    .lower = sumi_gather_elements_lower,
    .cases = elements_cases,
};

const struct sumi_op sumi_op_gather_nd = {
    .name = "GatherND",
    .formula = "y[j, i] = x[index[j, :], i]",
    .known_as = {{"", "GatherND", {11, 12, 13}}, {"com.microsoft", "GatherND", {1}}},
    .attrs = nd_attrs,
    .in = nd_in,
    .out = out,
    .infer = gather_nd_infer,
    .ref = gather_nd_ref,
    .lower = sumi_gather_nd_lower,
    .cases = nd_cases,
};
