/* The parts of sumi card: measuring (card.c), text (card_text.c), pages (card_page.c), traces (card_trace.c), other engines
 * (card_engines.c), published figures (card_compare.c). Reports are JSON objects, as --json prints them. */
#ifndef CLI_CARD_INT_H
#define CLI_CARD_INT_H

#include <sumi/card.h>

#include "common/feed.h"

/* ---- card_trace.c: events in the Chrome trace format, which Perfetto and chrome://tracing open. */
struct cli_card_trace {
  FILE *file;
  const char *path;
  bool named[16][16]; /* tracks, by core and engine, that have been given a name */
};
/* CLI_GO_ON, or CLI_RESOURCE after a sentence. Every trace that was opened is closed. */
int cli_card_trace_open(struct cli_card_trace *t, const char *path);
void cli_card_trace_add(void *trace, const struct sumi_card_event *event);
int cli_card_trace_close(struct cli_card_trace *t);

/* ---- numbers of a report */
double cli_card_number(const json_t *j, const char *key); /* NaN where it is none */
const char *cli_card_text(const json_t *j, const char *key);

/* ---- card_text.c */
void cli_card_print(const json_t *report);
void cli_card_print_sweep(const json_t *rows);
json_t *cli_card_parameters(const struct sumi_card *card); /* where its values come from, too */
void cli_card_print_parameters(const json_t *rows);

/* ---- card_engines.c: cycles of the network's products on other engines. */
struct cli_card_engines {
  const char *const *name; /* [n] as sumi_card_engine_cycles takes them */
  size_t n;
  double x_density;
  json_t *rows; /* {"name", "macs", "cycles": [n]} for every layer with products */
  struct sumi_err err;
};
void cli_card_engines_add(struct cli_card_engines *e, const struct sumi_card_layer *layer);
/* The rows, their sum, and the layers' own cycles beside them; takes rows. */
json_t *cli_card_engines_end(struct cli_card_engines *e);
void cli_card_engines_print(const json_t *engines);

/* ---- card_page.c. CLI_GO_ON, or CLI_RESOURCE after a sentence. */
int cli_card_page(const char *path, const char *title, const json_t *report);

/* ---- card_compare.c: published figures, and a report beside them where there is one (NULL: none). */
json_t *cli_card_compare(const json_t *report);
void cli_card_compare_print(const json_t *compared);

#endif
