/* Einsum for the card: of two factors. Labels that are summed are a product's channels, the last labels of the output its outputs,
 * all others its loops; without a sum it is a vector program. */
#include "op/einsum.h"

#include <string.h>

#include "op/dot_cells.h"
#include "op/vector_cells.h"

#include "base/size.h"

/* A factor: an operand, and the steps by label of those labels that it has. */
struct factor {
  int operand;
  int64_t step[SUMI_EINSUM_LABELS];
};

struct einsum {
  struct sumi_cells *c;
  struct sumi_einsum e;
  int64_t size[SUMI_EINSUM_LABELS];
  bool has[2][SUMI_EINSUM_LABELS]; /* factor i walks it */
  int out[SUMI_MAX_RANK], n_out;   /* labels of more than one element in the output, in its order */
  int sum[SUMI_MAX_RANK], n_sum;   /* those that are summed, in the order of the first factor */
};

static void read_steps(const struct einsum *j, const struct sumi_einsum_term *t, struct factor *f) {
  const struct sumi_cell_operand *o = &j->c->operand[f->operand];
  memset(f->step, 0, sizeof f->step);
  for (int k = 0; k < t->n; k++)
    if (o->dim[k] != 1) f->step[t->label[k]] += o->step[k];
}

static bool listed(const int *label, int n, int l) {
  bool found = false;
  for (int i = 0; i < n; i++) found = found || label[i] == l;
  return found;
}

static sumi_status find_labels(struct einsum *j) {
  struct sumi_cells *c = j->c;
  for (int l = 0; l < SUMI_EINSUM_LABELS; l++) j->size[l] = 1;
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < j->e.in[i].n; k++) {
      const int l = j->e.in[i].label[k];
      if (c->in[i]->dim[k] == 1) continue;
      j->size[l] = c->in[i]->dim[k];
      j->has[i][l] = true;
    }
  for (int k = 0; k < j->e.out.n; k++)
    if (j->size[j->e.out.label[k]] != 1) j->out[j->n_out++] = j->e.out.label[k];
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < j->e.in[i].n; k++) {
      const int l = j->e.in[i].label[k];
      if (j->size[l] == 1 || listed(j->out, j->n_out, l) || listed(j->sum, j->n_sum, l)) continue;
      if (!j->has[0][l] || !j->has[1][l]) return sumi_cells_refuse(c, "a sum over one factor alone");
      j->sum[j->n_sum++] = l;
    }
  return SUMI_OK;
}

/* Whether one loop leads through labels[n]; its innermost step. */
static bool walks_as_one(const struct einsum *j, const int *label, int n, const int64_t *step) {
  bool one = true;
  for (int k = 0; k + 1 < n; k++) one = one && step[label[k]] == step[label[k + 1]] * j->size[label[k + 1]];
  return one;
}

/* Sees to it that the channels of f are one loop, and neighbours unless any step will do: f becomes a copy where they are not. */
static sumi_status straighten(const struct einsum *j, int i, bool any, struct factor *f) {
  const int64_t last = f->step[j->sum[j->n_sum - 1]];
  if (walks_as_one(j, j->sum, j->n_sum, f->step) && (any || last == 1)) return SUMI_OK;
  int label[SUMI_MAX_RANK], n = 0;
  int64_t count = 1;
  for (int k = 0; k < j->n_out; k++)
    if (j->has[i][j->out[k]]) label[n++] = j->out[k];
  for (int k = 0; k < j->n_sum; k++) label[n++] = j->sum[k];
  if (n > SUMI_CELL_LOOPS) return sumi_cells_refuse(j->c, "a factor of %d labels that must be moved", n);
  struct sumi_cell_copy copy = {.rank = n, .from = {.operand = f->operand}};
  struct factor to = {0};
  for (int k = n - 1; k >= 0; k--) {
    copy.n[k] = j->size[label[k]];
    copy.from.step[k] = f->step[label[k]];
    copy.to.step[k] = to.step[label[k]] = count;
    count *= j->size[label[k]];
  }
  copy.to.operand = to.operand = sumi_cells_temp(j->c, SUMI_BFLOAT16, 1, &count);
  if (to.operand < 0) return SUMI_E_MEMORY;
  *f = to;
  return sumi_cells_reorder(j->c, &copy);
}

