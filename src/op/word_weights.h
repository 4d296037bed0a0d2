/* Weights in words of a node for the families spmm_i8 and spmm_bf16: the words of the matrix, what is known of it, the form that is
 * predicted to be fastest. Kept among the node's packed weights, so that a second plan, or a compiled file, only looks them
 * up. */
#ifndef SUMI_OP_WORD_WEIGHTS_H
#define SUMI_OP_WORD_WEIGHTS_H

#include "plan/lower.h"
#include "sparse/packed_words.h"

/* Weights w[m, c, tap] = data[m * row + c * channel + tap * tap_step] for output rows m, input channels c of their group,
 * and taps, elements of 4 / v bytes. Group g has rows [g * rows / groups, ...) and reads channels [g * channels, ...).
 * Columns of the matrix are words of v channels of the whole input: tap by tap, all words of a tap side by side. */
struct sumi_word_matrix {
  const void *data;
  int v;
  int64_t rows, groups, channels, taps;
  int64_t row, channel, tap;
};

enum { SUMI_WORD_FORMS = 6 }; /* blocks of 1, 2, 4, 8, 16, 32 rows */

struct sumi_word_facts {
  int64_t rows, cols;               /* rows: without padding; cols: words */
  int64_t entries[SUMI_WORD_FORMS]; /* of all lists, for each size of block */
  int32_t sum[];                    /* [rows] of all weights of a row, signed bytes; v = 2: zeros */
};

/* What a family says of lists of so many entries together, in n_blocks blocks of so many rows: its best kernel and
 * seconds over so many pixels. */
struct sumi_word_offer {
  const void *kernel;
  const char *name;
  double seconds;
};

struct sumi_word_family {
  const char *label; /* of packed weights: "i8" */
  struct sumi_pack_kind facts, packed;
  struct sumi_word_offer (*offer)(enum sumi_isa level, int block, bool dense, double entries, double n_blocks,
                                  int64_t pixels);
};

extern const struct sumi_word_family sumi_words_i8, sumi_words_bf16;

struct sumi_word_weights {
  const void *kernel; /* the family's */
  const struct sumi_word_facts *facts;
  const struct sumi_packed_words *packed;
  double predicted_s;
};

/* Chooses kernel and form for a walk over so many pixels, and packs. Every form that was not taken is a refusal. */
sumi_status sumi_word_pack(struct sumi_lower *l, const struct sumi_word_family *family,
                           const struct sumi_word_matrix *m, int64_t pixels, struct sumi_word_weights *out);

/* Weights that are known only while running, in the dense form: a step of the node's packs them in every run. */
struct sumi_word_gathered {
  const void *kernel; /* the family's */
  int block;
  int64_t n_blocks, n_entries; /* blocks; entries of the list, filled up */
  int buffer;                  /* scratch: the words, as in a dense struct sumi_packed_words */
  double predicted_s;
};

/* Chooses kernel and size of block for a walk over so many pixels and emits that step: m->data is not read, the weights lie in
 * buffer w. SUMI_E_LIMIT where they are too many. */
sumi_status sumi_word_gather(struct sumi_lower *l, const struct sumi_word_family *family,
                             const struct sumi_word_matrix *m, int w, int64_t pixels,
                             struct sumi_word_gathered *out);

/* The offsets of n entries that are all `cols` columns in order, the last one repeated; column[cols] as below. */
sumi_status sumi_word_all_offsets(struct sumi_lower *l, const int32_t *column, int64_t cols, int64_t n,
                                  const int32_t **off);

/* The offsets of all entries, in l's arena; column[cols] are those of the columns in bytes. */
sumi_status sumi_word_offsets(struct sumi_lower *l, const struct sumi_packed_words *p, const int32_t *column,
                              const int32_t **off);

#endif
