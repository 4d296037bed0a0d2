/* The chip as its host sees it: registers, rings, order of commands, time, errors and where they happened, faults, energy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>

#include "base/mem_test.h"
#include "base/size.h"
#include "sim/sim_test.h"

static uint64_t reg(struct rig *r, uint32_t at) { return r->bus.read(r->bus.self, at); }

static union sumi_card_word load(uint32_t bytes, unsigned wait, unsigned signal) {
  return rig_move(SUMI_CARD_OP_LOAD, RIG_DATA, 0, bytes, wait, signal);
}

static void test_registers(void **state) {
  struct rig *r = *state;
  assert_true(reg(r, SUMI_CARD_REG_ID) == SUMI_CARD_ID && reg(r, SUMI_CARD_REG_VERSION) == SUMI_CARD_VERSION);
  assert_int_equal(reg(r, SUMI_CARD_REG_CAPS), SUMI_CARD_CAP_INT8 | SUMI_CARD_CAP_BF16 | SUMI_CARD_CAP_DUAL);
  assert_true(reg(r, 0x800) == UINT64_MAX && reg(r, SUMI_CARD_REG_ID + 1) == UINT64_MAX);
  assert_int_equal(reg(r, SUMI_CARD_REG_SPU_SHAPE), 32 | 64 << 16 | 2ull << 32);
  const uint64_t before = reg(r, SUMI_CARD_REG_CYCLES);
  assert_int_equal(reg(r, SUMI_CARD_REG_CYCLES) - before, 900); /* there and back */
  r->bus.write(r->bus.self, SUMI_CARD_REG_ID, 5);
  assert_true(reg(r, SUMI_CARD_REG_ID) == SUMI_CARD_ID);
}

static void test_rings(void **state) {
  struct rig *r = *state;
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_TAIL, RIG_RING + 1);
  assert_int_equal(reg(r, SUMI_CARD_REG_ERROR), SUMI_CARD_ERROR_RING);
  assert_int_equal(r->bus.wait(r->bus.self, 10), SUMI_CARD_IRQ_ERROR);
  rig_start(r);
  assert_int_equal(reg(r, SUMI_CARD_REG_ERROR), 0);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_BASE, 64); /* enabled: refused */
  assert_int_equal(reg(r, SUMI_CARD_REG_ERROR), SUMI_CARD_ERROR_RING);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_RESET);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_SIZE, 3);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_ENABLE);
  assert_int_equal(reg(r, SUMI_CARD_REG_ERROR), SUMI_CARD_ERROR_RING);
  assert_int_equal(reg(r, SUMI_CARD_REG_STATUS) & SUMI_CARD_STATUS_ENABLED, 0);
  rig_start(r);
  for (int i = 0; i < 5 * RIG_RING; i++) /* laps with changing phase */
    assert_int_equal(rig_do(r, (struct sumi_card_command){.kind = SUMI_CARD_NOP}).number, i + 1);
  r->host->command[r->sent % RIG_RING] = (struct sumi_card_command){.kind = SUMI_CARD_NOP, .number = 77};
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_TAIL, r->sent + 1);
  r->bus.wait(r->bus.self, 100000);
  assert_int_equal(reg(r, SUMI_CARD_REG_ERROR), SUMI_CARD_ERROR_COMMAND);
  rig_start(r);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_RESET);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_BASE, 1ull << 40); /* nobody mapped that */
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_SIZE, 2);
  r->bus.write(r->bus.self, SUMI_CARD_REG_RQ_SIZE, 2);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_ENABLE);
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_TAIL, 1);
  r->bus.wait(r->bus.self, 100000);
  assert_int_equal(reg(r, SUMI_CARD_REG_ERROR), SUMI_CARD_ERROR_DMA_FAULT);
  rig_start(r);
}

