"""Networks of published structure with seeded weights, in ONNX.

    build/venv/bin/python bench/networks.py NAME OUT.onnx      NAME: one of those below

Weights are normal numbers from a generator seeded by the CRC-32 of their name, of the standard deviation
that keeps the variance of activations (He); what is added to a residual is damped, so that it stays there
over all blocks. BatchNormalization is folded as exporters do: a convolution has a bias. The batch is
symbolic, "N".

resnet50     He et al. 2015, arXiv 1512.03385, v1.5: the stride is in the 3x3 convolution
mobilenetv2  Sandler et al. 2018, arXiv 1801.04381, width 1
bert_base    Devlin et al. 2018, arXiv 1810.04805: 12 layers of 768 with 12 heads, as PyTorch exports it
bert_base_384, bert_large   the same over 384 tokens; 24 layers of 1024 with 16 heads over 384 tokens
"""

import sys
import zlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Builder:
    """Collects nodes and initializers; every method that adds a node returns the name of its output."""

    def __init__(self):
        self.nodes, self.initializers, self.known = [], [], set()

    def constant(self, name, array):
        if name not in self.known:
            self.known.add(name)
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def normal(self, name, dims, std, mean=0.0):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        return self.constant(name, mean + np.float32(std) * rng.standard_normal(dims, dtype=np.float32))

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name="/" + name, **attributes))
        return name

    def conv(self, x, name, inputs, outputs, kernel=1, stride=1, groups=1, gain=2.0):
        fan = inputs // groups * kernel * kernel
        w = self.normal(name + ".weight", (outputs, inputs // groups, kernel, kernel), np.sqrt(gain / fan))
        b = self.normal(name + ".bias", (outputs,), 0.1)
        return self.node(
            "Conv",
            [x, w, b],
            name,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
            dilations=[1, 1],
            group=groups,
        )

    def classifier(self, x, features, classes):
        x = self.node("GlobalAveragePool", [x], "pool")
        x = self.node("Flatten", [x], "flatten", axis=1)
        w = self.normal("fc.weight", (classes, features), np.sqrt(1 / features))
        return self.node("Gemm", [x, w, self.normal("fc.bias", (classes,), 0.1)], "logits", transB=1)

    def model(self, name, inputs, outputs):
        infos = [[helper.make_tensor_value_info(n, t, d) for n, t, d in side] for side in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, name, *infos, self.initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="sumi bench"
        )
        checker.check_model(model)
        return model

    def image_model(self, name):
        return self.model(name, [("image", FLOAT, ["N", 3, 224, 224])], [("logits", FLOAT, ["N", 1000])])


def resnet50():
    b = Builder()
    x = b.node("Relu", [b.conv("image", "conv1", 3, 64, 7, 2)], "relu1")
    x = b.node("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 1):
        for block in range(blocks):
            p, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = b.node("Relu", [b.conv(x, p + ".conv1", channels, width)], p + ".relu1")
            y = b.node("Relu", [b.conv(y, p + ".conv2", width, width, 3, stride)], p + ".relu2")
            y = b.conv(y, p + ".conv3", width, 4 * width, gain=0.25)
            if block == 0:
                x = b.conv(x, p + ".downsample", channels, 4 * width, 1, stride, gain=1.5)
            x = b.node("Relu", [b.node("Add", [y, x], p + ".add")], p + ".relu3")
            channels = 4 * width
    b.classifier(x, channels, 1000)
    return b.image_model("resnet50")


def mobilenetv2():
    b = Builder()
    bounds = [b.constant("zero", np.float32(0)), b.constant("six", np.float32(6))]

    def relu6(x):
        return b.node("Clip", [x] + bounds, x + ".relu6")

    x, channels = relu6(b.conv("image", "conv1", 3, 32, 3, 2)), 32
    blocks = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    for stage, (expand, outputs, repeats, stride) in enumerate(blocks, 1):
        for block in range(repeats):
            p, wide, y = f"block{stage}.{block}", expand * channels, x
            if expand > 1:
                y = relu6(b.conv(y, p + ".expand", channels, wide))
            y = relu6(b.conv(y, p + ".depthwise", wide, wide, 3, stride if block == 0 else 1, wide))
            added = block > 0
            y = b.conv(y, p + ".project", wide, outputs, gain=0.5 if added else 1.5)
            x, channels = b.node("Add", [x, y], p + ".add") if added else y, outputs
    x = relu6(b.conv(x, "last", channels, 1280))
    b.classifier(x, 1280, 1000)
    return b.image_model("mobilenetv2")


class Bert(Builder):
    """The encoder of the given width; sequence and number of heads as its fields say."""

    def __init__(self, layers=12, width=768, heads=12, inner=3072, sequence=128, vocabulary=30522):
        super().__init__()
        self.layers, self.width, self.heads, self.inner = layers, width, heads, inner
        self.sequence, self.vocabulary = sequence, vocabulary

    def linear(self, x, name, inputs, outputs, gain=1.0):
        w = self.normal(name + ".weight", (inputs, outputs), np.sqrt(gain / inputs))
        y = self.node("MatMul", [x, w], name + ".matmul")
        return self.node("Add", [self.normal(name + ".bias", (outputs,), 0.1), y], name)

    def layer_norm(self, x, name):
        scale = self.normal(name + ".weight", (self.width,), 0.1, 1.0)
        bias = self.normal(name + ".bias", (self.width,), 0.1)
        return self.node("LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=1e-12)

    def gelu(self, x, name):
        y = self.node("Div", [x, self.constant("sqrt2", np.float32(np.sqrt(2)))], name + ".div")
        y = self.node("Erf", [y], name + ".erf")
        y = self.node("Add", [y, self.constant("one", np.float32(1))], name + ".add")
        y = self.node("Mul", [x, y], name + ".mul")
        return self.node("Mul", [y, self.constant("half", np.float32(0.5))], name)

    def attention(self, x, mask, p):
        """softmax(Q K^T / sqrt(size) + mask) V for every head, then the output layer."""
        size = self.width // self.heads
        split = self.constant("split", np.array([0, self.sequence, self.heads, size], np.int64))
        join = self.constant("join", np.array([0, self.sequence, self.width], np.int64))
        parts = []
        for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
            y = self.linear(x, f"{p}.{part}", self.width, self.width)
            y = self.node("Reshape", [y, split], f"{p}.{part}.reshape")
            parts.append(self.node("Transpose", [y], f"{p}.{part}.transpose", perm=order))
        y = self.node("MatMul", parts[:2], p + ".scores")
        y = self.node("Div", [y, self.constant("sqrt_size", np.float32(np.sqrt(size)))], p + ".scaled")
        y = self.node("Add", [y, mask], p + ".masked")
        y = self.node("Softmax", [y], p + ".softmax", axis=-1)
        y = self.node("MatMul", [y, parts[2]], p + ".context")
        y = self.node("Transpose", [y], p + ".context.transpose", perm=[0, 2, 1, 3])
        y = self.node("Reshape", [y, join], p + ".context.reshape")
        return self.linear(y, p + ".output", self.width, self.width)

    def embeddings(self):
        position = np.arange(self.sequence, dtype=np.int64)[None]
        rows = [
            ("word", self.vocabulary, "input_ids"),
            ("type", 2, "token_type_ids"),
            ("position", 512, self.constant("position_ids", position)),
        ]
        y = []
        for name, n, ids in rows:
            table = self.normal(f"embeddings.{name}.weight", (n, self.width), 0.6)
            y.append(self.node("Gather", [table, ids], "embeddings." + name, axis=0))
        y = self.node("Add", [self.node("Add", y[:2], "embeddings.add1"), y[2]], "embeddings.add2")
        return self.layer_norm(y, "embeddings.norm")

    def mask(self):
        """0 where a token counts, -10000 where not, [N, 1, 1, sequence]."""
        axes = self.constant("mask_axes", np.array([1, 2], np.int64))
        m = self.node("Unsqueeze", ["attention_mask", axes], "mask.unsqueeze")
        m = self.node("Cast", [m], "mask.cast", to=FLOAT)
        m = self.node("Sub", [self.constant("one", np.float32(1)), m], "mask.sub")
        return self.node("Mul", [m, self.constant("masked_out", np.float32(-10000))], "mask")

    def build(self, name):
        mask, x = self.mask(), self.embeddings()
        for i in range(self.layers):
            p = f"layer.{i}"
            y = self.attention(x, mask, p + ".attention")
            x = self.layer_norm(self.node("Add", [y, x], p + ".add1"), p + ".norm1")
            y = self.gelu(self.linear(x, p + ".intermediate", self.width, self.inner), p + ".gelu")
            y = self.linear(y, p + ".output", self.inner, self.width)
            x = self.layer_norm(self.node("Add", [y, x], p + ".add2"), p + ".norm2")
        self.node("Identity", [x], "last_hidden_state")
        tokens = ["N", self.sequence]
        return self.model(
            name,
            [(n, INT64, tokens) for n in ("input_ids", "attention_mask", "token_type_ids")],
            [("last_hidden_state", FLOAT, tokens + [self.width])],
        )


def bert_base():
    return Bert().build("bert_base")


def bert_base_384():
    return Bert(sequence=384).build("bert_base_384")


def bert_large():
    return Bert(layers=24, width=1024, heads=16, inner=4096, sequence=384).build("bert_large")


GENERATED = {f.__name__: f for f in (resnet50, mobilenetv2, bert_base, bert_base_384, bert_large)}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in GENERATED:
        sys.exit(__doc__)
    save_model(GENERATED[sys.argv[1]](), sys.argv[2])
