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
  if (sumi_random_u64(r) % 64 == 0) w.h.wait = 1u << sumi_random_u64(r) % 8;
  if (sumi_random_u64(r) % 4 == 0) w.h.signal = 1u << sumi_random_u64(r) % 8;
  w.h.flags = (uint16_t)(sumi_random_u64(r) % 4);
  w.h.tag = (uint32_t)(sumi_random_u64(r) % 5);
  return w;
}

/* What follows makes right what a random word gets wrong most often. */
static uint32_t place(struct sumi_random *r) { return (uint32_t)(sumi_random_u64(r) % 512 * 16); }

static void mend_move(union sumi_card_word *w, struct sumi_random *r) {
  w->move = (struct sumi_card_move){
      .h = w->h, .dram = sumi_random_u64(r) % (4200 << 10), .row_bytes = place(r) % 4096 + 1, .n = {3, 2}};
  w->move.sram = SUMI_CARD_AT(sumi_random_u64(r) % 16 ? 15 : 2, place(r));
  w->h.flags = 0;
}

static void mend_spu(union sumi_card_word *w, struct sumi_random *r) {
  struct sumi_card_spu *u = &w->spu;
  u->x = SUMI_CARD_AT(15, place(r)), u->w = SUMI_CARD_AT(15, place(r) + 4096),
  u->acc = SUMI_CARD_AT(14, sumi_random_u64(r) % 8 ? place(r) % 1024 : place(r));
  u->images = 1 + u->images % 2, u->in_rows = 1 + u->in_rows % 9, u->in_cols = 1 + u->in_cols % 9;
  u->banks = 1 + u->banks % 3, u->last_bank = 32,
  u->k = (uint8_t)(sumi_random_u64(r) % 4 ? 32 : 1u << u->k % 6);
  u->rows = 1 + u->rows % 4, u->cols = 1 + u->cols % 4, u->outputs = 1 + u->outputs % 4;
  u->x_image %= 999, u->x_row %= 999, u->x_pixel %= 999, u->x_bank %= 999, u->w_step_bytes %= 999;
  u->kernel_h = 1 + u->kernel_h % 4, u->kernel_w = 1 + u->kernel_w % 4, u->stride_h |= 1, u->stride_w |= 1;
  u->dilation_h |= 1, u->dilation_w |= 1, u->x_dtype %= 2, u->w_dtype %= 2, u->x_zero = u->w_zero = 0,
                                                                            u->x_top %= 32;
  u->zero = u->zero2 = 0;
  memset(u->zero3, 0, sizeof u->zero3);
}

static void mend_act(union sumi_card_word *w, struct sumi_random *r) {
  struct sumi_card_act *a = &w->act;
  a->h.flags = (uint16_t)(sumi_random_u64(r) % 8 | 1);
  a->acc = SUMI_CARD_AT(14, place(r) % 1024), a->channel = SUMI_CARD_AT(15, 60000 / 16 * 16),
  a->out = SUMI_CARD_AT(15, place(r));
  a->residual = SUMI_CARD_AT(15, place(r)), a->table = SUMI_CARD_AT(15, place(r));
  a->out_image %= 999, a->out_row %= 99, a->out_pixel %= 99, a->out_bank %= 99;
  a->images = 1 + a->images % 2, a->rows = 1 + a->rows % 3, a->cols = 1 + a->cols % 3,
  a->channels = 1 + a->channels % 40;
  a->acc_dtype = SUMI_CARD_I32, a->out_dtype %= 2, a->residual_dtype %= 2,
  a->function = a->h.flags & 6 ? a->function % 8 : 0;
  a->first_zero = a->c.zero = a->r.zero = 3, a->first_lo = a->c.lo = a->r.lo = -100,
  a->first_hi = a->c.hi = a->r.hi = 99;
}

static void mend_program(union sumi_card_word *w, struct sumi_random *r) {
  w->program.zero = 0, w->program.at = 0, w->program.n = 13, w->h.flags = 0;
  for (int i = 0; i < 13; i++) {
    struct sumi_card_vop *op = &w->program.op[i];
    *op = (struct sumi_card_vop){.op = (uint8_t)(sumi_random_u64(r) % 64 ? 7 + sumi_random_u64(r) % 39 : 99)};
    if (i % 3 != 1)
      op->op = i % 3 ? SUMI_CARD_V_ST : SUMI_CARD_V_LD, op->a = (uint8_t)(sumi_random_u64(r) % 4);
    op->d = (uint8_t)(sumi_random_u64(r) % 16);
  }
}

