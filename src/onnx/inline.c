/* FunctionProto: local functions of a model are inlined where they are called, so that the graph holds
 * operators only. A body sees its inputs alone; attributes that refer to the function's are replaced by
 * what the call gives, or by the default; a function takes precedence over an operator of the same name. */
#include <string.h>

#include "base/size.h"
#include "onnx/import_int.h"
#include "op/ops.h"

/* "domain:name:overload", in scratch memory of the importer. */
static sumi_status function_key(struct sumi_onnx_importer *im, struct sumi_str domain, struct sumi_str name,
                                struct sumi_str overload, const char **key, struct sumi_err *err) {
  if (sumi_onnx_is_standard(domain)) domain = (struct sumi_str){"", 0};
  const size_t n = domain.size + name.size + overload.size;
  if (n > im->limits.max_name_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a function's name has %zu bytes, the limit is %zu", n,
              im->limits.max_name_bytes);
  void *text = im->text;
  if (!sumi_grow(im->allocator, &text, &im->text_cap, n + 3, 1)) SUMI_FAIL_MEMORY(err);
  char *to = im->text = text;
  const struct sumi_str parts[] = {domain, name, overload};
  for (size_t i = 0; i < SUMI_COUNT(parts); i++) {
    if (parts[i].size && memchr(parts[i].data, 0, parts[i].size))
      SUMI_FAIL(err, SUMI_E_FORMAT, "a name holds a zero byte");
    if (i) *to++ = ':';
    if (parts[i].size) memcpy(to, parts[i].data, parts[i].size);
    to += parts[i].size;
  }
  *to = 0;
  *key = im->text;
  return SUMI_OK;
}

static sumi_status add_function(struct sumi_onnx_importer *im, struct sumi_wire bytes, struct sumi_err *err) {
  struct sumi_onnx_local *f = SUMI_NEW(&im->scratch, struct sumi_onnx_local);
  if (!f) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_onnx_read_function(bytes, &f->proto, err));
  f->bytes = sumi_wire_size(&bytes);
  SUMI_TRY(sumi_onnx_read_opsets(im, f->proto.opset_import, &f->opsets, err));
  const char *key;
  SUMI_TRY(function_key(im, f->proto.domain, f->proto.name, f->proto.overload, &key, err));
  if (sumi_names_find(&im->functions, key))
    SUMI_FAIL(err, SUMI_E_FORMAT, "function '%.128s' is defined twice", key);
  key = sumi_arena_strdup(&im->scratch, key);
  if (!key || !sumi_names_add(im->allocator, &im->functions, key, f)) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

