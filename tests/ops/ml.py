"""Compares the ai.onnx.ml operators with ONNX Runtime on small random models: python ml.py [--seed S] [--share X] [KIND...]

Every kind makes models with onnx.helper from a seed, so that both engines see the same; a line per kind says how many agreed.
What ONNX Runtime leaves undefined or does against the standard is not made (KIND's comment says what)."""

import argparse
import pathlib
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import oracle  # noqa: E402
from oracle import helper, np, onnx, ort  # noqa: E402

FLOAT, DOUBLE, INT64, INT32, STRING = (getattr(onnx.TensorProto, t) for t in "FLOAT DOUBLE INT64 INT32 STRING".split())
POSTS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]
WORDS = ["", "a", "b", "blau", "grün", "x" * 40]


class Model:
    """One node, its inputs, and where the results may differ."""

    def __init__(self, op, inputs, outputs=(("y", FLOAT),), version=1, tolerance=2e-6, **attributes):
        self.inputs = inputs
        self.tolerance = tolerance
        node = helper.make_node(op, list(inputs), [n for n, _ in outputs], domain="ai.onnx.ml", **attributes)
        ports = []
        for name, array in inputs.items():
            dtype = STRING if array.dtype.kind == "U" else helper.np_dtype_to_tensor_dtype(array.dtype)
            ports.append(helper.make_tensor_value_info(name, dtype, [None] * array.ndim))
        results = [helper.make_tensor_value_info(n, d, None) for n, d in outputs]
        if op == "ZipMap":
            key = STRING if "classlabels_strings" in attributes else INT64
            maps = helper.make_map_type_proto(key, helper.make_tensor_type_proto(FLOAT, []))
            results = [helper.make_value_info("y", helper.make_sequence_type_proto(maps))]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
        graph = helper.make_graph([node], "g", ports, results)
        self.model = helper.make_model(graph, opset_imports=opsets, ir_version=8)


def rows(rng, features, dtype=None):
    """X [n, features], small numbers with many ties; sometimes one row without a batch."""
    dtype = dtype or rng.choice(["float32", "float64", "int64", "int32"])
    x = rng.integers(-8, 9, (int(rng.integers(1, 150)), features)) / (4 if "float" in dtype else 1)
    return x.astype(dtype)


def floats(rng, n, low=-1.0, high=1.0):
    return [float(np.float32(v)) for v in rng.uniform(low, high, n)]


def labels(rng, n, ints="classlabels_ints"):
    """(attributes, element type of the label output)"""
    if rng.integers(2):
        return {"classlabels_strings": [f"label {i}" for i in rng.permutation(n)]}, STRING
    return {ints: [int(i) for i in rng.permutation(n) * 3 - 1]}, INT64


# ---- trees ---------------------------------------------------------------------------------------------------------


def grow(rng, features, modes, depth):
    """A tree as nested tuples: (feature, mode, value, missing, true, false), or None, a leaf."""
    if depth == 0 or rng.random() < 0.15:
        return None
    split = float(rng.integers(-6, 7)) / 4
    children = [grow(rng, features, modes, depth - 1) for _ in range(2)]
    return int(rng.integers(features)), str(rng.choice(modes)), split, int(rng.integers(2)), *children


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def number_tree(tree, number, nodes):
    """Appends (tree, node, feature, mode, value, missing, true, false); children get higher numbers. The root's number."""
    here = len([n for n in nodes if n[0] == number])
    at = len(nodes)
    if tree is None:
        nodes.append((number, here, 0, "LEAF", 0.0, 0, 0, 0))
        return here
    nodes.append(None)
    nodes[at] = (number, here, *tree[:4], 0, 0)
    yes, no = (number_tree(t, number, nodes) for t in tree[4:])
    nodes[at] = (number, here, *tree[:4], yes, no)
    return here


