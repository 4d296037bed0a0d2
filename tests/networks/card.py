"""Networks and architectures compiled for the simulated card: a row each, the last line counts.

    make card-networks                                         all of them
    make card-networks CARD_NETWORKS="--only 'timm_res*'"      narrows it
    python tests/networks/card.py --data --only 'mnist*' --precision file

Every one runs as `sumi card MODEL --json` in a process of its own, with the inputs that the comparisons with ONNX Runtime
use (networks.txt; architectures.py), in bfloat16 where the file is not quantised. Columns: ms of compiling, processor
seconds of the whole process, nodes on the card and on the host, the host's share of the MACs, programs, items a second,
hazards. Below the table: operators left to the host, by reason. --data: every byte is computed and compared with device cpu;
error is the largest difference over the largest output magnitude, at most TOLERANCE."""

import argparse
import collections
import fnmatch
import json
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "bench"), str(HERE)]
import architectures  # noqa: E402
import compare  # noqa: E402
import oracle  # noqa: E402
from oracle import np  # noqa: E402

TOLERANCE = {"file": 1e-3, "bf16": 3e-2}  # two last places of bfloat16 are 1.6e-2
QUANTISED = re.compile(r"^(Q|DequantizeLinear|DynamicQuantize)|Integer(ToFloat)?$")


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--archive", type=pathlib.Path, help="architectures.tar.xz; default: that of the test material")
    p.add_argument("--dir", type=pathlib.Path, help="a folder with the archive unpacked, instead")
    p.add_argument("--only", default="*", help="a pattern of names")
    p.add_argument("--networks", action="store_true", help="no architectures")
    p.add_argument("--precision", choices=["file", "bf16"], help="of all; default: bf16 where the file is not quantised")
    p.add_argument("--data", action="store_true")
    p.add_argument("--seconds", type=int, default=120, help="of the processor, limit of one network")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE")
    p.set_defaults(handful=False)
    return p.parse_args()


def precision_of(path):
    nodes = oracle.onnx.load(str(path), load_external_data=False).graph.node
    return "file" if any(QUANTISED.search(n.op_type) for n in nodes) else "bf16"


def network_feed(case, path):
    other = case.options.get("oracle", "")
    options = {other: True} if other in ("float32", "plain", "spread") else {}
    stand_in = compare.network_path(other) if other.endswith(".onnx") else path
    return compare.make_inputs(case, oracle.ort_session(stand_in, **options), 0)


def network_jobs(o):
    """(name, function that makes the file, function that makes its inputs) of every network, the first case of each."""
    seen = set()
    for case in compare.read_cases():
        name = case.network.removesuffix(".onnx")
        if name in seen or not fnmatch.fnmatchcase(name, o.only):
            continue
        seen.add(name)
        path = compare.network_path(case.network)
        yield name, lambda folder, path=path: path, lambda path, case=case: network_feed(case, path)


def architecture_jobs(o):
    try:
        found = [] if o.networks else architectures.files(o)
    except SystemExit:  # no name fits
        found = []
    for path in found:
        yield (
            path.stem,
            lambda folder, path=path: architectures.fill(o, path, folder),
            lambda filled, path=path: architectures.make_feed(path, architectures.SIZES),
        )


