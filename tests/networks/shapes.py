"""One session over changing shapes, in a process of its own: shapes.py MODEL RUNS FEED.npz...

Runs every feed once, writes its outputs beside it as FEED.out.npz, then RUNS of them in turn. Prints a JSON object:
before_bytes and after_bytes, the process's peak when every shape had run once and at the end; same: whether the last run
of every feed gave the bits of its first."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "bench"), str(HERE.parent / "python")]
import numpy as np  # noqa: E402
from peer import resident  # noqa: E402
from session import Session  # noqa: E402


def main():
    model, runs, paths = sys.argv[1], int(sys.argv[2]), [pathlib.Path(p) for p in sys.argv[3:]]
    session = Session(model)
    feeds = [dict(np.load(p)) for p in paths]
    first = [session.run(f) for f in feeds]
    for path, outputs in zip(paths, first):
        np.savez(path.with_suffix(".out.npz"), **outputs)
    before = resident("VmHWM")
    for i in range(runs):
        session.run(feeds[i % len(feeds)])
    after = resident("VmHWM")
    last = [session.run(f) for f in feeds]
    same = all(a[n].tobytes() == b[n].tobytes() for a, b in zip(first, last) for n in a)
    session.close()
    print(json.dumps({"before_bytes": before, "after_bytes": after, "same": same}))


if __name__ == "__main__":
    main()
