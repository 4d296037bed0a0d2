/* The arithmetic of an SPU word. Blocks of pixels and taps have their operands as planes [64 pixels of the block][tap][channel][pixel],
 * small enough for a second-level cache, 64 pixels of them for a first-level one; the weights of some outputs of a block are unpacked
 * once into lists. A channel of BF16 is a float of a plane. Operands of 9 bits are two to a word of a plane, for the even channel
 * and the odd one behind it, and their sums are exact in any order. */
#include <string.h>

#include "cpu/cpu.h"
#include "sim/spu.h"

#ifdef SUMI_X86
#include <immintrin.h>
#endif

enum {
  LANES = 64,          /* pixels summed together */
  MOST = 128,          /* entries of a list */
  BLOCK = 64,          /* outputs whose lists lie there together */
  FLOATS = 32 * LANES, /* words of a tap of so many pixels */
  PAIRS = 16 * LANES,  /* where a word is two channels */
  TAPS_MOST = 16       /* of a block; dense: MOST / 32 or MOST / 16, 32 KB of planes */
};

/* Weights of one output and a block of taps in the order of their sum: plane (in words, where it begins) and the bits of a float or of
 * two halves of 16 bits. */
struct list {
  uint32_t n;
  uint32_t plane[MOST];
  uint32_t value[MOST];
};
_Static_assert(BLOCK * sizeof(struct list) <= SIM_LISTS_BYTES, "the lists of a block");

/* sum[p] (+)= value[e] * planes[plane[e] + p] in the order of e, for p < LANES, where not add from 0. */
typedef void multiply_fn(uint32_t *sum, const uint32_t *planes, const struct list *list, bool add);

/* A product and a sum rounded each. The same C for every level, so that all give the same bits. */
#define MULTIPLY(name, attribute, lanes)                                                                 \
  attribute static void name(uint32_t *sum, const uint32_t *planes, const struct list *list, bool add) { \
    typedef float vec __attribute__((vector_size(lanes * 4)));                                           \
    enum { VECTORS = SUMI_MIN(8, LANES / lanes), STEP = VECTORS * lanes };                               \
    for (int p = 0; p < LANES; p += STEP) {                                                              \
      vec s[VECTORS] = {{0}};                                                                            \
      if (add) memcpy(s, sum + p, sizeof s);                                                             \
      for (uint32_t e = 0; e < list->n; e++) {                                                           \
        const vec *x = (const vec *)(const void *)(planes + list->plane[e] + p);                         \
        float value;                                                                                     \
        memcpy(&value, &list->value[e], 4);                                                              \
        const vec v = value - (vec){0};                                                                  \
        for (int i = 0; i < VECTORS; i++) s[i] += v * x[i];                                              \
      }                                                                                                  \
      memcpy(sum + p, s, sizeof s);                                                                      \
    }                                                                                                    \
  }

MULTIPLY(multiply, , 4)

/* Modulo 2^32. */
static void multiply_pairs(uint32_t *sum, const uint32_t *planes, const struct list *list, bool add) {
  uint32_t s[LANES] = {0};
  if (add) memcpy(s, sum, sizeof s);
  for (uint32_t e = 0; e < list->n; e++) {
    const uint32_t *x = planes + list->plane[e];
    const int32_t even = (int16_t)list->value[e], odd = (int16_t)(list->value[e] >> 16);
    for (int p = 0; p < LANES; p++)
      s[p] += (uint32_t)((int16_t)x[p] * even) + (uint32_t)((int16_t)(x[p] >> 16) * odd);
  }
  memcpy(sum, s, sizeof s);
}

#ifdef SUMI_X86
MULTIPLY(multiply_avx2, __attribute__((target("avx2"))), 8)

__attribute__((target("avx2"))) static void multiply_pairs_avx2(uint32_t *sum, const uint32_t *planes,
                                                                const struct list *list, bool add) {
  enum { VECTORS = LANES / 8 };
  __m256i s[VECTORS];
  for (int i = 0; i < VECTORS; i++)
    s[i] = add ? _mm256_loadu_si256((const __m256i *)(sum + 8 * i)) : _mm256_setzero_si256();
  for (uint32_t e = 0; e < list->n; e++) {
    const uint32_t *x = planes + list->plane[e];
    const __m256i v = _mm256_set1_epi32((int)list->value[e]);
    for (int i = 0; i < VECTORS; i++)
      s[i] = _mm256_add_epi32(s[i], _mm256_madd_epi16(_mm256_load_si256((const __m256i *)(x + 8 * i)), v));
  }
  for (int i = 0; i < VECTORS; i++) _mm256_storeu_si256((__m256i *)(sum + 8 * i), s[i]);
}

