/* Files written whole or not at all (POSIX). */
#include "base/file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/size.h"
#include "base/text.h"

static void close_writer(struct sumi_file_writer *w) {
  if (w->fd >= 0) close(w->fd);
  sumi_free(w->allocator, w->path, w->path_bytes);
  sumi_free(w->allocator, w->temp, w->temp_bytes);
  w->path = w->temp = NULL;
  w->fd = -1;
}

/* Opens a new file of a name that nobody has: path, a point and a number. The umask decides who may read it. */
static int open_new(struct sumi_file_writer *w) {
  enum { ATTEMPTS = 100 };
  for (unsigned i = 0; i < ATTEMPTS; i++) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t id[] = {(uint64_t)now.tv_nsec, (uint64_t)getpid(), (uint64_t)(uintptr_t)w, i};
    snprintf(w->temp, w->temp_bytes, "%s.%08x", w->path, (unsigned)(sumi_hash(id, sizeof id, 0) >> 32));
    const int fd = open(w->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd >= 0 || (errno != EEXIST && errno != EINTR)) return fd;
  }
  return -1;
}

sumi_status sumi_file_writer_open(struct sumi_file_writer *w, const struct sumi_allocator *a,
                                  const char *path, struct sumi_err *err) {
  const size_t n = strlen(path) + 1;
  *w = (struct sumi_file_writer){.allocator = a ? a : sumi_allocator_default(),
                                 .path_bytes = n,
                                 .temp_bytes = n + sizeof ".12345678",
                                 .fd = -1};
  w->path = sumi_alloc(w->allocator, w->path_bytes);
  w->temp = sumi_alloc(w->allocator, w->temp_bytes);
  if (!w->path || !w->temp) {
    close_writer(w);
    SUMI_FAIL_MEMORY(err);
  }
  memcpy(w->path, path, n);
  w->fd = open_new(w);
  if (w->fd >= 0) return SUMI_OK;
  const int reason = errno;
  close_writer(w);
  SUMI_FAIL(err, SUMI_E_IO, "cannot write '%s': %s", path, strerror(reason));
}

static sumi_status put(struct sumi_file_writer *w, uint64_t at, const char *bytes, size_t n,
                       struct sumi_err *err) {
  while (n) {
    const ssize_t done = pwrite(w->fd, bytes, SUMI_MIN(n, (size_t)1 << 30), (off_t)at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0)
      SUMI_FAIL(err, SUMI_E_IO, "cannot write '%s': %s", w->path, done ? strerror(errno) : "no room");
    bytes += done;
    at += (uint64_t)done;
    n -= (size_t)done;
  }
  return SUMI_OK;
}

sumi_status sumi_file_write(struct sumi_file_writer *w, const void *bytes, size_t n, struct sumi_err *err) {
  SUMI_TRY(put(w, w->at, bytes, n, err));
  w->at += n;
  return SUMI_OK;
}

sumi_status sumi_file_write_align(struct sumi_file_writer *w, size_t align, struct sumi_err *err) {
  static const char zeros[64];
  size_t left = (size_t)(-w->at & (align - 1));
  while (left) {
    const size_t n = SUMI_MIN(left, sizeof zeros);
    SUMI_TRY(sumi_file_write(w, zeros, n, err));
    left -= n;
  }
  return SUMI_OK;
}

sumi_status sumi_file_rewrite(struct sumi_file_writer *w, uint64_t at, const void *bytes, size_t n,
                              struct sumi_err *err) {
  SUMI_ASSERT(err, at <= w->at && n <= w->at - at);
  return put(w, at, bytes, n, err);
}

sumi_status sumi_file_writer_end(struct sumi_file_writer *w, struct sumi_err *err) {
  sumi_status status = SUMI_OK;
  if (rename(w->temp, w->path) != 0) {
    status = sumi_err_set(err, SUMI_E_IO, "cannot write '%s': %s", w->path, strerror(errno));
    unlink(w->temp);
  }
  close_writer(w);
  return status;
}

void sumi_file_writer_drop(struct sumi_file_writer *w) {
  if (w->fd < 0) return;
  unlink(w->temp);
  close_writer(w);
}

sumi_status sumi_file_make_folders(const char *folder, const char *name, struct sumi_err *err) {
  char path[PATH_MAX];
  for (const char *end = strchr(name, '/'); end; end = strchr(end + 1, '/')) {
    const int n = snprintf(path, sizeof path, "%s/%.*s", folder, (int)(end - name), name);
    if (n < 0 || (size_t)n >= sizeof path) SUMI_FAIL(err, SUMI_E_IO, "the path of '%s' is too long", name);
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
      SUMI_FAIL(err, SUMI_E_IO, "cannot make folder '%s': %s", path, strerror(errno));
  }
  return SUMI_OK;
}

bool sumi_file_is_same(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void sumi_file_remove(const char *path) { (void)unlink(path); }
