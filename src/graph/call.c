/* Calls: what reference functions of dynamic operators need to make outputs. */
#include <string.h>

#include "base/size.h"
#include "graph/op.h"

static sumi_status alloc_tensor(const struct sumi_call *c, struct sumi_tensor *t, sumi_dtype dtype, int rank,
                                const int64_t *dim) {
  size_t bytes;
  SUMI_ASSERT(c->err, c->heap && rank >= 0 && rank <= SUMI_MAX_RANK);
  SUMI_TRY(sumi_shape_bytes(dtype, dim, rank, &bytes, c->err));
  void *data = sumi_arena_alloc(c->heap, bytes);
  if (!data) SUMI_FAIL_MEMORY(c->err);
  *t = (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = dtype, .rank = rank, .data = data};
  for (int i = 0; i < rank; i++) t->dim[i] = dim[i];
  return SUMI_OK;
}

sumi_status sumi_call_output(const struct sumi_call *c, int i, sumi_dtype dtype, int rank,
                             const int64_t *dim) {
  if (!sumi_call_wants(c, i)) return SUMI_OK;
  return alloc_tensor(c, c->out[i], dtype, rank, dim);
}

static sumi_status copy_tensor(const struct sumi_call *c, struct sumi_tensor *to,
                               const struct sumi_tensor *from) {
  const int64_t n = sumi_tensor_count(from);
  SUMI_TRY(alloc_tensor(c, to, from->dtype, from->rank, from->dim));
  sumi_copy(from->dtype, to->data, 0, from->data, 0, n);
  if (from->dtype != SUMI_STRING) return SUMI_OK;
  struct sumi_str *s = to->data;
  for (int64_t i = 0; i < n; i++) {
    s[i].data = sumi_arena_strndup(c->heap, s[i].data, s[i].size);
    if (!s[i].data) SUMI_FAIL_MEMORY(c->err);
  }
  return SUMI_OK;
}

/* As deep as kinds nest: a sequence of maps of tensors. */
static sumi_status copy_value(const struct sumi_call *c, struct sumi_tensor *to,
                              const struct sumi_tensor *from) {
  const bool items = sumi_kind_has_items(from->kind);
  if (from->absent || items)
    *to = (struct sumi_tensor){.dtype = from->dtype, .key = from->key};
  else
    SUMI_TRY(copy_tensor(c, to, from));
  to->kind = from->kind;
  to->absent = from->absent;
  if (from->absent || !items) return SUMI_OK;
  to->items = SUMI_NEW_ARRAY(c->heap, (size_t)from->n_items, struct sumi_tensor *);
  if (!to->items) SUMI_FAIL_MEMORY(c->err);
  for (int64_t k = 0; k < from->n_items; k++) {
    to->items[k] = SUMI_NEW(c->heap, struct sumi_tensor);
    if (!to->items[k]) SUMI_FAIL_MEMORY(c->err);
    SUMI_TRY(copy_value(c, to->items[k], from->items[k]));
  }
  to->n_items = from->n_items;
  return SUMI_OK;
}

sumi_status sumi_call_output_copy(const struct sumi_call *c, int i, const struct sumi_tensor *from) {
  return sumi_call_wants(c, i) ? copy_value(c, c->out[i], from) : SUMI_OK;
}

sumi_status sumi_call_ints_or_attr(const struct sumi_call *c, int input, const char *attr, int64_t *buf,
                                   const int64_t **values, int *n) {
  if (!sumi_call_has(c, input)) {
    *values = sumi_attr_ints(c->node, attr, n);
    return SUMI_OK;
  }
  const struct sumi_tensor *t = c->in[input];
  const int64_t count = sumi_tensor_count(t);
  if (count > INT32_MAX) SUMI_FAIL(c->err, SUMI_E_LIMIT, "input %d lists too many integers", input);
  *n = (int)count;
  *values = t->dtype == SUMI_INT64 && count ? t->data : buf;
  if (t->dtype == SUMI_INT64) return SUMI_OK;
  if (count > 4 * SUMI_MAX_RANK) SUMI_FAIL(c->err, SUMI_E_LIMIT, "input %d lists too many integers", input);
  for (int64_t i = 0; i < count; i++) buf[i] = sumi_get_i64(t->dtype, t->data, i);
  return SUMI_OK;
}

struct sumi_tensor sumi_info_tensor(const struct sumi_info *info) {
  struct sumi_tensor t = {.kind = info->kind,
                          .dtype = info->dtype,
                          .rank = info->rank,
                          .data = info->data ? info->data->data : NULL};
  for (int i = 0; i < info->rank; i++) t.dim[i] = info->dim[i];
  return t;
}

bool sumi_node_known(const struct sumi_node *node, const struct sumi_info *info) {
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && !info[node->out[i]->id].data) return false;
  return true;
}

sumi_status sumi_call_scratch(const struct sumi_call *call, size_t *bytes) {
  const struct sumi_op *op = call->node->op;
  *bytes = 0;
  if (!op->scratch) return SUMI_OK;
  SUMI_TRY(op->scratch(call, bytes));
  if (!*bytes) *bytes = 1;
  return SUMI_OK;
}
