/* sumi compile: an ONNX model to a file that opens in milliseconds, with its weights packed for this machine; and whether
 * such a file is what was written. */
#include "common/feed.h"

struct compile_options {
  struct cli_feed_options feed;
  const char *output;
  bool portable, verify;
};

static int report(const struct sumi_model *model, const char *path, double seconds) {
  struct sumi_compiled_info c = {.size = sizeof c};
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_model_compiled(model, &c, &err);
  if (status != SUMI_OK) return cli_refuse(status, "'%s': %s", path, err.text);
  if (!cli_wants_json()) {
    char a[32], b[32], g[32];
    printf("%s: graph %sB, weights %sB, packed for %s (%s) %sB, %.2f s\n", path,
           cli_quantity((double)c.graph_bytes, g, sizeof g),
           cli_quantity((double)c.weight_bytes, a, sizeof a), c.isa,
           c.is_for_here ? "this machine and version" : "not for here: packed again when used",
           cli_quantity((double)c.packed_bytes, b, sizeof b), seconds);
    return CLI_DONE;
  }
  json_t *j = json_object();
  json_object_set_new(j, "file", cli_json_text(path));
  json_object_set_new(j, "library", cli_json_text(c.library));
  json_object_set_new(j, "isa", cli_json_text(c.isa));
  json_object_set_new(j, "is_for_here", json_boolean(c.is_for_here));
  json_object_set_new(j, "graph_bytes", json_integer((json_int_t)c.graph_bytes));
  json_object_set_new(j, "weight_bytes", json_integer((json_int_t)c.weight_bytes));
  json_object_set_new(j, "packed_bytes", json_integer((json_int_t)c.packed_bytes));
  json_object_set_new(j, "seconds", cli_json_number(seconds));
  return cli_print_json(j);
}

static int compile(const char *path, const struct compile_options *o) {
  struct sumi_model *model = NULL, *compiled = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_feed feed = {0};
  const double start = cli_seconds();
  if (!o->output) return cli_wrong("where to? give -o FILE.sumi");
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON && !o->portable) status = cli_feed_make(model, &o->feed, &feed);
  if (status == CLI_GO_ON) {
    const struct sumi_compile_options options = {
        .size = sizeof options, .inputs = feed.view, .n_inputs = feed.n};
    const sumi_status s = sumi_model_compile_file(model, o->output, o->portable ? NULL : &options, &err);
    if (s == SUMI_E_IO) {
      cli_refuse(s, "%s", err.text);
      status = CLI_RESOURCE;
    } else if (s != SUMI_OK) {
      status = cli_refuse(s, "%s", err.text);
    }
  }
  if (status == CLI_GO_ON) status = cli_open_model(o->output, &compiled);
  if (status == CLI_GO_ON) status = report(compiled, o->output, cli_seconds() - start);
  cli_feed_fini(&feed);
  sumi_model_unref(compiled);
  sumi_model_unref(model);
  return status;
}

static int verify(const char *path) {
  struct sumi_model *model = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  const double start = cli_seconds();
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON) {
    const sumi_status s = sumi_model_verify(model, &err);
    if (s == SUMI_OK) {
      status = report(model, path, cli_seconds() - start);
    } else {
      status = cli_refuse(s, "'%s': %s", path, err.text);
      if (s == SUMI_E_FORMAT) status = CLI_NO;
    }
  }
  sumi_model_unref(model);
  return status;
}

int cli_compile(int argc, char **argv) {
  struct compile_options o = {.feed.random = "1"};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      {"output", 'o', CLI_TEXT, &o.output, "FILE", "the file to write", 0, 0},
      CLI_INPUT_OPTIONS(o.feed),
      {"batch", 'b', CLI_WHOLE, &o.feed.batch, "N", "first dim of the inputs, where the model leaves it open",
       1, 1e6},
      {"portable", 0, CLI_FLAG, &o.portable, NULL, "pack nothing: every machine packs for itself", 0, 0},
      {"verify", 0, CLI_FLAG, &o.verify, NULL,
       "compare all of a compiled MODEL with its checksums: exit status 1 where it is damaged", 0, 0},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {.command = "compile",
                                  .arguments = "MODEL",
                                  .min_arguments = 1,
                                  .max_arguments = 1,
                                  .summary = "Writes a file that opens in milliseconds and shares its "
                                             "weights between processes: the simplified\n"
                                             "graph, its weights, and the weights packed for this machine "
                                             "and these input shapes. Other machines,\n"
                                             "versions and shapes can use it too: they pack again. Every "
                                             "command takes it in place of the model.",
                                  .example =
                                      "  sumi compile model.onnx -o model.sumi --batch 8\n"
                                      "  sumi compile --verify model.sumi --json\n"
                                      "  SUMI_ISA=avx2 sumi compile model.onnx -o for_old_machines.sumi",
                                  .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = o.verify ? verify(arguments.item[0]) : compile(arguments.item[0], &o);
  cli_list_fini(&arguments);
  cli_feed_options_fini(&o.feed);
  return status;
}
