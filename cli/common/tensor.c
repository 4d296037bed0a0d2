/* Tensors that own their memory. Sizes come from files: every product is checked. */
#include "common/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool cli_tensor_bytes(sumi_dtype dtype, int64_t n, size_t *bytes) {
  if (n < 0) return false;
  if (dtype == SUMI_STRING) return !__builtin_mul_overflow((size_t)n, sizeof(struct sumi_str), bytes);
  size_t bits = sumi_dtype_size_bits(dtype);
  if (bits == 6) bits = 8; /* 6-bit floats lie one a byte */
  if (__builtin_mul_overflow((size_t)n, bits, &bits)) return false;
  *bytes = bits / 8 + (bits % 8 != 0);
  return true;
}

static struct cli_tensor *tensor_alloc(const char *name) {
  struct cli_tensor *t = cli_alloc(sizeof *t);
  t->name = cli_strdup(name);
  t->view.size = sizeof t->view;
  t->view.name = t->name;
  return t;
}

struct cli_tensor *cli_tensor_new(const char *name, sumi_dtype dtype, int rank, const int64_t *dims) {
  int64_t n = 1;
  size_t bytes;
  for (int i = 0; i < rank; i++)
    if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n)) return NULL;
  if (!cli_tensor_bytes(dtype, n, &bytes)) return NULL;
  struct cli_tensor *t = tensor_alloc(name);
  for (int i = 0; i < rank; i++) t->dims[i] = dims[i];
  t->memory = cli_alloc(bytes);
  t->view.data = t->memory;
  t->view.dtype = dtype;
  t->view.rank = rank;
  t->view.dims = t->dims;
  return t;
}

struct cli_tensor *cli_tensor_from_buffer(const char *name, struct sumi_buffer *take_buffer) {
  struct cli_tensor *t = tensor_alloc(name);
  t->buffer = take_buffer;
  t->view = *sumi_buffer_view(take_buffer);
  t->view.name = t->name;
  return t;
}

void cli_tensor_free(struct cli_tensor *t) {
  if (!t) return;
  sumi_buffer_free(t->buffer);
  free(t->memory);
  free(t->text);
  free(t->name);
  free(t);
}

void cli_tensor_rename(struct cli_tensor *t, const char *name) {
  char *copy = cli_strdup(name);
  free(t->name);
  t->name = copy;
  t->view.name = copy;
}

/* One byte an element to bits a element, low bits first, in row-major order. */
static void pack(struct cli_tensor *t, unsigned bits) {
  const int64_t n = sumi_view_count(&t->view);
  uint8_t *packed = cli_alloc((size_t)n * bits / 8 + 1);
  const unsigned per_byte = 8 / bits, mask = (1u << bits) - 1;
  int64_t index[SUMI_MAX_RANK] = {0};
  const uint8_t *from = t->memory;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = t->view.strides ? 0 : i;
    for (int d = 0; t->view.strides && d < t->view.rank; d++) at += index[d] * t->view.strides[d];
    packed[(uint64_t)i / per_byte] |= (uint8_t)((from[at] & mask) << ((uint64_t)i % per_byte * bits));
    for (int d = t->view.rank - 1; d >= 0 && ++index[d] == t->dims[d]; d--) index[d] = 0;
  }
  free(t->memory);
  t->memory = packed;
  t->view.data = packed;
  t->view.strides = NULL;
}

bool cli_tensor_adopt(struct cli_tensor *t, sumi_dtype dtype) {
  if (t->view.dtype == dtype && !t->opaque_bytes) return true;
  const unsigned bits = (unsigned)sumi_dtype_size_bits(dtype);
  const bool narrow = bits > 0 && bits < 8 && dtype != SUMI_BOOL;
  const bool bytes = t->opaque_bytes == 1 || t->view.dtype == SUMI_INT8 || t->view.dtype == SUMI_UINT8;
  if (narrow && t->memory && bytes) {
    if (8 % bits == 0) pack(t, bits);
  } else if (!t->opaque_bytes || (unsigned)t->opaque_bytes * 8 != bits || dtype == SUMI_BOOL) {
    return false;
  }
  t->view.dtype = dtype;
  t->opaque_bytes = 0;
  return true;
}

static double between(double x, double low, double high) { return x > low ? x < high ? x : high : low; }

/* For magnitudes of inputs: beyond 65504 saturates, below 2^-14 is zero. */
static uint16_t to_half(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  const uint32_t sign = u >> 16 & 0x8000, m = u & 0x7fffffff;
  if (m >= 0x477fe000) return (uint16_t)(sign | 0x7bff);
  if (m < 0x38800000) return (uint16_t)sign;
  return (uint16_t)(sign | ((m - 0x38000000 + 0xfff + (m >> 13 & 1)) >> 13));
}

void cli_tensor_put(struct cli_tensor *t, int64_t i, double x) {
  void *data = t->memory;
  switch (t->view.dtype) {
    case SUMI_FLOAT64: ((double *)data)[i] = x; break;
    case SUMI_FLOAT32: ((float *)data)[i] = (float)x; break;
    case SUMI_FLOAT16: ((uint16_t *)data)[i] = to_half((float)x); break;
    case SUMI_BFLOAT16: {
      const float f = (float)x;
      memcpy((uint16_t *)data + i, (const char *)&f + 2, 2); /* cut: inputs need no rounding */
      break;
    }
    case SUMI_INT64: ((int64_t *)data)[i] = (int64_t)between(x, -0x1p62, 0x1p62); break;
    case SUMI_INT32: ((int32_t *)data)[i] = (int32_t)between(x, INT32_MIN, INT32_MAX); break;
    case SUMI_INT16: ((int16_t *)data)[i] = (int16_t)between(x, INT16_MIN, INT16_MAX); break;
    case SUMI_INT8: ((int8_t *)data)[i] = (int8_t)between(x, INT8_MIN, INT8_MAX); break;
    case SUMI_UINT64: ((uint64_t *)data)[i] = (uint64_t)between(x, 0, 0x1p63); break;
    case SUMI_UINT32: ((uint32_t *)data)[i] = (uint32_t)between(x, 0, UINT32_MAX); break;
    case SUMI_UINT16: ((uint16_t *)data)[i] = (uint16_t)between(x, 0, UINT16_MAX); break;
    case SUMI_UINT8: ((uint8_t *)data)[i] = (uint8_t)nearbyint(between(x, 0, UINT8_MAX)); break;
    case SUMI_BOOL: ((uint8_t *)data)[i] = x != 0; break;
    default: break; /* other types keep zeros */
  }
}

bool cli_tensor_puts(sumi_dtype dtype) {
  switch (dtype) {
    case SUMI_FLOAT64:
    case SUMI_FLOAT32:
    case SUMI_FLOAT16:
    case SUMI_BFLOAT16:
    case SUMI_UINT8:
    case SUMI_INT32:
    case SUMI_INT64: return true;
    default: return false;
  }
}
