/* SPU against plain loops, bit for bit: every k, both types, geometries, padding, partial banks, zero points, top-K; and its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>

#include "base/half.h"
#include "base/random.h"
#include "base/size.h"
#include "cpu/cpu.h"
#include "sim/sim_test.h"

enum { X_AT = 0, W_AT = 0x10000, OUT = RIG_DATA + 0x80000, W_BYTES = 0x20000, CH_AT = 0x3f000 };

struct shape {
  int images, in_h, in_w, channels, outputs, kernel_h, kernel_w, stride, dilation, pad, k, x_top;
  bool bf16, u8, dual;
};

static const struct shape shapes[] = {
    {1, 1, 1, 32, 1, 1, 1, 1, 1, 0, 1, 0, false, false, false},
    {1, 7, 5, 64, 33, 1, 1, 1, 1, 0, 2, 0, false, true, false},
    {2, 6, 6, 96, 8, 3, 3, 1, 1, 1, 4, 0, false, false, false},
    {1, 9, 8, 48, 5, 3, 2, 2, 1, 1, 8, 0, false, true, false},
    {1, 12, 12, 32, 4, 3, 3, 1, 2, 2, 16, 0, false, false, false},
    {1, 11, 11, 3, 16, 7, 7, 2, 1, 3, 32, 0, false, true, false},
    {1, 9, 9, 15, 70, 5, 5, 1, 1, 2, 32, 0, false, false,
     false}, /* an odd bank, as many taps as a block has */
    {1, 9, 9, 31, 3, 3, 3, 1, 1, 1, 16, 0, false, true, false},
    {3, 5, 4, 70, 12, 1, 1, 1, 1, 0, 32, 0, false, false, false},
    {1, 1, 70, 640, 3, 1, 1, 1, 1, 0, 32, 0, false, true,
     false}, /* more products than float32 sums exactly */
    {1, 6, 7, 64, 9, 3, 3, 1, 1, 1, 4, 0, true, false, false},
    {1, 4, 10, 40, 7, 1, 3, 1, 1, 1, 32, 0, true, false, false},
    {1, 2, 3, 2112, 3, 1, 1, 1, 1, 0, 1, 0, true, false, false}, /* more taps than a block has */
    {1, 8, 8, 64, 20, 3, 3, 1, 1, 1, 8, 0, false, true, true},
    {1, 8, 8, 64, 20, 3, 3, 1, 1, 1, 8, 5, false, false, true},
    {1, 5, 9, 64, 70, 1, 1, 1, 1, 0, 32, 3, false, true, false},
};

struct problem {
  struct shape s;
  int out_h, out_w, banks;
  int x_zero, w_zero;
  uint8_t *x, *w; /* x: [image, y, x, channel]; w as the contract wants it */
  float *dense;   /* operands [output, ky, kx, channel] */
  size_t x_bytes, w_row, w_bytes;
};

static double operand(const struct problem *p, int i, int y, int x, int c) {
  const struct shape *s = &p->s;
  if (y < 0 || x < 0 || y >= s->in_h || x >= s->in_w) return 0;
  const size_t at =
      (((size_t)i * (size_t)s->in_h + (size_t)y) * (size_t)s->in_w + (size_t)x) * (size_t)s->channels;
  double value[32];
  const int first = c / 32 * 32, n = SUMI_MIN(32, s->channels - first);
  for (int j = s->x_top ? 0 : c - first; j < (s->x_top ? n : c - first + 1); j++) {
    uint16_t half;
    const uint8_t *b = p->x + (at + (size_t)(first + j)) * (s->bf16 ? 2 : 1);
    if (s->bf16)
      memcpy(&half, b, 2), value[j] = sumi_f32_from_bf16(half);
    else
      value[j] = (s->u8 ? *b : (int8_t)*b) - p->x_zero;
  }
  if (!s->x_top) return value[c - first];
  int larger = 0; /* channels that come before this one */
  for (int j = 0; j < n; j++)
    larger += fabs(value[j]) > fabs(value[c - first]) ||
              (fabs(value[j]) == fabs(value[c - first]) && j < c - first);
  return larger >= s->x_top ? 0 : value[c - first];
}

