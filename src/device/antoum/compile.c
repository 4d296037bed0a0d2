/* The words of a segment, and what of it lies in the card's DRAM: one block of weights, words and the table of programs, two of
 * inputs and of outputs (a copy goes on beside a run), one of values that do not fit into SRAM. */
#include <string.h>

#include "base/size.h"
#include "device/antoum/antoum.h"

struct antoum_areas antoum_areas(const struct sumi_card *card) {
  const uint32_t sram = (uint32_t)SUMI_CARD_VALUE(&card->profile, sram_bytes);
  return (struct antoum_areas){.values = sram / 16 * 12, .weights = sram / 16 * 14, .scratch = sram};
}

struct compiler {
  const struct sumi_device_stage *s;
  struct antoum_segment *g;
  struct antoum_words w;
  bool *loaded; /* [n_in] */
};

/* ---- one node --------------------------------------------------------------------------------------------------- */

static struct antoum_place place_of(const struct compiler *c, const struct antoum_local *l) {
  if (!l->dram) return (struct antoum_place){.at = l->at};
  const struct antoum_port *port = l->in >= 0 ? &c->g->in[l->in] : l->out >= 0 ? &c->g->out[l->out] : NULL;
  if (port)
    return (struct antoum_place){.dram = true,
                                 .base = l->in >= 0 ? ANTOUM_BASE_IN : ANTOUM_BASE_OUT,
                                 .at = port->at,
                                 .core_step = port->core_step};
  return (struct antoum_place){
      .dram = true, .base = ANTOUM_BASE_SPILL, .at = l->at, .core_step = c->g->spill_bytes};
}

/* Whether a constant is read as it is; weights of products are packed. */
static bool read_plain(const struct sumi_cells *cells, int operand) {
  int used[SUMI_CELL_OPERANDS];
  for (size_t i = 0; i < cells->n_cell; i++) {
    const struct sumi_cell *cell = &cells->cell[i];
    for (int k = sumi_cell_operands(cell, used); k-- > 0;)
      if (used[k] == operand && !(cell->kind == SUMI_CELL_PRODUCT && cell->u.product.w.operand == operand))
        return true;
  }
  return false;
}

static sumi_status place_constant(struct compiler *c, const struct sumi_cells *cells, size_t i,
                                  struct antoum_place *place) {
  const struct sumi_cell_operand *o = &cells->operand[i];
  *place = (struct antoum_place){.dram = true, .base = ANTOUM_BASE_CODE};
  if (!o->data || !o->bytes || !read_plain(cells, (int)i)) return SUMI_OK;
  uint8_t *p;
  SUMI_TRY(antoum_image(&c->w, o->bytes, &p, &place->at));
  memcpy(p, o->data, o->bytes);
  return SUMI_OK;
}

/* Bytes between DRAM and SRAM in pieces that a word can move. */
static sumi_status move_port(struct compiler *c, enum sumi_card_opcode opcode, enum antoum_base base,
                             const struct antoum_port *p, uint64_t sram) {
  sumi_status status = SUMI_OK;
  const bool load = opcode == SUMI_CARD_OP_LOAD;
  if (c->w.split && !load) c->w.only = 0; /* all have it */
  for (size_t done = 0; done < p->bytes && status == SUMI_OK; done += SUMI_CARD_MOST_BYTES) {
    const uint32_t part = (uint32_t)SUMI_MIN(p->bytes - done, (size_t)SUMI_CARD_MOST_BYTES);
    if (c->w.split && load)
      status = antoum_load_shared(&c->w, base, p->at + done, (uint32_t)(sram + done), part);
    else
      status = antoum_move(&c->w, opcode, base, p->at + done, p->core_step, (uint32_t)(sram + done), part);
  }
  c->w.only = -1;
  return status;
}

static sumi_status load_inputs(struct compiler *c, size_t k) {
  const struct antoum_segment *g = c->g;
  for (int i = 0; i < g->cells[k].n_in; i++) {
    const struct antoum_local *l = g->operand[k][i] >= 0 ? &g->local[g->operand[k][i]] : NULL;
    if (!l || l->in < 0 || l->dram || c->loaded[l->in]) continue;
    c->loaded[l->in] = true;
    SUMI_TRY(move_port(c, SUMI_CARD_OP_LOAD, ANTOUM_BASE_IN, &g->in[l->in], l->at));
  }
  return SUMI_OK;
}

