/* Graphs as text, for text_cases.py, records ended by byte 30:
 *   text_cases cases       every operator's cases as room graph prints them
 *   text_cases print       what stands on stdin, read and printed again; "error: ..." where it does not read */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op/ops.h"

enum { END = 30 };

static void show(const char *text, size_t n) {
  struct sumi_graph *g;
  struct sumi_text t;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_text_init(&t, NULL);
  if (sumi_graph_parse(text, n, sumi_op_find, NULL, &g, &err) != SUMI_OK)
    sumi_text_add(&t, "error: %s", err.text);
  else
    sumi_graph_print(g, SIZE_MAX, false, &t);
  fwrite(t.data, 1, t.size, stdout);
  putchar(END);
  sumi_text_fini(&t);
  sumi_graph_free(g);
}

static void show_cases(void) {
  size_t n;
  const struct sumi_op *const *ops = sumi_ops(&n);
  for (size_t i = 0; i < n; i++)
    for (const struct sumi_case *c = ops[i]->cases; c && c->text; c++) show(c->text, strlen(c->text));
}

static void show_input(void) {
  size_t size = 0, cap = 1 << 16;
  char *text = malloc(cap);
  for (int c = getchar(); text && c != EOF; c = getchar()) {
    if (c == END) {
      show(text, size);
      size = 0;
      continue;
    }
    if (size == cap) text = realloc(text, cap *= 2);
    if (text) text[size++] = (char)c;
  }
  free(text);
}

int main(int n, char **arg) {
  if (n == 2 && strcmp(arg[1], "cases") == 0)
    show_cases();
  else if (n == 2 && strcmp(arg[1], "print") == 0)
    show_input();
  else
    return 2;
  return 0;
}
