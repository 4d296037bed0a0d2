/* Products at the limits of words and memories, what the facts count, what is refused and why, and memory that fails. */
#include "base/mem_test.h"
#include "device/antoum/product_test.h"

static struct antoum_facts run_seeded(struct spec s, const char *const *settings) {
  struct sumi_random random;
  sumi_random_init(&random, 9);
  return run(s, settings, &random);
}

/* Sums that one word or one load of weights cannot make: kernels and dilations beyond a byte, weights of a block of outputs beyond the
 * area, rows beyond 16 bits; windows that see padding only. */
static void test_long_sums(void **state) {
  (void)state;
  struct spec s = plain;
  s.channels = 640, s.outputs = 70, s.kernel_h = s.kernel_w = 3, s.pad_top = 1, s.dram = EVERYTHING;
  s.in_rows = 3, s.in_cols = 4;
  run_seeded(s, tiny);
  s.keep = 4, s.cores = 4;
  run_seeded(s, tiny);
  s.bf16 = true, s.real32 = true;
  run_seeded(s, tiny);
  s = plain, s.in_rows = 1, s.in_cols = 400, s.channels = 3, s.kernel_w = 300, s.pad_left = 20;
  run_seeded(s, small);
  s = plain, s.in_rows = 302, s.in_cols = 1, s.channels = 5, s.kernel_h = 2, s.dilation = 299;
  run_seeded(s, small);
  s = plain, s.in_rows = 1, s.in_cols = 70000, s.channels = 1, s.outputs = 1, s.stride_w = 7;
  run_seeded(s, wide);
  s = plain, s.in_rows = 2, s.in_cols = 2, s.kernel_h = s.kernel_w = 3, s.pad_top = s.pad_left = 40;
  run_seeded(s, wide);
  s.dram = EVERYTHING;
  run_seeded(s, tiny);
}

/* Computed weights as a kernel: [output, ky, kx, channel] is one row of a word; with gaps every tap is a word. */
static void test_computed_kernel(void **state) {
  (void)state;
  for (int gap = 0; gap < 2; gap++)
    for (int dram = 0; dram < 2; dram++) {
      struct spec s = plain;
      s.heads = s.batch = 1, s.kernel_h = 3, s.kernel_w = 2, s.channels = 40, s.dram = dram ? EVERYTHING : 0,
      s.w_gap = gap * 5;
      run_seeded(s, dram ? tiny : small);
    }
}

/* 72 channels are two banks and 8 more: with 16 of 32 kept, those 8 are a dense bank by themselves. */
static void test_facts(void **state) {
  (void)state;
  struct spec s = plain;
  s.channels = 72, s.keep = 16;
  struct antoum_facts f = run_seeded(s, small);
  const double pixels = 36, outputs = 16;
  assert_true(f.dense_macs == pixels * outputs * 72 && f.padded_macs == pixels * outputs * (16 + 16 + 8));
  assert_true(f.macs <= f.padded_macs && f.macs > 0.9 * f.padded_macs); /* a byte may be 0 */
  assert_int_equal(f.weight_bytes, 16 * (26 + 26 + 8));
  assert_int_equal(f.dense_weight_bytes, 16 * 72);
  assert_true(f.k_least == 16 && f.k_most == 16 && !f.streamed);
  s = plain, s.groups = 64, s.channels = s.outputs = 1, s.kernel_h = s.kernel_w = 3,
  s.pad_top = s.pad_left = 1;
  s.dram = EVERYTHING;
  f = run_seeded(s, tiny); /* depthwise: the channel itself is the index */
  assert_true(f.k_least == 1 && f.k_most == 1 && f.streamed);
  assert_true(f.dense_macs == pixels * 64 * 9 && f.padded_macs == f.dense_macs);
  assert_int_equal(f.weight_bytes, 64 * 9 * 2);
  s = plain, s.groups = 10, s.channels = 3, s.outputs = 2; /* 10 groups in one bank, 4 pairs for 3 channels */
  f = run_seeded(s, small);
  assert_true(f.k_least == 4 && f.dense_macs == pixels * 60 && f.padded_macs == pixels * 80);
  s = plain, s.channels = 3;
  f = run_seeded(s, small);
  assert_true(f.k_least == 32 && f.padded_macs == f.dense_macs);
}

