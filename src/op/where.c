/* Where: z[i] = condition[i] ? x[i] : y[i], all three broadcast to one shape. Elements are moved, not
 * looked at, so one loop per element size serves all types. */
#include <string.h>

#include "op/broadcast.h"
#include "op/eltwise_lower.h"
#include "op/grad.h"
#include "op/ops.h"
#include "op/vector_cells.h"

/* The chosen elements' contents, where the condition is known. */
static sumi_status infer_content(struct sumi_infer *ctx) {
  int n = 1;
  for (int i = 0; i < 3; i++) {
    const int count = sumi_content_count(&ctx->in[i]);
    if (count <= 0 || (count != 1 && n != 1 && count != n)) return SUMI_OK;
    if (count != 1) n = count;
  }
  sumi_dim content[SUMI_MAX_RANK];
  for (int i = 0; i < n; i++) {
    const sumi_dim condition = sumi_content_at(&ctx->in[0], i);
    content[i] = condition < 0 ? SUMI_DIM_UNKNOWN : sumi_content_at(&ctx->in[condition ? 1 : 2], i);
  }
  return sumi_infer_content(ctx, 0, content, n);
}

static sumi_status where_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_infer_broadcast(ctx, 0, 0, 3, sumi_infer_dtype(ctx, 1, 3)));
  return infer_content(ctx);
}

struct wide {
  uint64_t half[2];
};

/* Both are read before one is chosen: a vector can do that. */
#define CHOOSE(T, from_x, from_y)              \
  SUMI_IVDEP for (int64_t i = 0; i < n; i++) { \
    const T a = from_x, b = from_y;            \
    z[i] = c[i] ? a : b;                       \
  }

/* n elements; the steps are 0 or 1. */
#define ROW(name, T)                                                                                 \
  static void name(const uint8_t *c, int64_t sc, const void *from_x, int64_t sx, const void *from_y, \
                   int64_t sy, void *to, int64_t n) {                                                \
    const T *x = from_x, *y = from_y;                                                                \
    T *z = to;                                                                                       \
    if (!sc) {                                                                                       \
      const T *chosen = *c ? x : y;                                                                  \
      const int64_t step = *c ? sx : sy;                                                             \
      for (int64_t i = 0; i < n; i++) z[i] = chosen[i * step];                                       \
    } else if (sx && sy) {                                                                           \
      CHOOSE(T, x[i], y[i])                                                                          \
    } else if (sx) {                                                                                 \
      CHOOSE(T, x[i], *y)                                                                            \
    } else if (sy) {                                                                                 \
      CHOOSE(T, *x, y[i])                                                                            \
    } else {                                                                                         \
      CHOOSE(T, *x, *y)                                                                              \
    }                                                                                                \
  }

ROW(row_8, uint8_t)
ROW(row_16, uint16_t)
ROW(row_32, uint32_t)
ROW(row_64, uint64_t)
ROW(row_128, struct wide)

static sumi_status where_ref(const struct sumi_call *c) {
  const struct sumi_tensor *out = c->out[0];
  struct sumi_bcast b;
  sumi_bcast_init(&b, out->rank, out->dim, c->in, 3);
  const size_t bytes = (size_t)sumi_dtype_bits(out->dtype) / 8;
  const int last = b.rank - 1;
  const int64_t n = b.dim[last];
  const char *p = c->in[1]->data, *q = c->in[2]->data;
  char *y = out->data;
  for (struct sumi_walk w = sumi_bcast_rows(&b); !w.done; sumi_walk_next(&w), y += (size_t)n * bytes)
    (bytes == 1   ? row_8
     : bytes == 2 ? row_16
     : bytes == 4 ? row_32
     : bytes == 8 ? row_64
                  : row_128)((const uint8_t *)c->in[0]->data + w.offset[0], b.stride[0][last],
                             p + (size_t)w.offset[1] * bytes, b.stride[1][last],
                             q + (size_t)w.offset[2] * bytes, b.stride[2][last], y, n);
  return SUMI_OK;
}

static sumi_status where_cells(struct sumi_cells *c) {
  return sumi_eltwise_cells(c,
                            &(const struct sumi_eltwise_formula){.real = "a ? b : c", .whole = "a ? b : c"});
}

#define TYPES (SUMI_NUMBERS | SUMI_COMPLEX | SUMI_BIT(SUMI_BOOL) | SUMI_BIT(SUMI_STRING))
static const struct sumi_port in[] = {
    {"condition", SUMI_BIT(SUMI_BOOL)}, {"X", TYPES, 'T'}, {"Y", TYPES, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", TYPES, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (bool[3,37] c, float[3,37] x, float[3,37] y) => (z) { z = Where (c, x, y) }"},
    {"g (bool[2,1,5,5] c, float[2,4,5,5] x, float y) => (z) { z = Where (c, x, y) }",
     .why = "an attention mask"},
    {"g (bool[3,1] c, int64[1,9] x, int64[9] y) => (z) { z = Where (c, x, y) }",
     .why = "the condition is constant along rows"},
    {"g (bool[2,3,1] c, float16[2,1,70] x, float16[3,70] y) => (z) { z = Where (c, x, y) }"},
    {"g (bool[7,5,90] c, double[5,1] x, double[7,5,90] y) => (z) { z = Where (c, x, y) }",
     .why = "more than one tile of rows"},
    {"g (bool[40000] c, uint8[1] x, uint8[40000] y) => (z) { z = Where (c, x, y) }", .why = "a row in parts"},
    {NULL},
};

const struct sumi_op sumi_op_where = {
    .name = "Where",
    .formula = "condition ? x : y",
    .known_as = {{"", "Where", {9, 16}}},
    .in = in,
    .out = out,
    .infer = where_infer,
    .ref = where_ref,
    .lower = sumi_select_lower,
    .cells = where_cells,
    .grad = sumi_where_grad,
    .cases = cases,
};
