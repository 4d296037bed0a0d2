/* MatMulNBits (com.microsoft): y[..., n] = sum over k of a[..., k] * (q[n,k] - zero[n,block]) * scale[n,block] + bias[n]
 * with weights q of 2, 4 or 8 bits, packed low bits first along k, in blocks of block_size: b is [N, blocks, block_size *
 * bits / 8]. zero points are packed the same way, one row of whole bytes a column, or given in a's type; 2^(bits - 1) where
 * there are none. An empty b means no product: zeros, or the bias.
 * MatMulBnb4 (com.microsoft): y = a * w^T, or a * w where transB is 0, with w [N, K] = table[q] * absmax[block]: q are 4 bits,
 * high ones first, blocks run over the flattened w, the table is NF4's (Dettmers et al. 2023, QLoRA, arXiv 2305.14314) or
 * FP4's. Source: ONNX Runtime, docs/ContribOperators.md. Sums are taken in double precision. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "kernel/spmm/spmm.h"
#include "op/call_lower.h"
#include "op/ms_util.h"

enum { A, B, SCALES, ZEROS, GROUPS, BIAS };

struct shape {
  int64_t k, n, bits, block, blocks, blob;
};

static sumi_status read_shape(const struct sumi_node *node, struct shape *s, struct sumi_err *err) {
  *s = (struct shape){.k = sumi_attr_int(node, "K", 0),
                      .n = sumi_attr_int(node, "N", 0),
                      .bits = sumi_attr_int(node, "bits", 4),
                      .block = sumi_attr_int(node, "block_size", 0)};
  if (s->k <= 0 || s->n <= 0 || s->k > INT32_MAX || s->n > INT32_MAX)
    SUMI_FAIL(err, SUMI_E_VALUE, "K %" PRId64 " or N %" PRId64 " is out of range", s->k, s->n);
  if (s->bits != 2 && s->bits != 4 && s->bits != 8)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "weights of %" PRId64 " bits are not known", s->bits);
  if (s->block < 16 || s->block > INT32_MAX || (s->block & (s->block - 1)))
    SUMI_FAIL(err, SUMI_E_VALUE, "block_size %" PRId64 " is no power of two from 16 on", s->block);
  s->blocks = (s->k + s->block - 1) / s->block;
  s->blob = s->block * s->bits / 8;
  return SUMI_OK;
}

/* The number of elements where all dims are numbers, else -1. */
static int64_t count_of(const struct sumi_info *info) {
  int64_t n;
  if (info->rank < 0) return -1;
  for (int i = 0; i < info->rank; i++)
    if (info->dim[i] < 0) return -1;
  return sumi_shape_count(info->dim, info->rank, &n, NULL) == SUMI_OK ? n : -1;
}

static sumi_status want_count(const struct sumi_infer *ctx, int i, int64_t want) {
  const int64_t n = sumi_infer_has(ctx, i) ? count_of(&ctx->in[i]) : -1;
  if (n >= 0 && n != want)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has %" PRId64 " elements, not %" PRId64,
              ctx->node->op->in[i].name, n, want);
  return SUMI_OK;
}

static sumi_status nbits_infer(struct sumi_infer *ctx) {
  const struct sumi_info *a = &ctx->in[A];
  struct shape s;
  SUMI_TRY(read_shape(ctx->node, &s, ctx->err));
  if (sumi_infer_has(ctx, GROUPS)) SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "'g_idx' is not known");
  if (sumi_attr_int(ctx->node, "weight_prepacked", 0))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "weights packed for a GPU are not known");
  if (count_of(&ctx->in[B]) != 0) {
    SUMI_TRY(want_count(ctx, B, s.n * s.blocks * s.blob));
    SUMI_TRY(want_count(ctx, SCALES, s.n * s.blocks));
    if (sumi_infer_has(ctx, ZEROS))
      SUMI_TRY(want_count(
          ctx, ZEROS,
          ctx->in[ZEROS].dtype == SUMI_UINT8 ? s.n * ((s.blocks * s.bits + 7) / 8) : s.n * s.blocks));
  }
  SUMI_TRY(want_count(ctx, BIAS, s.n));
  if (a->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'A' is a scalar");
  if (a->rank > 0) SUMI_TRY(sumi_ms_want_dim(ctx, A, a->rank - 1, s.k, "attribute K"));
  sumi_infer_out_like(ctx, 0, a, SUMI_UNDEFINED);
  if (a->rank > 0 && ctx->n_out > 0 && !ctx->out[0].absent) ctx->out[0].dim[a->rank - 1] = s.n;
  return SUMI_OK;
}

