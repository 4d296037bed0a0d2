"""What the simulated Antoum cards would do beside what their maker published: one set of parameters for all rows.

    build/venv/bin/python bench/card.py [--rows resnet50,bert_large] [--json FILE]

Networks are those of zoo.py in 8 bits, with seeded weights; `--sparsity` keeps the largest weights of every bank of
32, so the times are those of pruned networks and the outputs are of no use. An inference takes `batch` items on
each chip. The second table is whole-network speed-up by sparsity on SparseOne-S4."""

import argparse
import json
import subprocess
import sys

import zoo

# network, card, more options, items on a chip, sparsity, published items a second, published ms
ROWS = [
    ("resnet50", "SparseOne-S4", [], 16, 32, 31678.6, None),
    ("resnet50", "SparseOne-S10", [], 16, 32, 65592.8, None),
    ("resnet50", "SparseOne-S30", [], 16, 32, 95784.3, None),
    ("resnet50", "SparseOne-S30", ["--chips", "4"], 16, 32, 127375.0, None),  # SparseOne-S40
    ("resnet50", "SparseOne-S30", [], 16, 16, 52424.0, 0.92),  # batch 48 over three chips
    ("bert_large", "SparseOne-S4", [], 8, 32, 1219.41, None),
    ("bert_large", "SparseOne-S10", [], 8, 32, 2535.96, None),
    ("bert_large", "SparseOne-S30", [], 8, 32, 3836.89, None),
    ("bert_large", "SparseOne-S30", ["--chips", "4"], 8, 32, 5068.94, None),
    # batch 64 over three chips; how many tokens is not said
    ("bert_base", "SparseOne-S30", [], 22, 16, 7738.9, 8.27),
    ("bert_base_384", "SparseOne-S30", [], 22, 16, 7738.9, 8.27),
]
SWEEP = "1,2,4,8,16,32"


def card(sumi, network, *options):
    path = zoo.dense_file(network, "int8")
    done = subprocess.run([sumi, "card", path, "--json", *options], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{network.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def row(sumi, name, chip, options, batch, sparsity, published, ms):
    r = card(sumi, zoo.find([name])[0], "-c", chip, *options, "-b", str(batch), "-s", str(sparsity))
    rate, latency = r["throughput_per_s"], r["latency_ms"]
    label = chip.replace("S30", "S40") if options else chip
    print(
        f"{name:13} {label:14} {batch:5} {sparsity:4}x {rate:10.1f} {published:10.1f} {rate / published - 1:+7.1%}"
        f"  {latency:8.3f} {ms or '-':>6}  {r['power_w']:6.1f}  {r['compile_ms']:8.0f} {r['simulate_ms']:8.0f}"
    )
    return {"network": name, "card": label, "batch": batch, "sparsity": sparsity, "predicted": rate}


def sweep(sumi, name, batch):
    base = None
    for s in SWEEP.split(","):
        r = card(sumi, zoo.find([name])[0], "-b", str(batch), "-s", s)
        base = base or r["throughput_per_s"]
        print(
            f"{name:13} {s:>3}x {r['throughput_per_s']:10.1f} {r['throughput_per_s'] / base:6.2f}x"
            f"  {r['bound']:6}  {r['power_w']:5.1f} W"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sumi", default="build/sumi")
    parser.add_argument("--rows", default="resnet50,bert_base,bert_base_384,bert_large", help="networks")
    parser.add_argument("--json")
    args = parser.parse_args()
    names = args.rows.split(",")
    print(
        "network       card           batch sparse  predicted  published              ms   (pub.)  watts"
        "   compile simulate ms"
    )
    rows = [row(args.sumi, *r) for r in ROWS if r[0] in names]
    print("\nnetwork     sparse    items/s speed-up  bound")
    for name in names:
        sweep(args.sumi, name, 8 if name == "bert_large" else 16)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
