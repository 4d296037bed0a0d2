/* Type and shape inference: checks common to all operators, helpers for their infer functions, and the walk over a
 * graph that folds what is known. Knows no operator. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "graph/op.h"

static const struct sumi_info unknown_info = {.rank = -1};

void sumi_infer_out(struct sumi_infer *ctx, int i, sumi_dtype dtype, int rank, const sumi_dim *dim) {
  if (i >= ctx->n_out || ctx->out[i].absent) return;
  struct sumi_info *o = &ctx->out[i];
  *o = (struct sumi_info){.kind = SUMI_TENSOR, .dtype = dtype, .rank = rank <= SUMI_MAX_RANK ? rank : -1};
  for (int k = 0; k < o->rank; k++) o->dim[k] = dim[k];
}

void sumi_infer_out_unknown(struct sumi_infer *ctx, int i, sumi_dtype dtype) {
  sumi_infer_out(ctx, i, dtype, -1, NULL);
}

void sumi_infer_out_like(struct sumi_infer *ctx, int i, const struct sumi_info *in, sumi_dtype dtype) {
  if (i >= ctx->n_out || ctx->out[i].absent) return;
  ctx->out[i] = *in;
  ctx->out[i].data = NULL;
  ctx->out[i].content = NULL;
  ctx->out[i].n_content = 0;
  ctx->out[i].absent = false;
  if (dtype != SUMI_UNDEFINED) ctx->out[i].dtype = dtype;
}

sumi_status sumi_infer_broadcast(struct sumi_infer *ctx, int i, int first, int last, sumi_dtype dtype) {
  sumi_dim dim[SUMI_MAX_RANK];
  int rank = 0;
  for (int k = first; k < last; k++) {
    if (ctx->in[k].rank < 0) {
      sumi_infer_out_unknown(ctx, i, dtype);
      return SUMI_OK;
    }
    rank = SUMI_MAX(rank, ctx->in[k].rank);
  }
  for (int d = 0; d < rank; d++) {
    sumi_dim result = 1;
    for (int k = first; k < last; k++) {
      const struct sumi_info *in = &ctx->in[k];
      const int at = d - (rank - in->rank);
      const sumi_dim x = at < 0 ? 1 : in->dim[at];
      if (x == 1 || x == result) continue;
      if (result == 1) {
        result = x;
      } else if (x >= 0 && result >= 0) {
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
                  "dimension %d of input %d is %" PRId64 ", which does not broadcast with %" PRId64, at, k, x,
                  result);
      } else if (x > 1) {
        result = x; /* the number must be right: the symbol is it or 1 */
      } else if (result < 0) {
        result = SUMI_DIM_UNKNOWN;
      }
    }
    dim[d] = result;
  }
  sumi_infer_out(ctx, i, dtype, rank, dim);
  return SUMI_OK;
}

sumi_status sumi_infer_ints(struct sumi_infer *ctx, int input, const int64_t **values, int *n) {
  *values = NULL;
  *n = -1;
  if (!sumi_infer_has(ctx, input)) {
    *n = 0;
    return SUMI_OK;
  }
  const struct sumi_info *in = &ctx->in[input];
  if (in->data) {
    const int64_t count = sumi_tensor_count(in->data);
    if (in->rank > 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d where a list is wanted", input, in->rank);
    if (count > 1 << 20)
      SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "input %d lists %" PRId64 " integers", input, count);
    if (in->data->dtype == SUMI_INT64) {
      *values = in->data->data;
    } else {
      int64_t *wide = SUMI_NEW_ARRAY(ctx->arena, (size_t)count, int64_t);
      if (!wide) SUMI_FAIL_MEMORY(ctx->err);
      for (int64_t i = 0; i < count; i++) wide[i] = sumi_get_i64(in->data->dtype, in->data->data, i);
      *values = wide;
    }
    static const int64_t none;
    if (!*values || !count) *values = &none;
    *n = (int)count;
  } else if (in->content) {
    *values = in->content;
    *n = in->n_content;
  }
  return SUMI_OK;
}

sumi_status sumi_infer_ints_or_attr(struct sumi_infer *ctx, int input, const char *attr,
                                    const int64_t **values, int *n) {
  if (sumi_infer_has(ctx, input)) return sumi_infer_ints(ctx, input, values, n);
  *values = sumi_attr_ints(ctx->node, attr, n);
  return SUMI_OK;
}

