/* Graphs in the ONNX text syntax: a header, then one line per constant and per node. What is written here and how
 * parse.c reads it belong together: names that could be read as something else stand in quotes, numbers keep their type. */
#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "graph/dim_int.h"
#include "graph/graph_int.h"
#include "graph/read.h"

enum { MOST_IMPORTS = 64, IR_VERSION = 14 /* the one that came with SUMI_NEWEST_OPSET */ };

struct import {
  const char *domain;
  size_t size; /* bytes of domain */
  int version;
};

struct printer {
  struct sumi_text *out;
  const struct sumi_print_options *options;
  int indent;
  struct import import[MOST_IMPORTS];
  int n_import;
};

static void print_graph(struct printer *p, const struct sumi_graph *g);

/* ---- words ------------------------------------------------------------------------------------------------------ */

static void add(struct printer *p, const char *s) { sumi_text_add_bytes(p->out, s, strlen(s)); }

static void new_line(struct printer *p) { sumi_text_add(p->out, "\n%*s", p->indent, ""); }

/* As onnx.parser reads strings: a backslash before quotes and backslashes, all else as it is. */
static void add_string(struct sumi_text *out, const char *s, size_t n) {
  sumi_text_add_bytes(out, "\"", 1);
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '"' || s[i] == '\\') sumi_text_add_bytes(out, "\\", 1);
    sumi_text_add_bytes(out, s + i, 1);
  }
  sumi_text_add_bytes(out, "\"", 1);
}

static bool is_identifier(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!sumi_read_is_word_start(s[i]) && (i == 0 || s[i] < '0' || s[i] > '9')) return false;
  return n > 0;
}

static void add_name(struct printer *p, const char *name) {
  const size_t n = strlen(name);
  float ignored;
  if (is_identifier(name, n) && !sumi_word_is_type(name, n) && !sumi_number_read_f32(name, n, &ignored))
    sumi_text_add_bytes(p->out, name, n);
  else
    add_string(p->out, name, n);
}

static void add_dim(const struct sumi_graph *g, sumi_dim d, struct sumi_text *out) {
  const struct sumi_dim_expr *e = sumi_dim_expr_of(g->symbols, d);
  if (!e || (e->op == SUMI_DIM_SYMBOL && is_identifier(e->symbol, strlen(e->symbol)))) {
    sumi_dim_print(g->symbols, d, out);
    return;
  }
  struct sumi_text t;
  sumi_text_init(&t, out->allocator);
  sumi_dim_print(g->symbols, d, &t);
  add_string(out, sumi_text_str(&t), t.size);
  out->failed |= t.failed;
  sumi_text_fini(&t);
}

static void add_type(const struct sumi_graph *g, const struct sumi_info *info, struct sumi_text *out) {
  static const char *const open[SUMI_N_KINDS] = {"",     "seq(",    "optional(", "optional(seq(",
                                                 "map(", "seq(map("},
                           *const close[SUMI_N_KINDS] = {"", ")", ")", "))", ")", "))"};
  const bool map = info->kind == SUMI_MAP || info->kind == SUMI_MAP_SEQUENCE;
  sumi_text_add(out, "%s", open[info->kind]);
  if (map) sumi_text_add(out, "%s, ", sumi_dtype_onnx_label(info->key));
  sumi_text_add(out, "%s", sumi_dtype_onnx_label(info->dtype));
  if (info->rank) sumi_text_add_bytes(out, "[", 1);
  for (int i = 0; i < info->rank; i++) {
    if (i) sumi_text_add_bytes(out, ",", 1);
    add_dim(g, info->dim[i], out);
  }
  if (info->rank) sumi_text_add_bytes(out, "]", 1);
  sumi_text_add(out, "%s", close[info->kind]);
}

