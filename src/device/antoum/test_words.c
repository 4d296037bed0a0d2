/* Tokens of words: random programs whose words touch the same few bytes over and over give what they would give one after the
 * other, on one core, on four that share loads, and on some that make parts for each other, and no two words that conflict are ever at
 * work at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/random.h"
#include "device/antoum/antoum_test.h"

enum { BYTES = 4096, WORDS = 400, IMAGE = 1024, CORES = 4 };

struct model { /* what the words would do one after the other */
  uint8_t sram[CORES][BYTES], in[CORES][BYTES], out[CORES][BYTES], spill[CORES][BYTES];
};

static uint32_t below(struct sumi_random *r, uint32_t n) { return (uint32_t)(sumi_random_uniform(r) * n); }

struct span {
  uint32_t at, bytes;
};

static struct span random_span(struct sumi_random *r, uint32_t room) {
  const struct span s = {below(r, room - 64), 1 + below(r, 63)};
  return s;
}

static bool apart(struct span a, struct span b) { return a.at + a.bytes <= b.at || b.at + b.bytes <= a.at; }

static void reshape(struct antoum_rig *r, struct model *m, struct span from, uint32_t to) {
  const union sumi_card_word word = {.reshape = {.h = {.opcode = SUMI_CARD_OP_RESHAPE},
                                                 .from = SUMI_CARD_AT(SUMI_CARD_HERE, from.at),
                                                 .to = SUMI_CARD_AT(SUMI_CARD_HERE, to),
                                                 .n = {1, 1, 1, from.bytes},
                                                 .from_step = {0, 0, 0, 1},
                                                 .to_step = {0, 0, 0, 1},
                                                 .elem_bytes = 1}};
  const struct antoum_touch touch[2] = {{ANTOUM_SRAM, false, from.at, from.at + from.bytes},
                                        {ANTOUM_SRAM, true, to, to + from.bytes}};
  assert_int_equal(antoum_emit(&r->w, &word, touch, 2, 0), SUMI_OK);
  for (int c = 0; c < CORES; c++) memcpy(m->sram[c] + to, m->sram[c] + from.at, from.bytes);
}

/* y = x + 3 on bytes. */
static void vector(struct antoum_rig *r, struct model *m, struct span from, uint32_t to) {
  static const struct sumi_card_vop op[] = {{SUMI_CARD_V_LD, 0, 0, 0, 0},   {SUMI_CARD_V_IMM, 1, 0, 0, 3},
                                            {SUMI_CARD_V_IADD, 0, 0, 1, 0}, {SUMI_CARD_V_IMM, 1, 0, 0, 255},
                                            {SUMI_CARD_V_AND, 0, 0, 1, 0},  {SUMI_CARD_V_ST, 0, 1, 0, 0}};
  union sumi_card_word word = {
      .vector = {.h = {.opcode = SUMI_CARD_OP_VPU},
                 .body = SUMI_COUNT(op),
                 .n = {1, 1, from.bytes},
                 .view = {{SUMI_CARD_AT(SUMI_CARD_HERE, from.at), {0, 0, 1}, SUMI_CARD_U8, {0}},
                          {SUMI_CARD_AT(SUMI_CARD_HERE, to), {0, 0, 1}, SUMI_CARD_U8, {0}}}}};
  assert_int_equal(antoum_program(&r->w, op, (int)SUMI_COUNT(op), &word.vector.start), SUMI_OK);
  const struct antoum_touch touch[2] = {{ANTOUM_SRAM, false, from.at, from.at + from.bytes},
                                        {ANTOUM_SRAM, true, to, to + from.bytes}};
  assert_int_equal(antoum_emit(&r->w, &word, touch, 2, 0), SUMI_OK);
  for (int c = 0; c < CORES; c++)
    for (uint32_t i = 0; i < from.bytes; i++) m->sram[c][to + i] = (uint8_t)(m->sram[c][from.at + i] + 3);
}

/* Copies of x that some cores make for all, with gaps between them. */
static void share(struct antoum_rig *r, struct model *m, struct sumi_random *random) {
  const struct span x = random_span(random, BYTES / 2);
  const uint32_t lo = BYTES / 2 + below(random, BYTES / 2 - 8 * 64);
  struct antoum_words *w = &r->w;
  uint32_t at = lo;
  assert_int_equal(antoum_share_begin(w, lo, lo + 8 * 64), SUMI_OK);
  for (uint32_t i = below(random, 7); i < 8; i++, at += x.bytes + below(random, 2) * (64 - x.bytes)) {
    antoum_share_turn(w);
    const struct antoum_share piece = {.elem = 1, .at = at, .row_bytes = x.bytes, .n = {1, 1, 1}};
    uint8_t made[64];
    memcpy(made, m->sram[w->only] + x.at, x.bytes);
    reshape(r, m, x, at);
    for (int c = 0; c < w->cores; c++) memcpy(m->sram[c] + at, made, x.bytes);
    assert_int_equal(antoum_share_copy(w, &piece), SUMI_OK);
  }
  assert_int_equal(antoum_share_end(w), SUMI_OK);
}

