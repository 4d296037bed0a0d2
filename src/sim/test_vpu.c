/* Vector programs against plain loops: softmax over rows, integer operations, gathers, every operation's result; the order of sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>

#include "base/fmath.h"
#include "base/random.h"
#include "base/size.h"
#include "sim/sim_test.h"

enum { IN = 0, MID = 0x10000, OUT_AT = 0x20000, DRAM_OUT = RIG_DATA + 0x80000 };

#define OP(name, ...) ((struct sumi_card_vop){.op = SUMI_CARD_V_##name, __VA_ARGS__})

static union sumi_card_word program(unsigned at, const struct sumi_card_vop *op, unsigned n) {
  union sumi_card_word w = {.program = {.h = rig_header(SUMI_CARD_OP_PROGRAM, 0, 0)}};
  w.program.at = (uint16_t)at, w.program.n = (uint16_t)n;
  memcpy(w.program.op, op, n * sizeof *op);
  return w;
}

static struct sumi_card_view view(uint32_t at, unsigned dtype, int32_t s0, int32_t s2) {
  return (struct sumi_card_view){
      .at = SUMI_CARD_AT(SUMI_CARD_HERE, at), .step = {s0, 0, s2}, .dtype = (uint8_t)dtype};
}

/* data to IN, then w[n], the last of which signals STORE, then bytes from OUT_AT. */
static struct sumi_card_completion run(struct rig *r, const void *data, size_t bytes,
                                       const union sumi_card_word *w, size_t n, void *out, size_t out_bytes) {
  union sumi_card_word all[16];
  size_t at = 0;
  assert_int_equal(rig_put(r, RIG_DATA, data, bytes), 0);
  all[at++] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA, IN, (uint32_t)bytes, 0, RIG_BIT(VPU));
  for (size_t i = 0; i < n; i++) all[at++] = w[i];
  all[1].h.wait = RIG_BIT(LOAD);
  all[at - 1].h.signal = RIG_BIT(STORE);
  all[at++] = rig_move(SUMI_CARD_OP_STORE, DRAM_OUT, OUT_AT, (uint32_t)out_bytes, RIG_BIT(VPU), 0);
  const struct sumi_card_completion c = rig_run(r, all, at);
  if (!c.error) assert_int_equal(rig_get(r, DRAM_OUT, out, out_bytes), 0);
  return c;
}

static float tree_sum(const float *x, int n) {
  float part[16] = {0};
  for (int i = 0; i < n; i++) part[i % 16] += x[i];
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; i++) part[i] += part[i + half];
  return part[0];
}

