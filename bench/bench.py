#!/usr/bin/env python3
"""Sumi beside ONNX Runtime and OpenVINO: latency, loading, memory and outputs, alternating in one run.

    make bench                                          all, one core, batch 1; figures in build/bench.json
    make bench BENCH="--networks minilm --rounds 5"     any of the options below
    build/venv/bin/python bench/bench.py --networks resnet50,bert_base --precisions int8 --json bench.json
    build/venv/bin/python bench/bench.py --networks float32 --rounds 5
    build/venv/bin/python bench/bench.py --networks resnet50 --patterns 4x4,1x4 --factors 4,8 --isa avx512vnni

Ratio: the best peer's DENSE time of the same precision / Sumi's time, the median over the rounds (above 1:
Sumi is faster); least: the same of the shortest single runs, for machines that are not quiet. ort: ONNX
Runtime; ov: OpenVINO, kept at float32 for float32 networks; its own choice there, bf16, is the column
ov-bf16 and not part of the ratio. In quantised networks OpenVINO computes what is not quantised in bf16 by
itself, too. Load: from the file to the first run possible (Sumi: loading + preparing). Memory: a process's
peak, for the peers less what the interpreter and the library took before the model was opened. Error: Sumi's
outputs beside ONNX Runtime's on the same file, the largest difference relative to the largest magnitude; for
quantised networks also the share of values within one output step (1/255 of the range where the output is
not quantised); in brackets OpenVINO's. --isa lowers Sumi and OpenVINO; ONNX Runtime is kept from AMX."""

import argparse
import json
import os
import platform
import statistics
import sys

import layers
import table
import zoo
from measure import ISA, Bench, Failure, errors, peers

AMX_PATTERN, PATTERN = "32x4", "4x4"


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = {"type": lambda s: s.split(",")}
    p.add_argument(
        "--networks", **words, default=list(zoo.NETWORKS), help=f"{','.join(zoo.NETWORKS)}, float32, or paths"
    )
    p.add_argument("--precisions", **words, help="int8,float32 (what a network has)")
    p.add_argument(
        "--patterns", **words, help="instead of a network's own, e.g. 4x4,1x4; none = dense rows only"
    )
    p.add_argument(
        "--factors",
        type=lambda s: [int(x) for x in s.split(",")],
        help="instead of a network's own: 4,8,16,32",
    )
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1.0, help="of one measurement (1)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--isa", choices=ISA, help="the highest instruction set")
    p.add_argument("--layers", action="store_true", help="second table by layer instead of by kernel")
    p.add_argument("--no-layers", action="store_true", help="first table only")
    p.add_argument("--sumi", default="build/sumi")
    p.add_argument(
        "--folder",
        default=zoo.FOLDER,
        help="of the networks, made once, and of the program peak (build/bench)",
    )
    p.add_argument("--json", metavar="FILE", help="all figures, and every round's")
    return p.parse_args()


def weights_of(network, precision, o, isa):
    """(pattern, factor) of every row of a network; ("dense", 1) first."""
    rows = network.factors.get(precision, {})
    if o.patterns:
        rows = {} if o.patterns == ["none"] else {p: o.factors or sorted(zoo.ALL) for p in o.patterns}
    named = {(AMX_PATTERN if isa == "amx" else PATTERN) if p == "isa" else p: f for p, f in rows.items()}
    return [("dense", 1)] + [
        (p, f) for p, factors in named.items() for f in sorted(o.factors or factors) if f > 1
    ]


def medians(rounds):
    """The median of every number over the rounds of one engine."""
    return {
        k: statistics.median(r[k] for r in rounds) if isinstance(v, (int, float)) else v
        for k, v in rounds[0].items()
    }


def measure(bench, network, precision, o, isa):
    """All rows of one network in one precision: in every round each engine once, Sumi once per row."""
    dense = zoo.dense_file(network, precision)
    rows = [
        {
            "network": network.name,
            "precision": precision,
            "pattern": p,
            "factor": f,
            "rounds": [],
            "file": dense if f == 1 else zoo.sparse_file(network, precision, p, f),
        }
        for p, f in weights_of(network, precision, o, isa)
    ]
    bench.feed(zoo.feed_of(network, o.batch))
    engines = {e: [] for e in peers(precision)}
    for _ in range(o.rounds):
        for engine, results in list(engines.items()):
            try:
                results.append(bench.peer(engine, dense))
            except Failure as e:
                print(f"{network.name} {precision}: {engine}: {e}", file=sys.stderr)
                del engines[engine]
        for row in rows:
            try:
                if "refused" not in row:
                    row["rounds"].append(bench.sumi_bench(row["file"]))
            except Failure as e:
                row["refused"] = str(e)
    if not engines:
        raise Failure("no peer runs it")
    for row in rows:
        finish(bench, row, engines, precision)
    return rows


