/* MatMul, FusedMatMul, sumi.FMatMul, Gemm, FusedGemm in float32 on device cpu, y[m, n] = a[m, k] * b[k, n]. Family spmm with roles
 * swapped: the rows of b are the planes, n lies in lanes, words of a are broadcast. Constant sparse b with enough rows
 * in a: m lies in lanes; a and y are transposed on the way (family copy). A constant b that many rows read is put into
 * strips, once. Any other b whose rows are not contiguous is turned round, once where it is constant, else in every
 * run. */
#include "op/matmul_lower.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "op/eltwise_lower.h"
#include "op/gemm.h"
#include "op/matmul.h"
#include "op/spmm_lower.h"

enum { A, B, C };

/* The product with its epilogue, whichever operator it comes from. */
struct product {
  int left, right; /* the inputs that are a and b */
  int64_t m, n, k, a_row, a_col, b_row, b_col;
  int64_t n_batch, *a_at, *b_at; /* element offsets of every batch; y's follow each other */
  float alpha;
  bool has_c;
  int64_t c_row, c_col;
  float beta;
  struct sumi_activation activation;
};

struct args {
  struct sumi_spmm_f32 s; /* pointers to buffers are set while running */
  const struct sumi_spmm_f32_kernel *kernel;
  const struct sumi_copy_kernel *copy;
  struct sumi_spmm_tiles tiles;
  struct product p;
  int a, b, c, y, scratch, panels; /* buffers; b: -1 = packed */
  const float *packed_b;           /* strips or [k, n], NULL = buffer b */
  const float *bias;               /* fixed bias, lane bias or addend instead of buffer c */
  enum { NO_C, C_BIAS, C_LANE, C_ADD } use_c;
  int64_t b_words; /* of b turned round, in front of scratch; 0 = not needed */
};

struct state {
  const struct args *a;
  const struct sumi_run *run;
  const float *in;
  float *out;
  struct sumi_spmm_f32 s;
  float *panels;
};

static void turn_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct product *p = &st->a->p;
  /* in is [n, k] with rows of b_col, out is [k, n]: rows [begin, end) of out */
  st->a->copy->transpose(st->in + begin * p->b_row, p->b_col, p->n, end - begin, st->out + begin * p->n,
                         p->n);
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  for (int64_t i = begin; i < end; i++)
    sumi_spmm_run_tile(st->a->kernel, &st->s, &st->a->tiles, i, st->panels, worker);
}

static const float *c_of(const struct args *a, const struct sumi_run *run) {
  return a->bias ? a->bias : a->c >= 0 ? run->buffer[a->c] : NULL;
}

/* ---- n in lanes ------------------------------------------------------------------------------------------------ */

static sumi_status run_dense(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  const struct product *p = &a->p;
  struct state st = {.a = a, .run = run, .s = a->s, .panels = a->panels < 0 ? NULL : run->buffer[a->panels]};
  const float *c = c_of(a, run), *b = a->packed_b ? a->packed_b : run->buffer[a->b], *turned = NULL;
  st.s.bias = a->use_c == C_BIAS ? c : NULL;
  st.s.lane_bias = a->use_c == C_LANE ? c : NULL;
  st.s.add = a->use_c == C_ADD ? c : NULL;
  for (int64_t i = 0; i < p->n_batch; i++) {
    st.s.w = (const float *)run->buffer[a->a] + p->a_at[i];
    st.s.x = b + p->b_at[i];
    st.s.y = (float *)run->buffer[a->y] + i * p->m * p->n;
    if (a->b_words) {
      if (st.s.x != turned) {
        turned = st.in = st.s.x;
        st.out = run->buffer[a->scratch];
        sumi_par_for(run->par, p->k, 64, turn_rows, &st);
      }
      st.s.x = run->buffer[a->scratch];
    }
    sumi_par_for(run->par, a->tiles.count, 1, sum_tiles, &st);
  }
  return SUMI_OK;
}

/* ---- m in lanes: sparse weights -------------------------------------------------------------------------------- */

