"""The second table: multiply-adds per second of every kernel or layer beside the core's measured peak.

Also the predicted time beside the measured one. The figures come from `sumi explain --json` and
bench/peak.c."""

import collections
import json
import subprocess

LEVELS = ["portable", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx"]


def measured_peaks(program, isa):
    """precision -> 10^9 multiply-adds a second of one core with what isa allows, measured now."""
    all_levels = json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
    allowed = LEVELS[: LEVELS.index(isa) + 1] if isa in LEVELS else LEVELS[:1]
    best = {
        p: max((g for level, g in levels.items() if level in allowed), default=0)
        for p, levels in all_levels.items()
    }
    return {p: g for p, g in best.items() if g}


def precision_of(step):
    """What a step's products are computed in: a kernel's name says it, else the types of its inputs."""
    text = step["kernel"] + " " + step["shapes"].split("->")[0]
    if any(word in text for word in ("_i8", "_s8", "_u8", "int8")):
        return "int8"
    return (
        "bfloat16" if "bf16" in step["kernel"].replace("avx512bf16", "") or "bfloat16" in text else "float32"
    )


def figures(name, steps, peaks, threads):
    """One line of the table over some steps; None where there is nothing to say."""
    us, macs = sum(s["measured_us"] or 0 for s in steps), sum(s["macs"] for s in steps)
    predicted = [s for s in steps if s["predicted_us"] is not None]
    precision = precision_of(steps[0])
    rate = macs / us / 1e3 if us else None
    peak = peaks.get(precision)
    return {
        "name": name,
        "steps": len(steps),
        "precision": precision,
        "measured_us": us,
        "macs": macs,
        "dense_macs": sum(s["dense_macs"] for s in steps),
        "gmac_per_s": rate if macs else None,
        "peak_percent": 100 * rate / peak / threads if macs and rate and peak else None,
        "predicted_us": sum(s["predicted_us"] for s in predicted) if predicted else None,
        "predicted_over_measured": (
            sum(s["predicted_us"] for s in predicted)
            / max(sum(s["measured_us"] or 0 for s in predicted), 1e-9)
            if predicted
            else None
        ),
    }


def by_kernel(explained, peaks, threads):
    groups = collections.defaultdict(list)
    for step in explained["steps"]:
        groups[f"{step['op'].split('.')[-1]}  {step['kernel']}"].append(step)
    lines = [figures(name, steps, peaks, threads) for name, steps in groups.items()]
    return sorted(lines, key=lambda line: -line["measured_us"])


def by_layer(explained, peaks, threads):
    return [figures(f"{s['node']}  {s['kernel']}", [s], peaks, threads) for s in explained["steps"]]


def number(x, form):
    return format(x, form) if x is not None else "-"


def show(title, lines):
    total = sum(line["measured_us"] for line in lines)
    form = "{:64} {:>5} {:>10} {:>5} {:>8} {:>6} {:>18}"
    print(f"\n{title}: {total / 1e3:.3f} ms in {sum(line['steps'] for line in lines)} steps")
    print(form.format("kernel", "steps", "us", "%", "GMAC/s", "% peak", "predicted/measured"))
    for line in lines:
        figures = [
            ("measured_us", ".1f"),
            ("share", ".1f"),
            ("gmac_per_s", ".1f"),
            ("peak_percent", ".1f"),
            ("predicted_over_measured", ".2f"),
        ]
        line["share"] = 100 * line["measured_us"] / max(total, 1e-9)
        print(form.format(line["name"][:64], line["steps"], *(number(line[k], f) for k, f in figures)))
