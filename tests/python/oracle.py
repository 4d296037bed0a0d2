"""What the oracle scripts share: running a network with ONNX Runtime and with the program sumi on the same inputs.

Exit status of the scripts: 0 agreed, 1 did not, 77 skipped (ctest counts it)."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIP = 77
ROOT = pathlib.Path(__file__).resolve().parents[2]


def skip(why):
    """Ends the script as skipped, or as failed where nothing may be missing."""
    required = os.environ.get("SUMI_REQUIRE_SHARED") == "1"
    print(("missing: " if required else "skipped: ") + why)
    sys.exit(1 if required else SKIP)


try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import helper, numpy_helper
except ImportError as error:
    skip(f"the oracles are not installed ({error})")

ort.set_default_logger_severity(4)


def shared():
    """The folder with test material."""
    folder = pathlib.Path(os.environ.get("SUMI_SHARED") or ROOT.parent / "shared").resolve()
    if not (folder / "networks").is_dir():
        skip(f"there is no test material at {folder} (SUMI_SHARED)")
    return folder


def sumi_program():
    return os.environ.get("SUMI_PROGRAM") or str(ROOT / "build" / "sumi")


def work_folder():
    """A folder for unpacked data, kept between runs."""
    folder = pathlib.Path(os.environ.get("SUMI_TEST_WORK") or ROOT / "build" / "test-work")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# ---- ONNX Runtime --------------------------------------------------------------------------------------------------


ATTRIBUTE_TYPES = [("t", 4), ("s", 3), ("f", 1), ("i", 2), ("ints", 7)]


def modernise(model):
    """ONNX Runtime has no kernels for the first opset: broadcasting by axis and shapes in attributes become what they
    are today, which changes no value. Removes nodes of the no-op Debug."""
    if not model.opset_import:
        model.opset_import.append(helper.make_opsetid("", 1))
    model.ir_version = max(model.ir_version, 8)
    graph = model.graph
    kept = [n for n in graph.node if n.op_type != "Debug"]
    del graph.node[:]
    graph.node.extend(kept)
    for n in graph.node:
        for a in n.attribute:
            if not a.type:  # IR version 1 had no such field
                a.type = next(t for field, t in ATTRIBUTE_TYPES if field == "ints" or a.HasField(field))
    if model.opset_import[0].version >= 7:
        return model
    model.opset_import[0].version = 8
    del graph.value_info[:]
    ranks = {t.name: len(t.dims) for t in graph.initializer}
    for n in graph.node:
        if n.op_type == "Constant":
            ranks[n.output[0]] = len(n.attribute[0].t.dims)
    nodes = []
    for n in graph.node:
        attrs = {a.name: a for a in n.attribute}
        if n.op_type == "Reshape" and "shape" in attrs:
            name = n.output[0] + "_shape"
            shape = np.array(attrs["shape"].ints, np.int64)
            graph.initializer.append(numpy_helper.from_array(shape, name))
            n.input.append(name)
            del n.attribute[:]
        elif n.op_type == "Add" and "broadcast" in attrs:
            axis = attrs["axis"].i if "axis" in attrs else None
            del n.attribute[:]
            if axis is not None:
                after = 4 - axis - ranks[n.input[1]]  # the left side of these networks has four dims
                name = n.output[0] + "_right"
                axes = list(range(ranks[n.input[1]], ranks[n.input[1]] + after))
                if axes:
                    nodes.append(helper.make_node("Unsqueeze", [n.input[1]], [name], axes=axes))
                    n.input[1] = name
        nodes.append(n)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def widen(graph):
    """float16 becomes float32 in a graph and its bodies: ONNX Runtime's search operators take float16 on GPUs only."""
    for t in graph.initializer:
        if t.data_type == onnx.TensorProto.FLOAT16:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float32), t.name))
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in graph.node:
        for a in node.attribute:
            if a.name == "to" and a.i == onnx.TensorProto.FLOAT16:
                a.i = onnx.TensorProto.FLOAT
            if a.HasField("t") and a.t.data_type == onnx.TensorProto.FLOAT16:
                a.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(a.t).astype(np.float32), a.t.name))
            if a.HasField("g"):
                widen(a.g)


