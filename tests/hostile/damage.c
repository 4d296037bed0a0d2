#include "hostile/damage.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

static void say(struct sumi_damage *d, const char *format, ...) SUMI_PRINTF(2, 3);

static void say(struct sumi_damage *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(d->text, sizeof d->text, format, args);
  va_end(args);
}

/* It has to be refused, with one of these words. */
static void must(struct sumi_damage *d, const char *word, const char *or_word) {
  d->must = true;
  snprintf(d->word, sizeof d->word, "%s", word);
  snprintf(d->or_word, sizeof d->or_word, "%s", or_word);
}

/* ---- attributes ---------------------------------------------------------------------------------------------------- */

static bool current(const struct sumi_attr_spec *row, const struct sumi_node *node) {
  return !row->until || node->version < row->until;
}

static const struct sumi_attr_spec *spec(const struct sumi_node *node, int i) {
  for (const struct sumi_attr_spec *row = node->op->attrs; row && row->name; row++)
    if (i-- == 0) return row;
  return NULL;
}

static bool takes_type(const struct sumi_node *node, const char *name, int type) {
  for (const struct sumi_attr_spec *row = node->op->attrs; row && row->name; row++)
    if (!strcmp(row->name, name) && (int)row->type == type && current(row, node)) return true;
  return false;
}

/* The attribute anew, with contents of that type that are harmless; the caller changes them. */
static struct sumi_attr *set_attr(struct sumi_node *node, const char *name, int type) {
  static const int64_t ints[] = {1, 1};
  static const float floats[] = {1, 1};
  static const struct sumi_str strings[] = {{"no_such_value", 13}};
  static const float one = 1;
  static const struct sumi_tensor tensor = {
      .kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 0, .data = (void *)&one};
  sumi_node_remove_attr(node, name);
  struct sumi_attr *a = sumi_node_add_attr(node, name, (enum sumi_attr_type)type);
  if (!a) return NULL;
  a->n = 1;
  switch (type) {
    case SUMI_ATTR_INT: a->u.i = 1; break;
    case SUMI_ATTR_FLOAT: a->u.f = 1; break;
    case SUMI_ATTR_STRING: a->u.s = strings[0]; break;
    case SUMI_ATTR_TENSOR: a->u.t = &tensor; break;
    case SUMI_ATTR_INTS: a->u.ints = ints, a->n = 2; break;
    case SUMI_ATTR_FLOATS: a->u.floats = floats, a->n = 2; break;
    case SUMI_ATTR_STRINGS: a->u.strings = strings; break;
    case SUMI_ATTR_TENSORS: a->u.tensors = &tensor; break;
    default: return NULL; /* graphs and types are not made here */
  }
  return a;
}

static enum sumi_damage_done unknown_attr(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                          struct sumi_damage *d) {
  (void)g;
  if (i) return SUMI_DAMAGE_NO_MORE;
  if (j == SUMI_N_ATTR_TYPES) return SUMI_DAMAGE_NEXT;
  if (!set_attr(node, "no_such_attribute", j))
    return sumi_node_remove_attr(node, "no_such_attribute"), SUMI_DAMAGE_SAME;
  must(d, "no_such_attribute", "");
  say(d, "%s no_such_attribute", sumi_attr_type_label((enum sumi_attr_type)j));
  return SUMI_DAMAGE_DONE;
}

static enum sumi_damage_done attr_of_other_type(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                                struct sumi_damage *d) {
  (void)g;
  const struct sumi_attr_spec *row = spec(node, i);
  if (!row) return SUMI_DAMAGE_NO_MORE;
  if (j == SUMI_N_ATTR_TYPES) return SUMI_DAMAGE_NEXT;
  if (takes_type(node, row->name, j) || !set_attr(node, row->name, j)) return SUMI_DAMAGE_SAME;
  must(d, row->name, "");
  say(d, "%s is of type %s", row->name, sumi_attr_type_label((enum sumi_attr_type)j));
  return SUMI_DAMAGE_DONE;
}

