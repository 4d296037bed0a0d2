/* Mod: the remainder of a / b. fmod = 0: the sign of the divisor (Python's %); fmod = 1: the sign of the
 * dividend (C's % and fmod). An integer modulo 0 is 0. */
#include <math.h>

#include "op/lane.h"
#include "op/ops.h"

static int64_t truncated(int64_t a, int64_t b) {
  return b == 0 || b == -1 ? 0 : a % b;
} /* INT64_MIN % -1 traps */

static int64_t floored(int64_t a, int64_t b) {
  const int64_t r = truncated(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double floored_f64(double a, double b) {
  const double r = fmod(a, b);
  return r == 0 ? copysign(0, b) : (r < 0) != (b < 0) ? r + b : r; /* NaN: NaN */
}

static float floored_f32(float a, float b) {
  const float r = fmodf(a, b);
  return r == 0 ? copysignf(0, b) : (r < 0) != (b < 0) ? r + b : r;
}

SUMI_BINARY_LOOP(fmod_f32, float, float, fmodf(a, b))
SUMI_BINARY_LOOP(fmod_f64, double, double, fmod(a, b))
SUMI_BINARY_LOOP(fmod_i64, int64_t, int64_t, truncated(a, b))
SUMI_BINARY_LOOP(mod_f32, float, float, floored_f32(a, b))
SUMI_BINARY_LOOP(mod_f64, double, double, floored_f64(a, b))
SUMI_BINARY_LOOP(mod_i64, int64_t, int64_t, floored(a, b))
SUMI_BINARY_LOOP(mod_u64, uint64_t, uint64_t, b ? a % b : 0)

static sumi_status mod_infer(struct sumi_infer *ctx) {
  const int64_t form = sumi_attr_int(ctx->node, "fmod", 0);
  if (form != 0 && form != 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "fmod is neither 0 nor 1");
  return sumi_infer_broadcast(ctx, 0, 0, 2, sumi_infer_dtype(ctx, 0, 2));
}

static sumi_status mod_ref(const struct sumi_call *c) {
  static const sumi_loop with_fmod[] = {fmod_f32, fmod_f64, fmod_i64, mod_u64},
                         without[] = {mod_f32, mod_f64, mod_i64, mod_u64};
  struct sumi_map map = {
      .n_in = 2, .in = {c->in[0], c->in[1]}, .out = c->out[0], .lane = sumi_lane_of(c->out[0]->dtype)};
  map.loop = (sumi_attr_int(c->node, "fmod", 0) ? with_fmod : without)[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"fmod", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"A", SUMI_NUMBERS, 'T'}, {"B", SUMI_NUMBERS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"C", SUMI_NUMBERS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (int32[50] x, int32[50] y) => (z) { z = Mod (x, y) }", .low = -9, .high = 9,
     .why = "signs and zeros"},
    {"g (int8[50] x, int8[50] y) => (z) { z = Mod <fmod = 1> (x, y) }", .low = -9, .high = 9},
    {"g (float[3,50] x, float[50] y) => (z) { z = Mod <fmod = 1> (x, y) }", .low = -9, .high = 9,
     .why = "exact"},
    {NULL},
};

const struct sumi_op sumi_op_mod = {
    .name = "Mod",
    .formula = "a - floor(a / b) b, or with trunc",
    .known_as = {{"", "Mod", {10, 13, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = mod_infer,
    .ref = mod_ref,
    .cases = cases,
};
