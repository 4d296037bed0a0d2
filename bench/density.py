#!/usr/bin/env python3
"""Whether the faster lists are chosen: a network at falling densities with the lists that are predicted to be
faster, with dense ones, and with sparse ones (SUMI_LISTS), alternating.

    make density                                        ResNet-50, 8 bits and float32
    build/venv/bin/python bench/density.py --precisions int8 --patterns 4x4 --isa avx512vnni

Times are sums over the steps that multiply, the least of the rounds; chosen / best: over the smaller of dense and
sparse of the whole network, and of every layer by itself (the median and the worst layer above --least us)."""

import argparse
import statistics

import zoo
from measure import ISA, Bench

LISTS = ["", "dense", "sparse"]
FACTORS = [1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0]


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = {"type": lambda s: s.split(",")}
    p.add_argument("--network", default="resnet50")
    p.add_argument("--precisions", **words, default=["int8", "float32"])
    p.add_argument("--patterns", **words, help="32x4,4x4,1x4 in 8 bits; 4x1,1x1 in float32")
    p.add_argument("--factors", type=lambda s: [float(x) for x in s.split(",")], default=FACTORS)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--runs", type=int, default=5, help="in a round (5)")
    p.add_argument("--least", type=float, default=20, help="layers of fewer us are not judged (20)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--isa", choices=ISA, help="the highest instruction set")
    p.add_argument("--verbose", action="store_true", help="every layer that is not within 5 %%")
    p.add_argument("--sumi", default="build/sumi")
    p.add_argument("--folder", default=zoo.FOLDER)
    return p.parse_args()


def layer_times(bench, path, lists, runs):
    """node -> us of all its steps, of nodes that multiply."""
    bench.environment["SUMI_LISTS"] = lists
    times, work = {}, {}
    for step in bench.sumi_explain(path, runs)["steps"]:
        times[step["node"]] = times.get(step["node"], 0) + (step["measured_us"] or 0)
        work[step["node"]] = work.get(step["node"], 0) + step["dense_macs"]
    return {n: us for n, us in times.items() if work[n]}


def judge(bench, path, o):
    """lists -> {node: us}, the least of the rounds."""
    rounds = {lists: [] for lists in LISTS}
    for _ in range(o.rounds):
        for lists in LISTS:
            rounds[lists].append(layer_times(bench, path, lists, o.runs))
    return {lists: {n: min(r[n] for r in rs) for n in rs[0]} for lists, rs in rounds.items()}


def show(name, times, o):
    chosen, dense, sparse = (times[lists] for lists in LISTS)
    totals = [sum(t.values()) / 1e3 for t in (chosen, dense, sparse)]
    over = {n: us / min(dense[n], sparse[n]) for n, us in chosen.items() if us > o.least}
    worst = max(over, key=over.get)
    print(
        f"{name:34} {totals[0]:9.2f} {totals[1]:9.2f} {totals[2]:9.2f} "
        f"{totals[0] / min(totals[1:]):8.2f} {statistics.median(over.values()):8.2f} {over[worst]:8.2f}  {worst}",
        flush=True,
    )
    for n in sorted(over, key=over.get, reverse=True) if o.verbose else []:
        if over[n] > 1.05:
            print(f"    {n:40} {chosen[n]:9.0f} {dense[n]:9.0f} {sparse[n]:9.0f} {over[n]:8.2f}")


def main():
    o = options()
    zoo.FOLDER = o.folder
    (network,) = zoo.find([o.network])
    print(f"{'':34} {'chosen ms':>9} {'dense':>9} {'sparse':>9} {'ch/best':>8} {'median':>8} {'worst':>8}  layer")
    with Bench(o) as bench:
        for precision in o.precisions:
            for pattern in o.patterns or (["32x4", "4x4", "1x4"] if precision == "int8" else ["4x1", "1x1"]):
                for factor in o.factors:
                    bench.feed(zoo.feed_of(network, 1))
                    path = (
                        zoo.sparse_file(network, precision, pattern, factor)
                        if factor > 1
                        else zoo.dense_file(network, precision)
                    )
                    name = f"{network.name} {precision} {pattern} {100 / factor:.0f} %"
                    show(name, judge(bench, path, o), o)


if __name__ == "__main__":
    main()
