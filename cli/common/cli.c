/* What all commands share: refusing with the right exit status, JSON on stdout, memory that ends the program when
 * there is none, progress. Must not print results. */
#include "common/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *speaker = "";
static bool json_wanted;

void cli_begin(const char *command, bool json) {
  speaker = command;
  json_wanted = json;
}

bool cli_wants_json(void) { return json_wanted; }

static void say(const char *format, va_list args) {
  fprintf(stderr, "sumi%s%s: ", *speaker ? " " : "", speaker);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

void cli_note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(format, args);
  va_end(args);
}

int cli_wrong(const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(format, args);
  va_end(args);
  fprintf(stderr, "try: sumi%s%s --help\n", *speaker ? " " : "", speaker);
  return CLI_WRONG;
}

static int refuse(sumi_status status, const char *key, json_t *take_value, const char *format, va_list args) {
  char *text = NULL;
  if (vasprintf(&text, format, args) < 0) text = NULL;
  cli_note("%s", text ? text : "out of memory");
  if (json_wanted) {
    json_t *o = json_object();
    json_object_set_new(o, "error", cli_json_text(text ? text : "out of memory"));
    json_object_set_new(o, "status", json_string(sumi_status_name(status)));
    if (key) json_object_set(o, key, take_value);
    cli_print_json(o);
  }
  json_decref(take_value);
  free(text);
  return status == SUMI_E_MEMORY || status == SUMI_E_DEVICE ? CLI_RESOURCE : CLI_REFUSED;
}

int cli_refuse(sumi_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int result = refuse(status, NULL, NULL, format, args);
  va_end(args);
  return result;
}

int cli_refuse_with(sumi_status status, const char *key, json_t *take_value, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int result = refuse(status, key, take_value, format, args);
  va_end(args);
  return result;
}

int cli_print_json(json_t *take_object) {
  const bool good =
      take_object && json_dumpf(take_object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
  fputc('\n', stdout);
  json_decref(take_object);
  if (good && fflush(stdout) == 0) return CLI_DONE;
  cli_note("cannot write the result: %s", errno ? strerror(errno) : "out of memory");
  return CLI_RESOURCE;
}

json_t *cli_json_number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

json_t *cli_json_text_n(const char *text, size_t n) {
  json_t *j = json_stringn(text, n);
  if (j) return j;
  char *copy = cli_alloc(n + 1);
  for (size_t i = 0; i < n; i++) copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
  j = json_stringn(copy, n);
  free(copy);
  return j;
}

json_t *cli_json_text(const char *text) { return cli_json_text_n(text ? text : "", text ? strlen(text) : 0); }

json_t *cli_json_shape(int rank, const int64_t *dims) {
  if (rank < 0) return json_null();
  json_t *a = json_array();
  for (int i = 0; i < rank; i++) json_array_append_new(a, json_integer(dims[i]));
  return a;
}

static void *or_end(void *p, size_t bytes) {
  if (p) return p;
  cli_refuse(SUMI_E_MEMORY, "out of memory: %zu bytes are not to be had", bytes);
  exit(CLI_RESOURCE);
}

void *cli_alloc(size_t bytes) { return or_end(calloc(1, bytes ? bytes : 1), bytes); }

void *cli_array_alloc(size_t n, size_t item_bytes) { return or_end(calloc(n ? n : 1, item_bytes), n); }

char *cli_strdup(const char *text) { return or_end(strdup(text), strlen(text) + 1); }

char *cli_printf(const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = NULL;
  if (vasprintf(&text, format, args) < 0) text = NULL;
  va_end(args);
  return or_end(text, 0);
}

void *cli_grow(void *array, size_t *cap, size_t n, size_t item_bytes) {
  if (n <= *cap) return array;
  const size_t more = n < 16 ? 16 : n * 2;
  void *grown = or_end(reallocarray(array, more, item_bytes), more);
  memset((char *)grown + *cap * item_bytes, 0, (more - *cap) * item_bytes);
  *cap = more;
  return grown;
}

double cli_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct cli_progress cli_progress_start(const char *what, size_t total) {
  const double now = cli_seconds();
  const bool terminal = isatty(STDERR_FILENO) == 1;
  return (struct cli_progress){.what = what,
                               .total = total,
                               .start_s = now,
                               .next_s = now + (terminal ? 0.2 : 5),
                               .terminal = terminal};
}

/* Whether it is time to show something. */
static bool progress_due(struct cli_progress *p) {
  const double now = cli_seconds();
  if (now < p->next_s) return false;
  p->next_s = now + (p->terminal ? 0.1 : 5);
  p->shown = true;
  return true;
}

static const char *bar_of(double done, char bar[41]) {
  for (int i = 0; i < 40; i++) bar[i] = i < (int)(done * 40) ? '#' : '.';
  bar[40] = 0;
  return bar;
}

void cli_progress_step(struct cli_progress *p, size_t done) {
  char bar[41];
  if (!progress_due(p)) return;
  const double spent = cli_seconds() - p->start_s;
  if (!p->terminal && p->total)
    fprintf(stderr, "%zu of %zu %s, %.0f s\n", done, p->total, p->what, spent);
  else if (!p->terminal)
    fprintf(stderr, "%zu %s, %.0f s\n", done, p->what, spent);
  else if (p->total)
    fprintf(stderr, "\r[%s] %zu of %zu %s ", bar_of((double)done / (double)p->total, bar), done, p->total,
            p->what);
  else
    fprintf(stderr, "\r%zu %s ", done, p->what);
  fflush(stderr);
}

void cli_progress_share(struct cli_progress *p, double done, const char *what, double left_s) {
  char bar[41], left[32] = "";
  if (!progress_due(p)) return;
  if (left_s >= 0) snprintf(left, sizeof left, ", %.0f s left", left_s);
  if (p->terminal)
    fprintf(stderr, "\r[%s] %3.0f %%%s, %.60s\033[K", bar_of(done, bar), 100 * done, left, what);
  else
    fprintf(stderr, "%.0f %%, %.0f s%s, %s\n", 100 * done, cli_seconds() - p->start_s, left, what);
  fflush(stderr);
}

void cli_progress_end(struct cli_progress *p) {
  if (p->shown && p->terminal) fprintf(stderr, "\r\033[K");
}

char *cli_shape_text(sumi_dtype dtype, int rank, const int64_t *dims, char *buf, size_t size) {
  int at = snprintf(buf, size, "%s[", sumi_dtype_name(dtype));
  if (rank < 0) at += snprintf(buf + at, size - (size_t)at, "...");
  for (int i = 0; i < rank && (size_t)at < size; i++) {
    const char *comma = i ? "," : "";
    if (dims[i] < 0)
      at += snprintf(buf + at, size - (size_t)at, "%s?", comma);
    else
      at += snprintf(buf + at, size - (size_t)at, "%s%lld", comma, (long long)dims[i]);
  }
  if ((size_t)at < size) snprintf(buf + at, size - (size_t)at, "]");
  return buf;
}

char *cli_quantity(double x, char *buf, size_t size) {
  static const char *const unit[] = {"", " K", " M", " G", " T"};
  size_t u = 0;
  while (fabs(x) >= 1000 && u + 1 < CLI_COUNT(unit)) x /= 1000, u++;
  snprintf(buf, size, u ? "%.3g%s" : "%.4g%s", x, unit[u]);
  return buf;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void cli_sort(double *x, size_t n) { qsort(x, n, sizeof *x, by_value); }

double cli_quantile(const double *sorted, size_t n, double q) {
  if (!n) return 0;
  const double at = q * (double)(n - 1);
  const size_t i = (size_t)at;
  return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}
