/* SPU: sparse convolution and matrix product, whose meaning is the formula in card/word.h: the check of a word, what it costs, its
 * operands. spu_sums.c computes. */
#include "sim/spu.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

static bool form(const struct sumi_sim *sim, const struct sumi_card_spu *w, struct sim_failure *f) {
  const bool byte = w->x_dtype <= SUMI_CARD_U8;
  SIM_NEED(f, w->k && w->k <= SUMI_CARD_BANK && !(w->k & (w->k - 1)), BANK, w->k);
  SIM_NEED(f, byte || (w->x_dtype == SUMI_CARD_BF16 && SIM_P(sim, bf16)), FIELD, w->x_dtype);
  SIM_NEED(f, byte ? w->w_dtype <= SUMI_CARD_U8 : w->w_dtype == SUMI_CARD_BF16, FIELD, w->w_dtype);
  SIM_NEED(f, w->images && w->in_rows && w->in_cols && w->banks && w->rows && w->cols && w->outputs, FIELD,
           0);
  SIM_NEED(f, w->kernel_h && w->kernel_w && w->stride_h && w->stride_w && w->dilation_h && w->dilation_w,
           FIELD, 1);
  SIM_NEED(f, (uint32_t)w->kernel_h * w->kernel_w * w->banks <= SUMI_CARD_MOST_TAPS, FIELD, w->banks);
  SIM_NEED(f, w->last_bank && w->last_bank <= SUMI_CARD_BANK, BANK, w->last_bank);
  SIM_NEED(f, w->k == SUMI_CARD_BANK || w->k <= w->last_bank, BANK, w->last_bank);
  SIM_NEED(f, w->x_top < SUMI_CARD_BANK, FIELD, w->x_top);
  const int x_low = w->x_dtype == SUMI_CARD_I8 ? -128 : 0, w_low = w->w_dtype == SUMI_CARD_I8 ? -128 : 0;
  SIM_NEED(f, byte ? w->x_zero >= x_low && w->x_zero <= x_low + 255 : !w->x_zero, FIELD, w->x_zero);
  SIM_NEED(f, byte ? w->w_zero >= w_low && w->w_zero <= w_low + 255 : !w->w_zero, FIELD, w->w_zero);
  SIM_NEED(f, w->h.flags <= (SUMI_CARD_SPU_ADD | SUMI_CARD_SPU_DUAL), FIELD, w->h.flags);
  SIM_NEED(f, !(w->h.flags & SUMI_CARD_SPU_DUAL) || SIM_P(sim, dual), FIELD, w->h.flags);
  SIM_NEED(f, !w->zero && !w->zero2 && sim_zero(w->zero3, sizeof w->zero3), FIELD, 2);
  return true;
}

/* Addresses of x, weights and accumulators; owners. */
static bool places(struct sumi_sim *sim, struct sim_job *job, struct spu *s, int *x_owner, int *w_owner,
                   struct sim_failure *f) {
  const struct sumi_card_spu *w = s->w;
  const uint32_t e = s->elem;
  const struct sim_walk x = {.at = w->x,
                             .elem = e * (w->banks == 1 ? s->last : SUMI_CARD_BANK),
                             .n_dims = 4,
                             .n = {w->images, w->in_rows, w->in_cols, SUMI_MAX(w->banks - 1, 1)},
                             .step = {(int64_t)w->x_image * e, (int64_t)w->x_row * e, (int64_t)w->x_pixel * e,
                                      (int64_t)w->x_bank * e}};
  struct sim_walk tail = x; /* the last bank, which may be shorter */
  uint8_t *base, *unused;
  SIM_DO(sim_walk_check(sim, job, &x, e, false, false, &base, x_owner, f));
  s->x = base;
  if (w->banks > 1) {
    const uint64_t at = (uint64_t)(w->banks - 1u) * w->x_bank * e + (w->x & 0x0fffffff);
    if (at > 0x0fffffff) SIM_REFUSE(f, SRAM, w->x, 0);
    tail.at = (w->x & 0xf0000000) | (uint32_t)at;
    tail.elem = e * s->last;
    tail.n_dims = 3;
    SIM_DO(sim_walk_check(sim, job, &tail, e, false, false, &unused, NULL, f));
  }
  const uint64_t full = sumi_card_group_bytes(w->k, e, SUMI_CARD_BANK),
                 last = sumi_card_group_bytes(w->k, e, s->last);
  const uint64_t row = (uint64_t)w->kernel_h * w->kernel_w * ((w->banks - 1u) * full + last);
  if (row > SUMI_CARD_MOST_BYTES) SIM_REFUSE(f, SRAM, w->w, row);
  const struct sim_walk weights = {
      .at = w->w, .elem = (uint32_t)row, .n_dims = 1, .n = {w->outputs}, .step = {w->w_step_bytes}};
  SIM_DO(sim_walk_check(sim, job, &weights, 1, false, false, &base, w_owner, f));
  s->weight = base;
  const uint64_t sums = s->pixels * w->outputs; /* below 2^64: 16 bits each */
  if (sums > SUMI_CARD_MOST_BYTES / 4 || w->acc >> 28 != SUMI_CARD_ACC) SIM_REFUSE(f, ACC, w->acc, sums);
  const struct sim_walk acc = {.at = w->acc, .elem = (uint32_t)sums * 4};
  return sim_walk_check(sim, job, &acc, 4, true, true, &s->acc, NULL, f);
}

