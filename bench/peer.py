"""One measurement of one other engine, in a process of its own: prints a JSON object.

    build/venv/bin/python bench/peer.py ENGINE MODEL.onnx FEED.npz [--threads 1] [--save OUT.npz]

ENGINE: onnxruntime, openvino (its own choice of precision: bf16 for float32 networks where the processor has
it) or openvino-f32 (kept at float32). --no-amx: the system refuses the process AMX's tiles, which a program must ask
for, so that an engine without a setting takes what is below. Reports median_ms and min_ms of single runs after one to warm up,
load_ms (from the file to a session that can run, without the import of the library), peak_bytes (the
process's peak) and base_bytes (what the interpreter and the library took before the model was opened)."""

import argparse
import ctypes
import errno
import json
import platform
import re
import statistics
import struct
import time

import numpy as np


def resident(field):
    """VmRSS or VmHWM of this process in bytes; getrusage would count what the parent had before exec."""
    with open("/proc/self/status") as f:
        return 1024 * int(re.search(rf"^{field}:\s*(\d+)", f.read(), re.M)[1])


def refuse_amx():
    """A seccomp filter for this process: arch_prctl(ARCH_REQ_XCOMP_PERM) fails with EPERM, all else is as before."""
    if platform.machine() != "x86_64":
        return
    set_no_new_privs, set_seccomp, mode_filter, arch_prctl, ask_permission = 38, 22, 2, 158, 0x1023
    load, jump_if_equal, give = 0x20, 0x15, 0x06  # words of struct seccomp_data: the call, its first argument
    fail, allow, number, first = 0x00050000 | errno.EPERM, 0x7FFF0000, 0, 16
    program = [
        (load, 0, 0, number),
        (jump_if_equal, 0, 3, arch_prctl),
        (load, 0, 0, first),
        (jump_if_equal, 0, 1, ask_permission),
        (give, 0, 0, fail),
        (give, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))

    class Program(ctypes.Structure):
        _fields_ = [("n", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(set_no_new_privs, 1, 0, 0, 0) or prctl(
        set_seccomp, mode_filter, ctypes.byref(Program(len(program), ctypes.addressof(code))), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "cannot keep this process from AMX")


def open_onnxruntime(path, threads, feed):
    import onnxruntime

    base, start = resident("VmRSS"), time.perf_counter()
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads, o.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    load = time.perf_counter() - start
    names = [o.name for o in session.get_outputs()]
    return (lambda: dict(zip(names, session.run(None, feed)))), load, base, onnxruntime.__version__


def open_openvino(path, threads, feed, hints=None):
    import openvino

    core = openvino.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plugin, as an import does for others
    base, start = resident("VmRSS"), time.perf_counter()
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1} | (
        hints or {}
    )
    model = core.read_model(path)
    model.reshape({name: x.shape for name, x in feed.items()})
    request = core.compile_model(model, "CPU", config).create_infer_request()
    load = time.perf_counter() - start
    tensors = {name: openvino.Tensor(x) for name, x in feed.items()}
    for name, x in tensors.items():
        request.set_tensor(name, x)

    def run():
        request.infer()
        return {o.any_name: t.data for o, t in zip(model.outputs, request.output_tensors)}

    return run, load, base, openvino.__version__


ENGINES = {
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "openvino-f32": lambda *a: open_openvino(*a, {"INFERENCE_PRECISION_HINT": "f32"}),
}


def measure(run, seconds):
    run()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return {"median_ms": 1e3 * statistics.median(times), "min_ms": 1e3 * min(times), "runs": len(times)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("engine", choices=ENGINES)
    p.add_argument("model")
    p.add_argument("feed")
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--no-amx", action="store_true")
    p.add_argument("--save")
    a = p.parse_args()
    if a.no_amx:
        refuse_amx()
    feed = dict(np.load(a.feed))
    run, load, base, version = ENGINES[a.engine](a.model, a.threads, feed)
    result = {"engine": a.engine, "version": version, "load_ms": 1e3 * load, "base_bytes": base}
    result |= measure(run, a.seconds)
    result["peak_bytes"] = resident("VmHWM")
    if a.save:
        np.savez(a.save, **run())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
