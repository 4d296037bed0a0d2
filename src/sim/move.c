/* Engines that move bytes: LOAD, STORE, RESHAPE, LOOKUP. */
#include <string.h>

#include "sim/sim_int.h"

/* Bytes DRAM spends on n rows: whole bursts. Rows that follow each other are one; rows at any place count one burst more
 * than they fill, unless all begin alike. */
static uint64_t bursts(const struct sumi_sim *sim, uint64_t at, uint64_t row, uint64_t n, uint64_t step) {
  const uint64_t burst = (uint64_t)SIM_P(sim, dram_burst);
  if (step == row || n == 1) return ((at % burst + row * n + burst - 1) / burst) * burst;
  const uint64_t one = step % burst ? (row + burst - 2) / burst + 1 : (at % burst + row + burst - 1) / burst;
  return one * burst * n;
}

static void charge_dram(const struct sumi_sim *sim, struct sim_job *job, uint64_t bytes) {
  job->latency += (uint64_t)SIM_P(sim, dram_latency);
  sim_need(job, SIM_DRAM, bytes);
  job->count[SUMI_SIM_DRAM] += bytes;
}

/* at + (n - 1) * step + rest <= 2^64, checked for DRAM. */
static bool dram_rows(struct sumi_sim *sim, uint64_t at, const struct sumi_card_move *m,
                      struct sim_failure *f) {
  uint64_t far = m->row_bytes, part;
  for (int d = 0; d < 2; d++)
    if (__builtin_mul_overflow(m->dram_step_bytes[d], (uint64_t)m->n[d] - 1, &part) ||
        __builtin_add_overflow(far, part, &far))
      SIM_REFUSE(f, DRAM, at, m->dram_step_bytes[d]);
  return sim_dram_check(sim, at, far, f);
}

static struct sim_walk sram_rows(const struct sumi_card_move *m) {
  return (struct sim_walk){.at = m->sram,
                           .elem = m->row_bytes,
                           .n_dims = 2,
                           .n = {m->n[0], m->n[1]},
                           .step = {m->sram_step_bytes[0], m->sram_step_bytes[1]}};
}

static bool move_form(const struct sumi_sim *sim, const struct sumi_card_move *m, struct sim_failure *f) {
  SIM_NEED(f, m->row_bytes && m->n[0] && m->n[1], FIELD, 0);
  uint64_t bytes;
  SIM_NEED(f,
           !__builtin_mul_overflow((uint64_t)m->n[0] * m->n[1], m->row_bytes, &bytes) &&
               bytes <= SUMI_CARD_MOST_BYTES,
           FIELD, m->row_bytes);
  SIM_NEED(f, !m->h.flags && !m->zero && sim_zero(m->zero2, sizeof m->zero2), FIELD, m->h.flags);
  SIM_NEED(f, !(m->cores >> sim->n_cores), FIELD, m->cores);
  return true;
}

static uint64_t move_dram_bytes(const struct sumi_sim *sim, const struct sumi_card_move *m, uint64_t at) {
  /* rows that lie one after the other in DRAM are one row */
  if (m->n[1] == 1 || m->dram_step_bytes[0] * m->n[0] != m->dram_step_bytes[1])
    return m->dram_step_bytes[0] == m->row_bytes
               ? bursts(sim, at, (uint64_t)m->row_bytes * m->n[0], m->n[1], m->dram_step_bytes[1])
               : bursts(sim, at, m->row_bytes, m->n[0], m->dram_step_bytes[0]) * m->n[1];
  return bursts(sim, at, m->row_bytes, (uint64_t)m->n[0] * m->n[1], m->dram_step_bytes[0]);
}

static uint64_t move_address(const struct sumi_sim *sim, const struct sumi_card_move *m) {
  return sim->base[m->h.base] + m->dram;
}

static bool load_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                      struct sim_failure *f) {
  const struct sumi_card_move *m = &word->move;
  SIM_DO(move_form(sim, m, f));
  if (m->sram >> 28 != SUMI_CARD_HERE) SIM_REFUSE(f, SRAM, m->sram, 0);
  const uint64_t at = move_address(sim, m), bytes = (uint64_t)m->row_bytes * m->n[0] * m->n[1];
  SIM_DO(dram_rows(sim, at, m, f));
  charge_dram(sim, job, move_dram_bytes(sim, m, at));
  const uint32_t cores = m->cores ? m->cores : 1u << job->core;
  for (int c = 0; c < sim->n_cores; c++) {
    if (!(cores >> c & 1)) continue;
    struct sim_walk w = sram_rows(m);
    w.at = SUMI_CARD_AT(c, m->sram & 0x0fffffff);
    uint8_t *base;
    SIM_DO(sim_walk_check(sim, job, &w, 1, false, true, &base, NULL, f));
    sim_charge_sram(sim, job, c, bytes, true);
  }
  return true;
}

