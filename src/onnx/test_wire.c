/* The wire reader on hand-made bytes: every kind of field, and every way to be damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "onnx/schema.h"

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static sumi_status read_all(const uint8_t *bytes, size_t n, struct sumi_wire_field *last,
                            struct sumi_err *err) {
  /* a copy of exactly n bytes, so that a sanitizer sees one read too many */
  uint8_t *copy = test_malloc(n ? n : 1);
  memcpy(copy, bytes, n);
  struct sumi_wire w = sumi_wire_over(copy, n);
  struct sumi_wire_field f;
  sumi_status status;
  for (;;) {
    status = sumi_wire_next(&w, &f, err);
    if (status != SUMI_OK || !f.number) break;
    *last = f;
  }
  test_free(copy);
  return status;
}

static void reads_numbers(void **state) {
  (void)state;
  struct sumi_wire_field f = {0};
  assert_int_equal(read_all(BYTES(0x08, 0x00), &f, NULL), SUMI_OK);
  assert_int_equal(f.number, 1);
  assert_int_equal(f.value, 0);
  assert_int_equal(read_all(BYTES(0x08, 0xac, 0x02), &f, NULL), SUMI_OK);
  assert_int_equal(f.value, 300);
  assert_int_equal(
      read_all(BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), &f, NULL), SUMI_OK);
  assert_true(f.value == UINT64_MAX);
  assert_int_equal(read_all(BYTES(0x08, 0x80, 0x80, 0x00), &f, NULL), SUMI_OK); /* longer than need be */
  assert_int_equal(f.value, 0);
  assert_int_equal(read_all(BYTES(0x15, 0x00, 0x00, 0x80, 0x3f), &f, NULL), SUMI_OK);
  assert_int_equal(f.type, SUMI_WIRE_FIXED32);
  assert_int_equal(f.value, 0x3f800000);
  assert_int_equal(read_all(BYTES(0x11, 1, 2, 3, 4, 5, 6, 7, 8), &f, NULL), SUMI_OK);
  assert_true(f.value == 0x0807060504030201);
  /* the largest field number */
  assert_int_equal(read_all(BYTES(0xf8, 0xff, 0xff, 0xff, 0x0f, 0x05), &f, NULL), SUMI_OK);
  assert_int_equal(f.number, (1u << 29) - 1);
}

static void skips_groups(void **state) {
  (void)state;
  struct sumi_wire_field f = {0};
  /* group 2 { 1: 7, group 3 { 4: "ab" } } then 1: 9 */
  assert_int_equal(
      read_all(BYTES(0x13, 0x08, 0x07, 0x1b, 0x22, 0x02, 'a', 'b', 0x1c, 0x14, 0x08, 0x09), &f, NULL),
      SUMI_OK);
  assert_int_equal(f.number, 1);
  assert_int_equal(f.value, 9);
  uint8_t deep[2 * 40];
  for (size_t i = 0; i < 40; i++) deep[i] = 0x0b, deep[40 + i] = 0x0c;
  assert_int_equal(read_all(deep, sizeof deep, &f, NULL), SUMI_E_LIMIT);
  assert_int_equal(read_all(deep + 20, 40, &f, NULL), SUMI_OK);
}

