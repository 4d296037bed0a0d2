/* Shared lowering to family spmm. Dense or sparse is decided here, once per layer, by predicted time: sparse lists are
 * taken only where they are expected to be faster. */
#include "op/spmm_lower.h"

#include <math.h>
#include <stdio.h>

#include "base/size.h"

bool sumi_lower_is_constant(const struct sumi_lower *l, int i) {
  const struct sumi_value *v = i < l->n_in ? l->node->in[i] : NULL;
  return v && l->in[i] && v->constant && l->in[i]->data && l->in[i]->data == v->constant->data;
}

bool sumi_lower_is_f32(const struct sumi_tensor *t) {
  return t && t->kind == SUMI_TENSOR && t->dtype == SUMI_FLOAT32;
}

/* ---- packing -------------------------------------------------------------------------------------------------- */

struct form {
  struct sumi_matrix matrix;
  int block;
  bool dense;
};

static sumi_status make_packed(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                               struct sumi_err *err) {
  const struct form *f = user;
  return sumi_packed_make(f->matrix, f->block, f->dense, a, out, err);
}

static sumi_status check_packed(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct form *f = user;
  return sumi_packed_check_form(data, bytes, f->matrix.rows, f->matrix.cols, f->block, f->dense, err);
}

static const struct sumi_pack_kind packed_kind = {SUMI_PACKED_KIND, make_packed, check_packed};

static double blocks_of(int64_t rows, int block) { return (double)((rows + block - 1) / block); }

/* ---- facts ------------------------------------------------------------------------------------------------------ */

enum { N_BLOCKS = 4 };
static const int blocks[N_BLOCKS] = {8, 4, 2, 1};

/* What choosing a form asks of a matrix. Kept among the packed weights: where those are known, a plan does not read the matrix. */
struct facts {
  int64_t rows, cols, nonzeros;
  int64_t entries[N_BLOCKS]; /* of lists with so many rows a block; 0 where the matrix is too dense to try */
};

struct question {
  struct sumi_matrix matrix;
  int only;         /* rows of every block; 0: all of blocks[] */
  bool any_density; /* lists are wanted however dense it is */
};

/* The matrix is too dense to try lists of its own. */
static bool gives_up(const struct question *q, const struct facts *f) {
  const double density = f->rows && f->cols ? (double)f->nonzeros / (double)f->rows / (double)f->cols : 1;
  return !q->any_density && density > 0.8;
}

static sumi_status make_facts(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                              struct sumi_err *err) {
  const struct question *q = user;
  struct sumi_blob *blob = sumi_blob_new(a, sizeof(struct facts));
  if (!blob) SUMI_FAIL_MEMORY(err);
  struct facts *f = sumi_blob_bytes(blob);
  *f = (struct facts){q->matrix.rows, q->matrix.cols, sumi_packed_count(q->matrix, 1), {0}};
  for (int i = 0; !gives_up(q, f) && i < (q->only ? 1 : N_BLOCKS); i++) {
    const int block = q->only ? q->only : blocks[i];
    f->entries[i] = block == 1 ? f->nonzeros : sumi_packed_count(q->matrix, block);
  }
  *out = blob;
  return SUMI_OK;
}

/* Counts that are not true lead to another choice and nothing else. */
static sumi_status check_facts(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct question *q = user;
  const struct facts *f = data;
  if (bytes != sizeof *f || f->rows != q->matrix.rows || f->cols != q->matrix.cols)
    SUMI_FAIL(err, SUMI_E_FORMAT, "facts about other weights");
  return SUMI_OK;
}

static const struct sumi_pack_kind facts_kind = {"f32_facts.1", make_facts, check_facts};

