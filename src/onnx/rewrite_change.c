/* The changes, one after the other, made to the parts of the main graph. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "onnx/rewrite_int.h"
#include "op/ops.h"

/* The last place where a name is made or declared as an input; a name that is only declared otherwise is free. */
static bool is_taken(const struct sumi_rewrite_value *v) {
  return v && (v->maker || v->constant || v->input);
}

static sumi_status take_name(struct sumi_rewrite *r, const char *name, struct sumi_rewrite_part *maker,
                             struct sumi_err *err) {
  struct sumi_rewrite_value *v = sumi_rewrite_find(r, name);
  if (is_taken(v)) SUMI_FAIL(err, SUMI_E_VALUE, "'%.128s' is there already", name);
  v = sumi_rewrite_value(r, name);
  if (!v) SUMI_FAIL_MEMORY(err);
  v->maker = maker;
  v->moved = true;
  return SUMI_OK;
}

/* From now on nobody makes the name. */
static void leave_name(struct sumi_rewrite_value *v) {
  if (!v) return;
  v->maker = v->constant = NULL;
  v->moved = true;
}

static const char *first_output(const struct sumi_rewrite_node *n) {
  for (size_t i = 0; i < n->n_out; i++)
    if (*n->out[i]) return n->out[i];
  return "";
}

static sumi_status find_node(struct sumi_rewrite *r, const char *output, struct sumi_rewrite_part **out,
                             struct sumi_err *err) {
  if (!output) SUMI_FAIL(err, SUMI_E_ARG, "it names no node");
  const struct sumi_rewrite_value *v = *output ? sumi_rewrite_find(r, output) : NULL;
  if (!v || !v->maker || !sumi_streq(first_output(v->maker->node), output))
    SUMI_FAIL(err, SUMI_E_VALUE, "the main graph has no node whose first output is '%.128s'", output);
  *out = v->maker;
  return SUMI_OK;
}

/* ---- constants ------------------------------------------------------------------------------------------------- */

static sumi_status check_tensor(const struct sumi_tensor *t, struct sumi_err *err) {
  if (!t) SUMI_FAIL(err, SUMI_E_ARG, "it gives no tensor");
  if (t->kind != SUMI_TENSOR || t->absent || !sumi_dtype_in(t->dtype, SUMI_ANY) || t->dtype == SUMI_STRING)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "only tensors of numbers are written");
  if (t->rank < 0 || t->rank > SUMI_MAX_RANK)
    SUMI_FAIL(err, SUMI_E_ARG, "its tensor has %d dimensions", t->rank);
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  if (bytes && !t->data) SUMI_FAIL(err, SUMI_E_ARG, "its tensor has no data");
  return SUMI_OK;
}

/* Whether a ValueInfoProto allows the tensor. */
static sumi_status check_declared(const struct sumi_rewrite_part *p, const char *where,
                                  const struct sumi_tensor *t, struct sumi_err *err) {
  struct sumi_onnx_value_info info;
  struct sumi_onnx_type type;
  struct sumi_onnx_tensor_type tensor;
  struct sumi_onnx_shape shape;
  if (!p) return SUMI_OK;
  SUMI_TRY(sumi_onnx_read_value_info(p->body, &info, err));
  if (!info.type.at) return SUMI_OK;
  SUMI_TRY(sumi_onnx_read_type(info.type, &type, err));
  if (!type.tensor_type.at) return SUMI_OK;
  SUMI_TRY(sumi_onnx_read_tensor_type(type.tensor_type, &tensor, err));
  if (tensor.elem_type.v && tensor.elem_type.v != sumi_dtype_to_onnx(t->dtype))
    SUMI_FAIL(err, SUMI_E_TYPE, "the graph's %s declare another element type for it than %s", where,
              sumi_dtype_label(t->dtype));
  if (!tensor.shape.at) return SUMI_OK;
  SUMI_TRY(sumi_onnx_read_shape(tensor.shape, &shape, err));
  bool fits = shape.dim.n == (size_t)t->rank;
  struct sumi_wire item;
  for (int i = 0; fits && sumi_wire_list_bytes(&shape.dim, &item); i++) {
    struct sumi_onnx_dimension d;
    SUMI_TRY(sumi_onnx_read_dimension(item, &d, err));
    fits = !d.dim_value.has || d.dim_value.v < 0 || d.dim_value.v == t->dim[i];
  }
  char text[256];
  if (!fits)
    SUMI_FAIL(err, SUMI_E_SHAPE, "the graph's %s declare another shape for it than %s", where,
              sumi_shape_print(t->dim, t->rank, text, sizeof text));
  return SUMI_OK;
}

