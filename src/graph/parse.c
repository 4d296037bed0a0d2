/* Graphs from the ONNX text syntax. A value stands before its uses, so one pass suffices; bodies nest no deeper than
 * SUMI_MAX_BODY_DEPTH, everything else is bounded by the text's length. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "graph/graph_int.h"
#include "graph/parse_int.h"

/* An entry of the outputs or of <...>, to be looked up when all nodes are there. */
struct declared {
  const char *name, *at;
  struct sumi_info info;
  bool typed;
};

/* ---- the header ------------------------------------------------------------------------------------------------ */

static const char *plain_domain(const char *domain) { return sumi_streq(domain, "ai.onnx") ? "" : domain; }

static int version_of(const struct sumi_parser *p, const char *domain) {
  const struct sumi_import *import = p->imports.items;
  for (size_t i = 0; i < p->imports.n; i++)
    if (sumi_streq(import[i].domain, domain)) return import[i].version;
  if (!*domain) return SUMI_NEWEST_OPSET;
  return sumi_streq(domain, "ai.onnx.ml") ? SUMI_NEWEST_ML_OPSET : 1;
}

static sumi_status parse_imports(struct sumi_parser *p) {
  SUMI_TRY(sumi_read_expect(&p->r, '['));
  if (sumi_read_take(&p->r, ']')) return SUMI_OK;
  do {
    enum { MOST = 64 };
    struct sumi_str domain;
    int64_t version;
    const char *at = sumi_parse_here(p);
    SUMI_TRY(sumi_read_string(&p->r, &domain));
    SUMI_TRY(sumi_read_expect(&p->r, ':'));
    SUMI_TRY(sumi_read_int(&p->r, &version));
    if (version < 1 || version > INT32_MAX) FAIL_AT(p, at, "operator set version %" PRId64, version);
    if (p->imports.n == MOST)
      return sumi_read_fail(&p->r, at, SUMI_E_LIMIT, "more than %d operator sets", MOST);
    struct sumi_import *import = sumi_list_push(&p->r, &p->imports, sizeof *import);
    if (!import) SUMI_FAIL_MEMORY(p->r.err);
    *import = (struct sumi_import){plain_domain(domain.data), (int)version};
  } while (sumi_read_take(&p->r, ','));
  return sumi_read_expect(&p->r, ']');
}

static sumi_status parse_metadata(struct sumi_parser *p, struct sumi_graph *g) {
  SUMI_TRY(sumi_read_expect(&p->r, '['));
  if (sumi_read_take(&p->r, ']')) return SUMI_OK;
  do {
    struct sumi_str key, value;
    SUMI_TRY(sumi_read_string(&p->r, &key));
    SUMI_TRY(sumi_read_expect(&p->r, ':'));
    SUMI_TRY(sumi_read_string(&p->r, &value));
    if (!sumi_graph_set_metadata(g, key.data, value.data)) SUMI_FAIL_MEMORY(p->r.err);
  } while (sumi_read_take(&p->r, ','));
  return sumi_read_expect(&p->r, ']');
}

