/* sumi version: which Sumi this is, and what machine it sees. */
#include <sumi/inspect.h>
#include "common/option.h"

int cli_version(int argc, char **argv) {
  struct cli_list arguments = {0};
  const struct cli_option options[] = {{NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "version",
      .arguments = "",
      .summary = "Prints the version, the machine, and the instruction set in force.",
      .example = "  sumi version --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON && cli_wants_json()) {
    json_t *j = json_object();
    json_object_set_new(j, "version", json_string(sumi_version()));
    json_object_set_new(j, "machine", cli_json_text(sumi_machine()));
    json_object_set_new(j, "isa", json_string(sumi_isa_name()));
    status = cli_print_json(j);
  } else if (status == CLI_GO_ON) {
    printf("sumi %s\n%s; in force: %s\n", sumi_version(), sumi_machine(), sumi_isa_name());
    status = CLI_DONE;
  }
  cli_list_fini(&arguments);
  return status;
}
