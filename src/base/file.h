/* Files mapped read-only as blobs. A mapped file must not change while its blob lives (truncating it kills
 * the program that reads it; no library can prevent that). */
#ifndef SUMI_BASE_FILE_H
#define SUMI_BASE_FILE_H

#include "base/mem.h"

/* Maps the regular file at path; an empty file gives a blob of 0 bytes. SUMI_E_IO where it cannot be opened,
 * is no regular file, or cannot be mapped; SUMI_E_LIMIT where it is larger than max_bytes. Sentences name the
 * path. */
sumi_status sumi_file_map(const struct sumi_allocator *a, const char *path, size_t max_bytes,
                          struct sumi_blob **out, struct sumi_err *err);

/* The same for a file named inside folder by somebody who is not trusted: name is relative, has no ".." part,
 * and no symbolic link on the way leads out of the folder. SUMI_E_VALUE where it would escape. */
sumi_status sumi_file_map_beneath(const struct sumi_allocator *a, const char *folder, const char *name,
                                  size_t max_bytes, struct sumi_blob **out, struct sumi_err *err);

/* Says that bytes inside a blob will hardly be read again: where the blob is a mapped file their pages leave this process's memory;
 * reading them later brings them back. Anything else is left alone. */
void sumi_file_release(const struct sumi_blob *blob, const void *data, size_t bytes);

#endif
