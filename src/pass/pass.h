/* Passes: graph to graph. One file per pass, listed in passes.def in running order; the verifier runs after each. */
#ifndef SUMI_PASS_PASS_H
#define SUMI_PASS_PASS_H

#include "graph/op.h"

enum sumi_pass_stage {
  SUMI_PASS_PORTABLE, /* result may be saved, read, pruned; means the same to every device */
  SUMI_PASS_MACHINE   /* fuses for the kernels of device cpu */
};

/* How a machine graph computes where the file says float32. */
enum sumi_precision {
#define SUMI_PRECISION(symbol, name, what) SUMI_PRECISION_##symbol,
#include "pass/precision.def"
#undef SUMI_PRECISION
  SUMI_N_PRECISIONS
};

struct sumi_pass {
  const char *name, *what;
  enum sumi_pass_stage stage;
  enum sumi_precision precision; /* FILE: runs always; else only where this precision is asked for */
  /* Changes g in place and leaves it tidy. Called for the root and for every body. */
  sumi_status (*run)(struct sumi_graph *g, struct sumi_err *err);
};

#define SUMI_PASS(symbol) extern const struct sumi_pass sumi_pass_##symbol;
#include "pass/passes.def"
#undef SUMI_PASS

const struct sumi_pass *const *sumi_passes(size_t *n);
const struct sumi_pass *sumi_pass_find(const char *name); /* NULL = unknown */

const char *sumi_precision_label(enum sumi_precision precision);
const char *sumi_precision_explain(enum sumi_precision precision);
bool sumi_precision_from_label(const char *name, enum sumi_precision *out);

/* Runs the passes of a stage on g and its bodies, up to and including the pass named last (NULL: all). */
sumi_status sumi_passes_run(struct sumi_graph *g, enum sumi_pass_stage stage, enum sumi_precision precision,
                            const char *last, struct sumi_err *err);

/* Inputs with a default become constants, and g as simple as if they had always been. Where this fails, which takes defaults
 * that the network cannot work with or a lack of memory, g is of no use any more. */
sumi_status sumi_passes_fix_defaults(struct sumi_graph *g, struct sumi_err *err);

/* Runs one pass on g and its bodies, then the verifier. */
sumi_status sumi_pass_run(const struct sumi_pass *pass, struct sumi_graph *g, struct sumi_err *err);

/* Infers what is known without input shapes and stores it in the values' infos, bodies not included (their inputs
 * depend on who runs them). Failures go to on_fail as in struct sumi_infer_job. */
sumi_status sumi_pass_infer(struct sumi_graph *g,
                            void (*on_fail)(void *user, const struct sumi_node *node,
                                            const struct sumi_err *err),
                            void *user, struct sumi_err *err);

#endif
