/* Which element-wise function a group of nodes computes: one node (Relu, Gelu ...), x * Sigmoid(x) and its relatives, or
 * the five nodes of the exact GELU. Private to the passes. */
#ifndef SUMI_PASS_FUNCTION_H
#define SUMI_PASS_FUNCTION_H

#include "pass/qdq.h"

enum { SUMI_FUNCTION_NODES = 5 };

struct sumi_function {
  const char *name; /* as op/activation.h has it; "" = none */
  float figure[2];
  size_t n_figure;
  struct sumi_value *bias; /* added to x first (BiasGelu, FastGelu); NULL = none */
  struct sumi_node *node[SUMI_FUNCTION_NODES];
  int n_node; /* the last one puts out the result */
};

/* The function of v that the users of v compute, where nobody else uses v or what lies in between; false = none. */
bool sumi_function_match(const struct sumi_value *v, struct sumi_function *f);

static inline bool sumi_function_is_clamp(const struct sumi_function *f) {
  return !*f->name || sumi_streq(f->name, "Relu") || sumi_streq(f->name, "Clip");
}

/* Sets attributes PREFIXactivation and PREFIXactivation_params of a node, unless there is no function. */
sumi_status sumi_function_set(struct sumi_node *node, const char *prefix, const struct sumi_function *f,
                              struct sumi_err *err);

#endif