static void fill(struct problem *p, struct sumi_random *random) {
  const struct shape *s = &p->s;
  const size_t elem = s->bf16 ? 2 : 1;
  for (size_t i = 0; i < p->x_bytes / elem; i++) {
    const uint16_t half = sumi_bf16_from_f32((float)sumi_random_normal(random));
    if (s->bf16)
      memcpy(p->x + 2 * i, &half, 2);
    else
      p->x[i] = (uint8_t)(sumi_random_uniform(random) < 0.4 ? (unsigned)p->x_zero : sumi_random_u64(random));
  }
  uint8_t *to = p->w;
  for (int n = 0; n < s->outputs; n++)
    for (int tap = 0; tap < s->kernel_h * s->kernel_w; tap++)
      for (int b = 0; b < p->banks; b++) {
        const int channels = SUMI_MIN(32, s->channels - 32 * b), pairs = s->k == 32 ? channels : s->k;
        float *dense = p->dense + ((n * s->kernel_h * s->kernel_w + tap) * p->banks + b) * 32;
        uint8_t *bits = to + (size_t)pairs * elem;
        int left = pairs, at = 0;
        for (int c = 0; c < channels; c++) {
          if (sumi_random_uniform(random) * (channels - c) >= left) continue;
          const uint16_t half = sumi_bf16_from_f32((float)sumi_random_normal(random));
          const uint8_t byte = (uint8_t)(sumi_random_u64(random) | 1); /* no pair that is 0 by chance */
          if (s->bf16)
            memcpy(to + 2 * at, &half, 2), dense[c] = sumi_f32_from_bf16(half);
          else
            to[at] = byte, dense[c] = (float)((int8_t)byte - p->w_zero);
          for (int i = 0; s->k < 32 && i < 5; i++)
            bits[(at * 5 + i) / 8] |= (uint8_t)((c >> i & 1) << (at * 5 + i) % 8);
          at++, left--;
        }
        to += sumi_card_group_bytes((uint32_t)s->k, (uint32_t)elem, (uint32_t)channels);
      }
  p->w_bytes = (size_t)(to - p->w);
  p->w_row = p->w_bytes / (size_t)s->outputs;
}

static void problem_init(struct problem *p, struct shape s, struct sumi_random *random) {
  *p = (struct problem){.s = s, .banks = (s.channels + 31) / 32};
  const int reach = s.dilation;
  p->out_h = (s.in_h + 2 * s.pad - (s.kernel_h - 1) * reach - 1) / s.stride + 1;
  p->out_w = (s.in_w + 2 * s.pad - (s.kernel_w - 1) * reach - 1) / s.stride + 1;
  p->x_zero = s.bf16 ? 0 : s.u8 ? 7 : -128;
  p->w_zero = s.bf16 || s.k < 32 ? 0 : 3;
  p->x_bytes = (size_t)(s.images * s.in_h * s.in_w * s.channels) * (s.bf16 ? 2 : 1);
  p->x = calloc(1, p->x_bytes);
  p->w = calloc(1, W_BYTES);
  p->dense = calloc((size_t)(s.outputs * s.kernel_h * s.kernel_w * p->banks * 32), sizeof(float));
  fill(p, random);
  assert_true(p->x_bytes <= W_AT && p->w_bytes <= W_BYTES);
}

static void problem_fini(struct problem *p) {
  free(p->x);
  free(p->w);
  free(p->dense);
}

