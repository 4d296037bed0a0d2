"""Where do two engines part? python trace.py NETWORK [--all]: makes every value of the graph an output, runs the first
case of networks.txt with ONNX Runtime (not optimised) and with sumi, and prints the values that differ by more than
--over of their largest magnitude, in the graph's order."""

import argparse
import sys
import tempfile

import compare
import oracle
from oracle import np, onnx, ort


def with_all_outputs(path):
    """The model with every node's outputs as outputs."""
    model = onnx.load(str(path))
    if not model.opset_import or model.opset_import[0].version < 7:
        model = oracle.modernise(model)
    known = {o.name for o in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
                known.add(name)
    return model


def difference(got, want):
    if got is None or want is None:
        return None if want is None else np.inf
    want = np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return np.inf
    if want.dtype.kind not in "fiub" or not want.size:
        return 0.0
    a, b = got.astype(np.float64), want.astype(np.float64)
    return float(np.nanmax(np.abs(a - b)) / max(float(np.nanmax(np.abs(b))), 1e-30))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--over", type=float, default=1e-5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    case = next(c for c in compare.read_cases() if c.network == options.network)
    path = compare.network_path(case.network)
    inputs = compare.make_inputs(case, oracle.ort_session(path), 0)
    model = with_all_outputs(path)
    session_options = ort.SessionOptions()
    session_options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session_options.enable_mem_reuse = False
    if any(n.domain == "com.microsoft.extensions" for n in model.graph.node):
        import onnxruntime_extensions

        session_options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    want = oracle.ort_run(ort.InferenceSession(model.SerializeToString(), session_options), inputs)
    with tempfile.NamedTemporaryFile(suffix=".onnx", dir=oracle.work_folder()) as file:
        file.write(model.SerializeToString())
        file.flush()
        got = oracle.sumi_run(file.name, inputs, options.device)
    for node in model.graph.node:
        for name in filter(None, node.output):
            apart = difference(got.get(name), want.get(name))
            if apart is not None and apart > options.over:
                shape = list(np.asarray(want[name]).shape)
                print(f"{apart:9.2e}  {node.op_type:24s} {name} {np.asarray(want[name]).dtype}{shape}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
