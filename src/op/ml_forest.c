/* Memory and tests of compact trees, and TreeEnsemble's attributes, which number nodes and leaves by position. */
#include "op/ml_forest.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* ---- tests ----------------------------------------------------------------------------------------------- */

/* x < split is x <= the number below; x >= split is not x < split. Below 0 that is the first number that is not subnormal:
 * device cpu takes subnormal ones for 0. With a threshold that is no number a comparison never
 * holds, so nothing may be turned round. */
void sumi_forest_set_test(struct sumi_forest_node *n, enum sumi_forest_mode mode, double split, int32_t yes,
                          int32_t no, bool missing_is_yes) {
  const bool never = isnan(split) && mode != SUMI_MODE_MEMBER;
  const bool turned = mode == SUMI_MODE_NEQ || (!never && (mode == SUMI_MODE_GTE || mode == SUMI_MODE_GT));
  const bool nan_is_yes = missing_is_yes || mode == SUMI_MODE_NEQ; /* NaN differs from everything */
  n->child[0] = turned ? no : yes;
  n->child[1] = turned ? yes : no;
  n->nan = nan_is_yes == turned;
  n->test = mode == SUMI_MODE_MEMBER                        ? SUMI_FOREST_MEMBER
            : mode == SUMI_MODE_EQ || mode == SUMI_MODE_NEQ ? SUMI_FOREST_EQ
                                                            : SUMI_FOREST_LE;
  if (mode == SUMI_MODE_MEMBER) return;
  const bool below = mode == SUMI_MODE_LT || mode == SUMI_MODE_GTE;
  if (below && split == -INFINITY)
    n->u.split = (double)NAN; /* nothing lies below */
  else
    n->u.split = !below ? split : split == 0 ? -DBL_MIN : nextafter(split, -INFINITY);
}

/* Nodes that nobody leads to any more are taken away, one by one: what is left lies on a circle. */
sumi_status sumi_forest_check_acyclic(const struct sumi_forest *f, int32_t *queue, int32_t *degree,
                                      struct sumi_err *err) {
  int64_t n = 0;
  memset(degree, 0, (size_t)f->n_nodes * sizeof *degree);
  for (int64_t i = 0; i < f->n_nodes; i++)
    for (int k = 0; k < 2; k++)
      if (f->node[i].child[k] >= 0) degree[f->node[i].child[k]]++;
  for (int64_t i = 0; i < f->n_nodes; i++)
    if (!degree[i]) queue[n++] = (int32_t)i;
  for (int64_t at = 0; at < n; at++)
    for (int k = 0; k < 2; k++) {
      const int32_t child = f->node[queue[at]].child[k];
      if (child >= 0 && !--degree[child]) queue[n++] = child;
    }
  if (n != f->n_nodes)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " of the trees' nodes lie on or behind a cycle", f->n_nodes - n);
  return SUMI_OK;
}

/* ---- TreeEnsemble ---------------------------------------------------------------------------------------- */

/* A list as long as the list `like`, of n items. */
static sumi_status list(const struct sumi_node *node, const char *name, const char *like, int64_t n,
                        bool optional, struct sumi_tensor *out, struct sumi_err *err) {
  *out = sumi_ml_list(node, name);
  return optional && !out->dim[0] ? SUMI_OK : sumi_ml_want_length(out, name, like, n, err);
}

static sumi_status count_general(struct sumi_forest *f, const struct sumi_node *node, struct sumi_err *err) {
  const struct sumi_tensor members = sumi_ml_list(node, "membership_values"),
                           splits = sumi_ml_list(node, "nodes_splits");
  f->n_nodes = sumi_ml_list(node, "nodes_modes").dim[0];
  f->n_leaves = f->n_votes = sumi_ml_list(node, "leaf_weights").dim[0];
  f->n_members = members.dim[0];
  f->n_trees = sumi_ml_list(node, "tree_roots").dim[0];
  f->single = splits.dtype != SUMI_FLOAT64;
  if (members.dtype != SUMI_UNDEFINED && !sumi_dtype_is_float(members.dtype))
    SUMI_FAIL(err, SUMI_E_TYPE, "membership_values are %s", sumi_dtype_label(members.dtype));
  return SUMI_OK;
}

struct general {
  struct sumi_tensor mode, split, feature, yes, no, yes_leaf, no_leaf, missing, members;
  int64_t member_at; /* how far the lists of members were read */
};

