/* QuantizeLinear and DequantizeLinear between float32 and 8 bits, where scale and zero point are constants: one of each, or
 * one for each channel of the lanes. What is row-major on both sides is left to the
 * operators' own loops. */
#include "op/quant_lower.h"

#include "op/lane_steps.h"
#include "op/quant.h"

enum { X, SCALE, ZERO };

static bool is_byte(const struct sumi_tensor *t) { return t->dtype == SUMI_UINT8 || t->dtype == SUMI_INT8; }

int sumi_lane_axis(const struct sumi_tensor *t) { return t->rank >= 4 ? 1 : t->rank - 1; }

/* Why it cannot be done, or NULL; *axis: the channels' that the scales are along, -1 = any. */
static const char *cannot(const struct sumi_call *c, const struct sumi_tensor *real,
                          const struct sumi_tensor *bytes, int *axis) {
  const struct sumi_tensor *scale = c->in[SCALE], *zero = sumi_call_has(c, ZERO) ? c->in[ZERO] : NULL;
  *axis = -1;
  if (!is_byte(bytes) || real->dtype != SUMI_FLOAT32 || scale->dtype != SUMI_FLOAT32)
    return "types other than float32 and 8 bits";
  if (!scale->data || (zero && !zero->data)) return "scale or zero point is not constant";
  if (sumi_attr_int(c->node, "block_size", 0)) return "blocks along the axis";
  if (sumi_attr_int(c->node, "precision", 0) && sumi_attr_int(c->node, "precision", 0) != 1)
    return "another precision than float32";
  if (!real->rank || !sumi_tensor_count(real)) return "a scalar, or nothing";
  if (sumi_tensor_count(scale) == 1) return NULL;
  int64_t along = real->rank == 1 ? 0 : sumi_attr_int(c->node, "axis", 1);
  if (along < 0) along += real->rank;
  if (along != 1 && along != real->rank - 1) return "scales along an axis that is never the channels'";
  *axis = (int)along;
  return NULL;
}

static int choose_axis(const struct sumi_tensor *t, int wanted, int needed) {
  return needed >= 0 ? needed : wanted >= 0 ? wanted : sumi_lane_axis(t);
}

void sumi_quantize_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  int axis;
  (void)in;
  if (cannot(c, c->in[X], c->out[0], &axis)) return;
  out[0].lanes = true;
  out[0].axis = choose_axis(c->in[X], out[0].axis, axis);
}

void sumi_dequantize_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  int axis;
  (void)out;
  if (cannot(c, c->out[0], c->in[X], &axis)) return;
  in[X] = (struct sumi_lane_wish){.lanes = true, .any = true, .axis = choose_axis(c->in[X], -1, axis)};
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "lane", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* Scales and stored zero points. */
static sumi_status read_scales(struct sumi_lower *l, const struct sumi_tensor *bytes,
                               struct sumi_lane_scales *s) {
  const int64_t n = sumi_tensor_count(l->in[SCALE]);
  const struct sumi_tensor *zero = l->n_in > ZERO ? l->in[ZERO] : NULL;
  float *const scale = SUMI_NEW_ARRAY(l->arena, (size_t)n, float), *const z = SUMI_NEW_ARRAY(
                                                                       l->arena, (size_t)n, float);
  if (!scale || !z) SUMI_FAIL_MEMORY(l->err);
  for (int64_t i = 0; i < n; i++) {
    scale[i] = ((const float *)l->in[SCALE]->data)[i];
    z[i] =
        (zero ? (float)sumi_get_f64(zero->dtype, zero->data, i) : 0) + (bytes->dtype == SUMI_INT8 ? 128 : 0);
  }
  *s = (struct sumi_lane_scales){scale, z, n > 1};
  return SUMI_OK;
}

sumi_status sumi_quantize_lower(struct sumi_lower *l) {
  const struct sumi_call call = sumi_lower_call(l);
  struct sumi_lane_scales scales;
  int axis;
  const char *why = cannot(&call, l->in[X], l->out[0], &axis);
  if (why) return refuse(l, why);
  const struct sumi_lane_operand y = {l->out_buffer[0], l->out_layout[0]};
  if (!y.layout.v) return refuse(l, "nobody wants lanes");
  SUMI_TRY(read_scales(l, l->out[0], &scales));
  SUMI_TRY(sumi_lower_blank(l, &y));
  return sumi_lower_lane_quantize(l, l->in[X], l->in_buffer[X], &scales, &y);
}

sumi_status sumi_dequantize_lower(struct sumi_lower *l) {
  const struct sumi_call call = sumi_lower_call(l);
  struct sumi_lane_scales scales;
  int axis;
  const char *why = cannot(&call, l->out[0], l->in[X], &axis);
  if (why) return refuse(l, why);
  const struct sumi_lane_operand x = {l->in_buffer[X], l->in_layout[X]};
  if (!x.layout.v) return refuse(l, "the input does not lie in lanes");
  SUMI_TRY(read_scales(l, l->in[X], &scales));
  return sumi_lower_lane_dequantize(l, l->out[0], &x, &scales, l->out_buffer[0]);
}
