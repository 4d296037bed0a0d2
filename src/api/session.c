/* Sessions: argument checks, then room exec. */
#include <sumi/card.h>

#include "api/api_int.h"

/* A device that works on a card gets one of the session's own where the caller gives none. */
static sumi_status own_card(struct sumi_session_options *o, struct sumi_card **card, struct sumi_err *err) {
  const struct sumi_device *device = o->device ? sumi_device_find(o->device) : NULL;
  *card = NULL;
  if (!device || !device->begin || o->card) return SUMI_OK;
  const struct sumi_card_options options = {.size = sizeof options, .allocator = o->allocator};
  SUMI_TRY(sumi_card_open(&options, card, err));
  o->card = *card;
  return SUMI_OK;
}

sumi_status sumi_session_new(struct sumi_model *model, const struct sumi_session_options *options,
                             struct sumi_session **session, struct sumi_err *err) {
  struct sumi_session_options o;
  SUMI_TAKE(o, options);
  if (!session) SUMI_FAIL(err, SUMI_E_ARG, "no place for the session is given");
  *session = NULL;
  if (!model) SUMI_FAIL(err, SUMI_E_ARG, "no model is given");
  struct sumi_card *card;
  SUMI_TRY(own_card(&o, &card, err));
  const sumi_status status = sumi_session_init(model, &o, session, err);
  if (status == SUMI_OK)
    (*session)->own_card = card;
  else
    sumi_card_close(card);
  return status;
}

void sumi_session_free(struct sumi_session *session) {
  struct sumi_card *card = session ? session->own_card : NULL;
  sumi_session_fini(session);
  sumi_card_close(card);
}

sumi_status sumi_session_prepare(struct sumi_session *session, const struct sumi_view *inputs,
                                 size_t n_inputs, struct sumi_err *err) {
  struct sumi_stage *stage;
  if (!session) SUMI_FAIL(err, SUMI_E_ARG, "no session is given");
  SUMI_TRY(sumi_views_check(inputs, n_inputs, "input", err));
  return sumi_session_plan(session, inputs, n_inputs, &stage, err);
}

sumi_status sumi_session_run(struct sumi_session *session, const struct sumi_view *inputs, size_t n_inputs,
                             struct sumi_view *outputs, size_t n_outputs, struct sumi_err *err) {
  if (!session) SUMI_FAIL(err, SUMI_E_ARG, "no session is given");
  SUMI_TRY(sumi_views_check(inputs, n_inputs, "input", err));
  SUMI_TRY(sumi_views_check(outputs, n_outputs, "output", err));
  return sumi_session_execute(session, inputs, n_inputs, outputs, n_outputs, err);
}

static size_t guarded_bytes(const struct sumi_exec *e) {
  size_t total = 0;
  for (const struct sumi_stage *s = e->stages; s; s = s->next)
    for (size_t i = 0; s->guard && i < s->plan.n_buffer; i++) total += s->guard[i].map_bytes;
  return total;
}

sumi_status sumi_session_memory(const struct sumi_session *session, struct sumi_memory_info *info) {
  if (!session || !info) return SUMI_E_ARG;
  struct sumi_memory_info m = {.weight_bytes = sumi_model_weight_bytes(session->model),
                               .packed_bytes = session->model->pack_bytes,
                               .is_static = session->is_static};
  for (int i = 0; i < SUMI_N_DEFAULTS; i++) {
    const struct sumi_exec *form = session->form[i];
    for (const struct sumi_exec *e = form; e; e = e->next) {
      for (size_t k = 0; k < e->n_block; k++) m.arena_bytes += e->block[k].bytes;
      m.arena_bytes += guarded_bytes(e);
    }
    for (const struct sumi_stage *s = form ? form->stages : NULL; s; s = s->next) m.plans++;
  }
  SUMI_GIVE(info, m);
  return SUMI_OK;
}

/* ---- profile and plans ---------------------------------------------------------------------------------------- */

/* What there is to say of step k of a stage (its dynamic nodes follow the plan's steps). */
static const struct sumi_node *node_of(const struct sumi_stage *s, size_t k) {
  return k < s->plan.n_step ? s->plan.step[k].node : s->dynamic[k - s->plan.n_step];
}

static const char *kernel_of(const struct sumi_stage *s, size_t k) {
  return k < s->plan.n_step ? s->plan.step[k].kernel : "ref (at run time)";
}

struct walk {
  const struct sumi_session *session;
  bool (*visit)(void *user, const struct sumi_stage *s, size_t k);
  void *user;
};

/* The most recently used stage of every graph, and of each what followed it last. */
static bool walk_steps(const struct walk *w) {
  for (const struct sumi_exec *e = w->session->execs; e; e = e->next)
    for (const struct sumi_stage *s = e->stages; s; s = s->children)
      for (size_t k = 0; k < s->plan.n_step + s->n_dynamic; k++)
        if (!w->visit(w->user, s, k)) return false;
  return true;
}

struct profile_user {
  bool (*visit)(void *user, const struct sumi_profile_entry *entry);
  void *user;
};