/* The contract's sum, in its order. */
static uint32_t sum(const struct problem *p, int i, int oy, int ox, int n, uint32_t start) {
  const struct shape *s = &p->s;
  float real = sumi_f32_from_bits(start);
  uint32_t whole = start;
  for (int t = 0; t < s->kernel_h * s->kernel_w; t++)
    for (int c = 0; c < s->channels; c++) {
      const float w = p->dense[((n * s->kernel_h * s->kernel_w + t) * p->banks) * 32 + c];
      const int y = oy * s->stride + t / s->kernel_w * s->dilation - s->pad;
      const int x = ox * s->stride + t % s->kernel_w * s->dilation - s->pad;
      const double v = operand(p, i, y, x, c);
      const volatile float product = w * (float)v; /* rounded by itself */
      real += product;
      whole += (uint32_t)((int32_t)w * (int32_t)v);
    }
  return s->bf16 ? sumi_f32_bits(real) : whole;
}

static union sumi_card_word spu_word(const struct problem *p, uint16_t flags) {
  const struct shape *s = &p->s;
  const uint32_t c = (uint32_t)s->channels;
  union sumi_card_word w = {.spu = {.h = rig_header(SUMI_CARD_OP_SPU, RIG_BIT(LOAD), RIG_BIT(VPU))}};
  struct sumi_card_spu *u = &w.spu;
  u->h.flags = (uint16_t)(flags | (s->dual ? SUMI_CARD_SPU_DUAL : 0));
  u->x = SUMI_CARD_AT(SUMI_CARD_HERE, X_AT);
  u->w = SUMI_CARD_AT(SUMI_CARD_HERE, W_AT);
  u->acc = SUMI_CARD_AT(SUMI_CARD_ACC, 64);
  u->x_pixel = c, u->x_row = c * (uint32_t)s->in_w, u->x_image = u->x_row * (uint32_t)s->in_h, u->x_bank = 32;
  u->w_step_bytes = (uint32_t)p->w_row;
  u->images = (uint16_t)s->images, u->in_rows = (uint16_t)s->in_h, u->in_cols = (uint16_t)s->in_w;
  u->banks = (uint16_t)p->banks, u->last_bank = (uint8_t)(c - 32 * ((uint32_t)p->banks - 1));
  u->rows = (uint16_t)p->out_h, u->cols = (uint16_t)p->out_w, u->outputs = (uint16_t)s->outputs;
  u->kernel_h = (uint8_t)s->kernel_h, u->kernel_w = (uint8_t)s->kernel_w;
  u->stride_h = u->stride_w = (uint8_t)s->stride, u->dilation_h = u->dilation_w = (uint8_t)s->dilation;
  u->pad_top = u->pad_left = (int16_t)s->pad;
  u->x_dtype = s->bf16 ? SUMI_CARD_BF16 : s->u8 ? SUMI_CARD_U8 : SUMI_CARD_I8;
  u->w_dtype = s->bf16 ? SUMI_CARD_BF16 : SUMI_CARD_I8;
  u->x_zero = (int16_t)p->x_zero, u->w_zero = (int16_t)p->w_zero;
  u->k = (uint8_t)s->k, u->x_top = (uint8_t)s->x_top;
  return w;
}

/* Copies n accumulators as they are to OUT by a vector program and STORE. */
static void add_readout(union sumi_card_word *w, uint32_t n) {
  w[0].program = (struct sumi_card_vector_program){.h = rig_header(SUMI_CARD_OP_PROGRAM, 0, 0), .n = 2};
  w[0].program.op[0] = (struct sumi_card_vop){.op = SUMI_CARD_V_LD, .d = 1, .a = 0};
  w[0].program.op[1] = (struct sumi_card_vop){.op = SUMI_CARD_V_ST, .d = 1, .a = 1};
  w[1].vector = (struct sumi_card_vector){
      .h = rig_header(SUMI_CARD_OP_VPU, RIG_BIT(SPU), RIG_BIT(STORE)), .body = 2, .n = {1, 1, n}};
  w[1].vector.view[0] = (struct sumi_card_view){
      .at = SUMI_CARD_AT(SUMI_CARD_ACC, 64), .step = {0, 0, 1}, .dtype = SUMI_CARD_I32};
  w[1].vector.view[1] = (struct sumi_card_view){
      .at = SUMI_CARD_AT(SUMI_CARD_HERE, 0), .step = {0, 0, 1}, .dtype = SUMI_CARD_I32};
  w[2] = rig_move(SUMI_CARD_OP_STORE, OUT, 0, n * 4, RIG_BIT(VPU), 0);
}

