/* From the simulator's accounts to rows of a report. */
#include "api/card_int.h"

double sumi_card_multipliers(const struct sumi_card_profile *p) {
  return (double)(SUMI_CARD_VALUE(p, spu_pixels) * SUMI_CARD_VALUE(p, spu_outputs) *
                  SUMI_CARD_VALUE(p, spu_banks));
}

static double count(const struct sumi_sim_account *a, enum sumi_sim_count i) { return (double)a->count[i]; }

/* Bytes a cycle of what all cores share; MB/s with a share in thousandths. */
static double per_cycle(const struct sumi_card_profile *p, int64_t mbs, int64_t permille) {
  return (double)mbs * 1e6 * (double)permille / 1000 / ((double)SUMI_CARD_VALUE(p, clock_khz) * 1000);
}

/* A path of bytes: engines' cycles are summed over the cores, which work side by side; a path is there once. */
struct path {
  const char *name;
  double bytes, per_cycle;
};
enum { N_PATHS = 4 };

static void paths_of(const struct sumi_card_profile *p, const struct sumi_sim_account *a,
                     struct path path[N_PATHS]) {
  const double cores = (double)SUMI_CARD_VALUE(p, cores);
  path[0] = (struct path){"dram", count(a, SUMI_SIM_DRAM),
                          per_cycle(p, SUMI_CARD_VALUE(p, dram_mbs), SUMI_CARD_VALUE(p, dram_permille))};
  path[1] = (struct path){"sram", count(a, SUMI_SIM_SRAM_READ) + count(a, SUMI_SIM_SRAM_WRITE),
                          cores * (double)(SUMI_CARD_VALUE(p, sram_banks) * SUMI_CARD_VALUE(p, sram_line))};
  path[2] =
      (struct path){"ring", count(a, SUMI_SIM_RING), cores * 2 * (double)SUMI_CARD_VALUE(p, ring_bytes)};
  path[3] = (struct path){/* half of what crosses goes each way at the least */
                          "link", count(a, SUMI_SIM_LINK) / 2,
                          per_cycle(p, SUMI_CARD_VALUE(p, link_mbs), SUMI_CARD_VALUE(p, link_permille))};
}

const char *sumi_card_bound(const struct sumi_card_profile *p, const double alone[SUMI_CARD_ENGINES],
                            const struct sumi_sim_account *a) {
  struct path path[N_PATHS];
  const char *bound = "";
  double most = 0;
  for (unsigned e = 0; e < SUMI_CARD_ENGINES; e++)
    if (alone[e] > most) most = alone[e], bound = sumi_card_engine_name(e);
  paths_of(p, a, path);
  for (int i = 0; i < N_PATHS; i++)
    if (path[i].bytes / path[i].per_cycle > most)
      most = path[i].bytes / path[i].per_cycle, bound = path[i].name;
  return bound;
}

static struct sumi_card_traffic traffic_of(const struct sumi_card_rates *r,
                                           const struct sumi_sim_account *a) {
  return (struct sumi_card_traffic){
      .dram = count(a, SUMI_SIM_DRAM) / r->inferences,
      .ring = count(a, SUMI_SIM_RING) / r->inferences,
      .link = count(a, SUMI_SIM_LINK) / r->inferences,
      .sram = (count(a, SUMI_SIM_SRAM_READ) + count(a, SUMI_SIM_SRAM_WRITE)) / r->inferences};
}

void sumi_card_layer_fill(const struct sumi_card_rates *r, const struct sumi_sim_account *a,
                          struct sumi_card_layer *to) {
  const double cores = (double)SUMI_CARD_VALUE(r->profile, cores);
  double alone[SUMI_CARD_ENGINES];
  to->cycles = 0;
  for (int e = 0; e < SUMI_CARD_ENGINES; e++) {
    to->busy[e] = (double)a->busy[e] / r->inferences;
    to->cycles = SUMI_MAX(to->cycles, to->busy[e] / r->cores);
    alone[e] = (double)a->alone[e] / r->cores;
  }
  to->dense_macs = (double)a->dense_macs / r->inferences;
  to->executed_macs = (double)a->executed_macs / r->inferences;
  if (to->cycles > 0)
    to->utilisation = to->executed_macs / (to->cycles * cores * sumi_card_multipliers(r->profile));
  to->bytes = traffic_of(r, a);
  to->energy_j = a->joule_total / r->inferences;
  to->bound = sumi_card_bound(r->profile, alone, a);
}

void sumi_card_account_add(struct sumi_sim_account *a, const struct sumi_sim_account *b) {
  for (int e = 0; e < SUMI_CARD_ENGINES; e++) a->busy[e] += b->busy[e], a->alone[e] += b->alone[e];
  for (int i = 0; i < SUMI_SIM_N_COUNTS; i++) a->count[i] += b->count[i], a->joule[i] += b->joule[i];
  a->words += b->words;
  a->dense_macs += b->dense_macs;
  a->executed_macs += b->executed_macs;
  a->joule_total += b->joule_total;
}
