/* The two ways of calling a twin operator (ms_twin.h). */
#include "op/ms_twin.h"

#include "base/size.h"
#include "op/move.h"

struct sumi_node sumi_twin_node(const struct sumi_node *node, const struct sumi_op *twin, int version) {
  struct sumi_node n = *node;
  n.op = twin;
  n.version = version;
  return n;
}

/* A call of the twin: its own node and headers, whose data lies in the scratch or is the caller's. */
struct twin_call {
  struct sumi_node node;
  struct sumi_tensor in[SUMI_TWIN_IN], out;
  const struct sumi_tensor *in_ptr[SUMI_TWIN_IN];
  struct sumi_tensor *out_ptr[1];
  struct sumi_call call;
};

static void start(struct twin_call *t, const struct sumi_call *c, const struct sumi_op *twin, int version,
                  int n_in) {
  t->node = sumi_twin_node(c->node, twin, version);
  t->node.n_in = n_in;
  t->call = *c;
  t->call.node = &t->node;
  t->call.n_in = n_in;
  t->call.n_out = 1;
  t->call.in = t->in_ptr;
  t->call.out = t->out_ptr;
  t->out_ptr[0] = &t->out;
}

static sumi_status book(size_t *bytes, const struct sumi_tensor *t, sumi_dtype dtype, struct sumi_err *err) {
  size_t item;
  SUMI_ASSERT(err, sumi_dtype_bytes(dtype, 1, &item));
  return sumi_ms_book(bytes, sumi_tensor_count(t), item, err);
}

static void *take(char **scratch, const struct sumi_tensor *t, sumi_dtype dtype) {
  size_t item = 1;
  sumi_dtype_bytes(dtype, 1, &item);
  return sumi_ms_take(scratch, sumi_tensor_count(t), item);
}

/* The twin's scratch behind the copies. */
static sumi_status book_twin(struct twin_call *t, size_t *bytes) {
  size_t more = 0;
  if (t->node.op->scratch) SUMI_TRY(t->node.op->scratch(&t->call, &more));
  if (more > INT64_MAX) SUMI_FAIL(t->call.err, SUMI_E_LIMIT, "the scratch is too large");
  return sumi_ms_book(bytes, (int64_t)more, 1, t->call.err);
}

/* ---- channels last ----------------------------------------------------------------------------------------------- */

/* dim[rank] with the last one second, or back. */
static void to_first(int rank, const int64_t *dim, int64_t *out) {
  for (int k = 0; k < rank; k++) out[k] = k == 0 ? dim[0] : k == 1 ? dim[rank - 1] : dim[k - 1];
}

static void to_last(int rank, const int64_t *dim, int64_t *out) {
  for (int k = 0; k < rank; k++) out[k] = k == 0 ? dim[0] : k == rank - 1 ? dim[1] : dim[k + 1];
}

sumi_status sumi_nhwc_infer(struct sumi_infer *ctx, const struct sumi_nhwc *form) {
  struct sumi_info in[SUMI_TWIN_IN], out = {.rank = -1};
  const struct sumi_node node = sumi_twin_node(ctx->node, form->twin, form->version);
  SUMI_ASSERT(ctx->err, ctx->n_in <= SUMI_TWIN_IN);
  for (int i = 0; i < ctx->n_in; i++) {
    in[i] = ctx->in[i];
    if (!(form->turned >> i & 1) || !sumi_infer_has(ctx, i)) continue;
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 3, SUMI_MAX_RANK));
    in[i].data = NULL;
    in[i].content = NULL;
    to_first(in[i].rank, ctx->in[i].dim, in[i].dim);
  }
  struct sumi_infer twin = *ctx;
  twin.node = &node;
  twin.in = in;
  twin.out = &out;
  twin.n_out = 1;
  SUMI_TRY(form->twin->infer(&twin));
  sumi_dim dim[SUMI_MAX_RANK];
  if (out.rank < 0) {
    sumi_infer_out_unknown(ctx, 0, out.dtype);
    return SUMI_OK;
  }
  to_last(out.rank, out.dim, dim);
  sumi_infer_out(ctx, 0, out.dtype, out.rank, dim);
  return SUMI_OK;
}

static void nhwc_headers(struct twin_call *t, const struct sumi_call *c, const struct sumi_nhwc *form) {
  start(t, c, form->twin, form->version, c->n_in);
  for (int i = 0; i < c->n_in; i++) {
    t->in_ptr[i] = sumi_call_has(c, i) ? &t->in[i] : NULL;
    if (!t->in_ptr[i]) continue;
    t->in[i] = *c->in[i];
    if (form->turned >> i & 1) to_first(t->in[i].rank, c->in[i]->dim, t->in[i].dim);
  }
  t->out = *c->out[0];
  to_first(t->out.rank, c->out[0]->dim, t->out.dim);
}

sumi_status sumi_nhwc_scratch(const struct sumi_call *c, const struct sumi_nhwc *form, size_t *bytes) {
  struct twin_call t;
  *bytes = 0;
  nhwc_headers(&t, c, form);
  for (int i = 0; i < c->n_in; i++)
    if (form->turned >> i & 1 && t.in_ptr[i]) SUMI_TRY(book(bytes, &t.in[i], t.in[i].dtype, c->err));
  SUMI_TRY(book(bytes, &t.out, t.out.dtype, c->err));
  return book_twin(&t, bytes);
}