static sumi_status apply_constant(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_err *err) {
  if (!c->name || !*c->name) SUMI_FAIL(err, SUMI_E_ARG, "it has no name");
  SUMI_TRY(check_tensor(c->tensor, err));
  struct sumi_rewrite_value *v = sumi_rewrite_find(r, c->name);
  r->graph_changed = true;
  if (v) {
    SUMI_TRY(check_declared(v->input, "inputs", c->tensor, err));
    SUMI_TRY(check_declared(v->output, "outputs", c->tensor, err));
    SUMI_TRY(check_declared(v->info, "value_info", c->tensor, err));
  }
  if (v && v->constant) {
    v->constant->tensor = c->tensor;
    return SUMI_OK;
  }
  if (is_taken(v)) SUMI_FAIL(err, SUMI_E_VALUE, "it is no constant of the main graph, and its name is taken");
  struct sumi_rewrite_part *p = sumi_rewrite_add(r, r->last_initializer, false);
  v = sumi_rewrite_value(r, c->name);
  if (!p || !v) SUMI_FAIL_MEMORY(err);
  r->last_initializer = v->constant = p;
  p->number = SUMI_GRAPH_INITIALIZER;
  p->name = c->name;
  p->tensor = c->tensor;
  v->moved = true;
  r->nodes_changed = true;
  if (r->model.ir_version.v >= 4) return SUMI_OK;
  p = sumi_rewrite_add(r, r->last_input, false);
  if (!p) SUMI_FAIL_MEMORY(err);
  r->last_input = v->input = p;
  p->number = SUMI_GRAPH_INPUT;
  p->name = c->name;
  p->tensor = c->tensor;
  return SUMI_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

/* A name that no other node has: the change's, or made of output and operator. */
static sumi_status name_node(struct sumi_rewrite *r, const struct sumi_change *c, const char **out,
                             struct sumi_err *err) {
  const char *name = c->name ? c->name : sumi_arena_printf(&r->arena, "%s_%s", c->output, c->op);
  const char *base = name;
  for (unsigned i = 2; name && sumi_names_find(&r->node_names, name); i++)
    name = sumi_arena_printf(&r->arena, "%s_%u", base, i);
  if (!name || !sumi_names_add(r->allocator, &r->node_names, name, r)) SUMI_FAIL_MEMORY(err);
  *out = name;
  return SUMI_OK;
}

/* The first operator set in which QuantizeLinear and DequantizeLinear take what this change gives them, as far as the
 * table of operators does not tell it; what: the part that asks for it. */
static int quantised_since(const struct sumi_rewrite *r, const struct sumi_change *c, const char **what) {
  static const struct {
    uint64_t dtypes;
    int since;
  } rows[] = {
      {SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16) | SUMI_FLOAT8S, 19},
      {SUMI_BIT(SUMI_INT16) | SUMI_BIT(SUMI_UINT16) | SUMI_BIT(SUMI_INT4) | SUMI_BIT(SUMI_UINT4), 21},
      {SUMI_BIT(SUMI_FLOAT4E2M1), 23},
      {SUMI_BIT(SUMI_INT2) | SUMI_BIT(SUMI_UINT2), 25},
  };
  int since = 10;
  *what = "";
  if (c->axis != INT64_MIN) {
    since = 13;
    *what = " along an axis";
  }
  for (int i = 0; i < c->n_inputs; i++) {
    const struct sumi_rewrite_value *v = c->inputs[i] ? sumi_rewrite_find(r, c->inputs[i]) : NULL;
    if (!v || !v->constant || !v->constant->tensor) continue;
    for (size_t k = 0; k < SUMI_COUNT(rows); k++)
      if (sumi_dtype_in(v->constant->tensor->dtype, rows[k].dtypes) && rows[k].since > since) {
        since = rows[k].since;
        *what = " of such types";
      }
  }
  return since;
}

