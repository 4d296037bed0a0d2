/* NumPy's .npy (format 1 to 3) and .npz files. Sources: numpy.lib.format's documentation; .npz is a zip of .npy. */
#ifndef CLI_COMMON_NPY_H
#define CLI_COMMON_NPY_H

#include "common/tensor.h"

/* A file's bytes. */
struct cli_bytes {
  uint8_t *data; /* owned */
  size_t n;
};
sumi_status cli_bytes_read(const char *path, struct cli_bytes *out, struct sumi_err *err);
void cli_bytes_fini(struct cli_bytes *b);

/* Reads an array: every dtype but objects and records; Fortran order becomes strides, other byte orders are swapped,
 * NumPy's fixed-width texts become strings. */
sumi_status cli_npy_parse(const char *name, const uint8_t *bytes, size_t n, struct cli_tensor **out,
                          struct sumi_err *err);
/* All arrays of a zip archive (stored or deflated); arrays[n] are owned by the caller even after a failure. */
sumi_status cli_npz_parse(const uint8_t *bytes, size_t n, struct cli_tensor ***arrays, size_t *n_arrays,
                          struct sumi_err *err);

/* Writes a tensor row-major, format 1. Types that NumPy cannot name are written as raw bytes ('|V1', '<V2'), 4- and
 * 2-bit integers as int8 or uint8, strings as fixed-width text. */
sumi_status cli_npy_write(const char *path, const struct sumi_view *view, struct sumi_err *err);

sumi_status cli_fail(struct sumi_err *err, sumi_status status, const char *format, ...) CLI_PRINTF(3, 4);

#endif
