#!/usr/bin/env python3
"""Networks pruned by `sumi prune`, in Sumi, ONNX Runtime and OpenVINO: the same outputs, and how much faster.

    make sparse-table                                   the CIFAR-10 network of the examples, one core, batch 1
    build/venv/bin/python bench/sparse.py --rows 4x4:0.875 --precisions int8 --isa avx512vnni

Every file goes to every engine; in a round each engine runs each file once, in a process of its own, and the
rounds alternate. The weights are chosen by magnitude, which decides neither speed nor equality; int8 files are
made by `sumi quantize` of the pruned ones. MB: 10^6 bytes of the ONNX file and of what `sumi compile` writes, in
which the weights lie as they were (for other machines) and packed; packed: the second part. over dense: Sumi's
dense time / its time; over best: the shortest time of another engine, on this file or the dense one, whichever
it runs faster, / Sumi's time (above 1: Sumi is faster). error: the largest difference from ONNX Runtime's
outputs on the same file, relative to their largest magnitude, of Sumi and of OpenVINO. Exit status 1 where one
passes its limit, or where a compiled file does not shrink with its zeros."""

import argparse
import json
import os
import statistics
import sys

SKIP = 77  # as the tests skip
try:
    import numpy as np
    from measure import ISA, Bench, errors, peers
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(SKIP)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
DATA = os.path.join(ROOT, "examples", "data")
ROWS = ["1x1:0.5", "1x4:0.5", "4x4:0.5", "4x4:0.875"]
# float32: sums in another order. int8: ties are rounded differently, which moves a value by a step of its 8 bits
# and others behind it; OpenVINO computes what has no 8-bit form in bf16.
LIMITS = {"float32": {"sumi": 1e-4, "openvino-f32": 1e-4}, "int8": {"sumi": 2e-2, "openvino": 8e-2}}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = {"type": lambda s: s.split(",")}
    p.add_argument("--network", default=os.path.join(DATA, "cifar10_resnet.onnx"))
    p.add_argument("--pictures", default=os.path.join(DATA, "images"), help="what int8 is calibrated on")
    p.add_argument("--rows", **words, default=ROWS, help=f"PATTERN:SPARSITY,... ({','.join(ROWS)})")
    p.add_argument("--precisions", **words, default=["float32", "int8"])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.3, help="of one measurement (0.3)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--isa", choices=ISA, help="the highest instruction set; ONNX Runtime is only kept from AMX")
    p.add_argument("--sumi", default=os.environ.get("SUMI_PROGRAM") or os.path.join(ROOT, "build", "sumi"))
    p.add_argument("--json", metavar="FILE", help="all figures")
    return p.parse_args()


def one_picture(folder):
    """The first picture of the first class, [1, 3, height, width], 0..255."""
    first = sorted(os.scandir(folder), key=lambda e: e.name)[0].path
    path = sorted(os.scandir(first), key=lambda e: e.name)[0].path
    rgb = np.asarray(Image.open(path).convert("RGB"), np.float32)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])


def make_files(bench, o):
    """Rows without figures: (pattern, sparsity) x precision, dense first; their files lie in the bench's folder."""
    rows = []
    for pattern, sparsity in [("dense", 0.0)] + [(p, float(s)) for p, s in (r.split(":") for r in o.rows)]:
        source = o.network
        if sparsity:
            source = os.path.join(bench.folder, f"{pattern}-{sparsity}.onnx")
            bench.call(o.sumi, "prune", o.network, "-o", source, "--pattern", pattern, "--sparsity", sparsity,
                       "--method", "magnitude")  # fmt: skip
        for precision in o.precisions:
            path = source
            if precision == "int8":
                path = os.path.join(bench.folder, f"{pattern}-{sparsity}.int8.onnx")
                bench.call(o.sumi, "quantize", source, "-o", path, "--calib", o.pictures, "--samples", 100,
                           "--max-error", 1e9)  # fmt: skip
            compiled = os.path.join(bench.folder, "compiled.sumi")
            made = json.loads(bench.call(o.sumi, "compile", path, "-o", compiled, "--json"))
            rows.append({"pattern": pattern, "sparsity": sparsity, "precision": precision, "file": path,
                         "onnx_bytes": os.path.getsize(path), "compiled_bytes": os.path.getsize(compiled),
                         "packed_bytes": made["packed_bytes"], "rounds": {}})  # fmt: skip
    return rows


