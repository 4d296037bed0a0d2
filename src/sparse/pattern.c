/* Patterns: parsing names, testing masks. A mask is only looked at; nothing is allocated. */
#include "sparse/pattern.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

static const char sign[] = {
    [SUMI_PATTERN_BLOCK] = 'x', [SUMI_PATTERN_N_OF_M] = ':', [SUMI_PATTERN_BALANCED] = '/'};

/* One to four digits, no leading zero; -1 otherwise. */
static int parse_count(const char **s) {
  int n = 0, digits = 0;
  if (**s == '0') return -1;
  for (; **s >= '0' && **s <= '9' && digits < 4; (*s)++, digits++) n = 10 * n + (**s - '0');
  return digits && n <= 4096 ? n : -1;
}

sumi_status sumi_pattern_parse(const char *name, struct sumi_pattern *out, struct sumi_err *err) {
  const char *s = name;
  const int a = parse_count(&s);
  const char *kind = *s ? memchr(sign, *s, sizeof sign) : NULL;
  if (kind) s++;
  const int b = kind ? parse_count(&s) : -1;
  const bool block = kind && *kind == 'x';
  if (a < 0 || b < 0 || *s || (!block && a > b))
    SUMI_FAIL(err, SUMI_E_VALUE, "'%.40s' is no pattern; patterns read 1x1, 1x4, 4x4, 16x4, 2:4, 1/32", name);
  *out = (struct sumi_pattern){(enum sumi_pattern_kind)(kind - sign), a, b};
  return SUMI_OK;
}

char *sumi_pattern_print(struct sumi_pattern p, char buf[SUMI_PATTERN_NAME]) {
  snprintf(buf, SUMI_PATTERN_NAME, "%d%c%d", p.a, sign[p.kind], p.b);
  return buf;
}

static int64_t count_block(struct sumi_mask m, int64_t row, int64_t rows, int64_t col, int64_t cols) {
  int64_t n = 0;
  for (int64_t r = row; r < row + rows; r++)
    for (int64_t c = col; c < col + cols; c++) n += m.keep[r * m.cols + c];
  return n;
}

/* All blocks, those with anything in them, the weights these blocks have, and how many of those are kept. */
static void count_blocks(struct sumi_mask m, int64_t rows, int64_t cols, int64_t *all, int64_t *blocks,
                         int64_t *weights, int64_t *kept) {
  *all = *blocks = *weights = *kept = 0;
  for (int64_t r = 0; r < m.rows; r += rows)
    for (int64_t c = 0, next; c < m.cols; c = next) {
      next = sumi_pattern_next(c, cols, m.run, m.cols);
      const int64_t high = SUMI_MIN(rows, m.rows - r);
      const int64_t n = count_block(m, r, high, c, next - c);
      ++*all;
      *blocks += n > 0;
      *weights += n > 0 ? high * (next - c) : 0;
      *kept += n;
    }
}

bool sumi_pattern_kept(struct sumi_pattern p, struct sumi_mask m) {
  if (p.kind == SUMI_PATTERN_BLOCK) {
    int64_t all, blocks, weights, kept;
    count_blocks(m, p.a, p.b, &all, &blocks, &weights, &kept);
    return 10 * kept >= 9 * weights;
  }
  for (int64_t r = 0; r < m.rows; r++)
    for (int64_t c = 0, next; c < m.cols; c = next) {
      next = sumi_pattern_next(c, p.b, m.run, m.cols);
      const int64_t wide = next - c, n = count_block(m, r, 1, c, wide);
      if (n > p.a) return false;
      if (p.kind == SUMI_PATTERN_BALANCED && wide == p.b && n != p.a) return false;
    }
  return true;
}

void sumi_mask_stats(struct sumi_mask m, struct sumi_mask_stats *out) {
  /* coarsest first; the last one is kept by every mask */
  static const struct sumi_pattern known[] = {
      {SUMI_PATTERN_BLOCK, 32, 4},    {SUMI_PATTERN_BLOCK, 16, 4},    {SUMI_PATTERN_BLOCK, 4, 4},
      {SUMI_PATTERN_BLOCK, 8, 1},     {SUMI_PATTERN_BLOCK, 4, 1},     {SUMI_PATTERN_BLOCK, 1, 4},
      {SUMI_PATTERN_BALANCED, 1, 32}, {SUMI_PATTERN_BALANCED, 2, 32}, {SUMI_PATTERN_BALANCED, 4, 32},
      {SUMI_PATTERN_BALANCED, 8, 32}, {SUMI_PATTERN_N_OF_M, 1, 4},    {SUMI_PATTERN_N_OF_M, 2, 4},
      {SUMI_PATTERN_BLOCK, 1, 1}};
  *out = (struct sumi_mask_stats){.weights = m.rows * m.cols};
  out->kept = count_block(m, 0, m.rows, 0, m.cols);
  out->density = out->weights ? (double)out->kept / (double)out->weights : 1;
  if (out->density >= 0.95) return;
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(known) && !sumi_pattern_kept(known[i], m)) i++;
  sumi_pattern_print(known[i], out->pattern);
}

double sumi_mask_block_density(struct sumi_mask m, int rows, int cols) {
  if (m.rows <= 0 || m.cols <= 0) return 1;
  int64_t all, blocks, weights, kept;
  count_blocks(m, rows, cols, &all, &blocks, &weights, &kept);
  return (double)blocks / (double)all;
}