static void check(struct rig *r, const struct problem *p, bool twice) {
  const struct shape *s = &p->s;
  const int pixels = s->images * p->out_h * p->out_w;
  const uint32_t n = (uint32_t)(pixels * s->outputs);
  union sumi_card_word w[8];
  size_t at = 0;
  w[at++] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA, X_AT, (uint32_t)p->x_bytes, 0, 0);
  w[at++] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA + 0x40000, W_AT, (uint32_t)p->w_bytes, 0, RIG_BIT(SPU));
  w[at++] = spu_word(p, 0);
  if (twice) {
    w[at - 1].h.signal = 0;
    w[at] = spu_word(p, SUMI_CARD_SPU_ADD);
    w[at++].h.wait = 0;
  }
  add_readout(&w[at], n);
  assert_int_equal(rig_put(r, RIG_DATA, p->x, p->x_bytes), 0);
  assert_int_equal(rig_put(r, RIG_DATA + 0x40000, p->w, p->w_bytes), 0);
  assert_int_equal(rig_run(r, w, at + 3).error, 0);
  uint32_t *got = malloc(n * sizeof *got);
  assert_int_equal(rig_get(r, OUT, got, n * sizeof *got), 0);
  for (int o = 0; o < s->outputs; o++)
    for (int q = 0; q < pixels; q++) {
      const int i = q / p->out_w / p->out_h, y = q / p->out_w % p->out_h, x = q % p->out_w;
      uint32_t want = sum(p, i, y, x, o, 0);
      if (twice) want = sum(p, i, y, x, o, want);
      assert_int_equal(got[o * pixels + q], want);
    }
  free(got);
  assert_int_equal(sumi_sim_hazards(r->sim), 0);
}

static void every_shape(uint64_t seed) {
  struct rig r;
  struct sumi_random random;
  sumi_random_init(&random, seed);
  assert_true(rig_open(&r, NULL, NULL));
  for (size_t i = 0; i < SUMI_COUNT(shapes); i++) {
    struct problem p;
    problem_init(&p, shapes[i], &random);
    check(&r, &p, false);
    check(&r, &p, true);
    problem_fini(&p);
  }
  rig_close(&r);
}

static void test_exact(void **state) {
  (void)state;
  every_shape(1);
  const enum sumi_isa level = sumi_cpu_isa();
  sumi_cpu_limit(SUMI_ISA_REF); /* the plain twin of the faster loop */
  every_shape(1);
  sumi_cpu_limit(level);
}

static struct sumi_sim_account account(struct rig *r, const struct problem *p) {
  struct sumi_sim_account a;
  sumi_sim_forget(r->sim);
  check(r, p, false);
  sumi_sim_total(r->sim, &a);
  return a;
}

