/* Reverse-mode differentiation: a graph's backward computation as nodes of the same graph. */
#ifndef SUMI_PASS_GRADIENT_H
#define SUMI_PASS_GRADIENT_H

#include "graph/op.h"

/* Appends the nodes that compute
 *   dx[i] = d(sum over all elements of seed * y) / d(x[i])
 * seed has y's shape and type; NULL: ones. y is taken as a function of x[n], which may be any values, constants and intermediate
 * ones included: what an x is itself computed from is not followed. dx[i] has the shape and type of x[i]; it may be seed, a value
 * that other dx are too, or zeros where y does not depend on x[i]. Where a float value is used through integers or bool, its
 * gradient there is zero.
 *
 * g is tidy, and values' infos say what is known (sumi_pass_infer): element types must be, shapes may be symbolic. The new nodes
 * stand behind all others, their values' infos are set. SUMI_E_UNSUPPORTED names a node on the way from an x to y whose operator
 * has no gradient; g then holds nodes that nobody uses. */
sumi_status sumi_gradient(struct sumi_graph *g, struct sumi_value *y, struct sumi_value *seed,
                          struct sumi_value *const *x, size_t n, struct sumi_value **dx,
                          struct sumi_err *err);

#endif
