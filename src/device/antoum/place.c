/* A segment's nodes as cells, and where their operands lie. Values live in SRAM from the node that makes them to the last that
 * reads them, temporaries from the first cell that names them to the last; where that is too small, the largest of those alive at the worst moment go to DRAM, one after the other. The more
 * items a core takes at once, the fewer times weights are loaded: as many as leave all values in SRAM. */
#include <limits.h>
#include <string.h>

#include "base/size.h"
#include "device/antoum/antoum.h"

static sumi_status set_operand(struct sumi_cell_operand *o, const struct sumi_tensor *t,
                               struct sumi_err *err) {
  *o = (struct sumi_cell_operand){.dtype = t->dtype, .rank = t->rank, .data = t->data, .free = !t->data};
  for (int i = 0; i < t->rank; i++) o->dim[i] = t->dim[i];
  sumi_cells_steps(t->rank, o->dim, -1, o->step);
  return sumi_shape_bytes(t->dtype, t->dim, t->rank, &o->bytes, err);
}

sumi_status antoum_cells_init(const struct sumi_device_stage *s, const struct sumi_node *node,
                              const struct sumi_info *info, struct sumi_text *refusals,
                              struct sumi_cells *c) {
  const size_t n = (size_t)(node->n_in + node->n_out);
  struct sumi_tensor *t = SUMI_NEW_ARRAY(s->arena, n, struct sumi_tensor);
  const struct sumi_tensor **at = SUMI_NEW_ARRAY(s->arena, n, const struct sumi_tensor *);
  *c = (struct sumi_cells){.node = node,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = at,
                           .out = at ? at + node->n_in : NULL,
                           .narrow = s->narrow,
                           .operand = SUMI_NEW_ARRAY(s->arena, n, struct sumi_cell_operand),
                           .n_operand = n,
                           .cap_operand = n,
                           .arena = s->arena,
                           .refusals = refusals,
                           .err = s->err};
  if (!t || !at || !c->operand) SUMI_FAIL_MEMORY(s->err);
  for (size_t i = 0; i < n; i++) {
    const struct sumi_value *v = i < (size_t)node->n_in ? node->in[i] : node->out[i - (size_t)node->n_in];
    if (!v) continue;
    t[i] = sumi_info_tensor(&info[v->id]);
    at[i] = &t[i];
    SUMI_TRY(set_operand(&c->operand[i], &t[i], s->err));
  }
  return SUMI_OK;
}

/* ---- locals ----------------------------------------------------------------------------------------------------- */

static int add_local(struct antoum_segment *g, const struct sumi_value *v) {
  g->local[g->n_local] = (struct antoum_local){.value = v, .in = -1, .out = -1};
  if (v) g->local_of[v->id] = (int)g->n_local;
  return (int)g->n_local++;
}

static bool is_ours(const struct antoum_segment *g, const struct sumi_node *node) {
  return node && g->segment_of[node->id] == g;
}

static bool is_constant(const struct antoum_segment *g, const struct sumi_value *v) {
  return g->info[v->id].data != NULL;
}

static void add_port(const struct antoum_segment *g, const struct sumi_value *v, struct antoum_port *list,
                     size_t *n) {
  const struct sumi_info *info = &g->info[v->id];
  struct antoum_port *p = &list[(*n)++];
  *p = (struct antoum_port){
      .value = v, .carries = g->carries && g->carries[v->id], .rank = info->rank, .dtype = info->dtype};
  for (int i = 0; i < info->rank; i++) p->dim[i] = info->dim[i];
}

