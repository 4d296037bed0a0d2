/* LRN: y[n, c, i] = x[n, c, i] / (bias + alpha / size * sum of x[n, k, i]^2)^beta over the channels k from
 * c - floor((size - 1) / 2) to c + ceil((size - 1) / 2) that exist. In double precision, rounded once. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernel/eltwise/eltwise.h"
#include "op/call_lower.h"
#include "op/move_cells.h"
#include "op/op_util.h"
#include "op/rows_cells.h"
#include "op/spmm_lower.h"

static sumi_status lrn_infer(struct sumi_infer *ctx) {
  const int64_t size = sumi_attr_int(ctx->node, "size", 0);
  if (size < 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "size is %" PRId64, size);
  if (ctx->in[0].rank >= 0 && ctx->in[0].rank < 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 2 is needed", ctx->in[0].rank);
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status lrn_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t size = sumi_attr_int(c->node, "size", 1), channels = x->dim[1];
  const int64_t pixels = sumi_dims_count(x->dim, 2, x->rank);
  const int64_t before = SUMI_MIN((size - 1) / 2, channels), after = SUMI_MIN(size / 2, channels);
  const double alpha = sumi_attr_float(c->node, "alpha", 1e-4f) / (double)size,
               beta = sumi_attr_float(c->node, "beta", 0.75f);
  const double bias = sumi_attr_float(c->node, "bias", 1);
  for (int64_t nc = 0; pixels && nc < x->dim[0] * channels; nc++) {
    const int64_t channel = nc % channels, low = SUMI_MAX(channel - before, 0),
                  high = SUMI_MIN(channel + after, channels - 1);
    for (int64_t i = 0; i < pixels; i++) {
      double square = 0;
      for (int64_t k = low; k <= high; k++) {
        const double value = sumi_get_f64(x->dtype, x->data, (nc - channel + k) * pixels + i);
        square += value * value;
      }
      sumi_set_f64(y->dtype, y->data, nc * pixels + i,
                   sumi_get_f64(x->dtype, x->data, nc * pixels + i) / pow(bias + alpha * square, beta));
    }
  }
  return SUMI_OK;
}

/* ---- cells: squares with zeros beside the channels, then the sum over a window of them ------------------------------- */

enum { MOST_TAPS = 64 };

/* The formula of s^-beta; NULL: the card has no operation for it. */
static const char *power(float beta) {
  static const struct {
    float beta;
    const char *formula;
  } rows[] = {{0.25f, "1 / sqrtf(sqrtf(a))"},
              {0.5f, "1 / sqrtf(a)"},
              {0.75f, "1 / (sqrtf(a) * sqrtf(sqrtf(a)))"},
              {1, "1 / a"}};
  for (size_t i = 0; i < SUMI_COUNT(rows); i++)
    if (rows[i].beta == beta) return rows[i].formula;
  return NULL;
}

/* The operand [.., channels + more, ..] in x's form that holds squares behind `before` zeros and before others. */
static sumi_status squares(struct sumi_cells *c, int64_t before, int64_t more, int *out) {
  const struct sumi_seen x = sumi_see(c, 0);
  struct sumi_cell_operand o = c->operand[0];
  o.dim[1] += more;
  *out = sumi_cells_temp(c, SUMI_FLOAT32, o.rank, o.dim);
  if (*out >= 0 && sumi_cells_inner(c, 0) == 1) *out = sumi_cells_neighbours(c, *out, 1);
  if (*out < 0) return SUMI_E_MEMORY;
  struct sumi_seen to = sumi_see(c, *out);
  const int64_t step = to.step[1], channels = x.dim[1], edge[] = {before, more - before};
  for (int i = 0; i < 2; i++) {
    int64_t dim[SUMI_MAX_RANK];
    if (!edge[i]) continue;
    for (int d = 0; d < to.rank; d++) dim[d] = d == 1 ? edge[i] : to.dim[d];
    const struct sumi_box box = sumi_box_make(to.rank, dim, to.step, to.step);
    SUMI_TRY(sumi_box_cell(c, &box, *out, i * (before + channels) * step, -1, 0, 0));
  }
  to.dim[1] = channels;
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &x, 0);
  const int v = sumi_vector_load(&p, sumi_vector_see(&p, &x)), view = sumi_vector_see(&p, &to);
  sumi_vector_store_at(&p, view, before * step, SUMI_VECTOR(&p, "a * a", v));
  return sumi_vector_end(&p);
}

