/* Which nodes the card does, in segments as long as they can be: what the host has to do is done as early as its inputs are there, the
 * card's nodes wait until nothing else is left that could be done before them. */
#include <string.h>

#include "base/size.h"
#include "device/antoum/antoum.h"

bool antoum_takes(const struct sumi_info *info) {
  if (info->kind != SUMI_TENSOR || info->rank < 0 || info->dtype == SUMI_UNDEFINED ||
      info->dtype == SUMI_STRING)
    return false;
  const int bits = sumi_dtype_bits(info->dtype);
  if (bits < 8 || bits > 64 || sumi_dtype_class(info->dtype) == 'C') return false;
  for (int i = 0; i < info->rank; i++)
    if (info->dim[i] <= 0) return false;
  return true;
}

static bool is_view(const struct sumi_node *node) { return node->op->flags & SUMI_OP_VIEW; }

/* Whole numbers of 64 bits are shapes and indices: the host's. */
static bool values_fit(const struct sumi_device_stage *s, const struct sumi_node *node) {
  for (int i = 0; i < node->n_in + node->n_out; i++) {
    const struct sumi_value *v = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
    if (!v) continue;
    const struct sumi_info *info = &s->info[v->id];
    if (i >= node->n_in && (!antoum_takes(info) || info->dtype == SUMI_INT64)) return false;
    if (i < node->n_in && !info->data && !antoum_takes(info)) return false;
  }
  return true;
}

/* Fewer bytes cross the border where the host makes an input narrow, and a result wide; products are worth them. */
static bool is_border(const struct sumi_device_stage *s, const struct sumi_node *node) {
  const struct sumi_value *from = node->n_in ? node->in[0] : NULL, *to = node->out[0];
  if (node->op->cost || !from || !to || node->n_out != 1 || s->info[from->id].data) return false;
  const int in = sumi_dtype_bits(s->info[from->id].dtype), out = sumi_dtype_bits(s->info[to->id].dtype);
  for (int i = 1; i < node->n_in; i++)
    if (node->in[i] && !s->info[node->in[i]->id].data) return false;
  return (from->is_input && out < in && from->n_use == 1) || (to->is_output && to->n_use == 1 && out > in);
}

static sumi_status can(const struct sumi_device_stage *s, const struct sumi_node *node, bool *yes,
                       const char **why) {
  struct sumi_text refusals;
  struct sumi_cells c;
  *yes = false;
  if (!values_fit(s, node)) {
    *why = "types or shapes that the card does not hold";
    return SUMI_OK;
  }
  if (is_view(node)) {
    *yes = true;
    return SUMI_OK;
  }
  if (is_border(s, node)) {
    *why = "fewer bytes cross the link so";
    return SUMI_OK;
  }
  if (!node->op->cells) {
    *why = "no cells are known for the operator";
    return SUMI_OK;
  }
  sumi_text_init(&refusals, s->allocator);
  sumi_status status = antoum_cells_init(s, node, s->info, &refusals, &c);
  if (status == SUMI_OK) status = node->op->cells(&c);
  *why = status == SUMI_E_UNSUPPORTED ? sumi_arena_strdup(s->arena, sumi_text_str(&refusals)) : NULL;
  sumi_text_fini(&refusals);
  *yes = status == SUMI_OK;
  if (status == SUMI_E_UNSUPPORTED && !*why) SUMI_FAIL_MEMORY(s->err);
  return status == SUMI_E_UNSUPPORTED ? SUMI_OK : status;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

struct cutter {
  const struct sumi_device_stage *s;
  struct antoum_code *code;
  const bool *card; /* [n_node] */
  bool *done;       /* [n_node] in the order already */
  size_t *order, n_order;
};

static bool is_ready(const struct cutter *c, const struct sumi_node *node) {
  if (sumi_node_known(node, c->s->info)) return true;
  for (int i = 0; i < node->n_in; i++) {
    const struct sumi_value *v = node->in[i];
    if (v && v->producer && !c->s->info[v->id].data && !c->done[v->producer->id]) return false;
  }
  return true;
}

/* All nodes of one kind that are ready, and those that become so; how many. Nodes stand in topological order, so one walk does. */
static size_t take_ready(struct cutter *c, bool card) {
  const struct sumi_graph *g = c->s->graph;
  const size_t before = c->n_order;
  for (size_t i = 0; i < g->n_node; i++) {
    if (c->done[i] || c->card[i] != card || !is_ready(c, g->node[i])) continue;
    c->done[i] = true;
    c->order[c->n_order++] = i;
  }
  return c->n_order - before;
}

/* Views alone are no work for the card. */
static bool is_work(const struct cutter *c, const size_t *id, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!is_view(c->s->graph->node[id[i]])) return true;
  return false;
}

