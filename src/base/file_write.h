/* Files written whole or not at all: what is written goes to a file of another name in the same folder, which takes the
 * given name at the end. Whoever has the old file open or mapped keeps it. */
#ifndef SUMI_BASE_FILE_WRITE_H
#define SUMI_BASE_FILE_WRITE_H

#include "base/mem.h"

struct sumi_file_writer {
  const struct sumi_allocator *allocator;
  char *path, *temp; /* temp: where the bytes are until the end */
  size_t path_bytes, temp_bytes;
  int fd;
  uint64_t at; /* bytes written */
};

/* SUMI_E_IO where no file can be made there. Every writer that was opened is ended or dropped. */
sumi_status sumi_file_writer_open(struct sumi_file_writer *w, const struct sumi_allocator *a,
                                  const char *path, struct sumi_err *err);
sumi_status sumi_file_write(struct sumi_file_writer *w, const void *bytes, size_t n, struct sumi_err *err);
/* Zeros up to the next multiple of align, a power of two. */
sumi_status sumi_file_write_align(struct sumi_file_writer *w, size_t align, struct sumi_err *err);
/* Bytes anew at a place that was written before. */
sumi_status sumi_file_rewrite(struct sumi_file_writer *w, uint64_t at, const void *bytes, size_t n,
                              struct sumi_err *err);
/* The file takes its name. The writer is closed, also on failure; then there is no file, or the old one. */
sumi_status sumi_file_writer_end(struct sumi_file_writer *w, struct sumi_err *err);
/* Closes the writer; nothing is left. Does nothing after the end. */
void sumi_file_writer_drop(struct sumi_file_writer *w);

/* Makes the folders that name has in front of its last part, where they lack, inside folder. */
sumi_status sumi_file_make_folders(const char *folder, const char *name, struct sumi_err *err);
/* Whether both paths lead to one file or folder that is there. */
bool sumi_file_is_same(const char *a, const char *b);
/* The file goes, if it is there. */
void sumi_file_remove(const char *path);

#endif