static sumi_status lrn_cells(struct sumi_cells *c) {
  const int64_t size = sumi_attr_int(c->node, "size", 1);
  const char *formula = power(sumi_attr_float(c->node, "beta", 0.75f));
  if (!sumi_tensor_count(c->in[0])) return sumi_cells_refuse(c, "an empty tensor");
  if (!formula) return sumi_cells_refuse(c, "a power that no roots make");
  if (size > MOST_TAPS) return sumi_cells_refuse(c, "a window of %" PRId64 " channels", size);
  const int y = sumi_cells_out(c, 0);
  int window;
  sumi_cells_same_form(c, y, 0);
  SUMI_TRY(squares(c, (size - 1) / 2, size - 1, &window));
  const struct sumi_seen x = sumi_see(c, 0), to = sumi_see(c, y);
  struct sumi_seen from = sumi_see(c, window);
  const int64_t step = from.step[1];
  from.dim[1] = x.dim[1];
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &x, 0);
  const int view = sumi_vector_see(&p, &from);
  int sum = sumi_vector_load_at(&p, view, 0);
  for (int64_t k = 1; k < size; k++)
    sum = SUMI_VECTOR(&p, "a + b", sum, sumi_vector_load_at(&p, view, k * step));
  const int s = SUMI_VECTOR(&p, "b + c * a", sum, sumi_vector_float(&p, sumi_attr_float(c->node, "bias", 1)),
                            sumi_vector_float(&p, sumi_attr_float(c->node, "alpha", 1e-4f) / (float)size));
  const int scale = SUMI_VECTOR(&p, formula, s), v = sumi_vector_load(&p, sumi_vector_see(&p, &x));
  sumi_vector_store(&p, sumi_vector_see(&p, &to), SUMI_VECTOR(&p, "a * b", v, scale));
  return sumi_vector_end(&p);
}

/* ---- with kernels ------------------------------------------------------------------------------------------------ */

/* A task takes so many pixels of all channels, whose squares stay in the cache. */
struct lrn {
  const struct sumi_eltwise_kernel *kernel;
  int64_t pixels, tile, worker_words; /* of an image, of a task, of a worker's scratch */
  int64_t before, after;              /* channels of the window */
  float alpha, beta, bias;            /* alpha / size */
};

struct lrn_run {
  const struct lrn *p;
  const struct sumi_call *call;
  float *scratch;
};

/* y[i] = base[i]^exponent for exponents above 0; y is base. */
static void raise(const struct sumi_eltwise_kernel *k, float exponent, float *base, float *spare, int64_t n) {
  if (exponent == 0.75f) { /* what networks have: sqrt(x) * sqrt(sqrt(x)) */
    k->unary[SUMI_UNARY_sqrt](base, base, n, NULL);
    k->unary[SUMI_UNARY_sqrt](base, spare, n, NULL);
    k->binary[SUMI_BINARY_mul](base, 1, spare, 1, base, n);
  } else if (exponent == 0.5f) {
    k->unary[SUMI_UNARY_sqrt](base, base, n, NULL);
  } else if (exponent != 1) {
    const float figures[] = {exponent, 0};
    k->unary[SUMI_UNARY_log](base, base, n, NULL);
    k->unary[SUMI_UNARY_affine](base, base, n, figures);
    k->unary[SUMI_UNARY_exp](base, base, n, NULL);
  }
}

static void run_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct lrn_run *r = user;
  const struct lrn *p = r->p;
  const int64_t channels = r->call->in[0]->dim[1], tiles = (p->pixels + p->tile - 1) / p->tile;
  float *square = r->scratch + worker * p->worker_words, *sum = square + channels * p->tile,
        *spare = sum + p->tile;
  const float figures[] = {p->alpha, p->bias};
  for (int64_t task = begin; task < end; task++) {
    const int64_t first = task / tiles * channels * p->pixels + task % tiles * p->tile,
                  n = SUMI_MIN(p->pixels - task % tiles * p->tile, p->tile);
    const float *x = (const float *)r->call->in[0]->data + first;
    float *y = (float *)r->call->out[0]->data + first;
    for (int64_t c = 0; c < channels; c++)
      p->kernel->binary[SUMI_BINARY_mul](x + c * p->pixels, 1, x + c * p->pixels, 1, square + c * p->tile, n);
    for (int64_t c = 0; c < channels; c++) {
      const int64_t low = SUMI_MAX(c - p->before, 0), high = SUMI_MIN(c + p->after, channels - 1);
      memcpy(sum, square + low * p->tile, (size_t)n * sizeof *sum);
      for (int64_t k = low + 1; k <= high; k++)
        p->kernel->binary[SUMI_BINARY_add](sum, 1, square + k * p->tile, 1, sum, n);
      p->kernel->unary[SUMI_UNARY_affine](sum, sum, n, figures);
      raise(p->kernel, p->beta, sum, spare, n);
      p->kernel->binary[SUMI_BINARY_div](x + c * p->pixels, 1, sum, 1, y + c * p->pixels, n);
    }
  }
}

