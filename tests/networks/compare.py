"""Compares sumi with ONNX Runtime on real networks: python compare.py [--device D] NETWORK... | --all

networks.txt says with which inputs; numbers come from a generator seeded by the network's name, so that both engines
and every run see the same. Prints a line per network: the largest difference over the output's largest magnitude, and
the verdict. Sees the networks in SUMI_SHARED and the program SUMI_PROGRAM."""

import argparse
import fnmatch
import io
import lzma
import pathlib
import sys
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
        part = path.with_suffix(f".{id(path)}.part")
        part.write_bytes(lzma.open(shared / "trained" / "minilm_l6_v2.onnx.xz").read())
        part.rename(path)
    return path


def make_values(text, shape, dtype, rng):
    if not text:
        if np.issubdtype(dtype, np.floating):
            return rng.standard_normal(shape).astype(dtype)
        return rng.integers(0, 2 if dtype == np.bool_ else 8, shape).astype(dtype)
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
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(buffer, kind)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def make_inputs(case, session, seed):
    inputs = {}
    rng = np.random.default_rng(zlib.crc32(case.network.encode()) + seed)
    for port in session.get_inputs():
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


def compare(case, name, got, want, step):
    """(figure, sentence): figure <= 1 is agreement."""
    if is_picture(want) and is_picture(got):
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
    if "steps" in case.options:
        unit = 1.0 if exact else step.get(name)
        if unit is None:
            raise SystemExit(f"networks.txt: {case.network}: the step of '{name}' is not known")
        share = float((apart <= unit * 1.001).mean())
        wanted = float(case.options["steps"])
        return (0.0 if share >= wanted else np.inf), f"{100 * share:.3f} % within a step"
    if exact and not is_picture(want):
        return (0.0, "equal") if not apart.any() else (np.inf, f"{name}: {int((apart != 0).sum())} of {want.size} differ")
    relative = float(apart.max()) / largest
    return relative / float(case.options["tol"]), f"{relative:.1e}"


def steps_of(path):
    """Scale of the quantisation that each output passes last, by output name."""
    from onnx import numpy_helper

    graph = oracle.onnx.load(str(path)).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    producer = {o: n for n in graph.node for o in n.output}
    steps = {}
    for output in graph.output:
        node, depth = producer.get(output.name), 0
        while node is not None and depth < 8:
            if node.op_type in ("DequantizeLinear", "QuantizeLinear") and node.input[1] in constants:
                steps[output.name] = float(np.max(constants[node.input[1]]))
                break
            node, depth = producer.get(node.input[0]), depth + 1
    return steps


def run_case(case, device, seed):
    """(figure, sentence)."""
    path = network_path(case.network)
    other = case.options.get("oracle", "")
    stand_in = path if other in ("", "float32") else network_path(other)
    session = oracle.ort_session(stand_in, float32=other == "float32")
    inputs = make_inputs(case, session, seed)
    want = oracle.ort_run(session, inputs)
    try:
        got = oracle.sumi_run(path, inputs, device)
    except oracle.Refused as refusal:
        return np.inf, f"refused: {refusal}"
    step = steps_of(path) if "steps" in case.options else {}
    worst, sentence = -1.0, "no outputs"
    for name, expected in want.items():
        if expected is None:
            continue
        if name not in got:
            return np.inf, f"output '{name}' is missing"
        figure, text = compare(case, name, got[name], np.asarray(expected), step)
        if figure > worst:
            worst, sentence = figure, text
    return worst, sentence


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
