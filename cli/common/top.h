/* The largest scores of a row, as probabilities. */
#ifndef CLI_COMMON_TOP_H
#define CLI_COMMON_TOP_H

#include <sumi/inspect.h>

#include "common/cli.h"

struct cli_top {
  int64_t class_;
  double score; /* probability */
};

/* The k largest of n scores, largest first (of equal ones the lower class); scores that are no probabilities yet (not
 * all in [0, 1] with sum 1) go through softmax first. Returns how many: min(k, n). NaN counts as least. */
size_t cli_top(const double *scores, size_t n, size_t k, struct cli_top *out);

/* Lines of a text file. */
struct cli_labels {
  char **line;
  size_t n, cap;
};
/* CLI_GO_ON, or the exit status after a sentence. path NULL: no labels. */
int cli_labels_read(const char *path, struct cli_labels *labels);
/* The label of a class; its number where there is none (in buf). */
const char *cli_label(const struct cli_labels *labels, int64_t class_, char *buf, size_t size);
void cli_labels_fini(struct cli_labels *labels);

#endif