/* Completions that nobody reads hold the chip, and nothing is lost. */
static void test_full_ring(void **state) {
  struct rig *r = *state;
  enum { MANY = 3 * RIG_RING };
  uint32_t read = 0;
  while (read < MANY) {
    while (r->sent < MANY && r->sent - (uint32_t)reg(r, SUMI_CARD_REG_CQ_HEAD) < RIG_RING)
      rig_send(r, (struct sumi_card_command){.kind = SUMI_CARD_NOP, .quiet = 1});
    for (int i = 0; i < 4; i++) reg(r, SUMI_CARD_REG_CYCLES);
    assert_true(reg(r, SUMI_CARD_REG_RQ_TAIL) - read <= RIG_RING);
    assert_int_equal(rig_next(r).number, ++read);
  }
  rig_start(r);
}

static void test_copies(void **state) {
  struct rig *r = *state;
  uint8_t *data = r->host->data;
  for (int i = 0; i < 3000; i++) data[i] = (uint8_t)(i * 11);
  for (int i = 0; i < 3; i++) /* across a boundary between pages of DRAM */
    r->host->descriptor[i] = (struct sumi_card_descriptor){
        .host = rig_bus(r, data + i * 1000), .card = (3u << 20) - 1500 + (uint64_t)i * 1000, .bytes = 1000};
  struct sumi_card_command c = {.kind = SUMI_CARD_COPY_IN, .n = 3, .list = rig_bus(r, r->host->descriptor)};
  assert_int_equal(rig_do(r, c).error, 0);
  r->host->descriptor[0] = (struct sumi_card_descriptor){
      .host = rig_bus(r, data + 4000), .card = (3u << 20) - 1500, .bytes = 3000};
  c.kind = SUMI_CARD_COPY_OUT, c.n = 1;
  struct sumi_card_completion done = rig_do(r, c);
  assert_int_equal(done.error, 0);
  /* 3000 + 96 bytes at 31508 * 0.85 MB/s / 0.9 GHz = 29.76 a cycle: 104.04 */
  assert_int_equal(done.finished - done.started, 900 + 110 + 105);
  assert_memory_equal(data, data + 4000, 3000);
  r->host->descriptor[0].card = 21474836480u - 2999;
  done = rig_do(r, c);
  assert_true(done.error == SUMI_CARD_ERROR_DRAM && done.address == r->host->descriptor[0].card);
  r->host->descriptor[0].card = 0, r->host->descriptor[0].host += RIG_HOST;
  assert_int_equal(rig_do(r, c).error, SUMI_CARD_ERROR_DMA_FAULT);
  c.n = 0;
  assert_int_equal(rig_do(r, c).error, SUMI_CARD_ERROR_COMMAND);
  c.kind = 9;
  assert_int_equal(rig_do(r, c).error, SUMI_CARD_ERROR_COMMAND);
}

/* Copies run beside a RUN unless told to wait. */
static void test_order(void **state) {
  struct rig *r = *state;
  const union sumi_card_word w = load(200000, 0, 0);
  assert_int_equal(rig_program(r, 0, &w, 1), 0);
  for (int wait = 0; wait < 2; wait++) {
    const uint32_t run = r->sent + 1;
    r->host->descriptor[0] =
        (struct sumi_card_descriptor){.host = rig_bus(r, r->host->data), .card = 1 << 22, .bytes = 300};
    rig_send(r, (struct sumi_card_command){.kind = SUMI_CARD_RUN, .n = 1, .list = RIG_TABLE});
    rig_send(r, (struct sumi_card_command){.kind = SUMI_CARD_COPY_IN,
                                           .n = 1,
                                           .after = wait ? run : 0,
                                           .list = rig_bus(r, r->host->descriptor)});
    const struct sumi_card_completion first = rig_next(r), second = rig_next(r);
    assert_int_equal(first.error | second.error, 0);
    assert_int_equal(first.number, wait ? run : run + 1);
    assert_true(wait ? second.started >= first.finished : second.started < first.finished);
  }
}