static sumi_status check_opset(const struct sumi_rewrite *r, const struct sumi_change *c,
                               struct sumi_err *err) {
  char why[256];
  const char *what;
  const int opset = r->opset < 0 || r->opset > INT32_MAX ? 0 : (int)r->opset;
  if (!opset) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the file imports no operator set of the standard");
  if (!sumi_op_find("", c->op, opset, why, sizeof why))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the file imports operator set %d: %s", opset, why);
  if (!sumi_streq(c->op, "QuantizeLinear") && !sumi_streq(c->op, "DequantizeLinear")) return SUMI_OK;
  const int since = quantised_since(r, c, &what);
  if (opset < since)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "%s%s needs operator set %d, the file imports %d", c->op, what, since,
              opset);
  return SUMI_OK;
}

static sumi_status make_node(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_rewrite_part *p,
                             struct sumi_err *err) {
  struct sumi_rewrite_node *n = SUMI_NEW(&r->arena, struct sumi_rewrite_node);
  if (!p || !n) SUMI_FAIL_MEMORY(err);
  p->number = SUMI_GRAPH_NODE;
  p->node = n;
  const size_t n_in = (size_t)c->n_inputs;
  *n = (struct sumi_rewrite_node){
      .op = c->op, .n_in = n_in, .cap_in = n_in, .n_out = 1, .axis = c->axis, .changed = true};
  n->in = SUMI_NEW_ARRAY(&r->arena, n_in, const char *);
  n->out = SUMI_NEW(&r->arena, const char *);
  if (!n->in || !n->out) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n_in; i++) n->in[i] = c->inputs[i] ? c->inputs[i] : "";
  n->out[0] = c->output;
  return name_node(r, c, &n->name, err);
}

/* The last of the nodes that make its inputs; NULL: it has none of that kind. */
static struct sumi_rewrite_part *last_maker(const struct sumi_rewrite *r, const struct sumi_change *c) {
  struct sumi_rewrite_part *last = NULL;
  bool several = false;
  for (int i = 0; i < c->n_inputs; i++) {
    const struct sumi_rewrite_value *v = c->inputs[i] ? sumi_rewrite_find(r, c->inputs[i]) : NULL;
    if (!v || !v->maker) continue;
    several |= last && last != v->maker;
    last = v->maker;
    last->mark = true;
  }
  for (struct sumi_rewrite_part *p = r->last; several && p; p = p->prev)
    if (p->mark) {
      last = p;
      break;
    }
  for (int i = 0; i < c->n_inputs; i++) {
    const struct sumi_rewrite_value *v = c->inputs[i] ? sumi_rewrite_find(r, c->inputs[i]) : NULL;
    if (v && v->maker) v->maker->mark = false;
  }
  return last;
}

static sumi_status apply_node(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_err *err) {
  if (!c->op || !c->output || !*c->output || c->n_inputs < 0)
    SUMI_FAIL(err, SUMI_E_ARG, "it lacks an operator or an output");
  SUMI_TRY(check_opset(r, c, err));
  struct sumi_rewrite_part *behind = c->before ? NULL : last_maker(r, c), *at = r->first_node;
  if (c->before) {
    const struct sumi_rewrite_value *v = sumi_rewrite_find(r, c->before);
    if (!v || !v->maker) SUMI_FAIL(err, SUMI_E_VALUE, "no node of the main graph makes '%.128s'", c->before);
    at = v->maker;
  }
  struct sumi_rewrite_part *p = behind ? sumi_rewrite_add(r, behind, false) : sumi_rewrite_add(r, at, true);
  SUMI_TRY(make_node(r, c, p, err));
  return take_name(r, c->output, p, err);
}

static sumi_status apply_input(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_err *err) {
  struct sumi_rewrite_part *p;
  SUMI_TRY(find_node(r, c->node, &p, err));
  if (!c->name) SUMI_FAIL(err, SUMI_E_ARG, "it has no name");
  struct sumi_rewrite_node *n = p->node;
  if (c->index < 0 || (size_t)c->index > n->n_in)
    SUMI_FAIL(err, SUMI_E_VALUE, "the node has %zu inputs, and no input %d", n->n_in, c->index);
  if ((size_t)c->index == n->n_in) {
    if (n->n_in == n->cap_in) {
      const size_t cap = 2 * n->cap_in + 4;
      const char **grown = SUMI_NEW_ARRAY(&r->arena, cap, const char *);
      if (!grown) SUMI_FAIL_MEMORY(err);
      if (n->n_in) memcpy(grown, n->in, n->n_in * sizeof *grown);
      n->in = grown;
      n->cap_in = cap;
    }
    n->n_in++;
  }
  n->in[c->index] = c->name;
  n->changed = true;
  return SUMI_OK;
}

