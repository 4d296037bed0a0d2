/* Dropout (Srivastava et al. 2014): y = x and a mask of ones (bool from version 10, the data's type before); training
 * with a ratio > 0, an element is kept with probability 1 - ratio, y = mask x / (1 - ratio), and the mask says which.
 * Training is what input training_mode says, from version 12 on. Versions 1 and 6 have is_test, whose default 0 asks
 * for training too; networks are run, not trained, here: it is not looked at. Which are kept is drawn in row-major
 * order (op/draw.h). */
#include "base/size.h"
#include "op/dims.h"
#include "op/draw.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status dropout_infer(struct sumi_infer *ctx) {
  for (int i = 1; i < 3; i++)
    if (sumi_infer_has(ctx, i)) {
      bool known;
      int64_t value;
      SUMI_TRY(sumi_op_scalar(ctx, i, &known, &value));
    }
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  sumi_infer_out_like(ctx, 1, &ctx->in[0], ctx->node->version < 10 ? ctx->in[0].dtype : SUMI_BOOL);
  return SUMI_OK;
}

static double scalar_or(const struct sumi_call *c, int i, double otherwise) {
  return sumi_call_has(c, i) ? sumi_get_f64(c->in[i]->dtype, c->in[i]->data, 0) : otherwise;
}

static sumi_status train(const struct sumi_call *c, double ratio) {
  const struct sumi_tensor *x = c->in[0], *y = sumi_call_wants(c, 0) ? c->out[0] : NULL;
  const int64_t n = sumi_tensor_count(x);
  struct sumi_twister t;
  if (!(ratio > 0 && ratio < 1)) SUMI_FAIL(c->err, SUMI_E_VALUE, "the ratio is %g, outside [0, 1)", ratio);
  SUMI_TRY(sumi_draw_init(c, &t));
  for (int64_t i = 0; i < n; i++) {
    const bool keep = sumi_twister_uniform(&t) >= ratio;
    const double value = sumi_get_f64(x->dtype, x->data, i) * (1 / (1 - ratio));
    if (y) sumi_set_f64(y->dtype, y->data, i, keep ? value : 0);
    if (sumi_call_wants(c, 1)) sumi_set_f64(c->out[1]->dtype, c->out[1]->data, i, keep);
  }
  return SUMI_OK;
}

static sumi_status dropout_ref(const struct sumi_call *c) {
  const double ratio = scalar_or(c, 1, 0.5);
  if (scalar_or(c, 2, 0) != 0 && ratio != 0) return train(c, ratio);
  if (sumi_call_wants(c, 1)) {
    struct sumi_tensor *mask = c->out[1];
    const int64_t n = sumi_tensor_count(mask);
    if (n) sumi_set_f64(mask->dtype, mask->data, 0, 1);
    if (n) sumi_fill(mask->dtype, mask->data, 1, n - 1, mask->data, 0);
  }
  return sumi_call_wants(c, 0) ? sumi_ref_view(c) : SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"ratio", SUMI_ATTR_FLOAT, false, 12},
    {"is_test", SUMI_ATTR_INT, false, 7},
    {"consumed_inputs", SUMI_ATTR_INTS, false, 6},
    {"seed", SUMI_ATTR_INT},
    {NULL},
};
static const struct sumi_port in[] = {
    {"data", SUMI_FLOATS | SUMI_FLOAT8S, 'T'},
    {"ratio", SUMI_FLOATS | SUMI_FLOAT8S, 0, SUMI_PORT_OPTIONAL},
    {"training_mode", SUMI_BIT(SUMI_BOOL), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {
    {"output", SUMI_FLOATS | SUMI_FLOAT8S, 'T'},
    {"mask", SUMI_FLOATS | SUMI_FLOAT8S | SUMI_BIT(SUMI_BOOL), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_case cases[] = {
    {"<opset_import: [\"\": 13]> g (float[2,3] x) => (y, m) { y, m = Dropout (x) }", .why = "mask of bool"},
    {"<opset_import: [\"\": 7]> g (float[2,3] x) => (y, m) { y, m = Dropout <ratio = 0.1> (x) }",
     .why = "mask of float"},
    {"g (float[4,30] x, bool t) => (y, m) <float r = {0.3}> { y, m = Dropout <seed = 7> (x, r, t) }",
     .why = "training or not, known when run"},
    {"g (bfloat16[4,30] x) => (y) <bool t = {1}> { a = Neg (x) y = Dropout <seed = 7> (a, , t) }",
     .why = "in place"},
    {NULL},
};

const struct sumi_op sumi_op_dropout = {
    .name = "Dropout",
    .formula = "y = x; training, mask x / (1 - ratio)",
    .known_as = {{"", "Dropout", {1, 6, 7, 10, 12, 13, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_RANDOM | SUMI_OP_IN_PLACE,
    .infer = dropout_infer,
    .ref = dropout_ref,
    .cases = cases,
};