static void add_word(struct antoum_rig *r, struct model *m, struct sumi_random *random) {
  const struct span a = random_span(random, BYTES), b = random_span(random, BYTES);
  const struct span other = {b.at, a.bytes};
  switch (below(random, r->w.split ? 8 : 7)) {
    case 7: share(r, m, random); break;
    case 0:
      assert_int_equal(antoum_move(&r->w, SUMI_CARD_OP_LOAD, ANTOUM_BASE_IN, a.at, BYTES, b.at, a.bytes),
                       SUMI_OK);
      for (int c = 0; c < CORES; c++) memcpy(m->sram[c] + b.at, m->in[c] + a.at, a.bytes);
      break;
    case 1:
      assert_int_equal(antoum_move(&r->w, SUMI_CARD_OP_STORE, ANTOUM_BASE_OUT, a.at, BYTES, b.at, a.bytes),
                       SUMI_OK);
      for (int c = 0; c < CORES; c++) memcpy(m->out[c] + a.at, m->sram[c] + b.at, a.bytes);
      break;
    case 2:
      assert_int_equal(antoum_move(&r->w, SUMI_CARD_OP_STORE, ANTOUM_BASE_SPILL, a.at, BYTES, b.at, a.bytes),
                       SUMI_OK);
      for (int c = 0; c < CORES; c++) memcpy(m->spill[c] + a.at, m->sram[c] + b.at, a.bytes);
      break;
    case 3:
      assert_int_equal(antoum_move(&r->w, SUMI_CARD_OP_LOAD, ANTOUM_BASE_SPILL, a.at, BYTES, b.at, a.bytes),
                       SUMI_OK);
      for (int c = 0; c < CORES; c++) memcpy(m->sram[c] + b.at, m->spill[c] + a.at, a.bytes);
      break;
    case 4: {
      const struct span part = random_span(random, IMAGE);
      assert_int_equal(antoum_load_shared(&r->w, ANTOUM_BASE_CODE, part.at, b.at, part.bytes), SUMI_OK);
      for (int c = 0; c < CORES; c++) memcpy(m->sram[c] + b.at, antoum_image_at(&r->w, part.at), part.bytes);
      break;
    }
    case 5:
      if (apart(a, other)) reshape(r, m, a, b.at);
      break;
    default:
      if (apart(a, other)) vector(r, m, a, b.at);
  }
}

static void run_random(uint64_t seed, int cores, bool split) {
  static struct antoum_rig r;
  static struct model m, got;
  struct sumi_random random;
  uint8_t *image;
  uint64_t at;
  sumi_random_init(&random, seed);
  memset(&m, 0, sizeof m);
  assert_true(antoum_rig_open(&r, cores, NULL, NULL));
  r.w.split = split;
  assert_int_equal(antoum_image(&r.w, IMAGE, &image, &at), SUMI_OK);
  for (int i = 0; i < IMAGE; i++) image[i] = (uint8_t)below(&random, 256);
  for (int c = 0; c < CORES; c++)
    for (int i = 0; i < BYTES; i++) m.in[c][i] = (uint8_t)below(&random, 256);
  assert_int_equal(antoum_rig_put(&r, ANTOUM_BASE_IN, 0, m.in, sizeof m.in), 0);
  /* all of SRAM, of what is spilled and of the outputs is known at first */
  const uint32_t zeros = 0;
  assert_int_equal(antoum_move(&r.w, SUMI_CARD_OP_LOAD, ANTOUM_BASE_OUT, 0, BYTES, zeros, BYTES), SUMI_OK);
  for (int i = 0; i < WORDS; i++) add_word(&r, &m, &random);
  assert_int_equal(antoum_move(&r.w, SUMI_CARD_OP_STORE, ANTOUM_BASE_IN, 0, BYTES, 0, BYTES), SUMI_OK);
  const struct sumi_card_completion done = antoum_rig_run(&r);
  if (done.error) fail_msg("seed %d: %s, word %u", (int)seed, sumi_card_error_text(done.error), done.word);
  assert_int_equal(antoum_rig_get(&r, ANTOUM_BASE_IN, 0, got.sram, sizeof got.sram), 0);
  assert_int_equal(antoum_rig_get(&r, ANTOUM_BASE_OUT, 0, got.out, sizeof got.out), 0);
  assert_int_equal(antoum_rig_get(&r, ANTOUM_BASE_SPILL, 0, got.spill, sizeof got.spill), 0);
  assert_memory_equal(got.sram, m.sram, (size_t)cores * BYTES);
  assert_memory_equal(got.out, m.out, (size_t)cores * BYTES);
  assert_memory_equal(got.spill, m.spill, (size_t)cores * BYTES);
  assert_int_equal(sumi_sim_hazards(r.rig.sim), 0);
  antoum_rig_close(&r);
}

