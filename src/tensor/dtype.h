/* Element types: names, sizes, and reading or writing one element of any type.
 * The element accessors are for reference code and for small tensors; fast paths know their type. */
#ifndef SUMI_TENSOR_DTYPE_H
#define SUMI_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sumi/types.h>

/* Sets of element types, for operator schemas: SUMI_BIT(SUMI_FLOAT32) | SUMI_INTS. */
#define SUMI_BIT(dtype) (UINT64_C(1) << (dtype))
#define SUMI_FLOATS \
  (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT64) | SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16))
#define SUMI_FLOAT8S                                                                         \
  (SUMI_BIT(SUMI_FLOAT8E4M3FN) | SUMI_BIT(SUMI_FLOAT8E4M3FNUZ) | SUMI_BIT(SUMI_FLOAT8E5M2) | \
   SUMI_BIT(SUMI_FLOAT8E5M2FNUZ) | SUMI_BIT(SUMI_FLOAT8E8M0))
#define SUMI_TINY_FLOATS (SUMI_BIT(SUMI_FLOAT6E2M3) | SUMI_BIT(SUMI_FLOAT6E3M2) | SUMI_BIT(SUMI_FLOAT4E2M1))
#define SUMI_SIGNED (SUMI_BIT(SUMI_INT64) | SUMI_BIT(SUMI_INT32) | SUMI_BIT(SUMI_INT16) | SUMI_BIT(SUMI_INT8))
#define SUMI_UNSIGNED \
  (SUMI_BIT(SUMI_UINT64) | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT16) | SUMI_BIT(SUMI_UINT8))
#define SUMI_INTS (SUMI_SIGNED | SUMI_UNSIGNED)
#define SUMI_TINY_INTS \
  (SUMI_BIT(SUMI_INT4) | SUMI_BIT(SUMI_UINT4) | SUMI_BIT(SUMI_INT2) | SUMI_BIT(SUMI_UINT2))
#define SUMI_INDICES (SUMI_BIT(SUMI_INT32) | SUMI_BIT(SUMI_INT64))
#define SUMI_NUMBERS (SUMI_FLOATS | SUMI_INTS)
#define SUMI_COMPLEX (SUMI_BIT(SUMI_COMPLEX64) | SUMI_BIT(SUMI_COMPLEX128))
#define SUMI_ANY ((UINT64_C(1) << SUMI_N_DTYPES) - 2) /* all but undefined */

const char *sumi_dtype_label(sumi_dtype d);      /* "float32" */
const char *sumi_dtype_onnx_label(sumi_dtype d); /* "float" */
sumi_dtype sumi_dtype_from_label(const char *s,
                                 size_t n);      /* also ONNX's "float", "double"; UNDEFINED = unknown */
sumi_dtype sumi_dtype_from_onnx(int64_t number); /* TensorProto.DataType; UNDEFINED = unknown */
int sumi_dtype_to_onnx(sumi_dtype d);
int sumi_dtype_bits(sumi_dtype d);
char sumi_dtype_class(sumi_dtype d); /* F I U B S C, 0 = undefined */

static inline bool sumi_dtype_in(sumi_dtype d, uint64_t set) {
  return d > SUMI_UNDEFINED && d < SUMI_N_DTYPES && (set & SUMI_BIT(d));
}
static inline bool sumi_dtype_is_float(sumi_dtype d) { return sumi_dtype_class(d) == 'F'; }
static inline bool sumi_dtype_is_int(sumi_dtype d) {
  return sumi_dtype_class(d) == 'I' || sumi_dtype_class(d) == 'U';
}

/* Bytes of n elements, packed (two 4-bit elements a byte, low half first, as ONNX stores them; 6-bit elements take
 * a byte each); false on overflow. */
bool sumi_dtype_bytes(sumi_dtype d, int64_t n, size_t *out);

/* Element i as a double, an int64 (floats truncate and saturate), and back (floats round to nearest even; integers
 * wrap modulo 2^bits after truncation; what a double cannot hold saturates). Not for strings or complex. */
double sumi_get_f64(sumi_dtype d, const void *data, int64_t i);
int64_t sumi_get_i64(sumi_dtype d, const void *data, int64_t i);
void sumi_set_f64(sumi_dtype d, void *data, int64_t i, double x);
void sumi_set_i64(sumi_dtype d, void *data, int64_t i, int64_t x);

/* Writes a float8, float6 or float4 element. saturate as in sumi_minifloat_encode (types without infinity and NaN always
 * do); round is for float8e8m0, as in sumi_e8m0_encode. Other types: as sumi_set_f64. */
void sumi_set_tiny(sumi_dtype d, void *data, int64_t i, double x, bool saturate, int round);

/* n elements as floats / from floats; the fast way for float16 and bfloat16 reference code. */
void sumi_to_f32(sumi_dtype d, const void *src, int64_t first, int64_t n, float *dst);
void sumi_from_f32(sumi_dtype d, const float *src, int64_t n, void *dst, int64_t first);

/* Copies n elements of one type, strings by reference, packed types bit by bit when unaligned. */
void sumi_copy(sumi_dtype d, void *dst, int64_t dst_first, const void *src, int64_t src_first, int64_t n);

#endif
