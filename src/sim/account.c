/* What was done, by tag and in total; energy by the table of energy.def. */
#include <string.h>

#include "sim/sim_int.h"

enum { MAX_TAGS = 1 << 14 }; /* of later ones only the total knows */

const struct sumi_sim_count_info sumi_sim_counts[SUMI_SIM_N_COUNTS] = {
#define SUMI_SIM_ENERGY(name, unit, conservative, optimistic, source) \
  {#name, unit, source, {conservative, optimistic}},
#include "sim/energy.def"
#undef SUMI_SIM_ENERGY
};

bool sim_fault_due(struct sumi_sim *sim, enum sumi_sim_fault fault) {
  return sim->fault[fault] && --sim->fault[fault] == 0;
}

static struct sumi_sim_account *tag_of(struct sumi_sim *sim, uint32_t tag) {
  if (sim->last_tag < sim->n_tags && sim->tag[sim->last_tag].tag == tag) return &sim->tag[sim->last_tag];
  for (size_t i = 0; i < sim->n_tags; i++)
    if (sim->tag[i].tag == tag) return &sim->tag[sim->last_tag = i];
  if (sim->n_tags == MAX_TAGS ||
      !sumi_grow(sim->a, (void **)&sim->tag, &sim->cap_tags, sim->n_tags + 1, sizeof *sim->tag))
    return NULL;
  sim->last_tag = sim->n_tags++;
  sim->tag[sim->last_tag] = (struct sumi_sim_account){.tag = tag, .first = UINT64_MAX};
  return &sim->tag[sim->last_tag];
}

static void add(struct sumi_sim_account *to, const struct sim_job *job, uint64_t now) {
  to->first = SUMI_MIN(to->first, job->started);
  to->last = SUMI_MAX(to->last, now);
  if (job->core != 255 && job->engine < SUMI_CARD_ENGINES) {
    to->words++;
    to->busy[job->engine] += now - job->started;
    to->alone[job->engine] += job->alone;
  }
  to->dense_macs += job->dense_macs;
  to->executed_macs += job->executed_macs;
  for (int i = 0; i < SUMI_SIM_CLOCK; i++) to->count[i] += job->count[i];
}

void sim_account_job(struct sumi_sim *sim, const struct sim_job *job) {
  add(&sim->total, job, sim->now);
  struct sumi_sim_account *tag = tag_of(sim, job->tag);
  if (tag) add(tag, job, sim->now);
  if (sim->options.trace)
    sim->options.trace(sim->options.user, &(struct sumi_sim_event){job->core, job->engine, job->opcode,
                                                                   job->tag, job->started, sim->now});
}

static void price(const struct sumi_sim *sim, struct sumi_sim_account *a) {
  a->joule_total = 0;
  for (int i = 0; i < SUMI_SIM_N_COUNTS; i++) {
    a->joule[i] = (double)a->count[i] * sumi_sim_counts[i].picojoule[sim->options.energy] * 1e-12;
    a->joule_total += a->joule[i];
  }
}

void sumi_sim_total(const struct sumi_sim *sim, struct sumi_sim_account *out) {
  *out = sim->total;
  const uint64_t cycles = sim->now - sim->since;
  const double ns = (double)cycles * 1e6 / (double)SIM_P(sim, clock_khz);
  out->count[SUMI_SIM_CLOCK] = cycles;
  out->count[SUMI_SIM_LEAKAGE] = out->count[SUMI_SIM_DRAM_IDLE] = out->count[SUMI_SIM_LINK_IDLE] =
      (uint64_t)ns;
  out->count[SUMI_SIM_BOARD] =
      (uint64_t)(ns * 1e-3 * (double)SIM_P(sim, board_mw) / (double)SIM_P(sim, chips)); /* mW * us = nJ */
  price(sim, out);
}

bool sumi_sim_tag(const struct sumi_sim *sim, size_t i, struct sumi_sim_account *out) {
  if (i >= sim->n_tags) return false;
  *out = sim->tag[i];
  price(sim, out);
  return true;
}

void sumi_sim_forget(struct sumi_sim *sim) {
  sim->total = (struct sumi_sim_account){.first = UINT64_MAX};
  sim->n_tags = 0;
  sim->since = sim->now;
  sim->hazards = 0;
}

uint64_t sumi_sim_hazards(const struct sumi_sim *sim) { return sim->hazards; }
uint64_t sumi_sim_cycles(const struct sumi_sim *sim) { return sim->now; }

void sumi_sim_fault(struct sumi_sim *sim, enum sumi_sim_fault fault, uint64_t nth) {
  if ((unsigned)fault < SUMI_SIM_N_FAULTS) sim->fault[fault] = nth;
}