static sumi_status run_sparse(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  const struct product *p = &a->p;
  struct state st = {.a = a, .run = run, .s = a->s, .panels = a->panels < 0 ? NULL : run->buffer[a->panels]};
  float *x = run->buffer[a->scratch], *y = x + p->k * p->m;
  st.s.x = x;
  st.s.y = y;
  if (a->use_c == C_BIAS) st.s.bias = c_of(a, run);
  for (int64_t i = 0; i < p->n_batch; i++) {
    const float *from = (const float *)run->buffer[a->a] + p->a_at[i];
    a->copy->transpose(from, p->a_row, p->m, p->k, x, p->m);
    sumi_par_for(run->par, a->tiles.count, 1, sum_tiles, &st);
    a->copy->transpose(y, p->m, p->n, p->m, (float *)run->buffer[a->y] + i * p->m * p->n, p->n);
  }
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_f32", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* C and beta in the form that the lanes' side takes; what it cannot take is refused. lanes_n: n lies in lanes. */
static sumi_status take_c(struct sumi_lower *l, struct args *a, bool lanes_n) {
  const struct product *p = &a->p;
  a->use_c = NO_C;
  a->c = -1;
  a->bias = NULL;
  if (!p->has_c || p->beta == 0) return SUMI_OK;
  if (p->alpha != 1) return refuse(l, "alpha and C together");
  const bool over_n = p->c_row == 0 && p->c_col != 0, over_m = p->c_row != 0 && p->c_col == 0;
  const bool one = p->c_row == 0 && p->c_col == 0;
  a->c = l->in_buffer[C];
  if (!lanes_n && !over_n && !one) return refuse(l, "C is not one value a column");
  if (lanes_n)
    a->use_c = over_m ? C_BIAS : over_n || one ? C_LANE : C_ADD;
  else
    a->use_c = C_BIAS;
  if (p->beta == 1 && !one) return SUMI_OK;
  if (!sumi_lower_is_constant(l, C)) return refuse(l, "C is scaled or a single value, and not constant");
  const int64_t count = one ? p->n : sumi_tensor_count(l->in[C]);
  float *copy = SUMI_NEW_ARRAY(l->arena, (size_t)count, float);
  if (!copy) SUMI_FAIL_MEMORY(l->err);
  for (int64_t i = 0; i < count; i++) copy[i] = p->beta * ((const float *)l->in[C]->data)[one ? 0 : i];
  a->bias = copy;
  return SUMI_OK;
}

/* A constant b in another order: rows [k, n], or the strips of spmm.h, the last one filled up with zeros. */
struct order {
  const struct product *p;
  const float *data;
  int strip, lanes; /* strip 0 = rows */
};

static int64_t order_words(const struct order *o) {
  const int64_t n = o->p->n;
  return o->p->k * (o->strip ? (n + o->lanes - 1) / o->lanes * o->lanes : n);
}

static sumi_status make_order(void *user, const struct sumi_allocator *allocator, struct sumi_blob **out,
                              struct sumi_err *err) {
  const struct order *o = user;
  const struct product *p = o->p;
  struct sumi_blob *blob = sumi_blob_new(allocator, (size_t)order_words(o) * sizeof(float));
  if (!blob) SUMI_FAIL_MEMORY(err);
  float *y = sumi_blob_bytes(blob);
  const int64_t most = o->strip ? o->strip : p->n, unit = o->strip ? o->lanes : 1;
  for (int64_t j = 0; j < p->n; j += most) {
    const int64_t n = SUMI_MIN(p->n - j, most), wide = (n + unit - 1) / unit * unit;
    for (int64_t k = 0; k < p->k; k++, y += wide)
      for (int64_t i = 0; i < wide; i++) y[i] = i < n ? o->data[k * p->b_row + (j + i) * p->b_col] : 0;
  }
  *out = blob;
  return SUMI_OK;
}

static sumi_status check_order(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  (void)data; /* numbers and nothing else */
  if (bytes != (size_t)order_words(user) * sizeof(float))
    SUMI_FAIL(err, SUMI_E_FORMAT, "a matrix in another order of %zu bytes", bytes);
  return SUMI_OK;
}

static const struct sumi_pack_kind rows_kind = {"f32_rows.1", make_order, check_order};
static const struct sumi_pack_kind strips_kind = {"f32_strips.1", make_order, check_order};

static sumi_status emit(struct sumi_lower *l, struct args *a, sumi_step_fn fn, const char *form) {
  int reads[3] = {a->a}, writes[3] = {a->y}, n_reads = 1, n_writes = 1;
  if (a->b >= 0) reads[n_reads++] = a->b;
  if (a->c >= 0) reads[n_reads++] = a->c;
  if (a->scratch >= 0) writes[n_writes++] = a->scratch;
  if (a->panels >= 0) writes[n_writes++] = a->panels;
  const char *name = sumi_arena_printf(l->arena, "%s%s%s %s", a->scratch >= 0 ? a->copy->name : "",
                                       a->scratch >= 0 ? " + " : "", a->kernel->name, form);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, fn, a, name, reads, n_reads, writes, n_writes);
}

