/* VECTOR, COPY and LOOKUP cells against plain loops: random nests over operands in SRAM and in DRAM, on one core and on four, each
 * core with its own data; what no cell writes stays as it was, and no word begins while another works on its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/half.h"
#include "base/random.h"
#include "base/text.h"
#include "device/antoum/antoum_test.h"

enum { OPERANDS = 4, CORES = 4, SCRATCH = 160 << 10, SRAM = 256 << 10, STEP = 1 << 20 };

/* Operands of one cell with the bytes of every core: before, and (want) after it by plain loops. */
struct bench {
  struct antoum_rig rig;
  struct sumi_random random;
  struct sumi_cell_operand operand[OPERANDS];
  struct antoum_place place[OPERANDS];
  uint8_t *data[OPERANDS][CORES], *want[OPERANDS][CORES];
  int n;
  uint32_t sram; /* next free byte */
  struct antoum_options options;
  struct antoum_facts facts;
  struct sumi_text refusals;
  struct sumi_sim_account account;
};

static void bench_open(struct bench *b, int cores, uint32_t scratch, uint64_t seed) {
  memset(b, 0, sizeof *b);
  sumi_random_init(&b->random, seed);
  assert_true(antoum_rig_open(&b->rig, cores, NULL, NULL));
  b->rig.w.scratch.lo = SRAM - scratch;
  b->rig.w.scratch.hi = SRAM;
  sumi_text_init(&b->refusals, sumi_allocator_default());
}

static void bench_close(struct bench *b) {
  for (int i = 0; i < b->n; i++)
    for (int c = 0; c < CORES; c++) free(b->data[i][c]), free(b->want[i][c]);
  sumi_text_fini(&b->refusals);
  antoum_rig_close(&b->rig);
}

static int64_t below(struct bench *b, int64_t n) {
  return (int64_t)(sumi_random_u64(&b->random) % (uint64_t)n);
}

/* Small whole numbers, so that sums are exact in any order; for types of the vector engine. */
static void set(sumi_dtype dtype, uint8_t *p, int64_t i, int64_t x) { sumi_set_i64(dtype, p, i, x); }

enum where { IN_SRAM, IN_DRAM, CONSTANT };

static int add(struct bench *b, sumi_dtype dtype, int64_t elements, enum where where) {
  const int k = b->n++;
  const size_t e = (size_t)sumi_dtype_bits(dtype) / 8, bytes = (size_t)elements * e;
  b->operand[k] =
      (struct sumi_cell_operand){.dtype = dtype, .rank = 1, .dim = {elements}, .step = {1}, .bytes = bytes};
  for (int c = 0; c < CORES; c++) {
    b->data[k][c] = malloc(bytes);
    b->want[k][c] = malloc(bytes);
    for (int64_t i = 0; i < elements; i++)
      if (c && where == CONSTANT)
        memcpy(b->data[k][c] + (size_t)i * e, b->data[k][0] + (size_t)i * e, e);
      else
        set(dtype, b->data[k][c], i, below(b, 100) - (sumi_dtype_class(dtype) == 'U' ? 0 : 50));
    memcpy(b->want[k][c], b->data[k][c], bytes);
  }
  struct antoum_place *p = &b->place[k];
  if (where == CONSTANT) {
    uint8_t *to;
    assert_int_equal(antoum_image(&b->rig.w, bytes, &to, &p->at), SUMI_OK);
    memcpy(to, b->data[k][0], bytes);
    *p = (struct antoum_place){.dram = true, .base = ANTOUM_BASE_CODE, .at = p->at};
    b->operand[k].data = b->data[k][0];
  } else if (where == IN_DRAM) {
    *p = (struct antoum_place){true, k ? ANTOUM_BASE_IN : ANTOUM_BASE_OUT,
                               (uint64_t)k * CORES * STEP + 8 * (uint64_t)k, STEP};
    assert_true(bytes + 64 < STEP);
  } else {
    *p = (struct antoum_place){.at = b->sram};
    b->sram += ((uint32_t)bytes + 63) / 64 * 64;
  }
  return k;
}

static bool fits_sram(const struct bench *b, sumi_dtype dtype, int64_t elements) {
  return b->sram + elements * sumi_dtype_bits(dtype) / 8 + 64 < b->rig.w.scratch.lo;
}

/* Where the bytes of an operand come from and go to around a run. */
static struct antoum_place home(const struct bench *b, int k) {
  if (b->place[k].dram) return b->place[k];
  return (struct antoum_place){true, ANTOUM_BASE_SPILL, (uint64_t)k * CORES * STEP, STEP};
}

static sumi_status compile(struct bench *b, const struct sumi_cell *cell) {
  const struct antoum_cell_job job = {&b->rig.w, &b->options, b->operand, b->place, &b->facts, &b->refusals};
  for (int k = 0; k < b->n; k++)
    if (!b->place[k].dram)
      assert_int_equal(antoum_move(&b->rig.w, SUMI_CARD_OP_LOAD, home(b, k).base, home(b, k).at, STEP,
                                   (uint32_t)b->place[k].at, (uint32_t)b->operand[k].bytes),
                       SUMI_OK);
  const sumi_status status = antoum_cell(&job, cell);
  for (int k = 0; k < b->n; k++)
    if (!b->place[k].dram)
      assert_int_equal(antoum_move(&b->rig.w, SUMI_CARD_OP_STORE, home(b, k).base, home(b, k).at, STEP,
                                   (uint32_t)b->place[k].at, (uint32_t)b->operand[k].bytes),
                       SUMI_OK);
  return status;
}

