/* Lowering: random convolutions, matrix products, pools, reductions, norms, recurrences, interpolations and samples with constant
 * weights, dense and sparse, on device cpu and audit at every instruction-set level and with several threads, against the
 * reference device.
 *   lowering [--seed N] [--count N] [--verbose]      one line a failure; exit 1 on any */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/size.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

struct maker {
  struct sumi_random random;
  struct sumi_graph *g;
  char what[600];
  double tolerance; /* of the output's largest magnitude */
};

static int pick(struct maker *m, int low, int high) {
  return low + (int)(sumi_random_u64(&m->random) % (uint64_t)(high - low + 1));
}

static void describe(struct maker *m, const char *format, ...) SUMI_PRINTF(2, 3);
static void describe(struct maker *m, const char *format, ...) {
  const size_t n = strlen(m->what);
  va_list args;
  va_start(args, format);
  vsnprintf(m->what + n, sizeof m->what - n, format, args);
  va_end(args);
}

static struct sumi_tensor header(int rank, const int64_t *dim) {
  struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = rank};
  for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
  return t;
}

static struct sumi_value *input(struct maker *m, int rank, const int64_t *dim) {
  struct sumi_info info = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = rank};
  describe(m, " [");
  for (int i = 0; i < rank; i++) {
    info.dim[i] = dim[i];
    describe(m, "%s%" PRId64, i ? "," : "", dim[i]);
  }
  describe(m, "]");
  return sumi_graph_add_input(m->g, NULL, &info);
}

/* Random weights of which the given share is kept, in groups of `together` rows. */
static struct sumi_value *constant(struct maker *m, int rank, const int64_t *dim, double density,
                                   int together) {
  struct sumi_tensor t = header(rank, dim);
  const int64_t n = sumi_tensor_count(&t), each = rank && dim[0] ? n / dim[0] : 1;
  struct sumi_blob *blob = sumi_blob_new(sumi_allocator_default(), (size_t)(n ? n : 1) * sizeof(float));
  float *data = sumi_blob_bytes(blob);
  for (int64_t i = 0; i < n; i++) {
    const int64_t row = i / each / together * together;
    const bool keep = density >= 1 || (double)(((uint64_t)(row * 7919 + i % each) * 2654435761u >> 7) %
                                               1000) < density * 1000;
    data[i] = keep ? (float)sumi_random_normal(&m->random) : 0;
  }
  t.data = data;
  return sumi_graph_add_constant(m->g, NULL, &t, blob);
}

static struct sumi_node *finish(struct maker *m, const struct sumi_op *op, int version,
                                struct sumi_value **in, int n_in) {
  struct sumi_value *out = sumi_graph_add_value(m->g, "y");
  struct sumi_node *node = sumi_graph_add_node(m->g, "node", op, op->name, version, in, n_in, &out, 1);
  sumi_graph_add_output(m->g, out);
  return node;
}

static double random_density(struct maker *m) { return pick(m, 0, 1) ? 1 : pick(m, 0, 1) ? 0.25 : 0.04; }