static bool is_known(const struct sumi_info *info) {
  return info->dtype != SUMI_UNDEFINED || info->rank >= 0 || info->kind != SUMI_TENSOR;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

static void add_element(struct printer *p, sumi_dtype d, const void *data, int64_t i) {
  char buf[SUMI_NUMBER_TEXT];
  if (d == SUMI_FLOAT32) {
    add(p, sumi_number_print_f32(((const float *)data)[i], buf));
  } else if (d == SUMI_FLOAT64) {
    add(p, sumi_number_print_f64(((const double *)data)[i], buf));
  } else if (d == SUMI_STRING) {
    const struct sumi_str *s = (const struct sumi_str *)data + i;
    add_string(p->out, s->data, s->size);
  } else if (sumi_dtype_is_float(d)) { /* bits, as the standard's text has them */
    const sumi_dtype as = sumi_dtype_bits(d) == 16  ? SUMI_UINT16
                          : sumi_dtype_bits(d) == 4 ? SUMI_UINT4
                                                    : SUMI_UINT8;
    sumi_text_add(p->out, "%" PRId64, sumi_get_i64(as, data, i));
  } else if (d == SUMI_UINT64) {
    sumi_text_add(p->out, "%" PRIu64, ((const uint64_t *)data)[i]);
  } else {
    sumi_text_add(p->out, "%" PRId64, sumi_get_i64(d, data, i));
  }
}

static void add_elements(struct printer *p, const struct sumi_tensor *t) {
  int64_t n = sumi_tensor_count(t);
  sumi_dtype d = t->dtype;
  if (sumi_dtype_class(d) == 'C') {
    d = d == SUMI_COMPLEX64 ? SUMI_FLOAT32 : SUMI_FLOAT64;
    n *= 2;
  }
  add(p, "{");
  for (int64_t i = 0; i < n; i++) {
    if (i) add(p, ", ");
    add_element(p, d, t->data, i);
  }
  add(p, "}");
}

/* The contents behind the text before, or where they are; nothing and false where a digest has to stand in for them. A place
 * right behind a type wants "=" between them: "float [" would begin a shape. */
static bool add_contents(struct printer *p, const char *before, const struct sumi_tensor *t) {
  struct sumi_outside where;
  if (p->options->outside && p->options->outside(p->options->user, t, &where)) {
    const size_t n = strlen(before);
    add(p, before);
    if (n < 2 || before[n - 2] != '=') add(p, "= ");
    add(p, "[\"location\": ");
    add_string(p->out, where.location, strlen(where.location));
    sumi_text_add(p->out, ", \"offset\": \"%" PRIu64 "\", \"length\": \"%" PRIu64 "\"]", where.offset,
                  where.bytes);
    return true;
  }
  if ((uint64_t)sumi_tensor_count(t) > p->options->max_elements) return false;
  add(p, before);
  add_elements(p, t);
  return true;
}

/* For a tensor that is not written out. */
static void add_digest(struct printer *p, const struct sumi_tensor *t) {
  size_t bytes = 0;
  uint64_t h = 0;
  const int64_t n = sumi_tensor_count(t);
  if (t->dtype == SUMI_STRING) {
    const struct sumi_str *s = t->data;
    for (int64_t i = 0; i < n; i++) {
      h = sumi_hash(s[i].data, s[i].size, h + (uint64_t)s[i].size);
      bytes += s[i].size;
    }
  } else if (sumi_dtype_bytes(t->dtype, n, &bytes)) {
    h = sumi_hash(t->data, bytes, 0);
  }
  sumi_text_add(p->out, "  # %zu bytes, hash %016" PRIx64, bytes, h);
}

static struct sumi_info info_of(const struct sumi_tensor *t) {
  struct sumi_info info = {.kind = SUMI_TENSOR, .dtype = t->dtype, .rank = t->rank};
  for (int i = 0; i < t->rank; i++) info.dim[i] = t->dim[i];
  return info;
}

static void add_tensor_type(const struct sumi_graph *g, const struct sumi_tensor *t, struct sumi_text *out) {
  const struct sumi_info info = info_of(t);
  add_type(g, &info, out);
}

/* ---- attributes ------------------------------------------------------------------------------------------------- */

/* A float that reads as one, not as a whole number. */
static void add_float(struct printer *p, float x) {
  char buf[SUMI_NUMBER_TEXT];
  add(p, sumi_number_print_f32(x, buf));
  if (strspn(buf, "-0123456789") == strlen(buf)) add(p, ".0");
}

static void add_attr_tensor(struct printer *p, const struct sumi_graph *g, const struct sumi_tensor *t) {
  add_tensor_type(g, t, p->out);
  if (add_contents(p, " ", t)) return;
  add_digest(p, t);
  new_line(p);
}

static void add_body(struct printer *p, const struct sumi_graph *body) {
  p->indent += 2;
  print_graph(p, body);
  p->indent -= 2;
}

static void add_item(struct printer *p, const struct sumi_graph *g, const struct sumi_attr *a, size_t i) {
  switch (a->type) {
    case SUMI_ATTR_INT: sumi_text_add(p->out, "%" PRId64, a->u.i); break;
    case SUMI_ATTR_FLOAT: add_float(p, a->u.f); break;
    case SUMI_ATTR_STRING: add_string(p->out, a->u.s.data, a->u.s.size); break;
    case SUMI_ATTR_TENSOR: add_attr_tensor(p, g, a->u.t); break;
    case SUMI_ATTR_GRAPH: add_body(p, a->u.g); break;
    case SUMI_ATTR_TYPE: add_type(g, a->u.type_info, p->out); break;
    case SUMI_ATTR_INTS: sumi_text_add(p->out, "%" PRId64, a->u.ints[i]); break;
    case SUMI_ATTR_FLOATS: add_float(p, a->u.floats[i]); break;
    case SUMI_ATTR_STRINGS: add_string(p->out, a->u.strings[i].data, a->u.strings[i].size); break;
    case SUMI_ATTR_TENSORS: add_attr_tensor(p, g, &a->u.tensors[i]); break;
    case SUMI_ATTR_GRAPHS: add_body(p, a->u.graphs[i]); break;
    default: break;
  }
}

static void add_attr(struct printer *p, const struct sumi_graph *g, const struct sumi_attr *a) {
  const bool plain = a->type == SUMI_ATTR_INT || a->type == SUMI_ATTR_FLOAT || a->type == SUMI_ATTR_STRING;
  const bool list = a->type >= SUMI_ATTR_INTS;
  const bool plain_list =
      a->type == SUMI_ATTR_INTS || a->type == SUMI_ATTR_FLOATS || a->type == SUMI_ATTR_STRINGS;
  add_name(p, a->name);
  if (!plain && !(plain_list && a->n)) sumi_text_add(p->out, ": %s", sumi_attr_type_label(a->type));
  add(p, list ? " = [" : " = ");
  for (size_t i = 0; i < (list ? a->n : 1); i++) {
    if (i) add(p, ", ");
    add_item(p, g, a, i);
  }
  if (list) add(p, "]");
}

static void add_attrs(struct printer *p, const struct sumi_node *node) {
  if (!node->n_attr && !node->n_captured) return;
  const char *separator = " <";
  if (node->n_captured) {
    sumi_text_add(p->out, " <_captured = %d", node->n_captured);
    separator = ", ";
  }
  for (int i = 0; i < node->n_attr; i++) {
    add(p, separator);
    separator = ", ";
    add_attr(p, node->graph, &node->attr[i]);
  }
  add(p, ">");
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

/* The domain of a node's operator. */
static struct sumi_str domain_of(const struct sumi_node *node) {
  const char *dot = strrchr(node->op_name, '.');
  return (struct sumi_str){node->op_name, dot ? (size_t)(dot - node->op_name) : 0};
}

static struct import *find_import(struct printer *p, struct sumi_str domain) {
  for (int i = 0; i < p->n_import; i++)
    if (p->import[i].size == domain.size && !memcmp(p->import[i].domain, domain.data, domain.size))
      return &p->import[i];
  return NULL;
}

static void add_names(struct printer *p, struct sumi_value *const *value, int n) {
  for (int i = 0; i < n; i++) {
    if (i) add(p, ", ");
    add_name(p, value[i] ? value[i]->name : "");
  }
}

/* The outputs' types, on one line whatever a symbol is called. */
static void add_comment(struct printer *p, const struct sumi_node *node) {
  struct sumi_text t;
  bool any = false;
  for (int i = 0; i < node->n_out; i++) any |= node->out[i] && is_known(&node->out[i]->info);
  if (!any) return;
  sumi_text_init(&t, p->out->allocator);
  for (int i = 0; i < node->n_out; i++) {
    if (i) sumi_text_add_bytes(&t, ", ", 2);
    if (node->out[i]) add_type(node->graph, &node->out[i]->info, &t);
  }
  for (size_t i = 0; i < t.size; i++)
    if ((unsigned char)t.data[i] < 32) t.data[i] = '?';
  sumi_text_add(p->out, "  # ");
  sumi_text_add_bytes(p->out, sumi_text_str(&t), t.size);
  p->out->failed |= t.failed;
  sumi_text_fini(&t);
}

static void print_node(struct printer *p, const struct sumi_node *node) {
  bool bodies = false;
  for (int i = 0; i < node->n_attr; i++)
    bodies |= node->attr[i].type == SUMI_ATTR_GRAPH || node->attr[i].type == SUMI_ATTR_GRAPHS;
  new_line(p);
  if (!node->made_up) {
    add(p, "[");
    add_name(p, node->name);
    add(p, "] ");
  }
  add_names(p, node->out, node->n_out);
  sumi_text_add(p->out, " = %s", node->op_name);
  const struct import *import = find_import(p, domain_of(node));
  if (!import || import->version != node->version) sumi_text_add(p->out, ":v%d", node->version);
  if (!bodies) add_attrs(p, node);
  add(p, " (");
  add_names(p, node->in, node->n_in);
  add(p, ")");
  if (bodies) add_attrs(p, node);
  if (p->options->annotate) add_comment(p, node);
}

/* ---- graphs ----------------------------------------------------------------------------------------------------- */

static void add_declared(struct printer *p, const struct sumi_graph *g, const struct sumi_value *v) {
  if (is_known(&v->info)) {
    add_type(g, &v->info, p->out);
    add(p, " ");
  }
  add_name(p, v->name);
}

static bool same_type(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->kind != b->kind || a->dtype != b->dtype || a->key != b->key || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

/* An input with its default, whose type is said where it is not the input's. */
static void add_default(struct printer *p, const struct sumi_graph *g, const struct sumi_value *v) {
  const struct sumi_info own = info_of(v->constant);
  struct sumi_text before;
  sumi_text_init(&before, p->out->allocator);
  sumi_text_add(&before, " = ");
  if (!same_type(&v->info, &own)) {
    add_type(g, &own, &before);
    sumi_text_add(&before, " ");
  }
  add_declared(p, g, v);
  if (!add_contents(p, sumi_text_str(&before), v->constant)) {
    add_digest(p, v->constant);
    new_line(p);
  }
  p->out->failed |= before.failed;
  sumi_text_fini(&before);
}

static void print_interface(struct printer *p, const struct sumi_graph *g) {
  add(p, " (");
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_value *v = g->input[i];
    if (i) add(p, ", ");
    if (v->constant)
      add_default(p, g, v);
    else
      add_declared(p, g, v);
  }
  add(p, ") => (");
  for (size_t i = 0; i < g->n_output; i++) {
    if (i) add(p, ", ");
    add_declared(p, g, g->output[i]);
  }
  add(p, ")");
}

static void print_constants(struct printer *p, const struct sumi_graph *g) {
  size_t n = 0;
  for (size_t i = 0; i < g->n_value; i++) n += g->value[i]->constant && !g->value[i]->is_input;
  if (!n) return;
  add(p, " <");
  p->indent += 2;
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    if (!v->constant || v->is_input) continue;
    new_line(p);
    add_tensor_type(g, v->constant, p->out);
    add(p, " ");
    add_name(p, v->name);
    const bool whole = add_contents(p, " = ", v->constant);
    if (--n) add(p, ",");
    if (!whole) add_digest(p, v->constant);
  }
  p->indent -= 2;
  new_line(p);
  add(p, ">");
}

/* Bodies nest SUMI_MAX_BODY_DEPTH deep at most. */
static void print_graph(struct printer *p, const struct sumi_graph *g) {
  add_name(p, g->name);
  print_interface(p, g);
  print_constants(p, g);
  add(p, " {");
  p->indent += 2;
  for (size_t i = 0; i < g->n_node; i++)
    if (!sumi_node_removed(g->node[i])) print_node(p, g->node[i]);
  p->indent -= 2;
  new_line(p);
  add(p, "}");
}

/* The domains of g's nodes and its bodies', each with the newest version among them. */
static void collect_imports(struct printer *p, const struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_node; i++) {
    const struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node)) continue;
    const struct sumi_str domain = domain_of(node);
    struct import *import = find_import(p, domain);
    if (!import && p->n_import < MOST_IMPORTS) {
      import = &p->import[p->n_import++];
      *import = (struct import){domain.data, domain.size, node->version};
    }
    if (import && import->version < node->version) import->version = node->version;
    for (int k = 0; k < node->n_attr; k++) {
      size_t n;
      struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[k], &n);
      for (size_t b = 0; b < n; b++) collect_imports(p, body[b]);
    }
  }
}