def forest(rng, features, prefix, targets, all_positive, double, every):
    """Attributes of nodes and votes; targets: the ids that votes are for, every: all leaves for all of them."""
    modes = MODES if rng.integers(2) else ["BRANCH_LEQ"]
    nodes = []
    for t in range(int(rng.integers(1, 9))):
        number_tree(grow(rng, features, modes, 4) or (0, modes[0], 0.5, 0, None, None), t, nodes)
    names = ["treeids", "nodeids", "featureids", "modes", "values", "missing_value_tracks_true", "truenodeids", "falsenodeids"]
    a = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*nodes))}
    votes = [(n[0], n[1], t) for n in nodes if n[3] == "LEAF" for t in targets if every or rng.random() < 0.8]
    votes = votes or [(0, next(n[1] for n in nodes if n[3] == "LEAF"), targets[0])]
    a[f"{prefix}_treeids"], a[f"{prefix}_nodeids"], a[f"{prefix}_ids"] = (list(c) for c in zip(*votes))
    a[f"{prefix}_weights"] = floats(rng, len(votes), 0.01 if all_positive else -1.0, 0.5)
    if rng.random() < 0.3:
        order = rng.permutation(len(votes))
        for name in ("treeids", "nodeids", "ids", "weights"):
            a[f"{prefix}_{name}"] = [a[f"{prefix}_{name}"][i] for i in order]
    if rng.integers(2):
        del a["nodes_missing_value_tracks_true"]
    if double:
        for name in ("nodes_values", f"{prefix}_weights"):
            a[f"{name}_as_tensor"] = helper.make_tensor("t", DOUBLE, [len(a[name])], a.pop(name))
    return a


def holes(rng, x):
    """NaN here and there."""
    if x.dtype.kind == "f" and rng.integers(2):
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def tree_classifier(rng):
    """Not made: votes for both of two classes, where ONNX Runtime's label ignores the first score and the labels' values;
    PROBIT, whose argument must be a probability; base values of two classes."""
    features, classes = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    double = bool(rng.integers(2))
    x = holes(rng, rows(rng, features, "float64" if double else rng.choice(["float32", "int64", "int32"])))
    ids = [int(rng.integers(2))] if classes == 2 else list(range(classes))
    a, dtype = labels(rng, classes, "classlabels_int64s")
    if classes == 1:
        a, dtype = {"classlabels_int64s": [3]}, INT64  # ONNX Runtime crashes with one string
    a |= forest(rng, features, "class", ids, rng.integers(2), double, len(ids) == 1)
    if classes > 2 and rng.integers(2):
        a["base_values"] = floats(rng, classes)
        if double:
            a["base_values_as_tensor"] = helper.make_tensor("t", DOUBLE, [classes], a.pop("base_values"))
    elif classes == 2 and ids == [0] and not double and rng.integers(2):
        a["base_values"] = floats(rng, 1)
    post = str(rng.choice(POSTS))
    return Model("TreeEnsembleClassifier", {"x": x}, (("y", dtype), ("z", FLOAT)), 3, post_transform=post, **a)


def tree_regressor(rng):
    """Not made: base values of targets without a vote, which ONNX Runtime drops; leaves without a vote where there is one
    target, which it takes for votes of 0."""
    based = bool(rng.integers(2))
    features, targets = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    double = bool(rng.integers(2))
    x = holes(rng, rows(rng, features, "float64" if double else "float32"))
    a = forest(rng, features, "target", list(range(targets)), rng.integers(2), double, based or targets == 1)
    if based:
        a["base_values"] = floats(rng, targets)
        if double:
            a["base_values_as_tensor"] = helper.make_tensor("t", DOUBLE, [targets], a.pop("base_values"))
    a["aggregate_function"] = str(rng.choice(["SUM", "AVERAGE", "MIN", "MAX"]))
    if targets == 1 or a["aggregate_function"] == "SUM":
        a["post_transform"] = str(rng.choice(POSTS))
    return Model("TreeEnsembleRegressor", {"x": x}, version=3, n_targets=targets, **a)


