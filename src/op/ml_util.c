/* Rows, labels, scores and key tables of the ai.onnx.ml operators. */
#include "op/ml_util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

/* ---- rows ------------------------------------------------------------------------------------------------ */

sumi_status sumi_ml_infer_rows(struct sumi_infer *ctx, struct sumi_ml_rows *rows) {
  const struct sumi_info *x = &ctx->in[0];
  *rows = (struct sumi_ml_rows){SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  if (x->rank == 0 || x->rank > 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has rank %d, not 1 (features) or 2 (rows of features)",
              ctx->node->op->in[0].name, x->rank);
  if (x->rank > 0) {
    rows->n = x->rank == 1 ? 1 : x->dim[0];
    rows->features = x->dim[x->rank - 1];
  }
  return SUMI_OK;
}

struct sumi_ml_rows sumi_ml_rows_of(const struct sumi_tensor *x) {
  return (struct sumi_ml_rows){x->rank == 1 ? 1 : x->dim[0], x->dim[x->rank - 1]};
}

sumi_status sumi_ml_want_features(const struct sumi_infer *ctx, const struct sumi_ml_rows *rows,
                                  int64_t want) {
  if (rows->features < 0 || rows->features == want) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has %" PRId64 " features, the attributes are for %" PRId64,
            ctx->node->op->in[0].name, rows->features, want);
}

void sumi_ml_infer_scores(struct sumi_infer *ctx, int i, sumi_dtype dtype, const struct sumi_ml_rows *rows,
                          sumi_dim columns) {
  sumi_infer_out(ctx, i, dtype, 2, (const sumi_dim[]){rows->n, columns});
}

double sumi_ml_dot(const struct sumi_tensor *x, int64_t features, int64_t row, const float *w) {
  double sum = 0;
  for (int64_t i = 0; i < features; i++) sum += sumi_ml_feature(x, features, row, i) * (double)w[i];
  return sum;
}

/* ---- lists in attributes --------------------------------------------------------------------------------- */

struct sumi_tensor sumi_ml_list(const struct sumi_node *node, const char *name) {
  const struct sumi_attr *a = sumi_node_attr(node, name);
  struct sumi_tensor t = {.kind = SUMI_TENSOR, .rank = 1};
  if (!a) return t;
  t.dim[0] = (int64_t)a->n;
  switch (a->type) {
    case SUMI_ATTR_INTS: t.dtype = SUMI_INT64, t.data = (void *)(uintptr_t)a->u.ints; break;
    case SUMI_ATTR_FLOATS: t.dtype = SUMI_FLOAT32, t.data = (void *)(uintptr_t)a->u.floats; break;
    case SUMI_ATTR_STRINGS: t.dtype = SUMI_STRING, t.data = (void *)(uintptr_t)a->u.strings; break;
    case SUMI_ATTR_TENSOR:
      t.dtype = a->u.t->dtype;
      t.data = a->u.t->data;
      t.dim[0] = sumi_tensor_count(a->u.t);
      break;
    default: t.dim[0] = 0;
  }
  return t;
}

sumi_status sumi_ml_want_length(const struct sumi_tensor *t, const char *name, const char *like, int64_t n,
                                struct sumi_err *err) {
  if (t->dim[0] == n) return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_VALUE, "%s has %" PRId64 " items, %s has %" PRId64, name, t->dim[0], like, n);
}

/* ---- labels ---------------------------------------------------------------------------------------------- */

sumi_status sumi_ml_labels_of(const struct sumi_node *node, const char *ints_name,
                              struct sumi_ml_labels *labels, struct sumi_err *err) {
  const struct sumi_tensor strings = sumi_ml_list(node, "classlabels_strings"),
                           ints = sumi_ml_list(node, ints_name);
  if (strings.dim[0] && ints.dim[0])
    SUMI_FAIL(err, SUMI_E_VALUE, "both 'classlabels_strings' and '%s' are given", ints_name);
  *labels = (struct sumi_ml_labels){.n = strings.dim[0] + ints.dim[0],
                                    .ints = ints.dim[0] ? ints.data : NULL,
                                    .strings = strings.dim[0] ? strings.data : NULL};
  return SUMI_OK;
}

void sumi_ml_put_label(const struct sumi_ml_labels *labels, struct sumi_tensor *y, int64_t i, int64_t which) {
  if (labels->strings)
    ((struct sumi_str *)y->data)[i] = labels->strings[which];
  else
    ((int64_t *)y->data)[i] = labels->ints ? labels->ints[which] : which;
}

void sumi_ml_put_sign(const struct sumi_ml_labels *labels, struct sumi_tensor *y, int64_t i, bool positive) {
  static const struct sumi_str digits[] = {{"0", 1}, {"1", 1}};
  if (labels->n == 2)
    sumi_ml_put_label(labels, y, i, positive);
  else if (labels->strings)
    ((struct sumi_str *)y->data)[i] = digits[positive];
  else
    ((int64_t *)y->data)[i] = positive;
}

/* ---- scores ---------------------------------------------------------------------------------------------- */

sumi_status sumi_ml_post_of(const struct sumi_node *node, enum sumi_ml_post *post, struct sumi_err *err) {
  static const char *const words[SUMI_N_ML_POSTS] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  const char *word = sumi_attr_string(node, "post_transform", "NONE");
  for (int k = 0; k < SUMI_N_ML_POSTS; k++)
    if (sumi_streq(word, words[k])) {
      *post = (enum sumi_ml_post)k;
      return SUMI_OK;
    }
  SUMI_FAIL(err, SUMI_E_VALUE, "post_transform is '%.40s'", word);
}