sumi_status sumi_infer_content(struct sumi_infer *ctx, int i, const sumi_dim *content, int n) {
  if (i >= ctx->n_out || ctx->out[i].absent || n > SUMI_MAX_RANK) return SUMI_OK;
  sumi_dim *copy = SUMI_NEW_ARRAY(ctx->arena, (size_t)n, sumi_dim);
  if (!copy) SUMI_FAIL_MEMORY(ctx->err);
  if (n) memcpy(copy, content, (size_t)n * sizeof *copy);
  ctx->out[i].content = copy;
  ctx->out[i].n_content = n;
  return SUMI_OK;
}

sumi_status sumi_infer_body(struct sumi_infer *ctx, const struct sumi_graph *body, const struct sumi_info *in,
                            struct sumi_info *out) {
  struct sumi_info *info = SUMI_NEW_ARRAY(ctx->arena, body->n_value, struct sumi_info);
  if (!info) SUMI_FAIL_MEMORY(ctx->err);
  const struct sumi_infer_job job = {
      .graph = body, .in = in, .symbols = ctx->symbols, .arena = ctx->arena, .info = info};
  SUMI_TRY(sumi_graph_infer(&job, ctx->err));
  for (size_t i = 0; i < body->n_output; i++) out[i] = info[body->output[i]->id];
  return SUMI_OK;
}

/* ---- checks common to all operators --------------------------------------------------------------------------- */

sumi_status sumi_node_fail(const struct sumi_node *node, struct sumi_err *err, sumi_status status) {
  return sumi_err_prefix(err, status, "node '%s' (%s)", node->name, node->op_name);
}

static sumi_status check_kind(const struct sumi_infer *ctx, int i, const struct sumi_port *port) {
  const sumi_kind kind = ctx->in[i].kind;
  const sumi_kind want = port->flags & SUMI_PORT_SEQUENCE ? SUMI_SEQUENCE
                         : port->flags & SUMI_PORT_MAP    ? SUMI_MAP
                                                          : SUMI_TENSOR;
  if ((port->flags & SUMI_PORT_ANY_KIND) || kind == want) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_TYPE, "input %d ('%s') is not a %s", i, port->name,
            want == SUMI_SEQUENCE ? "sequence of tensors"
            : want == SUMI_MAP    ? "map"
                                  : "tensor");
}

static sumi_status check_inputs(const struct sumi_infer *ctx) {
  const struct sumi_op *op = ctx->node->op;
  sumi_dtype var[128] = {0};
  const struct sumi_port *port = op->in;
  const int n_in = ctx->n_in - ctx->node->n_captured; /* captures have no ports */
  for (int i = 0; i < n_in; i++) {
    const struct sumi_info *in = &ctx->in[i];
    if (!port || !port->name) break;
    const struct sumi_port *p = port;
    if (!(p->flags & SUMI_PORT_VARIADIC)) port++;
    if (in->absent) {
      if (p->flags & (SUMI_PORT_OPTIONAL | SUMI_PORT_VARIADIC)) continue;
      SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d ('%s') is missing", i, p->name);
    }
    SUMI_TRY(check_kind(ctx, i, p));
    if (in->dtype == SUMI_UNDEFINED) continue;
    if (!sumi_dtype_in(in->dtype, p->dtypes))
      SUMI_FAIL(ctx->err, SUMI_E_TYPE, "input %d ('%s') is %s, which the operator does not take", i, p->name,
                sumi_dtype_label(in->dtype));
    if (!p->var || (p->flags & SUMI_PORT_MIXED)) continue;
    sumi_dtype *v = &var[(unsigned char)p->var & 127];
    if (*v && *v != in->dtype)
      SUMI_FAIL(ctx->err, SUMI_E_TYPE, "input %d ('%s') is %s, not %s as an input before it", i, p->name,
                sumi_dtype_label(in->dtype), sumi_dtype_label(*v));
    *v = in->dtype;
  }
  for (int i = n_in; port && port->name; port++, i++)
    if (!(port->flags & (SUMI_PORT_VARIADIC | SUMI_PORT_OPTIONAL)))
      SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d ('%s') is missing", i, port->name);
  return SUMI_OK;
}

sumi_status sumi_infer_node(struct sumi_infer *ctx) {
  sumi_status status = check_inputs(ctx);
  if (status == SUMI_OK) {
    for (int i = 0; i < ctx->n_out; i++)
      if (!ctx->out[i].absent) ctx->out[i] = unknown_info;
    status = ctx->node->op->infer(ctx);
  }
  return status == SUMI_OK ? SUMI_OK : sumi_node_fail(ctx->node, ctx->err, status);
}

