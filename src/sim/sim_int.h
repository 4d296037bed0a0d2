/* The inside of a simulated chip: jobs that use resources, cores that queue them, memories. */
#ifndef SUMI_SIM_SIM_INT_H
#define SUMI_SIM_SIM_INT_H

#include "base/size.h"
#include "sim/sim.h"

enum {
  SIM_CORES = 14, /* most a chip has: addresses name no more */
  /* Resources: the SRAM of each core, then what all share. Capacities are bytes a cycle. */
  SIM_RING = SIM_CORES, /* bytes times hops; all links together */
  SIM_DRAM,
  SIM_LINK_IN,
  SIM_LINK_OUT,
  SIM_RESOURCES,
  SIM_FETCH = SUMI_CARD_ENGINES, /* the job of a core that brings its words */
  SIM_CORE_JOBS,
  SIM_COPY_IN = 0, /* jobs of the chip */
  SIM_COPY_OUT,
  SIM_UNITS_COPY,
  SIM_RUN_UNIT = SIM_UNITS_COPY,
  SIM_UNITS,
  SIM_SPANS = 20, /* ranges a word can touch, cores of a broadcast included */
  SIM_SPAN_ROWS = 3,
  SIM_PAGE = 1 << 20, /* bytes of DRAM that come to life together */
  SIM_POSTS = 64,
  SIM_UNIT_QUEUE = 64,
  SIM_PLANES_BYTES = 1 << 19, /* operands of a block of the SPU's arithmetic */
  SIM_LISTS_BYTES = 1 << 17,
  SIM_SCALE = 16 /* fraction bits of work and capacity */
};

/* Bytes [lo, hi) of one core's SRAM (acc: accumulators) that a word touches; of these, for every one of `rows`, only `width` from
 * lo + i * period on, for all i. */
struct sim_span {
  uint8_t core;
  bool acc, write;
  uint8_t n_rows;
  int64_t lo, hi;
  struct {
    int64_t period, width;
  } rows[SIM_SPAN_ROWS];
};

/* What is going on somewhere: a word, a copy, a fetch. Alone it takes `alone` cycles; beside others it slows down. */
struct sim_job {
  bool active, hung;
  uint8_t core, engine, opcode, signal; /* core 255, engine of the unit: a copy */
  uint32_t tag, word;
  uint64_t started, alone, left; /* left: cycles << SIM_SCALE at full speed */
  uint64_t latency, cycles;      /* alone = latency + max(cycles, what each resource needs) */
  uint32_t used;                 /* bit r: need[r] > 0 */
  uint64_t need[SIM_RESOURCES], rate[SIM_RESOURCES]; /* bytes; bytes << SIM_SCALE a cycle when alone */
  uint64_t dense_macs, executed_macs;
  uint64_t count[SUMI_SIM_CLOCK]; /* the counts that do not depend on time */
  int n_spans;
  struct sim_span span[SIM_SPANS];
};

struct sim_queued {
  union sumi_card_word word;
  uint32_t at; /* index in the program */
};

struct sim_queue {
  struct sim_queued item[SUMI_CARD_QUEUE];
  unsigned head, n;
};

struct sim_core {
  uint8_t *sram, *acc; /* come to life when a word first touches them; never in timing-only mode */
  struct sim_queue queue[SUMI_CARD_ENGINES];
  uint8_t token[SUMI_CARD_ENGINES][SUMI_CARD_ENGINES]; /* [to][from] */
  struct sim_job job[SIM_CORE_JOBS];
  struct sumi_card_vop program[SUMI_CARD_VPU_OPS];
  uint64_t at;                    /* DRAM address of the program */
  uint32_t words, fetched, taken; /* of the program; fetched from DRAM; put into queues */
  uint32_t fetching;              /* words the running fetch brings */
};

/* A failure on its way into a completion. */
struct sim_failure {
  uint16_t error;
  uint64_t address, detail;
};

struct sim_post { /* a completion on its way to the host */
  struct sumi_card_completion c;
  bool quiet;
  uint64_t due;
};

