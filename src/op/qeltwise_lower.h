/* Element-wise operators on 8-bit values in lanes, and what joins and parts them, on device cpu: family lane. */
#ifndef SUMI_OP_QELTWISE_LOWER_H
#define SUMI_OP_QELTWISE_LOWER_H

#include "plan/lower.h"

/* sumi.QTable: inputs x, table. */
void sumi_qtable_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qtable_lower(struct sumi_lower *l);

/* Operators of one 8-bit value, input 0, whose other inputs are constants: the reference function makes the table. */
void sumi_qunary_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qunary_lower(struct sumi_lower *l);

/* com.microsoft.QLinearAdd and QLinearMul. */
void sumi_qbinary_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qadd_lower(struct sumi_lower *l);
sumi_status sumi_qmul_lower(struct sumi_lower *l);

/* Concat along the channels, of 8-bit inputs in lanes, all but the last of whole words: whole planes are copied.
 * com.microsoft.QLinearConcat, whose constants stand beside the inputs, requantises them on the way. */
void sumi_qconcat_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qconcat_lower(struct sumi_lower *l);
void sumi_concat_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_concat_lower(struct sumi_lower *l);

/* Split, the same way round. */
void sumi_split_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_split_lower(struct sumi_lower *l);

/* Whether any value of such a node lies in lanes: then the functions above do it. */
bool sumi_concat_in_lanes(const struct sumi_lower *l);
bool sumi_split_in_lanes(const struct sumi_lower *l);

#endif