static sumi_status nbits_scratch(const struct sumi_call *c, size_t *bytes) {
  struct shape s;
  SUMI_TRY(read_shape(c->node, &s, c->err));
  *bytes = 0;
  SUMI_TRY(sumi_ms_book(bytes, s.k, sizeof(float), c->err));
  return sumi_ms_book(bytes, s.k, sizeof(float), c->err);
}

/* The zero point of block b of column n. */
static double zero_of(const struct sumi_call *c, const struct shape *s, int64_t n, int64_t b) {
  const struct sumi_tensor *zeros = sumi_call_has(c, ZEROS) ? c->in[ZEROS] : NULL;
  if (!zeros) return 1 << (s->bits - 1);
  if (zeros->dtype != SUMI_UINT8) return sumi_get_f64(zeros->dtype, zeros->data, n * s->blocks + b);
  return sumi_ms_unpack((const uint8_t *)zeros->data + n * ((s->blocks * s->bits + 7) / 8), b, s->bits);
}

/* w[k] = column n of the weights */
static void dequantise(const struct sumi_call *c, const struct shape *s, int64_t n, float *w) {
  const uint8_t *q = (const uint8_t *)c->in[B]->data + n * s->blocks * s->blob;
  for (int64_t b = 0; b < s->blocks; b++) {
    const double zero = zero_of(c, s, n, b);
    const double scale = sumi_get_f64(c->in[SCALES]->dtype, c->in[SCALES]->data, n * s->blocks + b);
    for (int64_t k = b * s->block; k < SUMI_MIN(s->k, (b + 1) * s->block); k++)
      w[k] = (float)((sumi_ms_unpack(q + b * s->blob, k - b * s->block, s->bits) - zero) * scale);
  }
}

/* y[r, n] = bias + row r of a[rows, k] times w[k], for all rows; x is space for a row. */
static void multiply(const struct sumi_call *c, const float *w, float *x, int64_t k, int64_t n,
                     int64_t columns, double bias) {
  const struct sumi_tensor *a = c->in[A], *y = c->out[0];
  const int64_t rows = sumi_tensor_count(y) / columns;
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0;
    sumi_to_f32(a->dtype, a->data, r * k, k, x);
    for (int64_t i = 0; i < k; i++) sum += (double)x[i] * (double)w[i];
    sumi_set_f64(y->dtype, y->data, r * columns + n, sum + bias);
  }
}

static sumi_status nbits_ref(const struct sumi_call *c) {
  struct shape s;
  SUMI_TRY(read_shape(c->node, &s, c->err));
  char *scratch = c->scratch;
  float *w = sumi_ms_take(&scratch, s.k, sizeof *w), *x = sumi_ms_take(&scratch, s.k, sizeof *x);
  const bool empty = sumi_tensor_count(c->in[B]) == 0;
  for (int64_t k = 0; k < s.k && empty; k++) w[k] = 0;
  for (int64_t n = 0; n < s.n; n++) {
    if (!empty) dequantise(c, &s, n, w);
    const double bias = sumi_call_has(c, BIAS) ? sumi_get_f64(c->in[BIAS]->dtype, c->in[BIAS]->data, n) : 0;
    multiply(c, w, x, s.k, n, s.n, bias);
  }
  return SUMI_OK;
}

/* ---- with kernels ------------------------------------------------------------------------------------------------ */

