"""Quantises a network to QDQ form with ONNX Runtime's tool: uint8 activations, int8 weights per channel.

The same file goes to every engine. Convolutional networks are quantised whole (the tool's default
operators); transformers in the inputs of their matrix products: softmax, GELU, LayerNorm and products'
outputs in 8 bits cost accuracy (cosine with float32 of MiniLM: 0.73 and 0.92 instead of 0.99), and the peers
gain nothing by them. Calibration (minimum and maximum) runs over a handful of seeded or real samples."""

import logging
import os
import tempfile

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Samples(CalibrationDataReader):
    """A list of feeds, one after the other."""

    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def quantise(source, target, samples, operators=None):
    """samples: name -> array of them; operators: the types to quantise, None for the tool's default."""
    logging.getLogger().setLevel(logging.ERROR)
    feeds = [
        {name: x[i : i + 1] for name, x in samples.items()} for i in range(len(next(iter(samples.values()))))
    ]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(target))) as folder:
        prepared, out = os.path.join(folder, "prepared.onnx"), os.path.join(folder, "quantised.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            out,
            Samples(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=operators,
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
        )
        os.replace(out, target)
