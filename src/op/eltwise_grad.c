/* Gradients of element-wise operators. At a kink (Relu at 0, a limit of Clip) the derivative of one side is taken. */
#include <math.h>

#include "op/grad.h"

typedef struct sumi_value *value;

static value num(struct sumi_grad *g, value x, double v) { return sumi_grad_scalar(g, x, v); }
static value times(struct sumi_grad *g, value x, double v) { return sumi_grad_mul(g, x, num(g, x, v)); }
static value plus(struct sumi_grad *g, value x, double v) { return sumi_grad_add(g, x, num(g, x, v)); }
static value square(struct sumi_grad *g, value x) { return sumi_grad_mul(g, x, x); }
static value one_minus(struct sumi_grad *g, value x) { return sumi_grad_sub(g, num(g, x, 1), x); }

/* ---- one input: dx = dy * f'(x), often shorter by way of y --------------------------------------------------- */

#define UNARY(symbol, expression)                                       \
  sumi_status sumi_##symbol##_grad(struct sumi_grad *g) {               \
    const value x = g->node->in[0], y = g->node->out[0], dy = g->dy[0]; \
    (void)x, (void)y;                                                   \
    g->dx[0] = expression;                                              \
    return g->status;                                                   \
  }

static float alpha(const struct sumi_grad *g, float otherwise) {
  return sumi_attr_float(g->node, "alpha", otherwise);
}

/* sigmoid(alpha x) (1 + alpha x (1 - sigmoid(alpha x))) */
static value swish_slope(struct sumi_grad *g, value x) {
  const value t = times(g, x, (double)alpha(g, 1)), s = sumi_grad_sigmoid(g, t);
  return sumi_grad_mul(g, s, plus(g, sumi_grad_mul(g, t, one_minus(g, s)), 1));
}

/* (1 + erf(x / sqrt(2))) / 2 + x exp(-x^2 / 2) / sqrt(2 pi), or the same of the formula with tanh */
static value gelu_slope(struct sumi_grad *g, value x) {
  if (!sumi_attr_is(g->node, "approximate", "none", "tanh")) {
    const value cdf = times(g, plus(g, sumi_grad_erf(g, times(g, x, M_SQRT1_2)), 1), 0.5);
    const value pdf = times(g, sumi_grad_exp(g, times(g, square(g, x), -0.5)), 0.5 * M_2_SQRTPI * M_SQRT1_2);
    return sumi_grad_add(g, cdf, sumi_grad_mul(g, x, pdf));
  }
  const double k = M_2_SQRTPI * M_SQRT1_2, c = 0.044715;
  const value xx = square(g, x);
  const value t = sumi_grad_tanh(g, sumi_grad_mul(g, x, plus(g, times(g, xx, k * c), k)));
  const value inner = plus(g, times(g, xx, 3 * k * c), k);
  const value rest = sumi_grad_mul(g, sumi_grad_mul(g, x, inner), one_minus(g, square(g, t)));
  return times(g, sumi_grad_add(g, plus(g, t, 1), rest), 0.5);
}

UNARY(identity, dy)
UNARY(cast, sumi_grad_cast(g, dy, x))
UNARY(abs, sumi_grad_mul(g, dy, sumi_grad_sign(g, x)))
UNARY(neg, sumi_grad_neg(g, dy))
/* y > 0 where x > 0: so x need not be kept, and Relu may become part of what is before it */
UNARY(relu, sumi_grad_where(g, sumi_grad_greater(g, y, num(g, x, 0)), dy, num(g, x, 0)))
UNARY(sigmoid, sumi_grad_mul(g, dy, sumi_grad_mul(g, y, one_minus(g, y))))
UNARY(tanh, sumi_grad_mul(g, dy, one_minus(g, square(g, y))))
UNARY(erf, sumi_grad_mul(g, dy, times(g, sumi_grad_exp(g, sumi_grad_neg(g, square(g, x))), M_2_SQRTPI)))
UNARY(exp, sumi_grad_mul(g, dy, y))
UNARY(log, sumi_grad_div(g, dy, x))
UNARY(sqrt, sumi_grad_div(g, dy, times(g, y, 2)))
UNARY(reciprocal, sumi_grad_neg(g, sumi_grad_mul(g, dy, square(g, y))))
UNARY(sin, sumi_grad_mul(g, dy, sumi_grad_cos(g, x)))
UNARY(cos, sumi_grad_neg(g, sumi_grad_mul(g, dy, sumi_grad_sin(g, x))))
UNARY(softplus, sumi_grad_mul(g, dy, sumi_grad_sigmoid(g, x)))
UNARY(leaky_relu,
      sumi_grad_where(g, sumi_grad_less(g, x, num(g, x, 0)), times(g, dy, (double)alpha(g, 0.01f)), dy))
UNARY(swish, sumi_grad_mul(g, dy, swish_slope(g, x)))
UNARY(gelu, sumi_grad_mul(g, dy, gelu_slope(g, x)))

/* x / 3 + 1/2 between -3 and 3, 0 before, 1 behind */
UNARY(hard_swish, sumi_grad_where(g, sumi_grad_less(g, x, num(g, x, -3)), num(g, x, 0),
                                  sumi_grad_where(g, sumi_grad_greater(g, x, num(g, x, 3)), dy,
                                                  sumi_grad_mul(g, dy, plus(g, times(g, x, 1. / 3), 0.5)))))

UNARY(hard_sigmoid, sumi_grad_where(g,
                                    sumi_grad_and(g, sumi_grad_greater(g, y, num(g, x, 0)),
                                                  sumi_grad_less(g, y, num(g, x, 1))),
                                    times(g, dy, (double)alpha(g, 0.2f)), num(g, x, 0)))

