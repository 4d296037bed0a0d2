/* BatchNormalization: y = (x - mean) / sqrt(var + epsilon) * scale + b, per channel (dimension 1; a vector has one channel).
 * Not training, mean and var are inputs 3 and 4. Training, they are taken over everything but the channels (population
 * variance), and outputs 1 and 2 are the running ones: running * momentum + current * (1 - momentum).
 * Training is: before version 7 when is_test is 0 and running outputs are asked for, before 14 when they are asked for, then
 * attribute training_mode. Before version 9, spatial = 0 makes every [c, d1, ...] a channel of its own.
 * Figures per channel are in double precision, y is rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/batch_norm.h"
#include "op/by_item.h"
#include "op/grad.h"
#include "op/norm_lower.h"
#include "op/op_util.h"
#include "op/rows_cells.h"

bool sumi_batch_norm_trains(const struct sumi_node *node) {
  if (node->version >= 14) return sumi_attr_int(node, "training_mode", 0) != 0;
  if (node->version < 7 && sumi_attr_int(node, "is_test", 0)) return false;
  for (int i = 1; i < node->n_out; i++)
    if (node->out[i]) return true;
  return false;
}

static bool per_element(const struct sumi_node *node) {
  return node->version < 9 && !sumi_attr_int(node, "spatial", 1);
}

/* Input i, where it is such a constant; NULL = it is not. */
static const float *fixed_input(const struct sumi_node *node, int i, int64_t channels) {
  const struct sumi_tensor *t = sumi_op_weight(node, i);
  return t && t->dtype == SUMI_FLOAT32 && sumi_tensor_count(t) == channels ? t->data : NULL;
}

bool sumi_batch_norm_fixed(const struct sumi_node *node, int64_t channels, struct sumi_batch_norm *out) {
  if (!sumi_streq(node->op->name, "BatchNormalization") || sumi_batch_norm_trains(node) ||
      per_element(node) || node->n_in != 5 || !node->in[0] || !node->out[0])
    return false;
  for (int i = 1; i < node->n_out; i++)
    if (node->out[i]) return false;
  *out = (struct sumi_batch_norm){.scale = fixed_input(node, 1, channels),
                                  .bias = fixed_input(node, 2, channels),
                                  .mean = fixed_input(node, 3, channels),
                                  .var = fixed_input(node, 4, channels),
                                  .epsilon = sumi_attr_float(node, "epsilon", 1e-5f)};
  return out->scale && out->bias && out->mean && out->var;
}

static sumi_status batch_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  if (x->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input is a scalar");
  const bool spread = per_element(ctx->node);
  const sumi_dim one = 1, *channel = x->rank == 1 ? &one : x->dim + 1;
  const int rank = spread ? x->rank - 1 : 1;
  for (int i = 1; i < 5 && x->rank > 0; i++) {
    const struct sumi_info *p = &ctx->in[i];
    if (p->rank < 0) continue;
    if (p->rank != rank) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not %d", i, p->rank, rank);
    for (int k = 0; k < rank; k++)
      if (p->dim[k] >= 0 && channel[k] >= 0 && p->dim[k] != channel[k])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has %" PRId64 " elements for %" PRId64 " channels", i,
                  p->dim[k], channel[k]);
  }
  if (ctx->node->version >= 14 && !sumi_batch_norm_trains(ctx->node) && ctx->n_out > 1 && !ctx->out[1].absent)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "running mean and variance are wanted, but training_mode is 0");
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  for (int i = 1; i < 5; i++) {
    if (x->rank > 0)
      sumi_infer_out(ctx, i, ctx->in[3].dtype, rank, channel);
    else
      sumi_infer_out_unknown(ctx, i, ctx->in[3].dtype);
  }
  return SUMI_OK;
}

struct batch {
  const struct sumi_tensor *x;
  int64_t n, channels, pixels; /* x is [n, channels, pixels] */
};

/* Mean and population variance of channel c. */
static void statistics(const struct batch *b, int64_t c, double *mean, double *var) {
  double sum = 0, square = 0;
  const double count = (double)b->n * (double)b->pixels;
  for (int64_t n = 0; b->pixels && n < b->n; n++)
    for (int64_t i = 0; i < b->pixels; i++)
      sum += sumi_get_f64(b->x->dtype, b->x->data, (n * b->channels + c) * b->pixels + i);
  *mean = sum / count;
  for (int64_t n = 0; b->pixels && n < b->n; n++)
    for (int64_t i = 0; i < b->pixels; i++) {
      const double d = sumi_get_f64(b->x->dtype, b->x->data, (n * b->channels + c) * b->pixels + i) - *mean;
      square += d * d;
    }
  *var = square / count;
}

