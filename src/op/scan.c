/* Scan: inputs N states and M scan inputs, then captures; from version 9:
 *   for (t = 0; t < T; t++) states, scanned[t] = body(states, element t of every scan input along its axis)
 * Outputs: the N states at the end, then K scan outputs, stacked along a new axis each. Directions 1 read or
 * write backward. Version 8 has an input sequence_lens before the others and a batch: dim 0 is the batch,
 * dim 1 the time of every scan input and output; element lists shorter than T leave the rest of a scan
 * output zero. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/control.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

/* How many of what a node has. */
struct counts {
  const struct sumi_graph *body;
  int first;   /* number of the node's first state: 1 where sequence_lens stands before */
  int n, m, k; /* states, scan inputs, scan outputs */
  int batch;   /* leading batch dims: 1 in version 8 */
};

static sumi_status count(const struct sumi_node *node, struct counts *c, struct sumi_err *err) {
  const int64_t m = sumi_attr_int(node, "num_scan_inputs", 0);
  *c = (struct counts){.batch = node->version < 9, .first = node->version < 9};
  const int own = node->n_in - node->n_captured - c->first;
  if (m < 1 || m > own) SUMI_FAIL(err, SUMI_E_VALUE, "num_scan_inputs is %" PRId64 " of %d inputs", m, own);
  c->m = (int)m;
  c->n = own - c->m;
  SUMI_TRY(sumi_control_body(node, "body", own, SUMI_MAX(c->n, node->n_out), &c->body, err));
  c->k = (int)c->body->n_output - c->n;
  for (int i = c->first; i < own + c->first; i++)
    if (!node->in[i]) SUMI_FAIL(err, SUMI_E_ARG, "input %d is missing", i);
  return SUMI_OK;
}

/* Entry i of a list attribute of n entries, otherwise where there is none. */
static sumi_status entry(const struct sumi_node *node, const char *attr, int i, int n, int64_t otherwise,
                         int64_t *value, struct sumi_err *err) {
  int have;
  const int64_t *v = sumi_attr_ints(node, attr, &have);
  *value = otherwise;
  if (!v || !have) return SUMI_OK;
  if (have != n) SUMI_FAIL(err, SUMI_E_VALUE, "%s has %d entries, not %d", attr, have, n);
  *value = v[i];
  return SUMI_OK;
}

/* Axis and direction of scan input or output i; the rank is the whole tensor's. */
static sumi_status way(const struct sumi_node *node, const struct counts *c, bool input, int i, int rank,
                       int *axis, bool *backward, struct sumi_err *err) {
  int64_t a = 0, d = 0;
  if (c->batch) {
    a = 1;
    if (input) SUMI_TRY(entry(node, "directions", i, c->m, 0, &d, err));
  } else {
    SUMI_TRY(entry(node, input ? "scan_input_axes" : "scan_output_axes", i, input ? c->m : c->k, 0, &a, err));
    SUMI_TRY(entry(node, input ? "scan_input_directions" : "scan_output_directions", i, input ? c->m : c->k,
                   0, &d, err));
  }
  if (d != 0 && d != 1) SUMI_FAIL(err, SUMI_E_VALUE, "a direction is %" PRId64, d);
  *backward = d == 1;
  return sumi_axis(a, rank, axis, err);
}

/* ---- inference ----------------------------------------------------------------------------------------- */

/* info without dim `axis` (and, in version 8, without the batch). */
static sumi_status drop_dims(struct sumi_infer *ctx, const struct sumi_info *whole, int axis, int batch,
                             struct sumi_info *part) {
  *part = (struct sumi_info){.dtype = whole->dtype, .rank = -1};
  if (whole->kind != SUMI_TENSOR) SUMI_FAIL(ctx->err, SUMI_E_TYPE, "a state or scan input is not a tensor");
  if (whole->rank < 0) return SUMI_OK;
  if (whole->rank < batch + (axis >= 0))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a scan input or state has rank %d", whole->rank);
  part->rank = 0;
  for (int i = batch; i < whole->rank; i++)
    if (i != axis) part->dim[part->rank++] = whole->dim[i];
  return SUMI_OK;
}

/* All scan inputs agree on the time, and in version 8 all inputs on the batch. */
static sumi_status agree(struct sumi_infer *ctx, sumi_dim *known, sumi_dim d, const char *what) {
  if (*known >= 0 && d >= 0 && *known != d)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the %s is %" PRId64 " in one input and %" PRId64 " in another", what,
              *known, d);
  if (d >= 0 || *known == SUMI_DIM_UNKNOWN) *known = d;
  return SUMI_OK;
}

