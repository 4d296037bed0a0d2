/* What the files of quantisation share. */
#ifndef SUMI_COMPRESS_QUANTIZE_INT_H
#define SUMI_COMPRESS_QUANTIZE_INT_H

#include "compress/prepare.h"
#include "compress/quantize.h"

/* A product that may get 8 bits. */
struct quant_layer {
  struct sumi_layer l;
  struct sumi_value
      *bias;        /* constant, one number a row, an input of the node or of the Add behind it; NULL: none */
  int axis;         /* of the rows in the weights */
  const char *kept; /* NULL: it gets 8 bits */
  int8_t *w;        /* as the weights lie */
  float *w_scale;   /* [rows] */
  double error;
  double *mean_error; /* [rows] of the output; NULL: not known */
  bool weights_changed, bias_changed, corrected, equalised;
};

/* A value that may be quantised, by value id. */
struct quant_value {
  bool is_wanted;           /* it is quantised */
  struct sumi_value *alike; /* whose scale and zero point it has; NULL: its own */
  bool has_range;
  struct sumi_range range;
};

struct quant_job {
  struct sumi_graph *g; /* the copy that is worked on */
  const struct sumi_quantize_options *o;
  int opset;
  struct sumi_arena *arena;
  struct sumi_calibrate calibrate;
  struct quant_layer *layer;
  size_t n_layer;
  struct quant_value *value; /* [g->n_value] */
  bool *like;                /* [g->n_value] made of 8 bits */
  bool *spread;              /* [g->n_node] nodes between layers that work on 8 bits */
};

static inline bool quant_is(const struct sumi_node *node, const char *op) {
  return sumi_streq(node->op->name, op);
}

static inline struct sumi_value *quant_x(const struct quant_layer *l) {
  return l->l.node->in[l->l.product.x];
}

/* The value whose parameters v has. */
static inline struct quant_value *quant_params(const struct quant_job *j, const struct sumi_value *v) {
  while (j->value[v->id].alike) v = j->value[v->id].alike;
  return &j->value[v->id];
}

/* Tells the caller where the work stands; SUMI_E_STATE where that asked to stop. */
sumi_status quant_progress(const struct quant_job *j, const char *what, double done, struct sumi_err *err);

/* quantize_plan.c: which values are quantised, given the layers that are kept. Sets value[] and spread[]. */
void quant_plan(struct quant_job *j);
/* Whether use u of v, which is quantised, reads it so. */
bool quant_reads(const struct quant_job *j, const struct sumi_value *v, const struct sumi_use *u);
/* The Relu, or Clip with constant limits, that alone reads v; NULL = none. */
struct sumi_node *quant_clamp_behind(const struct sumi_value *v);
/* The layer of a node that gets 8 bits; NULL = none. */
struct quant_layer *quant_layer_of(const struct quant_job *j, const struct sumi_node *node);

/* quantize_weights.c */
sumi_status quant_find_layers(struct quant_job *j, struct sumi_err *err);
sumi_status quant_weights(struct quant_job *j, struct quant_layer *l, struct sumi_err *err);
sumi_status quant_equalise(struct quant_job *j, struct sumi_err *err);
float quant_bias_at(const struct quant_layer *l, int64_t row);

/* quantize_error.c: error and mean_error of the layers' outputs, over calibration. */
sumi_status quant_measure(struct quant_job *j, struct sumi_err *err);

/* quantize_change.c */
sumi_status quant_changes(struct quant_job *j, struct sumi_changes *c, struct sumi_err *err);

#endif
