/* The table of kernels, gathered from the families. */
#include "kernel/kernels.h"

#include "kernel/attention_i8/attention_i8.h"
#include "kernel/convert/convert.h"
#include "kernel/copy/copy.h"
#include "kernel/depthwise/depthwise.h"
#include "kernel/depthwise/depthwise_i8.h"
#include "kernel/eltwise/eltwise.h"
#include "kernel/lane/lane.h"
#include "kernel/lane/lane_bf16.h"
#include "kernel/norm_i8/norm_i8.h"
#include "kernel/pool/pool.h"
#include "kernel/pool/pool_i8.h"
#include "kernel/reduce/reduce.h"
#include "kernel/resize/resize.h"
#include "kernel/rows/rows.h"
#include "kernel/spmm/spmm.h"
#include "kernel/spmm/spmm_bf16.h"
#include "kernel/spmm/spmm_i8.h"

struct table {
  struct sumi_kernel_row *rows;
  size_t n, most;
};

static void add(struct table *t, const char *family, const char *name, enum sumi_isa isa, const char *what) {
  if (t->n < t->most) t->rows[t->n] = (struct sumi_kernel_row){family, name, isa, what};
  t->n++;
}

/* One function a family: its rows have the same first fields, but each family has its own struct. */
#define ADD_FAMILY(family, rows_of, type)                                           \
  static void add_##family(struct table *t) {                                       \
    size_t n;                                                                       \
    const struct type *k = rows_of(&n);                                             \
    for (size_t i = 0; i < n; i++) add(t, #family, k[i].name, k[i].isa, k[i].what); \
  }
ADD_FAMILY(spmm, sumi_spmm_f32_kernels, sumi_spmm_f32_kernel)
ADD_FAMILY(spmm_i8, sumi_spmm_i8_kernels, sumi_spmm_i8_kernel)
ADD_FAMILY(spmm_bf16, sumi_spmm_bf16_kernels, sumi_spmm_bf16_kernel)
ADD_FAMILY(depthwise, sumi_depthwise_kernels, sumi_depthwise_kernel)
ADD_FAMILY(depthwise_i8, sumi_depthwise_i8_kernels, sumi_depthwise_i8_kernel)
ADD_FAMILY(pool, sumi_pool_kernels, sumi_pool_kernel)
ADD_FAMILY(pool_i8, sumi_pool_i8_kernels, sumi_pool_i8_kernel)
ADD_FAMILY(rows, sumi_rows_kernels, sumi_rows_kernel)
ADD_FAMILY(reduce, sumi_reduce_kernels, sumi_reduce_kernel)
ADD_FAMILY(resize, sumi_resize_kernels, sumi_resize_kernel)
ADD_FAMILY(convert, sumi_convert_kernels, sumi_convert_kernel)
ADD_FAMILY(attention_i8, sumi_attention_i8_kernels, sumi_attention_i8_kernel)
ADD_FAMILY(norm_i8, sumi_norm_i8_kernels, sumi_norm_i8_kernel)
ADD_FAMILY(copy, sumi_copy_kernels, sumi_copy_kernel)
ADD_FAMILY(lane, sumi_lane_kernels, sumi_lane_kernel)
ADD_FAMILY(lane_bf16, sumi_lane_bf16_kernels, sumi_lane_bf16_kernel)
ADD_FAMILY(eltwise, sumi_eltwise_kernels, sumi_eltwise_kernel)

size_t sumi_kernel_rows(struct sumi_kernel_row *rows, size_t most) {
  struct table t = {rows, 0, most};
  add_spmm(&t);
  add_spmm_i8(&t);
  add_spmm_bf16(&t);
  add_depthwise(&t);
  add_depthwise_i8(&t);
  add_pool(&t);
  add_pool_i8(&t);
  add_rows(&t);
  add_reduce(&t);
  add_resize(&t);
  add_convert(&t);
  add_attention_i8(&t);
  add_norm_i8(&t);
  add_copy(&t);
  add_lane(&t);
  add_lane_bf16(&t);
  add_eltwise(&t);
  return t.n;
}