static sumi_status add_segment(struct cutter *c, const size_t *id, size_t n) {
  struct antoum_segment *g = &c->code->segment[c->code->n_segment++];
  g->node = SUMI_NEW_ARRAY(c->s->arena, n, const struct sumi_node *);
  if (!g->node) SUMI_FAIL_MEMORY(c->s->err);
  g->n_node = n;
  g->card = c->s->card;
  g->segment_of = c->code->segment_of;
  for (size_t i = 0; i < n; i++) {
    g->node[i] = c->s->graph->node[id[i]];
    c->code->segment_of[id[i]] = g;
  }
  return SUMI_OK;
}

static sumi_status order_nodes(struct cutter *c) {
  const size_t n = c->s->graph->n_node;
  while (c->n_order < n) {
    const size_t hosts = take_ready(c, false), first = c->n_order, cards = take_ready(c, true);
    if (!hosts && !cards) SUMI_FAIL(c->s->err, SUMI_E_INTERNAL, "the graph has a cycle");
    if (cards && is_work(c, c->order + first, cards)) SUMI_TRY(add_segment(c, c->order + first, cards));
  }
  return SUMI_OK;
}

/* ---- borders ---------------------------------------------------------------------------------------------------- */

bool antoum_leaves(const struct antoum_segment *g, const struct sumi_info *info, const struct sumi_value *v) {
  if (v->is_output) return true;
  for (const struct sumi_use *u = v->first_use; u; u = u->next)
    if (!u->node || (g->segment_of[u->node->id] != g && !sumi_node_known(u->node, info))) return true;
  return false;
}

static void find_inside(const struct sumi_graph *graph, const struct antoum_code *code,
                        const struct sumi_info *info, bool *inside) {
  for (size_t i = 0; i < graph->n_value; i++) {
    const struct sumi_value *v = graph->value[i];
    const struct antoum_segment *g = v->producer ? code->segment_of[v->producer->id] : NULL;
    inside[i] = g && !antoum_leaves(g, info, v);
  }
}

sumi_status antoum_find_card(const struct sumi_device_stage *s, bool *card, struct antoum_code *code) {
  for (size_t i = 0; i < s->graph->n_node; i++)
    if (s->planned[i]) SUMI_TRY(can(s, s->graph->node[i], &card[i], &code->why[i]));
  return SUMI_OK;
}

sumi_status antoum_cut(const struct sumi_device_stage *s, const bool *card, struct antoum_code *code) {
  const size_t n = s->graph->n_node;
  struct cutter c = {.s = s,
                     .code = code,
                     .card = card,
                     .done = SUMI_NEW_ARRAY(s->arena, n, bool),
                     .order = SUMI_NEW_ARRAY(s->arena, n, size_t)};
  bool *taken = SUMI_NEW_ARRAY(s->arena, n, bool),
       *inside = SUMI_NEW_ARRAY(s->arena, s->graph->n_value, bool);
  code->segment = SUMI_NEW_ARRAY(s->arena, n, struct antoum_segment);
  code->segment_of = SUMI_NEW_ARRAY(s->arena, n, struct antoum_segment *);
  if (!c.done || !c.order || !taken || !inside || !code->segment || !code->segment_of)
    SUMI_FAIL_MEMORY(s->err);
  code->n_segment = code->n_card = code->n_host = 0;
  SUMI_TRY(order_nodes(&c));
  find_inside(s->graph, code, s->info, inside);
  for (size_t i = 0; i < n; i++) {
    taken[i] = code->segment_of[i] != NULL;
    if (s->planned[i]) *(taken[i] ? &code->n_card : &code->n_host) += 1;
  }
  code->base = (struct sumi_device_code){.order = c.order, .taken = taken, .inside = inside};
  return SUMI_OK;
}