static bool visit_profile(void *user, const struct sumi_stage *s, size_t k) {
  const struct profile_user *u = user;
  const struct sumi_node *node = node_of(s, k);
  const struct sumi_profile_entry e = {.size = sizeof e,
                                       .node = node->name,
                                       .op = node->op_name,
                                       .kernel = kernel_of(s, k),
                                       .seconds = s->timing[k].last_s,
                                       .total_s = s->timing[k].total_s,
                                       .runs = s->timing[k].runs};
  return u->visit(u->user, &e);
}

sumi_status sumi_session_profile(const struct sumi_session *session,
                                 bool (*visit)(void *user, const struct sumi_profile_entry *entry),
                                 void *user, struct sumi_err *err) {
  if (!session || !visit) SUMI_FAIL(err, SUMI_E_ARG, "no session or visitor is given");
  if (!session->profile) SUMI_FAIL(err, SUMI_E_STATE, "the session was made without profile");
  struct profile_user u = {visit, user};
  walk_steps(&(struct walk){session, visit_profile, &u});
  return SUMI_OK;
}

struct step_user {
  bool (*visit)(void *user, const struct sumi_step_info *info);
  void *user;
  const struct sumi_session *session;
  struct sumi_text shapes;
  struct sumi_arena arena;
};

static void add_shapes(struct sumi_text *t, const struct sumi_stage *s, struct sumi_value *const *v, int n) {
  for (int i = 0; i < n; i++) {
    char dims[160];
    if (!v[i]) continue;
    const struct sumi_info *info = &s->info[v[i]->id];
    sumi_text_add(t, "%s%s%s", i ? ", " : "", sumi_dtype_label(info->dtype),
                  info->rank < 0 ? "[?]" : sumi_shape_print(info->dim, info->rank, dims, sizeof dims));
  }
}

static bool visit_step(void *user, const struct sumi_stage *s, size_t k) {
  struct step_user *u = user;
  const struct sumi_node *node = node_of(s, k);
  u->shapes.size = 0;
  add_shapes(&u->shapes, s, node->in, node->n_in);
  sumi_text_add(&u->shapes, " -> ");
  add_shapes(&u->shapes, s, node->out, node->n_out);
  struct sumi_cost cost = {0};
  sumi_arena_reset(&u->arena);
  sumi_model_need(u->session->model, node, true); /* zeros among weights are counted */
  sumi_cost_of_node(node, s->info, &u->arena, &cost);
  struct sumi_step_info i = {.size = sizeof i,
                             .node = node->name,
                             .op = node->op_name,
                             .device = u->session->device->name,
                             .kernel = kernel_of(s, k),
                             .shapes = sumi_text_str(&u->shapes),
                             .refusals = "",
                             .dense_macs = cost.dense_macs,
                             .macs = cost.macs};
  i.density = cost.dense_macs > 0 ? cost.macs / cost.dense_macs : -1;
  if (k < s->plan.n_step) {
    i.predicted_s = s->plan.step[k].predicted_s;
    if (s->plan.refusals[k]) i.refusals = s->plan.refusals[k];
  }
  if (s->timing && s->timing[k].runs) i.measured_s = s->timing[k].total_s / (double)s->timing[k].runs;
  return u->visit(u->user, &i);
}

sumi_status sumi_session_visit_steps(const struct sumi_session *session,
                                     bool (*visit)(void *user, const struct sumi_step_info *info), void *user,
                                     struct sumi_err *err) {
  if (!session || !visit) SUMI_FAIL(err, SUMI_E_ARG, "no session or visitor is given");
  if (!session->execs->stages) SUMI_FAIL(err, SUMI_E_STATE, "the session is not prepared");
  struct step_user u = {.visit = visit, .user = user, .session = session};
  sumi_text_init(&u.shapes, &session->allocator);
  sumi_arena_init(&u.arena, &session->allocator);
  walk_steps(&(struct walk){session, visit_step, &u});
  sumi_text_fini(&u.shapes);
  sumi_arena_fini(&u.arena);
  return SUMI_OK;
}

sumi_status sumi_session_visit_buffers(const struct sumi_session *session,
                                       bool (*visit)(void *user, const struct sumi_buffer_info *info),
                                       void *user, struct sumi_err *err) {
  static const char *const kinds[] = {"run time", "arena", "scratch", "constant", "input"};
  if (!session || !visit) SUMI_FAIL(err, SUMI_E_ARG, "no session or visitor is given");
  const struct sumi_stage *s = session->execs->stages;
  if (!s) SUMI_FAIL(err, SUMI_E_STATE, "the session is not prepared");
  for (size_t i = 0; i < s->plan.n_buffer; i++) {
    const struct sumi_plan_buffer *b = &s->plan.buffer[i];
    const struct sumi_value *v = i < session->graph->n_value ? session->graph->value[i] : NULL;
    struct sumi_buffer_info info = {.size = sizeof info,
                                    .name = b->name,
                                    .kind = kinds[b->kind],
                                    .offset_bytes = b->offset,
                                    .bytes = b->bytes,
                                    .first_step = b->first,
                                    .last_step = SUMI_MIN(b->last, (int)s->plan.n_step)};
    if (v && v->is_output && b->kind == SUMI_BUFFER_ARENA) info.kind = "output";
    if (b->kind == SUMI_BUFFER_NONE && v && (v->is_input || v->constant)) continue;
    if (!visit(user, &info)) break;
  }
  return SUMI_OK;
}
