/* Tuning: weights, biases and the scales of normalisations of a network, or of a part of it, by gradient descent towards what a
 * dense network gives for the same samples. Weights that are 0 stay 0.
 *
 *   struct sumi_tune t = {.graph = pruned, .dense = dense, .samples = &samples, .epochs = 5, .threads = 2};
 *   struct sumi_tuner *tuner;
 *   SUMI_TRY(sumi_tuner_new(&t, allocator, &tuner, err));
 *   sumi_status status = sumi_tuner_run(tuner, err);
 *   if (status == SUMI_OK) status = sumi_tuner_write(tuner, pruned, err);
 *   sumi_tuner_free(tuner);
 *
 * Forward pass, loss and backward pass are one graph that runs on device cpu with what is trained as inputs. The steps, and so
 * the result, depend on the seed, the samples and the options, not on threads; a tuner that is loaded goes on as if it had never
 * stopped. Batch normalisation uses the running mean and variance of the file, as inference does. */
#ifndef SUMI_COMPRESS_TUNE_H
#define SUMI_COMPRESS_TUNE_H

#include "compress/compress.h"

struct sumi_tune {
  const struct sumi_graph *graph; /* as its file has it; not changed */
  const struct sumi_graph *dense; /* the same values by name; may be graph itself */
  const struct sumi_samples *samples;
  const char *const *from; /* [n_from] values of graph at which the part begins; none = the graph's inputs */
  size_t n_from;
  const char *to;        /* where it ends, a float32 value; NULL = the graph's first output */
  const char *loss;      /* NULL = "mse", or "kl" where there are labels:
                                "mse"  sum of squares of the difference to the dense value / sum of its squares
                                "kl"   divergence from the dense network's softmax (over the last axis), a mean over rows */
  double temperature;    /* of both softmaxes of "kl"; 0 = 1 */
  const int64_t *labels; /* [samples->n] classes, one row of `to` each; NULL = none */
  double label_share;    /* of the cross entropy with labels in the loss; the rest is "kl" */
  const char *optimizer; /* NULL = "adam" (Kingma & Ba 2015, arXiv 1412.6980), or "sgd" with momentum */
  double
      rate; /* the highest; 0 = 1e-3 (adam), 1e-2 (sgd). It rises over a twentieth of all steps, then falls as a cosine */
  double momentum;      /* 0 = 0.9 */
  size_t epochs, batch; /* 0 = 1, 32; a rest below a batch is left out in that epoch */
  bool
      consecutive; /* batches are runs of consecutive samples in shuffled order: inputs may be padded to the longest of
                              a batch. Else single samples are shuffled, whose inputs are [1, ...] of one shape */
  bool
      augment; /* inputs [1, channels, height, width]: shifted by up to 4 pixels, zeros coming in, and mirrored at random */
  size_t
      keep_bytes; /* memory for what the dense network and everything before the part give for the samples, so that later epochs
                        need not compute it; not with augment or consecutive; 0 = none */
  uint64_t seed;
  /* Called a hundred times, evenly (behind every step where there are fewer), the last time behind the last step, for every
   * constant of graph of rank 2 or more: sets to 0 what shall be 0 from now on of the weights w that are to replace it. score: of
   * each, what is lost without it, by order of size: w^2 times the root of its gradient's mean square (adam), or w^2. done: share of
   * the steps. NULL = no more zeros than there are */
  sumi_status (*thin)(void *user, const char *name, double done, const float *score, float *w,
                      struct sumi_err *err);
  const char *precision; /* of both networks' runs, as in struct sumi_session_options; NULL = "file" */
  int threads;           /* 0 = 1 */
  bool (*progress)(void *user,
                   const struct sumi_progress *p); /* after every step; false stops; NULL = nobody asks */
  void *user;
};

struct sumi_tuner;

/* Everything t points to must outlive the tuner. SUMI_E_UNSUPPORTED names an operator without a gradient, or a layer whose weights are
 * not float32; SUMI_E_ARG: options, names; SUMI_E_VALUE: nothing to train. */
sumi_status sumi_tuner_new(const struct sumi_tune *t, const struct sumi_allocator *a, struct sumi_tuner **out,
                           struct sumi_err *err);
void sumi_tuner_free(struct sumi_tuner *tuner); /* NULL allowed */

/* One batch; *loss of it before the step. SUMI_E_VALUE where the loss is not finite: then nothing has changed. Not after the last step. */
sumi_status sumi_tuner_step(struct sumi_tuner *tuner, double *loss, struct sumi_err *err);
/* All steps that are left. SUMI_E_STATE where progress said stop; the tuner can be saved, or go on. */
sumi_status sumi_tuner_run(struct sumi_tuner *tuner, struct sumi_err *err);

size_t sumi_tuner_steps(const struct sumi_tuner *tuner); /* all of them */
size_t sumi_tuner_at(const struct sumi_tuner *tuner);    /* steps done */
double sumi_tuner_loss(const struct sumi_tuner *tuner);  /* a running mean over about 50 steps */

/* What is trained: the names of constants of graph, i < n. */
size_t sumi_tuner_count(const struct sumi_tuner *tuner);
const char *sumi_tuner_name(const struct sumi_tuner *tuner, size_t i);

/* Gives g's constants of those names the weights as they are now; all of them, or none where it fails. */
sumi_status sumi_tuner_write(const struct sumi_tuner *tuner, struct sumi_graph *g, struct sumi_err *err);

/* The state between two steps, and back into a tuner made with the same options. SUMI_E_FORMAT: of another tuner, or damaged. */
sumi_status sumi_tuner_save(const struct sumi_tuner *tuner, struct sumi_blob **out, struct sumi_err *err);
sumi_status sumi_tuner_load(struct sumi_tuner *tuner, const void *data, size_t bytes, struct sumi_err *err);

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

/* A part between values by which alone what layers compute is handed on: a residual block, an attention block. */
struct sumi_block_part {
  const char *const *from;
  size_t n_from;
  const char *to;
  size_t layers; /* in it */
};

/* The parts of g with at least two layers each, in order; a single layer goes to the part in front. Values' infos are known
 * (sumi_pass_infer). */
sumi_status sumi_tune_find_parts(const struct sumi_graph *g, struct sumi_arena *arena,
                                 struct sumi_block_part **out, size_t *n, struct sumi_err *err);

/* Block-wise reconstruction: every part of g in order, each towards the dense network's value at its end, from what the parts
 * before it have become; the weights of g are changed. t->graph, from, to and loss are not read. losses[n], if given, receives the
 * running mean of each part's loss at its end. */
sumi_status sumi_tune_parts(const struct sumi_tune *t, struct sumi_graph *g,
                            const struct sumi_block_part *parts, size_t n, double *losses,
                            struct sumi_err *err);

#endif
