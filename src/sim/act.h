/* One element of ACT: its formula in card/word.h. */
#ifndef SUMI_SIM_ACT_H
#define SUMI_SIM_ACT_H

#include "sim/sim_int.h"

/* Whether flags, types, limits and function fit together. */
bool act_form(const struct sumi_card_act *w, struct sim_failure *f);
/* The result, v (REAL) or q, of the bits of a sum and the residual's element. */
float act_element(const struct sumi_card_act *w, const struct sumi_card_channel *ch, int32_t bits,
                  const uint8_t *residual);
/* Stores it; table: NULL where there is none. */
void act_write(const struct sumi_card_act *w, const uint8_t *table, uint8_t *to, float v);

#endif
