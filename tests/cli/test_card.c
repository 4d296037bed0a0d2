/* sumi card as scripts see it. */
#include "program.h"

#define CARD "card " CIFAR " --precision bf16 --batch 4"

static void test_statuses(void **state) {
  (void)state;
  static const char parameters[] = "card = SparseOne-S10\nname = mine\ncores = 2\n";
  write_bytes("mine.txt", parameters, sizeof parameters - 1);
  write_bytes("wrong.txt", "cores = many\n", 13);
  static const struct expectation table[] = {
      {"card", 2, "which MODEL?"},
      {"card nowhere.onnx", 3, "nowhere.onnx"},
      {"card a b", 2, "one too many"},
      {CARD, 0, "bound by"},
      {"card " CIFAR, 0, "batch 16 a chip"},
      {"card " CIFAR " -i " CAT, 0, "batch 1 a chip"},
      {"card " MATMUL " --batch 3 --shape a=3x3 --shape b=3x2 --shape c=3", 3, NULL},
      {"card " MATMUL " --shape a=2x3 --shape b=3x2 --shape c=2", 0, "1 chip of 4 cores"},
      {CARD " --card SparseOne-S30", 0, "SparseOne-S30: 3 chips of 4 cores"},
      {CARD " --card mine.txt", 0, "mine: 2 chips of 2 cores"},
      {CARD " --card wrong.txt", 3, "line 1"},
      {CARD " --card T4", 3, "there are SparseOne-S4"},
      {CARD " --chips 2 --cores 1 --set act_lanes=64", 0, "2 chips of 1 cores"},
      {CARD " --set act_lanes", 3, "has no ="},
      {CARD " --set lanes=64", 3, "'lanes' is not known"},
      {CARD " --energy free", 3, "'free' is neither"},
      {CARD " --energy optimistic", 0, "optimistic"},
      {CARD " --sparsity 3", 2, "1, 2, 4, 8, 16 or 32"},
      {CARD " --sparsity 64", 2, "takes 1 to 32"},
      {CARD " --sweep density=1", 2, "sparsity=1,2,4,8,16,32"},
      {CARD " --sweep sparsity=5", 2, "sparsity=1,2,4,8,16,32"},
      {CARD " --sweep sparsity=1 --html p.html", 2, "goes without"},
      {CARD " --sweep sparsity=1,8", 0, "speed-up"},
      {CARD " --engine abacus", 2, "'abacus' is not known"},
      {CARD " --engine systolic:os:128x128", 0, "closed formulas"},
      {CARD " --html nowhere/p.html", 4, "nowhere/p.html"},
      {CARD " --trace nowhere/t.json", 4, "nowhere/t.json"},
      {CARD " --data", 0, "largest difference from device cpu"},
      {CARD " -i nowhere.npy", 3, "nowhere.npy"},
      {"card --compare", 0, "does not hold against"},
      {"card --parameters --card SparseOne-S10", 0, "D chips                       2"},
  };
  CHECK_ALL(table);
}

static json_t *json_of(const char *line) {
  struct outcome o = run(line);
  if (o.status != 0) fail_msg("sumi %s: status %d\n%s", line, o.status, o.err);
  json_t *j = json_loads(o.out, 0, NULL);
  if (!json_is_object(j)) fail_msg("sumi %s: no object:\n%s", line, o.out);
  done(&o);
  return j;
}

static double number(const json_t *j, const char *key) {
  const json_t *v = json_object_get(j, key);
  if (!json_is_number(v)) fail_msg("%s is no number", key);
  return json_number_value(v);
}

