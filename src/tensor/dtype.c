/* Element types and element access. The two switches over element types in Sumi's reference code are here. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "base/text.h"

static const struct {
  sumi_dtype code;
  const char *name, *onnx_name;
  int onnx, bits;
  char class;
} rows[] = {
#define SUMI_DTYPE(code, name, onnx_name, onnx, bits, class) {code, name, onnx_name, onnx, bits, class},
#include "tensor/dtype.def"
#undef SUMI_DTYPE
};

_Static_assert(SUMI_COUNT(rows) == SUMI_N_DTYPES, "dtype.def has a row for every type");

static bool known(sumi_dtype d) { return (int)d > 0 && d < SUMI_N_DTYPES; }

const char *sumi_dtype_label(sumi_dtype d) { return known(d) ? rows[d].name : "undefined"; }
const char *sumi_dtype_onnx_label(sumi_dtype d) { return known(d) ? rows[d].onnx_name : "undefined"; }
int sumi_dtype_bits(sumi_dtype d) { return known(d) ? rows[d].bits : 0; }
char sumi_dtype_class(sumi_dtype d) { return known(d) ? rows[d].class : 0; }
int sumi_dtype_to_onnx(sumi_dtype d) { return known(d) ? rows[d].onnx : 0; }

sumi_dtype sumi_dtype_from_label(const char *s, size_t n) {
  for (size_t i = 1; i < SUMI_COUNT(rows); i++)
    if ((strlen(rows[i].name) == n && !memcmp(rows[i].name, s, n)) ||
        (strlen(rows[i].onnx_name) == n && !memcmp(rows[i].onnx_name, s, n)))
      return rows[i].code;
  return SUMI_UNDEFINED;
}

sumi_dtype sumi_dtype_from_onnx(int64_t number) {
  for (size_t i = 1; i < SUMI_COUNT(rows); i++)
    if (rows[i].onnx == number) return rows[i].code;
  return SUMI_UNDEFINED;
}

/* Bits one element takes in memory: 6-bit floats are stored a byte each. */
static int stored_bits(sumi_dtype d) { return rows[d].bits == 6 ? 8 : rows[d].bits; }

bool sumi_dtype_bytes(sumi_dtype d, int64_t n, size_t *out) {
  if (!known(d) || n < 0) return false;
  const int bits = stored_bits(d);
  if (bits >= 8) return sumi_size_mul((size_t)n, (size_t)bits / 8, out);
  const int64_t each = 8 / bits;
  *out = (size_t)(n / each + (n % each != 0));
  return true;
}

static unsigned packed_get(const void *data, int64_t i, int bits) {
  const int each = 8 / bits;
  return (((const uint8_t *)data)[i / each] >> (i % each * bits)) & ((1u << bits) - 1);
}

static void packed_set(void *data, int64_t i, int bits, unsigned v) {
  const int each = 8 / bits, shift = (int)(i % each) * bits;
  const unsigned mask = ((1u << bits) - 1) << shift;
  uint8_t *p = (uint8_t *)data + i / each;
  *p = (uint8_t)((*p & ~mask) | ((v << shift) & mask));
}

static const struct sumi_minifloat *mini(sumi_dtype d) {
  switch (d) {
    case SUMI_FLOAT8E4M3FN: return &sumi_e4m3fn;
    case SUMI_FLOAT8E4M3FNUZ: return &sumi_e4m3fnuz;
    case SUMI_FLOAT8E5M2: return &sumi_e5m2;
    case SUMI_FLOAT8E5M2FNUZ: return &sumi_e5m2fnuz;
    case SUMI_FLOAT6E2M3: return &sumi_e2m3;
    case SUMI_FLOAT6E3M2: return &sumi_e3m2;
    default: return &sumi_e2m1;
  }
}

static int64_t sign_extend(unsigned v, int bits) {
  return v & (1u << (bits - 1)) ? (int64_t)v - (1 << bits) : (int64_t)v;
}