def engines_of(precision):
    """OpenVINO as it keeps the file's precision."""
    return ["sumi"] + [e for e in peers(precision) if precision == "int8" or e != "openvino"]


def run_once(bench, engine, path):
    return (bench.sumi_bench(path) if engine == "sumi" else bench.peer(engine, path))["median_ms"]


def measure(bench, rows, rounds):
    for _ in range(rounds):
        for row in rows:
            for engine in engines_of(row["precision"]):
                row["rounds"].setdefault(engine, []).append(run_once(bench, engine, row["file"]))
    for row in rows:
        row["ms"] = {engine: statistics.median(ms) for engine, ms in row["rounds"].items()}
        dense = next(r for r in rows if r["precision"] == row["precision"])
        row["over_dense"] = dense["ms"]["sumi"] / row["ms"]["sumi"]
        others = [min(r["ms"][e] for r in (dense, row)) for e in row["ms"] if e != "sumi"]
        row["over_best"] = min(others) / row["ms"]["sumi"]


def compare(bench, row):
    """The errors of all engines but ONNX Runtime; what is wrong with the row, as sentences."""
    want = bench.reference(row["file"])
    row["error"] = {}
    for engine in (e for e in engines_of(row["precision"]) if e != "onnxruntime"):
        theirs = bench.sumi_outputs(row["file"], want) if engine == "sumi" else bench.peer_outputs(engine, row["file"])
        row["error"][engine], _ = errors(theirs, want, dict.fromkeys(want))
        limit = LIMITS[row["precision"]][engine]
        if not row["error"][engine] <= limit:
            yield f"{engine} is {row['error'][engine]:.1e} from ONNX Runtime, more than {limit:.0e}"


def shrinks(row, dense):
    """Of half sparse layers some run faster from dense lists, and lists of single weights hold an offset each; at
    blocks of 4 x 4 and three quarters of zeros all are packed sparse but the first and the last layer, and offsets."""
    wanted = row["pattern"] == "4x4" and row["sparsity"] >= 0.75
    return not wanted or row["packed_bytes"] <= (1.1 - row["sparsity"]) * dense["packed_bytes"]


def head():
    return (
        f"{'type':8} {'weights':10} | {'ONNX MB':>8} {'compiled':>8} {'packed':>7} | {'sumi ms':>8} {'ort':>7} {'ov':>7} "
        f"{'over dense':>10} {'over best':>9} | error (ov)"
    )


def line(row):
    megabytes = [row[k] / 1e6 for k in ("onnx_bytes", "compiled_bytes", "packed_bytes")]
    weights = f"{row['pattern']} {100 * row['sparsity']:g} %" if row["sparsity"] else "dense"
    ov = [e for e in row["ms"] if e.startswith("openvino")]
    ov_ms = f"{row['ms'][ov[0]]:7.3f}" if ov else "      -"
    error = f"{row['error']['sumi']:.1e}" + (f" ({row['error'][ov[0]]:.1e})" if ov else "")
    return (
        f"{row['precision']:8} {weights:10} | {megabytes[0]:8.2f} {megabytes[1]:8.2f} {megabytes[2]:7.2f} | "
        f"{row['ms']['sumi']:8.3f} {row['ms']['onnxruntime']:7.3f} {ov_ms} "
        f"{row['over_dense']:9.2f}x {row['over_best']:8.2f}x | {error}"
    )


def main():
    o = options()
    wrong = 0
    with Bench(o) as bench:
        machine = json.loads(bench.call(o.sumi, "version", "--json"))
        bench.feed({"image": one_picture(o.pictures)})
        rows = sorted(make_files(bench, o), key=lambda r: o.precisions.index(r["precision"]))
        measure(bench, rows, o.rounds)
        print(f"{machine['machine']}, {machine['isa']}, {o.threads} thread(s), batch 1, {o.rounds} rounds\n{head()}")
        for row in rows:
            dense = next(r for r in rows if r["precision"] == row["precision"])
            complaints = list(compare(bench, row))
            if not shrinks(row, dense):
                complaints.append("the packed weights do not shrink as the zeros do")
            print("\n    ".join([line(row), *complaints]), flush=True)
            wrong += len(complaints)
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({"command": " ".join(sys.argv), "machine": machine, "rows": rows}, f, indent=1)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
