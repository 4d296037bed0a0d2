/* Matching element-wise functions. See the header. */
#include "pass/function.h"

#include <math.h>
#include <stdio.h>

/* A constant scalar near x. */
static bool is_number(const struct sumi_value *v, float x) {
  const float *number = sumi_qdq_number(v);
  return number && fabsf(*number - x) <= 1e-6f * fabsf(x);
}

/* node is op(v, x) or op(x, v) with a constant x. */
static bool is_with(const struct sumi_node *node, const char *op, const struct sumi_value *v, float x) {
  return sumi_qdq_is(node, op) && node->version >= 7 &&
         ((node->in[0] == v && is_number(node->in[1], x)) || (node->in[1] == v && is_number(node->in[0], x)));
}

static bool is_of(const struct sumi_node *node, const char *op, const struct sumi_value *a,
                  const struct sumi_value *b) {
  return sumi_qdq_is(node, op) && node->version >= 7 &&
         ((node->in[0] == a && node->in[1] == b) || (node->in[0] == b && node->in[1] == a));
}

static void add_node(struct sumi_function *f, struct sumi_node *node) { f->node[f->n_node++] = node; }

static bool one_node(struct sumi_node *node, const struct sumi_value *v, struct sumi_function *f) {
  static const struct {
    const char *op, *name, *figure[2];
    float otherwise[2];
  } rows[] = {{"Sigmoid", "Sigmoid"},
              {"Tanh", "Tanh"},
              {"HardSwish", "HardSwish"},
              {"LeakyRelu", "LeakyRelu", {"alpha"}, {0.01f}},
              {"HardSigmoid", "HardSigmoid", {"alpha", "beta"}, {0.2f, 0.5f}},
              {"Swish", "Swish", {"alpha"}, {1}},
              {"com.microsoft.QuickGelu", "Swish", {"alpha"}, {1.702f}},
              {"com.microsoft.Gelu", "Gelu"},
              {"com.microsoft.BiasGelu", "Gelu"},
              {"com.microsoft.FastGelu", "GeluTanh"}};
  add_node(f, node);
  if (node->in[0] != v) return false;
  f->name = sumi_qdq_clamp(node, f->figure, &f->n_figure);
  if (f->name) return true;
  if (sumi_qdq_is(node, "Gelu")) {
    f->name = sumi_attr_is(node, "approximate", "none", "tanh") ? "GeluTanh" : "Gelu";
    return true;
  }
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!sumi_qdq_is(node, rows[i].op)) continue;
    f->name = rows[i].name;
    for (int k = 0; k < 2 && rows[i].figure[k]; k++)
      f->figure[f->n_figure++] = sumi_attr_float(node, rows[i].figure[k], rows[i].otherwise[k]);
    f->bias = sumi_qdq_input(node, 1);
    return true;
  }
  return false;
}

/* node is v * c or c * v with a constant scalar c. */
static bool is_scaled(const struct sumi_node *node, const struct sumi_value *v, float *c) {
  if (!sumi_qdq_is(node, "Mul") || node->version < 7 || !node->out[0]) return false;
  const float *number = sumi_qdq_number(node->in[node->in[0] == v]);
  if (number) *c = *number;
  return number;
}

/* v * gate(v), gate Sigmoid, also of v * c, or HardSigmoid with the figures of HardSwish. */
static bool gated(struct sumi_node *gate, struct sumi_node *mul, const struct sumi_value *v,
                  struct sumi_function *f) {
  if (is_scaled(gate, v, &f->figure[0])) {
    add_node(f, gate);
    gate = sumi_qdq_user(gate->out[0]);
    if (!sumi_qdq_is(gate, "Sigmoid")) return false;
    f->n_figure = 1;
  }
  if (!is_of(mul, "Mul", v, gate->out[0]) || sumi_qdq_user(gate->out[0]) != mul) return false;
  const bool hard = sumi_qdq_is(gate, "HardSigmoid") &&
                    fabsf(sumi_attr_float(gate, "alpha", 0.2f) * 6 - 1) < 1e-6f &&
                    sumi_attr_float(gate, "beta", 0.5f) == 0.5f;
  if (!hard && !sumi_qdq_is(gate, "Sigmoid")) return false;
  f->name = hard ? "HardSwish" : "Swish";
  add_node(f, gate);
  add_node(f, mul);
  return true;
}

/* GELU from x / sqrt(2) on: Erf, + 1, then * x and * 0.5 in either order, or * (x * 0.5); other: x's second user. */
static bool gelu(struct sumi_node *first, struct sumi_node *other, const struct sumi_value *x,
                 struct sumi_function *f) {
  const bool divides = sumi_qdq_is(first, "Div") && first->version >= 7 && first->in[0] == x &&
                       is_number(first->in[1], 1.41421356f);
  if (!divides && !is_with(first, "Mul", x, 0.70710678f)) return false;
  struct sumi_node *erf = sumi_qdq_user(first->out[0]);
  struct sumi_node *add = sumi_qdq_is(erf, "Erf") ? sumi_qdq_user(erf->out[0]) : NULL;
  if (!add || !is_with(add, "Add", erf->out[0], 1)) return false;
  struct sumi_node *mul = sumi_qdq_user(add->out[0]), *last;
  if (!mul) return false;
  if (mul == other && is_of(mul, "Mul", x, add->out[0])) { /* (x * t) * 0.5 */
    last = sumi_qdq_user(mul->out[0]);
    if (!last || !is_with(last, "Mul", mul->out[0], 0.5f)) return false;
  } else if (is_with(other, "Mul", x, 0.5f)) { /* (x * 0.5) * t */
    last = mul;
    mul = other;
    if (sumi_qdq_user(mul->out[0]) != last || !is_of(last, "Mul", mul->out[0], add->out[0])) return false;
  } else { /* x * (t * 0.5) */
    last = other;
    if (!is_with(mul, "Mul", add->out[0], 0.5f) || sumi_qdq_user(mul->out[0]) != last ||
        !is_of(last, "Mul", x, mul->out[0]))
      return false;
  }
  f->name = "Gelu";
  add_node(f, first);
  add_node(f, erf);
  add_node(f, add);
  add_node(f, mul);
  add_node(f, last);
  return true;
}

bool sumi_function_match(const struct sumi_value *v, struct sumi_function *f) {
  typedef bool form(struct sumi_node *, struct sumi_node *, const struct sumi_value *,
                    struct sumi_function *);
  static form *const forms[] = {gated, gelu};
  *f = (struct sumi_function){.name = ""};
  if (v->is_output || v->n_use < 1 || v->n_use > 2) return false;
  struct sumi_node *a = v->first_use->node, *b = v->n_use == 2 ? v->first_use->next->node : NULL;
  if (!b) return one_node(a, v, f);
  for (size_t i = 0; i < 4 && a != b; i++) {
    *f = (struct sumi_function){.name = ""};
    if (forms[i / 2](i % 2 ? b : a, i % 2 ? a : b, v, f)) return true;
  }
  return false;
}

sumi_status sumi_function_set(struct sumi_node *node, const char *prefix, const struct sumi_function *f,
                              struct sumi_err *err) {
  char name[64];
  if (!*f->name) return SUMI_OK;
  snprintf(name, sizeof name, "%sactivation", prefix);
  SUMI_TRY(sumi_node_set_string(node, name, f->name, err));
  snprintf(name, sizeof name, "%sactivation_params", prefix);
  return f->n_figure ? sumi_node_set_floats(node, name, f->figure, f->n_figure, err) : SUMI_OK;
}
