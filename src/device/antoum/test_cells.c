/* VECTOR cells against plain loops: random nests over operands in SRAM and in DRAM, on one core and on four, each core with its
 * own data; no word begins while another works on its bytes. */
#include "device/antoum/cells_test.h"

#define OP(name, ...) ((struct sumi_card_vop){.op = SUMI_CARD_V_##name, __VA_ARGS__})

/* ---- plain loops over vector programs ------------------------------------------------------------------------------ */

union lane {
  float f;
  int32_t i;
};

struct loops {
  const struct bench *b;
  const struct sumi_cell_vector *cell;
  int core;
  int64_t i[SUMI_CELL_LOOPS];
};

static int64_t element(const struct loops *l, int view, bool start) {
  const struct sumi_cell_view *v = &l->cell->view[view];
  int64_t at = v->at;
  for (int d = 0; d < l->cell->rank - start; d++) at += l->i[d] * v->step[d];
  return at;
}

static union lane get(const struct loops *l, int view, int64_t at) {
  const int k = l->cell->view[view].operand;
  const sumi_dtype dtype = l->b->operand[k].dtype;
  assert_in_range(at, 0, l->b->operand[k].dim[0] - 1);
  if (sumi_dtype_is_float(dtype))
    return (union lane){.f = (float)sumi_get_f64(dtype, l->b->want[k][l->core], at)};
  return (union lane){.i = (int32_t)sumi_get_i64(dtype, l->b->want[k][l->core], at)};
}

static void put(const struct loops *l, int view, int64_t at, union lane x) {
  const int k = l->cell->view[view].operand;
  const sumi_dtype dtype = l->b->operand[k].dtype;
  const int64_t lo = dtype == SUMI_INT8 ? -128 : 0;
  assert_in_range(at, 0, l->b->operand[k].dim[0] - 1);
  if (sumi_dtype_is_float(dtype))
    sumi_set_f64(dtype, l->b->want[k][l->core], at, (double)x.f);
  else if (dtype == SUMI_INT32)
    sumi_set_i64(dtype, l->b->want[k][l->core], at, x.i);
  else
    sumi_set_i64(dtype, l->b->want[k][l->core], at, SUMI_MAX(lo, SUMI_MIN(x.i, lo + 255)));
}

/* One operation; red: what reductions have so far. */
static void operate(const struct loops *l, const struct sumi_card_vop *o, union lane *r, union lane *red) {
  const union lane a = r[o->a % 16], b = r[o->b % 16], c = r[o->c % 16];
  union lane *d = &r[o->d];
  const int index = l->cell->rank - 3 + o->a;
  switch (o->op) {
    case SUMI_CARD_V_LD: *d = get(l, o->a, element(l, o->a, false) + (int32_t)o->c); break;
    case SUMI_CARD_V_ST: put(l, o->a, element(l, o->a, false) + (int32_t)o->c, *d); break;
    case SUMI_CARD_V_GATHER:
      assert_true((uint32_t)b.i < o->c);
      *d = get(l, o->a, element(l, o->a, true) + b.i * l->cell->view[o->a].step[l->cell->rank - 1]);
      break;
    case SUMI_CARD_V_IMM: d->i = (int32_t)o->c; break;
    case SUMI_CARD_V_PARAM: d->f = l->cell->param[o->a]; break;
    case SUMI_CARD_V_INDEX: d->i = index < 0 ? 0 : (int32_t)l->i[index]; break;
    case SUMI_CARD_V_ADD: d->f = a.f + b.f; break;
    case SUMI_CARD_V_MUL: d->f = a.f * b.f; break;
    case SUMI_CARD_V_NEG: d->f = -a.f; break;
    case SUMI_CARD_V_IADD: d->i = a.i + b.i; break;
    case SUMI_CARD_V_IMUL: d->i = a.i * b.i; break;
    case SUMI_CARD_V_ILT: d->i = a.i < b.i; break;
    case SUMI_CARD_V_SELECT: *d = a.i ? b : c; break;
    case SUMI_CARD_V_I2F: d->f = (float)a.i; break;
    case SUMI_CARD_V_F2I: d->i = (int32_t)a.f; break; /* whole numbers only */
    case SUMI_CARD_V_RSUM: red[o->d].f += a.f; break;
    case SUMI_CARD_V_RISUM: red[o->d].i += a.i; break;
    case SUMI_CARD_V_RMAX: red[o->d].f = SUMI_MAX(red[o->d].f, a.f); break;
    default: fail();
  }
}

