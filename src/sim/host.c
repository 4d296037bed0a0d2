/* The side of the chip that the host sees: registers, the two rings, copies, interrupts; and the loop that lets time pass. */
#include <string.h>

#include "sim/sim_int.h"

static void ring_error(struct sumi_sim *sim, unsigned error) {
  sim->error = error;
  sim->irq_status |= SUMI_CARD_IRQ_ERROR;
}

static void post(struct sumi_sim *sim, const struct sumi_card_command *command, const struct sim_job *job,
                 uint64_t started, struct sim_failure f) {
  struct sim_post *p = &sim->post[sim->n_posts++]; /* there is room: units are started only where there is */
  *p = (struct sim_post){.quiet = command->quiet && !f.error,
                         .due = sim->now + (uint64_t)SIM_P(sim, link_latency)};
  struct sumi_card_completion *c = &p->c;
  *c = (struct sumi_card_completion){.number = command->number, .error = f.error, .started = started};
  c->finished = sim->now;
  if (!f.error) return;
  c->core = job ? job->core : 255;
  c->engine = job ? job->engine : 255;
  c->opcode = job ? job->opcode : 0;
  c->word = job ? job->word : 0;
  c->tag = job ? job->tag : 0;
  c->address = f.address;
  c->detail = f.detail;
}

static void finish(struct sumi_sim *sim, int unit, const struct sim_job *job, struct sim_failure f) {
  struct sim_unit *u = &sim->unit[unit];
  post(sim, &u->queue[u->head], job, u->started, f);
  u->head = (u->head + 1) % SIM_UNIT_QUEUE;
  u->n--;
  u->busy = false;
}

void sim_end_run(struct sumi_sim *sim, const struct sim_job *job, struct sim_failure f) {
  const struct sim_job where = job ? *job : (struct sim_job){0};
  if (!sim->unit[SIM_RUN_UNIT].busy) return;
  sim_core_stop(sim);
  finish(sim, SIM_RUN_UNIT, job ? &where : NULL, f);
}

void sim_reset(struct sumi_sim *sim) {
  sim_core_stop(sim);
  for (int i = 0; i < SIM_UNITS_COPY; i++) sim_job_stop(sim, &sim->copy[i]);
  for (int i = 0; i < SIM_UNITS; i++) sim->unit[i].busy = false, sim->unit[i].head = sim->unit[i].n = 0;
  for (int c = 0; c < sim->n_cores; c++) memset(sim->core[c].program, 0, sizeof sim->core[c].program);
  sim->n_posts = 0;
  sim->control = sim->irq_status = sim->irq_enable = sim->error = sim->ecc_count = 0;
  sim->cq_base = sim->cq_size = sim->rq_base = sim->rq_size = 0;
  sim->cq_head = sim->cq_tail = sim->cq_seen = sim->rq_head = sim->rq_tail = 0;
  sim->next_number = 1;
}

/* ---- commands */

static int unit_of(const struct sumi_card_command *c) {
  return c->kind == SUMI_CARD_COPY_IN    ? SIM_COPY_IN
         : c->kind == SUMI_CARD_COPY_OUT ? SIM_COPY_OUT
                                         : SIM_RUN_UNIT;
}

static bool take_commands(struct sumi_sim *sim) {
  bool any = false;
  while (sim->control & SUMI_CARD_CONTROL_ENABLE && !sim->error && sim->cq_head != sim->cq_seen) {
    struct sumi_card_command c;
    const uint64_t at = sim->cq_base + (sim->cq_head & (sim->cq_size - 1)) * sizeof c;
    const uint8_t *from = sim_host(sim, at, sizeof c);
    if (!from) return ring_error(sim, SUMI_CARD_ERROR_DMA_FAULT), true;
    memcpy(&c, from, sizeof c);
    struct sim_unit *u = &sim->unit[unit_of(&c)];
    if (u->n == SIM_UNIT_QUEUE) return any;
    if (c.number != sim->next_number || c.after >= c.number)
      return ring_error(sim, SUMI_CARD_ERROR_COMMAND), true;
    u->queue[(u->head + u->n++) % SIM_UNIT_QUEUE] = c;
    sim->next_number++;
    sim->cq_head++;
    any = true;
  }
  return any;
}

