/* Rows of the caches by look-up, then a vector program over pairs, in float32. A position that is negative counts from the
 * caches' end here; one behind it is the run's error. */
#include "op/rotary_cells.h"

#include "base/size.h"
#include "op/vector_cells.h"

struct rotary {
  int x, y;              /* operands, row-major */
  int64_t n[4], step[4]; /* batch, heads, tokens, pairs, of x and y; the last step is that of features */
  int64_t size, pairs;   /* of a head; that are turned */
  struct sumi_cell_view cosines, sines; /* steps: by n */
  bool interleaved;
};

/* n rows of input `cache`, by input `ids`, an operand. */
static sumi_status look_up(struct sumi_cells *c, int cache, int ids, int64_t n, int *rows) {
  const struct sumi_cell_operand *o = &c->operand[cache];
  const int64_t row = o->dim[1], count = n * row;
  struct sumi_cell_lookup l = {.table = sumi_cells_row_major(c, cache),
                               .ids = sumi_cells_row_major(c, ids),
                               .rows = o->dim[0],
                               .row = row,
                               .n = n};
  l.out = *rows = sumi_cells_temp(c, o->dtype, 1, &count);
  if (l.table < 0 || l.ids < 0 || l.out < 0) return SUMI_E_MEMORY;
  return sumi_cells_lookup(c, &l);
}

/* The caches' rows of the tokens of every item: of n[0] * n[2] ids, or where ids is -1 the caches themselves. */
static sumi_status find_rows(struct sumi_cells *c, const int cache[2], int ids, struct rotary *r) {
  struct sumi_cell_view *const view[] = {&r->cosines, &r->sines};
  for (int i = 0; i < 2; i++) {
    int rows = cache[i];
    if (ids >= 0) SUMI_TRY(look_up(c, cache[i], ids, r->n[0] * r->n[2], &rows));
    rows = sumi_cells_row_major(c, rows);
    if (rows < 0) return SUMI_E_MEMORY;
    *view[i] = (struct sumi_cell_view){.operand = rows, .step = {r->n[2] * r->pairs, 0, r->pairs, 1}};
  }
  return SUMI_OK;
}

static int view_of(struct sumi_vector *p, int operand, const int64_t *step) {
  const int view = sumi_vector_view_plain(p, operand);
  for (int d = 0; d < 4 && view >= 0; d++) p->view[view].step[d] = step[d];
  return view;
}

static void loops(struct sumi_vector *p, struct sumi_cells *c, const struct rotary *r, int64_t last) {
  sumi_vector_start(p, c);
  for (int d = 0; d < 4; d++) sumi_vector_loop(p, d < 3 ? r->n[d] : last);
}

static sumi_status turn(struct sumi_cells *c, const struct rotary *r) {
  const int64_t each = r->interleaved ? 2 : 1, other = r->interleaved ? 1 : r->pairs;
  const int64_t step[] = {r->step[0], r->step[1], r->step[2], each};
  struct sumi_vector p;
  loops(&p, c, r, r->pairs);
  const int x = view_of(&p, r->x, step), y = view_of(&p, r->y, step);
  const int a = sumi_vector_load_at(&p, x, 0), b = sumi_vector_load_at(&p, x, other);
  const int cosine = sumi_vector_load(&p, view_of(&p, r->cosines.operand, r->cosines.step)),
            sine = sumi_vector_load(&p, view_of(&p, r->sines.operand, r->sines.step));
  sumi_vector_store_at(&p, y, 0, SUMI_VECTOR(&p, "a * c - b * d", a, b, cosine, sine));
  sumi_vector_store_at(&p, y, other, SUMI_VECTOR(&p, "b * c + a * d", a, b, cosine, sine));
  return sumi_vector_end(&p);
}

/* Features behind the turned ones. */
static sumi_status keep(struct sumi_cells *c, const struct rotary *r) {
  const int64_t rest = r->size - 2 * r->pairs, step[] = {r->step[0], r->step[1], r->step[2], 1};
  struct sumi_vector p;
  if (!rest) return SUMI_OK;
  loops(&p, c, r, rest);
  const int x = view_of(&p, r->x, step), y = view_of(&p, r->y, step);
  sumi_vector_store_at(&p, y, 2 * r->pairs, sumi_vector_load_at(&p, x, 2 * r->pairs));
  return sumi_vector_end(&p);
}