static sumi_status find_general(struct general *g, const struct sumi_node *node, int64_t n,
                                struct sumi_err *err) {
  SUMI_TRY(list(node, "nodes_modes", "nodes_modes", n, false, &g->mode, err));
  SUMI_TRY(list(node, "nodes_splits", "nodes_modes", n, false, &g->split, err));
  SUMI_TRY(list(node, "nodes_featureids", "nodes_modes", n, false, &g->feature, err));
  SUMI_TRY(list(node, "nodes_truenodeids", "nodes_modes", n, false, &g->yes, err));
  SUMI_TRY(list(node, "nodes_falsenodeids", "nodes_modes", n, false, &g->no, err));
  SUMI_TRY(list(node, "nodes_trueleafs", "nodes_modes", n, false, &g->yes_leaf, err));
  SUMI_TRY(list(node, "nodes_falseleafs", "nodes_modes", n, false, &g->no_leaf, err));
  SUMI_TRY(list(node, "nodes_missing_value_tracks_true", "nodes_modes", n, true, &g->missing, err));
  g->members = sumi_ml_list(node, "membership_values");
  if (g->mode.dtype != SUMI_UINT8 || !sumi_dtype_is_float(g->split.dtype))
    SUMI_FAIL(err, SUMI_E_TYPE, "nodes_modes are %s and nodes_splits %s", sumi_dtype_label(g->mode.dtype),
              sumi_dtype_label(g->split.dtype));
  return SUMI_OK;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The next list of members, ended by a NaN. */
static sumi_status take_members(struct sumi_forest *f, struct general *g, struct sumi_forest_node *node,
                                struct sumi_err *err) {
  const int64_t first = g->member_at;
  for (;; g->member_at++) {
    if (g->member_at >= g->members.dim[0])
      SUMI_FAIL(err, SUMI_E_VALUE, "membership_values has fewer lists than nodes test for members");
    const double v = sumi_get_f64(g->members.dtype, g->members.data, g->member_at);
    f->member[g->member_at] = v;
    if (isnan(v)) break;
  }
  node->u.set.first = (uint32_t)first;
  node->u.set.n = (uint32_t)(g->member_at++ - first);
  qsort(f->member + first, node->u.set.n, sizeof *f->member, by_value);
  return SUMI_OK;
}

static sumi_status child_of(const struct sumi_forest *f, const struct sumi_tensor *ids,
                            const struct sumi_tensor *is_leaf, int64_t i, int32_t *out,
                            struct sumi_err *err) {
  const int64_t id = ((const int64_t *)ids->data)[i];
  const bool leaf = ((const int64_t *)is_leaf->data)[i] != 0;
  if (id < 0 || id >= (leaf ? f->n_leaves : f->n_nodes))
    SUMI_FAIL(err, SUMI_E_VALUE, "node %" PRId64 " leads to %s %" PRId64 ", there are %" PRId64, i,
              leaf ? "leaf" : "node", id, leaf ? f->n_leaves : f->n_nodes);
  *out = leaf ? (int32_t)~id : (int32_t)id;
  return SUMI_OK;
}

static sumi_status read_general_node(struct sumi_forest *f, struct general *g, int64_t i,
                                     struct sumi_err *err) {
  struct sumi_forest_node *n = &f->node[i];
  const int64_t mode = ((const uint8_t *)g->mode.data)[i], feature = ((const int64_t *)g->feature.data)[i];
  int32_t yes = 0, no = 0;
  if (mode >= SUMI_N_MODES) SUMI_FAIL(err, SUMI_E_VALUE, "node %" PRId64 " has mode %" PRId64, i, mode);
  if (feature < 0 || feature >= INT32_MAX)
    SUMI_FAIL(err, SUMI_E_VALUE, "node %" PRId64 " looks at feature %" PRId64, i, feature);
  SUMI_TRY(child_of(f, &g->yes, &g->yes_leaf, i, &yes, err));
  SUMI_TRY(child_of(f, &g->no, &g->no_leaf, i, &no, err));
  const bool missing = g->missing.dim[0] && ((const int64_t *)g->missing.data)[i] != 0;
  sumi_forest_set_test(n, (enum sumi_forest_mode)mode, sumi_get_f64(g->split.dtype, g->split.data, i), yes,
                       no, missing);
  n->feature = (int32_t)feature;
  if (mode == SUMI_MODE_MEMBER) SUMI_TRY(take_members(f, g, n, err));
  return SUMI_OK;
}

static sumi_status read_general(struct sumi_forest *f, const struct sumi_node *node, int64_t targets,
                                struct sumi_err *err) {
  struct general g = {0};
  struct sumi_tensor weight, target;
  SUMI_TRY(find_general(&g, node, f->n_nodes, err));
  for (int64_t i = 0; i < f->n_nodes; i++) SUMI_TRY(read_general_node(f, &g, i, err));
  if (g.member_at != g.members.dim[0])
    SUMI_FAIL(err, SUMI_E_VALUE, "membership_values has more lists than nodes test for members");
  SUMI_TRY(list(node, "leaf_weights", "leaf_weights", f->n_leaves, false, &weight, err));
  SUMI_TRY(list(node, "leaf_targetids", "leaf_weights", f->n_leaves, false, &target, err));
  if (f->n_leaves && !sumi_dtype_is_float(weight.dtype))
    SUMI_FAIL(err, SUMI_E_TYPE, "leaf_weights are %s", sumi_dtype_label(weight.dtype));
  for (int64_t i = 0; i < f->n_leaves; i++) {
    const int64_t t = ((const int64_t *)target.data)[i];
    if (t < 0 || t >= targets)
      SUMI_FAIL(err, SUMI_E_VALUE, "leaf %" PRId64 " is for target %" PRId64 " of %" PRId64, i, t, targets);
    f->vote[i] = (struct sumi_forest_vote){sumi_get_f64(weight.dtype, weight.data, i), t};
    f->leaf[i] = (int32_t)i;
  }
  f->leaf[f->n_leaves] = (int32_t)f->n_leaves;
  const int64_t *root = sumi_ml_list(node, "tree_roots").data;
  for (int64_t i = 0; i < f->n_trees; i++) {
    if (root[i] < 0 || root[i] >= f->n_nodes)
      SUMI_FAIL(err, SUMI_E_VALUE, "tree %" PRId64 " begins at node %" PRId64 ", there are %" PRId64, i,
                root[i], f->n_nodes);
    f->root[i] = (int32_t)root[i];
  }
  return SUMI_OK;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

struct part {
  size_t n, item_bytes, at;
};
enum { NODES, VOTES, MEMBERS, LEAVES, ROOTS, TEMP, N_PARTS };

static sumi_status lay_out(struct sumi_forest *f, const struct sumi_node *node, enum sumi_forest_form form,
                           struct part part[N_PARTS], size_t *bytes, struct sumi_err *err) {
  int64_t in_file;
  *f = (struct sumi_forest){0};
  if (form == SUMI_FOREST_GENERAL) {
    SUMI_TRY(count_general(f, node, err));
    in_file = f->n_nodes;
  } else {
    SUMI_TRY(sumi_forest_count_ids(f, node, form, &in_file, err));
  }
  const int64_t most = SUMI_MAX(SUMI_MAX(in_file, f->n_votes), SUMI_MAX(f->n_members, f->n_trees));
  if (most > INT32_MAX / 4) SUMI_FAIL(err, SUMI_E_LIMIT, "the trees have %" PRId64 " items", most);
  const struct part want[N_PARTS] = {[NODES] = {(size_t)f->n_nodes, sizeof *f->node},
                                     [VOTES] = {(size_t)f->n_votes, sizeof *f->vote},
                                     [MEMBERS] = {(size_t)f->n_members, sizeof *f->member},
                                     [LEAVES] = {(size_t)f->n_leaves + 1, sizeof *f->leaf},
                                     [ROOTS] = {(size_t)f->n_trees, sizeof *f->root},
                                     [TEMP] = {2 * (size_t)in_file + 1, sizeof(int32_t)}};
  *bytes = 0;
  for (int i = 0; i < N_PARTS; i++) { /* 2^29 items of 24 bytes and their sum fit */
    part[i] = want[i];
    part[i].at = *bytes;
    *bytes += (part[i].n * part[i].item_bytes + 63) & ~(size_t)63;
  }
  return SUMI_OK;
}

sumi_status sumi_forest_bytes(const struct sumi_node *node, enum sumi_forest_form form, size_t *bytes,
                              struct sumi_err *err) {
  struct sumi_forest f;
  struct part part[N_PARTS];
  return lay_out(&f, node, form, part, bytes, err);
}

sumi_status sumi_forest_init(struct sumi_forest *f, const struct sumi_node *node, enum sumi_forest_form form,
                             int64_t targets, void *memory, struct sumi_err *err) {
  struct part part[N_PARTS];
  size_t bytes;
  SUMI_TRY(lay_out(f, node, form, part, &bytes, err));
  char *base = memory;
  f->node = (struct sumi_forest_node *)(base + part[NODES].at);
  f->vote = (struct sumi_forest_vote *)(base + part[VOTES].at);
  f->member = (double *)(base + part[MEMBERS].at);
  f->leaf = (int32_t *)(base + part[LEAVES].at);
  f->root = (int32_t *)(base + part[ROOTS].at);
  int32_t *temp = (int32_t *)(base + part[TEMP].at);
  SUMI_TRY(form == SUMI_FOREST_GENERAL ? read_general(f, node, targets, err)
                                       : sumi_forest_read_ids(f, node, form, targets, temp, err));
  f->plain = true;
  for (int64_t i = 0; i < f->n_nodes; i++) {
    f->plain &= f->node[i].test == SUMI_FOREST_LE;
    f->features = SUMI_MAX(f->features, (int64_t)f->node[i].feature + 1);
  }
  return sumi_forest_check_acyclic(f, temp, temp + f->n_nodes, err);
}
