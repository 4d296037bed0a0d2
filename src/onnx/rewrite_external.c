/* The files beside a model that is rewritten: which the new file still reads, and copies of them beside it. */
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/text.h"
#include "onnx/rewrite_int.h"

/* ---- which ----------------------------------------------------------------------------------------------------- */

struct search {
  struct sumi_onnx_external *x;
  size_t max_depth;
  bool wanted; /* what is found now stands in the new file too */
};

static sumi_status visit_tensor(const struct search *s, struct sumi_wire bytes, struct sumi_err *err) {
  struct sumi_onnx_tensor t;
  struct sumi_wire data;
  struct sumi_blob *blob;
  SUMI_TRY(sumi_onnx_read_tensor(bytes, &t, err));
  if (t.data_location.v != 1) return SUMI_OK;
  const sumi_status status = sumi_onnx_external_find(s->x, &t, SIZE_MAX, &data, &blob, err);
  if (status != SUMI_OK)
    return sumi_err_prefix(err, status, "tensor '%.*s'", (int)SUMI_MIN(t.name.size, (size_t)128),
                           t.name.size ? t.name.data : "");
  s->x->first->wanted |= s->wanted;
  return SUMI_OK;
}

/* Messages that can hold tensors. */
static bool leads_on(const struct sumi_onnx_message *m) {
  return m == &sumi_onnx_graph_message || m == &sumi_onnx_node_message || m == &sumi_onnx_attribute_message ||
         m == &sumi_onnx_function_message || m == &sumi_onnx_sparse_tensor_message;
}

/* All tensors in a message. depth counts bodies. */
static sumi_status visit(const struct search *s, const struct sumi_onnx_message *m, struct sumi_wire bytes,
                         size_t depth, struct sumi_err *err) {
  if (m == &sumi_onnx_tensor_message) return visit_tensor(s, bytes, err);
  if (depth > s->max_depth)
    SUMI_FAIL(err, SUMI_E_LIMIT, "bodies lie more than %zu deep in each other", s->max_depth);
  for (;;) {
    struct sumi_wire_field f;
    SUMI_TRY(sumi_wire_next(&bytes, &f, err));
    if (!f.number) return SUMI_OK;
    for (size_t i = 0; i < m->n_fields && f.type == SUMI_WIRE_BYTES; i++) {
      const struct sumi_onnx_message *child = m->field[i].child;
      if (m->field[i].number != f.number || (!leads_on(child) && child != &sumi_onnx_tensor_message))
        continue;
      SUMI_TRY(visit(s, child, f.bytes, depth + (m == &sumi_onnx_graph_message), err));
    }
  }
}

sumi_status sumi_rewrite_find_files(struct sumi_rewrite *r, struct sumi_onnx_external *x,
                                    struct sumi_err *err) {
  struct search s = {x, r->limits.max_depth, true};
  struct sumi_wire item;
  for (struct sumi_wire_list l = r->model.functions; sumi_wire_list_bytes(&l, &item);)
    SUMI_TRY(visit(&s, &sumi_onnx_function_message, item, 0, err));
  for (const struct sumi_rewrite_part *p = r->first; p; p = p->next) {
    s.wanted = !p->dropped && !p->tensor;
    const struct sumi_onnx_message *m = p->number == SUMI_GRAPH_NODE          ? &sumi_onnx_node_message
                                        : p->number == SUMI_GRAPH_INITIALIZER ? &sumi_onnx_tensor_message
                                        : p->number == SUMI_GRAPH_SPARSE ? &sumi_onnx_sparse_tensor_message
                                                                         : NULL;
    if (m && p->from) SUMI_TRY(visit(&s, m, p->body, 0, err));
  }
  return SUMI_OK;
}

/* ---- copies ---------------------------------------------------------------------------------------------------- */

sumi_status sumi_rewrite_write(struct sumi_file_writer *w, const struct sumi_blob *source, const void *bytes,
                               size_t n, struct sumi_err *err) {
  enum { STEP = 16 << 20 };
  for (const char *at = bytes; n;) {
    const size_t step = SUMI_MIN(n, (size_t)STEP);
    SUMI_TRY(sumi_file_write(w, at, step, err));
    sumi_file_release(source, at, step);
    at += step;
    n -= step;
  }
  return SUMI_OK;
}

/* What is there has the same bytes; nothing there is not. */
static sumi_status is_there(struct sumi_rewrite *r, const struct sumi_onnx_external_file *f, const char *to,
                            bool *there, struct sumi_err *err) {
  *there = sumi_file_is_same(to, to);
  if (!*there) return SUMI_OK;
  struct sumi_blob *old;
  SUMI_TRY(sumi_file_map(r->allocator, to, SIZE_MAX, &old, err));
  const bool equal =
      old->bytes == f->blob->bytes && (!old->bytes || !memcmp(old->data, f->blob->data, old->bytes));
  sumi_file_release(f->blob, f->blob->data, f->blob->bytes);
  sumi_blob_unref(old);
  if (!equal)
    SUMI_FAIL(err, SUMI_E_IO, "'%s' is there already, and holds other bytes than the model's '%s'", to,
              f->name);
  return SUMI_OK;
}

static sumi_status copy_file(struct sumi_rewrite *r, const struct sumi_onnx_external_file *f,
                             const char *folder, const char *to, struct sumi_err *err) {
  struct sumi_file_writer w;
  SUMI_TRY(sumi_file_make_folders(folder, f->name, err));
  SUMI_TRY(sumi_file_writer_open(&w, r->allocator, to, err));
  sumi_status status = sumi_rewrite_write(&w, f->blob, f->blob->data, f->blob->bytes, err);
  if (status == SUMI_OK) status = sumi_file_writer_end(&w, err);
  sumi_file_writer_drop(&w);
  return status;
}

/* path is none of the model's own files in folder. */
static sumi_status check_path(struct sumi_rewrite *r, const char *folder, const char *name, const char *path,
                              struct sumi_err *err) {
  const char *own = sumi_arena_printf(&r->arena, "%s/%s", *folder ? folder : ".", name);
  if (!own) SUMI_FAIL_MEMORY(err);
  if (sumi_file_is_same(own, path))
    SUMI_FAIL(err, SUMI_E_IO, "'%s' would take the place of the model's data in '%s'", path, name);
  return SUMI_OK;
}

sumi_status sumi_rewrite_copy_files(struct sumi_rewrite *r, const struct sumi_onnx_external *x,
                                    const char *folder, const char *path, struct sumi_rewrite_made **made,
                                    struct sumi_err *err) {
  for (const struct sumi_onnx_external_file *f = x->first; f; f = f->next)
    SUMI_TRY(check_path(r, x->folder, f->name, path, err));
  if (!x->first || sumi_file_is_same(*x->folder ? x->folder : ".", folder)) return SUMI_OK;
  for (const struct sumi_onnx_external_file *f = x->first; f; f = f->next) {
    if (!f->wanted) continue;
    struct sumi_rewrite_made *m = SUMI_NEW(&r->arena, struct sumi_rewrite_made);
    const char *to = sumi_arena_printf(&r->arena, "%s/%s", folder, f->name);
    bool there;
    if (!m || !to) SUMI_FAIL_MEMORY(err);
    SUMI_TRY(is_there(r, f, to, &there, err));
    if (!there) {
      SUMI_TRY(copy_file(r, f, folder, to, err));
      *m = (struct sumi_rewrite_made){*made, to};
      *made = m;
    }
    SUMI_TRY(check_path(r, folder, f->name, path, err));
  }
  return SUMI_OK;
}