static void make_conv(struct maker *m) {
  const int n = pick(m, 0, 5) ? 2 : pick(m, 1, 3);
  const bool halved = n == 2 && !pick(m, 0, 3); /* both strides 2, and rows enough for windows */
  const int group = pick(m, 0, 2) ? 1 : pick(m, 1, 4), depthwise = !halved && pick(m, 0, 3) == 0;
  const int64_t rows = halved || !pick(m, 0, 5) ? pick(m, 90, 160) : pick(m, 1, 20);
  const int64_t c_group = depthwise ? 1 : pick(m, 1, 9), m_group = depthwise ? pick(m, 1, 2) : rows;
  int64_t x[5] = {pick(m, 1, 2), c_group * group}, w[5] = {m_group * group, c_group}, bias[1] = {w[0]};
  int64_t strides[3], dilations[3], pads[6];
  const bool point = pick(m, 0, 3) == 0;
  m->what[0] = 0;
  describe(m, "Conv, group %d,", group);
  for (int i = 0; i < n; i++) {
    w[2 + i] = point ? 1 : pick(m, 1, n == 3 ? 3 : 5);
    strides[i] = pick(m, 0, 1) ? 1 : pick(m, 1, 3);
    dilations[i] = pick(m, 0, 2) ? 1 : pick(m, 1, 3);
    pads[i] = pick(m, 0, 1) ? 0 : pick(m, 0, 3);
    pads[n + i] = pick(m, 0, 1) ? pads[i] : pick(m, 0, 3);
    const int64_t least = (w[2 + i] - 1) * dilations[i] + 1 - pads[i] - pads[n + i];
    x[2 + i] = SUMI_MAX(least, 1) + pick(m, 0, n == 3 ? 6 : pick(m, 0, 3) ? 12 : 60);
    describe(m, " stride %" PRId64 " dilation %" PRId64 " pads %" PRId64 " %" PRId64 ",", strides[i],
             dilations[i], pads[i], pads[n + i]);
  }
  if (halved) { /* some rows of whole eights */
    const int64_t out = pick(m, 0, 1) ? 8 * pick(m, 1, 8) : pick(m, 1, 30);
    strides[0] = strides[1] = 2;
    x[3] = SUMI_MAX(2 * out - 1 + (w[3] - 1) * dilations[1] - pads[1] - pads[3] + pick(m, 0, 1), 1);
    describe(m, " strides 2, width %" PRId64 ",", x[3]);
  }
  const double density = random_density(m);
  const int together = 1 << pick(m, 0, 3);
  struct sumi_value *in[4] = {input(m, n + 2, x), constant(m, n + 2, w, density, together), NULL, NULL};
  describe(m, ", weights [%" PRId64 ",%" PRId64 "", w[0], w[1]);
  for (int i = 0; i < n; i++) describe(m, ",%" PRId64, w[2 + i]);
  describe(m, "] density %g by %d", density, together);
  if (pick(m, 0, 1)) in[2] = constant(m, 1, bias, 1, 1);
  const int fused = pick(m, 0, 1), residual = fused && pick(m, 0, 1);
  if (residual) {
    int64_t y[5] = {x[0], w[0]};
    for (int i = 0; i < n; i++)
      y[2 + i] = (x[2 + i] + pads[i] + pads[n + i] - (w[2 + i] - 1) * dilations[i] - 1) / strides[i] + 1;
    describe(m, ", residual");
    in[3] = input(m, n + 2, y);
  }
  struct sumi_node *node =
      fused ? finish(m, &sumi_op_fused_conv, 1, in, residual ? 4 : 3) : finish(m, &sumi_op_conv, 11, in, 3);
  sumi_node_set_int(node, "group", group, NULL);
  sumi_node_set_ints(node, "strides", strides, (size_t)n, NULL);
  sumi_node_set_ints(node, "dilations", dilations, (size_t)n, NULL);
  sumi_node_set_ints(node, "pads", pads, 2 * (size_t)n, NULL);
  if (fused) {
    static const char *const names[] = {"",          "Relu",    "LeakyRelu", "Clip",
                                        "HardSwish", "Sigmoid", "Tanh",      "HardSigmoid"};
    static const float clip[] = {-0.5f, 1.5f};
    const char *name = names[pick(m, 0, 7)];
    describe(m, ", %s", name);
    sumi_node_set_string(node, "activation", name, NULL);
    if (!strcmp(name, "Clip")) sumi_node_set_floats(node, "activation_params", clip, 2, NULL);
  }
  /* up to 9 * 125 products summed in two orders; against 1 where sums of 100 are squashed or cut to it */
  const char *act = sumi_attr_string(node, "activation", "");
  m->tolerance = !strcmp(act, "Tanh") || !strcmp(act, "Clip") || strstr(act, "Sigmoid") ? 1e-4 : 1e-5;
}

static void make_conv_transpose(struct maker *m) {
  const int n = pick(m, 0, 3) ? 2 : 1, group = pick(m, 0, 1) ? 1 : pick(m, 1, 3);
  const int64_t c_group = pick(m, 1, 6), m_group = pick(m, 1, 12);
  int64_t x[4] = {pick(m, 1, 2), c_group * group}, w[4] = {x[1], m_group}, bias[1] = {m_group * group};
  int64_t strides[2], dilations[2], pads[4], more[2];
  m->what[0] = 0;
  describe(m, "ConvTranspose, group %d,", group);
  for (int i = 0; i < n; i++) {
    w[2 + i] = pick(m, 1, 5), strides[i] = pick(m, 1, 4), dilations[i] = pick(m, 0, 2) ? 1 : pick(m, 2, 3);
    x[2 + i] = pick(m, 1, pick(m, 0, 1) ? 6 : 30);
    more[i] = strides[i] > 1 ? pick(m, 0, (int)strides[i] - 1) : 0;
    const int64_t full = (x[2 + i] - 1) * strides[i] + (w[2 + i] - 1) * dilations[i] + 1 + more[i];
    const int64_t front = pick(m, 0, 3), behind = pick(m, 0, 3); /* something must be left */
    pads[i] = SUMI_MIN(front, full - 1);
    pads[n + i] = SUMI_MIN(behind, full - 1 - pads[i]);
    describe(m,
             " kernel %" PRId64 " stride %" PRId64 " dilation %" PRId64 " pads %" PRId64 " %" PRId64
             " more %" PRId64 ",",
             w[2 + i], strides[i], dilations[i], pads[i], pads[n + i], more[i]);
  }
  struct sumi_value *in[3] = {input(m, n + 2, x), constant(m, n + 2, w, 1, 1), NULL};
  describe(m, ", %" PRId64 " channels a group", m_group);
  if (pick(m, 0, 1)) in[2] = constant(m, 1, bias, 1, 1);
  struct sumi_node *node = finish(m, &sumi_op_conv_transpose, 11, in, 3);
  sumi_node_set_int(node, "group", group, NULL);
  sumi_node_set_ints(node, "strides", strides, (size_t)n, NULL);
  sumi_node_set_ints(node, "dilations", dilations, (size_t)n, NULL);
  sumi_node_set_ints(node, "pads", pads, 2 * (size_t)n, NULL);
  sumi_node_set_ints(node, "output_padding", more, (size_t)n, NULL);
  m->tolerance = 1e-5; /* up to 150 products in two orders */
}

