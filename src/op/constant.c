/* Constant: the tensor that its one attribute holds: value, sparse_value (a dense tensor once imported),
 * value_int(s), value_float(s), value_string(s). Its contents are known to inference, so that it is never run
 * in practice. ConstantOfShape: a tensor of the shape that the input lists, filled with value (one element;
 * default float32 0). */
#include <inttypes.h>
#include <string.h>

#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"
#include "plan/cell.h"
#include "plan/lower.h"

/* The tensor over the attribute's own memory: it lives as long as the node. */
static sumi_status constant_tensor(const struct sumi_node *node, struct sumi_tensor *t,
                                   struct sumi_err *err) {
  const struct sumi_attr *a = NULL;
  for (int i = 0; i < node->n_attr; i++) {
    if (strncmp(node->attr[i].name, "value", 5) && strcmp(node->attr[i].name, "sparse_value")) continue;
    if (a) SUMI_FAIL(err, SUMI_E_VALUE, "both '%s' and '%s' are given", a->name, node->attr[i].name);
    a = &node->attr[i];
  }
  if (!a) SUMI_FAIL(err, SUMI_E_VALUE, "there is no value");
  if (a->type == SUMI_ATTR_TENSOR) {
    *t = *a->u.t;
    return SUMI_OK;
  }
  const struct {
    enum sumi_attr_type type;
    sumi_dtype dtype;
    int rank;
    const void *data;
  } forms[] = {
      {SUMI_ATTR_INT, SUMI_INT64, 0, &a->u.i},     {SUMI_ATTR_INTS, SUMI_INT64, 1, a->u.ints},
      {SUMI_ATTR_FLOAT, SUMI_FLOAT32, 0, &a->u.f}, {SUMI_ATTR_FLOATS, SUMI_FLOAT32, 1, a->u.floats},
      {SUMI_ATTR_STRING, SUMI_STRING, 0, &a->u.s}, {SUMI_ATTR_STRINGS, SUMI_STRING, 1, a->u.strings},
  };
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (forms[i].type == a->type) {
      *t = (struct sumi_tensor){
          .dtype = forms[i].dtype, .rank = forms[i].rank, .data = (void *)(uintptr_t)forms[i].data};
      t->dim[0] = forms[i].rank ? (int64_t)a->n : 0;
      return SUMI_OK;
    }
  SUMI_FAIL(err, SUMI_E_TYPE, "attribute '%s' is of a type that holds no tensor", a->name);
}

static sumi_status constant_infer(struct sumi_infer *ctx) {
  struct sumi_tensor *t = SUMI_NEW(ctx->arena, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(ctx->err);
  SUMI_TRY(constant_tensor(ctx->node, t, ctx->err));
  sumi_infer_out(ctx, 0, t->dtype, t->rank, t->dim);
  if (ctx->n_out && !ctx->out[0].absent) ctx->out[0].data = t;
  return SUMI_OK;
}

static sumi_status constant_ref(const struct sumi_call *c) {
  struct sumi_tensor t;
  SUMI_TRY(constant_tensor(c->node, &t, c->err));
  if (sumi_call_wants(c, 0)) sumi_copy(t.dtype, c->out[0]->data, 0, t.data, 0, sumi_tensor_count(&t));
  return SUMI_OK;
}

/* ---- ConstantOfShape ----------------------------------------------------------------------------------- */

static sumi_status constant_of_shape_infer(struct sumi_infer *ctx) {
  const struct sumi_tensor *value = sumi_attr_tensor(ctx->node, "value");
  if (value && sumi_tensor_count(value) != 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "value has %" PRId64 " elements, not 1", sumi_tensor_count(value));
  const sumi_dtype dtype = value ? value->dtype : SUMI_FLOAT32;
  const int64_t *v;
  int n, length;
  SUMI_TRY(sumi_op_list_length(ctx, 0, &length));
  SUMI_TRY(sumi_infer_ints(ctx, 0, &v, &n));
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < length; i++) {
    dim[i] = n < 0 ? SUMI_DIM_UNKNOWN : v[i];
    if (n >= 0 && ctx->in[0].data && v[i] < 0)
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "dimension %d is %" PRId64, i, v[i]);
  }
  sumi_infer_out(ctx, 0, dtype, length, dim);
  return SUMI_OK;
}

static sumi_status constant_of_shape_ref(const struct sumi_call *c) {
  const struct sumi_tensor *value = sumi_attr_tensor(c->node, "value");
  struct sumi_tensor *y = c->out[0];
  sumi_fill(y->dtype, y->data, 0, sumi_tensor_count(y), value ? value->data : NULL, 0);
  return SUMI_OK;
}

