/* The program as scripts see it: exit statuses, what stands on which stream, JSON, hostile files. Runs SUMI_PROGRAM. */
#include "program.h"

static void test_statuses(void **state) {
  (void)state;
  static const struct expectation table[] = {
      {"", 2, "usage"},
      {"--help", 0, "commands:"},
      {"help", 0, "commands:"},
      {"help run", 0, "example:"},
      {"--version", 0, "sumi "},
      {"dance", 2, "there is no command 'dance'"},
      {"run", 2, "something is missing"},
      {"run a b", 2, "one too many"},
      {"run --dance " MATMUL, 2, "no option --dance"},
      {"run --threads many " MATMUL, 2, "whole number"},
      {"run --threads 0 " MATMUL, 2, "takes 1 to"},
      {"run --threads", 2, "wants a value"},
      {"run --device abacus --random 1 " MATMUL, 2, "no device 'abacus'"},
      {"run " MATMUL, 2, "input 'a' is missing"},
      {"run --random 1 -i d=x.npy " MATMUL, 2, "names no input"},
      {"run --random 1 -i a=nowhere.npy " MATMUL, 3, "nowhere.npy"},
      {"run --random 1 --shape a=2xx3 " MATMUL, 2, "is no shape"},
      {"run --random 1 --shape a=2x3 --shape b=4x2 --shape c=2 " MATMUL, 3, NULL},
      {"run --random 1 --shape a=2x3 --shape b=3x2 --shape c=2 " MATMUL, 0, "y: float32[2,2]"},
      {"run --random 1 --range a=5:1 " MATMUL, 2, "LOW:HIGH"},
      {"run --random 1 --output z " MATMUL, 2, "no output 'z'"},
      {"run nowhere.onnx", 3, "nowhere.onnx"},
      {"run " CAT, 3, NULL},
      {"run " CIFAR " -i " CAT " --top 1", 0, "3"},
      {"run " CIFAR " -i image=" CAT " --crop 33", 3, "cannot be cut"},
      {"run " CIFAR " -i image=" CAT " --mean 1,2", 2, "--mean"},
      {"run " CIFAR " -i image=" CAT " --layout HCWN", 2, "--layout"},
      {"run " MATMUL " -i a=" CAT " --random 1", 3, "a picture is no input"},
      {"graph --after dance " MATMUL, 2, "no pass 'dance'"},
      {"graph --after import " MATMUL, 0, "MatMul"},
      {"eval " CIFAR, 2, "--data is missing"},
      {"eval " CIFAR " --data nowhere", 3, "nowhere"},
      {"eval " CIFAR " --data " DATA "/images --limit 10", 0, "top-1"},
      {"prune " CIFAR " -s 0.5", 2, "where to?"},
      {"prune " CIFAR " -o p.onnx --calib " DATA "/images", 2, "a sparsity or a speed-up is missing"},
      {"prune " CIFAR " -o p.onnx -s 0.5 -p 4y4", 3, "is no pattern"},
      {"prune " CIFAR " -o p.onnx -s 0.5 --method alps", 2, "needs calibration data"},
      {"prune " CIFAR " -o p.onnx -s 0.5 --calib nowhere", 3, "nowhere"},
      {"prune " CIFAR " -o p.onnx -s 0.5 --calib " DATA "/images --crop 33", 3, "cannot be cut"},
      {"prune " CIFAR " -o p.onnx -s 0.5 --resume nowhere.state", 3, "no state 'nowhere.state'"},
      {"prune " CIFAR " -o nowhere/p.onnx -s 0.5", 4, "nowhere/p.onnx"},
      {"prune " CIFAR " -o p.onnx -s 0.5 --report p.html", 0, "15 layers are zero, magnitude"},
      {"prune p.onnx -o q.onnx -s 0.5", 3, "already sparse"},
      {"prune " CIFAR " -o q.onnx -s 0.5 --layers */d/d.0/Conv --calib " DATA "/images", 0,
       "3 layers are zero"},
      {"run q.onnx -i " CAT " --top 1", 0, "3"},
      {"check nowhere", 3, "is no folder"},
      {"check empty", 3, "no test case"},
      {"bench " MATMUL " --batch 0", 2, "takes 1 to"},
      {"compile " MATMUL, 2, "where to?"},
      {"compile " MATMUL " -o m.sumi", 0, "m.sumi: graph"},
      {"compile " MATMUL " -o m.sumi --shape a=2x3 --shape b=4x2 --shape c=2", 3, NULL},
      {"compile " MATMUL " -o nowhere/m.sumi", 4, "nowhere/m.sumi"},
      {"compile " CIFAR " -o p.sumi --portable", 0, "packed for"},
      {"compile p.sumi -o c.sumi --batch 2", 0, "this machine and version"},
      {"compile --verify c.sumi", 0, "c.sumi: graph"},
      {"compile --verify " CIFAR, 3, "not loaded from a compiled file"},
      {"info c.sumi --brief", 0, "used as it is"},
      {"check c.sumi", 3, "is no folder"},
      {"bench c.sumi --runs 2", 0, "median"},
      {"explain c.sumi --runs 1", 0, "spmm_f32"},
      {"graph c.sumi --after import", 0, "Conv"},
      {"plan c.sumi", 0, NULL},
      {"eval c.sumi --data " DATA "/images --limit 10", 0, "top-1"},
      {"ops --dance", 2, "no option"},
  };
  CHECK_ALL(table);
}

