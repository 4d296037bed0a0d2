/* Tree ensembles: what a node's attributes say beside the trees (ml_forest.h), and the rows of a call. */
#ifndef SUMI_OP_ML_TREE_H
#define SUMI_OP_ML_TREE_H

#include "op/ml_forest.h"

/* The order of TreeEnsemble's attribute aggregate_function. */
enum sumi_tree_sum { SUMI_TREE_AVERAGE, SUMI_TREE_SUM, SUMI_TREE_MIN, SUMI_TREE_MAX, SUMI_N_TREE_SUMS };

struct sumi_trees {
  enum sumi_forest_form form;
  enum sumi_tree_sum sum;
  enum sumi_ml_post post;
  int64_t targets;         /* of a classifier the classes */
  struct sumi_tensor base; /* [0], [1] or [targets], float32 or float64 */
  struct sumi_ml_labels labels;
  int64_t only_class; /* the one class that votes are for; -1: several */
  bool positive;      /* no vote is negative */
};
/* SUMI_E_VALUE for attributes that do not fit together; says nothing of the trees. */
sumi_status sumi_trees_of(const struct sumi_node *node, struct sumi_trees *trees, struct sumi_err *err);

/* Rows that walk a tree after each other: its nodes stay in the cache. */
enum { SUMI_TREE_TILE = 64 };

/* Room for the sums of a tile; SUMI_E_LIMIT where it does not fit. */
sumi_status sumi_trees_room_bytes(const struct sumi_trees *trees, size_t *bytes, struct sumi_err *err);

/* Rows [begin, end) of x to out[0] and, of a classifier, out[1] (either NULL: not wanted). */
void sumi_trees_run(const struct sumi_trees *trees, const struct sumi_forest *forest,
                    const struct sumi_tensor *x, struct sumi_tensor *const out[2], int64_t begin, int64_t end,
                    void *room);

/* Device cpu: the trees are made once a model, and rows are shared among threads. */
sumi_status sumi_trees_lower(struct sumi_lower *l);

#endif
