/* The error that 8 bits make in each layer's output: beside every layer of a copy of the network stands the same layer with its
 * input and weights quantised; what comes out of calibration is the mean difference of each output channel, and sums of
 * squares of the difference and of the output, behind the
 * Relu or Clip that alone reads it. The network itself runs in float, so that each error is the layer's own. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/quantize_int.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { OUTPUTS = 3 }; /* of a layer: mean difference, squares of the difference, squares */

struct twin {
  struct quant_job *j;
  struct sumi_graph *g;
  struct sumi_value **quantised; /* [j->g->n_value] what Q and DQ make of a value; NULL: not made yet */
  const char **name;             /* [OUTPUTS * n] */
  struct quant_layer **layer;    /* [n] */
  size_t n;
  double *difference, *square; /* [n] */
  size_t samples;
};

/* ---- the copy ---------------------------------------------------------------------------------------------------- */

static sumi_status constant(struct sumi_graph *g, struct sumi_tensor t, const void *data,
                            struct sumi_value **out, struct sumi_err *err) {
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(t.dtype, t.dim, t.rank, &bytes, err));
  struct sumi_blob *blob = sumi_blob_new(g->allocator, SUMI_MAX(bytes, (size_t)1));
  if (!blob) SUMI_FAIL_MEMORY(err);
  memcpy(sumi_blob_bytes(blob), data, bytes);
  t.kind = SUMI_TENSOR;
  t.data = sumi_blob_bytes(blob);
  *out = sumi_graph_add_constant(g, NULL, &t, blob);
  if (!*out) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status call(struct sumi_graph *g, const char *name, struct sumi_value *const *in, int n_in,
                        struct sumi_node **out, struct sumi_err *err) {
  enum { VERSION = 13 };
  char why[128];
  const struct sumi_op *op = sumi_op_find("", name, VERSION, why, sizeof why);
  SUMI_ASSERT(err, op);
  struct sumi_value *y = sumi_graph_add_value(g, NULL);
  *out = y ? sumi_graph_add_node(g, NULL, op, name, VERSION, in, n_in, &y, 1) : NULL;
  if (!*out) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status scale_and_zero(struct twin *t, const struct quant_value *p, struct sumi_value **out,
                                  struct sumi_err *err) {
  const bool symmetric = t->j->o->symmetric;
  const uint8_t zero = (uint8_t)p->range.zero;
  const struct sumi_tensor scalar = {.dtype = SUMI_FLOAT32},
                           byte = {.dtype = symmetric ? SUMI_INT8 : SUMI_UINT8};
  SUMI_TRY(constant(t->g, scalar, &p->range.scale, &out[0], err));
  return constant(t->g, byte, &zero, &out[1], err);
}

/* x, quantised and dequantised. */
static sumi_status input_of(struct twin *t, const struct sumi_value *x, struct sumi_value **out,
                            struct sumi_err *err) {
  if (!(*out = t->quantised[x->id])) {
    struct sumi_value *in[3] = {sumi_graph_find_value(t->g, x->name)};
    struct sumi_node *node;
    SUMI_TRY(scale_and_zero(t, quant_params(t->j, x), &in[1], err));
    SUMI_TRY(call(t->g, "QuantizeLinear", in, 3, &node, err));
    in[0] = node->out[0];
    SUMI_TRY(call(t->g, "DequantizeLinear", in, 3, &node, err));
    *out = t->quantised[x->id] = node->out[0];
  }
  return SUMI_OK;
}

static sumi_status weights_of(struct twin *t, const struct quant_layer *l, struct sumi_value **out,
                              struct sumi_err *err) {
  struct sumi_tensor w = *l->l.weight->constant;
  w.dtype = SUMI_INT8;
  const struct sumi_tensor scale = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {l->l.product.rows}};
  struct sumi_value *in[2];
  struct sumi_node *node;
  SUMI_TRY(constant(t->g, w, l->w, &in[0], err));
  SUMI_TRY(constant(t->g, scale, l->w_scale, &in[1], err));
  SUMI_TRY(call(t->g, "DequantizeLinear", in, 2, &node, err));
  SUMI_TRY(sumi_node_set_int(node, "axis", l->axis, err));
  *out = node->out[0];
  return SUMI_OK;
}

