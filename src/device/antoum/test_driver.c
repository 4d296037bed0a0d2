/* The driver on a simulated chip: copies, the pipeline, everything that can go wrong, and that the next call works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/size.h"
#include "device/antoum/driver.h"
#include "sim/sim.h"

enum { BYTES = 40000, MANY = 9, SETS = 2 };

struct host {
  struct sumi_sim *sim;
  struct sumi_card_bus bus;
  struct antoum_driver *d;
  uint64_t table, words, in[SETS], out[SETS];
  uint8_t from[MANY][BYTES], to[MANY][BYTES];
};

static struct host host;

static void open_sim(struct host *h, const struct sumi_allocator *a) {
  struct sumi_card_profile p;
  assert_int_equal(sumi_card_profile_find("SparseOne-S4", &p, NULL), SUMI_OK);
  assert_int_equal(sumi_card_profile_set(&p, "sram_bytes", 1 << 18, "a test", NULL), SUMI_OK);
  assert_int_equal(sumi_card_profile_set(&p, "dram_bytes", 64 << 20, "a test", NULL), SUMI_OK);
  assert_int_equal(sumi_sim_open(&p, NULL, a, &h->sim, &h->bus, NULL), SUMI_OK);
}

static uint64_t dram(struct host *h, uint64_t bytes) {
  uint64_t at = 0;
  assert_int_equal(antoum_dram_alloc(h->d, bytes, &at, NULL), SUMI_OK);
  assert_true(at && at % 4096 == 0);
  return at;
}

/* Core 0: `turns` times LOAD of BYTES from base 1, then STORE of them to base 2. */
static void put_program(struct host *h, int turns, uint32_t flags) {
  union sumi_card_word w[64];
  int n = 0;
  for (; n < turns; n++)
    w[n] = (union sumi_card_word){.move = {.h = {.opcode = SUMI_CARD_OP_LOAD,
                                                 .version = SUMI_CARD_MAJOR,
                                                 .signal = n == turns - 1 ? 1 << SUMI_CARD_ON_STORE : 0,
                                                 .base = 1,
                                                 .flags = (uint16_t)flags,
                                                 .tag = 7},
                                           .sram = SUMI_CARD_AT(SUMI_CARD_HERE, 0),
                                           .row_bytes = BYTES,
                                           .n = {1, 1}}};
  w[n] = w[n - 1];
  w[n].h.opcode = SUMI_CARD_OP_STORE;
  w[n].h.base = 2;
  w[n].h.flags = w[n].h.signal = 0;
  w[n].h.wait = 1 << SUMI_CARD_ON_LOAD;
  n++;
  struct sumi_card_program p[4] = {{.at = h->words, .words = (uint32_t)n}};
  assert_int_equal(antoum_copy_in(h->d, h->words, w, (size_t)n * sizeof *w, NULL), SUMI_OK);
  assert_int_equal(antoum_copy_in(h->d, h->table, p, sizeof p, NULL), SUMI_OK);
}

static const char *name_of(void *user, uint32_t tag) { return tag == 7 ? user : NULL; }

/* MANY items, input and output in so many pieces. */
static sumi_status run(struct host *h, size_t pieces, struct sumi_err *err) {
  static struct antoum_piece in[MANY][40], out[MANY][40];
  struct antoum_item item[MANY];
  memset(h->to, 0, sizeof h->to);
  for (size_t i = 0; i < MANY; i++) {
    for (size_t j = 0; j < pieces; j++) {
      const size_t at = BYTES * j / pieces, bytes = BYTES * (j + 1) / pieces - at;
      in[i][j] = (struct antoum_piece){h->from[i] + at, h->in[i % SETS] + at, bytes};
      out[i][j] = (struct antoum_piece){h->to[i] + at, h->out[i % SETS] + at, bytes};
    }
    item[i] = (struct antoum_item){.in = in[i],
                                   .out = out[i],
                                   .n_in = pieces,
                                   .n_out = pieces,
                                   .programs = h->table,
                                   .cores = 1,
                                   .base = {0, h->in[i % SETS], h->out[i % SETS]}};
  }
  return antoum_run_items(h->d, item, MANY, SETS, name_of, (void *)(uintptr_t) "conv1", err);
}

