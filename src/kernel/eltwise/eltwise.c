/* The table of eltwise kernels, and their functions by ONNX name. */
#include "kernel/eltwise/eltwise.h"

#include "base/size.h"
#include "base/text.h"

#define ELTWISE(level, suffix, ...)                                \
  extern const sumi_unary_fn sumi_unary_##suffix[SUMI_N_UNARY];    \
  extern const sumi_binary_fn sumi_binary_##suffix[SUMI_N_BINARY]; \
  extern const sumi_select_fn sumi_select_##suffix[SUMI_N_SELECT];
#include "kernel/eltwise/eltwise.def"
#undef ELTWISE

static const struct sumi_eltwise_kernel table[] = {
#define ELTWISE(level, suffix, what) \
  {"eltwise/" #suffix, level, what, sumi_unary_##suffix, sumi_binary_##suffix, sumi_select_##suffix},
#include "kernel/eltwise/eltwise.def"
#undef ELTWISE
};

static const char *const unary_name[SUMI_N_UNARY] = {
#define UNARY(symbol, name, ...) name,
#define BINARY(...)
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY
};

static const char *const binary_name[SUMI_N_BINARY] = {
#define UNARY(...)
#define BINARY(symbol, name, ...) name,
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY
};

const struct sumi_eltwise_kernel *sumi_eltwise_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_eltwise_kernel *sumi_eltwise_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

static int find(const char *const *names, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (*names[i] && sumi_streq(names[i], name)) return i;
  return -1;
}

int sumi_unary_find(const char *op_name) { return find(unary_name, SUMI_N_UNARY, op_name); }
int sumi_binary_find(const char *op_name) { return find(binary_name, SUMI_N_BINARY, op_name); }
