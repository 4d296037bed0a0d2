"""Published architectures with seeded weights beside ONNX Runtime: a row each, the last line counts.

    make architectures                                       all, with times and the reference path
    make architectures ARCHITECTURES="--only '*swin*'"       narrows it
    python tests/networks/architectures.py --only 'timm_resnet*' --time --rounds 5
    python tests/networks/architectures.py --dynamic --only 'hf_*'
    python tests/networks/architectures.py --reference      what is left on the reference path, with networks.txt

The files come without their large tensors; fill.py beside the archive puts numbers drawn from the tensors' names there.
Images are normal(0, 1), tokens 3..899; open dimensions are 1 x 128 tokens (64 in the decoder) and one image.

error: the largest difference over the output's largest magnitude, at most TOLERANCE; sumi, ort: medians of single runs
in ms, one thread, engines alternating; ratio: sumi / ort, the median over the rounds; least: the same of the shortest
single runs, for machines that are not quiet; ref: share of the time spent in steps that call an operator's reference
function, and below the row every operator with more than SHARE of it.
chaotic: rounding alone (no optimisations; an input longer by 1e-6) moves the outputs of ONNX Runtime by more than a tenth
of TOLERANCE, so that no engine can be held to it as a whole. Every part between two values that all of the rest depends on
starts from ONNX Runtime's values and is held to TOLERANCE, the whole to WILD times ONNX Runtime's distance from itself.
--dynamic: outputs at several batch sizes and lengths in one session, and its peak memory over alternating shapes.
--reference: only the reference path, also in the networks of networks.txt; at the end every operator on it: in how many
networks, its largest share and its longest time of one run."""

import argparse
import collections
import fnmatch
import functools
import json
import pathlib
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "bench"), str(HERE)]
import compare  # noqa: E402
import oracle  # noqa: E402
from measure import Bench, Failure  # noqa: E402
from oracle import np  # noqa: E402

TOLERANCE = 1e-3
WILD = 5  # as far may a chaotic network's outputs be from ONNX Runtime's, in distances of ONNX Runtime from itself
SLOW = 1.5  # a network that takes so many times as long as in ONNX Runtime is one to look at
SHARE = 0.02
SIZES = {"batch": 1, "sequence": 128, "target": 64}
DYNAMIC = [{"batch": b, "sequence": s, "target": t} for b in (1, 2, 3) for s, t in ((32, 7), (64, 16), (96, 33))]
GROWTH_BYTES = 16 << 20  # what the allocator of the C library may keep more than after every shape once
# One of a kind: convolutions, squeeze and excitation, windows, attention, 8 bits, three dimensions, a decoder.
HANDFUL = [
    "hf_dynamic_electra", "hf_dynamic_gemma2", "timm_ghostnet_050", "timm_levit_384_s8", "timm_starnet_s1",
    "torchvision_dynamic_shufflenet_v2_x1_0", "torchvision_quantized_shufflenet_v2_x0_5",
]  # fmt: skip


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--archive", type=pathlib.Path, help="architectures.tar.xz; default: that of the test material")
    p.add_argument("--dir", type=pathlib.Path, help="a folder with the archive unpacked, instead")
    p.add_argument("--only", default="*", help="a pattern of names")
    p.add_argument("--handful", action="store_true", help="a few fixed ones")
    p.add_argument("--time", action="store_true")
    p.add_argument("--explain", action="store_true")
    p.add_argument("--dynamic", action="store_true", help="the architectures with open dimensions, at several sizes")
    p.add_argument("--reference", action="store_true", help="what is left on the reference path, nothing else")
    p.add_argument("--alternate", type=int, default=1000, help="runs of --dynamic over which memory must not grow")
    p.add_argument("--rounds", type=int, default=3, help="of --time")
    p.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    p.add_argument("--device", default="cpu")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE")
    p.set_defaults(threads=1, isa=None, sumi=oracle.sumi_program())
    return p.parse_args()


def files(o):
    """The files to look at, unpacked."""
    if not o.dir:
        archive = o.archive or oracle.shared() / "architectures" / "architectures.tar.xz"
        if not archive.exists():
            oracle.skip(f"there are no architectures at {archive}")
        o.dir = oracle.work_folder() / "architectures"
        if not o.dir.exists():
            with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as part, tarfile.open(archive) as tar:
                tar.extractall(part, filter="data")
                tops = list(pathlib.Path(part).iterdir())
                (tops[0] if len(tops) == 1 and tops[0].is_dir() else pathlib.Path(part)).rename(o.dir)
    found = [f for f in sorted(o.dir.rglob("*.onnx")) if fnmatch.fnmatchcase(f.stem, o.only)]
    found = [f for f in found if not o.handful or f.stem in HANDFUL]
    if not found and not o.reference:
        raise SystemExit(f"no architecture in {o.dir} is called {o.only}")
    return found


