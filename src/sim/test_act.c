/* ACT against the contract's formula written out again in double precision where that is exact, and against integer requantisation. */
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

enum {
  IMAGES = 2,
  ROWS = 3,
  COLS = 5,
  CHANNELS = 43,
  PIXELS = IMAGES * ROWS * COLS,
  N = PIXELS * CHANNELS,
  X_AT = 0,
  W_AT = 0x1000,
  CHANNEL_AT = 0x8000,
  RESIDUAL_AT = 0x10000,
  TABLE_AT = 0x20000,
  OUT_AT = 0x28000,
  OUT = RIG_DATA + 0x80000
};

struct data {
  int32_t acc[N]; /* [channel, pixel] */
  struct sumi_card_channel channel[CHANNELS];
  int8_t residual[N]; /* [pixel, channel] */
  uint8_t table[256];
  int8_t x[PIXELS * 32], w[CHANNELS * 32];
};

static void data_init(struct data *d, struct sumi_random *r) {
  for (size_t i = 0; i < sizeof d->x; i++) d->x[i] = (int8_t)sumi_random_u64(r);
  for (size_t i = 0; i < sizeof d->w; i++) d->w[i] = (int8_t)sumi_random_u64(r);
  for (int c = 0; c < CHANNELS; c++)
    for (int p = 0; p < PIXELS; p++) {
      int32_t sum = 0;
      for (int k = 0; k < 32; k++) sum += d->x[p * 32 + k] * d->w[c * 32 + k];
      d->acc[c * PIXELS + p] = sum;
    }
  for (int c = 0; c < CHANNELS; c++)
    d->channel[c] = (struct sumi_card_channel){.bias = (int32_t)(sumi_random_u64(r) % 20001) - 10000,
                                               .scale = (float)(0.003 + 0.004 * sumi_random_uniform(r)),
                                               .add = (float)sumi_random_normal(r) * 8};
  for (int i = 0; i < N; i++) d->residual[i] = (int8_t)sumi_random_u64(r);
  for (int i = 0; i < 256; i++) d->table[i] = (uint8_t)(i * 7 + 3);
}

static union sumi_card_word spu_word(void) {
  union sumi_card_word w = {.spu = {.h = rig_header(SUMI_CARD_OP_SPU, RIG_BIT(LOAD), RIG_BIT(ACT))}};
  struct sumi_card_spu *u = &w.spu;
  u->x = SUMI_CARD_AT(SUMI_CARD_HERE, X_AT), u->w = SUMI_CARD_AT(SUMI_CARD_HERE, W_AT);
  u->acc = SUMI_CARD_AT(SUMI_CARD_ACC, 0);
  u->x_pixel = 32, u->x_row = 32 * COLS, u->x_image = 32 * COLS * ROWS, u->w_step_bytes = 32;
  u->images = IMAGES, u->in_rows = u->rows = ROWS, u->in_cols = u->cols = COLS;
  u->banks = 1, u->last_bank = 32, u->outputs = CHANNELS, u->k = 32;
  u->kernel_h = u->kernel_w = u->stride_h = u->stride_w = u->dilation_h = u->dilation_w = 1;
  return w;
}

/* out and residual: [pixel, channel] without gaps. */
static union sumi_card_word act_word(unsigned flags, unsigned dtype) {
  union sumi_card_word w = {.act = {.h = rig_header(SUMI_CARD_OP_ACT, RIG_BIT(SPU), RIG_BIT(STORE))}};
  struct sumi_card_act *a = &w.act;
  a->h.flags = (uint16_t)flags;
  a->acc = SUMI_CARD_AT(SUMI_CARD_ACC, 0), a->channel = SUMI_CARD_AT(SUMI_CARD_HERE, CHANNEL_AT);
  a->out = SUMI_CARD_AT(SUMI_CARD_HERE, OUT_AT), a->residual = SUMI_CARD_AT(SUMI_CARD_HERE, RESIDUAL_AT);
  a->table = SUMI_CARD_AT(SUMI_CARD_HERE, TABLE_AT);
  a->out_pixel = CHANNELS, a->out_row = CHANNELS * COLS, a->out_image = CHANNELS * COLS * ROWS,
  a->out_bank = 32;
  a->images = IMAGES, a->rows = ROWS, a->cols = COLS, a->channels = CHANNELS;
  a->acc_dtype = SUMI_CARD_I32, a->out_dtype = (uint8_t)dtype, a->residual_dtype = SUMI_CARD_I8;
  const float low = dtype == SUMI_CARD_I8 ? -128 : 0;
  a->first_zero = 5, a->first_lo = low, a->first_hi = low + 255;
  a->c = (struct sumi_card_stage){0.75f, 1, 9, low, low + 255};
  a->r = (struct sumi_card_stage){0.5f, 1, 3, 3, low + 255}; /* a clamp at zero: ReLU */
  a->r_zero = -11, a->r_mul = 0.3f, a->alpha = 0.1f;
  return w;
}

