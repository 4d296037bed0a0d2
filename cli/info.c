/* sumi info: what a model is. */
#include <stdlib.h>
#include <string.h>

#include "common/feed.h"

struct op_count {
  char *op;
  int version;
  size_t n;
};

/* What the visit of the nodes gathers. */
struct survey {
  struct op_count *ops; /* in order of first use */
  size_t n_ops, cap;
  size_t n_nodes;
  int64_t parameters;
  double zeros; /* among them */
  double dense_macs, macs;
  bool macs_known;
  json_t *list; /* layers with weights */
};

static void count_op(struct survey *s, const struct sumi_node_info *n) {
  for (size_t i = 0; i < s->n_ops; i++)
    if (strcmp(s->ops[i].op, n->op) == 0 && s->ops[i].version == n->version) {
      s->ops[i].n++;
      return;
    }
  s->ops = cli_grow(s->ops, &s->cap, s->n_ops + 1, sizeof *s->ops);
  s->ops[s->n_ops++] = (struct op_count){cli_strdup(n->op), n->version, 1};
}

static bool look_at(void *user, const struct sumi_node_info *n) {
  struct survey *s = user;
  count_op(s, n);
  s->n_nodes++;
  s->parameters += n->parameters;
  if (n->dense_macs < 0)
    s->macs_known = false;
  else
    s->dense_macs += n->dense_macs, s->macs += n->macs;
  if (n->density < 0 || n->parameters <= 0) return true;
  s->zeros += (1 - n->density) * (double)n->parameters;
  json_t *j = json_object();
  json_object_set_new(j, "node", cli_json_text(n->name));
  json_object_set_new(j, "op", cli_json_text(n->op));
  json_object_set_new(j, "shapes", cli_json_text(n->output_shapes));
  json_object_set_new(j, "parameters", json_integer(n->parameters));
  json_object_set_new(j, "density", cli_json_number(n->density));
  json_object_set_new(j, "pattern", cli_json_text(n->pattern));
  json_object_set_new(j, "dense_macs", n->dense_macs < 0 ? json_null() : cli_json_number(n->dense_macs));
  json_object_set_new(j, "macs", n->macs < 0 ? json_null() : cli_json_number(n->macs));
  json_array_append_new(s->list, j);
  return true;
}

static json_t *port_json(const struct sumi_port_info *p) {
  json_t *j = json_object(), *dims = p->rank < 0 ? json_null() : json_array();
  for (int i = 0; i < p->rank; i++)
    json_array_append_new(
        dims, p->dims[i] >= 0 ? json_integer(p->dims[i])
                              : cli_json_text(p->dim_names[i] && *p->dim_names[i] ? p->dim_names[i] : "?"));
  static const char *const kinds[SUMI_N_KINDS] = {
      "tensor", "sequence", "optional", "optional sequence", "map", "sequence of maps"};
  json_object_set_new(j, "name", cli_json_text(p->name));
  json_object_set_new(j, "kind", json_string((unsigned)p->kind < SUMI_N_KINDS ? kinds[p->kind] : "?"));
  json_object_set_new(j, "dtype", json_string(sumi_dtype_name(p->dtype)));
  if (p->key) json_object_set_new(j, "key", json_string(sumi_dtype_name(p->key)));
  json_object_set_new(j, "shape", dims);
  if (p->has_default) json_object_set_new(j, "has_default", json_true());
  return j;
}

static void print_ports(const struct sumi_model *model, bool inputs, json_t *j) {
  json_t *list = json_array();
  const size_t n = inputs ? sumi_model_input_count(model) : sumi_model_output_count(model);
  if (!cli_wants_json()) printf(inputs ? "inputs\n" : "outputs\n");
  for (size_t i = 0; i < n; i++) {
    const struct sumi_port_info p = inputs ? cli_input(model, i) : cli_output(model, i);
    char text[400];
    if (!cli_wants_json())
      printf("  %s: %s%s\n", p.name, cli_port_text(&p, text, sizeof text),
             p.has_default ? " (has a default)" : "");
    json_array_append_new(list, port_json(&p));
  }
  json_object_set_new(j, inputs ? "inputs" : "outputs", list);
}

static void print_facts(const struct sumi_model *model, json_t *j) {
  json_t *facts = json_object(), *metadata = json_object();
  const char *key, *value;
  for (size_t i = 0; sumi_model_fact(model, i, &key, &value); i++) {
    if (!cli_wants_json()) printf("%s: %s\n", key, value);
    json_object_set_new(facts, key, cli_json_text(value));
  }
  for (size_t i = 0; sumi_model_metadata(model, i, &key, &value); i++)
    json_object_set_new(metadata, key, cli_json_text(value));
  json_object_set_new(j, "facts", facts);
  json_object_set_new(j, "metadata", metadata);
}

/* What a compiled file says of itself. */
static void print_compiled(const struct sumi_model *model, json_t *j) {
  struct sumi_compiled_info c = {.size = sizeof c};
  if (sumi_model_compiled(model, &c, NULL) != SUMI_OK) return;
  if (!cli_wants_json())
    printf("compiled: by %s for %s, %s\n", c.library, c.isa,
           c.is_for_here ? "used as it is" : "packed again here");
  json_t *compiled = json_object();
  json_object_set_new(compiled, "library", cli_json_text(c.library));
  json_object_set_new(compiled, "isa", cli_json_text(c.isa));
  json_object_set_new(compiled, "is_for_here", json_boolean(c.is_for_here));
  json_object_set_new(compiled, "weight_bytes", json_integer((json_int_t)c.weight_bytes));
  json_object_set_new(compiled, "packed_bytes", json_integer((json_int_t)c.packed_bytes));
  json_object_set_new(j, "compiled", compiled);
}

