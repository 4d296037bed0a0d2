/* The table of 8-bit depthwise kernels, and how taps are made quads. */
#include "kernel/depthwise/depthwise_i8.h"

#include "base/size.h"
#include "kernel/depthwise/depthwise_i8_int.h"

static const struct sumi_depthwise_i8_kernel table[] = {
#define DEPTHWISE_I8(level, suffix, gmacs, what) \
  {"depthwise_i8/" #suffix, level, gmacs, what, sumi_depthwise_i8_##suffix},
#include "kernel/depthwise/depthwise_i8.def"
#undef DEPTHWISE_I8
};

const struct sumi_depthwise_i8_kernel *sumi_depthwise_i8_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_depthwise_i8_kernel *sumi_depthwise_i8_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

/* ---- quads ------------------------------------------------------------------------------------------------------- */

struct quads {
  int32_t *off, *from;
  int64_t n; /* taps, those that are none included */
};

static void add_tap(struct quads *q, int32_t off, int32_t from) {
  q->off[q->n] = off;
  q->from[q->n++] = from;
}

/* Fills the last quad up: beside its only run, or with offsets that are read anyway. */
static void close_quad(struct quads *q) {
  const int64_t first = q->n / 4 * 4, taps = q->n - first;
  bool run = true;
  for (int64_t i = 1; i < taps; i++) run &= q->off[first + i] == q->off[first] + 4 * (int32_t)i;
  while (q->n % 4) add_tap(q, run ? q->off[q->n - 1] + 4 : q->off[first], -1);
}

/* Taps beside each other from the i-th in order on, at most four. */
static int64_t run_length(const int32_t *tap, const int32_t *order, int64_t n_tap, int64_t i) {
  int64_t n = 1;
  while (n < 4 && i + n < n_tap && tap[order[i + n]] == tap[order[i]] + 4 * (int32_t)n) n++;
  return n;
}

/* Insertion sort: windows are small. */
static void sort_taps(const int32_t *tap, int64_t n_tap, int32_t *order) {
  for (int64_t i = 0; i < n_tap; i++) {
    int64_t k = i;
    for (; k > 0 && tap[order[k - 1]] > tap[i]; k--) order[k] = order[k - 1];
    order[k] = (int32_t)i;
  }
}

/* Runs of three and four are quads of their own; what is left costs less together. */
int64_t sumi_depthwise_i8_taps(const int32_t *tap, int64_t n_tap, int32_t *off, int32_t *from) {
  int32_t *const order = from + 3 * n_tap; /* fewer than 3 n_tap + 2 are made, and the last is read by then */
  struct quads q = {off, from, 0};
  sort_taps(tap, n_tap, order);
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0, n; i < n_tap; i += n) {
      n = run_length(tap, order, n_tap, i);
      if ((n > 2) != (pass == 0)) continue;
      for (int64_t k = 0; k < n; k++) add_tap(&q, tap[order[i + k]], order[i + k]);
      if (pass == 0) close_quad(&q);
    }
    close_quad(&q);
  }
  return q.n / 4;
}