static bool load_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                     struct sim_failure *f) {
  (void)f;
  const struct sumi_card_move *m = &word->move;
  const uint64_t at = move_address(sim, m);
  const uint32_t cores = m->cores ? m->cores : 1u << job->core;
  for (int c = 0; c < sim->n_cores; c++)
    for (uint32_t i = 0; i < m->n[1] && cores >> c & 1; i++)
      for (uint32_t j = 0; j < m->n[0]; j++)
        sim_dram_read(sim, at + i * m->dram_step_bytes[1] + j * m->dram_step_bytes[0],
                      sim->core[c].sram + (m->sram & 0x0fffffff) + (size_t)i * m->sram_step_bytes[1] +
                          (size_t)j * m->sram_step_bytes[0],
                      m->row_bytes);
  return true;
}

static bool store_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                       struct sim_failure *f) {
  const struct sumi_card_move *m = &word->move;
  SIM_DO(move_form(sim, m, f));
  SIM_NEED(f, !m->cores, FIELD, m->cores);
  const uint64_t at = move_address(sim, m);
  SIM_DO(dram_rows(sim, at, m, f));
  const struct sim_walk w = sram_rows(m);
  uint8_t *base;
  int owner;
  SIM_DO(sim_walk_check(sim, job, &w, 1, false, false, &base, &owner, f));
  charge_dram(sim, job, move_dram_bytes(sim, m, at));
  sim_charge_sram(sim, job, owner, (uint64_t)m->row_bytes * m->n[0] * m->n[1], false);
  return true;
}

static bool store_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                      struct sim_failure *f) {
  const struct sumi_card_move *m = &word->move;
  const uint64_t at = move_address(sim, m);
  const int owner = job->span[0].core;
  for (uint32_t i = 0; i < m->n[1]; i++)
    for (uint32_t j = 0; j < m->n[0]; j++) {
      const uint64_t to = at + i * m->dram_step_bytes[1] + j * m->dram_step_bytes[0];
      const uint8_t *from = sim->core[owner].sram + (m->sram & 0x0fffffff) +
                            (size_t)i * m->sram_step_bytes[1] + (size_t)j * m->sram_step_bytes[0];
      if (!sim_dram_write(sim, to, from, m->row_bytes)) SIM_REFUSE(f, DRAM, to, UINT64_MAX);
    }
  return true;
}

const struct sim_operation sim_load = {load_plan, load_run};
const struct sim_operation sim_store = {store_plan, store_run};

/* ---- RESHAPE */

static struct sim_walk reshape_walk(const struct sumi_card_reshape *r, bool to) {
  struct sim_walk w = {.at = to ? r->to : r->from, .elem = r->elem_bytes, .n_dims = 4};
  for (int d = 0; d < 4; d++) w.n[d] = r->n[d], w.step[d] = to ? r->to_step[d] : r->from_step[d];
  return w;
}

/* Cycles: elements that are neighbours on both sides, along the innermost dimension that has more than one element, move in lines;
 * otherwise one by one. */
static uint64_t reshape_cycles(const struct sumi_sim *sim, const struct sumi_card_reshape *r,
                               uint64_t elements) {
  const bool fill = r->h.flags & SUMI_CARD_RESHAPE_FILL;
  uint64_t run = 1;
  for (int d = 3; d >= 0; d--) {
    const int64_t together = (int64_t)(run * r->elem_bytes);
    if (r->n[d] == 1) continue;
    if (r->to_step[d] != together || (!fill && r->from_step[d] != together)) break;
    run *= r->n[d];
  }
  return elements / run * sim_div_up(run * r->elem_bytes, (uint64_t)SIM_P(sim, reshape_bytes));
}

static bool reshape_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                         struct sim_failure *f) {
  const struct sumi_card_reshape *r = &word->reshape;
  const bool fill = r->h.flags & SUMI_CARD_RESHAPE_FILL;
  const uint32_t e = r->elem_bytes;
  uint64_t bytes = e;
  SIM_NEED(f, e == 1 || e == 2 || e == 4 || e == 8, FIELD, e);
  SIM_NEED(f, r->h.flags <= SUMI_CARD_RESHAPE_FILL && sim_zero(r->zero, sizeof r->zero), FIELD, r->h.flags);
  for (int d = 0; d < 4; d++)
    SIM_NEED(f, r->n[d] && r->n[d] <= SUMI_CARD_MOST_BYTES / bytes && (bytes *= r->n[d]), FIELD, r->n[d]);
  uint8_t *base;
  int from = 0, to;
  const struct sim_walk w = reshape_walk(r, true), v = reshape_walk(r, false);
  SIM_DO(sim_walk_check(sim, job, &w, e, false, true, &base, &to, f));
  if (!fill) {
    SIM_DO(sim_walk_check(sim, job, &v, e, false, false, &base, &from, f));
    sim_charge_sram(sim, job, from, bytes, false);
  }
  sim_charge_sram(sim, job, to, bytes, true);
  job->count[SUMI_SIM_RESHAPE] = bytes;
  job->latency += (uint64_t)SIM_P(sim, reshape_latency);
  job->cycles = reshape_cycles(sim, r, bytes / e);
  return true;
}