/* Whether all commands up to number have completed: units are in order, so it is enough to look at the oldest of each. */
static bool completed(const struct sumi_sim *sim, uint32_t number) {
  for (int i = 0; i < SIM_UNITS; i++) {
    const struct sim_unit *u = &sim->unit[i];
    if (u->n && u->queue[u->head].number <= number) return false;
  }
  return true;
}

static bool begin_copy(struct sumi_sim *sim, int unit, const struct sumi_card_command *c,
                       struct sim_failure *f) {
  struct sim_job *job = &sim->copy[unit];
  memset(job, 0, sizeof *job);
  job->core = 255, job->engine = (uint8_t)unit, job->opcode = c->kind, job->tag = (uint32_t)SUMI_SIM_TAG_COPY;
  if (!c->n || c->list % sizeof(struct sumi_card_descriptor) || !sim_zero(c->base, sizeof c->base))
    SIM_REFUSE(f, COMMAND, c->list, c->n);
  const uint8_t *list = sim_host(sim, c->list, c->n * sizeof(struct sumi_card_descriptor));
  if (!list) SIM_REFUSE(f, DMA_FAULT, c->list, c->n);
  const uint64_t burst = (uint64_t)SIM_P(sim, dram_burst);
  uint64_t link = sizeof *c + c->n * sizeof(struct sumi_card_descriptor), dram = 0;
  for (int pass = 0; pass < 2; pass++) /* first everything is checked */
    for (size_t i = 0; i < c->n; i++) {
      struct sumi_card_descriptor d;
      memcpy(&d, list + i * sizeof d, sizeof d);
      if (d.zero || !d.bytes || d.bytes > (uint64_t)1 << 32) SIM_REFUSE(f, COMMAND, d.host, d.bytes);
      SIM_DO(sim_dram_check(sim, d.card, d.bytes, f));
      uint8_t *host = sim_host(sim, d.host, d.bytes);
      if (!host) SIM_REFUSE(f, DMA_FAULT, d.host, d.bytes);
      if (!pass) {
        link += d.bytes;
        dram += ((d.card + d.bytes - 1) / burst - d.card / burst + 1) * burst;
      } else if (unit == SIM_COPY_OUT)
        sim_dram_read(sim, d.card, host, d.bytes);
      else if (!sim_dram_write(sim, d.card, host, d.bytes))
        SIM_REFUSE(f, DRAM, d.card, UINT64_MAX); /* the host has no memory to play DRAM with */
    }
  job->latency = (uint64_t)(SIM_P(sim, link_latency) + SIM_P(sim, dram_latency));
  sim_need(job, unit == SIM_COPY_IN ? SIM_LINK_IN : SIM_LINK_OUT, link);
  sim_need(job, SIM_DRAM, dram);
  job->count[SUMI_SIM_LINK] = link;
  job->count[SUMI_SIM_DRAM] = dram;
  sim_job_start(sim, job);
  return true;
}

static bool begin_run(struct sumi_sim *sim, const struct sumi_card_command *c, struct sim_failure *f) {
  struct sumi_card_program program[SIM_CORES];
  const uint64_t bytes = (uint64_t)sim->n_cores * sizeof *program;
  if (!c->n || c->n >> sim->n_cores || c->list % 64) SIM_REFUSE(f, COMMAND, c->list, c->n);
  SIM_DO(sim_dram_check(sim, c->list, bytes, f));
  sim_dram_read(sim, c->list, program, bytes);
  memcpy(sim->base, c->base, sizeof sim->base);
  return sim_core_begin(sim, program, c->n, f);
}

