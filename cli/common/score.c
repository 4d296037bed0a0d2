/* Figures of merit. */
#include "common/score.h"

#include <math.h>
#include <stdlib.h>

#include "common/cli.h"

size_t cli_rank_of(const double *scores, size_t n, int64_t label) {
  if (label < 0 || (uint64_t)label >= n || isnan(scores[label])) return n;
  size_t before = 0;
  for (size_t i = 0; i < n; i++)
    before += scores[i] > scores[label] || (scores[i] == scores[label] && i < (size_t)label);
  return before;
}

double cli_cosine(const double *a, const double *b, size_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < n; i++) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

struct ranked {
  double value;
  size_t at;
};

static int by_value(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  return (x->value > y->value) - (x->value < y->value);
}

/* Ranks of x[n], from 1; equal values get the mean of their places. */
static double *ranks_of(const double *x, size_t n) {
  struct ranked *order = cli_array_alloc(n, sizeof *order);
  double *rank = cli_array_alloc(n, sizeof *rank);
  for (size_t i = 0; i < n; i++) order[i] = (struct ranked){x[i], i};
  qsort(order, n, sizeof *order, by_value);
  for (size_t i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && order[end].value == order[i].value; end++) {
    }
    for (size_t k = i; k < end; k++) rank[order[k].at] = 0.5 * (double)(i + 1 + end);
  }
  free(order);
  return rank;
}

double cli_spearman(const double *x, const double *y, size_t n) {
  if (n < 2) return 0;
  double *a = ranks_of(x, n), *b = ranks_of(y, n);
  const double mean = 0.5 * (double)(n + 1);
  for (size_t i = 0; i < n; i++) a[i] -= mean, b[i] -= mean;
  const double r = cli_cosine(a, b, n);
  free(a);
  free(b);
  return r;
}