static void run_well(struct host *h) {
  struct sumi_err err = SUMI_ERR_INIT;
  if (run(h, 1, &err) != SUMI_OK) fail_msg("%s", err.text);
  assert_memory_equal(h->from, h->to, sizeof h->to);
}

static void test_copies(void **state) {
  struct host *h = *state;
  enum { MOST = 15 << 20 };
  uint8_t *from = malloc(MOST + 64), *to = malloc(MOST + 64);
  assert_true(from && to);
  struct sumi_random r;
  sumi_random_init(&r, 1);
  for (size_t i = 0; i < MOST + 64; i++) from[i] = (uint8_t)sumi_random_u64(&r);
  const uint64_t at = dram(h, MOST + 8192);
  static const size_t sizes[] = {1, 63, 64, 4095, 4097, 2 << 20, (2 << 20) + 1, MOST};
  for (size_t i = 0; i < SUMI_COUNT(sizes); i++)
    for (size_t odd = 0; odd < 3; odd++) {
      memset(to, 0x55, MOST + 64);
      assert_int_equal(antoum_copy_in(h->d, at + odd * 31, from + odd, sizes[i], NULL), SUMI_OK);
      assert_int_equal(antoum_copy_out(h->d, to + 5 * odd, at + odd * 31, sizes[i], NULL), SUMI_OK);
      assert_memory_equal(from + odd, to + 5 * odd, sizes[i]);
      assert_true(to[5 * odd + sizes[i]] == 0x55 && (!odd || to[5 * odd - 1] == 0x55)); /* and no more */
    }
  assert_int_equal(antoum_copy_in(h->d, at, from, 0, NULL), SUMI_OK);
  antoum_dram_free(h->d, at);
  free(from);
  free(to);
}

/* Each unit alone takes a third of what items one after the other take; side by side they take little more than the slowest. */
static void test_pipeline(void **state) {
  struct host *h = *state;
  struct antoum_times t;
  put_program(h, 2, 0);
  for (size_t pieces = 1; pieces <= 40; pieces += 13) { /* more than one command's descriptors at last */
    assert_int_equal(run(h, pieces, NULL), SUMI_OK);
    assert_memory_equal(h->from, h->to, sizeof h->to);
  }
  run_well(h);
  antoum_driver_times(h->d, &t);
  assert_true(t.first > 0 && t.slowest >= t.first && t.total >= t.slowest);
  assert_true(t.total < t.first * MANY * 6 / 10);
  const uint64_t before = sumi_sim_cycles(h->sim);
  assert_int_equal(antoum_run_items(h->d, NULL, 0, 1, NULL, NULL, NULL), SUMI_OK);
  assert_true(sumi_sim_cycles(h->sim) == before);
  antoum_driver_times(h->d, &t);
  assert_true(!t.total && !t.first && !t.slowest);
}

/* Nothing but a run: no copies, more items than the rings have entries, and one set. */
static void test_bare_items(void **state) {
  struct host *h = *state;
  struct antoum_item item[300];
  struct antoum_times t;
  for (size_t i = 0; i < SUMI_COUNT(item); i++)
    item[i] = (struct antoum_item){.programs = h->table, .cores = 1, .base = {0, h->in[0], h->out[0]}};
  for (size_t sets = 1; sets <= 64; sets *= 8) {
    assert_int_equal(antoum_run_items(h->d, item, SUMI_COUNT(item), sets, NULL, NULL, NULL), SUMI_OK);
    antoum_driver_times(h->d, &t);
    assert_true(t.first && t.total >= SUMI_COUNT(item) * t.first * 9 / 10);
  }
}

static void expect(struct host *h, sumi_status status, const char *text) {
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status s = run(h, 1, &err);
  if (s != status || !strstr(err.text, text)) fail_msg("'%s' (%d), not '%s'", err.text, (int)s, text);
  run_well(h);
}

