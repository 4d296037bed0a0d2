/* sumi bench: how long one inference takes, after preparing and warming up. */
#include <stdlib.h>
#include <string.h>

#include "common/feed.h"

struct bench_options {
  struct cli_session_options session;
  struct cli_feed_options feed;
  double seconds;
  int64_t runs;
};

struct times {
  double load_s, prepare_s;
  double *run_s; /* [n] */
  size_t n, cap;
};

/* Runs until both the time and the least number of runs are spent; a tenth of it, at least one run, is warm-up. */
static sumi_status measure(struct sumi_session *session, const struct cli_feed *feed, struct sumi_view *out,
                           size_t n_out, const struct bench_options *o, struct times *t,
                           struct sumi_err *err) {
  struct cli_progress progress = cli_progress_start("runs", (size_t)o->runs);
  double start = cli_seconds();
  for (bool warm = false;;) {
    for (size_t i = 0; i < n_out; i++) out[i].data = NULL;
    const double begin = cli_seconds();
    const sumi_status status = sumi_session_run(session, feed->view, feed->n, out, n_out, err);
    const double end = cli_seconds();
    if (status != SUMI_OK) return status;
    if (!warm) {
      warm = end - start > o->seconds / 10 || o->runs > 0;
      if (warm) start = end;
      continue;
    }
    t->run_s = cli_grow(t->run_s, &t->cap, t->n + 1, sizeof *t->run_s);
    t->run_s[t->n++] = end - begin;
    cli_progress_step(&progress, t->n);
    if (o->runs > 0 ? t->n >= (size_t)o->runs : t->n >= 5 && end - start > o->seconds) break;
  }
  cli_progress_end(&progress);
  return SUMI_OK;
}

static int report(struct times *t, const struct sumi_session *session, const struct bench_options *o) {
  cli_sort(t->run_s, t->n);
  double sum = 0;
  for (size_t i = 0; i < t->n; i++) sum += t->run_s[i];
  const double median = cli_quantile(t->run_s, t->n, 0.5);
  struct sumi_memory_info memory = {.size = sizeof memory};
  sumi_session_memory(session, &memory);
  const int threads = o->session.threads ? (int)o->session.threads : 1;
  const char *isa = o->session.isa ? o->session.isa : sumi_isa_name();
  const char *precision = o->session.precision ? o->session.precision : "file";
  if (!cli_wants_json()) {
    char a[32], b[32];
    printf("median %.4g ms, least %.4g, mean %.4g, 90 %% below %.4g (%zu runs)\n", median * 1e3,
           t->run_s[0] * 1e3, sum / (double)t->n * 1e3, cli_quantile(t->run_s, t->n, 0.9) * 1e3, t->n);
    printf("load %.4g ms, prepare %.4g ms; arena %sB, peak resident %sB\n", t->load_s * 1e3,
           t->prepare_s * 1e3, cli_quantity((double)memory.arena_bytes, a, sizeof a),
           cli_quantity((double)cli_peak_rss_bytes(), b, sizeof b));
    printf("%s; device %s, %s, threads %d, precision %s\n", sumi_machine(),
           o->session.device ? o->session.device : "cpu", isa, threads, precision);
    return CLI_DONE;
  }
  json_t *j = json_object();
  json_object_set_new(j, "median_ms", cli_json_number(median * 1e3));
  json_object_set_new(j, "min_ms", cli_json_number(t->run_s[0] * 1e3));
  json_object_set_new(j, "mean_ms", cli_json_number(sum / (double)t->n * 1e3));
  json_object_set_new(j, "p90_ms", cli_json_number(cli_quantile(t->run_s, t->n, 0.9) * 1e3));
  json_object_set_new(j, "runs", json_integer((json_int_t)t->n));
  json_object_set_new(j, "threads", json_integer(threads));
  json_object_set_new(j, "batch", json_integer(o->feed.batch ? o->feed.batch : 1));
  json_object_set_new(j, "device", json_string(o->session.device ? o->session.device : "cpu"));
  json_object_set_new(j, "isa", json_string(isa));
  json_object_set_new(j, "precision", json_string(precision));
  json_object_set_new(j, "machine", cli_json_text(sumi_machine()));
  json_object_set_new(j, "load_ms", cli_json_number(t->load_s * 1e3));
  json_object_set_new(j, "prepare_ms", cli_json_number(t->prepare_s * 1e3));
  json_object_set_new(j, "arena_bytes", json_integer((json_int_t)memory.arena_bytes));
  json_object_set_new(j, "packed_bytes", json_integer((json_int_t)memory.packed_bytes));
  json_object_set_new(j, "peak_rss_bytes", json_integer(cli_peak_rss_bytes()));
  return cli_print_json(j);
}

static int bench(const char *path, const struct bench_options *o) {
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_feed feed = {0};
  struct times t = {0};
  size_t n_out = 0;
  struct sumi_view *out = NULL;
  const double start = cli_seconds();
  int status = cli_open_model(path, &model);
  t.load_s = cli_seconds() - start;
  if (status == CLI_GO_ON) status = cli_feed_make(model, &o->feed, &feed);
  const double prepare = cli_seconds();
  if (status == CLI_GO_ON) status = cli_open_session(model, &o->session, false, &session);
  if (status == CLI_GO_ON) {
    out = cli_output_views(model, &n_out);
    sumi_status s = sumi_session_prepare(session, feed.view, feed.n, &err);
    t.prepare_s = cli_seconds() - prepare;
    if (s == SUMI_OK) s = measure(session, &feed, out, n_out, o, &t, &err);
    status = s == SUMI_OK ? report(&t, session, o) : cli_refuse(s, "%s", err.text);
  }
  free(t.run_s);
  free(out);
  cli_feed_fini(&feed);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status;
}

int cli_bench(int argc, char **argv) {
  struct bench_options o = {.seconds = 2, .feed.random = "1"};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      CLI_SESSION_OPTIONS(o.session),
      CLI_INPUT_OPTIONS(o.feed),
      CLI_PICTURE_OPTIONS(o.feed.picture),
      {"batch", 'b', CLI_WHOLE, &o.feed.batch, "N", "first dim of the inputs, where the model leaves it open",
       1, 1e6},
      {"seconds", 's', CLI_NUMBER, &o.seconds, "S", "how long to measure (2), at least 5 runs", 0.001, 1e5},
      {"runs", 'n', CLI_WHOLE, &o.runs, "N", "exactly so many runs, after one to warm up", 1, 1e9},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "bench",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "Measures one inference with random inputs (or -i), after preparing for their shapes and "
                 "warming up.",
      .example = "  sumi bench model.onnx --threads 2 --shape image=1x3x224x224 --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = bench(arguments.item[0], &o);
  cli_list_fini(&arguments);
  cli_feed_options_fini(&o.feed);
  return status;
}
