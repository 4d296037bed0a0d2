/* sumi knobs: what can be turned from outside: environment variables, devices, passes. */
#include <sumi/inspect.h>
#include "common/option.h"

static bool show(void *user, const struct sumi_named *n) {
  json_t *list = user, *j = json_object();
  if (!cli_wants_json())
    printf("  %-24s %s%s%s\n", n->name, n->what ? n->what : "", n->value && *n->value ? "; now " : "",
           n->value ? n->value : "");
  json_object_set_new(j, "name", cli_json_text(n->name));
  json_object_set_new(j, "what", cli_json_text(n->what));
  json_object_set_new(j, "value", n->value ? cli_json_text(n->value) : json_null());
  json_array_append_new(list, j);
  return true;
}

int cli_knobs(int argc, char **argv) {
  static const struct {
    const char *name, *title;
    void (*visit)(bool (*visit)(void *, const struct sumi_named *), void *);
  } tables[] = {{"environment", "environment variables", sumi_visit_knobs},
                {"devices", "devices", sumi_visit_devices},
                {"passes", "passes, in running order", sumi_visit_passes}};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {{NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "knobs",
      .arguments = "",
      .summary = "Lists what can be turned from outside: environment variables, devices, passes.",
      .example = "  sumi knobs",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) {
    json_t *j = json_object();
    for (size_t i = 0; i < CLI_COUNT(tables); i++) {
      json_t *list = json_array();
      if (!cli_wants_json()) printf("%s\n", tables[i].title);
      tables[i].visit(show, list);
      json_object_set_new(j, tables[i].name, list);
    }
    status = CLI_DONE;
    if (cli_wants_json())
      status = cli_print_json(j);
    else
      json_decref(j);
  }
  cli_list_fini(&arguments);
  return status;
}
