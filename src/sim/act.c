/* ACT: sums out of the accumulators, rounded as a quantised network does it; the formula is in card/word.h. */
#include <math.h>
#include <string.h>

#include "base/fmath.h"
#include "sim/act.h"
#include "sim/sim_int.h"

struct act {
  const struct sumi_card_act *w;
  uint64_t pixels;
  uint32_t out_bytes, residual_bytes;
  int owner;
  uint8_t *acc, *channel, *out, *residual, *table;
};

static bool has(const struct act *a, unsigned flag) { return (a->w->h.flags & flag) != 0; }

static bool whole(float x, float lo, float hi) { return x >= lo && x <= hi && rintf(x) == x; }

/* zero, lo, hi of a stage that rounds. */
static bool stage_form(float zero, float lo, float hi, struct sim_failure *f) {
  SIM_NEED(f, whole(zero, -128, 255) && whole(lo, -128, 255) && whole(hi, -128, 255) && lo <= hi, FIELD, 3);
  return true;
}

bool act_form(const struct sumi_card_act *w, struct sim_failure *f) {
  const bool real = w->h.flags & SUMI_CARD_ACT_REAL, first = w->h.flags & SUMI_CARD_ACT_FIRST;
  const bool c = w->h.flags & SUMI_CARD_ACT_CHANNEL, r = w->h.flags & SUMI_CARD_ACT_RESIDUAL;
  SIM_NEED(f, w->h.flags <= 31 && w->images && w->rows && w->cols && w->channels, FIELD, w->h.flags);
  SIM_NEED(f, first || c, FIELD, w->h.flags);
  SIM_NEED(f, !real || (!first && !(w->h.flags & SUMI_CARD_ACT_TABLE)), FIELD, w->h.flags);
  SIM_NEED(f, w->acc_dtype == SUMI_CARD_I32 || w->acc_dtype == SUMI_CARD_F32, FIELD, w->acc_dtype);
  SIM_NEED(
      f,
      real ? w->out_dtype == SUMI_CARD_BF16 || w->out_dtype == SUMI_CARD_F32 : w->out_dtype <= SUMI_CARD_U8,
      FIELD, w->out_dtype);
  SIM_NEED(f, !r || real || w->residual_dtype <= SUMI_CARD_U8, FIELD, w->residual_dtype);
  SIM_NEED(f, w->residual_dtype < SUMI_CARD_I64, FIELD, w->residual_dtype);
  SIM_NEED(f, w->function < SUMI_CARD_N_FUNCTIONS && (c || r || !w->function), FIELD, w->function);
  if (real) return true;
  if (first) SIM_DO(stage_form(w->first_zero, w->first_lo, w->first_hi, f));
  if (c) SIM_DO(stage_form(w->c.zero, w->c.lo, w->c.hi, f));
  if (r) SIM_DO(stage_form(w->r.zero, w->r.lo, w->r.hi, f));
  return true;
}

static bool image(struct sumi_sim *sim, struct sim_job *job, const struct act *a, uint32_t at, uint32_t e,
                  bool write, uint8_t **base, int *owner, struct sim_failure *f) {
  const struct sumi_card_act *w = a->w;
  const uint32_t banks = w->channels / SUMI_CARD_BANK, rest = w->channels % SUMI_CARD_BANK;
  struct sim_walk walk = {.at = at,
                          .elem = e * SUMI_CARD_BANK,
                          .n_dims = 4,
                          .n = {w->images, w->rows, w->cols, banks},
                          .step = {(int64_t)w->out_image * e, (int64_t)w->out_row * e,
                                   (int64_t)w->out_pixel * e, (int64_t)w->out_bank * e}};
  uint8_t *unused;
  if (banks) SIM_DO(sim_walk_check(sim, job, &walk, e, false, write, base, owner, f));
  if (!rest) return true;
  const uint64_t tail = (uint64_t)banks * w->out_bank * e + (at & 0x0fffffff);
  if (tail > 0x0fffffff) SIM_REFUSE(f, SRAM, at, 0);
  walk.at = (at & 0xf0000000) | (uint32_t)tail;
  walk.elem = e * rest;
  walk.n_dims = 3;
  return sim_walk_check(sim, job, &walk, e, false, write, banks ? &unused : base, owner, f);
}

