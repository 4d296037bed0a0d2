/* All kernels of all families as one table, for tools. */
#ifndef SUMI_KERNEL_KERNELS_H
#define SUMI_KERNEL_KERNELS_H

#include "cpu/cpu.h"

struct sumi_kernel_row {
  const char *family, *name; /* "spmm", "spmm_f32/avx512" */
  enum sumi_isa isa;
  const char *what;
};

enum { SUMI_MAX_KERNEL_ROWS = 256 };

/* The number of rows; row i is written to rows[i] for i < most. */
size_t sumi_kernel_rows(struct sumi_kernel_row *rows, size_t most);

#endif