/* ---- the walk ------------------------------------------------------------------------------------------------- */

static bool all_numbers(const struct sumi_info *info) {
  if (info->kind != SUMI_TENSOR || info->rank < 0 || info->dtype == SUMI_UNDEFINED) return false;
  for (int i = 0; i < info->rank; i++)
    if (info->dim[i] < 0) return false;
  return true;
}

/* A tensor over the folded bytes of a value whose shape is known. */
static struct sumi_tensor *new_tensor(struct sumi_arena *arena, const struct sumi_info *info, size_t bytes) {
  struct sumi_tensor *t = SUMI_NEW(arena, struct sumi_tensor);
  void *data = sumi_arena_alloc(arena, bytes);
  if (!t || !data) return NULL;
  *t = (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = info->dtype, .rank = info->rank, .data = data};
  for (int i = 0; i < info->rank; i++) t->dim[i] = info->dim[i];
  return t;
}

/* Contents that are all numbers become data. */
static sumi_status content_to_data(const struct sumi_infer_job *job, struct sumi_info *info,
                                   struct sumi_err *err) {
  if (info->data || !info->content || !all_numbers(info) || info->rank > 1) return SUMI_OK;
  if ((info->rank ? info->dim[0] : 1) != info->n_content) return SUMI_OK;
  for (int i = 0; i < info->n_content; i++)
    if (info->content[i] < 0) return SUMI_OK;
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(info->dtype, info->dim, info->rank, &bytes, err));
  struct sumi_tensor *t = new_tensor(job->arena, info, bytes);
  if (!t) SUMI_FAIL_MEMORY(err);
  for (int i = 0; i < info->n_content; i++) sumi_set_i64(t->dtype, t->data, i, info->content[i]);
  info->data = t;
  return SUMI_OK;
}

/* Whether the outputs are small enough to be computed now; bytes[] receives their sizes. *spent: of fold_total_bytes. */
static bool small_enough(const struct sumi_infer_job *job, const struct sumi_infer *ctx, size_t *bytes,
                         size_t *spent) {
  size_t total = 0, from = 0;
  for (int i = 0; i < ctx->n_in; i++) {
    size_t b = 0;
    if (!ctx->in[i].absent &&
        sumi_shape_bytes(ctx->in[i].dtype, ctx->in[i].dim, ctx->in[i].rank, &b, NULL) == SUMI_OK)
      from += b;
  }
  for (int i = 0; i < ctx->n_out; i++) {
    bytes[i] = 0;
    if (ctx->out[i].absent) continue;
    if (!all_numbers(&ctx->out[i]) ||
        sumi_shape_bytes(ctx->out[i].dtype, ctx->out[i].dim, ctx->out[i].rank, &bytes[i], NULL) != SUMI_OK ||
        !sumi_size_add(total, bytes[i], &total))
      return false;
  }
  if (total <= job->fold_bytes || (job->fold_ratio && total / job->fold_ratio <= from)) return true;
  if (total > job->fold_more_bytes || total > job->fold_total_bytes - *spent) return false;
  *spent += total;
  return true;
}

enum { MAX_FOLD = 64 }; /* inputs or outputs of a node that is folded */

