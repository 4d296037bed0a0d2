/* The vocabulary every part of Sumi shares: status codes, errors, element types, allocator, strings.
 * Programs include <sumi/sumi.h>, which includes this file. Nothing here allocates. */
#ifndef SUMI_TYPES_H
#define SUMI_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SUMI_SHARED_BUILD) && defined(__GNUC__)
#define SUMI_API __attribute__((visibility("default")))
#else
#define SUMI_API
#endif

/* What became of a call. Names and sentences: sumi_status_name(). */
typedef enum sumi_status {
  SUMI_OK = 0,
  SUMI_E_ARG,         /* the caller's argument is wrong */
  SUMI_E_MEMORY,      /* the allocator said no */
  SUMI_E_IO,          /* a file could not be opened or read */
  SUMI_E_FORMAT,      /* a file or text is damaged */
  SUMI_E_LIMIT,       /* a documented, adjustable limit was passed */
  SUMI_E_UNSUPPORTED, /* well formed, but nothing here can take it */
  SUMI_E_TYPE,        /* element types do not fit */
  SUMI_E_SHAPE,       /* shapes do not fit */
  SUMI_E_VALUE,       /* a value (attribute, index, input) is out of range */
  SUMI_E_STATE,       /* calls in the wrong order */
  SUMI_E_INTERNAL,    /* our own mistake: please report it */
  SUMI_E_DEVICE       /* an accelerator card failed or does not answer */
} sumi_status;

enum { SUMI_ERR_TEXT = 2032 };

/* Filled by the call that fails; the first failure is kept. Zero-initialise with SUMI_ERR_INIT.
 * A NULL struct sumi_err * is allowed wherever one is taken. */
struct sumi_err {
  size_t size; /* sizeof(struct sumi_err) */
  sumi_status status;
  char text[SUMI_ERR_TEXT];
};
#define SUMI_ERR_INIT                       \
  {                                         \
    sizeof(struct sumi_err), SUMI_OK, { 0 } \
  }

/* Element types: every one that ONNX names. Never written to files as numbers. */
typedef enum sumi_dtype {
  SUMI_UNDEFINED = 0,
  SUMI_FLOAT32,
  SUMI_FLOAT64,
  SUMI_FLOAT16,
  SUMI_BFLOAT16,
  SUMI_FLOAT8E4M3FN,
  SUMI_FLOAT8E4M3FNUZ,
  SUMI_FLOAT8E5M2,
  SUMI_FLOAT8E5M2FNUZ,
  SUMI_FLOAT8E8M0,
  SUMI_FLOAT6E2M3,
  SUMI_FLOAT6E3M2,
  SUMI_FLOAT4E2M1,
  SUMI_INT64,
  SUMI_INT32,
  SUMI_INT16,
  SUMI_INT8,
  SUMI_INT4,
  SUMI_INT2,
  SUMI_UINT64,
  SUMI_UINT32,
  SUMI_UINT16,
  SUMI_UINT8,
  SUMI_UINT4,
  SUMI_UINT2,
  SUMI_BOOL,
  SUMI_STRING,
  SUMI_COMPLEX64,
  SUMI_COMPLEX128,
  SUMI_N_DTYPES
} sumi_dtype;

/* What a value is made of. */
typedef enum sumi_kind {
  SUMI_TENSOR = 0,
  SUMI_SEQUENCE,          /* of tensors */
  SUMI_OPTIONAL,          /* a tensor or nothing */
  SUMI_OPTIONAL_SEQUENCE, /* a sequence of tensors or nothing */
  SUMI_MAP,               /* from integers or strings to numbers or strings */
  SUMI_MAP_SEQUENCE,      /* a sequence of maps */
  SUMI_N_KINDS
} sumi_kind;

/* The largest rank of a tensor. */
enum { SUMI_MAX_RANK = 12 };

/* One string element: bytes, not necessarily terminated. */
struct sumi_str {
  const char *data;
  size_t size; /* bytes */
};

/* Where memory comes from. alloc returns NULL when it cannot; align is a power of two >= 16.
 * Both functions may be called from the thread that makes the call only. */
struct sumi_allocator {
  void *user;
  void *(*alloc)(void *user, size_t bytes, size_t align);
  void (*free)(void *user, void *block, size_t bytes);
};

#ifdef __cplusplus
}
#endif
#endif