static void test_help_everywhere(void **state) {
  (void)state;
  static const char *const commands[] = {"info", "run",   "check", "bench", "eval",    "explain", "compile",
                                         "card", "graph", "plan",  "ops",   "kernels", "knobs",   "version"};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    char line[64];
    snprintf(line, sizeof line, "%s --help", commands[i]);
    struct outcome o = run(line);
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out, "usage: sumi "));
    assert_non_null(strstr(o.out, "example:\n  "));
    done(&o);
  }
}

static void test_json(void **state) {
  (void)state;
  static const struct {
    const char *line, *keys[12];
    int status;
  } table[] = {
      {"info " CIFAR " --json",
       {"inputs", "outputs", "operators", "parameters", "dense_macs", "density", "layers"},
       0},
      {"run " MATMUL " --random 1 --json", {"outputs", "seconds"}, 0},
      {"bench " MATMUL " --runs 3 --json",
       {"median_ms", "min_ms", "runs", "threads", "isa", "load_ms", "prepare_ms", "peak_rss_bytes"},
       0},
      {"explain " MATMUL " --json", {"steps", "machine"}, 0},
      {"graph " MATMUL " --json", {"graph"}, 0},
      {"graph --list --json", {"passes"}, 0},
      {"plan " CIFAR " --json", {"buffers", "arena_bytes", "static"}, 0},
      {"compile " CIFAR " -o j.sumi --json",
       {"file", "isa", "library", "is_for_here", "graph_bytes", "weight_bytes", "packed_bytes", "seconds"},
       0},
      {"info j.sumi --json", {"compiled"}, 0},
      {"ops --json", {"operators"}, 0},
      {"kernels --json", {"kernels", "machine", "isa"}, 0},
      {"knobs --json", {"environment", "devices", "passes"}, 0},
      {"version --json", {"version", "machine", "isa"}, 0},
      {"eval " CIFAR " --data " DATA "/images --limit 20 --json", {"top1", "top5", "n", "images_per_s"}, 0},
      {"run nowhere.onnx --json", {"error", "status"}, 3},
      {"check empty --json", {"error", "status"}, 3},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct outcome o = run(table[i].line);
    json_error_t error;
    json_t *j = json_loads(o.out, 0, &error); /* refuses anything before or after the object */
    if (o.status != table[i].status || !json_is_object(j))
      fail_msg("sumi %s: status %d, %s\n%s", table[i].line, o.status, error.text, o.out);
    for (const char *const *key = table[i].keys; *key; key++)
      if (!json_object_get(j, *key)) fail_msg("sumi %s: no \"%s\" in\n%s", table[i].line, *key, o.out);
    json_decref(j);
    done(&o);
  }
}

