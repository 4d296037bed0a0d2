/* Options of a command: a table that says what is taken, where it goes and how the help describes it. */
#ifndef CLI_COMMON_OPTION_H
#define CLI_COMMON_OPTION_H

#include "common/cli.h"

enum cli_kind {
  CLI_FLAG,   /* bool: --json */
  CLI_TEXT,   /* const char *: --device D */
  CLI_WHOLE,  /* int64_t: --threads N */
  CLI_NUMBER, /* double: --seconds S */
  CLI_LIST    /* struct cli_list: may be given many times */
};

/* Texts point into argv. */
struct cli_list {
  const char **item;
  size_t n, cap;
};
void cli_list_add(struct cli_list *list, const char *item);
void cli_list_fini(struct cli_list *list);

struct cli_option {
  const char *name; /* "threads": given as --threads N or --threads=N */
  char letter;      /* 'i': also -i; 0 = none */
  enum cli_kind kind;
  void *to;
  const char *value; /* what the help calls its value: "N" */
  const char *help;
  double low, high; /* bounds of WHOLE and NUMBER; both 0 = none */
};

struct cli_usage {
  const char *command;   /* "run" */
  const char *arguments; /* "MODEL" */
  size_t min_arguments, max_arguments;
  const char *summary;              /* a sentence or two */
  const char *example;              /* lines that can be typed */
  const struct cli_option *options; /* ended by a NULL name; --json and --help are added */
};

/* Reads argv[1..argc) and calls cli_begin. CLI_GO_ON, or the exit status: CLI_DONE after --help, CLI_WRONG after a
 * sentence. arguments receives what is not an option. */
int cli_parse(const struct cli_usage *usage, int argc, char **argv, struct cli_list *arguments);

/* Numbers separated by commas, at most max; returns how many, or -1 where the text is something else. */
int cli_parse_numbers(const char *text, double *out, int max);
/* "1x3x224x224" (or "scalar", for rank 0) into dims[SUMI_MAX_RANK]; false where the text is something else. */
bool cli_parse_shape(const char *text, int64_t *dims, int *rank);
/* Whole text as an integer. */
bool cli_parse_whole(const char *text, int64_t *out);

#endif
