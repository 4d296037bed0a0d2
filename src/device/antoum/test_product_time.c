/* How well products keep the card busy where their operands lie in SRAM, and how long it takes to compile them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "base/random.h"
#include "device/antoum/antoum_test.h"

enum { CORES = 4, WEIGHTS = 2 << 20, SRAM = 8 << 20 };

/* Seconds that compiling may take, of processor time; sanitizers are an order slower. */
#ifdef SUMI_SANITIZED
static const double limit = 5;
#else
static const double limit = 0.25;
#endif

/* A convolution of `groups` groups as one core sees it: channels and outputs of a group. k: banks keep so many weights. */
struct layer {
  int images, size, groups, channels, outputs, kernel, stride, k;
  bool transposed; /* weights lie [kernel, channel, output] */
};

struct result {
  double span, spu, act, load; /* cycles; of a core */
  double seconds;              /* of compiling */
  struct antoum_facts facts;
};

static struct sumi_cell_product cell_of(const struct layer *l) {
  struct sumi_cell_product v = {
      .x = {.operand = 0}, .w = {.operand = 1}, .y = {.operand = 2}, .residual = {.operand = -1}};
  const int64_t out = (l->size - 1) / l->stride + 1;
  v.n_outer = 1, v.outer[0] = l->groups, v.param_outer = true;
  v.images = l->images, v.in_rows = v.in_cols = l->size, v.rows = v.cols = out;
  v.channels = l->channels, v.outputs = l->outputs;
  v.x.step[0] = l->channels, v.x_pixel = (int64_t)l->groups * l->channels, v.x_row = v.x_pixel * l->size;
  v.x_image = v.x_row * l->size;
  v.y.step[0] = l->outputs, v.y_pixel = (int64_t)l->groups * l->outputs, v.y_row = v.y_pixel * out;
  v.y_image = v.y_row * out;
  v.kernel_h = v.kernel_w = l->kernel, v.stride_h = v.stride_w = l->stride, v.dilation_h = v.dilation_w = 1;
  v.pad_top = v.pad_left = l->kernel / 2;
  v.w_col = 1, v.w_row = l->kernel, v.w_channel = (int64_t)l->kernel * l->kernel;
  v.w_output = v.w_channel * l->channels, v.w.step[0] = v.w_output * l->outputs;
  if (l->transposed) {
    v.w_output = 1, v.w_channel = l->outputs, v.w_col = v.w_channel * l->channels,
    v.w_row = v.w_col * l->kernel;
    v.w.step[0] = v.w_row * l->kernel;
  }
  v.flags = SUMI_CARD_ACT_FIRST, v.first_lo = -128, v.first_hi = 127;
  return v;
}

/* Compiles for SRAM of which the last part is the weights' and runs it, time only. */
static struct result run(const struct layer *l, const uint8_t *weights) {
  struct result result = {0};
  struct antoum_rig r;
  static const char *const settings[] = {"sram_bytes=8388608", "acc_bytes=2097152", NULL};
  assert_true(antoum_rig_open(&r, CORES, &(struct sumi_sim_options){.timing_only = true}, settings));
  const struct sumi_cell_product v = cell_of(l);
  const int64_t x_bytes = v.x_image * l->images;
  const struct sumi_cell_operand operand[3] = {
      {.dtype = SUMI_INT8},
      {.dtype = SUMI_INT8, .data = weights, .bytes = (size_t)(v.w.step[0] * l->groups)},
      {.dtype = SUMI_INT8}};
  const struct antoum_place place[3] = {{.at = 0}, {.at = 0}, {.at = (uint64_t)(x_bytes + 63) / 64 * 64}};
  assert_true(place[2].at + (uint64_t)(v.y_image * l->images) <= SRAM - WEIGHTS);
  r.w.weights.lo = SRAM - WEIGHTS;
  r.w.weights.hi = r.w.scratch.lo = r.w.scratch.hi = SRAM;
  const struct antoum_options options = {.k = l->k};
  const struct antoum_cell_job job = {
      .w = &r.w, .options = &options, .operand = operand, .place = place, .facts = &result.facts};
  const clock_t start = clock();
  assert_int_equal(antoum_product_cell(&job, &v), SUMI_OK);
  result.seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
  const struct sumi_card_completion c = antoum_rig_run(&r);
  assert_int_equal(c.error, 0);
  assert_int_equal(sumi_sim_hazards(r.rig.sim), 0);
  struct sumi_sim_account a;
  sumi_sim_total(r.rig.sim, &a);
  result.span = (double)(c.finished - c.started);
  result.spu = (double)a.busy[SUMI_CARD_ON_SPU] / CORES;
  result.act = (double)a.busy[SUMI_CARD_ON_ACT] / CORES;
  result.load = (double)a.busy[SUMI_CARD_ON_LOAD];
  if (getenv("SHOW"))
    printf("%2d x %3d %4d * %4d -> %4d kernel %d stride %d k %2d: %8.0f cycles, SPU %.3f, ACT %.3f, LOAD "
           "%.3f, %zu "
           "words, %.1f ms, %.3f of dense\n",
           l->images, l->size, l->groups, l->channels, l->outputs, l->kernel, l->stride, l->k, result.span,
           result.spu / result.span, result.act / result.span, result.load / result.span, r.w.n_word,
           result.seconds * 1e3, result.facts.padded_macs / result.facts.dense_macs);
  antoum_rig_close(&r);
  return result;
}

