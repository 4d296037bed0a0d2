/* TreeEnsembleRegressor's and TreeEnsembleClassifier's attributes: nodes are named by a tree's and a node's number, and
 * leaves are nodes of mode LEAF, for which any number of votes is listed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "op/ml_forest.h"

struct file {
  int64_t n;                         /* nodes, leaves among them */
  const int64_t *tree, *id;          /* [n] */
  const int64_t *yes, *no, *feature; /* [n] */
  const int64_t *missing;            /* [n] or NULL */
  const struct sumi_str *mode;       /* [n] */
  struct sumi_tensor split;          /* [n] */
  int64_t n_votes;
  const int64_t *vote_tree, *vote_id, *vote_target; /* [n_votes] */
  struct sumi_tensor weight;                        /* [n_votes] */
  int32_t *order; /* [n] positions by tree and number; NULL where they stand in that order */
  int32_t *place; /* [n] as child */
};

/* ---- attributes ------------------------------------------------------------------------------------------ */

/* A list as long as the list `like`, of n items. */
static sumi_status ints(const struct sumi_node *node, const char *name, const char *like, int64_t n,
                        bool optional, const int64_t **out, struct sumi_err *err) {
  const struct sumi_tensor t = sumi_ml_list(node, name);
  *out = t.dim[0] ? t.data : NULL;
  if (optional && !t.dim[0]) return SUMI_OK;
  return sumi_ml_want_length(&t, name, like, n, err);
}

/* A list of floats, or the tensor that may stand for it. */
static sumi_status floats(const struct sumi_node *node, const char *name, const char *as_tensor,
                          const char *like, int64_t n, struct sumi_tensor *out, struct sumi_err *err) {
  const struct sumi_tensor list = sumi_ml_list(node, name), tensor = sumi_ml_list(node, as_tensor);
  if (list.dim[0] && tensor.dim[0])
    SUMI_FAIL(err, SUMI_E_VALUE, "both '%s' and '%s' are given", name, as_tensor);
  *out = tensor.dim[0] ? tensor : list;
  SUMI_TRY(sumi_ml_want_length(out, name, like, n, err));
  if (n && out->dtype != SUMI_FLOAT32 && out->dtype != SUMI_FLOAT64)
    SUMI_FAIL(err, SUMI_E_TYPE, "%s is %s", as_tensor, sumi_dtype_label(out->dtype));
  return SUMI_OK;
}

/* The attributes with votes. */
struct vote_names {
  const char *target, *tree, *id, *weight, *weight_as_tensor;
};

static const struct vote_names vote_names[] = {
    [false] = {"target_ids", "target_treeids", "target_nodeids", "target_weights",
               "target_weights_as_tensor"},
    [true] = {"class_ids", "class_treeids", "class_nodeids", "class_weights", "class_weights_as_tensor"}};

static sumi_status find(struct file *m, const struct sumi_node *node, enum sumi_forest_form form,
                        struct sumi_err *err) {
  static const char modes[] = "nodes_modes";
  const struct vote_names *v = &vote_names[form == SUMI_FOREST_CLASSIFIER];
  m->n = sumi_ml_list(node, modes).dim[0];
  m->mode = sumi_ml_list(node, modes).data;
  SUMI_TRY(ints(node, "nodes_treeids", modes, m->n, false, &m->tree, err));
  SUMI_TRY(ints(node, "nodes_nodeids", modes, m->n, false, &m->id, err));
  SUMI_TRY(ints(node, "nodes_truenodeids", modes, m->n, false, &m->yes, err));
  SUMI_TRY(ints(node, "nodes_falsenodeids", modes, m->n, false, &m->no, err));
  SUMI_TRY(ints(node, "nodes_featureids", modes, m->n, false, &m->feature, err));
  SUMI_TRY(ints(node, "nodes_missing_value_tracks_true", modes, m->n, true, &m->missing, err));
  SUMI_TRY(floats(node, "nodes_values", "nodes_values_as_tensor", modes, m->n, &m->split, err));
  m->n_votes = sumi_ml_list(node, v->target).dim[0];
  SUMI_TRY(ints(node, v->target, v->target, m->n_votes, false, &m->vote_target, err));
  SUMI_TRY(ints(node, v->tree, v->target, m->n_votes, false, &m->vote_tree, err));
  SUMI_TRY(ints(node, v->id, v->target, m->n_votes, false, &m->vote_id, err));
  return floats(node, v->weight, v->weight_as_tensor, v->target, m->n_votes, &m->weight, err);
}

