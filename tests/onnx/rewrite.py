#!/usr/bin/env python3
"""Compares files that Sumi wrote anew with changes with what the onnx package makes of the same changes.

usage: rewrite.py REWRITE PATH...     (files or folders; --shared: the networks of the test material; REWRITE is the
                                       program made of tests/onnx/rewrite.c)

Each file three times: without changes it must be the same bytes; with changes that change nothing too, where the onnx
package itself would write those; with changes of every kind the message that the onnx package reads must equal the one
it changed itself, unknown fields included, and pass its checker where the old one did. Exit status 1: something differs."""
import os
import random
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper

DATA = ["segment", "float_data", "int32_data", "string_data", "int64_data", "raw_data", "double_data",
        "uint64_data", "external_data", "data_location"]
BITS = {TensorProto.FLOAT: 32, TensorProto.DOUBLE: 64, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16,
        TensorProto.INT64: 64, TensorProto.INT32: 32, TensorProto.INT16: 16, TensorProto.INT8: 8,
        TensorProto.UINT8: 8, TensorProto.UINT64: 64, TensorProto.INT4: 4, TensorProto.COMPLEX64: 64,
        TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT6E2M3: 6, TensorProto.FLOAT6E3M2: 6} \
    if hasattr(TensorProto, "FLOAT6E2M3") else {TensorProto.FLOAT: 32, TensorProto.INT64: 64, TensorProto.INT8: 8}