static sumi_status add(struct sumi_cells *c, const int cache[2], int ids, struct rotary *r) {
  const struct sumi_tensor *x = c->in[r->x];
  const bool split = x->rank == 4;
  if (!sumi_tensor_count(x) || !r->pairs) return sumi_cells_refuse(c, "nothing to turn");
  const int64_t heads = split ? x->dim[1] : x->dim[2] / r->size, tokens = x->dim[split ? 2 : 1],
                all = heads * tokens * r->size;
  const int64_t n[] = {x->dim[0], heads, tokens, r->pairs},
                step[] = {all, split ? tokens * r->size : r->size, split ? r->size : heads * r->size, 1};
  for (int d = 0; d < 4; d++) r->n[d] = n[d], r->step[d] = step[d];
  r->x = sumi_cells_row_major(c, r->x);
  r->y = sumi_cells_row_major(c, sumi_cells_out(c, 0));
  if (r->x < 0 || r->y < 0) return SUMI_E_MEMORY;
  SUMI_TRY(find_rows(c, cache, ids, r));
  SUMI_TRY(turn(c, r));
  return keep(c, r);
}

sumi_status sumi_rotary_embedding_cells(struct sumi_cells *c) {
  enum { X, COS, SIN, POSITIONS };
  const struct sumi_tensor *x = c->in[X];
  const int64_t turned = sumi_attr_int(c->node, "rotary_embedding_dim", 0),
                size = x->rank == 4 ? x->dim[3] : x->dim[2] / sumi_attr_int(c->node, "num_heads", 1);
  struct rotary r = {.x = X,
                     .size = size,
                     .pairs = (turned ? turned : size) / 2,
                     .interleaved = sumi_attr_int(c->node, "interleaved", 0) != 0};
  return add(c, (const int[]){COS, SIN}, sumi_cells_has(c, POSITIONS) ? POSITIONS : -1, &r);
}

/* Positions p, p + 1, .. of the tokens of every item, as a constant. */
static sumi_status count_up(struct sumi_cells *c, int64_t p, int64_t batch, int64_t tokens, int64_t rows,
                            int *ids) {
  const int64_t n = batch * tokens;
  if (p < 0 || p > rows - tokens) return sumi_cells_refuse(c, "positions outside the caches");
  int64_t *data = SUMI_NEW_ARRAY(c->arena, (size_t)n, int64_t);
  if (!data) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i < n; i++) data[i] = p + i % tokens;
  *ids = sumi_cells_constant(c, SUMI_INT64, 1, &n, data);
  return *ids < 0 ? SUMI_E_MEMORY : SUMI_OK;
}

sumi_status sumi_ms_rotary_embedding_cells(struct sumi_cells *c) {
  enum { X, POSITIONS, COS, SIN };
  const struct sumi_tensor *x = c->in[X], *positions = c->in[POSITIONS], *cosines = c->in[COS];
  const int64_t heads = sumi_attr_int(c->node, "num_heads", 0), last = x->dim[x->rank - 1];
  struct rotary r = {
      .x = X, .pairs = cosines->dim[1], .interleaved = sumi_attr_int(c->node, "interleaved", 0) != 0};
  r.size = x->rank == 4 ? last : heads > 0 ? last / heads : 2 * r.pairs;
  int ids = POSITIONS;
  if (!r.size) return sumi_cells_refuse(c, "nothing to turn");
  if (positions->rank < 2) {
    if (!positions->data) return sumi_cells_refuse(c, "the first position is no constant");
    SUMI_TRY(count_up(c, *(const int64_t *)positions->data, x->dim[0], x->dim[x->rank == 4 ? 2 : 1],
                      cosines->dim[0], &ids));
  }
  return add(c, (const int[]){COS, SIN}, ids, &r);
}
