/* Which numbers a random operator draws: those of its seed, else others in every run. */
#ifndef SUMI_OP_DRAW_H
#define SUMI_OP_DRAW_H

#include "base/random.h"
#include "graph/op.h"

/* Attribute seed, a float or an integer, seeds the generator: its whole part modulo 2^32, so that a run repeats the one
 * before and gives the numbers of the standard's reference implementation. Without a seed, or with one that is no number, the session's
 * generator does. */
sumi_status sumi_draw_init(const struct sumi_call *c, struct sumi_twister *t);

#endif