/* The fastest sparse form; its predicted time, INFINITY where the weights are too dense to try. */
static sumi_status best_sparse(struct sumi_lower *l, const struct sumi_spmm_f32_kernel *k,
                               struct sumi_matrix w, int only, int64_t pixels, const char *key,
                               struct form *out, double *best) {
  struct question q = {w, only, l->lists == SUMI_LISTS_SPARSE};
  char name[64];
  const void *data = NULL;
  *best = INFINITY;
  if (l->lists == SUMI_LISTS_DENSE) return SUMI_OK;
  snprintf(name, sizeof name, "f32 %s facts%d%s", key, only, q.any_density ? " all" : "");
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, name, &facts_kind, &q, &data, l->err));
  const struct facts *f = data;
  for (int i = 0; !gives_up(&q, f) && i < (only ? 1 : N_BLOCKS); i++) {
    const int block = only ? only : blocks[i];
    const double t =
        sumi_spmm_f32_predict(k, block, false, (double)f->entries[i], blocks_of(w.rows, block), pixels);
    if (t < *best) {
      *best = t;
      *out = (struct form){w, block, false};
    }
  }
  return SUMI_OK;
}

/* ---- choice ----------------------------------------------------------------------------------------------------- */

static sumi_status get(struct sumi_lower *l, struct form *form, const char *key,
                       struct sumi_spmm_weights *out) {
  char name[64];
  snprintf(name, sizeof name, "f32 %s %s%d", key, form->dense ? "dense" : "sparse", form->block);
  const void *data = NULL;
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, name, &packed_kind, form, &data, l->err));
  out->packed = data;
  return SUMI_OK;
}

sumi_status sumi_spmm_pack(struct sumi_lower *l, const struct sumi_spmm_f32_kernel *kernel,
                           struct sumi_matrix w, int block, int64_t pixels, const char *key,
                           struct sumi_spmm_weights *out) {
  struct form dense = {w, block ? block : SUMI_SPMM_BLOCK, true}, sparse = dense;
  const double n = blocks_of(w.rows, dense.block);
  const double dense_s = sumi_spmm_f32_predict(kernel, dense.block, true, n * (double)w.cols, n, pixels);
  double sparse_s;
  SUMI_TRY(best_sparse(l, kernel, w, block, pixels, key, &sparse, &sparse_s));
  struct form *form = sparse_s < dense_s || l->lists == SUMI_LISTS_SPARSE ? &sparse : &dense;
  if (form == &dense && sparse_s < INFINITY)
    sumi_lower_refuse(l, kernel->name, "sparse lists are predicted to take %.3g ms, dense %.3g ms",
                      sparse_s * 1e3, dense_s * 1e3);
  out->predicted_s = form == &dense ? dense_s : sparse_s;
  return get(l, form, key, out);
}

sumi_status sumi_spmm_pack_if_below(struct sumi_lower *l, const struct sumi_spmm_f32_kernel *kernel,
                                    struct sumi_matrix w, int64_t pixels, double limit_s, const char *key,
                                    struct sumi_spmm_weights *out) {
  struct form sparse;
  *out = (struct sumi_spmm_weights){NULL, INFINITY};
  SUMI_TRY(best_sparse(l, kernel, w, 0, pixels, key, &sparse, &out->predicted_s));
  if (out->predicted_s < limit_s || l->lists == SUMI_LISTS_SPARSE) return get(l, &sparse, key, out);
  if (out->predicted_s < INFINITY)
    sumi_lower_refuse(l, kernel->name, "sparse lists are predicted to take %.3g ms, dense less: %.3g ms",
                      out->predicted_s * 1e3, limit_s * 1e3);
  return SUMI_OK;
}

sumi_status sumi_spmm_set_weights(struct sumi_lower *l, struct sumi_spmm_f32 *s, const struct sumi_packed *p,
                                  const int32_t *offset, bool columns) {
  s->block = p->block;
  s->w = sumi_packed_value(p);
  s->w_row = 1;
  s->w_entry = p->block;
  s->start = sumi_packed_start(p);
  s->n_list = p->cols;
  if (p->dense) {
    s->w_block = p->cols * p->block;
    s->off = offset;
    return SUMI_OK;
  }
  s->w_block = 0;
  if (columns) {
    s->off = offset;
    s->col = sumi_packed_col(p);
    return SUMI_OK;
  }
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)p->n_entries, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  const int32_t *col = sumi_packed_col(p);
  for (int64_t e = 0; e < p->n_entries; e++) off[e] = offset[col[e]];
  s->off = off;
  return SUMI_OK;
}

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

