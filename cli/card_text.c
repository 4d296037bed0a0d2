/* Reports of sumi card as text. */
#include <math.h>
#include <string.h>

#include "card_int.h"

double cli_card_number(const json_t *j, const char *key) {
  const json_t *v = json_object_get(j, key);
  return json_is_number(v) ? json_number_value(v) : NAN;
}

const char *cli_card_text(const json_t *j, const char *key) {
  const char *text = json_string_value(json_object_get(j, key));
  return text ? text : "";
}

static const char *amount(double x, char buf[32]) {
  if (isnan(x)) return "-";
  return cli_quantity(x, buf, 32);
}

static void print_layer(const json_t *l) {
  char a[32], b[32], c[32], d[32], e[32], f[32];
  const json_t *bytes = json_object_get(l, "bytes");
  const bool on_card = !strcmp(cli_card_text(l, "device"), "antoum");
  printf("%-40.40s %-14.14s %-7s", cli_card_text(l, "name"), cli_card_text(l, "op"),
         on_card ? cli_card_text(l, "bound") : "host");
  if (on_card)
    printf(" %10.0f %6.1f %8s %8s %8s %8s %8s %9.1f", cli_card_number(l, "cycles"),
           100 * cli_card_number(l, "utilisation"), amount(cli_card_number(l, "dense_macs"), a),
           amount(cli_card_number(l, "executed_macs"), b), amount(cli_card_number(bytes, "dram"), c),
           amount(cli_card_number(bytes, "sram"), d), amount(cli_card_number(bytes, "ring"), e),
           1e6 * cli_card_number(l, "energy_j"));
  else
    printf(" %10s %6s %8s %8s %8s %8s %8s %9s", "-", "-", amount(cli_card_number(l, "dense_macs"), f), "-",
           "-", "-", "-", "-");
  printf("  %s\n", cli_card_text(l, "why"));
}

static void print_engines(const json_t *j) {
  const json_t *busy = json_object_get(j, "busy");
  const double cycles = cli_card_number(j, "cycles") * cli_card_number(j, "cores");
  const char *name;
  json_t *value;
  printf("engines at work:");
  json_object_foreach((json_t *)(uintptr_t)busy, name, value)
      printf(" %s %.0f %%", name, 100 * json_number_value(value) / cycles);
  printf("; bound by %s\n", *cli_card_text(j, "bound") ? cli_card_text(j, "bound") : "nothing");
}

static void print_traffic(const json_t *j) {
  char a[32], b[32], c[32], d[32], e[32], f[32];
  const json_t *bytes = json_object_get(j, "bytes");
  printf("an inference: %s dense MACs, %s executed (%.1f %% of the multipliers' cycles); %sB DRAM, %sB SRAM, "
         "%sB ring, %sB "
         "link\n",
         amount(cli_card_number(j, "dense_macs"), a), amount(cli_card_number(j, "executed_macs"), b),
         100 * cli_card_number(j, "utilisation"), amount(cli_card_number(bytes, "dram"), c),
         amount(cli_card_number(bytes, "sram"), d), amount(cli_card_number(bytes, "ring"), e),
         amount(cli_card_number(bytes, "link"), f));
}

static void print_energy(const json_t *j) {
  const json_t *costs = json_object_get(j, "energy"), *row;
  const double all = cli_card_number(j, "energy_j");
  size_t i;
  printf("energy of an inference on one chip: %.4g J, %s:", all, cli_card_text(j, "energy_profile"));
  json_array_foreach(costs, i, row) {
    const double share = cli_card_number(row, "energy_j") / all;
    if (share >= 0.005) printf(" %s %.0f %%", cli_card_text(row, "name"), 100 * share);
  }
  putchar('\n');
}

