/* Device ref: every node by its operator's reference function, on the portable graph. What the others are tested
 * against; slow and plain. Also the step that other devices use where they have nothing faster. Device ref-machine: the same
 * on the machine graph, so that what a fused operator rounds once is rounded once; device antoum gives its integers. */
#include "device/device.h"
#include "op/lane_lower.h"

struct ref_args {
  const struct sumi_node *node;
  int n_in, n_out, scratch; /* scratch: buffer number, -1 = none */
  const int *in_buffer, *out_buffer;
  /* headers whose data is set at each run; a plan belongs to one session, so nobody else writes them */
  const struct sumi_tensor **in;
  struct sumi_tensor **out;
};

static sumi_status run_ref(const void *p, const struct sumi_run *run) {
  const struct ref_args *a = p;
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
  return a->node->op->ref(&call);
}

static struct sumi_tensor *copy_header(struct sumi_arena *arena, const struct sumi_tensor *t) {
  struct sumi_tensor *copy = SUMI_NEW(arena, struct sumi_tensor);
  if (copy) *copy = *t;
  return copy;
}

static sumi_status make_args(struct sumi_lower *l, struct ref_args *a, int *used, int *n_reads,
                             int *n_writes) {
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
  *a = (struct ref_args){.node = l->node,
                         .n_in = l->n_in,
                         .n_out = l->n_out,
                         .scratch = -1,
                         .in_buffer = buffer,
                         .out_buffer = buffer + l->n_in,
                         .in = (const struct sumi_tensor **)in,
                         .out = out};
  return SUMI_OK;
}

sumi_status sumi_ref_lower(struct sumi_lower *l) {
  struct ref_args *a = SUMI_NEW(l->arena, struct ref_args);
  int *used = SUMI_NEW_ARRAY(l->arena, (size_t)(l->n_in + l->n_out + 1), int), n_reads = 0, n_writes = 0;
  if (!a || !used) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(make_args(l, a, used, &n_reads, &n_writes));
  if (l->node->op->scratch) {
    const struct sumi_call call = {
        .node = l->node, .n_in = l->n_in, .n_out = l->n_out, .in = a->in, .out = a->out, .err = l->err};
    size_t bytes = 0;
    SUMI_TRY(l->node->op->scratch(&call, &bytes));
    if (bytes) {
      a->scratch = sumi_lower_scratch(l, bytes);
      if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
      used[n_reads + n_writes++] = a->scratch;
    }
  }
  SUMI_TRY(sumi_lower_emit(l, run_ref, a, "ref", used, n_reads, used + n_reads, n_writes));
  for (int i = 0; i < l->n_out; i++)
    if (l->out[i]) SUMI_TRY(sumi_lower_rows_done(l, i, a->out_buffer[i]));
  return SUMI_OK;
}

const struct sumi_device sumi_device_ref = {
    .name = "ref",
    .what = "reference functions on the portable graph",
    .lower = sumi_ref_lower,
};

const struct sumi_device sumi_device_ref_machine = {
    .name = "ref-machine",
    .what = "reference functions on the machine graph: the integers of device antoum",
    .machine_passes = true,
    .lower = sumi_ref_lower,
};