static bool reshape_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                        struct sim_failure *f) {
  (void)f;
  const struct sumi_card_reshape *r = &word->reshape;
  const bool fill = r->h.flags & SUMI_CARD_RESHAPE_FILL;
  const size_t e = r->elem_bytes;
  uint8_t *to = sim->core[job->span[0].core].sram + (r->to & 0x0fffffff);
  const uint64_t value = r->fill;
  const uint8_t *from =
      fill ? (const uint8_t *)&value : sim->core[job->span[1].core].sram + (r->from & 0x0fffffff);
  for (uint32_t a = 0; a < r->n[0]; a++)
    for (uint32_t b = 0; b < r->n[1]; b++)
      for (uint32_t c = 0; c < r->n[2]; c++) {
        uint8_t *t =
            to + (ptrdiff_t)a * r->to_step[0] + (ptrdiff_t)b * r->to_step[1] + (ptrdiff_t)c * r->to_step[2];
        const uint8_t *s = fill ? from
                                : from + (ptrdiff_t)a * r->from_step[0] + (ptrdiff_t)b * r->from_step[1] +
                                      (ptrdiff_t)c * r->from_step[2];
        if (!fill && r->to_step[3] == (int32_t)e && r->from_step[3] == (int32_t)e) {
          memmove(t, s, e * r->n[3]);
          continue;
        }
        for (uint32_t d = 0; d < r->n[3]; d++)
          memmove(t + (ptrdiff_t)d * r->to_step[3], fill ? s : s + (ptrdiff_t)d * r->from_step[3], e);
      }
  return true;
}

const struct sim_operation sim_reshape = {reshape_plan, reshape_run};

/* ---- LOOKUP */

static bool lookup_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                        struct sim_failure *f) {
  const struct sumi_card_lookup *l = &word->lookup;
  const uint32_t id_bytes = sumi_card_elem_bytes(l->id_dtype);
  SIM_NEED(f, l->id_dtype == SUMI_CARD_I32 || l->id_dtype == SUMI_CARD_I64, FIELD, l->id_dtype);
  SIM_NEED(f, !l->h.flags && sim_zero(l->zero, sizeof l->zero), FIELD, l->h.flags);
  SIM_NEED(f, l->rows && l->row_bytes && l->n, FIELD, l->rows);
  const uint64_t bytes = (uint64_t)l->n * l->row_bytes;
  SIM_NEED(f, bytes <= SUMI_CARD_MOST_BYTES, FIELD, l->n);
  SIM_DO(sim_dram_check(sim, sim->base[l->h.base] + l->table, (uint64_t)l->rows * l->row_bytes, f));
  const struct sim_walk ids = {.at = l->ids, .elem = id_bytes, .n_dims = 1, .n = {l->n}, .step = {id_bytes}};
  const struct sim_walk out = {
      .at = l->out, .elem = l->row_bytes, .n_dims = 1, .n = {l->n}, .step = {l->out_step_bytes}};
  uint8_t *base;
  int from, to;
  SIM_DO(sim_walk_check(sim, job, &ids, id_bytes, false, false, &base, &from, f));
  SIM_DO(sim_walk_check(sim, job, &out, 1, false, true, &base, &to, f));
  charge_dram(sim, job, bursts(sim, 1, l->row_bytes, l->n, l->row_bytes + 1)); /* rows at any place */
  sim_charge_sram(sim, job, from, (uint64_t)l->n * id_bytes, false);
  sim_charge_sram(sim, job, to, bytes, true);
  return true;
}

static bool lookup_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                       struct sim_failure *f) {
  const struct sumi_card_lookup *l = &word->lookup;
  const uint8_t *ids = sim->core[job->span[0].core].sram + (l->ids & 0x0fffffff);
  uint8_t *out = sim->core[job->span[1].core].sram + (l->out & 0x0fffffff);
  const uint64_t table = sim->base[l->h.base] + l->table;
  for (uint32_t i = 0; i < l->n; i++) {
    int64_t id = 0;
    int32_t small;
    if (l->id_dtype == SUMI_CARD_I64)
      memcpy(&id, ids + (size_t)i * 8, 8);
    else
      memcpy(&small, ids + (size_t)i * 4, 4), id = small;
    if (id < 0 && id >= -(int64_t)l->rows) id += l->rows;
    if (id < 0 || id >= (int64_t)l->rows) SIM_REFUSE(f, ID, i, id);
    sim_dram_read(sim, table + (uint64_t)id * l->row_bytes, out + (size_t)i * l->out_step_bytes,
                  l->row_bytes);
  }
  return true;
}

const struct sim_operation sim_lookup = {lookup_plan, lookup_run};
