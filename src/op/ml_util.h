/* What the ai.onnx.ml operators share: rows of features, class labels, transforms of scores, tables of keys.
 * Their definitions are the ONNX standard's Operators-ml.md. Where it leaves open what comes out (one score for two
 * labels, transforms of a single score), ONNX Runtime is followed, and the function says so. */
#ifndef SUMI_OP_ML_UTIL_H
#define SUMI_OP_ML_UTIL_H

#include "op/op_util.h"

/* Element types of features. */
#define SUMI_ML_T \
  (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT64) | SUMI_BIT(SUMI_INT64) | SUMI_BIT(SUMI_INT32))
/* Element types of labels. */
#define SUMI_ML_LABEL (SUMI_BIT(SUMI_STRING) | SUMI_BIT(SUMI_INT64))

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* X [n, features], or X [features] as one row. */
struct sumi_ml_rows {
  sumi_dim n, features; /* SUMI_DIM_UNKNOWN or a symbol where not known */
};
/* SUMI_E_SHAPE for input 0 of another rank. */
sumi_status sumi_ml_infer_rows(struct sumi_infer *ctx, struct sumi_ml_rows *rows);
struct sumi_ml_rows sumi_ml_rows_of(const struct sumi_tensor *x);
/* SUMI_E_SHAPE where the features are a number and not want. */
sumi_status sumi_ml_want_features(const struct sumi_infer *ctx, const struct sumi_ml_rows *rows,
                                  int64_t want);
/* Output i is [n, columns]. */
void sumi_ml_infer_scores(struct sumi_infer *ctx, int i, sumi_dtype dtype, const struct sumi_ml_rows *rows,
                          sumi_dim columns);

/* Element i of the features of row `row` as a double; int64 beyond 2^53 rounds. */
static inline double sumi_ml_feature(const struct sumi_tensor *x, int64_t features, int64_t row, int64_t i) {
  const int64_t at = row * features + i;
  switch (x->dtype) {
    case SUMI_FLOAT32: return (double)((const float *)x->data)[at];
    case SUMI_FLOAT64: return ((const double *)x->data)[at];
    default: return sumi_get_f64(x->dtype, x->data, at);
  }
}

/* sum_i x[row, i] * w[i] */
double sumi_ml_dot(const struct sumi_tensor *x, int64_t features, int64_t row, const float *w);

/* ---- lists in attributes --------------------------------------------------------------------------------- */

/* An attribute that lists integers, floats or strings, or is a tensor, as a one-dimensional tensor over its memory;
 * count 0 and dtype SUMI_UNDEFINED where it is absent. */
struct sumi_tensor sumi_ml_list(const struct sumi_node *node, const char *name);

/* SUMI_E_VALUE unless list t of attribute `name` is as long as that of attribute `like`, which has n items. */
sumi_status sumi_ml_want_length(const struct sumi_tensor *t, const char *name, const char *like, int64_t n,
                                struct sumi_err *err);

/* ---- labels ---------------------------------------------------------------------------------------------- */

/* The labels of a classifier's classes; n = 0: none are given, integers are meant. */
struct sumi_ml_labels {
  int64_t n;
  const int64_t *ints;            /* NULL: strings, or none */
  const struct sumi_str *strings; /* NULL: integers */
};
/* From classlabels_strings and the attribute ints_name. SUMI_E_VALUE where both list something. */
sumi_status sumi_ml_labels_of(const struct sumi_node *node, const char *ints_name,
                              struct sumi_ml_labels *labels, struct sumi_err *err);
static inline sumi_dtype sumi_ml_label_dtype(const struct sumi_ml_labels *labels) {
  return labels->strings ? SUMI_STRING : SUMI_INT64;
}
/* Element i of y = label `which`. Strings refer to the attribute, which lives as long as the graph. */
void sumi_ml_put_label(const struct sumi_ml_labels *labels, struct sumi_tensor *y, int64_t i, int64_t which);
/* The label for the sign of a single score: the second or first of two labels; else 1 or 0, "1" or "0". */
void sumi_ml_put_sign(const struct sumi_ml_labels *labels, struct sumi_tensor *y, int64_t i, bool positive);

/* ---- scores ---------------------------------------------------------------------------------------------- */

/* The order of TreeEnsemble's attribute post_transform. */
enum sumi_ml_post {
  SUMI_ML_NONE,
  SUMI_ML_SOFTMAX,
  SUMI_ML_LOGISTIC,
  SUMI_ML_SOFTMAX_ZERO,
  SUMI_ML_PROBIT,
  SUMI_N_ML_POSTS
};
/* From the string attribute post_transform; SUMI_E_VALUE for another word. */
sumi_status sumi_ml_post_of(const struct sumi_node *node, enum sumi_ml_post *post, struct sumi_err *err);

double sumi_ml_logistic(double x);

/* Transforms n scores in place. A single score is changed by PROBIT only, as in ONNX Runtime.
 *   SOFTMAX       s[i] = exp(s[i] - max) / sum
 *   LOGISTIC      s[i] = 1 / (1 + exp(-s[i]))
 *   SOFTMAX_ZERO  as SOFTMAX, but scores within 1e-7 of 0 stay out of the sum: s[i] * exp(-max) / sum
 *   PROBIT        s[i] = sqrt(2) erfinv(2 s[i] - 1), erfinv by Winitzki's approximation (2008), as in ONNX Runtime and
 *                 the standard's reference implementation */
void sumi_ml_transform(enum sumi_ml_post post, double *s, int64_t n);

/* The scores of two labels from the single score s, as ONNX Runtime makes them: with LOGISTIC [logistic(-s),
 * logistic(s)], else [1 - s, s] where s is a probability and [-s, s] where not; SOFTMAX changes nothing. With PROBIT p =
 * probit(s): [1 - p, p] (ONNX Runtime leaves the second one undefined). */
void sumi_ml_two_scores(enum sumi_ml_post post, bool probability, double s, double two[2]);

/* The first largest of n >= 1 numbers. */
int64_t sumi_ml_largest(const double *s, int64_t n);

/* ---- tables of keys -------------------------------------------------------------------------------------- */

/* From keys to their positions in a list; of equal keys the last. Floating-point keys are equal as numbers, and NaN
 * equals NaN. */
struct sumi_ml_table {
  struct sumi_tensor keys; /* one-dimensional */
  int32_t *slot;           /* [mask + 1] position + 1, 0 = free */
  uint64_t mask;
};
/* Bytes for the slots of so many keys; SUMI_E_LIMIT for more than 2^30. */
sumi_status sumi_ml_table_bytes(int64_t n, size_t *bytes, struct sumi_err *err);
/* slots: sumi_ml_table_bytes() of memory. Its address salts the hash: a file cannot be written to make it slow. */
void sumi_ml_table_init(struct sumi_ml_table *t, const struct sumi_tensor *keys, void *slots);
/* The position of element i of x, whose type is that of the keys; -1: none. */
int64_t sumi_ml_table_find(const struct sumi_ml_table *t, const struct sumi_tensor *x, int64_t i);

#endif
