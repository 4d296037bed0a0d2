"""Single measurements, each in a process of its own, and the comparison of outputs.

Inputs lie in a folder as .npy (for Sumi's program) and .npz (for peer.py)."""

import glob
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")
# Sumi's levels and what OpenVINO's oneDNN calls them. ONNX Runtime has no setting: below amx it is kept from AMX, no more.
ISA = {
    "ref": "SSE41",
    "avx2": "AVX2",
    "avxvnni": "AVX2_VNNI",
    "avx512": "AVX512_CORE",
    "avx512vnni": "AVX512_CORE_VNNI",
    "avx512bf16": "AVX512_CORE_BF16",
    "amx": "AVX512_CORE_AMX",
}


class Failure(Exception):
    """An engine that did not do it; the text is its last line on stderr."""


def peers(precision):
    """The engines of a precision. "openvino" computes what is float32 in the file in bf16 by itself."""
    if importlib.util.find_spec("openvino") is None:
        return ["onnxruntime"]
    return (
        ["onnxruntime", "openvino-f32", "openvino"] if precision == "float32" else ["onnxruntime", "openvino"]
    )


class Bench:
    """How to measure: threads, seconds, the program, the instruction set. A context: it has a folder."""

    def __init__(self, options):
        self.options = options
        self.environment = dict(os.environ)
        if options.isa:
            self.environment |= {"SUMI_ISA": options.isa, "ONEDNN_MAX_CPU_ISA": ISA[options.isa]}

    def __enter__(self):
        self.holder = tempfile.TemporaryDirectory(prefix="sumi-bench-")
        self.folder = self.holder.name
        return self

    def __exit__(self, *_):
        self.holder.cleanup()

    def feed(self, arrays):
        for old in glob.glob(os.path.join(self.folder, "in_*")):
            os.remove(old)
        self.inputs = []
        for i, (name, x) in enumerate(arrays.items()):
            path = os.path.join(self.folder, f"in_{i}.npy")
            np.save(path, x)
            self.inputs += ["-i", f"{name}={path}"]
        self.feed_path = os.path.join(self.folder, "in_feed.npz")
        np.savez(self.feed_path, **arrays)

    def call(self, *command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=self.environment)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise Failure(said[-1] if said else f"exit status {done.returncode}")
        return done.stdout

    def sumi(self, *arguments):
        return json.loads(
            self.call(
                self.options.sumi, *arguments, *self.inputs, "--threads", self.options.threads, "--json"
            )
        )

    def sumi_bench(self, model):
        return self.sumi("bench", model, "--seconds", self.options.seconds)

    def sumi_explain(self, model, runs=10):
        return self.sumi("explain", model, "--runs", runs)

    def peer(self, engine, model, seconds=None, save=None):
        seconds = self.options.seconds if seconds is None else seconds
        command = [
            sys.executable,
            PEER,
            engine,
            model,
            self.feed_path,
            "--threads",
            self.options.threads,
            "--seconds",
            seconds,
        ]
        command += ["--no-amx"] if self.options.isa not in (None, "amx") else []
        result = json.loads(self.call(*command, *(["--save", save] if save else [])))
        return result | {"own_bytes": result["peak_bytes"] - result["base_bytes"]}

    def reference(self, model):
        """What ONNX Runtime computes, name -> array; Sumi and the other engines are compared with it."""
        return self.peer_outputs("onnxruntime", model)

    def peer_outputs(self, engine, model):
        path = os.path.join(self.folder, "out.npz")
        self.peer(engine, model, 0, path)
        return dict(np.load(path))

    def sumi_outputs(self, model, names):
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            self.call(
                self.options.sumi, "run", model, *self.inputs, "--threads", self.options.threads, "-o", out
            )
            safe = {n: "".join(c if c.isalnum() or c in "-_." else "_" for c in n) for n in names}
            return {n: np.load(os.path.join(out, file + ".npy")) for n, file in safe.items()}


def errors(got, want, steps):
    """Over all outputs: (largest difference relative to an output's largest magnitude, share of values within
    one step). The step of an output that has none is 1/255 of its range."""
    worst, near, total = 0.0, 0, 0
    for name, step in steps.items():
        x, y = got[name].astype(np.float64), want[name].astype(np.float64)
        if x.shape != y.shape:
            raise Failure(f"output '{name}' has the shape {x.shape}, not {y.shape}")
        if not y.size:
            continue
        difference = np.abs(x - y)
        worst = max(worst, float(difference.max() / max(np.abs(y).max(), 1e-30)))
        near += int((difference <= 1.001 * (step or np.ptp(y) / 255)).sum())
        total += y.size
    return worst, near / max(total, 1)
