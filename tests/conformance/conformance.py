"""Runs sumi check on one kind of the ONNX backend tests: conformance.py KIND

No case may fail but those of known.txt: a case is right, or refused with a reason. And none that passed before may be refused: expected.txt
lists how many of each kind pass at least. A case may be judged as a draw of random numbers only where random.txt lists it."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def missing(why):
    required = os.environ.get("SUMI_REQUIRE_SHARED") == "1"
    print(("missing: " if required else "skipped: ") + why)
    sys.exit(1 if required else 77)


def unpack():
    shared = pathlib.Path(os.environ.get("SUMI_SHARED") or ROOT.parent / "shared").resolve()
    archives = sorted((shared / "onnx-backend-tests").glob("*.tar.xz"))
    if not archives:
        missing(f"there are no backend tests at {shared} (SUMI_SHARED)")
    work = pathlib.Path(os.environ.get("SUMI_TEST_WORK") or ROOT / "build/test-work")
    folder = work / archives[0].name.removesuffix(".tar.xz")
    if not folder.exists():
        part = work / f"{folder.name}.{os.getpid()}"
        part.mkdir(parents=True)
        with tarfile.open(archives[0]) as tar:
            tar.extractall(part, filter="data")
        try:
            part.rename(folder)
        except OSError:
            pass  # another test was faster
    return folder


def floor_of(kind):
    for line in (HERE / "expected.txt").read_text().splitlines():
        if line and not line.startswith("#") and line.split()[0] == kind:
            return int(line.split()[1])
    return 1


def cases_of(name):
    """The cases that a file lists: known.txt, whose expected output is not the standard's result, with the reason of each;
    random.txt, whose outputs are drawn at random."""
    lines = (HERE / name).read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def main():
    kind = sys.argv[1]
    folder = next((p for p in sorted(unpack().rglob(kind)) if p.is_dir()), None)
    if folder is None:
        missing(f"there are no backend tests of kind {kind}")
    program = os.environ.get("SUMI_PROGRAM") or str(ROOT / "build/sumi")
    done = subprocess.run([program, "check", str(folder), "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        print(done.stderr)
        sys.exit(1)
    report = json.loads(done.stdout)
    reasons = collections.Counter()
    known, random = cases_of("known.txt"), cases_of("random.txt")
    failed = 0
    for case in report["cases"]:
        if case["verdict"] == "failed":
            failed += case["case"] not in known
            print(f"failed{' (known)' if case['case'] in known else ''} {case['case']}: {case['reason']}")
        if case["drawn"] and case["case"] not in random:
            failed += 1
            print(f"failed {case['case']}: it was judged as a draw, and random.txt does not list it")
        if case["verdict"] == "refused":
            reasons[case["reason"].split("\n")[0][:160]] += 1
    for reason, count in reasons.most_common(40):
        print(f"refused {count}: {reason}")
    floor = floor_of(kind)
    print(f"{kind}: {report['passed']} passed, {report['failed']} failed, {report['refused']} refused; at least {floor} pass")
    sys.exit(1 if failed or report["passed"] < floor else 0)


if __name__ == "__main__":
    main()
