/* sumi card: what a network would do on an Antoum card: time, traffic, energy, and what bounds them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "card_int.h"

enum { CARD_BATCH = 16, MAX_FILE = 1 << 16, MAX_SWEEP = 16 };

struct card_command {
  struct cli_feed_options feed;
  struct cli_list settings, engines;
  const char *card, *energy, *precision, *sweep, *html, *trace;
  int64_t chips, cores, sparsity, x_top;
  double x_density;
  bool dual, data, compare, parameters;
};

/* ---- the card ---------------------------------------------------------------------------------------------------- */

/* The text of a parameter file; NULL where card is no file. */
static char *read_parameters(const char *card, size_t *n) {
  FILE *f = card ? fopen(card, "rb") : NULL;
  if (!f) return NULL;
  char *text = cli_alloc(MAX_FILE);
  *n = fread(text, 1, MAX_FILE, f);
  fclose(f);
  return text;
}

static bool is_known(const char *card) {
  const char *name;
  for (size_t i = 0; (name = sumi_card_known(i)); i++)
    if (!card || !strcmp(name, card)) return true;
  return false;
}

static int open_card(const struct card_command *o, int k, struct sumi_card **card) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_list settings = {0};
  char *chips = cli_printf("chips=%lld", (long long)o->chips),
       *cores = cli_printf("cores=%lld", (long long)o->cores);
  for (size_t i = 0; i < o->settings.n; i++) cli_list_add(&settings, o->settings.item[i]);
  if (o->chips) cli_list_add(&settings, chips);
  if (o->cores) cli_list_add(&settings, cores);
  struct sumi_card_options options = {.size = sizeof options,
                                      .settings = settings.item,
                                      .n_settings = settings.n,
                                      .energy = o->energy,
                                      .timing_only = !o->data,
                                      .k = k,
                                      .dual = o->dual,
                                      .x_top = (int)o->x_top,
                                      .x_density = o->x_density};
  char *text = is_known(o->card) ? NULL : read_parameters(o->card, &options.parameter_bytes);
  options.parameters = text;
  options.card = text ? NULL : o->card;
  const sumi_status s = sumi_card_open(&options, card, &err);
  free(text);
  free(chips);
  free(cores);
  cli_list_fini(&settings);
  return s == SUMI_OK      ? CLI_GO_ON
         : s == SUMI_E_ARG ? cli_wrong("%s", err.text)
                           : cli_refuse(s, "%s", err.text);
}

/* ---- one measuring ------------------------------------------------------------------------------------------------ */

struct measuring {
  const struct card_command *o;
  struct sumi_card *card;
  struct sumi_session *session;
  struct cli_feed feed;
  struct cli_card_trace trace;
  struct cli_card_engines engines;
  json_t *layers;
  double host_s, difference; /* of a run with data; negative: there was none */
};

static json_t *traffic_of(const struct sumi_card_traffic *t) {
  json_t *j = json_object();
  json_object_set_new(j, "dram", cli_json_number(t->dram));
  json_object_set_new(j, "sram", cli_json_number(t->sram));
  json_object_set_new(j, "ring", cli_json_number(t->ring));
  json_object_set_new(j, "link", cli_json_number(t->link));
  return j;
}

static json_t *busy_of(const double busy[SUMI_CARD_N_ENGINES]) {
  json_t *j = json_object();
  for (size_t e = 0; e < SUMI_CARD_N_ENGINES; e++)
    json_object_set_new(j, sumi_card_engine_label(e), cli_json_number(busy[e]));
  return j;
}

static void take_layer(void *user, const struct sumi_card_layer *l) {
  struct measuring *m = user;
  json_t *j = json_object();
  json_object_set_new(j, "name", cli_json_text(l->node));
  json_object_set_new(j, "op", cli_json_text(l->op));
  json_object_set_new(j, "device", json_string(l->on_card ? "antoum" : "host"));
  json_object_set_new(j, "why", cli_json_text(l->why));
  json_object_set_new(j, "dense_macs", cli_json_number(l->dense_macs));
  if (l->on_card) {
    json_object_set_new(j, "bound", json_string(l->bound));
    json_object_set_new(j, "cycles", cli_json_number(l->cycles));
    json_object_set_new(j, "executed_macs", cli_json_number(l->executed_macs));
    json_object_set_new(j, "utilisation", cli_json_number(l->utilisation));
    json_object_set_new(j, "energy_j", cli_json_number(l->energy_j));
    json_object_set_new(j, "bytes", traffic_of(&l->bytes));
    json_object_set_new(j, "busy", busy_of(l->busy));
  }
  json_array_append_new(m->layers, j);
  cli_card_engines_add(&m->engines, l);
}

