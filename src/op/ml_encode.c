/* CategoryMapper, LabelEncoder, OneHotEncoder (ai.onnx.ml): what stands in a list becomes its position there, or what
 * stands at that position in another list.
 *   CategoryMapper  y = cats_int64s[position of x in cats_strings], or the other way round
 *   LabelEncoder    y = values_*[position of x in keys_*]; version 1: between classes_strings and positions in it
 *   OneHotEncoder   y[..., k] = 1 where k is the position of x in cats_*, else 0; numbers become integers first
 * Of equal keys the last counts. What is not found is replaced by the default; OneHotEncoder gives zeros, or refuses
 * (zeros = 0). Versions of LabelEncoder: 1; 2 (keys and values); 4 (tensors, more types). */
#include <inttypes.h>

#include "base/size.h"
#include "op/ml_util.h"

/* ---- mapping, shared by CategoryMapper and LabelEncoder --------------------------------------------------- */

struct mapping {
  struct sumi_tensor keys;   /* dtype SUMI_UNDEFINED: the keys are 0, 1, 2 ... */
  struct sumi_tensor values; /* likewise */
  sumi_dtype to;
  union {
    struct sumi_str s;
    int64_t i;
    double d;
  } otherwise; /* one element of type `to` */
};

static sumi_status check_lengths(const struct mapping *m, struct sumi_err *err) {
  if (m->keys.dtype == SUMI_UNDEFINED || m->values.dtype == SUMI_UNDEFINED ||
      m->keys.dim[0] == m->values.dim[0])
    return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " keys, but %" PRId64 " values", m->keys.dim[0], m->values.dim[0]);
}

/* The default of the mapping's type as the attributes default_string, default_int64 and default_float say. */
static void set_default(const struct sumi_node *node, struct mapping *m) {
  const struct sumi_attr *s = sumi_node_attr(node, "default_string");
  static const struct sumi_str unused = {"_Unused", 7};
  if (m->to == SUMI_STRING)
    m->otherwise.s = s ? s->u.s : unused;
  else if (sumi_dtype_is_float(m->to))
    sumi_set_f64(m->to, &m->otherwise, 0, (double)sumi_attr_float(node, "default_float", -0.0F));
  else
    sumi_set_i64(m->to, &m->otherwise, 0, sumi_attr_int(node, "default_int64", -1));
}

static void put_value(const struct mapping *m, struct sumi_tensor *y, int64_t i, int64_t at) {
  if (at < 0)
    sumi_copy(m->to, y->data, i, &m->otherwise, 0, 1);
  else if (m->values.dtype == SUMI_UNDEFINED)
    sumi_set_i64(m->to, y->data, i, at);
  else
    sumi_copy(m->to, y->data, i, m->values.data, at, 1);
}

static void run_mapping(const struct mapping *m, const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t n = sumi_tensor_count(x);
  if (m->keys.dtype == SUMI_UNDEFINED) {
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = sumi_get_i64(x->dtype, x->data, i);
      put_value(m, c->out[0], i, at < m->values.dim[0] ? at : -1);
    }
    return;
  }
  struct sumi_ml_table table;
  sumi_ml_table_init(&table, &m->keys, c->scratch);
  for (int64_t i = 0; i < n; i++) put_value(m, c->out[0], i, sumi_ml_table_find(&table, x, i));
}

typedef sumi_status mapping_fn(const struct sumi_node *node, sumi_dtype x, struct mapping *m,
                               struct sumi_err *err);

static sumi_status mapping_infer(struct sumi_infer *ctx, mapping_fn *of) {
  struct mapping m = {0};
  if (ctx->in[0].dtype == SUMI_UNDEFINED) {
    sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
    return SUMI_OK;
  }
  SUMI_TRY(of(ctx->node, ctx->in[0].dtype, &m, ctx->err));
  SUMI_TRY(check_lengths(&m, ctx->err));
  size_t bytes;
  SUMI_TRY(sumi_ml_table_bytes(m.keys.dim[0], &bytes, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], m.to);
  return SUMI_OK;
}

static sumi_status mapping_scratch(const struct sumi_call *c, mapping_fn *of, size_t *bytes) {
  struct mapping m = {0};
  SUMI_TRY(of(c->node, c->in[0]->dtype, &m, c->err));
  return sumi_ml_table_bytes(m.keys.dim[0], bytes, c->err);
}

