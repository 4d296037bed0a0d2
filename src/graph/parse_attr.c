/* Attributes of the text syntax. What a value is, is known from how it is written, or said: "alpha: float = 1". */
#include <string.h>

#include "base/size.h"
#include "graph/parse_int.h"

enum { NO_TYPE = SUMI_N_ATTR_TYPES };

/* The plural of a type, or its singular; NO_TYPE where there is none. */
static enum sumi_attr_type plural(enum sumi_attr_type type) {
  switch (type) {
    case SUMI_ATTR_INT: return SUMI_ATTR_INTS;
    case SUMI_ATTR_FLOAT: return SUMI_ATTR_FLOATS;
    case SUMI_ATTR_STRING: return SUMI_ATTR_STRINGS;
    case SUMI_ATTR_TENSOR: return SUMI_ATTR_TENSORS;
    case SUMI_ATTR_GRAPH: return SUMI_ATTR_GRAPHS;
    default: return (enum sumi_attr_type)NO_TYPE;
  }
}

static enum sumi_attr_type singular(enum sumi_attr_type type) {
  for (int t = 0; t < SUMI_N_ATTR_TYPES; t++)
    if (plural((enum sumi_attr_type)t) == type) return (enum sumi_attr_type)t;
  return (enum sumi_attr_type)NO_TYPE;
}

static sumi_status parse_attr_type(struct sumi_parser *p, enum sumi_attr_type *type) {
  struct sumi_str s;
  const char *at = sumi_parse_here(p);
  SUMI_TRY(sumi_read_word(&p->r, &s));
  for (int t = 0; t < SUMI_N_ATTR_TYPES; t++)
    if (sumi_str_is(s, sumi_attr_type_label((enum sumi_attr_type)t))) {
      *type = (enum sumi_attr_type)t;
      return SUMI_OK;
    }
  FAIL_AT(p, at, "unknown attribute type '%.*s'", (int)SUMI_MIN(s.size, 40), s.data);
}

/* One value as read. A number keeps its text until the attribute's type is certain. */
struct item {
  enum sumi_attr_type type;
  const char *at;
  struct sumi_literal number;
  struct sumi_str string;
  struct sumi_tensor *tensor;
  struct sumi_info *info;
  struct sumi_graph *graph;
};

static sumi_status parse_body(struct sumi_parser *p, struct sumi_graph *g, struct sumi_graph **out) {
  const char *name, *at = sumi_parse_here(p);
  SUMI_TRY(sumi_read_name(&p->r, &name));
  if (g->depth >= SUMI_MAX_BODY_DEPTH)
    return sumi_read_fail(&p->r, at, SUMI_E_LIMIT, "bodies nest deeper than %d", SUMI_MAX_BODY_DEPTH);
  *out = sumi_graph_new_body(g, name);
  if (!*out) SUMI_FAIL_MEMORY(p->r.err);
  return sumi_parse_graph(p, *out);
}

/* A type, or with {...} behind it a tensor (whose name, if any, says nothing). */
static sumi_status parse_type_or_tensor(struct sumi_parser *p, struct sumi_graph *g, enum sumi_attr_type want,
                                        struct item *out) {
  out->info = SUMI_NEW(g->arena, struct sumi_info);
  if (!out->info) SUMI_FAIL_MEMORY(p->r.err);
  SUMI_TRY(sumi_read_type(&p->r, g->symbols, out->info));
  out->type = SUMI_ATTR_TYPE;
  const char c = sumi_read_peek(&p->r);
  if (want == SUMI_ATTR_TYPE ||
      (want != SUMI_ATTR_TENSOR && c != '{' && c != '=' && !sumi_read_at_name(&p->r)))
    return SUMI_OK;
  const char *ignored;
  struct sumi_blob *blob;
  if (sumi_read_at_name(&p->r)) SUMI_TRY(sumi_read_name(&p->r, &ignored));
  sumi_read_take(&p->r, '=');
  out->type = SUMI_ATTR_TENSOR;
  out->tensor = SUMI_NEW(g->arena, struct sumi_tensor);
  if (!out->tensor) SUMI_FAIL_MEMORY(p->r.err);
  SUMI_TRY(sumi_read_tensor(&p->r, out->info, g->arena, out->tensor, &blob));
  if (!sumi_graph_hold(g, blob)) SUMI_FAIL_MEMORY(p->r.err);
  return SUMI_OK;
}