static void take_event(void *user, const struct sumi_card_event *event) {
  cli_card_trace_add(&((struct measuring *)user)->trace, event);
}

static json_t *costs_of(const struct sumi_card_total *t) {
  json_t *all = json_array();
  for (size_t i = 0; i < t->n_costs; i++) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string(t->costs[i].name));
    json_object_set_new(j, "unit", json_string(t->costs[i].unit));
    json_object_set_new(j, "count", cli_json_number(t->costs[i].count));
    json_object_set_new(j, "energy_j", cli_json_number(t->costs[i].energy_j));
    json_object_set_new(j, "of_time", json_boolean(t->costs[i].of_time));
    json_object_set_new(j, "source", json_string(t->costs[i].source));
    json_array_append_new(all, j);
  }
  return all;
}

static json_t *report_of(struct measuring *m, const struct sumi_card_total *t, double simulate_s) {
  const struct {
    const char *key;
    double value;
  } number[] = {{"chips", t->chips},
                {"cores", t->cores},
                {"multipliers", t->multipliers},
                {"clock_hz", t->clock_hz},
                {"batch", t->items},
                {"throughput_per_s", t->throughput},
                {"latency_ms", 1e3 * t->latency_s},
                {"cycles", t->cycles},
                {"dense_macs", t->dense_macs},
                {"executed_macs", t->executed_macs},
                {"network_macs", t->dense_macs / (1 - t->host_share)},
                {"utilisation", t->utilisation},
                {"peak_macs", t->peak_macs},
                {"dram_bytes_per_s", t->dram_bytes_s},
                {"energy_j", t->energy_j},
                {"power_w", t->power_w},
                {"limit_w", t->limit_w},
                {"items_per_joule", t->power_w > 0 ? t->throughput / t->power_w : NAN},
                {"compile_ms", 1e3 * t->compile_s},
                {"simulate_ms", 1e3 * simulate_s},
                {"simulated_cycles", (double)t->simulated_cycles},
                {"hazards", (double)t->hazards},
                {"host_share", t->host_share},
                {"host_ms", m->host_s >= 0 ? 1e3 * m->host_s : NAN},
                {"largest_difference", m->difference >= 0 ? m->difference : NAN},
                {"card_nodes", (double)t->card_nodes},
                {"host_nodes", (double)t->host_nodes},
                {"programs", (double)t->programs}};
  json_t *j = json_object();
  json_object_set_new(j, "card", cli_json_text(t->card));
  for (size_t i = 0; i < CLI_COUNT(number); i++)
    json_object_set_new(j, number[i].key, cli_json_number(number[i].value));
  json_object_set_new(j, "energy_profile", json_string(m->o->energy ? m->o->energy : "conservative"));
  json_object_set_new(j, "bound", json_string(t->bound));
  json_object_set_new(j, "bytes", traffic_of(&t->bytes));
  json_object_set_new(j, "busy", busy_of(t->busy));
  json_object_set_new(j, "energy", costs_of(t));
  json_object_set_new(j, "layers", m->layers);
  m->layers = NULL;
  if (m->engines.n) json_object_set_new(j, "engines", cli_card_engines_end(&m->engines));
  return j;
}

/* ---- with data ---------------------------------------------------------------------------------------------------- */

static bool add_host_time(void *user, const struct sumi_profile_entry *e) {
  if (strncmp(e->kernel, "antoum", 6) != 0) *(double *)user += e->seconds;
  return true;
}

