/* Complex numbers as pairs of reals: element i of a complex tensor is the elements 2 i (real) and 2 i + 1 (imaginary) of a
 * tensor of the parts' type; other tensors have one part an element. */
#ifndef SUMI_OP_PARTS_H
#define SUMI_OP_PARTS_H

#include "tensor/dtype.h"

static inline sumi_dtype sumi_part_dtype(sumi_dtype d) {
  return d == SUMI_COMPLEX64 ? SUMI_FLOAT32 : d == SUMI_COMPLEX128 ? SUMI_FLOAT64 : d;
}

static inline int sumi_n_parts(sumi_dtype d) { return sumi_part_dtype(d) == d ? 1 : 2; }

#endif
