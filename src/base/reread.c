/* Copies whose memory can be given back (POSIX). */
#include "base/reread.h"

#include <string.h>
#include <sys/mman.h>

struct reread {
  struct sumi_blob *source;
  const void *from;
  void *map;
  bool is_empty, stays;
};

static void unmap(struct sumi_blob *blob) {
  struct reread *r = blob->user;
  munmap(r->map, blob->bytes);
  sumi_blob_unref(r->source);
  sumi_free(blob->allocator, r, sizeof *r);
}

struct sumi_blob *sumi_reread_new(const struct sumi_allocator *a, struct sumi_blob *source, const void *from,
                                  size_t bytes) {
  struct reread *r = sumi_alloc(a, sizeof *r);
  void *map =
      r && bytes ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  struct sumi_blob *blob = map == MAP_FAILED ? NULL : sumi_blob_wrap(a, map, bytes, unmap, r);
  if (!blob) {
    if (map != MAP_FAILED) munmap(map, bytes);
    sumi_free(a, r, sizeof *r);
    return NULL;
  }
  *r = (struct reread){.source = sumi_blob_ref(source), .from = from, .map = map};
  memcpy(map, from, bytes);
  return blob;
}

void sumi_reread_drop(struct sumi_blob *blob) {
  struct reread *r = blob && blob->deleter == unmap ? blob->user : NULL;
  if (!r || r->stays || r->is_empty) return;
  r->is_empty = madvise(r->map, blob->bytes, MADV_DONTNEED) == 0;
}

void sumi_reread_fill(struct sumi_blob *blob, bool stay) {
  struct reread *r = blob && blob->deleter == unmap ? blob->user : NULL;
  if (!r) return;
  if (r->is_empty) memcpy(r->map, r->from, blob->bytes);
  r->is_empty = false;
  r->stays |= stay;
}
