/* Steps that call a function with the node's call. See the header. */
#include "op/call_lower.h"

#include "op/lane_lower.h"

struct args {
  const struct sumi_node *node;
  int n_in, n_out, scratch, own, made; /* scratch, own, made: buffer numbers, -1 = none */
  const int *in_buffer, *out_buffer;
  /* headers whose data is set at each run; a plan belongs to one session, so nobody else writes them */
  const struct sumi_tensor **in;
  struct sumi_tensor **out;
  sumi_call_fn fn;
  const void *user;
};

static sumi_status run_call(const void *p, const struct sumi_run *run) {
  const struct args *a = p;
  for (int i = 0; i < a->n_in; i++)
    if (a->in[i]) ((struct sumi_tensor *)a->in[i])->data = run->buffer[a->in_buffer[i]];
  for (int i = 0; i < a->n_out; i++)
    if (a->out[i]) a->out[i]->data = run->buffer[a->out_buffer[i]];
  const struct sumi_call call = {.node = a->node,
                                 .n_in = a->n_in,
                                 .n_out = a->n_out,
                                 .in = a->in,
                                 .out = a->out,
                                 .scratch = a->scratch < 0 ? NULL : run->buffer[a->scratch],
                                 .heap = run->heap,
                                 .bodies = run->bodies,
                                 .random = run->random,
                                 .err = run->err};
  const struct sumi_call_tools tools = {run->par, a->user, a->own < 0 ? NULL : run->buffer[a->own],
                                        a->made < 0 ? NULL : run->buffer[a->made]};
  return a->fn(&call, &tools);
}

static struct sumi_tensor *copy_header(struct sumi_arena *arena, const struct sumi_tensor *t) {
  struct sumi_tensor *copy = SUMI_NEW(arena, struct sumi_tensor);
  if (copy) *copy = *t;
  return copy;
}

static sumi_status make_args(struct sumi_lower *l, struct args *a, int *used, int *n_reads, int *n_writes) {
  struct sumi_tensor **in = SUMI_NEW_ARRAY(l->arena, (size_t)l->n_in, struct sumi_tensor *);
  struct sumi_tensor **out = SUMI_NEW_ARRAY(l->arena, (size_t)l->n_out, struct sumi_tensor *);
  int *buffer = SUMI_NEW_ARRAY(l->arena, (size_t)(l->n_in + l->n_out), int);
  if (!in || !out || !buffer) SUMI_FAIL_MEMORY(l->err);
  *n_reads = *n_writes = 0;
  for (int i = 0; i < l->n_in; i++) {
    if (!l->in[i]) continue;
    if (!(in[i] = copy_header(l->arena, l->in[i]))) SUMI_FAIL_MEMORY(l->err);
    SUMI_TRY(sumi_lower_rows_in(l, i, &buffer[i]));
    used[(*n_reads)++] = buffer[i];
  }
  for (int i = 0; i < l->n_out; i++) {
    if (!l->out[i]) continue;
    if (!(out[i] = copy_header(l->arena, l->out[i]))) SUMI_FAIL_MEMORY(l->err);
    SUMI_TRY(sumi_lower_rows_out(l, i, &buffer[l->n_in + i]));
    used[*n_reads + (*n_writes)++] = buffer[l->n_in + i];
  }
  *a = (struct args){.node = l->node,
                     .n_in = l->n_in,
                     .n_out = l->n_out,
                     .scratch = -1,
                     .own = -1,
                     .in_buffer = buffer,
                     .out_buffer = buffer + l->n_in,
                     .in = (const struct sumi_tensor **)in,
                     .out = out};
  return SUMI_OK;
}

/* A scratch buffer, counted among those used; none for 0 bytes. */
static sumi_status take_scratch(struct sumi_lower *l, size_t bytes, int *buffer, int *used, int *n) {
  if (!bytes) return SUMI_OK;
  *buffer = sumi_lower_scratch(l, bytes);
  if (*buffer < 0) SUMI_FAIL_MEMORY(l->err);
  used[(*n)++] = *buffer;
  return SUMI_OK;
}

sumi_status sumi_call_lower(struct sumi_lower *l, sumi_call_fn fn, const void *user, size_t bytes, int made,
                            const char *kernel) {
  struct args *a = SUMI_NEW(l->arena, struct args);
  int *used = SUMI_NEW_ARRAY(l->arena, (size_t)(l->n_in + l->n_out + 3), int), n_reads = 0, n_writes = 0;
  if (!a || !used) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(make_args(l, a, used, &n_reads, &n_writes));
  a->fn = fn;
  a->user = user;
  a->made = made;
  int n = n_reads + n_writes;
  if (made >= 0)
    used[n++] = made; /* scratch all the same: written by the node's steps, read by nobody else */
  const struct sumi_call call = {
      .node = l->node, .n_in = l->n_in, .n_out = l->n_out, .in = a->in, .out = a->out, .err = l->err};
  size_t wanted;
  SUMI_TRY(sumi_call_scratch(&call, &wanted));
  SUMI_TRY(take_scratch(l, wanted, &a->scratch, used, &n));
  SUMI_TRY(take_scratch(l, bytes, &a->own, used, &n));
  SUMI_TRY(sumi_lower_emit(l, run_call, a, kernel, used, n_reads, used + n_reads, n - n_reads));
  for (int i = 0; i < l->n_out; i++)
    if (l->out[i]) SUMI_TRY(sumi_lower_rows_done(l, i, a->out_buffer[i]));
  return SUMI_OK;
}
