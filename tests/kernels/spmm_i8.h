/* The two halves of family spmm_i8: the check, and what it measures. */
#ifndef SUMI_TESTS_KERNELS_SPMM_I8_H
#define SUMI_TESTS_KERNELS_SPMM_I8_H

#include "check.h"
#include "kernel/spmm/spmm_i8.h"

/* Prints speeds of one kernel on the shapes of ResNet-50, and what sumi_spmm_i8_predict expects of it. */
void bench_spmm_i8(struct check *c, const struct sumi_spmm_i8_kernel *k);

#endif
