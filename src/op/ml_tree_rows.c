/* The rows of a tree ensemble: leaves, sums, base values, transforms, labels. */
#include <math.h>

#include "base/size.h"
#include "op/ml_tree.h"

/* What is known of a tile of rows. */
struct room {
  double *sum;    /* [SUMI_TREE_TILE, targets] */
  uint8_t *voted; /* [SUMI_TREE_TILE, targets] */
  int32_t leaf[SUMI_TREE_TILE];
};

/* With many targets a tile is fewer rows. */
static int64_t tile_of(const struct sumi_trees *t) {
  const int64_t most = 1 << 16;
  return SUMI_MAX(1, SUMI_MIN(SUMI_TREE_TILE, most / t->targets));
}

sumi_status sumi_trees_room_bytes(const struct sumi_trees *t, size_t *bytes, struct sumi_err *err) {
  size_t n;
  if (!sumi_size_mul((size_t)tile_of(t), (size_t)t->targets, &n) ||
      !sumi_size_mul(n, sizeof(double) + 1, bytes) ||
      !sumi_size_add(*bytes, sizeof(struct room) + 2 * SUMI_ALIGN, bytes))
    SUMI_FAIL(err, SUMI_E_LIMIT, "too many targets");
  *bytes &= ~(size_t)(SUMI_ALIGN - 1);
  return SUMI_OK;
}

/* ---- walks ----------------------------------------------------------------------------------------------- */

enum { ABREAST = 8 }; /* rows that walk a tree side by side, so that their loads overlap */

/* leaf[r] = where row r of x[rows, stride] ends. Side by side without a branch a row: who has arrived takes steps from node
 * 0 that do not count. */
#define LEAVES(name, type)                                                                              \
  SUMI_FOREST_WALK(walk_##name, type)                                                                   \
  static inline void abreast_##name(const struct sumi_forest_node *node, int32_t root, const type *x,   \
                                    int64_t stride, int32_t *leaf) {                                    \
    int32_t at[ABREAST], going;                                                                         \
    for (int i = 0; i < ABREAST; i++) at[i] = root;                                                     \
    do {                                                                                                \
      going = 0;                                                                                        \
      for (int i = 0; i < ABREAST; i++) {                                                               \
        const struct sumi_forest_node *n = &node[SUMI_MAX(at[i], 0)];                                   \
        const double v = (double)x[i * stride + n->feature];                                            \
        const int32_t next = n->child[((v != v) & n->nan) | !((v <= n->u.split) | (v != v))];           \
        at[i] = at[i] < 0 ? at[i] : next;                                                               \
        going |= at[i] >= 0;                                                                            \
      }                                                                                                 \
    } while (going);                                                                                    \
    for (int i = 0; i < ABREAST; i++) leaf[i] = ~at[i];                                                 \
  }                                                                                                     \
  static void leaves_##name(const struct sumi_forest *f, int32_t root, const void *data, int64_t first, \
                            int64_t rows, int64_t stride, int32_t *leaf) {                              \
    const type *x = (const type *)data + first * stride;                                                \
    int64_t r = 0;                                                                                      \
    for (; f->plain && root >= 0 && r + ABREAST <= rows; r += ABREAST)                                  \
      abreast_##name(f->node, root, x + r * stride, stride, leaf + r);                                  \
    for (; r < rows; r++) leaf[r] = walk_##name(f, root, x + r * stride);                               \
  }
LEAVES(f32, float)
LEAVES(f64, double)
LEAVES(i32, int32_t)
LEAVES(i64, int64_t)

typedef void leaves_fn(const struct sumi_forest *f, int32_t root, const void *data, int64_t first,
                       int64_t rows, int64_t stride, int32_t *leaf);

static void leaves_f16(const struct sumi_forest *f, int32_t root, const void *data, int64_t first,
                       int64_t rows, int64_t stride, int32_t *leaf) {
  for (int64_t r = 0; r < rows; r++) {
    int32_t at = root;
    while (at >= 0) {
      const int64_t i = (first + r) * stride + f->node[at].feature;
      at = sumi_forest_step(f, &f->node[at], sumi_get_f64(SUMI_FLOAT16, data, i));
    }
    leaf[r] = ~at;
  }
}

static leaves_fn *leaves_of(sumi_dtype d) {
  switch (d) {
    case SUMI_FLOAT32: return leaves_f32;
    case SUMI_FLOAT64: return leaves_f64;
    case SUMI_INT32: return leaves_i32;
    case SUMI_INT64: return leaves_i64;
    default: return leaves_f16;
  }
}

/* ---- sums ------------------------------------------------------------------------------------------------ */

/* A sum of two floats in double, rounded, is their sum in float. */
static double rounded(bool single, double x) { return single ? (double)(float)x : x; }