static void test_time(void **state) {
  struct rig *r = *state;
  /* 72000 MB/s * 0.85 / 0.9 GHz = 68 bytes a cycle. Fetching a word: 110 + 2; 6800 bytes are 107 bursts: 110 + 101. */
  union sumi_card_word w[3] = {load(6800, 0, 0)};
  struct sumi_card_completion c = rig_run(r, w, 1);
  assert_int_equal(c.finished - c.started, 112 + 211);
  /* Two loads of one engine follow each other; LOAD and STORE share DRAM: 64 KB each way. */
  w[1] = load(6800, 0, 0);
  c = rig_run(r, w, 2);
  assert_int_equal(c.finished - c.started, 110 + 4 + 2 * 211);
  w[0] = load(65536, 0, 0);
  w[1] = rig_move(SUMI_CARD_OP_STORE, RIG_DATA, 0x20000, 65536, 0, 0);
  c = rig_run(r, w, 2);
  assert_in_range(c.finished - c.started, 114 + 2 * 65536 / 68, 114 + 2 * 65536 / 68 + 3);
  /* The same after each other. */
  w[0].h.signal = RIG_BIT(STORE), w[1].h.wait = RIG_BIT(LOAD);
  c = rig_run(r, w, 2);
  assert_int_equal(c.finished - c.started, 114 + 2 * (110 + 964));
}

struct bad {
  const char *what;
  size_t at, bytes; /* a field of the word */
  uint64_t value;
  unsigned error;
};
#define BAD(type, field, value, code)                                                                       \
  {                                                                                                         \
#field, offsetof(struct sumi_card_##type, field), sizeof(((struct sumi_card_##type *)0)->field), value, \
        SUMI_CARD_ERROR_##code                                                                              \
  }

static void check_bad(struct rig *r, union sumi_card_word good, const struct bad *bad, size_t n) {
  union sumi_card_word w[3] = {load(64, 0, 0), load(64, 0, 0), good};
  w[2].h.tag = 4711;
  assert_int_equal(rig_run(r, w, 3).error, 0);
  for (size_t i = 0; i < n; i++) {
    w[2] = good;
    w[2].h.tag = 4711;
    memcpy((uint8_t *)&w[2] + bad[i].at, &bad[i].value, bad[i].bytes);
    const struct sumi_card_completion c = rig_run(r, w, 3);
    if (c.error != bad[i].error) fail_msg("%s: error %u, not %u", bad[i].what, c.error, bad[i].error);
    assert_true(c.core == 0 && c.word == 2 && c.tag == 4711);
  }
}

static void test_errors(void **state) {
  struct rig *r = *state;
  static const struct bad moves[] = {
      BAD(move, h.opcode, 77, OPCODE),   BAD(move, h.version, 9, OPCODE),
      BAD(move, h.base, 4, FIELD),       BAD(move, h.flags, 1, FIELD),
      BAD(move, row_bytes, 0, FIELD),    BAD(move, row_bytes, 1 << 29, FIELD),
      BAD(move, n[0], 0, FIELD),         BAD(move, dram, 21474836480u, DRAM),
      BAD(move, dram, UINT64_MAX, DRAM), BAD(move, sram, SUMI_CARD_AT(15, (1 << 18) - 63), SRAM),
      BAD(move, sram, 0, SRAM),          BAD(move, cores, 1 << 4, FIELD),
      BAD(move, zero2[3], 1, FIELD),     BAD(move, row_bytes, 1 << 18 | 1, SRAM),
  };
  check_bad(r, load(64, 0, 0), moves, SUMI_COUNT(moves));
  union sumi_card_word w = {.spu = {.h = rig_header(SUMI_CARD_OP_SPU, 0, 0),
                                    .x = SUMI_CARD_AT(15, 0),
                                    .w = SUMI_CARD_AT(15, 4096),
                                    .acc = SUMI_CARD_AT(14, 0),
                                    .x_pixel = 64,
                                    .x_bank = 32,
                                    .w_step_bytes = 64,
                                    .images = 1,
                                    .in_rows = 1,
                                    .in_cols = 8,
                                    .banks = 2,
                                    .rows = 1,
                                    .cols = 8,
                                    .outputs = 4,
                                    .kernel_h = 1,
                                    .kernel_w = 1,
                                    .stride_h = 1,
                                    .stride_w = 1,
                                    .dilation_h = 1,
                                    .dilation_w = 1,
                                    .k = 32,
                                    .last_bank = 32}};
  static const struct bad spus[] = {
      BAD(spu, k, 3, BANK),
      BAD(spu, k, 0, BANK),
      BAD(spu, k, 64, BANK),
      BAD(spu, k, 4, INDEX),
      BAD(spu, last_bank, 0, BANK),
      BAD(spu, last_bank, 33, BANK),
      BAD(spu, x_dtype, 4, FIELD),
      BAD(spu, w_dtype, 3, FIELD),
      BAD(spu, x_zero, 200, FIELD),
      BAD(spu, stride_h, 0, FIELD),
      BAD(spu, x_bank, 1 << 30, SRAM),
      BAD(spu, x, SUMI_CARD_AT(4, 0), SRAM),
      BAD(spu, x, SUMI_CARD_AT(14, 0), SRAM),
      BAD(spu, acc, SUMI_CARD_AT(15, 0), ACC),
      BAD(spu, acc, SUMI_CARD_AT(14, 65536), ACC),
      BAD(spu, acc, SUMI_CARD_AT(14, 2), ACC),
      BAD(spu, outputs, 2049, ACC),
      BAD(spu, w, SUMI_CARD_AT(15, (1 << 18) - 255), SRAM),
      BAD(spu, zero3[0], 1, FIELD),
  };
  check_bad(r, w, spus, SUMI_COUNT(spus));
}

