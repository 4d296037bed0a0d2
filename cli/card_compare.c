/* Published figures of inference cards, what they say of the claims made for Antoum, and a simulated network beside them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "card_int.h"

enum { RESNET50, BERT_LARGE, N_FIGURES };

static const struct workload {
  const char *name, *what;
  double macs; /* dense, an item */
} workloads[] = {
#define WORKLOAD(name, gmacs, what) {name, what, 1e9 * (gmacs)},
#include "card_published.def"
#undef WORKLOAD
};

static const struct published {
  const char *card, *source;
  double watts, per_s[N_FIGURES];
  bool sparse;
} cards[] = {
#define PUBLISHED(card, watts, sparse, resnet50, bert, source) \
  {card, source, watts, {resnet50, bert}, sparse},
#include "card_published.def"
#undef PUBLISHED
};

static const struct point {
  const char *card, *network, *source;
  double batch, per_s, ms;
} points[] = {
#define POINT(card, network, batch, per_s, ms, source) {card, network, source, batch, per_s, ms},
#include "card_published.def"
#undef POINT
};

static json_t *known(double x) { return x > 0 ? cli_json_number(x) : json_null(); }

/* ---- claims ----------------------------------------------------------------------------------------------------- */

/* What was claimed of the cards against others of their kind. */
static const struct claim {
  const char *what;
  double least;
  bool per_joule; /* by the cards' limits */
} claims[] = {{"5-10x the compute", 5, false}, {"10x the energy efficiency", 10, true}};

static double figure(const struct published *p, int workload, bool per_joule) {
  if (p->per_s[workload] <= 0 || (per_joule && p->watts <= 0)) return NAN;
  return per_joule ? p->per_s[workload] / p->watts : p->per_s[workload];
}

/* The sparse card whose limit is nearest. */
static const struct published *rival_of(const struct published *p) {
  const struct published *best = NULL;
  for (size_t i = 0; i < CLI_COUNT(cards); i++)
    if (cards[i].sparse && cards[i].watts > 0 &&
        (!best || fabs(cards[i].watts - p->watts) < fabs(best->watts - p->watts)))
      best = &cards[i];
  return best;
}

/* "A2 (SparseOne-S4: 10.4x), ..." of those that the claim holds against, or does not; "" = none. */
static char *list_of(const struct claim *c, int workload, bool holds) {
  char *text = cli_strdup("");
  for (size_t i = 0; i < CLI_COUNT(cards); i++) {
    const struct published *rival = cards[i].sparse ? NULL : rival_of(&cards[i]);
    const double ratio =
        rival ? figure(rival, workload, c->per_joule) / figure(&cards[i], workload, c->per_joule) : NAN;
    if (isnan(ratio) || (ratio >= c->least) != holds) continue;
    char *longer =
        cli_printf("%s%s%s (%s: %.1fx)", text, *text ? ", " : "", cards[i].card, rival->card, ratio);
    free(text);
    text = longer;
  }
  return text;
}

static void add_claims(json_t *to) {
  for (size_t i = 0; i < CLI_COUNT(claims); i++)
    for (int w = 0; w < N_FIGURES; w++) {
      char *yes = list_of(&claims[i], w, true), *no = list_of(&claims[i], w, false);
      char *text = cli_printf("\"%s\", %s: %s%s%s%s%s", claims[i].what, workloads[w].name,
                              *yes ? "holds against " : "holds against none of these cards", yes,
                              *no ? "; does not hold against " : "", no,
                              claims[i].per_joule ? " (items a second by the cards' limits in watts)" : "");
      json_array_append_new(to, cli_json_text(text));
      free(text);
      free(yes);
      free(no);
    }
}

/* The family's dense peak from its parameters, in operations a second (two a MAC). */
static double dense_peak(void) {
  static const char *const factors[] = {"clock_khz", "cores", "spu_pixels", "spu_outputs", "spu_banks"};
  struct sumi_card_options o = {.size = sizeof o, .timing_only = true};
  struct sumi_card_parameter p = {.size = sizeof p};
  struct sumi_card *card;
  double peak = 2e3;
  if (sumi_card_open(&o, &card, NULL) != SUMI_OK) return NAN;
  for (size_t i = 0; sumi_card_parameter(card, i, &p); i++)
    for (size_t k = 0; k < CLI_COUNT(factors); k++)
      if (!strcmp(p.name, factors[k])) peak *= (double)p.value;
  sumi_card_close(card);
  return peak;
}

static void add_caveats(json_t *to) {
  char *peak = cli_printf(
      "the sparse figures are of pruned networks (open division), the dense ones of unchanged networks "
      "(closed "
      "division): part of every ratio is the network's, not the card's. Without zeros a chip multiplies at "
      "%.1f TOPS INT8 at most, 32 times that with one weight in 32 left",
      dense_peak() * 1e-12);
  json_array_append_new(to, cli_json_text(peak));
  json_array_append_new(
      to, json_string("watts are the cards' limits, not measured power; rounds and host machines differ"));
  free(peak);
}

/* ---- a simulated network ---------------------------------------------------------------------------------------- */

static const struct workload *workload_of(double macs) {
  for (size_t i = 0; i < CLI_COUNT(workloads); i++)
    if (fabs(macs / workloads[i].macs - 1) <= 0.05) return &workloads[i];
  return NULL;
}

