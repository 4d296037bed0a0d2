/* A core's front: words fetched from DRAM, queued for their engines, started when their tokens are there. */
#include <string.h>

#include "sim/sim_int.h"

static const struct sim_operation *const operations[SUMI_CARD_N_OPCODES] = {
    [SUMI_CARD_OP_LOAD] = &sim_load,       [SUMI_CARD_OP_STORE] = &sim_store,
    [SUMI_CARD_OP_SPU] = &sim_spu,         [SUMI_CARD_OP_ACT] = &sim_act,
    [SUMI_CARD_OP_PROGRAM] = &sim_program, [SUMI_CARD_OP_VPU] = &sim_vector,
    [SUMI_CARD_OP_RESHAPE] = &sim_reshape, [SUMI_CARD_OP_LOOKUP] = &sim_lookup,
    [SUMI_CARD_OP_SYNC] = &sim_sync,
};

static void job_begin(struct sim_job *job, int core, int engine, const struct sim_queued *q) {
  memset(job, 0, offsetof(struct sim_job, span));
  job->core = (uint8_t)core;
  job->engine = (uint8_t)engine;
  if (!q) return;
  job->opcode = q->word.h.opcode;
  job->signal = q->word.h.signal;
  job->tag = q->word.h.tag;
  job->word = q->at;
}

bool sim_core_begin(struct sumi_sim *sim, const struct sumi_card_program *programs, uint32_t mask,
                    struct sim_failure *f) {
  for (int c = 0; c < sim->n_cores; c++) {
    const struct sumi_card_program *p = &programs[c];
    if (!(mask >> c & 1)) continue;
    if (p->zero || p->at % SUMI_CARD_WORD_BYTES) SIM_REFUSE(f, COMMAND, p->at, p->zero);
    SIM_DO(sim_dram_check(sim, p->at, (uint64_t)p->words * SUMI_CARD_WORD_BYTES, f));
  }
  for (int c = 0; c < sim->n_cores; c++) {
    struct sim_core *core = &sim->core[c];
    core->at = programs[c].at;
    core->words = mask >> c & 1 ? programs[c].words : 0;
    core->fetched = core->taken = core->fetching = 0;
    memset(core->token, 0, sizeof core->token);
  }
  return true;
}

void sim_core_stop(struct sumi_sim *sim) {
  for (int c = 0; c < sim->n_cores; c++) {
    struct sim_core *core = &sim->core[c];
    for (int j = 0; j < SIM_CORE_JOBS; j++) sim_job_stop(sim, &core->job[j]);
    for (int e = 0; e < SUMI_CARD_ENGINES; e++) core->queue[e].head = core->queue[e].n = 0;
    core->words = core->fetched = core->taken = 0;
    memset(core->token, 0, sizeof core->token);
  }
}

static bool idle(const struct sim_core *core) {
  for (int e = 0; e < SUMI_CARD_ENGINES; e++)
    if (core->queue[e].n || core->job[e].active) return false;
  return true;
}

bool sim_core_done(const struct sumi_sim *sim) {
  for (int c = 0; c < sim->n_cores; c++)
    if (sim->core[c].taken < sim->core[c].words || !idle(&sim->core[c])) return false;
  return true;
}

bool sim_core_deadlock(const struct sumi_sim *sim, struct sim_job *where) {
  bool waits = false;
  for (int c = sim->n_cores - 1; c >= 0; c--) {
    const struct sim_core *core = &sim->core[c];
    for (int j = 0; j < SIM_CORE_JOBS; j++)
      if (core->job[j].active) return false;
    for (int e = SUMI_CARD_ENGINES - 1; e >= 0; e--) {
      if (!core->queue[e].n) continue;
      job_begin(where, c, e, &core->queue[e].item[core->queue[e].head]);
      waits = true;
    }
  }
  return waits;
}

