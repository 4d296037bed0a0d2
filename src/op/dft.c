/* DFT: the discrete Fourier transform along one axis of [..., 1] (real) or [..., 2] (real and imaginary parts), the line
 * cut or padded with zeros to dft_length. onesided keeps the first n / 2 + 1 values of a real line's spectrum; with inverse
 * it takes such a half and gives a real line. Axis: an attribute (default 1) before version 20, an input (default -2) from
 * then on. In double precision, rounded once. */
#include <inttypes.h>

#include "base/size.h"
#include "op/fourier.h"
#include "op/op_util.h"

/* The number that a one-element tensor holds. */
static sumi_status scalar(const struct sumi_tensor *t, const char *name, int64_t *out, struct sumi_err *err) {
  if (sumi_tensor_count(t) != 1) SUMI_FAIL(err, SUMI_E_SHAPE, "%s is not one number", name);
  *out = sumi_get_i64(t->dtype, t->data, 0);
  return SUMI_OK;
}

/* axis (a tensor, NULL = not given) of a tensor of this rank. The last dimension is no signal. */
static sumi_status signal_axis(const struct sumi_node *node, const struct sumi_tensor *given, int rank,
                               int *axis, struct sumi_err *err) {
  int64_t a = node->version < 20 ? sumi_attr_int(node, "axis", 1) : -2;
  if (given) SUMI_TRY(scalar(given, "axis", &a, err));
  SUMI_TRY(sumi_axis(a, rank, axis, err));
  if (*axis == rank - 1)
    SUMI_FAIL(err, SUMI_E_VALUE, "the last dimension holds real and imaginary parts, it is no axis");
  return SUMI_OK;
}

static sumi_status dft_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const bool inverse = sumi_attr_int(ctx->node, "inverse", 0) != 0,
             onesided = sumi_attr_int(ctx->node, "onesided", 0) != 0;
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (x->rank < 2) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 2 is needed", x->rank);
  const sumi_dim parts = x->dim[x->rank - 1];
  if (parts >= 0 && parts != 1 && parts != 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the last dimension is %" PRId64 ", not 1 or 2", parts);
  if (onesided && !inverse && parts == 2)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "a complex signal has no one-sided spectrum");
  sumi_dim y[SUMI_MAX_RANK];
  for (int i = 0; i < x->rank; i++) y[i] = x->dim[i];
  y[x->rank - 1] = onesided && inverse ? 1 : 2;
  if (sumi_infer_has(ctx, 2) && !ctx->in[2].data) { /* some axis or other */
    for (int i = 0; i < x->rank - 1; i++) y[i] = SUMI_DIM_UNKNOWN;
  } else {
    int axis = 0;
    SUMI_TRY(
        signal_axis(ctx->node, sumi_infer_has(ctx, 2) ? ctx->in[2].data : NULL, x->rank, &axis, ctx->err));
    sumi_dim n =
        onesided && inverse ? sumi_dim_mul(ctx->symbols, sumi_dim_sub(ctx->symbols, y[axis], 1), 2) : y[axis];
    if (sumi_infer_has(ctx, 1)) n = SUMI_DIM_UNKNOWN;
    if (sumi_infer_has(ctx, 1) && ctx->in[1].data) {
      int64_t length = 0;
      SUMI_TRY(scalar(ctx->in[1].data, "dft_length", &length, ctx->err));
      if (length < 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "dft_length is %" PRId64, length);
      n = length;
    }
    if (n == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a transform of no elements is not defined");
    y[axis] = onesided && !inverse ? sumi_dim_add(ctx->symbols, sumi_dim_div(ctx->symbols, n, 2), 1) : n;
  }
  sumi_infer_out(ctx, 0, x->dtype, x->rank, y);
  return SUMI_OK;
}

struct lines {
  int axis;
  bool inverse, onesided;
  int64_t n;          /* length of the transform */
  int64_t have, give; /* elements along the axis of x and y */
  int64_t parts_x, parts_y;
  int64_t outer, inner; /* x is [outer, have, inner, parts_x], y [outer, give, inner, parts_y] */
};