static enum sumi_damage_done attr_missing(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                          struct sumi_damage *d) {
  (void)g;
  const struct sumi_attr_spec *row = spec(node, i);
  if (!row) return SUMI_DAMAGE_NO_MORE;
  if (j) return SUMI_DAMAGE_NEXT;
  if (!sumi_node_attr(node, row->name)) return SUMI_DAMAGE_NEXT;
  if (row->required && current(row, node)) must(d, row->name, "");
  sumi_node_remove_attr(node, row->name);
  say(d, "without %s", row->name);
  return SUMI_DAMAGE_DONE;
}

/* Strings that a file may choose as it likes: contents, words, classes, patterns, what the no-op Debug would write where.
 * A locale changes the case of a few letters; those of unknown ones change as everywhere. */
static bool is_free_text(const char *name) {
  static const char *const names[] = {"value_string",
                                      "file_",
                                      "delimiter",
                                      "pattern",
                                      "locale",
                                      "stopwords",
                                      "pool_strings",
                                      "cats_strings",
                                      "classes_strings",
                                      "keys_strings",
                                      "values_strings",
                                      "default_string",
                                      "string_vocabulary",
                                      "classlabels_strings"};
  for (size_t i = 0; i < SUMI_COUNT(names); i++)
    if (!strncmp(name, names[i], strlen(names[i]))) return true;
  return false;
}

