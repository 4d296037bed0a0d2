"""One contributed operator at a time, several settings each, against ONNX Runtime: SCRIPT.py [NAME...]

A script of this folder calls cases(...) for every operator and run() at its end. Each case is a network of one node;
its inputs are fixed arrays. ONNX Runtime's result on the CPU, without its optimisations, is the expected one; where it
has no kernel for CPUs, `instead` says with which nodes of the standard the same is calculated."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import oracle  # noqa: E402
from oracle import helper, np, numpy_helper, onnx, ort  # noqa: E402

DOMAINS = [("", 21), ("com.microsoft", 1)]
CASES = []


class Case:
    """inputs: name -> array, "" for one not given; outputs: number, or list of names with "" for those not wanted;
    constants: inputs that are initialisers; pick: outputs -> what is compared of them (some rows mean nothing)."""

    def __init__(self, op, why, inputs, outputs=1, rtol=1e-5, atol=1e-6, constants=(), instead=None, pick=None,
                 domain="com.microsoft", dtypes=None, **attributes):
        self.op, self.why, self.inputs, self.rtol, self.atol = op, why, inputs, rtol, atol
        self.constants, self.instead, self.pick = constants, instead, pick or (lambda y: y)
        self.outputs = [f"y{i}" for i in range(outputs)] if isinstance(outputs, int) else outputs
        self.domain, self.attributes, self.dtypes = domain, attributes, dtypes or {}

    def model(self, nodes=None):
        names = [n if a is not None else "" for n, a in self.inputs.items()]
        nodes = nodes or [helper.make_node(self.op, names, self.outputs, domain=self.domain, **self.attributes)]
        given = {n: a for n, a in self.inputs.items() if a is not None}
        graph = helper.make_graph(
            nodes, "g",
            [helper.make_tensor_value_info(n, self.type_of(n, a), a.shape) for n, a in given.items()
             if n not in self.constants],
            [helper.make_empty_tensor_value_info(n) for n in self.outputs if n],
            [self.tensor(n, a) for n, a in given.items() if n in self.constants])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*d) for d in DOMAINS])
        model.ir_version = 10
        return model

    def type_of(self, name, array):
        return self.dtypes.get(name) or helper.np_dtype_to_tensor_dtype(array.dtype)

    def tensor(self, name, array):
        """Where dtypes names a type that NumPy lacks, array holds the codes of the elements."""
        if name in self.dtypes:
            return helper.make_tensor(name, self.dtypes[name], array.shape, self.packed(name, array), raw=True)
        return numpy_helper.from_array(array, name)

    def packed(self, name, array):
        flat = array.astype(np.uint8).reshape(-1)
        if self.dtypes[name] in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4, onnx.TensorProto.FLOAT4E2M1):
            flat = np.append(flat, np.zeros(flat.size % 2, np.uint8)) & 15
            flat = flat[0::2] | flat[1::2] << 4
        return flat.tobytes()

    def fed(self):
        return {n: a for n, a in self.inputs.items() if a is not None and n not in self.constants}

    def expected(self):
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        model = self.model(self.instead)
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run([n for n in self.outputs if n], self.fed())

    def check(self, number):
        want = self.pick(self.expected())
        path = oracle.work_folder() / f"contrib-{self.op}-{number}.onnx"
        onnx.save(self.model(), str(path))
        failures = []
        for device in ("ref", "cpu"):
            got = oracle.sumi_run(path, self.fed(), device=device)
            got = self.pick([got[n] for n in self.outputs if n])
            for i, (g, w) in enumerate(zip(got, want)):
                failures += [f"{device}: result {i}: {f}" for f in self.difference(g, w)]
        path.unlink()
        return failures

    def difference(self, got, want):
        if got.shape != want.shape or got.dtype != want.dtype:
            return [f"{got.dtype}{list(got.shape)}, not {want.dtype}{list(want.shape)}"]
        if want.dtype.kind in "OSU":
            return [] if (got == want).all() else ["other strings"]
        if not want.size:
            return []
        got, want = got.astype(np.float64), want.astype(np.float64)
        with np.errstate(invalid="ignore"):
            finite = np.abs(want[np.isfinite(want)])
            error = np.where(got == want, 0, np.abs(got - want))
            error[np.isnan(got) & np.isnan(want)] = 0
            bound = self.atol + self.rtol * (finite.max() if finite.size else 0)
            at = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        if error[at] <= bound:
            return []
        return [f"{got[at]:.9g} at {list(map(int, at))}, not {want[at]:.9g} (more than {bound:.3g} apart)"]


def cases(op, *settings, **common):
    """Adds a case of operator op for each of settings: (why, inputs, options of Case and attributes)."""
    for why, inputs, options in settings:
        CASES.append(Case(op, why, inputs, **{**common, **options}))


def run():
    names = sys.argv[1:]
    failed = 0
    chosen = [c for c in CASES if not names or c.op in names]
    for number, case in enumerate(chosen):
        try:
            failures = case.check(number)
        except oracle.Refused as error:
            failures = [str(error)]
        for failure in failures:
            print(f"{case.op} ({case.why}): {failure}")
        failed += bool(failures)
    operators = len({c.op for c in chosen})
    print(f"{len(chosen) - failed} of {len(chosen)} settings of {operators} operators agree with ONNX Runtime")
    sys.exit(1 if failed or not chosen else 0)


# ---- inputs --------------------------------------------------------------------------------------------------------


def floats(*shape, seed=0, low=-1.0, high=1.0, dtype=np.float32):
    """Numbers drawn evenly from [low, high)."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(dtype)


def integers(*shape, low, high, seed=0, dtype=np.int64):
    """Numbers drawn evenly from [low, high)."""
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)
