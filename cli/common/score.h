/* Figures of merit: top-k accuracy, cosine, Spearman's rank correlation. */
#ifndef CLI_COMMON_SCORE_H
#define CLI_COMMON_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Place of scores[label] among n scores, 0 = the largest; equal scores before it in the row stand before it, as argmax
 * takes the first. n where label is no class. */
size_t cli_rank_of(const double *scores, size_t n, int64_t label);

/* a . b / (|a| |b|), 0 where one is zero. */
double cli_cosine(const double *a, const double *b, size_t n);

/* Pearson correlation of the ranks of x and y; equal values share their mean rank. 0 for fewer than two samples. */
double cli_spearman(const double *x, const double *y, size_t n);

#endif
