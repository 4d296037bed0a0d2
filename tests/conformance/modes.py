"""Changed copies of the ONNX backend tests, which shall give what the originals give:

symbolic   every dimension of declared inputs, outputs and values, bodies included, is a symbol of its own: shapes are
           known when running only
constant   every tensor input but the first is an initializer with the value of the test's file: what depends on it is
           folded, packed or both
sparse     75 % of the weights of matrix products, convolutions and recurrent operators are zero, and they are initializers;
           the expected outputs are those of another engine. Only cases with such weights

Copies share the original's data sets and are kept between runs."""

import hashlib
import itertools
import os
import pathlib
import shutil
import zlib

import numpy as np
import onnx
from onnx import numpy_helper

# Operator: its inputs that are weights, each with the input that is its zero point.
WEIGHTS = {
    "Conv": {1: None},
    "ConvTranspose": {1: None},
    "MatMul": {1: None},
    "Gemm": {1: None},
    "RNN": {1: None, 2: None},
    "GRU": {1: None, 2: None},
    "LSTM": {1: None, 2: None},
    "ConvInteger": {1: 3},
    "MatMulInteger": {1: 3},
    "QLinearConv": {3: 5},
    "QLinearMatMul": {3: 5},
}
ZERO_SHARE = 0.75
MAX_WEIGHT_BYTES = 16 << 20  # of a network whose weights are to be written out


class Case:
    """A backend test: a model and one data set. A light one has neither: its model lies elsewhere, with the output beside
    it, and is fed 0, 1/n, 2/n ..."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "model.onnx"
        self.light = not self.path.exists()
        if self.light:
            self.path = folder.parents[1] / "light" / f"light_{folder.name.removeprefix('test_')}.onnx"
        self.model = onnx.load(str(self.path))
        self.graph = self.model.graph
        if self.light:  # files are numbered by the inputs that need one
            defaults = {t.name for t in self.graph.initializer}
            values = sorted(self.graph.input, key=lambda value: value.name in defaults)
            del self.graph.input[:]
            self.graph.input.extend(values)
        self.inputs = [self.read_input(i) for i in range(len(self.graph.input))]

    def tensor_path(self, what, i):
        if self.light:
            return self.path.with_name(f"{self.path.stem}_{what}_{i}.pb")
        return self.folder / "test_data_set_0" / f"{what}_{i}.pb"

    def read_input(self, i):
        """The TensorProto of the i-th input, None where it is no tensor or has a default."""
        value = self.graph.input[i]
        path = self.tensor_path("input", i)
        if not value.type.HasField("tensor_type"):
            return None
        if self.light and all(value.name != t.name for t in self.graph.initializer):
            shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
            n = np.prod(shape)
            return numpy_helper.from_array((np.arange(n) / n).astype(np.float32).reshape(shape), value.name)
        if not path.exists():
            return None
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        tensor.name = value.name
        return tensor

    def write(self, folder, inputs, outputs=None):
        """The changed case. inputs: the old positions of those that are left; outputs: None = as they are."""
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        onnx.save(self.model, str(folder / "model.onnx"))
        if (self.folder / "data.json").exists():
            (folder / "data.json").symlink_to(self.folder / "data.json")
        for new, old in enumerate(inputs):
            path = self.tensor_path("input", old)
            if path.exists():
                (data / f"input_{new}.pb").symlink_to(path)
            elif self.inputs[old] is not None:
                (data / f"input_{new}.pb").write_bytes(self.inputs[old].SerializeToString())
        for i in range(len(self.graph.output)):
            path = self.tensor_path("output", i)
            if outputs is not None:
                (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(outputs[i]).SerializeToString())
            elif path.exists():
                (data / f"output_{i}.pb").symlink_to(path)

    def drop_inputs(self, names):
        """Removes inputs, which have initializers now; returns the old positions of the others."""
        kept = [i for i, value in enumerate(self.graph.input) if value.name not in names]
        values = [self.graph.input[i] for i in kept]
        del self.graph.input[:]
        self.graph.input.extend(values)
        self.model.ir_version = max(self.model.ir_version, 4)  # before, every initializer was an input
        return kept


# ---- symbolic ------------------------------------------------------------------------------------------------------


def tensor_types(value_type):
    kind = value_type.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        yield getattr(value_type, kind)
    elif kind in ("sequence_type", "optional_type"):
        yield from tensor_types(getattr(value_type, kind).elem_type)


def open_shapes(graph, numbers):
    for value in itertools.chain(graph.input, graph.output, graph.value_info):
        for tensor in tensor_types(value.type):
            for dim in tensor.shape.dim:
                dim.dim_param = f"any_{next(numbers)}"
    for node in graph.node:
        for attribute in node.attribute:
            for body in [attribute.g] * attribute.HasField("g") + list(attribute.graphs):
                open_shapes(body, numbers)


def make_symbolic(case, folder):
    open_shapes(case.graph, itertools.count())
    case.write(folder, range(len(case.graph.input)))


# ---- constant ------------------------------------------------------------------------------------------------------


def make_constant(case, folder):
    names = {t.name for t in case.graph.initializer}
    for i in range(1, len(case.graph.input)):
        tensor = None if case.graph.input[i].name in names else case.inputs[i]
        if tensor is not None:
            case.graph.initializer.append(tensor)
            names.add(tensor.name)
    case.write(folder, case.drop_inputs(names))


# ---- sparse --------------------------------------------------------------------------------------------------------


class Constants:
    """The values that a case's graph knows: initializers, inputs with a file, constants and constants of a shape."""

    def __init__(self, case):
        self.case = case
        self.initializer = {t.name: t for t in case.graph.initializer}
        self.input = {v.name: i for i, v in enumerate(case.graph.input)}
        self.node = {n.output[0]: n for n in case.graph.node if n.op_type in ("Constant", "ConstantOfShape")}

    def array(self, name):
        if name in self.initializer:
            return numpy_helper.to_array(self.initializer[name])
        if name in self.input:
            tensor = self.case.inputs[self.input[name]]
            return None if tensor is None else numpy_helper.to_array(tensor)
        node = self.node.get(name)
        value = next((a.t for a in node.attribute if a.name == "value"), None) if node else None
        if value is None:
            return None
        if node.op_type == "Constant":
            return numpy_helper.to_array(value)
        shape = self.array(node.input[0])
        if shape is None or np.prod(shape.astype(float)) * 4 > MAX_WEIGHT_BYTES:
            return None
        return np.full(shape, numpy_helper.to_array(value)[0])

    def replace(self, name, array):
        """The value becomes an initializer; whatever gave it goes."""
        tensor = numpy_helper.from_array(array, name)
        if name in self.initializer:
            self.initializer[name].CopyFrom(tensor)
        else:
            self.case.graph.initializer.append(tensor)
        if name in self.node:
            self.case.graph.node.remove(self.node[name])


