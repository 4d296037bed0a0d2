/* sumi prune: a sparse ONNX file out of a dense one, with the loss measured. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/page.h"
#include "common/samples.h"

enum { TUNE_COLUMNS = 4 }; /* every shape of a batch is a plan of three sessions */

struct prune_options {
  struct cli_samples_options samples;
  struct cli_list layers, skip;
  const char *output, *pattern, *method, *budget, *resume, *report, *loss;
  const char *precision, *teacher;
  double sparsity, speedup, rate, label_share, temperature, gradual;
  int64_t threads, max_bytes, reconstruct, finetune, tune_samples, tune_batch;
  bool ends, augment;
};

/* ---- stopping and progress ---- */

static volatile sig_atomic_t is_stopped;

static void stop(int signal_number) {
  (void)signal_number;
  is_stopped = 1;
}

/* The first interrupt ends the job behind the layer that is under way, the second at once. */
static void catch_interrupts(void) {
  struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

struct run {
  struct cli_progress progress;
  json_t *layers;
};

static bool on_progress(void *user, const struct sumi_progress *p) {
  struct run *r = user;
  char what[160];
  snprintf(what, sizeof what, "%s %s", p->what, p->layer);
  cli_progress_share(&r->progress, p->done, what, p->seconds_left);
  return !is_stopped;
}

static json_t *milliseconds(double seconds) {
  return seconds < 0 ? json_null() : cli_json_number(1e3 * seconds);
}
static json_t *known(double x) { return x < 0 ? json_null() : cli_json_number(x); }

static void on_layer(void *user, const struct sumi_pruned_layer_info *l) {
  json_t *j = json_object();
  json_object_set_new(j, "name", cli_json_text(l->name));
  json_object_set_new(j, "op", cli_json_text(l->op));
  json_object_set_new(j, "weight", cli_json_text(l->weight));
  json_object_set_new(j, "weights", json_integer(l->weights));
  json_object_set_new(j, "density", cli_json_number(l->density));
  json_object_set_new(j, "error", known(l->error));
  json_object_set_new(j, "seconds", cli_json_number(l->seconds));
  json_object_set_new(j, "dense_ms", milliseconds(l->dense_s));
  json_object_set_new(j, "sparse_ms", milliseconds(l->sparse_s));
  json_object_set_new(j, "why", cli_json_text(l->why));
  json_array_append_new(((struct run *)user)->layers, j);
}

/* ---- report ---- */

static json_t *report_of(const struct sumi_prune_info *i, const char *pattern, json_t *take_layers) {
  json_t *j = json_object();
  json_object_set_new(j, "pattern", json_string(pattern));
  json_object_set_new(j, "sparsity", cli_json_number(i->sparsity));
  json_object_set_new(j, "loss", known(i->loss));
  json_object_set_new(j, "loss_before_tuning", known(i->pruned_loss));
  json_object_set_new(j, "seconds", cli_json_number(i->seconds));
  json_object_set_new(j, "tuning_seconds", cli_json_number(i->tuning_s));
  json_object_set_new(j, "method", json_string(i->method));
  json_object_set_new(j, "budget", json_string(i->budget));
  json_object_set_new(j, "calibration", json_string(i->calibration));
  json_object_set_new(j, "dense_ms", milliseconds(i->dense_s));
  json_object_set_new(j, "sparse_ms", milliseconds(i->sparse_s));
  json_object_set_new(j, "speedup",
                      i->sparse_s > 0 ? cli_json_number(i->dense_s / i->sparse_s) : json_null());
  json_object_set_new(j, "pruned", json_integer((json_int_t)i->pruned));
  json_object_set_new(j, "resumed", json_integer((json_int_t)i->resumed));
  json_object_set_new(j, "layers", take_layers);
  return j;
}

static double number(const json_t *j, const char *key) {
  const json_t *v = json_object_get(j, key);
  return json_is_number(v) ? json_number_value(v) : -1;
}

static const char *text(const json_t *j, const char *key) {
  return json_string_value(json_object_get(j, key));
}

/* "0.0123", "-" where it is not known. */
static const char *figure(double x, const char *format, char buf[32]) {
  if (x < 0) return "-";
  snprintf(buf, 32, format, x);
  return buf;
}

static void print_report(const json_t *j, const char *path) {
  char a[32], b[32], c[32];
  const json_t *layers = json_object_get(j, "layers"), *l;
  size_t i;
  printf("%-44s %10s %8s %9s %9s %9s\n", "layer", "weights", "density", "error", "dense ms", "ms");
  json_array_foreach(layers, i, l) {
    printf("%-44s %10lld %8.4f %9s %9s %9s  %s\n", text(l, "name"),
           (long long)json_integer_value(json_object_get(l, "weights")), number(l, "density"),
           figure(number(l, "error"), "%.5f", a), figure(number(l, "dense_ms"), "%.3f", b),
           figure(number(l, "sparse_ms"), "%.3f", c), text(l, "why"));
  }
  printf("%s: %s, %.2f %% of the weights of %lld layers are zero, %s, budget %s\n", path, text(j, "pattern"),
         100 * number(j, "sparsity"), (long long)json_integer_value(json_object_get(j, "pruned")),
         text(j, "method"), text(j, "budget"));
  printf("loss of the outputs %s", figure(number(j, "loss"), "%.5f", a));
  if (number(j, "loss_before_tuning") >= 0)
    printf(", %.5f before tuning, which took %.1f s", number(j, "loss_before_tuning"),
           number(j, "tuning_seconds"));
  printf("; one run %s ms dense, %s ms sparse", figure(number(j, "dense_ms"), "%.3f", b),
         figure(number(j, "sparse_ms"), "%.3f", c));
  if (number(j, "speedup") > 0) printf(", %.2f times as fast", number(j, "speedup"));
  printf("; %.1f s\n", number(j, "seconds"));
}

/* The layers' numbers of that key, in an array. */
static double *column(const json_t *layers, const char *key) {
  double *x = cli_array_alloc(json_array_size(layers), sizeof *x);
  for (size_t i = 0; i < json_array_size(layers); i++) x[i] = number(json_array_get(layers, i), key);
  return x;
}

static void put_charts(struct cli_page *page, const json_t *layers) {
  const size_t n = json_array_size(layers);
  const char **label = cli_array_alloc(n, sizeof *label), **why = cli_array_alloc(n, sizeof *why);
  double *density = column(layers, "density"), *error = column(layers, "error"),
         *dense = column(layers, "dense_ms"), *sparse = column(layers, "sparse_ms");
  for (size_t i = 0; i < n; i++) {
    label[i] = text(json_array_get(layers, i), "name");
    why[i] = text(json_array_get(layers, i), "why");
  }
  cli_page_bars(page, &(struct cli_bars){.title = "Density: share of the weights that is left",
                                         .unit = "",
                                         .label = label,
                                         .note = why,
                                         .value = density,
                                         .n = n,
                                         .scale = 1});
  cli_page_bars(page, &(struct cli_bars){.title = "Error of a layer's outputs, sum of squares, relative",
                                         .unit = "",
                                         .label = label,
                                         .value = error,
                                         .n = n});
  cli_page_bars(page, &(struct cli_bars){.title = "Time of a layer in one run",
                                         .unit = "ms",
                                         .label = label,
                                         .value = sparse,
                                         .other = dense,
                                         .value_name = "sparse",
                                         .other_name = "dense",
                                         .n = n});
  free(label);
  free(why);
  free(density);
  free(error);
  free(dense);
  free(sparse);
}

static int write_page(const char *path, const char *model, const json_t *j) {
  struct cli_page page;
  char sparsity[32], loss[32], before[32], dense[32], sparse[32], seconds[32];
  char *title = cli_printf("%s, pruned", model);
  int status = cli_page_open(&page, path, title);
  free(title);
  if (status != CLI_GO_ON) return status;
  snprintf(sparsity, sizeof sparsity, "%.2f %%", 100 * number(j, "sparsity"));
  snprintf(seconds, sizeof seconds, "%.1f s", number(j, "seconds"));
  const char *const fact[][2] = {
      {"pattern", text(j, "pattern")},
      {"zeros in the pruned layers", sparsity},
      {"loss of the network's outputs", figure(number(j, "loss"), "%.5f", loss)},
      {"loss before tuning", figure(number(j, "loss_before_tuning"), "%.5f", before)},
      {"one run, dense", figure(number(j, "dense_ms"), "%.3f ms", dense)},
      {"one run, sparse", figure(number(j, "sparse_ms"), "%.3f ms", sparse)},
      {"method", text(j, "method")},
      {"budget", text(j, "budget")},
      {"calibration data", text(j, "calibration")},
      {"pruning took", seconds},
      {"machine", sumi_machine()},
      {"Sumi", sumi_version()}};
  cli_page_facts(&page, fact, CLI_COUNT(fact));
  put_charts(&page, json_object_get(j, "layers"));
  return cli_page_close(&page);
}

/* ---- the command ---- */

/* What ended the job, after its sentence; an interrupt ends the program as interrupts do. */
static int refuse(sumi_status s, const struct sumi_err *err, const char *state) {
  if (is_stopped && s == SUMI_E_STATE) {
    cli_note("stopped; the layers that are done are in '%s', and the same command goes on from there", state);
    raise(SIGINT);
  }
  cli_refuse(s, "%s", err->text);
  return s == SUMI_E_IO || s == SUMI_E_MEMORY ? CLI_RESOURCE : s == SUMI_E_ARG ? CLI_WRONG : CLI_REFUSED;
}

static int prune_model(const struct sumi_model *model, const struct sumi_model *teacher, const char *path,
                       const struct prune_options *o, struct cli_samples *samples,
                       struct cli_samples *tune_samples, const char *state, json_t **report) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_prune_info info = {.size = sizeof info};
  struct run run = {.progress = cli_progress_start("pruning", 100), .layers = json_array()};
  const struct sumi_prune_options options = {
      .size = sizeof options,
      .pattern = o->pattern,
      .sparsity = o->sparsity,
      .speedup = o->speedup,
      .method = o->method,
      .budget = o->budget,
      .layers = o->layers.item,
      .n_layers = o->layers.n,
      .skip = o->skip.item,
      .n_skip = o->skip.n,
      .ends = o->ends,
      .samples = o->samples.data ? &samples->samples : NULL,
      .batch = (size_t)o->samples.batch,
      .threads = (int)o->threads,
      .max_bytes = (size_t)o->max_bytes << 20,
      .state = state,
      .resume = o->resume != NULL,
      .on_progress = on_progress,
      .on_layer = on_layer,
      .user = &run,
      .reconstruct = (size_t)o->reconstruct,
      .finetune = (size_t)o->finetune,
      .tune_loss = o->loss,
      .tune_rate = o->rate,
      .augment = o->augment,
      .tune_samples = tune_samples->samples.n ? &tune_samples->samples : NULL,
      .tune_batch = (size_t)o->tune_batch,
      .label_share = o->label_share,
      .temperature = o->temperature,
      .tune_precision = o->precision,
      .teacher = teacher,
      .gradual = o->gradual};
  catch_interrupts();
  const sumi_status s = sumi_model_prune_file(model, o->output, &options, &info, &err);
  signal(SIGINT, SIG_DFL);
  cli_progress_end(&run.progress);
  if (s != SUMI_OK) {
    json_decref(run.layers);
    if (o->samples.data && samples->status != CLI_GO_ON) return samples->status;
    if (tune_samples->samples.n && tune_samples->status != CLI_GO_ON) return tune_samples->status;
    return refuse(s, &err, state);
  }
  if (info.resumed) cli_note("%zu layers of '%s' were done already", info.resumed, path);
  *report = report_of(&info, o->pattern ? o->pattern : "1x1", run.layers);
  return CLI_GO_ON;
}