static int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

/* Of n in `of` shares as even as can be: the first of share i. */
static int64_t share(int64_t n, int64_t of, int64_t i) { return n / of * i + SUMI_MIN(i, n % of); }

struct sumi_spmm_part sumi_spmm_tile_part(const struct sumi_spmm_tiles *t, int64_t i) {
  const int64_t row = t->blocks_first ? i / t->across : i % t->down,
                column = t->blocks_first ? i % t->across : i / t->down;
  const int64_t rows = parts(t->n_blocks, t->block_unit), columns = parts(t->pixels, t->unit);
  return (struct sumi_spmm_part){
      share(rows, t->down, row) * t->block_unit,
      SUMI_MIN(share(rows, t->down, row + 1) * t->block_unit, t->n_blocks),
      share(columns, t->across, column) * t->unit,
      SUMI_MIN(share(columns, t->across, column + 1) * t->unit, t->pixels),
  };
}

/* `want` tiles, as many as can be along one side. Returns the share of all work in the first thread's, which is the most. */
static double cut(struct sumi_spmm_tiles *t, bool blocks_first, int64_t want, int threads) {
  const int64_t rows = parts(t->n_blocks, t->block_unit), columns = parts(t->pixels, t->unit);
  t->blocks_first = blocks_first;
  t->down = SUMI_MIN(rows, want);
  t->across = SUMI_MIN(columns, blocks_first ? parts(want, t->down) : want);
  if (!blocks_first) t->down = SUMI_MIN(rows, parts(want, t->across));
  t->count = t->across * t->down;
  double sum = 0;
  for (int64_t i = 0; i < parts(t->count, threads); i++) {
    const struct sumi_spmm_part p = sumi_spmm_tile_part(t, i);
    sum += (double)(p.b1 - p.b0) * (double)(p.p1 - p.p0);
  }
  return sum / ((double)t->n_blocks * (double)t->pixels);
}

struct sumi_spmm_tiles sumi_spmm_tile(int64_t block_unit, int64_t unit, int threads, int64_t n_blocks,
                                      int64_t pixels, int64_t w_words, int64_t x_words) {
  enum { LEAST_MACS = 1 << 18 };
  struct sumi_spmm_tiles t = {n_blocks, pixels, block_unit, unit, 1, 1, w_words > x_words, 1};
  if (n_blocks <= 0 || pixels <= 0) {
    t.count = 0;
    return t;
  }
  const double macs = (double)w_words * (double)pixels;
  const int64_t want = (int64_t)SUMI_MIN(macs / LEAST_MACS, (double)threads);
  if (threads <= 1 || want <= 1) return t;
  struct sumi_spmm_tiles other = t;
  const double load = cut(&t, t.blocks_first, want, threads),
               other_load = cut(&other, !t.blocks_first, want, threads);
  return other_load < 0.85 * load ? other : t;
}

void sumi_spmm_run_tile(const struct sumi_spmm_f32_kernel *kernel, const struct sumi_spmm_f32 *s,
                        const struct sumi_spmm_tiles *t, int64_t i, float *panels, int worker) {
  const struct sumi_spmm_part part = sumi_spmm_tile_part(t, i);
  struct sumi_spmm_f32 own = *s;
  own.scratch = panels ? panels + (int64_t)worker * sumi_spmm_f32_scratch(s) : NULL;
  kernel->run(&own, part.b0, part.b1, part.p0, part.p1);
}

sumi_status sumi_spmm_panels(struct sumi_lower *l, const struct sumi_spmm_f32 *s, int *buffer) {
  enum { LEAST_ROWS = 32, LEAST_PIXELS = 9 };
  *buffer = -1;
  if (!s->window && !s->col && (s->start || s->rows < LEAST_ROWS || s->pixels < LEAST_PIXELS)) return SUMI_OK;
  *buffer = sumi_lower_scratch(l, (size_t)l->threads * (size_t)sumi_spmm_f32_scratch(s) * sizeof(float));
  if (*buffer < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}
