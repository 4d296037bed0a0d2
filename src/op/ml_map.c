/* ZipMap, DictVectorizer, CastMap (ai.onnx.ml): between tensors and maps.
 *   ZipMap          a map for every row of x [n, c] (or for x [c]): from label k to x[row, k]
 *   DictVectorizer  y[0, k] = the map's value for vocabulary[k], 0 or "" where it has none; other keys are passed over
 *   CastMap         y[0, i] = the values in rising order of their keys (DENSE), or y[0, key] = value in max_map places,
 *                   the others 0 or "" (SPARSE); cast to float, int64 or strings
 * The standard calls the outputs one-dimensional; they have a first dimension of 1, as ONNX Runtime's. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/size.h"
#include "op/cast.h"
#include "op/ml_util.h"
#include "op/move.h"

/* ---- ZipMap ---------------------------------------------------------------------------------------------- */

static sumi_status zip_infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  struct sumi_ml_labels labels;
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(sumi_ml_labels_of(ctx->node, "classlabels_int64s", &labels, ctx->err));
  if (!labels.n) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are no class labels");
  SUMI_TRY(sumi_ml_want_features(ctx, &rows, labels.n));
  if (ctx->n_out < 1 || ctx->out[0].absent) return SUMI_OK;
  ctx->out[0] = (struct sumi_info){
      .kind = SUMI_MAP_SEQUENCE, .dtype = SUMI_FLOAT32, .key = sumi_ml_label_dtype(&labels), .rank = -1};
  return SUMI_OK;
}

/* Keys are the attribute's, which lives as long as the graph; values are copied at once. */
static sumi_status zip_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_ml_rows rows = sumi_ml_rows_of(x);
  struct sumi_ml_labels labels = {0};
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  SUMI_TRY(sumi_ml_labels_of(c->node, "classlabels_int64s", &labels, c->err));
  const size_t n = (size_t)rows.n, count = (size_t)sumi_tensor_count(x);
  struct sumi_tensor *map = SUMI_NEW_ARRAY(c->heap, n, struct sumi_tensor),
                     *values = SUMI_NEW_ARRAY(c->heap, n, struct sumi_tensor),
                     *keys = SUMI_NEW(c->heap, struct sumi_tensor), **item, **pair;
  float *data = SUMI_NEW_ARRAY(c->heap, count, float);
  item = SUMI_NEW_ARRAY(c->heap, n, struct sumi_tensor *);
  pair = SUMI_NEW_ARRAY(c->heap, 2 * n, struct sumi_tensor *);
  if (!map || !values || !keys || !data || !item || !pair) SUMI_FAIL_MEMORY(c->err);
  *keys = sumi_ml_list(c->node, labels.strings ? "classlabels_strings" : "classlabels_int64s");
  sumi_copy(SUMI_FLOAT32, data, 0, x->data, 0, (int64_t)count);
  for (size_t r = 0; r < n; r++) {
    values[r] = (struct sumi_tensor){
        .dtype = SUMI_FLOAT32, .rank = 1, .dim = {labels.n}, .data = data + r * (size_t)labels.n};
    pair[2 * r] = keys;
    pair[2 * r + 1] = &values[r];
    map[r] = (struct sumi_tensor){
        .kind = SUMI_MAP, .dtype = SUMI_FLOAT32, .key = keys->dtype, .items = &pair[2 * r], .n_items = 2};
    item[r] = &map[r];
  }
  *c->out[0] = (struct sumi_tensor){.kind = SUMI_MAP_SEQUENCE,
                                    .dtype = SUMI_FLOAT32,
                                    .key = keys->dtype,
                                    .items = item,
                                    .n_items = (int64_t)n};
  return SUMI_OK;
}

/* ---- DictVectorizer -------------------------------------------------------------------------------------- */

