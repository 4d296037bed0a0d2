/* From a model's file and a list of changes to the new file. */
#include "onnx/rewrite.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "onnx/rewrite_int.h"

enum { PROTOBUF_BYTES = INT32_MAX }; /* of a message: its readers hold lengths in 32-bit integers */

static sumi_status plan(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_err *err) {
  SUMI_TRY(sumi_rewrite_read(r, err));
  SUMI_TRY(sumi_rewrite_apply(r, err));
  SUMI_TRY(sumi_rewrite_check(r, err));
  return sumi_rewrite_put(r, out, err);
}

static sumi_status check_size(const struct sumi_wire_out *out, uint64_t most_bytes, struct sumi_err *err) {
  if (out->bytes > most_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT,
              "the new file would have %" PRIu64 " bytes; an ONNX file has at most %" PRIu64, out->bytes,
              most_bytes);
  return SUMI_OK;
}

static void init(struct sumi_rewrite *r, const struct sumi_onnx_source *src,
                 const struct sumi_changes *changes, const struct sumi_allocator *a) {
  *r = (struct sumi_rewrite){.src = src,
                             .changes = changes,
                             .allocator = a ? a : sumi_allocator_default(),
                             .limits = sumi_limits_fill(src->limits)};
  r->metadata_end = &r->metadata;
  sumi_arena_init(&r->arena, r->allocator);
}

static void fini(struct sumi_rewrite *r) {
  sumi_names_fini(r->allocator, &r->values);
  sumi_names_fini(r->allocator, &r->node_names);
  sumi_names_fini(r->allocator, &r->metadata_names);
  sumi_arena_fini(&r->arena);
}

sumi_status sumi_onnx_rewrite_to(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                                 const struct sumi_allocator *a, sumi_onnx_sink *sink, void *user,
                                 struct sumi_err *err) {
  struct sumi_rewrite r;
  init(&r, src, changes, a);
  struct sumi_wire_out out = sumi_wire_out_new(&r.arena);
  sumi_status status = plan(&r, &out, err);
  if (status == SUMI_OK) status = check_size(&out, PROTOBUF_BYTES, err);
  for (const struct sumi_wire_piece *p = out.first; p && status == SUMI_OK; p = p->next)
    status = sink(user, p->data, p->n, err);
  fini(&r);
  return status;
}

/* ---- to a file ------------------------------------------------------------------------------------------------- */

struct target {
  struct sumi_rewrite *r;
  const char *path, *folder;
  struct sumi_onnx_external external;
  struct sumi_file_writer model, data;
  const char *data_path; /* of data; NULL: there is none */
  struct sumi_rewrite_made *made;
};

static bool is_external(const struct sumi_onnx_external *x, const char *name) {
  for (const struct sumi_onnx_external_file *f = x->first; f; f = f->next) {
    const char *other = f->name;
    while (other[0] == '.' && other[1] == '/') other += 1 + strspn(other + 1, "/");
    if (sumi_streq(other, name)) return true;
  }
  return false;
}

/* A name beside the new file that is not one of the model's own files, of which the old file may still be in use. */
static const char *name_data(struct target *t) {
  const char *slash = strrchr(t->path, '/'), *base = slash ? slash + 1 : t->path;
  const char *name = sumi_arena_printf(&t->r->arena, "%s.data", base);
  for (unsigned i = 2; name && is_external(&t->external, name); i++)
    name = sumi_arena_printf(&t->r->arena, "%s.%u.data", base, i);
  return name;
}

/* The contents of new tensors move into a file beside the new one where that would be too large. */
static sumi_status fit(struct target *t, struct sumi_wire_out *out, uint64_t most_bytes,
                       struct sumi_err *err) {
  if (out->bytes <= most_bytes) return SUMI_OK;
  t->r->data_name = name_data(t);
  if (!t->r->data_name) SUMI_FAIL_MEMORY(err);
  *out = sumi_wire_out_new(&t->r->arena);
  SUMI_TRY(sumi_rewrite_put(t->r, out, err));
  return check_size(out, most_bytes, err);
}

static sumi_status write_data(struct target *t, struct sumi_err *err) {
  if (!t->r->data) return SUMI_OK;
  t->data_path = sumi_arena_printf(&t->r->arena, "%s/%s", t->folder, t->r->data_name);
  if (!t->data_path) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_file_writer_open(&t->data, t->r->allocator, t->data_path, err));
  for (const struct sumi_rewrite_data *d = t->r->data; d; d = d->next) {
    SUMI_TRY(sumi_file_write_align(&t->data, SUMI_REWRITE_ALIGN, err));
    SUMI_TRY(sumi_rewrite_write(&t->data, NULL, d->bytes, d->n, err));
  }
  return SUMI_OK;
}

static sumi_status write_all(struct target *t, uint64_t most_bytes, struct sumi_err *err) {
  struct sumi_wire_out out = sumi_wire_out_new(&t->r->arena);
  const char *slash = strrchr(t->path, '/');
  t->folder =
      slash ? sumi_arena_strndup(&t->r->arena, t->path, (size_t)(slash - t->path) + (slash == t->path)) : ".";
  if (!t->folder) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(plan(t->r, &out, err));
  SUMI_TRY(sumi_rewrite_find_files(t->r, &t->external, err));
  SUMI_TRY(fit(t, &out, most_bytes, err));
  SUMI_TRY(sumi_rewrite_copy_files(t->r, &t->external, t->folder, t->path, &t->made, err));
  SUMI_TRY(write_data(t, err));
  SUMI_TRY(sumi_file_writer_open(&t->model, t->r->allocator, t->path, err));
  for (const struct sumi_wire_piece *p = out.first; p; p = p->next)
    SUMI_TRY(sumi_rewrite_write(&t->model, t->r->src->file, p->data, p->n, err));
  if (t->data_path) SUMI_TRY(sumi_file_writer_end(&t->data, err));
  const sumi_status status = sumi_file_writer_end(&t->model, err);
  if (status != SUMI_OK && t->data_path) sumi_file_remove(t->data_path);
  return status;
}

sumi_status sumi_rewrite_file(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                              const char *path, uint64_t most_bytes, const struct sumi_allocator *a,
                              struct sumi_err *err) {
  struct sumi_rewrite r;
  init(&r, src, changes, a);
  struct target t = {.r = &r, .path = path, .model.fd = -1, .data.fd = -1};
  t.external = (struct sumi_onnx_external){
      .allocator = r.allocator, .folder = src->folder, .max_file_bytes = r.limits.max_file_bytes};
  const sumi_status status = write_all(&t, most_bytes, err);
  sumi_file_writer_drop(&t.model);
  sumi_file_writer_drop(&t.data);
  for (; status != SUMI_OK && t.made; t.made = t.made->next) sumi_file_remove(t.made->path);
  sumi_onnx_external_fini(&t.external);
  fini(&r);
  return status;
}

sumi_status sumi_onnx_rewrite(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                              const char *path, const struct sumi_allocator *a, struct sumi_err *err) {
  return sumi_rewrite_file(src, changes, path, PROTOBUF_BYTES, a, err);
}