/* The body's inputs from the node's; time and batch. */
static sumi_status body_inputs(struct sumi_infer *ctx, const struct counts *c, struct sumi_info *in,
                               sumi_dim *time, sumi_dim *batch) {
  *time = *batch = SUMI_DIM_UNKNOWN;
  for (int i = 0; i < c->n + c->m; i++) {
    const struct sumi_info *whole = &ctx->in[c->first + i];
    int axis = -1;
    bool backward;
    if (i >= c->n && whole->rank >= 0) {
      SUMI_TRY(way(ctx->node, c, true, i - c->n, whole->rank, &axis, &backward, ctx->err));
      SUMI_TRY(agree(ctx, time, whole->dim[axis], "length"));
    }
    if (c->batch && whole->rank > 0) SUMI_TRY(agree(ctx, batch, whole->dim[0], "batch"));
    SUMI_TRY(drop_dims(ctx, whole, axis, c->batch, &in[i]));
  }
  for (int i = 0; i < ctx->node->n_captured; i++) in[c->n + c->m + i] = ctx->in[c->first + c->n + c->m + i];
  return SUMI_OK;
}

static sumi_status scan_infer(struct sumi_infer *ctx) {
  struct counts c;
  SUMI_TRY(count(ctx->node, &c, ctx->err));
  struct sumi_info *in = SUMI_NEW_ARRAY(ctx->arena, c.body->n_input + c.body->n_output, struct sumi_info);
  if (!in) SUMI_FAIL_MEMORY(ctx->err);
  struct sumi_info *out = in + c.body->n_input;
  sumi_dim time, batch;
  SUMI_TRY(body_inputs(ctx, &c, in, &time, &batch));
  SUMI_TRY(sumi_infer_iterated(ctx, c.body, in, 0, c.n, 0, out));
  for (int i = 0; i < ctx->n_out; i++) {
    const struct sumi_info *part = i < c.n ? &in[i] : &out[i];
    const int rank = part->rank + c.batch + (i >= c.n);
    int axis = -1;
    bool backward;
    if (part->kind != SUMI_TENSOR) SUMI_FAIL(ctx->err, SUMI_E_TYPE, "output %d is not a tensor", i);
    if (part->rank < 0) {
      sumi_infer_out_unknown(ctx, i, part->dtype);
      continue;
    }
    if (rank > SUMI_MAX_RANK) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "output %d would have rank %d", i, rank);
    if (i >= c.n) SUMI_TRY(way(ctx->node, &c, false, i - c.n, rank, &axis, &backward, ctx->err));
    sumi_dim dim[SUMI_MAX_RANK];
    for (int k = 0, p = 0; k < rank; k++)
      dim[k] = c.batch && k == 0 ? batch : k == axis ? time : part->dim[p++];
    sumi_infer_out(ctx, i, part->dtype, rank, dim);
  }
  return SUMI_OK;
}

/* ---- the reference ------------------------------------------------------------------------------------- */

struct scan {
  struct counts c;
  int64_t time, batches;
  const struct sumi_tensor **in, **out; /* the body's */
  struct sumi_tensor *part; /* [n + m] slices of the node's inputs, with memory where they need it */
};

/* Element t of input whole along its axis (and batch b): a view where the elements lie together, else a
 * copy. */
static void take(const struct sumi_tensor *whole, int axis, int batch, int64_t b, int64_t t,
                 struct sumi_tensor *part) {
  int64_t stride[SUMI_MAX_RANK], from[SUMI_MAX_RANK], to[SUMI_MAX_RANK];
  sumi_strides(whole->dim, whole->rank, stride);
  int rank = 0;
  for (int i = batch; i < whole->rank; i++)
    if (i != axis) from[rank++] = stride[i];
  sumi_strides(part->dim, part->rank, to);
  sumi_move(whole->dtype, rank, part->dim, part->data, 0, to, whole->data,
            (batch ? b * stride[0] : 0) + (axis >= 0 ? t * stride[axis] : 0), from);
}