static struct sumi_card_completion go(struct bench *b) {
  for (int k = 0; k < b->n; k++)
    for (int c = 0; c < b->rig.w.cores && home(b, k).base != ANTOUM_BASE_CODE; c++)
      assert_int_equal(antoum_rig_put(&b->rig, home(b, k).base, home(b, k).at + (uint64_t)c * STEP,
                                      b->data[k][c], b->operand[k].bytes),
                       0);
  sumi_sim_forget(b->rig.rig.sim);
  const struct sumi_card_completion done = antoum_rig_run(&b->rig);
  sumi_sim_total(b->rig.rig.sim, &b->account);
  return done;
}

/* Compiles, runs, compares every byte of every core's operands. */
static void check(struct bench *b, const struct sumi_cell *cell) {
  const sumi_status status = compile(b, cell);
  if (status != SUMI_OK) fail_msg("%s %s", b->rig.err.text, sumi_text_str(&b->refusals));
  const struct sumi_card_completion done = go(b);
  if (done.error)
    fail_msg("error %u (%s), word %u of opcode %u, %llx %llx", done.error, sumi_card_error_text(done.error),
             done.word, done.opcode, (unsigned long long)done.address, (unsigned long long)done.detail);
  assert_int_equal(sumi_sim_hazards(b->rig.rig.sim), 0);
  for (int k = 0; k < b->n; k++)
    for (int c = 0; c < b->rig.w.cores && home(b, k).base != ANTOUM_BASE_CODE; c++) {
      uint8_t *got = malloc(b->operand[k].bytes);
      assert_int_equal(antoum_rig_get(&b->rig, home(b, k).base, home(b, k).at + (uint64_t)c * STEP, got,
                                      b->operand[k].bytes),
                       0);
      for (size_t i = 0; i < b->operand[k].bytes; i++)
        if (got[i] != b->want[k][c][i])
          fail_msg("operand %d of core %d, byte %zu of %zu: %d, not %d", k, c, i, b->operand[k].bytes, got[i],
                   b->want[k][c][i]);
      free(got);
    }
}

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

/* ---- random nests -------------------------------------------------------------------------------------------------- */

#define OP(name, ...) ((struct sumi_card_vop){.op = SUMI_CARD_V_##name, __VA_ARGS__})

static const sumi_dtype vector_types[] = {SUMI_INT8, SUMI_UINT8, SUMI_INT32, SUMI_BFLOAT16, SUMI_FLOAT32};

static void random_counts(struct bench *b, int rank, int64_t *n, int64_t most) {
  int64_t all = 1;
  for (int d = 0; d < rank; d++) {
    n[d] = below(b, 4) == 0 ? 1 : 1 + below(b, below(b, 3) ? 7 : 150);
    if (all * n[d] > most) n[d] = 1;
    all *= n[d];
  }
}

/* A view over loops [0, rank) of an operand: any order of the loops, now and then gaps, falling steps, and (broadcast) steps of 0.
 * Elements [lo, hi) around every place are the view's too, in steps of `apart` loops. Returns the operand's elements. */
static int64_t random_view(struct bench *b, struct sumi_cell_view *v, int rank, const int64_t *n,
                           bool broadcast, int64_t apart) {
  int order[SUMI_CELL_LOOPS];
  for (int d = 0; d < rank; d++) order[d] = rank - 1 - d;
  const bool transposed = below(b, 2);
  for (int d = rank - 1; d > 0 && transposed; d--) {
    const int e = (int)below(b, d + 1), o = order[d];
    order[d] = order[e];
    order[e] = o;
  }
  const bool gaps = below(b, 4) == 0, falling = below(b, 6) == 0;
  int64_t step = apart;
  v->at = 0;
  for (int k = 0; k < rank; k++) {
    const int d = order[k];
    v->step[d] = broadcast && below(b, 4) == 0 ? 0 : step;
    if (v->step[d]) step *= n[d] + (gaps ? below(b, 3) : 0);
    if (v->step[d] && falling && below(b, 2)) {
      v->at += (n[d] - 1) * v->step[d];
      v->step[d] = -v->step[d];
    }
  }
  return step;
}

static enum where random_where(struct bench *b, bool constant) {
  const int64_t x = below(b, constant ? 5 : 4);
  return x == 4 ? CONSTANT : x < 2 ? IN_SRAM : IN_DRAM;
}

static void add_view(struct bench *b, struct sumi_cell_view *v, sumi_dtype dtype, int64_t elements,
                     bool constant) {
  enum where where = random_where(b, constant);
  if (where == IN_SRAM && !fits_sram(b, dtype, elements)) where = IN_DRAM;
  v->operand = add(b, dtype, elements, where);
}

/* out = a * b + (a two elements on), in float. */
static void test_elements(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 120; seed++) {
    struct bench b;
    bench_open(&b, seed % 3 ? 1 : 4, seed % 2 ? 40 << 10 : 8 << 10, seed);
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
    for (int c = 0; c < b.rig.w.cores; c++) plain_loops(&b, v, c);
    check(&b, &cell);
    bench_close(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_elements)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