static void make_deform_conv(struct maker *m) {
  const int group = pick(m, 1, 3), offsets = pick(m, 1, 2), masked = pick(m, 0, 1), fixed = pick(m, 0, 1);
  const int64_t c_group = 2 * pick(m, 1, 4), batch = pick(m, 1, 2);
  int64_t x[4] = {batch, c_group * group}, w[4] = {group * pick(m, 1, 12), c_group}, y[4] = {batch};
  int64_t strides[2], dilations[2], pads[4], bias[1] = {w[0]};
  m->what[0] = 0;
  describe(m, "DeformConv, group %d, offset group %d, x w offset mask:", group, offsets);
  for (int i = 0; i < 2; i++) {
    w[2 + i] = pick(m, 1, 3), strides[i] = pick(m, 1, 2), dilations[i] = pick(m, 1, 2);
    pads[i] = pick(m, 0, 2), pads[2 + i] = pick(m, 0, 2);
    const int64_t span = (w[2 + i] - 1) * dilations[i] + 1;
    x[2 + i] = span + pick(m, 0, pick(m, 0, 3) ? 9 : 60);
    y[2 + i] = (x[2 + i] + pads[i] + pads[2 + i] - span) / strides[i] + 1;
  }
  struct sumi_value *in[5] = {input(m, 4, x)};
  in[1] = fixed ? constant(m, 4, w, random_density(m), 1) : input(m, 4, w);
  y[1] = 2 * offsets * w[2] * w[3];
  in[2] = input(m, 4, y);
  if (pick(m, 0, 1)) in[3] = constant(m, 1, bias, 1, 1);
  y[1] /= 2;
  if (masked) in[4] = input(m, 4, y);
  struct sumi_node *node = finish(m, &sumi_op_deform_conv, 19, in, masked ? 5 : 4);
  sumi_node_set_int(node, "group", group, NULL);
  sumi_node_set_int(node, "offset_group", offsets, NULL);
  sumi_node_set_ints(node, "strides", strides, 2, NULL);
  sumi_node_set_ints(node, "dilations", dilations, 2, NULL);
  sumi_node_set_ints(node, "pads", pads, 4, NULL);
  m->tolerance = 1e-5; /* up to 72 sums of four products */
}

static void make_grid_sample(struct maker *m) {
  static const char *const modes[] = {"nearest", "linear", "cubic"};
  static const char *const paddings[] = {"zeros", "border", "reflection"};
  const int r = pick(m, 1, 3), align = pick(m, 0, 1);
  const char *mode = modes[pick(m, 0, 2)], *padding = paddings[pick(m, 0, 2)];
  int64_t x[5] = {pick(m, 1, 2), pick(m, 1, 5)}, grid[5] = {x[0]};
  for (int i = 0; i < r; i++) x[2 + i] = pick(m, 1, 12), grid[1 + i] = pick(m, 1, r == 1 ? 90 : 18);
  grid[1 + r] = r;
  m->what[0] = 0;
  describe(m, "GridSample %s %s align %d", mode, padding, align);
  struct sumi_value *in[2] = {input(m, 2 + r, x), input(m, 2 + r, grid)};
  struct sumi_node *node = finish(m, &sumi_op_grid_sample, 20, in, 2);
  sumi_node_set_string(node, "mode", mode, NULL);
  sumi_node_set_string(node, "padding_mode", padding, NULL);
  sumi_node_set_int(node, "align_corners", align, NULL);
  m->tolerance = 3e-6; /* up to 64 products in float32 */
}