/* Peak memory is the program's own, not what its parent had before exec. */
static void test_peak_memory(void **state) {
  (void)state;
  enum { PARENT_BYTES = 256 << 20 };
  char *big = malloc(PARENT_BYTES);
  assert_non_null(big);
  memset(big, 1, PARENT_BYTES);
  struct outcome o = run("bench " MATMUL " --runs 1 --json");
  free(big);
  json_t *j = json_loads(o.out, 0, NULL);
  const json_int_t peak = json_integer_value(json_object_get(j, "peak_rss_bytes"));
  assert_in_range(peak, 1 << 20, PARENT_BYTES - 1);
  json_decref(j);
  done(&o);
}

/* The largest top-1 share that eval gives over the embedded pictures with a precision. */
static double top1(const char *precision) {
  char line[400];
  snprintf(line, sizeof line, "eval " CIFAR " --data " DATA "/images --limit 20 --json --precision %s",
           precision);
  struct outcome o = run(line);
  if (o.status != 0) fail_msg("sumi %s: status %d\n%s", line, o.status, o.out);
  json_t *j = json_loads(o.out, 0, NULL);
  const double share = json_number_value(json_object_get(j, "top1"));
  json_decref(j);
  done(&o);
  return share;
}

static void test_precisions(void **state) {
  (void)state;
  static const char *const precisions[] = {"file", "int8-dynamic", "bf16"};
  const double right = top1("file");
  for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
    char line[400];
    snprintf(line, sizeof line, "bench " CIFAR " --runs 1 --json --precision %s", precisions[i]);
    struct outcome o = run(line);
    json_t *j = json_loads(o.out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "precision")), precisions[i]);
    json_decref(j);
    done(&o);
    assert_true(fabs(top1(precisions[i]) - right) <= 5.01); /* one of 20 pictures, in percent */
  }
  struct outcome o = run("bench " CIFAR " --runs 1 --precision half");
  assert_int_equal(o.status, 2);
  assert_non_null(strstr(o.err, "there is no precision 'half'"));
  done(&o);
}

static void test_written_outputs(void **state) {
  (void)state;
  struct outcome o =
      run("run " MATMUL " --random 3 --shape a=2x3 --shape b=3x2 --shape c=2 -o new/deep --json");
  assert_int_equal(o.status, 0);
  done(&o);
  char path[600];
  size_t n;
  snprintf(path, sizeof path, "%s/new/deep/y.npy", folder);
  char *bytes = read_text(path, &n);
  assert_int_equal(n, 128 + 4 * 4);
  assert_memory_equal(bytes, "\x93NUMPY\x01\x00", 8);
  assert_non_null(strstr(bytes + 10, "'descr': '<f4'"));
  assert_non_null(strstr(bytes + 10, "(2, 2,)"));
  free(bytes);
  o = run("run " MATMUL
          " -i a=new/deep/y.npy --shape b=2x2 --shape c=2 --random 3"); /* what was written is read */
  assert_int_equal(o.status, 0);
  done(&o);
  o = run("run " MATMUL " --random 1 -o " MATMUL "/x");
  assert_int_equal(o.status, 4); /* cannot be made */
  done(&o);
}

static void test_equal_seeds(void **state) {
  (void)state;
  struct outcome a = run("run " CIFAR " --random 7"), b = run("run " CIFAR " --random 7"),
                 c = run("run " CIFAR " --random 8");
  assert_string_equal(a.out, b.out);
  assert_string_not_equal(a.out, c.out);
  done(&a);
  done(&b);
  done(&c);
}

/* A compiled file gives what its model gives, to the bit, on the machine it was packed for and on others. */
static void test_compiled_equals(void **state) {
  (void)state;
  static const char *const levels[] = {NULL, "avx2", "ref"};
  struct outcome o = run("compile " CIFAR " -o e.sumi --batch 2");
  assert_int_equal(o.status, 0);
  done(&o);
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    if (levels[i]) setenv("SUMI_ISA", levels[i], 1);
    struct outcome a = run("run " CIFAR " --random 5 --shape image=2x3x32x32 -o a"),
                   b = run("run e.sumi --random 5 --shape image=2x3x32x32 -o b");
    unsetenv("SUMI_ISA");
    assert_int_equal(a.status, 0);
    assert_int_equal(b.status, 0);
    done(&a);
    done(&b);
    char from[600];
    size_t n, m;
    snprintf(from, sizeof from, "%s/a/logits.npy", folder);
    char *want = read_text(from, &n);
    snprintf(from, sizeof from, "%s/b/logits.npy", folder);
    char *got = read_text(from, &m);
    assert_int_equal(n, m);
    assert_memory_equal(want, got, n);
    free(want);
    free(got);
  }
}