static sumi_status vocabulary_of(const struct sumi_node *node, struct sumi_tensor *words,
                                 struct sumi_err *err) {
  const struct sumi_tensor strings = sumi_ml_list(node, "string_vocabulary"),
                           ints = sumi_ml_list(node, "int64_vocabulary");
  if ((strings.dim[0] > 0) == (ints.dim[0] > 0))
    SUMI_FAIL(err, SUMI_E_VALUE, "one of 'string_vocabulary' and 'int64_vocabulary' must be given");
  *words = strings.dim[0] ? strings : ints;
  return SUMI_OK;
}

static sumi_status dict_infer(struct sumi_infer *ctx) {
  struct sumi_tensor words = {0};
  size_t bytes;
  SUMI_TRY(vocabulary_of(ctx->node, &words, ctx->err));
  SUMI_TRY(sumi_ml_table_bytes(words.dim[0], &bytes, ctx->err));
  if (ctx->in[0].key && ctx->in[0].key != words.dtype)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "the map's keys are %s, the vocabulary is %s",
              sumi_dtype_label(ctx->in[0].key), sumi_dtype_label(words.dtype));
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, 2, (const sumi_dim[]){1, words.dim[0]});
  return SUMI_OK;
}

static sumi_status dict_scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_tensor words = {0};
  SUMI_TRY(vocabulary_of(c->node, &words, c->err));
  return sumi_ml_table_bytes(words.dim[0], bytes, c->err);
}

static sumi_status dict_ref(const struct sumi_call *c) {
  const struct sumi_tensor *keys = c->in[0]->items[0], *values = c->in[0]->items[1];
  struct sumi_tensor *y = c->out[0], words = {0};
  struct sumi_ml_table table;
  SUMI_TRY(vocabulary_of(c->node, &words, c->err));
  sumi_ml_table_init(&table, &words, c->scratch);
  sumi_fill(y->dtype, y->data, 0, words.dim[0], NULL, 0);
  for (int64_t i = 0; i < keys->dim[0]; i++) {
    const int64_t at = sumi_ml_table_find(&table, keys, i);
    if (at >= 0) sumi_copy(y->dtype, y->data, at, values->data, i, 1);
  }
  return SUMI_OK;
}

/* ---- CastMap --------------------------------------------------------------------------------------------- */

struct cast {
  sumi_dtype to;
  int64_t places; /* -1: dense */
};

static sumi_status cast_of(const struct sumi_node *node, struct cast *k, struct sumi_err *err) {
  static const struct {
    const char *word;
    sumi_dtype to;
  } casts[] = {{"TO_FLOAT", SUMI_FLOAT32}, {"TO_STRING", SUMI_STRING}, {"TO_INT64", SUMI_INT64}};
  const char *word = sumi_attr_string(node, "cast_to", "TO_FLOAT"),
             *form = sumi_attr_string(node, "map_form", "DENSE");
  size_t i = 0;
  while (i < SUMI_COUNT(casts) && !sumi_streq(casts[i].word, word)) i++;
  if (i == SUMI_COUNT(casts)) SUMI_FAIL(err, SUMI_E_VALUE, "cast_to is '%.40s'", word);
  if (!sumi_streq(form, "DENSE") && !sumi_streq(form, "SPARSE"))
    SUMI_FAIL(err, SUMI_E_VALUE, "map_form is '%.40s'", form);
  k->to = casts[i].to;
  k->places = sumi_streq(form, "DENSE") ? -1 : sumi_attr_int(node, "max_map", 1);
  if (k->places < -1 || !k->places) SUMI_FAIL(err, SUMI_E_VALUE, "max_map is %" PRId64, k->places);
  return SUMI_OK;
}

static sumi_status cast_infer(struct sumi_infer *ctx) {
  struct cast k = {0};
  SUMI_TRY(cast_of(ctx->node, &k, ctx->err));
  if (ctx->in[0].key && ctx->in[0].key != SUMI_INT64)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "the map's keys are %s, not int64", sumi_dtype_label(ctx->in[0].key));
  sumi_infer_out(ctx, 0, k.to, 2, (const sumi_dim[]){1, k.places < 0 ? SUMI_DIM_UNKNOWN : k.places});
  return SUMI_OK;
}