/* A value that is no name of the attribute's enumeration; absurd numbers. */
static enum sumi_damage_done attr_value(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                        struct sumi_damage *d) {
  static const int64_t whole[] = {INT64_MIN, INT64_MAX, -1, 0, 2, 17, 1009, INT32_MIN, (int64_t)1 << 40};
  static const int64_t lists[][8] = {{0},
                                     {-1, -1, -1, -1, -1, -1, -1, -1},
                                     {1, 1, 1, 1, 1, 1, 1, 1},
                                     {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN},
                                     {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
                                     {1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30}};
  static const float real[] = {NAN, INFINITY, -INFINITY, 0, -1, 3e38f, 1e-40f};
  static const int64_t many[40];
  static const float many_floats[40];
  (void)g;
  const struct sumi_attr_spec *row = spec(node, i);
  if (!row) return SUMI_DAMAGE_NO_MORE;
  if (!current(row, node)) return SUMI_DAMAGE_NEXT;
  const struct sumi_attr *old = sumi_node_attr(node, row->name);
  const size_t n = old ? old->n : 2;
  struct sumi_attr *a = set_attr(node, row->name, row->type);
  if (!a) return SUMI_DAMAGE_NEXT;
  const int n_lists = (int)SUMI_COUNT(lists);
  say(d, "%s, value %d", row->name, j);
  switch (row->type) {
    case SUMI_ATTR_INT:
      if (j == (int)SUMI_COUNT(whole)) return SUMI_DAMAGE_NEXT;
      a->u.i = whole[j];
      say(d, "%s = %" PRId64, row->name, whole[j]);
      return SUMI_DAMAGE_DONE;
    case SUMI_ATTR_FLOAT:
      if (j == (int)SUMI_COUNT(real)) return SUMI_DAMAGE_NEXT;
      a->u.f = real[j];
      say(d, "%s = %g", row->name, (double)real[j]);
      return SUMI_DAMAGE_DONE;
    case SUMI_ATTR_INTS:
      if (j == n_lists + 2) return SUMI_DAMAGE_NEXT;
      a->u.ints = j < n_lists ? lists[j] : many;
      a->n = j < n_lists ? SUMI_MIN(n, 8) : j == n_lists ? 0 : 40;
      say(d, "%s = %zu times %" PRId64, row->name, a->n, a->u.ints[0]);
      return SUMI_DAMAGE_DONE;
    case SUMI_ATTR_FLOATS:
      if (j == 3) return SUMI_DAMAGE_NEXT;
      a->u.floats = j ? many_floats : real;
      a->n = j == 0 ? n < 7 ? n : 7 : j == 1 ? 0 : 40;
      return SUMI_DAMAGE_DONE;
    case SUMI_ATTR_STRING:
    case SUMI_ATTR_STRINGS:
      if (j) return SUMI_DAMAGE_NEXT;
      if (!is_free_text(row->name)) must(d, row->name, "no_such_value");
      return SUMI_DAMAGE_DONE;
    default: return j ? SUMI_DAMAGE_NEXT : SUMI_DAMAGE_DONE;
  }
}

/* ---- inputs -------------------------------------------------------------------------------------------------------- */

/* The port of input or output i; NULL: the operator has none. */
static const struct sumi_port *port_at(const struct sumi_port *port, int i) {
  for (; port && port->name && i > 0 && !(port->flags & SUMI_PORT_VARIADIC); port++) i--;
  return port && port->name ? port : NULL;
}

static int own_inputs(const struct sumi_node *node) { return node->n_in - node->n_captured; }

static struct sumi_info info_of(const struct sumi_value *v) {
  if (!v->constant || v->is_input) return v->info;
  struct sumi_info info = {.kind = SUMI_TENSOR, .dtype = v->constant->dtype, .rank = v->constant->rank};
  for (int k = 0; k < info.rank; k++) info.dim[k] = v->constant->dim[k];
  return info;
}

/* Input i of the node comes from a new input of the graph. */
static bool replace_input(struct sumi_graph *g, struct sumi_node *node, int i, const struct sumi_info *info) {
  struct sumi_info plain = *info;
  plain.data = NULL;
  plain.content = NULL;
  plain.n_content = 0;
  struct sumi_value *v = sumi_graph_add_input(g, NULL, &plain);
  if (v) sumi_node_set_input(node, i, v);
  return v != NULL;
}

/* Whether another input binds the letter of port p to a type that is not dtype. */
static bool contradicts(const struct sumi_node *node, int i, const struct sumi_port *p, sumi_dtype dtype) {
  for (int k = 0; k < own_inputs(node); k++) {
    const struct sumi_port *other = port_at(node->op->in, k);
    if (k == i || !other || !node->in[k] || !p->var || other->var != p->var) continue;
    if ((p->flags | other->flags) & SUMI_PORT_MIXED) continue;
    const struct sumi_info info = info_of(node->in[k]);
    if (info.dtype != SUMI_UNDEFINED && info.dtype != dtype) return true;
  }
  return false;
}

static enum sumi_damage_done input_type(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                        struct sumi_damage *d) {
  if (i >= own_inputs(node)) return SUMI_DAMAGE_NO_MORE;
  if (j == SUMI_N_DTYPES || !node->in[i]) return SUMI_DAMAGE_NEXT;
  const struct sumi_port *p = port_at(node->op->in, i);
  struct sumi_info info = info_of(node->in[i]);
  if (!j || (int)info.dtype == j || !p) return SUMI_DAMAGE_SAME;
  info.dtype = (sumi_dtype)j;
  if (!sumi_dtype_in(info.dtype, p->dtypes))
    must(d, p->name, "");
  else if (contradicts(node, i, p, info.dtype))
    must(d, "input", "");
  say(d, "input '%s' is %s", p->name, sumi_dtype_label(info.dtype));
  return replace_input(g, node, i, &info) ? SUMI_DAMAGE_DONE : SUMI_DAMAGE_SAME;
}

static enum sumi_damage_done input_kind(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                        struct sumi_damage *d) {
  if (i >= own_inputs(node)) return SUMI_DAMAGE_NO_MORE;
  if (j == SUMI_N_KINDS || !node->in[i]) return SUMI_DAMAGE_NEXT;
  const struct sumi_port *p = port_at(node->op->in, i);
  struct sumi_info info = node->in[i]->info;
  const int wanted = !p                              ? SUMI_TENSOR
                     : p->flags & SUMI_PORT_SEQUENCE ? SUMI_SEQUENCE
                     : p->flags & SUMI_PORT_MAP      ? SUMI_MAP
                                                     : SUMI_TENSOR;
  if (!p || j == wanted || (p->flags & SUMI_PORT_ANY_KIND)) return SUMI_DAMAGE_SAME;
  info.kind = (sumi_kind)j;
  must(d, p->name, "");
  say(d, "input '%s' is of kind %d", p->name, j);
  return replace_input(g, node, i, &info) ? SUMI_DAMAGE_DONE : SUMI_DAMAGE_SAME;
}

static enum sumi_damage_done input_rank(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                        struct sumi_damage *d) {
  if (i >= own_inputs(node)) return SUMI_DAMAGE_NO_MORE;
  if (j == 8 || !node->in[i]) return SUMI_DAMAGE_NEXT;
  struct sumi_info info = info_of(node->in[i]);
  const int rank = j < 6 ? j : j == 6 ? SUMI_MAX_RANK : -1;
  if (info.rank == rank) return SUMI_DAMAGE_SAME;
  for (int k = info.rank < 0 ? 0 : info.rank; k < rank; k++) info.dim[k] = 1 + k % 2;
  info.rank = rank;
  say(d, "input %d has rank %d", i, rank);
  return replace_input(g, node, i, &info) ? SUMI_DAMAGE_DONE : SUMI_DAMAGE_SAME;
}

/* One dimension is 0, 1, one more, one less, a symbol, or more than memory holds. */
static enum sumi_damage_done input_size(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                        struct sumi_damage *d) {
  if (i >= own_inputs(node)) return SUMI_DAMAGE_NO_MORE;
  if (!node->in[i]) return SUMI_DAMAGE_NEXT;
  struct sumi_info info = info_of(node->in[i]);
  const int at = j / 7;
  if (at >= info.rank) return SUMI_DAMAGE_NEXT;
  const sumi_dim old = info.dim[at];
  const sumi_dim sizes[7] = {0, 1, old + 1, old - 1, SUMI_DIM_UNKNOWN, (int64_t)1 << 40, INT64_MAX};
  if (old < 0 || sizes[j % 7] == old) return SUMI_DAMAGE_SAME;
  info.dim[at] = sizes[j % 7];
  say(d, "dimension %d of input %d is %" PRId64, at, i, info.dim[at]);
  return replace_input(g, node, i, &info) ? SUMI_DAMAGE_DONE : SUMI_DAMAGE_SAME;
}

/* Absurd integers: given when it is run, or constant. */
static enum sumi_damage_done input_values(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                          struct sumi_damage *d) {
  static const int64_t values[] = {INT64_MIN, INT64_MAX, -1, 0, 1009, INT32_MIN, (int64_t)1 << 40};
  const int n = (int)SUMI_COUNT(values);
  if (i >= own_inputs(node)) return SUMI_DAMAGE_NO_MORE;
  if (j == 2 * n || !node->in[i]) return SUMI_DAMAGE_NEXT;
  const struct sumi_info info = info_of(node->in[i]);
  int64_t count = 1;
  for (int k = 0; k < info.rank; k++)
    if (info.dim[k] < 0 || !sumi_i64_mul(count, info.dim[k], &count)) return SUMI_DAMAGE_NEXT;
  if (!sumi_dtype_is_int(info.dtype) || info.rank < 0 || count > 4096) return SUMI_DAMAGE_NEXT;
  d->fill = values[j % n];
  say(d, "input %d holds %" PRId64 "%s", i, d->fill, j < n ? "" : ", constant");
  if (j < n) {
    if (!replace_input(g, node, i, &info)) return SUMI_DAMAGE_SAME;
    d->fills = true;
    d->filled = node->in[i];
    return SUMI_DAMAGE_DONE;
  }
  size_t bytes;
  struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = info.dtype, .rank = info.rank};
  for (int k = 0; k < info.rank; k++) t.dim[k] = info.dim[k];
  if (!sumi_dtype_bytes(info.dtype, count, &bytes)) return SUMI_DAMAGE_NEXT;
  struct sumi_blob *blob = sumi_blob_new(g->allocator, bytes + 1);
  if (!blob) return SUMI_DAMAGE_SAME;
  t.data = sumi_blob_bytes(blob);
  for (int64_t k = 0; k < count; k++) sumi_set_i64(t.dtype, t.data, k, d->fill);
  struct sumi_value *v = sumi_graph_add_constant(g, NULL, &t, blob);
  if (v) sumi_node_set_input(node, i, v);
  return v ? SUMI_DAMAGE_DONE : SUMI_DAMAGE_SAME;
}