static void put(const struct sumi_call *c, int i, int64_t at, double value) {
  if (sumi_call_wants(c, i)) sumi_set_f64(c->out[i]->dtype, c->out[i]->data, at, value);
}

static double get(const struct sumi_call *c, int i, int64_t at) {
  return sumi_get_f64(c->in[i]->dtype, c->in[i]->data, at);
}

/* y[n, c, :] = (x - mean) * factor + shift */
static void normalise(const struct batch *b, const struct sumi_tensor *y, int64_t c, double mean,
                      double factor, double shift) {
  for (int64_t n = 0; b->pixels && n < b->n; n++) {
    const int64_t first = (n * b->channels + c) * b->pixels;
    if (b->x->dtype == SUMI_FLOAT32) {
      const float *from = (const float *)b->x->data + first;
      float *to = (float *)y->data + first;
      for (int64_t i = 0; i < b->pixels; i++) to[i] = (float)((from[i] - mean) * factor + shift);
    } else {
      for (int64_t i = first; i < first + b->pixels; i++)
        sumi_set_f64(y->dtype, y->data, i,
                     (sumi_get_f64(b->x->dtype, b->x->data, i) - mean) * factor + shift);
    }
  }
}

static sumi_status batch_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const bool train = sumi_batch_norm_trains(c->node);
  const double epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f),
               momentum = sumi_attr_float(c->node, "momentum", 0.9f);
  struct batch b = {x, x->dim[0], 1, 1};
  if (x->rank > 1) b.channels = per_element(c->node) ? sumi_dims_count(x->dim, 1, x->rank) : x->dim[1];
  if (x->rank > 1 && !per_element(c->node)) b.pixels = sumi_dims_count(x->dim, 2, x->rank);
  for (int64_t k = 0; k < b.channels; k++) {
    double mean = get(c, 3, k), var = get(c, 4, k);
    if (train) {
      const double old_mean = mean, old_var = var;
      statistics(&b, k, &mean, &var);
      put(c, 1, k, old_mean * momentum + mean * (1 - momentum));
      put(c, 2, k, old_var * momentum + var * (1 - momentum));
      put(c, 3, k, mean);
      put(c, 4, k, var);
    }
    if (sumi_call_wants(c, 0))
      normalise(&b, c->out[0], k, mean, get(c, 1, k) / sqrt(var + epsilon), get(c, 2, k));
  }
  return SUMI_OK;
}

/* The figures of every channel beside each other: mean, factor, shift; operand -1 (out of memory). */
static struct sumi_seen figures(struct sumi_cells *c, const struct sumi_seen *channels) {
  const struct sumi_call call = sumi_cells_call(c);
  const double epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f);
  const int64_t n = sumi_tensor_count(c->in[1]), all = 3 * n;
  struct sumi_seen s = *channels;
  float *data = SUMI_NEW_ARRAY(c->arena, (size_t)all, float);
  s.operand = data ? sumi_cells_constant(c, SUMI_FLOAT32, 1, &all, data) : -1;
  for (int64_t k = 0; data && k < n; k++) {
    data[3 * k] = (float)get(&call, 3, k);
    data[3 * k + 1] = (float)(get(&call, 1, k) / sqrt(get(&call, 4, k) + epsilon));
    data[3 * k + 2] = (float)get(&call, 2, k);
  }
  for (int i = 0; i < s.rank; i++) s.step[i] *= 3;
  return s;
}

/* factor = scale / sqrt(var + epsilon) */
static sumi_status factor_cell(struct sumi_cells *c, const struct sumi_seen *to) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over(&p, 1, 0);
  const int scale = sumi_vector_load(&p, sumi_vector_view(&p, 1)),
            var = sumi_vector_load(&p, sumi_vector_view(&p, 4)),
            epsilon = sumi_vector_float(&p, sumi_attr_float(c->node, "epsilon", 1e-5f));
  sumi_vector_store(&p, sumi_vector_see(&p, to), SUMI_VECTOR(&p, "a / sqrtf(b + c)", scale, var, epsilon));
  return sumi_vector_end(&p);
}