static sumi_status begin(const struct sumi_call *c, struct scan *s) {
  const struct counts *n = &s->c;
  const size_t own = (size_t)(n->n + n->m);
  s->in = SUMI_NEW_ARRAY(c->heap, n->body->n_input, const struct sumi_tensor *);
  s->out = SUMI_NEW_ARRAY(c->heap, n->body->n_output, const struct sumi_tensor *);
  s->part = SUMI_NEW_ARRAY(c->heap, own, struct sumi_tensor);
  if (!s->in || !s->out || !s->part) SUMI_FAIL_MEMORY(c->err);
  s->time = -1;
  s->batches = n->batch ? -1 : 1;
  for (int i = 0; i < n->n + n->m; i++) {
    const struct sumi_tensor *whole = c->in[n->first + i];
    struct sumi_tensor *part = &s->part[i];
    int axis = -1;
    bool backward;
    if (whole->kind != SUMI_TENSOR || whole->rank < n->batch + (i >= n->n))
      SUMI_FAIL(c->err, SUMI_E_SHAPE, "input %d has rank %d", n->first + i, whole->rank);
    if (i >= n->n) {
      SUMI_TRY(way(c->node, n, true, i - n->n, whole->rank, &axis, &backward, c->err));
      if (s->time >= 0 && s->time != whole->dim[axis])
        SUMI_FAIL(c->err, SUMI_E_SHAPE, "the scan inputs differ in length");
      s->time = whole->dim[axis];
    }
    if (n->batch && s->batches >= 0 && s->batches != whole->dim[0])
      SUMI_FAIL(c->err, SUMI_E_SHAPE, "the inputs differ in batch");
    if (n->batch) s->batches = whole->dim[0];
    *part = (struct sumi_tensor){.dtype = whole->dtype};
    for (int k = n->batch; k < whole->rank; k++)
      if (k != axis) part->dim[part->rank++] = whole->dim[k];
    size_t bytes;
    SUMI_TRY(sumi_shape_bytes(part->dtype, part->dim, part->rank, &bytes, c->err));
    if (!(part->data = sumi_arena_alloc(c->heap, bytes))) SUMI_FAIL_MEMORY(c->err);
  }
  for (int i = 0; i < c->node->n_captured; i++) s->in[own + (size_t)i] = c->in[n->first + n->n + n->m + i];
  return SUMI_OK;
}

/* Puts what one run gave at place t (of batch b) of scan output i. Whole outputs are made with their first
 * element. */
static sumi_status put(const struct sumi_call *c, const struct scan *s, int i, int64_t b, int64_t t,
                       const struct sumi_tensor *element, bool first) {
  struct sumi_tensor *y = sumi_call_wants(c, i) ? c->out[i] : NULL;
  int axis = -1;
  bool backward = false;
  if (!y) return SUMI_OK;
  const bool scanned = i >= s->c.n;
  const int rank = element->rank + s->c.batch + scanned;
  if (rank > SUMI_MAX_RANK) SUMI_FAIL(c->err, SUMI_E_LIMIT, "output %d would have rank %d", i, rank);
  if (scanned) SUMI_TRY(way(c->node, &s->c, false, i - s->c.n, rank, &axis, &backward, c->err));
  int64_t dim[SUMI_MAX_RANK], stride[SUMI_MAX_RANK], to[SUMI_MAX_RANK], from[SUMI_MAX_RANK];
  for (int k = 0, p = 0; k < rank; k++)
    dim[k] = s->c.batch && k == 0 ? s->batches : k == axis ? s->time : element->dim[p++];
  if (first) {
    SUMI_TRY(sumi_call_output(c, i, element->dtype, rank, dim));
  } else if (y->rank != rank || y->dtype != element->dtype ||
             memcmp(y->dim, dim, (size_t)rank * sizeof *dim)) {
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "output %d changes its type or shape in run %" PRId64, i, t);
  }
  sumi_strides(dim, rank, stride);
  int n = 0;
  for (int k = s->c.batch; k < rank; k++)
    if (k != axis) to[n++] = stride[k];
  sumi_strides(element->dim, element->rank, from);
  const int64_t at =
      (s->c.batch ? b * stride[0] : 0) + (scanned ? (backward ? s->time - 1 - t : t) * stride[axis] : 0);
  struct sumi_tensor own = *element;
  if (element->dtype == SUMI_STRING) { /* the body's strings go with its next run */
    const int64_t count = sumi_tensor_count(element);
    if (!(own.data = SUMI_NEW_ARRAY(c->heap, (size_t)count, struct sumi_str))) SUMI_FAIL_MEMORY(c->err);
    sumi_copy(SUMI_STRING, own.data, 0, element->data, 0, count);
    SUMI_TRY(sumi_own_strings(c, SUMI_STRING, own.data, 0, count));
  }
  sumi_move(own.dtype, element->rank, element->dim, y->data, at, to, own.data, 0, from);
  return SUMI_OK;
}