static sumi_status find_locals(const struct sumi_device_stage *s, struct antoum_segment *g) {
  size_t n = 0;
  for (size_t k = 0; k < g->n_node; k++) n += (size_t)(g->node[k]->n_in + g->node[k]->n_out);
  g->local = SUMI_NEW_ARRAY(s->arena, n, struct antoum_local);
  g->local_of = SUMI_NEW_ARRAY(s->arena, s->graph->n_value, int);
  g->in = SUMI_NEW_ARRAY(s->arena, n, struct antoum_port);
  g->out = SUMI_NEW_ARRAY(s->arena, n, struct antoum_port);
  if (!g->local || !g->local_of || !g->in || !g->out) SUMI_FAIL_MEMORY(s->err);
  g->n_local = g->n_in = g->n_out = 0;
  for (size_t i = 0; i < s->graph->n_value; i++) g->local_of[i] = -1;
  for (size_t k = 0; k < g->n_node; k++) {
    const struct sumi_node *node = g->node[k];
    for (int i = 0; i < node->n_in + node->n_out; i++) {
      const struct sumi_value *v = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
      if (!v || g->local_of[v->id] >= 0 || is_constant(g, v)) continue;
      const int at = add_local(g, v);
      const bool ours = is_ours(g, v->producer);
      if (!ours) {
        g->local[at].in = (int)g->n_in;
        add_port(g, v, g->in, &g->n_in);
      } else if (antoum_leaves(g, s->info, v)) {
        g->local[at].out = (int)g->n_out;
        add_port(g, v, g->out, &g->n_out);
      }
    }
  }
  return SUMI_OK;
}

/* ---- cells ------------------------------------------------------------------------------------------------------ */

/* A view of what lies row-major and crosses no border is the same memory; else its elements are copied in their order. */
static sumi_status describe_view(const struct antoum_segment *g, struct sumi_cells *c, bool *alias) {
  const struct sumi_cell_operand *from = &c->operand[0];
  const int out = sumi_cells_out(c, 0);
  struct sumi_cell_copy copy = {.rank = from->rank, .to = {.operand = out}};
  int64_t step = 1;
  *alias = !from->data;
  for (int i = from->rank - 1; i >= 0; i--) {
    if (from->dim[i] != 1 && from->step[i] != step) *alias = false;
    copy.n[i] = from->dim[i];
    copy.to.step[i] = step;
    copy.from.step[i] = from->step[i];
    step *= from->dim[i];
  }
  for (int i = 0; i < 2 && *alias; i++) {
    const struct sumi_value *v = i ? c->node->out[0] : c->node->in[0];
    const struct antoum_local *l = &g->local[g->local_of[v->id]];
    *alias = l->in < 0 && l->out < 0;
  }
  if (*alias) return SUMI_OK;
  if (!from->rank) {
    copy.rank = 1;
    copy.n[0] = 1;
  }
  return sumi_cells_copy(c, &copy);
}

static void take_forms(struct antoum_segment *g, struct sumi_cells *c) {
  for (int i = 0; i < c->n_in; i++) {
    const struct sumi_value *v = c->node->in[i];
    if (!v || g->local_of[v->id] < 0) continue;
    const struct antoum_local *l = &g->local[g->local_of[v->id]];
    for (int k = 0; k < i; k++)
      if (c->node->in[k] == v) c->operand[i].free = c->operand[k].free = false;
    if (!l->fixed) continue;
    memcpy(c->operand[i].step, l->step, sizeof l->step);
    c->operand[i].free = false;
  }
}

/* Somebody had to copy a value to have an axis as neighbours: in the next turn it lies so from the start, if it comes from outside.
 * Operators between follow the form of their input. */
static void pass_wishes(struct antoum_segment *g, bool *again) {
  for (size_t k = g->n_node; k-- > 0;) {
    const struct sumi_cells *c = &g->cells[k];
    for (int i = 0; i < c->n_in; i++)
      if (c->operand[i].asked && g->operand[k][i] >= 0)
        g->local[g->operand[k][i]].asked = c->operand[i].asked;
    int asked = 0, rank = -1;
    for (int i = c->n_in; i < c->n_in + c->n_out; i++)
      if (g->operand[k][i] >= 0 && g->local[g->operand[k][i]].asked) {
        asked = g->local[g->operand[k][i]].asked;
        rank = c->operand[i].rank;
      }
    for (int i = 0; asked && i < c->n_in; i++)
      if (g->operand[k][i] >= 0 && c->operand[i].rank == rank && !g->local[g->operand[k][i]].asked)
        g->local[g->operand[k][i]].asked = asked;
  }
  for (size_t i = 0; i < g->n_in; i++) *again = *again || g->local[g->local_of[g->in[i].value->id]].asked;
}