def flatten(tree, nodes, leaves, targets, rng):
    """TreeEnsemble's arrays: (is a leaf, its position)."""
    if tree is None:
        leaves.append((int(rng.integers(targets)), float(rng.integers(-8, 9)) / 8))
        return 1, len(leaves) - 1
    at = len(nodes)
    nodes.append(None)
    yes, no = (flatten(t, nodes, leaves, targets, rng) for t in tree[4:])
    nodes[at] = (*tree[:4], *yes, *no)
    return 0, at


def tree_ensemble(rng):
    """Not made: members that are no positive integers, which ONNX Runtime refuses."""
    features, targets = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    dtype = str(rng.choice(["float32", "float64"]))
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    modes = [*MODES, "BRANCH_MEMBER"] if rng.integers(2) else ["BRANCH_LT"]
    nodes, leaves, roots = [], [], []
    for _ in range(int(rng.integers(1, 9))):
        tree = grow(rng, features, modes, 4) or (0, modes[0], 0.5, 0, None, None)
        roots.append(flatten(tree, nodes, leaves, targets, rng)[1])
    feature, mode, split, missing, yes_leaf, yes, no_leaf, no = (list(c) for c in zip(*nodes))
    member = []
    for m in mode:
        if m == "BRANCH_MEMBER":
            member += [*rng.permutation(np.arange(1, 9))[: int(rng.integers(1, 6))].astype(float), np.nan]
    a = {"nodes_featureids": feature, "nodes_truenodeids": yes, "nodes_falsenodeids": no, "nodes_trueleafs": yes_leaf,
         "nodes_falseleafs": no_leaf, "tree_roots": roots, "leaf_targetids": [t for t, _ in leaves]}  # fmt: skip
    codes = [[*MODES, "BRANCH_MEMBER"].index(m) for m in mode]
    a["nodes_modes"] = helper.make_tensor("t", onnx.TensorProto.UINT8, [len(mode)], codes)
    a["nodes_splits"] = helper.make_tensor("t", element, [len(split)], split)
    a["leaf_weights"] = helper.make_tensor("t", element, [len(leaves)], [w for _, w in leaves])
    if member:
        a["membership_values"] = helper.make_tensor("t", element, [len(member)], member)
    if rng.integers(2) and not member:
        a["nodes_missing_value_tracks_true"] = missing
    a["aggregate_function"] = int(rng.integers(4))
    x = rows(rng, features, dtype)
    return Model("TreeEnsemble", {"x": x if member else holes(rng, x)}, (("y", element),), 5, n_targets=targets, **a)


# ---- linear models and support vector machines ---------------------------------------------------------------------


def linear_classifier(rng):
    features, classes = int(rng.integers(1, 9)), int(rng.integers(1, 6))
    a, dtype = labels(rng, 2 if classes == 1 else classes)
    # on ties the label would hang on rounding: weights are not multiples of each other
    return Model("LinearClassifier", {"x": rows(rng, features)}, (("y", dtype), ("z", FLOAT)), tolerance=1e-5,
                 coefficients=floats(rng, classes * features), intercepts=floats(rng, classes),
                 post_transform=str(rng.choice(POSTS)), **a)  # fmt: skip


def linear_regressor(rng):
    features, targets = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    a = {"intercepts": floats(rng, targets)} if rng.integers(2) else {}
    return Model("LinearRegressor", {"x": rows(rng, features, "float32")}, tolerance=1e-5, targets=targets,
                 coefficients=floats(rng, features * targets), post_transform=str(rng.choice(POSTS)), **a)  # fmt: skip


def kernel(rng):
    kind = str(rng.choice(["LINEAR", "POLY", "RBF", "SIGMOID"]))
    return {"kernel_type": kind, "kernel_params": [*floats(rng, 2, 0.05, 0.3), float(rng.integers(1, 4))]}


