/* VPU: program memory, the check of a program, and the loops around it; card/word.h says what it means. */
#include "sim/vpu.h"

#include <string.h>

static bool program_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                         struct sim_failure *f) {
  const struct sumi_card_vector_program *p = &word->program;
  SIM_NEED(f, !p->h.flags && !p->zero && p->n && p->n <= SUMI_COUNT(p->op), FIELD, p->n);
  SIM_NEED(f, p->at + p->n <= SUMI_CARD_VPU_OPS, VECTOR, p->at);
  memcpy(&sim->core[job->core].program[p->at], p->op, p->n * sizeof *p->op);
  job->cycles = p->n;
  return true;
}

const struct sim_operation sim_program = {program_plan, NULL};

/* What each operation reads of its fields: registers a, b, c; a view; a number up to 2 in a. */
enum { A = 1, B = 2, C = 4, VIEW = 8, SMALL = 16, FREE_C = 32 };

static unsigned reads(uint8_t op) {
  switch (op) {
    case SUMI_CARD_V_LD:
    case SUMI_CARD_V_ST: return VIEW | FREE_C;
    case SUMI_CARD_V_GATHER: return VIEW | B | FREE_C;
    case SUMI_CARD_V_IMM: return FREE_C;
    case SUMI_CARD_V_PARAM:
    case SUMI_CARD_V_INDEX: return SMALL;
    default: return (1u << sumi_card_vector_operands(op)) - 1; /* A, A | B, A | B | C */
  }
}

static bool check_operation(const struct sumi_card_vop *op, bool tail, struct sim_failure *f) {
  const unsigned r = op->op < SUMI_CARD_N_VECTOR_OPS ? reads(op->op) : 0;
  const unsigned most_a = r & A ? SUMI_CARD_VPU_REGS : r & VIEW ? SUMI_CARD_VPU_VIEWS : r & SMALL ? 3 : 1;
  const uint32_t most_c = r & C ? SUMI_CARD_VPU_REGS : 1;
  const bool good = op->op && op->op < SUMI_CARD_N_VECTOR_OPS && op->d < SUMI_CARD_VPU_REGS &&
                    op->a < most_a && op->b < (r & B ? SUMI_CARD_VPU_REGS : 1) &&
                    (r & FREE_C || op->c < most_c) && !(tail && vpu_is_reduction(op->op)) &&
                    (op->op != SUMI_CARD_V_GATHER || op->c);
  SIM_NEED(f, good, VECTOR, op->op | (uint64_t)op->d << 8 | (uint64_t)op->a << 16 | (uint64_t)op->b << 24);
  return true;
}

static uint32_t cost(const struct sumi_sim *sim, uint8_t op) {
  const uint32_t cycles = sumi_card_vector_cycles(op);
  return cycles ? cycles : (uint32_t)SIM_P(sim, vpu_special);
}

/* Bytes that n elements of a view move: neighbours themselves, others as much as lies between two, at most a line. */
static uint64_t view_bytes(const struct sumi_sim *sim, const struct sumi_card_view *view, uint64_t rows,
                           uint64_t n2, bool gather) {
  const uint64_t e = sumi_card_elem_bytes(view->dtype), line = (uint64_t)SIM_P(sim, sram_line);
  const int64_t step = view->step[2] < 0 ? -(int64_t)view->step[2] : view->step[2];
  if (gather) return rows * n2 * line;
  if (!step || n2 == 1) return rows * e;
  return rows * n2 * SUMI_MAX(e, SUMI_MIN((uint64_t)step * e, line));
}