def sparsified(weights, zero, seed):
    at = np.random.default_rng(seed).permutation(weights.size)[: round(ZERO_SHARE * weights.size)]
    flat = weights.ravel().copy()
    flat[at] = np.broadcast_to(zero, weights.shape).ravel()[at]
    return flat.reshape(weights.shape)


def zero_of(constants, node, i):
    """What stands for zero in the weights whose zero points are input i of the node, as they broadcast with them; None:
    not known."""
    if i is None or i >= len(node.input) or not node.input[i]:
        return 0
    zero = constants.array(node.input[i])
    if zero is None or zero.size == 1:
        return zero
    return zero.reshape(-1, 1, 1, 1) if "Conv" in node.op_type else zero  # an output channel each


def oracle_outputs(case, feeds):
    """What another engine gives: ONNX Runtime, or the standard's reference where that does not take the model."""
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)
    except Exception:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(case.model).run(None, feeds)


def make_sparse(case, folder):
    constants = Constants(case)
    changed = {}
    for node in case.graph.node:
        for i, zero_point in WEIGHTS.get(node.op_type, {}).items():
            name = node.input[i] if i < len(node.input) else ""
            if node.domain not in ("", "ai.onnx") or not name or name in changed:
                continue
            weights = constants.array(name)
            if weights is None or weights.size < 2:
                continue
            zero = zero_of(constants, node, zero_point)
            if zero is not None:
                changed[name] = sparsified(weights, zero, zlib.crc32(f"{case.folder.name}/{name}".encode()))
    if not changed or sum(w.nbytes for w in changed.values()) > MAX_WEIGHT_BYTES:
        return
    for name, array in changed.items():
        constants.replace(name, array)
    kept = case.drop_inputs(set(changed) | set(constants.initializer))
    if any(case.inputs[i] is None for i in kept):
        return
    feeds = {case.inputs[i].name: numpy_helper.to_array(case.inputs[i]) for i in kept}
    case.write(folder, kept, oracle_outputs(case, feeds))


# ---- all -----------------------------------------------------------------------------------------------------------

MAKERS = {"symbolic": make_symbolic, "constant": make_constant, "sparse": make_sparse}


def folder_of(mode, originals, work):
    """The changed tests, made where they are missing or this file has changed."""
    stamp = hashlib.sha256(pathlib.Path(__file__).read_bytes() + str(originals).encode()).hexdigest()[:12]
    folder = work / f"conformance-{mode}-{stamp}"
    if folder.exists():
        return folder
    part = work / f"{folder.name}.{os.getpid()}"
    for case in sorted(p for p in originals.glob("*/test_*") if p.is_dir()):
        MAKERS[mode](Case(case), part / case.relative_to(originals))
    for old in work.glob(f"conformance-{mode}-*"):
        if old != part:
            shutil.rmtree(old, ignore_errors=True)
    part.rename(folder)
    return folder
