"""The networks of the bench: where each comes from, what it is fed, how it is quantised, which rows it has.

Files are made once under build/bench/ and found there again; the same seeds give the same files. Networks
are named; anything else is taken as the path of an ONNX file."""

import dataclasses
import lzma
import mmap
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable

import feeds
import networks

FOLDER = os.path.join("build", "bench")
SAMPLES = 8  # of the calibration


@dataclasses.dataclass
class Network:
    name: str
    source: Callable[[str], None] | str  # writes the float32 file to the path it is given; or a file
    feed: Callable[[int], dict] | None  # samples, see feeds.py; None: random numbers
    rule: str = "conv"  # which weights become sparse, see sparsify.py
    quantised: list | None = None  # operator types, None = the tool's default
    # precision -> {pattern: factors} of the sparse rows; "isa" is the pattern that suits the instruction set
    factors: dict = dataclasses.field(default_factory=dict)
    precisions: tuple = ("int8", "float32")


def generated(name):
    def make(path):
        import onnx

        onnx.save(networks.GENERATED[name](), path)

    return make


def trained(file):
    def make(path):
        opener = lzma.open if file.endswith(".xz") else open
        with opener(feeds.shared(file), "rb") as f, open(path, "wb") as out:
            shutil.copyfileobj(f, out)

    return make


def architecture(name):
    """One of the published architectures of the test material, with its seeded weights put back."""

    def make(path):
        bare = path + ".bare"
        with tarfile.open(feeds.shared("architectures", "architectures.tar.xz")) as tar:
            member = next(m for m in tar if os.path.basename(m.name) == name)
            with open(bare, "wb") as f:
                shutil.copyfileobj(tar.extractfile(member), f)
        subprocess.run([sys.executable, feeds.shared("architectures", "fill.py"), bare, path], check=True)
        os.remove(bare)

    return make


ALL = {4, 8, 16, 32}
NETWORKS = {
    n.name: n
    for n in [
        Network(
            "resnet50",
            generated("resnet50"),
            feeds.random_images,
            factors={"int8": {"isa": ALL, "1x4": {4, 8, 16, 32}}, "float32": {"1x1": {4, 8}, "4x1": {4, 8}}},
        ),
        Network(
            "bert_base",
            generated("bert_base"),
            feeds.random_tokens,
            "matmul",
            ["MatMul"],
            {"int8": {"isa": ALL}},
        ),
        Network(
            "mobilenetv2",
            generated("mobilenetv2"),
            feeds.random_images,
            "pointwise",
            factors={"int8": {"isa": {4}}},
        ),
        Network(
            "efficientnet_lite0",
            trained("trained/efficientnet_lite0.onnx"),
            feeds.imagenet_images,
            "pointwise",
        ),
        Network("minilm", trained("trained/minilm_l6_v2.onnx.xz"), feeds.sentences, "matmul", ["MatMul"]),
        Network("cifar10_resnet", trained("trained/cifar10_resnet.onnx"), feeds.cifar_images),
    ]
}
# For the card alone: the float32 file of BERT-Large, of 1.3 GB, takes minutes to quantise.
CARD = {
    name: Network(
        name,
        generated(name),
        lambda n: feeds.random_tokens(n, 384),
        "matmul",
        ["MatMul"],
        precisions=("int8",),
    )
    for name in ("bert_base_384", "bert_large")
}
# More float32 rows: convolutional networks of others, and published architectures with seeded weights.
FLOAT32 = [
    Network(os.path.splitext(os.path.basename(file))[0], make, None, precisions=("float32",))
    for file, make in [
        (f, trained(f))
        for f in (
            "networks/yolox_nano.onnx",
            "networks/retinaface_mbnet0.25.onnx",
            "networks/scrfd_500m_bnkps.onnx",
            "networks/version-RFB-320.onnx",
            "networks/yunet_yunet_final_dynamic_simplify.onnx",
        )
    ]
    + [
        (f, architecture(f))
        for f in (
            "torchvision_resnet18.onnx",
            "torchvision_resnet50.onnx",
            "torchvision_dynamic_mobilenet_v2.onnx",
        )
    ]
]


def given(path):
    """A network that is a file: float32, or int8 where it quantises; its name is of its content."""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
        precision = "int8" if content.find(b"QuantizeLinear") >= 0 else "float32"
        name = f"{os.path.splitext(os.path.basename(path))[0]}-{zlib.crc32(content):08x}"
    return Network(name, path, None, precisions=(precision,))


def find(names):
    """The networks of a list of names; "float32" is a list of its own, anything else the path of a file."""
    known = NETWORKS | CARD | {n.name: n for n in FLOAT32}
    found = []
    for name in names:
        if name == "float32":
            trained_ones = [NETWORKS[n] for n in ("cifar10_resnet", "efficientnet_lite0")]
            found += [
                dataclasses.replace(n, precisions=("float32",), factors={}) for n in trained_ones
            ] + FLOAT32
        elif name in known:
            found.append(known[name])
        elif os.path.exists(name):
            found.append(given(name))
        else:
            raise SystemExit(f"there is no network '{name}'; there are: {', '.join(known)}, float32")
    return found


def made(path, make):
    """The path of a file that is made where it is missing; never half a file under its name."""
    if not os.path.exists(path):
        os.makedirs(FOLDER, exist_ok=True)
        print("making", path, file=sys.stderr, flush=True)
        make(path + ".part")
        os.replace(path + ".part", path)
    return path


def dense_file(network, precision):
    if isinstance(network.source, str):
        return network.source
    base = os.path.join(FOLDER, network.name)
    source = made(base + ".onnx", network.source)
    if precision == "float32":
        return source

    def make(path):
        from quantise import quantise

        quantise(source, path, network.feed(SAMPLES), network.quantised)

    return made(f"{base}.{precision}.onnx", make)


def sparse_file(network, precision, pattern, factor):
    source = dense_file(network, precision)

    def make(path):
        import onnx
        from sparsify import sparsify

        model = onnx.load(source)
        sparsify(model, pattern, factor, network.rule)
        onnx.save(model, path)

    return made(os.path.join(FOLDER, f"{network.name}.{precision}.{pattern}-{factor}.onnx"), make)


def feed_of(network, batch):
    return (network.feed or feeds.random_feed(dense_file(network, "float32")))(batch)


def output_steps(path):
    """Output -> the size of its step where a DequantizeLinear gives it, else None."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    scales = {n.output[0]: n.input[1] for n in graph.node if n.op_type == "DequantizeLinear"}
    constants = {t.name: t for t in graph.initializer}
    steps = {o.name: constants.get(scales.get(o.name)) for o in graph.output}
    return {n: None if t is None or t.dims else float(numpy_helper.to_array(t)) for n, t in steps.items()}
