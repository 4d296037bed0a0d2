/* For tests of cells that are loop nests: operands in SRAM, in DRAM or constant with different bytes on every core, random views of
 * them, and a run whose every byte is compared, of what no cell writes too. */
#ifndef SUMI_DEVICE_ANTOUM_CELLS_TEST_H
#define SUMI_DEVICE_ANTOUM_CELLS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/random.h"
#include "base/text.h"
#include "device/antoum/antoum_test.h"

enum { OPERANDS = 4, CORES = 4, SCRATCH = 160 << 10, SRAM = 256 << 10, STEP = 1 << 20 };

/* Operands of one cell with the bytes of every core: before, and (want) after it by plain loops. */
struct bench {
  struct antoum_rig rig;
  struct sumi_random random;
  struct sumi_cell_operand operand[OPERANDS];
  struct antoum_place place[OPERANDS];
  uint8_t *data[OPERANDS][CORES], *want[OPERANDS][CORES];
  int n;
  uint32_t sram; /* next free byte */
  struct antoum_options options;
  struct antoum_facts facts;
  struct sumi_text refusals;
  struct sumi_sim_account account;
};

static inline void bench_open_with(struct bench *b, int cores, uint32_t scratch, uint64_t seed,
                                   const char *const *settings) {
  memset(b, 0, sizeof *b);
  sumi_random_init(&b->random, seed);
  assert_true(antoum_rig_open(&b->rig, cores, NULL, settings));
  b->rig.w.scratch.lo = SRAM - scratch;
  b->rig.w.scratch.hi = SRAM;
  sumi_text_init(&b->refusals, sumi_allocator_default());
}

static inline void bench_open(struct bench *b, int cores, uint32_t scratch, uint64_t seed) {
  bench_open_with(b, cores, scratch, seed, (const char *const[]){"vpu_lanes=128", NULL});
}

static inline void bench_close(struct bench *b) {
  for (int i = 0; i < b->n; i++)
    for (int c = 0; c < CORES; c++) free(b->data[i][c]), free(b->want[i][c]);
  sumi_text_fini(&b->refusals);
  antoum_rig_close(&b->rig);
}

static inline int64_t below(struct bench *b, int64_t n) {
  return (int64_t)(sumi_random_u64(&b->random) % (uint64_t)n);
}

/* Small whole numbers, so that sums are exact in any order; for types of the vector engine. */

enum where { IN_SRAM, IN_DRAM, CONSTANT };

static inline int add(struct bench *b, sumi_dtype dtype, int64_t elements, enum where where) {
  const int k = b->n++;
  const size_t e = (size_t)sumi_dtype_bits(dtype) / 8, bytes = (size_t)elements * e;
  b->operand[k] =
      (struct sumi_cell_operand){.dtype = dtype, .rank = 1, .dim = {elements}, .step = {1}, .bytes = bytes};
  for (int c = 0; c < CORES; c++) {
    b->data[k][c] = malloc(bytes);
    b->want[k][c] = malloc(bytes);
    for (int64_t i = 0; i < elements; i++)
      if (c && (where == CONSTANT || b->rig.w.split))
        memcpy(b->data[k][c] + (size_t)i * e, b->data[k][0] + (size_t)i * e, e);
      else
        sumi_set_i64(dtype, b->data[k][c], i, below(b, 100) - (sumi_dtype_class(dtype) == 'U' ? 0 : 50));
    memcpy(b->want[k][c], b->data[k][c], bytes);
  }
  struct antoum_place *p = &b->place[k];
  if (where == CONSTANT) {
    uint8_t *to;
    assert_int_equal(antoum_image(&b->rig.w, bytes, &to, &p->at), SUMI_OK);
    memcpy(to, b->data[k][0], bytes);
    *p = (struct antoum_place){.dram = true, .base = ANTOUM_BASE_CODE, .at = p->at};
    b->operand[k].data = b->data[k][0];
  } else if (where == IN_DRAM) {
    *p = (struct antoum_place){true, k ? ANTOUM_BASE_IN : ANTOUM_BASE_OUT,
                               (uint64_t)k * CORES * STEP + 8 * (uint64_t)k, STEP};
    assert_true(bytes + 64 < STEP);
  } else {
    *p = (struct antoum_place){.at = b->sram};
    b->sram += ((uint32_t)bytes + 63) / 64 * 64;
  }
  return k;
}

static inline bool fits_sram(const struct bench *b, sumi_dtype dtype, int64_t elements) {
  return b->sram + elements * sumi_dtype_bits(dtype) / 8 + 64 < b->rig.w.scratch.lo;
}

/* Where the bytes of an operand come from and go to around a run. */
static inline struct antoum_place home(const struct bench *b, int k) {
  if (b->place[k].dram) return b->place[k];
  return (struct antoum_place){true, ANTOUM_BASE_SPILL, (uint64_t)k * CORES * STEP, STEP};
}

static inline sumi_status compile(struct bench *b, const struct sumi_cell *cell) {
  const struct antoum_cell_job job = {&b->rig.w, &b->options, b->operand, b->place, &b->facts, &b->refusals};
  for (int k = 0; k < b->n; k++)
    if (!b->place[k].dram)
      assert_int_equal(antoum_move(&b->rig.w, SUMI_CARD_OP_LOAD, home(b, k).base, home(b, k).at, STEP,
                                   (uint32_t)b->place[k].at, (uint32_t)b->operand[k].bytes),
                       SUMI_OK);
  const sumi_status status = antoum_cell(&job, cell);
  for (int k = 0; k < b->n; k++)
    if (!b->place[k].dram)
      assert_int_equal(antoum_move(&b->rig.w, SUMI_CARD_OP_STORE, home(b, k).base, home(b, k).at, STEP,
                                   (uint32_t)b->place[k].at, (uint32_t)b->operand[k].bytes),
                       SUMI_OK);
  return status;
}