static void plain_loops(const struct bench *b, const struct sumi_cell_vector *cell, int core) {
  struct loops l = {.b = b, .cell = cell, .core = core};
  const int last = cell->rank - 1;
  union lane red[16] = {{0}};
  for (;;) {
    union lane r[16] = {{0}};
    for (int i = 0; i < cell->body; i++) {
      const bool max = cell->op[i].op == SUMI_CARD_V_RMAX;
      if (!l.i[last] && max) red[cell->op[i].d].f = -1e30f;
      if (!l.i[last] && (cell->op[i].op == SUMI_CARD_V_RSUM || cell->op[i].op == SUMI_CARD_V_RISUM))
        red[cell->op[i].d].i = 0;
      operate(&l, &cell->op[i], r, red);
    }
    if (l.i[last] == cell->n[last] - 1 && cell->tail) {
      memset(r, 0, sizeof r);
      for (int i = 0; i < cell->body; i++)
        if (cell->op[i].op >= SUMI_CARD_V_RSUM) r[cell->op[i].d] = red[cell->op[i].d];
      l.i[last] = 0;
      for (int i = 0; i < cell->tail; i++) operate(&l, &cell->op[cell->body + i], r, red);
      l.i[last] = cell->n[last] - 1;
    }
    int d = last;
    for (; d >= 0 && ++l.i[d] == cell->n[d]; d--) l.i[d] = 0;
    if (d < 0) return;
  }
}

static uint64_t run_vector(struct bench *b, const struct sumi_cell *cell) {
  for (int c = 0; c < b->rig.w.cores; c++) plain_loops(b, &cell->u.vector, c);
  return check(b, cell);
}

/* out = a * b + (a two elements on), in float. */
static int elements_of(void (*open)(struct bench *, uint64_t), uint64_t seeds) {
  int shared = 0;
  for (uint64_t seed = 0; seed < seeds; seed++) {
    struct bench b;
    open(&b, seed);
    struct sumi_cell cell = {.kind = SUMI_CELL_VECTOR};
    struct sumi_cell_vector *v = &cell.u.vector;
    v->rank = 1 + (int)below(&b, 6);
    random_counts(&b, v->rank, v->n, 12000);
    v->view[3].operand = -1;
    sumi_dtype type[3];
    for (int i = 0; i < 3; i++) {
      type[i] = vector_types[below(&b, 5)];
      const int64_t elements = random_view(&b, &v->view[i], v->rank, v->n, i, 1);
      add_view(&b, &v->view[i], type[i], elements + (i == 1 ? 2 : 0), i == 2);
    }
    const struct sumi_card_vop op[] = {
        OP(LD, .d = 1, .a = 1),
        OP(LD, .d = 2, .a = 2),
        OP(LD, .d = 4, .a = 1, .c = 2),
        sumi_dtype_is_float(type[1]) ? OP(IMM, .d = 9) : OP(I2F, .d = 1, .a = 1),
        sumi_dtype_is_float(type[2]) ? OP(IMM, .d = 9) : OP(I2F, .d = 2, .a = 2),
        sumi_dtype_is_float(type[1]) ? OP(IMM, .d = 9) : OP(I2F, .d = 4, .a = 4),
        OP(MUL, .d = 3, .a = 1, .b = 2),
        OP(ADD, .d = 3, .a = 3, .b = 4),
        sumi_dtype_is_float(type[0]) ? OP(IMM, .d = 9) : OP(F2I, .d = 3, .a = 3),
        OP(ST, .d = 3, .a = 0)};
    v->op = op;
    v->body = SUMI_COUNT(op);
    run_vector(&b, &cell);
    shared += b.rig.w.taken < b.rig.w.alone;
    bench_close(&b);
  }
  return shared;
}

static void test_elements(void **state) {
  (void)state;
  elements_of(open_random, 120);
}

static struct sumi_cell vector_cell(struct bench *b, int rank, const struct sumi_card_vop *op, int body,
                                    int tail) {
  struct sumi_cell cell = {.kind = SUMI_CELL_VECTOR,
                           .u.vector = {.rank = rank, .op = op, .body = body, .tail = tail}};
  for (int i = 0; i < SUMI_CARD_VPU_VIEWS; i++) cell.u.vector.view[i].operand = -1;
  random_counts(b, rank, cell.u.vector.n, 12000);
  return cell;
}

