/* Options of a command: parsing by table, and the help made from the same table. */
#include "common/option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void cli_list_add(struct cli_list *list, const char *item) {
  list->item = cli_grow(list->item, &list->cap, list->n + 1, sizeof *list->item);
  list->item[list->n++] = item;
}

void cli_list_fini(struct cli_list *list) {
  free(list->item);
  *list = (struct cli_list){0};
}

bool cli_parse_whole(const char *text, int64_t *out) {
  char *end;
  errno = 0;
  const long long v = strtoll(text, &end, 10);
  if (end == text || *end || errno) return false;
  *out = v;
  return true;
}

static bool parse_number(const char *text, char **end, double *out) {
  errno = 0;
  *out = strtod(text, end);
  return *end != text && isfinite(*out) && errno != ERANGE;
}

int cli_parse_numbers(const char *text, double *out, int max) {
  for (int n = 0; n < max;) {
    char *end;
    if (!parse_number(text, &end, &out[n])) return -1;
    n++;
    if (!*end) return n;
    if (*end != ',') return -1;
    text = end + 1;
  }
  return -1;
}

bool cli_parse_shape(const char *text, int64_t *dims, int *rank) {
  *rank = 0;
  if (strcmp(text, "scalar") == 0) return true;
  for (;;) {
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (end == text || errno || v < 0 || *rank == SUMI_MAX_RANK) return false;
    dims[(*rank)++] = v;
    if (!*end) return true;
    if (*end != 'x' && *end != ',') return false;
    text = end + 1;
  }
}

static void print_option(const struct cli_option *o) {
  char left[64];
  snprintf(left, sizeof left, "%s%c%s --%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
           o->letter ? "," : " ", o->name, o->value ? " " : "", o->value ? o->value : "");
  printf("  %-28s %s\n", left, o->help);
}

static void print_help(const struct cli_usage *u) {
  printf("usage: sumi %s [options]%s%s\n\n%s\n\noptions:\n", u->command, *u->arguments ? " " : "",
         u->arguments, u->summary);
  for (const struct cli_option *o = u->options; o && o->name; o++) print_option(o);
  print_option(&(struct cli_option){.name = "json", .help = "one JSON object on stdout and nothing else"});
  print_option(&(struct cli_option){.name = "help", .letter = 'h', .help = "this text"});
  printf("\nexample:\n%s\n", u->example);
}

/* Puts a value where the option wants it. CLI_GO_ON or CLI_WRONG. */
static int put(const struct cli_option *o, const char *value) {
  char *end = NULL;
  double x = 0;
  switch (o->kind) {
    case CLI_FLAG: *(bool *)o->to = true; return CLI_GO_ON;
    case CLI_TEXT: *(const char **)o->to = value; return CLI_GO_ON;
    case CLI_LIST: cli_list_add(o->to, value); return CLI_GO_ON;
    case CLI_WHOLE: {
      int64_t whole;
      if (!cli_parse_whole(value, &whole))
        return cli_wrong("--%s takes a whole number, not '%s'", o->name, value);
      *(int64_t *)o->to = whole;
      x = (double)whole;
      break;
    }
    case CLI_NUMBER:
      if (!parse_number(value, &end, &x) || *end)
        return cli_wrong("--%s takes a number, not '%s'", o->name, value);
      *(double *)o->to = x;
      break;
  }
  if ((o->low != 0 || o->high != 0) && (x < o->low || x > o->high))
    return cli_wrong("--%s takes %g to %g, not %s", o->name, o->low, o->high, value);
  return CLI_GO_ON;
}

static const struct cli_option *find(const struct cli_usage *u, const char *name, size_t n, char letter) {
  for (const struct cli_option *o = u->options; o && o->name; o++)
    if (letter ? o->letter == letter : strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
  return NULL;
}

/* One option at argv[*i]; moves *i over its value. */
static int take_option(const struct cli_usage *u, int argc, char **argv, int *i) {
  const char *text = argv[*i];
  const char *value = NULL;
  const struct cli_option *o;
  if (text[1] == '-') {
    const char *equals = strchr(text, '=');
    o = find(u, text + 2, equals ? (size_t)(equals - text - 2) : strlen(text + 2), 0);
    if (equals) value = equals + 1;
  } else {
    o = find(u, NULL, 0, text[1]);
    if (text[2]) value = text + 2;
  }
  if (!o) return cli_wrong("there is no option %s", text);
  if (o->kind == CLI_FLAG) {
    if (value) return cli_wrong("--%s takes no value", o->name);
  } else if (!value) {
    if (*i + 1 >= argc) return cli_wrong("--%s wants a value: %s", o->name, o->value);
    value = argv[++*i];
  }
  return put(o, value);
}

int cli_parse(const struct cli_usage *u, int argc, char **argv, struct cli_list *arguments) {
  bool json = false, only_arguments = false;
  for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) json |= strcmp(argv[i], "--json") == 0;
  cli_begin(u->command, json);
  for (int i = 1; i < argc; i++) {
    const char *text = argv[i];
    if (only_arguments || text[0] != '-' || !text[1]) {
      cli_list_add(arguments, text);
    } else if (strcmp(text, "--") == 0) {
      only_arguments = true;
    } else if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
      print_help(u);
      return CLI_DONE;
    } else if (strcmp(text, "--json") != 0) {
      const int status = take_option(u, argc, argv, &i);
      if (status != CLI_GO_ON) return status;
    }
  }
  if (arguments->n < u->min_arguments)
    return cli_wrong("something is missing: sumi %s %s", u->command, u->arguments);
  if (arguments->n > u->max_arguments)
    return cli_wrong("'%s' is one too many: sumi %s %s", arguments->item[u->max_arguments], u->command,
                     u->arguments);
  return CLI_GO_ON;
}