static sumi_status store_outputs(struct compiler *c, size_t k) {
  const struct antoum_segment *g = c->g;
  for (int i = 0; i < g->cells[k].n_out; i++) {
    const int at = g->operand[k][g->cells[k].n_in + i];
    const struct antoum_local *l = at >= 0 ? &g->local[at] : NULL;
    if (l && l->out >= 0 && !l->dram)
      SUMI_TRY(move_port(c, SUMI_CARD_OP_STORE, ANTOUM_BASE_OUT, &g->out[l->out], l->at));
  }
  return SUMI_OK;
}

static sumi_status compile_node(struct compiler *c, size_t k, struct sumi_text *refusals) {
  struct antoum_segment *g = c->g;
  const struct sumi_cells *cells = &g->cells[k];
  struct antoum_place *place = SUMI_NEW_ARRAY(c->s->arena, cells->n_operand, struct antoum_place);
  if (!place) SUMI_FAIL_MEMORY(c->s->err);
  c->w.tag = (uint32_t)g->node[k]->id + 1;
  for (size_t i = 0; i < cells->n_operand; i++) {
    if (g->operand[k][i] >= 0)
      place[i] = place_of(c, &g->local[g->operand[k][i]]);
    else
      SUMI_TRY(place_constant(c, cells, i, &place[i]));
  }
  SUMI_TRY(load_inputs(c, k));
  const struct antoum_cell_job job = {.w = &c->w,
                                      .options = &c->s->card->options,
                                      .operand = cells->operand,
                                      .place = place,
                                      .facts = &g->facts[k],
                                      .refusals = refusals};
  for (size_t i = 0; i < cells->n_cell; i++) SUMI_TRY(antoum_cell(&job, &cells->cell[i]));
  return store_outputs(c, k);
}

static sumi_status compile_nodes(struct compiler *c, struct antoum_refused *refused) {
  struct sumi_text refusals;
  sumi_text_init(&refusals, c->s->allocator);
  sumi_status status = SUMI_OK;
  for (size_t k = 0; k < c->g->n_node && status == SUMI_OK; k++) {
    refusals.size = 0;
    status = compile_node(c, k, &refusals);
    status = antoum_leave(c->s, refused, c->g->node[k], &refusals, status);
  }
  sumi_text_fini(&refusals);
  return status;
}

/* ---- what lies in DRAM ------------------------------------------------------------------------------------------ */

/* The image, the words of every core, the table of programs. */
static sumi_status put_code(struct compiler *c, struct antoum_driver *d) {
  struct antoum_segment *g = c->g;
  uint8_t *p;
  uint64_t words[16], table;
  const size_t most = c->w.n_word * sizeof(union sumi_card_word);
  struct sumi_card_program program[16] = {0};
  for (int core = 0; core < g->cores; core++) {
    SUMI_TRY(antoum_image(&c->w, most, &p, &words[core]));
    const size_t n = antoum_core_words(&c->w, core, (union sumi_card_word *)(void *)p);
    if (!core) g->n_word = n;
    program[core].words = (uint32_t)n;
  }
  const size_t bytes = (size_t)SUMI_CARD_VALUE(&c->s->card->profile, cores) * sizeof *program;
  SUMI_TRY(antoum_image(&c->w, bytes, &p, &table));
  g->code_bytes = c->w.image_bytes;
  SUMI_TRY(antoum_dram_alloc(d, g->code_bytes, &g->code_at, c->s->err));
  for (int core = 0; core < g->cores; core++) program[core].at = g->code_at + words[core];
  memcpy(p, program, bytes);
  g->programs_at = g->code_at + table;
  for (size_t i = 0; i < c->w.n_chunk; i++)
    SUMI_TRY(
        antoum_copy_in(d, g->code_at + c->w.chunk[i].at, c->w.chunk[i].data, c->w.chunk[i].used, c->s->err));
  return SUMI_OK;
}

