/* More charts of a page: stacked bars and a roofline. */
#ifndef CLI_COMMON_CHART_H
#define CLI_COMMON_CHART_H

#include "common/page.h"

enum { CLI_STACK_PARTS = 10 };

/* One row a label, each a bar of parts side by side. */
struct cli_stack {
  const char *title, *unit;
  const char *const *label; /* [n] */
  const char *const *note;  /* [n] texts behind the bars, "" = none; NULL = none at all */
  const char *const *part;  /* [parts] the legend */
  size_t n, parts;          /* parts <= CLI_STACK_PARTS */
  const double *value;      /* [n, parts], row-major; negative or NaN = 0 */
};
void cli_page_stack(struct cli_page *page, const struct cli_stack *stack);

/* Points under roofs on logarithmic axes: x = work a byte, y = work a second. */
struct cli_roofline {
  const char *title, *x_name, *y_name;
  const char *const *label; /* [n] shown over a point */
  const double *x, *y;      /* [n]; what is not above 0 has no point */
  size_t n;
  double bytes_per_s;           /* the slope */
  const double *roof;           /* [roofs] work a second */
  const char *const *roof_name; /* [roofs] */
  size_t roofs;
};
void cli_page_roofline(struct cli_page *page, const struct cli_roofline *roofline);

/* A paragraph. */
void cli_page_text(struct cli_page *page, const char *text);

#endif