/* A task dequantises some columns. Few rows of a are multiplied with them as they come; for more they are turned round, and
 * family spmm has the columns in lanes. */
enum { COLUMNS = 48, FEW = 3, LINE = 16 };

struct fast {
  struct shape s;
  const struct sumi_spmm_f32_kernel *spmm;
  const struct sumi_copy_kernel *copy;
  int64_t rows, worker_words;
  const int32_t *off; /* [k] of a plane of COLUMNS words */
};

struct fast_run {
  const struct fast *f;
  const struct sumi_call *call;
  float *scratch;
};

/* w[0, n) = (codes - zero) * scale, codes of 4 bits (n is even) or 8 bits, or any. */
static void widen_codes(const uint8_t *q, int64_t bits, int64_t n, float zero, float scale,
                        float *restrict w) {
  if (bits == 4)
    for (int64_t i = 0; i < n / 2; i++) {
      w[2 * i] = ((float)(q[i] & 15) - zero) * scale;
      w[2 * i + 1] = ((float)(q[i] >> 4) - zero) * scale;
    }
  else if (bits == 8)
    for (int64_t i = 0; i < n; i++) w[i] = ((float)q[i] - zero) * scale;
  else
    for (int64_t i = 0; i < n; i++) w[i] = ((float)sumi_ms_unpack(q, i, bits) - zero) * scale;
}

/* Column n; w has room for whole blocks. */
static void widen_column(const struct sumi_call *c, const struct shape *s, int64_t n, float *w) {
  const uint8_t *q = (const uint8_t *)c->in[B]->data + n * s->blocks * s->blob;
  for (int64_t b = 0; b < s->blocks; b++)
    widen_codes(q + b * s->blob, s->bits, s->block, (float)zero_of(c, s, n, b),
                ((const float *)c->in[SCALES]->data)[n * s->blocks + b], w + b * s->block);
}

static float dot(const float *restrict x, const float *restrict w, int64_t k) {
  float part[LINE] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + LINE <= k; i += LINE)
    for (int64_t j = 0; j < LINE; j++) part[j] += x[i + j] * w[i + j];
  for (; i < k; i++) sum += x[i] * w[i];
  for (int64_t j = 0; j < LINE; j++) sum += part[j];
  return sum;
}

