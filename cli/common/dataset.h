/* Labelled data for measuring accuracy: pictures in folders, or arrays in an .npz file. */
#ifndef CLI_COMMON_DATASET_H
#define CLI_COMMON_DATASET_H

#include "common/feed.h"

/* What the data can say about a model. */
enum cli_truth {
  CLI_CLASSES, /* a class per sample */
  CLI_PAIRS,   /* two samples and a score of their likeness */
  CLI_NONE     /* no labels: only for comparing with a reference */
};

struct cli_dataset {
  enum cli_truth truth;
  size_t n;       /* samples (or pairs) */
  char **path;    /* [n] pictures, or NULL */
  int64_t *label; /* [n], or NULL */
  double *score;  /* [n], or NULL */
  char **class_;  /* names of the classes (folders), or NULL */
  size_t n_classes;
  struct cli_tensor **array; /* arrays of the .npz, rows along dim 0 */
  size_t n_arrays;
  int64_t
      multiple; /* of columns that trimming leaves, up to the width: fewer shapes; 0 = exactly the longest row's */
};

/* path is one of
 *   a folder with a folder of pictures per class: classes in the order of the folders' names;
 *   a folder of pictures: the n-th in the order of names is class n;
 *   an .npz with an array per input (samples along dim 0) and "labels"; or with NAME_a and NAME_b per input and
 *   "score" for pairs.
 * CLI_GO_ON, or the exit status after a sentence. */
int cli_dataset_open(const char *path, const struct sumi_model *model, struct cli_dataset *data);
void cli_dataset_fini(struct cli_dataset *data);

/* Indices of at most `limit` samples (0 = all), spread evenly over all of them: without chance, and balanced where they are
 * sorted by class. The caller frees the array [*n]. */
size_t *cli_dataset_spread(const struct cli_dataset *data, int64_t limit, size_t *n);

/* The inputs of samples index[n] as one batch. side is 'a' or 'b' of pairs. trim (may be NULL) names an input [N, S]
 * that is zero where a row ends: columns beyond the longest row of the batch are left out of all inputs [N, S]. */
int cli_dataset_batch(const struct cli_dataset *data, const struct sumi_model *model,
                      const struct cli_picture_options *picture, const size_t *index, size_t n, char side,
                      const char *trim, struct cli_feed *feed);

/* Columns of a sample's row in input `mask` that cli_dataset_batch() does not trim; -1 where there is no such array. */
int64_t cli_dataset_row_length(const struct cli_dataset *data, const char *mask, size_t index, char side);

#endif