def ports(path):
    """Of every input that is no weight: name, shape with names in it, element type."""
    graph = oracle.onnx.load(str(path), load_external_data=False).graph
    weights = {t.name for t in graph.initializer}
    for port in (p for p in graph.input if p.name not in weights):
        t = port.type.tensor_type
        dtype = oracle.helper.tensor_dtype_to_np_dtype(t.elem_type)
        yield port.name, [d.dim_value or d.dim_param for d in t.shape.dim], dtype


def is_dynamic(path):
    return any(isinstance(d, str) for _, shape, _ in ports(path) for d in shape)


def make_feed(path, sizes):
    rng, feed = np.random.default_rng(zlib.crc32(path.stem.encode())), {}
    for name, shape, dtype in ports(path):
        values = "" if dtype.kind == "f" else "1..1" if "mask" in name else "3..899"
        feed[name] = compare.make_values(values, [sizes.get(d, d) for d in shape], dtype, rng)
    return feed


def fill(o, path, folder):
    """A copy with numbers in its large tensors. Hundreds of MB: the caller deletes it."""
    filled = pathlib.Path(folder) / path.name
    script = next((f for f in (o.dir / "fill.py", oracle.shared() / "architectures" / "fill.py") if f.exists()), None)
    if not script:
        oracle.skip("there is no fill.py beside the architectures")
    subprocess.run([sys.executable, script, path, filled], check=True)
    return filled


def narrow_places(graph):
    """The values that all of the graph behind them depends on alone, beside constants: where it can be cut."""
    constant = {t.name for t in graph.initializer}
    last = {name: i for i, n in enumerate(graph.node) for name in n.input}
    last |= {o.name: len(graph.node) for o in graph.output}
    live, places = {p.name for p in graph.input} - constant, []
    for i, node in enumerate(graph.node):
        if all(not name or name in constant for name in node.input):
            constant |= set(node.output)
            continue
        live = {name for name in live | set(node.output) if last.get(name, -1) > i}
        if len(live) == 1 and live <= set(node.output) and not live & {o.name for o in graph.output}:
            places += live
    return places


def match_rows(case, got, want):
    """compare_all() for detections, boxes, scores and labels by row: where scores are equal but for rounding, engines put rows
    in another order. Every row of want is paired with the nearest one of got that has the same integers."""
    names = list(want)
    n = len(want[names[0]])
    if any(got[k].shape != want[k].shape or len(want[k]) != n for k in names):
        return np.inf, "other shapes"
    whole = [k for k in names if want[k].dtype.kind not in "fc"]
    free, worst = np.ones(n, bool), 0.0
    for i in range(n):
        alike = free.copy()
        for k in whole:
            alike &= (got[k] == want[k][i]).reshape(n, -1).all(1)
        apart = np.zeros(n)
        for k in set(names) - set(whole):
            largest = max(float(np.abs(want[k]).max()), 1e-30)
            apart = np.maximum(apart, np.abs(got[k] - want[k][i]).reshape(n, -1).max(1) / largest)
        if not alike.any():
            return np.inf, f"row {i} of {n} has no partner"
        j = int(np.argmin(np.where(alike, apart, np.inf)))
        free[j] = False
        worst = max(worst, float(apart[j]))
    return worst / float(case.options["tol"]), f"{worst:.1e} of {n} rows, some in another order"


def is_detections(want):
    """Outputs of one length of which some are integers: a list of rows."""
    lengths = {a.shape[0] if a.ndim else 0 for a in want.values()}
    return len(want) > 1 and len(lengths) == 1 and lengths != {0} and any(a.dtype.kind in "iu" for a in want.values())


def check_parts(o, filled, feed, folder):
    """(figure, sentence) of the worst part of the network, each part starting from ONNX Runtime's values."""
    model = oracle.onnx.load(str(filled))
    places, outputs = narrow_places(model.graph), [v.name for v in model.graph.output]
    model.graph.output.extend(oracle.onnx.ValueInfoProto(name=name) for name in places)
    parts = pathlib.Path(folder) / "parts.onnx"
    oracle.onnx.save(model, str(parts))
    want = oracle.ort_run(oracle.ort_session(parts), feed)
    places = [p for p in places if want[p].dtype.kind == "f"]
    given = compare.cut(model, want, set(places))
    oracle.onnx.save(model, str(parts))
    got = oracle.sumi_run(parts, feed | given, o.device)
    case, ends = compare.Case(f"parts tol={TOLERANCE}"), {k: want.pop(k) for k in outputs}
    figure, sentence = compare.compare_all(case, got, want)
    judged = compare.compare_all(case, got, ends)
    if judged[0] == np.inf and is_detections(ends):
        judged = match_rows(case, got, ends)
    figure, sentence = max((figure, sentence), judged)
    return figure, f"{len(places) + 1} parts: {sentence}"