static bool start_commands(struct sumi_sim *sim) {
  bool any = false;
  for (int i = 0; i < SIM_UNITS; i++) {
    struct sim_unit *u = &sim->unit[i];
    unsigned busy = 0;
    for (int j = 0; j < SIM_UNITS; j++) busy += sim->unit[j].busy;
    if (u->busy || !u->n || sim->n_posts + busy >= SIM_POSTS) continue;
    const struct sumi_card_command *c = &u->queue[u->head];
    if (!completed(sim, c->after)) continue;
    struct sim_failure f = {0};
    any = u->busy = true;
    u->started = sim->now;
    bool good = !c->zero && !c->zero2 && c->quiet <= 1;
    if (!good) f = (struct sim_failure){SUMI_CARD_ERROR_COMMAND, 0, c->quiet};
    if (good && i != SIM_RUN_UNIT) good = begin_copy(sim, i, c, &f);
    if (good && i == SIM_RUN_UNIT && c->kind == SUMI_CARD_RUN) good = begin_run(sim, c, &f);
    if (good && i == SIM_RUN_UNIT && c->kind != SUMI_CARD_RUN && c->kind != SUMI_CARD_NOP)
      f = (struct sim_failure){SUMI_CARD_ERROR_COMMAND, 0, c->kind}, good = false;
    if (!good || c->kind == SUMI_CARD_NOP) finish(sim, i, NULL, f);
  }
  return any;
}

/* ---- completions */

static bool deliver(struct sumi_sim *sim) {
  bool any = false;
  while (sim->n_posts && sim->post[0].due <= sim->now && sim->rq_tail - sim->rq_head < sim->rq_size) {
    struct sim_post p = sim->post[0];
    uint8_t *to = sim_host(sim, sim->rq_base + (sim->rq_tail & (sim->rq_size - 1)) * sizeof p.c, sizeof p.c);
    if (!to) return ring_error(sim, SUMI_CARD_ERROR_DMA_FAULT), sim->n_posts = 0, true;
    p.c.phase = !(sim->rq_tail / sim->rq_size & 1);
    memcpy(to, &p.c, sizeof p.c);
    sim->rq_tail++;
    sim->n_posts--;
    memmove(&sim->post[0], &sim->post[1], sim->n_posts * sizeof p);
    if (!p.quiet && !sim_fault_due(sim, SUMI_SIM_FAULT_LOST_IRQ))
      sim->irq_status |= SUMI_CARD_IRQ_DONE | (p.c.error ? SUMI_CARD_IRQ_ERROR : 0);
    any = true;
  }
  return any;
}

/* ---- time */

static void end_jobs(struct sumi_sim *sim) {
  for (size_t i = 0; i < sim->n_active;) {
    struct sim_job *job = sim->active[i];
    if (job->left || job->hung) {
      i++;
      continue;
    }
    if (job->core != 255) {
      sim_core_job_end(sim, job);
    } else {
      sim_job_stop(sim, job);
      sim_account_job(sim, job);
      const bool fails = sim_fault_due(sim, SUMI_SIM_FAULT_DMA);
      finish(sim, job->engine, job, (struct sim_failure){fails ? SUMI_CARD_ERROR_DMA_LINK : 0, 0, 0});
    }
    i = 0; /* the list has changed */
  }
}

/* What happens without time passing. */
static void settle(struct sumi_sim *sim) {
  bool any = true;
  while (any) {
    any = false;
    if (sim->cq_seen != sim->cq_tail && sim->cq_due <= sim->now) sim->cq_seen = sim->cq_tail, any = true;
    any |= take_commands(sim);
    any |= start_commands(sim);
    any |= deliver(sim);
    if (!sim->unit[SIM_RUN_UNIT].busy) continue;
    any |= sim_core_step(sim);
    struct sim_job where;
    if (sim->unit[SIM_RUN_UNIT].busy && sim_core_done(sim))
      sim_end_run(sim, NULL, (struct sim_failure){0}), any = true;
    else if (!any && sim->unit[SIM_RUN_UNIT].busy && sim_core_deadlock(sim, &where))
      sim_end_run(sim, &where, (struct sim_failure){SUMI_CARD_ERROR_DEADLOCK, 0, 0}), any = true;
  }
}