/* Sums, counts and maxima of rows; the tail also changes the row's first element. */
static int rows_of(void (*open)(struct bench *, uint64_t), uint64_t seeds) {
  int shared = 0;
  static const struct sumi_card_vop op[] = {
      OP(LD, .d = 1, .a = 1),          OP(RSUM, .d = 2, .a = 1),        OP(RMAX, .d = 3, .a = 1),
      OP(IMM, .d = 4, .c = 1),         OP(RISUM, .d = 5, .a = 4),       OP(I2F, .d = 5, .a = 5),
      OP(PARAM, .d = 6, .a = 1),       OP(MUL, .d = 5, .a = 5, .b = 6), OP(ADD, .d = 2, .a = 2, .b = 5),
      OP(ADD, .d = 2, .a = 2, .b = 3), OP(ST, .d = 2, .a = 0),          OP(ST, .d = 3, .a = 0, .c = 1)};
  for (uint64_t seed = 0; seed < seeds; seed++) {
    struct bench b;
    open(&b, seed);
    struct sumi_cell cell = vector_cell(&b, 1 + (int)below(&b, 6), op, 5, 7);
    struct sumi_cell_vector *v = &cell.u.vector;
    v->param[1] = 3;
    add_view(&b, &v->view[0], SUMI_FLOAT32, random_view(&b, &v->view[0], v->rank - 1, v->n, false, 2), false);
    v->view[0].step[v->rank - 1] = below(&b, 2) ? 0 : 77; /* means nothing: the tail is at the row's start */
    add_view(&b, &v->view[1], SUMI_BFLOAT16, random_view(&b, &v->view[1], v->rank, v->n, true, 1), true);
    run_vector(&b, &cell);
    shared += b.rig.w.taken < b.rig.w.alone;
    bench_close(&b);
  }
  return shared;
}

static void test_rows(void **state) {
  (void)state;
  rows_of(open_random, 60);
}

/* One item on all cores: they make parts of the results for each other. */
static void test_split(void **state) {
  (void)state;
  assert_true(elements_of(open_split, 90) > 20);
  assert_true(rows_of(open_split, 60) > 10);
}

/* The last three loops' indices are part of the result, also where loops are cut. */
static void test_indices(void **state) {
  (void)state;
  static const struct sumi_card_vop op[] = {OP(INDEX, .d = 1, .a = 0),
                                            OP(INDEX, .d = 2, .a = 1),
                                            OP(INDEX, .d = 3, .a = 2),
                                            OP(IMM, .d = 4, .c = 1000),
                                            OP(IMUL, .d = 2, .a = 2, .b = 4),
                                            OP(IMUL, .d = 1, .a = 1, .b = 4),
                                            OP(IMUL, .d = 1, .a = 1, .b = 4),
                                            OP(IADD, .d = 3, .a = 3, .b = 2),
                                            OP(IADD, .d = 3, .a = 3, .b = 1),
                                            OP(LD, .d = 5, .a = 1),
                                            OP(ILT, .d = 6, .a = 5, .b = 7),
                                            OP(NEG, .d = 8, .a = 3),
                                            OP(IADD, .d = 9, .a = 3, .b = 5),
                                            OP(SELECT, .d = 3, .a = 6, .b = 3, .c = 9),
                                            OP(ST, .d = 3, .a = 0)};
  for (uint64_t seed = 0; seed < 60; seed++) {
    struct bench b;
    open_random(&b, seed);
    struct sumi_cell cell = vector_cell(&b, 1 + (int)below(&b, 5), op, SUMI_COUNT(op), 0);
    struct sumi_cell_vector *v = &cell.u.vector;
    add_view(&b, &v->view[0], SUMI_INT32, random_view(&b, &v->view[0], v->rank, v->n, false, 1), false);
    add_view(&b, &v->view[1], SUMI_INT8, random_view(&b, &v->view[1], v->rank, v->n, true, 1), true);
    run_vector(&b, &cell);
    bench_close(&b);
  }
}