/* The ports' forms of the next turn. */
static void open_forms(struct antoum_segment *g) {
  for (size_t i = 0; i < g->n_local; i++) g->local[i].fixed = false;
  for (size_t i = 0; i < g->n_in; i++) {
    const struct antoum_port *p = &g->in[i];
    struct antoum_local *l = &g->local[g->local_of[p->value->id]];
    if (!l->asked) continue;
    sumi_cells_steps(p->rank, p->dim, l->asked - 1, l->step);
    l->fixed = true;
  }
}

static void keep_forms(struct antoum_segment *g, const struct sumi_cells *c) {
  for (int i = 0; i < c->n_in + c->n_out; i++) {
    const struct sumi_value *v = i < c->n_in ? c->node->in[i] : c->node->out[i - c->n_in];
    if (!v || g->local_of[v->id] < 0) continue;
    struct antoum_local *l = &g->local[g->local_of[v->id]];
    if (l->fixed) continue;
    memcpy(l->step, c->operand[i].step, sizeof l->step);
    l->fixed = true;
  }
}

static sumi_status describe_node(const struct sumi_device_stage *s, struct antoum_segment *g, size_t k,
                                 struct sumi_text *refusals) {
  struct sumi_cells *c = &g->cells[k];
  const struct sumi_node *node = g->node[k];
  SUMI_TRY(antoum_cells_init(s, node, g->info, refusals, c));
  take_forms(g, c);
  if (node->op->flags & SUMI_OP_VIEW)
    SUMI_TRY(describe_view(g, c, &g->alias[k]));
  else
    SUMI_TRY(node->op->cells(c));
  c->refusals = NULL;
  keep_forms(g, c);
  int *operand = g->operand[k] = SUMI_NEW_ARRAY(s->arena, c->n_operand, int);
  if (!operand) SUMI_FAIL_MEMORY(s->err);
  for (size_t i = 0; i < c->n_operand; i++) {
    const struct sumi_value *v = (int)i < c->n_in              ? node->in[i]
                                 : (int)i < c->n_in + c->n_out ? node->out[i - (size_t)c->n_in]
                                                               : NULL;
    operand[i] = v ? g->local_of[v->id] : -1;
  }
  return SUMI_OK;
}

static sumi_status describe_nodes(const struct sumi_device_stage *s, struct antoum_segment *g,
                                  struct antoum_refused *refused) {
  struct sumi_text refusals;
  g->cells = SUMI_NEW_ARRAY(s->arena, g->n_node, struct sumi_cells);
  g->alias = SUMI_NEW_ARRAY(s->arena, g->n_node, bool);
  g->operand = SUMI_NEW_ARRAY(s->arena, g->n_node, int *);
  if (!g->cells || !g->alias || !g->operand) SUMI_FAIL_MEMORY(s->err);
  sumi_text_init(&refusals, s->allocator);
  sumi_status status = SUMI_OK;
  bool again = true;
  for (int turn = 0; turn < 2 && again && status == SUMI_OK; turn++) {
    again = false;
    for (size_t k = 0; k < g->n_node && status == SUMI_OK; k++) {
      refusals.size = 0;
      status = describe_node(s, g, k, &refusals);
      status = antoum_leave(s, refused, g->node[k], &refusals, status);
    }
    if (refused->n) break;
    if (status == SUMI_OK && !turn) pass_wishes(g, &again);
    if (again) open_forms(g);
  }
  sumi_text_fini(&refusals);
  return status;
}

/* ---- places ----------------------------------------------------------------------------------------------------- */

