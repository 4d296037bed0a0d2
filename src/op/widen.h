/* Half precision in reference functions: float16 and bfloat16 inputs are widened to float32 in scratch, the
 * operator computes on floats, and the result is rounded once. float32 tensors are used where they lie. */
#ifndef SUMI_OP_WIDEN_H
#define SUMI_OP_WIDEN_H

#include "graph/op.h"

enum { SUMI_WIDEN_MAX = 8 };

struct sumi_wide {
  const float *in[SUMI_WIDEN_MAX]; /* NULL: absent, or neither float32, float16 nor bfloat16 */
  float *out[SUMI_WIDEN_MAX];
};

/* The scratch that sumi_widen() needs: 0 where all is float32. Fits struct sumi_op's .scratch. */
sumi_status sumi_widen_scratch(const struct sumi_call *call, size_t *bytes);

/* Fills wide; the scratch begins at call->scratch. Inputs and outputs beyond SUMI_WIDEN_MAX are left out. */
void sumi_widen(const struct sumi_call *call, struct sumi_wide *wide);

/* Rounds the outputs that were widened into their tensors. */
void sumi_narrow(const struct sumi_call *call, const struct sumi_wide *wide);

#endif
