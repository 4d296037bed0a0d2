/* Static 8 bits: which layers and values get them, with which scales, and the changes that write them down as
 * QuantizeLinear and DequantizeLinear. */
#ifndef SUMI_COMPRESS_QUANTIZE_H
#define SUMI_COMPRESS_QUANTIZE_H

#include "compress/compress.h"
#include "compress/range.h"

struct sumi_quantized {
  struct sumi_changes changes;
  struct sumi_quantized_layer_info *layer; /* [n_layer], texts in arena */
  size_t n_layer;
  struct sumi_graph *graph; /* what the changes' tensors belong to */
  struct sumi_arena arena;
};

/* g is as its file has it, with what is inferred; opset: the file's of ai.onnx. o is of this library's size. *out is
 * freed by sumi_quantized_fini() in any case. */
sumi_status sumi_quantize(const struct sumi_graph *g, int opset, const struct sumi_quantize_options *o,
                          const struct sumi_allocator *a, struct sumi_quantized *out, struct sumi_err *err);
void sumi_quantized_fini(struct sumi_quantized *q);

#endif
