/* sumi.QTable: any function of one 8-bit value, made by passes of element-wise operators between DequantizeLinear and
 * QuantizeLinear (files cannot name it): y[i] = table[x[i]], where the bits of x[i] count as 0..255. */
#include "op/by_item.h"
#include "op/op_util.h"
#include "op/qeltwise_lower.h"
#include "op/quant_cells.h"

static sumi_status qtable_infer(struct sumi_infer *ctx) {
  const struct sumi_info *table = &ctx->in[1];
  if (table->rank >= 0 && (table->rank != 1 || (table->dim[0] >= 0 && table->dim[0] != 256)))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the table does not have 256 elements");
  sumi_infer_out_like(ctx, 0, &ctx->in[0], table->dtype);
  return SUMI_OK;
}

static sumi_status qtable_ref(const struct sumi_call *c) {
  const uint8_t *x = c->in[0]->data, *table = c->in[1]->data;
  uint8_t *y = c->out[0]->data;
  for (int64_t i = 0, n = sumi_tensor_count(c->in[0]); i < n; i++) y[i] = table[x[i]];
  return SUMI_OK;
}

static sumi_status qtable_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0), table = sumi_cells_row_major(c, 1);
  if (table < 0) return SUMI_E_MEMORY;
  sumi_cells_same_form(c, y, 0);
  const struct sumi_seen from = sumi_see(c, 0), to = sumi_see(c, y);
  return sumi_table_cells(c, &from, &to, 0, table);
}

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
static const struct sumi_port in[] = {{"x", BYTES}, {"table", BYTES, 'Y'}, {NULL}};
static const struct sumi_port out[] = {{"y", BYTES, 'Y'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (uint8[5,7,31] x, uint8[256] t) => (y) { y = sumi.QTable (x, t) }", .low = 0, .high = 255},
    {"g (int8[300] x, uint8[256] t) => (y) { y = sumi.QTable (x, t) }", .low = -128, .high = 255,
     .why = "signed values, by their bits"},
    {"g (uint8[0] x, int8[256] t) => (y) { y = sumi.QTable (x, t) }"},
    {"g (float[2,6,5,7] x, int8[256] t) => (y) <float s = {0.25}, int8 z = {7}> { q = QuantizeLinear (x, s, "
     "z) u = "
     "sumi.QTable (q, t) y = DequantizeLinear (u, s, z) }",
     .low = -120, .high = 127, .why = "images in lanes"},
    {"g (float[2,8,5,7] x, uint8[256] t, int8[4,8,3,3] w) => (y) <float s = {0.25}, uint8 z = {7}, float r = "
     "{900}> { q = "
     "QuantizeLinear (x, s, z) u = sumi.QTable (q, t) y = sumi.QConv <pads = [1, 1, 1, 1], strides = [1, 2]> "
     "(u, s, z, "
     "w, s, , r, z) }",
     .low = -120, .high = 127, .why = "into the halo and the phases that a convolution wants"},
    {NULL},
};

const struct sumi_op sumi_op_qtable = {
    .name = "sumi.QTable",
    .formula = "table[x]",
    .known_as = {{"sumi", "QTable", {1}}},
    .in = in,
    .out = out,
    .flags = SUMI_OP_INTERNAL | SUMI_OP_IN_PLACE,
    .infer = qtable_infer,
    .by_item = sumi_by_item_first,
    .ref = qtable_ref,
    .lower = sumi_qtable_lower,
    .cells = qtable_cells,
    .lanes = sumi_qtable_lanes,
    .cases = cases,
};