static sumi_status constant_of_shape_cells(struct sumi_cells *c) {
  const struct sumi_tensor *value = sumi_attr_tensor(c->node, "value"), *y = c->out[0];
  const int bits = sumi_dtype_bits(y->dtype);
  struct sumi_cell_copy copy = {.rank = 1,
                                .n = {sumi_tensor_count(y)},
                                .to = {.operand = sumi_cells_out(c, 0), .step = {1}},
                                .from = {.operand = -1}};
  if (bits > 32) return sumi_cells_refuse(c, "elements of %d bits", bits);
  if (!copy.n[0]) return sumi_cells_refuse(c, "an empty tensor");
  if (value) memcpy(&copy.fill, value->data, (size_t)bits / 8);
  return sumi_cells_copy(c, &copy);
}

enum { FILL_TILE = 1 << 14 }; /* elements; starting a tile costs nothing beside writing them */

struct fill {
  sumi_dtype dtype;
  int64_t n;
  const void *value; /* the node's; NULL = 0 */
  int y;
};

struct fill_state {
  const struct fill *a;
  void *y;
};

static void fill_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct fill_state *s = user;
  sumi_fill(s->a->dtype, s->y, begin, end - begin, s->a->value, 0);
}

static sumi_status run_fill(const void *args, const struct sumi_run *run) {
  const struct fill *a = args;
  struct fill_state s = {a, run->buffer[a->y]};
  sumi_par_for(run->par, a->n, FILL_TILE, fill_tile, &s);
  return SUMI_OK;
}

static sumi_status constant_of_shape_lower(struct sumi_lower *l) {
  const struct sumi_tensor *value = sumi_attr_tensor(l->node, "value"), *y = l->out[0];
  struct fill *a = SUMI_NEW(l->arena, struct fill);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = (struct fill){y->dtype, sumi_tensor_count(y), value ? value->data : NULL, l->out_buffer[0]};
  return sumi_lower_emit(l, run_fill, a, "copy of one value", NULL, 0, &a->y, 1);
}

static const struct sumi_attr_spec constant_attrs[] = {
    {"value", SUMI_ATTR_TENSOR},
    {"sparse_value", SUMI_ATTR_TENSOR},
    {"value_int", SUMI_ATTR_INT},
    {"value_ints", SUMI_ATTR_INTS},
    {"value_float", SUMI_ATTR_FLOAT},
    {"value_floats", SUMI_ATTR_FLOATS},
    {"value_string", SUMI_ATTR_STRING},
    {"value_strings", SUMI_ATTR_STRINGS},
    {NULL},
};
static const struct sumi_port no_in[] = {{NULL}};
static const struct sumi_port constant_out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case constant_cases[] = {
    {"g () => (y) { y = Constant <value_ints = [3, -1, 7]> () }"},
    {"g () => (y) { y = Constant <value_float = 2.5> () }"},
    {NULL},
};

const struct sumi_op sumi_op_constant = {
    .name = "Constant",
    .formula = "y = the attribute",
    .known_as = {{"", "Constant", {1, 9, 11, 12, 13, 19, 21, 23, 24, 25}}},
    .attrs = constant_attrs,
    .in = no_in,
    .out = constant_out,
    .infer = constant_infer,
    .ref = constant_ref,
    .cases = constant_cases,
};

static const struct sumi_attr_spec shape_attrs[] = {{"value", SUMI_ATTR_TENSOR}, {NULL}};
static const struct sumi_port shape_in[] = {{"input", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port shape_out[] = {{"output", SUMI_ANY & ~(SUMI_BIT(SUMI_STRING) | SUMI_COMPLEX)},
                                             {NULL}};
static const struct sumi_case shape_cases[] = {
    {"g () => (y) <int64[3] s = {2, 1, 3}> { y = ConstantOfShape (s) }"},
    {"g () => (y) <int64[1] s = {5}> { y = ConstantOfShape <value = int32[1] {7}> (s) }"},
    {"g () => (y) <int64[0] s = {}> { y = ConstantOfShape (s) }", .why = "an empty list is a scalar"},
    {"g (float[2,5] x) => (y) { s = Shape (x) y = ConstantOfShape <value = uint8[1] {9}> (s) }"},
    {"g () => (y) <int64[2] s = {130, 133}> { y = ConstantOfShape <value = uint16[1] {515}> (s) }",
     .why = "more than one tile"},
    {NULL},
};

const struct sumi_op sumi_op_constant_of_shape = {
    .name = "ConstantOfShape",
    .formula = "y = value everywhere",
    .known_as = {{"", "ConstantOfShape", {9, 20, 21, 23, 24, 25}}},
    .attrs = shape_attrs,
    .in = shape_in,
    .out = shape_out,
    .infer = constant_of_shape_infer,
    .ref = constant_of_shape_ref,
    .cells = constant_of_shape_cells,
    .lower = constant_of_shape_lower,
    .cases = shape_cases,
};