static void operands_of_bytes(struct spu *s) {
  for (int b = 0; b < 256; b++)
    s->w_table[b] = (float)((s->w->w_dtype == SUMI_CARD_I8 ? (int8_t)b : b) - s->w->w_zero);
}

/* Cycles a bank takes: a dense bank has no more than its channels; with more banks than one the full ones set the pace. */
static uint32_t pairs_a_bank(const struct spu *s) {
  return s->w->k == SUMI_CARD_BANK && s->w->banks == 1 ? s->last : s->w->k;
}

/* Time where nothing is skipped at run time; expected where timing only has to guess. */
static uint64_t block_cycles(const struct sumi_sim *sim, const struct spu *s, uint32_t k) {
  return sim_div_up(s->pixels, (uint64_t)SIM_P(sim, spu_pixels)) *
         sim_div_up(s->w->outputs, (uint64_t)SIM_P(sim, spu_outputs)) *
         sim_div_up(s->taps, (uint64_t)SIM_P(sim, spu_banks)) * k;
}

static bool spend(struct sumi_sim *sim, struct sim_job *job, const struct spu *s, struct sim_failure *f) {
  const struct sumi_card_spu *w = s->w;
  const bool byte = s->elem == 1, dual = w->h.flags & SUMI_CARD_SPU_DUAL;
  const uint64_t channels = (w->banks - 1u) * SUMI_CARD_BANK + s->last, sums = s->pixels * w->outputs;
  const uint64_t area = (uint64_t)w->kernel_h * w->kernel_w;
  const uint64_t per_output = w->k == SUMI_CARD_BANK ? area * channels : s->taps * w->k;
  uint64_t pairs = sums * per_output, cycles = block_cycles(sim, s, pairs_a_bank(s));
  if (dual && s->x) {
    SIM_DO(spu_dual(sim, s, &cycles, &pairs, f));
  } else if (dual && (w->x_density || w->x_top)) {
    const uint64_t share =
        w->x_top ? SUMI_MIN((uint64_t)w->x_top * 2048, w->x_density ? w->x_density : 65536) : w->x_density;
    const uint32_t expected = (uint32_t)sim_div_up(pairs_a_bank(s) * share, 65536);
    cycles = block_cycles(sim, s, expected);
    pairs = (uint64_t)((unsigned __int128)pairs * share >> 16);
  }
  job->latency += (uint64_t)SIM_P(sim, spu_latency);
  job->cycles = cycles * (byte ? 1 : (uint64_t)SIM_P(sim, spu_bf16_cycles));
  job->dense_macs = sums * area * channels;
  job->executed_macs = pairs;
  job->count[byte ? SUMI_SIM_MAC_I8 : SUMI_SIM_MAC_BF16] = pairs;
  job->count[SUMI_SIM_SELECT] = w->k == SUMI_CARD_BANK && !dual ? 0 : pairs;
  job->count[SUMI_SIM_ACC_BYTE] = sums * 4 * (w->h.flags & SUMI_CARD_SPU_ADD ? 2 : 1);
  return true;
}