static void one_core(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) run_random(seed, 1, false);
}

static void four_cores(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) run_random(seed, 4, false);
}

static void split(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) run_random(seed, 3 + (int)(seed % 2), true);
}

/* More words that wait for one each of another engine's than there is room for tokens; all of those may have ended before. */
static void tokens(void **state) {
  (void)state;
  enum { PAIRS = 3 * SUMI_CARD_TOKENS };
  static struct antoum_rig r;
  static struct model m, got;
  memset(&m, 0, sizeof m);
  for (int i = 0; i < BYTES; i++) m.in[0][i] = (uint8_t)(i * 7);
  assert_true(antoum_rig_open(&r, 1, NULL, NULL));
  assert_int_equal(antoum_rig_put(&r, ANTOUM_BASE_IN, 0, m.in[0], BYTES), 0);
  assert_int_equal(antoum_move(&r.w, SUMI_CARD_OP_LOAD, ANTOUM_BASE_IN, 0, 0, 0, BYTES), SUMI_OK);
  memcpy(m.sram[0], m.in[0], BYTES);
  for (uint32_t i = 0; i < PAIRS; i++) reshape(&r, &m, (struct span){i, 1}, BYTES / 2 + i);
  for (uint32_t i = 0; i < PAIRS; i++) vector(&r, &m, (struct span){BYTES / 2 + i, 1}, i);
  assert_int_equal(antoum_move(&r.w, SUMI_CARD_OP_STORE, ANTOUM_BASE_IN, 0, 0, 0, BYTES), SUMI_OK);
  assert_int_equal(antoum_rig_run(&r).error, 0);
  assert_int_equal(antoum_rig_get(&r, ANTOUM_BASE_IN, 0, got.sram[0], BYTES), 0);
  assert_memory_equal(got.sram[0], m.sram[0], BYTES);
  assert_int_equal(sumi_sim_hazards(r.rig.sim), 0);
  antoum_rig_close(&r);
}

/* More programs than program memory holds. */
static void programs(void **state) {
  (void)state;
  static struct antoum_rig r;
  assert_true(antoum_rig_open(&r, 1, NULL, NULL));
  uint16_t at, again;
  struct sumi_card_vop op[100] = {{SUMI_CARD_V_IMM, 0, 0, 0, 0}};
  for (uint32_t i = 0; i < 99; i++) op[i + 1] = (struct sumi_card_vop){SUMI_CARD_V_IMM, 1, 0, 0, i};
  for (uint32_t i = 0; i < 5; i++) {
    op[0].c = i;
    assert_int_equal(antoum_program(&r.w, op, 100, &at), SUMI_OK);
    const size_t n = r.w.n_word;
    assert_int_equal(antoum_program(&r.w, op, 100, &again), SUMI_OK);
    assert_int_equal(again, at);
    assert_int_equal(r.w.n_word, n);
    assert_true(at + 100 <= SUMI_CARD_VPU_OPS);
  }
  assert_int_equal(antoum_rig_run(&r).error, 0);
  antoum_rig_close(&r);
}

/* Pieces of the image that hold the same are one. */
static void shared_pieces(void **state) {
  (void)state;
  enum { PIECES = 5, PIECE = 200 };
  static const uint8_t what[PIECES] = {1, 2, 1, 3, 2};
  static struct antoum_rig r;
  uint64_t at[PIECES];
  uint8_t *p;
  assert_true(antoum_rig_open(&r, 1, NULL, NULL));
  for (int i = 0; i < PIECES; i++) {
    assert_int_equal(antoum_image(&r.w, PIECE, &p, &at[i]), SUMI_OK);
    for (int k = 0; k < PIECE; k++) assert_int_equal(p[k], 0);
    memset(p, what[i], PIECE);
    antoum_image_share(&r.w, PIECE, &at[i]);
  }
  for (int i = 0; i < PIECES; i++)
    for (int k = 0; k < PIECE; k++) assert_int_equal(antoum_image_at(&r.w, at[i])[k], what[i]);
  assert_int_equal(at[2], at[0]);
  assert_int_equal(at[4], at[1]);
  assert_true(r.w.image_bytes < 4 * PIECE);
  assert_int_equal(antoum_image(&r.w, PIECE / 2, &p, &at[1]), SUMI_OK);
  memset(p, 1, PIECE / 2);
  antoum_image_share(&r.w, PIECE / 2, &at[1]); /* shorter: another piece */
  assert_true(at[1] >= at[3] + PIECE);
  antoum_rig_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_core), cmocka_unit_test(four_cores),
                                     cmocka_unit_test(split),    cmocka_unit_test(programs),
                                     cmocka_unit_test(tokens),   cmocka_unit_test(shared_pieces)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
