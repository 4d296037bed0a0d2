/* Probabilities of classes for SVMClassifier. */
#ifndef SUMI_OP_ML_SVM_H
#define SUMI_OP_ML_SVM_H

#include "op/ml_util.h"

/* Fills p[classes] with the probabilities of classes that fit the pairwise ones best: minimises
 * sum_ij (r[j][i] p[i] - r[i][j] p[j])^2 with sum p = 1, where r[i][j] estimates P(class i | class i or j), [classes,
 * classes]. Wu, Lin and Weng (2004), "Probability estimates for multi-class classification by pairwise coupling",
 * their second algorithm; it ends as LIBSVM does, at an error below 0.005 / classes or after 100 rounds.
 * q: [classes, classes], qp: [classes] of scratch. */
void sumi_ml_couple(int64_t classes, const double *r, double *q, double *qp, double *p);

#endif
