/* Tensors as files store them: every element type in its typed field and raw, external data, sparse
 * tensors, sequences and optionals; and every way in which their sizes can lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/size.h"
#include "onnx/bytes_test.h"

static sumi_status read_value(struct bytes take, sumi_kind kind, struct sumi_arena *arena,
                              struct sumi_tensor **t, struct sumi_err *err) {
  sumi_arena_init(arena, NULL);
  const sumi_status status = sumi_onnx_value_read(take.data, take.n, kind, NULL, arena, t, err);
  free(take.data);
  return status;
}

static void expect_refusal(struct bytes take, sumi_kind kind, sumi_status want, const char *says) {
  struct sumi_arena arena;
  struct sumi_tensor *t;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = read_value(take, kind, &arena, &t, &err);
  if (status != want || !strstr(err.text, says))
    fail_msg("status %d, '%s' where %d, '%s' is wanted", status, err.text, want, says);
  assert_null(t);
  sumi_arena_fini(&arena);
}

/* Integer types: what the typed field and the raw bytes hold, and the elements that must come out. Items
 * of types below a byte are whole bytes of packed elements. */
static void reads_integers(void **state) {
  (void)state;
  static const struct {
    int onnx, field, n_items;
    int64_t item[4];
    int raw_bytes;
    uint8_t raw[24];
    const char *dims;
    int64_t want[4];
  } rows[] = {
      {6, 5, 3, {1, -2, 300}, 12, {1, 0, 0, 0, 254, 255, 255, 255, 44, 1}, "3", {1, -2, 300}},
      {7,
       7,
       2,
       {-1, INT64_MIN},
       16,
       {255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 128},
       "2",
       {-1, INT64_MIN}},
      {5, 5, 2, {-3, 32767}, 4, {253, 255, 255, 127}, "2", {-3, 32767}},
      {3, 5, 2, {-128, 5}, 2, {128, 5}, "2", {-128, 5}},
      {2, 5, 2, {255, 5}, 2, {255, 5}, "2", {255, 5}},
      {4, 5, 2, {65535, 5}, 4, {255, 255, 5, 0}, "2", {65535, 5}},
      {12, 11, 2, {4294967295, 5}, 8, {255, 255, 255, 255, 5}, "2", {4294967295, 5}},
      {13, 11, 1, {-1}, 8, {255, 255, 255, 255, 255, 255, 255, 255}, "1", {-1}},
      {9, 5, 3, {1, 0, 1}, 3, {1, 0, 1}, "3", {1, 0, 1}},
      {21, 5, 2, {0x2f, 0x07}, 2, {0x2f, 0x07}, "3", {15, 2, 7}},
      {22, 5, 2, {0x2f, 0x07}, 2, {0x2f, 0x07}, "3", {-1, 2, 7}},
      {25, 5, 1, {0xe4}, 1, {0xe4}, "4", {0, 1, 2, 3}},
      {26, 5, 1, {0xe4}, 1, {0xe4}, "4", {0, 1, -2, -1}},
      {6, 5, 0, {0}, 0, {0}, "0,5", {0}},
      {6, 5, 1, {9}, 4, {9}, "", {9}},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++)
    for (int raw = 0; raw < 2; raw++) {
      struct bytes b = tensor_bytes("t", rows[i].onnx, rows[i].dims);
      if (raw) put_data(&b, 9, rows[i].raw, (size_t)rows[i].raw_bytes);
      for (int k = 0; !raw && k < rows[i].n_items; k++) put_int(&b, (unsigned)rows[i].field, rows[i].item[k]);
      struct sumi_arena arena;
      struct sumi_tensor *t;
      struct sumi_err err = SUMI_ERR_INIT;
      if (read_value(b, SUMI_TENSOR, &arena, &t, &err) != SUMI_OK) fail_msg("row %zu: %s", i, err.text);
      assert_int_equal(sumi_dtype_to_onnx(t->dtype), rows[i].onnx);
      for (int64_t k = 0; k < sumi_tensor_count(t); k++)
        if (sumi_get_i64(t->dtype, t->data, k) != rows[i].want[k])
          fail_msg("row %zu, raw %d, element %d", i, raw, (int)k);
      sumi_arena_fini(&arena);
    }
}