static void test_softmax(void **state) {
  enum { R = 5, C = 197 };
  static const struct sumi_card_vop ops[] = {OP(LD, .d = 1, .a = 0),
                                             OP(RMAX, .d = 2, .a = 1),
                                             OP(ST, .d = 2, .a = 1), /* row maximum */
                                             OP(LD, .d = 1, .a = 0),
                                             OP(LD, .d = 2, .a = 1),
                                             OP(SUB, .d = 3, .a = 1, .b = 2),
                                             OP(EXP, .d = 3, .a = 3),
                                             OP(ST, .d = 3, .a = 2),
                                             OP(RSUM, .d = 4, .a = 3),
                                             OP(IMM, .d = 5, .c = 0x3f800000),
                                             OP(DIV, .d = 4, .a = 5, .b = 4),
                                             OP(ST, .d = 4, .a = 3)};
  static const struct sumi_card_vop last[] = {OP(LD, .d = 1, .a = 2), OP(LD, .d = 2, .a = 3),
                                              OP(MUL, .d = 3, .a = 1, .b = 2), OP(ST, .d = 3, .a = 0)};
  struct rig *r = *state;
  struct sumi_random random;
  sumi_random_init(&random, 21);
  static float x[R][C], got[R][C];
  for (int i = 0; i < R * C; i++) x[i / C][i % C] = (float)sumi_random_normal(&random) * 3;
  union sumi_card_word w[5] = {program(0, ops, 12), program(12, last, 4)};
  const struct sumi_card_vector v = {.h = rig_header(SUMI_CARD_OP_VPU, 0, 0), .n = {R, 1, C}};
  w[2].vector = w[3].vector = w[4].vector = v;
  w[2].vector.body = 2, w[2].vector.tail = 1;
  w[2].vector.view[0] = view(IN, SUMI_CARD_F32, C, 1), w[2].vector.view[1] = view(MID, SUMI_CARD_F32, 1, 0);
  w[3].vector.start = 3, w[3].vector.body = 6, w[3].vector.tail = 3;
  w[3].vector.view[0] = view(IN, SUMI_CARD_F32, C, 1), w[3].vector.view[1] = view(MID, SUMI_CARD_F32, 1, 0);
  w[3].vector.view[2] = view(MID + 0x100, SUMI_CARD_F32, C, 1),
  w[3].vector.view[3] = view(MID + 64, SUMI_CARD_F32, 1, 0);
  w[4].vector.start = 12, w[4].vector.body = 4;
  memcpy(w[4].vector.view, w[3].vector.view, sizeof w[4].vector.view);
  w[4].vector.view[0] = view(OUT_AT, SUMI_CARD_F32, C, 1);
  sumi_sim_forget(r->sim);
  assert_int_equal(run(r, x, sizeof x, w, 5, got, sizeof got).error, 0);
  for (int i = 0; i < R; i++) {
    float most = -INFINITY, e[C];
    double sum = 0;
    for (int j = 0; j < C; j++) most = fmaxf(most, x[i][j]);
    for (int j = 0; j < C; j++) e[j] = sumi_exp_f32(x[i][j] - most), sum += exp((double)x[i][j] - most);
    const float scale = 1.0f / tree_sum(e, C);
    for (int j = 0; j < C; j++) {
      assert_true(got[i][j] == e[j] * scale);
      assert_true(fabs(got[i][j] - exp((double)x[i][j] - most) / sum) < 1e-6);
    }
  }
  /* 128 lanes, fewer than a row: two vectors each; log2(128) = 7 a reduction and 1 a constant, once; EXP and DIV cost 4; 16 to
   * start; PROGRAM one a word's operation */
  struct sumi_sim_account a;
  sumi_sim_total(r->sim, &a);
  const uint64_t first = 16 + 7 + R * (2 * 2 + 1), second = 16 + 7 + 1 + R * (2 * 9 + 5),
                 third = 16 + R * 2 * 4;
  assert_int_equal(a.alone[SUMI_CARD_ON_VPU], 12 + 4 + first + second + third);
  assert_int_equal(a.count[SUMI_SIM_SPECIAL], R * C + R);
}

static int32_t as_int(float x) { return (int32_t)sumi_f32_bits(x); }

static uint32_t gelu_table(int i) { return (uint32_t)(i * 31 % 256); }

/* What C makes of x and y; register c is 3. */
static int32_t expected(unsigned op, float left, float right) {
  const volatile float x = left, y = right;
  const int32_t xi = as_int(x), yi = as_int(y), sh = yi & 31;
  const int32_t want[] = {[SUMI_CARD_V_MOV] = xi,
                          [SUMI_CARD_V_ADD] = as_int(x + y),
                          [SUMI_CARD_V_SUB] = as_int(x - y),
                          [SUMI_CARD_V_MUL] = as_int(x * y),
                          [SUMI_CARD_V_FMA] = as_int(fmaf(x, y, 3)),
                          [SUMI_CARD_V_DIV] = as_int(x / y),
                          [SUMI_CARD_V_MIN] = as_int(x < y ? x : y),
                          [SUMI_CARD_V_MAX] = as_int(x > y ? x : y),
                          [SUMI_CARD_V_ABS] = as_int(fabsf(x)),
                          [SUMI_CARD_V_NEG] = as_int(-x),
                          [SUMI_CARD_V_FLOOR] = as_int(floorf(x)),
                          [SUMI_CARD_V_RINT] = as_int(rintf(x)),
                          [SUMI_CARD_V_SQRT] = as_int(sqrtf(x)),
                          [SUMI_CARD_V_EXP] = as_int(sumi_exp_f32(x)),
                          [SUMI_CARD_V_ERF] = as_int(sumi_erf_f32(x)),
                          [SUMI_CARD_V_TANH] = as_int(sumi_tanh_f32(x)),
                          [SUMI_CARD_V_SIGMOID] = as_int(sumi_sigmoid_f32(x)),
                          [SUMI_CARD_V_LT] = x < y,
                          [SUMI_CARD_V_LE] = x <= y,
                          [SUMI_CARD_V_EQ] = x == y,
                          [SUMI_CARD_V_SELECT] = xi ? yi : 0x40400000,
                          [SUMI_CARD_V_IADD] = (int32_t)((uint32_t)xi + (uint32_t)yi),
                          [SUMI_CARD_V_ISUB] = (int32_t)((uint32_t)xi - (uint32_t)yi),
                          [SUMI_CARD_V_IMUL] = (int32_t)((uint32_t)xi * (uint32_t)yi),
                          [SUMI_CARD_V_IMIN] = SUMI_MIN(xi, yi),
                          [SUMI_CARD_V_IMAX] = SUMI_MAX(xi, yi),
                          [SUMI_CARD_V_ILT] = xi < yi,
                          [SUMI_CARD_V_IEQ] = xi == yi,
                          [SUMI_CARD_V_AND] = xi & yi,
                          [SUMI_CARD_V_OR] = xi | yi,
                          [SUMI_CARD_V_XOR] = xi ^ yi,
                          [SUMI_CARD_V_SHL] = (int32_t)((uint32_t)xi << sh),
                          [SUMI_CARD_V_SAR] = xi >> sh,
                          [SUMI_CARD_V_I2F] = as_int((float)xi),
                          [SUMI_CARD_V_F2I] = x != x               ? 0
                                              : x >= 2147483648.0f ? INT32_MAX
                                                                   : (int32_t)rintf(SUMI_MIN(x, 1e9f))};
  return want[op];
}

