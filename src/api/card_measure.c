/* Runs compiled programs in a stream and adds up what the simulated chip counted. */
#include "api/card_int.h"
#include "exec/slice.h"

enum { STEADY_RUNS = 4 }; /* runs of a program after which it goes on as it will */

struct meter {
  struct sumi_session *session;
  struct sumi_card_owner *owner;
  struct sumi_card_measure_options o;
  size_t inferences;
  struct sumi_card_rates rates;
  struct sumi_card_total total;
  struct sumi_sim_account sum;     /* of all programs and inferences */
  double alone[SUMI_CARD_ENGINES]; /* of sum, mean over the cores that worked */
  double time_count[SUMI_SIM_N_COUNTS], time_joule[SUMI_SIM_N_COUNTS]; /* a cycle */
  double in_bytes, out_bytes, card_macs, host_macs;
  const struct sumi_graph *graph; /* of the stage that is measured */
  uint64_t began;
  struct sumi_arena arena; /* of one stage */
  struct sumi_err *err;
};

/* ---- walking ---------------------------------------------------------------------------------------------------- */

static const struct antoum_code *code_of(const struct sumi_stage *s) {
  return (const struct antoum_code *)s->code;
}

/* The most recently used stages; stops at the first failure. */
static sumi_status walk(struct meter *m, sumi_status (*visit)(struct meter *m, const struct sumi_stage *s)) {
  for (const struct sumi_exec *e = m->session->execs; e; e = e->next)
    for (const struct sumi_stage *s = e->stages; s; s = s->children)
      if (code_of(s)) SUMI_TRY(visit(m, s));
  return SUMI_OK;
}

static sumi_status count_inferences(struct meter *m, const struct sumi_stage *s) {
  for (size_t i = 0; i < code_of(s)->n_segment; i++) {
    const size_t runs = code_of(s)->segment[i].runs;
    m->inferences = SUMI_MAX(m->inferences, (STEADY_RUNS + runs - 1) / runs);
  }
  return SUMI_OK;
}

/* ---- one program ------------------------------------------------------------------------------------------------ */

static void on_event(const struct sumi_card_owner *w, const struct sumi_sim_event *event) {
  const struct meter *m = w->measuring;
  static const char *const copies[] = {"copy in", "copy out"};
  const double hz = m->total.clock_hz;
  const bool is_copy = event->core == 255, is_word = !is_copy && event->engine < SUMI_CARD_ENGINES;
  struct sumi_card_event e = {.size = sizeof e, .node = "", .engine = "fetch", .core = event->core};
  if (is_copy) e.engine = copies[event->engine & 1], e.core = -1;
  if (is_word) e.engine = sumi_card_engine_name(event->engine);
  if (is_word && event->tag && event->tag <= m->graph->n_node) e.node = m->graph->node[event->tag - 1]->name;
  e.started_s = (double)(event->started - m->began) / hz;
  e.finished_s = (double)(event->finished - m->began) / hz;
  m->o.on_event(m->o.user, &e);
}

/* Time's rows go on with the clock, so they are kept as rates. */
static void add_program(struct meter *m, const struct antoum_segment *g, const struct antoum_times *t) {
  struct sumi_sim_account a;
  sumi_sim_total(m->owner->sim, &a);
  const double elapsed = (double)SUMI_MAX(a.count[SUMI_SIM_CLOCK], 1);
  for (int i = SUMI_SIM_CLOCK; i < SUMI_SIM_N_COUNTS; i++) {
    m->time_count[i] = (double)a.count[i] / elapsed;
    m->time_joule[i] = a.joule[i] / elapsed;
  }
  sumi_card_account_add(&m->sum, &a);
  for (int e = 0; e < SUMI_CARD_ENGINES; e++) m->alone[e] += (double)a.alone[e] / g->cores;
  const size_t n = g->runs * m->inferences;
  const double each = n > 1 ? (double)(t->total - t->first) / (double)(n - 1) : (double)t->total;
  m->total.cycles += each * (double)g->runs;
  m->total.latency_s += ((double)t->first + each * (double)(g->runs - 1)) / m->total.clock_hz;
  m->total.hazards += sumi_sim_hazards(m->owner->sim);
  m->total.programs++;
  m->in_bytes += (double)(g->in_bytes * g->runs);
  m->out_bytes += (double)(g->out_bytes * g->runs);
}