def finish(bench, row, engines, precision):
    """Medians, ratios and errors of a row."""
    row["peers"] = {e: medians(results) for e, results in engines.items()}
    row["peer_rounds"] = engines
    if "refused" in row:
        return
    row["sumi"] = medians(row["rounds"])
    same = [e for e in engines if e != "openvino" or precision != "float32"]
    best = min(same, key=lambda e: row["peers"][e]["median_ms"])
    row["best_peer"] = best
    pairs = zip(engines[best], row["rounds"])
    row["ratio"] = statistics.median(theirs["median_ms"] / ours["median_ms"] for theirs, ours in pairs)
    least = min(r["min_ms"] for e in same for r in engines[e])
    row["ratio_of_least"] = least / min(r["min_ms"] for r in row["rounds"])
    try:
        compare(bench, row, [e for e in same if e != "onnxruntime"])
    except Failure as e:
        row["refused"] = f"no outputs: {e}"


def compare(bench, row, others):
    """Outputs of Sumi, and in dense rows those of the other peers, beside ONNX Runtime's."""
    steps, want = zoo.output_steps(row["file"]), bench.reference(row["file"])
    row["error"], row["within_step"] = errors(bench.sumi_outputs(row["file"], want), want, steps)
    for e in others if row["factor"] == 1 else []:
        found = errors(bench.peer_outputs(e, row["file"]), want, steps)
        row["peers"][e]["error"], row["peers"][e]["within_step"] = found


def explain(bench, row, peaks, threads):
    """The second table's figures of a row."""
    explained = bench.sumi_explain(row["file"])
    row["kernels"] = layers.by_kernel(explained, peaks, threads)
    row["layers"] = layers.by_layer(explained, peaks, threads)


def about_run(bench, o):
    machine = json.loads(bench.call(o.sumi, "version", "--json"))
    peaks = layers.measured_peaks(os.path.join(o.folder, "peak"), machine["isa"])
    print(
        f"{machine['machine']}, instruction set {machine['isa']}, {o.threads} thread(s), batch {o.batch}, "
        f"{o.rounds} rounds of {o.seconds} s; peak of a core in GMAC/s: "
        + ", ".join(f"{p} {g:.0f}" for p, g in peaks.items())
    )
    if o.isa:
        print(f"lowered to {o.isa}: Sumi and OpenVINO; ONNX Runtime (ort) is kept from AMX, no more")
    print(f"times in ms; ratio = best of ort and ov, dense / sumi\n{table.head()}", flush=True)
    return {
        "command": " ".join(sys.argv),
        "sumi": machine,
        "peaks_gmac_per_s": peaks,
        "threads": o.threads,
        "batch": o.batch,
        "system": platform.platform(),
        "load": os.getloadavg(),
        "rows": [],
    }


def main():
    o = options()
    zoo.FOLDER = o.folder
    networks = zoo.find(o.networks)
    with Bench(o) as bench:
        result = about_run(bench, o)
        isa, peaks, rows = result["sumi"]["isa"], result["peaks_gmac_per_s"], result["rows"]
        for network in networks:
            for precision in (p for p in network.precisions if p in (o.precisions or network.precisions)):
                try:
                    new = measure(bench, network, precision, o, isa)
                    print("\n".join(map(table.line, new)), flush=True)
                    rows += new
                    for row in (r for r in new if "refused" not in r and not o.no_layers):
                        explain(bench, row, peaks, o.threads)
                except Failure as e:
                    print(f"{network.name} {precision}: {e}", file=sys.stderr)
        for row in (r for r in rows if "kernels" in r):
            layers.show(
                f"{row['network']} {row['precision']} {table.weights(row)}",
                row["layers" if o.layers else "kernels"],
            )
        if o.json:
            with open(o.json, "w", encoding="utf-8") as f:
                json.dump(result, f, indent=1)
        if any("refused" in row for row in rows):
            sys.exit(1)


if __name__ == "__main__":
    main()