/* Two sums of every pixel, so that none waits for the one before. */
__attribute__((target("avx512f,avx512vnni"))) static void multiply_pairs_avx512vnni(uint32_t *sum,
                                                                                    const uint32_t *planes,
                                                                                    const struct list *list,
                                                                                    bool add) {
  enum { VECTORS = LANES / 16 };
  __m512i s[2][VECTORS];
  for (int i = 0; i < VECTORS; i++) {
    s[0][i] = add ? _mm512_loadu_si512(sum + 16 * i) : _mm512_setzero_si512();
    s[1][i] = _mm512_setzero_si512();
  }
  uint32_t e = 0;
  for (; e + 2 <= list->n; e += 2)
    for (int k = 0; k < 2; k++) {
      const uint32_t *x = planes + list->plane[e + (uint32_t)k];
      const __m512i v = _mm512_set1_epi32((int)list->value[e + (uint32_t)k]);
      for (int i = 0; i < VECTORS; i++)
        s[k][i] = _mm512_dpwssd_epi32(s[k][i], _mm512_load_si512(x + 16 * i), v);
    }
  for (; e < list->n; e++) {
    const __m512i v = _mm512_set1_epi32((int)list->value[e]);
    for (int i = 0; i < VECTORS; i++)
      s[0][i] = _mm512_dpwssd_epi32(s[0][i], _mm512_load_si512(planes + list->plane[e] + 16 * i), v);
  }
  for (int i = 0; i < VECTORS; i++) _mm512_storeu_si512(sum + 16 * i, _mm512_add_epi32(s[0][i], s[1][i]));
}
#endif

static multiply_fn *multiply_for(enum sumi_isa level, bool pairs) {
#ifdef SUMI_X86
  if (pairs && sumi_cpu_allows(level, SUMI_ISA_AVX512VNNI)) return multiply_pairs_avx512vnni;
  if (sumi_cpu_allows(level, SUMI_ISA_AVX2)) return pairs ? multiply_pairs_avx2 : multiply_avx2;
#endif
  (void)level;
  return pairs ? multiply_pairs : multiply;
}

/* ---- operands ------------------------------------------------------------------------------------------------------ */

typedef uint32_t four __attribute__((vector_size(16)));

/* The operands of a bank. */
union operands {
  float real[SUMI_CARD_BANK];
  int16_t half[SUMI_CARD_BANK];
  uint32_t word[SUMI_CARD_BANK];
};

/* to[c * LANES + p] = from[p].word[c] for four pixels and `words` words of each. */
static inline __attribute__((always_inline)) void turn(uint32_t *to, const union operands from[4],
                                                       int words) {
  for (int c = 0; c < words; c += 4) {
    four r[4];
    for (int p = 0; p < 4; p++) memcpy(&r[p], &from[p].word[c], sizeof r[p]);
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

/* to[c] = from[c] - zero, c < channels. */
static inline __attribute__((always_inline)) void less_zero(const uint8_t *from, uint32_t channels,
                                                            uint8_t dtype, int32_t zero, int16_t *to) {
  if (dtype == SUMI_CARD_U8 && channels == SUMI_CARD_BANK)
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c++) to[c] = (int16_t)(from[c] - zero);
  else if (channels == SUMI_CARD_BANK)
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c++) to[c] = (int16_t)((int8_t)from[c] - zero);
  else if (dtype == SUMI_CARD_U8)
    for (uint32_t c = 0; c < channels; c++) to[c] = (int16_t)(from[c] - zero);
  else
    for (uint32_t c = 0; c < channels; c++) to[c] = (int16_t)((int8_t)from[c] - zero);
}

/* The operands of a pixel and tap in pairs. */
static inline __attribute__((always_inline)) void pairs_of(const struct spu *s, const uint8_t *from,
                                                           uint32_t channels, union operands *to) {
  if (!from || channels < SUMI_CARD_BANK) memset(to->half, 0, sizeof to->half);
  if (from && !s->w->x_top) {
    less_zero(from, channels, s->w->x_dtype, s->w->x_zero, to->half);
  } else if (from) {
    float v[SUMI_CARD_BANK];
    spu_operands(s, from, channels, v);
    for (uint32_t c = 0; c < SUMI_CARD_BANK; c++) to->half[c] = (int16_t)v[c];
  }
}