struct pair {
  int64_t key, at;
};

static int by_key(const void *a, const void *b) {
  const struct pair *x = a, *y = b;
  return x->key < y->key ? -1 : x->key > y->key;
}

static sumi_status cast_scratch(const struct sumi_call *c, size_t *bytes) {
  if (!sumi_size_mul((size_t)c->in[0]->items[0]->dim[0], sizeof(struct pair), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the map is too large");
  return SUMI_OK;
}

/* Element to of y = value `from`, in y's type. */
static sumi_status cast_one(const struct sumi_call *c, const struct sumi_tensor *values, int64_t from,
                            struct sumi_tensor *y, int64_t to) {
  struct sumi_tensor one = {.dtype = y->dtype};
  union {
    struct sumi_str s;
    int64_t i;
    float f;
  } x, z;
  sumi_copy(values->dtype, &x, 0, values->data, from, 1);
  const struct sumi_tensor in = {.dtype = values->dtype, .data = &x};
  one.data = &z;
  if (y->dtype == SUMI_STRING)
    SUMI_TRY(sumi_cast_to_string(c, &in, &one));
  else if (values->dtype == SUMI_STRING)
    SUMI_TRY(sumi_cast_from_string(c, &in, &one));
  else if (y->dtype == SUMI_INT64)
    z.i = sumi_get_i64(values->dtype, &x, 0);
  else
    z.f = (float)sumi_get_f64(values->dtype, &x, 0);
  sumi_copy(y->dtype, y->data, to, &z, 0, 1);
  return SUMI_OK;
}

static sumi_status cast_ref(const struct sumi_call *c) {
  const struct sumi_tensor *keys = c->in[0]->items[0], *values = c->in[0]->items[1];
  const int64_t n = keys->dim[0];
  struct cast k = {0};
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  SUMI_TRY(cast_of(c->node, &k, c->err));
  const int64_t places = k.places < 0 ? n : k.places;
  SUMI_TRY(sumi_call_output(c, 0, k.to, 2, (const int64_t[]){1, places}));
  sumi_fill(k.to, c->out[0]->data, 0, places, NULL, 0);
  struct pair *pair = c->scratch;
  for (int64_t i = 0; i < n; i++) pair[i] = (struct pair){((const int64_t *)keys->data)[i], i};
  if (n) qsort(pair, (size_t)n, sizeof *pair, by_key);
  for (int64_t i = 0; i < n; i++) {
    const int64_t to = k.places < 0 ? i : pair[i].key;
    if (to < 0 || to >= places)
      SUMI_FAIL(c->err, SUMI_E_VALUE, "key %" PRId64 " is outside max_map, %" PRId64, to, places);
    SUMI_TRY(cast_one(c, values, pair[i].at, c->out[0], to));
  }
  return SUMI_OK;
}

/* ---- descriptors ----------------------------------------------------------------------------------------- */

#define FLOAT SUMI_BIT(SUMI_FLOAT32)
#define WORD_OR_NUMBER (SUMI_BIT(SUMI_INT64) | SUMI_BIT(SUMI_STRING) | FLOAT)
static const struct sumi_attr_spec zip_attrs[] = {
    {"classlabels_int64s", SUMI_ATTR_INTS}, {"classlabels_strings", SUMI_ATTR_STRINGS}, {NULL}};
static const struct sumi_attr_spec dict_attrs[] = {
    {"int64_vocabulary", SUMI_ATTR_INTS}, {"string_vocabulary", SUMI_ATTR_STRINGS}, {NULL}};
static const struct sumi_attr_spec cast_attrs[] = {
    {"cast_to", SUMI_ATTR_STRING}, {"map_form", SUMI_ATTR_STRING}, {"max_map", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port zip_in[] = {{"X", FLOAT}, {NULL}};
static const struct sumi_port zip_out[] = {{"Z", FLOAT, 0, SUMI_PORT_SEQUENCE | SUMI_PORT_MAP}, {NULL}};
static const struct sumi_port dict_in[] = {{"X", WORD_OR_NUMBER | SUMI_BIT(SUMI_FLOAT64), 'T', SUMI_PORT_MAP},
                                           {NULL}};
static const struct sumi_port dict_out[] = {{"Y", WORD_OR_NUMBER | SUMI_BIT(SUMI_FLOAT64), 'T'}, {NULL}};
static const struct sumi_port cast_in[] = {{"X", FLOAT | SUMI_BIT(SUMI_STRING), 0, SUMI_PORT_MAP}, {NULL}};
static const struct sumi_port cast_out[] = {{"Y", WORD_OR_NUMBER}, {NULL}};

static const struct sumi_case zip_cases[] = {
    {"g (float[4,3] x) => (z) { z = ai.onnx.ml.ZipMap <classlabels_int64s = [7, -3, 5]> (x) }"},
    {"g (float[2] x) => (z) { z = ai.onnx.ml.ZipMap <classlabels_strings = [\"yes\", \"no\"]> (x) }",
     .why = "one row"},
    {NULL},
};
static const struct sumi_case dict_cases[] = {
    {"g (map(string, float) x) => (y) { y = ai.onnx.ml.DictVectorizer <string_vocabulary = [\"2\", \"9\", "
     "\"0\"]> (x) }",
     .why = "a word that the map has not, keys that the vocabulary has not"},
    {"g (map(int64, string) x) => (y) { y = ai.onnx.ml.DictVectorizer <int64_vocabulary = [4, 3, 7, 0]> (x) "
     "}"},
    {NULL},
};
static const struct sumi_case cast_cases[] = {
    {"g (map(int64, float) x) => (y) { y = ai.onnx.ml.CastMap (x) }", .why = "in the order of the keys"},
    {"g (map(int64, float) x) => (y) { y = ai.onnx.ml.CastMap <map_form = \"SPARSE\", max_map = 7, cast_to = "
     "\"TO_STRING\"> (x) }"},
    {"g (map(int64, string) x) => (y) { y = ai.onnx.ml.CastMap <cast_to = \"TO_INT64\"> (x) }"},
    {NULL},
};

/* tests/ops/ml.py holds them against ONNX Runtime. */
#define MAP_OP(symbol, title, text, attributes, ins, outs, infer_fn, ref_fn, scratch_fn, extra, its_cases) \
  const struct sumi_op sumi_op_ml_##symbol = {                                                             \
      .name = "ai.onnx.ml." title,                                                                         \
      .formula = text,                                                                                     \
      .known_as = {{"ai.onnx.ml", title, {1}}},                                                            \
      .attrs = attributes,                                                                                 \
      .in = ins,                                                                                           \
      .out = outs,                                                                                         \
      .flags = extra,                                                                                      \
      .infer = infer_fn,                                                                                   \
      .ref = ref_fn,                                                                                       \
      .scratch = scratch_fn,                                                                               \
      .cases = its_cases,                                                                                  \
  }

MAP_OP(zip_map, "ZipMap", "for every row a map from labels to scores", zip_attrs, zip_in, zip_out, zip_infer,
       zip_ref, NULL, SUMI_OP_DYNAMIC, zip_cases);
MAP_OP(dict_vectorizer, "DictVectorizer", "the map's values in the order of a vocabulary", dict_attrs,
       dict_in, dict_out, dict_infer, dict_ref, dict_scratch, 0, dict_cases);
MAP_OP(cast_map, "CastMap", "the map's values in the order of its keys", cast_attrs, cast_in, cast_out,
       cast_infer, cast_ref, cast_scratch, SUMI_OP_DYNAMIC, cast_cases);
