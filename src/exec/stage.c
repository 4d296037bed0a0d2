/* Making a stage: infer from what is known, sort nodes into planned, dynamic and later ones, lower, place. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/size.h"
#include "exec/slice.h"

/* What depends on shapes only is computed when preparing and lies in the plan. Small results always: shape arithmetic;
 * larger ones, position by position tables of attention, up to a total that bounds what each plan holds. */
enum { FOLD_BYTES = 64 << 10, FOLD_TABLE_BYTES = 1 << 20, FOLD_TOTAL_BYTES = 8 << 20, MAX_CHILDREN = 16 };

struct builder {
  struct sumi_exec *exec;
  struct sumi_stage *stage, *parent;
  bool *available; /* [n_value] has shape and data when this stage's next step runs */
  uint32_t *uses;  /* [n_value] uses still to come, summed at the root of what shares memory */
  struct sumi_text refusals;
  struct sumi_err *err;
};

static bool is_planned(const struct sumi_info *info) {
  if (info->kind != SUMI_TENSOR || info->rank < 0 || info->dtype == SUMI_UNDEFINED ||
      info->dtype == SUMI_STRING)
    return false;
  for (int i = 0; i < info->rank; i++)
    if (info->dim[i] < 0) return false;
  return true;
}

/* What is known of a value that is there (an input, or the result of an earlier stage). */
static struct sumi_info info_of_tensor(const struct sumi_tensor *t, bool with_data) {
  struct sumi_info info = {
      .kind = t->kind, .dtype = t->dtype, .rank = t->kind == SUMI_TENSOR ? t->rank : -1, .key = t->key};
  for (int i = 0; i < info.rank; i++) info.dim[i] = t->dim[i];
  if (with_data && t->data) info.data = t;
  return info;
}

/* A node is about to be computed: what it reads is there. */
static void need_node(void *model, const struct sumi_node *node) { sumi_model_need(model, node, false); }

/* Infos of all values, as far as they follow from what is there. */
static sumi_status infer_stage(struct builder *b) {
  const struct sumi_graph *g = b->exec->graph;
  struct sumi_stage *s = b->stage;
  struct sumi_info *in = SUMI_NEW_ARRAY(&s->plan.arena, g->n_input, struct sumi_info);
  if (!in) SUMI_FAIL_MEMORY(b->err);
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_value *v = g->input[i];
    const struct sumi_tensor *t = &b->exec->value[v->id];
    in[i] = info_of_tensor(t, v->constant && t->data == v->constant->data);
    if (in[i].data) in[i].data = v->constant;
  }
  if (b->parent) {
    memcpy(s->done, b->parent->done, g->n_node * sizeof *s->done);
    for (size_t i = 0; i < g->n_node; i++)
      for (int k = 0; s->done[i] && k < g->node[i]->n_out; k++) {
        const struct sumi_value *v = g->node[i]->out[k];
        if (!v) continue;
        const struct sumi_info *known = &b->parent->info[v->id];
        /* what an earlier stage folded lies in its plan, which lives as long as this one */
        s->info[v->id] = known->data ? *known : info_of_tensor(&b->exec->value[v->id], false);
      }
  }
  const struct sumi_infer_job job = {.graph = g,
                                     .in = in,
                                     .arena = &s->plan.arena,
                                     .fold_bytes = FOLD_BYTES,
                                     .fold_more_bytes = FOLD_TABLE_BYTES,
                                     .fold_total_bytes = FOLD_TOTAL_BYTES,
                                     .before = need_node,
                                     .user = b->exec->session->model,
                                     .skip = s->done,
                                     .info = s->info};
  return sumi_graph_infer(&job, b->err);
}

/* ---- lowering one node ---------------------------------------------------------------------------------------- */

static sumi_status set_value_buffer(struct builder *b, const struct sumi_value *v) {
  struct sumi_plan_buffer *buffer = &b->stage->plan.buffer[v->id];
  const struct sumi_info *info = &b->stage->info[v->id];
  SUMI_TRY(sumi_shape_bytes(info->dtype, info->dim, info->rank, &buffer->bytes, b->err));
  if (buffer->bytes > b->exec->session->max_tensor_bytes)
    SUMI_FAIL(b->err, SUMI_E_LIMIT, "value '%s' takes %zu bytes, more than max_tensor_bytes", v->name,
              buffer->bytes);
  if (b->stage->layout[v->id].v) buffer->bytes = b->stage->layout[v->id].bytes;
  buffer->kind = SUMI_BUFFER_ARENA;
  return SUMI_OK;
}

