/* Operators that draw random numbers (op/draw.h says which):
 *   RandomUniform, RandomUniformLike   low + (high - low) u, u in [0, 1)
 *   RandomNormal, RandomNormalLike     mean + scale z
 *   Bernoulli                          1 with the probability that the input says, else 0
 *   Multinomial                        sample_size classes of each row, by the probabilities softmax(row)
 * Elements are drawn in row-major order, computed in double precision and rounded once; where there is a seed, they are
 * those of the standard's reference implementation, which has no Multinomial. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/draw.h"
#include "op/op_util.h"

sumi_status sumi_draw_init(const struct sumi_call *c, struct sumi_twister *t) {
  const struct sumi_attr *a = sumi_node_attr(c->node, "seed");
  const double whole = a && a->type == SUMI_ATTR_FLOAT ? fmod(trunc(a->u.f), 0x1p32) : 0;
  if (a && a->type == SUMI_ATTR_INT) {
    sumi_twister_init(t, (uint32_t)a->u.i);
  } else if (a && !isnan(whole)) {
    sumi_twister_init(t, (uint32_t)(int64_t)whole);
  } else {
    SUMI_ASSERT(c->err, c->random);
    sumi_twister_init(t, (uint32_t)sumi_random_u64(c->random));
  }
  return SUMI_OK;
}

/* Attribute dtype, or otherwise. */
static sumi_status read_dtype(struct sumi_infer *ctx, sumi_dtype otherwise, uint64_t allowed,
                              sumi_dtype *dtype) {
  const struct sumi_attr *a = sumi_node_attr(ctx->node, "dtype");
  *dtype = a ? sumi_dtype_from_onnx(a->u.i) : otherwise;
  if (!sumi_dtype_in(*dtype, allowed)) {
    if (a) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "dtype is %" PRId64, a->u.i);
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "dtype is not given, and the input is %s", sumi_dtype_label(*dtype));
  }
  return SUMI_OK;
}

static sumi_status like_infer(struct sumi_infer *ctx) {
  sumi_dtype dtype = SUMI_UNDEFINED;
  SUMI_TRY(read_dtype(ctx, ctx->in[0].dtype, ctx->node->op->out[0].dtypes, &dtype));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], dtype);
  return SUMI_OK;
}

static sumi_status shape_infer(struct sumi_infer *ctx) {
  int rank;
  const int64_t *dim = sumi_attr_ints(ctx->node, "shape", &rank);
  sumi_dtype dtype = SUMI_UNDEFINED;
  SUMI_TRY(read_dtype(ctx, SUMI_FLOAT32, SUMI_FLOATS, &dtype));
  if (rank > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "shape has %d entries; at most %d are supported", rank, SUMI_MAX_RANK);
  for (int i = 0; i < rank; i++)
    if (dim[i] < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "shape[%d] is %" PRId64, i, dim[i]);
  sumi_infer_out(ctx, 0, dtype, rank, dim);
  return SUMI_OK;
}

/* y[i] = shift + factor * draw() */
static sumi_status fill(const struct sumi_call *c, double draw(struct sumi_twister *), double factor,
                        double shift) {
  const struct sumi_tensor *y = c->out[0];
  const int64_t n = sumi_tensor_count(y);
  struct sumi_twister t;
  SUMI_TRY(sumi_draw_init(c, &t));
  for (int64_t i = 0; i < n; i++) sumi_set_f64(y->dtype, y->data, i, shift + factor * draw(&t));
  return SUMI_OK;
}

static sumi_status uniform_ref(const struct sumi_call *c) {
  const double low = sumi_attr_float(c->node, "low", 0), high = sumi_attr_float(c->node, "high", 1);
  return fill(c, sumi_twister_uniform, high - low, low);
}

static sumi_status normal_ref(const struct sumi_call *c) {
  return fill(c, sumi_twister_normal, sumi_attr_float(c->node, "scale", 1),
              sumi_attr_float(c->node, "mean", 0));
}

