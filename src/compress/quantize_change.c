/* The plan written down as changes to the file: QuantizeLinear and DequantizeLinear behind values, 8-bit weights and 32-bit
 * biases behind a DequantizeLinear each, in the form that ONNX Runtime's quantisation tool gives them. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/quantize_int.h"

/* Names already given, of one value. */
struct written {
  const char *scale, *zero;     /* of the value that owns the parameters */
  const char *w, *w_as;         /* weights: the 8-bit constant, what DequantizeLinear makes of it */
  const struct quant_layer *by; /* the layer that wrote them */
};

struct writer {
  struct quant_job *j;
  struct sumi_changes *c;
  struct written *of; /* [n] by value id */
  size_t n;
};

/* NAME + suffix, or with a number where that is taken; it is taken from now on. */
static const char *fresh(struct writer *w, const char *name, const char *suffix) {
  char *full = sumi_arena_printf(w->j->arena, "%s%s", name, suffix);
  for (int i = 2; full && sumi_graph_find_value(w->j->g, full); i++)
    full = sumi_arena_printf(w->j->arena, "%s%s_%d", name, suffix, i);
  return full && sumi_graph_add_value(w->j->g, full) ? full : NULL;
}

static const char *first_output(const struct sumi_node *node) {
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i]) return node->out[i]->name;
  return "";
}

/* A new initializer NAME + suffix. data is borrowed. */
static sumi_status initializer(struct writer *w, const char *name, const char *suffix, struct sumi_tensor t,
                               const void *data, const char **out, struct sumi_err *err) {
  struct sumi_tensor *own = SUMI_NEW(w->j->arena, struct sumi_tensor);
  *out = fresh(w, name, suffix);
  if (!own || !*out) SUMI_FAIL_MEMORY(err);
  *own = t;
  own->kind = SUMI_TENSOR;
  own->data = (void *)data; /* only read */
  const struct sumi_change c = {.kind = SUMI_CHANGE_CONSTANT, .name = *out, .tensor = own};
  return sumi_changes_add(w->c, &c, err);
}

/* output = op(in...) in front of node. */
static sumi_status put(struct writer *w, const char *op, const char *const *in, int n_in, const char *output,
                       int64_t axis, const struct sumi_node *node, struct sumi_err *err) {
  const struct sumi_change c = {.kind = SUMI_CHANGE_NODE,
                                .name = output,
                                .before = first_output(node),
                                .op = op,
                                .output = output,
                                .inputs = in,
                                .n_inputs = n_in,
                                .axis = axis};
  return sumi_changes_add(w->c, &c, err);
}

static sumi_status redirect(struct writer *w, const struct sumi_node *node, int index, const char *name,
                            struct sumi_err *err) {
  const struct sumi_change c = {
      .kind = SUMI_CHANGE_INPUT, .node = first_output(node), .index = index, .name = name};
  return sumi_changes_add(w->c, &c, err);
}

/* ---- activations -------------------------------------------------------------------------------------------------- */

static sumi_status parameters(struct writer *w, const struct sumi_value *v, struct written **out,
                              struct sumi_err *err) {
  while (w->j->value[v->id].alike) v = w->j->value[v->id].alike;
  struct written *of = *out = &w->of[v->id];
  if (of->scale) return SUMI_OK;
  const struct sumi_range *r = &w->j->value[v->id].range;
  const struct sumi_tensor scale = {.dtype = SUMI_FLOAT32},
                           zero = {.dtype = w->j->o->symmetric ? SUMI_INT8 : SUMI_UINT8};
  uint8_t *byte = SUMI_NEW(w->j->arena, uint8_t);
  if (!byte) SUMI_FAIL_MEMORY(err);
  *byte = (uint8_t)r->zero;
  SUMI_TRY(initializer(w, v->name, "_scale", scale, &r->scale, &of->scale, err));
  return initializer(w, v->name, "_zero_point", zero, byte, &of->zero, err);
}

/* The reader that stands first. */
static const struct sumi_node *first_reader(const struct quant_job *j, const struct sumi_value *v) {
  const struct sumi_node *first = NULL;
  for (const struct sumi_use *u = v->first_use; u; u = u->next)
    if (quant_reads(j, v, u) && (!first || u->node->id < first->id)) first = u->node;
  return first;
}

static sumi_status write_value(struct writer *w, const struct sumi_value *v, struct sumi_err *err) {
  const struct sumi_node *first = first_reader(w->j, v);
  struct written *p;
  if (!first) return SUMI_OK;
  SUMI_TRY(parameters(w, v, &p, err));
  const char *q = fresh(w, v->name, "_quantized"), *dq = fresh(w, v->name, "_dequantized");
  if (!q || !dq) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(
      put(w, "QuantizeLinear", (const char *[]){v->name, p->scale, p->zero}, 3, q, INT64_MIN, first, err));
  SUMI_TRY(put(w, "DequantizeLinear", (const char *[]){q, p->scale, p->zero}, 3, dq, INT64_MIN, first, err));
  for (const struct sumi_use *u = v->first_use; u; u = u->next)
    if (quant_reads(w->j, v, u)) SUMI_TRY(redirect(w, u->node, (int)u->index, dq, err));
  return SUMI_OK;
}