/* The buffer of a value that is there before this stage's steps. */
static void set_given_buffer(struct builder *b, size_t id) {
  struct sumi_plan_buffer *buffer = &b->stage->plan.buffer[id];
  const struct sumi_info *info = &b->stage->info[id];
  if (buffer->kind != SUMI_BUFFER_NONE) return;
  buffer->kind = info->data ? SUMI_BUFFER_CONSTANT : SUMI_BUFFER_GIVEN;
  buffer->data = info->data ? info->data->data : NULL;
  if (is_planned(info) &&
      sumi_shape_bytes(info->dtype, info->dim, info->rank, &buffer->bytes, NULL) != SUMI_OK)
    buffer->bytes = 0;
}

/* Known to the device only. */
static bool is_inside(const struct sumi_stage *s, const struct sumi_value *v) {
  return s->code && s->code->inside[v->id];
}

static int root(const struct sumi_plan *plan, size_t v) { return sumi_plan_root(plan, (int)v); }

/* Whether the memory of v is the plan's and this use of it the only one still to come. */
static bool last_use(const struct builder *b, const struct sumi_value *v) {
  const int r = root(&b->stage->plan, v->id);
  return b->stage->plan.buffer[r].kind == SUMI_BUFFER_ARENA && b->uses[r] == 1;
}

static sumi_status lower_node(struct builder *b, const struct sumi_node *node) {
  struct sumi_stage *s = b->stage;
  struct sumi_arena *arena = &s->plan.arena;
  const size_t n_in = (size_t)node->n_in, n_out = (size_t)node->n_out;
  struct sumi_tensor *t = SUMI_NEW_ARRAY(arena, n_in + n_out, struct sumi_tensor);
  const struct sumi_tensor **in = SUMI_NEW_ARRAY(arena, n_in + n_out, const struct sumi_tensor *),
                           **out = in ? in + n_in : NULL;
  int *in_buffer = SUMI_NEW_ARRAY(arena, n_in + n_out, int),
      *out_buffer = in_buffer ? in_buffer + n_in : NULL;
  struct sumi_layout *layout = SUMI_NEW_ARRAY(arena, n_in + n_out, struct sumi_layout);
  bool *dies = SUMI_NEW_ARRAY(arena, n_in + 1, bool);
  if (!t || !in || !in_buffer || !layout || !dies) SUMI_FAIL_MEMORY(b->err);
  for (size_t i = 0; i < n_in + n_out; i++) {
    const struct sumi_value *v = i < n_in ? node->in[i] : node->out[i - n_in];
    in_buffer[i] = v ? (int)v->id : -1;
    if (!v) continue;
    t[i] = sumi_info_tensor(&s->info[v->id]);
    in[i] = &t[i];
    layout[i] = s->layout[v->id];
    if (i >= n_in || is_inside(s, v)) continue;
    set_given_buffer(b, v->id);
    dies[i] = last_use(b, v);
  }
  const struct sumi_session *session = b->exec->session;
  const struct sumi_packs packs = sumi_model_packs(session->model);
  struct sumi_lower l = {.node = node,
                         .n_in = node->n_in,
                         .n_out = node->n_out,
                         .in = in,
                         .out = out,
                         .in_buffer = in_buffer,
                         .out_buffer = out_buffer,
                         .in_layout = layout,
                         .out_layout = layout + n_in,
                         .isa = session->isa,
                         .threads = session->threads,
                         .lists = session->lists,
                         .packs = &packs,
                         .code = s->code,
                         .dies = dies,
                         .spent = SUMI_NEW_ARRAY(arena, n_in, bool),
                         .arena = arena,
                         .plan = &s->plan,
                         .refusals = &b->refusals,
                         .err = b->err};
  if (!l.spent) SUMI_FAIL_MEMORY(b->err);
  b->refusals.size = 0;
  sumi_model_need(session->model, node, false);
  const sumi_status status = session->device->lower(&l);
  sumi_model_settle(session->model, node, l.spent);
  return status == SUMI_OK ? SUMI_OK : sumi_node_fail(node, b->err, status);
}

/* ---- sharing memory ------------------------------------------------------------------------------------------- */

/* A view's output is its input's memory, unless the caller would get its own input back as an output. */
static bool share_view(struct builder *b, const struct sumi_node *node) {
  struct sumi_plan *plan = &b->stage->plan;
  if (!(node->op->flags & SUMI_OP_VIEW) || !node->in[0] || !node->out[0]) return false;
  for (int i = 1; i < node->n_out; i++)
    if (node->out[i]) return false;
  const struct sumi_value *from = node->in[0], *to = node->out[0];
  set_given_buffer(b, from->id);
  if (plan->buffer[from->id].bytes != plan->buffer[to->id].bytes) return false;
  if (!b->stage->layout[from->id].v != !b->stage->layout[to->id].v) return false;
  const int r = root(plan, from->id);
  if (to->is_output && plan->buffer[r].kind != SUMI_BUFFER_ARENA) return false;
  sumi_plan_share(plan, (int)to->id, r);
  b->uses[r] += b->uses[to->id];
  return true;
}

