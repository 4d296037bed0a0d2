/* Runs one operator in a test: a node made by hand, inferred, and computed by its reference function.
 * Inputs are filled by probe_fill(), whose numbers are exact in float32, so that another engine can be given the
 * same ones without tables. */
#ifndef SUMI_OP_TEST_PROBE_H
#define SUMI_OP_TEST_PROBE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "op/ops.h"

struct probe {
  struct sumi_arena arena;
  struct sumi_node node;
  struct sumi_attr attr[16];
  struct sumi_info info[16], out_info[8];
  struct sumi_tensor in[16], out[8];
  const struct sumi_tensor *in_ptr[16];
  const struct sumi_bodies *bodies;
  struct sumi_err err;
};

static inline void probe_init(struct probe *p, const char *op) {
  memset(p, 0, sizeof *p);
  p->err.size = sizeof p->err;
  sumi_arena_init(&p->arena, sumi_allocator_default());
  p->node = (struct sumi_node){
      .name = "n", .op = sumi_op_by_name(op), .op_name = op, .version = 1, .attr = p->attr};
  assert_non_null(p->node.op);
}

static inline void probe_fini(struct probe *p) { sumi_arena_fini(&p->arena); }

static inline void probe_int(struct probe *p, const char *name, int64_t value) {
  p->attr[p->node.n_attr++] = (struct sumi_attr){.name = name, .type = SUMI_ATTR_INT, .n = 1, .u.i = value};
}

static inline void probe_float(struct probe *p, const char *name, float value) {
  p->attr[p->node.n_attr++] = (struct sumi_attr){.name = name, .type = SUMI_ATTR_FLOAT, .n = 1, .u.f = value};
}

static inline void probe_ints(struct probe *p, const char *name, const int64_t *values, size_t n) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_INTS, .n = n, .u.ints = values};
}

/* Adds an input of given rank; the dims follow as ints. data is borrowed. */
static inline struct sumi_tensor *probe_in(struct probe *p, sumi_dtype dtype, const void *data, int rank,
                                           ...) {
  const int i = p->node.n_in++;
  struct sumi_tensor *t = &p->in[i];
  *t = (struct sumi_tensor){
      .kind = SUMI_TENSOR, .dtype = dtype, .rank = rank, .data = (void *)(uintptr_t)data};
  p->info[i] = (struct sumi_info){.kind = SUMI_TENSOR, .dtype = dtype, .rank = rank};
  va_list args;
  va_start(args, rank);
  for (int k = 0; k < rank; k++) p->info[i].dim[k] = t->dim[k] = va_arg(args, int);
  va_end(args);
  p->in_ptr[i] = t;
  return t;
}

static inline void probe_absent(struct probe *p) {
  p->info[p->node.n_in++] = (struct sumi_info){.rank = -1, .absent = true};
}

/* n floats (((29 i + 17 seed) mod 61) - 30) / 16 in the probe's arena */
static inline float *probe_fill(struct probe *p, int64_t n, int64_t seed) {
  float *x = SUMI_NEW_ARRAY(&p->arena, (size_t)n, float);
  assert_non_null(x);
  for (int64_t i = 0; i < n; i++) x[i] = (float)((29 * i + 17 * seed) % 61 - 30) / 16;
  return x;
}

/* Infers and computes n_out outputs; the first failure's status. */
static inline sumi_status probe_run(struct probe *p, int n_out) {
  p->err = (struct sumi_err)SUMI_ERR_INIT;
  struct sumi_infer ctx = {.node = &p->node,
                           .arena = &p->arena,
                           .n_in = p->node.n_in,
                           .n_out = n_out,
                           .in = p->info,
                           .out = p->out_info,
                           .err = &p->err};
  struct sumi_tensor *out[8];
  for (int i = 0; i < n_out; i++) p->out_info[i] = (struct sumi_info){.rank = -1};
  p->node.n_out = n_out;
  SUMI_TRY(sumi_infer_node(&ctx));
  for (int i = 0; i < n_out; i++) {
    struct sumi_tensor *t = out[i] = &p->out[i];
    *t =
        (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = p->out_info[i].dtype, .rank = p->out_info[i].rank};
    if (p->node.op->flags & SUMI_OP_DYNAMIC) continue;
    for (int k = 0; k < t->rank; k++) t->dim[k] = p->out_info[i].dim[k];
    size_t bytes;
    SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, &p->err));
    t->data = sumi_arena_alloc(&p->arena, bytes);
  }
  struct sumi_call call = {.node = &p->node,
                           .n_in = p->node.n_in,
                           .n_out = n_out,
                           .in = p->in_ptr,
                           .out = out,
                           .heap = &p->arena,
                           .bodies = p->bodies,
                           .err = &p->err};
  size_t scratch = 0;
  if (p->node.op->scratch) SUMI_TRY(p->node.op->scratch(&call, &scratch));
  call.scratch = sumi_arena_alloc(&p->arena, scratch);
  return p->node.op->ref(&call);
}

/* Output i holds n floats, each within tolerance * max(1, |want|) of want. */
static inline void probe_expect(const struct probe *p, int i, const float *want, int64_t n,
                                double tolerance) {
  assert_int_equal(sumi_tensor_count(&p->out[i]), n);
  for (int64_t k = 0; k < n; k++) {
    const double got = sumi_get_f64(p->out[i].dtype, p->out[i].data, k);
    if (!(fabs(got - (double)want[k]) <= tolerance * fmax(1, fabs((double)want[k]))))
      fail_msg("output %d[%d] is %.9g, not %.9g", i, (int)k, got, (double)want[k]);
  }
}

#endif
