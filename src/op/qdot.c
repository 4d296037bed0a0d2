/* What sumi.QConv and sumi.QMatMul share: ports, checks, and the arithmetic behind the integer sum. See the header. */
#include "op/qdot.h"

#include <inttypes.h>
#include <math.h>

#include "base/fmath.h"
#include "base/size.h"

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define SCALE SUMI_BIT(SUMI_FLOAT32)

const struct sumi_port sumi_qdot_in[] = {{"x", BYTES, 'X'},
                                         {"x_scale", SCALE},
                                         {"x_zero", BYTES, 'X'},
                                         {"w", SUMI_BIT(SUMI_INT8)},
                                         {"w_scale", SCALE},
                                         {"b", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                         {"y_scale", SCALE, 0, SUMI_PORT_OPTIONAL},
                                         {"y_zero", BYTES, 0, SUMI_PORT_OPTIONAL},
                                         {"c", SCALE, 0, SUMI_PORT_OPTIONAL},
                                         {"c_scale", SCALE, 0, SUMI_PORT_OPTIONAL},
                                         {"c_zero", BYTES, 0, SUMI_PORT_OPTIONAL},
                                         {"r", BYTES, 'R', SUMI_PORT_OPTIONAL},
                                         {"r_scale", SCALE, 0, SUMI_PORT_OPTIONAL},
                                         {"r_zero", BYTES, 'R', SUMI_PORT_OPTIONAL},
                                         {"s_scale", SCALE, 0, SUMI_PORT_OPTIONAL},
                                         {"s_zero", BYTES, 0, SUMI_PORT_OPTIONAL},
                                         {NULL}};
const struct sumi_port sumi_qdot_out[] = {{"y", BYTES | SCALE}, {NULL}};

/* ---- checks -------------------------------------------------------------------------------------------------------- */

static bool is_clamp(const struct sumi_activation *a) {
  return a->kind == SUMI_ACTIVATION_NONE || a->kind == SUMI_ACTIVATION_RELU ||
         a->kind == SUMI_ACTIVATION_CLIP;
}

static sumi_status read_activation(const struct sumi_node *node, const char *name, const char *params,
                                   bool any, struct sumi_activation *out, struct sumi_err *err) {
  int n;
  const float *figure = sumi_attr_floats(node, params, &n);
  SUMI_TRY(sumi_activation_make(sumi_attr_string(node, name, ""), figure, n, out, err));
  if (!any && !is_clamp(out)) SUMI_FAIL(err, SUMI_E_VALUE, "attribute %s can be Relu or Clip only", name);
  return SUMI_OK;
}

struct activations {
  struct sumi_activation y, c, r;
};

static sumi_status read_activations(const struct sumi_node *node, struct activations *a,
                                    struct sumi_err *err) {
  SUMI_TRY(read_activation(node, "activation", "activation_params", false, &a->y, err));
  SUMI_TRY(read_activation(node, "c_activation", "c_activation_params", true, &a->c, err));
  return read_activation(node, "r_activation", "r_activation_params", false, &a->r, err);
}

/* Input i, where given, has one element, or (rows not -1) one for each of so many rows. */
static sumi_status check_count(const struct sumi_infer *ctx, int i, sumi_dim rows, bool one) {
  if (!sumi_infer_has(ctx, i) || ctx->in[i].rank < 0 || (one && ctx->in[i].rank == 0)) return SUMI_OK;
  const struct sumi_info *p = &ctx->in[i];
  const char *name = sumi_qdot_in[i].name;
  if (p->rank != 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has rank %d", name, p->rank);
  if (p->dim[0] < 0 || rows < 0 || p->dim[0] == rows || (one && p->dim[0] == 1)) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has %" PRId64 " elements, not %" PRId64, name, p->dim[0], rows);
}

/* Of inputs [first, end) all or none are given. */
static sumi_status check_together(const struct sumi_infer *ctx, int first, int end) {
  for (int i = first; i < end; i++)
    if (sumi_infer_has(ctx, i) != sumi_infer_has(ctx, first))
      SUMI_FAIL(ctx->err, SUMI_E_ARG, "'%s' and '%s' must be given together", sumi_qdot_in[first].name,
                sumi_qdot_in[i].name);
  return SUMI_OK;
}

static sumi_status check_residual(const struct sumi_infer *ctx) {
  const struct sumi_info *r = &ctx->in[SUMI_QDOT_R], *y = &ctx->out[0];
  if (!sumi_infer_has(ctx, SUMI_QDOT_R) || r->rank < 0 || y->rank < 0) return SUMI_OK;
  bool same = r->rank == y->rank;
  for (int i = 0; same && i < r->rank; i++) same = r->dim[i] < 0 || y->dim[i] < 0 || r->dim[i] == y->dim[i];
  if (!same) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the residual does not have the output's shape");
  return SUMI_OK;
}

sumi_status sumi_qdot_infer(struct sumi_infer *ctx, sumi_dim rows) {
  static const int scalar[] = {SUMI_QDOT_X_SCALE, SUMI_QDOT_X_ZERO, SUMI_QDOT_Y_SCALE, SUMI_QDOT_Y_ZERO,
                               SUMI_QDOT_C_SCALE, SUMI_QDOT_C_ZERO, SUMI_QDOT_R_SCALE, SUMI_QDOT_R_ZERO,
                               SUMI_QDOT_S_SCALE, SUMI_QDOT_S_ZERO};
  struct activations a;
  SUMI_TRY(read_activations(ctx->node, &a, ctx->err));
  for (size_t i = 0; i < SUMI_COUNT(scalar); i++) SUMI_TRY(check_count(ctx, scalar[i], 1, true));
  SUMI_TRY(check_count(ctx, SUMI_QDOT_W_SCALE, rows, true));
  SUMI_TRY(check_count(ctx, SUMI_QDOT_B, rows, false));
  SUMI_TRY(check_count(ctx, SUMI_QDOT_C, rows, false));
  SUMI_TRY(check_together(ctx, SUMI_QDOT_Y_SCALE, SUMI_QDOT_C));
  SUMI_TRY(check_together(ctx, SUMI_QDOT_C_SCALE, SUMI_QDOT_R));
  SUMI_TRY(check_together(ctx, SUMI_QDOT_R, SUMI_QDOT_INPUTS));
  const bool c_scale = sumi_infer_has(ctx, SUMI_QDOT_C_SCALE);
  const bool quantised = c_scale || sumi_infer_has(ctx, SUMI_QDOT_Y_SCALE);
  if (quantised && sumi_infer_has(ctx, SUMI_QDOT_C) != c_scale)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'c' and 'c_scale' must be given together");
  if (!quantised && sumi_infer_has(ctx, SUMI_QDOT_R))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "a residual is added to what has a scale only");
  return ctx->n_out && !ctx->out[0].absent ? check_residual(ctx) : SUMI_OK;
}

sumi_dtype sumi_qdot_dtype(const struct sumi_infer *ctx) {
  static const int zero[] = {SUMI_QDOT_S_ZERO, SUMI_QDOT_C_ZERO, SUMI_QDOT_Y_ZERO};
  for (size_t i = 0; i < SUMI_COUNT(zero); i++)
    if (sumi_infer_has(ctx, zero[i])) return ctx->in[zero[i]].dtype;
  return SUMI_FLOAT32;
}

/* ---- resolving ----------------------------------------------------------------------------------------------------- */

static uint8_t flip_of(const struct sumi_tensor *t) { return t->dtype == SUMI_INT8 ? 0x80 : 0; }

/* The stored zero point. */
static float zero_of(const struct sumi_tensor *t) { return (float)(*(const uint8_t *)t->data ^ flip_of(t)); }

static float scale_of(const struct sumi_tensor *t) { return *(const float *)t->data; }

/* x / scale quantised and held to a byte; otherwise where that is no number. */
static float limit(float x, float scale, float zero, float otherwise) {
  const float q = x / scale;
  if (q != q) return otherwise;
  return fminf(fmaxf(sumi_rint_small_f32(fminf(fmaxf(q, -1024), 1024)) + zero, 0), 255);
}

/* The byte's limits narrowed by a clamp; other functions leave them as they are. */
static void limits(const struct sumi_activation *a, float scale, float zero, float *lo, float *hi) {
  *lo = a->kind == SUMI_ACTIVATION_RELU   ? zero
        : a->kind == SUMI_ACTIVATION_CLIP ? limit(a->a, scale, zero, 0)
                                          : 0;
  *hi = a->kind == SUMI_ACTIVATION_CLIP ? limit(a->b, scale, zero, 255) : 255;
}

static bool given(const struct sumi_tensor *const *in, int n_in, int i) { return i < n_in && in[i]; }

/* Stage c behind a quantised y. */
static void add_c(const struct sumi_tensor *const *in, const struct sumi_activation *act,
                  struct sumi_qdot *q) {
  const float scale = scale_of(in[SUMI_QDOT_C_SCALE]);
  struct sumi_qdot_stage *s = &q->stage[q->n_stage++];
  *s = (struct sumi_qdot_stage){.zero = zero_of(in[SUMI_QDOT_C_ZERO])};
  if (is_clamp(act)) {
    s->mul = q->y_scale / scale;
    q->c_div = scale;
  } else {
    s->function = *act;
    s->mul = q->y_scale;
    s->out_mul = 1 / scale;
  }
  limits(act, scale, s->zero, &s->lo, &s->hi);
  q->y_flip = flip_of(in[SUMI_QDOT_C_ZERO]);
}

/* Stage c of the sum itself. */
static void add_direct(const struct sumi_tensor *const *in, int n_in, const struct sumi_activation *act,
                       struct sumi_qdot *q) {
  struct sumi_qdot_stage *s = &q->stage[q->n_stage++];
  q->direct = true;
  q->real = !given(in, n_in, SUMI_QDOT_C_SCALE);
  *s = (struct sumi_qdot_stage){.out_mul = 1};
  if (q->real || !is_clamp(act)) s->function = *act;
  if (q->real) return;
  s->zero = zero_of(in[SUMI_QDOT_C_ZERO]);
  s->out_mul = 1 / scale_of(in[SUMI_QDOT_C_SCALE]);
  limits(act, scale_of(in[SUMI_QDOT_C_SCALE]), s->zero, &s->lo, &s->hi);
  q->y_flip = flip_of(in[SUMI_QDOT_C_ZERO]);
}

static void add_r(const struct sumi_tensor *const *in, const struct sumi_activation *act,
                  struct sumi_qdot *q) {
  const float before = q->n_stage ? scale_of(in[SUMI_QDOT_C_SCALE]) : q->y_scale;
  const float scale = scale_of(in[SUMI_QDOT_S_SCALE]);
  struct sumi_qdot_stage *s = &q->stage[q->n_stage++];
  *s = (struct sumi_qdot_stage){.residual = true,
                                .mul = before / scale,
                                .zero = zero_of(in[SUMI_QDOT_S_ZERO]),
                                .r_zero = zero_of(in[SUMI_QDOT_R_ZERO]),
                                .r_mul = scale_of(in[SUMI_QDOT_R_SCALE]) / scale};
  limits(act, scale, s->zero, &s->lo, &s->hi);
  q->r_flip = flip_of(in[SUMI_QDOT_R_ZERO]);
  q->y_flip = flip_of(in[SUMI_QDOT_S_ZERO]);
}

sumi_status sumi_qdot_resolve(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in,
                              int64_t rows, struct sumi_qdot *q, struct sumi_err *err) {
  struct activations act;
  SUMI_TRY(read_activations(node, &act, err));
  for (int i = SUMI_QDOT_X_SCALE; i < n_in; i++)
    if (i != SUMI_QDOT_W && i != SUMI_QDOT_R && in[i] && !in[i]->data)
      SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "'%s' is not known", sumi_qdot_in[i].name);
  *q = (struct sumi_qdot){.rows = rows,
                          .x_zero = (int32_t)zero_of(in[SUMI_QDOT_X_ZERO]),
                          .x_flip = flip_of(in[SUMI_QDOT_X_ZERO]),
                          .w = in[SUMI_QDOT_W]->data,
                          .b = given(in, n_in, SUMI_QDOT_B) ? in[SUMI_QDOT_B]->data : NULL,
                          .c = given(in, n_in, SUMI_QDOT_C) ? in[SUMI_QDOT_C]->data : NULL,
                          .w_scale = in[SUMI_QDOT_W_SCALE]->data,
                          .w_scale_step = sumi_tensor_count(in[SUMI_QDOT_W_SCALE]) != 1,
                          .x_scale = scale_of(in[SUMI_QDOT_X_SCALE]),
                          .y_scale = 1,
                          .c_div = 1};
  if (given(in, n_in, SUMI_QDOT_Y_SCALE)) {
    q->y_scale = scale_of(in[SUMI_QDOT_Y_SCALE]);
    q->zero = zero_of(in[SUMI_QDOT_Y_ZERO]);
    q->y_flip = flip_of(in[SUMI_QDOT_Y_ZERO]);
    limits(&act.y, q->y_scale, q->zero, &q->lo, &q->hi);
    if (q->c) add_c(in, &act.c, q);
  } else {
    add_direct(in, n_in, &act.c, q);
  }
  if (given(in, n_in, SUMI_QDOT_R)) add_r(in, &act.r, q);
  return SUMI_OK;
}