static sumi_status batch_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0), rank = c->in[0]->rank, first = SUMI_MIN(1, rank - 1);
  if (sumi_batch_norm_trains(c->node)) return sumi_cells_refuse(c, "it is training");
  sumi_cells_same_form(c, y, 0);
  struct sumi_seen part[5]; /* x and the others along the channels */
  for (int i = 0; i < 5; i++) part[i] = sumi_see_broadcast(c, i, rank, i ? first : 0);
  const bool constant = c->in[1]->data && c->in[2]->data && c->in[3]->data && c->in[4]->data && rank > 1;
  const struct sumi_seen own = sumi_see(c, 1),
                         all = constant ? figures(c, &part[1]) : (struct sumi_seen){.operand = -1},
                         factor = constant ? all : sumi_seen_temp(c, SUMI_FLOAT32, &own, 0, 0, 1);
  if (factor.operand < 0) return SUMI_E_MEMORY;
  if (!constant) SUMI_TRY(factor_cell(c, &factor));
  const struct sumi_seen t = constant ? sumi_see(c, y) : sumi_seen_temp(c, SUMI_FLOAT32, &part[0], 0, 0, 1),
                         to = sumi_see(c, y);
  if (t.operand < 0) return SUMI_E_MEMORY;
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &part[0], 0);
  const int x = sumi_vector_load(&p, sumi_vector_see(&p, &part[0]));
  if (constant) {
    const int view = sumi_vector_see(&p, &all);
    const int mean = sumi_vector_load_at(&p, view, 0), by = sumi_vector_load_at(&p, view, 1),
              shift = sumi_vector_load_at(&p, view, 2);
    sumi_vector_store(&p, sumi_vector_see(&p, &t), SUMI_VECTOR(&p, "(a - b) * c + d", x, mean, by, shift));
    return sumi_vector_end(&p);
  }
  struct sumi_seen spread = part[1]; /* factor along the channels */
  spread.operand = factor.operand;
  int64_t step = 1;
  for (int i = rank - 1; i >= 0; i--)
    if (spread.dim[i] != 1) spread.step[i] = step, step *= spread.dim[i];
  const int mean = sumi_vector_load(&p, sumi_vector_see(&p, &part[3])),
            by = sumi_vector_load(&p, sumi_vector_see(&p, &spread));
  sumi_vector_store(&p, sumi_vector_see(&p, &t), SUMI_VECTOR(&p, "(a - b) * c", x, mean, by));
  SUMI_TRY(sumi_vector_end(&p));
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &t, 0);
  const int v = sumi_vector_load(&p, sumi_vector_see(&p, &t)),
            shift = sumi_vector_load(&p, sumi_vector_see(&p, &part[2]));
  sumi_vector_store(&p, sumi_vector_see(&p, &to), SUMI_VECTOR(&p, "a + b", v, shift));
  return sumi_vector_end(&p);
}

static const struct sumi_attr_spec attrs[] = {
    {"epsilon", SUMI_ATTR_FLOAT},
    {"momentum", SUMI_ATTR_FLOAT},
    {"training_mode", SUMI_ATTR_INT},
    {"spatial", SUMI_ATTR_INT, .until = 9},
    {"is_test", SUMI_ATTR_INT, .until = 7},
    {"consumed_inputs", SUMI_ATTR_INTS, .until = 6},
    {NULL},
};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'},         {"scale", SUMI_FLOATS, 'S'},
                                      {"B", SUMI_FLOATS, 'S'},         {"input_mean", SUMI_FLOATS, 'U'},
                                      {"input_var", SUMI_FLOATS, 'U'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'},
                                       {"running_mean", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                       {"running_var", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                       {"saved_mean", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                       {"saved_var", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                       {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,4,5] x, float[3] s, float[3] b, float[3] m, float[3] v) => (y) { y = BatchNormalization "
     "(x, s, b, m, v) }",
     .rtol = 1e-6, .low = 0.1, .high = 2, .why = "a variance is positive"},
    {"g (float[2,3] x, float[3] s, float[3] b, float[3] m, float[3] v) => (y) "
     "{ y = BatchNormalization <epsilon = 0.1> (x, s, b, m, v) }",
     .rtol = 1e-6, .low = 0.1, .high = 2},
    {"g (float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v) => (y, rm, rv) "
     "{ y, rm, rv = BatchNormalization <training_mode = 1, momentum = 0.7> (x, s, b, m, v) }",
     .rtol = 1e-5, .low = 0.1, .high = 2, .why = "statistics of 8 elements in float32"},
    {"<opset_import: [\"\": 7]> g (float[2,3,4] x, float[3,4] s, float[3,4] b, float[3,4] m, float[3,4] v) "
     "=> (y) "
     "{ y = BatchNormalization <spatial = 0> (x, s, b, m, v) }",
     .rtol = 1e-6, .low = 0.1, .high = 2},
    {NULL},
};

static bool batch_norm_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_first(c, carries) && !sumi_attr_int(c->node, "training_mode", 0) && c->n_out == 1;
}

const struct sumi_op sumi_op_batch_normalization = {
    .name = "BatchNormalization",
    .formula = "(x - mean) / sqrt(var + epsilon) * scale + b per channel",
    .known_as = {{"", "BatchNormalization", {1, 6, 7, 9, 14, 15}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = batch_infer,
    .by_item = batch_norm_by_item,
    .ref = batch_ref,
    .cells = batch_cells,
    .lower = sumi_batch_norm_lower,
    .grad = sumi_batch_norm_grad,
    .cases = cases,
};
