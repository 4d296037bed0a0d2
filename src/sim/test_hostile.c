/* Words, commands and registers of any bytes: an error or an end, never a crash; and timing only tells the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "sim/sim_test.h"

static const char *const small[] = {"sram_bytes=65536", "acc_bytes=4096", "dram_bytes=4194304", NULL};

/* A word whose header is good and whose fields are small numbers, addresses of the core and noise. */
static union sumi_card_word word(struct sumi_random *r) {
  union sumi_card_word w;
  uint8_t *b = (uint8_t *)&w;
  const uint64_t style = sumi_random_u64(r) % 3;
  for (size_t i = 0; i < sizeof w; i++) {
    const uint64_t x = sumi_random_u64(r);
    b[i] = (uint8_t)(x % 8 == 0   ? x >> 8
                     : style == 0 ? x >> 8
                     : style == 1 ? (x >> 8) % 3
                     : i % 4 == 0 ? (x >> 8) % 65
                                  : 0);
  }
  w.h = rig_header(1 + sumi_random_u64(r) % (SUMI_CARD_N_OPCODES - 1), 0, 0);
  if (sumi_random_u64(r) % 8 == 0) w.h.wait = 1u << sumi_random_u64(r) % 8;
  if (sumi_random_u64(r) % 4 == 0) w.h.signal = 1u << sumi_random_u64(r) % 8;
  w.h.flags = (uint16_t)(sumi_random_u64(r) % 4);
  w.h.tag = (uint32_t)(sumi_random_u64(r) % 5);
  return w;
}

/* Makes what a random word gets wrong most often right. */
static void mend(union sumi_card_word *w, struct sumi_random *r) {
  const uint32_t at = (uint32_t)(sumi_random_u64(r) % 512 * 16);
  switch (w->h.opcode) {
    case SUMI_CARD_OP_LOAD:
    case SUMI_CARD_OP_STORE:
      w->move = (struct sumi_card_move){.h = w->h,
                                        .dram = sumi_random_u64(r) % (5 << 20),
                                        .row_bytes = at + 1,
                                        .sram = SUMI_CARD_AT(sumi_random_u64(r) % 8 ? 15 : 2, at),
                                        .n = {3, 2}};
      w->h.flags = 0;
      break;
    case SUMI_CARD_OP_SPU:
      w->spu.x = SUMI_CARD_AT(15, at), w->spu.w = SUMI_CARD_AT(15, at + 4096),
      w->spu.acc = SUMI_CARD_AT(14, at % 1024);
      w->spu.images = 1 + w->spu.images % 2, w->spu.banks = 1 + w->spu.banks % 3,
      w->spu.k = (uint8_t)(1u << w->spu.k % 6);
      w->spu.x_dtype %= 2, w->spu.w_dtype %= 2, w->spu.last_bank = 32, w->spu.x_zero = w->spu.w_zero = 0;
      w->spu.rows %= 4, w->spu.cols %= 4, w->spu.outputs %= 4, w->spu.zero = w->spu.zero2 = 0,
                                                               w->spu.x_top %= 32;
      memset(w->spu.zero3, 0, sizeof w->spu.zero3);
      break;
    case SUMI_CARD_OP_PROGRAM:
      w->program.zero = 0, w->program.at %= 16, w->program.n = 1 + w->program.n % 13, w->h.flags = 0;
      for (int i = 0; i < 13; i++)
        w->program.op[i] =
            (struct sumi_card_vop){(uint8_t)(1 + sumi_random_u64(r) % 47), (uint8_t)(sumi_random_u64(r) % 16),
                                   (uint8_t)(sumi_random_u64(r) % 4), 0, 0};
      break;
    case SUMI_CARD_OP_VPU:
      w->h.flags = 0, w->vector.zero = 0, w->vector.start %= 16, w->vector.body = 1 + w->vector.body % 8,
      w->vector.tail %= 4;
      for (int i = 0; i < 4; i++) {
        struct sumi_card_view *v = &w->vector.view[i];
        *v = (struct sumi_card_view){
            SUMI_CARD_AT(15, 8192 + at), {v->step[0] % 40, v->step[1] % 40, 1}, v->dtype % 5, {0}};
      }
      for (int i = 0; i < 3; i++) w->vector.n[i] = 1 + w->vector.n[i] % 20;
      break;
    case SUMI_CARD_OP_RESHAPE:
      w->reshape.from = SUMI_CARD_AT(15, at + 8192), w->reshape.to = SUMI_CARD_AT(15, at + 24576),
      w->reshape.elem_bytes = 1;
      for (int i = 0; i < 4; i++)
        w->reshape.n[i] = 1 + w->reshape.n[i] % 9, w->reshape.from_step[i] %= 99, w->reshape.to_step[i] %= 99;
      memset(w->reshape.zero, 0, sizeof w->reshape.zero);
      w->h.flags %= 2;
      break;
    default: break;
  }
}

