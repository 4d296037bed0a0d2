/* Running a graph stage by stage: addresses, steps, dynamic nodes, bodies. */
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/float_mode.h"
#include "base/size.h"
#include "exec/slice.h"

sumi_status sumi_exec_new(struct sumi_session *session, const struct sumi_graph *graph,
                          struct sumi_exec **out, struct sumi_err *err) {
  const struct sumi_allocator *a = &session->allocator;
  struct sumi_exec *exec = sumi_alloc(a, sizeof *exec);
  if (!exec) SUMI_FAIL_MEMORY(err);
  exec->session = session;
  exec->graph = graph;
  sumi_arena_init(&exec->heap, a);
  exec->heap.limit_bytes = session->max_arena_bytes;
  sumi_arena_init(&exec->result[0], a);
  sumi_arena_init(&exec->result[1], a);
  exec->value = sumi_alloc(a, (graph->n_value + 1) * sizeof *exec->value);
  if (!exec->value) {
    sumi_exec_free(exec);
    SUMI_FAIL_MEMORY(err);
  }
  *out = exec;
  return SUMI_OK;
}

void sumi_exec_free(struct sumi_exec *exec) {
  if (!exec) return;
  const struct sumi_allocator *a = &exec->session->allocator;
  for (struct sumi_stage *s = exec->stages, *next; s; s = next) {
    next = s->next;
    sumi_stage_free(exec, s);
  }
  sumi_slicing_free_all(exec);
  for (size_t i = 0; i < exec->n_block; i++) sumi_free(a, exec->block[i].data, exec->block[i].bytes);
  sumi_free(a, exec->block, exec->cap_block * sizeof *exec->block);
  sumi_free(a, exec->buffer, exec->cap_buffer * sizeof *exec->buffer);
  sumi_free(a, exec->key, exec->cap_key * sizeof *exec->key);
  sumi_free(a, exec->value, (exec->graph->n_value + 1) * sizeof *exec->value);
  sumi_arena_fini(&exec->heap);
  sumi_arena_fini(&exec->result[0]);
  sumi_arena_fini(&exec->result[1]);
  sumi_free(a, exec, sizeof *exec);
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

static sumi_status key_add(struct sumi_exec *exec, const struct sumi_tensor *t, bool is_default,
                           struct sumi_err *err) {
  void *p = exec->key;
  if (!sumi_grow(&exec->session->allocator, &p, &exec->cap_key, exec->n_key + SUMI_MAX_RANK + 1,
                 sizeof *exec->key))
    SUMI_FAIL_MEMORY(err);
  exec->key = p;
  const int rank = t->kind == SUMI_TENSOR ? t->rank : 0;
  exec->key[exec->n_key++] = (int64_t)t->kind | (int64_t)t->dtype << 8 | (int64_t)rank << 16 |
                             (int64_t)is_default << 32 | (int64_t)t->key << 40;
  for (int i = 0; i < rank; i++) exec->key[exec->n_key++] = t->dim[i];
  return SUMI_OK;
}

sumi_status sumi_exec_key(struct sumi_exec *exec, const struct sumi_tensor *const *in, struct sumi_err *err) {
  exec->n_key = 0;
  for (size_t i = 0; i < exec->graph->n_input; i++) {
    const struct sumi_value *v = exec->graph->input[i];
    SUMI_TRY(key_add(exec, in[i], v->constant && in[i]->data == v->constant->data, err));
  }
  return SUMI_OK;
}

static sumi_status key_of_dynamic(struct sumi_exec *exec, const struct sumi_stage *s, struct sumi_err *err) {
  exec->n_key = 0;
  for (size_t i = 0; i < s->n_dynamic; i++)
    for (int k = 0; k < s->dynamic[i]->n_out; k++)
      if (s->dynamic[i]->out[k]) SUMI_TRY(key_add(exec, &exec->value[s->dynamic[i]->out[k]->id], false, err));
  return SUMI_OK;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static sumi_status reserve(struct sumi_exec *exec, const struct sumi_stage *s, size_t depth,
                           struct sumi_err *err) {
  const struct sumi_allocator *a = &exec->session->allocator;
  void *p = exec->buffer;
  if (!sumi_grow(a, &p, &exec->cap_buffer, s->plan.n_buffer + 1, sizeof *exec->buffer)) SUMI_FAIL_MEMORY(err);
  exec->buffer = p;
  p = exec->block;
  if (!sumi_grow(a, &p, &exec->cap_block, depth + 1, sizeof *exec->block)) SUMI_FAIL_MEMORY(err);
  exec->block = p;
  exec->n_block = SUMI_MAX(exec->n_block, depth + 1);
  struct sumi_block *block = &exec->block[depth];
  if (exec->session->device->guarded || !s->plan.arena_bytes || block->bytes >= s->plan.arena_bytes)
    return SUMI_OK;
  sumi_free(a, block->data, block->bytes);
  *block = (struct sumi_block){0};
  block->data = a->alloc(a->user, s->plan.arena_bytes,
                         SUMI_ALIGN); /* not zeroed: device audit poisons what nobody wrote */
  if (!block->data)
    SUMI_FAIL(err, SUMI_E_MEMORY, "out of memory: the intermediate values take %zu bytes",
              s->plan.arena_bytes);
  block->bytes = s->plan.arena_bytes;
  return SUMI_OK;
}

static void set_addresses(struct sumi_exec *exec, const struct sumi_stage *s, size_t depth) {
  const struct sumi_plan *plan = &s->plan;
  char *base = exec->block[depth].data;
  for (size_t i = 0; i < plan->n_buffer; i++) {
    const struct sumi_plan_buffer *b = &plan->buffer[i];
    switch (plan->buffer[b->root].kind) {
      case SUMI_BUFFER_ARENA:
      case SUMI_BUFFER_SCRATCH:
        exec->buffer[i] = s->guard ? (void *)s->guard[b->root].data : base + b->offset;
        break;
      case SUMI_BUFFER_CONSTANT: exec->buffer[i] = (void *)plan->buffer[b->root].data; break;
      case SUMI_BUFFER_GIVEN: exec->buffer[i] = exec->value[b->root].data; break;
      case SUMI_BUFFER_NONE: exec->buffer[i] = NULL; break;
    }
  }
  for (size_t i = 0; i < s->n_computed; i++) {
    const struct sumi_value *v = s->computed[i];
    const struct sumi_info *info = &s->info[v->id];
    struct sumi_tensor *t = &exec->value[v->id];
    *t = (struct sumi_tensor){.kind = info->kind, .dtype = info->dtype, .rank = info->rank};
    for (int k = 0; k < info->rank; k++) t->dim[k] = info->dim[k];
    t->data = info->data ? info->data->data : exec->buffer[v->id];
  }
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static void measure(struct sumi_timing *t, double seconds) {
  t->last_s = seconds;
  t->total_s += seconds;
  t->runs++;
}

/* After a step of a guarded device: nothing written around its buffers; what is dead is poisoned. */
static sumi_status audit_step(const struct sumi_stage *s, size_t k, struct sumi_err *err) {
  const struct sumi_step *step = &s->plan.step[k];
  for (int i = 0; i < step->n_reads + step->n_writes; i++) {
    const int id = i < step->n_reads ? step->reads[i] : step->writes[i - step->n_reads],
              root = s->plan.buffer[id].root;
    const struct sumi_guard *g = &s->guard[root];
    if (!g->map) continue;
    if (!sumi_guard_intact(g))
      SUMI_FAIL(err, SUMI_E_INTERNAL, "node '%s': %s wrote around buffer '%s'", step->node->name,
                step->kernel, s->plan.buffer[root].name);
    if (s->plan.buffer[root].last == (int)k) sumi_guard_poison(g);
  }
  return SUMI_OK;
}

/* Two steps by planes in turn, and what each takes of all threads' time. */
struct turns {
  const struct sumi_step *step; /* [2] */
  const struct sumi_run *run;
  bool timed;
  _Atomic uint64_t ns[2];
};

static void take_turns(void *user, int64_t begin, int64_t end, int worker) {
  struct turns *t = user;
  const struct sumi_step *step = t->step;
  char *some = t->run->buffer[step->writes[0]];
  some += (size_t)worker * (size_t)step->turn * step->planes->bytes;
  for (int64_t i = begin; i < end; i++)
    for (int k = 0; k < 2; k++) {
      const double t0 = t->timed ? sumi_clock_seconds() : 0;
      const int64_t p0 = i * step->turn, p1 = SUMI_MIN(p0 + step->turn, step->planes->n);
      step[k].planes->run(step[k].args, t->run, p0, p1, some, worker);
      if (t->timed) t->ns[k] += (uint64_t)((sumi_clock_seconds() - t0) * 1e9);
    }
}

/* Step k and the next. */
static sumi_status run_turns(struct sumi_stage *s, size_t k, const struct sumi_run *run) {
  const struct sumi_step *step = &s->plan.step[k];
  struct turns t = {.step = step, .run = run, .timed = s->timing != NULL};
  const double t0 = t.timed ? sumi_clock_seconds() : 0;
  sumi_par_for(run->par, (step->planes->n + step->turn - 1) / step->turn, 1, take_turns, &t);
  if (t.timed) {
    const double all = sumi_clock_seconds() - t0, first = (double)t.ns[0], both = first + (double)t.ns[1];
    const double share = both > 0 ? first / both : 0;
    measure(&s->timing[k], all * share);
    measure(&s->timing[k + 1], all * (1 - share));
  }
  return SUMI_OK;
}

static sumi_status run_step(struct sumi_stage *s, size_t k, const struct sumi_run *run) {
  const struct sumi_step *step = &s->plan.step[k];
  const double t0 = s->timing ? sumi_clock_seconds() : 0;
  const sumi_status status = step->fn(step->args, run);
  if (s->timing) measure(&s->timing[k], sumi_clock_seconds() - t0);
  return status;
}

static sumi_status run_steps(struct sumi_exec *exec, struct sumi_stage *s, struct sumi_err *err) {
  for (size_t i = 0; s->guard && i < s->plan.n_buffer; i++)
    if (s->guard[i].map) sumi_guard_poison(&s->guard[i]);
  const struct sumi_run run = {
      .buffer = exec->buffer, .par = exec->session->par, .random = &exec->session->random, .err = err};
  for (size_t k = 0, n; k < s->plan.n_step; k += n) {
    const bool turns = s->plan.step[k].turn > 0;
    n = turns ? 2 : 1;
    const sumi_status status = turns ? run_turns(s, k, &run) : run_step(s, k, &run);
    if (status != SUMI_OK) return sumi_node_fail(s->plan.step[k].node, err, status);
    for (size_t i = k; i < k + n && s->guard; i++) SUMI_TRY(audit_step(s, i, err));
  }
  return SUMI_OK;
}

/* ---- dynamic nodes -------------------------------------------------------------------------------------------- */

static sumi_status run_body(void *self, const struct sumi_graph *body, const struct sumi_tensor *const *in,
                            int n_in, const struct sumi_tensor **out, int n_out, struct sumi_err *err);

static struct sumi_info info_of(const struct sumi_tensor *t) {
  struct sumi_info info = {.kind = t->kind,
                           .dtype = t->dtype,
                           .rank = t->kind == SUMI_TENSOR ? t->rank : -1,
                           .data = t,
                           .key = t->key};
  for (int i = 0; i < info.rank; i++) info.dim[i] = t->dim[i];
  return info;
}

/* Gives the outputs of a node that is not DYNAMIC the shapes that inference found with all data known. */
static sumi_status allocate_outputs(struct sumi_exec *exec, const struct sumi_node *node,
                                    const struct sumi_info *out, struct sumi_err *err) {
  for (int i = 0; i < node->n_out; i++) {
    if (!node->out[i]) continue;
    struct sumi_tensor *t = &exec->value[node->out[i]->id];
    *t = (struct sumi_tensor){.kind = out[i].kind, .dtype = out[i].dtype, .rank = out[i].rank};
    if (out[i].kind != SUMI_TENSOR) continue;
    SUMI_ASSERT(err, out[i].rank >= 0 && out[i].dtype != SUMI_UNDEFINED);
    for (int k = 0; k < out[i].rank; k++) t->dim[k] = out[i].dim[k];
    size_t bytes;
    SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
    if (bytes > exec->session->max_tensor_bytes)
      SUMI_FAIL(err, SUMI_E_LIMIT, "output %d takes %zu bytes, more than max_tensor_bytes", i, bytes);
    if (!(t->data = sumi_arena_alloc(&exec->heap, bytes))) SUMI_FAIL_MEMORY(err);
  }
  return SUMI_OK;
}

static sumi_status call_dynamic(struct sumi_exec *exec, const struct sumi_node *node, struct sumi_err *err) {
  struct sumi_arena *heap = &exec->heap;
  const size_t n_in = (size_t)node->n_in, n_out = (size_t)node->n_out;
  struct sumi_info *info = SUMI_NEW_ARRAY(heap, n_in + n_out, struct sumi_info);
  const struct sumi_tensor **in = SUMI_NEW_ARRAY(heap, n_in, const struct sumi_tensor *);
  struct sumi_tensor **out = SUMI_NEW_ARRAY(heap, n_out, struct sumi_tensor *);
  if (!info || !in || !out) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n_in; i++) {
    in[i] = node->in[i] ? &exec->value[node->in[i]->id] : NULL;
    info[i] = in[i] ? info_of(in[i]) : (struct sumi_info){.rank = -1, .absent = true};
  }
  for (size_t i = 0; i < n_out; i++) {
    out[i] = node->out[i] ? &exec->value[node->out[i]->id] : NULL;
    info[n_in + i] = (struct sumi_info){.rank = -1, .absent = !out[i]};
    if (out[i]) *out[i] = (struct sumi_tensor){0};
  }
  const struct sumi_bodies bodies = {exec, run_body};
  struct sumi_infer infer = {.node = node,
                             .arena = heap,
                             .n_in = node->n_in,
                             .n_out = node->n_out,
                             .in = info,
                             .out = info + n_in,
                             .err = err};
  if (!(node->op->flags & SUMI_OP_CONTROL)) SUMI_TRY(sumi_infer_node(&infer));
  struct sumi_call call = {.node = node,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = in,
                           .out = out,
                           .heap = heap,
                           .bodies = &bodies,
                           .random = &exec->session->random,
                           .err = err};
  if (!(node->op->flags & (SUMI_OP_DYNAMIC | SUMI_OP_CONTROL)))
    SUMI_TRY(allocate_outputs(exec, node, info + n_in, err));
  size_t bytes;
  SUMI_TRY(sumi_call_scratch(&call, &bytes));
  if (bytes && !(call.scratch = sumi_arena_alloc(heap, bytes))) SUMI_FAIL_MEMORY(err);
  return node->op->ref(&call);
}

static sumi_status run_dynamic(struct sumi_exec *exec, struct sumi_stage *s, struct sumi_err *err) {
  for (size_t i = 0; i < s->n_dynamic; i++) {
    const double t0 = s->timing ? sumi_clock_seconds() : 0;
    const sumi_status status = call_dynamic(exec, s->dynamic[i], err);
    if (s->timing) measure(&s->timing[s->plan.n_step + i], sumi_clock_seconds() - t0);
    if (status != SUMI_OK) return sumi_node_fail(s->dynamic[i], err, status);
  }
  return SUMI_OK;
}

/* ---- runs ----------------------------------------------------------------------------------------------------- */

static void set_constants(struct sumi_exec *exec) {
  for (size_t i = 0; i < exec->graph->n_value; i++) {
    const struct sumi_value *v = exec->graph->value[i];
    if (v->constant && !v->is_input) exec->value[i] = *v->constant;
  }
}

sumi_status sumi_exec_prepare(struct sumi_exec *exec, const struct sumi_tensor *const *in,
                              struct sumi_stage **stage, struct sumi_err *err) {
  set_constants(exec);
  for (size_t i = 0; i < exec->graph->n_input; i++) exec->value[exec->graph->input[i]->id] = *in[i];
  SUMI_TRY(sumi_exec_key(exec, in, err));
  SUMI_TRY(sumi_stage_get(exec, NULL, &exec->stages, stage, err));
  return reserve(exec, *stage, 0, err);
}

static sumi_status run_stages(struct sumi_exec *exec, struct sumi_stage *s, struct sumi_err *err) {
  for (size_t depth = 0;; depth++) {
    if (depth >= SUMI_MAX_STAGES) SUMI_FAIL(err, SUMI_E_LIMIT, "more than %d stages", SUMI_MAX_STAGES);
    SUMI_TRY(reserve(exec, s, depth, err));
    set_addresses(exec, s, depth);
    SUMI_TRY(run_steps(exec, s, err));
    SUMI_TRY(run_dynamic(exec, s, err));
    if (s->last) return SUMI_OK;
    SUMI_TRY(key_of_dynamic(exec, s, err));
    SUMI_TRY(sumi_stage_get(exec, s, &s->children, &s, err));
  }
}

sumi_status sumi_exec_run(struct sumi_exec *exec, const struct sumi_tensor *const *in, struct sumi_err *err) {
  if (exec->running) SUMI_FAIL(err, SUMI_E_INTERNAL, "graph '%s' runs inside itself", exec->graph->name);
  struct sumi_stage *s;
  sumi_arena_reset(&exec->heap);
  SUMI_TRY(sumi_exec_prepare(exec, in, &s, err));
  const uint64_t mode = sumi_float_mode();
  if (exec->session->device->flushes) sumi_float_mode_set(sumi_float_mode_flushing(mode));
  exec->running = true;
  const sumi_status status = run_stages(exec, s, err);
  exec->running = false;
  sumi_float_mode_set(mode);
  return status;
}

static sumi_status exec_of_body(struct sumi_session *session, const struct sumi_graph *body,
                                struct sumi_exec **out, struct sumi_err *err) {
  for (struct sumi_exec *e = session->execs; e; e = e->next)
    if (e->graph == body) {
      *out = e;
      return SUMI_OK;
    }
  SUMI_TRY(sumi_exec_new(session, body, out, err));
  (*out)->next = session->execs->next;
  session->execs->next = *out;
  return SUMI_OK;
}

/* The outputs are copied, so that they outlive the body's next run. */
static sumi_status run_body(void *self, const struct sumi_graph *body, const struct sumi_tensor *const *in,
                            int n_in, const struct sumi_tensor **out, int n_out, struct sumi_err *err) {
  struct sumi_exec *exec;
  SUMI_ASSERT(err, (size_t)n_in == body->n_input && (size_t)n_out <= body->n_output);
  for (int i = 0; i < n_in; i++) SUMI_ASSERT(err, in[i]);
  SUMI_TRY(exec_of_body(((struct sumi_exec *)self)->session, body, &exec, err));
  SUMI_TRY(sumi_exec_run(exec, in, err));
  struct sumi_arena *result = &exec->result[exec->turn];
  exec->turn ^= 1;
  sumi_arena_reset(result);
  for (int i = 0; i < n_out; i++) {
    struct sumi_tensor *copy = SUMI_NEW(result, struct sumi_tensor);
    if (!copy) SUMI_FAIL_MEMORY(err);
    const struct sumi_call call = {.n_out = 1, .out = &copy, .heap = result, .err = err};
    SUMI_TRY(sumi_call_output_copy(&call, 0, &exec->value[body->output[i]->id]));
    out[i] = copy;
  }
  return SUMI_OK;
}