static void test_faults(void **state) {
  struct host *h = *state;
  put_program(h, 1, 0);
  for (uint64_t nth = 1; nth <= 2 * MANY; nth += 4) {
    sumi_sim_fault(h->sim, SUMI_SIM_FAULT_DMA, nth);
    expect(h, SUMI_E_DEVICE, "a transfer failed on the link");
    sumi_sim_fault(h->sim, SUMI_SIM_FAULT_LOST_IRQ, nth);
    run_well(h);
    sumi_sim_fault(h->sim, SUMI_SIM_FAULT_HANG, nth);
    expect(h, SUMI_E_DEVICE, "hangs: it did not end in ten seconds");
  }
  for (uint64_t nth = 1; nth <= MANY; nth += 4) {
    sumi_sim_fault(h->sim, SUMI_SIM_FAULT_ECC, nth);
    expect(h, SUMI_E_DEVICE,
           "core 0, engine load, word 0 (opcode 1) of 'conv1': memory lost a word beyond correction");
  }
  sumi_sim_fault(h->sim, SUMI_SIM_FAULT_ECC_CORRECTED, 3);
  run_well(h);
  sumi_sim_fault(h->sim, SUMI_SIM_FAULT_ECC, 4);
  expect(h, SUMI_E_DEVICE, "run of item 3");
  uint8_t byte = 0;
  sumi_sim_fault(h->sim, SUMI_SIM_FAULT_DMA, 1);
  assert_int_equal(antoum_copy_in(h->d, h->in[0], &byte, 1, NULL), SUMI_E_DEVICE);
  sumi_sim_fault(h->sim, SUMI_SIM_FAULT_DMA, 2);
  assert_int_equal(antoum_copy_in(h->d, h->in[0], &byte, 1, NULL), SUMI_OK);
  assert_int_equal(antoum_copy_out(h->d, &byte, h->in[0], 1, NULL), SUMI_E_DEVICE);
  run_well(h);
}

static void test_wrong_programs(void **state) {
  struct host *h = *state;
  struct sumi_err err = SUMI_ERR_INIT;
  put_program(h, 1, 0x80);
  assert_int_equal(run(h, 1, &err), SUMI_E_INTERNAL);
  assert_non_null(strstr(err.text, "run of item 0: core 0, engine load, word 0 (opcode 1) of 'conv1'"));
  assert_non_null(strstr(err.text, "value 128"));
  struct sumi_card_program p[4] = {{.at = (64 << 20) - 128, .words = 2}};
  assert_int_equal(antoum_copy_in(h->d, h->table, p, sizeof p, NULL), SUMI_OK);
  sumi_err_clear(&err);
  assert_int_equal(run(h, 1, &err), SUMI_E_DEVICE);
  assert_non_null(strstr(err.text, "an address lies outside the card's memory"));
  put_program(h, 1, 0);
  run_well(h);
  uint8_t byte = 0;
  sumi_err_clear(&err);
  assert_int_equal(antoum_copy_out(h->d, &byte, 64 << 20, 1, &err), SUMI_E_DEVICE);
  assert_string_equal(
      err.text, "card: copy out: an address lies outside the card's memory, address 0x4000000, value 1");
  run_well(h);
}

static void test_dram(void **state) {
  struct host *h = *state;
  struct sumi_err err = SUMI_ERR_INIT;
  uint64_t a = dram(h, 1), b = dram(h, 4097), c = dram(h, 0), more;
  assert_true(b == a + 4096 && c == b + 8192);
  antoum_dram_free(h->d, b);
  antoum_dram_free(h->d, b + 4096); /* nobody's: nothing happens */
  assert_true(dram(h, 8193) == c + 4096 && dram(h, 4096) == b && dram(h, 4096) == b + 4096);
  assert_int_equal(antoum_dram_alloc(h->d, 64 << 20, &more, &err), SUMI_E_LIMIT);
  assert_non_null(strstr(err.text, "67108864 bytes of its memory of 67108864 are needed"));
  assert_int_equal(antoum_dram_alloc(h->d, UINT64_MAX, &more, NULL), SUMI_E_LIMIT);
  for (uint64_t at = a; at <= c + 4096; at += 4096) antoum_dram_free(h->d, at);
  assert_true(dram(h, 5 * 4096) == a);
  antoum_dram_free(h->d, a);
}