/* One sequence: all of the node, or of one batch. *begun: whether scan outputs have their memory. */
static sumi_status run_one(const struct sumi_call *c, struct scan *s, int64_t b, int64_t length,
                           bool *begun) {
  const struct counts *n = &s->c;
  for (int i = 0; i < n->n; i++) {
    take(c->in[n->first + i], -1, n->batch, b, 0, &s->part[i]);
    s->in[i] = &s->part[i];
  }
  for (int64_t t = 0; t < length; t++) {
    for (int i = n->n; i < n->n + n->m; i++) {
      const struct sumi_tensor *whole = c->in[n->first + i];
      int axis = -1;
      bool backward = false;
      SUMI_TRY(way(c->node, n, true, i - n->n, whole->rank, &axis, &backward, c->err));
      take(whole, axis, n->batch, b, backward ? length - 1 - t : t, &s->part[i]);
      s->in[i] = &s->part[i];
    }
    SUMI_TRY(c->bodies->run(c->bodies->self, n->body, s->in, (int)n->body->n_input, s->out,
                            (int)n->body->n_output, c->err));
    for (int i = 0; i < n->n; i++) s->in[i] = s->out[i];
    for (int i = n->n; i < c->n_out; i++) SUMI_TRY(put(c, s, i, b, t, s->out[i], !*begun));
    *begun = true;
  }
  for (int i = 0; i < n->n; i++) SUMI_TRY(put(c, s, i, b, 0, s->in[i], b == 0));
  return SUMI_OK;
}

static sumi_status scan_ref(const struct sumi_call *c) {
  struct scan s;
  SUMI_TRY(count(c->node, &s.c, c->err));
  SUMI_TRY(begin(c, &s));
  const struct sumi_tensor *lengths = s.c.batch && sumi_call_has(c, 0) ? c->in[0] : NULL;
  if (lengths && sumi_tensor_count(lengths) != s.batches)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "sequence_lens has %" PRId64 " entries, the batch is %" PRId64,
              sumi_tensor_count(lengths), s.batches);
  bool begun = false;
  for (int64_t b = 0; b < s.batches; b++) {
    const int64_t length = lengths ? sumi_get_i64(lengths->dtype, lengths->data, b) : s.time;
    if (length < 0 || length > s.time)
      SUMI_FAIL(c->err, SUMI_E_VALUE, "sequence_lens[%" PRId64 "] is %" PRId64 " of %" PRId64, b, length,
                s.time);
    SUMI_TRY(run_one(c, &s, b, length, &begun));
  }
  if (begun) return SUMI_OK;
  if (s.time && s.batches) SUMI_FAIL(c->err, SUMI_E_UNSUPPORTED, "every length in sequence_lens is 0");
  const int64_t lead[2] = {s.c.batch ? s.batches : 0,
                           s.time}; /* nothing in it: the order of the dims is all one */
  for (int i = s.c.n; i < c->n_out; i++)
    SUMI_TRY(sumi_scan_nothing(c, i, s.c.body->output[i], lead, 1 + s.c.batch));
  for (int i = 0; !s.batches && i < s.c.n; i++) SUMI_TRY(sumi_call_output_copy(c, i, c->in[s.c.first + i]));
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"body", SUMI_ATTR_GRAPH, true},
    {"num_scan_inputs", SUMI_ATTR_INT, true},
    {"directions", SUMI_ATTR_INTS, false, 9},
    {"scan_input_axes", SUMI_ATTR_INTS},
    {"scan_output_axes", SUMI_ATTR_INTS},
    {"scan_input_directions", SUMI_ATTR_INTS},
    {"scan_output_directions", SUMI_ATTR_INTS},
    {NULL},
};
static const struct sumi_port in[] = {
    {"initial_state_and_scan_inputs", SUMI_ANY, 0, SUMI_PORT_OPTIONAL | SUMI_PORT_VARIADIC | SUMI_PORT_MIXED},
    {NULL}};
static const struct sumi_port out[] = {
    {"final_state_and_scan_outputs", SUMI_ANY, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2] s, float[4,2] x, float[2,4] z) => (t, y) {"
     " t, y = Scan <num_scan_inputs = 2, scan_input_axes = [0, 1], scan_input_directions = [0, 1],"
     " scan_output_axes = [1], scan_output_directions = [1],"
     " body = b (float[2] a, float[2] e, float[2] f) => (float[2] n, float[2] o) { n = Add (a, e) o = Sub "
     "(n, f) }> (s, x, z) }",
     .why = "axes and directions"},
    {NULL},
};

const struct sumi_op sumi_op_scan = {
    .name = "Scan",
    .formula = "for (t) states, scanned[t] = body(states, elements t)",
    .known_as = {{"", "Scan", {8, 9, 11, 16, 19, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_CONTROL | SUMI_OP_DYNAMIC,
    .infer = scan_infer,
    .ref = scan_ref,
    .cases = cases,
};