static void make_matmul(struct maker *m) {
  const int batch = pick(m, 0, 2), b_batch = batch ? pick(m, 0, 1) : 0;
  const int64_t r = pick(m, 1, pick(m, 0, 1) ? 8 : 70), n = pick(m, 1, 70), k = pick(m, 1, 90);
  int64_t a[4] = {pick(m, 1, 3), pick(m, 1, 3)}, b[4] = {a[0], a[1]};
  for (int i = 0; i < batch; i++) {
    if (b_batch && pick(m, 0, 3) == 0) b[2 - batch + i] = 1;
    a[2 - batch + i] = a[i];
  }
  for (int i = 0; i < batch; i++) b[2 - batch + i] = pick(m, 0, 3) ? a[2 - batch + i] : 1;
  a[2] = r, a[3] = k, b[2] = k, b[3] = n;
  m->what[0] = 0;
  describe(m, "MatMul");
  const double density = random_density(m);
  struct sumi_value *in[2] = {input(m, 2 + batch, a + 2 - batch), NULL};
  const int rank_b = b_batch ? 2 + batch : 2;
  const bool fixed = pick(m, 0, 1);
  in[1] = fixed ? constant(m, rank_b, b + 4 - rank_b, density, 1) : input(m, rank_b, b + 4 - rank_b);
  if (fixed)
    describe(m, ", constant b [.., %" PRId64 ",%" PRId64 "] of rank %d, density %g", k, n, rank_b, density);
  finish(m, &sumi_op_matmul, 13, in, 2);
  m->tolerance = 1e-5; /* up to 90 products in two orders */
}

static void make_gemm(struct maker *m) {
  const int64_t r = pick(m, 1, pick(m, 0, 1) ? 4 : 60), n = pick(m, 1, 60), k = pick(m, 1, 80);
  const int ta = pick(m, 0, 1), tb = pick(m, 0, 1), form = pick(m, 0, 6), fused = pick(m, 0, 1);
  const int64_t a[2] = {ta ? k : r, ta ? r : k}, b[2] = {tb ? n : k, tb ? k : n};
  m->what[0] = 0;
  describe(m, "Gemm transA %d transB %d C form %d", ta, tb, form);
  const double density = random_density(m);
  struct sumi_value *in[3] = {input(m, 2, a), NULL, NULL};
  in[1] = pick(m, 0, 2) ? constant(m, 2, b, density, 1) : input(m, 2, b);
  describe(m, ", n %" PRId64 ", density %g", n, density);
  const int64_t c[6][2] = {{n}, {r, n}, {1, n}, {r, 1}, {1}, {1, 1}};
  const int rank[6] = {1, 2, 2, 2, 1, 2};
  if (form < 6)
    in[2] = pick(m, 0, 1) ? constant(m, rank[form], c[form], 1, 1) : input(m, rank[form], c[form]);
  struct sumi_node *node =
      finish(m, fused ? &sumi_op_fused_gemm : &sumi_op_gemm, fused ? 1 : 13, in, form < 6 ? 3 : 2);
  sumi_node_set_int(node, "transA", ta, NULL);
  sumi_node_set_int(node, "transB", tb, NULL);
  if (fused) sumi_node_set_string(node, "activation", pick(m, 0, 1) ? "Relu" : "Tanh", NULL);
  if (pick(m, 0, 3) == 0) sumi_node_set_float(node, "alpha", 0.5f, NULL);
  if (pick(m, 0, 3) == 0) sumi_node_set_float(node, "beta", 2, NULL);
  m->tolerance = 5e-5; /* up to 80 products in two orders, squashed to 1 by tanh */
}

static void make_pool(struct maker *m) {
  static const struct sumi_op *const ops[] = {&sumi_op_max_pool, &sumi_op_average_pool,
                                              &sumi_op_global_max_pool, &sumi_op_global_average_pool};
  const int which = pick(m, 0, 3), n = pick(m, 0, 3) ? 2 : 1;
  int64_t x[4] = {pick(m, 1, 2), pick(m, 1, 5)}, kernel[2], strides[2], dilations[2], pads[4];
  m->what[0] = 0;
  describe(m, "%s", ops[which]->name);
  for (int i = 0; i < n; i++) {
    kernel[i] = pick(m, 1, 4), strides[i] = pick(m, 1, 3), dilations[i] = pick(m, 0, 2) ? 1 : 2;
    pads[i] = pick(m, 0, (int)kernel[i] - 1), pads[n + i] = pick(m, 0, (int)kernel[i] - 1);
    x[2 + i] = (kernel[i] - 1) * dilations[i] + 1 + pick(m, 0, pick(m, 0, 3) ? 10 : 50);
    describe(m, " kernel %" PRId64 " stride %" PRId64 " dilation %" PRId64 " pads %" PRId64 " %" PRId64 ",",
             kernel[i], strides[i], dilations[i], pads[i], pads[n + i]);
  }
  struct sumi_value *in[1] = {input(m, n + 2, x)};
  struct sumi_node *node = finish(m, ops[which], which < 2 ? 19 : 1, in, 1);
  m->tolerance = 1e-6; /* sums of few numbers, against double precision */
  if (which > 1) return;
  sumi_node_set_ints(node, "kernel_shape", kernel, (size_t)n, NULL);
  sumi_node_set_ints(node, "strides", strides, (size_t)n, NULL);
  sumi_node_set_ints(node, "dilations", dilations, (size_t)n, NULL);
  sumi_node_set_ints(node, "pads", pads, 2 * (size_t)n, NULL);
  sumi_node_set_int(node, "ceil_mode", pick(m, 0, 1), NULL);
  if (which == 1) sumi_node_set_int(node, "count_include_pad", pick(m, 0, 1), NULL);
}

