"""Compares sumi with ONNX Runtime on real networks: python compare.py [--device D] NETWORK... | --all

networks.txt says with which inputs; numbers come from a generator seeded by the network's name, so that both engines
and every run see the same. Prints a line per network: the largest difference over the output's largest magnitude, and
the verdict. Sees the networks in SUMI_SHARED and the program SUMI_PROGRAM."""

import argparse
import fnmatch
import io
import lzma
import os
import pathlib
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import oracle  # noqa: E402
from oracle import np  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TRAINED = {"cifar10_resnet.onnx", "efficientnet_lite0.onnx", "minilm.onnx"}
DEFAULT_TOLERANCE = 1e-4
DTYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_,
}  # fmt: skip


class Case:
    """A line of networks.txt."""

    def __init__(self, line):
        words = line.split("#", 1)[0].split()
        self.network = words[0]
        self.options = {"tol": str(DEFAULT_TOLERANCE)}
        self.inputs = {}
        for word in words[1:]:
            name, _, value = word.rpartition("=")
            if name in ("tol", "steps", "only", "oracle"):
                self.options[name] = value
            else:
                self.inputs[name] = value

    def spec_of(self, name):
        for pattern, spec in self.inputs.items():
            if pattern == name or fnmatch.fnmatchcase(name, pattern):
                return spec
        return ""


def read_cases():
    lines = (HERE / "networks.txt").read_text().splitlines()
    return [Case(line) for line in lines if line.strip() and not line.startswith("#")]


def network_path(name):
    shared = oracle.shared()
    if name not in TRAINED:
        return shared / "networks" / name
    if name != "minilm.onnx":
        return shared / "trained" / name
    path = oracle.work_folder() / name  # stored compressed
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(lzma.open(shared / "trained" / "minilm_l6_v2.onnx.xz").read())
        part.rename(path)
    return path


def make_values(text, shape, dtype, rng):
    if not text:
        if np.issubdtype(dtype, np.floating):
            return rng.standard_normal(shape).astype(dtype)
        return rng.integers(0, 2 if dtype == np.bool_ else 8, shape).astype(dtype)
    if text.startswith("photos"):
        return photos(text, shape)
    if text == "page":
        return page(shape)
    if text == "mask":
        mask = np.ones(shape, dtype)
        mask[1::2, -2:] = 0
        return mask
    if text == "causal":
        return np.tril(np.ones(shape, dtype))
    if text == "ramp":
        return np.broadcast_to(np.arange(shape[-1], dtype=dtype), shape).copy()
    if ".." in text:
        low, high = map(float, text.split(".."))
        if np.issubdtype(dtype, np.floating):
            return rng.uniform(low, high, shape).astype(dtype)
        return rng.integers(int(low), int(high) + 1, shape).astype(dtype)
    return np.array([float(v) for v in text.split(",")]).astype(dtype).reshape(shape)


