/* Cards through the API: wrong options, what a session on a card gives and costs, other engines by name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <sumi/card.h>

#include "api/api_int.h"
#include "base/mem_test.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { ITEMS = 6, WIDE = 256 };

static const char text[] = "<opset_import: [\"\": 17]> g (float[N,256] x) => (float[N,256] y, float[N] z) { "
                           "t = Relu (x) y = Mul (t, t) z = ReduceProd <axes = [1], keepdims = 0> (y) }";

static struct sumi_model *model_of(const struct sumi_allocator *a) {
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  if (sumi_graph_parse(text, sizeof text - 1, sumi_op_find, a, &g, NULL) != SUMI_OK) return NULL;
  if (sumi_pass_infer(g, NULL, NULL, NULL) != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return sumi_model_new(a, g, &model, NULL) == SUMI_OK ? model : NULL;
}

static void test_options(void **state) {
  (void)state;
  static const char *const cores[] = {"cores=2", "chips = 3"}, *const wrong[] = {"cores=99"},
                           *const odd[] = {"cores"};
  static const char file[] = "card = SparseOne-S10\ncores = 1\n";
  const struct {
    struct sumi_card_options o;
    sumi_status status;
    const char *says;
  } cases[] = {{{.card = "SparseOne-S30"}, SUMI_OK, ""},
               {{.settings = cores, .n_settings = 2}, SUMI_OK, ""},
               {{.parameters = file, .parameter_bytes = sizeof file - 1}, SUMI_OK, ""},
               {{.energy = "optimistic", .k = 8, .x_top = 4, .x_density = 0.5, .dual = true}, SUMI_OK, ""},
               {{.card = "T4"}, SUMI_E_VALUE, "there are SparseOne-S4"},
               {{.card = "SparseOne-S4", .parameters = file}, SUMI_E_ARG, "one of them is enough"},
               {{.parameters = "cores", .parameter_bytes = 5}, SUMI_E_FORMAT, "line 1"},
               {{.settings = wrong, .n_settings = 1}, SUMI_E_VALUE, "'cores' is 99"},
               {{.settings = odd, .n_settings = 1}, SUMI_E_FORMAT, "has no ="},
               {{.energy = "free"}, SUMI_E_VALUE, "'free' is neither"},
               {{.k = 3}, SUMI_E_VALUE, "k is 3"},
               {{.k = 64}, SUMI_E_VALUE, "k is 64"},
               {{.x_top = 32}, SUMI_E_VALUE, "x_top is 32"},
               {{.x_density = 1.5}, SUMI_E_VALUE, "x_density is 1.5"}};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_card_options o = cases[i].o;
    struct sumi_card *card;
    o.size = sizeof o;
    o.timing_only = true;
    assert_int_equal(sumi_card_open(&o, &card, &err), cases[i].status);
    assert_non_null(strstr(err.text, cases[i].says));
    assert_true((card != NULL) == (cases[i].status == SUMI_OK));
    sumi_card_close(card);
  }
  assert_int_equal(sumi_card_open(NULL, NULL, NULL), SUMI_E_ARG);
  assert_string_equal(sumi_card_known(0), "SparseOne-S4");
}

static void test_parameters(void **state) {
  (void)state;
  static const char *const settings[] = {"cores=2"};
  struct sumi_card_options o = {.size = sizeof o, .timing_only = true, .settings = settings, .n_settings = 1};
  struct sumi_card *card;
  struct sumi_card_parameter p = {.size = sizeof p};
  bool found = false;
  assert_int_equal(sumi_card_open(&o, &card, NULL), SUMI_OK);
  for (size_t i = 0; sumi_card_parameter(card, i, &p); i++) {
    assert_true(p.size == sizeof p && strchr("KDA", p.letter) && *p.source);
    if (strcmp(p.name, "cores") != 0) continue;
    found = true;
    assert_true(p.value == 2 && p.letter == 'A' && !strcmp(p.source, "set by hand"));
  }
  assert_true(found);
  sumi_card_close(card);
}

struct seen {
  size_t card, host, words, copies;
  double energy_j, end_s;
};

static void on_layer(void *user, const struct sumi_card_layer *l) {
  struct seen *s = user;
  *(l->on_card ? &s->card : &s->host) += 1;
  s->energy_j += l->energy_j;
  assert_true(!l->on_card || !strcmp(l->op, "ReduceProd") || (l->cycles > 0 && *l->bound && l->busy[4] > 0));
}

static void on_event(void *user, const struct sumi_card_event *e) {
  struct seen *s = user;
  if (*e->node) s->words++;
  if (e->core < 0) s->copies++;
  assert_true(e->started_s >= 0 && e->finished_s >= e->started_s);
  s->end_s = fmax(s->end_s, e->finished_s);
}

/* A prepared session on a card; with data it has run, and equals device cpu. */
static struct sumi_session *session_of(struct sumi_card *card, struct sumi_model *model, int64_t items,
                                       bool run) {
  static float x[ITEMS * WIDE];
  const int64_t dims[] = {items, WIDE};
  const struct sumi_view in = {
      .size = sizeof in, .name = "x", .data = x, .dtype = SUMI_FLOAT32, .rank = 2, .dims = dims};
  struct sumi_view out = {.size = sizeof out, .name = "y"}, same = out;
  const struct sumi_session_options o = {.size = sizeof o, .device = "antoum", .card = card};
  struct sumi_session *session, *cpu;
  struct sumi_err err = SUMI_ERR_INIT;
  for (int i = 0; i < ITEMS * WIDE; i++) x[i] = (float)(i % 23 - 11) / 8;
  if (sumi_session_new(model, &o, &session, &err) != SUMI_OK ||
      sumi_session_prepare(session, &in, 1, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  if (!run) return session;
  assert_int_equal(sumi_session_new(model, NULL, &cpu, &err), SUMI_OK);
  if (sumi_session_run(session, &in, 1, &out, 1, &err) != SUMI_OK) fail_msg("%s", err.text);
  assert_int_equal(sumi_session_run(cpu, &in, 1, &same, 1, &err), SUMI_OK);
  assert_memory_equal(out.data, same.data, (size_t)(items * WIDE) * sizeof *x);
  sumi_session_free(cpu);
  return session;
}

static struct sumi_session *session_on(struct sumi_card *card, struct sumi_model *model, bool run) {
  return session_of(card, model, ITEMS, run);
}

static struct sumi_card_total measure(const char *card_name, bool data, struct seen *seen) {
  struct sumi_card_options o = {.size = sizeof o, .card = card_name, .timing_only = !data};
  struct sumi_card_total t = {.size = sizeof t};
  const struct sumi_card_measure_options m = {
      .size = sizeof m, .on_layer = on_layer, .on_event = on_event, .user = seen};
  struct sumi_card *card;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = model_of(sumi_allocator_default());
  assert_int_equal(sumi_card_open(&o, &card, &err), SUMI_OK);
  struct sumi_session *session = session_on(card, model, data);
  if (sumi_card_measure(session, &m, &t, &err) != SUMI_OK) fail_msg("%s", err.text);
  double joule = 0;
  for (size_t i = 0; i < t.n_costs; i++) joule += t.costs[i].energy_j;
  assert_true(fabs(joule - t.energy_j) <= 1e-12 * joule); /* the account sums up */
  sumi_session_free(session);
  sumi_card_close(card);
  sumi_model_unref(model);
  return t;
}

static void test_measure(void **state) {
  (void)state;
  struct seen one = {0}, three = {0}, data = {0};
  const struct sumi_card_total t = measure("SparseOne-S4", false, &one);
  assert_true(one.card >= 2 && one.card + one.host == 3 && one.card == t.card_nodes &&
              one.host == t.host_nodes);
  assert_true(one.words > 0 && one.copies >= 8 && t.programs >= 1 && !t.hazards);
  assert_true(t.items == ITEMS && t.chips == 1 && t.cores == 4 && t.multipliers == 4096);
  assert_true(fabs(t.throughput * t.cycles / (ITEMS * t.clock_hz) - 1) < 1e-12);
  assert_true(fabs(t.power_w * t.cycles / (t.energy_j * t.clock_hz) - 1) < 1e-12);
  assert_true(t.latency_s * t.clock_hz > t.cycles && one.energy_j < t.energy_j);
  assert_true(one.end_s <= (double)t.simulated_cycles / t.clock_hz);
  const struct sumi_card_total s30 = measure("SparseOne-S30", false, &three);
  assert_true(s30.chips == 3 && fabs(s30.throughput / t.throughput - 3) < 1e-9 &&
              s30.latency_s == t.latency_s);
  const struct sumi_card_total same = measure("SparseOne-S4", true, &data);
  assert_true(same.cycles == t.cycles && same.energy_j == t.energy_j); /* bytes change no time */
}

/* One item, or fewer than there are cores, and vectors so slow that sharing it is worth the exchange. */
static void test_split(void **state) {
  (void)state;
  static const char *const cores[][2] = {{"vpu_lanes=1", "cores=1"}, {"vpu_lanes=1", "cores=4"}};
  struct sumi_model *model = model_of(sumi_allocator_default());
  for (int64_t items = 1; items <= 3; items++) {
    struct sumi_card_total t[2] = {{.size = sizeof t[0]}, {.size = sizeof t[1]}};
    for (int i = 0; i < 2; i++) {
      struct sumi_card_options o = {.size = sizeof o, .settings = cores[i], .n_settings = 2};
      struct sumi_card *card;
      assert_int_equal(sumi_card_open(&o, &card, NULL), SUMI_OK);
      struct sumi_session *session = session_of(card, model, items, true);
      assert_int_equal(sumi_card_measure(session, NULL, &t[i], NULL), SUMI_OK);
      assert_true(!t[i].hazards && t[i].items == (double)items);
      sumi_session_free(session);
      sumi_card_close(card);
    }
    assert_true(t[1].cycles < 0.6 * t[0].cycles);
  }
  sumi_model_unref(model);
}

/* How long the stream is changes nothing of what one inference takes: the account is divided, its ends are left out. */
static void test_streams(void **state) {
  (void)state;
  struct sumi_card_options o = {.size = sizeof o, .timing_only = true};
  struct sumi_card_total short_ = {.size = sizeof short_}, long_ = short_;
  struct sumi_card_measure_options m = {.size = sizeof m, .inferences = 5};
  struct sumi_model *model = model_of(sumi_allocator_default());
  struct sumi_card *card;
  assert_int_equal(sumi_card_open(&o, &card, NULL), SUMI_OK);
  struct sumi_session *session = session_on(card, model, false);
  assert_int_equal(sumi_card_measure(session, &m, &short_, NULL), SUMI_OK);
  m.inferences = 25;
  assert_int_equal(sumi_card_measure(session, &m, &long_, NULL), SUMI_OK);
  assert_true(fabs(long_.cycles / short_.cycles - 1) < 0.02 &&
              fabs(long_.energy_j / short_.energy_j - 1) < 0.02);
  assert_true(long_.bytes.dram == short_.bytes.dram && long_.bytes.link == short_.bytes.link);
  assert_true(long_.latency_s * long_.clock_hz > long_.cycles);
  m.inferences = -1;
  assert_int_equal(sumi_card_measure(session, &m, &long_, NULL), SUMI_E_ARG);
  sumi_session_free(session);
  sumi_card_close(card);
  sumi_model_unref(model);
}

/* A session that is given no card has one of its own. */
static void test_own_card(void **state) {
  (void)state;
  struct sumi_card_total t = {.size = sizeof t};
  struct sumi_model *model = model_of(sumi_allocator_default());
  struct sumi_session *session = session_on(NULL, model, true);
  assert_int_equal(sumi_card_measure(session, NULL, &t, NULL), SUMI_OK);
  assert_string_equal(t.card, sumi_card_known(0));
  sumi_session_free(session);
  sumi_model_unref(model);
}

static void test_wrong_calls(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_card_total t = {.size = sizeof t};
  struct sumi_session *session;
  struct sumi_model *model = model_of(sumi_allocator_default());
  struct sumi_session_options o = {.size = sizeof o, .device = "antoum"};
  o.threads = 5000;
  assert_int_equal(sumi_session_new(model, &o, &session, NULL),
                   SUMI_E_ARG); /* its own card is closed again */
  o.threads = 0;
  assert_int_equal(sumi_session_new(model, NULL, &session, NULL), SUMI_OK);
  assert_int_equal(sumi_card_measure(session, NULL, &t, NULL), SUMI_E_STATE);
  assert_int_equal(sumi_card_measure(NULL, NULL, &t, NULL), SUMI_E_ARG);
  sumi_session_free(session);
  assert_int_equal(sumi_card_open(NULL, &o.card, NULL), SUMI_OK);
  assert_int_equal(sumi_session_new(model, &o, &session, NULL), SUMI_OK);
  sumi_err_clear(&err);
  assert_int_equal(sumi_card_measure(session, NULL, &t, &err), SUMI_E_STATE);
  assert_string_equal(err.text, "the session is not prepared");
  sumi_session_free(session);
  sumi_card_close(o.card);
  sumi_model_unref(model);
}

static void test_engines(void **state) {
  (void)state;
  const struct sumi_card_product p = {
      .size = sizeof p, .m = 64, .k = 64, .n = 64, .count = 2, .x = 64, .nonzero = 0.25};
  static const struct {
    const char *engine;
    double cycles; /* a product; 0 = refused */
  } cases[] = {{"systolic:os:64x64", 3 * 64 - 2},
               {"systolic:ws:64x64", 64 + 2 * 64 + 64 - 2},
               {"systolic:is:32x64", 2 * (64 + 2 * 32 + 64 - 2)},
               {"nm:2:4:64x64", 32 + 64 + 64 - 2},
               {"dual:16", 64. * 64 * 0.25 * 64 * 0.5 / 16},
               {"systolic:os:64", 0},
               {"systolic:xs:64x64", 0},
               {"systolic:os:0x64", 0},
               {"systolic:os:64x64x", 0},
               {"nm:4:2:64x64", 0},
               {"nm:2:4", 0},
               {"dual:", 0},
               {"dual:99999999999", 0},
               {"", 0}};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    double cycles = 0;
    const sumi_status s = sumi_card_engine_cycles(cases[i].engine, &p, 0.5, &cycles, NULL);
    assert_int_equal(s, cases[i].cycles > 0 ? SUMI_OK : SUMI_E_VALUE);
    assert_true(cycles == 2 * cases[i].cycles);
  }
  double cycles;
  struct sumi_card_product wrong = p;
  wrong.m = -1;
  assert_int_equal(sumi_card_engine_cycles("dual:16", &wrong, 1, &cycles, NULL), SUMI_E_ARG);
  wrong = p, wrong.m = wrong.n = 0x1p52;
  assert_int_equal(sumi_card_engine_cycles("systolic:os:1x1", &wrong, 1, &cycles, NULL), SUMI_OK);
  assert_true(isinf(cycles));
}

static void test_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  struct sumi_card_options o = {
      .size = sizeof o, .timing_only = true, .allocator = sumi_test_heap_init(&heap)};
  for (long n = 0;; n++) {
    struct sumi_card *card;
    sumi_test_heap_fail(&heap, n);
    const sumi_status s = sumi_card_open(&o, &card, NULL);
    sumi_card_close(card);
    assert_true(s == SUMI_OK || s == SUMI_E_MEMORY);
    assert_int_equal(heap.blocks, 0);
    if (s == SUMI_OK && !heap.failed) return;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_options),     cmocka_unit_test(test_parameters), cmocka_unit_test(test_measure),
      cmocka_unit_test(test_split),       cmocka_unit_test(test_streams),    cmocka_unit_test(test_own_card),
      cmocka_unit_test(test_wrong_calls), cmocka_unit_test(test_engines),    cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