/* What pass fuse-conv joins: a residual or not, then an activation, a gate, or nothing; sometimes somebody else looks at
 * a value in between. */
static void make_chain(struct maker *m) {
  static const struct sumi_op *const gates[] = {&sumi_op_sigmoid, &sumi_op_hard_sigmoid};
  static const struct sumi_op *const acts[] = {&sumi_op_relu, &sumi_op_tanh, &sumi_op_leaky_relu,
                                               &sumi_op_gelu};
  static const int versions[] = {14, 13, 16, 20};
  const int64_t c = pick(m, 1, 9), x[4] = {1, c, pick(m, 3, 12), pick(m, 3, 12)}, w[4] = {c, c, 1, 1};
  const int residual = pick(m, 0, 1), kind = pick(m, 0, 2), which = pick(m, 0, kind == 1 ? 3 : 2),
            peek = pick(m, 0, 3) == 0;
  m->what[0] = 0;
  describe(m, "chain, residual %d, kind %d %d, seen from outside %d,", residual, kind, which, peek);
  struct sumi_value *in = input(m, 4, x), *t = sumi_graph_add_value(m->g, NULL), *u;
  sumi_graph_add_node(m->g, NULL, &sumi_op_conv, "Conv", 11,
                      (struct sumi_value *[]){in, constant(m, 4, w, 1, 1)}, 2, &t, 1);
  if (peek) sumi_graph_add_output(m->g, t);
  if (residual) {
    u = sumi_graph_add_value(m->g, NULL);
    sumi_graph_add_node(m->g, NULL, &sumi_op_add, "Add", 13, (struct sumi_value *[]){t, in}, 2, &u, 1);
    t = u;
  }
  if (kind == 1) {
    finish(m, acts[which], versions[which], &t, 1);
  } else if (kind == 2) {
    u = sumi_graph_add_value(m->g, NULL);
    const struct sumi_op *op = gates[which > 0];
    struct sumi_node *gate = sumi_graph_add_node(m->g, NULL, op, op->name, 13, &t, 1, &u, 1);
    if (which)
      sumi_node_set_float(gate, "alpha", which == 2 ? 0.2f : 1 / 6.f, NULL); /* HardSwish's, or not */
    finish(m, &sumi_op_mul, 13, pick(m, 0, 1) ? (struct sumi_value *[]){t, u} : (struct sumi_value *[]){u, t},
           2);
  } else {
    finish(m, &sumi_op_relu, 13, &t, 1);
  }
  m->tolerance = 1e-5;
}

/* What pass fuse-matmul joins: a vector or not, a function or not; sometimes somebody else looks at the product. */
static void make_linear(struct maker *m) {
  static const struct sumi_op *const acts[] = {&sumi_op_relu, &sumi_op_tanh, &sumi_op_leaky_relu,
                                               &sumi_op_gelu};
  static const int versions[] = {14, 13, 16, 20};
  const int64_t k = pick(m, 1, 80), n = pick(m, 1, 120), x[3] = {pick(m, 1, 3), pick(m, 1, 40), k},
                w[2] = {k, n};
  const int vector = pick(m, 0, 2), which = pick(m, vector ? 0 : 1, 4), peek = pick(m, 0, 3) == 0;
  m->what[0] = 0;
  describe(m, "linear, vector %d, function %d, seen from outside %d,", vector, which, peek);
  const double density = random_density(m);
  describe(m, " n %" PRId64 ", density %g", n, density);
  struct sumi_value *in = input(m, 3, x), *t = sumi_graph_add_value(m->g, NULL), *u;
  sumi_graph_add_node(m->g, NULL, &sumi_op_matmul, "MatMul", 13,
                      (struct sumi_value *[]){in, constant(m, 2, w, density, 1)}, 2, &t, 1);
  if (peek) sumi_graph_add_output(m->g, t);
  if (vector) {
    struct sumi_value *c = constant(m, 1, &n, 1, 1), *const both[] = {vector == 1 ? t : c,
                                                                      vector == 1 ? c : t};
    if (!which) {
      finish(m, &sumi_op_add, 14, (struct sumi_value *[]){both[0], both[1]}, 2);
    } else {
      u = sumi_graph_add_value(m->g, NULL);
      sumi_graph_add_node(m->g, NULL, &sumi_op_add, "Add", 14, both, 2, &u, 1);
      t = u;
    }
  }
  if (which) finish(m, acts[which - 1], versions[which - 1], &t, 1);
  m->tolerance = 5e-5; /* up to 80 products in two orders, squashed to 1 by tanh */
}