void cli_card_print(const json_t *j) {
  const json_t *layers = json_object_get(j, "layers"), *l;
  size_t i;
  printf("%-40s %-14s %-7s %10s %6s %8s %8s %8s %8s %8s %9s\n", "layer", "op", "bound", "cycles", "util %",
         "MACs", "executed", "DRAM B", "SRAM B", "ring B", "uJ");
  json_array_foreach(layers, i, l) print_layer(l);
  printf("%s: %g chip%s of %g cores, batch %g a chip; %g nodes on the card in %g program%s, %g on the host "
         "(%.2f %% of the "
         "MACs)\n",
         cli_card_text(j, "card"), cli_card_number(j, "chips"), cli_card_number(j, "chips") > 1 ? "s" : "",
         cli_card_number(j, "cores"), cli_card_number(j, "batch"), cli_card_number(j, "card_nodes"),
         cli_card_number(j, "programs"), cli_card_number(j, "programs") == 1 ? "" : "s",
         cli_card_number(j, "host_nodes"), 100 * cli_card_number(j, "host_share"));
  if (!(cli_card_number(j, "cycles") > 0)) {
    printf("nothing is left for the card\n");
    return;
  }
  printf("throughput %.1f a second, latency %.4g ms; %.1f W of %.0f W, %.4g a joule%s\n",
         cli_card_number(j, "throughput_per_s"), cli_card_number(j, "latency_ms"),
         cli_card_number(j, "power_w"), cli_card_number(j, "limit_w"), cli_card_number(j, "items_per_joule"),
         cli_card_number(j, "host_nodes") > 0 ? "; the host's nodes take time that is not in here" : "");
  print_traffic(j);
  print_engines(j);
  print_energy(j);
  if (!isnan(cli_card_number(j, "largest_difference")))
    printf("outputs: largest difference from device cpu %.6g; the host's nodes took %.3g ms here\n",
           cli_card_number(j, "largest_difference"), cli_card_number(j, "host_ms"));
  printf("compiled in %.0f ms, simulated in %.0f ms (%.3g M cycles a second)%s\n",
         cli_card_number(j, "compile_ms"), cli_card_number(j, "simulate_ms"),
         cli_card_number(j, "simulated_cycles") / cli_card_number(j, "simulate_ms") * 1e-3,
         cli_card_number(j, "hazards") > 0 ? "; words met on the same bytes: the compiler is wrong" : "");
}

void cli_card_print_sweep(const json_t *rows) {
  const json_t *row;
  size_t i;
  const double first = cli_card_number(json_array_get(rows, 0), "cycles");
  printf("%9s %14s %10s %10s %8s %9s %9s %8s\n", "sparsity", "a second", "latency ms", "speed-up", "W",
         "a joule", "executed", "bound");
  json_array_foreach(rows, i, row)
      printf("%9g %14.1f %10.4g %10.2f %8.1f %9.4g %8.2f%% %8s\n", cli_card_number(row, "sparsity"),
             cli_card_number(row, "throughput_per_s"), cli_card_number(row, "latency_ms"),
             first / cli_card_number(row, "cycles"), cli_card_number(row, "power_w"),
             cli_card_number(row, "items_per_joule"),
             100 * cli_card_number(row, "executed_macs") / cli_card_number(row, "dense_macs"),
             cli_card_text(row, "bound"));
}

json_t *cli_card_parameters(const struct sumi_card *card) {
  json_t *all = json_array();
  struct sumi_card_parameter p = {.size = sizeof p};
  for (size_t i = 0; sumi_card_parameter(card, i, &p); i++) {
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(p.name));
    json_object_set_new(row, "value", json_integer(p.value));
    json_object_set_new(row, "unit", json_string(p.unit));
    json_object_set_new(row, "letter", json_stringn(&p.letter, 1));
    json_object_set_new(row, "source", cli_json_text(p.source));
    json_array_append_new(all, row);
  }
  return all;
}

void cli_card_print_parameters(const json_t *rows) {
  const json_t *row;
  size_t i;
  json_array_foreach(rows, i, row)
      printf("%s %-16s %12lld %-14s %s\n", cli_card_text(row, "letter"), cli_card_text(row, "name"),
             (long long)json_integer_value(json_object_get(row, "value")), cli_card_text(row, "unit"),
             cli_card_text(row, "source"));
  printf("K: documented by the maker, D: derived from what is, A: assumed\n");
}