struct placer {
  const struct sumi_device_stage *s;
  struct antoum_segment *g;
  struct sumi_plan_buffer *buffer; /* of locals, then of temporaries */
  int *order;
  size_t n;
  int *step, n_step; /* step[node]: of its first cell; every cell is one, every node one at least */
};

static void touch(struct sumi_plan_buffer *b, int step) {
  b->first = SUMI_MIN(b->first, step);
  b->last = SUMI_MAX(b->last, step);
}

/* Temporaries become locals too. */
static sumi_status add_temporaries(const struct sumi_device_stage *s, struct antoum_segment *g) {
  size_t n = g->n_local;
  for (size_t k = 0; k < g->n_node; k++) n += g->cells[k].n_operand;
  struct antoum_local *local = SUMI_NEW_ARRAY(s->arena, n, struct antoum_local);
  if (!local) SUMI_FAIL_MEMORY(s->err);
  memcpy(local, g->local, g->n_local * sizeof *local);
  g->local = local;
  for (size_t k = 0; k < g->n_node; k++)
    for (size_t i = (size_t)(g->cells[k].n_in + g->cells[k].n_out); i < g->cells[k].n_operand; i++)
      if (!g->cells[k].operand[i].data) g->operand[k][i] = add_local(g, NULL);
  return SUMI_OK;
}

static int root_of(const struct placer *p, int i) {
  while (p->buffer[i].root != i) i = p->buffer[i].root;
  return i;
}

static sumi_status number_steps(struct placer *p) {
  p->step = SUMI_NEW_ARRAY(p->s->arena, p->g->n_node + 1, int);
  if (!p->step) SUMI_FAIL_MEMORY(p->s->err);
  size_t n = 0;
  for (size_t k = 0; k < p->g->n_node; k++) {
    p->step[k] = (int)n;
    n += SUMI_MAX(p->g->cells[k].n_cell, (size_t)1);
    if (n > INT_MAX / 2) SUMI_FAIL(p->s->err, SUMI_E_LIMIT, "a segment of too many cells");
  }
  p->step[p->g->n_node] = p->n_step = (int)n;
  return SUMI_OK;
}

static bool names(const struct sumi_cell *cell, int operand) {
  int used[SUMI_CELL_OPERANDS];
  for (int k = sumi_cell_operands(cell, used); k-- > 0;)
    if (used[k] == operand) return true;
  return false;
}

/* Operand i of node k, which lies in buffer b. */
static void live(const struct placer *p, size_t k, int i, struct sumi_plan_buffer *b) {
  const struct sumi_cells *c = &p->g->cells[k];
  if (i < c->n_in + c->n_out) { /* loaded before the first cell, stored behind the last */
    touch(b, p->step[k]);
    touch(b, p->step[k + 1] - 1);
    return;
  }
  for (size_t j = 0; j < c->n_cell; j++)
    if (names(&c->cell[j], i)) touch(b, p->step[k] + (int)j);
  if (b->first == INT_MAX) touch(b, p->step[k]);
}

static sumi_status find_lives(struct placer *p) {
  struct antoum_segment *g = p->g;
  p->n = g->n_local;
  p->buffer = SUMI_NEW_ARRAY(p->s->arena, p->n, struct sumi_plan_buffer);
  p->order = SUMI_NEW_ARRAY(p->s->arena, p->n, int);
  if (!p->buffer || !p->order) SUMI_FAIL_MEMORY(p->s->err);
  SUMI_TRY(number_steps(p));
  for (size_t i = 0; i < p->n; i++)
    p->buffer[i] = (struct sumi_plan_buffer){.kind = SUMI_BUFFER_ARENA,
                                             .name = g->local[i].value ? g->local[i].value->name : "",
                                             .first = INT_MAX,
                                             .root = (int)i};
  for (size_t k = 0; k < g->n_node; k++) {
    for (size_t i = 0; i < g->cells[k].n_operand; i++) {
      const int l = g->operand[k][i];
      if (l >= 0) p->buffer[l].bytes = g->cells[k].operand[i].bytes;
    }
    if (g->alias[k]) p->buffer[g->operand[k][g->cells[k].n_in]].root = root_of(p, g->operand[k][0]);
    for (size_t i = 0; i < g->cells[k].n_operand; i++)
      if (g->operand[k][i] >= 0) live(p, k, (int)i, &p->buffer[root_of(p, g->operand[k][i])]);
  }
  return SUMI_OK;
}