static inline struct sumi_card_completion go(struct bench *b) {
  for (int k = 0; k < b->n; k++)
    for (int c = 0; c < b->rig.w.cores && home(b, k).base != ANTOUM_BASE_CODE; c++)
      assert_int_equal(antoum_rig_put(&b->rig, home(b, k).base, home(b, k).at + (uint64_t)c * STEP,
                                      b->data[k][c], b->operand[k].bytes),
                       0);
  sumi_sim_forget(b->rig.rig.sim);
  const struct sumi_card_completion done = antoum_rig_run(&b->rig);
  sumi_sim_total(b->rig.rig.sim, &b->account);
  return done;
}

/* Compiles, runs, compares every byte of every core's operands; the run's cycles. */
static inline uint64_t check(struct bench *b, const struct sumi_cell *cell) {
  const sumi_status status = compile(b, cell);
  if (status != SUMI_OK) fail_msg("%s %s", b->rig.err.text, sumi_text_str(&b->refusals));
  const struct sumi_card_completion done = go(b);
  if (done.error)
    fail_msg("error %u (%s), word %u of opcode %u, %llx %llx", done.error, sumi_card_error_text(done.error),
             done.word, done.opcode, (unsigned long long)done.address, (unsigned long long)done.detail);
  assert_int_equal(sumi_sim_hazards(b->rig.rig.sim), 0);
  for (int k = 0; k < b->n; k++)
    for (int c = 0; c < b->rig.w.cores && home(b, k).base != ANTOUM_BASE_CODE; c++) {
      uint8_t *got = malloc(b->operand[k].bytes);
      assert_int_equal(antoum_rig_get(&b->rig, home(b, k).base, home(b, k).at + (uint64_t)c * STEP, got,
                                      b->operand[k].bytes),
                       0);
      for (size_t i = 0; i < b->operand[k].bytes; i++)
        if (got[i] != b->want[k][c][i])
          fail_msg("operand %d of core %d, byte %zu of %zu: %d, not %d", k, c, i, b->operand[k].bytes, got[i],
                   b->want[k][c][i]);
      free(got);
    }
  return done.finished - done.started;
}

/* ---- random nests: for the vector engine's types and any other */

static const sumi_dtype vector_types[] = {SUMI_INT8, SUMI_UINT8, SUMI_INT32, SUMI_BFLOAT16, SUMI_FLOAT32};

static inline void random_counts(struct bench *b, int rank, int64_t *n, int64_t most) {
  int64_t all = 1;
  for (int d = 0; d < rank; d++) {
    n[d] = below(b, 4) == 0 ? 1 : 1 + below(b, below(b, 3) ? 7 : 150);
    if (all * n[d] > most) n[d] = 1;
    all *= n[d];
  }
}

/* A view over loops [0, rank) of an operand: any order of the loops, now and then gaps, falling steps, and (broadcast) steps of 0.
 * Elements [lo, hi) around every place are the view's too, in steps of `apart` loops. Returns the operand's elements. */
static inline int64_t random_view(struct bench *b, struct sumi_cell_view *v, int rank, const int64_t *n,
                                  bool broadcast, int64_t apart) {
  int order[SUMI_CELL_LOOPS];
  for (int d = 0; d < rank; d++) order[d] = rank - 1 - d;
  const bool transposed = below(b, 2);
  for (int d = rank - 1; d > 0 && transposed; d--) {
    const int e = (int)below(b, d + 1), o = order[d];
    order[d] = order[e];
    order[e] = o;
  }
  const bool gaps = below(b, 4) == 0, falling = below(b, 6) == 0;
  int64_t step = apart;
  v->at = 0;
  for (int k = 0; k < rank; k++) {
    const int d = order[k];
    v->step[d] = broadcast && below(b, 4) == 0 ? 0 : step;
    if (v->step[d]) step *= n[d] + (gaps ? below(b, 3) : 0);
    if (v->step[d] && falling && below(b, 2)) {
      v->at += (n[d] - 1) * v->step[d];
      v->step[d] = -v->step[d];
    }
  }
  return step;
}

static inline enum where random_where(struct bench *b, bool constant) {
  const int64_t x = below(b, constant ? 5 : 4);
  return x == 4 ? CONSTANT : x < 2 ? IN_SRAM : IN_DRAM;
}

static inline void add_view(struct bench *b, struct sumi_cell_view *v, sumi_dtype dtype, int64_t elements,
                            bool constant) {
  enum where where = random_where(b, constant);
  if (where == IN_SRAM && !fits_sram(b, dtype, elements)) where = IN_DRAM;
  v->operand = add(b, dtype, elements, where);
}

static inline void open_random(struct bench *b, uint64_t seed) {
  bench_open(b, seed % 3 ? 1 : CORES, (seed % 2 ? 40u : 8u) << 10, seed);
}

/* Split, operands the same in all cores; vectors so slow that sharing them is worth it. */
static inline void open_split(struct bench *b, uint64_t seed) {
  bench_open_with(b, seed % 3 ? CORES : 3, (seed % 2 ? 40u : 8u) << 10, seed,
                  (const char *const[]){"vpu_lanes=2", "ring_latency=1", "ring_bytes=1024", NULL});
  b->rig.w.split = true;
}

#endif