def run_card(o, path, precision, feed, folder):
    """(report, why there is none, processor seconds)."""
    command = ["nice", oracle.sumi_program(), "card", path, "--json", "--precision", precision]
    command += ["--data"] if o.data else []
    for i, (name, array) in enumerate(feed.items()):
        file = pathlib.Path(folder) / f"input{i}.npy"
        np.save(file, array)
        command += ["--input", f"{name}={file}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [str(c) for c in command],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (o.seconds, o.seconds)),
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return None, f"hangs: more than {o.seconds} s", spent
    if done.returncode < 0:
        return None, f"crashes: signal {-done.returncode}", spent
    if done.returncode:
        return None, "refused: " + (done.stderr.strip().splitlines() or ["nothing is said"])[0], spent
    return json.loads(done.stdout), "", spent


def host_reasons(layers):
    """Reason -> operator -> how many nodes."""
    reasons = collections.defaultdict(collections.Counter)
    for layer in layers:
        if layer["device"] == "host":
            reasons[layer["why"].split(": ", 1)[-1]][layer["op"]] += 1
    return reasons


def faults_of(o, row):
    if row["hazards"]:
        yield f"{row['hazards']:.0f} hazards"
    allowed = TOLERANCE[row["precision"]] * (row.get("largest_output") or np.inf)  # integers: chosen or encoded from numbers
    if o.data and not row["largest_difference"] <= allowed:
        yield f"error {row['largest_difference']:.3g} of {row['largest_output']:.3g}"


def examine(o, name, make_file, make_feed):
    row = {"name": name, "failed": ""}
    with tempfile.TemporaryDirectory(prefix="card-", dir=oracle.work_folder()) as folder:
        try:
            path = make_file(folder)
            feed = make_feed(path)
            row["precision"] = o.precision or precision_of(path)
        except Exception as error:  # one network's trouble is not the others'
            return row | {"failed": f"no inputs: {type(error).__name__}: {error}"}
        report, row["failed"], row["process_s"] = run_card(o, path, row["precision"], feed, folder)
        if not report:
            return row
        if o.data:
            want = oracle.sumi_run(path, feed)
            finite = [np.abs(x[np.isfinite(x)]) for x in want.values() if x is not None and x.dtype.kind == "f"]
            row["largest_output"] = max([float(x.max()) for x in finite if x.size], default=0)
    row |= {k: v for k, v in report.items() if not isinstance(v, (list, dict))}
    row["reasons"] = host_reasons(report["layers"])
    row["failed"] = "; ".join(faults_of(o, row))
    return row


HEAD = f"{'network':48}{'prec':5}{'compile':>9}{'cpu s':>7}{'card':>6}{'host':>6}{'host MACs':>10}{'progs':>6}{'a second':>11}"


def show(row):
    words = f"{row['name'][:47]:48}{row.get('precision', ''):5}"
    if "compile_ms" in row:
        rate = row["throughput_per_s"]
        words += f"{row['compile_ms']:7.0f}ms{row['process_s']:7.2f}{row['card_nodes']:6.0f}{row['host_nodes']:6.0f}"
        words += f"{100 * row['host_share']:8.2f} %{row['programs']:6.0f}{rate if rate is not None else 0:11.1f}"
    if row.get("largest_output"):
        words += f"  {row['largest_difference'] / row['largest_output']:.1e}"
    print(f"{words}  {row['failed']}", flush=True)


def show_reasons(rows):
    reasons = collections.defaultdict(collections.Counter)
    networks = collections.defaultdict(set)
    for row in rows:
        for why, operators in row.get("reasons", {}).items():
            reasons[why].update(operators)
            networks[why].add(row["name"])
    for why, operators in sorted(reasons.items(), key=lambda r: -r[1].total()):
        few = ", ".join(f"{op} {n}" for op, n in operators.most_common(8))
        print(f"{operators.total():6} nodes in {len(networks[why])} networks: {why[:120]}: {few}")


def totals(rows):
    done = [r for r in rows if "compile_ms" in r]
    whole = sum(not r["host_share"] for r in done)
    card, host = (sum(r[k] for r in done) for k in ("card_nodes", "host_nodes"))
    return (
        f"{sum(not r['failed'] for r in rows)} of {len(rows)} networks compile for the card; {whole} with all MACs there, "
        f"{card:.0f} nodes on the card, {host:.0f} on the host; compiled in {sum(r['compile_ms'] for r in done) / 1e3:.1f} s"
        f", at most {max((r['compile_ms'] for r in done), default=0):.0f} ms"
    )


def main():
    o = options()
    rows = []
    print(HEAD)
    for jobs in (network_jobs(o), architecture_jobs(o)):
        for job in jobs:
            rows.append(examine(o, *job))
            show(rows[-1])
            if o.json:
                o.json.write_text(json.dumps(rows, indent=1))
    show_reasons(rows)
    if not rows:
        raise SystemExit(f"no network is called {o.only}")
    print(totals(rows))
    sys.exit(1 if any(r["failed"] for r in rows) else 0)


if __name__ == "__main__":
    main()