/* One to three dims of any size, some of them combined. */
static void make_reduce(struct maker *m) {
  static const struct sumi_op *const ops[] = {&sumi_op_reduce_sum, &sumi_op_reduce_mean, &sumi_op_reduce_max,
                                              &sumi_op_reduce_min, &sumi_op_reduce_l1,   &sumi_op_reduce_l2};
  const struct sumi_op *op = ops[pick(m, 0, 5)];
  const int first = pick(m, 0, 3), last = pick(m, first, 3);
  int64_t x[4], axes[4];
  for (int i = 0; i < 4; i++) x[i] = pick(m, 1, pick(m, 0, 3) ? 9 : 40), axes[i] = first + i;
  m->what[0] = 0;
  describe(m, "%s over axes %d to %d,", op->name, first, last);
  struct sumi_value *in[1] = {input(m, 4, x)};
  struct sumi_node *node = finish(m, op, 11, in, 1);
  sumi_node_set_ints(node, "axes", axes, (size_t)(last - first + 1), NULL);
  sumi_node_set_int(node, "keepdims", pick(m, 0, 1), NULL);
  m->tolerance = 1e-5; /* sums of up to 64,000 words in runs of 64 */
}

static void make_resize(struct maker *m) {
  static const char *const modes[] = {"nearest", "linear", "cubic"};
  static const char *const places[] = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"};
  const char *mode = modes[pick(m, 0, 2)], *place = places[pick(m, 0, 3)];
  int64_t x[4], four = 4;
  float scale[4];
  m->what[0] = 0;
  describe(m, "Resize %s %s,", mode, place);
  for (int i = 0; i < 4; i++) {
    x[i] = pick(m, 1, i == 3 ? 40 : 7);
    scale[i] = pick(m, 0, i < 2 ? 1 : 4) ? (float)pick(m, 1, 12) / 4 : 1;
    if ((float)x[i] * scale[i] < 1) scale[i] = 1;
    describe(m, " %g", (double)scale[i]);
  }
  struct sumi_tensor t = header(1, &four);
  struct sumi_blob *blob = sumi_blob_new(sumi_allocator_default(), sizeof scale);
  memcpy(sumi_blob_bytes(blob), scale, sizeof scale);
  t.data = (void *)blob->data;
  struct sumi_value *in[3] = {input(m, 4, x), NULL, sumi_graph_add_constant(m->g, NULL, &t, blob)};
  struct sumi_node *node = finish(m, &sumi_op_resize, 13, in, 3);
  sumi_node_set_string(node, "mode", mode, NULL);
  sumi_node_set_string(node, "coordinate_transformation_mode", place, NULL);
  m->tolerance = 2e-6; /* sums of four products along each of four axes */
}

static void make_norm(struct maker *m) {
  const int which = pick(m, 0, 2), n = pick(m, 0, 2);
  const int64_t groups = pick(m, 1, 4), c = groups * pick(m, 1, 5);
  const int64_t x[4] = {pick(m, 1, 3), c, pick(m, 1, 20), pick(m, 1, 20)};
  static const struct sumi_op *const ops[] = {&sumi_op_group_normalization, &sumi_op_instance_normalization,
                                              &sumi_op_batch_normalization};
  m->what[0] = 0;
  describe(m, "%s, %" PRId64 " groups,", ops[which]->name, groups);
  struct sumi_value *in[5] = {input(m, 2 + n, x)};
  for (int i = 1; i < (which == 2 ? 5 : 3); i++) in[i] = constant(m, 1, &c, 1, 1);
  if (which == 2) {
    float *variance = (float *)in[4]->constant->data;
    for (int64_t i = 0; i < c; i++) variance[i] = 0.5f + variance[i] * variance[i];
  }
  struct sumi_node *node = finish(m, ops[which], which ? 22 : 21, in, which == 2 ? 5 : 3);
  if (which == 0) sumi_node_set_int(node, "num_groups", groups, NULL);
  m->tolerance = 2e-5; /* words near their mean, divided by a small deviation */
}