/* The report's figures, and by how much they differ from what was published of that card and network. */
static json_t *simulated(const json_t *report) {
  json_t *j = json_object();
  const char *card = cli_card_text(report, "card");
  const double per_s = cli_card_number(report, "throughput_per_s"),
               macs = cli_card_number(report, "network_macs") / cli_card_number(report, "batch");
  const struct workload *w = workload_of(macs);
  json_object_set_new(j, "card", cli_json_text(card));
  json_object_set_new(j, "network", w ? json_string(w->name) : json_null());
  json_object_set_new(j, "macs", cli_json_number(macs));
  json_object_set_new(j, "per_s", cli_json_number(per_s));
  json_object_set_new(j, "power_w", cli_json_number(cli_card_number(report, "power_w")));
  json_object_set_new(j, "items_per_joule", cli_json_number(cli_card_number(report, "items_per_joule")));
  json_object_set_new(j, "latency_ms", cli_json_number(cli_card_number(report, "latency_ms")));
  json_t *ratios = json_object();
  json_object_set_new(j, "times", ratios);
  const double batch = cli_card_number(report, "batch") * cli_card_number(report, "chips");
  for (size_t i = 0; w && i < CLI_COUNT(points); i++)
    if (!strcmp(points[i].card, card) && !strcmp(points[i].network, w->name) && points[i].batch == batch) {
      char *key = cli_printf("%s, batch %.0f", card, batch);
      json_object_set_new(ratios, key, cli_json_number(per_s / points[i].per_s));
      free(key);
    }
  if (!w || w >= workloads + N_FIGURES) return j;
  for (size_t i = 0; i < CLI_COUNT(cards); i++)
    if (cards[i].per_s[w - workloads] > 0)
      json_object_set_new(ratios, cards[i].card, cli_json_number(per_s / cards[i].per_s[w - workloads]));
  return j;
}

json_t *cli_card_compare(const json_t *report) {
  json_t *j = json_object(), *list = json_array(), *single = json_array(), *words = json_array();
  for (size_t i = 0; i < CLI_COUNT(cards); i++) {
    json_t *row = json_object();
    json_object_set_new(row, "card", json_string(cards[i].card));
    json_object_set_new(row, "watts", known(cards[i].watts));
    json_object_set_new(row, "sparse", json_boolean(cards[i].sparse));
    json_object_set_new(row, "resnet50_per_s", known(cards[i].per_s[RESNET50]));
    json_object_set_new(row, "bert_large_per_s", known(cards[i].per_s[BERT_LARGE]));
    json_object_set_new(row, "source", json_string(cards[i].source));
    json_array_append_new(list, row);
  }
  for (size_t i = 0; i < CLI_COUNT(points); i++)
    json_array_append_new(
        single, json_pack("{s:s, s:s, s:f, s:f, s:f, s:s}", "card", points[i].card, "network",
                          points[i].network, "batch", points[i].batch, "per_s", points[i].per_s, "latency_ms",
                          points[i].ms, "source", points[i].source));
  add_claims(words);
  add_caveats(words);
  json_object_set_new(j, "published", list);
  json_object_set_new(j, "points", single);
  json_object_set_new(j, "words", words);
  if (report) json_object_set_new(j, "simulated", simulated(report));
  return j;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static const char *amount(double x, const char *format, char buf[32]) {
  if (!(x > 0)) return "-";
  snprintf(buf, 32, format, x);
  return buf;
}

static void print_card(const json_t *row) {
  char a[32], b[32], c[32], d[32], e[32];
  const double watts = cli_card_number(row, "watts"), resnet = cli_card_number(row, "resnet50_per_s"),
               bert = cli_card_number(row, "bert_large_per_s");
  printf("%-15s %6s %-6s %11s %9s %10s %9s  %s\n", cli_card_text(row, "card"), amount(watts, "%.0f", a),
         json_is_true(json_object_get(row, "sparse")) ? "sparse" : "dense", amount(resnet, "%.1f", b),
         amount(resnet / watts, "%.1f", c), amount(bert, "%.1f", d), amount(bert / watts, "%.2f", e),
         cli_card_text(row, "source"));
}

static void print_simulated(const json_t *s) {
  const char *name, *network = cli_card_text(s, "network");
  json_t *ratio;
  printf("\nsimulated on %s: %.1f a second, %.4g ms, %.1f W, %.4g a joule", cli_card_text(s, "card"),
         cli_card_number(s, "per_s"), cli_card_number(s, "latency_ms"), cli_card_number(s, "power_w"),
         cli_card_number(s, "items_per_joule"));
  if (!*network) {
    printf("; %.4g G MACs an item are no published network's\n", 1e-9 * cli_card_number(s, "macs"));
    return;
  }
  printf("; by its %.4g G MACs an item taken for %s\n", 1e-9 * cli_card_number(s, "macs"), network);
  json_object_foreach(json_object_get(s, "times"), name, ratio)
      printf("  %6.2f x the published figure of %s\n", json_number_value(ratio), name);
}

void cli_card_compare_print(const json_t *j) {
  const json_t *row;
  size_t i;
  printf("%-15s %6s %-6s %11s %9s %10s %9s  %s\n", "card", "W", "", "ResNet-50/s", "a joule", "BERT-L/s",
         "a joule", "source");
  json_array_foreach(json_object_get(j, "published"), i, row) print_card(row);
  json_array_foreach(json_object_get(j, "points"), i, row)
      printf("%-15s %s, batch %.0f: %.1f a second, %.2f ms (%s)\n", cli_card_text(row, "card"),
             cli_card_text(row, "network"), cli_card_number(row, "batch"), cli_card_number(row, "per_s"),
             cli_card_number(row, "latency_ms"), cli_card_text(row, "source"));
  putchar('\n');
  json_array_foreach(json_object_get(j, "words"), i, row) printf("%s\n", json_string_value(row));
  if (json_object_get(j, "simulated")) print_simulated(json_object_get(j, "simulated"));
}
