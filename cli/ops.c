/* sumi ops: the operators, their versions and element types. */
#include <sumi/inspect.h>
#include "common/option.h"

static bool show(void *user, const struct sumi_op_info *op) {
  json_t *list = user, *j = json_object(), *versions = json_array();
  char text[160] = "";
  int at = 0;
  for (const int *v = op->versions; v && *v; v++) {
    json_array_append_new(versions, json_integer(*v));
    if ((size_t)at < sizeof text)
      at += snprintf(text + at, sizeof text - (size_t)at, "%s%d", at ? "," : "", *v);
  }
  if (!cli_wants_json())
    printf("%-26s %-14s %-22s %-4s %s\n", op->name, *op->domain ? op->domain : "ai.onnx", text,
           op->on_cpu ? "cpu" : "ref", op->formula ? op->formula : "");
  json_object_set_new(j, "name", cli_json_text(op->name));
  json_object_set_new(j, "domain", cli_json_text(*op->domain ? op->domain : "ai.onnx"));
  json_object_set_new(j, "versions", versions);
  json_object_set_new(j, "formula", cli_json_text(op->formula));
  json_object_set_new(j, "dtypes", cli_json_text(op->dtypes));
  json_object_set_new(j, "on_cpu", json_boolean(op->on_cpu));
  json_array_append_new(list, j);
  return true;
}

int cli_ops(int argc, char **argv) {
  struct cli_list arguments = {0};
  const struct cli_option options[] = {{NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "ops",
      .arguments = "",
      .summary =
          "Lists the operators: ONNX domain and versions, whether device cpu has a fast path, formula.",
      .example = "  sumi ops --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) {
    json_t *list = json_array(), *j = json_object();
    sumi_visit_ops(show, list);
    const size_t n = json_array_size(list);
    json_object_set_new(j, "operators", list);
    status = CLI_DONE;
    if (cli_wants_json()) {
      status = cli_print_json(j);
    } else {
      printf("%zu operators\n", n);
      json_decref(j);
    }
  }
  cli_list_fini(&arguments);
  return status;
}
