/* Element-wise operators where cases cannot say it: integer edges, NaN, ties, the old broadcasting rules,
 * symbolic contents; and the collapsing of shapes against plain index arithmetic on random shapes. */
#include "op/test_probe.h"

#include "base/random.h"
#include "op/lane.h"

static struct sumi_random source_of_numbers;

static int64_t draw(int64_t n) { return (int64_t)(sumi_random_u64(&source_of_numbers) % (uint64_t)n); }

/* One operator on vectors of n elements: p.out[0] holds the result. */
static void apply(struct probe *p, const char *op, int version, sumi_dtype d, const void *a, const void *b,
                  int n) {
  probe_init(p, op);
  p->node.version = version;
  probe_in(p, d, a, 1, n);
  if (b) probe_in(p, d, b, 1, n);
  if (sumi_streq(op, "BitShift")) {
    p->attr[p->node.n_attr++] =
        (struct sumi_attr){.name = "direction", .type = SUMI_ATTR_STRING, .n = 1, .u.s = {"RIGHT", 5}};
  }
  assert_int_equal(probe_run(p, 1), SUMI_OK);
}

static void integers(const char *op, sumi_dtype d, int64_t a, int64_t b, int64_t want) {
  struct probe p;
  int64_t x = 0, y = 0;
  sumi_set_i64(d, &x, 0, a);
  sumi_set_i64(d, &y, 0, b);
  apply(&p, op, 28, d, &x, &y, 1);
  const int64_t got = sumi_get_i64(p.out[0].dtype, p.out[0].data, 0);
  if (got != want)
    fail_msg("%s of %s %lld and %lld is %lld", op, sumi_dtype_label(d), (long long)a, (long long)b,
             (long long)got);
  probe_fini(&p);
}

static void integer_edges(void **state) {
  (void)state;
  integers("Add", SUMI_INT8, 127, 1, -128);
  integers("Sub", SUMI_UINT16, 3, 5, 65534);
  integers("Mul", SUMI_INT64, INT64_MIN, -1, INT64_MIN);
  integers("Mul", SUMI_UINT32, 0xffffffff, 0xffffffff, 1);
  integers("Div", SUMI_INT32, INT32_MIN, -1, INT32_MIN);
  integers("Div", SUMI_INT64, INT64_MIN, -1, INT64_MIN);
  integers("Div", SUMI_INT32, -7, 2, -3);
  integers("Div", SUMI_INT32, 7, 0, 0);
  integers("Div", SUMI_UINT8, 200, 0, 0);
  integers("Div", SUMI_UINT64, -1, 2, INT64_MAX);
  integers("Mod", SUMI_INT64, INT64_MIN, -1, 0);
  integers("Mod", SUMI_INT32, -7, 3, 2);
  integers("Mod", SUMI_INT32, 7, -3, -2);
  integers("Mod", SUMI_INT8, 5, 0, 0);
  integers("Pow", SUMI_INT32, 3, 4, 81);
  integers("Pow", SUMI_INT32, -2, 31, INT32_MIN);
  integers("Pow", SUMI_INT64, -1, -3, -1);
  integers("Pow", SUMI_INT32, 0, -1, 0);
  integers("Max", SUMI_UINT64, -1, 1, -1);
  integers("Min", SUMI_INT64, -1, 1, -1);
  integers("Less", SUMI_UINT64, 1, -1, 1);
  integers("Greater", SUMI_INT64, INT64_MAX, INT64_MAX - 1, 1); /* alike as doubles */
  integers("BitShift", SUMI_UINT8, 255, 9, 0);
  integers("BitShift", SUMI_UINT64, -1, 64, 0);
  integers("BitShift", SUMI_INT32, -8, 1, -4);
  integers("BitShift", SUMI_INT32, -8, 100, -1);
  integers("Add", SUMI_INT32, INT32_MAX, 1, INT32_MIN);
  integers("Sub", SUMI_INT32, INT32_MIN, 1, INT32_MAX);
  integers("Mul", SUMI_INT32, 65537, 65537, 131073);
  integers("And", SUMI_BOOL, 0, 1, 0);
  integers("PRelu", SUMI_INT32, -3, 5, -15);
}

