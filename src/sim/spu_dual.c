/* Dual-sided sparsity: what is left of the pairs of weights and activations where zeros among activations are skipped, counted from
 * the data. Every multiplier works off its own banks, at least a cycle each; a block of pixels and outputs ends with the slowest. */
#include <string.h>

#include "cpu/cpu.h"
#include "sim/spu.h"

size_t sim_pairs_bytes(const struct sumi_sim *sim) {
  return (size_t)SIM_P(sim, acc_bytes) * (size_t)SIM_P(sim, spu_banks); /* 4 bytes for every sum and bank */
}

struct dual {
  const struct spu *s;
  uint64_t (*count)(uint32_t *cycles, const uint32_t *x_mask, uint32_t mask, size_t n);
  uint32_t *cycles; /* [outputs, lanes, pixels of the block] */
  uint64_t lanes, n_pixels, pairs;
};

/* A dense bank's zeros among the weights cost as much as others: no index leaves them out. */
static uint32_t mask_of(const uint8_t *index, uint32_t n, bool dense) {
  uint32_t mask = 0;
  if (dense) return n == SUMI_CARD_BANK ? UINT32_MAX : (1u << n) - 1;
  for (uint32_t e = 0; e < n; e++) mask |= 1u << index[e];
  return mask;
}

/* For p < n: cycles[p] += max(bits of mask & x_mask[p], 1). Returns the bits of all. */
#define COUNT(name, attribute)                                                                        \
  attribute static uint64_t name(uint32_t *cycles, const uint32_t *x_mask, uint32_t mask, size_t n) { \
    uint32_t all = 0; /* n * 32 at most */                                                            \
    for (size_t p = 0; p < n; p++) {                                                                  \
      uint32_t x = mask & x_mask[p];                                                                  \
      x -= x >> 1 & 0x55555555u;                                                                      \
      x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);                                                 \
      x = (x + (x >> 4)) & 0x0f0f0f0fu;                                                               \
      x += x >> 8;                                                                                    \
      x = (x + (x >> 16)) & 63;                                                                       \
      all += x;                                                                                       \
      cycles[p] += x ? x : 1;                                                                         \
    }                                                                                                 \
    return all;                                                                                       \
  }

typedef uint64_t count_fn(uint32_t *cycles, const uint32_t *x_mask, uint32_t mask, size_t n);

COUNT(count, )
#ifdef SUMI_X86
COUNT(count_avx2, __attribute__((target("avx2"))))
#endif

static count_fn *count_for(enum sumi_isa level) {
#ifdef SUMI_X86
  if (sumi_cpu_allows(level, SUMI_ISA_AVX2)) return count_avx2;
#endif
  (void)level;
  return count;
}

static bool count_tap(struct dual *d, uint64_t t, const uint32_t *x_mask, struct sim_failure *f) {
  const struct spu *s = d->s;
  const struct sumi_card_spu *w = s->w;
  const uint64_t full = sumi_card_group_bytes(w->k, s->elem, SUMI_CARD_BANK);
  const uint64_t last = sumi_card_group_bytes(w->k, s->elem, s->last);
  const uint64_t at = t / w->banks * ((w->banks - 1u) * full + last) + t % w->banks * full;
  for (uint32_t n = 0; n < w->outputs; n++) {
    float value[SUMI_CARD_BANK];
    uint8_t index[SUMI_CARD_BANK];
    uint32_t pairs;
    if (!spu_group(s, s->weight + (size_t)n * w->w_step_bytes + at, spu_channels(s, t), value, index, &pairs))
      SIM_REFUSE(f, INDEX, (uint64_t)w->w + (uint64_t)n * w->w_step_bytes + at, t);
    d->pairs += d->count(d->cycles + (n * d->lanes + t % d->lanes) * d->n_pixels, x_mask,
                         mask_of(index, pairs, w->k == SUMI_CARD_BANK), d->n_pixels);
  }
  return true;
}

/* Cycles of one block of pixels: for each block of outputs its slowest multiplier. */
static uint64_t slowest(const struct dual *d, uint64_t outputs_side) {
  const uint64_t outputs = d->s->w->outputs, each = d->n_pixels * d->lanes;
  uint64_t cycles = 0;
  for (uint64_t n0 = 0; n0 < outputs; n0 += outputs_side) {
    uint32_t most = 0;
    for (uint64_t i = n0 * each; i < SUMI_MIN(n0 + outputs_side, outputs) * each; i++)
      most = SUMI_MAX(most, d->cycles[i]);
    cycles += most;
  }
  return cycles;
}

static uint32_t operands_mask(const struct spu *s, const uint8_t *from, uint32_t channels) {
  float x[SUMI_CARD_BANK];
  uint32_t mask = 0;
  if (!from) return 0;
  spu_operands(s, from, channels, x);
  for (uint32_t c = 0; c < channels; c++) mask |= (uint32_t)(x[c] != 0) << c;
  return mask;
}

bool spu_dual(struct sumi_sim *sim, const struct spu *s, uint64_t *cycles, uint64_t *pairs,
              struct sim_failure *f) {
  const uint64_t side = (uint64_t)SIM_P(sim, spu_pixels);
  struct dual d = {.s = s,
                   .count = count_for(sumi_cpu_isa()),
                   .cycles = sim->pairs,
                   .lanes = (uint64_t)SIM_P(sim, spu_banks)};
  *cycles = 0;
  for (uint64_t p0 = 0; p0 < s->pixels; p0 += side) {
    uint32_t x_mask[4096]; /* the most spu_pixels can be */
    d.n_pixels = SUMI_MIN(side, s->pixels - p0);
    memset(d.cycles, 0, s->w->outputs * d.n_pixels * d.lanes * sizeof *d.cycles);
    for (uint64_t t = 0; t < s->taps; t++) {
      const struct spu_tap tap = spu_tap_at(s, t);
      struct spu_pixel pixel = spu_pixel_at(s, p0);
      for (uint64_t p = 0; p < d.n_pixels; p++, spu_pixel_next(s, &pixel))
        x_mask[p] = operands_mask(s, spu_source(s, &pixel, &tap), spu_channels(s, t));
      SIM_DO(count_tap(&d, t, x_mask, f));
    }
    *cycles += slowest(&d, (uint64_t)SIM_P(sim, spu_outputs));
  }
  *pairs = d.pairs;
  return true;
}
