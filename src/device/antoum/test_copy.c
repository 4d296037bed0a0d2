/* COPY and LOOKUP cells against plain loops: random nests and ids over operands in SRAM and in DRAM, on one core and on four. */
#include "device/antoum/cells_test.h"

static void plain_copy(const struct bench *b, const struct sumi_cell_copy *v, int core, size_t e) {
  int64_t i[SUMI_CELL_LOOPS] = {0};
  const uint64_t fill = v->fill;
  for (;;) {
    int64_t to = v->to.at, from = v->from.at;
    for (int d = 0; d < v->rank; d++) to += i[d] * v->to.step[d], from += i[d] * v->from.step[d];
    const void *s =
        v->from.operand < 0 ? (const void *)&fill : b->data[v->from.operand][core] + (size_t)from * e;
    memcpy(b->want[v->to.operand][core] + (size_t)to * e, s, e);
    int d = v->rank - 1;
    for (; d >= 0 && ++i[d] == v->n[d]; d--) i[d] = 0;
    if (d < 0) return;
  }
}

static void test_copies(void **state) {
  (void)state;
  static const sumi_dtype types[] = {SUMI_INT8, SUMI_FLOAT16, SUMI_BFLOAT16, SUMI_FLOAT32, SUMI_INT64};
  for (uint64_t seed = 0; seed < 200; seed++) {
    struct bench b;
    open_random(&b, seed);
    struct sumi_cell cell = {.kind = SUMI_CELL_COPY};
    struct sumi_cell_copy *v = &cell.u.copy;
    const sumi_dtype type = types[below(&b, 5)];
    v->rank = 1 + (int)below(&b, 6);
    random_counts(&b, v->rank, v->n, 12000);
    if (below(&b, 3) == 0) { /* rows that are moved as they are */
      random_counts(&b, v->rank - 1, v->n, 80);
      v->n[v->rank - 1] = 64 + 8 * below(&b, 9);
    }
    v->fill = (uint32_t)sumi_random_u64(&b.random);
    add_view(&b, &v->to, type, random_view(&b, &v->to, v->rank, v->n, false, 1), false);
    v->from.operand = -1;
    if (below(&b, 5)) {
      const int64_t elements = random_view(&b, &v->from, v->rank, v->n, true, 1);
      if (below(&b, 2)) memcpy(v->from.step, v->to.step, sizeof v->from.step), v->from.at = v->to.at;
      add_view(&b, &v->from, type, SUMI_MAX(elements, b.operand[0].dim[0]), true);
    }
    for (int c = 0; c < b.rig.w.cores; c++) plain_copy(&b, v, c, (size_t)sumi_dtype_bits(type) / 8);
    check(&b, &cell);
    bench_close(&b);
  }
}

static void test_lookups(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 40; seed++) {
    struct bench b;
    open_random(&b, seed);
    struct sumi_cell cell = {.kind = SUMI_CELL_LOOKUP};
    struct sumi_cell_lookup *l = &cell.u.lookup;
    const sumi_dtype type = vector_types[below(&b, 5)], ids = seed % 2 ? SUMI_INT32 : SUMI_INT64;
    struct sumi_cell_view id, out;
    const size_t e = (size_t)sumi_dtype_bits(type) / 8, id_bytes = (size_t)sumi_dtype_bits(ids) / 8;
    *l = (struct sumi_cell_lookup){
        .rows = 1 + below(&b, 60), .row = 1 + below(&b, 300), .n = 1 + below(&b, 90)};
    add_view(&b, &out, type, l->row * l->n, false);
    add_view(&b, &id, ids, l->n, true);
    l->out = out.operand, l->ids = id.operand, l->table = add(&b, type, l->rows * l->row, CONSTANT);
    for (int c = 0; c < CORES; c++)
      for (int64_t i = 0; i < l->n; i++) {
        int64_t row = (i * 31 + (b.operand[l->ids].data ? 0 : c)) % l->rows;
        sumi_set_i64(ids, b.data[l->ids][c], i, i % 3 ? row : row - l->rows);
        memcpy(b.want[l->out][c] + (size_t)(i * l->row) * e, b.data[l->table][0] + (size_t)(row * l->row) * e,
               (size_t)l->row * e);
      }
    for (int c = 0; c < CORES; c++) memcpy(b.want[l->ids][c], b.data[l->ids][c], (size_t)l->n * id_bytes);
    if (b.operand[l->ids].data)
      memcpy(antoum_image_at(&b.rig.w, b.place[l->ids].at), b.data[l->ids][0], (size_t)l->n * id_bytes);
    check(&b, &cell);
    bench_close(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_copies), cmocka_unit_test(test_lookups)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
