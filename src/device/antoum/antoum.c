/* Device antoum: compiles a stage before its nodes are lowered; a segment is one step, that of its last node. */
#include "device/antoum/antoum.h"

#include <string.h>

#include "base/clock.h"
#include "base/size.h"

/* ---- compiling -------------------------------------------------------------------------------------------------- */

static void release(struct antoum_code *code) {
  for (size_t i = 0; i < code->n_segment; i++) antoum_release_segment(code->card, &code->segment[i]);
}

sumi_status antoum_leave(const struct sumi_device_stage *s, struct antoum_refused *r,
                         const struct sumi_node *node, const struct sumi_text *why, sumi_status status) {
  if (status != SUMI_E_UNSUPPORTED) return status;
  r->card[node->id] = false;
  r->why[node->id] = sumi_arena_strdup(s->arena, sumi_text_str(why));
  if (!r->why[node->id]) SUMI_FAIL_MEMORY(s->err);
  r->n++;
  return SUMI_OK;
}

/* Every segment, so that one pass finds all that is refused. */
static sumi_status compile_all(const struct sumi_device_stage *s, struct antoum_code *code, bool *card,
                               size_t *refused) {
  *refused = 0;
  for (size_t i = 0; i < code->n_segment; i++) {
    struct antoum_refused r = {.card = card, .why = code->why};
    bool worth = false;
    for (int turn = 0; turn < 2 && !worth && !r.n; turn++) {
      SUMI_TRY(antoum_place_segment(s, &code->segment[i], turn == 0, &r));
      if (!r.n) SUMI_TRY(antoum_compile_segment(s, &code->segment[i], &r, &worth));
    }
    *refused += r.n;
  }
  for (size_t i = 0; i < code->n_segment && !*refused; i++)
    SUMI_TRY(antoum_prepare_segment(s, &code->segment[i]));
  return SUMI_OK;
}

/* What a node's products found, for explain. */
static sumi_status say(const struct sumi_device_stage *s, struct antoum_code *code) {
  for (size_t i = 0; i < code->n_segment; i++) {
    const struct antoum_segment *g = &code->segment[i];
    for (size_t k = 0; k < g->n_node; k++) {
      const struct antoum_facts *f = &g->facts[k];
      const char *mode = f->shared ? ", split" : g->split ? ", each core" : "";
      const char *where = f->streamed ? ", through DRAM" : mode;
      const char *text = f->k_most
                             ? sumi_arena_printf(s->arena, "antoum k %d..%d%s", f->k_least, f->k_most, where)
                             : sumi_arena_printf(s->arena, "antoum%s", where);
      if (!text) SUMI_FAIL_MEMORY(s->err);
      code->why[g->node[k]->id] = text;
    }
  }
  return SUMI_OK;
}

/* Nodes that turn out not to fit are left to the host, and all is compiled again without them. */
static sumi_status compile(const struct sumi_device_stage *s, struct antoum_code *code) {
  bool *card = SUMI_NEW_ARRAY(s->arena, s->graph->n_node, bool);
  code->why = SUMI_NEW_ARRAY(s->arena, s->graph->n_node, const char *);
  if (!card || !code->why) SUMI_FAIL_MEMORY(s->err);
  SUMI_TRY(antoum_find_card(s, card, code));
  for (;;) {
    size_t refused;
    SUMI_TRY(antoum_cut(s, card, code));
    const sumi_status status = compile_all(s, code, card, &refused);
    if (status == SUMI_OK && !refused) return say(s, code);
    release(code);
    SUMI_TRY(status);
  }
}

static sumi_status antoum_begin(const struct sumi_device_stage *s, struct sumi_device_code **out) {
  struct antoum_code *code = SUMI_NEW(s->arena, struct antoum_code);
  if (!code) SUMI_FAIL_MEMORY(s->err);
  code->card = s->card;
  code->graph = s->graph;
  const double t0 = sumi_clock_seconds();
  SUMI_TRY(compile(s, code));
  code->compile_s = sumi_clock_seconds() - t0;
  code->next = s->card->codes;
  s->card->codes = code;
  *out = &code->base;
  return SUMI_OK;
}

static void antoum_end(struct sumi_device_code *base) {
  struct antoum_code *code = (struct antoum_code *)base;
  struct antoum_code **at = &code->card->codes;
  while (*at != code) at = &(*at)->next;
  *at = code->next;
  release(code);
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

static sumi_status run_nothing(const void *args, const struct sumi_run *run) {
  (void)args, (void)run;
  return SUMI_OK; /* the segment's last node does all */
}

static sumi_status antoum_lower(struct sumi_lower *l) {
  const struct antoum_code *code = (const struct antoum_code *)l->code;
  const struct antoum_segment *g = code->segment_of[l->node->id];
  const char *why = code->why[l->node->id];
  if (!g) {
    if (why) sumi_lower_refuse(l, "antoum", "%s", why);
    return sumi_cpu_lower(l);
  }
  if (l->node != g->node[g->n_node - 1]) return sumi_lower_emit(l, run_nothing, g, why, NULL, 0, NULL, 0);
  int *buffer = SUMI_NEW_ARRAY(l->arena, g->n_in + g->n_out, int);
  if (!buffer) SUMI_FAIL_MEMORY(l->err);
  for (size_t i = 0; i < g->n_in + g->n_out; i++)
    buffer[i] = (int)(i < g->n_in ? g->in[i].value : g->out[i - g->n_in].value)->id;
  return sumi_lower_emit(l, antoum_run_segment, g, why, buffer, (int)g->n_in, buffer + g->n_in,
                         (int)g->n_out);
}

const struct sumi_device sumi_device_antoum = {
    .name = "antoum",
    .what = "the Antoum card; what it cannot do, the host's kernels",
    .machine_passes = true,
    .begin = antoum_begin,
    .end = antoum_end,
    .lower = antoum_lower,
};