static sumi_status bernoulli_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t n = sumi_tensor_count(y);
  struct sumi_twister t;
  SUMI_TRY(sumi_draw_init(c, &t));
  for (int64_t i = 0; i < n; i++) {
    const double p = sumi_get_f64(x->dtype, x->data, i);
    if (!(p >= 0 && p <= 1))
      SUMI_FAIL(c->err, SUMI_E_VALUE, "element %" PRId64 " is %g, no probability", i, p);
    /* as NumPy's binomial(1, p): the likelier outcome takes the lower end */
    const double u = sumi_twister_uniform(&t);
    sumi_set_f64(y->dtype, y->data, i, p > 0.5 ? u <= p : u > 1 - p);
  }
  return SUMI_OK;
}

static sumi_status multinomial_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const int64_t n = sumi_attr_int(ctx->node, "sample_size", 1);
  sumi_dtype dtype = SUMI_UNDEFINED;
  SUMI_TRY(read_dtype(ctx, SUMI_INT32, SUMI_INDICES, &dtype));
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 2));
  if (n < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "sample_size is %" PRId64, n);
  if (x->rank == 2 && x->dim[1] == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "there are no classes");
  const sumi_dim dim[] = {x->rank == 2 ? x->dim[0] : SUMI_DIM_UNKNOWN, n};
  sumi_infer_out(ctx, 0, dtype, 2, dim);
  return SUMI_OK;
}

/* The sums of the classes' weights up to each. */
static sumi_status multinomial_scratch(const struct sumi_call *c, size_t *bytes) {
  if (!sumi_size_mul((size_t)c->in[0]->dim[1], sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "%" PRId64 " classes", c->in[0]->dim[1]);
  return SUMI_OK;
}

/* sum[k] = exp(x[first]) + ... + exp(x[first + k]), over exp of the largest; the total. */
static double cumulate(const struct sumi_tensor *x, int64_t first, int64_t classes, double *sum) {
  double max = -INFINITY, total = 0;
  for (int64_t k = 0; k < classes; k++) max = fmax(max, sumi_get_f64(x->dtype, x->data, first + k));
  for (int64_t k = 0; k < classes; k++) {
    total += exp(sumi_get_f64(x->dtype, x->data, first + k) - max);
    sum[k] = total;
  }
  return total;
}

static sumi_status multinomial_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t classes = x->dim[1];
  double *sum = c->scratch;
  struct sumi_twister t;
  SUMI_TRY(sumi_draw_init(c, &t));
  for (int64_t r = 0; r < y->dim[0]; r++) {
    const double total = cumulate(x, r * classes, classes, sum);
    if (!(total > 0 && isfinite(total)))
      SUMI_FAIL(c->err, SUMI_E_VALUE,
                "row %" PRId64 " gives no probabilities: its largest logarithm is not finite", r);
    for (int64_t i = 0; i < y->dim[1]; i++) {
      const double find = sumi_twister_uniform(&t) * total;
      int64_t low = 0, high = classes - 1; /* the first sum that is greater, the last at most */
      while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sum[middle] > find)
          high = middle;
        else
          low = middle + 1;
      }
      sumi_set_i64(y->dtype, y->data, r * y->dim[1] + i, low);
    }
  }
  return SUMI_OK;
}

/* ---- descriptors ------------------------------------------------------------------------------------------- */

#define COMMON \
  {"dtype", SUMI_ATTR_INT}, { "seed", SUMI_ATTR_FLOAT }
#define SHAPE \
  { "shape", SUMI_ATTR_INTS, .required = true }
#define UNIFORM \
  {"low", SUMI_ATTR_FLOAT}, { "high", SUMI_ATTR_FLOAT }
#define NORMAL \
  {"mean", SUMI_ATTR_FLOAT}, { "scale", SUMI_ATTR_FLOAT }