/* want: what the attribute is said to hold, or NO_TYPE. */
static sumi_status parse_item(struct sumi_parser *p, struct sumi_graph *g, enum sumi_attr_type want,
                              struct item *out) {
  *out = (struct item){.at = sumi_parse_here(p)};
  const char c = sumi_read_peek(&p->r);
  if (want == SUMI_ATTR_GRAPH) {
    out->type = SUMI_ATTR_GRAPH;
    return parse_body(p, g, &out->graph);
  }
  if (c == '"') {
    out->type = SUMI_ATTR_STRING;
    return sumi_read_string(&p->r, &out->string);
  }
  if (c == '@')
    return sumi_read_fail(&p->r, p->r.p, SUMI_E_UNSUPPORTED, "a reference to a function's attribute");
  if (sumi_read_at_number(&p->r)) {
    SUMI_TRY(sumi_read_literal(&p->r, &out->number));
    out->type = out->number.whole ? SUMI_ATTR_INT : SUMI_ATTR_FLOAT;
    return SUMI_OK;
  }
  if (sumi_read_at_type(&p->r)) return parse_type_or_tensor(p, g, want, out);
  out->type = SUMI_ATTR_GRAPH;
  return parse_body(p, g, &out->graph);
}

static sumi_status check_item(struct sumi_parser *p, const struct item *item, enum sumi_attr_type want) {
  if (item->type == want || (item->type == SUMI_ATTR_INT && want == SUMI_ATTR_FLOAT)) return SUMI_OK;
  FAIL_AT(p, item->at, "an attribute of type %s, but the value is of type %s", sumi_attr_type_label(want),
          sumi_attr_type_label(item->type));
}

static sumi_status store_string(struct sumi_parser *p, struct sumi_graph *g, struct sumi_str s,
                                struct sumi_str *out) {
  *out = (struct sumi_str){sumi_arena_strndup(g->arena, s.data, s.size), s.size};
  if (!out->data) SUMI_FAIL_MEMORY(p->r.err);
  return SUMI_OK;
}

static sumi_status store_one(struct sumi_parser *p, struct sumi_graph *g, const struct item *item,
                             struct sumi_attr *a) {
  SUMI_TRY(check_item(p, item, a->type));
  a->n = 1;
  switch (a->type) {
    case SUMI_ATTR_INT: return sumi_literal_int(&p->r, item->number, &a->u.i);
    case SUMI_ATTR_FLOAT: return sumi_literal_float(&p->r, item->number, &a->u.f);
    case SUMI_ATTR_STRING: return store_string(p, g, item->string, &a->u.s);
    case SUMI_ATTR_TENSOR: a->u.t = item->tensor; return SUMI_OK;
    case SUMI_ATTR_TYPE: a->u.type_info = item->info; return SUMI_OK;
    default: a->u.g = item->graph; return SUMI_OK;
  }
}

static sumi_status store_many(struct sumi_parser *p, struct sumi_graph *g, const struct sumi_list *list,
                              struct sumi_attr *a) {
  static const size_t bytes[SUMI_N_ATTR_TYPES] = {
      [SUMI_ATTR_INTS] = sizeof(int64_t),
      [SUMI_ATTR_FLOATS] = sizeof(float),
      [SUMI_ATTR_STRINGS] = sizeof(struct sumi_str),
      [SUMI_ATTR_TENSORS] = sizeof(struct sumi_tensor),
      [SUMI_ATTR_GRAPHS] = sizeof(struct sumi_graph *),
  };
  const struct item *item = list->items;
  char *out = sumi_arena_array(g->arena, list->n, bytes[a->type]);
  if (!out) SUMI_FAIL_MEMORY(p->r.err);
  a->n = list->n;
  a->u.ints = (const int64_t *)(const void *)out;
  for (size_t i = 0; i < list->n; i++, out += bytes[a->type]) {
    struct sumi_attr one = {.type = singular(a->type)};
    SUMI_TRY(store_one(p, g, &item[i], &one));
    memcpy(out, one.type == SUMI_ATTR_TENSOR ? (const void *)one.u.t : (const void *)&one.u, bytes[a->type]);
  }
  return SUMI_OK;
}

