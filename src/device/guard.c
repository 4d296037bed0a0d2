/* Guarded memory for device audit. The one place of the library that maps memory of its own: guard pages cannot come
 * from an allocator. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/size.h"
#include "device/device.h"

enum { CANARY = 0xa5, POISON = 0xff };

sumi_status sumi_guard_init(struct sumi_guard *g, size_t bytes, struct sumi_err *err) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t body, total;
  if (!sumi_size_add(bytes, 2 * SUMI_ALIGN, &body) || !sumi_size_align(body, page, &body) ||
      !sumi_size_add(body, 2 * page, &total))
    SUMI_FAIL(err, SUMI_E_LIMIT, "%zu bytes between guard pages", bytes);
  void *map = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) SUMI_FAIL_MEMORY(err);
  if (mprotect((char *)map + page, body, PROT_READ | PROT_WRITE)) {
    munmap(map, total);
    SUMI_FAIL_MEMORY(err);
  }
  *g = (struct sumi_guard){.map = map, .map_bytes = total, .bytes = bytes};
  size_t padded = 0;
  sumi_size_align(bytes, SUMI_ALIGN, &padded);
  g->data = g->map + page + body - padded;
  sumi_guard_poison(g);
  return SUMI_OK;
}

void sumi_guard_fini(struct sumi_guard *g) {
  if (g->map) munmap(g->map, g->map_bytes);
  *g = (struct sumi_guard){0};
}

static size_t tail_bytes(const struct sumi_guard *g) {
  return g->map_bytes - (size_t)sysconf(_SC_PAGESIZE) - (size_t)(g->data - g->map) - g->bytes;
}

void sumi_guard_poison(const struct sumi_guard *g) {
  memset(g->data - SUMI_ALIGN, CANARY, SUMI_ALIGN);
  memset(g->data, POISON, g->bytes);
  memset(g->data + g->bytes, CANARY, tail_bytes(g));
}

bool sumi_guard_intact(const struct sumi_guard *g) {
  unsigned bad = 0;
  for (size_t i = 1; i <= SUMI_ALIGN; i++) bad |= g->data[-(ptrdiff_t)i] ^ CANARY;
  for (size_t i = 0, n = tail_bytes(g); i < n; i++) bad |= g->data[g->bytes + i] ^ CANARY;
  return !bad;
}