static const struct sumi_attr_spec random_uniform_attrs[] = {COMMON, UNIFORM, SHAPE, {NULL}};
static const struct sumi_attr_spec random_uniform_like_attrs[] = {COMMON, UNIFORM, {NULL}};
static const struct sumi_attr_spec random_normal_attrs[] = {COMMON, NORMAL, SHAPE, {NULL}};
static const struct sumi_attr_spec random_normal_like_attrs[] = {COMMON, NORMAL, {NULL}};
static const struct sumi_attr_spec bernoulli_attrs[] = {COMMON, {NULL}};
static const struct sumi_attr_spec multinomial_attrs[] = {COMMON, {"sample_size", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port none[] = {{NULL}};
static const struct sumi_port any_in[] = {{"input", SUMI_ANY}, {NULL}};
static const struct sumi_port float_in[] = {{"input", SUMI_FLOATS}, {NULL}};
static const struct sumi_port float_out[] = {{"output", SUMI_FLOATS}, {NULL}};
static const struct sumi_port bernoulli_out[] = {{"output", SUMI_NUMBERS | SUMI_BIT(SUMI_BOOL)}, {NULL}};
static const struct sumi_port index_out[] = {{"output", SUMI_INDICES}, {NULL}};

static const struct sumi_case random_uniform_cases[] = {
    {"g () => (y) { y = RandomUniform <shape = [3, 7], seed = 3.7, low = -2.0, high = 5.0> () }"},
    {"g () => (y) { y = RandomUniform <shape = [0], seed = 1.0, dtype = 11> () }"},
    {NULL},
};
static const struct sumi_case random_uniform_like_cases[] = {
    {"g (int32[3,7] x) => (y) { y = RandomUniformLike <dtype = 10, seed = 0.0> (x) }"},
    {"g (double[400] x) => (y) { y = RandomUniformLike <seed = -1.0> (x) }",
     .why = "the generator's second block"},
    {NULL},
};
static const struct sumi_case random_normal_cases[] = {
    {"g () => (y) { y = RandomNormal <shape = [3, 7], seed = 3.0, mean = 4.0, scale = 0.5> () }"},
    {NULL},
};
static const struct sumi_case random_normal_like_cases[] = {
    {"g (bool[3,7] x) => (y) { y = RandomNormalLike <dtype = 16, seed = 5.0> (x) }"},
    {"g (float x) => (y) { y = RandomNormalLike <seed = 5.0> (x) }"},
    {NULL},
};
static const struct sumi_case bernoulli_cases[] = {
    {"g (float[3,70] x) => (y) { y = Bernoulli <seed = 2.0> (x) }", .low = 0.001, .high = 0.999},
    {"g (double[40] x) => (y) { y = Bernoulli <seed = 2.0, dtype = 9> (x) }", .low = 0.001, .high = 0.999},
    {NULL},
};
static const struct sumi_case multinomial_cases[] = {
    {"g (float[3,7] x) => (y) { y = Multinomial <seed = 2.0, sample_size = 50> (x) }"},
    {"g (float16[2,1] x) => (y) { y = Multinomial <seed = 2.0, dtype = 7> (x) }"},
    {NULL},
};

/* RANDOM(symbol, name, formula, inputs, outputs, infer, ref, scratch, first and second version) */
#define RANDOM(symbol, label, text, ports_in, ports_out, infer_fn, ref_fn, scratch_fn, first, second) \
  const struct sumi_op sumi_op_##symbol = {                                                           \
      .name = label,                                                                                  \
      .formula = text,                                                                                \
      .known_as = {{"", label, {first, second}}},                                                     \
      .attrs = symbol##_attrs,                                                                        \
      .in = ports_in,                                                                                 \
      .out = ports_out,                                                                               \
      .flags = SUMI_OP_RANDOM,                                                                        \
      .infer = infer_fn,                                                                              \
      .ref = ref_fn,                                                                                  \
      .scratch = scratch_fn,                                                                          \
      .cases = symbol##_cases,                                                                        \
  };

RANDOM(random_uniform, "RandomUniform", "low + (high - low) u, u in [0, 1)", none, float_out, shape_infer,
       uniform_ref, NULL, 1, 22)
RANDOM(random_uniform_like, "RandomUniformLike", "low + (high - low) u, u in [0, 1)", any_in, float_out,
       like_infer, uniform_ref, NULL, 1, 22)
RANDOM(random_normal, "RandomNormal", "mean + scale z, z normal", none, float_out, shape_infer, normal_ref,
       NULL, 1, 22)
RANDOM(random_normal_like, "RandomNormalLike", "mean + scale z, z normal", any_in, float_out, like_infer,
       normal_ref, NULL, 1, 22)
RANDOM(bernoulli, "Bernoulli", "1 with probability x, else 0", float_in, bernoulli_out, like_infer,
       bernoulli_ref, NULL, 15, 22)
RANDOM(multinomial, "Multinomial", "classes drawn by softmax(x)", float_in, index_out, multinomial_infer,
       multinomial_ref, multinomial_scratch, 7, 22)