/* ---- how many ------------------------------------------------------------------------------------------------------ */

static enum sumi_damage_done input_missing(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                           struct sumi_damage *d) {
  (void)g;
  if (i >= own_inputs(node)) return SUMI_DAMAGE_NO_MORE;
  if (j == 2 || !node->in[i] || (j && node->n_captured)) return SUMI_DAMAGE_NEXT;
  const struct sumi_port *p = port_at(node->op->in, i);
  if (p && !(p->flags & (SUMI_PORT_OPTIONAL | SUMI_PORT_VARIADIC))) must(d, p->name, "");
  if (j)
    sumi_node_keep_inputs(node, i);
  else
    sumi_node_set_input(node, i, NULL);
  say(d, "%s input %d", j ? "no more than" : "without", i);
  return SUMI_DAMAGE_DONE;
}

static enum sumi_damage_done inputs_too_many(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                             struct sumi_damage *d) {
  if (i) return SUMI_DAMAGE_NO_MORE;
  if (j) return SUMI_DAMAGE_NEXT;
  int n = 0;
  for (const struct sumi_port *p = node->op->in; p && p->name; p++, n++)
    if (p->flags & SUMI_PORT_VARIADIC) return SUMI_DAMAGE_NEXT;
  if (node->n_captured) return SUMI_DAMAGE_NEXT;
  const struct sumi_info info = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 1, .dim = {1}};
  struct sumi_value *v = sumi_graph_add_input(g, NULL, &info);
  while (v && node->n_in <= n)
    if (!sumi_node_add_input(node, node->n_in < n ? NULL : v)) return SUMI_DAMAGE_NEXT;
  must(d, "inputs", "");
  say(d, "%d inputs", node->n_in);
  return v ? SUMI_DAMAGE_DONE : SUMI_DAMAGE_NEXT;
}