static void names_damage(void **state) {
  (void)state;
  static const struct {
    uint8_t bytes[16];
    size_t n;
    const char *says;
  } rows[] = {
      {{0x08}, 1, "a number is cut"},
      {{0x08, 0x80, 0x80}, 3, "a number is cut"},
      {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11, "too long"}, /* 65 bits */
      {{0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, 12, "too long"},
      {{0x80}, 1, "a tag is cut"},
      {{0x00, 0x00}, 2, "field number 0"},
      {{0x80, 0x80, 0x80, 0x80, 0x10, 0x00}, 6, "field number 536870912"},
      {{0x0e, 0x00}, 2, "wire type 6"},
      {{0x0f, 0x00}, 2, "wire type 7"},
      {{0x0a, 0x05, 'a'}, 3, "asks for 5 bytes at byte 1, 1 are left"},
      {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
       11,
       "asks for 18446744073709551615"},
      {{0x0a, 0x80}, 2, "a length is cut"},
      {{0x0d, 1, 2, 3}, 4, "a number is cut"},
      {{0x09, 1, 2, 3, 4, 5, 6, 7}, 8, "a number is cut"},
      {{0x0b, 0x08, 0x01}, 3, "group 1 does not end"},
      {{0x0b, 0x14}, 2, "group 1 ends as group 2"},
      {{0x0c}, 1, "ends without a start"},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_wire_field f;
    assert_int_equal(read_all(rows[i].bytes, rows[i].n, &f, &err), SUMI_E_FORMAT);
    if (!strstr(err.text, rows[i].says)) fail_msg("row %zu says '%s', not '%s'", i, err.text, rows[i].says);
  }
}

/* Every proper prefix of a valid message is read or refused, and never read beyond. */
static void survives_truncation(void **state) {
  (void)state;
  const uint8_t whole[] = {0x08, 0xac, 0x02, 0x13, 0x08, 0x07, 0x14, 0x1a, 0x03,
                           'a',  'b',  'c',  0x25, 1,    2,    3,    4};
  size_t good = 0;
  for (size_t n = 0; n <= sizeof whole; n++) {
    struct sumi_wire_field f;
    good += read_all(whole, n, &f, NULL) == SUMI_OK;
  }
  assert_int_equal(good, 5); /* empty, and after each of the four fields */
}

static void reads_messages(void **state) {
  (void)state;
  /* OperatorSetIdProto: version 3, unknown field 9, domain "a", version again 17, domain "bc" */
  const uint8_t bytes[] = {0x10, 0x03, 0x48, 0x01, 0x0a, 0x01, 'a', 0x10, 0x11, 0x0a, 0x02, 'b', 'c'};
  struct sumi_onnx_opset opset;
  assert_int_equal(sumi_onnx_read_opset(sumi_wire_over(bytes, sizeof bytes), &opset, NULL), SUMI_OK);
  assert_int_equal(opset.version.v, 17); /* the last one counts */
  assert_int_equal(opset.domain.size, 2);
  assert_memory_equal(opset.domain.data, "bc", 2);
  assert_int_equal(sumi_onnx_read_opset(sumi_wire_over(bytes, 0), &opset, NULL), SUMI_OK);
  assert_false(opset.version.has);
  assert_null(opset.domain.data);

  struct sumi_err err = SUMI_ERR_INIT;
  const uint8_t wrong[] = {0x0d, 0, 0, 0, 0};
  assert_int_equal(sumi_onnx_read_opset(sumi_wire_over(wrong, sizeof wrong), &opset, &err), SUMI_E_FORMAT);
  assert_non_null(strstr(err.text, "OperatorSetIdProto.domain has wire type 5 instead of 2"));
  sumi_err_clear(&err);
  const uint8_t twice[] = {0x3a, 0x00, 0x3a, 0x00};
  struct sumi_onnx_model model;
  assert_int_equal(sumi_onnx_read_model(sumi_wire_over(twice, sizeof twice), &model, &err), SUMI_E_FORMAT);
  assert_non_null(strstr(err.text, "ModelProto.graph is given twice"));
}

static void walks_lists(void **state) {
  (void)state;
  /* TensorProto.dims: 5 alone, packed {1, 300}, an empty run, another field between, 7 alone */
  const uint8_t bytes[] = {0x08, 0x05, 0x0a, 0x03, 0x01, 0xac, 0x02, 0x0a, 0x00, 0x10, 0x01, 0x08, 0x07};
  struct sumi_onnx_tensor t;
  assert_int_equal(sumi_onnx_read_tensor(sumi_wire_over(bytes, sizeof bytes), &t, NULL), SUMI_OK);
  assert_int_equal(t.dims.n, 4);
  const uint64_t want[] = {5, 1, 300, 7};
  uint64_t v;
  size_t n = 0;
  for (struct sumi_wire_list l = t.dims; sumi_wire_list_number(&l, &v); n++) assert_int_equal(v, want[n]);
  assert_int_equal(n, 4);

  /* NodeProto.input: "a", "", "cd" with an output between */
  const uint8_t node_bytes[] = {0x0a, 0x01, 'a', 0x12, 0x01, 'y', 0x0a, 0x00, 0x0a, 0x02, 'c', 'd'};
  struct sumi_onnx_node node;
  assert_int_equal(sumi_onnx_read_node(sumi_wire_over(node_bytes, sizeof node_bytes), &node, NULL), SUMI_OK);
  struct sumi_wire item;
  size_t bytes_seen = 0;
  n = 0;
  for (struct sumi_wire_list l = node.input; sumi_wire_list_bytes(&l, &item); n++)
    bytes_seen += sumi_wire_size(&item);
  assert_int_equal(n, 3);
  assert_int_equal(bytes_seen, 3);

  /* AttributeProto.floats: one packed run is flat, two or single ones are not */
  const uint8_t flat[] = {0x3a, 0x08, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};
  const uint8_t mixed[] = {0x3a, 0x04, 0, 0, 0x80, 0x3f, 0x3d, 0, 0, 0, 0x40};
  struct sumi_onnx_attribute a;
  const uint8_t *at;
  assert_int_equal(sumi_onnx_read_attribute(sumi_wire_over(flat, sizeof flat), &a, NULL), SUMI_OK);
  assert_true(sumi_wire_list_flat(&a.floats, &at));
  assert_ptr_equal(at, flat + 2);
  assert_int_equal(sumi_onnx_read_attribute(sumi_wire_over(mixed, sizeof mixed), &a, NULL), SUMI_OK);
  assert_int_equal(a.floats.n, 2);
  assert_false(sumi_wire_list_flat(&a.floats, &at));
  uint64_t last = 0;
  for (struct sumi_wire_list l = a.floats; sumi_wire_list_number(&l, &v);) last = v;
  assert_int_equal(last, 0x40000000);

  const uint8_t cut_floats[] = {0x3a, 0x03, 0, 0, 0}, cut_ints[] = {0x42, 0x02, 0x01, 0x80};
  assert_int_equal(sumi_onnx_read_attribute(sumi_wire_over(cut_floats, sizeof cut_floats), &a, NULL),
                   SUMI_E_FORMAT);
  assert_int_equal(sumi_onnx_read_attribute(sumi_wire_over(cut_ints, sizeof cut_ints), &a, NULL),
                   SUMI_E_FORMAT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_numbers),       cmocka_unit_test(skips_groups),   cmocka_unit_test(names_damage),
      cmocka_unit_test(survives_truncation), cmocka_unit_test(reads_messages), cmocka_unit_test(walks_lists),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
