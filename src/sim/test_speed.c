/* How fast the simulator is: simulated cycles a second of processor time, with small words and without data, and with data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <time.h>

#include "base/size.h"
#include "sim/sim_test.h"

static const char *const settings[] = {"sram_bytes=8388608", "acc_bytes=2097152", NULL};

/* A 3x3 convolution of 64 channels to 64, dense. */
static union sumi_card_word conv(int side, int wait, int signal) {
  union sumi_card_word w = {.spu = {.h = rig_header(SUMI_CARD_OP_SPU, (unsigned)wait, (unsigned)signal)}};
  struct sumi_card_spu *u = &w.spu;
  u->x = SUMI_CARD_AT(15, 0), u->w = SUMI_CARD_AT(15, 0x100000), u->acc = SUMI_CARD_AT(14, 0);
  u->x_pixel = 64, u->x_row = 64 * (uint32_t)side, u->x_bank = 32, u->w_step_bytes = 576;
  u->images = 1, u->in_rows = u->in_cols = u->rows = u->cols = (uint16_t)side, u->banks = 2, u->outputs = 64;
  u->kernel_h = u->kernel_w = 3, u->stride_h = u->stride_w = u->dilation_h = u->dilation_w = 1;
  u->pad_top = u->pad_left = 1, u->k = 32, u->last_bank = 32;
  return w;
}

static union sumi_card_word requantise(int side, int wait, int signal) {
  union sumi_card_word w = {.act = {.h = rig_header(SUMI_CARD_OP_ACT, (unsigned)wait, (unsigned)signal)}};
  struct sumi_card_act *a = &w.act;
  a->h.flags = SUMI_CARD_ACT_FIRST, a->acc = SUMI_CARD_AT(14, 0), a->channel = SUMI_CARD_AT(15, 0x200000);
  a->out = SUMI_CARD_AT(15, 0x300000), a->out_pixel = 64, a->out_row = 64 * (uint32_t)side, a->out_bank = 32;
  a->images = 1, a->rows = a->cols = (uint16_t)side, a->channels = 64, a->acc_dtype = SUMI_CARD_I32;
  a->first_hi = 127;
  return w;
}

/* layers times LOAD, SPU, ACT, STORE on every core; returns simulated cycles a second of processor time. */
static double speed(bool timing_only, int side, size_t layers, double *macs_a_second) {
  struct rig r;
  const struct sumi_sim_options options = {.timing_only = timing_only};
  assert_true(rig_open(&r, &options, settings));
  union sumi_card_word *w = calloc(layers * 4, sizeof *w);
  for (size_t i = 0; i < layers; i++) {
    w[4 * i] = rig_move(SUMI_CARD_OP_LOAD, RIG_DATA, 0x400000, 4096, 0, RIG_BIT(SPU));
    w[4 * i + 1] = conv(side, RIG_BIT(LOAD) | (i ? RIG_BIT(ACT) : 0), RIG_BIT(ACT));
    w[4 * i + 2] = requantise(side, RIG_BIT(SPU), RIG_BIT(SPU) | RIG_BIT(STORE));
    w[4 * i + 3] = rig_move(SUMI_CARD_OP_STORE, RIG_DATA, 0x300000, 4096, RIG_BIT(ACT), 0);
  }
  for (int c = 0; c < 4; c++) assert_int_equal(rig_program(&r, c, w, layers * 4), 0);
  const clock_t start = clock();
  const struct sumi_card_completion c = rig_go(&r, 0xf);
  const double seconds = (double)(clock() - start + 1) / CLOCKS_PER_SEC;
  struct sumi_sim_account a;
  assert_int_equal(c.error, 0);
  sumi_sim_total(r.sim, &a);
  *macs_a_second = (double)a.executed_macs / seconds;
  free(w);
  rig_close(&r);
  return (double)(c.finished - c.started) / seconds;
}

static void test_speed(void **state) {
  (void)state;
  double macs;
  const double fine = speed(true, 7, 100, &macs); /* words of a few hundred cycles */
  print_message("without data: %.0f million cycles/s\n", fine * 1e-6);
  assert_true(fine >= 1e6);
  const double data = speed(false, 28, 3, &macs);
  print_message("with data: %.2f million cycles/s, %.2f billion MAC/s\n", data * 1e-6, macs * 1e-9);
  assert_true(data > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_speed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
