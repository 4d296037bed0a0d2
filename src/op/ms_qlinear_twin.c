/* QLinearAveragePool, QLinearReduceMean, QLinearWhere (com.microsoft): AveragePool, ReduceMean and Where of the real values of
 * 8-bit tensors (ms_qlinear.h), quantised again; of a mean it is mean(x - zero) that is rounded to float32, and then scaled. QLinearAveragePool reads and writes [batch, ..., channels] where
 * channels_last is 1. Source: ONNX Runtime, docs/ContribOperators.md. */
#include "op/ms_qlinear_cells.h"
#include "op/ms_twin.h"
#include "op/pool_cells.h"

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define FLOAT SUMI_BIT(SUMI_FLOAT32)

#define FORM(name, ...)                                                         \
  static const struct sumi_quantised name##_form = {__VA_ARGS__};               \
  static sumi_status name##_infer(struct sumi_infer *ctx) {                     \
    return sumi_quantised_infer(ctx, &name##_form);                             \
  }                                                                             \
  static sumi_status name##_scratch(const struct sumi_call *c, size_t *bytes) { \
    return sumi_quantised_scratch(c, &name##_form, bytes);                      \
  }                                                                             \
  static sumi_status name##_ref(const struct sumi_call *c) { return sumi_quantised_ref(c, &name##_form); }

FORM(first, &sumi_op_average_pool, 11, 1, {0}, 1, 3, 4, true)
FORM(mean, &sumi_op_reduce_mean, 13, 1, {0}, 1, 3, 4, true)
FORM(where, &sumi_op_where, 9, 3, {0, 1, 4}, 6, 7, 8)

/* ---- attributes and ports ---------------------------------------------------------------------------------------- */