static void add_votes(const struct sumi_trees *t, const struct sumi_forest *f, bool single, int32_t leaf,
                      double *sum, uint8_t *voted) {
  for (int32_t k = f->leaf[leaf]; k < f->leaf[leaf + 1]; k++) {
    const double w = f->vote[k].weight;
    const int64_t i = f->vote[k].target;
    if (t->sum == SUMI_TREE_SUM || t->sum == SUMI_TREE_AVERAGE)
      sum[i] = rounded(single, sum[i] + w);
    else if (!voted[i] || (t->sum == SUMI_TREE_MIN ? w < sum[i] : w > sum[i]))
      sum[i] = w;
    voted[i] = 1;
  }
}

static double base_of(const struct sumi_trees *t, int64_t i) {
  return i < t->base.dim[0] ? sumi_get_f64(t->base.dtype, t->base.data, i) : 0;
}

/* ---- results --------------------------------------------------------------------------------------------- */

static void regress_row(const struct sumi_trees *t, const struct sumi_forest *f, struct sumi_tensor *y,
                        int64_t row, double *sum) {
  for (int64_t i = 0; i < t->targets; i++) {
    if (t->sum == SUMI_TREE_AVERAGE && f->n_trees) sum[i] /= (double)f->n_trees;
    sum[i] += base_of(t, i);
  }
  sumi_ml_transform(t->post, sum, t->targets);
  for (int64_t i = 0; i < t->targets; i++) sumi_set_f64(y->dtype, y->data, row * t->targets + i, sum[i]);
}

/* The class of the largest score among those that got votes; the first where none did. */
static int64_t winner(const struct sumi_trees *t, const double *sum, const uint8_t *voted) {
  int64_t best = -1;
  for (int64_t i = 0; i < t->targets; i++)
    if (voted[i] && (best < 0 || sum[i] > sum[best])) best = i;
  return SUMI_MAX(best, 0);
}

/* Two labels, but votes for one class only: the sum s stands for both. It means the second label above 0.5 where no vote
 * is negative (probabilities), else above 0. Votes for the first class give both scores; those for the second leave the
 * first score 0. ONNX Runtime's rules. */
static void binary_row(const struct sumi_trees *t, struct sumi_tensor *const out[2], int64_t row,
                       double *sum) {
  const double s = sum[t->only_class];
  if (out[0]) sumi_ml_put_label(&t->labels, out[0], row, t->positive ? s > 0.5 : s > 0);
  if (t->only_class == 0)
    sumi_ml_two_scores(t->post, t->positive, s, sum);
  else
    sumi_ml_transform(t->post, sum, 2);
}

static void classify_row(const struct sumi_trees *t, bool single, struct sumi_tensor *const out[2],
                         int64_t row, double *sum, uint8_t *voted) {
  for (int64_t i = 0; i < t->base.dim[0]; i++) {
    sum[i] = rounded(single, sum[i] + base_of(t, i));
    voted[i] = 1;
  }
  if (t->targets == 2 && t->only_class >= 0) {
    binary_row(t, out, row, sum);
  } else {
    if (out[0] && t->targets == 1) sumi_ml_put_sign(&t->labels, out[0], row, sum[0] > 0);
    if (out[0] && t->targets > 1) sumi_ml_put_label(&t->labels, out[0], row, winner(t, sum, voted));
    sumi_ml_transform(t->post, sum, t->targets);
  }
  for (int64_t i = 0; out[1] && i < t->targets; i++)
    ((float *)out[1]->data)[row * t->targets + i] = (float)sum[i];
}

void sumi_trees_run(const struct sumi_trees *t, const struct sumi_forest *f, const struct sumi_tensor *x,
                    struct sumi_tensor *const out[2], int64_t begin, int64_t end, void *memory) {
  struct room *m = memory;
  const int64_t tile = tile_of(t), stride = sumi_ml_rows_of(x).features;
  const bool single = f->single && x->dtype != SUMI_FLOAT64;
  leaves_fn *leaves = leaves_of(x->dtype);
  m->sum = (double *)((char *)memory + (sizeof *m + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN);
  m->voted = (uint8_t *)(m->sum + tile * t->targets);
  for (int64_t first = begin; first < end; first += tile) {
    const int64_t rows = SUMI_MIN(tile, end - first);
    for (int64_t i = 0; i < rows * t->targets; i++) m->sum[i] = 0, m->voted[i] = 0;
    for (int64_t k = 0; k < f->n_trees; k++) {
      leaves(f, f->root[k], x->data, first, rows, stride, m->leaf);
      for (int64_t r = 0; r < rows; r++)
        add_votes(t, f, single, m->leaf[r], m->sum + r * t->targets, m->voted + r * t->targets);
    }
    for (int64_t r = 0; r < rows; r++)
      if (t->form == SUMI_FOREST_CLASSIFIER)
        classify_row(t, single, out, first + r, m->sum + r * t->targets, m->voted + r * t->targets);
      else
        regress_row(t, f, out[0], first + r, m->sum + r * t->targets);
  }
}
