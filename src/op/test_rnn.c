/* LSTM, GRU, RNN: what must agree with what. One forward layer is held against the equations written out; directions,
 * layouts and lengths are held against forward layers of turned and cut inputs. */
#include "op/test_probe.h"

enum { SEQ = 5, BATCH = 2, INPUT = 4, HIDDEN = 3 };

static const struct {
  const char *name;
  int gates;
} cells[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};

static void string_attr(struct probe *p, const char *name, const char *value) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_STRING, .n = 1, .u.s = {value, strlen(value)}};
}

static float *some(struct probe *p, int64_t n, int64_t seed) {
  float *x = probe_fill(p, n, seed);
  for (int64_t i = 0; i < n; i++) x[i] /= 4; /* where sigmoid and tanh are not flat */
  return x;
}

/* A layer over x [seq, BATCH, INPUT] (layout 0) with dirs directions; weights of direction k have seed 10 * (k + first). */
static void layer(struct probe *p, int cell, const char *direction, int dirs, int first, const float *x,
                  int seq, int batch, const int32_t *lens, int layout) {
  const int rows = cells[cell].gates * HIDDEN;
  probe_init(p, cells[cell].name);
  p->node.version = 14;
  string_attr(p, "direction", direction);
  if (layout) probe_int(p, "layout", 1);
  float *w = some(p, dirs * rows * INPUT, 0), *r = some(p, dirs * rows * HIDDEN, 0),
        *b = some(p, dirs * 2 * rows, 0);
  for (int k = 0; k < dirs; k++) {
    memcpy(w + k * rows * INPUT, some(p, rows * INPUT, 10 * (k + first) + 1),
           sizeof(float) * (size_t)(rows * INPUT));
    memcpy(r + k * rows * HIDDEN, some(p, rows * HIDDEN, 10 * (k + first) + 2),
           sizeof(float) * (size_t)(rows * HIDDEN));
    memcpy(b + k * 2 * rows, some(p, 2 * rows, 10 * (k + first) + 3), sizeof(float) * (size_t)(2 * rows));
  }
  probe_in(p, SUMI_FLOAT32, x, 3, layout ? batch : seq, layout ? seq : batch, INPUT);
  probe_in(p, SUMI_FLOAT32, w, 3, dirs, rows, INPUT);
  probe_in(p, SUMI_FLOAT32, r, 3, dirs, rows, HIDDEN);
  probe_in(p, SUMI_FLOAT32, b, 2, dirs, 2 * rows);
  if (lens) probe_in(p, SUMI_INT32, lens, 1, batch);
  if (probe_run(p, 2) != SUMI_OK) fail_msg("%s", p->err.text);
}

static const float *out(const struct probe *p, int i) { return p->out[i].data; }

