/* The network's products on engines of other kinds. */
#include <stdlib.h>

#include "card_int.h"

void cli_card_engines_add(struct cli_card_engines *e, const struct sumi_card_layer *layer) {
  double macs = 0;
  for (size_t i = 0; i < layer->n_products; i++) {
    const struct sumi_card_product *p = &layer->products[i];
    macs += p->m * p->k * p->n * p->count;
  }
  if (!layer->n_products || e->err.status != SUMI_OK) return;
  json_t *cycles = json_array(), *row = json_object();
  for (size_t k = 0; k < e->n; k++) {
    double sum = 0, one = 0;
    for (size_t i = 0; i < layer->n_products; i++) {
      if (sumi_card_engine_cycles(e->name[k], &layer->products[i], e->x_density, &one, &e->err) != SUMI_OK)
        break;
      sum += one;
    }
    json_array_append_new(cycles, cli_json_number(sum));
  }
  json_object_set_new(row, "name", cli_json_text(layer->node));
  json_object_set_new(row, "macs", cli_json_number(macs));
  json_object_set_new(row, "card_cycles", cli_json_number(layer->cycles));
  json_object_set_new(row, "cycles", cycles);
  json_array_append_new(e->rows, row);
}

json_t *cli_card_engines_end(struct cli_card_engines *e) {
  json_t *o = json_object(), *names = json_array(), *sums = json_array();
  for (size_t k = 0; k < e->n; k++) {
    double sum = 0;
    json_t *row;
    size_t i;
    json_array_foreach(e->rows, i, row) sum +=
        json_number_value(json_array_get(json_object_get(row, "cycles"), k));
    json_array_append_new(names, cli_json_text(e->name[k]));
    json_array_append_new(sums, cli_json_number(sum));
  }
  json_object_set_new(o, "names", names);
  json_object_set_new(o, "cycles", sums);
  json_object_set_new(o, "layers", e->rows);
  e->rows = NULL;
  return o;
}

static void print_row(const char *name, double macs, double own, const json_t *cycles) {
  char a[32];
  printf("%-44.44s %10s %14.0f", name, cli_quantity(macs, a, sizeof a), own);
  for (size_t k = 0; k < json_array_size(cycles); k++)
    printf(" %20.0f", json_number_value(json_array_get(cycles, k)));
  putchar('\n');
}

void cli_card_engines_print(const json_t *engines) {
  const json_t *layers = json_object_get(engines, "layers"), *names = json_object_get(engines, "names"), *row;
  double macs = 0, own = 0;
  size_t i;
  printf(
      "\ncycles of the products, by closed formulas without memory or stalls; this card's are simulated\n");
  printf("%-44s %10s %14s", "layer", "MACs", "this card");
  for (i = 0; i < json_array_size(names); i++)
    printf(" %20.20s", json_string_value(json_array_get(names, i)));
  putchar('\n');
  json_array_foreach(layers, i, row) {
    macs += cli_card_number(row, "macs");
    own += cli_card_number(row, "card_cycles");
    print_row(cli_card_text(row, "name"), cli_card_number(row, "macs"), cli_card_number(row, "card_cycles"),
              json_object_get(row, "cycles"));
  }
  print_row("sum", macs, own, json_object_get(engines, "cycles"));
}
