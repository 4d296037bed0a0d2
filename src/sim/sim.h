/* A simulated chip: bit-exact, or timing only; what it cost in time, traffic and energy. */
#ifndef SUMI_SIM_SIM_H
#define SUMI_SIM_SIM_H

#include <stdbool.h>

#include "base/mem.h"
#include "card/profile.h"
#include "card/word.h"

struct sumi_sim;

enum sumi_sim_energy_profile { SUMI_SIM_CONSERVATIVE, SUMI_SIM_OPTIMISTIC };

/* A word or command that has ended, in core cycles. core: 255 for copies (engine: 0 in, 1 out);
 * engine SUMI_CARD_ENGINES: fetching. */
struct sumi_sim_event {
  uint8_t core, engine, opcode;
  uint32_t tag;
  uint64_t started, finished;
};

struct sumi_sim_options {
  bool timing_only; /* no byte is computed, except that copies and the words themselves are moved */
  enum sumi_sim_energy_profile energy;
  void (*trace)(void *user, const struct sumi_sim_event *event); /* NULL = none; must not call back */
  void *user;
};

/* A chip of a card; chips of one card do not know each other. *bus is its contract side, good until sumi_sim_close or
 * bus->close, either of which frees both. SUMI_E_VALUE: the profile is wrong. options may be NULL; a NULL = the C library's
 * allocator. One thread at a time. */
sumi_status sumi_sim_open(const struct sumi_card_profile *profile, const struct sumi_sim_options *options,
                          const struct sumi_allocator *a, struct sumi_sim **out, struct sumi_card_bus *bus,
                          struct sumi_err *err);
void sumi_sim_close(struct sumi_sim *sim); /* NULL allowed */

/* What is counted, each with an energy: energy.def. */
enum sumi_sim_count {
#define SUMI_SIM_ENERGY(name, unit, conservative, optimistic, source) SUMI_SIM_##name,
#include "sim/energy.def"
#undef SUMI_SIM_ENERGY
  SUMI_SIM_N_COUNTS
};
struct sumi_sim_count_info {
  const char *name, *unit, *source;
  double picojoule[2]; /* per unit, by enum sumi_sim_energy_profile */
};
extern const struct sumi_sim_count_info sumi_sim_counts[SUMI_SIM_N_COUNTS];

/* What words of one tag did, or all of them. */
struct sumi_sim_account {
  uint32_t tag;
  uint64_t words, first, last;       /* cycles of the first start and the last end */
  uint64_t busy[SUMI_CARD_ENGINES];  /* cycles an engine worked, summed over cores */
  uint64_t alone[SUMI_CARD_ENGINES]; /* cycles it would have taken with nobody else in the way */
  uint64_t dense_macs, executed_macs;
  uint64_t count[SUMI_SIM_N_COUNTS];
  double joule[SUMI_SIM_N_COUNTS]; /* count * energy; joule_total is their sum */
  double joule_total;
};

/* Everything since power-on or sumi_sim_forget, time-dependent rows (leakage, idle) included up to now. */
void sumi_sim_total(const struct sumi_sim *sim, struct sumi_sim_account *out);
/* The i-th tag in order of appearance, without time-dependent rows; false from the last on. Copies have tag
 * SUMI_SIM_TAG_COPY, fetching SUMI_SIM_TAG_FETCH. The first 16384 tags are kept apart. */
bool sumi_sim_tag(const struct sumi_sim *sim, size_t i, struct sumi_sim_account *out);
enum { SUMI_SIM_TAG_COPY = -1, SUMI_SIM_TAG_FETCH = -2 };
void sumi_sim_forget(struct sumi_sim *sim); /* accounts start anew */

/* Words that began while another touched the same bytes and one of them wrote: bounds of strided copies are compared, so what
 * interleaves counts too. A correct program of contiguous tiles has none. */
uint64_t sumi_sim_hazards(const struct sumi_sim *sim);
uint64_t sumi_sim_cycles(const struct sumi_sim *sim); /* core clock now */

enum sumi_sim_fault {
  SUMI_SIM_FAULT_ECC_CORRECTED, /* a LOAD finds a word it can correct */
  SUMI_SIM_FAULT_ECC,           /* a LOAD finds one it cannot */
  SUMI_SIM_FAULT_DMA,           /* a copy fails on the link */
  SUMI_SIM_FAULT_HANG,          /* a word of any engine never ends */
  SUMI_SIM_FAULT_LOST_IRQ,      /* an interrupt does not reach the host */
  SUMI_SIM_N_FAULTS
};
/* The nth (1 = next) occasion from now fails; 0 takes the order back. */
void sumi_sim_fault(struct sumi_sim *sim, enum sumi_sim_fault fault, uint64_t nth);

#endif
