/* Opening and closing a chip, and what of the host's memory it may reach. */
#include "sim/sim.h"

#include "sim/sim_int.h"

static sumi_status map(void *self, void *host, size_t bytes, uint64_t *bus, struct sumi_err *err) {
  struct sumi_sim *sim = self;
  size_t end;
  if (!host || !bytes || !sumi_size_align(bytes, 4096, &end) || end > UINT64_MAX / 4 - sim->next_bus)
    SUMI_FAIL(err, SUMI_E_ARG, "card: %zu bytes at %p cannot be mapped", bytes, host);
  if (!sumi_grow(sim->a, (void **)&sim->mapping, &sim->cap_mappings, sim->n_mappings + 1,
                 sizeof *sim->mapping))
    SUMI_FAIL_MEMORY(err);
  *bus = sim->next_bus;
  sim->mapping[sim->n_mappings++] = (struct sim_mapping){host, *bus, bytes};
  sim->next_bus += end + 4096; /* a page that nobody has between every two */
  return SUMI_OK;
}

static void unmap(void *self, uint64_t bus) {
  struct sumi_sim *sim = self;
  for (size_t i = 0; i < sim->n_mappings; i++)
    if (sim->mapping[i].bus == bus) {
      sim->mapping[i] = sim->mapping[--sim->n_mappings];
      return;
    }
}

static void close_bus(void *self) { sumi_sim_close(self); }

void sumi_sim_close(struct sumi_sim *sim) {
  if (!sim) return;
  const struct sumi_allocator *a = sim->a;
  const size_t sram = (size_t)SIM_P(sim, sram_bytes), acc = (size_t)SIM_P(sim, acc_bytes);
  for (int c = 0; c < sim->n_cores; c++) {
    sumi_free(a, sim->core[c].sram, sram);
    sumi_free(a, sim->core[c].acc, acc);
  }
  for (size_t i = 0; sim->page && i < sim->n_pages; i++) sumi_free(a, sim->page[i], SIM_PAGE);
  sumi_free(a, sim->page, sim->n_pages * sizeof *sim->page);
  sumi_free(a, sim->planes, SIM_PLANES_BYTES);
  sumi_free(a, sim->lists, SIM_LISTS_BYTES);
  sumi_free(a, sim->pairs, sim_pairs_bytes(sim));
  sumi_free(a, sim->mapping, sim->cap_mappings * sizeof *sim->mapping);
  sumi_free(a, sim->tag, sim->cap_tags * sizeof *sim->tag);
  sumi_free(a, sim, sizeof *sim);
}

static bool allocate(struct sumi_sim *sim) {
  sim->n_pages = (size_t)sim_div_up((uint64_t)SIM_P(sim, dram_bytes), SIM_PAGE);
  sim->page = sumi_alloc(sim->a, sim->n_pages * sizeof *sim->page);
  if (!sim->page) return false;
  if (sim->options.timing_only) return true;
  sim->planes = sumi_alloc(sim->a, SIM_PLANES_BYTES);
  sim->lists = sumi_alloc(sim->a, SIM_LISTS_BYTES);
  if (SIM_P(sim, dual)) sim->pairs = sumi_alloc(sim->a, sim_pairs_bytes(sim));
  return sim->planes && sim->lists && (sim->pairs || !SIM_P(sim, dual));
}

sumi_status sumi_sim_open(const struct sumi_card_profile *profile, const struct sumi_sim_options *options,
                          const struct sumi_allocator *a, struct sumi_sim **out, struct sumi_card_bus *bus,
                          struct sumi_err *err) {
  SUMI_TRY(sumi_card_profile_check(profile, err));
  if (options && (unsigned)options->energy > SUMI_SIM_OPTIMISTIC)
    SUMI_FAIL(err, SUMI_E_VALUE, "card: energy profile %d is unknown", (int)options->energy);
  if (!a) a = sumi_allocator_default();
  struct sumi_sim *sim = sumi_alloc(a, sizeof *sim);
  if (!sim) SUMI_FAIL_MEMORY(err);
  sim->a = a;
  sim->profile = *profile;
  if (options) sim->options = *options;
  sim->n_cores = (int)SIM_P(sim, cores);
  sim->next_bus = 1 << 20;
  sim_clock_init(sim);
  sim_reset(sim);
  sumi_sim_forget(sim);
  if (!allocate(sim)) {
    sumi_sim_close(sim);
    SUMI_FAIL_MEMORY(err);
  }
  *bus = (struct sumi_card_bus){sim, sim_read, sim_write, map, unmap, sim_wait, close_bus};
  *out = sim;
  return SUMI_OK;
}