static int prune(const char *path, const struct prune_options *o) {
  struct sumi_model *model = NULL, *teacher = NULL;
  struct cli_samples samples = {0}, tune_samples = {0};
  struct cli_samples_options tune_options = o->samples;
  json_t *report = NULL;
  if (!o->output) return cli_wrong("where to? give -o OUT.onnx");
  char *state = o->resume ? cli_strdup(o->resume) : cli_printf("%s.state", o->output);
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON && o->teacher) status = cli_open_model(o->teacher, &teacher);
  if (status == CLI_GO_ON && o->samples.data) status = cli_samples_open(&o->samples, model, &samples);
  tune_options.limit = o->tune_samples;
  tune_options.multiple = TUNE_COLUMNS;
  if (status == CLI_GO_ON && o->samples.data && o->finetune && o->tune_samples >= 0)
    status = cli_samples_open(&tune_options, model, &tune_samples);
  if (status == CLI_GO_ON && !o->samples.data && !o->method)
    cli_note("without --calib only the size of weights counts (--method magnitude), which loses the most "
             "accuracy");
  if (status == CLI_GO_ON)
    status = prune_model(model, teacher, path, o, &samples, &tune_samples, state, &report);
  if (status == CLI_GO_ON && o->report) status = write_page(o->report, path, report);
  if (status == CLI_GO_ON && cli_wants_json()) {
    status = cli_print_json(json_incref(report));
  } else if (status == CLI_GO_ON) {
    print_report(report, o->output);
    status = CLI_DONE;
  }
  json_decref(report);
  cli_samples_fini(&samples);
  cli_samples_fini(&tune_samples);
  sumi_model_unref(model);
  sumi_model_unref(teacher);
  free(state);
  return status;
}