static sumi_status measure_program(struct meter *m, const struct antoum_segment *g,
                                   struct sumi_sim_account *account) {
  struct antoum_times t;
  sumi_sim_forget(m->owner->sim);
  SUMI_TRY(antoum_repeat_segment(g, m->inferences, &t, m->err));
  add_program(m, g, &t);
  struct sumi_sim_account a;
  for (size_t i = 0; sumi_sim_tag(m->owner->sim, i, &a); i++)
    if (a.tag && a.tag <= m->graph->n_node) account[a.tag - 1] = a;
  return SUMI_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The products of node k of a segment. */
static sumi_status products_of(struct meter *m, const struct antoum_segment *g, size_t k,
                               struct sumi_card_layer *layer) {
  const struct sumi_cells *cells = &g->cells[k];
  const struct antoum_facts *f = &g->facts[k];
  const double parts = g->carries ? (double)g->items / (double)g->each : 1;
  struct sumi_card_product *to = SUMI_NEW_ARRAY(&m->arena, cells->n_cell, struct sumi_card_product);
  if (!to) SUMI_FAIL_MEMORY(m->err);
  layer->products = to;
  for (size_t i = 0; i < cells->n_cell; i++) {
    const struct sumi_cell_product *p = &cells->cell[i].u.product;
    if (cells->cell[i].kind != SUMI_CELL_PRODUCT) continue;
    struct sumi_card_product *q = &to[layer->n_products++];
    *q = (struct sumi_card_product){.size = sizeof *q, .count = 1, .nonzero = 1};
    q->m = (double)p->images * (double)p->rows * (double)p->cols * parts;
    q->k = (double)p->kernel_h * p->kernel_w * (double)p->channels;
    q->n = (double)p->outputs;
    q->x = (double)p->images * (double)p->in_rows * (double)p->in_cols * parts;
    for (int o = 0; o < p->n_outer; o++) q->count *= (double)p->outer[o];
    if (f->k_most && f->dense_macs > 0) q->nonzero = f->macs / f->dense_macs;
  }
  return SUMI_OK;
}

static size_t index_in(const struct antoum_segment *g, const struct sumi_node *node) {
  size_t k = 0;
  while (g->node[k] != node) k++;
  return k;
}

static sumi_status give_row(struct meter *m, const struct sumi_stage *s, const struct sumi_node *node,
                            const struct sumi_sim_account *account) {
  const struct antoum_code *code = code_of(s);
  const struct antoum_segment *g = code->segment_of[node->id];
  struct sumi_card_layer layer = {.size = sizeof layer,
                                  .node = node->name,
                                  .op = node->op_name,
                                  .on_card = g != NULL,
                                  .why = code->why[node->id] ? code->why[node->id] : "",
                                  .bound = ""};
  if (g) {
    m->rates.cores = g->cores;
    sumi_card_layer_fill(&m->rates, &account[node->id], &layer);
    SUMI_TRY(products_of(m, g, index_in(g, node), &layer));
    m->card_macs += layer.dense_macs;
    m->total.card_nodes++;
  } else {
    struct sumi_cost cost = {0};
    sumi_model_need(m->session->model, node, true);
    sumi_cost_of_node(node, s->info, &m->arena, &cost);
    m->host_macs += layer.dense_macs = cost.dense_macs;
    m->total.host_nodes++;
  }
  if (m->o.on_layer) m->o.on_layer(m->o.user, &layer);
  return SUMI_OK;
}

static sumi_status measure_stage(struct meter *m, const struct sumi_stage *s) {
  const struct antoum_code *code = code_of(s);
  sumi_arena_reset(&m->arena);
  m->graph = code->graph;
  struct sumi_sim_account *account = SUMI_NEW_ARRAY(&m->arena, m->graph->n_node, struct sumi_sim_account);
  if (!account) SUMI_FAIL_MEMORY(m->err);
  for (size_t i = 0; i < code->n_segment; i++) SUMI_TRY(measure_program(m, &code->segment[i], account));
  m->total.compile_s += code->compile_s;
  const struct sumi_node *last = NULL;
  for (size_t k = 0; k < s->plan.n_step + s->n_dynamic; k++) {
    const struct sumi_node *node = k < s->plan.n_step ? s->plan.step[k].node : s->dynamic[k - s->plan.n_step];
    if (node != last) SUMI_TRY(give_row(m, s, node, account));
    last = node;
  }
  return SUMI_OK;
}

/* ---- totals ----------------------------------------------------------------------------------------------------- */

static void add_costs(struct meter *m) {
  struct sumi_card_cost *cost = m->owner->cost;
  m->total.energy_j = 0;
  for (int i = 0; i < SUMI_SIM_N_COUNTS; i++) {
    const bool of_time = i >= SUMI_SIM_CLOCK;
    cost[i] = (struct sumi_card_cost){.size = sizeof *cost,
                                      .name = sumi_sim_counts[i].name,
                                      .unit = sumi_sim_counts[i].unit,
                                      .source = sumi_sim_counts[i].source,
                                      .of_time = of_time};
    cost[i].count =
        of_time ? m->time_count[i] * m->total.cycles : (double)m->sum.count[i] / m->rates.inferences;
    cost[i].energy_j = of_time ? m->time_joule[i] * m->total.cycles : m->sum.joule[i] / m->rates.inferences;
    m->total.energy_j += cost[i].energy_j;
  }
  m->total.costs = cost;
  m->total.n_costs = SUMI_SIM_N_COUNTS;
}

/* The chips share the card's link. */
static void share_link(struct meter *m) {
  const struct sumi_card_profile *p = &m->owner->card.profile;
  const double link_s =
      (double)SUMI_CARD_VALUE(p, link_mbs) * 1e3 * (double)SUMI_CARD_VALUE(p, link_permille);
  const double cycles = m->total.chips * SUMI_MAX(m->in_bytes, m->out_bytes) / link_s * m->total.clock_hz;
  if (cycles <= m->total.cycles) return;
  m->total.cycles = cycles;
  m->total.bound = "link";
}

static void finish(struct meter *m) {
  struct sumi_card_total *t = &m->total;
  struct sumi_card_layer all = {.size = sizeof all};
  m->rates.cores = t->cores;
  sumi_card_layer_fill(&m->rates, &m->sum, &all);
  memcpy(t->busy, all.busy, sizeof t->busy);
  t->dense_macs = all.dense_macs;
  t->executed_macs = all.executed_macs;
  t->bytes = all.bytes;
  t->bound = sumi_card_bound(m->rates.profile, m->alone, &m->sum);
  share_link(m);
  if (t->cycles > 0) t->utilisation = t->executed_macs / (t->cycles * t->cores * t->multipliers);
  add_costs(m);
  const double seconds = t->cycles / t->clock_hz;
  t->items = (double)sumi_items(m->session);
  if (seconds > 0) t->throughput = t->items * t->chips / seconds;
  if (seconds > 0) t->power_w = t->energy_j * t->chips / seconds;
  if (m->host_macs > 0) t->host_share = m->host_macs / (m->host_macs + m->card_macs);
}

static void begin(struct meter *m) {
  const struct sumi_card_profile *p = &m->owner->card.profile;
  struct sumi_card_total *t = &m->total;
  t->card = p->name;
  t->chips = (int)SUMI_CARD_VALUE(p, chips);
  t->cores = (int)SUMI_CARD_VALUE(p, cores);
  t->multipliers = (int)sumi_card_multipliers(p);
  t->clock_hz = (double)SUMI_CARD_VALUE(p, clock_khz) * 1e3;
  t->limit_w = (double)SUMI_CARD_VALUE(p, limit_mw) * 1e-3;
  t->dram_bytes_s = (double)SUMI_CARD_VALUE(p, dram_mbs) * 1e3 * (double)SUMI_CARD_VALUE(p, dram_permille);
  t->peak_macs = t->clock_hz * t->cores * t->multipliers;
  t->bound = "";
  m->rates = (struct sumi_card_rates){.profile = p, .inferences = (double)m->inferences};
  m->began = sumi_sim_cycles(m->owner->sim);
  m->owner->measuring = m;
  m->owner->on_event = m->o.on_event ? on_event : NULL;
}

sumi_status sumi_card_measure(struct sumi_session *session, const struct sumi_card_measure_options *options,
                              struct sumi_card_total *total, struct sumi_err *err) {
  struct meter m = {.session = session, .err = err};
  if (!session || !total) SUMI_FAIL(err, SUMI_E_ARG, "no session or place for the total is given");
  if (!session->card) SUMI_FAIL(err, SUMI_E_STATE, "the session has no card");
  if (!session->execs->stages) SUMI_FAIL(err, SUMI_E_STATE, "the session is not prepared");
  SUMI_TAKE(m.o, options);
  if (m.o.inferences < 0) SUMI_FAIL(err, SUMI_E_ARG, "%d inferences are asked for", m.o.inferences);
  m.owner = session->card->owner;
  m.inferences = m.o.inferences ? (size_t)m.o.inferences : 1;
  if (!m.o.inferences) SUMI_TRY(walk(&m, count_inferences));
  begin(&m);
  sumi_arena_init(&m.arena, &session->allocator);
  const sumi_status status = walk(&m, measure_stage);
  sumi_arena_fini(&m.arena);
  m.owner->measuring = NULL;
  m.owner->on_event = NULL;
  SUMI_TRY(status);
  m.total.simulated_cycles = sumi_sim_cycles(m.owner->sim) - m.began;
  finish(&m);
  SUMI_GIVE(total, m.total);
  return SUMI_OK;
}
