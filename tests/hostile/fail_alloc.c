/* A network loaded, prepared and run with the allocator failing at the n-th call, for every n (or every STEP-th):
 * each time a status and a sentence, nothing leaked, and with n beyond the last call the result as before.
 *   fail_alloc [--step STEP] NETWORK...      symbolic dimensions become 1, or 32 behind the second */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem_test.h"
#include "sumi/sumi.h"

enum { MAX_PORTS = 32 };

struct inputs {
  size_t n;
  struct sumi_view view[MAX_PORTS];
  int64_t dims[MAX_PORTS][SUMI_MAX_RANK];
};

/* Zero inputs of the shapes the model declares; false where the test cannot make them. */
static int make_inputs(const struct sumi_model *model, struct inputs *in) {
  in->n = sumi_model_input_count(model);
  if (in->n > MAX_PORTS) return 0;
  for (size_t i = 0; i < in->n; i++) {
    struct sumi_port_info p = {.size = sizeof p};
    if (sumi_model_input(model, i, &p) != SUMI_OK || p.kind != SUMI_TENSOR || p.rank < 0) return 0;
    for (int d = 0; d < p.rank; d++) in->dims[i][d] = p.dims[d] >= 0 ? p.dims[d] : d < 2 ? 1 : 32;
    in->view[i] = (struct sumi_view){.size = sizeof in->view[i],
                                     .name = strdup(p.name),
                                     .dtype = p.dtype,
                                     .rank = p.rank,
                                     .dims = in->dims[i]};
    in->view[i].data = calloc((size_t)sumi_view_count(&in->view[i]) + 1, 16);
  }
  return 1;
}

static sumi_status attempt(const char *path, const struct sumi_allocator *a, struct inputs *in,
                           struct sumi_err *err) {
  const struct sumi_model_options o = {.size = sizeof o, .allocator = a};
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  sumi_status status = sumi_model_load_file(path, &o, &model, err);
  if (status == SUMI_OK && !in->n && !make_inputs(model, in)) status = SUMI_E_UNSUPPORTED;
  if (status == SUMI_OK) status = sumi_session_new(model, NULL, &session, err);
  for (int i = 0; status == SUMI_OK && i < 2; i++)
    status = sumi_session_run(session, in->view, in->n, NULL, 0, err);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status;
}

static int test(const char *path, long step) {
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  static struct inputs in;
  struct sumi_err err = SUMI_ERR_INIT;
  memset(&in, 0, sizeof in);
  if (attempt(path, a, &in, &err) != SUMI_OK) {
    printf("FAIL %s: %s\n", path, err.text);
    return 1;
  }
  long n = 0, failures = 0;
  for (;; n += step) {
    memset(&err, 0, sizeof err);
    err.size = sizeof err;
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = attempt(path, a, &in, &err);
    if (heap.blocks) {
      printf("FAIL %s: allocation %ld failing leaks %ld blocks (%s)\n", path, n, heap.blocks, err.text);
      return 1;
    }
    if (!heap.failed) break;
    if (status == SUMI_OK) continue; /* something that may be done without: the text of a reason */
    failures++;
    if (status != SUMI_E_MEMORY || !*err.text) {
      printf("FAIL %s: allocation %ld failing gives status %s: '%s'\n", path, n, sumi_status_name(status),
             err.text);
      return 1;
    }
  }
  printf("ok %s: %ld allocations failed in turn, %ld of them ended the call\n", path, n / step, failures);
  for (size_t i = 0; i < in.n; i++) {
    free(in.view[i].data);
    free((char *)in.view[i].name);
  }
  return failures == 0;
}

int main(int argc, char **argv) {
  long step = 1;
  int failed = 0;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--step") && i + 1 < argc)
      step = atol(argv[++i]) > 0 ? atol(argv[i]) : 1;
    else
      failed += test(argv[i], step);
  return failed != 0;
}
