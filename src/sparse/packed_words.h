/* Weights in words of 32 bits packed for the kernels of families spmm_i8 and spmm_bf16 (four signed bytes, two bfloat16: packing
 * does not look into a word), in lists by blocks of rows. The forms are those of kernel/spmm/spmm_i8.h: by rows for blocks of 1, 2, 4, 8, in tiles of 16 x 16 words for blocks of 16 and 32.
 *
 * Block b has rows [b * block, (b + 1) * block) and entries [start[b], start[b + 1]) with columns col[e]; a sparse list rises and
 * is, in tiles, filled up to a multiple of 16 by repeating its last column with zero weights. Dense: one list of all columns for all
 * blocks (in tiles filled up too) and start left out. One block of bytes, positions instead of pointers. */
#ifndef SUMI_SPARSE_PACKED_WORDS_H
#define SUMI_SPARSE_PACKED_WORDS_H

#include <stdbool.h>

#include "base/mem.h"

enum { SUMI_WORD_TILE = 16 };

struct sumi_packed_words {
  int64_t rows, cols, n_blocks,
      n_entries; /* rows: a multiple of 4; n_entries: all lists, or the one of a dense matrix */
  int32_t block, dense;
  uint64_t start_at, col_at, value_at, bytes; /* bytes from the struct's own address */
};

static inline const int32_t *sumi_packed_words_start(const struct sumi_packed_words *p) {
  return p->dense ? NULL : (const int32_t *)((const char *)p + p->start_at);
}
static inline const int32_t *sumi_packed_words_col(const struct sumi_packed_words *p) {
  return (const int32_t *)((const char *)p + p->col_at);
}
static inline const int32_t *sumi_packed_words_value(const struct sumi_packed_words *p) {
  return (const int32_t *)((const char *)p + p->value_at);
}

/* Entries of a list of so many columns: blocks in tiles are filled up. */
static inline int64_t sumi_packed_words_filled(int64_t entries, int block) {
  return block >= SUMI_WORD_TILE ? (entries + SUMI_WORD_TILE - 1) / SUMI_WORD_TILE * SUMI_WORD_TILE : entries;
}

/* Where the word of row i of a block and entry e of its list lies whose first entry is `first` (dense: b * n_entries). */
static inline int64_t sumi_packed_words_place(int block, int64_t first, int64_t i, int64_t e) {
  enum { T = SUMI_WORD_TILE };
  if (block < T) return (first + e) * block + i;
  return first * block + ((e / T * (block / T) + i / T) * T + i % T) * T + e % T;
}

/* word is [rows, cols], row-major; rows beyond the last, up to a multiple of 4, are zero. */
struct sumi_words {
  const int32_t *word;
  int64_t rows, cols;
};

sumi_status sumi_packed_words_make(struct sumi_words w, int block, bool dense, const struct sumi_allocator *a,
                                   struct sumi_blob **out, struct sumi_err *err);

/* Entries that sparse packing would make. */
int64_t sumi_packed_words_count(struct sumi_words w, int block);

/* Whether bytes hold a well-formed struct sumi_packed_words: SUMI_E_FORMAT says what is wrong. For data from files. */
sumi_status sumi_packed_words_check(const void *data, size_t bytes, struct sumi_err *err);

/* Writes the words back, row-major [rows, cols]. */
void sumi_packed_words_unpack(const struct sumi_packed_words *p, int32_t *word);

#endif