sumi_status sumi_onnx_read_functions(struct sumi_onnx_importer *im, struct sumi_wire_list functions,
                                     struct sumi_err *err) {
  const struct sumi_onnx_place nowhere = {0};
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&functions, &item)) {
    struct sumi_err why = SUMI_ERR_INIT;
    if (add_function(im, item, &why) != SUMI_OK) SUMI_TRY(sumi_onnx_refuse(im, &nowhere, &why, err));
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_find_function(struct sumi_onnx_importer *im, const struct sumi_onnx_node *node,
                                    const struct sumi_onnx_local **out, struct sumi_err *err) {
  *out = NULL;
  if (!im->functions.n) return SUMI_OK;
  const char *key;
  SUMI_TRY(function_key(im, node->domain, node->op_type, node->overload, &key, err));
  *out = sumi_names_find(&im->functions, key);
  return SUMI_OK;
}

/* ---- attributes of the call ---------------------------------------------------------------------------- */

static bool same(struct sumi_str a, struct sumi_str b) {
  return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

static bool function_has_attr(const struct sumi_onnx_local *f, struct sumi_str name) {
  struct sumi_wire item;
  for (struct sumi_wire_list l = f->proto.attribute; sumi_wire_list_bytes(&l, &item);)
    if (same(sumi_wire_str(&item), name)) return true;
  for (struct sumi_wire_list l = f->proto.attribute_proto; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_attribute a;
    if (sumi_onnx_read_attribute(item, &a, NULL) == SUMI_OK && same(a.name, name)) return true;
  }
  return false;
}

static sumi_status bind_given(struct sumi_onnx_scope *caller, const struct sumi_onnx_node *call,
                              const struct sumi_onnx_local *f, struct sumi_onnx_frame *frame,
                              struct sumi_err *err) {
  struct sumi_wire item;
  for (struct sumi_wire_list l = call->attribute; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_attribute a;
    SUMI_TRY(sumi_onnx_read_attribute(item, &a, err));
    const int shown = (int)SUMI_MIN(a.name.size, (size_t)128);
    if (!function_has_attr(f, a.name))
      SUMI_FAIL(err, SUMI_E_FORMAT, "the function has no attribute '%.*s'", shown,
                a.name.data ? a.name.data : "");
    if (sumi_onnx_binding_find(frame, a.name))
      SUMI_FAIL(err, SUMI_E_FORMAT, "attribute '%.*s' is given twice", shown, a.name.data ? a.name.data : "");
    struct sumi_onnx_binding b = {a.name, a, caller};
    if (a.ref_attr_name.size) {
      const struct sumi_onnx_binding *from = sumi_onnx_binding_find(caller->frame, a.ref_attr_name);
      if (!from) continue; /* not given to the caller: not given on */
      b.attr = from->attr;
      b.scope = from->scope;
    }
    frame->binding[frame->n_binding++] = b;
  }
  return SUMI_OK;
}

static sumi_status bind_attributes(struct sumi_onnx_scope *caller, const struct sumi_onnx_node *call,
                                   const struct sumi_onnx_local *f, struct sumi_onnx_scope *scope,
                                   struct sumi_onnx_frame *frame, struct sumi_err *err) {
  /* Every attribute that is bound is one of the function's: its own number bounds the list and the
   * searching. */
  const size_t n = f->proto.attribute.n + f->proto.attribute_proto.n;
  if (n > SUMI_ONNX_MAX_FUNCTION_ATTRS)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a function has %zu attributes, the limit is %d", n,
              SUMI_ONNX_MAX_FUNCTION_ATTRS);
  frame->binding = SUMI_NEW_ARRAY(&scope->arena, 2 * n, struct sumi_onnx_binding);
  if (!frame->binding) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(bind_given(caller, call, f, frame, err));
  struct sumi_wire item;
  for (struct sumi_wire_list l = f->proto.attribute_proto; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_attribute a;
    SUMI_TRY(sumi_onnx_read_attribute(item, &a, err));
    if (!sumi_onnx_binding_find(frame, a.name))
      frame->binding[frame->n_binding++] = (struct sumi_onnx_binding){a.name, a, scope};
  }
  return SUMI_OK;
}

/* ---- inputs and outputs of the call -------------------------------------------------------------------- */

static sumi_status bind_inputs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                               const struct sumi_onnx_node *call, const struct sumi_onnx_local *f,
                               struct sumi_onnx_scope *scope, struct sumi_err *err) {
  if (call->input.n > f->proto.input.n)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has %zu inputs, the function takes %zu", call->input.n,
              f->proto.input.n);
  struct sumi_wire_list given = call->input;
  struct sumi_wire formal, actual;
  for (struct sumi_wire_list l = f->proto.input; sumi_wire_list_bytes(&l, &formal);) {
    const char *name;
    struct sumi_value *value = NULL;
    if (sumi_wire_list_bytes(&given, &actual) && sumi_wire_size(&actual)) {
      SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&actual), &name, err));
      const struct sumi_onnx_slot *slot = sumi_onnx_scope_find(caller, name);
      if (!slot) SUMI_FAIL(err, SUMI_E_FORMAT, "its input '%.128s' is defined nowhere", name);
      value = slot->value;
    }
    SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&formal), &name, err));
    if (sumi_onnx_scope_own(scope, name))
      SUMI_FAIL(err, SUMI_E_FORMAT, "the function has two inputs '%.128s'", name);
    SUMI_TRY(sumi_onnx_scope_add(im, scope, name, value, true, err));
  }
  return SUMI_OK;
}

/* The caller's value for the next output; NULL where it wants none. */
static sumi_status next_output(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                               struct sumi_wire_list *list, struct sumi_value **out, struct sumi_err *err) {
  struct sumi_wire actual;
  const char *name;
  *out = NULL;
  if (!sumi_wire_list_bytes(list, &actual) || !sumi_wire_size(&actual)) return SUMI_OK;
  SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&actual), &name, err));
  const struct sumi_onnx_slot *slot = sumi_onnx_scope_own(caller, name);
  if (slot) *out = slot->value;
  return SUMI_OK;
}

