"""Zeroes random blocks of weights in a float32 or quantised (QDQ) network.

    build/venv/bin/python bench/sparsify.py IN.onnx OUT.onnx PATTERN FACTOR [conv|pointwise|matmul]

PATTERN is RxC: R consecutive outputs times C consecutive inputs, inputs in the order ky, kx, channel; 1 of
FACTOR blocks is kept. conv: every convolution of one group but the first, and the classifier; pointwise: the
1x1 ones among the convolutions; matmul: every product with constant weights.
What is kept is scaled by sqrt(FACTOR), in a quantised file through its scales, so that activations keep the
range they were calibrated for."""

import sys
import zlib

import numpy as np
import onnx
from onnx import helper, numpy_helper


KINDS = {"conv": ("Conv", "Gemm"), "pointwise": ("Conv",), "matmul": ("MatMul",)}


def chosen(graph, rule):
    """(node, initializer) of all weights to be sparse; a quantised one is behind its DequantizeLinear."""
    known = {t.name: t for t in graph.initializer}
    dequantised = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    first = True
    for node in graph.node:
        if node.op_type not in KINDS[rule]:
            continue
        name = dequantised.get(node.input[1], node.input[1])
        if name not in known:
            continue
        stem, first = first and node.op_type == "Conv", False
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        kernel = list(known[name].dims)[2:]
        if not stem and group == 1 and (rule != "pointwise" or all(k == 1 for k in kernel)):
            yield node, name


def block_mask(outputs, taps, channels, rows, columns, factor, seed):
    """True where weights stay, [outputs, taps, channels]."""
    grid = (-(-outputs // rows), taps, -(-channels // columns))
    blocks = int(np.prod(grid))
    kept = np.zeros(blocks, bool)
    kept[np.random.default_rng(seed).permutation(blocks)[: max(1, round(blocks / factor))]] = True
    mask = kept.reshape(grid).repeat(rows, 0).repeat(columns, 2)
    return mask[:outputs, :, :channels]


def weight_mask(node, dims, rows, columns, factor, seed):
    """The mask in the shape of a convolution's [out, in, ky, kx], a classifier's [out, in] or a product's [in, out]."""
    if len(dims) == 2 and not any(a.name == "transB" and a.i for a in node.attribute):
        return block_mask(dims[1], 1, dims[0], rows, columns, factor, seed)[:, 0].T
    taps = int(np.prod(dims[2:]))
    mask = block_mask(dims[0], taps, dims[1], rows, columns, factor, seed)
    return mask.transpose(0, 2, 1).reshape(dims)


class Initializers:
    """Reads and changes the constants of a graph, each at most once."""

    def __init__(self, graph):
        self.known, self.changed = {t.name: t for t in graph.initializer}, set()

    def change(self, name, function):
        if name in self.changed:
            return
        self.changed.add(name)
        old = numpy_helper.to_array(self.known[name])
        self.known[name].CopyFrom(numpy_helper.from_array(function(old).astype(old.dtype), name))


def sparsify(model, pattern, factor, rule="conv"):
    """Changes the model in place; returns the share of kept weights over all chosen ones."""
    rows, columns = map(int, pattern.split("x"))
    gain = np.sqrt(factor)
    weights = Initializers(model.graph)
    dequantise = {n.output[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
    kept = total = 0
    for node, name in chosen(model.graph, rule):
        mask = weight_mask(node, tuple(weights.known[name].dims), rows, columns, factor, zlib.crc32(name.encode()))
        kept, total = kept + int(mask.sum()), total + mask.size
        if node.input[1] not in dequantise:
            weights.change(name, lambda w: np.where(mask, w * gain, 0))
            continue
        weights.change(name, lambda w: np.where(mask, w, 0))
        weights.change(dequantise[node.input[1]].input[1], lambda s: s * gain)
        bias = dequantise.get(node.input[2]) if len(node.input) > 2 else None
        if bias is not None:  # its scale is the product of the input's and the weights' scale
            weights.change(bias.input[0], lambda b: np.rint(b / gain))
            weights.change(bias.input[1], lambda s: s * gain)
    helper.set_model_props(model, {"sparsity": f"{pattern}, 1/{factor} of the blocks, {rule}"})
    return kept / max(total, 1)


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    net = onnx.load(sys.argv[1])
    share = sparsify(net, sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
    onnx.save(net, sys.argv[2])
    print(f"{share:.4f} of the weights kept")
