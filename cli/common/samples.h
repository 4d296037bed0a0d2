/* Calibration data: samples of a folder of pictures or an .npz file, as <sumi/compress.h> takes them. */
#ifndef CLI_COMMON_SAMPLES_H
#define CLI_COMMON_SAMPLES_H

#include <sumi/compress.h>

#include "common/dataset.h"

enum { CLI_SAMPLES_LIMIT = 512 };

struct cli_samples_options {
  struct cli_picture_options picture;
  const char *data, *trim;
  int64_t multiple; /* as in struct cli_dataset */
  int64_t limit;    /* CLI_SAMPLES_LIMIT unless given; 0 = all */
  int64_t batch;    /* 0 = 8 */
};

/* Rows of an option table; s is a struct cli_samples_options. */
#define CLI_SAMPLES_OPTIONS(s)                                                                              \
  {"calib", 0, CLI_TEXT, &(s).data, "DATA", "calibration: a folder of pictures, or an .npz, as sumi eval",  \
   0,       0},                                                                                             \
      {"samples", 'n', CLI_WHOLE, &(s).limit, "N", "so many of them, spread evenly (512; 0: all)", 0, 1e9}, \
      {"batch", 'b', CLI_WHOLE, &(s).batch, "N", "samples per run (8)", 1, 65536},                          \
      {"trim",    0,      CLI_TEXT,                                                                         \
       &(s).trim, "MASK", "leave out columns in which input MASK is zero in a whole batch",                 \
       0,         0},                                                                                       \
      CLI_PICTURE_OPTIONS((s).picture)

struct cli_samples {
  struct sumi_samples samples; /* lives as long as this */
  const struct sumi_model *model;
  const struct cli_samples_options *options;
  struct cli_dataset data;
  size_t *index;          /* [samples.n], by length of row where rows are trimmed */
  int64_t *label;         /* [samples.n] classes, or NULL */
  struct cli_feed whole;  /* all of them at once, where that is not too much */
  struct cli_feed batch;  /* what was given last */
  struct sumi_view *part; /* [whole.n] views of whole, and their dims */
  int64_t (*dims)[SUMI_MAX_RANK];
  int status; /* CLI_GO_ON, or the exit status of what went wrong, after its sentence */
};

/* CLI_GO_ON, or the exit status after a sentence. Of pairs the first of each is taken. */
int cli_samples_open(const struct cli_samples_options *options, const struct sumi_model *model,
                     struct cli_samples *samples);
void cli_samples_fini(struct cli_samples *samples);

#endif