static void make_rnn(struct maker *m) {
  static const struct {
    const struct sumi_op *op;
    int gates;
  } cells[] = {{&sumi_op_lstm, 4}, {&sumi_op_gru, 3}, {&sumi_op_rnn, 1}};
  static const char *const ways[] = {"forward", "reverse", "bidirectional"};
  const int which = pick(m, 0, 2), way = pick(m, 0, 2), dirs = way == 2 ? 2 : 1, fixed = pick(m, 0, 2);
  const int batch_first = pick(m, 0, 1), form = pick(m, 0, 3);
  const int64_t seq = pick(m, 1, fixed ? 7 : 2), batch = pick(m, 1, 10), k = pick(m, 1, 40),
                h = pick(m, 1, 40);
  const int64_t rows = cells[which].gates * h;
  const int64_t x[3] = {batch_first ? batch : seq, batch_first ? seq : batch, k}, w[3] = {dirs, rows, k},
                r[3] = {dirs, rows, h}, b[2] = {dirs, 2 * rows},
                s[3] = {batch_first ? batch : dirs, batch_first ? dirs : batch, h};
  m->what[0] = 0;
  describe(m, "%s %s, batch first %d, form %d,", cells[which].op->name, ways[way], batch_first, form);
  struct sumi_value *in[6] = {input(m, 3, x)};
  in[1] = fixed ? constant(m, 3, w, 1, 1) : input(m, 3, w);
  in[2] = fixed ? constant(m, 3, r, 1, 1) : input(m, 3, r);
  for (int64_t i = 0; fixed && i < dirs * rows * h;
       i++) /* where a cell does not stretch differences from step to step */
    ((float *)in[2]->constant->data)[i] /= 4;
  if (form & 1) in[3] = constant(m, 2, b, 1, 1);
  if (form & 2) in[5] = input(m, 3, s);
  struct sumi_node *node = finish(m, cells[which].op, 14, in, 6);
  sumi_node_set_string(node, "direction", ways[way], NULL);
  sumi_node_set_int(node, "layout", batch_first, NULL);
  if (which == 1) sumi_node_set_int(node, "linear_before_reset", pick(m, 0, 1), NULL);
  if (pick(m, 0, 3) == 0) sumi_node_set_float(node, "clip", 0.75f, NULL);
  m->tolerance = 2e-5; /* sums of 80 products, seven times one after the other */
}

static float *fill(struct maker *m, int64_t n) {
  float *data = calloc((size_t)n + 16, sizeof *data);
  for (int64_t i = 0; i < n; i++) data[i] = (float)sumi_random_normal(&m->random);
  return data;
}

struct given {
  struct sumi_view in[4];
  int64_t dims[4][SUMI_MAX_RANK];
  size_t n;
};

static sumi_status run(struct sumi_model *model, const char *device, const char *isa, int threads,
                       const struct given *given, struct sumi_session **session, struct sumi_view *y,
                       struct sumi_err *err) {
  const struct sumi_session_options o = {.size = sizeof o, .device = device, .isa = isa, .threads = threads};
  SUMI_TRY(sumi_session_init(model, &o, session, err));
  *y = (struct sumi_view){.size = sizeof *y, .name = "y"};
  return sumi_session_execute(*session, given->in, given->n, y, 1, err);
}

static int compare(const struct maker *m, const struct sumi_view *got, const struct sumi_view *want,
                   const char *device, const char *isa, int threads) {
  int64_t n = 1;
  double most = 0;
  for (int i = 0; i < want->rank; i++) n *= want->dims[i];
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)((const float *)want->data)[i]));
  for (int64_t i = 0; i < n; i++) {
    const double g = (double)((const float *)got->data)[i], w = (double)((const float *)want->data)[i];
    if (fabs(g - w) <= m->tolerance * fmax(most, 1))
      continue; /* inputs are of magnitude 1: means of them cancel */
    printf("FAIL on %s/%s x%d: element %" PRId64 " is %.9g, not %.9g\n  %s\n", device, isa, threads, i, g, w,
           m->what);
    return 1;
  }
  return 0;
}

/* Refusals must be the exception: counted by kernel name of the only step. */
static bool uses_kernel(struct sumi_session *s, const struct given *given) {
  struct sumi_stage *stage = NULL;
  if (sumi_session_plan(s, given->in, given->n, &stage, NULL) != SUMI_OK) return false;
  return stage->plan.n_step && strcmp(stage->plan.step[0].kernel, "ref") != 0;
}

static bool verbose; /* say what fell back to the reference */

