/* STFT: the spectra of frames of a signal [batch, length, 1 or 2], frame t from element t * frame_step on, each element
 * times a window. Output [batch, frames, bins, 2] with frames = (length - frame_length) / frame_step + 1 and bins =
 * frame_length, or frame_length / 2 + 1 when onesided (real signals only). In double precision, rounded once. */
#include <inttypes.h>

#include "base/size.h"
#include "op/fourier.h"
#include "op/op_util.h"

enum { SIGNAL, STEP, WINDOW, LENGTH };

/* The number in input i: *known is false where its contents are not there yet. */
static sumi_status number(const struct sumi_tensor *t, const char *name, int64_t *out, struct sumi_err *err) {
  if (sumi_tensor_count(t) != 1) SUMI_FAIL(err, SUMI_E_SHAPE, "%s is not one number", name);
  *out = sumi_get_i64(t->dtype, t->data, 0);
  if (*out < 1) SUMI_FAIL(err, SUMI_E_VALUE, "%s is %" PRId64, name, *out);
  return SUMI_OK;
}

/* Frame length from what is known: the input, the window, the signal. */
static sumi_status frame_length(struct sumi_infer *ctx, sumi_dim *length) {
  const bool window = sumi_infer_has(ctx, WINDOW), given = sumi_infer_has(ctx, LENGTH);
  const sumi_dim from_window =
      window && ctx->in[WINDOW].rank == 1 ? ctx->in[WINDOW].dim[0] : SUMI_DIM_UNKNOWN;
  if (window && ctx->in[WINDOW].rank >= 0 && ctx->in[WINDOW].rank != 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the window has rank %d, not 1", ctx->in[WINDOW].rank);
  *length = window ? from_window : given ? SUMI_DIM_UNKNOWN : ctx->in[SIGNAL].dim[1];
  if (given && ctx->in[LENGTH].data) {
    int64_t n = 0;
    SUMI_TRY(number(ctx->in[LENGTH].data, "frame_length", &n, ctx->err));
    if (from_window >= 0 && from_window != n)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "frame_length is %" PRId64 ", the window has %" PRId64 " elements", n,
                from_window);
    *length = n;
  }
  if (*length == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a frame of no elements is not defined");
  return SUMI_OK;
}

static sumi_status stft_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[SIGNAL];
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (x->rank != 3) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the signal has rank %d, not 3", x->rank);
  if (x->dim[2] >= 0 && x->dim[2] != 1 && x->dim[2] != 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the last dimension is %" PRId64 ", not 1 or 2", x->dim[2]);
  const bool onesided = sumi_attr_int(ctx->node, "onesided", 1) != 0;
  if (onesided && x->dim[2] == 2)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "a complex signal has no one-sided spectrum");
  sumi_dim length = SUMI_DIM_UNKNOWN, frames = SUMI_DIM_UNKNOWN;
  int64_t step = 1;
  SUMI_TRY(frame_length(ctx, &length));
  if (x->dim[1] >= 0 && length > x->dim[1])
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a frame of %" PRId64 " does not fit in a signal of %" PRId64, length,
              x->dim[1]);
  if (ctx->in[STEP].data) {
    SUMI_TRY(number(ctx->in[STEP].data, "frame_step", &step, ctx->err));
    const sumi_dim room = sumi_dim_sub(ctx->symbols, x->dim[1], length);
    frames = sumi_dim_add(ctx->symbols, sumi_dim_div(ctx->symbols, room, step), 1);
  }
  const sumi_dim bins =
      onesided ? sumi_dim_add(ctx->symbols, sumi_dim_div(ctx->symbols, length, 2), 1) : length;
  sumi_infer_out(ctx, 0, x->dtype, 4, (sumi_dim[]){x->dim[0], frames, bins, 2});
  return SUMI_OK;
}

static sumi_status stft_scratch(const struct sumi_call *c, size_t *bytes) {
  /* the frame's length may not be known yet: no longer than the signal, and one-sided bins are half as many and one */
  const int64_t signal = SUMI_MAX(c->in[SIGNAL]->dim[1], 1), bins = c->out[0]->dim[2];
  const int64_t most = bins < signal ? SUMI_MIN(signal, 2 * bins + 1) : signal;
  size_t doubles;
  if (!sumi_fourier_doubles(most, &doubles) || !sumi_size_mul(doubles, sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a frame of %" PRId64 " elements is too long", most);
  return SUMI_OK;
}

static sumi_status stft_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[SIGNAL], *y = c->out[0],
                           *window = sumi_call_has(c, WINDOW) ? c->in[WINDOW] : NULL;
  int64_t step = 1, n = window ? window->dim[0] : x->dim[1];
  SUMI_TRY(number(c->in[STEP], "frame_step", &step, c->err));
  if (sumi_call_has(c, LENGTH)) SUMI_TRY(number(c->in[LENGTH], "frame_length", &n, c->err));
  if (!sumi_tensor_count(y)) return SUMI_OK;
  struct sumi_fourier f;
  sumi_fourier_init(&f, n, c->scratch);
  const int64_t frames = y->dim[1], bins = y->dim[2], parts = x->dim[2];
  for (int64_t bt = 0; bt < x->dim[0] * frames; bt++) {
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = (bt / frames * x->dim[1] + bt % frames * step + i) * parts;
      const double w = window ? sumi_get_f64(window->dtype, window->data, i) : 1;
      f.in.re[i] = w * sumi_get_f64(x->dtype, x->data, at);
      f.in.im[i] = parts == 2 ? w * sumi_get_f64(x->dtype, x->data, at + 1) : 0;
    }
    sumi_fourier_run(&f, false);
    for (int64_t k = 0; k < bins; k++) {
      sumi_set_f64(y->dtype, y->data, (bt * bins + k) * 2, f.out.re[k]);
      sumi_set_f64(y->dtype, y->data, (bt * bins + k) * 2 + 1, f.out.im[k]);
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"onesided", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"signal", SUMI_FLOATS, 'T'},
                                      {"frame_step", SUMI_INDICES},
                                      {"window", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {"frame_length", SUMI_INDICES, 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,40,1] x, float[16] w) => (y) <int64 s = {6}> { y = STFT (x, s, w) }", .rtol = 1e-6,
     .why = "rounded once"},
    {"g (float[1,30,2] x) => (y) <int64 s = {5}, int64 n = {9}> { y = STFT <onesided = 0> (x, s, , n) }",
     .rtol = 1e-6, .why = "a complex signal, a length that is no power of two"},
    {NULL},
};

const struct sumi_op sumi_op_stft = {
    .name = "STFT",
    .formula = "DFT of windowed frames of a signal",
    .known_as = {{"", "STFT", {17}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = stft_infer,
    .ref = stft_ref,
    .scratch = stft_scratch,
    .cases = cases,
};
