"""Counts a ctest JUnit file: the slowest tests, what was skipped and what failed, then the closing line."""

import sys
import xml.etree.ElementTree as ElementTree

SLOWEST = 10


def main():
    try:
        cases = list(ElementTree.parse(sys.argv[1]).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"no test report: {error}")
        sys.exit(1)
    verdicts = {"passed": [], "failed": [], "skipped": []}
    for case in cases:
        status = case.get("status")
        verdict = {"run": "passed", "fail": "failed"}.get(status, "skipped")
        verdicts[verdict].append(case.get("name"))
    print("slowest:")
    for case in sorted(cases, key=lambda c: -float(c.get("time", 0)))[:SLOWEST]:
        print(f"  {float(case.get('time', 0)):7.1f} s  {case.get('name')}")
    for verdict in ("skipped", "failed"):
        for name in verdicts[verdict]:
            print(f"{verdict}: {name}")
    print(", ".join(f"{len(names)} {verdict}" for verdict, names in verdicts.items()))
    sys.exit(1 if verdicts["failed"] or not cases else 0)


if __name__ == "__main__":
    main()