/* Lets time pass until `until` or an enabled interrupt. */
static void progress(struct sumi_sim *sim, uint64_t until, bool stop_at_irq) {
  for (;;) {
    settle(sim);
    if (stop_at_irq && sim->irq_status & sim->irq_enable) return;
    if (sim->now >= until) return;
    uint64_t step = SUMI_MIN(sim_clock_next(sim), until - sim->now);
    if (sim->cq_seen != sim->cq_tail) step = SUMI_MIN(step, sim->cq_due - sim->now);
    if (sim->n_posts && sim->post[0].due > sim->now) step = SUMI_MIN(step, sim->post[0].due - sim->now);
    sim_clock_advance(sim, step);
    end_jobs(sim);
  }
}

uint64_t sim_wait(void *self, uint64_t timeout_ns) {
  struct sumi_sim *sim = self;
  const unsigned __int128 cycles = (unsigned __int128)timeout_ns * (uint64_t)SIM_P(sim, clock_khz) / 1000000;
  const uint64_t most = (uint64_t)1 << 62;
  progress(sim, sim->now + (cycles > most ? most : (uint64_t)cycles), true);
  return sim->irq_status & sim->irq_enable;
}

/* ---- registers */

static uint64_t caps(const struct sumi_sim *sim) {
  return SUMI_CARD_CAP_INT8 | (SIM_P(sim, bf16) ? SUMI_CARD_CAP_BF16 : 0) |
         (SIM_P(sim, dual) ? SUMI_CARD_CAP_DUAL : 0) | (sim->options.timing_only ? SUMI_CARD_CAP_TIMING : 0);
}

static uint64_t status(const struct sumi_sim *sim) {
  bool busy = sim->n_posts || sim->cq_head != sim->cq_tail;
  for (int i = 0; i < SIM_UNITS; i++) busy |= sim->unit[i].n > 0;
  return (sim->control & SUMI_CARD_CONTROL_ENABLE ? SUMI_CARD_STATUS_ENABLED : 0) |
         (busy ? SUMI_CARD_STATUS_BUSY : 0);
}

/* A read goes there and back over the link, so time passes. */
uint64_t sim_read(void *self, uint32_t reg) {
  struct sumi_sim *sim = self;
  progress(sim, sim->now + (uint64_t)SIM_P(sim, link_latency), false);
  const struct {
    uint32_t reg;
    uint64_t value;
  } value[] = {
      {SUMI_CARD_REG_ID, SUMI_CARD_ID},
      {SUMI_CARD_REG_VERSION, SUMI_CARD_VERSION},
      {SUMI_CARD_REG_CAPS, caps(sim)},
      {SUMI_CARD_REG_CONTROL, sim->control},
      {SUMI_CARD_REG_STATUS, status(sim)},
      {SUMI_CARD_REG_IRQ_STATUS, sim->irq_status},
      {SUMI_CARD_REG_IRQ_ENABLE, sim->irq_enable},
      {SUMI_CARD_REG_ERROR, sim->error},
      {SUMI_CARD_REG_ECC_COUNT, sim->ecc_count},
      {SUMI_CARD_REG_CYCLES, sim->now},
      {SUMI_CARD_REG_CQ_BASE, sim->cq_base},
      {SUMI_CARD_REG_CQ_SIZE, sim->cq_size},
      {SUMI_CARD_REG_CQ_HEAD, sim->cq_head},
      {SUMI_CARD_REG_CQ_TAIL, sim->cq_tail},
      {SUMI_CARD_REG_RQ_BASE, sim->rq_base},
      {SUMI_CARD_REG_RQ_SIZE, sim->rq_size},
      {SUMI_CARD_REG_RQ_HEAD, sim->rq_head},
      {SUMI_CARD_REG_RQ_TAIL, sim->rq_tail},
      {SUMI_CARD_REG_CORES, (uint64_t)sim->n_cores},
      {SUMI_CARD_REG_CLOCK_HZ, (uint64_t)SIM_P(sim, clock_khz) * 1000},
      {SUMI_CARD_REG_DRAM_BYTES, (uint64_t)SIM_P(sim, dram_bytes)},
      {SUMI_CARD_REG_SRAM_BYTES, (uint64_t)SIM_P(sim, sram_bytes)},
      {SUMI_CARD_REG_ACC_BYTES, (uint64_t)SIM_P(sim, acc_bytes)},
      {SUMI_CARD_REG_BANK, SUMI_CARD_BANK},
      {SUMI_CARD_REG_SPU_SHAPE, (uint64_t)SIM_P(sim, spu_pixels) | (uint64_t)SIM_P(sim, spu_outputs) << 16 |
                                    (uint64_t)SIM_P(sim, spu_banks) << 32},
      {SUMI_CARD_REG_VPU_SHAPE, (uint64_t)SIM_P(sim, vpu_lanes) | (uint64_t)SUMI_CARD_VPU_OPS << 16},
  };
  for (size_t i = 0; i < SUMI_COUNT(value); i++)
    if (value[i].reg == reg) return value[i].value;
  return UINT64_MAX;
}

