/* Widening of half-precision tensors into scratch and rounding back. */
#include "op/widen.h"

#include "base/size.h"

static bool is_half(const struct sumi_tensor *t) {
  return t && (t->dtype == SUMI_FLOAT16 || t->dtype == SUMI_BFLOAT16);
}

sumi_status sumi_widen_scratch(const struct sumi_call *call, size_t *bytes) {
  size_t sum = 0;
  for (int k = 0; k < call->n_in + call->n_out; k++) {
    const struct sumi_tensor *t = k < call->n_in ? call->in[k] : call->out[k - call->n_in];
    if (!is_half(t)) continue;
    size_t n;
    if (!sumi_size_mul((size_t)sumi_tensor_count(t), sizeof(float), &n) || !sumi_size_align(n, 64, &n) ||
        !sumi_size_add(sum, n, &sum))
      SUMI_FAIL(call->err, SUMI_E_LIMIT, "the scratch for half precision passes 2^64 bytes");
  }
  *bytes = sum;
  return SUMI_OK;
}

static float *take(char **at, const struct sumi_tensor *t) {
  float *p = (float *)(void *)*at;
  *at += ((size_t)sumi_tensor_count(t) * sizeof(float) + 63) & ~(size_t)63;
  return p;
}

void sumi_widen(const struct sumi_call *call, struct sumi_wide *wide) {
  *wide = (struct sumi_wide){0};
  char *at = call->scratch;
  for (int i = 0; i < call->n_in && i < SUMI_WIDEN_MAX; i++) {
    const struct sumi_tensor *t = call->in[i];
    if (t && t->dtype == SUMI_FLOAT32) wide->in[i] = t->data;
    if (!is_half(t)) continue;
    float *f = take(&at, t);
    sumi_to_f32(t->dtype, t->data, 0, sumi_tensor_count(t), f);
    wide->in[i] = f;
  }
  for (int i = 0; i < call->n_out && i < SUMI_WIDEN_MAX; i++) {
    const struct sumi_tensor *t = call->out[i];
    if (t && t->dtype == SUMI_FLOAT32) wide->out[i] = t->data;
    if (is_half(t)) wide->out[i] = take(&at, t);
  }
}

void sumi_narrow(const struct sumi_call *call, const struct sumi_wide *wide) {
  for (int i = 0; i < call->n_out && i < SUMI_WIDEN_MAX; i++)
    if (is_half(call->out[i]))
      sumi_from_f32(call->out[i]->dtype, wide->out[i], sumi_tensor_count(call->out[i]), call->out[i]->data,
                    0);
}
