/* Boxes as cells. */
#include "op/move_cells.h"

#include "base/size.h"

int sumi_cells_inner(const struct sumi_cells *c, int operand) {
  const struct sumi_cell_operand *o = &c->operand[operand];
  int64_t step = 1;
  bool row_major = true;
  int inner = -1;
  for (int i = o->rank - 1; i >= 0; i--) {
    if (o->dim[i] == 1) continue;
    row_major = row_major && o->step[i] == step;
    if (o->step[i] == 1) inner = i;
    step *= o->dim[i];
  }
  return row_major ? -1 : inner;
}

/* Output operand k gets axis innermost. An output is free to: it stays the operand it is. */
static sumi_status shape_output(struct sumi_cells *c, int k, int axis) {
  const int y = sumi_cells_out(c, k);
  if (axis < 0 || axis >= c->operand[y].rank) return SUMI_OK;
  const int formed = sumi_cells_neighbours(c, y, axis);
  if (formed < 0) return SUMI_E_MEMORY;
  SUMI_ASSERT(c->err, formed == y);
  return SUMI_OK;
}

sumi_status sumi_cells_follow(struct sumi_cells *c, int k) {
  const int inner = sumi_cells_inner(c, 0);
  return inner < 0 ? SUMI_OK
                   : shape_output(c, k, inner + c->operand[sumi_cells_out(c, k)].rank - c->operand[0].rank);
}

sumi_status sumi_box_cell(struct sumi_cells *c, const struct sumi_box *box, int to, int64_t to_first,
                          int from, int64_t from_first, uint32_t fill) {
  if (box->rank > SUMI_CELL_LOOPS)
    return sumi_cells_refuse(c, "a copy over %d loops; at most %d are possible", box->rank, SUMI_CELL_LOOPS);
  struct sumi_cell_copy copy = {.rank = box->rank,
                                .to = {.operand = to, .at = to_first},
                                .from = {.operand = from, .at = from_first},
                                .fill = fill};
  for (int i = 0; i < box->rank; i++) {
    if (box->dim[i] < 1) return SUMI_OK;
    copy.n[i] = box->dim[i];
    copy.to.step[i] = box->to[i];
    copy.from.step[i] = box->from[i];
  }
  if (!copy.rank) copy.n[copy.rank++] = 1;
  return sumi_cells_copy(c, &copy);
}

struct recorder {
  struct sumi_moves moves;
  struct sumi_cells *c;
};

static void in_strides(const struct sumi_moves *m, int k, int64_t *stride) {
  const struct sumi_cell_operand *o = &((const struct recorder *)m)->c->operand[k];
  for (int i = 0; i < o->rank; i++) stride[i] = o->step[i];
}

static void out_strides(const struct sumi_moves *m, int k, int64_t *stride) {
  in_strides(m, sumi_cells_out(((const struct recorder *)m)->c, k), stride);
}

static sumi_status record(struct sumi_moves *m, int out, int64_t to_first, const struct sumi_box *box, int in,
                          int64_t from_first) {
  struct sumi_cells *c = ((struct recorder *)m)->c;
  return sumi_box_cell(c, box, sumi_cells_out(c, out), to_first, in, from_first, 0);
}

static sumi_status add_boxes(struct sumi_cells *c, sumi_moves_fn *fn, int n_data) {
  for (int i = n_data; i < c->n_in; i++)
    if (c->in[i] && !c->in[i]->data) return sumi_cells_refuse(c, "what to move is not constant");
  const struct sumi_call call = sumi_cells_call(c);
  struct recorder r = {{record, &call, in_strides, out_strides}, c};
  const size_t before = c->n_cell;
  SUMI_TRY(fn(&call, &r.moves));
  return c->n_cell > before ? SUMI_OK : sumi_cells_refuse(c, "an empty tensor");
}

sumi_status sumi_moves_cells(struct sumi_cells *c, sumi_moves_fn *fn, int n_data) {
  for (int k = 0; k < c->n_out; k++)
    if (c->out[k]) SUMI_TRY(sumi_cells_follow(c, k));
  return add_boxes(c, fn, n_data);
}

sumi_status sumi_moves_cells_inner(struct sumi_cells *c, sumi_moves_fn *fn, int n_data, int inner) {
  SUMI_TRY(shape_output(c, 0, inner));
  return add_boxes(c, fn, n_data);
}
