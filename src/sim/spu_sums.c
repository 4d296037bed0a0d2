/* The arithmetic of an SPU word. Operands of 9 bits and BF16 are exact in float32, and sums of up to 256 products of 9 bits too: one
 * way serves both types. Blocks of pixels and taps have their operands as planes [64 pixels of the block][tap][channel][pixel], small
 * enough for a second-level cache; each output's weights of a block are unpacked once into a list. */
#include <string.h>

#include "cpu/cpu.h"
#include "sim/spu.h"

#ifdef SUMI_X86
#include <immintrin.h>
#endif

enum {
  LANES = 64,         /* pixels summed together */
  PLANE = 32 * LANES, /* floats of a tap of so many pixels */
  PAIRS = 128,        /* of an output in a block: byte sums stay below 2^24, 128 * 255 * 255 */
  TAPS_LEAST = 4,     /* so few where they are dense: planes that a first-level cache holds */
  TAPS_MOST = 16      /* and so many where they are sparse */
};
_Static_assert(SUMI_CARD_BANK *TAPS_LEAST <= PAIRS && (int)SUMI_CARD_BANK == PLANE / LANES,
               "a block of dense taps");

/* Weights of one output and a block of taps in the order of their sum: plane (in floats, where it begins) and value. */
struct list {
  uint32_t n;
  uint32_t plane[PAIRS];
  float value[PAIRS];
};

/* sum[p] += value[e] * planes[plane[e] + p] in the order of e, for p < LANES. */
typedef void multiply_fn(float *sum, const float *planes, const struct list *list);

/* A product and a sum rounded each. The same C for every level, so that all give the same bits. */
#define MULTIPLY(name, attribute, lanes)                                                 \
  attribute static void name(float *sum, const float *planes, const struct list *list) { \
    typedef float vec __attribute__((vector_size(lanes * 4)));                           \
    enum { VECTORS = SUMI_MIN(8, LANES / lanes), STEP = VECTORS * lanes };               \
    for (int p = 0; p < LANES; p += STEP) {                                              \
      vec s[VECTORS];                                                                    \
      memcpy(s, sum + p, sizeof s);                                                      \
      for (uint32_t e = 0; e < list->n; e++) {                                           \
        const vec *x = (const vec *)(planes + list->plane[e] + p);                       \
        const vec v = list->value[e] - (vec){0};                                         \
        for (int i = 0; i < VECTORS; i++) s[i] += v * x[i];                              \
      }                                                                                  \
      memcpy(sum + p, s, sizeof s);                                                      \
    }                                                                                    \
  }

MULTIPLY(multiply, , 4)
#ifdef SUMI_X86
MULTIPLY(multiply_avx2, __attribute__((target("avx2"))), 8)

/* Of bytes only: their products and sums are exact, so rounding once is the same. */
__attribute__((target("avx2,fma"))) static void multiply_exact_avx2(float *sum, const float *planes,
                                                                    const struct list *list) {
  enum { VECTORS = LANES / 8 };
  __m256 s[VECTORS];
  for (int i = 0; i < VECTORS; i++) s[i] = _mm256_loadu_ps(sum + 8 * i);
  for (uint32_t e = 0; e < list->n; e++) {
    const float *x = planes + list->plane[e];
    const __m256 v = _mm256_set1_ps(list->value[e]);
    for (int i = 0; i < VECTORS; i++) s[i] = _mm256_fmadd_ps(v, _mm256_load_ps(x + 8 * i), s[i]);
  }
  for (int i = 0; i < VECTORS; i++) _mm256_storeu_ps(sum + 8 * i, s[i]);
}
#endif

static multiply_fn *multiply_for(enum sumi_isa level, bool exact) {
#ifdef SUMI_X86
  if (sumi_cpu_allows(level, SUMI_ISA_AVX2)) return exact ? multiply_exact_avx2 : multiply_avx2;
#endif
  (void)level, (void)exact;
  return multiply;
}

/* ---- operands ------------------------------------------------------------------------------------------------------ */

typedef float four __attribute__((vector_size(16)));

/* to[c * LANES + p] = from[p][c] for four pixels. */
static void turn(float *to, float from[4][SUMI_CARD_BANK]) {
  for (int c = 0; c < SUMI_CARD_BANK; c += 4) {
    four r[4];
    for (int p = 0; p < 4; p++) memcpy(&r[p], &from[p][c], sizeof r[p]);
    const four a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5),
               b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const four d = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7),
               e = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(d, e, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(d, e, 2, 3, 6, 7);
    for (int i = 0; i < 4; i++) memcpy(to + (c + i) * LANES, &r[i], sizeof r[i]);
  }
}