static void floats(const char *op, float a, const float *b, float want) {
  struct probe p;
  apply(&p, op, op[0] == 'M' && op[1] == 'o' ? 28 : 20, SUMI_FLOAT32, &a, b, 1);
  const float got = *(const float *)p.out[0].data;
  if (!(got == want || (isnan(got) && isnan(want))) || (want == 0 && signbit(got) != signbit(want)))
    fail_msg("%s of %g is %g, not %g", op, (double)a, (double)got, (double)want);
  probe_fini(&p);
}

static void float_edges(void **state) {
  (void)state;
  const float two = 2, nan = NAN, infinity = INFINITY;
  const char *const one[] = {
      "Relu",  "Neg",  "Abs",       "Sign",        "Sigmoid",   "Tanh", "Erf",  "Exp",      "Round",
      "Floor", "Ceil", "LeakyRelu", "HardSigmoid", "HardSwish", "Elu",  "Selu", "Softplus", "ThresholdedRelu",
      "Gelu",  "Celu", "Mish",      "Softsign",    "Shrink",    "Sqrt", "Clip"};
  for (size_t i = 0; i < SUMI_COUNT(one); i++) floats(one[i], NAN, NULL, NAN);
  const char *const pair[] = {"Max", "Min", "Add", "Mod", "Pow", "PRelu", "Sum", "Mean"};
  for (size_t i = 0; i < SUMI_COUNT(pair); i++) floats(pair[i], NAN, &two, NAN);
  floats("Max", 2, &nan, NAN);
  floats("Min", 2, &nan, NAN);
  floats("Round", 0.5f, NULL, 0);
  floats("Round", 1.5f, NULL, 2);
  floats("Round", -2.5f, NULL, -2);
  floats("Round", -0.5f, NULL, -0.0f);
  floats("Round", 8388609, NULL, 8388609);
  floats("Ceil", -0.5f, NULL, -0.0f);
  floats("Ceil", 8388607.5f, NULL, 8388608);
  floats("Floor", -0.5f, NULL, -1);
  floats("Floor", 1e30f, NULL, 1e30f);
  floats("Floor", -INFINITY, NULL, -INFINITY);
  floats("Exp", -INFINITY, NULL, 0);
  floats("Softplus", 200, NULL, 200);
  floats("Softplus", -INFINITY, NULL, 0);
  floats("Celu", INFINITY, NULL, INFINITY);
  floats("Clip", INFINITY, NULL, 3.402823466e38f);
  floats("Div", 1, &(float){0}, INFINITY);
  floats("Mod", -7, &two, 1);
  floats("Mod", 3, &infinity, 3);
  floats("Pow", -INFINITY, &two, INFINITY);
  floats("Pow", 3, &two, 9);
}

/* float16 results are rounded once from float32. */
/* A byte other than 0 is true. */
static void bools_of_any_bits(void **state) {
  (void)state;
  static const uint8_t a[4] = {0, 2, 255, 6}, b[4] = {4, 4, 1, 0};
  static const struct {
    const char *op;
    uint8_t want[4];
  } table[] = {{"And", {0, 1, 1, 0}}, {"Or", {1, 1, 1, 1}}, {"Xor", {1, 0, 0, 1}}, {"Not", {1, 0, 0, 0}}};
  for (size_t i = 0; i < SUMI_COUNT(table); i++) {
    struct probe p;
    apply(&p, table[i].op, 7, SUMI_BOOL, a, i < 3 ? b : NULL, 4);
    assert_memory_equal(p.out[0].data, table[i].want, 4);
    probe_fini(&p);
  }
}

static void half_is_rounded_once(void **state) {
  (void)state;
  struct probe p;
  const uint16_t a[] = {0x3c00, 0x7bff, 0x0001},
                 b[] = {0x1000, 0x7bff, 0x0001}; /* 1 + 2^-11 is a tie, 65504 * 2, tiny */
  apply(&p, "Add", 14, SUMI_FLOAT16, a, b, 3);
  const uint16_t *y = p.out[0].data;
  assert_int_equal(y[0], 0x3c00);
  assert_int_equal(y[1], 0x7c00);
  assert_int_equal(y[2], 0x0002);
  probe_fini(&p);
}

