/* The element-wise function that fused operators (FusedConv, FusedGemm) apply to what they computed: its name
 * and up to two figures. Figures and defaults as in the ONNX operator of the same name. */
#ifndef SUMI_OP_ACTIVATION_H
#define SUMI_OP_ACTIVATION_H

#include "graph/graph.h"

enum sumi_activation_kind {
  SUMI_ACTIVATION_NONE,
  SUMI_ACTIVATION_RELU,
  SUMI_ACTIVATION_LEAKY_RELU,   /* a = alpha */
  SUMI_ACTIVATION_CLIP,         /* a = min, b = max */
  SUMI_ACTIVATION_HARD_SIGMOID, /* a = alpha, b = beta */
  SUMI_ACTIVATION_SIGMOID,
  SUMI_ACTIVATION_TANH,
  SUMI_ACTIVATION_HARD_SWISH,
  SUMI_ACTIVATION_SWISH, /* a = alpha */
  SUMI_ACTIVATION_GELU,
  SUMI_ACTIVATION_GELU_TANH,
  SUMI_N_ACTIVATIONS
};

struct sumi_activation {
  enum sumi_activation_kind kind;
  float a, b;
};

/* The activation called name ("" = none) with figures given[n]; what is not given has its default.
 * SUMI_E_VALUE for another name or too many figures. */
sumi_status sumi_activation_make(const char *name, const float *given, int n, struct sumi_activation *out,
                                 struct sumi_err *err);

/* Reads the attributes activation and activation_params of a node. */
sumi_status sumi_activation_resolve(const struct sumi_node *node, struct sumi_activation *out,
                                    struct sumi_err *err);

/* x[i] = f(x[i]). */
void sumi_activation_apply(struct sumi_activation act, float *x, int64_t n);
void sumi_activation_apply_f64(struct sumi_activation act, double *x, int64_t n);

#endif