def svm_classifier(rng):
    features, classes = int(rng.integers(1, 6)), int(rng.integers(2, 5))
    pairs = classes * (classes - 1) // 2
    a, dtype = labels(rng, classes)
    a |= kernel(rng)
    if rng.random() < 0.8:
        counts = [int(n) for n in rng.integers(1, 5, classes)]
        a |= {"vectors_per_class": counts, "support_vectors": floats(rng, features * sum(counts))}
        a |= {"coefficients": floats(rng, (classes - 1) * sum(counts)), "rho": floats(rng, pairs)}
        if rng.integers(2):
            a |= {"prob_a": floats(rng, pairs, -2.0, -0.5), "prob_b": floats(rng, pairs)}
    else:
        a |= {"coefficients": floats(rng, classes * features), "rho": floats(rng, 1), "kernel_type": "LINEAR"}
    # coupled probabilities end at an error of 0.005 / classes: one round more or less moves them by that much
    tolerance = 5e-3 if "prob_a" in a and classes > 2 else 2e-5
    post = str(rng.choice(POSTS))
    return Model("SVMClassifier", {"x": rows(rng, features)}, (("y", dtype), ("z", FLOAT)), tolerance=tolerance,
                 post_transform=post, **a)  # fmt: skip


def svm_regressor(rng):
    features, n = int(rng.integers(1, 6)), int(rng.integers(0, 5))
    a = {"coefficients": floats(rng, n or features), "rho": floats(rng, 1), "n_supports": n} | kernel(rng)
    if n:
        a["support_vectors"] = floats(rng, n * features)
    return Model("SVMRegressor", {"x": rows(rng, features, "float32")}, tolerance=2e-5, one_class=int(rng.integers(2)), **a)


# ---- features and encoders -----------------------------------------------------------------------------------------


def features(rng):
    f = int(rng.integers(1, 6))
    x = rows(rng, f)
    kind = x.dtype.kind
    out = (("y", helper.np_dtype_to_tensor_dtype(x.dtype)),)
    which = rng.integers(6)
    if which == 0:
        x = x if kind == "f" else x.astype(np.float32)
        return Model("Binarizer", {"x": x.astype(np.float32)}, threshold=float(rng.integers(-4, 5)) / 4)
    if which == 1:
        n = 1 if rng.integers(2) else f
        return Model("Scaler", {"x": x}, offset=floats(rng, n), scale=floats(rng, n))
    if which == 2:
        return Model("Normalizer", {"x": x}, norm=str(rng.choice(["MAX", "L1", "L2"])))
    if which == 3:
        if kind == "f":
            old = float(rng.choice([0.0, 0.25, np.nan]))
            a = {"imputed_value_floats": floats(rng, 1 if rng.integers(2) else f), "replaced_value_float": old}
            return Model("Imputer", {"x": holes(rng, x.astype(np.float32))}, **a)
        a = {"imputed_value_int64s": [int(v) for v in rng.integers(-9, 9, 1 if rng.integers(2) else f)]}
        return Model("Imputer", {"x": x.astype(np.int64)}, (("y", INT64),), replaced_value_int64=int(rng.integers(-2, 3)), **a)
    if which == 4:
        index = rng.integers(0, f, int(rng.integers(1, 5)))
        return Model("ArrayFeatureExtractor", {"x": x[0] if rng.integers(2) else x, "i": index}, out)
    many = {f"x{i}": rng.integers(-9, 9, (len(x), int(rng.integers(1, 5)))).astype(x.dtype) for i in range(3)}
    return Model("FeatureVectorizer", many, inputdimensions=[v.shape[1] for v in many.values()])