static void clip_limits_cross(void **state) {
  (void)state;
  struct probe p;
  const float x[] = {-9, 0, 9}, low = 5, high = 1;
  probe_init(&p, "Clip");
  p.node.version = 13;
  probe_in(&p, SUMI_FLOAT32, x, 1, 3);
  probe_in(&p, SUMI_FLOAT32, &low, 0);
  probe_in(&p, SUMI_FLOAT32, &high, 1, 1);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, (const float[]){1, 1, 1}, 3, 0);
  probe_fini(&p);
}

/* ---- shapes -------------------------------------------------------------------------------------------- */

/* Where element `at` of a tensor of this shape lies in t, which broadcasts to it. */
static int64_t source(const struct sumi_tensor *t, int rank, const int64_t *dim, int64_t at) {
  int64_t index[SUMI_MAX_RANK], offset = 0;
  for (int i = rank - 1; i >= 0; i--) {
    index[i] = at % dim[i];
    at /= dim[i];
  }
  for (int i = 0; i < t->rank; i++)
    offset = offset * t->dim[i] + (t->dim[i] == 1 ? 0 : index[i + rank - t->rank]);
  return offset;
}

static void random_shape(struct sumi_tensor *t, int rank, const int64_t *dim) {
  t->rank = (int)draw(rank + 1);
  for (int i = 0; i < t->rank; i++) t->dim[i] = draw(3) ? dim[i + rank - t->rank] : 1;
}

/* Where(c, a, b) and Sub(a, b) on random shapes: strides, collapsing and chunks (int16 goes through
 * buffers). */
static void broadcasting(void **state) {
  (void)state;
  enum { MOST = 6 * 6 * 6 * 6 * 6 };
  static float f[2][MOST];
  static int16_t s[2][MOST];
  static uint8_t choice[MOST];
  for (int i = 0; i < MOST; i++) {
    f[0][i] = (float)i, f[1][i] = (float)(7 * i % 1000) / 8;
    s[0][i] = (int16_t)(i * 3), s[1][i] = (int16_t)(i * 11);
    choice[i] = (uint8_t)draw(2);
  }
  for (int round = 0; round < 600; round++) {
    struct probe p;
    const bool where = round % 3 == 0, wide = round % 2;
    probe_init(&p, where ? "Where" : "Sub");
    p.node.version = 16;
    int64_t dim[5];
    const int rank = (int)draw(6);
    for (int i = 0; i < rank; i++) dim[i] = draw(12) ? 1 + draw(6) : 0;
    if (where) probe_in(&p, SUMI_BOOL, choice, 0);
    for (int k = 0; k < 2; k++)
      probe_in(&p, wide ? SUMI_FLOAT32 : SUMI_INT16, wide ? (void *)f[k] : (void *)s[k], 0);
    for (int k = 0; k < p.node.n_in; k++) {
      random_shape(&p.in[k], rank, dim);
      p.info[k].rank = p.in[k].rank;
      for (int i = 0; i < p.in[k].rank; i++) p.info[k].dim[i] = p.in[k].dim[i];
    }
    assert_int_equal(probe_run(&p, 1), SUMI_OK);
    const struct sumi_tensor *y = &p.out[0], *a = &p.in[where], *b = &p.in[where + 1];
    for (int64_t at = 0; at < sumi_tensor_count(y); at++) {
      const int64_t i = source(a, y->rank, y->dim, at), j = source(b, y->rank, y->dim, at);
      const double u = sumi_get_f64(a->dtype, a->data, i), v = sumi_get_f64(b->dtype, b->data, j);
      const double want = where  ? (choice[source(&p.in[0], y->rank, y->dim, at)] ? u : v)
                          : wide ? u - v
                                 : (int16_t)(u - v);
      assert_true(sumi_get_f64(y->dtype, y->data, at) == want);
    }
    probe_fini(&p);
  }
}