/* ceil(P / 32) * ceil(N / 64) * ceil(T / 2) * k + 32, k the channels of a single dense bank, twice that for BF16; and what was multiplied. */
static void test_time(void **state) {
  (void)state;
  struct rig r;
  struct sumi_random random;
  sumi_random_init(&random, 2);
  assert_true(rig_open(&r, NULL, NULL));
  for (size_t i = 0; i < SUMI_COUNT(shapes); i++) {
    const struct shape *s = &shapes[i];
    if (s->dual) continue;
    struct problem p;
    problem_init(&p, *s, &random);
    const struct sumi_sim_account a = account(&r, &p);
    const uint64_t pixels = (uint64_t)(s->images * p.out_h * p.out_w),
                   taps = (uint64_t)(s->kernel_h * s->kernel_w);
    const uint64_t blocks =
        (pixels + 31) / 32 * (((uint64_t)s->outputs + 63) / 64) * ((taps * (uint64_t)p.banks + 1) / 2);
    const int k = s->k == 32 && p.banks == 1 ? s->channels : s->k;
    assert_int_equal(a.alone[SUMI_CARD_ON_SPU], 32 + blocks * (uint64_t)k * (s->bf16 ? 2 : 1));
    const uint64_t dense = pixels * (uint64_t)s->outputs * taps * (uint64_t)s->channels;
    assert_int_equal(a.dense_macs, dense);
    assert_int_equal(a.executed_macs,
                     s->k == 32 ? dense : pixels * (uint64_t)s->outputs * taps * (uint64_t)(p.banks * s->k));
    assert_int_equal(a.count[s->bf16 ? SUMI_SIM_MAC_BF16 : SUMI_SIM_MAC_I8], a.executed_macs);
    problem_fini(&p);
  }
  rig_close(&r);
}

/* 32 pixels on 64 outputs and two banks is one block: its cycles are those of the slowest of its multipliers. */
static void test_dual_time(void **state) {
  (void)state;
  struct rig r;
  struct sumi_random random;
  sumi_random_init(&random, 3);
  assert_true(rig_open(&r, NULL, NULL));
  const struct shape s = {1, 4, 8, 256, 20, 1, 1, 1, 1, 0, 8, 0, false, true, true};
  struct problem p;
  problem_init(&p, s, &random);
  const struct sumi_sim_account a = account(&r, &p);
  uint64_t slowest = 0, pairs = 0;
  for (int n = 0; n < s.outputs; n++)
    for (int q = 0; q < 32; q++)
      for (int lane = 0; lane < 2; lane++) {
        uint64_t cycles = 0;
        for (int b = lane; b < 8; b += 2) {
          uint64_t left = 0;
          for (int c = 0; c < 32; c++)
            left += p.dense[(n * 8 + b) * 32 + c] != 0 && operand(&p, 0, q / 8, q % 8, b * 32 + c) != 0;
          cycles += SUMI_MAX(left, 1);
          pairs += left;
        }
        slowest = SUMI_MAX(slowest, cycles);
      }
  assert_int_equal(a.executed_macs, pairs);
  assert_int_equal(a.alone[SUMI_CARD_ON_SPU], 32 + slowest);
  assert_true(slowest < 32); /* less than 4 banks of 8 */
  problem_fini(&p);
  rig_close(&r);
}

/* A large product: 32x sparsity against dense. */
static void test_speed_up(void **state) {
  (void)state;
  struct rig r;
  static const char *const settings[] = {"sram_bytes=8388608", "acc_bytes=2097152", NULL};
  assert_true(rig_open(&r, &(struct sumi_sim_options){.timing_only = true}, settings));
  uint64_t cycles[2];
  for (int i = 0; i < 2; i++) {
    struct problem p = {.s = {1, 32, 32, 2048, 448, 1, 1, 1, 1, 0, i ? 1 : 32, 0, false, false, false}};
    p.out_h = p.out_w = 32, p.banks = 64, p.w_row = i ? 128 : 2048;
    union sumi_card_word w = spu_word(&p, 0);
    w.spu.h.wait = w.spu.h.signal = 0;
    w.spu.w = SUMI_CARD_AT(SUMI_CARD_HERE, 0x400000);
    const struct sumi_card_completion c = rig_run(&r, &w, 1);
    assert_int_equal(c.error, 0);
    cycles[i] = c.finished - c.started;
  }
  assert_true((double)cycles[0] / (double)cycles[1] >= 28);
  rig_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact), cmocka_unit_test(test_time),
                                     cmocka_unit_test(test_dual_time), cmocka_unit_test(test_speed_up)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