def picture_bytes(kind, rng):
    """A small encoded picture: smooth, so that JPEG keeps it nearly as it is."""
    from PIL import Image

    y, x = np.mgrid[0:48, 0:64]
    waves = [127 + 90 * np.sin(x / rng.uniform(5, 15) + y / rng.uniform(5, 15)) for _ in range(3)]
    buffer = io.BytesIO()
    options = {} if kind == "png" else {"quality": 98, "subsampling": 0}
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(buffer, kind, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def photos(text, shape):
    """Pictures of the examples [N, 3, H, W]: "photos" as they are, "photos:MEAN:STD" normalised."""
    from PIL import Image

    files = sorted((oracle.ROOT / "examples/data/images").glob("*/*.jpg"))
    chosen = [files[i * len(files) // shape[0]] for i in range(shape[0])]
    size = (shape[3], shape[2])
    pixels = np.stack([np.asarray(Image.open(f).convert("RGB").resize(size, Image.BICUBIC)) for f in chosen])
    _, mean, std = (text + ":0:1").split(":")[:3]
    return ((pixels.transpose(0, 3, 1, 2).astype(np.float32) - float(mean)) / float(std)).astype(np.float32)


def page(shape):
    """Dark words on paper [1, 3, H, W], normalised as PP-OCR wants it."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (shape[3], shape[2]), (250, 248, 240))
    draw = ImageDraw.Draw(image)
    for line, words in enumerate(["A few strokes", "make the picture", "sumi 2048"]):
        draw.text((20, 15 + 40 * line), words, fill=(20, 20, 40), font_size=28)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((np.asarray(image) / 255 - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)


def make_inputs(case, session, seed):
    inputs = {}
    rng = np.random.default_rng(zlib.crc32(case.network.encode()) + seed)
    given = [port for port in session.get_overridable_initializers() if case.spec_of(port.name)]
    for port in session.get_inputs() + given:
        shape_text, _, values = case.spec_of(port.name).partition("@")
        if values in ("png", "jpeg"):
            inputs[port.name] = picture_bytes(values, rng)
            continue
        if shape_text == "scalar":
            shape = ()
        elif shape_text:
            shape = tuple(map(int, shape_text.split("x")))
        else:
            shape = tuple(port.shape)
            if not all(isinstance(d, int) for d in shape):
                raise SystemExit(f"networks.txt: {case.network}: the shape of '{port.name}' is open: {shape}")
        inputs[port.name] = make_values(values, shape, DTYPES[port.type], rng)
    return inputs


def decode(array):
    """The pixels of an encoded picture: encoders may differ, pixels may not."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(array.tobytes())).convert("RGB"))


def is_picture(array):
    return array.dtype == np.uint8 and array.ndim == 1 and array.tobytes()[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")


def compare(case, name, got, want):
    """(figure, sentence): figure <= 1 is agreement."""
    pictures = is_picture(want) and is_picture(got)
    if pictures:
        got, want = decode(got), decode(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return np.inf, f"{name}: {got.dtype}{list(got.shape)}, not {want.dtype}{list(want.shape)}"
    if not want.size or case.options.get("only") == "shape":
        return 0.0, "shape"
    if want.dtype.kind in "OUS":
        return (0.0, "equal") if (got == want).all() else (np.inf, f"{name}: strings differ")
    exact = want.dtype.kind not in "fc"
    a, b = got.astype(np.float64), want.astype(np.float64)
    if (np.isnan(a) != np.isnan(b)).any() or (np.isinf(a) != np.isinf(b)).any():
        return np.inf, f"{name}: NaN or infinity in other places"
    apart = np.nan_to_num(np.abs(a - b), nan=0.0, posinf=0.0)
    finite = np.abs(b[np.isfinite(b)])
    largest = max(float(finite.max()) if finite.size else 0.0, 1e-30)
    if exact and not pictures:
        return (0.0, "equal") if not apart.any() else (np.inf, f"{name}: {int((apart != 0).sum())} of {want.size} differ")
    relative = float(apart.max()) / largest
    return relative / float(case.options["tol"]), f"{relative:.1e}"


def compare_all(case, got, want):
    """(figure, sentence) of the output that is furthest off; got, want: name -> array."""
    worst, sentence = -1.0, "no outputs"
    for name, expected in want.items():
        if expected is None:
            continue
        if name not in got:
            return np.inf, f"output '{name}' is missing"
        figure, text = compare(case, name, got[name], np.asarray(expected))
        if figure > worst:
            worst, sentence = figure, text
    return worst, sentence


def quantised_values(path):
    """The model with every QuantizeLinear's output as an output, and the step of each output in its own units."""
    model = oracle.onnx.load(str(path))
    graph = model.graph
    constants = {t.name: oracle.numpy_helper.to_array(t) for t in graph.initializer}
    constants |= {n.output[0]: oracle.numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
    for n in graph.node:
        if n.op_type == "Identity" and n.input[0] in constants:
            constants[n.output[0]] = constants[n.input[0]]
    producer = {o: n for n in graph.node for o in n.output}
    steps = {}
    for output in graph.output:  # real outputs: the scale they passed last
        node = producer.get(output.name)
        while node is not None and node.op_type not in ("DequantizeLinear", "QuantizeLinear"):
            node = producer.get(node.input[0])
        if node is not None:
            steps[output.name] = float(np.max(constants[node.input[1]]))
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] not in steps:
            graph.output.append(oracle.onnx.ValueInfoProto(name=node.output[0]))
            steps[node.output[0]] = 1.0
    return model, steps


def cut(model, values, cuts):
    """Makes the values named in cuts inputs, too: each part of the network starts from the values given."""
    graph = model.graph
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name in cuts:
                node.input[i] = name + "_given"
    for name in sorted(cuts):
        array = values[name]
        dtype = oracle.helper.np_dtype_to_tensor_dtype(array.dtype)
        graph.input.append(oracle.helper.make_tensor_value_info(name + "_given", dtype, array.shape))
    return {name + "_given": values[name] for name in cuts}


def run_quantised(case, path, inputs, device):
    """Deep quantised networks are chaotic: one early tie that falls the other way moves a tenth of the last layer's
    values by more than a step, in one engine whose input is scaled by 1 + 1e-6, too. So the parts between two
    quantisations are compared, each on ONNX Runtime's values; the whole only by its outputs' correlation."""
    model, steps = quantised_values(path)
    options = oracle.ort.SessionOptions()
    options.graph_optimization_level = oracle.ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    want = oracle.ort_run(oracle.ort.InferenceSession(model.SerializeToString(), options), inputs)
    cuts = {n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear" and n.output[0] in want}
    given = cut(model, want, cuts)
    with tempfile.NamedTemporaryFile(suffix=".onnx", dir=oracle.work_folder()) as file:
        file.write(model.SerializeToString())
        file.flush()
        got = oracle.sumi_run(file.name, inputs | given, device)
    total = good = 0
    for name, step in steps.items():
        if got[name].shape != want[name].shape or got[name].dtype != want[name].dtype:
            return np.inf, f"{name}: {got[name].dtype}{list(got[name].shape)}"
        apart = np.abs(got[name].astype(np.float64) - want[name].astype(np.float64))
        total += apart.size
        good += int((apart <= 1.001 * step).sum())
    whole = oracle.sumi_run(path, inputs, device)
    alike = min(float(np.corrcoef(a.ravel(), want[name].ravel())[0, 1]) for name, a in whole.items())
    share = good / total
    agreed = share >= float(case.options["steps"]) and alike > 0.99
    return (0.0 if agreed else np.inf), f"{100 * share:.4f} % of {total} within a step, outputs correlate by {alike:.4f}"


def run_case(case, device, seed):
    """(figure, sentence)."""
    path = network_path(case.network)
    other = case.options.get("oracle", "")
    stand_in = network_path(other) if other.endswith(".onnx") else path
    session = oracle.ort_session(stand_in, **({other: True} if other in ("float32", "plain", "spread") else {}))
    inputs = make_inputs(case, session, seed)
    if "steps" in case.options:
        return run_quantised(case, path, inputs, device)
    want = oracle.greedy_search(path, inputs) if other == "greedy" else oracle.ort_run(session, inputs)
    try:
        got = oracle.sumi_run(path, inputs, device)
    except oracle.Refused as refusal:
        return np.inf, f"refused: {refusal}"
    return compare_all(case, got, want)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cases = [c for c in read_cases() if options.all or c.network in options.network]
    if not cases:
        raise SystemExit("no such network in networks.txt")
    failed = set()
    for case in cases:
        try:
            figure, sentence = run_case(case, options.device, options.seed)
        except Exception as error:  # one network's trouble is not the others'
            figure, sentence = np.inf, f"{type(error).__name__}: {error}"
        good = figure <= 1
        if not good:
            failed.add(case.network)
        print(f"{'agrees' if good else 'DIFFERS'}  {case.network}: {sentence}", flush=True)
    networks = {c.network for c in cases}
    print(f"{len(networks) - len(failed)} of {len(networks)} networks agree")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