/* n columns from `first` on, whose weights lie in rows of `wide` words. */
static void multiply_columns(const struct fast_run *r, const float *w, int64_t wide, int64_t first, int64_t n,
                             float *planes) {
  const struct fast *f = r->f;
  const struct sumi_call *c = r->call;
  const float *a = c->in[A]->data, *bias = sumi_call_has(c, BIAS) ? c->in[BIAS]->data : NULL;
  float *y = (float *)c->out[0]->data + first;
  if (f->rows <= FEW) {
    for (int64_t i = 0; i < f->rows; i++)
      for (int64_t j = 0; j < n; j++)
        y[i * f->s.n + j] = dot(a + i * f->s.k, w + j * wide, f->s.k) + (bias ? bias[first + j] : 0);
    return;
  }
  f->copy->transpose(w, wide, n, f->s.k, planes, COLUMNS);
  const struct sumi_spmm_f32 s = {.rows = f->rows,
                                  .pixels = n,
                                  .block = SUMI_SPMM_BLOCK,
                                  .x = planes,
                                  .off = f->off,
                                  .n_list = f->s.k,
                                  .w = a,
                                  .w_block = SUMI_SPMM_BLOCK * f->s.k,
                                  .w_entry = 1,
                                  .w_row = f->s.k,
                                  .lane_bias = bias ? bias + first : NULL,
                                  .scale = 1,
                                  .lo = -INFINITY,
                                  .hi = INFINITY,
                                  .y = y,
                                  .y_row = f->s.n,
                                  .pitch = n,
                                  .width = n,
                                  .scratch = planes + f->s.k * COLUMNS};
  f->spmm->run(&s, 0, (f->rows + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK, 0, n);
}

static void run_columns(void *user, int64_t begin, int64_t end, int worker) {
  const struct fast_run *r = user;
  const struct shape *s = &r->f->s;
  const int64_t wide = s->blocks * s->block;
  float *w = r->scratch + worker * r->f->worker_words;
  for (int64_t task = begin; task < end; task++) {
    const int64_t first = task * COLUMNS, n = SUMI_MIN(s->n - first, COLUMNS);
    for (int64_t j = 0; j < n; j++) widen_column(r->call, s, first + j, w + j * wide);
    multiply_columns(r, w, wide, first, n, w + COLUMNS * wide);
  }
}

static sumi_status run_fast(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct fast_run r = {tools->user, c, tools->scratch};
  sumi_par_for(tools->par, (r.f->s.n + COLUMNS - 1) / COLUMNS, 1, run_columns, &r);
  return SUMI_OK;
}

static sumi_status nbits_lower(struct sumi_lower *l) {
  enum { MOST = 1 << 22 }; /* of k: the offsets fit 32 bits */
  struct fast *f = SUMI_NEW(l->arena, struct fast);
  if (!f) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(read_shape(l->node, &f->s, l->err));
  f->spmm = sumi_spmm_f32_pick(l->isa);
  f->copy = sumi_copy_pick(l->isa);
  f->rows = sumi_tensor_count(l->out[0]) / f->s.n;
  const int64_t wide = f->s.blocks * f->s.block;
  if (l->in[A]->dtype != SUMI_FLOAT32 || !sumi_tensor_count(l->in[B]) || !f->rows || wide > MOST) {
    sumi_lower_refuse(l, f->spmm->name, "element type %s, an empty tensor, or more than %d rows of weights",
                      sumi_dtype_label(l->in[A]->dtype), MOST);
    return SUMI_E_UNSUPPORTED;
  }
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)f->s.k, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t k = 0; k < f->s.k; k++) off[k] = (int32_t)(4 * k * COLUMNS);
  f->off = off;
  f->worker_words = COLUMNS * wide + (f->rows > FEW ? f->s.k * COLUMNS + SUMI_SPMM_F32_SCRATCH : 0);
  size_t bytes;
  if (!sumi_size_mul((size_t)f->worker_words * sizeof(float), (size_t)l->threads, &bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "the scratch of a product is too large");
  const char *name = f->rows > FEW ? f->spmm->name : "columns";
  return sumi_call_lower(l, run_fast, f, bytes, -1, name);
}

static void nbits_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  const struct sumi_tensor *y = c->out[0];
  cost->macs = cost->dense_macs =
      y && y->rank ? (double)sumi_tensor_count(c->in[A]) * (double)y->dim[y->rank - 1] : 0;
  sumi_ms_cost_bytes(c, cost);
}

/* ---- MatMulBnb4 -------------------------------------------------------------------------------------------------- */

enum { ABSMAX = 2 };

static const float tables[2][16] = {
    /* FP4: a sign, and 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 */
    {0, 0.00520833333f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f, 0.25f, 0, -0.00520833333f,
     -0.66666667f, -1, -0.33333333f, -0.5f, -0.16666667f, -0.25f},
    {-1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
     -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f,
     0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
     0.7229568362236023f, 1}};

struct bnb {
  int64_t inner, outer; /* columns of a and of y */
  int64_t step, pitch;  /* elements of w along inner and outer */
  int64_t elements, block;
  const float *table;
};

