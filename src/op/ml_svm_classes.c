/* Probabilities of classes from those of pairs of classes. */
#include <math.h>

#include "op/ml_svm.h"

/* Q of the quadratic form p^T Q p. */
static void set_form(int64_t k, const double *r, double *q) {
  for (int64_t i = 0; i < k; i++) {
    double diagonal = 0;
    for (int64_t j = 0; j < k; j++) {
      if (j == i) continue;
      diagonal += r[j * k + i] * r[j * k + i];
      q[i * k + j] = -r[j * k + i] * r[i * k + j];
    }
    q[i * k + i] = diagonal;
  }
}

void sumi_ml_couple(int64_t k, const double *r, double *q, double *qp, double *p) {
  const int rounds = 100;
  const double enough = 0.005 / (double)k;
  set_form(k, r, q);
  for (int64_t i = 0; i < k; i++) p[i] = 1 / (double)k;
  for (int round = 0; round < rounds; round++) {
    double pqp = 0, worst = 0;
    for (int64_t i = 0; i < k; i++) {
      qp[i] = 0;
      for (int64_t j = 0; j < k; j++) qp[i] += q[i * k + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (int64_t i = 0; i < k; i++) worst = fmax(worst, fabs(qp[i] - pqp));
    if (worst < enough) return;
    for (int64_t i = 0; i < k; i++) { /* the best p[i] with the others in proportion */
      const double step = (pqp - qp[i]) / q[i * k + i], scale = 1 / (1 + step);
      p[i] += step;
      pqp = (pqp + step * (step * q[i * k + i] + 2 * qp[i])) * scale * scale;
      for (int64_t j = 0; j < k; j++) {
        qp[j] = (qp[j] + step * q[i * k + j]) * scale;
        p[j] *= scale;
      }
    }
  }
}
