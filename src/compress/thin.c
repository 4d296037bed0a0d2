/* From a mask that keeps too much to what is asked: exact greedy removal (optimal brain surgeon; Frantar, Singh, Alistarh 2022,
 * arXiv 2208.11580) within the support that the mask leaves. One mask's support is small, so its inverse is cheap; masks found
 * by ADMM alone are some percent of the error worse.
 *
 * A band is the rows that share a support: those of a row of blocks, or one row. A unit is what leaves at once: the columns of
 * a block, or one. With a the inverse of the band's matrix and x its weights, removing unit u costs
 * trace(x_u a_uu^-1 x_u^T) and takes x_u a_uu^-1 a_u from x, a_u^T a_uu^-1 a_u from a. Blocks leave where they cost least over all
 * bands; from a bank of N:M and K/B the cheapest leave until it holds what it may. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"
#include "compress/solver.h"
#include "par/par.h"

enum { WIDEST = 16 }; /* columns of a unit */

struct scratch {
  double *a;             /* [widest, widest] */
  double *x;             /* [high, widest] */
  int32_t *at, *unit;    /* columns of the support; [widest + 1] where its units begin */
  int32_t *bank, *count; /* [widest] of N:M and K/B: each column's bank, and how many each bank has */
  bool *gone;            /* [widest] units */
  int64_t columns, units;
};

struct thin {
  struct sumi_solver *v;
  struct sumi_pattern pattern; /* what is asked */
  bool banks;
  int64_t high, bands, widest; /* widest: columns of the widest support */
  int64_t limit;               /* units that may leave one band */
  float *rhs;                  /* [rows, cols] b0 G */
  uint8_t *keep;               /* [rows, cols] */
  double *cost;                /* [bands, limit] of the units that left, never falling */
  int32_t *left;               /* [bands, limit] their first columns */
  int64_t *n_left, *n_units;   /* [bands] */
  struct scratch *scratch;     /* [threads] */
};

/* ---- one band --------------------------------------------------------------------------------------------------- */

static int64_t unit_end(const struct thin *t, int64_t col) {
  return t->banks ? col + 1 : sumi_pattern_next(col, t->pattern.b, t->v->run, t->v->s->cols);
}

static void find_support(const struct thin *t, int64_t first, struct scratch *s) {
  const uint8_t *keep = t->keep + first * t->v->s->cols;
  int32_t bank = -1;
  int64_t bank_end = 0;
  s->columns = s->units = 0;
  for (int64_t c = 0, next; c < t->v->s->cols; c = next) {
    next = unit_end(t, c);
    if (t->banks && c >= bank_end) {
      bank_end = sumi_pattern_next(c, t->pattern.b, t->v->run, t->v->s->cols);
      s->count[++bank] = 0;
    }
    if (!keep[c]) continue;
    s->gone[s->units] = false;
    s->bank[s->units] = bank;
    if (t->banks) s->count[bank]++;
    s->unit[s->units++] = (int32_t)s->columns;
    for (int64_t i = c; i < next; i++) s->at[s->columns++] = (int32_t)i;
  }
  s->unit[s->units] = (int32_t)s->columns;
}

/* The inverse and the weights of the band. False: not positive definite. */
static bool open_band(const struct thin *t, int64_t first, int64_t high, struct scratch *s) {
  const int64_t n = t->v->s->cols, k = s->columns;
  for (int64_t i = 0; i < k; i++) {
    const float *row = t->v->gram + s->at[i] * n;
    for (int64_t j = 0; j <= i; j++) s->a[i * k + j] = (double)row[s->at[j]];
  }
  if (!sumi_blas_inverse(k, s->a)) return false;
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < i; j++) s->a[j * k + i] = s->a[i * k + j];
  for (int64_t r = 0; r < high; r++)
    for (int64_t i = 0; i < k; i++) {
      double sum = 0;
      for (int64_t j = 0; j < k; j++) sum += s->a[i * k + j] * (double)t->rhs[(first + r) * n + s->at[j]];
      s->x[r * k + i] = sum;
    }
  return true;
}

