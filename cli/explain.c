/* sumi explain: per step where it runs, with what, how dense, how long, and why nothing faster was taken. */
#include <stdlib.h>
#include <string.h>

#include "common/feed.h"

struct explain_options {
  struct cli_session_options session;
  struct cli_feed_options feed;
  int64_t runs;
};

struct table {
  json_t *steps;
  double measured_s, predicted_s, dense_macs, macs;
};

static void print_refusals(const char *text) {
  while (text && *text) {
    const char *end = strchr(text, '\n');
    const int n = end ? (int)(end - text) : (int)strlen(text);
    if (n > 0) printf("        %.*s\n", n, text);
    text = end ? end + 1 : NULL;
  }
}

static json_t *refusal_list(const char *text) {
  json_t *list = json_array();
  while (text && *text) {
    const char *end = strchr(text, '\n');
    const size_t n = end ? (size_t)(end - text) : strlen(text);
    if (n > 0) json_array_append_new(list, cli_json_text_n(text, n));
    text = end ? end + 1 : NULL;
  }
  return list;
}

static bool show_step(void *user, const struct sumi_step_info *s) {
  struct table *t = user;
  t->measured_s += s->measured_s;
  t->predicted_s += s->predicted_s;
  if (s->dense_macs > 0) t->dense_macs += s->dense_macs, t->macs += s->macs;
  if (!cli_wants_json()) {
    char density[16] = "-", predicted[24] = "-";
    if (s->density >= 0) snprintf(density, sizeof density, "%.3f", s->density);
    if (s->predicted_s > 0) snprintf(predicted, sizeof predicted, "%.1f", s->predicted_s * 1e6);
    printf("%-6s %-26.26s %-18.18s %7s %10s %10.1f  %s  %s\n", s->device, s->kernel, s->op, density,
           predicted, s->measured_s * 1e6, s->node, s->shapes);
    print_refusals(s->refusals);
    return true;
  }
  json_t *j = json_object();
  json_object_set_new(j, "node", cli_json_text(s->node));
  json_object_set_new(j, "op", cli_json_text(s->op));
  json_object_set_new(j, "device", cli_json_text(s->device));
  json_object_set_new(j, "kernel", cli_json_text(s->kernel));
  json_object_set_new(j, "shapes", cli_json_text(s->shapes));
  json_object_set_new(j, "density", s->density < 0 ? json_null() : cli_json_number(s->density));
  json_object_set_new(j, "dense_macs", s->dense_macs < 0 ? json_null() : cli_json_number(s->dense_macs));
  json_object_set_new(j, "macs", s->macs < 0 ? json_null() : cli_json_number(s->macs));
  json_object_set_new(j, "predicted_us",
                      s->predicted_s > 0 ? cli_json_number(s->predicted_s * 1e6) : json_null());
  json_object_set_new(j, "measured_us",
                      s->measured_s > 0 ? cli_json_number(s->measured_s * 1e6) : json_null());
  json_object_set_new(j, "refusals", refusal_list(s->refusals));
  json_array_append_new(t->steps, j);
  return true;
}

static int show(const struct sumi_session *session, const struct explain_options *o) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct table t = {.steps = json_array()};
  if (!cli_wants_json())
    printf("%-6s %-26s %-18s %7s %10s %10s  %s\n", "device", "kernel", "operator", "density", "predict us",
           "us", "node, shapes");
  const sumi_status status = sumi_session_visit_steps(session, show_step, &t, &err);
  if (status != SUMI_OK) {
    json_decref(t.steps);
    return cli_refuse(status, "%s", err.text);
  }
  if (!cli_wants_json()) {
    char a[32], b[32];
    json_decref(t.steps);
    printf("in all %.1f us (mean of %lld runs, precision %s), %s MACs dense, %s executed\n",
           t.measured_s * 1e6, (long long)o->runs, o->session.precision ? o->session.precision : "file",
           cli_quantity(t.dense_macs, a, sizeof a), cli_quantity(t.macs, b, sizeof b));
    return CLI_DONE;
  }
  json_t *j = json_object();
  json_object_set_new(j, "machine", cli_json_text(sumi_machine()));
  json_object_set_new(j, "precision", json_string(o->session.precision ? o->session.precision : "file"));
  json_object_set_new(j, "runs", json_integer(o->runs));
  json_object_set_new(j, "measured_us", cli_json_number(t.measured_s * 1e6));
  json_object_set_new(j, "dense_macs", cli_json_number(t.dense_macs));
  json_object_set_new(j, "macs", cli_json_number(t.macs));
  json_object_set_new(j, "steps", t.steps);
  return cli_print_json(j);
}

static int explain(const char *path, const struct explain_options *o) {
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_feed feed = {0};
  struct sumi_view *out = NULL;
  size_t n = 0;
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON) status = cli_feed_make(model, &o->feed, &feed);
  if (status == CLI_GO_ON) status = cli_open_session(model, &o->session, true, &session);
  if (status == CLI_GO_ON) {
    out = cli_output_views(model, &n);
    sumi_status s = sumi_session_prepare(session, feed.view, feed.n, &err);
    for (int64_t i = 0; i < o->runs && s == SUMI_OK; i++) {
      for (size_t k = 0; k < n; k++) out[k].data = NULL;
      s = sumi_session_run(session, feed.view, feed.n, out, n, &err);
    }
    status = s == SUMI_OK ? show(session, o) : cli_refuse(s, "%s", err.text);
  }
  free(out);
  cli_feed_fini(&feed);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status;
}

int cli_explain(int argc, char **argv) {
  struct explain_options o = {.runs = 3, .feed.random = "1"};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      CLI_SESSION_OPTIONS(o.session),
      CLI_INPUT_OPTIONS(o.feed),
      CLI_PICTURE_OPTIONS(o.feed.picture),
      {"batch", 'b', CLI_WHOLE, &o.feed.batch, "N", "first dim of the inputs, where the model leaves it open",
       1, 1e6},
      {"runs", 'n', CLI_WHOLE, &o.runs, "N", "runs to measure (3); 0 = plan only", 0, 1e6},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "explain",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "Shows every step of a prepared session: device, kernel, density of its weights, predicted "
                 "and measured\n"
                 "time, and what every kernel that was not taken said.",
      .example = "  sumi explain model.onnx --batch 1\n  sumi explain model.onnx --device ref --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = explain(arguments.item[0], &o);
  cli_list_fini(&arguments);
  cli_feed_options_fini(&o.feed);
  return status;
}
