/* A self-contained HTML page of figures and bar charts (inline SVG, no scripts, nothing from elsewhere). */
#ifndef CLI_COMMON_PAGE_H
#define CLI_COMMON_PAGE_H

#include "common/cli.h"

struct cli_page {
  FILE *file;
  char *path, *temp;
};

/* CLI_GO_ON, or CLI_RESOURCE after a sentence. Every page that was opened is closed. */
int cli_page_open(struct cli_page *page, const char *path, const char *title);
/* Text, with what HTML gives a meaning escaped. */
void cli_page_escaped(struct cli_page *page, const char *text);
/* A table of two columns. */
void cli_page_facts(struct cli_page *page, const char *const (*fact)[2], size_t n);

struct cli_bars {
  const char *title, *unit;
  const char *const *label;            /* [n] */
  const char *const *note;             /* [n] texts behind the bars, "" = none; NULL = none at all */
  const double *value, *other;         /* [n]; other: a second bar, NULL = none; negative or NaN = no bar */
  const char *value_name, *other_name; /* the legend where there are two */
  size_t n;
  double scale; /* value of a full bar; 0 = the largest */
};
/* Horizontal bars, one row a label. */
void cli_page_bars(struct cli_page *page, const struct cli_bars *bars);
/* The page takes its name. CLI_GO_ON, or CLI_RESOURCE after a sentence. */
int cli_page_close(struct cli_page *page);

#endif