/* trace(x_u a_uu^-1 x_u^T) by a_uu = l d l^T. */
static double cost_of(const struct scratch *s, int64_t u, int64_t high) {
  const int64_t k = s->columns, first = s->unit[u], wide = s->unit[u + 1] - first;
  double l[WIDEST][WIDEST], d[WIDEST], y[WIDEST], sum = 0;
  for (int64_t i = 0; i < wide; i++)
    for (int64_t j = 0; j <= i; j++) {
      double f = s->a[(first + i) * k + first + j];
      for (int64_t m = 0; m < j; m++) f -= l[i][m] * l[j][m] * d[m];
      if (i == j)
        d[i] = f;
      else
        l[i][j] = d[j] > 0 ? f / d[j] : 0;
    }
  for (int64_t r = 0; r < high; r++)
    for (int64_t i = 0; i < wide; i++) {
      y[i] = s->x[r * k + first + i];
      for (int64_t j = 0; j < i; j++) y[i] -= l[i][j] * y[j];
      if (d[i] > 0) sum += y[i] * y[i] / d[i];
    }
  return sum;
}

static void remove_column(struct scratch *s, int64_t c, int64_t high) {
  const int64_t k = s->columns;
  double *row = s->a + c * k;
  const double d = row[c];
  for (int64_t r = 0; r < high && d > 0; r++) {
    const double f = s->x[r * k + c] / d;
    for (int64_t i = 0; i < k; i++) s->x[r * k + i] -= f * row[i];
  }
  for (int64_t i = 0; i < k && d > 0; i++) {
    const double f = s->a[i * k + c] / d;
    if (i == c || f == 0) continue;
    for (int64_t j = 0; j < k; j++) s->a[i * k + j] -= f * row[j];
  }
  memset(row, 0, (size_t)k * sizeof *row);
  for (int64_t r = 0; r < high; r++) s->x[r * k + c] = 0;
}

static void thin_band(const struct thin *t, int64_t band, struct scratch *s) {
  const int64_t first = band * t->high, high = SUMI_MIN(t->high, t->v->s->rows - first);
  double most = 0;
  find_support(t, first, s);
  t->n_units[band] = s->units;
  if (!s->units || !open_band(t, first, high, s)) return;
  while (t->n_left[band] < t->limit) {
    int64_t best = -1;
    double least = INFINITY;
    for (int64_t u = 0; u < s->units; u++) {
      if (s->gone[u] || (t->banks && s->count[s->bank[u]] <= t->pattern.a)) continue;
      const double cost = cost_of(s, u, high);
      if (cost < least) least = cost, best = u;
    }
    if (best < 0) return;
    for (int64_t c = s->unit[best]; c < s->unit[best + 1]; c++) remove_column(s, c, high);
    s->gone[best] = true;
    if (t->banks) s->count[s->bank[best]]--;
    most = SUMI_MAX(most, least);
    t->cost[band * t->limit + t->n_left[band]] = most;
    t->left[band * t->limit + t->n_left[band]++] = s->at[s->unit[best]];
  }
}

static void thin_bands(void *user, int64_t begin, int64_t end, int worker) {
  const struct thin *t = user;
  for (int64_t band = begin; band < end; band++) thin_band(t, band, &t->scratch[worker]);
}

/* ---- all bands -------------------------------------------------------------------------------------------------- */