static bool fits_offsets(int64_t n, int64_t row) {
  int64_t bytes;
  return sumi_i64_mul(n, row, &bytes) && sumi_i64_mul(bytes, 4, &bytes) && bytes <= INT32_MAX;
}

/* Seconds of one product with n in lanes. Few rows wait for b, which comes from beyond the second-level cache. */
static double dense_s(const struct args *a) {
  enum { NEAR_BYTES = 1 << 20 };
  const double far_bytes_s = 15e9;
  const struct product *p = &a->p;
  const int block = (int)SUMI_MIN(p->m, SUMI_SPMM_BLOCK);
  const double n_blocks = (double)((p->m + block - 1) / block);
  const double s = sumi_spmm_f32_predict(a->kernel, block, true, n_blocks * (double)p->k, n_blocks, p->n),
               far = (double)p->k * (double)p->n * sizeof(float) - NEAR_BYTES;
  return SUMI_MAX(s, far / far_bytes_s);
}

static sumi_status reorder(struct sumi_lower *l, struct args *a, int strip) {
  struct order o = {&a->p, l->in[a->p.right]->data, strip, a->kernel->lanes};
  const void *data = NULL;
  char key[32];
  snprintf(key, sizeof key, strip ? "f32 b strips%d" : "f32 b turned", strip);
  SUMI_TRY(
      l->packs->get_kind(l->packs->self, l->node, key, strip ? &strips_kind : &rows_kind, &o, &data, l->err));
  a->packed_b = data;
  a->b = -1;
  a->s.strip = strip;
  return SUMI_OK;
}

/* Brings b into a form that the kernel takes: strips where it is constant, else rows. *row receives the distance of rows. */
static sumi_status place_b(struct sumi_lower *l, struct args *a, int64_t *row) {
  const struct product *p = &a->p;
  const bool one = sumi_lower_is_constant(l, p->right) && p->b_at[p->n_batch - 1] == 0;
  a->b = l->in_buffer[p->right];
  *row = p->n;
  if (one && a->kernel->strip && p->n >= a->kernel->strip) return reorder(l, a, a->kernel->strip);
  if (p->b_col == 1 || p->n == 1) {
    *row = p->b_row;
    return SUMI_OK;
  }
  if (one) return reorder(l, a, 0);
  if (p->b_row != 1) return refuse(l, "b is contiguous in neither direction");
  a->b_words = p->k * p->n;
  a->scratch = sumi_lower_scratch(l, (size_t)a->b_words * sizeof(float));
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

static sumi_status lower_dense(struct sumi_lower *l, struct args *a) {
  struct product *p = &a->p;
  int64_t row;
  SUMI_TRY(place_b(l, a, &row));
  if (!fits_offsets(p->k, row)) return refuse(l, "b takes more than 2 GiB");
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)p->k, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t k = 0; k < p->k; k++) off[k] = (int32_t)(4 * k * row);
  a->s.rows = p->m, a->s.pixels = p->n, a->s.block = SUMI_SPMM_BLOCK, a->s.off = off, a->s.n_list = p->k;
  a->s.w_row = p->a_row, a->s.w_entry = p->a_col, a->s.w_block = SUMI_SPMM_BLOCK * p->a_row;
  a->s.scale = p->alpha, a->s.add_row = p->c_row, a->s.y_row = p->n, a->s.pitch = a->s.width = p->n;
  a->tiles = sumi_spmm_tile(1, a->s.strip ? a->s.strip : 3 * a->kernel->lanes, l->threads,
                            (p->m + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK, p->n, p->m * p->k, p->k * p->n);
  SUMI_TRY(take_c(l, a, true));
  if (!a->s.strip) SUMI_TRY(sumi_spmm_panels(l, &a->s, &a->panels));
  if (a->packed_b) l->spent[B] = true;
  SUMI_TRY(emit(l, a, run_dense, a->s.strip ? "dense, columns in strips" : "dense, columns in lanes"));
  sumi_lower_predict(l, (double)p->n_batch * dense_s(a) / l->threads);
  return SUMI_OK;
}

/* Seconds to move the words of a and y twice: two transpositions at 10 GB/s. */
static double transpose_s(const struct product *p) { return (double)(p->m * (p->k + p->n)) * 8 / 10e9; }