/* The axis of the last label that is summed, in input i. */
static int channel_axis(const struct einsum *j, int i) {
  const struct sumi_einsum_term *t = &j->e.in[i];
  for (int k = t->n - 1; k >= 0; k--)
    if (t->label[k] == j->sum[j->n_sum - 1]) return k;
  return -1;
}

static sumi_status product(struct einsum *j) {
  struct sumi_cells *c = j->c;
  const int last = j->n_out ? j->out[j->n_out - 1] : -1;
  const int x = last >= 0 && !j->has[1][last]; /* the output's last label is the other factor's */
  const struct sumi_dot_real e = {.scale = 1};
  struct factor f[2], y = {.operand = sumi_cells_row_major(c, sumi_cells_out(c, 0))};
  for (int i = 0; i < 2; i++) {
    SUMI_TRY(sumi_dot_narrow(c, i, channel_axis(j, i), &f[i].operand));
    read_steps(j, &j->e.in[i], &f[i]);
    SUMI_TRY(straighten(j, i, i != x && c->operand[f[i].operand].data, &f[i]));
  }
  if (y.operand < 0) return SUMI_E_MEMORY;
  read_steps(j, &j->e.out, &y);
  struct sumi_dot_strides s = {.channels = 1, .outputs = 1};
  for (int k = 0; k < j->n_sum; k++) s.channels *= j->size[j->sum[k]];
  s.w_channel = f[!x].step[j->sum[j->n_sum - 1]];
  int n = j->n_out;
  while (n && !j->has[x][j->out[n - 1]] && walks_as_one(j, j->out + n - 1, j->n_out - n + 1, f[!x].step))
    s.outputs *= j->size[j->out[--n]];
  s.w_output = n < j->n_out ? f[!x].step[last] : 0;
  for (s.n = 0; s.n < n; s.n++) {
    const int l = j->out[s.n];
    s.loop[s.n] = (struct sumi_dot_loop){j->size[l], f[x].step[l], f[!x].step[l], y.step[l]};
  }
  const struct sumi_dot_operands o = {.x = f[x].operand, .w = f[!x].operand, .y = y.operand, .residual = -1};
  struct sumi_cell_product p;
  SUMI_TRY(sumi_dot_strided(c, &o, &s, &p));
  return sumi_dot_real(c, &p, &e, p.outputs);
}

static sumi_status no_sum(struct einsum *j) {
  struct sumi_cells *c = j->c;
  struct factor f[3] = {{.operand = 0}, {.operand = 1}, {.operand = sumi_cells_out(c, 0)}};
  const struct sumi_einsum_term *const term[] = {&j->e.in[0], &j->e.in[1], &j->e.out};
  struct sumi_vector v;
  int view[3];
  sumi_vector_start(&v, c);
  for (int k = 0; k < j->n_out; k++) sumi_vector_loop(&v, j->size[j->out[k]]);
  for (int i = 0; i < 3; i++) {
    read_steps(j, term[i], &f[i]);
    view[i] = sumi_vector_view_plain(&v, f[i].operand);
    for (int k = 0; k < j->n_out && view[i] >= 0; k++) v.view[view[i]].step[k] = f[i].step[j->out[k]];
  }
  sumi_vector_store(&v, view[2],
                    SUMI_VECTOR(&v, "a * b", sumi_vector_load(&v, view[0]), sumi_vector_load(&v, view[1])));
  return sumi_vector_end(&v);
}

sumi_status sumi_einsum_cells(struct sumi_cells *c) {
  struct einsum j = {.c = c};
  if (c->n_in != 2) return sumi_cells_refuse(c, "%d factors", c->n_in);
  SUMI_TRY(sumi_einsum_resolve(c->node, c->in, c->n_in, &j.e, c->err));
  for (int i = 0; i < 2; i++)
    if (!sumi_tensor_count(c->in[i])) return sumi_cells_refuse(c, "an empty product");
  SUMI_TRY(find_labels(&j));
  return j.n_sum ? product(&j) : no_sum(&j);
}
