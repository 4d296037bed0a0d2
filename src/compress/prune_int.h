/* What the files of pruning share: the job and its layers. */
#ifndef SUMI_COMPRESS_PRUNE_INT_H
#define SUMI_COMPRESS_PRUNE_INT_H

#include "compress/calibrate.h"
#include "compress/prepare.h"
#include "compress/prune.h"
#include "compress/solve.h"
#include "compress/state.h"
#include "compress/tune.h"

struct sumi_prune_layer {
  size_t at;                                /* its number among all layers */
  const char *why;                          /* it is left as it is; NULL: it is pruned */
  double density;                           /* that shall stay */
  double kept;                              /* share that is not zero: before, then after */
  double error, seconds, dense_s, sparse_s; /* < 0: not known */
  bool done;
};

struct sumi_prune_job {
  const struct sumi_prune_options *o;
  struct sumi_err *err;
  struct sumi_graph *graph;
  struct sumi_graph *dense;         /* as it was; NULL: without samples */
  const struct sumi_graph *teacher; /* of finetune; NULL: dense */
  struct sumi_pattern pattern;
  const char *method, *budget;
  struct sumi_samples watched; /* o->samples, with a look at whether to stop before each batch */
  struct sumi_calibrate calibrate;
  size_t fixed; /* samples of a run where the model fixes it; else 0 */
  size_t one,
      typical; /* samples of the smallest run, and at which one it is measured: they may be sorted by length */
  struct sumi_prepared prepared; /* what was done to the graph before layers were looked for */
  struct sumi_arena arena;       /* of the job */
  struct sumi_layer *layer;      /* [n] */
  struct sumi_prune_layer *plan; /* [n] */
  size_t n;
  struct sumi_front front; /* a whole one before the layers that are open, or none: runs begin there */
  struct sumi_state state;
  struct sumi_tune tune;        /* block by block */
  struct sumi_tune whole;       /* as a whole */
  struct sumi_block_part *part; /* [n_part] to reconstruct */
  size_t n_part;
  const char *what, *where;      /* what is being done, for progress */
  double run_s;                  /* one run of the dense network */
  double layers_s, work, worked; /* when the layers began (0: not yet); estimated seconds: all, done */
};

/* ---- prune_layers.c ---- */

/* Finds the layers and says which are pruned: those that were named, else those that pay and can have the pattern. Refuses
 * networks that are quantised or sparse already; where these are to be tuned, layers that have their zeros are done. */
sumi_status sumi_prune_choose(struct sumi_prune_job *job);

/* What layer i holds: plan[i].kept. SUMI_E_VALUE where a weight is not finite. */
sumi_status sumi_prune_weigh(struct sumi_prune_job *job, size_t i);

/* Whether the pattern itself says how much stays, and the share. */
bool sumi_pattern_density(struct sumi_pattern pattern, double *density);

/* ---- prune_solve.c ---- */

/* One layer with its statistics (NULL: none): w_out [rows, cols], *error of its outputs. w_out and the working space are the
 * caller's arena's. */
sumi_status sumi_prune_solve(const struct sumi_prune_job *job, const struct sumi_layer *l, const char *method,
                             double density, const struct sumi_layer_pair *stats, struct sumi_arena *arena,
                             float *w_out, double *error, struct sumi_err *err);

/* The layers from `first` on that can be calibrated together: pruned ones, at most limit_bytes of statistics but at least one
 * layer, and with `apart` none that reads what another of them makes. Their numbers into group; *next is where to go on. */
sumi_status sumi_prune_group(const struct sumi_prune_job *job, size_t first, bool apart, size_t *group,
                             size_t *n, size_t *next);

/* Statistics of the layers group[n] by number in the group, on the network as it is now; with paired also as it was, from and to
 * fronts: of groups in the order of the graph only. */
sumi_status sumi_prune_calibrate(struct sumi_prune_job *job, bool paired, const size_t *group, size_t n,
                                 struct sumi_arena *arena, struct sumi_layer_pair *stats);

/* Whether a layer's means and spreads are brought back: it has a bias to do it with. */
bool sumi_prune_corrects(const struct sumi_prune_job *job, const struct sumi_layer *l);

/* Brings them back in w [rows, cols], where what is 0 stays so, and bias [rows]; before and after as in struct sumi_correct. */
sumi_status sumi_prune_correct(const struct sumi_prune_job *job, const struct sumi_layer *l,
                               const struct sumi_layer_stats *before, const struct sumi_layer_stats *after,
                               struct sumi_arena *arena, float *w, float *bias, struct sumi_err *err);

/* ---- prune_search.c ---- */

/* Gives every pruned layer its density, from the state where that has it. */
sumi_status sumi_prune_allot(struct sumi_prune_job *job);

/* ---- prune_tune.c ---- */

/* Whether anything is asked for. */
bool sumi_prune_tunes(const struct sumi_prune_job *job);
/* Before pruning, the dense network at hand: whether it can be tuned as asked, and in which parts. */
sumi_status sumi_prune_check_tuning(struct sumi_prune_job *job);
/* Estimated seconds. */
double sumi_prune_tuning_work(const struct sumi_prune_job *job);
/* What a layer keeps before finetune, of which `density` stays behind it: the square root where the sparsity is to rise meanwhile. */
double sumi_prune_density_before(const struct sumi_prune_job *job, double density);
/* Tunes the graph, whose zeros stay; where the sparsity is to rise, it does. */
sumi_status sumi_prune_tune(struct sumi_prune_job *job);
/* Adds what tuning changed and is not among the changes yet: biases, scales, weights of layers that were not pruned. */
sumi_status sumi_prune_add_tuned(const struct sumi_prune_job *job, struct sumi_changes *changes);

/* ---- prune.c ---- */

/* Tells the caller; SUMI_E_STATE where the job shall stop. */
sumi_status sumi_prune_tell(struct sumi_prune_job *job, const char *what, const char *where);

/* The memory that is the job's for statistics, and again for values. */
static inline size_t sumi_prune_bytes(const struct sumi_prune_job *job) {
  return job->o->max_bytes ? job->o->max_bytes : (size_t)1 << 30;
}

static inline bool sumi_prune_is_open(const struct sumi_prune_layer *l) { return !l->why && !l->done; }

#endif
