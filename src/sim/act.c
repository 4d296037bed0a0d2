/* ACT: sums out of the accumulators, rounded as a quantised network does it; the formula is in card/word.h. */
#include <math.h>
#include <string.h>

#include "base/fmath.h"
#include "cpu/cpu.h"
#include "sim/act.h"

enum { LANES = 64 }; /* elements computed together */

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

#define EACH(result)                \
  for (int i = 0; i < LANES; i++) { \
    const float x = v[i];           \
    v[i] = result;                  \
  }                                 \
  return

static inline __attribute__((always_inline)) void function(const struct sumi_card_act *w, float *v) {
  const float alpha = w->alpha;
  switch (w->function) {
    case SUMI_CARD_F_RELU: EACH(x < 0 ? 0 : x);
    case SUMI_CARD_F_LEAKY_RELU: EACH(x < 0 ? alpha * x : x);
    case SUMI_CARD_F_SIGMOID: EACH(sumi_sigmoid_f32(x));
    case SUMI_CARD_F_TANH: EACH(sumi_tanh_f32(x));
    case SUMI_CARD_F_SWISH: EACH(x * sumi_sigmoid_f32(alpha * x));
    case SUMI_CARD_F_GELU: EACH(0.5f * x * (1.0f + sumi_erf_f32(x * 0x1.6a09e6p-1f)));
    case SUMI_CARD_F_EXP: EACH(sumi_exp_f32(x));
    default: return;
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

/* v[i] = v (REAL) or q of LANES elements of one channel: the bits of their sums, the values of the residual. */
static inline __attribute__((always_inline)) void stages_of(const struct act *a,
                                                            const struct sumi_card_channel *ch,
                                                            const int32_t *sum, const float *residual,
                                                            float *v) {
  const struct sumi_card_act *w = a->w;
  const struct sumi_card_channel channel = *ch;
  const struct sumi_card_stage c = w->c, r = w->r;
  const bool real = has(a, SUMI_CARD_ACT_REAL), first = has(a, SUMI_CARD_ACT_FIRST),
             also = has(a, SUMI_CARD_ACT_RESIDUAL);
  float zero = w->first_zero;
  if (w->acc_dtype == SUMI_CARD_I32)
    for (int i = 0; i < LANES; i++) v[i] = (float)(int32_t)((uint32_t)sum[i] + (uint32_t)channel.bias);
  else
    for (int i = 0; i < LANES; i++)
      v[i] = sumi_f32_from_bits((uint32_t)sum[i]) + sumi_f32_from_bits((uint32_t)channel.bias);
  if (first) {
    const float lo = w->first_lo, hi = w->first_hi;
    for (int i = 0; i < LANES; i++) v[i] = rounded(v[i] * channel.scale, zero, lo, hi);
  }
  if (has(a, SUMI_CARD_ACT_CHANNEL)) {
    const float mul = first ? c.mul : channel.scale;
    for (int i = 0; i < LANES; i++) v[i] = fmaf(v[i], mul, channel.add);
    if (!also) function(w, v);
    for (int i = 0; i < LANES; i++) v[i] *= c.out_mul;
    for (int i = 0; i < LANES && !real; i++) v[i] = rounded(v[i], c.zero, c.lo, c.hi);
    zero = c.zero;
  }
  if (also) {
    const float r_zero = w->r_zero, r_mul = w->r_mul;
    for (int i = 0; i < LANES; i++) v[i] = fmaf(v[i], r.mul, (residual[i] - r_zero) * r_mul);
    function(w, v);
    for (int i = 0; i < LANES; i++) v[i] *= r.out_mul;
    for (int i = 0; i < LANES && !real; i++) v[i] = rounded(v[i], r.zero, r.lo, r.hi);
    zero = r.zero;
  }
  for (int i = 0; i < LANES && !real; i++) v[i] += zero;
}

/* Values held to the type of the result, behind the table. */
static inline __attribute__((always_inline)) void bytes_of(const struct act *a, const float *v, uint8_t *q) {
  const float lo = a->w->out_dtype == SUMI_CARD_I8 ? -128 : 0, hi = lo + 255;
  for (int i = 0; i < LANES; i++) {
    const float low = v[i] < lo ? lo : v[i], held = low > hi ? hi : low;
    q[i] = (uint8_t)(int32_t)held;
  }
  for (int i = 0; i < LANES && a->table; i++) q[i] = a->table[q[i]];
}

/* Results of n pixels that are no bytes to their places behind `to`. */
static void write_elements(const struct act *a, uint8_t *to, const size_t *place, const float *v, int n) {
  for (int i = 0; i < n; i++) {
    const uint16_t half = sumi_bf16_from_f32(v[i]);
    if (a->w->out_dtype == SUMI_CARD_F32)
      memcpy(to + place[i] * 4, &v[i], 4);
    else
      memcpy(to + place[i] * 2, &half, 2);
  }
}

static void read_elements(const uint8_t *from, uint8_t dtype, const size_t *place, float *v, int n) {
  const size_t e = sumi_card_elem_bytes(dtype);
  for (int i = 0; i < n; i++) v[i] = read_element(from + place[i] * e, dtype);
}

/* to[k][c] = from[c][k] of 8 x 8 bytes, rows so many bytes apart. */
static inline __attribute__((always_inline)) void turn_bytes(const uint8_t *from, size_t from_row,
                                                             uint8_t *to, size_t to_row) {
  typedef uint8_t eight __attribute__((vector_size(16)));
  eight r[4], t[4];
  for (int c = 0; c < 4; c++) { /* rows c and c + 4, byte by byte */
    eight lo = {0}, hi = {0};
    memcpy(&lo, from + (size_t)c * from_row, 8);
    memcpy(&hi, from + (size_t)(c + 4) * from_row, 8);
    r[c] = __builtin_shufflevector(lo, hi, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  }
  for (int c = 0; c < 2; c++) { /* rows c, c + 2, c + 4, c + 6 of columns 0..3, then of 4..7 */
    t[c] = __builtin_shufflevector(r[c], r[c + 2], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    t[c + 2] =
        __builtin_shufflevector(r[c], r[c + 2], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
  for (int c = 0; c < 2; c++) { /* all rows of columns 2 c, 2 c + 1 (+ 4) */
    r[c] = __builtin_shufflevector(t[2 * c], t[2 * c + 1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                   23);
    r[c + 2] = __builtin_shufflevector(t[2 * c], t[2 * c + 1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                       14, 30, 15, 31);
  }
  static const size_t column[4] = {0, 4, 2, 6};
  for (int c = 0; c < 4; c++) {
    memcpy(to + column[c] * to_row, &r[c], 8);
    memcpy(to + (column[c] + 1) * to_row, (const char *)&r[c] + 8, 8);
  }
}

struct pixel {
  uint32_t image, y, x;
};

/* Elements that lie between the first pixel of the word and each of n from *p on, which becomes the one after them. */
static void places_of(const struct sumi_card_act *w, struct pixel *p, int n, size_t *place) {
  for (int i = 0; i < n; i++) {
    place[i] = (size_t)p->image * w->out_image + (size_t)p->y * w->out_row + (size_t)p->x * w->out_pixel;
    if (++p->x < w->cols) continue;
    p->x = 0;
    if (++p->y < w->rows) continue;
    p->y = 0;
    p->image++;
  }
}

/* Bytes q[channel][pixel] of up to 32 neighbouring channels to their places behind `to`. */
static inline __attribute__((always_inline)) void write_bytes(uint8_t *to, const size_t *place,
                                                              uint8_t q[SUMI_CARD_BANK][LANES],
                                                              uint32_t channels, int n) {
  for (int i = 0; i < n; i += 8) {
    uint8_t row[8][SUMI_CARD_BANK];
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c += 8)
      turn_bytes(&q[c][i], sizeof q[0], &row[0][c], sizeof row[0]);
    for (int k = 0; k < 8 && i + k < n; k++) {
      if (channels == SUMI_CARD_BANK)
        memcpy(to + place[i + k], row[k], SUMI_CARD_BANK);
      else
        for (uint32_t c = 0; c < channels; c++) to[place[i + k] + c] = row[k][c];
    }
  }
}

/* The same from there. */
static inline __attribute__((always_inline)) void read_bytes(const uint8_t *from, const size_t *place,
                                                             uint8_t q[SUMI_CARD_BANK][LANES],
                                                             uint32_t channels, int n) {
  uint8_t row[8][SUMI_CARD_BANK] = {{0}};
  for (int i = 0; i < n; i += 8) {
    for (int k = 0; k < 8 && i + k < n; k++) {
      if (channels == SUMI_CARD_BANK)
        memcpy(row[k], from + place[i + k], SUMI_CARD_BANK);
      else
        for (uint32_t c = 0; c < channels; c++) row[k][c] = from[place[i + k] + c];
    }
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c += 8)
      turn_bytes(&row[0][c], sizeof row[0], &q[c][i], sizeof q[0]);
  }
}

static inline __attribute__((always_inline)) void real_of(uint8_t dtype, const uint8_t *q, float *v) {
  if (dtype == SUMI_CARD_I8)
    for (int i = 0; i < LANES; i++) v[i] = (float)(int8_t)q[i];
  else
    for (int i = 0; i < LANES; i++) v[i] = (float)q[i];
}

/* Up to LANES pixels of up to 32 channels from c0 on. */
static inline __attribute__((always_inline)) void some_channels(const struct act *a, uint64_t p0, int n,
                                                                const size_t *place, uint32_t c0,
                                                                uint32_t channels) {
  const struct sumi_card_act *w = a->w;
  const bool bytes = w->out_dtype <= SUMI_CARD_U8;
  const size_t first = (size_t)(c0 / SUMI_CARD_BANK) * w->out_bank;
  const bool residual_bytes = a->residual && w->residual_dtype <= SUMI_CARD_U8;
  uint8_t q[SUMI_CARD_BANK][LANES] = {{0}}, r[SUMI_CARD_BANK][LANES];
  int32_t sum[LANES] = {0};
  float residual[LANES] = {0}, v[LANES];
  if (residual_bytes) read_bytes(a->residual + first, place, r, channels, n);
  for (uint32_t c = 0; c < channels; c++) {
    struct sumi_card_channel ch;
    memcpy(&ch, a->channel + (size_t)(c0 + c) * sizeof ch, sizeof ch);
    const int32_t *acc = (const int32_t *)(const void *)(a->acc + ((c0 + c) * a->pixels + p0) * 4);
    if (n == LANES)
      memcpy(sum, acc, sizeof sum);
    else
      for (int i = 0; i < n; i++) sum[i] = acc[i];
    if (residual_bytes)
      real_of(w->residual_dtype, r[c], residual);
    else if (a->residual)
      read_elements(a->residual + (first + c) * a->residual_bytes, w->residual_dtype, place, residual, n);
    stages_of(a, &ch, sum, residual, v);
    if (!bytes) {
      write_elements(a, a->out + (first + c) * a->out_bytes, place, v, n);
      continue;
    }
    bytes_of(a, v, q[c]);
  }
  if (bytes) write_bytes(a->out + first, place, q, channels, n);
}

/* All pixels of up to 32 channels from c0 on. */
static inline __attribute__((always_inline)) void one_bank(const struct act *a, uint32_t c0) {
  struct pixel pixel = {0};
  const uint32_t channels = SUMI_MIN(a->w->channels - c0, (uint32_t)SUMI_CARD_BANK);
  for (uint64_t p = 0; p < a->pixels; p += LANES) {
    const int n = (int)SUMI_MIN(a->pixels - p, LANES);
    size_t place[LANES];
    places_of(a->w, &pixel, n, place);
    some_channels(a, p, n, place, c0, channels);
  }
}

typedef void bank_fn(const struct act *a, uint32_t c0);

/* The same C for both, so that all give the same bits. */
static void bank(const struct act *a, uint32_t c0) { one_bank(a, c0); }
#ifdef SUMI_X86
__attribute__((target("avx2,fma"))) static void bank_avx2(const struct act *a, uint32_t c0) {
  one_bank(a, c0);
}
#endif

static bank_fn *bank_for(enum sumi_isa level) {
#ifdef SUMI_X86
  if (sumi_cpu_allows(level, SUMI_ISA_AVX2)) return bank_avx2;
#endif
  (void)level;
  return bank;
}

float act_element(const struct sumi_card_act *w, const struct sumi_card_channel *ch, int32_t bits,
                  const uint8_t *residual) {
  const struct act a = {.w = w};
  const int32_t sum[LANES] = {bits};
  const float r[LANES] = {residual ? read_element(residual, w->residual_dtype) : 0};
  float v[LANES];
  stages_of(&a, ch, sum, r, v);
  return v[0];
}

void act_write(const struct sumi_card_act *w, const uint8_t *table, uint8_t *to, float v) {
  const struct act a = {.w = w, .table = (uint8_t *)table};
  const float values[LANES] = {v};
  const size_t place = 0;
  uint8_t q[LANES];
  if (w->out_dtype > SUMI_CARD_U8) {
    write_elements(&a, to, &place, &v, 1);
    return;
  }
  bytes_of(&a, values, q);
  *to = q[0];
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
  bank_fn *const run = bank_for(sumi_cpu_isa());
  for (uint32_t c = 0; c < w->channels; c += SUMI_CARD_BANK) run(&a, c);
  return true;
}

const struct sim_operation sim_act = {act_plan, act_run};