/* out = table[index] of a row's own table, which may also be read as it lies. */
static void test_gathers(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 60; seed++) {
    struct bench b;
    open_random(&b, seed);
    if (seed % 2) b.rig.w.scratch.lo = SRAM - (120 << 10); /* for tables in any order */
    const int64_t reach = 1 + below(&b, 100);
    const bool as_it_lies = below(&b, 3) == 0;
    const struct sumi_card_vop op[] = {OP(LD, .d = 1, .a = 1),
                                       OP(GATHER, .d = 2, .a = 2, .b = 1, .c = (uint32_t)reach),
                                       as_it_lies ? OP(LD, .d = 3, .a = 2) : OP(IMM, .d = 3),
                                       OP(IADD, .d = 2, .a = 2, .b = 3), OP(ST, .d = 2, .a = 0)};
    struct sumi_cell cell = vector_cell(&b, 1 + (int)below(&b, 5), op, SUMI_COUNT(op), 0);
    random_counts(&b, cell.u.vector.rank, cell.u.vector.n, 900);
    struct sumi_cell_vector *v = &cell.u.vector;
    const int last = v->rank - 1;
    add_view(&b, &v->view[0], SUMI_INT32, random_view(&b, &v->view[0], v->rank, v->n, false, 1), false);
    add_view(&b, &v->view[1], SUMI_INT32, random_view(&b, &v->view[1], v->rank, v->n, true, 1), true);
    for (int c = 0; c < CORES; c++)
      for (int64_t i = 0; i < b.operand[1].dim[0]; i++) {
        const int32_t id = (int32_t)(b.place[1].base == ANTOUM_BASE_CODE ? i * 7 % reach : below(&b, reach));
        ((int32_t *)(void *)b.data[1][c])[i] = ((int32_t *)(void *)b.want[1][c])[i] = id;
      }
    if (b.operand[1].data) memcpy(antoum_image_at(&b.rig.w, b.place[1].at), b.data[1][0], b.operand[1].bytes);
    int64_t n[SUMI_CELL_LOOPS];
    memcpy(n, v->n, sizeof n);
    n[last] = SUMI_MAX(reach, as_it_lies ? v->n[last] : 1);
    int64_t elements = 1;
    if (seed % 2)
      elements = random_view(&b, &v->view[2], v->rank, n, true, 1);
    else
      for (int d = last; d >= 0; d--) v->view[2].step[d] = elements, elements *= n[d];
    add_view(&b, &v->view[2], SUMI_INT8, elements, true);
    run_vector(&b, &cell);
    bench_close(&b);
  }
}

/* Rows that need the row before: y[i][j] = y[i - 1][j] + x[i][j]; pairs: two elements written next to each other. */
static void test_order(void **state) {
  (void)state;
  static const struct sumi_card_vop sums[] = {OP(LD, .d = 1, .a = 1), OP(LD, .d = 2, .a = 2),
                                              OP(IADD, .d = 1, .a = 1, .b = 2), OP(ST, .d = 1, .a = 0)};
  static const struct sumi_card_vop pairs[] = {OP(LD, .d = 1, .a = 1), OP(ST, .d = 1, .a = 0, .c = 3),
                                               OP(IADD, .d = 1, .a = 1, .b = 1),
                                               OP(ST, .d = 1, .a = 0, .c = 4)};
  for (uint64_t seed = 0; seed < 60; seed++) {
    struct bench b;
    open_random(&b, seed);
    const bool summed = seed % 2;
    struct sumi_cell cell = vector_cell(&b, summed ? 3 : 4, summed ? sums : pairs, 4, 0);
    struct sumi_cell_vector *v = &cell.u.vector;
    if (summed) { /* [n0][n1 + 1][n2], the sums along n1 */
      const int64_t row = v->n[2], all = v->n[0] * (v->n[1] + 1) * row;
      add_view(&b, &v->view[0], SUMI_INT32, all, false);
      v->view[2] = v->view[0] = (struct sumi_cell_view){0, row, {(v->n[1] + 1) * row, row, 1}};
      v->view[2].at = 0;
      add_view(&b, &v->view[1], SUMI_INT8, random_view(&b, &v->view[1], 3, v->n, true, 1), true);
    } else {
      add_view(&b, &v->view[0], SUMI_INT32, random_view(&b, &v->view[0], 4, v->n, false, 2), false);
      v->view[0].at -= 3;
      add_view(&b, &v->view[1], SUMI_INT8, random_view(&b, &v->view[1], 4, v->n, true, 1), true);
    }
    run_vector(&b, &cell);
    bench_close(&b);
  }
}

