/* Read-only mapped files (POSIX). */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void unmap(struct sumi_blob *blob) {
  if (blob->user) munmap(blob->user, blob->bytes);
}

void sumi_file_release(const struct sumi_blob *blob, const void *data, size_t bytes) {
  const long page = sysconf(_SC_PAGESIZE);
  if (!blob || blob->deleter != unmap || !blob->user || page <= 0) return;
  const uintptr_t size = (uintptr_t)page, first = ((uintptr_t)data + size - 1) / size * size,
                  last = ((uintptr_t)data + bytes) / size * size;
  if (first >= last || first < (uintptr_t)blob->user || last > (uintptr_t)blob->user + blob->bytes) return;
  (void)madvise((void *)first, last - first, MADV_DONTNEED); /* a hint: what fails is only not smaller */
}

static sumi_status map_open_file(const struct sumi_allocator *a, int fd, const char *path, size_t max_bytes,
                                 struct sumi_blob **out, struct sumi_err *err) {
  struct stat st;
  if (fstat(fd, &st) != 0) SUMI_FAIL(err, SUMI_E_IO, "cannot look at '%s': %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode)) SUMI_FAIL(err, SUMI_E_IO, "'%s' is not a regular file", path);
  if (st.st_size < 0 || (uintmax_t)st.st_size > max_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "'%s' has %jd bytes, the limit is %zu", path, (intmax_t)st.st_size,
              max_bytes);
  const size_t bytes = (size_t)st.st_size;
  void *data = NULL;
  if (bytes) {
    data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) SUMI_FAIL(err, SUMI_E_IO, "cannot map '%s': %s", path, strerror(errno));
  }
  *out = sumi_blob_wrap(a, data ? data : "", bytes, unmap, data);
  if (*out) return SUMI_OK;
  if (data) munmap(data, bytes);
  SUMI_FAIL_MEMORY(err);
}

/* flags come on top of reading only. O_NONBLOCK: opening a named pipe must not wait for its writer. */
static sumi_status map_path(const struct sumi_allocator *a, const char *path, int flags, size_t max_bytes,
                            struct sumi_blob **out, struct sumi_err *err) {
  *out = NULL;
  if (!a) a = sumi_allocator_default();
  int fd;
  do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) SUMI_FAIL(err, SUMI_E_IO, "cannot open '%s': %s", path, strerror(errno));
  const sumi_status status = map_open_file(a, fd, path, max_bytes, out, err);
  close(fd);
  return status;
}

sumi_status sumi_file_map(const struct sumi_allocator *a, const char *path, size_t max_bytes,
                          struct sumi_blob **out, struct sumi_err *err) {
  return map_path(a, path, 0, max_bytes, out, err);
}

static bool has_parent_part(const char *name) {
  for (const char *p = name; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
    if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2])) return true;
  return false;
}

/* path lies strictly inside folder; both resolved. */
static bool lies_beneath(const char *path, const char *folder) {
  size_t n = strlen(folder);
  while (n && folder[n - 1] == '/') n--; /* the root folder */
  return !strncmp(path, folder, n) && path[n] == '/';
}

sumi_status sumi_file_map_beneath(const struct sumi_allocator *a, const char *folder, const char *name,
                                  size_t max_bytes, struct sumi_blob **out, struct sumi_err *err) {
  *out = NULL;
  if (!*name) SUMI_FAIL(err, SUMI_E_VALUE, "the file's name is empty");
  if (*name == '/') SUMI_FAIL(err, SUMI_E_VALUE, "'%s' is an absolute path", name);
  if (has_parent_part(name)) SUMI_FAIL(err, SUMI_E_VALUE, "'%s' leads out of the model's folder", name);
  if (!*folder) folder = ".";
  char base[PATH_MAX], path[PATH_MAX], real[PATH_MAX];
  if (!realpath(folder, base))
    SUMI_FAIL(err, SUMI_E_IO, "cannot open folder '%s': %s", folder, strerror(errno));
  const int n = snprintf(path, sizeof path, "%s/%s", base, name);
  if (n < 0 || (size_t)n >= sizeof path) SUMI_FAIL(err, SUMI_E_IO, "the path of '%s' is too long", name);
  if (!realpath(path, real)) SUMI_FAIL(err, SUMI_E_IO, "cannot open '%s': %s", path, strerror(errno));
  if (!lies_beneath(real, base))
    SUMI_FAIL(err, SUMI_E_VALUE, "'%s' is a link that leads out of the model's folder", name);
  return map_path(a, real, O_NOFOLLOW, max_bytes, out, err);
}