def encoders(rng):
    """Not made: repeated keys, of which ONNX Runtime takes the first in LabelEncoder against the standard's text."""
    n, size = int(rng.integers(1, 6)), int(rng.integers(1, 40))
    words, numbers = [WORDS[i] for i in rng.permutation(6)[:n]], [int(v) for v in rng.permutation(6)[:n] - 2]
    x = {"x": rng.integers(-3, 6, size)} if rng.integers(2) else {"x": np.array(WORDS)[rng.integers(0, 6, size)]}
    text = x["x"].dtype.kind == "U"
    which = rng.integers(4)
    if which == 0:
        a = {"default_int64": 77} if text else {"default_string": "none"}
        return Model("CategoryMapper", x, (("y", INT64 if text else STRING),), cats_strings=words, cats_int64s=numbers, **a)
    if which == 1:
        if not text:
            x = {"x": x["x"].astype(rng.choice(["float32", "float64", "int64"]))}
        return Model("OneHotEncoder", x, **({"cats_strings": words} if text else {"cats_int64s": numbers}))
    keys = {"keys_strings": words} if text else {"keys_int64s": numbers}
    if which == 2:
        values = floats(rng, n)
        return Model("LabelEncoder", x, version=2, values_floats=values, default_float=0.5, **keys)
    x = {"x": rng.choice([0.0, -0.0, 0.25, 1.5, np.nan], size)}
    keys = helper.make_tensor("t", DOUBLE, [3], [0.0, np.nan, 1.5])
    values = helper.make_tensor("t", DOUBLE, [3], floats(rng, 3))
    other = helper.make_tensor("t", DOUBLE, [1], [9.0])
    return Model("LabelEncoder", x, (("y", DOUBLE),), 4, keys_tensor=keys, values_tensor=values, default_tensor=other)


# ---- maps ----------------------------------------------------------------------------------------------------------


def zip_map(rng):
    n = int(rng.integers(1, 6))
    a, _ = labels(rng, n, "classlabels_int64s")
    x = rows(rng, n, "float32")[:8]  # as many maps as sumi run prints
    return Model("ZipMap", {"x": x[0] if rng.integers(2) else x}, **a)


def map_model(op, x, key, value, dtype, **attributes):
    """A model with a map as its input."""
    model = Model(op, {}, (("y", dtype),), **attributes)
    model.inputs = {"x": x}
    map_type = helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, []))
    model.model.graph.node[0].input.append("x")
    model.model.graph.input.append(helper.make_value_info("x", map_type))
    return model


def map_input(rng):
    """Not made: CastMap from strings, which ONNX Runtime's Python cannot be given, and to strings, which it writes with six
    decimals; keys beyond max_map, which it drops; empty maps."""
    n = int(rng.integers(1, 6))
    numbers = [float(np.float32(v)) for v in rng.uniform(-9, 9, n)]
    keys = [int(k) for k in rng.permutation(9)[:n]]
    which = rng.integers(3)
    if which == 0:
        to = [("TO_FLOAT", FLOAT), ("TO_INT64", INT64)][int(rng.integers(2))]
        form = {"map_form": "SPARSE", "max_map": 9} if rng.integers(2) else {}
        return map_model("CastMap", dict(zip(keys, numbers)), INT64, FLOAT, to[1], cast_to=to[0], **form)
    if which == 1:
        vocabulary = [int(k) for k in rng.permutation(9)[: int(rng.integers(1, 9))]]
        return map_model("DictVectorizer", dict(zip(keys, numbers)), INT64, FLOAT, FLOAT, int64_vocabulary=vocabulary)
    words = [f"w{k}" for k in rng.permutation(9)[: int(rng.integers(1, 9))]]
    given = {f"w{k}": float(v) for k, v in zip(keys, numbers)}
    return map_model("DictVectorizer", given, STRING, FLOAT, FLOAT, string_vocabulary=words)


# ---- comparing -----------------------------------------------------------------------------------------------------

KINDS = {
    "tree_classifier": (tree_classifier, 40), "tree_regressor": (tree_regressor, 40), "tree_ensemble": (tree_ensemble, 40),
    "linear_classifier": (linear_classifier, 30), "linear_regressor": (linear_regressor, 20),
    "svm_classifier": (svm_classifier, 40), "svm_regressor": (svm_regressor, 20),
    "features": (features, 40), "encoders": (encoders, 40), "zip_map": (zip_map, 15), "map_input": (map_input, 25),
}  # fmt: skip