/* ---- what it costs, what is refused -------------------------------------------------------------------------------- */

static const struct sumi_card_vop doubled[] = {OP(LD, .d = 1, .a = 1), OP(IADD, .d = 1, .a = 1, .b = 1),
                                               OP(ST, .d = 1, .a = 0)};

static struct sumi_cell plain_cell(int64_t n0, int64_t n1, const struct sumi_card_vop *op, int body,
                                   int tail) {
  return (struct sumi_cell){.kind = SUMI_CELL_VECTOR,
                            .u.vector = {.rank = 2,
                                         .n = {n0, n1},
                                         .view = {{0, 0, {n1, 1}}, {1, 0, {n1, 1}}, {-1}, {-1}},
                                         .op = op,
                                         .body = body,
                                         .tail = tail}};
}

/* Moves and work overlap: much less time than one after the other. */
static void test_overlap(void **state) {
  (void)state;
  struct bench b;
  bench_open(&b, 1, 32 << 10, 1);
  add(&b, SUMI_INT8, 200 * 1000, IN_DRAM);
  add(&b, SUMI_INT8, 200 * 1000, IN_DRAM);
  struct sumi_cell cell = plain_cell(200, 1000, doubled, 3, 0);
  const uint64_t took = run_vector(&b, &cell);
  assert_true(b.facts.streamed);
  uint64_t busy = 0, longest = 0;
  for (int e = 0; e < SUMI_CARD_ENGINES; e++) {
    busy += b.account.alone[e];
    longest = SUMI_MAX(longest, b.account.alone[e]);
  }
  print_message("alone one after the other %llu cycles, the longest engine %llu, took %llu\n",
                (unsigned long long)busy, (unsigned long long)longest, (unsigned long long)took);
  assert_true(took < busy / 2);
  bench_close(&b);
}

/* Loops that are one loop are merged, and the innermost is the one that fills the lanes. */
static void test_few_words(void **state) {
  (void)state;
  struct bench b;
  bench_open(&b, 1, 32 << 10, 1);
  add(&b, SUMI_INT8, 60 * 1000, IN_SRAM);
  add(&b, SUMI_INT8, 60 * 1000, IN_SRAM);
  struct sumi_cell cell = plain_cell(60, 1000, doubled, 3, 0);
  run_vector(&b, &cell);
  assert_false(b.facts.streamed);
  assert_int_equal(b.account.count[SUMI_SIM_WORD], 2 + 1 + 1 + 2); /* moves of the test, PROGRAM, VPU */
  const uint64_t best = 60 * 1000 / 128 * 3;
  assert_in_range(b.account.alone[SUMI_CARD_ON_VPU], best, best + 64);
  bench_close(&b);
}

static void test_refusals(void **state) {
  (void)state;
  static const struct sumi_card_vop sum[] = {OP(LD, .d = 1, .a = 1), OP(RISUM, .d = 1, .a = 1),
                                             OP(ST, .d = 1, .a = 0)};
  struct bench b;
  bench_open(&b, 1, 8 << 10, 1);
  add(&b, SUMI_INT32, 10 * 10000, IN_DRAM);
  add(&b, SUMI_INT32, 10 * 10000, IN_DRAM);
  struct sumi_cell cell = plain_cell(10, 10000, sum, 2, 1);
  assert_int_equal(compile(&b, &cell), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(sumi_text_str(&b.refusals), "bytes of SRAM"));
  cell.u.vector.n[1] = 10001; /* beyond the operand */
  assert_int_equal(compile(&b, &cell), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(sumi_text_str(&b.refusals), "operand 1: the loops reach"));
  b.operand[1].dtype = SUMI_INT64;
  assert_int_equal(compile(&b, &cell), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(sumi_text_str(&b.refusals), "int64"));
  bench_close(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_elements), cmocka_unit_test(test_rows),      cmocka_unit_test(test_split),
      cmocka_unit_test(test_indices),  cmocka_unit_test(test_gathers),   cmocka_unit_test(test_order),
      cmocka_unit_test(test_overlap),  cmocka_unit_test(test_few_words), cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