/* A node like this one with n outputs takes its place; the outputs beyond its own are new. */
static enum sumi_damage_done outputs_too_many(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                              struct sumi_damage *d) {
  enum { MOST = 32 };
  struct sumi_value *out[MOST];
  if (i) return SUMI_DAMAGE_NO_MORE;
  if (j) return SUMI_DAMAGE_NEXT;
  int n = 0;
  for (const struct sumi_port *p = node->op->out; p && p->name; p++, n++)
    if (p->flags & SUMI_PORT_VARIADIC) return SUMI_DAMAGE_NEXT;
  if (n + 1 > MOST) return SUMI_DAMAGE_NEXT;
  struct sumi_value **copy = SUMI_NEW_ARRAY(g->arena, (size_t)n + 1, struct sumi_value *);
  if (!copy) return SUMI_DAMAGE_NEXT;
  for (int k = 0; k <= n; k++) {
    out[k] = k < node->n_out ? node->out[k] : k == n ? sumi_graph_add_value(g, NULL) : NULL;
    copy[k] = out[k];
  }
  if (!copy[n]) return SUMI_DAMAGE_NEXT;
  copy[n]->producer = node;
  node->out = copy;
  node->n_out = n + 1;
  must(d, "outputs", "");
  say(d, "%d outputs", n + 1);
  return SUMI_DAMAGE_DONE;
}

/* An output that is there is not wanted. */
static enum sumi_damage_done output_missing(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                            struct sumi_damage *d) {
  (void)g;
  if (i >= node->n_out) return SUMI_DAMAGE_NO_MORE;
  if (j || !node->out[i] || node->out[i]->n_use) return SUMI_DAMAGE_NEXT;
  node->out[i]->producer = NULL;
  node->out[i] = NULL;
  say(d, "output %d is not wanted", i);
  return SUMI_DAMAGE_DONE;
}

static const struct sumi_damage_kind kinds[] = {
    {"unknown attribute", unknown_attr},   {"attribute's type", attr_of_other_type},
    {"attribute missing", attr_missing},   {"attribute's value", attr_value},
    {"input's type", input_type},          {"input's kind", input_kind},
    {"input's rank", input_rank},          {"input's size", input_size},
    {"input's values", input_values},      {"input missing", input_missing},
    {"inputs too many", inputs_too_many},  {"outputs too many", outputs_too_many},
    {"output not wanted", output_missing},
};

const struct sumi_damage_kind *sumi_damage_kinds(size_t *n) {
  *n = SUMI_COUNT(kinds);
  return kinds;
}
