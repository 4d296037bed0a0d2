/* What a job that was stopped goes on from: a file to which every finished layer is added. Where it ends in the middle of a
 * layer, that layer is not there.
 *
 * The file: the line "sumi prune state 1", then records, each of a header of five 64-bit words in the machine's byte order
 * (kind, bytes that follow, their hash, and two numbers) and its bytes. The first is the job's key. */
#ifndef SUMI_COMPRESS_STATE_H
#define SUMI_COMPRESS_STATE_H

#include "base/mem.h"

struct sumi_state {
  const struct sumi_allocator *allocator;
  int fd;                 /* to add to; -1: no file is kept */
  struct sumi_blob *file; /* what was found; NULL: nothing */
  size_t valid;           /* bytes of whole records */
};

enum sumi_state_kind {
  SUMI_STATE_KEY,
  SUMI_STATE_BUDGET,
  SUMI_STATE_LAYER,
  SUMI_STATE_TUNING,
  SUMI_STATE_KINDS
};

/* One record. Its bytes live until the state is closed. */
struct sumi_state_record {
  enum sumi_state_kind kind;
  uint64_t number; /* LAYER: which; TUNING: of what options */
  double figure;   /* LAYER: its error; TUNING: steps done */
  const void *data;
  size_t bytes;
};

/* Opens or makes the file at path (NULL: keeps nothing). A file of another job (by key), or none: a new one, or with must_be
 * SUMI_E_STATE and a sentence. SUMI_E_IO where it cannot be written. Every state that was opened is closed. */
sumi_status sumi_state_open(struct sumi_state *s, const struct sumi_allocator *a, const char *path,
                            uint64_t key, bool must_be, struct sumi_err *err);
/* The i-th record that was found, the key left out; false beyond the last. */
bool sumi_state_get(const struct sumi_state *s, size_t i, struct sumi_state_record *out);
/* Adds a record and sees it onto the disk. */
sumi_status sumi_state_add(struct sumi_state *s, const struct sumi_state_record *record,
                           struct sumi_err *err);
void sumi_state_close(struct sumi_state *s);

#endif
