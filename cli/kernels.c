/* sumi kernels: the rows of all kernel families, best first, and which of them run here. */
#include <sumi/inspect.h>
#include "common/option.h"

static bool show(void *user, const struct sumi_kernel_info *k) {
  json_t *list = user, *j = json_object();
  if (!cli_wants_json())
    printf("%-14s %-30s %-12s %-4s %s\n", k->family, k->name, k->isa, k->runs_here ? "yes" : "no",
           k->what ? k->what : "");
  json_object_set_new(j, "family", cli_json_text(k->family));
  json_object_set_new(j, "name", cli_json_text(k->name));
  json_object_set_new(j, "isa", cli_json_text(k->isa));
  json_object_set_new(j, "runs_here", json_boolean(k->runs_here));
  json_object_set_new(j, "what", cli_json_text(k->what));
  json_array_append_new(list, j);
  return true;
}

int cli_kernels(int argc, char **argv) {
  struct cli_list arguments = {0};
  const struct cli_option options[] = {{NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "kernels",
      .arguments = "",
      .summary = "Lists the kernels by family, best first, and which of them run on this machine.",
      .example = "  sumi kernels\n  SUMI_ISA=avx2 sumi kernels --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) {
    json_t *list = json_array(), *j = json_object();
    if (!cli_wants_json()) printf("%-14s %-30s %-12s %-4s %s\n", "family", "kernel", "isa", "here", "what");
    sumi_visit_kernels(show, list);
    json_object_set_new(j, "machine", cli_json_text(sumi_machine()));
    json_object_set_new(j, "isa", json_string(sumi_isa_name()));
    json_object_set_new(j, "kernels", list);
    status = CLI_DONE;
    if (cli_wants_json())
      status = cli_print_json(j);
    else
      printf("%s; in force: %s\n", sumi_machine(), sumi_isa_name()), json_decref(j);
  }
  cli_list_fini(&arguments);
  return status;
}
