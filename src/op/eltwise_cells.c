/* Element-wise operators as vector programs: their own formulas over the output's elements. */
#include "base/size.h"
#include "op/broadcast.h"
#include "op/vector_cells.h"

int sumi_eltwise_begin(struct sumi_vector *p, struct sumi_cells *c, int n_in) {
  const int y = sumi_cells_out(c, 0);
  for (int i = n_in - 1; i >= 0; i--)
    if (c->in[i]) sumi_cells_same_form(c, y, i);
  sumi_vector_start(p, c);
  sumi_vector_over(p, y, 0);
  return y;
}

sumi_status sumi_eltwise_cells(struct sumi_cells *c, const struct sumi_eltwise_formula *f) {
  const int n = c->n_in - c->node->n_captured;
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, n);
  int value[3] = {-1, -1, -1};
  if (n > 3) return sumi_cells_refuse(c, "%d inputs", n);
  for (int i = 0; i < n; i++) {
    if (!c->in[i]) return sumi_cells_refuse(c, "an input is left out");
    const int first = i == 1 && f->second ? f->second - 1 : p.dims - c->in[i]->rank;
    value[i] = sumi_vector_load(&p, sumi_vector_view_at(&p, i, first));
  }
  if (sumi_vector_bad(&p)) return sumi_vector_end(&p);
  const char *text = p.value[value[n - 1]].real ? f->real : f->whole;
  if (!text) return sumi_cells_refuse(c, "no formula for these element types");
  p.alpha = sumi_vector_float(&p, f->alpha);
  p.beta = sumi_vector_float(&p, f->beta);
  const int result = sumi_vector_formula(&p, text, value, n);
  const int to = sumi_vector_view(&p, y);
  if (c->operand[y].dtype == SUMI_BOOL)
    sumi_vector_store(&p, to, result);
  else
    sumi_vector_store_wrapped(&p, to, result);
  return sumi_vector_end(&p);
}

sumi_status sumi_binary_cells(struct sumi_cells *c, const char *real, const char *whole) {
  const struct sumi_eltwise_formula f = {
      .real = real,
      .whole = whole,
      .second = 1 + sumi_second_axis(c->node, c->in[0]->rank, c->in[1]->rank, c->out[0]->rank)};
  return sumi_eltwise_cells(c, &f);
}

sumi_status sumi_copy_cells(struct sumi_cells *c, int to, int from) {
  sumi_cells_same_form(c, to, from);
  const struct sumi_cell_operand *o = &c->operand[from], *y = &c->operand[to];
  struct sumi_cell_copy copy = {.to = {.operand = to}, .from = {.operand = from}};
  for (int i = 0; i < o->rank; i++) {
    if (o->dim[i] == 1) continue;
    if (copy.rank == SUMI_CELL_LOOPS) return sumi_cells_refuse(c, "more than %d dimensions", SUMI_CELL_LOOPS);
    copy.n[copy.rank] = o->dim[i];
    copy.to.step[copy.rank] = y->step[i];
    copy.from.step[copy.rank++] = o->step[i];
  }
  if (!copy.rank) copy.n[copy.rank++] = 1;
  return sumi_cells_copy(c, &copy);
}