static sumi_status fold(const struct sumi_infer_job *job, struct sumi_infer *ctx, size_t *spent) {
  const struct sumi_op *op = ctx->node->op;
  if (!job->fold_bytes || ctx->n_in > MAX_FOLD || ctx->n_out > MAX_FOLD) return SUMI_OK;
  if (op->flags & (SUMI_OP_RANDOM | SUMI_OP_CONTROL | SUMI_OP_DYNAMIC)) return SUMI_OK;
  if (job->keep && job->keep(ctx->node)) return SUMI_OK;
  bool done = true;
  for (int i = 0; i < ctx->n_out; i++) done &= ctx->out[i].absent || ctx->out[i].data;
  if (done) return SUMI_OK;
  const struct sumi_tensor *in[MAX_FOLD];
  struct sumi_tensor *out[MAX_FOLD];
  size_t bytes[MAX_FOLD];
  for (int i = 0; i < ctx->n_in; i++) {
    in[i] = ctx->in[i].absent ? NULL : ctx->in[i].data;
    if (!ctx->in[i].absent && !in[i]) return SUMI_OK;
  }
  if (!small_enough(job, ctx, bytes, spent)) return SUMI_OK;
  for (int i = 0; i < ctx->n_out; i++) {
    out[i] = ctx->out[i].absent ? NULL : new_tensor(job->arena, &ctx->out[i], bytes[i]);
    if (!ctx->out[i].absent && !out[i]) SUMI_FAIL_MEMORY(ctx->err);
  }
  struct sumi_err why =
      SUMI_ERR_INIT; /* what cannot be computed now fails again, with its reason, when it is run */
  struct sumi_call call = {.node = ctx->node,
                           .n_in = ctx->n_in,
                           .n_out = ctx->n_out,
                           .in = in,
                           .out = out,
                           .heap = job->arena,
                           .err = &why};
  size_t scratch;
  if (sumi_call_scratch(&call, &scratch) != SUMI_OK) return SUMI_OK;
  if (scratch) {
    call.scratch = sumi_alloc(job->arena->allocator, scratch);
    if (!call.scratch) SUMI_FAIL_MEMORY(ctx->err);
  }
  if (job->before) job->before(job->user, ctx->node);
  const sumi_status status = op->ref(&call);
  sumi_free(job->arena->allocator, call.scratch, scratch);
  if (status == SUMI_E_MEMORY) SUMI_FAIL_MEMORY(ctx->err);
  if (status != SUMI_OK) return SUMI_OK;
  for (int i = 0; i < ctx->n_out; i++)
    if (out[i]) ctx->out[i].data = out[i];
  return SUMI_OK;
}

static sumi_status infer_one(const struct sumi_infer_job *job, const struct sumi_node *node,
                             struct sumi_info *scratch, size_t *spent, struct sumi_err *err) {
  struct sumi_infer ctx = {.node = node,
                           .symbols = job->symbols,
                           .arena = job->arena,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .err = err};
  struct sumi_info *in = scratch, *out = scratch + node->n_in;
  for (int i = 0; i < node->n_in; i++) {
    if (node->in[i])
      in[i] = job->info[node->in[i]->id];
    else
      in[i] = (struct sumi_info){.rank = -1, .absent = true};
  }
  for (int i = 0; i < node->n_out; i++) out[i] = (struct sumi_info){.rank = -1, .absent = !node->out[i]};
  ctx.in = in;
  ctx.out = out;
  sumi_status status = sumi_infer_node(&ctx);
  for (int i = 0; status == SUMI_OK && i < node->n_out; i++)
    if (!out[i].absent) status = content_to_data(job, &out[i], err);
  if (status == SUMI_OK) status = fold(job, &ctx, spent);
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i]) job->info[node->out[i]->id] = status == SUMI_OK ? out[i] : unknown_info;
  return status;
}

struct sumi_info sumi_info_of_constant(const struct sumi_tensor *t) {
  struct sumi_info info = {.kind = t->kind, .dtype = t->dtype, .rank = t->rank, .data = t};
  for (int i = 0; i < t->rank; i++) info.dim[i] = t->dim[i];
  return info;
}

sumi_status sumi_graph_infer(const struct sumi_infer_job *job, struct sumi_err *err) {
  const struct sumi_graph *g = job->graph;
  size_t most = 1, spent = 0;
  for (size_t i = 0; i < g->n_node; i++)
    most = SUMI_MAX(most, (size_t)g->node[i]->n_in + (size_t)g->node[i]->n_out);
  struct sumi_info *scratch = SUMI_NEW_ARRAY(job->arena, most, struct sumi_info);
  if (!scratch) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    if (v->constant && !v->is_input)
      job->info[i] = sumi_info_of_constant(v->constant);
    else if (!v->producer && !v->is_input)
      job->info[i] = unknown_info;
  }
  for (size_t i = 0; i < g->n_input; i++) {
    struct sumi_info *info = &job->info[g->input[i]->id];
    *info = job->in ? job->in[i] : g->input[i]->info;
    SUMI_TRY(content_to_data(job, info, err));
  }
  for (size_t i = 0; i < g->n_node; i++) {
    if (job->skip && job->skip[i]) continue;
    struct sumi_err own = SUMI_ERR_INIT;
    const sumi_status status = infer_one(job, g->node[i], scratch, &spent, job->on_fail ? &own : err);
    if (status == SUMI_OK) continue;
    if (!job->on_fail || status == SUMI_E_MEMORY) {
      if (job->on_fail) SUMI_FAIL_MEMORY(err);
      return status;
    }
    job->on_fail(job->user, g->node[i], &own);
  }
  return SUMI_OK;
}
