/* The inputs of a run: from files, else random numbers; shapes as the model, the files and the command line say. */
#ifndef CLI_COMMON_FEED_H
#define CLI_COMMON_FEED_H

#include "common/npy.h"
#include "common/option.h"
#include "common/picture.h"
#include "common/session.h"

struct cli_feed_options {
  struct cli_list inputs; /* "NAME=FILE", or "FILE" where it is clear */
  struct cli_list shapes; /* "NAME=1x3x224x224" */
  struct cli_list ranges; /* "NAME=LOW:HIGH" */
  const char *random;     /* seed, NULL = not allowed */
  int64_t batch;          /* first dim of inputs where the model leaves it open; 0 = 1 */
  struct cli_picture_options picture;
};

/* Rows of an option table; f is a struct cli_feed_options. */
#define CLI_SHAPE_OPTIONS(f)                                                                               \
  {"shape", 0, CLI_LIST, &(f).shapes, "NAME=DxD", "the shape of an input, where the model leaves it open", \
   0,       0},                                                                                            \
  {                                                                                                        \
    "range", 0, CLI_LIST, &(f).ranges, "NAME=LO:HI", "range of an input's random numbers", 0, 0            \
  }
#define CLI_INPUT_OPTIONS(f)                                                                   \
  {"input",     'i',                                                                           \
   CLI_LIST,    &(f).inputs,                                                                   \
   "NAME=FILE", ".npy, .npz, ONNX .pb or a picture (NAME= may be left out of a single input)", \
   0,           0},                                                                            \
      CLI_SHAPE_OPTIONS(f)

void cli_feed_options_fini(struct cli_feed_options *options);

struct cli_feed {
  struct cli_tensor **tensor; /* [n], owned */
  struct sumi_view *view;     /* [n], what a run takes */
  size_t n, cap;
};

/* Collects every input of the model. CLI_GO_ON, or the exit status after a sentence. What is missing is filled with
 * random numbers where options->random is set: normal(0, 1) for floats, 0..7 for integers, 0 or 1 for bool. */
int cli_feed_make(const struct sumi_model *model, const struct cli_feed_options *options,
                  struct cli_feed *feed);
void cli_feed_fini(struct cli_feed *feed);
void cli_feed_add(struct cli_feed *feed, struct cli_tensor *take_tensor);
const struct cli_tensor *cli_feed_find(const struct cli_feed *feed, const char *name);

/* Fills a tensor with numbers in [low, high] (floats: normal(0, 1) where both are 0). */
void cli_fill_random(struct cli_tensor *t, uint64_t seed, double low, double high);

#endif