static int by_count(const void *a, const void *b) {
  const struct op_count *x = a, *y = b;
  if (x->n != y->n) return x->n < y->n ? 1 : -1;
  return strcmp(x->op, y->op);
}

static void print_survey(struct survey *s, json_t *j) {
  json_t *ops = json_array();
  qsort(s->ops, s->n_ops, sizeof *s->ops, by_count);
  if (!cli_wants_json()) printf("operators\n");
  for (size_t i = 0; i < s->n_ops; i++) {
    if (!cli_wants_json()) printf("  %5zu %s %d\n", s->ops[i].n, s->ops[i].op, s->ops[i].version);
    json_t *op = json_object();
    json_object_set_new(op, "op", cli_json_text(s->ops[i].op));
    json_object_set_new(op, "version", json_integer(s->ops[i].version));
    json_object_set_new(op, "count", json_integer((json_int_t)s->ops[i].n));
    json_array_append_new(ops, op);
  }
  const double density = s->parameters ? 1 - s->zeros / (double)s->parameters : 1;
  json_object_set_new(j, "nodes", json_integer((json_int_t)s->n_nodes));
  json_object_set_new(j, "operators", ops);
  json_object_set_new(j, "parameters", json_integer(s->parameters));
  json_object_set_new(j, "density", cli_json_number(density));
  json_object_set_new(j, "dense_macs", s->macs_known ? cli_json_number(s->dense_macs) : json_null());
  json_object_set_new(j, "macs", s->macs_known ? cli_json_number(s->macs) : json_null());
  if (cli_wants_json()) return;
  char a[32], b[32], c[32];
  printf("%zu nodes, %s parameters, density %.4f\n", s->n_nodes,
         cli_quantity((double)s->parameters, a, sizeof a), density);
  printf("%s%s MACs dense, %s without zero weights%s\n", s->macs_known ? "" : "at least ",
         cli_quantity(s->dense_macs, b, sizeof b), cli_quantity(s->macs, c, sizeof c),
         s->macs_known ? "" : " (some shapes depend on data)");
}

static void print_layers(const struct survey *s) {
  if (cli_wants_json() || !json_array_size(s->list)) return;
  printf("%-40s %-20s %12s %8s %-8s %10s  %s\n", "layer", "operator", "parameters", "density", "pattern",
         "MACs", "output");
  size_t i;
  json_t *j;
  json_array_foreach(s->list, i, j) {
    char macs[32];
    const char *pattern = json_string_value(json_object_get(j, "pattern"));
    printf("%-40.40s %-20.20s %12lld %8.4f %-8s %10s  %s\n", json_string_value(json_object_get(j, "node")),
           json_string_value(json_object_get(j, "op")),
           (long long)json_integer_value(json_object_get(j, "parameters")),
           json_number_value(json_object_get(j, "density")), pattern && *pattern ? pattern : "-",
           cli_quantity(json_number_value(json_object_get(j, "dense_macs")), macs, sizeof macs),
           json_string_value(json_object_get(j, "shapes")));
  }
}

static int info(const char *path, const struct cli_feed_options *o, bool brief) {
  struct sumi_model *model = NULL;
  struct cli_feed feed = {0};
  struct sumi_err err = SUMI_ERR_INIT;
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON && (o->shapes.n || o->batch)) status = cli_feed_make(model, o, &feed);
  if (status != CLI_GO_ON) {
    sumi_model_unref(model);
    return status;
  }
  struct survey s = {.macs_known = true, .list = json_array()};
  json_t *j = json_object();
  json_object_set_new(j, "model", cli_json_text(path));
  print_facts(model, j);
  print_compiled(model, j);
  print_ports(model, true, j);
  print_ports(model, false, j);
  const sumi_status visited =
      sumi_model_visit_nodes(model, feed.n ? feed.view : NULL, feed.n, look_at, &s, &err);
  if (visited == SUMI_OK) {
    print_survey(&s, j);
    if (!brief) print_layers(&s);
    json_object_set(j, "layers", s.list);
    status = cli_wants_json() ? cli_print_json(json_incref(j)) : CLI_DONE;
  } else {
    status = cli_refuse(visited, "%s", err.text);
  }
  for (size_t i = 0; i < s.n_ops; i++) free(s.ops[i].op);
  free(s.ops);
  json_decref(s.list);
  json_decref(j);
  cli_feed_fini(&feed);
  sumi_model_unref(model);
  return status;
}

int cli_info(int argc, char **argv) {
  struct cli_feed_options feed = {.random = "1"};
  struct cli_list arguments = {0};
  bool brief = false;
  const struct cli_option options[] = {{"brief", 0, CLI_FLAG, &brief, NULL, "leave out the layers", 0, 0},
                                       CLI_SHAPE_OPTIONS(feed),
                                       {"batch", 'b', CLI_WHOLE, &feed.batch, "N",
                                        "first dim of the inputs, where the model leaves it open", 1, 1e6},
                                       {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "info",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "Prints inputs, outputs, operators, parameters, multiply-accumulates, and per layer the "
                 "density of its\n"
                 "weights and the pattern its zeros keep. --shape or --batch fixes open dims, so that work "
                 "can be counted.",
      .example = "  sumi info model.onnx\n  sumi info model.onnx --batch 1 --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = info(arguments.item[0], &feed, brief);
  cli_list_fini(&arguments);
  cli_feed_options_fini(&feed);
  return status;
}
