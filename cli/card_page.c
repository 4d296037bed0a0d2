/* A report of sumi card as a page that needs nothing else: facts, where time and energy go, a roofline. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "card_int.h"
#include "common/chart.h"

struct columns {
  size_t n;
  const char **label, **note;
  double *busy; /* [n, SUMI_CARD_N_ENGINES] cycles, mean over the cores */
  double *intensity, *rate;
};

/* The layers that the card does. */
static struct columns columns_of(const json_t *report) {
  const json_t *layers = json_object_get(report, "layers"), *l;
  const size_t most = json_array_size(layers);
  const double hz = cli_card_number(report, "clock_hz");
  struct columns c = {.label = cli_array_alloc(most, sizeof *c.label),
                      .note = cli_array_alloc(most, sizeof *c.note),
                      .busy = cli_array_alloc(most, SUMI_CARD_N_ENGINES * sizeof *c.busy),
                      .intensity = cli_array_alloc(most, sizeof *c.intensity),
                      .rate = cli_array_alloc(most, sizeof *c.rate)};
  size_t i;
  json_array_foreach(layers, i, l) {
    if (!(cli_card_number(l, "cycles") > 0)) continue;
    c.label[c.n] = cli_card_text(l, "name");
    c.note[c.n] = cli_card_text(l, "bound");
    double *const busy = &c.busy[c.n * SUMI_CARD_N_ENGINES], longest = 0;
    for (size_t e = 0; e < SUMI_CARD_N_ENGINES; e++) {
      busy[e] = cli_card_number(json_object_get(l, "busy"), sumi_card_engine_label(e));
      longest = fmax(longest, busy[e]);
    }
    for (size_t e = 0; e < SUMI_CARD_N_ENGINES;
         e++) /* over the cores that work: the busiest engine has the layer's cycles */
      busy[e] *= cli_card_number(l, "cycles") / longest;
    const double macs = cli_card_number(l, "dense_macs");
    c.intensity[c.n] = macs / cli_card_number(json_object_get(l, "bytes"), "dram");
    c.rate[c.n++] = macs / (cli_card_number(l, "cycles") / hz);
  }
  return c;
}

static void free_columns(struct columns *c) {
  free(c->label);
  free(c->note);
  free(c->busy);
  free(c->intensity);
  free(c->rate);
}

static void put_facts(struct cli_page *page, const json_t *r) {
  char text[12][64];
  const struct {
    const char *name, *format;
    double value;
  } number[] = {{"chips", "%.0f", cli_card_number(r, "chips")},
                {"cores of a chip", "%.0f", cli_card_number(r, "cores")},
                {"batch of a chip", "%.0f", cli_card_number(r, "batch")},
                {"throughput", "%.1f a second", cli_card_number(r, "throughput_per_s")},
                {"latency", "%.4g ms", cli_card_number(r, "latency_ms")},
                {"power", "%.1f W", cli_card_number(r, "power_w")},
                {"the card's limit", "%.0f W", cli_card_number(r, "limit_w")},
                {"items a joule", "%.4g", cli_card_number(r, "items_per_joule")},
                {"dense MACs of an inference", "%.4g", cli_card_number(r, "dense_macs")},
                {"executed MACs", "%.4g", cli_card_number(r, "executed_macs")},
                {"multipliers at work", "%.1f %%", 100 * cli_card_number(r, "utilisation")},
                {"MACs of the host's nodes", "%.2f %%", 100 * cli_card_number(r, "host_share")}};
  const char *fact[CLI_COUNT(number) + 3][2] = {{"card", cli_card_text(r, "card")},
                                                {"bound by", cli_card_text(r, "bound")},
                                                {"energy profile", cli_card_text(r, "energy_profile")}};
  for (size_t i = 0; i < CLI_COUNT(number); i++) {
    snprintf(text[i], sizeof text[i], number[i].format, number[i].value); /* formats stand above */
    fact[i + 3][0] = number[i].name;
    fact[i + 3][1] = text[i];
  }
  cli_page_facts(page, (const char *const(*)[2])fact, CLI_COUNT(fact));
}

static void put_energy(struct cli_page *page, const json_t *report) {
  const json_t *costs = json_object_get(report, "energy"), *row;
  const size_t n = json_array_size(costs);
  const char **label = cli_array_alloc(n, sizeof *label), **note = cli_array_alloc(n, sizeof *note);
  double *joule = cli_array_alloc(n, sizeof *joule);
  size_t i;
  json_array_foreach(costs, i, row) {
    label[i] = cli_card_text(row, "name");
    note[i] = cli_card_text(row, "source");
    joule[i] = 1e3 * cli_card_number(row, "energy_j");
  }
  cli_page_bars(page, &(struct cli_bars){.title = "Energy of an inference on one chip",
                                         .unit = "mJ",
                                         .label = label,
                                         .note = note,
                                         .value = joule,
                                         .n = n});
  free(label);
  free(note);
  free(joule);
}

static void put_charts(struct cli_page *page, const json_t *report) {
  struct columns c = columns_of(report);
  const char *engine[SUMI_CARD_N_ENGINES];
  for (size_t e = 0; e < SUMI_CARD_N_ENGINES; e++) engine[e] = sumi_card_engine_label(e);
  const double peak = cli_card_number(report, "peak_macs"), roof[] = {peak, 32 * peak};
  static const char *const roofs[] = {"every multiplier at work, no zeros", "one weight in 32 left"};
  cli_page_stack(
      page, &(struct cli_stack){.title = "Cycles of the engines, mean over the cores; what bounds a layer",
                                .unit = "cycles",
                                .label = c.label,
                                .note = c.note,
                                .part = engine,
                                .n = c.n,
                                .parts = SUMI_CARD_N_ENGINES,
                                .value = c.busy});
  cli_page_roofline(page,
                    &(struct cli_roofline){.title = "Roofline of one chip: layers by their DRAM traffic",
                                           .x_name = "dense MACs a byte of DRAM",
                                           .y_name = "dense MACs a second",
                                           .label = c.label,
                                           .x = c.intensity,
                                           .y = c.rate,
                                           .n = c.n,
                                           .bytes_per_s = cli_card_number(report, "dram_bytes_per_s"),
                                           .roof = roof,
                                           .roof_name = roofs,
                                           .roofs = CLI_COUNT(roof)});
  put_energy(page, report);
  free_columns(&c);
}

static void put_host(struct cli_page *page, const json_t *report) {
  const json_t *layers = json_object_get(report, "layers"), *l;
  size_t i;
  json_array_foreach(layers, i, l) {
    if (strcmp(cli_card_text(l, "device"), "host") != 0) continue;
    char *text = cli_printf("on the host: %s (%s) %s", cli_card_text(l, "name"), cli_card_text(l, "op"),
                            cli_card_text(l, "why"));
    cli_page_text(page, text);
    free(text);
  }
}

int cli_card_page(const char *path, const char *title, const json_t *report) {
  struct cli_page page;
  const int status = cli_page_open(&page, path, title);
  if (status != CLI_GO_ON) return status;
  put_facts(&page, report);
  put_charts(&page, report);
  put_host(&page, report);
  return cli_page_close(&page);
}