static void reads_floats(void **state) {
  (void)state;
  static const struct {
    int onnx;
    int64_t item[2]; /* bits, as int32_data holds them */
    int raw_bytes;
    uint8_t raw[4];
    double want[2];
  } rows[] = {
      {10, {0x3c00, 0xc000}, 4, {0x00, 0x3c, 0x00, 0xc0}, {1, -2}}, /* float16 */
      {16, {0x3f80, 0xc000}, 4, {0x80, 0x3f, 0x00, 0xc0}, {1, -2}}, /* bfloat16 */
      {17, {0x38, 0xc0}, 2, {0x38, 0xc0}, {1, -2}},                 /* float8e4m3fn */
      {19, {0x3c, 0xc0}, 2, {0x3c, 0xc0}, {1, -2}},                 /* float8e5m2 */
      {24, {0x7f, 0x80}, 2, {0x7f, 0x80}, {1, 2}},                  /* float8e8m0 */
      {27, {0x08, 0x30}, 2, {0x08, 0x0c}, {1, -2}}, /* float6e2m3: 6-bit items, low bits first */
      {28, {0x0c, 0x30}, 2, {0x0c, 0x0c}, {1, -2}}, /* float6e3m2 */
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++)
    for (int raw = 0; raw < 2; raw++) {
      struct bytes b = tensor_bytes("t", rows[i].onnx, "2");
      if (raw) put_data(&b, 9, rows[i].raw, (size_t)rows[i].raw_bytes);
      for (int k = 0; !raw && k < 2; k++) put_int(&b, 5, rows[i].item[k]);
      struct sumi_arena arena;
      struct sumi_tensor *t;
      struct sumi_err err = SUMI_ERR_INIT;
      if (read_value(b, SUMI_TENSOR, &arena, &t, &err) != SUMI_OK) fail_msg("row %zu: %s", i, err.text);
      for (int k = 0; k < 2; k++)
        if (sumi_get_f64(t->dtype, t->data, k) != rows[i].want[k])
          fail_msg("row %zu, raw %d: %g is not %g", i, raw, sumi_get_f64(t->dtype, t->data, k),
                   rows[i].want[k]);
      sumi_arena_fini(&arena);
    }
}

/* Packed, one by one, and both: float, double and their complex numbers. */
static void reads_wide_floats(void **state) {
  (void)state;
  static const float f[] = {1.5f, -2, 3, 4};
  static const double d[] = {1.5, -2, 3, 4};
  for (int form = 0; form < 3; form++)
    for (int complex = 0; complex < 2; complex++)
      for (int wide = 0; wide < 2; wide++) {
        struct bytes b =
            tensor_bytes("t", complex ? (wide ? 15 : 14) : (wide ? 11 : 1), complex ? "2" : "2,2");
        const unsigned field = wide ? 10 : 4;
        const size_t each = wide ? 8 : 4;
        const char *data = wide ? (const char *)d : (const char *)f;
        const size_t packed = form == 0 ? 4 : form == 1 ? 0 : 3; /* how many are in the packed run */
        if (packed) put_data(&b, field, data, packed * each);
        for (size_t i = packed; i < 4; i++) {
          put_varint(&b, field << 3 | (wide ? 1 : 5));
          put_raw(&b, data + i * each, each);
        }
        struct sumi_arena arena;
        struct sumi_tensor *t;
        assert_int_equal(read_value(b, SUMI_TENSOR, &arena, &t, NULL), SUMI_OK);
        assert_memory_equal(t->data, data, 4 * each);
        sumi_arena_fini(&arena);
      }
}

static void reads_strings(void **state) {
  (void)state;
  struct bytes b = tensor_bytes("t", 8, "3");
  put_text(&b, 6, "one");
  put_text(&b, 6, "");
  put_data(&b, 6, "a\0b", 3);
  struct sumi_arena arena;
  struct sumi_tensor *t;
  assert_int_equal(read_value(b, SUMI_TENSOR, &arena, &t, NULL), SUMI_OK);
  const struct sumi_str *s = t->data;
  assert_int_equal(s[0].size, 3);
  assert_memory_equal(s[0].data, "one", 3);
  assert_int_equal(s[1].size, 0);
  assert_memory_equal(s[2].data, "a\0b", 3);
  sumi_arena_fini(&arena);
}