static bool table_of(struct sumi_sim *sim, struct sim_job *job, uint32_t at, uint32_t bytes, uint32_t align,
                     uint8_t **base, struct sim_failure *f) {
  const struct sim_walk w = {.at = at, .elem = bytes};
  int owner;
  SIM_DO(sim_walk_check(sim, job, &w, align, false, false, base, &owner, f));
  sim_charge_sram(sim, job, owner, bytes, false);
  return true;
}

static bool resolve(struct sumi_sim *sim, struct sim_job *job, const struct sumi_card_act *w, struct act *a,
                    struct sim_failure *f) {
  *a = (struct act){.w = w, .pixels = (uint64_t)w->images * w->rows * w->cols};
  SIM_DO(act_form(w, f));
  a->out_bytes = sumi_card_elem_bytes(w->out_dtype);
  a->residual_bytes = sumi_card_elem_bytes(w->residual_dtype);
  const uint64_t elements = a->pixels * w->channels;
  if (elements > SUMI_CARD_MOST_BYTES / 4 || w->acc >> 28 != SUMI_CARD_ACC)
    SIM_REFUSE(f, ACC, w->acc, elements);
  const struct sim_walk acc = {.at = w->acc, .elem = (uint32_t)elements * 4};
  SIM_DO(sim_walk_check(sim, job, &acc, 4, true, false, &a->acc, NULL, f));
  SIM_DO(image(sim, job, a, w->out, a->out_bytes, true, &a->out, &a->owner, f));
  sim_charge_sram(sim, job, a->owner, elements * a->out_bytes, true);
  SIM_DO(table_of(sim, job, w->channel, w->channels * 16u, 16, &a->channel, f));
  if (has(a, SUMI_CARD_ACT_TABLE)) SIM_DO(table_of(sim, job, w->table, 256, 1, &a->table, f));
  if (has(a, SUMI_CARD_ACT_RESIDUAL)) {
    SIM_DO(image(sim, job, a, w->residual, a->residual_bytes, false, &a->residual, &a->owner, f));
    sim_charge_sram(sim, job, a->owner, elements * a->residual_bytes, false);
  }
  job->count[SUMI_SIM_ACC_BYTE] += elements * 4;
  job->count[SUMI_SIM_ACT] += elements;
  job->latency += (uint64_t)SIM_P(sim, act_latency);
  job->cycles = sim_div_up(elements, (uint64_t)SIM_P(sim, act_lanes));
  return true;
}

static bool act_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                     struct sim_failure *f) {
  struct act a;
  return resolve(sim, job, &word->act, &a, f);
}

static float function(const struct sumi_card_act *w, float v) {
  switch (w->function) {
    case SUMI_CARD_F_RELU: return v < 0 ? 0 : v;
    case SUMI_CARD_F_LEAKY_RELU: return v < 0 ? w->alpha * v : v;
    case SUMI_CARD_F_SIGMOID: return sumi_sigmoid_f32(v);
    case SUMI_CARD_F_TANH: return sumi_tanh_f32(v);
    case SUMI_CARD_F_SWISH: return v * sumi_sigmoid_f32(w->alpha * v);
    case SUMI_CARD_F_GELU: return 0.5f * v * (1.0f + sumi_erf_f32(v * 0x1.6a09e6p-1f));
    case SUMI_CARD_F_EXP: return sumi_exp_f32(v);
    default: return v;
  }
}

/* round(clamp(v, lo - zero, hi - zero)), which is q - zero. */
static float rounded(float v, float zero, float lo, float hi) {
  const float a = lo - zero, b = hi - zero, c = v > a ? v : a;
  return sumi_rint_f32(c < b ? c : b);
}

static float read_element(const uint8_t *at, uint8_t dtype) {
  int32_t i;
  float v;
  uint16_t half;
  switch (dtype) {
    case SUMI_CARD_I8: return (int8_t)*at;
    case SUMI_CARD_U8: return *at;
    case SUMI_CARD_I32: memcpy(&i, at, 4); return (float)i;
    case SUMI_CARD_BF16: memcpy(&half, at, 2); return sumi_f32_from_bf16(half);
    default: memcpy(&v, at, 4); return v;
  }
}

