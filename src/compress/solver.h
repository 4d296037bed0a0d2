/* What the methods of solve.h share: the problem in scaled weights, b = w * scale with scale[c] = sqrt(H[c, c]), in which the
 * Gram matrix has a unit diagonal. Patterns are the same there, and so are errors; conjugate gradients need no further
 * preconditioner, and one penalty rho means the same for every column. */
#ifndef SUMI_COMPRESS_SOLVER_H
#define SUMI_COMPRESS_SOLVER_H

#include "compress/solve.h"
#include "par/par.h"

struct sumi_solver {
  const struct sumi_solve *s;
  struct sumi_arena *arena;
  struct sumi_par *par; /* for loops over rows; NULL = serial */
  int64_t run;
  struct sumi_pattern pattern; /* what masks are projected on: s's, or one that keeps more */
  double density;
  float *gram;         /* [cols, cols]: (H + damping) / (scale scale^T); NULL: identity */
  float *scale;        /* [cols]; 1 where the input is always zero */
  float *ridge;        /* [cols]: the part of gram's diagonal that is damping */
  bool *dead;          /* [cols]: the input is always zero */
  float *b0;           /* [rows, cols] w * scale, 0 in dead columns */
  float *score;        /* [rows, cols] */
  float *work, *work2; /* [rows, cols] */
};

/* A method: scaled weights b [rows, cols], zero where keep [rows, cols] is. */
typedef sumi_status sumi_solver_method(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err);
sumi_solver_method sumi_solver_sparsegpt, sumi_solver_alps;

/* keep = the projection of v->score, less what the caller forbids. Overwrites v->work. */
void sumi_solver_project(struct sumi_solver *v, uint8_t *keep);
/* The same with the squares of x [rows, cols] as scores. */
void sumi_solver_project_squares(struct sumi_solver *v, const float *x, uint8_t *keep);

/* trace((b - b0) H (b - b0)^T), without damping. Overwrites v->work and v->work2. */
double sumi_solver_error(struct sumi_solver *v, const float *b);

/* fn over [0, n) on all threads; OpenBLAS has one in each. */
void sumi_solver_for(struct sumi_solver *v, int64_t n,
                     void (*fn)(void *user, int64_t begin, int64_t end, int worker), void *user);

/* Whether masks can be thinned: no mask is given, and blocks are not too wide. */
bool sumi_solver_can_thin(const struct sumi_solver *v);
/* Takes from keep, which keeps v->s's pattern with more than is asked, what is too much. At most `limit` blocks (N:M, K/B:
 * weights) leave one row of blocks; where it then keeps too much still, or matrices are not positive definite, the rest stays. */
sumi_status sumi_solver_thin(struct sumi_solver *v, uint8_t *keep, int64_t limit, struct sumi_err *err);

/* The least squares of b [rows, cols] on the support keep, from b on. Overwrites v->work and v->work2. */
sumi_status sumi_solver_refine(struct sumi_solver *v, const uint8_t *keep, float *b, struct sumi_err *err);

#endif
