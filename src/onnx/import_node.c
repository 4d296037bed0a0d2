/* NodeProto: a node of the graph, or a call of a local function. */
#include <stdio.h>

#include "base/size.h"
#include "onnx/import_int.h"
#include "op/ops.h"

static sumi_status check_newest(struct sumi_str domain, int64_t version, struct sumi_err *err) {
  static const struct {
    const char *domain;
    int newest;
  } rows[] = {{"", SUMI_NEWEST_OPSET},
              {"ai.onnx.ml", SUMI_NEWEST_ML_OPSET},
              {"com.microsoft", SUMI_NEWEST_MS_OPSET},
              {"ai.onnx.preview", SUMI_NEWEST_PREVIEW_OPSET},
              {"ai.onnx.preview.training", SUMI_NEWEST_PREVIEW_OPSET}};
  if (version < 1 || version > INT32_MAX)
    SUMI_FAIL(err, SUMI_E_FORMAT, "its operator set has an impossible version");
  for (size_t i = 0; i < SUMI_COUNT(rows); i++)
    if ((sumi_onnx_str_is(domain, rows[i].domain) || (i == 0 && sumi_onnx_is_standard(domain))) &&
        version > rows[i].newest)
      SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "operator set %d is newer than %d, the newest known", (int)version,
                rows[i].newest);
  return SUMI_OK;
}

/* The operator and its name in the graph: "Conv", "com.microsoft.Attention". */
static sumi_status find_op(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                           const struct sumi_onnx_node *node, int64_t version, const struct sumi_op **op,
                           const char **op_name, struct sumi_err *err) {
  const char *text, *domain = "";
  if (!sumi_onnx_is_standard(node->domain)) {
    SUMI_TRY(sumi_onnx_name(im, node->domain, &text, err));
    domain = sumi_arena_strdup(&scope->arena, text);
  }
  SUMI_TRY(sumi_onnx_name(im, node->op_type, &text, err));
  if (!domain) SUMI_FAIL_MEMORY(err);
  if (!*text) SUMI_FAIL(err, SUMI_E_FORMAT, "it has no operator");
  char why[256];
  *op = sumi_op_find(domain, text, (int)version, why, sizeof why);
  if (*op && ((*op)->flags & SUMI_OP_INTERNAL))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "operator '%s.%s' is not for files", domain, text);
  if (!*op) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "%s", why);
  *op_name = sumi_arena_printf(&scope->arena, "%s%s%s", domain, *domain ? "." : "", text);
  if (!*op_name) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static int count_ports(const struct sumi_port *port, bool *open) {
  int n = 0;
  *open = false;
  for (; port && port->name; port++, n++) *open |= (port->flags & SUMI_PORT_VARIADIC) != 0;
  return n;
}

/* A control node's own inputs are filled up to its ports, since captures follow behind them. */
static int padded_inputs(const struct sumi_op *op, int n) {
  bool open;
  const int ports = count_ports(op->in, &open);
  return op->flags & SUMI_OP_CONTROL ? SUMI_MAX(n, ports - open) : n;
}

static sumi_status find_values(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                               struct sumi_wire_list list, bool own, struct sumi_value **value,
                               struct sumi_err *err) {
  struct sumi_wire item;
  for (; sumi_wire_list_bytes(&list, &item); value++) {
    const char *name;
    SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&item), &name, err));
    if (!*name) continue;
    const struct sumi_onnx_slot *slot =
        own ? sumi_onnx_scope_own(scope, name) : sumi_onnx_scope_find(scope, name);
    if (!slot) SUMI_FAIL(err, SUMI_E_FORMAT, "its input '%.128s' is defined nowhere", name);
    *value = slot->value;
  }
  return SUMI_OK;
}

static sumi_status check_ports(const struct sumi_node *node, struct sumi_err *err) {
  bool open;
  const int n_in = count_ports(node->op->in, &open);
  if (!open && node->n_in > n_in)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has %d inputs, the operator takes at most %d", node->n_in, n_in);
  for (int i = 0; i < n_in; i++)
    if (!(node->op->in[i].flags & SUMI_PORT_OPTIONAL) && (i >= node->n_in || !node->in[i]))
      SUMI_FAIL(err, SUMI_E_FORMAT, "its input %d ('%s') is missing", i, node->op->in[i].name);
  const int n_out = count_ports(node->op->out, &open);
  if (!open && node->n_out > n_out)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has %d outputs, the operator gives at most %d", node->n_out, n_out);
  return SUMI_OK;
}

static const char *spell_node(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                              const struct sumi_onnx_node *node, struct sumi_err *err, sumi_status *status) {
  const char *name;
  *status =
      sumi_onnx_name(im, node->name.size || !scope->frame->function ? node->name : node->op_type, &name, err);
  return *status == SUMI_OK ? sumi_onnx_scope_spell(scope, name) : NULL;
}

/* A Constant node that a later one of the same name replaces. */
static sumi_status is_replaced(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                               const struct sumi_onnx_node *p, bool *out, struct sumi_err *err) {
  const uint8_t *constant = sumi_onnx_constant_node(p);
  struct sumi_wire_list l = p->output;
  struct sumi_wire item;
  *out = false;
  if (!constant || l.n != 1 || !sumi_wire_list_bytes(&l, &item)) return SUMI_OK;
  const char *name;
  SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&item), &name, err));
  const struct sumi_onnx_slot *slot = sumi_onnx_scope_own(scope, name);
  *out = slot && slot->constant && slot->constant != constant;
  return SUMI_OK;
}

sumi_status sumi_onnx_import_node(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                  const struct sumi_onnx_node *p, struct sumi_err *err) {
  const struct sumi_onnx_local *function;
  SUMI_TRY(sumi_onnx_find_function(im, p, &function, err));
  if (function) return sumi_onnx_inline(im, scope, p, function, err);
  bool replaced;
  SUMI_TRY(is_replaced(im, scope, p, &replaced, err));
  if (replaced) return SUMI_OK;
  const int64_t version = sumi_onnx_opset(scope->frame, p->domain);
  const struct sumi_op *op = NULL;
  const char *op_name;
  SUMI_TRY(check_newest(p->domain, version, err));
  SUMI_TRY(find_op(im, scope, p, version, &op, &op_name, err));
  if (p->input.n > INT32_MAX / 2 || p->output.n > INT32_MAX / 2)
    SUMI_FAIL(err, SUMI_E_LIMIT, "it has too many inputs");
  const int n_in = padded_inputs(op, (int)p->input.n), n_out = (int)p->output.n;
  struct sumi_value **in = SUMI_NEW_ARRAY(&scope->arena, (size_t)n_in, struct sumi_value *);
  struct sumi_value **out = SUMI_NEW_ARRAY(&scope->arena, (size_t)n_out, struct sumi_value *);
  if (!in || !out) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(find_values(im, scope, p->input, false, in, err));
  SUMI_TRY(find_values(im, scope, p->output, true, out, err));
  sumi_status status;
  const char *name = spell_node(im, scope, p, err, &status);
  if (status != SUMI_OK) return status;
  struct sumi_node *node =
      sumi_graph_add_node(scope->graph, name, op, op_name, (int)version, in, n_in, out, n_out);
  if (!node) SUMI_FAIL_MEMORY(err);
  node->inlined = scope->frame->function != NULL;
  SUMI_TRY(sumi_onnx_import_attrs(im, scope, node, p->attribute, err));
  return check_ports(node, err);
}