static void collapsing(void **state) {
  (void)state;
  const struct sumi_tensor x = {.dtype = SUMI_FLOAT32, .rank = 4, .dim = {2, 3, 5, 7}},
                           channel = {.dtype = SUMI_FLOAT32, .rank = 3, .dim = {3, 1, 1}};
  const struct sumi_tensor *t[] = {&x, &channel};
  struct sumi_bcast b;
  sumi_bcast_init(&b, 4, x.dim, t, 2);
  assert_int_equal(b.rank, 3);
  assert_int_equal(b.dim[2], 35);
  assert_int_equal(b.stride[1][2], 0);
  t[1] = &x;
  sumi_bcast_init(&b, 4, x.dim, t, 2);
  assert_int_equal(b.rank, 1);
  assert_int_equal(b.dim[0], 210);
}

static sumi_status old_add(struct probe *p, int64_t broadcast, int64_t axis, bool with_axis, int rank_b,
                           int b0, int b1) {
  probe_init(p, "Add");
  p->node.version = 6;
  probe_int(p, "broadcast", broadcast);
  if (with_axis) probe_int(p, "axis", axis);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 24, 1), 3, 2, 3, 4);
  probe_in(p, SUMI_FLOAT32, probe_fill(p, 24, 2), rank_b, b0, b1);
  return probe_run(p, 1);
}

static void old_broadcasting(void **state) {
  (void)state;
  struct probe p;
  assert_int_equal(old_add(&p, 1, 1, true, 1, 3, 0), SUMI_OK);
  const float *a = p.in[0].data, *b = p.in[1].data, *y = p.out[0].data;
  for (int i = 0; i < 24; i++) assert_true(y[i] == a[i] + b[i / 4 % 3]);
  probe_fini(&p);
  assert_int_equal(old_add(&p, 1, 0, true, 2, 2, 3), SUMI_OK);
  a = p.in[0].data, b = p.in[1].data, y = p.out[0].data;
  for (int i = 0; i < 24; i++) assert_true(y[i] == a[i] + b[i / 4]);
  probe_fini(&p);
  assert_int_equal(old_add(&p, 1, 0, false, 2, 3, 4), SUMI_OK); /* at the end */
  probe_fini(&p);
  assert_int_equal(old_add(&p, 1, -2, true, 1, 3, 0), SUMI_OK); /* counted from the end */
  probe_fini(&p);
  assert_int_equal(old_add(&p, 0, 0, false, 1, 4, 0), SUMI_E_SHAPE); /* not asked for */
  probe_fini(&p);
  assert_int_equal(old_add(&p, 1, 2, true, 2, 3, 4), SUMI_E_SHAPE); /* reaches over the end */
  probe_fini(&p);
  assert_int_equal(old_add(&p, 1, 1, true, 1, 4, 0), SUMI_E_SHAPE);
  probe_fini(&p);
}

/* ---- symbolic contents --------------------------------------------------------------------------------- */

struct contents {
  struct probe p;
  struct sumi_symbols symbols;
  sumi_dim n;
};

static void contents_init(struct contents *c, const char *op) {
  probe_init(&c->p, op);
  c->p.node.version = 16;
  c->symbols = (struct sumi_symbols){.arena = &c->p.arena};
  c->n = sumi_dim_symbol(&c->symbols, "n");
}

static void contents_in(struct contents *c, sumi_dtype d, const sumi_dim *content, int n) {
  probe_in(&c->p, d, NULL, 1, n);
  struct sumi_info *info = &c->p.info[c->p.node.n_in - 1];
  info->content = content;
  info->n_content = n;
}

/* Infers, and gives element k of the output's contents. */
static sumi_dim contents_out(struct contents *c, int k) {
  struct sumi_infer ctx = {.node = &c->p.node,
                           .symbols = &c->symbols,
                           .arena = &c->p.arena,
                           .n_in = c->p.node.n_in,
                           .n_out = 1,
                           .in = c->p.info,
                           .out = c->p.out_info,
                           .err = &c->p.err};
  c->p.out_info[0] = (struct sumi_info){.rank = -1};
  assert_int_equal(sumi_infer_node(&ctx), SUMI_OK);
  assert_non_null(c->p.out_info[0].content);
  assert_true(k < c->p.out_info[0].n_content);
  return c->p.out_info[0].content[k];
}