struct sim_unit { /* copy in, copy out, run: queue[head] is the command at work where busy */
  bool busy;
  struct sumi_card_command queue[SIM_UNIT_QUEUE];
  unsigned head, n;
  uint64_t started;
  struct sim_failure failure; /* that a copy will end with */
};

struct sumi_sim {
  const struct sumi_allocator *a;
  struct sumi_card_profile profile;
  struct sumi_sim_options options;
  struct sim_core core[SIM_CORES];
  int n_cores;
  uint64_t capacity[SIM_RESOURCES]; /* bytes << SIM_SCALE a cycle */
  uint64_t demand[SIM_RESOURCES];   /* sum of rates of active jobs */
  uint32_t tight;                   /* bit r: demand > capacity */
  struct sim_job copy[SIM_UNITS_COPY];
  struct sim_unit unit[SIM_UNITS];
  struct sim_job *active[SIM_CORES * SIM_CORE_JOBS + SIM_UNITS_COPY];
  size_t n_active;
  uint64_t now;
  uint8_t **page; /* DRAM */
  size_t n_pages;
  uint32_t *planes; /* SPU: activations of a block, see spu_sums.c */
  void *lists;      /* the weights of some outputs */
  uint32_t *pairs;  /* SPU: pairs left, where zeros are skipped; NULL without DUAL */
  /* the host's side */
  struct sim_mapping {
    uint8_t *host;
    uint64_t bus;
    size_t bytes;
  } * mapping;
  size_t n_mappings, cap_mappings;
  uint64_t next_bus;
  uint64_t control, irq_status, irq_enable, error, ecc_count;
  uint64_t cq_base, cq_size, rq_base, rq_size;
  uint32_t cq_head, cq_tail, cq_seen, rq_head, rq_tail; /* cq_seen: the doorbell as it has arrived */
  uint64_t cq_due;      /* when cq_tail arrives, where it differs from cq_seen */
  uint32_t next_number; /* of the next command */
  uint64_t base[4];     /* of the RUN at work */
  struct sim_post post[SIM_POSTS];
  unsigned n_posts;
  uint64_t fault[SUMI_SIM_N_FAULTS];
  uint64_t hazards;
  /* accounts */
  struct sumi_sim_account total, *tag;
  size_t n_tags, cap_tags, last_tag;
  uint64_t since;
};

#define SIM_P(sim, param) SUMI_CARD_VALUE(&(sim)->profile, param)

