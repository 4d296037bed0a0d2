#!/usr/bin/env python3
"""Holds the text form of graphs against the onnx package: what Sumi prints, onnx.parser reads as the same graph, and what
onnx.printer makes of that, Sumi reads and prints as it did before.

usage: text_cases.py PROGRAM       (made of tests/graph/text_cases.c; the graphs are the operators' cases)"""
import math
import re
import subprocess
import sys

import onnx.parser
import onnx.printer
from onnx import AttributeProto as A

END = "\x1e"


def records(program, mode, text=""):
    out = subprocess.run([program, mode], input=text.encode(), capture_output=True, check=True).stdout.decode()
    return out.split(END)[:-1]


def sumi_nodes(text):
    """The nodes of a graph without bodies, read from its lines: (outputs, operator, attribute names, inputs)."""
    for line in text.splitlines():
        m = re.match(r"^  (?:\[[^\]]*\] )?(.*?) = ([\w.]+)(?::v\d+)?( <.*>)? \((.*)\)$", line)
        if m and not re.match(r"^\w+\[?.*\{", m[4]):
            names = re.findall(r"(?:<|, )(\w+)(?:: \w+)? = ", m[3] or "")
            yield split(m[1]), m[2], names, split(m[4])


def split(names):
    return [n.strip('"') for n in names.split(", ")] if names else []


def numbers(attr):
    return {A.INT: [attr.i], A.FLOAT: [attr.f], A.INTS: list(attr.ints), A.FLOATS: list(attr.floats)}.get(attr.type)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def check_attrs(text, model):
    """Numbers of attributes as they stand in the text."""
    for node in model.graph.node:
        for attr in node.attribute:
            want = numbers(attr)
            m = re.search(rf"\b{attr.name}(?:: \w+)? = \[?([-\w., +]*)\]?[,>]", text)
            if want is None or not m or len(model.graph.node) > 1:
                continue
            got = [float(x) for x in re.split(r", (?![a-z_]+ =)", m[1].split("]")[0]) if re.match(r"^-?[\dain]", x)][: len(want)]
            if len(got) != len(want) or not all(same(g, w) or math.isclose(g, w, rel_tol=1e-6) for g, w in zip(got, want)):
                return f"attribute {attr.name}: {got}, onnx reads {want}"
    return None


def check(text):
    model = onnx.parser.parse_model(text)
    if "{\n" in text and "graph = " not in text:
        want = list(sumi_nodes(text))
        got = [(list(n.output), (n.domain + "." if n.domain else "") + n.op_type, [a.name for a in n.attribute], list(n.input)) for n in model.graph.node]
        if want != got:
            return model, f"nodes differ: {want}, onnx reads {got}"
        return model, check_attrs(text, model)
    return model, None


def main():
    program = sys.argv[1]
    cases = records(program, "cases")
    failed, back = 0, []
    for text in cases:
        try:
            model, why = check(text)
        except onnx.parser.ParseError as e:
            model, why = None, f"onnx.parser: {e}"
        if why:
            print(f"{text}\n  {why}")
            failed += 1
        elif "..." not in (again := onnx.printer.to_text(model)):  # it has no text for packed and complex tensors
            back.append((text, again))
    printed = records(program, "print", "".join(again + END for _, again in back))
    for (text, again), got in zip(back, printed):
        if got != text:
            print(f"printed by onnx:\n{again}\nread as:\n{got}\nnot:\n{text}")
            failed += 1
    print(f"{len(cases)} graphs, {len(back)} read back from onnx.printer, {failed} differ")
    return failed > 0 or len(back) < len(cases) // 2


if __name__ == "__main__":
    sys.exit(main())