/* ---- layers ------------------------------------------------------------------------------------------------------- */

/* One number, or one for each output channel. */
static struct sumi_tensor row_shape(const struct writer *w, const struct quant_layer *l, sumi_dtype dtype) {
  struct sumi_tensor t = {.dtype = dtype, .rank = !w->j->o->per_tensor};
  if (t.rank) t.dim[0] = l->l.product.rows;
  return t;
}

static int64_t axis_of(const struct writer *w, int axis) { return w->j->o->per_tensor ? INT64_MIN : axis; }

static bool same_weights(const struct quant_layer *a, const struct quant_layer *b) {
  return a && a->axis == b->axis && a->l.product.rows == b->l.product.rows &&
         !memcmp(a->w_scale, b->w_scale, (size_t)a->l.product.rows * sizeof *a->w_scale);
}

static sumi_status write_weights(struct writer *w, struct quant_layer *l, struct sumi_err *err) {
  struct written *of = &w->of[l->l.weight->id];
  if (!same_weights(of->by, l)) {
    const char *name = l->l.weight->name, *scale, *zero;
    struct sumi_tensor t = *l->l.weight->constant;
    t.dtype = SUMI_INT8;
    int8_t *zeros = SUMI_NEW_ARRAY(w->j->arena, (size_t)l->l.product.rows, int8_t);
    if (!zeros) SUMI_FAIL_MEMORY(err);
    SUMI_TRY(initializer(w, name, "_quantized", t, l->w, &of->w, err));
    SUMI_TRY(initializer(w, name, "_scale", row_shape(w, l, SUMI_FLOAT32), l->w_scale, &scale, err));
    SUMI_TRY(initializer(w, name, "_zero_point", row_shape(w, l, SUMI_INT8), zeros, &zero, err));
    of->by = l;
    if (!(of->w_as = fresh(w, name, "_dequantized"))) SUMI_FAIL_MEMORY(err);
    SUMI_TRY(put(w, "DequantizeLinear", (const char *[]){of->w, scale, zero}, 3, of->w_as,
                 axis_of(w, l->axis), l->l.node, err));
  }
  return redirect(w, l->l.node, l->l.product.w, of->w_as, err);
}