/* ---- Clip: passes to x between the limits, to the limit that cuts elsewhere ------------------------------------ */

/* Limit i (0: min, 1: max) as a value; NULL where there is none. */
static value limit(struct sumi_grad *g, int i) {
  const struct sumi_node *node = g->node;
  const struct sumi_attr *attr = sumi_node_attr(node, i ? "max" : "min");
  if (1 + i < node->n_in && node->in[1 + i]) return node->in[1 + i];
  return attr ? num(g, node->in[0], (double)attr->u.f) : NULL;
}

static value sum_like(struct sumi_grad *g, value v, value x) {
  const value sum = sumi_grad_int(g, sumi_grad_op(g, &sumi_op_reduce_sum, 1, &v), "keepdims", 0);
  return sumi_grad_reshape_like(g, sum, x);
}

sumi_status sumi_clip_grad(struct sumi_grad *g) {
  const value x = g->node->in[0], zero = num(g, x, 0), low = limit(g, 0), high = limit(g, 1);
  value to_x = g->dy[0], to_low = zero;
  if (low) { /* y = min(max(x, low), high): first through min, then through max */
    const value cut = sumi_grad_less(g, x, low);
    to_low = sumi_grad_where(g, cut, to_x, zero);
    to_x = sumi_grad_where(g, cut, zero, to_x);
  }
  if (high) {
    const value raised = low ? sumi_grad_op(g, &sumi_op_max, 2, (value[]){x, low}) : x;
    const value cut = sumi_grad_greater(g, raised, high);
    if (2 < g->node->n_in && g->wanted[2])
      g->dx[2] = sum_like(g, sumi_grad_where(g, cut, g->dy[0], zero), g->node->in[2]);
    to_x = sumi_grad_where(g, cut, zero, to_x);
    to_low = sumi_grad_where(g, cut, zero, to_low);
  }
  if (g->wanted[0]) g->dx[0] = to_x;
  if (1 < g->node->n_in && g->wanted[1]) g->dx[1] = sum_like(g, to_low, g->node->in[1]);
  return g->status;
}

/* ---- several inputs, broadcast --------------------------------------------------------------------------------- */

/* Before version 7 attributes broadcast and axis say how the second input is broadcast. */
static bool old(struct sumi_grad *g) {
  if (g->node->version >= 7 || !sumi_attr_int(g->node, "broadcast", 0)) return false;
  g->status =
      sumi_err_set(g->err, SUMI_E_UNSUPPORTED, "broadcasting as before operator set 7 has no gradient");
  return true;
}

/* Sets dx[i] to what v, in the output's shape, is for input i. */
static void put(struct sumi_grad *g, int i, value v) {
  if (g->status == SUMI_OK) g->dx[i] = sumi_grad_sum_to(g, v, g->node->in[i]);
}

sumi_status sumi_add_grad(struct sumi_grad *g) {
  if (old(g)) return g->status;
  if (g->wanted[0]) put(g, 0, g->dy[0]);
  if (g->wanted[1]) put(g, 1, g->dy[0]);
  return g->status;
}

sumi_status sumi_sub_grad(struct sumi_grad *g) {
  if (old(g)) return g->status;
  if (g->wanted[0]) put(g, 0, g->dy[0]);
  if (g->wanted[1]) put(g, 1, sumi_grad_neg(g, g->dy[0]));
  return g->status;
}

sumi_status sumi_mul_grad(struct sumi_grad *g) {
  if (old(g)) return g->status;
  if (g->wanted[0]) put(g, 0, sumi_grad_mul(g, g->dy[0], g->node->in[1]));
  if (g->wanted[1]) put(g, 1, sumi_grad_mul(g, g->dy[0], g->node->in[0]));
  return g->status;
}

sumi_status sumi_div_grad(struct sumi_grad *g) {
  if (old(g)) return g->status;
  const value scaled = sumi_grad_div(g, g->dy[0], g->node->in[1]);
  if (g->wanted[0]) put(g, 0, scaled);
  if (g->wanted[1]) put(g, 1, sumi_grad_neg(g, sumi_grad_mul(g, scaled, g->node->out[0])));
  return g->status;
}

/* d(a^b) = b a^(b-1) da + a^b ln(a) db; the first is 0 where b is, the second where a is. */
sumi_status sumi_pow_grad(struct sumi_grad *g) {
  if (old(g)) return g->status;
  const value a = g->node->in[0], b = sumi_grad_cast(g, g->node->in[1], a), dy = g->dy[0],
              zero = num(g, a, 0);
  if (g->wanted[0]) {
    const value slope = sumi_grad_mul(g, b, sumi_grad_pow(g, a, plus(g, b, -1)));
    put(g, 0, sumi_grad_mul(g, dy, sumi_grad_where(g, sumi_grad_equal(g, b, zero), zero, slope)));
  }
  if (g->wanted[1]) {
    const value slope = sumi_grad_mul(g, g->node->out[0], sumi_grad_log(g, a));
    const value v = sumi_grad_mul(g, dy, sumi_grad_where(g, sumi_grad_equal(g, a, zero), zero, slope));
    put(g, 1, sumi_grad_cast(g, v, g->node->in[1]));
  }
  return g->status;
}

sumi_status sumi_sum_grad(struct sumi_grad *g) {
  for (int i = 0; i < g->node->n_in; i++)
    if (g->wanted[i]) put(g, i, g->dy[0]);
  return g->status;
}

sumi_status sumi_where_grad(struct sumi_grad *g) {
  const value cond = g->node->in[0], dy = g->dy[0], zero = num(g, dy, 0);
  if (g->wanted[1]) put(g, 1, sumi_grad_where(g, cond, dy, zero));
  if (g->wanted[2]) put(g, 2, sumi_grad_where(g, cond, zero, dy));
  return g->status;
}
