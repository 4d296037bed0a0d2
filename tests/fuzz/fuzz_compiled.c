/* libFuzzer target: any bytes as a compiled model: loaded, verified, prepared, and run on zeros where it has no loops. The mutator changes one
 * section and writes header and hashes anew, for the machine it runs on, so that packed weights are looked at too. */
#include <stdio.h>

#include "base/size.h"
#include "cpu/cpu.h"
#include "file/file_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

enum { MAX_PORTS = 16 };

static void check(bool good) {
  if (!good) __builtin_trap();
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed) {
  struct sumi_compiled c;
  struct sumi_test_section s[SUMI_TEST_SECTIONS];
  if (seed % 16 == 0 || !sumi_test_take_apart(data, n, &c, s)) return LLVMFuzzerMutate(data, n, max);
  struct sumi_test_section *chosen = &s[(const int[]){0, 0, 0, 1, 2, 3, 3, 3}[seed / 16 % 8]];
  const size_t cap = chosen->n + 256;
  uint8_t *changed = malloc(cap);
  if (!changed) return n;
  if (chosen->n) memcpy(changed, chosen->bytes, chosen->n);
  *chosen = (struct sumi_test_section){changed, LLVMFuzzerMutate(changed, chosen->n, cap)};
  snprintf(c.library, sizeof c.library, "%s", sumi_version());
  snprintf(c.isa, sizeof c.isa, "%s", sumi_isa_label(sumi_cpu_isa()));
  size_t made = 0;
  uint8_t *file = sumi_test_put_together(&c, s, &made);
  if (file && made <= max) memcpy(data, file, n = made);
  free(file);
  free(changed);
  return n;
}

static void run(struct sumi_model *model) {
  static const double zeros[4096];
  static int64_t dims[MAX_PORTS][SUMI_MAX_RANK];
  const struct sumi_session_options options = {.size = sizeof options, .max_arena_bytes = 1 << 20};
  struct sumi_view in[MAX_PORTS];
  struct sumi_session *session;
  struct sumi_err err = SUMI_ERR_INIT;
  const size_t n = sumi_model_input_count(model);
  if (n > MAX_PORTS) return;
  for (size_t i = 0; i < n; i++) {
    struct sumi_port_info p = {.size = sizeof p};
    if (sumi_model_input(model, i, &p) != SUMI_OK || p.kind != SUMI_TENSOR || p.dtype == SUMI_STRING ||
        p.rank < 0)
      return;
    for (int d = 0; d < p.rank; d++) dims[i][d] = p.dims[d] >= 0 ? p.dims[d] : 1;
    in[i] = (struct sumi_view){.size = sizeof in[i],
                               .name = p.name,
                               .data = (void *)(uintptr_t)zeros,
                               .dtype = p.dtype,
                               .rank = p.rank,
                               .dims = dims[i]};
    const int64_t count = sumi_view_count(&in[i]);
    if (count < 0 || count > (int64_t)SUMI_COUNT(zeros) / 2) return;
  }
  if (sumi_session_new(model, &options, &session, &err) != SUMI_OK) return;
  struct sumi_memory_info memory = {.size = sizeof memory};
  sumi_status status = sumi_session_prepare(session, in, n, &err);
  if (status == SUMI_OK && sumi_session_memory(session, &memory) == SUMI_OK && memory.is_static)
    status = sumi_session_run(session, in, n, NULL, 0, &err);
  check(status == SUMI_OK || (err.text[0] && status != SUMI_E_INTERNAL));
  sumi_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const struct sumi_limits limits = {.size = sizeof limits,
                                     .max_file_bytes = 16 << 20,
                                     .max_nodes = 2000,
                                     .max_values = 8000,
                                     .max_attr_items = 4096,
                                     .max_name_bytes = 1024,
                                     .max_tensor_bytes = 1 << 20};
  const struct sumi_model_options options = {.size = sizeof options, .limits = &limits};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  if (!sumi_compiled_is(data, n)) return -1; /* what is no compiled model is for fuzz_model */
  uint8_t *copy = aligned_alloc(SUMI_ALIGN, sumi_test_aligned(n));
  memcpy(copy, data, n);
  const sumi_status status = sumi_model_load_memory(copy, n, &options, &model, &err);
  check(status == SUMI_OK ? model != NULL : model == NULL && err.text[0] && status != SUMI_E_INTERNAL);
  if (model) {
    sumi_model_verify(model, NULL);
    run(model);
  }
  sumi_model_unref(model);
  free(copy);
  return 0;
}
