/* What the API's files of the card share. */
#ifndef SUMI_API_CARD_INT_H
#define SUMI_API_CARD_INT_H

#include <sumi/card.h>

#include "api/api_int.h"
#include "device/antoum/antoum.h"
#include "sim/sim.h"

/* A card and the chip that plays it. */
struct sumi_card_owner {
  struct sumi_card card; /* first */
  struct sumi_sim *sim;
  /* while measuring */
  void (*on_event)(const struct sumi_card_owner *w, const struct sumi_sim_event *event);
  const void *measuring;
  struct sumi_card_cost cost[SUMI_SIM_N_COUNTS]; /* of the last measuring */
};

/* ---- card_account.c: accounts of the simulator, divided by so many inferences. Pure functions. */
struct sumi_card_rates {
  const struct sumi_card_profile *profile;
  double inferences;
  double cores; /* that ran the program */
};
void sumi_card_layer_fill(const struct sumi_card_rates *r, const struct sumi_sim_account *a,
                          struct sumi_card_layer *to);
/* The engine or path that alone would take longest; "" = nothing was done. alone: cycles of the engines, mean over cores. */
const char *sumi_card_bound(const struct sumi_card_profile *p, const double alone[SUMI_CARD_ENGINES],
                            const struct sumi_sim_account *a);
/* Adds b to a: cycles, MACs, counts, energy. */
void sumi_card_account_add(struct sumi_sim_account *a, const struct sumi_sim_account *b);
/* Multipliers of a core. */
double sumi_card_multipliers(const struct sumi_card_profile *p);

#endif
