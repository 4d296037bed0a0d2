/* Files of jobs under way. */
#include "compress/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

static const char magic[] = "sumi prune state 1\n";
enum { MAGIC = sizeof magic - 1 };

struct header {
  uint64_t kind, bytes, hash, number;
  double figure;
};

/* The record at *at of the file, and *at behind it; false: there is no whole one. checked: it was found good before. */
static bool read_record(const struct sumi_state *s, bool checked, size_t *at, struct sumi_state_record *out) {
  struct header h;
  if (!s->file || s->file->bytes < *at || s->file->bytes - *at < sizeof h) return false;
  const char *bytes = s->file->data;
  memcpy(&h, bytes + *at, sizeof h);
  const size_t left = s->file->bytes - *at - sizeof h;
  if (h.kind >= SUMI_STATE_KINDS || h.bytes > left) return false;
  *out = (struct sumi_state_record){(enum sumi_state_kind)h.kind, h.number, h.figure, bytes + *at + sizeof h,
                                    (size_t)h.bytes};
  if (!checked && h.hash != sumi_hash(out->data, out->bytes, 0)) return false;
  *at += sizeof h + out->bytes;
  return true;
}

/* Whether what was found is of the job; sets valid. */
static bool is_of(struct sumi_state *s, uint64_t key) {
  struct sumi_state_record r;
  if (!s->file || s->file->bytes < MAGIC || memcmp(s->file->data, magic, MAGIC) != 0) return false;
  s->valid = MAGIC;
  if (!read_record(s, false, &s->valid, &r) || r.kind != SUMI_STATE_KEY || r.number != key) return false;
  while (read_record(s, false, &s->valid, &r))
    ;
  return true;
}

static sumi_status write_all(const struct sumi_state *s, const void *bytes, size_t n, struct sumi_err *err) {
  for (const char *p = bytes; n;) {
    const ssize_t done = write(s->fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) SUMI_FAIL(err, SUMI_E_IO, "the state cannot be written: %s", strerror(errno));
    p += done;
    n -= (size_t)done;
  }
  return SUMI_OK;
}

/* A new file in place of what is there. */
static sumi_status start_anew(struct sumi_state *s, uint64_t key, struct sumi_err *err) {
  const struct sumi_state_record first = {.kind = SUMI_STATE_KEY, .number = key};
  sumi_blob_unref(s->file);
  s->file = NULL;
  if (ftruncate(s->fd, 0) != 0) SUMI_FAIL(err, SUMI_E_IO, "the state cannot be written: %s", strerror(errno));
  SUMI_TRY(write_all(s, magic, MAGIC, err));
  return sumi_state_add(s, &first, err);
}

/* The whole file in memory: the mapped one would change while it is added to. */
static sumi_status read_file(struct sumi_state *s, const char *path, struct sumi_err *err) {
  struct sumi_blob *mapped;
  if (sumi_file_map(s->allocator, path, SIZE_MAX, &mapped, NULL) != SUMI_OK) return SUMI_OK;
  s->file = sumi_blob_new(s->allocator, mapped->bytes ? mapped->bytes : 1);
  if (s->file && mapped->bytes) memcpy(sumi_blob_bytes(s->file), mapped->data, mapped->bytes);
  sumi_blob_unref(mapped);
  if (!s->file) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

sumi_status sumi_state_open(struct sumi_state *s, const struct sumi_allocator *a, const char *path,
                            uint64_t key, bool must_be, struct sumi_err *err) {
  *s = (struct sumi_state){.allocator = a, .fd = -1};
  if (!path) return SUMI_OK;
  SUMI_TRY(read_file(s, path, err));
  const bool fits = is_of(s, key);
  if (must_be && !s->file) SUMI_FAIL(err, SUMI_E_STATE, "there is no state '%s' to go on from", path);
  if (must_be && !fits)
    SUMI_FAIL(err, SUMI_E_STATE, "the state '%s' is of another job: model, data or options differ", path);
  s->fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
  if (s->fd < 0) SUMI_FAIL(err, SUMI_E_IO, "'%s' cannot be written: %s", path, strerror(errno));
  if (!fits) return start_anew(s, key, err);
  if (ftruncate(s->fd, (off_t)s->valid) != 0)
    SUMI_FAIL(err, SUMI_E_IO, "'%s' cannot be written: %s", path, strerror(errno));
  return SUMI_OK;
}

bool sumi_state_get(const struct sumi_state *s, size_t i, struct sumi_state_record *out) {
  size_t at = MAGIC;
  for (size_t k = 0; at < s->valid && read_record(s, true, &at, out); k++)
    if (k == i + 1) return true;
  return false;
}

sumi_status sumi_state_add(struct sumi_state *s, const struct sumi_state_record *r, struct sumi_err *err) {
  if (s->fd < 0) return SUMI_OK;
  const struct header h = {(uint64_t)r->kind, r->bytes, sumi_hash(r->data, r->bytes, 0), r->number,
                           r->figure};
  SUMI_TRY(write_all(s, &h, sizeof h, err));
  if (r->bytes) SUMI_TRY(write_all(s, r->data, r->bytes, err));
  if (fsync(s->fd) != 0 && errno != EINVAL)
    SUMI_FAIL(err, SUMI_E_IO, "the state cannot be written: %s", strerror(errno));
  return SUMI_OK;
}

void sumi_state_close(struct sumi_state *s) {
  if (s->fd >= 0) close(s->fd);
  sumi_blob_unref(s->file);
  *s = (struct sumi_state){.fd = -1};
}
