/* sumi ops: the operators, their versions, element types and devices; or one operator's inputs and outputs. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <sumi/inspect.h>
#include "common/option.h"

#define ROW "%-26s %-24s %-30s %-8s %s\n"

struct listing {
  const char *only; /* NULL: all */
  json_t *list;     /* what is printed with --json */
  int on_cpu;
};

/* ---- element types in few words ---------------------------------------------------------------------------------- */

static uint64_t all_types(void) {
  uint64_t all = 0;
  for (int d = 1; d < SUMI_N_DTYPES; d++) all |= (uint64_t)1 << d;
  return all;
}

/* "float32/64/16 int64/32 bool": what begins alike is said once. free() */
static char *types_text(uint64_t set) {
  if (set == all_types()) return cli_strdup("every type");
  char *text = cli_strdup("");
  const char *last = "";
  size_t n_last = 0;
  for (int d = 1; d < SUMI_N_DTYPES; d++) {
    if (!(set >> d & 1)) continue;
    const char *name = sumi_dtype_name((sumi_dtype)d);
    const size_t n = strcspn(name, "0123456789");
    const bool alike = n_last && n == n_last && !strncmp(last, name, n);
    char *longer = cli_printf("%s%s%s", text, alike ? "/" : *text ? " " : "", alike ? name + n : name);
    free(text);
    text = longer;
    last = name;
    n_last = n;
  }
  return text;
}

/* "maps of float32", "float32/64". free() */
static char *port_text(const struct sumi_op_port_info *port) {
  char *types = types_text(port->dtypes);
  const bool plain = !strcmp(port->kind, "tensor") || !strcmp(port->kind, "any");
  char *text = plain ? cli_strdup(types) : cli_printf("%s of %s", port->kind, types);
  free(types);
  return text;
}

/* The input whose type the first output has, else the first input; without inputs the first output. NULL: neither. */
static const struct sumi_op_port_info *main_port(const struct sumi_op_info *op) {
  for (size_t i = 0; i < op->n_inputs && op->n_outputs; i++)
    if (op->inputs[i].var && op->inputs[i].var == op->outputs[0].var) return &op->inputs[i];
  return op->n_inputs ? op->inputs : op->n_outputs ? op->outputs : NULL;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *json_ports(const struct sumi_op_port_info *port, size_t n) {
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++) {
    json_t *j = json_object(), *types = json_array();
    for (int d = 1; d < SUMI_N_DTYPES; d++)
      if (port[i].dtypes >> d & 1)
        json_array_append_new(types, cli_json_text(sumi_dtype_name((sumi_dtype)d)));
    json_object_set_new(j, "name", cli_json_text(port[i].name));
    json_object_set_new(j, "kind", cli_json_text(port[i].kind));
    json_object_set_new(j, "types", types);
    json_object_set_new(j, "optional", json_boolean(port[i].optional));
    json_object_set_new(j, "variadic", json_boolean(port[i].variadic));
    json_array_append_new(list, j);
  }
  return list;
}

static const char *domain_of(const struct sumi_op_info *op) { return *op->domain ? op->domain : "ai.onnx"; }

static void add_json(const struct sumi_op_info *op, json_t *list) {
  json_t *j = json_object(), *versions = json_array();
  for (const int *v = op->versions; v && *v; v++) json_array_append_new(versions, json_integer(*v));
  json_object_set_new(j, "name", cli_json_text(op->name));
  json_object_set_new(j, "domain", cli_json_text(domain_of(op)));
  json_object_set_new(j, "versions", versions);
  json_object_set_new(j, "formula", cli_json_text(op->formula));
  json_object_set_new(j, "inputs", json_ports(op->inputs, op->n_inputs));
  json_object_set_new(j, "outputs", json_ports(op->outputs, op->n_outputs));
  json_object_set_new(j, "on_cpu", json_boolean(op->on_cpu));
  json_array_append_new(list, j);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void print_ports(const char *what, const struct sumi_op_port_info *port, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char *types = port_text(&port[i]);
    printf("  %-7s %-24s %s%s%s\n", what, port[i].name, types, port[i].optional ? ", may be left out" : "",
           port[i].variadic ? ", any number" : "");
    free(types);
  }
}

static void print_row(const struct sumi_op_info *op, bool ports) {
  char versions[160] = "";
  int at = 0;
  for (const int *v = op->versions; v && *v && (size_t)at < sizeof versions; v++)
    at += snprintf(versions + at, sizeof versions - (size_t)at, "%s%d", at ? "," : "", *v);
  const struct sumi_op_port_info *port = main_port(op);
  char *types = port ? port_text(port) : cli_strdup("");
  printf(ROW, op->name, domain_of(op), versions, op->on_cpu ? "cpu, ref" : "ref", types);
  free(types);
  if (!ports) return;
  printf("  %s\n", op->formula);
  print_ports("input", op->inputs, op->n_inputs);
  print_ports("output", op->outputs, op->n_outputs);
}

static bool show(void *user, const struct sumi_op_info *op) {
  struct listing *l = user;
  if (l->only && strcmp(l->only, op->name)) return true;
  if (!cli_wants_json() && !json_array_size(l->list))
    printf(ROW, "operator", "domain", "versions", "devices", "types");
  if (!cli_wants_json()) print_row(op, l->only != NULL);
  add_json(op, l->list);
  l->on_cpu += op->on_cpu;
  return true;
}

int cli_ops(int argc, char **argv) {
  struct cli_list arguments = {0};
  const struct cli_option options[] = {{NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "ops",
      .arguments = "[OPERATOR]",
      .max_arguments = 1,
      .summary =
          "Lists the operators: ONNX domain and versions, the devices that have a function of their own for\n"
          "it (what device cpu has none for runs by ref's), and the element types of the data; of one\n"
          "operator its formula, inputs and outputs as well.",
      .example = "  sumi ops Conv",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) {
    struct listing l = {.only = arguments.n ? arguments.item[0] : NULL, .list = json_array()};
    json_t *j = json_object();
    sumi_visit_ops(show, &l);
    const size_t n = json_array_size(l.list);
    json_object_set_new(j, "operators", l.list);
    status = CLI_DONE;
    if (l.only && !n)
      status = cli_wrong("there is no operator '%s'; sumi ops lists them", l.only);
    else if (cli_wants_json())
      status = cli_print_json(j), j = NULL;
    else if (!l.only)
      printf("%zu operators, %d of them with a fast path on device cpu\n", n, l.on_cpu);
    json_decref(j);
  }
  cli_list_fini(&arguments);
  return status;
}