/* <key: value, ...>; what says nothing about the graph (producer, versions of files) is read over. */
static sumi_status parse_header(struct sumi_parser *p, struct sumi_graph *g) {
  if (!sumi_read_take(&p->r, '<')) return SUMI_OK;
  if (sumi_read_take(&p->r, '>')) return SUMI_OK;
  do {
    static const char *const words[] = {"producer_name", "producer_version", "domain", "doc_string"};
    struct sumi_str key, ignored;
    int64_t number;
    const char *at = sumi_parse_here(p);
    SUMI_TRY(sumi_read_word(&p->r, &key));
    SUMI_TRY(sumi_read_expect(&p->r, ':'));
    bool is_word = false;
    for (size_t i = 0; i < SUMI_COUNT(words); i++) is_word |= sumi_str_is(key, words[i]);
    if (sumi_str_is(key, "opset_import"))
      SUMI_TRY(parse_imports(p));
    else if (sumi_str_is(key, "metadata_props"))
      SUMI_TRY(parse_metadata(p, g));
    else if (sumi_str_is(key, "ir_version") || sumi_str_is(key, "model_version"))
      SUMI_TRY(sumi_read_int(&p->r, &number));
    else if (is_word)
      SUMI_TRY(sumi_read_string(&p->r, &ignored));
    else
      FAIL_AT(p, at, "unknown key '%.*s'", (int)SUMI_MIN(key.size, 40), key.data);
  } while (sumi_read_take(&p->r, ','));
  return sumi_read_expect(&p->r, '>');
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

struct named {
  const char *name, *at;
};

/* Names between commas; "" or nothing before a comma is a name left out. A comma at the end says nothing. */
static sumi_status parse_names(struct sumi_parser *p, struct sumi_list *list) {
  do {
    struct named n = {"", sumi_parse_here(p)};
    if (sumi_read_at_name(&p->r))
      SUMI_TRY(sumi_read_name(&p->r, &n.name));
    else if (sumi_read_peek(&p->r) != ',')
      break;
    struct named *slot = sumi_list_push(&p->r, list, sizeof n);
    if (!slot) SUMI_FAIL_MEMORY(p->r.err);
    *slot = n;
  } while (sumi_read_take(&p->r, ','));
  return SUMI_OK;
}

struct heading {
  const char *name, *at, *op_name;
  const struct sumi_op *op;
  int version;
};

/* domain.Name, and :v11 for a version of the node's own. */
static sumi_status parse_op(struct sumi_parser *p, struct heading *h) {
  struct sumi_str word, last = {0};
  h->at = sumi_parse_here(p);
  for (;;) { /* words with points between them and nothing else */
    SUMI_TRY(sumi_read_word(&p->r, &last));
    if (p->r.end - p->r.p < 2 || p->r.p[0] != '.' || !sumi_read_is_word_start(p->r.p[1])) break;
    p->r.p++;
  }
  const struct sumi_str all = {h->at, (size_t)(p->r.p - h->at)};
  const size_t n_domain = all.size > last.size ? all.size - last.size - 1 : 0;
  if (all.size > 200) FAIL_AT(p, h->at, "an operator's name of %zu bytes", all.size);
  const char *domain = sumi_arena_strndup(p->r.temp, all.data, n_domain),
             *name = sumi_arena_strndup(p->r.temp, last.data, last.size);
  if (!domain || !name) SUMI_FAIL_MEMORY(p->r.err);
  domain = plain_domain(domain);
  h->version = version_of(p, domain);
  if (sumi_read_take(&p->r, ':')) {
    const char *at = sumi_parse_here(p);
    SUMI_TRY(sumi_read_word(&p->r, &word));
    int64_t version = 0;
    for (size_t i = 1; i < word.size && version >= 0; i++)
      version = word.data[i] >= '0' && word.data[i] <= '9' && version < INT32_MAX / 10
                    ? version * 10 + word.data[i] - '0'
                    : -1;
    if (*word.data != 'v' || version < 1)
      return sumi_read_fail(&p->r, at, SUMI_E_UNSUPPORTED, "an overload that is no version (v11)");
    h->version = (int)version;
  }
  char why[256] = "";
  h->op = p->r.options->lookup(domain, name, h->version, why, sizeof why);
  if (!h->op) return sumi_read_fail(&p->r, h->at, SUMI_E_UNSUPPORTED, "%s", why);
  h->op_name = *domain ? sumi_arena_printf(p->r.temp, "%s.%s", domain, name) : name;
  if (!h->op_name) SUMI_FAIL_MEMORY(p->r.err);
  return SUMI_OK;
}

/* The values that names mean; inputs are looked up, outputs made. */
static sumi_status resolve(struct sumi_parser *p, struct sumi_graph *g, const struct sumi_list *names,
                           bool make, struct sumi_value ***out) {
  const struct named *name = names->items;
  *out = SUMI_NEW_ARRAY(p->r.temp, names->n, struct sumi_value *);
  if (!*out) SUMI_FAIL_MEMORY(p->r.err);
  if (names->n > INT32_MAX / 2)
    return sumi_read_fail(&p->r, p->r.p, SUMI_E_LIMIT, "%zu inputs or outputs", names->n);
  for (size_t i = 0; i < names->n; i++) {
    if (!*name[i].name) continue;
    struct sumi_value *v =
        make ? sumi_graph_find_value(g, name[i].name) : sumi_graph_find_in_scope(g, name[i].name);
    if (make && v) FAIL_AT(p, name[i].at, "'%.80s' is made twice", name[i].name);
    if (!make && !v) FAIL_AT(p, name[i].at, "nothing before here makes '%.80s'", name[i].name);
    if (make && !(v = sumi_graph_add_value(g, name[i].name))) SUMI_FAIL_MEMORY(p->r.err);
    (*out)[i] = v;
  }
  return SUMI_OK;
}

/* "_captured" is no attribute of the operator: so many of the last inputs are captures. */
static sumi_status set_captured(struct sumi_parser *p, struct sumi_node *node, const struct sumi_attr *a,
                                const char *at) {
  if (a->type != SUMI_ATTR_INT || a->u.i < 0 || a->u.i > node->n_in)
    FAIL_AT(p, at, "_captured is not a number of the node's inputs");
  node->n_captured = (int)a->u.i;
  return SUMI_OK;
}

static sumi_status set_attrs(struct sumi_parser *p, struct sumi_node *node, const struct sumi_list *attrs,
                             const char *at) {
  const struct sumi_attr *a = attrs->items;
  for (size_t i = 0; i < attrs->n; i++) {
    if (sumi_streq(a[i].name, "_captured")) {
      SUMI_TRY(set_captured(p, node, &a[i], at));
      continue;
    }
    struct sumi_attr *slot = sumi_node_add_attr(node, a[i].name, a[i].type);
    if (!slot) SUMI_FAIL_MEMORY(p->r.err);
    const char *name = slot->name;
    *slot = a[i];
    slot->name = name;
  }
  for (int i = 0; i < node->n_attr; i++) {
    size_t n;
    struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++)
      if (body[k]->n_input < (size_t)node->n_captured)
        FAIL_AT(p, at, "_captured is more than a body's inputs");
  }
  return SUMI_OK;
}

