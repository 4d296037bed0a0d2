/* The training graph: what tune_graph.c makes and tune.c runs. */
#ifndef SUMI_COMPRESS_TUNE_INT_H
#define SUMI_COMPRESS_TUNE_INT_H

#include "compress/tune.h"
#include "exec/session.h"

/* Something that is trained: an input of the training graph, a constant of the network's. */
struct sumi_tune_param {
  const char *name;           /* of the constant */
  struct sumi_tensor shape;   /* float32; data: the constant's */
  const char *input, *output; /* of the training graph: its value, its gradient */
};

enum { SUMI_TUNE_TARGETS = 2 }; /* "mse": target, factor; "kl": shares of the classes by teacher, by label */

struct sumi_tune_graph {
  struct sumi_graph *graph; /* taken over by a model */
  struct sumi_tune_param *param;
  size_t n_param;
  const char **from;                     /* [t->n_from] inputs that stand for them */
  const char *loss;                      /* output: a number */
  const char *target[SUMI_TUNE_TARGETS]; /* inputs */
};

bool sumi_tune_is_kl(const struct sumi_tune *t);

/* Forward pass, loss and backward pass of t; names and arrays live in arena, constants as long as t->graph.
 *   "mse"  loss = sum((y - target)^2) * factor
 *   "kl"   loss = -sum(target[0] * log_softmax(y / temperature)) - sum(target[1] * log_softmax(y)) */
sumi_status sumi_tune_graph_make(const struct sumi_tune *t, struct sumi_arena *arena,
                                 struct sumi_tune_graph *out, struct sumi_err *err);

/* A copy of g that computes the values names[n] and nothing else. */
sumi_status sumi_tune_cut(const struct sumi_graph *g, const char *const *names, size_t n,
                          struct sumi_graph **out, struct sumi_err *err);

#endif