static sumi_status reserve(struct antoum_segment *g, struct antoum_driver *d, struct sumi_err *err) {
  for (int i = 0; i < 2; i++) {
    SUMI_TRY(antoum_dram_alloc(d, SUMI_MAX(g->in_bytes, (size_t)1), &g->in_at[i], err));
    SUMI_TRY(antoum_dram_alloc(d, SUMI_MAX(g->out_bytes, (size_t)1), &g->out_at[i], err));
  }
  if (g->spill_bytes) SUMI_TRY(antoum_dram_alloc(d, g->spill_bytes * (size_t)g->cores, &g->spill_at, err));
  return SUMI_OK;
}

struct antoum_item antoum_item_of(const struct antoum_segment *g, size_t i, struct antoum_piece *piece) {
  const size_t run = i % g->runs, set = i % 2;
  piece[0] = (struct antoum_piece){g->in_host + run * g->in_bytes, g->in_at[set], g->in_bytes};
  piece[1] = (struct antoum_piece){g->out_host + run * g->out_bytes, g->out_at[set], g->out_bytes};
  return (struct antoum_item){.in = &piece[0],
                              .out = &piece[1],
                              .n_in = g->in_bytes != 0,
                              .n_out = g->out_bytes != 0,
                              .programs = g->programs_at,
                              .cores = (uint16_t)((1u << g->cores) - 1),
                              .base = {[ANTOUM_BASE_CODE] = g->code_at,
                                       [ANTOUM_BASE_IN] = g->in_at[set],
                                       [ANTOUM_BASE_OUT] = g->out_at[set],
                                       [ANTOUM_BASE_SPILL] = g->spill_at}};
}

sumi_status antoum_prepare_segment(const struct sumi_device_stage *s, struct antoum_segment *g) {
  SUMI_TRY(reserve(g, s->card->driver, s->err));
  g->in_host = sumi_arena_array(s->arena, g->runs, SUMI_MAX(g->in_bytes, (size_t)1));
  g->out_host = sumi_arena_array(s->arena, g->runs, SUMI_MAX(g->out_bytes, (size_t)1));
  g->item = SUMI_NEW_ARRAY(s->arena, g->runs, struct antoum_item);
  g->piece = SUMI_NEW_ARRAY(s->arena, 2 * g->runs, struct antoum_piece);
  if (!g->in_host || !g->out_host || !g->item || !g->piece) SUMI_FAIL_MEMORY(s->err);
  for (size_t r = 0; r < g->runs; r++) g->item[r] = antoum_item_of(g, r, &g->piece[2 * r]);
  return SUMI_OK;
}

void antoum_release_segment(struct sumi_card *card, struct antoum_segment *g) {
  const uint64_t at[] = {g->code_at, g->in_at[0], g->in_at[1], g->out_at[0], g->out_at[1], g->spill_at};
  for (size_t i = 0; i < SUMI_COUNT(at); i++)
    if (at[i]) antoum_dram_free(card->driver, at[i]);
  g->code_at = g->in_at[0] = g->in_at[1] = g->out_at[0] = g->out_at[1] = g->spill_at = 0;
}

/* Whether several cores on one item are worth their meetings, where one core or as many as there are items would do; a meeting also
 * ends what one core's engines do side by side for two nodes, which no cell's cycles tell. */
static bool is_worth(const struct antoum_segment *g, const struct antoum_words *w) {
  return w->taken * (double)SUMI_MIN(g->items, g->cores) < 0.9 * w->alone;
}

sumi_status antoum_compile_segment(const struct sumi_device_stage *s, struct antoum_segment *g,
                                   struct antoum_refused *refused, bool *worth) {
  struct compiler c = {.s = s, .g = g, .loaded = SUMI_NEW_ARRAY(s->arena, g->n_in, bool)};
  const struct antoum_areas areas = antoum_areas(s->card);
  g->facts = SUMI_NEW_ARRAY(s->arena, g->n_node, struct antoum_facts);
  if (!c.loaded || !g->facts) SUMI_FAIL_MEMORY(s->err);
  antoum_words_init(&c.w, &s->card->profile, g->cores, s->allocator, s->err);
  c.w.split = g->split;
  c.w.weights.lo = areas.values;
  c.w.weights.hi = c.w.scratch.lo = areas.weights;
  c.w.scratch.hi = areas.scratch;
  sumi_status status = compile_nodes(&c, refused);
  *worth = !g->split || refused->n || is_worth(g, &c.w);
  if (status == SUMI_OK && !refused->n && *worth) status = put_code(&c, s->card->driver);
  antoum_words_fini(&c.w);
  return status;
}