static sumi_status mapping_ref(const struct sumi_call *c, mapping_fn *of) {
  struct mapping m = {0};
  SUMI_TRY(of(c->node, c->in[0]->dtype, &m, c->err));
  run_mapping(&m, c);
  return SUMI_OK;
}

#define MAPPING(name, of)                                                                    \
  static sumi_status name##_infer(struct sumi_infer *ctx) { return mapping_infer(ctx, of); } \
  static sumi_status name##_scratch(const struct sumi_call *c, size_t *n) {                  \
    return mapping_scratch(c, of, n);                                                        \
  }                                                                                          \
  static sumi_status name##_ref(const struct sumi_call *c) { return mapping_ref(c, of); }

/* ---- CategoryMapper -------------------------------------------------------------------------------------- */

static sumi_status category_mapping(const struct sumi_node *node, sumi_dtype x, struct mapping *m,
                                    struct sumi_err *err) {
  const struct sumi_tensor strings = sumi_ml_list(node, "cats_strings"),
                           ints = sumi_ml_list(node, "cats_int64s");
  if (strings.dtype == SUMI_UNDEFINED || ints.dtype == SUMI_UNDEFINED)
    SUMI_FAIL(err, SUMI_E_ARG, "'cats_strings' and 'cats_int64s' must both be given");
  const bool from_string = x == SUMI_STRING;
  *m = (struct mapping){.keys = from_string ? strings : ints,
                        .values = from_string ? ints : strings,
                        .to = from_string ? SUMI_INT64 : SUMI_STRING};
  set_default(node, m);
  return SUMI_OK;
}
MAPPING(category, category_mapping)

/* ---- LabelEncoder ---------------------------------------------------------------------------------------- */

/* The one of four attributes that is given. */
static sumi_status one_of(const struct sumi_node *node, const char *what, const char *const name[4],
                          struct sumi_tensor *out, struct sumi_err *err) {
  int given = 0;
  for (int k = 0; k < 4; k++) {
    const struct sumi_tensor t = sumi_ml_list(node, name[k]);
    if (t.dtype == SUMI_UNDEFINED) continue;
    *out = t;
    given++;
  }
  if (given != 1) SUMI_FAIL(err, SUMI_E_VALUE, "%d attributes give %s, not one", given, what);
  return SUMI_OK;
}

static sumi_status label_tensors(const struct sumi_node *node, sumi_dtype x, struct mapping *m,
                                 struct sumi_err *err) {
  static const char *const keys[] = {"keys_strings", "keys_int64s", "keys_floats", "keys_tensor"},
                           *const values[] = {"values_strings", "values_int64s", "values_floats",
                                              "values_tensor"};
  SUMI_TRY(one_of(node, "keys", keys, &m->keys, err));
  SUMI_TRY(one_of(node, "values", values, &m->values, err));
  if (m->keys.dtype != x)
    SUMI_FAIL(err, SUMI_E_TYPE, "the keys are %s, the input is %s", sumi_dtype_label(m->keys.dtype),
              sumi_dtype_label(x));
  const uint64_t takes = node->op->out[0].dtypes;
  if (!sumi_dtype_in(m->values.dtype, takes))
    SUMI_FAIL(err, SUMI_E_TYPE, "the values are %s", sumi_dtype_label(m->values.dtype));
  m->to = m->values.dtype;
  set_default(node, m);
  const struct sumi_tensor t = sumi_ml_list(node, "default_tensor");
  if (t.dtype == SUMI_UNDEFINED) return SUMI_OK;
  if (t.dtype != m->to || t.dim[0] != 1)
    SUMI_FAIL(err, SUMI_E_TYPE, "default_tensor is not one %s", sumi_dtype_label(m->to));
  sumi_copy(m->to, &m->otherwise, 0, t.data, 0, 1);
  return SUMI_OK;
}

static sumi_status label_mapping(const struct sumi_node *node, sumi_dtype x, struct mapping *m,
                                 struct sumi_err *err) {
  *m = (struct mapping){{.kind = SUMI_TENSOR, .rank = 1}, {.kind = SUMI_TENSOR, .rank = 1}};
  if (node->version > 1) return label_tensors(node, x, m, err);
  const struct sumi_tensor classes = sumi_ml_list(node, "classes_strings");
  if (classes.dtype == SUMI_UNDEFINED) SUMI_FAIL(err, SUMI_E_ARG, "there are no classes_strings");
  if (x != SUMI_STRING && x != SUMI_INT64)
    SUMI_FAIL(err, SUMI_E_TYPE, "the input is %s, not strings or int64", sumi_dtype_label(x));
  *(x == SUMI_STRING ? &m->keys : &m->values) = classes;
  m->to = x == SUMI_STRING ? SUMI_INT64 : SUMI_STRING;
  set_default(node, m);
  return SUMI_OK;
}
MAPPING(label, label_mapping)