def own_noise(filled, feed, want):
    """How far ONNX Runtime's outputs are from its own without optimisations and for inputs longer by a few roundings."""
    nudged = {n: x * np.float32(1 + 1e-6) if x.dtype.kind == "f" else x for n, x in feed.items()}
    others = [oracle.ort_run(oracle.ort_session(filled, plain=True), feed)]
    others.append(oracle.ort_run(oracle.ort_session(filled), nudged))
    return max(compare.compare_all(compare.Case("noise tol=1"), other, want)[0] for other in others)


def check(o, bench, path, filled):
    """(figure, sentence). Where rounding alone moves ONNX Runtime's own outputs by a tenth of what is allowed or more, seeded
    weights amplify it too much for the whole to be compared: then the parts are, and the whole may differ by WILD times
    what ONNX Runtime differs from itself."""
    feed = make_feed(path, SIZES)
    bench.feed(feed)
    want = bench.reference(filled)
    case = compare.Case(f"{path.stem} tol={TOLERANCE}")
    figure, sentence = compare.compare_all(case, oracle.sumi_run(filled, feed, o.device), want)
    if 1 < figure < np.inf and (noise := own_noise(filled, feed, want)) > TOLERANCE / 10:
        whole = figure * TOLERANCE / (WILD * noise)
        figure, parts = check_parts(o, filled, feed, filled.parent)
        figure = max(figure, whole)
        sentence = f"{parts} (chaotic: whole {sentence}, ONNX Runtime from itself {noise:.1e})"
    return figure, sentence


def measure(o, bench, filled):
    rounds = [(bench.sumi_bench(filled), bench.peer("onnxruntime", filled)) for _ in range(o.rounds)]
    return {
        "sumi_ms": statistics.median(s["median_ms"] for s, _ in rounds),
        "ort_ms": statistics.median(t["median_ms"] for _, t in rounds),
        "ratio": statistics.median(s["median_ms"] / t["median_ms"] for s, t in rounds),
        "ratio_of_least": min(s["min_ms"] for s, _ in rounds) / min(t["min_ms"] for _, t in rounds),
        "prepare_ms": rounds[0][0]["prepare_ms"],
        "peak_bytes": rounds[0][0]["peak_rss_bytes"],
    }


def explain(bench, filled):
    """The share of steps that call reference functions, and of every operator among them."""
    steps = bench.sumi_explain(filled, 3)["steps"]
    total = sum(s["measured_us"] or 0 for s in steps) or 1
    spent, kernels = collections.Counter(), collections.Counter()
    for s in steps:
        kernels[f"{s['op']} {s['kernel']}"] += (s["measured_us"] or 0) / total
        if s["kernel"] == "ref":
            spent[s["op"]] += s["measured_us"] or 0
    return {
        "ref_share": sum(spent.values()) / total,
        "ref_operators": {op: us / total for op, us in spent.most_common() if us > SHARE * total},
        "ref_us": dict(spent),
        "total_us": total,
        "kernels": dict(kernels.most_common(12)),
    }


def check_dynamic(o, path, filled, folder):
    """Every size of DYNAMIC in one session, in a process of its own, then over and over."""
    session = oracle.ort_session(filled)
    worst, sentence, feeds = 0.0, "", []
    wanted = []
    for i, sizes in enumerate(DYNAMIC):
        feed = make_feed(path, sizes)
        try:
            wanted.append(oracle.ort_run(session, feed))
        except Exception as error:  # a length that the architecture cannot take
            print(f"  {path.stem}: ONNX Runtime refuses {sizes}: {str(error).splitlines()[0][:120]}")
            continue
        feeds.append(pathlib.Path(folder) / f"feed{i}.npz")
        np.savez(feeds[-1], **feed)
    if len(feeds) < 3:
        return {"figure": np.inf, "sentence": f"ONNX Runtime takes {len(feeds)} of {len(DYNAMIC)} sizes"}
    del session
    command = [sys.executable, HERE / "shapes.py", filled, str(o.alternate), *feeds]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        return {"figure": np.inf, "sentence": (done.stderr.strip().splitlines() or ["nothing is said"])[-1]}
    memory = json.loads(done.stdout)
    case = compare.Case(f"{path.stem} tol={TOLERANCE}")
    for feed, want in zip(feeds, wanted):
        figure, text = compare.compare_all(case, dict(np.load(feed.with_suffix(".out.npz"))), want)
        if figure >= worst:
            worst, sentence = figure, text
    grown = memory["after_bytes"] - memory["before_bytes"]
    if not memory["same"] or grown > GROWTH_BYTES:
        worst = np.inf
    sentence += (
        f", {len(feeds)} shapes, peak {memory['before_bytes'] >> 20} MiB, after {o.alternate} alternating runs "
        f"{memory['after_bytes'] >> 20} MiB{'' if memory['same'] else ', which gave other bits'}"
    )
    return {"figure": worst, "sentence": sentence} | memory


