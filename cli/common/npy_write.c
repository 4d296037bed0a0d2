/* Writing .npy: row-major, format 1. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/npy.h"

static const struct {
  sumi_dtype dtype;
  const char *descr; /* what NumPy (with ml_dtypes, where it has no name of its own) writes for it */
} descriptors[] = {
    {SUMI_FLOAT32, "<f4"},        {SUMI_FLOAT64, "<f8"},        {SUMI_FLOAT16, "<f2"},
    {SUMI_INT64, "<i8"},          {SUMI_INT32, "<i4"},          {SUMI_INT16, "<i2"},
    {SUMI_INT8, "|i1"},           {SUMI_UINT64, "<u8"},         {SUMI_UINT32, "<u4"},
    {SUMI_UINT16, "<u2"},         {SUMI_UINT8, "|u1"},          {SUMI_BOOL, "|b1"},
    {SUMI_COMPLEX64, "<c8"},      {SUMI_COMPLEX128, "<c16"},    {SUMI_BFLOAT16, "<V2"},
    {SUMI_FLOAT8E4M3FN, "|V1"},   {SUMI_FLOAT8E4M3FNUZ, "|V1"}, {SUMI_FLOAT8E5M2, "|V1"},
    {SUMI_FLOAT8E5M2FNUZ, "|V1"}, {SUMI_FLOAT8E8M0, "|V1"},     {SUMI_FLOAT6E2M3, "|V1"},
    {SUMI_FLOAT6E3M2, "|V1"},     {SUMI_FLOAT4E2M1, "|V1"},     {SUMI_INT4, "|i1"},
    {SUMI_INT2, "|i1"},           {SUMI_UINT4, "|u1"},          {SUMI_UINT2, "|u1"},
};

static void write_header(FILE *f, const char *descr, const struct sumi_view *v) {
  char text[512];
  int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (int i = 0; i < v->rank; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, "%lld,%s", (long long)v->dims[i],
                  i + 1 < v->rank ? " " : "");
  n += snprintf(text + n, sizeof text - (size_t)n, "), }");
  const int total = (10 + n + 1 + 63) / 64 * 64 - 10; /* data begins at a multiple of 64 bytes */
  fwrite("\x93NUMPY\x01\x00", 1, 8, f);
  fputc(total & 255, f);
  fputc(total >> 8, f);
  fprintf(f, "%s%*s\n", text, total - n - 1, "");
}

/* Offset of the i-th element in row-major order. */
static int64_t offset_of(const struct sumi_view *v, int64_t i) {
  if (!v->strides) return i;
  int64_t at = 0;
  for (int d = v->rank - 1; d >= 0; d--) {
    at += i % v->dims[d] * v->strides[d];
    i /= v->dims[d];
  }
  return at;
}

static void write_elements(FILE *f, const struct sumi_view *v, int64_t n) {
  const size_t bits = sumi_dtype_size_bits(v->dtype);
  const uint8_t *data = v->data;
  if (bits >= 8 && !v->strides) {
    if (n > 0) fwrite(data, bits / 8, (size_t)n, f);
    return;
  }
  const bool is_signed = v->dtype == SUMI_INT4 || v->dtype == SUMI_INT2;
  for (int64_t i = 0; i < n; i++) {
    const size_t at = (size_t)offset_of(v, i);
    if (bits >= 8) {
      fwrite(data + at * (bits / 8), bits / 8, 1, f);
    } else if (8 % bits) { /* 6-bit floats lie one a byte */
      fputc(data[at], f);
    } else {
      const unsigned x = data[at * bits / 8] >> (at * bits % 8) & ((1u << bits) - 1);
      fputc(is_signed && x >> (bits - 1) ? (int)(x | (0xffu << bits & 0xff)) : (int)x, f);
    }
  }
}

/* Code points of a text, or -1 where it is not UTF-8 or ends in a zero that NumPy would drop. */
static int64_t decode(const struct sumi_str *s, uint32_t *out) {
  int64_t n = 0;
  for (size_t i = 0; i < s->size; n++) {
    const uint8_t b = (uint8_t)s->data[i++];
    int more = b < 0x80 ? 0 : b >> 5 == 6 ? 1 : b >> 4 == 14 ? 2 : b >> 3 == 30 ? 3 : -1;
    if (more < 0) return -1;
    uint32_t u = more ? b & (0x3fu >> more) : b;
    for (; more > 0; more--) {
      if (i >= s->size || ((uint8_t)s->data[i] & 0xc0) != 0x80) return -1;
      u = u << 6 | ((uint8_t)s->data[i++] & 0x3f);
    }
    if (out) out[n] = u;
    if (!u && i == s->size) return -1;
  }
  return n;
}

static sumi_status write_strings(FILE *f, const struct sumi_view *v, int64_t n, struct sumi_err *err) {
  const struct sumi_str *str = v->data;
  int64_t widest = 1;
  size_t longest = 1;
  bool unicode = true;
  for (int64_t i = 0; i < n; i++) {
    const int64_t w = decode(&str[offset_of(v, i)], NULL);
    unicode = unicode && w >= 0;
    if (w > widest) widest = w;
    if (str[offset_of(v, i)].size > longest) longest = str[offset_of(v, i)].size;
  }
  size_t width = unicode ? (size_t)widest * 4 : longest;
  if (longest > (size_t)1 << 28) return cli_fail(err, SUMI_E_LIMIT, "a text of %zu bytes", longest);
  char descr[32];
  snprintf(descr, sizeof descr, unicode ? "<U%zu" : "|S%zu", unicode ? (size_t)widest : width);
  write_header(f, descr, v);
  uint8_t *cell = cli_alloc(width);
  for (int64_t i = 0; i < n; i++) {
    const struct sumi_str *s = &str[offset_of(v, i)];
    memset(cell, 0, width);
    if (unicode)
      decode(s, (uint32_t *)(void *)cell);
    else if (s->size)
      memcpy(cell, s->data, s->size);
    fwrite(cell, 1, width, f);
  }
  free(cell);
  return SUMI_OK;
}

sumi_status cli_npy_write(const char *path, const struct sumi_view *v, struct sumi_err *err) {
  FILE *f = fopen(path, "wb");
  if (!f) return cli_fail(err, SUMI_E_IO, "'%s' cannot be written: %s", path, strerror(errno));
  sumi_status status = SUMI_OK;
  const int64_t n = sumi_view_count(v);
  if (v->dtype == SUMI_STRING) {
    status = write_strings(f, v, n, err);
  } else {
    const char *descr = NULL;
    for (size_t i = 0; i < CLI_COUNT(descriptors); i++)
      if (descriptors[i].dtype == v->dtype) descr = descriptors[i].descr;
    if (!descr)
      status = cli_fail(err, SUMI_E_UNSUPPORTED, "%s cannot be written as .npy", sumi_dtype_name(v->dtype));
    else
      write_header(f, descr, v), write_elements(f, v, n);
  }
  const bool bad = ferror(f) != 0;
  if ((fclose(f) != 0 || bad) && status == SUMI_OK)
    status = cli_fail(err, SUMI_E_IO, "'%s' cannot be written: %s", path, strerror(errno));
  return status;
}
