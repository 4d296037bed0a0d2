#!/usr/bin/env python3
"""Float32 networks side by side with ONNX Runtime, one core each, alternating in one run.

    build/venv/bin/python bench/float32.py [--sumi build/sumi] [--rounds 5] [--seconds 1] [--json] NETWORK...

Prints for each network the median latency of both and the ratio Sumi / ONNX Runtime (below 1: Sumi is faster).
Without arguments the networks of SUMI_SHARED (default ../shared) that are convolutional. Inputs are the same random
numbers; outputs are compared in the same run."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

import numpy as np
import onnxruntime

DEFAULT = ["trained/cifar10_resnet.onnx", "trained/efficientnet_lite0.onnx", "networks/yolox_nano.onnx",
           "networks/retinaface_mbnet0.25.onnx", "networks/scrfd_500m_bnkps.onnx", "networks/version-RFB-320.onnx",
           "networks/yunet_yunet_final_dynamic_simplify.onnx", "architectures/torchvision_resnet18",
           "architectures/torchvision_resnet50", "architectures/torchvision_dynamic_mobilenet_v2"]
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float16)": np.float16}
SIZES = {"batch": 1, "batch_size": 1, "N": 1, "height": 320, "width": 320, "?": 320}


def shapes_of(session):
    """Concrete shapes for symbolic ones: batch 1, images 320 x 320."""
    out = {}
    for i in session.get_inputs():
        dims = []
        for k, d in enumerate(i.shape):
            dims.append(d if isinstance(d, int) else 1 if k == 0 else SIZES.get(d, 320))
        out[i.name] = (dims, TYPES[i.type])
    return out


def peer(path):
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    o.log_severity_level = 3
    return onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def measure_peer(session, feed, seconds):
    """Median of single runs in milliseconds, after one to warm up."""
    session.run(None, feed)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        t = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - t)
    return 1e3 * statistics.median(times)


def measure_sumi(sumi, path, shapes, seconds):
    command = [sumi, "bench", path, "--threads", "1", "--seconds", str(seconds), "--json"]
    for name, (dims, _) in shapes.items():
        command += ["--shape", f"{name}={'x'.join(map(str, dims))}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def largest_error(sumi, path, session, feed):
    """Largest difference of any output, relative to its largest magnitude."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sumi, "run", path, "-o", folder]
        for name, x in feed.items():
            file = os.path.join(folder, f"in_{len(command)}.npy")
            np.save(file, x)
            command += ["-i", f"{name}={file}"]
        subprocess.run(command, check=True, capture_output=True)
        worst = 0.0
        for o, want in zip(session.get_outputs(), session.run(None, feed)):
            safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in o.name)
            got = np.load(os.path.join(folder, safe + ".npy"))
            scale = max(float(np.abs(want).max()), 1e-30) if want.size else 1.0
            worst = max(worst, float(np.abs(got.astype(np.float64) - want).max()) / scale if want.size else 0.0)
        return worst


def located(shared, name):
    """The path of a network; one of the architectures is unpacked and given its seeded weights under build/bench."""
    folder, base = os.path.split(name)
    if folder != "architectures":
        return os.path.join(shared, name)
    out = os.path.join("build", "bench", base + ".onnx")
    if not os.path.exists(out):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        bare = out + ".bare"
        with tarfile.open(os.path.join(shared, folder, "architectures.tar.xz")) as tar:
            member = next(m for m in tar if os.path.basename(m.name) == base + ".onnx")
            with open(bare, "wb") as f:
                f.write(tar.extractfile(member).read())
        subprocess.run([sys.executable, os.path.join(shared, folder, "fill.py"), bare, out], check=True)
        os.remove(bare)
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("networks", nargs="*")
    p.add_argument("--sumi", default="build/sumi")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    shared = os.environ.get("SUMI_SHARED", "../shared")
    rows = []
    for path in a.networks or [located(shared, n) for n in DEFAULT]:
        session = peer(path)
        shapes = shapes_of(session)
        rng = np.random.default_rng(1)
        feed = {n: rng.standard_normal(d).astype(t) for n, (d, t) in shapes.items()}
        ours, theirs = [], []
        for _ in range(a.rounds):
            theirs.append(measure_peer(session, feed, a.seconds))
            ours.append(measure_sumi(a.sumi, path, shapes, a.seconds)["median_ms"])
        row = {"network": os.path.basename(path), "sumi_ms": statistics.median(ours), "onnxruntime_ms": statistics.median(theirs),
               "ratio": statistics.median(s / t for s, t in zip(ours, theirs)), "error": largest_error(a.sumi, path, session, feed)}
        rows.append(row)
        if not a.json:
            print("{network:44} sumi {sumi_ms:9.3f} ms   onnxruntime {onnxruntime_ms:9.3f} ms   ratio {ratio:5.2f}   error {error:.1e}".format(**row), flush=True)
    if a.json:
        json.dump({"onnxruntime": onnxruntime.__version__, "rows": rows}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
