"""sumi quantize on small networks: Sumi and ONNX Runtime run what it writes alike and near the float network, the simulated
card exactly as the references do, zeros of weights stay, and what cannot be quantised is refused in a sentence."""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import oracle  # noqa: E402
from oracle import helper, np, numpy_helper, onnx, ort  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT
SAMPLES = 48
failures = 0


def expect(good, what):
    global failures
    if not good:
        failures += 1
        print(f"FAILED: {what}")


def initializers(rng, shapes):
    """Weights with every fifth element 0, rows of rising size, and one row of zeros."""
    out = {}
    for name, shape in shapes.items():
        w = rng.normal(size=shape).astype(np.float32)
        if len(shape) > 1:
            w *= np.linspace(0.2, 2, shape[0], dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1))
            w /= np.sqrt(np.prod(shape[1:]))
            w.reshape(-1)[::5] = 0
            w[1] = 0
        out[name] = w
    return out


def model(nodes, arrays, shape, out, path, opset=17, ir=8):
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name="/" + o[0], **a) for op, i, o, a in nodes],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", FLOAT, ["n", *out])],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(m, path)
    return path


def residual(path, **options):
    """A stem, a depthwise convolution, a residual, pooling and two Gemms; limits of the Clip from a Constant node."""
    rng = np.random.default_rng(1)
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,), "w3": (8, 8, 1, 1), "w4": (16, 8, 3, 3),
              "b4": (16,), "w5": (10, 16), "b5": (10,), "w6": (4, 10)}  # fmt: skip
    arrays = initializers(rng, shapes) | {"six": np.float32(6)}
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        ("Constant", [], ["zero"], {"value": numpy_helper.from_array(np.float32(0))}),
        ("Conv", ["x", "w1", "b1"], ["c1"], pads), ("Relu", ["c1"], ["r1"], {}),
        ("Conv", ["r1", "w2", "b2"], ["c2"], pads | {"group": 8}), ("Clip", ["c2", "zero", "six"], ["r2"], {}),
        ("Conv", ["r2", "w3"], ["c3"], {}), ("Add", ["c3", "r1"], ["a"], {}), ("Relu", ["a"], ["r3"], {}),
        ("MaxPool", ["r3"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Conv", ["p", "w4", "b4"], ["c4"], pads), ("Relu", ["c4"], ["r4"], {}),
        ("GlobalAveragePool", ["r4"], ["g1"], {}), ("Flatten", ["g1"], ["f"], {}),
        ("Gemm", ["f", "w5", "b5"], ["h"], {"transB": 1}), ("Relu", ["h"], ["hr"], {}),
        ("Gemm", ["hr", "w6"], ["y"], {"transB": 1}),
    ]  # fmt: skip
    return model(nodes, arrays, (3, 12, 12), (4,), path, **options), arrays


def uneven(path):
    """A convolution whose channels differ a thousandfold, and one behind it that undoes that."""
    rng = np.random.default_rng(4)
    arrays = initializers(rng, {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 8, 3, 3)})
    size = np.geomspace(0.03, 30, 8).astype(np.float32)
    arrays["w1"] *= size.reshape(-1, 1, 1, 1)
    arrays["b1"] *= size
    arrays["w2"] /= size.reshape(-1, 1, 1)
    nodes = [("Conv", ["x", "w1", "b1"], ["c"], {}), ("Relu", ["c"], ["r"], {}), ("Conv", ["r", "w2"], ["y"], {})]
    return model(nodes, arrays, (3, 12, 12), (4, 8, 8), path), arrays


def encoder(path):
    """Two MatMuls that share their weights, with biases behind them, and a residual that stays in float."""
    rng = np.random.default_rng(2)
    arrays = initializers(rng, {"w": (16, 16), "b": (16,), "v": (16, 16)})
    nodes = [
        ("MatMul", ["x", "w"], ["m1"], {}), ("Add", ["m1", "b"], ["h1"], {}), ("Tanh", ["h1"], ["t"], {}),
        ("MatMul", ["t", "w"], ["m2"], {}), ("Add", ["m2", "x"], ["s"], {}), ("MatMul", ["s", "v"], ["y"], {}),
    ]  # fmt: skip
    return model(nodes, arrays, (5, 16), (5, 16), path), arrays


