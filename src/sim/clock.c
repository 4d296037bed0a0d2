/* Time. Jobs share resources in proportion to what each would take alone: where the demands on a resource exceed what it gives,
 * everyone who uses it slows down by that ratio, and a job by the worst of its ratios. Integers only, so that a simulation
 * gives the same cycles everywhere. */
#include <string.h>

#include "sim/sim_int.h"

static uint64_t per_cycle(int64_t mbs, int64_t permille, int64_t khz) {
  /* MB/s * permille / kHz = bytes a cycle */
  const double bytes = (double)mbs * (double)permille / (double)khz;
  const uint64_t fixed = (uint64_t)(bytes * (1 << SIM_SCALE) + 0.5);
  return fixed ? fixed : 1;
}

void sim_clock_init(struct sumi_sim *sim) {
  const uint64_t sram = (uint64_t)SIM_P(sim, sram_banks) * (uint64_t)SIM_P(sim, sram_line);
  for (int c = 0; c < SIM_CORES; c++) sim->capacity[c] = sram << SIM_SCALE;
  sim->capacity[SIM_RING] = ((uint64_t)SIM_P(sim, ring_bytes) * 2 * (uint64_t)sim->n_cores) << SIM_SCALE;
  const int64_t khz = SIM_P(sim, clock_khz);
  sim->capacity[SIM_DRAM] = per_cycle(SIM_P(sim, dram_mbs), SIM_P(sim, dram_permille), khz);
  sim->capacity[SIM_LINK_IN] = per_cycle(SIM_P(sim, link_mbs), SIM_P(sim, link_permille), khz);
  sim->capacity[SIM_LINK_OUT] = sim->capacity[SIM_LINK_IN];
}

/* bytes << SIM_SCALE over d, rounded up, without overflow for any bytes below 2^63. */
static uint64_t scaled_div_up(uint64_t bytes, uint64_t d) {
  const unsigned __int128 n = (unsigned __int128)bytes << SIM_SCALE;
  return (uint64_t)((n + d - 1) / d);
}

static void demand(struct sumi_sim *sim, const struct sim_job *job, bool add) {
  for (uint32_t used = job->used; used; used &= used - 1) {
    const int r = __builtin_ctz(used);
    sim->demand[r] += add ? job->rate[r] : 0 - job->rate[r];
    const uint32_t bit = 1u << r;
    sim->tight = sim->demand[r] > sim->capacity[r] ? sim->tight | bit : sim->tight & ~bit;
  }
}

void sim_job_start(struct sumi_sim *sim, struct sim_job *job) {
  uint64_t t = job->cycles;
  for (uint32_t used = job->used; used; used &= used - 1) {
    const int r = __builtin_ctz(used);
    const uint64_t need = scaled_div_up(job->need[r], sim->capacity[r]);
    t = SUMI_MAX(t, need);
  }
  job->alone = SUMI_MIN(SUMI_MAX(job->latency + t, 1), (uint64_t)1 << 46); /* left has to hold it */
  for (uint32_t used = job->used; used; used &= used - 1) {
    const int r = __builtin_ctz(used);
    /* rounded down: a job alone never exceeds a resource */
    job->rate[r] = (uint64_t)(((unsigned __int128)job->need[r] << SIM_SCALE) / job->alone);
  }
  job->left = job->alone << SIM_SCALE;
  job->started = sim->now;
  job->active = true;
  sim->active[sim->n_active++] = job;
  demand(sim, job, true);
}

void sim_job_stop(struct sumi_sim *sim, struct sim_job *job) {
  if (!job->active) return;
  job->active = false;
  for (size_t i = 0; i < sim->n_active; i++)
    if (sim->active[i] == job) {
      memmove(&sim->active[i], &sim->active[i + 1], (sim->n_active - i - 1) * sizeof *sim->active);
      sim->n_active--;
      break;
    }
  demand(sim, job, false);
}

/* Speed of a job, 1 << SIM_SCALE = full. */
static uint64_t speed(const struct sumi_sim *sim, const struct sim_job *job) {
  uint64_t s = 1 << SIM_SCALE;
  for (uint32_t used = job->used & sim->tight; used; used &= used - 1) {
    const int r = __builtin_ctz(used);
    const uint64_t share = (uint64_t)(((unsigned __int128)sim->capacity[r] << SIM_SCALE) / sim->demand[r]);
    s = SUMI_MIN(s, SUMI_MAX(share, 1));
  }
  return s;
}

uint64_t sim_clock_next(const struct sumi_sim *sim) {
  uint64_t next = UINT64_MAX;
  for (size_t i = 0; i < sim->n_active; i++) {
    const struct sim_job *job = sim->active[i];
    if (job->hung) continue;
    const uint64_t t = job->used & sim->tight ? sim_div_up(job->left, speed(sim, job))
                                              : sim_div_up(job->left, 1 << SIM_SCALE);
    next = SUMI_MIN(next, t);
  }
  return next;
}

void sim_clock_advance(struct sumi_sim *sim, uint64_t cycles) {
  for (size_t i = 0; i < sim->n_active; i++) {
    struct sim_job *job = sim->active[i];
    const uint64_t s = job->used & sim->tight ? speed(sim, job) : 1 << SIM_SCALE;
    const uint64_t done = cycles * s; /* both are below 2^40 and 2^17 where the job ends in time */
    job->left = job->hung ? job->left : job->left > done ? job->left - done : 0;
  }
  sim->now += cycles;
}