static bool is_leaf(const struct file *m, int64_t i) {
  return m->mode[i].size == 4 && !memcmp(m->mode[i].data, "LEAF", 4);
}

static bool mode_of(struct sumi_str s, enum sumi_forest_mode *mode) {
  static const char *const words[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                      "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
  for (size_t k = 0; k < SUMI_COUNT(words); k++)
    if (s.size == strlen(words[k]) && !memcmp(s.data, words[k], s.size)) {
      *mode = (enum sumi_forest_mode)k;
      return true;
    }
  return false;
}

/* ---- names of nodes -------------------------------------------------------------------------------------- */

static int compare(int64_t tree_a, int64_t id_a, int64_t tree_b, int64_t id_b) {
  if (tree_a != tree_b) return tree_a < tree_b ? -1 : 1;
  return id_a < id_b ? -1 : id_a > id_b;
}

static int compare_at(const struct file *m, int64_t i, int64_t j) {
  return compare(m->tree[i], m->id[i], m->tree[j], m->id[j]);
}

static void sift(const struct file *m, int32_t *heap, int64_t n, int64_t i) {
  const int32_t e = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && compare_at(m, heap[child + 1], heap[child]) > 0) child++;
    if (compare_at(m, heap[child], e) <= 0) break;
    heap[i] = heap[child];
  }
  heap[i] = e;
}

/* Files list nodes tree by tree in rising order, nearly always; others are sorted (heapsort: no file makes it slow). */
static sumi_status sort(struct file *m, int32_t *order, struct sumi_err *err) {
  bool sorted = true;
  for (int64_t i = 1; i < m->n && sorted; i++) sorted = compare_at(m, i - 1, i) < 0;
  m->order = sorted ? NULL : order;
  if (sorted) return SUMI_OK;
  for (int64_t i = 0; i < m->n; i++) order[i] = (int32_t)i;
  for (int64_t i = m->n / 2; i-- > 0;) sift(m, order, m->n, i);
  for (int64_t n = m->n; n-- > 1;) {
    const int32_t last = order[0];
    order[0] = order[n];
    order[n] = last;
    sift(m, order, n, 0);
  }
  for (int64_t i = 1; i < m->n; i++)
    if (!compare_at(m, order[i - 1], order[i]))
      SUMI_FAIL(err, SUMI_E_VALUE, "tree %" PRId64 " has two nodes %" PRId64, m->tree[order[i]],
                m->id[order[i]]);
  return SUMI_OK;
}

/* The position of a node; guess: where it stands if numbers count up without gaps. -1: there is none. */
static int64_t position(const struct file *m, int64_t tree, int64_t id, uint64_t guess) {
  if (guess < (uint64_t)m->n && m->tree[guess] == tree && m->id[guess] == id) return (int64_t)guess;
  for (int64_t low = 0, high = m->n; low < high;) {
    const int64_t mid = low + (high - low) / 2, at = m->order ? m->order[mid] : mid;
    const int c = compare(m->tree[at], m->id[at], tree, id);
    if (!c) return at;
    if (c < 0)
      low = mid + 1;
    else
      high = mid;
  }
  return -1;
}