/* Tries m in lanes: *taken says whether it is expected to be faster. */
static sumi_status lower_sparse(struct sumi_lower *l, struct args *a, bool *taken) {
  struct product *p = &a->p;
  *taken = false;
  if (!sumi_lower_is_constant(l, p->right) || p->a_col != 1 || p->b_at[p->n_batch - 1] != 0 ||
      !fits_offsets(p->k, p->m))
    return SUMI_OK;
  const sumi_status status = take_c(l, a, false);
  if (status != SUMI_OK) return status == SUMI_E_UNSUPPORTED ? SUMI_OK : status;
  const struct sumi_matrix w = {l->in[p->right]->data, p->n, p->k, p->b_col, p->b_row, NULL};
  struct sumi_spmm_weights weights;
  SUMI_TRY(sumi_spmm_pack_if_below(l, a->kernel, w, p->m, dense_s(a) - transpose_s(p), "b", &weights));
  if (!weights.packed) return SUMI_OK;
  int32_t *offset = SUMI_NEW_ARRAY(l->arena, (size_t)p->k, int32_t);
  if (!offset) SUMI_FAIL_MEMORY(l->err);
  for (int64_t k = 0; k < p->k; k++) offset[k] = (int32_t)(4 * k * p->m);
  SUMI_TRY(sumi_spmm_set_weights(l, &a->s, weights.packed, offset, false));
  a->scratch = sumi_lower_scratch(l, (size_t)(p->m * (p->k + p->n)) * sizeof(float));
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  a->b = -1;
  a->s.rows = p->n, a->s.pixels = p->m, a->s.scale = p->alpha, a->s.y_row = p->m;
  a->s.pitch = a->s.width = p->m;
  a->tiles = sumi_spmm_tile(1, 3 * a->kernel->lanes, l->threads, (p->n + a->s.block - 1) / a->s.block, p->m,
                            weights.packed->n_entries * a->s.block, p->k * p->m);
  *taken = true;
  SUMI_TRY(emit(l, a, run_sparse, "sparse, rows in lanes"));
  l->spent[B] = true;
  sumi_lower_predict(l, (double)p->n_batch * (weights.predicted_s + transpose_s(p)) / l->threads);
  return SUMI_OK;
}

/* One column is one row of the transposed product, whose columns lie in lanes. */
static void turn_column(struct product *p) {
  const struct product q = *p;
  if (q.n != 1 || q.m == 1) return;
  p->left = q.right, p->right = q.left;
  p->m = 1, p->n = q.m;
  p->a_row = q.b_col, p->a_col = q.b_row, p->a_at = q.b_at;
  p->b_row = q.a_col, p->b_col = q.a_row, p->b_at = q.a_at;
  p->c_row = q.c_col, p->c_col = q.c_row;
}

static sumi_status lower_product(struct sumi_lower *l, const struct product *p) {
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->p = *p;
  turn_column(&a->p);
  p = &a->p;
  a->a = l->in_buffer[p->left];
  a->kernel = sumi_spmm_f32_pick(l->isa);
  a->copy = sumi_copy_pick(l->isa);
  a->y = l->out_buffer[0];
  a->c = a->scratch = a->panels = -1;
  if (!p->m || !p->n || !p->k || !p->n_batch) return refuse(l, "an empty tensor");
  struct sumi_epilogue epilogue;
  SUMI_TRY(sumi_lower_epilogue(l, p->activation, &epilogue));
  a->s.act = epilogue.act, a->s.act_param = epilogue.param, a->s.lo = epilogue.lo, a->s.hi = epilogue.hi;
  bool taken;
  SUMI_TRY(lower_sparse(l, a, &taken));
  return taken ? SUMI_OK : lower_dense(l, a);
}

static bool all_f32(struct sumi_lower *l) {
  for (int i = 0; i < l->n_in; i++)
    if (l->in[i] && !sumi_lower_is_f32(l->in[i])) {
      sumi_lower_refuse(l, "spmm_f32", "element type %s", sumi_dtype_label(l->in[i]->dtype));
      return false;
    }
  return true;
}

/* One b for all batches of a, and a's rows follow each other through the batches: one tall product. */
static bool collapses(const struct sumi_matmul *mm) {
  int64_t next = mm->m * mm->a_row;
  for (int i = mm->n_batch - 1; i >= 0; i--) {
    if (mm->b_batch[i] || (mm->batch[i] != 1 && mm->a_batch[i] != next)) return false;
    next *= mm->batch[i];
  }
  return true;
}

