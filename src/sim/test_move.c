/* LOAD, STORE, RESHAPE, LOOKUP against plain loops; copies between cores; their time by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/size.h"
#include "sim/sim_test.h"

enum { DRAM_OUT = RIG_DATA + 0x80000, OUT_AT = 0x20000 };

static uint32_t here(uint32_t at) { return SUMI_CARD_AT(SUMI_CARD_HERE, at); }

static void pattern(uint8_t *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = (uint8_t)(i * 37 + i / 251);
}

static void test_strides(void **state) {
  struct rig *r = *state;
  enum { PLANES = 3, ROWS = 5, BYTES = 70 };
  uint8_t in[4000], out[4000];
  pattern(in, sizeof in);
  union sumi_card_word w[2];
  w[0] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA + 3, 5, BYTES, 0, RIG_BIT(STORE));
  w[0].move.n[0] = ROWS, w[0].move.n[1] = PLANES;
  w[0].move.dram_step_bytes[0] = 100, w[0].move.dram_step_bytes[1] = 1000;
  w[0].move.sram_step_bytes[0] = 80, w[0].move.sram_step_bytes[1] = 400;
  w[1] = w[0];
  w[1].h = rig_header(SUMI_CARD_OP_STORE, RIG_BIT(LOAD), 0);
  w[1].move.dram = DRAM_OUT, w[1].move.dram_step_bytes[0] = BYTES,
  w[1].move.dram_step_bytes[1] = ROWS * BYTES;
  assert_int_equal(rig_put(r, RIG_DATA, in, sizeof in), 0);
  sumi_sim_forget(r->sim);
  assert_int_equal(rig_run(r, w, 2).error, 0);
  struct sumi_sim_account a;
  sumi_sim_total(r->sim, &a);
  /* 15 rows of 70 bytes at odd places: three bursts each, 15 * 192 / 68 bytes a cycle = 42.4; 1050 in one piece: 17 bursts, 16 */
  assert_int_equal(a.alone[SUMI_CARD_ON_LOAD], 110 + 43);
  assert_int_equal(a.alone[SUMI_CARD_ON_STORE], 110 + 16);
  assert_int_equal(rig_get(r, DRAM_OUT, out, PLANES * ROWS * BYTES), 0);
  for (int i = 0; i < PLANES; i++)
    for (int j = 0; j < ROWS; j++)
      assert_memory_equal(out + (i * ROWS + j) * BYTES, in + 3 + i * 1000 + j * 100, BYTES);
}

/* [6, 5, 7] -> [7, 6, 5] with gaps, for every element size; then a fill around it. */
static void test_reshape(void **state) {
  struct rig *r = *state;
  enum { A = 6, B = 5, C = 7, GAP = 2 };
  uint8_t in[A * B * C * 8], out[C * A * (B + GAP) * 8];
  pattern(in, sizeof in);
  for (uint32_t e = 1; e <= 8; e *= 2) {
    const int32_t s = (int32_t)e;
    const uint32_t bytes = C * A * (B + GAP) * e;
    union sumi_card_word w[4];
    w[0] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA, 0, A * B * C * e, 0, RIG_BIT(RESHAPE));
    w[1].reshape = (struct sumi_card_reshape){.h = rig_header(SUMI_CARD_OP_RESHAPE, 0, 0),
                                              .to = here(OUT_AT),
                                              .n = {1, 1, 1, bytes / e},
                                              .to_step = {0, 0, 0, s},
                                              .elem_bytes = e,
                                              .fill = 0x01010101u * 0xa5};
    w[1].h.flags = SUMI_CARD_RESHAPE_FILL;
    w[2].reshape =
        (struct sumi_card_reshape){.h = rig_header(SUMI_CARD_OP_RESHAPE, RIG_BIT(LOAD), RIG_BIT(STORE)),
                                   .from = here(0),
                                   .to = here(OUT_AT),
                                   .n = {1, C, A, B},
                                   .from_step = {0, s, B * C * s, C * s},
                                   .to_step = {0, A * (B + GAP) * s, (B + GAP) * s, s},
                                   .elem_bytes = e};
    w[3] = rig_move(SUMI_CARD_OP_STORE, DRAM_OUT, OUT_AT, bytes, RIG_BIT(RESHAPE), 0);
    assert_int_equal(rig_put(r, RIG_DATA, in, A * B * C * e), 0);
    sumi_sim_forget(r->sim);
    assert_int_equal(rig_run(r, w, 4).error, 0);
    struct sumi_sim_account a;
    sumi_sim_total(r->sim, &a);
    assert_int_equal(a.alone[SUMI_CARD_ON_RESHAPE], 8 + (bytes + 127) / 128 + 8 + A * B * C);
    assert_int_equal(rig_get(r, DRAM_OUT, out, bytes), 0);
    for (uint32_t c = 0; c < C; c++)
      for (uint32_t i = 0; i < A; i++)
        for (uint32_t b = 0; b < B + GAP; b++)
          for (uint32_t k = 0; k < e; k++) {
            const uint8_t fill = k < 4 ? 0xa5 : 0;
            assert_int_equal(out[((c * A + i) * (B + GAP) + b) * e + k],
                             b < B ? in[((i * B + b) * C + c) * e + k] : fill);
          }
  }
}

