/* Memories: DRAM in pages that come to life when written, host memory that is mapped, and walks over SRAM. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim_int.h"

bool sim_zero(const void *bytes, size_t n) {
  const uint8_t *b = bytes;
  for (size_t i = 0; i < n; i++)
    if (b[i]) return false;
  return true;
}

bool sim_dram_check(const struct sumi_sim *sim, uint64_t at, uint64_t n, struct sim_failure *f) {
  const uint64_t size = (uint64_t)SIM_P(sim, dram_bytes);
  if (at > size || n > size - at) SIM_REFUSE(f, DRAM, at, n);
  return true;
}

void sim_dram_read(struct sumi_sim *sim, uint64_t at, void *to, size_t n) {
  for (uint8_t *d = to; n;) {
    const size_t from = at % SIM_PAGE, part = SUMI_MIN(n, SIM_PAGE - from);
    const uint8_t *page = sim->page[at / SIM_PAGE];
    if (page)
      memcpy(d, page + from, part);
    else
      memset(d, 0, part); /* never written */
    d += part, at += part, n -= part;
  }
}

bool sim_dram_write(struct sumi_sim *sim, uint64_t at, const void *from, size_t n) {
  for (const uint8_t *s = from; n;) {
    const size_t to = at % SIM_PAGE, part = SUMI_MIN(n, SIM_PAGE - to);
    uint8_t **page = &sim->page[at / SIM_PAGE];
    if (!*page && !(*page = sumi_alloc(sim->a, SIM_PAGE))) return false;
    memcpy(*page + to, s, part);
    s += part, at += part, n -= part;
  }
  return true;
}

uint8_t *sim_host(struct sumi_sim *sim, uint64_t bus, uint64_t n) {
  for (size_t i = 0; i < sim->n_mappings; i++) {
    const struct sim_mapping *m = &sim->mapping[i];
    if (bus >= m->bus && bus - m->bus <= m->bytes && n <= m->bytes - (bus - m->bus))
      return m->host + (bus - m->bus);
  }
  return NULL;
}

/* Bounds in bytes of the walk relative to its start; false: they do not fit 63 bits. */
static bool bounds(const struct sim_walk *w, int64_t *lo, int64_t *hi) {
  *lo = 0;
  *hi = w->elem;
  for (int d = 0; d < w->n_dims; d++) {
    int64_t far;
    if (w->n[d] > INT64_MAX || !sumi_i64_mul((int64_t)w->n[d] - 1, w->step[d], &far)) return false;
    if (!sumi_i64_add(far < 0 ? *lo : *hi, far, far < 0 ? lo : hi)) return false;
  }
  return true;
}

/* Rows at equal distances that all of it lies in: for each dimension what the nearer ones span, where all longer steps are whole
 * numbers of its step. */
static void find_rows(const struct sim_walk *w, struct sim_span *s) {
  int64_t step[6], width = w->elem;
  uint64_t n[6];
  int dims = 0;
  for (int d = 0; d < w->n_dims; d++) { /* by rising steps */
    int k = dims;
    if (w->n[d] == 1 || !w->step[d]) continue;
    for (; k && step[k - 1] > llabs(w->step[d]); k--) step[k] = step[k - 1], n[k] = n[k - 1];
    step[k] = llabs(w->step[d]);
    n[k] = w->n[d];
    dims++;
  }
  s->n_rows = 0;
  for (int k = 0; k < dims; width += (int64_t)(n[k] - 1) * step[k], k++) {
    bool whole = step[k] > width && s->n_rows < SIM_SPAN_ROWS;
    for (int j = k + 1; j < dims && whole; j++) whole = step[j] % step[k] == 0;
    if (!whole) continue;
    s->rows[s->n_rows].period = step[k];
    s->rows[s->n_rows++].width = width;
  }
}

bool sim_walk_check(struct sumi_sim *sim, struct sim_job *job, const struct sim_walk *w, uint32_t align,
                    bool acc, bool write, uint8_t **base, int *owner, struct sim_failure *f) {
  const uint32_t whose = w->at >> 28, byte = w->at & 0x0fffffff;
  const bool in_acc = whose == SUMI_CARD_ACC;
  const int core = whose == SUMI_CARD_HERE || in_acc ? job->core : (int)whose;
  int64_t lo, hi, end;
  for (int d = 0; d < w->n_dims; d++) SIM_NEED(f, w->n[d] >= 1, FIELD, d);
  if (in_acc && !acc) SIM_REFUSE(f, SRAM, w->at, 0);
  const int64_t size = in_acc ? SIM_P(sim, acc_bytes) : SIM_P(sim, sram_bytes);
  bool good = core < sim->n_cores && byte % align == 0 && bounds(w, &lo, &hi) && lo >= -(int64_t)byte &&
              sumi_i64_add(byte, hi, &end) && end <= size;
  for (int d = 0; good && d < w->n_dims; d++) good = w->n[d] == 1 || w->step[d] % (int64_t)align == 0;
  if (!good) {
    if (in_acc) SIM_REFUSE(f, ACC, w->at, 0);
    SIM_REFUSE(f, SRAM, w->at, 0);
  }
  if (job->n_spans < SIM_SPANS) {
    struct sim_span *span = &job->span[job->n_spans++];
    span->core = (uint8_t)core;
    span->acc = in_acc;
    span->write = write;
    span->lo = byte + lo;
    span->hi = byte + hi;
    find_rows(w, span);
  }
  uint8_t **memory = in_acc ? &sim->core[core].acc : &sim->core[core].sram;
  if (!*memory && !sim->options.timing_only && !(*memory = sumi_alloc(sim->a, (size_t)size))) {
    if (in_acc) SIM_REFUSE(f, ACC, w->at, UINT64_MAX); /* the host has no memory for it */
    SIM_REFUSE(f, SRAM, w->at, UINT64_MAX);
  }
  *base = *memory ? *memory + byte : NULL;
  if (owner) *owner = in_acc ? -1 : core;
  return true;
}

int sim_hops(const struct sumi_sim *sim, int a, int b) {
  const int one = a < b ? b - a : a - b;
  return SUMI_MIN(one, sim->n_cores - one);
}

void sim_charge_sram(struct sumi_sim *sim, struct sim_job *job, int owner, uint64_t bytes, bool write) {
  if (owner < 0) { /* accumulators: a memory and ports of their own */
    job->count[SUMI_SIM_ACC_BYTE] += bytes;
    return;
  }
  sim_need(job, owner, bytes);
  job->count[write ? SUMI_SIM_SRAM_WRITE : SUMI_SIM_SRAM_READ] += bytes;
  const int hops = sim_hops(sim, job->core, owner);
  if (!hops) return;
  sim_need(job, SIM_RING, bytes * (uint64_t)hops);
  job->count[SUMI_SIM_RING] += bytes * (uint64_t)hops;
  job->latency += (uint64_t)SIM_P(sim, ring_latency) * (uint64_t)hops;
}