static sumi_status run_lrn(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct lrn_run r = {tools->user, c, tools->scratch};
  sumi_par_for(tools->par, c->in[0]->dim[0] * ((r.p->pixels + r.p->tile - 1) / r.p->tile), 1, run_tiles, &r);
  return SUMI_OK;
}

static sumi_status lrn_lower(struct sumi_lower *l) {
  enum { NEAR_WORDS = 1 << 16, LEAST = 16, MOST = 1024 };
  const struct sumi_tensor *x = l->in[0];
  struct lrn *p = SUMI_NEW(l->arena, struct lrn);
  if (!p) SUMI_FAIL_MEMORY(l->err);
  const int64_t size = sumi_attr_int(l->node, "size", 1);
  *p = (struct lrn){.kernel = sumi_eltwise_pick(l->isa),
                    .pixels = sumi_dims_count(x->dim, 2, x->rank),
                    .before = SUMI_MIN((size - 1) / 2, x->dim[1]),
                    .after = SUMI_MIN(size / 2, x->dim[1]),
                    .alpha = sumi_attr_float(l->node, "alpha", 1e-4f) / (float)size,
                    .beta = sumi_attr_float(l->node, "beta", 0.75f),
                    .bias = sumi_attr_float(l->node, "bias", 1)};
  if (!sumi_lower_is_f32(x) || !sumi_tensor_count(x) || !(p->beta > 0)) {
    sumi_lower_refuse(l, p->kernel->name, "not float32, an empty tensor, or a beta of %g", (double)p->beta);
    return SUMI_E_UNSUPPORTED;
  }
  p->tile = SUMI_MIN(SUMI_MAX(NEAR_WORDS / x->dim[1] / LEAST * LEAST, LEAST), MOST);
  size_t bytes;
  if (!sumi_i64_mul(x->dim[1] + 2, p->tile, &p->worker_words) || p->worker_words > INT32_MAX ||
      !sumi_size_mul((size_t)p->worker_words * sizeof(float), (size_t)l->threads, &bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "%" PRId64 " channels are too many", x->dim[1]);
  return sumi_call_lower(l, run_lrn, p, bytes, -1, p->kernel->name);
}

static const struct sumi_attr_spec attrs[] = {{"size", SUMI_ATTR_INT, true},
                                              {"alpha", SUMI_ATTR_FLOAT},
                                              {"beta", SUMI_ATTR_FLOAT},
                                              {"bias", SUMI_ATTR_FLOAT},
                                              {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,7,3,2] x) => (y) { y = LRN <size = 5, alpha = 0.5, beta = 0.6, bias = 2.0> (x) }",
     .rtol = 1e-6},
    {"g (float[2,7,3] x) => (y) { y = LRN <size = 4> (x) }", .rtol = 1e-6,
     .why = "one more channel after than before"},
    {"g (float[1,20,3,5] x) => (y) { y = LRN <size = 3, alpha = 0.5, beta = 0.5> (x) }", .rtol = 1e-6},
    {"g (float[1,2,9] x) => (y) { y = LRN <size = 7, alpha = 2.0, bias = 0.5, beta = 1.0> (x) }",
     .rtol = 1e-6, .why = "a window wider than the channels"},
    {"g (float[1,70,40,41] x) => (y) { y = LRN <size = 5, alpha = 0.1, beta = 0.5> (x) }", .rtol = 1e-6,
     .why = "more pixels than a tile"},
    {NULL},
};

const struct sumi_op sumi_op_lrn = {
    .name = "LRN",
    .formula = "x / (bias + alpha / size * sum of neighbouring channels' squares)^beta",
    .known_as = {{"", "LRN", {1, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = lrn_infer,
    .ref = lrn_ref,
    .cells = lrn_cells,
    .lower = lrn_lower,
    .cases = cases,
};