static int check_one(struct maker *m, void (*make)(struct maker *), int *fast) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  struct sumi_session *ref = NULL;
  struct sumi_view want;
  static struct given given;
  m->g = sumi_graph_new(sumi_allocator_default(), "g");
  make(m);
  if (sumi_graph_tidy(m->g, &err) != SUMI_OK || sumi_graph_verify(m->g, &err) != SUMI_OK ||
      sumi_pass_infer(m->g, NULL, NULL, &err) != SUMI_OK ||
      sumi_model_new(sumi_allocator_default(), m->g, &model, &err) != SUMI_OK) {
    printf("FAIL: %s\n  %s\n", err.text, m->what);
    return 1;
  }
  given.n = model->graph->n_input;
  for (size_t i = 0; i < given.n; i++) {
    const struct sumi_info *info = &model->graph->input[i]->info;
    for (int k = 0; k < info->rank; k++) given.dims[i][k] = info->dim[k];
    given.in[i] = (struct sumi_view){.size = sizeof given.in[i],
                                     .name = model->graph->input[i]->name,
                                     .dtype = SUMI_FLOAT32,
                                     .rank = info->rank,
                                     .dims = given.dims[i],
                                     .data = fill(m, sumi_dims_count(info->dim, 0, info->rank))};
  }
  int failed = run(model, "ref", NULL, 1, &given, &ref, &want, &err) != SUMI_OK;
  if (failed) printf("FAIL on ref: %s\n  %s\n", err.text, m->what);
  static const int levels[] = {SUMI_ISA_AVX512, SUMI_ISA_AVX2, SUMI_ISA_NEON, SUMI_ISA_REF};
  size_t best = 0;
  while (!sumi_cpu_has((enum sumi_isa)levels[best])) best++;
  for (size_t i = 0; !failed && i < SUMI_COUNT(levels); i++)
    for (int form = 0; form < 3; form++) {
      if (!sumi_cpu_has((enum sumi_isa)levels[i])) continue;
      const char *isa = sumi_isa_label((enum sumi_isa)levels[i]), *device = form == 1 ? "audit" : "cpu";
      struct sumi_session *s = NULL;
      struct sumi_view got;
      if (run(model, device, isa, form == 2 ? 3 : 1, &given, &s, &got, &err) != SUMI_OK) {
        printf("FAIL on %s/%s: %s\n  %s\n", device, isa, err.text, m->what);
        failed = 1;
      } else {
        failed += compare(m, &got, &want, device, isa, form == 2 ? 3 : 1);
        const bool kernel = form == 0 && i == best && uses_kernel(s, &given);
        if (form == 0 && i == best && !kernel && verbose) printf("ref: %s\n", m->what);
        *fast += kernel;
      }
      sumi_session_fini(s);
    }
  sumi_session_fini(ref);
  for (size_t i = 0; i < given.n; i++) free(given.in[i].data);
  sumi_model_unref(model);
  return failed > 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*make)(struct maker *);
    double least; /* share that must find a kernel */
  } kinds[] = {{"Conv", make_conv, 1},
               {"ConvTranspose", make_conv_transpose, 1},
               {"MatMul", make_matmul, 0.9},
               {"Gemm", make_gemm, 0.4},
               {"pools", make_pool, 1},
               {"chains", make_chain, 1},
               {"linear", make_linear, 0.9},
               {"reductions", make_reduce, 1},
               {"Resize", make_resize, 0.9},
               {"norms", make_norm, 1},
               {"RNN", make_rnn, 1},
               {"DeformConv", make_deform_conv, 1},
               {"GridSample", make_grid_sample, 1}};
  uint64_t seed = (uint64_t)time(NULL);
  int count = 150, failed = 0;
  for (int i = 1; i < argc; i++) verbose = verbose || !strcmp(argv[i], "--verbose");
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--seed")) seed = strtoull(argv[i + 1], NULL, 0);
    if (!strcmp(argv[i], "--count")) count = atoi(argv[i + 1]);
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* nothing is lost when a guard page faults */
  printf("seed %" PRIu64 "\n", seed);
  struct maker m = {0};
  sumi_random_init(&m.random, seed);
  for (size_t k = 0; k < SUMI_COUNT(kinds); k++) {
    int fast = 0;
    for (int i = 0; i < count; i++) failed += check_one(&m, kinds[k].make, &fast);
    printf("%-8s %d cases, %d on kernels\n", kinds[k].name, count, fast);
    if (fast < kinds[k].least * count) {
      printf("FAIL: too many %s fell back to the reference\n", kinds[k].name);
      failed++;
    }
  }
  printf("%d failed\n", failed);
  return failed != 0;
}
