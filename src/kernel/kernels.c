/* The table of kernels, gathered from the families. */
#include "kernel/kernels.h"

#include "kernel/spmm/spmm.h"

struct table {
  struct sumi_kernel_row *rows;
  size_t n, most;
};

static void add(struct table *t, const char *family, const char *name, enum sumi_isa isa, const char *what) {
  if (t->n < t->most) t->rows[t->n] = (struct sumi_kernel_row){family, name, isa, what};
  t->n++;
}

static void add_spmm(struct table *t) {
  size_t n;
  const struct sumi_spmm_f32_kernel *k = sumi_spmm_f32_kernels(&n);
  for (size_t i = 0; i < n; i++) add(t, "spmm", k[i].name, k[i].isa, k[i].what);
}

size_t sumi_kernel_rows(struct sumi_kernel_row *rows, size_t most) {
  struct table t = {rows, 0, most};
  add_spmm(&t);
  return t.n;
}
