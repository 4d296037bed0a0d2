"""sumi prune and sumi quantize where weights are not initializers of their layers: behind Transpose, Cast, Reshape, Identity
and Split, in Constant nodes, shared with a Gather, in a local function; and a BatchNormalization behind a convolution.

Layers are found, what is written is a valid file without the nodes and constants that nobody reads any more, ONNX Runtime
and Sumi agree on it, and it is as near to the float network as that network's plain form, quantised, is."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import oracle  # noqa: E402
from oracle import helper, np, numpy_helper, onnx  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT
failures = 0


def expect(good, what):
    global failures
    if not good:
        failures += 1
        print(f"FAILED: {what}")


def model(path, nodes, arrays, out, functions=(), ir=8):
    """x [n, 4, 8, 8] to y; nodes: (operator, inputs, outputs, attributes)."""
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name="/" + o[0], **a) for op, i, o, a in nodes],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n", 4, 8, 8])]
        + ([helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in arrays.items()] if ir < 4 else []),
        [helper.make_tensor_value_info("y", FLOAT, out)],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    made = helper.make_model(graph, opset_imports=imports, ir_version=ir, functions=functions)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)
    return made


def weights(rng):
    def normal(*shape):
        return rng.normal(scale=1 / np.sqrt(np.prod(shape[1:])), size=shape).astype(np.float32)

    return {
        "first": normal(8, 4, 3, 3), "identity": normal(8, 8, 3, 3), "constant": normal(8, 8, 3, 3),
        "cast": normal(16, 8).astype(np.float16), "transpose": normal(24, 16), "reshape": normal(24 * 16, 1),
        "split": normal(16, 48), "embedding": normal(32, 16), "last": normal(10, 16),
    }  # fmt: skip


def hidden(path, w, ir=8):
    """Every kind of chain in front of a layer's weights."""
    arrays = {n: w[n] for n in w if n != "constant"} | {
        "shape": np.array([24, 16], np.int64), "flat": np.array([-1, 16], np.int64), "ids": np.array([3, 5], np.int64),
        "sizes": np.array([16, 16, 16], np.int64),
    }  # fmt: skip
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        ("Constant", [], ["k"], {"value": numpy_helper.from_array(w["constant"])}),
        ("Identity", ["identity"], ["i"], {}), ("Cast", ["cast"], ["c"], {"to": FLOAT}),
        ("Transpose", ["transpose"], ["t"], {}), ("Reshape", ["reshape", "shape"], ["r"], {}),
        ("Split", ["split", "sizes"], ["s0", "s1", "s2"], {"axis": 1}), ("Transpose", ["embedding"], ["e"], {}),
        ("Gather", ["embedding", "ids"], ["g"], {}), ("ReduceMean", ["g"], ["gm"], {"axes": [0], "keepdims": 0}),
        ("Conv", ["x", "first"], ["x1"], pads), ("Relu", ["x1"], ["x2"], {}), ("Conv", ["x2", "i"], ["x3"], pads),
        ("Relu", ["x3"], ["x4"], {}), ("Conv", ["x4", "k"], ["x5"], pads), ("GlobalAveragePool", ["x5"], ["x6"], {}),
        ("Flatten", ["x6"], ["x7"], {}), ("Gemm", ["x7", "c"], ["x8"], {"transB": 1}), ("Tanh", ["x8"], ["x9"], {}),
        ("MatMul", ["x9", "t"], ["u0"], {}), ("Tanh", ["u0"], ["u1"], {}), ("MatMul", ["u1", "r"], ["u2"], {}),
        ("MatMul", ["u2", "s0"], ["v0"], {}), ("MatMul", ["u2", "s1"], ["v1"], {}), ("Mul", ["v0", "v1"], ["v2"], {}),
        ("MatMul", ["u2", "s2"], ["v3"], {}), ("Add", ["v2", "v3"], ["v4"], {}), ("Add", ["v4", "gm"], ["v5"], {}),
        ("MatMul", ["v5", "e"], ["v6"], {}), ("Transpose", ["e"], ["back"], {}), ("MatMul", ["v6", "back"], ["v7"], {}),
        ("Gemm", ["v7", "last"], ["y"], {"transB": 1}),
    ]  # fmt: skip
    # x9 is [n, 16] and t [16, 24]; u1 [n, 24] and r [24, 16]; e [16, 32], back [32, 16]
    return model(path, nodes, arrays, ["n", 10], ir=ir)


def plain(path, source):
    """The same network with every constant computed: what the layers shall be like."""
    import onnx.reference

    made = onnx.load(source)
    chains = [n for n in made.graph.node if n.op_type in ("Identity", "Cast", "Reshape", "Split", "Transpose", "Constant")]
    known = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    for node in chains:
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(i, 0, None) for i in node.input],
                                  [helper.make_tensor_value_info(o, 0, None) for o in node.output])  # fmt: skip
        one = helper.make_model(graph, opset_imports=made.opset_import, ir_version=made.ir_version)
        results = onnx.reference.ReferenceEvaluator(one).run(None, {i: known[i] for i in node.input})
        known |= dict(zip(node.output, results))
        made.graph.node.remove(node)
    del made.graph.initializer[:]
    read = {i for n in made.graph.node for i in n.input}
    made.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in known.items() if n in read)
    made.ir_version = 8  # an initializer need not be an input
    del made.graph.input[1:]
    onnx.save(made, path)


