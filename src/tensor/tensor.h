/* A tensor at run time: element type, concrete shape, contiguous row-major data it does not own. */
#ifndef SUMI_TENSOR_TENSOR_H
#define SUMI_TENSOR_TENSOR_H

#include "base/status.h"
#include "tensor/dtype.h"

/* kind SUMI_TENSOR: data holds sumi_tensor_count() elements, row-major, packed as sumi_dtype_bytes() says.
 * kind SUMI_SEQUENCE: items[0..n_items) are its tensors, dtype their element type, rank and data unused.
 * kind SUMI_MAP: items[0] are its n keys, int64 or strings, items[1] its n values; n_items is 2, dtype the values' type.
 * kind SUMI_MAP_SEQUENCE: items[0..n_items) are its maps, dtype and key those of each.
 * kind SUMI_OPTIONAL*: present says whether there is a value; the value lies in the same struct. */
struct sumi_tensor {
  sumi_kind kind;
  sumi_dtype dtype;
  int rank;
  int64_t dim[SUMI_MAX_RANK];
  void *data;
  struct sumi_tensor **items;
  int64_t n_items;
  bool absent;    /* an empty optional */
  sumi_dtype key; /* of maps; else SUMI_UNDEFINED */
};

/* Whether a value of this kind lies in items (unless it is absent). */
static inline bool sumi_kind_has_items(sumi_kind kind) {
  return kind != SUMI_TENSOR && kind != SUMI_OPTIONAL;
}

/* Whether there are no elements: also where the product of the dims does not fit. */
static inline bool sumi_tensor_is_empty(const struct sumi_tensor *t) {
  for (int i = 0; i < t->rank; i++)
    if (!t->dim[i]) return true;
  return false;
}

/* Number of elements; 1 for rank 0. The caller has checked the product (sumi_shape_count). */
static inline int64_t sumi_tensor_count(const struct sumi_tensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->dim[i];
  return n;
}

/* Product of dims [from, to). */
static inline int64_t sumi_dims_count(const int64_t *dim, int from, int to) {
  int64_t n = 1;
  for (int i = from; i < to; i++) n *= dim[i];
  return n;
}

/* Checked: every dim >= 0, the product and its bytes fit. SUMI_E_SHAPE or SUMI_E_LIMIT otherwise. */
sumi_status sumi_shape_count(const int64_t *dim, int rank, int64_t *count, struct sumi_err *err);
sumi_status sumi_shape_bytes(sumi_dtype d, const int64_t *dim, int rank, size_t *bytes, struct sumi_err *err);

/* "[1,3,224,224]" into buf (always terminated); returns buf. */
char *sumi_shape_print(const int64_t *dim, int rank, char *buf, size_t size);

/* Row-major strides in elements. */
void sumi_strides(const int64_t *dim, int rank, int64_t *stride);

/* NumPy broadcasting of a and b into out (may alias neither). SUMI_E_SHAPE where they do not fit. */
sumi_status sumi_broadcast(const int64_t *a, int rank_a, const int64_t *b, int rank_b, int64_t *out,
                           int *rank_out, struct sumi_err *err);

/* Strides of t seen with shape dim[rank] by broadcasting: 0 along broadcast dims. */
void sumi_broadcast_strides(const struct sumi_tensor *t, int rank, const int64_t *dim, int64_t *stride);

/* Steps through all index tuples of a shape in row-major order, keeping up to 4 element offsets.
 *   for (struct sumi_walk w = sumi_walk_start(rank, dim); !w.done; sumi_walk_next(&w)) use(w.offset[0]);
 * stride[k] are the k-th offset's strides (elements); unused ones NULL. An empty shape is done at once. */
struct sumi_walk {
  int rank, n;
  const int64_t *dim;
  const int64_t *stride[4];
  int64_t index[SUMI_MAX_RANK];
  int64_t offset[4];
  bool done;
};

struct sumi_walk sumi_walk_start(int rank, const int64_t *dim, const int64_t *s0, const int64_t *s1,
                                 const int64_t *s2, const int64_t *s3);
void sumi_walk_next(struct sumi_walk *w);
/* To the i-th place of a walk that is at its start, 0 <= i < their number. */
void sumi_walk_seek(struct sumi_walk *w, int64_t i);

/* axis in [-rank, rank) to [0, rank); SUMI_E_VALUE otherwise. */
sumi_status sumi_axis(int64_t axis, int rank, int *out, struct sumi_err *err);

#endif