static void print_header(struct printer *p, const struct sumi_graph *g) {
  sumi_text_add(p->out, "<ir_version: %d, opset_import: [", IR_VERSION);
  for (int i = 0; i < p->n_import; i++) {
    if (i) add(p, ", ");
    add_string(p->out, p->import[i].domain, p->import[i].size);
    sumi_text_add(p->out, ": %d", p->import[i].version);
  }
  add(p, "]");
  if (g->n_metadata) add(p, ", metadata_props: [");
  for (size_t i = 0; i < g->n_metadata; i++) {
    if (i) add(p, ", ");
    add_string(p->out, g->metadata[i].key, strlen(g->metadata[i].key));
    add(p, ": ");
    add_string(p->out, g->metadata[i].value, strlen(g->metadata[i].value));
  }
  add(p, g->n_metadata ? "]>\n" : ">\n");
}

void sumi_graph_print(const struct sumi_graph *g, size_t max_elements, bool annotate, struct sumi_text *out) {
  const struct sumi_print_options options = {.max_elements = max_elements, .annotate = annotate};
  sumi_graph_print_with(g, &options, out);
}

void sumi_graph_print_with(const struct sumi_graph *g, const struct sumi_print_options *options,
                           struct sumi_text *out) {
  struct printer p = {.out = out, .options = options};
  collect_imports(&p, g);
  print_header(&p, g);
  print_graph(&p, g);
  add(&p, "\n");
}