def outputs(path, x):
    (theirs,) = oracle.ort_session(path).run(None, {"x": x})
    return theirs, oracle.sumi_run(path, {"x": x})["y"]


def noise(y, exact):
    return float(np.square(y - exact).mean() / np.square(exact).mean())


def check_agreement(path, x, what, tolerance=1e-4):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    theirs, ours = outputs(path, x)
    apart = np.abs(theirs - ours).max() / np.abs(theirs).max()
    expect(apart <= tolerance, f"{what}: the engines are {apart:.1e} apart")
    return theirs


def check_prune(folder, source, what):
    """All layers are pruned; what is behind no node any more is gone."""
    out = f"{folder}/pruned.onnx"
    report = oracle.sumi_json("prune", source, "-o", out, "--sparsity", 0.5, "--method", "magnitude", "--ends")
    written = onnx.load(out)
    stored = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    stored |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in written.graph.node if n.op_type == "Constant"}
    for layer in report["layers"]:
        zeros = float((stored[layer["weight"]] == 0).mean())
        expect(0.49 < zeros < 0.51, f"{what}: {zeros:.2f} of '{layer['weight']}' of {layer['name']} are zero")
    return report, written, stored


def check_hidden(folder, rng, ir):
    w = weights(rng)
    x = rng.normal(size=(16, 4, 8, 8)).astype(np.float32)
    np.savez(f"{folder}/x.npz", x=x)
    source, flat = f"{folder}/hidden.onnx", f"{folder}/plain.onnx"
    hidden(source, w, ir)
    plain(flat, source)
    exact = check_agreement(source, x, "hidden")
    want, _, _ = check_prune(folder, flat, "plain")
    report, written, stored = check_prune(folder, source, f"hidden, IR {ir}")
    expect(len(report["layers"]) == len(want["layers"]) == 12, f"{len(report['layers'])}, {len(want['layers'])} layers")
    sparse = {}
    for network, path in (("hidden", source), ("plain", flat)):
        report = oracle.sumi_json("prune", path, "-o", f"{folder}/alps.onnx", "--sparsity", 0.5, "--calib", f"{folder}/x.npz")
        sparse[network] = check_agreement(f"{folder}/alps.onnx", x, f"{network}, IR {ir}, pruned")
        expect(report["pruned"] == 10, f"{network}, IR {ir}: {report['pruned']} layers are pruned")
    apart = np.abs(sparse["hidden"] - sparse["plain"]).max() / np.abs(sparse["plain"]).max()
    expect(apart <= 1e-5, f"hidden, IR {ir}: pruned, it is {apart:.1e} from the plain network, pruned")
    chains = [n.op_type for n in written.graph.node if n.op_type in ("Identity", "Cast", "Reshape", "Split", "Transpose")]
    expect(not chains, f"hidden, IR {ir}: {chains} are left")
    expect("identity" in stored and not {"cast", "transpose", "reshape", "split", "shape", "sizes"} & stored.keys(),
           f"hidden, IR {ir}: {sorted(stored)} are left")  # fmt: skip
    expect(np.array_equal(stored["embedding"], w["embedding"]), "the embedding, which a Gather reads, has changed")
    for network, path in (("hidden", source), ("plain", flat)):
        report = oracle.sumi_json("quantize", path, "-o", f"{folder}/int8.onnx", "--calib", f"{folder}/x.npz")
        expect(len(report["layers"]) == 12 and not report["kept"], f"{network}: {report['kept']} layers stay in float")
        got = noise(check_agreement(f"{folder}/int8.onnx", x, f"{network}, 8 bits", 3e-2), exact)
        print(f"{network}, IR {ir}: noise of 8 bits {got:.1e}")
        expect(got < 1e-2, f"{network}: the noise of 8 bits is {got:.1e}")


def refused(source, folder, words):
    for command, options in (("prune", ["--sparsity", 0.5, "--method", "magnitude"]), ("quantize", ["--calib", f"{folder}/x.npz"])):
        try:
            oracle.sumi_json(command, source, "-o", f"{folder}/refused.onnx", *options)
            expect(False, f"{command} takes {source}")
        except oracle.Refused as refusal:
            expect("status 3" in str(refusal) and words in str(refusal), f"{command}: {refusal}")