/* ---- OneHotEncoder --------------------------------------------------------------------------------------- */

static sumi_status categories(const struct sumi_node *node, sumi_dtype x, struct sumi_tensor *cats,
                              struct sumi_err *err) {
  const struct sumi_tensor strings = sumi_ml_list(node, "cats_strings"),
                           ints = sumi_ml_list(node, "cats_int64s");
  if ((strings.dim[0] > 0) == (ints.dim[0] > 0))
    SUMI_FAIL(err, SUMI_E_VALUE, "one of 'cats_strings' and 'cats_int64s' must be given");
  *cats = strings.dim[0] ? strings : ints;
  if (x != SUMI_UNDEFINED && (x == SUMI_STRING) != (cats->dtype == SUMI_STRING))
    SUMI_FAIL(err, SUMI_E_TYPE, "the input is %s, the categories are %s", sumi_dtype_label(x),
              sumi_dtype_label(cats->dtype));
  return SUMI_OK;
}

static sumi_status one_hot_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  struct sumi_tensor cats = {0};
  size_t bytes;
  SUMI_TRY(categories(ctx->node, x->dtype, &cats, ctx->err));
  SUMI_TRY(sumi_ml_table_bytes(cats.dim[0], &bytes, ctx->err));
  if (x->rank >= SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output would have rank %d, the limit is %d", x->rank + 1,
              SUMI_MAX_RANK);
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  if (x->rank >= 0) dim[x->rank] = cats.dim[0];
  sumi_infer_out(ctx, 0, SUMI_FLOAT32, x->rank < 0 ? -1 : x->rank + 1, dim);
  return SUMI_OK;
}

static sumi_status one_hot_scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_tensor cats = {0};
  SUMI_TRY(categories(c->node, c->in[0]->dtype, &cats, c->err));
  return sumi_ml_table_bytes(cats.dim[0], bytes, c->err);
}

static sumi_status one_hot_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t n = sumi_tensor_count(x);
  const bool zeros = sumi_attr_int(c->node, "zeros", 1) != 0;
  struct sumi_tensor cats = {0};
  struct sumi_ml_table table;
  SUMI_TRY(categories(c->node, x->dtype, &cats, c->err));
  sumi_ml_table_init(&table, &cats, c->scratch);
  float *y = c->out[0]->data;
  for (int64_t i = 0; i < n; i++, y += cats.dim[0]) {
    int64_t whole = 0;
    const struct sumi_tensor number = {.kind = SUMI_TENSOR, .dtype = SUMI_INT64, .data = &whole};
    if (x->dtype != SUMI_STRING) whole = sumi_get_i64(x->dtype, x->data, i);
    const int64_t at =
        x->dtype == SUMI_STRING ? sumi_ml_table_find(&table, x, i) : sumi_ml_table_find(&table, &number, 0);
    if (at < 0 && !zeros) SUMI_FAIL(c->err, SUMI_E_VALUE, "element %" PRId64 " is of no category", i);
    for (int64_t k = 0; k < cats.dim[0]; k++) y[k] = k == at;
  }
  return SUMI_OK;
}

/* ---- descriptors ----------------------------------------------------------------------------------------- */