bool spu_resolve(struct sumi_sim *sim, struct sim_job *job, const struct sumi_card_spu *w, struct spu *s,
                 struct sim_failure *f) {
  SIM_DO(form(sim, w, f));
  *s = (struct spu){.w = w, .elem = w->x_dtype <= SUMI_CARD_U8 ? 1 : 2, .last = w->last_bank};
  s->pixels = (uint64_t)w->images * w->rows * w->cols;
  s->taps = (uint64_t)w->kernel_h * w->kernel_w * w->banks;
  int x_owner, w_owner;
  SIM_DO(places(sim, job, s, &x_owner, &w_owner, f));
  operands_of_bytes(s);
  const uint64_t area = (uint64_t)w->kernel_h * w->kernel_w, e = s->elem;
  const uint64_t channels = (w->banks - 1u) * SUMI_CARD_BANK + s->last;
  const uint64_t row = area * ((w->banks - 1u) * sumi_card_group_bytes(w->k, (uint32_t)e, SUMI_CARD_BANK) +
                               sumi_card_group_bytes(w->k, (uint32_t)e, s->last));
  sim_charge_sram(sim, job, x_owner,
                  s->pixels * area * channels * e * sim_div_up(w->outputs, (uint64_t)SIM_P(sim, spu_outputs)),
                  false);
  sim_charge_sram(sim, job, w_owner,
                  row * w->outputs * sim_div_up(s->pixels, (uint64_t)SIM_P(sim, spu_pixels)), false);
  return true;
}

/* ---- operands */

static void keep_largest(float x[SUMI_CARD_BANK], int top) {
  float kept[SUMI_CARD_BANK] = {0};
  for (int i = 0; i < top; i++) {
    int best = 0;
    for (int c = 1; c < SUMI_CARD_BANK; c++)
      if (fabsf(x[c]) > fabsf(x[best])) best = c;
    kept[best] = x[best];
    x[best] = 0;
  }
  memcpy(x, kept, sizeof kept);
}

void spu_operands(const struct spu *s, const uint8_t *from, uint32_t channels, float x[SUMI_CARD_BANK]) {
  const struct sumi_card_spu *w = s->w;
  const int32_t zero = w->x_zero;
  if (!from || channels < SUMI_CARD_BANK) memset(x, 0, SUMI_CARD_BANK * sizeof *x);
  if (!from) return;
  if (s->elem == 1 && channels == SUMI_CARD_BANK && w->x_dtype == SUMI_CARD_U8) {
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c++) x[c] = (float)(from[c] - zero);
  } else if (s->elem == 1 && channels == SUMI_CARD_BANK) {
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c++) x[c] = (float)((int8_t)from[c] - zero);
  } else if (s->elem == 1) {
    for (uint32_t c = 0; c < channels; c++)
      x[c] = (float)((w->x_dtype == SUMI_CARD_U8 ? from[c] : (int8_t)from[c]) - zero);
  } else {
    uint16_t half[SUMI_CARD_BANK];
    memcpy(half, from, channels * sizeof *half);
    for (uint32_t c = 0; c < channels; c++) x[c] = sumi_f32_from_bf16(half[c]);
  }
  if (w->x_top) keep_largest(x, w->x_top);
}

bool spu_group(const struct spu *s, const uint8_t *group, uint32_t channels, float value[SUMI_CARD_BANK],
               uint8_t index[SUMI_CARD_BANK], uint32_t *n) {
  const struct sumi_card_spu *w = s->w;
  static const uint8_t all[SUMI_CARD_BANK] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                              16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  const bool dense = w->k == SUMI_CARD_BANK;
  *n = dense ? channels : w->k;
  for (uint32_t e = 0; e < *n; e++) {
    uint16_t half;
    if (s->elem == 1)
      value[e] = s->w_table[group[e]];
    else
      memcpy(&half, group + (size_t)e * 2, 2), value[e] = sumi_f32_from_bf16(half);
  }
  if (dense) {
    memcpy(index, all, sizeof all);
    return true;
  }
  const uint8_t *at = group + (size_t)*n * s->elem;
  bool rising = true;
  for (uint32_t e = 0; e < *n; e += 8, at += 5) { /* 8 indices are 5 bytes */
    const uint32_t count = SUMI_MIN(*n - e, 8), bytes = (count * 5 + 7) / 8;
    uint64_t bits = at[0];
    for (uint32_t b = 1; b < bytes; b++) bits |= (uint64_t)at[b] << 8 * b;
    for (uint32_t i = e; i < e + count; i++, bits >>= 5) {
      index[i] = bits & 31;
      rising &= index[i] < channels && (!i || index[i] > index[i - 1]);
    }
  }
  return rising;
}

/* ---- the word */

static bool spu_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                     struct sim_failure *f) {
  struct spu s;
  SIM_DO(spu_resolve(sim, job, &word->spu, &s, f));
  return spend(sim, job, &s, f);
}

const struct sim_operation sim_spu = {spu_plan, spu_run};