static sumi_status parse_node(struct sumi_parser *p, struct sumi_graph *g) {
  struct sumi_list outs = {0}, ins = {0}, attrs = {0};
  struct heading h = {0};
  if (sumi_read_take(&p->r, '[')) {
    const char *at = sumi_parse_here(p);
    if (sumi_read_at_name(&p->r)) SUMI_TRY(sumi_read_name(&p->r, &h.name));
    const struct sumi_node *same = h.name && *h.name ? sumi_graph_find_node(g, h.name) : NULL;
    if (same && !same->made_up) FAIL_AT(p, at, "node '%.80s' twice", h.name);
    SUMI_TRY(sumi_read_expect(&p->r, ']'));
  }
  SUMI_TRY(parse_names(p, &outs));
  SUMI_TRY(sumi_read_expect(&p->r, '='));
  SUMI_TRY(parse_op(p, &h));
  SUMI_TRY(sumi_parse_attrs(p, g, &attrs));
  SUMI_TRY(sumi_read_expect(&p->r, '('));
  SUMI_TRY(parse_names(p, &ins));
  SUMI_TRY(sumi_read_expect(&p->r, ')'));
  if (!attrs.n) SUMI_TRY(sumi_parse_attrs(p, g, &attrs));
  struct sumi_value **in, **out;
  SUMI_TRY(resolve(p, g, &ins, false, &in));
  SUMI_TRY(resolve(p, g, &outs, true, &out));
  struct sumi_node *node =
      sumi_graph_add_node(g, h.name, h.op, h.op_name, h.version, in, (int)ins.n, out, (int)outs.n);
  if (!node) SUMI_FAIL_MEMORY(p->r.err);
  return set_attrs(p, node, &attrs, h.at);
}