static sumi_status read_bnb(const struct sumi_node *node, struct bnb *b, struct sumi_err *err) {
  const int64_t k = sumi_attr_int(node, "K", 0), n = sumi_attr_int(node, "N", 0),
                type = sumi_attr_int(node, "quant_type", -1);
  const bool turned = sumi_attr_int(node, "transB", 1) != 0;
  if (k <= 0 || n <= 0 || k > INT32_MAX || n > INT32_MAX)
    SUMI_FAIL(err, SUMI_E_VALUE, "K %" PRId64 " or N %" PRId64 " is out of range", k, n);
  if (type != 0 && type != 1) SUMI_FAIL(err, SUMI_E_VALUE, "quant_type is %" PRId64 ", not 0 or 1", type);
  *b = (struct bnb){.inner = turned ? k : n,
                    .outer = turned ? n : k,
                    .step = turned ? 1 : k,
                    .pitch = turned ? k : 1,
                    .elements = n * k,
                    .block = sumi_attr_int(node, "block_size", 0),
                    .table = tables[type]};
  if (b->block < 16 || b->block > INT32_MAX || (b->block & (b->block - 1)))
    SUMI_FAIL(err, SUMI_E_VALUE, "block_size %" PRId64 " is no power of two from 16 on", b->block);
  return SUMI_OK;
}