/* Every figure follows from the others; they are printed with nine digits. */
static void test_json(void **state) {
  (void)state;
  static const char *const keys[] = {"throughput_per_s", "latency_ms", "cycles",  "dense_macs",
                                     "executed_macs",    "energy_j",   "power_w", "compile_ms",
                                     "simulate_ms",      "host_share"};
  json_t *j = json_of(CARD " --card SparseOne-S10 --json"), *row;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_true(number(j, keys[i]) >= 0);
  const double cycles = number(j, "cycles"), hz = number(j, "clock_hz");
  assert_true(number(j, "batch") == 4 && number(j, "chips") == 2 && number(j, "hazards") == 0);
  assert_true(fabs(number(j, "throughput_per_s") * cycles / (8 * hz) - 1) < 1e-8);
  assert_true(fabs(number(j, "power_w") * cycles / (2 * hz * number(j, "energy_j")) - 1) < 1e-8);
  double macs = 0, joule = 0;
  size_t i, on_card = 0;
  json_array_foreach(json_object_get(j, "layers"), i, row) {
    const bool card = !strcmp(json_string_value(json_object_get(row, "device")), "antoum");
    on_card += card;
    if (card) macs += number(row, "executed_macs");
  }
  json_array_foreach(json_object_get(j, "energy"), i, row) joule += number(row, "energy_j");
  assert_true(on_card == (size_t)number(j, "card_nodes"));
  assert_true(macs > 0 && fabs(macs / number(j, "executed_macs") - 1) < 1e-8);
  assert_true(fabs(joule / number(j, "energy_j") - 1) < 1e-8);
  json_decref(j);
}

static void test_sweep(void **state) {
  (void)state;
  json_t *j = json_of(CARD " --sweep sparsity=1,32 --json");
  const json_t *rows = json_object_get(j, "sweep"), *one = json_array_get(rows, 0),
               *most = json_array_get(rows, 1);
  assert_int_equal(json_array_size(rows), 2);
  assert_true(number(one, "sparsity") == 1 && number(most, "sparsity") == 32);
  assert_true(number(most, "cycles") < number(one, "cycles"));
  assert_true(number(most, "dense_macs") == number(one, "dense_macs"));
  assert_true(number(most, "executed_macs") < number(one, "executed_macs") / 8);
  json_decref(j);
}

/* Complete events, sorted out to threads that have names. */
static void test_trace(void **state) {
  (void)state;
  json_decref(json_of(CARD " --trace t.json --html p.html --json"));
  char path[600];
  size_t n, i, spans = 0, names = 0;
  json_t *e;
  snprintf(path, sizeof path, "%s/t.json", folder);
  json_t *j = json_load_file(path, 0, NULL);
  assert_true(json_is_object(j));
  json_array_foreach(json_object_get(j, "traceEvents"), i, e) {
    const char *kind = json_string_value(json_object_get(e, "ph"));
    if (!strcmp(kind, "M")) names++;
    if (strcmp(kind, "X") != 0) continue;
    spans++;
    assert_true(number(e, "ts") >= 0 && number(e, "dur") >= 0 && number(e, "tid") >= 0);
    assert_true(json_string_length(json_object_get(e, "name")) > 0);
  }
  assert_true(spans > 100 && names > 10);
  json_decref(j);
  snprintf(path, sizeof path, "%s/p.html", folder);
  char *page = read_text(path, &n);
  assert_true(strstr(page, "<svg") && strstr(page, "</html>") && strstr(page, "Roofline") &&
              !strstr(page, "nan"));
  assert_null(strstr(page, "http")); /* nothing from elsewhere */
  free(page);
}

static void test_compare(void **state) {
  (void)state;
  json_t *j = json_of(CARD " --compare --json"), *compare = json_object_get(j, "compare");
  assert_true(json_array_size(json_object_get(compare, "published")) >= 11);
  assert_true(json_array_size(json_object_get(compare, "words")) == 6);
  assert_true(json_is_null(json_object_get(json_object_get(compare, "simulated"), "network")));
  json_decref(j);
}

static void test_parameters(void **state) {
  (void)state;
  json_t *j = json_of("card --parameters --cores 2 --json"), *row;
  size_t i, found = 0;
  json_array_foreach(json_object_get(j, "parameters"), i, row) {
    assert_true(strchr("KDA", *json_string_value(json_object_get(row, "letter"))) &&
                number(row, "value") >= 0);
    found += !strcmp(json_string_value(json_object_get(row, "name")), "cores") && number(row, "value") == 2;
  }
  assert_int_equal(found, 1);
  json_decref(j);
}

int main(void) {
  if (!enter("cli_card")) return 77;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_statuses), cmocka_unit_test(test_json),
                                     cmocka_unit_test(test_sweep),    cmocka_unit_test(test_trace),
                                     cmocka_unit_test(test_compare),  cmocka_unit_test(test_parameters)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