/* ---- graphs ----------------------------------------------------------------------------------------------------- */

static sumi_status parse_declared(struct sumi_parser *p, struct sumi_graph *g, struct declared *d) {
  *d = (struct declared){.info = SUMI_INFO_UNKNOWN};
  d->typed = sumi_read_at_type(&p->r);
  if (d->typed) SUMI_TRY(sumi_read_type(&p->r, g->symbols, &d->info));
  d->at = sumi_parse_here(p);
  return sumi_read_name(&p->r, &d->name);
}

static sumi_status check_new(struct sumi_parser *p, const struct sumi_graph *g, const struct declared *d) {
  if (!*d->name) FAIL_AT(p, d->at, "a name expected");
  if (sumi_graph_find_value(g, d->name)) FAIL_AT(p, d->at, "'%.80s' is made twice", d->name);
  return SUMI_OK;
}

static sumi_status parse_input(struct sumi_parser *p, struct sumi_graph *g) {
  struct declared d;
  SUMI_TRY(parse_declared(p, g, &d));
  SUMI_TRY(check_new(p, g, &d));
  struct sumi_value *v = sumi_graph_add_input(g, d.name, &d.info);
  if (!v) SUMI_FAIL_MEMORY(p->r.err);
  if (!sumi_read_take(&p->r, '=')) return SUMI_OK;
  struct sumi_tensor *t = SUMI_NEW(g->arena, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(p->r.err);
  struct sumi_info own = d.info;
  const bool says_own = sumi_read_at_type(&p->r);
  if (says_own) {
    SUMI_TRY(sumi_read_type(&p->r, g->symbols, &own));
    sumi_read_take(&p->r, '=');
  }
  SUMI_TRY(sumi_read_tensor(&p->r, &own, g->arena, t, &v->blob));
  v->constant = t;
  if (!says_own) v->info.rank = t->rank;
  return SUMI_OK;
}

/* An entry of <...>: a constant, or what is known of a value that a node makes. */
static sumi_status parse_entry(struct sumi_parser *p, struct sumi_graph *g, struct sumi_list *declared) {
  struct declared d;
  struct sumi_tensor t;
  struct sumi_blob *blob;
  SUMI_TRY(parse_declared(p, g, &d));
  if (!sumi_read_take(&p->r, '=')) {
    struct declared *slot = sumi_list_push(&p->r, declared, sizeof d);
    if (!slot) SUMI_FAIL_MEMORY(p->r.err);
    *slot = d;
    return SUMI_OK;
  }
  SUMI_TRY(check_new(p, g, &d));
  SUMI_TRY(sumi_read_tensor(&p->r, &d.info, g->arena, &t, &blob));
  if (!sumi_graph_add_constant(g, d.name, &t, blob)) SUMI_FAIL_MEMORY(p->r.err);
  return SUMI_OK;
}

static sumi_status add_outputs(struct sumi_parser *p, struct sumi_graph *g, const struct sumi_list *outputs) {
  const struct declared *d = outputs->items;
  for (size_t i = 0; i < outputs->n; i++) {
    struct sumi_value *v = sumi_graph_find_in_scope(g, d[i].name);
    if (!v) FAIL_AT(p, d[i].at, "nothing makes output '%.80s'", d[i].name);
    if (!sumi_graph_add_output(g, v)) SUMI_FAIL_MEMORY(p->r.err);
  }
  return SUMI_OK;
}

/* What was declared of values that nodes made. */
static void set_infos(struct sumi_graph *g, const struct sumi_list *declared) {
  const struct declared *d = declared->items;
  for (size_t i = 0; i < declared->n; i++) {
    struct sumi_value *v = d[i].typed ? sumi_graph_find_value(g, d[i].name) : NULL;
    if (v && v->producer) v->info = d[i].info;
  }
}

/* (inputs) => (outputs) <constants> { nodes }, behind the name. */
sumi_status sumi_parse_graph(struct sumi_parser *p, struct sumi_graph *g) {
  struct sumi_list outputs = {0}, declared = {0};
  SUMI_TRY(sumi_read_expect(&p->r, '('));
  if (sumi_read_peek(&p->r) != ')') do
      SUMI_TRY(parse_input(p, g));
    while (sumi_read_take(&p->r, ','));
  SUMI_TRY(sumi_read_expect(&p->r, ')'));
  SUMI_TRY(sumi_read_expect(&p->r, '='));
  SUMI_TRY(sumi_read_expect(&p->r, '>'));
  SUMI_TRY(sumi_read_expect(&p->r, '('));
  if (sumi_read_peek(&p->r) != ')') do {
      struct declared d, *slot;
      SUMI_TRY(parse_declared(p, g, &d));
      if (!(slot = sumi_list_push(&p->r, &outputs, sizeof d))) SUMI_FAIL_MEMORY(p->r.err);
      *slot = d;
    } while (sumi_read_take(&p->r, ','));
  SUMI_TRY(sumi_read_expect(&p->r, ')'));
  if (sumi_read_take(&p->r, '<')) {
    if (sumi_read_peek(&p->r) != '>') do
        SUMI_TRY(parse_entry(p, g, &declared));
      while (sumi_read_take(&p->r, ','));
    SUMI_TRY(sumi_read_expect(&p->r, '>'));
  }
  SUMI_TRY(sumi_read_expect(&p->r, '{'));
  while (!sumi_read_take(&p->r, '}')) {
    if (sumi_parse_here(p) == p->r.end) return sumi_read_expect(&p->r, '}');
    SUMI_TRY(parse_node(p, g));
  }
  SUMI_TRY(add_outputs(p, g, &outputs));
  set_infos(g, &declared);
  set_infos(g, &outputs);
  return SUMI_OK;
}

static sumi_status parse_model(struct sumi_parser *p, struct sumi_graph *g) {
  const char *name;
  SUMI_TRY(parse_header(p, g));
  SUMI_TRY(sumi_read_name(&p->r, &name));
  g->name = sumi_arena_strdup(g->arena, name);
  if (!g->name) SUMI_FAIL_MEMORY(p->r.err);
  SUMI_TRY(sumi_parse_graph(p, g));
  const char *at = sumi_parse_here(p);
  if (at < p->r.end)
    return sumi_read_fail(&p->r, at, SUMI_E_UNSUPPORTED, "text behind the graph (functions are not read)");
  return sumi_graph_close_bodies(g, p->r.err);
}

sumi_status sumi_graph_parse(const char *text, size_t n, sumi_op_lookup lookup,
                             const struct sumi_allocator *a, struct sumi_graph **out, struct sumi_err *err) {
  const struct sumi_parse_options options = {.lookup = lookup};
  return sumi_graph_parse_with(text, n, &options, a, out, err);
}

sumi_status sumi_graph_parse_with(const char *text, size_t n, const struct sumi_parse_options *options,
                                  const struct sumi_allocator *a, struct sumi_graph **out,
                                  struct sumi_err *err) {
  *out = NULL;
  struct sumi_graph *g = sumi_graph_new(a, "");
  if (!g) SUMI_FAIL_MEMORY(err);
  struct sumi_arena temp;
  sumi_arena_init(&temp, a);
  struct sumi_parser p = {
      .r = {.text = text, .p = text, .end = text + n, .temp = &temp, .err = err, .options = options}};
  const sumi_status status = parse_model(&p, g);
  sumi_arena_fini(&temp);
  if (status == SUMI_OK)
    *out = g;
  else
    sumi_graph_free(g);
  return status;
}
