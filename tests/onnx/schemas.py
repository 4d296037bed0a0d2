"""Every operator of the standard, all its versions and element types, against the table of sumi ops: schemas.py

The oracle is the onnx package's own schemas. A port may take more than the standard says, never less."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")
# Of the program's own table: operators that the standard has dropped from its schemas, and the plain form of an
# operator that has left the standard's first version.
DROPPED = {"Affine", "Crop", "Debug", "ImageScaler", "ParametricSoftplus", "ScaledTanh"}
WITHOUT_SENSE = {"Col2Im": {"string"}}  # types that the schema lists and the operator has no meaning for: sums of strings
EXTRA = {("", "SimplifiedLayerNormalization"): {1}, ("", "LayerNormalization"): {1}}
NAMES = {"float": "float32", "double": "float64"}


def table():
    program = os.environ.get("SUMI_PROGRAM") or str(ROOT / "build/sumi")
    done = subprocess.run([program, "ops", "--json"], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["operators"]
    return {("" if row["domain"] == "ai.onnx" else row["domain"], row["name"]): row for row in rows}


def element(text):
    """The element type of "tensor(float)", "seq(tensor(float))", "map(int64, float)", "int64"."""
    inner = re.sub(r"^(?:(?:seq|optional|tensor|sparse_tensor)\()*", "", text).rstrip(")")
    inner = inner.removeprefix("map(").split(",")[-1].strip()
    inner = re.sub(r"^tensor\(", "", inner)
    return NAMES.get(inner, inner)


def ports_wrong(schema, given, wanted, what):
    """Sentences on ports that are missing or take fewer types than the schema's."""
    for i, port in enumerate(wanted):
        if i >= len(given) and given and given[-1]["variadic"]:
            continue  # bodies' values: any number of any type
        if i >= len(given):
            yield f"{schema.name} {schema.since_version}: {what} {i} '{port.name}' is not known"
            continue
        missing = {element(t) for t in port.types} - set(given[i]["types"]) - WITHOUT_SENSE.get(schema.name, set())
        if missing:
            yield f"{schema.name} {schema.since_version}: {what} '{port.name}' does not take {', '.join(sorted(missing))}"


def main():
    ours = table()
    schemas = collections.defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        schemas[schema.domain, schema.name][schema.since_version] = schema
    wrong = []
    for key, versions in sorted(schemas.items()):
        row = ours.get(key)
        if not row:
            wrong.append(f"{key} is not known")
            continue
        if set(row["versions"]) != set(versions) | EXTRA.get(key, set()):
            wrong.append(f"{key}: versions {row['versions']}, the standard has {sorted(versions)}")
        for schema in versions.values():
            wrong += ports_wrong(schema, row["inputs"], schema.inputs, "input")
            wrong += ports_wrong(schema, row["outputs"], schema.outputs, "output")
    strangers = {k for k in ours if k[0] in DOMAINS and k not in schemas and k not in EXTRA and k[1] not in DROPPED}
    wrong += [f"{key} is no operator of the standard" for key in sorted(strangers)]
    print("\n".join(wrong))
    print(f"{len(schemas)} operators, {sum(map(len, schemas.values()))} versions, {len(wrong)} differences")
    sys.exit(1 if wrong or not schemas else 0)


if __name__ == "__main__":
    main()
