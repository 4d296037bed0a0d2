/* Matrix products: float32 loops against the textbook loops in float64, integers against float64, transposed operands
 * against operands transposed by hand. probe_fill() gives multiples of 1/16 below 2, so sums are exact in any order and
 * results must be equal. */
#include "base/random.h"
#include "op/spmm_lower.h"
#include "op/test_probe.h"

enum { M = 5, N = 7, K = 37, BATCH = 3 };

static void *as(struct probe *p, sumi_dtype d, const float *x, int64_t n, double scale) {
  void *to = sumi_arena_alloc(&p->arena, (size_t)n * 8);
  assert_non_null(to);
  for (int64_t i = 0; i < n; i++) sumi_set_f64(d, to, i, (double)x[i] * scale);
  return to;
}

static void run(struct probe *p) {
  if (probe_run(p, 1) != SUMI_OK) fail_msg("%s", p->err.text);
}

static void same(const struct probe *a, const struct probe *b, double scale) {
  assert_int_equal(sumi_tensor_count(&a->out[0]), sumi_tensor_count(&b->out[0]));
  for (int64_t i = 0; i < sumi_tensor_count(&a->out[0]); i++) {
    const double x = sumi_get_f64(a->out[0].dtype, a->out[0].data, i);
    const double y = sumi_get_f64(b->out[0].dtype, b->out[0].data, i) * scale;
    if (x != y) fail_msg("element %d is %.9g, not %.9g", (int)i, x, y);
  }
}

/* [2, 1, M, K] times [BATCH, K, n] of one type. */
static void batched(struct probe *p, sumi_dtype d, int n, double scale) {
  probe_init(p, "MatMul");
  probe_in(p, d, as(p, d, probe_fill(p, 2 * M * K, 1), 2 * M * K, scale), 4, 2, 1, M, K);
  probe_in(p, d, as(p, d, probe_fill(p, BATCH * K * n, 2), BATCH * K * n, scale), 3, BATCH, K, n);
  run(p);
}

static void test_types(void **state) {
  (void)state;
  static const sumi_dtype ints[] = {SUMI_INT32, SUMI_INT64};
  static const int columns[] = {1, 7, 300}; /* a dot product, one block, two blocks */
  for (size_t c = 0; c < SUMI_COUNT(columns); c++) {
    struct probe d, f, i;
    batched(&d, SUMI_FLOAT64, columns[c], 1);
    batched(&f, SUMI_FLOAT32, columns[c], 1);
    same(&f, &d, 1);
    for (size_t k = 0; k < SUMI_COUNT(ints); k++) {
      batched(&i, ints[k], columns[c], 16);
      same(&i, &d, 256);
      probe_fini(&i);
    }
    probe_fini(&d);
    probe_fini(&f);
  }
}

/* x [a, b, c] with its dimensions in the order of perm. */
static float *permuted(struct probe *p, const float *x, const int *dim, const int *perm) {
  float *y = probe_fill(p, dim[0] * dim[1] * dim[2], 0);
  int i[3], at = 0;
  for (int u = 0; u < dim[perm[0]]; u++)
    for (int v = 0; v < dim[perm[1]]; v++)
      for (int w = 0; w < dim[perm[2]]; w++) {
        i[perm[0]] = u;
        i[perm[1]] = v;
        i[perm[2]] = w;
        y[at++] = x[(i[0] * dim[1] + i[1]) * dim[2] + i[2]];
      }
  return y;
}

static void test_transposed(void **state) {
  (void)state;
  /* how [batch, row, column] lies, by transpose and transBatch */
  static const int perm[2][2][3] = {{{0, 1, 2}, {1, 0, 2}}, {{0, 2, 1}, {2, 0, 1}}};
  static const int da[3] = {BATCH, M, K}, db[3] = {BATCH, K, N};
  for (int how = 0; how < 16; how++) {
    const int ta = how & 1, tb = how >> 1 & 1, ra = how >> 2 & 1, rb = how >> 3;
    struct probe plain, fused;
    probe_init(&plain, "MatMul");
    probe_init(&fused, "com.microsoft.FusedMatMul");
    const float *a = probe_fill(&plain, BATCH * M * K, 1), *b = probe_fill(&plain, BATCH * K * N, 2);
    probe_in(&plain, SUMI_FLOAT32, a, 3, BATCH, M, K);
    probe_in(&plain, SUMI_FLOAT32, b, 3, BATCH, K, N);
    const int *pa = perm[ta][ra], *pb = perm[tb][rb];
    probe_in(&fused, SUMI_FLOAT32, permuted(&fused, a, da, pa), 3, da[pa[0]], da[pa[1]], da[pa[2]]);
    probe_in(&fused, SUMI_FLOAT32, permuted(&fused, b, db, pb), 3, db[pb[0]], db[pb[1]], db[pb[2]]);
    probe_int(&fused, "transA", ta);
    probe_int(&fused, "transB", tb);
    probe_int(&fused, "transBatchA", ra);
    probe_int(&fused, "transBatchB", rb);
    probe_float(&fused, "alpha", 0.5f);
    run(&plain);
    run(&fused);
    same(&fused, &plain, 0.5);
    probe_fini(&plain);
    probe_fini(&fused);
  }
}

static void gemm(struct probe *p, sumi_dtype d, int ta, int tb, int c_rows, int c_columns) {
  probe_init(p, "Gemm");
  probe_int(p, "transA", ta);
  probe_int(p, "transB", tb);
  probe_float(p, "alpha", 0.5f);
  probe_float(p, "beta", 2);
  probe_in(p, d, as(p, d, probe_fill(p, M * K, 1), M * K, 1), 2, ta ? K : M, ta ? M : K);
  probe_in(p, d, as(p, d, probe_fill(p, K * N, 2), K * N, 1), 2, tb ? N : K, tb ? K : N);
  if (c_rows) probe_in(p, d, as(p, d, probe_fill(p, M * N, 3), M * N, 1), 2, c_rows, c_columns);
  p->node.version = 13;
  run(p);
}