def differs(got, want, tolerance):
    """A sentence, or None."""
    want = np.asarray(want)
    if got.shape != want.shape:
        return f"shape {list(got.shape)}, not {list(want.shape)}"
    if want.dtype.kind in "OU":
        return None if (got == want.astype(str)).all() else f"{got[got != want][:4]}, not {want[got != want][:4]}"
    if got.dtype != want.dtype:
        return f"{got.dtype}, not {want.dtype}"
    if want.dtype.kind in "iu":
        return None if (got == want).all() else f"{got[got != want][:4]}, not {want[got != want][:4]}"
    a, b = got.astype(np.float64), want.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= tolerance * np.maximum(1, np.abs(b)))
    return None if same.all() else f"{got[~same][:4]}, not {want[~same][:4]}"


def map_bytes(values, dtype):
    """A MapProto as test data has it."""
    text = isinstance(next(iter(values), 0), str)
    proto = onnx.MapProto(key_type=STRING if text else INT64)
    proto.values.elem_type = onnx.SequenceProto.TENSOR
    for key, value in values.items():
        (proto.string_keys if text else proto.keys).append(key.encode() if text else key)
        proto.values.tensor_values.append(oracle.numpy_helper.from_array(np.array(value, dtype)))
    return proto.SerializeToString()


def run_maps(model, path, device, folder, want):
    """One model with maps, by the command line: a sentence where it differs."""
    inputs = []
    for name, value in model.inputs.items():
        file = pathlib.Path(folder) / ("in.pb" if isinstance(value, dict) else "in.npy")
        if isinstance(value, dict):
            element = model.model.graph.input[0].type.map_type.value_type.tensor_type.elem_type
            file.write_bytes(map_bytes(value, helper.tensor_dtype_to_np_dtype(element)))
        else:
            np.save(file, value)
        inputs += ["-i", f"{name}={file}"]
    out = pathlib.Path(folder) / "out"
    report = oracle.sumi_json("run", path, *inputs, "-o", out, "--device", device)["outputs"][0]
    if isinstance(want, np.ndarray):
        return differs(np.load(report["file"]), want, model.tolerance)
    if report["items"] != len(want):
        return f"{report['items']} maps, not {len(want)}"
    for k, (got, expected) in enumerate(zip(report["first"], want)):
        stored = dict(zip(*(np.load(out / "y" / str(k) / f"{part}.npy").tolist() for part in ("keys", "values"))))
        if stored != expected or got != {str(key): value for key, value in expected.items()}:
            return f"map {k}: {got}, {stored}, not {expected}"
    return None


def run_one(model, devices, folder):
    """One model on the devices: a sentence where one differs."""
    path = pathlib.Path(folder) / "model.onnx"
    path.write_bytes(model.model.SerializeToString())
    text = [k for k, v in model.inputs.items() if isinstance(v, np.ndarray) and v.dtype.kind == "U"]
    feeds = {k: v.astype(object) if k in text else v for k, v in model.inputs.items()}
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    want = oracle.ort_run(session, feeds)
    maps = any(isinstance(v, (dict, list)) for v in (*feeds.values(), *want.values()))
    for device in devices:
        if maps:
            wrong = [run_maps(model, path, device, folder, want["y"])]
        else:
            got = oracle.sumi_run(path, model.inputs, device)
            wrong = [differs(got[name], array, model.tolerance) for name, array in want.items()]
        for why in filter(None, wrong):
            return f"on {device}: {why}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="*")
    parser.add_argument("--devices", default="cpu,ref")
    parser.add_argument("--share", type=float, default=0.4, help="of the models of every kind; 1: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as folder:
        for kind in options.kind or KINDS:
            make, n = KINDS[kind]
            n = max(1, round(n * options.share))
            bad = 0
            for i in range(n):
                model = make(np.random.default_rng([zlib.crc32(kind.encode()), options.seed, i]))
                try:
                    why = run_one(model, options.devices.split(","), folder)
                except Exception as error:  # one model's trouble is not the others'
                    why = f"{type(error).__name__}: {error}"
                if why:
                    bad += 1
                    node = model.model.graph.node[0]
                    print(f"  {kind} {i}: {why}; {helper.printable_node(node)[:600]}")
            failed += bad
            print(f"{'agrees' if not bad else 'DIFFERS'}  {kind}: {n - bad} of {n} models", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