static void run(struct rig *r, const struct data *d, union sumi_card_word act, void *out, size_t bytes) {
  union sumi_card_word w[9];
  const struct {
    const void *data;
    uint32_t at, bytes;
  } in[] = {{d->x, X_AT, sizeof d->x},
            {d->w, W_AT, sizeof d->w},
            {d->channel, CHANNEL_AT, sizeof d->channel},
            {d->residual, RESIDUAL_AT, sizeof d->residual},
            {d->table, TABLE_AT, sizeof d->table}};
  size_t n = 0;
  for (; n < SUMI_COUNT(in); n++) {
    assert_int_equal(rig_put(r, RIG_DATA + in[n].at, in[n].data, in[n].bytes), 0);
    w[n] =
        rig_move(SUMI_CARD_OP_LOAD, RIG_DATA + in[n].at, in[n].at, in[n].bytes, 0, n == 4 ? RIG_BIT(SPU) : 0);
  }
  w[n++] = spu_word();
  w[n++] = act;
  w[n++] = rig_move(SUMI_CARD_OP_STORE, OUT, OUT_AT, (uint32_t)bytes, RIG_BIT(ACT), 0);
  assert_int_equal(rig_run(r, w, n).error, 0);
  assert_int_equal(rig_get(r, OUT, out, bytes), 0);
}

/* What a QLinear operator does with a sum (op/requantize.h): round(sum * scale) + zero point, held to the type. */
static void test_requantise(void **state) {
  struct rig *r = *state;
  struct data d;
  struct sumi_random random;
  sumi_random_init(&random, 11);
  data_init(&d, &random);
  for (unsigned dtype = SUMI_CARD_I8; dtype <= SUMI_CARD_U8; dtype++) {
    static uint8_t got[N];
    int saturated = 0;
    struct sumi_sim_account account;
    sumi_sim_forget(r->sim);
    run(r, &d, act_word(SUMI_CARD_ACT_FIRST, dtype), got, N);
    sumi_sim_total(r->sim, &account);
    assert_int_equal(account.alone[SUMI_CARD_ON_ACT], 24 + (N + 255) / 256);
    assert_int_equal(account.count[SUMI_SIM_ACT], N);
    for (int i = 0; i < N; i++) {
      const struct sumi_card_channel *c = &d.channel[i % CHANNELS];
      const float scaled = (float)(d.acc[i % CHANNELS * PIXELS + i / CHANNELS] + c->bias) * c->scale;
      const float low = dtype == SUMI_CARD_I8 ? -128 : 0, q = rintf(scaled) + 5;
      const float held = q < low ? low : q > low + 255 ? low + 255 : q;
      saturated += held != q;
      assert_int_equal(got[i], (uint8_t)(int)held);
    }
    assert_true(saturated > 0 && saturated < N);
  }
}

static float half_even(float v, float zero, float lo, float hi) {
  const float a = lo - zero, b = hi - zero;
  return rintf(fminf(fmaxf(v, a), b));
}

/* Both stages behind the first. */
static void test_stages(void **state) {
  struct rig *r = *state;
  struct data d;
  struct sumi_random random;
  sumi_random_init(&random, 12);
  data_init(&d, &random);
  const unsigned flags = SUMI_CARD_ACT_CHANNEL | SUMI_CARD_ACT_RESIDUAL | SUMI_CARD_ACT_TABLE;
  for (unsigned first = 0; first <= SUMI_CARD_ACT_FIRST; first++) {
    static uint8_t got[N];
    union sumi_card_word w = act_word(flags | first, SUMI_CARD_U8);
    w.act.function = SUMI_CARD_F_LEAKY_RELU;
    w.act.r.out_mul = 1.25f;
    w.act.r.lo = 0;
    w.act.r_zero = 1;
    run(r, &d, w, got, N);
    for (int i = 0; i < N; i++) {
      const struct sumi_card_channel *c = &d.channel[i % CHANNELS];
      const float dot = (float)(d.acc[i % CHANNELS * PIXELS + i / CHANNELS] + c->bias);
      const float q = half_even(dot * c->scale, 5, 0, 255);
      const float v = half_even(first ? fmaf(q, 0.75f, c->add) : fmaf(dot, c->scale, c->add), 9, 0, 255);
      const float u = fmaf(v, 0.5f, (float)(d.residual[i] - 1) * 0.3f);
      const float z = half_even((u < 0 ? 0.1f * u : u) * 1.25f, 3, 0, 255) + 3;
      assert_int_equal(got[i], d.table[(int)z]);
    }
  }
}

static void test_real(void **state) {
  struct rig *r = *state;
  struct data d;
  struct sumi_random random;
  sumi_random_init(&random, 13);
  data_init(&d, &random);
  static float got[N];
  static uint16_t half[N];
  union sumi_card_word w = act_word(SUMI_CARD_ACT_CHANNEL | SUMI_CARD_ACT_REAL, SUMI_CARD_F32);
  w.act.function = SUMI_CARD_F_GELU;
  w.act.c.out_mul = 2;
  run(r, &d, w, got, sizeof got);
  w.act.out_dtype = SUMI_CARD_BF16;
  run(r, &d, w, half, sizeof half);
  for (int i = 0; i < N; i++) {
    const struct sumi_card_channel *c = &d.channel[i % CHANNELS];
    const float v = fmaf((float)(d.acc[i % CHANNELS * PIXELS + i / CHANNELS] + c->bias), c->scale, c->add);
    const float want = 0.5f * v * (1.0f + sumi_erf_f32(v * 0.70710678f)) * 2;
    assert_true(got[i] == want);
    assert_true(fabs(got[i] - (double)v * (1 + erf(v * sqrt(0.5)))) <= 1e-5 * (1 + fabs(v)));
    assert_int_equal(half[i], sumi_bf16_from_f32(want));
  }
}

static int set_up(void **state) {
  static struct rig r;
  *state = &r;
  return rig_open(&r, NULL, (const char *const[]){"act_lanes=256", NULL}) ? 0 : -1;
}

static int tear_down(void **state) {
  rig_close(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_requantise), cmocka_unit_test(test_stages),
                                     cmocka_unit_test(test_real)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