static void test_gemm(void **state) {
  (void)state;
  static const int c[][2] = {{0, 0}, {1, 1}, {1, N}, {M, 1}, {M, N}};
  for (size_t k = 0; k < SUMI_COUNT(c); k++)
    for (int how = 0; how < 4; how++) {
      struct probe f, d;
      gemm(&f, SUMI_FLOAT32, how & 1, how >> 1, c[k][0], c[k][1]);
      gemm(&d, SUMI_FLOAT64, how & 1, how >> 1, c[k][0], c[k][1]);
      same(&f, &d, 1);
      probe_fini(&f);
      probe_fini(&d);
    }
}

/* A zero point per row and per column, each matrix with its own, against subtracting by hand. */
static void test_zero_points(void **state) {
  (void)state;
  struct probe q, d;
  struct sumi_random r;
  sumi_random_init(&r, 3);
  static uint8_t a[2 * M * K], az[2 * M];
  static int8_t b[2 * K * N], bz[2 * N];
  static double fa[2 * M * K], fb[2 * K * N];
  for (int i = 0; i < 2 * M; i++) az[i] = (uint8_t)sumi_random_u64(&r);
  for (int i = 0; i < 2 * N; i++) bz[i] = (int8_t)sumi_random_u64(&r);
  for (int i = 0; i < 2 * M * K; i++) fa[i] = (a[i] = (uint8_t)sumi_random_u64(&r)) - (double)az[i / K];
  for (int i = 0; i < 2 * K * N; i++)
    fb[i] = (b[i] = (int8_t)sumi_random_u64(&r)) - (double)bz[i / (K * N) * N + i % N];
  probe_init(&q, "MatMulInteger");
  probe_in(&q, SUMI_UINT8, a, 3, 2, M, K);
  probe_in(&q, SUMI_INT8, b, 3, 2, K, N);
  probe_in(&q, SUMI_UINT8, az, 3, 2, M, 1);
  probe_in(&q, SUMI_INT8, bz, 3, 2, 1, N);
  run(&q);
  probe_init(&d, "MatMul");
  probe_in(&d, SUMI_FLOAT64, fa, 3, 2, M, K);
  probe_in(&d, SUMI_FLOAT64, fb, 3, 2, K, N);
  run(&d);
  same(&q, &d, 1);
  probe_fini(&q);
  probe_fini(&d);
}

static void test_refused(void **state) {
  (void)state;
  static const float x[64];
  static const struct {
    int a[3], rank_a, b[3], rank_b;
  } rows[] = {{{2, 3}, 2, {2, 3}, 2}, {{2, 2, 3}, 3, {3, 3, 2}, 3}, {{0}, 0, {2, 3}, 2}, {{3}, 1, {2}, 1}};
  for (size_t k = 0; k < SUMI_COUNT(rows); k++) {
    struct probe p;
    probe_init(&p, "MatMul");
    probe_in(&p, SUMI_FLOAT32, x, rows[k].rank_a, rows[k].a[0], rows[k].a[1], rows[k].a[2]);
    probe_in(&p, SUMI_FLOAT32, x, rows[k].rank_b, rows[k].b[0], rows[k].b[1], rows[k].b[2]);
    assert_int_equal(probe_run(&p, 1), SUMI_E_SHAPE);
    probe_fini(&p);
  }
}

static int below(struct sumi_random *r, int n) { return (int)(sumi_random_u64(r) % (unsigned)n); }

/* Tiles cover blocks x pixels once, begin at whole units, and leave no thread much more than its share. */
static void test_tiles(void **state) {
  (void)state;
  struct sumi_random random;
  sumi_random_init(&random, 1);
  for (int k = 0; k < 3000; k++) {
    const int threads = 1 + below(&random, 8);
    const int64_t block_unit = 1 << below(&random, 3), unit = 16 << below(&random, 3),
                  blocks = block_unit * (1 + below(&random, 24)), pixels = 1 + below(&random, 900);
    const int64_t words = 1 << below(&random, 20), planes = 1 << below(&random, 20);
    const struct sumi_spmm_tiles t = sumi_spmm_tile(block_unit, unit, threads, blocks, pixels, words, planes);
    static unsigned char seen[24 * 4][900];
    memset(seen, 0, sizeof seen);
    for (int64_t i = 0; i < t.count; i++) {
      const struct sumi_spmm_part p = sumi_spmm_tile_part(&t, i);
      assert_true(p.b0 < p.b1 && p.p0 < p.p1 && p.b0 % block_unit == 0 && p.p0 % unit == 0);
      for (int64_t b = p.b0; b < p.b1; b++)
        for (int64_t q = p.p0; q < p.p1; q++) seen[b][q]++;
    }
    for (int64_t b = 0; b < blocks; b++)
      for (int64_t q = 0; q < pixels; q++) assert_int_equal(seen[b][q], 1);
  }
  /* 17 units for two threads are 9 and 8, not 10 and 7 */
  const struct sumi_spmm_tiles t = sumi_spmm_tile(1, 48, 2, 16, 784, 512 * 128, 512 * 784);
  assert_int_equal(t.count, 2);
  assert_int_equal(sumi_spmm_tile_part(&t, 1).p0, 9 * 48);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),       cmocka_unit_test(test_transposed), cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_zero_points), cmocka_unit_test(test_refused),    cmocka_unit_test(test_tiles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
