/* Lists of changes. */
#include "graph/change.h"

void sumi_changes_init(struct sumi_changes *c, const struct sumi_allocator *a) {
  *c = (struct sumi_changes){0};
  sumi_arena_init(&c->arena, a);
}

void sumi_changes_fini(struct sumi_changes *c) {
  sumi_free(c->arena.allocator, c->change, c->cap * sizeof *c->change);
  sumi_arena_fini(&c->arena);
}

static bool copy_text(struct sumi_changes *c, const char **text) {
  return !*text || (*text = sumi_arena_strdup(&c->arena, *text));
}

sumi_status sumi_changes_add(struct sumi_changes *c, const struct sumi_change *change, struct sumi_err *err) {
  void *p = c->change;
  struct sumi_change own = *change;
  const char **inputs = SUMI_NEW_ARRAY(&c->arena, (size_t)own.n_inputs, const char *);
  bool copied = inputs && copy_text(c, &own.name) && copy_text(c, &own.text) && copy_text(c, &own.node) &&
                copy_text(c, &own.before) && copy_text(c, &own.op) && copy_text(c, &own.output);
  for (int i = 0; copied && i < own.n_inputs; i++) {
    inputs[i] = change->inputs[i];
    copied = copy_text(c, &inputs[i]);
  }
  own.inputs = inputs;
  if (!copied || !sumi_grow(c->arena.allocator, &p, &c->cap, c->n + 1, sizeof *c->change))
    SUMI_FAIL_MEMORY(err);
  c->change = p;
  c->change[c->n++] = own;
  return SUMI_OK;
}