/* The mean of d over all axes but the output channels'. */
static sumi_status mean_of(struct twin *t, const struct quant_layer *l, struct sumi_value *d,
                           struct sumi_value **out, struct sumi_err *err) {
  const int rank = quant_is(l->l.node, "Conv") ? l->l.weight->constant->rank : l->l.node->out[0]->info.rank;
  const int channel = l->l.product.axis < 0 ? rank - 1 : l->l.product.axis;
  int64_t axes[SUMI_MAX_RANK];
  size_t n = 0;
  struct sumi_node *node;
  for (int i = 0; i < rank; i++)
    if (i != channel) axes[n++] = i;
  SUMI_TRY(call(t->g, "ReduceMean", &d, 1, &node, err));
  if (n) SUMI_TRY(sumi_node_set_ints(node, "axes", axes, n, err));
  SUMI_TRY(sumi_node_set_int(node, "keepdims", 0, err));
  *out = node->out[0];
  return SUMI_OK;
}

/* What the node `own` of the copy makes of other inputs. */
static sumi_status again(struct twin *t, const struct sumi_node *own, struct sumi_value *const *in, int n_in,
                         struct sumi_value **out, struct sumi_err *err) {
  if (!(*out = sumi_graph_add_value(t->g, NULL))) SUMI_FAIL_MEMORY(err);
  struct sumi_node *node =
      sumi_graph_add_node(t->g, NULL, own->op, own->op_name, own->version, in, n_in, out, 1);
  if (!node) SUMI_FAIL_MEMORY(err);
  return sumi_node_copy_attrs(own, node, err);
}

static sumi_status squares_of(struct twin *t, struct sumi_value *x, struct sumi_value **out,
                              struct sumi_err *err) {
  struct sumi_node *node;
  SUMI_TRY(call(t->g, "ReduceSumSquare", &x, 1, &node, err));
  SUMI_TRY(sumi_node_set_int(node, "keepdims", 0, err));
  *out = node->out[0];
  return SUMI_OK;
}

static sumi_status subtract(struct twin *t, struct sumi_value *a, struct sumi_value *b,
                            struct sumi_value **out, struct sumi_err *err) {
  struct sumi_node *node;
  SUMI_TRY(call(t->g, "Sub", (struct sumi_value *[]){a, b}, 2, &node, err));
  *out = node->out[0];
  return SUMI_OK;
}

/* The same through the clamps behind y, of what others see: y is of the copy, y2 its twin. */
static sumi_status clamp(struct twin *t, const struct quant_layer *l, struct sumi_value **y,
                         struct sumi_value **y2, struct sumi_err *err) {
  enum { CLIP_INPUTS = 3 };
  const struct sumi_node *behind;
  for (const struct sumi_value *v = l->l.node->out[0]; (behind = quant_clamp_behind(v)); v = behind->out[0]) {
    const struct sumi_node *own = sumi_graph_find_node(t->g, behind->name);
    struct sumi_value *in[CLIP_INPUTS] = {*y2};
    for (int i = 1; i < own->n_in && i < CLIP_INPUTS; i++) in[i] = own->in[i];
    SUMI_TRY(again(t, own, in, SUMI_MIN(own->n_in, (int)CLIP_INPUTS), y2, err));
    *y = own->out[0];
  }
  return SUMI_OK;
}

