#!/usr/bin/env python3
"""Compares what Sumi reads in ONNX files with what the onnx package reads.

usage: compare.py DUMP PATH...     (files or folders; --shared: the networks of the test material; DUMP is the
                                    program made of tests/onnx/dump.c)

Every field of every message, then the imported graph: inputs with types and shapes, constants by CRC-32, nodes with
operator, version, inputs, outputs and attributes. A model that the importer refuses is counted, not failed.
Exit status 1: something differs."""
import os
import subprocess
import sys
import zlib
from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

MODULES = [onnx.onnx_ml_pb2, onnx.onnx_data_pb2]
NUMBERS = {"integers": None, "float32s": np.float32, "float64s": np.float64}


def run(dump, *args):
    p = subprocess.run([dump, *args], capture_output=True)
    return p.returncode, p.stdout.decode("latin-1"), p.stderr.decode("latin-1")


def show(b):
    if isinstance(b, str):
        b = b.encode()
    if len(b) > 64:
        return f"{len(b)} bytes {zlib.crc32(b):08x}"
    return '"' + "".join(chr(c) if 33 <= c <= 126 and c not in (34, 92) else f"\\x{c:02x}" for c in b) + '"'


# ---- the file, field by field


def find_message(name):
    parts = name.split(".")
    for module in MODULES:
        m = getattr(module, parts[0], None)
        for p in parts[1:]:
            m = getattr(m, p, None) if m else None
        if m:
            return m.DESCRIPTOR
    raise SystemExit(f"the onnx package has no message {name}")


def read_schema(dump):
    """{message: [(field, kind, child)]}, checked against the onnx package's own descriptors."""
    schema = {}
    _, out, _ = run(dump, "schema")
    for line in out.splitlines():
        message, field, number, kind, child = line.split()
        f = find_message(message).fields_by_name.get(field)
        repeated = f is not None and (f.is_repeated if hasattr(f, "is_repeated") else f.label == f.LABEL_REPEATED)
        good = f is not None and f.number == int(number) and repeated == kind.endswith("s")
        good = good and (kind.startswith("message") == (f.message_type is not None))
        if not good:
            raise SystemExit(f"{message}.{field} is not what the onnx package says")
        schema.setdefault(message, []).append((field, kind, child))
    return schema


def numbers(values, kind, unsigned):
    dtype = NUMBERS[kind] or (np.uint64 if unsigned else np.int64)
    return f"{len(values)} numbers {zlib.crc32(np.array(values, dtype).tobytes()):08x}"


def walk(schema, name, message, depth, lines):
    pad = " " * depth
    for field, kind, child in schema[name]:
        value = getattr(message, field)
        if kind == "integer":
            if message.HasField(field):
                lines.append(f"{pad}{field}: {value}")
        elif kind == "float32":
            if message.HasField(field):
                lines.append(f"{pad}{field}: {np.float32(value).view(np.uint32):08x}")
        elif kind == "text":
            if message.HasField(field):
                lines.append(f"{pad}{field}: {show(value)}")
        elif kind == "message":
            if message.HasField(field):
                lines.append(f"{pad}{field}:")
                walk(schema, child, value, depth + 1, lines)
        elif kind == "texts":
            lines += [f"{pad}{field}: {show(v)}" for v in value]
        elif kind == "messages":
            for v in value:
                lines.append(f"{pad}{field}:")
                walk(schema, child, v, depth + 1, lines)
        elif len(value):
            lines.append(f"{pad}{field}: {numbers(value, kind, field == 'uint64_data')}")


def compare_file(dump, schema, path, model):
    status, out, err = run(dump, "file", path)
    if status:
        return f"not read: {err.strip()}"
    want = []
    walk(schema, "ModelProto", model, 0, want)
    for got_line, want_line in zip(out.splitlines(), want):
        if got_line != want_line:
            return f"'{got_line}' where the onnx package reads '{want_line}'"
    if len(out.splitlines()) != len(want):
        return f"{len(out.splitlines())} fields where the onnx package reads {len(want)}"
    return None