static void symbolic_arithmetic(void **state) {
  (void)state;
  struct contents c;
  const struct {
    const char *op;
    enum sumi_dim_op dim_op;
  } row[] = {{"Add", SUMI_DIM_ADD}, {"Sub", SUMI_DIM_SUB}, {"Mul", SUMI_DIM_MUL},
             {"Div", SUMI_DIM_DIV}, {"Min", SUMI_DIM_MIN}, {"Max", SUMI_DIM_MAX}};
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    contents_init(&c, row[i].op);
    contents_in(&c, SUMI_INT64, (const sumi_dim[]){c.n, 12}, 2);
    contents_in(&c, SUMI_INT64, (const sumi_dim[]){4}, 1);
    assert_true(contents_out(&c, 0) == sumi_dim_apply(&c.symbols, row[i].dim_op, c.n, 4));
    assert_true(contents_out(&c, 1) == sumi_dim_apply(&c.symbols, row[i].dim_op, 12, 4));
    probe_fini(&c.p);
  }
}

/* Equal(shape, -1) is false for a dim whatever its number; Where then picks the shape. */
static void symbolic_choice(void **state) {
  (void)state;
  struct contents c;
  int64_t minus_one[] = {-1, 7};
  contents_init(&c, "Equal");
  contents_in(&c, SUMI_INT64, (const sumi_dim[]){c.n, 7, 9}, 3);
  probe_in(&c.p, SUMI_INT64, (int64_t[]){-1, 7, 7}, 1, 3);
  c.p.info[1].data = &c.p.in[1];
  for (int i = 0; i < 3; i++) assert_int_equal(contents_out(&c, i), i == 1);
  probe_fini(&c.p);
  contents_init(&c, "Where");
  contents_in(&c, SUMI_BOOL, (const sumi_dim[]){0, 1}, 2);
  probe_in(&c.p, SUMI_INT64, minus_one, 1, 2);
  c.p.info[1].data = &c.p.in[1];
  contents_in(&c, SUMI_INT64, (const sumi_dim[]){c.n, 9}, 2);
  assert_true(contents_out(&c, 0) == c.n);
  assert_int_equal(contents_out(&c, 1), 7);
  probe_fini(&c.p);
  contents_init(&c, "Equal"); /* two different symbols may be alike */
  contents_in(&c, SUMI_INT64, (const sumi_dim[]){c.n}, 1);
  contents_in(&c, SUMI_INT64, (const sumi_dim[]){sumi_dim_symbol(&c.symbols, "m")}, 1);
  assert_true(contents_out(&c, 0) == SUMI_DIM_UNKNOWN);
  probe_fini(&c.p);
}

static void left_out_inputs_are_refused(void **state) {
  (void)state;
  struct probe p;
  probe_init(&p, "Max");
  p.node.version = 13;
  assert_int_equal(probe_run(&p, 1), SUMI_E_ARG);
  probe_fini(&p);
  probe_init(&p, "Max");
  p.node.version = 13;
  probe_in(&p, SUMI_FLOAT32, probe_fill(&p, 2, 1), 1, 2);
  probe_absent(&p);
  assert_int_equal(probe_run(&p, 1), SUMI_E_ARG);
  probe_fini(&p);
}

int main(void) {
  sumi_random_init(&source_of_numbers, 11);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integer_edges),
      cmocka_unit_test(float_edges),
      cmocka_unit_test(bools_of_any_bits),
      cmocka_unit_test(half_is_rounded_once),
      cmocka_unit_test(clip_limits_cross),
      cmocka_unit_test(broadcasting),
      cmocka_unit_test(collapsing),
      cmocka_unit_test(old_broadcasting),
      cmocka_unit_test(symbolic_arithmetic),
      cmocka_unit_test(symbolic_choice),
      cmocka_unit_test(left_out_inputs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