static sumi_status add_twin(struct twin *t, struct quant_layer *l, struct sumi_err *err) {
  enum { PRODUCT_INPUTS = 3 };
  const struct sumi_node *own = sumi_graph_find_node(t->g, l->l.node->name);
  struct sumi_value *in[PRODUCT_INPUTS] = {NULL}, *y = own->out[0], *y2, *d, *out[OUTPUTS];
  const int n_in = SUMI_MIN(own->n_in, (int)PRODUCT_INPUTS);
  for (int i = 0; i < n_in; i++) in[i] = own->in[i];
  SUMI_TRY(input_of(t, quant_x(l), &in[l->l.product.x], err));
  SUMI_TRY(weights_of(t, l, &in[l->l.product.w], err));
  SUMI_TRY(again(t, own, in, n_in, &y2, err));
  SUMI_TRY(subtract(t, y2, y, &d, err));
  SUMI_TRY(mean_of(t, l, d, &out[0], err));
  SUMI_TRY(clamp(t, l, &y, &y2, err));
  SUMI_TRY(subtract(t, y2, y, &d, err));
  SUMI_TRY(squares_of(t, d, &out[1], err));
  SUMI_TRY(squares_of(t, y, &out[2], err));
  for (int i = 0; i < OUTPUTS; i++) t->name[OUTPUTS * t->n + (size_t)i] = out[i]->name;
  t->layer[t->n++] = l;
  return SUMI_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

static sumi_status take(void *user, size_t which, size_t first, size_t n, const struct sumi_tensor *x,
                        struct sumi_err *err) {
  struct twin *t = user;
  const size_t at = which / OUTPUTS;
  struct quant_layer *l = t->layer[at];
  const double share = (double)n / (double)t->samples;
  if (which % OUTPUTS) {
    double *sum = which % OUTPUTS == 1 ? &t->difference[at] : &t->square[at];
    *sum += sumi_get_f64(x->dtype, x->data, 0);
    return SUMI_OK;
  }
  if (sumi_tensor_count(x) == l->l.product.rows)
    for (int64_t r = 0; r < l->l.product.rows; r++)
      l->mean_error[r] += share * sumi_get_f64(x->dtype, x->data, r);
  if (at) return SUMI_OK;
  return quant_progress(t->j, "measure", 0.5 + 0.5 * (double)(first + n) / (double)t->samples, err);
}

static sumi_status measure(struct twin *t, struct sumi_err *err) {
  struct quant_job *j = t->j;
  for (size_t i = 0; i < j->n_layer; i++) {
    struct quant_layer *l = &j->layer[i];
    if (l->kept) continue;
    if (!l->mean_error) l->mean_error = SUMI_NEW_ARRAY(j->arena, (size_t)l->l.product.rows, double);
    if (!l->mean_error) SUMI_FAIL_MEMORY(err);
    memset(l->mean_error, 0, (size_t)l->l.product.rows * sizeof *l->mean_error);
    SUMI_TRY(add_twin(t, l, err));
  }
  SUMI_TRY(sumi_pass_infer(t->g, NULL, NULL, err));
  struct sumi_calibrate c = j->calibrate;
  c.graph = t->g;
  t->samples = c.samples->n;
  SUMI_TRY(sumi_calibrate_visit(&c, 0, t->samples, t->name, OUTPUTS * t->n, take, t, err));
  for (size_t i = 0; i < t->n; i++) {
    t->layer[i]->error = t->square[i] > 0 ? t->difference[i] / t->square[i] : t->difference[i] > 0;
    if (!isfinite(t->layer[i]->error))
      SUMI_FAIL(err, SUMI_E_VALUE, "the output of layer '%s' is not finite over the calibration data",
                t->layer[i]->l.node->name);
  }
  return SUMI_OK;
}

sumi_status quant_measure(struct quant_job *j, struct sumi_err *err) {
  struct twin t = {.j = j,
                   .g = sumi_graph_clone(j->g, err),
                   .quantised = SUMI_NEW_ARRAY(j->arena, j->g->n_value, struct sumi_value *),
                   .name = SUMI_NEW_ARRAY(j->arena, OUTPUTS * j->n_layer, const char *),
                   .layer = SUMI_NEW_ARRAY(j->arena, j->n_layer, struct quant_layer *),
                   .difference = SUMI_NEW_ARRAY(j->arena, j->n_layer, double),
                   .square = SUMI_NEW_ARRAY(j->arena, j->n_layer, double)};
  sumi_status status = SUMI_OK;
  if (!t.g || !t.quantised || !t.name || !t.layer || !t.difference || !t.square)
    status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (status == SUMI_OK) status = measure(&t, err);
  sumi_graph_free(t.g);
  return status;
}
