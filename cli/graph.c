/* sumi graph: the graph as text after a pass. */
#include <stdlib.h>
#include <string.h>

#include "common/session.h"

struct collected {
  char *text;
  size_t n, cap;
};

static void collect(void *user, const char *bytes, size_t n) {
  struct collected *c = user;
  if (!cli_wants_json()) {
    fwrite(bytes, 1, n, stdout);
    return;
  }
  c->text = cli_grow(c->text, &c->cap, c->n + n + 1, 1);
  memcpy(c->text + c->n, bytes, n);
  c->n += n;
}

static bool list_pass(void *user, const struct sumi_named *pass) {
  json_t *list = user;
  if (!cli_wants_json()) printf("%-24s %s\n", pass->name, pass->what);
  json_t *j = json_object();
  json_object_set_new(j, "name", cli_json_text(pass->name));
  json_object_set_new(j, "what", cli_json_text(pass->what));
  json_array_append_new(list, j);
  return true;
}

static int list_passes(void) {
  json_t *list = json_array();
  if (!cli_wants_json()) printf("%-24s %s\n", "import", "before all passes");
  sumi_visit_passes(list_pass, list);
  json_t *j = json_object();
  json_object_set_new(j, "passes", list);
  if (cli_wants_json()) return cli_print_json(j);
  json_decref(j);
  return CLI_DONE;
}

struct search {
  const char *name;
  bool found;
};

static bool is_pass(void *user, const struct sumi_named *pass) {
  struct search *s = user;
  s->found = s->found || strcmp(s->name, pass->name) == 0;
  return true;
}

static int print(const char *path, const char *after, const char *device) {
  struct sumi_model *model = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  if (after) {
    struct search s = {after, strcmp(after, "import") == 0};
    sumi_visit_passes(is_pass, &s);
    if (!s.found) return cli_wrong("there is no pass '%s' (sumi graph --list names them)", after);
  }
  int status = cli_open_model(path, &model);
  if (status != CLI_GO_ON) return status;
  struct collected c = {0};
  const sumi_status printed = sumi_model_print(model, after, device, collect, &c, &err);
  if (printed != SUMI_OK) {
    status = cli_refuse(printed, "%s", err.text);
  } else if (cli_wants_json()) {
    json_t *j = json_object();
    json_object_set_new(j, "after", after ? cli_json_text(after) : json_null());
    json_object_set_new(j, "graph", cli_json_text_n(c.text ? c.text : "", c.n));
    status = cli_print_json(j);
  } else {
    status = CLI_DONE;
  }
  free(c.text);
  sumi_model_unref(model);
  return status;
}

int cli_graph(int argc, char **argv) {
  const char *after = NULL, *device = NULL;
  bool list = false;
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      {"after", 'a', CLI_TEXT, &after, "PASS",
       "after this pass; \"import\" = before all (the last portable pass)", 0, 0},
      {"device", 'd', CLI_TEXT, &device, "D", "for passes that depend on the device", 0, 0},
      {"list", 'l', CLI_FLAG, &list, NULL, "name the passes, in running order", 0, 0},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {.command = "graph",
                                  .arguments = "MODEL",
                                  .min_arguments = 0,
                                  .max_arguments = 1,
                                  .summary = "Prints the graph as text, as it is after a pass.",
                                  .example = "  sumi graph model.onnx --after import\n  sumi graph --list",
                                  .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON && list)
    status = list_passes();
  else if (status == CLI_GO_ON && !arguments.n)
    status = cli_wrong("something is missing: sumi graph MODEL");
  else if (status == CLI_GO_ON)
    status = print(arguments.item[0], after, device);
  cli_list_fini(&arguments);
  return status;
}