/* Planes of taps [t0, t0 + taps) for n_pixels from p0 on, filled up with 0 to whole LANES. */
static inline __attribute__((always_inline)) void fill_planes(const struct spu *s, uint32_t *planes,
                                                              uint64_t p0, size_t n_pixels, uint64_t t0,
                                                              uint64_t taps) {
  const bool pairs = s->elem == 1;
  const size_t plane = pairs ? PAIRS : FLOATS;
  struct spu_pixel pixel = spu_pixel_at(s, p0);
  struct spu_tap tap[TAPS_MOST];
  for (uint64_t t = 0; t < taps; t++) tap[t] = spu_tap_at(s, t0 + t);
  for (size_t p = 0; p < n_pixels || p % LANES; p += 4) {
    struct spu_pixel next[4];
    for (size_t i = 0; i < 4; i++, spu_pixel_next(s, &pixel)) next[i] = pixel;
    for (uint64_t t = 0; t < taps; t++) { /* banks of a pixel are near each other */
      const uint32_t channels = tap[t].bank + 1 == s->w->banks ? s->last : SUMI_CARD_BANK;
      union operands x[4];
      for (size_t i = 0; i < 4; i++) {
        const uint8_t *from = p + i < n_pixels ? spu_source(s, &next[i], &tap[t]) : NULL;
        if (pairs)
          pairs_of(s, from, channels, &x[i]);
        else
          spu_operands(s, from, channels, x[i].real);
      }
      turn(planes + (p / LANES * taps + t) * plane + p % LANES, x, pairs ? 16 : 32);
    }
  }
}

typedef void fill_fn(const struct spu *s, uint32_t *planes, uint64_t p0, size_t n_pixels, uint64_t t0,
                     uint64_t taps);

static void fill(const struct spu *s, uint32_t *planes, uint64_t p0, size_t n_pixels, uint64_t t0,
                 uint64_t taps) {
  fill_planes(s, planes, p0, n_pixels, t0, taps);
}
#ifdef SUMI_X86
__attribute__((target("avx2"))) static void fill_avx2(const struct spu *s, uint32_t *planes, uint64_t p0,
                                                      size_t n_pixels, uint64_t t0, uint64_t taps) {
  fill_planes(s, planes, p0, n_pixels, t0, taps);
}
#endif

static fill_fn *fill_for(enum sumi_isa level) {
#ifdef SUMI_X86
  if (sumi_cpu_allows(level, SUMI_ISA_AVX2)) return fill_avx2;
#endif
  (void)level;
  return fill;
}

/* ---- weights ------------------------------------------------------------------------------------------------------- */

/* A group's weights of tap t of the block behind what the list holds, in pairs. */
static bool add_pairs(const struct spu *s, struct list *list, uint32_t t, const uint8_t *group,
                      uint32_t channels) {
  const struct sumi_card_spu *w = s->w;
  uint8_t index[SUMI_CARD_BANK];
  float value[SUMI_CARD_BANK];
  uint32_t n, last = SUMI_CARD_BANK;
  if (w->k == SUMI_CARD_BANK) {
    int16_t all[SUMI_CARD_BANK] = {0};
    const uint32_t pairs = (channels + 1) / 2;
    less_zero(group, channels, w->w_dtype, w->w_zero, all);
    memcpy(list->value + list->n, all, pairs * sizeof *list->value);
    for (uint32_t c = 0; c < pairs; c++) list->plane[list->n + c] = t * PAIRS + c * LANES;
    list->n += pairs;
    return true;
  }
  if (!spu_group(s, group, channels, value, index, &n)) return false;
  for (uint32_t e = 0; e < n; e++) { /* indices rise: the odd one of a pair follows the even one */
    const uint32_t bits = (uint32_t)(uint16_t)(int16_t)value[e] << (index[e] % 2 ? 16 : 0);
    if (index[e] / 2 == last) {
      list->value[list->n - 1] |= bits;
      continue;
    }
    last = index[e] / 2;
    list->plane[list->n] = t * PAIRS + last * LANES;
    list->value[list->n++] = bits;
  }
  return true;
}

static bool add_floats(const struct spu *s, struct list *list, uint32_t t, const uint8_t *group,
                       uint32_t channels) {
  uint8_t index[SUMI_CARD_BANK];
  float value[SUMI_CARD_BANK];
  uint32_t n;
  if (!spu_group(s, group, channels, value, index, &n)) return false;
  for (uint32_t e = 0; e < n; e++) list->plane[list->n + e] = t * FLOATS + (uint32_t)index[e] * LANES;
  memcpy(list->value + list->n, value, n * sizeof *value);
  list->n += n;
  return true;
}

