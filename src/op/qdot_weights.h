/* 8-bit weights of a node for family spmm_i8: the words of the matrix, what is known of it, the form that is predicted to
 * be fastest. Kept among the node's packed weights, so that a second plan, or a compiled file, only looks them up. */
#ifndef SUMI_OP_QDOT_WEIGHTS_H
#define SUMI_OP_QDOT_WEIGHTS_H

#include "kernel/spmm/spmm_i8.h"
#include "plan/lower.h"
#include "sparse/packed_i8.h"

/* Weights w[m, c, tap] = data[m * row + c * channel + tap * tap_step] for output rows m, input channels c of their group,
 * and taps. Group g has rows [g * rows / groups, ...) and reads channels [g * channels, ...). Columns of the matrix are words of
 * four channels of the whole input: tap by tap, all words of a tap side by side. */
struct sumi_qdot_matrix {
  const int8_t *data;
  int64_t rows, groups, channels, taps;
  int64_t row, channel, tap;
};

enum { SUMI_QDOT_FORMS = 6 }; /* blocks of 1, 2, 4, 8, 16, 32 rows */

struct sumi_qdot_facts {
  int64_t rows, cols;               /* rows: without padding; cols: words */
  int64_t entries[SUMI_QDOT_FORMS]; /* of all lists, for each size of block */
  int32_t sum[];                    /* [rows] of all weights of a row */
};

struct sumi_qdot_weights {
  const struct sumi_spmm_i8_kernel *kernel;
  const struct sumi_qdot_facts *facts;
  const struct sumi_packed_i8 *packed;
  double predicted_s;
};

/* Chooses kernel and form for a walk over so many pixels, and packs. Every form that was not taken is a refusal. */
sumi_status sumi_qdot_pack(struct sumi_lower *l, const struct sumi_qdot_matrix *m, int64_t pixels,
                           struct sumi_qdot_weights *out);

/* Sets the weights of s. column[cols] are the columns' offsets in bytes. */
sumi_status sumi_qdot_set_weights(struct sumi_lower *l, const struct sumi_qdot_weights *w,
                                  const int32_t *column, struct sumi_spmm_i8 *s);

#endif