# ---- the imported graph


def dtype_label(t):
    name = onnx.TensorProto.DataType.Name(t).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def tensor_line(t, folder):
    if t.data_type == onnx.TensorProto.STRING:
        data = b"".join(t.string_data)
    else:
        a = numpy_helper.to_array(t, folder)
        bits = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.get(
            onnx.TensorProto.DataType.Name(t.data_type))
        flat = np.ascontiguousarray(a).reshape(-1)
        data = flat.tobytes()
        if bits:
            each = 8 // bits
            raw = flat.view(np.uint8) & ((1 << bits) - 1)
            raw = np.concatenate([raw, np.zeros(-len(raw) % each, np.uint8)]).reshape(-1, each)
            data = sum(raw[:, i].astype(np.uint32) << (bits * i) for i in range(each)).astype(np.uint8).tobytes()
    return f"{dtype_label(t.data_type)}\t[{','.join(map(str, t.dims))}]\t{zlib.crc32(data):08x}"


def sparse_tensor(s, folder):
    values, indices = numpy_helper.to_array(s.values, folder), numpy_helper.to_array(s.indices, folder)
    dense = np.zeros(tuple(s.dims), values.dtype)
    dense[tuple(indices.T) if indices.ndim == 2 else np.unravel_index(indices, tuple(s.dims))] = values
    return numpy_helper.from_array(dense, s.values.name)


def attr_text(a):
    T = onnx.AttributeProto
    if a.type == T.UNDEFINED:  # IR version 1: the field that is given tells
        given = {f.name for f, _ in a.ListFields()}
        a = onnx.AttributeProto.FromString(a.SerializeToString())
        a.type = next(t for f, t in [("i", T.INT), ("f", T.FLOAT), ("s", T.STRING), ("ints", T.INTS),
                                     ("floats", T.FLOATS), ("strings", T.STRINGS), ("t", T.TENSOR),
                                     ("g", T.GRAPH)] if f in given)
    if a.type == T.INT:
        v = str(a.i)
    elif a.type == T.FLOAT:
        v = f"{np.float32(a.f).view(np.uint32):08x}"
    elif a.type == T.STRING:
        v = show(a.s)
    elif a.type == T.INTS:
        v = f"{len(a.ints)}:{zlib.crc32(np.array(a.ints, np.int64).tobytes()):08x}"
    elif a.type == T.FLOATS:
        v = f"{len(a.floats)}:{zlib.crc32(np.array(a.floats, np.float32).tobytes()):08x}"
    elif a.type == T.STRINGS:
        v = "".join(show(s) for s in a.strings)
    elif a.type == T.GRAPH:
        v = "graph"
    else:
        v = "other"
    return f" {a.name}={v}"


def used_names(graph, used):
    used.update(o.name for o in graph.output)
    for n in graph.node:
        used.update(n.input)
        for a in n.attribute:
            for g in [a.g] if a.type == onnx.AttributeProto.GRAPH else a.graphs:
                used_names(g, used)


def graph_lines(graph, model, folder, used, lines):
    """What the importer must have made of a graph and its bodies, as a bag of lines."""
    opsets = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in model.opset_import}
    constants = {t.name: t for t in graph.initializer}
    constants.update({s.values.name: sparse_tensor(s, folder) for s in graph.sparse_initializer})
    inputs = {i.name for i in graph.input} if model.ir_version >= 4 else set()
    for name, t in constants.items():
        if name in used or name in inputs:
            lines[f"constant\t{name}\t{tensor_line(t, folder)}"] += 1
    last = {n.output[0]: i for i, n in enumerate(graph.node) if n.op_type == "Constant"}
    for i, n in enumerate(graph.node):
        if last.get(n.output[0] if n.output else "", i) != i:
            continue  # a later Constant of the same name replaces it
        domain = "" if n.domain == "ai.onnx" else n.domain
        ins = ",".join(n.input).rstrip(",")
        attrs = "".join(attr_text(a) for a in n.attribute)
        lines[f"node\t{domain + '.' if domain else ''}{n.op_type}\t{opsets.get(domain, 1)}\t{ins}\t"
              f"{','.join(n.output)}\t{attrs}"] += 1
        for a in n.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                lines[f"constant\t{a.name}\t{tensor_line(a.t, folder)}"] += 1
            if a.type == onnx.AttributeProto.SPARSE_TENSOR:
                lines[f"constant\t{a.name}\t{tensor_line(sparse_tensor(a.sparse_tensor, folder), folder)}"] += 1
            for g in [a.g] if a.type == onnx.AttributeProto.GRAPH else a.graphs:
                graph_lines(g, model, folder, used, lines)