static int by_cost(const void *x, const void *y) {
  const double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

static void clear_unit(struct thin *t, int64_t band, int64_t which) {
  const int64_t n = t->v->s->cols, col = t->left[band * t->limit + which], end = unit_end(t, col);
  for (int64_t r = band * t->high; r < SUMI_MIN((band + 1) * t->high, t->v->s->rows); r++)
    memset(t->keep + r * n + col, 0, (size_t)(end - col));
}

/* Of all that left, what was cheapest goes: as many as are too many. */
static sumi_status apply(struct thin *t, struct sumi_err *err) {
  int64_t all = 0, kept = 0;
  for (int64_t band = 0; band < t->bands; band++) {
    all += t->n_left[band];
    kept += t->n_units[band];
  }
  const struct sumi_solve *s = t->v->s;
  int64_t out =
      t->banks ? all : kept - sumi_pattern_blocks(t->pattern, s->density, s->rows, s->cols, t->v->run);
  if (out > all || out <= 0) return SUMI_OK; /* some band could not be opened: the mask is projected later */
  double *order = SUMI_NEW_ARRAY(t->v->arena, (size_t)all, double);
  if (!order) SUMI_FAIL_MEMORY(err);
  all = 0;
  for (int64_t band = 0; band < t->bands; band++)
    for (int64_t i = 0; i < t->n_left[band]; i++) order[all++] = t->cost[band * t->limit + i];
  qsort(order, (size_t)all, sizeof *order, by_cost);
  const double cut = order[out - 1];
  int64_t equal = out;
  while (equal > 0 && order[equal - 1] == cut) equal--;
  equal = out - equal; /* of those that cost `cut` */
  for (int64_t band = 0; band < t->bands; band++)
    for (int64_t i = 0; i < t->n_left[band]; i++) {
      const double cost = t->cost[band * t->limit + i];
      if (cost < cut || (cost == cut && equal-- > 0)) clear_unit(t, band, i);
    }
  return SUMI_OK;
}

static sumi_status make_room(struct thin *t, int threads, struct sumi_err *err) {
  struct sumi_arena *arena = t->v->arena;
  const size_t k = (size_t)t->widest, traces = (size_t)(t->bands * t->limit);
  bool ok = (t->rhs = SUMI_NEW_ARRAY(arena, (size_t)(t->v->s->rows * t->v->s->cols), float)) &&
            (t->cost = SUMI_NEW_ARRAY(arena, traces, double)) &&
            (t->left = SUMI_NEW_ARRAY(arena, traces, int32_t)) &&
            (t->n_left = SUMI_NEW_ARRAY(arena, (size_t)t->bands, int64_t)) &&
            (t->n_units = SUMI_NEW_ARRAY(arena, (size_t)t->bands, int64_t)) &&
            (t->scratch = SUMI_NEW_ARRAY(arena, (size_t)threads, struct scratch));
  for (int i = 0; ok && i < threads; i++) {
    struct scratch *s = &t->scratch[i];
    ok = (s->a = SUMI_NEW_ARRAY(arena, k * k, double)) &&
         (s->x = SUMI_NEW_ARRAY(arena, (size_t)t->high * k, double)) &&
         (s->at = SUMI_NEW_ARRAY(arena, k, int32_t)) && (s->unit = SUMI_NEW_ARRAY(arena, k + 1, int32_t)) &&
         (s->bank = SUMI_NEW_ARRAY(arena, k, int32_t)) &&
         (s->count = SUMI_NEW_ARRAY(arena, (size_t)t->v->s->cols, int32_t)) &&
         (s->gone = SUMI_NEW_ARRAY(arena, k, bool));
  }
  if (!ok) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

sumi_status sumi_solver_thin(struct sumi_solver *v, uint8_t *keep, int64_t limit, struct sumi_err *err) {
  const struct sumi_solve *s = v->s;
  const bool banks = s->pattern.kind != SUMI_PATTERN_BLOCK;
  struct thin t = {v, s->pattern, banks, banks ? 1 : s->pattern.a, .limit = limit, .keep = keep, .widest = 1};
  t.bands = (s->rows + t.high - 1) / t.high;
  for (int64_t r = 0; r < s->rows; r += t.high) {
    int64_t k = 0;
    for (int64_t c = 0; c < s->cols; c++) k += keep[r * s->cols + c];
    t.widest = SUMI_MAX(t.widest, k);
  }
  SUMI_TRY(make_room(&t, sumi_par_threads(v->par), err));
  sumi_blas_multiply(s->rows, s->cols, v->b0, v->gram, t.rhs);
  sumi_solver_for(v, t.bands, thin_bands, &t);
  return apply(&t, err);
}

bool sumi_solver_can_thin(const struct sumi_solver *v) {
  const struct sumi_solve *s = v->s;
  return !s->keep && (s->pattern.kind != SUMI_PATTERN_BLOCK || s->pattern.b <= WIDEST);
}