#define LABELS (SUMI_ML_T | SUMI_BIT(SUMI_STRING) | SUMI_BIT(SUMI_INT16))
static const struct sumi_attr_spec category_attrs[] = {
    {"cats_int64s", SUMI_ATTR_INTS},
    {"cats_strings", SUMI_ATTR_STRINGS},
    {"default_int64", SUMI_ATTR_INT},
    {"default_string", SUMI_ATTR_STRING},
    {NULL},
};
static const struct sumi_attr_spec label_attrs[] = {
    {"classes_strings", SUMI_ATTR_STRINGS, false, 2},
    {"default_float", SUMI_ATTR_FLOAT},
    {"default_int64", SUMI_ATTR_INT},
    {"default_string", SUMI_ATTR_STRING},
    {"default_tensor", SUMI_ATTR_TENSOR},
    {"keys_floats", SUMI_ATTR_FLOATS},
    {"keys_int64s", SUMI_ATTR_INTS},
    {"keys_strings", SUMI_ATTR_STRINGS},
    {"keys_tensor", SUMI_ATTR_TENSOR},
    {"values_floats", SUMI_ATTR_FLOATS},
    {"values_int64s", SUMI_ATTR_INTS},
    {"values_strings", SUMI_ATTR_STRINGS},
    {"values_tensor", SUMI_ATTR_TENSOR},
    {NULL},
};
static const struct sumi_attr_spec one_hot_attrs[] = {
    {"cats_int64s", SUMI_ATTR_INTS}, {"cats_strings", SUMI_ATTR_STRINGS}, {"zeros", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port category_in[] = {{"X", SUMI_ML_LABEL}, {NULL}};
static const struct sumi_port category_out[] = {{"Y", SUMI_ML_LABEL}, {NULL}};
static const struct sumi_port label_in[] = {{"X", LABELS}, {NULL}};
static const struct sumi_port label_out[] = {{"Y", LABELS}, {NULL}};
static const struct sumi_port one_hot_in[] = {{"X", SUMI_ML_T | SUMI_BIT(SUMI_STRING)}, {NULL}};
static const struct sumi_port one_hot_out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};

static const struct sumi_case category_cases[] = {
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g (int64[2,9] x) => (y) { s = ai.onnx.ml.CategoryMapper "
     "<cats_strings = [\"a\", \"b\", \"a\"], cats_int64s = [5, 2, 0], default_string = \"none\"> (x) "
     "y = ai.onnx.ml.CategoryMapper <cats_strings = [\"a\", \"b\", \"a\"], cats_int64s = [5, 2, 0]> (s) }"},
    {NULL},
};
static const struct sumi_case label_cases[] = {
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g (int64[33] x) => (y) { s = ai.onnx.ml.LabelEncoder "
     "<classes_strings = [\"a\", \"b\", \"c\"]> (x) y = ai.onnx.ml.LabelEncoder <classes_strings = [\"c\", "
     "\"a\"], default_int64 = 9> (s) }"},
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 2]> g (int64[3,11] x) => (y) { y = ai.onnx.ml.LabelEncoder "
     "<keys_int64s = [3, 1, 3], values_floats = [0.5, 1.5, 2.5], default_float = 7.0> (x) }"},
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 4]> g (int16[3,11] x) => (y) { y = ai.onnx.ml.LabelEncoder "
     "<keys_tensor = int16[2] {3, 1}, values_tensor = double[2] {0.25, 8.0}> (x) }"},
    {NULL},
};
static const struct sumi_case one_hot_cases[] = {
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g (int64[2,5] x) => (y) { y = ai.onnx.ml.OneHotEncoder "
     "<cats_int64s = [4, 0, 2]> (x) }"},
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g (float[19] x) => (y) { y = ai.onnx.ml.OneHotEncoder "
     "<cats_int64s = [-1, 0, 1, 2], zeros = 0> (x) }",
     .low = -1.9, .high = 2.9, .why = "towards zero"},
    {NULL},
};

const struct sumi_op sumi_op_ml_category_mapper = {
    .name = "ai.onnx.ml.CategoryMapper",
    .formula = "the integer of a string, or the string of an integer",
    .known_as = {{"ai.onnx.ml", "CategoryMapper", {1}}},
    .attrs = category_attrs,
    .in = category_in,
    .out = category_out,
    .infer = category_infer,
    .ref = category_ref,
    .scratch = category_scratch,
    .cases = category_cases,
};
const struct sumi_op sumi_op_ml_label_encoder = {
    .name = "ai.onnx.ml.LabelEncoder",
    .formula = "values[position of x in keys]",
    .known_as = {{"ai.onnx.ml", "LabelEncoder", {1, 2, 4}}},
    .attrs = label_attrs,
    .in = label_in,
    .out = label_out,
    .infer = label_infer,
    .ref = label_ref,
    .scratch = label_scratch,
    .cases = label_cases,
};
const struct sumi_op sumi_op_ml_one_hot_encoder = {
    .name = "ai.onnx.ml.OneHotEncoder",
    .formula = "1 at the position of x in the categories, else 0",
    .known_as = {{"ai.onnx.ml", "OneHotEncoder", {1}}},
    .attrs = one_hot_attrs,
    .in = one_hot_in,
    .out = one_hot_out,
    .infer = one_hot_infer,
    .ref = one_hot_ref,
    .scratch = one_hot_scratch,
    .cases = one_hot_cases,
};