static void test_more_errors(void **state) {
  struct rig *r = *state;
  union sumi_card_word w;
  w.vector = (struct sumi_card_vector){.h = rig_header(SUMI_CARD_OP_PROGRAM, 0, 0)};
  w.program.n = 1, w.program.op[0] = (struct sumi_card_vop){.op = SUMI_CARD_V_MOV};
  static const struct bad programs[] = {BAD(vector_program, n, 14, FIELD),
                                        BAD(vector_program, at, 256, VECTOR)};
  check_bad(r, w, programs, SUMI_COUNT(programs));
  w.vector = (struct sumi_card_vector){.h = rig_header(SUMI_CARD_OP_VPU, 0, 0), .body = 1, .n = {1, 1, 1}};
  static const struct bad vectors[] = {BAD(vector, body, 2, VECTOR), BAD(vector, start, 256, VECTOR),
                                       BAD(vector, n[1], 0, FIELD), BAD(vector, n[0], 1 << 25, FIELD)};
  check_bad(r, w, vectors, SUMI_COUNT(vectors));
  w.sync = (struct sumi_card_sync){.h = rig_header(SUMI_CARD_OP_SYNC, 0, 0), .cores = 1};
  static const struct bad syncs[] = {BAD(sync, cores, 2, FIELD), BAD(sync, cores, 0x11, FIELD),
                                     BAD(sync, cores, 3, DEADLOCK), BAD(sync, zero[0], 1, FIELD)};
  check_bad(r, w, syncs, SUMI_COUNT(syncs));
}

static void test_tokens(void **state) {
  struct rig *r = *state;
  union sumi_card_word w[300];
  w[0] = load(64, RIG_BIT(STORE), 0); /* nobody signals */
  struct sumi_card_completion c = rig_run(r, w, 1);
  assert_true(c.error == SUMI_CARD_ERROR_DEADLOCK && c.engine == SUMI_CARD_ON_LOAD && c.word == 0);
  for (int i = 0; i < 256; i++) w[i] = load(64, 0, RIG_BIT(SPU));
  assert_int_equal(rig_run(r, w, 255).error, 0);
  c = rig_run(r, w, 256);
  assert_true(c.error == SUMI_CARD_ERROR_TOKEN && c.word == 255 && c.detail == SUMI_CARD_ON_SPU);
  /* what is read while it is written is noticed */
  sumi_sim_forget(r->sim);
  w[0] = load(6400, 0, 0);
  w[1] = rig_move(SUMI_CARD_OP_STORE, RIG_DATA + 0x80000, 6336, 64, 0, 0);
  assert_int_equal(rig_run(r, w, 2).error, 0);
  assert_int_equal(sumi_sim_hazards(r->sim), 1);
  /* columns of rows are no hazard for those beside them */
  for (uint32_t column = 0; column < 128; column += 32) {
    sumi_sim_forget(r->sim);
    for (int i = 0; i < 2; i++) {
      w[i] = i ? rig_move(SUMI_CARD_OP_STORE, RIG_DATA + 0x80000, column, 64, 0, 0) : load(64, 0, 0);
      w[i].move.n[0] = 100;
      w[i].move.sram_step_bytes[0] = 128;
      w[i].move.dram_step_bytes[0] = 64;
    }
    assert_int_equal(rig_run(r, w, 2).error, 0);
    assert_int_equal(sumi_sim_hazards(r->sim), column != 64);
  }
}