def compare_ports(got, model):
    """Inputs and outputs of the root graph, in order."""
    graph = model.graph
    constants = {t.name for t in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    want = [i for i in graph.input if model.ir_version >= 4 or i.name not in constants]
    if [g[1] for g in got if g[0] == "input"] != [i.name for i in want]:
        return "the inputs differ"
    if [g[1] for g in got if g[0] == "output"] != [o.name for o in graph.output]:
        return "the outputs differ"
    for g, i in zip([g for g in got if g[0] == "input"], want):
        if (len(g) > 5) != (i.name in constants):
            return f"input {i.name}: the default differs"
        if not i.type.HasField("tensor_type"):
            continue
        t = i.type.tensor_type
        if g[3] != dtype_label(t.elem_type):
            return f"input {i.name} is {g[3]}"
        dims = None if g[4] == "?" and not (t.HasField("shape") and len(t.shape.dim) == 1) else \
            [d for d in g[4].split(",") if d]
        if (dims is None) != (not t.HasField("shape")) or (dims is not None and len(dims) != len(t.shape.dim)):
            return f"input {i.name}: the rank differs"
        for d, w in zip(dims or [], t.shape.dim):
            named = w.dim_param and w.dim_param not in ("?", "None", "unk", "unknown") and " " not in w.dim_param
            if (w.HasField("dim_value") and w.dim_value > 0 and d != str(w.dim_value)) or (named and d != w.dim_param):
                return f"input {i.name}: dimension {d} is {w}"
    return None


def compare_graph(dump, path, model):
    """None: agrees; a string: differs; a tuple: refused, with the reason."""
    status, out, err = run(dump, "graph", path)
    if status == 3:
        return (err.strip().splitlines() or ["?"],)
    if status:
        return f"the program ended with {status}: {err[:200]}"
    if len(model.functions):
        return None
    rows = [line.split("\t") for line in out.encode("latin-1").decode("utf-8", "replace").splitlines()]
    root = rows[1:next((i for i, r in enumerate(rows) if i and r[0] == "graph"), len(rows))]
    problem = compare_ports(root, model)
    if problem:
        return problem
    got, want, used = Counter(), Counter(), set()
    for r in rows:
        if r[0] == "node":
            r[3] = r[3].rstrip(",")
        if r[0] in ("node", "constant"):
            got["\t".join(r)] += 1
    used_names(model.graph, used)
    graph_lines(model.graph, model, os.path.dirname(path), used, want)
    for line in (got - want).keys() | (want - got).keys():
        return f"{'only the importer' if got[line] > want[line] else 'only the onnx package'} has '{line[:300]}'"
    return None


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    dump = sys.argv[1]
    schema = read_schema(dump)
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
    reasons = Counter()
    for path in sorted(paths):
        model = onnx.load(path, load_external_data=False)
        result = compare_file(dump, schema, path, model) or compare_graph(dump, path, model)
        if result is None:
            agree += 1
        elif isinstance(result, tuple):
            refused += 1
            for line in result[0]:
                reasons[line.split(": ", 1)[-1]] += 1
            print(f"refused {path}: {result[0][0]}")
        else:
            differ += 1
            print(f"DIFFERS {path}: {result}")
    for reason, n in reasons.most_common(20):
        print(f"{n:6} times: {reason}")
    print(f"{len(paths)} files: {agree} agree, {refused} refused, {differ} differ")
    sys.exit(differ > 0)


main()