static int64_t saturate_i64(double x) {
  if (isnan(x)) return 0;
  return x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

double sumi_get_f64(sumi_dtype d, const void *data, int64_t i) {
  switch (d) {
    case SUMI_FLOAT32: return ((const float *)data)[i];
    case SUMI_FLOAT64: return ((const double *)data)[i];
    case SUMI_FLOAT16: return sumi_f32_from_f16(((const uint16_t *)data)[i]);
    case SUMI_BFLOAT16: return sumi_f32_from_bf16(((const uint16_t *)data)[i]);
    case SUMI_FLOAT8E8M0: return sumi_e8m0_decode(((const uint8_t *)data)[i]);
    case SUMI_FLOAT8E4M3FN:
    case SUMI_FLOAT8E4M3FNUZ:
    case SUMI_FLOAT8E5M2:
    case SUMI_FLOAT8E5M2FNUZ:
    case SUMI_FLOAT6E2M3:
    case SUMI_FLOAT6E3M2: return sumi_minifloat_decode(mini(d), ((const uint8_t *)data)[i]);
    case SUMI_FLOAT4E2M1: return sumi_minifloat_decode(mini(d), packed_get(data, i, 4));
    case SUMI_UINT64: return (double)((const uint64_t *)data)[i];
    default: return (double)sumi_get_i64(d, data, i);
  }
}

int64_t sumi_get_i64(sumi_dtype d, const void *data, int64_t i) {
  switch (d) {
    case SUMI_INT64:
    case SUMI_UINT64: return ((const int64_t *)data)[i];
    case SUMI_INT32: return ((const int32_t *)data)[i];
    case SUMI_INT16: return ((const int16_t *)data)[i];
    case SUMI_INT8: return ((const int8_t *)data)[i];
    case SUMI_INT4: return sign_extend(packed_get(data, i, 4), 4);
    case SUMI_INT2: return sign_extend(packed_get(data, i, 2), 2);
    case SUMI_UINT32: return ((const uint32_t *)data)[i];
    case SUMI_UINT16: return ((const uint16_t *)data)[i];
    case SUMI_UINT8: return ((const uint8_t *)data)[i];
    case SUMI_UINT4: return packed_get(data, i, 4);
    case SUMI_UINT2: return packed_get(data, i, 2);
    case SUMI_BOOL: return ((const uint8_t *)data)[i] != 0;
    case SUMI_STRING:
    case SUMI_COMPLEX64:
    case SUMI_COMPLEX128:
    case SUMI_UNDEFINED: return 0;
    default: return saturate_i64(sumi_get_f64(d, data, i));
  }
}

void sumi_set_f64(sumi_dtype d, void *data, int64_t i, double x) {
  switch (d) {
    case SUMI_FLOAT32: ((float *)data)[i] = (float)x; break;
    case SUMI_FLOAT64: ((double *)data)[i] = x; break;
    case SUMI_FLOAT16:
      ((uint16_t *)data)[i] = (uint16_t)sumi_minifloat_encode(&sumi_float16, x, false);
      break;
    case SUMI_BFLOAT16:
      ((uint16_t *)data)[i] = (uint16_t)sumi_minifloat_encode(&sumi_bfloat16, x, false);
      break;
    case SUMI_FLOAT8E8M0: ((uint8_t *)data)[i] = sumi_e8m0_encode(x, 0, true); break;
    case SUMI_FLOAT8E4M3FN:
    case SUMI_FLOAT8E4M3FNUZ:
    case SUMI_FLOAT8E5M2:
    case SUMI_FLOAT8E5M2FNUZ:
    case SUMI_FLOAT6E2M3:
    case SUMI_FLOAT6E3M2: ((uint8_t *)data)[i] = (uint8_t)sumi_minifloat_encode(mini(d), x, true); break;
    case SUMI_FLOAT4E2M1: packed_set(data, i, 4, sumi_minifloat_encode(mini(d), x, true)); break;
    case SUMI_BOOL: ((uint8_t *)data)[i] = x != 0; break; /* NaN is true */
    case SUMI_UINT64:
      ((uint64_t *)data)[i] =
          x >= 0x1p63 ? (x >= 0x1p64 ? UINT64_MAX : (uint64_t)x) : (uint64_t)saturate_i64(x);
      break;
    default: sumi_set_i64(d, data, i, saturate_i64(x));
  }
}

void sumi_set_tiny(sumi_dtype d, void *data, int64_t i, double x, bool saturate, int round) {
  if (d == SUMI_FLOAT8E8M0)
    ((uint8_t *)data)[i] = sumi_e8m0_encode(x, round, saturate);
  else if (sumi_dtype_in(d, SUMI_FLOAT8S))
    ((uint8_t *)data)[i] = (uint8_t)sumi_minifloat_encode(mini(d), x, saturate);
  else
    sumi_set_f64(d, data, i, x);
}

void sumi_set_i64(sumi_dtype d, void *data, int64_t i, int64_t x) {
  switch (d) {
    case SUMI_INT64:
    case SUMI_UINT64: ((int64_t *)data)[i] = x; break;
    case SUMI_INT32:
    case SUMI_UINT32: ((uint32_t *)data)[i] = (uint32_t)x; break;
    case SUMI_INT16:
    case SUMI_UINT16: ((uint16_t *)data)[i] = (uint16_t)x; break;
    case SUMI_INT8:
    case SUMI_UINT8: ((uint8_t *)data)[i] = (uint8_t)x; break;
    case SUMI_INT4:
    case SUMI_UINT4: packed_set(data, i, 4, (unsigned)x); break;
    case SUMI_INT2:
    case SUMI_UINT2: packed_set(data, i, 2, (unsigned)x); break;
    case SUMI_BOOL: ((uint8_t *)data)[i] = x != 0; break;
    case SUMI_FLOAT32: ((float *)data)[i] = (float)x; break; /* not by way of double, which rounds as well */
    case SUMI_STRING:
    case SUMI_COMPLEX64:
    case SUMI_COMPLEX128:
    case SUMI_UNDEFINED: break;
    default: sumi_set_f64(d, data, i, (double)x);
  }
}

void sumi_to_f32(sumi_dtype d, const void *src, int64_t first, int64_t n, float *dst) {
  if (d == SUMI_FLOAT32)
    memcpy(dst, (const float *)src + first, (size_t)n * 4);
  else if (d == SUMI_FLOAT16)
    for (int64_t i = 0; i < n; i++) dst[i] = sumi_f32_from_f16(((const uint16_t *)src)[first + i]);
  else if (d == SUMI_BFLOAT16)
    for (int64_t i = 0; i < n; i++) dst[i] = sumi_f32_from_bf16(((const uint16_t *)src)[first + i]);
  else
    for (int64_t i = 0; i < n; i++) dst[i] = (float)sumi_get_f64(d, src, first + i);
}

void sumi_from_f32(sumi_dtype d, const float *src, int64_t n, void *dst, int64_t first) {
  if (d == SUMI_FLOAT32)
    memcpy((float *)dst + first, src, (size_t)n * 4);
  else if (d == SUMI_FLOAT16)
    for (int64_t i = 0; i < n; i++) ((uint16_t *)dst)[first + i] = sumi_f16_from_f32(src[i]);
  else if (d == SUMI_BFLOAT16)
    for (int64_t i = 0; i < n; i++) ((uint16_t *)dst)[first + i] = sumi_bf16_from_f32(src[i]);
  else
    for (int64_t i = 0; i < n; i++) sumi_set_f64(d, dst, first + i, src[i]);
}

void sumi_copy(sumi_dtype d, void *dst, int64_t dst_first, const void *src, int64_t src_first, int64_t n) {
  if (n <= 0 || !known(d)) return;
  const int bits = stored_bits(d);
  if (bits >= 8) {
    const size_t b = (size_t)bits / 8;
    memcpy((char *)dst + (size_t)dst_first * b, (const char *)src + (size_t)src_first * b, (size_t)n * b);
  } else {
    for (int64_t i = 0; i < n; i++)
      packed_set(dst, dst_first + i, bits, packed_get(src, src_first + i, bits));
  }
}