double sumi_ml_logistic(double x) {
  const double v = 1 / (1 + exp(-fabs(x)));
  return x < 0 ? 1 - v : v;
}

static double erf_inverse(double x) {
  const double a = 0.147, l = log((1 - x) * (1 + x));
  const double v = 2 / (3.14159265358979323846 * a) + l / 2;
  return copysign(sqrt(sqrt(v * v - l / a) - v), x);
}

static double probit(double x) { return 1.41421356237309504880 * erf_inverse(2 * x - 1); }

static void softmax(double *s, int64_t n, bool skip_zeros) {
  const double tiny = 1e-7;
  double max = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) max = s[i] > max ? s[i] : max;
  for (int64_t i = 0; i < n; i++) {
    const bool skipped = skip_zeros && fabs(s[i]) <= tiny;
    s[i] = skipped ? s[i] * exp(-max) : exp(s[i] - max);
    if (!skipped) sum += s[i];
  }
  for (int64_t i = 0; i < n; i++) s[i] /= sum;
}

void sumi_ml_transform(enum sumi_ml_post post, double *s, int64_t n) {
  if (post == SUMI_ML_PROBIT)
    for (int64_t i = 0; i < n; i++) s[i] = probit(s[i]);
  if (n < 2) return;
  if (post == SUMI_ML_LOGISTIC)
    for (int64_t i = 0; i < n; i++) s[i] = sumi_ml_logistic(s[i]);
  if (post == SUMI_ML_SOFTMAX || post == SUMI_ML_SOFTMAX_ZERO) softmax(s, n, post == SUMI_ML_SOFTMAX_ZERO);
}

void sumi_ml_two_scores(enum sumi_ml_post post, bool probability, double s, double two[2]) {
  if (post == SUMI_ML_LOGISTIC) {
    two[0] = sumi_ml_logistic(-s);
    two[1] = sumi_ml_logistic(s);
    return;
  }
  if (post == SUMI_ML_PROBIT) s = probit(s);
  two[0] = probability || post == SUMI_ML_PROBIT ? 1 - s : -s;
  two[1] = s;
}

int64_t sumi_ml_largest(const double *s, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (s[i] > s[best]) best = i;
  return best;
}

/* ---- tables of keys -------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) { /* the finaliser of splitmix64 */
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

/* Numbers as 64 bits that are equal where the numbers count as equal. */
static uint64_t bits_of(const struct sumi_tensor *x, int64_t i) {
  if (!sumi_dtype_is_float(x->dtype)) return (uint64_t)sumi_get_i64(x->dtype, x->data, i);
  const double v = sumi_get_f64(x->dtype, x->data, i);
  const double plain = isnan(v) ? (double)NAN : v == 0 ? 0.0 : v;
  uint64_t bits;
  memcpy(&bits, &plain, sizeof bits);
  return bits;
}

static uint64_t hash(const struct sumi_ml_table *t, const struct sumi_tensor *x, int64_t i) {
  uint64_t h = mix((uint64_t)(uintptr_t)t->slot);
  if (x->dtype != SUMI_STRING) return mix(h + bits_of(x, i));
  const struct sumi_str s = ((const struct sumi_str *)x->data)[i];
  for (size_t k = 0; k < s.size; k += 8) {
    uint64_t word = 0;
    memcpy(&word, s.data + k, SUMI_MIN(s.size - k, (size_t)8));
    h = mix(h + word);
  }
  return mix(h + s.size);
}

static bool same_key(const struct sumi_tensor *a, int64_t i, const struct sumi_tensor *b, int64_t j) {
  if (a->dtype != SUMI_STRING) return bits_of(a, i) == bits_of(b, j);
  const struct sumi_str s = ((const struct sumi_str *)a->data)[i], t = ((const struct sumi_str *)b->data)[j];
  return s.size == t.size && (!s.size || !memcmp(s.data, t.data, s.size));
}

static uint64_t slots_for(int64_t n) {
  uint64_t slots = 4;
  while (slots < 2 * (uint64_t)n) slots *= 2;
  return slots;
}

sumi_status sumi_ml_table_bytes(int64_t n, size_t *bytes, struct sumi_err *err) {
  if (n < 0 || n > INT64_C(1) << 30) SUMI_FAIL(err, SUMI_E_LIMIT, "%" PRId64 " keys", n);
  *bytes = (size_t)slots_for(n) * sizeof(int32_t);
  return SUMI_OK;
}

/* The slot that holds the key, or the free one where it belongs. */
static int32_t *place(const struct sumi_ml_table *t, const struct sumi_tensor *x, int64_t i) {
  uint64_t at = hash(t, x, i) & t->mask;
  while (t->slot[at] && !same_key(&t->keys, t->slot[at] - 1, x, i)) at = (at + 1) & t->mask;
  return &t->slot[at];
}

void sumi_ml_table_init(struct sumi_ml_table *t, const struct sumi_tensor *keys, void *slots) {
  *t = (struct sumi_ml_table){.keys = *keys, .slot = slots, .mask = slots_for(keys->dim[0]) - 1};
  memset(slots, 0, (size_t)(t->mask + 1) * sizeof *t->slot);
  for (int64_t i = 0; i < keys->dim[0]; i++) *place(t, keys, i) = (int32_t)(i + 1);
}

int64_t sumi_ml_table_find(const struct sumi_ml_table *t, const struct sumi_tensor *x, int64_t i) {
  return *place(t, x, i) - 1;
}
