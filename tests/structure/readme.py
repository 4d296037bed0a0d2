"""Checks the totals that README.md states against the program's own table and the conformance tests: readme.py"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def stated(pattern):
    """The numbers that the pattern's groups find in README.md; it has to be there once."""
    found = re.findall(pattern, README)
    if len(found) != 1:
        return f"README.md says {len(found)} times '{pattern}'"
    numbers = found[0] if isinstance(found[0], tuple) else (found[0],)
    return [int(n.replace(",", "")) for n in numbers]


def operators():
    program = os.environ.get("SUMI_PROGRAM") or str(ROOT / "build/sumi")
    done = subprocess.run([program, "ops", "--json"], capture_output=True, text=True, check=True)
    return [row for row in json.loads(done.stdout)["operators"] if row["domain"] != "sumi"]


def passing():
    lines = (ROOT / "tests/conformance/expected.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {(mode, device): int(n) for mode, device, n in rows}


def checks():
    rows = operators()
    count = collections.Counter(row["domain"] for row in rows)
    versions = [v for row in rows if row["domain"] == "ai.onnx" for v in row["versions"]]
    preview = sum(n for domain, n in count.items() if domain.startswith("ai.onnx.preview"))
    extensions = count["com.microsoft.extensions"]
    yield r"operator sets 1 to (\d+)", [max(versions)]
    yield r"([\d,]+) operators: ", [sum(count.values()) - count["ai.onnx.contrib"]]  # another name of the extensions
    yield r"(\d+) of `ai.onnx`", [count["ai.onnx"]]
    yield r"(\d+) of `ai.onnx.ml`", [count["ai.onnx.ml"]]
    yield r"(\d+) of the preview domains", [preview]
    yield r"(\d+) of `com.microsoft`", [count["com.microsoft"] + extensions]
    yield r"(\d+) have a fast path on device `cpu`", [sum(row["on_cpu"] for row in rows)]
    given, symbolic, constant, sparse = (
        min(n for (mode, _), n in passing().items() if mode == wanted)
        for wanted in ("given", "symbolic", "constant", "sparse")
    )
    yield r"([\d,]+) of 1,914 as given, ([\d,]+) with", [given, symbolic]
    yield r"shapes, ([\d,]+) with all inputs but the first constant, ([\d,]+) of the", [constant, sparse]


def main():
    wrong = 0
    for pattern, right in checks():
        found = stated(pattern)
        if found != right:
            print(f"README.md: '{pattern}' is {found}, not {right}")
            wrong += 1
    print(f"{wrong} totals of README.md are wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