static void test_faults(void **state) {
  struct rig *r = *state;
  const union sumi_card_word w[2] = {load(64, 0, 0), load(64, 0, 0)};
  assert_int_equal(rig_run(r, w, 2).error, 0);
  sumi_sim_fault(r->sim, SUMI_SIM_FAULT_ECC_CORRECTED, 2);
  assert_int_equal(rig_go(r, 1).error, 0);
  assert_int_equal(reg(r, SUMI_CARD_REG_ECC_COUNT), 1);
  sumi_sim_fault(r->sim, SUMI_SIM_FAULT_ECC, 2);
  struct sumi_card_completion c = rig_go(r, 1);
  assert_true(c.error == SUMI_CARD_ERROR_ECC && c.word == 1 && c.detail == 1);
  sumi_sim_fault(r->sim, SUMI_SIM_FAULT_DMA, 1);
  assert_int_equal(rig_copy(r, SUMI_CARD_COPY_OUT, RIG_DATA, 64).error, SUMI_CARD_ERROR_DMA_LINK);
  assert_int_equal(rig_copy(r, SUMI_CARD_COPY_OUT, RIG_DATA, 64).error, 0);
  r->bus.write(r->bus.self, SUMI_CARD_REG_IRQ_STATUS, UINT64_MAX);
  sumi_sim_fault(r->sim, SUMI_SIM_FAULT_LOST_IRQ, 1);
  rig_send(r, (struct sumi_card_command){.kind = SUMI_CARD_RUN, .n = 1, .list = RIG_TABLE});
  assert_int_equal(r->bus.wait(r->bus.self, 1000000), 0);
  c = rig_next(r); /* it is there all the same */
  assert_true(c.error == 0 && c.number == r->sent);
  sumi_sim_fault(r->sim, SUMI_SIM_FAULT_HANG, 2);
  assert_int_equal(rig_go(r, 1).error, 0xffff);
  assert_true(reg(r, SUMI_CARD_REG_STATUS) & SUMI_CARD_STATUS_BUSY);
  rig_start(r);
  assert_int_equal(rig_go(r, 1).error, 0); /* DRAM kept its bytes */
}

static void test_energy(void **state) {
  struct rig *r = *state;
  union sumi_card_word w[2] = {load(64000, 0, RIG_BIT(STORE)),
                               rig_move(SUMI_CARD_OP_STORE, RIG_DATA + 0x80000, 0, 64000, RIG_BIT(LOAD), 0)};
  w[0].h.tag = 1, w[1].h.tag = 2;
  sumi_sim_forget(r->sim);
  assert_int_equal(rig_run(r, w, 2).error, 0);
  struct sumi_sim_account total, tag, sum = {0};
  sumi_sim_total(r->sim, &total);
  double joule = 0;
  for (size_t i = 0; sumi_sim_tag(r->sim, i, &tag); i++)
    for (int j = 0; j < SUMI_SIM_N_COUNTS; j++) sum.count[j] += tag.count[j], sum.joule[j] += tag.joule[j];
  for (int j = 0; j < SUMI_SIM_N_COUNTS; j++) {
    joule += total.joule[j];
    assert_true(total.joule[j] == (double)total.count[j] * sumi_sim_counts[j].picojoule[0] * 1e-12);
    if (j < SUMI_SIM_CLOCK) assert_int_equal(sum.count[j], total.count[j]);
    assert_true(j < SUMI_SIM_CLOCK || total.count[j] > 0); /* time is never free */
    assert_true(sumi_sim_counts[j].picojoule[1] > 0);
    assert_true(sumi_sim_counts[j].picojoule[1] <= sumi_sim_counts[j].picojoule[0]);
  }
  assert_true(fabs(joule - total.joule_total) <= 1e-12 * joule);
  /* SRAM: written and read once. DRAM: both ways, a word fetched twice, and two copies of words and table in. */
  assert_true(total.count[SUMI_SIM_SRAM_WRITE] == 64000 && total.count[SUMI_SIM_SRAM_READ] == 64000);
  assert_int_equal(total.count[SUMI_SIM_DRAM], 2 * 64000 + 2 * 128 + 2 * 128 + 64);
  const double seconds = (double)(sumi_sim_cycles(r->sim) - total.first) / 0.9e9;
  assert_true(total.joule[SUMI_SIM_LEAKAGE] >= 6 * seconds * 0.99);
}

