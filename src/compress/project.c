/* The projection on a pattern: which entries stay. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/solve.h"

/* The k largest of some scores: all above `bits` and the first `ties` that equal it. Scores are compared by their bits,
 * which order floats that are not negative as their values do. */
struct cut {
  uint32_t bits;
  int64_t ties;
};

enum { FEW = 64 }; /* scores for which comparing each with each is quicker than histograms */

static uint32_t bits_of(float score) {
  uint32_t bits;
  memcpy(&bits, &score, sizeof bits);
  return bits & 0x7fffffff;
}

static bool takes(struct cut *cut, float score) {
  const uint32_t bits = bits_of(score);
  return bits > cut->bits || (bits == cut->bits && cut->ties-- > 0);
}

static struct cut cut_few(const float *score, int64_t n, int64_t k) {
  uint32_t bits[FEW];
  struct cut cut = {0};
  for (int64_t i = 0; i < n; i++) bits[i] = bits_of(score[i]);
  for (int64_t i = 0; i < n; i++) {
    int above = 0, before = 0;
    for (int64_t j = 0; j < n; j++) above += bits[j] > bits[i];
    for (int64_t j = 0; j < i; j++) before += bits[j] == bits[i];
    if (above + before == k - 1) cut = (struct cut){bits[i], before + 1};
  }
  return cut;
}

/* Digit by digit from the top: the digit in which the k-th largest lies, then those of equal digits only. */
static struct cut cut_many(const float *score, int64_t n, int64_t k) {
  static const int digit[] = {11, 11, 10};
  uint64_t prefix = 0;
  int shift = 32;
  for (size_t d = 0; d < SUMI_COUNT(digit); d++) {
    int64_t count[1 << 11] = {0};
    const uint64_t mask = (UINT64_C(1) << digit[d]) - 1;
    for (int64_t i = 0; i < n; i++) {
      const uint64_t bits = bits_of(score[i]);
      if (bits >> shift == prefix) count[bits >> (shift - digit[d]) & mask]++;
    }
    uint64_t at = mask;
    for (; at > 0 && count[at] < k; at--) k -= count[at];
    shift -= digit[d];
    prefix = prefix << digit[d] | at;
  }
  return (struct cut){(uint32_t)prefix, k};
}

static struct cut cut_of(const float *score, int64_t n, int64_t k) {
  if (k <= 0) return (struct cut){UINT32_MAX, 0};
  if (k >= n) return (struct cut){0, n};
  return n <= FEW ? cut_few(score, n, k) : cut_many(score, n, k);
}

static float block_sum(const float *score, int64_t cols, int64_t high, int64_t wide) {
  double sum = 0;
  for (int64_t r = 0; r < high; r++)
    for (int64_t c = 0; c < wide; c++) sum += (double)score[r * cols + c];
  return (float)sum;
}

static int64_t share_of(double density, int64_t n) {
  return density >= 1 ? n : density > 0 ? SUMI_MAX((int64_t)1, (int64_t)llround(density * (double)n)) : 0;
}

int64_t sumi_pattern_blocks(struct sumi_pattern p, double density, int64_t rows, int64_t cols, int64_t run) {
  int64_t n = 0;
  for (int64_t c = 0; c < cols; c = sumi_pattern_next(c, p.b, run, cols)) n++;
  return share_of(density, n * ((rows + p.a - 1) / p.a));
}

static void project_blocks(struct sumi_pattern p, double density, struct sumi_mask m, const float *score,
                           uint8_t *keep, float *work) {
  int64_t n = 0;
  for (int64_t r = 0; r < m.rows; r += p.a)
    for (int64_t c = 0, next; c < m.cols; c = next) {
      next = sumi_pattern_next(c, p.b, m.run, m.cols);
      work[n++] = block_sum(score + r * m.cols + c, m.cols, SUMI_MIN(p.a, m.rows - r), next - c);
    }
  struct cut cut = cut_of(work, n, share_of(density, n));
  n = 0;
  for (int64_t r = 0; r < m.rows; r += p.a)
    for (int64_t c = 0, next; c < m.cols; c = next) {
      next = sumi_pattern_next(c, p.b, m.run, m.cols);
      const bool take = takes(&cut, work[n++]);
      for (int64_t i = r; i < SUMI_MIN(r + p.a, m.rows); i++)
        memset(keep + i * m.cols + c, take, (size_t)(next - c));
    }
}

static void project_banks(struct sumi_pattern p, struct sumi_mask m, const float *score, uint8_t *keep) {
  for (int64_t r = 0; r < m.rows; r++, score += m.cols, keep += m.cols)
    for (int64_t c = 0, next; c < m.cols; c = next) {
      next = sumi_pattern_next(c, p.b, m.run, m.cols);
      struct cut cut = cut_of(score + c, next - c, p.a);
      for (int64_t i = c; i < next; i++) keep[i] = takes(&cut, score[i]);
    }
}

void sumi_pattern_project(struct sumi_pattern pattern, double density, int64_t rows, int64_t cols,
                          int64_t run, const float *score, uint8_t *keep, float *work) {
  const struct sumi_mask m = {rows, cols, keep, run};
  if (pattern.kind == SUMI_PATTERN_BLOCK)
    project_blocks(pattern, density, m, score, keep, work);
  else
    project_banks(pattern, m, score, keep);
}