float act_element(const struct sumi_card_act *w, const struct sumi_card_channel *ch, int32_t bits,
                  const uint8_t *residual) {
  const bool real = w->h.flags & SUMI_CARD_ACT_REAL, r = w->h.flags & SUMI_CARD_ACT_RESIDUAL;
  float dot, v, zero = w->first_zero;
  if (w->acc_dtype == SUMI_CARD_I32)
    dot = (float)(int32_t)((uint32_t)bits + (uint32_t)ch->bias);
  else
    dot = sumi_f32_from_bits((uint32_t)bits) + sumi_f32_from_bits((uint32_t)ch->bias);
  if (w->h.flags & SUMI_CARD_ACT_FIRST)
    v = rounded(dot * ch->scale, w->first_zero, w->first_lo, w->first_hi);
  else
    v = dot;
  if (w->h.flags & SUMI_CARD_ACT_CHANNEL) {
    v = w->h.flags & SUMI_CARD_ACT_FIRST ? fmaf(v, w->c.mul, ch->add) : fmaf(dot, ch->scale, ch->add);
    v = (r ? v : function(w, v)) * w->c.out_mul;
    zero = w->c.zero;
    if (!real) v = rounded(v, w->c.zero, w->c.lo, w->c.hi);
  }
  if (r) {
    const float x = (read_element(residual, w->residual_dtype) - w->r_zero) * w->r_mul;
    v = function(w, fmaf(v, w->r.mul, x)) * w->r.out_mul;
    zero = w->r.zero;
    if (!real) v = rounded(v, w->r.zero, w->r.lo, w->r.hi);
  }
  return real ? v : v + zero;
}

void act_write(const struct sumi_card_act *w, const uint8_t *table, uint8_t *to, float v) {
  if (w->out_dtype == SUMI_CARD_F32) {
    memcpy(to, &v, 4);
  } else if (w->out_dtype == SUMI_CARD_BF16) {
    const uint16_t half = sumi_bf16_from_f32(v);
    memcpy(to, &half, 2);
  } else {
    const float lo = w->out_dtype == SUMI_CARD_I8 ? -128 : 0, held = v < lo         ? lo
                                                                     : v > lo + 255 ? lo + 255
                                                                                    : v;
    const uint8_t q = (uint8_t)(int32_t)held;
    *to = table ? table[q] : q;
  }
}

static bool act_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                    struct sim_failure *f) {
  const struct sumi_card_act *w = &word->act;
  struct sim_job scratch = *job;
  struct act a;
  scratch.n_spans = 0;
  SIM_DO(resolve(sim, &scratch, w, &a, f));
  for (uint32_t n = 0; n < w->channels; n++) {
    struct sumi_card_channel ch;
    memcpy(&ch, a.channel + (size_t)n * sizeof ch, sizeof ch);
    if (ch.zero) SIM_REFUSE(f, FIELD, w->channel + n * sizeof ch, ch.zero);
  }
  for (uint32_t n = 0; n < w->channels; n++) {
    struct sumi_card_channel ch;
    memcpy(&ch, a.channel + (size_t)n * sizeof ch, sizeof ch);
    const uint8_t *acc = a.acc + n * a.pixels * 4;
    for (uint32_t i = 0; i < w->images; i++)
      for (uint32_t y = 0; y < w->rows; y++) {
        size_t at = (size_t)i * w->out_image + (size_t)y * w->out_row +
                    (size_t)(n / SUMI_CARD_BANK) * w->out_bank + n % SUMI_CARD_BANK;
        for (uint32_t x = 0; x < w->cols; x++, at += w->out_pixel, acc += 4) {
          int32_t bits;
          memcpy(&bits, acc, 4);
          const float v = act_element(w, &ch, bits, a.residual ? a.residual + at * a.residual_bytes : NULL);
          act_write(w, a.table, a.out + at * a.out_bytes, v);
        }
      }
  }
  return true;
}

const struct sim_operation sim_act = {act_plan, act_run};
