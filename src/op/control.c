/* Shared pieces of the control operators. */
#include "op/control.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

sumi_status sumi_control_body(const struct sumi_node *node, const char *attr, int n_own, int n_out,
                              const struct sumi_graph **body, struct sumi_err *err) {
  const struct sumi_graph *g = sumi_attr_graph(node, attr);
  if (!g) SUMI_FAIL(err, SUMI_E_ARG, "there is no %s", attr);
  SUMI_ASSERT(err, g->n_input >= (size_t)node->n_captured && node->n_in >= node->n_captured);
  if (n_own >= 0 && g->n_input != (size_t)n_own + (size_t)node->n_captured)
    SUMI_FAIL(err, SUMI_E_FORMAT, "%s has %zu inputs, not %d", attr, g->n_input - (size_t)node->n_captured,
              n_own);
  if (g->n_output > INT32_MAX || g->n_output < (size_t)n_out)
    SUMI_FAIL(err, SUMI_E_FORMAT, "%s has %zu outputs, not %d", attr, g->n_output, n_out);
  *body = g;
  return SUMI_OK;
}

struct sumi_info sumi_info_shape(const struct sumi_info *a) {
  struct sumi_info r = *a;
  r.data = NULL;
  r.content = NULL;
  r.n_content = 0;
  if (r.kind != SUMI_TENSOR) r.rank = -1;
  return r;
}

struct sumi_info sumi_info_join(const struct sumi_info *a, const struct sumi_info *b) {
  struct sumi_info r = sumi_info_shape(a);
  if (a->kind != b->kind) { /* an optional and what it holds: the body takes either */
    r.kind = SUMI_MAX(a->kind, b->kind);
    r.rank = -1;
  }
  if (r.dtype == SUMI_UNDEFINED) r.dtype = b->dtype;
  if (r.rank != b->rank) r.rank = -1;
  for (int i = 0; i < r.rank; i++)
    if (r.dim[i] != b->dim[i]) r.dim[i] = SUMI_DIM_UNKNOWN;
  return r;
}

bool sumi_info_same(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->kind != b->kind || a->dtype != b->dtype || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

sumi_status sumi_infer_iterated(struct sumi_infer *ctx, const struct sumi_graph *body, struct sumi_info *in,
                                int first_in, int n_state, int first_out, struct sumi_info *out) {
  enum { ROUNDS = 4 }; /* then whatever still changes is given up */
  for (int i = 0; i < n_state; i++) in[first_in + i] = sumi_info_shape(&in[first_in + i]);
  for (int round = 0;; round++) {
    SUMI_TRY(sumi_infer_body(ctx, body, in, out));
    bool stable = true;
    for (int i = 0; i < n_state; i++) {
      struct sumi_info *state = &in[first_in + i];
      const struct sumi_info *next = &out[first_out + i];
      if (state->dtype != SUMI_UNDEFINED && next->dtype != SUMI_UNDEFINED && state->dtype != next->dtype)
        SUMI_FAIL(ctx->err, SUMI_E_TYPE, "state %d is %s before and %s after the body", i,
                  sumi_dtype_label(state->dtype), sumi_dtype_label(next->dtype));
      struct sumi_info joined = sumi_info_join(state, next);
      if (sumi_info_same(&joined, state)) continue;
      stable = false;
      if (round >= ROUNDS) joined.rank = -1;
      *state = joined;
    }
    /* ranks, kinds and types settle in a few rounds once dims are given up; the bound is for bodies that do
     * not */
    if (stable) return SUMI_OK;
    if (round > ROUNDS + 4 * SUMI_MAX_RANK)
      SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "the body's states change without end");
  }
}

/* ---- scan outputs at run time -------------------------------------------------------------------------- */

sumi_status sumi_own_strings(const struct sumi_call *c, sumi_dtype dtype, void *data, int64_t first,
                             int64_t n) {
  struct sumi_str *s = data;
  if (dtype != SUMI_STRING) return SUMI_OK;
  for (int64_t i = first; i < first + n; i++) {
    s[i].data = sumi_arena_strndup(c->heap, s[i].data, s[i].size);
    if (!s[i].data) SUMI_FAIL_MEMORY(c->err);
  }
  return SUMI_OK;
}

/* Gives the output room for `room` elements, keeping the t that are there. */
static sumi_status grow(const struct sumi_call *c, struct sumi_scan_out *s, int64_t t, int64_t room,
                        const struct sumi_tensor *element) {
  int64_t dim[SUMI_MAX_RANK];
  const void *before = c->out[s->index]->data;
  if (element->rank >= SUMI_MAX_RANK)
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a scan output would have rank %d", element->rank + 1);
  dim[0] = room;
  for (int i = 0; i < element->rank; i++) dim[i + 1] = element->dim[i];
  SUMI_TRY(sumi_call_output(c, s->index, element->dtype, element->rank + 1, dim));
  sumi_copy(element->dtype, c->out[s->index]->data, 0, before, 0, t * sumi_tensor_count(element));
  s->room = room;
  return SUMI_OK;
}

sumi_status sumi_scan_append(const struct sumi_call *c, struct sumi_scan_out *s, int64_t t,
                             const struct sumi_tensor *element) {
  if (!sumi_call_wants(c, s->index)) return SUMI_OK;
  struct sumi_tensor *y = c->out[s->index];
  if (element->kind != SUMI_TENSOR)
    SUMI_FAIL(c->err, SUMI_E_TYPE, "scan output %d is not a tensor", s->index);
  if (t == 0) {
    *y = (struct sumi_tensor){0};
    SUMI_TRY(grow(c, s, 0, SUMI_MAX(s->room, 4), element));
  } else {
    bool same = element->dtype == y->dtype && element->rank == y->rank - 1;
    for (int i = 0; same && i < element->rank; i++) same = element->dim[i] == y->dim[i + 1];
    if (!same)
      SUMI_FAIL(c->err, SUMI_E_SHAPE, "scan output %d changes its type or shape in run %" PRId64, s->index,
                t);
  }
  if (t == s->room) SUMI_TRY(grow(c, s, t, 2 * t, element));
  const int64_t n = sumi_tensor_count(element);
  sumi_copy(y->dtype, y->data, t * n, element->data, 0, n);
  y->dim[0] = t + 1; /* what is behind stays unused */
  return sumi_own_strings(c, y->dtype, y->data, t * n, n);
}

sumi_status sumi_scan_nothing(const struct sumi_call *c, int index, const struct sumi_value *declared,
                              const int64_t *lead, int n_lead) {
  const struct sumi_info *info = &declared->info;
  const int rank = SUMI_MAX(info->rank, 0) + n_lead;
  int64_t dim[SUMI_MAX_RANK];
  if (!sumi_call_wants(c, index)) return SUMI_OK;
  if (rank > SUMI_MAX_RANK) SUMI_FAIL(c->err, SUMI_E_LIMIT, "a scan output would have rank %d", rank);
  if (info->dtype == SUMI_UNDEFINED)
    SUMI_FAIL(c->err, SUMI_E_UNSUPPORTED, "no run, and the body does not declare the type of '%s'",
              declared->name);
  for (int i = 0; i < rank; i++) dim[i] = i < n_lead ? lead[i] : SUMI_MAX(info->dim[i - n_lead], 0);
  return sumi_call_output(c, index, info->dtype, rank, dim);
}