/* A bus before the simulator's that changes what some registers say. */
struct liar {
  struct sumi_card_bus real;
  uint32_t reg, after; /* from read `after` of it on */
  uint64_t value;
  bool no_map;
};
static uint64_t lie(void *self, uint32_t reg) {
  struct liar *l = self;
  if (reg == l->reg && !l->after) return l->value;
  l->after -= reg == l->reg;
  return l->real.read(l->real.self, reg);
}
static void write_on(void *self, uint32_t reg, uint64_t value) {
  struct liar *l = self;
  l->real.write(l->real.self, reg, value);
}
static sumi_status map_on(void *self, void *p, size_t bytes, uint64_t *bus, struct sumi_err *err) {
  struct liar *l = self;
  if (l->no_map) return sumi_err_set(err, SUMI_E_MEMORY, "no map");
  return l->real.map(l->real.self, p, bytes, bus, err);
}
static void unmap_on(void *self, uint64_t bus) {
  struct liar *l = self;
  l->real.unmap(l->real.self, bus);
}
static uint64_t wait_on(void *self, uint64_t ns) {
  struct liar *l = self;
  return l->real.wait(l->real.self, ns);
}

static void test_other_chips(void **state) {
  (void)state;
  static const struct {
    uint32_t reg, after;
    uint64_t value;
    sumi_status status;
    const char *text;
  } cases[] = {
      {SUMI_CARD_REG_ID, 0, UINT64_MAX, SUMI_E_DEVICE, "nothing answers"},
      {SUMI_CARD_REG_ID, 0, 0x1234, SUMI_E_UNSUPPORTED, "calls itself 0x1234"},
      {SUMI_CARD_REG_VERSION, 0, 2 << 16 | 5, SUMI_E_UNSUPPORTED, "version 2.5"},
      {SUMI_CARD_REG_VERSION, 0, 1 << 16 | 5, SUMI_OK, ""},
      {SUMI_CARD_REG_CORES, 0, UINT64_MAX, SUMI_E_UNSUPPORTED, "cores"},
      {SUMI_CARD_REG_BANK, 0, 16, SUMI_E_UNSUPPORTED, "cores"},
      {SUMI_CARD_REG_DRAM_BYTES, 0, UINT64_MAX, SUMI_E_UNSUPPORTED, "memory"},
      {SUMI_CARD_REG_CONTROL, 0, UINT64_MAX, SUMI_E_DEVICE, "does not come out of its reset"},
      {SUMI_CARD_REG_CONTROL, 0, SUMI_CARD_CONTROL_RESET, SUMI_E_DEVICE, "does not come out of its reset"},
      {SUMI_CARD_REG_STATUS, 0, 0, SUMI_E_DEVICE, "does not take its rings"},
  };
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct host h;
    struct sumi_err err = SUMI_ERR_INIT;
    open_sim(&h, NULL);
    struct liar l = {h.bus, cases[i].reg, cases[i].after, cases[i].value, false};
    struct sumi_card_bus bus = {&l, lie, write_on, map_on, unmap_on, wait_on, NULL};
    assert_int_equal(antoum_driver_open(&bus, NULL, &h.d, &err), cases[i].status);
    assert_non_null(strstr(err.text, cases[i].text));
    assert_true((h.d != NULL) == (cases[i].status == SUMI_OK));
    antoum_driver_close(h.d);
    sumi_sim_close(h.sim);
  }
}

