/* libFuzzer target: any bytes as a graph in text form. What reads must print, read again and print the same; verifying it
 * must end well or with a sentence. The same bytes are read as a dimension, whose text must mean the same dimension. */
#include <string.h>

#include "op/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good) {
  if (!good) __builtin_trap();
}

static struct sumi_graph *parse(const char *text, size_t n) {
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_graph_parse(text, n, sumi_op_find, NULL, &g, &err);
  check(status == SUMI_OK ? g != NULL : g == NULL && err.status == status && strstr(err.text, "line"));
  check(status != SUMI_E_INTERNAL && status != SUMI_E_MEMORY);
  return g;
}

static void print(const struct sumi_graph *g, struct sumi_text *t) {
  sumi_text_init(t, NULL);
  sumi_graph_print(g, SIZE_MAX, false, t);
  check(!t->failed);
}

static void try_graph(const char *text, size_t n) {
  struct sumi_graph *g = parse(text, n);
  if (!g) return;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_graph_verify(g, &err);
  check(status == SUMI_OK || err.text[0]);
  struct sumi_text first, second;
  print(g, &first);
  struct sumi_graph *again = parse(first.data, first.size);
  check(again != NULL);
  print(again, &second);
  check(first.size == second.size && !memcmp(first.data, second.data, first.size));
  sumi_text_fini(&first);
  sumi_text_fini(&second);
  sumi_graph_free(again);
  sumi_graph_free(g);
}

static void try_dim(const char *text, size_t n) {
  struct sumi_arena arena;
  struct sumi_text t;
  sumi_arena_init(&arena, NULL);
  sumi_text_init(&t, NULL);
  struct sumi_symbols s = {.arena = &arena};
  const sumi_dim d = sumi_dim_parse(&s, text, n);
  sumi_dim_print(&s, d, &t);
  check(sumi_dim_parse(&s, sumi_text_str(&t), t.size) == d);
  sumi_text_fini(&t);
  sumi_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  try_graph((const char *)data, n);
  try_dim((const char *)data, n);
  return 0;
}