static void test_words(void **state) {
  (void)state;
  enum { ROUNDS = 1500, WORDS = 12 };
  struct sumi_random random;
  struct rig r;
  unsigned seen[SUMI_CARD_N_ERRORS] = {0};
  sumi_random_init(&random, 31);
  assert_true(rig_open(&r, NULL, small));
  for (int round = 0; round < ROUNDS; round++) {
    union sumi_card_word w[WORDS];
    for (int i = 0; i < WORDS; i++) {
      w[i] = word(&random);
      if (sumi_random_u64(&random) % 16) mend(&w[i], &random);
      if (round % 8 == 7 && i == 5) w[i].h.opcode = (uint8_t)sumi_random_u64(&random);
    }
    const size_t n = 1 + sumi_random_u64(&random) % WORDS;
    assert_int_equal(rig_program(&r, round % 4, w, n), 0);
    const struct sumi_card_completion c = rig_go(&r, (uint16_t)(1 + sumi_random_u64(&random) % 15));
    assert_true(c.error < SUMI_CARD_N_ERRORS);
    seen[c.error]++;
  }
  rig_close(&r);
  /* the words are good enough to get far and bad enough to meet most errors */
  assert_true(seen[SUMI_CARD_ERROR_NONE] > 50);
  static const unsigned met[] = {SUMI_CARD_ERROR_SRAM,   SUMI_CARD_ERROR_ACC,   SUMI_CARD_ERROR_FIELD,
                                 SUMI_CARD_ERROR_OPCODE, SUMI_CARD_ERROR_INDEX, SUMI_CARD_ERROR_DEADLOCK,
                                 SUMI_CARD_ERROR_DRAM,   SUMI_CARD_ERROR_VECTOR};
  for (size_t i = 0; i < SUMI_COUNT(met); i++)
    if (!seen[met[i]]) fail_msg("error %u was never met", met[i]);
}

static void test_commands(void **state) {
  (void)state;
  struct sumi_random random;
  struct rig r;
  sumi_random_init(&random, 32);
  assert_true(rig_open(&r, NULL, small));
  for (int round = 0; round < 3000; round++) {
    struct sumi_card_command c;
    uint8_t *b = (uint8_t *)&c;
    for (size_t i = 0; i < sizeof c; i++)
      b[i] = sumi_random_u64(&random) % 4 ? 0 : (uint8_t)sumi_random_u64(&random);
    c.kind = (uint8_t)(sumi_random_u64(&random) % 6);
    c.after = (uint32_t)(sumi_random_u64(&random) % 8 ? 0 : c.after);
    c.list = sumi_random_u64(&random) % 2 ? rig_bus(&r, r.host->descriptor) : c.list;
    if (sumi_random_u64(&random) % 2)
      c.zero = 0, c.zero2 = 0, c.quiet = 1, c.n %= 9, memset(c.base, 0, sizeof c.base);
    for (int i = 0; i < RIG_RING; i++)
      r.host->descriptor[i] =
          (struct sumi_card_descriptor){rig_bus(&r, r.host->data) + sumi_random_u64(&random) % 64,
                                        sumi_random_u64(&random) % (6 << 20), round % 3000, 0};
    rig_send(&r, c);
    if (rig_next(&r).error == 0xffff) rig_start(&r); /* refused as a whole: register ERROR */
    r.bus.write(r.bus.self, (uint32_t)(sumi_random_u64(&random) % 0x140), sumi_random_u64(&random) % 5000);
    r.bus.read(r.bus.self, (uint32_t)sumi_random_u64(&random));
    if (round % 3 == 0) rig_start(&r);
  }
  rig_start(&r);
  assert_int_equal(rig_do(&r, (struct sumi_card_command){.kind = SUMI_CARD_NOP}).error, 0);
  rig_close(&r);
}

/* The same words with data and without take the same time, and cost the same. */
static void test_timing_only(void **state) {
  (void)state;
  struct rig full, fast;
  struct sumi_random random;
  sumi_random_init(&random, 33);
  const struct sumi_sim_options options = {.timing_only = true};
  assert_true(rig_open(&full, NULL, small) && rig_open(&fast, &options, small));
  unsigned same = 0;
  for (int round = 0; round < 400; round++) {
    union sumi_card_word w[6];
    for (int i = 0; i < 6; i++) {
      w[i] = word(&random), mend(&w[i], &random);
      if (w[i].h.opcode == SUMI_CARD_OP_SPU) w[i].h.flags = 0;
      if (w[i].h.opcode == SUMI_CARD_OP_SPU) w[i].spu.k = 32;
    }
    const struct sumi_card_completion a = rig_run(&full, w, 6), b = rig_run(&fast, w, 6);
    if (a.error == SUMI_CARD_ERROR_VECTOR && b.error != a.error) continue; /* a GATHER's data */
    assert_int_equal(a.error, b.error);
    assert_int_equal(a.finished - a.started, b.finished - b.started);
    same += !a.error;
  }
  struct sumi_sim_account a, b;
  sumi_sim_total(full.sim, &a);
  sumi_sim_total(fast.sim, &b);
  assert_true(same > 20 && a.executed_macs > 0);
  assert_int_equal(a.executed_macs, b.executed_macs);
  assert_int_equal(fast.bus.read(fast.bus.self, SUMI_CARD_REG_CAPS) & SUMI_CARD_CAP_TIMING,
                   SUMI_CARD_CAP_TIMING);
  rig_close(&full);
  rig_close(&fast);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_commands),
                                     cmocka_unit_test(test_timing_only)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