static bool share_in_place(struct builder *b, const struct sumi_node *node) {
  struct sumi_plan *plan = &b->stage->plan;
  if (!(node->op->flags & SUMI_OP_IN_PLACE)) return false;
  if (!node->in[0] || !node->out[0]) return false;
  const size_t from = node->in[0]->id, to = node->out[0]->id;
  const int r = root(plan, from);
  if (b->stage->layout[from].v || b->stage->layout[to].v) return false;
  if (!last_use(b, node->in[0]) || plan->buffer[r].bytes != plan->buffer[to].bytes) return false;
  for (int i = 1; i < node->n_in; i++)
    if (node->in[i] && root(plan, node->in[i]->id) == r) return false;
  sumi_plan_share(plan, (int)to, r);
  b->uses[r] += b->uses[to];
  return true;
}

/* The lowering may have let the output lie over an input: sumi_lower_over(). */
static void follow_over(struct builder *b, const struct sumi_node *node) {
  if (!node->out[0]) return;
  const size_t to = node->out[0]->id;
  const int r = root(&b->stage->plan, to);
  if (r != (int)to) b->uses[r] += b->uses[to];
}

static sumi_status plan_node(struct builder *b, const struct sumi_node *node) {
  struct sumi_stage *s = b->stage;
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && !is_inside(s, node->out[i])) {
      const sumi_status status = set_value_buffer(b, node->out[i]);
      if (status != SUMI_OK) return sumi_node_fail(node, b->err, status);
    }
  if (s->code && s->code->taken[node->id]) {
    SUMI_TRY(lower_node(b, node));
  } else if (share_view(b, node)) {
    sumi_model_need(b->exec->session->model, node, true);
  } else {
    const bool shared = share_in_place(b, node);
    SUMI_TRY(lower_node(b, node));
    if (!shared) follow_over(b, node);
  }
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i]) b->uses[root(&s->plan, node->in[i]->id)]--;
  return SUMI_OK;
}

/* ---- sorting nodes -------------------------------------------------------------------------------------------- */

static bool inputs_available(const struct builder *b, const struct sumi_node *node) {
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i] && !b->available[node->in[i]->id]) return false;
  return true;
}

static bool can_plan(const struct builder *b, const struct sumi_node *node) {
  if (node->op->flags & (SUMI_OP_DYNAMIC | SUMI_OP_CONTROL)) return false;
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i] && b->stage->info[node->in[i]->id].kind != SUMI_TENSOR) return false;
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && !is_planned(&b->stage->info[node->out[i]->id])) return false;
  return true;
}

enum turn { LATER, DONE, FOLDED, PLANNED, DYNAMIC }; /* when a node runs, seen from this stage */

/* When every node runs; outputs of those that run become available to the nodes behind them. */
static void find_turns(struct builder *b, enum turn *turn) {
  const struct sumi_graph *g = b->exec->graph;
  for (size_t i = 0; i < g->n_node; i++) {
    const struct sumi_node *node = g->node[i];
    const bool ready = inputs_available(b, node);
    turn[i] = b->stage->done[i]                       ? DONE
              : sumi_node_known(node, b->stage->info) ? FOLDED
              : !ready                                ? LATER
              : can_plan(b, node)                     ? PLANNED
                                                      : DYNAMIC;
    for (int k = 0; k < node->n_out && (turn[i] == FOLDED || turn[i] == PLANNED); k++)
      if (node->out[k]) b->available[node->out[k]->id] = true;
  }
}

/* Plans or notes a node according to its turn. */
static sumi_status take_node(struct builder *b, const struct sumi_node *node, enum turn turn) {
  struct sumi_stage *s = b->stage;
  if (turn == DONE) return SUMI_OK;
  if (turn == LATER)
    s->last = false;
  else
    s->done[node->id] = true;
  if (turn == PLANNED) SUMI_TRY(plan_node(b, node));
  if (turn == DYNAMIC) {
    sumi_model_need(b->exec->session->model, node, true);
    s->dynamic[s->n_dynamic++] = node;
  }
  for (int k = 0; k < node->n_out && (turn == FOLDED || turn == PLANNED); k++) {
    if (!node->out[k] || is_inside(s, node->out[k])) continue;
    if (turn == FOLDED) set_given_buffer(b, node->out[k]->id);
    s->computed[s->n_computed++] = node->out[k];
  }
  for (int k = 0; k < node->n_in && (turn == DYNAMIC || turn == LATER); k++)
    if (node->in[k] && b->available[node->in[k]->id])
      sumi_plan_keep(&s->plan, root(&s->plan, node->in[k]->id));
  return SUMI_OK;
}