/* What a layer adds: its own, as corrected. */
static sumi_status write_float_bias(struct writer *w, struct quant_layer *l, const float *bias,
                                    struct sumi_err *err) {
  struct sumi_tensor *t = SUMI_NEW(w->j->arena, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(err);
  *t = *l->bias->constant;
  t->data = (void *)bias; /* only read */
  const struct sumi_change c = {.kind = SUMI_CHANGE_CONSTANT, .name = l->bias->name, .tensor = t};
  return sumi_changes_add(w->c, &c, err);
}

/* int32 in units of x_scale * w_scale. */
static sumi_status write_bias(struct writer *w, struct quant_layer *l, const float *bias,
                              struct sumi_err *err) {
  const int64_t rows = l->l.product.rows;
  const float x_scale = quant_params(w->j, quant_x(l))->range.scale;
  float *unit = SUMI_NEW_ARRAY(w->j->arena, (size_t)rows, float);
  int32_t *q = SUMI_NEW_ARRAY(w->j->arena, (size_t)rows, int32_t);
  if (!unit || !q) SUMI_FAIL_MEMORY(err);
  for (int64_t r = 0; r < rows; r++) {
    unit[r] = x_scale * l->w_scale[r];
    const double exact = (double)bias[r] / (double)unit[r];
    q[r] = (int32_t)nearbyint(SUMI_MAX(-2147483000.0, SUMI_MIN(exact, 2147483000.0)));
  }
  const struct sumi_tensor t = {.dtype = SUMI_INT32, .rank = 1, .dim = {rows}};
  const char *base =
      l->bias ? l->bias->name : sumi_arena_printf(w->j->arena, "%s_bias", first_output(l->l.node));
  const char *name, *scale, *as;
  if (!base) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(initializer(w, base, "_quantized", t, q, &name, err));
  SUMI_TRY(initializer(w, base, "_scale", row_shape(w, l, SUMI_FLOAT32), unit, &scale, err));
  if (!(as = fresh(w, base, "_dequantized"))) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(put(w, "DequantizeLinear", (const char *[]){name, scale}, 2, as, axis_of(w, 0), l->l.node, err));
  return redirect(w, l->l.node, l->l.product.b, as, err);
}

/* b - what 8 bits add to the output on average, where that is wanted. */
static float *corrected_bias(struct writer *w, struct quant_layer *l) {
  const int64_t rows = l->l.product.rows;
  float *b = SUMI_NEW_ARRAY(w->j->arena, (size_t)rows, float);
  for (int64_t r = 0; b && r < rows; r++)
    b[r] = quant_bias_at(l, r) - (l->corrected ? (float)l->mean_error[r] : 0);
  return b;
}

/* Whether the node itself can take a bias of one number a row: it has such a constant, or none. */
static bool takes_bias(const struct quant_layer *l) {
  const int b = l->l.product.b;
  return b >= 0 && (b >= l->l.node->n_in || !l->l.node->in[b] || l->l.node->in[b] == l->bias);
}

static sumi_status write_layer(struct writer *w, struct quant_layer *l, struct sumi_err *err) {
  SUMI_TRY(write_weights(w, l, err));
  const bool own = takes_bias(l);
  l->corrected = l->mean_error && !w->j->o->no_bias_correction && (own || (l->bias && l->bias->n_use == 1));
  float *bias = corrected_bias(w, l);
  if (!bias) SUMI_FAIL_MEMORY(err);
  if (own) return l->bias || l->corrected ? write_bias(w, l, bias, err) : SUMI_OK;
  return l->corrected ? write_float_bias(w, l, bias, err) : SUMI_OK;
}

/* A layer that stays in float but was evened out. */
static sumi_status write_kept(struct writer *w, const struct quant_layer *l, struct sumi_err *err) {
  const struct sumi_change weights = {
      .kind = SUMI_CHANGE_CONSTANT, .name = l->l.weight->name, .tensor = l->l.weight->constant};
  if (l->weights_changed) SUMI_TRY(sumi_changes_add(w->c, &weights, err));
  if (!l->bias_changed) return SUMI_OK;
  const struct sumi_change bias = {
      .kind = SUMI_CHANGE_CONSTANT, .name = l->bias->name, .tensor = l->bias->constant};
  return sumi_changes_add(w->c, &bias, err);
}

/* Constants that only nodes with 8 bits read go. */
static sumi_status drop_constant(struct writer *w, struct sumi_value *v, struct sumi_err *err) {
  if (!v || !v->n_use || v->is_output) return SUMI_OK;
  for (const struct sumi_use *u = v->first_use; u; u = u->next) {
    const struct quant_layer *l = u->node ? quant_layer_of(w->j, u->node) : NULL;
    if (!l || ((int)u->index != l->l.product.w && ((int)u->index != l->l.product.b || !takes_bias(l))))
      return SUMI_OK;
  }
  const struct sumi_change c = {.kind = SUMI_CHANGE_DROP, .name = v->name};
  return sumi_changes_add(w->c, &c, err);
}

static sumi_status drop_constants(struct writer *w, struct sumi_err *err) {
  const struct quant_job *j = w->j;
  bool *seen = SUMI_NEW_ARRAY(j->arena, w->n, bool);
  if (!seen) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < j->n_layer; i++) {
    const struct quant_layer *l = &j->layer[i];
    struct sumi_value *const gone[] = {l->l.weight, takes_bias(l) ? l->bias : NULL};
    for (size_t k = 0; k < SUMI_COUNT(gone) && !l->kept; k++) {
      if (!gone[k] || seen[gone[k]->id]) continue;
      seen[gone[k]->id] = true;
      SUMI_TRY(drop_constant(w, gone[k], err));
    }
  }
  return SUMI_OK;
}

sumi_status quant_changes(struct quant_job *j, struct sumi_changes *c, struct sumi_err *err) {
  struct writer w = {.j = j, .c = c, .n = j->g->n_value};
  if (!(w.of = SUMI_NEW_ARRAY(j->arena, w.n, struct written))) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < w.n; i++)
    if (j->value[i].is_wanted) SUMI_TRY(write_value(&w, j->g->value[i], err));
  for (size_t i = 0; i < j->n_layer; i++)
    SUMI_TRY(j->layer[i].kept ? write_kept(&w, &j->layer[i], err) : write_layer(&w, &j->layer[i], err));
  SUMI_TRY(drop_constants(&w, err));
  const struct sumi_change note = {
      .kind = SUMI_CHANGE_METADATA,
      .name = "sumi.quantize",
      .text = sumi_arena_printf(
          j->arena, "sumi %s: static 8 bits, activations %s by %s over %zu samples, weights int8 %s",
          SUMI_VERSION, j->o->symmetric ? "int8" : "uint8", j->o->range ? j->o->range : "mse",
          j->calibrate.samples->n, j->o->per_tensor ? "per tensor" : "per channel")};
  if (!note.text) SUMI_FAIL_MEMORY(err);
  return sumi_changes_add(c, &note, err);
}
