"""Runs sumi check on the ONNX backend tests, on devices ref and cpu, and as given on the simulated card: conformance.py MODE

MODE is given, or one of the changed copies that modes.py makes: symbolic, constant, sparse. In mode sparse, device ref is
held against another engine and device cpu against ref.

No case may fail but those of known.txt: a case is right, or refused with a reason. And none that passed before may be
refused: expected.txt lists how many pass at least in each mode on each device. A case may be judged as a
draw of random numbers only where random.txt lists it."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = pathlib.Path(os.environ.get("SUMI_TEST_WORK") or ROOT / "build/test-work")


def missing(why):
    required = os.environ.get("SUMI_REQUIRE_SHARED") == "1"
    print(("missing: " if required else "skipped: ") + why)
    sys.exit(1 if required else 77)


def unpack():
    shared = pathlib.Path(os.environ.get("SUMI_SHARED") or ROOT.parent / "shared").resolve()
    archives = sorted((shared / "onnx-backend-tests").glob("*.tar.xz"))
    if not archives:
        missing(f"there are no backend tests at {shared} (SUMI_SHARED)")
    folder = WORK / archives[0].name.removesuffix(".tar.xz")
    if not folder.exists():
        part = WORK / f"{folder.name}.{os.getpid()}"
        part.mkdir(parents=True)
        with tarfile.open(archives[0]) as tar:
            tar.extractall(part, filter="data")
        try:
            part.rename(folder)
        except OSError:
            pass  # another test was faster
    return folder


def cases_of(mode):
    """The folder with a mode's cases."""
    if mode == "given":
        return unpack()
    try:
        import modes
    except ImportError as error:
        missing(f"the oracles are not installed ({error})")
    return modes.folder_of(mode, unpack(), WORK)


def rows(name):
    lines = (HERE / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def floor_of(mode, device):
    """How many cases pass at least; None: the table does not say."""
    return next((int(n) for m, d, n in rows("expected.txt") if (m, d) == (mode, device)), None)


def check(mode, folder, device):
    """One device; prints what did not pass. True where nothing failed and nothing that passed is refused."""
    program = os.environ.get("SUMI_PROGRAM") or str(ROOT / "build/sumi")
    against = ["--against", "ref"] if (mode, device) == ("sparse", "cpu") else []
    command = [program, "check", str(folder), "--json", "--device", device, *against]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        print(done.stderr)
        return False
    report = json.loads(done.stdout)
    known, random = ({row[0] for row in rows(name)} for name in ("known.txt", "random.txt"))
    reasons = collections.Counter()
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
    floor = floor_of(mode, device)
    counts = ", ".join(f"{report[verdict]} {verdict}" for verdict in ("passed", "failed", "refused", "drawn"))
    print(f"{mode} on {device}: {counts}; at least {floor} pass", flush=True)
    return not failed and floor is not None and report["passed"] >= floor


def main():
    mode = sys.argv[1]
    folder = cases_of(mode)
    devices = ("ref", "cpu") + (("antoum",) if mode == "given" else ())
    right = [check(mode, folder, device) for device in devices]
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