static const struct sumi_attr_spec pool_attrs[] = {
    {"auto_pad", SUMI_ATTR_STRING},   {"kernel_shape", SUMI_ATTR_INTS, true},
    {"pads", SUMI_ATTR_INTS},         {"strides", SUMI_ATTR_INTS},
    {"ceil_mode", SUMI_ATTR_INT},     {"count_include_pad", SUMI_ATTR_INT},
    {"channels_last", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec mean_attrs[] = {
    {"axes", SUMI_ATTR_INTS, true}, {"keepdims", SUMI_ATTR_INT, true}, {NULL}};
static const struct sumi_port pool_in[] = {{"X", BYTES, 'T'},
                                           {"x_scale", FLOAT},
                                           {"x_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                           {"y_scale", FLOAT},
                                           {"y_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                           {NULL}};
static const struct sumi_port where_in[] = {{"condition", SUMI_BIT(SUMI_BOOL)},
                                            {"X", BYTES, 'T'},
                                            {"x_scale", FLOAT},
                                            {"x_zero_point", BYTES, 'T'},
                                            {"Y", BYTES, 'T'},
                                            {"y_scale", FLOAT},
                                            {"y_zero_point", BYTES, 'T'},
                                            {"z_scale", FLOAT},
                                            {"z_zero_point", BYTES, 'T'},
                                            {NULL}};
static const struct sumi_port out[] = {{"Y", BYTES, 'T'}, {NULL}};

/* ---- QLinearAveragePool: either order ---------------------------------------------------------------------------- */

static const struct sumi_op first_pool = {.name = "QLinearAveragePool",
                                          .attrs = pool_attrs,
                                          .in = pool_in,
                                          .out = out,
                                          .infer = first_infer,
                                          .ref = first_ref,
                                          .scratch = first_scratch};
static const struct sumi_nhwc last_form = {&first_pool, 1, 1};

static bool is_last(const struct sumi_node *node) { return sumi_attr_int(node, "channels_last", 0) != 0; }

static sumi_status pool_infer(struct sumi_infer *ctx) {
  return is_last(ctx->node) ? sumi_nhwc_infer(ctx, &last_form) : first_infer(ctx);
}

static sumi_status pool_scratch(const struct sumi_call *c, size_t *bytes) {
  return is_last(c->node) ? sumi_nhwc_scratch(c, &last_form, bytes) : first_scratch(c, bytes);
}

static sumi_status pool_ref(const struct sumi_call *c) {
  return is_last(c->node) ? sumi_nhwc_ref(c, &last_form) : first_ref(c);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

/* Scales are constants: random ones would saturate everything. */
#define CASE(inputs, constants, call) "g (" inputs ") => (y) <" constants "> { y = com.microsoft." call " }"
static const struct sumi_case pool_cases[] = {
    {CASE(
         "uint8[2,3,7,8] x", "float s = {0.5}, float t = {0.25}, uint8 z = {100}",
         "QLinearAveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1], strides = [2, 1]> (x, s, z, t, z)"),
     .low = 60, .high = 140, .why = "padding is not counted"},
    {CASE("int8[2,5,6,3] x", "float s = {0.5}, float t = {0.25}, int8 z = {-9}",
          "QLinearAveragePool <kernel_shape = [2, 2], pads = [1, 1, 1, 1], count_include_pad = 1, "
          "channels_last = "
          "1> (x, s, z, t)"),
     .low = -50, .high = 50, .why = "channels last; padding is real zeros"},
    {CASE("uint8[1,4,12,12] x", "float s = {0.37}, float t = {0.0185}, uint8 z = {100}",
          "QLinearAveragePool <kernel_shape = [2, 2], pads = [1, 0, 0, 1]> (x, s, z, t, z)"),
     .low = 95, .high = 105, .why = "scales of which many means lie beside the middle of two bytes"},
    {NULL},
};
static const struct sumi_case mean_cases[] = {
    {CASE("uint8[2,3,8] x", "float s = {0.5}, float t = {0.25}, uint8 z = {100}",
          "QLinearReduceMean <axes = [-1], keepdims = 0> (x, s, z, t, z)"),
     .low = 60, .high = 140},
    {CASE("int8[2,3,4] x", "float s = {0.5}, float t = {0.25}",
          "QLinearReduceMean <axes = [0, 2], keepdims = 1> (x, s, , t)"),
     .low = -50, .high = 50, .why = "no zero points"},
    {CASE("uint8[60,7] x", "float s = {0.37}, float t = {0.0185}, uint8 z = {100}",
          "QLinearReduceMean <axes = [1], keepdims = 0> (x, s, z, t, z)"),
     .low = 90, .high = 110, .why = "scales of which many means lie beside the middle of two bytes"},
    {NULL},
};
static const struct sumi_case where_cases[] = {
    {CASE("bool[3,1] c, uint8[3,4] x, uint8[2,1,4] u", "float s = {0.5}, float t = {0.25}, uint8 z = {100}",
          "QLinearWhere (c, x, s, z, u, t, z, s, z)"),
     .low = 0, .high = 255, .why = "all three broadcast"},
    {NULL},
};

#define DESCRIPTOR(symbol, label, text, part, attr_list, ports, how) \
  const struct sumi_op sumi_op_ms_##symbol = {                       \
      .name = "com.microsoft." label,                                \
      .formula = text,                                               \
      .known_as = {{"com.microsoft", label, {1}}},                   \
      .attrs = attr_list,                                            \
      .in = ports,                                                   \
      .out = out,                                                    \
      .infer = part##_infer,                                         \
      .ref = part##_ref,                                             \
      .scratch = part##_scratch,                                     \
      .cells = how,                                                  \
      .cases = part##_cases,                                         \
  };

DESCRIPTOR(qlinear_average_pool, "QLinearAveragePool", "quantise(AveragePool(x))", pool, pool_attrs, pool_in,
           sumi_qlinear_average_pool_cells)
DESCRIPTOR(qlinear_reduce_mean, "QLinearReduceMean", "quantise(ReduceMean(x))", mean, mean_attrs, pool_in,
           sumi_qlinear_reduce_mean_cells)
DESCRIPTOR(qlinear_where, "QLinearWhere", "quantise(Where(condition, x, y))", where, NULL, where_in,
           sumi_qlinear_where_cells)