static sumi_status child(const struct file *m, int64_t i, int64_t id, int32_t *out, struct sumi_err *err) {
  const int64_t at = position(m, m->tree[i], id, (uint64_t)i - (uint64_t)m->id[i] + (uint64_t)id);
  if (at < 0)
    SUMI_FAIL(err, SUMI_E_VALUE,
              "node %" PRId64 " of tree %" PRId64 " leads to node %" PRId64 ", which the tree has not",
              m->id[i], m->tree[i], id);
  *out = m->place[at];
  return SUMI_OK;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static bool begins_tree(const struct file *m, int64_t i) { return !i || m->tree[i] != m->tree[i - 1]; }

sumi_status sumi_forest_count_ids(struct sumi_forest *f, const struct sumi_node *node,
                                  enum sumi_forest_form form, int64_t *in_file, struct sumi_err *err) {
  struct file m = {0};
  SUMI_TRY(find(&m, node, form, err));
  *in_file = m.n;
  for (int64_t i = 0; i < m.n; i++) {
    f->n_leaves += is_leaf(&m, i);
    f->n_trees += begins_tree(&m, i);
  }
  f->n_nodes = m.n - f->n_leaves;
  f->n_votes = m.n_votes;
  f->single = m.split.dtype != SUMI_FLOAT64 && m.weight.dtype != SUMI_FLOAT64;
  return SUMI_OK;
}

static sumi_status read_node(const struct file *m, int64_t i, struct sumi_forest_node *node,
                             struct sumi_err *err) {
  enum sumi_forest_mode mode = SUMI_MODE_LEQ;
  int32_t yes = 0, no = 0;
  if (!mode_of(m->mode[i], &mode))
    SUMI_FAIL(err, SUMI_E_VALUE, "node %" PRId64 " of tree %" PRId64 " has mode '%.*s'", m->id[i], m->tree[i],
              (int)SUMI_MIN(m->mode[i].size, (size_t)40), m->mode[i].data);
  if (m->feature[i] < 0 || m->feature[i] >= INT32_MAX)
    SUMI_FAIL(err, SUMI_E_VALUE, "node %" PRId64 " of tree %" PRId64 " looks at feature %" PRId64, m->id[i],
              m->tree[i], m->feature[i]);
  SUMI_TRY(child(m, i, m->yes[i], &yes, err));
  SUMI_TRY(child(m, i, m->no[i], &no, err));
  sumi_forest_set_test(node, mode, sumi_get_f64(m->split.dtype, m->split.data, i), yes, no,
                       m->missing && m->missing[i] != 0);
  node->feature = (int32_t)m->feature[i];
  return SUMI_OK;
}

/* Votes by leaf, in the order of the file for each: leaf[l] first counts, then is where the next one goes. */
static sumi_status read_votes(struct sumi_forest *f, const struct file *m, int64_t targets,
                              struct sumi_err *err) {
  memset(f->leaf, 0, (size_t)(f->n_leaves + 1) * sizeof *f->leaf);
  for (int pass = 0; pass < 2; pass++) {
    uint64_t guess = 0;
    for (int64_t i = 0; i < m->n_votes; i++) {
      const int64_t at = position(m, m->vote_tree[i], m->vote_id[i], guess), t = m->vote_target[i];
      if (at < 0 || m->place[at] >= 0)
        SUMI_FAIL(err, SUMI_E_VALUE,
                  "weight %" PRId64 " is for node %" PRId64 " of tree %" PRId64 ", which is no leaf", i,
                  m->vote_id[i], m->vote_tree[i]);
      if (t < 0 || t >= targets)
        SUMI_FAIL(err, SUMI_E_VALUE, "weight %" PRId64 " is for %" PRId64 ", there are %" PRId64 " targets",
                  i, t, targets);
      guess = (uint64_t)at + 1;
      const int32_t leaf = ~m->place[at];
      if (pass)
        f->vote[f->leaf[leaf]++] =
            (struct sumi_forest_vote){sumi_get_f64(m->weight.dtype, m->weight.data, i), t};
      else
        f->leaf[leaf + 1]++;
    }
    if (pass)
      for (int64_t l = f->n_leaves; l > 0; l--) f->leaf[l] = f->leaf[l - 1];
    else
      for (int64_t l = 0; l < f->n_leaves; l++) f->leaf[l + 1] += f->leaf[l];
  }
  f->leaf[0] = 0;
  return SUMI_OK;
}

sumi_status sumi_forest_read_ids(struct sumi_forest *f, const struct sumi_node *node,
                                 enum sumi_forest_form form, int64_t targets, int32_t *temp,
                                 struct sumi_err *err) {
  struct file m = {0};
  int32_t nodes = 0, leaves = 0;
  int64_t trees = 0;
  SUMI_TRY(find(&m, node, form, err));
  m.place = temp + m.n;
  SUMI_TRY(sort(&m, temp, err));
  for (int64_t i = 0; i < m.n; i++) {
    m.place[i] = is_leaf(&m, i) ? ~leaves++ : nodes++;
    if (begins_tree(&m, i)) f->root[trees++] = m.place[i];
  }
  for (int64_t i = 0; i < m.n; i++)
    if (m.place[i] >= 0) SUMI_TRY(read_node(&m, i, &f->node[m.place[i]], err));
  return read_votes(f, &m, targets, err);
}