static inline uint64_t sim_div_up(uint64_t n, uint64_t d) { return n / d + (n % d != 0); }
/* A field that must hold; otherwise the enclosing function returns false with the failure filled in. */
#define SIM_REFUSE(f, e, where, what) \
  return *(f) = (struct sim_failure){SUMI_CARD_ERROR_##e, (uint64_t)(where), (uint64_t)(what)}, false
#define SIM_NEED(f, condition, e, what)          \
  do {                                           \
    if (!(condition)) SIM_REFUSE(f, e, 0, what); \
  } while (0)
#define SIM_DO(call)           \
  do {                         \
    if (!(call)) return false; \
  } while (0)

/* ---- clock.c: jobs and time */
void sim_clock_init(struct sumi_sim *sim);
/* Computes alone and rates from latency, cycles and need, and lets the job begin now. */
void sim_job_start(struct sumi_sim *sim, struct sim_job *job);
/* Cycles until the first job ends; UINT64_MAX: none will. */
uint64_t sim_clock_next(const struct sumi_sim *sim);
/* Moves on by so many cycles, at most sim_clock_next. */
void sim_clock_advance(struct sumi_sim *sim, uint64_t cycles);
void sim_job_stop(struct sumi_sim *sim, struct sim_job *job); /* takes it out, ended or not */
static inline void sim_need(struct sim_job *job, int resource, uint64_t bytes) {
  job->need[resource] += bytes;
  if (bytes) job->used |= 1u << resource;
}

/* ---- account.c */
void sim_account_job(struct sumi_sim *sim, const struct sim_job *job);
bool sim_fault_due(struct sumi_sim *sim, enum sumi_sim_fault fault);

/* ---- memory.c */
/* n bytes of DRAM to or from host bytes; the range has been checked. False: the host has no memory for it. */
void sim_dram_read(struct sumi_sim *sim, uint64_t at, void *to, size_t n);
bool sim_dram_write(struct sumi_sim *sim, uint64_t at, const void *from, size_t n);
bool sim_dram_check(const struct sumi_sim *sim, uint64_t at, uint64_t n, struct sim_failure *f);
/* Mapped host memory behind a bus address, or NULL. */
uint8_t *sim_host(struct sumi_sim *sim, uint64_t bus, uint64_t n);

/* A strided walk over one memory of a core: elements of elem bytes at at + sum of i[d] * step[d], i[d] < n[d], steps in bytes. */
struct sim_walk {
  uint32_t at;
  uint32_t elem;
  int n_dims;
  uint64_t n[6];
  int64_t step[6];
};
/* Checks that all of it lies inside; adds the span; *base becomes where `at` points (NULL in timing-only mode, else zeros where nobody
 * has written), *owner whose memory.
 * align: of at and of all steps. SUMI_CARD_ACC is refused unless acc. */
bool sim_walk_check(struct sumi_sim *sim, struct sim_job *job, const struct sim_walk *walk, uint32_t align,
                    bool acc, bool write, uint8_t **base, int *owner, struct sim_failure *f);
/* Charges bytes read from or written to the SRAM of owner by the job's core: SRAM, and the ring where it is another's. */
void sim_charge_sram(struct sumi_sim *sim, struct sim_job *job, int owner, uint64_t bytes, bool write);
int sim_hops(const struct sumi_sim *sim, int a, int b);

/* ---- core.c */
bool sim_core_step(
    struct sumi_sim *sim); /* fetches, queues and starts what can start; whether anything did */
/* programs: [cores], those of cores outside mask are not looked at. */
bool sim_core_begin(struct sumi_sim *sim, const struct sumi_card_program *programs, uint32_t mask,
                    struct sim_failure *f);
/* Whether a RUN stands still for good; *where: a word that waits. */
bool sim_core_deadlock(const struct sumi_sim *sim, struct sim_job *where);
bool sim_core_done(const struct sumi_sim *sim);
void sim_core_stop(struct sumi_sim *sim); /* forgets queues, tokens, jobs */
void sim_core_job_end(struct sumi_sim *sim, struct sim_job *job);

/* ---- host.c */
uint64_t sim_read(void *self, uint32_t reg);
void sim_write(void *self, uint32_t reg, uint64_t value);
uint64_t sim_wait(void *self, uint64_t timeout_ns);
/* Ends the RUN. A word of a core failed: job says which (NULL: none). */
void sim_end_run(struct sumi_sim *sim, const struct sim_job *job, struct sim_failure f);
/* Stops everything, as after power-on but for DRAM and what is mapped. */
void sim_reset(struct sumi_sim *sim);

/* ---- engines: plan checks a word and fills in what the job needs; run (not in timing-only mode) computes its bytes. Both see the word
 * by its opcode. run is called right after plan; where it can still fail it does so before it writes. */
struct sim_operation {
  bool (*plan)(struct sumi_sim *, struct sim_job *, const union sumi_card_word *, struct sim_failure *);
  bool (*run)(struct sumi_sim *, struct sim_job *, const union sumi_card_word *, struct sim_failure *);
};
extern const struct sim_operation sim_load, sim_store, sim_spu, sim_act, sim_program, sim_vector, sim_reshape,
    sim_lookup, sim_sync;

/* Bytes of sim->pairs: a counter for every multiplier that a block of sums can have. */
size_t sim_pairs_bytes(const struct sumi_sim *sim);

bool sim_zero(const void *bytes, size_t n); /* reserved fields */

#endif