static sumi_status apply_output(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_err *err) {
  struct sumi_rewrite_part *p;
  SUMI_TRY(find_node(r, c->node, &p, err));
  if (!c->name) SUMI_FAIL(err, SUMI_E_ARG, "it has no name");
  struct sumi_rewrite_node *n = p->node;
  if (c->index < 0 || (size_t)c->index >= n->n_out)
    SUMI_FAIL(err, SUMI_E_VALUE, "the node has %zu outputs, and no output %d", n->n_out, c->index);
  const char **out = &n->out[c->index];
  struct sumi_rewrite_value *old = **out ? sumi_rewrite_find(r, *out) : NULL;
  const bool constant = old && old->constant == p;
  leave_name(old);
  if (*c->name) {
    SUMI_TRY(take_name(r, c->name, p, err));
    if (constant) sumi_rewrite_find(r, c->name)->constant = p;
  }
  *out = c->name;
  n->changed = true;
  return SUMI_OK;
}

static void drop(struct sumi_rewrite_part *p) {
  if (p) p->dropped = true;
}

static sumi_status apply_drop(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_err *err) {
  struct sumi_rewrite_part *p;
  struct sumi_rewrite_value *v = NULL;
  if (c->node) {
    SUMI_TRY(find_node(r, c->node, &p, err));
  } else {
    v = c->name ? sumi_rewrite_find(r, c->name) : NULL;
    if (!v || !v->constant) SUMI_FAIL(err, SUMI_E_VALUE, "it is no initializer of the main graph");
    p = v->constant;
  }
  p->dropped = true;
  for (size_t i = 0; p->node && i < p->node->n_out; i++)
    if (*p->node->out[i]) leave_name(sumi_rewrite_find(r, p->node->out[i]));
  if (v) {
    leave_name(v);
    drop(v->input);
    v->input = NULL;
  }
  return SUMI_OK;
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

static sumi_status apply_metadata(struct sumi_rewrite *r, const struct sumi_change *c, struct sumi_err *err) {
  if (!c->name || !c->text) SUMI_FAIL(err, SUMI_E_ARG, "it lacks a key or a value");
  struct sumi_rewrite_entry *e = sumi_names_find(&r->metadata_names, c->name);
  if (e) {
    e->text = c->text;
    return SUMI_OK;
  }
  e = SUMI_NEW(&r->arena, struct sumi_rewrite_entry);
  if (!e || !sumi_names_add(r->allocator, &r->metadata_names, c->name, e)) SUMI_FAIL_MEMORY(err);
  *e = (struct sumi_rewrite_entry){.key = c->name, .text = c->text};
  *r->metadata_end = e;
  r->metadata_end = &e->next;
  return SUMI_OK;
}

static const struct {
  const char *label;
  sumi_status (*apply)(struct sumi_rewrite *, const struct sumi_change *, struct sumi_err *);
  bool nodes;
} kinds[] = {
    [SUMI_CHANGE_CONSTANT] = {"constant", apply_constant, false},
    [SUMI_CHANGE_NODE] = {"node", apply_node, true},
    [SUMI_CHANGE_INPUT] = {"input", apply_input, true},
    [SUMI_CHANGE_OUTPUT] = {"output", apply_output, true},
    [SUMI_CHANGE_DROP] = {"drop", apply_drop, true},
    [SUMI_CHANGE_METADATA] = {"metadata", apply_metadata, false},
};

static const char *subject(const struct sumi_change *c) {
  return c->output ? c->output : c->node ? c->node : c->name ? c->name : "";
}

sumi_status sumi_rewrite_apply(struct sumi_rewrite *r, struct sumi_err *err) {
  for (size_t i = 0; i < r->changes->n; i++) {
    const struct sumi_change *c = &r->changes->change[i];
    if ((size_t)c->kind >= SUMI_COUNT(kinds)) SUMI_FAIL(err, SUMI_E_ARG, "change %zu is of no known kind", i);
    const sumi_status status = kinds[c->kind].apply(r, c, err);
    if (status != SUMI_OK)
      return sumi_err_prefix(err, status, "change %zu, %s '%.128s'", i, kinds[c->kind].label, subject(c));
    if (!kinds[c->kind].nodes) continue;
    r->graph_changed = true;
    r->nodes_changed = true;
  }
  return SUMI_OK;
}
