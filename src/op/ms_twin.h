/* Operators that are another one, their twin, in other clothes: channels last, or quantised tensors. The twin's functions
 * do the work, on copies in the scratch. */
#ifndef SUMI_OP_MS_TWIN_H
#define SUMI_OP_MS_TWIN_H

#include "op/ms_qlinear.h"
#include "op/ops.h"

enum { SUMI_TWIN_IN = 16 }; /* at most so many inputs */

/* The node as its twin sees it, whose meaning follows `version`; attributes and ports are shared. */
struct sumi_node sumi_twin_node(const struct sumi_node *node, const struct sumi_op *twin, int version);

/* Channels last: what the twin sees as [batch, channels, ...] lies as [batch, ..., channels]. */
struct sumi_nhwc {
  const struct sumi_op *twin; /* with the same inputs and attributes; output 0 is turned */
  int version;                /* that the twin's node shall have */
  uint32_t turned;            /* bit i: input i has its channels last */
};
sumi_status sumi_nhwc_infer(struct sumi_infer *ctx, const struct sumi_nhwc *form);
sumi_status sumi_nhwc_scratch(const struct sumi_call *c, const struct sumi_nhwc *form, size_t *bytes);
sumi_status sumi_nhwc_ref(const struct sumi_call *c, const struct sumi_nhwc *form);

/* Quantised: y = quantise(twin(real values)), the real values in float32. The twin sees n_in of the inputs; where input i
 * is quantised, i + 1 and i + 2 are its scale and zero point. */
struct sumi_quantised {
  const struct sumi_op *twin;
  int version, n_in;
  int input[3];    /* the twin's k-th input */
  uint32_t real;   /* bit k: it is quantised */
  int scale, zero; /* of the output */
  bool
      mean; /* the twin takes means of one input: it sees x - zero, y = round(mean * (x's scale / scale)) + zero */
};
sumi_status sumi_quantised_infer(struct sumi_infer *ctx, const struct sumi_quantised *form);
sumi_status sumi_quantised_scratch(const struct sumi_call *c, const struct sumi_quantised *form,
                                   size_t *bytes);
sumi_status sumi_quantised_ref(const struct sumi_call *c, const struct sumi_quantised *form);

#endif