/* What a list holds that does not say: floats where one is a float, else what its first item is. */
static enum sumi_attr_type type_of_list(const struct sumi_list *list) {
  const struct item *item = list->items;
  enum sumi_attr_type type = item[0].type;
  for (size_t i = 0; i < list->n; i++)
    if (type == SUMI_ATTR_INT && item[i].type == SUMI_ATTR_FLOAT) type = SUMI_ATTR_FLOAT;
  return plural(type);
}

static sumi_status parse_list(struct sumi_parser *p, struct sumi_graph *g, struct sumi_attr *a) {
  const char *at = sumi_parse_here(p);
  struct sumi_list list = {0};
  const enum sumi_attr_type want = a->type == (enum sumi_attr_type)NO_TYPE ? a->type : singular(a->type);
  if (a->type != (enum sumi_attr_type)NO_TYPE && want == (enum sumi_attr_type)NO_TYPE)
    FAIL_AT(p, at, "a list for an attribute of type %s", sumi_attr_type_label(a->type));
  SUMI_TRY(sumi_read_expect(&p->r, '['));
  if (sumi_read_peek(&p->r) != ']') do {
      struct item item;
      SUMI_TRY(parse_item(p, g, want, &item));
      struct item *slot = sumi_list_push(&p->r, &list, sizeof item);
      if (!slot) SUMI_FAIL_MEMORY(p->r.err);
      *slot = item;
    } while (sumi_read_take(&p->r, ','));
  SUMI_TRY(sumi_read_expect(&p->r, ']'));
  if (a->type == (enum sumi_attr_type)NO_TYPE) {
    if (!list.n) FAIL_AT(p, at, "an empty list needs a type: name: ints = []");
    a->type = type_of_list(&list);
    if (a->type == (enum sumi_attr_type)NO_TYPE) FAIL_AT(p, at, "a list of types");
  }
  return store_many(p, g, &list, a);
}

static sumi_status parse_attr(struct sumi_parser *p, struct sumi_graph *g, struct sumi_list *attrs) {
  const char *name, *at = sumi_parse_here(p);
  SUMI_TRY(sumi_read_name(&p->r, &name));
  const struct sumi_attr *before = attrs->items;
  for (size_t i = 0; i < attrs->n; i++)
    if (sumi_streq(before[i].name, name)) FAIL_AT(p, at, "attribute '%.80s' twice", name);
  struct sumi_attr a = {.name = name, .type = (enum sumi_attr_type)NO_TYPE};
  if (sumi_read_take(&p->r, ':')) SUMI_TRY(parse_attr_type(p, &a.type));
  SUMI_TRY(sumi_read_expect(&p->r, '='));
  if (sumi_read_peek(&p->r) == '[') {
    SUMI_TRY(parse_list(p, g, &a));
  } else {
    struct item item;
    SUMI_TRY(parse_item(p, g, a.type, &item));
    if (a.type == (enum sumi_attr_type)NO_TYPE) a.type = item.type;
    SUMI_TRY(store_one(p, g, &item, &a));
  }
  struct sumi_attr *slot = sumi_list_push(&p->r, attrs, sizeof a);
  if (!slot) SUMI_FAIL_MEMORY(p->r.err);
  *slot = a;
  return SUMI_OK;
}

sumi_status sumi_parse_attrs(struct sumi_parser *p, struct sumi_graph *g, struct sumi_list *attrs) {
  enum { MOST = 1000 }; /* more than any operator has; looking for doubles is quadratic */
  if (!sumi_read_take(&p->r, '<')) return SUMI_OK;
  do {
    if (attrs->n == MOST) return sumi_read_fail(&p->r, p->r.p, SUMI_E_LIMIT, "more than %d attributes", MOST);
    SUMI_TRY(parse_attr(p, g, attrs));
  } while (sumi_read_take(&p->r, ','));
  return sumi_read_expect(&p->r, '>');
}
