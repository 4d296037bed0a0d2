/* Scopes: what a name of the file means in a graph, a body or an inlined function. */
#include <stdio.h>
#include <string.h>

#include "onnx/import_int.h"

/* Names of inlined values that would grow longer than this are made up instead: calls in calls must not
 * multiply the bytes of a file. */
enum { LONGEST_SPELLED = 256 };

void sumi_onnx_scope_init(struct sumi_onnx_importer *im, struct sumi_onnx_scope *s,
                          struct sumi_onnx_scope *outer, const struct sumi_onnx_frame *frame,
                          struct sumi_graph *graph) {
  *s = (struct sumi_onnx_scope){.outer = outer, .frame = frame, .graph = graph};
  sumi_arena_init(&s->arena, im->allocator);
}

void sumi_onnx_scope_fini(struct sumi_onnx_importer *im, struct sumi_onnx_scope *s) {
  sumi_names_fini(im->allocator, &s->names);
  sumi_arena_fini(&s->arena);
}

sumi_status sumi_onnx_name(struct sumi_onnx_importer *im, struct sumi_str name, const char **out,
                           struct sumi_err *err) {
  if (name.size > im->limits.max_name_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a name has %zu bytes, the limit is %zu", name.size,
              im->limits.max_name_bytes);
  if (name.size && memchr(name.data, 0, name.size)) SUMI_FAIL(err, SUMI_E_FORMAT, "a name holds a zero byte");
  void *text = im->text;
  if (!sumi_grow(im->allocator, &text, &im->text_cap, name.size + 1, 1)) SUMI_FAIL_MEMORY(err);
  im->text = text;
  if (name.size) memcpy(im->text, name.data, name.size);
  im->text[name.size] = 0;
  *out = im->text;
  return SUMI_OK;
}

struct sumi_onnx_slot *sumi_onnx_scope_own(const struct sumi_onnx_scope *s, const char *name) {
  return sumi_names_find(&s->names, name);
}

struct sumi_onnx_slot *sumi_onnx_scope_find(const struct sumi_onnx_scope *s, const char *name) {
  for (; s; s = s->outer) {
    struct sumi_onnx_slot *slot = sumi_onnx_scope_own(s, name);
    if (slot) return slot;
  }
  return NULL;
}

sumi_status sumi_onnx_scope_add(struct sumi_onnx_importer *im, struct sumi_onnx_scope *s, const char *name,
                                struct sumi_value *value, bool defined, struct sumi_err *err) {
  struct sumi_onnx_slot *slot = SUMI_NEW(&s->arena, struct sumi_onnx_slot);
  const char *copy =
      value && sumi_streq(value->name, name) ? value->name : sumi_arena_strdup(&s->arena, name);
  if (!slot || !copy || !sumi_names_add(im->allocator, &s->names, copy, slot)) SUMI_FAIL_MEMORY(err);
  *slot = (struct sumi_onnx_slot){.value = value, .defined = defined};
  return SUMI_OK;
}

const char *sumi_onnx_scope_spell(struct sumi_onnx_scope *s, const char *name) {
  if (!s->frame->function) return name;
  if (strlen(s->frame->prefix) + strlen(name) > LONGEST_SPELLED) return NULL;
  return sumi_arena_printf(&s->arena, "%s%s", s->frame->prefix, name); /* NULL does no harm */
}

sumi_status sumi_onnx_count_value(struct sumi_onnx_importer *im, struct sumi_err *err) {
  if (++im->n_values > im->limits.max_values)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has more than %zu values", im->limits.max_values);
  return SUMI_OK;
}

sumi_status sumi_onnx_count_bytes(struct sumi_onnx_importer *im, size_t bytes, struct sumi_err *err) {
  if (bytes > im->limits.max_file_bytes - im->made_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model's constants and attributes take more than %zu bytes",
              im->limits.max_file_bytes);
  im->made_bytes += bytes;
  return SUMI_OK;
}

sumi_status sumi_onnx_enter(struct sumi_onnx_importer *im, size_t bytes, struct sumi_err *err) {
  if (im->depth >= im->limits.max_depth)
    SUMI_FAIL(err, SUMI_E_LIMIT, "bodies and functions lie more than %zu deep in each other",
              im->limits.max_depth);
  SUMI_TRY(sumi_onnx_count_bytes(im, bytes, err));
  im->depth++;
  return SUMI_OK;
}

void sumi_onnx_leave(struct sumi_onnx_importer *im) { im->depth--; }