/* The largest difference between both sessions' outputs; infinite where only one is NaN. */
static double difference_of(const struct sumi_view *a, const struct sumi_view *b, size_t n) {
  double most = 0;
  for (size_t i = 0; i < n; i++) {
    const int64_t count = sumi_view_count(&a[i]);
    for (int64_t k = 0; k < count; k++) {
      const double x = sumi_view_get(&a[i], k), y = sumi_view_get(&b[i], k);
      most = fmax(most, isnan(x) != isnan(y) ? INFINITY : x == y || isnan(x) ? 0 : fabs(x - y));
    }
  }
  return most;
}

/* Runs the network on the card and on device cpu. */
static int run_data(struct measuring *m, struct sumi_model *model) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *cpu = NULL;
  size_t n;
  struct sumi_view *out = cli_output_views(model, &n), *other = cli_output_views(model, &n);
  int status =
      cli_open_session(model, &(struct cli_session_options){.precision = m->o->precision}, false, &cpu);
  if (status == CLI_GO_ON) {
    sumi_status s = sumi_session_run(m->session, m->feed.view, m->feed.n, out, n, &err);
    if (s == SUMI_OK) s = sumi_session_run(cpu, m->feed.view, m->feed.n, other, n, &err);
    m->host_s = 0;
    if (s == SUMI_OK) s = sumi_session_profile(m->session, add_host_time, &m->host_s, &err);
    if (s == SUMI_OK) m->difference = difference_of(out, other, n);
    if (s != SUMI_OK) status = cli_refuse(s, "%s", err.text);
  }
  free(out);
  free(other);
  sumi_session_free(cpu);
  return status;
}

/* ---- measuring ---------------------------------------------------------------------------------------------------- */

static int prepare(struct measuring *m, struct sumi_model *model) {
  struct sumi_err err = SUMI_ERR_INIT;
  const struct sumi_session_options options = {.size = sizeof options,
                                               .device = "antoum",
                                               .card = m->card,
                                               .precision = m->o->precision,
                                               .profile = m->o->data};
  sumi_status s = sumi_session_new(model, &options, &m->session, &err);
  if (s == SUMI_OK) s = sumi_session_prepare(m->session, m->feed.view, m->feed.n, &err);
  return s == SUMI_OK ? CLI_GO_ON : cli_refuse(s, "%s", err.text);
}

static int run_programs(struct measuring *m, json_t **report) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_card_total total = {.size = sizeof total};
  const struct sumi_card_measure_options options = {
      .size = sizeof options,
      .inferences = m->o->data ? 2 : 0, /* every byte takes its time */
      .on_layer = take_layer,
      .on_event = m->trace.file ? take_event : NULL,
      .user = m};
  const double start = cli_seconds();
  const sumi_status s = sumi_card_measure(m->session, &options, &total, &err);
  if (s != SUMI_OK) return cli_refuse(s, "%s", err.text);
  if (m->engines.err.status != SUMI_OK) return cli_wrong("%s", m->engines.err.text);
  *report = report_of(m, &total, cli_seconds() - start);
  return CLI_GO_ON;
}

/* k: 0 = all weights. trace: NULL = none. */
static int measure(const struct card_command *o, struct sumi_model *model, int k, const char *trace,
                   json_t **report) {
  struct measuring m = {.o = o, .layers = json_array(), .host_s = -1, .difference = -1};
  m.engines = (struct cli_card_engines){.name = o->engines.item,
                                        .n = o->engines.n,
                                        .x_density = o->x_density > 0 ? o->x_density : 1,
                                        .rows = json_array(),
                                        .err = SUMI_ERR_INIT};
  int status = open_card(o, k, &m.card);
  if (status == CLI_GO_ON) status = cli_feed_make(model, &o->feed, &m.feed);
  if (status == CLI_GO_ON) status = prepare(&m, model);
  if (status == CLI_GO_ON && o->data) status = run_data(&m, model);
  if (status == CLI_GO_ON && trace) status = cli_card_trace_open(&m.trace, trace);
  if (status == CLI_GO_ON) status = run_programs(&m, report);
  const int closed = cli_card_trace_close(&m.trace);
  json_decref(m.layers);
  json_decref(m.engines.rows);
  cli_feed_fini(&m.feed);
  sumi_session_free(m.session);
  sumi_card_close(m.card);
  return status == CLI_GO_ON ? closed : status;
}

