/* libFuzzer target: any bytes as a model, through the public interface: import, inference, every portable
 * pass. */
#include <sumi/sumi.h>

#include "onnx_mutator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

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
  const sumi_status status = sumi_model_load_memory(data, n, &options, &model, &err);
  if (status != SUMI_OK && (!err.text[0] || model || status == SUMI_E_INTERNAL)) __builtin_trap();
  sumi_model_unref(model);
  return 0;
}