def check_function(folder, rng):
    """Layers in a local function: weights that the call gives are pruned, and stay in float, since no change to the main
    graph can put nodes there; those that nodes make there are left alone."""
    x = rng.normal(size=(2, 4, 8, 8)).astype(np.float32)
    np.savez(f"{folder}/x.npz", x=x)
    body = [helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0, 2, 3]), helper.make_node("Conv", ["a", "t"], ["b"]),
            helper.make_node("Conv", ["b", "u"], ["c"])]  # fmt: skip
    function = helper.make_function("local", "Convolve", ["a", "w", "u"], ["c"], body, [helper.make_opsetid("", 17)])
    arrays = {n: rng.normal(size=(4, 4, 1, 1)).astype(np.float32) for n in ("w0", "u0", "w1")}
    nodes = [("Convolve", ["x", "w0", "u0"], ["m"], {"domain": "local"}), ("Conv", ["m", "t1"], ["y"], {}),
             ("Transpose", ["w1"], ["t1"], {"perm": [1, 0, 2, 3]})]  # fmt: skip
    source = f"{folder}/function.onnx"
    model(source, [nodes[0], nodes[2], nodes[1]], arrays, ["n", 4, 8, 8], functions=[function])
    report, written, stored = check_prune(folder, source, "function")
    expect([layer["weight"] for layer in report["layers"]] == ["u0", "t1_folded"], f"function: {report['layers']}")
    expect(np.array_equal(stored["w0"], arrays["w0"]) and "w1" not in stored, f"function: {sorted(stored)} are stored")
    check_agreement(f"{folder}/pruned.onnx", x, "function, pruned")
    report = oracle.sumi_json("quantize", source, "-o", f"{folder}/int8.onnx", "--calib", f"{folder}/x.npz")
    kept = {layer["weights"]: layer["kept"] for layer in report["layers"]}
    expect(kept == {"u0": "it stands in a local function of the file", "t1_folded": None}, f"function: {kept}")
    check_agreement(f"{folder}/int8.onnx", x, "function, 8 bits", 2e-2)
    body[2] = helper.make_node("Add", ["b", "u"], ["c"])
    function = helper.make_function("local", "Convolve", ["a", "w", "u"], ["c"], body, [helper.make_opsetid("", 17)])
    call = ("Convolve", ["x", "w0", "u0"], ["y"], {"domain": "local"})
    arrays = {"w0": arrays["w0"], "u0": arrays["u0"][:1]}
    model(source, [call], arrays, ["n", 4, 8, 8], functions=[function])
    refused(source, folder, "before the functions are inlined")


def normalised(path, rng):
    """Convolutions with and without bias, each with a BatchNormalization behind it, one of which is an output too."""
    arrays, nodes, at = {}, [], "x"
    for i, (m, c) in enumerate(((8, 4), (8, 8), (8, 8))):
        arrays[f"w{i}"] = rng.normal(scale=0.2, size=(m, c, 3, 3)).astype(np.float32)
        arrays[f"w{i}"][:, ::2] = 0
        arrays |= {f"{n}{i}": rng.uniform(low, 2, size=m).astype(np.float32)
                   for n, low in (("b", -1), ("s", 0.5), ("o", -1), ("m", -1), ("v", 0.1))}  # fmt: skip
        bias = [f"b{i}"] if i != 1 else []
        nodes += [("Conv", [at, f"w{i}", *bias], [f"c{i}"], {"pads": [1, 1, 1, 1]}),
                  ("BatchNormalization", [f"c{i}", *(f"{n}{i}" for n in "somv")], [f"n{i}" if i < 2 else "y"], {}),
                  ("Relu", [f"n{i}"], [f"r{i}"], {})][: 3 if i < 2 else 2]  # fmt: skip
        at = f"r{i}"
    del arrays["b1"]
    return model(path, nodes, arrays, ["n", 8, 8, 8]), arrays


def check_norms(folder, rng):
    """Every BatchNormalization is part of a convolution, whether that gets 8 bits or stays in float."""
    source, out = f"{folder}/norms.onnx", f"{folder}/norms8.onnx"
    _, arrays = normalised(source, rng)
    x = rng.normal(size=(32, 4, 8, 8)).astype(np.float32)
    np.savez(f"{folder}/x.npz", x=x)
    exact = check_agreement(source, x, "norms")
    for keep in ([], ["--keep", "/c1"]):
        report = oracle.sumi_json("quantize", source, "-o", out, "--calib", f"{folder}/x.npz", *keep)
        written = onnx.load(out)
        operators = [n.op_type for n in written.graph.node]
        stored = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
        expect("BatchNormalization" not in operators, f"norms {keep}: {operators}")
        expect(not {n + i for n in "somv" for i in "012"} & stored.keys(), f"norms {keep}: {sorted(stored)}")
        expect(len(report["layers"]) == 3 and report["kept"] == len(keep) // 2, f"norms {keep}: {report}")
        expect(not stored["w0_quantized"][arrays["w0"] == 0].any(), f"norms {keep}: zeros are lost")
        got = noise(check_agreement(out, x, f"norms {keep}, 8 bits", 2e-2), exact)
        print(f"norms {' '.join(keep)}: noise of 8 bits {got:.1e}")
        expect(got < 1e-3, f"norms {keep}: the noise of 8 bits is {got:.1e}")
    steps = oracle.sumi_json("explain", out)["steps"]
    expect("BatchNormalization" not in {s["op"] for s in steps}, f"norms: runs {steps}")


def main():
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as folder:
        for ir in (8, 3):
            check_hidden(folder, rng, ir)
        check_function(folder, rng)
        check_norms(folder, rng)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