/* Each operation on a few operands, against C. */
static void test_operations(void **state) {
  static const float xs[] = {0, -0.0f, 1.5f, -2.5f, 3e9f, -7, 0.25f, INFINITY, NAN, 1e-40f, 88, -0.75f};
  enum { N = SUMI_COUNT(xs) };
  struct rig *r = *state;
  for (unsigned op = SUMI_CARD_V_MOV; op < SUMI_CARD_V_RSUM; op++) {
    struct sumi_card_vop ops[6] = {OP(LD, .d = 1, .a = 0), OP(LD, .d = 2, .a = 1),
                                   OP(IMM, .d = 3, .c = 0x40400000)};
    ops[3] = (struct sumi_card_vop){.op = (uint8_t)op, .d = 4, .a = 1};
    const bool one = op == SUMI_CARD_V_MOV || (op >= SUMI_CARD_V_ABS && op <= SUMI_CARD_V_SIGMOID) ||
                     op == SUMI_CARD_V_I2F || op == SUMI_CARD_V_F2I;
    if (!one) ops[3].b = 2;
    if (op == SUMI_CARD_V_FMA || op == SUMI_CARD_V_SELECT) ops[3].c = 3;
    ops[4] = OP(ST, .d = 4, .a = 2);
    union sumi_card_word w[2] = {program(40, ops, 5)};
    w[1].vector = (struct sumi_card_vector){
        .h = rig_header(SUMI_CARD_OP_VPU, 0, 0), .start = 40, .body = 5, .n = {N, 1, N}};
    w[1].vector.view[0] = view(IN, SUMI_CARD_F32, 1, 0), w[1].vector.view[1] = view(IN, SUMI_CARD_F32, 0, 1);
    w[1].vector.view[2] = view(OUT_AT, SUMI_CARD_I32, N, 1);
    int32_t got[N][N];
    assert_int_equal(run(r, xs, sizeof xs, w, 2, got, sizeof got).error, 0);
    for (size_t i = 0; i < N * N; i++) {
      const int32_t want = expected(op, xs[i / N], xs[i % N]);
      const float a = sumi_f32_from_bits((uint32_t)got[i / N][i % N]), b = sumi_f32_from_bits((uint32_t)want);
      if (a == a || b == b) assert_int_equal(got[i / N][i % N], want); /* which NaN is nobody's business */
    }
  }
}