static bool good_ring(uint64_t base, uint64_t size) {
  return base % 64 == 0 && size >= 2 && size <= 4096 && !(size & (size - 1));
}

static void control(struct sumi_sim *sim, uint64_t value) {
  if (value & SUMI_CARD_CONTROL_RESET) sim_reset(sim);
  if (!(value & SUMI_CARD_CONTROL_ENABLE))
    sim->control = 0;
  else if (good_ring(sim->cq_base, sim->cq_size) && good_ring(sim->rq_base, sim->rq_size))
    sim->control = SUMI_CARD_CONTROL_ENABLE;
  else
    ring_error(sim, SUMI_CARD_ERROR_RING);
}

static void doorbell(struct sumi_sim *sim, uint32_t tail) {
  if (!(sim->control & SUMI_CARD_CONTROL_ENABLE) || tail - sim->cq_head > sim->cq_size) {
    ring_error(sim, SUMI_CARD_ERROR_RING);
    return;
  }
  if (sim->cq_seen == sim->cq_tail) sim->cq_due = sim->now + (uint64_t)SIM_P(sim, link_latency);
  sim->cq_tail = tail;
}

void sim_write(void *self, uint32_t reg, uint64_t value) {
  struct sumi_sim *sim = self;
  const bool enabled = sim->control & SUMI_CARD_CONTROL_ENABLE; /* rings do not change under a running chip */
  uint64_t *const ring = reg == SUMI_CARD_REG_CQ_BASE   ? &sim->cq_base
                         : reg == SUMI_CARD_REG_CQ_SIZE ? &sim->cq_size
                         : reg == SUMI_CARD_REG_RQ_BASE ? &sim->rq_base
                         : reg == SUMI_CARD_REG_RQ_SIZE ? &sim->rq_size
                                                        : NULL;
  if (ring && enabled)
    ring_error(sim, SUMI_CARD_ERROR_RING);
  else if (ring)
    *ring = value;
  else if (reg == SUMI_CARD_REG_CONTROL)
    control(sim, value);
  else if (reg == SUMI_CARD_REG_IRQ_STATUS)
    sim->irq_status &= ~value;
  else if (reg == SUMI_CARD_REG_IRQ_ENABLE)
    sim->irq_enable = value;
  else if (reg == SUMI_CARD_REG_ERROR)
    sim->error &= ~value;
  else if (reg == SUMI_CARD_REG_CQ_TAIL)
    doorbell(sim, (uint32_t)value);
  else if (reg == SUMI_CARD_REG_RQ_HEAD && sim->rq_tail - (uint32_t)value <= sim->rq_size)
    sim->rq_head = (uint32_t)value;
  else if (reg == SUMI_CARD_REG_RQ_HEAD)
    ring_error(sim, SUMI_CARD_ERROR_RING);
}