static void reads_sequences_and_optionals(void **state) {
  (void)state;
  static const int64_t one = 1;
  struct bytes seq = {0}, opt = {0}, empty = {0}, opt_seq = {0};
  put_int(&seq, 2, 1);
  put_message(&seq, 3, raw_tensor_bytes("a", 7, "1", &one, 8));
  put_message(&seq, 3, raw_tensor_bytes("b", 7, "", &one, 8));
  put_int(&opt_seq, 2, 3);
  put_data(&opt_seq, 5, seq.data, seq.n);
  struct sumi_arena arena;
  struct sumi_tensor *t;
  assert_int_equal(read_value(seq, SUMI_SEQUENCE, &arena, &t, NULL), SUMI_OK);
  assert_int_equal(t->kind, SUMI_SEQUENCE);
  assert_int_equal(t->dtype, SUMI_INT64);
  assert_int_equal(t->n_items, 2);
  assert_int_equal(t->items[0]->rank, 1);
  assert_int_equal(t->items[1]->rank, 0);
  sumi_arena_fini(&arena);
  put_int(&opt, 2, 1);
  put_message(&opt, 3, raw_tensor_bytes("a", 7, "1", &one, 8));
  assert_int_equal(read_value(opt, SUMI_OPTIONAL, &arena, &t, NULL), SUMI_OK);
  assert_int_equal(t->kind, SUMI_OPTIONAL);
  assert_false(t->absent);
  assert_int_equal(((const int64_t *)t->data)[0], 1);
  sumi_arena_fini(&arena);
  put_int(&empty, 2, 1);
  assert_int_equal(read_value(empty, SUMI_OPTIONAL, &arena, &t, NULL), SUMI_OK);
  assert_true(t->absent);
  sumi_arena_fini(&arena);
  assert_int_equal(read_value(opt_seq, SUMI_OPTIONAL, &arena, &t, NULL), SUMI_OK);
  assert_int_equal(t->kind, SUMI_OPTIONAL_SEQUENCE);
  assert_int_equal(t->n_items, 2);
  sumi_arena_fini(&arena);
}

/* A MapProto from strings (key_type 8) or integers to one-element tensors of values[n]. */
static struct bytes map_bytes(int64_t key_type, int n_keys, int64_t value_type, const void *values,
                              size_t each_bytes, int n_values) {
  static const char *const words[] = {"b", "", "a"};
  struct bytes map = {0}, list = {0};
  put_int(&map, 2, key_type);
  for (int i = 0; i < n_keys; i++)
    if (key_type == 8)
      put_text(&map, 4, words[i]);
    else
      put_int(&map, 3, 10 - 7 * i);
  put_int(&list, 2, 1);
  for (int i = 0; i < n_values; i++)
    put_message(&list, 3,
                raw_tensor_bytes(NULL, value_type, i % 2 ? "1" : "",
                                 (const char *)values + (size_t)i * each_bytes, each_bytes));
  put_message(&map, 5, list);
  return map;
}

static void reads_maps(void **state) {
  (void)state;
  static const float values[] = {0.5f, -1, 3};
  static const int64_t whole[] = {4, 5};
  struct sumi_arena arena;
  struct sumi_tensor *t;
  assert_int_equal(read_value(map_bytes(7, 3, 1, values, 4, 3), SUMI_MAP, &arena, &t, NULL), SUMI_OK);
  assert_true(t->kind == SUMI_MAP && t->key == SUMI_INT64 && t->dtype == SUMI_FLOAT32 && t->n_items == 2);
  assert_memory_equal(t->items[0]->data, ((const int64_t[]){10, 3, -4}), 24);
  assert_memory_equal(t->items[1]->data, values, sizeof values);
  assert_true(t->items[1]->rank == 1 && t->items[1]->dim[0] == 3);
  sumi_arena_fini(&arena);
  assert_int_equal(read_value(map_bytes(8, 2, 7, whole, 8, 2), SUMI_MAP, &arena, &t, NULL), SUMI_OK);
  const struct sumi_str *key = t->items[0]->data;
  assert_true(t->key == SUMI_STRING && t->dtype == SUMI_INT64 && key[0].size == 1 && key[1].size == 0);
  assert_memory_equal(key[0].data, "b", 2);
  sumi_arena_fini(&arena);
  assert_int_equal(read_value(map_bytes(7, 0, 1, NULL, 4, 0), SUMI_MAP, &arena, &t, NULL), SUMI_OK);
  assert_true(t->items[0]->dim[0] == 0 && t->items[1]->dim[0] == 0);
  sumi_arena_fini(&arena);
  struct bytes list = {0};
  put_int(&list, 2, 4);
  for (int i = 1; i < 4; i++) put_message(&list, 6, map_bytes(7, i, 1, values, 4, i));
  assert_int_equal(read_value(list, SUMI_MAP_SEQUENCE, &arena, &t, NULL), SUMI_OK);
  assert_true(t->kind == SUMI_MAP_SEQUENCE && t->n_items == 3 && t->key == SUMI_INT64);
  assert_int_equal(t->items[2]->items[1]->dim[0], 3);
  sumi_arena_fini(&arena);
}