int cli_prune(int argc, char **argv) {
  struct prune_options o = {.samples.limit = CLI_SAMPLES_LIMIT, .tune_samples = -1};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      {"output", 'o', CLI_TEXT, &o.output, "OUT.onnx", "the file to write", 0, 0},
      {"pattern", 'p', CLI_TEXT, &o.pattern, "P", "1x1 (default), 1x4, 4x4, 16x4, 32x4, 2:4, 1/32 ...", 0, 0},
      {"sparsity", 's', CLI_NUMBER, &o.sparsity, "S", "share of the weights that becomes zero, as 0.5", 1e-4,
       0.9999},
      {"speedup", 0, CLI_NUMBER, &o.speedup, "X", "instead: so many times faster on this machine", 1.01,
       1000},
      {"method", 0, CLI_TEXT, &o.method, "M", "magnitude, wanda, sparsegpt or alps (the default)", 0, 0},
      {"budget", 0, CLI_TEXT, &o.budget, "B",
       "uniform (default), erk, or search (what costs the outputs least): who gives how much", 0, 0},
      {"layers", 0, CLI_LIST, &o.layers, "NAME", "only these nodes or weights; '*' stands for anything", 0,
       0},
      {"skip", 0, CLI_LIST, &o.skip, "NAME", "not these", 0, 0},
      {"ends", 0, CLI_FLAG, &o.ends, NULL, "also the first and the last layer", 0, 0},
      CLI_SAMPLES_OPTIONS(o.samples),
      {"reconstruct", 0, CLI_WHOLE, &o.reconstruct, "EPOCHS",
       "tune what is left, block by block, in so many passes over the samples (0)", 0, 1e6},
      {"finetune", 0, CLI_WHOLE, &o.finetune, "EPOCHS",
       "then tune the whole network towards the dense one's outputs (0)", 0, 1e6},
      {"gradual", 0, CLI_NUMBER, &o.gradual, "SHARE",
       "of finetune: share of its steps over which the sparsity rises to S, from less (0: it is S before "
       "them)",
       0, 0.99},
      {"tune-samples", 0, CLI_WHOLE, &o.tune_samples, "N",
       "of finetune: so many samples of --calib, spread evenly (as --samples; 0: all)", 0, 1e9},
      {"tune-batch", 0, CLI_WHOLE, &o.tune_batch, "N", "of finetune: samples in a step (as --batch)", 1,
       65536},
      {"labels", 0, CLI_NUMBER, &o.label_share, "SHARE",
       "of finetune, loss kl: share of the cross entropy with the classes of --calib, as sumi eval (0)", 0,
       1},
      {"temperature", 0, CLI_NUMBER, &o.temperature, "T", "of finetune, loss kl: divides the logits (1)",
       0.01, 100},
      {"teacher", 0, CLI_TEXT, &o.teacher, "MODEL",
       "of finetune: go towards this network's outputs (MODEL's before it was pruned)", 0, 0},
      {"precision", 0, CLI_TEXT, &o.precision, "P", "of finetune: file (the default) or bf16", 0, 0},
      {"loss", 0, CLI_TEXT, &o.loss, "L", "of finetune: mse (default), or kl where the outputs are logits", 0,
       0},
      {"rate", 0, CLI_NUMBER, &o.rate, "R", "highest learning rate of tuning, 0.001", 1e-9, 1},
      {"augment", 0, CLI_FLAG, &o.augment, NULL, "shift and mirror pictures while tuning", 0, 0},
      {"threads", 't', CLI_WHOLE, &o.threads, "N", "threads (1)", 1, 1024},
      {"memory", 0, CLI_WHOLE, &o.max_bytes, "MIB",
       "for statistics of a group of layers, and for values before it (1024)", 1, 1 << 20},
      {"resume", 0, CLI_TEXT, &o.resume, "FILE",
       "go on from this state and no other (OUT.onnx.state, if it fits)", 0, 0},
      {"report", 0, CLI_TEXT, &o.report, "FILE", "also write a page with charts, FILE.html", 0, 0},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "prune",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "Makes a network sparse: layer by layer, weights are taken out in a pattern and the others "
                 "fitted to "
                 "what the\nlayer gave for the calibration data. OUT.onnx is an ordinary ONNX file with "
                 "zeros in it. "
                 "Interrupted, it\ngoes on where it was when it is called again.",
      .example =
          "  sumi prune model.onnx -o sparse.onnx --pattern 1x4 --sparsity 0.5 --calib images/ --crop 224\n"
          "  sumi prune model.onnx -o fast.onnx --pattern 4x4 --speedup 4 --calib tokens.npz --report "
          "fast.html\n"
          "  sumi prune model.onnx -o tuned.onnx --pattern 1x4 -s 0.9 --calib train/ -n 0 --finetune 5 "
          "--augment",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = prune(arguments.item[0], &o);
  cli_list_fini(&arguments);
  cli_list_fini(&o.layers);
  cli_list_fini(&o.skip);
  return status;
}
