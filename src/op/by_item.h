/* What operators say of a batch: struct sumi_op's by_item for the forms that recur. */
#ifndef SUMI_OP_BY_ITEM_H
#define SUMI_OP_BY_ITEM_H

#include "graph/op.h"

/* Element by element, with attribute axis (where the operator has one) along it: every input that carries has the rank of
 * output 0, and the axis is not 0. */
bool sumi_by_item_elements(const struct sumi_call *call, const bool *carries);

/* Only input 0 carries. */
bool sumi_by_item_first(const struct sumi_call *call, const bool *carries);

/* Whether no input carries but those of the mask (bit i: input i). */
bool sumi_by_item_only(const struct sumi_call *call, const bool *carries, unsigned mask);

#endif