/* Bytes through a table, quantised and held to the type, indices, tails that count. */
static void test_bytes(void **state) {
  struct rig *r = *state;
  enum { N = 150 };
  struct {
    uint8_t table[256];
    int8_t x[N];
  } in;
  for (int i = 0; i < 256; i++) in.table[i] = (uint8_t)gelu_table(i);
  for (int i = 0; i < N; i++) in.x[i] = (int8_t)(i * 5);
  const struct sumi_card_vop ops[] = {
      OP(LD, .d = 1, .a = 1),           OP(IMM, .d = 2, .c = 255),
      OP(AND, .d = 1, .a = 1, .b = 2),  OP(GATHER, .d = 3, .a = 0, .b = 1, .c = 256),
      OP(INDEX, .d = 4, .a = 2),        OP(IADD, .d = 3, .a = 3, .b = 4),
      OP(ST, .d = 3, .a = 2),           OP(RISUM, .d = 5, .a = 4),
      OP(PARAM, .d = 6, .a = 1),        OP(F2I, .d = 6, .a = 6),
      OP(IADD, .d = 5, .a = 5, .b = 6), OP(ST, .d = 5, .a = 3)};
  union sumi_card_word w[2] = {program(0, ops, 12)};
  w[1].vector = (struct sumi_card_vector){
      .h = rig_header(SUMI_CARD_OP_VPU, 0, 0), .body = 8, .tail = 4, .n = {1, 1, N}, .param = {0, 2.5f, 0}};
  w[1].vector.view[0] = view(IN, SUMI_CARD_U8, 0, 1),
  w[1].vector.view[1] = view(IN + 256, SUMI_CARD_I8, 0, 1);
  w[1].vector.view[2] = view(OUT_AT + 4, SUMI_CARD_U8, 0, 1),
  w[1].vector.view[3] = view(OUT_AT, SUMI_CARD_I32, 0, 0);
  uint8_t got[4 + N];
  int32_t sum;
  assert_int_equal(run(r, &in, sizeof in, w, 2, got, sizeof got).error, 0);
  memcpy(&sum, got, 4);
  assert_int_equal(sum, N * (N - 1) / 2 + 2);
  for (int i = 0; i < N; i++) assert_int_equal(got[4 + i], SUMI_MIN(in.table[(uint8_t)in.x[i]] + i, 255));
  w[0].program.op[3].c = 100; /* the table ends earlier than the bytes reach */
  const struct sumi_card_completion c = run(r, &in, sizeof in, w, 2, got, sizeof got);
  assert_true(c.error == SUMI_CARD_ERROR_VECTOR && c.engine == SUMI_CARD_ON_VPU && c.detail >= 100);
}

/* The largest of 3 neighbours in a line, in one word: LD with distances; nothing outside SRAM by them. */
static void test_distance(void **state) {
  struct rig *r = *state;
  enum { N = 100 };
  int8_t x[N], got[N];
  for (int i = 0; i < N; i++) x[i] = (int8_t)(i * i * 7);
  struct sumi_card_vop ops[] = {OP(LD, .d = 1, .a = 0, .c = (uint32_t)-1), OP(LD, .d = 2, .a = 0),
                                OP(IMAX, .d = 1, .a = 1, .b = 2),          OP(LD, .d = 2, .a = 0, .c = 1),
                                OP(IMAX, .d = 1, .a = 1, .b = 2),          OP(ST, .d = 1, .a = 1, .c = 1)};
  union sumi_card_word w[2] = {program(0, ops, 6)};
  w[1].vector =
      (struct sumi_card_vector){.h = rig_header(SUMI_CARD_OP_VPU, 0, 0), .body = 6, .n = {1, 1, N - 2}};
  w[1].vector.view[0] = view(IN + 1, SUMI_CARD_I8, 0, 1),
  w[1].vector.view[1] = view(OUT_AT, SUMI_CARD_I8, 0, 1);
  assert_int_equal(run(r, x, sizeof x, w, 2, got, sizeof got).error, 0);
  for (int i = 1; i < N - 1; i++) assert_int_equal(got[i], SUMI_MAX(x[i], SUMI_MAX(x[i - 1], x[i + 1])));
  static const int32_t far[] = {-2, 1 << 18, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < SUMI_COUNT(far); i++) {
    w[0].program.op[0].c = (uint32_t)far[i];
    assert_int_equal(run(r, x, sizeof x, w, 2, got, sizeof got).error, SUMI_CARD_ERROR_SRAM);
  }
}

static int set_up(void **state) {
  static struct rig r;
  *state = &r;
  return rig_open(&r, NULL, (const char *const[]){"vpu_lanes=128", NULL}) ? 0 : -1;
}

static int tear_down(void **state) {
  rig_close(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_softmax), cmocka_unit_test(test_operations),
                                     cmocka_unit_test(test_bytes), cmocka_unit_test(test_distance)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