static bool fetch(struct sumi_sim *sim, int c) {
  struct sim_core *core = &sim->core[c];
  struct sim_job *job = &core->job[SIM_FETCH];
  const uint32_t part = (uint32_t)SIM_P(sim, fetch_words), left = core->words - core->fetched;
  if (job->active || !left || core->fetched - core->taken > part) return false;
  job_begin(job, c, SIM_FETCH, NULL);
  job->tag = (uint32_t)SUMI_SIM_TAG_FETCH;
  job->latency = (uint64_t)SIM_P(sim, dram_latency);
  core->fetching = SUMI_MIN(part, left);
  const uint64_t bytes = (uint64_t)core->fetching * SUMI_CARD_WORD_BYTES;
  sim_need(job, SIM_DRAM, bytes);
  job->count[SUMI_SIM_DRAM] = bytes;
  job->count[SUMI_SIM_WORD] = core->fetching;
  sim_job_start(sim, job);
  return true;
}

/* Puts fetched words into queues. False: a word cannot be one, or nothing was to do. */
static bool take(struct sumi_sim *sim, int c) {
  struct sim_core *core = &sim->core[c];
  bool any = false;
  while (core->taken < core->fetched) {
    struct sim_queued q = {.at = core->taken};
    sim_dram_read(sim, core->at + (uint64_t)core->taken * SUMI_CARD_WORD_BYTES, &q.word, sizeof q.word);
    const struct sumi_card_header *h = &q.word.h;
    const enum sumi_card_engine e = sumi_card_engine_of(h->opcode);
    if (e == SUMI_CARD_ENGINES || h->version != SUMI_CARD_MAJOR) {
      struct sim_job job;
      job_begin(&job, c, 255, &q);
      sim_end_run(sim, &job, (struct sim_failure){SUMI_CARD_ERROR_OPCODE, 0, h->opcode | h->version << 8});
      return true;
    }
    struct sim_queue *queue = &core->queue[e];
    if (queue->n == SUMI_CARD_QUEUE) return any;
    queue->item[(queue->head + queue->n++) % SUMI_CARD_QUEUE] = q;
    core->taken++;
    any = true;
  }
  return any;
}

/* The word at the head of an engine's queue that has its tokens, or NULL. */
static const struct sim_queued *ready(const struct sumi_sim *sim, int c, int e) {
  const struct sim_core *core = &sim->core[c];
  const struct sim_queue *queue = &core->queue[e];
  if (core->job[e].active || !queue->n) return NULL;
  const struct sim_queued *q = &queue->item[queue->head];
  for (unsigned wait = q->word.h.wait; wait; wait &= wait - 1)
    if (!core->token[e][__builtin_ctz(wait)]) return NULL;
  return q;
}

/* Whether every core of the mask stands at the same SYNC word. */
static bool all_there(const struct sumi_sim *sim, const struct sumi_card_sync *sync) {
  for (int c = 0; c < sim->n_cores; c++) {
    if (!(sync->cores >> c & 1)) continue;
    const struct sim_queued *q = ready(sim, c, SUMI_CARD_ON_SYNC);
    if (!q || q->word.sync.cores != sync->cores || q->word.sync.id != sync->id) return false;
  }
  return true;
}

/* Whether rows of two spans cannot meet: modulo the distances of both they are apart. */
static bool apart(const struct sim_span *x, int i, const struct sim_span *y, int j) {
  int64_t g = x->rows[i].period, r = y->rows[j].period;
  while (r) {
    const int64_t t = g % r;
    g = r;
    r = t;
  }
  const int64_t from_x = ((y->lo - x->lo) % g + g) % g; /* x's rows begin at 0 */
  return x->rows[i].width <= from_x && from_x + y->rows[j].width <= g;
}

static bool between(const struct sim_span *x, const struct sim_span *y) {
  for (int i = 0; i < x->n_rows; i++)
    for (int j = 0; j < y->n_rows; j++)
      if (apart(x, i, y, j)) return true;
  return false;
}

static bool overlap(const struct sim_job *a, const struct sim_job *b) {
  for (int i = 0; i < a->n_spans; i++)
    for (int j = 0; j < b->n_spans; j++) {
      const struct sim_span *x = &a->span[i], *y = &b->span[j];
      if (x->core == y->core && x->acc == y->acc && (x->write || y->write) && x->lo < y->hi &&
          y->lo < x->hi && !between(x, y))
        return true;
    }
  return false;
}

static void count_hazard(struct sumi_sim *sim, const struct sim_job *job) {
  for (size_t i = 0; i < sim->n_active; i++)
    if (overlap(job, sim->active[i])) {
      sim->hazards++;
      return;
    }
}