/* Damage to weights is found when asked for, and the answer is no; damage to the rest is refused. */
static void test_damaged_compiled(void **state) {
  (void)state;
  static const struct {
    long at; /* from the end where negative */
    const char *line;
    int status;
  } table[] = {{-1000, "run d.sumi --random 1", 0},
               {-1000, "compile --verify d.sumi", 1},
               {100000, "compile --verify d.sumi", 1},
               {40, "compile --verify d.sumi", 3},
               {2000, "run d.sumi --random 1", 3}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct outcome o = run("compile " CIFAR " -o d.sumi");
    assert_int_equal(o.status, 0);
    done(&o);
    char to[600];
    snprintf(to, sizeof to, "%s/d.sumi", folder);
    FILE *f = fopen(to, "r+b");
    assert_non_null(f);
    fseek(f, table[i].at, table[i].at < 0 ? SEEK_END : SEEK_SET);
    const int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 1, f);
    fclose(f);
    o = run(table[i].line);
    if (o.status != table[i].status) fail_msg("%s: status %d\n%s", table[i].line, o.status, o.err);
    if (o.status) assert_true(strlen(o.err) > 10);
    done(&o);
  }
}

/* Damaged files of every kind end in a result or a refusal, never in a signal. */
static void test_hostile_files(void **state) {
  (void)state;
  static const struct {
    const char *source, *file, *line;
  } table[] = {
      {CAT, "x.jpg", "run " CIFAR " -i image=x.jpg --device ref"},
      {MATMUL, "x.onnx", "run x.onnx --random 1"},
      {MATMUL, "x.pb", "run " MATMUL " --random 1 -i a=x.pb"},
      {"m.sumi", "x.sumi", "run x.sumi --random 1"},
      {"new/deep/y.npy", "x.npy", "run " MATMUL " --random 1 -i a=x.npy --shape b=2x2 --shape c=2"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    size_t n;
    char path[600];
    snprintf(path, sizeof path, "%s%s%s", *table[i].source == '/' ? "" : folder,
             *table[i].source == '/' ? "" : "/", table[i].source);
    char *bytes = read_text(path, &n);
    uint32_t seed = 12345;
    for (int k = 0; k < 40; k++) {
      char *copy = malloc(n);
      size_t m = n;
      memcpy(copy, bytes, n);
      for (int flips = 0; flips <= k % 4; flips++) {
        seed = seed * 1664525u + 1013904223u;
        copy[(seed >> 8) % n] ^= (char)(1 << (seed >> 28) % 8);
      }
      if (k % 3 == 0) m = (seed >> 4) % n; /* cut short */
      write_bytes(table[i].file, copy, m);
      free(copy);
      struct outcome o = run(table[i].line);
      if (o.status != 0 && o.status != 2 && o.status != 3 && o.status != 4)
        fail_msg("variant %d of %s: status %d\n%s", k, table[i].source, o.status, o.err);
      if (o.status != 0) assert_true(strlen(o.err) > 10);
      done(&o);
    }
    free(bytes);
  }
}

/* A TensorProto of one float32 element. */
static void write_element(const char *name, int rank, float x) {
  unsigned char bytes[] = {0x08, 1, 0x08, 1, 0x10, 1, 0x4a, 4, 0, 0, 0, 0};
  memcpy(bytes + 8, &x, sizeof x);
  const size_t skip = rank == 2 ? 0 : 2;
  write_bytes(name, bytes + skip, sizeof bytes - skip);
}

/* What a case's files expect, or what another device gives: 2 * 2 + 1 is 5, the file says 7. */
static void test_check_against(void **state) {
  static const struct {
    const char *line, *says;
    int status;
  } table[] = {{"check case", "is 5, not 7", 1},
               {"check case --device cpu --against ref", "1 passed", 0},
               {"check case --against nowhere", "nowhere", 1}};
  (void)state;
  size_t n;
  char path[600];
  static const char *const folders[] = {"case", "case/test_data_set_0"};
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
    mkdir(path, 0777);
  }
  char *model = read_text(MATMUL, &n);
  write_bytes("case/model.onnx", model, n);
  free(model);
  write_element("case/test_data_set_0/input_0.pb", 2, 2);
  write_element("case/test_data_set_0/input_1.pb", 2, 2);
  write_element("case/test_data_set_0/input_2.pb", 1, 1);
  write_element("case/test_data_set_0/output_0.pb", 2, 7);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct outcome o = run(table[i].line);
    if (o.status != table[i].status || !strstr(o.out, table[i].says))
      fail_msg("%s: status %d\n%s%s", table[i].line, o.status, o.out, o.err);
    done(&o);
  }
}