/* The step at which most bytes are alive in SRAM. */
static sumi_status worst_step(const struct placer *p, int *worst) {
  size_t *change = SUMI_NEW_ARRAY(p->s->arena, (size_t)p->n_step + 1, size_t), sum = 0, most = 0;
  if (!change) SUMI_FAIL_MEMORY(p->s->err);
  for (size_t i = 0; i < p->n; i++) { /* modulo: what ends is taken off */
    const struct sumi_plan_buffer *b = &p->buffer[i];
    if (b->kind != SUMI_BUFFER_ARENA || b->root != (int)i || b->first == INT_MAX) continue;
    change[b->first] += b->bytes;
    change[b->last + 1] -= b->bytes;
  }
  *worst = 0;
  for (int k = 0; k < p->n_step; k++) {
    sum += change[k];
    if (sum <= most) continue;
    most = sum;
    *worst = k;
  }
  return SUMI_OK;
}

/* The node of a step. */
static size_t node_of(const struct placer *p, int step) {
  size_t k = 0;
  while (p->step[k + 1] <= step) k++;
  return k;
}

/* The largest buffer alive then, one that nobody uses at that node before one that is. */
static int find_victim(const struct placer *p, int step) {
  const size_t node = node_of(p, step);
  int best = -1;
  bool best_used = true;
  for (size_t i = 0; i < p->n; i++) {
    const struct sumi_plan_buffer *b = &p->buffer[i];
    if (b->kind != SUMI_BUFFER_ARENA || b->root != (int)i || b->first > step || b->last < step || !b->bytes)
      continue;
    bool used = false;
    for (size_t k = 0; k < p->g->cells[node].n_operand; k++)
      used = used || (p->g->operand[node][k] >= 0 && root_of(p, p->g->operand[node][k]) == (int)i);
    if (best < 0 || (best_used && !used) || (best_used == used && b->bytes > p->buffer[best].bytes)) {
      best = (int)i;
      best_used = used;
    }
  }
  return best;
}

static sumi_status place_values(struct placer *p, size_t room, bool may_spill, bool *fits) {
  for (;;) {
    size_t top = 0;
    SUMI_TRY(sumi_plan_place(p->buffer, p->n, p->order, &top, p->s->err));
    *fits = top <= room;
    if (*fits || !may_spill) break;
    int worst = 0;
    SUMI_TRY(worst_step(p, &worst));
    const int victim = find_victim(p, worst);
    if (victim < 0) SUMI_FAIL(p->s->err, SUMI_E_INTERNAL, "nothing is left to move out of SRAM");
    p->buffer[victim].kind = SUMI_BUFFER_GIVEN;
  }
  return SUMI_OK;
}