static sumi_status resolve(const struct sumi_call *c, struct lines *l) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  *l = (struct lines){.inverse = sumi_attr_int(c->node, "inverse", 0) != 0,
                      .onesided = sumi_attr_int(c->node, "onesided", 0) != 0};
  SUMI_TRY(signal_axis(c->node, sumi_call_has(c, 2) ? c->in[2] : NULL, x->rank, &l->axis, c->err));
  l->have = x->dim[l->axis];
  l->give = y->dim[l->axis];
  l->parts_x = x->dim[x->rank - 1];
  l->parts_y = y->dim[y->rank - 1];
  l->n = l->onesided && !l->inverse ? l->have : l->give;
  if (sumi_call_has(c, 1)) SUMI_TRY(scalar(c->in[1], "dft_length", &l->n, c->err));
  l->outer = sumi_dims_count(x->dim, 0, l->axis);
  l->inner = sumi_dims_count(x->dim, l->axis + 1, x->rank - 1);
  return SUMI_OK;
}

static sumi_status dft_scratch(const struct sumi_call *c, size_t *bytes) {
  /* the axis may not be known yet: every axis fits */
  int64_t n = 1;
  for (int i = 0; i < c->out[0]->rank - 1; i++)
    n = SUMI_MAX(n, SUMI_MAX(c->out[0]->dim[i], c->in[0]->dim[i]));
  size_t doubles;
  /* a one-sided spectrum is half as long as its line */
  if (!sumi_i64_mul(n, 2, &n) || !sumi_fourier_doubles(n, &doubles) ||
      !sumi_size_mul(doubles, sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a line of %" PRId64 " elements is too long", n);
  return SUMI_OK;
}

static void load(const struct lines *l, const struct sumi_tensor *x, int64_t outer, int64_t inner,
                 struct sumi_fourier *f) {
  const bool half = l->onesided && l->inverse;
  const int64_t use = SUMI_MIN(l->have, half ? l->n / 2 + 1 : l->n);
  for (int64_t i = 0; i < l->n; i++) {
    const int64_t from = half && i > l->n / 2 ? l->n - i : i; /* the other half is the conjugate */
    const int64_t at = ((outer * l->have + from) * l->inner + inner) * l->parts_x;
    f->in.re[i] = from < use ? sumi_get_f64(x->dtype, x->data, at) : 0;
    f->in.im[i] = from < use && l->parts_x == 2 ? sumi_get_f64(x->dtype, x->data, at + 1) : 0;
    if (from != i) f->in.im[i] = -f->in.im[i];
    if (half && (i == 0 || 2 * i == l->n)) f->in.im[i] = 0;
  }
}

static sumi_status dft_ref(const struct sumi_call *c) {
  struct lines l;
  SUMI_TRY(resolve(c, &l));
  const struct sumi_tensor *y = c->out[0];
  if (!sumi_tensor_count(y)) return SUMI_OK;
  struct sumi_fourier f;
  sumi_fourier_init(&f, l.n, c->scratch);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.inner; i++) {
      load(&l, c->in[0], o, i, &f);
      sumi_fourier_run(&f, l.inverse);
      for (int64_t k = 0; k < l.give; k++) {
        const int64_t at = ((o * l.give + k) * l.inner + i) * l.parts_y;
        sumi_set_f64(y->dtype, y->data, at, f.out.re[k]);
        if (l.parts_y == 2) sumi_set_f64(y->dtype, y->data, at + 1, f.out.im[k]);
      }
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT, .until = 20}, {"inverse", SUMI_ATTR_INT}, {"onesided", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'},
                                      {"dft_length", SUMI_INDICES, 0, SUMI_PORT_OPTIONAL},
                                      {"axis", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,16,1] x) => (y) { y = DFT <onesided = 1> (x) }", .rtol = 1e-6, .why = "rounded once"},
    {"g (float[2,12,3,2] x) => (y) <int64 n = {10}, int64 a = {1}> { y = DFT (x, n, a) }", .rtol = 1e-6,
     .why = "a length that is no power of two, and cut"},
    {"g (float[2,9,2] x) => (y) { y = DFT <inverse = 1, onesided = 1> (x) }", .rtol = 1e-6,
     .why = "back to a real line of 16"},
    {"g (float[2,67,2,2] x) => (y, z) <int64 a = {1}> { y = DFT (x, , a) z = DFT <inverse = 1> "
     "(y, , a) }",
     .rtol = 1e-6, .why = "a prime length, and back"},
    {"<opset_import: [\"\": 17]> g (float[1,6,4,1] x) => (y) <int64 n = {8}> { y = DFT <axis = 1, inverse = "
     "1> (x, n) }",
     .rtol = 1e-6, .why = "padded"},
    {NULL},
};

const struct sumi_op sumi_op_dft = {
    .name = "DFT",
    .formula = "sum of x[i] * exp(-2 pi j k i / n) along axis",
    .known_as = {{"", "DFT", {17, 20}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = dft_infer,
    .ref = dft_ref,
    .scratch = dft_scratch,
    .cases = cases,
};