/* Any picture that the library knows is an input; one of a format that is not read here names it. */
static void test_pictures(void **state) {
  (void)state;
  enum { SIDE = 32, HEADER = 13 };
  uint8_t pnm[HEADER + SIDE * SIDE * 3] = "P6\n32 32\n255\n";
  for (int i = 0; i < SIDE * SIDE * 3; i++) pnm[HEADER + i] = (uint8_t)(i / 12);
  write_bytes("grey.ppm", pnm, sizeof pnm);
  write_bytes("cut.bmp", "BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\0\0\0\0", 22);
  write_bytes("cut.tif", "II*\0\x8\0\0\0", 8);
  write_bytes("no.picture", "GIF89a\1\0\1\0\0\0\0", 13);
  static const struct expectation table[] = {
      {"run " CIFAR " -i grey.ppm --top 1", 0, " %"},
      {"run " CIFAR " -i cut.bmp", 3, "cut.bmp': damaged BMP"},
      {"run " CIFAR " -i cut.tif", 3, "cut.tif': "},
      {"run " CIFAR " -i no.picture", 3, "nor a picture"},
  };
  CHECK_ALL(table);
}

static int count(const json_t *list, const char *key, const char *value) {
  int n = 0;
  for (size_t i = 0; i < json_array_size(list); i++)
    n += !strcmp(json_string_value(json_object_get(json_array_get(list, i), key)), value);
  return n;
}

/* The table of operators: versions, kinds and element types of every input, devices. */
static void test_ops(void **state) {
  (void)state;
  static const struct expectation table[] = {
      {"ops Nix", 2, "there is no operator 'Nix'"},
      {"ops ZipMap", 0, "sequence of maps of float32"},
      {"ops DictVectorizer", 0, "map of float32/64 int64 string"},
      {"ops StringConcat", 0, "string"},
      {"ops Conv", 0, "cpu, ref"},
      {"ops", 0, "operators, "},
  };
  CHECK_ALL(table);
  struct outcome o = run("ops --json");
  json_t *j = json_loads(o.out, 0, NULL), *list = json_object_get(j, "operators");
  assert_int_equal(count(list, "name", "Softmax"), 1);
  assert_true(count(list, "domain", "ai.onnx.ml") > 10 && count(list, "domain", "com.microsoft") > 40);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *op = json_array_get(list, i), *outputs = json_object_get(op, "outputs");
    if (!json_array_size(json_object_get(op, "versions")))
      fail_msg("%s has no version", json_string_value(json_object_get(op, "name")));
    for (size_t k = 0; k < json_array_size(outputs); k++)
      assert_true(json_array_size(json_object_get(json_array_get(outputs, k), "types")) > 0);
  }
  json_decref(j);
  done(&o);
}

int main(void) {
  if (!enter("cli")) return 77;
  char empty[600];
  snprintf(empty, sizeof empty, "%s/empty", folder);
  mkdir(empty, 0777);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_statuses),
      cmocka_unit_test(test_help_everywhere),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_written_outputs),
      cmocka_unit_test(test_equal_seeds),
      cmocka_unit_test(test_compiled_equals),
      cmocka_unit_test(test_damaged_compiled),
      cmocka_unit_test(test_peak_memory),
      cmocka_unit_test(test_precisions),
      cmocka_unit_test(test_hostile_files),
      cmocka_unit_test(test_check_against),
      cmocka_unit_test(test_pictures),
      cmocka_unit_test(test_ops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