struct trace {
  struct sumi_sim_event event[16];
  size_t n;
};

static void keep(void *user, const struct sumi_sim_event *event) {
  struct trace *t = user;
  if (t->n < SUMI_COUNT(t->event)) t->event[t->n++] = *event;
}

static void test_trace(void **state) {
  (void)state;
  struct trace t = {.n = 0};
  struct rig r;
  const struct sumi_sim_options options = {.trace = keep, .user = &t, .energy = SUMI_SIM_OPTIMISTIC};
  assert_true(rig_open(&r, &options, NULL));
  const union sumi_card_word w[2] = {load(6800, 0, RIG_BIT(STORE)),
                                     rig_move(SUMI_CARD_OP_STORE, RIG_DATA, 0, 64, RIG_BIT(LOAD), 0)};
  assert_int_equal(rig_program(&r, 0, w, 2), 0);
  t.n = 0;
  const struct sumi_card_completion c = rig_go(&r, 1);
  static const uint8_t engines[] = {SUMI_CARD_ENGINES, SUMI_CARD_ON_LOAD, SUMI_CARD_ON_STORE};
  assert_int_equal(t.n, SUMI_COUNT(engines));
  for (size_t i = 0; i < t.n; i++) {
    assert_int_equal(t.event[i].engine, engines[i]);
    assert_int_equal(t.event[i].started, i ? t.event[i - 1].finished : c.started);
  }
  assert_int_equal(t.event[t.n - 1].finished, c.finished);
  struct sumi_sim_account a;
  sumi_sim_total(r.sim, &a);
  assert_true(a.joule[SUMI_SIM_DRAM] == (double)a.count[SUMI_SIM_DRAM] * 32e-12);
  rig_close(&r);
}

static void test_memory(void **state) {
  (void)state;
  struct sumi_card_profile p;
  assert_int_equal(sumi_card_profile_find("SparseOne-S4", &p, NULL), SUMI_OK);
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    struct sumi_sim *sim = NULL;
    struct sumi_card_bus bus;
    uint64_t at;
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = sumi_sim_open(&p, NULL, a, &sim, &bus, NULL);
    const bool done = status == SUMI_OK && bus.map(bus.self, &p, sizeof p, &at, NULL) == SUMI_OK;
    if (status == SUMI_OK) bus.close(bus.self);
    assert_true(status == SUMI_OK || status == SUMI_E_MEMORY);
    assert_int_equal(heap.blocks, 0);
    if (done && !heap.failed) return;
  }
}

static int set_up(void **state) {
  static struct rig r;
  *state = &r;
  return rig_open(&r, NULL, NULL) ? 0 : -1;
}

static int tear_down(void **state) {
  rig_close(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registers), cmocka_unit_test(test_rings),       cmocka_unit_test(test_full_ring),
      cmocka_unit_test(test_copies),    cmocka_unit_test(test_order),       cmocka_unit_test(test_time),
      cmocka_unit_test(test_errors),    cmocka_unit_test(test_more_errors), cmocka_unit_test(test_tokens),
      cmocka_unit_test(test_faults),    cmocka_unit_test(test_energy),      cmocka_unit_test(test_trace),
      cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