static sumi_status batches(struct sumi_lower *l, const struct sumi_matmul *mm, struct product *p) {
  p->n_batch = sumi_dims_count(mm->batch, 0, mm->n_batch);
  const bool one = p->n_batch > 1 && collapses(mm);
  if (one) {
    p->m *= p->n_batch;
    p->n_batch = 1;
  }
  p->a_at = SUMI_NEW_ARRAY(l->arena, (size_t)p->n_batch, int64_t);
  p->b_at = SUMI_NEW_ARRAY(l->arena, (size_t)p->n_batch, int64_t);
  if (!p->a_at || !p->b_at) SUMI_FAIL_MEMORY(l->err);
  int64_t i = 0;
  for (struct sumi_walk w =
           sumi_walk_start(one ? 0 : mm->n_batch, mm->batch, mm->a_batch, mm->b_batch, NULL, NULL);
       !w.done; sumi_walk_next(&w), i++) {
    p->a_at[i] = w.offset[0];
    p->b_at[i] = w.offset[1];
  }
  return SUMI_OK;
}

static sumi_status make_product(struct sumi_lower *l, const struct sumi_matmul *mm, struct product *p) {
  *p = (struct product){.right = B,
                        .m = mm->m,
                        .n = mm->n,
                        .k = mm->k,
                        .a_row = mm->a_row,
                        .a_col = mm->a_col,
                        .b_row = mm->b_row,
                        .b_col = mm->b_col,
                        .alpha = mm->alpha};
  return batches(l, mm, p);
}

sumi_status sumi_matmul_lower_as(struct sumi_lower *l, const struct sumi_matmul *mm) {
  if (!all_f32(l)) return SUMI_E_UNSUPPORTED;
  struct product p;
  SUMI_TRY(make_product(l, mm, &p));
  return lower_product(l, &p);
}

sumi_status sumi_matmul_lower(struct sumi_lower *l) {
  struct sumi_matmul mm;
  SUMI_TRY(sumi_matmul_resolve(l->node, l->in[A], l->in[B], &mm, l->err));
  return sumi_matmul_lower_as(l, &mm);
}

sumi_status sumi_fmatmul_lower(struct sumi_lower *l) {
  if (!all_f32(l)) return SUMI_E_UNSUPPORTED;
  struct sumi_matmul mm;
  struct product p;
  SUMI_TRY(sumi_matmul_resolve(l->node, l->in[A], l->in[B], &mm, l->err));
  SUMI_TRY(make_product(l, &mm, &p));
  SUMI_TRY(sumi_activation_resolve(l->node, &p.activation, l->err));
  p.has_c = l->n_in > C && l->in[C];
  p.c_col = 1;
  p.beta = 1;
  return lower_product(l, &p);
}

sumi_status sumi_projection_lower(struct sumi_lower *l, const struct sumi_tensor *y, int buffer) {
  enum { INPUTS = 3 };
  bool spent[INPUTS] = {false};
  struct sumi_lower p = *l;
  p.n_in = SUMI_MIN(l->n_in, INPUTS);
  p.n_out = 1;
  p.out = &y;
  p.out_buffer = &buffer;
  p.spent = spent;
  return sumi_fmatmul_lower(&p);
}

/* The product's only batch. */
static sumi_status lower_one(struct sumi_lower *l, struct product *p) {
  p->n_batch = 1;
  p->a_at = p->b_at = SUMI_NEW_ARRAY(l->arena, 1, int64_t);
  if (!p->a_at) SUMI_FAIL_MEMORY(l->err);
  return lower_product(l, p);
}

sumi_status sumi_gemm_lower(struct sumi_lower *l) {
  if (!all_f32(l)) return SUMI_E_UNSUPPORTED;
  struct sumi_gemm g;
  const struct sumi_tensor *c = l->n_in > C ? l->in[C] : NULL;
  SUMI_TRY(sumi_gemm_resolve(l->node, l->in[A], l->in[B], c, &g, l->err));
  struct product p = {.right = B,
                      .m = g.m,
                      .n = g.n,
                      .k = g.k,
                      .a_row = g.a_row,
                      .a_col = g.a_col,
                      .b_row = g.b_row,
                      .b_col = g.b_col,
                      .alpha = g.alpha,
                      .has_c = g.has_c,
                      .c_row = g.c_row,
                      .c_col = g.c_col,
                      .beta = g.beta,
                      .activation = g.activation};
  return lower_one(l, &p);
}

sumi_status sumi_rows_lower(struct sumi_lower *l, int64_t m, int64_t n, int64_t k,
                            struct sumi_activation activation) {
  if (!all_f32(l)) return SUMI_E_UNSUPPORTED;
  struct product p = {.right = B,
                      .m = m,
                      .n = n,
                      .k = k,
                      .a_row = k,
                      .a_col = 1,
                      .b_row = 1,
                      .b_col = k,
                      .alpha = 1,
                      .has_c = l->n_in > C && l->in[C],
                      .c_col = 1,
                      .beta = 1,
                      .activation = activation};
  return lower_one(l, &p);
}
