"""Checks that every #include goes down or stays in its room, by the floors of tools/layers.txt."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def read_floors():
    floors = {}
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            floor, room = line.split()
            floors[room] = int(floor)
    return floors


def why_wrong(path, quoted, target, floors):
    """None, or what is wrong with an #include of target in path."""
    parts = path.parts
    if parts[0] == "tests":
        return None  # the harness looks inside
    if parts[0] != "src":
        if quoted and target.split("/")[0] in floors and (ROOT / "src" / target).exists():
            return "outside src/ only <sumi/...>"
        return None
    if not quoted:
        return None
    room = parts[1]
    if room not in floors:
        return f"room {room} has no floor in tools/layers.txt"
    if not (ROOT / "src" / target).exists():
        return "is not written from src/"
    other = target.split("/")[0]
    if other == room or floors.get(other, 99) < floors[room]:
        return None
    return f"goes from floor {floors[room]} ({room}) to floor {floors.get(other, '?')} ({other})"


def main():
    floors = read_floors()
    files = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.def"], cwd=ROOT, capture_output=True, text=True, check=True)
    wrong = 0
    names = files.stdout.split()
    for name in names:
        path = pathlib.Path(name)
        if not (ROOT / path).exists():
            continue
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            reason = match and why_wrong(path, match[1] == '"', match[2], floors)
            if reason:
                print(f"{name}:{number}: #include {match[2]}: {reason}")
                wrong += 1
    print(f"{len(names)} files, {wrong} includes that go up")
    sys.exit(1 if wrong or not names else 0)


if __name__ == "__main__":
    main()
