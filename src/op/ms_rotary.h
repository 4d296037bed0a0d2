/* What RotaryEmbedding and GroupQueryAttention share. */
#ifndef SUMI_OP_MS_ROTARY_H
#define SUMI_OP_MS_ROTARY_H

#include "op/ms_util.h"

/* Turns the first 2n elements of a head in place: pair i is elements i and i + n, interleaved 2i and 2i + 1; turn
 * holds n cosines, then n sines. */
void sumi_ms_turn(float *x, const float *turn, int64_t n, bool interleaved);

/* The same with cosines and sines apart. */
void sumi_ms_turn_by(float *x, const float *cosines, const float *sines, int64_t n, bool interleaved);

#endif
