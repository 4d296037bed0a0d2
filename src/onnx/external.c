/* External data: TensorProto.external_data, a list of keys and values (onnx docs/ExternalData.md). */
#include "onnx/external.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/text.h"

void sumi_onnx_external_fini(struct sumi_onnx_external *x) {
  struct sumi_onnx_external_file *next;
  for (struct sumi_onnx_external_file *f = x->first; f; f = next) {
    next = f->next;
    sumi_blob_unref(f->blob);
    sumi_free(x->allocator, f, f->bytes);
  }
  x->first = NULL;
  x->n_files = 0;
}

/* Files used lately stand first: a model's tensors mostly follow each other in one file. */
static struct sumi_onnx_external_file *known_file(struct sumi_onnx_external *x, struct sumi_str name) {
  for (struct sumi_onnx_external_file **link = &x->first, *f; (f = *link); link = &f->next)
    if (strlen(f->name) == name.size && (!name.size || !memcmp(f->name, name.data, name.size))) {
      *link = f->next;
      f->next = x->first;
      return x->first = f;
    }
  return NULL;
}

static sumi_status open_file(struct sumi_onnx_external *x, struct sumi_str name, struct sumi_blob **blob,
                             struct sumi_err *err) {
  struct sumi_onnx_external_file *f = known_file(x, name);
  if (!f) {
    if (x->n_files == SUMI_ONNX_MAX_EXTERNAL_FILES)
      SUMI_FAIL(err, SUMI_E_LIMIT, "the model's data lies in more than %d files",
                SUMI_ONNX_MAX_EXTERNAL_FILES);
    const size_t bytes = sizeof *f + name.size + 1;
    f = sumi_alloc(x->allocator, bytes);
    if (!f) SUMI_FAIL_MEMORY(err);
    f->bytes = bytes;
    memcpy(f->name, name.data, name.size);
    const sumi_status status =
        sumi_file_map_beneath(x->allocator, x->folder, f->name, x->max_file_bytes, &f->blob, err);
    if (status != SUMI_OK) {
      sumi_free(x->allocator, f, bytes);
      return status;
    }
    f->next = x->first;
    x->first = f;
    x->n_files++;
  }
  *blob = f->blob;
  return SUMI_OK;
}

static bool is(struct sumi_str s, const char *want) {
  return s.size == strlen(want) && (!s.size || !memcmp(s.data, want, s.size));
}

static bool parse_size(struct sumi_str s, size_t *out) {
  size_t n = 0;
  for (size_t i = 0; i < s.size; i++) {
    if (s.data[i] < '0' || s.data[i] > '9') return false;
    if (!sumi_size_mul(n, 10, &n) || !sumi_size_add(n, (size_t)(s.data[i] - '0'), &n)) return false;
  }
  *out = n;
  return s.size > 0;
}

sumi_status sumi_onnx_external_find(struct sumi_onnx_external *x, const struct sumi_onnx_tensor *tensor,
                                    size_t want_bytes, struct sumi_wire *bytes, struct sumi_blob **blob,
                                    struct sumi_err *err) {
  struct sumi_str location = {0};
  size_t offset = 0, length = SIZE_MAX;
  struct sumi_wire item;
  for (struct sumi_wire_list l = tensor->external_data; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_entry e;
    SUMI_TRY(sumi_onnx_read_entry(item, &e, err));
    if (is(e.key, "location")) location = e.value;
    if (is(e.key, "offset") && !parse_size(e.value, &offset))
      SUMI_FAIL(err, SUMI_E_FORMAT, "the offset of its external data is no number");
    if (is(e.key, "length") && !parse_size(e.value, &length))
      SUMI_FAIL(err, SUMI_E_FORMAT, "the length of its external data is no number");
  }
  if (!location.size) SUMI_FAIL(err, SUMI_E_FORMAT, "its external data has no location");
  if (location.size > 4096 || memchr(location.data, 0, location.size))
    SUMI_FAIL(err, SUMI_E_FORMAT, "the location of its external data is no file name");
  if (!x->folder)
    SUMI_FAIL(err, SUMI_E_VALUE, "its data lies in another file, and no folder was given to look in");
  SUMI_TRY(open_file(x, location, blob, err));
  const size_t there = (*blob)->bytes;
  if (offset > there || (length != SIZE_MAX && length > there - offset))
    SUMI_FAIL(err, SUMI_E_FORMAT, "its external data ends beyond the %zu bytes of '%.*s'", there,
              (int)location.size, location.data);
  if (length == SIZE_MAX) length = SUMI_MIN(there - offset, want_bytes);
  const uint8_t *start = (const uint8_t *)(*blob)->data;
  *bytes = (struct sumi_wire){start + offset, start + offset + length, start};
  return SUMI_OK;
}