static void refuses_maps(void **state) {
  (void)state;
  static const float values[8];
  expect_refusal(map_bytes(7, 2, 1, values, 4, 3), SUMI_MAP, SUMI_E_FORMAT, "2 keys and 3 values");
  expect_refusal(map_bytes(1, 2, 1, values, 4, 2), SUMI_MAP, SUMI_E_UNSUPPORTED, "maps from type 1");
  expect_refusal(map_bytes(0, 2, 1, values, 4, 2), SUMI_MAP, SUMI_E_UNSUPPORTED, "maps from type 0");
  expect_refusal(map_bytes(7, 2, 1, values, 5, 2), SUMI_MAP, SUMI_E_FORMAT, "5 bytes of data");
  struct bytes b = {0}, list = {0};
  put_int(&b, 2, 7);
  put_int(&b, 3, 1);
  put_int(&list, 2, 1);
  put_message(&list, 3, raw_tensor_bytes(NULL, 1, "2", values, 8));
  put_message(&b, 5, list);
  expect_refusal(b, SUMI_MAP, SUMI_E_SHAPE, "a value of a map is not one element");
  b = (struct bytes){0};
  put_int(&b, 2, 4);
  put_message(&b, 6, map_bytes(7, 1, 1, values, 4, 1));
  put_message(&b, 6, map_bytes(8, 1, 1, values, 4, 1));
  expect_refusal(b, SUMI_MAP_SEQUENCE, SUMI_E_TYPE, "maps of several types");
  b = (struct bytes){0};
  put_int(&b, 2, 1);
  expect_refusal(b, SUMI_MAP_SEQUENCE, SUMI_E_UNSUPPORTED, "are not taken");
}

static void refuses_lies(void **state) {
  (void)state;
  static const float f[4];
  struct bytes b = raw_tensor_bytes("t", 1, "3", f, 16);
  expect_refusal(b, SUMI_TENSOR, SUMI_E_FORMAT, "it has 16 bytes of data, its type and shape ask for 12");
  expect_refusal(tensor_bytes("t", 1, "3"), SUMI_TENSOR, SUMI_E_FORMAT, "it has 0 items of float_data");
  expect_refusal(tensor_bytes("t", 99, "3"), SUMI_TENSOR, SUMI_E_UNSUPPORTED, "element type 99 is unknown");
  expect_refusal(tensor_bytes("t", 0, "3"), SUMI_TENSOR, SUMI_E_UNSUPPORTED, "element type 0 is unknown");
  expect_refusal(raw_tensor_bytes("t", 8, "1", f, 16), SUMI_TENSOR, SUMI_E_FORMAT,
                 "strings cannot be given as raw");
  expect_refusal(tensor_bytes("t", 1, "9223372036854775807,9223372036854775807"), SUMI_TENSOR, SUMI_E_LIMIT,
                 "passes 2^63");
  expect_refusal(tensor_bytes("t", 1, "9223372036854775807"), SUMI_TENSOR, SUMI_E_LIMIT,
                 "do not fit in memory");
  expect_refusal(tensor_bytes("t", 1, "18446744073709551615"), SUMI_TENSOR, SUMI_E_SHAPE,
                 "dimension 0 is -1");
  expect_refusal(tensor_bytes("t", 1, "0,9223372036854775807,9"), SUMI_TENSOR, SUMI_E_LIMIT, "passes 2^63");
  expect_refusal(tensor_bytes("t", 1, "99999999999"), SUMI_TENSOR, SUMI_E_LIMIT, "the limit is 34359738368");
  expect_refusal(tensor_bytes("t", 1, "1,1,1,1,1,1,1,1,1,1,1,1,1"), SUMI_TENSOR, SUMI_E_LIMIT,
                 "13 dimensions");
  b = tensor_bytes("t", 1, "");
  put_message(&b, 3, (struct bytes){0});
  expect_refusal(b, SUMI_TENSOR, SUMI_E_UNSUPPORTED, "stored in segments");
  b = tensor_bytes("t", 1, "");
  put_int(&b, 14, 1);
  expect_refusal(b, SUMI_TENSOR, SUMI_E_VALUE, "another file");
  b = (struct bytes){0};
  put_int(&b, 2, 4);
  expect_refusal(b, SUMI_SEQUENCE, SUMI_E_UNSUPPORTED, "sequences of maps are not taken");
  b = (struct bytes){0};
  put_int(&b, 2, 77);
  expect_refusal(b, SUMI_OPTIONAL, SUMI_E_UNSUPPORTED, "optionals of unknown items are not taken");
  b = (struct bytes){0};
  put_message(&b, 3, raw_tensor_bytes("a", 1, "1", f, 4));
  put_message(&b, 3, raw_tensor_bytes("b", 7, "1", f, 8));
  expect_refusal(b, SUMI_SEQUENCE, SUMI_E_TYPE, "holds float32 and int64");
}