static void mend_vector(union sumi_card_word *w, struct sumi_random *r) {
  w->h.flags = 0, w->vector.zero = 0, w->vector.start = 0, w->vector.body = 1 + w->vector.body % 8,
  w->vector.tail %= 4;
  for (int i = 0; i < 4; i++) {
    struct sumi_card_view *v = &w->vector.view[i];
    *v = (struct sumi_card_view){
        SUMI_CARD_AT(15, 8192 + place(r)), {v->step[0] % 40, v->step[1] % 40, 1}, v->dtype % 5, {0}};
  }
  for (int i = 0; i < 3; i++) w->vector.n[i] = 1 + w->vector.n[i] % 20;
}

static void mend_reshape(union sumi_card_word *w, struct sumi_random *r) {
  struct sumi_card_reshape *s = &w->reshape;
  s->from = SUMI_CARD_AT(15, place(r) + 16384), s->to = SUMI_CARD_AT(15, place(r) + 32768), s->elem_bytes = 1;
  for (int i = 0; i < 4; i++) s->n[i] = 1 + s->n[i] % 9, s->from_step[i] %= 99, s->to_step[i] %= 99;
  memset(s->zero, 0, sizeof s->zero);
  w->h.flags %= 2;
}

static void mend_lookup(union sumi_card_word *w, struct sumi_random *r) {
  w->h.flags = 0;
  w->lookup = (struct sumi_card_lookup){
      .h = w->h, .rows = 100, .row_bytes = 1 + place(r) % 99, .n = 3, .out_step_bytes = 99};
  w->lookup.ids = SUMI_CARD_AT(15, place(r)), w->lookup.out = SUMI_CARD_AT(15, place(r)),
  w->lookup.id_dtype = SUMI_CARD_I32;
}

static void mend_sync(union sumi_card_word *w, struct sumi_random *r) {
  w->h.flags = 0;
  w->sync = (struct sumi_card_sync){.h = w->h, .cores = sumi_random_u64(r) % 8 ? 1 : 5};
}

static void mend(union sumi_card_word *w, struct sumi_random *r) {
  static void (*const how[SUMI_CARD_N_OPCODES])(union sumi_card_word *, struct sumi_random *) = {
      [SUMI_CARD_OP_LOAD] = mend_move,       [SUMI_CARD_OP_STORE] = mend_move,
      [SUMI_CARD_OP_SPU] = mend_spu,         [SUMI_CARD_OP_ACT] = mend_act,
      [SUMI_CARD_OP_PROGRAM] = mend_program, [SUMI_CARD_OP_VPU] = mend_vector,
      [SUMI_CARD_OP_RESHAPE] = mend_reshape, [SUMI_CARD_OP_LOOKUP] = mend_lookup,
      [SUMI_CARD_OP_SYNC] = mend_sync};
  how[w->h.opcode](w, r);
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
      if (sumi_random_u64(&random) % 32) mend(&w[i], &random);
      if (round % 8 == 7 && i == 5) w[i].h.opcode = (uint8_t)sumi_random_u64(&random);
    }
    const size_t n = 1 + sumi_random_u64(&random) % WORDS;
    if (round % 9 == 8) assert_int_equal(rig_program(&r, 2, w, n), 0);
    assert_int_equal(rig_program(&r, 0, w, n), 0);
    const struct sumi_card_completion c = rig_go(&r, (uint16_t)(round % 9 ? 1 : 5));
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
    sumi_sim_forget(full.sim);
    sumi_sim_forget(fast.sim);
    const struct sumi_card_completion a = rig_run(&full, w, 6), b = rig_run(&fast, w, 6);
    if (a.error == SUMI_CARD_ERROR_VECTOR ||
        a.error == SUMI_CARD_ERROR_ID) {  /* without data none can see it */
      rig_start(&full), rig_start(&fast); /* what programs they got to differs */
      continue;
    }
    assert_int_equal(a.error, b.error);
    assert_int_equal(a.finished - a.started, b.finished - b.started);
    struct sumi_sim_account x, y;
    sumi_sim_total(full.sim, &x);
    sumi_sim_total(fast.sim, &y);
    assert_int_equal(x.executed_macs, y.executed_macs);
    for (int i = 0; i < SUMI_SIM_CLOCK; i++) assert_int_equal(x.count[i], y.count[i]);
    same += !a.error && x.executed_macs;
  }
  assert_true(same > 20);
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