static void test_top(void **state) {
  (void)state;
  struct spec s = plain;
  s.channels = 70, s.x_top = 5, s.dual = true, s.keep = 8;
  run_seeded(s, small);
  s.bf16 = true;
  run_seeded(s, small);
}

/* Boxes: operands of 100 KB each through 64 KB of SRAM, with what they need at their edges. */
static void test_boxes(void **state) {
  (void)state;
  struct spec s = plain;
  s.dram = EVERYTHING, s.images = 3, s.in_rows = 30, s.in_cols = 20, s.channels = 64, s.outputs = 48,
  s.residual = true;
  s.kernel_h = s.kernel_w = 3, s.pad_top = s.pad_left = 1, s.density = 0.1, s.cores = 4;
  assert_true(run_seeded(s, tiny).streamed);
  s.stride_h = s.stride_w = 2, s.transposed = true, s.gaps = true;
  assert_true(run_seeded(s, tiny).streamed);
  s = plain, s.dram = EVERYTHING, s.images = 2, s.outputs = 3, s.in_rows = s.in_cols = 40;
  s.kernel_h = s.kernel_w = 9, s.pad_top = s.pad_left = 4;
  for (s.channels = 4; s.channels <= 24;
       s.channels++) /* boxes at the border want fewer pixels than those inside */
    assert_true(run_seeded(s, tiny).streamed);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------ */

static void change_step(struct problem *p) { p->v.x_row = -1; }
static void change_type(struct problem *p) { p->operand[X].dtype = SUMI_FLOAT32; }
static void change_result(struct problem *p) { p->operand[Y].dtype = SUMI_INT32; }
static void change_stride(struct problem *p) { p->v.stride_h = 300; }
static void change_kernel(struct problem *p) { p->v.kernel_h = 0; }
static void change_count(struct problem *p) { p->v.images = 0; }
static void change_weights(struct problem *p) { p->operand[W].bytes--; }

static void test_refusals(void **state) {
  (void)state;
  static const struct {
    void (*change)(struct problem *);
    const char *says;
  } cases[] = {{change_step, "backwards"},
               {change_type, "8-bit integers or bfloat16"},
               {change_result, "results"},
               {change_stride, "stride"},
               {change_kernel, "kernel"},
               {change_count, "over nothing"},
               {change_weights, "weights"},
               {NULL, "area for weights"},
               {NULL, "scratch"}};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct antoum_rig r;
    struct problem p;
    struct sumi_random random;
    struct antoum_facts facts = {0};
    struct sumi_text refusals;
    struct spec s = plain;
    s.dram = EVERYTHING;
    sumi_random_init(&random, 1);
    sumi_text_init(&refusals, sumi_allocator_default());
    assert_true(antoum_rig_open(&r, 1, NULL, small));
    problem_init(&p, s, &random);
    place(&r, &p);
    if (cases[i].change) cases[i].change(&p);
    if (i == 7) r.w.weights.hi = r.w.weights.lo + 64;
    if (i == 8) r.w.scratch.hi = r.w.scratch.lo + 64;
    assert_int_equal(compile(&r, &p, &facts, &refusals), SUMI_E_UNSUPPORTED);
    assert_non_null(strstr(sumi_text_str(&refusals), cases[i].says));
    problem_fini(&p);
    sumi_text_fini(&refusals);
    antoum_rig_close(&r);
  }
}

/* Every allocation failing in turn. */
static void test_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    struct antoum_rig r;
    struct problem p;
    struct sumi_random random;
    struct antoum_facts facts = {0};
    struct spec s = plain;
    s.outputs = 130, s.dram = EVERYTHING, s.cores = 4;
    sumi_random_init(&random, 1);
    assert_true(antoum_rig_open(&r, 4, NULL, tiny));
    r.w.allocator = a;
    problem_init(&p, s, &random);
    place(&r, &p);
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = compile(&r, &p, &facts, NULL);
    assert_int_equal(status, heap.failed ? SUMI_E_MEMORY : SUMI_OK);
    problem_fini(&p);
    antoum_rig_close(&r);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) break;
    assert_true(n < 1000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_long_sums), cmocka_unit_test(test_computed_kernel),
                                     cmocka_unit_test(test_facts),     cmocka_unit_test(test_top),
                                     cmocka_unit_test(test_boxes),     cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