/* first[b, c, ...] = last[b, ..., c], or the other way; dim[rank] is first's. */
static void turn(sumi_dtype d, int rank, const int64_t *dim, void *first, void *last, bool forwards) {
  int64_t last_dim[SUMI_MAX_RANK], from_last[SUMI_MAX_RANK], s_first[SUMI_MAX_RANK], s_last[SUMI_MAX_RANK];
  to_last(rank, dim, last_dim);
  sumi_strides(dim, rank, s_first);
  sumi_strides(last_dim, rank, from_last);
  to_first(rank, from_last, s_last);
  sumi_move(d, rank, dim, forwards ? first : last, 0, forwards ? s_first : s_last, forwards ? last : first, 0,
            forwards ? s_last : s_first);
}

sumi_status sumi_nhwc_ref(const struct sumi_call *c, const struct sumi_nhwc *form) {
  struct twin_call t;
  char *scratch = c->scratch;
  nhwc_headers(&t, c, form);
  for (int i = 0; i < c->n_in; i++) {
    if (!(form->turned >> i & 1) || !t.in_ptr[i]) continue;
    t.in[i].data = take(&scratch, &t.in[i], t.in[i].dtype);
    turn(t.in[i].dtype, t.in[i].rank, t.in[i].dim, t.in[i].data, c->in[i]->data, true);
  }
  t.out.data = take(&scratch, &t.out, t.out.dtype);
  t.call.scratch = scratch;
  SUMI_TRY(form->twin->ref(&t.call));
  turn(t.out.dtype, t.out.rank, t.out.dim, t.out.data, c->out[0]->data, false);
  return SUMI_OK;
}

/* ---- quantised tensors ------------------------------------------------------------------------------------------- */

sumi_status sumi_quantised_infer(struct sumi_infer *ctx, const struct sumi_quantised *form) {
  struct sumi_info in[3], out = {.rank = -1};
  struct sumi_node node = sumi_twin_node(ctx->node, form->twin, form->version);
  uint32_t data = 0;
  sumi_dtype type = SUMI_UNDEFINED;
  node.n_in = form->n_in;
  for (int k = 0; k < form->n_in; k++) {
    in[k] = ctx->in[form->input[k]];
    data |= 1u << form->input[k];
    if (!(form->real >> k & 1)) continue;
    type = in[k].dtype;
    in[k].dtype = SUMI_FLOAT32;
    in[k].data = NULL;
    in[k].content = NULL;
  }
  SUMI_TRY(sumi_ms_want_single(ctx, 0, data));
  struct sumi_infer twin = *ctx;
  twin.node = &node;
  twin.in = in;
  twin.n_in = form->n_in;
  twin.out = &out;
  twin.n_out = 1;
  SUMI_TRY(form->twin->infer(&twin));
  out.absent = false;
  sumi_infer_out_like(ctx, 0, &out, type);
  return SUMI_OK;
}

static void quantised_headers(struct twin_call *t, const struct sumi_call *c,
                              const struct sumi_quantised *form) {
  start(t, c, form->twin, form->version, form->n_in);
  for (int k = 0; k < form->n_in; k++) {
    t->in[k] = *c->in[form->input[k]];
    t->in_ptr[k] = &t->in[k];
    if (form->real >> k & 1) t->in[k].dtype = SUMI_FLOAT32;
  }
  t->out = *c->out[0];
  t->out.dtype = SUMI_FLOAT32;
}

sumi_status sumi_quantised_scratch(const struct sumi_call *c, const struct sumi_quantised *form,
                                   size_t *bytes) {
  struct twin_call t;
  *bytes = 0;
  quantised_headers(&t, c, form);
  for (int k = 0; k < form->n_in; k++)
    if (form->real >> k & 1) SUMI_TRY(book(bytes, &t.in[k], SUMI_FLOAT32, c->err));
  SUMI_TRY(book(bytes, &t.out, SUMI_FLOAT32, c->err));
  return book_twin(&t, bytes);
}

sumi_status sumi_quantised_ref(const struct sumi_call *c, const struct sumi_quantised *form) {
  struct twin_call t;
  char *scratch = c->scratch;
  struct sumi_ms_quant out = sumi_ms_quant_of(c, form->scale, form->zero);
  float mul = 1;
  quantised_headers(&t, c, form);
  for (int k = 0; k < form->n_in; k++) {
    if (!(form->real >> k & 1)) continue;
    const int i = form->input[k];
    struct sumi_ms_quant q = sumi_ms_quant_of(c, i + 1, i + 2);
    if (form->mean) mul = (float)(q.scale / out.scale), q.scale = out.scale = 1;
    float *x = t.in[k].data = take(&scratch, &t.in[k], SUMI_FLOAT32);
    for (int64_t j = 0; j < sumi_tensor_count(&t.in[k]); j++) x[j] = (float)sumi_ms_real(c->in[i], j, q);
  }
  const float *y = t.out.data = take(&scratch, &t.out, SUMI_FLOAT32);
  t.call.scratch = scratch;
  SUMI_TRY(form->twin->ref(&t.call));
  for (int64_t j = 0; j < sumi_tensor_count(&t.out); j++)
    sumi_ms_quantise(c->out[0], j, out, (double)(y[j] * mul));
  return SUMI_OK;
}