/* ---- devices that look at more than one node ----------------------------------------------------------------------- */

static bool part_of_batch(void *self, int64_t each, const struct sumi_info **info, const bool **carries) {
  struct builder *b = self;
  return sumi_items_part(b->exec->session, each, &b->stage->plan.arena, info, carries);
}

static sumi_status begin_device(struct builder *b, const bool *planned) {
  struct sumi_session *session = b->exec->session;
  const struct sumi_graph *g = b->exec->graph;
  for (size_t i = 0; i < g->n_node; i++)
    if (planned[i]) sumi_model_need(session->model, g->node[i], true);
  const bool whole = b->exec == session->execs && !b->parent;
  const struct sumi_device_stage s = {.graph = g,
                                      .planned = planned,
                                      .info = b->stage->info,
                                      .card = session->card,
                                      .arena = &b->stage->plan.arena,
                                      .allocator = &session->allocator,
                                      .narrow = session->precision == SUMI_PRECISION_BF16,
                                      .items = whole ? sumi_items(session) : 1,
                                      .part = part_of_batch,
                                      .self = b,
                                      .err = b->err};
  return session->device->begin(&s, &b->stage->code);
}

static sumi_status sort_nodes(struct builder *b) {
  const struct sumi_graph *g = b->exec->graph;
  struct sumi_stage *s = b->stage;
  enum turn *turn = SUMI_NEW_ARRAY(&s->plan.arena, g->n_node, enum turn);
  bool *planned = SUMI_NEW_ARRAY(&s->plan.arena, g->n_node, bool);
  s->dynamic = SUMI_NEW_ARRAY(&s->plan.arena, g->n_node, const struct sumi_node *);
  s->computed = SUMI_NEW_ARRAY(&s->plan.arena, g->n_value, struct sumi_value *);
  if (!turn || !planned || !s->dynamic || !s->computed) SUMI_FAIL_MEMORY(b->err);
  s->last = true;
  find_turns(b, turn);
  for (size_t i = 0; i < g->n_node; i++) planned[i] = turn[i] == PLANNED;
  const struct sumi_device *device = b->exec->session->device;
  if (device->begin)
    SUMI_TRY(begin_device(b, planned));
  else if (device->machine_passes)
    SUMI_TRY(sumi_stage_assign_layouts(b->exec, s, planned, b->err));
  for (size_t i = 0; i < g->n_node; i++) {
    const size_t id = s->code ? s->code->order[i] : i;
    SUMI_TRY(take_node(b, g->node[id], turn[id]));
  }
  if (!s->last && !s->n_dynamic) SUMI_FAIL(b->err, SUMI_E_INTERNAL, "nothing can run, but nodes are left");
  for (size_t i = 0; i < g->n_output; i++) {
    const size_t id = g->output[i]->id;
    if (b->available[id]) sumi_plan_keep(&s->plan, root(&s->plan, id));
  }
  return SUMI_OK;
}

static sumi_status start(struct builder *b) {
  const struct sumi_graph *g = b->exec->graph;
  struct sumi_stage *s = b->stage;
  s->info = SUMI_NEW_ARRAY(&s->plan.arena, g->n_value, struct sumi_info);
  s->layout = SUMI_NEW_ARRAY(&s->plan.arena, g->n_value, struct sumi_layout);
  s->done = SUMI_NEW_ARRAY(&s->plan.arena, g->n_node, bool);
  b->available = SUMI_NEW_ARRAY(&s->plan.arena, g->n_value, bool);
  b->uses = SUMI_NEW_ARRAY(&s->plan.arena, g->n_value, uint32_t);
  if (!s->info || !s->layout || !s->done || !b->available || !b->uses) SUMI_FAIL_MEMORY(b->err);
  SUMI_TRY(infer_stage(b));
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    b->available[i] = !v->producer || s->done[v->producer->id];
  }
  for (size_t i = 0; i < g->n_node; i++)
    for (int k = 0; !s->done[i] && k < g->node[i]->n_in; k++)
      if (g->node[i]->in[k]) b->uses[g->node[i]->in[k]->id]++;
  for (size_t i = 0; i < g->n_output; i++) b->uses[g->output[i]->id]++;
  return SUMI_OK;
}