def spread_mask(graph):
    """Gives every query its row of an Attention's bias [1, heads, 1, keys], as ONNX Runtime wants it."""
    nodes = []
    for node in graph.node:
        if node.op_type == "Attention" and len(node.input) > 5 and node.input[5]:
            shape = numpy_helper.from_array(np.array([1, 1, 1500, 1], np.int64), "queries")
            graph.initializer.append(shape)
            nodes.append(helper.make_node("Expand", [node.input[5], "queries"], [node.input[5] + "_spread"]))
            node.input[5] += "_spread"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def ort_session(path, threads=1, float32=False, plain=False, spread=False):
    """A session on the file as it is; on a modernised copy where ONNX Runtime does not take it; with float32, on a
    copy in which every float16 is float32; with plain, without its optimisations; with spread, see spread_mask()."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_mem_reuse = False  # several networks name different dims alike, which it would believe
    model = onnx.load(str(path), load_external_data=False)
    if float32 or spread:
        (widen if float32 else spread_mask)(model.graph)
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if any(n.domain == "com.microsoft.extensions" for n in model.graph.node):
        import onnxruntime_extensions

        options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception:
        model = modernise(model)
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def ort_run(session, inputs):
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def greedy_search(path, inputs):
    """What com.microsoft.GreedySearch promises, without eos: the decoder body runs token by token as a network of its
    own, without a past. (ONNX Runtime's operator misreads a padded vocabulary on CPUs.)"""
    model = onnx.load(str(path))
    search = model.graph.node[0]
    attributes = {a.name: a for a in search.attribute}
    body = attributes["decoder"].g
    body.initializer.extend(model.graph.initializer)
    widen(body)
    decoder = helper.make_model(body, opset_imports=model.opset_import, ir_version=model.ir_version)
    session = ort.InferenceSession(decoder.SerializeToString(), providers=["CPUExecutionProvider"])
    eos, pad = attributes["eos_token_id"].i, attributes["pad_token_id"].i
    tokens = inputs["input_ids"]
    done = np.zeros(len(tokens), bool)
    while tokens.shape[1] < int(inputs["max_length"][0]):
        batch, length = tokens.shape
        feeds = {
            "input_ids": tokens,
            "position_ids": np.tile(np.arange(length, dtype=np.int32), (batch, 1)),
            "attention_mask": np.ones((batch, length), np.int32),
        }
        for port in session.get_inputs()[3:]:
            feeds[port.name] = np.zeros([2, batch, port.shape[2], 0, port.shape[4]], np.float32)
        logits = session.run(None, feeds)[0][:, -1, : attributes["vocab_size"].i]
        best = np.where(done, pad, logits.argmax(-1)).astype(np.int32)
        done |= best == eos
        tokens = np.concatenate([tokens, best[:, None]], 1)
    return {"sequences": tokens}


# ---- sumi ----------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """sumi said no; the text is its sentence."""


def sumi_json(*arguments, timeout=600):
    """Runs a command with --json. Exit statuses above 1 raise Refused with the sentence."""
    command = [sumi_program(), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, timeout=timeout)
    if done.returncode not in (0, 1):
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing is said"]
        raise Refused(f"status {done.returncode}: {lines[0]}" + (f" ({len(lines)} lines)" if lines[1:] else ""))
    return json.loads(done.stdout)


def sumi_run(path, inputs, device="cpu", timeout=600):
    """One inference on a dict of arrays; returns a dict of arrays."""
    with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
        arguments = []
        for i, (name, array) in enumerate(inputs.items()):
            file = f"{folder}/in{i}.npy"
            np.save(file, array)
            arguments += ["-i", f"{name}={file}"]
        report = sumi_json("run", path, *arguments, "-o", f"{folder}/out", "--device", device, timeout=timeout)
        return {o["name"]: np.load(o["file"]) for o in report["outputs"] if "file" in o}
