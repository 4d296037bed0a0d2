/* Buffers: test data in ONNX's own format as views that own their memory. */
#include "api/api_int.h"
#include "onnx/import.h"

struct sumi_buffer {
  struct sumi_arena arena;
  struct sumi_view view;
};

static sumi_status view_of(struct sumi_buffer *b, const struct sumi_tensor *t, struct sumi_view *view,
                           struct sumi_err *err) {
  *view = (struct sumi_view){.size = sizeof *view,
                             .name = "",
                             .data = t->data,
                             .dtype = t->dtype,
                             .rank = t->rank,
                             .dims = t->dim,
                             .kind = t->kind,
                             .absent = t->absent};
  if (t->absent || !t->items) return SUMI_OK;
  view->items = SUMI_NEW_ARRAY(&b->arena, (size_t)t->n_items, struct sumi_view);
  if (!view->items) SUMI_FAIL_MEMORY(err);
  view->n_items = (size_t)t->n_items;
  for (int64_t i = 0; i < t->n_items; i++) SUMI_TRY(view_of(b, t->items[i], &view->items[i], err));
  return SUMI_OK;
}

sumi_status sumi_buffer_from_onnx(const void *bytes, size_t n_bytes, const char *kind,
                                  struct sumi_buffer **out, struct sumi_err *err) {
  static const struct {
    const char *name;
    sumi_kind kind;
  } kinds[] = {{"tensor", SUMI_TENSOR},
               {"sequence", SUMI_SEQUENCE},
               {"optional", SUMI_OPTIONAL},
               {"map", SUMI_MAP},
               {"sequence of maps", SUMI_MAP_SEQUENCE}};
  if (!out || !kind || (!bytes && n_bytes)) SUMI_FAIL(err, SUMI_E_ARG, "an argument is missing");
  size_t k = 0;
  while (k < SUMI_COUNT(kinds) && !sumi_streq(kinds[k].name, kind)) k++;
  if (k == SUMI_COUNT(kinds)) SUMI_FAIL(err, SUMI_E_ARG, "there is no kind '%s' of test data", kind);
  const struct sumi_allocator *a = sumi_allocator_default();
  struct sumi_buffer *b = sumi_alloc(a, sizeof *b);
  if (!b) SUMI_FAIL_MEMORY(err);
  sumi_arena_init(&b->arena, a);
  struct sumi_tensor *t;
  sumi_status status = sumi_onnx_value_read(bytes, n_bytes, kinds[k].kind, NULL, &b->arena, &t, err);
  if (status == SUMI_OK) status = view_of(b, t, &b->view, err);
  if (status != SUMI_OK)
    sumi_buffer_free(b);
  else
    *out = b;
  return status;
}

const struct sumi_view *sumi_buffer_view(const struct sumi_buffer *buffer) { return &buffer->view; }

void sumi_buffer_free(struct sumi_buffer *buffer) {
  if (!buffer) return;
  sumi_arena_fini(&buffer->arena);
  sumi_free(sumi_allocator_default(), buffer, sizeof *buffer);
}