static sumi_status finish(struct builder *b) {
  struct sumi_stage *s = b->stage;
  const struct sumi_session *session = b->exec->session;
  SUMI_TRY(sumi_plan_finish(&s->plan, b->err));
  if (s->plan.arena_bytes > session->max_arena_bytes)
    SUMI_FAIL(b->err, SUMI_E_LIMIT, "these shapes need an arena of %zu bytes, more than max_arena_bytes",
              s->plan.arena_bytes);
  if (session->profile) {
    s->timing = SUMI_NEW_ARRAY(&s->plan.arena, s->plan.n_step + s->n_dynamic, struct sumi_timing);
    if (!s->timing) SUMI_FAIL_MEMORY(b->err);
  }
  if (!session->device->guarded) return SUMI_OK;
  s->guard = SUMI_NEW_ARRAY(&s->plan.arena, s->plan.n_buffer, struct sumi_guard);
  if (!s->guard) SUMI_FAIL_MEMORY(b->err);
  for (size_t i = 0; i < s->plan.n_buffer; i++) {
    const struct sumi_plan_buffer *buffer = &s->plan.buffer[i];
    if ((buffer->kind == SUMI_BUFFER_ARENA || buffer->kind == SUMI_BUFFER_SCRATCH) &&
        buffer->root == (int)i && buffer->first <= buffer->last)
      SUMI_TRY(sumi_guard_init(&s->guard[i], buffer->bytes, b->err));
  }
  return SUMI_OK;
}

void sumi_stage_free(struct sumi_exec *exec, struct sumi_stage *stage) {
  const struct sumi_allocator *a = &exec->session->allocator;
  for (struct sumi_stage *child = stage->children, *next; child; child = next) {
    next = child->next;
    sumi_stage_free(exec, child);
  }
  for (size_t i = 0; stage->guard && i < stage->plan.n_buffer; i++) sumi_guard_fini(&stage->guard[i]);
  if (stage->code) exec->session->device->end(stage->code);
  sumi_plan_fini(&stage->plan);
  sumi_free(a, stage->key, stage->n_key * sizeof *stage->key);
  sumi_free(a, stage, sizeof *stage);
}

static sumi_status make_stage(struct sumi_exec *exec, struct sumi_stage *parent, struct sumi_stage **out,
                              struct sumi_err *err) {
  const struct sumi_allocator *a = &exec->session->allocator;
  struct sumi_stage *s = sumi_alloc(a, sizeof *s);
  if (!s) SUMI_FAIL_MEMORY(err);
  s->key = sumi_alloc(a, exec->n_key * sizeof *s->key);
  s->n_key = exec->n_key;
  struct builder b = {.exec = exec, .stage = s, .parent = parent, .err = err};
  sumi_text_init(&b.refusals, a);
  sumi_status status = s->key ? sumi_plan_init(&s->plan, exec->graph, exec->session->threads, a, err)
                              : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (s->key && s->n_key) memcpy(s->key, exec->key, s->n_key * sizeof *s->key);
  sumi_model_begin_stage(exec->session->model);
  if (status == SUMI_OK) status = start(&b);
  if (status == SUMI_OK) status = sort_nodes(&b);
  if (status == SUMI_OK) status = finish(&b);
  sumi_model_end_stage(exec->session->model);
  sumi_text_fini(&b.refusals);
  if (status != SUMI_OK)
    sumi_stage_free(exec, s);
  else
    *out = s;
  return status;
}

sumi_status sumi_stage_get(struct sumi_exec *exec, struct sumi_stage *parent, struct sumi_stage **list,
                           struct sumi_stage **out, struct sumi_err *err) {
  const size_t most = parent ? MAX_CHILDREN : (size_t)exec->session->max_plans;
  for (struct sumi_stage **p = list; *p; p = &(*p)->next) {
    struct sumi_stage *s = *p;
    if (s->n_key != exec->n_key || (s->n_key && memcmp(s->key, exec->key, s->n_key * sizeof *s->key)))
      continue;
    *p = s->next; /* to the front */
    s->next = *list;
    *list = s;
    *out = s;
    return SUMI_OK;
  }
  struct sumi_stage *s = NULL;
  SUMI_TRY(make_stage(exec, parent, &s, err));
  s->next = *list;
  *list = s;
  size_t kept = 0;
  for (struct sumi_stage **p = list; *p;) {
    if (++kept <= most) {
      p = &(*p)->next;
      continue;
    }
    struct sumi_stage *old = *p;
    *p = old->next;
    sumi_stage_free(exec, old);
  }
  *out = s;
  return SUMI_OK;
}