static void test_lookup(void **state) {
  struct rig *r = *state;
  enum { ROWS = 50, BYTES = 24, STEP = 40, N = 9 };
  uint8_t table[ROWS * BYTES], out[N * STEP];
  const int64_t ids[N] = {0, 49, -1, -50, 7, 7, 20, 1, 30};
  pattern(table, sizeof table);
  assert_int_equal(rig_put(r, RIG_DATA + 8, table, sizeof table), 0);
  for (int wide = 0; wide < 2; wide++) {
    int32_t small[N];
    for (int i = 0; i < N; i++) small[i] = (int32_t)ids[i];
    const uint32_t id_bytes = wide ? sizeof ids : sizeof small;
    assert_int_equal(rig_put(r, RIG_DATA + 0x4000, wide ? (const void *)ids : small, id_bytes), 0);
    union sumi_card_word w[3];
    w[0] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA + 0x4000, 0, id_bytes, 0, RIG_BIT(LOOKUP));
    w[1].lookup =
        (struct sumi_card_lookup){.h = rig_header(SUMI_CARD_OP_LOOKUP, RIG_BIT(LOAD), RIG_BIT(STORE)),
                                  .table = RIG_DATA + 8,
                                  .rows = ROWS,
                                  .row_bytes = BYTES,
                                  .ids = here(0),
                                  .out = here(OUT_AT),
                                  .n = N,
                                  .out_step_bytes = STEP,
                                  .id_dtype = wide ? SUMI_CARD_I64 : SUMI_CARD_I32};
    w[2] = rig_move(SUMI_CARD_OP_STORE, DRAM_OUT, OUT_AT, (N - 1) * STEP + BYTES, RIG_BIT(LOOKUP), 0);
    assert_int_equal(rig_run(r, w, 3).error, 0);
    assert_int_equal(rig_get(r, DRAM_OUT, out, sizeof out), 0);
    for (int i = 0; i < N; i++)
      assert_memory_equal(out + i * STEP, table + (ids[i] < 0 ? ids[i] + ROWS : ids[i]) * BYTES, BYTES);
    w[1].lookup.rows = 49; /* 49 is no row then */
    const struct sumi_card_completion c = rig_run(r, w, 3);
    assert_true(c.error == SUMI_CARD_ERROR_ID && c.detail == 49 && c.address == 1);
  }
}

/* Core 0 loads into all; core 2 changes its copy and core 3 stores that, after a barrier, over the ring. */
static void test_cores(void **state) {
  struct rig *r = *state;
  uint8_t in[256], out[256];
  pattern(in, sizeof in);
  assert_int_equal(rig_put(r, RIG_DATA, in, sizeof in), 0);
  const union sumi_card_word sync = {
      .sync = {.h = rig_header(SUMI_CARD_OP_SYNC, 0, 0), .cores = 0xf, .id = 1}};
  for (int core = 0; core < 4; core++) {
    union sumi_card_word w[4];
    size_t n = 0;
    if (core == 0) {
      w[n] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA, 0, sizeof in, 0, RIG_BIT(SYNC));
      w[n++].move.cores = 0xf;
    }
    w[n] = sync;
    w[n++].h = rig_header(SUMI_CARD_OP_SYNC, core == 0 ? RIG_BIT(LOAD) : 0, core == 2 ? RIG_BIT(RESHAPE) : 0);
    if (core == 2)
      w[n++].reshape =
          (struct sumi_card_reshape){.h = rig_header(SUMI_CARD_OP_RESHAPE, RIG_BIT(SYNC), RIG_BIT(SYNC)),
                                     .to = here(16),
                                     .n = {1, 1, 1, 16},
                                     .to_step = {0, 0, 0, 1},
                                     .elem_bytes = 1,
                                     .fill = 0xee};
    if (core == 2) w[n - 1].h.flags = SUMI_CARD_RESHAPE_FILL;
    w[n] = sync;
    w[n].h = rig_header(SUMI_CARD_OP_SYNC, core == 2 ? RIG_BIT(RESHAPE) : 0, core == 3 ? RIG_BIT(STORE) : 0);
    w[n++].sync.id = 2;
    if (core == 3) {
      w[n] = rig_move(SUMI_CARD_OP_STORE, DRAM_OUT, 0, sizeof in, RIG_BIT(SYNC), 0);
      w[n++].move.sram = SUMI_CARD_AT(2, 0);
    }
    assert_int_equal(rig_program(r, core, w, n), 0);
  }
  sumi_sim_forget(r->sim);
  assert_int_equal(rig_go(r, 0xf).error, 0);
  struct sumi_sim_account a;
  sumi_sim_total(r->sim, &a);
  assert_int_equal(a.count[SUMI_SIM_RING],
                   256 * (1 + 2 + 1) + 256); /* hops from 0 to 1, 2, 3, and from 2 to 3 */
  assert_int_equal(sumi_sim_hazards(r->sim), 0);
  assert_int_equal(rig_get(r, DRAM_OUT, out, sizeof out), 0);
  memset(in + 16, 0xee, 16);
  assert_memory_equal(in, out, sizeof in);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_strides), cmocka_unit_test(test_reshape),
                                     cmocka_unit_test(test_lookup), cmocka_unit_test(test_cores)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