/* A chip that goes away while it works, and comes back. */
static void test_lost_chip(void **state) {
  (void)state;
  struct host h;
  struct sumi_err err = SUMI_ERR_INIT;
  uint8_t byte = 0;
  open_sim(&h, NULL);
  struct liar l = {h.bus, SUMI_CARD_REG_ID, 1, UINT64_MAX, false};
  struct sumi_card_bus bus = {&l, lie, write_on, map_on, unmap_on, wait_on, NULL};
  assert_int_equal(antoum_driver_open(&bus, NULL, &h.d, NULL), SUMI_OK);
  sumi_sim_fault(h.sim, SUMI_SIM_FAULT_DMA, 1);
  h.bus.write(h.bus.self, SUMI_CARD_REG_CONTROL, 0); /* it takes no commands any more */
  assert_int_equal(antoum_copy_in(h.d, 4096, &byte, 1, &err), SUMI_E_DEVICE);
  assert_non_null(strstr(err.text, "the chip stopped"));
  sumi_err_clear(&err);
  l.reg = SUMI_CARD_REG_CONTROL; /* resets end no more */
  assert_int_equal(antoum_copy_in(h.d, 4096, &byte, 1, &err), SUMI_E_DEVICE);
  assert_non_null(strstr(err.text, "a transfer failed"));
  sumi_err_clear(&err);
  assert_int_equal(antoum_copy_in(h.d, 4096, &byte, 1, &err), SUMI_E_DEVICE);
  assert_non_null(strstr(err.text, "reset"));
  l.reg = 0xffff;
  assert_int_equal(antoum_copy_in(h.d, 4096, &byte, 1, NULL), SUMI_OK);
  antoum_driver_close(h.d);
  sumi_sim_close(h.sim);
}

static void test_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    struct host h;
    uint64_t at;
    open_sim(&h, NULL);
    sumi_test_heap_fail(&heap, n);
    sumi_status status = antoum_driver_open(&h.bus, a, &h.d, NULL);
    for (int i = 0; status == SUMI_OK && i < 40; i++) status = antoum_dram_alloc(h.d, 1, &at, NULL);
    assert_true(status == SUMI_OK || status == SUMI_E_MEMORY);
    antoum_driver_close(h.d);
    sumi_sim_close(h.sim);
    assert_int_equal(heap.blocks, 0);
    if (status == SUMI_OK && !heap.failed) break;
  }
  struct host h;
  open_sim(&h, NULL);
  struct liar l = {h.bus, 0xffff, 0, 0, true};
  struct sumi_card_bus bus = {&l, lie, write_on, map_on, unmap_on, wait_on, NULL};
  assert_int_equal(antoum_driver_open(&bus, a, &h.d, NULL), SUMI_E_MEMORY);
  assert_int_equal(heap.blocks, 0);
  sumi_sim_close(h.sim);
}

static int set_up(void **state) {
  struct host *h = *state = &host;
  open_sim(h, NULL);
  if (antoum_driver_open(&h->bus, NULL, &h->d, NULL) != SUMI_OK) return -1;
  assert_int_equal(antoum_driver_chip(h->d)->cores, 4);
  h->table = dram(h, 64);
  h->words = dram(h, 64 * SUMI_CARD_WORD_BYTES);
  for (int i = 0; i < SETS; i++) h->in[i] = dram(h, BYTES), h->out[i] = dram(h, BYTES);
  struct sumi_random r;
  sumi_random_init(&r, 2);
  for (size_t i = 0; i < sizeof h->from; i++) h->from[i / BYTES][i % BYTES] = (uint8_t)sumi_random_u64(&r);
  return 0;
}

static int tear_down(void **state) {
  struct host *h = *state;
  antoum_driver_close(h->d);
  sumi_sim_close(h->sim);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_copies),         cmocka_unit_test(test_pipeline),
                                     cmocka_unit_test(test_bare_items),     cmocka_unit_test(test_faults),
                                     cmocka_unit_test(test_wrong_programs), cmocka_unit_test(test_dram),
                                     cmocka_unit_test(test_other_chips),    cmocka_unit_test(test_lost_chip),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