/* ---- through the importer: sparse and external --------------------------------------------------------- */

/* y = Relu(w) with the given initializer message in field 5 (dense) or 15 (sparse). */
static sumi_status import_initializer(struct bytes take, unsigned field, const char *folder,
                                      struct sumi_graph **g, struct sumi_err *err) {
  struct bytes m = model_bytes(8, 17), b = {0};
  put_message(&b, field, take);
  put_message(&b, 1, node_bytes("Relu", "w", "y"));
  put_message(&b, 12, value_bytes("y", 1, NULL));
  put_message(&m, 7, b);
  const struct sumi_onnx_source src = {.folder = folder};
  return import_bytes(m, src, 0, NULL, g, err);
}

static struct bytes sparse_bytes(const char *dims, const char *index_dims, const int64_t *index,
                                 size_t n_index, const float *values, size_t n_values) {
  char n[32];
  struct bytes b = {0};
  snprintf(n, sizeof n, "%zu", n_values);
  put_message(&b, 1, raw_tensor_bytes("w", 1, n, values, n_values * 4));
  put_message(&b, 2, raw_tensor_bytes(NULL, 7, index_dims, index, n_index * 8));
  for (const char *d = *dims ? dims : NULL; d; d = strchr(d, ',') ? strchr(d, ',') + 1 : NULL)
    put_int(&b, 3, (int64_t)strtoull(d, NULL, 10));
  return b;
}

static void makes_sparse_dense(void **state) {
  (void)state;
  static const float values[] = {5, 6, 7}, want[] = {0, 5, 0, 0, 6, 7};
  static const int64_t linear[] = {1, 4, 5}, pairs[] = {0, 1, 1, 1, 1, 2};
  for (int form = 0; form < 2; form++) {
    struct sumi_graph *g = NULL;
    struct sumi_err err = SUMI_ERR_INIT;
    struct bytes b = sparse_bytes("2,3", form ? "3,2" : "3", form ? pairs : linear, form ? 6 : 3, values, 3);
    if (import_initializer(b, 15, NULL, &g, &err) != SUMI_OK) fail_msg("%s", err.text);
    const struct sumi_tensor *w = g->node[0]->in[0]->constant;
    assert_int_equal(w->rank, 2);
    assert_memory_equal(w->data, want, sizeof want);
    sumi_graph_free(g);
  }
}

static void refuses_sparse_lies(void **state) {
  (void)state;
  static const float values[] = {5, 6};
  static const struct {
    const char *dims, *index_dims;
    int64_t index[4];
    size_t n_index;
    sumi_status status;
    const char *says;
  } rows[] = {
      {"2,3", "2", {1, 6}, 2, SUMI_E_VALUE, "index 1 of a sparse tensor lies outside"},
      {"2,3", "2", {-1, 5}, 2, SUMI_E_VALUE, "index 0 of a sparse tensor lies outside"},
      {"2,3", "2,2", {0, 3, 1, 0}, 4, SUMI_E_VALUE, "index 0 of a sparse tensor lies outside"},
      {"2,3", "2,2", {0, 0, INT64_MAX, 0}, 4, SUMI_E_VALUE, "index 1 of a sparse tensor lies outside"},
      {"2,3", "2", {4, 4}, 2, SUMI_E_VALUE, "does not rise"},
      {"2,3", "2", {4, 1}, 2, SUMI_E_VALUE, "does not rise"},
      {"2,3", "3", {1, 2, 3}, 3, SUMI_E_SHAPE, "neither [2] nor [2,2]"},
      {"2,3", "1,2", {1, 2}, 2, SUMI_E_SHAPE, "neither"},
      {"0,3", "2", {0, 1}, 2, SUMI_E_VALUE, "lies outside"},
      {"4611686018427387904,4", "2", {0, 1}, 2, SUMI_E_LIMIT, "passes 2^63"},
      {"4611686018427387904", "2", {0, 1}, 2, SUMI_E_LIMIT, "fit in memory"},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct sumi_graph *g = NULL;
    struct sumi_err err = SUMI_ERR_INIT;
    struct bytes b =
        sparse_bytes(rows[i].dims, rows[i].index_dims, rows[i].index, rows[i].n_index, values, 2);
    const sumi_status status = import_initializer(b, 15, NULL, &g, &err);
    if (status != rows[i].status || !strstr(err.text, rows[i].says))
      fail_msg("row %zu: %d, '%s'", i, status, err.text);
    assert_null(g);
  }
}