/* "sparsity=1,2,4": the values. */
static int read_sweep(const char *text, double value[MAX_SWEEP]) {
  static const char name[] = "sparsity=";
  if (strncmp(text, name, sizeof name - 1) != 0) return -1;
  const int n = cli_parse_numbers(text + sizeof name - 1, value, MAX_SWEEP);
  for (int i = 0; i < n; i++)
    if (!(value[i] >= 1 && value[i] <= 32) || fmod(32, value[i]) != 0 || value[i] != floor(value[i]))
      return -1;
  return n;
}

static int k_of(double sparsity) { return sparsity > 0 ? (int)(32 / sparsity) : 0; }

static int sweep(const struct card_command *o, struct sumi_model *model, json_t *report) {
  double value[MAX_SWEEP];
  const int n = read_sweep(o->sweep, value);
  json_t *rows = json_array();
  int status =
      n < 1 ? cli_wrong("--sweep %s: it is sparsity=1,2,4,8,16,32 or some of them", o->sweep) : CLI_GO_ON;
  struct cli_progress progress = cli_progress_start("sparsities", (size_t)(n > 0 ? n : 0));
  for (int i = 0; i < n && status == CLI_GO_ON; i++) {
    json_t *row = NULL;
    status = measure(o, model, k_of(value[i]), NULL, &row);
    if (status != CLI_GO_ON) break;
    json_object_del(row, "layers");
    json_object_set_new(row, "sparsity", cli_json_number(value[i]));
    json_array_append_new(rows, row);
    cli_progress_step(&progress, (size_t)i + 1);
  }
  cli_progress_end(&progress);
  json_object_set_new(report, "sweep", rows);
  return status;
}

/* ---- the command -------------------------------------------------------------------------------------------------- */

static int print_all(json_t *take_report) {
  if (cli_wants_json()) return cli_print_json(take_report);
  const json_t *sweep_rows = json_object_get(take_report, "sweep"),
               *engines = json_object_get(take_report, "engines"),
               *compared = json_object_get(take_report, "compare");
  if (json_object_get(take_report, "layers")) cli_card_print(take_report);
  if (sweep_rows) cli_card_print_sweep(sweep_rows);
  if (engines) cli_card_engines_print(engines);
  if (compared) cli_card_compare_print(compared);
  if (json_object_get(take_report, "parameters"))
    cli_card_print_parameters(json_object_get(take_report, "parameters"));
  json_decref(take_report);
  return CLI_DONE;
}

/* Whether every input leaves its first dim open. */
static bool takes_batches(const struct sumi_model *model) {
  const size_t n = sumi_model_input_count(model);
  for (size_t i = 0; i < n; i++) {
    const struct sumi_port_info in = cli_input(model, i);
    if (!in.has_default && (in.rank < 1 || in.dims[0] >= 0)) return false;
  }
  return n > 0;
}

static int with_model(struct card_command *o, const char *path) {
  struct sumi_model *model = NULL;
  json_t *report = NULL;
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON && !o->feed.batch && !o->feed.inputs.n && takes_batches(model))
    o->feed.batch = CARD_BATCH;
  if (status == CLI_GO_ON && o->sweep) {
    report = json_object();
    status = sweep(o, model, report);
  } else if (status == CLI_GO_ON) {
    status = measure(o, model, k_of((double)o->sparsity), o->trace, &report);
    if (status == CLI_GO_ON && o->compare) json_object_set_new(report, "compare", cli_card_compare(report));
    char *title = cli_printf("%s on %s", path, report ? cli_card_text(report, "card") : "");
    if (status == CLI_GO_ON && o->html) status = cli_card_page(o->html, title, report);
    free(title);
  }
  sumi_model_unref(model);
  if (status == CLI_GO_ON) return print_all(report);
  json_decref(report);
  return status;
}

/* What needs no network: figures of cards, and a card's parameters. */
static int without_model(const struct card_command *o) {
  if (!o->compare && !o->parameters) return cli_wrong("which MODEL?");
  struct sumi_card *card = NULL;
  const int status = open_card(o, 0, &card);
  if (status != CLI_GO_ON) return status;
  json_t *j = json_object();
  if (o->compare) json_object_set_new(j, "compare", cli_card_compare(NULL));
  if (o->parameters) json_object_set_new(j, "parameters", cli_card_parameters(card));
  sumi_card_close(card);
  return print_all(j);
}

