/* The table of rows kernels. */
#include "kernel/rows/rows.h"

#include "base/size.h"

#define ROWS(level, suffix, ...)                                                                      \
  void sumi_rows_softmax_##suffix(const float *x, int64_t n, bool log_form, float *y);                \
  void sumi_rows_columns_##suffix(const float *x, int64_t n, int64_t inner, bool log_form, float *y); \
  void sumi_rows_norm_##suffix(const struct sumi_rows_norm *p, const float *x, float *y);
#include "kernel/rows/rows.def"
#undef ROWS

static const struct sumi_rows_kernel table[] = {
#define ROWS(level, suffix, what)                                                               \
  {"rows/" #suffix,        level, what, sumi_rows_softmax_##suffix, sumi_rows_columns_##suffix, \
   sumi_rows_norm_##suffix},
#include "kernel/rows/rows.def"
#undef ROWS
};

const struct sumi_rows_kernel *sumi_rows_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_rows_kernel *sumi_rows_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}