def explain_network(bench, case):
    """explain() of a line of networks.txt."""
    row = {"name": case.network, "figure": np.inf}
    try:
        path = compare.network_path(case.network)
        bench.feed(compare.make_inputs(case, oracle.ort_session(path), 0))
        return row | explain(bench, path) | {"figure": 0.0}
    except (oracle.Refused, Failure, subprocess.SubprocessError) as error:
        return row | {"sentence": f"{type(error).__name__}: {error}"}


def examine(o, bench, path):
    row = {"name": path.stem, "figure": np.inf}
    with tempfile.TemporaryDirectory(prefix="arch-", dir=oracle.work_folder()) as folder:
        try:
            filled = fill(o, path, folder)
            if o.dynamic:
                return row | check_dynamic(o, path, filled, folder)
            if o.reference:
                bench.feed(make_feed(path, SIZES))
                return row | explain(bench, filled) | {"figure": 0.0}
            row["figure"], row["sentence"] = check(o, bench, path, filled)
            if o.time:
                row |= measure(o, bench, filled)
            if o.explain:
                row |= explain(bench, filled)
        except (oracle.Refused, Failure, subprocess.SubprocessError) as error:
            row["sentence"] = f"{type(error).__name__}: {error}"
    return row


def show(row):
    verdict = "agrees" if row["figure"] <= 1 else "DIFFERS"
    if "sentence" not in row:
        verdict = ""
    words = [f"{verdict:8}{row['name']:46}{row.get('sentence', ''):8}"]
    if "ratio" in row:
        words.append(f"sumi {row['sumi_ms']:8.2f}  ort {row['ort_ms']:8.2f}  ratio {row['ratio']:5.2f} least {row['ratio_of_least']:5.2f}")
    if "ref_share" in row:
        words.append(f"ref {100 * row['ref_share']:5.1f} %")
        words += [f"\n{'':12}{op}: {100 * x:.1f} % on the reference path" for op, x in row["ref_operators"].items()]
    print(" ".join(words), flush=True)


def show_reference(rows):
    """Every operator on the reference path of any network, the largest share first."""
    found = collections.defaultdict(list)
    for row in rows:
        for op, us in row.get("ref_us", {}).items():
            found[op].append((us / row["total_us"], us, row["name"]))
    for op, places in sorted(found.items(), key=lambda item: -max(item[1])[0]):
        share, us, name = max(places)
        longest = max(us for _, us, _ in places)
        print(f"{op:28}{len(places):4} networks, at most {share:6.2%} ({us:.1f} us of {name}), {longest:.1f} us")


def totals(rows):
    judged = [r for r in rows if "sentence" in r]
    words = [f"{sum(r['figure'] <= 1 for r in judged)} of {len(judged)} architectures agree"] if judged else []
    ratios = [r["ratio"] for r in rows if "ratio" in r]
    if ratios:
        near = sum(x <= SLOW for x in ratios) / len(ratios)
        words.append(
            f"{100 * near:.1f} % of {len(ratios)} within {SLOW} times ONNX Runtime's time, median {statistics.median(ratios):.2f}"
        )
    explained = [r for r in rows if "ref_share" in r]
    if explained:
        some = sum(bool(r["ref_operators"]) for r in explained)
        words.append(f"{some} of {len(explained)} networks with an operator above {SHARE:.0%} on the reference path")
    return "; ".join(words)


def main():
    o = options()
    found = files(o)
    if o.dynamic:
        found = [f for f in found if is_dynamic(f)]
    todo = [functools.partial(examine, o, path=path) for path in found]
    if o.reference:
        cases = [c for c in compare.read_cases() if fnmatch.fnmatchcase(pathlib.Path(c.network).stem, o.only)]
        todo += [functools.partial(explain_network, case=case) for case in cases]
    rows = []
    with Bench(o) as bench:
        for row_of in todo:
            rows.append(row_of(bench=bench))
            show(rows[-1])
            if o.json:
                o.json.write_text(json.dumps(rows, indent=1))
    if o.reference:
        show_reference(rows)
    print(totals(rows))
    sys.exit(1 if any(r["figure"] > 1 for r in rows) else 0)


if __name__ == "__main__":
    main()
