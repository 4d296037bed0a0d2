/* From a model's file and a list of changes to the new file. */
#include "onnx/rewrite.h"

#include "base/file.h"
#include "base/file_write.h"
#include "base/limits.h"
#include "base/size.h"
#include "onnx/rewrite_int.h"

/* What readers of protobuf take: lengths are 32-bit integers. */
static const uint64_t most_bytes = INT32_MAX;

static sumi_status plan(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_err *err) {
  SUMI_TRY(sumi_rewrite_read(r, err));
  SUMI_TRY(sumi_rewrite_apply(r, err));
  SUMI_TRY(sumi_rewrite_check(r, err));
  SUMI_TRY(sumi_rewrite_put(r, out, err));
  if (out->bytes > most_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the new file would have %zu bytes; an ONNX file holds at most %zu",
              (size_t)out->bytes, (size_t)most_bytes);
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
  for (const struct sumi_wire_piece *p = out.first; p && status == SUMI_OK; p = p->next)
    status = sink(user, p->data, p->n, err);
  fini(&r);
  return status;
}

/* ---- to a file ------------------------------------------------------------------------------------------------- */

struct target {
  struct sumi_file_writer file;
  const struct sumi_blob *source;
};

/* Pages of the source that were written need not stay. */
static sumi_status write_piece(void *user, const void *bytes, size_t n, struct sumi_err *err) {
  enum { STEP = 16 << 20 };
  struct target *t = user;
  for (const char *at = bytes; n;) {
    const size_t step = SUMI_MIN(n, (size_t)STEP);
    SUMI_TRY(sumi_file_write(&t->file, at, step, err));
    sumi_file_release(t->source, at, step);
    at += step;
    n -= step;
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_rewrite(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                              const char *path, const struct sumi_allocator *a, struct sumi_err *err) {
  struct target t = {.source = src->file};
  SUMI_TRY(sumi_file_writer_open(&t.file, a, path, err));
  sumi_status status = sumi_onnx_rewrite_to(src, changes, a, write_piece, &t, err);
  if (status == SUMI_OK) status = sumi_file_writer_end(&t.file, err);
  sumi_file_writer_drop(&t.file);
  return status;
}