/* ---- the arithmetic ------------------------------------------------------------------------------------------------ */

/* round(clamp(v, lo - zero, hi - zero)): q - zero. */
static inline float held(float v, float zero, float lo, float hi) {
  const float above = v > lo - zero ? v : lo - zero;
  return sumi_rint_small_f32(above < hi - zero ? above : hi - zero);
}

enum { PIECE = 256 };

/* d[n]: what stage s is given, and what it leaves: q - zero, or (real) the result. mul: the stage's, or row m's scale. */
static void finish_stage(const struct sumi_qdot *q, const struct sumi_qdot_stage *s, float mul, float add,
                         float *d, int64_t n, const uint8_t *r, int64_t r_step) {
  for (int64_t i = 0; i < n; i++) {
    const float plus = s->residual ? ((float)(r[i * r_step] ^ q->r_flip) - s->r_zero) * s->r_mul : add;
    d[i] = fmaf(d[i], mul, plus);
  }
  sumi_activation_apply(s->function, d, n);
  if (q->real) return;
  if (s->out_mul != 0)
    for (int64_t i = 0; i < n; i++) d[i] *= s->out_mul;
  for (int64_t i = 0; i < n; i++) d[i] = held(d[i], s->zero, s->lo, s->hi);
}

static void store(const struct sumi_qdot *q, const float *d, float zero, int64_t n, void *y, int64_t at,
                  int64_t step) {
  if (q->real)
    for (int64_t i = 0; i < n; i++) ((float *)y)[at + i * step] = d[i];
  else
    for (int64_t i = 0; i < n; i++)
      ((uint8_t *)y)[at + i * step] = (uint8_t)((uint8_t)(int32_t)(d[i] + zero) ^ q->y_flip);
}

void sumi_qdot_finish(const struct sumi_qdot *q, int64_t m, const uint32_t *sum, int64_t n, const uint8_t *r,
                      void *y, int64_t y_step) {
  const float scale = sumi_qdot_scale(q, m), add = sumi_qdot_add(q, m);
  const uint32_t bias = q->b ? (uint32_t)q->b[m] : 0;
  float d[PIECE];
  for (int64_t first = 0; first < n; first += PIECE) {
    const int64_t some = SUMI_MIN(n - first, PIECE);
    float zero = q->zero;
    for (int64_t i = 0; i < some; i++) d[i] = (float)(int32_t)(sum[first + i] + bias);
    if (!q->direct)
      for (int64_t i = 0; i < some; i++) d[i] = held(d[i] * scale, q->zero, q->lo, q->hi);
    for (int k = 0; k < q->n_stage; k++) {
      finish_stage(q, &q->stage[k], q->direct && k == 0 ? scale : q->stage[k].mul, add, d, some,
                   r ? r + first * y_step : NULL, y_step);
      zero = q->stage[k].zero;
    }
    store(q, d, zero, some, y, first * y_step, y_step);
  }
}