static struct bytes external_bytes(const char *location, const char *offset, const char *length) {
  struct bytes b = tensor_bytes("w", 1, "2");
  const char *const pairs[] = {"location", location, "offset", offset, "length", length};
  for (size_t i = 0; i < 6; i += 2)
    if (pairs[i + 1]) {
      struct bytes e = {0};
      put_text(&e, 1, pairs[i]);
      put_text(&e, 2, pairs[i + 1]);
      put_message(&b, 13, e);
    }
  put_int(&b, 14, 1);
  return b;
}

static void reads_external_data(void **state) {
  (void)state;
  char folder[] = "/tmp/sumi_onnx_XXXXXX", path[64], outside[64];
  static const float data[] = {1, 2, 3, 4};
  if (!mkdtemp(folder)) fail();
  snprintf(path, sizeof path, "%s/weights", folder);
  snprintf(outside, sizeof outside, "%s/link", folder);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fwrite(data, 1, sizeof data, f);
  fclose(f);
  if (symlink("/etc/passwd", outside)) fail();
  static const struct {
    const char *location, *offset, *length;
    sumi_status status;
    const char *says;
  } rows[] = {
      {"weights", "8", "8", SUMI_OK, ""},
      {"./weights", "8", NULL, SUMI_OK, ""},
      {"weights", NULL, "16", SUMI_E_FORMAT, "it has 16 bytes of data"},
      {"weights", "12", NULL, SUMI_E_FORMAT, "it has 4 bytes of data"},
      {"weights", "12", "8", SUMI_E_FORMAT, "ends beyond the 16 bytes"},
      {"weights", "17", NULL, SUMI_E_FORMAT, "ends beyond"},
      {"weights", "18446744073709551615", "8", SUMI_E_FORMAT, "ends beyond"},
      {"weights", "99999999999999999999", "8", SUMI_E_FORMAT, "no number"},
      {"weights", "-8", "8", SUMI_E_FORMAT, "no number"},
      {"weights", "8", "8x", SUMI_E_FORMAT, "no number"},
      {"weights", "", "8", SUMI_E_FORMAT, "no number"},
      {NULL, "8", "8", SUMI_E_FORMAT, "no location"},
      {"none", "8", "8", SUMI_E_IO, "cannot open"},
      {"/etc/passwd", "0", "8", SUMI_E_VALUE, "absolute"},
      {"../passwd", "0", "8", SUMI_E_VALUE, "leads out"},
      {"a/../../x", "0", "8", SUMI_E_VALUE, "leads out"},
      {"link", "0", "8", SUMI_E_VALUE, "leads out"},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct sumi_graph *g = NULL;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = import_initializer(
        external_bytes(rows[i].location, rows[i].offset, rows[i].length), 5, folder, &g, &err);
    if (status != rows[i].status || !strstr(err.text, rows[i].says))
      fail_msg("row %zu: %d, '%s'", i, status, err.text);
    if (g) assert_memory_equal(g->node[0]->in[0]->constant->data, data + 2, 8);
    sumi_graph_free(g);
  }
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(import_initializer(external_bytes("weights", "8", "8"), 5, NULL, &g, &err), SUMI_E_VALUE);
  assert_non_null(strstr(err.text, "no folder was given"));
  unlink(path);
  unlink(outside);
  rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_integers),
      cmocka_unit_test(reads_floats),
      cmocka_unit_test(reads_wide_floats),
      cmocka_unit_test(reads_strings),
      cmocka_unit_test(reads_sequences_and_optionals),
      cmocka_unit_test(refuses_lies),
      cmocka_unit_test(reads_maps),
      cmocka_unit_test(refuses_maps),
      cmocka_unit_test(makes_sparse_dense),
      cmocka_unit_test(refuses_sparse_lies),
      cmocka_unit_test(reads_external_data),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
