/* The table of passes and how they are run: each on the root and on every body, the verifier after each. */
#include "base/size.h"
#include "pass/pass.h"

static const struct sumi_pass *const table[] = {
#define SUMI_PASS(symbol) &sumi_pass_##symbol,
#include "pass/passes.def"
#undef SUMI_PASS
};

const struct sumi_pass *const *sumi_passes(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_pass *sumi_pass_find(const char *name) {
  for (size_t i = 0; i < SUMI_COUNT(table); i++)
    if (sumi_streq(table[i]->name, name)) return table[i];
  return NULL;
}

sumi_status sumi_pass_run(const struct sumi_pass *pass, struct sumi_graph *g, struct sumi_err *err) {
  sumi_status status = pass->run(g, err);
  for (struct sumi_graph *body = g->first_body; status == SUMI_OK && body; body = body->next_body)
    status = pass->run(body, err);
  if (status == SUMI_OK) status = sumi_graph_verify(g, err);
  return status == SUMI_OK ? SUMI_OK : sumi_err_prefix(err, status, "pass %s", pass->name);
}

static const struct {
  const char *name, *what;
} precisions[] = {
#define SUMI_PRECISION(symbol, name, what) {name, what},
#include "pass/precision.def"
#undef SUMI_PRECISION
};

const char *sumi_precision_label(enum sumi_precision precision) { return precisions[precision].name; }

const char *sumi_precision_explain(enum sumi_precision precision) { return precisions[precision].what; }

bool sumi_precision_from_label(const char *name, enum sumi_precision *out) {
  for (int i = 0; i < SUMI_N_PRECISIONS; i++)
    if (sumi_streq(precisions[i].name, name)) {
      *out = (enum sumi_precision)i;
      return true;
    }
  return false;
}

sumi_status sumi_passes_run(struct sumi_graph *g, enum sumi_pass_stage stage, enum sumi_precision precision,
                            const char *last, struct sumi_err *err) {
  for (size_t i = 0; i < SUMI_COUNT(table); i++) {
    if (table[i]->stage != stage) continue;
    if (table[i]->precision != SUMI_PRECISION_FILE && table[i]->precision != precision) continue;
    SUMI_TRY(sumi_pass_run(table[i], g, err));
    if (last && sumi_streq(table[i]->name, last)) break;
  }
  return SUMI_OK;
}

sumi_status sumi_pass_infer(struct sumi_graph *g,
                            void (*on_fail)(void *user, const struct sumi_node *node,
                                            const struct sumi_err *err),
                            void *user, struct sumi_err *err) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, g->allocator);
  struct sumi_info *info = SUMI_NEW_ARRAY(&arena, g->n_value, struct sumi_info);
  const struct sumi_infer_job job = {
      .graph = g, .symbols = g->symbols, .arena = &arena, .info = info, .on_fail = on_fail, .user = user};
  const sumi_status status =
      info ? sumi_graph_infer(&job, err) : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  for (size_t i = 0; status == SUMI_OK && i < g->n_value; i++) {
    struct sumi_value *v = g->value[i];
    if (v->is_input) continue;
    v->info = info[i];
    v->info.data = NULL; /* they lie in the arena of this walk */
    v->info.content = NULL;
    v->info.n_content = 0;
  }
  sumi_arena_fini(&arena);
  return status;
}

sumi_status sumi_passes_fix_defaults(struct sumi_graph *g, struct sumi_err *err) {
  if (!sumi_graph_fix_defaults(g)) return SUMI_OK;
  SUMI_TRY(sumi_pass_infer(g, NULL, NULL, err));
  SUMI_TRY(sumi_passes_run(g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, err));
  return sumi_pass_infer(g, NULL, NULL, err);
}
