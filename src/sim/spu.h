/* The parts of an SPU word that its plan, its arithmetic and its dual-sided time share. */
#ifndef SUMI_SIM_SPU_H
#define SUMI_SIM_SPU_H

#include "sim/sim_int.h"

/* A word resolved. Taps t = (ky * kernel_w + kx) * banks + bank. */
struct spu {
  const struct sumi_card_spu *w;
  uint64_t pixels, taps;
  uint32_t elem, last;       /* bytes of an element; channels of the last bank */
  const uint8_t *x, *weight; /* NULL in timing-only mode */
  uint8_t *acc;
  float table[256], w_table[256]; /* of a byte of x, of a weight: the multiplier's operand */
};

/* Channels of tap t's bank. */
static inline uint32_t spu_channels(const struct spu *s, uint64_t t) {
  return t % s->w->banks + 1u == s->w->banks ? s->last : SUMI_CARD_BANK;
}

/* The 32 operands of pixel p and tap t (0 where padding or no channel is; after x_top), and which are not 0. */
uint32_t spu_operands(const struct spu *s, uint64_t p, uint64_t t, float x[SUMI_CARD_BANK]);

/* One group: its values as operands, its channels. False: indices do not rise or leave the bank. Returns pairs through *n. */
bool spu_group(const struct spu *s, const uint8_t *group, uint32_t channels, float value[SUMI_CARD_BANK],
               uint8_t index[SUMI_CARD_BANK], uint32_t *n);

/* Cycles of the multipliers where zeros among x are skipped (without what a type costs), and the pairs that were left. */
bool spu_dual(struct sumi_sim *sim, const struct spu *s, uint64_t *cycles, uint64_t *pairs,
              struct sim_failure *f);

#endif