/* Checks what an operation touches and charges it. */
static bool touch(struct sumi_sim *sim, struct sim_job *job, const struct sumi_card_vector *w,
                  const struct sumi_card_vop *op, bool tail, struct sim_failure *f) {
  const bool gather = op->op == SUMI_CARD_V_GATHER;
  if (!(reads(op->op) & VIEW)) return true;
  const struct sumi_card_view *view = &w->view[op->a];
  const uint32_t e = sumi_card_elem_bytes(view->dtype);
  SIM_NEED(f, view->dtype < SUMI_CARD_I64 && sim_zero(view->zero, sizeof view->zero), FIELD, view->dtype);
  const uint64_t n2 = tail ? 1 : w->n[2], rows = (uint64_t)w->n[0] * w->n[1];
  const int64_t from = (int64_t)(view->at & 0x0fffffff) + (gather ? 0 : (int64_t)(int32_t)op->c * e);
  if (from < 0 || from > 0x0fffffff) SIM_REFUSE(f, SRAM, view->at, op->c);
  struct sim_walk walk = {.at = (view->at & 0xf0000000) | (uint32_t)from,
                          .elem = e,
                          .n_dims = 3,
                          .n = {w->n[0], w->n[1], gather ? op->c : n2}};
  for (int d = 0; d < 3; d++) walk.step[d] = (int64_t)view->step[d] * e;
  uint8_t *base;
  int owner;
  const bool write = op->op == SUMI_CARD_V_ST;
  SIM_DO(sim_walk_check(sim, job, &walk, e, !write, write, &base, &owner, f));
  sim_charge_sram(sim, job, owner, view_bytes(sim, view, rows, n2, gather), write);
  return true;
}

/* Whether operation i sets a register that nothing else sets to what does not change during the word: done once. */
static bool is_fixed(const struct sumi_card_vector *w, const struct sumi_card_vop *program, int i) {
  const struct sumi_card_vop *op = program + w->start;
  if (op[i].op != SUMI_CARD_V_IMM && op[i].op != SUMI_CARD_V_PARAM) return false;
  const int from = i < w->body ? 0 : w->body, to = i < w->body ? w->body : w->body + w->tail;
  for (int k = from; k < to; k++)
    if (k != i && op[k].op != SUMI_CARD_V_ST && op[k].d == op[i].d) return false;
  return true;
}

static bool vector_plan(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                        struct sim_failure *f) {
  const struct sumi_card_vector *w = &word->vector;
  const struct sumi_card_vop *op = sim->core[job->core].program;
  const uint64_t n01 = (uint64_t)w->n[0] * w->n[1];
  SIM_NEED(f, !w->h.flags && !w->zero && w->body && w->n[0] && w->n[1] && w->n[2], FIELD, w->h.flags);
  SIM_NEED(f, n01 <= SUMI_CARD_MOST_ELEMENTS && n01 * w->n[2] <= SUMI_CARD_MOST_ELEMENTS, FIELD, n01);
  SIM_NEED(f, w->start + w->body + w->tail <= SUMI_CARD_VPU_OPS, VECTOR, w->start);
  const uint64_t lanes = (uint64_t)SIM_P(sim, vpu_lanes), n1 = w->n[1], n2 = w->n[2];
  const uint64_t vectors = sim_div_up(n1, SUMI_MAX(lanes / n2, 1)) * sim_div_up(n2, lanes);
  uint64_t once = 0, cycles = 0;
  for (int i = 0; i < w->body + w->tail; i++) {
    const struct sumi_card_vop *o = &op[w->start + i];
    const bool tail = i >= w->body;
    SIM_DO(check_operation(o, tail, f));
    SIM_DO(touch(sim, job, w, o, tail, f));
    const uint32_t c = cost(sim, o->op);
    if (is_fixed(w, op, i))
      once += c;
    else
      cycles += (tail ? sim_div_up(n1, lanes) : vectors) * c;
    if (vpu_is_reduction(o->op)) once += lanes > 1 ? 64 - (uint64_t)__builtin_clzll(lanes - 1) : 0;
    job->count[c > 1 ? SUMI_SIM_SPECIAL : SUMI_SIM_VECTOR] += n01 * (tail ? 1 : n2);
  }
  job->latency += (uint64_t)SIM_P(sim, vpu_latency) + once;
  job->cycles = w->n[0] * cycles;
  return true;
}