class Changes:
    """A list of changes for the program, and the same ones made to a message of the onnx package."""

    def __init__(self, model, folder):
        self.model, self.graph, self.folder, self.lines = model, model.graph, folder, []
        self.rng = random.Random(model.ByteSize())

    def add(self, *parts):
        self.lines.append("\t".join(map(str, parts)))

    def tensor(self, name, dtype, dims):
        n = 1
        for d in dims:
            n *= d
        t = TensorProto(data_type=dtype, dims=dims, raw_data=self.rng.randbytes((n * BITS[dtype] + 7) // 8))
        if BITS[dtype] in (4, 6):  # bits behind the last element are zeros
            t.raw_data = bytes(len(t.raw_data))
        path = os.path.join(self.folder, f"{len(self.lines)}.pb")
        with open(path, "wb") as f:
            f.write(t.SerializeToString())
        self.add("constant", name, path)
        return t

    def fill(self, old, new):
        for field in DATA:
            old.ClearField(field)
        old.raw_data = new.raw_data

    def replace_constants(self):
        some = [t for t in self.graph.initializer if t.data_type in BITS]
        for t in self.rng.sample(some, min(3, len(some))):
            self.fill(t, self.tensor(t.name, t.data_type, t.dims))
        some = [n for n in self.graph.node if n.op_type == "Constant" and len(n.attribute) == 1 and not n.domain and
                n.attribute[0].type == onnx.AttributeProto.TENSOR and n.attribute[0].t.data_type in BITS]
        names = [n.output[0] for n in some]
        some = [n for n in some if names.count(n.output[0]) == 1]
        for n in self.rng.sample(some, min(2, len(some))):
            t = n.attribute[0].t
            self.fill(t, self.tensor(n.output[0], t.data_type, t.dims))

    def new_constant(self):
        t = self.tensor("sumi_new", TensorProto.FLOAT, [2, 3])
        t.name = "sumi_new"
        self.graph.initializer.append(t)
        if self.model.ir_version < 4:
            self.graph.input.append(helper.make_tensor_value_info("sumi_new", TensorProto.FLOAT, [2, 3]))

    def new_node(self, at, op, source, output, before):
        self.add("node", op, output, before, "", source)
        name, names, i = f"{output}_{op}", {n.name for n in self.graph.node}, 2
        while name in names:
            name, i = f"{output}_{op}_{i}", i + 1
        self.graph.node.insert(at, helper.make_node(op, [source], [output], name=name))

    def on_an_edge(self):
        """An Identity in front of one node's input."""
        edges = [(i, k) for i, n in enumerate(self.graph.node) for k, x in enumerate(n.input) if x and
                 first_output(n)]
        if not edges:
            return
        i, k = self.rng.choice(edges)
        n, first = self.graph.node[i], first_output(self.graph.node[i])
        self.new_node(i, "Identity", n.input[k], "sumi_edge", first)
        self.add("input", first, k, "sumi_edge")
        n.input[k] = "sumi_edge"

    def behind_a_node(self):
        """An output gets another name, and an Identity gives its old one."""
        some = [i for i, n in enumerate(self.graph.node) if first_output(n) and n.op_type != "Constant"]
        if not some:
            return
        i = self.rng.choice(some)
        n = self.graph.node[i]
        old, k = first_output(n), list(n.output).index(first_output(n))
        self.add("output", old, k, "sumi_raw")
        n.output[k] = "sumi_raw"
        self.new_node(i + 1, "Identity", "sumi_raw", old, "")

    def drop_one(self):
        used = set()
        collect_names(self.graph, used)
        free = [t for t in self.graph.initializer if t.name not in used]
        if free:
            t = self.rng.choice(free)
            self.add("drop", t.name)
            drop_named(self.graph.input, t.name)
            drop_named(self.graph.value_info, t.name)
            self.graph.initializer.remove(t)

    def metadata(self):
        for e in list(self.model.metadata_props)[:1]:
            self.add("metadata", e.key, "sumi says otherwise")
            for other in self.model.metadata_props:
                if other.key == e.key:
                    other.value = "sumi says otherwise"
        self.add("metadata", "sumi.test", "new")
        self.model.metadata_props.add(key="sumi.test", value="new")


def first_output(n):
    return next((o for o in n.output if o), "")


def drop_named(items, name):
    for i in [i for i in items if i.name == name]:
        items.remove(i)


def collect_names(graph, used):
    used.update(o.name for o in graph.output)
    for n in graph.node:
        used.update(n.input)
        for a in n.attribute:
            for g in [a.g] if a.type == onnx.AttributeProto.GRAPH else a.graphs:
                collect_names(g, used)


def nothing(graph):
    """Changes that change nothing but take the file apart."""
    lines = []
    for n in graph.node:
        first = first_output(n)
        if first and sum(first in m.output for m in graph.node) == 1:
            lines += [f"input\t{first}\t{i}\t{x}" for i, x in enumerate(n.input)]
            lines += [f"output\t{first}\t{i}\t{x}" for i, x in enumerate(n.output)]
    return lines


def is_valid(path):
    try:
        onnx.checker.check_model(path)
        return True
    except Exception:  # whatever it has against a file
        return False


def rewrite(program, path, out, lines):
    p = subprocess.run([program, path, out], input="\n".join([*lines, ""]).encode(), capture_output=True)
    return p.stderr.decode("latin-1").strip() if p.returncode else None


def read(path):
    with open(path, "rb") as f:
        return f.read()


def compare(program, path, folder):
    """None, or what is wrong; "refused: " where the file is one that is not read."""
    out = os.path.join(folder, "out.onnx")
    bytes_in = read(path)
    failed = rewrite(program, path, out, [])
    if failed:
        return f"refused: {failed}"
    if read(out) != bytes_in:
        return "the bytes differ without changes"
    model = onnx.load(path, load_external_data=False)
    if "\t" in str(model.graph.node):
        return "refused: the test's lines have tabs for themselves"
    lines = nothing(model.graph)
    failed = rewrite(program, path, out, lines)
    if failed:
        return f"changes of nothing: {failed}"
    if model.SerializeToString() == bytes_in and read(out) != bytes_in:
        return "the bytes differ where nothing changes"
    if onnx.load(out, load_external_data=False) != model:
        return "the model differs where nothing changes"
    c = Changes(model, folder)
    standard = not model.opset_import or any(o.domain in ("", "ai.onnx") for o in model.opset_import)
    nodes = (c.on_an_edge, c.behind_a_node) if standard else ()
    for change in (c.replace_constants, c.new_constant, *nodes, c.drop_one, c.metadata):
        change()
    failed = rewrite(program, path, out, c.lines)
    if failed:
        return f"changes: {failed}"
    if onnx.load(out, load_external_data=False) != model:
        return f"the changed model differs after {c.lines}"
    if is_valid(path) and not is_valid(out):
        return f"the checker refuses the changed model after {c.lines}"
    return None


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    paths = []
    for p in sys.argv[2:]:
        if p == "--shared":
            sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))
            import oracle  # ends as skipped where the material is missing
            paths += [str(f) for d in ("networks", "trained") for f in (oracle.shared() / d).glob("*.onnx")]
        elif os.path.isdir(p):
            paths += [os.path.join(d, f) for d, _, files in os.walk(p) for f in files if f.endswith(".onnx")]
        else:
            paths.append(p)
    agree = refused = differ = 0
    for path in sorted(paths):
        with tempfile.TemporaryDirectory() as folder:
            wrong = compare(sys.argv[1], path, folder)
        agree += wrong is None
        refused += bool(wrong and wrong.startswith("refused: "))
        differ += bool(wrong and not wrong.startswith("refused: "))
        if wrong:
            print(f"{path}: {wrong[:400]}")
    print(f"{len(paths)} files: {agree} agree, {refused} refused, {differ} differ")
    sys.exit(differ > 0 or not agree)


main()