static sumi_status bnb_infer(struct sumi_infer *ctx) {
  const struct sumi_info *a = &ctx->in[A];
  struct bnb b;
  SUMI_TRY(read_bnb(ctx->node, &b, ctx->err));
  SUMI_TRY(want_count(ctx, B, (b.elements + 1) / 2));
  SUMI_TRY(want_count(ctx, ABSMAX, (b.elements + b.block - 1) / b.block));
  if (a->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'A' is a scalar");
  if (a->rank > 0) SUMI_TRY(sumi_ms_want_dim(ctx, A, a->rank - 1, b.inner, "number of rows of the weights"));
  sumi_infer_out_like(ctx, 0, a, SUMI_UNDEFINED);
  if (a->rank > 0 && ctx->n_out > 0 && !ctx->out[0].absent) ctx->out[0].dim[a->rank - 1] = b.outer;
  return SUMI_OK;
}

static sumi_status bnb_scratch(const struct sumi_call *c, size_t *bytes) {
  struct bnb b;
  SUMI_TRY(read_bnb(c->node, &b, c->err));
  *bytes = 0;
  SUMI_TRY(sumi_ms_book(bytes, b.inner, sizeof(float), c->err));
  return sumi_ms_book(bytes, b.inner, sizeof(float), c->err);
}

static sumi_status bnb_ref(const struct sumi_call *c) {
  struct bnb b;
  SUMI_TRY(read_bnb(c->node, &b, c->err));
  const uint8_t *q = c->in[B]->data;
  const struct sumi_tensor *scales = c->in[ABSMAX];
  char *scratch = c->scratch;
  float *w = sumi_ms_take(&scratch, b.inner, sizeof *w), *x = sumi_ms_take(&scratch, b.inner, sizeof *x);
  for (int64_t n = 0; n < b.outer; n++) {
    for (int64_t k = 0; k < b.inner; k++) {
      const int64_t at = n * b.pitch + k * b.step;
      const int code = at % 2 ? q[at / 2] & 15 : q[at / 2] >> 4;
      w[k] = b.table[code] * (float)sumi_get_f64(scales->dtype, scales->data, at / b.block);
    }
    multiply(c, w, x, b.inner, n, b.outer, 0);
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"K", SUMI_ATTR_INT, true},
                                              {"N", SUMI_ATTR_INT, true},
                                              {"bits", SUMI_ATTR_INT},
                                              {"block_size", SUMI_ATTR_INT, true},
                                              {"accuracy_level", SUMI_ATTR_INT} /* a permission: not used */,
                                              {"weight_prepacked", SUMI_ATTR_INT},
                                              {NULL}};
static const struct sumi_port in[] = {
    {"A", SUMI_MS_T, 'T'},
    {"B", SUMI_BIT(SUMI_UINT8)},
    {"scales", SUMI_MS_T, 'T'},
    {"zero_points", SUMI_MS_T | SUMI_BIT(SUMI_UINT8), 0, SUMI_PORT_OPTIONAL},
    {"g_idx", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
    {"bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
    {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_MS_T, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,40] a, uint8[5,3,8] b, float[5,3] s, uint8[5,2] z, float[5] c) => (y) {"
     " y = com.microsoft.MatMulNBits <K = 40, N = 5, bits = 4, block_size = 16> (a, b, s, z, , c) }",
     .rtol = 1e-6, .why = "a last block that is not full; float result"},
    {"g (float[3,20] a, uint8[4,2,4] b, float[8] s, float[8] z) => (y) {"
     " y = com.microsoft.MatMulNBits <K = 20, N = 4, bits = 2, block_size = 16> (a, b, s, z) }",
     .rtol = 1e-6},
    {"g (float[3,20] a, uint8[0,2,4] b, float[0] s, float[4] c) => (y) {"
     " y = com.microsoft.MatMulNBits <K = 20, N = 4, bits = 2, block_size = 16> (a, b, s, , , c) }",
     .why = "no weights: the bias"},
    {"g (float[7,64] a, uint8[70,2,16] b, float[70,2] s, float[70] c) => (y) {"
     " y = com.microsoft.MatMulNBits <K = 64, N = 70, bits = 4, block_size = 32> (a, b, s, , , c) }",
     .rtol = 1e-5, .low = 0, .high = 255,
     .why = "more rows than are taken one by one, columns beyond a task's; float sums"},
    {"g (float[1,70] a, uint8[50,5,16] b, float[50,5] s, uint8[50,5] z) => (y) {"
     " y = com.microsoft.MatMulNBits <K = 70, N = 50, bits = 8, block_size = 16> (a, b, s, z) }",
     .rtol = 1e-5, .low = 0, .high = 255, .why = "whole bytes, one row; float sums"},
    {NULL},
};

static const struct sumi_attr_spec bnb_attrs[] = {{"K", SUMI_ATTR_INT, true},
                                                  {"N", SUMI_ATTR_INT, true},
                                                  {"block_size", SUMI_ATTR_INT, true},
                                                  {"quant_type", SUMI_ATTR_INT, true},
                                                  {"training_mode", SUMI_ATTR_INT} /* changes no result */,
                                                  {"transB", SUMI_ATTR_INT},
                                                  {NULL}};
static const struct sumi_port bnb_in[] = {
    {"A", SUMI_MS_T, 'T'}, {"B", SUMI_BIT(SUMI_UINT8)}, {"absmax", SUMI_MS_T, 'T'}, {NULL}};

static const struct sumi_case bnb_cases[] = {
    {"g (float[2,3,21] a, uint8[53] b, float[7] s) => (y) { y = com.microsoft.MatMulBnb4 <K = 21, N = 5, "
     "block_size = "
     "16, quant_type = 1> (a, b, s) }",
     .rtol = 1e-6, .low = 0, .high = 255, .why = "an odd number of weights; float result"},
    {"g (float[3,5] a, uint8[53] b, float[7] s) => (y) { y = com.microsoft.MatMulBnb4 <K = 21, N = 5, "
     "block_size = 16, "
     "quant_type = 0, transB = 0> (a, b, s) }",
     .rtol = 1e-6, .low = 0, .high = 255},
    {NULL},
};

const struct sumi_op sumi_op_ms_matmul_bnb4 = {
    .name = "com.microsoft.MatMulBnb4",
    .formula = "a * w^T, w = table[q] * absmax, q of 4 bits in blocks",
    .known_as = {{"com.microsoft", "MatMulBnb4", {1}}},
    .attrs = bnb_attrs,
    .in = bnb_in,
    .out = out,
    .infer = bnb_infer,
    .ref = bnb_ref,
    .scratch = bnb_scratch,
    .cost = nbits_cost,
    .cases = bnb_cases,
};

const struct sumi_op sumi_op_ms_matmul_nbits = {
    .name = "com.microsoft.MatMulNBits",
    .formula = "a * (q - zero) scale + bias, q of 2, 4 or 8 bits in blocks along k",
    .known_as = {{"com.microsoft", "MatMulNBits", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = nbits_infer,
    .ref = nbits_ref,
    .lower = nbits_lower,
    .scratch = nbits_scratch,
    .cost = nbits_cost,
    .cases = cases,
};
