/* A tree ensemble's trees as a compact array of nodes, made once from the attributes of a node and checked while it is
 * made: every index is inside, and no walk goes round in a circle. What the tree operators walk.
 *
 * A walk:  at = root;  while (at >= 0) at = node[at].child[goes to the first];  leaf = ~at */
#ifndef SUMI_OP_ML_FOREST_H
#define SUMI_OP_ML_FOREST_H

#include "op/ml_util.h"

enum sumi_forest_test {
  SUMI_FOREST_LE,    /* x <= split; what the other comparisons of order become */
  SUMI_FOREST_EQ,    /* x == split */
  SUMI_FOREST_MEMBER /* x is one of member[first .. first + n) */
};

struct sumi_forest_node {
  union {
    double split;
    struct {
      uint32_t first, n;
    } set;
  } u;
  int32_t child[2]; /* where the test holds, and where not; >= 0: a node, else ~leaf */
  int32_t feature;
  uint8_t test;
  uint8_t nan; /* which child takes NaN */
};

/* What a leaf adds to a target. */
struct sumi_forest_vote {
  double weight;
  int64_t target;
};

struct sumi_forest {
  int64_t n_nodes, n_leaves, n_votes, n_members, n_trees;
  int64_t features; /* 1 + the highest that is looked at */
  bool
      single; /* float arithmetic: the file has no double weights or thresholds. Sums round to float at every step */
  bool plain; /* every test is SUMI_FOREST_LE */
  struct sumi_forest_node *node;
  int32_t *root; /* [n_trees] as child */
  int32_t *leaf; /* [n_leaves + 1] first vote */
  struct sumi_forest_vote *vote;
  double *member; /* ascending in every set */
};

/* Which attributes describe the trees. */
enum sumi_forest_form {
  SUMI_FOREST_CLASSIFIER, /* nodes_*, class_* of TreeEnsembleClassifier */
  SUMI_FOREST_REGRESSOR,  /* nodes_*, target_* of TreeEnsembleRegressor */
  SUMI_FOREST_GENERAL     /* nodes_*, leaf_* of TreeEnsemble */
};

/* Bytes of the memory that sumi_forest_init needs. */
sumi_status sumi_forest_bytes(const struct sumi_node *node, enum sumi_forest_form form, size_t *bytes,
                              struct sumi_err *err);

/* Makes the trees in memory (zeroed or not, aligned to SUMI_ALIGN), which *forest points into. targets: votes are for [0,
 * targets). SUMI_E_VALUE says which node is wrong. */
sumi_status sumi_forest_init(struct sumi_forest *forest, const struct sumi_node *node,
                             enum sumi_forest_form form, int64_t targets, void *memory, struct sumi_err *err);

/* The tests of version 1 by name and of version 5 by number; "LEAF" is none of them. */
enum sumi_forest_mode {
  SUMI_MODE_LEQ,
  SUMI_MODE_LT,
  SUMI_MODE_GTE,
  SUMI_MODE_GT,
  SUMI_MODE_EQ,
  SUMI_MODE_NEQ,
  SUMI_MODE_MEMBER,
  SUMI_N_MODES
};

/* Sets test, split, child order and nan of a node from its mode: yes and no are its children. */
void sumi_forest_set_test(struct sumi_forest_node *node, enum sumi_forest_mode mode, double split,
                          int32_t yes, int32_t no, bool missing_is_yes);

/* SUMI_E_VALUE where a walk could go on for ever. queue, degree: [n_nodes] each. */
sumi_status sumi_forest_check_acyclic(const struct sumi_forest *forest, int32_t *queue, int32_t *degree,
                                      struct sumi_err *err);

/* The two readers: ml_forest_ids.c for nodes named by numbers, ml_forest.c for TreeEnsemble. Counts are set and arrays
 * allocated; temp: [2 n + 1] integers, n nodes in the file. */
sumi_status sumi_forest_read_ids(struct sumi_forest *forest, const struct sumi_node *node,
                                 enum sumi_forest_form form, int64_t targets, int32_t *temp,
                                 struct sumi_err *err);
sumi_status sumi_forest_count_ids(struct sumi_forest *forest, const struct sumi_node *node,
                                  enum sumi_forest_form form, int64_t *in_file, struct sumi_err *err);

static inline bool sumi_forest_is_member(const struct sumi_forest *f, const struct sumi_forest_node *n,
                                         double x) {
  const double *set = f->member + n->u.set.first;
  uint32_t low = 0, high = n->u.set.n; /* the first that is not below x lies in [low, high] */
  while (low < high) {
    const uint32_t mid = low + (high - low) / 2;
    if (set[mid] < x)
      low = mid + 1;
    else
      high = mid;
  }
  return low < n->u.set.n && set[low] == x;
}

/* The child that the walk goes to from n with feature value x. */
static inline int32_t sumi_forest_step(const struct sumi_forest *f, const struct sumi_forest_node *n,
                                       double x) {
  bool yes = x <= n->u.split;
  if (!f->plain && n->test != SUMI_FOREST_LE)
    yes = n->test == SUMI_FOREST_EQ ? x == n->u.split : sumi_forest_is_member(f, n, x);
  return n->child[x != x ? n->nan : !yes];
}

/* name(forest, root, x): the leaf that features of a type lead to. */
#define SUMI_FOREST_WALK(name, type)                                                        \
  static inline int32_t name(const struct sumi_forest *f, int32_t at, const type *x) {      \
    while (at >= 0) at = sumi_forest_step(f, &f->node[at], (double)x[f->node[at].feature]); \
    return ~at;                                                                             \
  }

#endif