static int check(const struct card_command *o) {
  if (o->sparsity & (o->sparsity - 1)) return cli_wrong("--sparsity is 1, 2, 4, 8, 16 or 32");
  if (o->sweep && (o->html || o->trace || o->compare || o->engines.n))
    return cli_wrong("--sweep goes without --html, --trace, --compare and --engine");
  return CLI_GO_ON;
}

int cli_card(int argc, char **argv) {
  struct card_command o = {.feed.random = "1"};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      {"card", 'c', CLI_TEXT, &o.card, "NAME|FILE",
       "SparseOne-S4 (default), SparseOne-S10, SparseOne-S30, SparseMegatron, or a file of parameters", 0, 0},
      {"set", 0, CLI_LIST, &o.settings, "P=V", "one parameter of the card; --parameters lists them", 0, 0},
      {"chips", 0, CLI_WHOLE, &o.chips, "N", "chips of the card", 1, 64},
      {"cores", 0, CLI_WHOLE, &o.cores, "N", "cores of a chip", 1, 64},
      {"batch", 'b', CLI_WHOLE, &o.feed.batch, "N",
       "items of an inference on one chip (16 where the model leaves it open and no input is given)", 1, 1e6},
      {"sparsity", 's', CLI_WHOLE, &o.sparsity, "S",
       "of every 32 weights only the 32/S largest stay: 1, 2, 4, 8, 16, 32 (all that the file has)", 1, 32},
      {"sweep", 0, CLI_TEXT, &o.sweep, "sparsity=S,S",
       "a row for each: speed-up over the first, what bounds it", 0, 0},
      {"dual", 0, CLI_FLAG, &o.dual, NULL, "skip activations that are zero, too", 0, 0},
      {"x-top", 0, CLI_WHOLE, &o.x_top, "N", "keep only the N largest activations of a bank", 1, 31},
      {"x-density", 0, CLI_NUMBER, &o.x_density, "D",
       "without --data: share of activations that are not zero (1)", 1e-3, 1},
      {"energy", 0, CLI_TEXT, &o.energy, "E", "conservative (default) or optimistic energies of events", 0,
       0},
      {"precision", 0, CLI_TEXT, &o.precision, "P", "file (as it says, the default), int8-dynamic or bf16", 0,
       0},
      {"data", 0, CLI_FLAG, &o.data, NULL, "compute every byte, and compare the outputs with device cpu's", 0,
       0},
      CLI_INPUT_OPTIONS(o.feed),
      {"engine", 0, CLI_LIST, &o.engines, "E",
       "cycles of the same products elsewhere: systolic:os:RxC (ws, is), nm:N:M:RxC, dual:MULTIPLIERS", 0, 0},
      {"html", 0, CLI_TEXT, &o.html, "FILE", "a page with charts", 0, 0},
      {"trace", 0, CLI_TEXT, &o.trace, "FILE", "every word of every engine, for Perfetto or chrome://tracing",
       0, 0},
      {"compare", 0, CLI_FLAG, &o.compare, NULL, "published figures of other cards (MODEL may be left out)",
       0, 0},
      {"parameters", 0, CLI_FLAG, &o.parameters, NULL,
       "the card's parameters and where they come from (no MODEL)", 0, 0},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "card",
      .arguments = "MODEL",
      .min_arguments = 0,
      .max_arguments = 1,
      .summary = "Compiles a network for a simulated Antoum card and runs it in a stream of inferences: per "
                 "layer and in "
                 "all the cycles of the engines, traffic, energy and what bounds them. Nothing here is "
                 "measured on a real card.",
      .example = "  sumi card model.onnx --card SparseOne-S30 --sparsity 8 --html report.html\n"
                 "  sumi card model.onnx --sweep sparsity=1,2,4,8,16,32 --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = check(&o);
  if (status == CLI_GO_ON) status = arguments.n ? with_model(&o, arguments.item[0]) : without_model(&o);
  cli_list_fini(&arguments);
  cli_list_fini(&o.settings);
  cli_list_fini(&o.engines);
  cli_feed_options_fini(&o.feed);
  return status;
}