static size_t aligned(size_t bytes) { return (bytes + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN; }

/* Where ports lie in their blocks: all cores of one port after another. */
static size_t place_ports(const struct antoum_segment *g, const struct placer *p, struct antoum_port *port,
                          size_t n) {
  size_t at = 0;
  for (size_t i = 0; i < n; i++) {
    const int local = g->local_of[port[i].value->id];
    memcpy(port[i].step, g->local[local].step, sizeof port[i].step);
    port[i].bytes = p->buffer[local].bytes;
    port[i].core_step = port[i].carries ? aligned(port[i].bytes) : 0;
    port[i].at = at;
    at += aligned(port[i].bytes) * (size_t)(port[i].carries ? g->cores : 1);
  }
  return at;
}

static void set_places(struct placer *p) {
  struct antoum_segment *g = p->g;
  g->spill_bytes = g->values_bytes = 0;
  g->in_bytes = place_ports(g, p, g->in, g->n_in);
  g->out_bytes = place_ports(g, p, g->out, g->n_out);
  for (size_t i = 0; i < p->n; i++) {
    const int root = root_of(p, (int)i);
    struct antoum_local *l = &g->local[i], *r = &g->local[root];
    if (root == (int)i && p->buffer[i].kind == SUMI_BUFFER_GIVEN && l->in < 0 && l->out < 0) {
      l->at = g->spill_bytes; /* of one core; compile.c adds the cores' distance */
      g->spill_bytes += aligned(p->buffer[i].bytes);
    }
    l->dram = p->buffer[root].kind == SUMI_BUFFER_GIVEN;
    if (l->dram)
      l->at = root == (int)i ? l->at : r->at;
    else
      l->at = p->buffer[root].offset;
    if (!l->dram)
      g->values_bytes = SUMI_MAX(g->values_bytes, (uint32_t)(l->at + aligned(p->buffer[root].bytes)));
  }
}

/* Cells and places with `each` items a core. */
static sumi_status try_each(const struct sumi_device_stage *s, struct antoum_segment *g, int64_t each,
                            bool may_spill, bool *fits, struct antoum_refused *refused) {
  g->each = each;
  struct placer p = {.s = s, .g = g};
  SUMI_TRY(find_locals(s, g));
  SUMI_TRY(describe_nodes(s, g, refused));
  if (refused->n) return SUMI_OK;
  SUMI_TRY(add_temporaries(s, g));
  SUMI_TRY(find_lives(&p));
  SUMI_TRY(place_values(&p, antoum_areas(s->card).values, may_spill, fits));
  if (*fits) set_places(&p);
  return SUMI_OK;
}

static bool set_part(const struct sumi_device_stage *s, struct antoum_segment *g, int64_t each) {
  return s->items > 1 && s->part(s->self, each, &g->info, &g->carries);
}

/* The whole batch as it is. Split: each core holds all values, in SRAM. */
static sumi_status place_whole(const struct sumi_device_stage *s, struct antoum_segment *g, bool split,
                               bool *fits, struct antoum_refused *refused) {
  g->runs = 1;
  g->info = s->info;
  g->carries = NULL;
  g->split = split;
  g->cores = split ? (int)SUMI_CARD_VALUE(&s->card->profile, cores) : 1;
  return try_each(s, g, 1, !split, fits, refused);
}

static sumi_status place_by_item(const struct sumi_device_stage *s, struct antoum_segment *g,
                                 struct antoum_refused *refused) {
  const int64_t cores = SUMI_CARD_VALUE(&s->card->profile, cores);
  bool fits = false;
  g->split = false;
  g->cores = (int)SUMI_MIN(cores, g->items);
  const int64_t share = (g->items + g->cores - 1) / g->cores;
  for (int64_t runs = 1; !fits && !refused->n; runs++) {
    const int64_t each = (share + runs - 1) / runs;
    if (runs > 1 && each == (share + runs - 2) / (runs - 1)) continue; /* tried already */
    if (!set_part(s, g, each)) SUMI_FAIL(s->err, SUMI_E_INTERNAL, "a batch of %d items", (int)each);
    SUMI_TRY(try_each(s, g, each, each == 1, &fits, refused));
  }
  g->runs = (size_t)((share + g->each - 1) / g->each);
  return SUMI_OK;
}

sumi_status antoum_place_segment(const struct sumi_device_stage *s, struct antoum_segment *g, bool may_split,
                                 struct antoum_refused *refused) {
  const int64_t cores = SUMI_CARD_VALUE(&s->card->profile, cores);
  const bool by_item = set_part(s, g, 1);
  bool fits = false;
  g->items = by_item ? s->items : 1;
  if (may_split && g->items < cores) {
    SUMI_TRY(place_whole(s, g, true, &fits, refused));
    if (fits || refused->n) return SUMI_OK;
  }
  return by_item ? place_by_item(s, g, refused) : place_whole(s, g, false, &fits, refused);
}
