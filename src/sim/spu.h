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
  float w_table[256]; /* of a weight's byte: the multiplier's operand */
};

/* Channels of tap t's bank. */
static inline uint32_t spu_channels(const struct spu *s, uint64_t t) {
  return t % s->w->banks + 1u == s->w->banks ? s->last : SUMI_CARD_BANK;
}

/* A word checked and resolved. */
bool spu_resolve(struct sumi_sim *sim, struct sim_job *job, const struct sumi_card_spu *w, struct spu *s,
                 struct sim_failure *f);

struct spu_tap {
  uint32_t ky, kx, bank;
};
static inline struct spu_tap spu_tap_at(const struct spu *s, uint64_t t) {
  const uint32_t banks = s->w->banks, width = s->w->kernel_w;
  return (struct spu_tap){(uint32_t)(t / banks / width), (uint32_t)(t / banks % width),
                          (uint32_t)(t % banks)};
}

/* Pixel p = (image * rows + y) * cols + x, and the one after it. */
struct spu_pixel {
  uint32_t image, y, x;
};
static inline struct spu_pixel spu_pixel_at(const struct spu *s, uint64_t p) {
  const uint32_t cols = s->w->cols, rows = s->w->rows;
  return (struct spu_pixel){(uint32_t)(p / cols / rows), (uint32_t)(p / cols % rows), (uint32_t)(p % cols)};
}
static inline void spu_pixel_next(const struct spu *s, struct spu_pixel *p) {
  if (++p->x < s->w->cols) return;
  p->x = 0;
  if (++p->y < s->w->rows) return;
  p->y = 0;
  p->image++;
}

/* Where the channels of a pixel and tap lie; NULL: in the padding. */
static inline const uint8_t *spu_source(const struct spu *s, const struct spu_pixel *p,
                                        const struct spu_tap *t) {
  const struct sumi_card_spu *w = s->w;
  const int64_t ix = (int64_t)p->x * w->stride_w + (int64_t)t->kx * w->dilation_w - w->pad_left;
  const int64_t iy = (int64_t)p->y * w->stride_h + (int64_t)t->ky * w->dilation_h - w->pad_top;
  if (ix < 0 || iy < 0 || ix >= w->in_cols || iy >= w->in_rows) return NULL;
  const uint64_t at = (uint64_t)p->image * w->x_image + (uint64_t)iy * w->x_row + (uint64_t)ix * w->x_pixel +
                      (uint64_t)t->bank * w->x_bank;
  return s->x + at * s->elem;
}

/* The 32 operands there (0 where padding or no channel is; after x_top). */
void spu_operands(const struct spu *s, const uint8_t *from, uint32_t channels, float x[SUMI_CARD_BANK]);

/* One group: its values as operands, its channels. False: indices do not rise or leave the bank. Returns pairs through *n. */
bool spu_group(const struct spu *s, const uint8_t *group, uint32_t channels, float value[SUMI_CARD_BANK],
               uint8_t index[SUMI_CARD_BANK], uint32_t *n);

/* Computes the sums of a word. */
bool spu_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
             struct sim_failure *f);

/* Cycles of the multipliers where zeros among x are skipped (without what a type costs), and the pairs that were left. */
bool spu_dual(struct sumi_sim *sim, const struct spu *s, uint64_t *cycles, uint64_t *pairs,
              struct sim_failure *f);

#endif