/* Starts the word at the head; false: it failed, and the RUN has ended. */
static bool start(struct sumi_sim *sim, int c, int e) {
  struct sim_core *core = &sim->core[c];
  struct sim_queue *queue = &core->queue[e];
  const struct sim_queued *q = &queue->item[queue->head];
  const union sumi_card_word *word = &q->word;
  struct sim_job *job = &core->job[e];
  struct sim_failure f = {0};
  job_begin(job, c, e, q);
  for (unsigned wait = word->h.wait; wait; wait &= wait - 1) core->token[e][__builtin_ctz(wait)]--;
  const struct sim_operation *op = operations[job->opcode];
  bool good = word->h.base < 4 && !word->h.zero && !word->h.zero2;
  if (!good) f = (struct sim_failure){SUMI_CARD_ERROR_FIELD, 0, word->h.base};
  good = good && op->plan(sim, job, word, &f);
  good = good && (sim->options.timing_only || !op->run || op->run(sim, job, word, &f));
  if (!good) return sim_end_run(sim, job, f), false;
  queue->head = (queue->head + 1) % SUMI_CARD_QUEUE;
  queue->n--;
  count_hazard(sim, job);
  job->hung = sim_fault_due(sim, SUMI_SIM_FAULT_HANG);
  sim_job_start(sim, job);
  return true;
}

static bool start_sync(struct sumi_sim *sim, const struct sumi_card_sync *sync, int c) {
  const uint32_t cores = sync->cores;
  if (!(cores >> c & 1) || cores >> sim->n_cores) return start(sim, c, SUMI_CARD_ON_SYNC), true; /* fails */
  if (!all_there(sim, sync)) return false;
  for (int i = 0; i < sim->n_cores; i++)
    if (cores >> i & 1 && !start(sim, i, SUMI_CARD_ON_SYNC)) break;
  return true;
}

static bool step_core(struct sumi_sim *sim, int c) {
  bool any = fetch(sim, c);
  any |= take(sim, c);
  for (int e = 0; e < SUMI_CARD_ENGINES; e++) {
    const struct sim_queued *q = ready(sim, c, e);
    if (!q) continue;
    if (e == SUMI_CARD_ON_SYNC)
      any |= start_sync(sim, &q->word.sync, c);
    else if (start(sim, c, e))
      any = true;
    else
      return true;
  }
  return any;
}

bool sim_core_step(struct sumi_sim *sim) {
  bool any = false;
  for (int c = 0; c < sim->n_cores; c++) any |= step_core(sim, c);
  return any;
}

void sim_core_job_end(struct sumi_sim *sim, struct sim_job *job) {
  struct sim_core *core = &sim->core[job->core];
  sim_job_stop(sim, job);
  sim_account_job(sim, job);
  if (job->engine == SIM_FETCH) {
    core->fetched += core->fetching;
    return;
  }
  if (job->engine == SUMI_CARD_ON_LOAD) {
    if (sim_fault_due(sim, SUMI_SIM_FAULT_ECC_CORRECTED)) sim->ecc_count++;
    if (sim_fault_due(sim, SUMI_SIM_FAULT_ECC)) {
      sim_end_run(sim, job, (struct sim_failure){SUMI_CARD_ERROR_ECC, 0, 1});
      return;
    }
  }
  for (unsigned to = job->signal; to; to &= to - 1) {
    const int e = __builtin_ctz(to);
    if (core->token[e][job->engine] == SUMI_CARD_TOKENS) {
      sim_end_run(sim, job, (struct sim_failure){SUMI_CARD_ERROR_TOKEN, 0, (uint64_t)e});
      return;
    }
    core->token[e][job->engine]++;
  }
}

static bool sync_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                      struct sim_failure *f) {
  const struct sumi_card_sync *s = &word->sync;
  SIM_NEED(f, s->cores >> job->core & 1 && !(s->cores >> sim->n_cores), FIELD, s->cores);
  SIM_NEED(f, !s->h.flags && sim_zero(s->zero, sizeof s->zero), FIELD, s->h.flags);
  job->latency = (uint64_t)SIM_P(sim, ring_latency) * (uint64_t)__builtin_popcount(s->cores);
  return true;
}

const struct sim_operation sim_sync = {sync_plan, NULL};