def quantize(source, target, data, *options):
    done = subprocess.run([oracle.sumi_program(), "quantize", source, "-o", target, "--calib", data, "--json", *options],
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def run_ort(path, x):
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def run_sumi(path, x, folder, device="cpu"):
    np.save(f"{folder}/x.npy", x)
    subprocess.run([oracle.sumi_program(), "run", path, "-i", f"x={folder}/x.npy", "-o", folder, "-d", device],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    return np.load(f"{folder}/y.npy")


def check_model(name, source, arrays, x, data, folder, *options):
    target = f"{folder}/int8.onnx"
    status, report, text = quantize(source, target, data, *options)
    what = f"{name} {' '.join(options)}"
    expect(status == 0, f"{what}: {text}")
    if status:
        return None, report
    written = onnx.load(target)
    onnx.checker.check_model(written, full_check=True)
    constants = {i.name: numpy_helper.to_array(i) for i in written.graph.initializer}
    for layer in report["layers"]:
        if layer["kept"] is None:
            w = constants[layer["weights"] + "_quantized"]
            expect(w.dtype == np.int8 and not w[arrays[layer["weights"]] == 0].any(), f"{what}: zeros of {layer['name']}")
    exact, theirs, ours = run_ort(source, x), run_ort(target, x), run_sumi(target, x, folder)
    signal = np.square(exact).mean()
    noise = [np.square(y - exact).mean() / signal for y in (ours, theirs)]
    # rounding of ties may differ between the engines, and moves few values by a step
    apart = np.abs(ours - theirs).max() / np.abs(exact).max()
    print(f"{what}: noise {noise[0]:.2e} {noise[1]:.2e}, engines apart {apart:.2e}, {report['kept']} layers kept")
    # a histogram of so few samples has gaps, and what ends in one is cut too early by its entropy
    expect(max(noise) < (6e-2 if "entropy" in options else 1 if name == "uneven" else 5e-3), f"{what}: the noise is {noise}")
    expect(apart < 2e-2, f"{what}: the engines are {apart} apart")
    card = [run_sumi(target, x, folder, device) for device in ("antoum", "ref-machine")]
    expect(np.array_equal(*card), f"{what}: the card differs from the references in {(card[0] != card[1]).sum()} values")
    report["noise"] = float(noise[0])
    return written, report


def refused(source, data, folder, status, words, *options):
    got, _, text = quantize(source, f"{folder}/refused.onnx", data, *options)
    expect(got == status and words in text, f"{source}: status {got}, '{text.strip()}' instead of '{words}'")
    expect(not pathlib.Path(f"{folder}/refused.onnx").exists(), f"{source}: refused, but a file was written")


def check_residual(folder, rng):
    x = rng.normal(size=(SAMPLES, 3, 12, 12)).astype(np.float32)
    data = f"{folder}/pictures.npz"
    np.savez(data, x=x)
    source, arrays = residual(f"{folder}/residual.onnx")
    for options in ([], ["--range", "minmax"], ["--range", "entropy"], ["--range", "percentile"], ["--symmetric"],
                    ["--equalise"], ["--no-bias-correction"], ["--keep", "/c1"]):  # fmt: skip
        written, report = check_model("residual", source, arrays, x[:8], data, folder, *options)
        kept = [layer["name"] for layer in report.get("layers", []) if layer["kept"]]
        expect(kept == (["/c1"] if "--keep" in options else []), f"residual {options}: kept {kept}")
        if written and not kept:
            shown = oracle.sumi_json("explain", f"{folder}/int8.onnx")
            operators = {s["op"] for s in shown["steps"]}
            expect(not operators & {"Conv", "sumi.FConv", "Gemm", "Add"}, f"residual {options}: runs {operators}")
    pair, weights = uneven(f"{folder}/uneven.onnx")
    loose = ["--max-error", "1"]
    _, plain = check_model("uneven", pair, weights, x[:8], data, folder, *loose)
    _, even = check_model("uneven", pair, weights, x[:8], data, folder, *loose, "--equalise")
    expect(all(layer.get("equalised") for layer in even["layers"]), "uneven: the channels are not evened out")
    expect(even["noise"] < plain["noise"] / 4, "uneven: evening out does not help")
    old, _ = residual(f"{folder}/old.onnx", opset=11, ir=6)
    refused(old, data, folder, 3, "--per-tensor")
    check_model("opset 11", old, arrays, x[:8], data, folder, "--per-tensor")
    refused(f"{folder}/int8.onnx", data, folder, 3, "quantised already")
    refused(source, data, folder, 3, "nothing would get 8 bits", "--max-error", "1e-9")
    refused(source, data, folder, 2, "'/c9'", "--keep", "/c9")
    refused(source, data, folder, 2, "'median'", "--range", "median")
    x[3, 1, 2, 2] = np.nan
    np.savez(f"{folder}/nan.npz", x=x)
    refused(source, f"{folder}/nan.npz", folder, 3, "not finite")


def main():
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as folder:
        check_residual(folder, rng)
        tokens = rng.normal(size=(SAMPLES, 5, 16)).astype(np.float32)
        np.savez(f"{folder}/tokens.npz", x=tokens)
        source, arrays = encoder(f"{folder}/encoder.onnx")
        check_model("encoder", source, arrays, tokens[:8], f"{folder}/tokens.npz", folder)
        nothing = model([("Relu", ["x"], ["y"], {})], {}, (5, 16), (5, 16), f"{folder}/nothing.onnx")
        refused(nothing, f"{folder}/tokens.npz", folder, 3, "nothing to quantise")
        weights = np.full((16, 4), np.inf, np.float32)
        broken = model([("MatMul", ["x", "w"], ["y"], {})], {"w": weights}, (5, 16), (5, 4), f"{folder}/broken.onnx")
        refused(broken, f"{folder}/tokens.npz", folder, 3, "not finite")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