/* Registers that n operations read before one of them sets them; R* set none. */
static unsigned read_first(const struct sumi_card_vop *op, int n) {
  unsigned set = 0, first = 0;
  for (int i = 0; i < n; i++) {
    const unsigned r = reads(op[i].op);
    unsigned read = (r & A ? 1u << op[i].a : 0) | (r & B ? 1u << op[i].b : 0) | (r & C ? 1u << op[i].c : 0);
    if (op[i].op == SUMI_CARD_V_ST)
      read |= 1u << op[i].d;
    else if (!vpu_is_reduction(op[i].op))
      first |= read & ~set, set |= 1u << op[i].d;
    first |= read & ~set;
  }
  return first;
}

static void clear(struct vpu *v, unsigned registers) {
  for (; registers; registers &= registers - 1) memset(v->reg[__builtin_ctz(registers)], 0, sizeof v->reg[0]);
}

bool vpu_row(struct vpu *v, struct sim_failure *f) {
  const struct sumi_card_vector *w = v->w;
  uint32_t bad;
  for (int i = 0; i < w->body; i++)
    for (int j = 0; vpu_is_reduction(v->body[i].op) && j < SUMI_CARD_SUM_LANES; j++)
      v->part[v->body[i].d][j] = vpu_reduce_start(v->body[i].op);
  for (v->i2 = 0; v->i2 < w->n[2]; v->i2 += VPU_CHUNK) {
    v->lanes = (int)SUMI_MIN(w->n[2] - v->i2, VPU_CHUNK);
    clear(v, v->zero_body);
    for (int i = 0; i < w->body; i++)
      if (!v->run(v, &v->body[i], &bad)) SIM_REFUSE(f, VECTOR, i, bad);
  }
  if (!w->tail) return true;
  clear(v, v->zero_tail);
  for (int i = 0; i < w->body; i++) {
    const uint8_t op = v->body[i].op;
    if (!vpu_is_reduction(op)) continue;
    union vpu_lane *p = v->part[v->body[i].d];
    union vpu_lane half[SUMI_CARD_SUM_LANES];
    memcpy(half, p, sizeof half);
    for (int n = SUMI_CARD_SUM_LANES / 2; n; n /= 2)
      for (int j = 0; j < n; j++) half[j] = vpu_reduce(op, half[j], half[j + n]);
    v->reg[v->body[i].d][0] = half[0];
  }
  v->lanes = 1;
  v->i2 = 0;
  for (int i = 0; i < w->tail; i++)
    if (!v->run(v, &v->tail[i], &bad)) SIM_REFUSE(f, VECTOR, w->body + i, bad);
  return true;
}

void vpu_init(struct vpu *v, const struct sumi_card_vector *w, const struct sumi_card_vop *op) {
  memset(v->reg, 0, sizeof v->reg);
  v->w = w;
  v->body = op;
  v->tail = op + w->body;
  v->zero_body = read_first(v->body, w->body);
  v->zero_tail = read_first(v->tail, w->tail);
  v->run = vpu_operation_for(sumi_cpu_isa());
}

static bool vector_run(struct sumi_sim *sim, struct sim_job *job, const union sumi_card_word *word,
                       struct sim_failure *f) {
  const struct sumi_card_vector *w = &word->vector;
  struct sim_core *core = &sim->core[job->core];
  struct vpu v;
  vpu_init(&v, w, &core->program[w->start]);
  for (int i = 0; i < SUMI_CARD_VPU_VIEWS; i++) { /* used ones have been checked, others may point anywhere */
    const uint32_t whose = w->view[i].at >> 28, byte = w->view[i].at & 0x0fffffff;
    struct sim_core *owner = whose >= SUMI_CARD_ACC ? core : &sim->core[SUMI_MIN(whose, SIM_CORES - 1u)];
    uint8_t *memory = whose == SUMI_CARD_ACC ? owner->acc : owner->sram;
    const int64_t size = whose == SUMI_CARD_ACC ? SIM_P(sim, acc_bytes) : SIM_P(sim, sram_bytes);
    v.view[i] = memory && byte < size ? memory + byte : NULL;
  }
  for (v.i0 = 0; v.i0 < w->n[0]; v.i0++)
    for (v.i1 = 0; v.i1 < w->n[1]; v.i1++) SIM_DO(vpu_row(&v, f));
  return true;
}

const struct sim_operation sim_vector = {vector_plan, vector_run};