/* Outputs that a node of the function computes are the caller's values from the start. */
static sumi_status bind_outputs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                                const struct sumi_onnx_node *call, const struct sumi_onnx_local *f,
                                struct sumi_onnx_scope *scope, struct sumi_err *err) {
  if (call->output.n > f->proto.output.n)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has %zu outputs, the function gives %zu", call->output.n,
              f->proto.output.n);
  struct sumi_wire_list wanted = call->output;
  struct sumi_wire formal;
  for (struct sumi_wire_list l = f->proto.output; sumi_wire_list_bytes(&l, &formal);) {
    const char *name;
    struct sumi_value *value;
    SUMI_TRY(next_output(im, caller, &wanted, &value, err));
    SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&formal), &name, err));
    if (value && !sumi_onnx_scope_own(scope, name))
      SUMI_TRY(sumi_onnx_scope_add(im, scope, name, value, false, err));
  }
  return SUMI_OK;
}

/* What is left when the nodes are there: outputs nobody computes, and outputs that are an input or another
 * output, which become copies. */
static sumi_status finish_outputs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                                  const struct sumi_onnx_node *call, const struct sumi_onnx_local *f,
                                  struct sumi_onnx_scope *scope, struct sumi_err *err) {
  struct sumi_wire_list wanted = call->output;
  struct sumi_wire formal;
  for (struct sumi_wire_list l = f->proto.output; sumi_wire_list_bytes(&l, &formal);) {
    const char *name;
    struct sumi_value *value;
    SUMI_TRY(next_output(im, caller, &wanted, &value, err));
    if (!value) continue;
    SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&formal), &name, err));
    const struct sumi_onnx_slot *slot = sumi_onnx_scope_own(scope, name);
    if (!slot || !slot->value || !slot->defined)
      SUMI_FAIL(err, SUMI_E_FORMAT, "the function does not compute its output '%.128s'", name);
    if (slot->value == value) continue;
    char why[128];
    const struct sumi_op *op = sumi_op_find("", "Identity", SUMI_NEWEST_OPSET, why, sizeof why);
    if (!op) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "%s", why);
    if (!sumi_graph_add_node(scope->graph, sumi_onnx_scope_spell(scope, "Identity"), op, "Identity",
                             SUMI_NEWEST_OPSET, &slot->value, 1, &value, 1))
      SUMI_FAIL_MEMORY(err);
  }
  return SUMI_OK;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static sumi_status inline_in(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                             const struct sumi_onnx_node *call, const struct sumi_onnx_local *f,
                             struct sumi_onnx_scope *scope, struct sumi_onnx_frame *frame,
                             struct sumi_err *err) {
  const char *name;
  SUMI_TRY(sumi_onnx_name(im, call->name.size ? call->name : call->op_type, &name, err));
  name = sumi_onnx_scope_spell(caller, name);
  frame->prefix = name ? sumi_arena_printf(&scope->arena, "%s/", name) : "";
  if (!frame->prefix) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(bind_attributes(caller, call, f, scope, frame, err));
  SUMI_TRY(bind_inputs(im, caller, call, f, scope, err));
  SUMI_TRY(bind_outputs(im, caller, call, f, scope, err));
  const size_t before = im->refusals.n;
  SUMI_TRY(sumi_onnx_import_nodes(im, scope, f->proto.node, err));
  return im->refusals.n > before ? SUMI_OK : finish_outputs(im, caller, call, f, scope, err);
}

sumi_status sumi_onnx_inline(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                             const struct sumi_onnx_node *call, const struct sumi_onnx_local *function,
                             struct sumi_err *err) {
  for (const struct sumi_onnx_frame *f = caller->frame; f; f = f->caller)
    if (f->function == function) SUMI_FAIL(err, SUMI_E_FORMAT, "the function calls itself");
  SUMI_TRY(sumi_onnx_enter(im, function->bytes, err));
  struct sumi_onnx_frame frame = {.caller = caller->frame, .function = function, .opsets = function->opsets};
  struct sumi_onnx_scope scope;
  sumi_onnx_scope_init(im, &scope, NULL, &frame, caller->graph);
  const sumi_status status = inline_in(im, caller, call, function, &scope, &frame, err);
  sumi_onnx_scope_fini(im, &scope);
  sumi_onnx_leave(im);
  return status;
}
