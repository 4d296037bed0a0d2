/* Weights packed for the kernels: rows in blocks that share one list of columns; an entry holds the block's
 * weights of its column side by side.
 *
 *   block b has rows [b * block, (b + 1) * block); entries [start[b], start[b + 1]) with rising columns
 * col[e]; value[e * block + i] is the weight of row b * block + i and column col[e]; rows beyond the last
 * hold 0.
 *
 * Dense: every block lists all columns; start and col are left out. One block of bytes, positions instead of
 * pointers. */
#ifndef SUMI_SPARSE_PACKED_H
#define SUMI_SPARSE_PACKED_H

#include <stdbool.h>

#include "base/mem.h"

#define SUMI_PACKED_KIND "f32_lists.1" /* this form's name in files */

struct sumi_packed {
  int64_t rows, cols, n_blocks, n_entries;
  int32_t block, dense;                       /* dense: 0 or 1 */
  uint64_t start_at, col_at, value_at, bytes; /* bytes from the struct's own address */
};

static inline const int32_t *sumi_packed_start(const struct sumi_packed *p) {
  return p->dense ? NULL : (const int32_t *)((const char *)p + p->start_at);
}
static inline const int32_t *sumi_packed_col(const struct sumi_packed *p) {
  return p->dense ? NULL : (const int32_t *)((const char *)p + p->col_at);
}
static inline const float *sumi_packed_value(const struct sumi_packed *p) {
  return (const float *)((const char *)p + p->value_at);
}

/* A matrix wherever it lies: w[r, c] = data[r * row_stride + c * col_stride] * row_scale[r], in elements. The product is
 * taken in float64 and rounded once. */
struct sumi_matrix {
  const float *data;
  int64_t rows, cols, row_stride, col_stride;
  const double *row_scale; /* [rows]; NULL = all 1 */
};

static inline float sumi_matrix_at(const struct sumi_matrix *w, int64_t r, int64_t c) {
  const float x = w->data[r * w->row_stride + c * w->col_stride];
  return w->row_scale ? (float)(x * w->row_scale[r]) : x;
}

/* Packs a matrix; zeros are left out unless dense. block is 1..64. The blob's data is the struct sumi_packed.
 */
sumi_status sumi_packed_make(struct sumi_matrix w, int block, bool dense, const struct sumi_allocator *a,
                             struct sumi_blob **out, struct sumi_err *err);

/* Entries that packing would make: the sum over blocks of columns in which any row of the block has a weight that is not
 * zero (and whose factor is not). */
int64_t sumi_packed_count(struct sumi_matrix w, int block);

/* Whether bytes hold a well-formed struct sumi_packed: SUMI_E_FORMAT says what is wrong. For data from files.
 */
sumi_status sumi_packed_check(const void *data, size_t bytes, struct sumi_err *err);

/* The same for data that must be what packing a matrix of that size so gives, but for the weights themselves.
 */
sumi_status sumi_packed_check_form(const void *data, size_t bytes, int64_t rows, int64_t cols, int block,
                                   bool dense, struct sumi_err *err);

/* Writes the matrix back, row-major [rows, cols]. */
void sumi_packed_unpack(const struct sumi_packed *p, float *w);

#endif