static void expect_row(const float *got, const float *want) {
  for (int j = 0; j < HIDDEN; j++)
    if (got[j] != want[j]) fail_msg("element %d is %.9g, not %.9g", j, (double)got[j], (double)want[j]);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* W x + Wb of gate row r, and R h + Rb */
static double from_x(const struct probe *p, int r, const float *x) {
  double sum = ((const float *)p->in[3].data)[r];
  for (int i = 0; i < INPUT; i++) sum += (double)((const float *)p->in[1].data)[r * INPUT + i] * (double)x[i];
  return sum;
}

static double from_h(const struct probe *p, int rows, int r, const double *h) {
  double sum = ((const float *)p->in[3].data)[rows + r];
  for (int i = 0; i < HIDDEN; i++) sum += (double)((const float *)p->in[2].data)[r * HIDDEN + i] * h[i];
  return sum;
}

/* The equations, for one sequence of the batch. */
static void test_equations(void **state) {
  (void)state;
  for (int cell = 0; cell < 3; cell++) {
    struct probe p;
    probe_init(&p, "RNN");
    const float *x = some(&p, SEQ * BATCH * INPUT, 5);
    struct probe q;
    layer(&q, cell, "forward", 1, 0, x, SEQ, BATCH, NULL, 0);
    const int rows = cells[cell].gates * HIDDEN;
    for (int b = 0; b < BATCH; b++) {
      double h[HIDDEN] = {0}, c[HIDDEN] = {0}, next[HIDDEN], rh[HIDDEN], z[HIDDEN];
      for (int t = 0; t < SEQ; t++) {
        const float *xt = x + (t * BATCH + b) * INPUT;
#define GATE(g, state) (from_x(&q, (g)*HIDDEN + j, xt) + from_h(&q, rows, (g)*HIDDEN + j, state))
        for (int j = 0; j < HIDDEN && cell == 0; j++) {
          c[j] = sigmoid(GATE(2, h)) * c[j] + sigmoid(GATE(0, h)) * tanh(GATE(3, h));
          next[j] = sigmoid(GATE(1, h)) * tanh(c[j]);
        }
        for (int j = 0; j < HIDDEN && cell == 1; j++) {
          z[j] = sigmoid(GATE(0, h));
          rh[j] = sigmoid(GATE(1, h)) * h[j];
        }
        for (int j = 0; j < HIDDEN && cell == 1; j++) next[j] = (1 - z[j]) * tanh(GATE(2, rh)) + z[j] * h[j];
        for (int j = 0; j < HIDDEN && cell == 2; j++) next[j] = tanh(GATE(0, h));
#undef GATE
        memcpy(h, next, sizeof h);
        for (int j = 0; j < HIDDEN; j++)
          assert_true(fabs((double)out(&q, 0)[(t * BATCH + b) * HIDDEN + j] - h[j]) <
                      1e-7); /* rounded to float */
      }
      for (int j = 0; j < HIDDEN; j++) assert_true(fabs((double)out(&q, 1)[b * HIDDEN + j] - h[j]) < 1e-7);
    }
    probe_fini(&q);
    probe_fini(&p);
  }
}

/* Two directions are a forward layer and a forward layer over the turned input. */
static void test_directions(void **state) {
  (void)state;
  for (int cell = 0; cell < 3; cell++) {
    struct probe both, there, back, only;
    static float x[SEQ * BATCH * INPUT], turned[SEQ * BATCH * INPUT];
    for (int i = 0; i < SEQ * BATCH * INPUT; i++) {
      x[i] = (float)(i * 7 % 19 - 9) / 8;
      turned[(SEQ - 1 - i / (BATCH * INPUT)) * BATCH * INPUT + i % (BATCH * INPUT)] = x[i];
    }
    layer(&both, cell, "bidirectional", 2, 0, x, SEQ, BATCH, NULL, 0);
    layer(&there, cell, "forward", 1, 0, x, SEQ, BATCH, NULL, 0);
    layer(&back, cell, "forward", 1, 1, turned, SEQ, BATCH, NULL, 0);
    layer(&only, cell, "reverse", 1, 1, x, SEQ, BATCH, NULL, 0);
    for (int t = 0; t < SEQ; t++)
      for (int b = 0; b < BATCH; b++) {
        expect_row(out(&both, 0) + ((t * 2 + 0) * BATCH + b) * HIDDEN,
                   out(&there, 0) + (t * BATCH + b) * HIDDEN);
        expect_row(out(&both, 0) + ((t * 2 + 1) * BATCH + b) * HIDDEN,
                   out(&back, 0) + ((SEQ - 1 - t) * BATCH + b) * HIDDEN);
        expect_row(out(&only, 0) + (t * BATCH + b) * HIDDEN,
                   out(&back, 0) + ((SEQ - 1 - t) * BATCH + b) * HIDDEN);
        expect_row(out(&both, 1) + b * HIDDEN, out(&there, 1) + b * HIDDEN);
        expect_row(out(&both, 1) + (BATCH + b) * HIDDEN, out(&back, 1) + b * HIDDEN);
      }
    probe_fini(&both);
    probe_fini(&there);
    probe_fini(&back);
    probe_fini(&only);
  }
}

/* A short sequence is a sequence of its own; what follows it is 0. Batch first is the same numbers elsewhere. */
static void test_lengths_and_layout(void **state) {
  (void)state;
  static const int32_t lens[BATCH] = {3, SEQ};
  for (int cell = 0; cell < 3; cell++)
    for (int reverse = 0; reverse < 2; reverse++) {
      const char *direction = reverse ? "reverse" : "forward";
      static float x[SEQ * BATCH * INPUT], first[BATCH * SEQ * INPUT], alone[3 * INPUT];
      for (int i = 0; i < SEQ * BATCH * INPUT; i++) {
        const int t = i / (BATCH * INPUT), b = i / INPUT % BATCH, k = i % INPUT;
        x[i] = (float)(i * 7 % 19 - 9) / 8;
        first[(b * SEQ + t) * INPUT + k] = x[i];
        if (b == 0 && t < 3) alone[t * INPUT + k] = x[i];
      }
      struct probe p, q, own;
      layer(&p, cell, direction, 1, 0, x, SEQ, BATCH, lens, 0);
      layer(&q, cell, direction, 1, 0, first, SEQ, BATCH, lens, 1);
      layer(&own, cell, direction, 1, 0, alone, 3, 1, NULL, 0);
      static const float zero[HIDDEN];
      for (int t = 0; t < SEQ; t++) {
        expect_row(out(&p, 0) + t * BATCH * HIDDEN, t < 3 ? out(&own, 0) + t * HIDDEN : zero);
        for (int b = 0; b < BATCH; b++)
          expect_row(out(&q, 0) + (b * SEQ + t) * HIDDEN, out(&p, 0) + (t * BATCH + b) * HIDDEN);
      }
      expect_row(out(&p, 1), out(&own, 1));
      for (int b = 0; b < BATCH; b++) expect_row(out(&q, 1) + b * HIDDEN, out(&p, 1) + b * HIDDEN);
      probe_fini(&p);
      probe_fini(&q);
      probe_fini(&own);
    }
}

static void test_refused(void **state) {
  (void)state;
  static const float x[SEQ * BATCH * INPUT], w[64 * INPUT], b[64];
  static const int32_t lens[2][BATCH] = {{1, SEQ + 1}, {-1, 2}};
  for (int k = 0; k < 3; k++) {
    struct probe p;
    probe_init(&p, "RNN");
    p.node.version = 14;
    if (k == 2) probe_int(&p, "hidden_size", 4);
    probe_in(&p, SUMI_FLOAT32, x, 3, SEQ, BATCH, INPUT);
    probe_in(&p, SUMI_FLOAT32, w, 3, 1, HIDDEN, INPUT);
    probe_in(&p, SUMI_FLOAT32, w, 3, 1, HIDDEN, HIDDEN);
    probe_in(&p, SUMI_FLOAT32, b, 2, 1, 2 * HIDDEN);
    if (k < 2) probe_in(&p, SUMI_INT32, lens[k], 1, BATCH);
    assert_int_equal(probe_run(&p, 1), k < 2 ? SUMI_E_VALUE : SUMI_E_SHAPE);
    probe_fini(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_equations),
      cmocka_unit_test(test_directions),
      cmocka_unit_test(test_lengths_and_layout),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
