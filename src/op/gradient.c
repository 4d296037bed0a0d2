/* Gradient (ai.onnx.preview.training 1): with y a value of the same graph and a function of the values named in xs and zs,
 *   output i = d(sum of y) / d(xs[i])   at the inputs, which stand for the values named in xs and then zs
 * What is computed depends on the graph around the node, not on its inputs only: pass expand-gradient puts ordinary operators in
 * its place before anything runs. It has no case here, since cases run graphs as they are; pass/test_gradient.c and the
 * standard's own tests cover it. */
#include "op/op_util.h"

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_attr *xs = sumi_node_attr(ctx->node, "xs"), *zs = sumi_node_attr(ctx->node, "zs");
  const size_t n = (xs ? xs->n : 0) + (zs ? zs->n : 0);
  if (!xs || !xs->n) SUMI_FAIL(ctx->err, SUMI_E_ARG, "xs names no value");
  if ((size_t)ctx->n_in != n)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are %d inputs for %zu names in xs and zs", ctx->n_in, n);
  if ((size_t)ctx->n_out > xs->n)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are %d outputs for %zu names in xs", ctx->n_out, xs->n);
  for (int i = 0; i < ctx->n_in; i++)
    if (!sumi_infer_has(ctx, i)) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is left out", i);
  for (int i = 0; i < ctx->n_out; i++) sumi_infer_out_like(ctx, i, &ctx->in[i], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status ref(const struct sumi_call *c) {
  SUMI_FAIL(c->err, SUMI_E_UNSUPPORTED,
            "pass expand-gradient has not run, which puts operators in its place");
}

static const struct sumi_attr_spec attrs[] = {{"xs", SUMI_ATTR_STRINGS, true, .names = true},
                                              {"y", SUMI_ATTR_STRING, true, .names = true},
                                              {"zs", SUMI_ATTR_STRINGS, .names = true},
                                              {NULL}};
static const struct sumi_port in[] = {{"Inputs", SUMI_ANY, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED}, {NULL}};
static const struct sumi_port out[] = {{"Outputs", SUMI_FLOATS, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED},
                                       {NULL}};

const struct sumi_op sumi_op_gradient = {
    .name = "ai.onnx.preview.training.Gradient",
    .formula = "the derivative of the sum of y with respect to each of xs",
    .known_as = {{"ai.onnx.preview.training", "Gradient", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_RANDOM, /* not a function of its inputs */
    .infer = infer,
    .ref = ref,
};
