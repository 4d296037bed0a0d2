/* What all commands share: exit statuses, refusing, logging, memory. Results go to stdout, everything else to stderr.
 * Commands see <sumi/...> and these helpers, never the library's insides. */
#ifndef CLI_COMMON_CLI_H
#define CLI_COMMON_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sumi/sumi.h>

/* Exit statuses, as scripts know them. */
enum {
  CLI_DONE = 0,     /* done */
  CLI_NO = 1,       /* ran, but the answer is no */
  CLI_WRONG = 2,    /* wrong usage */
  CLI_REFUSED = 3,  /* the input was refused */
  CLI_RESOURCE = 4, /* out of memory, of disk, a card that failed, ... */
  CLI_GO_ON = -1    /* not an exit status: nothing happened yet */
};

/* The commands. */
#define COMMAND(name, help) int cli_##name(int argc, char **argv);
#include "commands.def"
#undef COMMAND

#define CLI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Tells the helpers which command speaks and whether it owes stdout a JSON object. */
void cli_begin(const char *command, bool json);
bool cli_wants_json(void);

/* A line on stderr: "sumi run: ...". */
void cli_note(const char *format, ...) CLI_PRINTF(1, 2);

/* Says on stderr what is wrong with the command line and where the help is; returns CLI_WRONG. */
int cli_wrong(const char *format, ...) CLI_PRINTF(1, 2);

/* Says on stderr why the input was refused, or what ran out; with --json also prints {"error", "status"}.
 * Returns the exit status that belongs to the library's status. */
int cli_refuse(sumi_status status, const char *format, ...) CLI_PRINTF(2, 3);
/* The same with one more key in the JSON object. */
int cli_refuse_with(sumi_status status, const char *key, json_t *take_value, const char *format, ...)
    CLI_PRINTF(4, 5);

/* Prints the object on stdout and gives it back; CLI_DONE, or CLI_RESOURCE where stdout cannot be written. */
int cli_print_json(json_t *take_object);
/* A number, or null where JSON has none (NaN, infinity). */
json_t *cli_json_number(double x);
/* Text that may not be UTF-8: damaged bytes become '?'. */
json_t *cli_json_text(const char *text);
json_t *cli_json_text_n(const char *text, size_t n);
json_t *cli_json_shape(int rank, const int64_t *dims);

/* Zeroed memory; out of memory ends the program with CLI_RESOURCE after a sentence. */
void *cli_alloc(size_t bytes);
void *cli_array_alloc(size_t n, size_t item_bytes);
char *cli_strdup(const char *text);
char *cli_printf(const char *format, ...) CLI_PRINTF(1, 2);
/* array grown to hold n items (contents kept); *cap counts items. */
void *cli_grow(void *array, size_t *cap, size_t n, size_t item_bytes);

/* Monotonic seconds. */
double cli_seconds(void);

/* Progress of long work on stderr: a bar on a terminal, else a plain line at most every few seconds. */
struct cli_progress {
  const char *what; /* "images" */
  size_t total;     /* 0 = not known */
  double start_s, next_s;
  bool terminal, shown;
};
struct cli_progress cli_progress_start(const char *what, size_t total);
void cli_progress_step(struct cli_progress *p, size_t done);
/* The same for work that is no count: a share of it, 0..1, what is being done, and the seconds left (< 0: not known). */
void cli_progress_share(struct cli_progress *p, double done, const char *what, double left_s);
void cli_progress_end(struct cli_progress *p);

/* "float32[1,3,224,224]" into buf; returns buf. */
char *cli_shape_text(sumi_dtype dtype, int rank, const int64_t *dims, char *buf, size_t size);
/* A number of bytes or operations for people: "1.23 G". */
char *cli_quantity(double x, char *buf, size_t size);

/* n values sorted in place; the median of a sorted array, and a quantile (0..1). */
void cli_sort(double *x, size_t n);
double cli_quantile(const double *sorted, size_t n, double q);

#endif