static bool unpack(const struct spu *s, uint32_t n, uint64_t t0, uint64_t taps, struct list *list,
                   struct sim_failure *f) {
  const struct sumi_card_spu *w = s->w;
  const uint64_t full = sumi_card_group_bytes(w->k, s->elem, SUMI_CARD_BANK);
  const uint64_t window = (w->banks - 1u) * full + sumi_card_group_bytes(w->k, s->elem, s->last);
  const struct spu_tap first = spu_tap_at(s, t0);
  uint64_t at = ((uint64_t)first.ky * w->kernel_w + first.kx) * window + first.bank * full, bank = first.bank;
  list->n = 0;
  for (uint32_t t = 0; t < taps; t++) {
    const bool ends = bank + 1 == w->banks;
    const uint8_t *group = s->weight + (size_t)n * w->w_step_bytes + at;
    if (!(s->elem == 1 ? add_pairs : add_floats)(s, list, t, group, ends ? s->last : SUMI_CARD_BANK))
      SIM_REFUSE(f, INDEX, (uint64_t)w->w + (uint64_t)n * w->w_step_bytes + at, t0 + t);
    at += ends ? window - bank * full : full;
    bank = ends ? 0 : bank + 1;
  }
  return true;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------- */

/* A block of pixels and taps: where its planes lie, and which they are. */
struct block {
  const uint32_t *planes;
  uint64_t p0, t0, taps;
  size_t n_pixels, plane; /* words of a tap's planes */
  bool add;
};

/* The sums of outputs [n0, n0 + n). */
static bool sum_outputs(const struct spu *s, const struct block *b, uint32_t n0, uint32_t n, multiply_fn *mul,
                        struct list *list, struct sim_failure *f) {
  const uint32_t *planes = b->planes;
  uint32_t rest[LANES] = {0};
  for (uint32_t i = 0; i < n; i++) SIM_DO(unpack(s, n0 + i, b->t0, b->taps, &list[i], f));
  for (size_t p = 0; p < b->n_pixels; p += LANES, planes += b->taps * b->plane) {
    const size_t words = SUMI_MIN(b->n_pixels - p, (size_t)LANES);
    for (uint32_t i = 0; i < n; i++) {
      /* accumulators are aligned to words */
      uint32_t *acc = (uint32_t *)(void *)(s->acc + ((n0 + i) * s->pixels + b->p0 + p) * 4);
      if (words == LANES) {
        mul(acc, planes, &list[i], b->add);
        continue;
      }
      for (size_t k = 0; k < words && b->add; k++) rest[k] = acc[k];
      mul(rest, planes, &list[i], b->add);
      for (size_t k = 0; k < words; k++) acc[k] = rest[k];
    }
  }
  return true;
}

bool spu_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
             struct sim_failure *f) {
  const struct sumi_card_spu *w = &word->spu;
  struct spu s;
  struct sim_job scratch = *job;
  scratch.n_spans = 0;
  SIM_DO(spu_resolve(sim, &scratch, w, &s, f));
  const bool pairs = s.elem == 1;
  multiply_fn *const mul = multiply_for(sumi_cpu_isa(), pairs);
  fill_fn *const put = fill_for(sumi_cpu_isa());
  struct block b = {.planes = sim->planes, .plane = pairs ? PAIRS : FLOATS};
  const uint32_t channels = w->banks == 1 ? s.last : SUMI_CARD_BANK;
  const uint32_t entries = w->k < SUMI_CARD_BANK ? w->k : pairs ? (channels + 1) / 2 : channels;
  const uint64_t most_taps = SUMI_MIN(MOST / entries, TAPS_MOST);
  const uint64_t most_pixels = SIM_PLANES_BYTES / 4 / b.plane / most_taps * LANES;
  for (; b.p0 < s.pixels; b.p0 += most_pixels) {
    b.n_pixels = (size_t)SUMI_MIN(s.pixels - b.p0, most_pixels);
    for (b.t0 = 0; b.t0 < s.taps; b.t0 += most_taps) {
      b.taps = SUMI_MIN(s.taps - b.t0, most_taps);
      b.add = b.t0 || w->h.flags & SUMI_CARD_SPU_ADD;
      put(&s, sim->planes, b.p0, b.n_pixels, b.t0, b.taps);
      for (uint32_t n = 0; n < w->outputs; n += BLOCK)
        SIM_DO(sum_outputs(&s, &b, n, SUMI_MIN(w->outputs - n, (uint32_t)BLOCK), mul, sim->lists, f));
    }
  }
  return true;
}