/* No zeros. */
static uint8_t *draw(size_t bytes) {
  struct sumi_random random;
  sumi_random_init(&random, 1);
  uint8_t *w = malloc(bytes);
  assert_non_null(w);
  for (size_t i = 0; i < bytes; i++) w[i] = (uint8_t)(sumi_random_u64(&random) | 1);
  return w;
}

/* Layers of ResNet-50, 8 images a core, dense to 16 times sparse, and two depthwise ones of MobileNet: the busier one of SPU and
 * ACT works 80 % of the time at least. */
static void test_busy(void **state) {
  (void)state;
  static const struct layer layers[] = {
      {2, 224, 1, 3, 64, 7, 2, 0},     {8, 56, 1, 64, 64, 1, 1, 0},   {8, 56, 1, 64, 64, 3, 1, 0},
      {4, 56, 1, 64, 256, 1, 1, 0},    {4, 56, 1, 256, 128, 1, 1, 0}, {8, 28, 1, 128, 128, 3, 1, 0},
      {8, 28, 1, 128, 512, 1, 1, 0},   {8, 14, 1, 256, 256, 3, 1, 0}, {8, 14, 1, 256, 1024, 1, 1, 0},
      {8, 14, 1, 1024, 2048, 1, 2, 0}, {8, 7, 1, 512, 512, 3, 1, 0},  {8, 7, 1, 512, 2048, 1, 1, 0},
      {8, 7, 1, 2048, 512, 1, 1, 0},   {8, 28, 256, 1, 1, 3, 1, 0},   {8, 14, 512, 1, 1, 3, 1, 0}};
  uint8_t *weights = draw(512 * 512 * 9);
  for (size_t i = 0; i < SUMI_COUNT(layers); i++)
    for (int k = 32; k >= 2; k /= 4) {
      struct layer l = layers[i];
      if (l.groups > 1 && k < 32) continue;
      l.k = k;
      const struct result r = run(&l, weights);
      assert_true(SUMI_MAX(r.spu, r.act) >= 0.8 * r.span);
    }
  free(weights);
}

/* Compiling: 25 million weights of ResNet-50 in well under half a second, whatever their order and pattern; here a sixth of them. */
static void test_compile(void **state) {
  (void)state;
  static const struct layer layers[] = {
      {1, 1, 1, 2048, 2048, 1, 1, 0, false}, {1, 1, 1, 2048, 2048, 1, 1, 4, false},
      {1, 1, 1, 2048, 2048, 1, 1, 0, true},  {1, 1, 1, 2048, 2048, 1, 1, 16, true},
      {1, 7, 1, 512, 896, 3, 1, 0, false},   {1, 7, 1, 512, 896, 3, 1, 1, false}};
  uint8_t *weights = draw(2048 * 2048);
  for (size_t i = 0; i < SUMI_COUNT(layers); i++) {
    struct result r = run(&layers[i], weights);
    assert_true(r.seconds < limit);
  }
  for (size_t i = 0; i < 2048 * 2048; i++) /* an eighth is left */
    if (i * 2654435761u >> 20 & 7) weights[i] = 0;
  for (size_t i = 0; i < SUMI_COUNT(layers); i++) assert_true(run(&layers[i], weights).seconds < limit);
  free(weights);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_busy), cmocka_unit_test(test_compile)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