/* Planes of taps [t0, t0 + taps) for n_pixels from p0 on, filled up with 0 to whole LANES. */
static void fill_planes(const struct spu *s, float *planes, uint64_t p0, size_t n_pixels, uint64_t t0,
                        uint64_t taps) {
  for (uint64_t t = 0; t < taps; t++) {
    const struct spu_tap tap = spu_tap_at(s, t0 + t);
    const uint32_t channels = spu_channels(s, t0 + t);
    struct spu_pixel pixel = spu_pixel_at(s, p0);
    for (size_t p = 0; p < n_pixels || p % LANES; p += 4) {
      float x[4][SUMI_CARD_BANK];
      for (size_t i = 0; i < 4; i++) {
        spu_operands(s, p + i < n_pixels ? spu_source(s, &pixel, &tap) : NULL, channels, x[i]);
        spu_pixel_next(s, &pixel);
      }
      turn(planes + (p / LANES * taps + t) * PLANE + p % LANES, x);
    }
  }
}

/* ---- sums ---------------------------------------------------------------------------------------------------------- */

static bool unpack(const struct spu *s, uint32_t n, uint64_t t0, uint64_t taps, struct list *list,
                   struct sim_failure *f) {
  const struct sumi_card_spu *w = s->w;
  const uint64_t full = sumi_card_group_bytes(w->k, s->elem, SUMI_CARD_BANK);
  const uint64_t window = (w->banks - 1u) * full + sumi_card_group_bytes(w->k, s->elem, s->last);
  const struct spu_tap first = spu_tap_at(s, t0);
  uint64_t at = ((uint64_t)first.ky * w->kernel_w + first.kx) * window + first.bank * full, bank = first.bank;
  list->n = 0;
  for (uint64_t t = 0; t < taps; t++) {
    uint8_t index[SUMI_CARD_BANK];
    uint32_t pairs;
    const bool ends = bank + 1 == w->banks;
    if (!spu_group(s, s->weight + (size_t)n * w->w_step_bytes + at, ends ? s->last : SUMI_CARD_BANK,
                   list->value + list->n, index, &pairs))
      SIM_REFUSE(f, INDEX, (uint64_t)w->w + (uint64_t)n * w->w_step_bytes + at, t0 + t);
    for (uint32_t e = 0; e < pairs; e++)
      list->plane[list->n + e] = (uint32_t)t * PLANE + (uint32_t)index[e] * LANES;
    list->n += pairs;
    at += ends ? window - bank * full : full;
    bank = ends ? 0 : bank + 1;
  }
  return true;
}

/* Adds a list's products to the sums of LANES pixels, or to 0. */
static void add_up(multiply_fn *mul, const float *planes, const struct list *list, void *acc, bool byte,
                   bool add) {
  float sum[LANES] = {0};
  if (!byte) {
    if (add) memcpy(sum, acc, sizeof sum);
    mul(sum, planes, list);
    memcpy(acc, sum, sizeof sum);
    return;
  }
  int32_t total[LANES] = {0};
  mul(sum, planes, list);
  if (add) memcpy(total, acc, sizeof total);
  for (int i = 0; i < LANES; i++) total[i] = (int32_t)((uint32_t)total[i] + (uint32_t)(int32_t)sum[i]);
  memcpy(acc, total, sizeof total);
}

/* The same for the last pixels of a block, fewer than LANES. */
static void add_up_rest(multiply_fn *mul, const float *planes, const struct list *list, void *acc,
                        size_t n_pixels, bool byte, bool add) {
  uint32_t rest[LANES] = {0};
  memcpy(rest, acc, n_pixels * 4);
  add_up(mul, planes, list, rest, byte, add);
  memcpy(acc, rest, n_pixels * 4);
}

bool spu_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
             struct sim_failure *f) {
  const struct sumi_card_spu *w = &word->spu;
  struct spu s;
  struct sim_job scratch = *job;
  scratch.n_spans = 0;
  SIM_DO(spu_resolve(sim, &scratch, w, &s, f));
  const bool byte = s.elem == 1;
  multiply_fn *const mul = multiply_for(sumi_cpu_isa(), byte);
  const uint64_t most_taps = SUMI_MAX(TAPS_LEAST, SUMI_MIN(PAIRS / w->k, TAPS_MOST));
  const uint64_t most_pixels = SIM_PLANES_BYTES / 4 / PLANE / most_taps * LANES;
  for (uint64_t p0 = 0; p0 < s.pixels; p0 += most_pixels) {
    const size_t n_pixels = (size_t)SUMI_MIN(s.pixels - p0, most_pixels);
    for (uint64_t t0 = 0; t0 < s.taps; t0 += most_taps) {
      const uint64_t taps = SUMI_MIN(s.taps - t0, most_taps);
      const bool add = t0 || w->h.flags & SUMI_CARD_SPU_ADD;
      fill_planes(&s, sim->planes, p0, n_pixels, t0, taps);
      for (uint32_t n = 0; n < w->outputs; n++) {
        struct list list;
        SIM_DO(unpack(&s, n, t0, taps, &list, f));
        uint8_t *acc = s.acc + (n * s.pixels + p0) * 4;
        const float *planes = sim->planes;
        size_t p = 0;
        for (; p + LANES <= n_pixels; p += LANES, planes += taps * PLANE)
          add_up(mul, planes, &list, acc + p * 4, byte, add);
        if (p < n_pixels) add_up_rest(mul, planes, &list, acc + p * 4, n_pixels - p, byte, add);
      }
    }
  }
  return true;
}
